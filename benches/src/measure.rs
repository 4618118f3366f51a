//! One spawn of one hook, timed as a harness feels it.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How a spawned hook ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// From before the spawn to after the exit.
    pub(crate) elapsed: Duration,
    /// Whether it exited with 0.
    pub(crate) success: bool,
    /// All that it printed.
    pub(crate) stdout: Vec<u8>,
}

/// Makes `command` ready to be spawned again and again by [`spawn`].
pub(crate) fn prepare(command: &mut Command) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
}

/// Spawns `command`, hands it `payload`, and waits for its end. The time includes spawn, input and exit; standard
/// output is read afterwards (a reply is smaller than a pipe's buffer).
pub(crate) fn spawn(command: &mut Command, payload: &[u8]) -> io::Result<Finished> {
    let begin = Instant::now();
    let mut child = command.spawn()?;
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(payload),
        None => Ok(()),
    };
    let status = child.wait()?;
    let elapsed = begin.elapsed();

    // A hook whose kill switch is on does not read its input, and neither does the no-op.
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    let mut stdout = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut stdout)?;
    }
    Ok(Finished { elapsed, success: status.success(), stdout })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, payload: &[u8]) -> Finished {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        prepare(&mut command);
        spawn(&mut command, payload).unwrap()
    }

    #[test]
    fn input_is_closed_output_is_kept_and_the_status_is_told() {
        let echoed = sh("cat", b"payload");
        assert!(echoed.success);
        assert_eq!(echoed.stdout, b"payload");
        assert!(!sh("exit 3", b"").success);
    }

    #[test]
    fn the_time_covers_the_whole_life_and_unread_input_is_no_error() {
        let slow = sh("exec <&-; sleep 0.05", &vec![b'x'; 1 << 20]);
        assert!(slow.success && slow.elapsed >= Duration::from_millis(50));
    }
}
