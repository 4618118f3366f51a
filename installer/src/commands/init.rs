//! `installer init`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::paths::Home;
use stopgate_core::switch::read_mode;

use super::{Context, Where};
use crate::deploy::{self, Change, Program};
use crate::exit::ExitStatus;
use crate::ledger::{Ledger, Lock};
use crate::live_check::{self, LiveCheck};
use crate::printer::{self, Consent, Tone, columns};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::locate::{Location, Scope};
use crate::settings::plan::{self, SettingsPlan};
use crate::settings::write::WriteError;
use crate::wiring::{Entry, Wiring};
use crate::{authority, home};

/// How often the plan is made anew when somebody keeps writing the file.
const MAX_ATTEMPTS: usize = 5;

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
}

/// All that `init` would do: made once, then previewed, agreed to, carried out and reported.
#[derive(Debug)]
pub(crate) struct Plan {
    home: Home,
    is_home_new: bool,
    wiring: Wiring,
    programs: Vec<Program>,
    settings: SettingsPlan,
}

impl Plan {
    fn make(home: &Home, source: &std::path::Path, location: Location) -> Result<Self> {
        home::check(home)?;
        let wiring = Wiring::claude(&home.bin())?;
        let ledger = Ledger::read(home)?;
        let settings = SettingsPlan::install(location.clone(), &wiring, ledger.of(&location))?;
        let programs = deploy::plan(source, home)?;
        Ok(Self { home: home.clone(), is_home_new: !home::is_marked(home), wiring, programs, settings })
    }

    fn is_noop(&self) -> bool {
        !self.is_home_new
            && self.settings.is_noop()
            && self.programs.iter().all(|program| program.change == Change::Unchanged)
    }

    /// The plan for people: every path it touches, and the change of the settings.
    fn preview(&self) -> String {
        let verb = self.settings.verb();
        let mut rows = vec![
            vec![if self.is_home_new { "create" } else { "keep" }.to_owned(), self.home.root().display().to_string()],
            vec![verb.to_owned(), self.settings.location.path.display().to_string()],
        ];
        if self.settings.target.file != self.settings.location.path {
            rows.push(vec![String::new(), format!("  -> {}", self.settings.target.file.display())]);
        }
        let programs = self.programs.iter();
        rows.extend(programs.map(|program| vec![program.change.word().to_owned(), program.path.display().to_string()]));
        let mut lines: Vec<_> = columns(&rows).iter().map(|row| format!("  {row}")).collect();
        let diff = self.settings.diff();
        if !diff.is_empty() {
            lines.push(String::new());
        }
        lines.extend(diff.lines().map(str::to_owned));
        lines.join("\n")
    }
}

/// The report for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    command: &'static str,
    outcome: Outcome,
    exit_code: u8,
    scope: Scope,
    settings: &'a std::path::Path,
    settings_change: &'static str,
    diff: String,
    home: &'a std::path::Path,
    programs: &'a [Program],
    warnings: &'a [String],
    backup: Option<PathBuf>,
    authority: Option<authority::State>,
    live_check: Option<LiveCheck>,
    problems: Vec<String>,
    next: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    DryRun,
    NoConsent,
    AlreadyInstalled,
    Installed,
}

impl<'a> Report<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            command: "init",
            outcome: Outcome::Installed,
            exit_code: 0,
            scope: plan.settings.location.scope,
            settings: &plan.settings.location.path,
            settings_change: plan.settings.verb(),
            diff: plan.settings.diff(),
            home: plan.home.root(),
            programs: &plan.programs,
            warnings: &plan.settings.warnings,
            backup: None,
            authority: None,
            live_check: None,
            problems: Vec::new(),
            next: Vec::new(),
        }
    }

    fn end(mut self, context: &Context<'_>, outcome: Outcome, status: ExitStatus) -> Result<ExitStatus> {
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
    let exe =
        std::env::current_exe().and_then(|exe| exe.canonicalize()).context("cannot tell where the installer is")?;
    let source = exe.parent().context("the installer is in no directory")?;
    let plan = Plan::make(&context.home, source, location)?;
    let mut report = Report::of(&plan);

    let scope = plan.settings.location.scope.name();
    printer.line(printer.toned(Tone::Heading, &format!("stopgate for Claude Code, {scope} scope")));
    printer.diff(&plan.preview());
    for warning in &plan.settings.warnings {
        printer::note(format!("warning: {warning}"));
    }
    if arguments.dry_run {
        printer.line("");
        printer.line("Dry run: nothing was written.");
        return report.end(context, Outcome::DryRun, ExitStatus::Success);
    }
    printer.line("");
    let consent =
        if plan.is_noop() && !arguments.yes { None } else { Some(printer::consent("Write this?", arguments.yes)) };
    match consent {
        Some(Consent::Given) => {}
        Some(Consent::Declined) => {
            printer.line("Nothing was written.");
            return report.end(context, Outcome::NoConsent, ExitStatus::Refused);
        }
        Some(Consent::NobodyThere) => {
            printer::note("Nothing was written: there is no terminal to ask on. Run this again with --yes.");
            return report.end(context, Outcome::NoConsent, ExitStatus::Refused);
        }
        None => {
            printer.line("Installed already; nothing to write. `--yes` repeats the live check.");
            return report.end(context, Outcome::AlreadyInstalled, ExitStatus::Success);
        }
    }

    let outcome = if plan.is_noop() { Outcome::AlreadyInstalled } else { Outcome::Installed };
    let written = carry_out(&plan)?;
    report.settings_change = written.verb;
    match (outcome, &written.backup) {
        (Outcome::AlreadyInstalled, _) => printer.line("Installed already; nothing was written."),
        (_, Some(backup)) => printer.line(format!("Written. The file as it was: {}", backup.display())),
        (_, None) => printer.line("Written."),
    }
    report.backup = written.backup;

    let is_replaced = plan.programs.iter().any(|program| program.change == Change::Changed);
    let state = authority::ensure(context.environment, &plan.home, is_replaced, &|text| printer::note(text));
    match &state {
        authority::State::Running { version, pid, .. } => {
            printer.line(format!("Authority {version} is running (pid {pid})."));
        }
        authority::State::NotStarted { reason } => printer.line(format!("Authority not started: {reason}.")),
        authority::State::Failed { problem } => report.problems.push(format!("authority: {problem}")),
    }
    if !arguments.no_live_check {
        let check = try_hooks(context, &plan, &state)?;
        if check.has_problem() {
            report.problems.push("live check: not everything works".to_owned());
        }
        report.live_check = Some(check);
    }
    report.authority = Some(state);
    report.next = next_steps(&plan);
    printer.heading("what next");
    for line in &report.next {
        printer.line(format!("  {line}"));
    }
    for problem in &report.problems {
        printer::note(format!("problem: {problem}"));
    }
    let status = if report.problems.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
    report.end(context, outcome, status)
}

/// What came of writing.
struct Written {
    backup: Option<PathBuf>,
    verb: &'static str,
}

/// Writes: programs first, then the ledger, then the settings that call the programs, so that an interruption leaves
/// nothing registered that is not there, and nothing written that is not in the ledger.
fn carry_out(plan: &Plan) -> Result<Written> {
    home::create(&plan.home)?;
    let _lock = Lock::take(&plan.home)?;
    let mut ledger = Ledger::read(&plan.home)?;
    ledger.binaries = deploy::carry_out(&plan.programs, &ledger.binaries)?;
    ledger.save(&plan.home)?;
    for _ in 0..MAX_ATTEMPTS {
        let now = SystemClock.now_ms();
        let old = ledger.of(&plan.settings.location);
        // The file is read again under the lock: what is written rests on what is there now, not on the preview.
        let settings = SettingsPlan::install(plan.settings.location.clone(), &plan.wiring, old)?;
        let backup = settings.backup(&plan.home, now)?;
        let mut next = ledger.clone();
        if !settings.is_noop() || old.is_none() {
            next.put(settings.record(old, backup.clone(), now));
            next.save(&plan.home)?;
        }
        if settings.is_noop() {
            return Ok(Written { backup: None, verb: settings.verb() });
        }
        match plan::write(&settings) {
            Ok(()) => {
                settings.verify(plan.wiring.bin())?;
                return Ok(Written { backup, verb: settings.verb() });
            }
            Err(error) => {
                ledger.save(&plan.home)?;
                if !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(WriteError::Changed))) {
                    return Err(error);
                }
                printer::note("the settings file was changed meanwhile; planning anew");
            }
        }
    }
    let file = plan.settings.target.file.display();
    anyhow::bail!("{file}: somebody keeps writing this file; try again when it is at rest")
}

/// The live check, printed as it goes.
fn try_hooks(context: &Context<'_>, plan: &Plan, state: &authority::State) -> Result<LiveCheck> {
    let printer = context.printer;
    let entries = registered(plan)?;
    let scratch = tempfile::tempdir().context("no temporary directory for the live check")?;
    let cwd = plan.settings.location.project.as_deref().unwrap_or(scratch.path());
    printer.heading("live check: every registered command line, run as Claude Code runs it");
    let hooks = live_check::probe(context.environment, &entries, cwd);
    live_check::print_table(printer, &hooks);
    let stop = live_check::stop::show(context.environment, &plan.home, &entries, state);
    printer.heading("one stop attempt, with an unfinished plan in the repository");
    for line in stop.lines() {
        let line = if stop.is_problem() { printer.toned(Tone::Bad, &line) } else { line };
        printer.line(format!("  {line}"));
    }
    Ok(LiveCheck { hooks, stop })
}

/// Our entries as they stand in the file now.
fn registered(plan: &Plan) -> Result<Vec<Entry>> {
    let bytes = plan.settings.target.read()?.unwrap_or_default();
    let entries = Document::parse(&bytes).and_then(|document| edit::registered(&document, plan.wiring.bin()))?;
    anyhow::ensure!(!entries.is_empty(), "{}: stopgate's entries are gone again", plan.settings.target.file.display());
    Ok(entries)
}

fn next_steps(plan: &Plan) -> Vec<String> {
    let bin = plan.home.bin();
    let program = |name: &str| quoted(&bin.join(name));
    let undo = match &plan.settings.location.project {
        Some(project) => format!(" --project {}", quoted(project)),
        None => String::new(),
    };
    let mode = read_mode(&plan.home).mode();
    let rows = [
        ["see what is going on:", &format!("{} status", program("stopgate"))],
        ["see every judged stop:", &format!("{} gate log", program("stopgate"))],
        ["let it act:", &format!("{} mode enforce  (now {}: {})", program("stopgate"), mode.name(), mode.meaning())],
        [
            "turn it off:",
            &format!("{} kill on, or take it back: {} uninstall{undo}", program("stopgate"), program("installer")),
        ],
    ];
    columns(&rows.map(|row| row.map(str::to_owned).to_vec()))
}

/// `path` as a shell would need it.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |symbol: char| symbol.is_ascii_alphanumeric() || "/._-+@%:=".contains(symbol);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
