//! Sessions for the reaper: stand-in harnesses in real tmux panes, and an authority whose clock and pressure are made
//! up.

use std::cell::Cell;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock, UnixMillis, minutes};
use stopgate_core::session::state::SessionState;
use stopgate_protocol::{GetReaper, SessionRow};
use stopgate_reaper::report::{AuditRow, ReaperAuditEvent, ReaperSession, ReaperStatus};

use crate::build::Site;
use crate::process::has_ended;
use crate::run::{Stdin, eventually, finish};
use crate::world::{RunningAuthority, binary, session_start, stop};

/// Minutes in milliseconds.
pub const MINUTE: UnixMillis = minutes(1);
/// The reaper's interval, as configured by default.
pub const TICK: UnixMillis = 2 * MINUTE;
/// Critical pressure.
pub const CRITICAL: (f64, f64) = (3.0, 0.1);
/// No pressure.
pub const NORMAL: (f64, f64) = (80.0, 0.1);

/// A site with a clock and a pressure of its own, and a tmux server.
pub struct Stage {
    /// The checkout and the world.
    pub site: Site,
    offset_ms: Cell<UnixMillis>,
    /// By how much the time of day was set.
    set_ms: Cell<UnixMillis>,
    suspended_ms: Cell<UnixMillis>,
    socket: PathBuf,
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage {
    /// A stage without pressure; the reaper is off, as installed.
    pub fn new() -> Self {
        let mut site = Site::new();
        let (clock, pressure) = (site.world.root().join("clock"), site.world.root().join("pressure"));
        site.world.set_env("STOPGATE_CLOCK", clock.to_str().unwrap());
        site.world.set_env("STOPGATE_PRESSURE", pressure.to_str().unwrap());
        let socket = site.world.root().join("tm");
        let stage = Self { site, offset_ms: Cell::new(0), set_ms: Cell::new(0), suspended_ms: Cell::new(0), socket };
        stage.pass(0);
        stage.pressure(NORMAL);
        stage
    }

    /// Lets time go by for every process of the stage.
    pub fn pass(&self, ms: UnixMillis) {
        self.offset_ms.set(self.offset_ms.get() + ms);
        self.tell_clocks();
    }

    /// Sets the time of day ahead by so much, and nothing else.
    pub fn set_clock(&self, ms: UnixMillis) {
        self.set_ms.set(self.set_ms.get() + ms);
        self.tell_clocks();
    }

    /// Suspends the machine for so long.
    pub fn suspend(&self, ms: UnixMillis) {
        self.suspended_ms.set(self.suspended_ms.get() + ms);
        self.tell_clocks();
    }

    fn tell_clocks(&self) {
        let clocks = [&self.offset_ms, &self.set_ms, &self.suspended_ms].map(|ms| ms.get().to_string());
        self.replace("clock", &clocks.join(" "));
    }

    /// The time on the stage.
    pub fn now_ms(&self) -> UnixMillis {
        SystemClock.now_ms() + self.offset_ms.get() + self.set_ms.get() + self.suspended_ms.get()
    }

    /// Makes the machine short, or not: available memory in percent, load per core.
    pub fn pressure(&self, (available_pct, load_per_core): (f64, f64)) {
        let reading = json!({"available_pct": available_pct, "load_per_core": load_per_core});
        self.replace("pressure", &reading.to_string());
    }

    /// In one step: whoever reads sees the old or the new.
    fn replace(&self, name: &str, text: &str) {
        let path = self.site.world.root().join(name);
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    /// Turns the reaper on: `live`, or to a rehearsal.
    pub fn enable(&self, live: bool) {
        let arguments: &[&str] = if live { &["reaper", "enable", "--live", "--yes"] } else { &["reaper", "enable"] };
        let output = self.site.world.stopgate(arguments);
        assert!(output.status.success(), "{output:?}");
    }

    /// Sets the reaper's switch without an authority.
    pub fn enable_by_file(&self, word: &str) {
        self.site.world.home.create().unwrap();
        std::fs::write(self.site.world.home.reaper_file(), word).unwrap();
    }

    /// Lets the reaper look once more, an interval later.
    pub fn tick(&self, authority: &RunningAuthority<'_>) -> ReaperStatus {
        self.look_after(authority, TICK)
    }

    /// Lets the reaper look once, after this time.
    pub fn look_after(&self, authority: &RunningAuthority<'_>, ms: UnixMillis) -> ReaperStatus {
        eventually("the look at the beginning is over", || status(authority).last_tick_at_ms);
        // Processor time is counted in steps of 10 ms, and real time: one step must not look like work.
        std::thread::sleep(std::time::Duration::from_millis(150));
        let due = self.now_ms() + ms;
        self.pass(ms);
        eventually("the reaper looks", || {
            let status = status(authority);
            (status.last_tick_at_ms? >= due).then_some(status)
        })
    }

    /// Lets the reaper look `count` times.
    pub fn ticks(&self, authority: &RunningAuthority<'_>, count: usize) -> ReaperStatus {
        (0..count).map(|_| self.tick(authority)).last().unwrap()
    }

    /// The audit, oldest first.
    pub fn audit(&self) -> Vec<AuditRow> {
        serde_json::from_value(self.site.world.stopgate_json(&["reaper", "audit", "--limit", "1000", "--json"]))
            .unwrap()
    }

    /// What the audit says of a session, without the decisions.
    pub fn deeds(&self, session: &str) -> Vec<ReaperAuditEvent> {
        let rows = self.audit().into_iter();
        rows.filter(|row| row.session_id == session && row.event != ReaperAuditEvent::Decision)
            .map(|row| row.event)
            .collect()
    }

    /// The row of a session.
    pub fn row(&self, session: &str) -> SessionRow {
        let rows: Vec<SessionRow> =
            serde_json::from_value(self.site.world.stopgate_json(&["sessions", "--all", "--json"])).unwrap();
        rows.into_iter().find(|row| row.session_id == session).unwrap()
    }

    /// A command of the stage's tmux server.
    pub fn tmux_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.world.command(Path::new("tmux"));
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(arguments);
        command
    }

    /// Runs a command of the stage's tmux server, which must succeed; what it prints.
    #[track_caller]
    pub fn tmux(&self, arguments: &[&str]) -> String {
        let output = finish(self.tmux_command(arguments), Stdin::from(""));
        assert!(output.status.success(), "tmux {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A stand-in harness in a tmux session of its own.
    pub fn stand_in(&self, id: &str) -> StandIn<'_> {
        self.stand_in_pane(id, "claude", &["new-session", "-x", "120", "-y", "40", "-s", id], "exec")
    }

    /// A stand-in harness, started by `runner` (`exec`, or something that stays between it and the pane) in the pane
    /// that a tmux command makes.
    pub fn stand_in_pane(&self, id: &str, harness: &str, command: &[&str], runner: &str) -> StandIn<'_> {
        let mut stand_in = StandIn::prepare(self, id, harness);
        let line = stand_in.line(runner);
        stand_in.pane = self.tmux(&[command, &["-d", "-P", "-F", "#{pane_id}", &line]].concat());
        stand_in
    }

    /// A stand-in harness outside tmux.
    pub fn stand_in_outside(&self, id: &str) -> StandIn<'_> {
        let mut stand_in = StandIn::prepare(self, id, "claude");
        let mut command = self.site.world.command(&stand_in.program);
        command.arg(&stand_in.dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        stand_in.child = Some(command.spawn().unwrap());
        stand_in
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = finish(self.tmux_command(&["kill-server"]), Stdin::from(""));
    }
}

/// How the reaper is.
pub fn status(authority: &RunningAuthority<'_>) -> ReaperStatus {
    authority.call(&GetReaper {})
}

/// The session `id` at the last look.
pub fn looked(status: &ReaperStatus, id: &str) -> ReaperSession {
    status.sessions.iter().find(|session| session.session_id == id).unwrap().clone()
}

/// A captured screen of a real client.
pub fn screen(name: &str) -> String {
    std::fs::read_to_string(screen_path(name)).unwrap()
}

/// Where it lies.
pub fn screen_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/screens/{name}.txt"))
}

/// A stand-in harness with one session. One outside tmux ends with the value, one in tmux with its server.
pub struct StandIn<'a> {
    stage: &'a Stage,
    /// The session's id.
    pub id: String,
    /// Its own directory.
    pub dir: PathBuf,
    program: PathBuf,
    sent: Cell<usize>,
    child: Option<Child>,
    /// Its pane, empty outside tmux.
    pub pane: String,
}

impl<'a> StandIn<'a> {
    /// One that nobody has started yet.
    pub fn prepare(stage: &'a Stage, id: &str, harness: &str) -> Self {
        let dir = stage.site.world.root().join(format!("stand-in {id}"));
        std::fs::create_dir(&dir).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, dir.join("control"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let program = dir.join(harness);
        symlink(binary("stand-in"), &program).unwrap();
        Self { stage, id: id.to_owned(), dir, program, sent: Cell::new(0), child: None, pane: String::new() }
    }

    /// The line of a shell that starts it, by `runner`.
    pub fn line(&self, runner: &str) -> String {
        format!("{runner} '{}' '{}'", self.program.display(), self.dir.display())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        eventually("the stand-in runs", || std::fs::read_to_string(self.dir.join("pid")).ok()?.parse().ok())
    }

    /// Whether its process has ended.
    pub fn has_ended(&self) -> bool {
        has_ended(self.pid())
    }

    /// Whether it stands in for Codex.
    pub fn is_codex(&self) -> bool {
        self.program.ends_with("codex")
    }

    /// Tells it something, and waits until that is done.
    pub fn tell(&self, command: &str) {
        assert!(self.tries(command), "{} has ended before {command}", self.id);
    }

    /// Tells it something, and waits until that is done; `false` if it has ended before.
    fn tries(&self, command: &str) -> bool {
        if self.has_ended() || self.send(command).is_err() {
            return false;
        }
        let number = self.sent.get().to_string();
        eventually(command, || {
            let problem = std::fs::read_to_string(self.dir.join("problem"));
            assert!(problem.is_err(), "{command}: {problem:?}");
            let done = std::fs::read_to_string(self.dir.join("done")).is_ok_and(|done| done == number);
            if done { Some(true) } else { self.has_ended().then_some(false) }
        })
    }

    /// Tells it something, unless it has ended.
    pub fn told(&self, command: &str) {
        let sent = self.send(command);
        assert!(sent.is_ok() || self.has_ended(), "{}: {command}: {sent:?}", self.id);
    }

    fn send(&self, command: &str) -> std::io::Result<()> {
        self.pid();
        self.sent.set(self.sent.get() + 1);
        // One that has ended must not be waited for.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let control = std::fs::OpenOptions::new().write(true).custom_flags(nonblock).open(self.dir.join("control"));
        control.and_then(|mut control| control.write_all(format!("{command}\n").as_bytes()))
    }

    /// Shows a captured screen.
    pub fn shows(&self, name: &str) {
        self.tell(&format!("screen {}", screen_path(name).display()));
    }

    /// Shows this.
    pub fn shows_text(&self, text: &str) {
        let path = self.dir.join("screen");
        std::fs::write(&path, text).unwrap();
        self.tell(&format!("screen {}", path.display()));
    }

    /// Runs a hook on a payload.
    pub fn hook(&self, program: &str, payload: Value) {
        assert!(self.tries_hook(program, payload), "{} has ended", self.id);
    }

    fn tries_hook(&self, program: &str, mut payload: Value) -> bool {
        payload["transcript_path"] = json!(self.dir.join("transcript.jsonl"));
        let path = self.dir.join("payload");
        std::fs::write(&path, payload.to_string()).unwrap();
        self.tries(&format!("hook {}\t{}", binary(program).display(), path.display()))
    }

    /// Reports an event of `session`.
    pub fn records(&self, session: &str, event: &str) {
        assert!(self.tries_to_record(session, event), "{} has ended", self.id);
    }

    /// [`StandIn::records`]; `false` if it has ended before.
    pub fn tries_to_record(&self, session: &str, event: &str) -> bool {
        self.tries_hook("session-start-recorder", self.event(session, event, "other"))
    }

    /// Reports the end of `session`; `false` if the process has ended before.
    pub fn tries_to_end(&self, session: &str, reason: &str) -> bool {
        self.tries_hook("session-start-recorder", self.event(session, "SessionEnd", reason))
    }

    /// [`StandIn::starts`]; `false` if it has ended before.
    pub fn tries_to_start(&self, session: &str, source: &str) -> bool {
        self.tries_hook("session-start-recorder", session_start(session, self.stage.site.top(), source))
    }

    fn event(&self, session: &str, event: &str, reason: &str) -> Value {
        json!({"session_id": session, "cwd": self.stage.site.top(), "hook_event_name": event, "prompt": "go",
               "reason": reason, "tool_name": "Bash"})
    }

    /// Reports that `session` began.
    pub fn starts(&self, session: &str, source: &str) {
        self.tell("say {}");
        self.hook("session-start-recorder", session_start(session, self.stage.site.top(), source));
    }

    /// Has a whole turn, and waits at the prompt: as idle as a session can be.
    #[must_use]
    pub fn is_idle(self) -> Self {
        self.starts(&self.id.clone(), "startup");
        self.records(&self.id, "UserPromptSubmit");
        self.shows("claude-2.1.329-busy");
        self.tell("say {\"type\":\"assistant\"}");
        self.hook("stop-gate-router", stop(&self.id, self.stage.site.top(), "The parser is in."));
        self.shows("claude-2.1.329-idle");
        eventually("the stop is known", || (self.stage.row(&self.id).state == SessionState::Idle).then_some(()));
        self
    }
}

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
