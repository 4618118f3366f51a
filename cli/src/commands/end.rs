//! `stopgate sessions end`

use clap::Args;

use crate::context::Context;
use crate::{ExitStatus, find, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The session's id, or the beginning of it
    id: String,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let row = find::session(context, &arguments.id)?;
    printer::line(row.resume_command);
    Ok(ExitStatus::Success)
}
