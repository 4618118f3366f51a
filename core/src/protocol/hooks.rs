//! What the hooks send, and what they are told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::gate::{Decision, RuleId};
use crate::harness::Event;
use crate::process::ProcessIdentity;
use crate::switch::Mode;

/// Where a hook ran: what only the hook's own process can see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// The harness process above the hook.
    pub harness_process: Option<ProcessIdentity>,
    /// The session that this one continues, as far as the process's lineage tells.
    pub predecessor: Option<String>,
    /// `TMUX` of the hook.
    pub tmux: Option<String>,
    /// `TMUX_PANE` of the hook.
    pub tmux_pane: Option<String>,
    /// Top of the main checkout.
    pub checkout: Option<PathBuf>,
    /// Commit checked out there.
    pub head: Option<String>,
}

/// Body of [`ROUTE_EVENTS`](super::ROUTE_EVENTS).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookEvent {
    /// Id made by the hook; a repeated delivery is stored once.
    pub event_id: String,
    /// When the hook saw it.
    pub at_ms: UnixMillis,
    /// What happened.
    pub event: Event,
    /// Where.
    pub origin: Origin,
}

/// Body of [`ROUTE_EVALUATE`](super::ROUTE_EVALUATE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateRequest {
    /// Id made by the hook; a repeated delivery is stored once.
    pub event_id: String,
    /// When the hook saw the stop.
    pub at_ms: UnixMillis,
    /// The stop.
    pub event: Event,
    /// The mode that the hook acts on.
    pub mode: Mode,
    /// How long the hook will wait for the verdict, in milliseconds from now.
    pub deadline_ms: u64,
}

/// Answer of [`ROUTE_EVALUATE`](super::ROUTE_EVALUATE) in enforce, and the content of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateResponse {
    /// The hook's id of the stop.
    pub event_id: String,
    /// What the authority decided.
    pub decision: Decision,
    /// The rule that decided, if one did.
    pub rule: Option<RuleId>,
    /// What the agent is told; not empty only for [`Decision::Continue`].
    pub reminder: String,
    /// What the person is told of a stop that was let go; blocks nothing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// Set when something ended the evaluation before the rules.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub short_circuit: Option<String>,
    /// Set when a failure made the gate allow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fail_open: Option<String>,
    /// Why the evidence of a continue was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub post_verify_failure: Option<String>,
    /// Continues before this one, when the ceiling was reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prior_count: Option<u32>,
    /// How long the evaluation took, in milliseconds.
    pub latency_ms: u64,
}

impl EvaluateResponse {
    /// That the stop `event_id` goes through; whoever knows why, says so.
    pub fn allow(event_id: &str) -> Self {
        Self {
            event_id: event_id.to_owned(),
            decision: Decision::Allow,
            rule: None,
            reminder: String::new(),
            note: String::new(),
            short_circuit: None,
            fail_open: None,
            post_verify_failure: None,
            prior_count: None,
            latency_ms: 0,
        }
    }
}

/// Answer of [`ROUTE_EVALUATE`](super::ROUTE_EVALUATE) in shadow (status 202): the stop is taken, the verdict goes to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateAccepted {
    /// The hook's id of the stop.
    pub event_id: String,
    /// Always true.
    pub accepted: bool,
}

/// Answer of [`ROUTE_HOT_PATH`](super::ROUTE_HOT_PATH).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HotPath {
    /// The mode that applies.
    pub mode: Mode,
    /// Whether the kill switch is on.
    pub kill_switch: bool,
    /// When the session began; `null` if that is unknown.
    pub session_start_ts: Option<UnixMillis>,
    /// Continues delivered to the session.
    pub continue_count: u32,
    /// Version of the protocol.
    pub route_version: u32,
}
