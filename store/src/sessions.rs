//! Rows about sessions and their events.

use std::path::PathBuf;

use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};
use stopgate_core::clock::UnixMillis;
use stopgate_core::harness::{EventKind, StartSource};
use stopgate_core::process::ProcessIdentity;
use stopgate_core::protocol::{HookEvent, Origin, SessionRow};
use stopgate_core::session::SessionKey;

use crate::{Store, StoreError, turns};

/// What the gate needs to know about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// First start; unknown when only later events were seen.
    pub started_at_ms: Option<UnixMillis>,
    /// Commit that was checked out then.
    pub head_at_start: Option<String>,
}

const UPSERT: &str = "
    INSERT INTO sessions (harness, session_id, started_at_ms, source, last_event, last_event_at_ms, end_reason, cwd,
                          checkout, head_at_start, transcript_path, model, permission_mode, tmux, process_pid,
                          process_start_ticks, process_command, process_executable, boot_id, predecessor)
    VALUES (:harness, :session_id, :started, :source, :event, :at, :end_reason, :cwd, :checkout, :head, :transcript,
            :model, :permission_mode, :tmux, :pid, :ticks, :command, :executable, :boot, :predecessor)
    ON CONFLICT (harness, session_id) DO UPDATE SET
        -- The first start never moves. An event that arrives late, from the spool, may still be the first.
        source           = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.source ELSE source END,
        head_at_start    = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.head_at_start ELSE head_at_start END,
        started_at_ms    = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.started_at_ms ELSE started_at_ms END,
        end_reason       = CASE WHEN excluded.last_event_at_ms >= last_event_at_ms
                                THEN excluded.end_reason ELSE end_reason END,
        last_event       = CASE WHEN excluded.last_event_at_ms >= last_event_at_ms
                                THEN excluded.last_event ELSE last_event END,
        last_event_at_ms = max(last_event_at_ms, excluded.last_event_at_ms),
        cwd              = ifnull(excluded.cwd, cwd),
        checkout         = ifnull(excluded.checkout, checkout),
        transcript_path  = ifnull(excluded.transcript_path, transcript_path),
        model            = ifnull(excluded.model, model),
        permission_mode  = ifnull(excluded.permission_mode, permission_mode),
        tmux             = ifnull(excluded.tmux, tmux),
        process_pid         = ifnull(excluded.process_pid, process_pid),
        process_start_ticks = ifnull(excluded.process_start_ticks, process_start_ticks),
        process_command     = ifnull(excluded.process_command, process_command),
        process_executable  = ifnull(excluded.process_executable, process_executable),
        boot_id             = ifnull(excluded.boot_id, boot_id),
        predecessor         = ifnull(predecessor, excluded.predecessor)";

impl Store {
    /// Records what a hook reported. `false` if this event is recorded already.
    pub fn record_event(&mut self, reported: &HookEvent) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let key = &reported.event.key;
        let fresh = transaction.prepare_cached(
            "INSERT OR IGNORE INTO hook_events (event_id, harness, session_id, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            reported.event_id,
            key.harness.name(),
            key.session_id,
            reported.event.kind.name(),
            reported.at_ms
        ])? == 1;
        if fresh {
            touch_session(&transaction, reported)?;
            if matches!(reported.event.kind, EventKind::UserPromptSubmit { .. }) {
                turns::prompted(&transaction, key, reported.at_ms)?;
            }
        }
        transaction.commit()?;
        Ok(fresh)
    }

    /// What the gate needs to know about `key`; `None` if the session was never seen.
    pub fn session_facts(&self, key: &SessionKey) -> Result<Option<SessionFacts>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT started_at_ms, head_at_start FROM sessions WHERE harness = ?1 AND session_id = ?2",
        )?;
        let read = |row: &Row<'_>| Ok(SessionFacts { started_at_ms: row.get(0)?, head_at_start: row.get(1)? });
        Ok(query.query_row(params![key.harness.name(), key.session_id], read).optional()?)
    }

    /// Notes a hash of the uncommitted changes that a session found, unless one is noted already.
    pub fn set_dirty_at_start(&self, key: &SessionKey, fingerprint: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE sessions SET dirty_at_start = ?3 WHERE harness = ?1 AND session_id = ?2 AND dirty_at_start IS NULL",
            params![key.harness.name(), key.session_id, fingerprint],
        )?;
        Ok(())
    }

    /// Known sessions, the last active first.
    pub fn sessions(&self, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT harness, session_id, started_at_ms, source, end_reason, last_event, last_event_at_ms, cwd, checkout,
                    head_at_start, dirty_at_start, transcript_path, model, permission_mode, tmux, predecessor,
                    process_pid, process_start_ticks, process_command, process_executable, boot_id
             FROM sessions ORDER BY last_event_at_ms DESC, session_id LIMIT ?1",
        )?;
        let rows = query.query_map([limit], read_session)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Processes of this boot in which a session is known to have run.
    pub fn harness_processes(&self, boot_id: &str) -> Result<Vec<(u32, u64)>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT process_pid, process_start_ticks FROM sessions
             WHERE boot_id = ?1 AND process_pid IS NOT NULL AND process_start_ticks IS NOT NULL",
        )?;
        let rows = query.query_map([boot_id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Brings the session's row up to date with an event of it.
pub(crate) fn touch_session(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<(), StoreError> {
    let event = &reported.event;
    let Origin { harness_process, checkout, head, .. } = &reported.origin;
    let (started, source, head) = match &event.kind {
        EventKind::SessionStart { source } => (Some(reported.at_ms), Some(*source), head.as_deref()),
        _ => (None, None, None),
    };
    let end_reason = match &event.kind {
        EventKind::SessionEnd { reason } => Some(reason.as_deref().unwrap_or("unknown")),
        _ => None,
    };
    let process = harness_process.as_ref();
    transaction.prepare_cached(UPSERT)?.execute(named_params! {
        ":harness": event.key.harness.name(),
        ":session_id": event.key.session_id,
        ":started": started,
        ":source": source.map(StartSource::name),
        ":event": event.kind.name(),
        ":at": reported.at_ms,
        ":end_reason": end_reason,
        ":cwd": text(event.cwd.as_ref()),
        ":checkout": text(checkout.as_ref()),
        ":head": head,
        ":transcript": text(event.transcript_path.as_ref()),
        ":model": event.model,
        ":permission_mode": event.permission_mode,
        ":tmux": tmux(&reported.origin),
        ":pid": process.map(|process| process.pid),
        ":ticks": process.map(|process| process.start_ticks.cast_signed()),
        ":command": process.map(|process| &process.command),
        ":executable": process.and_then(|process| process.executable.as_ref()),
        ":boot": process.map(|process| &process.boot_id),
        ":predecessor": reported.origin.predecessor,
    })?;
    Ok(())
}

fn text(path: Option<&PathBuf>) -> Option<&str> {
    path.and_then(|path| path.to_str())
}

/// `socket pane`: pane ids are only unique within one tmux server.
fn tmux(origin: &Origin) -> Option<String> {
    let server = origin.tmux.as_deref()?.split(',').next()?;
    Some(format!("{server} {}", origin.tmux_pane.as_deref()?))
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let harness: String = row.get("harness")?;
    let last_event: String = row.get("last_event")?;
    let harness_process = match (row.get("process_pid")?, row.get::<_, Option<i64>>("process_start_ticks")?) {
        (Some(pid), Some(ticks)) => Some(ProcessIdentity {
            pid,
            start_ticks: ticks.cast_unsigned(),
            command: row.get::<_, Option<String>>("process_command")?.unwrap_or_default(),
            executable: row.get("process_executable")?,
            boot_id: row.get::<_, Option<String>>("boot_id")?.unwrap_or_default(),
        }),
        _ => None,
    };
    let path = |name: &str| row.get::<_, Option<String>>(name).map(|text| text.map(PathBuf::from));
    Ok(SessionRow {
        harness: harness.parse().map_err(|_| bad_text("harness"))?,
        session_id: row.get("session_id")?,
        started_at_ms: row.get("started_at_ms")?,
        source: row.get("source")?,
        state: state_after(&last_event).to_owned(),
        end_reason: row.get("end_reason")?,
        last_event_at_ms: row.get("last_event_at_ms")?,
        cwd: path("cwd")?,
        checkout: path("checkout")?,
        head_at_start: row.get("head_at_start")?,
        dirty_at_start: row.get("dirty_at_start")?,
        transcript_path: path("transcript_path")?,
        model: row.get("model")?,
        permission_mode: row.get("permission_mode")?,
        tmux: row.get("tmux")?,
        harness_process,
        predecessor: row.get("predecessor")?,
        last_event: Some(last_event),
    })
}

/// What the last event says about a session.
fn state_after(last_event: &str) -> &'static str {
    match last_event {
        "SessionStart" => "starting",
        "Stop" => "idle",
        "SessionEnd" => "ended",
        _ => "working",
    }
}

pub(crate) fn bad_text(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(column.to_owned())
}
