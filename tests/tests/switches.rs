//! Kill switch and mode when things go wrong: no flip is carried out after its time, and `kill on` works whenever a
//! file can be made at all.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use stopgate_core::clock::monotonic_ms;
use stopgate_core::switch::stamp;
use stopgate_protocol::{Endpoint, GetHealth, SetKill, SetMode};
use stopgate_tests::person::text;
use stopgate_tests::process::Stopped;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{RunningAuthority, World, binary};

/// The kill switch, after the authority has come to what lay in its socket.
fn is_killed_after_waking(world: &World, authority: &RunningAuthority<'_>) -> bool {
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(authority.request("GET", GetHealth::PATH, &Value::Null).status, 200);
    world.home.kill_file().exists()
}

fn mode_file(world: &World) -> String {
    std::fs::read_to_string(world.home.mode_file()).unwrap()
}

#[test]
fn a_kill_off_that_nobody_waits_for_lifts_nothing() {
    let world = World::new();
    let authority = world.authority();
    assert!(world.stopgate(&["kill", "on"]).status.success());
    let stopped = Stopped::new(authority.pid());
    assert!(world.stopgate(&["kill", "off"]).status.success(), "the file does not need the authority");
    assert!(!world.home.kill_file().exists());
    File::create(world.home.kill_file()).unwrap();
    drop(stopped);
    assert!(is_killed_after_waking(&world, &authority), "the person has turned it on since");
    assert!(world.stopgate(&["kill", "off"]).status.success());
    assert!(!is_killed_after_waking(&world, &authority), "one that is waited for does");
}

#[test]
fn a_kill_on_that_was_done_is_not_done_again() {
    let world = World::new();
    let authority = world.authority();
    let stopped = Stopped::new(authority.pid());
    assert!(world.stopgate(&["kill", "on"]).status.success());
    std::fs::remove_file(world.home.kill_file()).unwrap();
    drop(stopped);
    assert!(!is_killed_after_waking(&world, &authority), "the person has lifted it since");
    assert!(world.stopgate(&["kill", "on", "--reason", "loop"]).status.success());
    assert!(is_killed_after_waking(&world, &authority));
    let noted = rusqlite::Connection::open(world.home.database()).unwrap().query_row(
        "SELECT detail FROM operator_actions WHERE action = 'kill on' ORDER BY id DESC LIMIT 1",
        [],
        |row| row.get::<_, String>(0),
    );
    assert_eq!(noted.unwrap(), "loop", "the authority takes note of the one it heard of in time");
}

/// Puts a request into the authority's socket; whoever holds the stream waits for the answer.
fn send(world: &World, route: &str, body: &Value) -> UnixStream {
    let mut stream = UnixStream::connect(world.home.socket_to_connect().unwrap()).unwrap();
    let body = body.to_string();
    let head =
        format!("POST {route} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}

#[test]
fn a_mode_that_nobody_waits_for_is_not_set() {
    let world = World::new();
    let authority = world.authority();
    let stopped = Stopped::new(authority.pid());
    // What any client leaves behind, also one that says nothing about its deadline.
    drop(send(&world, SetMode::PATH, &json!({"mode": "enforce"})));
    drop(send(&world, SetKill::PATH, &json!({"value": true})));
    let set = world.stopgate(&["mode", "enforce", "--yes"]);
    assert!(set.status.success() && text(&set.stderr).contains("was written to"), "{set:?}");
    std::fs::write(world.home.mode_file(), "off\n").unwrap();
    drop(stopped);
    assert!(!is_killed_after_waking(&world, &authority));
    assert_eq!(mode_file(&world), "off\n", "the person has turned it off since");
    let _asker = send(&world, SetMode::PATH, &json!({"mode": "enforce"}));
    stopgate_tests::run::eventually("one that is waited for is", || (mode_file(&world) == "enforce\n").then_some(()));
}

#[test]
fn a_flip_counts_until_its_deadline_and_for_the_state_it_saw() {
    let world = World::new();
    let authority = world.authority();
    let flip = |route: &str, body: &Value| authority.request("POST", route, body).status;
    let (mode, kill) = (world.home.mode_file(), world.home.kill_file());

    assert_eq!(flip(SetMode::PATH, &json!({"mode": "enforce", "seen": "absent"})), 200);
    assert_eq!(flip(SetMode::PATH, &json!({"mode": "off", "seen": "absent"})), 409, "somebody has chosen since");
    assert_eq!(mode_file(&world), "enforce\n");
    assert_eq!(flip(SetMode::PATH, &json!({"mode": "off", "seen": stamp(&mode)})), 200);

    File::create(&kill).unwrap();
    let seen = stamp(&kill);
    std::fs::remove_file(&kill).unwrap();
    std::fs::write(&kill, "again").unwrap();
    let off = |until: u64, seen: &str| json!({"value": false, "seen": seen, "until_monotonic_ms": until});
    let later = monotonic_ms() + 60_000;
    assert_eq!(flip(SetKill::PATH, &off(later, &seen)), 409, "it was turned on again since");
    assert_eq!(flip(SetKill::PATH, &off(monotonic_ms() - 1, &stamp(&kill))), 409, "late");
    assert!(kill.exists());
    assert_eq!(flip(SetKill::PATH, &off(later, &stamp(&kill))), 200);
    assert_eq!(flip(SetKill::PATH, &json!({"value": true, "done": true})), 200);
    assert!(!kill.exists(), "a note is no flip");
    assert_eq!(flip(SetKill::PATH, &json!({"value": true})), 200);
    assert!(kill.exists());
}

/// The CLI where files can be made but nothing can be written into them, as on a full disk.
fn on_a_full_disk(world: &World, arguments: &str) -> Output {
    let mut command = world.command("/bin/sh".as_ref());
    let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$STOPGATE\" {arguments}");
    command.args(["-c", &script]).env("STOPGATE", binary("stopgate"));
    finish(command, Stdin::from(""))
}

#[test]
fn on_a_full_disk_the_kill_switch_works_and_the_mode_says_what_helps() {
    let world = World::new();
    world.home.create().unwrap();
    let mode = on_a_full_disk(&world, "mode off");
    assert_eq!(mode.status.code(), Some(1), "{mode:?}");
    let said = text(&mode.stderr);
    assert!(said.contains(world.home.mode_file().to_str().unwrap()) && said.contains("Make room"), "{said}");
    assert!(!world.home.mode_file().exists());

    let killed = on_a_full_disk(&world, "kill on --reason loop");
    assert!(killed.status.success() && text(&killed.stdout).starts_with("kill switch: on"), "{killed:?}");
    assert!(text(&killed.stderr).contains("who and why could not be written"), "{killed:?}");
    assert_eq!(std::fs::read(world.home.kill_file()).unwrap(), b"");
    let names: Vec<_> = std::fs::read_dir(world.home.kill_file().parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing half-written stays: {names:?}");
    assert!(world.stopgate(&["kill", "off"]).status.success());
}

#[test]
fn where_no_file_can_be_made_kill_on_says_so_and_what_helps() {
    let world = World::new();
    std::fs::write(world.home.root(), "a file in the place of the home").unwrap();
    let killed = world.stopgate(&["kill", "on"]);
    assert_eq!(killed.status.code(), Some(1), "{killed:?}");
    let said = text(&killed.stderr);
    assert!(said.contains("NOT on") && said.contains("switches/kill") && said.contains("STOPGATE_KILL=1"), "{said}");
}

#[test]
fn flips_and_the_end_of_the_authority_are_told_in_json() {
    let world = World::new();
    let authority = world.authority();
    let state = |on: bool, prior: bool| json!({"kill_switch": on, "prior": prior, "changed": on != prior});
    assert_eq!(world.stopgate_json(&["kill", "on", "--json"]), state(true, false));
    assert_eq!(world.stopgate_json(&["kill", "on", "--json"]), state(true, true));
    assert_eq!(world.stopgate_json(&["kill", "off", "--json"]), state(false, true));
    assert_eq!(world.stopgate_json(&["kill", "off", "--json"]), state(false, false));
    let end = |stopped: bool| json!({"stopped": stopped, "status": "not running"});
    assert_eq!(world.stopgate_json(&["authority", "stop", "--json"]), end(true));
    assert_eq!(world.stopgate_json(&["authority", "stop", "--json"]), end(false));
    drop(authority);
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure_and_a_reader_that_hung_up_is_none() {
    let world = World::new();
    let status = || -> Command {
        let mut command = world.command(&binary("stopgate"));
        command.arg("status");
        command
    };
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(status().stdout(full).status().unwrap().code(), Some(1));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let report = world.command(&binary("installer")).args(["doctor", "--json"]).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&report.stderr);
    assert!(report.status.code() == Some(1) && said.contains("cannot print the result"), "{report:?}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = status().stdout(writer).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
