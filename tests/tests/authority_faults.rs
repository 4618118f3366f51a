//! What happens to an authority and is no request: half a question, a lost socket, a full disk, a person's SIGSTOP.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Output, Stdio};

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;
use stopgate_core::decision::Decision;
use stopgate_core::holder::own_text;
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::person::text;
use stopgate_tests::process::{Stopped, has_ended, signal};
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, StopsAuthority, World, assert_silent, binary, session_start};

/// Runs the CLI, which may start an authority.
fn starting(world: &World, arguments: &[&str]) -> Output {
    let mut command = world.autostarting("stopgate");
    command.args(arguments);
    finish(command, Stdin::from(""))
}

/// The pid of the authority that answers, if one does.
fn serving(world: &World) -> Option<u64> {
    let status = world.stopgate(&["authority", "status", "--json"]);
    serde_json::from_slice::<Value>(&status.stdout).ok()?["pid"].as_u64()
}

/// Connects and asks half a question.
fn half_a_question(world: &World, asked: &str) -> UnixStream {
    let mut stream = UnixStream::connect(world.home.socket_to_connect().unwrap()).unwrap();
    stream.write_all(asked.as_bytes()).unwrap();
    stream
}

/// A store as 0.1.0 has left it, with so many judged stops.
fn store_of_0_1_0(world: &World, stops: u32) {
    let scripts = [
        include_str!("../../migrations/db/0001_sessions_and_gate.sql"),
        include_str!("../../migrations/db/0002_turns.sql"),
        include_str!("../../migrations/db/0003_breaker.sql"),
        include_str!("../../migrations/db/0004_grades.sql"),
        include_str!("../../migrations/db/0005_registry_and_reaper.sql"),
        include_str!("../../migrations/db/0006_hooks_lost.sql"),
    ];
    let store = rusqlite::Connection::open(world.home.database()).unwrap();
    store.pragma_update(None, "journal_mode", "wal").unwrap();
    store.pragma_update(None, "synchronous", "off").unwrap();
    for script in scripts {
        store.execute_batch(script).unwrap();
    }
    store
        .execute(
            "INSERT INTO gate_events (event_id, harness, session_id, at_ms, mode, decision, short_circuit, signals,
                 latency_ms)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             SELECT printf('01a1fec1-4711-7000-8000-%012d', i), 'claude', 'session-' || (i % 500), 1700000000000 + i,
                 'shadow', 'allow', 'NO_SIGNAL', '[]', 3 FROM n",
            [stops],
        )
        .unwrap();
    store.pragma_update(None, "user_version", 6).unwrap();
}

#[test]
fn a_large_store_of_an_older_version_is_brought_up_to_date_by_an_authority_that_answers_meanwhile() {
    const STOPS: u32 = 300_000;
    let mut world = World::enforcing();
    world.set_env("STOPGATE_PATIENCE", "1");
    store_of_0_1_0(&world, STOPS);
    // Whoever has the store to itself keeps the migration waiting, as very many rows do.
    let mut writer = rusqlite::Connection::open(world.home.database()).unwrap();
    let held = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let authority = world.authority();
    let told = || text(&world.stopgate(&["authority", "status"]).stdout);
    assert!(told().contains("is being brought from version 6 to "), "{}", told());
    let refused = world.stopgate(&["gate", "log", "--tail", "1"]);
    assert!(!text(&refused.stderr).is_empty(), "{refused:?}");
    // A hook is answered, and lets go.
    let checkout = world.planned_checkout();
    assert_silent(&world.run_hook("stop-gate-router", &world.stop("s", &checkout.top, EXCUSE)));
    held.rollback().unwrap();
    let health = || {
        let status = world.stopgate(&["authority", "status", "--json"]);
        serde_json::from_slice::<Value>(&status.stdout).unwrap()["problem"].clone()
    };
    eventually("it is done", || health().is_null().then_some(()));
    let count: u32 =
        writer.query_row("SELECT count(*) FROM gate_events WHERE decision = 'allow'", [], |row| row.get(0)).unwrap();
    assert!(count >= STOPS, "{count}");
    let version: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert!(version > 6, "{version}");
    drop(authority);
    // And all at once, through the command that starts it.
    std::fs::remove_file(world.home.database()).unwrap();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", world.home.database().display()));
    }
    store_of_0_1_0(&world, STOPS);
    let _ends = StopsAuthority(&world);
    let started = starting(&world, &["authority", "start"]);
    assert!(
        matches!(started.status.code(), Some(0 | 1)) && text(&started.stdout).contains("running, version"),
        "{started:?}"
    );
    eventually("it is done", || health().is_null().then_some(()));
    let rows = world.stopgate_json(&["gate", "log", "--session", "session-7", "--json"]);
    assert!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{rows}");
}

const HALF_A_HEAD: &str = "GET /heal";
const HALF_A_BODY: &str = "POST /hooks/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
const NOTHING: &str = "";

#[test]
fn half_a_question_keeps_no_authority_from_ending_and_none_from_starting() {
    for asked in [HALF_A_HEAD, HALF_A_BODY, NOTHING] {
        let world = World::new();
        let authority = world.authority();
        let mut stream = half_a_question(&world, asked);
        let stopped = world.stopgate(&["authority", "stop"]);
        assert_eq!(text(&stopped.stdout).trim(), "stopped", "{asked:?}: {stopped:?}");
        eventually("its process is over", || has_ended(authority.pid()).then_some(()));
        let next = world.authority();
        assert_ne!(next.pid(), authority.pid());
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "the connection is closed");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new();
    let mut command = world.command(&binary("stopgate"));
    command.args(["authority", "run"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut authority = command.spawn().unwrap();
    eventually("it serves", || serving(&world));
    let _stream = half_a_question(&world, HALF_A_BODY);
    assert!(serving(&world).is_some());
    signal(authority.id(), Signal::TERM);
    eventually("it no longer listens", || (!world.home.socket().exists()).then_some(()));
    signal(authority.id(), Signal::TERM);
    assert!(authority.wait().unwrap().success());
    let mut said = String::new();
    authority.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("asked to stop again: ending at once"), "{said}");
}

#[test]
fn a_removed_socket_is_bound_again_and_another_ones_place_is_left() {
    let world = World::new();
    let first = world.authority();
    let stopped = Stopped::new(first.pid());
    std::fs::remove_file(world.home.socket()).unwrap();
    let status = world.stopgate(&["authority", "status"]);
    drop(stopped);
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stdout).contains(&first.pid().to_string()), "it is named: {status:?}");
    eventually("the socket is there again", || serving(&world).filter(|pid| *pid == u64::from(first.pid())));

    // Somebody clears `run/`: whoever comes next has the place, and the first one leaves it alone.
    let stopped = Stopped::new(first.pid());
    std::fs::remove_file(world.home.lock()).unwrap();
    std::fs::remove_file(world.home.socket()).unwrap();
    let second = world.authority();
    drop(stopped);
    eventually("the first one makes way", || has_ended(first.pid()).then_some(()));
    assert!(world.home.socket().exists());
    assert_eq!(serving(&world), Some(u64::from(second.pid())));
}

#[test]
fn one_that_cannot_be_asked_is_ended_by_its_lock_and_a_stranger_is_not() {
    let world = World::new();
    let authority = world.authority();
    let stopped = Stopped::new(authority.pid());
    std::fs::remove_file(world.home.socket()).unwrap();
    std::fs::write(world.home.socket(), "mine").unwrap();
    drop(stopped);
    let stopped = world.stopgate(&["authority", "stop"]);
    assert_eq!(text(&stopped.stdout).trim(), "stopped", "{stopped:?}");
    eventually("its process is over", || has_ended(authority.pid()).then_some(()));
    assert_eq!(std::fs::read_to_string(world.home.socket()).unwrap(), "mine");

    let lock = std::fs::File::options().write(true).truncate(true).open(world.home.lock()).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    std::fs::write(world.home.lock(), own_text()).unwrap();
    let refused = world.stopgate(&["authority", "stop"]);
    assert_eq!(refused.status.code(), Some(1), "this test is no authority: {refused:?}");
    let said = text(&refused.stderr);
    assert!(said.contains(&format!("kill {}", std::process::id())) && said.contains("cannot be recognised"), "{said}");
}

#[test]
fn a_hung_authority_is_named_with_what_helps_and_ends_when_it_wakes() {
    let world = World::new();
    let authority = world.authority();
    let pid = authority.pid();
    let stopped = Stopped::new(pid);
    for arguments in [&["authority", "status"][..], &["status"], &["authority", "stop"], &["gate", "log"]] {
        let output = world.stopgate(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(&format!("kill -9 {pid}")), "{arguments:?}: {output:?}");
        assert_eq!(said.matches("does not answer").count(), 1, "{said}");
    }
    drop(stopped);
    eventually("it has been told", || has_ended(pid).then_some(()));
}

#[test]
fn a_start_that_fails_in_the_background_says_why() {
    let world = World::new();
    let _end = StopsAuthority(&world);
    world.home.create().unwrap();
    std::fs::write(world.home.socket(), "mine").unwrap();
    let failed = starting(&world, &["authority", "start"]);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = text(&failed.stderr);
    assert!(said.contains(world.home.socket().to_str().unwrap()) && said.contains("move it away"), "{said}");
    let log = std::fs::read_to_string(world.home.log().join("authority.jsonl")).unwrap();
    assert!(log.contains("move it away"), "{log}");
    std::fs::remove_file(world.home.socket()).unwrap();
    assert!(starting(&world, &["authority", "start"]).status.success());
    assert!(!world.home.run().join("authority.problem").exists());
}

#[test]
fn a_store_that_cannot_be_written_is_degraded_until_it_can() {
    let world = World::new();
    let mut command = world.command("/bin/sh".as_ref());
    command.args(["-c", "trap '' XFSZ; exec \"$STOPGATE\" authority run"]).env("STOPGATE", binary("stopgate"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut authority = command.spawn().unwrap();
    eventually("it serves", || serving(&world));
    let limit = |current| {
        let pid = Pid::from_raw(i32::try_from(authority.id()).unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    };
    world.start_session("before", world.root());
    limit(Some(0));
    assert!(world.stopgate(&["authority", "status"]).status.success(), "nobody has tried to write yet");
    assert_silent(&world.run_hook("session-start-recorder", &session_start("during", world.root(), "startup")));
    let degraded = world.stopgate(&["authority", "status"]);
    assert_eq!(degraded.status.code(), Some(1), "reading works all the time: {degraded:?}");
    let said = text(&degraded.stdout);
    assert!(said.contains("DEGRADED") && said.contains("stopgate.db") && said.contains("free space"), "{said}");
    limit(None);
    let status = world.stopgate(&["authority", "status"]);
    assert!(status.status.success(), "the disk has room again: {status:?}");
    authority.kill().unwrap();
    authority.wait().unwrap();
}

#[test]
fn what_is_counted_is_delivered_however_long_others_hold_the_store() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    world.set_mode("enforce");
    for (session, deadline) in [("short", "1000"), ("long", "3000")] {
        world.start_session(session, &checkout.top);
        let locked = rusqlite::Connection::open(world.home.database()).unwrap();
        locked.execute_batch("BEGIN IMMEDIATE").unwrap();
        let is_held = |deadline: &str| {
            let mut router = world.hook("stop-gate-router");
            router.env("STOPGATE_DEADLINE_MS", deadline);
            let payload = world.stop(session, &checkout.top, EXCUSE).to_string();
            checkout.work();
            text(&finish(router, Stdin::from(&*payload)).stdout).contains("\"block\"")
        };
        let mut held = (0..3).filter(|_| is_held(deadline)).count();
        locked.execute_batch("ROLLBACK").unwrap();
        held += (0..3).filter(|_| is_held("8000")).count();
        assert_eq!(held, 2, "{session}: each session is held twice, no more and no less");
    }
}

#[test]
fn a_recorded_agent_may_not_end_the_authority_whether_it_answers_or_not() {
    let world = World::new();
    let authority = world.authority();
    let try_to_stop = "\"$BIN/stopgate\" authority stop; echo stop=$?";
    let refused = |output: Output| {
        assert!(text(&output.stdout).contains("stop=2"), "{output:?}");
        assert!(text(&output.stderr).contains("refused: `authority stop` is the operator's"), "{output:?}");
    };
    refused(recorded_agent(&world, "s1", try_to_stop));
    assert_eq!(serving(&world), Some(u64::from(authority.pid())));
    // Anybody may see to it that one runs.
    let start = recorded_agent(&world, "s2", "\"$BIN/stopgate\" authority start; echo start=$?");
    assert!(text(&start.stdout).contains("start=0"), "{start:?}");

    let stopped = Stopped::new(authority.pid());
    refused(recorded_agent(&world, "s3", try_to_stop));
    drop(stopped);
    assert_eq!(serving(&world), Some(u64::from(authority.pid())), "no signal was sent");
    assert!(world.stopgate(&["authority", "stop"]).status.success(), "the person may");
    eventually("its process is over", || has_ended(authority.pid()).then_some(()));
}

#[test]
fn a_socket_that_is_somebody_elses_is_taken_back() {
    let world = World::new();
    let authority = world.authority();
    let stopped = Stopped::new(authority.pid());
    std::fs::remove_file(world.home.socket()).unwrap();
    drop(UnixListener::bind(world.home.socket()).unwrap());
    drop(stopped);
    eventually("the socket is ours again", || serving(&world).filter(|pid| *pid == u64::from(authority.pid())));
}

#[test]
fn a_verdict_that_was_given_outlives_store_and_authority() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.set_mode("enforce");
    world.start_session("s", &checkout.top);
    let locked = rusqlite::Connection::open(world.home.database()).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = format!("All done. token=hunter2 {}", "And so on. ".repeat(100));
    assert_eq!(world.stop_beside("s", &checkout.top, &said, "TOKEN=hunter2 npm run dev"), "");
    assert_eq!(world.spooled().len(), 0, "it was answered");
    let journal = world.home.run().join("answered.jsonl");
    assert!(!std::fs::read_to_string(&journal).unwrap().contains("hunter2"));
    authority.kill();
    locked.execute_batch("ROLLBACK").unwrap();
    let authority = world.authority();
    let row = authority.judged("s");
    assert_eq!((row.decision, row.fail_open), (Some(Decision::Allow), None));
    assert_eq!(std::fs::metadata(&journal).unwrap().len(), 0, "what is stored is not kept twice");
}
