//! The store as all of the authority uses it, and the clock by which it writes: opened again when it fails or is
//! replaced, with limits on how long anybody waits.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_core::clock::{Clock, UnixMillis};
use stopgate_core::paths::Home;
use stopgate_store::{Store, StoreError};

/// How long the first opening waits for others who create or migrate the store at the same time.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request waits for others (the recorder) who write to the store. Hooks wait behind it.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// See the module.
pub(crate) struct Storage {
    home: Home,
    clock: Box<dyn Clock>,
    store: Mutex<Option<Store>>,
    /// Beside `store`, so that a stop that is judged does not wait for one that is written down, nor for a checkpoint.
    reader: Mutex<Option<Store>>,
    /// The last failure of the store, until a write is known to work again.
    trouble: Mutex<Option<String>>,
}

impl Storage {
    /// Opens the store of `home`; without one, every use of it tries again.
    pub(crate) fn open(home: Home, clock: Box<dyn Clock>) -> Self {
        let (store, trouble) = match Store::open_and_migrate(&home, OPEN_PATIENCE) {
            Ok(store) => (Some(store), None),
            Err(error) => {
                tracing::error!(%error, "serving without the store");
                (None, Some(error.to_string()))
            }
        };
        Self { home, clock, store: Mutex::new(store), reader: Mutex::new(None), trouble: Mutex::new(trouble) }
    }

    /// Whose store it is.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Now, by the clock.
    pub(crate) fn now_ms(&self) -> UnixMillis {
        self.clock.now_ms()
    }

    /// Does something with the store. A store that could not be opened is tried again, so that the authority
    /// recovers by itself when the disk does. Blocks: call it off the event loop.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.within(STORE_PATIENCE, self.store(), work)
    }

    /// Reads from the store without waiting for those who write; through [`Storage::with_store`] where that fails.
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

    /// [`Storage::with_store`] that is over by `until`, however long others keep the store busy.
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
        let opened = kept.map_or_else(|| Store::open_and_migrate(&self.home, patience), Ok);
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
    pub(crate) fn problem(&self) -> Option<String> {
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
}
