//! `stopgate authority`

use clap::{Args, Subcommand};
use stopgate_client::{AskError, Silence};
use stopgate_core::client::ClientError;
use stopgate_protocol::{Health, HealthStatus, Shutdown};

use crate::context::CliContext;
use crate::{ExitStatus, Serve, printer, when};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Serve in the foreground until interrupted
    Run {
        /// Leave the terminal and log to log/authority.jsonl (this is how hooks start it)
        #[arg(long)]
        detached: bool,
    },
    /// Start it in the background; an older one is asked to hand over
    Start {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask it to stop, and wait until it has; one that does not answer is sent SIGTERM
    Stop {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show whether it runs, and how it is (exit code 1 if it does not run)
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments, serve: Serve) -> anyhow::Result<ExitStatus> {
    match arguments.action {
        Action::Run { detached } => {
            serve(&context.home, detached).map_err(anyhow::Error::from_boxed)?;
            Ok(ExitStatus::Success)
        }
        Action::Start { json } => show(context, &context.authority_up()?.health, json),
        Action::Stop { json } => stop(context, json),
        Action::Status { json } => {
            let authority = context.authority();
            match authority.health() {
                Ok(Some(health)) => match authority.secluded() {
                    Some(secluded) => absent(&secluded.to_string(), json),
                    None => show(context, &health, json),
                },
                Ok(None) => absent(&silent(context).unwrap_or_else(|| "not running".to_owned()), json),
                Err(AskError::Unreachable(error @ (ClientError::Deadline | ClientError::Malformed))) => {
                    let what = silent(context).unwrap_or_else(|| error.to_string());
                    absent(&format!("not answering: {what}"), json)
                }
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn stop(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let authority = context.authority();
    let refusal = || context.refused_to_agent(Shutdown::ACTION);
    let stopped = printer::with_progress("waiting for the authority to stop", || authority.stop_or_signal(refusal))?;
    if json {
        printer::json(&serde_json::json!({ "stopped": stopped, "status": "not running" }))?;
    } else {
        printer::line(if stopped { "stopped" } else { "not running" });
    }
    Ok(ExitStatus::Success)
}

/// What is to be said of an authority that lives without answering, if one does.
pub(crate) fn silent(context: &CliContext) -> Option<String> {
    Some(context.authority().silent(Silence::DoesNotAnswer)?.to_string())
}

fn show(context: &CliContext, health: &Health, json: bool) -> anyhow::Result<ExitStatus> {
    if json {
        printer::json(health)?;
    } else {
        printer::line(describe(health, context.now_ms));
    }
    Ok(if health.status == HealthStatus::Ok { ExitStatus::Success } else { ExitStatus::Failure })
}

/// One line about a running authority.
pub(crate) fn describe(health: &Health, now_ms: i64) -> String {
    let problem = health.problem.as_ref().map(|problem| format!("; DEGRADED: {problem}")).unwrap_or_default();
    let up = when::ago(health.started_at_ms, now_ms);
    format!("running, version {}, pid {}, up {up}{problem}", health.version, health.pid)
}

fn absent(what: &str, json: bool) -> anyhow::Result<ExitStatus> {
    if json {
        printer::json(&serde_json::json!({ "status": what }))?;
    } else {
        printer::line(what);
    }
    Ok(ExitStatus::Failure)
}
