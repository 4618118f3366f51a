//! Finding words in a text of any language: whole words where a script has spaces, and as they stand where it has none.

/// A text in which many phrases are looked for.
pub struct Words<'a> {
    text: &'a str,
    /// Where its words begin, in bytes: no phrase begins elsewhere.
    starts: Vec<u32>,
    /// The bytes with which its words begin: most phrases begin with none of them, and are done with.
    begins: [bool; 256],
}

impl<'a> Words<'a> {
    /// Those of `text`.
    pub fn of(text: &'a str) -> Self {
        let mut begins = [false; 256];
        let mut starts = Vec::new();
        let mut before = None;
        for (at, sign) in text.char_indices() {
            if is_edge(before, Some(sign)) {
                starts.extend(u32::try_from(at));
                begins[usize::from(text.as_bytes()[at])] = true;
            }
            before = Some(sign);
        }
        Self { text, starts, begins }
    }

    /// Whether `phrase` is found at a place that `fits`, which is given what stands before it and behind it, trimmed.
    pub fn found(&self, phrase: &str, fits: &dyn Fn(&str, &str) -> bool) -> bool {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let Some(first) = phrase.bytes().next().filter(|first| self.begins[usize::from(*first)]) else { return false };
        // Compared place by place: the standard library's search is larger than all of this, and a hook links it.
        self.starts.iter().map(|at| *at as usize).any(|at| {
            bytes[at] == first && bytes[at..].starts_with(phrase.as_bytes()) && {
                let (before, after) = (&text[..at], &text[at + phrase.len()..]);
                is_edge(phrase.chars().next_back(), after.chars().next()) && fits(before.trim_end(), after.trim_start())
            }
        })
    }

    /// The bytes with which its words begin.
    pub fn first_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|byte| self.begins[usize::from(*byte)])
    }

    /// Whether `phrase` stands anywhere.
    pub fn has(&self, phrase: &str) -> bool {
        self.found(phrase, &|_, _| true)
    }
}

/// Whether `words` begin with `phrase`.
pub fn begins_with(words: &str, phrase: &str) -> bool {
    words.strip_prefix(phrase).is_some_and(|rest| is_edge(phrase.chars().next_back(), rest.chars().next()))
}

/// Whether `words` end with `phrase`.
pub fn ends_with(words: &str, phrase: &str) -> bool {
    words.strip_suffix(phrase).is_some_and(|rest| is_edge(rest.chars().next_back(), phrase.chars().next()))
}

/// Whether a word may end between the two signs.
fn is_edge(left: Option<char>, right: Option<char>) -> bool {
    let joins = |sign: char| (sign.is_alphanumeric() || matches!(sign, '\'' | '-')) && !is_unspaced(sign);
    !(left.is_some_and(joins) && right.is_some_and(joins))
}

/// Whether a sign is of a script in which a word may end anywhere: one without spaces, or one that glues endings on.
pub fn is_unspaced(sign: char) -> bool {
    matches!(sign, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// Latin letters from U+00C0 to U+017F without their marks, in lower case: many people type none.
const PLAIN_LATIN: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo*ouuuuypsaaaaaaaceeeeiiiidnooooo*ouuuuypy\
    aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll\
    lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/// `sign` in lower case and without marks, of the scripts that phrases are written in. The table of all scripts takes
/// 11 KiB, and a hook links this.
pub fn lower(sign: char) -> char {
    let moved =
        |from: char, to: char| char::from_u32(u32::from(sign) - u32::from(from) + u32::from(to)).unwrap_or(sign);
    match sign {
        'A'..='Z' => moved('A', 'a'),
        '\u{d7}' | '\u{f7}' => ' ',
        '\u{c0}'..='\u{17f}' => char::from(PLAIN_LATIN[u32::from(sign) as usize - 0xc0]),
        '\u{410}'..='\u{42f}' => moved('\u{410}', '\u{430}'),
        '\u{401}' | '\u{451}' => '\u{435}',
        '\u{400}'..='\u{40f}' => moved('\u{400}', '\u{450}'),
        // Full width.
        '\u{ff21}'..='\u{ff3a}' => moved('\u{ff21}', 'a'),
        '\u{ff41}'..='\u{ff5a}' => moved('\u{ff41}', 'a'),
        _ => sign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_where_there_are_spaces() {
        assert!(Words::of("stop here now").found("here", &|before, after| (before, after) == ("stop", "now")));
        let has = |words, phrase| Words::of(words).has(phrase);
        assert!(!has("stop therefore", "there") && has("there", "there") && !has("a", "ab"));
        assert!(begins_with("later on", "later") && !begins_with("lateral", "later"));
        assert!(ends_with("see you later", "later") && !ends_with("collater", "later"));
    }

    #[test]
    fn letters_are_lowered_and_lose_their_marks() {
        for (written, plain) in [
            ("STOP", "stop"),
            ("Arr\u{ea}te-toi L\u{c0}", "arrete-toi la"),
            ("H\u{f6}r auf, GR\u{dc}\u{1e9e}", "hor auf, gru\u{1e9e}"),
            ("N\u{c3}O cora\u{e7}\u{e3}o", "nao coracao"),
            ("Przesta\u{144}, \u{141}\u{f3}d\u{17a}", "przestan, lodz"),
            ("\u{130}\u{15e}\u{130} b\u{131}rak", "isi birak"),
            (
                "\u{425}\u{412}\u{410}\u{422}\u{418}\u{422} \u{401}",
                "\u{445}\u{432}\u{430}\u{442}\u{438}\u{442} \u{435}",
            ),
            ("\u{ff33}\u{ff34}\u{ff2f}\u{ff30}", "stop"),
            ("\u{8f9e}\u{3081}\u{3066}", "\u{8f9e}\u{3081}\u{3066}"),
        ] {
            assert_eq!(written.chars().map(lower).collect::<String>(), plain);
        }
        // Each letter becomes one of the twenty-six.
        assert!(('\u{c0}'..='\u{17f}').all(|sign| matches!(lower(sign), 'a'..='z' | ' ')));
    }

    #[test]
    fn and_parts_of_a_line_where_there_are_none() {
        assert!(Words::of("今日はここまで").found("ここまで", &|before, after| (before, after) == ("今日は", "")));
        assert!(begins_with("그만하자", "그만"));
    }
}
