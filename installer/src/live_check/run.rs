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
    use stopgate_core::process::stat::Stat;
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
        const FOREVER: Duration = Duration::from_mins(10);
        let ran = shell("sleep 600 & echo $!; sleep 600", Duration::from_millis(200));
        let ended = ran.ended.unwrap();
        assert!(ended.ending == Ending::Deadline && ran.took < FOREVER);
        // A machine that is slow may not have come so far.
        if let Ok(child) = String::from_utf8(ended.stdout).unwrap().trim().parse() {
            let began = Instant::now();
            while Stat::of(child).is_ok_and(|stat| !stat.is_zombie()) {
                assert!(began.elapsed() < FOREVER / 2, "the child of the child lives on");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_missing_program_is_a_finding() {
        let call = Call { command: "/nowhere/x", args: &[], cwd: Path::new("/"), variables: &[], stdin: b"" };
        assert!(run(&call, Duration::from_secs(1)).ended.is_err());
    }
}
