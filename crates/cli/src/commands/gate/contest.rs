//! `stopgate gate contest`: an agent's word that its stop is right.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use stopgate_core::checkout;
use stopgate_core::contest_note;
use stopgate_core::env::ProcessEnv;
use stopgate_core::redact::redact;
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

/// What is left to an agent whose word cannot be taken here.
const REMEDY: &str = "this sandbox lets no word through to the authority; say in your last message why the stop is right, and \
                      stop again, or ask for the permission to run this outside of the sandbox";

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if arguments.why.trim().is_empty() {
        bail!(Failure::new(ErrorCode::Usage, "why: say in a sentence why the stop is right"));
    }
    let own = identity::own_session(&ProcessEnv, context);
    let session = match &arguments.session {
        Some(id) => arguments.harness.parse().ok().and_then(|harness: Harness| SessionKey::new(harness, id)),
        None => own.clone(),
    };
    let Some(session) = session else {
        let unknown = Failure::new(ErrorCode::NotFound, "cannot tell which session this is");
        let named = "name it with --session <id> (stopgate sessions lists them)";
        bail!(unknown.with_remedy(if stopgate_client::forbids_sockets() { REMEDY } else { named }));
    };
    if stopgate_client::forbids_sockets() {
        // To speak for a session that is not proven to be one's own is the operator's. Where the authority can be asked, it
        // looks itself.
        if own.as_ref() != Some(&session)
            && let Some(refused) = context.refused_in_sandbox("gate contest --session ...")
        {
            bail!(refused);
        }
        return leave(context, &session, arguments);
    }
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

/// The answer for programs, where the word waits in a file.
#[derive(Serialize)]
struct LeftNote {
    taken: bool,
    left_in: PathBuf,
}

/// From a sandbox that allows no sockets: the word waits in the checkout for the session's next stop.
fn leave(context: &CliContext, session: &SessionKey, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let cwd = std::env::current_dir().context("the current directory is gone")?;
    let Some(checkout) = checkout::find(&cwd) else {
        bail!("{}: not in a git checkout: {REMEDY}", cwd.display());
    };
    let place = &checkout.worktree;
    let left_in = contest_note::leave(place, session, &redact(arguments.why.trim()), context.now_ms)
        .with_context(|| format!("{}: nothing can be left there: {REMEDY}", place.display()))?;
    if arguments.json {
        printer::json(&LeftNote { taken: false, left_in })?;
    } else {
        printer::line("Noted in the checkout: the next stop of this session takes it along, and goes through.");
    }
    Ok(ExitStatus::Success)
}
