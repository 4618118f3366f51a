//! A world for one test: its own `HOME` and `STOPGATE_HOME`, the real binaries, an authority that ends with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stopgate_core::client::{self, Response};
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;
use stopgate_core::spool;
use stopgate_protocol::endpoint::{self, Endpoint, Message};
use stopgate_protocol::{GateLogRow, GetHealth, ListSessions, LogFilter, SessionRow};

use crate::checkout::Checkout;
use crate::run::{Stdin, eventually, finish, under};
use crate::transcript::{self, Sender};

/// All hooks.
pub const HOOKS: [&str; Hook::NAMES.len()] = Hook::NAMES;
/// Those of them that every installation registers, whatever is turned on.
pub const BASE_HOOKS: [&str; 3] = [HOOKS[0], HOOKS[1], HOOKS[2]];

/// A last message with an excuse.
pub const EXCUSE: &str = "The lexer is in. I'm running low on context, so this is a good place to stop; \
                          we can continue with the parser in a fresh session.";
/// A last message without one.
pub const PLAIN: &str = "The lexer is in and its tests pass.";

/// Path of a binary of this build. `cargo test` alone does not build those of other packages.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}

/// The world of one test.
pub struct World {
    dir: tempfile::TempDir,
    /// Its stopgate home.
    pub home: Home,
    /// Further variables of every process.
    env: Vec<(String, String)>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty world: nothing is installed, nothing runs, the stopgate home does not exist.
    pub fn new() -> Self {
        Self::with_home("stopgate home é")
    }

    /// An empty world whose stopgate home is `name` in a temp directory.
    pub fn with_home(name: &str) -> Self {
        Self::with_home_in(&std::env::temp_dir(), name)
    }

    /// The same in a new directory below `parent`.
    pub fn with_home_in(parent: &Path, name: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("sg").tempdir_in(parent).unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let home = Home::at(dir.path().join(name));
        Self { dir, home, env: Vec::new() }
    }

    /// An empty world in enforce.
    pub fn enforcing() -> Self {
        let world = Self::new();
        world.home.create().unwrap();
        std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
        world
    }

    /// Sets a variable for every process that is started from now on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// The temp directory that holds everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A checkout with an unfinished plan from before.
    pub fn planned_checkout(&self) -> Checkout {
        Checkout::with_plan(&self.dir.path().join("project"))
    }

    /// `program` in this world, with nothing of the tests' own environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.dir.path().join("home"))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TMPDIR", self.dir.path())
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .env("STOPGATE_HOME", self.home.root())
            .env("STOPGATE_NO_AUTOSTART", "1")
            .env("STOPGATE_PATIENCE", "10")
            // An agent that runs these tests is no part of their world.
            .env("STOPGATE_TOP", std::process::id().to_string())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path());
        command
    }

    /// A program that may start the authority.
    pub fn autostarting(&self, name: &str) -> Command {
        let mut command = self.command(&binary(name));
        command.env_remove("STOPGATE_NO_AUTOSTART");
        command
    }

    /// A hook, as a harness runs it.
    pub fn hook(&self, name: &str) -> Command {
        let mut command = self.command(&binary(name));
        command.arg("claude");
        command
    }

    /// Runs a hook on a payload.
    pub fn run_hook(&self, name: &str, payload: &Value) -> Output {
        finish(self.hook(name), Stdin::from(&*payload.to_string()))
    }

    /// Runs the CLI.
    pub fn stopgate(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(&binary("stopgate"));
        command.args(arguments);
        finish(command, Stdin::from(""))
    }

    /// Runs the CLI in `dir`.
    pub fn stopgate_in(&self, dir: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(&binary("stopgate"));
        command.args(arguments).current_dir(dir);
        finish(command, Stdin::from(""))
    }

    /// Runs the CLI, which must succeed, and parses what it prints.
    pub fn stopgate_json(&self, arguments: &[&str]) -> Value {
        let output = self.stopgate(arguments);
        assert!(output.status.success(), "stopgate {arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Sets the mode as an operator would.
    pub fn set_mode(&self, mode: &str) {
        let output = self.stopgate(&["mode", mode, "--yes"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Starts an authority that ends with the value.
    pub fn authority(&self) -> RunningAuthority<'_> {
        RunningAuthority::start(self, self.authority_command())
    }

    /// [`World::authority`], started by `wrapper`, which ends with it.
    pub fn authority_by<S: AsRef<OsStr>>(&self, wrapper: &[S]) -> RunningAuthority<'_> {
        RunningAuthority::start(self, under(wrapper, &self.authority_command()))
    }

    /// [`World::authority`] that may have so many files open at once.
    pub fn authority_with_descriptors(&self, limit: u32) -> RunningAuthority<'_> {
        let limited = ["sh", "-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")];
        RunningAuthority::start(self, under(&limited, &self.authority_command()))
    }

    fn authority_command(&self) -> Command {
        let mut command = self.command(&binary("stopgate"));
        command.args(["authority", "run"]);
        command
    }

    /// Records the start of a session in `cwd`, whose person then asks for a job.
    pub fn start_session(&self, id: &str, cwd: &Path) {
        self.start_silent_session(id, cwd);
        self.asks_for_a_job(Harness::Claude, id);
    }

    /// Records the start of a session in `cwd`. Of its person nothing is known.
    pub fn start_silent_session(&self, id: &str, cwd: &Path) {
        let output = self.run_hook("session-start-recorder", &session_start(id, cwd, "startup"));
        assert_silent(&output);
    }

    /// Begins the transcript of a session with a prompt to execute the plan ([`transcript::EXECUTE`]).
    pub fn asks_for_a_job(&self, harness: Harness, id: &str) {
        transcript::begun(harness, &self.transcript(id));
    }

    /// The transcript of a session that says something with [`World::says`].
    pub fn transcript(&self, id: &str) -> PathBuf {
        self.dir.path().join("projects/project").join(format!("{}.jsonl", id.replace('/', "_")))
    }

    /// Somebody sends a prompt to a session of Claude Code: the hook is told first, as by the client.
    pub fn says(&self, id: &str, cwd: &Path, sender: Sender, words: &str) {
        let payload = json!({"session_id": id, "cwd": cwd, "hook_event_name": "UserPromptSubmit", "prompt_id": "p",
                             "prompt": sender.prompt(words), "transcript_path": self.transcript(id)});
        assert_silent(&self.run_hook("session-start-recorder", &payload));
        transcript::says(Harness::Claude, &self.transcript(id), sender, words);
    }

    /// A `Stop` payload of a session with its transcript. Without a prompt in that it names none, which is waited for.
    pub fn stop(&self, id: &str, cwd: &Path, message: &str) -> Value {
        let transcript = self.transcript(id);
        let mut payload = with(stop(id, cwd, message), "transcript_path", json!(transcript));
        if !transcript.exists() {
            payload["prompt_id"] = Value::Null;
        }
        payload
    }

    /// [`World::stop_session`] while `command` runs in the background.
    pub fn stop_beside(&self, id: &str, cwd: &Path, message: &str, command: &str) -> String {
        let shell = json!([{"id": "b", "type": "shell", "status": "running", "command": command}]);
        let payload = with(self.stop(id, cwd, message), "background_tasks", shell);
        let output = self.run_hook("stop-gate-router", &payload);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets a session stop with `message`; what the router prints.
    pub fn stop_session(&self, id: &str, cwd: &Path, message: &str) -> String {
        let output = self.run_hook("stop-gate-router", &self.stop(id, cwd, message));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Names of the files in the spool.
    pub fn spooled(&self) -> Vec<spool::Spooled> {
        spool::list(&self.home, 10_000).unwrap()
    }

    /// The hooks' own log.
    pub fn hook_log(&self) -> String {
        std::fs::read_to_string(self.home.log().join("hooks.jsonl")).unwrap_or_default()
    }
}

/// A running authority.
pub struct RunningAuthority<'a> {
    world: &'a World,
    child: Child,
}

impl<'a> RunningAuthority<'a> {
    fn start(world: &'a World, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut authority = Self { world, child: command.spawn().unwrap() };
        eventually("the authority answers", || {
            // One that was killed may have left a child of its own that holds its lock until it is git.
            if authority.child.try_wait().unwrap().is_some() {
                authority.child = command.spawn().unwrap();
            }
            authority.try_get(GetHealth::PATH)
        });
        authority
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// One request.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> Response {
        let socket = self.world.home.socket_to_connect().unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        client::request(&socket, method, path, body.as_bytes(), Instant::now() + Duration::from_secs(30)).unwrap()
    }

    /// What is answered to `request`, which has to be granted.
    pub fn call<E: Endpoint>(&self, request: &E) -> E::Response {
        let Message { target, body } = Message::of(request).unwrap();
        let socket = self.world.home.socket_to_connect().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let answer = client::request(&socket, E::METHOD.name(), &target, &body, until).unwrap();
        assert!(matches!(answer.status, 200 | 202), "{target}: {answer:?}");
        endpoint::response::<E>(&answer.body).unwrap()
    }

    fn try_get(&self, path: &str) -> Option<Response> {
        let socket = self.world.home.socket_to_connect().ok()?;
        client::request(&socket, "GET", path, b"", Instant::now() + Duration::from_secs(5)).ok()
    }

    /// The gate's log, newest first.
    pub fn log(&self) -> Vec<GateLogRow> {
        self.call(&LogFilter { tail: Some(1_000), ..LogFilter::default() }).events
    }

    /// The one row of a session's only stop, once it is judged.
    pub fn judged(&self, session: &str) -> GateLogRow {
        eventually("the stop is judged", || {
            let mut rows = self.log().into_iter().filter(|row| row.session_id == session);
            let row = rows.next()?;
            assert!(rows.next().is_none(), "more than one stop of {session}");
            (row.fail_open.as_deref() != Some("pending")).then_some(row)
        })
    }

    /// Known sessions, also those that have ended.
    pub fn sessions(&self) -> Vec<SessionRow> {
        self.call(&ListSessions { all: true, id: None })
    }
}

impl Drop for RunningAuthority<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a detached authority of a world when it is dropped.
pub struct StopsAuthority<'a>(pub &'a World);

impl Drop for StopsAuthority<'_> {
    fn drop(&mut self) {
        let _ = self.0.stopgate(&["authority", "stop"]);
    }
}

/// A `SessionStart` payload.
pub fn session_start(id: &str, cwd: &Path, source: &str) -> Value {
    json!({"session_id": id, "cwd": cwd, "hook_event_name": "SessionStart", "source": source,
           "transcript_path": format!("/nowhere/{id}.jsonl")})
}

/// A `Stop` payload.
pub fn stop(id: &str, cwd: &Path, message: &str) -> Value {
    json!({"session_id": id, "cwd": cwd, "hook_event_name": "Stop", "stop_hook_active": false, "prompt_id": "p",
           "last_assistant_message": message, "background_tasks": [], "session_crons": []})
}

/// `payload` with one field set.
pub fn with(mut payload: Value, field: &str, value: Value) -> Value {
    payload[field] = value;
    payload
}

/// The hook let the harness go on: exit 0 and not a byte on stdout or stderr.
pub fn assert_silent(output: &Output) {
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

/// What the person is told of a stop that was let go; panics unless stdout is exactly that one object.
pub fn noted(stdout: &str) -> String {
    let value: Value = serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?}"));
    assert_eq!(value.as_object().unwrap().len(), 1, "{stdout}");
    value["systemMessage"].as_str().unwrap().to_owned()
}

/// The reason of a block; panics unless stdout is exactly the one documented object.
pub fn block_reason(stdout: &str) -> String {
    let value: Value = serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?}"));
    assert_eq!(value["decision"], "block", "{stdout}");
    assert_eq!(value.as_object().unwrap().len(), 2, "{stdout}");
    value["reason"].as_str().unwrap().to_owned()
}
