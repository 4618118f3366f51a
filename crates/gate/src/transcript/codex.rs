//! Codex's lines (0.169.0): `update_plan`, `apply_patch`.

use serde_json::{Map, Value};

use super::{Reader, said_at, text_of};

impl Reader {
    pub(super) fn codex(&mut self, line: &Map<String, Value>) {
        let payload = line.get("payload").unwrap_or(&Value::Null);
        match (text_of(line, "type"), payload["type"].as_str()) {
            (Some("response_item"), Some("function_call")) if payload["name"] == "update_plan" => {
                let arguments = payload["arguments"].as_str().unwrap_or_default();
                if let Ok(arguments) = serde_json::from_str::<Value>(arguments) {
                    self.list(&arguments["plan"], "step");
                }
            }
            (Some("response_item"), Some("custom_tool_call")) if payload["name"] == "apply_patch" => {
                for line in payload["input"].as_str().unwrap_or_default().lines() {
                    let file = ["*** Update File: ", "*** Add File: "].iter().find_map(|mark| line.strip_prefix(mark));
                    self.touch(file);
                }
            }
            (Some("event_msg"), Some("user_message")) => {
                self.prompt(payload["message"].as_str().unwrap_or_default(), said_at(line));
            }
            _ => {}
        }
    }
}
