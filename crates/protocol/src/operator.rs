//! Who asks for what is the operator's, and what was done where nobody saw it.

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;

/// What a caller is, as far as that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// Somebody at a terminal, with no harness above.
    Person,
    /// No harness is above, and no terminal: `cron`, a command over ssh, CI, or what an agent has cut loose from itself.
    Unattended,
    /// A harness is above.
    Agent,
    /// It lives in another PID namespace, or whoever is above it does.
    Elsewhere,
    /// It had ended before it could be looked at.
    Vanished,
}

impl CallerKind {
    /// The word for it in files and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Unattended => "unattended",
            Self::Agent => "agent",
            Self::Elsewhere => "elsewhere",
            Self::Vanished => "vanished",
        }
    }

    /// The same for people.
    pub const fn described(self) -> &'static str {
        match self {
            Self::Person => "somebody at a terminal",
            Self::Unattended => "somebody without a terminal",
            Self::Agent => "an agent",
            Self::Elsewhere => "somebody in another process namespace",
            Self::Vanished => "somebody who had ended",
        }
    }
}

/// A process that asked, or one above it. Arguments are not kept: they may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerProcess {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Name of the command as the kernel keeps it.
    pub name: String,
}

/// The chain on one line, the caller first.
pub fn chain_text(chain: &[CallerProcess]) -> String {
    let names: Vec<_> = chain.iter().map(|process| format!("{} ({})", process.name, process.pid)).collect();
    if names.is_empty() { "nobody that could be seen".to_owned() } else { names.join(" < ") }
}

/// Something of the operator's that was done without a terminal, and that no person has marked as seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnattendedAct {
    /// Its number; later ones have larger ones.
    pub id: i64,
    /// When.
    pub at_ms: UnixMillis,
    /// What, as it is typed.
    pub action: String,
    /// What more there is to say.
    pub detail: String,
    /// The caller and its ancestors, nearest first.
    pub chain: Vec<CallerProcess>,
}

/// Asks what was done without a terminal, and is not marked as seen, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUnattended {}

/// Marks such acts as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkSeen {
    /// The last one that was shown: what came since stays unseen.
    pub up_to: i64,
}

impl MarkSeen {
    /// As it is typed.
    pub const ACTION: &str = "status --seen";
}

/// Answer of [`MarkSeen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedSeen {
    /// How many were marked.
    pub marked: u64,
}

/// Asks whether the caller may do what is the operator's and is done elsewhere (`installer uninstall`): the authority may see
/// of the caller what the caller does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskLeave {
    /// What is to be done, as it is typed.
    pub action: String,
}

/// Answer of [`AskLeave`]: it may, and that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveGiven {}
