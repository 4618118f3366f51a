//! A report that is either text for a person or one JSON object for a program.

use serde::Serialize;

use crate::tone::toned;
use crate::{Tone, json, line};

/// Prints the report of a command.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    json: bool,
}

impl Printer {
    /// A printer of text, or of nothing but `json`.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line of the report for people.
    pub fn line(self, text: impl AsRef<str>) {
        if !self.json {
            line(text);
        }
    }

    /// `text` in the colour of `tone`, where the report has colours.
    pub fn toned(self, tone: Tone, text: &str) -> String {
        if self.json { text.to_owned() } else { toned(tone, text) }
    }

    /// A heading of the report.
    pub fn heading(self, text: &str) {
        self.line("");
        self.line(self.toned(Tone::Heading, text));
    }

    /// A unified diff.
    pub fn diff(self, diff: &str) {
        for line in diff.lines() {
            self.line(match line.as_bytes().first() {
                Some(b'+') => self.toned(Tone::Good, line),
                Some(b'-') => self.toned(Tone::Bad, line),
                _ => line.to_owned(),
            });
        }
    }

    /// The whole report, for programs.
    pub fn object(self, report: &impl Serialize) -> anyhow::Result<()> {
        if self.json { json(report) } else { Ok(()) }
    }
}
