//! A scripted mock of the `OpenAI` Responses API on loopback: as much as a real Codex needs to hold a conversation.
//!
//! "The model" says its turns in order, then "ok" for ever. Every conversation request is kept: what the model
//! *received* is what the tests assert.

use std::fmt::Write as _;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::mock_anthropic::http::{self, Request};

/// A connection on which nothing arrives for this long is closed.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A client in a loop is told to stop before it fills the memory.
const MAX_REQUESTS: usize = 500;

/// The running mock; it ends with the value.
#[derive(Debug)]
pub struct MockOpenAi {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    turns: Mutex<Vec<String>>,
    requests: Mutex<Vec<Value>>,
    is_over: AtomicBool,
}

impl MockOpenAi {
    /// Listens on an ephemeral port of 127.0.0.1; `turns` is what the model says, in order.
    pub fn start(turns: Vec<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { turns: Mutex::new(turns), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let serving = Arc::clone(&accepting);
                // A client that hangs up in the middle is its own business.
                std::thread::spawn(move || drop(serve(&stream, &serving)));
            }
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// The base URL of the model provider.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of the conversation's requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MockOpenAi {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // The acceptor sits in accept(); one last connection wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = http::read_request(&mut reader)? {
        if let Some(events) = shared.answer(&request) {
            http::write_event_stream(stream, &events)?;
            return stream.shutdown(Shutdown::Both);
        }
        let is_models =
            request.method == "GET" && request.path.split('?').next().is_some_and(|path| path.ends_with("/models"));
        let (status, body) = if is_models {
            (200, json!({ "object": "list", "data": [], "models": [] }))
        } else {
            (404, json!({ "error": { "message": "mock: no such endpoint", "type": "not_found", "code": null } }))
        };
        http::write_json(stream, status, &body, request.method == "HEAD")?;
    }
    Ok(())
}

impl Shared {
    /// The event stream that answers `request`, if it is one to the model.
    fn answer(&self, request: &Request) -> Option<String> {
        let is_to_model = request.method == "POST" && request.path.split('?').next()?.ends_with("/responses");
        let body: Value = is_to_model.then(|| serde_json::from_slice(&request.body).ok())??;
        let number = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(body);
            requests.len()
        };
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if turns.is_empty() || number > MAX_REQUESTS { "ok".to_owned() } else { turns.remove(0) };
        Some(events(number, &text))
    }
}

/// One message as the Responses API streams it.
fn events(number: usize, text: &str) -> String {
    let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
    let item = |status: &str, content: &Value| json!({ "type": "message", "id": format!("msg_{number}"), "role": "assistant", "status": status, "content": content });
    let done = item("completed", &content);
    let response = |status: &str, output: &[&Value]| {
        json!({ "id": format!("resp_{number}"), "object": "response", "created_at": 1, "status": status, "model": "mock",
                "output": output })
    };
    let mut completed = response("completed", &[&done]);
    completed["usage"] = json!({ "input_tokens": 10, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 5,
                                 "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 15 });
    let all = [
        ("response.created", json!({ "response": response("in_progress", &[]) })),
        ("response.output_item.added", json!({ "output_index": 0, "item": item("in_progress", &json!([])) })),
        (
            "response.output_text.delta",
            json!({ "output_index": 0, "content_index": 0, "item_id": format!("msg_{number}"), "delta": text }),
        ),
        ("response.output_item.done", json!({ "output_index": 0, "item": done })),
        ("response.completed", json!({ "response": completed })),
    ];
    let mut events = String::new();
    for (sequence, (name, mut data)) in all.into_iter().enumerate() {
        data["type"] = json!(name);
        data["sequence_number"] = json!(sequence);
        let _ = write!(events, "event: {name}\ndata: {data}\n\n");
    }
    events
}
