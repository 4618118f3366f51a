//! Runs git as [`stopgate_core::git`] has it, and never past a deadline.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use rustix::fs::{MemfdFlags, memfd_create};
use stopgate_core::checkout::Checkout;
use stopgate_core::git::GitCommand;
pub(crate) use stopgate_core::subprocess::Outcome;
use stopgate_core::subprocess::{self, Ending, ProgramEnded, ProgramLimits};
use stopgate_gate::facts::GitTrouble;

/// Largest answer of [`Git::run`].
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// Largest listing of a tree: some 400,000 files.
const LISTING_BYTES: usize = 64 * 1024 * 1024;
/// How much of what git complains of is looked at.
const COMPLAINT_BYTES: usize = 4 * 1024;

/// git for one checkout.
#[derive(Debug)]
pub(crate) struct Git(GitCommand);

/// Why there is no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// git cannot be asked.
    Trouble(GitTrouble),
    /// It did not answer in time, or said more than is read.
    NotInTime,
}

impl Git {
    /// As whoever works in `checkout` with the search path `path` finds it.
    pub(crate) fn of(checkout: &Checkout, path: Option<&str>) -> Self {
        Self(GitCommand::of(checkout, path))
    }

    /// Runs `git arguments` in `dir` until `deadline`; then its whole process group is killed.
    pub(crate) fn run(&self, dir: &Path, arguments: &[&str], deadline: Instant) -> Outcome {
        match self.0.command(dir, arguments, true) {
            Some(mut command) => {
                command.stderr(Stdio::null());
                subprocess::run_for(command, deadline, MAX_OUTPUT_BYTES)
            }
            None => Outcome::NoAnswer,
        }
    }

    /// What `git arguments` lists, or why it does not.
    pub(crate) fn list(&self, dir: &Path, arguments: &[&str], deadline: Instant) -> Result<Vec<u8>, Unlisted> {
        let mut command = self.0.command(dir, arguments, true).ok_or(Unlisted::Trouble(GitTrouble::Missing))?;
        command.stdin(Stdio::null());
        let limits =
            ProgramLimits { deadline, stdout_bytes: LISTING_BYTES, stderr_bytes: COMPLAINT_BYTES, alone: false };
        match subprocess::finish(command, &limits) {
            Ok(ProgramEnded { ending: Ending::Exited(status), stdout, .. }) if status.success() => Ok(stdout),
            Ok(ProgramEnded { ending: Ending::Exited(_), stderr, .. }) => {
                Err(Unlisted::Trouble(GitTrouble::complained_of(&stderr)))
            }
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
        let mut command = self.0.command(dir, arguments, false)?;
        let mut file = std::fs::File::from(memfd_create("stopgate", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(input).ok()?;
        file.seek(SeekFrom::Start(0)).ok()?;
        command.stdin(file).stderr(Stdio::null());
        let limits = ProgramLimits { deadline, stdout_bytes: LISTING_BYTES, stderr_bytes: 0, alone: false };
        subprocess::finish(command, &limits).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;
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
