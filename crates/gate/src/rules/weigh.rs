//! Evidence first, words second: what was asked for and what is on record decide whether the burden is on the agent;
//! what it says, and how that reads, decides the rest.

use super::not_updated::{is_never_ticked, plan_not_updated, plan_of_job, reminder_of};
use super::{RuleFinding, RuleId, RuleModes, Weighing, work_on_record};
use crate::asked::PromptClass;
use crate::facts::{Facts, Plan, PlanRelation};
use crate::model::Reading;
use crate::signals::{Signal, Signals};
use crate::turn::PersonTurn;
use crate::turn_end::{ContextUsage, TurnEnd};
use stopgate_core::release::Release;

/// Above this, in thousandths of log-odds, a message reads like finished work; the boxes may be all that is left.
const READS_DONE: i32 = -1000;
/// The same of what would be held anyway: it is only about which reminder fits.
const MAY_READ_DONE: i32 = -2000;

/// Above this a message outweighs a question that only the person can answer, beside an excuse.
const OUTWEIGHS_QUESTION: i32 = 2000;
/// Below this it agrees with other words that give a reason, beside an excuse.
const AGREES_NEEDY: i32 = -500;
/// How much further above the threshold the odds of a stop have to be whose end gives a reason, in thousandths: without
/// evidence such words count at the end, and decide where the rest is close. Chosen on left-out authors.
const SAID_REASON: i32 = 1000;
/// The same where it asks which of two things is wanted: that takes few words, which say little of a message. Enough for the
/// shortest such questions of the tests.
const OFFERS_A_CHOICE: i32 = 3_500;
/// From this share of the context window on, in percent, it is full: the client cuts or compacts it before a step is done.
const FULL_PERCENT: u64 = 95;

/// What is known of a stop besides the facts.
#[derive(Debug, Clone, Copy)]
pub struct KnownStop<'a> {
    /// What the message says.
    pub signals: &'a Signals,
    /// How it reads.
    pub reading: &'a Reading,
    /// What the person did and asked for.
    pub turn: &'a PersonTurn,
    /// What is on record of the turn's end.
    pub turn_end: &'a TurnEnd,
    /// How much each ground counts.
    pub weighing: &'a Weighing,
}

/// What a stop comes to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// The rule that speaks, and what it rests on.
    pub finding: RuleFinding,
    /// Why the stop is let go, where no rule speaks.
    pub release: Option<Release>,
    /// What decided.
    pub why: Grounds,
}

/// What decided over a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// A reason to stop is on record.
    OnRecord,
    /// The end of the message gives a reason to stop, and no excuse stands beside it.
    SaidAtEnd,
    /// The person asked for something else than what is left.
    NotAskedFor,
    /// Nobody knows what the person asked for.
    AskedUnknown,
    /// The person's last words ask for an end.
    PersonFirst,
    /// The checkout is stopgate's own.
    OwnCheckout,
    /// By its words the agent needs somebody.
    ReadsNeedy,
    /// One step is left, which may be the one that it asks about.
    LastStep,
    /// No plan is being executed, and phrases and text model do not agree on an excuse.
    NoExcuse,
    /// Nothing open has to do with this session.
    NothingOpen,
    /// A plan is being executed, and no reason to stop is on record or said.
    Executing,
    /// An excuse, in the middle of a job that was asked for.
    Excuse,
    /// Phrases and text model agree on an excuse.
    BothAgree,
    /// The plan is more likely out of date than undone.
    NotTicked,
    /// The same, and the agent was told already, or is not to be.
    Told,
}

impl Grounds {
    /// The reason in one sentence, for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::OnRecord => "let go: what ended the turn bears out a reason to stop",
            Self::SaidAtEnd => "let go: the end of the message gives a reason to stop, and no excuse beside it",
            Self::NotAskedFor => "let go: the person did not ask for what is left",
            Self::AskedUnknown => "let go: what the person asked for is not known, and unknown holds nobody",
            Self::PersonFirst => "let go: the person asked for an end",
            Self::OwnCheckout => "let go: this is stopgate's own checkout",
            Self::ReadsNeedy => "let go: the message reads as if somebody were needed",
            Self::LastStep => "let go: one step is left, and it may be the one that the message is about",
            Self::NoExcuse => "let go: no plan is being executed, and phrases and text model see no excuse together",
            Self::NothingOpen => "let go: nothing that is open has to do with this session",
            Self::Executing => "held: the plan is being executed, steps are open, and there is no reason to stop",
            Self::Excuse => "held: an excuse, in the middle of a job that was asked for",
            Self::BothAgree => "held: phrases and text model agree that work is left which was asked for",
            Self::NotTicked => "held: the work seems to be done, but the plan has open boxes",
            Self::Told => "let go: the work seems to be done, and nothing more is said of the plan's open boxes",
        }
    }
}

/// What the job has to do with the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// It was asked for, and is what is left.
    Asked,
    /// It was asked for, but not by the last prompt: only an excuse holds.
    Behind,
    /// Nobody knows: only an excuse holds, and only with a plan that the session worked on.
    Unknown,
}

impl Weighed {
    fn by(rule: RuleId, why: Grounds) -> Self {
        Self { finding: RuleFinding::of(rule), release: None, why }
    }

    /// What the rules of 0.1.0 found.
    pub(crate) fn of_old(finding: RuleFinding) -> Self {
        let held = finding.rule.is_some_and(|rule| rule.basis().is_some());
        Self { finding, release: None, why: if held { Grounds::Excuse } else { Grounds::SaidAtEnd } }
    }

    pub(crate) fn released(release: Release, why: Grounds) -> Self {
        Self { finding: RuleFinding::NOTHING, release: Some(release), why }
    }
}

/// What lets the stop go whatever the facts are: a reason that is on record, or that nobody asked for what is left, or that
/// what is known speaks against an unjustified stop. Before it is known what was asked for (`is_asked_known`), that decides
/// nothing.
pub fn before_facts(stop: &KnownStop<'_>, is_asked_known: bool) -> Option<Weighed> {
    if let Some(found) = reason_on_record(stop) {
        return Some(found);
    }
    if is_asked_known && let Err(foreign) = job(stop, None) {
        return Some(reason_at_end(stop).unwrap_or(foreign));
    }
    let weighing = stop.weighing;
    let odds = match stop.turn.asked.class {
        _ if !is_asked_known => weighing.most(stop),
        Some(PromptClass::Execute | PromptClass::Narrow) => weighing.log_odds(stop),
        _ => weighing.as_a_job(stop),
    };
    (is_explained(stop, odds) && !may_be_done(stop)).then(|| reads_legitimate(stop))
}

/// Whether what is known of a stop, together with what its end says, explains it. An excuse is one whatever the prompt is like:
/// only a reason beside it counts, and only if the message reads like that.
fn is_explained(stop: &KnownStop<'_>, odds: i32) -> bool {
    if !stop.signals.has_excuse() {
        let said = match reason_at_end(stop).and_then(|reason| reason.finding.rule) {
            Some(RuleId::LegitDesignQuestion) if stop.signals.offers_a_choice() => OFFERS_A_CHOICE,
            Some(_) => SAID_REASON,
            None => 0,
        };
        return odds <= stop.weighing.holds_above.saturating_add(said);
    }
    let reads = stop.reading.milli_log_odds;
    reason_at_end(stop).is_some_and(|reason| match reason.finding.rule {
        // What the person said is never doubted, nor a question for an excuse beside it.
        Some(RuleId::LegitAsAsked) => true,
        Some(RuleId::LegitDesignQuestion) => reads <= OUTWEIGHS_QUESTION,
        _ => reads < AGREES_NEEDY,
    })
}

/// Why a stop is let go that does not read like work handed back: the reason that it gives, if it gives one where it counts.
fn reads_legitimate(stop: &KnownStop<'_>) -> Weighed {
    reason_at_end(stop).unwrap_or_else(|| Weighed::released(Release::ReadsLegitimate, Grounds::ReadsNeedy))
}

/// Whether all is said to be done, and nothing else.
fn may_be_done(stop: &KnownStop<'_>) -> bool {
    let signals = stop.signals;
    signals.has(Signal::ClaimsCompletion)
        && !signals.wants_to_leave()
        && !signals.hands_back()
        && stop.reading.done.is_none_or(|done| done > READS_DONE)
}

/// Whether a part was asked for, and reads as if it were done: its box says nothing, as few tick boxes for a part.
fn is_part_done(stop: &KnownStop<'_>) -> bool {
    let signals = stop.signals;
    stop.turn.asked.class == Some(PromptClass::Narrow)
        && !signals.has_excuse()
        && !signals.hands_back()
        && stop.reading.done.is_some_and(|done| done > READS_DONE)
}

/// A reason to stop that is on record, and that the message speaks of anywhere: words beside it take nothing of its weight.
fn reason_on_record(stop: &KnownStop<'_>) -> Option<Weighed> {
    let KnownStop { signals, turn_end, .. } = *stop;
    let on_record = |rule: RuleId| {
        let is_on_record = match rule.legitimate_signal()? {
            Signal::BlockedByError => turn_end.failed_call.is_some() || turn_end.denied_call.is_some(),
            Signal::ApprovalNeeded | Signal::MissingInfo => turn_end.denied_call.is_some(),
            _ => false,
        };
        (is_on_record && signals.has(rule.legitimate_signal()?)).then(|| Weighed::by(rule, Grounds::OnRecord))
    };
    // In words that no phrase has: the call failed, and the message reads as if that were in the way; or it was refused, and
    // the message does not read otherwise.
    let failed = || {
        let reads = stop.reading.milli_log_odds;
        let reads_so = (turn_end.failed_call.is_some() && reads < 0)
            || (turn_end.denied_call.is_some() && reads < OUTWEIGHS_QUESTION);
        let is_alone = !signals.has_excuse() && !signals.hands_back();
        (reads_so && is_alone).then(|| Weighed::by(RuleId::LegitError, Grounds::OnRecord))
    };
    let of_rule = RuleId::ALL.into_iter().find_map(on_record).or_else(failed);
    of_rule.or_else(|| is_full(stop).then(|| Weighed::released(Release::ReadsLegitimate, Grounds::OnRecord)))
}

/// Whether it speaks of its context, and that is full by what the client counted.
fn is_full(stop: &KnownStop<'_>) -> bool {
    let is_said = [Signal::ContextLimit, Signal::ShouldStopForContext].into_iter().any(|said| stop.signals.has(said));
    let full = |usage: ContextUsage| {
        usage.window > 0 && usage.used.saturating_mul(100) >= usage.window.saturating_mul(FULL_PERCENT)
    };
    is_said && stop.turn_end.usage.is_some_and(full)
}

/// A reason to stop that the end of the message gives.
fn reason_at_end(stop: &KnownStop<'_>) -> Option<Weighed> {
    let at_end = |rule: RuleId| {
        // What is finished is for the plan to say.
        let signal = rule.legitimate_signal().filter(|signal| *signal != Signal::ClaimsCompletion)?;
        stop.signals.at_end(signal).then(|| Weighed::by(rule, Grounds::SaidAtEnd))
    };
    RuleId::ALL.into_iter().find_map(at_end)
}

/// What the job that was asked for has to do with the stop, as far as it is known without facts.
#[expect(clippy::result_large_err, reason = "made once for a stop")]
fn job(stop: &KnownStop<'_>, facts: Option<&Facts>) -> Result<Job, Weighed> {
    let excuse = stop.signals.has_excuse();
    let foreign = Weighed::released(Release::NotAskedFor, Grounds::NotAskedFor);
    match stop.turn.asked.class {
        Some(PromptClass::Execute) => Ok(Job::Asked),
        Some(PromptClass::Narrow) => {
            let bounds = &stop.turn.asked.bounds;
            let is_within = facts.map_or(!bounds.is_empty(), |facts| has_open_step_within(facts, bounds));
            if is_within { Ok(Job::Asked) } else { Err(foreign) }
        }
        Some(PromptClass::Question | PromptClass::Other) if excuse && stop.turn.asked.has_job => Ok(Job::Behind),
        Some(PromptClass::Question | PromptClass::Other | PromptClass::Stop) => Err(foreign),
        None if excuse => Ok(Job::Unknown),
        None if stop.signals.wants_to_leave() => Err(Weighed::released(Release::NotAskedFor, Grounds::AskedUnknown)),
        None => Err(Weighed::released(Release::NoSignal, Grounds::AskedUnknown)),
    }
}

/// Whether what is left was asked for by the last prompt, and no reason to stop is on record: then [`Weighing`] decides.
pub fn is_asked_for(stop: &KnownStop<'_>, facts: &Facts) -> bool {
    !facts.person_asked_to_stop && reason_on_record(stop).is_none() && matches!(job(stop, Some(facts)), Ok(Job::Asked))
}

/// Whether an open step is one of those that a narrow prompt names.
fn has_open_step_within(facts: &Facts, bounds: &[String]) -> bool {
    let steps = related(facts).flat_map(|plan| plan.open_step_texts.iter());
    let mut texts = steps.chain(facts.open_tasks().map(|task| &task.text));
    texts.any(|text| bounds.iter().any(|bound| is_within(text, bound)))
}

/// Whether `text` is the step that `bound` names: by its number, or by words that are all in it.
fn is_within(text: &str, bound: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| word.chars().map(stopgate_core::words::lower).collect()).collect()
    };
    let (text, bound) = (words(text), words(bound));
    match bound.as_slice() {
        [] => false,
        // "2. Write the parser", "Step 2: write the parser".
        [number] if is_number(number) => {
            let named = text.iter().take(2).find(|word| is_number(word));
            named.is_some_and(|word| word.trim_start_matches('0') == number.trim_start_matches('0'))
        }
        words => words.iter().all(|word| text.contains(word)),
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The plans that the session has to do with.
fn related(facts: &Facts) -> impl Iterator<Item = &Plan> {
    facts.plans.iter().filter(|plan| plan.relation() != PlanRelation::Untouched)
}

/// What the rules make of a stop with everything that is known.
pub fn weigh(stop: &KnownStop<'_>, facts: &Facts, modes: &RuleModes) -> Weighed {
    if facts.person_asked_to_stop {
        // The person's own last words, whatever the agent makes of them.
        return Weighed::by(RuleId::LegitAsAsked, Grounds::PersonFirst);
    }
    if let Some(weighed) = before_facts(stop, true) {
        return weighed;
    }
    let job = match job(stop, Some(facts)) {
        Ok(job) => job,
        Err(weighed) => return weighed,
    };
    if is_part_done(stop) {
        return Weighed::by(RuleId::LegitCompletion, Grounds::SaidAtEnd);
    }
    let is_executing = job == Job::Asked && is_executing(facts, stop.turn_end);
    let is_last = open_steps(facts) <= 1;
    if may_be_done(stop)
        && let Some(found) = not_updated(stop, facts, modes, is_executing)
    {
        return found;
    }
    let weighing = stop.weighing;
    let odds = if job == Job::Asked { weighing.log_odds(stop) } else { weighing.as_a_job(stop) };
    if is_explained(stop, odds) {
        return reads_legitimate(stop);
    }
    // Where one step is left and nothing is said to be finished, that step may be what somebody is needed for.
    let is_doubtful = is_last && odds <= weighing.holds_above.saturating_add(weighing.last_step);
    if is_doubtful && !stop.signals.has_excuse() && !stop.signals.has(Signal::ClaimsCompletion) {
        return reason_at_end(stop).unwrap_or_else(|| Weighed::released(Release::ReadsLegitimate, Grounds::LastStep));
    }
    if let Some(found) = not_updated(stop, facts, modes, is_executing) {
        return found;
    }
    let held_by = match held(stop, job, is_executing) {
        Ok(why) => why,
        Err(weighed) => return weighed,
    };
    // Whether the plan is being executed or nobody knows: that is no reason to hold what would be let go if it were.
    if is_doubtful && held_by != Grounds::Excuse {
        return reason_at_end(stop).unwrap_or_else(|| Weighed::released(Release::ReadsLegitimate, Grounds::LastStep));
    }
    if facts.is_stopgate {
        return Weighed::by(RuleId::MetaSelfReference, Grounds::OwnCheckout);
    }
    let rests_on = |plan: &Plan| match plan.relation() {
        PlanRelation::Untouched => false,
        PlanRelation::Named => job != Job::Unknown,
        PlanRelation::Touched | PlanRelation::Moved => true,
    };
    let has_tasks = stop.turn_end.tasks_moved || job == Job::Asked;
    match work_on_record(facts, modes, rests_on, has_tasks) {
        Some(finding) => Weighed { finding, release: None, why: held_by },
        None if stop.signals.has(Signal::SelfDeferral) => Weighed::by(RuleId::SelfDeferral, Grounds::NothingOpen),
        None => Weighed::released(Release::NoEvidence, Grounds::NothingOpen),
    }
}

/// What is found where the plan of the job is more likely out of date than undone: all is said to be done, or no box of it
/// was ever ticked. One reminder for a prompt, and nothing more.
fn not_updated(stop: &KnownStop<'_>, facts: &Facts, modes: &RuleModes, is_executing: bool) -> Option<Weighed> {
    let KnownStop { signals, turn, .. } = *stop;
    if signals.has_excuse() || facts.is_stopgate {
        return None;
    }
    let plan = plan_of_job(facts)?;
    let is_left = signals.has(Signal::PromisedNextStep) || signals.has(Signal::SelfDeferral) || signals.hands_back();
    let is_said = signals.has(Signal::ClaimsCompletion) && !signals.wants_to_leave() && !signals.hands_back();
    let reads_done = stop.reading.done.is_some_and(|done| done > MAY_READ_DONE);
    let is_doubtful = is_said || (!is_left && (reads_done || (open_steps(facts) > 1 && is_never_ticked(plan, facts))));
    let is_due = (is_executing && is_doubtful) || plan_not_updated(signals, facts, turn).is_some();
    let is_told = turn.plan_reminded || modes.silences(RuleId::PlanNotUpdated);
    is_due.then(|| {
        if is_told {
            Weighed::by(RuleId::LegitCompletion, Grounds::Told)
        } else {
            Weighed { finding: reminder_of(plan), release: None, why: Grounds::NotTicked }
        }
    })
}

/// Why the stop is to be held, if there is work on record.
#[expect(clippy::result_large_err, reason = "made once for a stop")]
fn held(stop: &KnownStop<'_>, job: Job, is_executing: bool) -> Result<Grounds, Weighed> {
    let signals = stop.signals;
    // Who says that all is done, and where the next work belongs, has not left it.
    if signals.has_excuse() && (is_executing || !signals.has(Signal::ClaimsCompletion)) {
        return Ok(Grounds::Excuse);
    }
    if is_executing {
        return Ok(Grounds::Executing);
    }
    // Words alone speak for both sides.
    if let Some(reason) = reason_at_end(stop) {
        return Err(reason);
    }
    if signals.has(Signal::ClaimsCompletion) {
        return Err(Weighed::by(RuleId::LegitCompletion, Grounds::SaidAtEnd));
    }
    if job == Job::Asked && (signals.wants_to_leave() || signals.hands_back()) {
        return Ok(Grounds::BothAgree);
    }
    let release = if signals.wants_to_leave() { Release::NoEvidence } else { Release::NoSignal };
    Err(Weighed::released(release, Grounds::NoExcuse))
}

/// Whether the job is demonstrably being done: boxes of the plan ticked, commits while a plan that was asked for is open,
/// or items of the task list begun or finished.
fn is_executing(facts: &Facts, turn_end: &TurnEnd) -> bool {
    let commits = !facts.session_commits.is_empty();
    let plan = related(facts).any(|plan| commits || plan.relation() == PlanRelation::Moved);
    plan || (turn_end.tasks_moved && facts.open_tasks().next().is_some())
}

/// How many steps are open, of plans or of the task list, which may well be the same.
fn open_steps(facts: &Facts) -> usize {
    related(facts).map(|plan| plan.open_steps).sum::<usize>().max(facts.open_tasks().count())
}
