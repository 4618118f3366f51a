//! How the machine is: available memory and load, as the kernel counts them.

use std::path::Path;

use stopgate_core::env;
use stopgate_core::fsx;
use stopgate_reaper::pressure::Reading;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Largest file with a made-up reading.
const MAX_BYTES: u64 = 4 * 1024;

/// Reads the machine, or in tests the file that [`env::STOPGATE_PRESSURE`] names instead.
pub(crate) fn reading() -> Reading {
    match env::made_up(env::STOPGATE_PRESSURE) {
        Some(path) => made_up(&path),
        None => measured(),
    }
}

/// A reading that cannot be read is none: it says nothing.
fn made_up(path: &Path) -> Reading {
    let bytes = fsx::read_regular(path, MAX_BYTES).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory and a count of cores")]
fn measured() -> Reading {
    let system =
        System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()));
    let memory = system.map(|system| (system.available_memory(), system.total_memory())).ok();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = System::load_average().map(|load| load.one).ok();
    Reading {
        available_pct: memory
            .filter(|(_, total)| *total > 0)
            .map(|(available, total)| available as f64 * 100.0 / total as f64),
        load_per_core: load.filter(|load| load.is_finite()).map(|load| load / cores as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_machine_has_both() {
        let Reading { available_pct, load_per_core } = measured();
        assert!(available_pct.is_some_and(|pct| pct > 0.0 && pct <= 100.0));
        assert!(load_per_core.is_some_and(|load| load >= 0.0));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pressure");
        assert_eq!(made_up(&path), Reading::default());
        std::fs::write(&path, "{\"available_pct\": 3.5, \"load_per_core\": null}").unwrap();
        assert_eq!(made_up(&path), Reading { available_pct: Some(3.5), load_per_core: None });
    }
}
