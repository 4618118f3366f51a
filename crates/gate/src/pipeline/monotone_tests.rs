//! More evidence for a stop never holds it, and unknown evidence never more than known.

use super::*;
use crate::asked::PromptOdds;
use crate::circumstances::EndedBy;
use crate::facts::{TaskItem, TaskStatus};
use crate::signals::Sighting;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

fn any_signals() -> impl Strategy<Value = Signals> {
    let said = subsequence(Signal::ALL.to_vec(), 0..=4);
    (said, any::<u16>()).prop_map(|(said, ends)| {
        let seen = |(place, signal): (usize, Signal)| Sighting {
            signal,
            span: 0..0,
            at_end: ends >> place & 1 == 1,
            is_choice: false,
        };
        Signals::seen(said.into_iter().enumerate().map(seen))
    })
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let class = prop_oneof![3 => Just(Some(PromptClass::Execute)), 3 => proptest::option::of(select(PromptClass::ALL.to_vec()))];
    let odds =
        proptest::option::of((-9000..9000_i32, -9000..9000_i32).prop_map(|(job, insists)| PromptOdds { job, insists }));
    (class, any::<bool>(), any::<bool>(), subsequence(vec!["1", "2", "parser"], 0..=3), odds).prop_map(
        |(class, has_job, is_bounded, bounds, odds)| {
            let bounds = bounds.into_iter().map(str::to_owned).collect();
            // As prompts lead to it.
            match class {
                None => Asked::default(),
                Some(PromptClass::Execute) => Asked { class, has_job: true, odds, ..Asked::default() },
                Some(PromptClass::Narrow) => Asked { class, has_job: true, is_bounded: true, bounds, odds },
                Some(PromptClass::Stop) => Asked { class, odds, ..Asked::default() },
                Some(_) => Asked { class, has_job, is_bounded, bounds, odds },
            }
        },
    )
}

fn any_plan() -> impl Strategy<Value = Plan> {
    (select(vec!["a.md", "b.md"]), 1..4_usize, any::<[bool; 4]>(), proptest::option::of(0..2_usize)).prop_map(
        |(path, open_steps, [predates_session, touched, named, moved], done_steps)| Plan {
            path: path.into(),
            next_step: "1. parser".into(),
            open_steps,
            predates_session,
            introduced_by: Some("f".repeat(40)),
            session_commits: if moved { vec!["a".repeat(40)] } else { vec![] },
            touched_by_session: touched,
            named_by_prompt: named,
            ticked_by_session: usize::from(moved && done_steps == Some(1)),
            done_steps,
            open_step_texts: vec!["1. parser".into()],
        },
    )
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let status = select(vec![TaskStatus::Pending, TaskStatus::InProgress, TaskStatus::Completed]);
    let task = status.prop_map(|status| TaskItem { text: "2. printer".into(), status });
    let plans = proptest::collection::vec(any_plan(), 0..3);
    (plans, any::<bool>(), proptest::collection::vec(task, 0..3), any::<bool>()).prop_map(
        |(mut plans, commits, tasks, dirty)| Facts {
            plans: {
                plans.dedup_by(|one, other| one.path == other.path);
                plans
            },
            session_commits: if commits { vec!["a".repeat(40)] } else { vec![] },
            tasks,
            dirty_files: u32::from(dirty),
            ..Facts::default()
        },
    )
}

fn any_stop() -> impl Strategy<Value = (Inputs, Signals, Facts)> {
    let calls = (any::<bool>(), any::<bool>(), any::<bool>());
    (any_signals(), (-9000..9000_i32, proptest::option::of(-6000..6000_i32)), any_asked(), calls, any_facts()).prop_map(
        |(signals, (milli_log_odds, done), asked, (failed, denied, tasks_moved), facts)| {
            let call = |is: bool| is.then(|| "Bash: no".to_owned());
            let turn_end =
                TurnEnd { failed_call: call(failed), denied_call: call(denied), tasks_moved, ..TurnEnd::default() };
            let inputs = Inputs {
                circumstances: Circumstances::plain(1),
                message: String::new(),
                turn: PersonTurn { asked, ..PersonTurn::default() },
                limits: Ceilings::default(),
                has_judge: false,
                turn_end,
                rule_modes: RuleModes::default(),
                reading: Some(Reading { milli_log_odds, weights: String::new(), done, learned: None }),
            };
            (inputs, signals, facts)
        },
    )
}

fn holds(inputs: &Inputs, signals: &Signals, facts: &Facts) -> bool {
    let mut world = Answers { facts: Some(facts.clone()), ..Answers::default() };
    run_heard(inputs, signals.clone(), &mut world).decision() == Decision::Continue
}

fn with(inputs: &Inputs, change: impl FnOnce(&mut Inputs)) -> Inputs {
    let mut changed = inputs.clone();
    change(&mut changed);
    changed
}

/// `inputs`, with one more reason each to let the stop go.
fn with_more_reasons(inputs: &Inputs) -> Vec<(&'static str, Inputs)> {
    let call = || Some("Bash: refused".to_owned());
    vec![
        ("a failed call", with(inputs, |inputs| inputs.turn_end.failed_call = call())),
        ("a refused call", with(inputs, |inputs| inputs.turn_end.denied_call = call())),
        ("something wakes", with(inputs, |inputs| inputs.circumstances.pending_tasks = 1)),
        ("plan mode", with(inputs, |inputs| inputs.circumstances.ended_by = Some(EndedBy::PlanMode))),
        ("a question tool", with(inputs, |inputs| inputs.circumstances.ended_by = Some(EndedBy::Question))),
        ("an API error", with(inputs, |inputs| inputs.circumstances.ended_by = Some(EndedBy::ApiError))),
        ("asked to stop", with(inputs, |inputs| inputs.turn.person_asked_to_stop = true)),
        ("interrupted", with(inputs, |inputs| inputs.turn.person_interrupted = true)),
        ("contested", with(inputs, |inputs| inputs.turn.contested = true)),
        (
            "a stop class",
            with(inputs, |inputs| {
                inputs.turn.asked = Asked { class: Some(PromptClass::Stop), ..Asked::default() };
            }),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn one_more_reason_to_stop_never_holds((inputs, signals, facts) in any_stop()) {
        let held = holds(&inputs, &signals, &facts);
        for (what, changed) in with_more_reasons(&inputs) {
            prop_assert!(held || !holds(&changed, &signals, &facts), "{what}");
        }
        let stopped = Facts { person_asked_to_stop: true, ..facts.clone() };
        prop_assert!(held || !holds(&inputs, &signals, &stopped), "the person's last words");
        let own = Facts { is_stopgate: true, ..facts.clone() };
        prop_assert!(held || !holds(&inputs, &signals, &own), "its own checkout");
    }

    #[test]
    fn what_always_lets_go_does(
        (inputs, signals, facts) in any_stop(),
    ) {
        for (what, changed) in with_more_reasons(&inputs).split_off(2) {
            prop_assert!(!holds(&changed, &signals, &facts), "{what}");
        }
    }

    #[test]
    fn a_plan_that_nobody_touched_changes_nothing_and_holds_nobody((inputs, signals, facts) in any_stop()) {
        let forget = |plan: &Plan| Plan {
            session_commits: vec![],
            ticked_by_session: 0,
            touched_by_session: false,
            named_by_prompt: false,
            ..plan.clone()
        };
        let untouched = Facts { plans: facts.plans.iter().map(forget).collect(), ..facts.clone() };
        let none = Facts { plans: vec![], ..facts.clone() };
        prop_assert_eq!(holds(&inputs, &signals, &untouched), holds(&inputs, &signals, &none));
    }

    #[test]
    fn unknown_holds_no_more_than_known((inputs, signals, facts) in any_stop()) {
        let unknown = with(&inputs, |inputs| inputs.turn.asked = Asked::default());
        if holds(&unknown, &signals, &facts) {
            prop_assert!(signals.has_excuse());
            let is_own = |plan: &Plan| plan.relation() <= PlanRelation::Touched;
            prop_assert!(facts.plans.iter().any(is_own) || inputs.turn_end.tasks_moved);
            // Whoever is known to have asked for the job is held as well.
            let execute = Asked { class: Some(PromptClass::Execute), has_job: true, ..Asked::default() };
            prop_assert!(holds(&with(&inputs, |inputs| inputs.turn.asked = execute), &signals, &facts));
        }
        let nothing = with(&inputs, |inputs| inputs.circumstances.session_start_ms = None);
        prop_assert!(!holds(&nothing, &signals, &facts));
        prop_assert!(!holds(&inputs, &signals, &Facts::default()), "no facts");
        let idle = with(&inputs, |inputs| inputs.turn_end.tasks_moved = false);
        prop_assert!(holds(&inputs, &signals, &facts) || !holds(&idle, &signals, &facts), "tasks that did not move");
    }

    #[test]
    fn what_the_message_decides_alone_is_what_all_stages_decide((inputs, signals, facts) in any_stop()) {
        let reading = inputs.reading.as_ref().unwrap();
        for asked in [None, Some(&inputs.turn.asked)] {
            if foregone(&signals, reading, asked, false).is_some() {
                prop_assert!(!holds(&inputs, &signals, &facts), "{asked:?}");
            }
        }
    }
}
