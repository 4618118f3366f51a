//! Runs git: by argument vector, without pager, prompts, hooks or locks, and never past a deadline.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use stopgate_core::stdin::{self, Ending};

/// Largest output that is read.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// How long to wait between two looks at a process that has closed its output but not ended.
const POLL: Duration = Duration::from_millis(1);

/// How git ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With success; its output.
    Success(Vec<u8>),
    /// With failure: "no" to a question such as whether an object exists.
    Failure,
    /// It had to be killed, could not be started, or printed too much.
    NoAnswer,
}

impl Outcome {
    /// The output of a success.
    pub(crate) fn output(self) -> Option<Vec<u8>> {
        match self {
            Self::Success(output) => Some(output),
            Self::Failure | Self::NoAnswer => None,
        }
    }
}

/// Runs `git arguments` in `dir` until `deadline`; then its whole process group is killed.
pub(crate) fn run(dir: &Path, arguments: &[&str], deadline: Instant) -> Outcome {
    let mut command = Command::new("git");
    command
        .args(["--no-pager", "--no-optional-locks", "--literal-pathspecs"])
        // A checkout's configuration may name programs to run; what is asked here needs none of them.
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false"])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES"] {
        command.env_remove(inherited);
    }
    let Ok(mut child) = command.spawn() else {
        return Outcome::NoAnswer;
    };
    let outcome = wait(&mut child, deadline);
    if outcome == Outcome::NoAnswer {
        kill(&mut child);
    }
    outcome
}

fn wait(child: &mut Child, deadline: Instant) -> Outcome {
    let Some(stdout) = child.stdout.take() else {
        return Outcome::NoAnswer;
    };
    let Ok((output, Ending::Closed)) = stdin::read(&stdout, MAX_OUTPUT_BYTES, deadline) else {
        return Outcome::NoAnswer;
    };
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Outcome::Success(output),
            Ok(Some(_)) => return Outcome::Failure,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
            Ok(None) | Err(_) => return Outcome::NoAnswer,
        }
    }
}

fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_git_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(run(dir.path(), &["init", "-q", "."], soon()), Outcome::Success(_)));
        let pid_file = dir.path().join("pid");
        let alias = format!("alias.hang=!sleep 300 & echo $! > '{}'; wait", pid_file.display());
        let deadline = Instant::now() + Duration::from_millis(1500);
        assert_eq!(run(dir.path(), &["-c", &alias, "hang"], deadline), Outcome::NoAnswer);
        let child: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        });
        assert!(gone, "the child outlived its git");
    }
}
