//! Faults of the authority's process.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use stopgate_core::VERSION;
use stopgate_protocol::{Endpoint, GetHealth};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority, answer};
use stopgate_tests::process::{Stopped, has_ended, signal};
use stopgate_tests::run::eventually;

use crate::cell::{Allows, Blocks, Expected, Fault, InForce, NONE, Strike};
use crate::place::Place;

/// Pauses the authority for good: what follows kills it.
fn pause(place: &Place) {
    place.start_authority();
    signal(place.authority_pid(), Signal::STOP);
}

pub(crate) fn killed_before() -> Fault {
    Fault {
        name: "killed with `kill -9` before the request",
        arrange: |place| {
            place.kill_authority();
            assert!(place.home().socket().exists(), "the socket stays behind");
            assert_eq!(place.status(), "not running");
            InForce::default()
        },
        expected: [
            Expected(Allows, &["stop not judged: the authority is not running"]),
            Expected(Blocks, &[]),
            // It writes the row itself, and starts an authority.
            Expected(Allows, &[]),
        ],
        ..NONE
    }
}

pub(crate) fn killed_during() -> Fault {
    Fault {
        name: "killed with `kill -9` while it is asked",
        strike: Some(Strike::WhileWaiting { ready: pause, strike: Place::kill_authority }),
        expected: [
            Expected(Allows, &["stop not judged: the authority's answer is not understood"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority did not answer: the authority's answer is not understood"]),
        ],
        status: "not running",
        ..NONE
    }
}

pub(crate) fn killed_after() -> Fault {
    Fault {
        name: "killed with `kill -9` as soon as it has answered",
        strike: None,
        arrange: |place| InForce::until(|| place.kill_authority()),
        after: |place| {
            let log = place.stopgate(&["gate", "log", "--session", "s", "--json"]);
            let rows: serde_json::Value = serde_json::from_slice(&log.stdout).unwrap();
            assert!(rows.to_string().contains("\"blocked\":true"), "the block that was answered is on record: {rows}");
        },
        ..NONE
    }
}

pub(crate) fn paused() -> Fault {
    Fault {
        name: "paused (`SIGSTOP`)",
        arrange: |place| {
            let stopped = Stopped::new(place.authority_pid());
            InForce::until(|| drop(stopped))
        },
        expected: [
            Expected(Allows, &["stop not judged: the authority did not answer in time"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority did not answer: the authority did not answer in time"]),
        ],
        status: "not answering",
        doctor: &["authority-broken"],
        ..NONE
    }
}

pub(crate) fn restarted_during() -> Fault {
    Fault {
        name: "killed and started again while it is asked",
        strike: Some(Strike::WhileWaiting {
            ready: pause,
            strike: |place| {
                let first = place.authority_pid();
                place.kill_authority();
                place.start_authority();
                assert_ne!(place.authority_pid(), first);
            },
        }),
        expected: [
            Expected(Allows, &["stop not judged: the authority's answer is not understood"]),
            Expected(Blocks, &[]),
            Expected(Allows, &["authority did not answer: the authority's answer is not understood"]),
        ],
        ..NONE
    }
}

/// One that answers questions about its health as `version`, and refuses all others, as one of another protocol does.
fn of_version(version: &'static str, place: &Place, behaviour: Behaviour) -> FakeAuthority {
    place.stop_authority();
    let socket = place.home().socket();
    let fake = FakeAuthority::listen(&socket, behaviour);
    std::fs::set_permissions(socket, Permissions::from_mode(0o600)).unwrap();
    let status = place.stopgate(&["authority", "status", "--json"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains(version), "it answers: {status:?}");
    fake
}

fn other_version(request: &str, version: &str, protocol: u32) -> Vec<u8> {
    if request.contains(GetHealth::PATH) {
        let health = serde_json::json!({"status": "ok", "version": version, "protocol": protocol, "pid": 1,
                                        "started_at_ms": 0, "problem": null});
        return answer("200 OK", &health.to_string());
    }
    answer(
        "426 Upgrade Required",
        r#"{"error":{"code":"other_version","message":"this authority speaks another protocol","remedy":null}}"#,
    )
}

const REFUSED: [Expected; 3] = [
    Expected(Allows, &["stop not judged: the authority answered with status 426"]),
    Expected(Blocks, &[]),
    Expected(Allows, &["authority did not answer: the authority answered with status 426"]),
];

pub(crate) fn older() -> Fault {
    Fault {
        name: "of an older version and protocol",
        arrange: |place| {
            let behaviour = Behaviour::Answers(|request| other_version(request, "0.0.1", 0));
            let fake = of_version("0.0.1", place, behaviour);
            InForce::until(|| drop(fake))
        },
        expected: REFUSED,
        doctor: &["authority-outdated", "hook-failing", "unchecked: the sessions"],
        ..NONE
    }
}

pub(crate) fn newer() -> Fault {
    Fault {
        name: "of a newer version and protocol",
        arrange: |place| {
            assert_ne!(VERSION, "999.0.0");
            let behaviour = Behaviour::Answers(|request| other_version(request, "999.0.0", 999));
            let fake = of_version("999.0.0", place, behaviour);
            InForce::until(|| drop(fake))
        },
        expected: REFUSED,
        doctor: &["authority-outdated", "hook-failing", "unchecked: the sessions"],
        ..NONE
    }
}

pub(crate) fn two_at_once() -> Fault {
    Fault {
        name: "two at once, because somebody has removed the lock and the socket of the first",
        arrange: |place| {
            let first = place.authority_pid();
            let stopped = Stopped::new(first);
            std::fs::remove_file(place.home().lock()).unwrap();
            std::fs::remove_file(place.home().socket()).unwrap();
            place.start_authority();
            let second = place.authority_pid();
            assert!(first != second && !has_ended(first) && !has_ended(second), "both live");
            InForce::until(move || {
                drop(stopped);
                eventually("the first one makes way", || has_ended(first).then_some(()));
                assert!(!has_ended(second));
            })
        },
        ..NONE
    }
}
