//! Rows about sessions and their events.

use std::borrow::Cow;
use std::path::PathBuf;

use rusqlite::{OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params, params};
use stopgate_core::clock::{UnixMillis, is_step};
use stopgate_core::harness::{EventKind, StartSource, Stop};
use stopgate_core::process::host;
use stopgate_core::process::{Liveness, ProcessIdentity};
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::{Known, SessionState, Turn, state};
use stopgate_core::tmux::TmuxPlace;
use stopgate_protocol::SessionRow;

use crate::processes::{self, Standing};
use crate::rows::bad_text;
use crate::{Store, StoreError, hooks_lost, names};

const UPSERT: &str = "
    INSERT INTO sessions (harness, session_id, started_at_ms, source, last_event, last_event_at_ms, turn, turn_at_ms,
                          waits_for, pending_tasks, ended_at_ms, end_reason, cwd, start_cwd, checkout, head_at_start,
                          transcript_path, model, permission_mode, tmux_server, tmux_server_pid, tmux_pane,
                          process_pid, process_start_ticks, process_command, process_executable, boot_id,
                          pid_namespace, process_shared, host, predecessor, booted_at_start_ms, booted_at_last_ms)
    VALUES (:harness, :session_id, :started, :source, :event, :at, :turn, :turn_at, :waits_for, :pending_tasks,
            :ended, :end_reason, :cwd, :start_cwd, :checkout, :head, :transcript, :model, :permission_mode,
            :tmux_server, :tmux_server_pid, :tmux_pane, :pid, :ticks, :command, :executable, :boot,
            :namespace, :shared, :host, :predecessor, CASE WHEN :started IS NOT NULL THEN :booted END, :booted)
    ON CONFLICT (harness, session_id) DO UPDATE SET
        -- The first start never moves. An event that arrives late, from the spool, may still be the first.
        source           = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.source ELSE source END,
        head_at_start    = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.head_at_start ELSE head_at_start END,
        start_cwd        = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN ifnull(excluded.start_cwd, start_cwd) ELSE start_cwd END,
        booted_at_start_ms = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.booted_at_start_ms ELSE booted_at_start_ms END,
        started_at_ms    = CASE WHEN excluded.started_at_ms < ifnull(started_at_ms, 9e18)
                                THEN excluded.started_at_ms ELSE started_at_ms END,
        waits_for        = CASE WHEN excluded.turn IS NOT NULL AND excluded.turn_at_ms >= ifnull(turn_at_ms, 0)
                                THEN excluded.waits_for ELSE waits_for END,
        pending_tasks    = CASE WHEN excluded.turn IS NOT NULL AND excluded.turn_at_ms >= ifnull(turn_at_ms, 0)
                                THEN excluded.pending_tasks ELSE pending_tasks END,
        turn             = CASE WHEN excluded.turn IS NOT NULL AND excluded.turn_at_ms >= ifnull(turn_at_ms, 0)
                                THEN excluded.turn ELSE turn END,
        turn_at_ms       = max(ifnull(turn_at_ms, excluded.turn_at_ms), ifnull(excluded.turn_at_ms, turn_at_ms)),
        -- An end counts unless something later was seen, and until the session is taken up again.
        end_reason       = CASE WHEN excluded.last_event_at_ms < last_event_at_ms THEN end_reason
                                WHEN :revives THEN NULL
                                ELSE ifnull(end_reason, excluded.end_reason) END,
        ended_at_ms      = CASE WHEN excluded.last_event_at_ms < last_event_at_ms THEN ended_at_ms
                                WHEN :revives THEN NULL
                                ELSE ifnull(ended_at_ms, excluded.ended_at_ms) END,
        last_event       = CASE WHEN excluded.last_event_at_ms >= last_event_at_ms
                                THEN excluded.last_event ELSE last_event END,
        last_event_at_ms = max(last_event_at_ms, excluded.last_event_at_ms),
        cwd              = ifnull(excluded.cwd, cwd),
        checkout         = ifnull(excluded.checkout, checkout),
        transcript_path  = ifnull(excluded.transcript_path, transcript_path),
        model            = ifnull(excluded.model, model),
        permission_mode  = ifnull(excluded.permission_mode, permission_mode),
        -- A place is taken whole: half of one and half of another names a stranger's pane.
        tmux_session     = CASE WHEN :placed AND (excluded.tmux_server, excluded.tmux_pane)
                                IS NOT (tmux_server, tmux_pane) THEN NULL ELSE tmux_session END,
        tmux_server      = CASE WHEN :placed THEN excluded.tmux_server ELSE tmux_server END,
        tmux_server_pid  = CASE WHEN :placed THEN excluded.tmux_server_pid ELSE tmux_server_pid END,
        tmux_pane        = CASE WHEN :placed THEN excluded.tmux_pane ELSE tmux_pane END,
        process_pid         = CASE WHEN :identified THEN excluded.process_pid ELSE process_pid END,
        process_start_ticks = CASE WHEN :identified THEN excluded.process_start_ticks ELSE process_start_ticks END,
        process_command     = CASE WHEN :identified THEN excluded.process_command ELSE process_command END,
        process_executable  = CASE WHEN :identified THEN excluded.process_executable ELSE process_executable END,
        boot_id             = CASE WHEN :identified THEN excluded.boot_id ELSE boot_id END,
        pid_namespace       = CASE WHEN :identified THEN excluded.pid_namespace ELSE pid_namespace END,
        process_shared      = CASE WHEN :identified THEN excluded.process_shared ELSE process_shared END,
        host                = CASE WHEN :identified THEN excluded.host ELSE host END,
        predecessor         = ifnull(predecessor, excluded.predecessor),
        booted_at_last_ms   = ifnull(excluded.booted_at_last_ms, booted_at_last_ms)";

/// Retires the session that another one continues, if both lived in the same process.
const RETIRE: &str = "
    UPDATE sessions SET successor   = :session_id,
                        ended_at_ms = ifnull(ended_at_ms, :at),
                        end_reason  = ifnull(end_reason, 'clear')
    WHERE harness = :harness AND session_id = :predecessor
      AND process_pid = :pid AND process_start_ticks = :ticks AND boot_id = :boot AND pid_namespace IS :namespace";

const COLUMNS: &str = "
    harness, session_id, started_at_ms, source, turn, turn_at_ms, waits_for, pending_tasks, ended_at_ms, end_reason,
    last_event, last_event_at_ms, cwd, start_cwd, checkout, head_at_start, dirty_at_start, transcript_path, model,
    permission_mode, tmux_server, tmux_server_pid, tmux_session, tmux_pane, process_pid, process_start_ticks,
    process_command, process_executable, boot_id, pid_namespace, process_shared, host, predecessor, successor,
    booted_at_last_ms, clock_set,
    (SELECT name FROM session_names AS named
     WHERE named.harness = sessions.harness AND named.session_id = sessions.session_id) AS name,
    (SELECT max(at_ms) FROM gate_events AS held
     WHERE held.harness = sessions.harness AND held.session_id = sessions.session_id AND held.blocked = 1) AS held_at_ms,
    (SELECT json_group_object(event, at_ms) FROM session_events AS seen
     WHERE seen.harness = sessions.harness AND seen.session_id = sessions.session_id) AS last_events,
    (SELECT json_set(lost, '$.at_ms', at_ms) FROM hooks_lost AS loss
     WHERE loss.harness = sessions.harness AND loss.session_id = sessions.session_id AND loss.back_at_ms IS NULL
     ORDER BY at_ms DESC LIMIT 1) AS hooks_lost,
    (SELECT json_set(asked, '$.at_ms', max(at_ms), '$.said', said) FROM asked AS last
     WHERE last.harness = sessions.harness AND last.session_id = sessions.session_id) AS asked";

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
            if let EventKind::UserPromptSubmit { .. } = reported.event.kind {
                // Whoever hears what is asked now writes it down; nobody does while the authority is away.
                transaction
                    .prepare_cached("DELETE FROM asked WHERE harness = ?1 AND session_id = ?2 AND source = 'heard'")?
                    .execute(params![key.harness.name(), key.session_id])?;
            }
            touch_session(&transaction, reported)?;
        }
        transaction.commit()?;
        Ok(fresh)
    }

    /// Notes a hash of the uncommitted changes that a session found, unless one is noted already.
    pub fn set_dirty_at_start(&self, key: &SessionKey, fingerprint: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE sessions SET dirty_at_start = ?3 WHERE harness = ?1 AND session_id = ?2 AND dirty_at_start IS NULL",
            params![key.harness.name(), key.session_id, fingerprint],
        )?;
        Ok(())
    }

    /// Notes the commit that was checked out when a session began, unless one is known already.
    pub fn set_head_at_start(&self, key: &SessionKey, head: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE sessions SET head_at_start = ?3 WHERE harness = ?1 AND session_id = ?2 AND head_at_start IS NULL",
            params![key.harness.name(), key.session_id, head],
        )?;
        Ok(())
    }

    /// Known sessions, the last active first. States are as events tell them: whoever shows them looks at the
    /// processes too.
    pub fn sessions(&self, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        self.rows("ORDER BY last_event_at_ms DESC, session_id LIMIT ?1", [limit])
    }

    /// Sessions that have not said that they ended, the last active first.
    pub fn sessions_not_ended(&self, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        self.rows("WHERE ended_at_ms IS NULL ORDER BY last_event_at_ms DESC LIMIT ?1", [limit])
    }

    /// Sessions whose id is `id` or begins with it, and those that have it for a name, the last active first.
    pub fn sessions_named(&self, id: &str, limit: u32) -> Result<Vec<SessionRow>, StoreError> {
        self.rows(
            // Ids are printable ASCII.
            "WHERE session_id >= ?1 AND session_id < ?1 || char(127)
                OR (harness, session_id) IN (SELECT harness, session_id FROM session_names WHERE name = ?1)
             ORDER BY session_id <> ?1, last_event_at_ms DESC LIMIT ?2",
            params![id, limit],
        )
    }

    fn rows(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<SessionRow>, StoreError> {
        let mut query = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions {which}"))?;
        let rows = query.query_map(values, read_session)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes the name of the tmux session that `place` is in.
    pub fn set_tmux_session(&self, key: &SessionKey, place: &TmuxPlace) -> Result<(), StoreError> {
        self.connection.execute(
            "UPDATE sessions SET tmux_session = ?5
             WHERE harness = ?1 AND session_id = ?2 AND tmux_server = ?3 AND tmux_pane = ?4",
            params![key.harness.name(), key.session_id, place.server, place.pane, place.session],
        )?;
        Ok(())
    }

    /// Processes of this boot and PID namespace in which a session is known to have run, with their start times. Those of
    /// which no namespace is known, because an older version has recorded them, are among them.
    pub fn harness_processes(&self, boot_id: &str, namespace: Option<u64>) -> Result<Vec<(u32, u64)>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT process_pid, process_start_ticks FROM sessions
             WHERE boot_id = ?1 AND ifnull(pid_namespace, ?2) IS ?2
               AND process_pid IS NOT NULL AND process_start_ticks IS NOT NULL",
        )?;
        let rows = query.query_map(params![boot_id, namespace.map(u64::cast_signed)], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The processes in which a session that has not ended is known to run.
    pub fn processes_of(&self, key: &SessionKey) -> Result<Vec<ProcessIdentity>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT process_pid, process_start_ticks, process_command, process_executable, boot_id, pid_namespace
             FROM sessions WHERE harness = ?1 AND session_id = ?2 AND ended_at_ms IS NULL
               AND process_pid IS NOT NULL AND process_start_ticks IS NOT NULL
             UNION ALL
             SELECT process_pid, process_start_ticks, process_command, process_executable, boot_id, pid_namespace
             FROM session_processes WHERE harness = ?1 AND session_id = ?2
               AND process_pid IS NOT NULL AND process_start_ticks IS NOT NULL",
        )?;
        let rows = query.query_map(params![key.harness.name(), key.session_id], processes::identity)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a session of this boot that has not ended has its process in another PID namespace than `namespace`, or in
    /// one that is not known.
    pub fn has_sessions_outside(&self, boot_id: &str, namespace: Option<u64>) -> Result<bool, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE boot_id = ?1 AND ended_at_ms IS NULL
                            AND process_pid IS NOT NULL AND pid_namespace IS NOT ?2)",
        )?;
        Ok(query.query_row(params![boot_id, namespace.map(u64::cast_signed)], |row| row.get(0))?)
    }
}

/// Brings the session's row up to date with an event of it.
pub(crate) fn touch_session(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<(), StoreError> {
    let reported = &*in_order(transaction, reported)?;
    let standing = processes::standing(transaction, reported)?;
    let event = &reported.event;
    if standing == Standing::Foreign {
        transaction
            .prepare_cached(
                "UPDATE sessions SET last_event_at_ms = max(ifnull(last_event_at_ms, 0), ?3)
                 WHERE harness = ?1 AND session_id = ?2",
            )?
            .execute(params![event.key.harness.name(), event.key.session_id, reported.at_ms])?;
        return note_event(transaction, reported);
    }
    let origin = &reported.origin;
    let (started, source) = match &event.kind {
        EventKind::SessionStart { source } => (Some(reported.at_ms), Some(*source)),
        _ => (None, None),
    };
    let (ended, end_reason) = match &event.kind {
        EventKind::SessionEnd { .. } if standing == Standing::LivesOn => (None, None),
        EventKind::SessionEnd { reason } => (Some(reported.at_ms), Some(reason.as_deref().unwrap_or("unknown"))),
        _ => (None, None),
    };
    let turn = Turn::of(&event.kind);
    let (waits_for, pending_tasks) = waits_for(&event.kind);
    // The process that ends is the session's no more if that lives on in another one.
    let process = origin.harness_process.as_ref().filter(|_| standing == Standing::Own);
    let ticks = process.map(|process| process.start_ticks.cast_signed());
    let namespace = process.and_then(|process| process.pid_namespace).map(u64::cast_signed);
    let place = origin.tmux.as_deref().zip(origin.tmux_pane.as_deref());
    let place = place.and_then(|(tmux, pane)| TmuxPlace::parse(tmux, pane));
    let place = place.as_ref().filter(|_| standing == Standing::Own);
    transaction.prepare_cached(UPSERT)?.execute(named_params! {
        ":harness": event.key.harness.name(),
        ":session_id": event.key.session_id,
        ":started": started,
        ":source": source.map(StartSource::name),
        ":event": event.kind.name(),
        ":at": reported.at_ms,
        ":turn": turn.map(Turn::name),
        ":turn_at": turn.map(|_| reported.at_ms),
        ":waits_for": waits_for,
        ":pending_tasks": pending_tasks,
        ":ended": ended,
        ":end_reason": end_reason,
        ":revives": matches!(turn, Some(Turn::Started | Turn::Prompted | Turn::Asked)),
        ":cwd": text(event.cwd.as_ref()),
        ":start_cwd": text(event.cwd.as_ref().filter(|_| started.is_some())),
        ":checkout": text(origin.checkout.as_ref()),
        ":head": origin.head.as_deref().filter(|_| started.is_some()),
        ":transcript": text(event.transcript_path.as_ref()),
        ":model": event.model,
        ":permission_mode": event.permission_mode,
        ":placed": place.is_some(),
        ":tmux_server": place.map(|place| &place.server),
        ":tmux_server_pid": place.and_then(|place| place.server_pid),
        ":tmux_pane": place.map(|place| &place.pane),
        ":identified": process.is_some(),
        ":pid": process.map(|process| process.pid),
        ":ticks": ticks,
        ":command": process.map(|process| &process.command),
        ":executable": process.and_then(|process| process.executable.as_ref()),
        ":boot": process.map(|process| &process.boot_id),
        ":namespace": namespace,
        ":shared": process.is_some_and(|process| process.shared),
        ":host": process.map(|_| host()),
        ":predecessor": origin.predecessor,
        ":booted": reported.boot_ms.map(|boot_ms| reported.at_ms - boot_ms),
    })?;
    note_event(transaction, reported)?;
    if let (Some(StartSource::Clear), Some(predecessor), Some(process)) = (source, &origin.predecessor, process) {
        transaction.prepare_cached(RETIRE)?.execute(named_params! {
            ":harness": event.key.harness.name(),
            ":session_id": event.key.session_id,
            ":predecessor": predecessor,
            ":at": reported.at_ms,
            ":pid": process.pid,
            ":ticks": ticks,
            ":boot": process.boot_id,
            ":namespace": namespace,
        })?;
    }
    names::keep(transaction, reported)
}

/// `reported` with a time that stands in the order in which things came, should the time of day have been set since the
/// session's last event: the times of the session that are ahead of it are cut, and one that comes late gets the time that it
/// would have had by the clock of that last event.
fn in_order<'a>(transaction: &Transaction<'_>, reported: &'a HookEvent) -> Result<Cow<'a, HookEvent>, StoreError> {
    let Some(boot_ms) = reported.boot_ms else { return Ok(Cow::Borrowed(reported)) };
    let key = &reported.event.key;
    let last: Option<(UnixMillis, Option<UnixMillis>, Option<String>)> = transaction
        .prepare_cached(
            "SELECT last_event_at_ms, booted_at_last_ms, boot_id FROM sessions WHERE harness = ?1 AND session_id = ?2",
        )?
        .query_row(params![key.harness.name(), key.session_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((last_at, Some(last_booted), last_boot)) = last else { return Ok(Cow::Borrowed(reported)) };
    let boot = reported.origin.harness_process.as_ref().map(|process| &process.boot_id);
    let is_same_boot = boot.zip(last_boot.as_ref()).map(|(boot, last)| boot == last);
    let booted = reported.at_ms - boot_ms;
    // A boot after the last event orders what was before and after it.
    if !is_step(booted, last_booted) || (booted > last_at && is_same_boot != Some(true)) {
        return Ok(Cow::Borrowed(reported));
    }
    if boot_ms < last_at - last_booted && is_same_boot != Some(false) {
        return Ok(Cow::Owned(HookEvent { at_ms: last_booted + boot_ms, boot_ms: Some(boot_ms), ..reported.clone() }));
    }
    transaction
        .prepare_cached(
            "UPDATE sessions SET clock_set = 1, last_event_at_ms = min(last_event_at_ms, ?3),
                                 started_at_ms = min(started_at_ms, ?3), turn_at_ms = min(turn_at_ms, ?3),
                                 ended_at_ms = min(ended_at_ms, ?3)
             WHERE harness = ?1 AND session_id = ?2",
        )?
        .execute(params![key.harness.name(), key.session_id, reported.at_ms])?;
    transaction
        .prepare_cached(
            "UPDATE session_events SET at_ms = min(at_ms, ?3) WHERE harness = ?1 AND session_id = ?2 AND at_ms > ?3",
        )?
        .execute(params![key.harness.name(), key.session_id, reported.at_ms])?;
    Ok(Cow::Borrowed(reported))
}

/// Notes when the session last had such an event, and what its hooks say of themselves.
fn note_event(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<(), StoreError> {
    let event = &reported.event;
    transaction
        .prepare_cached(
            "INSERT INTO session_events (harness, session_id, event, at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)",
        )?
        .execute(params![event.key.harness.name(), event.key.session_id, event.kind.name(), reported.at_ms])?;
    hooks_lost::note(transaction, reported)
}

/// What a session waits for after an event, for people, and how many tasks run in its background.
fn waits_for(event: &EventKind) -> (Option<String>, u32) {
    match event {
        EventKind::Stop(Stop { pending_tasks: 1, .. }) => (Some("1 background task".to_owned()), 1),
        EventKind::Stop(Stop { pending_tasks: tasks @ 2.., .. }) => {
            (Some(format!("{tasks} background tasks")), u32::try_from(*tasks).unwrap_or(u32::MAX))
        }
        EventKind::Stop(_) | EventKind::Interrupt | EventKind::SessionStart { .. } => (Some("a prompt".to_owned()), 0),
        EventKind::PermissionRequest { tool: Some(tool) } => (Some(format!("permission for {tool}")), 0),
        EventKind::PermissionRequest { tool: None } => (Some("a permission".to_owned()), 0),
        _ => (None, 0),
    }
}

fn text(path: Option<&PathBuf>) -> Option<&str> {
    path.and_then(|path| path.to_str())
}

fn read_session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let harness: String = row.get("harness")?;
    let harness = harness.parse().map_err(|_| bad_text("harness"))?;
    let session_id: String = row.get("session_id")?;
    let is_identified = (row.get::<_, Option<u32>>("process_pid")?, row.get::<_, Option<i64>>("process_start_ticks")?);
    let harness_process = match is_identified {
        (Some(_), Some(_)) => Some(ProcessIdentity { shared: row.get("process_shared")?, ..processes::identity(row)? }),
        _ => None,
    };
    let tmux = match (row.get("tmux_server")?, row.get("tmux_pane")?) {
        (Some(server), Some(pane)) => {
            Some(TmuxPlace { server, server_pid: row.get("tmux_server_pid")?, session: row.get("tmux_session")?, pane })
        }
        _ => None,
    };
    let path = |name: &str| row.get::<_, Option<String>>(name).map(|text| text.map(PathBuf::from));
    let turn: Option<String> = row.get("turn")?;
    let last_events: Option<String> = row.get("last_events")?;
    let hooks_lost: Option<String> = row.get("hooks_lost")?;
    let asked: Option<String> = row.get("asked")?;
    let mut session = SessionRow {
        name: row.get("name")?,
        state: SessionState::Starting,
        liveness: Liveness::Unknown,
        turn: turn.and_then(|word| Turn::ALL.into_iter().find(|turn| turn.name() == word)),
        turn_at_ms: row.get("turn_at_ms")?,
        waits_for: row.get("waits_for")?,
        pending_tasks: row.get("pending_tasks")?,
        held_at_ms: row.get("held_at_ms")?,
        started_at_ms: row.get("started_at_ms")?,
        source: row.get("source")?,
        ended_at_ms: row.get("ended_at_ms")?,
        end_reason: row.get("end_reason")?,
        last_event: row.get("last_event")?,
        last_event_at_ms: row.get("last_event_at_ms")?,
        last_events: last_events.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        cwd: path("cwd")?,
        start_cwd: path("start_cwd")?,
        checkout: path("checkout")?,
        head_at_start: row.get("head_at_start")?,
        dirty_at_start: row.get("dirty_at_start")?,
        transcript_path: path("transcript_path")?,
        model: row.get("model")?,
        permission_mode: row.get("permission_mode")?,
        tmux,
        harness_process,
        memory_bytes: None,
        host: row.get("host")?,
        hooks_silenced: None,
        hooks_lost: hooks_lost.and_then(|text| serde_json::from_str(&text).ok()),
        silent_since_ms: None,
        told: None,
        asked: asked.and_then(|text| serde_json::from_str(&text).ok()),
        leases: Vec::new(),
        fence: None,
        predecessor: row.get("predecessor")?,
        successor: row.get("successor")?,
        booted_at_ms: row.get("booted_at_last_ms")?,
        clock_set: row.get("clock_set")?,
        resume_command: String::new(),
        harness,
        session_id,
    };
    let known = Known {
        turn: session.turn.zip(session.turn_at_ms),
        ended_at_ms: session.ended_at_ms,
        held_at_ms: session.held_at_ms,
        ..Known::default()
    };
    session.state = state(&known, session.last_event_at_ms.unwrap_or(0));
    Ok(session)
}
