//! Codex's dialect (observed with 0.169.0 and 0.171.0).

use std::path::PathBuf;

use super::wire::RawPayload;
use super::{
    EventName, Harness, Payload as Read, PayloadError, SaysTargets, Spec, Stop, VariableFormat, VariablePlace,
    WritingTool,
};
use crate::process::{ProcessRole, ProcessSight};
use crate::text;

/// Codex's row.
pub(super) const SPEC: Spec = Spec {
    name: "codex",
    product: "Codex",
    command: "codex",
    tried: &["0.169.0", "0.171.0"],
    role,
    process_variable: None,
    directory: ".codex",
    directory_variable: "CODEX_HOME",
    settings: "hooks.json",
    local_settings: None,
    takes_arguments: false,
    shell: "/bin/bash",
    events: &[
        EventName::SessionStart,
        EventName::UserPromptSubmit,
        EventName::PreToolUse,
        EventName::PermissionRequest,
        EventName::Stop,
        EventName::Interrupt,
        EventName::PreCompact,
        EventName::PostCompact,
        EventName::SessionEnd,
    ],
    // `sessions/YYYY/MM/DD/rollout-*.jsonl`
    transcripts: ("sessions", 4),
    tasks: None,
    writer_locks: Some("thread-writer-locks"),
    // That of a subagent is its session's, as in the payload of a hook; older versions have none.
    session_variable: Some("CODEX_SESSION_ID"),
    // `codex-linux-sandbox`, the same program by another name; started with the variables of its tools (0.171.0).
    sandbox_command: Some("codex-linux-san"),
    // One that is there was inherited from another session's tool.
    names_session_to_hooks: false,
    changing_fields: &["async"],
    // What it does not know, it ignores.
    harmless_fields: &[
        "statusMessage",
        "additionalContextLimit",
        "commandWindows",
        "timeoutSec",
        "timeout_sec",
        "if",
        "once",
        "shell",
        "onFailure",
    ],
    // The shell tool is called so, whatever the model calls it.
    writing_tools: &[
        WritingTool { name: "apply_patch", says: SaysTargets::Patch },
        WritingTool { name: "Bash", says: SaysTargets::Command },
    ],
    block_cap: None,
    woken_by_hook: |_| false,
    recognises,
    read,
    block,
    most_said: MAX_REASON_BYTES,
};

/// Codex cuts a block's reason at about 10,000 characters and says so in the text; stay well below.
const MAX_REASON_BYTES: usize = 8_000;

/// A server has the sessions of all that are connected to it, as the daemon that a plain `codex` starts.
fn role(process: &ProcessSight<'_>) -> Option<ProcessRole> {
    let is_server = || ["app-server", "mcp-server"].iter().any(|word| process.has_argument(word));
    match process.command {
        "codex" if is_server() => Some(ProcessRole::Shared),
        "codex" => Some(ProcessRole::Session),
        _ => None,
    }
}

/// Its own `.env`. Neither a project's nor `shell_environment_policy`, which is for its tools, reaches hooks (seen with
/// 0.171.0).
pub(super) fn variable_files(place: VariablePlace<'_>) -> Vec<(PathBuf, VariableFormat)> {
    match place {
        VariablePlace::Account(dir) => vec![(dir.join(".env"), VariableFormat::Lines)],
        VariablePlace::Project(_) | VariablePlace::Machine => Vec::new(),
    }
}

/// Its configuration: the person's, a project's that is trusted, and an administrator's, of whom the first file is the one
/// that nobody overrules.
pub(super) fn config_files(place: VariablePlace<'_>) -> Vec<PathBuf> {
    match place {
        VariablePlace::Account(dir) => vec![dir.join("config.toml")],
        VariablePlace::Project(dir) => vec![dir.join(SPEC.directory).join("config.toml")],
        VariablePlace::Machine => MANAGED.map(PathBuf::from).to_vec(),
    }
}

/// The files of an administrator: what all others may not change, and what they may.
pub const MANAGED: [&str; 3] =
    ["/etc/codex/requirements.toml", "/etc/codex/managed_config.toml", "/etc/codex/config.toml"];

/// Whether the payload has marks that only Codex leaves.
fn recognises(wire: &RawPayload) -> bool {
    let rollout = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with("rollout-"));
    wire.has("turn_id") || matches!(wire.text("transcript_path"), Ok(Some(path)) if rollout(path))
}

/// Reads a payload. Codex does not report background tasks.
fn read(wire: &RawPayload) -> Result<Read, PayloadError> {
    wire.event(Harness::Codex, Stop::default())
}

/// A Stop block. Any field besides the two makes Codex drop the whole answer.
fn block(reason: &str) -> Option<String> {
    super::claude::block_object(text::head(reason, MAX_REASON_BYTES))
}

/// The command that takes a session up again; an id is never read as an option.
pub(super) fn resume(id: &str) -> Vec<String> {
    let end_of_options = id.starts_with('-').then_some("--");
    ["codex", "resume"].into_iter().chain(end_of_options).chain([id]).map(str::to_owned).collect()
}
