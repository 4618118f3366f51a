//! What a checkup finds.

use std::path::PathBuf;

use serde::Serialize;
use stopgate_core::session::Harness;

use super::clients::InstalledClient;
use crate::settings::locate::Location;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Something does not work.
    Problem,
    /// A person should know it.
    Notice,
}

/// What `--fix` does about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Set the mode of a file of ours.
    Mode(PathBuf, u32),
    /// Bring the file to the table.
    Settings(Location),
    /// Remove temporary files of an installer that was killed.
    Leftovers(Vec<PathBuf>),
    /// Run `installer migrate`.
    Migrate,
    /// See to it that an authority serves that sees who asks it.
    Authority,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Stable name, for scripts.
    pub(super) id: &'static str,
    pub(super) level: Level,
    /// File, hook or harness.
    pub(super) subject: String,
    pub(super) what: String,
    pub(super) why: String,
    /// A command, or what to do.
    pub(super) fix: String,
    #[serde(skip)]
    pub(super) repair: Option<Repair>,
}

impl Finding {
    /// Whether `--fix` does something about it.
    pub(super) const fn can_be_fixed(&self) -> bool {
        self.repair.is_some()
    }
}

/// What could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Unchecked {
    pub(super) what: String,
    pub(super) why: String,
}

/// One event of one settings file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Registered {
    pub(super) harness: Harness,
    pub(super) scope: &'static str,
    pub(super) file: PathBuf,
    pub(super) event: String,
    /// Entries of ours.
    pub(super) ours: usize,
    /// Entries of others.
    pub(super) others: usize,
    /// `ok`, or what is not.
    pub(super) state: String,
}

/// One command line that was run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Fired {
    pub(super) harness: Harness,
    pub(super) event: String,
    pub(super) hook: String,
    pub(super) milliseconds: f64,
    /// What the shell in between takes by itself, if there is one.
    pub(super) shell_milliseconds: Option<f64>,
    pub(super) answer: String,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Checkup {
    pub(super) findings: Vec<Finding>,
    pub(super) unchecked: Vec<Unchecked>,
    pub(super) registered: Vec<Registered>,
    pub(super) fired: Vec<Fired>,
    /// Clients on the search path.
    pub(super) clients: Vec<InstalledClient>,
}

impl Checkup {
    fn add(&mut self, level: Level, id: &'static str, texts: [String; 4], repair: Option<Repair>) {
        let [subject, what, why, fix] = texts;
        self.findings.push(Finding { id, level, subject, what, why, fix, repair });
    }

    /// Something does not work.
    pub(super) fn problem(
        &mut self,
        id: &'static str,
        subject: impl ToString,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
    ) {
        self.add(Level::Problem, id, [subject.to_string(), what.into(), why.to_owned(), fix.into()], None);
    }

    /// Something does not work, and `--fix` mends it if there is a `repair`.
    pub(super) fn fixable(
        &mut self,
        id: &'static str,
        subject: impl ToString,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
        repair: impl Into<Option<Repair>>,
    ) {
        self.add(Level::Problem, id, [subject.to_string(), what.into(), why.to_owned(), fix.into()], repair.into());
    }

    /// A person should know it.
    pub(super) fn notice(
        &mut self,
        id: &'static str,
        subject: impl ToString,
        what: impl Into<String>,
        why: &str,
        fix: impl Into<String>,
    ) {
        self.add(Level::Notice, id, [subject.to_string(), what.into(), why.to_owned(), fix.into()], None);
    }

    /// Something could not be looked at.
    pub(super) fn unchecked(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unchecked.push(Unchecked { what: what.into(), why: why.into() });
    }
}
