//! What was measured, for people and for programs.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::anatomy::{self, Anatomy};
use crate::binaries::{Binaries, Program};
use crate::leases::Leases;
use crate::load::{Idle, Load, LongStops};
use crate::machine::Machine;
use crate::page;
use crate::peers::Language;
use crate::promise::{NO_OP, Promise};
use crate::situations::Situation;
use crate::sizes::Size;
use crate::stats::{Summary, millis};
use crate::table::{table, word};
use crate::words::Words;

/// One situation's line.
#[derive(Debug, Clone)]
struct Row {
    name: &'static str,
    is_peer: bool,
    summary: Summary,
    ratio: f64,
    promise: Promise,
    kept: Option<bool>,
}

/// The rows of all situations.
#[derive(Debug, Clone)]
pub(crate) struct HookRows(Vec<Row>);

impl HookRows {
    /// Puts what was measured together; `measured` belongs to `situations`, in their order.
    pub(crate) fn new(situations: &[Situation], measured: &[Summary]) -> anyhow::Result<Self> {
        let median_of = |name: &str| {
            let mut all = situations.iter().zip(measured);
            all.find_map(|(situation, summary)| (situation.name == name).then_some(summary.median))
        };
        let no_op = median_of(NO_OP).context("the no-op was not measured")?;
        let rows = situations.iter().zip(measured).map(|(situation, summary)| Row {
            name: situation.name,
            is_peer: matches!(situation.program, Program::Peer(_)),
            summary: *summary,
            ratio: summary.median.div_duration_f64(no_op),
            promise: situation.promise,
            kept: situation.promise.kept(summary, median_of),
        });
        Ok(Self(rows.collect()))
    }

    /// The table of those that are peers, or of those that are not.
    fn table(&self, are_peers: bool) -> String {
        self.table_of(|row| row.is_peer == are_peers)
    }

    /// What coordination costs.
    fn of_coordination(&self) -> String {
        self.table_of(|row| {
            row.name == NO_OP || row.name.starts_with("write-fence") || row.name.contains("coordination")
        })
    }

    fn table_of(&self, is_shown: impl Fn(&Row) -> bool) -> String {
        let head = ["situation", "n", "median", "p95", "p99", "min", "x no-op", "promise", ""];
        let rows = self.0.iter().filter(|row| is_shown(row)).map(Row::cells);
        table(&std::iter::once(head.map(str::to_owned)).chain(rows).collect::<Vec<_>>())
    }
}

/// What was measured of the authority; nothing where only some hooks were asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuthorityRows {
    /// What it costs to read words.
    pub(crate) words: Vec<Words>,
    /// Stops with a long message.
    pub(crate) long: Option<LongStops>,
    /// Stops by the clock.
    pub(crate) loads: Vec<Load>,
    /// Nobody asks.
    pub(crate) idle: Option<Idle>,
    /// What leases cost.
    pub(crate) leases: Option<Leases>,
}

impl AuthorityRows {
    fn words(&self) -> String {
        let rows = std::iter::once(Words::HEADS.map(str::to_owned)).chain(self.words.iter().map(Words::cells));
        table(&rows.collect::<Vec<_>>())
    }

    fn loads(&self) -> String {
        let rows = std::iter::once(Load::HEADS.map(str::to_owned)).chain(self.loads.iter().map(Load::cells));
        table(&rows.collect::<Vec<_>>())
    }

    fn long(&self) -> String {
        self.long.as_ref().map(LongStops::text).unwrap_or_default()
    }

    fn idle(&self) -> String {
        self.idle.as_ref().map(Idle::text).unwrap_or_default()
    }

    fn leases(&self) -> String {
        self.leases.as_ref().map(Leases::text).unwrap_or_default()
    }
}

/// The whole report.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    hooks: HookRows,
    authority: AuthorityRows,
    anatomy: Vec<Anatomy>,
    sizes: Vec<Size>,
    machine: Machine,
}

impl Report {
    /// Puts everything together.
    pub(crate) fn new(
        hooks: HookRows,
        authority: AuthorityRows,
        anatomy: Vec<Anatomy>,
        binaries: &Binaries,
    ) -> anyhow::Result<Self> {
        Ok(Self { hooks, authority, anatomy, sizes: Size::of_all(binaries)?, machine: Machine::read() })
    }

    fn sizes(&self) -> String {
        let head = ["binary", "KiB", "linked", "promise", ""];
        table(&std::iter::once(head.map(str::to_owned)).chain(self.sizes.iter().map(Size::cells)).collect::<Vec<_>>())
    }

    /// For people, on a terminal.
    pub(crate) fn text(&self) -> String {
        format!(
            "times in ms, from before the spawn to after the exit; promises: docs/architecture.md\n{}\n{}\n{}\n{}\n{}{}{}\n{}\n{}\n{}",
            self.hooks.table(false),
            self.hooks.table(true),
            self.sizes(),
            self.authority.words(),
            self.authority.loads(),
            self.authority.long(),
            self.authority.idle(),
            self.authority.leases(),
            anatomy::text(&self.anatomy),
            self.machine.text()
        )
    }

    /// Where the numbers are from.
    fn measured_on(&self) -> String {
        format!("Measured on {}.", self.machine.text().trim_start_matches("machine: "))
    }

    /// For people, as the section of the page on coordination.
    pub(crate) fn numbers(&self) -> String {
        page::fill_numbers(&[
            ("machine", &self.measured_on()),
            ("hooks", &self.hooks.of_coordination()),
            ("leases", &self.authority.leases()),
        ])
    }

    /// For people, as a page.
    pub(crate) fn page(&self) -> String {
        let missing: String = Language::ALL
            .iter()
            .filter_map(|language| {
                Some(format!("\n{} was not measured: no {}.\n", language.peer(), language.missing()?))
            })
            .collect();
        page::fill(&[
            ("machine", &self.measured_on()),
            ("hooks", &self.hooks.table(false)),
            ("peers", &self.hooks.table(true)),
            ("peer_directory", "`benches/peers/`"),
            ("missing", &missing),
            ("sizes", &self.sizes()),
            ("words", &self.authority.words()),
            ("loads", &self.authority.loads()),
            ("long", &self.authority.long()),
            ("idle", &self.authority.idle()),
            ("leases", &self.authority.leases()),
            ("anatomy", &anatomy::text(&self.anatomy)),
        ])
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let report = json!({
            "situations": self.hooks.0.iter().map(Row::json).collect::<Vec<_>>(),
            "binaries": self.sizes.iter().map(Size::json).collect::<Vec<_>>(),
            "words": self.authority.words.iter().map(Words::json).collect::<Vec<_>>(),
            "loads": self.authority.loads.iter().map(Load::json).collect::<Vec<_>>(),
            "long": self.authority.long.as_ref().map(LongStops::json),
            "idle": self.authority.idle.as_ref().map(Idle::json),
            "leases": self.authority.leases.as_ref().map(Leases::json),
            "anatomy": self.anatomy.iter().map(Anatomy::json).collect::<Vec<_>>(),
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
            is_peer: false,
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
        let report = Report {
            hooks: HookRows(vec![row(Some(true)), Row { name: "y", is_peer: true, ..row(None) }]),
            authority: AuthorityRows::default(),
            anatomy: Vec::new(),
            sizes: Vec::new(),
            machine: Machine::read(),
        };
        let text = report.text();
        assert!(text.contains("x no-op") && text.contains("linked") && text.contains("machine: "));
        let (own, others) = (report.hooks.table(false), report.hooks.table(true));
        assert!(own.contains("\nx ") && !own.contains("\ny ") && others.contains("\ny "), "{own}{others}");
        assert!(report.page().contains(&own));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["situations"][0]["kept"], true);
    }
}
