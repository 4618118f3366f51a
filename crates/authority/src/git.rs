//! Runs git: by argument vector, without pager, prompts, hooks or locks, and never past a deadline.
//!
//! A checkout may have been planted: no program in it, and none that its configuration names, is run. Filters cannot be
//! switched off, so callers ask nothing that looks into changed files: no `status`, no `diff`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::subprocess;
pub(crate) use stopgate_core::subprocess::Outcome;

/// Runs `git arguments` in `dir` until `deadline`; then its whole process group is killed.
pub(crate) fn run(dir: &Path, arguments: &[&str], deadline: Instant) -> Outcome {
    run_for(dir, arguments, deadline, MAX_OUTPUT_BYTES)
}

/// Largest answer of [`run`].
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// Largest listing of a tree with [`run_for`]: some 400,000 files.
pub(crate) const LISTING_BYTES: usize = 64 * 1024 * 1024;

/// [`run`] with a limit of its own for the output.
pub(crate) fn run_for(dir: &Path, arguments: &[&str], deadline: Instant, max_output_bytes: usize) -> Outcome {
    let Some(git) = program() else {
        return Outcome::NoAnswer;
    };
    let mut command = Command::new(&git.path);
    command
        .args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"])
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false"])
        .args(["-c", "core.quotePath=false"])
        .args(arguments)
        .current_dir(dir)
        .env(env::PATH, &git.search)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .stderr(Stdio::null());
    for inherited in INHERITED {
        command.env_remove(inherited);
    }
    subprocess::run_for(command, deadline, max_output_bytes)
}

/// What a caller may have set for a checkout of its own, or to have programs run.
const INHERITED: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
];

/// Where git is, and where it may look for programs itself.
#[derive(Debug)]
struct GitProgram {
    path: PathBuf,
    search: OsString,
}

/// git, where it is found the first time.
fn program() -> Option<&'static GitProgram> {
    static FOUND: OnceLock<GitProgram> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Some(found);
    }
    let found = find(&ProcessEnv.os(env::PATH)?)?;
    Some(FOUND.get_or_init(|| found))
}

/// git on the search path `path`, and what of that it may search itself: no directory that depends on where one is.
fn find(path: &OsStr) -> Option<GitProgram> {
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    Some(GitProgram { path: subprocess::find(path, "git")?, search: std::env::join_paths(directories).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;
    use stopgate_tests::process::has_ended;
    use stopgate_tests::run::eventually;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn success_failure_and_no_answer_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(run(dir.path(), &["init", "-q", "."], soon()), Outcome::Success(_)));
        assert_eq!(run(dir.path(), &["rev-parse", "--verify", "-q", "HEAD"], soon()), Outcome::Failure);
        assert_eq!(run(dir.path(), &["hash-object", "--stdin"], Instant::now()), Outcome::NoAnswer);
        assert_eq!(run(&dir.path().join("missing"), &["status"], soon()), Outcome::NoAnswer);
    }

    #[test]
    fn git_searches_no_directory_that_depends_on_where_one_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("git"), "").unwrap();
        std::fs::set_permissions(dir.path().join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!(".::bin:/nowhere:{}", dir.path().display());
        let found = find(OsStr::new(&path)).unwrap();
        assert_eq!(found.path, dir.path().join("git"));
        assert_eq!(found.search, OsString::from(format!("/nowhere:{}", dir.path().display())));
        assert!(find(OsStr::new(".:bin:")).is_none());
    }

    #[test]
    fn a_git_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(run(dir.path(), &["init", "-q", "."], soon()), Outcome::Success(_)));
        let pid_file = dir.path().join("pid");
        let alias = format!("alias.hang=!sleep 300 & echo $! > '{}'; wait", pid_file.display());
        let deadline = Instant::now() + Duration::from_millis(1500);
        assert_eq!(run(dir.path(), &["-c", &alias, "hang"], deadline), Outcome::NoAnswer);
        let child: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        eventually("the child ends with its git", || has_ended(child).then_some(()));
    }
}
