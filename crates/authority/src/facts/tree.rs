//! The files of a working tree, and which of them have changed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

use crate::git::{Git, Unlisted};

/// Trees of up to this many files are remembered like everything else; of larger ones, which take some 100 bytes a file,
/// the last one that was listed, if it has no more than this.
const MAX_SMALL: usize = 20_000;
const MAX_REMEMBERED: usize = 300_000;
/// Files between two looks at the clock.
const CLOCK_STRIDE: usize = 1_000;

/// The tracked files as the index has them.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<Tracked>,
}

/// A tracked file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub(crate) path: Box<[u8]>,
    /// Size modulo 2^32, and time of change, when it was last compared.
    size: u32,
    changed: (i64, i64),
}

impl Tracked {
    /// How it was when it was last compared.
    pub(crate) fn indexed(&self) -> FileStat {
        FileStat { size: u64::from(self.size), changed: self.changed }
    }
}

impl Tree {
    /// Lists the tracked files of `top`.
    pub(crate) fn list(git: &Git, top: &Path, deadline: Instant) -> Result<Self, Unlisted> {
        Self::list_within(git, top, &[], deadline)
    }

    /// [`Tree::list`] of what lies at or below `paths`; all, where none is named.
    pub(crate) fn list_within(git: &Git, top: &Path, paths: &[&str], deadline: Instant) -> Result<Self, Unlisted> {
        let arguments: Vec<&str> = ["ls-files", "-z", "--debug", "--"].iter().chain(paths).copied().collect();
        let output = git.list(top, &arguments, deadline)?;
        Ok(Self { files: parse(&output, deadline).ok_or(Unlisted::NotInTime)? })
    }

    pub(crate) fn is_small(&self) -> bool {
        self.files.len() <= MAX_SMALL
    }

    pub(crate) fn can_be_kept(&self) -> bool {
        self.files.len() <= MAX_REMEMBERED
    }

    /// Hands every tracked file that differs in size or time from the index to `take`, without reading any: comparing
    /// them (`git status`) would run the filters that the checkout's own configuration names. `false` if time ran out.
    pub(crate) fn changed(&self, top: &Path, deadline: Instant, mut take: impl FnMut(&Tracked, FileStat)) -> bool {
        for (at, file) in self.files.iter().enumerate() {
            if at % CLOCK_STRIDE == 0 && Instant::now() >= deadline {
                return false;
            }
            let now = FileStat::of(&top.join(OsStr::from_bytes(&file.path)));
            if now.size != u64::from(file.size) || now.changed != file.changed {
                take(file, now);
            }
        }
        true
    }
}

/// Size and time of a file; zeros for one that is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileStat {
    pub(crate) size: u64,
    pub(crate) changed: (i64, i64),
}

impl FileStat {
    pub(crate) fn of(path: &Path) -> Self {
        std::fs::symlink_metadata(path).as_ref().map(Self::from).unwrap_or_default()
    }

    /// Adds it to what is hashed.
    pub(crate) fn append_to(self, state: &mut Vec<u8>) {
        state.extend_from_slice(&self.size.to_le_bytes());
        state.extend_from_slice(&self.changed.0.to_le_bytes());
        state.extend_from_slice(&self.changed.1.to_le_bytes());
    }
}

impl From<&std::fs::Metadata> for FileStat {
    fn from(meta: &std::fs::Metadata) -> Self {
        Self { size: meta.size() & u64::from(u32::MAX), changed: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// Reads `path NUL`, then lines of which `mtime: seconds:nanoseconds` and `size: bytes` count; `None` if that takes too
/// long.
fn parse(output: &[u8], deadline: Instant) -> Option<Vec<Tracked>> {
    let mut files = Vec::new();
    let mut rest = output;
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        if files.len() % CLOCK_STRIDE == 0 && Instant::now() >= deadline {
            return None;
        }
        let path = &rest[..end];
        rest = &rest[end + 1..];
        let (mut changed, mut size) = ((0, 0), 0);
        // Five lines follow each path; a path may begin with blanks as they do, but stands before a NUL.
        for _ in 0..5 {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            let line = std::str::from_utf8(&rest[..end]).unwrap_or_default().trim_start();
            rest = &rest[end + 1..];
            if let Some(time) = line.strip_prefix("mtime: ").and_then(|time| time.split_once(':')) {
                changed = (time.0.parse().unwrap_or(0), time.1.parse().unwrap_or(0));
            } else if let Some(text) = line.strip_prefix("size: ") {
                size = text.split('\t').next().and_then(|text| text.parse().ok()).unwrap_or(0);
            }
        }
        files.push(Tracked { path: path.into(), size, changed });
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_whatever_the_names_are() {
        let details = "  ctime: 1:2\n  mtime: 3:4\n  dev: 5\tino: 6\n  uid: 7\tgid: 8\n  size: 9\tflags: 0\n";
        let names = ["a", "  mtime: 1:1", "with\nline", "\u{e4}"];
        let listing = names.map(|name| [name, "\0", details].concat()).concat();
        let later = Instant::now() + std::time::Duration::from_mins(1);
        let parse = |bytes: &[u8]| parse(bytes, later).unwrap();
        let files = parse(listing.as_bytes());
        assert_eq!(files.len(), names.len());
        for (file, name) in files.iter().zip(names) {
            assert_eq!(*file, Tracked { path: name.as_bytes().into(), size: 9, changed: (3, 4) });
        }
        assert_eq!(parse(b""), []);
        assert!(super::parse(listing.as_bytes(), Instant::now()).is_none(), "no time");
        assert_eq!(parse(b"cut\0  ctime"), [Tracked { path: b"cut".as_slice().into(), size: 0, changed: (0, 0) }]);
    }
}
