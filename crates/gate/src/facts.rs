//! What the authority found in the checkout, as data for the rules.

use serde::{Deserialize, Serialize};

use crate::steps;
pub use crate::steps::MAX_STEP_CHARS;
pub use crate::transcript::{TaskItem, TaskStatus};

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
    /// Plan-like files that `gate.exclude_plans` leaves out, the user's or the checkout's own; as many as are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_plans: Vec<String>,
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
    /// A prompt of the person names it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub named_by_prompt: bool,
    /// How many of its boxes were ticked since the session began.
    #[serde(skip_serializing_if = "is_none_ticked")]
    pub ticked_by_session: usize,
    /// How many of its boxes are ticked; `None` where that was not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_steps: Option<usize>,
    /// Texts of its open steps, as far as they are kept, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_step_texts: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_none_ticked(count: &usize) -> bool {
    *count == 0
}

/// What a plan has to do with a session, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlanRelation {
    /// The session's commits, or its edits, ticked boxes of it.
    Moved,
    /// The session wrote or read it.
    Touched,
    /// A prompt of the person names it.
    Named,
    /// Nothing: it is never a reason to hold.
    Untouched,
}

impl PlanRelation {
    /// What it says of the plan, behind its name.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Moved => "moved on in this session",
            Self::Touched => "touched in this session",
            Self::Named => "named by a prompt",
            Self::Untouched => "nothing that this session did or was asked has to do with it",
        }
    }
}

impl Plan {
    /// Why a plan with open steps is no reason to hold; `None` if it may be one.
    pub fn set_aside(&self) -> Option<String> {
        let is_none = self.relation() == PlanRelation::Untouched && self.open_steps > 0;
        let steps = if self.open_steps == 1 { "step" } else { "steps" };
        is_none.then(|| format!("{}: {} open {steps}, but {}", self.path, self.open_steps, self.relation().meaning()))
    }

    /// What it has to do with the session.
    pub const fn relation(&self) -> PlanRelation {
        if !self.session_commits.is_empty() || self.ticked_by_session > 0 {
            PlanRelation::Moved
        } else if self.touched_by_session {
            PlanRelation::Touched
        } else if self.named_by_prompt {
            PlanRelation::Named
        } else {
            PlanRelation::Untouched
        }
    }
}

/// The texts of all open steps of a plan, see [`steps`].
pub fn open_step_texts(markdown: &str) -> impl Iterator<Item = String> {
    let all = steps::by_line(markdown, steps::Where::Everywhere);
    all.flatten().filter(|step| !step.is_done).map(|step| step.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_boxes_are_steps() {
        let plan = "# Plan\n- [x] one\n  - [ ]  two  \n* [ ] three\n1. [ ] four\n- [ ]\n";
        assert_eq!(open_step_texts(plan).collect::<Vec<_>>(), ["two", "three", "four"]);
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
            assert_eq!(open_step_texts(text).next(), None, "{text:?}");
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
