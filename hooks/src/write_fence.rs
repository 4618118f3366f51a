//! write-fence: asks the authority, before a tool writes, whether another session is at that.
//!
//! It stands before every write, so each step looks at less than the next: the mode, then `run/held`, which is missing or
//! empty while no two sessions live, then the event, and the links on the way to what would be written. Only where that
//! lies in a tree that concerns another session is anybody asked.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use stopgate_coordination::fence::{self, Around, FenceAnswer, FenceQuestion, FenceVerdict, FileLinks, Intent, mode};
use stopgate_coordination::held::{self, HeldTree};
use stopgate_coordination::lease::LeaseMode;
use stopgate_core::client::ClientError;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Event, EventKind, Reply, SaysTargets, ToolCall, WritingTool};
use stopgate_core::protocol::ROUTE_FENCE;
use stopgate_core::redact::redact;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::{Mode, ModeReading};
use stopgate_core::{fsx, hook, leave, text};

use crate::delivery::Undelivered;
use crate::{HookOutcome, RunningHook, SHADOW_ACKNOWLEDGEMENT};

/// How long the event is waited for; a harness writes it at once.
const EVENT: Duration = Duration::from_millis(100);
/// Longest part of a shell command that is told to the authority: its beginning.
const MAX_SAID_BYTES: usize = 2_048;
/// How often a session is told that leases cannot be checked.
const SAY_AGAIN: Duration = Duration::from_mins(5);
/// What it is told.
const UNCHECKED: &str = "[stopgate] Another session holds a lease on what this call writes, and whether it still does \
                         cannot be checked now: stopgate's authority does not answer. The call goes through.";

/// The hook's `main`.
pub fn write_fence() {
    crate::run(hook::Hook::WriteFence, guard);
}

fn guard(hook: &RunningHook) -> HookOutcome {
    let mode = mode::read(&hook.home);
    if mode == ModeReading::Unreadable {
        return HookOutcome::Failed { problem: "the fence's mode is unreadable", detail: "treated as off".to_owned() };
    }
    let mode = mode::of(mode);
    if mode == Mode::Off {
        return HookOutcome::Nothing;
    }
    let held = match fsx::read_regular(&held::file(&hook.home), held::MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return HookOutcome::Nothing,
        Err(error) => return HookOutcome::Failed { problem: "run/held unreadable", detail: error.to_string() },
    };
    if held.is_empty() {
        return HookOutcome::Nothing;
    }
    let Ok(held) = String::from_utf8(held) else {
        return HookOutcome::Failed { problem: "run/held not understood", detail: "treated as empty".to_owned() };
    };
    let event = match hook.event_within(EVENT) {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    let EventKind::PreToolUse(call) = &event.kind else { return HookOutcome::Nothing };
    let tools = event.key.harness.spec().writing_tools;
    let tool = tools.iter().find(|tool| tool.name == call.tool).filter(|_| call.input.is_object());
    let (Some(tool), Some(cwd)) = (tool, &event.cwd) else { return HookOutcome::Nothing };
    // From here on paths are looked at that anybody may have put on a disk that does not answer.
    leave::however_stalled(hook.end.get());
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from).filter(|home| home.is_absolute());
    let around = Around { cwd, home: home.as_deref(), links: &FileLinks };
    let intent = fence::read(event.key.harness, &call.tool, &call.input, &around);
    let trees = concerned(&held, &intent, cwd, &event.key);
    if trees.is_empty() {
        return HookOutcome::Nothing;
    }
    let question = question(&event, call, tool, intent.clone());
    match ask(hook, mode, &question) {
        Ok(None) => HookOutcome::Answer(event.key.harness, Reply::Allow),
        Ok(Some(answer)) => HookOutcome::Answer(event.key.harness, reply(answer)),
        Err(detail) => {
            let told = mode == Mode::Enforce
                && trees.iter().any(|tree| is_leased(tree, &intent, &event.key))
                && is_to_be_told(hook, &event.key);
            if !told {
                return HookOutcome::Failed { problem: "write not checked", detail };
            }
            hook.failed("write not checked", &detail);
            HookOutcome::Answer(event.key.harness, Reply::Context { text: UNCHECKED.to_owned() })
        }
    }
}

/// The trees that `intent` touches and that concern another session than `own`.
fn concerned(held: &str, intent: &Intent, cwd: &Path, own: &SessionKey) -> Vec<HeldTree> {
    let mut trees: Vec<HeldTree> = Vec::new();
    let mut add = |found: Vec<HeldTree>| {
        for tree in found {
            if tree.concerns_others(own) && !trees.contains(&tree) {
                trees.push(tree);
            }
        }
    };
    for target in &intent.writes {
        add(held::touched(held, &target.path, target.is_subtree));
    }
    for act in intent.acts.iter().chain(&intent.parts) {
        // What is stashed is shared by all working trees of a repository, and which those are is not told here.
        let everywhere = if act.verb.is_about_the_stash() { Path::new("/") } else { &act.directory };
        add(held::touched(held, everywhere, true));
    }
    if intent.is_opaque {
        add(held::touched(held, cwd, false));
    }
    for alias in &intent.aliases {
        add(held::touched(held, &alias.directory, false));
    }
    trees
}

fn question(event: &Event, call: &ToolCall, tool: &WritingTool, intent: Intent) -> FenceQuestion {
    let command = call.input.get("command").and_then(|command| command.as_str());
    let said = command.filter(|_| tool.says == SaysTargets::Command).unwrap_or_default();
    FenceQuestion {
        event_id: new_event_id(&SystemClock),
        session: event.key.clone(),
        agent_id: event.agent_id.clone(),
        at_ms: SystemClock.now_ms(),
        tool: call.tool.clone(),
        intent,
        said: redact(text::head(said, MAX_SAID_BYTES)),
    }
}

/// What the authority answers; `None` where its answer is not waited for.
fn ask(hook: &RunningHook, mode: Mode, question: &FenceQuestion) -> Result<Option<FenceAnswer>, String> {
    let body = serde_json::to_vec(question).map_err(|error| error.to_string())?;
    let deadline = match mode {
        Mode::Enforce => hook.deadline.get(),
        Mode::Off | Mode::Shadow => Instant::now() + env::patiently(SHADOW_ACKNOWLEDGEMENT),
    };
    let socket = hook.home.socket_to_connect().map_err(|_| ClientError::Absent.to_string())?;
    let response = hook.request(&socket, ROUTE_FENCE, &body, deadline).map_err(Undelivered::detail)?;
    if mode != Mode::Enforce {
        return Ok(None);
    }
    let answer = serde_json::from_slice(&response.body);
    answer.map(Some).map_err(|_| format!("the answer is not understood ({} bytes)", response.body.len()))
}

/// Only a text of ours refuses a call, or is shown.
fn reply(FenceAnswer { verdict, text }: FenceAnswer) -> Reply {
    match verdict {
        FenceVerdict::Deny if text.starts_with("[stopgate]") => Reply::Deny { reason: text },
        FenceVerdict::Note if text.starts_with("[stopgate]") => Reply::Context { text },
        _ => Reply::Allow,
    }
}

/// Whether another session than `own` holds what `intent` would change in `tree`.
fn is_leased(tree: &HeldTree, intent: &Intent, own: &SessionKey) -> bool {
    let mut foreign =
        tree.leases.iter().filter(|lease| lease.holder != *own && lease.mode == LeaseMode::Write).peekable();
    if foreign.peek().is_none() {
        return false;
    }
    let is_act = intent.acts.iter().any(|act| act.directory.starts_with(&tree.tree));
    let resources: Vec<_> =
        intent.writes.iter().filter_map(|target| held::resource(&tree.tree, &target.path, target.is_subtree)).collect();
    foreign.any(|lease| is_act || resources.iter().any(|resource| resource.overlaps(&lease.resource)))
}

/// Whether `session` is told now, for it was not lately. Where that cannot be noted nothing is said.
fn is_to_be_told(hook: &RunningHook, session: &SessionKey) -> bool {
    let dir = hook.home.run().join("unchecked");
    let path = dir.join(session.file_name());
    let told = std::fs::symlink_metadata(&path).and_then(|meta| meta.modified());
    let now = SystemTime::now();
    // One in the future was noted before the clock was set.
    let is_lately = |told: SystemTime| now.duration_since(told).is_ok_and(|since| since < SAY_AGAIN);
    if told.is_ok_and(is_lately) || fsx::ensure_private_dir(&dir).is_err() {
        return false;
    }
    let marked = fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &path);
    marked.is_ok_and(|file| file.set_modified(now).is_ok())
}
