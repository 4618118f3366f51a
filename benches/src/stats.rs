//! Order statistics of the times that were measured.

use std::time::Duration;

/// What is reported of a series of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// How many times were measured.
    pub(crate) count: usize,
    /// The shortest.
    pub(crate) min: Duration,
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: Duration,
    /// 95 % are at most this long.
    pub(crate) p95: Duration,
    /// 99 % are at most this long.
    pub(crate) p99: Duration,
    /// The longest.
    pub(crate) max: Duration,
}

impl Summary {
    /// The summary of `times`; `None` when there are none.
    pub(crate) fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        Some(Self {
            count: sorted.len(),
            min: *sorted.first()?,
            median: median(&sorted)?,
            p95: percentile(&sorted, 95)?,
            p99: percentile(&sorted, 99)?,
            max: *sorted.last()?,
        })
    }
}

fn median(sorted: &[Duration]) -> Option<Duration> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some((lower + upper) / 2)
}

/// Nearest rank: the smallest time that at least `percent` % of all are not above.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// `time` in milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let of = |values: &[u64]| Summary::of(&micros(values.iter().copied())).unwrap().median.as_micros();
        assert_eq!(of(&[5]), 5);
        assert_eq!(of(&[9, 1, 5]), 5);
        assert_eq!(of(&[10, 1, 4, 8]), 6);
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let summary = Summary::of(&micros((1..=100).rev())).unwrap();
        assert_eq!([summary.min, summary.p95, summary.p99, summary.max].map(|time| time.as_micros()), [1, 95, 99, 100]);
        let few = Summary::of(&micros([3, 1, 2])).unwrap();
        assert_eq!((few.count, few.p95, few.p99), (3, few.max, few.max));
        let many = Summary::of(&micros(1..=300)).unwrap();
        assert_eq!([many.p95, many.p99].map(|time| time.as_micros()), [285, 297]);
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn milliseconds_keep_their_fraction() {
        assert!((millis(Duration::from_micros(1_234)) - 1.234).abs() < 1e-9);
    }
}
