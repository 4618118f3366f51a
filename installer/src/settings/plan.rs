//! What is to be done to one settings file: made once, then previewed, consented to, written, checked and reported.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use similar::{ChangeTag, TextDiff};
use stopgate_core::clock::UnixMillis;
use stopgate_core::env::ProcessEnv;
use stopgate_core::hook::WireSet;
use stopgate_core::paths::Home;
use stopgate_core::redact::{REDACTED, redact};
use stopgate_core::session::Harness;

use super::document::{Document, DocumentProblem, Unfit, Value, last_prop};
use super::edit::{self, Created};
use super::foreign::{self, Foreign};
use super::ignored::Flaw;
use super::locate::{Location, Scope};
use super::running::Surroundings;
use super::write::Target;
use crate::backup;
use crate::dialect;
use crate::digest::sha256;
use crate::exit::Refusal;
use crate::ledger::{Install, Original};
use crate::wiring::{Entry, Wiring};

const CONTEXT_LINES: usize = 3;

/// The change of one settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettingsPlan {
    pub(crate) location: Location,
    pub(crate) target: Target,
    /// The content now; `None` if there is no file.
    pub(crate) before: Option<Vec<u8>>,
    /// The content to be; `None` if there is to be no file.
    pub(crate) after: Option<Vec<u8>>,
    /// What exists only because of us, once this is done.
    pub(crate) created: Created,
    /// Keys of events among that which are taken out.
    gone: Vec<String>,
    /// Our entries in the file, once this is done.
    pub(crate) entries: Vec<Entry>,
    /// The sets of them beside the base.
    pub(crate) sets: Vec<WireSet>,
    /// What a person should know about the file.
    pub(crate) warnings: Vec<String>,
    /// Why Claude Code ignores the whole file, if it does.
    pub(crate) flaws: Vec<Flaw>,
    /// Other homes whose programs its entries run.
    pub(crate) other_homes: Vec<PathBuf>,
    /// Whether entries of ours stand in it now.
    had_ours: bool,
}

impl SettingsPlan {
    /// Registers every entry of `wiring`. `record` is what the ledger knows about the file.
    pub(crate) fn install(location: Location, wiring: &Wiring, record: Option<&Install>) -> Result<Self> {
        let target = Target::resolve_in(&location.path, location.project.as_deref())?;
        let before = target.read()?;
        let in_file = |unfit: Unfit| refuse(&target.file, &unfit);
        let document = Document::parse(before.as_deref().unwrap_or_default()).map_err(in_file)?;
        let dialect = dialect::of(location.harness);
        if let Some(unfit) = dialect.rejection(&document) {
            return Err(in_file(unfit).into());
        }
        let there = edit::registered(&document, wiring.bin()).map_err(in_file)?;
        let had_ours = !there.is_empty();
        let surroundings = Surroundings::of(&ProcessEnv, location.project.as_deref());
        let foreign = foreign::all(&document, wiring.bin(), &surroundings);
        // What a person runs in other words is registered, and no second time.
        let wiring = &wiring.clone().without(|event, hook| {
            let runs = |one: &Foreign| one.runs.as_ref().is_some_and(|running| running.hook == hook);
            foreign.iter().any(|one| one.event == event && runs(one))
                && !there.iter().any(|entry| entry.is_place_of(event, hook, wiring.bin()))
        });
        let others = foreign.iter().filter_map(|one| one.runs.as_ref()).filter(|running| !running.is_own);
        let mut other_homes: Vec<PathBuf> = others.map(|running| running.home().to_owned()).collect();
        other_homes.dedup();
        let mut created = edit::missing_structure(&document, wiring).map_err(in_file)?;
        created.file = before.is_none();
        created.directories.clone_from(&target.missing_directories);
        if had_ours && let Some(record) = record {
            created = record.created.clone().and(created);
        }
        let installed = match restored(record, before.as_deref(), wiring) {
            Some(document) => document,
            None => edit::install_over(&document, wiring, &created).map_err(in_file)?,
        };
        check(&document, &installed, wiring.bin(), &created).map_err(in_file)?;
        let hooks = if installed.is_blank() { None } else { installed.hooks().map_err(in_file)? };
        let is_there = |key: &String| hooks.as_ref().is_some_and(|hooks| last_prop(hooks, key).is_some());
        let gone = created.event_keys.iter().filter(|key| !is_there(key)).cloned().collect();
        let entries = edit::registered(&installed, wiring.bin()).map_err(in_file)?;
        let sets = wiring.sets();
        let after = if installed.text() == document.text() { before.clone() } else { Some(installed.to_bytes()) };
        // It would not do to leave a file that was well and is rejected now.
        if let Some(unfit) = dialect.rejection(&installed) {
            return Err(in_file(unfit).into());
        }
        if before != after {
            target.refuse_obstacle(&by_hand(location.harness))?;
        }
        let flaws = dialect.flaws(&document);
        let mut warnings = ignored_warnings(location.harness, &document, &target, &flaws);
        warnings.extend(dialect.moved(&document, &installed, wiring.bin()));
        warnings.extend(target_warnings(&location, &target));
        warnings.extend(foreign::warnings(&foreign));
        Ok(Self {
            location,
            target,
            before,
            after,
            created,
            gone,
            entries,
            sets,
            warnings,
            flaws,
            other_homes,
            had_ours,
        })
    }

    /// Takes back what `record` says was written; without a record, every entry of ours that is found.
    pub(crate) fn uninstall(location: Location, bin: &Path, record: Option<&Install>) -> Result<Self> {
        let target = match Target::resolve(&location.path)? {
            // What was written is taken back, wherever it is.
            target if record.is_some_and(|record| record.written == target.file) => target,
            _ => Target::resolve_in(&location.path, location.project.as_deref())?,
        };
        let before = target.read()?;
        let created = record.map(|record| record.created.clone()).unwrap_or_default();
        let after = match &before {
            None => None,
            Some(bytes) => match record.map_or(WayBack::Edit, |record| way_back(record, bytes)) {
                WayBack::Remove => None,
                WayBack::Restore(original) => Some(original),
                WayBack::Edit => without_ours(bytes, bin, &created).map_err(|unfit| refuse(&target.file, &unfit))?,
            },
        };
        let had_ours = before != after;
        if had_ours {
            target.refuse_obstacle("take stopgate's entries out where the file is made")?;
        }
        let mut warnings = Vec::new();
        if let (Some(before), Some(after)) = (&before, &after)
            && let (Ok(before), Ok(after)) = (Document::parse(before), Document::parse(after))
        {
            warnings.extend(dialect::of(location.harness).moved(&before, &after, bin));
        }
        if let Some(Ok(left)) = after.as_deref().map(Document::parse) {
            let surroundings = Surroundings::of(&ProcessEnv, location.project.as_deref());
            warnings.extend(foreign::warnings(&foreign::all(&left, bin, &surroundings)));
        }
        Ok(Self { created, warnings, had_ours, ..Self::of(location, target, before, after) })
    }

    /// Makes the file what it was once: `bytes`.
    pub(crate) fn restore(location: Location, bytes: Vec<u8>) -> Result<Self> {
        let target = Target::resolve_in(&location.path, location.project.as_deref())?;
        let before = target.read()?;
        if before.as_ref() != Some(&bytes) {
            target.refuse_obstacle("copy the backup by hand")?;
        }
        Ok(Self::of(location, target, before, Some(bytes)))
    }

    /// A plan that turns `before` into `after`, and registers nothing.
    fn of(location: Location, target: Target, before: Option<Vec<u8>>, after: Option<Vec<u8>>) -> Self {
        Self {
            location,
            target,
            before,
            after,
            created: Created::default(),
            gone: Vec::new(),
            entries: Vec::new(),
            sets: Vec::new(),
            warnings: Vec::new(),
            flaws: Vec::new(),
            other_homes: Vec::new(),
            had_ours: false,
        }
    }

    /// Whether the file stays as it is.
    pub(crate) fn is_noop(&self) -> bool {
        self.before == self.after
    }

    /// What is done to the file, in one word.
    pub(crate) fn verb(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, Some(_)) => "create",
            (Some(_), None) => "remove",
            _ if self.is_noop() => "unchanged",
            _ => "edit",
        }
    }

    /// The change as a unified diff. Lines that are not ours may hold keys: what looks like one is not shown.
    pub(crate) fn diff(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        let (old, new) = (text(&self.before), text(&self.after));
        let diff = TextDiff::from_lines(&old, &new);
        let name = |there: bool| if there { self.target.file.display().to_string() } else { "/dev/null".to_owned() };
        let mut unified = diff.unified_diff();
        let unified = unified.context_radius(CONTEXT_LINES);
        let mut lines = Vec::new();
        for hunk in unified.iter_hunks() {
            if lines.is_empty() {
                lines.push(format!("--- {}", name(self.before.is_some())));
                lines.push(format!("+++ {}", name(self.after.is_some())));
            }
            lines.push(hunk.header().to_string());
            for change in hunk.iter_changes() {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                lines.push(format!("{sign}{}", shown(change.value().trim_end_matches(['\r', '\n']))));
            }
        }
        lines.join("\n")
    }

    /// What keeps the harness from reading the file, in one sentence.
    pub(crate) fn ignored(&self) -> Option<String> {
        let flaw = self.flaws.iter().find(|flaw| flaw.by_all()).or(self.flaws.first())?;
        let (by, file) = (flaw.by(), self.target.file.display());
        Some(format!("{by} {file} as a whole, stopgate's hooks included, until it is mended: {flaw}"))
    }

    /// Keeps the old content in the home's backups, and returns where.
    pub(crate) fn backup(&self, home: &Home, now: UnixMillis) -> Result<Option<PathBuf>> {
        match &self.before {
            Some(bytes) if !self.is_noop() => Ok(Some(backup::keep(home, &self.target.file, bytes, now)?)),
            _ => Ok(None),
        }
    }

    /// The ledger's record of this plan, once it is carried out.
    pub(crate) fn record(&self, old: Option<&Install>, backup: Option<PathBuf>, now: UnixMillis) -> Install {
        let before = self.before.as_deref().map(sha256);
        let original = match (old, &before, &backup) {
            // Nobody but us wrote it since the first edit.
            (Some(old), Some(sha256), _) if *sha256 == old.sha256_after => old.original.clone(),
            (_, None, _) => Original::Missing,
            (_, Some(sha256), Some(backup)) if !self.had_ours => {
                Original::Kept { sha256: sha256.clone(), backup: backup.clone() }
            }
            _ => Original::Unknown,
        };
        let is_as_left = |old: &Install| before.as_ref() == Some(&old.sha256_after);
        let before_sets = match (old, &before, &backup) {
            _ if self.sets.is_empty() => None,
            // They come now, into a file that has none of them.
            (Some(old), Some(sha256), Some(backup)) if old.sets.is_empty() && is_as_left(old) => {
                Some(Original::Kept { sha256: sha256.clone(), backup: backup.clone() })
            }
            (Some(old), ..) if self.is_noop() && is_as_left(old) && old.sets == self.sets => old.before_sets.clone(),
            _ => None,
        };
        Install {
            harness: self.location.harness,
            scope: self.location.scope,
            project: self.location.project.clone(),
            settings: self.location.path.clone(),
            written: self.target.file.clone(),
            at_ms: now,
            version: stopgate_core::VERSION.to_owned(),
            created: self.left(),
            entries: self.entries.clone(),
            original,
            sha256_after: sha256(self.after.as_deref().unwrap_or_default()),
            backup,
            settled: true,
            refused: old.map(|old| old.refused.clone()).unwrap_or_default(),
            sets: self.sets.clone(),
            before_sets,
            trust: old.map(|old| old.trust.clone()).unwrap_or_default(),
        }
    }

    /// What of the structure is ours once this is done.
    fn left(&self) -> Created {
        let mut left = self.created.clone();
        left.event_keys.retain(|key| !self.gone.contains(key));
        left
    }

    /// Reads the file again and checks that our entries are as planned and everything else is as before.
    pub(crate) fn verify(&self, bin: &Path) -> Result<()> {
        let file = self.target.file.display();
        let now = self.target.read()?;
        let (Some(now), Some(_)) = (&now, &self.after) else {
            anyhow::ensure!(
                now == self.after,
                "{file}: somebody wrote or removed the file right after the edit; run this again"
            );
            return Ok(());
        };
        let in_file = |unfit: Unfit| refuse(&self.target.file, &unfit);
        let before = Document::parse(self.before.as_deref().unwrap_or_default()).map_err(in_file)?;
        let after = Document::parse(now).map_err(in_file)?;
        let entries = edit::registered(&after, bin).map_err(in_file)?;
        anyhow::ensure!(
            entries == self.entries,
            "{file}: somebody rewrote the file right after the edit, and stopgate's entries are not as they should be; \
             run this again"
        );
        if self.after.as_ref() == Some(now) {
            check(&before, &after, bin, &self.created).map_err(in_file)?;
        }
        Ok(())
    }
}

/// What a person does who has to write the entries into a file of `harness` themselves.
pub(crate) fn by_hand(harness: Harness) -> String {
    format!("put there yourself what `installer snippet {}` prints", harness.name())
}

/// `unfit` with the name of the file.
fn refuse(file: &Path, unfit: &Unfit) -> Refusal {
    Refusal(format!("{}: {unfit}", file.display()))
}

fn check(before: &Document, after: &Document, bin: &Path, created: &Created) -> Result<(), Unfit> {
    if edit::agree_on_the_foreign_part(before, after, bin, created) {
        return Ok(());
    }
    Err(Unfit { at: None, problem: DocumentProblem::ForeignPartChanged })
}

/// How a file becomes what it was.
enum WayBack {
    /// There was none.
    Remove,
    /// These bytes.
    Restore(Vec<u8>),
    /// Others wrote it too: by taking out what is ours.
    Edit,
}

/// The file as it was before it had sets that `wiring` has no more, if nobody has written it since and it has all else that
/// `wiring` has.
fn restored(record: Option<&Install>, now: Option<&[u8]>, wiring: &Wiring) -> Option<Document> {
    let (record, now) = (record?, now?);
    let Some(Original::Kept { sha256: expected, backup }) = &record.before_sets else { return None };
    if !wiring.sets().is_empty() || sha256(now) != record.sha256_after {
        return None;
    }
    let kept = std::fs::read(backup).ok().filter(|kept| sha256(kept) == *expected)?;
    let document = Document::parse(&kept).ok()?;
    let again = edit::install(&document, wiring).ok()?;
    (again.text() == document.text()).then_some(document)
}

fn way_back(record: &Install, now: &[u8]) -> WayBack {
    if sha256(now) != record.sha256_after {
        return WayBack::Edit;
    }
    match &record.original {
        Original::Missing => WayBack::Remove,
        Original::Kept { sha256: expected, backup } => match std::fs::read(backup) {
            Ok(kept) if sha256(&kept) == *expected => WayBack::Restore(kept),
            _ => WayBack::Edit,
        },
        Original::Unknown => WayBack::Edit,
    }
}

/// `bytes` without our entries; `None` if the file is ours and nothing else is in it.
fn without_ours(bytes: &[u8], bin: &Path, created: &Created) -> Result<Option<Vec<u8>>, Unfit> {
    let document = Document::parse(bytes)?;
    let cleaned = edit::uninstall(&document, bin, created)?;
    check(&document, &cleaned, bin, created)?;
    let is_empty = cleaned.is_blank() || cleaned.value() == Some(Value::Object(Vec::new()));
    if created.file && is_empty && cleaned.comments().is_empty() {
        return Ok(None);
    }
    Ok(Some(if cleaned.text() == document.text() { bytes.to_vec() } else { cleaned.to_bytes() }))
}

/// What keeps `harness` from reading the file, or from running its hooks.
fn ignored_warnings(harness: Harness, document: &Document, target: &Target, flaws: &[Flaw]) -> Vec<String> {
    let (dialect, product) = (dialect::of(harness), harness.spec().product);
    let file = target.file.display();
    let flaw = |flaw: &Flaw| format!("{file}: {flaw}; {} the whole file, stopgate's hooks included", flaw.by());
    let mut warnings: Vec<_> = flaws.iter().map(flaw).collect();
    if dialect.wants_strict_json()
        && let Some(problem) = document.strictness_problem()
    {
        warnings.push(format!(
            "{file}: not strict JSON ({problem}); {product} ignores the whole file in `claude -p`, stopgate's hooks included"
        ));
    }
    warnings.extend(dialect.misgivings(document).into_iter().map(|misgiving| format!("{file}: {misgiving}")));
    warnings
}

/// What a person should know whichever harness reads the file.
fn target_warnings(location: &Location, target: &Target) -> Vec<String> {
    let file = target.file.display();
    let mut warnings = Vec::new();
    if target.other_names > 0 {
        warnings.push(format!(
            "{file}: the file has {} more name(s) (hard links), which keep the old content",
            target.other_names
        ));
    }
    if location.scope == Scope::Project {
        warnings.push(format!(
            "{file}: a file of the project is usually shared, and stopgate's entries name programs of your home; keep it \
             out of commits, or use --scope user"
        ));
    }
    warnings
}

/// A line of a settings file without what looks like a secret in it.
fn shown(line: &str) -> String {
    let line = redact(line);
    let member = line.trim().strip_prefix('"').and_then(|rest| rest.split_once("\":"));
    let Some((name, value)) = member else { return line };
    let value = value.trim().trim_end_matches(',').trim_matches('"');
    let telling = format!("{name}={value}");
    if value.is_empty() || redact(&telling) == telling { line } else { line.replace(value, REDACTED) }
}

/// Writes the file of `plan`. Fails with [`super::write::WriteError::Changed`] among its causes when somebody wrote it
/// since the plan was made.
pub(crate) fn write(plan: &SettingsPlan) -> Result<()> {
    let shown = plan.location.path.display();
    match (&plan.before, &plan.after) {
        (before, Some(after)) => plan.target.replace(before.as_deref(), after),
        (Some(before), None) => plan.target.remove(before),
        (None, None) => Ok(()),
    }
    .with_context(|| format!("{shown} is as it was"))
}
