//! What is known of a harness: its row, which stands beside its dialect.
//!
//! What other crates make of a harness (its transcript, its screen, its settings) is theirs, with one `match` each that
//! has all harnesses.

use std::path::Path;

use super::wire::RawPayload;
use super::{Payload as Read, PayloadError};
use crate::env::Env;
use crate::process::{ProcessRole, ProcessSight};

/// The row of a harness.
pub struct Spec {
    /// The hooks' argument, the value of `--harness`, and its name in the store and on screen.
    pub name: &'static str,
    /// The name of the product.
    pub product: &'static str,
    /// Name of its program, as people call it.
    pub command: &'static str,
    /// Versions that stopgate was tried with, oldest first: those of `tests/versions`, and what is in between.
    pub tried: &'static [&'static str],
    /// What a process is to it.
    pub(crate) role: fn(&ProcessSight<'_>) -> Option<ProcessRole>,
    /// The variable that tells its hooks which process it is, if there is one.
    pub process_variable: Option<&'static str>,
    /// Directory of its configuration, in a person's home and in a project.
    pub directory: &'static str,
    /// The variable that names another one instead of that in the home.
    pub directory_variable: &'static str,
    /// The file in that directory that hooks are registered in.
    pub settings: &'static str,
    /// The same of a person alone in a project, if it knows that.
    pub local_settings: Option<&'static str>,
    /// Whether an entry of that file has arguments; else its command is a whole command line.
    pub takes_arguments: bool,
    /// The shell that it runs command lines with, seen with the real client, whatever the person's own is.
    pub shell: &'static str,
    /// The events that it has.
    pub events: &'static [EventName],
    /// Where its transcripts are: a directory in that of its configuration, and how many levels below it.
    pub transcripts: (&'static str, usize),
    /// Where it keeps its task lists: a directory in that of its configuration, with one for each session.
    pub tasks: Option<&'static str>,
    /// Where, beside its transcripts' directory, it locks a file for each session that a process of it has loaded, if it does.
    pub writer_locks: Option<&'static str>,
    /// The variable that tells its shell tool which session it runs in, if there is one.
    pub session_variable: Option<&'static str>,
    /// Name of the command, as the kernel keeps it, of the first process in a sandbox with a PID namespace of its own that the
    /// client makes for what it runs; `None` if that process is not the client's program.
    pub sandbox_command: Option<&'static str>,
    /// Whether its hooks, too, are told by that variable which session they run for.
    pub names_session_to_hooks: bool,
    /// Fields of a registered line, beside those that are written ([`WRITTEN_FIELDS`]), by which it makes something else
    /// of the line: whether and when it runs, what becomes of the answer.
    pub changing_fields: &'static [&'static str],
    /// Those that change nothing for a hook of ours.
    pub harmless_fields: &'static [&'static str],
    /// Its tools that may write to a working tree. The fence stands before these and no others.
    pub writing_tools: &'static [WritingTool],
    /// After how many blocks in a row it ends a turn, whatever a hook says, if it does.
    pub block_cap: Option<BlockCap>,
    /// Whether a prompt is the one with which a Stop hook woke the session.
    pub woken_by_hook: fn(&str) -> bool,
    /// Whether a payload has marks that only this harness leaves.
    pub(super) recognises: fn(&RawPayload) -> bool,
    /// Reads a payload.
    pub(super) read: fn(&RawPayload) -> Result<Read, PayloadError>,
    /// What to print for a Stop block with this reason.
    pub(super) block: fn(&str) -> Option<String>,
    /// Most bytes of what a tool call is refused with, or a model told beside it, that it passes on whole.
    pub(super) most_said: usize,
}

impl Spec {
    /// The process that a harness says it is, to what it has started.
    pub fn told_process(&self, environment: &dyn Env) -> Option<u32> {
        environment.text(self.process_variable?)?.parse().ok()
    }

    /// Whether it has `event`.
    pub fn has(&self, event: EventName) -> bool {
        self.events.contains(&event)
    }
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

/// The fields of a line that the installer writes.
pub const WRITTEN_FIELDS: [&str; 4] = ["type", "command", "args", "timeout"];

/// Where a file stands that gives variables to hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariablePlace<'a> {
    /// The person's own directory of the harness.
    Account(&'a Path),
    /// A project, or whatever directory the harness is started in.
    Project(&'a Path),
    /// The machine, which an administrator keeps.
    Machine,
}

/// How a file gives variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableFormat {
    /// As members of `env` in a JSON object.
    Json,
    /// As lines `NAME=value`.
    Lines,
}

/// A tool of a harness that may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritingTool {
    /// What its hooks are told that it is called.
    pub name: &'static str,
    /// Where its input says what it writes.
    pub says: SaysTargets,
}

/// Where a tool's input says what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaysTargets {
    /// In a field that is a path.
    Path(&'static str),
    /// In the lines of a patch (`*** Update File: ...`).
    Patch,
    /// In a command of a shell, as far as it says so.
    Command,
}

/// A harness's own limit on blocks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCap {
    /// The variable that sets it; 0 means no limit.
    pub variable: &'static str,
    /// What it is otherwise.
    pub usual: u32,
}

/// An event that a hook can be registered for; harnesses that have it spell it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventName {
    /// A session begins.
    SessionStart,
    /// The person sends a prompt.
    UserPromptSubmit,
    /// The agent is about to use a tool.
    PreToolUse,
    /// The agent asks whether it may use a tool.
    PermissionRequest,
    /// The agent wants to end its turn.
    Stop,
    /// The person ends a turn before it ends by itself.
    Interrupt,
    /// Compaction begins.
    PreCompact,
    /// Compaction is done.
    PostCompact,
    /// A settings file has changed.
    ConfigChange,
    /// A session ends.
    SessionEnd,
}

impl EventName {
    /// All of them, in the order of a session's life: that of our groups in a settings file.
    pub const ALL: [Self; 10] = [
        Self::SessionStart,
        Self::UserPromptSubmit,
        Self::PreToolUse,
        Self::PermissionRequest,
        Self::Stop,
        Self::Interrupt,
        Self::PreCompact,
        Self::PostCompact,
        Self::ConfigChange,
        Self::SessionEnd,
    ];

    /// The key in a settings file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::PreToolUse => "PreToolUse",
            Self::PermissionRequest => "PermissionRequest",
            Self::Stop => "Stop",
            Self::Interrupt => "Interrupt",
            Self::PreCompact => "PreCompact",
            Self::PostCompact => "PostCompact",
            Self::ConfigChange => "ConfigChange",
            Self::SessionEnd => "SessionEnd",
        }
    }
}
