//! What the authority found in the checkout, as data for the rules.

use serde::{Deserialize, Serialize};

use super::markdown::after_mark;
pub use crate::transcript::{TaskItem, TaskStatus};
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;

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
    /// The harness's own task list, as far as the transcript's end tells.
    pub tasks: Vec<TaskItem>,
    /// Tracked files that differ from the index by size or time, and untracked ones that are not ignored.
    pub dirty_files: u32,
    /// The commit that is checked out.
    pub head: Option<String>,
    /// The commit that was checked out when the session began.
    pub head_at_start: Option<String>,
    /// Ids of the session's builds that are not over.
    pub live_builds: Vec<String>,
    /// The beginning of the person's last prompt.
    pub last_prompt: Option<String>,
    /// That prompt asks to stop.
    pub person_asked_to_stop: bool,
    /// A hash of the state of the work: the same at two stops means that nothing was done between them.
    pub fingerprint: String,
    /// Time ran out before everything was looked at.
    pub incomplete: bool,
}

impl Facts {
    /// The open items of the harness's own task list: what is in progress first.
    pub fn open_tasks(&self) -> impl Iterator<Item = &TaskItem> {
        let with = |status| self.tasks.iter().filter(move |task| task.status == status);
        with(TaskStatus::InProgress).chain(with(TaskStatus::Pending))
    }
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
    /// The agent wrote or read it in this session.
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
