//! `installer migrate` and `installer update`: what an older version made is brought up to date, once, and what a
//! person decided stays decided.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use stopgate_core::VERSION;
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::person::{Person, finding_ids, fresh_settings, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{HOOKS, binary, session_start};

/// A person with stopgate of a version that is over.
fn of_an_older_version(person: &Person) {
    person.install(&[]);
    change_ledger(person, |ledger| ledger["version"] = json!("0.0.9"));
    std::fs::write(person.world.home.version_file(), "0.0.9\n").unwrap();
}

fn change_ledger(person: &Person, change: impl Fn(&mut Value)) {
    let path = person.world.home.ledger();
    let mut ledger: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut ledger);
    std::fs::write(path, serde_json::to_string_pretty(&ledger).unwrap()).unwrap();
}

fn ledger(person: &Person) -> Value {
    serde_json::from_slice(&std::fs::read(person.world.home.ledger()).unwrap()).unwrap()
}

/// `installer migrate --json` of the installed program, without an authority: exit code and report.
fn migrate(person: &Person) -> (i32, Value) {
    let mut command = person.installed("installer");
    command.args(["migrate", "--json"]).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(command, Stdin::from(""));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

fn outcome<'a>(report: &'a Value, step: &str) -> &'a str {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().find(|one| one["step"] == step).unwrap_or_else(|| panic!("{step}: {report:#}"))["outcome"]
        .as_str()
        .unwrap()
}

/// The version of the authority that answers, if one does.
fn serving(person: &Person) -> Option<String> {
    let status = person.world.stopgate(&["authority", "status", "--json"]);
    Some(serde_json::from_slice::<Value>(&status.stdout).ok()?["version"].as_str()?.to_owned())
}

/// A release of this build in `dir`, with a guide for its version.
fn release(dir: &Path) -> PathBuf {
    let dir = dir.join("a release");
    std::fs::create_dir_all(dir.join("upgrades")).unwrap();
    for name in HOOKS.into_iter().chain(["stopgate", "installer"]) {
        std::fs::copy(binary(name), dir.join(name)).unwrap();
    }
    let guide = "# x\n\n## What to Tell Your User\n\nStops are judged better now.\n\n## Other\n";
    std::fs::write(dir.join(format!("upgrades/{VERSION}.md")), guide).unwrap();
    let mut command = Command::new(binary("installer"));
    command.args(["manifest", "--from"]).arg(&dir).arg("--out").arg(dir.join("manifest.json"));
    command.env_clear().env("HOME", &dir);
    assert!(finish(command, Stdin::from("")).status.success());
    dir
}

#[test]
fn a_second_migration_changes_nothing() {
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\"\n}\n");
    of_an_older_version(&person);
    let (code, report) = migrate(&person);
    assert_eq!((code, &report["from"], &report["to"]), (0, &json!("0.0.9"), &json!(VERSION)), "{report:#}");
    assert_eq!(std::fs::read_to_string(person.world.home.version_file()).unwrap(), format!("{VERSION}\n"));
    let before = tree(person.world.root());
    let (code, report) = migrate(&person);
    assert_eq!(code, 0);
    let changed: Vec<_> =
        report["steps"].as_array().unwrap().iter().filter(|step| step["outcome"] == "changed").collect();
    assert!(changed.is_empty(), "{report:#}");
    let mut after = tree(person.world.root());
    // The account of the run itself.
    let account = person.world.home.run().join("migrate.json");
    after.insert(account.clone(), before[&account].clone());
    assert!(after == before);
}

#[test]
fn the_configuration_gets_what_it_lacks_and_a_fault_is_left_to_the_person() {
    let person = Person::new();
    of_an_older_version(&person);
    let config = person.world.home.root().join("config.toml");
    let told = || {
        let (code, report) = migrate(&person);
        (code, outcome(&report, "config").to_owned())
    };
    assert_eq!(told(), (0, "unchanged".to_owned()), "there is none");
    assert!(!config.exists());
    let mine = "# mine\n[gate]\ncontinues_per_day   = 3 # few\n";
    std::fs::write(&config, mine).unwrap();
    assert_eq!(told(), (0, "changed".to_owned()));
    let complete = std::fs::read_to_string(&config).unwrap();
    assert!(mine.lines().all(|line| complete.lines().any(|kept| kept == line)), "{complete}");
    assert!(complete.contains("retention_days = 30"), "{complete}");
    assert_eq!(told(), (0, "unchanged".to_owned()), "once");
    std::fs::write(&config, "[gate]\nnonsense = 3\n").unwrap();
    assert_eq!(told(), (0, "skipped".to_owned()));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "[gate]\nnonsense = 3\n");
}

#[test]
fn what_is_stale_is_repaired_what_is_new_is_added_and_what_a_person_took_out_stays_out() {
    let person = Person::new();
    of_an_older_version(&person);
    let mut settings = read_settings(&person.settings());
    // The older version had another timeout, and nothing on PermissionRequest and ConfigChange; the person took
    // PreCompact out.
    let newer = ["PermissionRequest", "ConfigChange"];
    settings["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"] = json!(9);
    for event in newer.into_iter().chain(["PreCompact"]) {
        settings["hooks"].as_object_mut().unwrap().remove(event);
    }
    std::fs::write(person.settings(), serde_json::to_string_pretty(&settings).unwrap()).unwrap();
    change_ledger(&person, |ledger| {
        let entries = ledger["installs"][0]["entries"].as_array_mut().unwrap();
        entries.retain(|entry| !newer.contains(&entry["event"].as_str().unwrap()));
    });

    for round in 0..2 {
        let (code, report) = migrate(&person);
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(outcome(&report, "wiring"), if round == 0 { "changed" } else { "unchanged" });
        assert!(report["steps"].to_string().contains("1 taken out by a person"), "{report:#}");
        let settings = read_settings(&person.settings());
        assert_eq!(settings["hooks"]["SessionEnd"][0]["hooks"][0]["timeout"], 3);
        assert!(newer.iter().all(|event| settings["hooks"][event].is_array()), "{settings:#}");
        assert!(settings["hooks"].get("PreCompact").is_none());
    }
    let (_, report) = person.json(&["doctor", "--no-fire"]);
    assert_eq!(report["findings"][0]["id"], "entry-refused", "{report:#}");
    // Whoever says so gets it back.
    person.install(&[]);
    assert_eq!(
        registered(&read_settings(&person.settings())).len(),
        registered(&fresh_settings(&person.world.home.bin())).len()
    );
    assert_eq!(ledger(&person)["installs"][0].get("refused"), None);
}

#[test]
fn the_hook_is_registered_for_as_long_as_a_judge_is_waited_for_and_no_longer_without_one() {
    let person = Person::new();
    let mine = "{\n  \"model\":   \"opus\"\n}\n";
    person.write_settings(mine);
    person.install(&[]);
    let before = std::fs::read(person.settings()).unwrap();
    let configure = |judge: &str| std::fs::write(person.world.home.root().join("config.toml"), judge).unwrap();
    let migrates = |is_changed: bool| {
        let (code, report) = migrate(&person);
        let outcome = outcome(&report, "wiring");
        assert_eq!((code, outcome), (0, if is_changed { "changed" } else { "unchanged" }), "{report:#}");
    };
    let stop = || read_settings(&person.settings())["hooks"]["Stop"][0]["hooks"].clone();
    let findings = || finding_ids(&person.json(&["doctor", "--no-fire"]).1).join(" ");
    let shown = || text(&person.world.stopgate(&["status"]).stdout);
    let judge = "[judge]\nkind = \"command\"\ncommand = [\"/bin/false\"]\n";

    configure(&format!("{judge}wait_ms = 20000\n"));
    assert!(findings().contains("entry-stale"), "{}", findings());
    assert!(shown().contains("judge        Claude Code waits up to 5 s for it, not 20 s"), "{}", shown());
    migrates(true);
    migrates(false);
    assert_eq!(stop()[0]["timeout"], 25);
    assert_eq!(stop()[0]["statusMessage"], "stopgate: judging this stop (up to 20 s; Esc ends it)");
    assert_eq!((&stop()[1]["timeout"], &stop()[1]["statusMessage"]), (&json!(10), &Value::Null));
    assert!(!findings().contains("entry"), "{}", findings());
    assert!(shown().contains("judge        Claude Code waits up to 20 s for it in enforce"), "{}", shown());

    configure(&format!("{judge}wait_ms = 55000\n"));
    migrates(true);
    assert_eq!(stop()[0]["timeout"], 60);
    // What a person has the client show is the person's.
    let written = std::fs::read_to_string(person.settings()).unwrap();
    let own = written.replace("stopgate: judging this stop (up to 55 s; Esc ends it)", "one moment");
    std::fs::write(person.settings(), &own).unwrap();
    migrates(false);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), own);
    std::fs::write(person.settings(), written).unwrap();

    // Nothing waits without a judge, or without a word.
    for none in ["[judge]\nwait_ms = 20000\n", judge, ""] {
        configure(&format!("{judge}wait_ms = 20000\n"));
        migrates(true);
        configure(none);
        migrates(true);
        assert_eq!(std::fs::read(person.settings()).unwrap(), before, "{none}");
        assert!(!shown().contains("judge  "), "{}", shown());
    }
    configure("[judge]\nwait_ms = 55001\n");
    let wrong = person.world.stopgate(&["config", "check"]);
    let said = text_of(&wrong);
    assert!(!wrong.status.success() && said.contains("judge.wait_ms") && said.contains("from 0 to 55000"), "{said}");
    migrates(false);
    configure(&format!("{judge}wait_ms = 20000\n"));
    migrates(true);
    person.must(&["uninstall", "--yes"]);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), mine);
}

/// All that a program said.
fn text_of(output: &std::process::Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn a_write_that_was_interrupted_is_no_refusal() {
    let person = Person::new();
    of_an_older_version(&person);
    // The ledger was written, the settings file was not: as after kill -9 in between.
    std::fs::write(person.settings(), "{}").unwrap();
    change_ledger(&person, |ledger| ledger["installs"][0]["settled"] = json!(false));
    let (code, report) = migrate(&person);
    assert_eq!((code, outcome(&report, "wiring")), (0, "changed"), "{report:#}");
    assert_eq!(read_settings(&person.settings()), fresh_settings(&person.world.home.bin()));
    assert_eq!(ledger(&person)["installs"][0].get("settled"), None);
}

#[test]
fn a_failed_step_is_named_and_tried_again_and_the_others_are_done() {
    let person = Person::new();
    of_an_older_version(&person);
    let good = std::fs::read(person.settings()).unwrap();
    std::fs::write(person.settings(), "{\n  \"hooks\": oops\n}").unwrap();
    std::fs::remove_file(person.world.home.root().join("manifest.json")).unwrap();
    let (code, report) = migrate(&person);
    assert_eq!((code, outcome(&report, "wiring")), (1, "failed"), "{report:#}");
    assert!(report["steps"].to_string().contains("line 2, column 12"), "{report:#}");
    assert_eq!(std::fs::read(person.settings()).unwrap(), b"{\n  \"hooks\": oops\n}");
    assert_eq!(ledger(&person)["version"], "0.0.9", "not done yet");
    let (_, doctor) = person.json(&["doctor", "--no-fire"]);
    assert!(doctor["findings"].to_string().contains("migration-failed"), "{doctor:#}");
    std::fs::write(person.settings(), good).unwrap();
    assert_eq!(migrate(&person).0, 0);
    assert_eq!(ledger(&person)["version"], VERSION);
}

#[test]
fn a_downgrade_is_refused_with_the_way_back() {
    let person = Person::new();
    person.install(&[]);
    change_ledger(&person, |ledger| ledger["version"] = json!("999.0.0"));
    let before = tree(person.world.root());
    let output = finish(
        {
            let mut command = person.installed("installer");
            command.arg("migrate");
            command
        },
        Stdin::from(""),
    );
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("999.0.0") && text(&output.stderr).contains("to go back"), "{output:?}");
    assert!(tree(person.world.root()) == before);

    let release = release(person.world.root());
    let output = person.run(&["update", "--yes", "--from", release.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("older than what is installed (999.0.0)"), "{output:?}");
}

#[test]
fn an_update_replaces_the_programs_and_the_new_one_migrates_and_tells_what_is_new_once() {
    let person = Person::new();
    of_an_older_version(&person);
    let bin = person.world.home.bin();
    // What the older version had installed.
    std::fs::write(bin.join("stop-gate-router"), "#!/bin/sh\nexit 0\n").unwrap();
    let release = release(person.world.root());
    let archive = person.world.root().join("release.tar");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(person.world.root()).arg("-cf").arg(&archive).arg("a release");
    assert!(finish(tar, Stdin::from("")).status.success());

    let before = tree(person.world.root());
    let said = person.must(&["update", "--dry-run", "--from", release.to_str().unwrap()]);
    assert!(said.contains("stopgate 0.0.9") && said.contains("nothing was written"), "{said}");
    assert!(tree(person.world.root()) == before);

    let mut update = person.installed("installer");
    update.args(["update", "--yes", "--from"]).arg(&archive).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(update, Stdin::from(""));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("is brought from 0.0.9 to") && said.contains("Stops are judged better now."), "{said}");
    assert_eq!(
        std::fs::read(bin.join("stop-gate-router")).unwrap(),
        std::fs::read(binary("stop-gate-router")).unwrap()
    );
    let kept: Vec<_> = tree(&person.world.home.backups())
        .into_iter()
        .filter(|(_, (_, bytes))| bytes == b"#!/bin/sh\nexit 0\n")
        .collect();
    assert_eq!(kept.len(), 1, "the old program is kept");

    let (_, report) = migrate(&person);
    assert_eq!(report["guides"][0]["text"], "Stops are judged better now.", "until it is acknowledged");
    person.must(&["migrate", "--acknowledge"]);
    assert_eq!(migrate(&person).1["guides"], json!([]));
}

#[test]
fn a_release_whose_bytes_are_not_its_own_is_refused() {
    let person = Person::new();
    person.install(&[]);
    let release = release(person.world.root());
    std::fs::write(release.join("build-stop-hook"), "something else").unwrap();
    let empty = person.world.root().join("project");
    std::fs::create_dir(&empty).unwrap();
    let before = tree(person.world.root());
    for (from, said) in [
        (&release, "not the bytes that the release's manifest names"),
        (&empty, "there is no program `installer` in it"),
        (&person.world.home.ledger(), "`tar` cannot unpack it"),
    ] {
        let output = person.run(&["update", "--yes", "--from", from.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{said}: {output:?}");
    }
    assert!(tree(person.world.root()) == before);
}

#[test]
fn an_older_database_is_copied_before_it_is_migrated() {
    let person = Person::new();
    of_an_older_version(&person);
    let database = person.world.home.database();
    let connection = rusqlite::Connection::open(&database).unwrap();
    // A schema that is none yet: everything is still to be done.
    connection.execute_batch("CREATE TABLE old_notes (text); INSERT INTO old_notes VALUES ('kept');").unwrap();
    drop(connection);
    let (code, report) = migrate(&person);
    assert_eq!((code, outcome(&report, "database")), (0, "changed"), "{report:#}");
    let copies = tree(&person.world.home.backups()).into_keys().filter(|path| path.ends_with("stopgate.db"));
    let copies: Vec<_> = copies.collect();
    assert_eq!(copies.len(), 1);
    let copy = rusqlite::Connection::open(&copies[0]).unwrap();
    let note: String = copy.query_row("SELECT text FROM old_notes", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "kept");
    assert_eq!(outcome(&migrate(&person).1, "database"), "unchanged");

    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
    let (code, report) = migrate(&person);
    assert_eq!((code, outcome(&report, "database")), (1, "failed"), "{report:#}");
}

#[test]
fn the_start_of_a_session_migrates_quietly_when_the_versions_differ_and_only_then() {
    let person = Person::new();
    of_an_older_version(&person);
    let account = person.world.home.run().join("migrate.json");
    let start = |id: &str, no_autostart: bool| {
        let mut hook = person.installed("session-start-recorder");
        hook.arg("claude");
        if no_autostart {
            hook.env("STOPGATE_NO_AUTOSTART", "1");
        }
        let payload = session_start(id, person.world.root(), "startup").to_string();
        let output = finish(hook, Stdin::from(&*payload));
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    };
    start("a", true);
    start("b", false);
    eventually("the migration is done", || account.exists().then_some(()));
    assert_eq!(std::fs::read_to_string(person.world.home.version_file()).unwrap(), format!("{VERSION}\n"));

    std::fs::remove_file(&account).unwrap();
    start("c", false);
    // The authority that the hook found absent is up: whatever else it started has begun as well.
    eventually("the authority answers", || person.has_authority().then_some(()));
    assert!(!account.exists(), "nothing was to be migrated");
}

#[test]
fn an_older_authority_hands_over_inside_an_agents_session_too_and_only_then() {
    let person = Person::new();
    of_an_older_version(&person);
    let release = release(person.world.root());
    let update = format!("update --yes --json --from '{}'", release.display());
    for (session, command) in [("migrates", "migrate --json"), ("updates", &update)] {
        let mut old = person.installed("stopgate");
        old.args(["authority", "run"]).env("STOPGATE_VERSION", "0.0.9");
        let mut old = old.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the old one serves", || (serving(&person)? == "0.0.9").then_some(()));

        let refused = recorded_agent(&person.world, session, "\"$BIN/stopgate\" authority stop");
        assert_eq!(refused.status.code(), Some(2), "its end is the operator's: {refused:?}");
        assert!(old.try_wait().unwrap().is_none());

        let script = format!("unset STOPGATE_NO_AUTOSTART\n\"$STOPGATE_HOME/bin/installer\" {command}");
        let output = recorded_agent(&person.world, session, &script);
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome(&report, "authority"), "changed", "{report:#}");
        assert!(old.wait().unwrap().success());
        assert_eq!(serving(&person).as_deref(), Some(VERSION));
        assert!(person.world.stopgate(&["authority", "stop"]).status.success());
    }
}

#[test]
fn killed_at_any_point_and_run_again_it_ends_in_the_same_state() {
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\"\n}\n");
    person.install(&[]);
    let installed = std::fs::read(person.settings()).unwrap();
    let release = release(person.world.root());
    for delay_ms in [0, 1, 2, 4, 8, 15, 30, 60, 120, 250] {
        change_ledger(&person, |ledger| ledger["version"] = json!("0.0.9"));
        // What the older version had: another program, another timeout.
        std::fs::write(person.world.home.bin().join("build-stop-hook"), "#!/bin/sh\nexit 0\n").unwrap();
        let settings = String::from_utf8(installed.clone()).unwrap().replace("\"timeout\": 3", "\"timeout\": 50");
        std::fs::write(person.settings(), settings).unwrap();

        let mut command = person.command(&release.join("installer"));
        command.arg("migrate").env("STOPGATE_NO_AUTOSTART", "1").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        let _ = child.kill();
        child.wait().unwrap();

        let text = std::fs::read_to_string(person.settings()).unwrap();
        assert!(text.contains("\"timeout\": 50") || text.as_bytes() == installed, "half a file: {text}");
        let mut again = person.command(&release.join("installer"));
        again.args(["migrate"]).env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(again, Stdin::from(""));
        assert!(output.status.success(), "{delay_ms} ms: {output:?}");
        assert_eq!(std::fs::read(person.settings()).unwrap(), installed, "{delay_ms} ms");
        assert_eq!(
            std::fs::read(person.world.home.bin().join("build-stop-hook")).unwrap(),
            std::fs::read(binary("build-stop-hook")).unwrap()
        );
        let ledger = ledger(&person);
        assert_eq!((&ledger["version"], ledger["installs"][0].get("refused")), (&json!(VERSION), None), "{ledger:#}");
    }
}

#[test]
fn an_agent_puts_back_what_was_installed_or_a_newer_release_and_no_other_programs() {
    let person = Person::new();
    person.install(&[]);
    let home = &person.world.home;
    let router = home.bin().join("stop-gate-router");
    let ours = std::fs::read(&router).unwrap();
    let release = release(person.world.root());
    let agent = |command: &str| recorded_agent(&person.world, "s", command);
    let update = |from: &Path| format!("\"$STOPGATE_HOME/bin/installer\" update --yes --from '{}'", from.display());
    let refused = |output: &std::process::Output, why: &str| {
        assert_eq!(output.status.code(), Some(2), "{why}: {output:?}");
        assert!(text(&output.stderr).contains(why), "{why}: {output:?}");
        assert!(std::fs::read(&router).unwrap() == ours, "{why}");
    };
    let programs = |name: &str| {
        let dir = person.world.root().join(name);
        std::fs::create_dir(&dir).unwrap();
        for program in HOOKS.into_iter().chain(["stopgate", "installer"]) {
            std::fs::copy(binary(program), dir.join(program)).unwrap();
        }
        dir
    };
    let write_manifest = |dir: &Path| {
        let mut command = person.command(&binary("installer"));
        command.args(["manifest", "--from"]).arg(dir).arg("--out").arg(dir.join("manifest.json"));
        assert!(finish(command, Stdin::from("")).status.success());
    };

    // What does not do what ours does is nobody's to install.
    let foreign = programs("foreign");
    for hook in HOOKS {
        std::fs::copy("/bin/true", foreign.join(hook)).unwrap();
    }
    for has_manifest in [false, true] {
        if has_manifest {
            write_manifest(&foreign);
        }
        refused(&agent(&update(&foreign)), "does not do what stopgate's program of that name does");
        refused(&person.run(&["update", "--yes", "--from", foreign.to_str().unwrap()]), "does not do what");
        refused(
            &finish(
                {
                    let mut init = person.command(&foreign.join("installer"));
                    init.args(["init", "--yes"]);
                    init
                },
                Stdin::from(""),
            ),
            "does not do what",
        );
    }

    // Programs that do, and are others: a build of the agent's own.
    let built = programs("built");
    std::fs::OpenOptions::new().append(true).open(built.join("stop-gate-router")).unwrap().write_all(b"x").unwrap();
    let init = format!("'{}/installer' init --yes --no-live-check", built.display());
    let migrate_them = format!("'{}/installer' migrate", built.display());
    for has_manifest in [false, true] {
        if has_manifest {
            write_manifest(&built);
        }
        for command in [&update(&built), &init] {
            refused(&agent(command), "is the operator's");
        }
        let migrated = agent(&migrate_them);
        assert_eq!(migrated.status.code(), Some(1), "{migrated:?}");
        assert!(std::fs::read(&router).unwrap() == ours);
    }

    // What was installed is put back, and a release that is newer is installed.
    std::fs::write(&router, "#!/bin/sh\nexit 0\n").unwrap();
    assert!(agent(&update(&release)).status.success());
    assert!(std::fs::read(&router).unwrap() == ours);
    change_ledger(&person, |ledger| {
        ledger["version"] = json!("0.0.9");
        ledger["binaries"][0]["sha256"] = json!("0".repeat(64));
    });
    std::fs::write(&router, "#!/bin/sh\nexit 0\n").unwrap();
    assert!(agent(&update(&release)).status.success());
    assert!(std::fs::read(&router).unwrap() == ours);

    // Whoever has no agent above installs what they have built, and that is on record.
    let output = person.run(&["update", "--yes", "--from", built.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(std::fs::read(&router).unwrap() != ours);
    let acts = person.world.stopgate_json(&["status", "--json"])["unattended_acts"].clone();
    assert_eq!(acts[0]["action"], "installing other programs than a newer release", "{acts:#}");
}
