//! The operator's switches: mode, kill switch and reaper.

use serde::{Deserialize, Serialize};

use super::Condition;
use stopgate_core::switch::Mode;
use stopgate_reaper::switch::ReaperSwitch;

/// Body of `POST` [`ROUTE_MODE`](super::ROUTE_MODE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMode {
    /// The mode to set.
    pub mode: Mode,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Answer of [`ROUTE_MODE`](super::ROUTE_MODE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeState {
    /// The mode that applies now.
    pub mode: Mode,
    /// The mode before.
    pub prior: Mode,
    /// Whether it differs.
    pub changed: bool,
}

/// Body of `POST` [`ROUTE_KILL`](super::ROUTE_KILL).
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

/// Body of `POST` [`ROUTE_REAPER`](super::ROUTE_REAPER).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReaper {
    /// What is chosen.
    pub switch: ReaperSwitch,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Answer of [`ROUTE_KILL`](super::ROUTE_KILL).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillState {
    /// Whether it is on now.
    pub kill_switch: bool,
    /// Whether it was on before.
    pub prior: bool,
    /// Whether that differs.
    pub changed: bool,
}
