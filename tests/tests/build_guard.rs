//! Law 3, only the proven owner is held: the build guard through its real binary.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{World, assert_silent, binary, block_reason, stop, with};

/// Puts a build into a checkout.
fn place_build(checkout: &Path, id: &str, phase: &str, owner: Option<Value>) -> PathBuf {
    let dir = checkout.join(".stopgate/builds").join(id);
    std::fs::create_dir_all(&dir).unwrap();
    let mut state =
        json!({"id": id, "task": "build the parser", "phase": phase, "maxReminders": 3, "remindersUsed": 0});
    if let Some(owner) = owner {
        state["owner"] = owner;
    }
    std::fs::write(dir.join("state.json"), state.to_string()).unwrap();
    dir.join("state.json")
}

fn owner(id: &str) -> Value {
    json!({"harness": "claude", "sessionId": id})
}

fn used(state: &Path) -> u64 {
    serde_json::from_slice::<Value>(&std::fs::read(state).unwrap()).unwrap()["remindersUsed"].as_u64().unwrap()
}

#[test]
fn the_owner_is_held_to_the_end_of_the_budget_also_from_below_and_while_a_hook_is_active() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", "executing", Some(owner("mine")));
    let below = checkout.top.join("docs");
    for (number, payload) in [
        stop("mine", &checkout.top, "bye"),
        stop("mine", &below, "bye"),
        with(stop("mine", &checkout.top, "bye"), "stop_hook_active", json!(true)),
    ]
    .iter()
    .enumerate()
    {
        let output = world.run_hook("build-stop-hook", payload);
        let reason = block_reason(&String::from_utf8(output.stdout).unwrap());
        assert!(reason.starts_with("[stopgate]") && reason.contains("build the parser"), "{reason}");
        assert!(reason.contains(&format!("reminder {} of 3", number + 1)), "{reason}");
    }
    assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
    assert_eq!(used(&state), 3);
}

#[test]
fn nobody_else_is_held_and_no_byte_changes() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let states = [
        place_build(&checkout.top, "theirs", "executing", Some(owner("theirs"))),
        place_build(&checkout.top, "unstamped", "executing", None),
        place_build(&checkout.top, "done", "complete", Some(owner("mine"))),
        place_build(&checkout.top, "of-codex", "executing", Some(json!({"harness": "codex", "sessionId": "mine"}))),
    ];
    let before: Vec<_> = states.iter().map(|state| std::fs::read(state).unwrap()).collect();
    for payload in [
        stop("mine", &checkout.top, "bye"),
        with(stop("theirs", &checkout.top, "bye"), "agent_id", json!("a")),
        with(stop("theirs", &checkout.top, "bye"), "hook_event_name", json!("SubagentStop")),
        with(stop("theirs", &checkout.top, "bye"), "session_id", json!("")),
        stop("theirs", world.root(), "bye"),
    ] {
        assert_silent(&world.run_hook("build-stop-hook", &payload));
    }
    let mut killed = world.hook("build-stop-hook");
    killed.env("STOPGATE_KILL", "1");
    assert_silent(&finish(killed, Stdin::from(&*stop("theirs", &checkout.top, "bye").to_string())));
    let after: Vec<_> = states.iter().map(|state| std::fs::read(state).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_linked_worktree_belongs_to_its_main_checkout() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", "executing", Some(owner("mine")));
    let linked = world.root().join("linked");
    checkout.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let output = world.run_hook("build-stop-hook", &stop("mine", &linked, "bye"));
    block_reason(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(used(&state), 1);
}

#[test]
fn a_corrupt_or_planted_state_lets_go_and_is_logged() {
    let world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", "executing", Some(owner("mine")));
    std::fs::write(&state, "{\"id\": \"b1\",").unwrap();
    assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
    assert!(world.hook_log().contains("build not usable"), "{}", world.hook_log());

    let real = world.root().join("elsewhere.json");
    std::fs::rename(&state, &real).unwrap();
    std::fs::write(
        &real,
        json!({"id": "b1", "task": "t", "phase": "executing", "maxReminders": 3, "owner": owner("mine")}).to_string(),
    )
    .unwrap();
    std::os::unix::fs::symlink(&real, &state).unwrap();
    assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
}

#[test]
fn concurrent_stops_of_the_owner_spend_exactly_the_budget() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", "executing", Some(owner("mine")));
    let blocked: usize = std::thread::scope(|scope| {
        let stops: Vec<_> = (0..20)
            .map(|_| {
                let (world, checkout) = (&world, &checkout);
                scope.spawn(move || {
                    let mut hook = world.command(&binary("build-stop-hook"));
                    hook.arg("claude");
                    finish(hook, Stdin::from(&*stop("mine", &checkout.top, "bye").to_string())).stdout.len()
                })
            })
            .collect();
        stops.into_iter().map(|stop| usize::from(stop.join().unwrap() > 0)).sum()
    });
    assert_eq!((blocked, used(&state)), (3, 3));
}
