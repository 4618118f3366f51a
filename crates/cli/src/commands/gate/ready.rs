//! `stopgate gate ready`: the conditions for enforcing, and which of them hold.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use stopgate_config::{Config, LastGood, PromotionConfig};
use stopgate_core::clock::{DAY_MS, UnixMillis, days};
use stopgate_core::switch::Mode;
use stopgate_gate::RuleId;
use stopgate_gate::report::{self, GateReport, Grades, Tally};
use stopgate_gate::rules::RuleModes;
use stopgate_store::rule_switches;

use crate::commands::mode;
use crate::context::CliContext;
use crate::{ExitStatus, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only the conditions of one rule (U3, or its whole id); the exit code is about that
    #[arg(long, value_name = "RULE", value_parser = mode::rule_of)]
    rule: Option<RuleId>,
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

/// What is known of one rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReadyRule {
    rule: RuleId,
    /// What it may do at most.
    mode: Mode,
    would_block: u64,
    /// Would-blocks that are graded right or wrong.
    graded: u64,
    /// Share of the right ones in percent, rounded down; `null` where nothing is graded.
    precision_percent: Value,
    ready: bool,
    conditions: Vec<ReadyCondition>,
    /// Set if its grades take it to shadow as soon as the mode is enforce.
    goes_to_shadow: Option<String>,
}

/// The conditions of one rule: those of the gate that its own verdicts can meet, and that let-go stops were looked at.
fn of_rule(rule: RuleId, report: &GateReport, promotion: &PromotionConfig, modes: &RuleModes) -> ReadyRule {
    let group = report.by_rule.iter().find(|group| group.name == rule.id());
    let (would_block, grades) = group.map_or((0, Grades::default()), |group| (group.would_block, group.grades));
    let own = GateReport { graded_would_block: grades, precision: grades.precision(), ..report.clone() };
    let wanted =
        ["min_graded_continue", "min_graded_allow", "min_precision_percent"].map(|key| format!("gate.promotion.{key}"));
    let mut conditions = conditions(&own, promotion, report.until_ms);
    conditions.retain(|condition| wanted.contains(&condition.key));
    for condition in &mut conditions {
        condition.what = match condition.key.as_str() {
            "gate.promotion.min_graded_continue" => "graded would-blocks of the rule",
            "gate.promotion.min_graded_allow" => "graded stops that were let go",
            _ => condition.what,
        };
    }
    ReadyRule {
        rule,
        mode: modes.effective(rule, Mode::Enforce),
        would_block,
        graded: grades.decided(),
        precision_percent: grades.precision().map_or(Value::Null, |found| tenths(found.hits * 1_000, found.of)),
        ready: conditions.iter().all(|condition| condition.holds),
        conditions,
        goes_to_shadow: None,
    }
}

/// What holds at a moment.
pub(crate) struct Readiness {
    pub(crate) conditions: Vec<ReadyCondition>,
    pub(crate) rules: Vec<ReadyRule>,
}

/// What holds at this moment, read from the store itself: no authority has to answer for that.
pub(crate) fn look(context: &CliContext) -> anyhow::Result<Readiness> {
    let Config { promotion, rules, .. } = LastGood::peek(&context.home).config;
    let (report, grades) = if context.home.database().exists() {
        let store = context.open_store()?;
        (store.report(0, context.now_ms)?, store.rule_grades()?)
    } else {
        (Tally::default().report(0, context.now_ms), Vec::new())
    };
    let switches = rule_switches::read(&context.home);
    let modes = RuleModes::of(&rules, &rules, &switches);
    let mut shown: Vec<_> = RuleId::holding().map(|rule| of_rule(rule, &report, &promotion, &modes)).collect();
    for (rule, grades) in report::to_demote(&grades, &switches, &rules, &promotion) {
        for one in shown.iter_mut().filter(|one| one.rule == rule) {
            one.goes_to_shadow = Some(report::why(grades, &promotion));
        }
    }
    Ok(Readiness { conditions: conditions(&report, &promotion, context.now_ms), rules: shown })
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let configured = LastGood::peek(&context.home);
    if let Some(faults) = &configured.faults {
        printer::note(format!("{faults}\nthe last configuration without a fault stays in force"));
    }
    if let Some(problem) = unreachable(&configured.config) {
        printer::note(problem);
    }
    let Readiness { mut conditions, mut rules } = look(context)?;
    if let Some(rule) = arguments.rule {
        rules.retain(|one| one.rule == rule);
        conditions = rules.iter().flat_map(|one| one.conditions.clone()).collect();
    }
    let ready = conditions.iter().all(|condition| condition.holds);
    if arguments.json {
        printer::json(&json!({ "ready": ready, "conditions": conditions, "rules": rules }))?;
    } else {
        let head = ["HOLDS", "CONDITION", "VALUE", "NEEDED"].map(str::to_owned).to_vec();
        let row = |condition: &ReadyCondition| {
            let holds = if condition.holds { "yes" } else { "no" };
            vec![holds.to_owned(), condition.what.to_owned(), condition.shown(), condition.needed()]
        };
        let rows: Vec<_> = std::iter::once(head).chain(conditions.iter().map(row)).collect();
        printer::columns(&rows).into_iter().for_each(printer::line);
        printer::line("");
        rule_table(&rules).into_iter().for_each(printer::line);
        let command = arguments.rule.map_or_else(
            || "stopgate mode enforce".to_owned(),
            |rule| format!("stopgate mode enforce --rule {}", rule.short()),
        );
        printer::line("");
        printer::line(if ready { format!("ready: `{command}`") } else { summary(&conditions) });
    }
    Ok(if ready { ExitStatus::Success } else { ExitStatus::Failure })
}

/// A line for each rule.
fn rule_table(rules: &[ReadyRule]) -> Vec<String> {
    let head = ["RULE", "MAY", "WOULD BLOCK", "GRADED", "RIGHT", "READY"].map(str::to_owned).to_vec();
    let row = |one: &ReadyRule| {
        let missing = one.conditions.iter().find(|condition| !condition.holds);
        let ready = match (missing, &one.goes_to_shadow) {
            (_, Some(_)) => "no: goes to shadow by its grades".to_owned(),
            (Some(condition), None) => format!("no: {}, {}", condition.what, condition.needed()),
            (None, None) => "yes".to_owned(),
        };
        let right = match &one.precision_percent {
            Value::Null => "-".to_owned(),
            percent => format!("{percent} %"),
        };
        let numbers = [one.would_block, one.graded].map(|number| number.to_string());
        let [would_block, graded] = numbers;
        vec![one.rule.short().to_owned(), one.mode.name().to_owned(), would_block, graded, right, ready]
    };
    printer::columns(&std::iter::once(head).chain(rules.iter().map(row)).collect::<Vec<_>>())
}

fn summary(conditions: &[ReadyCondition]) -> String {
    let missing = conditions.iter().filter(|condition| !condition.holds).count();
    let verb = if missing == 1 { "does" } else { "do" };
    format!("not ready: {missing} of {} conditions {verb} not hold ([gate.promotion] in config.toml)", conditions.len())
}

/// What somebody who is about to enforce should know, as lines.
pub(crate) fn delta(context: &CliContext) -> Vec<String> {
    let Readiness { conditions, rules } = match look(context) {
        Ok(found) => found,
        Err(error) => return vec![format!("whether the gate is ready to enforce cannot be told: {error:#}")],
    };
    let goes =
        |one: &ReadyRule| Some(format!("{} goes to shadow then: {}", one.rule.short(), one.goes_to_shadow.as_ref()?));
    let demoted = rules.iter().filter_map(goes);
    if conditions.iter().all(|condition| condition.holds) {
        let all = format!("ready to enforce: all {} conditions hold", conditions.len());
        return std::iter::once(all).chain(demoted).collect();
    }
    let rows: Vec<_> = conditions
        .iter()
        .filter(|condition| !condition.holds)
        .map(|condition| {
            vec![format!("  {}", condition.what), condition.shown(), format!("needed: {}", condition.needed())]
        })
        .collect();
    std::iter::once(summary(&conditions)).chain(printer::columns(&rows)).chain(demoted).collect()
}

#[cfg(test)]
mod tests {
    use stopgate_gate::report::{Grades, Latency, Proportion, StopGroup, Tally};

    use super::*;

    const NOW: UnixMillis = 100 * DAY_MS;

    /// A report that just meets the defaults.
    fn enough() -> GateReport {
        let mut report = Tally::default().report(0, NOW);
        report.verdicts = 50;
        report.sessions.count = 3;
        report.by_signal = ["a", "b", "c"]
            .map(|name| StopGroup {
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
    fn a_rule_is_ready_by_its_own_grades_and_the_stops_that_were_let_go() {
        let graded = |right, wrong| {
            let grades = Grades { right, wrong, unclear: 3 };
            let name = RuleId::RecentCommit.id().to_owned();
            StopGroup { name, stops: 20, would_block: 15, grades, precision: grades.precision() }
        };
        let look = |group: Option<StopGroup>, let_go| {
            let mut report = enough();
            report.by_rule = group.into_iter().collect();
            report.graded_let_go.right = let_go;
            of_rule(RuleId::RecentCommit, &report, &PromotionConfig::default(), &RuleModes::default())
        };
        let missing = |one: &ReadyRule| -> Vec<String> {
            let all = one.conditions.iter().filter(|condition| !condition.holds);
            all.map(|condition| condition.key.trim_start_matches("gate.promotion.").to_owned()).collect()
        };
        let ready = look(Some(graded(9, 1)), 5);
        assert!(ready.ready && ready.precision_percent == json!(90.0) && ready.would_block == 15, "{ready:?}");
        assert_eq!(missing(&look(Some(graded(9, 2)), 5)), ["min_precision_percent"]);
        assert_eq!(missing(&look(Some(graded(4, 0)), 5)), ["min_graded_continue"]);
        assert_eq!(missing(&look(Some(graded(9, 1)), 4)), ["min_graded_allow"]);
        assert_eq!(missing(&look(None, 5)), ["min_graded_continue", "min_precision_percent"]);
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
