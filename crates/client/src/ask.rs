//! One question to the authority.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgate_core::client::{self, ClientError};
use stopgate_core::holder::{Holder, holder};
use stopgate_core::paths::Home;
use stopgate_protocol::{Health, Problem, ROUTE_HEALTH};

use crate::error::AskError;
use crate::limits::ANSWER;

/// A way to the authority of one home.
#[derive(Clone, Copy)]
pub struct Authority<'a> {
    pub(crate) home: &'a Home,
    pub(crate) notice: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Authority<'a> {
    /// The authority of `home`, running or not.
    pub fn of(home: &'a Home) -> Self {
        Self { home, notice: &|_| () }
    }

    /// The same, with somebody who is told what is waited for when it takes long.
    #[must_use]
    pub fn telling(self, notice: &'a (dyn Fn(&str) + Sync)) -> Self {
        Self { notice, ..self }
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

    /// Who serves; `None` if nobody listens. Somebody may live all the same: see [`Authority::find`].
    pub fn health(&self) -> Result<Option<Health>, AskError> {
        match self.get(ROUTE_HEALTH) {
            Ok(health) => Ok(Some(health)),
            Err(AskError::Unreachable(ClientError::Absent)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who holds the authority's lock, also when it does not answer; `None` if nobody does.
    pub(crate) fn holder(&self) -> Option<Holder> {
        holder(self.home)
    }
}
