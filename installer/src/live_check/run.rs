//! Runs a hook as a harness does in exec form: no shell, own process group, one deadline.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use stopgate_core::subprocess::{self, ProgramEnded, ProgramLimits};

/// More output than any hook may give.
const MAX_OUTPUT_BYTES: usize = 1024 * 1024;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) command: &'a str,
    pub(crate) args: &'a [String],
    pub(crate) cwd: &'a Path,
    /// The whole environment.
    pub(crate) variables: &'a [(&'static str, OsString)],
    pub(crate) stdin: &'a [u8],
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How it ended and what it said; an error if it cannot be started.
    pub(crate) ended: io::Result<ProgramEnded>,
    pub(crate) took: Duration,
}

/// Runs `call`; after `deadline` its whole process group is killed.
pub(crate) fn run(call: &Call<'_>, deadline: Duration) -> Ran {
    let began = Instant::now();
    let limits = ProgramLimits {
        deadline: began + deadline,
        stdout_bytes: MAX_OUTPUT_BYTES,
        stderr_bytes: MAX_OUTPUT_BYTES,
        alone: false,
    };
    let ended = command(call).and_then(|command| subprocess::finish(command, &limits));
    Ran { ended, took: began.elapsed() }
}

fn command(call: &Call<'_>) -> io::Result<Command> {
    // A payload fits in the pipe, whether the hook reads it or not.
    let (input, mut filled) = io::pipe()?;
    filled.write_all(call.stdin)?;
    let mut command = Command::new(call.command);
    command.args(call.args).current_dir(call.cwd).env_clear().envs(call.variables.iter().cloned()).stdin(input);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::subprocess::Ending;

    fn shell(script: &str, deadline: Duration) -> Ran {
        let args = ["-c".to_owned(), script.to_owned()];
        let variables = [("PATH", OsString::from("/usr/bin:/bin"))];
        let call = Call { command: "/bin/sh", args: &args, cwd: Path::new("/"), variables: &variables, stdin: b"in" };
        run(&call, deadline)
    }

    #[test]
    fn output_and_status_are_collected() {
        let ran = shell("cat; echo err >&2; env | grep -c HOME; exit 3", Duration::from_secs(10));
        let ended = ran.ended.unwrap();
        assert!(matches!(ended.ending, Ending::Exited(status) if status.code() == Some(3)), "{ended:?}");
        assert_eq!((ended.stdout.as_slice(), ended.stderr.as_slice()), (&b"in0\n"[..], &b"err\n"[..]));
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("late");
        let ran = shell(&format!("(sleep 1; touch {}) & sleep 60", mark.display()), Duration::from_millis(200));
        assert_eq!(ran.ended.unwrap().ending, Ending::Deadline);
        assert!(ran.took < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!mark.exists(), "the child of the child lives on");
    }

    #[test]
    fn a_missing_program_is_a_finding() {
        let call = Call { command: "/nowhere/x", args: &[], cwd: Path::new("/"), variables: &[], stdin: b"" };
        assert!(run(&call, Duration::from_secs(1)).ended.is_err());
    }
}
