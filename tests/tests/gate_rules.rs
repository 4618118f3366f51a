//! What each rule may do by itself: set by the operator, taken by a checkout, lost by bad grades.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use stopgate_core::switch::Mode;
use stopgate_gate::RuleId;
use stopgate_protocol::GateLogRow;
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::evaluations::{Evaluation, count, event_id, write};
use stopgate_tests::person::text;
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, block_reason};

const FULL: &str = "U2_PLAN_FILE_NEXT_STEP_EXPLICIT";

fn configure(world: &World, text: &str) {
    std::fs::create_dir_all(world.home.root()).unwrap();
    std::fs::write(world.home.root().join("config.toml"), text).unwrap();
}

/// What a stop by U2 gets, and its row.
fn stopped_by_u2(world: &World, authority: &RunningAuthority<'_>, session: &str) -> (String, GateLogRow) {
    let checkout = Checkout::with_plan(&world.root().join(session));
    stopped(world, authority, &checkout, session)
}

fn stopped(
    world: &World,
    authority: &RunningAuthority<'_>,
    checkout: &Checkout,
    session: &str,
) -> (String, GateLogRow) {
    world.start_session(session, &checkout.top);
    let answer = world.stop_session(session, &checkout.top, EXCUSE);
    (answer, authority.judged(session))
}

/// What a stop by U3 gets: work was committed beside the plan.
fn stopped_by_u3(world: &World, authority: &RunningAuthority<'_>, session: &str) -> (String, GateLogRow) {
    let checkout = Checkout::with_plan(&world.root().join(session));
    world.start_session(session, &checkout.top);
    checkout.write("src/lexer.rs", "fn lex() {}\n");
    checkout.commit("lexer");
    let answer = world.stop_session(session, &checkout.top, EXCUSE);
    (answer, authority.judged(session))
}

fn is_held(answer: &str) -> bool {
    answer.contains("\"decision\"") && block_reason(answer).contains("[stopgate]")
}

#[test]
fn a_rule_in_shadow_holds_nobody_and_another_rule_does() {
    let world = World::enforcing();
    configure(&world, "[gate.rules]\nU3 = \"shadow\"\n");
    let authority = world.authority();
    let (answer, row) = stopped_by_u3(&world, &authority, "s3");
    assert_eq!((answer.as_str(), row.rule), ("", Some(RuleId::RecentCommit)));
    assert_eq!((row.would_block, row.blocked, row.mode), (true, false, Mode::Shadow), "{row:?}");
    let why = "not held: U3 is in shadow, by [gate.rules] in config.toml";
    assert_eq!(row.detail.as_deref(), Some(why));
    assert!(text(&world.stopgate(&["gate", "log"]).stdout).contains(why));
    let explained = text(&world.stopgate(&["explain", &row.event_id]).stdout);
    assert!(explained.contains("U3 is in shadow, by [gate.rules]") && !explained.contains("blocked"), "{explained}");

    let (answer, row) = stopped_by_u2(&world, &authority, "s2");
    assert!(is_held(&answer), "{answer:?}");
    assert_eq!((row.rule, row.blocked, row.mode), (Some(RuleId::PlanNextStep), true, Mode::Enforce));

    // As soon as the operator says otherwise, the same kind of stop is held.
    configure(&world, "[gate.rules]\nU3_RECENT_COMMIT_PROVES_INCREMENTAL = \"enforce\"\n");
    let (answer, row) = stopped_by_u3(&world, &authority, "s4");
    assert!(is_held(&answer) && row.blocked, "{row:?}");
}

#[test]
fn a_rule_that_is_off_does_not_speak_and_the_next_one_does() {
    let world = World::enforcing();
    configure(&world, "[gate.rules]\nU3 = \"off\"\n");
    let authority = world.authority();
    let (answer, row) = stopped_by_u3(&world, &authority, "s");
    assert!(is_held(&answer), "{answer:?}");
    assert_eq!(row.rule, Some(RuleId::PlanNextStep));
    configure(&world, "[gate.rules]\nU1 = \"off\"\nU2 = \"off\"\nU3 = \"off\"\nU4 = \"off\"\n");
    let (answer, row) = stopped_by_u3(&world, &authority, "t");
    assert_eq!((answer.as_str(), row.would_block), ("", false), "{row:?}");
}

#[test]
fn a_rule_in_shadow_spends_nothing_of_what_enforce_may() {
    let world = World::enforcing();
    configure(&world, "[gate]\ncontinues_per_prompt = 1\n[gate.rules]\nU2 = \"shadow\"\n");
    let authority = world.authority();
    let checkout = Checkout::with_plan(&world.root().join("s"));
    assert_eq!(stopped(&world, &authority, &checkout, "s").0, "");
    configure(&world, "[gate]\ncontinues_per_prompt = 1\n");
    checkout.work();
    assert!(is_held(&world.stop_session("s", &checkout.top, EXCUSE)));
    checkout.work();
    assert!(!is_held(&world.stop_session("s", &checkout.top, EXCUSE)), "that was the one");
}

#[test]
fn a_checkout_takes_from_a_rule_and_gives_nothing() {
    let world = World::enforcing();
    configure(&world, "[gate.rules]\nU3 = \"shadow\"\n");
    let authority = world.authority();
    let own = |checkout: &Checkout, text: &str| checkout.write(".stopgate/config.toml", text);
    let quiet = Checkout::with_plan(&world.root().join("quiet"));
    own(&quiet, "[gate.rules]\nU2 = \"shadow\"\n");
    let (answer, row) = stopped(&world, &authority, &quiet, "quiet");
    assert_eq!((answer.as_str(), row.would_block, row.blocked), ("", true, false));
    assert!(row.detail.unwrap().contains("U2 is in shadow, by [gate.rules] in the checkout's"));
    let status = text(&world.stopgate(&["status"]).stdout);
    assert!(status.contains(".stopgate/config.toml has U2 in shadow (gate.rules)"), "{status}");

    // Loosening what the operator has tightened is a fault: nothing of the file counts.
    let greedy = Checkout::with_plan(&world.root().join("greedy"));
    own(&greedy, "[gate.rules]\nU3 = \"enforce\"\nU2 = \"shadow\"\n");
    world.start_session("greedy", &greedy.top);
    assert!(is_held(&world.stop_session("greedy", &greedy.top, EXCUSE)), "U2 enforces: the file is refused");
    greedy.write("src/lexer.rs", "fn lex() {}\n");
    greedy.commit("lexer");
    world.start_session("greedy-2", &greedy.top);
    greedy.write("src/parser.rs", "fn parse() {}\n");
    greedy.commit("parser");
    assert_eq!(world.stop_session("greedy-2", &greedy.top, EXCUSE), "", "U3 stays in shadow");
    assert_eq!(authority.judged("greedy-2").rule, Some(RuleId::RecentCommit));
}

#[test]
fn an_unknown_rule_is_an_error_with_file_field_and_remedy() {
    let world = World::new();
    configure(&world, "[gate.rules]\nU9 = \"shadow\"\n");
    let checked = world.stopgate(&["config", "check"]);
    let said = text(&checked.stdout) + &text(&checked.stderr);
    assert!(!checked.status.success(), "{said}");
    assert!(said.contains("config.toml:2: gate.rules.U9: no rule that can hold a stop; write one of U1, U2"), "{said}");
    let flipped = world.stopgate(&["mode", "shadow", "--rule", "U_LEGIT_ERROR"]);
    assert_eq!(flipped.status.code(), Some(2));
    assert!(text(&flipped.stderr).contains("one of U1, U2"), "{flipped:?}");
}

#[test]
fn the_operator_sets_a_rule_with_an_authority_and_without() {
    for served in [true, false] {
        let world = World::enforcing();
        let authority = served.then(|| world.authority());
        let said = text(&world.stopgate(&["mode", "shadow", "--rule", "U2"]).stdout);
        assert!(said.starts_with("U2: enforce -> shadow\n"), "{said}");
        let shown = world.stopgate_json(&["mode", "--json"]);
        assert_eq!(shown["rules"], json!({FULL: {"mode": "shadow", "by": "operator"}}));
        let status = world.stopgate_json(&["status", "--json"]);
        assert_eq!((&status["rules"][0]["rule"], &status["rules"][0]["mode"]), (&json!(FULL), &json!("shadow")));
        assert!(text(&world.stopgate(&["status"]).stdout).contains("rule         U2 is in shadow since "));
        let authority = authority.unwrap_or_else(|| world.authority());
        assert_eq!(stopped_by_u2(&world, &authority, "a").0, "");
        let said = text(&world.stopgate(&["mode", "enforce", "--rule", FULL]).stdout);
        assert!(said.starts_with("U2: shadow -> enforce\n"), "{said}");
        assert!(is_held(&stopped_by_u2(&world, &authority, "b").0));
        let acts = "SELECT count(*) FROM operator_actions WHERE outcome = 'done' AND action LIKE 'mode % --rule U2'";
        // Where there was no store yet, nothing could be noted.
        assert_eq!(count(&world.home, acts), if served { 2 } else { 1 });
        assert_eq!(world.stopgate_json(&["mode", "--json"])["rules"], Value::Null);
    }
}

#[test]
fn an_agent_sets_no_rule() {
    for served in [true, false] {
        let world = World::enforcing();
        let _authority = served.then(|| world.authority());
        for act in ["shadow", "off", "enforce"] {
            let output = recorded_agent(&world, "s", &format!("\"$BIN/stopgate\" mode {act} --rule U2; echo was=$?"));
            assert!(text(&output.stdout).contains("was=2"), "{output:?}");
            assert!(text(&output.stderr).contains(&format!("refused: `mode {act} --rule U2` is the operator's")));
        }
        assert!(!world.home.rules_file().exists());
        assert_eq!(count(&world.home, "SELECT count(*) FROM operator_actions WHERE outcome = 'refused'"), 3);
    }
}

#[test]
fn a_file_of_rules_that_is_not_understood_holds_nobody() {
    let world = World::enforcing();
    std::fs::write(world.home.rules_file(), "{\"rules\": 1}").unwrap();
    let authority = world.authority();
    let (answer, row) = stopped_by_u2(&world, &authority, "s");
    assert_eq!((answer.as_str(), row.would_block), ("", true));
    assert!(text(&world.stopgate(&["status"]).stdout).contains("switches/rules, which is not understood"));
    assert!(world.stopgate(&["mode", "enforce", "--rule", "U2"]).status.success());
    assert!(is_held(&stopped_by_u2(&world, &authority, "t").0));
    assert_eq!(stopped_by_u3(&world, &authority, "u").0, "", "nobody has spoken of the others");
}

/// Five would-blocks of U2 that nobody has graded.
fn past() -> Vec<Evaluation<'static>> {
    vec![Evaluation::held(); 12]
}

fn grade(world: &World, number: usize, grade: &str) -> String {
    let output = world.stopgate(&["gate", "grade", &event_id(number), grade]);
    assert!(output.status.success(), "{output:?}");
    text(&output.stderr)
}

#[test]
fn a_rule_with_bad_grades_goes_back_to_shadow_until_the_operator_says_otherwise() {
    let world = World::enforcing();
    write(&world.home, &past());
    let authority = world.authority();
    for number in 0..4 {
        assert_eq!(grade(&world, number, "right"), "");
    }
    assert!(is_held(&stopped_by_u2(&world, &authority, "a").0));
    let said = grade(&world, 4, "wrong");
    let why = "4 of 5 graded would-blocks were right (80.0 %), and gate.promotion.min_precision_percent is 90";
    assert!(said.contains(&format!("U2 goes back to shadow: {why}")), "at once: {said}");

    let (answer, row) = stopped_by_u2(&world, &authority, "b");
    assert_eq!((answer.as_str(), row.would_block, row.blocked), ("", true, false));
    assert_eq!(row.detail.as_deref(), Some("not held: U2 is in shadow, by its grades"));
    assert!(is_held(&stopped_by_u3(&world, &authority, "c").0), "another rule's grades are its own");
    let shown = |arguments: &[&str]| {
        let output = world.stopgate(arguments);
        text(&output.stdout) + &text(&output.stderr)
    };
    let line = format!("by its grades: {why}; it stays there until `stopgate mode enforce --rule U2`");
    for command in [&["status"][..], &["mode"], &["gate", "log"], &["mode", "--rule", "U2"]] {
        assert!(shown(command).contains(&line), "{command:?}");
    }

    // Better grades, the general mode and a restart change nothing.
    for number in 5..8 {
        grade(&world, number, "right");
    }
    grade(&world, 4, "right");
    assert!(world.stopgate(&["mode", "shadow"]).status.success());
    let said = shown(&["mode", "enforce", "--yes"]);
    assert!(said.contains(&line), "{said}");
    drop(authority);
    let authority = world.authority();
    assert_eq!(stopped_by_u2(&world, &authority, "d").0, "");

    // The operator's word does, and what was graded before counts no more.
    grade(&world, 4, "wrong");
    assert!(shown(&["mode", "enforce", "--rule", "U2"]).starts_with("U2: shadow -> enforce"));
    assert!(is_held(&stopped_by_u2(&world, &authority, "e").0));
    for number in 8..12 {
        assert_eq!(grade(&world, number, "wrong"), "", "four are not enough");
    }
    drop(authority);
    let authority = world.authority();
    assert!(is_held(&stopped_by_u2(&world, &authority, "f").0));
    assert!(grade(&world, 0, "wrong").contains("U2 goes back to shadow: 0 of 5"));
    assert_eq!(stopped_by_u2(&world, &authority, "g").0, "");
}

#[test]
fn grades_that_were_given_before_count_when_the_gate_begins_to_enforce() {
    let world = World::new();
    let graded = |grade| Evaluation { grade: Some(grade), ..Evaluation::held() };
    write(&world.home, &[vec![graded("right"); 8], vec![graded("wrong"); 2]].concat());
    let authority = world.authority();
    assert!(!world.home.rules_file().exists(), "in shadow nothing is held, and nothing has to be taken back");
    let said = text(&world.stopgate(&["mode", "enforce", "--yes"]).stdout);
    assert!(said.contains("U2 is in shadow since ") && said.contains("8 of 10"), "{said}");
    assert_eq!(stopped_by_u2(&world, &authority, "a").0, "");
    drop(authority);

    // The same where the mode was written by hand while an authority served, and where it starts with that.
    for by_hand in [true, false] {
        std::fs::remove_file(world.home.rules_file()).unwrap();
        world.set_mode(if by_hand { "shadow" } else { "enforce" });
        let authority = world.authority();
        std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
        assert_eq!(world.home.rules_file().exists(), !by_hand);
        assert_eq!(stopped_by_u2(&world, &authority, &format!("hand-{by_hand}")).0, "");
        assert!(world.home.rules_file().exists());
    }
}

#[test]
fn a_rule_is_measured_by_the_bound_that_is_configured() {
    let world = World::enforcing();
    configure(&world, "[gate.promotion]\nmin_precision_percent = 50\nmin_graded_continue = 2\n");
    let graded = |grade| Evaluation { grade: Some(grade), ..Evaluation::held() };
    write(&world.home, &[graded("right"), graded("wrong"), Evaluation::held()]);
    let authority = world.authority();
    assert!(is_held(&stopped_by_u2(&world, &authority, "a").0), "half of them is enough");
    // A bound that is raised counts at the next stop.
    configure(&world, "[gate.promotion]\nmin_precision_percent = 60\nmin_graded_continue = 2\n");
    assert_eq!(stopped_by_u2(&world, &authority, "b").0, "");
}
