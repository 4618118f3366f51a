//! A scripted mock of the Anthropic Messages API on loopback, to drive a real client without a network.
//!
//! Every answer of "the model" comes from a [`Script`]; every request is kept, because what the model *received*
//! is what the tests assert. Hand-written on threads: one for accepting, one for each connection.

pub(crate) mod http;
mod message;
mod script;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use message::flatten;
pub(crate) use script::Cursor;
pub use script::{ErrorAnswer, Rule, Script, ToolCall, Turn};

/// A connection on which nothing arrives for this long is closed; also the limit of one slow request.
const READ_TIMEOUT: Duration = Duration::from_mins(2);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// More connections than this at once are turned away.
const MAX_CONNECTIONS: usize = 64;
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

/// The running mock; dropping it closes every connection and joins every thread.
#[derive(Debug)]
pub struct MockAnthropic {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Makes ids unique across the processes of a resumed session.
    id_base: u128,
    cursor: Mutex<Cursor>,
    log: Mutex<Log>,
    journal: Option<PathBuf>,
    /// Clones of the open sockets, so that a stop need not wait for their read timeout; `None` once stopping.
    open: Mutex<Option<BTreeMap<u64, TcpStream>>>,
    stopped: Condvar,
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            id_base: since_epoch.as_nanos(),
            cursor: Mutex::new(Cursor::new(script)),
            log: Mutex::default(),
            journal,
            open: Mutex::new(Some(BTreeMap::new())),
            stopped: Condvar::new(),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor =
            thread::Builder::new().name("mock-accept".into()).spawn(move || accept(&listener, &for_acceptor))?;
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// What to give a client as `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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

impl Drop for MockAnthropic {
    fn drop(&mut self) {
        if let Some(open) = lock(&self.shared.open).take() {
            for stream in open.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.stopped.notify_all();
        // The acceptor sits in accept(); one last connection wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

/// Appends a request to a journal: one line of JSON in one write, so that a reader sees whole lines.
pub(crate) fn append(journal: &Path, entry: &Recorded) -> io::Result<()> {
    let line = serde_json::to_string(entry)? + "\n";
    OpenOptions::new().create(true).append(true).open(journal)?.write_all(line.as_bytes())
}

/// A poisoned lock only means that another connection's thread panicked; its data is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    for (number, stream) in (0_u64..).zip(listener.incoming()) {
        {
            let mut open = lock(&shared.open);
            let Some(open) = open.as_mut() else { break };
            let Ok(stream) = &stream else { continue };
            let Ok(clone) = stream.try_clone() else {
                continue;
            };
            if open.len() >= MAX_CONNECTIONS {
                continue;
            }
            open.insert(number, clone);
        }
        let Ok(stream) = stream else { continue };
        let for_worker = Arc::clone(shared);
        let worker = thread::Builder::new().name(format!("mock-{number}")).spawn(move || {
            // A client that hangs up in the middle is its own business.
            let _ = serve(&stream, &for_worker);
            if let Some(open) = lock(&for_worker.open).as_mut() {
                open.remove(&number);
            }
        });
        workers.retain(|worker| !worker.is_finished());
        workers.extend(worker);
    }
    for worker in workers {
        let _ = worker.join();
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = http::read_request(&mut reader)? {
        let head_only = request.method == "HEAD";
        match shared.answer(request) {
            Answer::Json(status, value) => http::write_json(stream, status, &value, head_only)?,
            Answer::Stream(events) => {
                http::write_event_stream(stream, &events)?;
                return stream.shutdown(Shutdown::Both);
            }
        }
    }
    Ok(())
}

enum Answer {
    Json(u16, Value),
    Stream(String),
}

impl Shared {
    fn answer(&self, request: http::Request) -> Answer {
        let size = request.body.len();
        let body = match serde_json::from_slice(&request.body) {
            Ok(value) => value,
            Err(_) if size == 0 => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&request.body).into_owned()),
        };
        let route = request.path.split('?').next().unwrap_or_default();
        let (kind, chosen) = match (request.method.as_str(), route) {
            ("POST", "/v1/messages") if script::offers_tools(&body) => {
                (RequestKind::Main, Some(lock(&self.cursor).main_turn(&message::last_user_text(&body))))
            }
            ("POST", "/v1/messages") => (RequestKind::Side, Some(lock(&self.cursor).side_turn())),
            ("POST", "/v1/messages/count_tokens") => (RequestKind::CountTokens, None),
            _ => (RequestKind::Other, None),
        };
        let fallback = match (kind, request.method.as_str(), route) {
            (RequestKind::CountTokens, ..) => Answer::Json(200, json!({ "input_tokens": (size / 4).max(1) })),
            (_, "GET", "/v1/models") => Answer::Json(200, json!({ "data": [], "has_more": false })),
            (_, "GET", _) => Answer::Json(404, message::error("not_found_error", "mock: no such endpoint")),
            _ => Answer::Json(200, json!({})),
        };
        let model = body["model"].as_str().unwrap_or("mock").to_owned();
        let streamed = body["stream"].as_bool().unwrap_or(false);
        let answer = chosen.as_ref().map(|(label, _)| label.clone());
        let recorded = Recorded { method: request.method, path: request.path, kind, answer, body };
        let Some(number) = self.record(recorded, size) else {
            return Answer::Json(400, message::error("invalid_request_error", "mock: too much recorded"));
        };
        let Some((_, turn)) = chosen else {
            return fallback;
        };
        self.pause(Duration::from_millis(turn.delay_ms));
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

    /// A scripted delay, cut short when the mock stops.
    fn pause(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut open = lock(&self.open);
        while open.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            open = self.stopped.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
