//! What a person says about a verdict.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use stopgate_core::clock::UnixMillis;
use stopgate_core::decision::UnknownName;

/// Whether a verdict was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It was.
    Right,
    /// It was not: a stop held that was right, or one let go that was not.
    Wrong,
    /// Nobody can tell.
    Unclear,
}

impl Grade {
    /// All grades.
    pub const ALL: [Self; 3] = [Self::Right, Self::Wrong, Self::Unclear];

    /// The word in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Unclear => "unclear",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Grade {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|grade| grade.name() == name).ok_or(UnknownName)
    }
}

/// One grading of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The stop whose verdict it is about.
    pub event_id: String,
    /// Who graded.
    pub operator: String,
    /// When, milliseconds UTC.
    pub at_ms: UnixMillis,
    /// The grade.
    pub verdict: Grade,
    /// Why, redacted; may be empty.
    pub why: String,
}
