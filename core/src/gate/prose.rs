//! What an agent says in its own words: a message as clauses of words, without code and without what it quotes.

use std::ops::Range;

use super::markdown;

/// Part of a sentence, as lower-case words. A colon that ends a phrase is a word of its own, and so are marks like `✅`
/// (see [`mark`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clause {
    /// The words.
    pub(super) words: Vec<String>,
    /// Where each word stands in the message, in bytes.
    pub(super) spans: Vec<Range<usize>>,
    /// It ends with a question mark.
    pub(super) asks: bool,
    /// It breaks off: a colon or an ellipsis at its end, and nothing behind it in its paragraph.
    pub(super) breaks_off: bool,
    /// It begins a sentence.
    pub(super) opens: bool,
    /// It is the last of its paragraph or list item.
    pub(super) closes: bool,
    /// It stands in a list, a heading or a table.
    pub(super) is_listed: bool,
    /// Which group it is in, counted from the end: 0 is the last. A paragraph and the list below it are one group.
    pub(super) from_end: usize,
    /// How many clauses come after it, but for the items of lists.
    pub(super) behind: usize,
}

impl Clause {
    /// Where `words` stand in the message, in bytes.
    pub(super) fn span(&self, words: Range<usize>) -> Range<usize> {
        let last = self.spans.len().saturating_sub(1);
        let edge = |at: usize| self.spans.get(at.min(last)).cloned().unwrap_or_default();
        edge(words.start).start..edge(words.end.saturating_sub(1).max(words.start)).end
    }
}

/// Stands where something quoted was left out, so that no phrase is found across it.
const LEFT_OUT: &str = "\u{fffc}";
/// Most symbols that may stand between the end of a sentence and the white space behind it.
const MAX_TRAILING: usize = 8;

/// The clauses of a message, in order.
pub(super) fn clauses(message: &str) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let mut group = 0;
    for unit in units(message) {
        group += usize::from(unit.begins_group);
        let first = clauses.len();
        split(&unit, &mut clauses);
        for clause in &mut clauses[first..] {
            clause.from_end = group;
            clause.is_listed = unit.is_listed;
        }
        if let Some(last) = clauses[first..].last_mut() {
            last.closes = true;
        }
    }
    let last = clauses.last().map_or(0, |clause| clause.from_end);
    let mut behind = 0;
    for clause in clauses.iter_mut().rev() {
        clause.from_end = last - clause.from_end;
        clause.behind = behind;
        behind += usize::from(!clause.is_listed);
    }
    clauses
}

/// A paragraph, heading, list item or row of a table.
struct Unit {
    text: String,
    /// Where its lines begin: in `text`, and in the message.
    lines: Vec<(usize, usize)>,
    begins_group: bool,
    is_listed: bool,
}

impl Unit {
    /// Where the byte `at` of the text stands in the message.
    fn place(&self, at: usize) -> usize {
        let line = self.lines.partition_point(|(from, _)| *from <= at).saturating_sub(1);
        self.lines.get(line).map_or(at, |(from, place)| place + (at - from))
    }
}

fn units(message: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    // Whether the next line goes on with the last unit.
    let mut open = false;
    let mut in_list = false;
    // Whether the unit before is a heading: what it stands over belongs to it.
    let mut is_headed = false;
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
                unit.lines.push((unit.text.len(), line.at));
                unit.text.push_str(&text);
            }
            continue;
        }
        let is_row = text.starts_with('|');
        in_list = line.is_item || (is_row && in_list) || (in_list && open);
        let is_listed = line.is_item || is_alone;
        let is_heading = text.starts_with('#');
        units.push(Unit { begins_group: !in_list && !is_headed, lines: vec![(0, line.at)], text, is_listed });
        is_headed = is_heading;
        in_list |= is_row;
        open = !is_alone;
    }
    units
}

/// Splits the text of a unit into clauses.
struct Splitter<'a> {
    unit: &'a Unit,
    clause: Clause,
    word: String,
    /// Where the word stands in the text.
    word_at: Range<usize>,
    clauses: &'a mut Vec<Clause>,
    quotes: Quotes,
    /// Whether a part of the sentence has ended already.
    is_within: bool,
}

fn split(unit: &Unit, clauses: &mut Vec<Clause>) {
    let (clause, word) = (Clause::default(), String::new());
    Splitter { unit, clause, word, word_at: 0..0, clauses, quotes: Quotes::default(), is_within: false }.run();
}

impl Splitter<'_> {
    fn run(mut self) {
        let text = self.unit.text.as_str();
        let is_row = text.starts_with('|');
        let end = text.trim_end_matches(|symbol: char| symbol.is_whitespace() || ".\u{2026}*_".contains(symbol)).len();
        let mut at = 0;
        let mut before = None;
        while let Some(symbol) = text[at..].chars().next() {
            let after_at = at + symbol.len_utf8();
            let after = &text[after_at..];
            if let Some((end, behind)) = self.quotes.quotation(symbol, before, text, after_at) {
                self.end_word();
                self.push(LEFT_OUT, at, behind);
                if symbol != '`' && text[..end].ends_with('?') && begins_sentence(&text[behind..]) {
                    self.end_clause(true, false);
                }
                before = text[..behind].chars().next_back();
                at = behind;
                continue;
            }
            match symbol {
                '\'' | '\u{2019}' | '_' => self.letter(if symbol == '_' { '_' } else { '\'' }, symbol, at),
                _ if is_ideograph(symbol) => {
                    self.end_word();
                    self.letter(symbol, symbol, at);
                    self.end_word();
                }
                _ if symbol.is_alphanumeric() => {
                    symbol.to_lowercase().for_each(|letter| self.letter(letter, symbol, at));
                }
                '。' | '！' | '？' | '；' => {
                    self.end_word();
                    self.end_clause(symbol == '？', false);
                }
                '.' | '!' | '?' | '\u{2026}' if ends_sentence(after) => {
                    self.end_word();
                    let breaks = symbol == '\u{2026}' || after.starts_with("..");
                    self.end_clause(symbol == '?', breaks && at >= end);
                }
                '.' if after.starts_with('.') => self.end_word(),
                ';' | '\u{2014}' | '\u{2013}' => {
                    self.end_word();
                    self.end_part();
                }
                '-' if before.is_some_and(char::is_whitespace) && after.starts_with(char::is_whitespace) => {
                    self.end_word();
                    self.end_part();
                }
                '|' if is_row => {
                    self.end_word();
                    self.end_clause(false, false);
                }
                ':' | '：'
                    if symbol == '：'
                        || after.chars().next().is_none_or(|next| next.is_whitespace() || next == '*') =>
                {
                    self.end_word();
                    self.push(":", at, after_at);
                }
                '[' if is_box(after) => {
                    self.end_word();
                    self.push(if after.starts_with(' ') { OPEN } else { DONE }, at, after_at + 2);
                    before = Some(']');
                    at = after_at + 2;
                    continue;
                }
                '*' => {}
                // 1,204 is one number.
                ',' if before.is_some_and(|before| before.is_ascii_digit())
                    && after.starts_with(|next: char| next.is_ascii_digit()) => {}
                _ => {
                    self.end_word();
                    if let Some(word) = mark(symbol) {
                        self.push(word, at, after_at);
                    }
                }
            }
            before = Some(symbol);
            at = after_at;
        }
        self.end_word();
        let breaks_off = self.clause.words.last().is_some_and(|word| word == ":");
        self.end_clause(false, breaks_off);
    }

    /// A letter of a word, written as `source` in the text.
    fn letter(&mut self, letter: char, source: char, at: usize) {
        if !is_edge(letter) {
            if self.word_at.is_empty() {
                self.word_at.start = at;
            }
            self.word_at.end = at + source.len_utf8();
        }
        self.word.push(letter);
    }

    fn push(&mut self, word: &str, from: usize, to: usize) {
        self.clause.words.push(word.to_owned());
        self.clause.spans.push(self.unit.place(from)..self.unit.place(to.saturating_sub(1)) + 1);
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        let place = std::mem::take(&mut self.word_at);
        let trimmed = word.trim_matches(is_edge);
        if !trimmed.is_empty() {
            self.push(trimmed, place.start, place.end);
        }
    }

    /// Ends a part of a sentence; what follows is another part of it.
    fn end_part(&mut self) {
        self.end_clause(false, false);
        self.is_within = true;
    }

    fn end_clause(&mut self, asks: bool, breaks_off: bool) {
        let done = std::mem::take(&mut self.clause);
        if !done.words.is_empty() {
            self.clauses.push(Clause { asks, breaks_off, opens: !self.is_within, ..done });
        }
        self.is_within = false;
    }
}

/// Whether a symbol belongs to a word only within it.
const fn is_edge(symbol: char) -> bool {
    matches!(symbol, '\'' | '_')
}

/// The word that stands for something done, and for something open.
const DONE: &str = "\u{2611}";
pub(super) const OPEN: &str = "\u{2610}";

/// The word that a symbol stands for.
const fn mark(symbol: char) -> Option<&'static str> {
    match symbol {
        '✅' | '✔' | '✓' | '☑' => Some(DONE),
        '⏳' | '⌛' | '🔜' | '🚧' | '⬜' | '☐' | '🔲' | '🟡' | '⏭' => Some(OPEN),
        _ => None,
    }
}

/// Whether `[` before `after` begins the box of a task.
fn is_box(after: &str) -> bool {
    after.starts_with(" ]") || after.starts_with("x]") || after.starts_with("X]")
}

/// Whether a script without spaces between words uses this character.
pub(super) const fn is_ideograph(symbol: char) -> bool {
    matches!(symbol, '\u{3400}'..='\u{9fff}' | '\u{3040}'..='\u{30ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// From where on a closing mark was looked for; where it stands, and where the text behind it begins.
type Looked = (usize, Option<(usize, usize)>);

/// Finds what is quoted; remembers how far it has looked, so that a text full of opening marks is read once only.
#[derive(Default)]
struct Quotes {
    /// By kind of quotation: from where on, and where, the next closing mark was found.
    next: [Option<Looked>; 4],
}

impl Quotes {
    /// Where what the mark `open` before `from` quotes ends, and where the text behind the closing mark begins.
    fn quotation(&mut self, open: char, before: Option<char>, text: &str, from: usize) -> Option<(usize, usize)> {
        let (kind, close): (usize, &[char]) = match open {
            '`' => (0, &['`']),
            '"' => (1, &['"']),
            '\u{201c}' | '\u{201e}' => (2, &['\u{201d}', '\u{201c}']),
            '\u{ab}' => (3, &['\u{bb}']),
            '\u{300c}' => return single(text, from, '\u{300d}'),
            '\u{2018}' => return single(text, from, '\u{2019}'),
            '\'' if before.is_none_or(|before| !before.is_alphanumeric()) => return single(text, from, '\''),
            _ => return None,
        };
        if let Some((looked, found)) = self.next[kind]
            && looked <= from
            && found.is_none_or(|(at, _)| at >= from)
        {
            return found;
        }
        let found = text[from..].char_indices().find(|(_, mark)| close.contains(mark));
        let found = found.map(|(at, mark)| (from + at, from + at + mark.len_utf8()));
        self.next[kind] = Some((from, found));
        found
    }
}

/// What single marks quote: not far, because an apostrophe may be meant; one within a word closes nothing.
fn single(text: &str, from: usize, close: char) -> Option<(usize, usize)> {
    let behind = |at: usize| from + at + close.len_utf8();
    let is_apostrophe = |at: usize| close != '\u{300d}' && text[behind(at)..].starts_with(char::is_alphanumeric);
    let near = crate::text::head(&text[from..], MAX_SINGLE_QUOTED);
    let (at, _) = near.match_indices(close).find(|(at, _)| !is_apostrophe(*at))?;
    Some((from + at, behind(at)))
}

/// Longest text in single quotation marks, in bytes.
const MAX_SINGLE_QUOTED: usize = 400;

/// Whether a sentence ends before `rest`.
fn ends_sentence(rest: &str) -> bool {
    let is_mark = |symbol: &char| {
        matches!(symbol, '*' | '_' | ')' | ']' | '"' | '\'' | '.' | '!' | '?' | '\u{201d}' | '\u{2019}' | '\u{bb}')
    };
    let behind = rest.chars().take(MAX_TRAILING).find(|symbol| !is_mark(symbol));
    behind.is_none_or(|symbol| char::is_whitespace(symbol) || mark(symbol).is_some())
}

/// Whether `rest` does not go on with the sentence before it.
fn begins_sentence(rest: &str) -> bool {
    let next = rest.chars().take(MAX_TRAILING).find(|symbol| symbol.is_alphanumeric());
    !next.is_some_and(char::is_lowercase)
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

    #[rstest]
    #[case::marks("- [x] a\n- [ ] b\n- c ✅", "☑ a / ☐ b / c ☑")]
    #[case::rows("| a | b |\n|---|---|\n| c | ⏳ open |", "a / b / c / ☐ open")]
    #[case::dashes("a - b well-known", "a / b well known")]
    #[case::chinese("好。做a？「不」", "好 / 做 a? / _")]
    fn marks_rows_and_scripts(#[case] message: &str, #[case] expected: &str) {
        assert_eq!(said(message), expected);
    }

    #[test]
    fn words_know_where_they_stand() {
        let message = "é <!-- x --> It's\n  **over**. \"No\" \u{201c}so\u{201d}";
        for clause in clauses(message) {
            for (word, span) in clause.words.iter().zip(&clause.spans) {
                let said = message[span.clone()].to_lowercase();
                assert!(said == *word || word == LEFT_OUT, "{word} {said}");
            }
        }
        let clause = &clauses(message)[0];
        assert_eq!(&message[clause.span(1..3)], "It's\n  **over");
    }

    #[test]
    fn what_breaks_off_is_told() {
        let breaks = |message: &str| clauses(message).last().unwrap().breaks_off;
        assert!(breaks("Let me look:") && breaks("Going on...") && breaks("Going on\u{2026}"));
        assert!(!breaks("Let me look: here") && !breaks("Wait... no."));
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
