//! The files that are neither tracked nor ignored, without a look at all of them: there may be hundreds of thousands.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stopgate_core::subprocess::Ending;

use super::plans;
use crate::git::{Git, Unlisted};
use crate::instance::fnv1a;

/// Files whose names and states are kept, besides those of plans.
const MAX_FILES: usize = 4_000;
/// Plan-like files that are kept.
const MAX_PLANS: usize = 1_000;
/// Entries that are looked at in directories of which nothing is tracked.
const MAX_WALKED: usize = 10_000;
/// Entries between two looks at the clock.
const CLOCK_STRIDE: usize = 256;
/// How long a list counts at least, and how many times as long as making it took: new files change neither HEAD nor
/// index. A plan that matters was there before the session, so a list that is a little old hides none.
const AGE: Duration = Duration::from_secs(5);
const AGE_PER_COST: u32 = 50;

/// The files that are neither tracked nor ignored.
#[derive(Debug)]
pub(super) struct Untracked {
    /// How many; of a directory with nothing tracked that is not looked into to its end, those that were seen.
    pub(super) count: u32,
    /// Some of them, relative to the top.
    pub(super) files: Vec<String>,
    /// Those that read like plans.
    pub(super) plans: Vec<String>,
    /// A hash of all their names.
    pub(super) names: u64,
    listed: Instant,
    took: Duration,
}

impl Untracked {
    /// Lists them. Directories with nothing tracked are not gone through by git, which has no limit there, but here.
    pub(super) fn list(git: &Git, top: &Path, deadline: Instant) -> Result<Self, Unlisted> {
        let listed = Instant::now();
        let output = git.list(top, &["ls-files", "-z", "--others", "--exclude-standard", "--directory"], deadline)?;
        let mut names = fnv1a(&output);
        let mut found = Self { count: 0, files: Vec::new(), plans: Vec::new(), names, listed, took: Duration::ZERO };
        let mut directories = VecDeque::new();
        for (at, path) in output.split(|byte| *byte == 0).filter(|path| !path.is_empty()).enumerate() {
            if at.is_multiple_of(CLOCK_STRIDE) && Instant::now() >= deadline {
                return Err(Unlisted::NotInTime);
            }
            match path.strip_suffix(b"/") {
                Some(directory) => directories.push_back(PathBuf::from(OsStr::from_bytes(directory))),
                None => found.take(path),
            }
        }
        let walked = walk(top, directories, deadline)?;
        let kept = without_ignored(git, top, walked, deadline)?;
        names = kept.iter().fold(names, |hash, path| hash.rotate_left(1) ^ fnv1a(path));
        for path in &kept {
            found.take(path);
        }
        (found.names, found.took) = (names, listed.elapsed());
        Ok(found)
    }

    fn take(&mut self, path: &[u8]) {
        self.count = self.count.saturating_add(1);
        // What is no UTF-8 is in the hash alone.
        let Ok(path) = std::str::from_utf8(path) else { return };
        if plans::is_plan_like(path) && self.plans.len() < MAX_PLANS {
            self.plans.push(path.to_owned());
        }
        if self.files.len() < MAX_FILES {
            self.files.push(path.to_owned());
        }
    }

    /// Whether the list still counts.
    pub(super) fn is_fresh(&self) -> bool {
        self.listed.elapsed() < AGE.max(self.took * AGE_PER_COST)
    }
}

/// The files below `directories` (relative to `top`), those nearest to the top first, as far as they go. Links are not
/// followed, and what is a repository of its own is not entered.
fn walk(top: &Path, mut directories: VecDeque<PathBuf>, deadline: Instant) -> Result<Vec<Vec<u8>>, Unlisted> {
    let mut files = Vec::new();
    let mut seen = 0;
    while let Some(directory) = directories.pop_front() {
        if Instant::now() >= deadline {
            return Err(Unlisted::NotInTime);
        }
        let own = top.join(&directory);
        if own.join(".git").symlink_metadata().is_ok() {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&own) else { continue };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MAX_WALKED {
                return Ok(files);
            }
            if seen % CLOCK_STRIDE == 0 && Instant::now() >= deadline {
                return Err(Unlisted::NotInTime);
            }
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    let foreign = entry.file_name().to_str().is_some_and(plans::is_foreign_directory);
                    if !foreign {
                        directories.push_back(path);
                    }
                }
                Ok(_) => files.push(path.into_os_string().into_encoded_bytes()),
                Err(_) => {}
            }
        }
    }
    Ok(files)
}

/// What keeps a path from being read as anything else.
const HERE: &[u8] = b"./";

/// `files` without those that git ignores, in order.
fn without_ignored(
    git: &Git,
    top: &Path,
    mut files: Vec<Vec<u8>>,
    deadline: Instant,
) -> Result<Vec<Vec<u8>>, Unlisted> {
    if files.is_empty() {
        return Ok(files);
    }
    // The order that directories have on disk says nothing.
    files.sort_unstable();
    let asked: Vec<u8> = files.iter().flat_map(|path| [HERE, path, b"\0"].concat()).collect();
    let answer = git.filter(top, &["check-ignore", "-z", "--stdin"], &asked, deadline).ok_or(Unlisted::NotInTime)?;
    match answer.ending {
        // 1: none is.
        Ending::Exited(status) if matches!(status.code(), Some(0 | 1)) => {}
        // Which are is not known: none of them counts.
        Ending::Exited(_) => return Ok(Vec::new()),
        Ending::Deadline | Ending::TooMuch | Ending::Lost => return Err(Unlisted::NotInTime),
    }
    let ignored: HashSet<&[u8]> =
        answer.stdout.split(|byte| *byte == 0).filter_map(|path| path.strip_prefix(HERE)).collect();
    files.retain(|path| !ignored.contains(path.as_slice()));
    Ok(files)
}
