//! A hash of the state of a working tree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use stopgate_core::checkout::Checkout;
use stopgate_gate::facts::Facts;

use super::memo::{Asked, Memo};
use super::tree::{FileStat, Tracked};
use crate::git::Git;
use crate::instance::fnv1a;

/// Files between two looks at the clock.
const CLOCK_STRIDE: usize = 256;

/// How many files are changed or new in the working tree, and a hash of which and how; `None` if that could not be found
/// out until `deadline`.
pub(super) fn dirty_files(git: &Asked<'_>, deadline: Instant) -> Option<(u32, String)> {
    let mut count = 0_u32;
    let mut state = Vec::new();
    let mut note = |path: &[u8], now: FileStat| {
        state.extend_from_slice(path);
        state.push(0);
        now.append_to(&mut state);
    };
    let changed = |file: &Tracked, now: FileStat| {
        count = count.saturating_add(1);
        note(&file.path, now);
    };
    if !git.tree().ok()?.changed(git.top, deadline, changed) {
        return None;
    }
    let untracked = git.untracked().ok()?;
    for (at, path) in untracked.files.iter().enumerate() {
        if at.is_multiple_of(CLOCK_STRIDE) && Instant::now() >= deadline {
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
pub(crate) fn dirty_fingerprint(memo: &Memo, checkout: &Checkout, git: &Git, deadline: Instant) -> Option<String> {
    let asked = memo.ask(git, checkout, deadline);
    let (tree, others) = asked.files().ok()?;
    let mut state = asked.head().unwrap_or_default().as_bytes().to_vec();
    let tracked = tree.files.iter().map(|file| (&*file.path, file.indexed()));
    let others_paths = others.files.iter().map(|path| (path.as_bytes(), FileStat::default()));
    for (at, (path, indexed)) in tracked.chain(others_paths).enumerate() {
        if at.is_multiple_of(CLOCK_STRIDE) && Instant::now() >= deadline {
            return None;
        }
        state.extend_from_slice(path);
        state.push(0);
        let now = std::fs::symlink_metadata(asked.top.join(OsStr::from_bytes(path)));
        let mode = now.as_ref().map_or(0, std::fs::Metadata::mode);
        state.extend_from_slice(&mode.to_le_bytes());
        for stat in [indexed, now.as_ref().map(FileStat::from).unwrap_or_default()] {
            stat.append_to(&mut state);
        }
    }
    state.extend_from_slice(&others.names.to_le_bytes());
    Some(format!("{:016x}", fnv1a(&state)))
}
