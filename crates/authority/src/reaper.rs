//! The reaper's shell: looks at sessions now and then, and ends idle ones when it may. The decisions are
//! [`stopgate_reaper`]'s.

mod collect;
mod explain;
mod machine;
mod panes;
mod state;
pub(crate) mod terminate;
mod tick;

use std::sync::Arc;
use std::time::Duration;

use stopgate_core::clock::{hours, seconds};
use stopgate_core::env;
use stopgate_reaper::pressure::{assess, threshold};
use stopgate_reaper::report::ReaperStatus;
use stopgate_reaper::switch;
use stopgate_store::StoreError;

pub(crate) use explain::explain;
pub(crate) use state::Reaper;
use state::lock;

/// How often the time is looked at when it is made up.
const TEST_POLL: Duration = Duration::from_millis(20);

/// Looks now and then, for as long as the authority lives.
pub(crate) async fn keep_looking(reaper: Arc<Reaper>) {
    let made_up_time = env::made_up(env::STOPGATE_CLOCK).is_some();
    loop {
        let now_ms = reaper.storage.moment().awake_ms;
        let config = reaper.config();
        let interval_ms = seconds(config.tick_interval_seconds.max(1));
        let last = lock(&reaper.now).last_tick_awake_ms;
        let due = last.is_none_or(|last| now_ms - last >= interval_ms);
        let interval = u64::from(config.tick_interval_seconds.max(1));
        if config.enabled && due {
            let reaper = Arc::clone(&reaper);
            let _ = tokio::task::spawn_blocking(move || tick::tick(&reaper, &config)).await;
        } else if !config.enabled {
            let mut now = lock(&reaper.now);
            now.pending.clear();
            now.sessions.clear();
        }
        let pause = if made_up_time { TEST_POLL } else { Duration::from_secs(interval) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = reaper.woken.notified() => {}
        }
    }
}

/// How the reaper is.
pub(crate) fn status(reaper: &Reaper) -> Result<ReaperStatus, StoreError> {
    let config = reaper.config();
    let pressure = assess(machine::reading(), &config);
    let now_ms = reaper.storage.now_ms();
    let (tripped, reaps_last_hour) =
        reaper.storage.with_store(|store| Ok((store.reaper_trip()?, store.reaped_since(now_ms - hours(1))?)))?;
    let now = lock(&reaper.now).clone();
    let mut kept_by = std::collections::BTreeMap::new();
    for gate in now.sessions.iter().filter_map(|session| session.kept_by) {
        *kept_by.entry(gate.name().to_owned()).or_insert(0) += 1;
    }
    Ok(ReaperStatus {
        enabled: config.enabled,
        dry_run: config.dry_run || tripped.is_some(),
        switch: switch::read(reaper.storage.home()),
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
