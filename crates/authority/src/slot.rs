//! Something that one at a time works with, and nobody waits for longer than they can.
//!
//! A lock that is held over work with a disk is held for ever once the disk does not answer, and so are all who wait for it.
//! Here what is worked with is taken out and put back, and who finds it taken for too long does not begin to wait.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_core::env;

/// Whoever has had it for longer waits for a disk that does not answer.
const STALL: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    place: Mutex<Place<T>>,
    free: Condvar,
}

#[derive(Debug)]
struct Place<T> {
    /// Absent while it is taken.
    kept: Option<T>,
    /// Since when it has been taken.
    taken: Option<Instant>,
}

impl<T: Default> Slot<T> {
    /// A place for `kept`.
    pub(crate) fn of(kept: T) -> Self {
        Self { place: Mutex::new(Place { kept: Some(kept), taken: None }), free: Condvar::new() }
    }

    fn place(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long somebody has had it, if that is too long.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.place().stalled()
    }

    /// Takes it out, if that is possible by `until`. The error says nothing about what is kept here.
    pub(crate) fn take(&self, until: Instant) -> io::Result<Taken<'_, T>> {
        let mut place = self.place();
        while place.taken.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || place.stalled().is_some() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            place = self.free.wait_timeout(place, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        place.taken = Some(Instant::now());
        Ok(Taken { slot: self, kept: place.kept.take().unwrap_or_default() })
    }
}

impl<T> Place<T> {
    fn stalled(&self) -> Option<Duration> {
        self.taken.map(|since| since.elapsed()).filter(|taken| *taken > env::patiently(STALL))
    }
}

/// What was taken out, until it is put back by going.
#[derive(Debug)]
pub(crate) struct Taken<'a, T: Default> {
    slot: &'a Slot<T>,
    kept: T,
}

impl<T: Default> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.kept
    }
}

impl<T: Default> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.kept
    }
}

impl<T: Default> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut place = self.slot.place();
        place.kept = Some(std::mem::take(&mut self.kept));
        place.taken = None;
        self.slot.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_others_wait_no_longer_than_they_can() {
        let slot = Slot::of(1);
        let mut taken = slot.take(Instant::now()).unwrap();
        *taken = 2;
        assert!(slot.take(Instant::now() + Duration::from_millis(5)).is_err());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.take(Instant::now() + Duration::from_mins(1)).map(|found| *found));
            drop(taken);
            assert_eq!(waiting.join().unwrap().unwrap(), 2);
        });
        assert!(slot.stalled().is_none());
    }

    #[test]
    fn nobody_begins_to_wait_for_what_does_not_come_back() {
        let slot = Slot::of(());
        let taken = slot.take(Instant::now()).unwrap();
        slot.place().taken = Instant::now().checked_sub(STALL * 100);
        assert!(slot.stalled().is_some());
        let (began, patience) = (Instant::now(), Duration::from_mins(1));
        assert!(slot.take(began + patience).is_err() && began.elapsed() < patience);
        drop(taken);
        assert!(slot.stalled().is_none() && slot.take(Instant::now()).is_ok(), "it is well again by itself");
    }
}
