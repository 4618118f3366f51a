//! Tables of phrases (`templates/signals/`) and how a clause is compared with them.
//!
//! A phrase is a row of words: `a|b` is one of several words, `!a|b` any other word, `a?` may be missing, `*` is up to
//! [`MAX_GAP`] words, `#` or `%num` (where a line may not begin with `#`) a number, `%any` any word, `%ing` or `%ed|%en` one that ends so, `^` the beginning and `$` the end of
//! the clause. `@name` stands for the words of a line `@name = a|b|c` further up in the same file.

mod table;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::LazyLock;

pub(super) use self::table::Table;
use super::prose::is_ideograph;

/// Most words that `*` stands for.
const MAX_GAP: usize = 6;
/// Shortest word that has a form: "bring" and "red" are no forms of anything.
const MIN_FORM_CHARS: usize = 5;

/// Each sign of its own where words are written without spaces, else the word.
fn signs(word: &'static str) -> Vec<&'static str> {
    if word.chars().all(is_ideograph) { word.split("").filter(|sign| !sign.is_empty()).collect() } else { vec![word] }
}

type WordId = u32;

/// FNV-1a: what is looked up is short, and the words that are known are ours.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
enum Part {
    Start,
    End,
    Gap,
    Number,
    Form { any: Vec<&'static str>, optional: bool },
    Not(WordSet),
    Word { any: WordSet, optional: bool, or_end: bool },
}

/// Some words.
#[derive(Debug)]
struct WordSet {
    ids: Vec<WordId>,
    /// A bit for each, by its id: most words are told apart by that.
    mask: Mask,
}

impl WordSet {
    fn of(ids: Vec<WordId>) -> Self {
        let mask = ids.iter().fold(0, |mask, id| mask | bit(*id));
        Self { ids, mask }
    }

    fn has(&self, id: WordId) -> bool {
        self.mask & bit(id) != 0 && self.ids.contains(&id)
    }
}

/// A bit for each of some words: whether two sets have none in common.
type Mask = u128;

/// The bit of a word.
const fn bit(id: WordId) -> Mask {
    1 << (id % Mask::BITS)
}

impl Part {
    /// The words of which one has to stand here, whatever else the phrase has.
    const fn needs(&self) -> Option<&WordSet> {
        match self {
            Self::Word { any, optional: false, or_end: false } => Some(any),
            _ => None,
        }
    }

    /// Whether it stands for one word, whatever else the phrase has.
    const fn takes_one(&self) -> bool {
        matches!(self, Self::Number | Self::Not(_) | Self::Form { optional: false, .. }) || self.needs().is_some()
    }
}

/// A phrase that may begin with a word, and what tells most often that it does not.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    phrase: u32,
    table: Table,
    /// It stands at the beginning of a clause only.
    is_initial: bool,
    /// The words of which one has to come next.
    next: Mask,
    /// The words of which one has to come within a gap from here.
    ahead: Mask,
    /// The words of which one has to come anywhere behind: the fewest of those that the phrase needs.
    behind: Mask,
}

impl Candidate {
    /// One that the words behind its first tell nothing of.
    fn anywhere(phrase: usize, table: Table, is_initial: bool) -> Self {
        let phrase = u32::try_from(phrase).unwrap_or(u32::MAX);
        Self { phrase, table, is_initial, next: Mask::MAX, ahead: Mask::MAX, behind: Mask::MAX }
    }

    /// What has to come behind the first word, where `rest` is what follows that.
    fn before(self, rest: &[Part]) -> Self {
        let needed = rest.iter().filter_map(Part::needs).map(|any| any.mask);
        let behind = needed.min_by_key(|mask| mask.count_ones()).unwrap_or(Mask::MAX);
        Self { behind, ..self }.before_next(rest)
    }

    fn before_next(self, rest: &[Part]) -> Self {
        let mut next = 0;
        for part in rest {
            match part {
                Part::Word { any, optional, or_end: false } => {
                    next |= any.mask;
                    if !optional {
                        return Self { next, ..self };
                    }
                }
                _ => break,
            }
        }
        match rest {
            [Part::Gap, part, ..] => Self { ahead: part.needs().map_or(Mask::MAX, |any| any.mask), ..self },
            _ => self,
        }
    }
}

#[derive(Debug)]
struct Phrase {
    table: Table,
    parts: Vec<Part>,
}

/// Phrases by table, and where to look for those that begin with a word.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    ids: HashMap<&'static str, WordId, BuildHasherDefault<Fnv>>,
    all: Vec<Phrase>,
    /// By first word, for phrases that begin with one.
    by_word: Vec<Vec<Candidate>>,
    /// Phrases that may begin anywhere, whatever the word.
    anywhere: Vec<Candidate>,
    /// Phrases that stand at the beginning of a clause only.
    at_start: Vec<Candidate>,
}

/// The phrases of all languages.
pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::parse(&TEXTS));

const TEXTS: [&str; 13] = [
    include_str!("../../../templates/signals/en.txt"),
    include_str!("../../../templates/signals/de.txt"),
    include_str!("../../../templates/signals/es.txt"),
    include_str!("../../../templates/signals/fr.txt"),
    include_str!("../../../templates/signals/pt.txt"),
    include_str!("../../../templates/signals/zh.txt"),
    include_str!("../../../templates/signals/tr.txt"),
    include_str!("../../../templates/signals/pl.txt"),
    include_str!("../../../templates/signals/ko.txt"),
    include_str!("../../../templates/signals/nl.txt"),
    include_str!("../../../templates/signals/it.txt"),
    include_str!("../../../templates/signals/ru.txt"),
    include_str!("../../../templates/signals/ja.txt"),
];

/// Which tables a clause has phrases of, and where the first of each stands, in words.
#[derive(Debug)]
pub(super) struct FiredTables([Option<(usize, usize)>; Table::ALL.len()]);

impl FiredTables {
    /// Whether a phrase of `table` stands in the clause.
    pub(super) const fn has(&self, table: Table) -> bool {
        self.0[table as usize].is_some()
    }

    /// The words of the first phrase of `table`.
    pub(super) fn words(&self, table: Table) -> Option<Range<usize>> {
        self.0[table as usize].map(|(from, to)| from..to)
    }
}

impl Phrases {
    fn parse(texts: &[&'static str]) -> Self {
        let mut found = Self::default();
        for text in texts {
            let mut table = None;
            let mut named: HashMap<&str, &'static str> = HashMap::new();
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# ")) {
                if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    table = Table::ALL.iter().find(|(_, name)| *name == section).map(|(table, _)| *table);
                } else if let Some((name, words)) = line.split_once(" = ").filter(|_| line.starts_with('@')) {
                    named.insert(name, words);
                } else if let Some(table) = table {
                    let parts = line.split_whitespace().flat_map(signs).map(|word| found.part(word, &named)).collect();
                    found.all.push(Phrase { table, parts });
                }
            }
        }
        found.index();
        found
    }

    fn index(&mut self) {
        self.by_word = vec![Vec::new(); self.ids.len()];
        for (at, phrase) in self.all.iter().enumerate() {
            let (is_initial, parts) = match phrase.parts.split_first() {
                Some((Part::Start, rest)) => (true, rest),
                _ => (false, phrase.parts.as_slice()),
            };
            let candidate = Candidate::anywhere(at, phrase.table, is_initial);
            let mut first = Vec::new();
            let mut is_bound = false;
            for part in parts {
                let Part::Word { any, optional, or_end } = part else { break };
                first.extend(any.ids.iter().copied());
                is_bound = !optional && !or_end;
                if is_bound {
                    break;
                }
            }
            if is_bound {
                first.sort_unstable();
                first.dedup();
                let candidate = match parts {
                    [one, rest @ ..] if one.needs().is_some() => candidate.before(rest),
                    _ => candidate,
                };
                for word in first {
                    self.by_word[word as usize].push(candidate);
                }
            } else {
                let candidate = match parts {
                    [one, rest @ ..] if one.takes_one() => candidate.before(rest),
                    _ => candidate,
                };
                if is_initial { self.at_start.push(candidate) } else { self.anywhere.push(candidate) }
            }
        }
    }

    fn part(&mut self, word: &'static str, named: &HashMap<&str, &'static str>) -> Part {
        let plain = word.strip_suffix('?').filter(|plain| !plain.is_empty());
        let (word, optional) = (plain.unwrap_or(word), plain.is_some());
        match word {
            "^" => Part::Start,
            "$" => Part::End,
            "*" => Part::Gap,
            "#" | "%num" => Part::Number,
            "%any" => Part::Form { any: vec![""], optional },
            _ if word.starts_with('%') => {
                let any = word.split('|').map(|form| form.strip_prefix('%').unwrap_or(form)).collect();
                Part::Form { any, optional }
            }
            _ => {
                let (negated, words) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
                let words = words.split('|').flat_map(|word| named.get(word).copied().unwrap_or(word).split('|'));
                let words: Vec<_> = words.collect();
                let or_end = words.contains(&"$");
                let any = WordSet::of(words.into_iter().map(|word| self.id(word)).collect());
                if negated { Part::Not(any) } else { Part::Word { any, optional, or_end } }
            }
        }
    }

    fn id(&mut self, word: &'static str) -> WordId {
        let next = WordId::try_from(self.ids.len()).unwrap_or(WordId::MAX);
        *self.ids.entry(word).or_insert(next)
    }

    /// Compares a clause with all phrases. Linear in its length.
    pub(super) fn fired(&self, words: &[String]) -> FiredTables {
        let clause = Words { words, ids: words.iter().map(|word| self.ids.get(word.as_str()).copied()).collect() };
        let mut fired = FiredTables([None; Table::ALL.len()]);
        // The words behind each.
        let mut after = vec![0; words.len()];
        for at in (1..words.len()).rev() {
            after[at - 1] = after[at] | clause.ids[at].map_or(0, bit);
        }
        for (at, after) in after.into_iter().enumerate() {
            let starting: &[Candidate] = if at == 0 { &self.at_start } else { &[] };
            let by_word: &[Candidate] = clause.ids[at].map_or(&[], |id| &self.by_word[id as usize]);
            let behind = &clause.ids[at + 1..clause.ids.len().min(at + 2 + MAX_GAP)];
            let bits = |ids: &[Option<WordId>]| ids.iter().flatten().fold(0, |mask, id| mask | bit(*id));
            let (next, ahead): (Mask, Mask) = (bits(&behind[..behind.len().min(1)]), bits(behind));
            let could = |candidate: &Candidate| {
                (candidate.behind == Mask::MAX || candidate.behind & after != 0)
                    && (candidate.next == Mask::MAX || candidate.next & next != 0)
                    && (candidate.ahead == Mask::MAX || candidate.ahead & ahead != 0)
                    && (at == 0 || !candidate.is_initial)
            };
            for candidate in starting.iter().chain(by_word).chain(&self.anywhere) {
                let found = &mut fired.0[candidate.table as usize];
                if found.is_none() && could(candidate) {
                    let parts = &self.all[candidate.phrase as usize].parts;
                    *found = clause.end_of(parts, at).map(|end| (at, end));
                }
            }
        }
        fired
    }
}

/// Whether a word is a number, in digits or as people write a small one.
fn is_number(word: &str) -> bool {
    const SMALL: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    word.bytes().all(|byte| byte.is_ascii_digit()) || SMALL.contains(&word)
}

struct Words<'a> {
    words: &'a [String],
    ids: Vec<Option<WordId>>,
}

impl Words<'_> {
    /// Whether one of `any` stands at `at`.
    fn is_at(&self, at: usize, any: &WordSet) -> bool {
        self.ids.get(at).copied().flatten().is_some_and(|id| any.has(id))
    }

    /// Where the phrase that begins at `at` ends, if it stands there.
    fn end_of(&self, phrase: &[Part], at: usize) -> Option<usize> {
        let Some((part, rest)) = phrase.split_first() else {
            return Some(at);
        };
        let is_here = |any: &WordSet| self.is_at(at, any);
        let skip = |skips: bool| if skips { self.end_of(rest, at) } else { None };
        let take = |takes: bool| if takes { self.end_of(rest, at + 1) } else { None };
        match part {
            Part::Start => skip(at == 0),
            Part::End => skip(at == self.words.len()),
            Part::Gap => {
                let needed = rest.first().and_then(Part::needs);
                let could = |at: &usize| needed.is_none_or(|any| self.is_at(*at, any));
                (at..=self.words.len().min(at + MAX_GAP)).filter(could).find_map(|at| self.end_of(rest, at))
            }
            Part::Number => take(self.words.get(at).is_some_and(|word| is_number(word))),
            Part::Form { any, optional } => {
                let has_form = |word: &String| {
                    any.iter().any(|form| form.is_empty() || word.len() >= MIN_FORM_CHARS && word.ends_with(form))
                };
                take(self.words.get(at).is_some_and(has_form)).or_else(|| skip(*optional))
            }
            Part::Not(any) => take(at < self.words.len() && !is_here(any)),
            Part::Word { any, optional, or_end } => {
                take(is_here(any)).or_else(|| skip(*optional || (*or_end && at == self.words.len())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("a b", "x a b y", true)]
    #[case("a b", "ab", false)]
    #[case("a|b c", "b c", true)]
    #[case("a b? c", "a c", true)]
    #[case("a b? c", "a d c", false)]
    #[case("a * c", "a 1 2 3 4 5 6 c", true)]
    #[case("a * c", "a 1 2 3 4 5 6 7 c", false)]
    #[case("^ a", "a b", true)]
    #[case("^ a", "b a", false)]
    #[case("a $", "b a", true)]
    #[case("a $", "a b", false)]
    #[case("^ a b|$", "a", true)]
    #[case("^ a b|$", "a c", false)]
    #[case("all # a", "all 12 a", true)]
    #[case("all # a", "all x a", false)]
    #[case("a !b c", "a x c", true)]
    #[case("a !b c", "a b c", false)]
    #[case("a !b", "a", false)]
    #[case("^ %ing a", "writing a", true)]
    #[case("^ %ing a", "wrote a", false)]
    #[case("%ed a", "finished a", true)]
    #[case("a %any $", "a x", true)]
    #[case("@some|d a", "b a", true)]
    #[case("@some|d a", "d a", true)]
    #[case("@some|d a", "a a", false)]
    fn phrases_are_compared_by_words(#[case] phrase: &'static str, #[case] clause: &str, #[case] expected: bool) {
        let text: &'static str = format!("@some = b|c\n[put-off]\n{phrase}\n").leak();
        let words: Vec<_> = clause.split(' ').map(str::to_owned).collect();
        assert_eq!(Phrases::parse(&[text]).fired(&words).has(Table::PutOff), expected);
    }

    #[test]
    fn where_a_phrase_stands_is_told() {
        let words: Vec<_> = "x y a 1 2 c z".split(' ').map(str::to_owned).collect();
        let fired = Phrases::parse(&["[put-off]\na * c\n"]).fired(&words);
        assert_eq!(fired.words(Table::PutOff), Some(2..6));
        assert_eq!(fired.words(Table::Wait), None);
    }

    #[test]
    fn every_section_and_name_is_known_and_every_table_has_phrases_in_lower_case() {
        for text in TEXTS {
            for section in text.lines().filter(|line| line.starts_with('[')) {
                let name = section.trim_matches(['[', ']']);
                assert!(Table::ALL.iter().any(|(_, known)| *known == name), "{section}");
            }
            for phrase in text.lines().filter(|line| !line.starts_with("# ")) {
                assert_eq!(phrase, phrase.to_lowercase());
                assert!(!phrase.contains([',', '.', ';', '"']), "{phrase}: a clause has no such words");
            }
        }
        for (table, name) in Table::ALL {
            assert!(PHRASES.all.iter().any(|phrase| phrase.table == *table), "{name}");
        }
        let unknown: Vec<_> = PHRASES.ids.keys().filter(|word| word.starts_with('@')).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
