//! `installer uninstall`: exactly what `init` wrote is taken back, and nothing else.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use stopgate_tests::person::{Person, WIRING, fresh_settings, mode, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, HOOKS, assert_silent, session_start, stop};

/// A directory of the person's with this name.
fn project(person: &Person, name: &str) -> PathBuf {
    let dir = person.world.root().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// A project's local settings file.
fn local(project: &Path) -> PathBuf {
    project.join(".claude/settings.local.json")
}

fn entries(home: &Path) -> usize {
    std::fs::read_dir(home).unwrap().count()
}

#[test]
fn what_init_made_is_taken_back_and_hooks_that_are_still_called_do_nothing() {
    let person = Person::new();
    let home = &person.world.home;
    person.must(&["init", "--yes", "--no-live-check"]);
    assert!(person.has_authority());
    // Whoever only looks, or has not agreed, changes nothing.
    let before = (tree(&home.bin()), tree(&person.dir().join(".claude")), std::fs::read(home.ledger()).unwrap());
    assert!(person.must(&["uninstall", "--dry-run"]).contains("Dry run: nothing was changed."));
    let unasked = person.run(&["uninstall"]);
    assert_eq!(unasked.status.code(), Some(2));
    assert!(text(&unasked.stderr).contains("Nothing was changed") && text(&unasked.stderr).contains("--yes"));
    let after = (tree(&home.bin()), tree(&person.dir().join(".claude")), std::fs::read(home.ledger()).unwrap());
    assert!(before == after && person.has_authority());

    let mut uninstall = person.installed("installer");
    uninstall.args(["uninstall", "--yes"]);
    let output = finish(uninstall, Stdin::from(""));
    assert!(output.status.success(), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("settings.json: removed; it was made by stopgate"), "{said}");
    assert!(said.contains("authority: stopped") && !person.has_authority(), "{said}");
    assert_eq!(entries(&person.dir()), 1, "the home stays, `.claude` does not");

    let left: Vec<_> = tree(&home.bin()).into_keys().collect();
    assert_eq!(
        left,
        ["build-stop-hook", "session-start-recorder", "stop-gate-router", "write-fence"]
            .map(|name| home.bin().join(name))
    );
    let before = tree(person.world.root());
    for hook in HOOKS {
        for payload in [session_start("s1", person.world.root(), "startup"), stop("s1", person.world.root(), EXCUSE)] {
            let mut command = person.installed(hook);
            command.arg("claude");
            assert_silent(&finish(command, Stdin::from(&*payload.to_string())));
        }
    }
    let said = person.must(&["uninstall", "--yes"]);
    assert_eq!(said, "Nothing of stopgate is installed there.\n");
    assert!(tree(person.world.root()) == before && !home.socket().exists());

    person.must(&["uninstall", "--purge", "--yes"]);
    assert_eq!(entries(&person.dir()), 0, "`--purge` removes the rest");
    assert_eq!(person.must(&["uninstall", "--purge", "--yes"]), "Nothing of stopgate is installed there.\n");
}

#[test]
fn every_byte_of_a_persons_file_comes_back() {
    let files = [
        "\u{feff}// mine\r\n{\r\n\t\"a\": [1.50, -0, 1e400, 12345678901234567890],\r\n\r\n\t\"hooks\": {\r\n\
         \t\t\"Stop\": [ // before\r\n\t\t\t{\"matcher\": \"\", \"hooks\": [{\"type\": \"command\", \"command\": \
         \"echo \\u0041\"}]}, /* why */\r\n\t\t],\r\n\t\t\"PreToolUse\": []\r\n\t},\r\n\t\"caf\\u00e9\": \"// no comment\"\
         \r\n}\r\n\r\n",
        "{\"model\":\"opus\",\"hooks\":{\"SessionStart\":[{\"hooks\":[]}],\"SessionStart\":[]}}",
        "{\n    \"hooks\": {\n        \"Stop\": [\n            {\n                \"hooks\": [\n                    { \
         \"type\": \"command\", \"command\": \"true\" },\n                ]\n            },\n        ],\n    },\n}",
        "{ }",
        "",
        "\n \n",
    ];
    let person = Person::new();
    person.install(&[]);
    let home = &person.world.home;
    let bin = home.bin().display().to_string();
    // Once through the copy that was kept, once without it. (A file without a value is then left with an empty one.)
    for has_copy in [true, false] {
        let files = files.iter().filter(|text| has_copy || !text.trim().is_empty());
        for (number, before) in files.enumerate() {
            let dir = project(&person, &format!("{has_copy}{number}"));
            let (file, place) = (local(&dir), ["--project", dir.to_str().unwrap()]);
            std::fs::create_dir(dir.join(".claude")).unwrap();
            std::fs::write(&file, before).unwrap();
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
            person.install(&place);
            let once = std::fs::read_to_string(&file).unwrap();
            assert_eq!(once.matches(&bin).count(), WIRING.len(), "{once}");
            person.install(&place);
            assert_eq!(std::fs::read_to_string(&file).unwrap(), once, "twice is once");
            let copies = tree(&home.backups());
            assert_eq!(mode(&home.backups()), 0o700);
            assert!(copies.values().any(|(mode, bytes)| *mode == 0o600 && bytes == before.as_bytes()), "{before:?}");
            if !has_copy {
                std::fs::remove_dir_all(home.backups()).unwrap();
            }
            person.must(&[&["uninstall", "--yes"], &place[..]].concat());
            let after = std::fs::read_to_string(&file).unwrap();
            assert_eq!((after.as_str(), mode(&file)), (*before, 0o640), "{has_copy}");
            assert_eq!(entries(&dir.join(".claude")), 1, "no temporary file");
        }
    }
}

#[test]
fn what_others_wrote_meanwhile_survives() {
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\"\n}\n");
    person.install(&[]);
    let foreign = json!({ "type": "command", "command": "echo done" });
    let mut settings = read_settings(&person.settings());
    settings["model"] = json!("sonnet");
    settings["hooks"]["Stop"][0]["hooks"].as_array_mut().unwrap().insert(1, foreign.clone());
    settings["hooks"]["Notification"] = json!([{ "hooks": [foreign] }]);
    person.write_settings(serde_json::to_string_pretty(&settings).unwrap());
    let said = person.must(&["uninstall", "--yes"]);
    assert!(said.contains("settings.json: stopgate's entries are taken out"), "{said}");
    let groups = json!([{ "hooks": [foreign] }]);
    let expected = json!({ "model": "sonnet", "hooks": { "Stop": groups, "Notification": groups } });
    assert_eq!(read_settings(&person.settings()), expected);
}

#[test]
fn a_file_that_was_broken_meanwhile_is_left_and_so_are_the_programs_it_may_call() {
    let person = Person::new();
    person.install(&[]);
    let whole = std::fs::read(person.settings()).unwrap();
    person.write_settings([&whole[..], b"oops"].concat());
    let bin = tree(&person.world.home.bin());
    let (code, report) = person.json(&["uninstall", "--yes"]);
    assert_eq!((code, &report["exit_code"], &report["done"]), (1, &json!(1), &json!([])), "{report}");
    let problem = report["problems"][0].as_str().unwrap();
    assert!(problem.contains(&format!("{}: line ", person.settings().display())), "{problem}");
    assert!(std::fs::read(person.settings()).unwrap().ends_with(b"oops"));
    assert!(tree(&person.world.home.bin()) == bin);
    person.write_settings(whole);
    person.must(&["uninstall", "--yes"]);
    assert!(!person.dir().join(".claude").exists(), "mended, it is still known whose it was");
}

#[test]
fn of_several_installs_in_one_home_the_others_go_on_until_the_last() {
    let person = Person::new();
    let home = &person.world.home;
    let [one, two] = ["one", "two"].map(|name| project(&person, name));
    person.must(&["init", "--yes", "--no-live-check"]);
    for dir in [&one, &two] {
        person.install(&["--project", dir.to_str().unwrap()]);
    }
    let pid = || person.world.stopgate_json(&["authority", "status", "--json"])["pid"].clone();
    let first = pid();

    person.must(&["uninstall", "--yes"]);
    assert!(!person.dir().join(".claude").exists());
    assert_eq!(pid(), first, "the authority goes on");
    let wanted = fresh_settings(&home.bin());
    let settings = read_settings(&local(&one));
    assert_eq!(settings, wanted);
    let (_, recorder) = registered(&settings).into_iter().find(|(event, _)| event == "SessionStart").unwrap();
    let mut recorder = person.command(Path::new(recorder["command"].as_str().unwrap()));
    recorder.arg("claude");
    assert_silent(&finish(recorder, Stdin::from(&*session_start("s1", &one, "startup").to_string())));
    assert_eq!(person.world.stopgate_json(&["sessions", "--json"])[0]["session_id"], "s1", "and so do the hooks");

    let said = person.must(&["uninstall", "--yes"]);
    let elsewhere = format!("It is installed in {} (or use --all).", local(&one).display());
    assert!(said.starts_with("Nothing of stopgate is installed there.") && said.contains(&elsewhere), "{said}");
    let purge = person.run(&["uninstall", "--purge", "--yes"]);
    assert_eq!(purge.status.code(), Some(2));
    assert!(text(&purge.stderr).contains(&format!("{} still calls", local(&one).display())), "{purge:?}");
    assert_eq!((read_settings(&local(&one)), read_settings(&local(&two)), pid()), (wanted.clone(), wanted, first));

    std::fs::write(two.join(".claude/notes.md"), "mine").unwrap();
    person.must(&["uninstall", "--all", "--yes"]);
    assert!(!one.join(".claude").exists(), "made by stopgate, empty, gone");
    assert_eq!(tree(&two).into_keys().collect::<Vec<_>>(), [two.join(".claude"), two.join(".claude/notes.md")]);
    assert!(!person.has_authority() && !home.bin().join("stopgate").exists());
}

#[test]
fn a_project_that_is_gone_is_forgotten() {
    let person = Person::new();
    let gone = project(&person, "gone");
    person.install(&["--project", "gone"]);
    std::fs::remove_dir_all(&gone).unwrap();
    let named = person.run(&["uninstall", "--yes", "--project", "gone"]);
    assert_eq!(named.status.code(), Some(2));
    assert!(text(&named.stderr).contains("/gone: no such directory"), "{named:?}");
    person.must(&["uninstall", "--all", "--yes", "--purge"]);
    assert!(!person.world.home.root().exists() && !gone.exists());
}

#[test]
fn programs_read_one_object() {
    let person = Person::new();
    let check = |arguments: &[&str], code: i32, outcome: &str| -> Value {
        let (exit, report) = person.json(&[&["uninstall"], arguments].concat());
        assert_eq!((exit, &report["exit_code"]), (code, &json!(code)), "{arguments:?}: {report}");
        assert_eq!((&report["command"], &report["outcome"]), (&json!("uninstall"), &json!(outcome)));
        report
    };
    check(&["--yes"], 0, "nothing-installed");
    person.must(&["init", "--yes", "--no-live-check"]);
    let preview = check(&["--dry-run"], 0, "dry-run");
    assert_eq!(preview["settings"][0]["settings"], json!(person.settings()));
    assert_eq!(preview["settings"][0]["change"], "remove");
    assert!(preview["settings"][0]["diff"].as_str().unwrap().contains("\n+++ /dev/null\n"), "{preview}");
    check(&[], 2, "no-consent");

    let (code, refused) = person.json(&["uninstall", "--yes", "--project", "nope"]);
    assert_eq!((code, &refused["error"]["code"]), (2, &json!("refused")));
    assert!(refused["error"]["message"].as_str().unwrap().contains("/nope: no such directory"), "{refused}");
    assert_eq!(registered(&read_settings(&person.settings())).len(), WIRING.len(), "nothing was taken back yet");

    let report = check(&["--yes", "--purge"], 0, "uninstalled");
    assert_eq!((report["done"].as_array().unwrap().len(), &report["problems"]), (3, &json!([])), "{report}");
    assert_eq!(entries(&person.dir()), 0);
    assert!(!person.has_authority());
}

#[test]
fn a_directory_that_is_not_surely_a_home_is_not_purged() {
    let person = Person::new();
    std::fs::create_dir_all(person.world.home.root().join("switches")).unwrap();
    let before = tree(person.world.root());
    let output = person.run(&["uninstall", "--purge", "--yes"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("does not carry the file .stopgate-home"), "{output:?}");
    assert!(tree(person.world.root()) == before);
}

#[test]
fn sessions_that_go_on_meanwhile_start_no_authority_again() {
    for flags in [&["uninstall", "--yes"][..], &["uninstall", "--yes", "--purge"]] {
        let person = Person::new();
        person.must(&["init", "--yes", "--no-live-check"]);
        let recorder = person.world.home.bin().join("session-start-recorder");
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Ordering::SeqCst) && recorder.exists() {
                        let mut hook = person.command(&recorder);
                        hook.arg("claude").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
                        // Between the look and the start the program may go.
                        let Ok(mut hook) = hook.spawn() else { continue };
                        let payload = session_start("s1", person.world.root(), "startup").to_string();
                        let _ = hook.stdin.take().unwrap().write_all(payload.as_bytes());
                        hook.wait().unwrap();
                    }
                });
            }
            let output = person.run(flags);
            ended.store(true, Ordering::SeqCst);
            assert!(output.status.success(), "{flags:?}: {output:?}");
        });
        assert!(!person.has_authority(), "{flags:?}");
        assert_eq!(person.world.home.root().exists(), !flags.contains(&"--purge"));
    }
}
