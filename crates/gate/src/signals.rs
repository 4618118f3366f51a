//! What the last assistant message says about why the agent stops.
//!
//! A signal is a hint for the rules, never a verdict. The phrases are data (`templates/signals/`); matching is linear
//! in the length of the message. When in doubt a reason to stop is heard rather than an excuse, with one exception: an
//! excuse is not made good by a part that is done, a test that fails, or a courtesy.

mod heard;

use std::ops::Range;

use self::heard::{HeardClause, Lack, Promise, QuestionKind};
use super::prose;

/// Something the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It speaks of the context window, tokens, or the length of the conversation.
    ContextLimit,
    /// It puts the work off to another session.
    FreshSession,
    /// It stops, or leaves work lying, because of its context.
    ShouldStopForContext,
    /// It promises work instead of doing it.
    PromisedNextStep,
    /// It leaves a part of the work for later by its own choice.
    SelfDeferral,
    /// It ends with a real question: a choice, a fact, something that cannot be taken back.
    AsksQuestion,
    /// It asks leave to go on with what nobody doubts, which hands the work back.
    GoOnQuestion,
    /// It needs somebody's agreement first.
    ApprovalNeeded,
    /// It needs something that only the person can give.
    MissingInfo,
    /// It is held up by an error.
    BlockedByError,
    /// It waits for the world: a job, a service, another person.
    WaitsOutside,
    /// It says that everything is finished.
    ClaimsCompletion,
    /// It stops because the person said so.
    AsAsked,
    /// It says what is left.
    ReportsRemaining,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 14] = [
        Self::ContextLimit,
        Self::FreshSession,
        Self::ShouldStopForContext,
        Self::PromisedNextStep,
        Self::SelfDeferral,
        Self::AsksQuestion,
        Self::GoOnQuestion,
        Self::ApprovalNeeded,
        Self::MissingInfo,
        Self::BlockedByError,
        Self::WaitsOutside,
        Self::ClaimsCompletion,
        Self::AsAsked,
        Self::ReportsRemaining,
    ];

    /// The name in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContextLimit => "context-limit",
            Self::FreshSession => "fresh-session",
            Self::ShouldStopForContext => "should-stop-for-context",
            Self::PromisedNextStep => "promised-next-step",
            Self::SelfDeferral => "self-deferral",
            Self::AsksQuestion => "asks-question",
            Self::GoOnQuestion => "go-on-question",
            Self::ApprovalNeeded => "approval-needed",
            Self::MissingInfo => "missing-info",
            Self::BlockedByError => "blocked-by-error",
            Self::WaitsOutside => "waits-outside",
            Self::ClaimsCompletion => "claims-completion",
            Self::AsAsked => "as-asked",
            Self::ReportsRemaining => "reports-remaining",
        }
    }
}

/// A signal, and the words that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The signal.
    pub signal: Signal,
    /// Where those words stand in the message, in bytes.
    pub span: Range<usize>,
    /// Whether it is said in the last two paragraphs, or there as well. A list or a table, and a heading over it, are of
    /// their paragraph; code and quotes are of none.
    pub at_end: bool,
    /// Whether it is a question for one of two things.
    pub is_choice: bool,
}

/// The signals of a message, each once, in the order of [`Signal::ALL`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals(Vec<Sighting>);

impl Signals {
    /// The set of `signals`, seen at the end.
    pub fn of(signals: impl IntoIterator<Item = Signal>) -> Self {
        Self(
            signals.into_iter().map(|signal| Sighting { signal, span: 0..0, at_end: true, is_choice: false }).collect(),
        )
    }

    /// The set of what was seen.
    #[cfg(test)]
    pub(crate) fn seen(sightings: impl IntoIterator<Item = Sighting>) -> Self {
        Self(sightings.into_iter().collect())
    }

    /// Whether `signal` is in the set.
    pub fn has(&self, signal: Signal) -> bool {
        self.0.iter().any(|seen| seen.signal == signal)
    }

    /// Whether `signal` is in the set, and given in the last two paragraphs.
    pub fn at_end(&self, signal: Signal) -> bool {
        self.0.iter().any(|seen| seen.signal == signal && seen.at_end)
    }

    /// Whether the agent stops, or puts its work off, for a reason that is none: its context, or another session.
    pub fn has_excuse(&self) -> bool {
        self.has(Signal::FreshSession) || self.has(Signal::ShouldStopForContext)
    }

    /// Whether the agent asks for no more than leave to go on: no reason to stop where the job was asked for, and no
    /// excuse elsewhere.
    pub fn hands_back(&self) -> bool {
        self.has(Signal::GoOnQuestion)
    }

    /// Whether the agent asks which of two things is wanted, asks for no leave to go on, and says nothing of leaving work.
    pub fn offers_a_choice(&self) -> bool {
        self.0.iter().any(|seen| seen.is_choice) && !self.hands_back() && !self.wants_to_leave()
    }

    /// Whether the agent gives an excuse or a promise, or leaves work: only then is there anything to judge.
    pub fn wants_to_leave(&self) -> bool {
        [
            Signal::FreshSession,
            Signal::ShouldStopForContext,
            Signal::PromisedNextStep,
            Signal::SelfDeferral,
            Signal::ReportsRemaining,
        ]
        .into_iter()
        .any(|signal| self.has(signal))
    }

    /// The names of the signals in the set.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|seen| seen.signal.name().to_owned()).collect()
    }

    /// The signals with the words that gave them.
    pub fn sightings(&self) -> &[Sighting] {
        &self.0
    }
}

/// Whether a question names two things of which one is to be chosen. A word for "or" may be another one elsewhere: the article
/// of Portuguese, the "of" of English, and the particles by which Polish and Turkish ask whether.
fn is_choice(question: &str) -> bool {
    /// They are that in every language that has them.
    const OR: [&str; 9] = ["or", "oder", "ou", "oppure", "lub", "albo", "или", "либо", "yoksa"];
    const OR_WITHIN: [&str; 6] = ["还是", "或者", "または", "それとも", "아니면", "또는"];
    const DUTCH: [&str; 9] = ["moet", "moeten", "zal", "wil", "wilt", "de", "het", "een", "ik"];
    const PORTUGUESE: [&str; 9] = ["com", "em", "não", "você", "do", "os", "ao", "uma", "um"];
    const WHETHER: [&str; 5] = ["mi", "mı", "mu", "mü", "czy"];
    let question = question.to_lowercase();
    let words: Vec<&str> =
        question.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let between = |or: &str| words.iter().skip(1).any(|word| *word == or);
    has(&OR)
        || OR_WITHIN.iter().any(|or| question.contains(or))
        || between("of") && has(&DUTCH)
        || between("o") && !has(&PORTUGUESE)
        || words.iter().filter(|word| WHETHER.contains(word)).count() > 1
        || between("czy")
}

/// Reads the signals off a message.
pub fn detect(message: &str) -> Signals {
    let mut clauses = prose::clauses(message);
    let mut heard: Vec<HeardClause> = clauses.iter().map(HeardClause::of).collect();
    // What stands below "Here is the draft:" is not what the agent says of itself.
    if let Some(label) = heard.iter().position(|clause| clause.delivers) {
        let group = clauses[label].from_end;
        // A list stands in the group of its label, a paragraph in the next.
        let below = clauses.get(label + 1).map_or(group, |clause| clause.from_end);
        let is_text = |at: usize| clauses[at].from_end == below;
        let end = (label + 1..clauses.len()).find(|at| !is_text(*at)).unwrap_or(clauses.len());
        clauses.drain(label + 1..end);
        heard.drain(label + 1..end);
    }
    let mut signals = Signals(sightings(&heard, listed_work(&clauses, &heard)));
    for seen in signals.0.iter_mut().filter(|seen| seen.signal == Signal::AsksQuestion) {
        seen.is_choice = message.get(seen.span.clone()).is_some_and(is_choice);
    }
    signals
}

/// How many paragraphs from the end are the end of a message.
const END_GROUPS: usize = 2;

/// Where something is said: first, and whether at the end as well.
#[derive(Debug, Clone)]
struct Place {
    span: Range<usize>,
    at_end: bool,
}

fn sightings(heard: &[HeardClause], listed_work: Option<Place>) -> Vec<Sighting> {
    let first = |test: &dyn Fn(&HeardClause) -> Option<Range<usize>>| {
        let span = heard.iter().find_map(test)?;
        let at_end =
            heard.iter().rev().take_while(|clause| clause.from_end < END_GROUPS).any(|clause| test(clause).is_some());
        Some(Place { span, at_end })
    };
    let promised = |promise: Promise| first(&move |clause| clause.promise(promise));
    let asks = |question: QuestionKind| first(&move |clause| clause.asks(question));

    // Why the agent leaves.
    let context = first(&|clause| clause.context.clone());
    let leaves = first(&|clause| clause.leaves.clone());
    let stops = first(&|clause| clause.stops.clone());
    let open = first(&|clause| clause.open.clone());
    let deferred = first(&|clause| clause.deferred.clone());
    // A large job is no reason by itself; beside work that is left it is an excuse.
    let is_large = heard.iter().any(|clause| clause.effort);
    let defers = first(&|clause| clause.defers.clone())
        .or_else(|| stops.clone().or_else(|| deferred.clone()).filter(|_| is_large));
    // What a context window is, and what stops then, may also be what the person asked about.
    let speaks_of_itself =
        heard.iter().any(|clause| clause.is_own && (clause.context.is_some() || clause.stops.is_some()));
    let stops = stops.filter(|_| context.is_some() && speaks_of_itself);
    let stops = stops.or_else(|| first(&|clause| clause.own_limit.clone()));
    let firm = promised(Promise::Firm).or(listed_work);
    let progress = first(&|clause| clause.progress.clone());
    let left = open.clone().or_else(|| progress.clone()).or(deferred);

    // How much that weighs: an excuse is not made good by a courtesy, nor what is open by a part that is done.
    let excuse = leaves.is_some() || stops.is_some();
    let ends_open = open.is_some() && !is_rounded_off(heard);
    let is_open = excuse || firm.is_some() || defers.is_some() || progress.is_some() || ends_open;
    let is_firm = firm.is_some();
    let is_deferred = defers.is_some();
    // Leave to go on is none of a question beside a real one, nor where what comes next cannot be taken back.
    let risk = first(&|clause| clause.risk.clone());
    let goes_on = asks(QuestionKind::GoOn);
    let choice = asks(QuestionKind::Choice);
    let risky = asks(QuestionKind::Risky).or_else(|| goes_on.clone().filter(|_| risk.is_some()));
    let goes_on = goes_on.filter(|_| choice.is_none() && risky.is_none());
    let real = choice.or_else(|| asks(QuestionKind::Real));

    let rounded_off = left
        .as_ref()
        .filter(|_| is_rounded_off(heard))
        .and_then(|_| heard.last())
        .map(|last| Place { span: last.whole.clone(), at_end: true });
    let failure = first(&|clause| clause.failure.clone()).filter(|_| !heard.iter().any(|clause| clause.mends));
    let lacks = |kind: Lack| first(&move |clause| clause.lacks(kind));
    let found = [
        (Signal::ContextLimit, context),
        (Signal::FreshSession, leaves),
        (Signal::ShouldStopForContext, stops),
        (Signal::PromisedNextStep, firm.or_else(|| promised(Promise::Listed))),
        (Signal::SelfDeferral, defers),
        (Signal::AsksQuestion, real.or(risky).or_else(|| asks(QuestionKind::Courtesy).filter(|_| !excuse))),
        (Signal::GoOnQuestion, goes_on),
        (Signal::ApprovalNeeded, lacks(Lack::Approval)),
        (Signal::MissingInfo, lacks(Lack::Information)),
        (
            Signal::BlockedByError,
            first(&|clause| clause.blocked.clone()).or_else(|| failure.filter(|_| !excuse && !is_deferred)),
        ),
        (Signal::WaitsOutside, lacks(Lack::World)),
        (
            Signal::ClaimsCompletion,
            first(&|clause| clause.complete.clone())
                .or_else(|| first(&|clause| clause.part_done.clone()).filter(|_| !is_open))
                .or_else(|| rounded_off.filter(|_| !is_open)),
        ),
        (
            Signal::AsAsked,
            first(&|clause| clause.as_asked.clone())
                .or_else(|| first(&|clause| clause.not_ours.clone()).filter(|_| !excuse && !is_firm)),
        ),
        (Signal::ReportsRemaining, left),
    ];
    let seen = found.into_iter().filter_map(|(signal, place)| {
        place.map(|Place { span, at_end }| Sighting { signal, span, at_end, is_choice: false })
    });
    seen.collect()
}

/// Whether what is finished is said after what is open: then the open part was only a step of the story.
fn is_rounded_off(heard: &[HeardClause]) -> bool {
    let last = |test: fn(&HeardClause) -> bool| heard.iter().rposition(test);
    last(|clause| clause.rounds_off && clause.open.is_none())
        > last(|clause| clause.open.is_some() || clause.deferred.is_some())
}

/// The first item of agent's work in a list that is said to be left.
fn listed_work(clauses: &[prose::Clause], heard: &[HeardClause]) -> Option<Place> {
    let mut label = None;
    for (clause, heard) in clauses.iter().zip(heard) {
        if heard.labels_open {
            label = Some(clause.from_end);
        } else if heard.labels_offer {
            label = None;
        }
        if clause.is_listed
            && label == Some(clause.from_end)
            && let Some(span) = heard.agent_work.clone()
        {
            return Some(Place { span, at_end: clause.from_end < END_GROUPS });
        }
    }
    None
}

#[cfg(test)]
mod excuses;
#[cfg(test)]
mod legitimate;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod tests;
