//! An installer that is ended with SIGKILL in the middle: the next one, of whatever kind, finishes and clears up.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rstest::rstest;
use serde_json::Value;
use stopgate_tests::person::{Person, QUIETLY, finding_ids, read_settings, text, tree};
use stopgate_tests::process::{can_trace_or_says_so, kill};
use stopgate_tests::run::{Stdin, eventually, finish, finish_while, under};

/// The calls at which names come and go, and at which a new file is complete; what is half written at a kill is a temporary
/// file, of whatever length, and seen at the next of these.
const CHANGES: &str = "?unlink,unlinkat,?rmdir,?rename,renameat,renameat2,?mkdir,mkdirat,fsync,?link,linkat";
/// More than any command makes.
const MOST: usize = 400;

/// Ends the installer at the `nth` of [`CHANGES`]; `false` if it made fewer.
fn is_killed_at(person: &Person, arguments: &[&str], nth: usize) -> bool {
    let mut installer = person.installer(arguments);
    installer.env("STOPGATE_NO_AUTOSTART", "1");
    let (trace, inject) = (format!("trace={CHANGES}"), format!("inject={CHANGES}:signal=SIGKILL:when={nth}"));
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let output = finish(under(&strace, &installer), Stdin::from(""));
    // Killed, as strace passes it on, or done; never an error of its own.
    assert!(output.status.success() || output.status.code().is_none(), "{arguments:?} {nth}: {output:?}");
    !output.status.success()
}

/// The temporary files beside the settings.
fn left_beside(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let entries =
        dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".stopgate-")).collect()
}

/// Everything of the person's but the notes that tell of an uninstall.
fn seen(person: &Person) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let state = person.world.root().join("state");
    let mut all = tree(person.world.root());
    all.retain(|path, _| !path.starts_with(&state));
    all
}

/// A temporary file of these notes is recognised as left behind by its age alone.
fn age_notes(person: &Person) {
    let notes = person.world.root().join("state/stopgate");
    for path in left_beside(&[notes]) {
        let long_ago = SystemTime::now() - Duration::from_mins(2);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
}

#[rstest]
#[case::a_purge(&["uninstall", "--all", "--purge", "--yes"], &["uninstall", "--all", "--purge", "--yes"])]
#[case::an_uninstall(&["uninstall", "--yes"], &["migrate"])]
#[case::an_init(&["init", "--yes", "--no-live-check"], &["migrate"])]
#[case::a_restore(&["restore", "2", "--yes"], &["doctor", "--fix"])]
fn killed_at_any_change_it_is_finished_by_the_next_and_nothing_is_left(#[case] killed: &[&str], #[case] next: &[&str]) {
    if !can_trace_or_says_so() {
        return;
    }
    let person = Person::new();
    person.write_settings("{\n  \"model\": \"opus\"\n}\n");
    // One file that was there, and one that the installer makes with its directory.
    let project = person.world.root().join("project");
    std::fs::create_dir(&project).unwrap();
    let before = seen(&person);
    let beside = [person.settings().parent().unwrap().to_owned(), project.join(".claude")];
    let mut kills = 0;
    for nth in 1..MOST {
        person.install(&["--project", project.to_str().unwrap()]);
        if killed[0] != "init" {
            person.install(&[]);
        }
        if !is_killed_at(&person, killed, nth) {
            break;
        }
        kills += 1;
        age_notes(&person);
        // What a doctor finds is another test's; that it cleared up is this one's.
        let output = person.run(next);
        assert!(output.status.success() || next[0] == "doctor", "{killed:?} {nth}: {output:?}");
        assert_eq!(left_beside(&beside), Vec::<PathBuf>::new(), "{killed:?} {nth}: {output:?}");
        person.must(&["uninstall", "--all", "--purge", "--yes"]);
        let after = seen(&person);
        assert!(after == before, "{killed:?} {nth}: {:?} {output:?}", after.keys().collect::<Vec<_>>());
        assert_eq!(left_beside(&[person.world.root().join("state/stopgate")]), Vec::<PathBuf>::new());
    }
    assert!((5..MOST - 1).contains(&kills), "{kills} moments were seen");
}

/// The children of the process `pid`.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn is_tmp(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with(".stopgate-")
}

/// The one moment at which a copy alone holds what somebody wrote: the exchange is done, and not yet undone.
#[rstest]
#[case(&["init", "--yes", "--no-live-check"])]
#[case(&["migrate"])]
#[case(&["doctor", "--fix"])]
fn what_somebody_wrote_and_a_killed_installer_had_moved_aside_is_put_back(#[case] next: &[&str]) {
    if !can_trace_or_says_so() {
        return;
    }
    let person = Person::new();
    person.write_settings("{\"n\": 0}");
    person.install(&["--project", person.world.root().to_str().unwrap()]);
    let settings = person.settings();
    let dir = settings.parent().unwrap();
    let mut init = person.installer(&["init"]);
    init.args(QUIETLY).env("STOPGATE_NO_AUTOSTART", "1");
    // Held before and after the exchange, for as long as this test needs.
    let (path, calls) = (settings.to_str().unwrap(), "?rename,renameat,renameat2");
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:delay_enter=3000000:delay_exit=10000000:when=1");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", &trace, "-e", &inject];
    let entries = || std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let aside = || entries().find(|path| is_tmp(path));
    let held = |pid: u32| {
        // Its name tells that it is about to be exchanged.
        let is_told = || aside().filter(|path| path.to_string_lossy().ends_with("settings.json.tmp"));
        eventually("the installer comes to its exchange", is_told);
        std::fs::write(&settings, "{\"n\": 1, \"mine\": true}").unwrap();
        let is_ours = || std::fs::read_to_string(&settings).unwrap().contains("hooks").then_some(());
        eventually("the exchange is done", is_ours);
        for child in children(pid) {
            kill(child);
        }
    };
    let output = finish_while(under(&strace, &init), Stdin::from(""), |_| (), held);
    assert!(!output.status.success(), "{output:?}");
    let aside = aside().unwrap();
    assert_eq!(read_settings(&aside)["n"], 1, "it holds what was written");

    let (_, report) = person.json(&["doctor"]);
    assert!(finding_ids(&report).contains(&"leftovers") && aside.exists(), "who only looks changes nothing: {report}");
    let output = person.run(next);
    let now = read_settings(&settings);
    assert_eq!((&now["n"], &now["mine"]), (&1.into(), &true.into()), "{}", text(&output.stdout));
    assert_eq!(entries().filter(|path| is_tmp(path)).collect::<Vec<_>>(), Vec::<PathBuf>::new());
    person.must(&["uninstall", "--yes"]);
    assert_eq!(read_settings(&settings), serde_json::json!({ "n": 1, "mine": true }));
}

/// A ledger as older versions wrote it, with a record for each path to one file.
#[test]
fn two_paths_to_one_file_are_one_install_and_two_files_are_two() {
    let person = Person::new();
    let real = person.dir().join("dotfiles/claude");
    std::fs::create_dir_all(&real).unwrap();
    std::os::unix::fs::symlink(&real, person.dir().join(".claude")).unwrap();
    let other = person.dir().join("work");
    std::fs::create_dir(&other).unwrap();
    let file = real.join("settings.json");
    let original = "{\n  \"model\": \"opus\"\n}\n";
    let at = |dir: &Path, arguments: &[&str]| {
        let mut installer = person.installer(arguments);
        installer.env("CLAUDE_CONFIG_DIR", dir).env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(installer, Stdin::from(""));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    };
    let ledger = || -> Value { serde_json::from_slice(&std::fs::read(person.world.home.ledger()).unwrap()).unwrap() };
    let spelled = |path: &str| person.dir().join(path);
    for (uninstalled, slash) in [(spelled(".claude"), false), (real.clone(), false), (spelled(".claude//"), true)] {
        std::fs::write(&file, original).unwrap();
        for dir in [&spelled(".claude"), &real, &other] {
            at(dir, &["init", "--yes", "--no-live-check"]);
        }
        let mut written = ledger();
        let installs = written["installs"].as_array_mut().unwrap();
        assert_eq!(installs.len(), 2, "{installs:?}");
        let mut second = installs[0].clone();
        second["settings"] = file.to_str().unwrap().into();
        second["original"] = serde_json::json!({ "state": "unknown" });
        second["at_ms"] = (second["at_ms"].as_i64().unwrap() + 1).into();
        installs.push(second);
        std::fs::write(person.world.home.ledger(), written.to_string()).unwrap();

        at(&uninstalled, &["uninstall", "--yes"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), original, "{slash}");
        let left = ledger()["installs"].clone();
        assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
        assert_eq!(left[0]["settings"], other.join("settings.json").to_str().unwrap());
        assert!(std::fs::read_to_string(other.join("settings.json")).unwrap().contains("stop-gate-router"));
        let (_, report) = person.json(&["doctor"]);
        assert!(!report.to_string().contains("dotfiles"), "{report}");
    }
    at(&other, &["uninstall", "--all", "--purge", "--yes"]);
    assert!(!other.join("settings.json").exists() && !person.world.home.root().exists());
}
