//! What a transcript shows of how a turn ended, through the real hooks and a live authority: rows as Claude Code 2.1.332 and
//! Codex 0.171.0 wrote them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::transcript::{self, Sender, append};
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, binary, session_start, stop, with};

/// A call of Claude Code's, and the row with its result.
fn claude_call(id: &str, tool: &str, input: &Value, result: &str, more: &Value) -> [Value; 2] {
    let is_error = more.get("toolUseResult").is_some_and(Value::is_string);
    let mut row = json!({"type": "user", "userType": "external", "entrypoint": "cli", "message": {"role": "user",
        "content": [{"type": "tool_result", "content": result, "is_error": is_error, "tool_use_id": id}]}});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let usage = json!({"input_tokens": 10, "cache_creation_input_tokens": 400, "cache_read_input_tokens": 31_000,
                       "output_tokens": 5});
    let call = json!({"type": "assistant", "message": {"role": "assistant", "model": "claude-opus-5-5", "usage": usage,
        "content": [{"type": "tool_use", "id": id, "name": tool, "input": input}]}});
    [call, row]
}

fn codex_call(id: &str, command: &str, output: &str) -> [Value; 2] {
    let arguments = json!({"cmd": command}).to_string();
    [
        json!({"type": "response_item", "payload": {"type": "function_call", "status": "completed",
            "name": "exec_command", "arguments": arguments, "call_id": id}}),
        json!({"type": "response_item", "payload": {"type": "function_call_output", "call_id": id, "output": output}}),
    ]
}

/// Stops `session` with `rows` behind its prompt, and gives back what the authority took of its turn's end.
fn turn_end(authority: &RunningAuthority<'_>, world: &World, session: &str, cwd: &Path, rows: &[Value]) -> Value {
    let path = world.transcript(session);
    world.start_session(session, cwd);
    world.says(session, cwd, Sender::Typed, "Do all of docs/plan.md.");
    append(&path, rows);
    world.stop_session(session, cwd, EXCUSE);
    taken(authority, world, session)
}

fn taken(authority: &RunningAuthority<'_>, world: &World, session: &str) -> Value {
    let event = authority.judged(session).event_id;
    world.stopgate_json(&["explain", &event, "--json"])["recording"]["inputs"]["turn_end"].clone()
}

#[test]
fn what_failed_what_was_refused_and_how_full_the_window_was_is_taken_from_the_transcript() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let bash = |id: &str, command: &str, result: &str, more: Value| {
        claude_call(id, "Bash", &json!({"command": command}), result, &more)
    };
    let failed = bash("a", "npm test", "Exit code 1\nnpm ERR! boom", json!({"toolUseResult": "Error: Exit code 1"}));
    let well = bash("b", "npm test", "ok", json!({"toolUseResult": {"stdout": "ok", "interrupted": false}}));
    let refused = bash(
        "c",
        "npm publish",
        "Permission to use Bash with command npm publish has been denied.",
        json!({"toolUseResult": "Error: Permission", "toolDenialKind": "permission-rule"}),
    );
    let usage = json!({"used": 31_410, "window": 1_000_000});
    let of = |session: &str, rows: &[&[Value]]| turn_end(&authority, &world, session, &checkout.top, &rows.concat());
    assert_eq!(
        of("failed", &[&failed]),
        json!({"failed_call": "Bash (npm test): Exit code 1: npm ERR! boom", "usage": usage})
    );
    assert_eq!(of("well", &[&failed, &well]), json!({"usage": usage}));
    let denied = of("refused", &[&failed, &well, &refused]);
    assert_eq!(
        denied,
        json!({"denied_call": "Bash (npm publish): Permission to use Bash with command npm publish has been denied.",
               "usage": usage})
    );
    assert_eq!(of("silent", &[]), Value::Null, "nothing is known");
}

#[test]
fn a_transcript_that_is_no_transcript_tells_nothing_of_the_turn() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let half = br#"{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"content":"Exit co"#;
    let huge = [b"{\"type\":\"user\",\"message\":{\"content\":[".as_slice(), &vec![b'['; 3 << 20]].concat();
    let other = br#"{"v":9,"kind":"tool","failed":"yes"}"#;
    for (session, bytes) in [("half", half.as_slice()), ("huge", &huge), ("other", other), ("bytes", &[0xff; 64])] {
        let path = world.transcript(session);
        world.start_session(session, &checkout.top);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        world.stop_session(session, &checkout.top, EXCUSE);
        assert_eq!(taken(&authority, &world, session), Value::Null, "{session}");
    }
}

#[test]
fn a_turn_of_codex_tells_how_it_ended() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let count = json!({"type": "event_msg", "payload": {"type": "token_count", "info": {
        "last_token_usage": {"input_tokens": 200_000, "cached_input_tokens": 190_000, "total_tokens": 210_000},
        "model_context_window": 258_400}}});
    let failed =
        codex_call("a", "npm test", "Chunk ID: x\nWall time: 0.1 seconds\nProcess exited with code 3\nOutput:\nout");
    let refused = codex_call("b", "npm publish", "Command blocked by PreToolUse hook: no. Command: npm publish");
    let path = world.root().join("rollout.jsonl");
    let payload = |payload: Value| with(payload, "transcript_path", json!(path));
    let run = |hook: &str, payload: &Value| {
        let mut command = world.command(&binary(hook));
        command.arg(Harness::Codex.name());
        finish(command, Stdin::from(&*payload.to_string()));
    };
    run("session-start-recorder", &payload(session_start("codex", &checkout.top, "startup")));
    transcript::says(Harness::Codex, &path, Sender::Typed, "Do all of docs/plan.md.");
    append(&path, &[failed.as_slice(), &refused, &[count]].concat());
    run("stop-gate-router", &payload(with(stop("codex", &checkout.top, EXCUSE), "turn_id", json!("t"))));
    let taken = taken(&authority, &world, "codex");
    assert_eq!(
        taken,
        json!({"failed_call": "exec_command (npm test): exit code 3: out",
               "denied_call": "exec_command (npm publish): Command blocked by PreToolUse hook: no. Command: npm publish",
               "usage": {"used": 210_000, "window": 258_400}})
    );
}
