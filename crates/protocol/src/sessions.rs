//! Sessions, as the registry knows them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use stopgate_coordination::fence::FenceVerdict;
use stopgate_core::clock::UnixMillis;
use stopgate_core::harness::registration::HooksLost;
use stopgate_core::process::{Liveness, ProcessIdentity};
use stopgate_core::session::state::{ClientStatus, SessionState, Turn};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::tmux::TmuxPlace;
use stopgate_gate::asked::AskedAt;

/// Asks for sessions, the last active first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListSessions {
    /// Also those that are over.
    #[serde(deserialize_with = "flag", skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only those whose id begins so, whether or not they are over.
    #[serde(deserialize_with = "crate::beginning", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A flag as programs send it, `true`, and as people type it, `1`.
fn flag<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    Ok(!matches!(String::deserialize(field)?.as_str(), "" | "0" | "false"))
}

/// Gives a session another name, as the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameSession {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What it is to be called.
    pub name: String,
}

impl RenameSession {
    /// What is asked, by the session's id.
    pub fn action(&self) -> String {
        format!("rename {}", SessionKey { harness: self.harness, session_id: self.session_id.clone() })
    }
}

/// Answer of [`RenameSession`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRenamed {
    /// What it is called.
    pub name: String,
    /// What it was called.
    pub was: Option<String>,
}

/// Ends a session, as the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSession {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
}

impl EndSession {
    /// What is asked, by the session's name.
    pub fn action(&self) -> String {
        format!("end {}", SessionKey { harness: self.harness, session_id: self.session_id.clone() })
    }
}

/// Answer of [`EndSession`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// How it was ended: `terminated` on SIGTERM, or `killed`.
    pub how: String,
    /// Whether its tmux pane was closed, too.
    pub pane_closed: bool,
    /// The line that takes it up again.
    pub resume_command: String,
}

/// One row of the answer of [`ListSessions`]. Field names are snake case, as scripts read them from `stopgate sessions --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What people and agents call it; unique among sessions that live.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is doing.
    pub state: SessionState,
    /// Whether its process lives.
    pub liveness: Liveness,
    /// Whose turn it is since the last event that says so; `null` if none did.
    pub turn: Option<Turn>,
    /// When that event was.
    pub turn_at_ms: Option<UnixMillis>,
    /// What it waits for, for people: `a prompt`, `permission for Bash`, `2 background tasks`.
    pub waits_for: Option<String>,
    /// Background tasks that ran when the agent last stopped.
    pub pending_tasks: u32,
    /// When the gate last sent it back to its work.
    pub held_at_ms: Option<UnixMillis>,
    /// First start, milliseconds UTC; never moves. `null` when only later events were seen.
    pub started_at_ms: Option<UnixMillis>,
    /// How it began.
    pub source: Option<String>,
    /// When it ended, or was retired because another one continues it after `/clear`.
    pub ended_at_ms: Option<UnixMillis>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Last event of any kind.
    pub last_event: Option<String>,
    /// When that was.
    pub last_event_at_ms: Option<UnixMillis>,
    /// When the last event of each kind was.
    pub last_events: BTreeMap<String, UnixMillis>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Working directory at the start.
    pub start_cwd: Option<PathBuf>,
    /// Top of the main checkout.
    pub checkout: Option<PathBuf>,
    /// Commit checked out at the start.
    pub head_at_start: Option<String>,
    /// Hash of the uncommitted changes at the start; `null` when it was not taken.
    pub dirty_at_start: Option<String>,
    /// Transcript.
    pub transcript_path: Option<PathBuf>,
    /// Model.
    pub model: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// Place in tmux.
    pub tmux: Option<TmuxPlace>,
    /// The harness process, as recorded.
    pub harness_process: Option<ProcessIdentity>,
    /// Memory of the harness process and all its descendants, in bytes; pages that several share count for each.
    pub memory_bytes: Option<u64>,
    /// Name of the machine.
    pub host: Option<String>,
    /// Settings that lost our hooks while the session ran, unless those have been heard of since.
    #[serde(default)]
    pub hooks_lost: Option<LostAt>,
    /// What keeps its hooks from working, if they are called in vain.
    #[serde(default)]
    pub hooks_silenced: Option<SilencedHooks>,
    /// When its hooks were last heard, if it goes on without them: its transcript has a later prompt that none reported.
    #[serde(default)]
    pub silent_since_ms: Option<UnixMillis>,
    /// What its client says of itself, where it says so and can be believed.
    #[serde(default)]
    pub told: Option<ToldByClient>,
    /// What the person asked for last, as far as it is known.
    #[serde(default)]
    pub asked: Option<AskedAt>,
    /// What it holds by leases that it has asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<String>,
    /// What the fence made of its calls; nothing where the fence is off, or had nothing to do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<SessionFence>,
    /// Id of the session this one continues after `/clear` or as a fork.
    pub predecessor: Option<String>,
    /// Id of the session that continues this one after `/clear`.
    pub successor: Option<String>,
    /// When the machine was booted, by the time of day as it was at the last event: with that, durations can be told by a
    /// clock that nobody sets.
    #[serde(default)]
    pub booted_at_ms: Option<UnixMillis>,
    /// The time of day was set while it ran: times that had been in the future were cut.
    #[serde(default)]
    pub clock_set: bool,
    /// The line that takes the session up again in a shell.
    pub resume_command: String,
}

/// The fence, as one session knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFence {
    /// It shares a working tree, and none of its writes has come to the fence.
    pub is_unfenced: bool,
    /// Calls that were refused; in shadow, that would have been. Those of the days for which verdicts are kept.
    pub denials: u64,
    /// What became of its last call.
    pub last: Option<FenceVerdict>,
    /// When that was.
    pub last_at_ms: Option<UnixMillis>,
    /// Files that it was seen to write while others lived there, and that count as its own.
    pub observed: u64,
}

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldByClient {
    /// What it does.
    pub status: ClientStatus,
    /// What it waits for, in its words.
    pub waiting_for: Option<String>,
    /// Since when.
    pub at_ms: UnixMillis,
}

/// Hooks that a variable keeps from working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencedHooks {
    /// When one of them was last called.
    pub at_ms: UnixMillis,
    /// The variable with its value.
    pub by: String,
}

/// Hooks that a session lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostAt {
    /// When the last of them said so.
    pub at_ms: UnixMillis,
    /// What was lost, and where.
    #[serde(flatten)]
    pub lost: HooksLost,
}

impl SessionRow {
    /// The session's identity.
    pub fn key(&self) -> SessionKey {
        SessionKey { harness: self.harness, session_id: self.session_id.clone() }
    }
}
