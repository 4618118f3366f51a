//! An authority that was started in a sandbox or a container and serves a home that others use from outside: it does not see
//! the processes of those who ask, and so refuses the person what is theirs. Whoever sees it from outside knows more than it
//! does, and has one start that sees.

use std::fmt;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stopgate_core::autostart::PROGRAM;
use stopgate_core::client;
use stopgate_core::holder::has_open;
use stopgate_core::process::stat::Stat;
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, ProcessTable as _, identify, liveness};
use stopgate_protocol::{ErrorCode, Failure};

use crate::ask::Authority;
use crate::error::AskError;
use crate::limits::AFTER_SIGNAL;

/// Why an authority does not see who asks it from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seclusion {
    /// It lives in a PID namespace below this process's.
    Namespace,
    /// Its `/proc` does not show this process.
    Proc,
}

/// An authority that does not see who asks it from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secluded {
    /// Its process, as it is numbered here.
    pub pid: u32,
    /// Why it does not.
    pub why: Seclusion,
    process: ProcessIdentity,
}

impl Secluded {
    /// What it is, in one line.
    pub fn meaning(&self) -> String {
        let why = match self.why {
            Seclusion::Namespace => "runs in a process namespace of its own, such as a sandbox or a container",
            Seclusion::Proc => "has no /proc that shows other processes, as in a sandbox",
        };
        format!("the authority of this home (process {}) {why}, and cannot see who asks it from here", self.pid)
    }

    /// How a person gets one that can.
    pub fn remedy(&self) -> String {
        format!("`stopgate authority start` replaces it, or end it with `kill {}`", self.pid)
    }

    /// The same as programs are told it.
    pub fn failure(&self) -> Failure {
        Failure::new(ErrorCode::Unreachable, self.meaning()).with_remedy(self.remedy())
    }
}

impl fmt::Display for Secluded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(out)
    }
}

impl Authority<'_> {
    /// The authority that listens, if it is certain that it does not see who asks it from here. One that this process cannot
    /// see itself, because it runs outside of this sandbox, sees more than this process does.
    pub fn secluded(&self) -> Option<Secluded> {
        let listener = client::listener_of(&self.home.socket_to_connect().ok()?).ok()?;
        // Numbers of processes mean something only where `/proc` counts as the kernel does for this one.
        let pid = listener.pid.filter(|_| ProcFs::has_own_numbers())?;
        let process = identify(&ProcFs, pid)?;
        let why = if ProcFs::depth(pid)? > 0 {
            Seclusion::Namespace
        } else if sees_this_process(pid)? {
            return None;
        } else {
            Seclusion::Proc
        };
        Some(Secluded { pid, why, process })
    }

    /// Ends an authority that sees nobody from here, if it is beyond doubt the one of this home, and waits until it has.
    pub(crate) fn end_secluded(&self, secluded: &Secluded) -> Result<(), AskError> {
        let pid = secluded.pid;
        // The handle first: from then on the pid cannot become another's unnoticed.
        let handle = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .filter(|_| self.is_ours(secluded));
        let Some(handle) = handle else {
            return Err(AskError::NotStopped(format!(
                "{}; it cannot be recognised as a program of stopgate: look at it with `ps -fp {pid}`, and end it with \
                 `kill {pid}` if it is one",
                secluded.meaning()
            )));
        };
        let is_sent = pidfd_send_signal(&handle, Signal::TERM).is_ok();
        let has_ended = || (liveness(&ProcFs, &secluded.process) == Liveness::Gone).then_some(());
        if is_sent && self.wait(AFTER_SIGNAL, "stop", has_ended).is_some() {
            return Ok(());
        }
        let why = "it has not ended on SIGTERM";
        Err(AskError::NotStopped(format!("{}; {why}: end it with `kill -9 {pid}`", secluded.meaning())))
    }

    /// Whether it still is the process that was seen, runs our program, and holds the lock of this home.
    fn is_ours(&self, secluded: &Secluded) -> bool {
        let executable = ProcFs.executable(secluded.pid).unwrap_or_default();
        let program = executable.strip_suffix(" (deleted)").unwrap_or(&executable);
        liveness(&ProcFs, &secluded.process) == Liveness::Alive
            && Path::new(program).file_name().is_some_and(|name| name == PROGRAM)
            && has_open(secluded.pid, &self.home.lock())
    }
}

/// Whether the `/proc` that `pid` has shows this process; `None` if that cannot be looked at.
fn sees_this_process(pid: u32) -> Option<bool> {
    let own = std::process::id();
    match std::fs::read(format!("/proc/{pid}/root/proc/{own}/stat")) {
        Ok(bytes) => Some(Stat::parse(&bytes)?.start_ticks()? == Stat::of(own).ok()?.start_ticks()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // That it is not there says something only while the process is.
            std::fs::metadata(format!("/proc/{pid}/root/")).is_ok().then_some(false)
        }
        Err(_) => None,
    }
}
