//! Tells the operator from the agents. A caller with a harness above it is an agent, and agents do not loosen what holds
//! them. A caller of whom that cannot be told, because it comes out of a sandbox or a container or has ended, is no operator
//! either. One that has neither a harness nor a terminal above it may act, and the person is shown that it did.
//!
//! Only what the kernel says now makes a harness of a process; the registry adds those that it has seen proven before.
//! This is drift correction, not a security boundary: an agent of the same user can write the files itself.

use stopgate_core::process::{Ancestor, Ancestry, FIRST_NAMESPACE, ProcFs, ProcessTable as _, Top};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{CallerKind, CallerProcess, ErrorCode, Failure};
use stopgate_store::{OperatorAction, Store, StoreError};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What it is.
    pub kind: CallerKind,
    /// The nearest harness above it, if it is an agent.
    pub harness: Option<u32>,
    /// It and its ancestors, nearest first.
    pub chain: Vec<CallerProcess>,
}

impl Caller {
    /// One that had ended before it was looked at.
    pub const fn vanished() -> Self {
        Self { kind: CallerKind::Vanished, harness: None, chain: Vec::new() }
    }

    /// Who the process `pid` is, as this process's `/proc` numbers it; `None` is one that it does not show. Without a store,
    /// or where that cannot be read, what the kernel says has to do.
    pub fn of(store: Option<&Store>, pid: Option<u32>) -> Self {
        let Some(pid) = pid else { return Self { kind: CallerKind::Elsewhere, ..Self::vanished() } };
        let ancestry = Ancestry::of(&ProcFs, pid);
        let chain = ancestry.ancestors.iter().map(|ancestor| CallerProcess {
            pid: ancestor.pid,
            start_ticks: ancestor.start_ticks,
            name: ancestor.command.clone(),
        });
        let mut caller = Self { chain: chain.collect(), ..Self::vanished() };
        caller.harness = harness_above(store, &ancestry);
        caller.kind = match (caller.harness, ancestry.top) {
            (Some(_), _) => CallerKind::Agent,
            (None, Top::Lost) => CallerKind::Vanished,
            (None, Top::Reached | Top::Hidden) => Self::alone(store, pid, &ancestry),
        };
        caller
    }

    /// What `pid` is, above whom there is no harness that can be seen.
    fn alone(store: Option<&Store>, pid: u32, ancestry: &Ancestry) -> CallerKind {
        match ProcFs::depth(pid) {
            Some(0) => {}
            Some(_) => return CallerKind::Elsewhere,
            None => return CallerKind::Vanished,
        }
        // Where processes begin anew, the ancestors end too early to tell: a session outside may have begun them. One that
        // runs its tools in a sandbox leaves its name in their environment, too.
        let own = ProcFs.namespace();
        let may_be_below = |store: &Store| {
            let boot = ProcFs.boot_id().unwrap_or_default();
            Ok::<_, StoreError>(store.has_sessions_outside(&boot, own)? || names_session(store, pid)?)
        };
        if own != Some(FIRST_NAMESPACE) && store.is_some_and(|store| may_be_below(store).unwrap_or(false)) {
            return CallerKind::Elsewhere;
        }
        match ProcFs::has_terminal(pid) {
            Some(true) => CallerKind::Person,
            Some(false) if lost_its_terminal(ancestry) => CallerKind::Person,
            Some(false) => CallerKind::Unattended,
            None => CallerKind::Vanished,
        }
    }

    /// What a caller that may not do an operator's `action` is told of it, and what is noted of it. `terminal_only` is
    /// `[operator] terminal_only`.
    pub fn refusal(&self, action: &str, terminal_only: bool) -> Option<Refusal> {
        let (why, detail) = match self.kind {
            CallerKind::Person => return None,
            CallerKind::Unattended if !terminal_only => return None,
            CallerKind::Unattended => (
                "this caller has no terminal, which `[operator] terminal_only` asks for".to_owned(),
                "has no terminal".to_owned(),
            ),
            CallerKind::Agent => {
                let pid = self.harness.unwrap_or_default();
                (
                    format!("this caller runs inside an agent session (harness pid {pid})"),
                    format!("descends from harness pid {pid}"),
                )
            }
            CallerKind::Elsewhere => (
                "this caller runs in another process namespace, such as a sandbox or a container, so that it cannot be \
                 told from an agent"
                    .to_owned(),
                "calls from another process namespace".to_owned(),
            ),
            CallerKind::Vanished => (
                "whoever connected has ended, so that it cannot be told from an agent".to_owned(),
                "had ended before it was looked at".to_owned(),
            ),
        };
        let told = format!("refused: `{action}` is the operator's, and {why}");
        Some(Refusal { told: Failure::new(ErrorCode::OperatorOnly, told), detail })
    }

    /// The same for what only a person at a terminal may do.
    pub fn refusal_without_terminal(&self, action: &str) -> Option<Refusal> {
        let refusal = self.refusal(action, true)?;
        if self.kind != CallerKind::Unattended {
            return Some(refusal);
        }
        let told = format!("refused: `{action}` is for a person at a terminal");
        Some(Refusal { told: Failure::new(ErrorCode::OperatorOnly, told), ..refusal })
    }

    /// The act as it is noted.
    pub fn act<'a>(&'a self, at_ms: i64, action: &'a str, done: bool, detail: &'a str) -> OperatorAction<'a> {
        OperatorAction { at_ms, action, done, caller: self.kind, chain: &self.chain, detail }
    }
}

/// Programs with which a person becomes another user, and which take the terminal from what they start (`su -c`, `runuser -c`)
/// while they wait for it at theirs.
const CHANGES_USER: [&str; 5] = ["su", "runuser", "sudo", "doas", "pkexec"];

/// Whether a caller without a terminal was started by a person who changed their user at one. One that has left its ancestors
/// has no such program above it.
fn lost_its_terminal(ancestry: &Ancestry) -> bool {
    let mut above = ancestry.ancestors.iter();
    above.any(|ancestor| CHANGES_USER.contains(&&*ancestor.command) && ProcFs::has_terminal(ancestor.pid) == Some(true))
}

/// The nearest harness at or above the caller.
fn harness_above(store: Option<&Store>, ancestry: &Ancestry) -> Option<u32> {
    let recorded =
        store.zip(ProcFs.boot_id()).and_then(|(store, boot)| store.harness_processes(&boot, ProcFs.namespace()).ok());
    let recorded = recorded.unwrap_or_default();
    let is_recorded = |ancestor: &Ancestor| recorded.contains(&(ancestor.pid, ancestor.start_ticks));
    ancestry.harness(&ProcFs, &is_recorded).map(|(ancestor, _)| ancestor.pid)
}

/// Whether the environment that `pid` was started with names a session that is known and has not ended.
fn names_session(store: &Store, pid: u32) -> Result<bool, StoreError> {
    let bytes = ProcFs.environment(pid);
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

/// That somebody is refused what is the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the caller is told.
    pub told: Failure,
    /// What is noted of it.
    pub detail: String,
}
