//! Which plan a session is held for: the one that it has to do with, as far as it is not done elsewhere.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
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
