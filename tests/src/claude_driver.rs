//! Real Claude Code sessions in tests.
//!
//! A test describes a [`ClaudeSession`]; `run` starts the `drive-claude` program in an empty network namespace, and
//! that runs the client and the mocked model beside each other, so nothing of it can reach a network. The client
//! sees a scrubbed environment, a home and a temp directory of its own.
//!
//! ```no_run
//! use stopgate_tests::claude_driver::ClaudeSession;
//! use stopgate_tests::mock_anthropic::Turn;
//!
//! # let driver = "drive-claude"; // in a test: env!("CARGO_BIN_EXE_drive-claude")
//! let session = ClaudeSession::new("some/project").turns([Turn::bash("echo hi"), Turn::text("done")]).prompt("go");
//! let Some(summary) = session.run(driver) else { return }; // no client here: said so on stderr
//! assert_eq!(summary.main_requests, 2);
//! ```

mod client;
mod options;
mod process;
mod summary;
mod texts;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use serde_json::json;
use stopgate_core::env::{Env, PATH, ProcessEnv};

pub use client::run;
pub use options::{CLAUDE_VARIABLE, Options};
pub use summary::{HookEvent, HookText, HookTextKind, NewText, PromptResult, Summary};

use crate::checkout::Checkout;
use crate::mock_anthropic::{Rule, Script, Turn};
use crate::world::{World, binary};

/// Loopback is down in a new network namespace: brings it up, and becomes the rest of the line.
pub const LOOPBACK_UP: &str = "ip link set lo up && exec \"$0\" \"$@\"";

/// The client named by [`CLAUDE_VARIABLE`]. If it is not set, says loudly that the tests that need it are skipped.
///
/// # Panics
/// If the variable names something that is not there: that is a mistake, not a reason to skip.
pub fn real_claude() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let Some(path) = ProcessEnv.text(CLAUDE_VARIABLE).map(PathBuf::from) else {
        // Not through a print macro: the test harness would swallow that.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: real Claude Code client not installed; set {CLAUDE_VARIABLE} to the path of its native binary"
            );
        });
        return None;
    };
    assert!(path.is_file(), "{CLAUDE_VARIABLE} names {}, which is not a file", path.display());
    Some(path)
}

/// A checkout with an unfinished plan, and the hooks in its project-local settings.
pub fn guarded(world: &World) -> Checkout {
    let checkout = world.planned_checkout();
    let entry = |hook: &str| json!({"type": "command", "command": binary(hook), "args": ["claude"], "timeout": 10});
    let recorder = json!([{"hooks": [entry("session-start-recorder")]}]);
    let settings = json!({"hooks": {
        "Stop": [{"hooks": [entry("stop-gate-router"), entry("build-stop-hook")]}],
        "SessionStart": recorder, "SessionEnd": recorder, "UserPromptSubmit": recorder,
    }});
    checkout.write(".claude/settings.local.json", &settings.to_string());
    checkout
}

/// One headless session to be run.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClaudeSession {
    options: Options,
    script: Script,
}

impl ClaudeSession {
    /// A session in `project`. Its home is `claude-home` beside the project unless [`ClaudeSession::home`] says
    /// otherwise; sessions that share a home share transcripts and can be resumed.
    pub fn new(project: impl Into<PathBuf>) -> Self {
        Self { options: Options::new(project, ""), script: Script::default() }
    }

    /// Another client than [`real_claude`].
    pub fn client(mut self, program: impl Into<PathBuf>) -> Self {
        self.options.claude = Some(program.into());
        self
    }

    /// The client's home directory, made if need be.
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        self.options.home = Some(home.into());
        self
    }

    /// What the model says, in order; after that it says [`ClaudeSession::default_turn`].
    pub fn turns(mut self, turns: impl IntoIterator<Item = Turn>) -> Self {
        self.script.turns.extend(turns);
        self
    }

    /// What the model says to particular user messages, tried before the turns.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.script.rules.push(rule);
        self
    }

    /// What the model says when everything else is used up; by itself, "ok".
    pub fn default_turn(mut self, turn: Turn) -> Self {
        self.script.default_turn = turn;
        self
    }

    /// A prompt ("go" if there is none). Each further one is sent when the one before it is answered.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.options.prompts.push(prompt.into());
        self
    }

    /// Takes up an earlier session of the same home and project.
    pub fn resume(mut self, session_id: impl Into<String>) -> Self {
        self.options.resume = Some(session_id.into());
        self
    }

    /// A further argument of the client.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.options.args.push(arg.into());
        self
    }

    /// A further variable of the client and so of its hooks.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.env.push((name.into(), value.into()));
        self
    }

    /// The client is killed after this long, by itself 60 s; the summary says so in `timed_out`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Leaves the raw stream, requests and stderr in `directory`.
    pub fn keep(mut self, directory: impl Into<PathBuf>) -> Self {
        self.options.keep = Some(directory.into());
        self
    }

    /// Runs the session through `driver`, in a test `env!("CARGO_BIN_EXE_drive-claude")`. `None` if there is no
    /// client ([`real_claude`]), which has then been said on stderr.
    ///
    /// # Panics
    /// If the driver itself fails. A client that fails is in the summary.
    pub fn run(&self, driver: impl AsRef<Path>) -> Option<Summary> {
        let claude = self.options.claude.clone().or_else(real_claude)?;
        let scratch = tempfile::tempdir().expect("a temp directory");
        let mut options = self.options.clone();
        options.claude = Some(claude);
        options.script = scratch.path().join("script.json");
        std::fs::write(&options.script, serde_json::to_vec(&self.script).expect("a script as JSON"))
            .expect("a script file");

        let output = isolated(driver.as_ref())
            .args(options.to_args())
            .stdin(Stdio::null())
            .output()
            .expect("drive-claude starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "drive-claude: {}: {stderr}", output.status);
        Some(serde_json::from_slice(&output.stdout).expect("a summary as JSON"))
    }
}

/// The flag of `unshare` that makes a network namespace, if this machine allows that.
pub fn namespace() -> Option<&'static str> {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let flag = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
    let probe = || unshare(flag, "true".as_ref()).output().is_ok_and(|output| output.status.success());
    WORKS.get_or_init(probe).then_some(flag)
}

/// `program` in a network namespace of its own, if this machine allows that; the environment is scrubbed.
pub(crate) fn isolated(program: &Path) -> Command {
    match namespace() {
        Some(flag) => unshare(flag, program.as_os_str()),
        None => scrubbed(Command::new(program)),
    }
}

fn unshare(flag: &str, program: &OsStr) -> Command {
    let mut command = Command::new("unshare");
    command.args([flag, "sh", "-c", LOOPBACK_UP]).arg(program);
    scrubbed(command)
}

fn scrubbed(mut command: Command) -> Command {
    command.env_clear().envs(ProcessEnv.os(PATH).map(|path| (PATH, path)));
    command
}
