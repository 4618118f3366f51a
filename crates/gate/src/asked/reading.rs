//! A prompt as features: its words, what each sentence begins and ends with, and what its form gives away.

use std::ops::Range;

use stopgate_core::harness::MAX_PROMPT_BYTES;
use stopgate_core::stop_request::{self, Meaning};
use stopgate_core::text;
use stopgate_core::words::{is_unspaced, lower};

use super::phrases::{Hash, List, Lists, beginning, longest};
use crate::model::Feature;

/// What is looked at of a long prompt, in bytes of its two ends: a request stands before or behind what is pasted.
const SHOWN_BYTES: usize = 2_000;
/// How many letters of a longer word are taken for its stem, and how many for its ending.
const STEM_CHARS: usize = 4;
const ENDING_CHARS: usize = 3;
/// How many words of its beginning count apart.
const FIRST_WORDS: usize = 3;
/// Most steps that a range of numbers names.
const MAX_RANGE: u32 = 40;

/// A prompt, read once.
#[derive(Debug)]
pub(super) struct PromptReading {
    /// Its words, one after the other, as [`PromptReading::push`] reads them.
    text: String,
    /// Words, marks (`?`) and signs.
    words: Vec<Word>,
    /// Where each sentence ends in `words`.
    ends: Vec<usize>,
    /// What it means for work that is going on.
    pub(super) meaning: Meaning,
    /// The name of the command that it is.
    pub(super) command: Option<String>,
}

/// A word, and the lists that have a phrase which begins here.
#[derive(Debug, Clone, Copy)]
struct Word {
    from: usize,
    to: usize,
    hash: Hash,
    lists: Lists,
}

impl PromptReading {
    pub(super) fn of(prompt: &str) -> Self {
        let prompt = text::ends(prompt, MAX_PROMPT_BYTES);
        let shown = stop_request::shown(&without_code(&prompt));
        let shown = without_logs(&shown);
        let command = shown
            .strip_prefix('/')
            .and_then(|rest| rest.split_whitespace().next())
            .filter(|name| name.starts_with(char::is_alphabetic) && !name.contains('/'))
            .map(str::to_lowercase);
        let words = Self::of_words(&text::ends(&shown, SHOWN_BYTES));
        Self { meaning: stop_request::meaning(&prompt), command, ..words }
    }

    /// Its words alone.
    pub(super) fn of_words(text: &str) -> Self {
        let mut reading = Self {
            text: String::with_capacity(text.len()),
            words: Vec::new(),
            ends: Vec::new(),
            meaning: Meaning::Other,
            command: None,
        };
        reading.split(text);
        for sentence in 0..reading.ends.len() {
            let range = reading.range(sentence);
            for at in range.clone() {
                reading.words[at].lists = beginning(reading.words[at].hash, reading.said(at..range.end));
            }
        }
        reading
    }

    /// How many words it has.
    pub(super) fn count(&self) -> usize {
        self.words.len()
    }

    /// How many sentences it has.
    pub(super) fn sentences(&self) -> usize {
        self.ends.len()
    }

    /// Which words are of the sentence of this number.
    fn range(&self, sentence: usize) -> Range<usize> {
        let from = sentence.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        from..self.ends.get(sentence).copied().unwrap_or(from)
    }

    fn ranges(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + '_ {
        (0..self.ends.len()).map(|sentence| self.range(sentence))
    }

    fn said(&self, range: Range<usize>) -> impl Iterator<Item = &str> + Clone {
        self.words[range].iter().map(|word| &self.text[word.from..word.to])
    }

    fn word(&self, at: usize) -> &str {
        let word = self.words[at];
        &self.text[word.from..word.to]
    }

    /// Whether its last sentence is a question by its mark.
    pub(super) fn ends_as_question(&self) -> bool {
        self.ranges().next_back().is_some_and(|last| self.said(last).any(|word| word == "?"))
    }

    /// Whether a question mark stands anywhere.
    pub(super) fn asks(&self) -> bool {
        self.said(0..self.words.len()).any(|word| word == "?")
    }

    /// Which lists have a phrase that stands anywhere.
    fn anywhere(&self) -> Lists {
        self.words.iter().fold(Lists::default(), |lists, word| lists.or(word.lists))
    }

    /// Whether a phrase of `list` stands anywhere.
    pub(super) fn has(&self, list: List) -> bool {
        self.anywhere().has(list)
    }

    /// Which lists have a phrase that its first sentence begins with.
    pub(super) fn begins_first(&self) -> Lists {
        self.words.first().map_or_else(Lists::default, |word| word.lists)
    }

    /// Whether its first sentence begins with a phrase of `list`.
    pub(super) fn begins(&self, list: List) -> bool {
        self.begins_first().has(list)
    }

    /// Whether any of its sentences begins with a phrase of `list`.
    pub(super) fn begins_any(&self, list: List) -> bool {
        self.ranges().any(|range| self.words.get(range.start).is_some_and(|word| word.lists.has(list)))
    }

    /// Whether it is made of phrases of `list` alone.
    pub(super) fn is_only(&self, list: List) -> bool {
        self.ranges().all(|range| {
            let mut at = range.start;
            while at < range.end {
                let mark = usize::from(matches!(self.word(at), "," | "!" | ":" | "-"));
                match longest(list, self.words[at].hash, self.said(at..range.end)).unwrap_or(mark) {
                    0 => return false,
                    taken => at += taken,
                }
            }
            true
        })
    }

    /// The numbers of the steps that it names as those to do, ranges written out: none where it also says what is not to be
    /// done before it names them. Where a sentence says "only", no other's are meant.
    pub(super) fn numbers(&self) -> Vec<String> {
        let only: Vec<_> = self.ranges().filter(|range| self.has_in(range.clone(), List::Only)).collect();
        let of_only: Vec<String> = only.into_iter().flat_map(|range| self.numbers_in(range)).collect();
        let mut found =
            if of_only.is_empty() { self.ranges().flat_map(|range| self.numbers_in(range)).collect() } else { of_only };
        found.dedup();
        found
    }

    fn has_in(&self, range: Range<usize>, list: List) -> bool {
        self.words[range].iter().any(|word| word.lists.has(list))
    }

    fn numbers_in(&self, range: Range<usize>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        // What stands between a number and this one, if that is no more than a word.
        let mut before: Option<(u32, usize)> = None;
        for at in range {
            let (word, lists) = (self.word(at), self.words[at].lists);
            let number = word.parse::<u32>().ok().filter(|_| word.len() <= 3);
            if let Some(number) = number {
                let from = before.filter(|(_, between)| at - between == 2 && self.is_to(at - 1));
                match from {
                    Some((first, _)) if first < number && number - first <= MAX_RANGE => {
                        found.extend((first + 1..=number).map(|number| number.to_string()));
                    }
                    _ => found.push(number.to_string()),
                }
                before = Some((number, at));
            } else if lists.has(List::Not) || lists.has(List::Later) {
                break;
            }
        }
        found
    }

    /// Whether the word there stands between the ends of a range: not what stands between two that are meant alone.
    fn is_to(&self, at: usize) -> bool {
        const TO: [&str; 22] = [
            "-", "\u{2013}", "\u{2014}", "~", "\u{301c}", "\u{ff5e}", "to", "through", "thru", "till", "until", "bis",
            "a", "à", "al", "até", "ate", "tot", "do", "до", "到", "至",
        ];
        TO.contains(&self.word(at))
    }

    /// The features, each with its share.
    pub(super) fn features(&self) -> Vec<Feature> {
        let mut names: Vec<u32> = Vec::with_capacity(8 * self.words.len());
        for (number, range) in self.ranges().enumerate() {
            self.each_gram(range.clone(), &mut names);
            let (first, last) = (number == 0, number + 1 == self.sentences());
            for (is_there, mark) in [(true, "^"), (first, "1^"), (last, "9^")] {
                if is_there {
                    let mark = name(mark);
                    names.push(mark.with(self.shown(range.start)).get());
                    if range.len() > 1 {
                        names.push(self.pair(mark, range.start).get());
                    }
                }
            }
            if first {
                // How a verb that asks for something is formed, and the words that stand near it.
                let place = name("1.");
                names.extend(range.clone().take(FIRST_WORDS).map(|at| place.with(self.shown(at)).get()));
                self.parts(range.start, name("1^"), &mut names);
            }
            if last {
                self.parts(self.last_word(range.clone()), name("9$"), &mut names);
                let (end, any) = (name("9$"), name("9"));
                names.push(end.with(self.shown(range.end - 1)).get());
                if range.len() > 1 {
                    names.push(self.pair(end, range.end - 2).get());
                }
                names.extend(range.map(|at| any.with(self.shown(at)).get()));
            }
        }
        names.sort_unstable();
        names.dedup();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
        let share = 1.0 / (names.len().max(1) as f32).sqrt();
        let mut all: Vec<Feature> = names.iter().map(|name| Feature { hash: *name, value: share }).collect();
        self.form(|name| all.push(Feature { hash: name.get(), value: FORM_SHARE }));
        all
    }

    /// A word as features name it: which number it is does not matter.
    fn shown(&self, at: usize) -> &[u8] {
        let word = self.word(at);
        if is_number(word) { b"0" } else { word.as_bytes() }
    }

    fn pair(&self, name: Hash, at: usize) -> Hash {
        name.with(self.shown(at)).with(b" ").with(self.shown(at + 1))
    }

    /// Each word of `range`, pairs and triples of them, stems and endings.
    fn each_gram(&self, range: Range<usize>, names: &mut Vec<u32>) {
        for at in range.clone() {
            let shown = self.shown(at);
            let alone = name("").with(shown);
            names.push(alone.get());
            if at + 1 < range.end {
                let pair = alone.with(b" ").with(self.shown(at + 1));
                names.push(pair.get());
                if at + 2 < range.end {
                    let are_signs = (at..at + 3).all(|at| is_sign_word(self.word(at)));
                    let before = if are_signs { pair.with(b" ") } else { alone.with(b" _ ") };
                    names.push(before.with(self.shown(at + 2)).get());
                }
            }
            self.parts(at, name(""), names);
        }
    }

    /// The stem and the ending of a longer word.
    fn parts(&self, at: usize, mark: Hash, names: &mut Vec<u32>) {
        let word = self.word(at);
        if !is_number(word)
            && let Some((stem, _)) = word.char_indices().nth(STEM_CHARS)
        {
            names.push(mark.with(&word.as_bytes()[..stem]).with(b"*").get());
            let ending = word.char_indices().rev().nth(ENDING_CHARS - 1).map_or(0, |(at, _)| at);
            names.push(mark.with(b"*").with(&word.as_bytes()[ending..]).get());
        }
    }

    /// The last of `range` that is no mark.
    fn last_word(&self, range: Range<usize>) -> usize {
        let is_word = |at: &usize| self.word(*at).starts_with(char::is_alphabetic);
        range.clone().rev().find(is_word).unwrap_or(range.start)
    }

    /// Gives what its form gives away.
    fn form(&self, mut give: impl FnMut(Hash)) {
        let size: &[u8] = match self.count() {
            0 => b"0",
            1 => b"1",
            2..=3 => b"3",
            4..=8 => b"8",
            9..=20 => b"20",
            21..=60 => b"60",
            _ => b"more",
        };
        give(name("words ").with(size));
        give(name(match self.meaning {
            Meaning::Stop => "meaning Stop",
            Meaning::Courtesy => "meaning Courtesy",
            Meaning::Other => "meaning Other",
        }));
        let questions = self.ranges().filter(|range| self.word(range.end - 1) == "?").count();
        give(name(match (questions, self.sentences()) {
            (0, _) => "asks nothing",
            (asked, of) if asked == of => "asks all",
            _ if self.ends_as_question() => "asks at end",
            _ => "asks before",
        }));
        give(name(
            ["sentences 0", "sentences 1", "sentences 2", "sentences 3", "sentences 4"][self.sentences().min(4)],
        ));
        if self.said(0..self.words.len()).any(is_number) {
            give(name("number"));
        }
        if self.command.is_some() {
            give(name("command"));
        }
        let begins = |range: Range<usize>| self.words[range.start].lists;
        let all = self.ranges().map(begins).fold(Lists::default(), Lists::or);
        let last = self.ranges().next_back().map_or_else(Lists::default, begins);
        let places = [
            ("has ", self.anywhere()),
            ("begins ", all),
            ("first begins ", self.begins_first()),
            ("last begins ", last),
        ];
        for (list, of_list) in FORM_LISTS {
            for (place, lists) in &places {
                if lists.has(list) {
                    give(name(place).with(of_list));
                }
            }
        }
    }

    fn push(&mut self, word: impl IntoIterator<Item = char>) {
        let from = self.text.len();
        self.text.extend(word);
        let hash = name("").with(&self.text.as_bytes()[from..]);
        self.words.push(Word { from, to: self.text.len(), hash, lists: Lists::default() });
    }

    fn end(&mut self) {
        if self.words.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.words.len());
        }
    }

    /// The words of each sentence of `text`: lower case without marks, numbers, and what signs say by themselves.
    fn split(&mut self, text: &str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = if first.is_ascii_digit() {
                let length = rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len());
                self.push(rest[..length].chars());
                length
            } else if is_unspaced(first) {
                self.push([first]);
                first.len_utf8()
            } else if first.is_alphabetic() {
                let within = |sign: char| sign.is_alphabetic() || matches!(sign, '\'' | '\u{2019}' | '-' | '_');
                let length = rest.find(|sign| !within(sign) || is_unspaced(sign)).unwrap_or(rest.len());
                let word = rest[..length].trim_end_matches(['-', '_', '\'']);
                self.push(word.chars().map(|sign| if sign == '\u{2019}' { '\'' } else { lower(sign) }));
                length
            } else {
                match first {
                    '?' | '\u{ff1f}' => {
                        self.push(['?']);
                        self.end();
                    }
                    '.' | '!' | '\n' | '\u{3002}' | '\u{ff01}' | ';' => {
                        if first == '!' {
                            self.push(['!']);
                        }
                        self.end();
                    }
                    ',' | '\u{ff0c}' | '\u{3001}' => self.push([',']),
                    ':' | '/' | '>' | '$' | '+' | '=' | '{' | '~' | '#' | '[' | ']' | '(' | '|' | '*' | '-' => {
                        self.push([first]);
                    }
                    _ if !first.is_ascii() && !first.is_whitespace() => self.push([first]),
                    _ => {}
                }
                first.len_utf8()
            };
            rest = &rest[length..];
        }
        self.end();
    }
}

/// What a feature of the form counts, beside words, whose squares add up to one.
const FORM_SHARE: f32 = 0.5;

/// The lists whose phrases are features of the form.
const FORM_LISTS: [(List, &[u8]); 14] = [
    (List::Question, b"question"),
    (List::Only, b"only"),
    (List::NotChange, b"not change"),
    (List::GoOn, b"go on"),
    (List::Tell, b"tell"),
    (List::Do, b"do"),
    (List::Later, b"later"),
    (List::All, b"all"),
    (List::Courtesy, b"courtesy"),
    (List::Plan, b"plan"),
    (List::Ends, b"ends"),
    (List::Request, b"request"),
    (List::Wish, b"wish"),
    (List::TellStrictly, b"tell strictly"),
];

/// The hash of the name of a feature.
const fn name(name: &str) -> Hash {
    Hash::NONE.with(b"=").with(name.as_bytes())
}

/// Whether a word is a number.
fn is_number(word: &str) -> bool {
    word.starts_with(|sign: char| sign.is_ascii_digit())
}

fn is_sign_word(word: &str) -> bool {
    word.starts_with(is_unspaced)
}

/// `prompt` with code as a mark of its own.
fn without_code(prompt: &str) -> String {
    let mut out = String::with_capacity(prompt.len());
    for (number, part) in prompt.split("```").enumerate() {
        if number % 2 == 0 {
            for (number, part) in part.split('`').enumerate() {
                out.push_str(if number % 2 == 0 { part } else { " \u{a7} " });
            }
        } else {
            out.push_str("\n\u{b6}\n");
        }
    }
    out
}

/// `text` without the lines that a program has written, if a line is left: each such run is one mark.
fn without_logs(text: &str) -> String {
    let is_log = |line: &str| {
        let count = line.chars().count();
        let odd = line.chars().filter(|sign| sign.is_ascii_punctuation() || sign.is_ascii_digit()).count();
        let marks = [
            "Error:",
            "ERROR",
            "error:",
            "FAILED",
            "Exception",
            "Traceback",
            "WARN",
            "INFO",
            "panicked at",
            "$ ",
            "at line ",
        ];
        count > 20 && (odd * 5 > count || marks.iter().any(|mark| line.contains(mark)))
    };
    if text.lines().count() < 2 || text.lines().all(is_log) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let is_log = is_log(line);
        if !(is_log && out.ends_with("\u{b6}\n")) {
            out.push_str(if is_log { "\u{b6}" } else { line });
            out.push('\n');
        }
    }
    out
}
