//! Codex: a file that it rejects as a whole, and trust.

use std::path::{Path, PathBuf};

use stopgate_core::env::Env;

use super::Dialect;
use crate::account::Account;
use crate::codex::client;
use crate::settings::codex;
use crate::settings::document::{Document, Unfit};
use crate::switched_off::{self, SwitchedOff};

pub(super) struct Codex;

impl Dialect for Codex {
    fn is_here(&self, environment: &dyn Env) -> bool {
        client(environment).is_some()
    }

    fn rejection(&self, document: &Document) -> Option<Unfit> {
        codex::rejection(document)
    }

    fn moved(&self, before: &Document, after: &Document, bin: &Path) -> Option<String> {
        codex::moved_warning(before, after, bin)
    }

    fn switched_off(&self, accounts: &[Account], _projects: &[PathBuf], _bin: &Path) -> Vec<SwitchedOff> {
        let mut found: Vec<SwitchedOff> = Vec::new();
        for one in accounts.iter().flat_map(switched_off::by_codex) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    fn asks_for_trust(&self) -> bool {
        true
    }

    fn runs_every_file(&self) -> bool {
        true
    }

    fn remembers_hooks(&self) -> bool {
        true
    }
}
