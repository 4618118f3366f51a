//! `stopgate gate log`

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;
use stopgate_core::decision::Decision;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_core::text::one_line;
use stopgate_gate::report::Annotation;
use stopgate_protocol::{Decided, GateLog, GateLogRow, LogFilter};

use crate::context::CliContext;
use crate::{ExitStatus, printer, rule_modes, when};

/// Lengths to which an event's id is cut, where that names one event: the time alone, then with some of the rest.
const SHORT_IDS: [usize; 3] = [13, 18, 23];

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    tail: u32,
    /// Only those of a session, by its name or the beginning of its id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only those with this decision
    #[arg(long)]
    decision: Option<WantedDecision>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum WantedDecision {
    /// The turn may end
    Allow,
    /// The turn should go on: a would-block
    Continue,
    /// Undecidable
    Escalate,
    /// The turn should go on, but the ceiling was reached
    ForceAllow,
    /// A failure left no decision
    Failed,
}

impl From<WantedDecision> for Decided {
    fn from(wanted: WantedDecision) -> Self {
        match wanted {
            WantedDecision::Allow => Self::Allow,
            WantedDecision::Continue => Self::Continue,
            WantedDecision::Escalate => Self::Escalate,
            WantedDecision::ForceAllow => Self::ForceAllow,
            WantedDecision::Failed => Self::Failed,
        }
    }
}

/// A row as scripts read it: the stored row, its time in RFC 3339, and the grade that counts.
#[derive(Serialize)]
struct JsonGateRow<'a> {
    at: String,
    #[serde(flatten)]
    row: &'a GateLogRow,
    grade: Option<&'a Annotation>,
}

/// The stops that `filter` wants, newest first.
pub(super) fn fetch(context: &CliContext, filter: &LogFilter) -> anyhow::Result<GateLog> {
    context.read(filter, |store| {
        let events = store.gate_log_of(filter)?;
        Ok(GateLog { grades: store.grades_of(&events)?, events })
    })
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let filter = LogFilter {
        tail: Some(arguments.tail),
        session: arguments.session.clone(),
        decision: arguments.decision.map(Decided::from),
        ..LogFilter::default()
    };
    let log = fetch(context, &filter)?;
    if arguments.json {
        let grade = |row: &GateLogRow| log.grades.get(&row.event_id);
        let rows: Vec<_> =
            log.events.iter().map(|row| JsonGateRow { at: when::rfc3339(row.at_ms), row, grade: grade(row) }).collect();
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    if log.events.is_empty() {
        let filtered = arguments.session.is_some() || arguments.decision.is_some();
        printer::line(if filtered { "no such stop in the log" } else { "no stop has reached the gate yet" });
        return Ok(ExitStatus::Success);
    }
    rule_modes::lines(&context.home).into_iter().for_each(printer::note);
    let rows: Vec<_> = log.events.iter().map(columns).collect();
    let ids = short_ids(&log.events);
    for ((line, row), id) in printer::columns(&rows).into_iter().zip(&log.events).zip(ids) {
        printer::line(line);
        let grade = log.grades.get(&row.event_id).map(describe);
        let preview = Some(one_line(&row.preview, 100)).filter(|text| !text.is_empty());
        let told = preview.map(|text| format!("\"{text}\"")).into_iter().chain(grade);
        printer::line(std::iter::once(format!("    {id}")).chain(told).collect::<Vec<_>>().join("  "));
        if let Some(detail) = row.detail.as_ref().filter(|_| row.fail_open.is_none()) {
            printer::line(format!("    {}", one_line(detail, 240)));
        }
        if let Some(evidence) = row.evidence.as_ref().filter(|_| row.would_block) {
            printer::line(format!("    next open step in {}: {}", evidence.place(), evidence.next_step));
        }
    }
    Ok(ExitStatus::Success)
}

fn describe(grade: &Annotation) -> String {
    let why = if grade.why.is_empty() { String::new() } else { format!(": {}", one_line(&grade.why, 60)) };
    format!("[{}{why}]", grade.verdict)
}

/// The ids of `rows`, as short as they are one of a kind among them.
pub(super) fn short_ids(rows: &[GateLogRow]) -> Vec<&str> {
    let cut = |row: &'_ GateLogRow, length: usize| row.event_id.get(..length).map(str::to_owned);
    let mut seen: BTreeMap<Option<String>, u32> = BTreeMap::new();
    for (row, length) in rows.iter().flat_map(|row| SHORT_IDS.map(|length| (row, length))) {
        *seen.entry(cut(row, length)).or_default() += 1;
    }
    rows.iter()
        .map(|row| {
            let length = SHORT_IDS.into_iter().find(|length| seen.get(&cut(row, *length)) == Some(&1));
            length.and_then(|length| row.event_id.get(..length)).unwrap_or(&row.event_id)
        })
        .collect()
}

/// Which session a row is of.
pub(super) fn session(row: &GateLogRow) -> String {
    if let Some(id) = row.session_id.strip_prefix(LIVE_CHECK_PREFIX) {
        return format!("live check {}", one_line(id, 8).trim_end_matches('…'));
    }
    let name = row.name.as_ref().map(|name| format!(" {name}"));
    let id = one_line(&row.session_id, 8);
    format!("{} {}{}", row.harness, id.trim_end_matches('…'), name.unwrap_or_default())
}

fn columns(row: &GateLogRow) -> Vec<String> {
    let decision = row.decision.map_or_else(|| "FAILED".to_owned(), |decision| decision.name().to_owned());
    let effect = match (row.decision, row.blocked, row.would_block) {
        (_, true, _) => "blocked",
        (_, false, true) => "would block",
        (Some(Decision::ForceAllow), ..) => "ceiling",
        _ => "-",
    };
    let why = row
        .rule
        .map(|rule| rule.id().to_owned())
        .into_iter()
        .chain(row.short_circuit.clone())
        .chain(row.fail_open.as_ref().map(|kind| format!("fail-open: {kind}")))
        .collect::<Vec<_>>()
        .join(", ");
    vec![
        when::rfc3339(row.at_ms),
        session(row),
        row.mode.name().to_owned(),
        decision,
        effect.to_owned(),
        format!("{} ms", row.latency_ms),
        why,
    ]
}
