//! Who changed a file, of those who were seen to write it: a write that left a file as it was makes nobody its owner, and work
//! that is committed is done. It is in memory alone; what is not known here counts as it did before.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stopgate_core::session::SessionKey;

/// Files of which it is remembered.
const MAX_FILES: usize = 4_096;
/// Writes of one file.
const MAX_WRITES: usize = 32;
/// Larger files are not looked into: a write of one counts as a change.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(crate) struct Seen {
    /// Contents are compared by hashes that nobody else can make.
    hashes: RandomState,
    files: Mutex<BTreeMap<PathBuf, Writes>>,
}

/// What was seen of one file.
#[derive(Default)]
struct Writes {
    /// In order of time.
    writes: Vec<Write>,
    /// Those whose writes are committed.
    settled: BTreeSet<SessionKey>,
}

/// A write that was let go, or several of one session in a row.
struct Write {
    session: SessionKey,
    /// The content before it; `None` where that is not known.
    before: Option<u64>,
}

/// Whose change counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// That of everybody who changed the file: it would be lost.
    Every,
    /// That of the last who changed it: it is about who speaks for it.
    Last,
}

impl Seen {
    /// `session` is about to write `path`.
    pub(super) fn note(&self, path: &Path, session: &SessionKey) {
        let before = self.content(path);
        let mut files = self.files();
        if files.len() >= MAX_FILES && !files.contains_key(path) {
            files.clear();
        }
        let file = files.entry(path.to_owned()).or_default();
        file.settled.remove(session);
        if file.writes.last().is_some_and(|last| last.session == *session) {
            return;
        }
        if file.writes.len() >= MAX_WRITES {
            file.writes.clear();
        }
        file.writes.push(Write { session: session.clone(), before });
    }

    /// What was written to `path` so far is committed, as git says, or gone.
    pub(super) fn settle(&self, path: &Path, holders: impl Iterator<Item = SessionKey>) {
        let mut files = self.files();
        if files.len() >= MAX_FILES && !files.contains_key(path) {
            files.clear();
        }
        let file = files.entry(path.to_owned()).or_default();
        let writers: Vec<SessionKey> = file.writes.drain(..).map(|write| write.session).collect();
        file.settled.extend(writers.into_iter().chain(holders));
    }

    /// Whether the work in `path` is `holder`'s, who was seen to write it, against whoever is `mine`.
    pub(super) fn is_of(&self, path: &Path, holder: &SessionKey, mine: &[SessionKey], counts: Counts) -> bool {
        // It is read before it is looked up: a write that is noted meanwhile is later than what was read.
        let now = self.content(path);
        let files = self.files();
        let Some(file) = files.get(path) else { return true };
        if file.settled.contains(holder) {
            return false;
        }
        if !file.writes.iter().any(|write| write.session == *holder) {
            return true;
        }
        let after = file.writes.iter().skip(1).map(|next| next.before).chain([now]);
        let is_change = |(write, after): &(&Write, Option<u64>)| after.is_none() || write.before != *after;
        let mut owners = file.writes.iter().zip(after).filter(is_change).map(|(write, _)| &write.session);
        match counts {
            Counts::Every => owners.any(|session| session == holder),
            Counts::Last => owners.last().is_some_and(|last| !mine.contains(last)),
        }
    }

    /// What stands at `path`, as a number; `None` where that is not looked at.
    fn content(&self, path: &Path) -> Option<u64> {
        let Ok(found) = path.symlink_metadata() else { return Some(0) };
        if found.is_symlink() {
            let target = std::fs::read_link(path).ok()?;
            return Some(self.hashes.hash_one((1_u8, OsStr::as_bytes(target.as_os_str()))));
        }
        if !found.is_file() || found.len() > MAX_BYTES {
            return None;
        }
        Some(self.hashes.hash_one((2_u8, std::fs::read(path).ok()?)))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Writes>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::session::Harness;

    /// Whether the file is amber's against birch: if it would be lost, and if it would be committed.
    fn is_ambers(seen: &Seen, path: &Path) -> (bool, bool) {
        let (amber, birch) = (key("amber"), [key("birch")]);
        (seen.is_of(path, &amber, &birch, Counts::Every), seen.is_of(path, &amber, &birch, Counts::Last))
    }

    fn key(name: &str) -> SessionKey {
        SessionKey::new(Harness::Claude, name).unwrap()
    }

    #[test]
    fn who_changed_a_file_owns_it_and_who_touched_it_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rs");
        let (seen, amber, birch) = (Seen::default(), key("amber"), key("birch"));
        let write = |session: &SessionKey, text: &str| {
            seen.note(&path, session);
            std::fs::write(&path, text).unwrap();
        };
        assert_eq!(is_ambers(&seen, &path), (true, true), "nothing is known: the lease counts");
        write(&birch, "birch's");
        write(&amber, "birch's");
        assert_eq!(is_ambers(&seen, &path), (false, false), "touched");
        write(&amber, "amber's");
        assert_eq!(is_ambers(&seen, &path), (true, true));
        write(&birch, "both's");
        assert_eq!(is_ambers(&seen, &path), (true, false), "the last speaks for it");
        write(&amber, "both's");
        assert_eq!(is_ambers(&seen, &path), (true, false), "touched again");
        seen.settle(&path, std::iter::once(amber.clone()));
        assert_eq!(is_ambers(&seen, &path), (false, false), "committed");
        write(&birch, "birch's, later");
        assert_eq!(is_ambers(&seen, &path), (false, false));
        write(&amber, "amber's, later");
        assert_eq!(is_ambers(&seen, &path), (true, true));
    }

    #[test]
    fn a_file_that_goes_and_one_that_is_too_large_are_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rs");
        let (seen, amber) = (Seen::default(), key("amber"));
        std::fs::write(&path, "x").unwrap();
        seen.note(&path, &amber);
        assert_eq!(is_ambers(&seen, &path), (false, false), "not written yet");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(is_ambers(&seen, &path), (true, true));
        let large = dir.path().join("large");
        std::fs::File::create(&large).unwrap().set_len(MAX_BYTES + 1).unwrap();
        seen.note(&large, &amber);
        assert_eq!(is_ambers(&seen, &large), (true, true));
    }
}
