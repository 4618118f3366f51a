//! What the reaper remembers of sessions, and what it decided and did.

use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;
use stopgate_reaper::candidacy::CandidateMemory;
use stopgate_reaper::report::{AuditRow, ReaperAuditEvent, Trip};

use crate::rows::bad_text;
use crate::{Store, StoreError};

const AUDIT: &str = "INSERT INTO reaper_audit (at_ms, harness, session_id, event, kept_by, tier, detail)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

impl Store {
    /// What is remembered of every session. A memory that is not understood counts as none.
    pub fn reaper_memories(&self) -> Result<Vec<(SessionKey, CandidateMemory)>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT harness, session_id, memory FROM reaper_candidates")?;
        let rows = query.query_map([], |row| {
            let memory: String = row.get(2)?;
            Ok((key(row, 0)?, serde_json::from_str(&memory).unwrap_or_default()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes one look down: what is remembered of every session that lives (all others are forgotten), and what
    /// changed. All or nothing.
    pub fn record_look(
        &mut self,
        now_ms: UnixMillis,
        memories: &[(SessionKey, CandidateMemory)],
        audit: &[AuditRow],
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut write = transaction.prepare_cached(
                "INSERT INTO reaper_candidates (harness, session_id, seen_at_ms, memory) VALUES (?1, ?2, ?3, ?4)",
            )?;
            transaction.execute("DELETE FROM reaper_candidates", [])?;
            for (key, memory) in memories {
                let memory = serde_json::to_string(memory).map_err(|error| StoreError::Io(error.into()))?;
                write.execute(params![key.harness.name(), key.session_id, now_ms, memory])?;
            }
            for row in audit {
                audit_into(&transaction, row)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Writes one line of the audit.
    pub fn record_reaper_event(&self, row: &AuditRow) -> Result<(), StoreError> {
        Ok(audit_into(&self.connection, row)?)
    }

    /// Writes one line of the audit, unless its session has ended or done something since `last_event_at_ms`: `false`
    /// then.
    pub fn record_reaper_event_if_still(
        &mut self,
        row: &AuditRow,
        last_event_at_ms: Option<UnixMillis>,
    ) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_still = transaction
            .prepare_cached(
                "SELECT 1 FROM sessions
                 WHERE harness = ?1 AND session_id = ?2 AND last_event_at_ms IS ?3 AND ended_at_ms IS NULL",
            )?
            .exists(params![row.harness.name(), row.session_id, last_event_at_ms])?;
        if is_still {
            audit_into(&transaction, row)?;
        }
        transaction.commit()?;
        Ok(is_still)
    }

    /// The last `limit` lines of the audit, newest last. Lines that are not understood are left out.
    pub fn reaper_audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT harness, session_id, at_ms, event, kept_by, tier, detail FROM reaper_audit ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = query.query_map([limit], read_audit)?;
        let mut rows: Vec<AuditRow> = rows.filter_map(Result::ok).collect();
        rows.reverse();
        Ok(rows)
    }

    /// How many sessions the reaper has ended since `since_ms`.
    pub fn reaped_since(&self, since_ms: UnixMillis) -> Result<u32, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT count(*) FROM reaper_audit WHERE event = 'reaped' AND at_ms > ?1")?;
        Ok(query.query_row([since_ms], |row| row.get(0))?)
    }

    /// Why the reaper has turned itself to a rehearsal, if it has.
    pub fn reaper_trip(&self) -> Result<Option<Trip>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT at_ms, detail FROM reaper_trips")?;
        Ok(query.query_row([], |row| Ok(Trip { at_ms: row.get(0)?, detail: row.get(1)? })).optional()?)
    }

    /// Notes why the reaper turns itself to a rehearsal, or that the operator has turned it on again.
    pub fn set_reaper_trip(&self, trip: Option<&Trip>) -> Result<(), StoreError> {
        match trip {
            Some(Trip { at_ms, detail }) => self.connection.execute(
                "INSERT INTO reaper_trips (id, at_ms, detail) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
                params![at_ms, detail],
            )?,
            None => self.connection.execute("DELETE FROM reaper_trips", [])?,
        };
        Ok(())
    }

    /// Notes that a session was ended from outside, and why.
    pub fn mark_ended(&self, key: &SessionKey, at_ms: UnixMillis, reason: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE sessions SET ended_at_ms = ifnull(ended_at_ms, ?3), end_reason = ?4
             WHERE harness = ?1 AND session_id = ?2",
            params![key.harness.name(), key.session_id, at_ms, reason],
        )?;
        Ok(())
    }

    /// Forgets audit lines from before `until_ms`; how many.
    pub fn prune_reaper_audit(&self, until_ms: UnixMillis) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM reaper_audit WHERE at_ms < ?1", [until_ms])?)
    }
}

fn audit_into(connection: &rusqlite::Connection, row: &AuditRow) -> rusqlite::Result<()> {
    connection.prepare_cached(AUDIT)?.execute(params![
        row.at_ms,
        row.harness.name(),
        row.session_id,
        row.event.name(),
        row.kept_by,
        row.tier,
        row.detail.to_string(),
    ])?;
    Ok(())
}

fn key(row: &Row<'_>, first: usize) -> rusqlite::Result<SessionKey> {
    let harness: String = row.get(first)?;
    Ok(SessionKey { harness: harness.parse().map_err(|_| bad_text("harness"))?, session_id: row.get(first + 1)? })
}

fn read_audit(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let SessionKey { harness, session_id } = key(row, 0)?;
    let event: String = row.get("event")?;
    let event = ReaperAuditEvent::ALL.into_iter().find(|known| known.name() == event);
    let detail: String = row.get("detail")?;
    Ok(AuditRow {
        at_ms: row.get("at_ms")?,
        harness,
        session_id,
        event: event.ok_or_else(|| bad_text("event"))?,
        kept_by: row.get("kept_by")?,
        tier: row.get("tier")?,
        detail: serde_json::from_str(&detail).map_err(|_| bad_text("detail"))?,
    })
}
