//! What the operator's grades teach: shown first, taken by the operator alone, bounded, and taken back.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::evaluations::{Evaluation, connect, count, event_id, write};
use stopgate_tests::person::text;
use stopgate_tests::world::World;

const SUBJECTS: [&str; 20] = [
    "parser", "lexer", "exporter", "schema", "login", "cache", "report", "index", "queue", "mailer", "router",
    "loader", "printer", "sorter", "filter", "importer", "crawler", "scanner", "linker", "packer",
];

/// What is kept of a stop with such a message.
fn recording(message: &str) -> String {
    let circumstances = json!({"killed": false, "mode": "shadow", "subagent": false, "stop_hook_active": false,
                               "pending_tasks": 0, "session_start_ms": 1});
    json!({
        "inputs": {
            "circumstances": circumstances,
            "message": message,
            "turn": {"now_ms": 2},
            "limits": {"per_prompt": 2, "per_day": 10, "prompt_wall_clock_ms": 1_000_000, "without_progress": true},
        },
        "answers": {},
    })
    .to_string()
}

/// Stops of agents with habits of their own, graded by somebody who knows them: some words mean that the work is left, some
/// that it is not.
fn habits(world: &World) {
    let left = SUBJECTS.map(|subject| format!("Looked at the {subject}. Parking kestrel mode now."));
    let done = SUBJECTS.map(|subject| format!("Looked at the {subject}. Heron protocol reached."));
    let kept: Vec<String> = left.iter().chain(&done).map(|message| recording(message)).collect();
    let stops: Vec<_> = left
        .iter()
        .chain(&done)
        .zip(&kept)
        .enumerate()
        .map(|(at, (message, inputs))| Evaluation {
            preview: message,
            inputs: Some(inputs),
            grade: Some(if at < SUBJECTS.len() { "wrong" } else { "right" }),
            ..Evaluation::default()
        })
        .collect();
    write(&world.home, &stops);
}

fn learned(world: &World) -> Value {
    world.stopgate_json(&["gate", "learn", "--show", "--json"])["correction"].clone()
}

#[test]
fn grades_teach_what_is_shown_first_taken_then_and_taken_back() {
    for served in [true, false] {
        let world = World::new();
        habits(&world);
        let _authority = served.then(|| world.authority());
        let shown = world.stopgate(&["gate", "learn"]);
        assert_eq!(shown.status.code(), Some(0), "{shown:?}");
        let said = text(&shown.stdout);
        assert!(said.contains("learned from 40 grades") && said.contains("nothing is changed yet"), "{said}");
        assert!(said.contains("heron") && said.contains("toward stopping"), "{said}");
        assert!(!world.home.correction_file().exists() && learned(&world).is_null());

        let applied = world.stopgate_json(&["gate", "learn", "--apply", "--json"]);
        assert_eq!(applied["grades"], 40);
        assert_eq!(learned(&world)["hash"], applied["hash"]);
        let status = text(&world.stopgate(&["status"]).stdout);
        assert!(status.contains(&format!("correction {} of 40 grades", applied["hash"].as_str().unwrap())), "{status}");

        assert!(world.stopgate(&["gate", "learn", "--undo"]).status.success());
        assert!(learned(&world).is_null() && !world.home.correction_file().exists());
        let acts = "SELECT count(*) FROM operator_actions WHERE outcome = 'done' AND action LIKE 'gate learn --%'";
        assert_eq!(count(&world.home, acts), 2);
    }
}

#[test]
fn a_stop_is_read_with_what_was_learned_and_explain_says_so() {
    let world = World::new();
    habits(&world);
    let authority = world.authority();
    let hash = world.stopgate_json(&["gate", "learn", "--apply", "--json"])["hash"].as_str().unwrap().to_owned();
    let checkout = world.planned_checkout();
    let read = |session: &str| {
        world.start_session(session, &checkout.top);
        world.stop_session(session, &checkout.top, "Looked at the tokenizer. Heron protocol reached.");
        let id = authority.judged(session).event_id;
        let reading = world.stopgate_json(&["explain", &id, "--json"])["recording"]["inputs"]["reading"].clone();
        (reading, text(&world.stopgate(&["explain", &id]).stdout))
    };
    let (with, said) = read("with");
    assert_eq!(with["learned"]["correction"], json!(hash), "{with}");
    assert!(with["learned"]["milli_log_odds"].as_i64().unwrap() < -100, "{with}");
    assert!(said.contains(&format!("of it by correction {hash}")), "{said}");
    assert!(world.stopgate(&["gate", "learn", "--undo"]).status.success());
    let (without, said) = read("without");
    assert!(without["learned"].is_null() && !said.contains("correction"), "{said}");
    let learned = with["learned"]["milli_log_odds"].as_i64().unwrap();
    assert_eq!(with["milli_log_odds"].as_i64().unwrap() - learned, without["milli_log_odds"].as_i64().unwrap());
}

#[test]
fn few_grades_teach_nothing() {
    let world = World::new();
    habits(&world);
    let connection = connect(&world.home);
    let left = connection.execute("DELETE FROM annotations WHERE id % 3 > 0", []).unwrap();
    assert!(left > 20, "{left}");
    for arguments in [&["gate", "learn"][..], &["gate", "learn", "--apply"]] {
        let refused = world.stopgate(arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused.stdout).contains("needed: 20 and 5 of each (`stopgate gate review`)"), "{refused:?}");
    }
    assert!(!world.home.correction_file().exists());
    let empty = World::new();
    let said = empty.stopgate(&["gate", "learn", "--json"]);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((&said["learned"], &said["why"]), (&json!(false), &json!("too_few")));
}

#[test]
fn grades_without_a_pattern_teach_nothing() {
    let world = World::new();
    habits(&world);
    // The same words, graded one way and the other.
    for number in 0..40 {
        let grade = if number % 2 == 0 { "right" } else { "wrong" };
        let change = "UPDATE annotations SET verdict = ?1 WHERE event_id = ?2";
        connect(&world.home).execute(change, [grade, &event_id(number)]).unwrap();
    }
    let refused = world.stopgate(&["gate", "learn", "--apply", "--json"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(said["why"], "no_gain", "{said}");
    assert!(!world.home.correction_file().exists());
}

#[test]
fn an_agent_takes_nothing_and_takes_nothing_back() {
    for served in [true, false] {
        let world = World::new();
        habits(&world);
        assert!(world.stopgate(&["gate", "learn", "--apply"]).status.success());
        let before = learned(&world);
        assert!(!before.is_null());
        // The command has started one.
        assert!(world.stopgate(&["authority", "stop"]).status.success());
        let _authority = served.then(|| world.authority());
        for act in ["--apply", "--undo"] {
            let output = recorded_agent(&world, "s", &format!("\"$BIN/stopgate\" gate learn {act}; echo was=$?"));
            assert!(text(&output.stdout).contains("was=2"), "{output:?}");
            assert!(
                text(&output.stderr).contains(&format!("refused: `gate learn {act}` is the operator's")),
                "{output:?}"
            );
        }
        assert_eq!(learned(&world), before);
    }
}

#[test]
fn a_file_that_nobody_should_believe_is_not_used() {
    let world = World::new();
    habits(&world);
    let authority = world.authority();
    assert!(world.stopgate(&["gate", "learn", "--apply"]).status.success());
    let file = world.home.correction_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let checkout = world.planned_checkout();
    let edited = good.replacen("\"bias\": ", "\"bias\": 9", 1);
    let large = good.replacen('{', &format!("{{\n{}", " ".repeat(17 * 1024)), 1);
    for (at, hostile) in ["", "\u{0}", "[[[[", &edited, &large].into_iter().enumerate() {
        std::fs::write(&file, hostile).unwrap();
        let session = format!("s{at}");
        world.start_session(&session, &checkout.top);
        world.stop_session(&session, &checkout.top, "Parking kestrel mode now.");
        let id = authority.judged(&session).event_id;
        let reading = world.stopgate_json(&["explain", &id, "--json"])["recording"]["inputs"]["reading"].clone();
        assert!(reading["milli_log_odds"].is_i64() && reading["learned"].is_null(), "{at}: {reading}");
        assert!(text(&world.stopgate(&["status"]).stdout).contains("learned      not used: "), "{at}");
    }
    // What is taken anew counts, and what nobody understood is nothing to go back to.
    assert!(world.stopgate(&["gate", "learn", "--apply"]).status.success());
    assert!(!learned(&world).is_null());
}
