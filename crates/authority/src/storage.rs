//! The store as all of the authority uses it, and the clock by which it writes: opened again when it fails or is
//! replaced, with limits on how long anybody waits.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use stopgate_core::clock::{Clock, Moment, UnixMillis};
use stopgate_core::env;
use stopgate_core::paths::Home;
use stopgate_core::process::{ProcFs, ProcessTable as _};
use stopgate_store::{ClockLook, LATEST_VERSION, MigrationStep, Store, StoreError};

use crate::slot::{Slot, Taken};

/// How long the first opening waits for others who create or migrate the store at the same time.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long the start waits for an older version's store to be brought up to date.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(2);
/// How long a request waits for others (the recorder) who write to the store. Hooks wait behind it.
const STORE_PATIENCE: Duration = Duration::from_millis(250);

/// How long a request waits for its turn, however many others write.
const TURN_PATIENCE: Duration = Duration::from_secs(2);
/// A connection, once there is one.
type Connected = Option<Store>;

/// Brings the store of `home` to this version's schema, in a thread of its own: with very many rows that takes longer than
/// anybody waits for an authority. The most take no time, and are waited for.
fn migrate(
    from: i64,
    home: &Home,
    last_look: &Arc<OnceLock<Option<ClockLook>>>,
    migration: &Arc<Mutex<Option<MigrationStep>>>,
) {
    let (home, last_look, step) = (home.clone(), Arc::clone(last_look), Arc::clone(migration));
    let (done, is_done) = mpsc::channel::<()>();
    let set = move |to| *step.lock().unwrap_or_else(PoisonError::into_inner) = to;
    set(Some(MigrationStep { from, at: from, to: LATEST_VERSION }));
    let work = move || {
        match Store::open_and_migrate_telling(&home, OPEN_PATIENCE, &|step| set(Some(step))) {
            Ok(store) => drop(last_look.set(store.clock_look().ok().flatten())),
            // Whoever uses it next tries again.
            Err(error) => tracing::error!(%error, "the store is still of an older version"),
        }
        set(None);
        drop(done);
    };
    match std::thread::Builder::new().name("migration".to_owned()).spawn(work) {
        // It ends by being dropped.
        Ok(_) => drop(is_done.recv_timeout(env::patiently(MIGRATION_PATIENCE))),
        Err(error) => {
            tracing::error!(%error, "no thread for the migration");
            *migration.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// See the module.
pub(crate) struct Storage {
    home: Home,
    clock: Box<dyn Clock>,
    /// The kernel's id of this boot; empty if it cannot be read.
    boot_id: String,
    /// What an earlier authority has seen of the clocks, once the store is open.
    last_look: Arc<OnceLock<Option<ClockLook>>>,
    /// How far the store has been brought to this version's schema, while that goes on.
    migration: Arc<Mutex<Option<MigrationStep>>>,
    store: Slot<Connected>,
    /// Beside `store`, so that a stop that is judged does not wait for one that is written down, nor for a checkpoint.
    reader: Slot<Connected>,
    /// The last failure of the store, until a write is known to work again.
    trouble: Mutex<Option<String>>,
}

impl Storage {
    /// Opens the store of `home`; without one, every use of it tries again.
    pub(crate) fn open(home: Home, clock: Box<dyn Clock>) -> Self {
        let (last_look, migration) = (Arc::default(), Arc::default());
        let (store, trouble) = if let Some(from) = Store::older_version(&home, OPEN_PATIENCE) {
            migrate(from, &home, &last_look, &migration);
            (None, None)
        } else {
            match Store::open_and_migrate(&home, OPEN_PATIENCE) {
                Ok(store) => {
                    let _ = last_look.set(store.clock_look().ok().flatten());
                    (Some(store), None)
                }
                Err(error) => {
                    tracing::error!(%error, "serving without the store");
                    (None, Some(error.to_string()))
                }
            }
        };
        let boot_id = ProcFs.boot_id().unwrap_or_default();
        Self {
            home,
            clock,
            boot_id,
            last_look,
            migration,
            store: Slot::of(store),
            reader: Slot::of(None),
            trouble: Mutex::new(trouble),
        }
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

    /// Now, by all clocks.
    pub(crate) fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// The kernel's id of this boot; empty if it cannot be read.
    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// The clocks as an earlier authority of this boot saw them last, before this one looked at them.
    pub(crate) fn clocks_before(&self) -> Option<&ClockLook> {
        self.last_look.get()?.as_ref().filter(|look| look.boot_id == self.boot_id && !self.boot_id.is_empty())
    }

    /// Does something with the store. A store that could not be opened is tried again, so that the authority
    /// recovers by itself when the disk does. Blocks: call it off the event loop.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let taken = self.store.take(Instant::now() + env::patiently(TURN_PATIENCE))?;
        self.within(STORE_PATIENCE, taken, work)
    }

    /// Reads from the store without waiting for those who write; through [`Storage::with_store`] where that fails.
    pub(crate) fn with_reader<T>(&self, read: impl Fn(&Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        {
            let mut taken = self.reader.take(Instant::now() + env::patiently(TURN_PATIENCE))?;
            let opened = taken
                .take()
                .filter(Store::is_in_place)
                .map_or_else(|| Store::open_to_read(&self.home, STORE_PATIENCE), Ok);
            if let Ok(reader) = opened
                && let Ok(found) = read(&reader)
            {
                *taken = Some(reader);
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
        let taken = self.store.take(until)?;
        let left = until.saturating_duration_since(Instant::now());
        self.within(left.min(STORE_PATIENCE), taken, work)
    }

    /// How long whoever reads for a verdict has waited for the disk, if that is too long for anybody else to begin.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.reader.stalled()
    }

    fn within<T>(
        &self,
        patience: Duration,
        mut taken: Taken<'_, Connected>,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let kept = taken.take().filter(|store| {
            let is_in_place = store.is_in_place();
            if !is_in_place {
                tracing::error!("the store was removed or replaced: opening what is there now");
            }
            is_in_place
        });
        let opened = match (kept, self.migration()) {
            (Some(store), _) => Ok(store),
            // Whoever migrates has the store to itself, and this would only wait.
            (None, Some(step)) => return Err(StoreError::BeingMigrated(step)),
            (None, None) => Store::open_and_migrate(&self.home, patience),
        };
        let done = opened.and_then(|store| {
            let store = taken.insert(store);
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

    /// How far the store has been brought to this version's schema, while that goes on.
    fn migration(&self) -> Option<MigrationStep> {
        *self.migration.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the store, if something is. After a failure only a write that works tells that all is well:
    /// on a full disk reading works all the time.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(step) = self.migration() {
            let database = self.home.database();
            return Some(format!(
                "{}: an older version's database is being brought {step}; until that is done, stops are let go or judged by \
                 what else is known, and recorded afterwards",
                database.display()
            ));
        }
        // Not one more who waits for it.
        if let Some(stalled) = self.stalled() {
            return Some(self.unanswered(stalled));
        }
        if let Some(stalled) = self.store.stalled() {
            let (database, seconds) = (self.home.database(), stalled.as_secs());
            return Some(format!(
                "{}: the disk has not taken what is written for {seconds} s; until it does, stops are judged but not recorded",
                database.display()
            ));
        }
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

    /// What is said of a store at which somebody has been for `stalled`.
    pub(crate) fn unanswered(&self, stalled: Duration) -> String {
        format!(
            "{}: the disk has not answered for {} s; until it does, stops are let go without being judged",
            self.home.database().display(),
            stalled.as_secs()
        )
    }
}
