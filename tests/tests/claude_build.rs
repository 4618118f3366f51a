//! The build guard in the real Claude Code client: what the *model* receives is what counts.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and
//! pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{ClaudeSession, Summary, guarded};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::world::{World, binary};

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");

fn session(world: &World, checkout: &Checkout) -> ClaudeSession {
    ClaudeSession::new(&checkout.top)
        .home(world.root().join("claude home"))
        .env("STOPGATE_HOME", world.home.root().to_str().unwrap())
        .env("STOPGATE_NO_AUTOSTART", "1")
        .arg("--dangerously-skip-permissions")
        .env("IS_SANDBOX", "1")
        .default_turn(Turn::text("I stop here."))
}

/// The agent itself starts the build, with the shell tool.
fn starts_build(size: &str) -> Turn {
    let program = binary("stopgate");
    Turn::bash(format!("'{}' build start 'write the parser' --size {size}", program.display()))
}

fn state(checkout: &Checkout) -> Value {
    let builds = checkout.top.join(".stopgate/builds");
    let dir = std::fs::read_dir(builds).unwrap().next().unwrap().unwrap().path();
    serde_json::from_slice(&std::fs::read(dir.join("state.json")).unwrap()).unwrap()
}

fn reminders(summary: &Summary) -> Vec<String> {
    summary.feedback().into_iter().filter(|text| text.contains("owns a build")).map(str::to_owned).collect()
}

#[test]
fn the_owner_is_sent_back_three_times_at_size_small_and_nobody_else_ever() {
    let world = World::new();
    let checkout = guarded(&world);
    let owner = session(&world, &checkout).turns([starts_build("small")]).prompt("build the parser");
    let Some(summary) = owner.run(DRIVER) else { return };
    let told = reminders(&summary);
    assert_eq!((told.len(), summary.main_requests), (3, 5), "{summary:#?}");
    for (number, text) in told.iter().enumerate() {
        assert!(text.contains(&format!("reminder {} of 3", number + 1)), "{text}");
    }
    assert_eq!(state(&checkout)["owner"]["sessionId"], summary.session_id.clone().unwrap());
    assert_eq!(state(&checkout)["remindersUsed"], 3);

    let before = state(&checkout);
    let stranger = session(&world, &checkout).prompt("say hello").run(DRIVER).unwrap();
    assert_eq!((stranger.main_requests, reminders(&stranger).len()), (1, 0), "{stranger:#?}");
    assert_eq!(state(&checkout), before);
}

#[test]
fn a_second_session_is_never_held_while_the_budget_is_full() {
    let world = World::new();
    let checkout = guarded(&world);
    let started =
        world.stopgate_in(&checkout.top, &["build", "start", "the parser", "--owner-session", "someone-else"]);
    assert!(started.status.success(), "{started:?}");
    let before = state(&checkout);
    let stranger = session(&world, &checkout).prompt("say hello");
    let Some(summary) = stranger.run(DRIVER) else { return };
    assert_eq!((summary.main_requests, reminders(&summary).len()), (1, 0), "{summary:#?}");
    assert_eq!(state(&checkout), before);
}

#[test]
fn clear_keeps_the_owner_though_the_session_has_a_new_id() {
    let world = World::new();
    let checkout = guarded(&world);
    let session = session(&world, &checkout)
        .env("CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", "2")
        .turns([starts_build("large")])
        .prompt("build the parser")
        .prompt("/clear")
        .prompt("hello again");
    let Some(summary) = session.run(DRIVER) else { return };
    let told = reminders(&summary);
    assert_eq!(told.len(), 4, "two in each turn: {summary:#?}");
    assert!(told[3].contains("reminder 4 of 10"), "{told:?}");
    assert_eq!(summary.session_ids.len(), 2, "{:?}", summary.session_ids);
    assert_eq!(state(&checkout)["owner"]["sessionId"], summary.session_ids[1]);
}

#[test]
fn the_person_s_word_ends_the_turn() {
    let world = World::new();
    let checkout = guarded(&world);
    let session = session(&world, &checkout)
        .env("CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", "2")
        .turns([starts_build("large")])
        .prompt("build the parser")
        .prompt("please stop here")
        .prompt("go on");
    let Some(summary) = session.run(DRIVER) else { return };
    // Bash, stop, two reminders; one answer to the person's word; stop, two reminders.
    assert_eq!((reminders(&summary).len(), summary.main_requests), (4, 4 + 1 + 3), "{summary:#?}");
}
