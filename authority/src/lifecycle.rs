//! Starting, asking and stopping the authority from another process.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgate_core::VERSION;
use stopgate_core::autostart::{Autostart, autostart};
use stopgate_core::client::{self, ClientError};
use stopgate_core::env::Env;
use stopgate_core::paths::Home;
use stopgate_core::protocol::{Health, Problem, ROUTE_HEALTH, ROUTE_SHUTDOWN};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a start or an end may take.
const CHANGE: Duration = Duration::from_secs(10);
/// How long to wait between two looks.
const POLL: Duration = Duration::from_millis(10);

/// Why the authority could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is not there, or does not answer.
    #[error("{0}")]
    Unreachable(#[from] ClientError),
    /// It answered with an error.
    #[error("{error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        error: String,
    },
    /// It answered something else than expected.
    #[error("the authority's answer is not understood: {0}")]
    NotUnderstood(serde_json::Error),
    /// It cannot be started.
    #[error("{0}")]
    NotStarted(String),
}

/// A way to the authority of one home.
#[derive(Debug, Clone)]
pub struct Authority<'a> {
    home: &'a Home,
}

impl<'a> Authority<'a> {
    /// The authority of `home`, running or not.
    pub fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Asks for `path`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        self.ask("GET", path, b"")
    }

    /// Sends `body` to `path`.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AskError> {
        self.ask("POST", path, &serde_json::to_vec(body).map_err(AskError::NotUnderstood)?)
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: &[u8]) -> Result<T, AskError> {
        let socket = self.home.socket_to_connect().map_err(|_| ClientError::Absent)?;
        let response = client::request(&socket, method, path, body, Instant::now() + ANSWER)?;
        if !(200..300).contains(&response.status) {
            let error = serde_json::from_slice::<Problem>(&response.body)
                .map_or_else(|_| format!("the authority answered with status {}", response.status), |said| said.error);
            return Err(AskError::Refused { status: response.status, error });
        }
        serde_json::from_slice(&response.body).map_err(AskError::NotUnderstood)
    }

    /// Who serves; `None` if nobody listens.
    pub fn health(&self) -> Result<Option<Health>, AskError> {
        match self.get(ROUTE_HEALTH) {
            Ok(health) => Ok(Some(health)),
            Err(AskError::Unreachable(ClientError::Absent)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that an authority of this version serves: starts one, or has an older one hand over.
    pub fn ensure(&self, environment: &dyn Env) -> Result<Health, AskError> {
        match self.health() {
            Ok(Some(health)) if is_newer(VERSION, &health.version) => {
                self.stop()?;
            }
            Ok(Some(health)) => return Ok(health),
            // Another protocol: an older authority, which understands a request without our version.
            Err(AskError::Refused { status: 426, error }) => {
                return Err(AskError::NotStarted(error));
            }
            Err(error) => return Err(error),
            Ok(None) => {}
        }
        let mut child = match autostart(environment, self.home) {
            Autostart::Started(child) => child,
            Autostart::Forbidden => {
                return Err(AskError::NotStarted(
                    "the authority is not running and STOPGATE_NO_AUTOSTART is set: run `stopgate authority run`"
                        .into(),
                ));
            }
            Autostart::NoProgram => {
                let place = self.home.bin();
                return Err(AskError::NotStarted(format!(
                    "no program `stopgate` in {} or beside this one: run `installer init`",
                    place.display()
                )));
            }
            Autostart::Failed(error) => {
                return Err(AskError::NotStarted(format!("cannot start the authority: {error}")));
            }
        };
        self.wait_until_up(&mut child).ok_or_else(|| {
            AskError::NotStarted(format!(
                "the authority was started but does not answer: see {}",
                self.home.log().join("authority.jsonl").display()
            ))
        })
    }

    /// Asks the authority to stop and waits until it has; `false` if none was running.
    pub fn stop(&self) -> Result<bool, AskError> {
        let Some(health) = self.health()? else {
            return Ok(false);
        };
        let _: serde_json::Value = self.post(ROUTE_SHUTDOWN, &serde_json::json!({}))?;
        let deadline = Instant::now() + CHANGE;
        let process = format!("/proc/{}", health.pid);
        while self.health().is_ok_and(|health| health.is_some()) || lives(Path::new(&process), self.home) {
            if Instant::now() > deadline {
                return Err(AskError::NotStarted(format!(
                    "the authority (pid {}) was asked to stop but has not",
                    health.pid
                )));
            }
            std::thread::sleep(POLL);
        }
        Ok(true)
    }

    /// Waits for an authority to answer, but not after the one that was started has failed.
    fn wait_until_up(&self, child: &mut Child) -> Option<Health> {
        let deadline = Instant::now() + CHANGE;
        loop {
            match self.health() {
                Ok(Some(health)) => return Some(health),
                _ if Instant::now() > deadline || failed(child) => return None,
                _ => std::thread::sleep(POLL),
            }
        }
    }
}

/// Whether a process has ended badly. One that found another authority serving ends well.
fn failed(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(status)) if !status.success())
}

/// Whether the process that held the lock still does: a new authority could not start yet.
fn lives(process: &Path, home: &Home) -> bool {
    let held = std::fs::File::open(home.lock())
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)));
    held && process.exists()
}

/// Whether version `left` is newer than `right`; versions are three numbers with dots.
fn is_newer(left: &str, right: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).take(3).map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(left) > numbers(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_newer("0.10.0", "0.9.9"));
        assert!(!is_newer("0.1.0", "0.1.0"));
        assert!(!is_newer("0.1.0", "1.0.0"));
    }
}
