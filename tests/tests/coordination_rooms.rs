//! Names of sessions and rooms, through the real binaries and real git.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use stopgate_protocol::SessionRow;
use stopgate_tests::build::{Said, Site};
use stopgate_tests::world::World;

fn rows(world: &World) -> Vec<SessionRow> {
    serde_json::from_value(world.stopgate_json(&["sessions", "--all", "--json"])).unwrap()
}

fn name(world: &World, session: &str) -> String {
    let row = rows(world).into_iter().find(|row| row.session_id == session);
    row.and_then(|row| row.name).unwrap_or_else(|| panic!("{session} has no name"))
}

fn said(world: &World, arguments: &[&str]) -> Said {
    world.stopgate(arguments).into()
}

#[test]
fn names_stay_over_clear_resume_and_compaction_with_an_authority_and_without() {
    for served in [true, false] {
        let site = Site::new();
        let world = &site.world;
        let authority = served.then(|| world.authority());
        let (claude, codex) = (site.claude(), site.agent("codex"));
        claude.starts("c1", "startup");
        codex.starts("x1", "startup");
        let (first, other) = (name(world, "c1"), name(world, "x1"));
        assert_ne!(first, other);
        claude.starts("c1", "compact");
        claude.ends("c1", "clear");
        claude.starts("c2", "clear");
        codex.starts("x2", "clear");
        assert_eq!((name(world, "c2"), name(world, "x2")), (first.clone(), other.clone()), "{served}");
        claude.starts("fork", "fork");
        assert!(![&first, &other].contains(&&name(world, "fork")));
        claude.ends("c2", "prompt_input_exit");
        let elsewhere = site.claude();
        elsewhere.starts("c2", "resume");
        assert_eq!(name(world, "c2"), first);
        // Whoever takes over has the same names.
        drop(authority);
        let _authority = world.authority();
        assert_eq!((name(world, "c2"), name(world, "x2")), (first, other));
    }
}

#[test]
fn a_name_is_shown_and_taken_wherever_an_id_is() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let claude = site.claude();
    claude.starts("0193-s", "startup");
    let name = name(world, "0193-s");
    for command in [vec!["sessions"], vec!["status"], vec!["sessions", "show", &name]] {
        assert!(said(world, &command).ok().out.contains(&name), "{command:?}");
    }
    assert_eq!(world.stopgate_json(&["sessions", "show", &name, "--json"])["session_id"], "0193-s");
    assert_eq!(world.stopgate_json(&["resume", &name, "--json"])["session_id"], "0193-s");
    assert_eq!(world.stopgate_json(&["status", "--json"])["sessions"][0]["name"], name.as_str());
    assert!(claude.stop("0193-s").is_none());
    world.stop_session("0193-s", site.top(), "Done.");
    let logged = world.stopgate_json(&["gate", "log", "--session", &name, "--json"]);
    assert!(logged.as_array().unwrap().iter().all(|row| row["name"] == name.as_str()) && logged[0].is_object());
    assert!(said(world, &["gate", "log"]).ok().out.contains(&format!("0193-s {name}")));
    assert_eq!(world.stopgate_json(&["gate", "log", "--session", "nobody", "--json"]), Value::Array(vec![]));
    said(world, &["sessions", "show", "nobody"]).refused(1, &["no session has the id nobody"]);
    said(world, &["sessions", "end", &name, "--yes"]).ok();
}

#[test]
fn only_the_operator_renames_and_only_to_a_free_plain_word() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let (one, two) = (site.claude(), site.claude());
    one.starts("one", "startup");
    two.starts("two", "startup");
    let taken = name(world, "two");
    for (bad, why) in [
        (taken.as_str(), "which lives"),
        ("Parser", "lower-case letters"),
        ("ab", "3 to 16"),
        ("parser-of-a-language", "3 to 16"),
        ("two words", "lower-case letters"),
        ("--yes2", "unexpected argument"),
        ("\u{1b}[31mred", "lower-case letters"),
        ("person", "somebody else"),
        ("facade", "beginning of a session's id"),
        ("", "a value is required"),
    ] {
        let refused = said(world, &["sessions", "rename", "one", bad]);
        assert_ne!(refused.code, Some(0), "{bad:?}");
        assert!(refused.err.contains(why), "{bad:?}: {refused:?}");
        assert!(!refused.err.contains('\u{1b}'), "{refused:?}");
    }
    one.run("\"$BIN/stopgate\" sessions rename one parser").refused(2, &["is the operator's"]);
    let done = said(world, &["sessions", "rename", "one", "parser", "--json"]).ok().json();
    assert_eq!(done["name"], "parser");
    assert_eq!(name(world, "one"), "parser");
    // By its name, to the name that it had.
    said(world, &["sessions", "rename", "parser", done["was"].as_str().unwrap()]).ok();
    assert_eq!(name(world, "one"), done["was"].as_str().unwrap());
    said(world, &["sessions", "rename", "nobody", "parser"]).refused(1, &["no session has the id nobody"]);
}
