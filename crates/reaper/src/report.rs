//! What the reaper says of itself. Field names are snake case, as scripts read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::gates::{Confidence, Gate, GateReading};
use super::pressure::Pressure;
use super::switch::ReaperSwitch;
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::Harness;

/// Answer of `stopgate_protocol::GetReaper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReaperStatus {
    /// Whether it looks.
    pub enabled: bool,
    /// Whether it only says what it would do: by choice, or because it has tripped.
    pub dry_run: bool,
    /// What the operator chose; `null` if only the configuration decides.
    pub switch: Option<ReaperSwitch>,
    /// Why it has turned itself to a rehearsal, if it has.
    pub tripped: Option<Trip>,
    /// When it looked last; `null` if it has not since the authority began.
    pub last_tick_at_ms: Option<UnixMillis>,
    /// How long that took, in milliseconds.
    pub last_tick_took_ms: Option<u64>,
    /// The pressure now.
    pub pressure: Pressure,
    /// How long a session must be proven idle under it, in minutes; `null` if none may be ended.
    pub active_threshold_minutes: Option<i64>,
    /// Sessions ended within the last hour.
    pub reaps_last_hour: u32,
    /// How many sessions each reason keeps.
    pub kept_by: BTreeMap<String, u32>,
    /// The sessions of the last look.
    pub sessions: Vec<ReaperSession>,
}

/// A failure without a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// When.
    pub at_ms: UnixMillis,
    /// What failed.
    pub detail: String,
}

/// One session at the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaperSession {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// `keep` or `reap-eligible`.
    pub verdict: String,
    /// The gate that keeps it.
    pub kept_by: Option<Gate>,
    /// How sure that is.
    pub confidence: Confidence,
    /// Looks in a row that found it idle with the same screen.
    pub consecutive: u32,
    /// How long it is proven idle, in milliseconds.
    pub idle_ms: i64,
    /// Whether its end is announced.
    pub reap_pending: bool,
}

/// Answer of `stopgate_protocol::ExplainReaper`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReaperExplanation {
    /// The session.
    pub session: ReaperSession,
    /// Every gate with its value.
    pub gates: Vec<GateReading>,
    /// The pressure now.
    pub pressure: Pressure,
    /// How long it would have to be proven idle, in minutes.
    pub active_threshold_minutes: Option<i64>,
    /// What would happen next, for people.
    pub outlook: String,
}

/// One row of `stopgate_protocol::ReadReaperAudit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at_ms: UnixMillis,
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What happened.
    pub event: ReaperAuditEvent,
    /// The gate, or the reason.
    pub kept_by: Option<String>,
    /// The pressure then.
    pub tier: Option<String>,
    /// The inputs.
    pub detail: serde_json::Value,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReaperAuditEvent {
    /// The verdict on a session changed.
    Decision,
    /// Its end was announced.
    ReapPending,
    /// That was taken back.
    ReapAborted,
    /// It would have been ended, but for the rehearsal.
    WouldReap,
    /// It is about to be ended; the row has the command that takes it up again.
    Reaping,
    /// It was ended.
    Reaped,
    /// It was not ended, for a reason.
    ReapRefused,
    /// It was not ended, without a reason: the reaper turns itself to a rehearsal.
    ReapFailed,
    /// The operator is about to end it.
    Ending,
    /// The operator ended it.
    Ended,
}

impl ReaperAuditEvent {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Decision,
        Self::ReapPending,
        Self::ReapAborted,
        Self::WouldReap,
        Self::Reaping,
        Self::Reaped,
        Self::ReapRefused,
        Self::ReapFailed,
        Self::Ending,
        Self::Ended,
    ];

    /// The word in the store and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::ReapPending => "reap-pending",
            Self::ReapAborted => "reap-aborted",
            Self::WouldReap => "would-reap",
            Self::Reaping => "reaping",
            Self::Reaped => "reaped",
            Self::ReapRefused => "reap-refused",
            Self::ReapFailed => "reap-failed",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// Answer of `stopgate_protocol::ReadReaperAudit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaperAudit {
    /// Rows, newest last.
    pub rows: Vec<AuditRow>,
}
