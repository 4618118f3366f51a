//! Which plan a session is held for: the one that it has to do with, as far as it is not done elsewhere.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::transcript::{self, Sender};
use stopgate_tests::world::{EXCUSE, World, block_reason};

const HALF: &str = "# Plan\n\n- [x] lexer\n- [x] write the parser\n- [ ] write the tests\n";
const DONE: &str = "# Plan\n\n- [x] lexer\n- [x] write the parser\n- [x] write the tests\n";

/// A step that is ticked on a branch in a linked working tree, where the session worked, is done at a stop in the main one,
/// also when the tree is gone; the other one holds.
#[test]
fn a_step_that_is_ticked_in_a_linked_worktree_is_no_reason_to_hold() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    let tree = world.root().join("linked tree");
    checkout.git(&["worktree", "add", "-q", "-b", "feature", tree.to_str().unwrap()]);
    let linked = Checkout { top: tree.canonicalize().unwrap() };
    linked.write("docs/plan.md", HALF);
    linked.commit("the parser");
    let reason = block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
    assert!(reason.contains("write the tests") && !reason.contains("write the parser"), "{reason}");
    linked.write("docs/plan.md", DONE);
    linked.commit("the tests");
    checkout.git(&["worktree", "remove", tree.to_str().unwrap()]);
    world.says("s", &checkout.top, Sender::Typed, transcript::EXECUTE);
    assert_eq!(world.stop_session("s", &checkout.top, EXCUSE), "");
    assert_eq!(authority.log()[0].rule, None);
}

/// What `stopgate explain` says of the facts of the last stop.
fn facts(world: &World, event: &str) -> Vec<String> {
    let told = world.stopgate_json(&["explain", event, "--json"]);
    let stages = told["stages"].as_array().unwrap();
    let facts = stages.iter().find(|stage| stage["stage"] == "facts").unwrap_or_else(|| panic!("{told}"));
    facts["found"].as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a plan has to do with a session is told, as the transcript in the client's own format shows it.
#[test]
fn what_a_plan_has_to_do_with_the_session_is_told() {
    let world = World::new();
    world.set_mode("shadow");
    let checkout = Checkout::planned(&world.root().join("project"), "# Plan\n- [ ] write the parser\n");
    let authority = world.authority();
    let relation = |id: &str, prompt: &str, command: Option<&str>| {
        world.start_silent_session(id, &checkout.top);
        world.says(id, &checkout.top, Sender::Typed, prompt);
        let call = |command: &str| {
            let call = json!({"type": "tool_use", "id": "c", "name": "Bash", "input": {"command": command}});
            json!({"type": "assistant", "cwd": checkout.top, "message": {"role": "assistant", "content": [call]}})
        };
        transcript::append(&world.transcript(id), &command.map(call).into_iter().collect::<Vec<_>>());
        world.stop_session(id, &checkout.top, EXCUSE);
        facts(&world, &authority.judged(id).event_id).remove(0)
    };
    let said = relation("named", "F\u{fc}hre den Plan aus", None);
    assert!(said.starts_with("docs/plan.md: 1 open") && said.contains("named by a prompt"), "{said}");
    let said = relation("touched", "weiter", Some("sed -i 's/x/y/' docs/plan.md"));
    assert!(said.contains("touched in this session"), "{said}");
    let said = relation("moved", "go on", Some("sed -i 's/- \\[ \\] lexer/- [x] lexer/' docs/plan.md"));
    assert!(said.contains("touched in this session"), "no box of it is ticked: {said}");
}
/// An old roadmap that the session never touched is no reason to hold, and the outputs say that it was seen.
#[test]
fn an_old_roadmap_that_nobody_touched_never_holds() {
    let world = World::enforcing();
    let checkout = Checkout::create(&world.root().join("project"));
    checkout.write("docs/ROADMAP.md", "# Roadmap\n- [ ] EU billing\n- [ ] exports\n");
    checkout.write("README.md", "# Projct\n");
    checkout.commit("begin");
    let authority = world.authority();
    for (id, prompt, message) in [
        ("en", "fix the typo in README", "Fixed and committed. I'll leave the lint warnings for a follow-up PR."),
        (
            "de",
            "Korrigiere den Tippfehler in README.md",
            "Erledigt. Die Lint-Warnungen lasse ich f\u{fc}r einen sp\u{e4}teren PR.",
        ),
        ("go", "go on", EXCUSE),
        ("job", "Execute the refactoring of the parser", EXCUSE),
    ] {
        world.start_silent_session(id, &checkout.top);
        world.says(id, &checkout.top, Sender::Typed, prompt);
        checkout.write("README.md", &format!("# Project {id}\n"));
        checkout.commit("typo");
        assert_eq!(world.stop_session(id, &checkout.top, message), "", "{prompt}");
        let row = authority.judged(id);
        assert!(!row.would_block, "{row:?}");
    }
    let row = authority.judged("go");
    let aside = "docs/ROADMAP.md: 2 open steps, but nothing that this session did or was asked has to do with it";
    assert!(facts(&world, &row.event_id).iter().any(|said| said == aside), "{row:?}");
    assert_eq!(row.detail.as_deref(), Some(aside));
    for arguments in [&["explain", &row.event_id][..], &["gate", "log"], &["gate", "log", "--json"]] {
        let output = world.stopgate(arguments);
        assert!(String::from_utf8_lossy(&output.stdout).contains(aside), "{arguments:?}: {output:?}");
    }
    // Named, it holds.
    world.start_silent_session("named", &checkout.top);
    world.says("named", &checkout.top, Sender::Typed, "Execute docs/ROADMAP.md");
    assert!(block_reason(&world.stop_session("named", &checkout.top, EXCUSE)).contains("EU billing"));
}

const ALL_DONE: &str = "All steps of the plan are implemented, and all tests pass. Everything is done.";

/// "All done" with open boxes: one reminder to tick them or to say what is left, not to do the next step; the second
/// all-done goes through, and the next prompt is another.
#[test]
fn all_done_with_open_boxes_is_reminded_of_them_once_for_a_prompt() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    checkout.write("src/parser.rs", "// parser\n");
    checkout.commit("the parser");
    for _ in 0..2 {
        let reason = block_reason(&world.stop_session("s", &checkout.top, ALL_DONE));
        assert!(reason.contains("Tick in docs/plan.md") && !reason.contains("Do it now"), "{reason}");
        assert_eq!(authority.log()[0].rule.map(stopgate_gate::RuleId::id), Some("U5_PLAN_NOT_UPDATED"));
        checkout.work();
        assert_eq!(world.stop_session("s", &checkout.top, ALL_DONE), "", "said twice");
        checkout.work();
        world.says("s", &checkout.top, Sender::Typed, transcript::EXECUTE);
    }
    // Ticked, there is nothing to say.
    checkout.write("docs/plan.md", DONE);
    assert_eq!(world.stop_session("s", &checkout.top, ALL_DONE), "");
    // Nor where something else was asked for, nothing was done, or what is open is nobody's.
    world.start_silent_session("asked", &checkout.top);
    checkout.write(
        "docs/plan.md",
        "# Plan\n\n- [x] lexer\n- [ ] BLOCKED: write the tests\n- [ ] (optional) write the parser\n",
    );
    transcript::begun(Harness::Claude, &world.transcript("asked"));
    assert_eq!(world.stop_session("asked", &checkout.top, ALL_DONE), "");
}
