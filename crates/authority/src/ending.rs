//! Ending the authority from another process: it is asked first; one that cannot be asked gets a signal, once it is
//! certain that it is the authority.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stopgate_core::VERSION;
use stopgate_core::client::ClientError;
use stopgate_core::holder::{Holder, HolderProcess};
use stopgate_protocol::{Health, ROUTE_SHUTDOWN, Shutdown};

use crate::lifecycle::{AskError, Authority, CHANGE, POLL};

/// How long an authority that does not listen is waited for before it is sent a signal: it may be about to end, or
/// to bind its socket again.
const SETTLE: Duration = Duration::from_secs(4);

/// How long an end by signal may take: the authority itself gives what it has taken in 3 s.
const AFTER_SIGNAL: Duration = Duration::from_secs(5);

impl Authority<'_> {
    /// Ends the authority and waits until it has ended; `false` if none was running. `refusal` says why the caller
    /// may not end one that cannot be asked itself.
    pub fn stop(&self, refusal: impl FnOnce() -> Option<String>) -> Result<bool, AskError> {
        let unanswered = match self.health() {
            Ok(Some(health)) => match self.ask_to_end(&health, &Shutdown::default()) {
                Err(AskError::Unreachable(_)) => "does not answer",
                done => return done.map(|()| true),
            },
            Ok(None) => {
                let deadline = Instant::now() + SETTLE;
                let Some(first) = self.holder() else { return Ok(false) };
                loop {
                    if self.holder().is_none_or(|now| now != first) {
                        return Ok(true);
                    }
                    if let Ok(Some(health)) = self.health() {
                        return self.ask_to_end(&health, &Shutdown::default()).map(|()| true);
                    }
                    if Instant::now() > deadline {
                        break "does not listen";
                    }
                    std::thread::sleep(POLL);
                }
            }
            Err(AskError::Unreachable(ClientError::Deadline | ClientError::Malformed)) => "does not answer",
            Err(error) => return Err(error),
        };
        let Some(holder) = self.holder() else { return Err(ClientError::Deadline.into()) };
        if let Some(error) = refusal() {
            return Err(AskError::Refused { status: 403, error });
        }
        self.signal(&holder, unanswered).map(|()| true)
    }

    /// Has an older authority make way for this program's.
    pub(crate) fn hand_over(&self, health: &Health) -> Result<(), AskError> {
        self.ask_to_end(health, &Shutdown { for_version: Some(VERSION.to_owned()) })
    }

    fn ask_to_end(&self, health: &Health, how: &Shutdown) -> Result<(), AskError> {
        let pid = health.pid;
        let process = self.holder().and_then(|holder| holder.verified(self.home));
        let _: serde_json::Value = self.post(ROUTE_SHUTDOWN, how)?;
        let still_there = || {
            self.health().is_ok_and(|now| now.is_some_and(|now| now.pid == pid))
                || self.holds(pid)
                || process.as_ref().is_some_and(HolderProcess::runs)
        };
        if ends(CHANGE, still_there) {
            return Ok(());
        }
        Err(AskError::NotStopped(format!(
            "the authority (pid {pid}) was asked to stop but has not: end it with `kill {pid}`, or `kill -9 {pid}`"
        )))
    }

    /// Sends SIGTERM to `holder`, if it is the authority beyond doubt.
    fn signal(&self, holder: &Holder, what: &str) -> Result<(), AskError> {
        let lock = self.home.lock();
        let Some(pid) = holder.pid else {
            return Err(AskError::NotStopped(self.unanswering(holder, what)));
        };
        // The handle first: from then on the pid cannot become another's unnoticed.
        let handle = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|handle| Some((handle, holder.verified(self.home)?)));
        let Some((handle, process)) = handle else {
            return Err(AskError::NotStopped(format!(
                "{} names process {pid}, which {what} and cannot be recognised as this home's authority: look at it \
                 with `ps -fp {pid}`, and end it with `kill {pid}` if it is one",
                lock.display()
            )));
        };
        let sent = pidfd_send_signal(&handle, Signal::TERM);
        if sent.is_ok() && ends(AFTER_SIGNAL, || process.runs()) {
            return Ok(());
        }
        Err(AskError::NotStopped(format!(
            "the authority (pid {pid}) {what} and has not ended on SIGTERM (it will when it wakes up): end it with \
             `kill -9 {pid}`, which loses nothing that was answered"
        )))
    }

    /// Whether the process `pid` still holds the lock: a new authority could not start yet.
    fn holds(&self, pid: u32) -> bool {
        self.holder().is_some_and(|holder| holder.pid.is_none_or(|holds| holds == pid))
            && Path::new(&format!("/proc/{pid}")).exists()
    }
}

/// Waits until `still_there` is over, for `patience` at most; `false` if it is not.
fn ends(patience: Duration, still_there: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while still_there() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}
