//! What came out of a session, as tests read it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One session: what the client did and, above all, what the model was given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The client's exit code; `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Whether the driver had to kill it.
    pub timed_out: bool,
    /// How long it ran.
    pub wall_ms: u64,
    /// The id that the session began with.
    pub session_id: Option<String>,
    /// All of its ids, in order: `/clear` makes a new one.
    pub session_ids: Vec<String>,
    /// One for each prompt.
    pub results: Vec<PromptResult>,
    /// Model requests that offered tools: the conversation, subagents included.
    pub main_requests: usize,
    /// Model requests without tools.
    pub side_requests: usize,
    /// Method and path of every other request.
    pub other_requests: Vec<String>,
    /// Which scripted turn answered each main request.
    pub answers: Vec<String>,
    /// For each main request, what the user and system roles said that the main request before it had not. (A
    /// subagent's requests stand among the others, so around one the whole conversation counts as new again.) What
    /// the client tells every model about itself is cut to `[environment]`.
    pub new_texts: Vec<Vec<NewText>>,
    /// What hooks got across to the model.
    pub hook_texts: Vec<HookText>,
    /// The client's own account of its hooks, in order. It has none of `SessionEnd`.
    pub hook_events: Vec<HookEvent>,
    /// The tool results that the client sent to the model.
    pub tool_results: Vec<String>,
    /// The end of the client's stderr.
    pub stderr: String,
    /// The transcript of `session_id`, if it was written.
    pub transcript: Option<PathBuf>,
}

/// How one prompt ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PromptResult {
    /// `success`, `error_max_turns`, ...
    pub subtype: String,
    /// Whether the client calls it an error.
    pub is_error: bool,
    /// The assistant's last words.
    #[serde(rename = "result")]
    pub text: String,
    /// Model turns it took.
    pub num_turns: u64,
    /// Why the turn ended, such as `stop_hook_prevented`.
    pub terminal_reason: Option<String>,
}

/// A text that a main request added.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NewText {
    /// `user` or `system`.
    pub role: String,
    /// Whether it is the result of a tool.
    pub tool_result: bool,
    /// The text, whole.
    pub text: String,
}

/// Which of the client's wrappings a hook's text arrived in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookTextKind {
    /// A blocked stop, in the user's role: `Stop hook feedback:`.
    Feedback,
    /// `additionalContext`.
    Context,
    /// Plain stdout of `SessionStart` or `UserPromptSubmit`.
    Stdout,
    /// A block, in the system's role; the text starts with the quoted command line.
    BlockingError,
    /// A tool call that was denied, as the tool's result.
    Denied,
}

/// A hook's text that reached the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookText {
    /// Index of the main request that brought it.
    pub request: usize,
    /// In whose role.
    pub role: String,
    /// In which wrapping.
    pub kind: HookTextKind,
    /// The hook as the client names it: `Stop`, `PreToolUse:Bash`, `SessionStart:startup`.
    pub hook: String,
    /// What the hook said, without the wrapping.
    pub text: String,
}

/// A `hook_started` or `hook_response` event of the client's stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HookEvent {
    /// `hook_started` or `hook_response`.
    pub subtype: String,
    /// `Stop`, `PreToolUse`, ...
    pub hook_event: String,
    /// The same with its matcher: `PreToolUse:Bash`.
    pub hook_name: String,
    /// Joins a response to its start.
    pub hook_id: String,
    /// `success`, `error` or `cancelled`.
    pub outcome: Option<String>,
    /// The hook's exit code.
    pub exit_code: Option<i32>,
    /// The hook's stdout.
    pub stdout: String,
    /// The hook's stderr.
    pub stderr: String,
}

impl Summary {
    /// How the last prompt ended.
    pub fn last_result(&self) -> Option<&PromptResult> {
        self.results.last()
    }

    /// The reasons of blocked stops that reached the model, in order.
    pub fn feedback(&self) -> Vec<&str> {
        self.hook_texts_of(HookTextKind::Feedback)
    }

    /// The hook texts of one kind, in order.
    pub fn hook_texts_of(&self, kind: HookTextKind) -> Vec<&str> {
        self.hook_texts.iter().filter(|text| text.kind == kind).map(|text| text.text.as_str()).collect()
    }

    /// Whether `needle` reached the model in any user or system text or tool result.
    pub fn model_received(&self, needle: &str) -> bool {
        self.new_texts.iter().flatten().any(|text| text.text.contains(needle))
    }

    /// The answers of the hooks of one event, such as `Stop`, in order.
    pub fn hook_responses(&self, event: &str) -> Vec<&HookEvent> {
        let responses = self.hook_events.iter().filter(|hook| hook.subtype == "hook_response");
        responses.filter(|hook| hook.hook_event == event).collect()
    }
}
