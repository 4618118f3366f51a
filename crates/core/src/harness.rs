//! The harnesses: what they tell a hook, what a hook may answer, and what else is known of them.
//!
//! [`claude`] and [`codex`] are the only two places that know a dialect, and hold the harness's row ([`Spec`]);
//! everything else sees [`Event`] and [`Reply`]. Unknown fields are ignored and unknown events skipped, because both
//! clients grow new ones.

pub mod claude;
pub mod codex;
pub mod registration;
mod spec;
pub mod variables;
mod wire;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::registration::HooksLost;
pub use self::spec::{
    BlockCap, EventName, SaysTargets, Spec, VariableFormat, VariablePlace, WRITTEN_FIELDS, WritingTool,
};
use crate::session::SessionKey;
use crate::text;

/// A coding-agent client that runs hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Harness {
    /// Anthropic's Claude Code.
    Claude,
    /// `OpenAI`'s Codex CLI.
    Codex,
}

impl Harness {
    /// All harnesses.
    pub const ALL: [Self; 2] = [Self::Claude, Self::Codex];

    /// The one that is meant where none is named.
    pub const DEFAULT: Self = Self::ALL[0];

    /// Its row.
    pub const fn spec(self) -> &'static Spec {
        match self {
            Self::Claude => &claude::SPEC,
            Self::Codex => &codex::SPEC,
        }
    }

    /// Files in `place` that give variables to its hooks. Not in the row, either.
    pub fn variable_files(self, place: VariablePlace<'_>) -> Vec<(PathBuf, VariableFormat)> {
        match self {
            Self::Claude => claude::variable_files(place),
            Self::Codex => codex::variable_files(place),
        }
    }

    /// Files in `place` in which its features are switched, in TOML; none where it keeps that with its hooks.
    pub fn config_files(self, place: VariablePlace<'_>) -> Vec<PathBuf> {
        match self {
            Self::Claude => Vec::new(),
            Self::Codex => codex::config_files(place),
        }
    }

    /// The command that takes the session with this id up again. Not in the row: hooks do without it.
    pub(crate) fn resume(self, id: &str) -> Vec<String> {
        match self {
            Self::Claude => claude::resume(id),
            Self::Codex => codex::resume(id),
        }
    }

    /// The name used as the hooks' argument, in the store and on screen.
    pub const fn name(self) -> &'static str {
        self.spec().name
    }
}

impl std::fmt::Display for Harness {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

impl std::str::FromStr for Harness {
    type Err = UnknownHarness;

    fn from_str(name: &str) -> Result<Self, UnknownHarness> {
        Self::ALL.into_iter().find(|harness| harness.name() == name).ok_or(UnknownHarness)
    }
}

/// The name is that of no harness this version speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownHarness;

/// Longest part of the last assistant message that is kept: its end, where an agent says why it stops.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024;
/// Longest part of a person's prompt that is kept: its beginning.
pub const MAX_PROMPT_BYTES: usize = 4 * 1024;

/// A hook's payload, without its dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which session speaks.
    pub key: SessionKey,
    /// The session's working directory, if it is absolute.
    pub cwd: Option<PathBuf>,
    /// The session's transcript.
    #[serde(alias = "transcriptPath")]
    pub transcript_path: Option<PathBuf>,
    /// The model, where the harness says it.
    pub model: Option<String>,
    /// How freely the agent may act, in the harness's words.
    #[serde(alias = "permissionMode")]
    pub permission_mode: Option<String>,
    /// Set when a subagent speaks, not the session itself.
    #[serde(alias = "agentId")]
    pub agent_id: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name")]
pub enum EventKind {
    /// A session began, or went on under a new or an old id.
    SessionStart {
        /// How.
        source: StartSource,
    },
    /// A session ended.
    SessionEnd {
        /// Why, in the harness's words (`clear`, `other`, `prompt_input_exit`, ...).
        reason: Option<String>,
    },
    /// The person sent a prompt.
    UserPromptSubmit {
        /// Its beginning.
        prompt: String,
    },
    /// The agent is about to use a tool.
    PreToolUse(ToolCall),
    /// The agent asks the person whether it may use a tool.
    PermissionRequest {
        /// Which.
        tool: Option<String>,
    },
    /// The agent wants to end its turn.
    Stop(Stop),
    /// The person ended a turn before it ended by itself: no stop follows.
    Interrupt,
    /// A subagent ended.
    SubagentStop,
    /// A settings file has changed while the session ran.
    ConfigChange {
        /// Which, if the harness says it.
        file: Option<PathBuf>,
        /// What the hook saw missing in it; not part of the payload.
        lost: Option<Box<HooksLost>>,
    },
    /// Compaction of the conversation begins.
    PreCompact,
    /// Compaction of the conversation is done.
    PostCompact,
}

impl EventKind {
    /// The harnesses' name of the event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SessionStart { .. } => "SessionStart",
            Self::SessionEnd { .. } => "SessionEnd",
            Self::UserPromptSubmit { .. } => "UserPromptSubmit",
            Self::PreToolUse(_) => "PreToolUse",
            Self::PermissionRequest { .. } => "PermissionRequest",
            Self::Stop(_) => "Stop",
            Self::Interrupt => "Interrupt",
            Self::SubagentStop => "SubagentStop",
            Self::ConfigChange { .. } => "ConfigChange",
            Self::PreCompact => "PreCompact",
            Self::PostCompact => "PostCompact",
        }
    }
}

/// How a session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartSource {
    /// Anew.
    Startup,
    /// Continued under its old id.
    Resume,
    /// Branched off another, under a new id.
    Fork,
    /// After `/clear`, under a new id.
    Clear,
    /// After compaction, under its old id.
    Compact,
    /// In a way this version does not know.
    #[serde(other)]
    Other,
}

impl StartSource {
    /// The word in the store and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Resume => "resume",
            Self::Fork => "fork",
            Self::Clear => "clear",
            Self::Compact => "compact",
            Self::Other => "other",
        }
    }
}

/// A tool that is about to be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// Its name, in the harness's words.
    pub tool: String,
    /// The harness's id of this call.
    pub use_id: Option<String>,
    /// What the model gave it. It stays in the hook: it may hold secrets, and whole files.
    #[serde(skip)]
    pub input: Value,
}

/// The agent's wish to end its turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// A stop hook has already kept this turn going.
    #[serde(alias = "stopHookActive")]
    pub stop_hook_active: bool,
    /// The end of what the agent said last.
    #[serde(alias = "lastAssistantMessage")]
    pub last_assistant_message: String,
    /// The harness's id of the prompt that the turn began with, where its transcript has it too.
    pub prompt_id: Option<String>,
    /// Background tasks that still run, and scheduled wake-ups.
    #[serde(alias = "pendingTasks")]
    pub pending_tasks: usize,
    /// How many of those are teammates: one that waits for work is reported as one that works.
    pub teammates: usize,
    /// When those that are scheduled wake the session, as `cron` writes it, in the time of day of the machine.
    pub schedules: Vec<String>,
    /// Command lines of those that are shells, where they are told. Some never end, and wake nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shells: Vec<String>,
}

impl Stop {
    /// The tasks that wake the session when they are done, whatever else there is.
    pub fn surely_waking(&self) -> usize {
        let others = self.teammates + self.schedules.len() + self.shells.len();
        self.pending_tasks.saturating_sub(others)
    }
}

/// What came of reading a payload.
#[expect(clippy::large_enum_variant, reason = "a hook has one of them")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// An event of a known kind.
    Known(Event),
    /// An event this version has no use for.
    Unknown {
        /// Its name in the payload.
        name: String,
    },
}

/// Why a payload is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadError {
    /// Not a JSON object with fields of the documented types. The text says where, not what.
    Json(String),
    /// No plausible session id: nobody to hold to anything.
    NoSession,
    /// Neither the hook's argument nor the payload's shape says which harness speaks.
    NoHarness,
}

impl std::fmt::Display for PayloadError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(detail) => write!(out, "payload is not understood: {detail}"),
            Self::NoSession => out.write_str("payload has no session id"),
            Self::NoHarness => out.write_str("cannot tell which harness sent the payload"),
        }
    }
}

/// Reads a payload. `harness` is the hook's argument; without it the payload's shape decides.
pub fn parse(harness: Option<Harness>, bytes: &[u8]) -> Result<Payload, PayloadError> {
    let mut wire = wire::RawPayload::of(bytes)?;
    let harness = harness.or_else(|| recognised(&wire)).ok_or(PayloadError::NoHarness)?;
    let mut read = (harness.spec().read)(&wire)?;
    if let Payload::Known(Event { kind: EventKind::PreToolUse(call), .. }) = &mut read {
        call.input = wire.take_input();
    }
    Ok(read)
}

/// The one harness whose marks `wire` has.
fn recognised(wire: &wire::RawPayload) -> Option<Harness> {
    let mut those = Harness::ALL.into_iter().filter(|harness| (harness.spec().recognises)(wire));
    those.next().filter(|_| those.next().is_none())
}

/// What a hook tells its harness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The turn may end, or the tool be used: nothing is printed.
    Allow,
    /// The turn may end, and the person is told something; the model is not.
    Note {
        /// What.
        text: String,
    },
    /// The turn goes on with this text for the model.
    Block {
        /// Why, and what to do next.
        reason: String,
    },
    /// The tool may be used, and the model is told something beside.
    Context {
        /// What.
        text: String,
    },
    /// The session or turn that begins goes on, and the model is told something beside.
    Told {
        /// The event that is answered, one that takes this ([`EventName::SessionStart`], [`EventName::UserPromptSubmit`]).
        event: EventName,
        /// What.
        text: String,
    },
    /// The tool is not used, and the model is told this instead of its result.
    Deny {
        /// Why, and what to do next.
        reason: String,
    },
}

impl Reply {
    /// What to print on standard output for `harness`; `None` prints nothing at all. A block without a reason is
    /// an allow: a verdict needs a positive reason.
    pub fn render(&self, harness: Harness) -> Option<String> {
        let filled = |text: &'_ str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        match self {
            Self::Allow => None,
            // All know it, and show it to the person alone.
            Self::Note { text } => Some(json!({ "systemMessage": filled(text)? }).to_string()),
            Self::Block { reason } => (harness.spec().block)(&filled(reason)?),
            Self::Context { text } => output(harness, "PreToolUse", "\"additionalContext\":", &filled(text)?),
            Self::Told { event, text } => output(harness, event.name(), "\"additionalContext\":", &filled(text)?),
            Self::Deny { reason } => {
                let deny = "\"permissionDecision\":\"deny\",\"permissionDecisionReason\":";
                output(harness, "PreToolUse", deny, &filled(reason)?)
            }
        }
    }
}

/// The answer to `event` with `said` as the last of its `fields`. Both harnesses take the same, and Codex drops an answer with
/// any other. Put together by hand: a map of values takes 10 KiB of each hook.
fn output(harness: Harness, event: &str, fields: &str, said: &str) -> Option<String> {
    let said = serde_json::to_string(text::head(said, harness.spec().most_said)).ok()?;
    Some(format!("{{\"hookSpecificOutput\":{{\"hookEventName\":\"{event}\",{fields}{said}}}}}"))
}

#[cfg(test)]
mod tests;
