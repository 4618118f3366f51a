//! `stopgate kill`

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use stopgate_client::ANSWER;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::redact::redact;
use stopgate_core::switch::{self, KillRecord, KillSet, KillSource};
use stopgate_core::text::one_line;
use stopgate_protocol::{Condition, SetKill};

use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// How long the authority may take to note that the switch is on.
const NOTE: Duration = Duration::from_secs(2);

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
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Turn it off
    Off {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show whether it is on, since when, by whom and why
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Action::On { reason, json } => turn_on(context, reason, *json),
        Action::Off { json } => turn_off(context, *json),
        Action::Status { json } => status(context, *json),
    }
}

/// Writes the file first and directly: the switch must work with everything else broken.
fn turn_on(context: &CliContext, reason: &str, json: bool) -> anyhow::Result<ExitStatus> {
    let file = context.home.kill_file();
    let prior = switch::is_killed(&ProcessEnv, &context.home);
    // By what the kernel says alone: nothing that may be broken is asked.
    if let Some(refused) = context.refused_by_sight("kill on") {
        return Err(refused.into());
    }
    let by = ProcessEnv.text(env::USER).unwrap_or_else(|| "unknown".to_owned());
    let record = KillRecord { by, at_ms: context.now_ms, reason: one_line(&redact(reason), 500) };
    // For the authority's record; it may well be down. It writes nothing: that would come at any time, if it is hung.
    let until = Condition { seen: None, ..CliContext::condition("", NOTE) };
    let told =
        SetKill { value: true, reason: record.reason.clone(), by: record.by.clone(), done: true, condition: until };
    let tell = || context.authority().call_within(NOTE, &told);
    // Where processes begin anew, an agent cannot be seen from here, and the authority outside may see it.
    let told_first = match CliContext::sees_too_little().then(tell) {
        Some(Err(error)) if error.is_decided() => return Err(error.into()),
        told => told,
    };
    let set = switch::set_kill(&context.home, &record).with_context(|| {
        format!(
            "the kill switch is NOT on: cannot create {}. Make room or make it writable and try again, or set \
             STOPGATE_KILL=1 in the environment of the agents",
            file.display()
        )
    })?;
    if let KillSet::Bare(error) = set {
        printer::note(format!("note: who and why could not be written ({error}); {} alone is enough", file.display()));
    }
    if told_first.unwrap_or_else(tell).is_err() {
        let _ = context.refused_to_agent("kill on");
    }
    if json {
        print_state(true, prior)?;
    } else {
        printer::line("kill switch: on (every hook allows at once; `stopgate kill off` ends it)");
    }
    Ok(ExitStatus::Success)
}

fn turn_off(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let file = context.home.kill_file();
    let seen = switch::stamp(&file);
    let prior = switch::is_killed(&ProcessEnv, &context.home);
    let condition = CliContext::condition(&seen, ANSWER);
    let flip = SetKill { value: false, reason: String::new(), by: String::new(), done: false, condition };
    match context.authority().call(&flip) {
        Ok(_) => {}
        Err(error) if error.is_decided() => return Err(error.into()),
        Err(_) => {
            context.operators_only(flip.action())?;
            // What was seen is what the person wants off. It may be off by now: the answer was lost, not the request.
            if file.symlink_metadata().is_ok() && switch::stamp(&file) != seen {
                bail!("not done: {} was changed meanwhile; look with `stopgate kill status`", file.display());
            }
            switch::clear_kill(&context.home)
                .with_context(|| format!("cannot remove {}: remove it yourself (`rm`)", file.display()))?;
        }
    }
    let is_set = ProcessEnv.flag(env::STOPGATE_KILL);
    if json {
        print_state(switch::is_killed(&ProcessEnv, &context.home), prior)?;
    } else if is_set {
        printer::line("kill switch: the file is gone, but STOPGATE_KILL is set in this environment: unset it");
    } else {
        printer::line("kill switch: off");
    }
    Ok(if is_set { ExitStatus::Failure } else { ExitStatus::Success })
}

fn print_state(on: bool, prior: bool) -> anyhow::Result<()> {
    printer::json(&serde_json::json!({ "kill_switch": on, "prior": prior, "changed": on != prior }))
}

fn status(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
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
