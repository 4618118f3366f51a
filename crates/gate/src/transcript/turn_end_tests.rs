//! How a turn ended, by rows as Claude Code 2.1.197 and 2.1.332 and Codex 0.169.0 and 0.171.0 wrote them.

use serde_json::{Value, json};

use super::*;

fn end_of(harness: Harness, rows: &[Value]) -> TurnEnd {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    read(harness, &lines.join("\n"), true).turn_end
}

/// A call of Claude Code's, and the row with its result.
fn claude(id: &str, tool: &str, input: Value, result: &str, is_error: bool, more: Value) -> [Value; 2] {
    let mut row = json!({"type": "user", "userType": "external", "entrypoint": "sdk-cli", "message": {"role": "user",
        "content": [{"type": "tool_result", "content": result, "is_error": is_error, "tool_use_id": id}]}});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let call = json!({"type": "assistant", "message": {"role": "assistant", "model": "claude-opus-5-5",
        "content": [{"type": "tool_use", "id": id, "name": tool, "input": input}]}});
    [call, row]
}

fn bash(id: &str, command: &str, result: &str, is_error: bool) -> [Value; 2] {
    let told =
        if is_error { json!(format!("Error: {result}")) } else { json!({"stdout": result, "interrupted": false}) };
    claude(id, "Bash", json!({"command": command}), result, is_error, json!({"toolUseResult": told}))
}

fn typed(text: &str) -> Value {
    json!({"type": "user", "origin": {"kind": "human"}, "promptSource": "typed", "turnOrigin": "human",
           "message": {"role": "user", "content": text}})
}

fn said() -> Value {
    json!({"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": "So."}]}})
}

#[test]
fn a_command_of_claude_that_failed_is_told_and_one_that_went_well_later_takes_it_back() {
    let failed = bash("a", "cargo test", "Exit code 101\nerror[E0308]: mismatched types", true);
    let well = bash("b", "cargo test -p x", "ok", false);
    let other = bash("c", "ls nowhere", "Exit code 2\nls: cannot access 'nowhere'", true);
    let of = |rows: &[&[Value]]| end_of(Harness::Claude, &rows.concat()).failed_call;
    assert_eq!(of(&[&failed]).as_deref(), Some("Bash (cargo test): Exit code 101: error[E0308]: mismatched types"));
    assert_eq!(of(&[&failed, &well]), None);
    assert!(of(&[&well, &failed, &[said()]]).is_some());
    assert_eq!(of(&[&other]), None, "it looked for something");
    assert_eq!(of(&[&failed, &[typed("go on")], &[said()]]), None, "that was another turn's");
    let feedback = json!({"type": "user", "isMeta": true, "rowSource": "hook",
                          "message": {"role": "user", "content": "Stop hook feedback:\ngo on"}});
    assert!(of(&[&failed, &[feedback], &[said()]]).is_some(), "the same turn goes on");
    let sidechain: Vec<Value> = failed
        .iter()
        .map(|row| {
            let mut row = row.clone();
            row["isSidechain"] = json!(true);
            row
        })
        .collect();
    assert_eq!(of(&[&sidechain]), None, "a subagent's");
}

#[test]
fn what_the_agent_called_wrongly_or_was_interrupted_is_no_failure() {
    for text in [
        "<tool_use_error>String to replace not found in file.\nString: zzz</tool_use_error>",
        "<tool_use_error>Error: No such tool available: NoSuch</tool_use_error>",
        "<tool_use_error>InputValidationError: Bash failed due to the following issues</tool_use_error>",
        "[Request interrupted by user for tool use]",
    ] {
        let rows = claude("a", "Edit", json!({"file_path": "/w/a"}), text, true, json!({"toolUseResult": "Error"}));
        assert!(end_of(Harness::Claude, &rows).is_unknown(), "{text}");
    }
    let rows = claude("a", "Bash", json!({"command": "x"}), "x", true, json!({"toolDenialKind": "interrupted"}));
    assert!(end_of(Harness::Claude, &rows).is_unknown());
}

#[test]
fn every_form_of_a_refusal_of_claude_s_is_one() {
    let rejected = "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the new_string was NOT written to the file). To tell you how to proceed, the user said:\nno";
    for (text, kind) in [
        (rejected, Some("user-rejected")),
        (rejected, None),
        ("Permission to use Bash with command curl http://x/ has been denied.", Some("permission-rule")),
        ("Permission to use Bash with command curl http://x/ has been denied.", None),
        ("PreToolUse:Bash hook error: no publishing", Some("permission-rule")),
        ("Claude requested permissions to use WebFetch, but you haven't granted it yet.", Some("user-rejected")),
        ("Claude requested permissions to use WebFetch, but you haven't granted it yet.", None),
        (
            "Permission to use WebFetch has been denied because Claude Code is running in don't ask mode. IMPORTANT",
            None,
        ),
        (
            "Permission for this action was denied by the Claude Code auto mode classifier. Reason: x",
            Some("automode-blocked"),
        ),
        ("Permission for this action has been denied. Reason: x", None),
        ("This command requires approval", None),
        ("<tool_use_error>File is in a directory that is denied by your permission settings.</tool_use_error>", None),
    ] {
        let more = kind.map_or(json!({}), |kind| json!({"toolDenialKind": kind}));
        let refused = claude("a", "Bash", json!({"command": "npm publish"}), text, true, more);
        let end = end_of(Harness::Claude, &refused);
        assert!(end.denied_call.is_some_and(|said| said.starts_with("Bash (npm publish): ")), "{text}");
        assert_eq!(end.failed_call, None, "{text}");
        let allowed = bash("b", "npm publish", "+ x@1.0.0", false);
        assert_eq!(end_of(Harness::Claude, &[refused, allowed].concat()).denied_call, None, "{text}");
    }
    // Another program's words are not the client's, and no right in the world is as good as none.
    let printed = bash("a", "cat notes", "Exit code 1\nPermission to use the hall", true);
    assert_eq!(end_of(Harness::Claude, &printed).denied_call, None);
    let push = bash("a", "git push", "Exit code 128\ngit@github.com: Permission denied (publickey).", true);
    let end = end_of(Harness::Claude, &push);
    assert!(end.denied_call.is_some() && end.failed_call.is_some(), "{end:?}");
}

#[test]
fn how_full_the_window_was_is_told_where_the_window_is_known() {
    let answer = |model: &str, read: u64| {
        json!({"type": "assistant", "message": {"role": "assistant", "model": model, "content": [{"type": "text", "text": "x"}],
            "usage": {"input_tokens": 10, "cache_read_input_tokens": read, "cache_creation_input_tokens": 5, "output_tokens": 7}}})
    };
    let of = |rows: &[Value]| end_of(Harness::Claude, rows).usage;
    let usage = |used, window| Some(ContextUsage { used, window });
    assert_eq!(of(&[answer("claude-haiku-4-5-20251001", 120_000)]), usage(120_015, 200_000));
    assert_eq!(of(&[answer("claude-opus-5-5", 120_000)]), usage(120_015, 1_000_000));
    assert_eq!(of(&[answer("claude-sonnet-4-5[1m]", 120_000)]), usage(120_015, 1_000_000));
    assert_eq!(of(&[answer("claude-sonnet-4-5", 120_000)]), None, "either window");
    assert_eq!(of(&[answer("claude-sonnet-4-5", 300_000)]), usage(300_015, 1_000_000));
    assert_eq!(of(&[answer("glm-5", 120_000)]), None);
    assert_eq!(of(&[answer("claude-opus-5-5", u64::MAX)]), None);
    assert_eq!(of(&[answer("claude-opus-5-5", 1000), answer("<synthetic>", 0)]), usage(1015, 1_000_000));
    assert_eq!(of(&[answer("claude-opus-5-5", 1000), answer("glm-5", 9)]), None, "the model was changed");

    let count = |total: Value, window: Value| {
        json!({"type": "event_msg", "payload": {"type": "token_count", "info": {
            "total_token_usage": {"total_tokens": 999_999}, "last_token_usage": {"input_tokens": 90, "cached_input_tokens": 80,
            "total_tokens": total}, "model_context_window": window}, "rate_limits": null}})
    };
    let of = |rows: &[Value]| end_of(Harness::Codex, rows).usage;
    assert_eq!(of(&[count(json!(1), json!(258_400)), count(json!(200_000), json!(258_400))]), usage(200_000, 258_400));
    assert_eq!(of(&[count(json!(5), json!(null))]), None);
    let limits_alone = json!({"type": "event_msg", "payload": {"type": "token_count", "info": null}});
    assert_eq!(of(&[count(json!(5), json!(9)), limits_alone]), usage(5, 9));
    assert_eq!(of(&[json!({"type": "event_msg", "payload": {"type": "token_count", "info": null}})]), None);
}

#[test]
fn tasks_that_moved_since_the_last_prompt_are_told() {
    let todo = |id: &str, status: &str| {
        let input =
            json!({"todos": [{"content": "lexer", "status": "completed"}, {"content": "parser", "status": status}]});
        claude(id, "TodoWrite", input, "Todos have been modified", false, json!({}))
    };
    let of = |rows: &[&[Value]]| end_of(Harness::Claude, &rows.concat()).tasks_moved;
    let go = [typed("go on")];
    let notice = json!({"type": "user", "origin": {"kind": "task-notification"},
        "promptSource": "system", "message": {"role": "user", "content": "<task-notification>"}});
    assert!(of(&[&go, &todo("a", "pending")]));
    assert!(!of(&[&todo("a", "pending"), &go]));
    assert!(!of(&[&todo("a", "pending"), &go, &todo("b", "pending")]), "written down again");
    assert!(of(&[&todo("a", "pending"), &go, &todo("b", "in_progress")]));
    assert!(of(&[&todo("a", "in_progress"), &[notice]]), "that was not the person");
    let update = claude(
        "u",
        "TaskUpdate",
        json!({"taskId": "7", "status": "in_progress"}),
        "Updated",
        false,
        json!({"toolUseResult": {"success": true, "taskId": "7", "statusChange": {"from": "pending", "to": "in_progress"}}}),
    );
    assert!(of(&[&go, &update]));
    assert!(!of(&[&update, &go]));

    let plan = |status: &str| {
        let arguments = json!({"plan": [{"step": "parser", "status": status}]}).to_string();
        json!({"type": "response_item", "payload": {"type": "function_call", "name": "update_plan", "call_id": "p", "arguments": arguments}})
    };
    let starts =
        json!({"type": "event_msg", "payload": {"type": "task_started", "turn_attribution": {"turn_trigger": "user"}}});
    let moved = |rows: &[Value]| end_of(Harness::Codex, rows).tasks_moved;
    assert!(moved(&[starts.clone(), plan("in_progress")]));
    assert!(!moved(&[starts.clone(), plan("pending")]));
    assert!(!moved(&[plan("in_progress"), starts]));
    let refused = json!({"type": "response_item", "payload": {"type": "function_call_output", "call_id": "p",
        "output": "unsupported call: update_plan"}});
    assert!(!moved(&[plan("in_progress"), refused]), "it was not offered");
}

/// A call of Codex's shell, and what it printed.
fn codex(id: &str, command: &str, output: Value) -> [Value; 2] {
    [
        json!({"type": "response_item", "payload": {"type": "function_call", "name": "exec_command", "call_id": id,
            "arguments": json!({"cmd": command}).to_string()}}),
        json!({"type": "response_item", "payload": {"type": "function_call_output", "call_id": id, "output": output}}),
    ]
}

fn exited(code: u32, printed: &str) -> Value {
    json!(format!(
        "Chunk ID: fbc26e\nWall time: 0.0013 seconds\nProcess exited with code {code}\nOriginal token count: 1\nOutput:\n{printed}"
    ))
}

#[test]
fn what_failed_and_what_was_refused_in_codex_is_told() {
    let of = |rows: &[&[Value]]| end_of(Harness::Codex, &rows.concat());
    let failed = codex("a", "npm test", exited(3, "out\n"));
    assert_eq!(of(&[&failed]).failed_call.as_deref(), Some("exec_command (npm test): exit code 3: out"));
    assert_eq!(of(&[&failed, &codex("b", "npm test", exited(0, "ok"))]), TurnEnd::default());
    assert!(of(&[&failed, &codex("b", "npm build", exited(0, "ok"))]).failed_call.is_some());
    // What a program prints is not what came of it.
    assert_eq!(
        of(&[&codex("a", "cat x", exited(0, "Process exited with code 1\nrejected by user"))]),
        TurnEnd::default()
    );
    for output in [
        json!({"content": "no", "success": false}),
        json!("{\"output\":\"boom\",\"metadata\":{\"exit_code\":1,\"duration_seconds\":0.1}}"),
        json!("Exit code: 1\nWall time: 0 seconds\nOutput:\nboom"),
        json!([{"type": "input_text", "text": "Exit code: 1\nOutput:\nboom"}]),
    ] {
        assert!(of(&[&codex("a", "npm test", output.clone())]).failed_call.is_some(), "{output}");
    }
    for text in [
        "Command blocked by PreToolUse hook: no publishing. Command: npm publish",
        "exec command rejected by user",
        "approval policy is Never; reject command \u{2014} you cannot ask for escalated permissions",
        "`/bin/bash -lc 'rm -rf /'` rejected: blocked by policy",
        "Wall time: 0 seconds\nCommand denied by sandbox: writing",
    ] {
        let end = of(&[&codex("a", "npm publish", json!(text))]);
        assert!(end.denied_call.is_some() && end.failed_call.is_none(), "{text}: {end:?}");
    }
    for text in
        ["unsupported call: x", "failed to parse function arguments: x", "Process running with session ID 7\nOutput:\n"]
    {
        assert_eq!(of(&[&codex("a", "npm publish", json!(text))]), TurnEnd::default(), "{text}");
    }
    let patch = |id: &str, output: &str| {
        [
            json!({"type": "response_item", "payload": {"type": "custom_tool_call", "name": "apply_patch", "call_id": id,
                "input": "*** Begin Patch\n*** Update File: a.txt\n"}}),
            json!({"type": "response_item", "payload": {"type": "custom_tool_call_output", "call_id": id, "output": output}}),
        ]
    };
    assert_eq!(of(&[&patch("a", "apply_patch verification failed: no such lines")]), TurnEnd::default());
    let refused = patch("a", "patch rejected by user");
    assert!(of(&[&refused]).denied_call.is_some());
    assert_eq!(of(&[&refused, &patch("b", "Exit code: 0\nOutput:\nSuccess.")]), TurnEnd::default());
    let starts = json!({"type": "event_msg", "payload": {"type": "task_started"}});
    assert_eq!(of(&[&failed, &[starts]]), TurnEnd::default());
}

#[test]
fn a_transcript_that_is_cut_or_half_written_tells_what_is_whole() {
    let rows = bash("a", "cargo test", "Exit code 101\nno", true).map(|row| row.to_string());
    let text = format!("{}\n{}\n{{\"type\":\"user\",\"mess", rows[0], rows[1]);
    assert!(read(Harness::Claude, &text, true).turn_end.failed_call.is_some());
    assert!(read(Harness::Claude, &text, false).turn_end.is_unknown(), "the call is cut off");
    for at in 0..text.len() {
        if let Some(cut) = text.get(..at) {
            let _ = read(Harness::Claude, cut, true);
            let _ = read(Harness::Codex, cut, true);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_row_of_a_call_panics(
        kind in "(tool_use|tool_result|function_call|function_call_output|custom_tool_call_output|token_count|x)",
        text in "(Exit code |Process exited with code |Permission to |`|\\{|<tool_use_error>|)[^\\u{0}]{0,80}",
        command in "[a-z &|;'\"(\u{e9}\u{1f600}-]{0,40}",
    ) {
        let rows = [
            json!({"type": "assistant", "message": {"content": [{"type": kind, "id": text, "name": command, "input": {"command": command}}],
                "usage": {"input_tokens": text}, "model": command}}),
            json!({"type": "user", "message": {"content": [{"type": kind, "tool_use_id": text, "is_error": true, "content": text}]}}),
            json!({"type": "response_item", "payload": {"type": kind, "call_id": text, "name": "exec_command",
                "arguments": json!({"cmd": command}).to_string(), "output": text, "info": {"model_context_window": text}}}),
        ];
        for harness in [Harness::Claude, Harness::Codex] {
            let end = end_of(harness, &rows);
            for said in [end.failed_call, end.denied_call].into_iter().flatten() {
                proptest::prop_assert!(said.chars().count() <= 161 && !said.contains('\n'), "{said}");
            }
        }
    }
}
