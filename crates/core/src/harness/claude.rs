//! Claude Code's dialect (observed with 2.1.329 and 2.1.332).

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::wire::RawPayload;
use super::{
    BlockCap, EventName, Harness, Payload as Read, PayloadError, SaysTargets, Spec, Stop, VariableFormat,
    VariablePlace, WritingTool,
};
use crate::process::{ProcessRole, ProcessSight};

/// Claude Code's row.
pub(super) const SPEC: Spec = Spec {
    name: "claude",
    product: "Claude Code",
    command: "claude",
    tried: &["2.1.197", "2.1.329", "2.1.332"],
    role,
    process_variable: Some("CLAUDE_PID"),
    directory: ".claude",
    directory_variable: "CLAUDE_CONFIG_DIR",
    settings: "settings.json",
    local_settings: Some("settings.local.json"),
    takes_arguments: true,
    shell: "/bin/sh",
    // It has none for a turn that the person interrupts.
    events: &[
        EventName::SessionStart,
        EventName::UserPromptSubmit,
        EventName::PreToolUse,
        EventName::PermissionRequest,
        EventName::Stop,
        EventName::PreCompact,
        EventName::PostCompact,
        EventName::ConfigChange,
        EventName::SessionEnd,
    ],
    // `projects/<name of the directory>/<id>.jsonl`
    transcripts: ("projects", 2),
    // `tasks/<id>/<number>.json`
    tasks: Some("tasks"),
    writer_locks: None,
    session_variable: Some("CLAUDE_CODE_SESSION_ID"),
    // bubblewrap.
    sandbox_command: None,
    names_session_to_hooks: true,
    changing_fields: &["if", "shell", "onFailure", "once", "async", "asyncRewake", "holdsTools", "cloud"],
    harmless_fields: &["statusMessage", "rewakeMessage", "rewakeSummary"],
    writing_tools: &[
        WritingTool { name: "Edit", says: SaysTargets::Path("file_path") },
        WritingTool { name: "Write", says: SaysTargets::Path("file_path") },
        WritingTool { name: "MultiEdit", says: SaysTargets::Path("file_path") },
        WritingTool { name: "NotebookEdit", says: SaysTargets::Path("notebook_path") },
        WritingTool { name: "Bash", says: SaysTargets::Command },
    ],
    block_cap: Some(BlockCap { variable: "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", usual: 8 }),
    woken_by_hook,
    recognises,
    read,
    block,
    most_said: usize::MAX,
};

/// Sessions run in processes called `claude`, in `claude.exe` where npm has installed it, and, below the daemon of
/// background sessions, under the version's number where the native installer has (`.../claude/versions/2.1.332`). That
/// daemon, and what holds a background session's terminal, run none.
fn role(process: &ProcessSight<'_>) -> Option<ProcessRole> {
    let is_version = |name: &str| {
        let place = format!("/claude/versions/{name}");
        name.starts_with(|first: char| first.is_ascii_digit())
            && process.executable().is_some_and(|path| path.ends_with(&place))
    };
    let is_claude = matches!(process.command, "claude" | "claude.exe") || is_version(process.command);
    let runs_none = || process.begins_with(&["daemon", "run"]) || process.begins_with(&["bg-pty-host"]);
    is_claude.then(|| if runs_none() { ProcessRole::Helper } else { ProcessRole::Session })
}

/// `env` of every layer of settings, and of the file in which it keeps what it remembers (seen with 2.1.332: it is applied
/// to hooks within a second, also in the midst of a session). Not read: `settings.local.json` of the person.
pub(super) fn variable_files(place: VariablePlace<'_>) -> Vec<(PathBuf, VariableFormat)> {
    let files = match place {
        VariablePlace::Account(dir) => {
            // The usual directory has that file beside it.
            let beside = dir.parent().filter(|_| dir.file_name().is_some_and(|name| name == SPEC.directory));
            let remembered = [Some(dir), beside].into_iter().flatten().map(|dir| dir.join(".claude.json"));
            [dir.join(SPEC.settings)].into_iter().chain(remembered).collect()
        }
        VariablePlace::Project(dir) => {
            let names = [Some(SPEC.settings), SPEC.local_settings].into_iter().flatten();
            names.map(|name| dir.join(SPEC.directory).join(name)).collect()
        }
        VariablePlace::Machine => managed_settings(Path::new(MANAGED)),
    };
    files.into_iter().map(|file| (file, VariableFormat::Json)).collect()
}

/// The directory of an administrator's settings.
pub const MANAGED: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// The administrator's settings in `dir`: the file, and what is dropped beside it, in the order in which they are read.
pub fn managed_settings(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("managed-settings.d")).into_iter().flatten().filter_map(Result::ok);
    let is_read = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.starts_with('.') && Path::new(name).extension().is_some_and(|end| end == "json")
    };
    let mut dropped: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_read).collect();
    dropped.sort();
    [vec![dir.join("managed-settings.json")], dropped].concat()
}

/// Whether the payload has marks that only Claude Code leaves.
fn recognises(wire: &RawPayload) -> bool {
    wire.has("prompt_id")
        || wire.has("background_tasks")
        || matches!(wire.text("transcript_path"), Ok(Some(path)) if path.contains("/.claude/"))
}

/// Most schedules of a session that are looked at, and the longest one.
const MAX_SCHEDULES: usize = 64;
const MAX_SCHEDULE_BYTES: usize = 128;
/// The same of command lines in the background.
const MAX_SHELLS: usize = 16;
const MAX_SHELL_BYTES: usize = 1024;

/// Whether a background task still runs, as far as it says: one that has ended wakes nobody.
fn runs(task: &Value) -> bool {
    !matches!(task["status"].as_str(), Some("completed" | "failed" | "killed" | "stopped" | "cancelled"))
}

/// Reads a payload: scheduled wake-ups keep a session going as background tasks do.
fn read(wire: &RawPayload) -> Result<Read, PayloadError> {
    let (tasks, crons) = (wire.items("background_tasks")?, wire.items("session_crons")?);
    let schedule = |cron: &Value| {
        let schedule = cron["schedule"].as_str().filter(|text| text.len() <= MAX_SCHEDULE_BYTES)?;
        Some(schedule.to_owned())
    };
    let shell = |task: &Value| {
        let command =
            task["command"].as_str().filter(|text| text.len() <= MAX_SHELL_BYTES && task["type"] == "shell")?;
        Some(command.to_owned())
    };
    let running = || tasks.iter().filter(|task| runs(task));
    let stop = Stop {
        prompt_id: wire.word("prompt_id")?,
        pending_tasks: running().count() + crons.len(),
        teammates: running().filter(|task| task["type"] == "teammate").count(),
        schedules: crons.iter().filter_map(schedule).take(MAX_SCHEDULES).collect(),
        shells: running().filter_map(shell).take(MAX_SHELLS).collect(),
        ..Stop::default()
    };
    wire.event(Harness::Claude, stop)
}

/// Whether a prompt is a notice of a hook (`asyncRewake`). That of a task has the task's id.
fn woken_by_hook(prompt: &str) -> bool {
    prompt.starts_with("<task-notification>") && !prompt.contains("<task-id>")
}

/// A Stop block. Claude Code takes the reason whole and puts "Stop hook feedback:" before it, since 2.1.332 within a
/// reminder that calls what the hook asks for a standing instruction, and what it relays data.
fn block(reason: &str) -> Option<String> {
    block_object(reason)
}

/// The object that both harnesses take: exactly the two documented fields, because Codex rejects any other.
pub(super) fn block_object(reason: &str) -> Option<String> {
    #[derive(Serialize)]
    struct Block<'a> {
        decision: &'a str,
        reason: &'a str,
    }
    serde_json::to_string(&Block { decision: "block", reason }).ok()
}

/// The command that takes a session up again; an id is never read as an option.
pub(super) fn resume(id: &str) -> Vec<String> {
    let words = if id.starts_with('-') { vec![format!("--resume={id}")] } else { vec!["--resume".into(), id.into()] };
    [vec!["claude".to_owned()], words].concat()
}
