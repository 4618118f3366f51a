//! The stages of a verdict in their order, as one function that runs live and, on what was written down, again.

use serde::{Deserialize, Serialize};

use super::asked::{Asked, PromptClass};
use super::evidence::{EvidenceFault, EvidencePointer};
use super::facts::{Facts, Plan, PlanRelation};
use super::model::Reading;
use super::rules::{self, Grounds, RuleFinding, RuleId, RuleModes, Weighed, Weighing};
use super::signals::{self, Signal, Signals};
use super::turn::{self, Ceilings, PersonTurn};
use super::turn_end::TurnEnd;
use crate::circumstances::{self, Circumstances};
use stopgate_core::decision::Decision;
use stopgate_core::release::Release;

/// What a verdict depends on, besides the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// What is known before the message is read.
    pub circumstances: Circumstances,
    /// The end of what the agent said last, without secrets: what is judged is what is written down.
    pub message: String,
    /// The person's turn and the session's day.
    pub turn: PersonTurn,
    /// What limits continues.
    pub limits: Ceilings,
    /// Whether somebody is configured who judges what the rules cannot decide.
    #[serde(default, alias = "hasJudge")]
    pub has_judge: bool,
    /// What is on record of how the turn ended.
    #[serde(default, skip_serializing_if = "TurnEnd::is_unknown")]
    pub turn_end: TurnEnd,
    /// Which rules may do less than the mode.
    #[serde(default, skip_serializing_if = "RuleModes::is_empty")]
    pub rule_modes: RuleModes,
    /// How the message reads to the model; `None` in what 0.1.0 wrote down, which is judged by its rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// What came of asking a judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Judgement {
    /// Nobody was asked, which is no failure.
    #[serde(alias = "notAsked")]
    NotAsked {
        /// Why.
        why: String,
    },
    /// No valid answer: the rules' own word stands.
    Failed {
        /// The kind, as in `fail_open`.
        kind: String,
        /// What happened.
        detail: String,
    },
    /// A valid answer.
    Opinion {
        /// The rule it cites.
        rule: RuleId,
        /// What a continue rests on.
        evidence: Option<EvidencePointer>,
        /// The judge's own words, without secrets: never for an agent.
        rationale: String,
    },
}

/// What the pipeline asks of the world, each at most once, and only when a stage needs it.
pub trait PipelineWorld {
    /// The facts.
    fn facts(&mut self) -> Facts;
    /// What a judge makes of a stop that the rules cannot decide.
    fn judge(&mut self, signals: &Signals, facts: &Facts) -> Judgement;
    /// Whether the evidence exists as well as holds together.
    fn verify(&mut self, evidence: &EvidencePointer) -> Result<(), EvidenceFault>;
}

/// What the world answered: with it, a verdict can be reached again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// The facts, if they were asked for.
    pub facts: Option<Facts>,
    /// What the judge said, if it came to that.
    pub judgement: Option<Judgement>,
    /// Why the evidence was refused, if it was.
    pub refused: Option<EvidenceFault>,
}

impl PipelineWorld for Answers {
    fn facts(&mut self) -> Facts {
        self.facts.clone().unwrap_or_default()
    }

    fn judge(&mut self, _: &Signals, _: &Facts) -> Judgement {
        self.judgement.clone().unwrap_or(Judgement::NotAsked { why: "not-recorded".to_owned() })
    }

    fn verify(&mut self, _: &EvidencePointer) -> Result<(), EvidenceFault> {
        self.refused.map_or(Ok(()), Err)
    }
}

/// What each stage found.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Why the stop was let go without a rule, or in spite of one.
    pub release: Option<Release>,
    /// What the message says; `None` when it was not read.
    pub signals: Option<Signals>,
    /// The facts, if they were gathered.
    pub facts: Option<Facts>,
    /// What the judge said, if one was asked.
    pub judgement: Option<Judgement>,
    /// The rule that spoke.
    pub rule: Option<RuleId>,
    /// What decided, in the rules' own words; `None` where a judge did, or nothing of it was judged.
    pub why: Option<Grounds>,
    /// What its continue rests on.
    pub evidence: Option<EvidencePointer>,
    /// Why that was refused.
    pub refused: Option<EvidenceFault>,
    /// Whether `release` is a ceiling that a continue has met.
    pub forced: bool,
}

impl Trace {
    /// The decision.
    pub fn decision(&self) -> Decision {
        match self.rule {
            Some(_) if self.forced => Decision::ForceAllow,
            Some(rule) if self.refused.is_none() => rule.decision(),
            _ => Decision::Allow,
        }
    }

    /// The hash of the facts that a continue rests on; `None` when this is none.
    pub fn continues(&self) -> Option<&str> {
        let facts = self.facts.as_ref().filter(|_| self.decision() == Decision::Continue)?;
        Some(&facts.fingerprint)
    }

    /// The last stage: a continue has to keep within the ceilings. Apart from the others because the turn must not
    /// change between this and writing the continue down.
    #[must_use]
    pub fn limited(mut self, turn: &PersonTurn, ceilings: &Ceilings) -> Self {
        if let Some(fingerprint) = self.continues() {
            self.release = turn::ceiling(turn, ceilings, fingerprint);
            self.forced = self.release.is_some();
        }
        self
    }

    fn released(mut self, release: Release) -> Self {
        self.release = Some(release);
        self
    }

    fn weighed(mut self, found: Weighed) -> Self {
        self.release = found.release;
        self.why = Some(found.why);
        self.found(found.finding)
    }

    fn found(mut self, finding: RuleFinding) -> Self {
        self.rule = finding.rule;
        self.evidence = finding.evidence;
        self
    }
}

/// Runs the stages up to the verified finding; what is left is [`Trace::limited`].
pub fn run(inputs: &Inputs, world: &mut dyn PipelineWorld) -> Trace {
    run_heard(inputs, signals::detect(&inputs.message), world)
}

/// [`run`] with what the message is known to say; `inputs` need not hold it.
pub fn run_heard(inputs: &Inputs, signals: Signals, world: &mut dyn PipelineWorld) -> Trace {
    match Weighing::checked_in() {
        Some(weighing) => run_by(weighing, inputs, signals, world),
        None => Trace::default().released(Release::ReadsLegitimate),
    }
}

/// [`run_heard`] by other weights.
pub fn run_by(weighing: &Weighing, inputs: &Inputs, signals: Signals, world: &mut dyn PipelineWorld) -> Trace {
    let mut trace = Trace::default();
    if let Some(release) = circumstances::before_judging(&inputs.circumstances, &inputs.turn) {
        return trace.released(release);
    }
    let signals = trace.signals.insert(signals).clone();
    let rules = Rules::of(weighing, inputs, &signals);
    let early = rules.before_facts();
    let asks_judge = inputs.has_judge && rules.asks_judge(early.as_ref());
    if let Some(found) = early.clone().filter(|_| !asks_judge) {
        return trace.weighed(found);
    }
    let facts = trace.facts.insert(world.facts()).clone();
    if !facts.live_builds.is_empty() {
        return trace.released(Release::LiveBuild);
    }
    let mut trace = if asks_judge {
        match trace.judgement.insert(world.judge(&signals, &facts)).clone() {
            Judgement::Opinion { rule, evidence, .. } => {
                let rule = Some(rule).filter(|rule| !inputs.rule_modes.silences(*rule));
                trace.found(RuleFinding { rule, evidence })
            }
            Judgement::Failed { .. } | Judgement::NotAsked { .. } => match early {
                Some(found) => return trace.weighed(found),
                None => trace.weighed(rules.with(&facts, &inputs.rule_modes)),
            },
        }
    } else {
        trace.weighed(rules.with(&facts, &inputs.rule_modes))
    };
    let Some(rule) = trace.rule else {
        return if trace.release.is_some() { trace } else { trace.released(Release::NoEvidence) };
    };
    let Some(basis) = rule.basis() else {
        return trace;
    };
    trace.refused = match &trace.evidence {
        None => Some(EvidenceFault::MissingPointer),
        Some(pointer) => rules
            .may_rest_on(pointer, &facts)
            .and_then(|()| basis.check(pointer, &facts))
            .and_then(|()| world.verify(pointer))
            .err(),
    };
    trace
}

/// What the message and what is known of the prompts decide before the transcript and the checkout are looked at: the
/// stop is let go, whatever else there is to know (which can only be another reason to let it go). `None` where that could
/// hold it. [`run`] comes to the same decision. `asked` is `None` where the prompts are not known yet.
pub fn foregone(signals: &Signals, reading: &Reading, asked: Option<&Asked>, has_judge: bool) -> Option<Trace> {
    let turn = PersonTurn { asked: asked.cloned().unwrap_or_default(), ..PersonTurn::default() };
    let turn_end = TurnEnd::default();
    let weighing = Weighing::checked_in()?;
    let stop = rules::KnownStop { signals, reading, turn: &turn, turn_end: &turn_end, weighing };
    let rules = Rules::New(stop);
    let found = rules::before_facts(&stop, asked.is_some())?;
    let asks_judge = has_judge && rules.asks_judge(Some(&found));
    (!asks_judge).then(|| Trace { signals: Some(signals.clone()), ..Trace::default() }.weighed(found))
}

/// What speaks for holding a stop in the middle of a job, in thousandths of log-odds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobGrounds {
    /// All of it together.
    pub log_odds: i32,
    /// Above this the stop is held.
    pub holds_above: i32,
    /// What each ground adds, the strongest first.
    pub strongest: Vec<(&'static str, i32)>,
}

/// What speaks for holding a stop; `None` where no job was asked for by the last prompt, and it decides nothing.
pub fn grounds(inputs: &Inputs, signals: &Signals) -> Option<JobGrounds> {
    let is_job = matches!(inputs.turn.asked.class, Some(PromptClass::Execute | PromptClass::Narrow));
    let weighing = Weighing::checked_in().filter(|_| is_job)?;
    match Rules::of(weighing, inputs, signals) {
        Rules::New(stop) => Some(JobGrounds {
            log_odds: weighing.log_odds(&stop),
            holds_above: weighing.holds_above,
            strongest: weighing.strongest(&stop),
        }),
        Rules::Old(_) => None,
    }
}

/// By which rules a stop is judged.
enum Rules<'a> {
    New(rules::KnownStop<'a>),
    /// Those of 0.1.0, which knew nothing of what was asked for: for what it wrote down.
    Old(&'a Signals),
}

impl<'a> Rules<'a> {
    fn of(weighing: &'a Weighing, inputs: &'a Inputs, signals: &'a Signals) -> Self {
        inputs.reading.as_ref().map_or(Self::Old(signals), |reading| {
            let (turn, turn_end) = (&inputs.turn, &inputs.turn_end);
            Self::New(rules::KnownStop { signals, reading, turn, turn_end, weighing })
        })
    }

    fn before_facts(&self) -> Option<Weighed> {
        match self {
            Self::New(stop) => rules::before_facts(stop, true),
            Self::Old(signals) => rules::legitimate_stop(signals).map(Weighed::of_old).or_else(|| {
                (!signals.wants_to_leave()).then(|| Weighed::released(Release::NoSignal, Grounds::NoExcuse))
            }),
        }
    }

    /// Whether the rules' word is a weak one, of which a judge may know more: an excuse beside a legitimate reason, or talk
    /// of the context window with neither. Without a judge both are let go.
    fn asks_judge(&self, early: Option<&Weighed>) -> bool {
        let (Self::New(rules::KnownStop { signals, .. }) | Self::Old(signals)) = self;
        match early {
            Some(found) if found.finding.rule.is_some() => signals.wants_to_leave(),
            Some(found) if found.why == Grounds::NotAskedFor => false,
            _ => !signals.wants_to_leave() && signals.has(Signal::ContextLimit),
        }
    }

    fn with(&self, facts: &Facts, modes: &RuleModes) -> Weighed {
        match self {
            Self::New(stop) => rules::weigh(stop, facts, modes),
            Self::Old(signals) => Weighed::of_old(rules::decide(signals, facts, modes)),
        }
    }

    /// Whether a continue may rest on `pointer` at all, whoever says so: a plan that the session has nothing to do with holds
    /// nobody.
    fn may_rest_on(&self, pointer: &EvidencePointer, facts: &Facts) -> Result<(), EvidenceFault> {
        let is_untouched = |plan: &Plan| plan.path == pointer.plan_file && plan.relation() == PlanRelation::Untouched;
        match self {
            Self::New(_) if facts.plans.iter().any(is_untouched) => Err(EvidenceFault::UnrelatedPlan),
            _ => Ok(()),
        }
    }
}

/// What a verdict was reached from: written down with it, so that it can be reached again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What the pipeline was given.
    pub inputs: Inputs,
    /// What the world answered.
    pub answers: Answers,
}

impl Recording {
    /// Runs all stages again.
    pub fn replay(&self) -> Trace {
        run(&self.inputs, &mut self.answers.clone()).limited(&self.inputs.turn, &self.inputs.limits)
    }
}

#[cfg(test)]
mod decision_tests;
#[cfg(test)]
mod monotone_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::json::snake_case_fields;

    /// As the first release wrote it, with every answer that there can be.
    const STORED: &str = include_str!("pipeline/stored-0.1.0.json");

    #[test]
    fn what_an_older_version_wrote_down_is_read_and_comes_to_the_same_decision() {
        let recording: Recording = serde_json::from_str(STORED).unwrap();
        let limits = Ceilings { per_prompt: 7, per_day: 70, prompt_wall_clock_ms: 7_000_000, without_progress: false };
        assert_eq!(recording.inputs.limits, limits);
        assert!(recording.inputs.has_judge);
        let trace = recording.replay();
        assert_eq!((trace.decision(), trace.rule), (Decision::Continue, Some(RuleId::DurableArtifact)));
        let written: serde_json::Value = serde_json::to_value(&recording).unwrap();
        let mut stored = serde_json::from_str(STORED).unwrap();
        snake_case_fields(&mut stored);
        assert_eq!(written, stored, "no name is lost");
    }
}
