//! Claude Code: settings that it may ignore as a whole, in layers.

use std::path::{Path, PathBuf};

use super::Dialect;
use crate::account::Account;
use crate::settings::document::{Document, Value};
use crate::settings::ignored::{Flaw, flaws};
use crate::switched_off::{self, SwitchedOff};

pub(super) struct Claude;

impl Dialect for Claude {
    fn flaws(&self, document: &Document) -> Vec<Flaw> {
        flaws(document)
    }

    fn misgivings(&self, document: &Document) -> Vec<String> {
        let is_off =
            document.value().and_then(|value| value.get("disableAllHooks").cloned()) == Some(Value::Bool(true));
        let off = is_off.then(|| "`disableAllHooks` is true: no hook will run until it is removed".to_owned());
        off.into_iter().collect()
    }

    fn wants_strict_json(&self) -> bool {
        true
    }

    fn switched_off(&self, accounts: &[Account], projects: &[PathBuf], bin: &Path) -> Vec<SwitchedOff> {
        switched_off::by_claude(accounts, projects, bin)
    }

    fn plugins(&self) -> Option<&'static str> {
        Some("plugins")
    }
}
