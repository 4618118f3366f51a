//! Ending the authority: it is asked first; one that cannot be asked gets a signal, once it is certain that it is the
//! authority.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use stopgate_core::VERSION;
use stopgate_core::client::ClientError;
use stopgate_core::holder::HolderProcess;
use stopgate_protocol::{Failure, Health, Shutdown, Stopping};

use crate::ask::Authority;
use crate::error::AskError;
use crate::limits::{AFTER_SIGNAL, CHANGE};
use crate::silent::{Silence, Silent};

impl Authority<'_> {
    /// Asks the authority to end, and waits until it has; `false` if none was running. One that would not see who asks gets
    /// a signal: whether the caller may send it is for the caller to know.
    pub fn stop(&self) -> Result<bool, AskError> {
        let lives = self.holder().is_some();
        if let Some(secluded) = self.secluded() {
            return self.end_secluded(&secluded).map(|()| true);
        }
        match self.find()? {
            Some(health) => self.ask_to_end(&health, &Shutdown::default()).map(|()| true),
            None => Ok(lives),
        }
    }

    /// [`Authority::stop`], and a signal to one that cannot be asked. `refusal` says why the caller may not send it.
    pub fn stop_or_signal(&self, refusal: impl Fn() -> Option<Failure>) -> Result<bool, AskError> {
        if self.secluded().is_some()
            && let Some(refusal) = refusal()
        {
            return Err(AskError::Refused(refusal));
        }
        match self.stop() {
            Err(AskError::Silent(silent)) => match refusal() {
                Some(refusal) => Err(AskError::Refused(refusal)),
                None => self.signal(&silent).map(|()| true),
            },
            done => done,
        }
    }

    /// Has `running` make way for an authority of this program's version, and waits until it has. An agent may ask for
    /// that as well, if `running` is older.
    pub fn hand_over(&self, running: &Health) -> Result<(), AskError> {
        match self.ask_to_end(running, &Shutdown::for_version(VERSION)) {
            // It has gone meanwhile, which is all that was wanted.
            Err(AskError::Unreachable(ClientError::Absent)) => Ok(()),
            done => done,
        }
    }

    fn ask_to_end(&self, running: &Health, how: &Shutdown) -> Result<(), AskError> {
        let pid = running.pid;
        let process = self.holder().and_then(|holder| holder.verified(self.home));
        let Stopping { .. } = self.call(how).map_err(|error| match error {
            AskError::Unreachable(_) => self.silent(Silence::DoesNotAnswer).map_or(error, AskError::Silent),
            error => error,
        })?;
        let is_over = || {
            let serves = self.health().is_ok_and(|now| now.is_some_and(|now| now.pid == pid));
            let lives = serves || self.holds(pid) || process.as_ref().is_some_and(HolderProcess::runs);
            (!lives).then_some(())
        };
        self.wait(CHANGE, "stop", is_over).ok_or_else(|| {
            AskError::NotStopped(format!(
                "the authority (pid {pid}) was asked to stop but has not: end it with `kill {pid}`, or `kill -9 {pid}`"
            ))
        })
    }

    /// Sends SIGTERM to the process that is `silent`, if it is the authority beyond doubt.
    fn signal(&self, silent: &Silent) -> Result<(), AskError> {
        let (lock, verb) = (silent.lock.display(), silent.silence.verb());
        let Some(pid) = silent.pid else {
            return Err(AskError::NotStopped(silent.to_string()));
        };
        // The handle first: from then on the pid cannot become another's unnoticed.
        let handle = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|handle| Some((handle, silent.holder.verified(self.home)?)));
        let Some((handle, process)) = handle else {
            return Err(AskError::NotStopped(format!(
                "{lock} names process {pid}, which {verb} and cannot be recognised as this home's authority: look at it \
                 with `ps -fp {pid}`, and end it with `kill {pid}` if it is one"
            )));
        };
        let is_sent = pidfd_send_signal(&handle, Signal::TERM).is_ok();
        let has_ended = || (!process.runs()).then_some(());
        if is_sent && self.wait(AFTER_SIGNAL, "stop", has_ended).is_some() {
            return Ok(());
        }
        Err(AskError::NotStopped(format!(
            "the authority (pid {pid}) {verb} and has not ended on SIGTERM (it will when it wakes up): end it with \
             `kill -9 {pid}`, which loses nothing that was answered"
        )))
    }

    /// Whether the process `pid` still holds the lock: a new authority could not start yet.
    fn holds(&self, pid: u32) -> bool {
        self.holder().is_some_and(|holder| holder.pid.is_none_or(|holds| holds == pid))
            && Path::new(&format!("/proc/{pid}")).exists()
    }
}
