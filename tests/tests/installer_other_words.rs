//! Entries that run stopgate's programs in other words than the installer's: they are registered, stay as they are, and get no
//! second set beside them; what is registered twice, by one home or two, is named with both.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::claude_driver::{ClaudeSession, real_claude};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::{Person, QUIETLY, finding_ids, fresh_settings, read_settings, registered, text};
use stopgate_tests::run::{Stdin, finish};

const CLAUDE: &str = env!("CARGO_BIN_EXE_drive-claude");
const ROUTER: &str = "stop-gate-router";

/// A person in whose settings every entry is written by `line`, from the name of the hook.
fn written_by(line: impl Fn(&Person, &str) -> String) -> Person {
    let person = Person::new();
    person.install(&[]);
    symlink(person.world.home.root(), person.dir().join("linked")).unwrap();
    let mut settings = read_settings(&person.settings());
    for groups in settings["hooks"].as_object_mut().unwrap().values_mut() {
        for entry in groups[0]["hooks"].as_array_mut().unwrap() {
            let command = entry["command"].as_str().unwrap();
            let hook = command.rsplit('/').next().unwrap().to_owned();
            *entry = json!({"type": "command", "command": line(&person, &hook), "timeout": entry["timeout"]});
        }
    }
    person.write_settings(serde_json::to_string_pretty(&settings).unwrap());
    person
}

fn doctor(person: &Person, more: &[&str]) -> Value {
    person.json(&[&["doctor", "--no-fire"], more].concat()).1
}

fn findings<'a>(report: &'a Value, id: &str) -> Vec<&'a str> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == id);
    all.map(|finding| finding["what"].as_str().unwrap()).collect()
}

#[rstest]
#[case::variable(|_: &Person, hook: &str| format!("\"$HOME/.stopgate/bin/{hook}\" claude"))]
#[case::braced(|_: &Person, hook: &str| format!("${{HOME}}/.stopgate/bin/{hook} claude"))]
#[case::tilde(|_: &Person, hook: &str| format!("~/.stopgate/bin/{hook} claude"))]
#[case::link(|person: &Person, hook: &str| format!("{}/linked/bin/{hook} claude", person.dir().display()))]
#[case::relative(|_: &Person, hook: &str| format!("./.stopgate/bin/{hook} claude"))]
#[case::roundabout(|person: &Person, hook: &str| format!("{}/.stopgate/../.stopgate/bin/{hook} claude", person.dir().display()))]
#[case::shell(|person: &Person, hook: &str| format!("bash -c '{}/{hook} claude'", person.world.home.bin().display()))]
#[case::assigned(|person: &Person, hook: &str| format!("env X=1 {}/{hook} claude", person.world.home.bin().display()))]
#[case::quieted(|person: &Person, hook: &str| format!("X=1 exec {}/{hook} claude 2>/dev/null", person.world.home.bin().display()))]
fn what_is_written_in_other_words_is_registered_and_stays(#[case] line: fn(&Person, &str) -> String) {
    let person = written_by(line);
    let before = std::fs::read(person.settings()).unwrap();
    let report = doctor(&person, &[]);
    let ids = finding_ids(&report);
    assert!(ids.iter().all(|id| *id == "entry-other-words") && !ids.is_empty(), "{report:#}");
    assert_eq!(report["problems"].as_u64().unwrap_or_default(), 0, "{report:#}");
    doctor(&person, &["--fix"]);
    assert!(std::fs::read(person.settings()).unwrap() == before, "by the doctor");
    let said = person.install(&[]);
    assert!(std::fs::read(person.settings()).unwrap() == before, "by init: {said}");
    // What the person takes out is put there in stopgate's own words, and nothing else is touched.
    let mut settings = read_settings(&person.settings());
    settings["hooks"]["Stop"] = json!([]);
    person.write_settings(settings.to_string());
    person.install(&[]);
    let mut now = read_settings(&person.settings());
    let own = fresh_settings(&person.world.home.bin());
    assert_eq!(now["hooks"]["Stop"].take(), own["hooks"]["Stop"]);
    settings["hooks"]["Stop"].take();
    assert_eq!(now, settings);
}

#[rstest]
#[case::mentioned(|person: &Person| format!("echo {}/{ROUTER} claude", person.world.home.bin().display()), "entry-wrapped")]
#[case::silenced(|person: &Person| format!("env STOPGATE_KILL=1 {}/{ROUTER} claude", person.world.home.bin().display()), "entry-wrapped")]
#[case::literal(|_: &Person| format!("'$HOME/.stopgate/bin/{ROUTER}' claude"), "entry-missing")]
#[case::gone(|_: &Person| format!("~/.stopgate/bin/old/{ROUTER} claude"), "entry-missing")]
fn what_does_not_run_it_does_not_count(#[case] line: fn(&Person) -> String, #[case] id: &str) {
    let person = Person::new();
    person.install(&[]);
    let mut settings = read_settings(&person.settings());
    let entry = &mut settings["hooks"]["Stop"][0]["hooks"][0];
    assert!(entry["command"].as_str().unwrap().ends_with(ROUTER));
    *entry = json!({"type": "command", "command": line(&person), "timeout": 10});
    person.write_settings(settings.to_string());
    let report = doctor(&person, &[]);
    let ids = finding_ids(&report);
    assert!(ids.contains(&"entry-missing") && ids.contains(&id), "{report:#}");
    person.install(&[]);
    let stops = registered(&read_settings(&person.settings())).into_iter().filter(|(event, _)| event == "Stop");
    assert_eq!(stops.count(), 3, "stopgate's own is put there");
}

#[test]
fn a_field_that_changes_what_such_an_entry_does_is_named() {
    let person = written_by(|_, hook| format!("~/.stopgate/bin/{hook} claude"));
    let mut settings = read_settings(&person.settings());
    settings["hooks"]["Stop"][0]["hooks"][0]["async"] = json!(true);
    person.write_settings(settings.to_string());
    let report = doctor(&person, &[]);
    assert_eq!(findings(&report, "entry-changed").len(), 1, "{report:#}");
    assert!(findings(&report, "entry-changed")[0].contains("`async` is true"), "{report:#}");
}

#[test]
fn what_is_registered_twice_is_named_with_both() {
    let person = Person::new();
    person.install(&[]);
    let mut settings = read_settings(&person.settings());
    let again = format!("~/.stopgate/bin/{ROUTER} claude");
    let entry = json!({"type": "command", "command": again, "timeout": 10});
    settings["hooks"]["Stop"].as_array_mut().unwrap().push(json!({ "hooks": [entry] }));
    person.write_settings(settings.to_string());
    let before = std::fs::read(person.settings()).unwrap();
    let report = doctor(&person, &["--fix"]);
    let found = findings(&report, "double-registration");
    let own = person.world.home.bin().join(ROUTER).display().to_string();
    assert!(found.len() == 1 && found[0].contains(&own) && found[0].contains(&again), "{report:#}");
    assert!(std::fs::read(person.settings()).unwrap() == before, "which of them, is the person's to say");
}

#[test]
fn two_homes_in_one_file_are_refused_and_named() {
    let person = Person::new();
    person.install(&[]);
    let other = person.dir().join("other-home");
    let of_other = |program: &Path, arguments: &[&str]| {
        let mut command = person.command(program);
        command.args(arguments).env("STOPGATE_HOME", &other).env("STOPGATE_NO_AUTOSTART", "1");
        finish(command, Stdin::from(""))
    };
    let before = std::fs::read(person.settings()).unwrap();
    let installer = stopgate_tests::world::binary("installer");
    let refused = of_other(&installer, &[&["init"], &QUIETLY[..]].concat());
    let (said, first) = (text(&refused.stderr), person.world.home.root().display().to_string());
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let remedy = format!("STOPGATE_HOME={first} {first}/bin/installer uninstall");
    assert!(said.contains("another home of stopgate") && said.contains(&remedy), "{said}");
    assert!(std::fs::read(person.settings()).unwrap() == before);

    // Pasted beside each other, both are named, by the doctor of either.
    let pasted = person.dir().join("elsewhere/.claude");
    std::fs::create_dir_all(&pasted).unwrap();
    let mut elsewhere = person.command(&installer);
    elsewhere.arg("init").args(QUIETLY).env("STOPGATE_HOME", &other).env("STOPGATE_NO_AUTOSTART", "1");
    elsewhere.env("CLAUDE_CONFIG_DIR", &pasted);
    assert!(finish(elsewhere, Stdin::from("")).status.success());
    let mut both = read_settings(&person.settings());
    for (event, groups) in read_settings(&pasted.join("settings.json"))["hooks"].as_object().unwrap() {
        both["hooks"][event].as_array_mut().unwrap().extend(groups.as_array().unwrap().iter().cloned());
    }
    person.write_settings(both.to_string());
    let report = doctor(&person, &[]);
    let found = findings(&report, "double-registration");
    let second = other.display().to_string();
    assert_eq!(found.len(), registered(&fresh_settings(&person.world.home.bin())).len(), "{report:#}");
    assert!(found.iter().all(|what| what.contains(&first) && what.contains(&second)), "{report:#}");
    // Where only the other's are left, nobody puts this home's beside them unasked.
    let others = read_settings(&pasted.join("settings.json"));
    person.write_settings(others.to_string());
    let report = doctor(&person, &["--fix"]);
    assert!(findings(&report, "entry-other-home").iter().all(|what| what.contains(&second)), "{report:#}");
    assert_eq!(read_settings(&person.settings()), others);
}

#[rstest]
#[case::as_a_fraction("timeout", json!(10.0), None)]
#[case::another("timeout", json!(10.5), Some("entry-stale"))]
#[case::nobody_knows("enabled", json!(false), Some("entry-field"))]
#[case::nobody_knows_either("enabled", json!(true), Some("entry-field"))]
#[case::as_if_it_were_not_there("async", json!(false), None)]
fn a_field_counts_by_what_it_does(#[case] name: &str, #[case] value: Value, #[case] id: Option<&str>) {
    let person = Person::new();
    person.install(&[]);
    let mut settings = read_settings(&person.settings());
    settings["hooks"]["Stop"][0]["hooks"][0][name] = value;
    person.write_settings(settings.to_string());
    let report = doctor(&person, &[]);
    assert_eq!(finding_ids(&report), id.into_iter().collect::<Vec<_>>(), "{report:#}");
    if id.is_none() {
        let before = std::fs::read(person.settings()).unwrap();
        person.install(&[]);
        assert!(std::fs::read(person.settings()).unwrap() == before);
        assert_eq!(finding_ids(&doctor(&person, &[])), Vec::<&str>::new());
    }
}

/// What real clients make of such entries: found out here, and not taken from their documentation.
#[rstest]
#[case::a_fraction(|_: &Person, entry: &mut Value| entry["timeout"] = json!(10.0))]
#[case::a_field_that_nobody_knows(|_: &Person, entry: &mut Value| entry["enabled"] = json!(false))]
#[case::a_variable(|_: &Person, entry: &mut Value| *entry = json!({"type": "command", "command": format!("\"$HOME\"/.stopgate/bin/{ROUTER} claude"), "timeout": 10}))]
#[case::a_tilde(|_: &Person, entry: &mut Value| *entry = json!({"type": "command", "command": format!("env X=1 ~/.stopgate/bin/{ROUTER} claude"), "timeout": 10}))]
fn a_real_claude_runs_it(#[case] change: fn(&Person, &mut Value)) {
    if real_claude().is_none() {
        return;
    }
    let person = Person::new();
    person.install(&[]);
    let mut settings = read_settings(&person.settings());
    let entry = &mut settings["hooks"]["Stop"][0]["hooks"][0];
    assert!(entry["command"].as_str().unwrap().ends_with(ROUTER));
    change(&person, entry);
    person.write_settings(settings.to_string());
    let project = person.world.planned_checkout().top;
    let _authority = person.world.authority();
    let session = ClaudeSession::new(&project).home(person.dir()).turns([Turn::text("Done.")]).prompt("go on");
    let ran = session.run(CLAUDE).unwrap();
    assert_eq!((ran.exit_code, ran.timed_out), (Some(0), false), "{ran:#?}");
    let status = person.world.stopgate_json(&["status", "--json"]);
    assert!(status["hooks"][ROUTER]["fired"].is_string(), "{status:#}");
}

#[test]
fn codex_rejects_a_file_for_a_fraction_and_ignores_a_field_that_it_does_not_know() {
    // As Codex 0.171.0 answers to `hooks/list`: "failed to parse hooks config", and an enabled hook.
    let person = Person::new();
    std::fs::create_dir_all(person.dir().join(".codex")).unwrap();
    person.install(&["--harness", "codex"]);
    let hooks = person.dir().join(".codex/hooks.json");
    let written = read_settings(&hooks);
    for (name, value, id) in [("timeout", json!(10.0), "settings-rejected"), ("enabled", json!(false), "entry-field")] {
        let mut changed = written.clone();
        changed["hooks"]["Stop"][0]["hooks"][0][name] = value;
        std::fs::write(&hooks, changed.to_string()).unwrap();
        let report = doctor(&person, &[]);
        assert!(finding_ids(&report).contains(&id), "{report:#}");
    }
}
