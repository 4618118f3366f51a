//! Handing a request to the authority, or putting it away for later.

use std::path::Path;
use std::time::Instant;

use stopgate_core::client::{self, ClientError, Response};
use stopgate_core::harness::{Event, EventKind};
use stopgate_core::leave;
use stopgate_core::redact::redact;
use stopgate_core::spool::{self, SpoolRoute};

use crate::RunningHook;

/// Why a request was not delivered.
pub(crate) enum Undelivered {
    /// Nobody listens.
    Absent,
    /// Somebody listens, but did not take it.
    Refused(String),
}

impl Undelivered {
    pub(crate) fn detail(self) -> String {
        match self {
            Self::Absent => ClientError::Absent.to_string(),
            Self::Refused(detail) => detail,
        }
    }
}

impl RunningHook {
    /// Posts `body` to `route`; any answer but 200 and 202 counts as undelivered. Waits longer if it is asked to.
    pub(crate) fn post(&self, route: SpoolRoute, body: &[u8], deadline: Instant) -> Result<Response, Undelivered> {
        let socket = self.home.socket_to_connect().map_err(|_| Undelivered::Absent)?;
        self.request(&socket, route.path(), body, deadline)
    }

    /// The same for a route whose requests are not put away.
    pub(crate) fn request(
        &self,
        socket: &Path,
        path: &str,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Response, Undelivered> {
        let deadline = deadline.min(self.deadline.get());
        let mut prolong = |wait| self.prolong(wait);
        match client::request_that_may_wait(socket, "POST", path, body, deadline, &mut prolong) {
            Ok(response) if matches!(response.status, 200 | 202) => Ok(response),
            Ok(response) => {
                Err(Undelivered::Refused(format!("the authority answered with status {}", response.status)))
            }
            Err(ClientError::Absent) => Err(Undelivered::Absent),
            Err(error) => Err(Undelivered::Refused(error.to_string())),
        }
    }

    /// Puts a request away for the authority to drain.
    pub(crate) fn spool(&self, route: SpoolRoute, event_id: &str, body: Option<Vec<u8>>) {
        let Some(body) = body else { return };
        leave::however_stalled(self.end.get());
        if let Err(error) = spool::put(&self.home, route, event_id, &body) {
            self.failed("event lost: it could be neither delivered nor spooled", &error.to_string());
        }
    }
}

/// `event` as it may lie on disk: what people and agents said may hold secrets.
pub(crate) fn redacted(mut event: Event) -> Event {
    match &mut event.kind {
        EventKind::Stop(stop) => {
            stop.last_assistant_message = redact(&stop.last_assistant_message);
            for command in &mut stop.shells {
                *command = redact(command);
            }
        }
        EventKind::UserPromptSubmit { prompt } => *prompt = redact(prompt),
        _ => {}
    }
    event
}
