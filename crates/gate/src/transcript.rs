//! What the end of a session's transcript tells: the harness's own task list, the files the agent touched, and the
//! person's last prompt.
//!
//! Observed with Claude Code 2.1.329 (`TodoWrite`, `TaskCreate`, `TaskUpdate`) and Codex 0.169.0 (`update_plan`). A
//! transcript is no interface: a line that is not understood is skipped, and what is missing is unknown, not absent.

mod claude;
mod codex;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use stopgate_core::clock::{UnixMillis, parse_utc};
use stopgate_core::redact::redact;
use stopgate_core::session::Harness;
use stopgate_core::text::one_line;

/// How much of a transcript's end is read.
pub const MAX_TAIL_BYTES: u64 = 256 * 1024;
/// Longest text of a task that is kept, as that of a plan's step.
const MAX_TASK_CHARS: usize = 160;
/// Longest beginning of a prompt that is kept.
const MAX_PROMPT_CHARS: usize = 500;
/// Most tasks and touched files that are kept.
const MAX_ITEMS: usize = 200;

/// How far a task of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed,
}

impl TaskStatus {
    fn of(word: &str) -> Option<Self> {
        match word {
            "pending" => Some(Self::Pending),
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            _ => None,
        }
    }
}

/// A task of the harness's own list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskItem {
    /// What is to be done: one line, without secrets.
    pub text: String,
    /// How far it is.
    pub status: TaskStatus,
}

/// What the end of a transcript tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The task list as it stands, in its order.
    pub tasks: Vec<TaskItem>,
    /// Files that the agent wrote or read by name.
    pub touched: BTreeSet<String>,
    /// The beginning of the person's last prompt: one line, without secrets.
    pub last_prompt: Option<String>,
    /// When that was sent, if the transcript says it.
    pub last_prompt_at_ms: Option<UnixMillis>,
}

/// Reads `tail`, the end of a transcript. `is_whole` when it is all of it; else the first line is a part and is dropped.
pub fn read(harness: Harness, tail: &str, is_whole: bool) -> Transcript {
    let mut reader = Reader::default();
    for line in tail.lines().skip(usize::from(!is_whole)) {
        let Ok(Value::Object(line)) = serde_json::from_str(line) else {
            continue;
        };
        match harness {
            Harness::Claude => reader.claude(&line),
            Harness::Codex => reader.codex(&line),
        }
    }
    reader.done
}

#[derive(Debug, Default)]
struct Reader {
    done: Transcript,
    /// Ids of `done.tasks`, where the harness gives each task one.
    ids: Vec<String>,
}

impl Reader {
    /// A list that is written whole each time.
    fn list(&mut self, items: &Value, name: &str) {
        let Some(items) = items.as_array() else {
            return;
        };
        self.done.tasks.clear();
        self.ids.clear();
        for item in items {
            let status = item["status"].as_str().and_then(TaskStatus::of);
            self.task("-".to_owned(), item[name].as_str(), status);
        }
    }

    fn task(&mut self, id: String, text: Option<&str>, status: Option<TaskStatus>) {
        if let (Some(text), Some(status)) = (text, status)
            && self.ids.len() < MAX_ITEMS
            && !text.trim().is_empty()
        {
            self.ids.push(id);
            self.done.tasks.push(TaskItem { text: shown(text, MAX_TASK_CHARS), status });
        }
    }

    fn touch(&mut self, file: Option<&str>) {
        if let Some(file) = file
            && self.done.touched.len() < MAX_ITEMS
        {
            self.done.touched.insert(file.to_owned());
        }
    }

    /// What the harness itself writes in the person's name (`<command-name>`, `<system-reminder>`) is no prompt.
    fn prompt(&mut self, text: &str, at: Option<UnixMillis>) {
        let text = text.trim();
        if !text.is_empty() && !text.starts_with('<') && !text.starts_with("[Request interrupted") {
            self.done.last_prompt = Some(shown(text, MAX_PROMPT_CHARS));
            self.done.last_prompt_at_ms = at;
        }
    }
}

fn text_of<'a>(line: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

/// When a line was written: both harnesses say it in the same field.
fn said_at(line: &Map<String, Value>) -> Option<UnixMillis> {
    text_of(line, "timestamp").and_then(parse_utc)
}

/// Redacted before it is cut, so that no half of a secret is left.
fn shown(text: &str, chars: usize) -> String {
    one_line(&redact(text), chars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use TaskStatus::{Completed, InProgress, Pending};

    fn list(transcript: &Transcript) -> Vec<(&str, TaskStatus)> {
        transcript.tasks.iter().map(|task| (task.text.as_str(), task.status)).collect()
    }

    fn claude_tool(name: &str, input: &str) -> String {
        format!(
            r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"{name}","input":{input}}}]}}}}"#
        )
    }

    #[test]
    fn the_last_todo_list_of_claude_counts() {
        let lines = [
            claude_tool("TodoWrite", r#"{"todos":[{"content":"old","status":"pending"}]}"#),
            claude_tool(
                "TodoWrite",
                r#"{"todos":[{"content":"lexer","status":"completed"},{"content":"log in with password=hunter2","status":"in_progress"}]}"#,
            ),
            "not json".to_owned(),
            claude_tool("Edit", r#"{"file_path":"/w/docs/plan.md"}"#),
        ];
        let found = read(Harness::Claude, &lines.join("\n"), true);
        assert_eq!(list(&found), [("lexer", Completed), ("log in with password=[redacted]", InProgress)]);
        assert!(found.touched.contains("/w/docs/plan.md"));
    }

    #[test]
    fn tasks_of_claude_are_followed_by_their_ids() {
        let result = |id: u32| {
            format!(
                r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"Task #{id} created successfully: x"}}]}}}}"#
            )
        };
        let lines = [
            claude_tool("TaskUpdate", r#"{"taskId":"1","status":"completed"}"#),
            claude_tool("TaskCreate", r#"{"subject":"lexer","description":"d"}"#),
            claude_tool("TaskCreate", r#"{"subject":"parser"}"#),
            result(2),
            result(3),
            claude_tool("TaskCreate", r#"{"subject":"wrong idea"}"#),
            result(4),
            claude_tool("TaskUpdate", r#"{"taskId":"2","status":"completed"}"#),
            claude_tool("TaskUpdate", r#"{"taskId":"4","status":"deleted"}"#),
        ];
        assert_eq!(list(&read(Harness::Claude, &lines.join("\n"), true)), [("lexer", Completed), ("parser", Pending)]);
    }

    #[test]
    fn the_plan_of_codex_and_its_patches() {
        let plan = r#"{"type":"response_item","payload":{"type":"function_call","name":"update_plan","arguments":"{\"plan\":[{\"step\":\"lexer\",\"status\":\"completed\"},{\"step\":\"parser\",\"status\":\"pending\"}]}"}}"#;
        let patch = r#"{"type":"response_item","payload":{"type":"custom_tool_call","name":"apply_patch","input":"*** Begin Patch\n*** Update File: docs/plan.md\n@@"}}"#;
        let prompt = r#"{"type":"event_msg","payload":{"type":"user_message","message":"go on\nwith the parser"}}"#;
        let found = read(Harness::Codex, &[plan, patch, prompt].join("\n"), true);
        assert_eq!(list(&found), [("lexer", Completed), ("parser", Pending)]);
        assert!(found.touched.contains("docs/plan.md"));
        assert_eq!(found.last_prompt.as_deref(), Some("go on with the parser"));
    }

    #[test]
    fn only_the_person_prompts_and_only_the_session_works() {
        let lines = [
            r#"{"type":"user","message":{"content":"write the parser"}}"#.to_owned(),
            r#"{"type":"user","isMeta":true,"message":{"content":"Stop hook feedback: x"}}"#.to_owned(),
            r#"{"type":"user","message":{"content":"<command-name>/clear</command-name>"}}"#.to_owned(),
            r#"{"type":"user","isSidechain":true,"message":{"content":"you are a subagent"}}"#.to_owned(),
            claude_tool("TodoWrite", r#"{"todos":[{"content":"a","status":"pending"}]}"#).replacen(
                '{',
                r#"{"isSidechain":true,"#,
                1,
            ),
        ];
        let found = read(Harness::Claude, &lines.join("\n"), true);
        assert_eq!(found.last_prompt.as_deref(), Some("write the parser"));
        assert_eq!(found.tasks, []);
    }

    #[test]
    fn the_time_of_the_last_prompt_is_read_in_both_dialects() {
        let time = r#""timestamp":"1970-01-01T00:00:01.5Z""#;
        let claude = format!(r#"{{{time},"type":"user","message":{{"content":"go on"}}}}"#);
        let summary = r#"{"timestamp":"1970-01-01T00:00:09Z","type":"user","isCompactSummary":true,"message":{"content":"so far"}}"#;
        let codex = format!(r#"{{{time},"type":"event_msg","payload":{{"type":"user_message","message":"go on"}}}}"#);
        let at = |harness, text: &str| read(harness, text, true).last_prompt_at_ms;
        assert_eq!(at(Harness::Claude, &[&claude, summary].join("\n")), Some(1_500));
        assert_eq!(at(Harness::Codex, &codex), Some(1_500));
        assert_eq!(at(Harness::Claude, &claude.replace("1970", "MCMLXX")), None);
    }

    #[test]
    fn the_first_line_of_a_cut_transcript_is_dropped() {
        let line = claude_tool("TodoWrite", r#"{"todos":[{"content":"a","status":"pending"}]}"#);
        assert_eq!(read(Harness::Claude, &line, false), Transcript::default());
        assert_eq!(read(Harness::Claude, &format!("{}\n{line}", &line[9..]), false).tasks.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_transcript_panics(lines in proptest::collection::vec("(\\{\"type\":\"(user|assistant)\",\"message\":.{0,40}\\}|.{0,60})", 0..6)) {
            for harness in [Harness::Claude, Harness::Codex] {
                let _ = read(harness, &lines.join("\n"), true);
            }
        }
    }
}
