//! A settings file on the disk: read, replaced in one step, removed; never seen half-written, never overwritten when
//! somebody else wrote in between.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use stopgate_core::fsx;
use tempfile::{NamedTempFile, TempPath};

use super::access::{Access, NotKept};
use super::exchange::{self, Outcome};
use super::obstacle::{self, Obstacle};
use crate::exit::Refusal;
use crate::leftovers;

const NEW_FILE_MODE: u32 = 0o600;
/// Larger than any settings file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The content of the settings file behind `path`, which may be a link; `None` if there is none. What is not a file is
/// not waited for.
pub(crate) fn read_settings(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match path.canonicalize().and_then(|file| fsx::read_regular(&file, MAX_BYTES)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file behind a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What is written: the path itself, or what it links to.
    pub(crate) file: PathBuf,
    /// Directories above it that do not exist, outermost first.
    pub(crate) missing_directories: Vec<PathBuf>,
    /// Other names of the same file, which a replacement leaves behind.
    pub(crate) other_names: u64,
    /// What keeps it from being written: whoever has nothing to write need not care.
    pub(crate) obstacle: Option<Obstacle>,
}

/// Why a file was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Somebody wrote it since it was read.
    Changed,
    /// What replaces it would be open to others than it is, or lack what it has.
    NotKept {
        /// The file.
        file: PathBuf,
        /// What cannot be kept.
        what: NotKept,
    },
    /// The system refused.
    Io {
        /// What was tried.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed => out.write_str("the file was changed by somebody else while it was being edited"),
            Self::NotKept { file, what } => {
                write!(out, "{}: a replacement would not keep what the file has: {what}", file.display())
            }
            Self::Io { doing, source } => write!(out, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for WriteError {}

fn failed(doing: impl Into<String>) -> impl FnOnce(io::Error) -> WriteError {
    let doing = doing.into();
    move |source| WriteError::Io { doing, source }
}

impl Target {
    /// Follows `path` to the file that it names.
    pub(crate) fn resolve(path: &Path) -> Result<Self, Refusal> {
        let shown = path.display();
        let accept = |file: PathBuf, meta: &Metadata| {
            if !meta.is_file() {
                let what =
                    if file == path { String::new() } else { format!("a link to {}, which is ", file.display()) };
                return Err(Refusal(format!("{shown}: {what}not a regular file; move it away, then try again")));
            }
            if meta.len() > MAX_BYTES {
                return Err(Refusal(format!("{}: larger than any settings file; mend or remove it", file.display())));
            }
            let (other_names, obstacle) = (meta.nlink().saturating_sub(1), obstacle::of_file(&file, meta));
            Ok(Self { file, missing_directories: Vec::new(), other_names, obstacle })
        };
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => match path.canonicalize().and_then(|file| Ok((file.metadata()?, file))) {
                Ok((found, file)) => accept(file, &found),
                Err(error) => {
                    Err(Refusal(format!("{shown}: a symbolic link that leads nowhere ({error}); mend or remove it")))
                }
            },
            Ok(meta) => accept(path.to_owned(), &meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let missing_directories = missing_directories(path)?;
                let above = missing_directories.first().map_or(path, PathBuf::as_path).parent();
                let obstacle = above.and_then(|dir| obstacle::of_directory(path, dir));
                Ok(Self { file: path.to_owned(), missing_directories, other_names: 0, obstacle })
            }
            Err(error) => Err(Refusal(format!("{shown}: cannot be looked at: {error}"))),
        }
    }

    /// Refuses if something keeps the file from being written; `otherwise` is what to do then.
    pub(crate) fn refuse_obstacle(&self, otherwise: &str) -> Result<(), Refusal> {
        self.obstacle.as_ref().map_or(Ok(()), |obstacle| Err(obstacle.refusal(otherwise)))
    }

    /// [`Target::resolve`] for a file of `project`: whoever wrote the project may have put a link there, and what that
    /// leads to is not the project's to have edited.
    pub(crate) fn resolve_in(path: &Path, project: Option<&Path>) -> Result<Self, Refusal> {
        let target = Self::resolve(path)?;
        let Some(project) = project else { return Ok(target) };
        let real = |path: &Path| path.ancestors().find_map(|above| above.canonicalize().ok());
        if real(project).zip(real(&target.file)).is_some_and(|(project, file)| file.starts_with(project)) {
            return Ok(target);
        }
        let (shown, file) = (path.display(), target.file.display());
        Err(Refusal(format!("{shown}: leads out of the project, to {file}; replace the link by a file of the project")))
    }

    /// The content; `None` if there is no file.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, WriteError> {
        read_settings(&self.file).map_err(failed(format!("cannot read {}", self.file.display())))
    }

    /// Makes `bytes` the content, provided that it still is `expected`. Owner, group, mode, access list and attributes
    /// stay, and nobody may read the new file who may not read the old one, not even while it is written.
    pub(crate) fn replace(&self, expected: Option<&[u8]>, bytes: &[u8]) -> Result<(), WriteError> {
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir).map_err(failed(format!("cannot create the directory {}", dir.display())))?;
        let access = self.access()?;
        self.replace_as(expected, bytes, access.as_ref(), access.as_ref())
    }

    /// Gives the file, which somebody else has replaced, what it had before.
    pub(crate) fn give_back(&self, access: &Access) -> Result<(), WriteError> {
        let (bytes, now) = (self.read()?, self.access()?);
        match (bytes, now) {
            (Some(bytes), Some(now)) if now != *access => {
                self.replace_as(Some(&bytes), &bytes, Some(&now), Some(access))
            }
            _ => Ok(()),
        }
    }

    /// Replaces what is `expected` and has the access `now` by `bytes` with the access `wanted`.
    fn replace_as(
        &self,
        expected: Option<&[u8]>,
        bytes: &[u8],
        now: Option<&Access>,
        wanted: Option<&Access>,
    ) -> Result<(), WriteError> {
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        let writing = || format!("cannot write in the directory {} (is it writable?)", dir.display());
        let _at_work = leftovers::at_work(dir);
        let mut temporary = temporary(dir).map_err(failed(writing()))?;
        temporary.write_all(bytes).map_err(failed(writing()))?;
        if let Some(access) = wanted {
            let not_kept = |what| WriteError::NotKept { file: self.file.clone(), what };
            access.give(temporary.as_file()).map_err(not_kept)?;
        } else {
            let private = temporary.as_file().set_permissions(PermissionsExt::from_mode(NEW_FILE_MODE));
            private.map_err(failed(writing()))?;
        }
        temporary.as_file().sync_all().map_err(failed(writing()))?;
        // As late as can be: Claude Code rewrites its settings whenever it likes.
        if self.read()?.as_deref() != expected || self.access()?.as_ref() != now {
            return Err(WriteError::Changed);
        }
        // And once more when nobody finds it by its name any more.
        let is_expected = |aside: &Path| {
            let look = || is_as(aside, expected, now);
            look() && {
                sync_directory(dir);
                // One that had it open may have written meanwhile.
                look()
            }
        };
        let moved = match expected {
            Some(expected) => told(temporary, expected, bytes, &self.file)
                .and_then(|temporary| exchange::replace(temporary, &self.file, is_expected)),
            None => temporary.persist_noclobber(&self.file).map(|_| Outcome::Done).map_err(|error| error.error),
        };
        match moved {
            Ok(Outcome::Done) => {
                sync_directory(dir);
                Ok(())
            }
            Ok(Outcome::Changed) => Err(WriteError::Changed),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(WriteError::Changed),
            Err(error) => Err(failed(format!("cannot replace {}", self.file.display()))(error)),
        }
    }

    /// Who may do what with the file; `None` if there is none.
    pub(crate) fn access(&self) -> Result<Option<Access>, WriteError> {
        let found = fsx::open_regular(OpenOptions::new().read(true), &self.file).and_then(|file| Access::of(&file));
        match found {
            Ok(access) => Ok(Some(access)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // It was none when it was found.
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Err(WriteError::Changed),
            Err(error) => Err(failed(format!("cannot look at {}", self.file.display()))(error)),
        }
    }

    /// Removes the file, provided that its content still is `expected`.
    pub(crate) fn remove(&self, expected: &[u8]) -> Result<(), WriteError> {
        if self.read()?.as_deref() != Some(expected) {
            return Err(WriteError::Changed);
        }
        let access = self.access()?;
        let dir = self.file.parent().unwrap_or(Path::new("/"));
        let is_expected = |aside: &Path| is_as(aside, Some(expected), access.as_ref());
        let _at_work = leftovers::at_work(dir);
        let removed = match temporary(dir).and_then(|empty| told(empty, expected, b"", &self.file)) {
            Ok(empty) => exchange::remove(empty, &self.file, is_expected),
            // Not even room for a name.
            Err(_) => std::fs::remove_file(&self.file).map(|()| Outcome::Done),
        };
        match removed.map_err(failed(format!("cannot remove {}", self.file.display())))? {
            Outcome::Done => {
                sync_directory(dir);
                Ok(())
            }
            Outcome::Changed => Err(WriteError::Changed),
        }
    }
}

/// Whether `file` has these bytes and this access.
fn is_as(file: &Path, bytes: Option<&[u8]>, access: Option<&Access>) -> bool {
    let found = fsx::open_regular(OpenOptions::new().read(true), file).and_then(|file| Access::of(&file)).ok();
    found.as_ref() == access && fsx::read_regular(file, MAX_BYTES).ok().as_deref() == bytes
}

/// A temporary file in `dir`, under a name that [`leftovers`] finds again.
pub(crate) fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(leftovers::PREFIX).suffix(leftovers::SUFFIX).rand_bytes(leftovers::RANDOM).tempfile_in(dir)
}

/// `temporary`, which holds `own`, under the name by which [`leftovers`] knows what it is while it changes places with
/// `file`, and whether it is the only holder of what somebody else wrote.
fn told(temporary: NamedTempFile, expected: &[u8], own: &[u8], file: &Path) -> io::Result<TempPath> {
    let plain = temporary.into_temp_path();
    let name = plain.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let random = name.trim_start_matches(leftovers::PREFIX).trim_end_matches(leftovers::SUFFIX);
    let telling = plain.with_file_name(leftovers::exchange_name(random, expected, own, file));
    plain.persist_noclobber(&telling).map_err(|error| error.error)?;
    TempPath::try_from_path(telling)
}

fn missing_directories(path: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let mut missing = Vec::new();
    for dir in path.ancestors().skip(1) {
        match std::fs::metadata(dir) {
            Ok(meta) if meta.is_dir() => break,
            Ok(_) => return Err(Refusal(format!("{}: not a directory; move it away, then try again", dir.display()))),
            Err(_) if std::fs::symlink_metadata(dir).is_ok() => {
                let dir = dir.display();
                return Err(Refusal(format!("{dir}: a symbolic link that leads nowhere; mend or remove it")));
            }
            Err(_) => missing.push(dir.to_owned()),
        }
    }
    missing.reverse();
    Ok(missing)
}

/// The rename itself must survive a power cut; some file systems refuse to sync a directory.
fn sync_directory(dir: &Path) {
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_replacement_keeps_the_mode_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        std::fs::write(&path, "one").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let target = Target::resolve(&path).unwrap();
        target.replace(Some(b"one"), b"two").unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"two"[..], 0o640));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_somebody_else_wrote_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/settings.json");
        let target = Target::resolve(&path).unwrap();
        assert_eq!(target.missing_directories, [dir.path().join("a"), dir.path().join("a/b")]);
        target.replace(None, b"mine").unwrap();
        assert_eq!(mode(&path), 0o600);
        for attempt in [target.replace(None, b"x"), target.replace(Some(b"old"), b"x"), target.remove(b"old")] {
            assert!(matches!(attempt, Err(WriteError::Changed)), "{attempt:?}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
        target.remove(b"mine").unwrap();
        assert_eq!(target.read().unwrap(), None);
    }

    #[test]
    fn a_link_stays_a_link_and_a_dangling_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (real, link, dangling) = (root.join("dotfiles.json"), root.join("settings.json"), root.join("gone.json"));
        std::fs::write(&real, "one").unwrap();
        symlink(&real, &link).unwrap();
        symlink(root.join("nowhere"), &dangling).unwrap();
        let target = Target::resolve(&link).unwrap();
        assert_eq!(target.file, real);
        target.replace(Some(b"one"), b"two").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"two");
        assert!(Target::resolve(&dangling).unwrap_err().0.contains("leads nowhere"));
    }

    #[test]
    fn what_is_no_plain_writable_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        assert!(Target::resolve(dir.path()).unwrap_err().0.contains("not a regular file"));
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o444)).unwrap();
        let refused = Target::resolve(&path).unwrap().refuse_obstacle("do without").unwrap_err().0;
        assert!(refused.contains("read-only; `chmod u+w`") && refused.ends_with("or do without"), "{refused}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::hard_link(&path, dir.path().join("other")).unwrap();
        assert_eq!(Target::resolve(&path).unwrap().other_names, 1);
    }
}
