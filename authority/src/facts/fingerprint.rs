//! A hash of the state of a working tree.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use stopgate_core::checkout;

use crate::git;

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
    Some(format!("{:016x}", crate::instance::fnv1a(&bytes)))
}
