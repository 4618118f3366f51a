//! What every command needs: the home, the clock, and the authority or, without it, the store itself.

use std::time::Duration;

use anyhow::Context as _;
use stopgate_client::{AskError, Authority, Successor, forbids_sockets};
use stopgate_core::clock::{Clock as _, SystemClock, UnixMillis, monotonic_ms};
use stopgate_core::env::ProcessEnv;
use stopgate_core::paths::Home;
use stopgate_core::process::{ProcFs, ProcessIdentity};
use stopgate_core::session::state::SessionState;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{Condition, Endpoint, Failure, SessionRow};
use stopgate_store::{Store, StoreError};

use crate::printer;

/// How long to wait for others who write to the store.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Sessions that are looked through when one is searched.
const MAX_SESSIONS: u32 = 1_000;

/// How long before its asker gives up a flip must be done.
const FLIP_MARGIN: Duration = Duration::from_millis(250);

/// Where and when a command runs.
pub(crate) struct CliContext {
    pub(crate) home: Home,
    pub(crate) now_ms: UnixMillis,
}

impl CliContext {
    pub(crate) fn of_process() -> anyhow::Result<Self> {
        Ok(Self { home: Home::of_process()?, now_ms: SystemClock.now_ms() })
    }

    /// The same a moment later.
    pub(crate) fn now(&self) -> Self {
        Self { home: self.home.clone(), now_ms: SystemClock.now_ms() }
    }

    pub(crate) fn authority(&self) -> Authority<'_> {
        Authority::of(&self.home)
    }

    /// Sees to it that an authority serves; it may take a while on a busy machine.
    pub(crate) fn ensure_authority(&self) -> Result<(), AskError> {
        printer::with_progress("starting the authority", || {
            self.authority().ensure(&ProcessEnv, Successor::ThisVersion)
        })
        .map(|_| ())
    }

    /// Asks the authority, starting it if need be; if it cannot be had, `from_store` reads the same from the file.
    pub(crate) fn read<E: Endpoint>(
        &self,
        request: &E,
        from_store: impl FnOnce(&Store) -> Result<E::Response, StoreError>,
    ) -> anyhow::Result<E::Response> {
        match self.ensure_authority().and_then(|()| self.authority().call(request)) {
            Ok(answer) => Ok(answer),
            Err(error) if self.home.database().exists() => {
                printer::note(format!("note: {error}; reading the store directly"));
                let read = self
                    .open_store()
                    .and_then(|store| from_store(&store).with_context(|| self.home.database().display().to_string()));
                if read.is_err() && forbids_sockets() {
                    return read.context("this sandbox lets nothing be asked of the authority: run this outside of it");
                }
                read
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn open_store(&self) -> anyhow::Result<Store> {
        Store::open(&self.home, STORE_PATIENCE).with_context(|| self.home.database().display().to_string())
    }

    /// When a flip of a switch whose file was seen as `seen` still counts: until shortly before nobody waits for its
    /// answer any more.
    pub(crate) fn condition(seen: &str, patience: Duration) -> Condition {
        Condition { seen: Some(seen.to_owned()), ..Self::until(patience) }
    }

    /// The same for what is no switch: until shortly before nobody waits for its answer any more.
    pub(crate) fn until(patience: Duration) -> Condition {
        let counts = patience.saturating_sub(FLIP_MARGIN).as_millis();
        let until = monotonic_ms() + u64::try_from(counts).unwrap_or(0);
        Condition { seen: None, until_monotonic_ms: Some(until) }
    }

    /// Without an authority: whether this process runs inside a recorded agent session, or cannot be told from one, and
    /// may not do an operator's `action`. A store that cannot be read refuses nobody, because the person must get through.
    pub(crate) fn refused_to_agent(&self, action: &str) -> Option<Failure> {
        if !self.home.database().exists() {
            return None;
        }
        let store = self.open_store().ok()?;
        let own = ProcFs::own_pid();
        let refusal = stopgate_registry::caller(&store, Some(own)).ok()?.refusal(action)?;
        let _ = store.record_operator_action(self.now_ms, action, false, Some(own), &refusal.detail);
        Some(refusal.told)
    }

    /// Fails where [`CliContext::refused_to_agent`] has something to say.
    pub(crate) fn operators_only(&self, action: &str) -> Result<(), Failure> {
        self.refused_to_agent(action).map_or(Ok(()), Err)
    }

    /// The only session of `harness` that is known to live in `process`; `None` if there are several or none.
    pub(crate) fn only_session_of(&self, harness: Harness, process: &ProcessIdentity) -> Option<SessionKey> {
        if process.shared || !self.home.database().exists() {
            return None;
        }
        let rows = self.open_store().ok()?.sessions(MAX_SESSIONS).ok()?;
        let lives_there = |row: &&SessionRow| {
            row.harness == harness
                && row.state != SessionState::Ended
                && row.harness_process.as_ref().is_some_and(|own| own.is(process))
        };
        let mut found = rows.iter().filter(lives_there);
        let only = found.next().filter(|_| found.next().is_none())?;
        SessionKey::new(harness, &only.session_id)
    }
}
