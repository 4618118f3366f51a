//! What is known of the sessions that hold something or wait: whether they live, and when they were heard last. Read off the store when a session first asks, and again at each of its events; processes are watched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stopgate_coordination::lease::{Facts, LeaseEnd, Standing};
use stopgate_core::paths::Home;
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, host, liveness};
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::{ClientStatus, SessionState};
use stopgate_protocol::SessionRow;

use super::listening::Listening;
use crate::storage::Storage;
use crate::watched::Watched;

/// How long, in milliseconds, after `/clear` the session that goes on with it may come.
const CLEARED_MS: i64 = 30_000;
/// How long, in milliseconds, a session may begin again by its own id after it said that it ended, in a process that goes on.
/// Codex's daemon, asked for a session that it has loaded, reports an end and then, 240 ms later (0.171.0), the start.
const REOPENED_MS: i64 = 3_000;
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
    /// It said that it ended. Until this time of `CLOCK_BOOTTIME` it, or another one, may go on with what it holds.
    ended_until_boot_ms: Option<i64>,
    process: Option<ProcessIdentity>,
    /// Its process, if that can be watched.
    watched: Option<Watched>,
    is_watched: bool,
    transcript: Option<PathBuf>,
    sign_boot_ms: i64,
    name: Option<String>,
}

impl Known {
    /// Whether it is over at `boot_ms`.
    pub(super) fn has_ended(&self, boot_ms: i64) -> bool {
        self.ended_until_boot_ms.is_some_and(|until| boot_ms >= until)
    }

    /// Whether it said so, if nobody may go on with it any more.
    fn has_said_its_end(&self) -> bool {
        self.ended_until_boot_ms.is_some()
    }

    fn liveness(&self, session: &SessionKey) -> Liveness {
        match (&self.watched, &self.process) {
            (_, Some(process)) if process.shared => {
                stopgate_registry::of_shared_process(session, self.transcript.as_deref(), process)
            }
            (Some(watched), _) => watched.liveness(),
            (None, Some(process)) => liveness(&ProcFs, process),
            (None, None) => Liveness::Unknown,
        }
    }
}

/// For how long somebody may go on with the session of `row`, which says that it has ended.
fn patience_ms(row: &SessionRow) -> i64 {
    let goes_on = row.harness_process.as_ref().is_none_or(|process| process.shared);
    match row.end_reason.as_deref() {
        Some("clear") => CLEARED_MS,
        // In the same process another one is taken up, which may be itself.
        Some("resume") => REOPENED_MS,
        _ if goes_on => REOPENED_MS,
        _ => 0,
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
        let until = row.ended_at_ms.map(|_| now + patience_ms(&row));
        // That of another machine cannot be looked at from here.
        let is_here = row.host.as_deref().is_none_or(|of| of == host());
        let process = row.harness_process.filter(|_| is_here);
        let kept = old.filter(|old| old.process == process);
        let watched = match kept {
            Some(kept) => kept.watched.clone(),
            None => process.as_ref().and_then(Watched::of),
        };
        Known {
            // Said once more, it has ended no later.
            ended_until_boot_ms: until.map(|until| old.and_then(|old| old.ended_until_boot_ms).unwrap_or(until)),
            is_watched: kept.is_some_and(|kept| kept.is_watched),
            process,
            watched,
            transcript: row.transcript_path,
            sign_boot_ms,
            name: row.name,
        }
    }

    /// When, by `CLOCK_BOOTTIME`, nobody may go on any more with one that has ended.
    pub(super) fn next_end(&self) -> Option<i64> {
        self.known().values().filter_map(|known| known.ended_until_boot_ms).min()
    }

    /// Forgets those that are over, but for those that `is_involved` somewhere.
    pub(super) fn forget_ended(&self, is_involved: impl Fn(&SessionKey) -> bool) {
        let now = self.storage.moment().boot_ms;
        self.known().retain(|session, known| !known.has_ended(now) || is_involved(session));
    }

    /// Processes that nobody watches yet; from now on the caller does.
    pub(super) fn unwatched(&self) -> Vec<(SessionKey, Watched)> {
        let mut known = self.known();
        let unwatched = known.iter_mut().filter(|(_, known)| !known.is_watched);
        let watched = unwatched.filter_map(|(session, known)| {
            let process = known.watched.clone()?;
            known.is_watched = true;
            Some((session.clone(), process))
        });
        watched.collect()
    }

    /// Facts for one decision.
    pub(super) fn facts<'a>(&'a self, listening: &'a Listening) -> FactsNow<'a> {
        let boot_ms = self.storage.moment().boot_ms;
        FactsNow { sessions: self, listening, boot_ms, liveness: RefCell::default(), standing: RefCell::default() }
    }
}

/// Facts for one decision: a process is looked at once.
pub(super) struct FactsNow<'a> {
    sessions: &'a Sessions,
    listening: &'a Listening,
    boot_ms: i64,
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
        let known = self.of(session, Known::clone);
        let found = known.map(|known| known.liveness(session)).unwrap_or_default();
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
        let (has_ended, has_said_so) =
            self.of(session, |known| (known.has_ended(self.boot_ms), known.has_said_its_end())).unwrap_or_default();
        if has_ended {
            return Some(LeaseEnd::SessionEnded);
        }
        match self.liveness(session) {
            // Without a process nobody goes on with it.
            Liveness::Gone if has_said_so => Some(LeaseEnd::SessionEnded),
            Liveness::Gone => Some(LeaseEnd::HolderGone),
            Liveness::Alive | Liveness::Unknown => None,
        }
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
}
