//! What the gate did over a span of time, counted: the numbers that an operator promotes it by.
//!
//! Stops of the installer's live check are staged, and are not counted.

mod demotion;
mod grade;
pub mod review;
mod stats;
mod tally;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use stopgate_core::clock::UnixMillis;
use stopgate_core::decision::Decision;
use stopgate_core::session::Harness;

pub use demotion::{RuleGrade, counting, falls_below, to_demote, why};
pub use grade::{Annotation, Grade};
pub use stats::{Latency, Proportion};
pub use tally::Tally;

/// One stop, as far as a report counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedStop {
    /// When, milliseconds UTC.
    pub at_ms: UnixMillis,
    /// The client.
    pub harness: Harness,
    /// The session.
    pub session_id: String,
    /// The verdict; `None` when a failure left none, or it is not there yet.
    pub decision: Option<Decision>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Whether enforce would have blocked, or has.
    pub would_block: bool,
    /// Whether it was blocked.
    pub blocked: bool,
    /// Whether a hint was given.
    pub noted: bool,
    /// The kind of failure.
    pub fail_open: Option<String>,
    /// Names of the signals.
    pub signals: Vec<String>,
    /// How long the verdict took, in milliseconds.
    pub latency_ms: u64,
    /// The checkout, or the directory where that is unknown.
    pub project: Option<PathBuf>,
    /// The grade that counts.
    pub grade: Option<Grade>,
}

/// How many of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Grades given to verdicts of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grades {
    /// Graded right.
    pub right: u64,
    /// Graded wrong.
    pub wrong: u64,
    /// Graded unclear: says nothing about precision.
    pub unclear: u64,
}

impl Grades {
    /// Share of the right ones among those that are right or wrong.
    pub fn precision(&self) -> Option<Proportion> {
        Proportion::of(self.right, self.decided())
    }

    /// Graded right or wrong.
    pub const fn decided(&self) -> u64 {
        self.right + self.wrong
    }
}

/// Stops that have a rule, a signal or a project in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StopGroup {
    /// What they have in common.
    pub name: String,
    /// How many.
    pub stops: u64,
    /// Of them, those that enforce would have blocked, or has.
    pub would_block: u64,
    /// Grades of those.
    pub grades: Grades,
    /// Share of the graded ones that were right.
    pub precision: Option<Proportion>,
}

/// The stops of a day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// When it began, milliseconds UTC.
    pub start_ms: UnixMillis,
    /// Stops.
    pub stops: u64,
    /// Of them, those that enforce would have blocked, or has.
    pub would_block: u64,
    /// Of them, those that a failure let go.
    pub failed: u64,
}

/// The stops of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfSession {
    /// The client.
    pub harness: Harness,
    /// The session.
    pub session_id: String,
    /// Stops.
    pub stops: u64,
    /// Of them, those that enforce would have blocked, or has.
    pub would_block: u64,
}

/// How often sessions would be held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// Sessions with a stop.
    pub count: u64,
    /// Would-blocks of a session, on average; `null` without sessions.
    pub would_block_each: Option<f64>,
    /// Sessions that would have been held at least once.
    pub held: Option<Proportion>,
    /// Those that would have been held most, at most ten.
    pub most_held: Vec<OfSession>,
}

/// What the gate did. Answer of `stopgate_protocol::ReadReport`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Beginning of the span, milliseconds UTC.
    pub since_ms: UnixMillis,
    /// Its end.
    pub until_ms: UnixMillis,
    /// When the first stop in it was.
    pub first_at_ms: Option<UnixMillis>,
    /// Stops.
    pub stops: u64,
    /// Stops with a verdict.
    pub verdicts: u64,
    /// Would-blocks, delivered or not.
    pub would_block: u64,
    /// Blocks that were delivered.
    pub blocked: u64,
    /// Hints that were given.
    pub noted: u64,
    /// Stops by decision, the most first; `none` where there is no verdict.
    pub by_decision: Vec<KindCount>,
    /// By the rule that decided, the most first.
    pub by_rule: Vec<StopGroup>,
    /// By signal, the most first; a stop may have several.
    pub by_signal: Vec<StopGroup>,
    /// By checkout, the most first.
    pub by_project: Vec<StopGroup>,
    /// Failures by kind, the most first.
    pub failures: Vec<KindCount>,
    /// Judged stops without a failure since the last one that had one.
    pub clean_streak: u64,
    /// Stops that were judged, or should have been: what `clean_streak` is counted in.
    pub judged: u64,
    /// How long verdicts took.
    pub latency: Option<Latency>,
    /// Grades of would-blocks.
    pub graded_would_block: Grades,
    /// Grades of stops that were let go.
    pub graded_let_go: Grades,
    /// Share of the graded would-blocks that were right.
    pub precision: Option<Proportion>,
    /// How often sessions would be held.
    pub sessions: Sessions,
    /// Each day of the span, the first first.
    pub days: Vec<Day>,
}
