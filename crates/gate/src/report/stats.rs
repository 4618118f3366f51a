//! Two small statistics.

use serde::{Deserialize, Serialize};

/// The 97.5 % quantile of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share of a number of cases, with its 95 % confidence interval after Wilson (1927), which stays honest for few
/// cases and for shares near 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// Cases that are so.
    pub hits: u64,
    /// All cases.
    pub of: u64,
    /// `hits / of`, 0 to 1.
    pub share: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Proportion {
    /// `hits` of `of`; `None` where there are no cases.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows, far below 2^52")]
    pub fn of(hits: u64, of: u64) -> Option<Self> {
        if of == 0 || hits > of {
            return None;
        }
        let (n, share) = (of as f64, hits as f64 / of as f64);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let (middle, scale) = (share + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
        // At the ends the exact value is 0 or 1, which floating point misses by a hair.
        let low = if hits == 0 { 0.0 } else { (middle - spread) / scale };
        let high = if hits == of { 1.0 } else { (middle + spread) / scale };
        Some(Self { hits, of, share, low, high })
    }

    /// The share in percent with one digit, rounded down: what is shown never looks like more than it is.
    pub fn percent(&self) -> String {
        let tenths = u128::from(self.hits) * 1_000 / u128::from(self.of.max(1));
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

/// How long verdicts took, in milliseconds: each value was really taken by a verdict (nearest rank).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half were this fast.
    pub p50_ms: u64,
    /// 95 of a hundred were this fast.
    pub p95_ms: u64,
    /// 99 of a hundred were this fast.
    pub p99_ms: u64,
    /// The slowest.
    pub max_ms: u64,
}

impl Latency {
    /// Of `samples`, in any order; `None` where there are none.
    pub fn of(mut samples: Vec<u64>) -> Option<Self> {
        samples.sort_unstable();
        let rank = |percent: usize| samples.get((samples.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { p50_ms: rank(50)?, p95_ms: rank(95)?, p99_ms: rank(99)?, max_ms: rank(100)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the interval as published: Newcombe (1998), table I, method 3.
    #[test]
    fn intervals_are_those_of_the_literature() {
        for (hits, of, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = Proportion::of(hits, of).unwrap();
            assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{found:?}");
        }
        assert_eq!(Proportion::of(7, 7).unwrap().high.to_bits(), 1.0_f64.to_bits());
        assert_eq!((Proportion::of(0, 0), Proportion::of(2, 1)), (None, None));
        let shown =
            [(8_999, 10_000), (2, 3), (7, 7), (0, 4)].map(|(hits, of)| Proportion::of(hits, of).unwrap().percent());
        assert_eq!(shown, ["89.9 %", "66.6 %", "100.0 %", "0.0 %"]);
    }

    #[test]
    fn percentiles_are_values_that_were_taken() {
        let found = Latency::of((1..=200).rev().collect()).unwrap();
        assert_eq!((found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms), (100, 190, 198, 200));
        let one = Latency::of(vec![7]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (7, 7));
        assert_eq!(Latency::of(vec![]), None);
    }
}
