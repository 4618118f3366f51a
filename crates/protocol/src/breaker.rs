//! Judges that are left alone after failures.

use serde::{Deserialize, Serialize};

use super::Condition;
use stopgate_core::clock::UnixMillis;
use stopgate_gate::breaker::BreakerStanding;

/// The breaker of one judge. Field names are snake case, as scripts read them from `stopgate gate breaker --json`.
/// Times are milliseconds UTC; 0 means never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerState {
    /// Hash of kind, endpoint or command, and model.
    pub route: String,
    /// The same for people.
    pub label: String,
    /// `closed` (it is asked), `open` (it is not) or `half-open` (one stop asks it, to see whether it works again).
    pub state: BreakerStanding,
    /// Kind of the last failure.
    pub last_failure: String,
    /// Failures since its last valid answer.
    pub consecutive_failures: u64,
    /// Until when it is left alone.
    pub open_until_ms: UnixMillis,
    /// Until when the one stop that asks it may take.
    pub probe_lease_until_ms: UnixMillis,
    /// Since when it fails so often.
    pub first_opened_at_ms: UnixMillis,
    /// Stops that were judged without it since then.
    pub suppressed_count: u64,
    /// When this last changed.
    pub updated_at_ms: UnixMillis,
}

/// Asks for the breakers of judges that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListBreakers {}

/// Answer of [`ListBreakers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerStates {
    /// Breakers that count a failure, the last changed first; a judge that works has none.
    pub breakers: Vec<BreakerState>,
}

/// Closes all breakers; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetBreakers {
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl ResetBreakers {
    /// As it is typed.
    pub const ACTION: &str = "gate breaker reset";
}

/// Answer of [`ResetBreakers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakersReset {
    /// How many breakers were closed.
    pub reset: usize,
}
