//! A hook's answer: whatever the reason says, one JSON object with the documented fields, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stopgate_core::text::fill;
use stopgate_core::harness::Reply;
use stopgate_core::redact::redact;
use stopgate_core::session::Harness;
use stopgate_core::text::one_line;
use stopgate_fuzz::assert_shown;

/// As in the dialect.
const MAX_CODEX_BYTES: usize = 8_000;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for harness in Harness::ALL {
        assert_eq!(Reply::Allow.render(harness), None);
        let block = Reply::Block { reason: text.clone() }.render(harness);
        check(harness, block.as_deref(), &[("decision", "block"), ("reason", text.trim())], &text);
        let note = Reply::Note { text: text.clone() }.render(harness);
        check(harness, note.as_deref(), &[("systemMessage", text.trim())], &text);
    }
    // What reasons are made of.
    assert_shown(&one_line(&text, 160), 160);
    let redacted = redact(&text);
    assert_eq!(redact(&redacted), redacted, "redacting twice is not redacting once");
    let filled = fill("a {one} b {two} c", &[("one", &text), ("two", "2")]);
    assert_eq!(filled, format!("a {text} b 2 c"), "a value is taken for a place");
});

fn check(harness: Harness, printed: Option<&str>, fields: &[(&str, &str)], said: &str) {
    let Some(printed) = printed else {
        assert!(said.trim().is_empty(), "a reason was lost");
        return;
    };
    assert!(!printed.contains(['\n', '\r']), "more than one line");
    let Ok(Value::Object(object)) = serde_json::from_str(printed) else { panic!("not one JSON object: {printed}") };
    assert_eq!(object.len(), fields.len(), "{printed}");
    for (name, value) in fields {
        let shown = object[*name].as_str().expect("a text");
        // Codex gets the beginning of a long reason.
        assert!(shown == *value || (shown.len() > MAX_CODEX_BYTES - 4 && value.starts_with(shown)), "{name}: {shown}");
        assert!(harness == Harness::Claude || *name != "reason" || shown.len() <= MAX_CODEX_BYTES);
    }
}
