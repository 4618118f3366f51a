//! Rows about judges that fail: state that outlives a restart, so that no restart asks a broken judge again.
//!
//! One row a route with a failure since its last valid answer. `route` is a hash of kind, endpoint or command, and
//! model, never of a credential; `label` is the same for people. Times are integer milliseconds UTC, and 0 means never.
//! The script says none of this: the recorder carries it too, and is to stay small.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params};
use stopgate_core::clock::{UnixMillis, days};
use stopgate_gate::breaker::Breaker;
use stopgate_protocol::BreakerState;

use crate::{Store, StoreError};

/// How long a transition waits for others who write: stops wait behind it, and memory can stand in.
const LOCK_PATIENCE: Duration = Duration::from_millis(10);
/// A breaker that has not changed for so long is forgotten: 30 days, as verdicts are by default.
const KEPT_MS: UnixMillis = days(30);

/// One breaker with what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BreakerRow {
    /// Hash of the route.
    pub route: String,
    /// The route for people.
    pub label: String,
    /// Kind of the last failure.
    pub last_failure: String,
    /// Its state.
    pub breaker: Breaker,
}

impl BreakerRow {
    /// How it stands at `now_ms`, for people and scripts.
    pub fn state(self, now_ms: UnixMillis) -> BreakerState {
        let Self { route, label, last_failure, breaker } = self;
        BreakerState {
            state: breaker.standing(now_ms),
            route,
            label,
            last_failure,
            consecutive_failures: breaker.consecutive_failures,
            open_until_ms: breaker.open_until_ms,
            probe_lease_until_ms: breaker.probe_lease_until_ms,
            first_opened_at_ms: breaker.first_opened_at_ms,
            suppressed_count: breaker.suppressed,
            updated_at_ms: breaker.updated_at_ms,
        }
    }
}

impl Store {
    /// Changes the breaker of `row.route`; `change` gets the stored state, or that of a closed one. What it makes of
    /// that is written in one transaction with the reading; a state that stays the same is not written, so asking a
    /// judge that works costs one read. `row` gives the label, and the last failure unless that is empty.
    pub fn change_breaker<T>(
        &mut self,
        row: &BreakerRow,
        now_ms: UnixMillis,
        change: impl Fn(&mut Breaker) -> T,
    ) -> Result<(T, Breaker), StoreError> {
        self.set_patience(LOCK_PATIENCE)?;
        let before = stored(&self.connection, &row.route)?;
        let mut after = before.clone();
        let done = change(&mut after);
        if after == before {
            return Ok((done, after));
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut breaker = stored(&transaction, &row.route)?;
        let done = change(&mut breaker);
        if breaker.is_blank() {
            transaction.prepare_cached("DELETE FROM judge_breakers WHERE route = ?1")?.execute([&row.route])?;
        } else {
            transaction.prepare_cached(UPSERT)?.execute(named_params! {
                ":route": row.route,
                ":label": row.label,
                ":failures": to_sql(breaker.consecutive_failures),
                ":open_until": breaker.open_until_ms,
                ":lease_until": breaker.probe_lease_until_ms,
                ":token": breaker.probe_token,
                ":first_opened": breaker.first_opened_at_ms,
                ":suppressed": to_sql(breaker.suppressed),
                ":last_failure": row.last_failure,
                ":updated": breaker.updated_at_ms,
            })?;
        }
        transaction
            .prepare_cached("DELETE FROM judge_breakers WHERE updated_at_ms < ?1")?
            .execute([now_ms.saturating_sub(KEPT_MS)])?;
        transaction.commit()?;
        Ok((done, breaker))
    }

    /// All breakers that count a failure, the last changed first.
    pub fn breakers(&self) -> Result<Vec<BreakerRow>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT * FROM judge_breakers ORDER BY updated_at_ms DESC")?;
        let rows = query.query_map([], read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Closes every breaker. Returns how many there were.
    pub fn reset_breakers(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM judge_breakers", [])?)
    }
}

const UPSERT: &str = "
    INSERT INTO judge_breakers (route, label, consecutive_failures, open_until_ms, probe_lease_until_ms, probe_token,
                                first_opened_at_ms, suppressed_count, last_failure, updated_at_ms)
    VALUES (:route, :label, :failures, :open_until, :lease_until, :token, :first_opened, :suppressed, :last_failure,
            :updated)
    ON CONFLICT (route) DO UPDATE SET
        label = excluded.label, consecutive_failures = excluded.consecutive_failures,
        open_until_ms = excluded.open_until_ms, probe_lease_until_ms = excluded.probe_lease_until_ms,
        probe_token = excluded.probe_token, first_opened_at_ms = excluded.first_opened_at_ms,
        suppressed_count = excluded.suppressed_count, updated_at_ms = excluded.updated_at_ms,
        last_failure = CASE excluded.last_failure WHEN '' THEN last_failure ELSE excluded.last_failure END";

fn stored(connection: &Connection, route: &str) -> Result<Breaker, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM judge_breakers WHERE route = ?1")?;
    Ok(query.query_row([route], read_row).optional()?.map(|row| row.breaker).unwrap_or_default())
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<BreakerRow> {
    let count = |column: &str| row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(BreakerRow {
        route: row.get("route")?,
        label: row.get("label")?,
        last_failure: row.get("last_failure")?,
        breaker: Breaker {
            consecutive_failures: count("consecutive_failures")?,
            open_until_ms: row.get("open_until_ms")?,
            probe_lease_until_ms: row.get("probe_lease_until_ms")?,
            probe_token: row.get("probe_token")?,
            first_opened_at_ms: row.get("first_opened_at_ms")?,
            suppressed: count("suppressed_count")?,
            updated_at_ms: row.get("updated_at_ms")?,
        },
    })
}

fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use stopgate_core::paths::Home;
    use stopgate_gate::breaker::{Admission, BreakerLimits, Settlement};

    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits { failures: 3, cooldown_ms: 300_000, lease_ms: 20_500 };
    const T0: UnixMillis = 1_700_000_000_000;
    const PATIENCE: Duration = Duration::from_secs(10);

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        (dir, home)
    }

    fn row(route: &str) -> BreakerRow {
        BreakerRow {
            route: route.into(),
            label: format!("label of {route}"),
            last_failure: "timeout".into(),
            breaker: Breaker::default(),
        }
    }

    fn fail(store: &mut Store, route: &str, now: UnixMillis) -> Settlement {
        store.change_breaker(&row(route), now, |breaker| breaker.settle(now, LIMITS, None, false)).unwrap().0
    }

    fn admit(store: &mut Store, route: &str, now: UnixMillis, token: &str) -> Admission {
        store.change_breaker(&row(route), now, |breaker| breaker.admit(now, LIMITS, token)).unwrap().0
    }

    #[test]
    fn a_restart_changes_nothing_and_routes_do_not_share() {
        let (_dir, home) = home();
        for number in 0..3 {
            let mut store = Store::open(&home, PATIENCE).unwrap();
            let settled = fail(&mut store, "a", T0 + number);
            assert_eq!(settled == Settlement::Opened, number == 2, "{number}");
        }
        for number in 0..5 {
            let mut store = Store::open(&home, PATIENCE).unwrap();
            assert_eq!(admit(&mut store, "a", T0 + 10, "t"), Admission::LeaveAlone, "{number}");
            assert_eq!(admit(&mut store, "b", T0 + 10, "t"), Admission::Ask);
        }
        let store = Store::open(&home, PATIENCE).unwrap();
        let rows = store.breakers().unwrap();
        assert_eq!(rows.len(), 1, "who works leaves no row");
        assert_eq!((rows[0].label.as_str(), rows[0].last_failure.as_str()), ("label of a", "timeout"));
        assert_eq!((rows[0].breaker.consecutive_failures, rows[0].breaker.suppressed), (3, 5));
        assert_eq!(store.reset_breakers().unwrap(), 1);
        assert_eq!(store.breakers().unwrap(), []);
    }

    #[test]
    fn two_stores_give_one_probe_and_the_other_s_token_settles_nothing() {
        let (_dir, home) = home();
        let mut store = Store::open(&home, PATIENCE).unwrap();
        for number in 0..3 {
            fail(&mut store, "a", T0 + number);
        }
        let over = T0 + 2 + LIMITS.cooldown_ms;
        let gate = Arc::new(Barrier::new(2));
        let admitted: Vec<Option<Admission>> = std::thread::scope(|scope| {
            let one = |token: &'static str| {
                let (gate, home) = (Arc::clone(&gate), home.clone());
                scope.spawn(move || {
                    let mut store = Store::open(&home, PATIENCE).unwrap();
                    gate.wait();
                    // Ten milliseconds may be too short for the loser: that is no probe either.
                    store.change_breaker(&row("a"), over, |it| it.admit(over, LIMITS, token)).ok().map(|done| done.0)
                })
            };
            ["one", "two"].map(one).into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(
            admitted.iter().filter(|admission| **admission == Some(Admission::Probe)).count(),
            1,
            "{admitted:?}"
        );
        let settle = |store: &mut Store, token: &str| {
            store.change_breaker(&row("a"), over, |it| it.settle(over + 1, LIMITS, Some(token), true)).unwrap().0
        };
        let (won, lost) = if admitted[0] == Some(Admission::Probe) { ("one", "two") } else { ("two", "one") };
        assert_eq!(settle(&mut store, lost), Settlement::Stale);
        assert_eq!(settle(&mut store, won), Settlement::Closed);
        assert_eq!(store.breakers().unwrap(), []);
    }

    #[test]
    fn a_locked_store_is_an_error_and_old_rows_go() {
        let (_dir, home) = home();
        let mut store = Store::open(&home, PATIENCE).unwrap();
        fail(&mut store, "old", T0);
        let holder = Connection::open(home.database()).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(store.change_breaker(&row("a"), T0, |it| it.settle(T0, LIMITS, None, false)).is_err());
        assert_eq!(admit(&mut store, "a", T0, "t"), Admission::Ask, "reading needs no lock");
        holder.execute_batch("ROLLBACK").unwrap();
        fail(&mut store, "new", T0 + KEPT_MS + 1);
        let routes: Vec<_> = store.breakers().unwrap().into_iter().map(|row| row.route).collect();
        assert_eq!(routes, ["new"]);
    }

    #[test]
    fn garbage_in_the_file_is_survived() {
        let (_dir, home) = home();
        let mut store = Store::open(&home, PATIENCE).unwrap();
        let insert = format!(
            "INSERT INTO judge_breakers VALUES ('a', 'l', 3, {max}, {max}, '{token}', -1, -9, '', {T0})",
            max = i64::MAX,
            token = "x".repeat(500)
        );
        store.connection.execute_batch(&insert).unwrap();
        assert_eq!(admit(&mut store, "a", T0 + 1, "t"), Admission::LeaveAlone);
        assert_eq!(admit(&mut store, "a", T0 + LIMITS.cooldown_ms, "t"), Admission::Probe);
    }
}
