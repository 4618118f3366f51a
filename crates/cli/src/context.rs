//! What every command needs: the home, the clock, and the authority or, without it, the store itself.

use std::time::Duration;

use anyhow::Context as _;
use stopgate_client::{AskError, Authority, Owner, Successor, Up, forbids_sockets};
use stopgate_config::LastGood;
use stopgate_core::clock::{Clock as _, SystemClock, UnixMillis, monotonic_ms};
use stopgate_core::env::ProcessEnv;
use stopgate_core::paths::Home;
use stopgate_core::process::{FIRST_NAMESPACE, ProcFs, ProcessIdentity, ProcessTable as _};
use stopgate_core::session::state::SessionState;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{Condition, Endpoint, Failure, SessionRow};
use stopgate_registry::{Caller, Refusal};
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
    /// Of this process. Root acts in another user's home as that user.
    pub(crate) fn of_process() -> anyhow::Result<Self> {
        let home = Home::of_process()?;
        if let Some(owner) = Owner::other_than_root(&home) {
            owner.take_on().map_err(|_| owner.failure("stopgate", &home))?;
        }
        Ok(Self { home, now_ms: SystemClock.now_ms() })
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
        self.authority_up().map(|_| ())
    }

    /// The same, and what it says of itself.
    pub(crate) fn authority_up(&self) -> Result<Up, AskError> {
        let up = printer::with_progress("starting the authority", || {
            self.authority().ensure(&ProcessEnv, Successor::ThisVersion)
        })?;
        if let Some(replaced) = &up.replaced {
            printer::note(format!("note: {}: it was replaced", replaced.meaning()));
        }
        Ok(up)
    }

    /// Asks the authority, starting it if need be; if it cannot be had, `from_store` reads the same from the file.
    pub(crate) fn read<E: Endpoint>(
        &self,
        request: &E,
        from_store: impl FnOnce(&Store) -> Result<E::Response, StoreError>,
    ) -> anyhow::Result<E::Response> {
        match self.ensure_authority().and_then(|()| self.authority().call(request)) {
            Ok(answer) => Ok(answer),
            // The store would say no other.
            Err(error) if error.is_decided() => Err(error.into()),
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

    /// The store, if there is one that can be read: a sandbox may let nobody write to it.
    pub(crate) fn store_to_read(&self) -> Option<Store> {
        self.home.database().exists().then(|| Store::open_to_read(&self.home, STORE_PATIENCE).ok()).flatten()
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

    /// Without an authority: why this process may not do an operator's `action`; `None` if it may, which is noted. A store
    /// that cannot be read refuses nobody by itself: what the kernel says of this process does.
    pub(crate) fn refused_to_agent(&self, action: &str) -> Option<Failure> {
        let store = self.home.database().exists().then(|| self.open_store().ok()).flatten();
        let (caller, refusal) = self.asked(store.as_ref(), action);
        let detail = refusal.as_ref().map(|refusal| refusal.detail.as_str()).unwrap_or_default();
        if let Some(store) = &store {
            let _ = store.record_operator_action(&caller.act(self.now_ms, action, refusal.is_none(), detail));
        }
        refusal.map(|refusal| refusal.told)
    }

    /// [`CliContext::refused_to_agent`] by what the kernel says alone, and nothing noted: what may be broken is asked only
    /// where the kernel shows too little, in a PID namespace that is not the machine's first.
    pub(crate) fn refused_by_sight(&self, action: &str) -> Option<Failure> {
        let store = Self::sees_too_little().then(|| self.open_store().ok()).flatten();
        self.asked(store.as_ref(), action).1.map(|refusal| refusal.told)
    }

    /// Whether processes begin anew here, so that an agent above may not be seen.
    pub(crate) fn sees_too_little() -> bool {
        ProcFs.namespace() != Some(FIRST_NAMESPACE) || !ProcFs::has_own_numbers()
    }

    /// The same, and whoever has no terminal is refused, too.
    pub(crate) fn refused_without_terminal(&self, action: &str) -> Option<Failure> {
        let caller = Caller::of(self.open_store().ok().as_ref(), Some(ProcFs::own_pid()));
        caller.refusal_without_terminal(action).map(|refusal| refusal.told)
    }

    /// The same where neither the authority can be asked nor, as a rule, anything be noted, as in a sandbox without sockets:
    /// whoever cannot be told from an agent, or has no terminal, is refused.
    pub(crate) fn refused_in_sandbox(&self, action: &str) -> Option<Failure> {
        let unseen = || Self::sees_too_little().then(|| Caller::of(None, None).refusal(action, true)).flatten();
        self.refused_to_agent(action)
            .or_else(|| unseen().map(|refusal| refusal.told))
            .or_else(|| self.refused_without_terminal(action))
    }

    fn asked(&self, store: Option<&Store>, action: &str) -> (Caller, Option<Refusal>) {
        let caller = Caller::of(store, Some(ProcFs::own_pid()));
        let terminal_only = LastGood::peek(&self.home).config.operator.terminal_only;
        let refusal = caller.refusal(action, terminal_only);
        (caller, refusal)
    }

    /// Fails where [`CliContext::refused_to_agent`] has something to say.
    pub(crate) fn operators_only(&self, action: &str) -> Result<(), Failure> {
        self.refused_to_agent(action).map_or(Ok(()), Err)
    }

    /// The processes in which a session is known to run.
    pub(crate) fn processes_of(&self, key: &SessionKey) -> Vec<ProcessIdentity> {
        self.store_to_read().and_then(|store| store.processes_of(key).ok()).unwrap_or_default()
    }

    /// The only session of `harness` that is known to live in `process`; `None` if there are several or none.
    pub(crate) fn only_session_of(&self, harness: Harness, process: &ProcessIdentity) -> Option<SessionKey> {
        if process.shared {
            return None;
        }
        let rows = self.store_to_read()?.sessions(MAX_SESSIONS).ok()?;
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
