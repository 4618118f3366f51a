//! Tables of phrases (`templates/signals/`) and how a clause is compared with them.
//!
//! A phrase is a row of words: `a|b` is one of several words, `a?` may be missing, `*` is up to [`MAX_GAP`] words,
//! `#` a number, `^` the beginning and `$` the end of the clause.

use std::sync::LazyLock;

/// Most words that `*` stands for.
const MAX_GAP: usize = 6;

macro_rules! tables {
    ($($table:ident $name:literal),+ $(,)?) => {
        /// A table of phrases; what each is for is said where it is written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Table { $($table),+ }

        impl Table {
            const ALL: &[(Self, &'static str)] = &[$((Self::$table, $name)),+];
        }
    };
}

tables! {
    ContextLimit "context-limit",
    StopHere "stop-here",
    PutOff "put-off",
    OtherSession "other-session",
    LeaveVerb "leave-verb",
    WorkVerb "work-verb",
    OwnVoice "own-voice",
    Suggestion "suggestion",
    OtherPeople "other-people",
    FirmPromise "firm-promise",
    ListedNext "listed-next",
    NoPromise "no-promise",
    Condition "condition",
    Wait "wait",
    Mends "mends",
    IdleQuestion "idle-question",
    AnsweredQuestion "answered-question",
    CourtesyQuestion "courtesy-question",
    MissingInfo "missing-info",
    MissingInfoWeak "missing-info-weak",
    BlockedByError "blocked-by-error",
    BlockedWeak "blocked-weak",
    Failure "failure",
    NoFailure "no-failure",
    NoError "no-error",
    ClaimsCompletion "claims-completion",
    CompletionWeak "completion-weak",
    TakesBack "takes-back",
    AsAsked "as-asked",
    AskedToStop "asked-to-stop",
}

#[derive(Debug)]
enum Part {
    Start,
    End,
    Gap,
    Number,
    Word { any: Vec<&'static str>, optional: bool, or_end: bool },
}

/// Phrases by table.
pub(super) struct Phrases(Vec<(Table, Vec<Part>)>);

/// The phrases in English.
pub(super) static ENGLISH: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::parse(include_str!("../../../templates/signals/en.txt")));

impl Phrases {
    fn parse(text: &'static str) -> Self {
        let mut table = None;
        let mut phrases = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = Table::ALL.iter().find(|(_, name)| *name == section).map(|(table, _)| *table);
            } else if let Some(table) = table {
                phrases.push((table, line.split_whitespace().map(part).collect()));
            }
        }
        Self(phrases)
    }

    /// Whether a phrase of `table` stands in the clause.
    pub(super) fn fires(&self, table: Table, words: &[String]) -> bool {
        let mut phrases = self.0.iter().filter(|(of, _)| *of == table);
        phrases.any(|(_, phrase)| (0..words.len()).any(|at| stands_at(phrase, words, at)))
    }
}

fn part(word: &'static str) -> Part {
    match word {
        "^" => Part::Start,
        "$" => Part::End,
        "*" => Part::Gap,
        "#" => Part::Number,
        _ => {
            let plain = word.strip_suffix('?');
            let any: Vec<_> = plain.unwrap_or(word).split('|').collect();
            Part::Word { or_end: any.contains(&"$"), any, optional: plain.is_some() }
        }
    }
}

fn stands_at(phrase: &[Part], words: &[String], at: usize) -> bool {
    let Some((part, rest)) = phrase.split_first() else {
        return true;
    };
    match part {
        Part::Start => at == 0 && stands_at(rest, words, at),
        Part::End => at == words.len() && stands_at(rest, words, at),
        Part::Gap => (at..=words.len().min(at + MAX_GAP)).any(|at| stands_at(rest, words, at)),
        Part::Number => {
            let is_number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
            words.get(at).is_some_and(is_number) && stands_at(rest, words, at + 1)
        }
        Part::Word { any, optional, or_end } => {
            let here = words.get(at).is_some_and(|word| any.contains(&word.as_str()));
            let skips = *optional || (*or_end && at == words.len());
            (here && stands_at(rest, words, at + 1)) || (skips && stands_at(rest, words, at))
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
    fn phrases_are_compared_by_words(#[case] phrase: &'static str, #[case] clause: &str, #[case] expected: bool) {
        let phrases = Phrases(vec![(Table::PutOff, phrase.split(' ').map(part).collect())]);
        let words: Vec<_> = clause.split(' ').map(str::to_owned).collect();
        assert_eq!(phrases.fires(Table::PutOff, &words), expected);
    }

    #[test]
    fn every_section_is_known_and_every_table_has_phrases_in_lower_case() {
        let text = include_str!("../../../templates/signals/en.txt");
        for section in text.lines().filter(|line| line.starts_with('[')) {
            let name = section.trim_matches(['[', ']']);
            assert!(Table::ALL.iter().any(|(_, known)| *known == name), "{section}");
        }
        for (table, name) in Table::ALL {
            assert!(ENGLISH.0.iter().any(|(of, _)| of == table), "{name}");
        }
        let phrases = text.lines().filter(|line| !line.starts_with("# "));
        for phrase in phrases {
            assert_eq!(phrase, phrase.to_lowercase());
            assert!(!phrase.contains([',', '.', ';', '"']), "{phrase}: a clause has no such words");
        }
    }
}
