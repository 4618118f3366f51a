//! What a continue rests on, and whether it holds together. Existence in the repository is checked by the
//! authority; here it is checked that all pointers belong to one and the same artifact.

use serde::{Deserialize, Serialize};

use super::RuleId;
use super::facts::Facts;
use stopgate_core::checkout::object_id;

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
    /// Where the open step stands, for people.
    pub fn place(&self) -> &str {
        if self.plan_file.is_empty() { "the task list" } else { &self.plan_file }
    }
}

/// Why evidence is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EvidenceFault {
    /// A pointer that the rule needs is missing.
    MissingPointer,
    /// The path is absolute, leaves the working tree, or holds control characters.
    UnsafePath,
    /// An object id is not one.
    NotAnObjectId,
    /// No such plan among the facts.
    UnknownPlan,
    /// No such open item in the harness's own task list.
    UnknownTask,
    /// The commit did not bring in this very plan.
    ForeignPlanCommit,
    /// The commit is not one of the session, or (U1) does not touch this very plan.
    ForeignIncrementalCommit,
    /// The plan was not there before the session began.
    NotBeforeSession,
    /// The plan is gone from the working tree, or its step is no longer open.
    PlanChanged,
    /// A commit is not in the repository.
    NoSuchCommit,
    /// The session's commit does not descend from the one that brought the plan in.
    NotDescendant,
}

impl EvidenceFault {
    /// The failure kind in `failOpen`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::MissingPointer => "missingPointer",
            _ => "invalidEvidence",
        }
    }

    /// What exactly is wrong, for `postVerifyFailure`.
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
            Self::PlanChanged => "the plan or its open step is gone",
            Self::NoSuchCommit => "a commit does not exist",
            Self::NotDescendant => "the progress commit does not descend from the plan commit",
        }
    }
}

/// Checks `pointer` for `rule` against `facts`: every pointer must belong to the same artifact.
pub fn check(rule: RuleId, pointer: &EvidencePointer, facts: &Facts) -> Result<(), EvidenceFault> {
    if rule == RuleId::TaskListPending {
        let task = pointer.task.as_ref().ok_or(EvidenceFault::MissingPointer)?;
        let is_open = facts.open_tasks().any(|open| open.text == *task);
        return if is_open { Ok(()) } else { Err(EvidenceFault::UnknownTask) };
    }
    if !is_safe_path(&pointer.plan_file) {
        return Err(EvidenceFault::UnsafePath);
    }
    let ids = [&pointer.plan_commit_sha, &pointer.incremental_commit_sha];
    if ids.into_iter().flatten().any(|id| object_id(id).is_none()) {
        return Err(EvidenceFault::NotAnObjectId);
    }
    let plan = facts.plans.iter().find(|plan| plan.path == pointer.plan_file).ok_or(EvidenceFault::UnknownPlan)?;
    if !plan.predates_session {
        return Err(EvidenceFault::NotBeforeSession);
    }
    if pointer.plan_commit_sha.is_some() && pointer.plan_commit_sha != plan.introduced_by {
        return Err(EvidenceFault::ForeignPlanCommit);
    }
    let session_commits = match rule {
        RuleId::DurableArtifact => &plan.session_commits,
        RuleId::RecentCommit => &facts.session_commits,
        _ => return Ok(()),
    };
    let (Some(_), Some(incremental)) = (&pointer.plan_commit_sha, &pointer.incremental_commit_sha) else {
        return Err(EvidenceFault::MissingPointer);
    };
    if session_commits.contains(incremental) { Ok(()) } else { Err(EvidenceFault::ForeignIncrementalCommit) }
}

/// A relative path of plain components, without control characters.
pub(super) fn is_safe_path(path: &str) -> bool {
    !path.is_empty()
        && !path.chars().any(char::is_control)
        && std::path::Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::super::facts::Plan;
    use super::*;

    fn facts() -> Facts {
        let plan = |path: &str, introduced: char, touched: char| Plan {
            path: path.into(),
            next_step: "x".into(),
            open_steps: 1,
            predates_session: true,
            introduced_by: Some(introduced.to_string().repeat(40)),
            session_commits: vec![touched.to_string().repeat(40)],
            ..Plan::default()
        };
        Facts {
            plans: vec![plan("a.md", 'a', 'c'), plan("b.md", 'b', 'd')],
            session_commits: vec!["c".repeat(40), "d".repeat(40)],
            ..Facts::default()
        }
    }

    fn pointer(path: &str, plan: &str, incremental: &str) -> EvidencePointer {
        EvidencePointer {
            plan_file: path.into(),
            plan_commit_sha: Some(plan.to_owned()),
            incremental_commit_sha: Some(incremental.to_owned()),
            next_step: "x".into(),
            task: None,
        }
    }

    #[test]
    fn all_pointers_must_belong_to_one_artifact() {
        let (a, b, c, d) = ("a".repeat(40), "b".repeat(40), "c".repeat(40), "d".repeat(40));
        let u1 =
            |path: &str, plan: &str, inc: &str| check(RuleId::DurableArtifact, &pointer(path, plan, inc), &facts());
        assert_eq!(u1("a.md", &a, &c), Ok(()));
        assert_eq!(u1("a.md", &b, &c), Err(EvidenceFault::ForeignPlanCommit));
        assert_eq!(u1("a.md", &a, &d), Err(EvidenceFault::ForeignIncrementalCommit));
        assert_eq!(u1("c.md", &a, &c), Err(EvidenceFault::UnknownPlan));
        assert_eq!(u1("../a.md", &a, &c), Err(EvidenceFault::UnsafePath));
        assert_eq!(u1("/a.md", &a, &c), Err(EvidenceFault::UnsafePath));
        assert_eq!(u1("a.md", &a, "--help"), Err(EvidenceFault::NotAnObjectId));
        assert_eq!(check(RuleId::RecentCommit, &pointer("a.md", &a, &d), &facts()), Ok(()));
    }

    #[test]
    fn u1_and_u3_need_both_commits_and_u2_none() {
        let bare = EvidencePointer { plan_commit_sha: None, incremental_commit_sha: None, ..pointer("a.md", "", "") };
        assert_eq!(check(RuleId::DurableArtifact, &bare, &facts()), Err(EvidenceFault::MissingPointer));
        assert_eq!(check(RuleId::RecentCommit, &bare, &facts()), Err(EvidenceFault::MissingPointer));
        assert_eq!(check(RuleId::PlanNextStep, &bare, &facts()), Ok(()));
    }
}
