//! Every recorded payload of the real clients is understood, and none makes a hook say anything by itself.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stopgate_core::harness::{self, Payload};
use stopgate_core::session::Harness;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{HOOKS, World, assert_silent};

/// Events that stopgate has a use for; all others are skipped.
const KNOWN: [&str; 11] = [
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "Stop",
    "Interrupt",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "ConfigChange",
];

fn fixtures() -> Vec<(Harness, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let of = |harness: Harness| {
        let dir = std::fs::read_dir(root.join(harness.name())).unwrap();
        dir.map(move |entry| (harness, entry.unwrap().path()))
    };
    let all: Vec<_> = Harness::ALL.into_iter().flat_map(of).collect();
    assert!(all.len() >= 52, "fixtures are missing: {}", all.len());
    all
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned()
}

#[test]
fn every_payload_parses_and_unknown_events_are_skipped() {
    for (harness, path) in fixtures() {
        let bytes = std::fs::read(&path).unwrap();
        let event = name(&path);
        match harness::parse(Some(harness), &bytes) {
            Ok(Payload::Known(read)) => {
                assert!(KNOWN.contains(&&*event), "{}", path.display());
                assert_eq!(read.kind.name(), event, "{}", path.display());
                let wire: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(read.key.session_id, wire["session_id"], "{}", path.display());
                assert_eq!(read.cwd.unwrap().to_str(), wire["cwd"].as_str(), "{}", path.display());
            }
            Ok(Payload::Unknown { name }) => {
                assert!(!KNOWN.contains(&&*event), "{} was skipped", path.display());
                assert_eq!(name, event);
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

#[test]
fn without_an_argument_the_shape_tells_the_harness() {
    for (harness, path) in fixtures() {
        if let Ok(Payload::Known(event)) = harness::parse(None, &std::fs::read(&path).unwrap()) {
            assert_eq!(event.key.harness, harness, "{}", path.display());
        }
    }
}

#[test]
fn unknown_fields_are_ignored() {
    for (harness, path) in fixtures() {
        let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let before = harness::parse(Some(harness), value.to_string().as_bytes());
        value["a_field_of_tomorrow"] = json!({"deep": [1, {"er": null}]});
        assert_eq!(harness::parse(Some(harness), value.to_string().as_bytes()), before, "{}", path.display());
    }
}

#[test]
fn no_payload_makes_any_hook_talk_when_there_is_nothing_to_say() {
    let world = World::new();
    for (harness, path) in fixtures() {
        for hook in HOOKS {
            let mut command = world.command(&stopgate_tests::world::binary(hook));
            command.arg(harness.name());
            assert_silent(&finish(command, Stdin::Bytes(std::fs::read(&path).unwrap())));
        }
    }
}
