//! Sessions of the real Claude Code client as they really are: below the daemon of background sessions, in two processes at
//! once, and in turns that a person cuts off.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::Value;
use stopgate_core::process::{Liveness, ProcFs, ProcessTable as _};
use stopgate_core::session::state::{ClientStatus, SessionState, Turn as WhoseTurn};
use stopgate_protocol::SessionRow;
use stopgate_tests::build::Said;
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::process::has_ended;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::World;

use crate::claude_reaper::Clients;

fn rows(world: &World) -> Vec<SessionRow> {
    serde_json::from_value(world.stopgate_json(&["sessions", "--all", "--json"])).unwrap()
}

fn row(world: &World, session: &str) -> SessionRow {
    rows(world).into_iter().find(|row| row.session_id == session).unwrap()
}

fn pid(row: &SessionRow) -> u32 {
    row.harness_process.as_ref().unwrap().pid
}

fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&ProcFs.command_line(pid)).replace('\0', " ")
}

/// What the client says of its background sessions.
fn agents(clients: &Clients, file: &Path) -> Vec<Value> {
    let pane =
        clients.start("agents", [], &format!("claude agents --json > '{}'; echo told; sleep 1000", file.display()));
    clients.wait_for(&pane, "told");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Has the client end its daemon when it is dropped, which no terminal and no network namespace ends.
struct StopsDaemon<'a>(&'a Clients);

impl Drop for StopsDaemon<'_> {
    fn drop(&mut self) {
        let world = &self.0.stage.site.world;
        let mut command = world.command(&world.root().join("bin/claude"));
        command.args(["daemon", "stop", "--any"]).env("HOME", &self.0.home).env("TMPDIR", self.0.home.join("tmp"));
        let _ = finish(command, Stdin::from(""));
    }
}

#[test]
fn a_session_in_the_background_is_its_worker_and_ends_without_the_daemon() {
    let Some(clients) = Clients::new() else { return };
    let world = &clients.stage.site.world;
    let _authority = world.authority();
    let stops = StopsDaemon(&clients);
    let line = "claude --bg 'write the parser' -n one; claude --bg 'write the tests' -n two; echo started; sleep 1000";
    let pane = clients.start("shell", [Turn::text("done"), Turn::text("done")], line);
    clients.wait_for(&pane, "started");
    let found = eventually("both have stopped", || {
        let found: Vec<SessionRow> =
            rows(world).into_iter().filter(|row| row.turn == Some(WhoseTurn::Stopped)).collect();
        (found.len() == 2).then_some(found)
    });
    let told = agents(&clients, &world.root().join("agents.json"));
    for row in &found {
        let its = told.iter().find(|told| told["sessionId"] == row.session_id.as_str()).unwrap();
        assert_eq!((pid(row), row.liveness), (u32::try_from(its["pid"].as_u64().unwrap()).unwrap(), Liveness::Alive));
        assert_eq!(row.tmux, None, "it has no terminal");
        eventually("it says itself that it is idle", || {
            (self::row(world, &row.session_id).told?.status == ClientStatus::Idle).then_some(())
        });
    }
    let [first, second] = &found[..] else { panic!() };
    let parent = |pid: u32| match ProcFs.row(pid) {
        stopgate_core::process::Lookup::Found(row) => row.parent,
        other => panic!("{pid}: {other:?}"),
    };
    let daemon = parent(parent(pid(first)));
    assert_eq!(daemon, parent(parent(pid(second))), "the client has changed: {}", command_line(daemon));
    assert!(command_line(daemon).contains(" daemon run "), "{}", command_line(daemon));

    let ended = Said::from(world.stopgate(&["sessions", "end", &first.session_id, "--yes"])).ok().out;
    assert!(ended.starts_with("terminated"), "{ended}");
    assert!(has_ended(pid(first)) && !has_ended(pid(second)) && !has_ended(daemon));
    assert_eq!(
        [row(world, &first.session_id).state, row(world, &second.session_id).state],
        [SessionState::Ended, SessionState::Idle]
    );
    drop(stops);
    eventually("the daemon has ended", || has_ended(daemon).then_some(()));
}

#[test]
fn a_session_that_is_open_in_a_terminal_outlives_one_that_takes_it_up_beside() {
    let Some(clients) = Clients::new() else { return };
    let world = &clients.stage.site.world;
    let _authority = world.authority();
    let pane = clients.start("open", [Turn::text("The parser is in.")], "claude --permission-mode default");
    clients.prompt(&pane, "write the parser");
    clients.wait_for(&pane, "The parser is in.");
    let open = clients.session(&pane, SessionState::Idle);
    let id = &open.session_id;
    let beside = format!("claude -p --resume {id} 'and the tests'; echo over; sleep 1000");
    let beside = clients.start("beside", [Turn::text("The tests are in.")], &beside);
    clients.wait_for(&beside, "The tests are in.");
    clients.wait_for(&beside, "over");
    let left = row(world, id);
    assert!(left.last_events["SessionEnd"] > open.last_event_at_ms.unwrap(), "it has said that it ends: {left:?}");
    assert_eq!((left.state, left.liveness, left.ended_at_ms), (SessionState::Idle, Liveness::Alive, None));
    assert_eq!((pid(&left), left.tmux), (pid(&open), open.tmux));
}

#[test]
fn a_turn_that_is_cut_off_leaves_the_session_idle() {
    let Some(clients) = Clients::new() else { return };
    let world = &clients.stage.site.world;
    let _authority = world.authority();
    let late = Turn::text("late").after(std::time::Duration::from_mins(10));
    let pane = clients.start("cut", [late], "claude --permission-mode default");
    clients.prompt(&pane, "think about it");
    let working = clients.session(&pane, SessionState::Working);
    // Once it says so itself, Esc reaches the turn.
    eventually("it is busy", || (row(world, &working.session_id).told?.status == ClientStatus::Busy).then_some(()));
    clients.stage.tmux(&["send-keys", "-t", &pane, "Escape"]);
    let idle = clients.session(&pane, SessionState::Idle);
    assert_eq!(idle.turn, Some(WhoseTurn::Prompted), "no hook has told");
    assert_eq!(idle.waits_for.as_deref(), Some("a prompt"));
}
