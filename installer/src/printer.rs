//! The one place that prints: the report on standard output, everything beside it on standard error.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use stopgate_core::env::{self, Env};

/// Prints for a person, or one JSON object for a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

/// What a line says about its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Heading,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Heading => Style::new().bold(),
        }
    }
}

impl Printer {
    /// A printer for this process.
    pub(crate) fn of_process(environment: &dyn Env, json: bool) -> Self {
        let plain =
            environment.text(env::NO_COLOR).is_some() || environment.text(env::TERM).is_some_and(|term| term == "dumb");
        Self { json, colour: !json && !plain && io::stdout().is_terminal() }
    }

    /// A line of the report for people. A reader that hung up (`| head`) is no error.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            let _ = writeln!(io::stdout().lock(), "{}", text.as_ref());
        }
    }

    /// `text` in the colour of `tone`, where there are colours.
    pub(crate) fn toned(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// A heading of the report.
    pub(crate) fn heading(self, text: &str) {
        self.line("");
        self.line(self.toned(Tone::Heading, text));
    }

    /// A unified diff.
    pub(crate) fn diff(self, diff: &str) {
        for line in diff.lines() {
            self.line(match line.as_bytes().first() {
                Some(b'+') => self.toned(Tone::Good, line),
                Some(b'-') => self.toned(Tone::Bad, line),
                _ => line.to_owned(),
            });
        }
    }

    /// The whole report, for programs.
    pub(crate) fn object(self, report: &impl Serialize) -> anyhow::Result<()> {
        if self.json {
            let _ = writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(report)?);
        }
        Ok(())
    }
}

/// A word beside the report.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Asks whether to go on.
pub(crate) fn consent(question: &str, yes: bool) -> Consent {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let ask = || {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
        drop(stderr);
        read_answer(&mut io::stdin().lock())
    };
    Consent::of(yes, is_terminal, ask)
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    Declined,
    /// There is nobody to ask.
    NobodyThere,
}

impl Consent {
    fn of(yes: bool, is_terminal: bool, ask: impl FnOnce() -> bool) -> Self {
        match (yes, is_terminal) {
            (true, _) => Self::Given,
            (false, false) => Self::NobodyThere,
            (false, true) if ask() => Self::Given,
            (false, true) => Self::Declined,
        }
    }
}

fn read_answer(input: &mut dyn BufRead) -> bool {
    let mut answer = String::new();
    let read = input.read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Lays out rows in columns, two spaces apart; the last column is not padded.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_consent() {
        for (answer, expected) in
            [("y\n", true), ("Yes\n", true), ("\n", false), ("no\n", false), ("yep\n", false), ("", false)]
        {
            assert_eq!(read_answer(&mut answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let never = || panic!("asked");
        assert_eq!(Consent::of(true, false, never), Consent::Given);
        assert_eq!(Consent::of(false, false, never), Consent::NobodyThere);
        assert_eq!(Consent::of(false, true, || false), Consent::Declined);
        assert_eq!(Consent::of(false, true, || true), Consent::Given);
    }
}
