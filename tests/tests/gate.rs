//! The gate, end to end: hooks, a live authority, a real repository. For each reason to hold there is a case that
//! holds, and for each reason to let go one that lets go.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stopgate_core::decision::Decision;
use stopgate_core::protocol::{EvaluateResponse, ROUTE_EVALUATE};
use stopgate_core::session::Harness;
use stopgate_core::switch::Mode;
use stopgate_gate::RuleId;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{
    EXCUSE, PLAIN, RunningAuthority, World, assert_silent, block_reason, noted, session_start, with,
};

/// The second that a commit's time is counted in must lie after the session's start.
fn next_second() {
    std::thread::sleep(Duration::from_millis(1_100));
}

fn evaluate(
    world: &World,
    authority: &RunningAuthority<'_>,
    id: &str,
    cwd: &Path,
    event_id: &str,
    deadline_ms: u64,
) -> EvaluateResponse {
    let body = json!({
        "event_id": event_id, "at_ms": 1_700_000_000_000_i64, "mode": "enforce", "deadline_ms": deadline_ms,
        "event": {"key": {"harness": "claude", "session_id": id}, "cwd": cwd, "transcript_path": world.transcript(id), "model": null,
                  "permission_mode": null, "agent_id": null,
                  "kind": {"name": "Stop", "stop_hook_active": false, "last_assistant_message": EXCUSE, "pending_tasks": 0}},
    });
    let response = authority.request("POST", ROUTE_EVALUATE, &body);
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    serde_json::from_slice(&response.body).unwrap()
}

fn event_id(number: u32) -> String {
    format!("00000000-0000-7000-8000-{number:012}")
}

#[test]
fn a_session_start_and_a_stop_leave_one_session_with_a_start_and_one_event() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    assert_eq!(world.stop_session("s1", &checkout.top, PLAIN), "");
    let row = authority.judged("s1");
    assert_eq!((row.decision, row.short_circuit.as_deref()), (Some(Decision::Allow), Some("no-signal")));
    let sessions = authority.sessions();
    assert_eq!(sessions.len(), 1);
    let session = &sessions[0];
    assert!(session.started_at_ms.is_some_and(|start| start <= row.at_ms), "{session:?}");
    assert_eq!(session.head_at_start, Some(checkout.git(&["rev-parse", "HEAD"])));
    assert_eq!((session.state.name(), session.source.as_deref()), ("idle", Some("startup")));
    eventually("the uncommitted changes are fingerprinted", || authority.sessions()[0].dirty_at_start.clone());
}

#[test]
fn shadow_is_the_default_records_the_truth_and_never_blocks() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    assert_silent(&world.run_hook("stop-gate-router", &world.stop("s1", &checkout.top, EXCUSE)));
    let row = authority.judged("s1");
    assert_eq!(
        (row.mode, row.decision, row.rule),
        (Mode::Shadow, Some(Decision::Continue), Some(RuleId::PlanNextStep))
    );
    assert!(row.would_block && !row.blocked, "{row:?}");
    assert_eq!(row.evidence.unwrap().plan_file, "docs/plan.md");
    assert!(!world.home.mode_file().exists(), "a default is not written down");
}

#[test]
fn enforce_blocks_with_verified_pointers() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();

    world.start_session("u2", &checkout.top);
    let reason = block_reason(&world.stop_session("u2", &checkout.top, EXCUSE));
    assert!(reason.starts_with("[stopgate] Nothing failed") && reason.contains("docs/plan.md"), "{reason}");
    assert!(reason.contains("write the parser"), "the next open step: {reason}");

    world.start_session("u3", &checkout.top);
    next_second();
    checkout.write("src/parser.rs", "");
    let progress = checkout.commit("parser");
    let reason = block_reason(&world.stop_session("u3", &checkout.top, EXCUSE));
    assert!(reason.contains(&progress[..12]), "{reason}");

    world.start_session("u1", &checkout.top);
    next_second();
    checkout.write("docs/plan.md", "- [x] lexer\n- [x] write the parser\n- [ ] write the tests\n");
    let ticked = checkout.commit("tick");
    let reason = block_reason(&world.stop_session("u1", &checkout.top, EXCUSE));
    assert!(reason.contains(&ticked[..12]) && reason.contains("write the tests"), "{reason}");

    for (session, rule) in [("u2", RuleId::PlanNextStep), ("u3", RuleId::RecentCommit), ("u1", RuleId::DurableArtifact)]
    {
        let row = authority.judged(session);
        assert_eq!((row.rule, row.would_block, row.blocked), (Some(rule), true, true), "{session}");
    }
}

#[test]
fn a_codex_session_is_judged_in_its_own_dialect() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    let run = |hook: &str, payload: &Value| {
        let mut command = world.command(&stopgate_tests::world::binary(hook));
        command.arg("codex");
        finish(command, Stdin::from(&*payload.to_string()))
    };
    assert_silent(&run("session-start-recorder", &session_start("c1", &checkout.top, "startup")));
    world.asks_for_a_job(Harness::Codex, "c1");
    let output = run("stop-gate-router", &with(world.stop("c1", &checkout.top, EXCUSE), "turn_id", json!("t")));
    assert!(block_reason(&String::from_utf8(output.stdout).unwrap()).starts_with("[stopgate]"));
}

#[test]
fn what_is_no_reason_to_hold_lets_go() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let finished = stopgate_tests::checkout::Checkout::create(&world.root().join("finished"));
    finished.write("plan.md", "- [x] all\n");
    finished.commit("plan");
    let fresh = stopgate_tests::checkout::Checkout::create(&world.root().join("fresh"));
    fresh.commit("nothing");
    let plain = world.root().join("plain");
    std::fs::create_dir(&plain).unwrap();

    // An excuse beside a reason of which nothing is on record is an excuse.
    for (session, cwd, message, why) in [
        ("no-excuse", &checkout.top, PLAIN, "no-signal"),
        (
            "question",
            &checkout.top,
            "I'm low on context. Which of the two formats should the parser read?",
            "U_LEGIT_DESIGN_QUESTION",
        ),
        ("error", &checkout.top, "I cannot proceed: the disk is full. Next, I'll try again.", "U_LEGIT_ERROR"),
        ("info", &checkout.top, "I need your API key; then I'll continue.", "U_LEGIT_MISSING_INFO"),
        ("done", &checkout.top, "All tasks are complete. A new session can pick something else.", "U_LEGIT_COMPLETION"),
        ("finished-plan", &finished.top, EXCUSE, "no-evidence"),
        ("no-plan", &fresh.top, EXCUSE, "no-evidence"),
        ("no-checkout", &plain, EXCUSE, "no-evidence"),
    ] {
        world.start_session(session, cwd);
        assert_eq!(world.stop_session(session, cwd, message), "", "{session}");
        let row = authority.judged(session);
        let found = row.rule.map(|rule| rule.id().to_owned()).or(row.short_circuit);
        assert_eq!(
            (row.decision, found.as_deref(), row.would_block),
            (Some(Decision::Allow), Some(why), false),
            "{session}"
        );
    }

    // A plan that this very session wrote down is not evidence from before it.
    world.start_session("own-plan", &fresh.top);
    next_second();
    fresh.write("plan.md", "- [ ] my own idea\n");
    fresh.commit("plan");
    assert_eq!(world.stop_session("own-plan", &fresh.top, EXCUSE), "");
    assert_eq!(authority.judged("own-plan").short_circuit.as_deref(), Some("no-evidence"));
}

#[test]
fn what_the_payload_or_a_switch_releases_is_not_even_asked_about() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    let payload = world.stop("s1", &checkout.top, EXCUSE);
    let ask = |payload: &Value| world.run_hook("stop-gate-router", payload);

    assert_silent(&ask(&with(payload.clone(), "stop_hook_active", json!(true))));
    assert_silent(&ask(&with(payload.clone(), "agent_id", json!("a1"))));
    assert_silent(&ask(&with(payload.clone(), "hook_event_name", json!("SubagentStop"))));
    assert_silent(&ask(&with(payload.clone(), "session_id", json!(""))));

    assert!(world.stopgate(&["kill", "on", "--reason", "test"]).status.success());
    assert_silent(&ask(&payload));
    assert!(world.stopgate(&["kill", "off"]).status.success());
    let mut killed = world.hook("stop-gate-router");
    killed.env("STOPGATE_KILL", "1");
    assert_silent(&finish(killed, Stdin::from(&*payload.to_string())));
    world.set_mode("off");
    assert_silent(&ask(&payload));
    assert_eq!(authority.log(), [], "none of these reached the authority");

    // The control: the same payload is held once nothing releases it.
    world.set_mode("enforce");
    let output = ask(&payload);
    block_reason(&String::from_utf8(output.stdout).unwrap());
}

#[test]
fn background_tasks_and_an_unknown_start_are_released_and_recorded() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("busy", &checkout.top);
    for (session, payload, why) in [
        (
            "busy",
            with(world.stop("busy", &checkout.top, EXCUSE), "background_tasks", json!([{"id": "b"}])),
            "background-tasks",
        ),
        ("stranger", world.stop("stranger", &checkout.top, EXCUSE), "session-start-unknown"),
    ] {
        assert_silent(&world.run_hook("stop-gate-router", &payload));
        let row = authority.judged(session);
        assert_eq!((row.decision, row.short_circuit.as_deref()), (Some(Decision::Allow), Some(why)));
    }
    assert_eq!(authority.sessions().iter().find(|row| row.session_id == "stranger").unwrap().started_at_ms, None);
}

#[test]
fn the_third_continue_is_a_force_allow_and_shadow_spends_nothing_of_it() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    for judged in 1..=3 {
        checkout.work();
        assert_eq!(world.stop_session("s1", &checkout.top, EXCUSE), "");
        eventually("it is judged", || {
            authority.log().iter().filter(|row| row.decision.is_some()).nth(judged - 1).cloned()
        });
    }
    let decisions = eventually("three stops are judged", || {
        let decisions: Option<Vec<_>> = authority.log().iter().map(|row| row.decision).collect();
        decisions.filter(|decisions| decisions.len() == 3)
    });
    assert_eq!(
        decisions.iter().filter(|decision| **decision == Decision::Continue).count(),
        2,
        "shadow has a ceiling of its own"
    );

    world.set_mode("enforce");
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    checkout.work();
    let note = noted(&world.stop_session("s1", &checkout.top, EXCUSE));
    assert!(note.contains("sent back often enough for one prompt") && note.contains("write the parser"), "{note}");
    let row = &authority.log()[0];
    assert_eq!((row.decision, row.would_block, row.noted), (Some(Decision::ForceAllow), false, true));
    assert_eq!(row.short_circuit.as_deref(), Some("continue-ceiling"));
    // Another session has a budget of its own.
    world.start_session("s2", &checkout.top);
    block_reason(&world.stop_session("s2", &checkout.top, EXCUSE));
}

#[test]
fn the_ceiling_outlives_the_authority() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    authority.kill();
    let authority = world.authority();
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    checkout.work();
    noted(&world.stop_session("s1", &checkout.top, EXCUSE));
    assert_eq!(authority.log().len(), 3);
}

#[test]
fn the_ceiling_holds_while_the_store_cannot_be_written() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    let other = rusqlite::Connection::open(world.home.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    checkout.work();
    block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    checkout.work();
    // The third is let go without the store, and memory is not forgotten when it returns.
    noted(&world.stop_session("s1", &checkout.top, EXCUSE));
    other.execute_batch("ROLLBACK").unwrap();
    checkout.work();
    noted(&world.stop_session("s1", &checkout.top, EXCUSE));
    assert_eq!(authority.log()[0].decision, Some(Decision::ForceAllow));
}

#[test]
fn a_continue_that_nobody_waited_for_is_not_counted() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    for number in 0..3 {
        let late = evaluate(&world, &authority, "s1", &checkout.top, &event_id(number), 0);
        assert_eq!(late.decision, Decision::Allow);
        assert_eq!(late.reminder, "");
    }
    let in_time = evaluate(&world, &authority, "s1", &checkout.top, &event_id(9), 5_000);
    assert_eq!(in_time.decision, Decision::Continue);
    assert_eq!(authority.log()[0].rule, Some(RuleId::PlanNextStep));
}

#[test]
fn a_repeated_delivery_counts_once_and_a_callers_word_does_not_enforce() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    for _ in 0..3 {
        evaluate(&world, &authority, "s1", &checkout.top, &event_id(1), 5_000);
    }
    assert_eq!(authority.log().len(), 1);

    world.set_mode("shadow");
    let body = json!({"event_id": event_id(2), "at_ms": 1, "mode": "enforce", "deadline_ms": 5_000,
        "event": {"key": {"harness": "claude", "session_id": "s1"}, "cwd": checkout.top, "transcript_path": world.transcript("s1"),
                  "model": null, "permission_mode": null, "agent_id": null, "kind": {"name": "Stop", "last_assistant_message": EXCUSE}}});
    assert_eq!(authority.request("POST", ROUTE_EVALUATE, &body).status, 202, "the mode file says shadow");
}

#[test]
fn malformed_requests_are_refused_with_the_field() {
    let world = World::new();
    let authority = world.authority();
    let refuse = |body: Value, field: &str| {
        let response = authority.request("POST", ROUTE_EVALUATE, &body);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 400, "{text}");
        assert!(text.contains(field), "{field}: {text}");
    };
    refuse(json!({}), "event_id");
    let event = |kind: Value, id: &str| {
        json!({"event_id": event_id(1), "at_ms": 1, "mode": "enforce", "deadline_ms": 1,
               "event": {"key": {"harness": "claude", "session_id": id}, "cwd": null, "transcript_path": null,
                         "model": null, "permission_mode": null, "agent_id": null, "kind": kind}})
    };
    refuse(event(json!({"name": "SubagentStop"}), "s"), "kind");
    refuse(event(json!({"name": "Stop"}), ""), "session_id");
    refuse(with(event(json!({"name": "Stop"}), "s"), "event_id", json!("../../x")), "event_id");
    refuse(with(event(json!({"name": "Stop"}), "s"), "mode", json!("off")), "mode");
    refuse(with(event(json!({"name": "Stop"}), "s"), "mode", json!("on")), "enforce");
    assert_eq!(authority.log(), []);
}
