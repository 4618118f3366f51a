//! The breaker of each judge: in the store, so that it outlives a restart, and in memory, so that it holds when the
//! store does not and so that a judge that is left alone costs no look at the store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_config::JudgeConfig;
use stopgate_core::clock::UnixMillis;
use stopgate_core::event_id::new_event_id;
use stopgate_gate::breaker::{Admission, Breaker, BreakerLimits, Settlement};
use stopgate_gate::judge::{FailureKind, JudgeFailure};
use stopgate_protocol::BreakerState;
use stopgate_store::{BreakerRow, StoreError};

use super::route::JudgeRoute;
use crate::storage::Storage;

/// How often the number of those who were not let through is written down.
const FLUSH: Duration = Duration::from_mins(1);
/// How many routes are remembered: the configuration names one at a time.
const MAX_ROUTES: usize = 64;

/// What is remembered of the breakers, by route. Locked before the store, never after it.
#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<HashMap<String, Held>>);

/// What is remembered of one breaker.
#[derive(Debug, Default)]
struct Held {
    row: BreakerRow,
    /// How many were not let through since it was last written.
    unflushed: u64,
    written: Option<Instant>,
    /// The store has missed a change: memory is ahead of it.
    unsaved: bool,
}

/// Somebody who was let through, and has to settle.
#[derive(Debug)]
pub(super) struct Guard {
    route: JudgeRoute,
    limits: BreakerLimits,
    /// Set for a probe.
    token: Option<String>,
}

impl Breakers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses what is remembered, as a restart does.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// Asks to be let through to the judge of `config`.
    pub(super) fn admit(&self, storage: &Storage, config: &JudgeConfig, until: Instant) -> Result<Guard, JudgeFailure> {
        let (route, limits) = (JudgeRoute::of(config), BreakerLimits::from(config));
        let now = storage.now_ms();
        let token = new_event_id(storage.clock());
        let admission = if self.stays_shut(&route, limits, now) {
            Admission::LeaveAlone
        } else {
            self.change(storage, &route, "", until, |breaker| breaker.admit(now, limits, &token))
        };
        match admission {
            Admission::Ask => Ok(Guard { route, limits, token: None }),
            Admission::Probe => Ok(Guard { route, limits, token: Some(token) }),
            Admission::LeaveAlone => {
                Err(JudgeFailure::new(FailureKind::BreakerOpen, "left alone after failures in a row"))
            }
        }
    }

    /// Whether the judge of `config` is known to be left alone, which [`Breakers::admit`] would say of it, too.
    pub(super) fn leaves_alone(&self, storage: &Storage, config: &JudgeConfig) -> bool {
        let (route, limits) = (JudgeRoute::of(config), BreakerLimits::from(config));
        let breakers = self.lock();
        breakers.get(&route.key).is_some_and(|held| held.row.breaker.is_shut(storage.now_ms(), limits))
    }

    /// Whether memory alone knows that nobody is let through; counts the one who was not. No look at the store, but once
    /// in a while to write down how many they were.
    fn stays_shut(&self, route: &JudgeRoute, limits: BreakerLimits, now: UnixMillis) -> bool {
        let mut breakers = self.lock();
        let Some(held) = breakers.get_mut(&route.key) else { return false };
        let flushed_lately = held.written.is_some_and(|at| at.elapsed() < FLUSH);
        let shut = held.row.breaker.is_shut(now, limits) && flushed_lately;
        held.unflushed += u64::from(shut);
        shut
    }

    /// Settles the call, which gave a valid answer or failed. A failure that opens the breaker, or keeps it open, is
    /// reported as that: it is returned.
    pub(super) fn settle(
        &self,
        guard: Guard,
        storage: &Storage,
        failure: Option<&JudgeFailure>,
        until: Instant,
    ) -> Option<JudgeFailure> {
        let Guard { route, limits, token } = guard;
        let now = storage.now_ms();
        let last = failure.map_or("", |failure| failure.kind.name());
        let settlement = self.change(storage, &route, last, until, |breaker| {
            breaker.settle(now, limits, token.as_deref(), failure.is_none())
        });
        let failure = failure?;
        if settlement != Settlement::Opened {
            tracing::warn!(
                judge = route.label,
                kind = failure.kind.name(),
                detail = failure.detail,
                "the judge failed"
            );
            return None;
        }
        // Once a probe fails there is nothing new to say.
        if token.is_none() {
            let seconds = limits.cooldown_ms / 1_000;
            tracing::warn!(judge = route.label, kind = failure.kind.name(), seconds, "the judge is left alone");
        }
        Some(JudgeFailure::new(FailureKind::BreakerOpen, &failure.to_string()))
    }

    /// Changes a breaker in the store and in memory; where the store fails, in memory alone. An empty `last_failure` says
    /// nothing about failures.
    fn change<T>(
        &self,
        storage: &Storage,
        route: &JudgeRoute,
        last_failure: &str,
        until: Instant,
        transition: impl Fn(&mut Breaker) -> T,
    ) -> T {
        let mut breakers = self.lock();
        if breakers.len() >= MAX_ROUTES && !breakers.contains_key(&route.key) {
            breakers.clear();
        }
        let held = breakers.entry(route.key.clone()).or_default();
        held.row.route.clone_from(&route.key);
        held.row.label.clone_from(&route.label);
        if !last_failure.is_empty() {
            last_failure.clone_into(&mut held.row.last_failure);
        }
        let with_memory = |breaker: &mut Breaker| {
            if held.unsaved {
                breaker.clone_from(&held.row.breaker);
            }
            breaker.suppressed = breaker.suppressed.saturating_add(held.unflushed);
            transition(breaker)
        };
        let now = storage.now_ms();
        // A transition that finds the store locked says nothing about the store's health.
        let stored = storage
            .with_store_until(until, |store| Ok(store.change_breaker(&held.row, now, with_memory)))
            .and_then(|changed| changed);
        held.written = Some(Instant::now());
        match stored {
            Ok((done, breaker)) => {
                held.row.breaker = breaker;
                held.unflushed = 0;
                held.unsaved = false;
                done
            }
            Err(error) => {
                if !std::mem::replace(&mut held.unsaved, true) {
                    tracing::error!(%error, judge = route.label, "breakerPersistence: the breaker is kept in memory");
                }
                transition(&mut held.row.breaker)
            }
        }
    }

    /// The breakers that count a failure, the last changed first: what the store says, and memory where that is ahead.
    pub(super) fn all(&self, storage: &Storage) -> Vec<BreakerState> {
        let now = storage.now_ms();
        let mut rows = storage.with_store(|store| store.breakers()).unwrap_or_default();
        let breakers = self.lock();
        for held in breakers.values() {
            let at = rows.iter().position(|row| row.route == held.row.route);
            match at {
                Some(at) if held.unsaved => rows[at] = held.row.clone(),
                None if held.unsaved && !held.row.breaker.is_blank() => rows.push(held.row.clone()),
                _ => {}
            }
            if let Some(row) = rows.iter_mut().find(|row| row.route == held.row.route) {
                row.breaker.suppressed = row.breaker.suppressed.saturating_add(held.unflushed);
            }
        }
        rows.retain(|row| !row.breaker.is_blank());
        rows.sort_by_key(|row| std::cmp::Reverse(row.breaker.updated_at_ms));
        rows.into_iter().map(|row| row.state(now)).collect()
    }

    /// Closes every breaker. Returns how many were not blank.
    pub(super) fn reset(&self, storage: &Storage) -> Result<usize, StoreError> {
        let mut breakers = self.lock();
        let reset = storage.with_store(|store| store.reset_breakers())?;
        breakers.clear();
        Ok(reset)
    }
}
