//! The manifest: exactly the bytes that are deployed, file by file, and the table they were made from.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use stopgate_core::fsx;
use stopgate_core::harness::EventName;
use stopgate_core::hook::{self, Hook, TABLE, Wire, WireSet};
use stopgate_core::session::Harness;

use crate::digest::sha256;
use crate::exit::Refusal;
use crate::plugin;
use crate::programs;

const FORMAT: u32 = 1;
/// Its name, in a release and in the home.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Stands for the directory of the programs, which is another one for each person.
pub(crate) const BIN_PLACEHOLDER: &str = "/STOPGATE_HOME/bin";

/// The file `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// Version of this format.
    pub(crate) format: u32,
    /// Version of the release.
    pub(crate) version: String,
    /// Number of the wiring table, see `migrations/wiring`.
    pub(crate) wiring: u32,
    /// Programs.
    pub(crate) programs: Vec<File>,
    /// Texts that are written for a person, with [`BIN_PLACEHOLDER`] for their `bin`.
    pub(crate) texts: Vec<File>,
    /// What is registered.
    pub(crate) table: Vec<ManifestRow>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    /// Its name, or its path in the directory that it belongs to.
    pub(crate) name: String,
    /// SHA-256 of its bytes.
    pub(crate) sha256: String,
    /// How many they are.
    pub(crate) bytes: u64,
}

impl File {
    fn of(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self { name: name.into(), sha256: sha256(bytes), bytes: bytes.len() as u64 }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestRow {
    pub(crate) event: String,
    pub(crate) hook: String,
    pub(crate) timeout_seconds: u16,
    /// Place in the event's group, from 0.
    pub(crate) position: usize,
    /// The harness that alone has the event; all that have it where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) harness: Option<Harness>,
    /// The set that it belongs to.
    #[serde(default, skip_serializing_if = "WireSet::is_base")]
    pub(crate) set: WireSet,
    /// The matcher of its group for each harness, where it has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) matchers: BTreeMap<Harness, String>,
}

/// The only harness that has `event`; `None` where several do.
fn only(event: EventName) -> Option<Harness> {
    let mut having = Harness::ALL.into_iter().filter(|harness| harness.spec().has(event));
    having.next().filter(|_| having.next().is_none())
}

/// The matcher of each harness that has the event.
fn matchers(wire: Wire) -> BTreeMap<Harness, String> {
    let having = Harness::ALL.into_iter().filter(|harness| wire.is_of(*harness));
    having.filter_map(|harness| Some((harness, wire.matcher(harness)?))).collect()
}

/// The rows of the table.
pub(crate) fn rows() -> Vec<ManifestRow> {
    let row = |(index, (hook, wire)): (usize, &(Hook, Wire))| ManifestRow {
        event: wire.event.name().to_owned(),
        hook: hook.name().to_owned(),
        timeout_seconds: wire.timeout.as_seconds(),
        position: TABLE[..index].iter().filter(|(_, other)| other.event == wire.event).count(),
        harness: only(wire.event),
        set: hook.set(),
        matchers: matchers(*wire),
    };
    TABLE.iter().enumerate().map(row).collect()
}

impl Manifest {
    /// The manifest without programs: what a build is not needed for.
    pub(crate) fn of_texts() -> Result<Self> {
        let mut texts = vec![File::of("bin/<hook> after uninstall", programs::STUB.as_bytes())];
        for text in plugin::files(Path::new(BIN_PLACEHOLDER), &[])? {
            texts.push(File::of(text.path, text.content.as_bytes()));
        }
        Ok(Self {
            format: FORMAT,
            version: stopgate_core::VERSION.to_owned(),
            wiring: hook::WIRING,
            programs: Vec::new(),
            texts,
            table: rows(),
        })
    }

    /// The manifest of the programs in `dir`.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let mut manifest = Self::of_texts()?;
        for name in programs::names() {
            let path = dir.join(name);
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            manifest.programs.push(File::of(name, &bytes));
        }
        Ok(manifest)
    }

    /// Reads the file at `path`; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is no manifest", path.display()))
    }

    /// Refuses programs in `dir` that are not what this says: a download that broke off, or a file that somebody wrote.
    pub(crate) fn check_programs(&self, dir: &Path) -> Result<(), Refusal> {
        for file in &self.programs {
            let path = dir.join(&file.name);
            let bytes = std::fs::read(&path).map_err(|error| Refusal(format!("{}: {error}", path.display())))?;
            if sha256(&bytes) != file.sha256 {
                return Err(Refusal(format!(
                    "{}: not the bytes that the release's manifest names; get the release again",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// As text.
    pub(crate) fn to_text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes the file at `path` with `mode`, unless it says the same already.
    pub(crate) fn save(&self, path: &Path, mode: u32) -> Result<()> {
        let text = self.to_text()?;
        if std::fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            return Ok(());
        }
        fsx::write_atomic(path, text.as_bytes(), mode).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::{Env as _, ProcessEnv};

    /// What is in the repository is compared with what is made of the table, and written where the person says so.
    fn compare(path: &str, made: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        if ProcessEnv.flag("STOPGATE_UPDATE_DOCS") {
            std::fs::write(&path, made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept == made, "{}: not what the table makes; run this with STOPGATE_UPDATE_DOCS=1", path.display());
    }

    #[test]
    fn the_manifest_in_the_repository_is_what_the_table_makes() {
        compare("templates/manifest.json", &Manifest::of_texts().unwrap().to_text().unwrap());
    }

    #[test]
    fn the_documentation_shows_this_table_and_no_other() {
        const HEAD: &str = "| event | hook | timeout | position |\n| --- | --- | --- | --- |\n";
        let page = include_str!("../../docs/installer.md");
        let (before, rest) = page.split_once(HEAD).unwrap();
        let after: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
        let row = |row: ManifestRow| {
            let only = row.harness.map(|harness| format!(" ({})", harness.spec().product)).unwrap_or_default();
            format!("| {}{only} | {} | {} | {} |\n", row.event, row.hook, row.timeout_seconds, row.position)
        };
        let table: String = rows().into_iter().map(row).collect();
        compare("docs/installer.md", &[before, HEAD, &table, &after].concat());
    }

    /// Every file of `migrations/wiring` in order. To change the table is to add one, so that nobody's file changes by
    /// accident.
    #[test]
    fn the_last_numbered_table_is_the_one_that_is_registered() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/wiring");
        let names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(char::is_numeric)).collect();
        names.sort();
        let tables: Vec<Vec<ManifestRow>> =
            names.iter().map(|name| serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()).collect();
        for (number, (name, table)) in (1..).zip(names.iter().zip(&tables)) {
            assert!(name.starts_with(&format!("{number:04}_")) && !table.is_empty(), "{name}");
        }
        assert_eq!(tables.len(), usize::try_from(hook::WIRING).unwrap(), "core's `hook::WIRING` counts these files");
        assert_eq!(tables.last(), Some(&rows()), "the table was changed: add a file to migrations/wiring");
    }

    #[test]
    fn a_manifest_names_every_program_with_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for name in programs::names() {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let manifest = Manifest::of(dir.path()).unwrap();
        assert_eq!(manifest.programs.len(), programs::names().count());
        assert_eq!(manifest.programs[0].sha256, sha256(manifest.programs[0].name.as_bytes()));
        let file = dir.path().join("m");
        manifest.save(&file, 0o644).unwrap();
        assert_eq!(Manifest::read(&file).unwrap(), Some(manifest));
        assert_eq!(Manifest::read(&dir.path().join("none")).unwrap(), None);
    }
}
