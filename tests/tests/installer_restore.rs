//! `installer restore`, `snippet`, `plugin build` and `guide`, through the real program.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use stopgate_tests::person::{CODEX_WIRES, Person, fresh_settings, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, finish};

const BEFORE: &str = "{\n    \"model\": \"opus\", \"n\": 1.50\n}";

#[test]
fn a_backup_brings_the_file_back_and_migrate_respects_that() {
    let person = Person::new();
    person.write_settings(BEFORE);
    person.install(&[]);
    let installed = std::fs::read(person.settings()).unwrap();
    let (_, list) = person.json(&["restore"]);
    let id = list["backups"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(list["backups"].as_array().unwrap().len(), 1, "{list:#}");

    let before = tree(person.world.root());
    assert_eq!(person.run(&["restore", &id]).status.code(), Some(2), "nobody was asked");
    assert!(
        person.must(&["restore", &id, "--dry-run"]).contains("-    \"hooks\"") || tree(person.world.root()) == before
    );
    assert!(tree(person.world.root()) == before);

    let said = person.must(&["restore", &id, "--yes"]);
    assert!(said.contains("restored.") && said.contains("As it was before"), "{said}");
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), BEFORE);
    person.must(&["migrate"]);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), BEFORE, "what was taken back is not wanted");
    person.must(&["uninstall", "--yes"]);
    assert_eq!(std::fs::read_to_string(person.settings()).unwrap(), BEFORE);

    // What was there before the restore was kept as well.
    let (_, list) = person.json(&["restore"]);
    let kept = list["backups"].as_array().unwrap();
    assert!(kept.iter().any(|one| std::fs::read(one["copy"].as_str().unwrap()).unwrap() == installed), "{list:#}");
}

#[test]
fn a_backup_that_was_changed_is_refused() {
    let person = Person::new();
    person.write_settings(BEFORE);
    person.install(&[]);
    let (_, list) = person.json(&["restore"]);
    let backup = &list["backups"][0];
    std::fs::write(backup["copy"].as_str().unwrap(), "{}").unwrap();
    let before = tree(&person.dir().join(".claude"));
    let output = person.run(&["restore", backup["id"].as_str().unwrap(), "--yes"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("its hash differs"), "{output:?}");
    assert_eq!(person.run(&["restore", "no-such"]).status.code(), Some(2));
    assert!(tree(&person.dir().join(".claude")) == before);
}

#[test]
fn a_snippet_is_what_init_would_register_and_writes_nothing() {
    let person = Person::new();
    let before = tree(person.world.root());
    let claude = person.run(&["snippet", "claude"]);
    let snippet: Value = serde_json::from_slice(&claude.stdout).unwrap();
    assert_eq!(snippet, fresh_settings(&person.world.home.bin()));
    assert!(text(&claude.stderr).contains(".claude/settings.json"), "{claude:?}");
    let codex = person.run(&["snippet", "codex"]);
    let snippet: Value = serde_json::from_slice(&codex.stdout).unwrap();
    assert_eq!(registered(&snippet).len(), *CODEX_WIRES);
    assert!(registered(&snippet).iter().all(|(_, entry)| entry["command"].as_str().unwrap().ends_with(" codex")));
    assert!(tree(person.world.root()) == before);

    // With the programs, what was printed works as it stands; and all of it can be taken back.
    let again = person.run(&["snippet", "codex", "--programs"]);
    assert_eq!(again.stdout, codex.stdout);
    let (_, first) = &registered(&snippet)[0];
    let mut shell = person.command(std::path::Path::new("/bin/bash"));
    shell.args(["-c", first["command"].as_str().unwrap()]).env("STOPGATE_NO_AUTOSTART", "1");
    let output = finish(shell, Stdin::from("{}"));
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    person.must(&["uninstall", "--yes", "--purge"]);
    // But for the word that it was there.
    std::fs::remove_dir_all(person.world.root().join("state")).unwrap();
    assert!(tree(person.world.root()) == before);
}

#[test]
fn plugins_are_built_from_the_same_table_and_never_over_other_things() {
    let person = Person::new();
    let dir = person.world.root().join("plug in");
    let shown = dir.to_str().unwrap();
    person.must(&["plugin", "build", shown]);
    let first = tree(&dir);
    person.must(&["plugin", "build", shown]);
    assert!(tree(&dir) == first, "twice is once");
    let hooks = read_settings(&dir.join("claude/hooks/hooks.json"));
    assert_eq!(hooks["hooks"], fresh_settings(&person.world.home.bin())["hooks"]);
    let other = person.world.root().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.tex"), "").unwrap();
    let output = person.run(&["plugin", "build", other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 1);
    // Other people's plugins in directories of the same names.
    let taken = person.world.root().join("taken");
    let hooks = taken.join("claude/hooks/hooks.json");
    std::fs::create_dir_all(hooks.parent().unwrap()).unwrap();
    std::fs::write(&hooks, "{}").unwrap();
    let before = tree(&taken);
    let output = person.run(&["plugin", "build", taken.to_str().unwrap()]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("hooks.json"), "{output:?}");
    assert!(tree(&taken) == before);
}

#[test]
fn a_guide_is_promoted_once_and_never_over_another() {
    let person = Person::new();
    let root = person.world.root().join("checkout");
    std::fs::create_dir_all(root.join("upgrades")).unwrap();
    let next = root.join("upgrades/NEXT.md");
    let guide = include_str!("../../upgrades/NEXT.md");
    std::fs::write(&next, guide).unwrap();
    std::fs::write(root.join("CHANGELOG.md"), "## Unreleased\n\n### Added\n\n- x\n").unwrap();
    let at = root.to_str().unwrap();
    person.must(&["guide", "check", "--root", at]);
    std::fs::write(root.join("upgrades/1.2.3.md"), "by hand").unwrap();
    let refused = person.run(&["guide", "promote", "1.2.3", "--root", at]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(std::fs::read_to_string(root.join("upgrades/1.2.3.md")).unwrap(), "by hand");
    assert_eq!(std::fs::read_to_string(&next).unwrap(), guide);
    person.must(&["guide", "promote", "1.3.0", "--root", at]);
    let promoted = std::fs::read_to_string(root.join("upgrades/1.3.0.md")).unwrap();
    assert!(promoted.starts_with("# 1.3.0\n") && promoted.ends_with(&guide[guide.len() - 100..]));
    assert_eq!(person.run(&["guide", "check", "--root", at]).status.code(), Some(1), "the new one has gaps");
}
