//! Where a session works: the working tree, whose paths it shares with others, and the room, which all working trees of one
//! repository are. Nobody joins or leaves one: it follows from the directory alone, found by reading files.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use stopgate_core::checkout::{self, Checkout};
use stopgate_core::fsx::read_regular;

/// Links that are followed on the way to one path, as many as Linux follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// Longest configuration of a repository that is read.
const MAX_CONFIG_BYTES: u64 = 256 * 1024;

/// A room and a working tree of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The top of the repository's main working tree; its git directory where it has none, or where files do not tell (a bare
    /// repository, `--separate-git-dir`); without git the same as `tree`. Absolute, links resolved.
    pub room: PathBuf,
    /// The top of the working tree; without git the directory itself. Absolute, links resolved.
    pub tree: PathBuf,
}

impl Place {
    /// The place of a directory or file, which need not exist yet: then that of the innermost directory that does. `None`
    /// for a relative path.
    ///
    /// A submodule, and a repository that lies in another one, are rooms of their own.
    pub fn of(path: &Path) -> Option<Self> {
        path.is_absolute().then(|| Self::of_resolved(&resolve(path)))
    }

    /// [`Place::of`] beside places where sessions are known to live. Without git nothing says where a tree begins: a path
    /// lies in the innermost of their directories that it is below.
    pub fn of_among<'a>(path: &Path, known: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        if !path.is_absolute() {
            return None;
        }
        let path = resolve(path);
        let own = Self::of_resolved(&path);
        let is_bare_directory = checkout::find(&own.tree).is_none();
        let inner = known.into_iter().filter(|place| is_bare_directory && path.starts_with(&place.tree));
        Some(inner.max_by_key(|place| place.tree.as_os_str().len()).cloned().unwrap_or(own))
    }

    /// A directory as a room of its own, such as one that is no longer there.
    pub fn alone(directory: &Path) -> Self {
        Self { room: directory.to_owned(), tree: directory.to_owned() }
    }

    fn of_resolved(path: &Path) -> Self {
        let dir = path.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
        match checkout::find(dir) {
            Some(checkout) => Self { room: room_of(&checkout), tree: checkout.worktree },
            None => Self::alone(dir),
        }
    }
}

/// By the repository's git directory: it is the one thing that all its working trees have in common.
fn room_of(checkout: &Checkout) -> PathBuf {
    let common = std::fs::canonicalize(checkout.common_dir()).unwrap_or_else(|_| checkout.common_dir().to_owned());
    if common.file_name().is_some_and(|name| name == ".git")
        && let Some(top) = common.parent()
    {
        return top.to_owned();
    }
    let named = ["config", "config.worktree"].iter().find_map(|name| configured_worktree(&common.join(name)));
    // A submodule's says where its working tree is, if that points back.
    let top = named.and_then(|top| std::fs::canonicalize(common.join(top)).ok());
    let points_back = |top: &PathBuf| {
        let found = checkout::find(top).filter(|found| found.worktree == *top);
        found.is_some_and(|found| std::fs::canonicalize(found.common_dir()).is_ok_and(|dir| dir == common))
    };
    top.filter(points_back).unwrap_or(common)
}

/// The working tree that a repository's configuration names (`core.worktree`).
fn configured_worktree(config: &Path) -> Option<PathBuf> {
    let bytes = read_regular(config, MAX_CONFIG_BYTES).ok()?;
    let mut in_core = false;
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if line.first() == Some(&b'[') {
            in_core = line.eq_ignore_ascii_case(b"[core]");
        } else if in_core
            && let Some(at) = line.iter().position(|byte| *byte == b'=')
            && line[..at].trim_ascii().eq_ignore_ascii_case(b"worktree")
        {
            let value = line[at + 1..].trim_ascii();
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            return (!value.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(value)));
        }
    }
    None
}

/// An absolute path without `.`, `..` and links, as far as it exists; the rest is taken as it is written. A link that leads
/// to nothing leads there all the same: whoever writes through it makes that file.
pub fn resolve(path: &Path) -> PathBuf {
    if let Ok(found) = std::fs::canonicalize(path) {
        return found;
    }
    let mut out = PathBuf::from("/");
    let mut rest: Vec<OsString> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            out.pop();
            continue;
        }
        let next = out.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                if target.is_absolute() {
                    out = PathBuf::from("/");
                }
                rest.extend(parts(&target));
            }
            _ => out = next,
        }
    }
    out
}

/// The parts of a path, the last first, without the root.
fn parts(path: &Path) -> Vec<OsString> {
    let named = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    });
    named.map(OsStr::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    fn git(dir: &Path, arguments: &[&OsStr]) {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn words(line: &str) -> Vec<&OsStr> {
        line.split(' ').map(OsStr::new).collect()
    }

    fn repository(top: &Path) {
        std::fs::create_dir_all(top.join("src")).unwrap();
        git(top, &words("init -q"));
        git(top, &words("commit -q --allow-empty -m one"));
    }

    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        (dir, root)
    }

    fn place(room: &Path, tree: &Path) -> Place {
        Place { room: room.to_owned(), tree: tree.to_owned() }
    }

    #[track_caller]
    fn lies(path: &Path, room: &Path, tree: &Path) {
        assert_eq!(Place::of(path), Some(place(room, tree)), "{}", path.display());
    }

    #[test]
    fn linked_worktrees_are_trees_of_one_room() {
        let (_dir, root) = root();
        let main = root.join("main");
        repository(&main);
        git(&main, &words("worktree add -q ../linked"));
        git(&main, &words("worktree add -q .claude/worktrees/inner"));
        lies(&main, &main, &main);
        lies(&main.join("src"), &main, &main);
        lies(&root.join("linked"), &main, &root.join("linked"));
        lies(&main.join(".claude/worktrees/inner/a/b.rs"), &main, &main.join(".claude/worktrees/inner"));
        lies(&main.join(".git/hooks"), &main, &main);
    }

    #[test]
    fn what_does_not_exist_yet_lies_where_it_will() {
        let (_dir, root) = root();
        let main = root.join("main");
        repository(&main);
        lies(&main.join("src/new/deep/file.rs"), &main, &main);
        lies(&main.join("src/new/../../../other.txt"), &root, &root);
        lies(&root.join("nowhere/file"), &root, &root);
        assert_eq!(Place::of(Path::new("src")), None, "relative");
    }

    #[test]
    fn submodules_and_nested_repositories_are_rooms_of_their_own() {
        let (_dir, root) = root();
        let (main, source) = (root.join("main"), root.join("source"));
        repository(&main);
        repository(&source);
        git(&main, &words("submodule --quiet add ../source sub"));
        let sub = main.join("sub");
        lies(&sub.join("x"), &sub, &sub);
        git(&sub, &words("worktree add -q -b two ../../sub-two"));
        lies(&root.join("sub-two/x"), &sub, &root.join("sub-two"));
        git(&sub, &words("config extensions.worktreeConfig true"));
        lies(&root.join("sub-two/x"), &sub, &root.join("sub-two"));
        repository(&main.join("src/nested"));
        lies(&main.join("src/nested/src"), &main.join("src/nested"), &main.join("src/nested"));
        lies(&main.join("src"), &main, &main);
    }

    #[test]
    fn trees_of_a_bare_repository_and_of_a_git_directory_elsewhere_share_a_room() {
        let (_dir, root) = root();
        let source = root.join("source");
        repository(&source);
        git(&root, &words("clone -q --bare source bare.git"));
        for name in ["one", "two"] {
            git(&root.join("bare.git"), &words(&format!("worktree add -q -b {name} ../{name}")));
            lies(&root.join(name).join("x"), &root.join("bare.git"), &root.join(name));
        }
        git(&root, &words("init -q --separate-git-dir elsewhere apart"));
        let apart = root.join("apart");
        git(&apart, &words("commit -q --allow-empty -m one"));
        git(&apart, &words("worktree add -q -b three ../apart-three"));
        lies(&apart, &root.join("elsewhere"), &apart);
        lies(&root.join("apart-three"), &root.join("elsewhere"), &root.join("apart-three"));
    }

    #[test]
    fn links_in_any_part_lead_where_they_lead() {
        let (_dir, root) = root();
        let (main, other) = (root.join("main"), root.join("other"));
        repository(&main);
        repository(&other);
        symlink("main", root.join("way")).unwrap();
        symlink(other.join("src"), main.join("out")).unwrap();
        symlink("../../other/src/new.rs", main.join("src/dangling.rs")).unwrap();
        symlink("round", root.join("round")).unwrap();
        lies(&root.join("way/src"), &main, &main);
        lies(&main.join("out/a.rs"), &other, &other);
        lies(&main.join("src/dangling.rs"), &other, &other);
        lies(&root.join("round/x"), &root, &root);
        // Two trees with one git directory.
        let shared = root.join("shared");
        std::fs::create_dir(&shared).unwrap();
        symlink(main.join(".git"), shared.join(".git")).unwrap();
        lies(&shared, &main, &shared);
    }

    #[test]
    fn names_are_bytes() {
        let (_dir, root) = root();
        let odd = |name: &[u8]| OsString::from_vec(name.to_vec());
        let main = root.join(odd(b"m\xff in"));
        repository(&main);
        let linked = root.join(odd(b"l\xfe"));
        git(
            &main,
            &[
                OsStr::new("worktree"),
                OsStr::new("add"),
                OsStr::new("-q"),
                OsStr::new("-b"),
                OsStr::new("two"),
                linked.as_os_str(),
            ],
        );
        lies(&linked.join(odd(b"\x01\xfd")), &main, &linked);
        lies(&main.join("a\nb"), &main, &main);
        lies(&main.join("a\0b"), &main, &main);
        lies(&main.join("x".repeat(5_000)), &main, &main);
    }

    #[test]
    fn without_git_it_is_the_directory_or_the_one_that_somebody_lives_in() {
        let (_dir, root) = root();
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        repository(&root.join("a/repository"));
        lies(&root.join("a/b"), &root.join("a/b"), &root.join("a/b"));
        let known = [Place::alone(&root), Place::alone(&root.join("a"))];
        let among = |path: &str| Place::of_among(&root.join(path), &known).unwrap().tree;
        assert_eq!(among("a/b/c/new.txt"), root.join("a"));
        assert_eq!(among("new/new.txt"), root);
        assert_eq!(among("a/repository/src/x"), root.join("a/repository"));
        assert_eq!(Place::of_among(Path::new("/"), &known), Some(Place::alone(Path::new("/"))));
    }

    #[test]
    fn what_is_planted_in_a_checkout_takes_nobody_s_room() {
        let (_dir, root) = root();
        let (victim, planted) = (root.join("victim"), root.join("planted"));
        repository(&victim);
        std::fs::create_dir_all(planted.join("own")).unwrap();
        std::fs::write(planted.join(".git"), "gitdir: own\n").unwrap();
        std::fs::write(planted.join("own/config"), format!("[core]\nworktree = {}\n", victim.display())).unwrap();
        lies(&planted, &planted.join("own"), &planted);
        std::fs::write(planted.join("own/commondir"), format!("{}\n", victim.join(".git").display())).unwrap();
        std::fs::write(planted.join("own/gitdir"), format!("{}\n", planted.join(".git").display())).unwrap();
        lies(&planted, &planted.join("own"), &planted);
    }
}
