//! What one clause of a message says.

use std::ops::Range;

use crate::gate::phrases::{Fired, PHRASES, Table};
use crate::gate::prose::Clause;

/// How far from the end of a message, in paragraphs, a promise is one to do the work later.
const PROMISE_GROUPS: usize = 3;

/// How far from the end a question still waits for an answer: details or a courtesy may follow it.
const QUESTION_GROUPS: usize = 2;

/// Where in the message something is said, in bytes.
type Said = Option<Range<usize>>;

/// What one clause says.
#[derive(Debug)]
pub(super) struct Heard {
    /// The agent's context runs short.
    pub(super) context: Said,
    /// The work is put off.
    pub(super) leaves: Said,
    /// The agent stops, or work is left lying.
    pub(super) stops: Said,
    promise: (Promise, Range<usize>),
    /// The promise is to mend what failed.
    pub(super) mends: bool,
    question: Option<(Question, Range<usize>)>,
    /// Something is needed that only others can give.
    pub(super) lacks: Said,
    /// An error holds the agent up.
    pub(super) blocked: Said,
    /// Something fails.
    pub(super) failure: Said,
    /// Everything is finished.
    pub(super) complete: Said,
    /// Something is finished.
    pub(super) part_done: Said,
    /// The person asked for it.
    pub(super) as_asked: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    None,
    /// The agent lists what is left.
    Listed,
    /// It says that it will do it.
    Firm,
    /// It says that it will, when the person or the world has done something.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Real,
    Courtesy,
}

impl Heard {
    pub(super) fn of(clause: &Clause) -> Self {
        let fired = PHRASES.fired(&clause.words);
        let at = |table: Table| fired.words(table).map(|words| clause.span(words));
        let has = |table: Table| fired.has(table);
        let whole = clause.span(0..clause.words.len());
        let context = at(Table::ContextLimit);
        let leaves = puts_off(&fired).map(|table| at(table).unwrap_or_else(|| whole.clone()));
        let excuse = context.is_some() || leaves.is_some();
        let promise = promise(clause, &fired, leaves.is_some());
        let taken_back = has(Table::TakesBack);
        let weak = |table: Table| at(table).filter(|_| !excuse);
        Self {
            stops: at(Table::StopHere),
            mends: promise == Promise::Firm && has(Table::Mends),
            promise: (promise, at(Table::FirmPromise).or_else(|| at(Table::ListedNext)).unwrap_or(0..0)),
            question: question(clause, &fired, excuse).map(|question| (question, whole)),
            lacks: at(Table::MissingInfo).or_else(|| weak(Table::MissingInfoWeak)),
            blocked: at(Table::BlockedByError).filter(|_| !has(Table::NoError)).or_else(|| weak(Table::BlockedWeak)),
            failure: at(Table::Failure).filter(|_| !has(Table::NoFailure)),
            complete: at(Table::ClaimsCompletion).filter(|_| !taken_back),
            part_done: at(Table::CompletionWeak).filter(|_| !taken_back),
            as_asked: at(Table::AsAsked).filter(|_| has(Table::AskedToStop)),
            context,
            leaves,
        }
    }

    /// Where `promise` is made, if it is.
    pub(super) fn promise(&self, promise: Promise) -> Said {
        Some(self.promise.1.clone()).filter(|_| self.promise.0 == promise)
    }

    /// Where `question` is asked, if it is.
    pub(super) fn asks(&self, question: Question) -> Said {
        self.question.clone().filter(|(asked, _)| *asked == question).map(|(_, span)| span)
    }
}

/// By which words the agent puts its work off: in its own voice, not of what a program does.
fn puts_off(fired: &Fired) -> Option<Table> {
    if fired.has(Table::PutOff) {
        return Some(Table::PutOff);
    }
    let leaves = fired.has(Table::LeaveVerb);
    let own = fired.has(Table::OwnVoice) && (leaves || fired.has(Table::WorkVerb));
    let suggests = leaves && fired.has(Table::Suggestion) && !fired.has(Table::OtherPeople);
    (fired.has(Table::OtherSession) && (own || suggests)).then_some(Table::OtherSession)
}

/// What the clause promises; putting the work off is no promise, and a fresh session is nothing to wait for.
fn promise(clause: &Clause, fired: &Fired, leaves: bool) -> Promise {
    let firm = fired.has(Table::FirmPromise);
    if leaves || clause.asks || clause.from_end >= PROMISE_GROUPS || !(firm || fired.has(Table::ListedNext)) {
        Promise::None
    } else if fired.has(Table::Wait) {
        if firm { Promise::Waiting } else { Promise::None }
    } else if fired.has(Table::NoPromise) || fired.has(Table::Condition) {
        Promise::None
    } else if firm {
        Promise::Firm
    } else {
        Promise::Listed
    }
}

/// The question that the clause puts to the person, if it stands where one waits for an answer.
fn question(clause: &Clause, fired: &Fired, excuse: bool) -> Option<Question> {
    let answered = !clause.closes && fired.has(Table::AnsweredQuestion);
    if !clause.asks || clause.from_end >= QUESTION_GROUPS || answered || excuse || fired.has(Table::IdleQuestion) {
        None
    } else if fired.has(Table::CourtesyQuestion) {
        Some(Question::Courtesy)
    } else {
        Some(Question::Real)
    }
}
