//! The registry through the real hooks, authority and CLI: what sessions do, who continues whom, and who is gone.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Payload, parse};
use stopgate_core::process::Liveness;
use stopgate_core::protocol::{HookEvent, Origin};
use stopgate_core::session::Harness;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::SessionRow;
use stopgate_store::Store;
use stopgate_tests::build::{Agent, Site, Tmux};
use stopgate_tests::process::signal;
use stopgate_tests::run::eventually;
use stopgate_tests::world::{RunningAuthority, World, session_start, stop, with};

fn event(session: &str, name: &str) -> Value {
    json!({"session_id": session, "cwd": "/", "hook_event_name": name, "prompt": "go", "reason": "other",
           "tool_name": "Bash", "transcript_path": format!("/nowhere/{session}.jsonl")})
}

fn all(world: &World) -> Vec<SessionRow> {
    serde_json::from_value(world.stopgate_json(&["sessions", "--all", "--json"])).unwrap()
}

fn row(world: &World, session: &str) -> SessionRow {
    all(world).into_iter().find(|row| row.session_id == session).unwrap()
}

/// The states of `sessions`, in that order.
fn states(world: &World, sessions: &[&str]) -> Vec<SessionState> {
    let rows = all(world);
    let state = |id: &&str| rows.iter().find(|row| row.session_id == *id).unwrap().state;
    sessions.iter().map(state).collect()
}

#[test]
fn a_session_goes_through_its_states() {
    let world = World::new();
    let authority = world.authority();
    let record = |payload: &Value| assert!(world.run_hook("session-start-recorder", payload).status.success());
    let expect = |state: SessionState, waits_for: Option<&str>| {
        let row = row(&world, "s");
        assert_eq!((row.state, row.waits_for.as_deref()), (state, waits_for));
    };
    record(&session_start("s", world.root(), "startup"));
    expect(SessionState::Starting, Some("a prompt"));
    record(&event("s", "UserPromptSubmit"));
    expect(SessionState::Working, None);
    record(&event("s", "PermissionRequest"));
    expect(SessionState::Waiting, Some("permission for Bash"));
    record(&event("s", "UserPromptSubmit"));
    record(&event("s", "PreCompact"));
    record(&session_start("s", world.root(), "compact"));
    expect(SessionState::Working, None);
    let stop = with(stop("s", world.root(), "done"), "background_tasks", json!([{"id": "1"}]));
    assert!(world.run_hook("stop-gate-router", &stop).status.success());
    authority.judged("s");
    expect(SessionState::Idle, Some("1 background task"));
    record(&event("s", "SessionEnd"));
    expect(SessionState::Ended, None);
    let ended = row(&world, "s");
    assert_eq!(ended.end_reason.as_deref(), Some("other"));
    let seen: Vec<&str> = ended.last_events.keys().map(String::as_str).collect();
    assert_eq!(seen, ["PermissionRequest", "PreCompact", "SessionEnd", "SessionStart", "Stop", "UserPromptSubmit"]);
    record(&session_start("s", world.root(), "resume"));
    expect(SessionState::Starting, Some("a prompt"));
    let resumed = row(&world, "s");
    assert_eq!(resumed.started_at_ms, ended.started_at_ms, "the first start never moves");
    assert_eq!(resumed.end_reason, None);
}

#[test]
fn who_says_clear_in_the_same_process_retires_the_old_one_with_and_without_a_session_end() {
    let site = Site::new();
    let _authority = site.world.authority();
    let claude = site.claude();
    claude.starts("c1", "startup");
    claude.ends("c1", "clear");
    claude.starts("c2", "clear");
    let codex = site.agent("codex");
    codex.starts("x1", "startup");
    codex.starts("x2", "clear");
    for (old, new) in [("c1", "c2"), ("x1", "x2")] {
        let (old, new) = (row(&site.world, old), row(&site.world, new));
        assert_eq!((old.state, old.end_reason.as_deref()), (SessionState::Ended, Some("clear")));
        assert_eq!(old.successor.as_deref(), Some(new.session_id.as_str()));
        assert_eq!((new.state, new.predecessor), (SessionState::Starting, Some(old.session_id)));
    }
    // Codex reports the end of the old one when it exits.
    codex.ends("x1", "other");
    assert_eq!(row(&site.world, "x1").end_reason.as_deref(), Some("clear"));
    // The old conversation is taken up again elsewhere.
    let other = site.agent("codex");
    other.starts("x1", "resume");
    assert_eq!(row(&site.world, "x1").state, SessionState::Starting);
}

#[test]
fn forks_other_processes_and_two_in_one_process_retire_nobody() {
    let site = Site::new();
    let _authority = site.world.authority();
    let claude = site.claude();
    claude.starts("a", "startup");
    claude.starts("fork", "fork");
    assert_eq!(row(&site.world, "fork").predecessor.as_deref(), Some("a"));
    let elsewhere = site.claude();
    elsewhere.starts("b", "clear");
    let two = site.claude();
    two.starts("t1", "startup");
    two.starts("t2", "startup");
    two.starts("t3", "clear");
    assert_eq!(row(&site.world, "t3").predecessor, None, "there is a choice");
    let live = ["a", "fork", "b", "t1", "t2", "t3"];
    assert_eq!(states(&site.world, &live), [SessionState::Starting; 6]);
    // The one that ends is the one that said so.
    two.ends("t2", "other");
    assert_eq!(states(&site.world, &["t1", "t2", "t3"])[1], SessionState::Ended);
    assert_eq!(states(&site.world, &["t1", "t3"]), [SessionState::Starting; 2]);
}

#[test]
fn a_killed_harness_is_gone_also_while_nobody_has_waited_for_it() {
    let site = Site::new();
    let _authority = site.world.authority();
    let mut agent = site.claude();
    agent.starts("s", "startup");
    let alive = row(&site.world, "s");
    assert_eq!(alive.liveness, Liveness::Alive);
    assert!(alive.memory_bytes.unwrap() > 0 && alive.host.is_some() && alive.harness_process.is_some());
    // The test, its parent, has not waited for it: a zombie.
    signal(agent.pid(), Signal::KILL);
    eventually("the session is gone", || (row(&site.world, "s").state == SessionState::Gone).then_some(()));
    agent.kill();
    let gone = row(&site.world, "s");
    assert_eq!((gone.state, gone.liveness, gone.memory_bytes), (SessionState::Gone, Liveness::Gone, None));
    let listed = site.world.stopgate_json(&["sessions", "--json"]);
    assert_eq!(listed[0]["state"], "gone", "one that vanished can be taken up again: it stays in the list");
}

/// Without what differs from look to look.
fn lasting(mut rows: Vec<SessionRow>) -> Vec<SessionRow> {
    for row in &mut rows {
        row.memory_bytes = None;
    }
    rows.sort_by(|left, right| left.session_id.cmp(&right.session_id));
    rows
}

#[test]
fn nothing_depends_on_the_authority_s_memory() {
    let site = Site::new();
    let first: RunningAuthority<'_> = site.world.authority();
    let agent: Agent<'_> = site.claude();
    agent.starts("a", "startup");
    agent.records(&event("a", "UserPromptSubmit"));
    agent.ends("a", "clear");
    agent.starts("b", "clear");
    let git = eventually("the fingerprint is taken", || {
        let rows = lasting(all(&site.world));
        rows.iter().all(|row| row.dirty_at_start.is_some()).then_some(rows)
    });
    first.kill();
    assert_eq!(lasting(all(&site.world)), git, "from the store alone");
    agent.records(&event("b", "UserPromptSubmit"));
    let _second = site.world.authority();
    let now = lasting(all(&site.world));
    assert_eq!(now[0], git[0]);
    assert_eq!((now[1].state, &now[1].predecessor), (SessionState::Working, &git[1].predecessor));
}

#[test]
fn what_only_the_authority_notes_of_a_start_is_noted_also_if_the_hook_was_out_of_patience() {
    let site = Site::new();
    site.world.start_session("s", site.top());
    assert_eq!(row(&site.world, "s").dirty_at_start, None, "the hook wrote it, without an authority");
    let authority = site.world.authority();
    let mut store = Store::open(&site.world.home, Duration::from_secs(5)).unwrap();
    let parsed = parse(Some(Harness::Claude), session_start("t", site.top(), "startup").to_string().as_bytes());
    let Ok(Payload::Known(event)) = parsed else { panic!("{parsed:?}") };
    let mut deliver = |session: &str, ago_ms: i64| {
        let mut event = event.clone();
        event.key.session_id = session.to_owned();
        let at_ms = SystemClock.now_ms() - ago_ms;
        let late =
            HookEvent { event_id: new_event_id(&SystemClock), at_ms, boot_ms: None, origin: Origin::default(), event };
        store.record_event(&late).unwrap();
        assert!(!authority.call(&late).recorded);
    };
    // Long ago: the checkout is no longer what it was then.
    deliver("old", 60_000);
    deliver("t", 0);
    eventually("the fingerprint is taken", || row(&site.world, "t").dirty_at_start);
    // An end in good order waits for what is under way.
    assert!(site.world.stopgate(&["authority", "stop"]).status.success());
    assert_eq!(row(&site.world, "old").dirty_at_start, None);
}

#[test]
fn a_session_in_tmux_is_known_by_its_place() {
    let site = Site::new();
    let _authority = site.world.authority();
    let tmux = Tmux::new(&site, "tm");
    let agent = tmux.agent(&["new-session", "-s", "my work"]);
    agent.starts("s", "startup");
    let place = eventually("the place is noted", || row(&site.world, "s").tmux.filter(|place| place.session.is_some()));
    assert_eq!((place.session.as_deref(), place.pane.as_str()), (Some("my work"), agent.pane.as_str()));
    assert_eq!(place.server, tmux.socket.to_str().unwrap());
    assert!(place.server_pid.is_some());
}
