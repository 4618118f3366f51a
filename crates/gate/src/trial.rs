//! A stop that is only tried: what it is made of, and what would come of it. Nobody has stopped, and nothing is kept.

use std::path::PathBuf;

use stopgate_core::decision::Decision;
use stopgate_core::session::Harness;

use crate::model::Correction;
use crate::pipeline::{Recording, Trace};
use crate::rules::RuleMode;
use crate::rules::switches::RuleSwitches;

/// What somebody tries.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What the agent says last.
    pub message: String,
    /// What the person asked for, oldest first.
    pub prompts: Vec<String>,
    /// The directory that the agent works in.
    pub directory: PathBuf,
    /// The plan that the job is about: the session has worked on it.
    pub plan: Option<PathBuf>,
    /// How many steps of that plan the session has ticked.
    pub ticked: usize,
    /// How many of the newest commits of the checkout are the session's.
    pub commits: u32,
    /// The client.
    pub harness: Harness,
    /// A script reads the answer (`claude -p`, `codex exec`).
    pub headless: bool,
    /// The client is in plan mode.
    pub plan_mode: bool,
    /// What was said of single rules.
    pub rule_switches: RuleSwitches,
    /// What was learned of the operator's grades.
    pub learned: Option<Correction>,
}

/// What would come of it.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What the stages were given, and what the world answered.
    pub recording: Recording,
    /// What they found.
    pub trace: Trace,
    /// What the agent would receive; empty unless it would be held.
    pub reminder: String,
}

impl Tried {
    /// Whether the agent would be sent back in enforce.
    pub fn would_hold(&self) -> bool {
        self.trace.decision() == Decision::Continue && self.kept_back().is_none()
    }

    /// Why the agent would not be sent back in enforce although a rule finds that it should go on.
    pub fn kept_back(&self) -> Option<RuleMode> {
        let rule = self.trace.rule.filter(|_| self.trace.decision() == Decision::Continue)?;
        self.recording.inputs.rule_modes.of_rule(rule)
    }
}

/// Why something cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotTry {
    /// The argument that is wrong.
    pub argument: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What mends it.
    pub remedy: &'static str,
}

impl std::fmt::Display for CannotTry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.argument, self.problem)
    }
}

impl std::error::Error for CannotTry {}
