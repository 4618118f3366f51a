//! Claude Code's lines (2.1.197 to 2.1.332): `TodoWrite`, or `TaskCreate`, `TaskUpdate`, `TaskList`, `TaskGet`. Neither is
//! offered by itself in the newest.

use serde_json::{Map, Value};
use stopgate_core::text::one_line;

use super::calls::{CallOutcome, Calls};
use super::files::Access;
use super::{LastTurn, MAX_TASK_CHARS, Reader, TaskStatus, shown, text_of};
use crate::turn_end::ContextUsage;
use stopgate_core::person;
use stopgate_core::session::Harness;

/// One of these stands in every line that tells something.
pub(super) const MARKS: [&str; 2] = ["\"assistant\"", "\"user\""];

const IDLE: &str = "\"type\":\"idle_notification\"";

impl Reader {
    pub(super) fn claude(&mut self, line: &Map<String, Value>) {
        // A subagent's doings are not the session's.
        if line.get("isSidechain").and_then(Value::as_bool) == Some(true) {
            return;
        }
        let content = line.get("message").and_then(|message| message.get("content"));
        match (text_of(line, "type"), content) {
            (Some("assistant"), Some(Value::Array(blocks))) => {
                // What the client itself says in the agent's place.
                let is_error = line.get("isApiErrorMessage").and_then(Value::as_bool) == Some(true);
                self.turn.failed = is_error;
                if let Some(usage) = line.get("message").and_then(usage) {
                    self.usage = usage.known();
                }
                for block in blocks.iter().filter(|block| block["type"] == "tool_use") {
                    let call = block["id"].as_str().unwrap_or_default();
                    let cwd = text_of(line, "cwd");
                    self.claude_tool(block["name"].as_str().unwrap_or_default(), call, &block["input"], cwd);
                }
            }
            (Some("user"), Some(Value::Array(blocks))) => {
                let mut is_prompt = true;
                for block in blocks.iter().filter(|block| block["type"] == "tool_result") {
                    self.result(block, line);
                    is_prompt = false;
                }
                // One with a picture.
                if is_prompt && person::is_prompt(Harness::Claude, line) {
                    self.turn = LastTurn::default();
                    self.prompted();
                }
            }
            (Some("user"), Some(Value::String(text))) => {
                let is = |name: &str| line.get(name).and_then(Value::as_bool) == Some(true);
                // What a hook says, and the summary of what was compacted, begin no turn.
                let goes_on = is("isMeta") || is("isCompactSummary");
                let calls = std::mem::take(&mut self.turn.calls);
                self.turn = LastTurn { calls: if goes_on { calls } else { Calls::default() }, ..LastTurn::default() };
                if person::is_prompt(Harness::Claude, line) {
                    self.prompted();
                }
                self.message(text);
            }
            _ => {}
        }
    }

    fn claude_tool(&mut self, tool: &str, call: &str, input: &Value, cwd: Option<&str>) {
        let command = input["command"].as_str().filter(|_| matches!(tool, "Bash" | "PowerShell"));
        self.calls(call, tool, command, matches!(tool, "AskUserQuestion" | "ExitPlanMode"));
        match tool {
            "TodoWrite" => self.rewrite(call, &input["todos"], "content"),
            "TaskCreate" => {
                // Its id comes with the result.
                self.task(Some(String::new()), call, input["subject"].as_str(), Some(TaskStatus::Pending));
            }
            "TaskUpdate" => self.update(input),
            "Agent" | "Task" => {
                if let Some(name) = input["name"].as_str() {
                    self.teammate(name, false);
                }
            }
            "SendMessage" => {
                if let Some(name) = input["to"].as_str().filter(|name| self.done.teammates.contains_key(*name)) {
                    self.teammate(name, false);
                }
            }
            "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => self.files.edit(call, cwd, input),
            "Read" => {
                if let Some(file) = input["file_path"].as_str() {
                    self.files.note(call, cwd, file, Access::Read);
                }
            }
            "Bash" => {
                if let Some(command) = input["command"].as_str() {
                    self.files.command(call, cwd, command);
                }
            }
            "ExitPlanMode" => self.files.shows_plan(call),
            _ => {}
        }
    }

    /// What a tool answered in `line`, which has the client's own form of it, too.
    fn result(&mut self, result: &Value, line: &Map<String, Value>) {
        let told = line.get("toolUseResult").unwrap_or(&Value::Null);
        let call = result["tool_use_id"].as_str().unwrap_or_default();
        let text = match &result["content"] {
            Value::String(text) => text.as_str(),
            Value::Array(blocks) => blocks.iter().find_map(|block| block["text"].as_str()).unwrap_or_default(),
            _ => "",
        };
        let is_error = result["is_error"] == true;
        self.turn.calls.end(call, outcome(is_error, text, text_of(line, "toolDenialKind"), told));
        if is_error {
            return self.failed(call);
        }
        self.answered(call);
        self.files.succeeded(call, told);
        if let Some(tasks) = told["tasks"].as_array().filter(|_| told.as_object().is_some_and(|told| told.len() == 1)) {
            self.listed(tasks);
        } else if let Some((id, _)) =
            text.strip_prefix("Task #").and_then(|rest| rest.split_once(" created successfully"))
        {
            let open = |listed: &&mut super::Listed| listed.id.as_deref() == Some("");
            let made = self.list.iter_mut().filter(|listed| listed.call == call).find(open);
            // The oldest that has none yet, where calls are not told apart.
            let made = match made {
                Some(made) => Some(made),
                None => self.list.iter_mut().find(open),
            };
            if let Some(made) = made {
                made.id = Some(one_line(id, 64));
            }
        } else if let (Some(id), Some(status)) = (told["taskId"].as_str(), told["statusChange"]["to"].as_str()) {
            self.set(id, status);
        } else if let (Some(id), Some(status)) = (told["task"]["id"].as_str(), told["task"]["status"].as_str()) {
            self.set(id, status);
        }
    }

    /// The whole list, as the client itself wrote it.
    fn listed(&mut self, tasks: &[Value]) {
        self.list.clear();
        for task in tasks {
            let status = task["status"].as_str().and_then(TaskStatus::of);
            let id = task["id"].as_str().map(|id| one_line(id, 64));
            self.task(id, "", task["subject"].as_str(), status);
        }
    }

    fn update(&mut self, input: &Value) {
        let id = input["taskId"].as_str().unwrap_or_default();
        let status = input["status"].as_str();
        if id.is_empty() {
            return;
        }
        let Some(known) = self.list.iter_mut().find(|listed| listed.id.as_deref() == Some(id)) else {
            // Made before the part that is read: known by what is said of it now.
            let status = status.and_then(TaskStatus::of);
            self.tasks_moved |= status.is_some_and(|status| status != TaskStatus::Pending);
            return self.task(Some(one_line(id, 64)), "", input["subject"].as_str(), status);
        };
        if let Some(text) = input["subject"].as_str() {
            known.item.text = shown(text, MAX_TASK_CHARS);
        }
        if let Some(status) = status {
            self.set(id, status);
        }
    }

    /// A task is as far as `status` says. One that is deleted, or cancelled, is none any more.
    fn set(&mut self, id: &str, status: &str) {
        let Some(at) = self.list.iter().position(|listed| listed.id.as_deref() == Some(id)) else { return };
        match (TaskStatus::of(status), status) {
            (Some(status), _) => {
                self.tasks_moved |= status != TaskStatus::Pending && self.list[at].item.status != status;
                self.list[at].item.status = status;
            }
            (None, "deleted" | "cancelled" | "canceled") => {
                self.list.remove(at);
            }
            _ => {}
        }
    }

    /// What another agent wrote to the session: a teammate that has nothing to do says so.
    fn message(&mut self, text: &str) {
        let Some((_, rest)) = text.split_once("<teammate-message teammate_id=\"") else { return };
        if let Some((name, rest)) = rest.split_once('"')
            && rest.contains(IDLE)
        {
            self.teammate(name, true);
        }
    }
}

/// What an answer of the model took of its context window.
struct Usage<'a> {
    model: &'a str,
    used: u64,
}

impl Usage<'_> {
    fn known(&self) -> Option<ContextUsage> {
        Some(ContextUsage { used: self.used, window: window(self.model, self.used)? })
    }
}

/// What the model's answer `message` took. `None` of what the client says in the model's place.
fn usage(message: &Value) -> Option<Usage<'_>> {
    let tokens = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    let part = |name: &str| message["usage"][name].as_u64().unwrap_or_default();
    let used = tokens.into_iter().map(part).fold(0, u64::saturating_add);
    let model = message["model"].as_str().filter(|model| !model.starts_with('<'))?;
    (used > 0).then_some(Usage { model, used })
}

/// Beyond this many tokens a model's window is the long one.
const SHORT_WINDOW: u64 = 200_000;
const LONG_WINDOW: u64 = 1_000_000;
/// By the beginning of a model's name: `max_input_tokens` of the list that 2.1.332 has built in. Those that are left out had
/// either window, by account and version.
const WINDOWS: [(&str, u64); 8] = [
    ("claude-3", SHORT_WINDOW),
    ("claude-opus-4-0", SHORT_WINDOW),
    ("claude-opus-4-1", SHORT_WINDOW),
    ("claude-haiku-4-5", SHORT_WINDOW),
    ("claude-haiku-5", LONG_WINDOW),
    ("claude-sonnet-5", LONG_WINDOW),
    ("claude-opus-5", LONG_WINDOW),
    ("claude-fable-5", LONG_WINDOW),
];

/// How many tokens `model` takes, if that is known; it has just taken `used`.
fn window(model: &str, used: u64) -> Option<u64> {
    if model.ends_with("[1m]") || (SHORT_WINDOW..=LONG_WINDOW).contains(&used) && model.starts_with("claude-") {
        return Some(LONG_WINDOW);
    }
    let known = WINDOWS.into_iter().find(|(name, _)| model.starts_with(name)).map(|(_, window)| window);
    known.filter(|window| used <= *window)
}

/// How the client's own refusals begin, where a row does not say of which kind it is (2.1.197 to 2.1.332). Those that a
/// hook made stand there without a mark in 2.1.197.
const REFUSALS: [&str; 8] = [
    "The user doesn't want to",
    "The user declined to",
    "User rejected",
    "Permission to use ",
    "Permission for this ",
    "Claude requested permissions to ",
    "PreToolUse:",
    "Access has been denied",
];

/// What came of a call; `kind` is what the client calls a refusal (`user-rejected`, `permission-rule`, `automode-blocked`).
fn outcome(is_error: bool, text: &str, kind: Option<&str>, told: &Value) -> CallOutcome {
    match kind {
        Some("interrupted" | "cancelled") => return CallOutcome::Unknown,
        Some(_) => return CallOutcome::refused(text),
        None => {}
    }
    let slip = text.strip_prefix("<tool_use_error>");
    if !is_error {
        return if told["interrupted"] == true { CallOutcome::Unknown } else { CallOutcome::Done };
    }
    let is_refusal = |text: &str| REFUSALS.iter().any(|begins| text.starts_with(begins));
    match slip {
        // The agent called it wrongly: it tries again, or not.
        Some(slip) if slip.contains("denied by your permission") => CallOutcome::refused(slip),
        Some(_) => CallOutcome::Unknown,
        None if is_refusal(text) || text.contains("requires approval") && !text.starts_with("Exit code") => {
            CallOutcome::refused(text)
        }
        None if text.starts_with("[Request interrupted") => CallOutcome::Unknown,
        None => CallOutcome::failed(text),
    }
}
