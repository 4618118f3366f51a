//! Starting and asking the authority from another process. Ending it has a module of its own, `ending`.

use std::process::Child;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgate_core::VERSION;
use stopgate_core::autostart::{self, Autostart, autostart};
use stopgate_core::client::{self, ClientError};
use stopgate_core::env::Env;
use stopgate_core::holder::{Holder, holder};
use stopgate_core::paths::Home;
use stopgate_protocol::{Health, Problem, ROUTE_HEALTH};

/// How long an answer may take.
pub const ANSWER: Duration = Duration::from_secs(5);
/// How long a start or an end may take.
pub(crate) const CHANGE: Duration = Duration::from_secs(10);
/// How long to wait between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// Why the authority could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is not there, or does not answer.
    #[error(transparent)]
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
    /// It cannot be ended.
    #[error("{0}")]
    NotStopped(String),
}

/// A way to the authority of one home.
#[derive(Debug, Clone)]
pub struct Authority<'a> {
    pub(crate) home: &'a Home,
}

impl<'a> Authority<'a> {
    /// The authority of `home`, running or not.
    pub fn of(home: &'a Home) -> Self {
        Self { home }
    }

    /// Asks for `path`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AskError> {
        self.ask("GET", path, b"", ANSWER)
    }

    /// Sends `body` to `path`.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AskError> {
        self.post_within(ANSWER, path, body)
    }

    /// Sends `body` to `path`, and waits for the answer no longer than `patience`.
    pub fn post_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AskError> {
        self.ask("POST", path, &serde_json::to_vec(body).map_err(AskError::NotUnderstood)?, patience)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        patience: Duration,
    ) -> Result<T, AskError> {
        let socket = self.home.socket_to_connect().map_err(|_| ClientError::Absent)?;
        let response = client::request(&socket, method, path, body, Instant::now() + patience)?;
        if !(200..300).contains(&response.status) {
            let error = serde_json::from_slice::<Problem>(&response.body)
                .map_or_else(|_| format!("the authority answered with status {}", response.status), |said| said.error);
            return Err(AskError::Refused { status: response.status, error });
        }
        serde_json::from_slice(&response.body).map_err(AskError::NotUnderstood)
    }

    /// Who serves; `None` if nobody listens. Somebody may live all the same: see [`Authority::holder`].
    pub fn health(&self) -> Result<Option<Health>, AskError> {
        match self.get(ROUTE_HEALTH) {
            Ok(health) => Ok(Some(health)),
            Err(AskError::Unreachable(ClientError::Absent)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who holds the authority's lock, also when it does not answer; `None` if nobody does.
    pub fn holder(&self) -> Option<Holder> {
        holder(self.home)
    }

    /// What is the matter with an authority that lives and does not serve, and what helps.
    pub fn unanswering(&self, holder: &Holder, what: &str) -> String {
        let lock = self.home.lock();
        match holder.pid {
            Some(pid) => format!(
                "process {pid} holds {}, but {what}; end it with `stopgate authority stop`, or with `kill -9 {pid}`",
                lock.display()
            ),
            None => format!("a process holds {}, but {what}; `fuser {0}` names it", lock.display()),
        }
    }

    /// [`AskError::Unreachable`] with a name and a remedy, where there are any.
    fn named(&self, error: AskError) -> AskError {
        match (&error, self.holder()) {
            (AskError::Unreachable(ClientError::Deadline), Some(holder)) => {
                AskError::NotStarted(self.unanswering(&holder, "does not answer"))
            }
            _ => error,
        }
    }

    /// Sees to it that an authority of this version serves: starts one, or has an older one hand over.
    pub fn ensure(&self, environment: &dyn Env) -> Result<Health, AskError> {
        match self.health().map_err(|error| self.named(error)) {
            Ok(Some(health)) if is_newer(VERSION, &health.version) => self.hand_over(&health)?,
            Ok(Some(health)) => return Ok(health),
            // Another protocol: an older authority, which understands a request without our version.
            Err(AskError::Refused { status: 426, error }) => {
                return Err(AskError::NotStarted(error));
            }
            Err(error) => return Err(error),
            Ok(None) => {
                if let Some(health) = self.wait_for_holder()? {
                    return Ok(health);
                }
            }
        }
        let _ = std::fs::remove_file(autostart::problem_file(self.home));
        let child = match autostart(environment, self.home) {
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
        self.wait_until_up(child)
    }

    /// Waits for whoever holds the lock without serving: it has just begun, is about to end, or has lost its socket
    /// and will notice. `None` once the lock is free.
    fn wait_for_holder(&self) -> Result<Option<Health>, AskError> {
        let deadline = Instant::now() + CHANGE;
        while let Some(holder) = self.holder() {
            if let Ok(Some(health)) = self.health() {
                return Ok(Some(health));
            }
            if Instant::now() > deadline {
                let what = format!("nobody listens on {}", self.home.socket().display());
                return Err(AskError::NotStarted(self.unanswering(&holder, &what)));
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    /// Waits for an authority to answer, but not after the one that was started has failed.
    fn wait_until_up(&self, mut child: Child) -> Result<Health, AskError> {
        let deadline = Instant::now() + CHANGE;
        loop {
            if let Ok(Some(health)) = self.health() {
                return Ok(health);
            }
            // One that found another authority serving ends well.
            let failed = matches!(child.try_wait(), Ok(Some(status)) if !status.success());
            if failed || Instant::now() > deadline {
                let what = if failed { "ended at once" } else { "does not answer" };
                let why = autostart::problem(self.home).unwrap_or_else(|| {
                    let log = self.home.log().join("authority.jsonl");
                    format!("see {}, or run `stopgate authority run` to see why", log.display())
                });
                return Err(AskError::NotStarted(format!("the authority was started but {what}: {why}")));
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Whether version `left` is newer than `right`; versions are three numbers with dots.
pub(crate) fn is_newer(left: &str, right: &str) -> bool {
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
