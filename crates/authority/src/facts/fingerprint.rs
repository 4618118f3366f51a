//! A hash of the state of a working tree.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use stopgate_core::checkout;
use stopgate_gate::facts::Facts;

use super::memo::Git;
use super::tree::FileStat;
use crate::git;
use crate::instance::fnv1a;

/// How many files are changed or new in the working tree, and a hash of which and how.
pub(super) fn dirty_files(git: &Git<'_>) -> (u32, String) {
    let mut count = 0;
    let mut state = Vec::new();
    let mut note = |path: &[u8], now: FileStat| {
        count += 1;
        state.extend_from_slice(path);
        state.extend_from_slice(format!("\0{now:?}").as_bytes());
    };
    if let Some(tree) = git.tree() {
        tree.changed(git.top, git.deadline, |file, now| note(&file.path, now));
    }
    for path in git.untracked().iter().flat_map(|files| files.iter()) {
        note(path.as_bytes(), FileStat::of(&git.top.join(path)));
    }
    (count, format!("{:016x}", fnv1a(&state)))
}

/// A hash of the state of the work, from the facts; in `facts.fingerprint` stands that of the working tree.
pub(super) fn of_work(facts: &Facts) -> String {
    let plans: Vec<_> = facts.plans.iter().map(|plan| (&plan.path, &plan.next_step, plan.open_steps)).collect();
    let state = format!("{:?} {:?} {:?} {plans:?}", facts.fingerprint, facts.head, facts.tasks);
    format!("{:016x}", fnv1a(state.as_bytes()))
}

/// A hash of what is checked out, of the index, and of the names, sizes and times of all files that are not ignored;
/// `None` if git did not answer in time. Files are not read: comparing them (`git status`) would run the filters that
/// the checkout's own configuration names.
pub(crate) fn dirty_fingerprint(cwd: &Path, deadline: Instant) -> Option<String> {
    let checkout = checkout::find(cwd)?;
    let top = &checkout.worktree;
    let index = git::run(top, &["ls-files", "-z", "--stage"], deadline).output()?;
    let others = git::run(top, &["ls-files", "-z", "--others", "--exclude-standard"], deadline).output()?;
    let mut state = checkout.head().unwrap_or_default();
    let tracked = index.split(|byte| *byte == 0).filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1));
    for path in tracked.chain(others.split(|byte| *byte == 0)) {
        if Instant::now() >= deadline {
            return None;
        }
        if let Ok(meta) = std::fs::symlink_metadata(top.join(OsStr::from_bytes(path))) {
            let _ = write!(state, " {} {} {} {}", meta.mode(), meta.size(), meta.mtime(), meta.mtime_nsec());
        }
        state.push('\n');
    }
    let bytes = [state.as_bytes(), &index, &others].concat();
    Some(format!("{:016x}", fnv1a(&bytes)))
}
