//! The rules: what signals and facts together mean. Legitimate stops win over every reason to go on.

use super::RuleId;
use super::evidence::EvidencePointer;
use super::facts::{Facts, Plan};
use super::signals::{Signal, Signals};
use stopgate_core::decision::Decision;

/// What the rules found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that spoke; `None` when there is nothing to go on with.
    pub rule: Option<RuleId>,
    /// What a continue rests on.
    pub evidence: Option<EvidencePointer>,
}

impl Finding {
    const NOTHING: Self = Self { rule: None, evidence: None };

    fn of(rule: RuleId) -> Self {
        Self { rule: Some(rule), evidence: None }
    }

    /// The decision that the finding stands for.
    pub fn decision(&self) -> Decision {
        self.rule.map_or(Decision::Allow, RuleId::decision)
    }
}

/// Rules that need no facts: stops that are legitimate by what the message says.
pub fn legitimate_stop(signals: &Signals) -> Option<Finding> {
    [asks_the_person, needs_approval, lacks_information, is_blocked, waits_for_the_world, is_complete, is_as_asked]
        .into_iter()
        .find_map(|rule| rule(signals))
        .map(Finding::of)
}

/// The rules that need facts, in order of the strength of their evidence; what the person said comes first.
pub fn decide(signals: &Signals, facts: &Facts) -> Finding {
    let legitimate = legitimate_stop(signals).or_else(|| person_said_stop(signals, facts).map(Finding::of));
    if let Some(finding) = legitimate {
        return finding;
    }
    if !signals.wants_to_leave() {
        return Finding::NOTHING;
    }
    if facts.is_stopgate {
        return Finding::of(RuleId::MetaSelfReference);
    }
    [durable_artifact, recent_commit, plan_next_step]
        .into_iter()
        .find_map(|rule| facts.plans.iter().filter(|plan| plan.predates_session).find_map(|plan| rule(plan, facts)))
        .or_else(|| task_list_pending(facts))
        .or_else(|| self_deferral(signals).map(Finding::of))
        .unwrap_or(Finding::NOTHING)
}

/// `rule` if `signal` is there.
fn given(signal: Signal, signals: &Signals, rule: RuleId) -> Option<RuleId> {
    signals.has(signal).then_some(rule)
}

/// A person is asked, and going on would answer for them.
fn asks_the_person(signals: &Signals) -> Option<RuleId> {
    given(Signal::AsksQuestion, signals, RuleId::LegitDesignQuestion)
}

/// What comes next needs somebody's agreement.
fn needs_approval(signals: &Signals) -> Option<RuleId> {
    given(Signal::ApprovalNeeded, signals, RuleId::LegitApproval)
}

/// Something is missing that the agent cannot get for itself.
fn lacks_information(signals: &Signals) -> Option<RuleId> {
    given(Signal::MissingInfo, signals, RuleId::LegitMissingInfo)
}

/// An error outside the agent's reach is in the way.
fn is_blocked(signals: &Signals) -> Option<RuleId> {
    given(Signal::BlockedByError, signals, RuleId::LegitError)
}

/// The world has to do something first.
fn waits_for_the_world(signals: &Signals) -> Option<RuleId> {
    given(Signal::WaitsOutside, signals, RuleId::LegitWait)
}

/// What was asked for is finished.
fn is_complete(signals: &Signals) -> Option<RuleId> {
    given(Signal::ClaimsCompletion, signals, RuleId::LegitCompletion)
}

/// The message says that the person asked for this stop.
fn is_as_asked(signals: &Signals) -> Option<RuleId> {
    given(Signal::AsAsked, signals, RuleId::LegitAsAsked)
}

/// The person's own last words ask to stop, whatever the agent makes of it.
fn person_said_stop(signals: &Signals, facts: &Facts) -> Option<RuleId> {
    (signals.wants_to_leave() && facts.person_asked_to_stop).then_some(RuleId::LegitAsAsked)
}

/// Work is left for later, and nothing on record says that it has to be done now: recorded, never held.
fn self_deferral(signals: &Signals) -> Option<RuleId> {
    given(Signal::SelfDeferral, signals, RuleId::SelfDeferral)
}

fn going_on(rule: RuleId, plan: &Plan, plan_commit: Option<&String>, incremental: Option<&String>) -> Finding {
    Finding {
        rule: Some(rule),
        evidence: Some(EvidencePointer {
            plan_file: plan.path.clone(),
            plan_commit_sha: plan_commit.cloned(),
            incremental_commit_sha: incremental.cloned(),
            next_step: plan.next_step.clone(),
            task: None,
        }),
    }
}

/// U1: the plan itself was moved on by a commit of this session, so the state of the work is on record.
fn durable_artifact(plan: &Plan, _: &Facts) -> Option<Finding> {
    let introduced = plan.introduced_by.as_ref()?;
    let moved_on = plan.session_commits.iter().find(|commit| *commit != introduced)?;
    Some(going_on(RuleId::DurableArtifact, plan, Some(introduced), Some(moved_on)))
}

/// U3: the session commits step by step, and a tracked plan holds what remains.
fn recent_commit(plan: &Plan, facts: &Facts) -> Option<Finding> {
    let introduced = plan.introduced_by.as_ref()?;
    let newest = facts.session_commits.iter().find(|commit| *commit != introduced)?;
    Some(going_on(RuleId::RecentCommit, plan, Some(introduced), Some(newest)))
}

/// U2: no commit yet, but the plan says what comes next; nothing is for the person to decide.
#[expect(clippy::unnecessary_wraps, reason = "has the form of its sisters")]
fn plan_next_step(plan: &Plan, _: &Facts) -> Option<Finding> {
    Some(going_on(RuleId::PlanNextStep, plan, plan.introduced_by.as_ref(), None))
}

/// U4: no plan, but the agent's own task list of this session has an open item.
fn task_list_pending(facts: &Facts) -> Option<Finding> {
    let task = &facts.open_tasks().next()?.text;
    Some(Finding {
        rule: Some(RuleId::TaskListPending),
        evidence: Some(EvidencePointer {
            plan_file: String::new(),
            plan_commit_sha: None,
            incremental_commit_sha: None,
            next_step: task.clone(),
            task: Some(task.clone()),
        }),
    })
}

#[cfg(test)]
mod tests;
