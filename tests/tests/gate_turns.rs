//! Ceilings of a person's turn, contests, notes, configuration and explanations, through the real binaries.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::{Value, json};
use stopgate_core::clock::DAY_MS;
use stopgate_core::decision::Decision;
use stopgate_core::session::Harness;
use stopgate_gate::RuleId;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::text;
use stopgate_tests::transcript::{self, Sender};
use stopgate_tests::world::{EXCUSE, World, binary, block_reason, noted, stop, with};

fn prompt(world: &World, id: &str, cwd: &Path, text: &str) {
    world.says(id, cwd, Sender::Typed, text);
}

fn configure(world: &World, text: &str) {
    std::fs::write(world.home.root().join("config.toml"), text).unwrap();
}

/// A stop after some work.
fn stop_after_work(world: &World, checkout: &Checkout, id: &str) -> String {
    checkout.work();
    world.stop_session(id, &checkout.top, EXCUSE)
}

#[test]
fn the_same_facts_as_at_the_last_continue_let_go_and_a_prompt_of_the_person_starts_anew() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    let note = noted(&world.stop_session("s", &checkout.top, EXCUSE));
    assert!(note.starts_with("[stopgate]") && note.contains("nothing has changed"), "{note}");
    let row = &authority.log()[0];
    assert_eq!((row.decision, row.short_circuit.as_deref()), (Some(Decision::ForceAllow), Some("no-progress")));

    block_reason(&stop_after_work(&world, &checkout, "s"));
    assert!(noted(&stop_after_work(&world, &checkout, "s")).contains("often enough for one prompt"));
    prompt(&world, "s", &checkout.top, "Go on with the parser.");
    block_reason(&stop_after_work(&world, &checkout, "s"));
}

#[test]
fn a_prompt_that_asks_to_stop_releases_the_session_until_the_next_one() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    prompt(&world, "s", &checkout.top, "Stop here, please.");
    assert_eq!(world.stop_session("s", &checkout.top, EXCUSE), "");
    assert_eq!(authority.log()[0].short_circuit.as_deref(), Some("person-asked-to-stop"));
    prompt(&world, "s", &checkout.top, "Now write the parser.");
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
}

#[test]
fn the_day_has_a_ceiling_whatever_the_person_prompts() {
    let world = World::enforcing();
    configure(&world, "[gate]\ncontinues_per_day = 2\n");
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    world.start_session("s", &checkout.top);
    for number in 0..2 {
        prompt(&world, "s", &checkout.top, &format!("Go on, part {number}."));
        block_reason(&stop_after_work(&world, &checkout, "s"));
    }
    prompt(&world, "s", &checkout.top, "Go on.");
    assert!(noted(&stop_after_work(&world, &checkout, "s")).contains("often enough for one day"));
}

#[test]
fn a_contest_lets_one_stop_go_and_no_other() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    world.start_session("other", &checkout.top);
    let reason = block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    assert!(reason.contains("stopgate gate contest \"<why>\""), "{reason}");

    let mut contest = world.command(&binary("stopgate"));
    contest.args(["gate", "contest", "the parser is another team's, token sk-ant-api03-ABCDEFGHIJKLMNOP"]);
    contest.args(["--session", "s"]);
    let said = contest.output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert!(text(&said.stdout).contains("the next stop of this session goes through"), "{said:?}");
    let stored: String = rusqlite::Connection::open(world.home.database())
        .unwrap()
        .query_row("SELECT why FROM contests", [], |row| row.get(0))
        .unwrap();
    assert!(stored.starts_with("the parser is another team's") && !stored.contains("sk-ant"), "{stored}");

    checkout.work();
    block_reason(&world.stop_session("other", &checkout.top, EXCUSE));
    assert_eq!(stop_after_work(&world, &checkout, "s"), "");
    let log = authority.log();
    assert_eq!(log[0].short_circuit.as_deref(), Some("contested"));
    // A person sees why, at the stop that was held and at the one that was let go, and nowhere else.
    let own: Vec<_> = log.iter().filter(|row| row.session_id == "s").collect();
    let foreign = log.iter().find(|row| row.session_id == "other").unwrap();
    for (row, has_reason) in [(own[0], true), (own[1], true), (foreign, false)] {
        let explained = text(&world.stopgate(&["explain", &row.event_id]).stdout);
        assert_eq!(explained.contains("the agent: \"the parser is another team's"), has_reason, "{explained}");
        let json = world.stopgate_json(&["explain", &row.event_id, "--json"]);
        assert_eq!(json["contest"].is_string(), has_reason);
    }
    block_reason(&stop_after_work(&world, &checkout, "s"));

    let mut unknown = world.command(&binary("stopgate"));
    unknown.args(["gate", "contest", "because", "--session", "nobody"]);
    let refused = unknown.output().unwrap();
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("no such session"), "{refused:?}");

    for (arguments, code, says) in [
        (vec!["gate", "contest", "because"], 1, "cannot tell which session this is"),
        (vec!["gate", "contest", " "], 2, "say in a sentence"),
    ] {
        let refused = world.stopgate(&arguments);
        assert_eq!(refused.status.code(), Some(code), "{refused:?}");
        assert!(text(&refused.stderr).contains(says), "{refused:?}");
    }
}

#[test]
fn open_tasks_of_the_session_s_own_list_are_evidence_and_a_finished_list_is_none() {
    let world = World::enforcing();
    let checkout = Checkout::create(&world.root().join("plain"));
    checkout.write("a.txt", "a");
    checkout.commit("start");
    let authority = world.authority();
    let transcript = world.root().join("t.jsonl");
    let tasks = |status: &str| {
        let line = json!({"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "TodoWrite",
            "input": {"todos": [{"content": "write the lexer", "status": "completed"},
                                {"content": "write the parser", "status": status}]}}]}});
        let _ = std::fs::remove_file(&transcript);
        transcript::says(Harness::Claude, &transcript, Sender::Typed, "Write the lexer and the parser.");
        transcript::append(&transcript, &[line]);
    };
    let stop_of = |id: &str| {
        let payload = with(stop(id, &checkout.top, EXCUSE), "transcript_path", json!(transcript));
        text(&world.run_hook("stop-gate-router", &payload).stdout)
    };
    tasks("pending");
    world.start_session("open", &checkout.top);
    let reason = block_reason(&stop_of("open"));
    assert!(reason.contains("write the parser") && reason.contains("task list"), "{reason}");
    assert_eq!(authority.judged("open").rule, Some(RuleId::TaskListPending));
    tasks("completed");
    world.start_session("done", &checkout.top);
    assert_eq!(stop_of("done"), "");
    assert_eq!(authority.judged("done").short_circuit.as_deref(), Some("no-evidence"));
}

#[test]
fn a_session_that_the_build_guard_holds_is_left_to_it() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("builder", &checkout.top);
    world.start_session("other", &checkout.top);
    let started = world.stopgate_in(&checkout.top, &["build", "start", "the parser", "--owner-session", "builder"]);
    assert!(started.status.success(), "{started:?}");
    assert_eq!(world.stop_session("builder", &checkout.top, EXCUSE), "");
    assert_eq!(authority.judged("builder").short_circuit.as_deref(), Some("live-build"));
    block_reason(&world.stop_session("other", &checkout.top, EXCUSE));
}

#[test]
fn what_is_configured_holds_at_once_a_checkout_only_tightens_and_a_fault_changes_nothing() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let held = |id: &str| {
        world.start_session(id, &checkout.top);
        stop_after_work(&world, &checkout, id).contains("\"block\"")
    };
    assert!(held("s1"));
    configure(&world, "[gate]\ncontinues_per_prompt = 0\nnotes = false\n");
    assert_eq!((held("s2"), authority.judged("s2").noted), (false, false));
    configure(&world, "[gate]\ncontinues_per_prompt = \"none\"\n");
    assert!(!held("s3"), "the last configuration without a fault stays in force");
    let status = text(&world.stopgate(&["status"]).stdout);
    assert!(status.contains("config.toml:2: gate.continues_per_prompt: expected a whole number"), "{status}");
    let checked = world.stopgate(&["config", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    configure(&world, "");
    assert!(held("s4"));

    let own = checkout.top.join(".stopgate/config.toml");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "[gate]\nexclude_plans = [\"docs\"]\n").unwrap();
    assert!(!held("s5"));
    std::fs::write(&own, "[gate]\ncontinues_per_day = 100\nexclude_plans = [\"docs\"]\n").unwrap();
    assert!(held("s6"), "a file that asks for more is ignored as a whole");
    let shown = world.stopgate_in(&checkout.top, &["config", "show"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stderr).contains("may only lower it, and 10 holds already"), "{shown:?}");
}

#[test]
fn a_verdict_is_explained_by_the_same_stages_again() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    block_reason(&world.stop_session("s", &checkout.top, &format!("{EXCUSE} password=hunter2")));
    world.stop_session("s", &checkout.top, "All steps are done, and all tests pass.");
    let rows = authority.log();
    for (row, stages, decision) in [
        (&rows[1], &["turn", "asked", "signals", "model", "facts", "rule", "evidence", "verdict"][..], "continue"),
        (&rows[0], &["turn", "asked", "signals", "model", "facts", "rule", "verdict"], "allow"),
    ] {
        let explained = world.stopgate_json(&["explain", &row.event_id, "--json"]);
        let names: Vec<&str> =
            explained["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
        assert_eq!(names, stages);
        assert_eq!((&explained["decision"], &explained["agrees"]), (&json!(decision), &Value::Bool(true)));
        assert!(!explained.to_string().contains("hunter2"));
    }
    let shown = text(&world.stopgate(&["explain", &rows[1].event_id]).stdout);
    assert!(shown.contains("docs/plan.md: write the parser (holds)"), "{shown}");
    assert!(shown.contains("context-limit: \"low on context\""), "{shown}");
    for (event, says) in [("ffffffff", "no stop has an event id"), ("../x", "is no event id")] {
        let refused = world.stopgate(&["explain", event]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused.stderr).contains(says), "{refused:?}");
    }
}

/// A world whose clocks are told by a file.
fn with_clock() -> World {
    let mut world = World::enforcing();
    let clock = world.root().join("clock");
    world.set_env("STOPGATE_CLOCK", clock.to_str().unwrap());
    world
}

/// Sets the time of day wrong by so much.
fn set_clock(world: &World, ms: i64) {
    std::fs::write(world.root().join("clock"), format!("0 {ms}")).unwrap();
}

/// A prompt that the client has written down by a clock that is `ahead`.
fn prompt_ahead(world: &World, id: &str, cwd: &Path, words: &str, ahead: i64) {
    prompt(world, id, cwd, words);
    let path = world.transcript(id);
    let mut lines: Vec<Value> =
        std::fs::read_to_string(&path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in lines.iter_mut().rev().take(1) {
        let at: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
        let at = at + jiff::SignedDuration::from_millis(ahead);
        line["timestamp"] = json!(format!("{at:.3}"));
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_clock_that_was_ahead_leaves_twice_for_one_prompt() {
    for (start_ahead, with_prompt) in [(true, false), (false, true), (true, true)] {
        let world = with_clock();
        let checkout = world.planned_checkout();
        let authority = world.authority();
        let id = "s";
        set_clock(&world, if start_ahead { DAY_MS } else { 0 });
        world.start_session(id, &checkout.top);
        if with_prompt {
            set_clock(&world, DAY_MS);
            prompt_ahead(&world, id, &checkout.top, "Write the parser.", DAY_MS);
        }
        // Set right, before anything is held.
        set_clock(&world, 0);
        for _ in 0..2 {
            block_reason(&stop_after_work(&world, &checkout, id));
        }
        assert!(noted(&stop_after_work(&world, &checkout, id)).contains("often enough for one prompt"));
        let rows = authority.log();
        assert_eq!(rows[0].decision, Some(Decision::ForceAllow), "{start_ahead} {with_prompt}: {:?}", rows[0]);
        let explained = world.stopgate_json(&["explain", &rows[0].event_id, "--json"]);
        let turn = &explained["recording"]["inputs"]["turn"];
        // A start that was recorded ahead is cut when the next event comes.
        assert_eq!(turn["from_the_future"].as_bool().unwrap_or(false), with_prompt, "{turn}");
        assert!(turn["prompt_at_ms"].as_i64().unwrap() <= turn["now_ms"].as_i64().unwrap(), "{turn}");
        // The next prompt begins anew, though its time is an earlier one.
        prompt(&world, id, &checkout.top, "Go on.");
        block_reason(&stop_after_work(&world, &checkout, id));
    }
}

#[test]
fn a_clock_that_goes_back_and_forth_leaves_twice_for_one_prompt() {
    let world = with_clock();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    set_clock(&world, 0);
    world.start_session("s", &checkout.top);
    prompt(&world, "s", &checkout.top, "Write the parser.");
    let mut held = 0;
    for off in [0, -DAY_MS, 3_600_000, -3_600_000, DAY_MS / 8, -2 * DAY_MS] {
        set_clock(&world, off);
        held += u32::from(stop_after_work(&world, &checkout, "s").contains("\"block\""));
    }
    assert_eq!(held, 2);
}

/// A session that was recorded ahead of time, or before the clock was set back, has not found what it writes itself.
#[test]
fn what_a_session_writes_is_no_plan_from_before_it_whatever_the_clock_was() {
    let checkout_of = |world: &World| {
        let checkout = Checkout::create(&world.root().join("project"));
        checkout.write("readme.txt", "x");
        checkout.commit("start");
        checkout
    };
    for (at_start, at_stop) in [(DAY_MS, 0), (0, -DAY_MS)] {
        for is_committed in [false, true] {
            let world = with_clock();
            let checkout = checkout_of(&world);
            let authority = world.authority();
            set_clock(&world, at_start);
            world.start_session("s", &checkout.top);
            set_clock(&world, at_stop);
            checkout.write("docs/plan.md", "- [ ] write the parser\n");
            if is_committed {
                checkout.commit("my own plan");
            }
            assert_eq!(world.stop_session("s", &checkout.top, EXCUSE), "", "{at_start} {at_stop} {is_committed}");
            assert_eq!(authority.judged("s").short_circuit.as_deref(), Some("no-evidence"));
        }
    }
    // One that was there is evidence with a clock that was set, too: git knows what was there.
    let world = with_clock();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    set_clock(&world, DAY_MS);
    world.start_session("s", &checkout.top);
    set_clock(&world, 0);
    block_reason(&stop_after_work(&world, &checkout, "s"));
}
