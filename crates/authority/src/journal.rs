//! Stops that were answered before they were in the store: one line each in `run/answered.jsonl`, so that neither an
//! authority that is killed nor a store that fails for a while loses what a hook was told.
//!
//! A line is one `write` to a file, which outlives the process; the store's own transaction follows. The file is
//! emptied when all of its lines are stored, and what an earlier authority left in it is stored at the start.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::env;
use stopgate_core::fsx;
use stopgate_core::harness::EventKind;
use stopgate_core::paths::Home;
use stopgate_core::protocol::EvaluateRequest;
use stopgate_store::{Aside, GateRow, Store, StoreError};

use crate::slot::{Slot, Taken};
use crate::storage::Storage;

/// The file is not emptied after every verdict, but when it has grown to this.
const EMPTY_BYTES: u64 = 256 * 1024;
/// The store has failed for so long that what is given further is no longer kept: the disk belongs to the person.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How long a hook's answer waits for others to be noted.
const TURN_PATIENCE: Duration = Duration::from_millis(500);

/// What a hook was told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum JournalAnswer {
    /// That the stop is taken in; the verdict comes afterwards.
    Taken {
        /// The stop.
        request: Box<EvaluateRequest>,
    },
    /// The verdict.
    Given(Box<Given>),
}

/// A verdict, with all that the store needs of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    pub(crate) request: EvaluateRequest,
    pub(crate) row: GateRow,
    pub(crate) aside: Aside,
    pub(crate) at_ms: UnixMillis,
}

impl JournalAnswer {
    /// Without what the agent said, and what it runs, which may hold secrets, and which the store does not keep.
    fn stripped(mut self) -> Self {
        let request = match &mut self {
            Self::Taken { request } => request,
            Self::Given(given) => &mut given.request,
        };
        if let EventKind::Stop(stop) = &mut request.event.kind {
            stop.last_assistant_message.clear();
            stop.shells.clear();
        }
        self
    }

    /// Stores it, unless the store has it.
    fn store(&self, store: &mut Store) -> Result<(), StoreError> {
        match self {
            Self::Taken { request } => store.accept_stop(request).map(|_| ()),
            Self::Given(given) if store.has_stop(&given.row.event_id)? => Ok(()),
            Self::Given(given) => {
                store.record_verdict(&given.request, &given.row, &given.aside, given.at_ms).map(|_| ())
            }
        }
    }
}

/// That an answer is noted: to be handed to [`Journal::settle`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Noted(());

#[derive(Debug, Default)]
struct Lines {
    file: Option<File>,
    bytes: u64,
    /// Lines that are not known to be stored.
    open: usize,
    /// Those of them whose storing has failed.
    left: Vec<JournalAnswer>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    lines: Slot<Lines>,
}

impl Journal {
    /// The journal of a home.
    pub(crate) fn of(home: &Home) -> Self {
        Self { path: home.run().join("answered.jsonl"), lines: Slot::of(Lines::default()) }
    }

    fn lines(&self) -> io::Result<Taken<'_, Lines>> {
        self.lines.take(Instant::now() + env::patiently(TURN_PATIENCE))
    }

    /// How long somebody has waited for the disk to take a line, if that is too long for anybody else to begin.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.lines.stalled()
    }

    /// Writes down what a hook is about to be told, in one write. `None` if it cannot be kept here. Blocks: call it off the
    /// event loop.
    pub(crate) fn note(&self, answer: JournalAnswer) -> Option<Noted> {
        let mut line = serde_json::to_vec(&answer.stripped()).ok()?;
        line.push(b'\n');
        match self.lines().and_then(|mut lines| lines.append(&self.path, &line)) {
            Ok(()) => Some(Noted(())),
            Err(error) => {
                tracing::error!(%error, "an answer is not noted");
                None
            }
        }
    }

    /// What was noted is stored, but for what is `left` to be stored later.
    pub(crate) fn settle(&self, _: Noted, left: Option<Given>) {
        // Where the disk does not answer, the next authority finds the line and stores it, unless that is done.
        let Ok(mut lines) = self.lines() else { return };
        if let Some(given) = left {
            lines.left.push(JournalAnswer::Given(Box::new(given)).stripped());
        } else {
            lines.open = lines.open.saturating_sub(1);
            lines.empty(EMPTY_BYTES);
        }
    }

    /// What was noted is stored already.
    pub(crate) fn forget(&self, noted: Option<Noted>) {
        if let Some(noted) = noted {
            self.settle(noted, None);
        }
    }

    /// Stores what an earlier authority has noted.
    pub(crate) fn take_over(&self, storage: &Storage) {
        let Ok(bytes) = fsx::read_regular(&self.path, MAX_BYTES * 2) else { return };
        let found: Vec<JournalAnswer> = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            // The last line of an authority that was killed while it wrote was told to nobody.
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        if let Ok(mut lines) = self.lines() {
            lines.bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            lines.open = found.len();
            lines.left = found;
        }
        self.try_again(storage);
    }

    /// Stores what could not be stored before.
    pub(crate) fn try_again(&self, storage: &Storage) {
        let Ok(left) = self.lines().map(|mut lines| std::mem::take(&mut lines.left)) else { return };
        let mut failed = Vec::new();
        for answer in left {
            if !failed.is_empty() || storage.with_store(|store| answer.store(store)).is_err() {
                failed.push(answer);
            } else if let Ok(mut lines) = self.lines() {
                lines.open = lines.open.saturating_sub(1);
            }
        }
        let Ok(mut lines) = self.lines() else { return };
        lines.left.append(&mut failed);
        lines.open_file(&self.path);
        lines.empty(1);
    }
}

impl Lines {
    fn open_file(&mut self, path: &std::path::Path) {
        if self.file.is_none() && self.bytes > 0 {
            self.file = fsx::open_regular(OpenOptions::new().append(true), path).ok();
        }
    }

    fn append(&mut self, path: &std::path::Path, line: &[u8]) -> io::Result<()> {
        if self.bytes > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "the journal of answered stops is full"));
        }
        if self.file.is_none() {
            self.file = Some(fsx::open_regular(OpenOptions::new().create(true).append(true), path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(line) {
            // No half of a line before the next one.
            let _ = file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.open += 1;
        Ok(())
    }

    /// Empties the file if all is stored and it has `at_least` so many bytes.
    fn empty(&mut self, at_least: u64) {
        if self.open == 0
            && self.bytes >= at_least
            && let Some(file) = &self.file
            && file.set_len(0).is_ok()
        {
            self.bytes = 0;
        }
    }
}
