//! The hooks of an agent that was asked to judge let it go at once: no request, no record, no build held.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Output;

use serde_json::{Value, json};
use stopgate_core::env::STOPGATE_JUDGE;
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, HOOKS, World, assert_silent, block_reason, session_start, stop};

fn run(world: &World, hook: &str, payload: &Value, guard: Option<&str>) -> Output {
    let mut command = world.hook(hook);
    if let Some(value) = guard {
        command.env(STOPGATE_JUDGE, value);
    }
    finish(command, Stdin::from(&*payload.to_string()))
}

#[test]
fn with_the_guard_no_hook_asks_or_records_and_without_it_all_do() {
    let world = World::enforcing();
    let verdict = json!({"event_id": "e", "decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT",
                         "reminder": "[stopgate] go on", "latency_ms": 1});
    let socket = world.home.socket_to_connect().unwrap();
    let authority = FakeAuthority::listen(&socket, Behaviour::answer("200 OK", &verdict.to_string()));
    let (started, stopped) = (session_start("s1", world.root(), "startup"), stop("s1", world.root(), EXCUSE));

    for hook in HOOKS {
        for payload in [&started, &stopped] {
            assert_silent(&run(&world, hook, payload, Some("1")));
        }
    }
    assert_eq!(authority.connections(), 0);
    assert!(world.spooled().is_empty() && !world.home.database().exists() && world.hook_log().is_empty());
    assert_eq!(std::fs::read_dir(world.home.beats()).unwrap().count(), 0);

    // A flag that says no is none.
    assert_eq!(block_reason(&text(&run(&world, "stop-gate-router", &stopped, Some("0")))), "[stopgate] go on");
    assert_eq!(block_reason(&text(&run(&world, "stop-gate-router", &stopped, None))), "[stopgate] go on");
    assert_silent(&run(&world, "session-start-recorder", &started, None));
    assert_eq!(authority.connections(), 3);
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_owner_of_a_build_that_judges_is_not_held() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let mut start = world.command(&stopgate_tests::world::binary("stopgate"));
    start.args(["build", "start", "write the parser", "--owner-session", "s1"]).current_dir(&checkout.top);
    let started = finish(start, Stdin::from(""));
    assert!(started.status.success(), "{started:?}");
    let payload = stop("s1", &checkout.top, EXCUSE);
    assert_silent(&run(&world, "build-stop-hook", &payload, Some("1")));
    assert!(block_reason(&text(&run(&world, "build-stop-hook", &payload, None))).contains("write the parser"));
}
