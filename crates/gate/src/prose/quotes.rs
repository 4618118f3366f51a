//! What a text quotes.

/// From where on a closing mark was looked for; where it stands, and where the text behind it begins.
type MarkSearch = (usize, Option<(usize, usize)>);

/// Finds what is quoted; remembers how far it has looked, so that a text full of opening marks is read once only.
#[derive(Default)]
pub(super) struct Quotes {
    /// By kind of quotation: from where on, and where, the next closing mark was found.
    next: [Option<MarkSearch>; 4],
}

impl Quotes {
    /// Where what the mark `open` before `from` quotes ends, and where the text behind the closing mark begins.
    pub(super) fn quotation(
        &mut self,
        open: char,
        before: Option<char>,
        text: &str,
        from: usize,
    ) -> Option<(usize, usize)> {
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
    let near = stopgate_core::text::head(&text[from..], MAX_SINGLE_QUOTED);
    let (at, _) = near.match_indices(close).find(|(at, _)| !is_apostrophe(*at))?;
    Some((from + at, behind(at)))
}

/// Longest text in single quotation marks, in bytes.
const MAX_SINGLE_QUOTED: usize = 400;
