//! The shapes of the Messages API: an answer, its event stream, an error, the text of a message.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::script::Turn;

/// The complete message that `turn` stands for; `unique` makes its ids.
pub(super) fn build(turn: &Turn, model: &str, unique: &str) -> Value {
    let mut content = Vec::new();
    let silent = turn.text.is_none() && turn.tools.is_empty();
    if let Some(text) = turn.text.as_deref().or(silent.then_some("ok")) {
        content.push(json!({ "type": "text", "text": text }));
    }
    for (number, call) in turn.tools.iter().enumerate() {
        let id = format!("toolu_{unique}_{number}");
        content.push(json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.input }));
    }
    json!({
        "id": format!("msg_{unique}"), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": if turn.tools.is_empty() { "end_turn" } else { "tool_use" }, "stop_sequence": null,
        "usage": {
            "input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        },
    })
}

/// The same message as server-sent events.
pub(super) fn events(message: &Value) -> String {
    let mut out = String::new();
    let mut event = |name: &str, mut data: Value| {
        data["type"] = name.into();
        let _ = write!(out, "event: {name}\ndata: {data}\n\n");
    };
    let mut start = message.clone();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    event("message_start", json!({ "message": start }));
    for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
        let mut first = block.clone();
        let delta = if block["type"] == "text" {
            first["text"] = "".into();
            json!({ "type": "text_delta", "text": block["text"] })
        } else {
            first["input"] = json!({});
            json!({ "type": "input_json_delta", "partial_json": block["input"].to_string() })
        };
        event("content_block_start", json!({ "index": index, "content_block": first }));
        event("content_block_delta", json!({ "index": index, "delta": delta }));
        event("content_block_stop", json!({ "index": index }));
    }
    let delta = json!({ "stop_reason": message["stop_reason"], "stop_sequence": null });
    event("message_delta", json!({ "delta": delta, "usage": message["usage"] }));
    event("message_stop", json!({}));
    out
}

/// An error body.
pub(super) fn error(kind: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}

/// The text of a message's content, a string or a list of blocks; tool results and calls included.
pub fn flatten(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().map(flatten).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        Value::Object(block) => match block.get("type").and_then(Value::as_str) {
            Some("text") => block.get("text").map(flatten).unwrap_or_default(),
            Some("tool_result") => block.get("content").map(flatten).unwrap_or_default(),
            Some("tool_use") => block.get("input").map(Value::to_string).unwrap_or_default(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// The text of the last message in the user's role.
pub(super) fn last_user_text(body: &Value) -> String {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages
        .iter()
        .rfind(|message| message["role"] == "user")
        .map(|message| flatten(&message["content"]))
        .unwrap_or_default()
}
