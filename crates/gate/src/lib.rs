//! The gate's judgement: pure functions from typed input to a typed decision.
//!
//! A stop runs through [`circumstances`] -> [`signals`] -> facts (gathered by the authority, typed in [`facts`]) ->
//! [`rules`] -> [`evidence`] -> [`turn`] -> verdict: [`pipeline`]. Every stage can only let go, except the rules, and
//! what the rules want has to survive the stages after them.

pub mod breaker;
pub mod circumstances;
pub mod evidence;
pub mod facts;
pub mod judge;
mod markdown;
mod phrases;
pub mod pipeline;
mod prose;
pub mod reminder;
pub mod report;
pub mod rules;
pub mod signals;
pub mod transcript;
pub mod turn;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stopgate_core::decision::{Decision, UnknownName};

pub use evidence::EvidencePointer;

/// Which rule decided. The ids are public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RuleId {
    /// Continue: a plan predates the session and a commit of the session moved that very plan on.
    #[serde(rename = "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE")]
    DurableArtifact,
    /// Continue: a plan that predates the session states the next step.
    #[serde(rename = "U2_PLAN_FILE_NEXT_STEP_EXPLICIT")]
    PlanNextStep,
    /// Continue: a commit of the session shows step-wise progress and a plan holds what remains.
    #[serde(rename = "U3_RECENT_COMMIT_PROVES_INCREMENTAL")]
    RecentCommit,
    /// Continue: the harness's own task list of the session has an open item.
    #[serde(rename = "U4_TASK_LIST_PENDING")]
    TaskListPending,
    /// Allow: a question that only the person can answer.
    #[serde(rename = "U_LEGIT_DESIGN_QUESTION")]
    LegitDesignQuestion,
    /// Allow: the next step needs somebody's agreement.
    #[serde(rename = "U_LEGIT_APPROVAL_NEEDED")]
    LegitApproval,
    /// Allow: needs something that only the person or the environment can give.
    #[serde(rename = "U_LEGIT_MISSING_INFO")]
    LegitMissingInfo,
    /// Allow: blocked by an error the agent cannot mend.
    #[serde(rename = "U_LEGIT_ERROR")]
    LegitError,
    /// Allow: waits for a job, a service or another person.
    #[serde(rename = "U_LEGIT_EXTERNAL_WAIT")]
    LegitWait,
    /// Allow: the scope is finished.
    #[serde(rename = "U_LEGIT_COMPLETION")]
    LegitCompletion,
    /// Allow: the person asked for this stop.
    #[serde(rename = "U_LEGIT_AS_ASKED")]
    LegitAsAsked,
    /// Allow: work the agent could do is left for later, and there is no plan or task list to hold it to; recorded only.
    #[serde(rename = "U_SELF_DEFERRAL")]
    SelfDeferral,
    /// Allow: the session works on the gate itself.
    #[serde(rename = "U_META_SELF_REFERENCE")]
    MetaSelfReference,
    /// Escalate: undecidable.
    #[serde(rename = "U_AMBIGUOUS_INSUFFICIENT_SIGNAL")]
    AmbiguousInsufficientSignal,
}

impl RuleId {
    /// All rules.
    pub const ALL: [Self; 14] = [
        Self::DurableArtifact,
        Self::PlanNextStep,
        Self::RecentCommit,
        Self::TaskListPending,
        Self::LegitDesignQuestion,
        Self::LegitApproval,
        Self::LegitMissingInfo,
        Self::LegitError,
        Self::LegitWait,
        Self::LegitCompletion,
        Self::LegitAsAsked,
        Self::SelfDeferral,
        Self::MetaSelfReference,
        Self::AmbiguousInsufficientSignal,
    ];

    /// The id in the store, in JSON and on screen.
    pub const fn id(self) -> &'static str {
        match self {
            Self::DurableArtifact => "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE",
            Self::PlanNextStep => "U2_PLAN_FILE_NEXT_STEP_EXPLICIT",
            Self::RecentCommit => "U3_RECENT_COMMIT_PROVES_INCREMENTAL",
            Self::TaskListPending => "U4_TASK_LIST_PENDING",
            Self::LegitDesignQuestion => "U_LEGIT_DESIGN_QUESTION",
            Self::LegitApproval => "U_LEGIT_APPROVAL_NEEDED",
            Self::LegitMissingInfo => "U_LEGIT_MISSING_INFO",
            Self::LegitError => "U_LEGIT_ERROR",
            Self::LegitWait => "U_LEGIT_EXTERNAL_WAIT",
            Self::LegitCompletion => "U_LEGIT_COMPLETION",
            Self::LegitAsAsked => "U_LEGIT_AS_ASKED",
            Self::SelfDeferral => "U_SELF_DEFERRAL",
            Self::MetaSelfReference => "U_META_SELF_REFERENCE",
            Self::AmbiguousInsufficientSignal => "U_AMBIGUOUS_INSUFFICIENT_SIGNAL",
        }
    }

    /// Why the rule decides as it does, in one line.
    pub const fn rationale(self) -> &'static str {
        match self {
            Self::DurableArtifact => "the state of the work is on record in the plan, so nothing is lost by going on",
            Self::PlanNextStep => "the plan says what comes next, so nothing is for the person to decide",
            Self::RecentCommit => "the session works step by step, and a plan holds the steps that remain",
            Self::TaskListPending => "the agent's own task list has an open item that it wrote down itself",
            Self::LegitDesignQuestion => "a person is asked, and going on would answer for them",
            Self::LegitApproval => "what comes next needs somebody's agreement first",
            Self::LegitMissingInfo => "something is missing that the agent cannot get for itself",
            Self::LegitError => "an error outside the agent's reach is in the way",
            Self::LegitWait => "the world has to do something first; a turn spent waiting is wasted",
            Self::LegitCompletion => "what was asked for is finished",
            Self::LegitAsAsked => "the person said where to stop, and the person comes first",
            Self::SelfDeferral => "work is left for later, but nothing on record says that it has to be done now",
            Self::MetaSelfReference => "whoever works on the gate writes its phrases without meaning them",
            Self::AmbiguousInsufficientSignal => "reasons for both are there and neither outweighs the other",
        }
    }

    /// The decision that a finding of this rule stands for.
    pub const fn decision(self) -> Decision {
        match self {
            Self::DurableArtifact | Self::PlanNextStep | Self::RecentCommit | Self::TaskListPending => {
                Decision::Continue
            }
            Self::AmbiguousInsufficientSignal => Decision::Escalate,
            _ => Decision::Allow,
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.id())
    }
}

impl FromStr for RuleId {
    type Err = UnknownName;

    fn from_str(id: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|rule| rule.id() == id).ok_or(UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_wire_are_the_names_in_the_store() {
        for rule in RuleId::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.id());
            assert_eq!(rule.id().parse(), Ok(rule));
        }
        for decision in [Decision::Allow, Decision::Continue, Decision::Escalate, Decision::ForceAllow] {
            assert_eq!(serde_json::to_value(decision).unwrap(), decision.name());
            assert_eq!(decision.name().parse(), Ok(decision));
        }
        let continues = RuleId::ALL.into_iter().filter(|rule| rule.decision() == Decision::Continue);
        assert_eq!(continues.count(), 4, "every other rule can only let go");
    }
}
