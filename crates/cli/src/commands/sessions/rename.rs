//! `stopgate sessions rename`

use clap::Args;
use stopgate_coordination::name;
use stopgate_core::text::one_line;
use stopgate_protocol::{ErrorCode, Failure, RenameSession};

use crate::context::CliContext;
use crate::{ExitStatus, find, printer};

#[derive(Args)]
pub(super) struct Arguments {
    /// The session's name or id, or the beginning of that
    id: String,
    /// The new name: 3 to 16 lower-case letters and digits
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let name = &arguments.name;
    name::check(name).map_err(|why| Failure::new(ErrorCode::Usage, format!("{:?}: {why}", one_line(name, 40))))?;
    let row = find::session(context, &arguments.id)?;
    context.ensure_authority()?;
    let wanted = RenameSession { harness: row.harness, session_id: row.session_id, name: name.clone() };
    let renamed = context.authority().call(&wanted)?;
    if arguments.json {
        printer::json(&renamed)?;
    } else {
        let was = renamed.was.map(|was| format!(", which was {was}")).unwrap_or_default();
        printer::line(format!("{}:{} is called {}{was}", wanted.harness, wanted.session_id, renamed.name));
    }
    Ok(ExitStatus::Success)
}
