//! Brings one settings file to the table, under the installer's lock: planned on what is there now, written, checked,
//! and in the ledger before it is on the disk.

use std::path::PathBuf;

use anyhow::Result;
use stopgate_core::VERSION;
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::paths::Home;

use crate::ledger::{Install, Ledger, Refused};
use crate::printer;
use crate::settings::locate::Location;
use crate::settings::plan::{SettingsPlan, write};
use crate::settings::write::WriteError;
use crate::wiring::Wiring;

/// How often the plan is made anew when somebody keeps writing the file.
const MAX_ATTEMPTS: usize = 5;

/// What was done to the file.
pub(crate) struct Applied {
    /// In one word.
    pub(crate) verb: &'static str,
    /// The file as it was, if it was changed.
    pub(crate) backup: Option<PathBuf>,
    /// What keeps the harness from reading the file.
    pub(crate) ignored: Option<String>,
    /// The change.
    pub(crate) diff: String,
    /// Entries that a person does not want.
    pub(crate) refused: Vec<Refused>,
    is_written: bool,
}

impl Applied {
    /// Whether the file was written.
    pub(crate) const fn is_something(&self) -> bool {
        self.is_written
    }
}

/// Which sets of lines beside the base a file is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sets {
    /// Those that the ledger says it has.
    AsKnown,
    /// This one too.
    With(WireSet),
    /// Not this one.
    Without(WireSet),
}

impl Sets {
    /// Those of a file of which the ledger knows `old`.
    pub(crate) fn of(self, old: Option<&Install>) -> Vec<WireSet> {
        let mut sets = old.map(|old| old.sets.clone()).unwrap_or_default();
        match self {
            Self::AsKnown => {}
            Self::With(set) if sets.contains(&set) => {}
            Self::With(set) => sets.push(set),
            Self::Without(set) => sets.retain(|known| *known != set),
        }
        sets
    }
}

/// Registers every entry of the table, with `sets`, but those that `refused` names; it is asked again for every plan, with
/// what the ledger knows of the file.
pub(crate) fn bring(
    home: &Home,
    ledger: &mut Ledger,
    location: &Location,
    sets: Sets,
    refused: &dyn Fn(Option<&Install>) -> Result<Vec<Refused>>,
) -> Result<Applied> {
    for _ in 0..MAX_ATTEMPTS {
        let now = SystemClock.now_ms();
        let old = ledger.of(location);
        let refused = refused(old)?;
        let is_refused =
            |event: &str, hook: Hook| refused.iter().any(|one| one.event == event && one.hook == hook.name());
        let sets = sets.of(old);
        let wiring = Wiring::of_home(location.harness, home, &sets)?.without(is_refused);
        // The file is read again under the lock: what is written rests on what is there now, not on the preview.
        let settings = SettingsPlan::install(location.clone(), &wiring, old)?;
        let backup = settings.backup(home, now)?;
        let mut next = ledger.clone();
        let is_known =
            old.is_some_and(|old| old.settled && old.refused == refused && old.version == VERSION && old.sets == sets);
        if !settings.is_noop() || !is_known {
            let record = Install { refused: refused.clone(), ..settings.record(old, backup.clone(), now) };
            next.put(Install { settled: settings.is_noop(), ..record });
            next.save(home)?;
        }
        let applied = Applied {
            verb: settings.verb(),
            ignored: settings.ignored(),
            diff: settings.diff(),
            refused,
            is_written: !settings.is_noop(),
            backup,
        };
        if settings.is_noop() {
            *ledger = next;
            return Ok(applied);
        }
        match write(&settings) {
            Ok(()) => {
                settings.verify(&home.bin())?;
                for install in next.installs.iter_mut().filter(|install| install.settings == location.path) {
                    install.settled = true;
                }
                next.save(home)?;
                *ledger = next;
                return Ok(applied);
            }
            Err(error) => {
                ledger.save(home)?;
                if !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(WriteError::Changed))) {
                    return Err(error);
                }
                printer::note("the settings file was changed meanwhile; planning anew");
            }
        }
    }
    anyhow::bail!("{}: somebody keeps writing this file; try again when it is at rest", location.path.display())
}
