//! A judge on loopback that answers in either wire format, or does everything a judge behind HTTP can do wrong. On raw
//! sockets: no server would drip bytes, hang up, or say what is not HTTP.

mod http;

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use http::Request;

/// What the judge does with a request.
#[derive(Debug, Clone)]
pub enum Manner {
    /// The model writes this text; wrapped as the request's path wants it.
    Answers(String),
    /// The same, after so long.
    AnswersAfter(Duration, String),
    /// Status, one more header if not empty, and body, as they are.
    Says(u16, &'static str, String),
    /// Reads the request and says nothing until it is dropped.
    Hangs,
    /// Says these bytes one at a time, slowly, until it is dropped.
    Drips(String),
    /// Closes at once.
    HangsUp,
    /// These bytes instead of HTTP.
    Babbles(&'static [u8]),
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Path with its query.
    pub path: String,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; `null` if it was not JSON.
    pub body: Value,
}

impl Asked {
    /// All that the model would read.
    pub fn prompt(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let messages = self.body["messages"].as_array().into_iter().flatten();
        let all = std::iter::once(text(&self.body["system"])).chain(messages.map(|message| text(&message["content"])));
        all.collect::<Vec<_>>().join("\n\n")
    }
}

/// A running judge; ends when it is dropped.
#[derive(Debug)]
pub struct MockJudge {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<Asked>>,
    ending: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MockJudge {
    /// Listens on an ephemeral port of 127.0.0.1.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { manner: Mutex::new(manner), asked: Mutex::default(), ending: AtomicBool::new(false) });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if for_thread.ending.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&for_thread);
                serving.push(std::thread::spawn(move || drop(serve(&stream, &shared))));
            }
            for one in serving {
                let _ = one.join();
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// What to give as `judge.url` for the Messages format.
    pub fn messages_url(&self) -> String {
        format!("http://{}/v1/messages", self.address)
    }

    /// What to give as `judge.url` for the Chat Completions format.
    pub fn chat_url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }

    /// Changes what it does with the requests that follow.
    pub fn now(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }
}

impl Drop for MockJudge {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let manner = lock(&shared.manner).clone();
    if matches!(manner, Manner::HangsUp) {
        return Ok(());
    }
    let Some(Request { path, headers, body, .. }) = http::read_request(&mut BufReader::new(stream))? else {
        return Ok(());
    };
    let asked = Asked {
        path: path.clone(),
        headers: headers.into_iter().collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    lock(&shared.asked).push(asked);
    let mut out = stream;
    match manner {
        Manner::Answers(text) => write!(out, "{}", response(200, "", &wrapped(&path, &text))),
        Manner::AnswersAfter(wait, text) => {
            shared.pause(wait);
            write!(out, "{}", response(200, "", &wrapped(&path, &text)))
        }
        Manner::Says(status, header, body) => write!(out, "{}", response(status, header, &body)),
        Manner::Hangs => {
            shared.pause(Duration::MAX);
            Ok(())
        }
        Manner::Drips(text) => {
            for byte in response(200, "", &text).bytes().cycle() {
                if shared.ending.load(Ordering::SeqCst) {
                    break;
                }
                out.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        Manner::HangsUp => Ok(()),
        Manner::Babbles(bytes) => out.write_all(bytes),
    }
}

impl Shared {
    /// Waits, but not past the end of the judge.
    fn pause(&self, wait: Duration) {
        let started = std::time::Instant::now();
        while started.elapsed() < wait && !self.ending.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn response(status: u16, header: &str, body: &str) -> String {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let head = format!("HTTP/1.1 {status} mock\r\n{header}content-type: application/json\r\nconnection: close");
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn wrapped(path: &str, text: &str) -> String {
    let answer = if path.ends_with("/messages") {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn",
               "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 1, "output_tokens": 1}})
    } else {
        json!({"id": "c_1", "object": "chat.completion",
               "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]})
    };
    answer.to_string()
}
