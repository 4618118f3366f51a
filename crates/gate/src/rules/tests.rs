use super::super::facts::{Plan, TaskItem, TaskStatus};
use super::*;
use proptest::prelude::*;

fn plan() -> Plan {
    Plan {
        path: "docs/plan.md".into(),
        next_step: "write the parser".into(),
        open_steps: 1,
        predates_session: true,
        introduced_by: Some("a".repeat(40)),
        session_commits: vec![],
        touched_by_session: false,
        ..Plan::default()
    }
}

fn facts(plan: Plan, session_commits: Vec<String>) -> Facts {
    Facts { plans: vec![plan], session_commits, ..Facts::default() }
}

fn excuse() -> Signals {
    Signals::of([Signal::FreshSession])
}

/// With every rule speaking.
fn decide_all(signals: &Signals, facts: &Facts) -> RuleFinding {
    decide(signals, facts, &RuleModes::default())
}

fn rule_for(signals: Signals, facts: &Facts) -> Option<RuleId> {
    decide_all(&signals, facts).rule
}

#[test]
fn the_strongest_evidence_names_the_rule() {
    let commit = "b".repeat(40);
    assert_eq!(rule_for(excuse(), &facts(plan(), vec![])), Some(RuleId::PlanNextStep));
    assert_eq!(rule_for(excuse(), &facts(plan(), vec![commit.clone()])), Some(RuleId::RecentCommit));
    let touched = Plan { session_commits: vec![commit.clone()], ..plan() };
    let finding = decide_all(&excuse(), &facts(touched, vec![commit.clone()]));
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
        assert_ne!(decide_all(&signals, &facts(plan(), vec![])).decision(), Decision::Continue);
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

/// Signals that each allow a stop, and the rule that says so.
const LEGITIMATE: [(Signal, RuleId); 7] = [
    (Signal::AsksQuestion, RuleId::LegitDesignQuestion),
    (Signal::ApprovalNeeded, RuleId::LegitApproval),
    (Signal::MissingInfo, RuleId::LegitMissingInfo),
    (Signal::BlockedByError, RuleId::LegitError),
    (Signal::WaitsOutside, RuleId::LegitWait),
    (Signal::ClaimsCompletion, RuleId::LegitCompletion),
    (Signal::AsAsked, RuleId::LegitAsAsked),
];

#[test]
fn each_legitimate_rule_speaks_for_its_signal_alone() {
    for signal in Signal::ALL {
        let expected = LEGITIMATE.into_iter().find(|(legitimate, _)| *legitimate == signal);
        assert_eq!(
            legitimate_stop(&Signals::of([signal])),
            expected.map(|(_, rule)| RuleFinding::of(rule)),
            "{signal:?}"
        );
    }
}

#[test]
fn of_two_legitimate_reasons_the_one_that_stands_first_speaks() {
    for (place, (signal, rule)) in LEGITIMATE.into_iter().enumerate() {
        for (other, _) in &LEGITIMATE[place..] {
            assert_eq!(
                legitimate_stop(&Signals::of([signal, *other])),
                Some(RuleFinding::of(rule)),
                "{signal:?} {other:?}"
            );
        }
    }
}

#[test]
fn the_persons_own_word_to_stop_wins_over_an_excuse_and_needs_one() {
    let stopped = Facts { person_asked_to_stop: true, ..facts(plan(), vec![]) };
    assert_eq!(rule_for(excuse(), &stopped), Some(RuleId::LegitAsAsked));
    assert_eq!(rule_for(Signals::default(), &stopped), None);
    assert_ne!(rule_for(excuse(), &facts(plan(), vec![])), Some(RuleId::LegitAsAsked));
}

fn task(text: &str, status: TaskStatus) -> TaskItem {
    TaskItem { text: text.into(), status }
}

#[test]
fn an_open_task_of_the_sessions_own_list_is_a_reason_of_its_own() {
    let tasks = vec![
        task("lexer", TaskStatus::Completed),
        task("parser", TaskStatus::Pending),
        task("printer", TaskStatus::InProgress),
    ];
    let listed = Facts { tasks, ..Facts::default() };
    for signal in [Signal::FreshSession, Signal::PromisedNextStep, Signal::SelfDeferral, Signal::ReportsRemaining] {
        let finding = decide_all(&Signals::of([signal]), &listed);
        assert_eq!(finding.rule, Some(RuleId::TaskListPending), "{signal:?}");
        assert_eq!(finding.evidence.unwrap().task.as_deref(), Some("printer"), "what is in progress comes first");
    }
    assert_eq!(rule_for(Signals::default(), &listed), None, "without an excuse it is none");
    let done = Facts { tasks: vec![task("lexer", TaskStatus::Completed)], ..Facts::default() };
    assert_eq!(rule_for(excuse(), &done), None);
    let planned = Facts { plans: vec![plan()], ..listed };
    assert_eq!(rule_for(excuse(), &planned), Some(RuleId::PlanNextStep), "a plan is the better evidence");
}

#[test]
fn work_left_for_later_is_recorded_where_nothing_says_that_it_has_to_be_done() {
    let deferral = || Signals::of([Signal::SelfDeferral]);
    assert_eq!(rule_for(deferral(), &Facts::default()), Some(RuleId::SelfDeferral));
    assert_eq!(decide_all(&deferral(), &Facts::default()).decision(), Decision::Allow);
    assert_eq!(rule_for(deferral(), &facts(plan(), vec![])), Some(RuleId::PlanNextStep));
    assert_eq!(rule_for(excuse(), &Facts::default()), None);
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let commit = "[ab]{40}";
    let commits = proptest::collection::vec(commit, 0..3);
    ("[a-c/.]{0,4}", any::<bool>(), proptest::option::of(commit), commits).prop_map(
        |(path, predates_session, introduced_by, session_commits)| {
            let (next_step, open_steps, touched_by_session) = ("x".into(), 1, !session_commits.is_empty());
            Plan {
                path,
                next_step,
                open_steps,
                predates_session,
                introduced_by,
                session_commits,
                touched_by_session,
                ..Plan::default()
            }
        },
    )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let status = prop_oneof![Just(TaskStatus::Pending), Just(TaskStatus::InProgress), Just(TaskStatus::Completed)];
    let tasks = proptest::collection::vec(("[a-b]", status).prop_map(|(text, status)| TaskItem { text, status }), 0..3);
    let commits = proptest::collection::vec("[ab]{40}", 0..3);
    let plans = proptest::collection::vec(any_plan(), 0..3);
    (plans, commits, tasks, any::<bool>(), any::<bool>()).prop_map(
        |(plans, session_commits, tasks, is_stopgate, person_asked_to_stop)| Facts {
            plans,
            session_commits,
            is_stopgate,
            tasks,
            person_asked_to_stop,
            ..Facts::default()
        },
    )
}

proptest! {
    #[test]
    fn a_continue_has_a_reason_to_leave_nothing_legitimate_and_evidence_among_the_facts(
        facts in any_facts(),
        said in proptest::sample::subsequence(Signal::ALL.to_vec(), 0..=Signal::ALL.len()),
    ) {
        let signals = Signals::of(said);
        let finding = decide_all(&signals, &facts);
        if finding.decision() == Decision::Continue {
            prop_assert!(signals.wants_to_leave() && !facts.is_stopgate && !facts.person_asked_to_stop);
            prop_assert!(LEGITIMATE.iter().all(|(signal, _)| !signals.has(*signal)));
            let evidence = finding.evidence.unwrap();
            let is_planned = facts.plans.iter().any(|plan| plan.path == evidence.plan_file && plan.predates_session);
            let is_listed = facts.open_tasks().any(|task| Some(&task.text) == evidence.task.as_ref());
            prop_assert!(is_planned || is_listed);
        } else {
            prop_assert_eq!(finding.evidence, None);
        }
    }
}

#[test]
fn a_rule_that_is_off_leaves_the_word_to_the_next_and_one_in_shadow_does_not() {
    use stopgate_config::RulesConfig;
    use stopgate_core::switch::Mode;
    let commit = "c".repeat(40);
    let moved = Plan { session_commits: vec![commit.clone()], ..plan() };
    let facts = facts(moved, vec![commit]);
    let speaks = |rules: RulesConfig| {
        let modes = RuleModes::of(&rules, &rules, &switches::RuleSwitches::default());
        decide(&excuse(), &facts, &modes).rule
    };
    let all = RulesConfig::default();
    assert_eq!(speaks(all.clone()), Some(RuleId::DurableArtifact));
    assert_eq!(speaks(RulesConfig { u1: Mode::Shadow, ..all.clone() }), Some(RuleId::DurableArtifact));
    assert_eq!(speaks(RulesConfig { u1: Mode::Off, ..all.clone() }), Some(RuleId::RecentCommit));
    let off = RulesConfig { u1: Mode::Off, u2: Mode::Off, u3: Mode::Off, ..all };
    assert_eq!(speaks(off), None);
}
