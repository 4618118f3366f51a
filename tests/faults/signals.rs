//! Signals at every stage: the N-th system call of each kind brings one. A hook that ends by a signal is a hook that
//! said nothing, so what is asked here is that it says all or nothing, and leaves whole files.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stopgate_core::spool;
use stopgate_tests::build::Site;
use stopgate_tests::person::text;
use stopgate_tests::process::can_trace_or_says_so;
use stopgate_tests::run::{Stdin, finish, under};
use stopgate_tests::world::{EXCUSE, World, block_reason, session_start, stop};

/// What a hook does with files, sockets and its output; `?`: not every architecture has all of them.
const CALLS: [&str; 14] = [
    "openat",
    "read",
    "write",
    "?pwrite64",
    "fsync",
    "fdatasync",
    "?rename",
    "?renameat",
    "flock",
    "?fcntl",
    "connect",
    "sendto",
    "?poll",
    "?ppoll",
];
const SIGNALS: [&str; 4] = ["SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE"];
/// More calls than any hook makes.
const MANY: usize = 500;

/// Runs a hook again and again, each time with a signal at another call, and looks at what it left. How often it was
/// ended by one.
fn at_every_stage(
    world: &World,
    hook: &str,
    payload: impl Fn(usize) -> Value,
    mut check: impl FnMut(&str, &str),
) -> usize {
    let (mut ended, mut run) = (0, 0);
    for call in CALLS {
        for number in 1..=MANY {
            assert!(number < MANY, "{call} for ever");
            run += 1;
            let signal = SIGNALS[number % SIGNALS.len()];
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal={signal}:when={number}"));
            // Whoever runs the tests may have had signals ignored, as `nohup` does.
            let strace = ["env", "--default-signal", "strace", "-f", "-A", "-qq", "-e", &*trace, "-e", &*inject, "-o"];
            let file = world.root().join("trace");
            let _ = std::fs::remove_file(&file);
            let wrapper: Vec<&str> = strace.into_iter().chain([file.to_str().unwrap()]).collect();
            let output = finish(under(&wrapper, &world.hook(hook)), Stdin::from(&*payload(run).to_string()));
            let step = format!("{hook}: {signal} at {call} {number}");
            assert!(output.status.success() || output.status.signal().is_some(), "{step}: {output:?}");
            assert_eq!(text(&output.stderr), "", "{step}");
            let said = text(&output.stdout);
            assert!(said.is_empty() || block_reason(&said).starts_with("[stopgate]"), "{step}: {said}");
            check(&step, &said);
            ended += usize::from(output.status.signal().is_some());
            // That many calls were not made.
            if !text(&std::fs::read(&file).unwrap()).contains(&format!("--- {signal} ")) {
                break;
            }
        }
    }
    ended
}

/// Whole lines, whole files.
fn is_whole(world: &World, step: &str) {
    for line in world.hook_log().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{step}: {error}: {line}"));
    }
    for spooled in spool::list(&world.home, 10_000).unwrap() {
        serde_json::from_slice::<Value>(&spooled.body)
            .unwrap_or_else(|error| panic!("{step}: {}: {error}", spooled.path.display()));
    }
}

#[test]
fn the_router_says_all_or_nothing_and_spools_whole_files() {
    if !can_trace_or_says_so() {
        return;
    }
    let world = World::enforcing();
    // Nobody listens: it spools.
    let stop_of = |run: usize| stop(&format!("s{run}"), Path::new("/"), EXCUSE);
    let ended = at_every_stage(&world, "stop-gate-router", stop_of, |step, said| {
        assert_eq!(said, "", "{step}");
        is_whole(&world, step);
    });
    assert!(ended >= 10 && !world.spooled().is_empty(), "{ended}");

    // Somebody does, and blocks.
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for run in 0..200 {
        world.start_session(&format!("h{run}"), &checkout.top);
    }
    let stop_of = |run: usize| world.stop(&format!("h{run}"), &checkout.top, EXCUSE);
    let (mut held, mut silent) = (0, 0);
    let ended = at_every_stage(&world, "stop-gate-router", stop_of, |step, said| {
        silent += usize::from(said.is_empty());
        held += usize::from(!said.is_empty());
        is_whole(&world, step);
    });
    assert!(ended >= 10 && held > 0 && silent > 0, "{ended} {held} {silent}");
    assert!(authority.request("GET", "/health", &Value::Null).status == 200, "the authority has not suffered");
}

#[test]
fn the_build_guard_says_all_or_nothing_and_leaves_a_whole_build() {
    if !can_trace_or_says_so() {
        return;
    }
    let site = Site::new();
    let id = site.executing("mine", "large");
    let before = site.snapshot();
    let (mut held, mut silent) = (0, 0);
    let ended = at_every_stage(
        &site.world,
        "build-stop-hook",
        |_| stop("mine", site.top(), "bye"),
        |step, said| {
            silent += usize::from(said.is_empty());
            held += usize::from(!said.is_empty());
            let used = site.used(&id);
            assert!(used <= 1 && (said.is_empty() || used == 1), "{step}: {used} spent, said {said:?}");
            assert!(site.stop("mine").is_some(), "{step}: the next stop is held");
            is_whole(&site.world, step);
            site.put_back(&before);
        },
    );
    assert!(ended >= 10 && held > 0 && silent > 0, "{ended} {held} {silent}");
}

#[test]
fn the_recorder_leaves_a_whole_database() {
    if !can_trace_or_says_so() {
        return;
    }
    let world = World::enforcing();
    world.start_session("first", world.root());
    let start_of = |run: usize| session_start(&format!("s{run}"), world.root(), "startup");
    let ended = at_every_stage(&world, "session-start-recorder", start_of, |step, said| {
        assert_eq!(said, "", "{step}");
        is_whole(&world, step);
    });
    assert!(ended >= 20, "{ended}");
    let connection = rusqlite::Connection::open(world.home.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let answer: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "ok");
    let count = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(count("SELECT count(*) FROM hook_events") > 1);
    assert_eq!(
        count("SELECT count(*) FROM hook_events"),
        count("SELECT count(*) FROM sessions WHERE started_at_ms IS NOT NULL"),
        "an event and its session are written together"
    );
}
