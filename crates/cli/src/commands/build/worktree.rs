//! `stopgate build worktree`: a git worktree of the build's own.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use stopgate_build_guard::state::{BuildState, Worktree};
use stopgate_build_guard::store::BuildAuditEvent;
use stopgate_core::env;
use stopgate_core::subprocess::{self, Outcome};

use super::start::link_program;
use super::{Common, say};
use crate::builds::{Build, BuildChange, Builds, ignored_dir};
use crate::context::CliContext;
use crate::{ExitStatus, printer};

/// Longest time of one git command: a checkout of a large repository takes its time.
const GIT_PATIENCE: Duration = Duration::from_mins(10);

/// Where they are in the checkout.
const WORKTREES: &str = ".stopgate/worktrees";

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make a worktree on a branch of its own, from the branch that is checked out
    Create(CreateArguments),
    /// Merge the worktree's branch into the branch it was made from
    Merge(MergeArguments),
    /// Remove the worktree, and its branch if that is merged
    Cleanup(CleanupArguments),
}

#[derive(Args)]
pub(super) struct CreateArguments {
    /// Its branch; by default `build/<id>`
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct MergeArguments {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct CleanupArguments {
    /// Discard uncommitted work
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(context: &CliContext, builds: &Builds, command: &Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Create(arguments) => create(context, builds, arguments),
        Command::Merge(arguments) => merge(context, builds, arguments),
        Command::Cleanup(arguments) => cleanup(context, builds, arguments),
    }
}

/// Runs git as a person would, with its hooks and settings, in the checkout that `dir` lies in; what it says on standard error gets through.
fn git(dir: &Path, arguments: &[&str]) -> Outcome {
    let mut process = Process::new("git");
    process.args(["--no-pager"]).args(arguments).current_dir(dir).env("GIT_TERMINAL_PROMPT", "0");
    for local in env::GIT_LOCAL {
        process.env_remove(local);
    }
    process.stderr(Stdio::inherit());
    printer::with_progress(&format!("git {}", arguments[0]), || subprocess::run(process, Instant::now() + GIT_PATIENCE))
}

fn ask(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = git(dir, arguments).output().with_context(|| format!("git {} failed", arguments.join(" ")))?;
    Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
}

fn tell(dir: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    ask(dir, arguments).map(|_| ())
}

/// The branch that is checked out in `dir`.
fn current_branch(dir: &Path) -> anyhow::Result<String> {
    ask(dir, &["symbolic-ref", "--quiet", "--short", "HEAD"])
        .ok()
        .with_context(|| format!("{}: no branch is checked out", dir.display()))
}

fn uncommitted(dir: &Path) -> anyhow::Result<bool> {
    Ok(!ask(dir, &["status", "--porcelain"])?.is_empty())
}

/// Whether a merge has begun in `dir` and is not finished.
fn is_merging(dir: &Path) -> bool {
    git(dir, &["rev-parse", "--quiet", "--verify", "MERGE_HEAD"]).output().is_some()
}

fn worktree<'a>(builds: &Builds, state: &'a BuildState) -> anyhow::Result<(&'a Worktree, PathBuf)> {
    let id = &state.id;
    let tree = state.worktree.as_ref().with_context(|| {
        format!("build {id} has no worktree; `stopgate build worktree create --build {id}` makes one")
    })?;
    let name = tree.path.strip_prefix(WORKTREES).and_then(|rest| rest.strip_prefix('/'));
    let is_below = name.is_some_and(|name| !name.is_empty() && !name.contains('/') && name != "." && name != "..");
    if !is_below {
        bail!("build {id}: its worktree {:?} is not in {WORKTREES}; mend its state.json", tree.path);
    }
    own_worktrees(&builds.checkout.main)?;
    Ok((tree, builds.checkout.main.join(&tree.path)))
}

/// Refuses a directory of worktrees that was planted: git would work where it leads.
fn own_worktrees(main: &Path) -> anyhow::Result<()> {
    let dir = main.join(WORKTREES);
    if std::fs::symlink_metadata(&dir).is_ok_and(|meta| !meta.is_dir()) {
        bail!("{}: not a directory of its own; worktrees are not kept behind a link. Move it away", dir.display());
    }
    Ok(())
}

/// Also a build that has ended: merging and cleaning up come last.
fn choose(context: &CliContext, builds: &Builds, common: &Common) -> anyhow::Result<Build> {
    match &common.build {
        Some(id) => builds.by_id(id),
        None => common.choose(context, builds),
    }
}

fn create(context: &CliContext, builds: &Builds, arguments: &CreateArguments) -> anyhow::Result<ExitStatus> {
    let build = arguments.common.choose(context, builds)?;
    if let Some(tree) = &build.state.worktree {
        bail!("build {} has a worktree already: {}", build.state.id, tree.path);
    }
    let main = &builds.checkout.main;
    let branch = arguments.branch.clone().unwrap_or_else(|| format!("build/{}", build.state.id));
    if git(main, &["check-ref-format", "--branch", &branch]).output().is_none() {
        bail!("--branch {branch:?}: not a name for a branch");
    }
    let source_branch = current_branch(main)?;
    let path = format!("{WORKTREES}/{}", branch.replace('/', "-"));
    let reference = format!("refs/heads/{branch}");
    let exists = matches!(git(main, &["show-ref", "--verify", "--quiet", &reference]), Outcome::Success(_));
    let _lock = builds.prepare()?;
    own_worktrees(main)?;
    let top = main.join(&path);
    if top.join(".git").exists() && current_branch(&top).is_ok_and(|current| current == branch) {
        // Made by a command that was interrupted before it could say so.
    } else if exists {
        tell(main, &["worktree", "add", "--quiet", "--", &path, &branch])?;
    } else {
        tell(main, &["worktree", "add", "--quiet", "-b", &branch, "--", &path, "HEAD"])?;
    }
    if ignored_dir(&top.join(".stopgate")).is_ok() {
        link_program(&top);
    }
    let tree = Worktree { path: path.clone(), branch: branch.clone(), source_branch, merged: false };
    let state = builds.update(&build, context.now_ms, |state| {
        state.worktree = Some(tree);
        Ok(BuildChange::saying(BuildAuditEvent::WorktreeCreated, format!("{path}, branch {branch}")))
    })?;
    say(arguments.common.json, &state, &format!("worktree {path} on branch {branch}"))
}

fn merge(context: &CliContext, builds: &Builds, arguments: &MergeArguments) -> anyhow::Result<ExitStatus> {
    let build = choose(context, builds, &arguments.common)?;
    let (tree, path) = worktree(builds, &build.state)?;
    let main = &builds.checkout.main;
    let current = current_branch(main)?;
    if current != tree.source_branch {
        bail!(
            "{}: branch {current} is checked out, and {} was made from {}; check that out first",
            main.display(),
            tree.branch,
            tree.source_branch
        );
    }
    if path.exists() && uncommitted(&path)? {
        bail!("{}: holds uncommitted work, which a merge would leave behind; commit it first", tree.path);
    }
    if is_merging(main) {
        bail!("{}: a merge is going on; finish it first", main.display());
    }
    if git(main, &["merge", "--no-ff", "--no-edit", &tree.branch]).output().is_none() {
        if !is_merging(main) {
            bail!("git does not begin to merge {} into {current}: see what it says above", tree.branch);
        }
        let aborted = git(main, &["merge", "--abort"]).output().is_some();
        let after = if aborted { "the checkout is as it was before" } else { "look at `git status`" };
        bail!(
            "{} does not merge into {current}; {after}. Merge {current} into the worktree, mend it there, try again",
            tree.branch
        );
    }
    let (branch, text) = (tree.branch.clone(), format!("branch {} is merged into {current}", tree.branch));
    let state = builds.update(&build, context.now_ms, |state| {
        if let Some(tree) = &mut state.worktree {
            tree.merged = true;
        }
        Ok(BuildChange::saying(BuildAuditEvent::WorktreeMerged, format!("{branch} into {current}")))
    })?;
    say(arguments.common.json, &state, &text)
}

fn cleanup(context: &CliContext, builds: &Builds, arguments: &CleanupArguments) -> anyhow::Result<ExitStatus> {
    let build = choose(context, builds, &arguments.common)?;
    let (tree, path) = worktree(builds, &build.state)?;
    let main = &builds.checkout.main;
    if path.exists() {
        if !arguments.force && uncommitted(&path)? {
            bail!("{}: holds uncommitted work; commit it, or discard it with --force", tree.path);
        }
        let shown = path.to_str().context("the path of the worktree is not UTF-8")?;
        let mut removal = vec!["worktree", "remove"];
        removal.extend(arguments.force.then_some("--force"));
        removal.extend(["--", shown]);
        tell(main, &removal)?;
    } else {
        tell(main, &["worktree", "prune"])?;
    }
    // Without force, git keeps a branch that is not merged.
    let gone = matches!(git(main, &["branch", "--quiet", "--delete", "--", &tree.branch]), Outcome::Success(_));
    let kept = if gone { "and its branch are" } else { "is" };
    let text = format!("worktree {} {kept} removed", tree.path);
    let note = if gone { String::new() } else { format!("; branch {} is not merged and stays", tree.branch) };
    let state = builds.update(&build, context.now_ms, |state| {
        state.worktree = None;
        Ok(BuildChange::saying(BuildAuditEvent::WorktreeRemoved, text.clone()))
    })?;
    say(arguments.common.json, &state, &format!("{text}{note}"))
}
