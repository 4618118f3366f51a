//! `stopgate sessions end`

use anyhow::bail;
use clap::Args;
use stopgate_client::AskError;
use stopgate_protocol::{EndSession, SessionEnded, SessionRow};

use crate::context::CliContext;
use crate::{ExitStatus, find, printer};

/// How long an end may take: the harness has its grace after SIGTERM, and may then need SIGKILL.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The session's name or id, or the beginning of that
    id: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let row = find::session(context, &arguments.id)?;
    if row.state.is_over() {
        bail!("session {} is over already ({})", row.key(), row.state);
    }
    let question = format!("End {} ({}, {})?", row.key(), row.state, super::project(&row));
    printer::consent(&question, arguments.yes).required("not ended")?;
    let ended = printer::with_progress("waiting for the session to end", || end(context, &row))?;
    if arguments.json {
        printer::json(&ended)?;
    } else {
        printer::line(said(&ended));
    }
    Ok(ExitStatus::Success)
}

/// Has the authority end a session.
pub(crate) fn end(context: &CliContext, row: &SessionRow) -> Result<SessionEnded, AskError> {
    context.ensure_authority()?;
    let body = EndSession { harness: row.harness, session_id: row.session_id.clone() };
    context.authority().call_within(PATIENCE, &body)
}

/// What came of it, for people.
pub(crate) fn said(ended: &SessionEnded) -> String {
    let pane = if ended.pane_closed { ", its pane is closed" } else { "" };
    format!("{}{pane}; resume it with: {}", ended.how, ended.resume_command)
}
