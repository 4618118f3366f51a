//! An update from the version before, as a person does it: what that version wrote, kept and promised is there afterwards,
//! and today's programs go on with it.
//!
//! `STOPGATE_TEST_PREVIOUS` names the directory of that version's programs, which `.ci/previous` builds and prints.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::json::snake_case_fields;
use stopgate_core::session::Harness;
use stopgate_tests::person::{Person, fresh_settings, read_settings, registered, text};
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, block_reason, session_start, stop};

const PREVIOUS: &str = "STOPGATE_TEST_PREVIOUS";

/// Somebody's own settings, in a form of their own.
const FOREIGN: &str = "{\n\t\"model\" : \"opus\",\n   \"n\": 1.50,\n  \"hooks\": {\"Stop\": [ {\"hooks\": [\
                       {\"type\": \"command\", \"command\": \"true\"}]}]}, \"ä\": \"\\u00e4\" }";

/// The programs of the version before; without them it says that this test is left out.
fn previous() -> Option<PathBuf> {
    let Some(dir) = ProcessEnv.text(PREVIOUS).map(PathBuf::from) else {
        // Not through a print macro: the test harness would swallow that.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: the update from the version before; set {PREVIOUS}");
        return None;
    };
    assert!(dir.join("installer").is_file(), "{PREVIOUS} names {}, which has no installer", dir.display());
    Some(dir)
}

/// A person at work with the programs that are installed, whichever those are.
struct AtWork {
    person: Person,
    checkout: PathBuf,
}

impl AtWork {
    /// Runs an installed program, which may start an authority if `awake`.
    fn run(&self, name: &str, arguments: &[&str], session: &str, stdin: &str, awake: bool) -> Output {
        let mut command = self.person.installed(name);
        command.args(arguments).current_dir(&self.checkout);
        if !session.is_empty() {
            command.env("CLAUDE_CODE_SESSION_ID", session);
        }
        if !awake {
            command.env("STOPGATE_NO_AUTOSTART", "1");
        }
        finish(command, Stdin::from(stdin))
    }

    /// A command of the person's, which must succeed.
    fn must(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments, "", "", true);
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.must("stopgate", &[arguments, &["--json"]].concat())).unwrap()
    }

    /// What a hook prints.
    fn hook(&self, name: &str, payload: &Value, awake: bool) -> String {
        let output = self.run(name, &["claude"], "", &payload.to_string(), awake);
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        text(&output.stdout)
    }

    fn starts(&self, session: &str, awake: bool) {
        assert_eq!(self.hook("session-start-recorder", &session_start(session, &self.checkout, "startup"), awake), "");
    }

    /// What the router prints when `session` stops with an excuse.
    fn stops(&self, session: &str, awake: bool) -> String {
        self.person.world.asks_for_a_job(Harness::Claude, session);
        self.hook("stop-gate-router", &self.person.world.stop(session, &self.checkout, EXCUSE), awake)
    }

    /// What the build guard prints when `session` stops.
    fn stops_before_its_build(&self, session: &str) -> String {
        self.hook("build-stop-hook", &stop(session, &self.checkout, EXCUSE), true)
    }

    /// The row of the session's stop in the gate's log, if it is there.
    fn logged(&self, session: &str) -> Option<Value> {
        let log = self.json(&["gate", "log"]);
        log.as_array().unwrap().iter().find(|row| row["session_id"] == session).cloned()
    }

    /// The same, once the stop is judged.
    fn judged(&self, session: &str) -> Value {
        eventually(&format!("the stop of {session} is judged"), || {
            self.logged(session).filter(|row| row["decision"].is_string())
        })
    }

    /// State of every session, by its id.
    fn sessions(&self) -> Vec<(String, String)> {
        let rows = self.json(&["sessions", "--all"]);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let mut all: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| (text(row, "session_id"), text(row, "state"))).collect();
        all.sort();
        all
    }
}

#[test]
fn an_update_from_the_version_before_finds_all_that_was_there() {
    let Some(previous) = previous() else { return };
    let person = Person::new();
    person.write_settings(FOREIGN);
    let checkout = person.world.planned_checkout().top;
    let mut init = person.command(&previous.join("installer"));
    init.args(["init", "--yes"]);
    let init = finish(init, Stdin::from(""));
    assert!(init.status.success(), "{init:?}");
    let at_work = AtWork { person, checkout };
    let home = &at_work.person.world.home;
    let programs = |dir: &Path| ["installer", "stopgate"].map(|name| std::fs::read(dir.join(name)).unwrap());
    assert!(programs(&home.bin()) == programs(&previous), "the version before is installed");

    // A verdict in shadow with a grade, one in enforce, a session that ended, a build, a stop that nobody judged yet.
    at_work.starts("shadow", true);
    assert_eq!(at_work.stops("shadow", true), "");
    let shadow = at_work.judged("shadow");
    let shadow_id = shadow["event_id"].as_str().unwrap();
    at_work.must("stopgate", &["gate", "grade", shadow_id, "wrong", "--why", "it was done"]);
    at_work.must("stopgate", &["mode", "enforce", "--yes"]);
    at_work.starts("enforce", true);
    let reason = block_reason(&at_work.stops("enforce", true));
    let enforced = at_work.judged("enforce");
    at_work.starts("over", true);
    let end = json!({"session_id": "over", "cwd": at_work.checkout, "hook_event_name": "SessionEnd", "reason": "other",
                     "transcript_path": "/nowhere/over.jsonl"});
    at_work.hook("session-start-recorder", &end, true);
    let start = ["build", "start", "build the parser", "--owner-session", "enforce", "--json"];
    let build: Value = serde_json::from_str(&at_work.must("stopgate", &start)).unwrap();
    let build = build["id"].as_str().unwrap();
    at_work.must("stopgate", &["build", "to", "executing", "--build", build]);
    assert_ne!(at_work.stops_before_its_build("enforce"), "");
    at_work.must("stopgate", &["authority", "stop"]);
    at_work.starts("late", false);
    assert_eq!(at_work.stops("late", false), "");
    assert!(!at_work.person.world.spooled().is_empty(), "nobody took it in");

    // As it was, in the words of the version before.
    let explained = at_work.json(&["explain", shadow_id]);
    let (grades, sessions) = (at_work.judged("shadow")["grade"].clone(), at_work.sessions());
    assert_eq!(grades["verdict"], "wrong");
    at_work.must("stopgate", &["kill", "on", "--reason", "an update"]);

    let archive = crate::archive().to_str().unwrap();
    at_work.must("installer", &["update", "--yes", "--from", archive]);
    let release = crate::unpacked(at_work.person.world.root());
    assert!(programs(&home.bin()) == programs(&release), "today's version is installed");

    // Switches are as they were, and obeyed.
    let kill = at_work.json(&["kill", "status"]);
    assert_eq!((&kill["kill_switch"], kill.to_string().contains("an update")), (&json!(true), true), "{kill}");
    at_work.starts("killed", true);
    assert_eq!(at_work.stops("killed", true), "", "the kill switch is on");
    at_work.must("stopgate", &["kill", "off"]);
    assert_eq!(at_work.json(&["mode"])["mode"], "enforce");

    // Verdicts, how they were reached, and what a person said of them.
    assert_eq!(at_work.judged("shadow")["grade"], grades);
    let fields = ["event_id", "at_ms", "decision", "rule", "mode"];
    for (session, before) in [("shadow", &shadow), ("enforce", &enforced)] {
        let after = at_work.judged(session);
        assert_eq!(fields.map(|field| &after[field]), fields.map(|field| &before[field]), "{session}");
    }
    // The same in every word; names are snake_case since.
    let mut explained = explained;
    snake_case_fields(&mut explained);
    assert_eq!(at_work.json(&["explain", shadow_id]), explained);
    // What lay in the spool is in the log, and its file is gone.
    eventually("the spooled stop is in the log", || at_work.logged("late"));
    eventually("the spool is empty", || at_work.person.world.spooled().is_empty().then_some(()));

    // Sessions: those of before, as they were. The build holds its owner, and nobody else.
    let now = at_work.sessions();
    for session in &sessions {
        assert!(now.contains(session) || session.0 == "late", "{session:?}: {now:?}");
    }
    assert!(now.iter().any(|(id, state)| id == "over" && state == "ended"), "{now:?}");
    let state = at_work.json(&["build", "status"]);
    assert_eq!((&state["live"][0]["id"], state["live"].as_array().map(Vec::len)), (&json!(build), Some(1)), "{state}");
    let held = block_reason(&at_work.stops_before_its_build("enforce"));
    assert!(held.contains(build), "{held}");
    assert_eq!(at_work.stops_before_its_build("shadow"), "");

    // It goes on: a new session is held in the same words.
    at_work.starts("new", true);
    assert_eq!(block_reason(&at_work.stops("new", true)), reason);
    let doctor: Value = serde_json::from_str(&at_work.must("installer", &["doctor", "--json"])).unwrap();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");

    // The lines in the settings are today's; without them the file is the person's, to the byte.
    let settings = read_settings(&at_work.person.settings());
    let mine: Vec<_> = registered(&settings).into_iter().filter(|(_, entry)| entry["command"] != "true").collect();
    assert_eq!(mine, registered(&fresh_settings(&home.bin())));
    at_work.must("installer", &["uninstall", "--yes", "--purge"]);
    assert_eq!(std::fs::read_to_string(at_work.person.settings()).unwrap(), FOREIGN);
    assert!(!home.root().exists());
}
