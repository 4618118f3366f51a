//! The steps, in the order in which they depend on each other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rusqlite::{Connection, OpenFlags};
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::env::Env;
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_core::spool;
use stopgate_store::{LATEST_VERSION, Store, StoreError};
use stopgate_terminal::with_progress;

use super::{MigrateOutcome, Step};
use crate::commands::apply::{self, Sets};
use crate::commands::{Context, prefix, undo_arguments};
use crate::deploy::{self, Change};
use crate::ledger::{Install, Ledger, Refused};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::locate::Location;
use crate::settings::write::Target;
use crate::wiring::Wiring;
use crate::{authority, backup, dialect, provenance};

/// How long the migration of the database waits for others who write.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long the authority may take to drain the spool.
const DRAIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Runs all of them. Call it under the lock.
pub(super) fn run(context: &Context<'_>, source: &Path, ledger: &mut Ledger) -> Vec<Step> {
    let home = &context.home;
    // First of all: the next hook that starts the new programs may have them bring the database up to date.
    let kept = keep_older_database(home);
    let mut steps = programs(context, source, ledger);
    // An older authority must not write into a schema that it does not know.
    let authority = authority::of(home);
    if let Some(old) = authority.outdated(context.environment)
        && let Err(error) = authority.hand_over(&old)
    {
        let failed = Step::of("authority", format!("version {}", old.version), MigrateOutcome::Failed);
        steps.push(failed.because(authority::problem(&error)));
    }
    steps.push(database(home, kept));
    steps.push(config(home));
    for install in ledger.installs.clone() {
        steps.push(wiring(context.environment, home, ledger, &install));
    }
    let (authority, is_up) = authority_step(context);
    steps.push(authority);
    steps.push(drain(home, is_up));
    steps
}

fn failed(step: &'static str, subject: impl Into<String>, error: &anyhow::Error) -> Step {
    Step::of(step, subject, MigrateOutcome::Failed).because(format!("{error:#}"))
}

/// The programs in `bin/`, each by its bytes.
fn programs(context: &Context<'_>, source: &Path, ledger: &mut Ledger) -> Vec<Step> {
    let home = &context.home;
    let done = deploy::plan(source, home).and_then(|mut programs| {
        provenance::check(context, source, ledger, &programs)?;
        ledger.binaries = deploy::carry_out(&mut programs, &ledger.binaries)?;
        ledger.save(home)?;
        Ok(programs)
    });
    match done {
        Ok(programs) => {
            let outcome =
                |change| if change == Change::Unchanged { MigrateOutcome::Unchanged } else { MigrateOutcome::Changed };
            programs.into_iter().map(|program| Step::of("program", program.name, outcome(program.change))).collect()
        }
        Err(error) => vec![failed("program", "programs", &error)],
    }
}

/// A database as it was before this version.
pub(crate) struct KeptDatabase {
    version: i64,
    copy: PathBuf,
}

/// Keeps a copy of a database whose schema is older than this version's; `None` if there is none.
pub(crate) fn keep_older_database(home: &Home) -> Result<Option<KeptDatabase>> {
    let path = home.database();
    match schema(&path)? {
        Some(version) if version != LATEST_VERSION => {
            Ok(Some(KeptDatabase { version, copy: keep_database(home, &path, version)? }))
        }
        _ => Ok(None),
    }
}

/// The database's schema, of which a copy has been kept.
fn database(home: &Home, kept: Result<Option<KeptDatabase>>) -> Step {
    let path = home.database();
    let subject = path.display().to_string();
    match kept {
        Ok(None) if !path.exists() => {
            Step::of("database", subject, MigrateOutcome::Unchanged).because("there is none yet")
        }
        Ok(None) => {
            Step::of("database", subject, MigrateOutcome::Unchanged).because(format!("schema {LATEST_VERSION}"))
        }
        Ok(Some(KeptDatabase { version, copy })) => match migrated(home, version) {
            Ok(_) => Step::of("database", subject, MigrateOutcome::Changed)
                .because(format!("schema {version} to {LATEST_VERSION}; as it was: {}", copy.display())),
            Err(error) => failed("database", subject, &error.into()),
        },
        Err(error) => failed("database", subject, &error),
    }
}

/// Brings the database up to date: with very many rows that takes some seconds, and is better done here than by an
/// authority that is waited for.
fn migrated(home: &Home, version: i64) -> Result<Store, StoreError> {
    let what = format!("bringing the database from schema {version} to {LATEST_VERSION}");
    with_progress(&what, || Store::open_and_migrate(home, STORE_PATIENCE))
}

/// The schema's number; `None` if there is no database.
pub(crate) fn schema(path: &Path) -> Result<Option<i64>> {
    if !path.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(STORE_PATIENCE)?;
    let version = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(version))
}

/// A copy of the database as it is now, with what is still in its write-ahead log.
fn keep_database(home: &Home, path: &Path, version: i64) -> Result<PathBuf> {
    let dir = backup::directory(home, SystemClock.now_ms(), &format!("database-schema-{version}"))?;
    let copy = dir.join("stopgate.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).with_context(|| format!("cannot open {}", path.display()))?;
    connection.busy_timeout(STORE_PATIENCE)?;
    if copy.exists() {
        // Of a run a moment ago that was interrupted: it may be half a file.
        std::fs::remove_file(&copy).with_context(|| format!("cannot replace {}", copy.display()))?;
    }
    connection
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .with_context(|| format!("cannot keep a copy of the database in {}", dir.display()))?;
    Ok(copy)
}

/// The operator's configuration: keys that it lacks are added at their defaults, with what they mean, and not a byte of
/// the rest is changed. Where there is no file the defaults hold, and none is made.
fn config(home: &Home) -> Step {
    let path = stopgate_config::user_file(home);
    let subject = path.display().to_string();
    match add_missing_keys(home, &path) {
        Ok(ConfigStep::NoFile) => {
            Step::of("config", subject, MigrateOutcome::Unchanged).because("there is none: the defaults hold")
        }
        Ok(ConfigStep::Complete) => Step::of("config", subject, MigrateOutcome::Unchanged),
        Ok(ConfigStep::Added(count)) => Step::of("config", subject, MigrateOutcome::Changed)
            .because(format!("{count} keys added at their defaults")),
        Ok(ConfigStep::Faulty(fault)) => Step::of("config", subject, MigrateOutcome::Skipped)
            .because(format!("{fault}; `stopgate config check` says more")),
        Ok(ConfigStep::Closed(why)) => Step::of("config", subject, MigrateOutcome::Skipped).because(why),
        Err(error) => failed("config", subject, &error),
    }
}

/// What became of the configuration.
enum ConfigStep {
    NoFile,
    Complete,
    Added(usize),
    /// It has a fault, which is the person's to mend.
    Faulty(String),
    /// It cannot be written; what is missing holds at its default.
    Closed(String),
}

fn add_missing_keys(home: &Home, path: &Path) -> Result<ConfigStep> {
    // It may be a link into a collection of such files: what it points to is edited.
    let Ok(real) = std::fs::canonicalize(path) else {
        return Ok(ConfigStep::NoFile);
    };
    let text = std::fs::read_to_string(&real).with_context(|| format!("cannot read {}", path.display()))?;
    if let Err(faults) = stopgate_config::parse(path, &text) {
        let first = faults.0.first().map(ToString::to_string).unwrap_or_default();
        return Ok(ConfigStep::Faulty(first));
    }
    let count = stopgate_config::missing_keys(&text).len();
    let Some(complete) = stopgate_config::with_missing_keys(&text) else {
        return Ok(ConfigStep::Complete);
    };
    let target = Target::resolve(&real)?;
    if let Err(refusal) = target.refuse_obstacle("add the keys by hand: `stopgate config reference` has them") {
        return Ok(ConfigStep::Closed(refusal.0));
    }
    backup::keep(home, &real, text.as_bytes(), SystemClock.now_ms())?;
    target.replace(Some(text.as_bytes()), complete.as_bytes())?;
    Ok(ConfigStep::Added(count))
}

/// One settings file.
fn wiring(environment: &dyn Env, home: &Home, ledger: &mut Ledger, install: &Install) -> Step {
    let location = install.location();
    let subject = location.path.display().to_string();
    if let Some(dir) = install.gone() {
        let command = format!("{}installer uninstall{}", prefix(environment, &location), undo_arguments(&location));
        return Step::of("wiring", subject, MigrateOutcome::Skipped)
            .because(format!("{} is gone; `{command}` forgets it", dir.display()));
    }
    let bin = home.bin();
    let refused = |old: Option<&Install>| match old {
        Some(old) => refused(&location, &bin, old),
        None => Ok(Vec::new()),
    };
    match apply::bring(home, ledger, &location, Sets::AsKnown, &refused) {
        Ok(applied) => {
            let outcome = if applied.is_something() { MigrateOutcome::Changed } else { MigrateOutcome::Unchanged };
            let mut notes = Vec::new();
            if !applied.refused.is_empty() {
                let count = applied.refused.len();
                notes.push(format!("{count} taken out by a person and not added again (`installer init` adds them)"));
            }
            if applied.is_something() && dialect::of(location.harness).asks_for_trust() {
                let (prefix, arguments) = (prefix(environment, &location), undo_arguments(&location));
                notes.push(format!(
                    "Codex skips what has changed until you trust it (`{prefix}installer init{arguments} --trust`)"
                ));
            }
            notes.extend(applied.ignored);
            let step = Step::of("wiring", subject, outcome);
            if notes.is_empty() { step } else { step.because(notes.join("; ")) }
        }
        Err(error) => failed("wiring", subject, &error),
    }
}

/// The entries that were registered, as the ledger says, and that somebody took out of the file since.
pub(crate) fn refused(location: &Location, bin: &Path, old: &Install) -> Result<Vec<Refused>> {
    if !old.settled {
        return Ok(old.refused.clone());
    }
    let bytes = Target::resolve(&location.path)?.read()?.unwrap_or_default();
    let document = Document::parse(&bytes)
        .map_err(|unfit| crate::exit::Refusal(format!("{}: {unfit}", location.path.display())))?;
    let there = edit::registered(&document, bin)
        .map_err(|unfit| crate::exit::Refusal(format!("{}: {unfit}", location.path.display())))?;
    let is_there = |event: &str, hook: Hook| there.iter().any(|entry| entry.is_place_of(event, hook, bin));
    let mut refused = Vec::new();
    for (hook, entry) in Wiring::with(location.harness, bin, &old.sets)?.entries() {
        let was_there = old.entries.iter().any(|known| known.is_place_of(&entry.event, hook, bin));
        if !is_there(&entry.event, hook) && (was_there || old.is_refused(&entry.event, hook)) {
            refused.push(Refused { event: entry.event.clone(), hook: hook.name().to_owned() });
        }
    }
    Ok(refused)
}

fn authority_step(context: &Context<'_>) -> (Step, bool) {
    match authority::ensure(context.environment, &context.home) {
        authority::AuthorityState::Running { version, started, .. } => {
            let outcome = if started { MigrateOutcome::Changed } else { MigrateOutcome::Unchanged };
            (Step::of("authority", format!("version {version}"), outcome), true)
        }
        authority::AuthorityState::NotStarted { reason } => {
            (Step::of("authority", "not started", MigrateOutcome::Skipped).because(reason), false)
        }
        authority::AuthorityState::Failed { problem } => {
            (Step::of("authority", "not started", MigrateOutcome::Failed).because(problem), false)
        }
    }
}

/// What hooks could not deliver: the authority takes it in when it starts.
fn drain(home: &Home, is_up: bool) -> Step {
    let count = || spool::list(home, spool::MAX_SPOOLED).map(|spooled| spooled.len());
    let before = match count() {
        Ok(0) => return Step::of("spool", "undelivered events", MigrateOutcome::Unchanged).because("there are none"),
        Ok(before) => before,
        Err(error) => {
            return Step::of("spool", "undelivered events", MigrateOutcome::Failed).because(error.to_string());
        }
    };
    let subject = format!("{before} undelivered events");
    if !is_up {
        return Step::of("spool", subject, MigrateOutcome::Skipped).because("the authority is not running");
    }
    let until = Instant::now() + DRAIN;
    while Instant::now() < until {
        if matches!(count(), Ok(0)) {
            return Step::of("spool", subject, MigrateOutcome::Changed).because("taken in");
        }
        std::thread::sleep(POLL);
    }
    Step::of("spool", subject, MigrateOutcome::Skipped).because("the authority is still at it")
}
