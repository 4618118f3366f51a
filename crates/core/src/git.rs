//! git, as it may be run in a checkout that may have been planted: no program in it, and none that its configuration names, is
//! run, and nothing is asked of the person. Filters cannot be switched off, so callers ask nothing that looks into changed
//! files: no `status`, no `diff`.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::checkout::Checkout;
use crate::env::{self, Env as _, ProcessEnv};
use crate::protocol::MAX_SEARCH_PATH_BYTES;

/// Directories of a search path that are looked into.
const MAX_DIRECTORIES: usize = 64;

/// What of this process's environment git may see: where the person's configuration is, who asks (git trusts what belongs
/// to them), and what programs of some systems need to start. Nothing that names a repository, such as `GIT_DIR`.
const PASSED_ON: [&str; 9] = [
    env::HOME,
    env::USER,
    env::TMPDIR,
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "SUDO_UID",
    "LD_LIBRARY_PATH",
];

/// git for one checkout: where it is, and where it may look for programs itself.
#[derive(Debug)]
pub struct GitCommand {
    search: OsString,
    /// No program below these is run.
    within: [PathBuf; 2],
    program: OnceLock<Option<GitProgram>>,
}

#[derive(Debug)]
struct GitProgram {
    path: PathBuf,
    search: OsString,
}

impl GitCommand {
    /// git as whoever works in `checkout` finds it: on the search path `path`, or on this process's own where none is
    /// known. Directories that depend on where one is, or that lie in the checkout, are passed over.
    pub fn of(checkout: &Checkout, path: Option<&str>) -> Self {
        let caller = path.filter(|path| path.len() <= MAX_SEARCH_PATH_BYTES).map(OsString::from);
        Self {
            search: caller.or_else(|| ProcessEnv.os(env::PATH)).unwrap_or_default(),
            within: [checkout.worktree.clone(), checkout.main.clone()],
            program: OnceLock::new(),
        }
    }

    /// `git arguments` in `dir`, for a runner to start; `None` if there is no git. Paths among the arguments are `literal`
    /// ones; commands that know none have to be given paths that begin with `./`.
    pub fn command(&self, dir: &Path, arguments: &[&str], literal: bool) -> Option<Command> {
        let git = self.program()?;
        let mut command = Command::new(&git.path);
        command
            .args(["--no-pager", "--no-optional-locks"])
            .args(literal.then_some("--literal-pathspecs"))
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false"])
            .args(["-c", "core.quotePath=false"])
            .args(arguments)
            .current_dir(dir)
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, ProcessEnv.os(name)?))))
            .env(env::PATH, &git.search)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("LC_ALL", "C");
        Some(command)
    }

    fn program(&self) -> Option<&GitProgram> {
        self.program.get_or_init(|| find(&self.search, &self.within)).as_ref()
    }
}

/// git on the search path `path`, and what of that it may search itself.
fn find(path: &OsStr, within: &[PathBuf]) -> Option<GitProgram> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let within: Vec<PathBuf> = within.iter().flat_map(|top| [Some(top.clone()), real(top)]).flatten().collect();
    let is_outside = |path: &Path| !within.iter().any(|top| path.starts_with(top));
    let directories: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|dir| dir.is_absolute() && !dir.components().any(|part| part == Component::ParentDir))
        .take(MAX_DIRECTORIES)
        .filter(|dir| is_outside(dir) && real(dir).is_none_or(|dir| is_outside(&dir)))
        .collect();
    let path = directories.iter().map(|dir| dir.join("git")).find(|program| {
        // What anybody may write is nobody's program.
        let is_program = |meta: Metadata| {
            let mode = meta.permissions().mode();
            meta.is_file() && mode & 0o111 != 0 && mode & 0o002 == 0
        };
        program.metadata().is_ok_and(is_program) && real(program).is_some_and(|program| is_outside(&program))
    })?;
    Some(GitProgram { path, search: std::env::join_paths(&directories).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout;

    /// A checkout, made with git itself.
    fn checkout(dir: &Path) -> Checkout {
        assert!(Command::new("git").args(["init", "-q"]).current_dir(dir).status().unwrap().success());
        checkout::find(dir).unwrap()
    }

    fn program(path: &Path, script: &str, mode: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, script).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn git_is_searched_where_its_caller_would_but_nowhere_in_the_checkout() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let top = root.join("checkout");
        std::fs::create_dir(&top).unwrap();
        let checkout = checkout(&top);
        let [inside, real, open, link] = ["checkout/bin", "real", "open", "link"].map(|name| root.join(name));
        program(&inside.join("git"), "", 0o755);
        program(&real.join("git"), "", 0o755);
        program(&open.join("git"), "", 0o777);
        std::fs::create_dir(root.join("to")).unwrap();
        std::os::unix::fs::symlink(inside.join("git"), root.join("to/git")).unwrap();
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        let found = |path: &str| {
            let git = GitCommand::of(&checkout, Some(path));
            git.program().map(|found| (found.path.clone(), found.search.clone()))
        };
        let show = |dir: &Path| dir.display().to_string();
        let up = format!("{}/../checkout/bin", show(&real));
        let planted = format!(".::bin:{}:{}:{}:{up}", show(&inside), show(&link), show(&top));
        assert_eq!(found(&planted), None);
        assert_eq!(found(&format!("{}:{}", show(&open), show(&root.join("to")))), None, "anybody's, or a link inside");
        let expected = (real.join("git"), OsString::from(format!("/nowhere:{}", show(&real))));
        assert_eq!(found(&format!("{planted}:/nowhere:{}", show(&real))), Some(expected));
        assert_eq!(found(""), None, "its caller has none");
        assert!(GitCommand::of(&checkout, None).program().is_some(), "this process has");
    }
}
