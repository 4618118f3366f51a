//! What all requests share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stopgate_core::clock::{Clock, SystemClock, UnixMillis};
use stopgate_core::paths::Home;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_store::{SessionFacts, TurnRecord};
use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::fence::Fence;
use crate::journal::Journal;
use crate::judge::Judges;
use crate::learned::LearnedCorrection;
use crate::leases::Leases;
use crate::memory::Memory;
use crate::reaper::Reaper;
use crate::rules::RuleModesOfHome;
use crate::settings::Settings;
use crate::slot::Slot;
use crate::storage::Storage;
use crate::{continued, facts, rules};

/// How many stops are judged at once; each may run git.
const MAX_CONCURRENT_JUDGEMENTS: usize = 4;
/// How many judges are asked at once. Whoever asks one works no more, and leaves its turn to others, but takes a thread.
const MAX_ASKED_AT_ONCE: usize = 6;
/// How many of the newest stops an authority learns from when it starts.
const REMEMBERED_STOPS: u32 = 200;

/// The right to work off the event loop, which belongs to the work and not to whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    checkout: Option<OwnedMutexGuard<()>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Somebody else is asked, which may take long: others may work.
    pub(crate) fn leave(&mut self) {
        *self = Self::default();
    }

    /// The files of the checkout have been looked at: others may.
    pub(crate) fn leave_checkout(&mut self) {
        self.checkout = None;
    }
}

/// See [`State::unsettled`].
pub(crate) struct Unsettled(Arc<State>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.0.unsettled.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The authority's state.
pub(crate) struct State {
    pub(crate) home: Home,
    pub(crate) started_at_ms: UnixMillis,
    pub(crate) storage: Arc<Storage>,
    pub(crate) settings: Arc<Settings>,
    /// Verdicts that are given before they are stored.
    pub(crate) journal: Journal,
    pub(crate) judges: Judges,
    /// What was learned of grades.
    pub(crate) learned: LearnedCorrection,
    /// Who holds what of the trees that sessions share.
    pub(crate) leases: Arc<Leases>,
    pub(crate) fence: Fence,
    /// What single rules may do.
    pub(crate) rules: RuleModesOfHome,
    pub(crate) reaper: Arc<Reaper>,
    /// What git said about the checkouts that are worked in.
    pub(crate) memo: facts::Memo,
    judging: Arc<Semaphore>,
    /// Held while the files of a checkout are hashed at a session's start: one at a time, which keeps no stop waiting.
    pub(crate) hashing: Arc<tokio::sync::Mutex<()>>,
    /// Who may look at the files of a checkout.
    checkouts: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
    unsettled: AtomicUsize,
    pub(crate) stop: Notify,
    /// Held from reading a session's count to writing it: two stops at once must not share one continue.
    pub(crate) settling: Slot<()>,
    counted: AtomicU64,
    /// Held from looking at a switch to writing it.
    pub(crate) flipping: Mutex<()>,
    memory: Mutex<Memory>,
    /// Fires when something was heard of a session, or it was renamed.
    pub(crate) sessions_changed: watch::Sender<u64>,
}

impl State {
    /// Opens the store; without one the authority serves what it can from memory.
    pub(crate) fn open(home: Home) -> Arc<Self> {
        Self::with_clock(home, Box::new(SystemClock))
    }

    /// [`State::open`] with a clock of the caller's.
    pub(crate) fn with_clock(home: Home, clock: Box<dyn Clock>) -> Arc<Self> {
        let storage = Arc::new(Storage::open(home.clone(), clock));
        // Only now does it serve: what a hook had to do without it before was no failure of this one.
        let started_at_ms = storage.now_ms();
        let settings = Arc::new(Settings::load(home.clone()));
        let memo = facts::Memo::default();
        let newest = storage.with_store(|store| store.gate_log(REMEMBERED_STOPS));
        memo.remember(&newest.unwrap_or_default());
        let mut memory = Memory::default();
        continued::recall(&home, &mut memory, storage.boot_id());
        let rules = RuleModesOfHome::load(home.clone(), &storage);
        let state = Arc::new(Self {
            rules,
            learned: LearnedCorrection::load(home.clone()),
            journal: Journal::of(&home),
            fence: Fence::default(),
            leases: Arc::new(Leases::of(&home, Arc::clone(&storage), Arc::clone(&settings))),
            judges: Judges::asked_at_once(MAX_ASKED_AT_ONCE),
            reaper: Arc::new(Reaper::new(Arc::clone(&storage), Arc::clone(&settings))),
            home,
            started_at_ms,
            storage,
            settings,
            memo,
            judging: Arc::new(Semaphore::new(MAX_CONCURRENT_JUDGEMENTS)),
            hashing: Arc::default(),
            checkouts: Mutex::new(HashMap::new()),
            unsettled: AtomicUsize::new(0),
            stop: Notify::new(),
            settling: Slot::of(()),
            counted: AtomicU64::new(0),
            flipping: Mutex::new(()),
            memory: Mutex::new(memory),
            sessions_changed: watch::Sender::new(0),
        });
        // Grades may have been given, and the mode set, while nobody served.
        rules::demote(&state);
        state
    }

    /// Waits for a turn to work: one at a time in a checkout, so that a slow one keeps nobody else's stops waiting, and
    /// a few altogether.
    pub(crate) async fn turn_in(&self, checkout: Option<&Path>) -> Turn {
        let checkout = match checkout.map(|top| self.gate_of(top)) {
            Some(gate) => Some(gate.lock_owned().await),
            None => None,
        };
        Turn { checkout, _permit: Arc::clone(&self.judging).acquire_owned().await.ok() }
    }

    fn gate_of(&self, top: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.checkouts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(top) {
            return Arc::clone(gate);
        }
        // Those that nobody holds or waits at.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        Arc::clone(gates.entry(top.to_owned()).or_default())
    }

    /// A stop that is being judged and written down, until the guard goes.
    pub(crate) fn unsettled(self: &Arc<Self>) -> Unsettled {
        self.unsettled.fetch_add(1, Ordering::AcqRel);
        Unsettled(Arc::clone(self))
    }

    /// Waits until every stop that was taken in is in the log, for `patience` at most.
    pub(crate) async fn settled(&self, patience: Duration) {
        let none_left = async {
            while self.unsettled.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(patience, none_left).await;
    }

    /// What is said of a disk that does not answer: no verdict can be reached without it. `None` if it does.
    pub(crate) fn stalled(&self) -> Option<String> {
        let stalled = self.storage.stalled().max(self.journal.stalled())?;
        Some(self.storage.unanswered(stalled))
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a session (the store's word, or memory's where the store has none), and what the store counts
    /// of its turn in `mode`.
    pub(crate) fn standing(&self, key: &SessionKey, mode: Mode) -> (Option<SessionFacts>, TurnRecord) {
        let (now, boot_id) = (self.storage.moment(), self.storage.boot_id());
        let (stored, turn) =
            self.storage.with_reader(|store| store.standing(key, mode, now, boot_id)).unwrap_or_default();
        (self.or_remembered(key, stored), turn)
    }

    fn or_remembered(&self, key: &SessionKey, stored: Option<SessionFacts>) -> Option<SessionFacts> {
        match stored {
            Some(facts) if facts.started_at_ms.is_some() => Some(facts),
            other => self.memory().facts(key).or(other),
        }
    }

    /// How many verdicts have changed what is counted. While it stays the same, a turn that was read is as it was.
    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Acquire)
    }

    /// A verdict has changed what is counted.
    pub(crate) fn has_counted(&self) {
        self.counted.fetch_add(1, Ordering::AcqRel);
    }
}
