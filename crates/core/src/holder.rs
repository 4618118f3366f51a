//! Who holds the authority's lock: known also when the authority itself does not answer.
//!
//! The lock tells that one lives. The file's text (pid, start time, boot; a line each) tells which, and is believed
//! only as far as the process table confirms it.

use std::fs::{Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::autostart::PROGRAM;
use crate::fsx;
use crate::lock::HeldLock;
use crate::paths::Home;
use crate::process::{Liveness, ProcFs, ProcessIdentity, ProcessTable as _, identify, liveness};

/// Longest text that is read.
const MAX_TEXT_BYTES: u64 = 256;

/// The process that holds the lock, as far as the lock file names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// Its pid, unless the file is garbled.
    pub pid: Option<u32>,
    start_ticks: Option<u64>,
    boot_id: Option<String>,
}

impl Holder {
    /// Reads what a holder has written about itself.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim);
        Self {
            pid: lines.next().and_then(|line| line.parse().ok()),
            start_ticks: lines.next().and_then(|line| line.parse().ok()),
            boot_id: lines.next().filter(|line| !line.is_empty()).map(str::to_owned),
        }
    }

    /// The process, if it is certain that it is the authority of `home`: the one that wrote the lock file, running
    /// our program, with this very lock file open. Only such a process may be sent a signal.
    pub fn verified(&self, home: &Home) -> Option<HolderProcess> {
        let (pid, start_ticks, boot_id) = (self.pid?, self.start_ticks?, self.boot_id.clone()?);
        let written = ProcessIdentity { pid, start_ticks, boot_id, ..ProcessIdentity::default() };
        let executable = ProcFs.executable(pid)?;
        // The kernel adds this when an update has replaced the file.
        let program = executable.strip_suffix(" (deleted)").unwrap_or(&executable);
        let process = HolderProcess(written);
        let is_ours = process.runs()
            && Path::new(program).file_name().is_some_and(|name| name == PROGRAM)
            && has_open(pid, &home.lock());
        is_ours.then_some(process)
    }
}

/// The process of an authority, recognised while it held the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderProcess(ProcessIdentity);

impl HolderProcess {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether it still runs. It outlives its lock by a moment.
    pub fn runs(&self) -> bool {
        liveness(&ProcFs, &self.0) == Liveness::Alive
    }
}

/// What this process writes into the lock file that it holds.
pub fn own_text() -> String {
    let pid = std::process::id();
    identify(&ProcFs, pid)
        .map_or_else(|| format!("{pid}\n"), |own| format!("{pid}\n{}\n{}\n", own.start_ticks, own.boot_id))
}

/// Who holds the lock; `None` if nobody does.
pub fn holder(home: &Home) -> Option<Holder> {
    let file = fsx::open_regular(OpenOptions::new().read(true), &home.lock()).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) => {
            drop(HeldLock::new(file));
            return None;
        }
        Err(TryLockError::Error(_)) => return None,
    }
    let mut text = String::new();
    let _ = file.take(MAX_TEXT_BYTES).read_to_string(&mut text);
    Some(Holder::parse(&text))
}

/// Whether `path` still is the file that `meta` tells of.
pub fn is_same_file(path: &Path, meta: &Metadata) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (meta.dev(), meta.ino())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the process `pid` has the file `path` open; doubt means no.
pub fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    let Ok(handles) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_it = |handle: Metadata| (handle.dev(), handle.ino()) == (meta.dev(), meta.ino());
    handles.filter_map(Result::ok).any(|handle| std::fs::metadata(handle.path()).is_ok_and(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        (dir, home)
    }

    #[test]
    fn the_holder_of_the_lock_is_named_and_nobody_when_it_is_free() {
        let (_dir, home) = home();
        assert_eq!(holder(&home), None);
        std::fs::write(home.lock(), own_text()).unwrap();
        assert_eq!(holder(&home), None, "a file that nobody holds names nobody");
        let lock = File::open(home.lock()).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(holder(&home).unwrap().pid, Some(std::process::id()));
        std::fs::write(home.lock(), "garbage").unwrap();
        assert_eq!(holder(&home), Some(Holder::default()));
    }

    #[test]
    fn only_the_very_process_that_has_our_lock_open_and_runs_our_program_is_verified() {
        let (_dir, home) = home();
        std::fs::write(home.lock(), own_text()).unwrap();
        let own = Holder::parse(&own_text());
        assert!(!has_open(std::process::id(), &home.lock()));
        let lock = File::open(home.lock()).unwrap();
        assert!(has_open(std::process::id(), &home.lock()));
        assert_eq!(own.verified(&home), None, "this test is not `stopgate`");
        assert_eq!(Holder::parse(&std::process::id().to_string()).verified(&home), None);
        assert_eq!(Holder { start_ticks: Some(1), ..own }.verified(&home), None);
        drop(lock);
    }
}
