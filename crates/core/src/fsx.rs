//! Files that must never be seen half-written, and directories nobody else may enter.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::retry_on_intr;

use crate::clock::SystemClock;
use crate::event_id::new_event_id;

/// Creates `dir` and its missing parents, each with mode 0700.
pub fn ensure_private_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Replaces `path` with `bytes` through a temporary file beside it: readers see the old or the new content, and
/// after a crash one of the two is there. The new file has `mode`.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = dir.join(format!(".stopgate-{}.tmp", new_event_id(&SystemClock)));
    let written = write_then_rename(&temporary, path, bytes, mode);
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    // The rename itself must survive a power cut; some file systems refuse to sync a directory.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    Ok(())
}

fn write_then_rename(temporary: &Path, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // A program that anybody holds open for writing cannot be run ("text file busy").
    drop(file);
    std::fs::rename(temporary, path)
}

/// Opens `path` if it is a regular file, and a new one with mode 0600. Something else may have been planted there:
/// a link is not followed in the last component, and a FIFO or device is not waited for.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = open_any(options, path)?;
    regular_len(&file).map(|_| file)
}

fn open_any(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)
}

/// How many bytes a file has, if it is a regular one.
fn regular_len(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    let not_regular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    meta.is_file().then_some(meta.len()).ok_or_else(not_regular)
}

/// The content of `path` if it is a regular file of at most `max` bytes, opened by [`open_regular`].
pub fn read_regular(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_all(&open_any(OpenOptions::new().read(true), path)?, max)
}

fn read_all(file: &File, max: u64) -> io::Result<Vec<u8>> {
    let len = regular_len(file)?;
    if len > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than expected"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // All of it at once, as nearly always: to ask for more is a system call that the hooks' hot path can spare.
    let read = if len > 0 { retry_on_intr(|| rustix::io::read(file, spare_capacity(&mut bytes)))? } else { 0 };
    // The rest of a file that is read in parts, or that does not tell its size, as in `/proc`.
    if len == 0 || u64::try_from(read) != Ok(len) {
        file.take(max.saturating_sub(u64::try_from(read).unwrap_or(max))).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// [`read_regular`] as text; bytes that are not UTF-8 are replaced.
pub fn read_regular_text(path: &Path, max: u64) -> io::Result<String> {
    read_regular(path, max).map(lossy)
}

/// [`read_regular_text`] of the file `relative` below the directory `top`. No link is followed on the way down either:
/// what is read lies in `top`, whatever an agent does to the directories meanwhile.
pub fn read_beneath(top: &Path, relative: &Path, max: u64) -> io::Result<String> {
    let outside = || io::Error::new(io::ErrorKind::InvalidInput, "leads out of its directory");
    let mut names = Vec::new();
    for part in relative.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            _ => return Err(outside()),
        }
    }
    let last = names.pop().ok_or_else(outside)?;
    let way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = openat(CWD, top, way, Mode::empty())?;
    for name in names {
        dir = openat(&dir, name, way | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    read_all(&File::from(openat(&dir, last, flags, Mode::empty())?), max).map(lossy)
}

fn lossy(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::inotify;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_closed_before_it_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let flags = inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, dir.path(), flags).unwrap();
        write_atomic(&dir.path().join("program"), b"#!/bin/sh\n", 0o700).unwrap();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        let happened = [events.next().unwrap().events(), events.next().unwrap().events()];
        assert_eq!(happened, [inotify::ReadFlags::CLOSE_WRITE, inotify::ReadFlags::MOVED_TO]);
    }

    #[test]
    fn nothing_but_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink(path("planted"), path("link")).unwrap();
        std::fs::create_dir(path("directory")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for name in ["link", "directory", "fifo"] {
            assert!(open_regular(OpenOptions::new().read(true), &path(name)).is_err(), "{name}");
            assert!(open_regular(OpenOptions::new().create(true).append(true), &path(name)).is_err(), "{name}");
        }
        assert!(!path("planted").exists());
        // Also where somebody reads from the FIFO.
        let _reader = OpenOptions::new().read(true).write(true).open(path("fifo")).unwrap();
        assert!(open_regular(OpenOptions::new().append(true), &path("fifo")).is_err());
        open_regular(OpenOptions::new().create(true).append(true), &path("new")).unwrap();
        assert_eq!(std::fs::metadata(path("new")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nothing_outside_of_a_directory_is_read_by_whatever_way() {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        for parent in [top.join("a/b"), outside.clone()] {
            std::fs::create_dir_all(&parent).unwrap();
            std::fs::write(parent.join("file"), "12345").unwrap();
        }
        std::os::unix::fs::symlink(&outside, top.join("link")).unwrap();
        std::os::unix::fs::symlink("a", top.join("inner")).unwrap();
        std::os::unix::fs::symlink(outside.join("file"), top.join("file")).unwrap();
        let read = |path: &str| read_beneath(&top, Path::new(path), 5).ok();
        assert_eq!(read("a/b/file").as_deref(), Some("12345"));
        assert_eq!(read("./a/./b/file").as_deref(), Some("12345"));
        for path in
            ["link/file", "inner/b/file", "file", "../outside/file", "a/../../outside/file", "", ".", "a/b", "/"]
        {
            assert_eq!(read(path), None, "{path}");
        }
        assert_eq!(read_beneath(&top, &outside.join("file"), 5).ok(), None);
        assert!(read_beneath(&top, Path::new("a/b/file"), 4).is_err());
        std::os::unix::fs::symlink(&top, dir.path().join("way")).unwrap();
        assert!(read_beneath(&dir.path().join("way"), Path::new("a/b/file"), 5).is_ok(), "the top itself is given");
    }

    #[test]
    fn links_directories_and_large_files_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, dir.path().join("link")).unwrap();
        assert!(read_regular(&dir.path().join("link"), 100).is_err());
        assert!(read_regular(dir.path(), 100).is_err());
        assert!(read_regular(&file, 4).is_err());
        assert_eq!(read_regular_text(&file, 5).unwrap(), "12345");
    }

    #[test]
    fn an_empty_file_and_one_that_does_not_tell_its_size_are_read_to_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(read_regular_text(&file, 5).unwrap(), "");
        let limits = Path::new("/proc/self/limits");
        assert_eq!(std::fs::metadata(limits).unwrap().len(), 0);
        assert_eq!(read_regular(limits, 1 << 20).unwrap(), std::fs::read(limits).unwrap());
    }
}
