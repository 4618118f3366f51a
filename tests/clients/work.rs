//! Work beside the conversation: subagents and background tasks.

use serde_json::json;
use stopgate_tests::mock_anthropic::{Rule, Script, Turn};
use stopgate_tests::world::{EXCUSE, PLAIN};

use crate::client::Client;
use crate::live::{Asked, reminders};
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        id: "subagent",
        meaning: "a subagent that ends with an excuse is not held; its session, with the same excuse, is",
        run: subagent,
    },
    Scenario {
        id: "background",
        meaning: "a session with a background task running is not held; when that is done, it is",
        run: background,
    },
];

/// What only the report of the subagent brings.
const REPORT: &str = "we can continue with the parser";

fn subagent(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let job = "SUBJOB look at the lexer";
    let calls = if client.is_codex() {
        Turn::tool("collaboration::spawn_agent", json!({ "task_name": "sub", "message": job, "fork_turns": "none" }))
            .and_tool("collaboration::wait_agent", json!({ "timeout_ms": 20_000 }))
    } else {
        let input = json!({ "description": "look", "prompt": job, "subagent_type": "general-purpose",
                            "run_in_background": false });
        Turn::tool("Agent", input)
    };
    let script = Script {
        rules: vec![
            Rule::contains("go on with the plan", [calls]),
            // Codex hands over the job itself in a form that no test can read.
            Rule::contains(if client.is_codex() { "Message Type: NEW_TASK" } else { "SUBJOB" }, [Turn::text(EXCUSE)]),
            Rule::contains("and now the parser", [Turn::text(EXCUSE)]),
        ],
        default_turn: Turn::text(PLAIN),
        ..Script::default()
    };
    // Only the newer models are offered subagents.
    let live = site.live_with("subagent", script, if client.is_codex() { "-m gpt-6-sol" } else { "" });
    live.types("go on with the plan");
    let report = |asked: &Asked| !asked.answer.starts_with("rule1") && asked.brings(REPORT);
    live.until("the report of the subagent", || live.asked().iter().any(report).then_some(()));
    let asked = live.rests();
    assert_eq!(reminders(&asked), Vec::<String>::new());
    assert_eq!(asked.iter().filter(|asked| asked.answer.starts_with("rule1")).count(), 1, "{asked:#?}");
    let in_background = asked.iter().any(|asked| asked.brings("task-notification"));
    assert_eq!(reminders(&live.turn("and now the parser", 2)).len(), 1);
    live.quits();
    assert_eq!(site.sessions().len(), 1);
    let verdicts = site.verdicts(1);
    assert_eq!(verdicts.iter().filter(|row| row.blocked).count(), 1, "{verdicts:#?}");
    if in_background {
        assert_eq!(verdicts[0].short_circuit.as_deref(), Some("background-tasks"), "{verdicts:#?}");
        return Outcome::works(["the client runs it in the background; its session is not held meanwhile"]);
    }
    Outcome::works([if client.is_codex() {
        "the client offers them with newer models only (here gpt-6-sol)"
    } else {
        "the client waits for it"
    }])
}

fn background(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let done = site.file("done");
    let waits = format!("while [ ! -e '{}' ]; do sleep 0.2; done", done.display());
    let calls = if client.is_codex() {
        Turn::tool("exec_command", json!({ "cmd": waits, "yield_time_ms": 300 }))
    } else {
        Turn::tool("Bash", json!({ "command": waits, "description": "waits", "run_in_background": true }))
    };
    let script = Script { turns: vec![calls], default_turn: Turn::text(EXCUSE), ..Script::default() };
    let live = site.live("background", script);
    if client.is_codex() {
        assert_eq!(reminders(&live.turn("go on with the plan", 3)).len(), 1);
        std::fs::write(done, "").unwrap();
        return Outcome::differs([
            "the client tells a stop hook of no terminal that runs on: the stop is judged as any \
                                  other",
        ]);
    }
    assert_eq!(reminders(&live.turn("go on with the plan", 2)), Vec::<String>::new());
    let session = site.session();
    assert_eq!((session.pending_tasks, session.waits_for.as_deref()), (1, Some("1 background task")));
    // The client tells the model by itself, which is a turn without a prompt.
    std::fs::write(done, "").unwrap();
    let asked = live.turn_ends(2);
    assert!(asked[0].brings("task-notification"), "{asked:#?}");
    assert_eq!(reminders(&asked).len(), 1);
    live.quits();
    let verdicts = site.verdicts(2);
    assert_eq!(verdicts[0].short_circuit.as_deref(), Some("background-tasks"), "{verdicts:#?}");
    assert!(verdicts[1].blocked, "{verdicts:#?}");
    Outcome::works(["the end of the task is a turn of its own, which is held"])
}
