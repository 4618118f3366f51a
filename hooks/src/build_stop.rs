//! build-stop-hook: keeps the session that owns a live build at it. Needs no authority.

use std::process::ExitCode;

use stopgate_core::harness::{EventKind, Reply};
use stopgate_core::{build, checkout};

use crate::{Hook, Outcome};

/// The hook's `main`.
pub fn build_stop_hook() -> ExitCode {
    crate::run("build-stop-hook", hold_owner)
}

fn hold_owner(hook: &Hook) -> Outcome {
    let event = match hook.event() {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    // A subagent speaks with its session's id, but it is not what owns the build.
    if !matches!(event.kind, EventKind::Stop(_)) || event.agent_id.is_some() {
        return Outcome::Nothing;
    }
    let allow = Outcome::Answer(event.key.harness, Reply::Allow);
    let Some(checkout) = event.cwd.as_deref().and_then(checkout::find) else {
        return allow;
    };
    for dir in build::directories(&checkout) {
        match build::spend(&dir, &event.key, hook.deadline) {
            Ok(Some(state)) => {
                return Outcome::Answer(event.key.harness, Reply::Block { reason: state.block_reason() });
            }
            Ok(None) => {}
            Err(error) => hook.failed("build not usable", &format!("{}: {error}", dir.display())),
        }
    }
    allow
}
