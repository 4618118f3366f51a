//! What the person asked for: the burden is on the agent only where there is a job that was asked for.

use serde::{Deserialize, Serialize};

/// What a prompt of the person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptClass {
    /// A job or a plan, or to go on with it.
    Execute,
    /// A part of it, with its bounds.
    Narrow,
    /// To explain, review, tell how far things are, or make a plan.
    Question,
    /// To stop or pause.
    Stop,
    /// Nothing: thanks, talk.
    Other,
}

impl PromptClass {
    /// Each.
    pub const ALL: [Self; 5] = [Self::Execute, Self::Narrow, Self::Question, Self::Stop, Self::Other];

    /// The word in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Narrow => "narrow",
            Self::Question => "question",
            Self::Stop => "stop",
            Self::Other => "other",
        }
    }
}

/// What the person's last prompts ask for. Nothing where none is known to be the person's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// What the last prompt asks for; `None` if that is not known.
    pub class: Option<PromptClass>,
    /// A job was asked for in this session, by the last prompt or an earlier one, and nobody has ended it since.
    pub has_job: bool,
    /// The steps that a narrow prompt is bounded by, as it names them: a number, or words of the step. Empty where it is
    /// bounded otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<String>,
}

impl Asked {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
