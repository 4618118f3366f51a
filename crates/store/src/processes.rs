//! Which process of a session an event comes from. A session that is open in a terminal can be taken up in another process
//! at the same time (`claude -p --resume`), which reports a start and an end of the same id: the open one lives on.

use rusqlite::{OptionalExtension as _, Row, Transaction, named_params, params};
use stopgate_core::clock::{UnixMillis, hours};
use stopgate_core::harness::EventKind;
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, host, liveness};
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::Turn;
use stopgate_core::tmux::TmuxPlace;

use crate::StoreError;

/// Another process of which it is not known whether it lives, and of which nothing was heard for this long, does not keep a
/// session from being over.
const FORGOTTEN_MS: UnixMillis = hours(24);

/// The columns that both tables have.
const COLUMNS: &str =
    "process_pid, process_start_ticks, process_command, process_executable, boot_id, pid_namespace, host,
     tmux_server, tmux_server_pid, tmux_session, tmux_pane";

/// What an event says of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All that it says, and an end is the session's.
    Own,
    /// All but that it ends, because it lives on in another process.
    LivesOn,
    /// Only that something happens: the session's own process, which lives, is another one.
    Foreign,
}

/// Where `reported` stands to the process that its session is recorded with; other processes are noted, and forgotten.
pub(crate) fn standing(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<Standing, StoreError> {
    let key = &reported.event.key;
    let ends = matches!(reported.event.kind, EventKind::SessionEnd { .. });
    // Where it was open, another one takes its place: whatever was heard of it elsewhere does not keep it from that. A client
    // that forks reports a start of what it forks first (Claude Code 2.1.197).
    let is_cleared = matches!(&reported.event.kind, EventKind::SessionEnd { reason: Some(why) } if why == "clear");
    let origin = &reported.origin;
    let Some(process) = origin.harness_process.as_ref() else {
        // Whose end it is cannot be told: not that of a process that lives.
        let lives = ends && recorded(transaction, key)?.is_some_and(|(main, of)| seen(&main, &of) == Liveness::Alive);
        return Ok(if lives { Standing::LivesOn } else { Standing::Own });
    };
    if let Some((main, of)) = recorded(transaction, key)?.filter(|(main, _)| !main.is(process)) {
        let liveness = seen(&main, &of);
        forget(transaction, key, process)?;
        if liveness == Liveness::Alive {
            if !ends && !process.shared {
                note(transaction, reported, process)?;
            }
            return Ok(Standing::Foreign);
        }
        if liveness == Liveness::Unknown && !main.shared {
            let keep = format!(
                "INSERT INTO session_processes (harness, session_id, at_ms, {COLUMNS})
                 SELECT harness, session_id, ifnull(last_event_at_ms, 0), {COLUMNS} FROM sessions
                 WHERE harness = ?1 AND session_id = ?2"
            );
            transaction.prepare_cached(&keep)?.execute(params![key.harness.name(), key.session_id])?;
        }
    }
    if matches!(Turn::of(&reported.event.kind), Some(Turn::Started | Turn::Prompted)) && !process.shared {
        leave_others(transaction, key, process)?;
    }
    let lives_on = ends && !is_cleared && promote(transaction, reported)?;
    Ok(if lives_on { Standing::LivesOn } else { Standing::Own })
}

/// Makes the process that was heard of last, of those that may live, the session's; whether there is one.
fn promote(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<bool, StoreError> {
    let key = &reported.event.key;
    let others = others(transaction, key)?;
    let may_live = |(_, process, of, at_ms): &&(i64, ProcessIdentity, String, UnixMillis)| match seen(process, of) {
        Liveness::Alive => true,
        Liveness::Unknown => reported.at_ms - at_ms < FORGOTTEN_MS,
        Liveness::Gone => false,
    };
    let next = others.iter().filter(may_live).max_by_key(|(_, _, _, at_ms)| *at_ms).map(|(row, ..)| *row);
    if let Some(row) = next {
        let take = format!(
            "UPDATE sessions SET ({COLUMNS}, process_shared) =
                (SELECT {COLUMNS}, 0 FROM session_processes WHERE rowid = ?3)
             WHERE harness = ?1 AND session_id = ?2"
        );
        transaction.prepare_cached(&take)?.execute(params![key.harness.name(), key.session_id, row])?;
    }
    // Whatever else there was is gone, or will be noted anew.
    transaction
        .prepare_cached(
            "DELETE FROM session_processes WHERE harness = ?1 AND session_id = ?2 AND (?3 IS NULL OR rowid = ?3)",
        )?
        .execute(params![key.harness.name(), key.session_id, next])?;
    Ok(next.is_some())
}

/// Notes another process of the session.
fn note(transaction: &Transaction<'_>, reported: &HookEvent, process: &ProcessIdentity) -> Result<(), StoreError> {
    let origin = &reported.origin;
    let place = origin.tmux.as_deref().zip(origin.tmux_pane.as_deref());
    let place = place.and_then(|(tmux, pane)| TmuxPlace::parse(tmux, pane));
    let place = place.as_ref();
    let insert = format!(
        "INSERT INTO session_processes (harness, session_id, at_ms, {COLUMNS})
         VALUES (:harness, :session_id, :at, :pid, :ticks, :command, :executable, :boot, :namespace, :host,
                 :tmux_server, :tmux_server_pid, NULL, :tmux_pane)"
    );
    transaction.prepare_cached(&insert)?.execute(named_params! {
        ":harness": reported.event.key.harness.name(),
        ":session_id": reported.event.key.session_id,
        ":at": reported.at_ms,
        ":pid": process.pid,
        ":ticks": process.start_ticks.cast_signed(),
        ":command": process.command,
        ":executable": process.executable,
        ":boot": process.boot_id,
        ":namespace": process.pid_namespace.map(u64::cast_signed),
        ":host": host(),
        ":tmux_server": place.map(|place| &place.server),
        ":tmux_server_pid": place.and_then(|place| place.server_pid),
        ":tmux_pane": place.map(|place| &place.pane),
    })?;
    Ok(())
}

/// Takes `process` from the other ones of the session.
fn forget(transaction: &Transaction<'_>, key: &SessionKey, process: &ProcessIdentity) -> Result<(), StoreError> {
    for (row, ..) in others(transaction, key)?.iter().filter(|(_, other, ..)| other.is(process)) {
        transaction.prepare_cached("DELETE FROM session_processes WHERE rowid = ?1")?.execute([row])?;
    }
    Ok(())
}

/// `process` works for `key`: it was another process of other sessions, and is none any more.
fn leave_others(transaction: &Transaction<'_>, key: &SessionKey, process: &ProcessIdentity) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "DELETE FROM session_processes
             WHERE harness = ?1 AND session_id <> ?2 AND process_pid = ?3 AND process_start_ticks = ?4
               AND boot_id = ?5 AND pid_namespace IS ?6",
        )?
        .execute(params![
            key.harness.name(),
            key.session_id,
            process.pid,
            process.start_ticks.cast_signed(),
            process.boot_id,
            process.pid_namespace.map(u64::cast_signed)
        ])?;
    Ok(())
}

/// The other processes of a session: their row, who they are, on which machine, and when they were last heard of.
fn others(
    transaction: &Transaction<'_>,
    key: &SessionKey,
) -> Result<Vec<(i64, ProcessIdentity, String, UnixMillis)>, StoreError> {
    let query = format!("SELECT rowid, at_ms, {COLUMNS} FROM session_processes WHERE harness = ?1 AND session_id = ?2");
    let mut query = transaction.prepare_cached(&query)?;
    let rows = query.query_map(params![key.harness.name(), key.session_id], |row| {
        let of = row.get::<_, Option<String>>("host")?.unwrap_or_default();
        Ok((row.get("rowid")?, identity(row)?, of, row.get("at_ms")?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The process that the session is recorded with, and on which machine.
fn recorded(transaction: &Transaction<'_>, key: &SessionKey) -> Result<Option<(ProcessIdentity, String)>, StoreError> {
    let query = format!(
        "SELECT {COLUMNS}, process_shared FROM sessions
         WHERE harness = ?1 AND session_id = ?2 AND ended_at_ms IS NULL
           AND process_pid IS NOT NULL AND process_start_ticks IS NOT NULL"
    );
    let read = |row: &Row<'_>| {
        let process = ProcessIdentity { shared: row.get("process_shared")?, ..identity(row)? };
        Ok((process, row.get::<_, Option<String>>("host")?.unwrap_or_default()))
    };
    let key = params![key.harness.name(), key.session_id];
    Ok(transaction.prepare_cached(&query)?.query_row(key, read).optional()?)
}

/// Whether a session that has not ended is known to have its process, or to have lost it.
pub(crate) fn of_session(transaction: &Transaction<'_>, key: &SessionKey) -> Result<Liveness, StoreError> {
    // What many sessions share says nothing of one.
    let own = recorded(transaction, key)?.filter(|(process, _)| !process.shared);
    Ok(own.map_or(Liveness::Unknown, |(process, of)| seen(&process, &of)))
}

/// Reads a process off a row of either table, but for whether it is shared.
pub(crate) fn identity(row: &Row<'_>) -> rusqlite::Result<ProcessIdentity> {
    Ok(ProcessIdentity {
        pid: row.get("process_pid")?,
        start_ticks: row.get::<_, i64>("process_start_ticks")?.cast_unsigned(),
        command: row.get::<_, Option<String>>("process_command")?.unwrap_or_default(),
        executable: row.get("process_executable")?,
        boot_id: row.get::<_, Option<String>>("boot_id")?.unwrap_or_default(),
        pid_namespace: row.get::<_, Option<i64>>("pid_namespace")?.map(i64::cast_unsigned),
        shared: false,
    })
}

/// Whether a process lives that was recorded on the machine `of`; on another one that cannot be told.
fn seen(process: &ProcessIdentity, of: &str) -> Liveness {
    if of.is_empty() || of == host() { liveness(&ProcFs, process) } else { Liveness::Unknown }
}
