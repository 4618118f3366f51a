//! Claude Code's lines (2.1.197 to 2.1.332): `TodoWrite`, or `TaskCreate`, `TaskUpdate`, `TaskList`, `TaskGet`. Neither is
//! offered by itself in the newest.

use serde_json::{Map, Value};
use stopgate_core::text::one_line;

use super::{LastTurn, MAX_TASK_CHARS, Reader, TaskStatus, shown, text_of};

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
                for block in blocks.iter().filter(|block| block["type"] == "tool_use") {
                    let call = block["id"].as_str().unwrap_or_default();
                    self.claude_tool(block["name"].as_str().unwrap_or_default(), call, &block["input"]);
                }
            }
            (Some("user"), Some(Value::Array(blocks))) => {
                for block in blocks.iter().filter(|block| block["type"] == "tool_result") {
                    self.result(block, line.get("toolUseResult").unwrap_or(&Value::Null));
                }
            }
            (Some("user"), Some(Value::String(text))) => {
                self.turn = LastTurn::default();
                self.message(text);
            }
            _ => {}
        }
    }

    fn claude_tool(&mut self, tool: &str, call: &str, input: &Value) {
        self.calls(call, matches!(tool, "AskUserQuestion" | "ExitPlanMode"));
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
            "Edit" | "MultiEdit" | "Write" | "Read" | "NotebookEdit" => {
                self.touch(input["file_path"].as_str().or_else(|| input["notebook_path"].as_str()));
            }
            _ => {}
        }
    }

    /// What a tool answered; `told` is the client's own form of it.
    fn result(&mut self, result: &Value, told: &Value) {
        let call = result["tool_use_id"].as_str().unwrap_or_default();
        if result["is_error"] == true {
            return self.failed(call);
        }
        self.answered(call);
        let text = match &result["content"] {
            Value::String(text) => text.as_str(),
            Value::Array(blocks) => blocks.first().and_then(|block| block["text"].as_str()).unwrap_or_default(),
            _ => return,
        };
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
            (Some(status), _) => self.list[at].item.status = status,
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
