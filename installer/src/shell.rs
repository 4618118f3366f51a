//! As much of a shell as command lines in settings files need: reading plain words back.

use stopgate_core::shell::is_plain;
pub(crate) use stopgate_core::shell::word;

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

/// The words of the first simple command of a shell's line, with what `variable` knows put in for variables and for a `~` at
/// the beginning of a word; what comes behind it (another command, redirections) is left out. `None` where its words cannot be
/// told without running something, or a quote is left open.
pub(crate) fn simple_command(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut symbols = line.trim_start().chars().peekable();
    let mut is_quoted = false;
    while let Some(symbol) = symbols.next() {
        match symbol {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '$' => {
                let is_braced = symbols.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(symbol) = symbols.next_if(|symbol| symbol.is_ascii_alphanumeric() || *symbol == '_') {
                    name.push(symbol);
                }
                if is_braced {
                    symbols.next_if_eq(&'}')?;
                }
                let value = variable(&name)?;
                // Unquoted it would be split into words.
                if !is_quoted && value.contains(|symbol: char| " \t\n*?[".contains(symbol)) {
                    return None;
                }
                word.get_or_insert_default().push_str(&value);
            }
            '`' => return None,
            '\\' if is_quoted => match symbols.next()? {
                '\n' => {}
                special @ ('"' | '$' | '`' | '\\') => word.get_or_insert_default().push(special),
                other => word.get_or_insert_default().extend(['\\', other]),
            },
            inner if is_quoted => word.get_or_insert_default().push(inner),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match symbols.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(symbols.next().filter(|next| *next != '\n')?),
            ' ' | '\t' => words.extend(word.take()),
            '~' if word.is_none() && symbols.peek().is_none_or(|next| matches!(next, '/' | ' ')) => {
                word = Some(variable("HOME")?);
            }
            ';' | '&' | '|' | '\n' => break,
            '<' | '>' => {
                // The number before it is the descriptor's.
                if word.as_deref().is_some_and(|word| word.chars().all(|symbol| symbol.is_ascii_digit())) {
                    word = None;
                }
                break;
            }
            '#' if word.is_none() => break,
            '(' | ')' | '*' | '?' | '[' | '{' | '}' | '!' => return None,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    (!is_quoted && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_back_as_one_word() {
        for text in ["/plain/path", "/with space", "/it's", "/é", "/$HOME/`x`", "/a\"b\\c", "", "/new\nline", "/*;&|"]
        {
            assert_eq!(words(&format!("/x {}", word(text))), Some(vec!["/x".to_owned(), text.to_owned()]));
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
