//! What `installer init` shows to work, does; and what does not work is shown.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::person::{Person, WIRING, fresh_settings, mode, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, World, assert_silent, session_start};

/// Event, hook and answer of each row of the live check's table.
fn live_check_rows(said: &str) -> Vec<[String; 3]> {
    let rows = said.lines().skip_while(|line| !line.starts_with("live check:")).skip(2);
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (event, hook, _milliseconds) = (words.next()?, words.next()?, words.next()?);
        Some([event.to_owned(), hook.to_owned(), words.collect::<Vec<_>>().join(" ")])
    };
    rows.map_while(row).collect()
}

fn assert_every_hook_allowed(said: &str) {
    let row =
        |(event, hook, _): &(&str, &str, u16)| [event, hook, "allowed (no output)"].map(|cell| (*cell).to_owned());
    let expected: Vec<_> = WIRING.iter().map(row).collect();
    assert_eq!(live_check_rows(said), expected, "{said}");
}

#[test]
fn a_first_install_registers_every_hook_and_shows_that_it_works() {
    let person = Person::new();
    let home = &person.world.home;
    let said = person.must(&["init", "--yes"]);
    assert_eq!(read_settings(&person.settings()), fresh_settings(&home.bin()));
    assert_every_hook_allowed(&said);
    assert!(
        said.contains("  stop judged in shadow: would block, rule U1_DURABLE_ARTIFACT_CONTINUATION_SAFE ("),
        "{said}"
    );
    assert!(said.contains("; the agent would be told:\n      [stopgate] Nothing failed"), "{said}");
    assert!(!home.mode_file().exists(), "shadow is the default, and a default is not written down");

    assert_eq!((mode(home.root()), mode(&home.bin()), mode(&person.settings())), (0o700, 0o700, 0o600));
    let programs: Vec<_> = tree(&home.bin()).into_iter().map(|(path, (mode, _))| (path, mode)).collect();
    let expected =
        ["build-stop-hook", "installer", "session-start-recorder", "stop-gate-router", "stopgate", "write-fence"];
    assert_eq!(programs, expected.map(|name| (home.bin().join(name), 0o755)));
    assert!(person.has_authority());
    // What the live check made up is no session of anybody's.
    assert_eq!(person.world.stopgate_json(&["sessions", "--json"]), json!([]));
    assert_eq!(std::fs::read_dir(person.world.root()).unwrap().count(), 1, "the live check leaves nothing behind");
}

#[test]
fn the_registered_command_lines_work_by_themselves() {
    // The home is not the default one, and its path is no plain word. Only the installer is told where it is.
    let person = Person { world: World::new() };
    let home = &person.world.home;
    let mut init = person.installer(&["init", "--yes", "--no-live-check"]);
    init.env("STOPGATE_HOME", home.root());
    let output = finish(init, Stdin::from(""));
    assert!(output.status.success(), "{output:?}");
    let checkout = person.world.planned_checkout();
    let settings = read_settings(&person.settings());
    let fire = |event: &str, payload: Value| {
        let entries = registered(&settings).into_iter().filter(|(on, _)| on == event);
        for (_, entry) in entries {
            let mut command = person.command(Path::new(entry["command"].as_str().unwrap()));
            command.args(entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()));
            assert_silent(&finish(command, Stdin::from(&*payload.to_string())));
        }
    };
    fire("SessionStart", session_start("s1", &checkout.top, "startup"));
    person.world.asks_for_a_job(Harness::Claude, "s1");
    fire("Stop", person.world.stop("s1", &checkout.top, EXCUSE));

    let read = |arguments: &[&str]| -> Value {
        let mut command = person.installed("stopgate");
        command.args(arguments);
        let output = finish(command, Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let row = eventually("the stop is judged", || {
        let log = read(&["gate", "log", "--json"]);
        Some(log[0].clone()).filter(|row| row["session_id"] == "s1" && row["fail_open"] != "pending")
    });
    assert_eq!((&row["would_block"], &row["blocked"], &row["mode"]), (&json!(true), &json!(false), &json!("shadow")));
    let sessions = read(&["sessions", "--json"]);
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
    assert_eq!((&sessions[0]["session_id"], &sessions[0]["cwd"]), (&json!("s1"), &json!(checkout.top)));
    assert!(!person.dir().join(".stopgate").exists(), "a second home");
}

#[test]
fn a_permission_prompt_shows_as_waiting_in_both_harnesses_and_is_not_answered() {
    let person = Person::new();
    std::fs::create_dir(person.dir().join(".codex")).unwrap();
    for (harness, settings) in [("claude", person.settings()), ("codex", person.dir().join(".codex/hooks.json"))] {
        person.must(&["init", "--harness", harness, "--yes", "--no-live-check"]);
        let recorded = format!("{}/fixtures/{harness}/PermissionRequest.Bash.json", env!("CARGO_MANIFEST_DIR"));
        let asking = std::fs::read_to_string(recorded).unwrap();
        let id = serde_json::from_str::<Value>(&asking).unwrap()["session_id"].as_str().unwrap().to_owned();
        // What is registered on the event, and nothing else, is run as the harness runs it.
        let fire = |event: &str, payload: &str| {
            let entries: Vec<_> =
                registered(&read_settings(&settings)).into_iter().filter(|(on, _)| on == event).collect();
            assert_eq!(entries.len(), 1, "{harness} {event}");
            let program = entries[0].1["command"].as_str().unwrap();
            let mut command = person.command(Path::new(if harness == "codex" { "bash" } else { program }));
            match harness {
                "codex" => command.args(["-c", program]),
                _ => command.args(entries[0].1["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap())),
            };
            assert_silent(&finish(command, Stdin::from(payload)));
        };
        let becomes = |state: &str, waits_for: Value| {
            eventually(state, || {
                let rows = person.world.stopgate_json(&["sessions", "--json"]);
                let row = rows.as_array().unwrap().iter().find(|row| row["session_id"] == *id)?.clone();
                Some(row).filter(|row| row["state"] == state && row["waits_for"] == waits_for)
            })
        };
        fire("SessionStart", &session_start(&id, person.world.root(), "startup").to_string());
        let prompt = json!({"session_id": id, "cwd": "/", "hook_event_name": "UserPromptSubmit", "prompt": "go"});
        fire("UserPromptSubmit", &prompt.to_string());
        becomes("working", Value::Null);
        fire("PermissionRequest", &asking);
        let row = becomes("waiting", json!("permission for Bash"));
        assert_eq!(row["harness"], harness);
    }
}

/// `init --yes` with one more variable.
fn init_with(person: &Person, variable: &str, value: &str) -> Output {
    let mut command = person.installer(&["init", "--yes"]);
    command.env(variable, value);
    finish(command, Stdin::from(""))
}

#[test]
fn what_the_switches_say_shows_in_the_live_check() {
    let person = Person::new();
    let operate = |arguments: &[&str]| assert!(person.world.stopgate(arguments).status.success(), "{arguments:?}");
    let skipped = |said: &str, reason: &str| {
        assert_every_hook_allowed(said);
        assert!(said.contains(&format!("  stop attempt skipped: {reason}")), "{said}");
    };
    operate(&["kill", "on", "--reason", "test"]);
    skipped(&person.must(&["init", "--yes"]), "the kill switch is on");
    operate(&["kill", "off"]);
    let killed = init_with(&person, "STOPGATE_KILL", "1");
    assert!(killed.status.success(), "{killed:?}");
    skipped(&text(&killed.stdout), "the kill switch is on");
    operate(&["mode", "off"]);
    skipped(&person.must(&["init", "--yes"]), "the mode is off");

    operate(&["mode", "enforce", "--yes"]);
    let said = person.must(&["init", "--yes"]);
    assert_every_hook_allowed(&said);
    let (_, shown) = said
        .split_once("  stop judged in enforce: blocked, rule U1_DURABLE_ARTIFACT_CONTINUATION_SAFE (")
        .unwrap_or_else(|| panic!("{said}"));
    let reminder = shown.lines().nth(1).unwrap();
    assert!(reminder.trim_start().starts_with("[stopgate] ") && shown.contains("Write the parser"), "{said}");
    let (code, report) = person.json(&["init", "--yes"]);
    let stop = &report["live_check"]["stop"];
    assert_eq!((code, &stop["state"], &stop["mode"]), (0, &json!("judged"), &json!("enforce")));
    assert!(stop["reason"].as_str().unwrap().starts_with("[stopgate] "), "{report}");

    let without_git = init_with(&person, "PATH", "/nowhere");
    assert!(without_git.status.success(), "{without_git:?}");
    skipped(&text(&without_git.stdout), "git is not installed");
}

#[test]
fn what_does_not_work_is_shown_and_counted() {
    let person = Person::new();
    person.world.home.create().unwrap();
    std::fs::write(person.world.home.database(), "this is not a database ".repeat(100)).unwrap();
    let (code, report) = person.json(&["init", "--yes"]);
    assert_eq!((code, &report["outcome"], &report["exit_code"]), (1, &json!("installed"), &json!(1)), "{report}");
    assert_eq!(report["live_check"]["stop"]["state"], "problem", "{report}");
    assert_eq!(report["problems"], json!(["live check: not everything works"]));
    let hooks = report["live_check"]["hooks"].as_array().unwrap();
    assert!(hooks.iter().all(|hook| hook["answer"] == "allowed"), "hooks fail open: {report}");
    let output = person.run(&["init", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("PROBLEM: stop attempt: ") && text(&output.stderr).contains("problem: "));
}

#[test]
fn a_program_that_was_replaced_is_put_back_and_the_authority_hands_over() {
    let person = Person::new();
    person.must(&["init", "--yes", "--no-live-check"]);
    let pid = || person.world.stopgate_json(&["authority", "status", "--json"])["pid"].clone();
    let (program, first) = (person.world.home.bin().join("stopgate"), pid());
    let bytes = std::fs::read(&program).unwrap();
    let other = person.world.root().join("other");
    std::fs::write(&other, [&bytes[..], b"\n"].concat()).unwrap();
    std::fs::rename(&other, &program).unwrap();
    let said = person.must(&["init", "--yes", "--no-live-check"]);
    assert!(said.contains(&format!("  changed    {}", program.display())), "{said}");
    assert!(std::fs::read(&program).unwrap() == bytes && mode(&program) == 0o755);
    assert_ne!(pid(), first, "the old program serves no longer");
}
