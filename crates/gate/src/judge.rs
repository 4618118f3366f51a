//! What a judge is asked, and what counts as an answer: pure, and trusting nothing that a model or a message says.
//!
//! A judge picks from numbered choices that are known to be true; it cannot name a file or a commit itself. What it
//! writes in its own words goes to the log and to `explain`, never into a reminder.

mod answer;
mod prompt;
#[cfg(test)]
mod tests;

use std::fmt;

pub use answer::MAX_ANSWER_BYTES;
pub use prompt::JudgePrompt;

use super::RuleId;
use super::evidence::{EvidencePointer, is_safe_path};
use super::facts::{Facts, Plan};
use super::signals::Signals;
use stopgate_core::checkout::object_id;
use stopgate_core::decision::Decision;
use stopgate_core::redact::redact;
use stopgate_core::text::{one_line, tail};

/// How much of the message's end is shown, in bytes: three turns of 2,000 characters, which an earlier gate showed.
const MAX_MESSAGE_BYTES: usize = 6_000;
/// How many plans and commits are offered.
const MAX_PLANS: usize = 8;
const MAX_COMMITS: usize = 12;
/// Longest words of a judge, or about its failure, that are kept, in characters.
const MAX_DETAIL_CHARS: usize = 200;

/// What a judge is asked about one stop. Holds no secret and nothing that may not leave the machine besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeQuestion {
    message: String,
    signals: Signals,
    /// What may be pointed to: plans that predate the session, each of a safe path.
    plans: Vec<Plan>,
    /// Commits of the session by their full object ids.
    commits: Vec<String>,
}

impl JudgeQuestion {
    /// The question about a stop with this last message, in which `signals` were heard, among `facts`.
    pub fn new(message: &str, signals: Signals, facts: &Facts) -> Self {
        let offered = |plan: &&Plan| plan.predates_session && plan.open_steps > 0 && is_safe_path(&plan.path);
        let plans: Vec<Plan> = facts.plans.iter().filter(offered).take(MAX_PLANS).cloned().collect();
        // The newest of each plan first: a cut must not take what U1 would rest on.
        let newest = plans.iter().filter_map(|plan| plan.session_commits.first());
        let mut commits: Vec<String> = Vec::new();
        for commit in newest.chain(&facts.session_commits) {
            if commits.len() < MAX_COMMITS && object_id(commit).is_some() && !commits.contains(commit) {
                commits.push(commit.clone());
            }
        }
        let age = |commit: &String| facts.session_commits.iter().position(|known| known == commit);
        commits.sort_by_key(|commit| age(commit).unwrap_or(usize::MAX));
        // Redacted before it is cut, so that no half of a secret is left.
        let message = tail(&redact(message), MAX_MESSAGE_BYTES).to_owned();
        Self { message, signals, plans, commits }
    }

    /// Whether there is a plan that a continue could rest on. Without one the answer would change nothing.
    pub fn offers_a_plan(&self) -> bool {
        !self.plans.is_empty()
    }

    /// Reads a judge's answer to this question. Every answer but a valid one is a failure.
    pub fn read(&self, answer: &str) -> Result<Opinion, JudgeFailure> {
        answer::read(self, answer)
    }

    /// The facts that were offered, as the evidence check wants them.
    fn offered_facts(&self) -> Facts {
        Facts { plans: self.plans.clone(), session_commits: self.commits.clone(), ..Facts::default() }
    }
}

/// What a judge thinks of a stop, validated: the rule stands for the decision, and a continue rests on an artifact
/// that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The rule it cites.
    pub rule: RuleId,
    /// What a continue rests on; `None` for every other decision.
    pub evidence: Option<EvidencePointer>,
    /// The judge's own words, redacted, one line: for log and `explain` only.
    pub rationale: String,
}

impl Opinion {
    /// The decision that the rule stands for.
    pub fn decision(&self) -> Decision {
        self.rule.decision()
    }
}

/// How a judge failed. The names are public contract (`fail_open`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No answer in time.
    Timeout,
    /// It cannot be reached or started, or gave up.
    Unavailable,
    /// It wants another key (401, 403), or the configured one is not there.
    Unauthorised,
    /// It has been asked too often (429).
    RateLimited,
    /// It is broken (5xx).
    ServerError,
    /// The answer does not have the form that was asked for.
    Malformed,
    /// The rule it cites does not exist.
    InvalidRule,
    /// A pointer that the rule needs is missing.
    MissingPointer,
    /// A pointer was not offered, or belongs to another artifact.
    InvalidEvidence,
    /// It is left alone after failures in a row.
    BreakerOpen,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Timeout,
        Self::Unavailable,
        Self::Unauthorised,
        Self::RateLimited,
        Self::ServerError,
        Self::Malformed,
        Self::InvalidRule,
        Self::MissingPointer,
        Self::InvalidEvidence,
        Self::BreakerOpen,
    ];

    /// The word in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unauthorised => "unauthorised",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::InvalidRule => "invalid_rule",
            Self::MissingPointer => "missing_pointer",
            Self::InvalidEvidence => "invalid_evidence",
            Self::BreakerOpen => "breaker_open",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A judge that gave no valid answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgeFailure {
    /// How it failed.
    pub kind: FailureKind,
    /// The circumstances, one line without secrets: for log and `explain` only.
    pub detail: String,
}

impl JudgeFailure {
    /// A failure of `kind`; `detail` may come from outside: it is redacted and cut.
    pub fn new(kind: FailureKind, detail: &str) -> Self {
        Self { kind, detail: own_words(detail) }
    }
}

impl fmt::Display for JudgeFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind, self.detail)
    }
}

/// Words from outside as they are kept. What is cut off was redacted too, and of that no more than can matter.
fn own_words(text: &str) -> String {
    one_line(&redact(stopgate_core::text::head(text, 64 * 1024)), MAX_DETAIL_CHARS)
}
