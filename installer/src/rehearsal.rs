//! What an installation and its end would make of a file, on bytes alone: nothing is read or written.

use std::path::Path;

use stopgate_core::session::Harness;

use crate::codex::config;
use crate::dialect;
use crate::settings::document::{Document, Unfit};
use crate::settings::edit;
use crate::wiring::Wiring;

/// A settings file through an installation and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// How many entries of stopgate's stood in it before.
    pub registered_before: usize,
    /// How many stand in it once installed.
    pub registered: usize,
    /// How many there should be.
    pub wanted: usize,
    /// The file once installed.
    pub installed: Vec<u8>,
    /// The file after a second installation.
    pub installed_twice: Vec<u8>,
    /// The file after taking out entry by entry what was installed, as it is done when others wrote it since.
    pub uninstalled: Vec<u8>,
    /// Whether everything that is not stopgate's says the same before, in between and after.
    pub foreign_part_kept: bool,
}

/// Rehearses with `bytes` as the settings file of `harness` and programs in `bin`; the error says why such a file is
/// refused, in words for people.
pub fn settings(harness: Harness, bin: &Path, bytes: &[u8]) -> Result<Rehearsed, String> {
    let said = |unfit: Unfit| unfit.to_string();
    let wiring = Wiring::of(harness, bin).map_err(|error| error.to_string())?;
    let before = Document::parse(bytes).map_err(said)?;
    let rejected = |document: &Document| dialect::of(harness).rejection(document);
    if let Some(unfit) = rejected(&before) {
        return Err(unfit.to_string());
    }
    let registered_before = edit::registered(&before, bin).map_err(said)?.len();
    let created = edit::missing_structure(&before, &wiring).map_err(said)?;
    let installed = edit::install(&before, &wiring).map_err(said)?;
    if let Some(unfit) = rejected(&installed) {
        return Err(unfit.to_string());
    }
    let twice = edit::install(&installed, &wiring).map_err(said)?;
    let taken = edit::uninstall(&installed, bin, &created).map_err(said)?;
    let same = |other: &Document| edit::agree_on_the_foreign_part(&before, other, bin, &created);
    Ok(Rehearsed {
        registered_before,
        registered: edit::registered(&installed, bin).map_err(said)?.len(),
        wanted: wiring.entries().count(),
        foreign_part_kept: same(&installed) && same(&taken),
        installed: installed.to_bytes(),
        installed_twice: twice.to_bytes(),
        uninstalled: taken.to_bytes(),
    })
}

/// `config`, the text of Codex's `config.toml`, without the trust of the hooks `keys`; `None` if none is in it. The error
/// says why the file is left alone.
pub fn without_trust(config: &str, keys: &[String]) -> Result<Option<String>, String> {
    config::without(config, keys).map_err(|error| error.to_string())
}
