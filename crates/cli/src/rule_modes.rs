//! The rules that may do less than the mode: what status, mode and log say of them.

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use stopgate_config::{LastGood, load_for_checkout, project_file};
use stopgate_core::clock::UnixMillis;
use stopgate_core::paths::Home;
use stopgate_core::switch::Mode;
use stopgate_core::text::one_line;
use stopgate_gate::RuleId;
use stopgate_gate::rules::switches::{RuleSwitch, RuleSwitches, SwitchedBy};
use stopgate_gate::rules::{ModeSource, RuleMode, RuleModes};
use stopgate_protocol::{RuleModeState, SessionRow};
use stopgate_store::rule_switches;

use crate::context::CliContext;
use crate::{exclusions, when};

/// Longest reason that is shown, in characters.
const MAX_WHY: usize = 300;

/// A rule that may do less than the mode.
#[derive(Debug, Serialize)]
pub(crate) struct ShownRule {
    /// Which.
    pub(crate) rule: RuleId,
    /// What it may do at most.
    pub(crate) mode: Mode,
    /// Who says so.
    pub(crate) by: ModeSource,
    /// Why; empty where nobody said.
    why: String,
    /// Since when, if it was switched.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl ShownRule {
    /// On one line, with what to do about it.
    pub(crate) fn line(&self) -> String {
        let Self { rule, mode, by, why, since } = self;
        let name = rule.short();
        let since = since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
        let why = if why.is_empty() { String::new() } else { format!(": {}", one_line(why, MAX_WHY)) };
        let remedy = match by {
            ModeSource::Grades | ModeSource::Unreadable => {
                format!("; it stays there until `stopgate mode enforce --rule {name}`")
            }
            ModeSource::Config | ModeSource::Checkout | ModeSource::Operator => String::new(),
        };
        format!("{name} is {}{since}, by {}{why}{remedy}", RuleMode { mode: *mode, by: *by }.place(), by.meaning())
    }
}

/// What the rules may do, without what checkouts say.
pub(crate) fn current(home: &Home) -> RuleModes {
    of(home, &rule_switches::read(home))
}

fn of(home: &Home, switches: &RuleSwitches) -> RuleModes {
    let config = LastGood::peek(home).config.rules;
    RuleModes::of(&config, &config, switches)
}

/// The rules that may do less than the mode, with the reasons.
pub(crate) fn shown(home: &Home) -> Vec<ShownRule> {
    let switches = rule_switches::read(home);
    let show = |(rule, own): (RuleId, RuleMode)| {
        let switch = switches.of(rule).filter(|_| !matches!(own.by, ModeSource::Config | ModeSource::Checkout));
        let since = switch.as_ref().map(|switch| switch.at_ms).filter(|at: &UnixMillis| *at > 0).map(when::rfc3339);
        let why = switch.map(|switch| switch.why).unwrap_or_default();
        ShownRule { rule, mode: own.mode, by: own.by, why, since }
    };
    of(home, &switches).iter().map(show).collect()
}

/// A line for each.
pub(crate) fn lines(home: &Home) -> Vec<String> {
    shown(home).iter().map(ShownRule::line).collect()
}

/// What a checkout's own file takes from rules.
#[derive(Debug, Serialize)]
pub(crate) struct InCheckout {
    /// That file.
    pub(crate) file: PathBuf,
    /// The rules, with what they may do there.
    rules: RuleModes,
}

impl InCheckout {
    /// `U1 in shadow, U2 off`.
    pub(crate) fn described(&self) -> String {
        let each = |(rule, own): (RuleId, RuleMode)| format!("{} {}", rule.short(), own.place());
        self.rules.iter().map(each).collect::<Vec<_>>().join(", ")
    }
}

/// What the checkouts that `sessions` work in take from rules.
pub(crate) fn in_checkouts(context: &CliContext, sessions: &[SessionRow]) -> Vec<InCheckout> {
    let own = LastGood::peek(&context.home).config;
    let look = |checkout: &PathBuf| {
        let config = load_for_checkout(&own, checkout).ok()?;
        let rules = RuleModes::of(&own.rules, &config.rules, &RuleSwitches::default()).said_by(ModeSource::Checkout);
        (!rules.is_empty()).then(|| InCheckout { file: project_file(checkout), rules })
    };
    exclusions::checkouts(sessions).into_iter().filter_map(look).collect()
}

/// Sets what a rule may do, past the authority.
pub(crate) fn set(context: &CliContext, rule: RuleId, mode: Mode) -> io::Result<RuleModeState> {
    let home = &context.home;
    let prior = current(home).effective(rule, Mode::Enforce);
    let known = context.home.database().exists().then(|| context.open_store().ok()).flatten();
    let after_grade = known.and_then(|store| store.last_grade().ok()).unwrap_or_default();
    let mut switches = rule_switches::read(home);
    let switch = RuleSwitch { mode, by: SwitchedBy::Operator, at_ms: context.now_ms, after_grade, why: String::new() };
    switches.set(rule, switch);
    rule_switches::write(home, &switches)?;
    let kept = current(home).of_rule(rule);
    let mode = kept.map_or(Mode::Enforce, |kept| kept.mode);
    Ok(RuleModeState { rule, mode, prior, changed: mode != prior, kept })
}
