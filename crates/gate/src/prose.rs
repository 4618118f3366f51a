//! What an agent says in its own words: a message as clauses of words, without code and without what it quotes.

mod quotes;

use std::ops::Range;

use self::quotes::Quotes;
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
        in_list = line.is_item || is_row || (in_list && open);
        let is_listed = line.is_item || is_alone;
        let is_heading = text.starts_with('#');
        units.push(Unit { begins_group: !in_list && !is_headed, lines: vec![(0, line.at)], text, is_listed });
        is_headed = is_heading;
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
        let asks = asks || done.words.last().is_some_and(|word| asks_by_itself(word));
        if !done.words.is_empty() {
            self.clauses.push(Clause { asks, breaks_off, opens: !self.is_within, ..done });
        }
        self.is_within = false;
    }
}

/// Whether a sentence that ends with `word` is a question without a mark: Japanese, Chinese, Korean.
fn asks_by_itself(word: &str) -> bool {
    const ENDINGS: [&str; 6] = ["까요", "나요", "까", "가요", "은지요", "는지요"];
    matches!(word, "か" | "吗" | "呢") || ENDINGS.iter().any(|ending| word.ends_with(ending))
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
mod tests;
