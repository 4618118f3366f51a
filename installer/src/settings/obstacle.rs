//! What keeps a file of others from being replaced, found out before anything is done, with what can be done about it.

use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, IFlags, Mode, OFlags, StatxAttributes, StatxFlags, ioctl_getflags, openat, statx};
use stopgate_core::fsx;

use super::access::Access;
use crate::exit::Refusal;
use crate::filesystem;

/// Directories whose files are made by a build and never written: what they are called by their people.
const STORES: [(&str, &str); 2] = [("/nix/store", "the Nix store"), ("/gnu/store", "the Guix store")];

/// Why a file stays as it is, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// What is in the way; begins with the file.
    pub(crate) what: String,
    /// What whoever may do it can do; `None` if it is no use.
    remedy: Option<String>,
}

impl Obstacle {
    fn of(file: &Path, what: impl std::fmt::Display, remedy: impl Into<Option<String>>) -> Self {
        Self { what: format!("{}: {what}", file.display()), remedy: remedy.into() }
    }

    /// What to do, if `otherwise` is the way around it.
    pub(crate) fn fix(&self, otherwise: &str) -> String {
        match &self.remedy {
            Some(remedy) => format!("{remedy}, or {otherwise}"),
            None => otherwise.to_owned(),
        }
    }

    /// As a refusal of whoever wanted to write.
    pub(crate) fn refusal(&self, otherwise: &str) -> Refusal {
        Refusal(format!("{}; {}", self.what, self.fix(otherwise)))
    }
}

/// What keeps `file`, whose links are followed and which looks like `meta`, from being replaced.
pub(super) fn of_file(file: &Path, meta: &Metadata) -> Option<Obstacle> {
    let found = |what: String, remedy: Option<String>| Some(Obstacle::of(file, what, remedy));
    if let Some((_, store)) = STORES.iter().find(|(store, _)| file.starts_with(store)) {
        return found(format!("lies in {store}, where only a rebuild makes files"), None);
    }
    if is_mounted(file) {
        let what = "is mounted by itself, as containers have single files: it cannot be replaced";
        return found(what.to_owned(), Some("edit it where it comes from".to_owned()));
    }
    let dir = file.parent().unwrap_or(Path::new("/"));
    if let Some(obstacle) = of_directory(file, dir) {
        return Some(obstacle);
    }
    if let Some(what) = flags(file) {
        return found(what, Some(format!("`chattr -i -a {}` as root", file.display())));
    }
    let euid = rustix::process::geteuid();
    if !euid.is_root() && meta.uid() != euid.as_raw() {
        let remedy = "let its owner do it, or make it yours (chown)";
        return found(format!("belongs to another user (uid {})", meta.uid()), Some(remedy.to_owned()));
    }
    if meta.permissions().mode() & 0o222 == 0 {
        return found("read-only".to_owned(), Some("`chmod u+w` it if stopgate may edit it".to_owned()));
    }
    rehearsed(file, dir)
}

/// What keeps a file from being made in `dir`, which exists.
pub(super) fn of_directory(file: &Path, dir: &Path) -> Option<Obstacle> {
    let shown = dir.display();
    if filesystem::is_read_only(dir) {
        let at = filesystem::mount_of(dir).map(|mount| format!(" at {}", mount.point.display())).unwrap_or_default();
        let what = format!("on a file system that is mounted read-only{at}");
        return Some(Obstacle::of(file, what, "mount it for writing".to_owned()));
    }
    if let Some(what) = flags(dir) {
        let remedy = format!("`chattr -i -a {shown}` as root");
        return Some(Obstacle::of(file, format!("the directory {shown} {what}"), remedy));
    }
    if let Err(error) = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        let error = std::io::Error::from(error);
        let what = format!("the directory {shown} cannot be written: {error}");
        return Some(Obstacle::of(file, what, "make it yours (chown, chmod u+w)".to_owned()));
    }
    None
}

/// A replacement that nobody sees, made to find out whether it can have what `file` has. Where a file system knows no
/// files without a name, that shows when the real one is made.
fn rehearsed(file: &Path, dir: &Path) -> Option<Obstacle> {
    let old = fsx::open_regular(OpenOptions::new().read(true), file).ok()?;
    let access = match Access::of(&old) {
        Ok(access) => access,
        Err(error) => return Some(Obstacle::of(file, format!("cannot be looked at: {error}"), None)),
    };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let new = File::from(openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR).ok()?);
    let what = access.give(&new).err()?;
    Some(Obstacle::of(file, format!("a replacement would not keep what the file has: {what}"), None))
}

/// Whether `file` is the root of a mount.
fn is_mounted(file: &Path) -> bool {
    let found = statx(CWD, file, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// What the flags of `path` forbid. Not every file system has any.
fn flags(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = ioctl_getflags(openat(CWD, path, flags, Mode::empty()).ok()?).ok()?;
    if flags.contains(IFlags::IMMUTABLE) {
        return Some("is immutable (chattr +i)".to_owned());
    }
    flags.contains(IFlags::APPEND).then(|| "can only be added to (chattr +a)".to_owned())
}
