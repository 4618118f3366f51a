//! How much time is known to have gone by: a time of day that was set proves none, and nothing is deleted because of it.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};
use stopgate_core::clock::{DAY_MS, Moment, STEP_MS, UnixMillis, days};

use crate::{Store, StoreError};

/// A time of day that stays ahead of what is proven for so long is believed: a machine that was away for longer.
const BELIEVED_AFTER_MS: UnixMillis = days(7);
/// So much may have gone by while the machine was off. Whether more has cannot be told from a clock that was set.
const OFF_MS: UnixMillis = DAY_MS;

/// What was found at a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockLook {
    /// The kernel's id of the boot.
    pub boot_id: String,
    /// Milliseconds since that boot.
    pub boot_ms: i64,
    /// The time of day.
    pub wall_ms: UnixMillis,
    /// The time of day as far as it is proven.
    pub proven_ms: UnixMillis,
    /// How long the time of day has been ahead of that.
    pub waited_ms: i64,
}

impl ClockLook {
    /// A look at `now`, after the look `before` or, where there was none, in a store whose newest row is of `newest`.
    fn at(now: Moment, boot_id: &str, before: Option<&Self>, newest: Option<UnixMillis>) -> Self {
        let (proven, waited) = match before {
            Some(before) => {
                let elapsed = if before.boot_id == boot_id && !boot_id.is_empty() {
                    (now.boot_ms - before.boot_ms).max(0)
                } else {
                    (now.wall_ms - before.wall_ms).clamp(0, OFF_MS)
                };
                (before.proven_ms.saturating_add(elapsed), before.waited_ms.saturating_add(elapsed))
            }
            None => (newest.filter(|newest| now.wall_ms - newest > OFF_MS).unwrap_or(now.wall_ms), 0),
        };
        let ahead = now.wall_ms - proven;
        let is_believed = ahead <= STEP_MS || waited >= ahead.min(BELIEVED_AFTER_MS);
        let (proven_ms, waited_ms) = if is_believed { (now.wall_ms, 0) } else { (proven, waited) };
        Self { boot_id: boot_id.to_owned(), boot_ms: now.boot_ms, wall_ms: now.wall_ms, proven_ms, waited_ms }
    }
}

impl Store {
    /// The clocks as they were last looked at.
    pub fn clock_look(&self) -> Result<Option<ClockLook>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT boot_id, boot_ms, wall_ms, proven_ms, waited_ms FROM clock_looks WHERE id = 1")?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(ClockLook {
                boot_id: row.get(0)?,
                boot_ms: row.get(1)?,
                wall_ms: row.get(2)?,
                proven_ms: row.get(3)?,
                waited_ms: row.get(4)?,
            })
        };
        Ok(query.query_row([], read).optional()?)
    }

    /// Looks at the clocks, and remembers what is known by now of the time that has gone by.
    pub fn look_at_clocks(&mut self, now: Moment, boot_id: &str) -> Result<ClockLook, StoreError> {
        let before = self.clock_look()?;
        let newest = match before {
            Some(_) => None,
            None => self.newest()?,
        };
        let look = ClockLook::at(now, boot_id, before.as_ref(), newest);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO clock_looks (id, boot_id, boot_ms, wall_ms, proven_ms, waited_ms)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![look.boot_id, look.boot_ms, look.wall_ms, look.proven_ms, look.waited_ms])?;
        transaction.commit()?;
        Ok(look)
    }

    /// When the newest row came that is deleted one day.
    fn newest(&self) -> Result<Option<UnixMillis>, StoreError> {
        let max = |table: &str| {
            let query = format!("SELECT max(at_ms) FROM {table}");
            self.connection.query_row(&query, [], |row| row.get::<_, Option<UnixMillis>>(0))
        };
        Ok(max("gate_events")?.max(max("hook_events")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMillis = 1_700_000_000_000;

    /// The time of day this much after `T0`, so long after the boot.
    fn moment(wall: i64, boot_ms: i64) -> Moment {
        Moment { wall_ms: T0 + wall, boot_ms, awake_ms: boot_ms }
    }

    fn after(before: &ClockLook, wall: i64, boot_ms: i64, boot: &str) -> ClockLook {
        ClockLook::at(moment(wall, boot_ms), boot, Some(before), None)
    }

    /// What is proven, from `T0` on.
    fn proven(look: &ClockLook) -> i64 {
        look.proven_ms - T0
    }

    #[test]
    fn a_time_that_was_set_ahead_proves_nothing_until_so_much_has_gone_by() {
        let first = ClockLook::at(moment(0, 1_000), "a", None, None);
        assert_eq!(proven(&first), 0);
        let later = after(&first, 5_000, 6_000, "a");
        assert_eq!(proven(&later), 5_000, "time passes");
        let day = after(&later, DAY_MS + 5_000, DAY_MS + 6_000, "a");
        assert_eq!(proven(&day), DAY_MS + 5_000, "however much");
        let ahead = after(&later, days(40), 7_000, "a");
        assert_eq!(proven(&ahead), 6_000);
        let restarted = after(&ahead, days(40) + DAY_MS, 8_000 + DAY_MS, "a");
        assert_eq!(proven(&restarted), 7_000 + DAY_MS, "through restarts");
        let back = after(&restarted, 8_000 + DAY_MS, 9_000 + DAY_MS, "a");
        assert_eq!((proven(&back), back.waited_ms), (8_000 + DAY_MS, 0), "set right again");
        let week = after(&ahead, days(47), 7_000 + days(7), "a");
        assert_eq!(proven(&week), days(47), "it has stayed so for a week");
        let hour = DAY_MS / 24;
        let little = after(&first, hour, 2_000, "a");
        assert_eq!(proven(&little), 1_000);
        assert_eq!(proven(&after(&little, 2 * hour, 2_000 + hour, "a")), 2 * hour, "an hour later the hour is over");
    }

    #[test]
    fn a_machine_that_was_off_may_have_been_off_for_a_day() {
        let first = ClockLook::at(moment(0, days(3)), "a", None, None);
        assert_eq!(proven(&after(&first, DAY_MS / 2, 500, "b")), DAY_MS / 2, "a night");
        let away = after(&first, days(12), 500, "b");
        assert_eq!(proven(&away), DAY_MS, "or the clock was set");
        assert_eq!(proven(&after(&away, days(12) + DAY_MS, 500 + DAY_MS, "b")), 2 * DAY_MS);
        assert_eq!(proven(&after(&first, -DAY_MS, 500, "b")), -DAY_MS, "set back: nothing is deleted for that");
        assert_eq!(proven(&after(&first, days(12), days(12), "")), DAY_MS, "a boot without an id is another one");
    }

    #[test]
    fn a_first_look_goes_by_the_newest_row() {
        let first =
            |newest: Option<i64>| proven(&ClockLook::at(moment(0, 500), "a", None, newest.map(|newest| T0 + newest)));
        assert_eq!(first(Some(-DAY_MS)), 0);
        assert_eq!(first(Some(-days(40))), -days(40));
        assert_eq!(first(Some(days(40))), 0, "the rows are from the future");
    }
}
