//! Pointers to what a continue rests on, and why they are refused. That they belong to one and the same artifact is
//! checked by [`super::rules::Basis`], that they exist in the repository by the authority.

use serde::{Deserialize, Serialize};

use super::facts::Plan;

/// Pointers to what a continue rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct EvidencePointer {
    /// The plan, relative to the top of the working tree.
    pub plan_file: String,
    /// The commit that brought the plan in.
    pub plan_commit_sha: Option<String>,
    /// A commit of the session that shows progress.
    pub incremental_commit_sha: Option<String>,
    /// The open step the plan names next.
    pub next_step: String,
    /// The open task of the harness's own list, where that is what a continue rests on; there is no plan then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

impl EvidencePointer {
    /// Points to `plan`, and to a commit of the session that shows progress where there is one.
    pub(crate) fn of_plan(plan: &Plan, incremental: Option<&String>) -> Self {
        Self {
            plan_file: plan.path.clone(),
            plan_commit_sha: plan.introduced_by.clone(),
            incremental_commit_sha: incremental.cloned(),
            next_step: plan.next_step.clone(),
            task: None,
        }
    }

    /// Points to this open item of the harness's own task list.
    pub(crate) fn of_task(text: &str) -> Self {
        Self {
            plan_file: String::new(),
            plan_commit_sha: None,
            incremental_commit_sha: None,
            next_step: text.to_owned(),
            task: Some(text.to_owned()),
        }
    }

    /// Where the open step stands, for people.
    pub fn place(&self) -> &str {
        if self.plan_file.is_empty() { "the task list" } else { &self.plan_file }
    }
}

/// Why evidence is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceFault {
    /// A pointer that the rule needs is missing.
    #[serde(alias = "missingPointer")]
    MissingPointer,
    /// The path is absolute, leaves the working tree, or holds control characters.
    #[serde(alias = "unsafePath")]
    UnsafePath,
    /// An object id is not one.
    #[serde(alias = "notAnObjectId")]
    NotAnObjectId,
    /// No such plan among the facts.
    #[serde(alias = "unknownPlan")]
    UnknownPlan,
    /// No such open item in the harness's own task list.
    #[serde(alias = "unknownTask")]
    UnknownTask,
    /// The commit did not bring in this very plan.
    #[serde(alias = "foreignPlanCommit")]
    ForeignPlanCommit,
    /// The commit is not one of the session, or (U1) does not touch this very plan.
    #[serde(alias = "foreignIncrementalCommit")]
    ForeignIncrementalCommit,
    /// The plan was not there before the session began.
    #[serde(alias = "notBeforeSession")]
    NotBeforeSession,
    /// The session has nothing to do with the plan.
    UnrelatedPlan,
    /// The plan is gone from the working tree, or its step is no longer open.
    #[serde(alias = "planChanged")]
    PlanChanged,
    /// A commit is not in the repository.
    #[serde(alias = "noSuchCommit")]
    NoSuchCommit,
    /// The session's commit does not descend from the one that brought the plan in.
    #[serde(alias = "notDescendant")]
    NotDescendant,
    /// Whether it exists could not be found out within the budget (`gate.facts_budget_ms`).
    NotKnownInTime,
}

impl EvidenceFault {
    /// The failure kind in `fail_open`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::MissingPointer => "missing_pointer",
            Self::NotKnownInTime => "timeout",
            _ => "invalid_evidence",
        }
    }

    /// What exactly is wrong.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingPointer => "a pointer is missing",
            Self::UnsafePath => "the plan's path leaves the working tree",
            Self::NotAnObjectId => "an object id is malformed",
            Self::UnknownPlan => "no such plan",
            Self::UnknownTask => "no such open task",
            Self::ForeignPlanCommit => "the plan commit belongs to another artifact",
            Self::ForeignIncrementalCommit => "the progress commit belongs to another artifact",
            Self::NotBeforeSession => "the plan does not predate the session",
            Self::UnrelatedPlan => "the session has nothing to do with the plan",
            Self::PlanChanged => "the plan or its open step is gone",
            Self::NoSuchCommit => "a commit does not exist",
            Self::NotDescendant => "the progress commit does not descend from the plan commit",
            Self::NotKnownInTime => "not known in time",
        }
    }
}

/// A relative path of plain components, without control characters.
pub(crate) fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && !path.chars().any(char::is_control)
        && std::path::Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}
