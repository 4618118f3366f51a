//! `stopgate gate`

use clap::{Args, Subcommand};
use serde::Serialize;
use stopgate_core::gate::Decision;
use stopgate_core::protocol::{GateLog, GateLogRow, ROUTE_LOG};
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_core::text::one_line;

use crate::context::Context;
use crate::{ExitStatus, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the last stops and what the gate decided, newest first
    Log {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        tail: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show which judge is left alone because it failed again and again, or have it asked again
    Breaker(super::gate_breaker::Arguments),
}

/// A row as scripts read it: the stored row, and its time in RFC 3339.
#[derive(Serialize)]
struct JsonRow<'a> {
    at: String,
    #[serde(flatten)]
    row: &'a GateLogRow,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let (tail, json) = match &arguments.action {
        Action::Log { tail, json } => (*tail, *json),
        Action::Breaker(arguments) => return super::gate_breaker::run(context, arguments),
    };
    let path = format!("{ROUTE_LOG}?tail={tail}");
    let log: GateLog = context.read(&path, |store| Ok(GateLog { events: store.gate_log(tail)? }))?;
    if json {
        let rows: Vec<_> = log.events.iter().map(|row| JsonRow { at: when::rfc3339(row.at_ms), row }).collect();
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    if log.events.is_empty() {
        printer::line("no stop has reached the gate yet");
        return Ok(ExitStatus::Success);
    }
    let rows: Vec<_> = log.events.iter().map(columns).collect();
    for (line, row) in printer::columns(&rows).into_iter().zip(&log.events) {
        printer::line(line);
        if !row.preview.is_empty() {
            printer::line(format!("    \"{}\"", one_line(&row.preview, 100)));
        }
        if let Some(evidence) = row.evidence.as_ref().filter(|_| row.would_block) {
            printer::line(format!("    next open step in {}: {}", evidence.plan_file, evidence.next_step));
        }
    }
    Ok(ExitStatus::Success)
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
    let session = match row.session_id.strip_prefix(LIVE_CHECK_PREFIX) {
        Some(id) => format!("live check {}", one_line(id, 8).trim_end_matches('…')),
        None => format!("{} {}", row.harness, one_line(&row.session_id, 8).trim_end_matches('…')),
    };
    vec![
        when::rfc3339(row.at_ms),
        session,
        row.mode.name().to_owned(),
        decision,
        effect.to_owned(),
        format!("{} ms", row.latency_ms),
        why,
    ]
}
