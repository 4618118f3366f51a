//! What is promised of a situation, and whether that was kept.

use std::time::Duration;

use crate::stats::Summary;

/// The name of the situation that all others are compared with: a program that does nothing.
pub(crate) const NO_OP: &str = "no-op";

/// A promise. The list of them is in `docs/architecture.md`, under "Budgets".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// Nothing.
    None,
    /// Median at most so many times that of the no-op.
    Ratio(f64),
    /// Median at most so many times that of the situation of this name.
    RatioTo(&'static str, f64),
    /// Median at least so many times that of the situation of this name.
    AtLeastTimes(&'static str, f64),
    /// The slowest within this deadline.
    Deadline(Duration),
    /// The slowest within this deadline and a fifth of it: the harness waits for the process's end, too.
    About(Duration),
}

impl Promise {
    /// Whether `summary` keeps it; `None` if nothing is promised, or what to compare with was not measured.
    /// `median_of` knows the medians of all situations by name.
    pub(crate) fn kept(self, summary: &Summary, median_of: impl Fn(&str) -> Option<Duration>) -> Option<bool> {
        let within = |name, most| Some(summary.median.div_duration_f64(median_of(name)?) <= most);
        match self {
            Self::None => None,
            Self::Ratio(most) => within(NO_OP, most),
            Self::RatioTo(name, most) => within(name, most),
            Self::AtLeastTimes(name, least) => Some(summary.median.div_duration_f64(median_of(name)?) >= least),
            Self::Deadline(deadline) => Some(summary.max <= deadline),
            Self::About(deadline) => Some(summary.max <= deadline + deadline / 5),
        }
    }

    /// For people.
    pub(crate) fn text(self) -> String {
        match self {
            Self::None => "-".to_owned(),
            Self::Ratio(most) => format!("<= {most:.2} x"),
            Self::RatioTo(name, most) => format!("<= {most:.2} x {name}"),
            Self::AtLeastTimes(name, least) => format!(">= {least:.0} x {name}"),
            Self::Deadline(deadline) => format!("<= {} ms", deadline.as_millis()),
            Self::About(deadline) => format!("<= {} ms + 20 %", deadline.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(median_us: u64, max_us: u64, promise: Promise) -> Option<bool> {
        let [median, max] = [median_us, max_us].map(Duration::from_micros);
        let summary = Summary { count: 3, min: median, median, p95: median, p99: median, max };
        promise.kept(&summary, |name| match name {
            NO_OP => Some(Duration::from_millis(1)),
            "other" => Some(Duration::from_millis(2)),
            _ => None,
        })
    }

    #[test]
    fn ratios_are_of_the_median_and_deadlines_of_the_slowest() {
        let second = Duration::from_secs(1);
        for (promise, most, too_much) in [
            (Promise::Ratio(1.1), (1_100, 9_999_999), (1_101, 0)),
            (Promise::RatioTo("other", 1.1), (2_200, 9_999_999), (2_201, 0)),
            (Promise::Deadline(second), (1, 1_000_000), (1, 1_000_001)),
            (Promise::About(second), (1, 1_200_000), (1, 1_200_001)),
        ] {
            assert_eq!(kept(most.0, most.1, promise), Some(true), "{promise:?}");
            assert_eq!(kept(too_much.0, too_much.1, promise), Some(false), "{promise:?}");
        }
    }

    #[test]
    fn a_peer_has_to_be_slower_by_so_much() {
        let promise = Promise::AtLeastTimes("other", 100.0);
        assert_eq!(kept(200_000, 0, promise), Some(true));
        assert_eq!(kept(199_999, 0, promise), Some(false));
    }

    #[test]
    fn nothing_is_said_of_no_promise_and_of_what_was_not_measured() {
        assert_eq!(kept(1, 9_999_999, Promise::None), None);
        assert_eq!(kept(1, 1, Promise::RatioTo("not measured", 1.1)), None);
    }

    #[test]
    fn the_text_names_what_is_compared_with() {
        assert_eq!(Promise::Ratio(1.5).text(), "<= 1.50 x");
        assert_eq!(Promise::RatioTo("other", 1.1).text(), "<= 1.10 x other");
    }
}
