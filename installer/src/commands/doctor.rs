//! `installer doctor`: whether what is installed works, what does not, why that matters, and what mends it.

mod clients;
mod fence;
mod files;
mod finding;
mod fire;
mod fix;
mod git;
mod layers;
mod plugins;
mod registration;
mod runtime;

use anyhow::Result;
use serde::Serialize;
use stopgate_core::VERSION;

use super::Context;
use crate::exit::ExitStatus;
use crate::ledger::Ledger;
use crate::printer::{self, Printer, Tone, columns};
use finding::{Checkup, Finding, Level};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Mend what can be mended without a question: our own entries, modes, leftovers, a migration that is due
    #[arg(long)]
    fix: bool,
    /// Do not run the registered command lines
    #[arg(long)]
    no_fire: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Serialize)]
struct DoctorReport<'a> {
    command: &'static str,
    version: &'static str,
    home: &'a std::path::Path,
    exit_code: u8,
    /// What `--fix` did.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fixed: &'a [String],
    #[serde(flatten)]
    checkup: &'a Checkup,
}

/// Exit code when nothing is wrong as far as could be seen, but something could not be looked at.
const UNCHECKED: ExitStatus = ExitStatus::Refused;

/// Examines.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let mut checkup = examine(context, arguments);
    let mut fixed = Vec::new();
    if arguments.fix {
        fixed = fix::all(context, &checkup.findings);
        if !fixed.is_empty() {
            checkup = examine(context, arguments);
        }
    }
    let has_problem = checkup.findings.iter().any(|finding| finding.level == Level::Problem);
    let status = match (has_problem, checkup.unchecked.is_empty()) {
        (true, _) => ExitStatus::Failure,
        (false, false) => UNCHECKED,
        (false, true) => ExitStatus::Success,
    };
    show(context.printer, &checkup, &fixed);
    context.printer.object(&DoctorReport {
        command: "doctor",
        version: VERSION,
        home: context.home.root(),
        exit_code: status.code(),
        fixed: &fixed,
        checkup: &checkup,
    })?;
    Ok(status)
}

fn examine(context: &Context<'_>, arguments: &Arguments) -> Checkup {
    let mut checkup = Checkup::default();
    if !crate::home::is_marked(&context.home) {
        let root = context.home.root().display();
        if let Err(error) = std::fs::read_dir(context.home.root())
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            let why = "hooks cannot look at the kill switch, which counts as on: they allow every stop";
            let fix = "give the directory back to yourself (chown, chmod 700)";
            checkup.problem("home-closed", root, format!("cannot be entered: {error}"), why, fix);
            return checkup;
        }
        checkup.problem(
            "not-installed",
            root,
            "stopgate is not installed there",
            "nothing of it runs",
            "installer init",
        );
        return checkup;
    }
    let ledger = match Ledger::read(&context.home) {
        Ok(ledger) => ledger,
        Err(error) => {
            checkup.unchecked("ledger", format!("{error:#}"));
            Ledger::default()
        }
    };
    files::check(context, &ledger, &mut checkup);
    registration::check(context, &ledger, &mut checkup);
    layers::check(context, &ledger, &mut checkup);
    plugins::check(context, &ledger, &mut checkup);
    runtime::check(context, &ledger, &mut checkup);
    git::check(context, &mut checkup);
    clients::check(context, &ledger, &mut checkup);
    fence::check(context, &ledger, &mut checkup);
    fence::unfenced(context, &mut checkup);
    if !arguments.no_fire {
        fire::check(context, &ledger, &mut checkup);
        fence::fire(context, &ledger, &mut checkup);
    }
    checkup.findings.sort_by_key(|finding| finding.level);
    checkup
}

fn show(printer: Printer, checkup: &Checkup, fixed: &[String]) {
    for line in fixed {
        printer.line(format!("fixed: {line}"));
    }
    if !checkup.registered.is_empty() {
        printer.heading("what is registered");
        let heading = ["file", "event", "ours", "others", "state"].map(str::to_owned).to_vec();
        let rows = checkup.registered.iter().map(|row| {
            let count = |count: usize| count.to_string();
            vec![
                row.file.display().to_string(),
                row.event.clone(),
                count(row.ours),
                count(row.others),
                row.state.clone(),
            ]
        });
        print_rows(printer, std::iter::once(heading).chain(rows).collect());
    }
    if !checkup.fired.is_empty() {
        let way = |client: &clients::InstalledClient| {
            let (product, version) = (client.harness.spec().product, &client.version);
            if client.tried_as == version {
                format!("{product} {version}")
            } else {
                format!("{product} {version}, in the way of {}", client.tried_as)
            }
        };
        let clients: Vec<String> = checkup.clients.iter().map(way).collect();
        let clients = if clients.is_empty() { String::new() } else { format!(" ({})", clients.join("; ")) };
        printer.heading(&format!("every registered command line, run as its harness runs it{clients}"));
        let heading = ["harness", "event", "hook", "ms", "of that the shell", "answer"].map(str::to_owned).to_vec();
        let rows = checkup.fired.iter().map(|fired| {
            let shell = fired.shell_milliseconds.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
            let ms = format!("{:.1}", fired.milliseconds);
            vec![fired.harness.to_string(), fired.event.clone(), fired.hook.clone(), ms, shell, fired.answer.clone()]
        });
        print_rows(printer, std::iter::once(heading).chain(rows).collect());
    }
    printer.line("");
    for finding in &checkup.findings {
        show_finding(printer, finding);
    }
    for unchecked in &checkup.unchecked {
        printer.line(format!("{}: could not be checked: {}", unchecked.what, unchecked.why));
    }
    let problems = checkup.findings.iter().filter(|finding| finding.level == Level::Problem).count();
    let verdict = match (problems, checkup.unchecked.len()) {
        (0, 0) => printer.toned(Tone::Good, "All is well."),
        (0, _) => "No problem was found, but not everything could be looked at.".to_owned(),
        (1, _) => printer.toned(Tone::Bad, "1 problem."),
        (count, _) => printer.toned(Tone::Bad, &format!("{count} problems.")),
    };
    printer.line(verdict);
    if checkup.findings.iter().any(Finding::can_be_fixed) {
        printer::note("`installer doctor --fix` mends what is marked with *.");
    }
}

fn show_finding(printer: Printer, finding: &Finding) {
    let (word, tone) = match finding.level {
        Level::Problem => ("PROBLEM", Tone::Bad),
        Level::Notice => ("notice", Tone::Heading),
    };
    let word = printer.toned(tone, word);
    printer.line(format!("{word} {}: {}: {}", finding.id, finding.subject, finding.what));
    printer.line(format!("    why it matters: {}", finding.why));
    let mark = if finding.can_be_fixed() { "*" } else { "" };
    printer.line(format!("    to mend it{mark}: {}", finding.fix));
}

fn print_rows(printer: Printer, rows: Vec<Vec<String>>) {
    for line in columns(&rows) {
        printer.line(format!("  {line}"));
    }
}

#[cfg(test)]
mod documentation;
