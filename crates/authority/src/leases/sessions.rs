//! What is known of the sessions that hold something or wait: whether they live, and when they were heard last. Read off the store when a session first asks, and again at each of its events; processes are watched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stopgate_coordination::lease::{Facts, LeaseEnd, Standing};
use stopgate_core::paths::Home;
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, liveness};
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::{ClientStatus, SessionState};
use stopgate_protocol::SessionRow;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::CLEARED;
use super::listening::Listening;
use crate::storage::Storage;

/// Sessions with the same beginning of an id that are looked at.
const MAX_NAMESAKES: u32 = 10;

/// See the module.
pub(super) struct Sessions {
    home: Home,
    storage: Arc<Storage>,
    known: Mutex<HashMap<SessionKey, Known>>,
}

/// What is known of a session.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    has_ended: bool,
    /// It ended by `/clear` at this time of `CLOCK_BOOTTIME`: another one may go on with it.
    cleared_boot_ms: Option<i64>,
    process: Option<ProcessIdentity>,
    /// A handle of its process, which the kernel makes readable when that ends.
    handle: Option<Arc<OwnedFd>>,
    is_watched: bool,
    sign_boot_ms: i64,
    name: Option<String>,
}

impl Known {
    /// Whether it is over at `boot_ms`.
    pub(super) fn has_ended(&self, boot_ms: i64) -> bool {
        let waits_for_heir = |cleared: i64| boot_ms - cleared < i64::try_from(CLEARED.as_millis()).unwrap_or(0);
        self.has_ended && !self.cleared_boot_ms.is_some_and(waits_for_heir)
    }

    fn liveness(&self) -> Liveness {
        match (&self.handle, &self.process) {
            (Some(handle), _) => {
                let mut look = [PollFd::new(&**handle, PollFlags::IN)];
                match poll(&mut look, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
                    Ok(0) => Liveness::Alive,
                    Ok(_) => Liveness::Gone,
                    Err(_) => Liveness::Unknown,
                }
            }
            (None, Some(process)) => liveness(&ProcFs, process),
            (None, None) => Liveness::Unknown,
        }
    }
}

/// The process of a session.
pub(super) struct Watched(Arc<OwnedFd>);

impl Watched {
    /// Waits until it has ended.
    pub(super) async fn ended(self) {
        // SAFETY: an owned handle has one number as long as it lives, and is closed only after it was given back.
        #[expect(unsafe_code, reason = "the safe way is deprecated, for types whose handle may change")]
        let registered = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) };
        match registered {
            Ok(handle) => drop(handle.readable().await),
            Err(error) => {
                tracing::warn!(%error, "a process cannot be watched");
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Sessions {
    pub(super) fn of(home: Home, storage: Arc<Storage>) -> Self {
        Self { home, storage, known: Mutex::new(HashMap::new()) }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<SessionKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_known(&self, session: &SessionKey) -> bool {
        self.known().contains_key(session)
    }

    /// Finds out about `session`, unless that was done.
    pub(super) fn know(&self, session: &SessionKey) {
        if !self.is_known(session) {
            let known = self.found(session, None);
            self.known().insert(session.clone(), known);
        }
    }

    /// Finds out about `session` anew; what is known now.
    pub(super) fn refresh(&self, session: &SessionKey) -> Known {
        let old = self.known().get(session).cloned();
        let known = self.found(session, old.as_ref());
        self.known().insert(session.clone(), known.clone());
        known
    }

    pub(super) fn forget(&self, session: &SessionKey) {
        self.known().remove(session);
    }

    /// Something was heard of `session`, if it is known.
    pub(super) fn sign(&self, session: &SessionKey) {
        if let Some(known) = self.known().get_mut(session) {
            known.sign_boot_ms = self.storage.moment().boot_ms;
        }
    }

    fn row(&self, session: &SessionKey) -> Option<SessionRow> {
        let rows = self.storage.with_reader(|store| store.sessions_named(&session.session_id, MAX_NAMESAKES)).ok()?;
        rows.into_iter().find(|row| row.key() == *session)
    }

    /// What `session` is called, as it was when it was looked at last.
    pub(super) fn name(&self, session: &SessionKey) -> Option<String> {
        let known = self.known().get(session).map(|known| known.name.clone());
        known.unwrap_or_else(|| self.row(session)?.name)
    }

    /// The session that `session` goes on with after `/clear`, if one of those that are known.
    pub(super) fn cleared_by(&self, session: &SessionKey) -> Option<SessionKey> {
        if self.known().is_empty() {
            return None;
        }
        let predecessor = SessionKey::new(session.harness, &self.row(session)?.predecessor?)?;
        // Two clients may go on with one: the store says which has retired it.
        let is_retired = self.row(&predecessor)?.successor.as_ref() == Some(&session.session_id);
        (is_retired && self.is_known(&predecessor)).then_some(predecessor)
    }

    fn found(&self, session: &SessionKey, old: Option<&Known>) -> Known {
        let now = self.storage.moment().boot_ms;
        let sign_boot_ms = old.map_or(now, |old| old.sign_boot_ms);
        let Some(row) = self.row(session) else {
            return old.cloned().unwrap_or_else(|| Known { sign_boot_ms, ..Known::default() });
        };
        let process = row.harness_process;
        let kept = old.filter(|old| old.process == process);
        let handle = match kept {
            Some(kept) => kept.handle.clone(),
            None => process.as_ref().and_then(handle_of).map(Arc::new),
        };
        let has_ended = row.ended_at_ms.is_some();
        let cleared = has_ended && row.end_reason.as_deref() == Some("clear");
        Known {
            has_ended,
            cleared_boot_ms: cleared.then(|| old.and_then(|old| old.cleared_boot_ms).unwrap_or(now)),
            is_watched: kept.is_some_and(|kept| kept.is_watched),
            process,
            handle,
            sign_boot_ms,
            name: row.name,
        }
    }

    /// Processes that nobody watches yet; from now on the caller does.
    pub(super) fn unwatched(&self) -> Vec<(SessionKey, Watched)> {
        let mut known = self.known();
        let unwatched = known.iter_mut().filter(|(_, known)| !known.is_watched);
        let watched = unwatched.filter_map(|(session, known)| {
            let handle = Arc::clone(known.handle.as_ref()?);
            known.is_watched = true;
            Some((session.clone(), Watched(handle)))
        });
        watched.collect()
    }

    /// Facts for one decision; those who waited before are expected until `expected_until_boot_ms`.
    pub(super) fn facts<'a>(&'a self, listening: &'a Listening, expected_until_boot_ms: Option<i64>) -> FactsNow<'a> {
        let boot_ms = self.storage.moment().boot_ms;
        let is_early = expected_until_boot_ms.is_some_and(|until| boot_ms < until);
        FactsNow {
            sessions: self,
            listening,
            boot_ms,
            is_early,
            liveness: RefCell::default(),
            standing: RefCell::default(),
        }
    }
}

/// A handle of `process`, if it is the very one and can be seen from here. One that many sessions share tells of none.
fn handle_of(process: &ProcessIdentity) -> Option<OwnedFd> {
    if process.shared {
        return None;
    }
    let pid = Pid::from_raw(i32::try_from(process.pid).ok()?)?;
    let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Looked at afterwards: the handle is of whoever has the number now.
    (ProcFs::has_own_numbers() && liveness(&ProcFs, process) == Liveness::Alive).then_some(handle)
}

/// Facts for one decision: a process is looked at once.
pub(super) struct FactsNow<'a> {
    sessions: &'a Sessions,
    listening: &'a Listening,
    boot_ms: i64,
    /// The authority has only begun.
    is_early: bool,
    liveness: RefCell<HashMap<SessionKey, Liveness>>,
    standing: RefCell<HashMap<SessionKey, Standing>>,
}

impl FactsNow<'_> {
    fn of<T>(&self, session: &SessionKey, look: impl FnOnce(&Known) -> T) -> Option<T> {
        self.sessions.known().get(session).map(look)
    }

    fn liveness(&self, session: &SessionKey) -> Liveness {
        if let Some(known) = self.liveness.borrow().get(session) {
            return *known;
        }
        let found = self.of(session, Known::liveness).unwrap_or_default();
        self.liveness.borrow_mut().insert(session.clone(), found);
        found
    }

    /// What `session` is doing, by what the store says now: the gate may have sent it back to its work.
    fn look(&self, session: &SessionKey) -> Standing {
        let Some(mut row) = self.sessions.row(session) else { return Standing::Resting };
        // As events tell it, with what the gate has sent back to its work.
        let is_open = matches!(row.state, SessionState::Working | SessionState::Waiting);
        let (home, now) = (&self.sessions.home, self.sessions.storage.now_ms());
        stopgate_registry::look(std::slice::from_mut(&mut row), home, now);
        // With the gate off nobody reports the end of a turn but the client itself.
        let says_idle = row
            .told
            .as_ref()
            .is_some_and(|told| told.status == ClientStatus::Idle && row.turn_at_ms.is_none_or(|at| told.at_ms > at));
        match (is_open && !says_idle, row.liveness) {
            (true, Liveness::Alive) => Standing::Working,
            (true, _) => Standing::Unclear,
            (false, _) => Standing::Resting,
        }
    }
}

impl Facts for FactsNow<'_> {
    fn end(&self, session: &SessionKey) -> Option<LeaseEnd> {
        if self.of(session, |known| known.has_ended(self.boot_ms)).unwrap_or(false) {
            return Some(LeaseEnd::SessionEnded);
        }
        (self.liveness(session) == Liveness::Gone).then_some(LeaseEnd::HolderGone)
    }

    fn sign_boot_ms(&self, session: &SessionKey) -> i64 {
        self.of(session, |known| known.sign_boot_ms).unwrap_or(0)
    }

    fn standing(&self, session: &SessionKey) -> Standing {
        if let Some(found) = self.standing.borrow().get(session) {
            return *found;
        }
        let found = self.look(session);
        self.standing.borrow_mut().insert(session.clone(), found);
        found
    }

    fn is_listening(&self, session: &SessionKey) -> bool {
        self.listening.has(session)
    }

    fn is_expected(&self, session: &SessionKey) -> bool {
        self.is_early && !self.listening.has(session) && self.liveness(session) != Liveness::Gone
    }
}
