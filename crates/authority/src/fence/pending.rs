//! Writes that were let go and are not made yet: between the fence's word and the tool's work there are milliseconds, in which
//! git sees nothing. Whoever acts on the whole tree meanwhile would take them along.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use stopgate_coordination::resource::Resource;
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

/// How long a write is waited for: an edit takes milliseconds, a command that reads, thinks and writes a second. One that
/// failed is never made.
const LASTS: Duration = Duration::from_secs(5);
/// What a file's time may lie behind the clock: file systems take the time of the last tick.
const TICK_MS: UnixMillis = 20;
/// Writes that are remembered.
const MAX_PENDING: usize = 256;

/// Those of all trees.
#[derive(Default)]
pub(super) struct Pending(Mutex<Vec<Write>>);

struct Write {
    by: SessionKey,
    tree: PathBuf,
    path: PathBuf,
    at: Instant,
    at_ms: UnixMillis,
}

impl Pending {
    /// `by` was let write `path` of `tree`.
    pub(super) fn note(&self, by: &SessionKey, tree: &Path, path: &Path, at_ms: UnixMillis) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.retain(|write| write.at.elapsed() < LASTS && !(write.by == *by && write.path == *path));
        if writes.len() < MAX_PENDING {
            let (by, tree, path) = (by.clone(), tree.to_owned(), path.to_owned());
            writes.push(Write { by, tree, path, at: Instant::now(), at_ms });
        }
    }

    /// Who was let write what in `tree`, and has not written it.
    pub(super) fn of(&self, tree: &Path) -> Vec<(SessionKey, Resource)> {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.retain(|write| write.at.elapsed() < LASTS && !write.is_made());
        let there = writes.iter().filter(|write| write.tree == tree);
        there.filter_map(|write| Some((write.by.clone(), write.resource()?))).collect()
    }

    /// Whether `by` was let write something of `part` of `tree`, and has not written it. Files of others are not looked at.
    pub(super) fn has(&self, by: &SessionKey, tree: &Path, part: &Resource) -> bool {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut those = writes.iter().filter(|write| write.by == *by && write.tree == tree);
        those.any(|write| {
            let is_there = write.resource().is_some_and(|path| part.covers(&path));
            is_there && write.at.elapsed() < LASTS && !write.is_made()
        })
    }
}

impl Write {
    /// What it is of, named from the top of its tree.
    fn resource(&self) -> Option<Resource> {
        Resource::of_path(self.path.strip_prefix(&self.tree).ok()?.to_str()?, false).ok()
    }

    /// Whether the file has changed since.
    fn is_made(&self) -> bool {
        let changed = self.path.symlink_metadata().and_then(|file| file.modified());
        let changed = changed.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let changed_ms = changed.and_then(|since| UnixMillis::try_from(since.as_millis()).ok());
        changed_ms.is_some_and(|changed_ms| changed_ms + TICK_MS >= self.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::session::Harness;

    fn now_ms() -> UnixMillis {
        UnixMillis::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
    }

    #[test]
    fn a_write_is_pending_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, fresh) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&file, "one").unwrap();
        let by = SessionKey::new(Harness::Codex, "one").unwrap();
        let pending = Pending::default();
        let later = now_ms() + 1_000;
        pending.note(&by, dir.path(), &file, later);
        pending.note(&by, dir.path(), &fresh, now_ms());
        assert_eq!(pending.of(dir.path()).len(), 2);
        assert!(pending.of(Path::new("/elsewhere")).is_empty());
        std::fs::write(&fresh, "new").unwrap();
        let left = pending.of(dir.path());
        assert_eq!(left.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["a"]);
        let past = std::time::SystemTime::now() + Duration::from_secs(2);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(past).unwrap();
        assert!(pending.of(dir.path()).is_empty());
    }
}
