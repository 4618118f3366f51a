//! Rows about stops and what became of them.

use std::path::PathBuf;

use rusqlite::{
    Connection, OptionalExtension as _, Row, ToSql, Transaction, TransactionBehavior, named_params, params,
};
use stopgate_core::clock::UnixMillis;
use stopgate_core::decision::Decision;
use stopgate_core::event_id::is_event_id;
use stopgate_core::protocol::{EvaluateRequest, HookEvent, Origin};
use stopgate_core::release::Release;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_gate::pipeline::Recording;
use stopgate_protocol::{GateLogRow, LogFilter, StopExplanation};

use crate::rows::{Aside, GateRow, bad_text};
use crate::sessions::touch_session;
use crate::{Store, StoreError, turns};

const UPSERT: &str = "
    INSERT INTO gate_events (event_id, harness, session_id, at_ms, mode, decision, rule, short_circuit, would_block,
                             blocked, noted, fail_open, detail, signals, evidence, latency_ms, cwd, checkout, preview,
                             inputs)
    VALUES (:event_id, :harness, :session_id, :at, :mode, :decision, :rule, :short_circuit, :would_block, :blocked,
            :noted, :fail_open, :detail, :signals, :evidence, :latency, :cwd, :checkout, :preview, :inputs)
    -- A stop that was accepted and is now judged; a judged one is never overwritten by a repeated delivery.
    ON CONFLICT (event_id) DO UPDATE SET
        decision = excluded.decision, rule = excluded.rule, short_circuit = excluded.short_circuit,
        would_block = excluded.would_block, blocked = excluded.blocked, fail_open = excluded.fail_open,
        detail = excluded.detail, signals = excluded.signals, evidence = excluded.evidence,
        latency_ms = excluded.latency_ms, preview = excluded.preview, noted = excluded.noted,
        checkout = excluded.checkout, inputs = excluded.inputs
    WHERE decision IS NULL AND fail_open = 'pending'";

/// What the session of a stop is called.
const NAME: &str = "
    (SELECT name FROM session_names AS named
     WHERE named.harness = gate_events.harness AND named.session_id = gate_events.session_id) AS session_name";

/// `fail_open` of a stop that was accepted and is not judged yet.
pub(crate) const PENDING: &str = "pending";
/// `fail_open` of a stop whose judging ended with the authority.
const INTERRUPTED: &str = "interrupted";

impl Store {
    /// Takes in a stop, before it is judged: from here on it is not lost. `false` if it was taken in before.
    pub fn accept_stop(&mut self, request: &EvaluateRequest) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = has_stop(&transaction, &request.event_id)?;
        if !known {
            let row = GateRow { fail_open: Some(PENDING.to_owned()), ..blank_row(request) };
            write_row(&transaction, &row, None)?;
        }
        transaction.commit()?;
        Ok(!known)
    }

    /// Writes the verdict on a stop and, for a continue, counts it, both or neither. `false` if the stop has a verdict
    /// already: a repeated delivery changes nothing.
    pub fn record_verdict(
        &mut self,
        request: &EvaluateRequest,
        row: &GateRow,
        aside: &Aside,
        now_ms: UnixMillis,
    ) -> Result<bool, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let written = write_row(&transaction, row, aside.inputs.as_deref())?;
        touch(&transaction, request)?;
        if written {
            turns::count(&transaction, row, aside, now_ms)?;
        }
        transaction.commit()?;
        Ok(written)
    }

    /// Whether a stop is in the log, judged or not.
    pub fn has_stop(&self, event_id: &str) -> Result<bool, StoreError> {
        has_stop(&self.connection, event_id)
    }

    /// Marks the stops that an earlier authority accepted and did not judge. Returns how many.
    pub fn close_interrupted(&self) -> Result<usize, StoreError> {
        Ok(self
            .connection
            // The word itself: by it the index of the few is found.
            .execute("UPDATE gate_events SET fail_open = ?1 WHERE fail_open = 'pending'", [INTERRUPTED])?)
    }

    /// The newest `tail` stops, newest first.
    pub fn gate_log(&self, tail: u32) -> Result<Vec<GateLogRow>, StoreError> {
        self.gate_log_of(&LogFilter { tail: Some(tail), ..LogFilter::default() })
    }

    /// The stops that `filter` wants, newest first.
    pub fn gate_log_of(&self, filter: &LogFilter) -> Result<Vec<GateLogRow>, StoreError> {
        let tail = filter.rows();
        let mut wanted = vec!["1"];
        let mut values: Vec<(&str, &dyn ToSql)> = vec![(":tail", &tail)];
        if let Some(session) = &filter.session {
            // Ids are printable ASCII, see `SessionKey`: what follows that comes after all that begin with the text.
            wanted.push(
                "(session_id >= :session AND session_id < :session || char(127)
                  OR (harness, session_id) IN (SELECT harness, session_id FROM session_names WHERE name = :session))",
            );
            values.push((":session", session));
        }
        let decision = filter.decision.map(|decided| decided.decision().map(Decision::name));
        if let Some(decision) = &decision {
            wanted.push("decision IS :decision");
            values.push((":decision", decision));
        }
        if let Some(event) = &filter.event {
            // Ids are hexadecimal digits and dashes: "g" comes after all that begin with the text.
            wanted.push("event_id >= :event AND event_id < :event || 'g'");
            values.push((":event", event));
        }
        if filter.ungraded {
            wanted.push(
                "would_block = 1 AND substr(session_id, 1, length(:staged)) <> :staged
                 AND NOT EXISTS (SELECT 1 FROM annotations WHERE annotations.event_id = gate_events.event_id)",
            );
            values.push((":staged", &LIVE_CHECK_PREFIX));
        }
        if filter.ungraded_let_go {
            // What was let go unread, such as a subagent's, has no text to look at.
            wanted.push(
                "would_block = 0 AND decision IS NOT NULL AND preview <> ''
                 AND substr(session_id, 1, length(:staged)) <> :staged
                 AND NOT EXISTS (SELECT 1 FROM annotations WHERE annotations.event_id = gate_events.event_id)",
            );
            if !filter.ungraded {
                values.push((":staged", &LIVE_CHECK_PREFIX));
            }
        }
        let wanted = wanted.join(" AND ");
        let query =
            format!("SELECT *, {NAME} FROM gate_events WHERE {wanted} ORDER BY at_ms DESC, event_id DESC LIMIT :tail");
        let mut query = self.connection.prepare_cached(&query)?;
        let rows = query.query_map(&*values, read_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the verdict on a stop was reached from, if that is kept and understood.
    pub fn recording(&self, event_id: &str) -> Result<Option<Recording>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT inputs FROM gate_events WHERE event_id = ?1")?;
        let inputs: Option<Option<String>> = query.query_row([event_id], |row| row.get(0)).optional()?;
        Ok(inputs.flatten().and_then(|inputs| serde_json::from_str(&inputs).ok()))
    }

    /// The stop whose event id begins with `prefix`, with what its verdict was reached from.
    pub fn explain(&self, prefix: &str) -> Result<StopExplanation, StoreError> {
        // Ids are hexadecimal digits and dashes: all that begin so stand before the prefix with a tilde.
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT *, {NAME} FROM gate_events WHERE event_id >= ?1 AND event_id < ?1 || '~' ORDER BY event_id LIMIT 100"
        ))?;
        let read = |row: &Row<'_>| Ok((read_row(row)?, row.get::<_, Option<String>>("inputs")?));
        let mut rows: Vec<_> = query.query_map([prefix], read)?.collect::<Result<_, _>>()?;
        let found = rows.len();
        let only = if found == 1 { rows.pop() } else { None };
        let (event, inputs) = only.map_or((None, None), |(event, inputs)| (Some(event), inputs));
        // What another version wrote may not be understood.
        let recording = inputs.and_then(|inputs| serde_json::from_str(&inputs).ok());
        let contest = event.as_ref().map(|event| self.contest_of(event)).transpose()?.flatten();
        Ok(StopExplanation { found, event, recording, contest })
    }

    /// What an agent said against being held at `event`, or what let it go there.
    fn contest_of(&self, event: &GateLogRow) -> Result<Option<String>, StoreError> {
        let (which, value): (_, &dyn ToSql) = if event.short_circuit.as_deref() == Some(Release::Contested.name()) {
            ("used_at_ms >= ?3 ORDER BY used_at_ms", &event.at_ms)
        } else {
            ("event_id = ?3 ORDER BY id", &event.event_id)
        };
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT why FROM contests WHERE harness = ?1 AND session_id = ?2 AND {which} LIMIT 1"
        ))?;
        Ok(query.query_row(params![event.harness.name(), event.session_id, value], |row| row.get(0)).optional()?)
    }

    /// Whether a write works: writes the version again that the file has.
    pub fn check_writable(&mut self) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        transaction.pragma_update(None, "user_version", version)?;
        Ok(transaction.commit()?)
    }
}

/// A row with nothing but what the request says.
pub fn blank_row(request: &EvaluateRequest) -> GateRow {
    GateRow {
        event_id: request.event_id.clone(),
        harness: request.event.key.harness,
        session_id: request.event.key.session_id.clone(),
        name: None,
        at_ms: request.at_ms,
        mode: request.mode,
        decision: None,
        rule: None,
        short_circuit: None,
        would_block: false,
        blocked: false,
        noted: false,
        fail_open: None,
        detail: None,
        signals: Vec::new(),
        evidence: None,
        latency_ms: 0,
        cwd: request.event.cwd.clone(),
        checkout: None,
        preview: String::new(),
    }
}

fn touch(transaction: &Transaction<'_>, request: &EvaluateRequest) -> Result<(), StoreError> {
    let event = HookEvent {
        event_id: request.event_id.clone(),
        at_ms: request.at_ms,
        boot_ms: request.boot_ms,
        event: request.event.clone(),
        origin: Origin::default(),
    };
    touch_session(transaction, &event)
}

fn has_stop(connection: &Connection, event_id: &str) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("SELECT 1 FROM gate_events WHERE event_id = ?1")?.exists([event_id])?)
}

/// `false` if the stop has a verdict already.
fn write_row(transaction: &Transaction<'_>, row: &GateRow, inputs: Option<&str>) -> Result<bool, StoreError> {
    debug_assert!(is_event_id(&row.event_id), "routes check event ids");
    let json = |value: serde_json::Result<String>| value.map_err(|error| StoreError::Io(error.into()));
    let evidence = row.evidence.as_ref().map(serde_json::to_string).transpose();
    let changed = transaction.prepare_cached(UPSERT)?.execute(named_params! {
        ":event_id": row.event_id,
        ":harness": row.harness.name(),
        ":session_id": row.session_id,
        ":at": row.at_ms,
        ":mode": row.mode.name(),
        ":decision": row.decision.map(Decision::name),
        ":rule": row.rule.map(stopgate_gate::RuleId::id),
        ":short_circuit": row.short_circuit,
        ":would_block": row.would_block,
        ":blocked": row.blocked,
        ":fail_open": row.fail_open,
        ":detail": row.detail,
        ":signals": json(serde_json::to_string(&row.signals))?,
        ":evidence": evidence.map_err(|error| StoreError::Io(error.into()))?,
        ":latency": row.latency_ms.cast_signed(),
        ":cwd": row.cwd.as_ref().and_then(|cwd| cwd.to_str()),
        ":noted": row.noted,
        ":checkout": row.checkout.as_ref().and_then(|checkout| checkout.to_str()),
        ":preview": row.preview,
        ":inputs": inputs,
    })?;
    Ok(changed == 1)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<GateLogRow> {
    fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| text.parse().map_err(|_| bad_text(column))).transpose()
    }
    let required = |column: &'static str| move || bad_text(column);
    let signals: String = row.get("signals")?;
    let evidence: Option<String> = row.get("evidence")?;
    Ok(GateLogRow {
        event_id: row.get("event_id")?,
        harness: parsed(row, "harness")?.ok_or_else(required("harness"))?,
        session_id: row.get("session_id")?,
        name: row.get("session_name")?,
        at_ms: row.get("at_ms")?,
        mode: parsed(row, "mode")?.ok_or_else(required("mode"))?,
        decision: parsed(row, "decision")?,
        // A rule that a newer program wrote is shown as none rather than hiding the whole log.
        rule: parsed(row, "rule").unwrap_or(None),
        short_circuit: row.get("short_circuit")?,
        would_block: row.get("would_block")?,
        blocked: row.get("blocked")?,
        noted: row.get("noted")?,
        fail_open: row.get("fail_open")?,
        detail: row.get("detail")?,
        signals: serde_json::from_str(&signals).unwrap_or_default(),
        evidence: evidence.and_then(|text| serde_json::from_str(&text).ok()),
        latency_ms: row.get::<_, i64>("latency_ms")?.cast_unsigned(),
        cwd: row.get::<_, Option<String>>("cwd")?.map(PathBuf::from),
        checkout: row.get::<_, Option<String>>("checkout")?.map(PathBuf::from),
        preview: row.get("preview")?,
    })
}
