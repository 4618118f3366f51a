//! What was learned of the operator's grades: a correction of the text model, as `stopgate gate learn --apply` left it.

use std::sync::{Arc, Mutex, PoisonError};

use stopgate_core::paths::Home;
use stopgate_core::switch;
use stopgate_gate::model::{Correction, reading};
use stopgate_store::learned;

/// The correction in force.
pub(crate) struct LearnedCorrection {
    home: Home,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Which version of the file `correction` is of.
    stamp: Option<String>,
    correction: Option<Arc<Correction>>,
}

impl LearnedCorrection {
    /// What `home` has.
    pub(crate) fn load(home: Home) -> Self {
        Self { home, held: Mutex::default() }
    }

    /// The correction in force: the file as it is now. One that is not understood is none.
    pub(crate) fn current(&self) -> Option<Arc<Correction>> {
        let stamp = switch::stamp(&self.home.correction_file());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.stamp.as_ref() != Some(&stamp) {
            held.correction = match learned::read(&self.home, reading::weights_id()) {
                Ok(found) => found.map(Arc::new),
                Err(error) => {
                    tracing::warn!(what = error.meaning(), "what was learned of grades is not used");
                    None
                }
            };
            held.stamp = Some(stamp);
        }
        held.correction.clone()
    }
}
