//! Every registered command line, run as its harness runs it.

use std::time::Duration;

use stopgate_core::hook::Hook;
use stopgate_core::session::Harness;

use super::finding::{Checkup, Fired};
use super::registration::unrecorded;
use crate::commands::Context;
use crate::home;
use crate::ledger::{Install, Ledger};
use crate::live_check::run::{Call, run};
use crate::live_check::{hook_environment, probe};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::write::read_settings;
use crate::wiring::{Entry, hook_of};

const SHELL_DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    if home::forbids_programs(&context.home).is_some() {
        // Said already, once and not for every line.
        return;
    }
    let bin = context.home.bin();
    let mut done: Vec<(Harness, Entry)> = Vec::new();
    let known = ledger.installs.iter().map(Install::location);
    for install in known.chain(unrecorded(context, ledger)) {
        let Ok(Some(bytes)) = read_settings(&install.path) else { continue };
        let entries = Document::parse(&bytes).and_then(|document| edit::registered(&document, &bin));
        let fresh = |entry: &Entry| !done.contains(&(install.harness, entry.clone()));
        let entries: Vec<Entry> = entries.unwrap_or_default().into_iter().filter(fresh).collect();
        done.extend(entries.iter().map(|entry| (install.harness, entry.clone())));
        let Ok(scratch) = tempfile::tempdir() else {
            return checkup.unchecked("the registered command lines", "there is no temporary directory");
        };
        let cwd = install.project.as_deref().filter(|project| project.is_dir()).unwrap_or(scratch.path());
        for (probe, entry) in probe(context.environment, install.harness, &entries, cwd).into_iter().map(|probe| {
            let entry = entries.iter().find(|entry| entry.event == probe.event && entry.command == probe.command);
            (probe, entry)
        }) {
            let hook = hook_of(&probe.command, &bin).map_or("?", Hook::name);
            if probe.answer.is_problem() {
                let subject = format!("{} {} {hook}", install.harness, probe.event);
                let why = "the harness runs exactly this command line, and passes over its failure";
                let fix = "run `installer init` of the release, or look into log/hooks.jsonl";
                checkup.problem("hook-fails", subject, probe.answer.shown(), why, fix);
            }
            checkup.fired.push(Fired {
                harness: install.harness,
                event: probe.event.clone(),
                hook: hook.to_owned(),
                milliseconds: probe.milliseconds,
                shell_milliseconds: entry.and_then(|entry| shell_cost(context, install.harness, entry)),
                answer: probe.answer.shown(),
            });
        }
    }
}

/// What the shell takes to run nothing; `None` if there is no shell in between.
fn shell_cost(context: &Context<'_>, harness: Harness, entry: &Entry) -> Option<f64> {
    let (program, _) = entry.argv(harness);
    if program != harness.spec().shell {
        return None;
    }
    let args = ["-c".to_owned(), ":".to_owned()];
    let variables = hook_environment(context.environment);
    let cwd = std::path::Path::new("/");
    let ran = run(&Call { command: &program, args: &args, cwd, variables: &variables, stdin: b"" }, SHELL_DEADLINE);
    Some((ran.took.as_secs_f64() * 10_000.0).round() / 10.0)
}
