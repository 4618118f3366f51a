//! Numbered migrations, applied under the write lock, counted in `PRAGMA user_version`.

use std::fmt;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::StoreError;

/// The migrations in order; the first brings an empty file to version 1.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/db/0001_sessions_and_gate.sql"),
    include_str!("../../../migrations/db/0002_turns.sql"),
    include_str!("../../../migrations/db/0003_breaker.sql"),
    include_str!("../../../migrations/db/0004_grades.sql"),
    include_str!("../../../migrations/db/0005_registry_and_reaper.sql"),
    include_str!("../../../migrations/db/0006_hooks_lost.sql"),
    include_str!("../../../migrations/db/0007_process_namespaces.sql"),
    include_str!("../../../migrations/db/0008_session_processes.sql"),
    include_str!("../../../migrations/db/0009_words_in_snake_case.sql"),
    include_str!("../../../migrations/db/0010_who_acted.sql"),
    include_str!("../../../migrations/db/0011_clocks_and_large_stores.sql"),
    include_str!("../../../migrations/db/0012_what_was_asked.sql"),
    include_str!("../../../migrations/db/0013_fence.sql"),
    include_str!("../../../migrations/db/0014_leases.sql"),
    include_str!("../../../migrations/db/0015_session_names.sql"),
    include_str!("../../../migrations/db/0016_neighbours_told.sql"),
];

/// The version this program writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of files")]
pub const LATEST_VERSION: i64 = MIGRATIONS.len() as i64;

/// How far a store has been brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationStep {
    /// The version that it had.
    pub from: i64,
    /// The version that it is being brought to now.
    pub at: i64,
    /// The version that it will have.
    pub to: i64,
}

impl fmt::Display for MigrationStep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, at, to } = self;
        write!(out, "from version {from} to {to} (step {} of {})", at - from, to - from)
    }
}

/// What becomes of a file with an older schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Older {
    /// It gets the newest.
    Migrated,
    /// It is left alone.
    Refused,
}

/// Brings a connection into working order: WAL, synchronous NORMAL (a crash of the program loses nothing; a power
/// cut may lose the last moments, which is acceptable for a log), and the newest schema.
pub(crate) fn prepare(
    connection: &mut Connection,
    patience: Duration,
    older: Older,
    told: &dyn Fn(MigrationStep),
) -> Result<(), StoreError> {
    let deadline = Instant::now() + patience;
    // Pages that pruning frees go back to the file system. Only a file without a page can still be told so; on any
    // other this would take the write lock for nothing. Whoever locks even readers out is waited for once.
    let pages = connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0));
    match pages {
        Ok(0) => connection.pragma_update(None, "auto_vacuum", "incremental")?,
        Err(error) if is_busy(&error) && Instant::now() >= deadline => return Err(error.into()),
        _ => {}
    }
    // Two first starts at once: the switch to WAL reports "busy" without asking the busy handler.
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => break other?,
        }
    }
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    match (version(connection)?, older) {
        (LATEST_VERSION, _) => return Ok(()),
        (found @ 1..LATEST_VERSION, Older::Refused) => {
            return Err(StoreError::FromThePast { found, known: LATEST_VERSION });
        }
        _ => {}
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have migrated while we waited for the lock.
    let found = version(&transaction)?;
    if found > LATEST_VERSION {
        return Err(StoreError::FromTheFuture { found, known: LATEST_VERSION });
    }
    for (version, script) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        told(MigrationStep { from: found, at: version, to: LATEST_VERSION });
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "user_version", LATEST_VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Refuses a file of another version: what is there may mean something else.
pub(crate) fn expect_latest(connection: &Connection) -> Result<(), StoreError> {
    match version(connection)? {
        LATEST_VERSION => Ok(()),
        found if found < LATEST_VERSION => Err(StoreError::FromThePast { found, known: LATEST_VERSION }),
        found => Err(StoreError::FromTheFuture { found, known: LATEST_VERSION }),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
