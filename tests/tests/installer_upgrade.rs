//! `installer` on a machine that is not at rest: settings that the client would not read, upgrades that were
//! interrupted, authorities that live on unseen, several installers at once.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::person::{Person, fresh_settings, read_settings, registered, text};
use stopgate_tests::process::{Stopped, can_trace_or_says_so, has_ended, kill};
use stopgate_tests::run::{Stdin, eventually, finish, under};

const INIT: [&str; 3] = ["init", "--yes", "--no-live-check"];

/// The authority of the person's home, as it says itself.
fn pid(person: &Person) -> u32 {
    let status = person.world.stopgate_json(&["authority", "status", "--json"]);
    u32::try_from(status["pid"].as_u64().unwrap_or_else(|| panic!("nobody serves: {status}"))).unwrap()
}

#[rstest]
#[case::group_without_list(
    r#"{"hooks":{"Stop":[{"hooks":"x"}]}}"#,
    "line 1, column 28: /hooks/Stop/0/hooks is not an array"
)]
#[case::group_that_is_none("{\"hooks\":{\"Stop\":[\n\"x\"]}}", "line 2, column 1: /hooks/Stop/0 is not an object")]
#[case::matcher(
    "{\"hooks\":{\n\"Stop\":[{\"matcher\":5,\"hooks\":[]}]}}",
    "line 2, column 20: /hooks/Stop/0/matcher is not a string"
)]
#[case::bare_entry(
    r#"{"hooks":{"PreToolUse":[{"type":"command","command":"x"}]}}"#,
    "/hooks/PreToolUse/0 has no `hooks`"
)]
#[case::permissions("{\n\n\"permissions\":\"x\"}", "line 3, column 15: /permissions is not an object")]
fn settings_that_the_client_would_ignore_are_no_success(#[case] settings: &str, #[case] flaw: &str) {
    let person = Person::new();
    person.write_settings(settings);
    let file = person.settings().display().to_string();
    let warning = format!("warning: {file}: ");
    let dry = person.run(&["init", "--dry-run"]);
    let said = text(&dry.stderr);
    assert!(dry.status.success() && said.contains(&warning) && said.contains(flaw), "{dry:?}");

    let mut init = person.installer(&["init", "--yes"]);
    init.env("STOPGATE_NO_AUTOSTART", "1");
    let init = finish(init, Stdin::from(""));
    assert_eq!(init.status.code(), Some(1), "{init:?}");
    let (out, err) = (text(&init.stdout), text(&init.stderr));
    assert!(err.contains(&warning) && err.contains(flaw), "{err}");
    let problem = format!("{file} as a whole, stopgate's hooks included, until it is mended: ");
    assert!(out.contains("  PROBLEM: ") && out.contains(&problem) && out.contains(flaw), "{out}");
    assert!(err.lines().last().unwrap().starts_with("problem: ") && err.contains(&problem), "{err}");

    // It is installed, and mending the file is all that is left.
    let (code, report) = person.json(&["init"]);
    assert_eq!((code, &report["outcome"]), (1, &json!("already-installed")), "{report}");
    assert!(report["problems"][0].as_str().unwrap().contains(flaw), "{report}");
    person.must(&["uninstall", "--yes"]);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), settings);
}

#[test]
fn comments_and_what_the_client_drops_alone_are_no_failure() {
    let person = Person::new();
    for settings in [
        "{\n  // mine\n  \"model\": \"opus\",\n}\n",
        "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"new\"}]}]}, \"zzz\": 5}",
    ] {
        person.write_settings(settings);
        person.install(&[]);
        assert!(std::fs::read_to_string(person.settings()).unwrap().contains("stop-gate-router"));
        person.must(&["uninstall", "--yes"]);
        assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), settings);
    }
}

#[test]
fn an_upgrade_that_was_interrupted_before_the_restart_is_finished_by_the_next_init() {
    let person = Person::new();
    person.must(&INIT);
    let old = pid(&person);
    assert!(person.must(&["init"]).contains("nothing to write"), "at rest");
    // The new program is in its place, and nobody has told the authority.
    let program = person.world.home.bin().join("stopgate");
    let new = program.with_extension("new");
    std::fs::copy(&program, &new).unwrap();
    std::fs::rename(&new, &program).unwrap();

    let unasked = person.run(&["init"]);
    assert_eq!(unasked.status.code(), Some(2), "there is something to do: {unasked:?}");
    let row = format!("  authority {} (pid {old}), which is not the installed one", env!("CARGO_PKG_VERSION"));
    assert!(text(&unasked.stdout).contains(&row), "{unasked:?}");
    assert!(!has_ended(old) && pid(&person) == old);

    person.must(&INIT);
    assert!(has_ended(old), "the old one has ended");
    let new = pid(&person);
    assert_ne!(new, old);
    assert!(person.must(&["init"]).contains("nothing to write") && pid(&person) == new, "at rest again");
}

#[test]
fn an_end_is_over_when_the_process_is_not_when_its_lock_is() {
    if !can_trace_or_says_so() {
        return;
    }
    let person = Person::new();
    let mut init = person.installer(&INIT);
    init.env("STOPGATE_NO_AUTOSTART", "1");
    assert!(finish(init, Stdin::from("")).status.success());
    let mut run = person.installed("stopgate");
    run.args(["authority", "run"]);
    for by_installer in [false, true] {
        // The lock is given up before, and the last call takes half a second.
        let late = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=exit_group"];
        let late = [&late[..], &["-e", "inject=exit_group:delay_enter=500000"]].concat();
        let mut run = under(&late, &run);
        let mut traced = run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = eventually("it serves", || {
            let status = person.world.stopgate(&["authority", "status", "--json"]);
            serde_json::from_slice::<Value>(&status.stdout).ok()?["pid"].as_u64()
        });
        if by_installer {
            person.must(&["uninstall", "--yes", "--purge"]);
        } else {
            assert_eq!(text(&person.world.stopgate(&["authority", "stop"]).stdout), "stopped\n");
        }
        assert!(has_ended(u32::try_from(pid).unwrap()), "by the installer: {by_installer}");
        traced.wait().unwrap();
    }
}

/// A file as an installer leaves it when it is killed.
fn leftover(dir: &Path, name: &str, age: Duration) -> PathBuf {
    let path = dir.join(name);
    std::fs::File::create(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    path
}

#[test]
fn what_a_killed_installer_left_behind_is_removed_by_the_next_one() {
    let person = Person::new();
    let home = &person.world.home;
    person.install(&[]);
    let dir = person.dir().join(".claude");
    let old = Duration::from_mins(2);
    let id = stopgate_core::event_id::new_event_id(&stopgate_core::clock::SystemClock);
    let mine =
        [leftover(&dir, ".stopgate-notes.tmp", old), leftover(&dir, ".stopgate-aB34567890Zz.tmp", Duration::ZERO)];
    let plant = || {
        [(&dir, ".stopgate-aB3456789012.tmp".to_owned()), (&home.bin(), format!(".stopgate-{id}.tmp"))]
            .map(|(dir, name)| leftover(dir, &name, old))
    };
    for command in [&["init"][..], &["uninstall"]] {
        let left = plant();
        let preview = person.must(&[command, &["--dry-run"]].concat());
        let mut run = person.installer(command);
        run.arg("--yes").args(if command == ["init"] { &["--no-live-check"][..] } else { &[] });
        let output = finish(
            {
                run.env("STOPGATE_NO_AUTOSTART", "1");
                run
            },
            Stdin::from(""),
        );
        assert!(output.status.success(), "{output:?}");
        for path in left {
            assert!(preview.contains(&format!("  {} (left behind)", path.display())), "{preview}");
            assert!(!path.exists(), "{command:?}: {} is still there", path.display());
        }
        assert!(mine.iter().all(|path| path.exists()), "others, and what may be at work, stay");
    }
}

#[test]
fn an_authority_that_is_hidden_or_hangs_is_named_and_its_home_stays() {
    let person = Person::new();
    let home = &person.world.home;
    person.must(&INIT);
    let authority = pid(&person);
    let _stopped = Stopped::new(authority);
    let remedy = format!("end it with `kill {authority}`, or `kill -9 {authority}` if it hangs");
    for (hidden, problem) in [(false, "did not answer in time"), (true, "it does not listen")] {
        if hidden {
            std::fs::remove_file(home.socket()).unwrap();
        }
        let (code, report) = person.json(&["uninstall", "--yes", "--purge"]);
        let said = report["problems"].to_string();
        assert_eq!(code, 1, "{report}");
        assert!(said.contains(problem) && said.contains(&format!("(pid {authority})")), "{said}");
        assert!(said.contains(&remedy) && said.contains("not removed, because of the authority"), "{said}");
        assert!(home.lock().exists() && !has_ended(authority));
    }
    kill(authority);
    eventually("it has ended", || has_ended(authority).then_some(()));
    person.must(&["uninstall", "--yes", "--purge"]);
    assert!(!home.root().exists());
}

#[test]
fn programs_are_withdrawn_although_the_authority_hangs() {
    let person = Person::new();
    let home = &person.world.home;
    person.must(&INIT);
    let authority = pid(&person);
    let _stopped = Stopped::new(authority);
    let (code, report) = person.json(&["uninstall", "--yes"]);
    assert_eq!(code, 1, "{report}");
    assert!(report["problems"][0].as_str().unwrap().contains(&format!("(pid {authority})")), "{report}");
    assert!(!person.settings().exists() && !home.bin().join("stopgate").exists() && home.root().exists());
    let router = finish(person.installed("stop-gate-router"), Stdin::from("{}"));
    assert!(router.status.success() && router.stdout.is_empty());
}

#[test]
fn installers_at_once_write_once_and_none_disturbs_the_check_of_another() {
    let person = Person::new();
    let reports: Vec<(i32, Value)> = std::thread::scope(|scope| {
        let inits: Vec<_> = (0..4).map(|_| scope.spawn(|| person.json(&["init", "--yes"]))).collect();
        inits.into_iter().map(|init| init.join().unwrap()).collect()
    });
    assert!(reports.iter().all(|(code, report)| *code == 0 && report["problems"] == json!([])), "{reports:?}");
    let wrote = reports.iter().filter(|(_, report)| report["outcome"] == "installed").count();
    let started = reports.iter().filter(|(_, report)| report["authority"]["started"] == json!(true)).count();
    assert_eq!((wrote, started), (1, 1), "{reports:?}");
    let settings = read_settings(&person.settings());
    assert_eq!(settings, fresh_settings(&person.world.home.bin()));
    assert!(!registered(&settings).is_empty());
}
