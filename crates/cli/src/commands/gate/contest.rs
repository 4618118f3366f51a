//! `stopgate gate contest`: an agent's word that its stop is right.

use anyhow::bail;
use clap::Args;
use stopgate_core::env::ProcessEnv;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{Contest, ErrorCode, Failure};

use crate::context::CliContext;
use crate::{ExitStatus, identity, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Why the stop is right; a person may read and grade it
    why: String,
    /// The session; by default the one this runs in
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Whose session that is
    #[arg(long, value_parser = Harness::ALL.map(Harness::name), default_value = Harness::DEFAULT.name(), requires = "session")]
    harness: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if arguments.why.trim().is_empty() {
        bail!(Failure::new(ErrorCode::Usage, "why: say in a sentence why the stop is right"));
    }
    let session = match &arguments.session {
        Some(id) => arguments.harness.parse().ok().and_then(|harness: Harness| SessionKey::new(harness, id)),
        None => identity::own_session(&ProcessEnv, context),
    };
    let Some(session) = session else {
        let unknown = Failure::new(ErrorCode::NotFound, "cannot tell which session this is");
        bail!(unknown.with_remedy("name it with --session <id> (stopgate sessions lists them)"));
    };
    context.ensure_authority()?;
    let body = Contest { session, why: arguments.why.clone() };
    let taken = context.authority().call(&body)?;
    if arguments.json {
        printer::json(&taken)?;
    } else {
        printer::line("Noted: the next stop of this session goes through.");
    }
    Ok(ExitStatus::Success)
}
