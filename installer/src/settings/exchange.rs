//! A file put in the place of another one, or taken away, without losing what somebody else writes at the same moment: what
//! stood there is looked at once it has another name, and put back if it is not what was expected.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempPath;

/// How often somebody may write the file while what they wrote is put back.
const ATTEMPTS: usize = 100;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// Somebody else wrote the file: what they wrote stands there.
    Changed,
}

/// Puts `new` in the place of `file`, if what stands there `is_expected`. Where the file system can exchange two names
/// nothing is lost that is written meanwhile; elsewhere it is what was looked at before that decides.
pub(super) fn replace(new: TempPath, file: &Path, is_expected: impl Fn(&Path) -> bool) -> io::Result<Outcome> {
    let own = identity(&new)?;
    let aside = new;
    match exchange(&aside, file) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(Outcome::Changed),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            aside.persist(file).map_err(|error| error.error)?;
            return Ok(Outcome::Done);
        }
        Err(error) => return Err(error.into()),
    }
    if is_expected(&aside) {
        return Ok(Outcome::Done);
    }
    put_back(aside, file, own)
}

/// Takes `file` away, if it `is_expected`; `empty` gives it a name meanwhile.
pub(super) fn remove(empty: TempPath, file: &Path, is_expected: impl Fn(&Path) -> bool) -> io::Result<Outcome> {
    let aside = empty;
    match std::fs::rename(file, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Changed),
        Err(error) => return Err(error),
    }
    if is_expected(&aside) {
        return Ok(Outcome::Done);
    }
    match aside.persist_noclobber(file) {
        // Whoever wrote it anew meanwhile knew the older one.
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(kept(error.path, &error.error)),
        _ => Ok(Outcome::Changed),
    }
}

/// Gives `file` back what lies `aside`, unless somebody has written it anew: then that stays. `ours` stands there now.
fn put_back(aside: TempPath, file: &Path, ours: (u64, u64)) -> io::Result<Outcome> {
    let mut superseded = ours;
    for _ in 0..ATTEMPTS {
        let theirs = identity(&aside)?;
        match exchange(&aside, file) {
            Ok(()) => {}
            // Removed by somebody, who removed what is ours.
            Err(Errno::NOENT) => {
                return match aside.persist_noclobber(file) {
                    Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                        Err(kept(error.path, &error.error))
                    }
                    _ => Ok(Outcome::Changed),
                };
            }
            Err(error) => return Err(kept(aside, &error.into())),
        }
        if identity(&aside)? == superseded {
            return Ok(Outcome::Changed);
        }
        // Newer than what was put back.
        superseded = theirs;
    }
    Err(kept(aside, &io::Error::other("somebody keeps writing it")))
}

/// Puts what is at `left` back to `file`, where it stood before an installer was killed in the middle: what that one wrote
/// stands there now, or nothing.
pub(crate) fn return_to(left: &Path, file: &Path) -> io::Result<()> {
    let aside = TempPath::try_from_path(left)?;
    let ours = match identity(file) {
        Ok(ours) => ours,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return aside.persist_noclobber(file).map_err(|error| kept(error.path, &error.error));
        }
        Err(error) => return Err(kept(aside, &error)),
    };
    put_back(aside, file, ours).map(|_| ())
}

/// What somebody else wrote is never removed: it stays where it is, and that is said.
fn kept(aside: TempPath, error: &io::Error) -> io::Error {
    let place = aside.to_path_buf();
    let _ = aside.keep();
    io::Error::new(error.kind(), format!("{error}; what somebody else has just written is in {}", place.display()))
}

fn exchange(one: &Path, other: &Path) -> Result<(), Errno> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::NamedTempFile;

    fn stage(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        std::fs::write(&file, content).unwrap();
        (dir, file)
    }

    fn new(dir: &Path, content: &str) -> TempPath {
        let new = NamedTempFile::new_in(dir).unwrap();
        std::fs::write(new.path(), content).unwrap();
        new.into_temp_path()
    }

    fn holds(path: &Path, content: &str) -> bool {
        std::fs::read_to_string(path).is_ok_and(|text| text == content)
    }

    #[test]
    fn what_is_expected_is_replaced_and_what_is_not_stays_and_nothing_is_left_behind() {
        for (there, outcome, after) in [("old", Outcome::Done, "ours"), ("theirs", Outcome::Changed, "theirs")] {
            let (dir, file) = stage(there);
            let done = replace(new(dir.path(), "ours"), &file, |aside| holds(aside, "old")).unwrap();
            assert_eq!((done, holds(&file, after)), (outcome, true));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn the_newest_of_what_others_write_while_theirs_is_put_back_stays() {
        let (dir, file) = stage("theirs");
        let is_expected = |_: &Path| {
            // Between the exchange and the way back, by rename as clients do it.
            std::fs::write(dir.path().join("next"), "newer").unwrap();
            std::fs::rename(dir.path().join("next"), &file).unwrap();
            false
        };
        assert_eq!(replace(new(dir.path(), "ours"), &file, is_expected).unwrap(), Outcome::Changed);
        assert!(holds(&file, "newer"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_removes_or_makes_something_else_of_meanwhile_is_theirs() {
        let (dir, file) = stage("theirs");
        let is_expected = |_: &Path| std::fs::remove_file(&file).is_err();
        assert_eq!(replace(new(dir.path(), "ours"), &file, is_expected).unwrap(), Outcome::Changed);
        assert!(holds(&file, "theirs"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(replace(new(dir.path(), "ours"), &file, |_| true).unwrap(), Outcome::Changed);
        std::fs::create_dir(&file).unwrap();
        assert_eq!(replace(new(dir.path(), "ours"), &file, |aside| holds(aside, "old")).unwrap(), Outcome::Changed);
        assert!(file.is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_what_is_expected_is_removed() {
        for (there, outcome) in [("old", Outcome::Done), ("theirs", Outcome::Changed)] {
            let (dir, file) = stage(there);
            let done = remove(new(dir.path(), ""), &file, |aside| holds(aside, "old")).unwrap();
            assert_eq!((done, file.exists()), (outcome, outcome == Outcome::Changed));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(file.exists()));
        }
        let (dir, file) = stage("theirs");
        let is_expected = |_: &Path| std::fs::write(&file, "newer").is_err();
        let done = remove(new(dir.path(), ""), &file, is_expected).unwrap();
        assert_eq!((done, holds(&file, "newer")), (Outcome::Changed, true));
    }
}
