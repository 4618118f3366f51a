//! What single rules may do, as it is now; and how one goes back to shadow when its grades are bad.

use std::sync::{Arc, Mutex, PoisonError};

use stopgate_config::{Config, PromotionConfig, RulesConfig};
use stopgate_core::paths::Home;
use stopgate_core::switch::{self, Mode};
use stopgate_gate::report::{self, RuleGrade};
use stopgate_gate::rules::RuleModes;
use stopgate_gate::rules::switches::{RuleSwitch, RuleSwitches, SwitchedBy};
use stopgate_protocol::Demoted;
use stopgate_store::rule_switches;

use crate::state::State;
use crate::storage::Storage;

/// What was said of rules, and their grades.
pub(crate) struct RuleModesOfHome {
    home: Home,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Which version of the file `switches` is of.
    stamp: Option<String>,
    switches: Arc<RuleSwitches>,
    grades: Arc<Vec<RuleGrade>>,
    /// What the grades were last held against: nothing of it has changed while this is the same.
    checked: Option<(PromotionConfig, RulesConfig)>,
}

impl RuleModesOfHome {
    /// What `home` has.
    pub(crate) fn load(home: Home, storage: &Storage) -> Self {
        let rules = Self { home, held: Mutex::default() };
        rules.read_grades(storage);
        rules
    }

    /// What was said of rules: the file as it is now.
    pub(crate) fn switches(&self) -> Arc<RuleSwitches> {
        let stamp = switch::stamp(&self.home.rules_file());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.stamp.as_ref() != Some(&stamp) {
            held.switches = Arc::new(rule_switches::read(&self.home));
            if held.switches.is_unreadable() {
                tracing::warn!("switches/rules is not understood: no rule holds a stop");
            }
            held.stamp = Some(stamp);
            held.checked = None;
        }
        Arc::clone(&held.switches)
    }

    /// Grades were given. Where they cannot be read, those that are known count.
    pub(crate) fn read_grades(&self, storage: &Storage) {
        match storage.with_store(|store| store.rule_grades()) {
            Ok(grades) => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.grades = Arc::new(grades);
                held.checked = None;
            }
            Err(error) => tracing::warn!(%error, "grades cannot be read"),
        }
    }

    /// The number of the last grade of a would-block that is known.
    pub(crate) fn last_grade(&self) -> i64 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.grades.iter().map(|grade| grade.number).max().unwrap_or_default()
    }

    /// Says something of a rule. What cannot be written holds until this process ends, and is the error.
    pub(crate) fn set(&self, switches: RuleSwitches) -> std::io::Result<()> {
        let written = rule_switches::write(&self.home, &switches);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.stamp = Some(switch::stamp(&self.home.rules_file()));
        held.switches = Arc::new(if written.is_ok() { rule_switches::read(&self.home) } else { switches });
        held.checked = None;
        written
    }

    fn is_checked(&self, config: &Config) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.checked.as_ref().is_some_and(|(promotion, rules)| (promotion, rules) == (&config.promotion, &config.rules))
    }
}

/// What the rules may do at a stop in `mode` for which `config` is in force.
pub(crate) fn modes(state: &State, config: &Config, mode: Mode) -> RuleModes {
    let own = state.settings.current();
    let mut switches = state.rules.switches();
    if mode == Mode::Enforce && !state.rules.is_checked(&own) {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        demote(state);
        switches = state.rules.switches();
    }
    RuleModes::of(&own.rules, &config.rules, &switches)
}

/// Has the rules that enforce and whose grades are bad go back to shadow, and says which. Nothing enforces where the mode does
/// not. The caller holds [`State::flipping`].
pub(crate) fn demote(state: &State) -> Vec<Demoted> {
    if switch::read_mode(&state.home).mode() != Mode::Enforce {
        return Vec::new();
    }
    let config = state.settings.current();
    let mut switches = RuleSwitches::clone(&state.rules.switches());
    let grades = {
        let mut held = state.rules.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.checked = Some((config.promotion.clone(), config.rules.clone()));
        Arc::clone(&held.grades)
    };
    let found = report::to_demote(&grades, &switches, &config.rules, &config.promotion);
    if found.is_empty() {
        return Vec::new();
    }
    let demoted: Vec<_> =
        found.into_iter().map(|(rule, grades)| Demoted { rule, why: report::why(grades, &config.promotion) }).collect();
    for Demoted { rule, why } in &demoted {
        tracing::warn!(rule = rule.id(), why, "the rule goes back to shadow");
        let switch = RuleSwitch {
            mode: Mode::Shadow,
            by: SwitchedBy::Grades,
            at_ms: state.storage.now_ms(),
            after_grade: 0,
            why: why.clone(),
        };
        switches.set(*rule, switch);
    }
    if let Err(error) = state.rules.set(switches) {
        tracing::error!(%error, "that a rule goes back to shadow cannot be written: it is so until the authority ends");
    }
    demoted
}
