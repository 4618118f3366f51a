//! Settings that switch hooks off, and clients of other versions: named by `init` and `doctor`, and nothing is advised
//! that cannot help.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::codex_driver::real_codex;
use stopgate_tests::person::{Person, finding_ids, fresh_settings, text};
use stopgate_tests::place::Place;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::versions::version;

/// An `/etc` of its own, with what programs need of the real one, and what is in the directory `etc`.
const ETC: &str = "\
    for name in passwd group nsswitch.conf ld.so.cache localtime; do cp -L /etc/$name etc/ 2>/dev/null; done\n\
    mount --bind etc /etc || exit 77\n";

/// A person with an `/etc` that has these files.
fn place(files: &[(&str, String)]) -> Place {
    let place = Place::new("{}\n");
    std::fs::create_dir(place.out("etc")).unwrap();
    for (name, content) in files {
        let path = place.out("etc").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    place
}

const MANAGED: &str = "claude-code/managed-settings.json";
const DROPPED: &str = "claude-code/managed-settings.d/10-hooks.json";
const ONLY: &str = r#"{"allowManagedHooksOnly": true}"#;
const OFF: &str = r#"{"disableAllHooks": true}"#;

/// Files of `/etc`, the person's own settings, and what is found: the finding, its file, what the remedy says.
#[rstest]
#[case::only_managed(&[(MANAGED, ONLY)], "{}", Some(("hooks-managed", "/etc/claude-code/managed-settings.json", "only an administrator")))]
#[case::dropped_in(&[(MANAGED, "{}"), (DROPPED, OFF)], "{}", Some(("hooks-managed", "/etc/claude-code/managed-settings.d/10-hooks.json", "only an administrator")))]
#[case::own(&[], OFF, Some(("hooks-disabled", ".claude/settings.json", "take it out there")))]
#[case::own_says_managed_only(&[], ONLY, None)]
#[case::something_else(&[(MANAGED, r#"{"allowManagedHooksOnly": false, "model": "x"}"#)], "{}", None)]
#[case::no_boolean(&[(MANAGED, r#"{"allowManagedHooksOnly": "true"}"#)], "{}", None)]
#[case::broken(&[(MANAGED, "{ \"allowManagedHooksOnly\": true"), (DROPPED, "\0")], "{}", None)]
#[case::not_read(&[("claude-code/managed-settings.d/.old.json", OFF), ("claude-code/managed-settings.d/notes.txt", OFF)], "{}", None)]
fn what_switches_claude_code_s_hooks_off_is_named(
    #[case] etc: &[(&str, &str)],
    #[case] own: &str,
    #[case] found: Option<(&str, &str, &str)>,
) {
    let files: Vec<_> = etc.iter().map(|(name, content)| (*name, (*content).to_owned())).collect();
    let place = place(&files);
    place.person.write_settings(own);
    let script = format!(
        "{ETC}$bin/installer init --yes --no-live-check --json >done; echo $? >code\n\
         $home/bin/installer doctor --json >found; exit 0"
    );
    let Some(output) = place.run(&script) else { return };
    let (done, report) = (place.report("done"), place.report("found"));
    let Some((id, file, remedy)) = found else {
        assert_eq!((finding_ids(&report), &done["problems"]), (vec![], &json!([])), "{report:#} {output:?}");
        return;
    };
    assert_eq!(finding_ids(&report), [id], "{report:#}");
    let (one, problem) = (&report["findings"][0], done["problems"][0].as_str().unwrap());
    assert!(
        one["subject"].as_str().unwrap().ends_with(file) && one["fix"].as_str().unwrap().contains(remedy),
        "{one:#}"
    );
    assert!(problem.contains(file) && problem.contains(remedy), "{done:#}");
    assert_eq!((&done["exit_code"], &report["exit_code"]), (&json!(1), &json!(1)), "registered, and it will not run");
}

#[test]
fn what_the_administrator_registers_of_ours_is_well() {
    let place = place(&[]);
    let mut managed = fresh_settings(&place.person.world.home.bin());
    managed["allowManagedHooksOnly"] = json!(true);
    let dir = place.out("etc/claude-code");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("managed-settings.json"), managed.to_string()).unwrap();
    let script = format!(
        "{ETC}$bin/installer init --yes --no-live-check --json >done || exit 3\n\
         $home/bin/installer doctor --json >found"
    );
    let Some(output) = place.run(&script) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(finding_ids(&place.report("found")), Vec::<&str>::new());
}

const ONLY_MANAGED: &str = "allow_managed_hooks_only = true\n";
const NO_HOOKS: &str = "[features]\nhooks = false\n";

#[rstest]
#[case::required(&[("codex/requirements.toml", ONLY_MANAGED)], "", "hooks-managed", "/etc/codex/requirements.toml", true)]
#[case::feature_required(&[("codex/requirements.toml", NO_HOOKS)], "", "hooks-managed", "/etc/codex/requirements.toml", true)]
#[case::managed_config(&[("codex/managed_config.toml", NO_HOOKS)], "", "hooks-managed", "/etc/codex/managed_config.toml", true)]
#[case::own(&[], NO_HOOKS, "hooks-disabled", "/.codex/config.toml", true)]
#[case::own_beside_a_broken_one(&[("codex/requirements.toml", "allow_managed = [\n")], NO_HOOKS, "hooks-disabled", "/.codex/config.toml", false)]
#[case::required_without_the_client(&[("codex/requirements.toml", ONLY_MANAGED)], "", "hooks-managed", "/etc/codex/requirements.toml", false)]
fn what_switches_codex_s_hooks_off_is_named_and_trust_is_not_advised(
    #[case] etc: &[(&str, &str)],
    #[case] own: &str,
    #[case] id: &str,
    #[case] file: &str,
    #[case] is_asked: bool,
) {
    let codex = if is_asked { real_codex() } else { None };
    if codex.is_none() && is_asked {
        return;
    }
    let files: Vec<_> = etc.iter().map(|(name, content)| (*name, (*content).to_owned())).collect();
    let place = place(&files);
    let (dir, path) = (place.person.dir().join(".codex"), place.out("codex bin"));
    for dir in [&dir, &path] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(dir.join("config.toml"), own).unwrap();
    if let Some(codex) = codex {
        symlink(codex, path.join("codex")).unwrap();
    }
    let script = format!(
        "{ETC}PATH=\"$out/codex bin:$PATH\"\n\
         $bin/installer init --harness codex --yes --no-live-check >said 2>&1; echo $? >>said\n\
         $home/bin/installer doctor --json --no-fire >found; exit 0"
    );
    let Some(output) = place.run(&script) else { return };
    let (said, report) = (std::fs::read_to_string(place.out("said")).unwrap(), place.report("found"));
    assert_eq!(finding_ids(&report), [id], "{report:#} {output:?}");
    let one = &report["findings"][0];
    assert!(one["subject"].as_str().unwrap().ends_with(file), "{one:#}");
    let remedy = if id == "hooks-managed" { "trust and `installer init` cannot help" } else { "take it out there" };
    assert!(one["fix"].as_str().unwrap().contains(remedy), "{one:#}");
    assert!(said.contains(file) && said.contains(remedy) && said.ends_with("\n1\n"), "{said}");
    assert!(!said.contains("Review hooks") && !said.contains("--trust` changes that"), "{said}");
}

#[test]
fn what_the_administrator_registers_of_ours_runs_in_codex_without_trust() {
    let Some(codex) = real_codex() else { return };
    let place = place(&[]);
    let (dir, path, etc) = (place.person.dir().join(".codex"), place.out("codex bin"), place.out("etc/codex"));
    for dir in [&dir, &path, &etc] {
        std::fs::create_dir(dir).unwrap();
    }
    symlink(codex, path.join("codex")).unwrap();
    let router = place.person.world.home.bin().join("stop-gate-router");
    let hook = format!("type = \"command\"\ncommand = \"{} codex\"\ntimeout = 10\n", router.display());
    let required = format!("{ONLY_MANAGED}[[hooks.Stop]]\n[[hooks.Stop.hooks]]\n{hook}");
    std::fs::write(etc.join("requirements.toml"), required).unwrap();
    let script = format!(
        "{ETC}PATH=\"$out/codex bin:$PATH\"\n\
         $bin/installer init --harness codex --yes --no-live-check --json >done || exit 3\n\
         $home/bin/installer doctor --json --no-fire >found"
    );
    let Some(output) = place.run(&script) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(finding_ids(&place.report("found")), Vec::<&str>::new());
}

/// A client that says it is of this version.
fn client(person: &Person, script: &str) -> Value {
    person.install(&[]);
    let bin = person.world.root().join("clients");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("claude"), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(bin.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut doctor = person.installed("installer");
    doctor.args(["doctor", "--json"]).env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    doctor.env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(doctor, Stdin::from(""));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

#[test]
fn a_client_of_another_version_is_a_notice_and_one_that_does_not_tell_is_said() {
    let person = Person::new();
    let (oldest, newest) = (version("claude_old"), version("claude"));
    for (said, ids, tried_as) in [
        ("999.0.0 (Claude Code)", vec!["client-newer"], newest),
        ("0.2.1 (Claude Code)", vec!["client-older"], oldest),
        (&format!("{newest} (Claude Code)"), vec![], newest),
        (&format!("{oldest} (Claude Code)"), vec![], oldest),
    ] {
        let report = client(&person, &format!("[ \"$1\" = --version ] && echo '{said}'"));
        assert_eq!((finding_ids(&report), &report["exit_code"]), (ids, &json!(0)), "{report:#}");
        assert_eq!(report["clients"][0]["tried_as"], tried_as, "{report:#}");
        assert!(!report["fired"].as_array().unwrap().is_empty());
    }
    for (script, why) in [("exit 3", "exit status: 3"), ("echo hello", "hello"), ("yes", "no answer")] {
        let report = client(&person, script);
        assert_eq!((finding_ids(&report), &report["exit_code"]), (vec![], &json!(2)), "{report:#}");
        assert!(report["unchecked"][0]["why"].as_str().unwrap().contains(why), "{report:#}");
        assert_eq!(report["clients"], json!([]));
    }
}

#[test]
fn the_versions_that_were_tried_are_those_that_the_tests_run() {
    let tried = |harness: Harness| (harness.spec().tried[0], *harness.spec().tried.last().unwrap());
    assert_eq!(tried(Harness::Claude), (version("claude_old"), version("claude")));
    assert_eq!(tried(Harness::Codex).1, version("codex"));
    for harness in Harness::ALL {
        let numbers = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
        assert!(harness.spec().tried.is_sorted_by_key(|text| numbers(text)), "oldest first: {harness}");
    }
    if let Some(codex) = real_codex() {
        let mut command = std::process::Command::new(codex);
        command.arg("--version").env_clear().env("HOME", Path::new("/nowhere"));
        let said = text(&command.output().unwrap().stdout);
        assert_eq!(said.split_whitespace().find(|word| word.starts_with(char::is_numeric)), Some(version("codex")));
    }
}
