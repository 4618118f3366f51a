//! One question to the authority.

use std::time::{Duration, Instant};

use stopgate_core::client::{self, ClientError};
use stopgate_core::holder::{Holder, holder};
use stopgate_core::paths::Home;
use stopgate_protocol::endpoint::{self, Message};
use stopgate_protocol::{Endpoint, ErrorCode, Failure, GetHealth, Health};

use crate::error::AskError;
use crate::limits::ANSWER;
use crate::silent::{Silence, Silent};

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

    /// Asks `request`.
    pub fn call<E: Endpoint>(&self, request: &E) -> Result<E::Response, AskError> {
        self.call_within(ANSWER, request)
    }

    /// Asks `request`, and waits for the answer no longer than `patience`.
    pub fn call_within<E: Endpoint>(&self, patience: Duration, request: &E) -> Result<E::Response, AskError> {
        let Message { target, body } = Message::of(request)?;
        let socket = self.home.socket_to_connect().map_err(|_| ClientError::Absent)?;
        let send = if E::OF_ANY_VERSION { client::request_of_any_version } else { client::request };
        let response = send(&socket, E::METHOD.name(), &target, &body, Instant::now() + patience)?;
        if !(200..300).contains(&response.status) {
            let failure = Failure::of_answer(response.status, &response.body);
            // Whoever is not seen is refused, whoever they are.
            let secluded = (failure.code == ErrorCode::OperatorOnly).then(|| self.secluded()).flatten();
            return Err(secluded.map_or(AskError::Refused(failure), AskError::Secluded));
        }
        endpoint::response::<E>(&response.body).map_err(AskError::NotUnderstood)
    }

    /// Who serves; `None` if nobody listens. Somebody may live all the same: see [`Authority::find`].
    pub fn health(&self) -> Result<Option<Health>, AskError> {
        match self.call(&GetHealth {}) {
            Ok(health) => Ok(Some(health)),
            Err(AskError::Unreachable(ClientError::Absent)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who holds the lock, which of course is no fault as long as it serves; `None` if nobody does.
    pub fn silent(&self, silence: Silence) -> Option<Silent> {
        Silent::of(self.home, silence)
    }

    /// Who holds the authority's lock, also when it does not answer; `None` if nobody does.
    pub(crate) fn holder(&self) -> Option<Holder> {
        holder(self.home)
    }
}
