//! "All done", and the plan of the job has open steps: one reminder of a kind of its own, to tick what is done or to say what
//! is left. Not to do the next step: often that is done, and only the box is open.

use super::{RuleFinding, RuleId};
use crate::asked::PromptClass;
use crate::evidence::EvidencePointer;
use crate::facts::{Facts, Plan, PlanRelation, TaskStatus};
use crate::signals::{Signal, Signals};
use crate::turn::PersonTurn;

/// Whether the message and the person leave it to the facts: all is said to be done, nothing else is, a job was asked for
/// by the last prompt, and nobody was reminded since.
pub fn may_be_not_updated(signals: &Signals, turn: &PersonTurn) -> bool {
    const OTHERWISE: [Signal; 7] = [
        Signal::AsksQuestion,
        Signal::GoOnQuestion,
        Signal::ApprovalNeeded,
        Signal::MissingInfo,
        Signal::BlockedByError,
        Signal::WaitsOutside,
        Signal::AsAsked,
    ];
    signals.has(Signal::ClaimsCompletion)
        && !signals.wants_to_leave()
        && !OTHERWISE.into_iter().any(|signal| signals.has(signal))
        && turn.asked.class == Some(PromptClass::Execute)
        && !turn.plan_reminded
        && !turn.person_asked_to_stop
        && !turn.person_interrupted
}

/// What is found where all is said to be done, and the plan of the job says otherwise; `None` elsewhere. Only a plan that
/// the session has to do with counts, and only if anything was done in it: otherwise the words speak of something else.
pub fn plan_not_updated(signals: &Signals, facts: &Facts, turn: &PersonTurn) -> Option<RuleFinding> {
    let is_due = may_be_not_updated(signals, turn) && !facts.is_stopgate && !facts.person_asked_to_stop;
    let plan = plan_of_job(facts).filter(|_| is_due)?;
    let has_worked = !facts.session_commits.is_empty()
        || facts.dirty_files > 0
        || plan.ticked_by_session > 0
        || facts.tasks.iter().any(|task| task.status == TaskStatus::Completed);
    has_worked.then(|| reminder_of(plan))
}

/// The open plan that the session has most to do with, whatever order they stand in.
pub(super) fn plan_of_job(facts: &Facts) -> Option<&Plan> {
    let is_of_job =
        |plan: &&Plan| plan.predates_session && plan.open_steps > 0 && plan.relation() != PlanRelation::Untouched;
    facts.plans.iter().filter(is_of_job).min_by_key(|plan| plan.relation())
}

/// The reminder to bring `plan` up to date.
pub(super) fn reminder_of(plan: &Plan) -> RuleFinding {
    RuleFinding { rule: Some(RuleId::PlanNotUpdated), evidence: Some(EvidencePointer::of_plan(plan, None)) }
}

/// Whether no box of `plan` was ever ticked, though the session has made as many commits as it has steps: more likely the
/// boxes are forgotten than the work.
pub(super) fn is_never_ticked(plan: &Plan, facts: &Facts) -> bool {
    plan.done_steps == Some(0) && plan.ticked_by_session == 0 && facts.session_commits.len() >= plan.open_steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::Asked;
    use stopgate_core::decision::Decision;

    fn turn(class: Option<PromptClass>) -> PersonTurn {
        PersonTurn { asked: Asked { class, has_job: true, ..Asked::default() }, ..PersonTurn::default() }
    }

    fn facts(plan: Plan) -> Facts {
        Facts { plans: vec![plan], session_commits: vec!["b".repeat(40)], ..Facts::default() }
    }

    fn named() -> Plan {
        Plan {
            path: "docs/plan.md".into(),
            next_step: "two".into(),
            open_steps: 2,
            predates_session: true,
            named_by_prompt: true,
            ..Plan::default()
        }
    }

    fn done() -> Signals {
        Signals::of([Signal::ClaimsCompletion])
    }

    fn found(signals: &Signals, facts: &Facts, turn: &PersonTurn) -> bool {
        let finding = plan_not_updated(signals, facts, turn);
        if let Some(finding) = &finding {
            assert_eq!((finding.rule, finding.decision()), (Some(RuleId::PlanNotUpdated), Decision::Continue));
            let (rule, evidence) = (finding.rule.unwrap(), finding.evidence.clone().unwrap());
            assert_eq!(rule.basis().unwrap().check(&evidence, facts), Ok(()));
        }
        finding.is_some()
    }

    #[test]
    fn all_is_said_to_be_done_and_the_plan_of_the_job_is_open() {
        let execute = turn(Some(PromptClass::Execute));
        assert!(found(&done(), &facts(named()), &execute));
        for plan in [
            Plan { named_by_prompt: false, touched_by_session: true, ..named() },
            Plan { named_by_prompt: false, ticked_by_session: 1, ..named() },
        ] {
            assert!(found(&done(), &facts(plan), &execute));
        }
        let changed = Facts { session_commits: vec![], dirty_files: 1, ..facts(named()) };
        assert!(found(&done(), &changed, &execute), "nothing is committed");
        let two = Facts {
            plans: vec![named(), Plan { path: "b.md".into(), ticked_by_session: 1, ..named() }],
            ..facts(named())
        };
        assert_eq!(plan_not_updated(&done(), &two, &execute).unwrap().evidence.unwrap().plan_file, "b.md");
    }

    #[test]
    fn it_keeps_still_where_anything_is_otherwise() {
        let execute = turn(Some(PromptClass::Execute));
        let fits = |signals: &Signals, facts: &Facts, turn: &PersonTurn| found(signals, facts, turn);
        for class in PromptClass::ALL.into_iter().filter(|class| *class != PromptClass::Execute).map(Some).chain([None])
        {
            assert!(!fits(&done(), &facts(named()), &turn(class)), "{class:?}");
        }
        for signal in
            Signal::ALL.into_iter().filter(|signal| !matches!(signal, Signal::ClaimsCompletion | Signal::ContextLimit))
        {
            let both = Signals::of([Signal::ClaimsCompletion, signal]);
            assert!(!fits(&both, &facts(named()), &execute), "{signal:?}");
        }
        assert!(!fits(&Signals::default(), &facts(named()), &execute));
        for plan in [
            Plan { named_by_prompt: false, ..named() },
            Plan { open_steps: 0, ..named() },
            Plan { predates_session: false, ..named() },
        ] {
            assert!(!fits(&done(), &facts(plan), &execute));
        }
        assert!(!fits(&done(), &Facts { session_commits: vec![], ..facts(named()) }, &execute), "nothing was done");
        assert!(!fits(&done(), &Facts { is_stopgate: true, ..facts(named()) }, &execute));
        assert!(!fits(&done(), &Facts { person_asked_to_stop: true, ..facts(named()) }, &execute));
        for turn in [
            PersonTurn { plan_reminded: true, ..execute.clone() },
            PersonTurn { person_asked_to_stop: true, ..execute.clone() },
            PersonTurn { person_interrupted: true, ..execute },
        ] {
            assert!(!fits(&done(), &facts(named()), &turn));
        }
    }
}
