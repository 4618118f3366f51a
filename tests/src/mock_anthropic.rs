//! A scripted mock of the Anthropic Messages API on loopback, to drive a real client without a network.
//!
//! Every answer of "the model" comes from a [`Script`]; every request is kept, because what the model *received*
//! is what the tests assert.

mod message;
mod script;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use message::flatten;
pub(crate) use script::Cursor;
pub use script::{ErrorAnswer, Rule, Script, ToolCall, Turn};

use crate::loopback::{Answer, Server};

/// What is kept of a session: a client in a loop is told to stop before it fills the memory.
const MAX_RECORDED: usize = 2_000;
const MAX_RECORDED_BYTES: usize = 256 << 20;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A message request that offers tools: the conversation itself, or a subagent's.
    Main,
    /// A message request without tools: titles, probes, summaries.
    Side,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// Anything else.
    Other,
}

/// One request as it arrived, and the label of the turn that answered it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    /// HTTP method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// What it was for.
    pub kind: RequestKind,
    /// Which scripted turn answered: `turn[0]`, `rule0[1]`, `default`, `side`.
    pub answer: Option<String>,
    /// The body; `null` if there was none, a string if it was not JSON.
    pub body: Value,
}

impl Recorded {
    /// Whether the request offered tools.
    pub fn is_main(&self) -> bool {
        self.kind == RequestKind::Main
    }
}

/// The running mock; dropping it closes every connection.
#[derive(Debug)]
pub struct MockAnthropic {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Makes ids unique across the processes of a resumed session.
    id_base: u128,
    cursor: Mutex<Cursor>,
    log: Mutex<Log>,
    journal: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Recorded>,
    bytes: usize,
}

impl MockAnthropic {
    /// Listens on an ephemeral port of 127.0.0.1 and answers from `script`.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_with(script, None)
    }

    /// The same; with a `journal`, each request is appended to that file, too, for whoever is another process.
    pub fn start_with(script: Script, journal: Option<PathBuf>) -> io::Result<Self> {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            id_base: since_epoch.as_nanos(),
            cursor: Mutex::new(Cursor::new(script)),
            log: Mutex::default(),
            journal,
        });
        let serve = async |State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes| {
            shared.answer(&method, &uri, &body).await.into_response()
        };
        let server = Server::start(Router::new().fallback(serve).with_state(Arc::clone(&shared)))?;
        Ok(Self { server, shared })
    }

    /// What to give a client as `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Everything that has arrived so far, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.log).entries.clone()
    }

    /// The requests of the conversation so far: those that offered tools.
    pub fn main_requests(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(Recorded::is_main).collect()
    }
}

/// Appends a request to a journal: one line of JSON in one write, so that a reader sees whole lines.
pub(crate) fn append(journal: &Path, entry: &Recorded) -> io::Result<()> {
    let line = serde_json::to_string(entry)? + "\n";
    OpenOptions::new().create(true).append(true).open(journal)?.write_all(line.as_bytes())
}

/// A poisoned lock only means that another request panicked; its data is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn answer(&self, method: &Method, uri: &Uri, bytes: &[u8]) -> Answer {
        let size = bytes.len();
        let body = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(_) if size == 0 => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        };
        let route = uri.path();
        let (kind, chosen) = match (method.as_str(), route) {
            ("POST", "/v1/messages") if script::offers_tools(&body) => {
                (RequestKind::Main, Some(lock(&self.cursor).main_turn(&message::last_user_text(&body))))
            }
            ("POST", "/v1/messages") => (RequestKind::Side, Some(lock(&self.cursor).side_turn())),
            ("POST", "/v1/messages/count_tokens") => (RequestKind::CountTokens, None),
            _ => (RequestKind::Other, None),
        };
        let fallback = match (kind, method.as_str(), route) {
            (RequestKind::CountTokens, ..) => Answer::Json(200, json!({ "input_tokens": (size / 4).max(1) })),
            (_, "GET", "/v1/models") => Answer::Json(200, json!({ "data": [], "has_more": false })),
            (_, "GET", _) => Answer::Json(404, message::error("not_found_error", "mock: no such endpoint")),
            _ => Answer::Json(200, json!({})),
        };
        let model = body["model"].as_str().unwrap_or("mock").to_owned();
        let streamed = body["stream"].as_bool().unwrap_or(false);
        let answer = chosen.as_ref().map(|(label, _)| label.clone());
        let recorded = Recorded { method: method.to_string(), path: uri.to_string(), kind, answer, body };
        let Some(number) = self.record(recorded, size) else {
            return Answer::Json(400, message::error("invalid_request_error", "mock: too much recorded"));
        };
        let Some((_, turn)) = chosen else {
            return fallback;
        };
        tokio::time::sleep(Duration::from_millis(turn.delay_ms)).await;
        if let Some(error) = &turn.error {
            return Answer::Json(error.status, message::error(&error.kind, &error.message));
        }
        let message = message::build(&turn, &model, &format!("{:x}_{number}", self.id_base));
        if streamed { Answer::Stream(message::events(&message)) } else { Answer::Json(200, message) }
    }

    /// Its number, or nothing if the log is full.
    fn record(&self, entry: Recorded, size: usize) -> Option<usize> {
        let mut log = lock(&self.log);
        if log.entries.len() >= MAX_RECORDED || log.bytes + size > MAX_RECORDED_BYTES {
            return None;
        }
        log.bytes += size;
        if let Some(journal) = &self.journal {
            append(journal, &entry).ok()?;
        }
        log.entries.push(entry);
        Some(log.entries.len() - 1)
    }
}
