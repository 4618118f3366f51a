//! Where a path of a command leads: from the directory it is said in, without `.` and `..`, through links.

use std::path::{Component, Path, PathBuf};

/// Longest path that is believed, in bytes: the longest that Linux takes.
pub(super) const MAX_PATH_BYTES: usize = 4096;

/// What links there are. All that the fence has of the file system.
pub trait Links {
    /// Where `path`, which is absolute and has no `.` and `..`, leads if it is a link itself; absolute, and without links
    /// as far as it exists. `None` for what is no link.
    fn target(&self, path: &Path) -> Option<PathBuf>;

    /// What stands at `path`; `None` where nothing does, or where that is not known.
    fn kind(&self, path: &Path) -> Option<Kind> {
        let _ = path;
        None
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// A world without links: paths are taken as they are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLinks;

impl Links for NoLinks {
    fn target(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

/// The links of the file system. Asks for one component at a time, and reads no file.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileLinks;

impl Links for FileLinks {
    fn target(&self, path: &Path) -> Option<PathBuf> {
        let leads = std::fs::read_link(path).ok()?;
        // What it leads to need not exist.
        std::fs::canonicalize(path).ok().or_else(|| plain(path.parent()?, &leads))
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let found = std::fs::metadata(path).ok()?;
        Some(if found.is_dir() { Kind::Directory } else { Kind::File })
    }
}

/// Where a call is made, and what is known there.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The directory that the call is made in; absolute.
    pub cwd: &'a Path,
    /// What `~` and `$HOME` are, where that is known.
    pub home: Option<&'a Path>,
    /// Links.
    pub links: &'a dyn Links,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Around").field("cwd", &self.cwd).field("home", &self.home).finish_non_exhaustive()
    }
}

impl Around<'_> {
    /// Where `path` leads that is said in `directory`. `is_followed`: also if it is a link itself, which is written through,
    /// but not taken away through. `None` for what can be no path.
    pub(super) fn resolve(&self, directory: &Path, path: &str, is_followed: bool) -> Option<PathBuf> {
        if path.is_empty() || path.len() > MAX_PATH_BYTES || path.contains('\0') {
            return None;
        }
        let said = Path::new(path);
        let mut out = if said.is_absolute() { PathBuf::from("/") } else { directory.to_owned() };
        let mut components = said.components().peekable();
        while let Some(component) = components.next() {
            match component {
                Component::Normal(name) => {
                    out.push(name);
                    if (is_followed || components.peek().is_some())
                        && let Some(leads) = self.links.target(&out)
                    {
                        out = leads;
                    }
                }
                Component::ParentDir => {
                    out.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        (out.is_absolute() && out.as_os_str().len() <= MAX_PATH_BYTES).then_some(out)
    }

    /// `cwd` as a directory to start from.
    pub(super) fn start(&self) -> Option<PathBuf> {
        self.cwd.is_absolute().then(|| self.resolve(Path::new("/"), self.cwd.to_str()?, true)).flatten()
    }
}

/// `path` from `directory`, without `.` and `..`, as it is written.
fn plain(directory: &Path, path: &Path) -> Option<PathBuf> {
    let around = Around { cwd: directory, home: None, links: &NoLinks };
    around.resolve(directory, path.to_str()?, true)
}
