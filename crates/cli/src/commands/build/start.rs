//! `stopgate build start`

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_build_guard::reason::{self, PROGRAM};
use stopgate_build_guard::state::{BuildState, Size};
use stopgate_build_guard::store::{self, AuditLine, BuildAuditEvent};
use stopgate_core::checkout::Checkout;
use stopgate_core::clock::SystemClock;
use stopgate_core::env::ProcessEnv;
use stopgate_core::event_id::new_event_id;
use stopgate_core::redact::redact;
use stopgate_protocol::{ErrorCode, Failure};

use crate::builds::{self, Builds, ignored_dir};
use crate::context::CliContext;
use crate::identity::{self, OwnerFlags};
use crate::{ExitStatus, printer};

/// Names that are tried before there is said to be none.
const MAX_TRIES: usize = 100;
/// Longest part of the task in an id.
const MAX_SLUG_BYTES: usize = 30;
/// Longest task.
const MAX_TASK_BYTES: usize = 2_000;

#[derive(Args)]
pub(super) struct Arguments {
    /// What is to be built
    task: String,
    /// How strongly it is protected: the owner is sent back 3, 5 or 10 times at most
    #[arg(long, default_value = "standard")]
    size: WantedSize,
    #[command(flatten)]
    owner: OwnerFlags,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum WantedSize {
    /// An hour's work
    Small,
    /// The usual
    Standard,
    /// Work of days
    Large,
}

impl From<WantedSize> for Size {
    fn from(wanted: WantedSize) -> Self {
        match wanted {
            WantedSize::Small => Self::Small,
            WantedSize::Standard => Self::Standard,
            WantedSize::Large => Self::Large,
        }
    }
}

pub(super) fn run(context: &CliContext, builds: &Builds, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let task = redact(arguments.task.trim());
    if task.is_empty() || task.len() > MAX_TASK_BYTES {
        let message = format!("<task>: has to say what is to be built, in at most {MAX_TASK_BYTES} bytes");
        bail!(Failure::new(ErrorCode::Usage, message));
    }
    let own = identity::own_session(&ProcessEnv, context);
    if arguments.owner.names_another(own.as_ref()) {
        context.operators_only("build start --owner-...")?;
    }
    let stamp = identity::stamp(&ProcessEnv, context, &arguments.owner, context.now_ms)?;
    let owner = stamp.names_somebody().then_some(stamp);
    if owner.is_none() && identity::is_in_agent(&ProcessEnv) {
        if CliContext::sees_too_little() {
            bail!(
                "cannot tell which session this is, and a build without an owner holds nobody: in this sandbox the session's \
                 process is not to be seen, and a variable is no proof. Ask for the permission to run this outside of the \
                 sandbox, or let the person start it there, with --owner-session <id> (`stopgate sessions` lists them)"
            );
        }
        bail!(
            "cannot tell which session this is, and a build without an owner holds nobody: let the person start it, with \
             --owner-session <id> (`stopgate sessions` lists them)"
        );
    }
    let _lock = builds.prepare()?;
    if let Some(owner) = &owner {
        refuse_second(builds, owner, None)?;
    }
    // Four digits are few for a name that comes again and again.
    let id = std::iter::repeat_with(|| id(&task)).take(MAX_TRIES).find(|id| !builds.is_taken(id));
    let id = id.with_context(|| format!("{}: no name is left for this task", builds.root().display()))?;
    let state = BuildState::started(id, task, arguments.size.into(), owner, context.now_ms);
    let dir = builds.new_directory(&state.id)?;
    // Before anything is written: another command tidies up where nobody is at work.
    let _own = builds::lock(&dir)?;
    let shown = || dir.display().to_string();
    store::write(&dir, &state).with_context(shown)?;
    let detail = Some(identity::starter(own.as_ref()));
    let line = AuditLine { at_ms: context.now_ms, event: BuildAuditEvent::BuildStarted, from: None, detail, state };
    store::append_audit(&dir, &line).with_context(shown)?;
    let state = line.state;
    let Checkout { main, worktree, .. } = &builds.checkout;
    link_program(main);
    if worktree != main && ignored_dir(&worktree.join(".stopgate")).is_ok() {
        link_program(worktree);
    }
    if arguments.json {
        printer::json(&state)?;
    } else {
        print(&state, &reason::call(worktree, running_program().as_deref()));
    }
    Ok(ExitStatus::Success)
}

/// An owner has one build at a time.
pub(super) fn refuse_second(builds: &Builds, owner: &OwnerStamp, except: Option<&str>) -> anyhow::Result<()> {
    let others = builds.live().into_iter().filter(|build| Some(build.state.id.as_str()) != except);
    for build in others {
        if build.state.owner.as_ref().is_some_and(|other| identity::is_same_owner(other, owner)) {
            let BuildState { id, phase, task, .. } = &build.state;
            bail!(
                "this owner has a live build already: {id} ({}), {task:?}; end it first with `stopgate build complete`, \
                 `fail` or `escalate`",
                phase.name()
            );
        }
    }
    Ok(())
}

/// A name that people recognise and that hardly another build has.
fn id(task: &str) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() { symbol.to_ascii_lowercase() } else { ' ' };
    let words: String = task.chars().map(plain).collect();
    let mut slug = String::new();
    for word in words.split_whitespace() {
        if slug.len() + word.len() >= MAX_SLUG_BYTES {
            break;
        }
        slug.push_str(word);
        slug.push('-');
    }
    if slug.is_empty() {
        slug.push_str("build-");
    }
    let unique = new_event_id(&SystemClock);
    format!("{slug}{}", &unique[unique.len() - 4..])
}

/// Lets agents call the program by a path inside the working tree `top`. Without it they need it in their search path.
pub(super) fn link_program(top: &Path) {
    let link = top.join(PROGRAM);
    let Some(program) = running_program() else { return };
    if std::fs::read_link(&link).is_ok_and(|target| target == program) {
        return;
    }
    // Only a link is replaced: anything else is not ours.
    if std::fs::symlink_metadata(&link).is_ok_and(|meta| meta.is_symlink()) {
        let _ = std::fs::remove_file(&link);
    }
    if let Err(error) = symlink(&program, &link) {
        printer::note(format!("note: {}: {error}; agents are told the program's own path", link.display()));
    }
}

fn running_program() -> Option<PathBuf> {
    std::env::current_exe().and_then(|exe| exe.canonicalize()).ok()
}

/// `program` is how an agent calls it.
fn print(state: &BuildState, program: &str) {
    let BuildState { id, size, .. } = state;
    printer::line(format!("build {id} started, phase {}", state.phase.name()));
    printer::line(format!(
        "protection {}: the owner is sent back {} times at most before it may stop",
        size.protection(),
        size.reminders()
    ));
    match &state.owner {
        Some(owner) => printer::line(format!("owner: {}", owner.describe())),
        None => printer::note(
            "warning: no owner, so nobody is held. Run this inside the agent's session, or name the owner with \
             --owner-session or --owner-tmux",
        ),
    }
    printer::line("next:");
    for command in ["to planning", "to executing", "step 1 \"what was done\" --tests 3 --passing 3", "complete"] {
        printer::line(format!("  {program} build {command} --build {id}"));
    }
    printer::line(format!("or give it up: {program} build fail --build {id} --reason \"...\" (or escalate)"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builds::is_build_id;

    #[test]
    fn every_task_makes_a_safe_id() {
        for task in ["Fix the parser, please!", "\u{dc}bung", "../../etc", &"long ".repeat(50), "x".repeat(99).as_str()]
        {
            let id = id(task);
            assert!(is_build_id(&id) && id.len() <= 40, "{id}");
        }
        assert!(id("Fix the parser").starts_with("fix-the-parser-"));
    }
}
