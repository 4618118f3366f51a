//! Leases as one would write them without a server: a table of who holds what, and whoever waits looks at it every 250 ms.
//! In the fastest form that is still honest: compiled, statements prepared once, a database of its own in WAL mode, and one
//! cheap read a look. It has no deadlock check, no taking up, no ends by time and no proof of who asks.
//!
//! `peer-leases DATABASE SESSION`; what it is told and says is as with `seat`, for one resource at a time.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// How often it looks: what the peers do that poll.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long it waits for another's transaction.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS leases (resource TEXT PRIMARY KEY, holder TEXT, token INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS waiters (place INTEGER PRIMARY KEY, resource TEXT NOT NULL, session TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS waiters_by_resource ON waiters (resource, place);
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(path), Some(session)) = (words.next(), words.next()) else {
        return Err("usage: peer-leases DATABASE SESSION".into());
    };
    let mut database = Connection::open(path)?;
    database.busy_timeout(BUSY)?;
    database.execute_batch(SCHEMA)?;
    for line in io::stdin().lock().lines() {
        let order: Value = serde_json::from_str(&line?)?;
        let resource = order["resource"].as_str().unwrap_or_default();
        let began = now();
        let is_done = match order["act"].as_str() {
            Some("acquire") => take(&mut database, resource, &session)?,
            Some("release") => release(&database, resource, &session)?,
            Some("wait") => wait(&mut database, resource, &session)?,
            _ => return Err("an act that is none".into()),
        };
        let status = if is_done { 200 } else { 409 };
        writeln!(io::stdout(), "{}", json!({"began_ns": began, "ended_ns": now(), "status": status}))?;
    }
    Ok(())
}

/// `CLOCK_MONOTONIC`, which is the same for all processes, in nanoseconds.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Takes what nobody holds and nobody waited for before.
fn take(database: &mut Connection, resource: &str, session: &str) -> rusqlite::Result<bool> {
    let change = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change
        .prepare_cached("INSERT OR IGNORE INTO leases (resource, holder, token) VALUES (?1, NULL, 0)")?
        .execute([resource])?;
    let taken = change
        .prepare_cached(
            "UPDATE leases SET holder = ?2, token = token + 1 WHERE resource = ?1 AND holder IS NULL AND NOT EXISTS (
                 SELECT 1 FROM waiters AS first WHERE first.resource = ?1 AND first.session <> ?2 AND first.place <
                     coalesce((SELECT min(place) FROM waiters WHERE resource = ?1 AND session = ?2), 9e18))",
        )?
        .execute([resource, session])?;
    if taken == 1 {
        change
            .prepare_cached("DELETE FROM waiters WHERE resource = ?1 AND session = ?2")?
            .execute([resource, session])?;
    }
    change.commit()?;
    Ok(taken == 1)
}

fn release(database: &Connection, resource: &str, session: &str) -> rusqlite::Result<bool> {
    let mut free = database.prepare_cached("UPDATE leases SET holder = NULL WHERE resource = ?1 AND holder = ?2")?;
    Ok(free.execute([resource, session])? == 1)
}

fn wait(database: &mut Connection, resource: &str, session: &str) -> rusqlite::Result<bool> {
    database
        .prepare_cached("INSERT INTO waiters (resource, session) VALUES (?1, ?2)")?
        .execute(params![resource, session])?;
    loop {
        let holder: Option<Option<String>> = database
            .prepare_cached("SELECT holder FROM leases WHERE resource = ?1")?
            .query_row([resource], |row| row.get(0))
            .optional()?;
        if holder.flatten().is_none() && take(database, resource, session)? {
            return Ok(true);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}
