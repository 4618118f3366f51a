//! What git said about a checkout, remembered for as long as HEAD and index stay as they are.
//!
//! Only answers that follow from HEAD, the index and the objects are kept; what lies in the working tree is looked at
//! each time.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_core::checkout::Checkout;

use super::tree::Tree;
use crate::git::{self, Outcome};

/// Checkouts that are remembered; the one unused for longest goes first.
const MAX_CHECKOUTS: usize = 32;
/// Answers that are kept of one checkout, and the longest of them.
const MAX_ANSWERS: usize = 256;
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long a list of untracked files counts: new ones change neither HEAD nor index. A plan that matters was there
/// before the session, so a list that is a little old hides none.
const UNTRACKED_AGE: Duration = Duration::from_secs(5);

/// What is remembered of all checkouts.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    checkouts: Mutex<HashMap<PathBuf, KnownCheckout>>,
}

#[derive(Debug)]
struct KnownCheckout {
    key: Key,
    answers: HashMap<Vec<String>, Vec<u8>>,
    tree: Option<Arc<Tree>>,
    untracked: Option<(Instant, Arc<Vec<String>>)>,
    used: Instant,
}

/// HEAD, and device, inode, size and change time of the index.
type Key = (Option<String>, Option<(u64, u64, u64, i64, i64)>);

/// git in one checkout, until a deadline.
pub(crate) struct Git<'a> {
    pub(super) top: &'a Path,
    pub(super) deadline: Instant,
    memo: &'a Memo,
    key: Key,
}

impl Memo {
    /// git in `checkout`.
    pub(crate) fn git<'a>(&'a self, checkout: &'a Checkout, deadline: Instant) -> Git<'a> {
        let index = std::fs::metadata(checkout.index()).ok();
        let stamp = index.map(|meta| (meta.dev(), meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()));
        Git { top: &checkout.worktree, deadline, memo: self, key: (checkout.head(), stamp) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, KnownCheckout>> {
        self.checkouts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Git<'_> {
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
        let outcome = git::run(self.top, arguments, self.deadline);
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

    /// The tracked files.
    pub(super) fn tree(&self) -> Option<Arc<Tree>> {
        if let Some(tree) = self.known(|known| known.tree.clone()) {
            return Some(tree);
        }
        let tree = Arc::new(Tree::list(self.top, self.deadline)?);
        if tree.is_small() {
            self.keep(|known| known.tree = Some(Arc::clone(&tree)));
        }
        Some(tree)
    }

    /// Tracked and untracked files, listed at the same time if both have to be.
    pub(super) fn files(&self) -> Option<(Arc<Tree>, Arc<Vec<String>>)> {
        if self.known(|known| known.tree.clone()).is_some() || self.known(fresh_untracked).is_some() {
            return Some((self.tree()?, self.untracked()?));
        }
        std::thread::scope(|scope| {
            let untracked = scope.spawn(|| self.untracked());
            let tree = self.tree();
            Some((tree?, untracked.join().ok()??))
        })
    }

    /// The files that are neither tracked nor ignored.
    pub(super) fn untracked(&self) -> Option<Arc<Vec<String>>> {
        if let Some(files) = self.known(fresh_untracked) {
            return Some(files);
        }
        let arguments = ["ls-files", "-z", "--others", "--exclude-standard"];
        let output = git::run(self.top, &arguments, self.deadline).output()?;
        let paths = output.split(|byte| *byte == 0).filter_map(|path| std::str::from_utf8(path).ok());
        let files: Arc<Vec<String>> = Arc::new(paths.filter(|path| !path.is_empty()).map(str::to_owned).collect());
        self.keep(|known| known.untracked = Some((Instant::now(), Arc::clone(&files))));
        Some(files)
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

/// The untracked files, if they were listed a moment ago.
fn fresh_untracked(known: &KnownCheckout) -> Option<Arc<Vec<String>>> {
    let (at, files) = known.untracked.as_ref()?;
    (at.elapsed() < UNTRACKED_AGE).then(|| Arc::clone(files))
}
