//! `installer restore`: a file as it was before one of our edits.

use anyhow::{Context as _, Result};
use serde::Serialize;
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::session::Harness;

use super::Context;
use crate::backup::{self, Kept};
use crate::digest::sha256;
use crate::exit::{ExitStatus, Refusal};
use crate::ledger::{Install, Ledger, Lock, Original};
use crate::printer::{self, Consent, columns};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::locate::{Location, Scope};
use crate::settings::plan::{SettingsPlan, write};

use super::migrate::refused;
use crate::operator;

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which backup, or the beginning of its name; without it all are listed
    id: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct RestoreReport<'a> {
    command: &'static str,
    outcome: &'static str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<&'a Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// The file as it was before it was restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<std::path::PathBuf>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    backups: &'a [Kept],
}

/// Lists the backups, or restores one.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let backups = backup::list(&context.home)?;
    let Some(id) = &arguments.id else { return list(context, &backups) };
    let chosen = choose(&backups, id)?;
    let bytes = std::fs::read(&chosen.copy).with_context(|| format!("cannot read {}", chosen.copy.display()))?;
    if sha256(&bytes) != chosen.sha256 {
        let copy = chosen.copy.display();
        return Err(Refusal(format!(
            "{copy}: is not what was kept there (its hash differs); look at it and copy it by hand"
        ))
        .into());
    }
    if !arguments.dry_run {
        for line in context.clear_leftovers(Some(&chosen.path)) {
            context.printer.line(line);
        }
    }
    // Only the path matters here: a backup does not say which harness its file belongs to.
    let location = Location { harness: Harness::DEFAULT, scope: Scope::User, path: chosen.path.clone(), project: None };
    let plan = SettingsPlan::restore(location, bytes)?;
    let printer = context.printer;
    let mut report = RestoreReport {
        command: "restore",
        outcome: "restored",
        exit_code: 0,
        restored: Some(chosen),
        diff: Some(plan.diff()),
        backup: None,
        backups: &[],
    };
    if plan.is_noop() {
        printer.line(format!("{}: is as it was then; nothing to write.", chosen.path.display()));
        report.outcome = "unchanged";
        context.printer.object(&report)?;
        return Ok(ExitStatus::Success);
    }
    printer.diff(&plan.diff());
    if arguments.dry_run {
        printer.line("Dry run: nothing was written.");
        report.outcome = "dry-run";
        context.printer.object(&report)?;
        return Ok(ExitStatus::Success);
    }
    let consent = printer::consent("Write this?", arguments.yes);
    if consent != Consent::Given {
        let why = if consent == Consent::NobodyThere { ": there is no terminal to ask on; use --yes" } else { "" };
        printer::note(format!("Nothing was written{why}."));
        (report.outcome, report.exit_code) = ("no-consent", ExitStatus::Refused.code());
        context.printer.object(&report)?;
        return Ok(ExitStatus::Refused);
    }
    // What is restored may be without our lines.
    operator::only(context, "installer restore")?;
    let _lock = Lock::take(&context.home)?;
    let mut ledger = Ledger::read(&context.home)?;
    report.backup = plan.backup(&context.home, SystemClock.now_ms())?;
    write(&plan)?;
    for install in ledger
        .installs
        .iter_mut()
        .filter(|install| install.written == plan.target.file || install.settings == chosen.path)
    {
        follow(context, install, plan.after.as_deref().unwrap_or_default());
    }
    ledger.save(&context.home)?;
    printer.line(format!("{}: restored.", chosen.path.display()));
    if let Some(backup) = &report.backup {
        printer.line(format!("As it was before: {}", backup.display()));
    }
    context.printer.object(&report)?;
    Ok(ExitStatus::Success)
}

/// The ledger's record of a file that is `bytes` now. What is missing in it is not wanted.
fn follow(context: &Context<'_>, install: &mut Install, bytes: &[u8]) {
    let location = install.location();
    if let Ok(refused) = refused(&location, &context.home.bin(), install) {
        install.refused = refused;
    }
    let bin = context.home.bin();
    if let Ok(entries) = Document::parse(bytes).and_then(|document| edit::registered(&document, &bin)) {
        install.entries = entries;
    }
    if !install.restores(Some(bytes)) {
        install.original = Original::Unknown;
    }
    install.sha256_after = sha256(bytes);
}

fn choose<'a>(backups: &'a [Kept], id: &str) -> Result<&'a Kept, Refusal> {
    let mut fitting = backups.iter().filter(|kept| kept.id.starts_with(id));
    match (fitting.next(), fitting.next()) {
        (Some(chosen), None) => Ok(chosen),
        (None, _) => Err(Refusal(format!("{id}: no such backup; `installer restore` lists them"))),
        (Some(_), Some(_)) => backups
            .iter()
            .find(|kept| kept.id == id)
            .ok_or_else(|| Refusal(format!("{id}: several backups begin so; `installer restore` lists them"))),
    }
}

fn list(context: &Context<'_>, backups: &[Kept]) -> Result<ExitStatus> {
    let printer = context.printer;
    if backups.is_empty() {
        printer.line(format!("There are no backups in {}.", context.home.backups().display()));
    }
    let row = |kept: &Kept| vec![kept.id.clone(), kept.path.display().to_string()];
    for line in columns(&backups.iter().map(row).collect::<Vec<_>>()) {
        printer.line(format!("  {line}"));
    }
    if !backups.is_empty() {
        printer.line("`installer restore <id>` shows the change and asks before it writes.");
    }
    let report = RestoreReport {
        command: "restore",
        outcome: "list",
        exit_code: 0,
        restored: None,
        diff: None,
        backup: None,
        backups,
    };
    printer.object(&report)?;
    Ok(ExitStatus::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_chosen_by_the_beginning_of_its_name_if_that_is_clear() {
        let kept = |id: &str| Kept {
            id: id.into(),
            path: "/x".into(),
            sha256: String::new(),
            taken_at_ms: 0,
            copy: "/y".into(),
        };
        let backups = [kept("2026-a"), kept("2026-ab"), kept("2025-c")];
        assert_eq!(choose(&backups, "2025").unwrap().id, "2025-c");
        assert_eq!(choose(&backups, "2026-a").unwrap().id, "2026-a");
        assert!(choose(&backups, "2026").unwrap_err().0.contains("several"));
        assert!(choose(&backups, "x").unwrap_err().0.contains("no such backup"));
    }
}
