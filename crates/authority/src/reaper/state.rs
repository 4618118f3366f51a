//! What the reaper has in memory, and what it works with.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stopgate_config::ReaperConfig;
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;
use stopgate_reaper::report::ReaperSession;
use stopgate_reaper::switch;
use tokio::sync::Notify;

use crate::settings::Settings;
use crate::storage::Storage;

/// What the reaper has in memory: nothing that a restart may not lose.
pub(crate) struct Reaper {
    pub(super) storage: Arc<Storage>,
    pub(super) settings: Arc<Settings>,
    pub(super) now: Mutex<Now>,
    /// Held during a look, and while a session is explained.
    pub(super) looking: Mutex<()>,
    /// Sessions that are being ended: by one at a time.
    pub(super) ending: Mutex<HashSet<SessionKey>>,
    /// The operator has set the switch.
    pub(crate) woken: Notify,
}

impl Reaper {
    /// One that looks at the sessions of `storage`.
    pub(crate) fn new(storage: Arc<Storage>, settings: Arc<Settings>) -> Self {
        Self {
            storage,
            settings,
            now: Mutex::default(),
            looking: Mutex::default(),
            ending: Mutex::default(),
            woken: Notify::new(),
        }
    }

    /// What applies now: what is configured, and the operator's switch.
    pub(crate) fn config(&self) -> ReaperConfig {
        switch::applied(self.settings.current().reaper.clone(), switch::read(self.storage.home()))
    }
}

/// How the reaper is now.
#[derive(Debug, Clone, Default)]
pub(super) struct Now {
    /// When each end was announced. Dropped on restart: it must be proven again.
    pub(super) pending: HashMap<SessionKey, UnixMillis>,
    pub(super) last_tick_at_ms: Option<UnixMillis>,
    pub(super) last_tick_took_ms: Option<u64>,
    pub(super) sessions: Vec<ReaperSession>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
