use super::*;
use rstest::rstest;

fn known(harness: Option<Harness>, json: &str) -> Event {
    match parse(harness, json.as_bytes()) {
        Ok(Payload::Known(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_of_claude_code_is_read() {
    let event = known(
        Some(Harness::Claude),
        r#"{"session_id":"s-1","cwd":"/w","hook_event_name":"Stop","prompt_id":"p-1","stop_hook_active":true,
            "last_assistant_message":"Done \u00e9","background_tasks":[{"id":1},{"type":"teammate"},
            {"type":"shell","status":"running","command":"npm run dev"}],"session_crons":[{},{"schedule":"*/5 * * * *"}],
            "new_field":{"a":[1]}}"#,
    );
    assert_eq!(event.key, SessionKey::new(Harness::Claude, "s-1").unwrap());
    assert_eq!(event.cwd.as_deref(), Some(std::path::Path::new("/w")));
    let expected = Stop {
        stop_hook_active: true,
        last_assistant_message: "Done \u{e9}".to_owned(),
        prompt_id: Some("p-1".to_owned()),
        pending_tasks: 5,
        teammates: 1,
        schedules: vec!["*/5 * * * *".to_owned()],
        shells: vec!["npm run dev".to_owned()],
    };
    assert_eq!(expected.surely_waking(), 2);
    assert_eq!(event.kind, EventKind::Stop(expected));
}

#[rstest]
#[case(r#"{"hook_event_name":"Notification","session_id":"s"}"#, "Notification")]
#[case(r#"{"hook_event_name":"Teleport"}"#, "Teleport")]
#[case("{}", "")]
fn events_without_use_are_skipped(#[case] json: &str, #[case] name: &str) {
    assert_eq!(parse(Some(Harness::Claude), json.as_bytes()), Ok(Payload::Unknown { name: name.to_owned() }));
}

#[rstest]
#[case("")]
#[case("null")]
#[case("[]")]
#[case("{\"session_id\":")]
#[case("{\"session_id\":7,\"hook_event_name\":\"Stop\"}")]
#[case("\u{feff}{}")]
fn what_is_not_an_object_of_the_right_types_is_an_error(#[case] json: &str) {
    assert!(matches!(parse(Some(Harness::Claude), json.as_bytes()), Err(PayloadError::Json(_))), "{json}");
}

#[test]
fn errors_do_not_quote_the_payload() {
    let Err(error) = parse(Some(Harness::Claude), br#"{"hook_event_name": "UserPromptSubmit", "prompt": ["hunter2"]}"#)
    else {
        panic!()
    };
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn deep_nesting_in_an_unknown_field_is_harmless() {
    let deep = format!(r#"{{"x":{}{},"hook_event_name":"Zzz"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    // Skipped or refused, but not a stack overflow.
    let _ = parse(Some(Harness::Claude), deep.as_bytes());
}

#[rstest]
#[case(r#"{"hook_event_name":"Stop","session_id":""}"#)]
#[case(r#"{"hook_event_name":"Stop"}"#)]
#[case(r#"{"hook_event_name":"Stop","session_id":null}"#)]
fn no_session_no_event(#[case] json: &str) {
    assert_eq!(parse(Some(Harness::Codex), json.as_bytes()), Err(PayloadError::NoSession));
}

#[rstest]
#[case(r#"{"session_id":"s","hook_event_name":"Stop","prompt_id":"p"}"#, Some(Harness::Claude))]
#[case(r#"{"session_id":"s","hook_event_name":"Stop","turn_id":"t"}"#, Some(Harness::Codex))]
#[case(r#"{"session_id":"s","hook_event_name":"Stop"}"#, None)]
#[case(r#"{"session_id":"s","hook_event_name":"Stop","prompt_id":"p","turn_id":"t"}"#, None)]
fn without_an_argument_the_shape_decides(#[case] json: &str, #[case] harness: Option<Harness>) {
    match harness {
        Some(harness) => assert_eq!(known(None, json).key.harness, harness),
        None => assert_eq!(parse(None, json.as_bytes()), Err(PayloadError::NoHarness)),
    }
}

#[test]
fn long_texts_are_cut_where_they_matter() {
    let long = format!("{}END", "é".repeat(MAX_MESSAGE_BYTES));
    let json = serde_json::json!({"session_id":"s","hook_event_name":"Stop","last_assistant_message":long}).to_string();
    let EventKind::Stop(stop) = known(Some(Harness::Codex), &json).kind else { panic!() };
    assert!(stop.last_assistant_message.len() <= MAX_MESSAGE_BYTES && stop.last_assistant_message.ends_with("END"));
}

#[test]
fn words_and_paths_of_a_payload_have_an_end() {
    let long = "x".repeat(300_000);
    let json = serde_json::json!({
        "session_id": "s", "hook_event_name": "SessionEnd", "reason": long, "model": long, "permission_mode": long,
        "agent_id": long, "cwd": format!("/{long}"), "transcript_path": format!("/{}", "x".repeat(4_000)),
    });
    let event = known(Some(Harness::Claude), &json.to_string());
    let EventKind::SessionEnd { reason } = &event.kind else { panic!() };
    let words = [reason, &event.model, &event.permission_mode, &event.agent_id];
    assert!(words.into_iter().all(|word| word.as_ref().is_some_and(|word| word.len() == 256)));
    assert_eq!((event.cwd, event.transcript_path.map(|path| path.as_os_str().len())), (None, Some(4_001)));
}

#[test]
fn a_change_of_settings_names_its_file() {
    let json =
        r#"{"session_id":"s","hook_event_name":"ConfigChange","source":"user_settings","file_path":"/h/s.json"}"#;
    let kind = known(Some(Harness::Claude), json).kind;
    assert_eq!(kind, EventKind::ConfigChange { file: Some("/h/s.json".into()), lost: None });
}

#[test]
fn a_reply_is_one_object_with_two_fields_or_nothing() {
    let block = Reply::Block { reason: " say \"hi\"\n".to_owned() };
    for harness in [Harness::Claude, Harness::Codex] {
        assert_eq!(Reply::Allow.render(harness), None);
        assert_eq!(Reply::Block { reason: " \n".to_owned() }.render(harness), None);
        assert_eq!(block.render(harness).as_deref(), Some(r#"{"decision":"block","reason":"say \"hi\""}"#));
    }
    let long = Reply::Block { reason: "x".repeat(20_000) };
    assert!(long.render(Harness::Codex).unwrap().len() < 9_000);
}

#[test]
fn only_what_claude_code_reads_is_managed() {
    let dir = tempfile::tempdir().unwrap();
    let dropped = dir.path().join("managed-settings.d");
    std::fs::create_dir(&dropped).unwrap();
    for name in ["20-b.json", "10-a.json", ".hidden.json", "notes.txt", "x.json~"] {
        std::fs::write(dropped.join(name), "{}").unwrap();
    }
    let main = dir.path().join("managed-settings.json");
    assert_eq!(
        claude::managed_settings(dir.path()),
        [main.clone(), dropped.join("10-a.json"), dropped.join("20-b.json")]
    );
    assert_eq!(claude::managed_settings(&main), [main.join("managed-settings.json")]);
}

#[test]
fn a_tool_call_is_read_with_what_it_was_given_and_nothing_of_that_is_passed_on() {
    let event = known(
        Some(Harness::Codex),
        r#"{"session_id":"s","cwd":"/w/sub","hook_event_name":"PreToolUse","turn_id":"t","agent_id":"a",
            "tool_name":"Bash","tool_input":{"command":"echo SECRET"},"tool_use_id":"call_1"}"#,
    );
    let EventKind::PreToolUse(call) = &event.kind else { panic!("{event:?}") };
    assert_eq!((call.tool.as_str(), call.use_id.as_deref()), ("Bash", Some("call_1")));
    assert_eq!(call.input, json!({"command": "echo SECRET"}));
    assert_eq!((event.agent_id.as_deref(), event.cwd.as_deref()), (Some("a"), Some(std::path::Path::new("/w/sub"))));
    assert!(!serde_json::to_string(&event).unwrap().contains("SECRET"));
    let bare = known(Some(Harness::Claude), r#"{"session_id":"s","hook_event_name":"PreToolUse"}"#);
    assert_eq!(bare.kind, EventKind::PreToolUse(ToolCall::default()));
}

#[test]
fn what_is_said_before_a_tool_is_one_object_of_documented_fields() {
    for harness in Harness::ALL {
        let said = |reply: Reply| reply.render(harness).map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let deny = said(Reply::Deny { reason: " amber \"holds\" it\n".to_owned() });
        let expected = json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny",
                                                     "permissionDecisionReason": "amber \"holds\" it"}});
        assert_eq!(deny, Some(expected));
        let context = said(Reply::Context { text: "amber wrote it".to_owned() });
        let expected =
            json!({"hookSpecificOutput": {"hookEventName": "PreToolUse", "additionalContext": "amber wrote it"}});
        assert_eq!(context, Some(expected));
        assert_eq!(said(Reply::Deny { reason: " \n".to_owned() }), None, "no refusal without a reason");
        assert_eq!(said(Reply::Context { text: String::new() }), None);
    }
    let long = Reply::Deny { reason: "x".repeat(20_000) }.render(Harness::Codex).unwrap();
    assert!(long.len() < 10_000, "Codex would cut it");
}
