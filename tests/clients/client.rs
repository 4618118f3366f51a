//! The clients: where they are, how they are called, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::session::Harness;
use stopgate_tests::claude_driver::CLAUDE_VARIABLE;
use stopgate_tests::codex_daemon::MEMORY_LIMIT;
use stopgate_tests::codex_driver::CODEX_VARIABLE;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::versions::version;

/// Names the older Claude Code.
const OLD_CLAUDE_VARIABLE: &str = "STOPGATE_TEST_CLAUDE_OLD";

/// A client that the scenarios are run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Claude,
    OldClaude,
    /// With `-c`: each session is a process of its own.
    Codex,
    /// As people start it: sessions share a daemon.
    CodexDaemon,
}

/// In the order of the table's columns.
pub(crate) const ALL: [Client; 4] = [Client::Claude, Client::OldClaude, Client::Codex, Client::CodexDaemon];

impl Client {
    /// Short name, in filters and in the names of files.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::OldClaude => "claude-old",
            Self::Codex => "codex",
            Self::CodexDaemon => "daemon",
        }
    }

    /// As the page calls it.
    pub(crate) fn title(self) -> String {
        let way = if self.has_daemon() { ", daemon" } else { "" };
        format!("{} {}{way}", if self.is_codex() { "Codex" } else { "Claude Code" }, self.version())
    }

    /// The version that the page names.
    pub(crate) fn version(self) -> &'static str {
        version(match self {
            Self::Claude => "claude",
            Self::OldClaude => "claude_old",
            Self::Codex | Self::CodexDaemon => "codex",
        })
    }

    /// The variable that names its program.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Claude => CLAUDE_VARIABLE,
            Self::OldClaude => OLD_CLAUDE_VARIABLE,
            Self::Codex | Self::CodexDaemon => CODEX_VARIABLE,
        }
    }

    /// Its program; `None` if the variable is not set.
    ///
    /// # Panics
    /// If the variable names something that is not there: that is a mistake, not a reason to skip.
    pub(crate) fn program(self) -> Option<PathBuf> {
        let path = ProcessEnv.text(self.variable()).map(PathBuf::from)?;
        assert!(path.is_file(), "{} names {}, which is not a file", self.variable(), path.display());
        Some(path)
    }

    /// The version that the program says it is of.
    pub(crate) fn version_of(self, program: &Path) -> String {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("--version").env_clear().env("HOME", home.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin");
        let output = finish(command, Stdin::from(""));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = said.split_ascii_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        version.unwrap_or_else(|| panic!("{} says no version: {output:?}", self.title())).to_owned()
    }

    /// Whose dialect it speaks.
    pub(crate) fn harness(self) -> Harness {
        match self {
            Self::Claude | Self::OldClaude => Harness::Claude,
            Self::Codex | Self::CodexDaemon => Harness::Codex,
        }
    }

    pub(crate) fn is_codex(self) -> bool {
        matches!(self, Self::Codex | Self::CodexDaemon)
    }

    /// Whether its sessions share a process.
    pub(crate) fn has_daemon(self) -> bool {
        self == Self::CodexDaemon
    }

    /// What its process is called, and the name of the program on the search path.
    pub(crate) fn command(self) -> &'static str {
        if self.is_codex() { "codex" } else { "claude" }
    }

    /// The shell's line that starts it in a terminal, with the model at `$MOCK_URL` or `$ANTHROPIC_BASE_URL`. It works
    /// without questions, or asks before it runs a command.
    pub(crate) fn line(self, asks: bool, arguments: &str) -> String {
        if !self.is_codex() {
            let tools = if asks { "Read" } else { "Bash,Write,Edit,Read,Task,Agent" };
            let mode = if asks { "default" } else { "acceptEdits" };
            return format!("claude {arguments} --permission-mode {mode} --allowedTools {tools}");
        }
        let rights = if asks { "-s read-only -a on-request" } else { "-s danger-full-access -a never" };
        self.codex_line(arguments, rights)
    }

    /// That of a Codex whose tools run in the sandbox `mode`, and which asks nobody.
    pub(crate) fn in_sandbox(self, mode: &str) -> String {
        self.codex_line("", &format!("-s {mode} -a never"))
    }

    fn codex_line(self, arguments: &str, rights: &str) -> String {
        if self.has_daemon() {
            // Each session reads the configuration anew, and so finds the model beside its own terminal.
            let model = "sed -i \"s|^base_url = .*|base_url = \\\"$MOCK_URL\\\"|\" \"$HOME/.codex/config.toml\"";
            return format!("{model} && {MEMORY_LIMIT} && codex {arguments} {rights}");
        }
        Self::own_process(arguments, rights)
    }

    /// The line of a Codex whose session is a process of its own, because it is configured by arguments.
    pub(crate) fn own_process(arguments: &str, rights: &str) -> String {
        let provider = "model_providers.mock={name=\\\"mock\\\",base_url=\\\"$MOCK_URL\\\",env_key=\\\"MOCK_API_KEY\\\",\
                        wire_api=\\\"responses\\\",request_max_retries=0,stream_max_retries=0,\
                        supports_websockets=false}";
        // A subcommand comes first, and takes the same options.
        format!(
            "codex {arguments} {rights} -c 'model_provider=\"mock\"' -c \"{provider}\" \
             -c check_for_update_on_startup=false -c analytics.enabled=false"
        )
    }

    /// The arguments that take a session up again.
    pub(crate) fn resume(self, session: &str) -> String {
        if self.is_codex() { format!("resume {session}") } else { format!("--resume {session}") }
    }

    /// The arguments that begin a new session with the conversation of another one.
    pub(crate) fn fork(self, session: &str) -> String {
        if self.is_codex() { format!("fork {session}") } else { format!("--resume {session} --fork-session") }
    }
}
