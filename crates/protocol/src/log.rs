//! What the log of verdicts is asked, and what it answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use stopgate_core::clock::UnixMillis;
use stopgate_core::decision::Decision;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::switch::Mode;
use stopgate_gate::pipeline::Recording;
use stopgate_gate::report::Annotation;
use stopgate_gate::{EvidencePointer, RuleId};

/// Body of [`ROUTE_CONTEST`](super::ROUTE_CONTEST).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contest {
    /// Whose next stop is right.
    pub session: SessionKey,
    /// Why.
    pub why: String,
}

/// Answer of [`ROUTE_CONTEST`](super::ROUTE_CONTEST).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Always true.
    pub taken: bool,
}

/// Answer of [`ROUTE_EXPLAIN`](super::ROUTE_EXPLAIN).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How many stops have an event id that begins so.
    pub found: usize,
    /// The only one.
    pub event: Option<GateLogRow>,
    /// What its verdict was reached from; missing for one that was not judged.
    pub recording: Option<Recording>,
    /// What the agent said against it, or for it where it let the stop go.
    #[serde(default)]
    pub contest: Option<String>,
}

/// One row of [`ROUTE_LOG`](super::ROUTE_LOG): a stop and what became of it. Field names are snake case, as scripts read them from
/// `stopgate gate log --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLogRow {
    /// The hook's id of the stop.
    pub event_id: String,
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// When the hook saw it.
    pub at_ms: UnixMillis,
    /// The mode it was judged in.
    pub mode: Mode,
    /// The true decision, the same in shadow and in enforce; `null` when a failure left none.
    pub decision: Option<Decision>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// What ended the evaluation before the rules: `no-signal`, `subagent`, `session-start-unknown`, ...
    pub short_circuit: Option<String>,
    /// Whether enforce would have blocked (in shadow) or has blocked (in enforce).
    pub would_block: bool,
    /// Whether the block was handed to the hook.
    pub blocked: bool,
    /// Whether a hint that blocks nothing was handed to the hook.
    #[serde(default)]
    pub noted: bool,
    /// The failure that made the gate allow.
    pub fail_open: Option<String>,
    /// What the failure was about.
    pub detail: Option<String>,
    /// Names of the signals that fired.
    pub signals: Vec<String>,
    /// What a continue rests on.
    pub evidence: Option<EvidencePointer>,
    /// How long the evaluation took.
    pub latency_ms: u64,
    /// Where the session worked.
    pub cwd: Option<PathBuf>,
    /// Top of the main checkout of that.
    #[serde(default)]
    pub checkout: Option<PathBuf>,
    /// The end of the last message, redacted.
    pub preview: String,
}

/// Answer of [`ROUTE_LOG`](super::ROUTE_LOG).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLog {
    /// Rows, newest first.
    pub events: Vec<GateLogRow>,
    /// The grade that counts of each row that has one, by event id.
    #[serde(default)]
    pub grades: BTreeMap<String, Annotation>,
}

/// Which rows of the log are wanted; what is not given wants them all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// Beginning of the session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// Beginning of the event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only would-blocks that nobody has graded, without those of the installer's live check.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ungraded: bool,
}

/// What was decided about a stop, or that nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// [`Decision::Allow`]
    Allow,
    /// [`Decision::Continue`]
    Continue,
    /// [`Decision::Escalate`]
    Escalate,
    /// [`Decision::ForceAllow`]
    ForceAllow,
    /// A failure left no decision.
    Failed,
}

impl Decided {
    /// The decision; `None` for none.
    pub const fn decision(self) -> Option<Decision> {
        match self {
            Self::Allow => Some(Decision::Allow),
            Self::Continue => Some(Decision::Continue),
            Self::Escalate => Some(Decision::Escalate),
            Self::ForceAllow => Some(Decision::ForceAllow),
            Self::Failed => None,
        }
    }
}
