//! Builds in a checkout of their own: the CLI and the hook beside them, harness processes, real tmux servers.
//!
//! A harness process is the shell under the name `claude` (or `codex`): the kernel calls it so, and it runs hooks
//! and commands as its children, as a client does.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::run::{Stdin, eventually, finish, under};
use crate::transcript::Sender;
use crate::world::{World, binary, block_reason, session_start, stop, with};

/// What a harness process does: it sources one numbered script after the other.
const LOOP: &str = r#"cd "$TOP" || exit 1
echo $$ > "$AGENT/pid"
n=1
while :; do
  while [ ! -e "$AGENT/$n.go" ]; do [ -d "$AGENT" ] && sleep 0.02 || exit 1; done
  . "$AGENT/$n.sh" > "$AGENT/$n.out" 2> "$AGENT/$n.err"
  echo $? > "$AGENT/$n.code"
  mv "$AGENT/$n.code" "$AGENT/$n.rc"
  n=$((n + 1))
done"#;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[expect(clippy::return_self_not_must_use, reason = "called for their assertions as often as for the value")]
impl Said {
    /// It succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It ended with `code`, and standard error has all of `parts`.
    #[track_caller]
    pub fn refused(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "no {part:?} in {self:?}");
        }
        self
    }

    /// Exactly one JSON value on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A world with one checkout whose builds are looked at.
pub struct Site {
    /// The world.
    pub world: World,
    /// The checkout.
    pub checkout: Checkout,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A checkout with a commit and somebody to commit as, and a stopgate home.
    pub fn new() -> Self {
        let world = World::new();
        world.home.create().unwrap();
        let checkout = world.planned_checkout();
        for (name, value) in [("user.name", "t"), ("user.email", "t@example.invalid"), ("commit.gpgsign", "false")] {
            checkout.git(&["config", name, value]);
        }
        Self { world, checkout }
    }

    /// Top of the checkout.
    pub fn top(&self) -> &Path {
        &self.checkout.top
    }

    /// `stopgate build ...` at the top, run by the shell tool of `session`, or by a person if that is empty.
    pub fn command(&self, session: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&binary("stopgate"));
        command.arg("build").args(arguments).current_dir(self.top());
        if !session.is_empty() {
            command.env("CLAUDE_CODE_SESSION_ID", session);
            // The variable alone names nobody.
            let names_one = arguments.iter().any(|argument| argument.starts_with("--owner"));
            if arguments.first() == Some(&"start") && !names_one {
                command.args(["--owner-session", session]);
            }
        }
        command
    }

    /// Runs [`Site::command`].
    pub fn build(&self, session: &str, arguments: &[&str]) -> Said {
        finish(self.command(session, arguments), Stdin::from("")).into()
    }

    /// Runs `stopgate build` in `dir` as session `mine`.
    pub fn build_in(&self, dir: &Path, arguments: &[&str]) -> Said {
        let mut command = self.command("mine", arguments);
        command.current_dir(dir);
        finish(command, Stdin::from("")).into()
    }

    /// Starts a build of `session`, or without an owner if that is empty; its id. The flag stamps nothing but the
    /// session, so that it does not matter whether these tests run inside an agent themselves.
    #[track_caller]
    pub fn start(&self, session: &str, size: &str) -> String {
        let mut arguments = vec!["start", "build the parser", "--size", size, "--json"];
        if !session.is_empty() {
            arguments.extend(["--owner-session", session]);
        }
        self.started(self.build(session, &arguments))
    }

    /// The id of a build that was started with `--json`.
    #[track_caller]
    pub fn started(&self, said: Said) -> String {
        said.ok().json()["id"].as_str().unwrap().to_owned()
    }

    /// A build of `session` that is executing; its id.
    #[track_caller]
    pub fn executing(&self, session: &str, size: &str) -> String {
        let id = self.start(session, size);
        self.build(session, &["to", "executing", "--build", &id]).ok();
        id
    }

    /// Where a live build lies.
    pub fn live(&self, id: &str) -> PathBuf {
        self.top().join(".stopgate/builds").join(id)
    }

    /// Where an ended build lies.
    pub fn archived(&self, id: &str) -> PathBuf {
        self.top().join(".stopgate/archive").join(id)
    }

    fn dir(&self, id: &str) -> PathBuf {
        [self.live(id), self.archived(id)].into_iter().find(|dir| dir.exists()).unwrap()
    }

    /// The bytes of a build's state.
    pub fn bytes(&self, id: &str) -> Vec<u8> {
        std::fs::read(self.dir(id).join("state.json")).unwrap()
    }

    /// A build's state.
    pub fn state(&self, id: &str) -> Value {
        serde_json::from_slice(&self.bytes(id)).unwrap()
    }

    /// How many reminders a build has spent.
    pub fn used(&self, id: &str) -> u64 {
        self.state(id)["reminders_used"].as_u64().unwrap()
    }

    /// Changes a build's state behind everybody's back.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state(id);
        change(&mut state);
        std::fs::write(self.dir(id).join("state.json"), state.to_string()).unwrap();
    }

    /// The events in a build's audit file; every line is whole.
    pub fn events(&self, id: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir(id).join("audit.jsonl")).unwrap();
        let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].as_str().unwrap().to_owned();
        text.lines().map(event).collect()
    }

    /// Every file below `.stopgate` with its content.
    pub fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut open = vec![self.top().join(".stopgate")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    files.push((entry.path(), std::fs::read(entry.path()).unwrap()));
                }
            }
        }
        files.sort();
        files
    }

    /// Puts back what [`Site::snapshot`] has seen, and nothing else.
    pub fn put_back(&self, files: &[(PathBuf, Vec<u8>)]) {
        let root = self.top().join(".stopgate");
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::create_dir(root).unwrap();
        for (path, bytes) in files {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The hook on a payload, outside tmux and without a harness process.
    pub fn hook(&self, payload: &Value) -> Said {
        self.world.run_hook("build-stop-hook", payload).into()
    }

    /// A stop of `session` at the top; the reason if it is held.
    #[track_caller]
    pub fn stop(&self, session: &str) -> Option<String> {
        held(self.hook(&self.world.stop(session, self.top(), "bye")))
    }

    /// A stop that a hook has already kept from being one in this turn.
    #[track_caller]
    pub fn stop_again(&self, session: &str) -> Option<String> {
        held(self.hook(&with(self.world.stop(session, self.top(), "bye"), "stop_hook_active", json!(true))))
    }

    /// A person's prompt.
    pub fn prompt(&self, session: &str, prompt: &str) {
        self.world.says(session, self.top(), Sender::Typed, prompt);
    }

    /// A harness process outside tmux, called `name`.
    pub fn agent(&self, name: &str) -> Agent<'_> {
        self.agent_by::<&str>(name, &[])
    }

    /// [`Site::agent`], started by `wrapper`, which ends with it. Its process id is what it takes itself for.
    pub fn agent_by<S: AsRef<OsStr>>(&self, name: &str, wrapper: &[S]) -> Agent<'_> {
        Agent::prepare(self, name).spawned(wrapper)
    }

    /// A process that is called `codex` and stands for the daemon of many sessions: by its command line, as Codex's own.
    pub fn codex_daemon(&self) -> Agent<'_> {
        let mut agent = Agent::prepare(self, "codex");
        std::fs::write(agent.dir.join("app-server"), LOOP).unwrap();
        agent.is_daemon = true;
        agent.spawned::<&str>(&[])
    }

    /// A harness process outside tmux, called `claude`.
    pub fn claude(&self) -> Agent<'_> {
        self.agent("claude")
    }
}

/// What the hook said: nothing, or the reason of a block.
#[track_caller]
pub fn held(said: Said) -> Option<String> {
    let said = said.ok();
    assert_eq!(said.err, "");
    (!said.out.is_empty()).then(|| block_reason(&said.out))
}

/// A tmux server of the test's own; it ends with the value.
pub struct Tmux<'a> {
    site: &'a Site,
    /// Its socket.
    pub socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// A server (not started before its first session) on the socket `name`.
    pub fn new(site: &'a Site, name: &str) -> Self {
        Self { site, socket: site.world.root().join(name) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.world.command(Path::new("tmux"));
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(arguments);
        command
    }

    /// Runs a command of this server, which must succeed; what it prints.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        Said::from(finish(self.command(arguments), Stdin::from(""))).ok().out.trim().to_owned()
    }

    /// `command` (`new-session`, `new-window`, `split-window`, `respawn-pane -k` with their flags) with a harness
    /// process in the pane.
    #[track_caller]
    pub fn agent(&self, command: &[&str]) -> Agent<'a> {
        let mut agent = Agent::prepare(self.site, "claude");
        let mut arguments = command.to_vec();
        if command[0] == "respawn-pane" {
            arguments.push("-k");
        } else {
            arguments.extend(["-d", "-P", "-F", "#{pane_id}"]);
        }
        let line = agent.line();
        arguments.push(&line);
        let pane = self.run(&arguments);
        agent.pane = if pane.is_empty() { (*command.last().unwrap()).to_owned() } else { pane };
        agent.pid();
        agent
    }

    /// The value of `TMUX` for processes of this server.
    pub fn variable(&self) -> String {
        format!("{},{},0", self.socket.display(), self.run(&["display-message", "-p", "#{pid}"]))
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = finish(self.command(&["kill-server"]), Stdin::from(""));
    }
}

/// A harness process. One outside tmux ends with the value, one in tmux with its server.
pub struct Agent<'a> {
    site: &'a Site,
    dir: PathBuf,
    harness: PathBuf,
    count: Cell<usize>,
    /// Whether its command line is that of a process that many sessions share.
    is_daemon: bool,
    child: Option<Child>,
    /// Its pane, empty outside tmux.
    pub pane: String,
}

fn directory(site: &Site) -> PathBuf {
    tempfile::Builder::new().prefix("agent").tempdir_in(site.world.root()).unwrap().keep()
}

impl<'a> Agent<'a> {
    fn prepare(site: &'a Site, name: &str) -> Self {
        let dir = directory(site);
        // A link, not a copy: to run a file that another thread has just written may fail.
        let harness = dir.join(name);
        symlink("/bin/sh", &harness).unwrap();
        Self::in_directory(site, dir, harness)
    }

    /// One that is to run as the program `harness`, a shell.
    pub(crate) fn prepare_at(site: &'a Site, harness: PathBuf) -> Self {
        Self::in_directory(site, directory(site), harness)
    }

    fn in_directory(site: &'a Site, dir: PathBuf, harness: PathBuf) -> Self {
        std::fs::write(dir.join("loop"), LOOP).unwrap();
        Self { site, dir, harness, count: Cell::new(0), is_daemon: false, child: None, pane: String::new() }
    }

    /// Started, outside tmux.
    fn spawned<S: AsRef<OsStr>>(mut self, wrapper: &[S]) -> Self {
        let mut command = self.command();
        if !wrapper.is_empty() {
            command = under(wrapper, &command);
        }
        command.process_group(0);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        self.pid();
        self
    }

    /// What becomes the harness process.
    fn command(&self) -> Command {
        let mut command = self.site.world.command(Path::new("/bin/sh"));
        command.args(["-c", &self.line()]);
        command
    }

    /// The command line that becomes the harness process.
    pub(crate) fn line(&self) -> String {
        let (dir, top) = (self.dir.display(), self.site.top().display());
        let bin = binary("stopgate");
        let bin = bin.parent().unwrap().display();
        let (go, script) = if self.is_daemon {
            (format!("cd '{dir}' && "), "app-server --listen unix:// --managed-daemon".to_owned())
        } else {
            (String::new(), format!("'{dir}/loop'"))
        };
        format!(
            "{go}AGENT='{dir}' TOP='{top}' BIN='{bin}' HARNESS='{h}' exec '{h}' {script}",
            h = self.harness.display()
        )
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        eventually("the harness runs", || std::fs::read_to_string(self.dir.join("pid")).ok()?.trim().parse().ok())
    }

    /// Runs a script as the harness process, which has `$BIN` and `$HARNESS`.
    pub fn run(&self, script: &str) -> Said {
        let number = self.count.get() + 1;
        self.count.set(number);
        let file = |ending: &str| self.dir.join(format!("{number}.{ending}"));
        std::fs::write(file("sh"), script).unwrap();
        std::fs::write(file("go"), "").unwrap();
        let code = eventually("the script ends", || std::fs::read_to_string(file("rc")).ok());
        let text = |ending: &str| std::fs::read_to_string(file(ending)).unwrap();
        Said { code: code.trim().parse().ok(), out: text("out"), err: text("err") }
    }

    /// Runs a hook on a payload as the harness does.
    pub fn hook(&self, name: &str, payload: &Value) -> Said {
        let file = self.dir.join("payload");
        std::fs::write(&file, payload.to_string()).unwrap();
        let harness = if self.harness.ends_with("codex") { "codex" } else { "claude" };
        self.run(&format!("\"$BIN/{name}\" {harness} < '{}'", file.display()))
    }

    /// A stop of `session`; the reason if it is held.
    #[track_caller]
    pub fn stop(&self, session: &str) -> Option<String> {
        held(self.hook("build-stop-hook", &stop(session, self.site.top(), "bye")))
    }

    /// A stop of `session` in a second harness process that this one has started.
    #[track_caller]
    pub fn nested_stop(&self, session: &str) -> Option<String> {
        std::fs::write(self.dir.join("nested"), stop(session, self.site.top(), "bye").to_string()).unwrap();
        // Not the last command, which the shell would become.
        held(self.run("\"$HARNESS\" -c '\"$BIN/build-stop-hook\" claude < \"$AGENT/nested\"; true'"))
    }

    /// What the recorder is told.
    #[track_caller]
    pub fn records(&self, payload: &Value) {
        self.hook("session-start-recorder", payload).ok();
    }

    /// A `SessionStart`.
    #[track_caller]
    pub fn starts(&self, session: &str, source: &str) {
        self.records(&session_start(session, self.site.top(), source));
    }

    /// A `SessionEnd`.
    #[track_caller]
    pub fn ends(&self, session: &str, reason: &str) {
        self.records(&json!({"session_id": session, "cwd": self.site.top(), "hook_event_name": "SessionEnd",
                             "reason": reason, "transcript_path": "/nowhere/x.jsonl"}));
    }

    /// Runs `stopgate build ...`; with a session, as that session's shell tool does.
    pub fn build(&self, session: &str, arguments: &str) -> Said {
        let id = if session.is_empty() { String::new() } else { format!("CLAUDE_CODE_SESSION_ID={session} ") };
        self.run(&format!("{id}\"$BIN/stopgate\" build {arguments}"))
    }

    /// Starts a small build; its id.
    #[track_caller]
    pub fn start(&self, session: &str) -> String {
        self.site.started(self.build(session, "start 'build the parser' --size small --json"))
    }

    /// Waits until it has ended.
    pub fn ended(&self) {
        let process = format!("/proc/{}", self.pid());
        eventually("the harness has ended", || (!Path::new(&process).exists()).then_some(()));
    }

    /// Ends it, and waits for that.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}
