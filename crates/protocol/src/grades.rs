//! What a person says about a verdict, and what that adds up to.

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_gate::RuleId;
use stopgate_gate::model::Correction;
use stopgate_gate::report::Grade;

use crate::Condition;

/// Grades a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetGrade {
    /// The stop, by its whole id.
    pub event_id: String,
    /// The grade.
    pub verdict: Grade,
    /// Why.
    #[serde(default)]
    pub why: String,
    /// Who.
    #[serde(default)]
    pub operator: String,
    /// Until when it still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetGrade {
    /// As it is typed.
    pub const ACTION: &str = "gate grade";
}

/// Answer of [`SetGrade`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graded {
    /// The stop.
    pub event_id: String,
    /// The grade that counts now.
    pub verdict: Grade,
    /// The one that counted before.
    pub prior: Option<Grade>,
    /// The rules that have gone back to shadow by it, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub demoted: Vec<Demoted>,
}

/// A rule that has gone back to shadow by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demoted {
    /// The rule.
    pub rule: RuleId,
    /// Why, for people.
    pub why: String,
}

/// Has what was learned of grades count, or goes back to what counted before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetCorrection {
    /// What was learned; `None` goes back.
    pub correction: Option<Correction>,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetCorrection {
    /// As it is typed.
    pub const fn action(&self) -> &'static str {
        if self.correction.is_some() { "gate learn --apply" } else { "gate learn --undo" }
    }
}

/// Answer of [`SetCorrection`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionState {
    /// Which correction counts now; `None` where nothing is learned.
    pub hash: Option<String>,
    /// How many grades it was learned from.
    pub grades: usize,
}

impl CorrectionState {
    /// Where `correction` counts.
    pub fn of(correction: Option<&Correction>) -> Self {
        let grades = correction.map_or(0, |correction| correction.grades);
        Self { hash: correction.map(|correction| correction.hash().to_owned()), grades }
    }
}

/// Asks what the gate did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadReport {
    /// Since when; without it, everything.
    pub since_ms: UnixMillis,
}
