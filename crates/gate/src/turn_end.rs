//! What is on record of how the turn ended, as evidence for or against what the agent says of it.

use serde::{Deserialize, Serialize};

/// What the end of the transcript shows of the turn, besides the agent's last words. Unknown is no evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TurnEnd {
    /// A tool call near the end failed, and none like it succeeded after that: its tool, and the first line of what it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_call: Option<String>,
    /// A tool call was refused, by the person or by the client's permissions, and none like it was allowed after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_call: Option<String>,
    /// How full the context window was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<ContextUsage>,
    /// An item of the task list was begun or finished since the person's last prompt.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tasks_moved: bool,
    /// The session is not interactive (`claude -p`, `codex exec`): a script reads its answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub headless: bool,
}

impl TurnEnd {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// How full a context window is, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextUsage {
    /// Tokens of the last request.
    pub used: u64,
    /// Tokens that the model takes.
    pub window: u64,
}
