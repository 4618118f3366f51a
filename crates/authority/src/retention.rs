//! Takes out what is older than the configuration keeps: at the start, and once a day.

use std::sync::Arc;
use std::time::Duration;

use stopgate_config::LastGood;
use stopgate_core::clock::{DAY_MS, Moment, STEP_MS, UnixMillis, days};
use stopgate_store::{Pruned, Space, Store, StoreError};

use crate::storage::Storage;

/// How often it is asked whether a day is over. Not one long sleep: that stands still while the machine is suspended.
const LOOK: Duration = Duration::from_mins(10);
/// How long the reaper's audit is kept, in days: it is looked at within weeks.
const REAPER_AUDIT_DAYS: u32 = 90;
/// Rows of each kind, and pages, that one transaction takes out: a hook waits for a few milliseconds at most.
const BATCH: u32 = 200;
/// Pause between two transactions, in which others get their turn.
const PAUSE: Duration = Duration::from_millis(5);
/// A file that does not shrink is rewritten when at least this much of it is free,
const REWRITE_FREE_BYTES: u64 = 8 * 1024 * 1024;
/// and no more than this is left to write: nobody else can write meanwhile.
const REWRITE_USED_BYTES: u64 = 64 * 1024 * 1024;
/// How long the rewriting waits for others.
const REWRITE_PATIENCE: Duration = Duration::from_secs(1);

/// Prunes when it is due, for as long as the authority lives.
pub(crate) async fn keep_pruning(storage: Arc<Storage>) {
    let mut last = None;
    loop {
        let now = storage.moment();
        let is_due = is_due(last, now.boot_ms);
        if is_due {
            last = Some(now.boot_ms);
        }
        let storage_of_look = Arc::clone(&storage);
        let look = move || {
            // Each time: what has gone by between two looks is known to have gone by.
            let look = storage_of_look.with_store(|store| store.look_at_clocks(now, storage_of_look.boot_id()));
            // A fault is in the state's own record of trouble, and tried again the next day.
            if let Ok(look) = look
                && is_due
            {
                tell_of_clock(now, look.proven_ms);
                prune(&storage_of_look, look.proven_ms);
            }
        };
        let _ = tokio::task::spawn_blocking(look).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a day has passed since `last`, by the time since the boot.
fn is_due(last: Option<i64>, now: i64) -> bool {
    last.is_none_or(|last| now - last >= DAY_MS)
}

/// Says that the time of day is not believed yet.
fn tell_of_clock(now: Moment, proven_ms: UnixMillis) {
    if now.wall_ms > proven_ms.saturating_add(STEP_MS) {
        let ahead_s = (now.wall_ms - proven_ms) / 1_000;
        tracing::warn!(
            ahead_s,
            "the time of day was set ahead, or the machine was off: nothing is deleted for that yet"
        );
    }
}

/// The time before which everything is old.
fn cutoff(now: UnixMillis, kept_days: u32) -> UnixMillis {
    now.saturating_sub(days(kept_days))
}

fn prune(storage: &Storage, now: UnixMillis) {
    // The file as it is today: a changed key counts without a restart.
    let days = LastGood::peek(storage.home()).config.gate.retention_days;
    let before = cutoff(now, days);
    let mut pruned = Pruned::default();
    let done = loop {
        match storage.with_store(|store| store.prune(before, BATCH)) {
            Ok(batch) if batch.total() == 0 => break give_back(storage),
            Ok(batch) => pruned = pruned.plus(batch),
            Err(error) => break Err(error),
        }
        std::thread::sleep(PAUSE);
    };
    if pruned.total() > 0 {
        let Pruned { verdicts, events, continues, contests, fence } = pruned;
        tracing::info!(days, verdicts, events, continues, contests, fence, "took out what is old");
    }
    let done = done.and_then(|()| storage.with_store(|store| store.prune_reaper_audit(cutoff(now, REAPER_AUDIT_DAYS))));
    if let Err(error) = done {
        tracing::warn!(%error, "what is old is not all taken out; the next try is in a day");
    }
}

/// Gives free room back to the file system.
fn give_back(storage: &Storage) -> Result<(), StoreError> {
    let space = storage.with_store(|store| store.space())?;
    if space.shrinks {
        while storage.with_store(|store| store.shrink(BATCH))? {
            std::thread::sleep(PAUSE);
        }
    } else if is_worth_rewriting(space) {
        // By a connection of its own: stops are judged meanwhile, and counted in memory.
        Store::open(storage.home(), REWRITE_PATIENCE)?.rewrite()?;
        tracing::info!(freed_bytes = space.free, "rewrote the store, which gives back room by itself from now on");
    }
    Ok(())
}

/// A file from before files shrank: once, when most of it is free.
const fn is_worth_rewriting(space: Space) -> bool {
    !space.shrinks && space.free >= REWRITE_FREE_BYTES && space.free >= space.used && space.used <= REWRITE_USED_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use stopgate_core::clock::{Clock, hours};
    use stopgate_core::decision::Decision;
    use stopgate_core::event_id::new_event_id;
    use stopgate_core::harness::{Event, EventKind, Stop};
    use stopgate_core::paths::Home;
    use stopgate_core::protocol::EvaluateRequest;
    use stopgate_core::session::{Harness, SessionKey};
    use stopgate_core::switch::Mode;
    use stopgate_store::{Aside, GateRow, blank_row};

    use super::*;

    const START: UnixMillis = 1_700_000_000_000;
    const HOUR_MS: UnixMillis = hours(1);

    /// A clock that is set by hand.
    struct SetClock(Arc<AtomicI64>);

    impl Clock for SetClock {
        fn now_ms(&self) -> UnixMillis {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn judged(storage: &Storage, at_ms: UnixMillis) {
        let request = EvaluateRequest {
            event_id: new_event_id(&stopgate_core::clock::FixedClock(at_ms)),
            at_ms,
            boot_ms: None,
            event: Event {
                key: SessionKey::new(Harness::Claude, "s").unwrap(),
                cwd: None,
                transcript_path: None,
                model: None,
                permission_mode: None,
                agent_id: None,
                kind: EventKind::Stop(Stop::default()),
            },
            mode: Mode::Shadow,
            search_path: None,
            may_wait: false,
            deadline_ms: 1_000,
        };
        let row = GateRow { decision: Some(Decision::Allow), ..blank_row(&request) };
        storage.with_store(|store| store.record_verdict(&request, &row, &Aside::default(), at_ms)).unwrap();
    }

    fn kept(storage: &Storage) -> Vec<UnixMillis> {
        let rows = storage.with_store(|store| store.gate_log(10)).unwrap();
        rows.into_iter().map(|row| (row.at_ms - START) / HOUR_MS).collect()
    }

    #[test]
    fn it_prunes_at_the_start_and_a_day_later_and_not_between() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let storage = Arc::new(Storage::open(home, Box::new(SetClock(Arc::clone(&now)))));
        // The default keeps 30 days: 720 hours.
        for hours in [-721, -719, -1] {
            judged(&storage, START + hours * HOUR_MS);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            tokio::spawn(keep_pruning(Arc::clone(&storage)));
            tokio::time::sleep(LOOK / 2).await;
            assert_eq!(kept(&storage), [-1, -719]);
            now.store(START + 23 * HOUR_MS, Ordering::Relaxed);
            tokio::time::sleep(LOOK * 2).await;
            assert_eq!(kept(&storage), [-1, -719], "not due");
            now.store(START + 24 * HOUR_MS, Ordering::Relaxed);
            tokio::time::sleep(LOOK * 2).await;
            assert_eq!(kept(&storage), [-1]);
            std::fs::write(storage.home().root().join("config.toml"), "[gate]\nretention_days = 2\n").unwrap();
            now.store(START + 48 * HOUR_MS, Ordering::Relaxed);
            tokio::time::sleep(LOOK * 2).await;
            assert_eq!(kept(&storage), [0; 0], "as configured meanwhile");
        });
    }

    #[test]
    fn it_is_due_at_the_start_and_a_day_later() {
        let start = 1_700_000_000_000;
        assert!(is_due(None, start));
        assert!(!is_due(Some(start), start + DAY_MS - 1));
        assert!(is_due(Some(start), start + DAY_MS));
    }

    #[test]
    fn days_are_counted_back_from_now() {
        assert_eq!(cutoff(31 * DAY_MS + 5, 30), DAY_MS + 5);
        assert_eq!(cutoff(i64::MIN + 5, u32::MAX), i64::MIN, "no time is so early");
    }

    #[test]
    fn a_file_is_rewritten_only_when_much_is_free_and_little_is_left() {
        let space =
            |used_mib: u64, free_mib: u64, shrinks| Space { used: used_mib << 20, free: free_mib << 20, shrinks };
        assert!(is_worth_rewriting(space(1, 8, false)));
        assert!(!is_worth_rewriting(space(1, 7, false)), "not for a little");
        assert!(!is_worth_rewriting(space(20, 10, false)), "not for a small part");
        assert!(!is_worth_rewriting(space(65, 100, false)), "not for seconds in which nobody can write");
        assert!(!is_worth_rewriting(space(1, 100, true)), "not one that shrinks");
    }
}
