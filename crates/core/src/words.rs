//! Finding words in a text of any language: whole words where a script has spaces, and as they stand where it has none.

/// Whether `phrase` is found in `words` at a place that `fits`, which is given what stands before it and behind it, trimmed.
pub fn found(words: &str, phrase: &str, fits: &dyn Fn(&str, &str) -> bool) -> bool {
    // Compared place by place: the standard library's search is larger than all of this, and a hook links it.
    (0..(words.len() + 1).saturating_sub(phrase.len())).any(|at| {
        words.as_bytes()[at..].starts_with(phrase.as_bytes()) && {
            let (before, after) = (&words[..at], &words[at + phrase.len()..]);
            is_edge(before.chars().next_back(), phrase.chars().next())
                && is_edge(phrase.chars().next_back(), after.chars().next())
                && fits(before.trim_end(), after.trim_start())
        }
    })
}

/// Whether `phrase` stands anywhere in `words`.
pub fn has(words: &str, phrase: &str) -> bool {
    found(words, phrase, &|_, _| true)
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

/// `sign` in lower case, of the scripts that phrases are written in. The table of all scripts takes 11 KiB, and a hook
/// links this.
pub fn lower(sign: char) -> char {
    let moved = |by: u32| char::from_u32(u32::from(sign) + by).unwrap_or(sign);
    match sign {
        'A'..='Z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{de}' | '\u{410}'..='\u{42f}' => moved(32),
        '\u{400}'..='\u{40f}' => moved(80),
        '\u{130}' => 'i',
        '\u{178}' => '\u{ff}',
        // In pairs, the capital first: which of them it is depends on the block.
        '\u{100}'..='\u{137}' | '\u{14a}'..='\u{177}' => moved(u32::from(u32::from(sign).is_multiple_of(2))),
        '\u{139}'..='\u{148}' | '\u{179}'..='\u{17e}' => moved(u32::from(!u32::from(sign).is_multiple_of(2))),
        _ => sign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_where_there_are_spaces() {
        assert!(found("stop here now", "here", &|before, after| (before, after) == ("stop", "now")));
        assert!(!has("stop therefore", "there") && has("there", "there") && !has("a", "ab"));
        assert!(begins_with("later on", "later") && !begins_with("lateral", "later"));
        assert!(ends_with("see you later", "later") && !ends_with("collater", "later"));
    }

    #[test]
    fn capitals_of_the_scripts_that_phrases_have_are_lowered_as_the_standard_library_does() {
        let latin_and_cyrillic = ('A'..='\u{17e}').chain('\u{400}'..='\u{44f}').filter(|sign| *sign != '\u{130}');
        for sign in latin_and_cyrillic {
            assert_eq!(lower(sign), sign.to_lowercase().next().unwrap(), "{sign}");
        }
    }

    #[test]
    fn and_parts_of_a_line_where_there_are_none() {
        assert!(found("今日はここまで", "ここまで", &|before, after| (before, after) == ("今日は", "")));
        assert!(begins_with("그만하자", "그만"));
    }
}
