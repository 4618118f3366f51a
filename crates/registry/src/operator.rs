//! Tells the operator from the agents: a caller that descends from a harness process which the registry knows is
//! an agent, and agents do not turn their own gate off. A caller of whom that cannot be told, because it comes out of a
//! sandbox or a container, is no operator either.
//!
//! This is drift correction, not a security boundary: an agent of the same user can write the files itself.

use std::fs::File;
use std::io::Read as _;

use stopgate_core::process::{FIRST_NAMESPACE, ProcFs, ProcessTable as _, ancestry};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{ErrorCode, Failure};
use stopgate_store::{Store, StoreError};

/// Longest environment that is looked through, in bytes.
const MAX_ENVIRONMENT_BYTES: u64 = 1024 * 1024;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody who is known for an agent.
    Person,
    /// It descends from this recorded harness process, or is it.
    Agent {
        /// The harness.
        pid: u32,
    },
    /// Its ancestors cannot be seen from here: it lives in another PID namespace, or whoever is above it does.
    Elsewhere,
}

/// Who the process `pid` is, as this process's `/proc` numbers it; `None` is one that it does not show.
pub fn caller(store: &Store, pid: Option<u32>) -> Result<Caller, StoreError> {
    let Some(boot) = ProcFs.boot_id() else { return Ok(Caller::Person) };
    let Some(pid) = pid else { return Ok(Caller::Elsewhere) };
    let own = ProcFs.namespace();
    let known = store.harness_processes(&boot, own)?;
    if let Some((pid, _)) = ancestry(&ProcFs, pid).into_iter().find(|process| known.contains(process)) {
        return Ok(Caller::Agent { pid });
    }
    if ProcFs::depth(pid) != Some(0) {
        return Ok(Caller::Elsewhere);
    }
    // Where processes begin anew, the ancestors end too early to tell: a session outside may have begun them. One that
    // runs its tools in a sandbox leaves its name in their environment, too.
    if own != Some(FIRST_NAMESPACE) && (store.has_sessions_outside(&boot, own)? || names_session(store, pid)?) {
        return Ok(Caller::Elsewhere);
    }
    Ok(Caller::Person)
}

/// Whether the environment that `pid` was started with names a session that is known and has not ended.
fn names_session(store: &Store, pid: u32) -> Result<bool, StoreError> {
    let mut bytes = Vec::new();
    let _ = File::open(format!("/proc/{pid}/environ"))
        .and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut bytes));
    let variables =
        || bytes.split(|byte| *byte == 0).filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
    for harness in Harness::ALL {
        let Some(name) = harness.spec().session_variable else { continue };
        let named = variables().find(|(variable, _)| *variable == name);
        let Some(key) = named.and_then(|(_, id)| SessionKey::new(harness, id)) else { continue };
        let rows = store.sessions_named(&key.session_id, 10)?;
        if rows.iter().any(|row| row.key() == key && row.ended_at_ms.is_none()) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Caller {
    /// What a caller that is no operator is told of an operator's `action`, and what is noted of it; `None` for a person.
    pub fn refusal(self, action: &str) -> Option<Refusal> {
        let (why, detail) = match self {
            Self::Person => return None,
            Self::Agent { pid } => (
                format!("this caller runs inside a recorded agent session (harness pid {pid})"),
                format!("descends from harness pid {pid}"),
            ),
            Self::Elsewhere => (
                "this caller runs in another process namespace, such as a sandbox or a container, so that it cannot be \
                 told from an agent"
                    .to_owned(),
                "calls from another process namespace".to_owned(),
            ),
        };
        let told = format!("refused: `{action}` is the operator's, and {why}");
        Some(Refusal { told: Failure::new(ErrorCode::OperatorOnly, told), detail })
    }
}

/// That somebody is refused what is the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller is told.
    pub told: Failure,
    /// What is noted of it.
    pub detail: String,
}
