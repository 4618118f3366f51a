//! Steps of a plan that are done in another working tree of the repository, or on another branch: a session that worked in
//! a linked working tree has ticked them there.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use stopgate_core::checkout::{Checkout, object_id};
use stopgate_core::clock::UnixMillis;

use super::memo::Asked;
use super::{CLOCK_LAG_MS, Session, Times, plans, steps};
use crate::git::Outcome;

/// Other working trees and other branches that are looked at.
pub(super) const MAX_TREES: usize = 16;
const MAX_BRANCHES: &str = "--count=12";

/// Where else steps may be done.
pub(super) struct Elsewhere {
    /// Tops of other working trees, and whether the session has worked there.
    trees: Vec<(PathBuf, bool)>,
    /// Tips of branches with a commit since the session began, that are not part of what is checked out.
    tips: Vec<String>,
}

impl Elsewhere {
    /// The other working trees, and the branches that moved since the session began. `places` are directories that the
    /// session worked in.
    pub(super) fn of(git: &Asked<'_>, session: &Session<'_>, others: &[Checkout], places: &BTreeSet<PathBuf>) -> Self {
        let worked_in = |top: &Path| {
            places.iter().map(PathBuf::as_path).chain(session.start_cwd).any(|place| place.starts_with(top))
        };
        let trees = others.iter().map(|other| (other.worktree.clone(), worked_in(&other.worktree))).collect();
        // Commits have times, and nothing else tells when they were made.
        let tips = if session.clock_held { tips(git, session.started_at_ms) } else { Vec::new() };
        Self { trees, tips }
    }

    /// Which of the `open` steps of the plan in `path` are done elsewhere: in a working tree that the session worked in,
    /// in one where the plan was written since it began, or on a branch that moved since.
    pub(super) fn done(&self, git: &Asked<'_>, session: &Session<'_>, path: &str, open: &[String]) -> HashSet<String> {
        let open: HashSet<&str> = open.iter().map(String::as_str).collect();
        let mut done = HashSet::new();
        if path.starts_with(plans::HOME) {
            return done;
        }
        let mut take = |text: &str| {
            let Some(there) = steps(path, text, git.deadline) else { return };
            let here = there.into_iter().filter(|step| step.is_done && open.contains(step.text.as_str()));
            done.extend(here.map(|step| step.text));
        };
        for (top, is_own) in &self.trees {
            if Instant::now() >= git.deadline {
                break;
            }
            let since = session.started_at_ms - CLOCK_LAG_MS;
            if (*is_own || (session.clock_held && Times::of(&top.join(path)).written_since(since)))
                && let Ok(text) = plans::read(top, None, path)
            {
                take(&text);
            }
        }
        for tip in &self.tips {
            if let Outcome::Success(text) = git.ask(&["cat-file", "blob", &format!("{tip}:{path}")]) {
                take(&String::from_utf8_lossy(&text));
            }
        }
        done
    }
}

/// Tips of branches with a commit since `start_ms` that are no ancestors of what is checked out, the newest first.
fn tips(git: &Asked<'_>, start_ms: UnixMillis) -> Vec<String> {
    let arguments = [
        "for-each-ref",
        "--sort=-committerdate",
        MAX_BRANCHES,
        "--no-merged=HEAD",
        "--format=%(objectname) %(committerdate:unix)",
        "refs/heads",
        "refs/remotes",
    ];
    // Branches move while HEAD and index stay as they are.
    let output = git.ask_now(&arguments).output().unwrap_or_default();
    let is_since = |seconds: &str| {
        // Commit times have whole seconds.
        seconds.parse::<i64>().is_ok_and(|seconds| seconds.saturating_mul(1_000).saturating_add(999) >= start_ms)
    };
    let mut found: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&output).lines() {
        if let Some((id, seconds)) = line.split_once(' ')
            && let Some(id) = object_id(id).filter(|id| is_since(seconds) && !found.contains(id))
        {
            found.push(id);
        }
    }
    found
}
