//! Who calls: which session, or the person. What a caller's environment says is believed only of a session that is known to
//! run in the nearest harness above the caller, by what the kernel says of processes. In doubt it is nobody.

use stopgate_core::process::{ProcFs, ProcessIdentity, ProcessTable as _};
use stopgate_core::session::SessionKey;
use stopgate_protocol::{CallerKind, ErrorCode, Failure};
use stopgate_store::{Store, StoreError};

/// Sessions that are looked through for those of a process.
const MAX_SESSIONS: u32 = 1_000;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A session that lives.
    Session(SessionKey),
    /// The person, or what they have started without an agent.
    Person,
    /// It cannot be told.
    Unproven(Unproven),
}

/// Why it cannot be told who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// It ended before it was looked at.
    Ended,
    /// It comes from where its ancestors cannot be seen.
    Elsewhere,
    /// An agent is above it, and which session of it calls is not said.
    Unnamed,
    /// An agent is above it, which is not known to run the session that is said.
    NotThere(SessionKey),
    /// No agent is above it, and its environment names a session all the same, as in a terminal that an agent has opened.
    NoAgent(SessionKey),
}

impl Unproven {
    /// What the caller is told, and what to do.
    pub fn failure(&self) -> Failure {
        let (message, remedy) = match self {
            Self::Ended => ("whoever asked has ended".to_owned(), "ask again, and wait for the answer"),
            Self::Elsewhere => (
                "this caller runs in another process namespace, such as a container, so that it cannot be told which \
                 session it is"
                    .to_owned(),
                "run it where the session runs",
            ),
            Self::Unnamed => (
                "this caller runs inside an agent, and its environment does not say in which session".to_owned(),
                "run it by the agent's own shell tool, with the environment that this has",
            ),
            Self::NotThere(key) => (
                format!("the environment says session {key}, which is not known to run in the agent above this caller"),
                "wait until the session's hooks have reported it (`stopgate sessions` shows it), or restart the session",
            ),
            Self::NoAgent(key) => (
                format!("the environment says session {key}, but no agent is above this caller"),
                "as a person: `env -u CLAUDE_CODE_SESSION_ID -u CODEX_THREAD_ID stopgate ...`",
            ),
        };
        Failure::new(ErrorCode::UnprovenCaller, message).with_remedy(remedy)
    }
}

/// Who `seen` is, as [`crate::Caller::of`] found it, of which the environment says that it is in one of the sessions `told`.
pub fn who(store: &Store, seen: &crate::Caller, told: &[SessionKey]) -> Result<Caller, StoreError> {
    let doubt = |why| Ok(Caller::Unproven(why));
    match seen.kind {
        CallerKind::Vanished => return doubt(Unproven::Ended),
        CallerKind::Elsewhere => return doubt(Unproven::Elsewhere),
        CallerKind::Person | CallerKind::Unattended => {
            return Ok(told.first().map_or(Caller::Person, |key| Caller::Unproven(Unproven::NoAgent(key.clone()))));
        }
        CallerKind::Agent => {}
    }
    let Some(harness) = seen.chain.iter().find(|process| Some(process.pid) == seen.harness) else {
        return doubt(Unproven::Ended);
    };
    let (numbers, boot) = (ProcFs::numbers(harness.pid).unwrap_or_else(|| vec![harness.pid]), ProcFs.boot_id());
    let is_it = |known: &ProcessIdentity| {
        known.start_ticks == harness.start_ticks
            && numbers.contains(&known.pid)
            && boot.as_ref().is_none_or(|boot| *boot == known.boot_id)
    };
    for key in told {
        let lives =
            store.sessions_named(&key.session_id, 10)?.iter().any(|row| row.key() == *key && row.ended_at_ms.is_none());
        if lives && store.processes_of(key)?.iter().any(is_it) {
            return Ok(Caller::Session(key.clone()));
        }
    }
    if let Some(key) = told.first() {
        return doubt(Unproven::NotThere(key.clone()));
    }
    // The only session of a process that no others share.
    let rows = store.sessions_not_ended(MAX_SESSIONS)?;
    let mut there = rows.iter().filter(|row| row.harness_process.as_ref().is_some_and(&is_it));
    match (there.next(), there.next()) {
        (Some(only), None) if only.harness_process.as_ref().is_some_and(|process| !process.shared) => {
            Ok(Caller::Session(only.key()))
        }
        _ => doubt(Unproven::Unnamed),
    }
}
