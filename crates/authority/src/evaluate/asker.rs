//! Whoever asked about a stop: whether they still wait for the answer, and until when.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::Peer;

/// Set when whoever asked is gone: what it would have been told is not delivered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    set: Arc<AtomicBool>,
    waiting: Arc<Mutex<Waiting>>,
    asker: Option<Peer>,
}

/// How long whoever asked waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Waiting {
    /// As long as it said.
    #[default]
    AsItSaid,
    /// Until then, as it was told.
    Until(Instant),
    /// No more: it has its answer.
    Answered,
}

impl Gone {
    /// Looks at `asker` as well: one that has given up is seen before its handler is dropped.
    pub(crate) fn of(asker: Peer) -> Self {
        Self { asker: Some(asker), ..Self::default() }
    }

    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
    }

    /// Whether somebody is to be told the verdict.
    pub(super) fn somebody_waits(&self) -> bool {
        self.asker.is_some()
    }

    pub(super) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire) || self.asker.as_ref().is_some_and(Peer::is_gone)
    }

    /// Has whoever asked wait for as long as `wait` from now on, which has to be able to. Returns until when that is; `None`
    /// if it cannot be told, or has its answer.
    pub(super) fn prolong(&self, wait: Duration) -> Option<Instant> {
        let mut waiting = self.waiting();
        if *waiting == Waiting::AsItSaid && !self.is_set() && self.asker.as_ref()?.announce(wait) {
            *waiting = Waiting::Until(Instant::now() + wait);
        }
        waiting.until()
    }

    /// Until when whoever asked waits, if it was told to wait longer than it said.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waiting().until()
    }

    /// The time is over that whoever asked said: until when it waits all the same. `None` if it is to be answered now.
    pub(crate) fn outlasts(&self) -> Option<Instant> {
        let mut waiting = self.waiting();
        let later = waiting.until().filter(|until| *until > Instant::now());
        if later.is_none() {
            *waiting = Waiting::Answered;
        }
        later
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    const fn until(self) -> Option<Instant> {
        match self {
            Self::Until(until) => Some(until),
            Self::AsItSaid | Self::Answered => None,
        }
    }
}
