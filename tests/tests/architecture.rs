//! Holds the crates to `docs/architecture.md`: what may use what, and what each program carries.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stopgate_tests::world::{HOOKS, World, binary};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Every member of the workspace, as cargo sees it.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(ROOT);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Every member with the packages that it uses outside its own tests.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let uses = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        let normal = all.filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    packages().iter().map(|package| (package["name"].as_str().unwrap().to_owned(), uses(package))).collect()
}

/// All Rust code below `dir`.
fn sources(dir: &Path) -> String {
    let mut code = String::new();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            code.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    code
}

#[test]
fn every_dependency_is_used() {
    for package in packages() {
        let dir = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let code = sources(dir);
        let words: BTreeSet<&str> = code.split(|symbol: char| !symbol.is_alphanumeric() && symbol != '_').collect();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            assert!(words.contains(name.replace('-', "_").as_str()), "{}: {name} is not used", dir.display());
        }
    }
}

/// The table of crates in `docs/architecture.md`: what each may use of ours.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = include_str!("../../docs/architecture.md");
    let table = page.split_once("| crate | may use | why no more |\n| --- | --- | --- |\n").unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let uses = cells[2].split(", ").map(|name| format!("stopgate-{name}")).collect();
        (format!("stopgate-{}", cells[1].trim_matches('`')), uses)
    });
    rows.collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let (members, allowed) = (members(), allowed());
    assert_eq!(members.keys().collect::<Vec<_>>(), allowed.keys().collect::<Vec<_>>(), "docs/architecture.md");
    for (name, uses) in &members {
        for used in uses.iter().filter(|used| used.starts_with("stopgate")) {
            assert!(allowed[name].contains(used), "{name} must not use {used}");
        }
    }
    let core: Vec<_> = members["stopgate-core"].iter().map(String::as_str).collect();
    assert_eq!(core, ["libc", "rustix", "serde", "serde_json"], "every hook carries what core uses");
    let hooks: Vec<_> = members["stopgate-hooks"].iter().map(String::as_str).collect();
    assert_eq!(hooks, ["serde_json", "stopgate-build-guard", "stopgate-core", "stopgate-store"]);
}

#[test]
fn only_the_recorder_carries_sqlite() {
    let carries = |name: &str| {
        let bytes = std::fs::read(binary(name)).unwrap();
        // What SQLite writes at the beginning of every file.
        bytes.windows(15).any(|window| window == b"SQLite format 3")
    };
    let with: Vec<_> = HOOKS.into_iter().filter(|hook| carries(hook)).collect();
    assert_eq!(with, ["session-start-recorder"]);
}

/// The hooks are named in several places that cannot share a constant.
#[test]
fn everybody_knows_the_same_hooks() {
    let hooks = BTreeSet::from(HOOKS.map(str::to_owned));
    let sources = std::fs::read_dir(Path::new(ROOT).join("hooks/src/bin")).unwrap();
    let named = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(sources.map(|entry| named(&entry.unwrap().path())).collect::<BTreeSet<_>>(), hooks);

    let world = World::new();
    let status = world.stopgate_json(&["status", "--json"]);
    assert_eq!(status["hooks"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), hooks);

    let mut manifest = world.command(&binary("installer"));
    let output = manifest.args(["manifest", "--from"]).arg(binary("installer").parent().unwrap()).output().unwrap();
    let manifest: Value = serde_json::from_slice(&output.stdout).unwrap();
    let programs = manifest["programs"].as_array().unwrap().iter();
    let mut deployed: BTreeSet<_> = programs.map(|file| file["name"].as_str().unwrap().to_owned()).collect();
    assert!(deployed.remove("stopgate") && deployed.remove("installer"), "{manifest}");
    assert_eq!(deployed, hooks);
}
