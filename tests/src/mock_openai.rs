//! A scripted mock of the `OpenAI` Responses API on loopback: as much as a real Codex needs to hold a conversation.
//!
//! It speaks from the same [`Script`] as the other mock; a call of `Bash` becomes one of Codex's shell tool. Every
//! conversation request is kept: what the model *received* is what the tests assert.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Uri};
use serde_json::{Value, json};

use crate::loopback::{Answer, Server};
use crate::mock_anthropic::{Cursor, Recorded, RequestKind, Script, ToolCall, Turn, append, flatten};

/// A client in a loop is told to stop before it fills the memory.
const MAX_REQUESTS: usize = 500;

/// The running mock; it ends with the value.
#[derive(Debug)]
pub struct MockOpenAi {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cursor: Mutex<Cursor>,
    requests: Mutex<Vec<Value>>,
    journal: Option<PathBuf>,
}

impl MockOpenAi {
    /// Listens on an ephemeral port of 127.0.0.1; with a `journal`, each request is appended to that file, too.
    pub fn start(script: Script, journal: Option<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(Shared { cursor: Mutex::new(Cursor::new(script)), requests: Mutex::default(), journal });
        let serve = async |State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes| {
            shared.answer(&method, &uri, &body).await.into_response()
        };
        let server = Server::start(Router::new().fallback(serve).with_state(Arc::clone(&shared)))?;
        Ok(Self { server, shared })
    }

    /// The base URL of the model provider.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.server.address())
    }

    /// The bodies of the conversation's requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    async fn answer(&self, method: &Method, uri: &Uri, bytes: &[u8]) -> Answer {
        let body = serde_json::from_slice::<Value>(bytes);
        let body = match (method.as_str(), body) {
            ("POST", Ok(body)) if uri.path().ends_with("/responses") => body,
            ("GET", _) if uri.path().ends_with("/models") => {
                return Answer::Json(200, json!({ "object": "list", "data": [], "models": [] }));
            }
            _ => {
                let error = json!({ "message": "mock: no such endpoint", "type": "not_found", "code": null });
                return Answer::Json(404, json!({ "error": error }));
            }
        };
        let (label, turn, kind) = {
            let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
            if is_main(&body) {
                let (label, turn) = cursor.main_turn(&last_text(&body));
                (label, turn, RequestKind::Main)
            } else {
                let (label, turn) = cursor.side_turn();
                (label, turn, RequestKind::Side)
            }
        };
        let number = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(body.clone());
            if let Some(journal) = &self.journal {
                let (method, path) = (method.to_string(), uri.to_string());
                append(journal, &Recorded { method, path, kind, answer: Some(label), body }).unwrap();
            }
            requests.len()
        };
        tokio::time::sleep(Duration::from_millis(turn.delay_ms)).await;
        let turn = if number > MAX_REQUESTS { Turn::default() } else { turn };
        Answer::Stream(events(number, &turn))
    }
}

/// Whether a request belongs to a conversation: it offers tools, at the top or, to newer models, among the input, and is
/// not the one for a title.
fn is_main(body: &Value) -> bool {
    if body["text"]["format"]["type"] == "json_schema" {
        return false;
    }
    let among_input = || body["input"].as_array().into_iter().flatten().any(|item| item["type"] == "additional_tools");
    body["tools"].as_array().is_some_and(|tools| !tools.is_empty()) || among_input()
}

/// The text of the last item that is not the assistant's.
fn last_text(body: &Value) -> String {
    let items = body["input"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().rfind(|item| item["role"] != "assistant").map(item_text).unwrap_or_default()
}

/// The text of one item of a request's input: of a message, or of a tool's output.
pub fn item_text(item: &Value) -> String {
    let parts = |value: &Value| match value {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        value => flatten(value),
    };
    format!("{}{}", parts(&item["content"]), parts(&item["output"]))
}

/// A function call as the API knows it; the shell tool goes by Codex's name for it.
fn call(call: &ToolCall) -> (Option<String>, String, Value) {
    match call.name.as_str() {
        "Bash" => (None, "exec_command".to_owned(), json!({ "cmd": call.input["command"] })),
        name => match name.split_once("::") {
            Some((space, name)) => (Some(space.to_owned()), name.to_owned(), call.input.clone()),
            None => (None, name.to_owned(), call.input.clone()),
        },
    }
}

/// The one tool whose input is no JSON.
const PATCH: &str = "apply_patch";

fn items(number: usize, turn: &Turn) -> Vec<Value> {
    let mut items = Vec::new();
    let silent = turn.text.is_none() && turn.tools.is_empty();
    if let Some(text) = turn.text.as_deref().or(silent.then_some("ok")) {
        let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
        items.push(json!({ "type": "message", "id": format!("msg_{number}"), "role": "assistant",
                           "status": "completed", "content": content }));
    }
    for (index, tool) in turn.tools.iter().enumerate() {
        let (space, name, input) = call(tool);
        let mut item = json!({ "type": "function_call", "id": format!("fc_{number}_{index}"), "status": "completed",
                               "call_id": format!("call_{number}_{index}"), "name": name,
                               "arguments": input.to_string() });
        if let Some(space) = space {
            item["namespace"] = space.into();
        }
        if name == PATCH {
            // A tool of its own form: it takes a text.
            item["type"] = "custom_tool_call".into();
            item["input"] = input["input"].clone();
        }
        items.push(item);
    }
    items
}

/// One answer as the Responses API streams it.
fn events(number: usize, turn: &Turn) -> String {
    let items = items(number, turn);
    let response = |status: &str, output: &[Value]| {
        json!({ "id": format!("resp_{number}"), "object": "response", "created_at": 1, "status": status, "model": "mock",
                "output": output })
    };
    let mut all = vec![("response.created", json!({ "response": response("in_progress", &[]) }))];
    for (index, item) in items.iter().enumerate() {
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        if let Some(text) = item["content"][0]["text"].as_str() {
            begun["content"] = json!([]);
            all.push(("response.output_item.added", json!({ "output_index": index, "item": begun })));
            let delta = json!({ "output_index": index, "content_index": 0, "item_id": item["id"], "delta": text });
            all.push(("response.output_text.delta", delta));
        } else {
            all.push(("response.output_item.added", json!({ "output_index": index, "item": begun })));
        }
        all.push(("response.output_item.done", json!({ "output_index": index, "item": item })));
    }
    let mut completed = response("completed", &items);
    completed["usage"] = json!({ "input_tokens": 10, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 5,
                                 "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 15 });
    all.push(("response.completed", json!({ "response": completed })));
    let mut events = String::new();
    for (sequence, (name, mut data)) in all.into_iter().enumerate() {
        data["type"] = json!(name);
        data["sequence_number"] = json!(sequence);
        let _ = write!(events, "event: {name}\ndata: {data}\n\n");
    }
    events
}
