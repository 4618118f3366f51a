//! The gate in the real Claude Code client, against a scripted model: what the *model* receives is what counts.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and
//! pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use stopgate_core::decision::Decision;
use stopgate_core::session::state::SessionState;
use stopgate_core::spool::SpoolRoute;
use stopgate_gate::RuleId;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{ClaudeSession, Summary, guarded};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, World};

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");

/// One prompt; the model gives an excuse, and when it is asked again, does the work.
fn run(world: &World, checkout: &Checkout) -> Option<Summary> {
    let summary = ClaudeSession::new(&checkout.top)
        .home(world.root().join("claude home"))
        .env("STOPGATE_HOME", world.home.root().to_str().unwrap())
        .env("STOPGATE_NO_AUTOSTART", "1")
        .turns([Turn::text(EXCUSE), Turn::text("The parser is written; its tests pass.")])
        .prompt("write the parser")
        .run(DRIVER)?;
    assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
    assert_eq!(summary.last_result().unwrap().subtype, "success", "{summary:#?}");
    Some(summary)
}

fn assert_not_held(summary: &Summary) {
    assert_eq!(summary.main_requests, 1, "{summary:#?}");
    assert!(summary.feedback().is_empty() && !summary.model_received("[stopgate]"), "{summary:#?}");
}

#[test]
fn a_word_to_stop_is_the_persons_without_a_terminal_too() {
    let world = World::new();
    set_mode(&world, "enforce");
    let checkout = guarded(&world);
    let authority = world.authority();
    // One by its argument; and two on one process, by stream-json.
    for prompts in [&["please stop here"][..], &["write the parser", "please stop here"]] {
        let session = ClaudeSession::new(&checkout.top)
            .home(world.root().join("claude home"))
            .env("STOPGATE_HOME", world.home.root().to_str().unwrap())
            .env("STOPGATE_NO_AUTOSTART", "1")
            .default_turn(Turn::text(EXCUSE));
        let session = prompts.iter().fold(session, |session, prompt| session.prompt(*prompt));
        let Some(summary) = session.run(DRIVER) else { return };
        assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
        assert_eq!(summary.feedback().len(), prompts.len() - 1, "{summary:#?}");
        assert_eq!(authority.log()[0].short_circuit.as_deref(), Some("person-asked-to-stop"), "{summary:#?}");
    }
}

fn set_mode(world: &World, mode: &str) {
    world.home.create().unwrap();
    std::fs::write(world.home.mode_file(), format!("{mode}\n")).unwrap();
}

#[test]
fn enforce_sends_the_model_back_to_its_plan_once() {
    let world = World::new();
    set_mode(&world, "enforce");
    let checkout = guarded(&world);
    let authority = world.authority();
    let Some(summary) = run(&world, &checkout) else { return };
    assert_eq!(summary.main_requests, 2, "the turn went on once: {summary:#?}");
    let feedback = summary.feedback();
    assert_eq!(feedback.len(), 1, "{summary:#?}");
    assert!(feedback[0].starts_with("[stopgate] Nothing failed"), "{feedback:?}");
    assert!(feedback[0].contains("docs/plan.md: write the parser"), "{feedback:?}");

    // The second stop carries stop_hook_active: it is let go without a request.
    let log = authority.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((log[0].decision, log[0].rule), (Some(Decision::Continue), Some(RuleId::PlanNextStep)));
    assert!(log[0].blocked);
    let sessions = authority.sessions();
    assert_eq!(sessions.len(), 1);
    assert_eq!(Some(&sessions[0].session_id), summary.session_id.as_ref());
    assert!(sessions[0].started_at_ms.is_some_and(|start| start <= log[0].at_ms));
    assert_eq!(sessions[0].harness_process.as_ref().unwrap().command, "claude");
    assert_eq!(sessions[0].state, SessionState::Ended);
}

#[test]
fn shadow_costs_one_request_less_and_only_the_log_knows() {
    let world = World::new();
    let checkout = guarded(&world);
    let authority = world.authority();
    let Some(summary) = run(&world, &checkout) else { return };
    assert_not_held(&summary);
    let row = eventually("the stop is judged", || authority.log().pop().filter(|row| row.decision.is_some()));
    assert!(row.would_block && !row.blocked, "{row:?}");
}

#[test]
fn a_dead_authority_lets_the_stop_through() {
    let world = World::new();
    set_mode(&world, "enforce");
    let checkout = guarded(&world);
    world.authority().kill();
    let Some(summary) = run(&world, &checkout) else { return };
    assert_not_held(&summary);
    let stops = world.spooled().iter().filter(|one| one.route == SpoolRoute::Evaluate).count();
    assert_eq!(stops, 1, "the stop waits in the spool");
}

#[test]
fn the_kill_switch_lets_the_stop_through() {
    let world = World::new();
    set_mode(&world, "enforce");
    let checkout = guarded(&world);
    let authority = world.authority();
    assert!(world.stopgate(&["kill", "on"]).status.success());
    let Some(summary) = run(&world, &checkout) else { return };
    assert_not_held(&summary);
    assert_eq!(authority.log(), []);
}
