//! What people say about verdicts.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, params};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_gate::pipeline::Recording;
use stopgate_gate::report::{Annotation, Grade, RuleGrade};
use stopgate_protocol::GateLogRow;

use crate::rows::bad_text;
use crate::{Store, StoreError};

/// A grading to write.
#[derive(Debug, Clone, Copy)]
pub struct NewGrade<'a> {
    /// The stop, by its whole id.
    pub event_id: &'a str,
    /// The grade.
    pub grade: Grade,
    /// Why, redacted by the caller.
    pub why: &'a str,
    /// Who.
    pub operator: &'a str,
    /// When.
    pub at_ms: UnixMillis,
}

/// A stop as it was judged, with what was said of it.
#[derive(Debug, Clone)]
pub struct PastStop {
    /// The stop.
    pub event_id: String,
    /// When.
    pub at_ms: UnixMillis,
    /// Whether it was, or would have been, held.
    pub would_block: bool,
    /// The end of its message.
    pub preview: String,
    /// The grade that counts.
    pub grade: Option<Grade>,
    /// What its verdict was reached from.
    pub recording: Recording,
}

/// What became of a grading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grading {
    /// It is written, and counts from now on.
    Written {
        /// The grade that counted before.
        prior: Option<Grade>,
    },
    /// No such stop is in the log, or no more.
    NoSuchEvent,
    /// A failure left the stop without a verdict, or it is not judged yet.
    NoVerdict,
}

const LAST: &str = "SELECT event_id, operator, at_ms, verdict, why FROM annotations
                    WHERE event_id = ?1 ORDER BY id DESC LIMIT 1";

impl Store {
    /// Grades a verdict. Earlier grades of it stay on record; the last one counts.
    pub fn grade(&mut self, new: NewGrade<'_>) -> Result<Grading, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let has_verdict: Option<bool> = transaction
            .prepare_cached("SELECT decision IS NOT NULL FROM gate_events WHERE event_id = ?1")?
            .query_row([new.event_id], |row| row.get(0))
            .optional()?;
        match has_verdict {
            None => return Ok(Grading::NoSuchEvent),
            Some(false) => return Ok(Grading::NoVerdict),
            Some(true) => {}
        }
        let prior = transaction.prepare_cached(LAST)?.query_row([new.event_id], read).optional()?;
        transaction
            .prepare_cached(
                "INSERT INTO annotations (event_id, operator, at_ms, verdict, why) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![new.event_id, new.operator, new.at_ms, new.grade.name(), new.why])?;
        transaction.commit()?;
        Ok(Grading::Written { prior: prior.map(|prior| prior.verdict) })
    }

    /// The grade that counts of each would-block that has one, but for those of the installer's live check. Takes time in
    /// proportion to the grades.
    pub fn rule_grades(&self) -> Result<Vec<RuleGrade>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT stop.rule, last.verdict, last.id
             FROM (SELECT event_id, max(id) AS id FROM annotations GROUP BY event_id) AS newest
             JOIN annotations AS last ON last.id = newest.id
             JOIN gate_events AS stop ON stop.event_id = newest.event_id
             WHERE stop.would_block = 1 AND substr(stop.session_id, 1, length(?1)) <> ?1",
        )?;
        let read = |row: &Row<'_>| {
            let (rule, grade): (Option<String>, String) = (row.get(0)?, row.get(1)?);
            let known = rule.and_then(|rule| rule.parse().ok()).zip(grade.parse().ok());
            Ok(known.map(|(rule, grade)| (rule, grade, row.get(2))))
        };
        let mut found = Vec::new();
        // A rule that only a newer program knows has no say here.
        for (rule, grade, number) in
            query.query_map([LIVE_CHECK_PREFIX], read)?.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?
        {
            found.push(RuleGrade { rule, grade, number: number? });
        }
        Ok(found)
    }

    /// The newest `most` stops that were judged by what they say, but for those of the live check, newest first, each with its
    /// grade. What another version wrote and this one does not understand is left out.
    pub fn past_stops(&self, most: u32) -> Result<Vec<PastStop>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT event_id, at_ms, would_block, preview, inputs,
                    (SELECT verdict FROM annotations WHERE annotations.event_id = gate_events.event_id
                     ORDER BY id DESC LIMIT 1) AS grade
             FROM gate_events
             WHERE inputs IS NOT NULL AND decision IS NOT NULL AND substr(session_id, 1, length(?2)) <> ?2
             ORDER BY at_ms DESC, event_id DESC LIMIT ?1",
        )?;
        let read = |row: &Row<'_>| {
            let (inputs, grade): (String, Option<String>) = (row.get("inputs")?, row.get("grade")?);
            let Ok(recording) = serde_json::from_str(&inputs) else { return Ok(None) };
            Ok(Some(PastStop {
                event_id: row.get("event_id")?,
                at_ms: row.get("at_ms")?,
                would_block: row.get("would_block")?,
                preview: row.get("preview")?,
                grade: grade.and_then(|grade| grade.parse().ok()),
                recording,
            }))
        };
        let rows = query.query_map(params![most, LIVE_CHECK_PREFIX], read)?;
        Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }

    /// The number of the last grade that was given; 0 if none was.
    pub fn last_grade(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("SELECT ifnull(max(id), 0) FROM annotations", [], |row| row.get(0))?)
    }

    /// The grade that counts of each of `rows` that has one.
    pub fn grades_of(&self, rows: &[GateLogRow]) -> Result<BTreeMap<String, Annotation>, StoreError> {
        let mut query = self.connection.prepare_cached(LAST)?;
        let last = rows.iter().filter_map(|row| query.query_row([&row.event_id], read).optional().transpose());
        Ok(last.map(|found| found.map(|found| (found.event_id.clone(), found))).collect::<Result<_, _>>()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Annotation> {
    let verdict: String = row.get("verdict")?;
    Ok(Annotation {
        event_id: row.get("event_id")?,
        operator: row.get("operator")?,
        at_ms: row.get("at_ms")?,
        verdict: verdict.parse().map_err(|_| bad_text("verdict"))?,
        why: row.get("why")?,
    })
}
