//! What was said of single rules beside the configuration: by the operator, and by a rule's own grades.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::switch::Mode;

use super::RuleId;

/// Who has set the mode of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchedBy {
    /// The operator.
    Operator,
    /// The rule's grades: too many of its verdicts were wrong.
    Grades,
    /// Nobody knows: what was written down is not understood.
    #[serde(other)]
    Unknown,
}

/// What was said of a rule last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSwitch {
    /// What it may do.
    pub mode: Mode,
    /// Who says so.
    pub by: SwitchedBy,
    /// When, milliseconds UTC.
    pub at_ms: UnixMillis,
    /// The last grade there was then, by its number: those up to it do not count against the rule any more.
    #[serde(default)]
    pub after_grade: i64,
    /// Why, for people; may be empty.
    #[serde(default)]
    pub why: String,
}

/// What was said of all rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSwitches {
    /// By id: one of a rule that only a newer version knows is kept.
    rules: BTreeMap<String, RuleSwitch>,
    unreadable: bool,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Written {
    rules: BTreeMap<String, RuleSwitch>,
}

impl RuleSwitches {
    /// Reads what [`RuleSwitches::to_json`] writes. What is not understood has every rule in shadow: in doubt nobody is held.
    pub fn from_json(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes)
            .map_or_else(|_| Self::unreadable(), |Written { rules }| Self { rules, unreadable: false })
    }

    /// What was said, where that cannot be read.
    pub fn unreadable() -> Self {
        Self { unreadable: true, ..Self::default() }
    }

    /// As a file. What was not understood before stays in shadow, rule by rule.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let all = RuleId::holding().filter_map(|rule| Some((rule.id().to_owned(), self.of(rule)?)));
        let mut rules = self.rules.clone();
        rules.extend(all);
        Ok(serde_json::to_string_pretty(&Written { rules })? + "\n")
    }

    /// What was said of `rule`; `None` if nothing was.
    pub fn of(&self, rule: RuleId) -> Option<RuleSwitch> {
        let unknown =
            || RuleSwitch { mode: Mode::Shadow, by: SwitchedBy::Unknown, at_ms: 0, after_grade: 0, why: String::new() };
        self.rules.get(rule.id()).cloned().or_else(|| self.unreadable.then(unknown))
    }

    /// Says something new of `rule`.
    pub fn set(&mut self, rule: RuleId, switch: RuleSwitch) {
        self.rules.insert(rule.id().to_owned(), switch);
    }

    /// Whether the file is there and not understood.
    pub const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// The rules of which something was said.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, RuleSwitch)> + '_ {
        RuleId::holding().filter_map(|rule| Some((rule, self.of(rule)?)))
    }
}
