//! The last configuration without a fault stays in force, over a restart too.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use stopgate_core::fsx;
use stopgate_core::paths::Home;

use crate::fault::Faults;
use crate::load::{self, MAX_BYTES, user_file};
use crate::tables::Config;

/// What is in force, and what is wrong with the file if it is not that.
#[derive(Debug, Clone)]
pub struct LastGood {
    /// What is in force.
    pub config: Config,
    /// What is wrong with the file as it is now.
    pub faults: Option<Faults>,
    seen: Option<Stamp>,
}

impl LastGood {
    /// The operator's configuration; when its file has a fault, the last one that had none, or the defaults.
    pub fn load(home: &Home) -> Self {
        let mut held = Self::of_copy(home);
        held.read(home, true);
        held
    }

    /// The same, without keeping what is found: for whoever only looks.
    pub fn peek(home: &Home) -> Self {
        let mut held = Self::of_copy(home);
        held.read(home, false);
        held
    }

    fn of_copy(home: &Home) -> Self {
        let copy = fsx::read_regular_text(&copy_of(home), MAX_BYTES).unwrap_or_default();
        let config = load::parse(&copy_of(home), &copy).unwrap_or_default();
        Self { config, faults: None, seen: None }
    }

    /// Reads the file again if it has changed; `true` if it had.
    pub fn refresh(&mut self, home: &Home) -> bool {
        let changed = stamp(home) != self.seen;
        if changed {
            self.read(home, true);
        }
        changed
    }

    fn read(&mut self, home: &Home, keep: bool) {
        self.seen = stamp(home);
        match load::load_with_text(home) {
            Ok((config, text)) => {
                if keep {
                    // Best effort: without the copy a restart with a broken file falls back to the defaults.
                    let _ = fsx::ensure_private_dir(&home.run())
                        .and_then(|()| fsx::write_atomic(&copy_of(home), text.as_bytes(), 0o600));
                }
                self.config = config;
                self.faults = None;
            }
            Err(faults) => self.faults = Some(faults),
        }
    }
}

fn copy_of(home: &Home) -> PathBuf {
    home.run().join("config.last-good.toml")
}

/// Device, inode, size and time of change: what is different when a file was written or replaced.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp(home: &Home) -> Option<Stamp> {
    let meta = std::fs::metadata(user_file(home)).ok()?;
    Some((meta.dev(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec()))
}
