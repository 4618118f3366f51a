//! The run-time home: made, marked as ours, and removed only if the mark is there.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_core::paths::{HOME_MARKER, Home};

use crate::exit::Refusal;
use crate::filesystem::{self, Mount};

const MARK: &str = "This directory belongs to stopgate. `installer uninstall --all --purge` removes it.\n";
/// How often a home is emptied into which somebody still writes.
const PURGE_ATTEMPTS: usize = 20;
const PURGE_PAUSE: Duration = Duration::from_millis(50);
/// What a home may hold before it carries the mark: what hooks, authority and people put there.
const KNOWN: [&str; 14] = [
    "backups",
    "bin",
    "config.toml",
    "learned",
    "ledger.json",
    "log",
    "manifest.json",
    "run",
    "spool",
    "stopgate.db",
    "switches",
    "upgrades",
    "version",
    ".gitignore",
];

/// Whether the home carries the mark.
pub(crate) fn is_marked(home: &Home) -> bool {
    home.root().join(HOME_MARKER).is_file()
}

/// Refuses a directory that is somebody else's: the mark lets `--purge` remove everything in it.
pub(crate) fn check(home: &Home) -> Result<(), Refusal> {
    let root = home.root();
    let shown = root.display();
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Refusal(format!("{shown}: cannot be used as stopgate's home: {error}"))),
    };
    if is_marked(home) {
        return Ok(());
    }
    let is_known =
        |name: &str| KNOWN.contains(&name) || name.starts_with("stopgate.db") || name.starts_with(".stopgate");
    let foreign = entries.filter_map(Result::ok).find(|entry| !entry.file_name().to_str().is_some_and(is_known));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(Refusal(format!(
            "{shown}: holds {}, which is not stopgate's; set STOPGATE_HOME to a directory of its own",
            entry.path().display()
        ))),
    }
}

/// Why no program in the home can be started, if the place forbids that.
pub(crate) fn forbids_programs(home: &Home) -> Option<String> {
    let bin = home.bin();
    let at = || filesystem::mount_of(&bin).map(|mount| format!(" at {}", mount.point.display())).unwrap_or_default();
    filesystem::is_noexec(&bin)
        .then(|| format!("on a file system whose programs cannot be run (mounted noexec{})", at()))
}

/// What to do about [`forbids_programs`].
pub(crate) const ELSEWHERE: &str = "set STOPGATE_HOME to a directory on another file system and run `installer init` \
                                    again, or mount it with exec";

/// Refuses a place where hooks would be registered that no harness can start.
pub(crate) fn check_programs(home: &Home) -> Result<(), Refusal> {
    let refusal = |what| Refusal(format!("{}: {what}: no hook would start; {ELSEWHERE}", home.bin().display()));
    forbids_programs(home).map_or(Ok(()), |what| Err(refusal(what)))
}

/// The file system that the home lies on, if other machines may have it mounted as well.
pub(crate) fn shared(home: &Home) -> Option<Mount> {
    filesystem::mount_of(home.root()).filter(Mount::is_shared)
}

/// Makes the home, with mode 0700, and marks it; `false` if it was marked already.
pub(crate) fn create(home: &Home) -> Result<bool> {
    let root = home.root();
    home.create().with_context(|| format!("cannot create {}", root.display()))?;
    let mode =
        std::fs::metadata(root).with_context(|| format!("cannot look at {}", root.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(root, Permissions::from_mode(0o700))
            .with_context(|| format!("cannot make {} private", root.display()))?;
    }
    if is_marked(home) {
        return Ok(false);
    }
    let mark = root.join(HOME_MARKER);
    fsx::write_atomic(&mark, MARK.as_bytes(), 0o600).with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(true)
}

/// Whether the home may be removed with everything in it.
pub(crate) fn check_purge(environment: &dyn Env, home: &Home) -> Result<(), Refusal> {
    let root = home.root();
    let shown = root.display();
    // One that was emptied, and not removed because somebody ended the installer: nothing can be lost with it.
    let is_empty = || std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
    if !is_marked(home) && !is_empty() {
        return Err(Refusal(format!(
            "{shown}: does not carry the file {HOME_MARKER}, so it is not certain to be stopgate's; nothing is removed. \
             Look at it and remove it by hand"
        )));
    }
    let person = environment.os(env::HOME).map(std::path::PathBuf::from);
    let is_link = std::fs::symlink_metadata(root).is_ok_and(|meta| meta.is_symlink());
    if is_link || root.parent().is_none() || person.is_some_and(|person| holds(root, &person)) {
        return Err(Refusal(format!("{shown}: is a link or holds more than stopgate; remove it by hand")));
    }
    Ok(())
}

fn holds(root: &Path, person: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(person).starts_with(real(root))
}

/// Removes the home. Call [`check_purge`] first.
///
/// The mark goes last: what is interrupted can be repeated. A hook that still runs may write a file meanwhile.
pub(crate) fn purge(home: &Home) -> Result<()> {
    let root = home.root();
    let mut emptied = empty(root);
    for _ in 1..PURGE_ATTEMPTS {
        if emptied.is_ok() {
            break;
        }
        std::thread::sleep(PURGE_PAUSE);
        emptied = empty(root);
    }
    emptied
        .and_then(|()| match std::fs::remove_file(root.join(HOME_MARKER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .and_then(|()| std::fs::remove_dir(root))
        .with_context(|| format!("cannot remove {}", root.display()))
}

/// Removes everything in `root` but the mark.
fn empty(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name() == HOME_MARKER {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    let left = std::fs::read_dir(root)?.filter_map(Result::ok).any(|entry| entry.file_name() != HOME_MARKER);
    if left { Err(io::ErrorKind::DirectoryNotEmpty.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn a_directory_with_foreign_files_is_no_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::write(dir.path().join("stopgate.db-wal"), "").unwrap();
        std::fs::create_dir(dir.path().join("switches")).unwrap();
        assert_eq!(check(&home), Ok(()));
        std::fs::write(dir.path().join("thesis.tex"), "").unwrap();
        assert!(check(&home).unwrap_err().0.contains("thesis.tex"));
        assert_eq!(check(&Home::at(dir.path().join("new"))), Ok(()));
    }

    #[test]
    fn a_home_is_private_and_marked() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let home = Home::at(dir.path());
        create(&home).unwrap();
        assert!(is_marked(&home));
        assert_eq!(std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn only_a_marked_home_that_holds_nobody_is_purged() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("stopgate"));
        std::fs::create_dir(home.root()).unwrap();
        let quiet = MapEnv::default();
        std::fs::write(home.root().join("thesis.tex"), "").unwrap();
        assert!(check_purge(&quiet, &home).unwrap_err().0.contains(HOME_MARKER));
        std::fs::remove_file(home.root().join("thesis.tex")).unwrap();
        create(&home).unwrap();
        let person = home.root().join("dev");
        assert!(check_purge(&MapEnv::of([(env::HOME, person.to_str().unwrap())]), &home).is_err());
        check_purge(&quiet, &home).unwrap();
        purge(&home).unwrap();
        assert!(!home.root().exists());
        // Ended after the mark was gone.
        std::fs::create_dir(home.root()).unwrap();
        check_purge(&quiet, &home).unwrap();
        purge(&home).unwrap();
        assert!(!home.root().exists());
    }
}
