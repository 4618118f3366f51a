//! What a row holds, for the modules that write and read it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::{Moment, STEP_MS, UnixMillis, is_step};
use stopgate_gate::RuleId;
use stopgate_gate::asked::AskedAt;
use stopgate_protocol::GateLogRow;

/// A row to write; the log row is the same thing read back.
pub type GateRow = GateLogRow;

/// What is written with a verdict, besides its row in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Set for a continue that counts against the ceilings: the hash of the facts it rests on.
    pub continues: Option<String>,
    /// What the pipeline was given, as JSON, for replaying it.
    pub inputs: Option<String>,
    /// The contest that the verdict used up.
    pub contest: Option<i64>,
    /// When the person last prompted, if the stop's transcript showed it.
    #[serde(default)]
    pub prompt_at_ms: Option<UnixMillis>,
    /// How a continue is counted.
    #[serde(default)]
    pub counted: Counted,
    /// What the person asked for, if the stop's transcript showed it.
    #[serde(default)]
    pub asked: Option<AskedAt>,
}

/// How a continue is counted: by what came before it, and not by the time of day, which can be set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// The person's prompt under which it was given, named by its time.
    pub prompt_at_ms: Option<UnixMillis>,
    /// When, in milliseconds since the boot.
    pub boot_ms: Option<i64>,
    /// The boot; empty where that is not known.
    pub boot_id: String,
}

/// What the gate needs to know about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// First start; unknown when only later events were seen.
    pub started_at_ms: Option<UnixMillis>,
    /// Commit that was checked out then.
    pub head_at_start: Option<String>,
    /// The directory it began in.
    pub start_cwd: Option<PathBuf>,
    /// When the machine was booted, by the time of day as it was then.
    pub booted_at_ms: Option<UnixMillis>,
    /// The time of day is known to have been set since.
    pub clock_set: bool,
}

impl SessionFacts {
    /// Whether times that files have can be compared with the start: not if the time of day was set since then, as far as
    /// that shows at `now`.
    pub fn has_comparable_start(&self, now: Moment) -> bool {
        let Some(start) = self.started_at_ms else { return false };
        let booted = now.booted_at_ms();
        // What began before the machine was booted has nothing that could be compared; times that came later are later.
        let same_clock = |then: UnixMillis| !is_step(then, booted) || start < booted.saturating_sub(STEP_MS);
        !self.clock_set && start <= now.wall_ms.saturating_add(STEP_MS) && self.booted_at_ms.is_none_or(same_clock)
    }
}

/// A continue that was given, or in shadow would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// When.
    pub at_ms: UnixMillis,
    /// Hash of the facts it rests on.
    pub fingerprint: String,
    /// The person's prompt under which it was given, named by its time; `None` if none was known.
    pub prompt_at_ms: Option<UnixMillis>,
    /// When, in milliseconds since this boot; `None` if that was in another one.
    pub boot_ms: Option<i64>,
    /// The rule by which; `None` if that is not known.
    pub rule: Option<RuleId>,
}

/// What is recorded of a session's turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnRecord {
    /// The last prompt that is known to be the person's.
    pub prompt_at_ms: Option<UnixMillis>,
    /// Continues of the last day in one mode, the last that came first.
    pub continues: Vec<Continued>,
    /// The agent's word against the next continue.
    pub contest: Option<i64>,
    /// What was asked for.
    pub asked: AskedRecord,
}

/// What is recorded of what was asked for in a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedRecord {
    /// As a transcript showed it.
    pub shown: Option<AskedAt>,
    /// As a hook heard it after that.
    pub heard: Option<AskedAt>,
}

/// A column that holds what no version of stopgate writes.
pub(crate) fn bad_text(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(column.to_owned())
}
