//! The reaper's shell: looks at sessions now and then, and ends idle ones when it may. The decisions are
//! [`stopgate_reaper`]'s.

mod collect;
mod explain;
mod machine;
mod panes;
pub(crate) mod settings;
pub(crate) mod terminate;
mod tick;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stopgate_core::clock::UnixMillis;
use stopgate_core::env;
use stopgate_core::session::SessionKey;
use stopgate_reaper::pressure::{assess, threshold};
use stopgate_reaper::report::{ReaperSession, ReaperStatus};
use stopgate_reaper::switch;
use stopgate_store::StoreError;
use tokio::sync::Notify;

pub(crate) use explain::explain;

use crate::state::State;

/// How often the time is looked at when it is made up.
const TEST_POLL: Duration = Duration::from_millis(20);
/// How often old rows of the audit are forgotten, and how old they are then: it is looked at within weeks.
const UPKEEP_MS: UnixMillis = 24 * 3_600_000;
const AUDIT_MS: UnixMillis = 90 * UPKEEP_MS;

/// What the reaper has in memory: nothing that a restart may not lose.
#[derive(Default)]
pub(crate) struct Reaper {
    now: Mutex<Now>,
    /// Held during a look, and while a session is explained.
    looking: Mutex<()>,
    /// Sessions that are being ended: by one at a time.
    ending: Mutex<HashSet<SessionKey>>,
    /// The operator has set the switch.
    pub(crate) woken: Notify,
}

/// How the reaper is now.
#[derive(Debug, Clone, Default)]
struct Now {
    /// When each end was announced. Dropped on restart: it must be proven again.
    pending: HashMap<SessionKey, UnixMillis>,
    last_tick_at_ms: Option<UnixMillis>,
    last_tick_took_ms: Option<u64>,
    sessions: Vec<ReaperSession>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks now and then, for as long as the authority lives.
pub(crate) async fn keep_looking(state: Arc<State>) {
    let made_up_time = env::made_up(env::STOPGATE_CLOCK).is_some();
    let mut upkeep_at: Option<UnixMillis> = None;
    loop {
        let now_ms = state.clock.now_ms();
        if upkeep_at.is_none_or(|last| now_ms - last >= UPKEEP_MS) {
            upkeep_at = Some(now_ms);
            let state = Arc::clone(&state);
            let _ = tokio::task::spawn_blocking(move || upkeep(&state, now_ms)).await;
        }
        let config = settings::current(&state);
        let interval_ms = i64::from(config.tick_interval_seconds.max(1)) * 1_000;
        let last = lock(&state.reaper.now).last_tick_at_ms;
        // A clock that went back is no reason to wait for it.
        let due = last.is_none_or(|last| now_ms - last >= interval_ms || now_ms < last);
        let interval = u64::from(config.tick_interval_seconds.max(1));
        if config.enabled && due {
            let state = Arc::clone(&state);
            let _ = tokio::task::spawn_blocking(move || tick::tick(&state, &config)).await;
        } else if !config.enabled {
            let mut now = lock(&state.reaper.now);
            now.pending.clear();
            now.sessions.clear();
        }
        let pause = if made_up_time { TEST_POLL } else { Duration::from_secs(interval) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.reaper.woken.notified() => {}
        }
    }
}

fn upkeep(state: &State, now_ms: UnixMillis) {
    let done = state.with_store(|store| store.prune_reaper_audit(now_ms - AUDIT_MS));
    if let Err(error) = done {
        tracing::warn!(%error, "old rows are not forgotten");
    }
}

/// How the reaper is.
pub(crate) fn status(state: &State) -> Result<ReaperStatus, StoreError> {
    let config = settings::current(state);
    let pressure = assess(machine::reading(), &config);
    let now_ms = state.clock.now_ms();
    let (tripped, reaps_last_hour) =
        state.with_store(|store| Ok((store.reaper_trip()?, store.reaped_since(now_ms - 3_600_000)?)))?;
    let now = lock(&state.reaper.now).clone();
    let mut kept_by = std::collections::BTreeMap::new();
    for gate in now.sessions.iter().filter_map(|session| session.kept_by) {
        *kept_by.entry(gate.name().to_owned()).or_insert(0) += 1;
    }
    Ok(ReaperStatus {
        enabled: config.enabled,
        dry_run: config.dry_run || tripped.is_some(),
        switch: switch::read(&state.home),
        tripped,
        last_tick_at_ms: now.last_tick_at_ms,
        last_tick_took_ms: now.last_tick_took_ms,
        pressure,
        active_threshold_minutes: threshold(pressure.tier, &config).map(|ms| ms / 60_000),
        reaps_last_hour,
        kept_by,
        sessions: now.sessions,
    })
}
