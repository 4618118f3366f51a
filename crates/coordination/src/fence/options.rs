//! The words behind a program's name: options, their values, operands.

use super::words::Word;

/// What a program's options look like, as far as they have values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grammar {
    /// Letters of options with a value: `-o FILE` or `-oFILE`.
    pub(super) short: &'static str,
    /// Letters of options whose value, if there is one, is in the same word: `-i.bak`.
    pub(super) attached: &'static str,
    /// Long options with a value: `--output FILE` or `--output=FILE`.
    pub(super) long: &'static [&'static str],
}

/// An option, and its value.
#[derive(Debug, Clone)]
pub(super) struct Given<'w> {
    /// `o`, `output`.
    pub(super) name: &'w str,
    /// Its value: a word of its own, or the end of one.
    pub(super) value: Option<Word>,
}

/// Words that are sorted.
#[derive(Debug, Default)]
pub(super) struct Parsed<'w> {
    pub(super) options: Vec<Given<'w>>,
    pub(super) operands: Vec<&'w Word>,
    /// How many operands stand before `--`, if that is there.
    pub(super) before_dashes: Option<usize>,
}

impl<'w> Parsed<'w> {
    /// Sorts `words`. A word that is not known is an operand.
    pub(super) fn of(words: &'w [Word], grammar: Grammar) -> Self {
        let mut parsed = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let text = word.text.as_str();
            if parsed.before_dashes.is_some() || !text.starts_with('-') || text == "-" {
                parsed.operands.push(word);
            } else if text == "--" {
                parsed.before_dashes = Some(parsed.operands.len());
            } else if let Some(long) = text.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, _)) => (name, Some(tail(word, "--".len() + name.len() + 1))),
                    None if grammar.long.contains(&long) => (long, rest.next().cloned()),
                    None => (long, None),
                };
                parsed.options.push(Given { name, value });
            } else {
                for (at, letter) in text.char_indices().skip(1) {
                    let end = at + letter.len_utf8();
                    let has_more = end < text.len();
                    let name = &text[at..end];
                    if grammar.attached.contains(letter) {
                        parsed.options.push(Given { name, value: has_more.then(|| tail(word, end)) });
                        break;
                    }
                    if grammar.short.contains(letter) {
                        let value = if has_more { Some(tail(word, end)) } else { rest.next().cloned() };
                        parsed.options.push(Given { name, value });
                        break;
                    }
                    parsed.options.push(Given { name, value: None });
                }
            }
        }
        parsed
    }

    /// Whether one of the options `names` is given.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.options.iter().any(|given| names.contains(&given.name))
    }

    /// The last value of one of the options `names`.
    pub(super) fn value(&self, names: &[&str]) -> Option<&Word> {
        self.options.iter().rev().find(|given| names.contains(&given.name))?.value.as_ref()
    }
}

/// `word` from `start` on.
pub(super) fn tail(word: &Word, start: usize) -> Word {
    Word {
        text: word.text.get(start..).unwrap_or_default().to_owned(),
        is_quoted: word.is_quoted,
        pattern: word.pattern.map(|at| at.saturating_sub(start)),
    }
}
