//! What a row holds, for the modules that write and read it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
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
}

/// A continue that was given, or in shadow would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// When.
    pub at_ms: UnixMillis,
    /// Hash of the facts it rests on.
    pub fingerprint: String,
}

/// What is recorded of a session's turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnRecord {
    /// The last prompt that is known to be the person's.
    pub prompt_at_ms: Option<UnixMillis>,
    /// Continues of the last day in one mode, newest first.
    pub continues: Vec<Continued>,
    /// The agent's word against the next continue.
    pub contest: Option<i64>,
}

/// A column that holds what no version of stopgate writes.
pub(crate) fn bad_text(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(column.to_owned())
}
