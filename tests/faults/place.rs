//! Where a fault is tried: a real installation, its authority, a session that would be blocked, a build with an owner.
//!
//! Everything of stopgate's runs without privileges, also for root: a mode that forbids something forbids it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use stopgate_core::beat::{self, Beat};
use stopgate_core::holder;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::{Person, text};
use stopgate_tests::process::has_ended;
use stopgate_tests::run::{Stdin, eventually, finish, under};
use stopgate_tests::transcript;
use stopgate_tests::world::{EXCUSE, HOOKS, World, assert_silent, binary, block_reason, session_start, stop, with};

/// The session that owns the build.
const OWNER: &str = "owner";

/// What takes every privilege from root; empty where there is none to take.
fn unprivileged() -> &'static [&'static str] {
    static FOUND: OnceLock<&'static [&'static str]> = OnceLock::new();
    const SETPRIV: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    FOUND.get_or_init(|| if rustix::process::geteuid().is_root() { SETPRIV } else { &[] })
}

/// `command` without privileges.
fn plain(command: Command) -> Command {
    match unprivileged() {
        [] => command,
        wrapper => under(wrapper, &command),
    }
}

/// See the module.
pub(crate) struct Place {
    person: Person,
    pub(crate) checkout: Checkout,
    /// Whether programs are run where they were installed, which is where a harness runs them.
    pub(crate) installed: Cell<bool>,
}

impl Place {
    /// A place whose home is `home` below the temp directory; with the controls that show it healthy.
    pub(crate) fn new(home: &str) -> Self {
        let world = World::with_home(home);
        let checkout = world.planned_checkout();
        let place = Self { person: Person { world }, checkout, installed: Cell::new(true) };
        std::fs::create_dir(place.temp()).unwrap();
        place.install();
        std::fs::write(place.home().mode_file(), "enforce\n").unwrap();
        let id = place.start_build();
        assert!(place.stopgate(&["build", "to", "executing", "--build", &id]).status.success());
        place.start_authority();
        place.is_healthy("control");
        place.start_session("s");
        place
    }

    /// `installer init`. The programs lie in their place already, as links: an installation is not what is tried.
    fn install(&self) {
        let bin = self.home().bin();
        std::fs::create_dir_all(&bin).unwrap();
        for name in HOOKS.into_iter().chain(["stopgate", "installer"]) {
            let (from, to) = (binary(name), bin.join(name));
            if std::fs::hard_link(&from, &to).is_err() {
                // By a process of its own: see `agent::agent`.
                assert!(Command::new("cp").arg(&from).arg(&to).status().unwrap().success());
            }
        }
        let mut init = self.person.installer(&["init", "--yes", "--no-live-check"]);
        init.env("STOPGATE_HOME", self.home().root()).env("STOPGATE_NO_AUTOSTART", "1");
        let output = finish(plain(init), Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
    }

    fn start_build(&self) -> String {
        let owner = format!("--owner-session={OWNER}");
        let started = self.stopgate(&["build", "start", "build the parser", "--size", "large", "--json", &owner]);
        assert!(started.status.success(), "{started:?}");
        serde_json::from_slice::<Value>(&started.stdout).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Its stopgate home.
    pub(crate) fn home(&self) -> &Home {
        &self.person.world.home
    }

    /// The temp directory that holds everything.
    pub(crate) fn root(&self) -> &Path {
        self.person.world.root()
    }

    fn program(&self, name: &str) -> PathBuf {
        if self.installed.get() { self.home().bin().join(name) } else { binary(name) }
    }

    /// A program of stopgate's, which may start the authority.
    fn bare(&self, name: &str) -> Command {
        let mut command = self.person.command(&self.program(name));
        if !self.installed.get() {
            command.env("STOPGATE_HOME", self.home().root());
        }
        command.env("STOPGATE_CLOCK", self.clock()).env("TMPDIR", self.temp());
        // Less than elsewhere: the longest wait is to stay below what a harness allows.
        command.env("STOPGATE_PATIENCE", "3");
        command.current_dir(&self.checkout.top);
        command
    }

    /// [`Place::bare`] without privileges.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.bare(name);
        command.args(arguments);
        plain(command)
    }

    /// A hook as its harness runs it, by `wrapper` if that is not empty.
    pub(crate) fn hook(&self, name: &str, wrapper: &[String]) -> Command {
        let mut command = self.bare(name);
        command.arg("claude");
        plain(if wrapper.is_empty() { command } else { under(wrapper, &command) })
    }

    /// The transcript of every session.
    fn transcript(&self) -> PathBuf {
        let path = self.root().join("transcript.jsonl");
        transcript::begun(Harness::Claude, &path);
        path
    }

    /// The file that says how far all clocks are off.
    fn clock(&self) -> PathBuf {
        self.root().join("clock")
    }

    /// `TMPDIR` of all programs.
    pub(crate) fn temp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// By how much the time of day is set wrong, in milliseconds.
    pub(crate) fn set_clock(&self, off: i64) {
        std::fs::write(self.clock(), format!("0 {off}")).unwrap();
    }

    /// Runs the CLI.
    pub(crate) fn stopgate(&self, arguments: &[&str]) -> Output {
        finish(self.command("stopgate", arguments), Stdin::from(""))
    }

    /// What a hook is given: for the router a stop of `session`, for the build hook one of the owner, for the recorder
    /// the start of `session`.
    pub(crate) fn payload(&self, hook: &str, session: &str) -> Value {
        let top = &self.checkout.top;
        match hook {
            "session-start-recorder" => session_start(session, top, "startup"),
            "build-stop-hook" => stop(OWNER, top, EXCUSE),
            // Each has been asked for the plan.
            _ => with(stop(session, top, EXCUSE), "transcript_path", json!(self.transcript())),
        }
    }

    /// Runs a hook.
    pub(crate) fn run(&self, hook: &str, session: &str) -> Output {
        finish(self.hook(hook, &[]), Stdin::from(&*self.payload(hook, session).to_string()))
    }

    /// Records the start of a session.
    pub(crate) fn start_session(&self, session: &str) {
        assert_silent(&self.run("session-start-recorder", session));
    }

    /// The control: `session` is recorded and held, and so is the owner of the build.
    pub(crate) fn is_healthy(&self, session: &str) {
        self.start_session(session);
        for hook in ["stop-gate-router", "build-stop-hook"] {
            let output = self.run(hook, session);
            assert!(output.status.success() && output.stderr.is_empty(), "{hook}: {output:?}");
            let reason = block_reason(&text(&output.stdout));
            assert!(reason.starts_with("[stopgate]"), "{hook}: {reason}");
        }
        assert!(self.sessions().contains(&session.to_owned()), "{session} is not recorded");
    }

    /// Sees to it that an authority serves.
    pub(crate) fn start_authority(&self) {
        let output = self.stopgate(&["authority", "start"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs an authority in the background that shares the clock.
    pub(crate) fn run_authority_with_clock(&self) {
        // Nothing of the pipes that are read to their end here.
        const BACKGROUND: &[&str] = &["sh", "-c", "setsid \"$@\" </dev/null >/dev/null 2>&1 &", "sh"];
        let mut run = self.bare("stopgate");
        run.args(["authority", "run", "--detached"]);
        let output = finish(plain(under(BACKGROUND, &run)), Stdin::from(""));
        assert!(output.status.success(), "{output:?}");
        eventually("it serves", || (self.status() == "running").then_some(()));
        let environment = std::fs::read(format!("/proc/{}/environ", self.authority_pid())).unwrap();
        assert!(text(&environment).contains("STOPGATE_CLOCK="));
    }

    /// [`Place::start_authority`] for one that may be degraded.
    pub(crate) fn start_authority_anyhow(&self) {
        let _ = self.stopgate(&["authority", "start"]);
        eventually("it serves", || ["running", "degraded"].contains(&self.status()).then_some(()));
    }

    /// Ends the authority, and sees to it that one serves, which takes in what was spooled.
    pub(crate) fn restart_authority(&self) {
        let output = self.stopgate(&["authority", "stop"]);
        assert!(output.status.success(), "{output:?}");
        self.start_authority();
    }

    /// Ends the authority as it ends by itself.
    pub(crate) fn stop_authority(&self) {
        let output = self.stopgate(&["authority", "stop"]);
        assert!(output.status.success() && !self.home().socket().exists(), "{output:?}");
    }

    /// Pid of the authority, which holds this home's lock.
    pub(crate) fn authority_pid(&self) -> u32 {
        eventually("the lock names its holder", || Some(holder::holder(self.home())?.verified(self.home())?.pid()))
    }

    /// Kills the authority as `kill -9` does.
    pub(crate) fn kill_authority(&self) {
        let pid = self.authority_pid();
        stopgate_tests::process::signal(pid, rustix::process::Signal::KILL);
        eventually("it is dead", || has_ended(pid).then_some(()));
    }

    /// Lines of the hooks' log, each `problem: detail`, of one hook.
    pub(crate) fn log(&self, hook: &str) -> Vec<String> {
        let read = std::fs::read_to_string(self.home().log().join("hooks.jsonl")).unwrap_or_default();
        let lines = read.lines().map(|line| serde_json::from_str::<Value>(line).expect("whole lines"));
        let said = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
        lines
            .filter(|line| line["hook"] == hook)
            .map(|line| format!("{}: {}", said(&line, "problem"), said(&line, "detail")))
            .collect()
    }

    /// How the CLI sees the authority, in one of four words.
    pub(crate) fn status(&self) -> &'static str {
        let output = self.stopgate(&["status", "--json"]);
        let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else { return "cannot tell" };
        match (&status["authority"]["status"], &status["authority_error"]) {
            (word, _) if word == "ok" => "running",
            (word, _) if word == "degraded" => "degraded",
            (_, Value::Null) => "not running",
            _ => "not answering",
        }
    }

    /// What `installer doctor` finds: ids of findings, and what could not be looked at.
    pub(crate) fn doctor(&self) -> Vec<String> {
        let output = finish(self.command("installer", &["doctor", "--no-fire", "--json"]), Stdin::from(""));
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let list = |field: &str| report[field].as_array().unwrap().clone();
        let mut found: Vec<_> = list("findings").iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        found.extend(list("unchecked").iter().map(|one| format!("unchecked: {}", one["what"].as_str().unwrap())));
        found.sort();
        found.dedup();
        found
    }

    /// Ids of the known sessions.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let output = self.stopgate(&["sessions", "--all", "--json"]);
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        rows.iter().filter_map(|row| row["session_id"].as_str().map(str::to_owned)).collect()
    }

    /// Whether a stop of `session` is in the gate's log.
    pub(crate) fn has_stop(&self, session: &str) -> bool {
        let output = self.stopgate(&["gate", "log", "--session", session, "--json"]);
        text(&output.stdout).contains(session)
    }

    /// When a hook last left a beat.
    pub(crate) fn beat(&self, hook: &str, beat: Beat) -> Option<i64> {
        beat::last(self.home(), hook, beat)
    }

    /// How many ends of connections to the socket the kernel knows: the listener is one.
    pub(crate) fn connections(&self) -> usize {
        let Ok(socket) = self.home().socket_to_connect() else { return 0 };
        let table = String::from_utf8_lossy(&std::fs::read("/proc/net/unix").unwrap()).into_owned();
        table.lines().filter(|line| line.ends_with(socket.to_str().unwrap())).count()
    }
}
