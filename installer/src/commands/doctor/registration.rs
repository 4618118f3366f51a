//! Settings files: every event of every file counted, and Codex asked what it would run.

use stopgate_core::hook::Hook;
use stopgate_core::session::Harness;

use super::finding::{Checkup, Registered, Repair};
use crate::codex::{self, Trust};
use crate::commands::{Context, undo_arguments};
use crate::dialect;
use crate::ledger::{Install, Ledger};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::foreign::{self, Foreign};
use crate::settings::locate::{Location, Scope, locate};
use crate::settings::write::read_settings;
use crate::shell;
use crate::wiring::{Entry, Wiring, hook_of};

/// Nobody lets a hook run so long; it was meant as milliseconds.
const SUSPICIOUS_SECONDS: f64 = 1000.0;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    if ledger.installs.is_empty() {
        let what = "the ledger knows no settings file";
        let why = "nothing calls the programs, unless you pasted the snippet or use the plugin";
        checkup.notice("nothing-registered", context.home.ledger().display(), what, why, "installer init");
    }
    for install in &ledger.installs {
        file(context, install, checkup);
    }
    unrecorded(context, ledger, checkup);
    several_files(ledger, checkup);
}

fn init(location: &Location) -> String {
    format!("installer init{}", undo_arguments(location))
}

fn file(context: &Context<'_>, install: &Install, checkup: &mut Checkup) {
    let location = install.location();
    let shown = location.path.display().to_string();
    let document = match read(&location) {
        Ok(document) => document,
        Err(problem) => {
            let why = "its harness reads no hook from it, and stopgate will not touch it";
            return checkup.problem("settings-broken", shown, problem, why, "mend it there");
        }
    };
    if let Some(unfit) = dialect::of(location.harness).rejection(&document) {
        let why = "no hook of the file runs, and `codex exec` does not say so";
        return checkup.problem("settings-rejected", shown, unfit.to_string(), why, "mend it there");
    }
    ignored(location.harness, &shown, &document, checkup);
    let bin = context.home.bin();
    let (Ok(wiring), Ok(entries)) = (Wiring::of(location.harness, &bin), edit::registered(&document, &bin)) else {
        return checkup.unchecked(shown, "its hooks are not laid out as hooks are");
    };
    let foreign = foreign::all(&document, &bin);
    for event in wiring.events() {
        let counted = Counted::of(event, &wiring, &entries, install);
        counted.report(&location, checkup);
        let others = foreign.iter().filter(|one| one.event == event).count();
        checkup.registered.push(Registered {
            harness: location.harness,
            scope: location.scope.name(),
            file: location.path.clone(),
            event: event.to_owned(),
            ours: counted.there,
            others,
            state: counted.state(),
        });
    }
    for entry in entries.iter().filter(|entry| !wiring.events().contains(&entry.event.as_str())) {
        let what = format!("an entry on {}, where nothing of stopgate belongs any more", entry.event);
        let repair = Repair::Settings(location.clone());
        checkup.fixable("entry-stale", &shown, what, "it runs for nothing", init(&location), repair);
    }
    others(&shown, &foreign, checkup);
    if dialect::of(location.harness).asks_for_trust() && !entries.is_empty() {
        trust(context, &location, checkup);
    }
}

fn read(location: &Location) -> Result<Document, String> {
    let bytes = read_settings(&location.path).map_err(|error| error.to_string())?.unwrap_or_default();
    let document = Document::parse(&bytes).map_err(|unfit| unfit.to_string())?;
    if !document.is_blank() {
        document.hooks().map_err(|unfit| unfit.to_string())?;
    }
    Ok(document)
}

/// What keeps `harness` from reading the file at all.
fn ignored(harness: Harness, shown: &str, document: &Document, checkup: &mut Checkup) {
    let why = "a harness that ignores the file runs none of its hooks, and does not say so";
    let dialect = dialect::of(harness);
    for flaw in dialect.flaws(document) {
        let what = format!("{flaw}; {} the whole file", flaw.by());
        checkup.problem("settings-ignored", shown, what, why, "mend it there");
    }
    if dialect.wants_strict_json()
        && let Some(problem) = document.strictness_problem()
    {
        let what = format!("not strict JSON ({problem}): `claude -p` ignores the whole file");
        checkup.problem("settings-ignored", shown, what, why, "take comments and trailing commas out");
    }
}

/// Our entries on one event.
struct Counted {
    event: String,
    there: usize,
    missing: Vec<&'static str>,
    refused: Vec<&'static str>,
    stale: Vec<&'static str>,
    duplicate: Vec<&'static str>,
    dead: Vec<String>,
}

impl Counted {
    fn of(event: &str, wiring: &Wiring, entries: &[Entry], install: &Install) -> Self {
        let ours: Vec<(Hook, &Entry)> = entries
            .iter()
            .filter(|entry| entry.event == event)
            .filter_map(|entry| Some((hook_of(&entry.command, wiring.bin())?, entry)))
            .collect();
        let mut counted = Self {
            event: event.to_owned(),
            there: ours.len(),
            missing: Vec::new(),
            refused: Vec::new(),
            stale: Vec::new(),
            duplicate: Vec::new(),
            dead: Vec::new(),
        };
        for hook in Hook::ALL {
            let found: Vec<&Entry> = ours.iter().filter(|(of, _)| *of == hook).map(|(_, entry)| *entry).collect();
            let name = hook.name();
            match (wiring.entry(event, hook), found.as_slice()) {
                (None, []) => {}
                (None, _) => counted.stale.push(name),
                (Some(_), []) if install.is_refused(event, hook) => counted.refused.push(name),
                (Some(_), []) => counted.missing.push(name),
                (Some(wanted), found) => {
                    if found.len() > 1 {
                        counted.duplicate.push(name);
                    }
                    if found.iter().any(|entry| *entry != wanted) {
                        counted.stale.push(name);
                    }
                }
            }
            if !found.is_empty() && !wiring.bin().join(name).is_file() {
                counted.dead.push(wiring.bin().join(name).display().to_string());
            }
        }
        counted
    }

    fn report(&self, location: &Location, checkup: &mut Checkup) {
        let shown = location.path.display().to_string();
        let event = &self.event;
        let repair = || Repair::Settings(location.clone());
        for name in &self.missing {
            let what = format!("{name} is not registered on {event}");
            let why = "stopgate does not hear of that event";
            checkup.fixable("entry-missing", &shown, what, why, init(location), repair());
        }
        for name in &self.refused {
            let what = format!("{name} was taken out of {event} by a person");
            let why = "stopgate does not hear of that event, and will not add itself again";
            checkup.notice("entry-refused", &shown, what, why, init(location));
        }
        for name in &self.stale {
            let what = format!("{name} on {event} is not as this version registers it");
            checkup.fixable(
                "entry-stale",
                &shown,
                what,
                "its timeout or its call is an old one",
                init(location),
                repair(),
            );
        }
        for name in &self.duplicate {
            let what = format!("{name} is registered several times on {event}");
            let why = "it may run several times, and a stop may be counted twice";
            checkup.fixable("entry-duplicate", &shown, what, why, init(location), repair());
        }
        for path in &self.dead {
            let what = format!("calls {path} on {event}, which is not there");
            let why = "every such event ends in an error that nobody sees";
            checkup.problem("entry-dead-path", &shown, what, why, "run `installer init` of the release");
        }
    }

    fn state(&self) -> String {
        let parts = [
            (self.missing.len(), "missing"),
            (self.refused.len(), "refused"),
            (self.stale.len(), "stale"),
            (self.duplicate.len(), "duplicate"),
            (self.dead.len(), "dead path"),
        ];
        let said: Vec<_> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if said.is_empty() { "ok".to_owned() } else { said.join(", ") }
    }
}

/// What is odd about the entries of others: said, never changed.
fn others(shown: &str, foreign: &[Foreign], checkup: &mut Checkup) {
    for one in foreign {
        if let Some(hook) = one.wraps {
            let what = format!("an entry on {} runs {} in other words than stopgate's own", one.event, hook.name());
            let why = "the hook runs twice, and uninstall leaves the entry to call a program that is gone";
            checkup.problem(
                "entry-wrapped",
                shown,
                what,
                why,
                "take it out by hand; `installer init` puts stopgate's own there",
            );
        }
        let program = shell::words(&one.command).and_then(|words| words.into_iter().next());
        let program = program.unwrap_or_else(|| one.command.chars().take(60).collect());
        if let Some(seconds) = one.timeout.filter(|seconds| *seconds >= SUSPICIOUS_SECONDS) {
            let what = format!("{program} on {} may take {seconds} seconds: meant as milliseconds?", one.event);
            let why = "a harness reads seconds, so that a hook that hangs holds the agent for hours";
            checkup.notice(
                "suspicious-timeout",
                shown,
                what,
                why,
                "tell whoever installed it; stopgate leaves it alone",
            );
        }
        let path = std::path::Path::new(&program);
        let is_like_ours = Hook::ALL.iter().any(|hook| path.file_name().is_some_and(|name| name == hook.name()));
        if is_like_ours && path.is_absolute() && !path.exists() {
            let what =
                format!("{program} on {} is not there: of another home of stopgate, or one that was moved", one.event);
            let why = "every such event ends in an error that nobody sees";
            checkup.problem(
                "other-home-dead-path",
                shown,
                what,
                why,
                "take the entry out, it is not this installation's",
            );
        }
    }
}

fn trust(context: &Context<'_>, location: &Location, checkup: &mut Checkup) {
    let shown = location.path.display().to_string();
    let answer = match codex::ask(context.environment, location, &context.home.bin()) {
        Ok(answer) => answer,
        Err(unasked) => return checkup.unchecked("whether Codex trusts the hooks", unasked.to_string()),
    };
    let give = format!("{} --trust, or enter /hooks in Codex", init(location));
    if answer.hooks.is_empty() {
        let what = "Codex lists none of the hooks in it";
        let why = "a project's hooks load only when Codex trusts the project";
        checkup.problem("codex-not-listed", &shown, what, why, codex::steps(location).join("; "));
    }
    for hook in &answer.hooks {
        let subject = format!("{shown} {} {}", hook.event, hook.hook);
        match hook.trust {
            Trust::Trusted => {}
            Trust::Disabled => {
                let why = "it does not run; stopgate will not switch it on again";
                checkup.notice("codex-disabled", subject, "a person switched it off", why, "enter /hooks in Codex");
            }
            trust => {
                let what = format!("{}: Codex skips it", trust.word());
                checkup.problem("codex-untrusted", subject, what, "and `codex exec` does not say so", &give);
            }
        }
    }
    for plugin in &answer.from_plugins {
        double(&shown, &format!("the Codex plugin {plugin}"), &format!("codex plugin remove {plugin}"), checkup);
    }
}

/// The same hooks from a plugin and from a settings file.
pub(super) fn double(file: &str, plugin: &str, remove: &str, checkup: &mut Checkup) {
    let what = format!("registered twice: there, and by {plugin}");
    let why = "every hook runs twice; keep the settings file, which doctor and migrate look after";
    checkup.problem("double-registration", file, what, why, remove);
}

/// Entries of ours in the person's own files, of which the ledger knows nothing.
fn unrecorded(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    for harness in Harness::ALL {
        let root = std::path::Path::new("/");
        let Ok(location) = locate(context.environment, harness, Scope::User, None, root) else { continue };
        if ledger.of(&location).is_some() {
            continue;
        }
        let Ok(document) = read(&location) else { continue };
        if edit::registered(&document, &context.home.bin()).is_ok_and(|entries| !entries.is_empty()) {
            let what = format!("holds entries for {} that the installer did not write", harness.spec().product);
            let why = "migrate and uninstall leave alone what is not in the ledger";
            checkup.notice("unrecorded", location.path.display(), what, why, init(&location));
        }
    }
}

/// A harness may run the same command from two files twice.
fn several_files(ledger: &Ledger, checkup: &mut Checkup) {
    let of = |scope| move |install: &&Install| dialect::of(install.harness).runs_every_file() && install.scope == scope;
    for (user, project) in ledger.installs.iter().filter(of(Scope::User)).flat_map(|user| {
        let projects = ledger.installs.iter().filter(of(Scope::Project));
        projects.filter(|project| project.harness == user.harness).map(move |project| (user, project))
    }) {
        let fix = format!("installer uninstall{}", undo_arguments(&project.location()));
        let file = project.settings.display().to_string();
        let what = format!("registered twice: there, and in {}", user.settings.display());
        let why = format!("{} runs every hook of both files in that project", project.harness.spec().product);
        checkup.problem("double-registration", file, what, &why, fix);
    }
}
