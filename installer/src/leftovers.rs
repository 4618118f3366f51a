//! Temporary files of an installer that was killed: found by their exact names, and removed once nobody can be at work
//! on them any more. One that alone holds what somebody else wrote is put back first.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::env::Env;
use stopgate_core::event_id::is_event_id;
use stopgate_core::fsx;
use stopgate_core::lock::HeldLock;
use stopgate_core::paths::Home;
use stopgate_registry::taken_back;

use crate::digest::sha256;
use crate::ledger::Ledger;
use crate::settings::exchange;
use crate::{backup, home};

/// What every temporary file of ours begins with.
pub(crate) const PREFIX: &str = ".stopgate-";
/// What it ends with.
pub(crate) const SUFFIX: &str = ".tmp";
/// How many letters and digits are between them in a settings directory; elsewhere it is an event id.
pub(crate) const RANDOM: usize = 16;
/// The same of older installers, which did not say that they were at work.
const OLDER_RANDOM: usize = 12;
/// No write takes so long.
const OLD: Duration = Duration::from_mins(1);
/// How many hexadecimal digits of a digest a name holds.
const DIGEST: usize = 16;
/// Longer file names are left out of the names of temporary files, which may have 255 bytes.
const MAX_FILE_NAME: usize = 160;
/// Larger than any settings file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How long to wait for one who clears up.
const AT_WORK_WAIT: Duration = Duration::from_secs(1);
const AT_WORK_RETRY: Duration = Duration::from_millis(1);

/// Says to whoever clears up that somebody is at work in `dir` for as long as it is held: its temporary files are in use.
/// `None` where directories cannot be locked; there only the age of a file tells.
pub(crate) fn at_work(dir: &Path) -> Option<HeldLock> {
    let dir = File::open(dir).ok()?;
    let until = Instant::now() + AT_WORK_WAIT;
    loop {
        match dir.try_lock_shared() {
            Ok(()) => return Some(HeldLock::new(dir)),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(AT_WORK_RETRY),
            Err(_) => return None,
        }
    }
}

/// Whether somebody is [`at_work`] in a directory.
#[derive(Debug)]
enum Work {
    /// Nobody, and nobody begins while this is held.
    Nobody(#[expect(dead_code, reason = "held, not read")] HeldLock),
    Somebody,
    Unknown,
}

impl Work {
    fn beside(path: &Path) -> Self {
        let Some(dir) = path.parent().and_then(|dir| File::open(dir).ok()) else { return Self::Unknown };
        match dir.try_lock() {
            Ok(()) => Self::Nobody(HeldLock::new(dir)),
            Err(TryLockError::WouldBlock) => Self::Somebody,
            Err(TryLockError::Error(_)) => Self::Unknown,
        }
    }
}

/// The name of a temporary file that is about to change places with `file`, whose content is expected to be `expected`;
/// `own` is that of the temporary file. After a kill it tells whose content is in it.
pub(crate) fn exchange_name(random: &str, expected: &[u8], own: &[u8], file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str()).filter(|name| name.len() <= MAX_FILE_NAME);
    let (expected, own) = (sha256(expected), sha256(own));
    format!("{PREFIX}{random}-{}-{}-{}{SUFFIX}", &expected[..DIGEST], &own[..DIGEST], name.unwrap_or_default())
}

/// What a name of ours says.
#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    /// Of an older installer, or of the home's own files: who is at work on it is not told.
    Old,
    /// Not yet moved: it holds nothing but what an installer wrote.
    New,
    /// [`exchange_name`].
    Exchanged { expected: &'a str, own: &'a str, file: &'a str },
}

impl<'a> Name<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        let rest = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let is_random = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_event_id(rest) || is_random(rest, OLDER_RANDOM) {
            return Some(Self::Old);
        }
        if is_random(rest, RANDOM) {
            return Some(Self::New);
        }
        let mut parts = rest.splitn(4, '-');
        let (random, expected, own, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_digest = |text: &str| text.len() == DIGEST && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_ours = is_random(random, RANDOM) && is_digest(expected) && is_digest(own);
        is_ours.then_some(Self::Exchanged { expected, own, file })
    }
}

/// What is to become of a file.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Somebody else's, or in use.
    Stays,
    /// Nobody needs what it holds.
    Goes,
    /// It alone holds what somebody wrote to this file while an installer wrote it.
    BelongsTo(PathBuf),
    /// The same, but the file was written anew since.
    Superseded(PathBuf),
}

impl Fate {
    /// Call it while `work` is held.
    fn of(path: &Path, work: &Work) -> Self {
        let Some((name, meta)) = Name::of(path).zip(std::fs::symlink_metadata(path).ok()) else { return Self::Stays };
        if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() {
            return Self::Stays;
        }
        let is_left = match (&name, work) {
            (Name::New | Name::Exchanged { .. }, Work::Nobody(_)) => true,
            (Name::New | Name::Exchanged { .. }, Work::Somebody) => false,
            _ => is_old(&meta),
        };
        match name {
            _ if !is_left => Self::Stays,
            Name::Old | Name::New => Self::Goes,
            Name::Exchanged { expected, own, file } => Self::of_exchanged(path, expected, own, file),
        }
    }

    fn of_exchanged(path: &Path, expected: &str, own: &str, file: &str) -> Self {
        let digest = |path: &Path| fsx::read_regular(path, MAX_BYTES).map(|bytes| sha256(&bytes));
        let Ok(held) = digest(path) else { return Self::Stays };
        if held.starts_with(own) || held.starts_with(expected) {
            return Self::Goes;
        }
        if file.is_empty() {
            return Self::Superseded(path.to_owned());
        }
        let target = path.with_file_name(file);
        match digest(&target) {
            Ok(now) if now == held => Self::Goes,
            Ok(now) if now.starts_with(own) => Self::BelongsTo(target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::BelongsTo(target),
            _ => Self::Superseded(target),
        }
    }
}

fn is_old(meta: &Metadata) -> bool {
    let age = meta.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > OLD)
}

/// Where an installer of `home` may have left something behind, as far as the ledger and the environment tell.
pub(crate) fn places(environment: &dyn Env, home: &Home, ledger: &Ledger) -> Vec<PathBuf> {
    let mut places = vec![home.root().to_owned(), home.bin(), home.run(), home.backups()];
    let backups = std::fs::read_dir(home.backups()).into_iter().flatten().filter_map(Result::ok);
    places.extend(backups.map(|entry| entry.path()).filter(|path| path.is_dir()));
    places.extend(taken_back::file(environment).and_then(|file| Some(file.parent()?.to_owned())));
    for install in &ledger.installs {
        let files =
            [&install.settings, &install.written].into_iter().chain(install.trust.iter().map(|one| &one.config));
        places.extend(files.flat_map(|file| around(file)));
    }
    places
}

/// The directories in which `file` is written: its own, and that of what it links to.
pub(crate) fn around(file: &Path) -> Vec<PathBuf> {
    let real = file.canonicalize().ok();
    [Some(file), real.as_deref()].into_iter().flatten().filter_map(Path::parent).map(Path::to_owned).collect()
}

fn all<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut dirs: Vec<_> = dirs.into_iter().filter_map(|dir| dir.canonicalize().ok().map(|real| (real, dir))).collect();
    // Each once, by the first of its names.
    dirs.sort_by(|left, right| left.0.cmp(&right.0));
    dirs.dedup_by(|left, right| left.0 == right.0);
    let entries = dirs.iter().filter_map(|(_, dir)| std::fs::read_dir(dir).ok()).flatten().filter_map(Result::ok);
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| Name::of(path).is_some()).collect();
    found.sort();
    found
}

/// The leftovers in `dirs` that nobody needs, each once, in order.
pub(crate) fn find<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let goes = |path: &PathBuf| Fate::of(path, &Work::beside(path)) == Fate::Goes;
    all(dirs).into_iter().filter(goes).collect()
}

/// Those that alone hold what somebody else wrote.
pub(crate) fn foreign<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let is_foreign =
        |path: &PathBuf| matches!(Fate::of(path, &Work::beside(path)), Fate::BelongsTo(_) | Fate::Superseded(_));
    all(dirs).into_iter().filter(is_foreign).collect()
}

/// Removes what [`find`] has found, and returns what is gone.
pub(crate) fn remove(found: &[PathBuf]) -> Vec<&Path> {
    let gone = |path: &&Path| {
        let work = Work::beside(path);
        Fate::of(path, &work) == Fate::Goes && std::fs::remove_file(path).is_ok()
    };
    found.iter().map(PathBuf::as_path).filter(gone).collect()
}

/// Gives back what [`foreign`] finds, before anything is planned on the files: where a file was written anew since, what
/// is older is kept among the backups. Returns what was done, a line each; what cannot be done stays.
pub(crate) fn give_back<'a>(home: &Home, dirs: impl IntoIterator<Item = &'a Path>) -> Vec<String> {
    let mut lines = Vec::new();
    for path in foreign(dirs) {
        let work = Work::beside(&path);
        let done = match Fate::of(&path, &work) {
            Fate::BelongsTo(file) => exchange::return_to(&path, &file)
                .map(|()| format!("{}: is again what somebody wrote when an installer was killed", file.display()))
                .map_err(anyhow::Error::from),
            Fate::Superseded(file) if home::is_marked(home) => fsx::read_regular(&path, MAX_BYTES)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| backup::keep(home, &file, &bytes, SystemClock.now_ms()))
                .and_then(|kept| Ok(std::fs::remove_file(&path).map(|()| kept)?))
                .map(|kept| {
                    let kept = kept.display();
                    format!(
                        "{}: what stood there for a moment when an installer was killed is in {kept}",
                        file.display()
                    )
                }),
            _ => continue,
        };
        lines
            .push(done.unwrap_or_else(|error| format!("{}: left behind, and not put back: {error:#}", path.display())));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use stopgate_core::clock::SystemClock;
    use stopgate_core::event_id::new_event_id;

    #[test]
    fn only_old_files_of_exactly_our_names_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let id = format!(".stopgate-{}.tmp", new_event_id(&SystemClock));
        let old = SystemTime::now() - Duration::from_secs(90);
        let ours = [".stopgate-aB3456789012.tmp", id.as_str()];
        let others = [
            ".stopgate-aB345678901.tmp",
            ".stopgate-aB34567890123.tmp",
            ".stopgate-aB345678901-.tmp",
            ".stopgate-aB3456789012.tmp~",
            "stopgate-aB3456789012.tmp",
            ".stopgate-notes.tmp",
            ".stopgate-.tmp",
            ".stopgate-home",
        ];
        for name in ours.iter().chain(&others) {
            File::create(path(name)).unwrap().set_modified(old).unwrap();
        }
        std::fs::write(path(".stopgate-young6789012.tmp"), "").unwrap();
        File::create(path(".stopgate-aB34567890123456.tm")).unwrap().set_modified(old).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path(".stopgate-link56789012.tmp")).unwrap();
        std::fs::create_dir(path(".stopgate-dir456789012.tmp")).unwrap();
        let found = find([dir.path(), dir.path(), &path("nowhere")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(remove(&found), found);
        assert!(ours.iter().all(|name| !path(name).exists()) && others.iter().all(|name| path(name).exists()));
        assert_eq!(find([dir.path()]), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_names_are_those_that_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let made = crate::settings::write::temporary(dir.path()).unwrap();
        assert_eq!(Name::of(made.path()), Some(Name::New), "{:?}", made.path());
        let random = "a".repeat(RANDOM);
        for (file, kept) in [("settings.json", "settings.json"), ("a-b", "a-b"), (&*"x".repeat(250), "")] {
            let name = exchange_name(&random, b"old", b"new", Path::new(file));
            assert!(name.len() < 256);
            let (expected, own) = (sha256(b"old"), sha256(b"new"));
            let expected = Name::Exchanged { expected: &expected[..DIGEST], own: &own[..DIGEST], file: kept };
            assert_eq!(Name::of(Path::new(&name)), Some(expected), "{name}");
        }
    }

    /// A directory with `settings.json` as `now`, and a leftover that holds `held`, as a replacement of `old` by `new`
    /// leaves it behind.
    fn killed(now: Option<&str>, held: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        if let Some(now) = now {
            std::fs::write(&file, now).unwrap();
        }
        let left = dir.path().join(exchange_name(&"r".repeat(RANDOM), b"old", b"new", &file));
        std::fs::write(&left, held).unwrap();
        (dir, file, left)
    }

    #[test]
    fn one_that_alone_holds_what_somebody_wrote_is_put_back_or_kept_and_no_other() {
        for (now, held, after, is_kept) in [
            (Some("old"), "new", Some("old"), false),
            (Some("new"), "old", Some("new"), false),
            (None, "old", None, false),
            (Some("theirs"), "theirs", Some("theirs"), false),
            (Some("new"), "theirs", Some("theirs"), false),
            (None, "theirs", Some("theirs"), false),
            (Some("later"), "theirs", Some("later"), true),
        ] {
            let (dir, file, left) = killed(now, held);
            let place = tempfile::tempdir().unwrap();
            let home = Home::at(place.path().join("home"));
            home::create(&home).unwrap();
            // While an installer is at work it is not a leftover.
            let work = at_work(dir.path()).unwrap();
            assert_eq!((find([dir.path()]), give_back(&home, [dir.path()])), (vec![], vec![]));
            drop(work);
            let said = give_back(&home, [dir.path()]);
            remove(&find([dir.path()]));
            assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), after, "{now:?} {held}: {said:?}");
            assert!(!left.exists(), "{now:?} {held}: {said:?}");
            let kept = backup::list(&home).unwrap();
            assert_eq!(kept.iter().any(|kept| std::fs::read_to_string(&kept.copy).unwrap() == held), is_kept);
        }
    }

    #[test]
    fn without_a_home_nothing_that_somebody_wrote_is_removed() {
        let (dir, _, left) = killed(Some("later"), "theirs");
        assert_eq!(give_back(&Home::at(dir.path().join("gone")), [dir.path()]), Vec::<String>::new());
        assert_eq!(remove(std::slice::from_ref(&left)), Vec::<&Path>::new());
        assert!(left.exists());
    }
}
