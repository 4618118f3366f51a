//! Words of a POSIX shell, for command lines that people and agents are shown and that harnesses run.

use std::fmt::Write as _;

/// `text` as one word that a shell reads back. What is quoted stands in people's settings: it must not change.
pub fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(is_plain);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// [`word`] for a command line that is shown: no control character, which could do something to the terminal. The shells
/// that people type at understand the quotes that it takes.
pub fn shown(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return word(text);
    }
    let mut out = String::from("$'");
    for symbol in text.chars() {
        if symbol.is_control() {
            for byte in symbol.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "\\x{byte:02x}");
            }
        } else {
            out.extend(matches!(symbol, '\\' | '\'').then_some('\\'));
            out.push(symbol);
        }
    }
    out.push('\'');
    out
}

/// Whether `symbol` means nothing but itself to a shell, wherever it stands in a word.
pub fn is_plain(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || "/._-+@%:=".contains(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_control_characters_and_means_the_same_to_a_person_s_shell() {
        for text in ["/plain", "/with space", "/a\x1b[31mb", "/it's\\a\nb", "/\u{9b}x", "\x07f00"] {
            let line = shown(text);
            assert!(!line.chars().any(char::is_control), "{line:?}");
            let script = format!("printf '%s|' {line}");
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{text}|"));
        }
    }

    #[test]
    fn what_is_quoted_is_one_word_to_the_real_shell() {
        for text in [
            "/plain/path",
            "/with space",
            "/it's",
            "/é",
            "/$HOME/`x`",
            "/a\"b\\c",
            "",
            "/new\nline",
            "/*;&|",
            "a,{b}~#!",
        ] {
            let line = format!("printf '%s|' {}", word(text));
            let output = std::process::Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{text}|"));
        }
    }
}
