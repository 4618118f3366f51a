//! Runs a program under a deadline; past it, its whole process group is killed.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::stdin::{self, Ending};

/// Largest output that is read.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;
/// How long to wait between two looks at a process that has closed its output but not ended.
const POLL: Duration = Duration::from_millis(1);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With success; its output.
    Success(Vec<u8>),
    /// With failure, which may be an answer: "no" to a question.
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

/// Runs `command`, without input and in a process group of its own, until `deadline`.
pub fn run(command: Command, deadline: Instant) -> Outcome {
    run_for(command, deadline, MAX_OUTPUT_BYTES)
}

/// [`run`] with another limit than 16 MiB for the output.
pub fn run_for(mut command: Command, deadline: Instant, max_output_bytes: usize) -> Outcome {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let Ok(mut child) = command.spawn() else {
        return Outcome::NoAnswer;
    };
    let outcome = wait(&mut child, deadline, max_output_bytes);
    if outcome == Outcome::NoAnswer {
        kill(&mut child);
    }
    outcome
}

fn wait(child: &mut Child, deadline: Instant, max_output_bytes: usize) -> Outcome {
    let Some(stdout) = child.stdout.take() else {
        return Outcome::NoAnswer;
    };
    let Ok((output, Ending::Closed)) = stdin::read(&stdout, max_output_bytes, deadline) else {
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
