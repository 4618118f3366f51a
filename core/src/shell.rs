//! Words of a POSIX shell, for command lines that people and agents are shown and that harnesses run.

/// `text` as one word that a shell reads back. What is quoted stands in people's settings: it must not change.
pub fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(is_plain);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whether `symbol` means nothing but itself to a shell, wherever it stands in a word.
pub fn is_plain(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || "/._-+@%:=".contains(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

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
