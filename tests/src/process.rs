//! Signals to processes that a test has started, and how those are.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use stopgate_core::process::stat::Stat;

use crate::run::eventually;

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    send(pid, signal).unwrap();
}

/// Kills a process, unless somebody else was first.
pub fn kill(pid: u32) {
    assert!(matches!(send(pid, Signal::KILL), Ok(()) | Err(Errno::SRCH)), "{pid}");
}

fn send(pid: u32, signal: Signal) -> Result<(), Errno> {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal)
}

/// Keeps a process from running until the value is dropped.
pub struct Stopped(u32);

impl Stopped {
    /// Stops `pid` as `SIGSTOP` does: it holds everything, and answers nothing. Not in the midst of a write to the store,
    /// which would keep all others from writing as well: that is another fault.
    pub fn new(pid: u32) -> Self {
        loop {
            signal(pid, Signal::STOP);
            eventually("it stands still", || (state(pid)? == 'T').then_some(()));
            if !writes(pid) {
                return Self(pid);
            }
            signal(pid, Signal::CONT);
            std::thread::sleep(Duration::from_millis(5));
        }
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
    state(pid).is_none_or(|state| state == 'Z')
}

/// How the kernel says that a process is: `T` stands still, `Z` has ended.
pub fn state(pid: u32) -> Option<char> {
    Stat::of(pid).ok()?.state()
}

/// Whether a process has something locked for writing in the way that SQLite does.
fn writes(pid: u32) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let mut held = locks.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    held.any(|lock| matches!(lock[..], ["POSIX", "ADVISORY", "WRITE", holder, ..] if holder == pid.to_string()))
}

/// How a program is run in a PID namespace of its own, which ends with it: with a `/proc` of its own, as in a container, and
/// with the one outside, as in a sandbox that mounts nothing; and by bubblewrap, in namespaces of its own of every kind.
/// Empty where that is not allowed, which is said.
pub fn pid_namespaces() -> Vec<Vec<&'static str>> {
    let root: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["-r"] };
    let bare = [&["unshare", "--pid", "--fork", "--kill-child"], root].concat();
    let sandbox = [
        "bwrap",
        "--bind",
        "/",
        "/",
        "--unshare-all",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--as-pid-1",
        "--die-with-parent",
    ];
    let layouts = vec![[&bare[..], &["--mount-proc"]].concat(), bare, sandbox.to_vec()];
    let works = |layout: &Vec<&str>| {
        let mut probe = Command::new(layout[0]);
        probe.args(&layout[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    if layouts.iter().all(works) {
        return layouts;
    }
    // Not through a print macro: the test harness would swallow that.
    let _ = std::io::stderr().write_all(b"SKIPPED: unshare or bwrap may not make a PID namespace\n");
    Vec::new()
}

/// Those of [`pid_namespaces`] in which `/proc` shows the processes of the namespace: elsewhere no authority serves.
pub fn contained_namespaces() -> Vec<Vec<&'static str>> {
    let has_own_proc = |layout: &Vec<&str>| layout.contains(&"--mount-proc") || layout.contains(&"--proc");
    pid_namespaces().into_iter().filter(has_own_proc).collect()
}

/// How a program is run where `/proc` does not show it: with that of another PID namespace, and with nothing in it. Empty
/// where that is not allowed, which is said.
pub fn blind_places() -> Vec<Vec<&'static str>> {
    let mut places = pid_namespaces();
    let contained = contained_namespaces();
    places.retain(|layout| !contained.contains(layout));
    if !places.is_empty() {
        let root: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["-r"] };
        let empty = ["sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""];
        places.push([&["unshare", "--mount"], root, &empty].concat());
    }
    places
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

/// A tracer of a process, as a debugger is one, which lets it go on; it ends with the value.
pub struct Tracer(u32);

/// Has this thread trace `pid`.
///
/// # Panics
/// If the kernel forbids it.
#[expect(unsafe_code, reason = "no safe way to trace")]
pub fn trace(pid: u32) -> Tracer {
    let target = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: passes no pointers.
    let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, target, 0, 0) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    Tracer(pid)
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let target = libc::pid_t::try_from(self.0).unwrap_or_default();
        #[expect(unsafe_code, reason = "no safe way to end tracing")]
        // SAFETY: passes no pointers.
        let _ = unsafe { libc::ptrace(libc::PTRACE_DETACH, target, 0, 0) };
    }
}
