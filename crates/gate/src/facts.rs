//! What the authority found in the checkout, as data for the rules.

use serde::{Deserialize, Serialize};

use super::markdown::after_mark;
pub use crate::transcript::{TaskItem, TaskStatus};
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;

/// Largest plan that is read, in KiB.
pub const MAX_PLAN_KIB: u64 = 512;

/// What is known about the work a session stops in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Plan-like files with an open step, best first.
    pub plans: Vec<Plan>,
    /// Commits made since the session began, newest first.
    #[serde(alias = "sessionCommits")]
    pub session_commits: Vec<String>,
    /// The checkout is that of stopgate itself.
    #[serde(alias = "isStopgate")]
    pub is_stopgate: bool,
    /// The harness's own task list, as far as the transcript's end tells.
    pub tasks: Vec<TaskItem>,
    /// Tracked files that differ from the index by size or time, and untracked ones that are not ignored.
    #[serde(alias = "dirtyFiles")]
    pub dirty_files: u32,
    /// The commit that is checked out.
    pub head: Option<String>,
    /// The commit that was checked out when the session began.
    #[serde(alias = "headAtStart")]
    pub head_at_start: Option<String>,
    /// That commit was not noted then: git's log of HEAD told it afterwards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub start_from_reflog: bool,
    /// Plan-like files that are larger than [`MAX_PLAN_KIB`], and were not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub too_large_plans: Vec<String>,
    /// Ids of the session's builds that are not over.
    #[serde(alias = "liveBuilds")]
    pub live_builds: Vec<String>,
    /// The beginning of the person's last prompt, if one is known to be the person's: one line, without secrets.
    #[serde(alias = "lastPrompt")]
    pub last_prompt: Option<String>,
    /// The person asked to stop, or interrupted the session.
    #[serde(alias = "personAskedToStop")]
    pub person_asked_to_stop: bool,
    /// A hash of the state of the work: the same at two stops means that nothing was done between them.
    pub fingerprint: String,
    /// Time ran out before everything was looked at.
    pub incomplete: bool,
    /// Why git could not be asked about the checkout: then nothing is known of its files and commits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_trouble: Option<GitTrouble>,
}

/// Why git cannot be asked about a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GitTrouble {
    /// There is no git on the search path of whoever stopped.
    Missing,
    /// git takes the checkout for another user's, and refuses it (`safe.directory`).
    Refused,
    /// git cannot be run, or fails.
    Broken,
    /// Several stops in a row were let go because git took longer than they may.
    Slow,
}

impl GitTrouble {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Refused, Self::Broken, Self::Slow];

    /// What git complains of on its standard error.
    pub fn complained_of(stderr: &[u8]) -> Self {
        let said = String::from_utf8_lossy(stderr);
        if said.contains("dubious ownership") || said.contains("safe.directory") { Self::Refused } else { Self::Broken }
    }

    /// What is the matter, after the name of the checkout.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Missing => "there is no git on the session's search path (PATH)",
            Self::Refused => "git refuses it: another user owns it, and it is no safe.directory",
            Self::Broken => "git cannot be run, or fails in it",
            Self::Slow => "git takes longer there than a stop may (gate.facts_budget_ms)",
        }
    }

    /// What mends it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Missing => {
                "install git, or start the agent with a PATH that has it in an absolute directory outside the checkout"
            }
            Self::Refused => "if you trust it: git config --global --add safe.directory <checkout>",
            Self::Broken => "run `git -C <checkout> ls-files`, and mend what it says",
            Self::Slow => "see how long `git -C <checkout> status` takes, and raise gate.facts_budget_ms or mend that",
        }
    }
}

impl Facts {
    /// `fail_open` of a stop that was let go because these facts are not all there; `None` if they are.
    pub const fn failure(&self) -> Option<&'static str> {
        match (self.git_trouble, self.incomplete) {
            (Some(_), _) => Some("git"),
            (None, true) => Some("timeout"),
            (None, false) => None,
        }
    }

    /// The open items of the harness's own task list: what is in progress first.
    pub fn open_tasks(&self) -> impl Iterator<Item = &TaskItem> {
        let with = |status| self.tasks.iter().filter(move |task| task.status == status);
        with(TaskStatus::InProgress).chain(with(TaskStatus::Pending))
    }
}

/// A file that says what is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Path relative to the top of the working tree.
    pub path: String,
    /// Text of the first unchecked box, one line.
    #[serde(alias = "nextStep")]
    pub next_step: String,
    /// How many boxes are unchecked.
    #[serde(alias = "openSteps")]
    pub open_steps: usize,
    /// Whether the file was there when the session began.
    #[serde(alias = "predatesSession")]
    pub predates_session: bool,
    /// The commit that brought the file in, if it is tracked.
    #[serde(alias = "introducedBy")]
    pub introduced_by: Option<String>,
    /// Commits of the session that touch the file, newest first.
    #[serde(alias = "sessionCommits")]
    pub session_commits: Vec<String>,
    /// The agent wrote or read it in this session.
    #[serde(alias = "touchedBySession")]
    pub touched_by_session: bool,
}

/// Text of the first unchecked box in a Markdown file, and the number of unchecked boxes; `None` when there is
/// none. Boxes in code blocks and comments do not count.
pub fn open_steps(markdown: &str) -> Option<(String, usize)> {
    let mut steps = open_step_texts(markdown);
    steps.next().map(|first| (first, 1 + steps.count()))
}

/// The texts of all unchecked boxes, each one line without secrets: what leaves here is shown, stored and logged.
pub fn open_step_texts(markdown: &str) -> impl Iterator<Item = String> {
    open_steps_by_line(markdown).flatten()
}

/// For each line of a Markdown file the text of [`open_step_texts`] that stands there, if one does. Made one by one:
/// whoever has no time for a long file stops asking.
pub fn open_steps_by_line(markdown: &str) -> impl Iterator<Item = Option<String>> {
    super::markdown::lines(markdown).map(|line| {
        // Redacted before it is cut, so that no half of a secret is left.
        let text = one_line(&redact(unchecked(&line.text)?), MAX_STEP_CHARS);
        (!text.is_empty()).then_some(text)
    })
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
        let steps: Vec<_> = open_step_texts(&text).collect();
        assert_eq!(steps[0], "log in with password=[redacted]");
        assert!(!steps[1].contains("sk-ant") && steps[1].ends_with("[redacted]"), "{steps:?}");
    }
}
