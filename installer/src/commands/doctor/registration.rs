//! Settings files: every event of every file counted, and Codex asked what it would run.

use std::path::Path;

use stopgate_core::harness::registration::{self, Deviation, DeviationKind, Line};
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::session::Harness;

use super::finding::{Checkup, Registered, Repair};
use crate::account::Account;
use crate::codex::{self, Trust};
use crate::commands::{Context, prefix, undo_arguments};
use crate::dialect;
use crate::ledger::{Install, Ledger};
use crate::settings::document::Document;
use crate::settings::edit;
use crate::settings::foreign::{self, Foreign};
use crate::settings::locate::{Location, Scope};
use crate::settings::plan::by_hand;
use crate::settings::running::Surroundings;
use crate::settings::write::{Target, read_settings};
use crate::shell;
use crate::wiring::{Entry, Wiring, hook_of};

/// Nobody lets a hook run so long; it was meant as milliseconds.
const SUSPICIOUS_SECONDS: f64 = 1000.0;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let unrecorded = unrecorded(context, ledger);
    if ledger.installs.is_empty() && unrecorded.is_empty() {
        let what = "the ledger knows no settings file";
        let why = "nothing calls the programs, unless you pasted the snippet or use the plugin";
        checkup.notice("nothing-registered", context.home.ledger().display(), what, why, "installer init");
    }
    for install in &ledger.installs {
        match install.gone() {
            Some(dir) => gone(context, install, dir, checkup),
            None => file(context, ledger, install, checkup),
        }
    }
    for location in &unrecorded {
        unrecorded_file(context, ledger, location, checkup);
    }
    several_files(context, ledger, checkup);
}

/// An account or a project that is not there any more, and nobody reads the file of: to be known, and no failure.
fn gone(context: &Context<'_>, install: &Install, dir: &Path, checkup: &mut Checkup) {
    let what = format!("{} is gone", dir.display());
    let why = "no session reads hooks there; stopgate leaves the place alone";
    let forget = command(context, "uninstall", &install.location());
    let fix = format!("`{forget}` forgets it; if it is only not mounted, nothing");
    checkup.notice("place-gone", install.settings.display(), what, why, fix);
}

/// The command `name` of the installer for the file at `location`.
fn command(context: &Context<'_>, name: &str, location: &Location) -> String {
    format!("{}installer {name}{}", prefix(context.environment, location), undo_arguments(location))
}

/// How the entries of a file are mended.
struct Mending {
    fix: String,
    repair: Option<Repair>,
}

impl Mending {
    /// By the installer, unless something keeps the file from being written: that is said.
    fn of(context: &Context<'_>, location: &Location, checkup: &mut Checkup) -> Self {
        let target = Target::resolve_in(&location.path, location.project.as_deref());
        let Some(obstacle) = target.ok().and_then(|target| target.obstacle) else {
            let fix = command(context, "init", location);
            return Self { fix, repair: Some(Repair::Settings(location.clone())) };
        };
        let fix = obstacle.fix(&by_hand(location.harness));
        let why =
            "stopgate can neither mend nor take out its entries in it: after an update they may have to be others";
        checkup.notice("settings-closed", location.path.display(), obstacle.what, why, &fix);
        Self { fix, repair: None }
    }
}

fn file(context: &Context<'_>, ledger: &Ledger, install: &Install, checkup: &mut Checkup) {
    let location = install.location();
    let mending = Mending::of(context, &location, checkup);
    let is_refused = |event: &str, hook: Hook| install.is_refused(event, hook);
    if entries(context, &location, &mending, &install.sets, &is_refused, checkup)
        && dialect::of(location.harness).asks_for_trust()
    {
        trust(context, ledger, &location, checkup);
    }
}

/// The entries of one file; whether there are any that its harness would read.
fn entries(
    context: &Context<'_>,
    location: &Location,
    mending: &Mending,
    sets: &[WireSet],
    is_refused: &dyn Fn(&str, Hook) -> bool,
    checkup: &mut Checkup,
) -> bool {
    let shown = location.path.display().to_string();
    let document = match read(location) {
        Ok(document) => document,
        Err(problem) => {
            let why = "its harness reads no hook from it, and stopgate will not touch it";
            checkup.problem("settings-broken", shown, problem, why, "mend it there");
            return false;
        }
    };
    if let Some(unfit) = dialect::of(location.harness).rejection(&document) {
        let why = "no hook of the file runs, and `codex exec` does not say so";
        checkup.problem("settings-rejected", shown, unfit.to_string(), why, "mend it there");
        return false;
    }
    ignored(location.harness, &shown, &document, checkup);
    let bin = context.home.bin();
    let (Ok(wiring), Ok(entries)) =
        (Wiring::of_home(location.harness, &context.home, sets), edit::registered(&document, &bin))
    else {
        checkup.unchecked(shown, "its hooks are not laid out as hooks are");
        return false;
    };
    let surroundings = Surroundings::of(context.environment, location.project.as_deref());
    let foreign = foreign::all(&document, &bin, &surroundings);
    let deviations = edit::deviations(&document, &wiring).unwrap_or_default();
    for event in wiring.events() {
        let mut counted = Counted::of(event, &wiring, &entries, is_refused);
        let is_run = |hook: &&str| {
            let runs = |one: &Foreign| one.runs.as_ref().is_some_and(|running| running.hook.name() == *hook);
            foreign.iter().any(|one| one.event == event && runs(one))
        };
        counted.missing.retain(|hook| !is_run(hook));
        counted.changed = deviations.iter().filter(|(on, ..)| on == event).map(|(_, hook, one)| (*hook, one)).collect();
        counted.report(location, mending, checkup);
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
        checkup.fixable("entry-stale", &shown, what, "it runs for nothing", &mending.fix, mending.repair.clone());
    }
    for one in &foreign {
        in_other_words(location, &wiring, &entries, one, checkup);
    }
    others(&shown, &foreign, checkup);
    !entries.is_empty()
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
struct Counted<'a> {
    event: String,
    there: usize,
    missing: Vec<&'static str>,
    refused: Vec<&'static str>,
    stale: Vec<&'static str>,
    duplicate: Vec<&'static str>,
    dead: Vec<String>,
    changed: Vec<(Hook, &'a Deviation)>,
}

impl Counted<'_> {
    fn of(event: &str, wiring: &Wiring, entries: &[Entry], is_refused: &dyn Fn(&str, Hook) -> bool) -> Self {
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
            changed: Vec::new(),
        };
        for hook in Hook::ALL {
            let found: Vec<&Entry> = ours.iter().filter(|(of, _)| *of == hook).map(|(_, entry)| *entry).collect();
            let name = hook.name();
            match (wiring.entry(event, hook), found.as_slice()) {
                (None, []) => {}
                (None, _) => counted.stale.push(name),
                (Some(_), []) if is_refused(event, hook) => counted.refused.push(name),
                (Some(_), []) => counted.missing.push(name),
                (Some(_), found) => {
                    if found.len() > 1 {
                        counted.duplicate.push(name);
                    }
                }
            }
            if !found.is_empty() && !wiring.bin().join(name).is_file() {
                counted.dead.push(wiring.bin().join(name).display().to_string());
            }
        }
        counted
    }

    fn report(&self, location: &Location, mending: &Mending, checkup: &mut Checkup) {
        let shown = location.path.display().to_string();
        let event = &self.event;
        let (fix, repair) = (mending.fix.as_str(), || mending.repair.clone());
        for name in &self.missing {
            let what = format!("{name} is not registered on {event}");
            let why = "stopgate does not hear of that event";
            checkup.fixable("entry-missing", &shown, what, why, fix, repair());
        }
        for name in &self.refused {
            let what = format!("{name} was taken out of {event} by a person");
            let why = "stopgate does not hear of that event, and will not add itself again";
            checkup.notice("entry-refused", &shown, what, why, fix);
        }
        for name in &self.stale {
            let what = format!("{name} on {event} is not as this version registers it");
            checkup.fixable("entry-stale", &shown, what, "its timeout or its call is an old one", fix, repair());
        }
        for (hook, one) in &self.changed {
            let (name, is_written) = (hook.name(), matches!(one.field.as_str(), "command" | "args" | "timeout"));
            let what = format!("{name} on {event} is not as this version registers it: {}", one.what);
            match one.kind {
                DeviationKind::Unknown => {
                    let why = "stopgate knows no such field, and not what the harness makes of it";
                    checkup.notice("entry-field", &shown, what, why, "take it out there unless you know what it does");
                }
                _ if is_written => {
                    let why = "its timeout or its call is an old one";
                    checkup.fixable("entry-stale", &shown, what, why, fix, repair());
                }
                DeviationKind::Unheard => {
                    let why =
                        "the harness does not wait for what the hook answers: no stop is held, and no build defended";
                    checkup.fixable("entry-changed", &shown, what, why, fix, repair());
                }
                DeviationKind::Changing => {
                    let why = "the harness runs the hook only now and then, or in another way, or makes something else of its answer";
                    checkup.fixable("entry-changed", &shown, what, why, fix, repair());
                }
            }
        }
        for name in &self.duplicate {
            let what = format!("{name} is registered several times on {event}");
            let why = "it may run several times, and a stop may be counted twice";
            checkup.fixable("entry-duplicate", &shown, what, why, fix, repair());
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
            (self.changed.iter().filter(|(_, one)| one.kind != DeviationKind::Unknown).count(), "changed"),
            (self.duplicate.len(), "duplicate"),
            (self.dead.len(), "dead path"),
        ];
        let said: Vec<_> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if said.is_empty() { "ok".to_owned() } else { said.join(", ") }
    }
}

/// An entry of somebody else that runs a program of stopgate's: it counts, and stays as it is. Beside one of ours the hook runs
/// twice.
fn in_other_words(location: &Location, wiring: &Wiring, entries: &[Entry], one: &Foreign, checkup: &mut Checkup) {
    let Some(running) = &one.runs else { return };
    let (shown, event, name) = (location.path.display(), &one.event, running.hook.name());
    let theirs = foreign::shown(&one.command);
    let own = entries.iter().find(|entry| entry.is_place_of(event, running.hook, wiring.bin()));
    let home = running.home().display();
    match own {
        Some(own) => {
            let other = if running.is_own { String::new() } else { format!(" (of another home, {home})") };
            let what = format!("{name} is registered twice on {event}: as `{}`, and as `{theirs}`{other}", own.command);
            let why = "it runs twice at every such event, and a stop may be judged and counted twice";
            let fix = if running.is_own {
                "take one of them out by hand".to_owned()
            } else {
                format!("`STOPGATE_HOME={home} {home}/bin/installer uninstall{}`, or by hand", undo_arguments(location))
            };
            checkup.problem("double-registration", shown, what, why, fix);
        }
        None if !running.is_own => {
            let what = format!("{name} on {event} is that of another home of stopgate, {home}: `{theirs}`");
            let why = "this home hears nothing of that event, and does not put its own beside it";
            checkup.problem(
                "entry-other-home",
                shown,
                what,
                why,
                "take it out; `installer init` puts this home's there",
            );
        }
        None => {
            let what = format!("{name} on {event} is written in other words than stopgate's own: `{theirs}`");
            let why = "it counts as registered; migrate does not look after it, and uninstall leaves it";
            let fix = "nothing; `installer init` takes note of it, and puts stopgate's own there once it is taken out";
            checkup.notice("entry-other-words", &shown, what, why, fix);
            let Some(entry) = wiring.entry(event, running.hook) else { return };
            let (timeout, matcher) = (entry.timeout.as_seconds().into(), entry.matcher.as_deref());
            let line = Line { event, command: &one.command, args: &[], timeout, matcher };
            for found in registration::deviations(location.harness, &one.group, &one.entry, line) {
                if found.field != "args" && found.kind != DeviationKind::Unknown {
                    let what =
                        format!("{name} on {event}, `{theirs}`, is not as this version registers it: {}", found.what);
                    let why = "the harness runs it now and then, or not as long, or does not hear its answer";
                    checkup.problem("entry-changed", &shown, what, why, "mend it there");
                }
            }
        }
    }
}

/// What is odd about the entries of others: said, never changed.
fn others(shown: &str, foreign: &[Foreign], checkup: &mut Checkup) {
    for one in foreign {
        if let Some(hook) = one.mentions {
            let (event, name, line) = (&one.event, hook.name(), foreign::shown(&one.command));
            let what = format!("an entry on {event} has something around {name}: `{line}`");
            let why = "whether it runs cannot be told: it may run twice, and uninstall leaves it to call a program that is gone";
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
        let path = Path::new(&program);
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

/// Whether Codex runs the hooks of one file, in each account that has to do with it.
fn trust(context: &Context<'_>, ledger: &Ledger, location: &Location, checkup: &mut Checkup) {
    let accounts = Account::of_install(context.environment, ledger, location);
    for account in &accounts {
        if account.dir.is_dir() {
            trust_of(context, account, accounts.len() > 1, location, checkup);
        } else {
            let what = "the directory of this account is gone";
            let why = "no session runs in it; what stopgate trusted there went with it";
            let fix = format!("`{}` forgets the file and its accounts", command(context, "uninstall", location));
            checkup.notice("place-gone", account.dir.display(), what, why, fix);
        }
    }
}

fn trust_of(context: &Context<'_>, account: &Account, is_named: bool, location: &Location, checkup: &mut Checkup) {
    let in_account = if is_named { format!(" (in {})", account.dir.display()) } else { String::new() };
    let shown = format!("{}{in_account}", location.path.display());
    let answer = match codex::ask(context.environment, account, location, &context.home.bin()) {
        Ok(answer) => answer,
        Err(unasked) => {
            let accounts = std::slice::from_ref(account);
            let found = dialect::of(location.harness).switched_off(accounts, &[], &context.home.bin());
            super::layers::report(&found, checkup);
            let what = format!("whether Codex trusts the hooks{in_account}");
            return checkup.unchecked(what, unasked.to_string());
        }
    };
    if !answer.switched_off.is_empty() {
        // Trust cannot help, and Codex lists nothing.
        return super::layers::report(&answer.switched_off, checkup);
    }
    if answer.is_managed {
        return;
    }
    let give = {
        let (prefix, arguments) = (account.prefix(context.environment), undo_arguments(location));
        format!("{prefix}installer init{arguments} --trust, or enter /hooks in Codex")
    };
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

/// Entries of ours that the installer did not write: they are examined like its own, and left to whoever wrote them.
fn unrecorded_file(context: &Context<'_>, ledger: &Ledger, location: &Location, checkup: &mut Checkup) {
    let mut mending = Mending::of(context, location, checkup);
    mending.repair = None;
    let what = format!("holds entries for {} that the installer did not write", location.harness.spec().product);
    let why = "migrate and uninstall leave alone what is not in the ledger";
    let fix = command(context, "init", location) + " takes them over, and writes nothing if they are right";
    checkup.notice("unrecorded", location.path.display(), what, why, fix);
    // What else is there was pasted on purpose.
    let all = [WireSet::Coordination];
    let sets = read(location).ok().and_then(|document| edit::registered(&document, &context.home.bin()).ok());
    let has_more = |entries: &Vec<Entry>| entries.iter().any(|entry| entry.matcher.is_some());
    let sets: &[WireSet] = if sets.as_ref().is_some_and(has_more) { &all } else { &[] };
    if entries(context, location, &mending, sets, &|_, _| false, checkup)
        && dialect::of(location.harness).asks_for_trust()
    {
        trust(context, ledger, location, checkup);
    }
}

/// The person's own files, of every account that is known, which hold entries of ours that the ledger does not know.
pub(super) fn unrecorded(context: &Context<'_>, ledger: &Ledger) -> Vec<Location> {
    let of = |harness: Harness| {
        let accounts = Account::all(context.environment, ledger, harness);
        accounts.into_iter().map(move |account| Location {
            harness,
            scope: Scope::User,
            path: account.file(harness.spec().settings),
            project: None,
        })
    };
    let is_unknown = |location: &Location| ledger.of(&ledger.known_as(location.clone())).is_none();
    let has_ours = |location: &Location| {
        let entries = read(location).ok().and_then(|document| edit::registered(&document, &context.home.bin()).ok());
        entries.is_some_and(|entries| !entries.is_empty())
    };
    Harness::ALL.into_iter().flat_map(of).filter(|location| is_unknown(location) && has_ours(location)).collect()
}

/// A harness may run the same command from two files twice.
fn several_files(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let of = |scope| move |install: &&Install| dialect::of(install.harness).runs_every_file() && install.scope == scope;
    for (user, project) in ledger.installs.iter().filter(of(Scope::User)).flat_map(|user| {
        let projects = ledger.installs.iter().filter(of(Scope::Project));
        projects.filter(|project| project.harness == user.harness).map(move |project| (user, project))
    }) {
        let fix = command(context, "uninstall", &project.location());
        let file = project.settings.display().to_string();
        let what = format!("registered twice: there, and in {}", user.settings.display());
        let why = format!("{} runs every hook of both files in that project", project.harness.spec().product);
        checkup.problem("double-registration", file, what, &why, fix);
    }
}
