//! `installer coordination`, which `stopgate coordination` runs: the second set of lines, put into every settings file that
//! has the first, and taken out again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use stopgate_coordination::fence::mode;
use stopgate_core::beat::{self, Beat};
use stopgate_core::clock::{Clock, SystemClock, UnixMillis};
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;
use stopgate_core::switch::{Mode, ModeReading};

use super::apply::{self, Applied, Sets};
use super::migrate::refused;
use super::{Context, prefix, undo_arguments};
use crate::account::Account;
use crate::exit::{ExitStatus, Refusal};
use crate::ledger::{Install, Ledger, Lock, Refused};
use crate::printer::{self, Consent, Tone, columns};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::locate::{Location, Scope};
use crate::settings::plan::SettingsPlan;
use crate::settings::write::read_settings;
use crate::wiring::Wiring;
use crate::{codex, dialect, home, operator};

/// A set of lines that is off as installed, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum More {
    /// What sessions need that share a working tree
    Coordination,
}

impl From<More> for WireSet {
    fn from(more: More) -> Self {
        match more {
            More::Coordination => Self::Coordination,
        }
    }
}

/// Arguments of `coordination`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Register the fence in every settings file that has stopgate's hooks, and turn it on in shadow
    Enable {
        #[command(flatten)]
        how: How,
        /// Codex: let it trust the new line, too; without it Codex asks you, and `codex exec` skips it silently
        #[arg(long)]
        trust: bool,
    },
    /// Take exactly that back
    Disable {
        #[command(flatten)]
        how: How,
    },
    /// Say where it is registered, what the fence may do, and when it last fired
    Status {
        /// Print one JSON object instead of text
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct How {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    match arguments.command {
        Command::Enable { how, trust } => Change { is_on: true, how, trust }.make(context),
        Command::Disable { how } => Change { is_on: false, how, trust: false }.make(context),
        Command::Status { .. } => status(context),
    }
}

/// Whether a settings file has the fence's line, as far as `ledger` knows.
pub(crate) fn is_registered(ledger: &Ledger) -> bool {
    ledger.installs.iter().any(|install| install.gone().is_none() && install.sets.contains(&WireSet::Coordination))
}

/// Turns the fence on in shadow, unless it is on. A word that was given while no file had its line (`was_registered`) was of
/// nothing: it begins in shadow.
pub(crate) fn switch_on(home: &Home, was_registered: bool) -> Result<Mode> {
    let now = mode::of(mode::read(home));
    if now != Mode::Off && was_registered || now == Mode::Shadow {
        return Ok(now);
    }
    mode::write(home, Mode::Shadow).with_context(|| format!("cannot write {}", home.fence_file().display()))?;
    Ok(Mode::Shadow)
}

fn switch_off(home: &Home) -> Result<bool> {
    match std::fs::remove_file(home.fence_file()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", home.fence_file().display())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum CoordinationOutcome {
    DryRun,
    NoConsent,
    Unchanged,
    Enabled,
    Disabled,
}

/// What is done to one settings file.
#[derive(Debug, Serialize)]
struct ChangedFile {
    harness: Harness,
    settings: PathBuf,
    change: &'static str,
    diff: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct ChangeReport {
    command: &'static str,
    outcome: CoordinationOutcome,
    exit_code: u8,
    mode: Mode,
    settings: Vec<ChangedFile>,
    problems: Vec<String>,
    next: Vec<String>,
}

impl ChangeReport {
    fn end(mut self, context: &Context<'_>, outcome: CoordinationOutcome, status: ExitStatus) -> Result<ExitStatus> {
        self.outcome = outcome;
        self.exit_code = status.code();
        self.mode = mode::of(mode::read(&context.home));
        context.printer.object(&self)?;
        Ok(status)
    }
}

/// Enabling, or its undoing.
struct Change {
    is_on: bool,
    how: How,
    trust: bool,
}

impl Change {
    const fn name(&self) -> &'static str {
        if self.is_on { "coordination enable" } else { "coordination disable" }
    }

    const fn sets(&self) -> Sets {
        if self.is_on { Sets::With(WireSet::Coordination) } else { Sets::Without(WireSet::Coordination) }
    }

    /// What a person took out of a file stays out, but for what they turn on now.
    fn refused(location: &Location, bin: &Path, old: Option<&Install>) -> Result<Vec<Refused>> {
        let Some(old) = old else { return Ok(Vec::new()) };
        let of_base = |one: &Refused| Hook::ALL.into_iter().any(|hook| hook.name() == one.hook && hook.set().is_base());
        Ok(refused(location, bin, old)?.into_iter().filter(of_base).collect())
    }

    fn plan(&self, context: &Context<'_>, install: &Install) -> Result<SettingsPlan> {
        let (home, location) = (&context.home, install.location());
        let refused = Self::refused(&location, &home.bin(), Some(install))?;
        let wiring = Wiring::of_home(location.harness, home, &self.sets().of(Some(install)))?
            .without(|event, hook| refused.iter().any(|one| one.event == event && one.hook == hook.name()));
        SettingsPlan::install(location, &wiring, Some(install))
    }

    fn make(&self, context: &Context<'_>) -> Result<ExitStatus> {
        let (home, printer) = (&context.home, context.printer);
        if !home::is_marked(home) {
            let root = home.root().display();
            return Err(Refusal(format!("{root}: stopgate is not installed there; run `installer init`")).into());
        }
        let ledger = Ledger::read(home)?;
        let installs: Vec<Install> =
            ledger.installs.iter().filter(|install| install.gone().is_none()).cloned().collect();
        if installs.is_empty() && self.is_on {
            return Err(Refusal(
                "no settings file has stopgate's hooks: run `installer init --with coordination` (--harness codex for \
                 Codex); for a plugin, make it anew with `installer plugin build DIR --with coordination`"
                    .to_owned(),
            )
            .into());
        }
        let plans = installs.iter().map(|install| self.plan(context, install)).collect::<Result<Vec<_>>>()?;
        let mut report = ChangeReport {
            command: self.name(),
            outcome: CoordinationOutcome::Unchanged,
            exit_code: 0,
            mode: Mode::Off,
            settings: Vec::new(),
            problems: Vec::new(),
            next: Vec::new(),
        };
        printer.line(printer.toned(Tone::Heading, &format!("stopgate {}", self.name())));
        let mut is_noop = true;
        for (plan, install) in plans.iter().zip(&installs) {
            is_noop &= plan.is_noop() && install.sets == self.sets().of(Some(install));
            printer.line(format!("  {}  {}", plan.verb(), plan.location.path.display()));
            printer.diff(&plan.diff());
            for warning in &plan.warnings {
                printer::note(format!("warning: {warning}"));
            }
            report.settings.push(ChangedFile {
                harness: plan.location.harness,
                settings: plan.location.path.clone(),
                change: plan.verb(),
                diff: plan.diff(),
                backup: None,
            });
        }
        let (before, reading) = (mode::of(mode::read(home)), mode::read(home));
        is_noop &= if self.is_on { before != Mode::Off } else { reading == ModeReading::Default };
        let switch = home.fence_file();
        match (self.is_on, before) {
            (true, before) if before == Mode::Off || before == Mode::Enforce && !is_registered(&ledger) => {
                printer.line(format!("  write  {}: shadow", switch.display()));
            }
            (false, _) if reading != ModeReading::Default => printer.line(format!("  remove  {}", switch.display())),
            _ => {}
        }
        printer.line("");
        if self.how.dry_run {
            printer.line("Dry run: nothing was written.");
            return report.end(context, CoordinationOutcome::DryRun, ExitStatus::Success);
        }
        if is_noop && !self.trust {
            let state = if self.is_on { "on" } else { "off" };
            printer.line(format!("Coordination is {state} already; nothing to write."));
            return report.end(context, CoordinationOutcome::Unchanged, ExitStatus::Success);
        }
        match printer::consent("Write this?", self.how.yes) {
            Consent::Given => {}
            Consent::Declined => {
                printer.line("Nothing was written.");
                return report.end(context, CoordinationOutcome::NoConsent, ExitStatus::Refused);
            }
            Consent::NobodyThere => {
                printer::note("Nothing was written: there is no terminal to ask on. Run this again with --yes.");
                return report.end(context, CoordinationOutcome::NoConsent, ExitStatus::Refused);
            }
        }
        operator::only(context, &format!("stopgate {}", self.name()))?;
        self.carry_out(context, &installs, &mut report)?;
        report.next = self.next(context, &installs);
        if !report.next.is_empty() {
            printer.heading("what next");
            for line in &report.next {
                printer.line(format!("  {line}"));
            }
        }
        for problem in &report.problems {
            printer::note(format!("problem: {problem}"));
        }
        let status = if report.problems.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
        let outcome = if self.is_on { CoordinationOutcome::Enabled } else { CoordinationOutcome::Disabled };
        report.end(context, outcome, status)
    }

    /// The switch goes off first and on last: no line calls a fence that is on without its word being there.
    fn carry_out(&self, context: &Context<'_>, installs: &[Install], report: &mut ChangeReport) -> Result<()> {
        let (home, printer) = (&context.home, context.printer);
        let _lock = Lock::take(home)?;
        let mut ledger = Ledger::read(home)?;
        let was_registered = is_registered(&ledger);
        if !self.is_on {
            switch_off(home)?;
        }
        report.settings.clear();
        for install in installs {
            let location = install.location();
            let shown = location.path.display();
            if !self.is_on
                && let Err(error) = withdraw_trust(home, &mut ledger, &location)
            {
                report.problems.push(format!("{error:#}"));
                continue;
            }
            let bin = home.bin();
            let refused = |old: Option<&Install>| Self::refused(&location, &bin, old);
            match apply::bring(home, &mut ledger, &location, self.sets(), &refused) {
                Ok(Applied { verb, backup, diff, ignored, .. }) => {
                    match &backup {
                        Some(backup) => printer.line(format!("Written: {shown}. As it was: {}", backup.display())),
                        None => printer.line(format!("Unchanged: {shown}.")),
                    }
                    report.problems.extend(ignored);
                    let (harness, settings) = (location.harness, location.path.clone());
                    report.settings.push(ChangedFile { harness, settings, change: verb, diff, backup });
                }
                Err(error) => report.problems.push(format!("{error:#}")),
            }
            if self.trust && dialect::of(location.harness).asks_for_trust() {
                let now = SystemClock.now_ms();
                let trusted = Account::of(context.environment, &location)
                    .map_err(anyhow::Error::from)
                    .and_then(|account| codex::trust(context.environment, home, &mut ledger, &account, &location, now))
                    .and_then(|trusted| if trusted.is_written { ledger.save(home) } else { Ok(()) });
                if let Err(error) = trusted {
                    report.problems.push(format!("trust: {error:#}"));
                }
            }
        }
        if self.is_on && report.problems.is_empty() {
            switch_on(home, was_registered)?;
        }
        Ok(())
    }

    fn next(&self, context: &Context<'_>, installs: &[Install]) -> Vec<String> {
        let mut next = Vec::new();
        let of = |asks: bool| installs.iter().filter(move |one| dialect::of(one.harness).asks_for_trust() == asks);
        if of(false).next().is_some() {
            next.push("Claude Code has it within a second, also in sessions that run".to_owned());
        }
        if self.is_on && !self.trust {
            for install in of(true) {
                let location = install.location();
                let again = format!(
                    "{}installer init{} --trust",
                    prefix(context.environment, &location),
                    undo_arguments(&location)
                );
                next.push(format!(
                    "Codex skips the new line in {} until you trust it, at its next start or by `{again}`",
                    location.path.display()
                ));
            }
        } else if of(true).next().is_some() {
            next.push("Codex reads its hooks when it starts".to_owned());
        }
        if self.is_on {
            next.push("it is in shadow: it records what it would refuse, and refuses nothing".to_owned());
            next.push(
                "see what it would have done: stopgate fence report; let it act: stopgate fence enforce".to_owned(),
            );
        }
        next
    }
}

/// Takes back the trust in the second set's lines, and in no other.
fn withdraw_trust(home: &Home, ledger: &mut Ledger, location: &Location) -> Result<()> {
    let Some(install) = ledger.of(location) else { return Ok(()) };
    let records = install.trust.clone();
    for record in records {
        // `<file>:<event>:<group>:<line>`
        let is_of_set = |key: &&String| key.rsplit(':').nth(2) == Some("pre_tool_use");
        let keys: Vec<String> = record.keys.iter().filter(is_of_set).cloned().collect();
        if keys.is_empty() {
            continue;
        }
        let mut others: Vec<_> = ledger.trust_of_others(&location.path, &record.config).collect();
        let after = codex::config::take_out(&record.config, &keys, &record.sha256_after, &mut others)?;
        let install = ledger.installs.iter_mut().find(|install| install.settings == location.path);
        let own = install.and_then(|install| install.trust.iter_mut().find(|own| own.config == record.config));
        if let Some(own) = own {
            own.keys.retain(|key| !keys.contains(key));
            if let Some(after) = after {
                own.sha256_after = after;
            }
        }
        ledger.save(home)?;
    }
    Ok(())
}

/// How the second set stands in one settings file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Registration {
    /// As it was written.
    Registered,
    /// The ledger knows it, and it is not there as it was written.
    Broken,
    /// It is not there.
    NotRegistered,
    /// The place is gone.
    Gone,
}

#[derive(Debug, Serialize)]
struct FileStatus {
    harness: Harness,
    scope: Scope,
    settings: PathBuf,
    state: Registration,
}

#[derive(Debug, Serialize)]
struct StatusReport {
    command: &'static str,
    enabled: bool,
    mode: Mode,
    mode_is_readable: bool,
    settings: Vec<FileStatus>,
    fired_at_ms: Option<UnixMillis>,
    delivered_at_ms: Option<UnixMillis>,
    failed_at_ms: Option<UnixMillis>,
}

fn registration(home: &Home, install: &Install) -> Registration {
    if install.gone().is_some() {
        return Registration::Gone;
    }
    let is_known = install.sets.contains(&WireSet::Coordination);
    let bin = home.bin();
    let there = read_settings(&install.settings).ok().flatten().and_then(|bytes| {
        let document = Document::parse(&bytes).ok()?;
        edit::registered(&document, &bin).ok()
    });
    let there = there.unwrap_or_default();
    let wanted = Wiring::with(install.harness, &bin, &[WireSet::Coordination]).ok();
    let lines: Vec<_> = wanted
        .iter()
        .flat_map(Wiring::entries)
        .filter(|(hook, _)| !hook.set().is_base())
        .map(|(_, entry)| entry)
        .collect();
    match (lines.iter().all(|line| there.contains(line)), is_known) {
        (true, _) => Registration::Registered,
        (false, true) => Registration::Broken,
        (false, false) => Registration::NotRegistered,
    }
}

fn status(context: &Context<'_>) -> Result<ExitStatus> {
    let (home, printer) = (&context.home, context.printer);
    let ledger = Ledger::read(home)?;
    let last = |beat| beat::last(home, Hook::WriteFence.name(), beat);
    let reading = mode::read(home);
    let settings: Vec<FileStatus> = ledger
        .installs
        .iter()
        .map(|install| FileStatus {
            harness: install.harness,
            scope: install.scope,
            settings: install.settings.clone(),
            state: registration(home, install),
        })
        .collect();
    let report = StatusReport {
        command: "coordination status",
        enabled: settings.iter().any(|one| one.state == Registration::Registered),
        mode: mode::of(reading),
        mode_is_readable: reading != ModeReading::Unreadable,
        settings,
        fired_at_ms: last(Beat::Fired),
        delivered_at_ms: last(Beat::Delivered),
        failed_at_ms: last(Beat::Failed),
    };
    let mode = report.mode;
    printer
        .line(format!("coordination  {}", if report.enabled { "on" } else { "off (`stopgate coordination enable`)" }));
    let unreadable = if report.mode_is_readable { "" } else { " (its file is not understood)" };
    printer.line(format!("fence         {}{unreadable}: {}", mode.name(), mode::meaning(mode)));
    let row = |one: &FileStatus| {
        let state = match one.state {
            Registration::Registered => "registered",
            Registration::Broken => "not as it was written (`installer migrate`, `installer doctor`)",
            Registration::NotRegistered => "not registered",
            Registration::Gone => "gone",
        };
        vec![one.harness.to_string(), one.settings.display().to_string(), state.to_owned()]
    };
    for line in columns(&report.settings.iter().map(row).collect::<Vec<_>>()) {
        printer.line(format!("  {line}"));
    }
    let seconds = |at: UnixMillis| (SystemClock.now_ms() - at).max(0) / 1_000;
    for (what, at) in [("fired", report.fired_at_ms), ("failed", report.failed_at_ms)] {
        printer.line(match at {
            Some(at) => format!("last {what:<8} {} s ago", seconds(at)),
            None => format!("last {what:<8} never"),
        });
    }
    printer.object(&report)?;
    Ok(ExitStatus::Success)
}
