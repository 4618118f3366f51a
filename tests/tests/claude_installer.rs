//! The installer and the real Claude Code: what is registered runs, from the settings as from the plugin, a held stop
//! reaches the model, and nothing is left behind.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{ClaudeSession, Summary, real_claude};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::Person;
use stopgate_tests::world::EXCUSE;

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");

/// One prompt; the model gives an excuse, and when it is asked again, does the work.
fn run(person: &Person, checkout: &Checkout, arguments: &[&str]) -> Summary {
    let session = ClaudeSession::new(&checkout.top)
        .home(person.dir())
        .turns([Turn::text(EXCUSE), Turn::text("The parser is written; its tests pass.")])
        .prompt("go on with the plan");
    let session = arguments.iter().fold(session, |session, argument| session.arg(*argument));
    let summary = session.run(DRIVER).unwrap();
    assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
    summary
}

fn enforce(person: &Person) {
    let mode = person.world.stopgate(&["mode", "enforce", "--yes"]);
    assert!(mode.status.success(), "{mode:?}");
}

#[test]
fn what_init_registered_fires_and_uninstall_leaves_a_clean_client() {
    if real_claude().is_none() {
        return;
    }
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    let before = "{\n    \"cleanupPeriodDays\": 30,\n  \"env\": {\"N\": \"1.50\"}\n}";
    person.write_settings(before);
    person.must(&["init", "--yes"]);
    enforce(&person);
    let held = run(&person, &checkout, &[]);
    assert_eq!((held.main_requests, held.feedback().len()), (2, 1), "{held:#?}");
    assert!(held.feedback()[0].contains("docs/plan.md"), "{held:#?}");
    let (code, report) = person.json(&["doctor"]);
    assert_eq!((code, report["findings"].as_array().map(Vec::len)), (0, Some(0)), "{report:#}");

    person.must(&["uninstall", "--yes"]);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), before);
    let after = run(&person, &checkout, &[]);
    assert_eq!((after.main_requests, after.feedback().len()), (1, 0), "{after:#?}");
    assert!(after.hook_events.is_empty(), "{after:#?}");
}

#[test]
fn the_plugin_fires_as_the_settings_do() {
    if real_claude().is_none() {
        return;
    }
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    // The programs, and nothing in the person's own settings.
    person.must(&["snippet", "claude", "--programs"]);
    assert!(!person.settings().exists());
    let _authority = person.world.authority();
    enforce(&person);
    let plugin = person.world.root().join("plugin");
    person.must(&["plugin", "build", plugin.to_str().unwrap()]);
    let claude = plugin.join("claude");
    let held = run(&person, &checkout, &["--plugin-dir", claude.to_str().unwrap()]);
    assert_eq!((held.main_requests, held.feedback().len()), (2, 1), "{held:#?}");
}
