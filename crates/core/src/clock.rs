//! Wall-clock time behind a trait, in integer milliseconds UTC as the store keeps it.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// A source of wall-clock time.
pub trait Clock: Send + Sync {
    /// Now, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> UnixMillis;
}

/// The system's clock, and in tests what [`env::STOPGATE_CLOCK`] adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> UnixMillis {
        to_millis(SystemTime::now()).saturating_add(made_up_ms())
    }
}

/// What a test adds to the time of day: it can let hours go by for all processes at once.
fn made_up_ms() -> UnixMillis {
    let Some(path) = env::made_up(env::STOPGATE_CLOCK) else { return 0 };
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

#[cfg(test)]
mod tests {
    use super::*;

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
