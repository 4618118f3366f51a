//! The authority, as the installer's reports tell of it. How it is asked, started and ended is `stopgate_client`'s affair.

use serde::Serialize;
use stopgate_client::{AskError, Authority, Silence, Silent, Successor};
use stopgate_core::client::ClientError;
use stopgate_core::env::Env;
use stopgate_core::paths::Home;

use crate::printer;

/// How the authority is after [`ensure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum AuthorityState {
    /// It answers.
    Running {
        /// Version of the program that runs.
        version: String,
        /// Its process.
        pid: u32,
        /// Whether this installer started it.
        started: bool,
    },
    /// It was not to be started.
    NotStarted {
        /// Why not.
        reason: String,
    },
    /// It should answer, but does not.
    Failed {
        /// What is wrong.
        problem: String,
    },
}

/// The way to the authority of `home`; the person is told what it is waited for.
pub(crate) fn of(home: &Home) -> Authority<'_> {
    Authority::of(home).telling(&|text| printer::note(text))
}

/// Sees to it that the installed authority answers. Another one hands over. Call it under the installer's lock.
pub(crate) fn ensure(environment: &dyn Env, home: &Home) -> AuthorityState {
    match of(home).ensure(environment, Successor::Installed) {
        Ok(up) => AuthorityState::Running { version: up.health.version, pid: up.health.pid, started: up.started },
        Err(AskError::Forbidden { running: None }) => {
            AuthorityState::NotStarted { reason: "STOPGATE_NO_AUTOSTART is set".to_owned() }
        }
        Err(error @ AskError::Forbidden { .. }) => AuthorityState::NotStarted { reason: error.to_string() },
        Err(error) => AuthorityState::Failed { problem: problem(&error) },
    }
}

/// What is wrong, for a report: whoever lives without serving keeps the installer from its work.
pub(crate) fn problem(error: &AskError) -> String {
    let AskError::Silent(silent) = error else { return error.to_string() };
    let Silent { silence, lock, pid, .. } = silent;
    let problem = match silence {
        Silence::DoesNotAnswer => ClientError::Deadline.to_string(),
        Silence::IsNotUnderstood => ClientError::Malformed.to_string(),
        Silence::DoesNotListen => format!("one lives, for {} is locked, but it does not listen", lock.display()),
    };
    let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    format!("{problem}{pid}; {}, then run this again", silent.remedy())
}
