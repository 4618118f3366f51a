//! A hook's payload: any bytes are read or refused, and what is read has a size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stopgate_core::harness::{self, Event, EventKind, MAX_MESSAGE_BYTES, MAX_PROMPT_BYTES, Payload};
use stopgate_core::session::Harness;
use stopgate_core::session::SessionKey;
use stopgate_fuzz::assert_shown;

/// More than every bounded field together.
const MAX_EVENT_BYTES: usize = MAX_MESSAGE_BYTES + 2 * 4096 + 4 * 1024;

fuzz_target!(|bytes: &[u8]| {
    for named in [None].into_iter().chain(Harness::ALL.map(Some)) {
        let read = harness::parse(named, bytes);
        match &read {
            Ok(Payload::Known(event)) => {
                assert!(named.is_none_or(|named| named == event.key.harness));
                check(event);
                let again: Event = serde_json::from_slice(&serde_json::to_vec(event).unwrap()).unwrap();
                assert_eq!(again, handed_on(event), "what a hook hands on is not what the authority reads");
            }
            Ok(Payload::Unknown { name }) => assert_shown(name, 64),
            Err(error) => assert!(error.to_string().len() < 200, "{error}"),
        }
        if let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) {
            fields.insert("a field of tomorrow".to_owned(), serde_json::json!({"x": [1, null, "y"]}));
            let with_more = serde_json::to_vec(&fields).unwrap();
            assert_eq!(harness::parse(named, &with_more).ok(), read.ok(), "a field that nobody knows matters");
        }
    }
});

/// What leaves the hook: all but what the model gave a tool, which stays there.
fn handed_on(event: &Event) -> Event {
    let mut event = event.clone();
    if let EventKind::PreToolUse(call) = &mut event.kind {
        call.input = Value::Null;
    }
    event
}

fn check(event: &Event) {
    assert!(SessionKey::new(event.key.harness, &event.key.session_id).is_some());
    assert!(event.cwd.iter().chain(&event.transcript_path).all(|path| path.is_absolute()));
    assert_ne!(event.agent_id.as_deref(), Some(""));
    let words = [&event.model, &event.permission_mode, &event.agent_id];
    let said: usize = words.into_iter().flatten().map(String::len).sum();
    let paths: usize = event.cwd.iter().chain(&event.transcript_path).map(|path| path.as_os_str().len()).sum();
    let own = match &event.kind {
        EventKind::Stop(stop) => {
            assert!(stop.last_assistant_message.len() <= MAX_MESSAGE_BYTES);
            stop.last_assistant_message.len()
        }
        EventKind::UserPromptSubmit { prompt } => {
            assert!(prompt.len() <= MAX_PROMPT_BYTES);
            prompt.len()
        }
        EventKind::PermissionRequest { tool } => {
            tool.iter().for_each(|tool| assert_shown(tool, 64));
            0
        }
        EventKind::SessionEnd { reason } => reason.as_ref().map_or(0, String::len),
        _ => 0,
    };
    assert!(said + paths + own <= MAX_EVENT_BYTES, "an event of {} bytes", said + paths + own);
}
