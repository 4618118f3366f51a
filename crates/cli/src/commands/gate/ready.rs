//! `stopgate gate ready`: the conditions for enforcing, and which of them hold.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use stopgate_config::{Config, LastGood, PromotionConfig};
use stopgate_core::clock::{DAY_MS, UnixMillis, days};
use stopgate_gate::report::GateReport;

use crate::context::CliContext;
use crate::{ExitStatus, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which way a threshold is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtLeast,
    AtMost,
}

/// One condition, its value now, and whether it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReadyCondition {
    /// The key of `config.toml` that sets the threshold.
    key: String,
    what: &'static str,
    /// `null` when there is nothing to tell it from; it does not hold then.
    value: Value,
    bound: Bound,
    threshold: u32,
    unit: &'static str,
    pub(crate) holds: bool,
}

impl ReadyCondition {
    fn shown(&self) -> String {
        match &self.value {
            Value::Null => "unknown".to_owned(),
            value => format!("{value}{}", self.unit),
        }
    }

    fn needed(&self) -> String {
        let bound = match self.bound {
            Bound::AtLeast => "at least",
            Bound::AtMost => "at most",
        };
        format!("{bound} {}{}", self.threshold, self.unit)
    }
}

/// Every condition of `promotion`, in the order of the configuration.
fn conditions(report: &GateReport, promotion: &PromotionConfig, now: UnixMillis) -> Vec<ReadyCondition> {
    let new = |name: &str, what, value: Value, bound, threshold, unit, holds| {
        let key = format!("gate.promotion.{name}");
        ReadyCondition { key, what, value, bound, threshold, unit, holds }
    };
    let least = |name, what, value: u64, threshold: u32| {
        new(name, what, json!(value), Bound::AtLeast, threshold, "", value >= u64::from(threshold))
    };
    let held = &report.graded_would_block;
    let let_go = &report.graded_let_go;
    let shadow_ms = report.first_at_ms.map_or(0, |first| now.saturating_sub(first).max(0));
    let precise =
        report.precision.is_some_and(|found| found.hits * 100 >= u64::from(promotion.min_precision_percent) * found.of);
    vec![
        least("min_evaluations", "verdicts", report.verdicts, promotion.min_evaluations),
        least("min_sessions", "sessions they come from", report.sessions.count, promotion.min_sessions),
        least("min_signals", "different signals heard", report.by_signal.len() as u64, promotion.min_signals),
        new(
            "min_shadow_days",
            "days since the first verdict",
            tenths(shadow_ms.cast_unsigned() * 10, DAY_MS.cast_unsigned()),
            Bound::AtLeast,
            promotion.min_shadow_days,
            "",
            shadow_ms >= days(promotion.min_shadow_days),
        ),
        least("clean_last", "last stops without a failure", report.clean_streak, promotion.clean_last),
        least("min_graded", "graded right or wrong", held.decided() + let_go.decided(), promotion.min_graded),
        least("min_graded_continue", "of them would-blocks", held.decided(), promotion.min_graded_continue),
        least("min_graded_allow", "of them let go", let_go.decided(), promotion.min_graded_allow),
        new(
            "min_precision_percent",
            "graded would-blocks that were right",
            report.precision.map_or(Value::Null, |found| tenths(found.hits * 1_000, found.of)),
            Bound::AtLeast,
            promotion.min_precision_percent,
            " %",
            precise || promotion.min_precision_percent == 0,
        ),
        new(
            "max_p99_ms",
            "slowest of a hundred verdicts (p99)",
            report.latency.map_or(Value::Null, |latency| json!(latency.p99_ms)),
            Bound::AtMost,
            promotion.max_p99_ms,
            " ms",
            report.latency.is_some_and(|latency| latency.p99_ms <= u64::from(promotion.max_p99_ms)),
        ),
    ]
}

/// What can never hold, because verdicts are taken out before it could.
fn unreachable(config: &Config) -> Option<String> {
    let (kept, needed) = (config.gate.retention_days, config.promotion.min_shadow_days);
    (needed > 0 && kept <= needed).then(|| {
        format!(
            "note: gate.retention_days is {kept}, so the first verdict is never gate.promotion.min_shadow_days \
             ({needed}) old: keep verdicts longer, or ask for fewer days"
        )
    })
}

/// `value / 10 of` to one digit, rounded down: 13.96 days are not 14.
#[expect(clippy::cast_precision_loss, reason = "days and percents")]
fn tenths(value: u64, of: u64) -> Value {
    json!((value / of.max(1)) as f64 / 10.0)
}

/// What holds at this moment, read from the store itself: no authority has to answer for that.
pub(crate) fn look(context: &CliContext) -> anyhow::Result<Vec<ReadyCondition>> {
    let Config { promotion, .. } = LastGood::peek(&context.home).config;
    let report = if context.home.database().exists() {
        context.open_store()?.report(0, context.now_ms)?
    } else {
        stopgate_gate::report::Tally::default().report(0, context.now_ms)
    };
    Ok(conditions(&report, &promotion, context.now_ms))
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let configured = LastGood::peek(&context.home);
    if let Some(faults) = &configured.faults {
        printer::note(format!("{faults}\nthe last configuration without a fault stays in force"));
    }
    if let Some(problem) = unreachable(&configured.config) {
        printer::note(problem);
    }
    let conditions = look(context)?;
    let ready = conditions.iter().all(|condition| condition.holds);
    if arguments.json {
        printer::json(&json!({ "ready": ready, "conditions": conditions }))?;
    } else {
        let head = ["HOLDS", "CONDITION", "VALUE", "NEEDED"].map(str::to_owned).to_vec();
        let row = |condition: &ReadyCondition| {
            let holds = if condition.holds { "yes" } else { "no" };
            vec![holds.to_owned(), condition.what.to_owned(), condition.shown(), condition.needed()]
        };
        let rows: Vec<_> = std::iter::once(head).chain(conditions.iter().map(row)).collect();
        for line in printer::columns(&rows) {
            printer::line(line);
        }
        printer::line("");
        printer::line(if ready { "ready: `stopgate mode enforce`".to_owned() } else { summary(&conditions) });
    }
    Ok(if ready { ExitStatus::Success } else { ExitStatus::Failure })
}

fn summary(conditions: &[ReadyCondition]) -> String {
    let missing = conditions.iter().filter(|condition| !condition.holds).count();
    let verb = if missing == 1 { "does" } else { "do" };
    format!("not ready: {missing} of {} conditions {verb} not hold ([gate.promotion] in config.toml)", conditions.len())
}

/// What somebody who is about to enforce should know, as lines.
pub(crate) fn delta(context: &CliContext) -> Vec<String> {
    let conditions = match look(context) {
        Ok(conditions) => conditions,
        Err(error) => return vec![format!("whether the gate is ready to enforce cannot be told: {error:#}")],
    };
    if conditions.iter().all(|condition| condition.holds) {
        return vec![format!("ready to enforce: all {} conditions hold", conditions.len())];
    }
    let rows: Vec<_> = conditions
        .iter()
        .filter(|condition| !condition.holds)
        .map(|condition| {
            vec![format!("  {}", condition.what), condition.shown(), format!("needed: {}", condition.needed())]
        })
        .collect();
    std::iter::once(summary(&conditions)).chain(printer::columns(&rows)).collect()
}

#[cfg(test)]
mod tests {
    use stopgate_gate::report::{Grades, Latency, Proportion, Tally};

    use super::*;

    const NOW: UnixMillis = 100 * DAY_MS;

    /// A report that just meets the defaults.
    fn enough() -> GateReport {
        let mut report = Tally::default().report(0, NOW);
        report.verdicts = 50;
        report.sessions.count = 3;
        report.by_signal = ["a", "b", "c"]
            .map(|name| stopgate_gate::report::StopGroup {
                name: name.into(),
                stops: 1,
                would_block: 0,
                grades: Grades::default(),
                precision: None,
            })
            .to_vec();
        report.first_at_ms = Some(NOW - 14 * DAY_MS);
        report.clean_streak = 50;
        report.graded_would_block = Grades { right: 9, wrong: 1, unclear: 4 };
        report.precision = Proportion::of(9, 10);
        report.graded_let_go = Grades { right: 10, wrong: 0, unclear: 0 };
        report.latency = Latency::of(vec![1_800]);
        report
    }

    fn missing(report: &GateReport) -> Vec<String> {
        let found = conditions(report, &PromotionConfig::default(), NOW);
        found.into_iter().filter(|condition| !condition.holds).map(|condition| condition.key).collect()
    }

    #[test]
    fn what_just_suffices_is_ready() {
        assert_eq!(missing(&enough()), [""; 0]);
    }

    #[test]
    fn each_condition_alone_keeps_it_from_being_ready() {
        type Spoil = fn(&mut GateReport);
        let cases: [(&str, Spoil); 10] = [
            ("min_evaluations", |report| report.verdicts = 49),
            ("min_sessions", |report| report.sessions.count = 2),
            ("min_signals", |report| report.by_signal.truncate(2)),
            ("min_shadow_days", |report| report.first_at_ms = Some(NOW - 14 * DAY_MS + 1)),
            ("clean_last", |report| report.clean_streak = 49),
            ("min_graded", |report| report.graded_let_go.right = 9),
            ("min_graded_continue", |report| {
                report.graded_would_block = Grades { right: 4, wrong: 0, unclear: 9 };
                report.graded_let_go.right = 16;
            }),
            ("min_graded_allow", |report| {
                report.graded_let_go = Grades { right: 4, wrong: 0, unclear: 9 };
                report.graded_would_block.right = 19;
            }),
            ("min_precision_percent", |report| report.precision = Proportion::of(89, 100)),
            ("max_p99_ms", |report| report.latency = Latency::of(vec![1_801])),
        ];
        for (name, spoil) in cases {
            let mut report = enough();
            spoil(&mut report);
            assert_eq!(missing(&report), [format!("gate.promotion.{name}")]);
        }
    }

    #[test]
    fn nothing_seen_is_unknown_and_not_ready() {
        let nothing = conditions(&Tally::default().report(0, NOW), &PromotionConfig::default(), NOW);
        assert!(nothing.iter().all(|condition| !condition.holds), "{nothing:?}");
        let unknown = nothing.iter().filter(|condition| condition.shown() == "unknown").count();
        assert_eq!(unknown, 2, "precision and latency");
    }

    #[test]
    fn days_that_are_never_kept_are_said() {
        let mut config = Config::default();
        assert_eq!(unreachable(&config), None);
        config.gate.retention_days = 14;
        assert!(unreachable(&config).is_some_and(|said| said.contains("min_shadow_days (14)")));
        config.promotion.min_shadow_days = 0;
        assert_eq!(unreachable(&config), None);
    }

    #[test]
    fn values_are_rounded_down_so_that_they_never_look_enough() {
        let mut report = enough();
        report.first_at_ms = Some(NOW - 14 * DAY_MS + 1);
        report.precision = Proportion::of(8_999, 10_000);
        let shown: Vec<_> =
            conditions(&report, &PromotionConfig::default(), NOW).iter().map(ReadyCondition::shown).collect();
        assert!(shown.contains(&"13.9".to_owned()) && shown.contains(&"89.9 %".to_owned()), "{shown:?}");
    }
}
