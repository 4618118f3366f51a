//! Uncommitted work in a working tree, by what git tells of it. Contents are compared without the filters that a checkout's
//! own configuration may name: those would be programs of whoever wrote it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use stopgate_coordination::fence::CommitSource;
use stopgate_coordination::fence::verdict::{Change, ChangedFile};
use stopgate_coordination::resource::Resource;
use stopgate_core::checkout::Checkout;

use crate::facts::{FileStat, Tree};
use crate::git::{Git, Outcome, Unlisted};

/// Files of the same size of which the contents are compared; more count as changed.
const MAX_COMPARED: usize = 64;

/// The files of `checkout` that differ from what is committed, of those below `paths` (all where that is empty), in the
/// ways that `wanted` names; `None` where git does not say so in time. `limit` is what a command is limited to: the directory
/// that it would be started in, or a file or directory that it names.
pub(super) fn changed(
    git: &Git,
    checkout: &Checkout,
    limit: &Path,
    paths: &[Resource],
    wanted: &[Change],
    deadline: Instant,
) -> Option<Vec<ChangedFile>> {
    let top = &checkout.worktree;
    let below = limit.strip_prefix(top).map(|below| below.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    let within = within(paths);
    let mut found: BTreeMap<Vec<u8>, Change> = BTreeMap::new();
    if wanted.contains(&Change::Untracked) {
        let listed = list(git, top, &["ls-files", "-z", "--others", "--exclude-standard"], &within, deadline)?;
        found.extend(listed.into_iter().map(|path| (path, Change::Untracked)));
    }
    // Of a whole tree that may be a great many, and says nothing of whose they are.
    if wanted.contains(&Change::Ignored) && !paths.is_empty() {
        let arguments = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard"];
        let listed = list(git, top, &arguments, &within, deadline)?;
        found.extend(listed.into_iter().map(|path| (path, Change::Ignored)));
    }
    if wanted.contains(&Change::Staged) {
        let arguments = [
            "diff-index",
            "--cached",
            "--name-only",
            "-z",
            "--no-renames",
            "--no-ext-diff",
            "--ignore-submodules",
            "HEAD",
        ];
        let staged = match list(git, top, &arguments, &within, deadline) {
            Some(staged) => staged,
            // Nothing is committed yet: all that the index has is staged.
            None if is_unborn(git, top, deadline) => list(git, top, &["ls-files", "-z"], &within, deadline)?,
            None => return None,
        };
        found.extend(staged.into_iter().map(|path| (path, Change::Staged)));
    }
    // What was edited since it was staged is both, and edited counts: that is what would be lost.
    if wanted.contains(&Change::Edited) {
        let edited = edited(git, top, &within, deadline)?;
        found.extend(edited.into_iter().map(|path| (path, Change::Edited)));
    }
    Some(found.into_iter().map(|(path, change)| changed_file(&path, change, &below)).collect())
}

/// What git is limited to, to look at `paths` alone; nothing where that is all.
fn within(paths: &[Resource]) -> Vec<&str> {
    if paths.contains(&Resource::tree()) { Vec::new() } else { paths.iter().map(Resource::as_str).collect() }
}

fn changed_file(path: &[u8], change: Change, below: &[u8]) -> ChangedFile {
    ChangedFile {
        is_below: below.is_empty() || path.starts_with(below) && matches!(path.get(below.len()), None | Some(b'/')),
        path: std::str::from_utf8(path).ok().and_then(|path| Resource::of_path(path, false).ok()),
        change,
    }
}

/// Adds to `changed` the files below `paths` that get another content from `source`, and takes out those that stay because it
/// does not have them. A `source` that git does not know changes nothing; `None` where git does not answer in time.
pub(super) fn taken_from(
    git: &Git,
    checkout: &Checkout,
    limit: &Path,
    paths: &[Resource],
    source: &CommitSource,
    deadline: Instant,
    changed: &mut Vec<ChangedFile>,
) -> Option<()> {
    let top = &checkout.worktree;
    let below = limit.strip_prefix(top).map(|below| below.as_os_str().as_bytes().to_vec()).unwrap_or_default();
    let within = within(paths);
    let arguments = [
        "diff-index",
        "--cached",
        "--name-status",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--ignore-submodules",
        source.commit.as_str(),
        "--",
    ];
    let arguments: Vec<&str> = arguments.iter().chain(&within).copied().collect();
    let output = match git.list(top, &arguments, deadline) {
        Ok(output) => output,
        Err(Unlisted::Trouble(_)) => return Some(()),
        Err(Unlisted::NotInTime) => return None,
    };
    let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        let is_there = top.join(OsStr::from_bytes(path)).symlink_metadata().is_ok();
        let change = match status.first() {
            // The index has it, the commit does not.
            Some(b'A') if source.keeps_added => {
                let file = changed_file(path, Change::Staged, &below);
                changed.retain(|known| known.path != file.path);
                continue;
            }
            Some(b'D') if is_there => Change::Overwritten,
            _ => Change::Rewritten,
        };
        changed.push(changed_file(path, change, &below));
    }
    Some(())
}

/// Tracked files that are not as the index has them.
fn edited(git: &Git, top: &Path, within: &[&str], deadline: Instant) -> Option<Vec<Vec<u8>>> {
    let tree = Tree::list_within(git, top, within, deadline).ok()?;
    let (mut edited, mut same_size) = (Vec::new(), Vec::new());
    let sorted = tree.changed(top, deadline, |file, now| {
        if file.indexed().size == now.size && now != FileStat::default() && same_size.len() < MAX_COMPARED {
            same_size.push(file.path.to_vec());
        } else {
            edited.push(file.path.to_vec());
        }
    });
    if !sorted {
        return None;
    }
    edited.extend(really_changed(git, top, same_size, deadline)?);
    Some(edited)
}

/// Those of `paths` whose contents are others than the index has.
fn really_changed(git: &Git, top: &Path, paths: Vec<Vec<u8>>, deadline: Instant) -> Option<Vec<Vec<u8>>> {
    // What is no UTF-8 cannot be an argument here: it counts as changed.
    let (readable, mut changed): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| std::str::from_utf8(path).is_ok_and(|path| !path.contains('\n')));
    if readable.is_empty() {
        return Some(changed);
    }
    let names: Vec<&str> = readable.iter().filter_map(|path| std::str::from_utf8(path).ok()).collect();
    let listed = list(git, top, &["ls-files", "-z", "--stage"], &names, deadline)?;
    let indexed: BTreeMap<&[u8], &[u8]> = listed.iter().filter_map(|line| staged_object(line)).collect();
    // Links are hashed by what they lead to: they count as changed.
    let (files, others): (Vec<_>, Vec<_>) = names.iter().copied().partition(|name| {
        top.join(OsStr::from_bytes(name.as_bytes())).symlink_metadata().is_ok_and(|meta| meta.is_file())
    });
    changed.extend(others.into_iter().map(|name| name.as_bytes().to_vec()));
    if files.is_empty() {
        return Some(changed);
    }
    let arguments: Vec<&str> = ["hash-object", "--no-filters", "--"].into_iter().chain(files.iter().copied()).collect();
    let output = match git.run(top, &arguments, deadline) {
        Outcome::Success(output) => output,
        // One of them may just have gone.
        Outcome::Failure => Vec::new(),
        Outcome::NoAnswer => return None,
    };
    let hashes: Vec<&[u8]> = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let is_known = hashes.len() == files.len();
    for (at, name) in files.iter().enumerate() {
        let own = hashes.get(at).filter(|_| is_known);
        if own.is_none() || own != indexed.get(name.as_bytes()) {
            changed.push(name.as_bytes().to_vec());
        }
    }
    Some(changed)
}

/// Path and object of `mode object stage TAB path`.
fn staged_object(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let object = line[..tab].split(|byte| *byte == b' ').nth(1)?;
    Some((&line[tab + 1..], object))
}

fn is_unborn(git: &Git, top: &Path, deadline: Instant) -> bool {
    git.run(top, &["rev-parse", "--verify", "-q", "HEAD"], deadline) == Outcome::Failure
}

/// What `git arguments -- within` lists.
fn list(git: &Git, top: &Path, arguments: &[&str], within: &[&str], deadline: Instant) -> Option<Vec<Vec<u8>>> {
    let arguments: Vec<&str> = arguments.iter().chain(&["--"]).chain(within).copied().collect();
    let output: Result<Vec<u8>, Unlisted> = git.list(top, &arguments, deadline);
    Some(output.ok()?.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect())
}
