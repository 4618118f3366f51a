//! Through the real Claude Code client: what a hook makes the model receive.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and
//! pass.

#![allow(clippy::unwrap_used, reason = "test support: a panic is a failing test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use stopgate_tests::claude_driver::{ClaudeSession, HookTextKind, Summary};
use stopgate_tests::mock_anthropic::{Rule, Turn};

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");

/// Blocks the first stop of each turn.
const BLOCK_ONCE: &str = r#"#!/bin/sh
case "$(cat)" in *'"stop_hook_active":true'*) exit 0 ;; esac
printf '{"decision":"block","reason":"[probe] go on"}'
"#;

/// A temp directory with an empty project in it.
fn project() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let project = temp.path().join("project");
    fs::create_dir_all(project.join(".claude")).unwrap();
    (temp, project)
}

fn add_stop_hook(project: &Path) {
    let script = project.with_file_name("stop-hook.sh");
    fs::write(&script, BLOCK_ONCE).unwrap();
    // Run by the shell rather than by itself: a file just written may still be open in a sibling test's fork.
    let command = format!("/bin/sh '{}'", script.display());
    let settings =
        json!({ "hooks": { "Stop": [{ "hooks": [{ "type": "command", "command": command, "timeout": 10 }] }] } });
    fs::write(project.join(".claude/settings.local.json"), settings.to_string()).unwrap();
}

fn assert_ended_well(summary: &Summary) {
    assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
    assert_eq!(summary.last_result().unwrap().subtype, "success", "{summary:#?}");
    assert!(summary.transcript.as_ref().is_some_and(|path| path.is_file()), "{summary:#?}");
}

#[test]
fn a_blocking_stop_hook_sends_the_model_its_reason_and_nothing_is_asked_without_one() {
    let (_temp, project) = project();
    let session = ClaudeSession::new(&project).turns([Turn::text("quitting"), Turn::text("done")]).prompt("go");

    let Some(plain) = session.run(DRIVER) else {
        return;
    };
    assert_ended_well(&plain);
    assert_eq!(plain.main_requests, 1);
    assert_eq!(plain.last_result().unwrap().text, "quitting");
    assert!(plain.hook_texts.is_empty() && plain.hook_events.is_empty(), "{plain:#?}");

    add_stop_hook(&project);
    let Some(blocked) = session.run(DRIVER) else {
        return;
    };
    assert_ended_well(&blocked);
    assert_eq!(blocked.main_requests, 2);
    assert_eq!(blocked.feedback(), ["[probe] go on"]);
    assert!(blocked.hook_texts_of(HookTextKind::BlockingError)[0].ends_with(": [probe] go on"), "{blocked:#?}");
    assert_eq!(blocked.last_result().unwrap().text, "done");
    let outcomes: Vec<_> = blocked.hook_responses("Stop").iter().map(|hook| hook.exit_code).collect();
    assert_eq!(outcomes, [Some(0), Some(0)]);
}

#[test]
fn prompts_and_resumed_sessions_are_told_apart() {
    let (_temp, project) = project();
    let session = ClaudeSession::new(&project)
        .rule(Rule::contains("first", [Turn::bash("echo marker-$((40 + 2))")]))
        .rule(Rule::contains("second", [Turn::text("answer to the second")]))
        .prompt("the first")
        .prompt("the second");
    let Some(summary) = session.run(DRIVER) else {
        return;
    };
    assert_ended_well(&summary);
    assert_eq!(summary.answers, ["rule0[0]", "default", "rule1[0]"]);
    assert!(summary.tool_results[0].contains("marker-42"), "{summary:#?}");
    let texts: Vec<_> = summary.results.iter().map(|result| result.text.as_str()).collect();
    assert_eq!(texts, ["ok", "answer to the second"]);
    assert_eq!(summary.session_ids.len(), 1);

    let id = summary.session_id.clone().unwrap();
    let again = ClaudeSession::new(&project).resume(&id).prompt("the third").run(DRIVER).unwrap();
    assert_ended_well(&again);
    assert_eq!(again.session_id, Some(id));
    assert!(again.model_received("the first") && again.model_received("the third"), "{again:#?}");
}

#[test]
fn a_cleared_session_goes_on_under_another_id() {
    let (_temp, project) = project();
    let session = ClaudeSession::new(&project).prompt("--before").prompt("/clear").prompt("after");
    let Some(summary) = session.run(DRIVER) else {
        return;
    };
    assert_ended_well(&summary);
    assert_eq!(summary.main_requests, 2);
    assert_eq!(summary.session_ids.len(), 2, "{summary:#?}");
    assert_eq!(summary.session_id.as_ref(), summary.session_ids.first());
}

#[test]
fn a_client_that_does_not_end_is_ended() {
    let (_temp, project) = project();
    let session = ClaudeSession::new(&project)
        .turns([Turn::text("late").after(Duration::from_mins(5))])
        .timeout(Duration::from_secs(40));
    let Some(summary) = session.run(DRIVER) else {
        return;
    };
    assert!(summary.timed_out, "{summary:#?}");
    assert!(summary.results.is_empty(), "{summary:#?}");
    assert_eq!(summary.main_requests, 1);
}
