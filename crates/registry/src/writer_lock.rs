//! Whether a session of a process that many share is loaded: the process itself tells nothing of any of them.
//!
//! Codex locks a file for each session that one of its processes has loaded, whichever that is, and removes it when it lets
//! go of the session. The lock is only looked at, in the kernel's list: to try it would, for a moment, keep Codex from it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, liveness};
use stopgate_core::session::SessionKey;
use stopgate_core::session::resume::files_of;

/// The files that somebody holds an exclusive lock on, by inode: the device in the kernel's list is not always the one that
/// a file is said to be on. Processes that cannot be seen from here have no line in it.
#[derive(Debug, Default)]
pub(crate) struct FileLocks(BTreeSet<u64>);

impl FileLocks {
    /// Reads `/proc/locks` (Linux); none where there is no such list.
    pub(crate) fn take() -> Self {
        Self::of(&fs::read_to_string("/proc/locks").unwrap_or_default())
    }

    /// The list as proc(5) describes it: `1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF`.
    fn of(text: &str) -> Self {
        let inode = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let is_meant = words.next() == Some("FLOCK") && words.nth(1) == Some("WRITE");
            is_meant.then(|| words.nth(1)?.rsplit(':').next()?.parse().ok())?
        };
        Self(text.lines().filter_map(inode).collect())
    }
}

/// Whether the session `key`, which was seen in the shared `process`, is loaded anywhere.
pub(crate) fn of_shared(
    key: &SessionKey,
    transcript: Option<&Path>,
    process: &ProcessIdentity,
    locks: &FileLocks,
) -> Liveness {
    // A process that has ended took its sessions along, unless another one has loaded this one since.
    let without_lock = || {
        let ended = liveness(&ProcFs, &ProcessIdentity { shared: false, ..process.clone() }) == Liveness::Gone;
        if ended { Liveness::Gone } else { Liveness::Unknown }
    };
    // Where its transcript is not, its locks may be elsewhere, too.
    let files = transcript.filter(|path| path.is_file()).and_then(|path| files_of(key.harness, path));
    let dir = files.zip(key.harness.spec().writer_locks).map(|(files, name)| files.join(name));
    let Some(dir) = dir.filter(|dir| dir.is_dir() && !key.session_id.contains('/')) else { return without_lock() };
    match fs::symlink_metadata(dir.join(format!("{}.lock", key.session_id))) {
        Ok(meta) if locks.0.contains(&meta.ino()) => Liveness::Alive,
        Err(error) if error.kind() == ErrorKind::NotFound => Liveness::Gone,
        _ => without_lock(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FlockOperation, flock};
    use stopgate_core::process::identify;
    use stopgate_core::session::Harness;

    #[test]
    fn the_list_is_read_as_the_manual_says() {
        let text = "1: FLOCK  ADVISORY  WRITE 20244 fe:00:2162969 0 EOF\n2: POSIX  ADVISORY  WRITE 1 fe:00:7 0 EOF\n\
                    3: FLOCK  ADVISORY  READ 1 fe:00:8 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 9 fe:00:9 0 EOF\nx\n\n";
        assert_eq!(FileLocks::of(text).0, BTreeSet::from([2_162_969]), "who waits for a lock does not have it");
    }

    #[test]
    fn a_session_is_loaded_as_long_as_its_file_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let transcript = dir.path().join("sessions/2026/11/30/rollout-x-a.jsonl");
        fs::create_dir_all(transcript.parent().unwrap()).unwrap();
        fs::write(&transcript, "").unwrap();
        let key = SessionKey::new(Harness::Codex, "a").unwrap();
        let lives = ProcessIdentity { shared: true, ..identify(&ProcFs, std::process::id()).unwrap() };
        let ended = ProcessIdentity { start_ticks: 1, ..lives.clone() };
        let look = |process: &ProcessIdentity| of_shared(&key, Some(&transcript), process, &FileLocks::take());
        assert_eq!([look(&lives), look(&ended)], [Liveness::Unknown, Liveness::Gone], "a client without locks");
        let locks = dir.path().join("thread-writer-locks");
        fs::create_dir(&locks).unwrap();
        assert_eq!([look(&lives), look(&ended)], [Liveness::Gone; 2], "nobody has loaded it");
        let file = fs::File::create(locks.join("a.lock")).unwrap();
        assert_eq!([look(&lives), look(&ended)], [Liveness::Unknown, Liveness::Gone], "left behind");
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!([look(&lives), look(&ended)], [Liveness::Alive; 2], "maybe loaded by another one since");
        fs::remove_file(&transcript).unwrap();
        assert_eq!(look(&lives), Liveness::Unknown, "seen from elsewhere");
    }
}
