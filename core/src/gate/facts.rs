//! What the authority found in the checkout, as data for the rules.

use serde::{Deserialize, Serialize};

use super::markdown::after_mark;
use crate::redact::redact;
use crate::text::one_line;

/// What is known about the work a session stops in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Plan-like files with an open step, best first.
    pub plans: Vec<Plan>,
    /// Commits made since the session began, newest first.
    pub session_commits: Vec<String>,
    /// The checkout is that of stopgate itself.
    pub is_stopgate: bool,
    /// The harness's own list of tasks, in its order.
    pub tasks: Vec<TaskItem>,
    /// How many files are changed and not committed.
    pub dirty_files: u32,
    /// The person's last prompt asks to stop.
    pub person_asked_to_stop: bool,
    /// The person's last prompt, redacted.
    pub last_prompt: Option<String>,
    /// Builds of this session that still run.
    pub live_builds: Vec<String>,
}

impl Facts {
    /// The open items of the harness's own task list: what is in progress first.
    pub fn open_tasks(&self) -> impl Iterator<Item = &TaskItem> {
        let with = |status| self.tasks.iter().filter(move |task| task.status == status);
        with(TaskStatus::InProgress).chain(with(TaskStatus::Pending))
    }
}

/// An entry of the harness's own task list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskItem {
    /// What is to be done, one line.
    pub text: String,
    /// How far it is.
    pub status: TaskStatus,
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
}

/// A file that says what is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Path relative to the top of the working tree.
    pub path: String,
    /// Text of the first unchecked box, one line.
    pub next_step: String,
    /// How many boxes are unchecked.
    pub open_steps: usize,
    /// Whether the file was there when the session began.
    pub predates_session: bool,
    /// The commit that brought the file in, if it is tracked.
    pub introduced_by: Option<String>,
    /// Commits of the session that touch the file, newest first.
    pub session_commits: Vec<String>,
    /// Whether the session changed the file, committed or not.
    pub touched_by_session: bool,
}

/// Text of the first unchecked box in a Markdown file, and the number of unchecked boxes; `None` when there is
/// none. Boxes in code blocks and comments do not count.
pub fn open_steps(markdown: &str) -> Option<(String, usize)> {
    let steps = open_step_texts(markdown);
    steps.first().map(|first| (first.clone(), steps.len()))
}

/// The texts of all unchecked boxes, each one line without secrets: what leaves here is shown, stored and logged.
pub fn open_step_texts(markdown: &str) -> Vec<String> {
    super::markdown::lines(markdown)
        .iter()
        .filter_map(|line| unchecked(&line.text))
        // Redacted before it is cut, so that no half of a secret is left.
        .map(|text| one_line(&redact(text), MAX_STEP_CHARS))
        .filter(|text| !text.is_empty())
        .collect()
}

/// Longest text of a step that is passed on.
pub const MAX_STEP_CHARS: usize = 160;

/// The text of `- [ ] text`, `* [ ] text`, `1. [ ] text`.
fn unchecked(line: &str) -> Option<&str> {
    let text = after_mark(line)?.trim_start().strip_prefix("[ ]")?;
    (!text.trim().is_empty()).then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_open_box_is_the_next_step() {
        let plan = "# Plan\n- [x] one\n  - [ ]  two  \n* [ ] three\n1. [ ] four\n- [ ]\n";
        assert_eq!(open_steps(plan), Some(("two".to_owned(), 3)));
    }

    #[test]
    fn finished_plans_and_boxes_in_code_have_none() {
        for text in [
            "",
            "- [x] all",
            "text [ ] inline",
            "```\n- [ ] example\n```\n",
            "~~~md\n- [ ] x\n~~~",
            "````\n```\n- [ ] x\n```\n- [ ] y\n````",
            "text\n\n    - [ ] code\n",
            "<!--\n- [ ] example\n-->",
            "> - [ ] quoted",
        ] {
            assert_eq!(open_steps(text), None, "{text:?}");
        }
    }

    #[test]
    fn steps_are_shown_without_secrets_even_where_they_are_cut() {
        let text = format!("- [ ] log in with password=hunter2\n- [ ] {} sk-ant-api03-ABCDEFGH", "x".repeat(140));
        let steps = open_step_texts(&text);
        assert_eq!(steps[0], "log in with password=[redacted]");
        assert!(!steps[1].contains("sk-ant") && steps[1].ends_with("[redacted]"), "{steps:?}");
    }
}
