//! Small, linear-time helpers for text that comes from outside.

/// The first `max` bytes of `text` at most, cut at a character boundary.
pub fn head(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The last `max` bytes of `text` at most, cut at a character boundary.
pub fn tail(text: &str, max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(max))..]
}

/// The beginning and the end of a text that is longer than `max` bytes, which is more than 1: three quarters of
/// that, with a line break at their end, and one quarter.
pub fn ends(text: &str, max: usize) -> String {
    if text.len() <= max {
        text.to_owned()
    } else {
        format!("{}\n{}", head(text, max - max / 4 - 1), tail(text, max / 4))
    }
}

/// `text` as one printable line of at most `max_chars` characters: control characters and runs of white space
/// become one space, and what is cut off is marked with an ellipsis.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max_chars * 4));
    let mut count = 0;
    let mut gap = false;
    for symbol in text.chars() {
        if symbol.is_whitespace() || symbol.is_control() || is_invisible(symbol) {
            gap = count > 0;
            continue;
        }
        if count + usize::from(gap) >= max_chars {
            line.push('…');
            break;
        }
        if gap {
            line.push(' ');
            count += 1;
            gap = false;
        }
        line.push(symbol);
        count += 1;
    }
    line
}

/// Bidirectional controls, zero-width characters and tags: they make a line read differently from what it says.
const fn is_invisible(symbol: char) -> bool {
    matches!(symbol, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces each `{name}` of `template` by its value, in one pass: a value that holds `{name}` is left as it is.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template.trim_end();
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let value = rest.find('}').and_then(|close| {
            let name = &rest[1..close];
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (close, *value))
        });
        if let Some((close, value)) = value {
            out.push_str(value);
            rest = &rest[close + 1..];
        } else {
            out.push('{');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_fall_on_character_boundaries() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(tail("éa", 2), "a");
        assert_eq!(tail("ab", 9), "ab");
    }

    #[test]
    fn what_cannot_be_seen_is_removed() {
        let hidden =
            "\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{202e}\u{2060}\u{2066}\u{feff}\u{e0001}\u{e0041}\u{e007f}\u{e0100}";
        for symbol in hidden.chars() {
            assert_eq!(one_line(&format!("a{symbol}b{symbol}"), 20), "a b", "{:x}", u32::from(symbol));
        }
    }

    #[test]
    fn a_line_has_no_controls_and_says_when_it_was_cut() {
        assert_eq!(one_line("  a\n\tb\u{1b}[31m\u{202e}c ", 20), "a b [31m c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("\n \u{200b}", 3), "");
    }

    #[test]
    fn the_ends_of_a_text_are_no_longer_than_asked_for() {
        assert_eq!(ends("0123456789", 10), "0123456789");
        assert_eq!(ends("0123456789a", 8), "01234\n9a");
        for length in 8..40 {
            assert!(ends(&"x".repeat(length), 8).len() <= 8 && ends(&"é".repeat(length), 8).len() <= 8);
        }
    }

    #[test]
    fn filling_is_one_pass_and_leaves_unknown_names() {
        assert_eq!(fill("{a}{b}{c} {", &[("a", "{b}"), ("b", "2")]), "{b}2{c} {");
    }
}
