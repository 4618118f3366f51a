//! What each rule may do by itself. Of all that is said of a rule, what holds least counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stopgate_config::RulesConfig;
use stopgate_core::switch::Mode;

use super::RuleId;
use super::switches::{RuleSwitches, SwitchedBy};

/// Who says what a rule may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeSource {
    /// `[gate.rules]` in `config.toml`.
    Config,
    /// `[gate.rules]` in the checkout's own file.
    Checkout,
    /// `stopgate mode ... --rule`.
    Operator,
    /// The rule's own grades.
    Grades,
    /// The file of the rules' switches is not understood.
    Unreadable,
}

impl ModeSource {
    /// Who says it, for people: `by {}`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Config => "[gate.rules] in config.toml",
            Self::Checkout => "[gate.rules] in the checkout's .stopgate/config.toml",
            Self::Operator => "`stopgate mode --rule`",
            Self::Grades => "its grades",
            Self::Unreadable => "switches/rules, which is not understood",
        }
    }
}

/// What a rule may do, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMode {
    /// What it may do at most.
    pub mode: Mode,
    /// Who says so.
    pub by: ModeSource,
}

impl RuleMode {
    /// Where the rule is, for people: `U3 is {}`.
    pub const fn place(self) -> &'static str {
        match self.mode {
            Mode::Off => "off",
            Mode::Shadow => "in shadow",
            Mode::Enforce => "in enforce",
        }
    }
}

/// The rules that may do less than enforce; all others may do what the mode says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleModes(BTreeMap<RuleId, RuleMode>);

impl RuleModes {
    /// What holds by the operator's configuration, by that as a checkout's file leaves it, and by the switches.
    pub fn of(own: &RulesConfig, in_checkout: &RulesConfig, switches: &RuleSwitches) -> Self {
        let of_rule = |rule: RuleId| {
            let beside = switches.of(rule).map(|switch| {
                let by = match switch.by {
                    SwitchedBy::Operator => ModeSource::Operator,
                    SwitchedBy::Grades => ModeSource::Grades,
                    SwitchedBy::Unknown => ModeSource::Unreadable,
                };
                RuleMode { mode: switch.mode, by }
            });
            let said = |config: &RulesConfig, by| config.mode(rule.id()).map(|mode| RuleMode { mode, by });
            let all = [beside, said(own, ModeSource::Config), said(in_checkout, ModeSource::Checkout)];
            // The first of those that say the same: the checkout's file is heard last.
            let least = all.into_iter().flatten().min_by_key(|said| said.mode)?;
            (least.mode < Mode::Enforce).then_some((rule, least))
        };
        Self(RuleId::holding().filter_map(of_rule).collect())
    }

    /// What `rule` may do, where that is less than the mode may.
    pub fn of_rule(&self, rule: RuleId) -> Option<RuleMode> {
        self.0.get(&rule).copied()
    }

    /// What comes of a finding of `rule` in `mode`.
    pub fn effective(&self, rule: RuleId, mode: Mode) -> Mode {
        self.0.get(&rule).map_or(mode, |own| own.mode.min(mode))
    }

    /// Whether `rule` does not speak.
    pub fn silences(&self, rule: RuleId) -> bool {
        self.of_rule(rule).is_some_and(|own| own.mode == Mode::Off)
    }

    /// Whether every rule may do what the mode may.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that `source` speaks of.
    #[must_use]
    pub fn said_by(mut self, source: ModeSource) -> Self {
        self.0.retain(|_, own| own.by == source);
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, RuleMode)> + '_ {
        self.0.iter().map(|(rule, mode)| (*rule, *mode))
    }
}

#[cfg(test)]
mod tests {
    use super::super::switches::RuleSwitch;
    use super::*;

    const RULE: RuleId = RuleId::RecentCommit;

    fn switched(mode: Mode, by: SwitchedBy) -> RuleSwitches {
        let mut switches = RuleSwitches::default();
        switches.set(RULE, RuleSwitch { mode, by, at_ms: 1, after_grade: 0, why: String::new() });
        switches
    }

    #[test]
    fn every_rule_that_holds_has_a_key() {
        for rule in RuleId::holding() {
            assert!(RulesConfig::default().mode(rule.id()).is_some(), "{rule}");
        }
        assert!(!RuleId::holding().any(|rule| rule == RuleId::LegitError));
    }

    #[test]
    fn what_holds_least_counts_whoever_says_it() {
        use Mode::{Enforce, Off, Shadow};
        let config = |u3| RulesConfig { u3, ..RulesConfig::default() };
        for own in [Off, Shadow, Enforce] {
            for checkout in [Off, Shadow, Enforce].into_iter().filter(|mode| *mode <= own) {
                for switch in [Off, Shadow, Enforce] {
                    let modes = RuleModes::of(&config(own), &config(checkout), &switched(switch, SwitchedBy::Operator));
                    for general in [Off, Shadow, Enforce] {
                        let least = own.min(checkout).min(switch).min(general);
                        assert_eq!(modes.effective(RULE, general), least);
                        assert_eq!(
                            modes.effective(RuleId::DurableArtifact, general),
                            general,
                            "others are as they were"
                        );
                    }
                    assert_eq!(modes.silences(RULE), own.min(checkout).min(switch) == Off);
                    assert_eq!(modes.is_empty(), own.min(checkout).min(switch) == Enforce);
                }
            }
        }
    }

    #[test]
    fn who_says_it_is_told() {
        let by = |own, checkout, switches: &RuleSwitches| {
            let config = |u3| RulesConfig { u3, ..RulesConfig::default() };
            RuleModes::of(&config(own), &config(checkout), switches).of_rule(RULE).map(|mode| mode.by)
        };
        let nobody = RuleSwitches::default();
        assert_eq!(by(Mode::Enforce, Mode::Enforce, &nobody), None);
        assert_eq!(by(Mode::Shadow, Mode::Shadow, &nobody), Some(ModeSource::Config));
        assert_eq!(by(Mode::Enforce, Mode::Shadow, &nobody), Some(ModeSource::Checkout));
        let graded = switched(Mode::Shadow, SwitchedBy::Grades);
        assert_eq!(by(Mode::Shadow, Mode::Shadow, &graded), Some(ModeSource::Grades));
        assert_eq!(by(Mode::Off, Mode::Off, &graded), Some(ModeSource::Config));
        assert_eq!(by(Mode::Enforce, Mode::Enforce, &switched(Mode::Enforce, SwitchedBy::Operator)), None);
    }
}
