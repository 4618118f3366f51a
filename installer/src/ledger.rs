//! What was written where, so that it can be taken back exactly.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::fsx;
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::lock::{self, HeldLock};
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;

use crate::digest::sha256;
use crate::exit::Refusal;
use crate::settings::edit::Created;
use crate::settings::locate::{Location, Scope};
use crate::wiring::Entry;

const FORMAT: u32 = 1;
const PRIVATE_FILE: u32 = 0o600;
/// The holder writes, and may have to end one authority and start another.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The file `ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Version of this format.
    pub(crate) format: u32,
    /// One record for each settings file.
    pub(crate) installs: Vec<Install>,
    /// The files in `bin/`.
    pub(crate) binaries: Vec<Deployed>,
    /// Which table of `migrations/wiring` all of them have been brought to.
    #[serde(default = "first_wiring")]
    pub(crate) wiring: u32,
    /// The version that last migrated everything without a failure; of older ledgers nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Upgrade guides (their versions) that the person has not acknowledged yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "pendingGuides")]
    pub(crate) pending_guides: Vec<String>,
    /// Those that the person has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) acknowledged: Vec<String>,
}

const fn yes() -> bool {
    true
}

const fn first_wiring() -> u32 {
    1
}

/// What was done to one settings file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Install {
    /// Whose settings.
    pub(crate) harness: Harness,
    /// Which of its files.
    pub(crate) scope: Scope,
    /// The project's directory.
    pub(crate) project: Option<PathBuf>,
    /// The file's path, as the harness knows it.
    pub(crate) settings: PathBuf,
    /// The file that was written, if the path is a link.
    pub(crate) written: PathBuf,
    /// When.
    #[serde(alias = "atMs")]
    pub(crate) at_ms: UnixMillis,
    /// By which version.
    pub(crate) version: String,
    /// What of the structure exists only because of us.
    pub(crate) created: Created,
    /// The entries that stand in the file.
    pub(crate) entries: Vec<Entry>,
    /// The file before the first of our edits.
    pub(crate) original: Original,
    /// SHA-256 of the file after the last of them.
    #[serde(alias = "sha256After")]
    pub(crate) sha256_after: String,
    /// The copy that was made before the last of them.
    pub(crate) backup: Option<PathBuf>,
    /// Whether the file was written and checked. If not, the installer was interrupted: what is missing in the file was
    /// not taken out by anybody.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub(crate) settled: bool,
    /// Entries that a person took out of the file; only `init` puts them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<Refused>,
    /// The sets of lines beside the base that the file has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sets: Vec<WireSet>,
    /// The file before those, while nobody has written it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before_sets: Option<Original>,
    /// What was written into Codex's configuration so that it trusts our entries: a record for each account.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub(crate) trust: Vec<TrustRecord>,
}

/// A single record stands by itself, as it does in ledgers of the first version, which knew no other.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TrustRecord;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(TrustRecord),
        Many(Vec<TrustRecord>),
    }

    pub(super) fn serialize<S: Serializer>(records: &[TrustRecord], serializer: S) -> Result<S::Ok, S::Error> {
        match records {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TrustRecord>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(record) => vec![record],
            OneOrMany::Many(records) => records,
        })
    }
}

/// The place of an entry that a person does not want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// Key of the event.
    pub(crate) event: String,
    /// File name of the hook.
    pub(crate) hook: String,
}

/// What a change of Codex's `config.toml` was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrustRecord {
    /// The file.
    pub(crate) config: PathBuf,
    /// The names below `hooks.state` that were written.
    pub(crate) keys: Vec<String>,
    /// The file before the first of our changes.
    pub(crate) original: Original,
    /// SHA-256 of the file after the last of them.
    #[serde(alias = "sha256After")]
    pub(crate) sha256_after: String,
}

/// A file as it was before we came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Original {
    /// There was none.
    Missing,
    /// A copy is kept.
    Kept {
        /// SHA-256 of the copy.
        sha256: String,
        /// Where it is.
        backup: PathBuf,
    },
    /// Others changed the file between two edits of ours: no old state is the right one to go back to.
    Unknown,
}

/// A file in `bin/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployed {
    /// File name.
    pub(crate) name: String,
    /// SHA-256 of its bytes.
    pub(crate) sha256: String,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            format: FORMAT,
            installs: Vec::new(),
            binaries: Vec::new(),
            wiring: first_wiring(),
            version: None,
            pending_guides: Vec::new(),
            acknowledged: Vec::new(),
        }
    }
}

impl Ledger {
    /// Reads the ledger of `home`; an empty one if there is none.
    pub(crate) fn read(home: &Home) -> Result<Self> {
        let path = home.ledger();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let unfit = |problem: String| Refusal(format!("{}: {problem}", path.display()));
        let mut ledger: Self = serde_json::from_slice(&bytes)
            .map_err(|error| unfit(format!("{error}; move the file away to go on without what it knows")))?;
        if ledger.format != FORMAT {
            let format = ledger.format;
            return Err(
                unfit(format!("format {format} is of another version; use the installer of that version")).into()
            );
        }
        ledger.merge_same_files();
        Ok(ledger)
    }

    /// Makes one record of those whose paths lead to one file, as older versions made them: to take back one of them takes
    /// the lines out that the other tells of.
    fn merge_same_files(&mut self) {
        let mut merged: Vec<Install> = Vec::with_capacity(self.installs.len());
        for install in std::mem::take(&mut self.installs) {
            let file = real(&install.settings);
            let is_same = |known: &&mut Install| known.harness == install.harness && real(&known.settings) == file;
            match merged.iter_mut().find(is_same) {
                Some(known) => known.merge(install),
                None => merged.push(install),
            }
        }
        self.installs = merged;
    }

    /// Writes the ledger, unless it says the same already.
    pub(crate) fn save(&self, home: &Home) -> Result<()> {
        let path = home.ledger();
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        if std::fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes()) {
            return Ok(());
        }
        fsx::write_atomic(&path, text.as_bytes(), PRIVATE_FILE)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// `location` by the path that the ledger knows its file by: several may lead to it.
    pub(crate) fn known_as(&self, location: Location) -> Location {
        if self.of(&location).is_some() {
            return location;
        }
        let file = real(&location.path);
        let is_same = |install: &&Install| install.harness == location.harness && real(&install.settings) == file;
        self.installs.iter().find(is_same).map(Install::location).unwrap_or(location)
    }

    /// The records of trust that other settings files than `settings` have in `config`.
    pub(crate) fn trust_of_others<'a>(
        &'a mut self,
        settings: &'a Path,
        config: &'a Path,
    ) -> impl Iterator<Item = &'a mut TrustRecord> {
        let others = self.installs.iter_mut().filter(move |install| install.settings != settings);
        others.flat_map(|install| &mut install.trust).filter(move |trust| trust.config == config)
    }

    /// The record of the file at `location`.
    pub(crate) fn of(&self, location: &Location) -> Option<&Install> {
        self.installs.iter().find(|install| install.settings == location.path)
    }

    /// Puts `record` in the place of an older one of the same file.
    pub(crate) fn put(&mut self, record: Install) {
        match self.installs.iter_mut().find(|install| install.settings == record.settings) {
            Some(old) => *old = record,
            None => self.installs.push(record),
        }
    }

    /// Forgets the file at `settings`.
    pub(crate) fn forget(&mut self, settings: &Path) {
        self.installs.retain(|install| install.settings != settings);
    }
}

/// The file that `path` leads to, which need not exist.
fn real(path: &Path) -> PathBuf {
    let of_missing = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(of_missing).unwrap_or_else(|| path.to_owned())
}

impl Install {
    /// Takes in what `other` knows of the same file. The later of the two says how the file is, and this one how it is
    /// called.
    fn merge(&mut self, other: Self) {
        let (mut earlier, mut now) =
            if other.at_ms >= self.at_ms { (self.clone(), other) } else { (other, self.clone()) };
        // The later one found the lines of the earlier there, and nothing that was written in between.
        if now.original == Original::Unknown && now.sha256_after == earlier.sha256_after {
            now.original = earlier.original;
        }
        now.created = earlier.created.and(now.created);
        now.settled &= earlier.settled;
        now.sets = earlier.sets.iter().chain(&now.sets).copied().collect::<BTreeSet<_>>().into_iter().collect();
        now.before_sets = None;
        now.backup = now.backup.or(earlier.backup);
        for trust in &mut now.trust {
            if let Some(at) = earlier.trust.iter().position(|known| known.config == trust.config) {
                let known = earlier.trust.remove(at);
                trust.keys.extend(known.keys.into_iter().filter(|key| !trust.keys.contains(key)).collect::<Vec<_>>());
                if known.sha256_after != trust.sha256_after {
                    trust.original = Original::Unknown;
                } else if trust.original == Original::Unknown {
                    trust.original = known.original;
                }
            }
        }
        now.trust.append(&mut earlier.trust);
        let Location { scope, path, project, .. } = self.location();
        *self = Self { scope, project, settings: path, ..now };
    }

    /// Whether `bytes` are the file before the first of our edits.
    pub(crate) fn restores(&self, bytes: Option<&[u8]>) -> bool {
        match (&self.original, bytes) {
            (Original::Kept { sha256: original, .. }, Some(bytes)) => sha256(bytes) == *original,
            (Original::Missing, None) => true,
            _ => false,
        }
    }

    /// The directory that is gone, and with it everything that would read the file.
    pub(crate) fn gone(&self) -> Option<&Path> {
        let dir = self.project.as_deref().or(self.settings.parent())?;
        (!dir.is_dir()).then_some(dir)
    }

    /// The settings file it is about.
    pub(crate) fn location(&self) -> Location {
        Location {
            harness: self.harness,
            scope: self.scope,
            path: self.settings.clone(),
            project: self.project.clone(),
        }
    }

    /// Whether a person took the entry of `hook` on `event` out.
    pub(crate) fn is_refused(&self, event: &str, hook: Hook) -> bool {
        self.refused.iter().any(|refused| refused.event == event && refused.hook == hook.name())
    }
}

/// Keeps a second installer out while this one writes.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] HeldLock);

impl Lock {
    /// Takes the lock of `home`, which exists; waits for another installer that is at work.
    pub(crate) fn take(home: &Home) -> Result<Self> {
        match Self::wait(home, LOCK_WAIT)? {
            Some(lock) => Ok(lock),
            None => bail!("{}: another installer is at work; try again when it is done", Self::path(home).display()),
        }
    }

    /// The same without waiting: `None` if another installer is at work.
    pub(crate) fn try_take(home: &Home) -> Result<Option<Self>> {
        Self::wait(home, Duration::ZERO)
    }

    fn path(home: &Home) -> PathBuf {
        home.run().join("installer.lock")
    }

    fn wait(home: &Home, patience: Duration) -> Result<Option<Self>> {
        let path = Self::path(home);
        let file = fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let is_ours =
            lock::take(&file, Instant::now() + patience).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(is_ours.then(|| Self(HeldLock::new(file))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(settings: &str) -> Install {
        Install {
            harness: Harness::Claude,
            scope: Scope::User,
            project: None,
            settings: settings.into(),
            written: settings.into(),
            at_ms: 1,
            version: "0.1.0".into(),
            created: Created { file: true, hooks_key: true, ..Created::default() },
            entries: Vec::new(),
            original: Original::Missing,
            sha256_after: "0".into(),
            backup: None,
            settled: true,
            refused: Vec::new(),
            sets: Vec::new(),
            before_sets: None,
            trust: Vec::new(),
        }
    }

    #[test]
    fn holds_several_installs_and_survives_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(Ledger::read(&home).unwrap(), Ledger::default());
        let mut ledger = Ledger::default();
        ledger.put(install("/a"));
        ledger.put(install("/b"));
        ledger.put(Install { at_ms: 2, ..install("/a") });
        ledger.save(&home).unwrap();
        assert_eq!(Ledger::read(&home).unwrap(), ledger);
        assert_eq!(ledger.installs.iter().map(|install| install.at_ms).collect::<Vec<_>>(), [2, 1]);
        ledger.forget(Path::new("/a"));
        assert_eq!(ledger.installs, [install("/b")]);
    }

    #[test]
    fn a_ledger_of_the_first_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::write(home.ledger(), r#"{"format": 1, "installs": [], "binaries": []}"#).unwrap();
        let ledger = Ledger::read(&home).unwrap();
        assert_eq!((ledger.wiring, ledger.version), (1, None));
    }

    #[test]
    fn one_record_of_trust_is_written_as_ever_and_several_are_read_back() {
        let record = |config: &str| TrustRecord {
            config: config.into(),
            keys: vec!["k".into()],
            original: Original::Missing,
            sha256_after: "0".into(),
        };
        for count in [0, 1, 2] {
            let trust: Vec<_> = ["/a", "/b"][..count].iter().map(|config| record(config)).collect();
            let written = serde_json::to_value(Install { trust: trust.clone(), ..install("/s") }).unwrap();
            assert_eq!(written["trust"].is_object(), count == 1, "{written}");
            assert_eq!(serde_json::from_value::<Install>(written).unwrap().trust, trust);
        }
    }

    #[test]
    fn a_ledger_that_is_not_understood_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        for (text, part) in [("{\n oops", "line 2"), ("{\"format\":9,\"installs\":[],\"binaries\":[]}", "format 9")] {
            std::fs::write(home.ledger(), text).unwrap();
            let error = Ledger::read(&home).unwrap_err();
            assert!(error.is::<Refusal>() && error.to_string().contains(part), "{error}");
        }
    }
}
