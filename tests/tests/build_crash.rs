//! Builds under many writers at once, and under writers that are killed at any step.
//!
//! The steps are system calls: `strace` sends SIGKILL at the N-th `openat`, `write`, `fsync`, ... of the real program,
//! for every N. Where it is missing or may not trace, these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use stopgate_tests::build::{Said, Site, held};
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, finish, under};
use stopgate_tests::world::stop;

/// Everything that opens, locks, changes or renames a file; `?`: not every architecture has all of them.
const CALLS: [&str; 18] = [
    "openat",
    "write",
    "?pwrite64",
    "?ftruncate",
    "fsync",
    "fdatasync",
    "?rename",
    "?renameat",
    "?renameat2",
    "flock",
    "close",
    "?mkdir",
    "?mkdirat",
    "?unlink",
    "?unlinkat",
    "?symlink",
    "?symlinkat",
    "?getdents64",
];
/// More calls than any of the programs makes.
const MANY: usize = 500;

/// A program with its arguments, as [`Site::command`] has it, under strace.
fn traced(command: &Command, call: &str, number: usize) -> Command {
    let inject = format!("inject={call}:signal=SIGKILL:when={number}");
    let trace = format!("trace={call}");
    under(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject], command)
}

/// Kills `command` at every step, each time in the same `.stopgate`, and looks at what it left with `check`; how
/// many times it was killed.
fn at_every_step(site: &Site, command: &Command, stdin: &str, mut check: impl FnMut(&str)) -> usize {
    let before = site.snapshot();
    let mut killed = 0;
    for call in CALLS {
        for number in 1..=MANY {
            assert!(number < MANY, "{call} for ever");
            site.put_back(&before);
            let output = finish(traced(command, call, number), Stdin::from(stdin));
            if output.status.signal() != Some(9) {
                assert!(output.status.success(), "{call} {number}: {output:?}");
                break;
            }
            killed += 1;
            check(&format!("killed at {call} {number}"));
        }
    }
    killed
}

/// Temporary files anywhere below `.stopgate`.
fn temporary(site: &Site) -> Vec<PathBuf> {
    let is_temporary = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "tmp");
    site.snapshot().into_iter().map(|(path, _)| path).filter(is_temporary).collect()
}

/// What the kills brought about; a test in which one of these never happened has tested nothing.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    old: bool,
    new: bool,
    temporary: bool,
}

const ALL: Seen = Seen { old: true, new: true, temporary: true };

#[test]
fn a_hook_killed_at_any_step_leaves_the_old_or_the_new_state() {
    let site = Site::new();
    if !can_trace_or_says_so() {
        return;
    }
    let id = site.executing("mine", "large");
    assert!(site.stop("mine").is_some());
    let old = site.state(&id);
    let mut new = old.clone();
    new["reminders_used"] = json!(2);
    let mut hook = site.world.hook("build-stop-hook");
    hook.current_dir(site.top());
    let mut seen = Seen::default();
    let payload = stop("mine", site.top(), "bye").to_string();
    let killed = at_every_step(&site, &hook, &payload, |step| {
        let state = site.state(&id);
        assert!(state == old || state == new, "{step}: {state}");
        seen.old |= state == old;
        seen.new |= state == new;
        seen.temporary |= !temporary(&site).is_empty();
        let blocked = site.events(&id).iter().filter(|event| *event == "stop-blocked").count();
        let used = usize::try_from(site.used(&id)).unwrap();
        assert!(blocked == used || blocked + 1 == used, "{step}: {blocked} in the audit, {used} spent");
        // The next stop works, whatever was left.
        assert!(site.stop("mine").is_some(), "{step}");
        assert_eq!(site.used(&id), state["reminders_used"].as_u64().unwrap() + 1, "{step}");
        site.build("", &["status"]).ok();
        assert_eq!(temporary(&site), Vec::<PathBuf>::new(), "{step}");
    });
    assert!(killed >= 10 && seen == ALL, "{killed} {seen:?}");
}

#[test]
fn a_step_killed_at_any_step_is_recorded_or_not() {
    let site = Site::new();
    if !can_trace_or_says_so() {
        return;
    }
    let id = site.executing("mine", "small");
    let step = |number: &'static str| ["step", number, "did it", "--tests", "1", "--passing", "1"];
    let mut seen = Seen::default();
    let old = site.state(&id);
    let killed = at_every_step(&site, &site.command("mine", &step("1")), "", |at| {
        let state = site.state(&id);
        let steps = state["steps"].as_array().unwrap().len();
        assert!(steps == 0 && state == old || steps == 1 && state["steps"][0]["number"] == 1, "{at}: {state}");
        seen.old |= steps == 0;
        seen.new |= steps == 1;
        seen.temporary |= !temporary(&site).is_empty();
        site.events(&id);
        site.build("mine", &step("2")).ok();
        assert_eq!(site.state(&id)["steps"].as_array().unwrap().len(), steps + 1, "{at}");
        assert_eq!(temporary(&site), Vec::<PathBuf>::new(), "{at}");
    });
    assert!(killed >= 10 && seen == ALL, "{killed} {seen:?}");
}

#[test]
fn a_completion_killed_at_any_step_is_finished_by_the_next_command() {
    let site = Site::new();
    if !can_trace_or_says_so() {
        return;
    }
    let id = site.executing("mine", "small");
    site.build("mine", &["step", "1", "did it", "--tests", "1", "--passing", "1"]).ok();
    let mut seen = Seen::default();
    let mut unarchived = false;
    let killed = at_every_step(&site, &site.command("mine", &["complete"]), "", |at| {
        let complete = site.state(&id)["phase"] == "complete";
        assert!(complete || site.state(&id)["phase"] == "executing", "{at}");
        seen.old |= !complete;
        seen.new |= complete;
        seen.temporary |= !temporary(&site).is_empty();
        unarchived |= complete && site.live(&id).exists();
        assert_eq!(site.stop("mine").is_none(), complete, "{at}: what is complete holds nobody");
        let status = site.build("mine", &["status", "--json"]).ok().json();
        assert_eq!(temporary(&site), Vec::<PathBuf>::new(), "{at}");
        assert_eq!(status["broken"], json!([]), "{at}");
        if complete {
            assert_eq!((&status["ended"]["id"], status["live"].as_array().unwrap().len()), (&json!(id), 0), "{at}");
        } else {
            site.build("mine", &["complete"]).ok();
            assert_eq!(site.events(&id).last().unwrap(), "build-completed", "{at}");
        }
        assert!(site.archived(&id).join("audit.jsonl").exists() && !site.live(&id).exists(), "{at}");
    });
    assert!(killed >= 10 && unarchived && seen == ALL, "{killed} {unarchived} {seen:?}");
}

#[test]
fn a_start_killed_at_any_step_leaves_a_build_or_none() {
    let site = Site::new();
    if !can_trace_or_says_so() {
        return;
    }
    let theirs = site.executing("theirs", "small");
    let mut seen = Seen::default();
    let killed = at_every_step(&site, &site.command("mine", &["start", "build the parser"]), "", |at| {
        seen.temporary |= !temporary(&site).is_empty();
        let status = site.build("mine", &["status", "--json"]).ok().json();
        assert_eq!(status["broken"], json!([]), "{at}: nothing was moved aside");
        let live = |status: &Value| status["live"].as_array().unwrap().len();
        let said = site.build("mine", &["start", "again", "--json"]);
        if live(&status) == 1 {
            seen.old = true;
            said.ok();
        } else {
            seen.new = true;
            said.refused(1, &["has a live build already"]);
            assert!(site.stop("mine").is_some(), "{at}: a build that is there holds its owner");
        }
        assert_eq!(live(&site.build("mine", &["status", "--json"]).ok().json()), 2, "{at}");
        assert_eq!(site.state(&theirs)["phase"], "executing", "{at}");
        assert_eq!(temporary(&site), Vec::<PathBuf>::new(), "{at}");
    });
    assert!(killed >= 10 && seen == ALL, "{killed} {seen:?}");
}

#[test]
fn the_first_start_of_a_checkout_killed_at_any_step_can_be_repeated() {
    let site = Site::new();
    if !can_trace_or_says_so() {
        return;
    }
    std::fs::create_dir(site.top().join(".stopgate")).unwrap();
    let killed = at_every_step(&site, &site.command("mine", &["start", "build the parser"]), "", |at| {
        let said = site.build("mine", &["start", "again"]);
        assert!(said.code == Some(0) || said.err.contains("has a live build already"), "{at}: {said:?}");
        assert!(site.stop("mine").is_some(), "{at}");
        assert_eq!(site.checkout.git(&["status", "--porcelain"]), "", "{at}");
    });
    assert!(killed >= 10, "{killed}");
}

#[test]
fn fifty_stops_of_the_owner_at_once_spend_exactly_the_budget() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let blocked: usize = std::thread::scope(|scope| {
        let stop = || {
            let mut hook = site.world.hook("build-stop-hook");
            // Fifty debug programs on few processors: a stop that waits too long for the lock is let go.
            hook.env("STOPGATE_DEADLINE_MS", "8000");
            held(finish(hook, Stdin::from(&*stop("mine", site.top(), "bye").to_string())).into()).is_some()
        };
        let stops: Vec<_> = (0..50).map(|_| scope.spawn(stop)).collect();
        stops.into_iter().map(|stop| usize::from(stop.join().unwrap())).sum()
    });
    let events = site.events(&id);
    let audited = events.iter().filter(|event| *event == "stop-blocked").count();
    assert_eq!((blocked, site.used(&id), audited), (3, 3, 3), "{}", site.world.hook_log());
    assert_eq!(site.world.hook_log().matches("build no longer protected").count(), 1);
    assert_eq!(temporary(&site), Vec::<PathBuf>::new());
}

#[test]
fn stops_and_steps_at_once_lose_nothing() {
    let site = Site::new();
    let id = site.executing("mine", "large");
    std::thread::scope(|scope| {
        for number in 1..=10 {
            let site = &site;
            scope.spawn(move || assert!(site.stop("mine").is_some()));
            scope.spawn(move || {
                let number = number.to_string();
                site.build("mine", &["step", &number, "did it", "--tests", "2", "--passing", "2"]).ok();
            });
        }
    });
    assert_eq!((site.used(&id), site.state(&id)["steps"].as_array().unwrap().len()), (10, 10));
    let events = site.events(&id);
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("stop-blocked"), count("step-recorded")), (10, 10));
}

#[test]
fn of_many_starts_of_one_owner_at_once_one_succeeds() {
    for _ in 0..5 {
        let site = Site::new();
        let said: Vec<Said> = std::thread::scope(|scope| {
            let start = || {
                // Any other command tidies up meanwhile, and must leave alone what is being written.
                scope.spawn(|| site.build("theirs", &["list"]).ok());
                scope.spawn(|| site.build("mine", &["start", "t"]))
            };
            let starts: Vec<_> = (0..8).map(|_| start()).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let (started, refused): (Vec<_>, Vec<_>) = said.into_iter().partition(|said| said.code == Some(0));
        assert_eq!(started.len(), 1, "{refused:?}");
        assert!(refused.iter().all(|said| said.err.contains("has a live build already")), "{refused:?}");
        assert_eq!(std::fs::read_dir(site.top().join(".stopgate/builds")).unwrap().count(), 1);
    }
}
