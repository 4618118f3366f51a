//! The rules, a row each: id, what a finding stands for, why, what is told to the agent and to a judge. All that is
//! to be known of a rule is read from here; [`super::decide`] says only which speaks first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stopgate_core::checkout::object_id;
use stopgate_core::decision::{Decision, UnknownName};

use crate::evidence::{EvidenceFault, EvidencePointer, is_safe_path};
use crate::facts::{Facts, Plan};
use crate::signals::Signal;

/// What is to be known of a rule, besides its id.
struct RuleRow {
    /// What a finding stands for, and what leads to it.
    finds: Finds,
    /// Why the rule decides as it does, in one line.
    rationale: &'static str,
    /// What a judge is told of it; `None` where a judge may not cite it.
    judge: Option<&'static str>,
}

/// What a finding of a rule stands for.
enum Finds {
    /// Continue: it rests on this, and the agent is given that text.
    Work { on: Basis, reminder: &'static str },
    /// Allow: what this signal says of the message is a legitimate reason, and wins over every excuse.
    Legitimate(Signal),
    /// Allow: what [`super::decide`], or a judge, sees.
    LetGo,
    /// Escalate.
    Undecidable,
}

/// Makes [`RuleId`] and the rows from one description. What is written above a rule says when it speaks: in the
/// documentation of its variant, and in the table of `docs/gate.md`.
macro_rules! rules {
    ($(
        $(#[doc = $when:literal])+
        $rule:ident = $id:literal { $($row:tt)+ }
    )+) => {
        /// Which rule decided. The ids are public contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RuleId {
            $($(#[doc = $when])+ #[serde(rename = $id)] $rule,)+
        }

        impl RuleId {
            /// All rules.
            pub const ALL: [Self; [$($id),+].len()] = [$(Self::$rule),+];

            /// The id in the store, in JSON and on screen.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$rule => $id,)+ }
            }

            /// When it speaks, where there is an excuse or a promise.
            #[cfg(test)]
            const fn when(self) -> &'static str {
                match self { $(Self::$rule => concat!($($when),+),)+ }
            }

            const fn row(self) -> &'static RuleRow {
                match self { $(Self::$rule => const { &RuleRow { $($row)+ } },)+ }
            }
        }
    };
}

rules! {
    /// a plan from before the session has an open step, and a commit of the session moved that plan on
    DurableArtifact = "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE" {
        finds: Finds::Work {
            on: Basis::MovedPlan,
            reminder: include_str!("../../../../templates/reminders/u1.txt"),
        },
        rationale: "the state of the work is on record in the plan, so nothing is lost by going on",
        judge: Some(
            "an offered commit of this session moved an offered plan on, and the plan has an open step. Needs \
             \"plan\", and a \"commit\" that is listed for that very plan.",
        ),
    }

    /// a plan from before the session names the next step
    PlanNextStep = "U2_PLAN_FILE_NEXT_STEP_EXPLICIT" {
        finds: Finds::Work {
            on: Basis::Plan,
            reminder: include_str!("../../../../templates/reminders/u2.txt"),
        },
        rationale: "the plan says what comes next, so nothing is for the person to decide",
        judge: Some("an offered plan says what comes next. Needs \"plan\"; \"commit\" is null."),
    }

    /// a plan from before the session holds what remains, and a commit of the session moved something on
    RecentCommit = "U3_RECENT_COMMIT_PROVES_INCREMENTAL" {
        finds: Finds::Work {
            on: Basis::PlanAndCommit,
            reminder: include_str!("../../../../templates/reminders/u3.txt"),
        },
        rationale: "the session works step by step, and a plan holds the steps that remain",
        judge: Some(
            "an offered commit of this session shows step-by-step progress, and an offered plan holds what remains. \
             Needs \"plan\" and \"commit\".",
        ),
    }

    /// no plan, but the session's own task list has an open item
    TaskListPending = "U4_TASK_LIST_PENDING" {
        finds: Finds::Work {
            on: Basis::Task,
            reminder: include_str!("../../../../templates/reminders/u4.txt"),
        },
        rationale: "the agent's own task list has an open item that it wrote down itself",
        judge: None,
    }

    /// all is said to be done, without an excuse, and the plan of the job has an open step; once for each prompt
    PlanNotUpdated = "U5_PLAN_NOT_UPDATED" {
        finds: Finds::Work {
            on: Basis::ClaimedPlan,
            reminder: include_str!("../../../../templates/reminders/u5.txt"),
        },
        rationale: "either the plan is not up to date or the work is not done, and only the agent knows which",
        judge: None,
    }

    /// the message asks what only the person can answer
    LegitDesignQuestion = "U_LEGIT_DESIGN_QUESTION" {
        finds: Finds::Legitimate(Signal::AsksQuestion),
        rationale: "a person is asked, and going on would answer for them",
        judge: Some("a real decision that only the person can take."),
    }

    /// what comes next needs somebody's agreement
    LegitApproval = "U_LEGIT_APPROVAL_NEEDED" {
        finds: Finds::Legitimate(Signal::ApprovalNeeded),
        rationale: "what comes next needs somebody's agreement first",
        judge: None,
    }

    /// something is missing that only the person or the environment can give
    LegitMissingInfo = "U_LEGIT_MISSING_INFO" {
        finds: Finds::Legitimate(Signal::MissingInfo),
        rationale: "something is missing that the agent cannot get for itself",
        judge: Some(
            "something only the person or the outside world can give: a credential, a choice, an approval, a result \
             that is waited for.",
        ),
    }

    /// an error that the agent cannot mend is in the way
    LegitError = "U_LEGIT_ERROR" {
        finds: Finds::Legitimate(Signal::BlockedByError),
        rationale: "an error outside the agent's reach is in the way",
        judge: Some("blocked by an error the agent cannot mend."),
    }

    /// the agent waits for a job, a service or another person
    LegitWait = "U_LEGIT_EXTERNAL_WAIT" {
        finds: Finds::Legitimate(Signal::WaitsOutside),
        rationale: "the world has to do something first; a turn spent waiting is wasted",
        judge: None,
    }

    /// what was asked for is finished
    LegitCompletion = "U_LEGIT_COMPLETION" {
        finds: Finds::Legitimate(Signal::ClaimsCompletion),
        rationale: "what was asked for is finished",
        judge: Some("what was asked for is finished, or the offered plans have nothing to do with it."),
    }

    /// the person asked for this stop
    LegitAsAsked = "U_LEGIT_AS_ASKED" {
        finds: Finds::Legitimate(Signal::AsAsked),
        rationale: "the person said where to stop, and the person comes first",
        judge: None,
    }

    /// the agent leaves work for later, and nothing on record says that it has to be done now
    SelfDeferral = "U_SELF_DEFERRAL" {
        finds: Finds::LetGo,
        rationale: "work is left for later, but nothing on record says that it has to be done now",
        judge: None,
    }

    /// the checkout is stopgate's own
    MetaSelfReference = "U_META_SELF_REFERENCE" {
        finds: Finds::LetGo,
        rationale: "whoever works on the gate writes its phrases without meaning them",
        judge: Some("the session works on the stop gate itself."),
    }

    /// a judge cannot tell: let go, and marked for a person
    AmbiguousInsufficientSignal = "U_AMBIGUOUS_INSUFFICIENT_SIGNAL" {
        finds: Finds::Undecidable,
        rationale: "reasons for both are there and neither outweighs the other",
        judge: Some("you cannot tell."),
    }
}

impl RuleId {
    /// Why the rule decides as it does, in one line.
    pub const fn rationale(self) -> &'static str {
        self.row().rationale
    }

    /// The decision that a finding of this rule stands for.
    pub const fn decision(self) -> Decision {
        match self.row().finds {
            Finds::Work { .. } => Decision::Continue,
            Finds::Legitimate(_) | Finds::LetGo => Decision::Allow,
            Finds::Undecidable => Decision::Escalate,
        }
    }

    /// The rules that can hold a stop.
    pub fn holding() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|rule| rule.basis().is_some())
    }

    /// What people call it: `U3`, or the whole id of a rule that has no number.
    pub fn short(self) -> &'static str {
        let name = self.id().split('_').next().unwrap_or_default();
        if name == "U" { self.id() } else { name }
    }

    /// The rule that can hold a stop of this name, short or whole.
    pub fn holding_by_name(name: &str) -> Option<Self> {
        Self::holding().find(|rule| [rule.id(), rule.short()].contains(&name))
    }

    /// The signal that makes a stop legitimate by this rule, whatever else there is.
    pub(crate) const fn legitimate_signal(self) -> Option<Signal> {
        match self.row().finds {
            Finds::Legitimate(signal) => Some(signal),
            _ => None,
        }
    }

    /// What a continue by this rule rests on; `None` for every rule that lets go.
    pub const fn basis(self) -> Option<Basis> {
        match self.row().finds {
            Finds::Work { on, .. } => Some(on),
            _ => None,
        }
    }

    /// The template of what the agent is told by it; `None` for every rule that lets go.
    pub(crate) const fn reminder(self) -> Option<&'static str> {
        match self.row().finds {
            Finds::Work { reminder, .. } => Some(reminder),
            _ => None,
        }
    }

    /// What a judge is told of it; `None` where a judge may not cite it.
    pub(crate) const fn for_judge(self) -> Option<&'static str> {
        self.row().judge
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

/// What a continue rests on: the strongest evidence comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// A plan that was itself moved on by a commit of the session, so the state of the work is on record.
    MovedPlan,
    /// A tracked plan that holds what remains, while the session commits step by step.
    PlanAndCommit,
    /// A plan that says what comes next; no commit yet.
    Plan,
    /// An open item of the harness's own task list.
    Task,
    /// A plan with an open step, beside the agent's word that all is done ([`super::plan_not_updated`] alone finds it).
    ClaimedPlan,
}

impl Basis {
    /// The commits of which one has to show progress; `None` where none is needed.
    fn progress<'a>(self, plan: &'a Plan, facts: &'a Facts) -> Option<&'a [String]> {
        match self {
            Self::MovedPlan => Some(&plan.session_commits),
            Self::PlanAndCommit => Some(&facts.session_commits),
            Self::Plan | Self::Task | Self::ClaimedPlan => None,
        }
    }

    /// Whether a commit has to show progress.
    pub(crate) const fn needs_commit(self) -> bool {
        matches!(self, Self::MovedPlan | Self::PlanAndCommit)
    }

    /// The first among the facts that a continue could rest on, of the plans that it may rest on.
    pub(crate) fn find(self, facts: &Facts, rests_on: &dyn Fn(&Plan) -> bool) -> Option<EvidencePointer> {
        if self == Self::ClaimedPlan {
            return None;
        }
        if self == Self::Task {
            return facts.open_tasks().next().map(|task| EvidencePointer::of_task(&task.text));
        }
        facts.plans.iter().filter(|plan| plan.predates_session && rests_on(plan)).find_map(|plan| {
            let incremental = match self.progress(plan, facts) {
                // The commit that brought the plan in shows no progress on it.
                Some(commits) => {
                    let introduced = plan.introduced_by.as_ref()?;
                    Some(commits.iter().find(|commit| *commit != introduced)?)
                }
                None => None,
            };
            Some(EvidencePointer::of_plan(plan, incremental))
        })
    }

    /// Checks `pointer` against `facts`: what this rests on is named, and every pointer belongs to the same artifact.
    pub fn check(self, pointer: &EvidencePointer, facts: &Facts) -> Result<(), EvidenceFault> {
        if self == Self::Task {
            let task = pointer.task.as_ref().ok_or(EvidenceFault::MissingPointer)?;
            let is_open = facts.open_tasks().any(|open| open.text == *task);
            return if is_open { Ok(()) } else { Err(EvidenceFault::UnknownTask) };
        }
        if !is_safe_path(&pointer.plan_file) {
            return Err(EvidenceFault::UnsafePath);
        }
        let ids = [&pointer.plan_commit_sha, &pointer.incremental_commit_sha];
        if ids.into_iter().flatten().any(|id| object_id(id).is_none()) {
            return Err(EvidenceFault::NotAnObjectId);
        }
        let plan = facts.plans.iter().find(|plan| plan.path == pointer.plan_file).ok_or(EvidenceFault::UnknownPlan)?;
        if !plan.predates_session {
            return Err(EvidenceFault::NotBeforeSession);
        }
        if pointer.plan_commit_sha.is_some() && pointer.plan_commit_sha != plan.introduced_by {
            return Err(EvidenceFault::ForeignPlanCommit);
        }
        let Some(commits) = self.progress(plan, facts) else {
            return Ok(());
        };
        let (Some(_), Some(incremental)) = (&pointer.plan_commit_sha, &pointer.incremental_commit_sha) else {
            return Err(EvidenceFault::MissingPointer);
        };
        if commits.contains(incremental) { Ok(()) } else { Err(EvidenceFault::ForeignIncrementalCommit) }
    }
}

#[cfg(test)]
mod tests;
