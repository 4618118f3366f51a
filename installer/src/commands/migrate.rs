//! `installer migrate`: run by the new program after an update, it brings everything that an older one made up to date.
//!
//! Every step looks first and does only what is missing, so that it may be interrupted anywhere and run again. Only
//! when no step has failed is the version written down; until then each run tries again.

pub(crate) mod steps;

pub(crate) use steps::{refused, schema};

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use stopgate_core::{VERSION, fsx};
use stopgate_protocol::version::is_newer;

use super::Context;
use crate::exit::{ExitStatus, Refusal};
use crate::guide::deliver::{self, Guide};
use crate::ledger::{Ledger, Lock};
use crate::printer::{self, Tone, columns};
use crate::{home, operator, version};

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Say nothing unless something failed; used by the session-start hook
    #[arg(long)]
    quiet: bool,
    /// Note that you have read the upgrade guides that were shown
    #[arg(long)]
    acknowledge: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MigrateOutcome {
    Changed,
    Unchanged,
    /// Not done, for a reason that is no failure.
    Skipped,
    Failed,
}

impl MigrateOutcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One step, or one file of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// What kind.
    #[serde(rename = "step")]
    pub(crate) kind: &'static str,
    /// What it was about.
    pub(crate) subject: String,
    /// What came of it.
    pub(crate) outcome: MigrateOutcome,
    /// Why, or what exactly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl Step {
    /// A step without more to say.
    pub(crate) fn of(kind: &'static str, subject: impl Into<String>, outcome: MigrateOutcome) -> Self {
        Self { kind, subject: subject.into(), outcome, detail: None }
    }

    /// The same with a reason.
    #[must_use]
    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

#[derive(Debug, Serialize)]
struct MigrateReport {
    command: &'static str,
    from: Option<String>,
    to: &'static str,
    exit_code: u8,
    steps: Vec<Step>,
    guides: Vec<Guide>,
}

/// Migrates.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let home = &context.home;
    if !home::is_marked(home) {
        let root = home.root().display();
        return Err(Refusal(format!("{root}: stopgate is not installed there; run `installer init`")).into());
    }
    // To bring everything up to date only repairs, and is everybody's: a session's start does it. That a person has read
    // something is the person's to say.
    if arguments.acknowledge {
        operator::only(context, "installer migrate --acknowledge")?;
    }
    if arguments.quiet {
        // A harness may end the process group of the hook that started this.
        let _ = rustix::process::setsid();
    }
    let Some(_lock) = (if arguments.quiet { Lock::try_take(home)? } else { Some(Lock::take(home)?) }) else {
        // Whoever is at work does the same.
        return Ok(ExitStatus::Success);
    };
    let mut ledger = Ledger::read(home)?;
    if arguments.acknowledge {
        return acknowledge(context, &mut ledger);
    }
    let report = migrate(context, &mut ledger)?;
    show(context, arguments.quiet, &report);
    context.printer.object(&report)?;
    Ok(if report.exit_code == 0 { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Migrates without a word; what was done.
pub(crate) fn bring(context: &Context<'_>) -> Result<Vec<Step>> {
    let _lock = Lock::take(&context.home)?;
    let mut ledger = Ledger::read(&context.home)?;
    Ok(migrate(context, &mut ledger)?.steps)
}

/// Call it under the lock.
fn migrate(context: &Context<'_>, ledger: &mut Ledger) -> Result<MigrateReport> {
    let home = &context.home;
    let from = ledger.version.clone();
    if let Some(newer) = from.as_deref().filter(|version| is_newer(version, VERSION)) {
        let way = version::way_back(home);
        return Err(Refusal(format!(
            "{} was brought to version {newer}, and this is the installer of {VERSION}: it may not undo what it does not \
             know; {way}",
            home.root().display()
        ))
        .into());
    }
    let exe =
        std::env::current_exe().and_then(|exe| exe.canonicalize()).context("cannot tell where the installer is")?;
    let source = exe.parent().unwrap_or(Path::new("/"));
    // Before the files are looked at: one may lie beside its place.
    let cleared = context.clear_leftovers(None).into_iter();
    let mut steps: Vec<_> = cleared.map(|line| Step::of("leftovers", line, MigrateOutcome::Changed)).collect();
    steps.extend(steps::run(context, source, ledger));
    let guides = match deliver::pending(home, ledger, from.as_deref()) {
        Ok(guides) => guides,
        Err(error) => {
            steps.push(Step::of("guide", "upgrade guides", MigrateOutcome::Failed).because(format!("{error:#}")));
            Vec::new()
        }
    };
    let failed = steps.iter().any(|step| step.outcome == MigrateOutcome::Failed);
    if failed {
        ledger.save(home)?;
    } else {
        version::mark(home, ledger)?;
    }
    let status = if failed { ExitStatus::Failure } else { ExitStatus::Success };
    let report = MigrateReport { command: "migrate", from, to: VERSION, exit_code: status.code(), steps, guides };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    let _ = fsx::write_atomic(&home.run().join("migrate.json"), text.as_bytes(), 0o600);
    Ok(report)
}

fn acknowledge(context: &Context<'_>, ledger: &mut Ledger) -> Result<ExitStatus> {
    let read = deliver::acknowledge(ledger);
    ledger.save(&context.home)?;
    match read.as_slice() {
        [] => context.printer.line("There is nothing to acknowledge."),
        read => context.printer.line(format!("Noted: you have read the guide of {}.", read.join(", "))),
    }
    context.printer.object(&serde_json::json!({ "command": "migrate", "acknowledged": read }))?;
    Ok(ExitStatus::Success)
}

fn show(context: &Context<'_>, quiet: bool, report: &MigrateReport) {
    let printer = context.printer;
    let shown: Vec<&Step> =
        report.steps.iter().filter(|step| !quiet || step.outcome == MigrateOutcome::Failed).collect();
    if quiet {
        for step in shown {
            let detail = step.detail.as_deref().unwrap_or_default();
            printer::note(format!("installer: migrate: {}: {}: {detail}", step.kind, step.subject));
        }
        return;
    }
    let from = report.from.as_deref().unwrap_or("a version that is not written down");
    printer.line(printer.toned(Tone::Heading, &format!("stopgate is brought from {from} to {}", report.to)));
    let row = |step: &&Step| {
        let detail = step.detail.clone().unwrap_or_default();
        vec![step.outcome.word().to_owned(), step.kind.to_owned(), step.subject.clone(), detail]
    };
    for (line, step) in columns(&shown.iter().map(row).collect::<Vec<_>>()).iter().zip(&shown) {
        let line = if step.outcome == MigrateOutcome::Failed { printer.toned(Tone::Bad, line) } else { line.clone() };
        printer.line(format!("  {line}"));
    }
    for guide in &report.guides {
        printer.heading(&format!("what is new in {}", guide.version));
        for line in guide.text.lines() {
            printer.line(format!("  {line}"));
        }
    }
    if !report.guides.is_empty() {
        printer.line("");
        printer.line("`installer migrate --acknowledge` notes that you have read this.");
    }
    if report.exit_code != 0 {
        printer::note("Something failed; what failed is tried again by the next `installer migrate`.");
    }
}
