//! A client at work, as far as leases go: the kernel calls it `claude`, and it does what it is told, a line of JSON each. It
//! asks the authority itself, as a program below an agent does, and says when it began to ask and when it had the answer.

use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use stopgate_core::client;

/// How long an answer may take that is not a wait.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let order: Value = serde_json::from_str(&line?)?;
        let began = now();
        let mut done = match order["run"].as_array() {
            Some(words) => run(words, &order["stdin"].to_string())?,
            None => ask(&order),
        };
        done["began_ns"] = began.into();
        // What only starts a program has no answer that is waited for.
        if done["ended_ns"].is_null() {
            done["ended_ns"] = now().into();
        }
        writeln!(io::stdout(), "{done}")?;
    }
    Ok(())
}

/// `CLOCK_MONOTONIC`, which is the same for all processes, in nanoseconds.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn ask(order: &Value) -> Value {
    let socket = PathBuf::from(order["socket"].as_str().unwrap_or_default());
    let path = order["path"].as_str().unwrap_or_default();
    let body = order["body"].to_string();
    let deadline = Instant::now() + PATIENCE;
    let mut prolong = |wait: Duration| Instant::now() + wait;
    let answer = client::request_that_may_wait(&socket, "POST", path, body.as_bytes(), deadline, &mut prolong);
    let ended = now();
    match answer {
        Ok(response) => {
            let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            json!({"status": response.status, "body": body, "ended_ns": ended})
        }
        Err(error) => json!({"status": 0, "body": error.to_string(), "ended_ns": ended}),
    }
}

fn run(words: &[Value], input: &str) -> io::Result<Value> {
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(json!({"status": if output.status.success() { 200 } else { 0 }, "body": said}))
}
