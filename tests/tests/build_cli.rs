//! `stopgate build` through the real binary: phases, steps, ends, places. What a person or a held agent
//! does is in `build_person.rs`, who is held in `build_owner.rs`,
//! git worktrees in `build_worktree.rs`.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use stopgate_tests::build::Site;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::binary;

/// Where a build goes with `to` and `complete`.
const WAYS: [(&str, &[&str]); 7] = [
    ("idle", &["clarify", "planning", "executing"]),
    ("clarify", &["planning"]),
    ("planning", &["executing"]),
    ("executing", &["verifying", "complete"]),
    ("verifying", &["complete", "fixing", "hardening"]),
    ("fixing", &["verifying"]),
    ("hardening", &["complete"]),
];
/// Phases that only their own command leads to.
const ENDS: [(&str, &str); 3] =
    [("complete", "build complete"), ("failed", "build fail"), ("escalated", "build escalate")];

fn step<'a>(number: &'a str, tests: &'a str, passing: &'a str) -> Vec<&'a str> {
    vec!["step", number, "did it", "--tests", tests, "--passing", passing]
}

#[test]
fn a_build_from_start_to_archive_and_one_json_value_from_every_command() {
    let site = Site::new();
    let say = |arguments: &[&str]| site.build("mine", arguments).ok().json();
    let started = say(&["start", "Fix the parser!", "--json"]);
    let id = started["id"].as_str().unwrap();
    assert!(id.starts_with("fix-the-parser-") && started["size"] == "standard" && started["phase"] == "idle");
    assert_eq!((&started["owner"]["session_id"], &started["owner"]["harness"]), (&json!("mine"), &Value::Null));
    say(&["to", "planning", "--evidence", "read the code", "--json"]);
    assert_eq!(say(&["to", "executing", "--json"])["phase"], "executing");
    say(&["worktree", "create", "--json"]);
    assert_eq!(say(&["step", "2", "tests", "--tests", "4", "--passing", "4", "--json"])["steps"][0]["number"], 2);
    say(&["step", "1", "lexer", "--tests", "3", "--passing", "3", "--json"]);
    say(&["pause", "--for", "30m", "--json"]);
    let resumed = say(&["resume", "--json"]);
    assert_eq!((&resumed["can_resume"], &resumed["next_phases"]), (&json!(true), &json!(["verifying", "complete"])));
    assert_eq!(say(&["status", "--json"])["live"][0]["id"], id);
    assert_eq!(say(&["status", "--build", id, "--json"])["id"], id);
    assert_eq!(say(&["list", "--json"]).as_array().unwrap().len(), 1);
    let owned = say(&["release", "--json"]);
    assert_eq!(owned["owner"], Value::Null);
    say(&["resume", "--owner-session", "mine", "--json"]);
    say(&["to", "verifying", "--json"]);
    assert_eq!(say(&["complete", "--json"])["phase"], "complete");
    say(&["worktree", "merge", "--build", id, "--json"]);
    say(&["worktree", "cleanup", "--build", id, "--json"]);
    let report = say(&["report", "--json"]);
    assert_eq!(
        (&report["tests"], &report["passing"], &report["events"]["step-recorded"]),
        (&json!(7), &json!(7), &json!(2))
    );
    let log = say(&["log", "--json"]);
    let events: Vec<_> = log.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, site.events(id));
    assert_eq!(events.first().zip(events.last()), Some((&"build-started", &"worktree-removed")));
    assert_eq!(say(&["log", "--event", "phase-changed", "--limit", "1", "--json"])[0]["phase"], "verifying");
    assert_eq!(say(&["log", "--phase", "planning", "--json"])[1]["from"], "planning");
    assert_eq!(say(&["status", "--json"])["ended"]["id"], id);
    assert_eq!(say(&["list", "--json"]), json!([]));
    assert_eq!(say(&["list", "--all", "--json"])[0]["steps"][0]["description"], "lexer", "steps lie in their order");

    // The same for people.
    assert!(site.archived(id).join("audit.jsonl").exists() && !site.live(id).exists());
    for (arguments, part) in [
        (vec!["status"], "no build is live"),
        (vec!["status", "--build", id], "complete"),
        (vec!["log"], "idle -> planning"),
        (vec!["report"], "PASS"),
        (vec!["list", "--all"], "Fix the parser!"),
    ] {
        let said = site.build("mine", &arguments).ok();
        assert!(said.out.contains(part) && said.err.is_empty(), "{arguments:?} {said:?}");
    }
    assert_eq!(site.checkout.git(&["status", "--porcelain"]), "", "nothing of it is git's");
}

#[test]
fn every_transition_is_legal_or_refused_with_the_legal_ones() {
    let site = Site::new();
    let id = site.start("mine", "small");
    for (from, legal) in WAYS {
        for (to, _) in WAYS {
            site.edit(&id, |state| state["phase"] = from.into());
            let before = site.bytes(&id);
            let said = site.build("mine", &["to", to, "--json"]);
            if legal.contains(&to) {
                assert_eq!((said.ok().json()["phase"].as_str(), &site.state(&id)["phase"]), (Some(to), &json!(to)));
                continue;
            }
            let said = said.refused(2, &[&format!("no way from {from} to {to}"), "failed or escalated"]);
            assert!(legal.iter().all(|way| said.err.contains(way)), "{said:?}");
            assert!(said.json()["error"]["message"].as_str().unwrap().contains("no way from"), "{said:?}");
            assert_eq!(site.bytes(&id), before, "{from} -> {to}");
        }
        for (end, command) in ENDS {
            site.edit(&id, |state| state["phase"] = from.into());
            site.build("mine", &["to", end]).refused(2, &[command]);
            assert_eq!(site.state(&id)["phase"], from);
        }
    }
    site.build("mine", &["to", "done"]).refused(2, &["planning", "hardening"]);
}

#[test]
fn every_live_phase_can_be_given_up_and_what_has_ended_cannot_be_changed() {
    let site = Site::new();
    for (from, _) in WAYS {
        for (command, phase) in [("fail", "failed"), ("escalate", "escalated")] {
            let id = site.start("mine", "small");
            site.edit(&id, |state| state["phase"] = from.into());
            site.build("mine", &[command, "--reason", "cannot be done"]).ok();
            let state = site.state(&id);
            assert_eq!((&state["phase"], &state["end_reason"]), (&json!(phase), &json!("cannot be done")));
            assert!(state["ended_at_ms"].is_i64() && site.archived(&id).exists());
            assert_eq!(site.stop("mine"), None);
        }
    }
    site.build("mine", &["fail"]).refused(2, &["--reason"]);
    let ended = site.build("mine", &["list", "--all", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    let before = site.snapshot();
    for command in [
        step("1", "1", "1"),
        vec!["to", "planning"],
        vec!["complete"],
        vec!["fail", "--reason", "r"],
        vec!["escalate", "--reason", "r"],
        vec!["pause"],
        vec!["release"],
        vec!["worktree", "create"],
    ] {
        let named = [command.as_slice(), &["--build", &ended, "--json"]].concat();
        let said = site.build("mine", &named);
        assert!(said.code == Some(2), "{said:?}");
        assert!(said.json()["error"]["message"].as_str().unwrap().contains("has ended"), "{said:?}");
        // Without a name there is no build to work on.
        let said = site.build("mine", &[command.as_slice(), &["--json"]].concat());
        assert!(
            said.code == Some(1) && said.json()["error"]["message"].as_str().unwrap().contains("no build is live"),
            "{said:?}"
        );
    }
    assert_eq!(site.build("mine", &["resume", "--build", &ended, "--json"]).json()["can_resume"], false);
    assert_eq!(site.snapshot(), before);
}

#[test]
fn the_fourth_fix_is_a_persons() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let to = |phase| site.build("mine", &["to", phase, "--json"]);
    to("verifying").ok();
    for _ in 0..3 {
        to("fixing").ok();
        to("verifying").ok();
    }
    let said = to("fixing").refused(1, &["too many fix cycles", "escalated"]);
    assert_eq!(said.json()["phase"], "escalated");
    assert!(site.archived(&id).exists() && !site.live(&id).exists());
    assert_eq!(site.events(&id).last().unwrap(), "build-escalated");
    assert_eq!(site.stop("mine"), None);
}

#[test]
fn absurd_steps_are_refused_and_change_nothing() {
    let site = Site::new();
    let id = site.start("mine", "small");
    site.build("mine", &step("1", "1", "1")).refused(2, &["while executing", "idle"]);
    site.build("mine", &["to", "executing"]).ok();
    let before = site.snapshot();
    for (number, tests, passing) in [
        ("0", "1", "1"),
        ("-1", "1", "1"),
        ("1", "-1", "-1"),
        ("1", "3", "-1"),
        ("1", "3", "4"),
        ("1000", "1", "1"),
        ("99999999999999999999", "1", "1"),
        ("1", "1000001", "0"),
        ("1", "99999999999", "0"),
        ("1.5", "1", "1"),
        ("one", "1", "1"),
        ("", "1", "1"),
    ] {
        site.build("mine", &step(number, tests, passing)).refused(2, &[]);
    }
    assert_eq!(site.build("mine", &["step", "1", "  ", "--tests", "1", "--passing", "1"]).code, Some(2));
    assert_eq!(site.snapshot(), before);
    site.build("mine", &step("1", "0", "0")).ok();
    site.build("mine", &step("999", "1000000", "1000000")).ok();
    assert_eq!(site.state(&id)["steps"].as_array().unwrap().len(), 2);
}

#[test]
fn complete_wants_steps_whose_tests_pass() {
    let site = Site::new();
    let id = site.start("mine", "small");
    let complete = || site.build("mine", &["complete", "--json"]);
    complete().refused(2, &["no way from idle to complete"]);
    site.build("mine", &["to", "executing"]).ok();
    complete().refused(2, &["no step is recorded"]);
    site.build("mine", &step("1", "3", "3")).ok();
    site.build("mine", &step("2", "3", "2")).ok();
    let said = complete().refused(2, &["step 2 fail"]);
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("step 2"), "{said:?}");
    assert!(site.live(&id).exists());
    // A step that is recorded again replaces what was recorded before.
    site.build("mine", &step("2", "3", "3")).ok();
    complete().ok();
    let mut files: Vec<_> = std::fs::read_dir(site.archived(&id))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["audit.jsonl", "lock", "state.json"]);
    assert_eq!(std::fs::read_dir(site.top().join(".stopgate/builds")).unwrap().count(), 0);
}

#[test]
fn a_subdirectory_and_a_linked_worktree_resolve_to_the_same_place() {
    let site = Site::new();
    let linked = site.world.root().join("linked tree");
    site.checkout.git(&["worktree", "add", "-q", "-b", "linked", linked.to_str().unwrap()]);
    let below = linked.join("docs");
    let id = site.started(site.build_in(&below, &["start", "t", "--json"]));
    assert!(site.live(&id).join("state.json").exists());
    for dir in [site.top(), &site.top().join("docs"), &linked, &below] {
        assert_eq!(site.build_in(dir, &["status", "--json"]).ok().json()["live"][0]["id"], id.as_str());
    }
    site.build_in(&site.top().join("docs"), &["to", "executing"]).ok();
    assert_eq!(site.state(&id)["phase"], "executing");
    assert_eq!(site.checkout.git(&["status", "--porcelain"]), "");
    assert_eq!(site.checkout.git(&["-C", linked.to_str().unwrap(), "status", "--porcelain"]), "");
}

#[test]
fn two_owners_have_two_builds_and_one_owner_has_one() {
    let site = Site::new();
    let (mine, theirs) = (site.executing("mine", "small"), site.executing("theirs", "standard"));
    assert_ne!(mine, theirs);
    let again = site.build("mine", &["start", "another", "--json"]).refused(1, &[&mine, "executing"]);
    assert!(again.json()["error"]["message"].as_str().unwrap().contains(&mine));
    site.build("other", &["start", "another", "--owner-session", "theirs"]).refused(1, &[&theirs]);
    // Each session's command works on its own build; who has none must name one.
    let (own, other) = (site.claude(), site.claude());
    own.starts("mine", "startup");
    other.starts("theirs", "startup");
    own.build("mine", "step 1 done --tests 1 --passing 1").ok();
    other.build("theirs", "step 7 done --tests 1 --passing 1").ok();
    // Not by a name alone.
    site.build("mine", &step("2", "1", "1")).refused(1, &["--build"]);
    site.build("", &step("3", "1", "1")).refused(1, &[&mine, &theirs, "--build"]);
    let number = |id: &str| site.state(id)["steps"][0]["number"].clone();
    assert_eq!((number(&mine), number(&theirs)), (json!(1), json!(7)));
    assert!((0..3).all(|_| site.stop("mine").unwrap().contains(&mine)));
    assert_eq!(site.stop("mine"), None);
    assert!(site.stop("theirs").unwrap().contains("reminder 1 of 5"));
    assert_eq!((site.used(&mine), site.used(&theirs)), (3, 1));
    let blocked = |id: &str| site.events(id).iter().filter(|event| *event == "stop-blocked").count();
    assert_eq!((blocked(&mine), blocked(&theirs)), (3, 1));
    own.build("mine", "complete").ok();
    site.start("mine", "small");
}

#[test]
fn outside_a_checkout_and_with_hostile_names_nothing_happens() {
    let site = Site::new();
    let id = site.start("mine", "small");
    for name in ["../x", "/etc", "..", ".", "a/b", "builds/../..", &format!("../builds/{id}"), "A", "-x", "x\n", "é"] {
        let named = format!("--build={name}");
        for command in [vec!["status"], vec!["report"], vec!["restore"], vec!["complete"], vec!["worktree", "cleanup"]]
        {
            let said = site.build("mine", &[command.as_slice(), &[&named, "--json"]].concat());
            let said = said.refused(1, &["not the id of a build"]);
            assert!(said.json()["error"]["message"].is_string());
        }
    }
    for id in ["nothing-0000", "no/thing"] {
        for command in ["status", "log", "report", "complete", "restore"] {
            let said = site.build("mine", &[command, "--build", id, "--json"]).refused(1, &[id, "build list --all"]);
            assert_eq!(said.json()["error"]["code"], "not_found", "{command}: {said:?}");
            assert_eq!(said.json()["error"]["remedy"], "`stopgate build list --all` shows them", "{said:?}");
        }
    }
    for branch in ["../../x", "-f", "a b", "a..b", "/abs"] {
        site.build("mine", &["worktree", "create", &format!("--branch={branch}")])
            .refused(1, &["not a name for a branch"]);
    }
    assert_eq!(
        std::fs::read_dir(site.world.root())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name() == "x")
            .count(),
        0
    );
    for command in [vec!["start", "t"], vec!["status"], vec!["list"], vec!["complete"], vec!["worktree", "merge"]] {
        let said = site.build_in(site.world.root(), &[command.as_slice(), &["--json"]].concat());
        assert!(said.refused(1, &["not in a git checkout"]).json()["error"]["message"].is_string());
    }
    site.build("mine", &["status", "--build="]).refused(2, &["a value is required for '--build <ID>'"]);
    for (task, told) in [("", "<TASK>"), ("  ", "<task>"), (&*"x".repeat(3_000), "<task>")] {
        let said = site.build("mine", &["start", task, "--json"]).refused(2, &[told]);
        assert_eq!(said.json()["error"]["code"], "usage", "{said:?}");
    }
    let help = finish(site.command("", &["--help"]), Stdin::from(""));
    assert!(String::from_utf8(help.stdout).unwrap().contains("escalate") && binary("stopgate").exists());
}

#[test]
fn a_planted_link_is_not_built_into() {
    let site = Site::new();
    let elsewhere = site.world.root().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, site.top().join(".stopgate")).unwrap();
    let said = site.build("mine", &["start", "t", "--json"]);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "{said:?}");
    assert!(said.refused(1, &[".stopgate"]).json()["error"]["message"].is_string());
}
