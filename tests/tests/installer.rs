//! `installer init`, end to end: what is written where, what is left alone, and what is refused.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};
use stopgate_tests::person::{Person, WIRING, fresh_settings, mode, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{HOOKS, binary};

/// The refusal that says all of `parts`; nothing in the person's world may have changed.
fn assert_refused(person: &Person, arguments: &[&str], parts: &[&str]) {
    let before = tree(person.world.root());
    let output = person.run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    let said = text(&output.stderr);
    assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
    assert_eq!(text(&output.stdout), "", "nothing is promised");
    assert!(tree(person.world.root()) == before, "{arguments:?}: something was written");
}

#[test]
fn the_users_settings_are_where_the_client_looks_for_them() {
    let person = Person::new();
    let configured = person.world.root().join("config/claude");
    let init = |dir: &str| {
        let mut command = person.installer(&["init", "--yes", "--no-live-check"]);
        command.env("CLAUDE_CONFIG_DIR", dir).env("STOPGATE_NO_AUTOSTART", "1");
        finish(command, Stdin::from(""))
    };
    let relative = init("config");
    assert_eq!(relative.status.code(), Some(2));
    assert!(text(&relative.stderr).contains("CLAUDE_CONFIG_DIR=config is a relative path"), "{relative:?}");
    assert!(init(configured.to_str().unwrap()).status.success());
    assert_eq!(read_settings(&configured.join("settings.json")), fresh_settings(&person.world.home.bin()));
    assert!(!person.dir().join(".claude").exists());
}

#[test]
fn a_dry_run_shows_the_change_and_writes_nothing() {
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\",\n  \"env\": {\n    \"API_TOKEN\": \"hunter22\"\n  }\n}\n");
    let before = tree(person.world.root());
    let said = person.must(&["init", "--dry-run"]);
    let name = person.settings().display().to_string();
    for part in [&*format!("--- {name}\n+++ {name}\n@@ "), "\n+  \"hooks\": {\n", "Dry run: nothing was written."] {
        assert!(said.contains(part), "{part:?}: {said}");
    }
    assert!(!said.contains("hunter22"), "a key is shown: {said}");
    assert!(tree(person.world.root()) == before);
}

#[test]
fn without_a_terminal_nothing_is_written_unless_it_was_agreed_to() {
    let person = Person::new();
    let before = tree(person.world.root());
    let output = person.run(&["init"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("Nothing was written") && said.contains("--yes"), "{said}");
    assert!(text(&output.stdout).contains("+++ "), "what would be done is shown all the same");
    assert!(tree(person.world.root()) == before);
}

#[test]
fn at_a_terminal_the_answer_decides() {
    let script = Path::new("/usr/bin/script");
    if !script.exists() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no {} to make a terminal with", script.display());
        return;
    }
    let person = Person::new();
    let ask = |answer: &str| {
        let mut command = person.command(script);
        let init = format!("'{}' init --no-live-check", binary("installer").display());
        command.args(["-qec", &init, "/dev/null"]).env("STOPGATE_NO_AUTOSTART", "1");
        finish(command, Stdin::NeverClosed(answer.as_bytes().to_vec()))
    };
    let before = tree(person.world.root());
    for answer in ["n\n", "\n", "maybe\n"] {
        let declined = ask(answer);
        assert_eq!(declined.status.code(), Some(2), "{declined:?}");
        let said = text(&declined.stdout);
        assert!(said.contains("Write this? [y/N]") && said.contains("Nothing was written."), "{said}");
        assert!(tree(person.world.root()) == before, "{answer:?}");
    }
    let agreed = ask("y\n");
    assert!(agreed.status.success() && text(&agreed.stdout).contains("Written."), "{agreed:?}");
    assert_eq!(read_settings(&person.settings()), fresh_settings(&person.world.home.bin()));
    let again = ask("");
    assert!(again.status.success() && text(&again.stdout).contains("Installed already"), "nobody is asked: {again:?}");
}

#[test]
fn a_project_gets_its_local_settings_and_nothing_else() {
    let person = Person::new();
    let project = person.world.root().join("the project");
    std::fs::create_dir(&project).unwrap();
    let mut init = person.installer(&["init", "--yes", "--scope", "project-local", "--project", "the project"]);
    init.env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(init, Stdin::from(""));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let made: Vec<_> = tree(&project).into_keys().collect();
    let file = project.join(".claude/settings.local.json");
    assert_eq!(made, [project.join(".claude"), file.clone()], "the live check ran here, too");
    assert_eq!(read_settings(&file), fresh_settings(&person.world.home.bin()));
    assert!(!person.dir().join(".claude").exists());

    // What may not be started is not, and what could not be shown is said.
    assert_eq!(said.matches("allowed (no output)").count(), WIRING.len(), "{said}");
    assert!(said.contains("Authority not started: STOPGATE_NO_AUTOSTART is set."), "{said}");
    let skipped = "  stop attempt skipped: the authority is not running (STOPGATE_NO_AUTOSTART is set)";
    assert!(said.contains(skipped) && !person.world.home.socket().exists(), "{said}");

    let mut inside = person.installer(&["init", "--scope", "project-local"]);
    inside.current_dir(&project);
    let inside = finish(inside, Stdin::from(""));
    assert!(text(&inside.stdout).contains("Installed already"), "the current directory is the default: {inside:?}");
}

#[test]
fn places_that_make_no_sense_are_refused() {
    let person = Person::new();
    std::fs::write(person.world.root().join("file"), "").unwrap();
    let no_directory = |name: &str| format!("{}: no such directory", person.world.root().join(name).display());
    for (place, said) in [
        (&["--scope", "project", "--project", "nope"][..], &*no_directory("nope")),
        (&["--project", "file"], &*no_directory("file")),
        (&["--scope", "user", "--project", "."], "--project goes with --scope project"),
    ] {
        assert_refused(&person, &[&["init", "--yes"], place].concat(), &[said]);
    }
}

#[test]
fn settings_that_cannot_be_edited_are_named_and_left_as_they_are() {
    let person = Person::new();
    let name = person.settings().display().to_string();
    for (bytes, line, problem) in [
        (&b"{ \"a\": 1,\n \"b\" }"[..], "line 2, ", "not valid JSON"),
        (b"{\n\n\"a\": \"\xff\"}", "line 3, ", "not UTF-8"),
        (b"[]", "line 1, ", "not a JSON object"),
        (b"null", "line 1, ", "not a JSON object"),
        (b"{\n \"hooks\": []}", "line 2, ", "/hooks is not an object"),
        (b"{\"hooks\": {\n\"Stop\": {}}}", "line 2, ", "/hooks/Stop is not an array"),
        (
            b"{\n\r\r\n}",
            "line 2, ",
            "a carriage return that ends no line; the file is left as it is. Remedy: save it with",
        ),
    ] {
        person.write_settings(bytes);
        let file = format!("{name}: {line}");
        assert_refused(&person, &["init", "--yes"], &[&file, problem]);
        assert_refused(&person, &["init", "--dry-run"], &[&file, problem]);
    }
}

#[test]
fn what_is_no_plain_file_or_no_home_of_ours_is_refused() {
    type Put = fn(&Path);
    let cases: [(&str, Put, &str); 6] = [
        (".claude/settings.json", |path| std::fs::create_dir_all(path).unwrap(), "not a regular file"),
        (".claude", |path| std::fs::write(path, "").unwrap(), "Not a directory"),
        (".claude", |path| symlink("nowhere", path).unwrap(), "leads nowhere"),
        (".stopgate", |path| std::fs::write(path, "").unwrap(), "cannot be used as stopgate's home"),
        (".stopgate/thesis.tex", |path| std::fs::create_dir_all(path).unwrap(), "which is not stopgate's"),
        (
            ".claude/settings.json",
            |path| {
                std::fs::create_dir(path.parent().unwrap()).unwrap();
                std::fs::write(path, "{}").unwrap();
                std::fs::set_permissions(path, Permissions::from_mode(0o444)).unwrap();
            },
            "read-only; `chmod u+w` it",
        ),
    ];
    for (place, put, problem) in cases {
        let person = Person::new();
        let place = person.dir().join(place);
        put(&place);
        assert_refused(&person, &["init", "--yes"], &[&place.display().to_string(), problem]);
    }
}

#[test]
fn a_directory_that_may_not_be_written_stops_the_install_before_anything_is_registered() {
    let person = Person::new();
    person.write_settings("{}\n");
    let dir = person.dir().join(".claude");
    let allow = |mode: u32| std::fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    if std::fs::write(dir.join("probe"), "").is_ok() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: permissions do not stop this user (root?)");
        return;
    }
    let (code, report) = person.json(&["init", "--yes"]);
    allow(0o755);
    assert_eq!((code, &report["error"]["code"]), (2, &json!("refused")));
    let said = report["error"]["message"].as_str().unwrap();
    let what = format!("the directory {} cannot be written", dir.display());
    assert!(said.contains(&what) && said.contains("`installer snippet claude`"), "{said}");
    let left: Vec<_> = tree(&dir).into_values().map(|(_, bytes)| bytes).collect();
    assert_eq!(left, [b"{}\n"], "not a byte, and no temporary file");
    // Trying again is all it takes.
    person.install(&[]);
    assert_eq!(registered(&read_settings(&person.settings())).len(), WIRING.len());
}

#[test]
fn installing_twice_is_installing_once() {
    let person = Person::new();
    person.write_settings("{\n\t\"model\": \"opus\"\n}");
    person.install(&[]);
    let once = tree(person.world.root());
    let said = person.install(&[]);
    assert!(said.contains("Installed already; nothing was written."), "{said}");
    let said = person.must(&["init"]);
    assert!(said.contains("Installed already; nothing to write."), "nobody has to be asked: {said}");
    assert!(tree(person.world.root()) == once);

    // From where it is installed, too.
    let mut own = person.installed("installer");
    own.args(["init", "--json"]);
    let own = finish(own, Stdin::from(""));
    let report: Value = serde_json::from_slice(&own.stdout).unwrap();
    assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("already-installed"), &json!(0)));
    assert!(tree(person.world.root()) == once);
}

#[test]
fn mode_and_link_of_a_persons_file_stay() {
    let person = Person::new();
    let real = person.world.root().join("dotfiles.json");
    std::fs::write(&real, "{}\n").unwrap();
    std::fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir(person.dir().join(".claude")).unwrap();
    symlink("../../dotfiles.json", person.settings()).unwrap();
    let said = person.install(&[]);
    assert!(said.contains(&format!("-> {}", real.display())), "{said}");
    assert_eq!(read_settings(&real), fresh_settings(&person.world.home.bin()));
    person.must(&["uninstall", "--yes"]);
    assert_eq!(std::fs::read_link(person.settings()).unwrap(), Path::new("../../dotfiles.json"));
    assert_eq!((std::fs::read(&real).unwrap().as_slice(), mode(&real)), (&b"{}\n"[..], 0o640));
}

#[test]
fn stale_and_repeated_entries_of_ours_are_repaired_and_no_others() {
    let person = Person::new();
    let bin = person.world.home.bin();
    let ours = |hook: &str, timeout: u32| json!({ "type": "command", "command": bin.join(hook), "args": ["claude", "old"], "timeout": timeout });
    let mut kept = ours("stop-gate-router", 5000);
    kept["statusMessage"] = json!("mine");
    let foreign = json!({ "type": "command", "command": "stop-gate-router claude", "timeout": 7 });
    let before = json!({ "hooks": {
        "Stop": [
            { "matcher": "", "hooks": [kept, foreign] },
            { "hooks": [ours("stop-gate-router", 10), ours("build-stop-hook", 1)] },
        ],
        "PreToolUse": [{ "matcher": "Bash", "hooks": [foreign, ours("stop-gate-router", 10)] }],
    }});
    person.write_settings(serde_json::to_string_pretty(&before).unwrap());
    person.install(&[]);

    let after = read_settings(&person.settings());
    let is_ours = |entry: &Value| Path::new(entry["command"].as_str().unwrap()).starts_with(&bin);
    let (ours, others): (Vec<_>, Vec<_>) = registered(&after).into_iter().partition(|(_, entry)| is_ours(entry));
    assert_eq!(others, ["PreToolUse", "Stop"].map(|event| (event.to_owned(), foreign.clone())));
    let mut wanted = registered(&fresh_settings(&bin));
    let router = wanted.iter_mut().find(|(_, entry)| entry["command"] == kept["command"]).unwrap();
    router.1["statusMessage"] = json!("mine");
    assert_eq!(ours, wanted);
    assert_eq!(after["hooks"]["Stop"][0]["matcher"], "", "the group with somebody else's hook is still there");
    assert_eq!(after["hooks"]["PreToolUse"], json!([{ "matcher": "Bash", "hooks": [foreign] }]));
}

#[test]
fn installers_at_the_same_time_lose_nothing_of_each_other() {
    let person = Person::new();
    person.install(&[]);
    let projects = ["one", "two", "three", "four"];
    std::thread::scope(|scope| {
        for name in projects {
            let person = &person;
            std::fs::create_dir(person.world.root().join(name)).unwrap();
            scope.spawn(move || person.must(&["init", "--yes", "--no-live-check", "--project", name]));
        }
    });
    for name in projects {
        let file = person.world.root().join(name).join(".claude/settings.local.json");
        assert_eq!(read_settings(&file), fresh_settings(&person.world.home.bin()));
    }
    let ledger = read_settings(&person.world.home.ledger());
    assert_eq!(ledger["installs"].as_array().unwrap().len(), 5, "{ledger}");
    let serving = std::fs::read_to_string(person.world.home.log().join("authority.jsonl")).unwrap();
    assert_eq!(serving.matches("\"serving\"").count(), 1, "one authority: {serving}");
}

#[test]
fn programs_read_one_object() {
    let person = Person::new();
    let (code, report) = person.json(&["init", "--dry-run"]);
    assert_eq!((code, &report["outcome"], &report["exit_code"]), (0, &json!("dry-run"), &json!(0)));
    assert!(report["diff"].as_str().unwrap().starts_with("--- /dev/null\n+++ "), "{report}");

    let (code, report) = person.json(&["init"]);
    assert_eq!((code, &report["outcome"], &report["exit_code"]), (2, &json!("no-consent"), &json!(2)));

    let (code, report) = person.json(&["init", "--yes", "--project", "nope"]);
    assert_eq!((code, &report["error"]["code"]), (2, &json!("refused")));
    assert!(report["error"]["message"].as_str().unwrap().contains("/nope: no such directory"), "{report}");
    assert_eq!(std::fs::read_dir(person.dir()).unwrap().count(), 0, "nothing of this wrote anything");

    let (code, report) = person.json(&["init", "--yes"]);
    assert_eq!((code, &report["outcome"], &report["exit_code"]), (0, &json!("installed"), &json!(0)));
    assert_eq!((&report["scope"], &report["settings_change"]), (&json!("user"), &json!("create")));
    assert_eq!(report["settings"], json!(person.settings()));
    assert_eq!(report["home"], json!(person.world.home.root()));
    let programs = report["programs"].as_array().unwrap();
    assert!(programs.len() == HOOKS.len() + 2 && programs.iter().all(|program| program["change"] == "new"), "{report}");
    assert_eq!((&report["authority"]["state"], &report["authority"]["started"]), (&json!("running"), &json!(true)));
    let hooks = report["live_check"]["hooks"].as_array().unwrap();
    assert!(hooks.len() == WIRING.len() && hooks.iter().all(|hook| hook["answer"] == "allowed"), "{report}");
    let stop = &report["live_check"]["stop"];
    assert_eq!((&stop["state"], &stop["mode"]), (&json!("judged"), &json!("shadow")));
    assert!(stop["reason"].as_str().is_some_and(|told| told.starts_with("[stopgate]")), "what would be told: {stop}");
    assert_eq!(report["problems"], json!([]));

    let (code, report) = person.json(&["init"]);
    assert_eq!((code, &report["outcome"], &report["exit_code"]), (0, &json!("already-installed"), &json!(0)));
}
