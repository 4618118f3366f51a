//! What was measured, for people and for programs.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::machine::Machine;
use crate::promise::Promise;
use crate::situations::{NO_OP, Situation};
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
    kept: Option<bool>,
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
        let median_of = |name: &str| {
            let mut all = situations.iter().zip(measured);
            all.find_map(|(situation, summary)| (situation.name == name).then_some(summary.median))
        };
        let no_op = median_of(NO_OP).context("the no-op was not measured")?;
        let rows = situations.iter().zip(measured).map(|(situation, summary)| Row {
            name: situation.name,
            summary: *summary,
            ratio: summary.median.div_duration_f64(no_op),
            promise: situation.promise,
            kept: situation.promise.kept(summary, median_of),
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
            word(self.kept).to_owned(),
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
            "kept": self.kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn row(kept: Option<bool>) -> Row {
        let time = Duration::from_micros(1_234);
        Row {
            name: "x",
            summary: Summary { count: 3, min: time, median: time, p95: time, p99: time, max: time },
            ratio: 1.234,
            promise: Promise::Ratio(1.5),
            kept,
        }
    }

    #[test]
    fn a_row_says_whether_its_promise_is_kept() {
        for (kept, expected) in [(Some(true), "PASS"), (Some(false), "short"), (None, "")] {
            assert_eq!(
                row(kept).cells(),
                ["x", "3", "1.234", "1.234", "1.234", "1.234", "1.23", "<= 1.50 x", expected]
            );
        }
    }

    #[test]
    fn the_report_shows_times_sizes_and_machine_in_text_and_json() {
        let report = Report { rows: vec![row(Some(true))], sizes: Vec::new(), machine: Machine::read() };
        let text = report.text();
        assert!(text.contains("x no-op") && text.contains("linked") && text.contains("machine: "));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["situations"][0]["kept"], true);
    }
}
