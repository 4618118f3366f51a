//! The rules: what was asked for, what is on record and what the message says together mean ([`weigh`]).

mod modes;
mod not_updated;
pub mod switches;
mod table;
#[cfg(test)]
mod tests;
mod weigh;
mod weighing;

use super::evidence::EvidencePointer;
use super::facts::{Facts, Plan};
use super::signals::{Signal, Signals};
use stopgate_core::decision::Decision;

pub use modes::{ModeSource, RuleMode, RuleModes};
pub use not_updated::{may_be_not_updated, plan_not_updated};
pub use table::{Basis, RuleId};
pub use weigh::{Grounds, KnownStop, Weighed, before_facts, is_asked_for, weigh};
pub use weighing::{GROUNDS, Weighing, grounds};

/// What the rules found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFinding {
    /// The rule that spoke; `None` when there is nothing to go on with.
    pub rule: Option<RuleId>,
    /// What a continue rests on.
    pub evidence: Option<EvidencePointer>,
}

impl RuleFinding {
    const NOTHING: Self = Self { rule: None, evidence: None };

    fn of(rule: RuleId) -> Self {
        Self { rule: Some(rule), evidence: None }
    }

    /// The decision that the finding stands for.
    pub fn decision(&self) -> Decision {
        self.rule.map_or(Decision::Allow, RuleId::decision)
    }
}

/// Rules that need no facts: stops that are legitimate by what the message says. The first of the table speaks.
pub fn legitimate_stop(signals: &Signals) -> Option<RuleFinding> {
    let speaks = |rule: &RuleId| rule.legitimate_signal().is_some_and(|signal| signals.has(signal));
    RuleId::ALL.into_iter().find(speaks).map(RuleFinding::of)
}

/// What the rules of 0.1.0 made of words and facts, for recordings of it: nothing was known then of what was asked for.
pub fn decide(signals: &Signals, facts: &Facts, modes: &RuleModes) -> RuleFinding {
    if let Some(finding) = legitimate_stop(signals) {
        return finding;
    }
    if !signals.wants_to_leave() {
        return RuleFinding::NOTHING;
    }
    if facts.person_asked_to_stop {
        // The person's own last words, whatever the agent makes of them.
        return RuleFinding::of(RuleId::LegitAsAsked);
    }
    if facts.is_stopgate {
        return RuleFinding::of(RuleId::MetaSelfReference);
    }
    if let Some(finding) = work_on_record(facts, modes, |_| true, true) {
        return finding;
    }
    if signals.has(Signal::SelfDeferral) {
        // Recorded, never held.
        return RuleFinding::of(RuleId::SelfDeferral);
    }
    RuleFinding::NOTHING
}

/// The rule with the strongest evidence that there is work to go on with, of those that speak: a plan that it may rest on,
/// or, with `tasks`, the task list.
fn work_on_record(
    facts: &Facts,
    modes: &RuleModes,
    rests_on: impl Fn(&Plan) -> bool,
    tasks: bool,
) -> Option<RuleFinding> {
    let found = |rule: RuleId| {
        let basis = rule.basis().filter(|basis| tasks || *basis != Basis::Task)?;
        let evidence = basis.find(facts, &rests_on)?;
        Some((basis, RuleFinding { rule: Some(rule), evidence: Some(evidence) }))
    };
    let strongest =
        RuleId::holding().filter(|rule| !modes.silences(*rule)).filter_map(found).min_by_key(|(basis, _)| *basis);
    strongest.map(|(_, finding)| finding)
}
