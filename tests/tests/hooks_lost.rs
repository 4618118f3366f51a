//! A session that loses its hooks while it runs: what was taken out of the settings is noticed by the last hook that
//! hears of it, and silence by the prompts that none reported. Both are recorded and shown, and neither without cause.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stopgate_tests::person::{Person, WIRING, read_settings};
use stopgate_tests::world::{assert_silent, session_start, with};

const SESSION: &str = "s1";

struct Stage {
    person: Person,
    project: PathBuf,
}

impl Stage {
    /// A person with stopgate in the user's settings, and a session that has begun.
    fn new() -> Self {
        let person = Person::new();
        person.write_settings("{\n  \"model\": \"opus\"\n}\n");
        person.install(&[]);
        let project = person.world.planned_checkout().top;
        let stage = Self { person, project };
        stage.record(&with(
            session_start(SESSION, &stage.project, "startup"),
            "transcript_path",
            json!(stage.transcript()),
        ));
        stage
    }

    fn transcript(&self) -> PathBuf {
        self.person.world.root().join("transcript.jsonl")
    }

    fn record(&self, payload: &Value) {
        assert_silent(&self.person.world.run_hook("session-start-recorder", payload));
    }

    /// What Claude Code says to the hooks as they were, when a file of settings has changed.
    fn changed(&self, file: &Path) {
        self.record(&json!({
            "session_id": SESSION, "cwd": self.project, "hook_event_name": "ConfigChange", "prompt_id": "p",
            "source": "user_settings", "file_path": file, "transcript_path": self.transcript(),
        }));
    }

    fn prompt(&self) {
        self.record(&json!({
            "session_id": SESSION, "cwd": self.project, "hook_event_name": "UserPromptSubmit", "prompt": "go on",
            "transcript_path": self.transcript(),
        }));
    }

    /// Writes a prompt of a minute from now, or back, into the transcript.
    fn transcribe(&self, minutes: i64) {
        let at = Timestamp::now() + SignedDuration::from_mins(minutes);
        let line = json!({"type": "user", "timestamp": format!("{at:.3}"), "origin": {"kind": "human"},
                          "promptSource": "typed", "message": {"content": "and the tests"}});
        std::fs::write(self.transcript(), format!("{line}\n")).unwrap();
        let file = std::fs::File::open(self.transcript()).unwrap();
        file.set_modified(at.try_into().unwrap()).unwrap();
    }

    fn unheard(&self) -> Vec<Value> {
        let status = self.person.world.stopgate_json(&["status", "--json"]);
        status["unheard_sessions"].as_array().unwrap().clone()
    }

    fn status(&self) -> String {
        String::from_utf8(self.person.world.stopgate(&["status"]).stdout).unwrap()
    }

    fn shown(&self) -> (String, String) {
        let text = |arguments: &[&str]| String::from_utf8(self.person.world.stopgate(arguments).stdout).unwrap();
        (text(&["sessions"]), text(&["sessions", "show", SESSION]))
    }

    /// Ids of doctor's findings about sessions.
    fn findings(&self) -> Vec<String> {
        let (_, report) = self.person.json(&["doctor", "--no-fire"]);
        let findings = report["findings"].as_array().unwrap().iter();
        let ids = findings.filter(|finding| finding["subject"].as_str().unwrap().contains("session"));
        ids.map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_change_that_takes_our_lines_is_recorded_and_shown_until_they_are_heard_of_again() {
    let stage = Stage::new();
    let _authority = stage.person.world.authority();
    let settings = stage.person.settings();
    let installed = std::fs::read_to_string(&settings).unwrap();

    // A change beside them.
    std::fs::write(&settings, installed.replace("opus", "sonnet")).unwrap();
    stage.changed(&settings);
    assert_eq!((stage.unheard(), stage.findings()), (vec![], vec![]));

    std::fs::write(&settings, "{}").unwrap();
    stage.changed(&settings);
    let unheard = stage.unheard();
    assert_eq!(unheard.len(), 1, "{unheard:?}");
    assert_eq!(unheard[0]["session_id"], SESSION);
    assert_eq!(unheard[0]["hooks_lost"]["how"], "removed");
    assert_eq!(unheard[0]["hooks_lost"]["file"], settings.to_str().unwrap());
    let mut events: Vec<_> = WIRING.iter().map(|(event, ..)| *event).collect();
    events.dedup();
    assert_eq!(unheard[0]["hooks_lost"]["events"], json!(events));
    assert!(stage.status().contains("(claude:s1) is not guarded"), "{}", stage.status());
    assert_eq!(stage.findings(), ["hooks-lost"]);
    let (list, one) = stage.shown();
    assert!(list.contains("hooks lost") && one.contains("has lost stopgate's hooks on SessionStart"), "{list}\n{one}");
    let log = stage.person.world.hook_log();
    assert!(log.contains("hooks lost in the midst of a session") && log.contains(settings.to_str().unwrap()), "{log}");

    // Put back: the next prompt is heard of.
    std::fs::write(&settings, installed).unwrap();
    stage.prompt();
    assert_eq!((stage.unheard(), stage.findings()), (vec![], vec![]));
}

#[test]
fn a_part_that_is_gone_is_not_made_good_by_another_part() {
    let stage = Stage::new();
    let _authority = stage.person.world.authority();
    let mut settings = read_settings(&stage.person.settings());
    settings["hooks"].as_object_mut().unwrap().remove("Stop");
    stage.person.write_settings(settings.to_string());
    stage.changed(&stage.person.settings());
    stage.prompt();
    let unheard = stage.unheard();
    assert_eq!(unheard[0]["hooks_lost"]["events"], json!(["Stop"]), "{unheard:?}");

    // Heard with the hooks as they were before: none was missing but those.
    stage.person.install(&[]);
    stage.changed(&stage.person.settings());
    assert_eq!(stage.unheard(), Vec::<Value>::new());
}

#[test]
fn a_project_that_switches_all_hooks_off_is_noticed_and_one_that_does_not_is_not() {
    let stage = Stage::new();
    let _authority = stage.person.world.authority();
    let file = stage.project.join(".claude/settings.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    for harmless in ["{\"disableAllHooks\": false}", "{\"hooks\": {}}", "no json"] {
        std::fs::write(&file, harmless).unwrap();
        stage.changed(&file);
        assert_eq!(stage.unheard(), Vec::<Value>::new(), "{harmless}");
    }
    std::fs::write(&file, "{\"disableAllHooks\": true}").unwrap();
    stage.changed(&file);
    assert_eq!(stage.unheard()[0]["hooks_lost"]["how"], "switched-off");
    assert_eq!(stage.findings(), ["hooks-lost"]);
}

#[test]
fn without_an_authority_the_hook_writes_it_down_itself() {
    let stage = Stage::new();
    std::fs::remove_file(stage.person.settings()).unwrap();
    stage.changed(&stage.person.settings());
    assert_eq!(stage.unheard()[0]["hooks_lost"]["how"], "removed");
    let _authority = stage.person.world.authority();
    assert_eq!(stage.unheard().len(), 1);
}

#[test]
fn a_planted_settings_file_is_neither_waited_for_nor_shown() {
    let stage = Stage::new();
    let _authority = stage.person.world.authority();
    let file = stage.project.join(".claude/settings.json");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    stage.changed(&file);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    stage.changed(&file);
    assert_eq!(stage.unheard(), Vec::<Value>::new());
}

#[test]
fn a_prompt_that_no_hook_reported_means_silence_and_a_long_turn_does_not() {
    let stage = Stage::new();
    let authority = stage.person.world.authority();
    let row = || authority.sessions().into_iter().find(|row| row.session_id == SESSION).unwrap();
    stage.prompt();
    // The agent has worked on for half an hour: the transcript grows, and no prompt is in it but the one that was heard.
    stage.transcribe(0);
    let late = Timestamp::now() + SignedDuration::from_mins(30);
    std::fs::File::open(stage.transcript()).unwrap().set_modified(late.try_into().unwrap()).unwrap();
    assert_eq!((row().silent_since_ms, stage.unheard(), stage.findings()), (None, vec![], vec![]));

    // A prompt of five minutes ago, and the last event was ten minutes before it.
    drop(authority);
    let store = rusqlite::Connection::open(stage.person.world.home.database()).unwrap();
    store.execute("UPDATE sessions SET last_event_at_ms = last_event_at_ms - 900000", []).unwrap();
    drop(store);
    stage.transcribe(-5);
    let authority = stage.person.world.authority();
    let silent = authority.sessions().into_iter().find(|row| row.session_id == SESSION).unwrap();
    assert_eq!(silent.silent_since_ms, silent.last_event_at_ms);
    assert_eq!(stage.findings(), ["session-silent"]);
    assert!(stage.status().contains("silent since") && stage.shown().0.contains("hooks silent"), "{}", stage.status());

    stage.prompt();
    assert_eq!((stage.unheard(), stage.findings()), (vec![], vec![]), "heard of again");
}
