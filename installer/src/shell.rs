//! As much of a shell as command lines in settings files need: quoting, and reading plain words back.

use stopgate_core::session::Harness;

/// The shell that `harness` runs command lines with, seen with the real clients.
pub(crate) const fn of(harness: Harness) -> &'static str {
    match harness {
        Harness::Claude => "/bin/sh",
        Harness::Codex => "/bin/bash",
    }
}

/// `text` as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(is_plain);
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn is_plain(symbol: char) -> bool {
    symbol.is_ascii_alphanumeric() || "/._-+@%:=".contains(symbol)
}

/// The words of a command line that does nothing but run one program; `None` if there is more to it (variables,
/// redirections, several commands) or a quote is left open.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut symbols = line.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match symbols.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match symbols.next()? {
                        '"' => break,
                        '$' | '`' | '\\' | '!' => return None,
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(symbols.next().filter(|next| *next != '\n')?),
            plain if is_plain(plain) || !plain.is_ascii() => word.get_or_insert_default().push(plain),
            _ => return None,
        }
    }
    words.extend(word);
    // `A=b program` sets a variable.
    words.first().is_none_or(|first| !first.contains('=') || first.starts_with('/')).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_word_to_us_and_to_the_real_shell() {
        for text in ["/plain/path", "/with space", "/it's", "/é", "/$HOME/`x`", "/a\"b\\c", "", "/new\nline", "/*;&|"]
        {
            let line = format!("printf '%s|' {}", quoted(text));
            let output = std::process::Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{text}|"));
            assert_eq!(words(&format!("/x {}", quoted(text))), Some(vec!["/x".to_owned(), text.to_owned()]));
        }
    }

    #[test]
    fn more_than_one_plain_command_is_not_read() {
        for line in
            ["a;b", "a && b", "a > b", "a $X", "a \"$X\"", "a `b`", "X=1 a", "a 'b", "a \"b", "a\nb", "a *", "~/a"]
        {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
