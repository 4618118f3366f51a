//! The second set of lines: put in by `stopgate coordination enable`, kept by what brings an installation up to date, and taken
//! out to the byte.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Output;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::build::Site;
use stopgate_tests::person::{Person, WIRING, finding_ids, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, finish};

/// `stopgate coordination` of the installed program.
fn coordination(person: &Person, arguments: &[&str]) -> Output {
    let mut command = person.installed("stopgate");
    command.arg("coordination").args(arguments).env("STOPGATE_NO_AUTOSTART", "1");
    finish(command, Stdin::from(""))
}

fn must(person: &Person, arguments: &[&str]) -> String {
    let output = coordination(person, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

fn fence(person: &Person) -> String {
    std::fs::read_to_string(person.world.home.fence_file()).unwrap_or_default()
}

fn settings(person: &Person) -> String {
    std::fs::read_to_string(person.settings()).unwrap()
}

fn status(person: &Person) -> Value {
    serde_json::from_str(&must(person, &["status", "--json"])).unwrap()
}

/// The group of the fence in a settings file.
fn group(person: &Person, harness: &str, matcher: &str) -> Value {
    let program = person.world.home.bin().join("write-fence");
    match harness {
        "claude" => json!({"matcher": matcher, "hooks": [
            {"type": "command", "command": program, "args": ["claude"], "timeout": 5}]}),
        _ => json!({"matcher": matcher, "hooks": [
            {"type": "command", "command": format!("{} codex", program.display()), "timeout": 5}]}),
    }
}

const CLAUDE: &str = "Edit|Write|MultiEdit|NotebookEdit|Bash";
const CODEX: &str = "apply_patch|Bash";

/// Layouts as people and programs leave them.
const LAYOUTS: [&str; 9] = [
    "{}\n",
    "{\"model\": \"opus\"}",
    "{\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"Stop\": [\n      {\n        \"hooks\": [\n          { \"type\": \"command\", \"command\": \"true\" }\n        ]\n      }\n    ]\n  }\n}\n",
    "{\r\n\t\"hooks\": {\r\n\t\t\"PreToolUse\": [\r\n\t\t\t{\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}\r\n\t\t]\r\n\t},\r\n\t\"a\": [1,2]\r\n}\r\n",
    "\u{feff}{ \"hooks\" : { \"PreToolUse\" : [ ] } }",
    "{\n  // mine\n  \"hooks\": {\n    \"PreToolUse\": [\n      // nothing yet\n    ],\n  },\n}\n",
    "{\"hooks\":{\"PreToolUse\":[{\"hooks\":[]}],\"SessionStart\":[]}}",
    "{\"hooks\": {}, \"env\": {\"A\": \"1\"}}\n\n\n",
    "{\"hooks\":{\"PreToolUse\":[{\"matcher\":\"Edit|Write|MultiEdit|NotebookEdit|Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"x\"}]}]}}",
];

#[rstest]
fn what_is_enabled_is_taken_back_to_the_byte(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] layout: usize,
    #[values(false, true)] edited: bool,
) {
    let person = Person::new();
    person.write_settings(LAYOUTS[layout]);
    person.install(&[]);
    let before = settings(&person);
    must(&person, &["enable", "--yes"]);
    assert_eq!(fence(&person), "shadow\n");
    let enabled = settings(&person);
    assert_eq!(enabled.matches("/bin/write-fence").count(), 1, "{enabled}");
    // Everything of before is there, and twice is once.
    let mut rest = enabled.bytes();
    assert!(before.bytes().all(|byte| rest.any(|other| other == byte)), "{enabled}");
    assert!(must(&person, &["enable", "--yes"]).contains("on already"));
    assert_eq!(settings(&person), enabled);
    let mut expected = before.clone();
    if edited {
        // Somebody writes at both ends of the file meanwhile.
        let edit = |text: &str| {
            let open = text.find('{').unwrap() + 1;
            format!("{}\"first\": 1, {}", &text[..open], &text[open..]) + "\n\n"
        };
        std::fs::write(person.settings(), edit(&enabled)).unwrap();
        expected = edit(&before);
    }
    must(&person, &["disable", "--yes"]);
    assert_eq!(settings(&person), expected);
    assert!(!person.world.home.fence_file().exists());
    assert!(must(&person, &["disable", "--yes"]).contains("off already"));
    if !edited {
        person.must(&["uninstall", "--yes"]);
        assert_eq!(settings(&person), LAYOUTS[layout], "the whole is taken back as well");
    }
}

/// The law of what is off: not a line, not a switch, not a word more than before there was a second set.
#[test]
fn a_plain_installation_has_nothing_of_it() {
    let person = Person::new();
    person.install(&[]);
    assert_eq!(registered(&read_settings(&person.settings())).len(), WIRING.len());
    assert!(!settings(&person).contains("write-fence") && !settings(&person).contains("matcher"));
    let ledger = std::fs::read_to_string(person.world.home.ledger()).unwrap();
    assert!(
        !ledger.contains("coordination") && !ledger.contains("before_sets") && !ledger.contains("\"sets\""),
        "{ledger}"
    );
    assert!(!person.world.home.fence_file().exists());
    let shown = finish(person.installed("stopgate"), Stdin::from(""));
    assert!(!text(&shown.stdout).contains("write-fence"));
    assert_eq!((&status(&person)["enabled"], &status(&person)["mode"]), (&json!(false), &json!("off")));
}

#[test]
fn both_sets_are_registered_at_once_and_taken_back_together() {
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\"\n}\n");
    person.install(&["--with", "coordination"]);
    assert_eq!(fence(&person), "shadow\n");
    let found = read_settings(&person.settings());
    assert_eq!(found["hooks"]["PreToolUse"], json!([group(&person, "claude", CLAUDE)]));
    assert_eq!(registered(&found).len(), WIRING.len() + 1);
    // A second init keeps it, whoever does not name it.
    let once = settings(&person);
    person.install(&[]);
    assert_eq!(settings(&person), once);
    assert_eq!(status(&person)["enabled"], true);
    person.must(&["uninstall", "--yes"]);
    assert_eq!(settings(&person), "{\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn every_settings_file_gets_it_in_the_words_of_its_harness() {
    let person = Person::new();
    std::fs::create_dir_all(person.dir().join(".codex")).unwrap();
    let project = person.world.root().join("project");
    std::fs::create_dir_all(&project).unwrap();
    person.install(&[]);
    person.install(&["--project", project.to_str().unwrap()]);
    person.install(&["--harness", "codex"]);
    let hooks = |path: &Path| read_settings(path)["hooks"]["PreToolUse"].clone();
    let (local, codex) = (project.join(".claude/settings.local.json"), person.dir().join(".codex/hooks.json"));
    let before: Vec<_> = [&person.settings(), &local, &codex].map(|path| std::fs::read(path).unwrap()).to_vec();
    let said = must(&person, &["enable", "--yes"]);
    assert!(said.contains("Claude Code has it within a second") && said.contains("Codex skips the new line"), "{said}");
    assert_eq!(hooks(&person.settings()), json!([group(&person, "claude", CLAUDE)]));
    assert_eq!(hooks(&local), json!([group(&person, "claude", CLAUDE)]));
    assert_eq!(hooks(&codex), json!([group(&person, "codex", CODEX)]));
    let states = status(&person);
    assert!(states["settings"].as_array().unwrap().iter().all(|one| one["state"] == "registered"), "{states}");
    must(&person, &["disable", "--yes"]);
    let after: Vec<_> = [&person.settings(), &local, &codex].map(|path| std::fs::read(path).unwrap()).to_vec();
    assert_eq!(after, before);
}

#[test]
fn nothing_is_written_without_consent_or_in_a_dry_run() {
    let person = Person::new();
    person.install(&[]);
    let before = (settings(&person), tree(&person.world.home.root().join("switches")));
    let said = must(&person, &["enable", "--dry-run"]);
    assert!(said.contains("write-fence") && said.contains("Dry run: nothing was written."), "{said}");
    let unasked = coordination(&person, &["enable"]);
    assert_eq!(unasked.status.code(), Some(2), "{unasked:?}");
    assert!(text(&unasked.stderr).contains("--yes"));
    assert_eq!((settings(&person), tree(&person.world.home.root().join("switches"))), before);
}

#[test]
fn where_nothing_is_registered_it_says_what_to_do() {
    let person = Person::new();
    person.install(&[]);
    person.must(&["uninstall", "--yes"]);
    let output = person.run(&["coordination", "enable", "--yes"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("installer init --with coordination"), "{output:?}");
    assert!(!person.world.home.fence_file().exists());
    let nowhere = Person::new();
    let output = nowhere.run(&["coordination", "enable", "--yes"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("installer init"), "{output:?}");
}

/// Enforcing with no line anywhere is said to be of nothing, and is not kept for later.
#[test]
fn a_fence_whose_line_is_nowhere_says_so_and_begins_in_shadow() {
    let person = Person::new();
    person.install(&[]);
    must(&person, &["enable", "--yes"]);
    let set = || {
        let mut command = person.installed("stopgate");
        command.args(["fence", "enforce", "--yes"]).env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(command, Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
        text(&output.stderr)
    };
    assert!(!set().contains("coordination enable"), "it is registered");
    must(&person, &["enable", "--yes"]);
    assert_eq!(fence(&person), "enforce\n", "what a person chose stays");
    must(&person, &["disable", "--yes"]);
    let said = set();
    assert!(said.contains("no settings file has the fence's hook") && said.contains("coordination enable"), "{said}");
    must(&person, &["enable", "--yes"]);
    assert_eq!(fence(&person), "shadow\n");
}

/// What a person chose stays: the mode, and what they took out by hand, until they turn it on again.
#[test]
fn what_brings_it_up_to_date_follows_the_ledger() {
    let person = Person::new();
    person.install(&[]);
    person.must(&["migrate"]);
    assert!(!settings(&person).contains("write-fence"), "migrate adds none");
    must(&person, &["enable", "--yes"]);
    std::fs::write(person.world.home.fence_file(), "enforce\n").unwrap();
    // An entry that was changed is mended, and the set stays.
    let enabled = settings(&person);
    std::fs::write(person.settings(), enabled.replace("\"timeout\": 5", "\"timeout\": 50")).unwrap();
    person.must(&["migrate"]);
    assert_eq!(settings(&person), enabled);
    must(&person, &["enable", "--yes"]);
    assert_eq!(fence(&person), "enforce\n");
    // Taken out by hand.
    let mut by_hand = read_settings(&person.settings());
    by_hand["hooks"].as_object_mut().unwrap().remove("PreToolUse");
    std::fs::write(person.settings(), serde_json::to_string_pretty(&by_hand).unwrap()).unwrap();
    person.must(&["migrate"]);
    assert!(!settings(&person).contains("write-fence"), "what a person took out stays out");
    assert_eq!(status(&person)["enabled"], false);
    must(&person, &["enable", "--yes"]);
    assert_eq!(read_settings(&person.settings())["hooks"]["PreToolUse"], json!([group(&person, "claude", CLAUDE)]));
}

#[test]
fn the_doctor_sees_that_it_fires_and_refuses() {
    let person = Person::new();
    person.must(&["init", "--yes", "--no-live-check", "--with", "coordination"]);
    let (code, report) = person.json(&["doctor"]);
    assert_eq!(code, 0, "{report:#}");
    let fired = report["fired"].as_array().unwrap();
    let of = |hook: &str| fired.iter().find(|one| one["hook"] == hook).unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(of("write-fence")["answer"], "allowed (no output)");
    assert_eq!(of("write-fence (asked to refuse)")["answer"], "refused: [stopgate] live check: this write is refused");
    assert_eq!(fired.len(), WIRING.len() + 2);
    let row = report["registered"].as_array().unwrap().iter().find(|one| one["event"] == "PreToolUse").unwrap();
    assert_eq!((&row["ours"], &row["state"]), (&json!(1), &json!("ok")));

    // A program that lets everything through is found out.
    let program = person.world.home.bin().join("write-fence");
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (code, report) = person.json(&["doctor"]);
    assert!(code == 1 && finding_ids(&report).contains(&"fence-lets-through"), "{report:#}");
}

#[rstest]
#[case::garbled("fence-unreadable", |person: &Person| std::fs::write(person.world.home.fence_file(), "on\n").unwrap())]
#[case::off("fence-off", |person: &Person| std::fs::write(person.world.home.fence_file(), "off\n").unwrap())]
#[case::no_line("fence-unregistered", |person: &Person| {
    must(person, &["disable", "--yes"]);
    std::fs::write(person.world.home.fence_file(), "shadow\n").unwrap();
})]
#[case::partly("fence-partly", |person: &Person| {
    let project = person.world.root().join("project");
    std::fs::create_dir_all(&project).unwrap();
    person.install(&["--project", project.to_str().unwrap()]);
})]
fn the_doctor_says_where_switch_and_lines_do_not_go_together(#[case] finding: &str, #[case] change: fn(&Person)) {
    let person = Person::new();
    person.install(&["--with", "coordination"]);
    let found = || finding_ids(&person.json(&["doctor", "--no-fire"]).1).contains(&finding);
    assert!(!found());
    change(&person);
    assert!(found(), "{finding}");
}

#[test]
fn a_matcher_that_somebody_narrowed_is_found_and_mended() {
    let person = Person::new();
    person.install(&["--with", "coordination"]);
    let before = settings(&person);
    std::fs::write(person.settings(), before.replace(CLAUDE, "Write")).unwrap();
    assert!(finding_ids(&person.json(&["doctor", "--no-fire"]).1).contains(&"entry-changed"));
    assert_eq!(status(&person)["enabled"], false);
    person.must(&["migrate"]);
    assert_eq!(settings(&person), before);
}

/// It is the person's to turn on and off, and everybody's to look at.
#[test]
fn an_agent_neither_enables_nor_disables_it() {
    let site = Site::new();
    let _authority = site.world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    std::fs::write(site.world.home.root().join(".stopgate-home"), "").unwrap();
    let settings = site.world.root().join("home/.claude/settings.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let mut init = site.world.command(&stopgate_tests::world::binary("installer"));
    init.args(["init", "--yes", "--no-live-check"]);
    assert!(finish(init, Stdin::from("")).status.success());
    let before = std::fs::read(&settings).unwrap();
    for act in ["enable", "disable"] {
        let line = format!("\"$BIN/stopgate\" coordination {act} --yes");
        if act == "disable" {
            let mut enable = site.world.command(&stopgate_tests::world::binary("stopgate"));
            enable.args(["coordination", "enable", "--yes"]);
            assert!(finish(enable, Stdin::from("")).status.success());
        }
        let now = std::fs::read(&settings).unwrap();
        agent.run(&line).refused(2, &["is the operator's"]);
        assert_eq!(std::fs::read(&settings).unwrap(), now);
    }
    assert_ne!(std::fs::read(&settings).unwrap(), before);
    agent.run("\"$BIN/stopgate\" coordination status --json").ok();
}

#[test]
fn a_plugin_has_the_set_or_has_it_not() {
    let person = Person::new();
    person.install(&[]);
    let dir = person.world.root().join("plugins");
    let hooks = || read_settings(&dir.join("claude/hooks/hooks.json"))["hooks"]["PreToolUse"].clone();
    person.must(&["plugin", "build", dir.to_str().unwrap()]);
    assert_eq!(hooks(), Value::Null);
    person.must(&["plugin", "build", dir.to_str().unwrap(), "--with", "coordination"]);
    assert_eq!(hooks(), json!([group(&person, "claude", CLAUDE)]));
    let codex = read_settings(&dir.join("codex/plugins/stopgate/hooks/hooks.json"));
    assert_eq!(codex["hooks"]["PreToolUse"], json!([group(&person, "codex", CODEX)]));
    let snippet: Value = serde_json::from_str(&person.must(&["snippet", "codex", "--with", "coordination"])).unwrap();
    assert_eq!(snippet["hooks"]["PreToolUse"], json!([group(&person, "codex", CODEX)]));
}
