//! A real Claude Code session whose settings lose stopgate's lines while it runs: what its last hook saw is recorded, and
//! shown while the session goes on.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::claude_driver::{ClaudeSession, real_claude};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::{Person, QUIETLY};

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");

/// What an agent does in a script, which no permission looks into: it changes the settings, and waits until the client has
/// told its hooks; then it asks what is shown, in the midst of the session.
const SCRIPT: &str = r#"
cp changed.json "$HOME/.claude/settings.json"
for _ in $(seq 300); do
    "$HOME/.stopgate/bin/stopgate" sessions --json > sessions.json
    grep -q ConfigChange sessions.json && break
    sleep 0.1
done
"$HOME/.stopgate/bin/stopgate" status --json > status.json
"#;

#[rstest]
#[case::taken_out(|_: &Value| json!({"model": "opus"}), Some("removed"))]
#[case::switched_off(|installed: &Value| {
    let mut changed = installed.clone();
    changed["disableAllHooks"] = json!(true);
    changed
}, Some("switched-off"))]
#[case::left_alone(|installed: &Value| {
    let mut changed = installed.clone();
    changed["cleanupPeriodDays"] = json!(31);
    changed
}, None)]
fn what_the_settings_lose_is_noticed_while_the_session_runs(
    #[case] change: fn(&Value) -> Value,
    #[case] how: Option<&str>,
) {
    if real_claude().is_none() {
        return;
    }
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    person.write_settings("{\"model\": \"opus\"}\n");
    person.must(&["init", QUIETLY[0], QUIETLY[1]]);
    let authority = person.world.authority();
    let installed: Value = serde_json::from_slice(&std::fs::read(person.settings()).unwrap()).unwrap();
    checkout.write("changed.json", &change(&installed).to_string());
    checkout.write("work.sh", SCRIPT);
    let summary = ClaudeSession::new(&checkout.top)
        .home(person.dir())
        .turns([Turn::bash("sh ./work.sh"), Turn::text("The parser is in."), Turn::text("And its tests.")])
        .prompt("go on")
        .prompt("and the tests")
        .run(DRIVER)
        .unwrap();
    assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");

    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(checkout.top.join(name)).unwrap())
            .unwrap_or_else(|_| panic!("{summary:#?}"))
    };
    let unheard = read("status.json")["unheard_sessions"].clone();
    let row = authority.sessions().remove(0);
    assert!(row.last_events.contains_key("ConfigChange"), "{row:#?}");
    if let Some(how) = how {
        assert_eq!(unheard[0]["session_id"], row.session_id, "{unheard:#}");
        assert_eq!(unheard[0]["hooks_lost"]["how"], how, "{unheard:#}");
        // It was the last they heard: neither the stop nor the next prompt nor the end was reported.
        assert_eq!(row.last_event.as_deref(), Some("ConfigChange"), "{row:#?}");
        assert!(row.hooks_lost.is_some());
    } else {
        assert_eq!(unheard, json!([]));
        assert_eq!((row.last_event.as_deref(), row.hooks_lost), (Some("SessionEnd"), None));
    }
}
