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

use stopgate_core::session::{Harness, SessionKey};

use crate::fence::Intent;
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

/// Whether the authority has to be asked about what `own` would do: another session lives in the working tree that is
/// touched, or holds something of it. All working trees of a room share one stash, so for what is done to that any other
/// session is enough. `text` is the file's.
pub fn must_ask(text: &str, intent: &Intent, own: &SessionKey) -> bool {
    let concerns = |path: &Path| covering(text, path).is_some_and(|tree| tree.concerns_others(own));
    intent.writes.iter().any(|write| concerns(&write.path))
        || intent.acts.iter().any(|act| {
            concerns(&act.directory)
                || act.verb.concerns_stash()
                    && text.lines().filter_map(line).any(|(_, rest)| tree(PathBuf::new(), rest).concerns_others(own))
        })
}

/// The innermost working tree of `text` that `path` lies in, which is absolute and plain. A line that is not understood is
/// skipped.
pub fn covering(text: &str, path: &Path) -> Option<HeldTree> {
    let lines = text.lines().filter_map(line).filter(|(top, _)| path.starts_with(top));
    let (top, rest) = lines.max_by_key(|(top, _)| top.as_os_str().len())?;
    Some(tree(top, rest))
}

/// The tree of a line, and the rest of it.
fn line(line: &str) -> Option<(PathBuf, &str)> {
    let (tree, rest) = line.split_once('\t')?;
    Some((unescape(tree)?, rest))
}

/// A tree by what its line has after its top.
fn tree(tree: PathBuf, rest: &str) -> HeldTree {
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
    use crate::fence::{TreeAct, TreeVerb, WriteTarget};

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
    fn who_is_alone_in_its_tree_asks_about_the_stash_alone() {
        let (mine, other) = (key(Harness::Claude, "mine"), key(Harness::Codex, "other"));
        let alone =
            |tree: &str, who: &SessionKey| HeldTree { tree: tree.into(), sessions: vec![who.clone()], leases: vec![] };
        let text = render(&[alone("/a", &mine), alone("/b", &other)]);
        let writes = |path: &str| Intent {
            writes: vec![WriteTarget { path: path.into(), is_subtree: false }],
            ..Intent::default()
        };
        let does = |verb| Intent { acts: vec![TreeAct { verb, directory: "/a".into() }], ..Intent::default() };
        assert!(!must_ask(&text, &writes("/a/x"), &mine) && must_ask(&text, &writes("/b/x"), &mine));
        assert!(!must_ask(&text, &writes("/elsewhere"), &mine) && !must_ask(&text, &Intent::default(), &mine));
        assert!(
            !must_ask(&text, &does(TreeVerb::ResetHard), &mine) && must_ask(&text, &does(TreeVerb::ResetHard), &other)
        );
        for verb in [TreeVerb::Stash, TreeVerb::StashTake, TreeVerb::StashDrop] {
            assert!(must_ask(&text, &does(verb), &mine), "{verb:?}");
            assert!(!must_ask(&render(&[alone("/a", &mine)]), &does(verb), &mine), "{verb:?} of one who is all alone");
        }
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
