//! A list of phrases in which those are found at once that a text begins with: by their first byte.

use std::collections::HashSet;

use stopgate_core::words::{begins_with, is_unspaced};

/// Phrases in lower case.
pub(super) struct Phrases {
    /// By their first byte.
    by_first: Vec<Vec<&'static str>>,
    all: HashSet<&'static str>,
}

impl Phrases {
    pub(super) fn of(phrases: impl Iterator<Item = &'static str>) -> Self {
        let mut by_first = vec![Vec::new(); 256];
        let mut all = HashSet::new();
        for phrase in phrases {
            if all.insert(phrase)
                && let Some(first) = phrase.bytes().next()
            {
                by_first[usize::from(first)].push(phrase);
            }
        }
        Self { by_first, all }
    }

    /// Whether `text` is one of them.
    pub(super) fn has(&self, text: &str) -> bool {
        self.all.contains(text)
    }

    /// Those that `text` begins with, as whole words.
    pub(super) fn begin<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'static str> + 'a {
        let same = text.bytes().next().map_or(&[][..], |first| &self.by_first[usize::from(first)]);
        same.iter().copied().filter(move |phrase| begins_with(text, phrase))
    }

    /// Whether one that `counts` stands anywhere in `text`, as whole words.
    pub(super) fn stand_in(&self, text: &str, counts: impl Fn(&str) -> bool) -> bool {
        let mut before: Option<char> = None;
        text.char_indices().any(|(at, sign)| {
            // A word may begin here.
            let joins = |sign: char| (sign.is_alphanumeric() || matches!(sign, '\'' | '-')) && !is_unspaced(sign);
            let is_edge = !(before.is_some_and(joins) && joins(sign));
            before = Some(sign);
            is_edge && self.begin(&text[at..]).any(&counts)
        })
    }
}
