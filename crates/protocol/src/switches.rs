//! The operator's switches: mode and kill switch. The reaper's is in `reaper`.

use serde::{Deserialize, Serialize};

use super::Condition;
use stopgate_core::switch::Mode;
use stopgate_gate::RuleId;
use stopgate_gate::rules::{RuleMode, RuleModes};

/// Sets the mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMode {
    /// The mode to set.
    pub mode: Mode,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetMode {
    /// As it is typed.
    pub fn action(&self) -> String {
        format!("mode {}", self.mode.name())
    }

    /// Whether it holds less than `now` does. The rest is everybody's to set.
    pub fn loosens(&self, now: Mode) -> bool {
        self.mode < now
    }
}

/// Answer of [`SetMode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeState {
    /// The mode that applies now.
    pub mode: Mode,
    /// The mode before.
    pub prior: Mode,
    /// Whether it differs.
    pub changed: bool,
    /// The rules that may do less than the mode, without what checkouts say.
    #[serde(default, skip_serializing_if = "RuleModes::is_empty")]
    pub rules: RuleModes,
}

/// Sets the mode of one rule: the operator's word, also after the rule has gone to shadow by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRuleMode {
    /// The rule.
    pub rule: RuleId,
    /// What it may do at most.
    pub mode: Mode,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetRuleMode {
    /// As it is typed.
    pub fn action(&self) -> String {
        format!("mode {} --rule {}", self.mode.name(), self.rule.short())
    }
}

/// Answer of [`SetRuleMode`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleModeState {
    /// The rule.
    pub rule: RuleId,
    /// What it may do now.
    pub mode: Mode,
    /// What it might before.
    pub prior: Mode,
    /// Whether that differs.
    pub changed: bool,
    /// Who keeps it from more, if somebody does.
    #[serde(default)]
    pub kept: Option<RuleMode>,
}

/// Sets the kill switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKill {
    /// On or off.
    pub value: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub by: String,
    /// The asker has turned it on itself: the authority takes note, and writes nothing.
    #[serde(default)]
    pub done: bool,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetKill {
    /// As it is typed.
    pub const fn action(&self) -> &'static str {
        if self.value { "kill on" } else { "kill off" }
    }
}

/// Answer of [`SetKill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillState {
    /// Whether it is on now.
    pub kill_switch: bool,
    /// Whether it was on before.
    pub prior: bool,
    /// Whether that differs.
    pub changed: bool,
}
