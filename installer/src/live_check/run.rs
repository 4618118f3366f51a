//! Runs a hook as a harness does in exec form: no shell, own process group, one deadline.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// More output than any hook may give.
const MAX_OUTPUT: u64 = 1024 * 1024;
/// How long output may still come once the process has ended.
const LATE_OUTPUT: Duration = Duration::from_millis(500);

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

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    NotStarted(std::io::Error),
    Exited(ExitStatus),
    TimedOut,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ending: Ending,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) took: Duration,
}

/// Runs `call`; after `deadline` its whole process group is killed.
pub(crate) fn run(call: &Call<'_>, deadline: Duration) -> Ran {
    let began = Instant::now();
    let mut command = Command::new(call.command);
    command.args(call.args).current_dir(call.cwd).env_clear().envs(call.variables.iter().cloned());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let took = began.elapsed();
            return Ran { ending: Ending::NotStarted(error), stdout: Vec::new(), stderr: Vec::new(), took };
        }
    };
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    if let Some(mut stdin) = child.stdin.take() {
        // A payload fits in the pipe; a hook that does not read it is no error.
        let _ = stdin.write_all(call.stdin);
    }
    let ending = wait(&mut child, began, deadline);
    let took = began.elapsed();
    let collect = |output: Option<Receiver<Vec<u8>>>| {
        output.and_then(|output| output.recv_timeout(LATE_OUTPUT).ok()).unwrap_or_default()
    };
    Ran { ending, stdout: collect(stdout), stderr: collect(stderr), took }
}

fn wait(child: &mut Child, began: Instant, deadline: Duration) -> Ending {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ending::Exited(status),
            Ok(None) if began.elapsed() < deadline => {
                let quick = began.elapsed() < Duration::from_millis(50);
                std::thread::sleep(if quick { Duration::from_micros(100) } else { Duration::from_millis(2) });
            }
            Ok(None) => {
                kill_group(child);
                let _ = child.wait();
                return Ending::TimedOut;
            }
            Err(error) => return Ending::NotStarted(error),
        }
    }
}

/// Kills the group of `child`, which has not been waited for: its id cannot be anybody else's.
fn kill_group(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let killed = group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
    if !matches!(killed, Some(Ok(()))) {
        let _ = child.kill();
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, output) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = (&mut pipe).take(MAX_OUTPUT).read_to_end(&mut bytes);
        let _ = done.send(bytes);
    });
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Ran {
        let args = ["-c".to_owned(), script.to_owned()];
        let variables = [("PATH", OsString::from("/usr/bin:/bin"))];
        let call = Call { command: "/bin/sh", args: &args, cwd: Path::new("/"), variables: &variables, stdin: b"in" };
        run(&call, deadline)
    }

    #[test]
    fn output_and_status_are_collected() {
        let ran = shell("cat; echo err >&2; env | grep -c HOME; exit 3", Duration::from_secs(10));
        assert!(matches!(ran.ending, Ending::Exited(status) if status.code() == Some(3)), "{ran:?}");
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"in0\n"[..], &b"err\n"[..]));
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("late");
        let ran = shell(&format!("(sleep 1; touch {}) & sleep 60", mark.display()), Duration::from_millis(200));
        assert!(matches!(ran.ending, Ending::TimedOut), "{ran:?}");
        assert!(ran.took < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(1200));
        assert!(!mark.exists(), "the child of the child lives on");
    }

    #[test]
    fn a_missing_program_is_a_finding() {
        let call = Call { command: "/nowhere/x", args: &[], cwd: Path::new("/"), variables: &[], stdin: b"" };
        assert!(matches!(run(&call, Duration::from_secs(1)).ending, Ending::NotStarted(_)));
    }
}
