//! A disk that does not answer: hooks end in time, an authority says so, lets go at once, and is well when the disk is.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use stopgate_coordination::held::{self, HeldTree};
use stopgate_core::client;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::hook::Hook;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{Endpoint as _, GetHealth, Health, HealthStatus};
use stopgate_tests::build::Site;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::stalling::Stalling;
use stopgate_tests::world::{EXCUSE, HOOKS, World, assert_silent, block_reason, session_start, stop};

fn key(session: &str) -> SessionKey {
    SessionKey::new(Harness::Claude, session).unwrap()
}

fn shortest_timeout(hook: &str) -> Duration {
    let row = Hook::ALL.into_iter().map(Hook::row).find(|row| row.name == hook).unwrap();
    row.wires.iter().map(|wire| wire.timeout).max().unwrap().duration()
}

#[test]
fn hooks_end_in_time_while_the_disk_does_not_take_what_they_keep() {
    let mut site = Site::new();
    let id = site.executing("mine", "large");
    let Some(stalling) = Stalling::built(site.world.root()) else { return };
    let root = site.world.root().to_str().unwrap().to_owned();
    for (name, value) in stalling.variables(&root, true) {
        site.world.set_env(&name, &value);
    }
    site.world.set_env("STOPGATE_PATIENCE", "1");
    // Somebody else is at the same tree: the fence has something to ask, and to keep.
    let others = [HeldTree { tree: site.top().to_owned(), sessions: vec![key("other")], leases: vec![] }];
    std::fs::write(held::file(&site.world.home), held::render(&others)).unwrap();
    std::fs::write(site.world.home.fence_file(), "enforce\n").unwrap();
    for hook in HOOKS {
        let began = Instant::now();
        site.world.run_hook(hook, &serde_json::json!({}));
        // A machine on which even a hook with nothing to do takes its time takes more of it here.
        let slow = began.elapsed() * 20;
        stalling.stall();
        let payload = match hook {
            "session-start-recorder" => session_start("new", site.top(), "startup"),
            "write-fence" => json!({"session_id": "mine", "cwd": site.top(), "hook_event_name": "PreToolUse",
                                    "tool_name": "Write", "tool_input": {"file_path": site.top().join("new")}}),
            _ => stop("mine", site.top(), EXCUSE),
        };
        let began = Instant::now();
        // It stays stalled: whoever waits for it does so for ever.
        assert_silent(&site.world.run_hook(hook, &payload));
        assert!(began.elapsed() < shortest_timeout(hook) + slow, "{hook}: {:?}", began.elapsed());
        // The fence only looks, and leaves a line where that fails: what it leaves may be left out.
        assert!(stalling.was_met() || hook == "write-fence", "{hook} keeps nothing");
        stalling.heal();
    }
    assert!(site.stop("mine").is_some(), "the owner is held again");
    assert!(site.used(&id) >= 1);
}

fn health(world: &World) -> Option<Health> {
    let until = Instant::now() + Duration::from_secs(20);
    let answer = client::request(&world.home.socket(), "GET", GetHealth::PATH, b"", until).ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// A stop of `session` as the router asks about it; the status of the answer.
fn ask(world: &World, session: &str, cwd: &Path, mode: &str) -> u16 {
    let event = json!({"key": {"harness": "claude", "session_id": session}, "cwd": cwd, "transcript_path": null,
                       "model": null, "permission_mode": null, "agent_id": null,
                       "kind": {"name": "Stop", "stop_hook_active": false, "last_assistant_message": EXCUSE,
                                "pending_tasks": 0}});
    let request = json!({"event_id": new_event_id(&SystemClock), "at_ms": SystemClock.now_ms(), "event": event,
                         "mode": mode, "deadline_ms": 9_000});
    let until = Instant::now() + Duration::from_secs(50);
    let body = request.to_string();
    client::request(&world.home.socket(), "POST", "/internal/stop-gate/evaluate", body.as_bytes(), until)
        .unwrap()
        .status
}

#[test]
fn an_authority_whose_disk_does_not_answer_says_so_and_is_well_when_the_disk_is() {
    let mut world = World::enforcing();
    let Some(stalling) = Stalling::built(world.root()) else { return };
    world.set_env("STOPGATE_PATIENCE", "1");
    let checkout = world.planned_checkout();
    let variables = stalling.variables("stopgate.db", false);
    let wrapper: Vec<String> = std::iter::once("env".to_owned())
        .chain(variables.iter().map(|(name, value)| format!("{name}={value}")))
        .collect();
    let authority = world.authority_by(&wrapper);
    world.start_session("s", &checkout.top);
    eventually("all is well", || (health(&world)?.status == HealthStatus::Ok).then_some(()));

    stalling.stall();
    // The first finds out, and is let go without a verdict.
    assert_silent(&world.run_hook("stop-gate-router", &world.stop("s", &checkout.top, EXCUSE)));
    assert!(world.hook_log().contains("stop not judged"), "{}", world.hook_log());
    let said = eventually("it says so", || health(&world)?.problem);
    assert!(said.contains("has not answered for"), "{said}");
    let status = world.stopgate_json(&["status", "--json"]);
    assert_eq!(status["authority"]["status"], "degraded", "{status}");
    let shown = world.stopgate(&["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("has not answered for"), "{shown:?}");
    // Nobody waits any more: there is no time in which that would be noticed by the clock of a busy machine.
    for number in 0..40 {
        let mode = if number % 2 == 0 { "enforce" } else { "shadow" };
        assert_eq!(ask(&world, "s", &checkout.top, mode), 503, "{number}");
    }
    assert!(stalling.was_met());

    stalling.heal();
    eventually("it is well again", || (health(&world)?.status == HealthStatus::Ok).then_some(()));
    checkout.work();
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    drop(authority);
}

/// What may lie where the database should be.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Fifo,
    Directory,
    Socket,
    LinkToNull,
    LinkToFifo,
}

impl Plant {
    fn at(self, path: &Path) {
        let fifo = |path: &Path| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        match self {
            Self::Fifo => fifo(path),
            Self::Directory => std::fs::create_dir(path).unwrap(),
            Self::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            Self::LinkToNull => std::os::unix::fs::symlink("/dev/null", path).unwrap(),
            Self::LinkToFifo => {
                let target = path.with_extension("elsewhere");
                if !target.exists() {
                    fifo(&target);
                }
                std::os::unix::fs::symlink(target, path).unwrap();
            }
        }
    }
}

#[rstest]
fn something_else_takes_the_place_of_a_database_that_is_in_use(
    #[values(Plant::Fifo, Plant::Directory, Plant::Socket, Plant::LinkToNull, Plant::LinkToFifo)] plant: Plant,
    #[values("stopgate.db", "stopgate.db-wal", "stopgate.db-shm")] name: &str,
) {
    // A socket's path is short.
    let world = World::with_home("h");
    world.home.create().unwrap();
    std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    checkout.work();
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    let (place, aside) = (world.home.root().join(name), world.home.root().join("aside"));
    let moved = std::fs::rename(&place, &aside).is_ok();
    plant.at(&place);
    // Neither a stop nor a look waits for it; whether it is held depends on what is known without the file.
    for session in ["s", "other"] {
        let output = world.run_hook("stop-gate-router", &world.stop(session, &checkout.top, EXCUSE));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_silent(&world.run_hook("session-start-recorder", &session_start(session, &checkout.top, "resume")));
    }
    assert!(!world.hook_log().contains("in time"), "{}", world.hook_log());
    let seen = health(&world).unwrap();
    if name == "stopgate.db" {
        assert!(seen.problem.as_ref().is_some_and(|said| said.contains("stopgate.db")), "{seen:?}");
    }
    assert!(world.stopgate(&["status"]).status.success());
    if std::fs::remove_file(&place).is_err() {
        std::fs::remove_dir(&place).unwrap();
    }
    if moved {
        std::fs::rename(&aside, &place).unwrap();
    }
    eventually("it is well again", || (health(&world)?.status == HealthStatus::Ok).then_some(()));
    world.start_session("s2", &checkout.top);
    checkout.work();
    block_reason(&world.stop_session("s2", &checkout.top, EXCUSE));
    drop(authority);
}

/// What an authority opens when it begins.
#[rstest]
fn an_authority_begins_whatever_lies_where_its_files_are(
    #[values(
        "config.toml",
        "switches/reaper",
        "run/answered.jsonl",
        "run/continued.jsonl",
        "run/authority.problem",
        "log/authority.jsonl",
        "ledger.json",
        "version",
        "spool/x.event.json",
        "run/lineage",
        "run/woken"
    )]
    name: &str,
    #[values(Plant::Fifo, Plant::Directory, Plant::LinkToFifo)] plant: Plant,
) {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    plant.at(&world.home.root().join(name));
    // In the background, where it has a log of its own.
    let mut start = world.autostarting("stopgate");
    start.args(["authority", "start"]);
    let started = finish(start, Stdin::from(""));
    let _ends = stopgate_tests::world::StopsAuthority(&world);
    assert!(started.status.success(), "{started:?}");
    assert!(health(&world).is_some());
    world.start_session("s", &checkout.top);
    checkout.work();
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    let status: Value = world.stopgate_json(&["status", "--json"]);
    assert!(status["authority"]["pid"].is_number(), "{status}");
}

#[rstest]
fn no_program_waits_for_a_lock_file_that_is_none(
    #[values(Plant::Fifo, Plant::Directory, Plant::LinkToFifo)] plant: Plant,
) {
    let world = World::enforcing();
    plant.at(&world.home.lock());
    assert!(world.stopgate(&["status"]).status.success());
    let run = world.stopgate(&["authority", "run"]);
    assert!(!run.status.success() && String::from_utf8_lossy(&run.stderr).contains("authority.lock"), "{run:?}");
}
