//! `run/held`: who lives and who holds what in which working tree, small enough for a hook to read before every write.
//!
//! The authority replaces it by rename at every change. It has a line for each working tree that a session lives in or holds
//! a path of, and is empty or missing while no two sessions live. A hook asks the authority only where the line of its
//! target's tree names another session than its own.
//!
//! A line is `tree TAB session...( TAB lease)*`: the tree, the sessions that live there with a space between them, and each
//! lease as `mode session resource`. Bytes of a path that are no plain ones are written as `%XX`.

use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use stopgate_core::paths::Home;
use stopgate_core::session::{Harness, SessionKey};

use crate::lease::LeaseMode;
use crate::resource::Resource;

/// Name of the file in the home's `run/`.
pub const FILE: &str = "held";
/// Most that is read of it; a longer one is not believed.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// A lease, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    /// What it is of.
    pub resource: Resource,
    /// Whether others may read beside it.
    pub mode: LeaseMode,
    /// Who holds it.
    pub holder: SessionKey,
}

/// A working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTree {
    /// Its top.
    pub tree: PathBuf,
    /// The sessions that live in it.
    pub sessions: Vec<SessionKey>,
    /// The declared leases of its paths.
    pub leases: Vec<HeldLease>,
}

impl HeldTree {
    /// Whether another session than `own` lives here or holds something.
    pub fn concerns_others(&self, own: &SessionKey) -> bool {
        self.sessions.iter().any(|session| session != own) || self.leases.iter().any(|lease| lease.holder != *own)
    }
}

/// Where it is.
pub fn file(home: &Home) -> PathBuf {
    home.run().join(FILE)
}

/// The file's text.
pub fn render(trees: &[HeldTree]) -> String {
    let mut text = String::new();
    for HeldTree { tree, sessions, leases } in trees {
        escape(tree.as_os_str().as_bytes(), &mut text);
        text.push('\t');
        for (at, session) in sessions.iter().enumerate() {
            let _ = write!(text, "{}{session}", if at > 0 { " " } else { "" });
        }
        for HeldLease { resource, mode, holder } in leases {
            let mode = match mode {
                LeaseMode::Read => 'r',
                LeaseMode::Write => 'w',
            };
            let _ = write!(text, "\t{mode} {holder} ");
            escape(resource.as_str().as_bytes(), &mut text);
        }
        text.push('\n');
    }
    text
}

/// The innermost working tree of `text` that `path` lies in, which is absolute and plain. A line that is not understood is
/// skipped.
pub fn covering(text: &str, path: &Path) -> Option<HeldTree> {
    let lines = text.lines().filter_map(|line| {
        let (tree, rest) = line.split_once('\t')?;
        let tree = unescape(tree)?;
        path.starts_with(&tree).then_some((tree, rest))
    });
    let (tree, rest) = lines.max_by_key(|(tree, _)| tree.as_os_str().len())?;
    Some(parsed(tree, rest))
}

/// The working trees of `text` that a change at `path` touches: the innermost that it lies in and, where all below it is
/// changed, each that lies below it.
pub fn touched(text: &str, path: &Path, is_subtree: bool) -> Vec<HeldTree> {
    let mut found: Vec<_> = covering(text, path).into_iter().collect();
    if is_subtree {
        let below = text.lines().filter_map(|line| {
            let (tree, rest) = line.split_once('\t')?;
            let tree = unescape(tree)?;
            (tree != path && tree.starts_with(path)).then(|| parsed(tree, rest))
        });
        found.extend(below);
    }
    found
}

/// `path` as a resource of the working tree `tree`; `None` if it lies elsewhere, or cannot be written as one.
pub fn resource(tree: &Path, path: &Path, is_subtree: bool) -> Option<Resource> {
    if is_subtree && tree.starts_with(path) {
        return Some(Resource::tree());
    }
    let inside = path.strip_prefix(tree).ok()?.to_str()?;
    Resource::of_path(inside, is_subtree).ok()
}

fn parsed(tree: PathBuf, rest: &str) -> HeldTree {
    let mut fields = rest.split('\t');
    let sessions = fields.next().unwrap_or_default().split(' ').filter_map(session).collect();
    HeldTree { tree, sessions, leases: fields.filter_map(lease).collect() }
}

fn lease(field: &str) -> Option<HeldLease> {
    let mut words = field.splitn(3, ' ');
    let mode = match words.next()? {
        "r" => LeaseMode::Read,
        "w" => LeaseMode::Write,
        _ => return None,
    };
    let holder = session(words.next()?)?;
    let resource = unescape(words.next()?)?.to_str()?.parse().ok()?;
    Some(HeldLease { resource, mode, holder })
}

fn session(text: &str) -> Option<SessionKey> {
    let (harness, id) = text.split_once(':')?;
    SessionKey::new(Harness::ALL.into_iter().find(|known| known.to_string() == harness)?, id)
}

fn escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'%' | 0..=b' ' | 0x7f.. => {
                let _ = write!(out, "%{byte:02X}");
            }
            byte => out.push(char::from(*byte)),
        }
    }
}

fn unescape(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(harness: Harness, id: &str) -> SessionKey {
        SessionKey::new(harness, id).unwrap_or_else(|| panic!("{id}"))
    }

    #[test]
    fn what_was_written_is_read_whatever_the_paths_are_called() {
        let odd = PathBuf::from(std::ffi::OsString::from_vec(b"/a b/%41\t\n\xff".to_vec()));
        let (mine, other) = (key(Harness::Claude, "mine"), key(Harness::Codex, "other:1"));
        let leases = vec![HeldLease {
            resource: "src/ä b/".parse().unwrap_or_else(|why| panic!("{why}")),
            mode: LeaseMode::Write,
            holder: other.clone(),
        }];
        let inner = HeldTree { tree: odd.clone(), sessions: vec![mine.clone(), other.clone()], leases };
        let outer = HeldTree { tree: "/a b".into(), sessions: vec![mine.clone()], leases: vec![] };
        let text = render(&[outer.clone(), inner.clone()]);
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert_eq!(covering(&text, &odd.join("src/x")), Some(inner.clone()));
        assert_eq!(covering(&text, Path::new("/a b/c")), Some(outer.clone()));
        assert_eq!(covering(&text, Path::new("/a bc")), None);
        assert!(inner.concerns_others(&mine) && !outer.concerns_others(&mine) && outer.concerns_others(&other));
    }

    #[test]
    fn what_takes_a_directory_away_touches_every_tree_below_it() {
        let tops = |path: &str, is_subtree| {
            let text = "/a\tclaude:x\n/a/b\tclaude:x\n/a/b/c\tclaude:x\n/ab\tclaude:x\n";
            let found = touched(text, Path::new(path), is_subtree);
            found.into_iter().map(|tree| tree.tree.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(tops("/a/b/x", false), ["/a/b"]);
        assert_eq!(tops("/a/b", true), ["/a/b", "/a/b/c"]);
        assert_eq!(tops("/", true).len(), 4);
        assert!(tops("/x", true).is_empty());
    }

    #[test]
    fn a_path_is_a_resource_of_the_tree_that_it_lies_in() {
        let of = |path: &str, is_subtree| {
            resource(Path::new("/a"), Path::new(path), is_subtree).map(|found| found.as_str().to_owned())
        };
        assert_eq!(of("/a/src/x", false).as_deref(), Some("src/x"));
        assert_eq!(of("/a/src", true).as_deref(), Some("src/"));
        assert_eq!(of("/a/@types/x.d.ts", false).as_deref(), Some("./@types/x.d.ts"), "no name");
        assert_eq!(of("/a/@types", true).as_deref(), Some("./@types/"));
        assert_eq!(of("/a", true).as_deref(), Some("/"));
        assert_eq!(of("/", true).as_deref(), Some("/"));
        assert_eq!((of("/b", false), of("/ab/x", true), of("/a", false)), (None, None, None));
    }

    #[test]
    fn what_is_not_understood_is_skipped() {
        assert_eq!(covering("/a%4\tclaude:x\nno tab\n", Path::new("/a/b")), None);
        let tree =
            covering("/a\tclaude:x nobody ruby:y\tz claude:x a\tw claude:x ../a\tw claude:x a\n", Path::new("/a/b"));
        let tree = tree.unwrap_or_else(|| panic!("no tree"));
        assert_eq!((tree.sessions.len(), tree.leases.len()), (1, 1));
    }
}
