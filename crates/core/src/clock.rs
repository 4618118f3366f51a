//! Time behind a trait, in integer milliseconds.
//!
//! The time of day (UTC, as the store keeps it) can be set, and says little about how long something took: durations are
//! told by the kernel's clocks, which count from its start ([`Moment`]).

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::ClockId;

use crate::env;

/// Milliseconds since the Unix epoch, UTC.
pub type UnixMillis = i64;

/// A day in milliseconds: 24 hours, whatever a clock on the wall does.
pub const DAY_MS: UnixMillis = days(1);

/// `count` seconds in milliseconds.
pub const fn seconds(count: u32) -> UnixMillis {
    count as UnixMillis * 1_000
}

/// `count` minutes in milliseconds.
pub const fn minutes(count: u32) -> UnixMillis {
    seconds(count) * 60
}

/// `count` hours in milliseconds.
pub const fn hours(count: u32) -> UnixMillis {
    minutes(count) * 60
}

/// `count` days in milliseconds.
pub const fn days(count: u32) -> UnixMillis {
    hours(count) * 24
}

/// One moment by each of the machine's clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall_ms: UnixMillis,
    /// Since the machine was booted (`CLOCK_BOOTTIME`).
    pub boot_ms: i64,
    /// The same, without the time that it was suspended (`CLOCK_MONOTONIC`).
    pub awake_ms: i64,
}

impl Moment {
    /// When the machine was booted, by the time of day as it is set now: two moments of a boot that differ in this had the
    /// time of day set between them.
    pub const fn booted_at_ms(self) -> UnixMillis {
        self.wall_ms.saturating_sub(self.boot_ms)
    }

    /// How long the machine has been suspended since it was booted.
    pub const fn suspended_ms(self) -> i64 {
        self.boot_ms.saturating_sub(self.awake_ms)
    }
}

/// The time of day was set by at least so much, if two values that should be the same differ by more: reading two clocks
/// one after the other takes its time, too.
pub const STEP_MS: UnixMillis = seconds(2);

/// Whether two values of [`Moment::booted_at_ms`] or [`Moment::suspended_ms`] are too far apart to be the same.
pub const fn is_step(one: UnixMillis, other: UnixMillis) -> bool {
    one.abs_diff(other) > STEP_MS.unsigned_abs()
}

/// A source of time.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> UnixMillis;

    /// Now, by all clocks. A clock of a test that knows one time only has the same for all.
    fn moment(&self) -> Moment {
        let now = self.now_ms();
        Moment { wall_ms: now, boot_ms: now, awake_ms: now }
    }
}

/// The system's clock, and in tests what [`env::STOPGATE_CLOCK`] adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMillis {
        let MadeUp { passed, set, suspended } = MadeUp::read();
        to_millis(SystemTime::now()).saturating_add(passed).saturating_add(set).saturating_add(suspended)
    }

    fn moment(&self) -> Moment {
        let MadeUp { passed, suspended, .. } = MadeUp::read();
        Moment {
            wall_ms: self.now_ms(),
            boot_ms: since_boot_ms(ClockId::Boottime).saturating_add(passed).saturating_add(suspended),
            awake_ms: since_boot_ms(ClockId::Monotonic).saturating_add(passed),
        }
    }
}

/// What a test adds to the clocks of all processes at once, in milliseconds: up to three numbers.
#[derive(Debug, Clone, Copy, Default)]
struct MadeUp {
    /// Time that has gone by.
    passed: i64,
    /// By how much the time of day was set.
    set: i64,
    /// Time that has gone by while the machine was suspended.
    suspended: i64,
}

impl MadeUp {
    fn read() -> Self {
        let Some(path) = env::made_up(env::STOPGATE_CLOCK) else { return Self::default() };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { passed: next(), set: next(), suspended: next() }
    }
}

/// `time` as milliseconds since the Unix epoch; times before it become negative.
pub fn to_millis(time: SystemTime) -> UnixMillis {
    let clamp = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => clamp(after.as_millis()),
        Err(before) => -clamp(before.duration().as_millis()),
    }
}

/// A time of day in the one spelling that the harnesses' transcripts have, `2026-11-21T15:19:48.423Z`, with or without a
/// fraction; `None` for any other.
pub fn parse_utc(text: &str) -> Option<UnixMillis> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let number = |from: usize, to: usize, low: i64, high: i64| {
        let digits = whole.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<i64>().ok().filter(|number| (low..=high).contains(number))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| whole.as_bytes().get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4, 1970, 9999)?, number(5, 7, 1, 12)?, number(8, 10, 1, 31)?);
    let seconds = (number(11, 13, 0, 23)? * 60 + number(14, 16, 0, 59)?) * 60 + number(17, 19, 0, 60)?;
    let millis = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{digits:0<3}")[..3].parse().ok()?
        }
        _ => return None,
    };
    // Days since 1970, with March as a year's first month so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some((days * 86_400 + seconds) * 1_000 + millis)
}

/// Milliseconds of the kernel's monotonic clock: the same for all processes of a boot, whatever happens to the time
/// of day. For deadlines that one process sets and another keeps.
pub fn monotonic_ms() -> u64 {
    since_boot_ms(ClockId::Monotonic).unsigned_abs()
}

fn since_boot_ms(clock: ClockId) -> i64 {
    let now = rustix::time::clock_gettime(clock);
    now.tv_sec.max(0).saturating_mul(1_000).saturating_add(now.tv_nsec.max(0) / 1_000_000)
}

/// A clock that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub UnixMillis);

impl Clock for FixedClock {
    fn now_ms(&self) -> UnixMillis {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_set_moves_the_boot_and_time_that_passes_does_not() {
        let before = SystemClock.moment();
        assert!(before.boot_ms >= before.awake_ms - STEP_MS && before.awake_ms > 0, "{before:?}");
        assert!(!is_step(before.booted_at_ms(), SystemClock.moment().booted_at_ms()));
        let passed = Moment { wall_ms: 90_000, boot_ms: 60_000, awake_ms: 50_000 };
        assert_eq!((passed.booted_at_ms(), passed.suspended_ms()), (30_000, 10_000));
        assert!(is_step(30_000, 32_001) && is_step(32_001, 30_000) && !is_step(30_000, 32_000));
    }

    #[test]
    fn times_of_transcripts_are_read_and_nothing_else() {
        let at = |text| parse_utc(text);
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(at("2026-11-21T15:19:48.423Z"), Some(1_795_274_388_423));
        assert_eq!(at("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500));
        assert_eq!(at("2024-03-01T00:00:00.123456Z"), Some(1_709_251_200_123));
        for other in
            ["", "Z", "2026-11-21", "2026-11-21 15:19:48Z", "2026-13-21T15:19:48Z", "2026-11-21T15:19:48+01:00"]
        {
            assert_eq!(at(other), None, "{other}");
        }
        for other in ["2026-11-21T15:19:48.Z", "é026-11-21T15:19:48Z", "2026-11-21T15:1é:48Z", "+026-11-21T15:19:48Z"]
        {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
