//! The client's process: fed, read and, at its deadline, ended.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

const STREAM_LIMIT_BYTES: u64 = 64 << 20;
const STDERR_TAIL_BYTES: usize = 64 << 10;
/// How long the client has to end its own children before it is killed.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long to read on when the client has gone: something it left behind may hold its stdout.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Whether the prompts go in by stream-json: several do, and one that the client would take for an option.
pub(super) fn by_stream(prompts: &[String]) -> bool {
    prompts.len() > 1 || prompts.iter().any(|prompt| prompt.starts_with('-'))
}

/// The client's side of a finished session.
pub(super) struct Run {
    pub(super) exit_code: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) wall: Duration,
    pub(super) events: Vec<Value>,
    pub(super) stderr: String,
}

impl Run {
    /// Runs `command`, a client, to its end or to its deadline.
    pub(super) fn of(mut command: Command, prompts: &[String], timeout: Duration) -> io::Result<Self> {
        let start = Instant::now();
        command.stdin(if by_stream(prompts) { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let events = events_of(child.stdout.take());
        let stderr = tail_of(child.stderr.take());

        let mut feed = Feed { stdin: child.stdin.take(), waiting: prompts.iter().cloned().collect() };
        feed.next();
        let mut seen = Vec::new();
        let mut gone_at = None;
        let mut timed_out = false;
        loop {
            match events.recv_timeout(Duration::from_millis(20)) {
                Ok(event) => {
                    if event["type"] == "result" {
                        feed.next();
                    }
                    seen.push(event);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if gone_at.is_some() => break,
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(5)),
            }
            if gone_at.is_none() && child.try_wait()?.is_some() {
                gone_at = Some(Instant::now());
            }
            if gone_at.is_some_and(|at| at.elapsed() > DRAIN_GRACE) {
                break;
            }
            if gone_at.is_none() && start.elapsed() > timeout {
                timed_out = true;
                end_group(&mut child)?;
                gone_at = Some(Instant::now());
            }
        }
        let wall = gone_at.map_or(start.elapsed(), |at| at - start);
        let exit_code = child.wait()?.code();
        let stderr = stderr.recv_timeout(DRAIN_GRACE).unwrap_or_default();
        Ok(Self { exit_code, timed_out, wall, events: seen, stderr })
    }
}

/// The prompts of a stream-json session: one at a time, so that the client does not fold two into one turn.
struct Feed {
    stdin: Option<ChildStdin>,
    waiting: VecDeque<String>,
}

impl Feed {
    /// Sends the next prompt; behind the last one, closes stdin, which lets the client end.
    fn next(&mut self) {
        let line = self.waiting.pop_front().map(|prompt| {
            let message = json!({ "role": "user", "content": prompt });
            format!("{}\n", json!({ "type": "user", "message": message }))
        });
        match (line, &mut self.stdin) {
            // A client that is gone shows in its exit code.
            (Some(line), Some(stdin)) => drop(stdin.write_all(line.as_bytes())),
            _ => self.stdin = None,
        }
    }
}

/// Asks the group this driver started to end, then makes it: hooks have their own sessions, and only the client
/// knows them.
fn end_group(child: &mut Child) -> io::Result<()> {
    // Not reaped yet, so the number is still ours.
    let group = Pid::from_child(child);
    let _ = kill_process_group(group, Signal::TERM);
    let until = Instant::now() + TERM_GRACE;
    while Instant::now() < until {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().map(drop)
}

fn events_of(stdout: Option<impl Read + Send + 'static>) -> Receiver<Value> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let Some(stdout) = stdout else { return };
        for line in BufReader::new(stdout.take(STREAM_LIMIT_BYTES)).split(b'\n').map_while(Result::ok) {
            let event = serde_json::from_slice(&line)
                .unwrap_or_else(|_| json!({ "type": "unparsed", "text": String::from_utf8_lossy(&line) }));
            if send.send(event).is_err() {
                return;
            }
        }
    });
    receive
}

fn tail_of(stderr: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let (mut tail, mut buffer) = (Vec::new(), [0; 4096]);
        let mut stderr = stderr;
        while let Some(count @ 1..) = stderr.as_mut().and_then(|pipe| pipe.read(&mut buffer).ok()) {
            tail.extend_from_slice(&buffer[..count]);
            tail.drain(..tail.len().saturating_sub(STDERR_TAIL_BYTES));
        }
        let _ = send.send(String::from_utf8_lossy(&tail).into_owned());
    });
    receive
}
