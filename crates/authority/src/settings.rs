//! What is configured, as it is now.

use std::sync::{Arc, Mutex, PoisonError};

use stopgate_config::{Config, LastGood};
use stopgate_core::paths::Home;

/// `config.toml`, looked at again whenever somebody asks.
pub(crate) struct Settings {
    home: Home,
    held: Mutex<(LastGood, Arc<Config>)>,
}

impl Settings {
    /// Reads what `home` has.
    pub(crate) fn load(home: Home) -> Self {
        let held = LastGood::load(&home);
        warn_of_faults(&held);
        let config = Arc::new(held.config.clone());
        Self { home, held: Mutex::new((held, config)) }
    }

    /// What is configured: `config.toml` as it is now, or as it last was without a fault.
    pub(crate) fn current(&self) -> Arc<Config> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(crate) fn problem(&self) -> Option<String> {
        self.current();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let first = held.0.faults.as_ref()?.0.first()?.to_string();
        Some(format!("{first}; the last configuration without a fault stays in force"))
    }
}

fn warn_of_faults(held: &LastGood) {
    for fault in held.faults.iter().flat_map(|faults| &faults.0) {
        tracing::warn!(%fault, "the configuration is not changed");
    }
}
