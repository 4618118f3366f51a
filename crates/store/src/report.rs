//! Reads what a report counts.

use std::path::PathBuf;

use rusqlite::Row;
use stopgate_core::clock::UnixMillis;
use stopgate_gate::report::{CountedStop, GateReport, Tally};

use crate::rows::bad_text;
use crate::{Store, StoreError};

/// Answered from one index alone (`gate_events_for_report`), and one look at the grades of each stop.
pub(crate) const QUERY: &str = "
    SELECT at_ms, harness, session_id, decision, rule, would_block, blocked, noted, fail_open, latency_ms, signals,
           coalesce(checkout, cwd) AS project,
           (SELECT verdict FROM annotations WHERE annotations.event_id = gate_events.event_id
            ORDER BY id DESC LIMIT 1) AS grade
    FROM gate_events INDEXED BY gate_events_for_report
    WHERE at_ms BETWEEN ?1 AND ?2 ORDER BY at_ms";

impl Store {
    /// What the gate did from `since` to `until`. Takes time in proportion to the stops in that span; on the
    /// authority's side, ask a connection that nobody waits for ([`Store::open_to_read`]).
    pub fn report(&self, since: UnixMillis, until: UnixMillis) -> Result<GateReport, StoreError> {
        let mut query = self.connection.prepare_cached(QUERY)?;
        let mut tally = Tally::default();
        for stop in query.query_map([since, until], read)? {
            tally.add(stop?);
        }
        Ok(tally.report(since, until))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<CountedStop> {
    let harness: String = row.get("harness")?;
    let word = |column: &str| -> rusqlite::Result<Option<String>> { row.get(column) };
    Ok(CountedStop {
        at_ms: row.get("at_ms")?,
        harness: harness.parse().map_err(|_| bad_text("harness"))?,
        session_id: row.get("session_id")?,
        decision: word("decision")?.map(|name| name.parse().map_err(|_| bad_text("decision"))).transpose()?,
        rule: row.get("rule")?,
        would_block: row.get("would_block")?,
        blocked: row.get("blocked")?,
        noted: row.get("noted")?,
        fail_open: row.get("fail_open")?,
        signals: serde_json::from_str(&row.get::<_, String>("signals")?).unwrap_or_default(),
        latency_ms: row.get::<_, i64>("latency_ms")?.cast_unsigned(),
        project: word("project")?.map(PathBuf::from),
        grade: word("grade")?.map(|name| name.parse().map_err(|_| bad_text("verdict"))).transpose()?,
    })
}
