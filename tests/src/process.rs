//! Signals to processes that a test has started, and how those are.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Keeps a process from running until the value is dropped.
pub struct Stopped(u32);

impl Stopped {
    /// Stops `pid` as `SIGSTOP` does: it holds everything, and answers nothing.
    pub fn new(pid: u32) -> Self {
        signal(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if !has_ended(self.0) {
            signal(self.0, Signal::CONT);
        }
    }
}

/// Whether a process has ended, waited for or not.
pub fn has_ended(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

/// Whether strace is there and may trace.
pub fn can_trace() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let mut probe = Command::new("strace");
        probe.args(["-qq", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })
}

/// Whether strace may trace; says so where it may not, so that nobody takes a skipped test for a passed one.
pub fn can_trace_or_says_so() -> bool {
    if !can_trace() {
        // Not through a print macro: the test harness would swallow that.
        let _ = std::io::stderr().write_all(b"SKIPPED: strace is missing or may not trace\n");
    }
    can_trace()
}
