//! `installer init`.

mod plan;
mod trust;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use stopgate_core::VERSION;
use stopgate_core::hook::WireSet;
use stopgate_core::session::Harness;
use stopgate_core::switch::read_mode;

use self::plan::InitPlan;
use super::apply::{self, Applied, Sets};
use super::coordination::{self, More};
use super::{Context, Where, prefix, undo_arguments};
use crate::commands::migrate::steps::{keep_older_database, schema};
use crate::deploy::{self, Change, Program};
use crate::exit::{ExitStatus, Refusal};
use crate::ledger::{Ledger, Lock};
use crate::live_check::{self, LiveCheck};
use crate::printer::{self, Consent, Tone, columns};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::locate::{Location, Scope};
use crate::wiring::Entry;
use crate::{authority, codex, dialect, home, leftovers, provenance, shell, version};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not try the hooks afterwards
    #[arg(long)]
    no_live_check: bool,
    /// With what is off as installed: the fence before each write, for sessions that share a working tree
    #[arg(long, value_enum, value_name = "SET")]
    with: Option<More>,
    /// Codex: let it trust the hooks, too; without it Codex asks you, and `codex exec` skips them silently
    #[arg(long)]
    trust: bool,
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct InitReport<'a> {
    command: &'static str,
    outcome: InitOutcome,
    exit_code: u8,
    harness: Harness,
    scope: Scope,
    settings: &'a Path,
    settings_change: &'static str,
    diff: String,
    home: &'a Path,
    programs: Vec<Program>,
    warnings: &'a [String],
    backup: Option<PathBuf>,
    authority: Option<authority::AuthorityState>,
    live_check: Option<LiveCheck>,
    /// Whether Codex runs the hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<trust::TrustReport>,
    problems: Vec<String>,
    next: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum InitOutcome {
    DryRun,
    NoConsent,
    AlreadyInstalled,
    Installed,
}

impl<'a> InitReport<'a> {
    fn of(plan: &'a InitPlan) -> Self {
        Self {
            command: "init",
            outcome: InitOutcome::Installed,
            exit_code: 0,
            harness: plan.wiring.harness(),
            scope: plan.settings.location.scope,
            settings: &plan.settings.location.path,
            settings_change: plan.settings.verb(),
            diff: plan.settings.diff(),
            home: plan.home.root(),
            programs: plan.programs.clone(),
            warnings: &plan.warnings,
            backup: None,
            authority: None,
            live_check: None,
            trust: None,
            problems: Vec::new(),
            next: Vec::new(),
        }
    }

    fn end_with_problems(self, context: &Context<'_>, outcome: InitOutcome) -> Result<ExitStatus> {
        for problem in &self.problems {
            printer::note(format!("problem: {problem}"));
        }
        let status = if self.problems.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
        self.end(context, outcome, status)
    }

    fn end(mut self, context: &Context<'_>, outcome: InitOutcome, status: ExitStatus) -> Result<ExitStatus> {
        self.outcome = outcome;
        self.exit_code = status.code();
        context.printer.object(&self)?;
        Ok(status)
    }
}

/// Installs.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let printer = context.printer;
    let location = context.locate(&arguments.place)?;
    if arguments.trust && !dialect::of(location.harness).asks_for_trust() {
        let product = location.harness.spec().product;
        return Err(Refusal(format!("--trust goes with --harness codex: {product} asks for no trust in hooks")).into());
    }
    refuse_absent(context, &location)?;
    let exe =
        std::env::current_exe().and_then(|exe| exe.canonicalize()).context("cannot tell where the installer is")?;
    let source = exe.parent().context("the installer is in no directory")?;
    if !arguments.dry_run {
        context.give_back_leftovers(&location.path);
    }
    let sets = arguments.with.map_or(Sets::AsKnown, |more| Sets::With(more.into()));
    let plan = InitPlan::make(context.environment, &context.home, source, location, sets)?;
    if !arguments.dry_run {
        provenance::check(context, source, &Ledger::read(&context.home)?, &plan.programs)?;
    }
    let mut report = InitReport::of(&plan);

    let (harness, scope) = (plan.wiring.harness(), plan.settings.location.scope.name());
    printer.line(printer.toned(Tone::Heading, &format!("stopgate for {}, {scope} scope", harness.spec().product)));
    printer.diff(&plan.preview());
    for warning in &plan.warnings {
        printer::note(format!("warning: {warning}"));
    }
    if arguments.trust {
        let config = plan.account.file(codex::CONFIG);
        printer.line(format!("  trust   these hooks, and no other, in {} (Codex writes it)", config.display()));
    }
    if arguments.dry_run {
        printer.line("");
        printer.line("Dry run: nothing was written.");
        return report.end(context, InitOutcome::DryRun, ExitStatus::Success);
    }
    printer.line("");
    let consent = if plan.is_noop() && !arguments.yes && !arguments.trust {
        None
    } else {
        Some(printer::consent("Write this?", arguments.yes))
    };
    match consent {
        Some(Consent::Given) => {}
        Some(Consent::Declined) => {
            printer.line("Nothing was written.");
            return report.end(context, InitOutcome::NoConsent, ExitStatus::Refused);
        }
        Some(Consent::NobodyThere) => {
            printer::note("Nothing was written: there is no terminal to ask on. Run this again with --yes.");
            return report.end(context, InitOutcome::NoConsent, ExitStatus::Refused);
        }
        None => {
            printer.line("Installed already; nothing to write. `--yes` repeats the live check.");
            report.problems.extend(plan.settings.ignored());
            return report.end_with_problems(context, InitOutcome::AlreadyInstalled);
        }
    }

    plan.home.create().with_context(|| format!("cannot create {}", plan.home.root().display()))?;
    let lock = Lock::take(&plan.home)?;
    let written = carry_out(&plan, sets)?;
    let outcome = if written.is_something { InitOutcome::Installed } else { InitOutcome::AlreadyInstalled };
    report.settings_change = written.verb;
    report.programs = written.programs;
    match (outcome, &written.backup) {
        (InitOutcome::AlreadyInstalled, _) => printer.line("Installed already; nothing was written."),
        (_, Some(backup)) => printer.line(format!("Written. The file as it was: {}", backup.display())),
        (_, None) => printer.line("Written."),
    }
    report.backup = written.backup;

    let switched_off = if dialect::of(harness).asks_for_trust() {
        let trust = trust::see_to(context, &plan, arguments.trust);
        report.problems.extend(trust.problem.clone());
        report.trust.insert(trust).switched_off.clone()
    } else {
        let projects: Vec<PathBuf> = plan.settings.location.project.iter().cloned().collect();
        dialect::of(harness).switched_off(std::slice::from_ref(&plan.account), &projects, plan.wiring.bin())
    };
    let state = authority::ensure(context.environment, &plan.home);
    drop(lock);
    match &state {
        authority::AuthorityState::Running { version, pid, .. } => {
            printer.line(format!("Authority {version} is running (pid {pid})."));
        }
        authority::AuthorityState::NotStarted { reason } => printer.line(format!("Authority not started: {reason}.")),
        authority::AuthorityState::Failed { problem } => report.problems.push(format!("authority: {problem}")),
    }
    if !arguments.no_live_check {
        let check = try_hooks(context, &plan, &state)?;
        if let Some(ignored) = &written.ignored {
            printer.line(printer.toned(Tone::Bad, &format!("  PROBLEM: {ignored}")));
        }
        if check.has_problem() {
            report.problems.push("live check: not everything works".to_owned());
        }
        report.live_check = Some(check);
    }
    report.problems.extend(written.ignored);
    for one in &switched_off {
        report.problems.push(format!("{}: {}; {}", one.place, one.what(), one.fix()));
    }
    report.authority = Some(state);
    report.next = next_steps(context, &plan);
    printer.heading("what next");
    for line in &report.next {
        printer.line(format!("  {line}"));
    }
    report.end_with_problems(context, outcome)
}

/// Only a harness that is here gets files: an empty configuration directory would look like a used one.
fn refuse_absent(context: &Context<'_>, location: &Location) -> Result<(), Refusal> {
    let is_there = location.scope != Scope::User
        || dialect::of(location.harness).is_here(context.environment)
        || location.path.parent().is_some_and(Path::is_dir);
    if is_there {
        return Ok(());
    }
    let dir = location.path.parent().unwrap_or(&location.path).display();
    let spec = location.harness.spec();
    Err(Refusal(format!(
        "{} is not here: there is neither a program `{}` on the search path nor a directory {dir}; install it first",
        spec.product, spec.command
    )))
}

/// What came of writing.
struct Written {
    is_something: bool,
    programs: Vec<Program>,
    backup: Option<PathBuf>,
    verb: &'static str,
    /// What keeps Claude Code from reading the file.
    ignored: Option<String>,
}

/// Writes: programs first, then the ledger, then the settings that call the programs, so that an interruption leaves
/// nothing registered that is not there, and nothing written that is not in the ledger. Call it under the lock.
fn carry_out(plan: &InitPlan, sets: Sets) -> Result<Written> {
    let mut is_something = home::create(&plan.home)?;
    is_something |= !leftovers::remove(&plan.leftovers).is_empty();
    let mut ledger = Ledger::read(&plan.home)?;
    let mut programs = plan.programs.clone();
    // The new programs bring the database up to date when they next start.
    // What is no database is none to keep; the live check tells of it.
    if schema(&plan.home.database()).is_ok() {
        keep_older_database(&plan.home)?;
    }
    ledger.binaries = deploy::carry_out(&mut programs, &ledger.binaries)?;
    is_something |= programs.iter().any(|program| program.change != Change::Unchanged);
    ledger.save(&plan.home)?;
    // A harness would start them as little as this program can, and say nothing.
    deploy::try_start(&plan.home).with_context(|| {
        let settings = plan.settings.location.path.display();
        format!("nothing is registered in {settings}; {}", home::ELSEWHERE)
    })?;
    let was_registered = coordination::is_registered(&ledger);
    // Whoever runs `init` wants all of it, also what was taken out once.
    let applied = apply::bring(&plan.home, &mut ledger, &plan.settings.location, sets, &|_| Ok(Vec::new()))?;
    if sets == Sets::With(WireSet::Coordination) {
        coordination::switch_on(&plan.home, was_registered)?;
    }
    if ledger.installs.iter().all(|install| install.version == VERSION) {
        version::mark(&plan.home, &mut ledger)?;
    }
    is_something |= applied.is_something();
    let Applied { backup, verb, ignored, .. } = applied;
    Ok(Written { is_something, programs, backup, verb, ignored })
}

/// The live check, printed as it goes.
fn try_hooks(context: &Context<'_>, plan: &InitPlan, state: &authority::AuthorityState) -> Result<LiveCheck> {
    let printer = context.printer;
    let entries = registered(plan)?;
    let scratch = tempfile::tempdir().context("no temporary directory for the live check")?;
    let cwd = plan.settings.location.project.as_deref().unwrap_or(scratch.path());
    let harness = plan.wiring.harness();
    let runs = harness.spec().product;
    printer.heading(&format!("live check: every registered command line, run as {runs} runs it"));
    let hooks = live_check::probe(context.environment, harness, &entries, cwd);
    live_check::print_table(printer, &hooks, plan.wiring.bin());
    let stop = live_check::stop::show(context.environment, &plan.home, harness, &entries, state);
    printer.heading("one stop attempt, with an unfinished plan in the repository");
    for line in stop.lines() {
        let line = if stop.is_problem() { printer.toned(Tone::Bad, &line) } else { line };
        printer.line(format!("  {line}"));
    }
    Ok(LiveCheck { hooks, stop })
}

/// Our entries as they stand in the file now.
fn registered(plan: &InitPlan) -> Result<Vec<Entry>> {
    let bytes = plan.settings.target.read()?.unwrap_or_default();
    let entries = Document::parse(&bytes).and_then(|document| edit::registered(&document, plan.wiring.bin()))?;
    // All of them may be written in other words.
    let is_well = !entries.is_empty() || plan.settings.entries.is_empty();
    anyhow::ensure!(is_well, "{}: stopgate's entries are gone again", plan.settings.target.file.display());
    Ok(entries)
}

fn next_steps(context: &Context<'_>, plan: &InitPlan) -> Vec<String> {
    let bin = plan.home.bin();
    let quoted = |path: &Path| shell::word(&path.display().to_string());
    let program = |name: &str| quoted(&bin.join(name));
    let undo = undo_arguments(&plan.settings.location);
    let prefix = prefix(context.environment, &plan.settings.location);
    let mode = read_mode(&plan.home).mode();
    let rows = [
        ["see what is going on:", &format!("{} status", program("stopgate"))],
        ["see every judged stop:", &format!("{} gate log", program("stopgate"))],
        ["let it act:", &format!("{} mode enforce  (now {}: {})", program("stopgate"), mode.name(), mode.meaning())],
        [
            "turn it off:",
            &format!(
                "{} kill on, or take it back: {prefix}{} uninstall{undo}",
                program("stopgate"),
                program("installer")
            ),
        ],
    ];
    columns(&rows.map(|row| row.map(str::to_owned).to_vec()))
}

#[cfg(test)]
mod tests;
