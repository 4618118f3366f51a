//! Tables of phrases (`templates/signals/`) and how a clause is compared with them.
//!
//! A phrase is a row of words: `a|b` is one of several words, `!a|b` any other word, `a?` may be missing, `*` is up to
//! [`MAX_GAP`] words, `#` or `%num` (where a line may not begin with `#`) a number, `%ing`, `%ed` and `%any` a word of that form, `^` the beginning and `$` the end of
//! the clause. `@name` stands for the words of a line `@name = a|b|c` further up in the same file.

mod table;

use std::collections::HashMap;
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

#[derive(Debug)]
enum Part {
    Start,
    End,
    Gap,
    Number,
    Form { suffix: &'static str, optional: bool },
    Not(Vec<WordId>),
    Word { any: Vec<WordId>, optional: bool, or_end: bool },
}

#[derive(Debug)]
struct Phrase {
    table: Table,
    parts: Vec<Part>,
}

/// Phrases by table, and where to look for those that begin with a word.
#[derive(Debug, Default)]
pub(super) struct Phrases {
    ids: HashMap<&'static str, WordId>,
    all: Vec<Phrase>,
    /// By first word, for phrases that begin with one.
    by_word: Vec<Vec<usize>>,
    /// Phrases that may begin anywhere, whatever the word.
    anywhere: Vec<usize>,
    /// Phrases that stand at the beginning of a clause only.
    at_start: Vec<usize>,
}

/// The phrases of all languages.
pub(super) static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::parse(&TEXTS));

const TEXTS: [&str; 6] = [
    include_str!("../../../templates/signals/en.txt"),
    include_str!("../../../templates/signals/de.txt"),
    include_str!("../../../templates/signals/es.txt"),
    include_str!("../../../templates/signals/fr.txt"),
    include_str!("../../../templates/signals/pt.txt"),
    include_str!("../../../templates/signals/zh.txt"),
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
            if is_initial {
                self.at_start.push(at);
                continue;
            }
            let mut first = Vec::new();
            let mut is_bound = false;
            for part in parts {
                let Part::Word { any, optional, or_end } = part else { break };
                first.extend(any.iter().copied());
                is_bound = !optional && !or_end;
                if is_bound {
                    break;
                }
            }
            if is_bound {
                first.sort_unstable();
                first.dedup();
                for word in first {
                    self.by_word[word as usize].push(at);
                }
            } else {
                self.anywhere.push(at);
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
            "%ing" => Part::Form { suffix: "ing", optional },
            "%ed" => Part::Form { suffix: "ed", optional },
            "%any" => Part::Form { suffix: "", optional },
            _ => {
                let (negated, words) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
                let words = words.split('|').flat_map(|word| named.get(word).copied().unwrap_or(word).split('|'));
                let words: Vec<_> = words.collect();
                let or_end = words.contains(&"$");
                let any = words.into_iter().map(|word| self.id(word)).collect();
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
        for at in 0..words.len() {
            let starting: &[usize] = if at == 0 { &self.at_start } else { &[] };
            let by_word: &[usize] = clause.ids[at].map_or(&[], |id| &self.by_word[id as usize]);
            for phrase in starting.iter().chain(by_word).chain(&self.anywhere) {
                let Phrase { table, parts } = &self.all[*phrase];
                let found = &mut fired.0[*table as usize];
                if found.is_none() {
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
    /// Where the phrase that begins at `at` ends, if it stands there.
    fn end_of(&self, phrase: &[Part], at: usize) -> Option<usize> {
        let Some((part, rest)) = phrase.split_first() else {
            return Some(at);
        };
        let is_here = |any: &[WordId]| self.ids.get(at).is_some_and(|id| id.is_some_and(|id| any.contains(&id)));
        let skip = |skips: bool| if skips { self.end_of(rest, at) } else { None };
        let take = |takes: bool| if takes { self.end_of(rest, at + 1) } else { None };
        match part {
            Part::Start => skip(at == 0),
            Part::End => skip(at == self.words.len()),
            Part::Gap => (at..=self.words.len().min(at + MAX_GAP)).find_map(|at| self.end_of(rest, at)),
            Part::Number => take(self.words.get(at).is_some_and(|word| is_number(word))),
            Part::Form { suffix, optional } => {
                let has_form =
                    |word: &String| word.ends_with(suffix) && (suffix.is_empty() || word.len() >= MIN_FORM_CHARS);
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
