//! What one clause of a message says.

use std::ops::Range;

use crate::phrases::{FiredTables, PHRASES, Table};
use crate::prose::{Clause, OPEN};

/// How far from the end of a message, in paragraphs, a promise is one to do the work later.
const PROMISE_GROUPS: usize = 3;

/// How far from the end a question still waits for an answer: details or a courtesy may follow it.
const QUESTION_GROUPS: usize = 2;

/// How far from the end the work may be handed back.
const HAND_BACK_GROUPS: usize = 4;

/// Where in the message something is said, in bytes.
type Said = Option<Range<usize>>;

/// What one clause says.
#[derive(Debug)]
pub(super) struct HeardClause {
    /// The agent's context runs short.
    pub(super) context: Said,
    /// The work is put off.
    pub(super) leaves: Said,
    /// The agent stops, or work is left lying.
    pub(super) stops: Said,
    /// The agent says that its own context runs short.
    pub(super) own_limit: Said,
    /// The agent speaks of itself.
    pub(super) is_own: bool,
    /// The work is large, the turn short.
    pub(super) effort: bool,
    /// The agent leaves work for later.
    pub(super) defers: Said,
    /// Work is left for later.
    pub(super) deferred: Said,
    /// Work is said to be open.
    pub(super) open: Said,
    /// So many of so many are done.
    pub(super) progress: Said,
    /// It is how a message ends that is about something finished.
    pub(super) rounds_off: bool,
    /// It is somebody else's, or not asked for.
    pub(super) not_ours: Said,
    /// It stands over a list of what is open.
    pub(super) labels_open: bool,
    /// It stands over a list of ideas, or of what is the person's to do.
    pub(super) labels_offer: bool,
    /// What follows is a text that was asked for.
    pub(super) delivers: bool,
    /// It is an item of work for an agent.
    pub(super) agent_work: Said,
    /// It speaks of what cannot be taken back.
    pub(super) risk: Said,
    /// How far from the end it stands, in paragraphs.
    pub(super) from_end: usize,
    /// All of the clause.
    pub(super) whole: Range<usize>,
    promise: (Promise, Range<usize>),
    /// The promise is to mend what failed.
    pub(super) mends: bool,
    question: Option<(QuestionKind, Range<usize>)>,
    lacks: Option<(Lack, Range<usize>)>,
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
pub(super) enum QuestionKind {
    Real,
    Courtesy,
    /// Asks which of several, or for a fact.
    Choice,
    /// Asks before something that cannot be taken back.
    Risky,
    /// Asks leave to go on with what nobody doubts, with or without a question mark.
    GoOn,
}

/// What only others can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    Approval,
    Information,
    World,
}

/// Most words of a clause that says what the agent is at.
const MAX_PARTICIPLE_WORDS: usize = 16;

/// How many clauses may follow one that says what the agent will do.
const FUTURE_CLAUSES: usize = 2;

impl HeardClause {
    pub(super) fn of(clause: &Clause) -> Self {
        let fired = PHRASES.fired(&clause.words);
        let at = |table: Table| fired.words(table).map(|words| clause.span(words));
        let has = |table: Table| fired.has(table);
        let whole = clause.span(0..clause.words.len());
        let context = at(Table::ContextLimit);
        let leaves = puts_off(&fired).map(|table| at(table).unwrap_or_else(|| whole.clone()));
        let excuse = context.is_some() || leaves.is_some();
        let not_ours = at(Table::OutOfScope);
        let taken_back = has(Table::TakesBack);
        let is_weakened = excuse || has(Table::Effort) || has(Table::Defers);
        let weak = |table: Table| at(table).filter(|_| !is_weakened);
        let is_own = not_ours.is_none() && !has(Table::OtherPeople);
        let near_end = clause.from_end < PROMISE_GROUPS;
        let left = |table: Table| at(table).filter(|_| is_own && near_end && !clause.asks && !has(Table::Condition));
        let is_said_of_work = !has(Table::NoPromise) && !has(Table::Wait) && !has(Table::SecondPerson);
        let open = |table: Table| left(table).filter(|_| is_said_of_work && !has(Table::NothingLeft));
        let is_told = |table: Table| is_told(clause, &fired, table);
        let (promise, promised) = promise(clause, &fired, leaves.is_some());
        let lack = lack(&fired, promise);
        Self {
            stops: at(Table::StopHere),
            own_limit: at(Table::OwnLimit).filter(|_| !clause.asks),
            is_own: has(Table::OwnWords),
            effort: has(Table::Effort),
            defers: left(Table::Defers),
            deferred: open(Table::Deferred).or_else(|| at(Table::GoOnOffer).filter(|_| near_end && is_own)),
            progress: open(Table::Progress),
            open: open(Table::StillOpen).filter(|_| !is_told(Table::StillOpen)),
            rounds_off: has(Table::RoundsOff) && !taken_back,
            labels_open: labels(clause) && (has(Table::ListedNext) || has(Table::StillOpen)) && !has(Table::Optional),
            labels_offer: labels(clause) && has(Table::Optional),
            delivers: clause.closes && clause.words.last().is_some_and(|word| word == ":") && has(Table::Delivers),
            agent_work: at(Table::AgentWork).filter(|_| !has(Table::Optional) && !has(Table::Condition)),
            mends: promise == Promise::Firm && has(Table::Mends),
            promise: (promise, promised.and_then(at).unwrap_or_else(|| whole.clone())),
            question: question(clause, &fired, excuse).map(|question| (question, whole.clone())),
            lacks: lack.map(|(kind, table)| (kind, at(table).unwrap_or_else(|| whole.clone()))),
            blocked: at(Table::BlockedByError)
                .filter(|_| !has(Table::NoError) && !is_open_box(clause))
                .or_else(|| weak(Table::BlockedWeak)),
            failure: at(Table::Failure).filter(|_| !has(Table::NoFailure)),
            complete: at(Table::ClaimsCompletion).filter(|_| !taken_back),
            part_done: at(Table::CompletionWeak).filter(|_| !taken_back),
            as_asked: at(Table::AsAsked).filter(|_| has(Table::AskedToStop)),
            risk: at(Table::Risky)
                .or_else(|| at(Table::RiskyAct).filter(|_| clause.from_end == 0))
                .filter(|_| clause.from_end < HAND_BACK_GROUPS),
            from_end: clause.from_end,
            context,
            leaves,
            not_ours,
            whole,
        }
    }

    /// Where `promise` is made, if it is.
    pub(super) fn promise(&self, promise: Promise) -> Said {
        Some(self.promise.1.clone()).filter(|_| self.promise.0 == promise)
    }

    /// Where `question` is asked, if it is.
    pub(super) fn asks(&self, question: QuestionKind) -> Said {
        self.question.clone().filter(|(asked, _)| *asked == question).map(|(_, span)| span)
    }

    /// Where something of this kind is said to be needed, if it is.
    pub(super) fn lacks(&self, kind: Lack) -> Said {
        self.lacks.clone().filter(|(lack, _)| *lack == kind).map(|(_, span)| span)
    }
}

/// Whether the clause is an open item of a list: what it names is work, and no trouble.
fn is_open_box(clause: &Clause) -> bool {
    clause.is_listed && clause.words.first().is_some_and(|word| word == OPEN)
}

/// Whether what `table` says is only so in the story, or in what the program does.
fn is_told(clause: &Clause, fired: &FiredTables, table: Table) -> bool {
    let (Some(told), Some(said)) = (begins(fired, Table::Relative), begins(fired, table)) else {
        return false;
    };
    told <= said && !clause.words[told..said].iter().any(|word| word == ":")
}

/// Whether the clause is a label over what follows it.
fn labels(clause: &Clause) -> bool {
    clause.words.last().is_some_and(|word| word == ":") || clause.is_listed
}

/// What is needed that only others can give, and by which words that is said.
fn lack(fired: &FiredTables, promise: Promise) -> Option<(Lack, Table)> {
    let excuse = fired.has(Table::ContextLimit) || puts_off(fired).is_some();
    if fired.has(Table::GoOnOffer) {
        return None;
    }
    let table = if fired.has(Table::MissingInfo) {
        Table::MissingInfo
    } else if fired.has(Table::MissingInfoWeak) && !excuse {
        Table::MissingInfoWeak
    } else if promise == Promise::Waiting {
        Table::Wait
    } else {
        return None;
    };
    let kind = if fired.has(Table::Approval) {
        Lack::Approval
    } else if fired.has(Table::Outside) {
        Lack::World
    } else {
        Lack::Information
    };
    Some((kind, table))
}

/// By which words the agent puts its work off: in its own voice, not of what a program does.
fn puts_off(fired: &FiredTables) -> Option<Table> {
    if fired.has(Table::PutOff) {
        return Some(Table::PutOff);
    }
    let leaves = fired.has(Table::LeaveVerb);
    let own = fired.has(Table::OwnVoice) && (leaves || fired.has(Table::WorkVerb));
    let suggests = leaves && fired.has(Table::Suggestion) && !fired.has(Table::OtherPeople);
    (fired.has(Table::OtherSession) && (own || suggests)).then_some(Table::OtherSession)
}

/// What the clause promises, and by which words; putting the work off is no promise, and a fresh session is nothing to
/// wait for.
fn promise(clause: &Clause, fired: &FiredTables, leaves: bool) -> (Promise, Option<Table>) {
    let last_words = clause.behind == 0;
    let says_what_it_is_at = last_words
        && clause.opens
        && !fired.has(Table::NoParticiple)
        && fired.has(Table::Participle)
        && clause.words.len() <= MAX_PARTICIPLE_WORDS
        && (!is_statement(fired) || clause.breaks_off);
    let firm = if fired.has(Table::FirmPromise) {
        Some(Table::FirmPromise)
    } else if clause.behind <= FUTURE_CLAUSES && fired.has(Table::Future) {
        Some(Table::Future)
    } else if says_what_it_is_at {
        Some(Table::Participle)
    } else {
        Some(Table::NextEnd).filter(|table| last_words && fired.has(*table))
    };
    // "What's next? The parser."
    let answers_itself = clause.asks && !clause.closes && fired.has(Table::IdleQuestion);
    if answers_itself && clause.from_end < PROMISE_GROUPS {
        return (Promise::Listed, Some(Table::IdleQuestion));
    }
    let is_promise = firm.is_some() || (fired.has(Table::ListedNext) && !fired.has(Table::NothingLeft));
    if leaves || clause.asks || clause.from_end >= PROMISE_GROUPS || !is_promise {
        (Promise::None, None)
    } else if fired.has(Table::Wait) {
        (if firm.is_some() { Promise::Waiting } else { Promise::None }, firm)
    } else if fired.has(Table::NoPromise) || fired.has(Table::Condition) {
        (Promise::None, None)
    } else if firm.is_some() {
        (Promise::Firm, firm)
    } else {
        (Promise::Listed, Some(Table::ListedNext))
    }
}

/// The word that the first phrase of `table` begins with.
fn begins(fired: &FiredTables, table: Table) -> Option<usize> {
    fired.words(table).map(|words| words.start)
}

/// Whether the clause has a finite verb of its own, and not only in what depends on it.
fn is_statement(fired: &FiredTables) -> bool {
    match (begins(fired, Table::Finite), begins(fired, Table::Subordinate)) {
        (Some(verb), Some(part)) => verb < part,
        (verb, None) => verb.is_some(),
        (None, _) => false,
    }
}

/// The question that the clause puts to the person, if it stands where one waits for an answer. The work may be handed
/// back further up, with a report below.
fn question(clause: &Clause, fired: &FiredTables, excuse: bool) -> Option<QuestionKind> {
    let answered = !clause.closes && fired.has(Table::AnsweredQuestion);
    let is_near = clause.from_end < QUESTION_GROUPS;
    let waits = clause.asks && is_near && !answered && !fired.has(Table::IdleQuestion);
    let is_choice = clause.asks && fired.has(Table::RealChoice);
    let is_others = is_near && !clause.asks && fired.has(Table::Decision);
    let goes_on = clause.asks && fired.has(Table::GoOnQuestion) && !is_choice || fired.has(Table::HandBack);
    let is_handed_back = goes_on && clause.from_end < HAND_BACK_GROUPS;
    let is_risky = fired.has(Table::RiskyAct) || fired.has(Table::Risky);
    if excuse {
        None
    } else if is_risky && (waits || is_near && (is_handed_back || fired.has(Table::Decision))) {
        Some(QuestionKind::Risky)
    } else if is_others {
        Some(QuestionKind::Choice)
    } else if is_handed_back && !is_risky {
        Some(QuestionKind::GoOn)
    } else if !waits {
        None
    } else if is_choice && clause.closes {
        // One that more follows on may be answered there.
        Some(QuestionKind::Choice)
    } else if fired.has(Table::CourtesyQuestion) {
        Some(QuestionKind::Courtesy)
    } else {
        Some(QuestionKind::Real)
    }
}
