//! What was measured, for people and for programs.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::machine::Machine;
use crate::situations::{NO_OP, Promise, Situation};
use crate::sizes::Size;
use crate::stats::{Summary, millis};
use crate::table::{table, word};

/// One situation's line.
#[derive(Debug, Clone)]
struct Row {
    name: &'static str,
    summary: Summary,
    ratio: f64,
    promise: Promise,
}

/// The whole report.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    rows: Vec<Row>,
    sizes: Vec<Size>,
    machine: Machine,
}

impl Report {
    /// Puts what was measured together; `measured` belongs to `situations`, in their order.
    pub(crate) fn new(situations: &[Situation], measured: &[Summary], binaries: &Binaries) -> anyhow::Result<Self> {
        let no_op = situations
            .iter()
            .zip(measured)
            .find_map(|(situation, summary)| (situation.name == NO_OP).then_some(summary.median))
            .context("the no-op was not measured")?;
        let rows = situations.iter().zip(measured).map(|(situation, summary)| Row {
            name: situation.name,
            summary: *summary,
            ratio: summary.median.div_duration_f64(no_op),
            promise: situation.promise,
        });
        Ok(Self { rows: rows.collect(), sizes: Size::of_all(binaries)?, machine: Machine::read() })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let head = ["situation", "n", "median", "p95", "p99", "min", "x no-op", "promise", ""];
        let times = std::iter::once(head.map(str::to_owned)).chain(self.rows.iter().map(Row::cells));
        let head = ["binary", "KiB", "linked", "promise", ""];
        let sizes = std::iter::once(head.map(str::to_owned)).chain(self.sizes.iter().map(Size::cells));
        format!(
            "times in ms, from before the spawn to after the exit; promises: DESIGN, budgets\n{}\n{}\n{}",
            table(&times.collect::<Vec<_>>()),
            table(&sizes.collect::<Vec<_>>()),
            self.machine.text()
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let report = json!({
            "situations": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "binaries": self.sizes.iter().map(Size::json).collect::<Vec<_>>(),
            "machine": self.machine.json(),
        });
        format!("{report:#}\n")
    }
}

impl Row {
    /// Whether the promise is kept, if there is one.
    fn kept(&self) -> Option<bool> {
        match self.promise {
            Promise::None => None,
            Promise::Ratio(most) => Some(self.ratio <= most),
            Promise::Deadline(deadline) => Some(self.summary.max <= deadline),
            Promise::About(deadline) => Some(self.summary.max <= about(deadline)),
        }
    }

    fn cells(&self) -> [String; 9] {
        let Summary { count, min, median, p95, p99, .. } = self.summary;
        let time = |time| format!("{:.3}", millis(time));
        [
            self.name.to_owned(),
            count.to_string(),
            time(median),
            time(p95),
            time(p99),
            time(min),
            format!("{:.2}", self.ratio),
            self.promise.text(),
            word(self.kept()).to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let summary = &self.summary;
        json!({
            "situation": self.name,
            "n": summary.count,
            "median_ms": millis(summary.median),
            "p95_ms": millis(summary.p95),
            "p99_ms": millis(summary.p99),
            "min_ms": millis(summary.min),
            "max_ms": millis(summary.max),
            "ratio_to_noop": self.ratio,
            "promise": self.promise.text(),
            "kept": self.kept(),
        })
    }
}

impl Promise {
    fn text(self) -> String {
        match self {
            Self::None => "-".to_owned(),
            Self::Ratio(most) => format!("<= {most:.2} x"),
            Self::Deadline(deadline) => format!("<= {} ms", deadline.as_millis()),
            Self::About(deadline) => {
                format!("<= {} ms + 20 %", deadline.as_millis())
            }
        }
    }
}

/// `deadline` and a fifth of it.
fn about(deadline: Duration) -> Duration {
    deadline + deadline / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(median_us: u64, max_us: u64, promise: Promise) -> Row {
        let time = Duration::from_micros(median_us);
        Row {
            name: "x",
            summary: Summary {
                count: 3,
                min: time,
                median: time,
                p95: time,
                p99: time,
                max: Duration::from_micros(max_us),
            },
            ratio: time.div_duration_f64(Duration::from_millis(1)),
            promise,
        }
    }

    #[test]
    fn a_row_says_whether_its_promise_is_kept() {
        let second = Duration::from_secs(1);
        for (row, expected) in [
            (row(1_100, 0, Promise::Ratio(1.1)), "PASS"),
            (row(1_101, 0, Promise::Ratio(1.1)), "short"),
            (row(1, 1_000_001, Promise::Deadline(second)), "short"),
            (row(1, 1_200_000, Promise::About(second)), "PASS"),
            (row(1, 1_200_001, Promise::About(second)), "short"),
            (row(1, 9_999_999, Promise::None), ""),
        ] {
            assert_eq!(row.cells()[8], expected, "{row:?}");
        }
        assert_eq!(
            row(1_234, 0, Promise::Ratio(1.5)).cells(),
            ["x", "3", "1.234", "1.234", "1.234", "1.234", "1.23", "<= 1.50 x", "PASS"]
        );
    }

    #[test]
    fn the_report_shows_times_sizes_and_machine_in_text_and_json() {
        let report =
            Report { rows: vec![row(1_000, 1_000, Promise::Ratio(1.5))], sizes: Vec::new(), machine: Machine::read() };
        let text = report.text();
        assert!(text.contains("x no-op") && text.contains("linked") && text.contains("machine: "));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["situations"][0]["kept"], true);
    }
}
