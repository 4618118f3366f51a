//! What the reaper has in memory, and what it works with.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stopgate_config::ReaperConfig;
use stopgate_core::clock::{Moment, UnixMillis, is_step};
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

    /// Looks at the clocks; how long the machine has been awake since the time of day was set, or since it was suspended.
    /// `None` if neither was seen. Before the first look counts what an earlier authority of this boot saw.
    pub(super) fn settled_for(&self, now: Moment) -> Option<i64> {
        let mut state = lock(&self.now);
        let was_set = match (state.clocks, self.storage.clocks_before()) {
            (Some(last), _) => {
                is_step(last.booted_at_ms(), now.booted_at_ms()) || is_step(last.suspended_ms(), now.suspended_ms())
            }
            (None, Some(look)) => is_step(look.wall_ms - look.boot_ms, now.booted_at_ms()),
            (None, None) => false,
        };
        state.clocks = Some(now);
        if was_set {
            state.unsettled_at = Some(now.awake_ms);
        }
        state.unsettled_at.map(|at| now.awake_ms - at)
    }

    /// What applies now: what is configured, and the operator's switch.
    pub(crate) fn config(&self) -> ReaperConfig {
        switch::applied(self.settings.current().reaper.clone(), switch::read(self.storage.home()))
    }
}

/// How the reaper is now.
#[derive(Debug, Clone, Default)]
pub(super) struct Now {
    /// When each end was announced, by the time that the machine was awake. Dropped on restart: it must be proven again.
    pub(super) pending: HashMap<SessionKey, i64>,
    pub(super) last_tick_at_ms: Option<UnixMillis>,
    /// The same by the time that the machine was awake.
    pub(super) last_tick_awake_ms: Option<i64>,
    /// The clocks at the last look of any kind.
    pub(super) clocks: Option<Moment>,
    /// When the time of day was last seen to be set, or the machine to have been suspended, by the time that it was awake.
    pub(super) unsettled_at: Option<i64>,
    pub(super) last_tick_took_ms: Option<u64>,
    pub(super) sessions: Vec<ReaperSession>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
