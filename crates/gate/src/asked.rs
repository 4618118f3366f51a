//! What the person asked for: the burden is on the agent only where there is a job that was asked for.

mod classify;
mod phrases;
mod reading;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::harness::MAX_PROMPT_BYTES;
use stopgate_core::redact::redact;
use stopgate_core::text;

pub use classify::{PromptModels, class_by, class_of, features};
use classify::{Said, read, read_by};

/// What a prompt of the person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The job has bounds, which hold until another is asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_bounded: bool,
    /// The steps that a narrow prompt is bounded by, as it names them: a number, or words of the step. Empty where it is
    /// bounded otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<String>,
    /// How the last prompt reads; `None` in what was kept before that was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odds: Option<PromptOdds>,
}

/// How a prompt reads to the models, in thousandths of log-odds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptOdds {
    /// How much likelier it asks for a job than for the likeliest other thing.
    pub job: i32,
    /// How likely it wants all of the job done, and nobody asked before: for what is still open nobody is waited for.
    pub insists: i32,
}

/// [`Asked`], and the prompt up to which it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedAt {
    /// When that was sent.
    pub at_ms: UnixMillis,
    /// What is asked for since then.
    #[serde(flatten)]
    pub asked: Asked,
    /// The end of that prompt, without secrets ([`SAID_CHARS`]).
    pub said: String,
}

/// How much of a prompt is kept at most, in characters of its end.
pub const SAID_CHARS: usize = 300;

impl AskedAt {
    /// `asked`, by the prompt `said` of `at_ms`.
    pub fn new(at_ms: UnixMillis, asked: Asked, said: &str) -> Self {
        // Redacted before it is cut: no half of a secret is left.
        let said = text::one_line(&redact(said), 2 * MAX_PROMPT_BYTES);
        let from = said.char_indices().rev().nth(SAID_CHARS - 1).map_or(0, |(at, _)| at);
        Self { at_ms, asked, said: said[from..].to_owned() }
    }
}

impl Asked {
    /// What `prompts` ask for, the earliest first; of all that the person said, or the last of it.
    pub fn of<'a>(prompts: impl IntoIterator<Item = &'a str>) -> Self {
        prompts.into_iter().fold(Self::default(), Self::then)
    }

    /// What is asked for when the person says `prompt` after all that came before.
    #[must_use]
    pub fn then(self, prompt: &str) -> Self {
        self.then_said(read(prompt))
    }

    /// [`Asked::of`] by other models.
    pub fn of_by<'a>(models: &PromptModels, prompts: impl IntoIterator<Item = &'a str>) -> Self {
        prompts.into_iter().fold(Self::default(), |asked, prompt| asked.then_said(read_by(Some(models), prompt)))
    }

    fn then_said(self, said: Said) -> Self {
        let Said { class, goes_on, approves, bounds, odds } = said;
        // Who approves of what was proposed wants it done, if anything was asked for before.
        let class = match class {
            PromptClass::Other if approves && self.has_job => PromptClass::Execute,
            class => class,
        };
        let asked = match class {
            // To go on changes no bounds: a narrow job stays one.
            PromptClass::Execute if (goes_on || approves) && self.is_bounded => {
                Self { class: Some(PromptClass::Narrow), has_job: true, ..self }
            }
            PromptClass::Execute => Self { class: Some(class), has_job: true, ..Self::default() },
            PromptClass::Narrow => {
                Self { class: Some(class), has_job: true, is_bounded: true, bounds, ..Self::default() }
            }
            PromptClass::Question | PromptClass::Other => Self { class: Some(class), ..self },
            PromptClass::Stop => Self { class: Some(class), ..Self::default() },
        };
        Self { odds, ..asked }
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
