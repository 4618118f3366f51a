//! Law 3, only the proven owner is held: the build guard through its real binary.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_build_guard::state::{BuildState, Phase, SCHEMA, Size};
use stopgate_build_guard::store;
use stopgate_core::process::host;
use stopgate_core::session::Harness;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{World, assert_silent, binary, block_reason, stop, with};

/// Puts a small build into a checkout; its `state.json`.
fn place_build(checkout: &Path, id: &str, phase: Phase, owner: Option<OwnerStamp>) -> PathBuf {
    let dir = checkout.join(".stopgate/builds").join(id);
    std::fs::create_dir_all(&dir).unwrap();
    let state = BuildState::started(id.to_owned(), "build the parser".to_owned(), Size::Small, owner, 1);
    store::write(&dir, &BuildState { phase, ..state }).unwrap();
    dir.join("state.json")
}

fn owner(id: &str) -> OwnerStamp {
    OwnerStamp {
        harness: Some(Harness::Claude),
        session_id: Some(id.to_owned()),
        host: host(),
        stamped_at_ms: 1,
        ..OwnerStamp::default()
    }
}

fn used(state: &Path) -> u64 {
    serde_json::from_slice::<Value>(&std::fs::read(state).unwrap()).unwrap()["reminders_used"].as_u64().unwrap()
}

/// Names of the files in the directory of a state.
fn files_of(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The lines of the hooks' log, which must all be about builds that cannot be used.
fn unusable(world: &World) -> Vec<String> {
    let lines: Vec<_> = world.hook_log().lines().map(str::to_owned).collect();
    assert!(lines.iter().all(|line| line.contains("build not usable")), "{lines:?}");
    lines
}

#[test]
fn the_owner_is_held_to_the_end_of_the_budget_also_from_below_and_while_a_hook_is_active() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
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
    let codex = OwnerStamp { harness: Some(Harness::Codex), ..owner("mine") };
    let states = [
        place_build(&checkout.top, "theirs", Phase::Executing, Some(owner("theirs"))),
        place_build(&checkout.top, "unstamped", Phase::Executing, None),
        place_build(&checkout.top, "done", Phase::Complete, Some(owner("mine"))),
        place_build(&checkout.top, "of-codex", Phase::Executing, Some(codex)),
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
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
    let linked = world.root().join("linked");
    checkout.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let output = world.run_hook("build-stop-hook", &stop("mine", &linked, "bye"));
    block_reason(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(used(&state), 1);
}

#[test]
fn a_corrupt_state_lets_go_is_moved_aside_and_logged_once() {
    const CORRUPT: &str = "{\"id\": \"b1\",";
    let world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
    std::fs::write(&state, CORRUPT).unwrap();
    for _ in 0..2 {
        assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
        let files = files_of(&state);
        let [aside] = &*files else { panic!("{files:?}") };
        let unique = aside.strip_prefix("state.corrupt-").and_then(|rest| rest.strip_suffix(".json"));
        assert!(unique.is_some_and(|unique| !unique.is_empty()), "{aside}");
        assert_eq!(std::fs::read_to_string(state.with_file_name(aside)).unwrap(), CORRUPT);
        let lines = unusable(&world);
        assert!(lines.len() == 1 && lines[0].contains(aside), "{lines:?}");
    }
}

#[test]
fn a_state_of_a_newer_format_lets_go_and_is_left_alone_and_logged() {
    let world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
    let newer =
        with(serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap(), "schema", json!(SCHEMA + 1)).to_string();
    std::fs::write(&state, &newer).unwrap();
    assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
    assert_eq!(files_of(&state), ["state.json"]);
    assert_eq!(std::fs::read_to_string(&state).unwrap(), newer);
    let lines = unusable(&world);
    assert!(lines.len() == 1 && lines[0].contains("newer"), "{lines:?}");
}

#[test]
fn a_planted_link_lets_go_is_not_followed_and_not_moved() {
    let world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
    let real = world.root().join("elsewhere.json");
    // What it leads to would hold the session, or would be moved aside.
    let usable = std::fs::read(&state).unwrap();
    std::fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(&real, &state).unwrap();
    for content in [&*usable, b"{"] {
        std::fs::write(&real, content).unwrap();
        assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
        assert_eq!(files_of(&state), ["state.json"]);
        assert_eq!(std::fs::read_link(&state).unwrap(), real);
        assert_eq!(std::fs::read(&real).unwrap(), content);
    }
    assert_eq!(unusable(&world).len(), 2);
}

#[test]
fn builds_that_take_too_long_to_read_let_go_and_that_is_logged() {
    let mut world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    // Costly beyond their size: every brace is an object. Each is read in less than the hook keeps back for its log.
    let junk = format!(r#"{{"phase":"executing","size":"large","junk":[{}1]}}"#, r#"{"":[]},"#.repeat(13_000));
    let file = world.root().join("junk");
    std::fs::write(&file, &junk).unwrap();
    for number in 0..200 {
        let state = place_build(&checkout.top, &format!("b{number}"), Phase::Executing, Some(owner("other")));
        std::fs::remove_file(&state).unwrap();
        std::fs::hard_link(&file, &state).unwrap();
    }
    world.set_env("STOPGATE_DEADLINE_MS", "1000");
    assert_silent(&world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye")));
    let log = world.hook_log();
    assert!(log.lines().count() == 1 && log.contains("builds not looked at"), "{log}");
}

#[test]
fn the_owner_is_told_a_way_to_call_the_program_that_nobody_planted() {
    let world = World::new();
    world.home.create().unwrap();
    let checkout = world.planned_checkout();
    place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
    let told = || {
        let said = world.run_hook("build-stop-hook", &stop("mine", &checkout.top, "bye"));
        block_reason(std::str::from_utf8(&said.stdout).unwrap())
    };
    let (link, program) = (checkout.top.join(".stopgate/stopgate"), binary("stopgate"));
    let by_path = |reason: &str| {
        assert!(!reason.contains(" .stopgate/stopgate"), "{reason}");
        reason.contains(&program.display().to_string())
    };
    assert!(by_path(&told()), "without a link");
    std::fs::write(&link, "#!/bin/sh\n").unwrap();
    assert!(by_path(&told()), "a file of somebody's");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(program.canonicalize().unwrap(), &link).unwrap();
    let reason = told();
    assert!(reason.contains(" .stopgate/stopgate build ") && !reason.contains(&*program.to_string_lossy()), "{reason}");
}

#[test]
fn concurrent_stops_of_the_owner_spend_exactly_the_budget() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let state = place_build(&checkout.top, "b1", Phase::Executing, Some(owner("mine")));
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
