//! Gathers the facts about a checkout, and checks evidence against it, within one deadline.

mod fingerprint;
mod memo;
mod plans;
mod session;
mod tree;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Instant, SystemTime};

use stopgate_core::checkout::{self, Checkout, object_id};
use stopgate_core::clock::{UnixMillis, to_millis};
use stopgate_core::fsx;
use stopgate_core::session::SessionKey;
use stopgate_core::stop_request::asks_to_stop;
use stopgate_gate::EvidencePointer;
use stopgate_gate::evidence::EvidenceFault;
use stopgate_gate::facts::{Facts, Plan, open_step_texts};
use stopgate_gate::transcript::{TaskStatus, Transcript};

pub(crate) use self::fingerprint::dirty_fingerprint;
use self::memo::Git;
pub(crate) use self::memo::Memo;
use crate::git::Outcome;

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
    pub(crate) key: &'a SessionKey,
    pub(crate) cwd: &'a Path,
    pub(crate) transcript: Option<&'a Path>,
    pub(crate) started_at_ms: UnixMillis,
    pub(crate) head_at_start: Option<&'a str>,
    /// The person's own directory. A checkout of all of it holds settings, and is nobody's project.
    pub(crate) home: Option<&'a Path>,
    /// Paths that are never taken for a plan (`gate.exclude_plans`).
    pub(crate) exclude: &'a [String],
}

/// The facts, as far as they could be gathered before `deadline`. What is said of a checkout is left out without one,
/// and in one that is another than the session began in.
pub(crate) fn gather(memo: &Memo, session: &Session<'_>, deadline: Instant) -> Facts {
    let transcript = session::transcript(session);
    let mut facts = Facts {
        tasks: transcript.tasks.clone(),
        person_asked_to_stop: transcript.last_prompt.as_deref().is_some_and(asks_to_stop),
        last_prompt: transcript.last_prompt.clone(),
        head_at_start: session.head_at_start.and_then(object_id),
        ..Facts::default()
    };
    let checkout = checkout::find(session.cwd).filter(|found| !is_home(found, session.home));
    if let Some(checkout) = checkout {
        let git = memo.git(&checkout, deadline);
        if facts.head_at_start.as_deref().is_none_or(|head| has_commit(&git, head)) {
            look_around(&mut facts, &git, &checkout, session, &transcript);
        }
    }
    facts.fingerprint = fingerprint::of_work(&facts);
    facts.incomplete = Instant::now() >= deadline;
    facts
}

/// The facts about the checkout itself.
fn look_around(facts: &mut Facts, git: &Git<'_>, checkout: &Checkout, session: &Session<'_>, transcript: &Transcript) {
    facts.head = git.head().map(str::to_owned);
    facts.is_stopgate = is_stopgate(git.top);
    facts.live_builds = session::live_builds(checkout, session.key, git.deadline);
    let head = facts.head_at_start.clone();
    let touched = session::touched(checkout, session.cwd, transcript);
    for (path, steps) in plans::open(git, &touched, session.exclude).take(MAX_OPEN_PLANS) {
        if facts.plans.len() == MAX_PLANS {
            break;
        }
        facts.plans.extend(predating(git, path, &steps, session, head.as_deref(), &touched));
    }
    for plan in &mut facts.plans {
        plan.session_commits = commits_since(git, session.started_at_ms, head.as_deref(), Some(&plan.path));
    }
    facts.session_commits = commits_since(git, session.started_at_ms, head.as_deref(), None);
    let (dirty, state) = fingerprint::dirty_files(git);
    facts.dirty_files = dirty;
    facts.fingerprint = state;
}

fn is_home(checkout: &Checkout, home: Option<&Path>) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    home.and_then(identity).is_some_and(|home| identity(&checkout.worktree) == Some(home))
}

fn has_commit(git: &Git<'_>, id: &str) -> bool {
    succeeds(git, &["cat-file", "-e", &format!("{id}^{{commit}}")])
}

/// The plan in `path`, with its first step that was open already when the session began; `None` if there is none: what
/// a session has written down itself is not evidence against it.
fn predating(
    git: &Git<'_>,
    path: String,
    steps: &[String],
    session: &Session<'_>,
    head: Option<&str>,
    touched: &BTreeSet<String>,
) -> Option<Plan> {
    let introduced = introduced_by(git, &path);
    let times = Times::of(&git.top.join(&path));
    let start = session.started_at_ms;
    let untracked = introduced.is_none() && times.born_before(start);
    let next_step = if times.untouched_since(start) {
        steps.first()
    } else if let Some(head) = head {
        match git.ask(&["cat-file", "blob", &format!("{head}:{path}")]) {
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
        touched_by_session: touched.contains(&path),
        path,
        open_steps: steps.len(),
        predates_session: true,
        introduced_by: introduced.map(|(id, _)| id),
        session_commits: Vec::new(),
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
fn introduced_by(git: &Git<'_>, path: &str) -> Option<(String, UnixMillis)> {
    let arguments = ["log", "--max-count=1", "--diff-filter=A", "--format=%H %ct", "HEAD", "--", path];
    parse_commits(&git.ask(&arguments).output()?).next()
}

/// Commits made since the session began, of `path` or of all, newest first.
fn commits_since(
    git: &Git<'_>,
    started_at_ms: UnixMillis,
    head_at_start: Option<&str>,
    path: Option<&str>,
) -> Vec<String> {
    let not_before = head_at_start.map(|head| format!("^{head}"));
    let mut arguments = vec!["log", MAX_COMMITS, "--format=%H %ct", "HEAD"];
    arguments.extend(not_before.as_deref());
    arguments.push("--");
    arguments.extend(path);
    let output = git.ask(&arguments).output().unwrap_or_default();
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

/// The line of stopgate's own `Cargo.toml` that no other project has by chance.
const SOURCE_TREE: &str = r#"source-tree = "1e1b6f0c-5a0e-4b6f-9d6e-0f2f6c1d7a35""#;

/// Whether the checkout is stopgate's own: whoever works on the gate is not held by it.
fn is_stopgate(top: &Path) -> bool {
    fsx::read_beneath(top, Path::new("Cargo.toml"), 64 * 1024)
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == SOURCE_TREE))
}

/// Whether the session's own task list, read again, still has `task` open.
pub(crate) fn has_open_task(session: &Session<'_>, task: &str) -> bool {
    session::transcript(session).tasks.iter().any(|item| item.text == task && item.status != TaskStatus::Completed)
}

/// Checks that the evidence exists: the plan in the working tree with its step still open, the commits in the
/// repository, the session's commit a descendant of the plan's.
pub(crate) fn verify(
    memo: &Memo,
    cwd: &Path,
    evidence: &EvidencePointer,
    deadline: Instant,
) -> Result<(), EvidenceFault> {
    let checkout = checkout::find(cwd).ok_or(EvidenceFault::PlanChanged)?;
    if !plans::open_steps_of(&checkout.worktree, &evidence.plan_file).contains(&evidence.next_step) {
        return Err(EvidenceFault::PlanChanged);
    }
    let git = memo.git(&checkout, deadline);
    for commit in [&evidence.plan_commit_sha, &evidence.incremental_commit_sha].into_iter().flatten() {
        let commit = object_id(commit).ok_or(EvidenceFault::NotAnObjectId)?;
        if !has_commit(&git, &commit) {
            return Err(EvidenceFault::NoSuchCommit);
        }
    }
    match (&evidence.plan_commit_sha, &evidence.incremental_commit_sha) {
        (Some(plan), Some(later)) if !succeeds(&git, &["merge-base", "--is-ancestor", plan, later]) => {
            Err(EvidenceFault::NotDescendant)
        }
        _ => Ok(()),
    }
}

fn succeeds(git: &Git<'_>, arguments: &[&str]) -> bool {
    matches!(git.ask(arguments), Outcome::Success(_))
}

#[cfg(test)]
mod tests;
