//! Runs programs under limits: each in a process group of its own, which is killed with all that is in it at the
//! deadline, or when it says too much.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::stdin::timespec;

/// Largest output that [`run`] reads.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// How much is read at once.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a silent program is left alone before the next look at it: it may have ended and left a child that holds
/// its output. The first look comes soon, so that a quick program is not kept waiting.
const FIRST_LOOK: Duration = Duration::from_micros(100);
const LAST_LOOK: Duration = Duration::from_millis(10);
/// How long a program is waited for that somebody still has open for writing.
const WRITTEN: Duration = Duration::from_secs(2);

/// What a program may take, and what becomes of the rest.
#[derive(Debug, Clone, Copy)]
pub struct ProgramLimits {
    /// When its whole process group is killed.
    pub deadline: Instant,
    /// How much it may print; if it prints more, it is killed as well.
    pub stdout_bytes: usize,
    /// How much of its standard error is kept. All of it is read, so that the program is not held up. With 0 it stays
    /// what the command says it is.
    pub stderr_bytes: usize,
    /// Whether what it has started and left behind is killed when it has ended.
    pub alone: bool,
}

/// What came of a program.
#[derive(Debug)]
pub struct ProgramEnded {
    /// How it ended.
    pub ending: Ending,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What is kept of its standard error.
    pub stderr: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, or by somebody else's signal.
    Exited(ExitStatus),
    /// It was killed at the deadline.
    Deadline,
    /// It was killed because it printed more than it may.
    TooMuch,
    /// It was lost sight of.
    Lost,
}

/// Runs `command` to its end, which a child that still holds its output does not put off. Its input is what the command
/// says; an error if it cannot be started. With no time left it is not started at all.
pub fn finish(mut command: Command, limits: &ProgramLimits) -> io::Result<ProgramEnded> {
    if Instant::now() >= limits.deadline {
        return Ok(ProgramEnded { ending: Ending::Deadline, stdout: Vec::new(), stderr: Vec::new() });
    }
    command.stdout(Stdio::piped()).process_group(0);
    if limits.stderr_bytes > 0 {
        command.stderr(Stdio::piped());
    }
    let mut child = start(&mut command, limits.deadline)?;
    // One byte more than it may print is kept, so that it is noticed.
    let mut stdout = Stream::new(child.stdout.take().map(OwnedFd::from), limits.stdout_bytes.saturating_add(1));
    let mut stderr = Stream::new(child.stderr.take().map(OwnedFd::from), limits.stderr_bytes);
    let watched = watch(&child, &mut stdout, &mut stderr, limits);
    if limits.alone || watched != Watched::Exited {
        kill_group(&child);
    }
    let ending = match watched {
        Watched::Exited => child.wait().map_or(Ending::Lost, Ending::Exited),
        Watched::Deadline => Ending::Deadline,
        Watched::TooMuch => Ending::TooMuch,
        Watched::Lost => Ending::Lost,
    };
    if watched != Watched::Exited {
        see_off(child);
    }
    Ok(ProgramEnded { ending, stdout: stdout.bytes, stderr: stderr.bytes })
}

/// Starts `command`. A program that was just written may be open for writing in a child that another thread has forked a moment
/// ago, and then cannot be started (ETXTBSY) until the child's own program begins: that is waited for, but not for long.
pub fn start(command: &mut Command, deadline: Instant) -> io::Result<Child> {
    let until = deadline.min(Instant::now() + WRITTEN);
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done,
        }
    }
}

/// Waits for a child that was killed: not for long, because one that hangs in the kernel, at a disk that does not answer,
/// does not die.
fn see_off(mut child: Child) {
    for _ in 0..20 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = std::thread::Builder::new().name("last-wait".to_owned()).spawn(move || child.wait());
}

/// Why nobody watches any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Exited,
    Deadline,
    TooMuch,
    Lost,
}

fn watch(child: &Child, stdout: &mut Stream, stderr: &mut Stream, limits: &ProgramLimits) -> Watched {
    let mut pause = FIRST_LOOK;
    loop {
        let Ok(has_exited) = has_exited(child) else { return Watched::Lost };
        let left = limits.deadline.saturating_duration_since(Instant::now());
        match (has_exited, left.is_zero()) {
            (false, true) => return Watched::Deadline,
            // It was in time, whoever is late to look; only what it answered still counts.
            (true, true) => stderr.pipe = None,
            (_, false) => {}
        }
        // Looked at after the exit was seen: all that it printed is there by now.
        let patience = if has_exited { Duration::ZERO } else { left.min(pause) };
        match hear(stdout, stderr, patience) {
            Ok(_) if stdout.bytes.len() > limits.stdout_bytes => return Watched::TooMuch,
            Ok(true) => pause = FIRST_LOOK,
            Ok(false) if has_exited => return Watched::Exited,
            Ok(false) => pause = LAST_LOOK.min(pause * 2),
            Err(_) => return Watched::Lost,
        }
    }
}

/// Whether it has ended; it stays a zombie, so that its process group cannot become another's.
fn has_exited(child: &Child) -> io::Result<bool> {
    let Some(pid) = pid(child) else { return Err(io::ErrorKind::NotFound.into()) };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), look)?.is_some())
}

/// Reads what is there, waiting `patience` for it; whether there was anything.
fn hear(stdout: &mut Stream, stderr: &mut Stream, patience: Duration) -> io::Result<bool> {
    let streams = [stdout, stderr];
    let mut waiting: Vec<PollFd<'_>> = Vec::with_capacity(streams.len());
    waiting.extend(streams.iter().flat_map(|stream| &stream.pipe).map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    match poll(&mut waiting, Some(&timespec(patience))) {
        Ok(0) | Err(Errno::INTR) => return Ok(false),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let mut is_ready = [false; 2];
    for (ready, polled) in is_ready.iter_mut().zip(&waiting) {
        *ready = !polled.revents().is_empty();
    }
    drop(waiting);
    for (stream, is_ready) in streams.into_iter().filter(|stream| stream.pipe.is_some()).zip(is_ready) {
        if is_ready {
            stream.read()?;
        }
    }
    Ok(true)
}

/// What comes out of a program.
struct Stream {
    /// Nothing once it is closed.
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    kept_bytes: usize,
}

impl Stream {
    const fn new(pipe: Option<OwnedFd>, kept_bytes: usize) -> Self {
        Self { pipe, bytes: Vec::new(), kept_bytes }
    }

    /// Reads once. A stream that is closed is dropped.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        self.bytes.reserve(PIECE_BYTES);
        match rustix::io::read(pipe, rustix::buffer::spare_capacity(&mut self.bytes)) {
            Ok(0) => self.pipe = None,
            Ok(_) => self.bytes.truncate(self.kept_bytes),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Kills the process group of `child`, which has not been waited for: its id cannot be anybody else's.
pub fn kill_group(child: &Child) {
    if let Some(group) = pid(child) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// What a program had to say, for callers to whom it is all the same why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ended with success; its output.
    Success(Vec<u8>),
    /// It ended with failure, which may be an answer: "no" to a question.
    Failure,
    /// It had to be killed, could not be started, or printed too much.
    NoAnswer,
}

impl Outcome {
    /// The output of a success.
    pub fn output(self) -> Option<Vec<u8>> {
        match self {
            Self::Success(output) => Some(output),
            Self::Failure | Self::NoAnswer => None,
        }
    }
}

/// Runs `command` without input until `deadline`.
pub fn run(command: Command, deadline: Instant) -> Outcome {
    run_for(command, deadline, MAX_OUTPUT_BYTES)
}

/// [`run`] with another limit than 16 MiB for the output.
pub fn run_for(mut command: Command, deadline: Instant, stdout_bytes: usize) -> Outcome {
    command.stdin(Stdio::null());
    match finish(command, &ProgramLimits { deadline, stdout_bytes, stderr_bytes: 0, alone: false }) {
        Ok(ProgramEnded { ending: Ending::Exited(status), stdout, .. }) if status.success() => Outcome::Success(stdout),
        Ok(ProgramEnded { ending: Ending::Exited(_), .. }) => Outcome::Failure,
        Ok(_) | Err(_) => Outcome::NoAnswer,
    }
}

/// The program `name` in the absolute directories of the search path `path`: what any other directory is depends on where
/// one is, and might be a checkout's own.
pub fn find(path: &OsStr, name: &str) -> Option<PathBuf> {
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    fn limits(patience: Duration) -> ProgramLimits {
        ProgramLimits { deadline: Instant::now() + patience, stdout_bytes: 100_000, stderr_bytes: 5, alone: false }
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn output_and_status_are_collected_and_not_all_complaints_are_kept() {
        let ended = finish(shell("echo out; echo complaint >&2; exit 3"), &limits(LONG)).unwrap();
        assert!(matches!(ended.ending, Ending::Exited(status) if status.code() == Some(3)), "{ended:?}");
        assert_eq!((ended.stdout.as_slice(), ended.stderr.as_slice()), (&b"out\n"[..], &b"compl"[..]));
        assert!(finish(Command::new("/nowhere/x"), &limits(LONG)).is_err());
    }

    #[test]
    fn a_program_that_a_forked_child_still_has_open_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        std::fs::write(&path, "#!/bin/sh\necho done\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        // What a child has between fork and exec.
        let forked = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let busy = Command::new(&path).spawn().unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ExecutableFileBusy);
        let begins = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(forked);
        });
        assert_eq!(finish(Command::new(&path), &limits(LONG)).unwrap().stdout, b"done\n");
        begins.join().unwrap();
    }

    #[test]
    fn it_may_print_just_as_much_as_it_may() {
        let ended = |bytes: usize| finish(shell(&format!("head -c {bytes} /dev/zero")), &limits(LONG)).unwrap();
        let most = ended(100_000);
        assert!(matches!(most.ending, Ending::Exited(status) if status.success()) && most.stdout.len() == 100_000);
        assert_eq!(ended(100_001).ending, Ending::TooMuch);
        assert_eq!(finish(shell("exec cat /dev/zero"), &limits(LONG)).unwrap().ending, Ending::TooMuch);
    }

    #[test]
    fn a_child_that_holds_the_output_puts_nothing_off_and_is_killed_only_if_asked() {
        for alone in [false, true] {
            let began = Instant::now();
            let script = "sleep 600 & echo $!";
            let ended = finish(shell(script), &ProgramLimits { alone, ..limits(LONG) }).unwrap();
            assert!(matches!(ended.ending, Ending::Exited(status) if status.success()), "{ended:?}");
            assert!(began.elapsed() < LONG);
            let child: u32 = String::from_utf8(ended.stdout).unwrap().trim().parse().unwrap();
            let lives = || crate::process::stat::Stat::of(child).is_ok_and(|stat| !stat.is_zombie());
            if alone {
                while lives() {
                    assert!(began.elapsed() < LONG, "the child lives on");
                    std::thread::sleep(Duration::from_millis(5));
                }
            } else {
                assert!(lives());
                rustix::process::kill_process(Pid::from_raw(child.cast_signed()).unwrap(), Signal::KILL).unwrap();
            }
        }
    }

    #[test]
    fn what_hangs_is_killed_at_the_deadline_whether_it_talks_or_not() {
        for script in ["exec sleep 600", "exec >&- 2>&-; exec sleep 600", "while :; do echo x >&2; done"] {
            let ended = finish(shell(script), &limits(Duration::from_millis(100))).unwrap();
            assert_eq!(ended.ending, Ending::Deadline, "{script}");
        }
    }

    #[test]
    fn success_failure_and_no_answer_are_told_apart() {
        let soon = || Instant::now() + LONG;
        assert_eq!(run(shell("echo yes"), soon()), Outcome::Success(b"yes\n".to_vec()));
        assert_eq!(run(shell("echo no; false"), soon()), Outcome::Failure);
        assert_eq!(run(shell("sleep 600"), Instant::now()), Outcome::NoAnswer);
        assert_eq!(run_for(shell("echo yes"), soon(), 3), Outcome::NoAnswer);
        assert_eq!(run(Command::new("/nowhere/x"), soon()), Outcome::NoAnswer);
    }

    #[test]
    fn only_absolute_directories_of_the_path_are_searched() {
        let dir = tempfile::tempdir().unwrap();
        let [planted, real] = ["planted", "real"].map(|name| dir.path().join(name));
        for directory in [&planted, &real] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("git"), "").unwrap();
        }
        std::fs::set_permissions(real.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!(".::bin:{}:{}", planted.display(), real.display());
        assert_eq!(find(OsStr::new(&path), "git"), Some(real.join("git")), "the other one cannot be run");
        assert_eq!(find(OsStr::new(".:bin:"), "git"), None);
    }
}
