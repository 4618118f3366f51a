//! What the last assistant message says about why the agent stops.
//!
//! A signal is a hint for the rules, never a verdict. The phrases are data (`templates/signals/`); matching is
//! linear in the length of the message.

use std::sync::LazyLock;

/// Something the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It speaks of the context window, tokens, or the length of the conversation.
    ContextLimit,
    /// It speaks of another session.
    FreshSession,
    /// It says that it should stop because of one of the two.
    ShouldStopForContext,
    /// It promises work instead of doing it.
    PromisedNextStep,
    /// It ends with a real question.
    AsksQuestion,
    /// It needs something from the person.
    MissingInfo,
    /// It is held up by an error.
    BlockedByError,
    /// It says that everything is finished.
    ClaimsCompletion,
}

impl Signal {
    /// All signals.
    pub const ALL: [Self; 8] = [
        Self::ContextLimit,
        Self::FreshSession,
        Self::ShouldStopForContext,
        Self::PromisedNextStep,
        Self::AsksQuestion,
        Self::MissingInfo,
        Self::BlockedByError,
        Self::ClaimsCompletion,
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

/// Reads the signals off a message.
pub fn detect(message: &str) -> Signals {
    let phrases = &*PHRASES;
    let sentences = sentences(message);
    let mut found = Vec::new();
    for sentence in &sentences {
        let context = phrases.fires(Table::ContextLimit, sentence);
        let session = phrases.fires(Table::FreshSession, sentence);
        if context {
            found.push(Signal::ContextLimit);
        }
        if session {
            found.push(Signal::FreshSession);
        }
        if (context || session) && phrases.fires(Table::StopWord, sentence) {
            found.push(Signal::ShouldStopForContext);
        }
        if phrases.fires(Table::PromisedNextStep, sentence) {
            found.push(Signal::PromisedNextStep);
        }
        if phrases.fires(Table::MissingInfo, sentence) {
            found.push(Signal::MissingInfo);
        }
        if phrases.fires(Table::BlockedByError, sentence) {
            found.push(Signal::BlockedByError);
        }
        if phrases.fires(Table::ClaimsCompletion, sentence) && !takes_back(sentence) {
            found.push(Signal::ClaimsCompletion);
        }
    }
    let closing = sentences.iter().rev().take(CLOSING_SENTENCES);
    if closing.into_iter().any(|last| last.ends_with('?') && !phrases.fires(Table::ExcuseQuestion, last)) {
        found.push(Signal::AsksQuestion);
    }
    Signals::of(found)
}

/// A question counts when it is among so many sentences at the end: a courtesy may follow it.
const CLOSING_SENTENCES: usize = 3;

/// Whether a claim of completion is taken back in its own sentence.
fn takes_back(sentence: &str) -> bool {
    ["not", "almost", "nearly", "once", "until", "when", "after", "before", "isn't", "if"]
        .iter()
        .any(|word| contains_phrase(sentence, word))
}

/// The sentences of a message, lower case, single-spaced, without code blocks, inline code and quoted lines.
fn sentences(message: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut in_code = false;
    for line in message.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            in_code = !in_code;
            continue;
        }
        if in_code || trimmed.starts_with('>') {
            continue;
        }
        split_sentences(trimmed, &mut all);
    }
    all
}

fn split_sentences(line: &str, all: &mut Vec<String>) {
    let mut current = String::new();
    let mut in_inline_code = false;
    let mut symbols = line.chars().peekable();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '`' => in_inline_code = !in_inline_code && symbols.clone().any(|later| later == '`'),
            _ if in_inline_code => {}
            '\u{2018}' | '\u{2019}' => current.push('\''),
            '*' | '_' => {}
            '.' | '!' | '?'
                if symbols.peek().is_none_or(|next| next.is_whitespace() || matches!(next, '*' | '_' | ')')) =>
            {
                current.push(symbol);
                finish(&mut current, all);
            }
            _ if symbol.is_whitespace() => {
                if !current.is_empty() && !current.ends_with(' ') {
                    current.push(' ');
                }
            }
            _ => current.extend(symbol.to_lowercase()),
        }
    }
    finish(&mut current, all);
}

fn finish(current: &mut String, all: &mut Vec<String>) {
    let sentence = current.trim();
    if !sentence.is_empty() {
        all.push(sentence.to_owned());
    }
    current.clear();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    ContextLimit,
    FreshSession,
    StopWord,
    PromisedNextStep,
    ExcuseQuestion,
    MissingInfo,
    BlockedByError,
    ClaimsCompletion,
}

impl Table {
    fn of(section: &str) -> Option<Self> {
        Some(match section {
            "context-limit" => Self::ContextLimit,
            "fresh-session" => Self::FreshSession,
            "stop-word" => Self::StopWord,
            "promised-next-step" => Self::PromisedNextStep,
            "excuse-question" => Self::ExcuseQuestion,
            "missing-info" => Self::MissingInfo,
            "blocked-by-error" => Self::BlockedByError,
            "claims-completion" => Self::ClaimsCompletion,
            _ => return None,
        })
    }
}

struct Phrases(Vec<(Table, &'static str)>);

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::parse(include_str!("../../../templates/signals/en.txt")));

impl Phrases {
    fn parse(text: &'static str) -> Self {
        let mut table = None;
        let mut phrases = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = Table::of(section);
            } else if let Some(table) = table {
                phrases.push((table, line));
            }
        }
        Self(phrases)
    }

    fn fires(&self, table: Table, sentence: &str) -> bool {
        self.0.iter().any(|(of, phrase)| *of == table && contains_phrase(sentence, phrase))
    }
}

/// Whether `phrase` stands in `sentence` as whole words.
fn contains_phrase(sentence: &str, phrase: &str) -> bool {
    let inside = |symbol: Option<char>| symbol.is_some_and(char::is_alphanumeric);
    sentence.match_indices(phrase).any(|(at, _)| {
        !inside(sentence[..at].chars().next_back()) && !inside(sentence[at + phrase.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("I'm running low on context, so this is a good place to stop.", &[Signal::ShouldStopForContext])]
    #[case("Let\u{2019}s continue in a **fresh session**.", &[Signal::FreshSession, Signal::ShouldStopForContext])]
    #[case("Step 1 is in. Next, I'll write the parser.", &[Signal::PromisedNextStep])]
    #[case("Shall we pick this up in a new session?", &[Signal::FreshSession])]
    fn excuses_and_promises_want_to_leave(#[case] message: &str, #[case] expected: &[Signal]) {
        let found = detect(message);
        assert!(found.wants_to_leave(), "{message}");
        for signal in expected {
            assert!(found.has(*signal), "{message}: {signal:?} not in {:?}", found.names());
        }
        assert!(!found.has(Signal::AsksQuestion), "{message}");
    }

    #[rstest]
    #[case("Done: the parser is in and its tests pass.")]
    #[case("I renamed the `fresh session` helper.")]
    #[case("> next, I'll do it\n\nThat was the user's text.")]
    #[case("```\nnext, I'll\n```\nPrinted above.")]
    #[case("The sessionless newsession token is parsed.")]
    #[case("")]
    fn other_messages_do_not(#[case] message: &str) {
        assert!(!detect(message).wants_to_leave(), "{message}: {:?}", detect(message).names());
    }

    #[rstest]
    #[case("Should the cache be per user or global?", Signal::AsksQuestion)]
    #[case("Which database do you prefer? Both work. Happy to do either.", Signal::AsksQuestion)]
    #[case("I need your API key for the staging system.", Signal::MissingInfo)]
    #[case("I cannot proceed: the disk is read-only.", Signal::BlockedByError)]
    #[case("All tasks are complete.", Signal::ClaimsCompletion)]
    fn legitimate_reasons_are_heard(#[case] message: &str, #[case] signal: Signal) {
        assert!(detect(message).has(signal), "{:?}", detect(message).names());
    }

    #[test]
    fn a_completion_that_is_taken_back_is_none() {
        assert!(!detect("Not everything is done yet.").has(Signal::ClaimsCompletion));
    }

    #[test]
    fn every_table_has_phrases_and_none_is_in_upper_case() {
        for table in [
            Table::ContextLimit,
            Table::FreshSession,
            Table::StopWord,
            Table::PromisedNextStep,
            Table::ExcuseQuestion,
            Table::MissingInfo,
            Table::BlockedByError,
            Table::ClaimsCompletion,
        ] {
            assert!(PHRASES.0.iter().any(|(of, _)| *of == table), "{table:?}");
        }
        assert!(PHRASES.0.iter().all(|(_, phrase)| *phrase == phrase.to_lowercase()));
    }

    proptest! {
        #[test]
        fn no_message_panics(message in "\\PC*|[ -~\n`>*_?.\u{2019}]*") {
            let _ = detect(&message);
        }
    }
}
