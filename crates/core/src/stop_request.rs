//! Whether a person's word asks for an end. Who said it is another question: [`crate::person`].

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

#[cfg(test)]
mod tests {
    use super::*;
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
}
