//! The authority's life: started on demand, one at a time, private, replaced, and drained into.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use stopgate_core::process::stat::Stat;
use stopgate_core::protocol::ROUTE_EVENTS;
use stopgate_core::spool::SpoolRoute;
use stopgate_protocol::{Endpoint, GetHealth, SetKill, SetMode, Shutdown};
use stopgate_tests::agent::{agent, recorded_agent};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::person::text;
use stopgate_tests::process::Stopped;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, PLAIN, StopsAuthority, World, assert_silent, session_start, stop};

fn health(world: &World) -> Value {
    world.stopgate_json(&["authority", "status", "--json"])
}

#[test]
fn start_status_and_stop() {
    let world = World::new();
    let _end = StopsAuthority(&world);
    let status = world.stopgate(&["authority", "status"]);
    assert_eq!((status.status.code(), text(&status.stdout).trim()), (Some(1), "not running"));
    let mut start = world.autostarting("stopgate");
    start.args(["authority", "start"]);
    let started = finish(start, Stdin::from(""));
    assert!(started.status.success() && text(&started.stdout).starts_with("running, version"), "{started:?}");
    let first = health(&world)["pid"].clone();

    let mut again = world.autostarting("stopgate");
    again.args(["authority", "start"]);
    assert!(finish(again, Stdin::from("")).status.success());
    assert_eq!(health(&world)["pid"], first, "the one that runs is kept");

    let second = world.stopgate(&["authority", "run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&format!("another authority runs already (pid {first})")), "{second:?}");

    assert_eq!(text(&world.stopgate(&["authority", "stop"]).stdout).trim(), "stopped");
    assert_eq!(text(&world.stopgate(&["authority", "stop"]).stdout).trim(), "not running");
    assert!(!world.home.socket().exists());
}

#[test]
fn an_end_is_asked_for_whatever_the_body_is() {
    let world = World::new();
    let authority = world.authority();
    let asked = authority.request("POST", Shutdown::PATH, &json!("nonsense"));
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), json!({"stopping": true}), "{asked:?}");
    eventually("it ends", || (!world.home.socket().exists()).then_some(()));
}

#[test]
fn everything_is_private() {
    let world = World::new();
    let _authority = world.authority();
    world.start_session("s", world.root());
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in ["", "run", "switches", "spool", "log"] {
        assert_eq!(mode(&world.home.root().join(dir)), 0o700, "{dir}");
    }
    for file in [world.home.socket(), world.home.lock(), world.home.database()] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn the_recorder_starts_it_writes_the_row_itself_and_lets_go_of_the_harness() {
    let world = World::new();
    let _end = StopsAuthority(&world);
    let mut recorder = world.autostarting("session-start-recorder");
    recorder.arg("claude").env("SECRET_OF_THE_HARNESS", "hunter2");
    // `finish` reads stdout to its end: an authority that held it open would hang here.
    let output = finish(recorder, Stdin::from(&*session_start("s1", world.root(), "startup").to_string()));
    assert_silent(&output);
    let pid = eventually("the authority answers", || {
        let status = world.stopgate(&["authority", "status", "--json"]);
        serde_json::from_slice::<Value>(&status.stdout).ok()?["pid"].as_u64()
    });
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(!text(&environment).contains("hunter2"), "the harness's environment holds keys");
    let sessions = world.stopgate_json(&["sessions", "--json"]);
    assert_eq!(sessions[0]["session_id"], "s1");
    assert!(sessions[0]["started_at"].as_str().unwrap().ends_with('Z'));

    // It has a session of its own, and only null behind the standard handles.
    let stat = Stat::of(u32::try_from(pid).unwrap()).unwrap();
    assert_eq!(stat.number(6), Some(pid), "the session of the process");
    for handle in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{handle}")).unwrap();
        assert_eq!(target, Path::new("/dev/null"));
    }
}

#[test]
fn without_permission_to_start_it_the_recorder_only_writes() {
    let world = World::new();
    world.start_session("s1", world.root());
    assert!(world.home.database().exists() && !world.home.socket().exists());
    let sessions = world.stopgate(&["sessions", "--json"]);
    let rows: Value = serde_json::from_slice(&sessions.stdout).unwrap();
    assert_eq!(rows[0]["session_id"], "s1", "the CLI reads the store without an authority");
    assert!(text(&sessions.stderr).contains("STOPGATE_NO_AUTOSTART"));
}

#[test]
fn many_first_starts_at_once_leave_one_authority_and_every_session() {
    let world = World::new();
    let _end = StopsAuthority(&world);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let mut recorder = world.autostarting("session-start-recorder");
                recorder.arg("claude");
                let payload = session_start(&format!("s{number}"), world.root(), "startup");
                assert_silent(&finish(recorder, Stdin::from(&*payload.to_string())));
            });
        }
    });
    let serving = || std::fs::read_to_string(world.home.log().join("authority.jsonl")).unwrap_or_default();
    eventually("one serves", || serving().contains("\"serving\"").then_some(()));
    // A recorder that lost every race for the store has spooled its event; the authority drains it.
    eventually("all sessions are known", || {
        (world.stopgate_json(&["sessions", "--json"]).as_array()?.len() == 8).then_some(())
    });
    let serving = serving();
    assert_eq!(serving.matches("\"serving\"").count(), 1, "{serving}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_killed_authority_leaves_nothing_in_the_way() {
    let world = World::new();
    let authority = world.authority();
    let first = authority.pid();
    authority.kill();
    assert!(world.home.socket().exists(), "kill -9 leaves the socket");
    let authority = world.authority();
    assert_ne!(health(&world)["pid"], first);
    drop(authority);
}

#[test]
fn a_home_with_a_long_path_works_through_a_short_socket() {
    let world = World::with_home(&"long é ".repeat(20));
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    world.stop_session("s1", &checkout.top, EXCUSE);
    assert!(authority.judged("s1").would_block);
    let target = std::fs::read_link(world.home.socket()).unwrap();
    assert_eq!(std::fs::metadata(target.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn an_older_authority_is_asked_to_hand_over() {
    let world = World::new();
    let _end = StopsAuthority(&world);
    world.home.create().unwrap();
    let old = json!({"status": "ok", "version": "0.0.1", "protocol": 1, "pid": 1, "started_at_ms": 0, "problem": null});
    let fake = FakeAuthority::listen(&world.home.socket(), Behaviour::answer("200 OK", &old.to_string()));
    let mut start = world.autostarting("stopgate");
    start.args(["authority", "start"]).stdout(Stdio::piped());
    let starter = std::thread::spawn(move || finish(start, Stdin::from("")));
    // Who it is, health, then shutdown; then the old one goes, as a real one does.
    eventually("the old authority is asked to stop", || (fake.connections() >= 3).then_some(()));
    drop(fake);
    let outcome = starter.join().unwrap();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(health(&world)["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn another_protocol_is_refused_and_the_hook_fails_open() {
    let world = World::new();
    let authority = world.authority();
    let mut stream = std::os::unix::net::UnixStream::connect(world.home.socket_to_connect().unwrap()).unwrap();
    stream
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nx-stopgate-protocol: 999\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    assert_eq!(authority.request("GET", GetHealth::PATH, &Value::Null).status, 200);
    assert_eq!(authority.request("GET", "/nothing", &Value::Null).status, 404);
    assert_eq!(authority.request("POST", ROUTE_EVENTS, &json!({"event_id": "x"})).status, 400);
}

#[test]
fn what_could_not_be_delivered_is_drained_and_told_as_it_was() {
    let world = World::new();
    world.home.create().unwrap();
    let said = format!("{EXCUSE} token=hunter2");
    assert_eq!(world.stop_beside("s1", world.root(), &said, "TOKEN=hunter2 npm run dev"), "");
    assert_eq!(world.spooled().len(), 1);
    assert!(!text(&world.spooled()[0].body).contains("hunter2"), "secrets do not lie on disk");
    std::fs::write(world.home.spool().join("00000000-0000-7000-8000-000000000000.event.json"), "{broken").unwrap();
    let authority = world.authority();
    let row = eventually("the stop is drained", || authority.log().pop());
    assert_eq!((row.decision, row.fail_open.as_deref()), (None, Some("undelivered")));
    eventually("the spool is empty", || world.spooled().is_empty().then_some(()));
    assert!(world.home.spool().join("00000000-0000-7000-8000-000000000000.event.rejected").exists());
}

#[test]
fn an_acknowledged_stop_survives_kill_9() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    for number in 0..20 {
        assert_silent(&world.run_hook("stop-gate-router", &stop(&format!("k{number}"), &checkout.top, EXCUSE)));
    }
    authority.kill();
    let spooled = world.spooled().len();
    let authority = world.authority();
    eventually("every stop is in the log", || (authority.log().len() + spooled >= 20).then_some(()));
    let open = authority.log().into_iter().filter(|row| row.fail_open.as_deref() == Some("pending")).count();
    assert_eq!(open, 0, "what was being judged is marked as interrupted");
}

#[test]
fn a_degraded_store_is_said_and_serving_goes_on() {
    let world = World::new();
    world.home.create().unwrap();
    std::fs::write(world.home.database(), "this is not a database ".repeat(100)).unwrap();
    let authority = world.authority();
    let status = world.stopgate(&["authority", "status"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(text(&status.stdout).contains("DEGRADED"), "{status:?}");
    world.set_mode("enforce");
    assert_eq!(world.stop_session("s1", world.root(), EXCUSE), "");
    assert_eq!(std::fs::read_to_string(world.home.database()).unwrap().len(), 2300, "the file is not touched");
    drop(authority);
}

#[test]
fn an_agent_may_not_turn_its_gate_off_in_any_way_and_may_turn_it_up() {
    let world = World::new();
    let authority = world.authority();
    world.set_mode("enforce");
    let unknown = agent(&world, "\"$BIN/stopgate\" mode shadow; echo mode=$?");
    assert!(text(&unknown.stdout).contains("mode=2"), "one that nobody has recorded is an agent, too: {unknown:?}");
    world.set_mode("shadow");
    let tightened = agent(&world, "\"$BIN/stopgate\" mode enforce --yes; true");
    assert!(text(&tightened.stdout).contains("shadow -> enforce"), "{tightened:?}");

    let script = "\"$BIN/stopgate\" mode off; echo mode=$?\n\
                  \"$BIN/stopgate\" kill on --reason stuck; echo on=$?\n\
                  \"$BIN/stopgate\" kill off; echo off=$?";
    let output = recorded_agent(&world, "s1", script);
    let said = text(&output.stdout);
    assert!(said.contains("mode=2") && said.contains("on=2") && said.contains("off=2"), "{output:?}");
    assert!(text(&output.stderr).contains("refused: `mode off` is the operator's"), "{output:?}");
    let process = authority.sessions()[0].harness_process.clone().unwrap();
    assert_eq!(process.command, "claude");

    assert_eq!(std::fs::read_to_string(world.home.mode_file()).unwrap(), "enforce\n");
    assert_eq!(world.stopgate_json(&["status", "--json"])["kill_switch"], false);
    // Whoever is no agent.
    assert!(world.stopgate(&["kill", "on"]).status.success() && world.stopgate(&["kill", "off"]).status.success());
    world.set_mode("off");
    let refusals = rusqlite::Connection::open(world.home.database())
        .unwrap()
        .query_row("SELECT count(*) FROM operator_actions WHERE outcome = 'refused'", [], |row| row.get::<_, i64>(0))
        .unwrap();
    assert_eq!(refusals, 3, "`kill on` is refused before anybody is asked");
}

#[test]
fn the_refusal_holds_without_an_authority_too() {
    let world = World::enforcing();
    let output = recorded_agent(&world, "s1", "\"$BIN/stopgate\" mode off; echo mode=$?");
    assert!(text(&output.stdout).contains("mode=2"), "{output:?}");
    let person = world.stopgate(&["mode", "off"]);
    assert!(person.status.success() && text(&person.stderr).contains("was written to"), "{person:?}");
}

#[test]
fn mode_and_kill_routes_check_their_bodies() {
    let world = World::new();
    let authority = world.authority();
    for (route, body) in [
        (SetMode::PATH, json!({"mode": "loud"})),
        (SetMode::PATH, json!({})),
        (SetKill::PATH, json!({"value": "true"})),
        (SetKill::PATH, json!({})),
    ] {
        assert_eq!(authority.request("POST", route, &body).status, 400, "{route} {body}");
    }
    assert!(!world.home.mode_file().exists() && !world.home.kill_file().exists());
    let flip = |body: Value| -> Value {
        serde_json::from_slice(&authority.request("POST", SetMode::PATH, &body).body).unwrap()
    };
    assert_eq!(flip(json!({"mode": "enforce"})), json!({"mode": "enforce", "prior": "shadow", "changed": true}));
    assert_eq!(flip(json!({"mode": "enforce"})), json!({"mode": "enforce", "prior": "enforce", "changed": false}));
}

#[test]
fn enforcing_asks_first_and_refuses_where_nobody_can_answer() {
    let world = World::new();
    let refused = world.stopgate(&["mode", "enforce"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--yes") && !world.home.mode_file().exists());
    let shown = world.stopgate(&["mode"]);
    assert!(text(&shown.stdout).starts_with("shadow (every stop is judged and recorded, none is blocked, by default)"));
}

#[test]
fn status_shows_what_fired() {
    let world = World::new();
    let _authority = world.authority();
    world.start_session("s1", world.root());
    world.stop_session("s1", world.root(), PLAIN);
    let status = world.stopgate_json(&["status", "--json"]);
    assert!(status["hooks"]["stop-gate-router"]["delivered"].is_string(), "{status}");
    assert!(status["hooks"]["build-stop-hook"]["fired"].is_null(), "{status}");
    assert_eq!((&status["mode"], &status["kill_switch"]), (&json!("shadow"), &json!(false)));
    let said = text(&world.stopgate(&["status"]).stdout);
    assert!(said.contains("build-stop-hook") && said.contains("never"), "{said}");
}

#[test]
fn a_stopped_authority_costs_the_harness_no_more_than_the_deadline_and_nothing_is_lost() {
    let world = World::new();
    let authority = world.authority();
    let stopped = Stopped::new(authority.pid());
    assert_silent(&world.run_hook("stop-gate-router", &stop("s1", world.root(), EXCUSE)));
    assert_silent(&world.run_hook("session-start-recorder", &session_start("s1", world.root(), "startup")));
    let routes: Vec<_> = world.spooled().iter().map(|one| one.route).collect();
    assert_eq!(routes, [SpoolRoute::Evaluate], "the stop; the start is in the store");
    drop(stopped);
    // What lay in the socket is answered late, what was spooled is drained: the stop is there once.
    let stops = || authority.log().iter().filter(|row| row.session_id == "s1").count();
    eventually("the stop is on record", || (stops() > 0).then_some(()));
    eventually("the start is on record", || {
        authority.sessions().iter().any(|row| row.session_id == "s1" && row.started_at_ms.is_some()).then_some(())
    });
    assert_eq!(stops(), 1);
}
