//! The fence: its mode, what it did, and how a verdict of it was reached. What its hook asks is in
//! `stopgate_coordination::fence`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_coordination::fence::verdict::{FenceDecision, FenceFacts, Party};
use stopgate_coordination::fence::{FenceQuestion, FenceVerdict};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::Harness;
use stopgate_core::switch::Mode;

use super::Condition;

/// Would-be denials that have to be seen before the fence is called ready to enforce.
pub const DENIALS_FOR_READY: u64 = 5;
/// Two sessions that touch a file within this are a collision.
pub const COLLISION_MS: UnixMillis = 60 * 60 * 1_000;

/// Sets the fence's mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetFence {
    /// The mode to set.
    pub mode: Mode,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

impl SetFence {
    /// As it is typed.
    pub fn action(&self) -> String {
        format!("fence {}", self.mode.name())
    }

    /// Whether it refuses less than `now` does. The rest is everybody's to set.
    pub fn loosens(&self, now: Mode) -> bool {
        self.mode < now
    }
}

/// Answer of [`SetFence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceState {
    /// The mode that applies now.
    pub mode: Mode,
    /// The mode before.
    pub prior: Mode,
    /// Whether it differs.
    pub changed: bool,
}

/// Asks how the fence is right now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFence {}

/// Answer of [`GetFence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceStatus {
    /// The mode that applies.
    pub mode: Mode,
    /// Working trees in which more than one session lives.
    pub shared_trees: Vec<SharedTree>,
    /// Leases that were asked for, and those that were seen.
    pub declared: usize,
    /// The same, of files that were seen to be written.
    pub observed: usize,
    /// Sessions of shared trees of which no write has come to the fence.
    pub unfenced: Vec<Party>,
    /// What keeps `run/held` from being written, if something does.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A working tree in which more than one session lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedTree {
    /// Its top.
    pub tree: PathBuf,
    /// Who lives there.
    pub sessions: Vec<Party>,
}

/// Asks what the fence did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFenceReport {
    /// Only what is later than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<UnixMillis>,
}

/// Answer of [`ReadFenceReport`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceReport {
    /// Since when.
    pub since_ms: Option<UnixMillis>,
    /// Calls that were asked about: those that touch a tree in which another session lives.
    pub asked: u64,
    /// What was decided.
    pub decided: VerdictCounts,
    /// What the agents were told; in shadow that is nothing.
    pub answered: VerdictCounts,
    /// What was decided, by client.
    pub by_harness: Vec<HarnessCounts>,
    /// Whose call would have hit whom.
    pub by_pair: Vec<PairCounts>,
    /// Files that two sessions touched within an hour of each other.
    pub collisions: u64,
    /// Denials whose file really was touched by two sessions within the hour, or whose tree had another's work in it.
    pub denied_collisions: u64,
    /// Denials that a person called right, and wrong.
    pub graded: FenceGrades,
    /// The slowest of a hundred answers, in microseconds.
    pub p99_us: u64,
    /// The last denials, newest first.
    pub denials: Vec<FenceDenial>,
    /// What is missing before it is ready to enforce; empty: it is.
    pub missing: Vec<String>,
}

/// Verdicts, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Nothing was said.
    pub allow: u64,
    /// The agent was told something.
    pub note: u64,
    /// Refused.
    pub deny: u64,
}

impl VerdictCounts {
    /// Counts `count` more of `verdict`.
    pub fn add(&mut self, verdict: FenceVerdict, count: u64) {
        *match verdict {
            FenceVerdict::Allow => &mut self.allow,
            FenceVerdict::Note => &mut self.note,
            FenceVerdict::Deny => &mut self.deny,
        } += count;
    }
}

/// Verdicts of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarnessCounts {
    /// Which.
    pub harness: Harness,
    /// How many.
    #[serde(flatten)]
    pub counts: VerdictCounts,
}

/// Calls of one session that another was in the way of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Who called.
    pub who: String,
    /// Whose it was.
    pub against: String,
    /// How many.
    #[serde(flatten)]
    pub counts: VerdictCounts,
}

/// Words of a person on denials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceGrades {
    /// Called right.
    pub right: u64,
    /// Called wrong.
    pub wrong: u64,
}

/// A denial, or what in shadow would have been one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceDenial {
    /// Its id.
    pub event_id: String,
    /// When.
    pub at_ms: UnixMillis,
    /// Which client.
    pub harness: Harness,
    /// Who called, by name.
    pub who: String,
    /// Whose it was.
    pub against: String,
    /// What was in the way, as [`FenceGround::signature`](stopgate_coordination::fence::verdict::FenceGround::signature).
    pub what: String,
    /// Whether the call was refused: not in shadow.
    pub refused: bool,
    /// Whether the file really was touched by both within the hour, or the work really was there.
    pub collided: bool,
    /// A person's word.
    pub is_right: Option<bool>,
}

/// Asks how a verdict was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainFence {
    /// The event's id, or its beginning.
    pub id: String,
}

/// Answer of [`ExplainFence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceExplanation {
    /// The name of the session at that time.
    pub name: String,
    /// The mode at that time.
    pub mode: Mode,
    /// What was asked.
    pub question: FenceQuestion,
    /// What was known.
    pub facts: FenceFacts,
    /// What was decided.
    pub decided: FenceDecision,
    /// What the hook was told.
    pub answered: FenceVerdict,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What this program makes of the same facts.
    pub replayed: FenceDecision,
    /// What the agent is told by that.
    pub text: String,
}

/// A person's word on a denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradeFence {
    /// The event's id, or its beginning.
    pub id: String,
    /// Whether it was right.
    pub right: bool,
}

impl GradeFence {
    /// As it is logged.
    pub const ACTION: &str = "fence grade";
}

/// Answer of [`GradeFence`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceGraded {
    /// The event.
    pub event_id: String,
    /// Whether it was right.
    pub right: bool,
}
