//! Holds the crates to `docs/architecture.md`: what may use what, and what each program carries.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::hook::{Hook, MAX_DYNAMIC_BYTES, MAX_FENCE_BYTES, MAX_STATIC_BYTES, SQLITE_BYTES, When, WireSet};
use stopgate_tests::world::binary;

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
    assert_eq!(
        hooks,
        ["serde_json", "stopgate-build-guard", "stopgate-coordination", "stopgate-core", "stopgate-store"]
    );
}

/// The files of a crate as they are built: without the modules of its tests.
fn built(dir: &Path, take: &mut dyn FnMut(&Path, &str)) {
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.is_dir() {
            built(&path, take);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.ends_with("tests") {
            let code = std::fs::read_to_string(&path).unwrap();
            take(&path, code.split("\n#[cfg(test)]\nmod ").next().unwrap());
        }
    }
}

#[test]
fn what_judges_a_stop_touches_nothing() {
    let mut files = 0;
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for name in ["gate", "protocol"] {
        built(&crates.join(name).join("src"), &mut |path, code| {
            files += 1;
            for touch in ["fsx", "std::fs", "fs::", "File::", "std::process", "std::env", "UnixStream", "SystemTime"] {
                assert!(!code.contains(touch), "{}: {touch}", path.display());
            }
        });
    }
    assert!(files > 60, "{files}");
}

/// Whether a program has these bytes in it.
fn carries(name: &str, mark: &[u8]) -> bool {
    std::fs::read(binary(name)).unwrap().windows(mark.len()).any(|window| window == mark)
}

#[test]
fn a_hook_carries_sqlite_only_where_its_row_says_so() {
    for hook in Hook::ALL {
        // What SQLite writes at the beginning of every file.
        assert_eq!(carries(hook.name(), b"SQLite format 3"), hook.row().sqlite, "{}", hook.name());
    }
}

/// The recorder uses `protocol`, and with it what compares versions; it must cost it nothing.
#[test]
fn no_hook_carries_what_compares_versions() {
    let compares = |program| carries(program, b"petabytes of text in semver version");
    assert!(compares("installer") && compares("stopgate"), "the mark is one");
    assert!(!Hook::ALL.iter().any(|hook| compares(hook.name())));
}

/// A program without a row would be built and never installed.
#[test]
fn every_program_of_hooks_has_its_row() {
    let sources = std::fs::read_dir(Path::new(ROOT).join("hooks/src/bin")).unwrap();
    let sources = sources.map(|entry| entry.unwrap().path());
    let named: BTreeSet<_> = sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(named, BTreeSet::from(Hook::NAMES.map(str::to_owned)));
}

/// The tables of `docs/architecture.md` that are made of the table of hooks.
#[test]
fn the_page_shows_the_hooks_and_what_is_promised_of_them() {
    const HOOKS: &str = "| hook | what it does | runs on | at most |\n| --- | --- | --- | --- |\n";
    const BUDGETS: &str = "| what | promise |\n| --- | --- |\n";
    let times = |hook: Hook, when| hook.most_times(when).unwrap();
    let [router, build, recorder] = [Hook::StopGateRouter, Hook::BuildStop, Hook::SessionStartRecorder];
    let fence = Hook::WriteFence;
    let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10 + (1 << 19)) >> 20);
    for hook in Hook::ALL {
        assert_eq!(hook.most_times(When::SwitchedOff), router.most_times(When::SwitchedOff), "one line for all");
    }
    let budgets = [
        format!(
            "| any hook with the kill switch on, `{}` with the mode off | at most {:.2} x a Rust program that does \
             nothing, of the same build profile, in the same run |",
            router.name(),
            times(router, When::SwitchedOff)
        ),
        format!(
            "| `{}` in shadow, or given a verdict of the rules | at most {:.1} x that program |",
            router.name(),
            times(router, When::Answered)
        ),
        format!(
            "| `{}` | at most {} x with the authority up, {} x with it absent |",
            recorder.name(),
            times(recorder, When::Answered),
            times(recorder, When::Unanswered)
        ),
        format!(
            "| `{}` where no other session lives / asked / refusing | at most {:.2} x / {:.1} x / {:.1} x that program |",
            fence.name(),
            times(fence, When::NothingHeld),
            times(fence, When::Answered),
            times(fence, When::Denied)
        ),
        format!(
            "| `{}` beside 50 archived builds | at most {:.2} x itself in a checkout without builds |",
            build.name(),
            times(build, When::BesideArchive)
        ),
        format!(
            "| a hook's file | at most {} KiB linked dynamically, {} statically; SQLite may add {}; `{}` linked \
             dynamically {} KiB |",
            MAX_DYNAMIC_BYTES >> 10,
            mib(MAX_STATIC_BYTES),
            mib(SQLITE_BYTES),
            fence.name(),
            MAX_FENCE_BYTES >> 10
        ),
    ];
    let row = |hook: Hook| {
        let events: Vec<_> = hook.row().wires.iter().map(|wire| wire.event.name()).collect();
        let row = hook.row();
        let most = match row.deadline.subsec_millis() {
            0 => format!("{} s", row.deadline.as_secs()),
            _ => format!("{} ms", row.deadline.as_millis()),
        };
        let only = match hook.set() {
            WireSet::Base => "",
            WireSet::Coordination => " of writing tools, once coordination is on",
        };
        format!("| `{}` | {} | {}{only} | {most} |\n", row.name, row.subject, events.join(", "))
    };
    let path = Path::new(ROOT).join("docs/architecture.md");
    let written = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = written.split_once(HOOKS).unwrap();
    let after: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
    let page = [before, HOOKS, &Hook::ALL.map(row).concat(), &after].concat();
    if ProcessEnv.flag("STOPGATE_UPDATE_DOCS") {
        std::fs::write(&path, &page).unwrap();
    } else {
        assert!(written == page, "the table of hooks is not what their rows say: run this with STOPGATE_UPDATE_DOCS=1");
    }
    let promised = page.split_once(BUDGETS).unwrap().1;
    for line in budgets {
        assert!(promised.lines().any(|shown| shown == line), "docs/architecture.md lacks\n{line}");
    }
    let worst = format!("costs a stop {} s in enforce", router.row().deadline.as_secs());
    assert!(std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap().contains(&worst), "README.md: {worst}");
}
