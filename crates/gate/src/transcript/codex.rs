//! Codex's lines (0.169.0 to 0.171.0): `update_plan`, `apply_patch`. The first is not offered by itself in the newest.

use serde_json::{Map, Value};

use super::calls::CallOutcome;
use super::{LastTurn, Reader, text_of};
use crate::turn_end::ContextUsage;
use stopgate_core::person;
use stopgate_core::session::Harness;
use stopgate_core::text::{ends, head};

/// One of these stands in every line that tells something.
pub(super) const MARKS: [&str; 5] = ["_call\"", "_call_output\"", "\"task_started\"", "\"turn_context\"", COUNT];
/// What a line has that counts tokens: the last one is read.
pub(super) const COUNT: &str = "\"type\":\"token_count\"";

impl Reader {
    pub(super) fn codex(&mut self, line: &Map<String, Value>) {
        let payload = line.get("payload").unwrap_or(&Value::Null);
        match (text_of(line, "type"), payload["type"].as_str()) {
            (Some("event_msg"), Some("task_started")) => {
                self.turn = LastTurn { plans: payload["collaboration_mode_kind"] == "plan", ..LastTurn::default() };
                if person::is_prompt(Harness::Codex, line) {
                    self.prompted();
                }
            }
            (Some("turn_context"), _) => {
                self.turn.plans |= payload["collaboration_mode"]["mode"] == "plan";
                self.cwd = payload["cwd"].as_str().map(str::to_owned).or(self.cwd.take());
            }
            (Some("response_item"), Some("function_call")) => {
                let call = payload["call_id"].as_str().unwrap_or_default();
                let name = payload["name"].as_str().unwrap_or_default();
                let arguments = payload["arguments"].as_str().unwrap_or_default();
                // Of a call with large arguments, what it runs is of no matter.
                let runs = matches!(name, "exec_command" | "shell" | "shell_command" | "local_shell");
                let needed =
                    (runs || name == "apply_patch") && arguments.len() <= MAX_ARGUMENT_BYTES || name == "update_plan";
                let parsed = if needed { serde_json::from_str(arguments).ok() } else { None };
                let arguments: Value = parsed.unwrap_or_default();
                let command = command(&arguments).filter(|_| runs);
                self.calls(call, name, command.as_deref(), name == "request_user_input");
                if name == "update_plan" {
                    self.rewrite(call, &arguments["plan"], "step");
                } else {
                    self.codex_call(call, &arguments);
                }
            }
            (Some("response_item"), Some("local_shell_call")) => {
                let call = payload["call_id"].as_str().unwrap_or_default();
                let action = &payload["action"];
                self.calls(call, "local_shell", command(action).as_deref(), false);
                self.codex_command(call, &action["command"], action["working_directory"].as_str());
            }
            // `exec` is a script that calls the other tools.
            (Some("response_item"), Some("custom_tool_call")) => {
                let (call, name) = (payload["call_id"].as_str().unwrap_or_default(), payload["name"].as_str());
                self.calls(call, name.unwrap_or_default(), None, false);
                let input = payload["input"].as_str().unwrap_or_default();
                let cwd = self.cwd.clone();
                if !self.files.patch(call, cwd.as_deref(), input) && name == Some("exec") {
                    self.files.command(call, cwd.as_deref(), &input.replace("\\n", "\n"));
                }
            }
            (Some("response_item"), Some("function_call_output" | "custom_tool_call_output")) => {
                let output = printed(&payload["output"]);
                let call = payload["call_id"].as_str().unwrap_or_default();
                self.turn.calls.end(call, outcome(output, &payload["output"]));
                // What it says of a tool that the model was not offered.
                if output.starts_with("unsupported call") {
                    self.failed(call);
                }
                if ["apply_patch verification failed", "patch rejected"].iter().any(|begin| output.starts_with(begin)) {
                    self.files.failed(call);
                }
                // Answered, it ended no turn: a refused question has another form.
                if output.starts_with("{\"answers\"") {
                    self.answered(call);
                }
            }
            _ => {}
        }
    }

    /// A tool that is called with JSON: of a shell, a command as text or as its parts.
    fn codex_call(&mut self, call: &str, arguments: &Value) {
        let cwd = arguments["workdir"].as_str();
        if let Some(patch) = arguments["input"].as_str().or_else(|| arguments["patch"].as_str()) {
            let own = self.cwd.clone();
            self.files.patch(call, cwd.or(own.as_deref()), patch);
        }
        for name in ["cmd", "command"] {
            self.codex_command(call, &arguments[name], cwd);
        }
    }

    fn codex_command(&mut self, call: &str, command: &Value, cwd: Option<&str>) {
        let own = self.cwd.clone();
        let cwd = cwd.or(own.as_deref());
        match command {
            Value::String(command) => self.files.command(call, cwd, command),
            // `bash -lc "..."`: the last part is the command; of any other all of it.
            Value::Array(parts) => {
                let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
                match parts.as_slice() {
                    [_, flags, command] if flags.starts_with('-') && flags.ends_with('c') => {
                        self.files.command(call, cwd, command);
                    }
                    parts => self.files.command(call, cwd, &parts.join(" ")),
                }
            }
            _ => {}
        }
    }
}

/// Longest arguments of a call that are looked at for its command.
const MAX_ARGUMENT_BYTES: usize = 64 * 1024;
/// How much of an output says what came of the call.
const MAX_HEAD_BYTES: usize = 512;

/// How much of what a command printed is looked at, at both ends.
const MAX_ENDS_BYTES: usize = 2048;

/// The command that a call of a shell runs: a text, or the words of it.
fn command(arguments: &Value) -> Option<String> {
    let given = arguments.get("cmd").or_else(|| arguments.get("command"))?;
    match given {
        Value::String(text) => Some(text.clone()),
        Value::Array(words) => Some(words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        _ => None,
    }
}

/// What a call printed: a text, its parts, or an object that has one of them.
fn printed(output: &Value) -> &str {
    match output {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or_default(),
        Value::Object(fields) => {
            fields.get("content").map(|content| content.as_str().unwrap_or_default()).unwrap_or_default()
        }
        _ => "",
    }
}

/// How refusals begin: of a hook, the person, the approval policy, the rules for commands.
const REFUSALS: [&str; 9] = [
    "Command blocked by PreToolUse hook:",
    "Tool call blocked by PreToolUse hook:",
    "exec command rejected by",
    "patch rejected",
    "rejected by user",
    "approval policy is ",
    "user rejected",
    "writing is blocked by read-only sandbox",
    "writing outside of the project",
];
/// How the client says that the agent called a tool wrongly.
const SLIPS: [&str; 3] = ["unsupported call", "failed to parse function arguments", "apply_patch verification failed"];
/// How a failure begins that has no exit code.
const FAILURES: [&str; 5] = ["exec_command failed", "execution error", "tool call error", "failed to ", "Error: "];

/// What came of a call that printed `text`.
fn outcome(text: &str, output: &Value) -> CallOutcome {
    let begins = |with: &[&str]| with.iter().any(|begin| text.starts_with(begin));
    let beginning = head(text, MAX_HEAD_BYTES);
    if begins(&SLIPS) {
        return CallOutcome::Unknown;
    }
    if begins(&REFUSALS) || text.starts_with('`') && beginning.contains("` rejected: ") {
        return CallOutcome::refused(text);
    }
    if beginning.contains("Process running with session ID") {
        return CallOutcome::Unknown;
    }
    let code = exit_code(beginning, text);
    let is_sandboxed =
        || ["denied by sandbox", "sandbox denied", "Sandbox(Denied"].iter().any(|mark| beginning.contains(mark));
    match code {
        Some(0) => CallOutcome::Done,
        _ if is_sandboxed() => CallOutcome::refused(text),
        Some(code) => {
            let printed = text.split_once("Output:\n").map_or(text, |(_, printed)| printed);
            CallOutcome::failed(&format!("exit code {code}\n{}", ends(printed, MAX_ENDS_BYTES)))
        }
        None if output["success"] == false || begins(&FAILURES) => CallOutcome::failed(text),
        None => CallOutcome::Done,
    }
}

/// The exit code that stands above what a command printed, or beside it.
fn exit_code(beginning: &str, text: &str) -> Option<i64> {
    if beginning.starts_with('{') {
        let told: Value = serde_json::from_str(text).ok()?;
        return told["metadata"]["exit_code"].as_i64();
    }
    let above = beginning.split("Output:").next().unwrap_or_default();
    let code = |line: &str| {
        let rest = ["Process exited with code ", "Exit code: "].iter().find_map(|mark| line.strip_prefix(mark))?;
        rest.trim().parse().ok()
    };
    above.lines().take(6).find_map(code)
}

/// How full the context window was, by a line that counts tokens.
pub(super) fn usage(line: &str) -> Option<ContextUsage> {
    let line: Value = serde_json::from_str(line).ok()?;
    let info = &line["payload"]["info"];
    let (last, window) = (&info["last_token_usage"], info["model_context_window"].as_u64()?);
    let used = last["total_tokens"].as_u64().or_else(|| last["input_tokens"].as_u64())?;
    (used > 0 && window > 0).then_some(ContextUsage { used, window })
}
