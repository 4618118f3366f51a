//! A contest that an agent leaves in its checkout, because its sandbox lets it reach no socket: the next stop of that
//! session carries it.
//!
//! Whoever may write in the checkout may have written it, so it is believed as little as anything there: it is small, no
//! link is followed on the way to it, its name and its content are bound to one session, it is of this user, it counts
//! once, and not for long. All that it can do is let one stop of that session go.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use serde_json::Value;

use crate::clock::{UnixMillis, hours, minutes};
use crate::json::{object, text};
use crate::session::SessionKey;

/// Where it lies below the top of a working tree.
const PLACE: [&str; 2] = [".stopgate", "contests"];
/// Largest note that is read, in bytes: the reason is cut to 500 characters later on.
const MAX_BYTES: u64 = 4_096;
/// Longest part of the reason that is written, in bytes.
const MAX_WHY_BYTES: usize = 2_048;
/// How long a note counts: a turn may take hours.
const LIFE_MS: UnixMillis = hours(12);
/// How far the writer's clock may be ahead: both are the machine's.
const AHEAD_MS: UnixMillis = minutes(1);

/// The name of the session's note; `None` for an id that makes no plain name.
fn name(key: &SessionKey) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    key.session_id.bytes().all(is_plain).then(|| format!("{}-{}.json", key.harness, key.session_id))
}

/// The directory `name` in `parent`, which is no link.
fn directory(parent: impl std::os::fd::AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn top(worktree: &Path) -> rustix::io::Result<OwnedFd> {
    openat(CWD, worktree, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Leaves the session's word in the working tree that begins at `worktree`, in place of an earlier one; the file.
///
/// # Errors
/// What the system says: in a sandbox that lets nothing be written, that the file system is read-only.
pub fn leave(worktree: &Path, key: &SessionKey, why: &str, now: UnixMillis) -> io::Result<PathBuf> {
    let name =
        name(key).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the session's id makes no name"))?;
    let mut dir = top(worktree)?;
    for part in PLACE {
        match mkdirat(&dir, part, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        dir = directory(&dir, part)?;
        if part == PLACE[0] {
            ignore(&dir)?;
        }
    }
    let note = object([
        ("session", key.to_string().into()),
        ("why", crate::text::head(why, MAX_WHY_BYTES).into()),
        ("at_ms", now.into()),
    ]);
    let temporary = format!("{name}.{}.tmp", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(&dir, temporary.as_str(), flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(note.to_string().as_bytes());
    let renamed = written.and_then(|()| Ok(renameat(&dir, temporary.as_str(), &dir, name.as_str())?));
    if renamed.is_err() {
        let _ = unlinkat(&dir, temporary.as_str(), AtFlags::empty());
    }
    renamed?;
    Ok(PLACE.iter().fold(worktree.to_owned(), |path, part| path.join(part)).join(name))
}

/// Keeps git from seeing what lies in `dir`, if nothing does yet.
fn ignore(dir: &OwnedFd) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(dir, ".gitignore", flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file).write_all(b"*\n"),
        Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes the session's note out of the working tree at `worktree`, and says why the stop is right; `None` if there is
/// none that counts. What cannot be taken out does not count: it would count again and again.
pub fn take(worktree: &Path, key: &SessionKey, now: UnixMillis) -> Option<String> {
    let name = name(key)?;
    let mut dir = top(worktree).ok()?;
    for part in PLACE {
        dir = directory(&dir, part).ok()?;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&dir, name.as_str(), flags, Mode::empty()).ok()?);
    unlinkat(&dir, name.as_str(), AtFlags::empty()).ok()?;
    let meta = file.metadata().ok()?;
    let is_own = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw() && meta.len() <= MAX_BYTES;
    let mut bytes = Vec::new();
    is_own.then(|| (&file).take(MAX_BYTES).read_to_end(&mut bytes))?.ok()?;
    let note: Value = serde_json::from_slice(&bytes).ok()?;
    let at_ms = note.get("at_ms")?.as_i64()?;
    let counts = text(&note, "session")? == key.to_string()
        && at_ms > now.saturating_sub(LIFE_MS)
        && at_ms < now.saturating_add(AHEAD_MS);
    counts.then(|| text(&note, "why").map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Harness;
    use std::os::unix::fs::symlink;

    const NOW: UnixMillis = 1_800_000_000_000;

    fn key(id: &str) -> SessionKey {
        SessionKey::new(Harness::Codex, id).unwrap()
    }

    #[test]
    fn a_note_counts_once_and_for_its_session_alone() {
        let dir = tempfile::tempdir().unwrap();
        let own = key("01a22a6e-917c");
        let path = leave(dir.path(), &own, "nothing is \"left\"\nto do", NOW).unwrap();
        assert!(path.starts_with(dir.path()) && path.exists());
        assert_eq!(std::fs::read_to_string(dir.path().join(".stopgate/.gitignore")).unwrap(), "*\n");
        assert_eq!(take(dir.path(), &key("another"), NOW), None);
        assert_eq!(take(dir.path(), &own, NOW + 1).as_deref(), Some("nothing is \"left\"\nto do"));
        assert_eq!(take(dir.path(), &own, NOW + 1), None, "once");
        leave(dir.path(), &own, "one", NOW).unwrap();
        leave(dir.path(), &own, "two", NOW).unwrap();
        assert_eq!(take(dir.path(), &own, NOW).as_deref(), Some("two"), "the last word");
        std::fs::rename(leave(dir.path(), &own, "x", NOW).unwrap(), path.with_file_name("codex-other.json")).unwrap();
        assert_eq!(take(dir.path(), &key("other"), NOW), None, "another's word under its name");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing stays");
    }

    #[test]
    fn what_is_late_large_or_broken_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let own = key("a");
        for at_ms in [NOW - LIFE_MS, NOW + AHEAD_MS, UnixMillis::MIN, UnixMillis::MAX] {
            leave(dir.path(), &own, "x", at_ms).unwrap();
            assert_eq!(take(dir.path(), &own, NOW), None, "{at_ms}");
        }
        let path = leave(dir.path(), &own, &"x".repeat(10_000), NOW).unwrap();
        assert_eq!(take(dir.path(), &own, NOW).unwrap().len(), MAX_WHY_BYTES);
        for text in ["", "{", "[]", "{\"session\": 1}", &" ".repeat(5_000)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(take(dir.path(), &own, NOW), None, "{text:?}");
        }
    }

    #[test]
    fn no_link_is_followed_and_no_name_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (top, elsewhere) = (dir.path().join("top"), dir.path().join("elsewhere"));
        let own = key("a");
        for place in [&top, &elsewhere] {
            std::fs::create_dir(place).unwrap();
        }
        let planted = leave(&elsewhere, &own, "planted", NOW).unwrap();
        let is_safe = |what: &str| {
            assert_eq!(take(&top, &own, NOW), None, "{what}");
            assert!(planted.exists(), "{what}");
        };
        symlink(elsewhere.join(".stopgate"), top.join(".stopgate")).unwrap();
        is_safe("the directory is a link");
        assert!(leave(&top, &own, "x", NOW).is_err());
        std::fs::remove_file(top.join(".stopgate")).unwrap();
        let path = leave(&top, &own, "x", NOW).unwrap();
        std::fs::remove_file(&path).unwrap();
        symlink(&planted, &path).unwrap();
        is_safe("the file is a link");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        is_safe("a FIFO is not waited for");
        for id in ["../a", "a/b", "..a", "a.json"] {
            assert!(leave(&top, &key(id), "x", NOW).is_err(), "{id}");
            assert_eq!(take(&top, &key(id), NOW), None, "{id}");
        }
    }
}
