//! Gathers the facts about a checkout, and checks evidence against it, within one deadline.

mod fingerprint;
mod plans;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Instant, SystemTime};

use stopgate_core::checkout::{self, Checkout, object_id};
use stopgate_core::clock::{UnixMillis, to_millis};
use stopgate_core::fsx;
use stopgate_core::gate::EvidencePointer;
use stopgate_core::gate::evidence::EvidenceFault;
use stopgate_core::gate::facts::{Facts, Plan, open_step_texts};

pub(crate) use self::fingerprint::dirty_fingerprint;
use crate::git::{self, Outcome};

/// Plans that are passed on.
const MAX_PLANS: usize = 3;
/// Plans with an open step that are looked at for that.
const MAX_OPEN_PLANS: usize = 10;
/// File systems keep time by a clock that lags behind: what was written just before the session is compared with git.
const CLOCK_LAG_MS: UnixMillis = 100;
/// Commits of a session that are looked at.
const MAX_COMMITS: &str = "--max-count=50";

/// What is known of the session whose checkout is looked at.
pub(crate) struct Session<'a> {
    pub(crate) cwd: &'a Path,
    pub(crate) started_at_ms: UnixMillis,
    pub(crate) head_at_start: Option<&'a str>,
    /// The person's own directory. A checkout of all of it holds settings, and is nobody's project.
    pub(crate) home: Option<&'a Path>,
}

/// The facts, as far as they could be gathered before `deadline`; without a checkout there are none, nor in one that
/// is another than the session began in.
pub(crate) fn gather(session: &Session<'_>, deadline: Instant) -> Facts {
    let Some(checkout) = checkout::find(session.cwd).filter(|found| !is_home(found, session.home)) else {
        return Facts::default();
    };
    let top = &checkout.worktree;
    let head = session.head_at_start.and_then(object_id);
    if head.as_deref().is_some_and(|head| !has_commit(top, head, deadline)) {
        return Facts::default();
    }
    let mut plans = Vec::new();
    for (path, steps) in plans::open(top, deadline).take(MAX_OPEN_PLANS) {
        if plans.len() == MAX_PLANS {
            break;
        }
        plans.extend(predating(top, path, &steps, session, head.as_deref(), deadline));
    }
    if plans.is_empty() {
        return Facts { is_stopgate: is_stopgate(top), ..Facts::default() };
    }
    for plan in &mut plans {
        plan.session_commits = commits_since(top, session.started_at_ms, head.as_deref(), Some(&plan.path), deadline);
    }
    let session_commits = commits_since(top, session.started_at_ms, head.as_deref(), None, deadline);
    Facts { plans, session_commits, is_stopgate: is_stopgate(top), ..Facts::default() }
}

fn is_home(checkout: &Checkout, home: Option<&Path>) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    home.and_then(real).is_some_and(|home| real(&checkout.worktree) == Some(home))
}

fn has_commit(top: &Path, id: &str, deadline: Instant) -> bool {
    succeeds(top, &["cat-file", "-e", &format!("{id}^{{commit}}")], deadline)
}

/// The plan in `path`, with its first step that was open already when the session began; `None` if there is none: what
/// a session has written down itself is not evidence against it.
fn predating(
    top: &Path,
    path: String,
    steps: &[String],
    session: &Session<'_>,
    head: Option<&str>,
    deadline: Instant,
) -> Option<Plan> {
    let introduced = introduced_by(top, &path, deadline);
    let times = Times::of(&top.join(&path));
    let start = session.started_at_ms;
    let untracked = introduced.is_none() && times.born_before(start);
    let next_step = if times.untouched_since(start) {
        steps.first()
    } else if let Some(head) = head {
        match git::run(top, &["cat-file", "blob", &format!("{head}:{path}")], deadline) {
            Outcome::Success(then) => {
                let then = open_step_texts(&String::from_utf8_lossy(&then));
                steps.iter().find(|step| then.contains(step))
            }
            Outcome::Failure => steps.first().filter(|_| untracked),
            Outcome::NoAnswer => None,
        }
    } else {
        let by_commit = introduced.as_ref().is_some_and(|(_, at_ms)| *at_ms < start);
        steps.first().filter(|_| by_commit || untracked)
    };
    Some(Plan {
        next_step: next_step?.clone(),
        path,
        open_steps: steps.len(),
        predates_session: true,
        introduced_by: introduced.map(|(id, _)| id),
        session_commits: Vec::new(),
        touched_by_session: !times.untouched_since(start),
    })
}

/// When a file was made and last written; a file system that does not tell says "now".
struct Times {
    born: Option<UnixMillis>,
    written: Option<UnixMillis>,
}

impl Times {
    fn of(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path);
        let at = |time: fn(&std::fs::Metadata) -> std::io::Result<SystemTime>| {
            meta.as_ref().ok().and_then(|meta| time(meta).ok()).map(to_millis)
        };
        Self { born: at(std::fs::Metadata::created), written: at(std::fs::Metadata::modified) }
    }

    fn born_before(&self, at_ms: UnixMillis) -> bool {
        self.born.is_some_and(|born| born < at_ms)
    }

    fn untouched_since(&self, at_ms: UnixMillis) -> bool {
        self.born_before(at_ms) && self.written.is_some_and(|written| written < at_ms - CLOCK_LAG_MS)
    }
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
    if !plans::open_steps_of(&checkout.worktree, &plan).contains(&evidence.next_step) {
        return Err(EvidenceFault::PlanChanged);
    }
    let top = &checkout.worktree;
    for commit in [&evidence.plan_commit_sha, &evidence.incremental_commit_sha].into_iter().flatten() {
        let commit = object_id(commit).ok_or(EvidenceFault::NotAnObjectId)?;
        if !has_commit(top, &commit, deadline) {
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

#[cfg(test)]
mod tests;
