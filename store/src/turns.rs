//! Rows about the person's turns: prompts, continues, and what an agent said against one.

use rusqlite::{OptionalExtension as _, Transaction, params};
use stopgate_core::clock::UnixMillis;
use stopgate_core::gate::turn::DAY_MS;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;

use crate::gate::{Aside, GateRow};
use crate::{Store, StoreError};

/// A continue that was given, or in shadow would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// When.
    pub at_ms: UnixMillis,
    /// Hash of the facts it rests on.
    pub fingerprint: String,
}

/// What is recorded of a session's turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnRecord {
    /// The person's last prompt.
    pub prompt_at_ms: Option<UnixMillis>,
    /// Continues of the last day in one mode, newest first.
    pub continues: Vec<Continued>,
    /// The agent's word against the next continue.
    pub contest: Option<i64>,
}

/// Continues that are looked at: more than any ceiling allows.
const MAX_CONTINUES: u32 = 256;

impl Store {
    /// The turn of `key` as `mode` counts it.
    pub fn turn(&self, key: &SessionKey, mode: Mode, now_ms: UnixMillis) -> Result<TurnRecord, StoreError> {
        let session = params![key.harness.name(), key.session_id];
        let prompt_at_ms = self
            .connection
            .prepare_cached("SELECT at_ms FROM prompts WHERE harness = ?1 AND session_id = ?2")?
            .query_row(session, |row| row.get(0))
            .optional()?;
        let contest = self
            .connection
            .prepare_cached(
                "SELECT id FROM contests WHERE harness = ?1 AND session_id = ?2 AND used_at_ms IS NULL ORDER BY id LIMIT 1",
            )?
            .query_row(session, |row| row.get(0))
            .optional()?;
        let mut query = self.connection.prepare_cached(
            "SELECT at_ms, fingerprint FROM continues
             WHERE harness = ?1 AND session_id = ?2 AND mode = ?3 AND at_ms > ?4 ORDER BY at_ms DESC LIMIT ?5",
        )?;
        let since = now_ms.saturating_sub(DAY_MS);
        let rows = query
            .query_map(params![key.harness.name(), key.session_id, mode.name(), since, MAX_CONTINUES], |row| {
                Ok(Continued { at_ms: row.get(0)?, fingerprint: row.get(1)? })
            })?;
        Ok(TurnRecord { prompt_at_ms, continues: rows.collect::<Result<_, _>>()?, contest })
    }

    /// Writes down why an agent says that its stop is right; the next stop uses that up.
    pub fn record_contest(&self, key: &SessionKey, why: &str, now_ms: UnixMillis) -> Result<(), StoreError> {
        let blocked = self
            .connection
            .query_row(
                "SELECT event_id FROM gate_events WHERE harness = ?1 AND session_id = ?2 AND blocked = 1
                 ORDER BY at_ms DESC LIMIT 1",
                params![key.harness.name(), key.session_id],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        self.connection.execute(
            "INSERT INTO contests (harness, session_id, at_ms, event_id, why) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![key.harness.name(), key.session_id, now_ms, blocked, why],
        )?;
        Ok(())
    }
}

/// Counts what a verdict means for the turn.
pub(crate) fn count(
    transaction: &Transaction<'_>,
    row: &GateRow,
    aside: &Aside,
    now_ms: UnixMillis,
) -> Result<(), StoreError> {
    if let Some(fingerprint) = &aside.continues {
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO continues (event_id, harness, session_id, mode, at_ms, fingerprint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![row.event_id, row.harness.name(), row.session_id, row.mode.name(), now_ms, fingerprint])?;
    }
    if let Some(contest) = aside.contest {
        transaction
            .prepare_cached("UPDATE contests SET used_at_ms = ?2 WHERE id = ?1 AND used_at_ms IS NULL")?
            .execute(params![contest, now_ms])?;
    }
    Ok(())
}

/// Notes that the person has prompted.
pub(crate) fn prompted(transaction: &Transaction<'_>, key: &SessionKey, at_ms: UnixMillis) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO prompts (harness, session_id, at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)",
        )?
        .execute(params![key.harness.name(), key.session_id, at_ms])?;
    Ok(())
}
