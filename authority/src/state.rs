//! What all requests share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stopgate_core::clock::{Clock, SystemClock, UnixMillis};
use stopgate_core::paths::Home;
use stopgate_core::session::SessionKey;
use stopgate_store::{SessionFacts, Store, StoreError};
use tokio::sync::{Notify, Semaphore};

use crate::memory::Memory;

/// How long the first opening waits for others who create or migrate the store at the same time.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request waits for others (the recorder) who write to the store. Hooks wait behind it.
const STORE_PATIENCE: Duration = Duration::from_millis(250);
/// How many stops are judged at once; each may run git.
const MAX_CONCURRENT_JUDGEMENTS: usize = 4;

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
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) started_at_ms: UnixMillis,
    pub(crate) judging: Semaphore,
    unsettled: AtomicUsize,
    pub(crate) stop: Notify,
    /// Held from reading a session's count to writing it: two stops at once must not share one continue.
    pub(crate) settling: Mutex<()>,
    store: Mutex<Option<Store>>,
    memory: Mutex<Memory>,
    store_failing: AtomicBool,
}

impl State {
    /// Opens the store; without one the authority serves what it can from memory.
    pub(crate) fn open(home: Home) -> Arc<Self> {
        let store = Store::open(&home, OPEN_PATIENCE)
            .and_then(|store| store.set_patience(STORE_PATIENCE).map(|()| store))
            .inspect_err(|error| tracing::error!(%error, "serving without the store"))
            .ok();
        Arc::new(Self {
            home,
            clock: Box::new(SystemClock),
            started_at_ms: SystemClock.now_ms(),
            judging: Semaphore::new(MAX_CONCURRENT_JUDGEMENTS),
            unsettled: AtomicUsize::new(0),
            stop: Notify::new(),
            settling: Mutex::new(()),
            store_failing: AtomicBool::new(store.is_none()),
            store: Mutex::new(store),
            memory: Mutex::new(Memory::default()),
        })
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

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the store. A store that could not be opened is tried again, so that the authority
    /// recovers by itself when the disk does. Blocks: call it off the event loop.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut guard = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = guard.take().map_or_else(|| Store::open(&self.home, STORE_PATIENCE), Ok);
        let done = opened.and_then(|store| work(guard.insert(store)));
        let failing = done.is_err();
        if failing != self.store_failing.swap(failing, Ordering::Relaxed) {
            if let Err(error) = &done {
                tracing::error!(%error, "the store fails");
            } else {
                tracing::info!("the store works again");
            }
        }
        done
    }

    /// What is wrong with the store, if something is.
    pub(crate) fn store_problem(&self) -> Option<String> {
        self.with_store(|store| store.sessions(1).map(|_| ())).err().map(|error| error.to_string())
    }

    /// What is known of a session: the store's word, or memory's where the store has none.
    pub(crate) fn session_facts(&self, key: &SessionKey) -> Option<SessionFacts> {
        let stored = self.with_store(|store| store.session_facts(key)).ok().flatten();
        match stored {
            Some(facts) if facts.started_at_ms.is_some() => Some(facts),
            other => self.memory().facts(key).or(other),
        }
    }
}
