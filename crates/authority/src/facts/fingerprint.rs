//! A hash of the state of a working tree.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use stopgate_core::checkout::Checkout;
use stopgate_gate::facts::Facts;

use super::memo::{Asked, head};
use super::tree::{FileStat, Tracked};
use super::untracked::Untracked;
use crate::git::Git;
use crate::instance::fnv1a;

/// Files between two looks at the clock.
const CLOCK_STRIDE: usize = 256;

/// How many files are changed or new in the working tree, and a hash of which and how; `None` if that could not be found
/// out in time.
pub(super) fn dirty_files(git: &Asked<'_>) -> Option<(u32, String)> {
    let mut count = 0_u32;
    let mut state = Vec::new();
    let mut note = |path: &[u8], now: FileStat| {
        state.extend_from_slice(path);
        state.extend_from_slice(format!("\0{now:?}").as_bytes());
    };
    let changed = |file: &Tracked, now: FileStat| {
        count = count.saturating_add(1);
        note(&file.path, now);
    };
    if !git.tree().ok()?.changed(git.top, git.deadline, changed) {
        return None;
    }
    let untracked = git.untracked().ok()?;
    for (at, path) in untracked.files.iter().enumerate() {
        if at % CLOCK_STRIDE == 0 && Instant::now() >= git.deadline {
            return None;
        }
        note(path.as_bytes(), FileStat::of(&git.top.join(path)));
    }
    state.extend_from_slice(&untracked.names.to_le_bytes());
    Some((count.saturating_add(untracked.count), format!("{:016x}", fnv1a(&state))))
}

/// A hash of the state of the work, from the facts; in `facts.fingerprint` stands that of the working tree.
pub(super) fn of_work(facts: &Facts) -> String {
    let plans: Vec<_> = facts.plans.iter().map(|plan| (&plan.path, &plan.next_step, plan.open_steps)).collect();
    let state = format!("{:?} {:?} {:?} {plans:?}", facts.fingerprint, facts.head, facts.tasks);
    format!("{:016x}", fnv1a(state.as_bytes()))
}

/// A hash of what is checked out, of the index, and of the names, sizes and times of the files that are not ignored (of
/// some, where there are very many); `None` if git did not answer in time. Files are not read: comparing them
/// (`git status`) would run the filters that the checkout's own configuration names.
pub(crate) fn dirty_fingerprint(checkout: &Checkout, git: &Git, deadline: Instant) -> Option<String> {
    let top = &*checkout.worktree;
    let index = git.list(top, &["ls-files", "-z", "--stage"], deadline).ok()?;
    let others = Untracked::list(git, top, deadline).ok()?;
    let mut state = checkout.head().or_else(|| head(git, top, deadline)).unwrap_or_default();
    let tracked = index.split(|byte| *byte == 0).filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1));
    for (at, path) in tracked.chain(others.files.iter().map(String::as_bytes)).enumerate() {
        if at % CLOCK_STRIDE == 0 && Instant::now() >= deadline {
            return None;
        }
        if let Ok(meta) = std::fs::symlink_metadata(top.join(OsStr::from_bytes(path))) {
            let _ = write!(state, " {} {} {} {}", meta.mode(), meta.size(), meta.mtime(), meta.mtime_nsec());
        }
        state.push('\n');
    }
    let bytes = [state.as_bytes(), &index, &others.names.to_le_bytes()].concat();
    Some(format!("{:016x}", fnv1a(&bytes)))
}
