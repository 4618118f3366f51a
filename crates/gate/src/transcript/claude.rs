//! Claude Code's lines (2.1.329): `TodoWrite`, `TaskCreate`, `TaskUpdate`.

use serde_json::{Map, Value};
use stopgate_core::text::one_line;

use super::{MAX_TASK_CHARS, Reader, TaskStatus, said_at, shown, text_of};

impl Reader {
    pub(super) fn claude(&mut self, line: &Map<String, Value>) {
        let is_aside = |name: &str| line.get(name).and_then(Value::as_bool) == Some(true);
        // A subagent's doings are not the session's.
        if is_aside("isSidechain") {
            return;
        }
        let at = said_at(line);
        let content = line.get("message").and_then(|message| message.get("content"));
        match (text_of(line, "type"), content) {
            (Some("assistant"), Some(Value::Array(blocks))) => {
                for block in blocks.iter().filter(|block| block["type"] == "tool_use") {
                    self.claude_tool(block["name"].as_str().unwrap_or_default(), &block["input"]);
                }
            }
            (Some("user"), Some(content)) if !is_aside("isMeta") && !is_aside("isCompactSummary") => match content {
                Value::String(prompt) => self.prompt(prompt, at),
                Value::Array(blocks) => {
                    for block in blocks {
                        match block["type"].as_str() {
                            Some("text") => self.prompt(block["text"].as_str().unwrap_or_default(), at),
                            Some("tool_result") => self.created(block),
                            _ => {}
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn claude_tool(&mut self, tool: &str, input: &Value) {
        match tool {
            "TodoWrite" => self.list(&input["todos"], "content"),
            "TaskCreate" => {
                // Its id comes with the result.
                self.task(String::new(), input["subject"].as_str(), Some(TaskStatus::Pending));
            }
            "TaskUpdate" => self.update(input),
            "Edit" | "MultiEdit" | "Write" | "Read" | "NotebookEdit" => {
                self.touch(input["file_path"].as_str().or_else(|| input["notebook_path"].as_str()));
            }
            _ => {}
        }
    }

    /// `Task #7 created successfully: ...`: the id of the oldest task that has none yet.
    fn created(&mut self, result: &Value) {
        let text = match &result["content"] {
            Value::String(text) => text.as_str(),
            Value::Array(blocks) => blocks.first().and_then(|block| block["text"].as_str()).unwrap_or_default(),
            _ => return,
        };
        let id = text.strip_prefix("Task #").and_then(|rest| rest.split_once(" created successfully"));
        if let (Some((id, _)), Some(open)) = (id, self.ids.iter_mut().find(|id| id.is_empty())) {
            one_line(id, 64).clone_into(open);
        }
    }

    fn update(&mut self, input: &Value) {
        let id = input["taskId"].as_str().unwrap_or_default();
        let status = input["status"].as_str();
        let Some(at) = self.ids.iter().position(|known| known == id).filter(|_| !id.is_empty()) else {
            // Made before the part that is read: known by what is said of it now.
            self.task(id.to_owned(), input["subject"].as_str(), status.and_then(TaskStatus::of));
            return;
        };
        if status == Some("deleted") {
            self.ids.remove(at);
            self.done.tasks.remove(at);
            return;
        }
        if let Some(status) = status.and_then(TaskStatus::of) {
            self.done.tasks[at].status = status;
        }
        if let Some(text) = input["subject"].as_str() {
            self.done.tasks[at].text = shown(text, MAX_TASK_CHARS);
        }
    }
}
