//! What the reaper is asked and told; what it says of itself is in `stopgate_reaper::report`.

use serde::{Deserialize, Serialize};
use stopgate_core::session::Harness;
use stopgate_reaper::switch::ReaperSwitch;

use crate::Condition;

/// Asks how the reaper is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetReaper {}

/// Sets the reaper's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReaper {
    /// What is chosen.
    pub switch: ReaperSwitch,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetReaper {
    /// As it is typed.
    pub const fn action(&self) -> &'static str {
        match self.switch {
            ReaperSwitch::Off => "reaper disable",
            ReaperSwitch::DryRun => "reaper enable",
            ReaperSwitch::Live => "reaper enable --live",
        }
    }
}

/// Asks what the reaper decided and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadReaperAudit {
    /// How many rows, the newest; see [`ReadReaperAudit::rows`].
    #[serde(deserialize_with = "crate::rows_or_none", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl ReadReaperAudit {
    /// Rows that are given when nobody says how many, and at most.
    const ROWS: u32 = 200;
    const MAX_ROWS: u32 = 1_000;

    /// How many rows are given at most.
    pub fn rows(self) -> u32 {
        self.limit.unwrap_or(Self::ROWS).clamp(1, Self::MAX_ROWS)
    }
}

/// Asks for every gate of a session with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainReaper {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session: String,
}
