//! Colours, where they are wanted.

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What a text says about its subject, which a terminal shows by colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// It goes on, or is as it should be.
    Good,
    /// It waits for somebody.
    Waiting,
    /// It is gone, or is not as it should be.
    Bad,
    /// It stands above others.
    Heading,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Waiting => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Heading => Style::new().bold(),
        }
    }
}

/// Whether results may be in colour: they go to a terminal that knows colours, and nobody minds (`NO_COLOR`,
/// `CLICOLOR=0`), or somebody insists (`CLICOLOR_FORCE`).
pub fn has_colour() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// `text` in the colour of `tone`, if results may be in colour.
pub(crate) fn toned(tone: Tone, text: &str) -> String {
    painted(text, tone, text.len())
}

/// `line` with its first `length` bytes in the colour of `tone`, if results may be in colour.
pub fn painted(line: &str, tone: Tone, length: usize) -> String {
    if has_colour() { styled(line, tone, length) } else { line.to_owned() }
}

fn styled(line: &str, tone: Tone, length: usize) -> String {
    let style = tone.style();
    match line.split_at_checked(length) {
        Some((head, tail)) => format!("{style}{head}{style:#}{tail}"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_is_painted_and_what_is_plain_stays_so() {
        assert_eq!(styled("gone  x", Tone::Bad, 4), "\x1b[31mgone\x1b[0m  x");
        assert_eq!(styled("idle  x", Tone::Plain, 4), "idle  x");
        assert_eq!(styled("Title", Tone::Heading, 5), "\x1b[1mTitle\x1b[0m");
        assert_eq!(styled("é", Tone::Good, 1), "é", "not in the middle of a character");
    }
}
