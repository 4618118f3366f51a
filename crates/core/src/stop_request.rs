//! A person's word ends a turn: the recorder marks a session whose person asked for an end, until the next prompt.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::fsx;
use crate::paths::Home;
use crate::session::SessionKey;

/// Phrases that ask for an end, one a line, in `templates/`.
const PHRASES: &str = include_str!("../../../templates/signals/stop-request.en.txt");
/// Only the beginning of a prompt is looked at; what follows is material.
const MAX_PROMPT_CHARS: usize = 300;
/// Words that turn a phrase into its opposite when they stand right before it.
const NEGATIONS: [&str; 8] = ["don't", "dont", "do not", "never", "not", "without", "shouldn't", "won't"];

/// Whether the person asks the agent to stop. Generous: an error costs one reminder of one turn, while a person who is
/// not heard is trapped.
pub fn asks_to_stop(prompt: &str) -> bool {
    let words = normalise(prompt);
    let phrases = PHRASES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    phrases.into_iter().any(|phrase| match phrase.strip_suffix('$') {
        // A phrase that means an end only if it is all that is said.
        Some(whole) => words == whole || words == format!("please {whole}") || words == format!("{whole} please"),
        None => words
            .match_indices(phrase)
            .any(|(at, _)| is_whole_phrase(&words, at, phrase.len()) && !is_negated(&words[..at])),
    })
}

/// Lower case, single spaces, no punctuation but apostrophes.
fn normalise(prompt: &str) -> String {
    let beginning: String = prompt.chars().take(MAX_PROMPT_CHARS).collect();
    let plain = |symbol: char| match symbol {
        '\u{2019}' => '\'',
        symbol if symbol.is_alphanumeric() || symbol == '\'' => symbol.to_ascii_lowercase(),
        _ => ' ',
    };
    let text: String = beginning.chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_whole_phrase(words: &str, at: usize, length: usize) -> bool {
    let (before, after) = (&words[..at], &words[at + length..]);
    (before.is_empty() || before.ends_with(' ')) && (after.is_empty() || after.starts_with(' '))
}

fn is_negated(before: &str) -> bool {
    let before = before.trim_end();
    NEGATIONS
        .iter()
        .any(|negation| before.strip_suffix(negation).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')))
}

/// Marks `session`, or takes the mark away.
pub fn set_released(home: &Home, session: &SessionKey, released: bool) {
    let path = mark(home, session);
    if released {
        let made = path.parent().is_some_and(|dir| fsx::ensure_private_dir(dir).is_ok());
        if made {
            let _ = fsx::open_regular(OpenOptions::new().create(true).write(true).truncate(false), &path);
        }
    } else {
        let _ = std::fs::remove_file(&path);
    }
}

/// Whether the person asked for an end of this turn of `session`.
pub fn is_released(home: &Home, session: &SessionKey) -> bool {
    mark(home, session).exists()
}

fn mark(home: &Home, session: &SessionKey) -> PathBuf {
    let safe = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        byte => format!("_{byte:02x}"),
    };
    let name: String = session.session_id.bytes().map(safe).collect();
    home.run().join("released").join(format!("{}-{name}", session.harness))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Harness;
    use rstest::rstest;

    #[rstest]
    #[case("stop")]
    #[case("Stop.")]
    #[case("STOP!!!")]
    #[case("please stop")]
    #[case("ok, you can stop now")]
    #[case("That\u{2019}s enough for today, thanks")]
    #[case("Let's stop here and pick it up tomorrow.")]
    #[case("stop working on this")]
    #[case("Stop the build, I have to think about it")]
    #[case("abort")]
    fn a_person_who_wants_an_end_is_heard(#[case] prompt: &str) {
        assert!(asks_to_stop(prompt), "{prompt}");
    }

    #[rstest]
    #[case("stop the dev server and restart it with tracing")]
    #[case("don't stop here, go on until all tests pass")]
    #[case("Do not stop working until it is done")]
    #[case("add a stop button")]
    #[case("go on")]
    #[case("never stop the build halfway")]
    #[case("")]
    fn work_that_mentions_stopping_is_no_end(#[case] prompt: &str) {
        assert!(!asks_to_stop(prompt), "{prompt}");
    }

    #[test]
    fn the_mark_is_the_session_s_own() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let key = |id: &str| SessionKey::new(Harness::Claude, id).unwrap();
        set_released(&home, &key("../a/b"), true);
        assert!(is_released(&home, &key("../a/b")) && !is_released(&home, &key("ab")));
        assert_eq!(std::fs::read_dir(home.run().join("released")).unwrap().count(), 1);
        set_released(&home, &key("../a/b"), false);
        assert!(!is_released(&home, &key("../a/b")));
    }
}
