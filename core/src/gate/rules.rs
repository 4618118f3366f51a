//! The rules: what signals and facts together mean. Legitimate stops win over every reason to go on.

use super::evidence::EvidencePointer;
use super::facts::{Facts, Plan};
use super::signals::{Signal, Signals};
use super::{Decision, RuleId};

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
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            path: "docs/plan.md".into(),
            next_step: "write the parser".into(),
            open_steps: 1,
            predates_session: true,
            introduced_by: Some("a".repeat(40)),
            ..Plan::default()
        }
    }

    fn facts(plan: Plan, session_commits: Vec<String>) -> Facts {
        Facts { plans: vec![plan], session_commits, ..Facts::default() }
    }

    fn excuse() -> Signals {
        Signals::of([Signal::FreshSession])
    }

    fn rule_for(signals: Signals, facts: &Facts) -> Option<RuleId> {
        decide(&signals, facts).rule
    }

    #[test]
    fn the_strongest_evidence_names_the_rule() {
        let commit = "b".repeat(40);
        assert_eq!(rule_for(excuse(), &facts(plan(), vec![])), Some(RuleId::PlanNextStep));
        assert_eq!(rule_for(excuse(), &facts(plan(), vec![commit.clone()])), Some(RuleId::RecentCommit));
        let touched = Plan { session_commits: vec![commit.clone()], ..plan() };
        let finding = decide(&excuse(), &facts(touched, vec![commit.clone()]));
        assert_eq!(finding.rule, Some(RuleId::DurableArtifact));
        let evidence = finding.evidence.unwrap();
        assert_eq!(evidence.plan_commit_sha, Some("a".repeat(40)));
        assert_eq!(evidence.incremental_commit_sha, Some(commit));
    }

    #[test]
    fn an_untracked_plan_carries_only_u2() {
        let untracked = Plan { introduced_by: None, ..plan() };
        assert_eq!(rule_for(excuse(), &facts(untracked, vec!["b".repeat(40)])), Some(RuleId::PlanNextStep));
    }

    #[test]
    fn a_plan_of_this_session_or_no_plan_is_no_reason() {
        let own = Plan { predates_session: false, ..plan() };
        assert_eq!(rule_for(excuse(), &facts(own, vec!["b".repeat(40)])), None);
        assert_eq!(rule_for(excuse(), &Facts::default()), None);
    }

    #[test]
    fn without_an_excuse_or_a_promise_the_best_evidence_is_no_reason() {
        for signals in [Signals::default(), Signals::of([Signal::ClaimsCompletion])] {
            assert_ne!(decide(&signals, &facts(plan(), vec![])).decision(), Decision::Continue);
        }
    }

    #[test]
    fn every_legitimate_reason_wins_over_an_excuse() {
        for (signal, rule) in [
            (Signal::AsksQuestion, RuleId::LegitDesignQuestion),
            (Signal::MissingInfo, RuleId::LegitMissingInfo),
            (Signal::BlockedByError, RuleId::LegitError),
            (Signal::ClaimsCompletion, RuleId::LegitCompletion),
            (Signal::ApprovalNeeded, RuleId::LegitApproval),
            (Signal::WaitsOutside, RuleId::LegitWait),
            (Signal::AsAsked, RuleId::LegitAsAsked),
        ] {
            let signals = Signals::of([Signal::FreshSession, Signal::PromisedNextStep, signal]);
            assert_eq!(rule_for(signals, &facts(plan(), vec![])), Some(rule));
        }
        let own = Facts { is_stopgate: true, ..facts(plan(), vec![]) };
        assert_eq!(rule_for(excuse(), &own), Some(RuleId::MetaSelfReference));
    }
}
