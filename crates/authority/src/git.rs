//! Runs git: by argument vector, without pager, prompts, hooks or locks, and never past a deadline.
//!
//! A checkout may have been planted: no program in it, and none that its configuration names, is run. Filters cannot be
//! switched off, so callers ask nothing that looks into changed files: no `status`, no `diff`.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use rustix::fs::{MemfdFlags, memfd_create};
use stopgate_core::checkout::Checkout;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::protocol::MAX_SEARCH_PATH_BYTES;
pub(crate) use stopgate_core::subprocess::Outcome;
use stopgate_core::subprocess::{self, Ending, ProgramEnded, ProgramLimits};
use stopgate_gate::facts::GitTrouble;

/// Largest answer of [`Git::run`].
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// Largest listing of a tree: some 400,000 files.
const LISTING_BYTES: usize = 64 * 1024 * 1024;
/// How much of what git complains of is looked at.
const COMPLAINT_BYTES: usize = 4 * 1024;
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
pub(crate) struct Git {
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

/// Why there is no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// git cannot be asked.
    Trouble(GitTrouble),
    /// It did not answer in time, or said more than is read.
    NotInTime,
}

impl Git {
    /// git as whoever works in `checkout` finds it: on the search path `path`, or on this process's own where none is
    /// known. Directories that depend on where one is, or that lie in the checkout, are passed over.
    pub(crate) fn of(checkout: &Checkout, path: Option<&str>) -> Self {
        let caller = path.filter(|path| path.len() <= MAX_SEARCH_PATH_BYTES).map(OsString::from);
        Self {
            search: caller.or_else(|| ProcessEnv.os(env::PATH)).unwrap_or_default(),
            within: [checkout.worktree.clone(), checkout.main.clone()],
            program: OnceLock::new(),
        }
    }

    /// Runs `git arguments` in `dir` until `deadline`; then its whole process group is killed.
    pub(crate) fn run(&self, dir: &Path, arguments: &[&str], deadline: Instant) -> Outcome {
        match self.command(dir, arguments, true) {
            Some(mut command) => {
                command.stderr(Stdio::null());
                subprocess::run_for(command, deadline, MAX_OUTPUT_BYTES)
            }
            None => Outcome::NoAnswer,
        }
    }

    /// What `git arguments` lists, or why it does not.
    pub(crate) fn list(&self, dir: &Path, arguments: &[&str], deadline: Instant) -> Result<Vec<u8>, Unlisted> {
        let mut command = self.command(dir, arguments, true).ok_or(Unlisted::Trouble(GitTrouble::Missing))?;
        command.stdin(Stdio::null());
        let limits =
            ProgramLimits { deadline, stdout_bytes: LISTING_BYTES, stderr_bytes: COMPLAINT_BYTES, alone: false };
        match subprocess::finish(command, &limits) {
            Ok(ProgramEnded { ending: Ending::Exited(status), stdout, .. }) if status.success() => Ok(stdout),
            Ok(ProgramEnded { ending: Ending::Exited(_), stderr, .. }) => Err(Unlisted::Trouble(complaint(&stderr))),
            Ok(_) => Err(Unlisted::NotInTime),
            Err(_) => Err(Unlisted::Trouble(GitTrouble::Broken)),
        }
    }

    /// [`Git::run`] with `input` to read; `None` if it did not answer. For commands that know no literal pathspecs: paths
    /// have to begin with `./`.
    pub(crate) fn filter(
        &self,
        dir: &Path,
        arguments: &[&str],
        input: &[u8],
        deadline: Instant,
    ) -> Option<ProgramEnded> {
        let mut command = self.command(dir, arguments, false)?;
        let mut file = std::fs::File::from(memfd_create("stopgate", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(input).ok()?;
        file.seek(SeekFrom::Start(0)).ok()?;
        command.stdin(file).stderr(Stdio::null());
        let limits = ProgramLimits { deadline, stdout_bytes: LISTING_BYTES, stderr_bytes: 0, alone: false };
        subprocess::finish(command, &limits).ok()
    }

    fn command(&self, dir: &Path, arguments: &[&str], literal: bool) -> Option<Command> {
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

fn complaint(stderr: &[u8]) -> GitTrouble {
    let said = String::from_utf8_lossy(stderr);
    if said.contains("dubious ownership") || said.contains("safe.directory") {
        GitTrouble::Refused
    } else {
        GitTrouble::Broken
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
    use std::time::Duration;
    use stopgate_core::checkout;
    use stopgate_tests::process::has_ended;
    use stopgate_tests::run::eventually;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

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
    fn success_failure_and_no_answer_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::of(&checkout(dir.path()), None);
        assert!(matches!(git.run(dir.path(), &["rev-parse", "--git-dir"], soon()), Outcome::Success(_)));
        assert_eq!(git.run(dir.path(), &["rev-parse", "--verify", "-q", "HEAD"], soon()), Outcome::Failure);
        assert_eq!(git.run(dir.path(), &["rev-parse", "--git-dir"], Instant::now()), Outcome::NoAnswer);
        assert_eq!(git.run(&dir.path().join("missing"), &["rev-parse"], soon()), Outcome::NoAnswer);
        let listed = |arguments: &[&str]| git.list(dir.path(), arguments, soon());
        assert_eq!(listed(&["ls-files"]), Ok(Vec::new()));
        assert_eq!(listed(&["ls-files", "--no-such-option"]), Err(Unlisted::Trouble(GitTrouble::Broken)));
        assert_eq!(git.list(dir.path(), &["ls-files"], Instant::now()), Err(Unlisted::NotInTime));
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
            let git = Git::of(&checkout, Some(path));
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
        assert!(Git::of(&checkout, None).program().is_some(), "this process has");
    }

    #[test]
    fn what_is_the_matter_with_git_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let top = root.join("checkout");
        std::fs::create_dir(&top).unwrap();
        let checkout = checkout(&top);
        let trouble = |name: &str, script: &str| {
            program(&root.join(name).join("git"), script, 0o755);
            let git = Git::of(&checkout, root.join(name).to_str());
            git.list(&top, &["ls-files"], soon()).unwrap_err()
        };
        let refused = "#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '/x'\" >&2\nexit 128\n";
        assert_eq!(trouble("refusing", refused), Unlisted::Trouble(GitTrouble::Refused));
        assert_eq!(trouble("no-program", "\0\0"), Unlisted::Trouble(GitTrouble::Broken));
        assert_eq!(trouble("killed", "#!/bin/sh\nkill -9 $$\n"), Unlisted::Trouble(GitTrouble::Broken));
        let none = Git::of(&checkout, Some("/nowhere"));
        assert_eq!(none.list(&top, &["ls-files"], soon()), Err(Unlisted::Trouble(GitTrouble::Missing)));
    }

    #[test]
    fn a_git_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let git = Git::of(&checkout(dir.path()), None);
        let pid_file = dir.path().join("pid");
        let alias = format!("alias.hang=!sleep 300 & echo $! > '{}'; wait", pid_file.display());
        let deadline = Instant::now() + Duration::from_millis(1500);
        assert_eq!(git.run(dir.path(), &["-c", &alias, "hang"], deadline), Outcome::NoAnswer);
        let child: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        eventually("the child ends with its git", || has_ended(child).then_some(()));
    }
}
