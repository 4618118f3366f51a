//! Stop after stop through one authority: nothing that it opens, starts or keeps grows with their number.
//!
//! `STOPGATE_SOAK_STOPS` makes it more than 2,000 stops. What it saw is on stderr (`--nocapture`).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stopgate_core::client;
use stopgate_core::clock::SystemClock;
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::protocol::{EvaluateResponse, ROUTE_EVALUATE};
use stopgate_core::session::Harness;
use stopgate_tests::run::{HANG, eventually};
use stopgate_tests::world::{EXCUSE, PLAIN, World, block_reason};

/// Enough for everything at once, and far fewer than stops.
const DESCRIPTORS: u32 = 256;
/// What it needs for itself, for who asks at once, and for the programs that it starts.
const FEW_DESCRIPTORS: usize = 96;
/// Stops from one look to the next.
const EACH: usize = 100;
/// Who asks at once.
const WORKERS: usize = 4;

/// What the authority holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    descriptors: usize,
    threads: usize,
    resident_kib: u64,
    journal_bytes: u64,
}

impl Held {
    fn now(world: &World, pid: u32) -> Self {
        let entries = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let journal = std::fs::metadata(world.home.root().join("run/answered.jsonl"));
        Self {
            descriptors: entries("fd"),
            threads: entries("task"),
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            journal_bytes: journal.map_or(0, |meta| meta.len()),
        }
    }
}

/// One stop of session `number % 50`, as the router asks; how long the answer took.
fn ask(socket: &Path, number: usize, cwd: &Path, transcript: &Path) -> Duration {
    // Each way that is judged before it is answered: an excuse, one in a message longer than the quick look, and none.
    let message = match number % 3 {
        0 => EXCUSE.to_owned(),
        1 => format!("{}\n{EXCUSE}", "The lexer reads another token. ".repeat(600)),
        _ => PLAIN.to_owned(),
    };
    let key = json!({"harness": "claude", "session_id": format!("soak-{}", number % 50)});
    let body = json!({"event_id": new_event_id(&SystemClock), "at_ms": 1, "mode": "enforce", "deadline_ms": 10_000,
        "event": {"key": key, "cwd": cwd, "transcript_path": transcript, "kind": {"name": "Stop", "last_assistant_message": message}}});
    let asked = Instant::now();
    let answer = client::request(socket, "POST", ROUTE_EVALUATE, body.to_string().as_bytes(), asked + HANG).unwrap();
    assert_eq!(answer.status, 200, "stop {number}");
    let verdict: EvaluateResponse = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(verdict.fail_open, None, "stop {number}");
    asked.elapsed()
}

#[test]
fn stops_leave_nothing_behind() {
    let _alone = crate::alone();
    let stops = ProcessEnv.text("STOPGATE_SOAK_STOPS").map_or(2_000, |text| text.parse().unwrap());
    let world = World::new();
    let checkout = world.planned_checkout();
    world.set_mode("enforce");
    let authority = world.authority_with_descriptors(DESCRIPTORS);
    let socket = world.home.socket_to_connect().unwrap();
    let transcript = world.transcript("soak");
    world.asks_for_a_job(Harness::Claude, "soak");
    let round = |from: usize, to: usize| -> Vec<Duration> {
        let next = AtomicUsize::new(from);
        let worker = || {
            let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            numbers
                .take_while(|number| *number < to)
                .map(|number| ask(&socket, number, &checkout.top, &transcript))
                .collect()
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
            workers
                .into_iter()
                .flat_map(|worker: std::thread::ScopedJoinHandle<'_, Vec<_>>| worker.join().unwrap())
                .collect()
        })
    };
    let warm = (stops / 4).min(100);
    let mut times = round(0, warm);
    let before = Held::now(&world, authority.pid());
    for from in (warm..stops).step_by(EACH) {
        times.extend(round(from, stops.min(from + EACH)));
        // Here, and not only at the end: without any left each answer takes a second.
        let now = Held::now(&world, authority.pid());
        assert!(now.descriptors < FEW_DESCRIPTORS, "before stop {from}: {before:?}, after it: {now:?}");
    }
    // What was answered is written down afterwards.
    let rest = eventually("the last connection is closed", || {
        let held = Held::now(&world, authority.pid());
        (held.descriptors <= before.descriptors).then_some(held)
    });
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let shown = format!("{stops} stops, p99 {p99:?}\n  after {warm}: {before:?}\n  at the end: {rest:?}\n");
    let _ = std::io::stderr().write_all(shown.as_bytes());
    assert!(rest.descriptors < FEW_DESCRIPTORS, "{shown}");
    // tokio's pool for what blocks ends its threads when they are idle: at most as many as were ever needed at once.
    assert!(rest.threads <= before.threads.max(WORKERS * 8), "{shown}");
    assert!(rest.resident_kib < before.resident_kib + 16 * 1024, "{shown}");
    assert!(rest.journal_bytes <= 1024 * 1024, "{shown}");
    assert_eq!(world.spooled().len(), 0);
    // And it still judges.
    world.start_session("fresh", &checkout.top);
    let reason = block_reason(&world.stop_session("fresh", &checkout.top, EXCUSE));
    assert!(reason.starts_with("[stopgate]"), "{reason}");
}

#[test]
fn it_says_so_before_its_descriptors_run_out() {
    let _alone = crate::alone();
    let world = World::new();
    let authority = world.authority_with_descriptors(64);
    let socket = world.home.socket_to_connect().unwrap();
    // Exit 1 says that something is wrong.
    let health =
        || -> Value { serde_json::from_slice(&world.stopgate(&["authority", "status", "--json"]).stdout).unwrap() };
    assert_eq!(health()["problem"], Value::Null);
    let mut open = Vec::new();
    let told = eventually("it is told", || {
        open.push(UnixStream::connect(&socket).unwrap());
        health()["problem"].as_str().map(str::to_owned)
    });
    assert!(told.contains("of 64 file descriptors are open"), "{told}");
    let status = String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
    assert!(status.contains("of 64 file descriptors"), "{status}");
    drop(open);
    eventually("all is well again", || health()["problem"].is_null().then_some(()));
    drop(authority);
}
