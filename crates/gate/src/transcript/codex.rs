//! Codex's lines (0.169.0 to 0.171.0): `update_plan`, `apply_patch`. The first is not offered by itself in the newest.

use serde_json::{Map, Value};

use super::{Reader, text_of};

/// One of these stands in every line that tells something.
pub(super) const MARKS: [&str; 2] = ["_call\"", "_call_output\""];

impl Reader {
    pub(super) fn codex(&mut self, line: &Map<String, Value>) {
        let payload = line.get("payload").unwrap_or(&Value::Null);
        match (text_of(line, "type"), payload["type"].as_str()) {
            (Some("response_item"), Some("function_call")) if payload["name"] == "update_plan" => {
                let arguments = payload["arguments"].as_str().unwrap_or_default();
                if let Ok(arguments) = serde_json::from_str::<Value>(arguments) {
                    let call = payload["call_id"].as_str().unwrap_or_default();
                    self.rewrite(call, &arguments["plan"], "step");
                }
            }
            (Some("response_item"), Some("custom_tool_call")) if payload["name"] == "apply_patch" => {
                for line in payload["input"].as_str().unwrap_or_default().lines() {
                    let file = ["*** Update File: ", "*** Add File: "].iter().find_map(|mark| line.strip_prefix(mark));
                    self.touch(file);
                }
            }
            (Some("response_item"), Some("function_call_output")) => {
                let output = payload["output"].as_str().unwrap_or_default();
                // What it says of a tool that the model was not offered.
                if output.starts_with("unsupported call") {
                    self.failed(payload["call_id"].as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}
