//! A judge that is a program: the prompt on its standard input, the answer on its standard output.
//!
//! It gets a scrubbed environment with the recursion guard, an empty directory to stand in, and a process group of
//! its own, which is killed when it has answered, when it says too much, or at the deadline, whichever comes first.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use stopgate_config::JudgeConfig;
use stopgate_core::env::{self, Env};
use stopgate_core::fsx;
use stopgate_core::paths::Home;
use stopgate_gate::judge::{FailureKind, JudgeFailure, Prompt};

use super::MAX_OUTPUT_BYTES;

/// What every judge is given of the authority's environment.
const PASSED: [&str; 5] = [env::PATH, env::HOME, env::USER, env::LANG, env::TMPDIR];
/// How long to wait between two looks at a program that says nothing: it may have ended and left a child that holds
/// its output.
const POLL: Duration = Duration::from_millis(10);
/// How much of what it prints to its standard error is kept for the log.
const MAX_COMPLAINT_BYTES: usize = 4 * 1024;

/// Asks the program of `judge`; its whole output.
pub(super) fn ask(
    environment: &dyn Env,
    home: &Home,
    judge: &JudgeConfig,
    prompt: &Prompt,
    deadline: Instant,
) -> Result<Vec<u8>, JudgeFailure> {
    let unavailable = |what: String| JudgeFailure::new(FailureKind::Unavailable, &what);
    let Some((program, arguments)) = judge.command.split_first() else {
        return Err(unavailable("judge.command names no program".to_owned()));
    };
    let place = empty_directory(home).map_err(|error| unavailable(format!("run/judge: {error}")))?;
    let input = input(&prompt.whole()).map_err(|error| unavailable(format!("its input: {error}")))?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(place).env_clear();
    let names = PASSED.into_iter().chain(judge.pass_env.iter().map(String::as_str));
    command.envs(names.filter_map(|name| Some((name, environment.os(name)?))));
    command.env(env::STOPGATE_JUDGE, "1");
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|error| unavailable(format!("{program} cannot be started: {error}")))?;
    let mut running = Running { child, output: Vec::new(), complaint: Vec::new() };
    let ending = running.watch(deadline);
    let status = running.end();
    let Running { output, complaint, .. } = &mut running;
    let said = |what: String| match String::from_utf8_lossy(complaint).trim() {
        "" => what,
        complaint => format!("{what}: {complaint}"),
    };
    match (ending, status) {
        (Ending::Deadline, _) => Err(JudgeFailure::new(FailureKind::Timeout, &said("killed at the deadline".into()))),
        (Ending::TooMuch, _) => {
            let what = format!("{program} printed more than {MAX_OUTPUT_BYTES} bytes");
            Err(JudgeFailure::new(FailureKind::Malformed, &what))
        }
        (Ending::Exited, Some(status)) if status.success() => Ok(std::mem::take(output)),
        (Ending::Exited, Some(status)) => Err(unavailable(said(format!("{program} {}", described(status))))),
        (Ending::Lost, _) | (Ending::Exited, None) => Err(unavailable(format!("{program} was lost sight of"))),
    }
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// A directory of our own with nothing in it: a program that looks around finds no project, and no instructions that
/// an earlier one left.
fn empty_directory(home: &Home) -> io::Result<PathBuf> {
    let place = home.run().join("judge");
    fsx::ensure_private_dir(&place)?;
    if !std::fs::symlink_metadata(&place)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory: move it away"));
    }
    for entry in std::fs::read_dir(&place)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { remove_tree(&entry.path())? } else { std::fs::remove_file(entry.path())? }
    }
    Ok(place)
}

/// Two judges at once may clear the same directory.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The prompt as a file without a name: a program that does not read it blocks nobody, and nothing lies on disk.
fn input(prompt: &str) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("prompt", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(prompt.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// How watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Exited,
    Deadline,
    TooMuch,
    Lost,
}

/// A program that runs.
struct Running {
    child: Child,
    output: Vec<u8>,
    complaint: Vec<u8>,
}

impl Running {
    /// Collects what the program prints until it has ended; whether a child of its own still holds its output does
    /// not matter.
    fn watch(&mut self, deadline: Instant) -> Ending {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ending::Deadline;
            }
            let Ok(exited) = self.has_exited() else { return Ending::Lost };
            // Looked at after the exit was seen: all that it printed is there by now.
            let patience = if exited { Duration::ZERO } else { left.min(POLL) };
            match self.read(patience) {
                Ok(_) if self.output.len() > MAX_OUTPUT_BYTES => return Ending::TooMuch,
                Ok(Heard::Nothing) if exited => return Ending::Exited,
                Ok(_) => {}
                Err(_) => return Ending::Lost,
            }
        }
    }

    /// Whether it has ended; it stays a zombie, so that its process group cannot become another's.
    fn has_exited(&self) -> io::Result<bool> {
        let Some(pid) = pid(&self.child) else { return Err(io::ErrorKind::NotFound.into()) };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid), look)?.is_some())
    }

    /// Reads what is there, waiting `patience` for it. A stream that is closed is dropped.
    fn read(&mut self, patience: Duration) -> io::Result<Heard> {
        let streams: Vec<BorrowedFd<'_>> =
            self.child.stdout.iter().map(AsFd::as_fd).chain(self.child.stderr.iter().map(AsFd::as_fd)).collect();
        if streams.is_empty() {
            std::thread::sleep(patience);
            return Ok(Heard::Nothing);
        }
        let mut waiting: Vec<_> = streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)).collect();
        let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
        match poll(&mut waiting, Some(&patience)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Heard::Nothing),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = waiting.iter().map(|stream| !stream.revents().is_empty());
        let out = self.child.stdout.is_some() && ready.next().unwrap_or(false);
        let complains = self.child.stderr.is_some() && ready.next().unwrap_or(false);
        drop(ready);
        let mut piece = [0; 16 * 1024];
        if out && let Some(stdout) = &self.child.stdout {
            match rustix::io::read(stdout, &mut piece)? {
                0 => self.child.stdout = None,
                length => self.output.extend_from_slice(&piece[..length]),
            }
        }
        if complains && let Some(stderr) = &self.child.stderr {
            match rustix::io::read(stderr, &mut piece)? {
                0 => self.child.stderr = None,
                // All of it is read, so that the program is not held up; not all is kept.
                length => {
                    let room = MAX_COMPLAINT_BYTES - self.complaint.len();
                    self.complaint.extend_from_slice(&piece[..length.min(room)]);
                }
            }
        }
        Ok(if out || complains { Heard::Something } else { Heard::Nothing })
    }

    /// Kills the whole group, whatever is left of it, and takes the program's status.
    fn end(&mut self) -> Option<ExitStatus> {
        if let Some(group) = pid(&self.child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.child.wait().ok()
    }
}

/// Whether there was anything to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Something,
    Nothing,
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
