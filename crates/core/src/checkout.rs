//! Which git checkout a directory lies in, found by reading files: a hook has no time to run git.
//!
//! Everything here may have been planted by an agent or come with a clone, so reads are bounded, no link but `.git` itself
//! is followed, and a linked worktree is believed only if its repository points back. What files do not tell (HEAD in a
//! repository with reftable, for instance) is unknown here; the authority asks git.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::fsx::{read_regular, read_regular_text};

/// How many parents are looked at for a `.git`.
const MAX_PARENTS: usize = 64;
/// Longest `.git` file, `HEAD` or reference that is read.
const MAX_POINTER_BYTES: u64 = 4096;
/// Longest `packed-refs` that is read; larger ones leave HEAD unknown.
const MAX_PACKED_REFS_BYTES: u64 = 4 * 1024 * 1024;

/// A git checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Top of the working tree that the directory lies in.
    pub worktree: PathBuf,
    /// Top of the main working tree: the same, unless `worktree` was made by `git worktree add`, and files tell where the
    /// main one is. A bare repository has none, and neither a submodule's nor one with `--separate-git-dir` says.
    pub main: PathBuf,
    /// This working tree's own git directory (its `HEAD` is there).
    git_dir: PathBuf,
    /// The repository's git directory (its references are there).
    common_dir: PathBuf,
}

/// The checkout that `dir` lies in.
pub fn find(dir: &Path) -> Option<Checkout> {
    if !dir.is_absolute() {
        return None;
    }
    dir.ancestors().take(MAX_PARENTS).find_map(at)
}

/// The checkout whose working tree begins at `top`.
fn at(top: &Path) -> Option<Checkout> {
    let mut dot_git = top.join(".git");
    let mut kind = std::fs::symlink_metadata(&dot_git).ok()?.file_type();
    let mut shared = None;
    if kind.is_symlink() {
        dot_git = std::fs::canonicalize(&dot_git).ok()?;
        kind = std::fs::symlink_metadata(&dot_git).ok()?.file_type();
        if kind.is_dir() {
            // One that leads to no repository is not there, as git has it.
            shared = Some(repository_of(&dot_git)?);
        }
    }
    if kind.is_dir() {
        let common_dir = shared.unwrap_or_else(|| dot_git.clone());
        return Some(Checkout { worktree: top.to_owned(), main: top.to_owned(), git_dir: dot_git, common_dir });
    }
    if !kind.is_file() {
        return None;
    }
    let git_dir = pointer(&dot_git, "gitdir:", top)?;
    linked(top, &git_dir, &dot_git).or_else(|| {
        // A submodule, or a repository made with --separate-git-dir: a checkout of its own.
        Some(Checkout { worktree: top.to_owned(), main: top.to_owned(), common_dir: git_dir.clone(), git_dir })
    })
}

/// The repository of `dir`, if that looks like a git directory: the repository itself, or a linked worktree's part of it.
fn repository_of(dir: &Path) -> Option<PathBuf> {
    let shared = common_dir(dir).unwrap_or_else(|| dir.to_owned());
    let looks_right = std::fs::symlink_metadata(dir.join("HEAD")).is_ok()
        && shared.join("objects").is_dir()
        && shared.join("refs").is_dir();
    looks_right.then_some(shared)
}

/// The repository that a linked worktree's git directory belongs to.
fn common_dir(git_dir: &Path) -> Option<PathBuf> {
    pointer(&git_dir.join("commondir"), "", git_dir)
}

/// A working tree made by `git worktree add`, if the main one points back at it: what `.git` names lies among the main
/// repository's worktrees. Anywhere else it may have been planted together with `.git`, and name anybody's directory.
fn linked(top: &Path, git_dir: &Path, dot_git: &Path) -> Option<Checkout> {
    let common_dir = common_dir(git_dir)?;
    let is_among =
        |list: &Path| Some(std::fs::canonicalize(list).ok()? == std::fs::canonicalize(git_dir.parent()?).ok()?);
    if !is_among(&common_dir.join("worktrees"))? || !std::fs::symlink_metadata(git_dir).ok()?.is_dir() {
        return None;
    }
    let back = pointer(&git_dir.join("gitdir"), "", git_dir)?;
    let same = back == dot_git || std::fs::canonicalize(&back).ok()? == std::fs::canonicalize(dot_git).ok()?;
    let main = common_dir.parent().filter(|_| common_dir.file_name().is_some_and(|name| name == ".git"));
    same.then(|| Checkout {
        worktree: top.to_owned(),
        main: main.unwrap_or(top).to_owned(),
        git_dir: git_dir.to_owned(),
        common_dir: common_dir.clone(),
    })
}

/// The path that `file` holds after `prefix`, made absolute against `base` and without `.` and `..`.
fn pointer(file: &Path, prefix: &str, base: &Path) -> Option<PathBuf> {
    let bytes = read_regular(file, MAX_POINTER_BYTES).ok()?;
    let path = bytes.strip_prefix(prefix.as_bytes())?.trim_ascii();
    // A path is bytes, whatever encoding they are in.
    (!path.is_empty()).then(|| normalise(&base.join(OsStr::from_bytes(path))))
}

fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Entries of a repository's list of linked working trees that are looked at.
const MAX_LISTED: usize = 256;

impl Checkout {
    /// The other working trees of the same repository, at most `most`: the main one, and linked ones that are still there
    /// and point back, those used last first.
    pub fn others(&self, most: usize) -> Vec<Self> {
        let Ok(own) = std::fs::canonicalize(&self.common_dir) else { return Vec::new() };
        let is_plain = own.file_name().is_some_and(|name| name == ".git");
        let main = own.parent().filter(|_| is_plain).map(Path::to_owned);
        let mut listed: Vec<_> = std::fs::read_dir(own.join("worktrees"))
            .into_iter()
            .flatten()
            .take(MAX_LISTED)
            .filter_map(|entry| {
                let entry = entry.ok()?.path();
                let used = std::fs::symlink_metadata(&entry).ok()?.modified().ok()?;
                let dot_git = pointer(&entry.join("gitdir"), "", &entry)?;
                Some((used, dot_git.parent()?.to_owned()))
            })
            .collect();
        listed.sort_unstable_by(|left, right| right.cmp(left));
        let tops = main.into_iter().chain(listed.into_iter().map(|(_, top)| top));
        let is_other = |other: &Self| {
            let same =
                |left: &Path, right: &Path| left == right || std::fs::canonicalize(left).ok().as_deref() == Some(right);
            other.worktree != self.worktree
                && same(&other.common_dir, &own)
                && !std::fs::canonicalize(&self.worktree).is_ok_and(|top| same(&other.worktree, &top))
        };
        tops.filter_map(|top| at(&top)).filter(is_other).take(most).collect()
    }

    /// The repository's git directory, which all its working trees share; links on the way to it are not resolved.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The index of this working tree.
    pub fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// The commit that is checked out, as a full lower-case object id; `None` before the first commit, and where files do
    /// not tell.
    pub fn head(&self) -> Option<String> {
        let head = read_regular_text(&self.git_dir.join("HEAD"), MAX_POINTER_BYTES).ok()?;
        let head = head.trim();
        let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
            return object_id(head);
        };
        if !is_plain_reference(name) {
            return None;
        }
        [&self.git_dir, &self.common_dir]
            .into_iter()
            .find_map(|dir| object_id(read_regular_text(&dir.join(name), MAX_POINTER_BYTES).ok()?.trim()))
            .or_else(|| self.packed(name))
    }

    fn packed(&self, name: &str) -> Option<String> {
        let text = read_regular_text(&self.common_dir.join("packed-refs"), MAX_PACKED_REFS_BYTES).ok()?;
        text.lines().find_map(|line| {
            let (id, reference) = line.split_once(' ')?;
            (reference == name).then(|| object_id(id)).flatten()
        })
    }
}

/// `refs/...` without anything that could leave the git directory.
fn is_plain_reference(name: &str) -> bool {
    name.starts_with("refs/") && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// `text` if it is a full object id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
pub fn object_id(text: &str) -> Option<String> {
    let well_formed = matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(dir: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_real_repository_a_subdirectory_and_a_linked_worktree() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap().join("main repo");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        git(&top, &["init", "-q"]);
        assert_eq!(find(&top).unwrap().head(), None, "no commit yet");
        git(&top, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let head = git(&top, &["rev-parse", "HEAD"]);
        let below = find(&top.join("a/b")).unwrap();
        assert_eq!((below.worktree.clone(), below.head()), (top.clone(), Some(head.clone())));

        git(&top, &["pack-refs", "--all"]);
        assert_eq!(below.head(), Some(head.clone()), "packed reference");

        let linked = top.parent().unwrap().join("linked");
        git(&top, &["worktree", "add", "-q", linked.to_str().unwrap()]);
        let checkout = find(&linked).unwrap();
        assert_eq!((checkout.worktree.clone(), checkout.main.clone()), (linked.clone(), top.clone()));
        let tops = |of: &Checkout| of.others(9).into_iter().map(|other| other.worktree).collect::<Vec<_>>();
        assert_eq!((tops(&checkout), tops(&below)), (vec![top.clone()], vec![linked.clone()]));
        assert_eq!(below.others(0), []);
        git(&linked, &["commit", "-q", "--allow-empty", "-m", "two"]);
        assert_ne!(find(&linked).unwrap().head(), Some(head), "a worktree has a HEAD of its own");
        std::fs::remove_dir_all(&linked).unwrap();
        assert_eq!(below.others(9), [], "removed");
    }

    #[test]
    fn a_bare_repository_with_worktrees_a_link_a_submodule_and_a_directory_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let source = root.join("parent/source");
        std::fs::create_dir_all(&source).unwrap();
        git(source.parent().unwrap(), &["init", "-q"]);
        git(&source, &["init", "-q"]);
        git(&source, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let found = |top: &Path| {
            let checkout = find(top).unwrap();
            assert_eq!(checkout.worktree, *top);
            assert_eq!(checkout.head(), Some(git(top, &["rev-parse", "HEAD"])), "{}", top.display());
            checkout.main
        };

        let bare = root.join("bare");
        std::fs::create_dir(&bare).unwrap();
        git(&bare, &["clone", "-q", "--bare", source.to_str().unwrap(), ".bare"]);
        std::fs::write(bare.join(".git"), "gitdir: ./.bare\n").unwrap();
        for name in ["first", "second"] {
            git(&bare, &["worktree", "add", "-q", "-b", name, name]);
            git(&bare.join(name), &["commit", "-q", "--allow-empty", "-m", name]);
            assert_eq!(found(&bare.join(name)), bare.join(name), "no working tree is the main one");
        }
        git(&bare.join("first"), &["worktree", "add", "-q", "-b", "third", "below"]);
        found(&bare.join("first/below"));

        let linked = root.join("parent/linked");
        std::fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink(source.join(".git"), linked.join(".git")).unwrap();
        assert_eq!(found(&linked), linked, "and not the parent");
        let other = root.join("parent/other");
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink("../linked/.git", other.join(".git")).unwrap();
        found(&other);
        std::fs::remove_file(other.join(".git")).unwrap();
        for nowhere in ["nowhere", "."] {
            std::os::unix::fs::symlink(nowhere, other.join(".git")).unwrap();
            assert_eq!(find(&other).unwrap().worktree, root.join("parent"), "as git has it: {nowhere}");
            std::fs::remove_file(other.join(".git")).unwrap();
        }

        let apart = root.join("apart");
        git(&root, &["init", "-q", "--separate-git-dir", "elsewhere", "apart"]);
        git(&apart, &["commit", "-q", "--allow-empty", "-m", "one"]);
        found(&apart);
        git(&apart, &["worktree", "add", "-q", "-b", "two", "../apart two"]);
        found(&root.join("apart two"));

        let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", source.to_str().unwrap(), "sub"];
        git(&apart, &add);
        found(&apart.join("sub"));
        git(&apart.join("sub"), &["worktree", "add", "-q", "-b", "two", "../../sub two"]);
        found(&root.join("sub two"));
    }

    #[test]
    fn with_reftable_files_do_not_tell_head() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        git(&top, &["init", "-q", "--ref-format=reftable"]);
        git(&top, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let checkout = find(&top).unwrap();
        assert_eq!((checkout.worktree.clone(), checkout.head()), (top, None));
    }

    #[test]
    fn planted_pointers_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim/.git/worktrees/x");
        std::fs::create_dir_all(&victim).unwrap();
        std::fs::write(victim.join("commondir"), "../..\n").unwrap();
        std::fs::write(victim.join("gitdir"), "/somewhere/else/.git\n").unwrap();
        let planted = dir.path().join("planted");
        std::fs::create_dir(&planted).unwrap();
        std::fs::write(planted.join(".git"), format!("gitdir: {}\n", victim.display())).unwrap();
        assert_eq!(find(&planted).unwrap().main, planted, "the victim does not point back");

        // Both pointers planted together, in the checkout itself.
        let own = planted.join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("commondir"), "../../victim/.git\n").unwrap();
        std::fs::write(own.join("gitdir"), "../.git\n").unwrap();
        std::fs::write(planted.join(".git"), "gitdir: own\n").unwrap();
        assert_eq!(find(&planted).unwrap().main, planted, "the victim knows nothing of it");
        let list = dir.path().join("victim/.git/worktrees");
        for link in [planted.join("worktrees"), list.join("y")] {
            std::os::unix::fs::symlink(&own, &link).unwrap();
            std::fs::write(planted.join(".git"), format!("gitdir: {}\n", link.display())).unwrap();
            assert_eq!(find(&planted).unwrap().main, planted, "{}", link.display());
        }

        std::fs::create_dir_all(dir.path().join("r/.git")).unwrap();
        std::fs::write(dir.path().join("r/.git/HEAD"), "ref: refs/../../../etc/passwd\n").unwrap();
        assert_eq!(find(&dir.path().join("r")).unwrap().head(), None);
        assert_eq!(find(Path::new("relative")), None);
    }
}
