//! Gathers the facts about a checkout, and checks evidence against it, within one deadline.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Instant, SystemTime};

use stopgate_core::checkout::{self, Checkout, object_id};
use stopgate_core::clock::{UnixMillis, to_millis};
use stopgate_core::fsx;
use stopgate_core::gate::EvidencePointer;
use stopgate_core::gate::evidence::EvidenceFault;
use stopgate_core::gate::facts::{Facts, Plan, open_steps};

use crate::git::{self, Outcome};

/// Plan-like files that are looked into, the most recently changed first.
const MAX_CANDIDATES: usize = 40;
/// Plans with an open step that are passed on.
const MAX_PLANS: usize = 3;
/// Largest plan that is read.
const MAX_PLAN_BYTES: u64 = 512 * 1024;
/// Commits of a session that are looked at.
const MAX_COMMITS: &str = "--max-count=50";

/// What is known of the session whose checkout is looked at.
pub(crate) struct Session<'a> {
    pub(crate) cwd: &'a Path,
    pub(crate) started_at_ms: UnixMillis,
    pub(crate) head_at_start: Option<&'a str>,
}

/// The facts, as far as they could be gathered before `deadline`; without a checkout there are none.
pub(crate) fn gather(session: &Session<'_>, deadline: Instant) -> Facts {
    let Some(checkout) = checkout::find(session.cwd) else {
        return Facts::default();
    };
    let top = &checkout.worktree;
    let candidates = candidates(top, deadline);
    let mut plans: Vec<Plan> = candidates.into_iter().filter_map(|path| open_plan(top, path)).take(MAX_PLANS).collect();
    if plans.is_empty() {
        return Facts { is_stopgate: is_stopgate(top), ..Facts::default() };
    }
    let head_at_start = session.head_at_start.and_then(object_id);
    let at_start = head_at_start.as_deref().map(|head| tracked_at(top, head, &plans, deadline)).unwrap_or_default();
    for plan in &mut plans {
        let introduced = introduced_by(top, &plan.path, deadline);
        let by_commit = introduced.as_ref().is_some_and(|(_, at_ms)| *at_ms < session.started_at_ms);
        let untracked = introduced.is_none() && born_before(&top.join(&plan.path), session.started_at_ms);
        plan.predates_session = at_start.contains(&plan.path) || by_commit || untracked;
        plan.introduced_by = introduced.map(|(id, _)| id);
        plan.session_commits =
            commits_since(top, session.started_at_ms, head_at_start.as_deref(), Some(&plan.path), deadline);
    }
    Facts {
        plans,
        session_commits: commits_since(top, session.started_at_ms, head_at_start.as_deref(), None, deadline),
        is_stopgate: is_stopgate(top),
    }
}

/// Plan-like files of the working tree, tracked or not (but not ignored), the most recently changed first.
fn candidates(top: &Path, deadline: Instant) -> Vec<String> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let Some(output) = git::run(top, &listing, deadline).output() else {
        return Vec::new();
    };
    let mut found: Vec<(SystemTime, String)> = output
        .split(|byte| *byte == 0)
        .filter_map(|path| std::str::from_utf8(path).ok())
        .filter(|path| is_plan_like(path))
        .filter_map(|path| {
            let changed = std::fs::symlink_metadata(top.join(path)).ok()?.modified().ok()?;
            Some((changed, path.to_owned()))
        })
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    found.dedup_by(|left, right| left.1 == right.1);
    found.truncate(MAX_CANDIDATES);
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whether a path reads like a plan: a text file with a planning word in its name, or in a planning directory.
/// Words are compared whole: `background.md` holds no "round", `planet.md` no "plan".
fn is_plan_like(path: &str) -> bool {
    const NAMES: [&str; 15] = [
        "plan",
        "plans",
        "todo",
        "todos",
        "task",
        "tasks",
        "spec",
        "specs",
        "roadmap",
        "checklist",
        "handoff",
        "progress",
        "milestones",
        "backlog",
        "steps",
    ];
    const DIRECTORIES: [&str; 8] = ["plan", "plans", "spec", "specs", "task", "tasks", "todo", "roadmap"];
    let lower = path.to_ascii_lowercase();
    let (directory, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    if !matches!(extension, "md" | "markdown" | "mdx" | "txt") {
        return false;
    }
    let words =
        |text: &str, known: &[&str]| text.split(|c: char| !c.is_alphanumeric()).any(|word| known.contains(&word));
    words(stem, &NAMES) || directory.split('/').any(|part| words(part, &DIRECTORIES))
}

/// The plan in `path`, if it has an open step.
fn open_plan(top: &Path, path: String) -> Option<Plan> {
    let text = fsx::read_regular_text(&top.join(&path), MAX_PLAN_BYTES).ok()?;
    let (next_step, open) = open_steps(&text)?;
    Some(Plan { path, next_step, open_steps: open, ..Plan::default() })
}

/// Which of `plans` were in the commit that was checked out when the session began.
fn tracked_at(top: &Path, head: &str, plans: &[Plan], deadline: Instant) -> BTreeSet<String> {
    let mut arguments = vec!["ls-tree", "-z", "--name-only", "--full-tree", head, "--"];
    arguments.extend(plans.iter().map(|plan| plan.path.as_str()));
    let output = git::run(top, &arguments, deadline).output().unwrap_or_default();
    output.split(|byte| *byte == 0).filter_map(|path| Some(std::str::from_utf8(path).ok()?.to_owned())).collect()
}

/// The commit that brought `path` in, and when.
fn introduced_by(top: &Path, path: &str, deadline: Instant) -> Option<(String, UnixMillis)> {
    let arguments = ["log", "--max-count=1", "--diff-filter=A", "--format=%H %ct", "HEAD", "--", path];
    parse_commits(&git::run(top, &arguments, deadline).output()?).next()
}

/// Commits made since the session began, of `path` or of all, newest first.
fn commits_since(
    top: &Path,
    started_at_ms: UnixMillis,
    head_at_start: Option<&str>,
    path: Option<&str>,
    deadline: Instant,
) -> Vec<String> {
    let not_before = head_at_start.map(|head| format!("^{head}"));
    let mut arguments = vec!["log", MAX_COMMITS, "--format=%H %ct", "HEAD"];
    arguments.extend(not_before.as_deref());
    arguments.push("--");
    arguments.extend(path);
    let output = git::run(top, &arguments, deadline).output().unwrap_or_default();
    // Commit times have whole seconds: the second in which the session began counts as after it only when the
    // commit is known not to be an ancestor of where the session began.
    let earliest = if head_at_start.is_some() { started_at_ms - 999 } else { started_at_ms };
    parse_commits(&output).filter(|(_, at_ms)| *at_ms >= earliest).map(|(id, _)| id).collect()
}

fn parse_commits(output: &[u8]) -> impl Iterator<Item = (String, UnixMillis)> {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| {
            let (id, seconds) = line.split_once(' ')?;
            Some((object_id(id)?, seconds.parse::<i64>().ok()?.saturating_mul(1000)))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether an untracked file was made before `at_ms`; a file system that keeps no birth times says no.
fn born_before(path: &Path, at_ms: UnixMillis) -> bool {
    let born = std::fs::symlink_metadata(path).and_then(|meta| meta.created());
    born.is_ok_and(|born| to_millis(born) < at_ms)
}

/// Whether the checkout is stopgate's own: whoever works on the gate is not held by it.
fn is_stopgate(top: &Path) -> bool {
    fsx::read_regular_text(&top.join("core/Cargo.toml"), 64 * 1024)
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "name = \"stopgate-core\""))
}

/// Checks that the evidence exists: the plan in the working tree with its step still open, the commits in the
/// repository, the session's commit a descendant of the plan's.
pub(crate) fn verify(cwd: &Path, evidence: &EvidencePointer, deadline: Instant) -> Result<(), EvidenceFault> {
    let checkout = checkout::find(cwd).ok_or(EvidenceFault::PlanChanged)?;
    let plan = inside(&checkout, &evidence.plan_file).ok_or(EvidenceFault::PlanChanged)?;
    if open_plan(&checkout.worktree, plan).is_none_or(|plan| plan.next_step != evidence.next_step) {
        return Err(EvidenceFault::PlanChanged);
    }
    let top = &checkout.worktree;
    for commit in [&evidence.plan_commit_sha, &evidence.incremental_commit_sha].into_iter().flatten() {
        let commit = object_id(commit).ok_or(EvidenceFault::NotAnObjectId)?;
        if !succeeds(top, &["cat-file", "-e", &format!("{commit}^{{commit}}")], deadline) {
            return Err(EvidenceFault::NoSuchCommit);
        }
    }
    match (&evidence.plan_commit_sha, &evidence.incremental_commit_sha) {
        (Some(plan), Some(later)) if !succeeds(top, &["merge-base", "--is-ancestor", plan, later], deadline) => {
            Err(EvidenceFault::NotDescendant)
        }
        _ => Ok(()),
    }
}

/// `path` if it really lies in the working tree, whatever links an agent may have planted on the way.
fn inside(checkout: &Checkout, path: &str) -> Option<String> {
    let top = std::fs::canonicalize(&checkout.worktree).ok()?;
    let file = std::fs::canonicalize(checkout.worktree.join(path)).ok()?;
    (file.strip_prefix(&top).ok()? == Path::new(OsStr::from_bytes(path.as_bytes()))).then(|| path.to_owned())
}

fn succeeds(top: &Path, arguments: &[&str], deadline: Instant) -> bool {
    matches!(git::run(top, arguments, deadline), Outcome::Success(_))
}

/// A hash of the uncommitted changes; `None` if git did not answer in time.
pub(crate) fn dirty_fingerprint(cwd: &Path, deadline: Instant) -> Option<String> {
    let checkout = checkout::find(cwd)?;
    let output = git::run(&checkout.worktree, &["status", "--porcelain=v2", "-z"], deadline).output()?;
    Some(format!("{:016x}", crate::instance::fnv1a(&output)))
}

#[cfg(test)]
mod tests;
