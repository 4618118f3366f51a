//! Words of a shell: where they begin and end, what is quoted, and what only a shell that runs could know.
//!
//! Nothing is expanded. What would be (a variable, a substitution) becomes a [`HOLE`] in the word; `~`, `$HOME`, `$PWD` and
//! `$(pwd)` are taken from the caller where it knows them.

use std::borrow::Cow;

use super::glob;

/// Stands in a word for what a shell would put there. A word that has the sign itself is as little known.
pub(super) const HOLE: char = '\u{1}';

/// A word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes.
    pub(super) text: String,
    /// Whether any of it is quoted: no keyword then.
    pub(super) is_quoted: bool,
    /// Where in `text` the first pattern (`*`, `?`, `[a-z]`, `{a,b}`) begins that a shell would expand.
    pub(super) pattern: Option<usize>,
}

impl Word {
    /// One that nothing is known of.
    pub(super) fn unknown() -> Self {
        Self { text: HOLE.to_string(), ..Self::default() }
    }

    /// One that is said as it is.
    pub(super) fn quoted(text: &str) -> Self {
        Self { text: text.to_owned(), is_quoted: true, pattern: None }
    }

    /// What the program is given, if that is certain.
    pub(super) fn literal(&self) -> Option<&str> {
        (self.pattern.is_none() && !self.has_hole()).then_some(self.text.as_str())
    }

    /// Whether a part of it is known only to a shell that runs.
    pub(super) fn has_hole(&self) -> bool {
        self.text.contains(HOLE)
    }

    /// The directory whose whole content a pattern means: `build` of `build/*`. Hidden files are none of it, for which it is
    /// taken all the same: a directory that is emptied is not left.
    pub(super) fn emptied(&self) -> Option<&str> {
        let stem = &self.text[..self.pattern?];
        let pattern = &self.text[stem.len()..];
        let is_known = !stem.contains(HOLE) && matches!(pattern, "*" | "**" | "**/*");
        (is_known && stem.ends_with('/')).then_some(stem)
    }

    /// The directory that a pattern begins in, and the pattern from there on; `None` where a part of it is not known, or
    /// leads elsewhere.
    pub(super) fn matching(&self) -> Option<(&str, &str)> {
        let pattern = self.pattern?;
        let begin = self.text[..pattern].rfind('/').map_or(0, |slash| slash + 1);
        // What stands there in quotes means itself.
        let is_known = !self.has_hole() && !self.text[begin..pattern].contains(glob::SIGNS);
        let (directory, pattern) = self.text.split_at(begin);
        let is_plain = !pattern.trim_end_matches('/').split('/').any(|part| matches!(part, "" | "." | ".."));
        (is_known && is_plain).then_some((if directory.is_empty() { "." } else { directory }, pattern))
    }

    /// Text in quotes, or behind a backslash. What would mean something in a pattern is not told from one that does.
    fn push_quoted(&mut self, text: &str) {
        self.text.push_str(text);
        if self.pattern.is_some() && text.contains(glob::SIGNS) {
            self.text.push(HOLE);
        }
    }

    /// The word as a keyword or the name of a builtin.
    fn plain(&self) -> Option<&str> {
        if self.is_quoted { None } else { self.literal() }
    }

    /// Whether it is the keyword `word`.
    pub(super) fn is(&self, word: &str) -> bool {
        self.plain() == Some(word)
    }
}

/// What the lexer asks of whoever reads the script.
pub(super) trait Inner {
    /// Reads the script behind `$(`, `<(` or `(` up to its closing parenthesis.
    fn substitution(&mut self, cursor: &mut Cursor<'_>);
    /// Reads a script that stood between backticks.
    fn backticks(&mut self, script: &str);
    /// The value of a variable, if the caller knows it (`HOME`, `PWD`).
    fn known(&self, variable: &str) -> Option<Cow<'_, str>>;
    /// The script cannot be read to its end.
    fn broken(&mut self);
}

/// A document in the script whose lines follow the line that is being read.
#[derive(Debug)]
struct Heredoc {
    delimiter: String,
    may_be_indented: bool,
}

/// A script and how far it is read.
#[derive(Debug)]
pub(super) struct Cursor<'s> {
    text: &'s str,
    at: usize,
    heredocs: Vec<Heredoc>,
    /// Within `name=(...)`, in which there is no other.
    is_in_array: bool,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        Self { text, at: 0, heredocs: Vec::new(), is_in_array: false }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn second(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    /// What is not yet read.
    pub(super) fn rest(&self) -> &'s str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What was read since `start`.
    pub(super) fn since(&self, start: usize) -> &'s str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    pub(super) fn skip(&mut self) {
        self.at += self.rest().chars().next().map_or(0, char::len_utf8);
    }

    pub(super) fn skip_all(&mut self) {
        self.at = self.text.len();
    }

    /// Whether a line of the script has yet to be followed by a document.
    pub(super) fn awaits_heredoc(&self) -> bool {
        !self.heredocs.is_empty()
    }

    /// Past blanks and continued lines, but not past the end of a line.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\r') if matches!(self.second(), Some(b'\n') | None) => self.at += 1,
                Some(b'\\') if self.second() == Some(b'\n') => self.at += 2,
                Some(b'\\') if self.rest().starts_with("\\\r\n") => self.at += 3,
                _ => return,
            }
        }
    }

    /// Past blanks, comments and ends of lines.
    pub(super) fn skip_lines(&mut self) {
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b'\n') => self.end_line(),
                Some(b'#') => self.skip_comment(),
                _ => return,
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        let rest = self.rest();
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    /// Past the end of a line, and past the documents that follow it.
    pub(super) fn end_line(&mut self) {
        self.at += 1;
        for heredoc in std::mem::take(&mut self.heredocs) {
            while self.at < self.text.len() {
                let rest = self.rest();
                let end = rest.find('\n').unwrap_or(rest.len());
                self.at = (self.at + end + 1).min(self.text.len());
                let line = rest[..end].trim_end_matches('\r');
                if heredoc.delimiter == if heredoc.may_be_indented { line.trim_start_matches('\t') } else { line } {
                    break;
                }
            }
        }
    }

    /// The delimiter behind `<<` or `<<-`.
    pub(super) fn heredoc(&mut self, may_be_indented: bool, inner: &mut dyn Inner) {
        self.skip_blanks();
        // Nothing in it is expanded, so that its signs are its own; but quotes are taken off.
        let mut delimiter = String::new();
        while let Some(sign) = self.rest().chars().next() {
            match sign {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' | '"' => {
                    self.at += 1;
                    let Some(length) = self.rest().find(sign) else { return self.give_up(inner) };
                    delimiter.push_str(&self.rest()[..length]);
                    self.at += length + 1;
                }
                '\\' => self.at += 1,
                _ => {
                    delimiter.push(sign);
                    self.at += sign.len_utf8();
                }
            }
        }
        self.heredocs.push(Heredoc { delimiter, may_be_indented });
    }

    fn give_up(&mut self, inner: &mut dyn Inner) {
        inner.broken();
        self.skip_all();
    }

    /// The word that begins here. It is empty where none does.
    pub(super) fn word(&mut self, inner: &mut dyn Inner) -> Word {
        let mut word = Word::default();
        let begin = self.at;
        // Where a brace stands open, and whether a comma or two dots followed.
        let mut brace: Option<(usize, bool)> = None;
        while let Some(byte) = self.peek() {
            match byte {
                b'#' if self.at == begin => break,
                b'<' | b'>' if self.at == begin && self.second() == Some(b'(') => {
                    self.at += 2;
                    inner.substitution(self);
                    // As the program sees it: a pipe.
                    word.text.push_str("/dev/fd/63");
                }
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>' => break,
                b'\r' if matches!(self.second(), Some(b'\n') | None) => break,
                b'(' => {
                    if !self.is_in_array && word.text.ends_with('=') && is_assignment(&word.text) {
                        self.at += 1;
                        self.is_in_array = true;
                        self.array(inner);
                        self.is_in_array = false;
                        word.text.push(HOLE);
                    } else if self.at > begin && word.text.ends_with(['@', '!', '+', '?', '*']) {
                        word.pattern.get_or_insert(word.text.len() - 1);
                        self.skip_to(b'(', b')', inner);
                        word.text.push(HOLE);
                    } else {
                        break;
                    }
                }
                b'\\' => {
                    self.at += 1;
                    if self.eat("\n") || self.eat("\r\n") {
                        continue;
                    }
                    word.is_quoted = true;
                    // At the end it has nothing to quote.
                    let sign = self.rest().chars().next().unwrap_or(HOLE);
                    word.push_quoted(sign.encode_utf8(&mut [0; 4]));
                    self.skip();
                }
                b'\'' => {
                    word.is_quoted = true;
                    self.at += 1;
                    let Some(length) = self.rest().find('\'') else { return self.unfinished(word, inner) };
                    word.push_quoted(&self.rest()[..length]);
                    self.at += length + 1;
                }
                b'"' => {
                    word.is_quoted = true;
                    self.at += 1;
                    if !self.double_quoted(&mut word, inner) {
                        return self.unfinished(word, inner);
                    }
                }
                b'$' if self.second() == Some(b'\'') => {
                    word.is_quoted = true;
                    self.at += 2;
                    if !self.escaped(&mut word) {
                        return self.unfinished(word, inner);
                    }
                }
                b'$' if self.second() == Some(b'"') => self.at += 1,
                b'$' | b'`' => self.expansion(&mut word, inner),
                b'~' if self.at == begin => self.home(&mut word, inner),
                // Some shells expand it here, some do not.
                b'~' if word.text.ends_with('=') => {
                    self.at += 1;
                    word.text.push(HOLE);
                }
                _ => {
                    match byte {
                        b'*' | b'?' | b'[' => {
                            word.pattern.get_or_insert(word.text.len());
                        }
                        b'{' => brace = Some((word.text.len(), false)),
                        b',' => brace = brace.map(|(at, _)| (at, true)),
                        b'.' if word.text.ends_with('.') => brace = brace.map(|(at, _)| (at, true)),
                        b'}' => {
                            if let Some((at, true)) = brace.take() {
                                word.pattern = Some(word.pattern.map_or(at, |earlier| earlier.min(at)));
                            }
                        }
                        _ => {}
                    }
                    let sign = self.rest().chars().next().unwrap_or(HOLE);
                    word.text.push(sign);
                    self.at += sign.len_utf8();
                }
            }
        }
        // `[` and `[[` are names of commands, and a lone `{` or `?` means itself.
        if matches!(word.text.as_str(), "[" | "[[" | "{" | "}") {
            word.pattern = None;
        }
        word
    }

    fn unfinished(&mut self, mut word: Word, inner: &mut dyn Inner) -> Word {
        word.text.push(HOLE);
        self.give_up(inner);
        word
    }

    /// The words of `name=(...)`.
    fn array(&mut self, inner: &mut dyn Inner) {
        loop {
            self.skip_lines();
            match self.peek() {
                None => return inner.broken(),
                Some(b')') => return self.at += 1,
                Some(_) => {
                    let before = self.at;
                    let _ = self.word(inner);
                    if self.at == before {
                        self.skip();
                    }
                }
            }
        }
    }

    /// `~`, `~/x`, `~+`; `~name` is not known.
    fn home(&mut self, word: &mut Word, inner: &mut dyn Inner) {
        self.at += 1;
        let variable = if self.eat("+") { "PWD" } else { "HOME" };
        let is_own =
            matches!(self.peek(), None | Some(b'/' | b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b')' | b'>'));
        match inner.known(variable) {
            Some(value) if is_own => word.text.push_str(&value),
            _ => word.text.push(HOLE),
        }
    }

    /// From behind the opening quote to behind the closing one; `false` if there is none.
    fn double_quoted(&mut self, word: &mut Word, inner: &mut dyn Inner) -> bool {
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return true;
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'\n') => self.at += 1,
                        Some(sign @ (b'$' | b'`' | b'"' | b'\\')) => {
                            word.text.push(char::from(sign));
                            self.at += 1;
                        }
                        _ => word.text.push('\\'),
                    }
                }
                b'$' | b'`' => self.expansion(word, inner),
                _ => {
                    let rest = self.rest();
                    let length = rest.find(['"', '\\', '$', '`']).unwrap_or(rest.len());
                    word.push_quoted(&rest[..length]);
                    self.at += length;
                }
            }
        }
        false
    }

    /// `$'...'`, from behind its quote.
    fn escaped(&mut self, word: &mut Word) -> bool {
        while let Some(sign) = self.rest().chars().next() {
            self.at += sign.len_utf8();
            match sign {
                '\'' => return true,
                '\\' => {
                    let Some(escape) = self.rest().chars().next() else { return false };
                    self.at += escape.len_utf8();
                    let number = |cursor: &mut Self, most: usize, radix: u32| {
                        let digits =
                            cursor.rest().bytes().take(most).take_while(|byte| char::from(*byte).is_digit(radix));
                        let length = digits.count();
                        let value = u32::from_str_radix(&cursor.rest()[..length], radix).ok();
                        cursor.at += length;
                        value
                    };
                    let sign = match escape {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        '\\' | '\'' | '"' | '?' => escape,
                        'a' | 'b' | 'e' | 'E' | 'f' | 'v' | 'c' => HOLE,
                        // A byte beyond ASCII may be a part of a letter.
                        'x' => number(self, 2, 16).filter(|byte| *byte < 128).and_then(char::from_u32).unwrap_or(HOLE),
                        'u' => number(self, 4, 16).and_then(char::from_u32).unwrap_or(HOLE),
                        'U' => number(self, 8, 16).and_then(char::from_u32).unwrap_or(HOLE),
                        '0'..='7' => {
                            self.at -= 1;
                            number(self, 3, 8).filter(|byte| *byte < 128).and_then(char::from_u32).unwrap_or(HOLE)
                        }
                        other => {
                            word.text.push('\\');
                            other
                        }
                    };
                    word.text.push(sign);
                }
                other => word.text.push(other),
            }
        }
        false
    }

    /// What begins with `$` or a backtick, in quotes or not.
    fn expansion(&mut self, word: &mut Word, inner: &mut dyn Inner) {
        if self.peek() == Some(b'`') {
            self.at += 1;
            return self.backticks(word, inner);
        }
        match self.second() {
            Some(b'(') if self.rest().starts_with("$((") => {
                self.at += 1;
                self.skip_to(b'(', b')', inner);
                word.text.push(HOLE);
            }
            Some(b'(') => {
                let start = self.at + 2;
                self.at = start;
                inner.substitution(self);
                let said = self.since(start);
                match inner.known("PWD") {
                    Some(value) if said.strip_suffix(')').map(str::trim) == Some("pwd") => word.text.push_str(&value),
                    _ => word.text.push(HOLE),
                }
            }
            Some(b'{') => {
                self.at += 1;
                let start = self.at + 1;
                self.skip_to(b'{', b'}', inner);
                let name = self.since(start).strip_suffix('}').unwrap_or_default();
                match inner.known(name) {
                    Some(value) => word.text.push_str(&value),
                    None => word.text.push(HOLE),
                }
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                self.at += 1;
                let rest = self.rest();
                let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
                self.at += length;
                match inner.known(&rest[..length]) {
                    Some(value) => word.text.push_str(&value),
                    None => word.text.push(HOLE),
                }
            }
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.at += 2;
                word.text.push(HOLE);
            }
            _ => {
                self.at += 1;
                word.text.push('$');
            }
        }
    }

    /// From behind the opening backtick.
    fn backticks(&mut self, word: &mut Word, inner: &mut dyn Inner) {
        let mut script = String::new();
        while let Some(sign) = self.rest().chars().next() {
            self.at += sign.len_utf8();
            match sign {
                '`' => {
                    match inner.known("PWD") {
                        Some(value) if script.trim() == "pwd" => word.text.push_str(&value),
                        _ => word.text.push(HOLE),
                    }
                    return inner.backticks(&script);
                }
                '\\' => match self.peek() {
                    Some(sign @ (b'$' | b'`' | b'\\')) => {
                        script.push(char::from(sign));
                        self.at += 1;
                    }
                    _ => script.push('\\'),
                },
                other => script.push(other),
            }
        }
        word.text.push(HOLE);
        inner.broken();
    }

    /// Past what stands between `open`, which is next, and the `close` that belongs to it; quotes are heeded.
    pub(super) fn skip_to(&mut self, open: u8, close: u8, inner: &mut dyn Inner) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == open {
                depth += 1;
            } else if byte == close {
                depth -= 1;
                if depth == 0 {
                    return;
                }
            } else if byte == b'\\' {
                self.skip();
            } else if byte == b'"' && open == b'{' {
                if let Some(length) = self.rest().find('"') {
                    self.at += length + 1;
                }
            } else if byte == b'\'' && open == b'{' {
                // An apostrophe within double quotes is none: only what ends is skipped.
                let next = self.rest().find(['\'', '}']);
                if let Some(length) = next.filter(|at| self.rest().as_bytes().get(*at) == Some(&b'\'')) {
                    self.at += length + 1;
                }
            }
        }
        inner.broken();
        self.skip_all();
    }
}

/// Whether `text` begins as an assignment does: `NAME=`, `NAME+=`, `NAME[1]=`.
pub(super) fn is_assignment(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
