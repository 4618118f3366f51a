//! What the last assistant message says about why the agent stops.
//!
//! A signal is a hint for the rules, never a verdict. The phrases are data (`templates/signals/`); matching is linear
//! in the length of the message. When in doubt a reason to stop is heard rather than an excuse, with one exception: an
//! excuse is not made good by a part that is done, a test that fails, or a courtesy.

use super::phrases::{ENGLISH, Table};
use super::prose::{self, Clause};

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
    /// It ends with a real question.
    AsksQuestion,
    /// It needs something from the person, or waits for the world.
    MissingInfo,
    /// It is held up by an error.
    BlockedByError,
    /// It says that everything is finished.
    ClaimsCompletion,
    /// It stops because the person said so.
    AsAsked,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 9] = [
        Self::ContextLimit,
        Self::FreshSession,
        Self::ShouldStopForContext,
        Self::PromisedNextStep,
        Self::AsksQuestion,
        Self::MissingInfo,
        Self::BlockedByError,
        Self::ClaimsCompletion,
        Self::AsAsked,
    ];

    /// The name in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContextLimit => "context-limit",
            Self::FreshSession => "fresh-session",
            Self::ShouldStopForContext => "should-stop-for-context",
            Self::PromisedNextStep => "promised-next-step",
            Self::AsksQuestion => "asks-question",
            Self::MissingInfo => "missing-info",
            Self::BlockedByError => "blocked-by-error",
            Self::ClaimsCompletion => "claims-completion",
            Self::AsAsked => "as-asked",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals(u16);

impl Signals {
    /// The set of `signals`.
    pub fn of(signals: impl IntoIterator<Item = Signal>) -> Self {
        Self(signals.into_iter().fold(0, |bits, signal| bits | signal.bit()))
    }

    /// Whether `signal` is in the set.
    pub const fn has(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Whether the agent gives an excuse or a promise: only then is there anything to judge.
    pub const fn wants_to_leave(self) -> bool {
        self.has(Signal::FreshSession) || self.has(Signal::ShouldStopForContext) || self.has(Signal::PromisedNextStep)
    }

    /// The names of the signals in the set.
    pub fn names(self) -> Vec<String> {
        Signal::ALL.into_iter().filter(|signal| self.has(*signal)).map(|signal| signal.name().to_owned()).collect()
    }
}

/// How far from the end of a message, in paragraphs, a promise is one to do the work later.
const PROMISE_GROUPS: usize = 3;

/// How far from the end a question still waits for an answer: details or a courtesy may follow it.
const QUESTION_GROUPS: usize = 2;

/// Reads the signals off a message.
pub fn detect(message: &str) -> Signals {
    let clauses = prose::clauses(message);
    let heard: Vec<Heard> = clauses.iter().map(Heard::of).collect();
    let any = |test: fn(&Heard) -> bool| heard.iter().any(test);

    let context = any(|clause| clause.context);
    let leaves = any(|clause| clause.leaves);
    let stops = context && any(|clause| clause.stops);
    let excuse = leaves || stops;
    let firm = any(|clause| clause.promise == Promise::Firm);
    let failure = any(|clause| clause.failure) && !any(|clause| clause.mends);
    let asks = |question: Question| heard.iter().any(|clause| clause.question == Some(question));

    let found = [
        (Signal::ContextLimit, context),
        (Signal::FreshSession, leaves),
        (Signal::ShouldStopForContext, stops),
        (Signal::PromisedNextStep, firm || any(|clause| clause.promise == Promise::Listed)),
        (Signal::AsksQuestion, asks(Question::Real) || (asks(Question::Courtesy) && !excuse)),
        (Signal::MissingInfo, any(|clause| clause.lacks || clause.promise == Promise::Waiting)),
        (Signal::BlockedByError, any(|clause| clause.blocked) || (failure && !excuse)),
        (
            Signal::ClaimsCompletion,
            any(|clause| clause.complete) || (any(|clause| clause.part_done) && !excuse && !firm),
        ),
        (Signal::AsAsked, any(|clause| clause.as_asked)),
    ];
    Signals::of(found.into_iter().filter(|(_, heard)| *heard).map(|(signal, _)| signal))
}

/// What one clause says.
#[derive(Debug)]
struct Heard {
    context: bool,
    leaves: bool,
    stops: bool,
    promise: Promise,
    mends: bool,
    question: Option<Question>,
    lacks: bool,
    blocked: bool,
    failure: bool,
    complete: bool,
    part_done: bool,
    as_asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    None,
    /// The agent lists what is left.
    Listed,
    /// It says that it will do it.
    Firm,
    /// It says that it will, when the person or the world has done something.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Real,
    Courtesy,
}

impl Heard {
    fn of(clause: &Clause) -> Self {
        let says = |table| ENGLISH.fires(table, &clause.words);
        let context = says(Table::ContextLimit);
        let leaves = puts_off(clause);
        let excuse = context || leaves;
        let promise = promise(clause, leaves);
        let failure = says(Table::Failure) && !says(Table::NoFailure);
        let taken_back = says(Table::TakesBack);
        Self {
            context,
            leaves,
            stops: says(Table::StopHere),
            promise,
            mends: promise == Promise::Firm && says(Table::Mends),
            question: question(clause, excuse),
            lacks: says(Table::MissingInfo) || (says(Table::MissingInfoWeak) && !excuse),
            blocked: (says(Table::BlockedByError) && !says(Table::NoError)) || (says(Table::BlockedWeak) && !excuse),
            failure,
            complete: says(Table::ClaimsCompletion) && !taken_back,
            part_done: says(Table::CompletionWeak) && !taken_back,
            as_asked: says(Table::AsAsked) && says(Table::AskedToStop),
        }
    }
}

/// Whether the agent puts its work off: in its own voice, not of what a program does.
fn puts_off(clause: &Clause) -> bool {
    let says = |table| ENGLISH.fires(table, &clause.words);
    if says(Table::PutOff) {
        return true;
    }
    if !says(Table::OtherSession) {
        return false;
    }
    let leaves = says(Table::LeaveVerb);
    let own = says(Table::OwnVoice) && (leaves || says(Table::WorkVerb));
    own || (leaves && says(Table::Suggestion) && !says(Table::OtherPeople))
}

/// What the clause promises; putting the work off is no promise, and a fresh session is nothing to wait for.
fn promise(clause: &Clause, leaves: bool) -> Promise {
    let says = |table| ENGLISH.fires(table, &clause.words);
    let firm = says(Table::FirmPromise);
    if leaves || clause.asks || clause.from_end >= PROMISE_GROUPS || !(firm || says(Table::ListedNext)) {
        Promise::None
    } else if says(Table::Wait) {
        if firm { Promise::Waiting } else { Promise::None }
    } else if says(Table::NoPromise) || says(Table::Condition) {
        Promise::None
    } else if firm {
        Promise::Firm
    } else {
        Promise::Listed
    }
}

/// The question that the clause puts to the person, if it stands where one waits for an answer.
fn question(clause: &Clause, excuse: bool) -> Option<Question> {
    let says = |table| ENGLISH.fires(table, &clause.words);
    let answered = !clause.closes && says(Table::AnsweredQuestion);
    if !clause.asks || clause.from_end >= QUESTION_GROUPS || answered || excuse || says(Table::IdleQuestion) {
        None
    } else if says(Table::CourtesyQuestion) {
        Some(Question::Courtesy)
    } else {
        Some(Question::Real)
    }
}

#[cfg(test)]
mod excuses;
#[cfg(test)]
mod legitimate;
#[cfg(test)]
mod tests;
