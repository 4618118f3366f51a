//! Whether a person's word asks for an end. Who said it is another question: [`crate::person`].
//!
//! Words are compared clause by clause with phrases of thirteen languages, which are data in `templates/`. Whoever is not
//! heard is trapped, while an end that is heard wrongly costs one reminder of one turn: so in doubt it is an end.

use std::sync::OnceLock;

use crate::text;
use crate::words::{Words, begins_with, ends_with, lower};

/// The phrases: lower case, no punctuation but apostrophes. What stands before the words of a line says what they are
/// ([`ANYWHERE`] and those below it); `a|b` is one or the other. In scripts without spaces words are found as they stand.
const PHRASES: &str = include_str!("../../../templates/signals/stop-request.txt");
/// What is looked at of a long prompt, in bytes of its two ends: what the person wants stands before or behind what is
/// pasted.
const SHOWN_BYTES: usize = 2_000;

/// What a prompt means for the work that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The agent is to stop.
    Stop,
    /// A courtesy: what was said before it holds.
    Courtesy,
    /// Anything else.
    Other,
}

/// What `prompt` means.
pub fn meaning(prompt: &str) -> Meaning {
    static READ: OnceLock<Phrases> = OnceLock::new();
    let phrases = READ.get_or_init(Phrases::read);
    let shown = shown(prompt);
    let said = sentences(&shown);
    if said.is_empty() {
        // Signs alone.
        let is_stop = shown.contains(['\u{1f6d1}', '\u{270b}', '\u{26d4}']);
        return match (is_stop, shown.is_ascii()) {
            (true, _) => Meaning::Stop,
            (false, false) => Meaning::Courtesy,
            (false, true) => Meaning::Other,
        };
    }
    let (mut stops, mut is_courtesy) = (false, true);
    for sentence in said.split('\n') {
        stops |= phrases.is_only(&sentence.replace(',', " "), SENTENCE);
        // "Finish it all, then you can stop": no end as long as that is not done.
        let mut goes_on = false;
        for clause in sentence.split(',') {
            let words = Words::of(clause);
            let is_end = phrases.is_only(clause, CLAUSE) || phrases.is_said_in(&words);
            let carries_on = phrases.found(&words, GO_ON, &|before, _| phrases.stands(before));
            goes_on |= carries_on;
            if is_end && !goes_on {
                stops = true;
            } else if carries_on && !is_end {
                // What comes last counts: "Stop! Wrong file. Use the other one and carry on."
                stops = false;
            } else if !goes_on
                && phrases.found(&words, AT_END, &|before, after| after.is_empty() && phrases.stands(before))
            {
                stops = true;
            }
            is_courtesy = is_courtesy && phrases.is_only(clause, COURTESY);
        }
    }
    match (stops, is_courtesy) {
        (true, _) => Meaning::Stop,
        (false, true) => Meaning::Courtesy,
        (false, false) => Meaning::Other,
    }
}

/// Whether the person asks the agent to stop.
pub fn asks_to_stop(prompt: &str) -> bool {
    meaning(prompt) == Meaning::Stop
}

/// An end, wherever a clause has the words.
const ANYWHERE: u8 = b'.';
/// An end, where a clause ends with them.
const AT_END: u8 = b'$';
/// An end, if a sentence says nothing else, fillers aside.
const SENTENCE: u8 = b'=';
/// An end, if a clause says nothing else, fillers aside, or beside a place or a time.
const CLAUSE: u8 = b',';
/// It changes nothing.
const FILLER: u8 = b'~';
/// A place or a time; a filler as well.
const PLACE: u8 = b'@';
/// Takes an end back that stands behind it.
const NEGATION: u8 = b'!';
/// Takes an end back that stands before it.
const CONDITION: u8 = b'>';
/// The agent is to go on: takes back every end that was asked for before it.
const GO_ON: u8 = b'+';
/// Neither an end nor a new task: what was said before it holds.
const COURTESY: u8 = b'&';

/// The phrases, with what each is: those of a kind together, and of these those that begin with the same byte.
struct Phrases(Vec<(u8, String)>);

/// What [`Phrases`] are sorted by.
fn place((kind, words): &(u8, String)) -> (u8, Option<u8>) {
    (*kind, words.bytes().next())
}

/// Shell's sort: that of the library is 3 KiB of a hook.
fn sort(all: &mut [(u8, String)]) {
    let mut gap = all.len() / 2;
    while gap > 0 {
        for from in gap..all.len() {
            let mut at = from;
            while at >= gap && place(&all[at - gap]) > place(&all[at]) {
                all.swap(at - gap, at);
                at -= gap;
            }
        }
        gap /= 2;
    }
}

impl Phrases {
    fn read() -> Self {
        let mut all = Vec::new();
        for line in PHRASES.lines().filter(|line| !line.starts_with('#')) {
            if let (Some(kind), Some(words)) = (line.bytes().next(), line.get(2..)) {
                alternatives(words, &mut |words| all.push((kind, words)));
            }
        }
        sort(&mut all);
        Self(all)
    }

    /// The phrases of a kind.
    fn of(&self, kind: u8) -> &[(u8, String)] {
        let from = self.0.partition_point(|(of, _)| *of < kind);
        let to = self.0.partition_point(|(of, _)| *of <= kind);
        self.0.get(from..to).unwrap_or_default()
    }

    /// Those that begin with this byte.
    fn beginning(&self, kind: u8, first: u8) -> &[(u8, String)] {
        let all = self.of(kind);
        let begins = |words: &str| words.bytes().next();
        let from = all.partition_point(|(_, words)| begins(words) < Some(first));
        let to = all.partition_point(|(_, words)| begins(words) <= Some(first));
        all.get(from..to).unwrap_or_default()
    }

    fn any(&self, kind: u8, test: &dyn Fn(&str) -> bool) -> bool {
        self.of(kind).iter().any(|(_, words)| test(words))
    }

    /// Whether `words` begin with a phrase of a kind.
    fn begin(&self, words: &str, kind: u8) -> bool {
        let first = words.bytes().next();
        first.is_some_and(|first| self.beginning(kind, first).iter().any(|(_, phrase)| begins_with(words, phrase)))
    }

    /// Whether a phrase of a kind is found at a place that `fits`.
    fn found(&self, words: &Words<'_>, kind: u8, fits: &dyn Fn(&str, &str) -> bool) -> bool {
        words.first_bytes().any(|first| self.beginning(kind, first).iter().any(|(_, phrase)| words.found(phrase, fits)))
    }

    /// Whether `words` are one of a kind, and fillers.
    fn is_only(&self, words: &str, kind: u8) -> bool {
        let mut left = words;
        loop {
            let first = left.bytes().next();
            if first.is_some_and(|first| self.beginning(kind, first).iter().any(|(_, words)| words == left)) {
                return true;
            }
            // The longest filler, so that none is cut into two.
            let fillers = self.of(FILLER).iter().chain(self.of(PLACE));
            match fillers.filter_map(|(_, filler)| without(left, filler)).min_by_key(|left| left.len()) {
                Some(shorter) if !shorter.is_empty() => left = shorter,
                // Nothing but fillers: "ok, thanks".
                shorter => return kind == COURTESY && shorter.is_some(),
            }
        }
    }

    /// Whether a phrase stands in `clause` wherever it may, and nothing takes it back.
    fn is_said_in(&self, clause: &Words<'_>) -> bool {
        let holds = |before: &str, after: &str| self.stands(before) && !self.begin(after, CONDITION);
        let is_placed = |before: &str, after: &str| {
            (self.begin(after, PLACE) || self.any(PLACE, &|place| ends_with(before, place))) && holds(before, after)
        };
        self.found(clause, CLAUSE, &is_placed) || self.found(clause, ANYWHERE, &holds)
    }

    /// Whether nothing that stands before a phrase takes it back.
    fn stands(&self, before: &str) -> bool {
        !self.any(NEGATION, &|word| ends_with(before, word))
    }
}

/// Each way to read words of which some are `a|b`.
fn alternatives(words: &str, take: &mut dyn FnMut(String)) {
    let Some(bar) = words.find('|') else { return take(words.to_owned()) };
    let start = words[..bar].rfind(' ').map_or(0, |at| at + 1);
    let end = words[bar..].find(' ').map_or(words.len(), |at| bar + at);
    for word in words[start..end].split('|') {
        alternatives(&[&words[..start], word, &words[end..]].concat(), take);
    }
}

/// `words` without `filler` at its beginning or at its end; `None` if it stands at neither.
fn without<'a>(words: &'a str, filler: &str) -> Option<&'a str> {
    if begins_with(words, filler) {
        Some(words[filler.len()..].trim_start())
    } else if ends_with(words, filler) {
        Some(words[..words.len() - filler.len()].trim_end())
    } else {
        None
    }
}

/// What the person said of a prompt: its two ends, without what clients put around it (`<ide_opened_file>`,
/// `<system-reminder>`, `[Image #1]`).
pub fn shown(prompt: &str) -> String {
    let mut said = String::new();
    let mut rest = prompt.trim();
    let mut searches = MAX_SEARCHES;
    while let Some(at) = rest.find(['<', '[', '`']) {
        said.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = enclosed(rest, &mut searches) {
            said.push('\n');
            rest = &rest[length..];
        } else {
            said.push(' ');
            rest = &rest[1..];
        }
    }
    said.push_str(rest);
    let said = said.trim();
    text::ends(said, SHOWN_BYTES)
}

/// How many ends are looked for in vain: without a bound a prompt of beginnings alone takes time that grows with its square.
const MAX_SEARCHES: u32 = 64;

/// The length of code, or of an element or a mark that a client has put there, at the beginning of `text`. `searches` are
/// left for what has no end.
fn enclosed(text: &str, searches: &mut u32) -> Option<usize> {
    let mut end_of = |text: &str, end: &str| {
        *searches = searches.checked_sub(1)?;
        let at = text.find(end)?;
        *searches += 1;
        Some(at + end.len())
    };
    if text.starts_with("[Image #") || text.starts_with("[Pasted text #") {
        return end_of(text, "]");
    }
    if let Some(code) = text.strip_prefix('`') {
        return end_of(code, "`").map(|length| length + 1);
    }
    let name = text.strip_prefix('<')?;
    let name = &name[..name.find(|sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_')))?];
    // Elements of clients have names of two words at least; `<b>` may be the person's.
    if !name.contains(['-', '_']) {
        return None;
    }
    end_of(text, &format!("</{name}>"))
}

/// `text` as its sentences, a line each, and their clauses, with a comma between them: lower case, single spaces, no other
/// punctuation but apostrophes and hyphens within words.
fn sentences(text: &str) -> String {
    let mut out = String::new();
    // What has to come before the next word: the strongest of what stood there.
    let mut gap = 0;
    let mut signs = text.chars().peekable();
    let mut word_at = 0;
    while let Some(sign) = signs.next() {
        let next = signs.peek().copied().unwrap_or(' ');
        let kept = match sign {
            '\'' | '\u{2019}' => '\'',
            '-' if next.is_alphanumeric() && gap == 0 => '-',
            sign if sign.is_alphanumeric() => lower(sign),
            _ => {
                let is_end = matches!(
                    sign,
                    '!' | '?' | ';' | '\n' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}' | '\u{2026}' | '\u{a1}' | '\u{bf}'
                ) || (sign == '.' && !next.is_alphanumeric());
                let is_break = matches!(
                    sign,
                    ',' | ':' | '\u{ff0c}' | '\u{3001}' | '\u{ff1a}' | '(' | ')' | '\u{2013}' | '\u{2014}'
                );
                gap = gap.max(if is_end {
                    3
                } else if is_break {
                    2
                } else {
                    1
                });
                continue;
            }
        };
        if gap > 0 && !out.is_empty() {
            undouble(&mut out, word_at);
            out.push([' ', ',', '\n'][gap - 1]);
            word_at = out.len();
        }
        gap = 0;
        out.push(kept);
    }
    undouble(&mut out, word_at);
    out
}

/// Takes the word at `at` away if it is the same as the one before: "stop, stop, stop" is one "stop".
fn undouble(out: &mut String, at: usize) {
    let Some(before) = at.checked_sub(1) else { return };
    let earlier = out[..before].rfind([' ', ',', '\n']).map_or(0, |gap| gap + 1);
    if out[earlier..before] == out[at..] {
        out.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// A file of prompts: what a line means stands before it.
    fn each(expected: Meaning, prompts: &str) {
        let prompts = prompts.lines().map(str::trim).filter(|line| !line.is_empty());
        let wrong: Vec<&str> = prompts.filter(|prompt| meaning(prompt) != expected).collect();
        assert!(wrong.is_empty(), "not {expected:?}: {wrong:#?}");
    }

    #[test]
    fn a_person_who_wants_an_end_is_heard_in_every_language() {
        each(Meaning::Stop, include_str!("stop_request/stop.txt"));
    }

    #[test]
    fn work_that_mentions_stopping_is_no_end() {
        each(Meaning::Other, include_str!("stop_request/work.txt"));
    }

    #[test]
    fn a_courtesy_takes_nothing_back() {
        each(
            Meaning::Courtesy,
            "thanks\ndanke dir\ngrazie mille\ngreat work\n👍\nlovely, ty\ncheers mate\nThanks!\nok, thank you\nDanke!\nmerci, parfait\nспасибо\n谢谢\nありがとう",
        );
    }

    #[rstest]
    #[case("<ide_opened_file>The user opened stop.md</ide_opened_file>\nplease stop here")]
    #[case("<system-reminder>\nnever stop\n</system-reminder>\n\nstop")]
    #[case("[Image #1] stop now")]
    fn what_clients_put_around_a_prompt_is_not_the_person_s(#[case] prompt: &str) {
        assert_eq!(meaning(prompt), Meaning::Stop);
        assert_eq!(meaning("<system-reminder>please stop here</system-reminder>\nwrite the parser"), Meaning::Other);
    }

    #[test]
    fn both_ends_of_a_long_prompt_are_looked_at() {
        let log = "12:00:01 INFO served /orders in 3 ms\n".repeat(2_000);
        assert_eq!(meaning(&format!("{log}\nok, stop here for today")), Meaning::Stop);
        assert_eq!(meaning(&format!("stop here.\n{log}")), Meaning::Stop);
        assert_eq!(meaning(&format!("what does this say?\n{log}")), Meaning::Other);
    }

    #[test]
    fn every_phrase_is_as_prompts_are_read() {
        for (kind, words) in Phrases::read().0 {
            let kinds = [ANYWHERE, AT_END, SENTENCE, CLAUSE, FILLER, PLACE, NEGATION, CONDITION, GO_ON, COURTESY];
            assert!(!words.is_empty() && kinds.contains(&kind), "{words:?}");
            assert_eq!(sentences(&words), words, "{words:?} is never found");
        }
    }

    #[test]
    fn nothing_is_no_end() {
        for empty in ["", "  \n", "...", "<system-reminder>", "[", "<a-b>"] {
            assert_eq!(meaning(empty), Meaning::Other, "{empty}");
        }
    }
}
