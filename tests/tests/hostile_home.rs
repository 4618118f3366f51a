//! A home, or a checkout, in which something else is where a file should be. Nothing may wait for it, and a link may
//! not lead a hook elsewhere.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_build_guard::state::{BuildState, Phase, Size};
use stopgate_build_guard::store;
use stopgate_core::beat::Beat;
use stopgate_core::clock::SystemClock;
use stopgate_core::event_id::new_event_id;
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, HOOKS, World, assert_silent, block_reason, session_start, stop};

/// What is planted.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Fifo,
    Link,
    LinkToItself,
    LinkToNull,
    Socket,
    Directory,
    Unreadable,
    Garbage,
}

impl Plant {
    /// Puts it at `path`, in the place of whatever is there; a link leads to where a file would be made.
    fn at(self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_dir_all(path);
        let _ = std::fs::remove_file(path);
        let garbage = || std::fs::write(path, [0, 255, b'{', b'\n', 7].repeat(1_000)).unwrap();
        match self {
            Self::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
            Self::Link => symlink(path.with_extension("elsewhere"), path).unwrap(),
            Self::LinkToItself => symlink(path, path).unwrap(),
            Self::LinkToNull => symlink("/dev/null", path).unwrap(),
            // By its name alone: a socket's path is short.
            Self::Socket => mknodat(CWD, path, FileType::Socket, Mode::from_raw_mode(0o600), 0).unwrap(),
            Self::Directory => std::fs::create_dir(path).unwrap(),
            Self::Unreadable => {
                garbage();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
            }
            Self::Garbage => garbage(),
        }
    }
}

fn payload(world: &World, hook: &str) -> Value {
    match hook {
        "session-start-recorder" => session_start("s", world.root(), "startup"),
        _ => stop("s", world.root(), EXCUSE),
    }
}

#[rstest]
#[case::log("log/hooks.jsonl")]
#[case::log_directory("log")]
#[case::mode("switches/mode")]
#[case::socket("run/authority.sock")]
#[case::beats_directory("run/beats")]
#[case::spool_directory("spool")]
#[case::database("stopgate.db")]
#[case::journal("stopgate.db-journal")]
#[case::wal("stopgate.db-wal")]
#[case::shared_memory("stopgate.db-shm")]
fn in_the_home(#[case] place: &str, #[values(Plant::Fifo, Plant::Link)] plant: Plant) {
    let world = World::enforcing();
    if place.starts_with("stopgate.db-") {
        // A file with content, so that SQLite has a reason to look beside it.
        drop(stopgate_store::Store::open(&world.home, std::time::Duration::from_secs(10)).unwrap());
    }
    let place = world.home.root().join(place);
    plant.at(&place);
    for hook in HOOKS {
        assert_silent(&world.run_hook(hook, &payload(&world, hook)));
    }
    assert!(!place.with_extension("elsewhere").exists(), "a link was followed");
    assert!(std::fs::symlink_metadata(&place).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()), "it stays");
}

/// Every name in a home, and what is below those that are directories.
const PLACES: [&str; 31] = [
    "config.toml",
    "ledger.json",
    "version",
    "manifest.json",
    "backups",
    "upgrades",
    "stopgate.db",
    "stopgate.db-wal",
    "stopgate.db-shm",
    "stopgate.db-journal",
    "switches",
    "switches/mode",
    "switches/reaper",
    "spool",
    "log",
    "log/hooks.jsonl",
    "log/hooks.jsonl.1",
    "log/authority.jsonl",
    "run",
    "run/authority.sock",
    "run/authority.lock",
    "run/authority.problem",
    "run/answered.jsonl",
    "run/continued.jsonl",
    "run/beats",
    "run/woken",
    "run/lineage",
    "run/tmux",
    "run/judge",
    "run/config.last-good.toml",
    "run/migrate.json",
];

/// No hook falls over, and no look at the home waits, whatever lies anywhere in it.
#[rstest]
fn anywhere_in_the_home(
    #[values(
        Plant::Fifo,
        Plant::Link,
        Plant::LinkToItself,
        Plant::LinkToNull,
        Plant::Socket,
        Plant::Directory,
        Plant::Unreadable,
        Plant::Garbage
    )]
    plant: Plant,
) {
    for place in PLACES {
        let world = World::enforcing();
        plant.at(&world.home.root().join(place));
        for hook in HOOKS {
            let output = world.run_hook(hook, &payload(&world, hook));
            assert!(output.status.success() && output.stderr.is_empty(), "{hook}, {place}: {output:?}");
            assert!(output.stdout.is_empty(), "{hook}, {place}: {output:?}");
        }
        let status = world.stopgate(&["status"]);
        assert!(status.status.code().is_some(), "{place}: {status:?}");
        assert!(!String::from_utf8_lossy(&status.stderr).contains("panicked"), "{place}: {status:?}");
    }
}

#[rstest]
fn where_a_hook_leaves_its_beats(#[values(Plant::Fifo, Plant::Link)] plant: Plant) {
    let world = World::enforcing();
    let verdict = r#"{"event_id":"e","decision":"allow","rule":null,"reminder":"","latency_ms":1}"#;
    let authority = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", verdict));
    let path = |hook: &str, beat: Beat| world.home.beats().join(format!("{hook}.{}", beat.name()));
    for hook in HOOKS {
        for beat in Beat::ALL {
            plant.at(&path(hook, beat));
        }
        assert_silent(&world.run_hook(hook, &payload(&world, hook)));
        assert_silent(&finish(world.hook(hook), Stdin::from("garbage")));
        assert!(Beat::ALL.iter().all(|beat| !path(hook, *beat).with_extension("elsewhere").exists()));
    }
    assert!(authority.connections() >= 2, "they did their work all the same");
}

#[test]
fn an_authority_does_not_wait_for_what_lies_in_the_spool_or_at_its_database() {
    let world = World::enforcing();
    let id = new_event_id(&SystemClock);
    Plant::Fifo.at(&world.home.spool().join(format!("{id}.event.json")));
    Plant::Fifo.at(&world.home.database());
    let authority = world.authority();
    assert_eq!(authority.request("GET", "/health", &Value::Null).status, 200);
}

/// A checkout with a live build of the session `s` that holds it.
fn build(world: &World) -> std::path::PathBuf {
    let checkout = world.planned_checkout();
    let dir = checkout.top.join(".stopgate/builds/b1");
    std::fs::create_dir_all(&dir).unwrap();
    let owner = OwnerStamp { session_id: Some("s".into()), ..OwnerStamp::default() };
    let state = BuildState::started("b1".into(), "t".into(), Size::Small, Some(owner), 0);
    store::write(&dir, &BuildState { phase: Phase::Executing, ..state }).unwrap();
    dir
}

fn stop_in(world: &World, dir: &Path) -> std::process::Output {
    world.run_hook("build-stop-hook", &stop("s", dir.ancestors().nth(3).unwrap(), EXCUSE))
}

#[rstest]
fn at_the_lock_of_a_build(#[values(Plant::Fifo, Plant::Link)] plant: Plant) {
    let world = World::enforcing();
    let dir = build(&world);
    let held = stop_in(&world, &dir);
    assert!(block_reason(&String::from_utf8(held.stdout).unwrap()).contains("[stopgate]"), "the control");
    plant.at(&dir.join("lock"));
    assert_silent(&stop_in(&world, &dir));
    assert!(!dir.join("lock.elsewhere").exists() && world.hook_log().contains("build not usable"));
}

#[rstest]
fn at_the_state_of_a_build(#[values(Plant::Fifo, Plant::Link)] plant: Plant) {
    let world = World::enforcing();
    let dir = build(&world);
    plant.at(&dir.join("state.json"));
    assert_silent(&stop_in(&world, &dir));
}

#[rstest]
fn at_the_audit_of_a_build(#[values(Plant::Fifo, Plant::Link)] plant: Plant) {
    let world = World::enforcing();
    let dir = build(&world);
    plant.at(&dir.join("audit.jsonl"));
    // The reminder is spent and counted; only its line in the audit is missing.
    let held = stop_in(&world, &dir);
    assert!(held.status.success() && held.stderr.is_empty(), "{held:?}");
    block_reason(&String::from_utf8(held.stdout).unwrap());
    assert!(!dir.join("audit.elsewhere").exists() && world.hook_log().contains("audit not written"));
}
