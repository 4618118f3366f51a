//! What is known of a build: the content of its `state.json`.

use serde::{Deserialize, Serialize};

use crate::owner::OwnerStamp;
use stopgate_core::clock::UnixMillis;

/// Version of the file's format. 1 had its fields in camelCase.
pub const SCHEMA: u32 = 2;

/// A build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildState {
    /// [`SCHEMA`] of the program that wrote the file.
    pub schema: u32,
    /// Id, and name of the build's directory.
    pub id: String,
    /// What is being built.
    pub task: String,
    /// How strongly it is protected.
    pub size: Size,
    /// How far it is.
    pub phase: Phase,
    /// Who owns it; without a stamp nobody is held.
    #[serde(default)]
    pub owner: Option<OwnerStamp>,
    /// How many reminders it has spent, of [`Size::reminders`]. Nothing gives one back.
    #[serde(default)]
    pub reminders_used: u32,
    /// How many of them in a row in the owner's present turn.
    #[serde(default)]
    pub reminders_in_turn: u32,
    /// What was done so far, by number.
    #[serde(default)]
    pub steps: Vec<BuildStep>,
    /// How often it went to `fixing`.
    #[serde(default)]
    pub fix_cycles: u32,
    /// How often it came back from `fixing` to `verifying`.
    #[serde(default)]
    pub verifications: u32,
    /// The git worktree that was made for it.
    #[serde(default)]
    pub worktree: Option<Worktree>,
    /// Set while a person has suspended the protection.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// When it was started.
    pub created_at_ms: UnixMillis,
    /// When it ended.
    #[serde(default)]
    pub ended_at_ms: Option<UnixMillis>,
    /// Why it failed or was escalated.
    #[serde(default)]
    pub end_reason: Option<String>,
}

/// How strongly a build is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// An hour's work.
    Small,
    /// The usual.
    Standard,
    /// Work of days.
    Large,
}

impl Size {
    /// All sizes.
    pub const ALL: [Self; 3] = [Self::Small, Self::Standard, Self::Large];

    /// The word on disk and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Standard => "standard",
            Self::Large => "large",
        }
    }

    /// How many times the owner is sent back at most. The numbers of an earlier build guard.
    pub const fn reminders(self) -> u32 {
        match self {
            Self::Small => 3,
            Self::Standard => 5,
            Self::Large => 10,
        }
    }

    /// The protection in a word.
    pub const fn protection(self) -> &'static str {
        match self {
            Self::Small => "light",
            Self::Standard => "medium",
            Self::Large => "heavy",
        }
    }
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Started, nothing done.
    Idle,
    /// Questions are being cleared up.
    Clarify,
    /// The plan is being made.
    Planning,
    /// Steps are being done.
    Executing,
    /// The result is being checked.
    Verifying,
    /// What the check found is being mended.
    Fixing,
    /// Edge cases are being covered.
    Hardening,
    /// Done.
    Complete,
    /// Given up.
    Failed,
    /// Handed to a person.
    Escalated,
}

impl Phase {
    /// All phases, in the order of a build's life.
    pub const ALL: [Self; 10] = [
        Self::Idle,
        Self::Clarify,
        Self::Planning,
        Self::Executing,
        Self::Verifying,
        Self::Fixing,
        Self::Hardening,
        Self::Complete,
        Self::Failed,
        Self::Escalated,
    ];

    /// The word on disk and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Clarify => "clarify",
            Self::Planning => "planning",
            Self::Executing => "executing",
            Self::Verifying => "verifying",
            Self::Fixing => "fixing",
            Self::Hardening => "hardening",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Escalated => "escalated",
        }
    }

    /// Whether the build is over.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Escalated)
    }
}

/// A step that was done. A step that is recorded again replaces what was recorded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildStep {
    /// Its number in the plan, from 1.
    pub number: u32,
    /// What was done.
    pub description: String,
    /// How many tests cover it.
    pub tests: u32,
    /// How many of them pass.
    pub passing: u32,
    /// When it was recorded.
    pub recorded_at_ms: UnixMillis,
}

/// A git worktree that was made for a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worktree {
    /// Its directory, relative to the checkout.
    pub path: String,
    /// Its branch.
    pub branch: String,
    /// The branch it was made from, and is merged into.
    pub source_branch: String,
    /// Whether its branch has been merged.
    #[serde(default)]
    pub merged: bool,
}

/// A suspended protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it ends by itself; `None` means that a person ends it.
    pub until_ms: Option<UnixMillis>,
}

impl BuildState {
    /// A build that has just been started.
    pub fn started(id: String, task: String, size: Size, owner: Option<OwnerStamp>, now: UnixMillis) -> Self {
        Self {
            schema: SCHEMA,
            id,
            task,
            size,
            phase: Phase::Idle,
            owner,
            reminders_used: 0,
            reminders_in_turn: 0,
            steps: Vec::new(),
            fix_cycles: 0,
            verifications: 0,
            worktree: None,
            pause: None,
            created_at_ms: now,
            ended_at_ms: None,
            end_reason: None,
        }
    }

    /// Who owns it, for people.
    pub fn owner_name(&self) -> String {
        self.owner.as_ref().map_or_else(|| "nobody".to_owned(), OwnerStamp::describe)
    }

    /// Tests of all steps, and how many of them pass.
    pub fn tests(&self) -> (u64, u64) {
        let sum = |count: fn(&BuildStep) -> u32| self.steps.iter().map(|step| u64::from(count(step))).sum();
        (sum(|step| step.tests), sum(|step| step.passing))
    }
}

impl Pause {
    /// Whether it holds at `now`.
    pub fn is_on(self, now: UnixMillis) -> bool {
        self.until_ms.is_none_or(|until| now < until)
    }
}
