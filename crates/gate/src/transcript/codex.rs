//! Codex's lines (0.169.0 to 0.171.0): `update_plan`, `apply_patch`. The first is not offered by itself in the newest.

use serde_json::{Map, Value};

use super::{LastTurn, Reader, text_of};

/// One of these stands in every line that tells something.
pub(super) const MARKS: [&str; 4] = ["_call\"", "_call_output\"", "\"task_started\"", "\"turn_context\""];

impl Reader {
    pub(super) fn codex(&mut self, line: &Map<String, Value>) {
        let payload = line.get("payload").unwrap_or(&Value::Null);
        match (text_of(line, "type"), payload["type"].as_str()) {
            (Some("event_msg"), Some("task_started")) => {
                self.turn = LastTurn { plans: payload["collaboration_mode_kind"] == "plan", ..LastTurn::default() };
            }
            (Some("turn_context"), _) => self.turn.plans |= payload["collaboration_mode"]["mode"] == "plan",
            (Some("response_item"), Some("function_call")) => {
                let call = payload["call_id"].as_str().unwrap_or_default();
                self.calls(call, payload["name"] == "request_user_input");
                let arguments = payload["arguments"].as_str().unwrap_or_default();
                if payload["name"] == "update_plan"
                    && let Ok(arguments) = serde_json::from_str::<Value>(arguments)
                {
                    self.rewrite(call, &arguments["plan"], "step");
                }
            }
            (Some("response_item"), Some("custom_tool_call")) if payload["name"] == "apply_patch" => {
                self.calls("", false);
                for line in payload["input"].as_str().unwrap_or_default().lines() {
                    let file = ["*** Update File: ", "*** Add File: "].iter().find_map(|mark| line.strip_prefix(mark));
                    self.touch(file);
                }
            }
            (Some("response_item"), Some("function_call_output")) => {
                let output = payload["output"].as_str().unwrap_or_default();
                let call = payload["call_id"].as_str().unwrap_or_default();
                // What it says of a tool that the model was not offered.
                if output.starts_with("unsupported call") {
                    self.failed(call);
                }
                // Answered, it ended no turn: a refused question has another form.
                if output.starts_with("{\"answers\"") {
                    self.answered(call);
                }
            }
            _ => {}
        }
    }
}
