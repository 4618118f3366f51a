//! Programs that the bench talks to, a line of JSON each way: clients at work (`seat`), and the peer that polls.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_protocol::{AskLease, Endpoint as _};

use crate::payload;

/// How long an answer may take that nobody waits for on purpose.
const PATIENCE: Duration = Duration::from_mins(1);

/// What one of them has done.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// Which of them.
    pub(crate) who: usize,
    /// When it began, and had its answer: `CLOCK_MONOTONIC`, in nanoseconds.
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
    /// Status of the answer.
    pub(crate) status: u64,
    /// The answer.
    pub(crate) body: Value,
}

impl Done {
    fn of(who: usize, said: &Value) -> Option<Self> {
        let number = |name: &str| said[name].as_u64();
        let (began_ns, ended_ns) = (number("began_ns")?, number("ended_ns")?);
        Some(Self { who, began_ns, ended_ns, status: number("status")?, body: said["body"].clone() })
    }

    /// From asking to having the answer.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_nanos(self.ended_ns.saturating_sub(self.began_ns))
    }
}

/// All programs of one kind, and what they say.
#[derive(Debug)]
pub(crate) struct Troupe {
    players: Vec<Player>,
    said: Receiver<Option<Done>>,
    says: Sender<Option<Done>>,
}

#[derive(Debug)]
struct Player {
    child: Child,
    /// Its end ends the program.
    told: Option<ChildStdin>,
}

impl Troupe {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        let (says, said) = channel();
        Self { players: Vec::new(), said, says }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.players.len()
    }

    /// Starts `command` as one more.
    pub(crate) fn start(&mut self, command: &mut Command) -> anyhow::Result<usize> {
        let who = self.players.len();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (told, stdout) = (child.stdin.take(), child.stdout.take());
        self.players.push(Player { child, told });
        let (says, stdout) = (self.says.clone(), stdout.context("no standard output")?);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let done = serde_json::from_str(&line).ok().and_then(|said| Done::of(who, &said));
                if says.send(done).is_err() {
                    return;
                }
            }
        });
        Ok(who)
    }

    /// Tells one of them what to do.
    pub(crate) fn tell(&mut self, who: usize, order: &Value) -> anyhow::Result<()> {
        let player = self.players.get_mut(who).and_then(|player| player.told.as_mut());
        writeln!(player.context("nobody")?, "{order}").context("it is gone")
    }

    /// What is done next, by whomever, within `patience`; `None` if nothing is.
    pub(crate) fn hear_within(&self, patience: Duration) -> anyhow::Result<Option<Done>> {
        match self.said.recv_timeout(patience) {
            Ok(done) => Ok(Some(done.context("what one of them says is not understood")?)),
            Err(_) => Ok(None),
        }
    }

    /// What is done next, by whomever, which must succeed.
    pub(crate) fn hear(&self) -> anyhow::Result<Done> {
        let done = self.hear_within(PATIENCE)?.context("nobody says anything")?;
        ensure!(done.status == 200, "refused: {}", done.body);
        Ok(done)
    }

    /// Has one of them do something, which must succeed, while nobody else does anything.
    pub(crate) fn does(&mut self, who: usize, order: &Value) -> anyhow::Result<Done> {
        self.tell(who, order)?;
        let done = self.hear()?;
        ensure!(done.who == who, "another one answered");
        Ok(done)
    }
}

impl Drop for Troupe {
    fn drop(&mut self) {
        for player in &mut self.players {
            drop(player.told.take());
            let _ = player.child.kill();
            let _ = player.child.wait();
        }
    }
}

/// Clients at work, each with a session of `home`.
#[derive(Debug)]
pub(crate) struct Seats {
    /// Who asks.
    pub(crate) troupe: Troupe,
    home: Home,
    socket: PathBuf,
    program: PathBuf,
    user_home: PathBuf,
    ids: Vec<String>,
}

impl Seats {
    /// None yet; `seat` is the program, and `directory` where it is called `claude`.
    pub(crate) fn of(home: &Home, seat: &Path, directory: &Path) -> anyhow::Result<Self> {
        let program = directory.join("claude");
        if !program.exists() {
            symlink(seat, &program)?;
        }
        let user_home = directory.to_owned();
        let (troupe, home) = (Troupe::new(), home.clone());
        let socket = home.socket_to_connect()?;
        Ok(Self { troupe, home, socket, program, user_home, ids: Vec::new() })
    }

    /// One more, at work in `cwd`: the recorder has reported its start and a prompt.
    pub(crate) fn sit(&mut self, id: &str, cwd: &Path) -> anyhow::Result<usize> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env(env::HOME, &self.user_home)
            .env(env::PATH, ProcessEnv.os(env::PATH).unwrap_or_default())
            .env(env::STOPGATE_NO_AUTOSTART, "1")
            .env(env::STOPGATE_TOP, std::process::id().to_string())
            .current_dir(cwd);
        let who = self.troupe.start(&mut command)?;
        self.ids.push(id.to_owned());
        for report in [payload::session_start(id, cwd)?, payload::prompt(id, cwd)?] {
            let report: Value = serde_json::from_slice(&report)?;
            let recorder = self.home.bin().join(Hook::SessionStartRecorder.name());
            self.troupe.does(who, &json!({"run": [recorder, "claude"], "stdin": report}))?;
        }
        Ok(who)
    }

    /// The session of `who`.
    pub(crate) fn id(&self, who: usize) -> &str {
        self.ids.get(who).map_or("", String::as_str)
    }

    /// What `who` is told to have `act` of these resources of the tree `tree`.
    pub(crate) fn lease(&self, who: usize, tree: &Path, act: &str, resources: &[String]) -> Value {
        let claim = |resource: &String| json!({"resource": resource, "tree": tree, "mode": "write"});
        let claims: Vec<Value> = resources.iter().map(claim).collect();
        let told = json!([{"harness": "claude", "session_id": self.id(who)}]);
        // A wait outlasts every measurement.
        let body = json!({"told": told, "room": tree, "act": act, "claims": claims, "timeout_ms": 1_800_000});
        self.post(AskLease::PATH, &body)
    }

    /// What is told to post `body`.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        json!({"socket": self.socket, "path": path, "body": body})
    }
}
