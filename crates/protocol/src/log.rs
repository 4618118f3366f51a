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

/// An agent says why its stop is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contest {
    /// Whose next stop is right.
    pub session: SessionKey,
    /// Why.
    pub why: String,
}

/// Answer of [`Contest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Always true.
    pub taken: bool,
}

/// Asks what the verdict on a stop was reached from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExplainStop {
    /// The event's id, or how it begins.
    pub event: String,
}

/// Answer of [`ExplainStop`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopExplanation {
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

/// One row of [`GateLog`]: a stop and what became of it. Field names are snake case, as scripts read them from
/// `stopgate gate log --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLogRow {
    /// The hook's id of the stop.
    pub event_id: String,
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What that is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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

/// Answer of [`LogFilter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLog {
    /// Rows, newest first.
    pub events: Vec<GateLogRow>,
    /// The grade that counts of each row that has one, by event id.
    #[serde(default)]
    pub grades: BTreeMap<String, Annotation>,
}

/// Asks for the log, or for some of its rows; what is not given wants them all. A filter that is garbage is refused: the
/// whole log is not what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// How many rows, the newest; see [`LogFilter::rows`].
    #[serde(deserialize_with = "crate::rows_or_none", skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Beginning of the session's id.
    #[serde(deserialize_with = "crate::beginning", skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// Beginning of the event's id.
    #[serde(deserialize_with = "crate::beginning", skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only would-blocks that nobody has graded, without those of the installer's live check.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ungraded: bool,
    /// Only stops that were let go by what they say and that nobody has graded, without those of the live check.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ungraded_let_go: bool,
}

impl LogFilter {
    /// Rows that are given when nobody says how many, and at most.
    const ROWS: u32 = 100;
    const MAX_ROWS: u32 = 1_000;

    /// How many rows are given at most.
    pub fn rows(&self) -> u32 {
        self.tail.unwrap_or(Self::ROWS).clamp(1, Self::MAX_ROWS)
    }
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
