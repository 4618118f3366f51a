//! `stopgate kill`

use clap::{Args, Subcommand};
use stopgate_authority::lifecycle::AskError;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::protocol::{KillState, ROUTE_KILL, SetKill};
use stopgate_core::redact::redact;
use stopgate_core::switch::{self, KillRecord, KillSource};
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
    /// Turn the kill switch on: from now on every hook allows at once
    On {
        /// Why, for whoever finds it on later
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Turn it off
    Off,
    /// Show whether it is on, since when, by whom and why
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::On { reason } => turn_on(context, reason),
        Action::Off => turn_off(context),
        Action::Status { json } => status(context, *json),
    }
}

/// Writes the file first and directly: the switch must work with everything else broken.
fn turn_on(context: &Context, reason: &str) -> anyhow::Result<ExitStatus> {
    let by = ProcessEnv.text(env::USER).unwrap_or_else(|| "unknown".to_owned());
    let record = KillRecord { by, at_ms: context.now_ms, reason: one_line(&redact(reason), 500) };
    switch::set_kill(&context.home, &record)?;
    // For the authority's record; it may well be down.
    let told = SetKill { value: true, reason: record.reason, by: record.by };
    let _: Result<KillState, AskError> = context.authority().post(ROUTE_KILL, &told);
    printer::line("kill switch: on (every hook allows at once; `stopgate kill off` ends it)");
    Ok(ExitStatus::Success)
}

fn turn_off(context: &Context) -> anyhow::Result<ExitStatus> {
    let asked: Result<KillState, AskError> =
        context.authority().post(ROUTE_KILL, &SetKill { value: false, reason: String::new(), by: String::new() });
    match asked {
        Ok(_) => {}
        Err(AskError::Refused { status: 403, error }) => {
            printer::note(format!("stopgate: {error}"));
            return Ok(ExitStatus::Refused);
        }
        Err(_) => {
            if let Some(refusal) = context.refused_to_agent("kill off") {
                printer::note(format!("stopgate: {refusal}"));
                return Ok(ExitStatus::Refused);
            }
            switch::clear_kill(&context.home)?;
        }
    }
    if ProcessEnv.flag(env::STOPGATE_KILL) {
        printer::line("kill switch: the file is gone, but STOPGATE_KILL is set in this environment: unset it");
        return Ok(ExitStatus::Failure);
    }
    printer::line("kill switch: off");
    Ok(ExitStatus::Success)
}

fn status(context: &Context, json: bool) -> anyhow::Result<ExitStatus> {
    let source = switch::read_kill(&ProcessEnv, &context.home);
    if json {
        let (by, at, reason) = match &source {
            Some(KillSource::File(Some(record))) => {
                (Some(&record.by), Some(when::rfc3339(record.at_ms)), Some(&record.reason))
            }
            _ => (None, None, None),
        };
        printer::json(&serde_json::json!({
            "kill_switch": source.is_some(), "source": source.as_ref().map(source_name), "by": by, "at": at, "reason": reason,
        }))?;
    } else {
        printer::line(format!("kill switch: {}", describe(source.as_ref(), context.now_ms)));
    }
    Ok(ExitStatus::Success)
}

fn source_name(source: &KillSource) -> &'static str {
    match source {
        KillSource::Environment => "environment",
        KillSource::File(_) => "file",
        KillSource::Unknown => "unknown",
    }
}

/// One line about the kill switch.
pub(crate) fn describe(source: Option<&KillSource>, now_ms: i64) -> String {
    match source {
        None => "off".to_owned(),
        Some(KillSource::Environment) => "on (STOPGATE_KILL is set in this environment)".to_owned(),
        Some(KillSource::Unknown) => "on (switches/kill cannot be looked at, and doubt means on)".to_owned(),
        Some(KillSource::File(None)) => "on (the file was made by hand)".to_owned(),
        Some(KillSource::File(Some(record))) => {
            let why = if record.reason.is_empty() { "no reason given" } else { &record.reason };
            let since = when::rfc3339(record.at_ms);
            format!("on since {since} ({} ago), by {}: {why}", when::ago(record.at_ms, now_ms), record.by)
        }
    }
}
