//! The installer and the real Codex: what is registered runs once it is trusted, a held stop reaches the model, and
//! nothing is left behind.
//!
//! Needs the client (`STOPGATE_TEST_CODEX`), but neither a network nor a key; without it these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use stopgate_tests::attributes::{self, Seen};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::codex_driver::{CodexSession, CodexSummary, real_codex};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::{CODEX_WIRES, Person, finding_ids, text};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::EXCUSE;

const DRIVER: &str = env!("CARGO_BIN_EXE_drive-codex");
const CONFIG: &str =
    "# mine\nmodel = \"x\" # keep\n\n[hooks.state.\"/other/hooks.json:stop:0:0\"]\ntrusted_hash = \"sha256:00\"\n";
/// Of somebody else, in the same event; laid out oddly.
const HOOKS: &str = "{\"description\": \"mine\",\n   \"hooks\": { \"Stop\": [\n  {\"hooks\": [ {\"type\": \"command\", \"command\": \"true\", \"timeout\": 3} ]} ] } }";

/// A person who uses Codex.
struct CodexPerson {
    person: Person,
    codex: PathBuf,
    checkout: Checkout,
}

impl CodexPerson {
    fn new() -> Option<Self> {
        let codex = real_codex()?;
        let person = Person::new();
        let bin = person.world.root().join("codex bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(&codex, bin.join("codex")).unwrap();
        std::fs::create_dir(person.dir().join(".codex")).unwrap();
        let checkout = person.world.planned_checkout();
        Some(Self { person, codex, checkout })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.person.dir().join(".codex").join(name)
    }

    fn installer(&self, arguments: &[&str]) -> Output {
        let mut command = self.person.installer(arguments);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.person.world.root().join("codex bin").display());
        command.env("PATH", path);
        finish(command, Stdin::from(""))
    }

    fn must(&self, arguments: &[&str]) -> String {
        let output = self.installer(arguments);
        assert!(output.status.success(), "installer {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn doctor(&self) -> Value {
        serde_json::from_slice(&self.installer(&["doctor", "--json"]).stdout).unwrap()
    }

    fn session(&self) -> CodexSummary {
        let session = CodexSession {
            codex: self.codex.clone(),
            project: self.checkout.top.clone(),
            home: self.person.dir(),
            prompt: "Execute docs/plan.md.".to_owned(),
            turns: vec![Turn::text(EXCUSE), Turn::text("The parser is written; its tests pass.")],
            env: vec![("STOPGATE_NO_AUTOSTART".to_owned(), "1".to_owned())],
        };
        session.run(DRIVER)
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn hooks_run_once_they_are_trusted_and_a_held_stop_reaches_the_model() {
    let Some(world) = CodexPerson::new() else { return };
    write(&world.file("config.toml"), CONFIG);
    write(&world.file("hooks.json"), HOOKS);

    let said = world.must(&["init", "--harness", "codex", "--yes"]);
    assert!(said.contains("does Codex trust the hooks?") && said.contains("untrusted"), "{said}");
    let mode = world.person.world.stopgate(&["mode", "enforce", "--yes"]);
    assert!(mode.status.success(), "{mode:?}");

    // Untrusted: silence, and doctor says so.
    let silent = world.session();
    assert_eq!((silent.exit_code, silent.requests), (Some(0), 1), "{silent:#?}");
    assert_eq!(silent.feedback, Vec::<String>::new());
    let report = world.doctor();
    assert_eq!(finding_ids(&report).iter().filter(|id| **id == "codex-untrusted").count(), *CODEX_WIRES, "{report:#}");
    assert_eq!(report["exit_code"], 1);

    // Trusted: the stop is held, without any flag that bypasses trust.
    let said = world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    assert!(!said.contains("untrusted"), "{said}");
    let config = read(&world.file("config.toml"));
    assert!(CONFIG.lines().all(|line| config.contains(line)), "what was there stays: {config}");
    let report = world.doctor();
    assert_eq!((finding_ids(&report), &report["exit_code"]), (vec![], &Value::from(0)), "{report:#}");
    let held = world.session();
    assert_eq!((held.exit_code, held.requests), (Some(0), 2), "{held:#?}");
    assert_eq!(held.feedback.len(), 1, "{held:#?}");
    assert!(held.feedback[0].starts_with("[stopgate] ") && held.feedback[0].contains("docs/plan.md"), "{held:#?}");

    // A second trust writes nothing.
    let config = read(&world.file("config.toml"));
    world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    assert_eq!(read(&world.file("config.toml")), config);

    world.must(&["uninstall", "--harness", "codex", "--yes"]);
    assert_eq!(read(&world.file("config.toml")), CONFIG);
    assert_eq!(read(&world.file("hooks.json")), HOOKS);
    let after = world.session();
    assert_eq!((after.exit_code, after.requests), (Some(0), 1), "{after:#?}");
}

#[test]
fn who_may_read_the_configuration_stays_although_codex_makes_a_new_file_of_it() {
    let Some(world) = CodexPerson::new() else { return };
    let config = world.file("config.toml");
    for linked in [false, true] {
        let real = if linked { world.person.dir().join("dotfiles.toml") } else { config.clone() };
        write(&real, CONFIG);
        std::fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let has_list = attributes::set(&real, attributes::ACCESS_LIST, &attributes::list_for_user(1, 4));
        attributes::set(&real, "user.note", b"mine");
        if linked {
            symlink(&real, &config).unwrap();
        }
        let before = Seen::at(&config);
        world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
        let trusted = Seen::at(&config);
        assert_ne!(trusted.bytes, before.bytes);
        assert_eq!(trusted.without_bytes(), before.clone().without_bytes(), "{has_list} {linked}");
        world.must(&["uninstall", "--harness", "codex", "--yes"]);
        assert_eq!(Seen::at(&config), before);
        assert_eq!(config.is_symlink(), linked);
        std::fs::remove_file(&config).unwrap();
    }
}

#[test]
fn what_a_person_switched_off_stays_off_and_what_others_own_is_never_trusted() {
    let Some(world) = CodexPerson::new() else { return };
    write(&world.file("hooks.json"), HOOKS);
    world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    let config = read(&world.file("config.toml"));
    assert!(!config.contains("hooks.json:stop:0:0"), "the first group is somebody else's: {config}");
    let key = format!("[hooks.state.\"{}:stop:1:0\"]\n", world.file("hooks.json").display());
    assert!(config.contains(&key), "{config}");
    let off = config.replace(&key, &format!("{key}enabled = false\n"));
    write(&world.file("config.toml"), &off);

    let said = world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    assert!(said.contains("disabled"), "{said}");
    assert_eq!(read(&world.file("config.toml")), off);
    let report = world.doctor();
    assert_eq!((finding_ids(&report), &report["exit_code"]), (vec!["codex-disabled"], &Value::from(0)), "{report:#}");

    // A person's edit beside ours: only what is ours goes.
    world.must(&["uninstall", "--harness", "codex", "--yes"]);
    let left = read(&world.file("config.toml"));
    assert!(!left.contains("hooks.json"), "{left}");
    assert_eq!(read(&world.file("hooks.json")), HOOKS);
}

#[test]
fn a_file_that_codex_rejects_is_refused_before_anything_is_written() {
    let Some(world) = CodexPerson::new() else { return };
    for (broken, said) in [
        ("{\"hooks\": {},\n \"x\": 1}", "line 2, column 4: Codex rejects the whole file: unknown field `x`"),
        (
            "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"e\", \"timeout\": 0.5}]}]}}",
            "expected u64",
        ),
        ("// note\n{}", "line 1, column 1: Codex rejects the whole file"),
    ] {
        write(&world.file("hooks.json"), broken);
        let output = world.installer(&["init", "--harness", "codex", "--yes", "--trust"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(said), "{said}: {output:?}");
        assert_eq!(read(&world.file("hooks.json")), broken);
        assert!(!world.person.world.home.bin().exists(), "no program is left there");
    }
}

#[test]
fn a_file_that_codex_rejects_since_is_found() {
    let Some(world) = CodexPerson::new() else { return };
    world.must(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    let written = read(&world.file("hooks.json"));
    write(&world.file("hooks.json"), &written.replacen('{', "{\n \"x\": 1,", 1));
    let report = world.doctor();
    assert!(finding_ids(&report).contains(&"settings-rejected"), "{report:#}");
    assert!(report["findings"][0]["what"].as_str().unwrap().contains("unknown field `x`"), "{report:#}");
    write(&world.file("hooks.json"), &written);
    assert_eq!(finding_ids(&world.doctor()), Vec::<&str>::new());
}

#[test]
fn hooks_of_a_project_that_codex_does_not_trust_are_not_listed() {
    let Some(world) = CodexPerson::new() else { return };
    let project = world.checkout.top.to_str().unwrap();
    let init = ["init", "--harness", "codex", "--scope", "project", "--project", project, "--yes", "--no-live-check"];
    world.must(&init);
    let report = world.doctor();
    assert!(finding_ids(&report).contains(&"codex-not-listed"), "{report:#}");
    let trusted = format!("[projects.{project:?}]\ntrust_level = \"trusted\"\n");
    write(&world.file("config.toml"), &trusted);
    let report = world.doctor();
    assert!(!finding_ids(&report).contains(&"codex-not-listed"), "{report:#}");
    assert!(finding_ids(&report).contains(&"codex-untrusted"), "now they are listed: {report:#}");
}

#[test]
fn without_the_client_the_steps_are_printed_and_doctor_says_what_it_could_not_check() {
    let person = Person::new();
    let codex = person.dir().join(".codex");
    let absent = person.run(&["init", "--harness", "codex", "--yes"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(text(&absent.stderr).contains("Codex is not here") && !codex.exists(), "{absent:?}");
    std::fs::create_dir(&codex).unwrap();
    let said = person.install(&["--harness", "codex"]);
    assert!(said.contains("Codex could not be asked") && said.contains("1. start `codex`"), "{said}");
    let (code, report) = person.json(&["doctor", "--no-fire"]);
    assert_eq!(code, 2, "{report:#}");
    assert_eq!(report["unchecked"][0]["what"], "whether Codex trusts the hooks");
    let trust = person.run(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    assert_eq!(trust.status.code(), Some(1), "{trust:?}");
    assert!(text(&trust.stderr).contains("there is no program `codex` on the search path"), "{trust:?}");
    person.must(&["uninstall", "--harness", "codex", "--yes"]);
    assert_eq!(std::fs::read_dir(&codex).unwrap().count(), 0);
}

#[test]
fn a_home_that_a_shell_would_split_works_in_its_command_lines() {
    let person = Person::new();
    std::fs::create_dir(person.dir().join(".codex")).unwrap();
    let home = person.world.root().join("it's \"my\" é $HOME");
    let run = |arguments: &[&str]| {
        let mut command = person.installer(arguments);
        command.env("STOPGATE_HOME", &home).env("STOPGATE_NO_AUTOSTART", "1");
        finish(command, Stdin::from(""))
    };
    let output = run(&["init", "--harness", "codex", "--yes"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said.matches("allowed (no output)").count(), *CODEX_WIRES, "{said}");
    let hooks = person.dir().join(".codex/hooks.json");
    let value: Value = serde_json::from_str(&read(&hooks)).unwrap();
    let command = value["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with('\'') && command.ends_with("stop-gate-router' codex"), "{command}");
    // A second one finds them to be its own.
    assert!(text(&run(&["init", "--harness", "codex"]).stdout).contains("Installed already"));
    assert!(run(&["uninstall", "--harness", "codex", "--yes"]).status.success());
    assert!(!hooks.exists());
}

#[test]
fn a_group_of_others_behind_ours_is_told_of_before_it_moves() {
    let person = Person::new();
    std::fs::create_dir(person.dir().join(".codex")).unwrap();
    person.install(&["--harness", "codex"]);
    let hooks = person.dir().join(".codex/hooks.json");
    let mut value: Value = serde_json::from_str(&read(&hooks)).unwrap();
    let theirs = serde_json::json!({ "hooks": [{ "type": "command", "command": "theirs" }] });
    value["hooks"]["Stop"].as_array_mut().unwrap().push(theirs);
    write(&hooks, &serde_json::to_string_pretty(&value).unwrap());
    let output = person.run(&["uninstall", "--harness", "codex", "--dry-run"]);
    assert!(text(&output.stderr).contains("hooks of others on Stop stand behind stopgate's"), "{output:?}");
}
