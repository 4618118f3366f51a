//! Wall-clock time behind a trait, in integer milliseconds UTC as the store keeps it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::env::{self, Env as _, ProcessEnv};

/// Milliseconds since the Unix epoch, UTC.
pub type UnixMillis = i64;

/// A source of wall-clock time.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> UnixMillis;
}

/// The system's clock, and what [`env::STOPGATE_CLOCK`] adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMillis {
        to_millis(SystemTime::now()).saturating_add(made_up_ms())
    }
}

/// What a test adds to the time of day: it can let hours go by for all processes at once.
fn made_up_ms() -> UnixMillis {
    let Some(path) = ProcessEnv.os(env::STOPGATE_CLOCK) else { return 0 };
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// `time` as milliseconds since the Unix epoch; times before it become negative.
pub fn to_millis(time: SystemTime) -> UnixMillis {
    let clamp = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after.as_millis()),
        Err(before) => -clamp(before.duration().as_millis()),
    }
}

/// Milliseconds of the kernel's monotonic clock: the same for all processes of a boot, whatever happens to the time
/// of day. For deadlines that one process sets and another keeps.
pub fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(now.tv_sec) * 1_000 + part(now.tv_nsec) / 1_000_000
}

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub UnixMillis);

impl Clock for FixedClock {
    fn now_ms(&self) -> UnixMillis {
        self.0
    }
}
