//! `installer doctor`: each finding appears when its cause is there, through the real programs, and only then.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::{Person, WIRING, finding_ids, fresh_settings, mode, read_settings, text, tree};
use stopgate_tests::run::{Stdin, finish};

/// Runs the doctor of the installed programs: exit code and report.
fn doctor(person: &Person, arguments: &[&str]) -> (i32, Value) {
    let mut command = person.installed("installer");
    command.args(["doctor", "--json"]).args(arguments).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(command, Stdin::from(""));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut value = read_settings(path);
    change(&mut value);
    std::fs::write(path, serde_json::to_string_pretty(&value).unwrap()).unwrap();
}

#[test]
fn a_healthy_installation_has_no_findings_and_every_command_line_is_fired() {
    let person = Person::new();
    person.install(&[]);
    let before = std::fs::read(person.settings()).unwrap();
    let (code, report) = doctor(&person, &[]);
    assert_eq!((code, finding_ids(&report)), (0, vec![]), "{report:#}");
    assert_eq!(report["unchecked"], json!([]));
    let fired = report["fired"].as_array().unwrap();
    assert_eq!(fired.len(), WIRING.len());
    assert!(
        fired.iter().all(|one| one["answer"] == "allowed (no output)" && one["shell_milliseconds"].is_null()),
        "{report:#}"
    );
    let stop = report["registered"].as_array().unwrap().iter().find(|row| row["event"] == "Stop").unwrap();
    assert_eq!((&stop["ours"], &stop["others"], &stop["state"]), (&json!(2), &json!(0), &json!("ok")));
    assert_eq!(std::fs::read(person.settings()).unwrap(), before);
    let said = text(&person.run(&["doctor", "--no-fire"]).stdout);
    assert!(said.contains("All is well."), "{said}");
}

/// git in the checkout that the doctor is run in, with a `git` on the PATH that does this.
#[rstest]
#[case::well(None, None)]
#[case::missing(Some(""), Some("there is no git on the search path"))]
#[case::refused(Some("echo \"fatal: detected dubious ownership in repository\" >&2; exit 128"), Some("safe.directory"))]
#[case::broken(Some("kill -9 $$"), Some("git cannot be run, or fails"))]
#[case::slow(Some("sleep 300"), Some("takes longer there than a stop may"))]
fn git_is_asked_where_the_doctor_is_run(#[case] script: Option<&str>, #[case] expected: Option<&str>) {
    let person = Person::new();
    person.install(&[]);
    let config = person.world.home.root().join("config.toml");
    let told = std::fs::read_to_string(&config).unwrap_or_default();
    std::fs::write(&config, format!("{told}\n[gate]\nfacts_budget_ms = 200\n")).unwrap();
    let checkout = Checkout::with_plan(&person.world.root().join("repository"));
    let bin = person.world.root().join("other-bin");
    let path = script.map_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned(), |_| bin.display().to_string());
    std::fs::create_dir(&bin).unwrap();
    if let Some(script) = script.filter(|script| !script.is_empty()) {
        std::fs::write(bin.join("git"), format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(bin.join("git"), Permissions::from_mode(0o755)).unwrap();
    }
    let found = |dir: &Path| {
        let mut command = person.installed("installer");
        command.args(["doctor", "--json", "--no-fire"]).env("STOPGATE_NO_AUTOSTART", "1").env("PATH", &path);
        let report: Value = serde_json::from_slice(&finish(command_in(command, dir), Stdin::from("")).stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|finding| finding["id"] == "git-unusable")
    };
    let finding = found(&checkout.top.join("docs"));
    let what = finding.as_ref().map(|finding| finding["what"].as_str().unwrap());
    assert_eq!(what.map(|what| what.contains(expected.unwrap_or_default())), expected.map(|_| true), "{finding:#?}");
    if let Some(finding) = &finding {
        assert_eq!((&finding["level"], &finding["subject"]), (&json!("problem"), &json!(checkout.top)));
    }
    assert_eq!(found(person.world.root()), None, "no checkout, nothing to ask");
}

fn command_in(mut command: std::process::Command, dir: &Path) -> std::process::Command {
    command.current_dir(dir);
    command
}

/// A damaged index is not seen by asking where the repository is.
#[test]
fn a_damaged_index_is_found_where_the_doctor_is_run() {
    let person = Person::new();
    person.install(&[]);
    let checkout = Checkout::with_plan(&person.world.root().join("repository"));
    std::fs::write(checkout.top.join(".git/index"), "no index").unwrap();
    let mut command = person.installed("installer");
    command.args(["doctor", "--json", "--no-fire"]).env("STOPGATE_NO_AUTOSTART", "1").current_dir(&checkout.top);
    let report: Value = serde_json::from_slice(&finish(command, Stdin::from("")).stdout).unwrap();
    assert_eq!(finding_ids(&report), ["git-unusable"], "{report:#}");
}

#[test]
fn where_nothing_is_installed_it_says_so() {
    let person = Person::new();
    let (code, report) = person.json(&["doctor"]);
    assert_eq!((code, finding_ids(&report)), (1, vec!["not-installed"]));
    assert!(!person.world.home.root().exists());
}

/// What breaks an installation, the finding it causes, whether `--fix` mends it.
#[rstest]
#[case::missing("entry-missing", true, |person: &Person| edit(&person.settings(), |all| drop(all["hooks"].as_object_mut().unwrap().remove("Stop"))))]
#[case::stale("entry-stale", true, |person: &Person| edit(&person.settings(), |all| all["hooks"]["Stop"][0]["hooks"][0]["timeout"] = json!(99)))]
#[case::duplicate("entry-duplicate", true, |person: &Person| edit(&person.settings(), |all| {
    let group = all["hooks"]["Stop"][0].clone();
    all["hooks"]["Stop"].as_array_mut().unwrap().push(group);
}))]
#[case::dead("entry-dead-path", false, |person: &Person| std::fs::remove_file(person.world.home.bin().join("build-stop-hook")).unwrap())]
#[case::program_missing("program-missing", false, |person: &Person| std::fs::remove_file(person.world.home.bin().join("build-stop-hook")).unwrap())]
#[case::fails("hook-fails", false, |person: &Person| std::fs::write(person.world.home.bin().join("build-stop-hook"), "#!/bin/sh\nexit 3\n").unwrap())]
#[case::changed("program-changed", false, |person: &Person| std::fs::write(person.world.home.bin().join("build-stop-hook"), "#!/bin/sh\nexit 0\n").unwrap())]
#[case::not_executable("program-not-executable", true, |person: &Person| set_mode(&person.world.home.bin().join("build-stop-hook"), 0o644))]
#[case::manifest("manifest-missing", true, |person: &Person| std::fs::remove_file(person.world.home.root().join("manifest.json")).unwrap())]
#[case::home_open("home-open", true, |person: &Person| set_mode(person.world.home.root(), 0o755))]
#[case::ledger_open("ledger-open", true, |person: &Person| set_mode(&person.world.home.ledger(), 0o644))]
#[case::broken("settings-broken", false, |person: &Person| std::fs::write(person.settings(), "{ \"hooks\": ").unwrap())]
#[case::ignored("settings-ignored", false, |person: &Person| edit(&person.settings(), |all| all["permissions"] = json!("x")))]
#[case::comments("settings-ignored", false, |person: &Person| {
    let settings = std::fs::read_to_string(person.settings()).unwrap();
    std::fs::write(person.settings(), format!("// note\n{settings}")).unwrap();
})]
#[case::disabled("hooks-disabled", false, |person: &Person| edit(&person.settings(), |all| all["disableAllHooks"] = json!(true)))]
#[case::other_home("other-home-dead-path", false, |person: &Person| edit(&person.settings(), |all| {
    let entry = json!({ "type": "command", "command": "/gone/bin/stop-gate-router", "args": ["claude"] });
    all["hooks"]["Stop"].as_array_mut().unwrap().push(json!({ "hooks": [entry] }));
}))]
#[case::wrapped("entry-wrapped", false, |person: &Person| edit(&person.settings(), |all| {
    let router = person.world.home.bin().join("stop-gate-router");
    all["hooks"]["Stop"][0]["hooks"][0] = json!({ "type": "command", "command": format!("true || {} claude", router.display()) });
}))]
#[case::plugin("double-registration", false, |person: &Person| {
    let hooks = person.dir().join(".claude/plugins/cache/stopgate/stopgate/0.1.0/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    std::fs::write(hooks.join("hooks.json"), fresh_settings(&person.world.home.bin()).to_string()).unwrap();
    edit(&person.settings(), |all| all["enabledPlugins"] = json!({ "stopgate@stopgate": true }));
})]
#[case::skew("version-skew", true, |person: &Person| edit(&person.world.home.ledger(), |all| all["version"] = json!("0.0.1")))]
#[case::newer("version-newer", false, |person: &Person| edit(&person.world.home.ledger(), |all| all["version"] = json!("999.0.0")))]
#[case::forgotten("kill-switch-forgotten", false, |person: &Person| {
    let record = json!({ "by": "dev", "at_ms": 1_790_000_000_000_i64, "reason": "lunch" });
    std::fs::create_dir_all(person.world.home.kill_file().parent().unwrap()).unwrap();
    std::fs::write(person.world.home.kill_file(), record.to_string()).unwrap();
})]
#[case::store("store-broken", false, |person: &Person| {
    std::fs::write(person.world.home.database(), "this is no database, whatever its name says".repeat(50)).unwrap();
    set_mode(&person.world.home.database(), 0o600);
})]
#[case::clock("clock", false, |person: &Person| edit(&person.world.home.ledger(), |all| all["installs"][0]["at_ms"] = json!(9_000_000_000_000_i64)))]
fn every_cause_has_its_finding(#[case] id: &str, #[case] is_fixable: bool, #[case] damage: fn(&Person)) {
    let person = Person::new();
    person.install(&[]);
    damage(&person);
    let settings = std::fs::read(person.settings()).unwrap();
    let (code, report) = doctor(&person, &[]);
    assert!(code == 1 && finding_ids(&report).contains(&id), "{report:#}");
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id).unwrap();
    for part in ["subject", "what", "why", "fix"] {
        assert!(finding[part].as_str().is_some_and(|text| !text.is_empty()), "{finding:#}");
    }
    assert_eq!(std::fs::read(person.settings()).unwrap(), settings, "looking changes nothing");

    let (code, fixed) = doctor(&person, &["--fix"]);
    if is_fixable {
        assert_eq!((code, finding_ids(&fixed)), (0, vec![]), "{fixed:#}");
        assert!(!fixed["fixed"].as_array().unwrap().is_empty());
        assert_eq!(read_settings(&person.settings()), fresh_settings(&person.world.home.bin()));
    } else {
        assert!(code == 1 && finding_ids(&fixed).contains(&id), "{fixed:#}");
    }
}

/// What is worth knowing, and no fault.
#[rstest]
#[case::unread("guide-unread", |person: &Person| edit(&person.world.home.ledger(), |all| all["pending_guides"] = json!(["0.1.0"])))]
#[case::nothing("nothing-registered", |person: &Person| {
    edit(&person.world.home.ledger(), |all| all["installs"] = json!([]));
    std::fs::remove_file(person.settings()).unwrap();
})]
fn what_is_only_to_be_known_fails_nothing(#[case] id: &str, #[case] change: fn(&Person)) {
    let person = Person::new();
    person.install(&[]);
    change(&person);
    let (code, report) = doctor(&person, &[]);
    assert_eq!((code, finding_ids(&report)), (0, vec![id]), "{report:#}");
}

#[test]
fn a_line_around_ours_stays_and_is_named_by_whoever_takes_ours_out() {
    let person = Person::new();
    person.install(&[]);
    let line = format!("env A=1 {} claude", person.world.home.bin().join("stop-gate-router").display());
    edit(&person.settings(), |all| {
        all["hooks"]["Stop"].as_array_mut().unwrap().push(json!({"hooks": [{"type": "command", "command": line}]}));
    });
    let output = person.run(&["uninstall", "--yes"]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("an entry on Stop runs stop-gate-router"), "{said}");
    let settings = read_settings(&person.settings());
    assert_eq!(settings, json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": line}]}]}}));
}

#[test]
fn what_others_registered_is_reported_and_left_alone_even_by_fix() {
    let person = Person::new();
    person.write_settings(
        r#"{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "notify --done", "timeout": 60000}]}]}}"#,
    );
    person.install(&[]);
    edit(&person.settings(), |all| all["hooks"]["Stop"][1]["hooks"][0]["timeout"] = json!(99));
    let (code, report) = doctor(&person, &["--fix"]);
    assert_eq!((code, finding_ids(&report)), (0, vec!["suspicious-timeout"]), "{report:#}");
    let settings = read_settings(&person.settings());
    assert_eq!(
        settings["hooks"]["Stop"][0]["hooks"][0],
        json!({"type": "command", "command": "notify --done", "timeout": 60000})
    );
    assert_eq!(settings["hooks"]["Stop"][1]["hooks"][0]["timeout"], 10);
}

#[test]
fn a_ledger_that_cannot_be_read_is_no_clean_bill() {
    let person = Person::new();
    person.install(&[]);
    std::fs::write(person.world.home.ledger(), "{ oops").unwrap();
    let before = tree(&person.dir().join(".claude"));
    let (code, report) = doctor(&person, &["--no-fire", "--fix"]);
    assert_ne!(code, 0, "{report:#}");
    assert_eq!(report["unchecked"][0]["what"], "ledger");
    assert!(tree(&person.dir().join(".claude")) == before);
}

fn set_mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
    assert_eq!(mode(path), bits);
}
