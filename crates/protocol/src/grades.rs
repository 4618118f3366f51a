//! What a person says about a verdict.

use serde::{Deserialize, Serialize};
use stopgate_gate::report::Grade;

use crate::Condition;

/// Body of `POST` [`crate::ROUTE_ANNOTATIONS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// Answer of `POST` [`crate::ROUTE_ANNOTATIONS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graded {
    /// The stop.
    pub event_id: String,
    /// The grade that counts now.
    pub verdict: Grade,
    /// The one that counted before.
    pub prior: Option<Grade>,
}
