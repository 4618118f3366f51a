use super::*;
use TaskStatus::{Completed, InProgress, Pending};

fn list(transcript: &Transcript) -> Vec<(&str, TaskStatus)> {
    transcript.tasks.iter().map(|task| (task.text.as_str(), task.status)).collect()
}

fn claude_tool(name: &str, input: &str) -> String {
    format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"{name}","input":{input}}}]}}}}"#)
}

#[test]
fn the_last_todo_list_of_claude_counts() {
    let lines = [
        claude_tool("TodoWrite", r#"{"todos":[{"content":"old","status":"pending"}]}"#),
        claude_tool(
            "TodoWrite",
            r#"{"todos":[{"content":"lexer","status":"completed"},{"content":"log in with password=hunter2","status":"in_progress"}]}"#,
        ),
        "not json".to_owned(),
        claude_tool("Edit", r#"{"file_path":"/w/docs/plan.md"}"#),
    ];
    let found = read(Harness::Claude, &lines.join("\n"), true);
    assert_eq!(list(&found), [("lexer", Completed), ("log in with password=[redacted]", InProgress)]);
    assert!(found.files.written.contains(std::path::Path::new("/w/docs/plan.md")));
}

#[test]
fn a_transcript_that_was_not_read_to_its_end_tells_nothing() {
    let open = claude_tool("TodoWrite", r#"{"todos":[{"content":"lexer","status":"in_progress"}]}"#);
    let done = claude_tool("TodoWrite", r#"{"todos":[{"content":"lexer","status":"completed"}]}"#);
    let text = [open, done].join("\n");
    let read_lines = |lines: u32| {
        let mut left = lines;
        read_while(Harness::Claude, &text, true, || {
            left = left.saturating_sub(1);
            left > 0
        })
    };
    assert_eq!(read_lines(2), None, "the second line was not looked at");
    assert_eq!(list(&read_lines(3).unwrap()), [("lexer", Completed)]);
}

#[test]
fn tasks_of_claude_are_followed_by_their_ids() {
    let result = |id: u32| {
        format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"Task #{id} created successfully: x"}}]}}}}"#
        )
    };
    let lines = [
        claude_tool("TaskUpdate", r#"{"taskId":"1","status":"completed"}"#),
        claude_tool("TaskCreate", r#"{"subject":"lexer","description":"d"}"#),
        claude_tool("TaskCreate", r#"{"subject":"parser"}"#),
        result(2),
        result(3),
        claude_tool("TaskCreate", r#"{"subject":"wrong idea"}"#),
        result(4),
        claude_tool("TaskUpdate", r#"{"taskId":"2","status":"completed"}"#),
        claude_tool("TaskUpdate", r#"{"taskId":"4","status":"deleted"}"#),
    ];
    assert_eq!(list(&read(Harness::Claude, &lines.join("\n"), true)), [("lexer", Completed), ("parser", Pending)]);
}

#[test]
fn the_plan_of_codex_and_its_patches() {
    let plan = r#"{"type":"response_item","payload":{"type":"function_call","name":"update_plan","arguments":"{\"plan\":[{\"step\":\"lexer\",\"status\":\"completed\"},{\"step\":\"parser\",\"status\":\"pending\"}]}"}}"#;
    let patch = r#"{"type":"response_item","payload":{"type":"custom_tool_call","name":"apply_patch","input":"*** Begin Patch\n*** Update File: docs/plan.md\n@@"}}"#;
    let found = read(Harness::Codex, &[plan, patch].join("\n"), true);
    assert_eq!(list(&found), [("lexer", Completed), ("parser", Pending)]);
    assert!(found.files.written.contains(std::path::Path::new("docs/plan.md")));
}

#[test]
fn only_the_session_works_not_its_subagents() {
    let todo = claude_tool("TodoWrite", r#"{"todos":[{"content":"a","status":"pending"}]}"#);
    let line = todo.replacen('{', r#"{"isSidechain":true,"#, 1);
    assert_eq!(read(Harness::Claude, &line, true).tasks, []);
}

/// A call with its id, and what the client made of it, as Claude Code 2.1.332 writes them.
fn call(id: &str, name: &str, input: &str, result: &str, told: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}]}}}}
{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{id}","content":"{result}"{}}}]}},"toolUseResult":{told}}}"#,
        if told.starts_with('"') { r#","is_error":true"# } else { "" }
    )
}

fn created(id: u32, subject: &str) -> String {
    let (input, result) =
        (format!(r#"{{"subject":"{subject}"}}"#), format!("Task #{id} created successfully: {subject}"));
    let told = format!(r#"{{"task":{{"id":"{id}","subject":"{subject}","description":"d"}}}}"#);
    call(&format!("c{id}"), "TaskCreate", &input, &result, &told)
}

#[test]
fn a_task_that_is_cancelled_deleted_or_was_never_made_is_not_open() {
    let update = |id: u32, status: &str, told: &str| {
        call(&format!("u{id}"), "TaskUpdate", &format!(r#"{{"taskId":"{id}","status":"{status}"}}"#), "x", told)
    };
    let lines = [
        created(1, "lexer"),
        created(2, "parser"),
        created(3, "wrong idea"),
        created(4, "given up"),
        // A hook undid it; and one whose call was interrupted.
        call("c5", "TaskCreate", r#"{"subject":"refused"}"#, "TaskCreated hook feedback: no", "\"Error\""),
        claude_tool("TaskCreate", r#"{"subject":"interrupted"}"#),
        update(1, "completed", r#"{"success":true,"taskId":"1","statusChange":{"from":"pending","to":"completed"}}"#),
        update(3, "deleted", r#"{"success":true,"taskId":"3","statusChange":{"from":"pending","to":"deleted"}}"#),
        update(4, "cancelled", "\"InputValidationError\""),
    ];
    assert_eq!(list(&read(Harness::Claude, &lines.join("\n"), true)), [("lexer", Completed), ("parser", Pending)]);
}

#[test]
fn the_client_s_own_list_is_the_last_word() {
    let told = r#"{"tasks":[{"id":"1","subject":"lexer","status":"completed","blockedBy":[]},{"id":"2","subject":"parser","status":"completed","blockedBy":[]}]}"#;
    let lines = [created(1, "lexer"), created(2, "parser"), call("l", "TaskList", "{}", "#1 [completed] lexer", told)];
    let mut found = read(Harness::Claude, &lines.join("\n"), true);
    assert_eq!(list(&found), [("lexer", Completed), ("parser", Completed)], "a subagent finished it");
    assert_eq!(found.task_ids, [Some("1".to_owned()), Some("2".to_owned())]);
    // What lies beside the transcript knows more.
    found.settle(|id| (id == "2").then_some(InProgress));
    assert_eq!(list(&found), [("parser", InProgress)]);
}

#[test]
fn a_list_that_the_client_refused_changes_nothing() {
    let todo = |id: &str, text: &str, told: &str| {
        call(id, "TodoWrite", &format!(r#"{{"todos":[{{"content":"{text}","status":"pending"}}]}}"#), "x", told)
    };
    let lines = [todo("a", "lexer", "{}"), todo("b", "no such tool", "\"Error: No such tool available: TodoWrite\"")];
    assert_eq!(list(&read(Harness::Claude, &lines.join("\n"), true)), [("lexer", Pending)]);
    let plan = r#"{"type":"response_item","payload":{"type":"function_call","name":"update_plan","call_id":"c","arguments":"{\"plan\":[{\"step\":\"lexer\",\"status\":\"pending\"}]}"}}"#;
    let refused = r#"{"type":"response_item","payload":{"type":"function_call_output","call_id":"c","output":"unsupported call: update_plan"}}"#;
    assert_eq!(read(Harness::Codex, plan, true).tasks.len(), 1);
    assert_eq!(read(Harness::Codex, &[plan, refused].join("\n"), true).tasks, []);
}

#[test]
fn a_teammate_works_until_it_says_that_it_waits() {
    let spawned = claude_tool("Agent", r#"{"name":"mate","prompt":"go"}"#);
    let idle = r#"{"type":"user","message":{"content":"Another Claude session sent a message:\n<teammate-message teammate_id=\"mate\" color=\"blue\">\n{\"type\":\"idle_notification\",\"from\":\"mate\"}\n</teammate-message>"}}"#;
    let sent = claude_tool("SendMessage", r#"{"to":"mate","message":"more"}"#);
    let waits = |lines: &[&str], count| read(Harness::Claude, &lines.join("\n"), true).all_wait(count);
    assert!(!waits(&[&spawned], 1) && !waits(&[], 1));
    assert!(waits(&[&spawned, idle], 1) && waits(&[idle], 1));
    assert!(!waits(&[&spawned, idle], 2), "of the other one nothing is known");
    assert!(!waits(&[&spawned, idle, &sent], 1));
}

#[test]
fn the_first_line_of_a_cut_transcript_is_dropped() {
    let line = claude_tool("TodoWrite", r#"{"todos":[{"content":"a","status":"pending"}]}"#);
    assert_eq!(read(Harness::Claude, &line, false), Transcript::default());
    assert_eq!(read(Harness::Claude, &format!("{}\n{line}", &line[9..]), false).tasks.len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_transcript_panics(lines in proptest::collection::vec("(\\{\"type\":\"(user|assistant)\",\"message\":.{0,40}\\}|.{0,60})", 0..6)) {
        for harness in [Harness::Claude, Harness::Codex] {
            let _ = read(harness, &lines.join("\n"), true);
        }
    }
}

#[test]
fn what_ended_the_last_turn_is_told() {
    let claude = |lines: &[&str]| read(Harness::Claude, &lines.join("\n"), true).ended_by;
    let tool = |name: &str, id: &str| {
        format!(
            r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{id}","name":"{name}","input":{{}}}}]}}}}"#
        )
    };
    let result = |id: &str, is_error: bool| {
        format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{id}","is_error":{is_error},"content":"x"}}]}}}}"#
        )
    };
    let said = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"so"}]}}"#;
    let failed = r#"{"type":"assistant","isApiErrorMessage":true,"message":{"content":[{"type":"text","text":"API Error: 529"}]}}"#;
    let prompt = r#"{"type":"user","message":{"content":"go on"}}"#;
    for name in ["AskUserQuestion", "ExitPlanMode"] {
        let asks = tool(name, "a");
        assert_eq!(claude(&[&asks, said]), Some(EndedBy::Question), "{name}");
        assert_eq!(claude(&[&asks, &result("a", true), said]), Some(EndedBy::Question), "refused: {name}");
        assert_eq!(claude(&[&asks, &result("a", false), said]), None, "answered: {name}");
        assert_eq!(claude(&[&asks, &tool("Bash", "b"), said]), None, "{name}");
        assert_eq!(claude(&[&asks, prompt, said]), None, "{name}");
    }
    assert_eq!(claude(&[prompt, failed]), Some(EndedBy::ApiError));
    assert_eq!(claude(&[prompt, failed, said]), None, "it was tried again");
    assert_eq!(claude(&[failed, prompt, said]), None);

    let codex = |lines: &[&str]| read(Harness::Codex, &lines.join("\n"), true).ended_by;
    let starts = |mode: &str| {
        format!(r#"{{"type":"event_msg","payload":{{"type":"task_started","collaboration_mode_kind":"{mode}"}}}}"#)
    };
    let asks = r#"{"type":"response_item","payload":{"type":"function_call","name":"request_user_input","call_id":"a","arguments":"{}"}}"#;
    let answered = r#"{"type":"response_item","payload":{"type":"function_call_output","call_id":"a","output":"{\"answers\":{}}"}}"#;
    let context = r#"{"type":"turn_context","payload":{"collaboration_mode":{"mode":"plan","settings":{}}}}"#;
    let runs = r#"{"type":"response_item","payload":{"type":"function_call","name":"exec_command","call_id":"b","arguments":"{}"}}"#;
    assert_eq!(codex(&[&starts("plan"), runs]), Some(EndedBy::PlanMode));
    assert_eq!(codex(&[&starts("default"), context, runs]), Some(EndedBy::PlanMode));
    assert_eq!(codex(&[&starts("plan"), &starts("default"), runs]), None);
    assert_eq!(codex(&[&starts("default"), asks]), Some(EndedBy::Question));
    assert_eq!(codex(&[&starts("default"), asks, answered]), None);
    assert_eq!(codex(&[&starts("default"), asks, runs]), None);
}
