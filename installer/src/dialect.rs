//! What the installer has to know of a harness beyond its row: what it makes of a settings file, and what it asks of the
//! person.

mod claude;
mod codex;

use std::path::{Path, PathBuf};

use stopgate_core::env::Env;
use stopgate_core::session::Harness;

use crate::account::Account;
use crate::settings::document::{Document, Unfit};
use crate::settings::ignored::Flaw;
use crate::switched_off::SwitchedOff;

/// A harness, as the installer sees it. What is not said is what a harness without peculiarities does.
pub(crate) trait Dialect {
    /// Whether it is on this machine, as far as its program tells; without one its directory does.
    fn is_here(&self, _environment: &dyn Env) -> bool {
        true
    }

    /// Why it would reject a settings file as a whole, and say nothing: such a file is neither written nor left behind.
    fn rejection(&self, _document: &Document) -> Option<Unfit> {
        None
    }

    /// Why it ignores a settings file as a whole.
    fn flaws(&self, _document: &Document) -> Vec<Flaw> {
        Vec::new()
    }

    /// What else keeps the hooks of a file from running: for the doctor, and for the person who installs.
    fn misgivings(&self, _document: &Document) -> Vec<String> {
        Vec::new()
    }

    /// Whether it reads nothing but strict JSON, at least now and then, and ignores other files.
    fn wants_strict_json(&self) -> bool {
        false
    }

    /// A warning if the change from `before` to `after` moves hooks of others, and that matters to it.
    fn moved(&self, _before: &Document, _after: &Document, _bin: &Path) -> Option<String> {
        None
    }

    /// Whether it skips hooks until the person trusts them.
    fn asks_for_trust(&self) -> bool {
        false
    }

    /// What switches hooks off, as files say: an administrator's, those of `accounts` and of `projects`.
    fn switched_off(&self, _accounts: &[Account], _projects: &[PathBuf], _bin: &Path) -> Vec<SwitchedOff> {
        Vec::new()
    }

    /// The directory, in that of its configuration, that plugins with hooks lie in.
    fn plugins(&self) -> Option<&'static str> {
        None
    }

    /// Whether it runs a command that two files register twice.
    fn runs_every_file(&self) -> bool {
        false
    }

    /// Whether it reads its hooks only when it starts, and tells the person of each program that is gone.
    fn remembers_hooks(&self) -> bool {
        false
    }
}

/// The dialect of `harness`.
pub(crate) fn of(harness: Harness) -> &'static dyn Dialect {
    match harness {
        Harness::Claude => &claude::Claude,
        Harness::Codex => &codex::Codex,
    }
}
