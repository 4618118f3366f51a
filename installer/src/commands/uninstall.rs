//! `installer uninstall`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use stopgate_core::VERSION;
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::paths::Home;
use stopgate_registry::Caller;
use stopgate_registry::taken_back::{self, Uninstall};

use super::{Context, Where};
use crate::codex::config::Withdrawn;
use crate::exit::{ExitStatus, Refusal};
use crate::ledger::{Install, Ledger, Lock};
use crate::printer::{self, Consent, Tone};
use crate::settings::edit::Created;
use crate::settings::locate::Location;
use crate::settings::plan::{self, SettingsPlan};
use crate::settings::write::WriteError;
use crate::{authority, codex, deploy, dialect, home, leftovers, operator};

const MAX_ATTEMPTS: usize = 5;
/// How often in a row no authority has to be found, and how long to wait in between.
const QUIET_LOOKS: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Arguments of `uninstall`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Every settings file that the ledger knows
    #[arg(long, conflicts_with_all = ["scope", "project"])]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove the home as well: programs, log, sessions, verdicts, backups
    #[arg(long)]
    purge: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// One settings file, and what is to be done to it.
struct Undo {
    location: Location,
    record: Option<Install>,
    plan: Result<SettingsPlan>,
}

impl Undo {
    fn plan(location: Location, home: &Home, record: Option<&Install>) -> Self {
        let plan = SettingsPlan::uninstall(location.clone(), &home.bin(), record);
        Self { location, record: record.cloned(), plan }
    }

    /// Where the file is, and where it was written if its path is a link.
    fn dirs(&self) -> impl Iterator<Item = &Path> {
        let written = self.plan.as_ref().ok().map(|plan| plan.target.file.as_path());
        [Some(self.location.path.as_path()), written].into_iter().flatten().filter_map(Path::parent)
    }

    /// Whether there is anything to take back.
    fn is_something(&self) -> bool {
        self.record.is_some() || self.plan.as_ref().map_or(true, |plan| !plan.is_noop())
    }
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct UninstallReport {
    command: &'static str,
    outcome: UninstallOutcome,
    exit_code: u8,
    home: PathBuf,
    settings: Vec<Undone>,
    done: Vec<String>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Undone {
    settings: PathBuf,
    change: &'static str,
    diff: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum UninstallOutcome {
    NothingInstalled,
    DryRun,
    NoConsent,
    Uninstalled,
}

impl UninstallReport {
    fn end(mut self, context: &Context<'_>, outcome: UninstallOutcome, status: ExitStatus) -> Result<ExitStatus> {
        self.outcome = outcome;
        self.exit_code = status.code();
        context.printer.object(&self)?;
        Ok(status)
    }

    fn did(&mut self, context: &Context<'_>, line: String) {
        context.printer.line(&line);
        self.done.push(line);
    }

    fn failed(&mut self, line: String) {
        printer::note(format!("not undone: {line}"));
        self.problems.push(line);
    }
}

/// Uninstalls.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let printer = context.printer;
    let ledger = Ledger::read(&context.home)?;
    let mut places = leftovers::places(context.environment, &context.home, &ledger);
    if !arguments.all {
        places.extend(leftovers::around(&context.locate(&arguments.place)?.path));
    }
    let dirs = || places.iter().map(PathBuf::as_path);
    if !arguments.dry_run {
        for line in leftovers::give_back(&context.home, dirs()) {
            printer.line(line);
        }
    }
    let chosen = choose(context, arguments, &ledger)?;
    let keeps = |install: &&Install| !chosen.iter().any(|undo| undo.location.path == install.settings);
    let remaining: Vec<&Install> = ledger.installs.iter().filter(keeps).collect();
    let is_last = remaining.is_empty() && home::is_marked(&context.home) && has_programs(&context.home);
    if arguments.purge && context.home.root().exists() {
        check_purge(context, &remaining)?;
    }
    let is_purge = arguments.purge && context.home.root().exists();
    let mut report = UninstallReport {
        command: "uninstall",
        outcome: UninstallOutcome::Uninstalled,
        exit_code: 0,
        home: context.home.root().to_owned(),
        settings: Vec::new(),
        done: Vec::new(),
        problems: Vec::new(),
    };
    let leftovers = leftovers::find(dirs().chain(chosen.iter().flat_map(Undo::dirs)));
    if chosen.is_empty() && !is_last && !is_purge && leftovers.is_empty() {
        printer.line("Nothing of stopgate is installed there.");
        for install in remaining {
            printer.line(format!("It is installed in {} (or use --all).", install.settings.display()));
        }
        return report.end(context, UninstallOutcome::NothingInstalled, ExitStatus::Success);
    }

    preview(context, &chosen, &mut report, is_last, is_purge);
    for path in &leftovers {
        printer.line(format!("  remove  {} (left behind)", path.display()));
    }
    printer.line("");
    if arguments.dry_run {
        printer.line("Dry run: nothing was changed.");
        return report.end(context, UninstallOutcome::DryRun, ExitStatus::Success);
    }
    match printer::consent("Take this back?", arguments.yes) {
        Consent::Given => {}
        Consent::Declined => {
            printer.line("Nothing was changed.");
            return report.end(context, UninstallOutcome::NoConsent, ExitStatus::Refused);
        }
        Consent::NobodyThere => {
            printer::note("Nothing was changed: there is no terminal to ask on. Run this again with --yes.");
            return report.end(context, UninstallOutcome::NoConsent, ExitStatus::Refused);
        }
    }

    let caller = operator::only(context, "installer uninstall")?;
    note(context, caller, &chosen, is_last || is_purge, is_purge);
    for path in leftovers::remove(&leftovers) {
        report.did(context, format!("{}: removed; an installer left it behind", path.display()));
    }
    carry_out(context, chosen, &mut report)?;
    // The programs stay for as long as a settings file calls them.
    if report.problems.is_empty() && (is_last || is_purge) {
        leave_home(context, is_purge, &mut report);
    }
    let status = if report.problems.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
    report.end(context, UninstallOutcome::Uninstalled, status)
}

/// Leaves word of it outside of the home, before anything is done: it may be all that is left.
fn note(context: &Context<'_>, caller: Caller, chosen: &[Undo], whole: bool, purge: bool) {
    let noted = taken_back::note(
        context.environment,
        Uninstall {
            at_ms: SystemClock.now_ms(),
            version: VERSION.to_owned(),
            home: context.home.root().to_owned(),
            settings: chosen.iter().map(|undo| undo.location.path.clone()).collect(),
            whole,
            purge,
            caller: caller.kind,
            chain: caller.chain,
            seen: false,
        },
    );
    // Whoever wants it gone gets it gone.
    if let Err(error) = noted {
        printer::note(format!("note: that this is taken back could not be written down: {error}"));
    }
}

/// The settings files that are meant and hold something of ours.
fn choose(context: &Context<'_>, arguments: &Arguments, ledger: &Ledger) -> Result<Vec<Undo>> {
    let undo = |location: Location| {
        let record = ledger.of(&location);
        Undo::plan(location, &context.home, record)
    };
    let mut chosen: Vec<Undo> = if arguments.all {
        ledger.installs.iter().map(Install::location).map(undo).collect()
    } else {
        vec![undo(ledger.known_as(context.locate(&arguments.place)?))]
    };
    // A file that the ledger does not know, and that cannot be read, is none of our business.
    chosen.retain(|one| one.is_something() && (one.record.is_some() || one.plan.is_ok()));
    Ok(chosen)
}

fn check_purge(context: &Context<'_>, remaining: &[&Install]) -> Result<(), Refusal> {
    home::check_purge(context.environment, &context.home)?;
    match remaining {
        [] => Ok(()),
        [install, ..] => Err(Refusal(format!(
            "{} still calls the programs in {}; uninstall everything with --all --purge",
            install.settings.display(),
            context.home.bin().display()
        ))),
    }
}

fn has_programs(home: &Home) -> bool {
    home.bin().join(stopgate_core::autostart::PROGRAM).exists()
}

fn preview(context: &Context<'_>, chosen: &[Undo], report: &mut UninstallReport, is_last: bool, is_purge: bool) {
    let printer = context.printer;
    printer.line(printer.toned(Tone::Heading, "stopgate is taken back"));
    for undo in chosen {
        let path = undo.location.path.display();
        match &undo.plan {
            Ok(plan) => {
                let (change, diff) = (if plan.is_noop() { "nothing left" } else { plan.verb() }, plan.diff());
                printer.line(format!("  {change}  {path}"));
                printer.diff(&diff);
                for warning in &plan.warnings {
                    printer::note(format!("warning: {warning}"));
                }
                report.settings.push(Undone { settings: undo.location.path.clone(), change, diff });
            }
            Err(error) => printer.line(format!("  cannot  {error:#}")),
        }
    }
    let root = context.home.root().display();
    if is_purge {
        printer.line(format!("  remove  {root}, with log, sessions, verdicts and backups"));
        // It reads its hooks only when it starts, and tells the person of each program that is not there.
        if chosen.is_empty() || chosen.iter().any(|undo| dialect::of(undo.location.harness).remembers_hooks()) {
            printer.line("  note    a Codex that runs now will say \"Hook failed\" until it is started anew");
        }
    } else if is_last {
        printer.line(format!("  stop    the authority, and the programs in {}", context.home.bin().display()));
        printer.line(format!("  keep    {root}, with log, sessions, verdicts and backups (--purge removes it)"));
    }
}

fn carry_out(context: &Context<'_>, chosen: Vec<Undo>, report: &mut UninstallReport) -> Result<()> {
    if chosen.is_empty() {
        return Ok(());
    }
    let home = &context.home;
    // Without a home there is neither a ledger nor another installer to keep out.
    let _lock = if home.run().is_dir() { Some(Lock::take(home)?) } else { None };
    let mut ledger = Ledger::read(home)?;
    for undo in chosen {
        // Trust first: while the ledger knows of it, it can be tried again.
        if !take_trust_back(context, &undo, &mut ledger, report) {
            continue;
        }
        match take_back(context, &undo) {
            Ok(line) => {
                report.did(context, line);
                ledger.forget(&undo.location.path);
                if undo.record.is_some() {
                    ledger.save(home)?;
                }
            }
            Err(error) => report.failed(format!("{error:#}")),
        }
    }
    Ok(())
}

/// Takes the trust in the hooks of one file back, in every account; `false` if that failed somewhere.
fn take_trust_back(context: &Context<'_>, undo: &Undo, ledger: &mut Ledger, report: &mut UninstallReport) -> bool {
    let mut is_done = true;
    for trust in undo.record.iter().flat_map(|record| &record.trust) {
        // What it is now, for the others that have trust in it may have been taken back since the record was read.
        let settings = &undo.location.path;
        let now =
            ledger.of(&undo.location).and_then(|install| install.trust.iter().find(|now| now.config == trust.config));
        let Some(trust) = now.cloned() else { continue };
        let mut others: Vec<_> = ledger.trust_of_others(settings, &trust.config).collect();
        match codex::config::withdraw(&trust, &mut others) {
            Ok(withdrawn) => {
                let how = match withdrawn {
                    Withdrawn::AsBefore => "as it was before stopgate was trusted",
                    Withdrawn::TakenOut => "the trust in stopgate's hooks is taken out",
                    Withdrawn::Nothing => "nothing of stopgate is left in it",
                };
                report.did(context, format!("{}: {how}", trust.config.display()));
                if let Some(install) = ledger.installs.iter_mut().find(|install| install.settings == *settings) {
                    install.trust.retain(|known| known.config != trust.config);
                }
                if let Err(error) = ledger.save(&context.home) {
                    report.failed(format!("{error:#}"));
                    is_done = false;
                }
            }
            Err(error) => {
                report.failed(format!("{error:#}"));
                is_done = false;
            }
        }
    }
    is_done
}

/// Takes back what was written into one file.
fn take_back(context: &Context<'_>, undo: &Undo) -> Result<String> {
    let home = &context.home;
    let path = undo.location.path.display();
    for _ in 0..MAX_ATTEMPTS {
        let settings = SettingsPlan::uninstall(undo.location.clone(), &home.bin(), undo.record.as_ref())?;
        if settings.is_noop() {
            // One who was ended may have come no further than to the file.
            if let (Some(record), None) = (&undo.record, &settings.before) {
                remove_directories(&record.created);
            }
            return Ok(format!("{path}: nothing of stopgate is left in it"));
        }
        match plan::write(&settings) {
            Ok(()) => settings.verify(&home.bin())?,
            Err(error) if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(WriteError::Changed))) => {
                continue;
            }
            Err(error) => return Err(error),
        }
        if settings.after.is_some() {
            let is_original = undo.record.as_ref().is_some_and(|record| record.restores(settings.after.as_deref()));
            let how = if is_original { "as it was before stopgate" } else { "stopgate's entries are taken out" };
            return Ok(format!("{path}: {how}"));
        }
        remove_directories(&settings.created);
        return Ok(format!("{path}: removed; it was made by stopgate"));
    }
    anyhow::bail!("{path}: somebody keeps writing this file; try again when it is at rest")
}

/// Only ours, and only if nothing was put into them.
fn remove_directories(created: &Created) {
    for dir in created.directories.iter().rev() {
        let _ = std::fs::remove_dir(dir);
    }
}

/// Takes the programs away, stops the authority, and removes the home if that was asked for. In this order: a hook
/// that fires meanwhile finds no program to start another authority with.
fn leave_home(context: &Context<'_>, is_purge: bool, report: &mut UninstallReport) {
    let home = &context.home;
    let (done, failed) = deploy::withdraw(home);
    if !is_purge {
        for line in done {
            report.did(context, line);
        }
    }
    for line in failed {
        report.failed(line);
    }
    match stop_for_good(home) {
        Ok(true) => report.did(context, "authority: stopped".to_owned()),
        Ok(false) => {}
        // A home is not removed under an authority that lives in it.
        Err(problem) => {
            report.failed(format!("authority: {problem}"));
            if is_purge {
                return report.failed(format!("{}: not removed, because of the authority", home.root().display()));
            }
        }
    }
    if is_purge {
        match home::purge(home) {
            Ok(()) => report.did(context, format!("{}: removed", home.root().display())),
            Err(error) => report.failed(format!("{error:#}")),
        }
        return;
    }
    let forgotten = Ledger::read(home).and_then(|mut ledger| {
        ledger.binaries.clear();
        ledger.save(home)
    });
    if let Err(error) = forgotten {
        report.failed(format!("{error:#}"));
    }
}

/// Stops the authority, and one that a hook had started a moment before the programs went and that may not listen yet.
fn stop_for_good(home: &Home) -> Result<bool, String> {
    let mut stopped = false;
    let mut quiet = 0;
    while quiet < QUIET_LOOKS {
        if authority::of(home).stop().map_err(|error| authority::problem(&error))? {
            (stopped, quiet) = (true, 0);
        } else {
            quiet += 1;
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    Ok(stopped)
}
