//! What all requests share.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_config::{Config, LastGood};
use stopgate_core::clock::{Clock, SystemClock, UnixMillis};
use stopgate_core::paths::Home;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_store::{SessionFacts, Store, StoreError, TurnRecord};
use tokio::sync::{Notify, Semaphore};

use crate::facts;
use crate::journal::Journal;
use crate::judge::Breakers;
use crate::memory::Memory;
use crate::reaper::Reaper;

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
    /// Held while a judge is asked: at most half of the turns of `judging`.
    pub(crate) asking: Semaphore,
    unsettled: AtomicUsize,
    pub(crate) stop: Notify,
    /// Held from reading a session's count to writing it: two stops at once must not share one continue.
    pub(crate) settling: Mutex<()>,
    counted: AtomicU64,
    /// Held from looking at a switch to writing it.
    pub(crate) flipping: Mutex<()>,
    /// What git said about the checkouts that are worked in.
    pub(crate) memo: facts::Memo,
    config: Mutex<(LastGood, Arc<Config>)>,
    /// What is remembered of judges that failed. Taken before the store, never after it.
    pub(crate) breakers: Mutex<Breakers>,
    pub(crate) reaper: Reaper,
    /// Verdicts that are given before they are stored.
    pub(crate) journal: Journal,
    store: Mutex<Option<Store>>,
    /// Beside `store`, so that a stop that is judged does not wait for one that is written down, nor for a checkpoint.
    reader: Mutex<Option<Store>>,
    memory: Mutex<Memory>,
    /// The last failure of the store, until a write is known to work again.
    trouble: Mutex<Option<String>>,
}

impl State {
    /// Opens the store; without one the authority serves what it can from memory.
    pub(crate) fn open(home: Home) -> Arc<Self> {
        let (store, trouble) = match Store::open(&home, OPEN_PATIENCE) {
            Ok(store) => (Some(store), None),
            Err(error) => {
                tracing::error!(%error, "serving without the store");
                (None, Some(error.to_string()))
            }
        };
        let held = LastGood::load(&home);
        warn_of_faults(&held);
        let config = Arc::new(held.config.clone());
        Arc::new(Self {
            journal: Journal::of(&home),
            home,
            memo: facts::Memo::default(),
            config: Mutex::new((held, config)),
            clock: Box::new(SystemClock),
            started_at_ms: SystemClock.now_ms(),
            judging: Semaphore::new(MAX_CONCURRENT_JUDGEMENTS),
            asking: Semaphore::new(MAX_CONCURRENT_JUDGEMENTS / 2),
            unsettled: AtomicUsize::new(0),
            stop: Notify::new(),
            settling: Mutex::new(()),
            counted: AtomicU64::new(0),
            flipping: Mutex::new(()),
            breakers: Mutex::default(),
            reaper: Reaper::default(),
            store: Mutex::new(store),
            reader: Mutex::new(None),
            trouble: Mutex::new(trouble),
            memory: Mutex::new(Memory::default()),
        })
    }

    /// What is configured: `config.toml` as it is now, or as it last was without a fault.
    pub(crate) fn config(&self) -> Arc<Config> {
        let mut held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let (last_good, shared) = &mut *held;
        if last_good.refresh(&self.home) {
            warn_of_faults(last_good);
            if **shared != last_good.config {
                *shared = Arc::new(last_good.config.clone());
            }
        }
        Arc::clone(shared)
    }

    /// What is wrong with `config.toml`, if something is.
    pub(crate) fn config_problem(&self) -> Option<String> {
        self.config();
        let held = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.0.faults.as_ref()?.0.first()?.to_string();
        Some(format!("{first}; the last configuration without a fault stays in force"))
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
        self.within(STORE_PATIENCE, self.store(), work)
    }

    /// Reads from the store without waiting for those who write; through [`State::with_store`] where that fails.
    pub(crate) fn with_reader<T>(&self, read: impl Fn(&Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        {
            let mut guard = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let opened = guard
                .take()
                .filter(Store::is_in_place)
                .map_or_else(|| Store::open_to_read(&self.home, STORE_PATIENCE), Ok);
            if let Ok(reader) = opened
                && let Ok(found) = read(&reader)
            {
                *guard = Some(reader);
                return Ok(found);
            }
        }
        self.with_store(|store| read(store))
    }

    /// [`State::with_store`] that is over by `until`, however long others keep the store busy.
    pub(crate) fn with_store_until<T>(
        &self,
        until: Instant,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let guard = self.store();
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Says nothing about the store.
            return Err(StoreError::Io(io::ErrorKind::TimedOut.into()));
        }
        self.within(left.min(STORE_PATIENCE), guard, work)
    }

    fn store(&self) -> MutexGuard<'_, Option<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn within<T>(
        &self,
        patience: Duration,
        mut guard: MutexGuard<'_, Option<Store>>,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = guard.take().filter(|store| {
            let is_in_place = store.is_in_place();
            if !is_in_place {
                tracing::error!("the store was removed or replaced: opening what is there now");
            }
            is_in_place
        });
        let opened = kept.map_or_else(|| Store::open(&self.home, patience), Ok);
        let done = opened.and_then(|store| {
            let store = guard.insert(store);
            store.set_patience(patience)?;
            work(store)
        });
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = &done {
            if trouble.is_none() {
                tracing::error!(%error, "the store fails");
            }
            *trouble = Some(error.to_string());
        }
        done
    }

    /// What is wrong with the store, if something is. After a failure only a write that works tells that all is well:
    /// on a full disk reading works all the time.
    pub(crate) fn store_problem(&self) -> Option<String> {
        let was_in_trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let looked = self.with_store(|store| {
            store.sessions(1)?;
            if was_in_trouble { store.check_writable() } else { Ok(()) }
        });
        match looked {
            Ok(()) if was_in_trouble => {
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
                tracing::info!("the store works again");
                None
            }
            Ok(()) => None,
            Err(error) => Some(format!(
                "{}: {error}; stops are judged but not recorded until it can be read and written again (free space, \
                 permissions of file and directory, other programs that hold it)",
                self.home.database().display()
            )),
        }
    }

    /// What is known of a session (the store's word, or memory's where the store has none), and what the store counts
    /// of its turn in `mode`.
    pub(crate) fn standing(&self, key: &SessionKey, mode: Mode) -> (Option<SessionFacts>, TurnRecord) {
        let now_ms = self.clock.now_ms();
        let (stored, turn) = self.with_reader(|store| store.standing(key, mode, now_ms)).unwrap_or_default();
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

fn warn_of_faults(held: &LastGood) {
    for fault in held.faults.iter().flat_map(|faults| &faults.0) {
        tracing::warn!(%fault, "the configuration is not changed");
    }
}
