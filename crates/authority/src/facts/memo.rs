//! What git said about a checkout, remembered for as long as HEAD and index stay as they are.
//!
//! Only answers that follow from HEAD, the index and the objects are kept; what lies in the working tree is looked at
//! each time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use stopgate_core::checkout::{Checkout, object_id};
use stopgate_core::clock::UnixMillis;
use stopgate_gate::facts::GitTrouble;
use stopgate_protocol::GateLogRow;

use super::tree::Tree;
use super::untracked::Untracked;
use crate::git::{Git, Outcome, Unlisted};

/// Checkouts that are remembered; the one unused for longest goes first.
const MAX_CHECKOUTS: usize = 32;
/// Answers that are kept of one checkout, and the longest of them.
const MAX_ANSWERS: usize = 256;
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Checkouts that are remembered because git could not be asked about them.
const MAX_TROUBLES: usize = 16;
/// Stops in a row that ran out of time before a checkout is called slow; one may be another's burst of work.
const SLOW_IN_A_ROW: u32 = 3;

/// What is remembered of all checkouts.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    checkouts: Mutex<HashMap<PathBuf, KnownCheckout>>,
    troubles: Mutex<BTreeMap<PathBuf, (UnixMillis, GitTrouble)>>,
    /// How many stops in a row ran out of time, in each checkout.
    slow: Mutex<HashMap<PathBuf, u32>>,
}

#[derive(Debug)]
struct KnownCheckout {
    key: Key,
    answers: HashMap<Vec<String>, Vec<u8>>,
    tree: Option<Arc<Tree>>,
    untracked: Option<Arc<Untracked>>,
    used: Instant,
}

/// HEAD, and device, inode, size and change time of the index.
type Key = (Option<String>, Option<(u64, u64, u64, i64, i64)>);

/// git in one checkout, until a deadline.
pub(crate) struct Asked<'a> {
    pub(super) top: &'a Path,
    pub(super) deadline: Instant,
    git: &'a Git,
    memo: &'a Memo,
    key: Key,
    /// Listed once, also where it is too large to be remembered.
    tree: OnceLock<Result<Arc<Tree>, Unlisted>>,
}

impl Memo {
    /// `git` in `checkout`.
    pub(crate) fn ask<'a>(&'a self, git: &'a Git, checkout: &'a Checkout, deadline: Instant) -> Asked<'a> {
        let index = std::fs::metadata(checkout.index()).ok();
        let stamp = index.map(|meta| (meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()));
        let top = &*checkout.worktree;
        let key = (checkout.head().or_else(|| head(git, top, deadline)), stamp);
        Asked { top, deadline, git, memo: self, key, tree: OnceLock::new() }
    }

    /// Remembers that git cannot be asked about the checkout at `top`, or that it can.
    pub(super) fn note(&self, top: &Path, trouble: Option<GitTrouble>, now_ms: UnixMillis) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            None => drop(troubles.remove(top)),
            Some(trouble) => {
                if troubles.len() >= MAX_TROUBLES && !troubles.contains_key(top) {
                    let oldest = troubles.iter().min_by_key(|(_, (at_ms, _))| *at_ms).map(|(top, _)| top.clone());
                    oldest.map(|oldest| troubles.remove(&oldest));
                }
                if troubles.insert(top.to_owned(), (now_ms, trouble)).is_none_or(|(_, before)| before != trouble) {
                    tracing::warn!(checkout = %top.display(), what = trouble.meaning(), "git cannot be asked");
                }
            }
        }
    }

    /// Takes note of a stop that ran out of time, or did not; returns whether that is how it goes by now.
    pub(super) fn is_slow(&self, top: &Path, ran_out: bool) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if !ran_out {
            slow.remove(top);
            return false;
        }
        if slow.len() >= MAX_TROUBLES && !slow.contains_key(top) {
            slow.clear();
        }
        let count = slow.entry(top.to_owned()).or_insert(0);
        *count = count.saturating_add(1);
        *count >= SLOW_IN_A_ROW
    }

    /// Knows what the log tells of the time before this authority: in which checkouts git could not be asked at the last
    /// stop. `rows` are the newest first.
    pub(crate) fn remember(&self, rows: &[GateLogRow]) {
        let mut seen = HashSet::new();
        for row in rows {
            let Some(top) = row.checkout.as_deref().filter(|top| seen.insert(*top)) else { continue };
            let told = row.detail.as_deref().filter(|_| row.fail_open.as_deref() == Some("git"));
            let trouble = told.and_then(|told| GitTrouble::ALL.into_iter().find(|one| one.meaning() == told));
            if trouble.is_some() {
                self.note(top, trouble, row.at_ms);
            }
        }
    }

    /// The checkouts, still there, about which git could not be asked the last time.
    pub(crate) fn troubles(&self) -> Vec<(PathBuf, UnixMillis, GitTrouble)> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_there = |top: &Path| top.join(".git").symlink_metadata().is_ok();
        troubles.into_iter().filter(|(top, _)| is_there(top)).map(|(top, (at, what))| (top, at, what)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, KnownCheckout>> {
        self.checkouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The commit that is checked out where files do not tell.
fn head(git: &Git, top: &Path, deadline: Instant) -> Option<String> {
    let output = git.run(top, &["rev-parse", "--verify", "-q", "HEAD"], deadline).output()?;
    object_id(String::from_utf8(output).ok()?.trim())
}

impl Asked<'_> {
    /// The commit that is checked out.
    pub(super) fn head(&self) -> Option<&str> {
        self.key.0.as_deref()
    }

    /// The answer to a question whose answer follows from HEAD, the index and the objects. A success is remembered; a
    /// failure may be gone the next time.
    pub(super) fn ask(&self, arguments: &[&str]) -> Outcome {
        let question: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        if let Some(answer) = self.known(|known| known.answers.get(&question).cloned()) {
            return Outcome::Success(answer);
        }
        let outcome = self.git.run(self.top, arguments, self.deadline);
        if let Outcome::Success(answer) = &outcome
            && answer.len() <= MAX_ANSWER_BYTES
        {
            let answer = answer.clone();
            self.keep(|known| {
                if known.answers.len() >= MAX_ANSWERS {
                    known.answers.clear();
                }
                known.answers.insert(question, answer);
            });
        }
        outcome
    }

    /// The answer to a question that something else than HEAD, the index and the objects decides as well.
    pub(super) fn ask_now(&self, arguments: &[&str]) -> Outcome {
        self.git.run(self.top, arguments, self.deadline)
    }

    /// Whether git answers at all in this checkout.
    pub(super) fn answers(&self) -> Result<(), Unlisted> {
        self.git.list(self.top, &["rev-parse", "--git-dir"], self.deadline).map(drop)
    }

    /// The tracked files.
    pub(super) fn tree(&self) -> Result<Arc<Tree>, Unlisted> {
        self.tree.get_or_init(|| self.listed()).clone()
    }

    fn listed(&self) -> Result<Arc<Tree>, Unlisted> {
        if let Some(tree) = self.known(|known| known.tree.clone()) {
            return Ok(tree);
        }
        let tree = Arc::new(Tree::list(self.git, self.top, self.deadline)?);
        if !tree.is_small() {
            let is_small = |tree: &Arc<Tree>| tree.is_small();
            self.memo.lock().values_mut().for_each(|known| known.tree = known.tree.take().filter(is_small));
        }
        if tree.can_be_kept() {
            self.keep(|known| known.tree = Some(Arc::clone(&tree)));
        }
        Ok(tree)
    }

    /// Tracked and untracked files, listed at the same time if both have to be.
    pub(super) fn files(&self) -> Result<(Arc<Tree>, Arc<Untracked>), Unlisted> {
        let has_either = self.known(|known| Some(known.tree.is_some() || fresh(known).is_some()));
        if self.tree.get().is_some() || has_either == Some(true) {
            return Ok((self.tree()?, self.untracked()?));
        }
        std::thread::scope(|scope| {
            let untracked = scope.spawn(|| self.untracked());
            let tree = self.tree();
            Ok((tree?, untracked.join().unwrap_or(Err(Unlisted::NotInTime))?))
        })
    }

    /// The files that are neither tracked nor ignored.
    pub(super) fn untracked(&self) -> Result<Arc<Untracked>, Unlisted> {
        if let Some(files) = self.known(fresh) {
            return Ok(files);
        }
        let files = Arc::new(Untracked::list(self.git, self.top, self.deadline)?);
        self.keep(|known| known.untracked = Some(Arc::clone(&files)));
        Ok(files)
    }

    fn known<T>(&self, read: impl FnOnce(&KnownCheckout) -> Option<T>) -> Option<T> {
        let mut checkouts = self.memo.lock();
        let known = checkouts.get_mut(self.top).filter(|known| known.key == self.key)?;
        known.used = Instant::now();
        read(known)
    }

    fn keep(&self, write: impl FnOnce(&mut KnownCheckout)) {
        let mut checkouts = self.memo.lock();
        if checkouts.len() >= MAX_CHECKOUTS && !checkouts.contains_key(self.top) {
            let stalest = checkouts.iter().min_by_key(|(_, known)| known.used).map(|(top, _)| top.clone());
            if let Some(stalest) = stalest {
                checkouts.remove(&stalest);
            }
        }
        let new = || KnownCheckout {
            key: self.key.clone(),
            answers: HashMap::new(),
            tree: None,
            untracked: None,
            used: Instant::now(),
        };
        let known = checkouts.entry(self.top.to_owned()).or_insert_with(new);
        if known.key != self.key {
            *known = new();
        }
        write(known);
    }
}

/// The untracked files, if their list still counts.
fn fresh(known: &KnownCheckout) -> Option<Arc<Untracked>> {
    known.untracked.clone().filter(|files| files.is_fresh())
}
