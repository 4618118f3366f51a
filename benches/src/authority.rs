//! An authority of the bench's own: started as a child, asked like any client asks, ended with the bench.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stopgate_core::client;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::paths::Home;
use stopgate_core::protocol::ROUTE_EVENTS;
use stopgate_protocol::{Endpoint, GateLog, GateLogRow, GetHealth, ListSessions, LogFilter};

/// How long it may take to start.
const START: Duration = Duration::from_secs(15);
/// How long it may take to answer a question of the bench.
const ANSWER: Duration = Duration::from_secs(10);

/// A running authority.
#[derive(Debug)]
pub(crate) struct Authority {
    child: Child,
    socket: PathBuf,
}

impl Authority {
    /// Starts `stopgate authority run` for `home` and waits until it answers.
    pub(crate) fn start(program: &Path, home: &Home, user_home: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["authority", "run"])
            .env_clear()
            .env(env::STOPGATE_HOME, home.root())
            .env(env::HOME, user_home)
            .env(env::STOPGATE_TOP, std::process::id().to_string())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for name in [env::PATH, env::TMPDIR] {
            if let Some(value) = ProcessEnv.os(name) {
                command.env(name, value);
            }
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut authority = Self { child, socket: home.socket() };
        authority.wait_until_it_serves(home)?;
        Ok(authority)
    }

    fn wait_until_it_serves(&mut self, home: &Home) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the authority of {} ended: {status}", home.root().display());
            }
            if let Ok(socket) = home.socket_to_connect() {
                self.socket = socket;
            }
            let Err(error) = self.get(GetHealth::PATH) else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(error.context(format!("the authority of {} does not serve", home.root().display())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops its process, as a debugger or a machine out of memory does: it neither ends nor answers.
    pub(crate) fn stand_still(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(kill_process(pid, Signal::STOP)?)
    }

    /// Reports an event of the session `id`, as hooks do.
    pub(crate) fn report(&self, id: &str, cwd: &Path, kind: &Value) -> anyhow::Result<()> {
        let key = json!({"harness": "claude", "session_id": id});
        let event = json!({"key": key, "cwd": cwd, "kind": kind});
        let body = json!({"event_id": new_event_id(&SystemClock), "at_ms": SystemClock.now_ms(), "origin": {},
                          "event": event});
        let until = Instant::now() + ANSWER;
        let response = client::request(&self.socket, "POST", ROUTE_EVENTS, body.to_string().as_bytes(), until)?;
        ensure!(response.status == 200, "an event: status {}", response.status);
        Ok(())
    }

    fn get(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let response = client::request(&self.socket, "GET", path, b"", Instant::now() + ANSWER)
            .with_context(|| format!("GET {path}"))?;
        ensure!(
            response.status == 200,
            "GET {path}: status {}: {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        );
        Ok(response.body)
    }

    /// The newest `count` rows of its log.
    pub(crate) fn log(&self, count: usize) -> anyhow::Result<Vec<GateLogRow>> {
        let body = self.get(&format!("{}?tail={count}", LogFilter::PATH))?;
        let log: GateLog = serde_json::from_slice(&body).context("the log is not understood")?;
        Ok(log.events)
    }

    /// Ids of the sessions it knows the start of.
    pub(crate) fn started_sessions(&self) -> anyhow::Result<Vec<String>> {
        let body: Value = serde_json::from_slice(&self.get(ListSessions::PATH)?)?;
        let rows = body
            .as_array()
            .or_else(|| body.get("sessions")?.as_array())
            .context("the list of sessions is not understood")?;
        Ok(rows
            .iter()
            .filter(|row| row["started_at_ms"].is_i64())
            .filter_map(|row| Some(row["session_id"].as_str()?.to_owned()))
            .collect())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // Its home is a temporary directory that goes with it: there is nothing to end gracefully.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
