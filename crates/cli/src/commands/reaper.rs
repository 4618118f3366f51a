//! `stopgate reaper`

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use stopgate_client::ANSWER;
use stopgate_core::clock::UnixMillis;
use stopgate_core::switch;
use stopgate_core::text::one_line;
use stopgate_protocol::{ExplainReaper, GetReaper, ReadReaperAudit, SetReaper};
use stopgate_reaper::pressure::Pressure;
use stopgate_reaper::report::{AuditRow, ReaperAudit, ReaperStatus};
use stopgate_reaper::switch as file;
use stopgate_reaper::switch::ReaperSwitch;

use crate::context::CliContext;
use crate::{ExitStatus, find, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show whether it is on, the pressure, and what keeps each session
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what it decided and did, newest last
    Audit {
        /// How many lines
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let it look at sessions; with --live, also end idle ones
    Enable {
        /// End idle sessions, instead of only saying which it would end
        #[arg(long)]
        live: bool,
        /// Do not ask before it may end sessions
        #[arg(long, short)]
        yes: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Turn it off
    Disable {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every gate of one session with its value, and what would happen next
    Explain {
        /// The session's id, or the beginning of it
        session: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::Status { json } => {
            context.ensure_authority()?;
            show(context, &context.authority().call(&GetReaper {})?, *json)
        }
        Action::Audit { limit, json } => audit(context, *limit, *json),
        Action::Enable { live: true, yes, json } => {
            let question = "Live: under memory or CPU pressure, sessions that are proven idle are ended. Go on?";
            printer::consent(question, *yes).required("not enabled")?;
            set(context, ReaperSwitch::Live, *json)
        }
        Action::Enable { json, .. } => set(context, ReaperSwitch::DryRun, *json),
        Action::Disable { json } => set(context, ReaperSwitch::Off, *json),
        Action::Explain { session, json } => explain(context, session, *json),
    }
}

fn set(context: &CliContext, wanted: ReaperSwitch, json: bool) -> anyhow::Result<ExitStatus> {
    let path = context.home.reaper_file();
    let seen = switch::stamp(&path);
    let asked = context.ensure_authority().and_then(|()| {
        context.authority().call(&SetReaper { switch: wanted, condition: CliContext::condition(&seen, ANSWER) })
    });
    match asked {
        Ok(status) => show(context, &status, json),
        Err(error) if error.is_decided() => Err(error.into()),
        // Off must get through with the authority down or broken: the switch is a file.
        Err(error) if wanted == ReaperSwitch::Off => {
            file::write(&context.home, wanted)?;
            printer::note(format!("note: {error}; the switch was written to {}", path.display()));
            if json {
                printer::json(&serde_json::json!({ "enabled": false, "dry_run": true, "switch": wanted }))?;
            } else {
                printer::line("reaper: off");
            }
            Ok(ExitStatus::Success)
        }
        Err(error) => Err(error.into()),
    }
}

fn show(context: &CliContext, status: &ReaperStatus, json: bool) -> anyhow::Result<ExitStatus> {
    if json {
        printer::json(status)?;
        return Ok(ExitStatus::Success);
    }
    let state = match (status.enabled, status.dry_run) {
        (false, _) => "off (nobody is ended; `stopgate reaper enable` lets it look)",
        (true, true) => "on, rehearsing: it says what it would end, and ends nobody",
        (true, false) => "on, live: it ends sessions that are proven idle when the machine is short",
    };
    printer::line(format!("reaper     {state}"));
    if let Some(trip) = &status.tripped {
        let at = when::rfc3339(trip.at_ms);
        printer::line(format!(
            "TRIPPED    {at}: {}; `stopgate reaper enable --live` resets it",
            one_line(&trip.detail, 200)
        ));
    }
    printer::line(format!("pressure   {}", pressure(&status.pressure)));
    printer::line(match status.active_threshold_minutes {
        Some(minutes) => format!("threshold  idle for {minutes} min, proven"),
        None => "threshold  none: without pressure nobody is ended".to_owned(),
    });
    printer::line(match (status.last_tick_at_ms, status.last_tick_took_ms) {
        (Some(at), Some(took)) => format!("last look  {} ago, took {took} ms", when::ago(at, context.now_ms)),
        _ => "last look  none yet".to_owned(),
    });
    printer::line(format!("ended      {} in the last hour", status.reaps_last_hour));
    for (gate, count) in &status.kept_by {
        printer::line(format!("kept by    {gate}: {count}"));
    }
    if status.sessions.is_empty() {
        return Ok(ExitStatus::Success);
    }
    let head = ["SESSION", "VERDICT", "KEPT BY", "SURE", "LOOKS", "IDLE", "PENDING"].map(str::to_owned).to_vec();
    let rows = status.sessions.iter().map(|session| {
        vec![
            format!("{} {}", session.harness, one_line(&session.session_id, 40)),
            session.verdict.clone(),
            session.kept_by.map_or_else(|| "-".to_owned(), |gate| gate.name().to_owned()),
            if session.confidence == stopgate_reaper::gates::Confidence::High { "yes" } else { "no" }.to_owned(),
            session.consecutive.to_string(),
            format!("{} min", session.idle_ms / 60_000),
            if session.reap_pending { "yes" } else { "-" }.to_owned(),
        ]
    });
    printer::line("");
    for line in printer::columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

/// One line about the pressure.
pub(crate) fn pressure(pressure: &Pressure) -> String {
    let number =
        |value: Option<f64>, unit: &str| value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.1}{unit}"));
    format!(
        "{} (memory {} available: {}, load {}: {})",
        pressure.tier.name(),
        number(pressure.reading.available_pct, " %"),
        pressure.memory_tier.name(),
        number(pressure.reading.load_per_core, "/core"),
        pressure.cpu_tier.name(),
    )
}

/// A row as scripts read it: the row, and its time in RFC 3339.
#[derive(Serialize)]
struct JsonAuditRow<'a> {
    at: String,
    #[serde(flatten)]
    row: &'a AuditRow,
}

fn audit(context: &CliContext, limit: u32, json: bool) -> anyhow::Result<ExitStatus> {
    let wanted = ReadReaperAudit { limit: Some(limit) };
    let audit = context.read(&wanted, |store| Ok(ReaperAudit { rows: store.reaper_audit(wanted.rows())? }))?;
    if json {
        let rows: Vec<_> = audit.rows.iter().map(|row| JsonAuditRow { at: when::rfc3339(row.at_ms), row }).collect();
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    if audit.rows.is_empty() {
        printer::line("nothing yet");
    }
    let rows: Vec<_> = audit.rows.iter().map(columns).collect();
    for line in printer::columns(&rows) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}

fn columns(row: &AuditRow) -> Vec<String> {
    let idle = row.detail["idle_ms"].as_i64().map(|ms: UnixMillis| format!("idle {} min", ms / 60_000));
    let resume = row.detail["resume_command"].as_str().map(|line| one_line(line, 300));
    vec![
        when::rfc3339(row.at_ms),
        format!("{} {}", row.harness, one_line(&row.session_id, 8).trim_end_matches('…')),
        row.event.name().to_owned(),
        row.kept_by.as_deref().map_or_else(|| "-".to_owned(), |by| one_line(by, 80)),
        row.tier.clone().unwrap_or_else(|| "-".to_owned()),
        resume.or(idle).unwrap_or_default(),
    ]
}

fn explain(context: &CliContext, id: &str, json: bool) -> anyhow::Result<ExitStatus> {
    let row = find::session(context, id)?;
    if row.state.is_over() {
        bail!("session {} is over ({}): there is nothing to explain", row.key(), row.state);
    }
    let key = row.key();
    let explanation = context.authority().call(&ExplainReaper { harness: row.harness, session: row.session_id })?;
    if json {
        printer::json(&explanation)?;
        return Ok(ExitStatus::Success);
    }
    printer::line(format!("session    {key}"));
    printer::line(format!("verdict    {}", explanation.session.verdict));
    printer::line(format!("outlook    {}", explanation.outlook));
    printer::line(format!("pressure   {}", pressure(&explanation.pressure)));
    let session = &explanation.session;
    printer::line(format!("proven     idle for {} min, in {} looks", session.idle_ms / 60_000, session.consecutive));
    printer::line("");
    let rows: Vec<_> = explanation
        .gates
        .iter()
        .map(|gate| {
            vec![
                if gate.keeps { "KEEPS" } else { "passes" }.to_owned(),
                gate.gate.name().to_owned(),
                gate.value.clone(),
            ]
        })
        .collect();
    for line in printer::columns(&rows) {
        printer::line(line);
    }
    Ok(ExitStatus::Success)
}
