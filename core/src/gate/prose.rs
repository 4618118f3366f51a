//! What an agent says in its own words: a message as clauses of words, without code and without what it quotes.

use super::markdown;

/// Part of a sentence, as lower-case words. A colon that ends a phrase is a word of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clause {
    /// The words.
    pub(super) words: Vec<String>,
    /// It ends with a question mark.
    pub(super) asks: bool,
    /// It is the last of its paragraph or list item.
    pub(super) closes: bool,
    /// Which group it is in, counted from the end: 0 is the last. A paragraph and the list below it are one group.
    pub(super) from_end: usize,
}

/// Stands where something quoted was left out, so that no phrase is found across it.
const LEFT_OUT: &str = "\u{fffc}";

/// The clauses of a message, in order.
pub(super) fn clauses(message: &str) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let mut group = 0;
    for unit in units(message) {
        group += usize::from(unit.begins_group);
        let first = clauses.len();
        split(&unit.text, &mut clauses);
        for clause in &mut clauses[first..] {
            clause.from_end = group;
        }
        if let Some(last) = clauses[first..].last_mut() {
            last.closes = true;
        }
    }
    let last = clauses.last().map_or(0, |clause| clause.from_end);
    for clause in &mut clauses {
        clause.from_end = last - clause.from_end;
    }
    clauses
}

/// A paragraph, heading or list item.
struct Unit {
    text: String,
    begins_group: bool,
}

fn units(message: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    // Whether the next line goes on with the last unit.
    let mut open = false;
    let mut in_list = false;
    for line in markdown::lines(message) {
        let text = line.text;
        if text.is_empty() || text.starts_with('>') {
            open = false;
            continue;
        }
        let is_alone = text.starts_with(['#', '|']);
        if open && !line.is_item && !is_alone {
            if let Some(unit) = units.last_mut() {
                unit.text.push(' ');
                unit.text.push_str(&text);
            }
            continue;
        }
        in_list = line.is_item || (in_list && open);
        units.push(Unit { text, begins_group: !in_list });
        open = !is_alone;
    }
    units
}

fn split(text: &str, clauses: &mut Vec<Clause>) {
    let mut clause = Clause::default();
    let mut word = String::new();
    let mut rest = text;
    while let Some(symbol) = rest.chars().next() {
        let before = text[..text.len() - rest.len()].chars().next_back();
        let after = &rest[symbol.len_utf8()..];
        if let Some((quoted, behind)) = quotation(symbol, before, after) {
            end_word(&mut word, &mut clause);
            clause.words.push(LEFT_OUT.to_owned());
            rest = behind;
            if symbol != '`' && quoted.ends_with('?') && begins_sentence(behind) {
                end_clause(&mut clause, clauses, true);
            }
            continue;
        }
        rest = after;
        match symbol {
            '\'' | '\u{2019}' | '_' => word.push(if symbol == '_' { '_' } else { '\'' }),
            _ if symbol.is_alphanumeric() => word.extend(symbol.to_lowercase()),
            '.' | '!' | '?' | '\u{2026}' if ends_sentence(after) => {
                end_word(&mut word, &mut clause);
                end_clause(&mut clause, clauses, symbol == '?');
            }
            ';' | '\u{2014}' | '\u{2013}' => {
                end_word(&mut word, &mut clause);
                end_clause(&mut clause, clauses, false);
            }
            ':' if after.chars().next().is_none_or(|next| next.is_whitespace() || next == '*') => {
                end_word(&mut word, &mut clause);
                clause.words.push(":".to_owned());
            }
            '*' => {}
            _ => end_word(&mut word, &mut clause),
        }
    }
    end_word(&mut word, &mut clause);
    end_clause(&mut clause, clauses, false);
}

/// What is quoted from the mark `open` on, and what follows the closing mark.
fn quotation(open: char, before: Option<char>, after: &str) -> Option<(&str, &str)> {
    let close: &[char] = match open {
        '`' => &['`'],
        '"' => &['"'],
        '\u{201c}' | '\u{201e}' => &['\u{201d}', '\u{201c}'],
        '\u{ab}' => &['\u{bb}'],
        '\u{2018}' => &['\u{2019}'],
        '\'' if before.is_none_or(|before| !before.is_alphanumeric()) => &['\''],
        _ => return None,
    };
    // An apostrophe within a word closes nothing.
    let is_apostrophe = |at: usize, mark: char| {
        matches!(mark, '\'' | '\u{2019}') && after[at + mark.len_utf8()..].starts_with(char::is_alphanumeric)
    };
    let (at, mark) = after.char_indices().find(|(at, mark)| close.contains(mark) && !is_apostrophe(*at, *mark))?;
    Some((&after[..at], &after[at + mark.len_utf8()..]))
}

/// Whether a sentence ends before `rest`.
fn ends_sentence(rest: &str) -> bool {
    let is_mark = |symbol: char| matches!(symbol, '*' | '_' | ')' | ']' | '"' | '\'' | '.' | '!' | '?');
    let rest =
        rest.trim_start_matches(|symbol| is_mark(symbol) || matches!(symbol, '\u{201d}' | '\u{2019}' | '\u{bb}'));
    rest.chars().next().is_none_or(char::is_whitespace)
}

/// Whether `rest` does not go on with the sentence before it.
fn begins_sentence(rest: &str) -> bool {
    !rest.trim_start_matches(|symbol: char| !symbol.is_alphanumeric()).starts_with(char::is_lowercase)
}

fn end_word(word: &mut String, clause: &mut Clause) {
    let trimmed = word.trim_matches(['\'', '_']);
    if !trimmed.is_empty() {
        clause.words.push(trimmed.to_owned());
    }
    word.clear();
}

fn end_clause(clause: &mut Clause, clauses: &mut Vec<Clause>, asks: bool) {
    let done = std::mem::take(clause);
    if !done.words.is_empty() {
        clauses.push(Clause { asks, ..done });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn said(message: &str) -> String {
        let shown = |clause: &Clause| {
            let mark = if clause.asks { "?" } else { "" };
            format!("{}{mark}", clause.words.join(" ").replace(LEFT_OUT, "_"))
        };
        clauses(message).iter().map(shown).collect::<Vec<_>>().join(" / ")
    }

    #[rstest]
    #[case::sentences("It\u{2019}s **in**. Next, I'll go on!", "it's in / next i'll go on")]
    #[case::names_and_numbers("See db:5432 and next_step 1.2 in a.rs.", "see db 5432 and next_step 1 2 in a rs")]
    #[case::wrapped_lines("let's go\non", "let's go on")]
    #[case::clauses("Full; let's stop \u{2014} here", "full / let's stop / here")]
    #[case::labels("**Next steps:** a", "next steps : a")]
    #[case::inline_code("the `fresh session` helper", "the _ helper")]
    #[case::quotes("say \"next, I'll\" or \u{201c}next\u{201d} or \u{ab}next\u{bb}", "say _ or _ or _")]
    #[case::single_quotes("it's 'next, I'll' and the users' \u{2018}next\u{2019}", "it's _ and the users' _")]
    #[case::open_quote("a 5\" disk", "a 5 disk")]
    #[case::block_quote("> quoted\n\nmine", "mine")]
    #[case::code("    code\n\nmine\n```\ncode\n```", "mine")]
    #[case::questions("(Really?) Which? \"Either?\" **Sure?**", "really? / which? / _? / sure?")]
    #[case::a_quoted_question_within("It asks \"why?\" at times.", "it asks _ at times")]
    fn messages_are_split_into_clauses(#[case] message: &str, #[case] expected: &str) {
        assert_eq!(said(message).replace("users'", "users"), expected.replace("users'", "users"));
    }

    #[test]
    fn a_list_belongs_to_the_paragraph_above_it() {
        let groups: Vec<_> = clauses("One.\n\nTwo?\n\n- a\n- b\n  more\n\nThree. Four.")
            .iter()
            .map(|clause| (clause.words.join(" "), clause.from_end, clause.closes))
            .collect();
        let expected = [
            ("one", 2, true),
            ("two", 1, true),
            ("a", 1, true),
            ("b more", 1, true),
            ("three", 0, false),
            ("four", 0, true),
        ];
        assert_eq!(groups, expected.map(|(text, group, closes)| (text.to_owned(), group, closes)));
    }
}
