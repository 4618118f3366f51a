//! What runs: authority, store, switches, spool, sessions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use stopgate_core::autostart;
use stopgate_core::beat::{self, Beat};
use stopgate_core::clock::{Clock, DAY_MS, SystemClock, UnixMillis};
use stopgate_core::harness::VariablePlace;
use stopgate_core::hook::Hook;
use stopgate_core::spool;
use stopgate_core::switch::{self, KillSource, Mode};
use stopgate_core::text::one_line;
use stopgate_gate::model::reading;
use stopgate_gate::rules::switches::SwitchedBy;
use stopgate_protocol::{ListSessions, SessionRow};
use stopgate_registry::taken_back;
use stopgate_store::{LATEST_VERSION, learned, rule_switches};

use super::finding::{Checkup, Repair};
use crate::authority;
use crate::commands::Context;
use crate::commands::migrate::schema;
use crate::ledger::Ledger;

/// A kill switch that is on for longer was forgotten.
const FORGOTTEN_MS: i64 = DAY_MS;
/// More undelivered events than a busy hour leaves behind.
const MANY_SPOOLED: usize = 1_000;
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// Longest reason that is shown, in characters.
const MAX_WHY: usize = 300;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    taken_back(context, checkup);
    let up_since = authority(context, checkup);
    let is_up = up_since.is_some();
    store(context, checkup);
    switches(context, checkup);
    spooled(context, is_up, checkup);
    silenced(context, checkup);
    if let Some(since) = up_since {
        beats(context, since, checkup);
        sessions(context, ledger, checkup);
    }
}

/// Whether stopgate was uninstalled before, and no person has said that they know.
fn taken_back(context: &Context<'_>, checkup: &mut Checkup) {
    for note in taken_back::read(context.environment).into_iter().filter(|note| note.is_news_in(context.home.root())) {
        let at = jiff::Timestamp::from_millisecond(note.at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let why = "meanwhile nothing was judged or recorded; if it was not you, look at what was done then";
        let fix = "`stopgate status --seen` in a terminal says that you know";
        checkup.notice("was-uninstalled", "installation", format!("{at}: {}", note.described()), why, fix);
    }
}

/// Since when it runs, if it does.
fn authority(context: &Context<'_>, checkup: &mut Checkup) -> Option<UnixMillis> {
    let home = &context.home;
    let why = "without it no stop is judged; hooks allow everything";
    let authority = authority::of(home);
    if let Some(secluded) = authority.secluded() {
        let why = "it refuses you what is yours, and does not see whether sessions live";
        let fix = format!("stopgate authority start, or kill {}", secluded.pid);
        checkup.fixable("authority-secluded", "authority", secluded.meaning(), why, fix, Repair::Authority);
    }
    match authority.find() {
        Ok(Some(health)) => {
            if let Some(problem) = &health.problem {
                checkup.problem("authority-troubled", "authority", problem.clone(), why, "stopgate authority status");
            }
            for seen in &health.git_troubles {
                let (subject, what) = (seen.checkout.display(), seen.trouble.meaning());
                let why = "plans and commits are seen through git: every stop there is let go";
                checkup.problem("git-unusable", subject, what, why, seen.trouble.remedy());
            }
            if authority.outdated(context.environment).is_some() {
                let what = format!("version {} runs, which is not the installed program", health.version);
                checkup.fixable("authority-outdated", "authority", what, why, "installer migrate", Repair::Migrate);
            }
            Some(health.started_at_ms)
        }
        Ok(None) => {
            // It starts on demand, and ends when nothing happens: only a failed start is worth a word.
            if let Some(problem) = autostart::problem(home) {
                let fix = "mend what it says; `stopgate authority run` shows more";
                checkup.problem("authority-not-starting", "authority", problem, why, fix);
            }
            None
        }
        Err(error) => {
            let problem = authority::problem(&error);
            checkup.problem("authority-broken", "authority", problem, why, "stopgate authority stop");
            None
        }
    }
}

fn store(context: &Context<'_>, checkup: &mut Checkup) {
    let path = context.home.database();
    let shown = path.display().to_string();
    let why = "verdicts and sessions are kept there; hooks allow everything without it";
    let version = match schema(&path) {
        Ok(None) => return,
        Ok(Some(version)) => version,
        // Somebody keeps even readers out: that says nothing about the file.
        Err(error) if is_busy(&error) => return checkup.unchecked("the database", format!("{error:#}")),
        Err(error) => {
            let fix = "move the file away, or put a copy of backups/ in its place; a new one is made";
            return checkup.problem("store-broken", shown, format!("{error:#}"), why, fix);
        }
    };
    if version > LATEST_VERSION {
        let what = format!("has schema {version}, this version knows {LATEST_VERSION}");
        return checkup.problem("store-newer", shown, what, why, "run the newer installer");
    }
    if version < LATEST_VERSION {
        let what = format!("has schema {version}, this version needs {LATEST_VERSION}");
        checkup.fixable("store-older", &shown, what, why, "installer migrate", Repair::Migrate);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let checked = Connection::open_with_flags(&path, flags).and_then(|connection| {
        connection.busy_timeout(STORE_PATIENCE)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
    });
    match checked {
        Ok(answer) if answer == "ok" => {}
        Ok(answer) => {
            let fix = "move the file away; a new one is made";
            checkup.problem("store-broken", shown, format!("SQLite finds it damaged: {answer}"), why, fix);
        }
        Err(error) => checkup.unchecked("the database", error.to_string()),
    }
}

fn is_busy(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked))
}

fn switches(context: &Context<'_>, checkup: &mut Checkup) {
    let home = &context.home;
    let why = "every hook allows at once, and nothing is judged";
    match switch::read_kill(context.environment, home) {
        None => {}
        Some(KillSource::Environment) => {
            checkup.notice("kill-switch-on", "STOPGATE_KILL", "is set in this environment", why, "unset STOPGATE_KILL");
        }
        Some(KillSource::Unknown) => {
            let fix = "make the directory of the switches readable";
            checkup.problem(
                "kill-switch-on",
                home.kill_file().display(),
                "cannot be looked at, which counts as on",
                why,
                fix,
            );
        }
        Some(KillSource::File(record)) => {
            let since = record.as_ref().map(|record| record.at_ms).or_else(|| modified(&home.kill_file())).unwrap_or(0);
            let age = SystemClock.now_ms() - since;
            let reason = record.map(|record| format!(", by {}: {}", record.by, record.reason)).unwrap_or_default();
            let what = format!("on for {} hours{reason}", age / (60 * 60 * 1000));
            let subject = home.kill_file().display().to_string();
            if age > FORGOTTEN_MS {
                checkup.problem("kill-switch-forgotten", subject, what, why, "stopgate kill off");
            } else {
                checkup.notice("kill-switch-on", subject, what, why, "stopgate kill off");
            }
        }
    }
    if switch::read_mode(home).mode() == Mode::Off {
        checkup.notice(
            "mode-off",
            home.mode_file().display(),
            "the mode is off",
            "no stop is judged",
            "stopgate mode shadow",
        );
    }
    rules(context, checkup);
    learned(context, checkup);
}

/// What was learned of grades and is not used.
fn learned(context: &Context<'_>, checkup: &mut Checkup) {
    if let Err(error) = learned::read(&context.home, reading::weights_id()) {
        let why = "the text model counts without what your grades have taught it";
        let fix = "`stopgate gate learn` shows what they teach now, `--apply` takes it; `--undo` does without";
        let file = context.home.correction_file();
        checkup.problem("correction-unusable", file.display(), error.meaning(), why, fix);
    }
}

/// Rules that hold nothing because their grades are bad, or because what was said of them is not understood.
fn rules(context: &Context<'_>, checkup: &mut Checkup) {
    let switches = rule_switches::read(&context.home);
    if switches.is_unreadable() {
        let why = "in doubt no rule holds a stop";
        let fix = "`stopgate mode enforce --rule U1` writes it anew; say so of each rule that is to hold";
        return checkup.problem("rules-unreadable", context.home.rules_file().display(), "is not understood", why, fix);
    }
    for (rule, switch) in switches.iter().filter(|(_, switch)| switch.by == SwitchedBy::Grades) {
        let at = jiff::Timestamp::from_millisecond(switch.at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let what = format!("is in shadow since {at}: {}", one_line(&switch.why, MAX_WHY));
        let why = "what it finds is written down and not held";
        let fix = format!(
            "look at its stops (`stopgate gate log`); `stopgate mode enforce --rule {}` has it hold again",
            rule.short()
        );
        checkup.notice("rule-demoted", rule, what, why, fix);
    }
}

fn modified(path: &std::path::Path) -> Option<UnixMillis> {
    let modified: SystemTime = std::fs::symlink_metadata(path).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn spooled(context: &Context<'_>, is_up: bool, checkup: &mut Checkup) {
    match spool::list(&context.home, spool::MAX_SPOOLED) {
        Ok(list) if list.len() >= MANY_SPOOLED || (is_up && list.len() > 100) => {
            let what = format!("{} events wait to be delivered", list.len());
            let why = "the authority has not taken them in; when the spool is full, further ones are lost";
            checkup.fixable(
                "spool-full",
                context.home.spool().display(),
                what,
                why,
                "installer migrate",
                Repair::Migrate,
            );
        }
        Ok(_) => {}
        Err(error) => checkup.unchecked("the spool", error.to_string()),
    }
}

/// Hooks that were called in vain of late: whose session it was may not be known.
fn silenced(context: &Context<'_>, checkup: &mut Checkup) {
    let now = SystemClock.now_ms();
    for hook in Hook::ALL {
        let last = |beat| beat::last(&context.home, hook.name(), beat);
        let Some(at_ms) = last(Beat::Silenced).filter(|at| now - at < FORGOTTEN_MS) else { continue };
        let minutes = (now - at_ms).max(0) / 60_000;
        let what = format!("was called with a variable by which it does nothing here, {minutes} minutes ago");
        let why =
            "STOPGATE_KILL, STOPGATE_JUDGE or another STOPGATE_HOME is set where a client runs, or in its settings";
        let fix = format!("see {}; if you set it, nothing", context.home.log().join("hooks.jsonl").display());
        checkup.notice("hook-silenced", hook.name(), what, why, fix);
    }
}

/// A hook whose last word is a failure, while there was an authority to deliver to.
fn beats(context: &Context<'_>, since: UnixMillis, checkup: &mut Checkup) {
    for hook in Hook::ALL {
        let last = |beat| beat::last(&context.home, hook.name(), beat);
        if let Some(failed) = last(Beat::Failed).filter(|failed| *failed > since)
            && last(Beat::Delivered).is_none_or(|delivered| delivered < failed)
        {
            let log = context.home.log().join("hooks.jsonl");
            let why = "its harness went on without it";
            let fix = format!("see {}", log.display());
            checkup.problem("hook-failing", hook.name(), "failed when it last had something to do", why, fix);
        }
    }
}

/// Sessions that go on without a word, and harnesses of which none was ever seen.
fn sessions(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let rows = match authority::of(&context.home).call(&ListSessions::default()) {
        Ok(rows) => rows,
        Err(error) => return checkup.unchecked("the sessions", error.to_string()),
    };
    for row in rows.iter().filter(|row| !row.state.is_over()) {
        let dirs = [&row.start_cwd, &row.cwd].into_iter().flatten().map(|dir| VariablePlace::Project(dir));
        super::layers::variables(context, row.harness, dirs, checkup);
        unheard(row, checkup);
    }
    let now = SystemClock.now_ms();
    for install in &ledger.installs {
        let is_seen = rows.iter().any(|row| row.harness == install.harness);
        if !is_seen && install.gone().is_none() && now - install.at_ms > FORGOTTEN_MS {
            let what = format!("no session of {} has been seen since it was installed", install.harness);
            let why = "registered but never fired: perhaps another file is the one that counts";
            let fix = "start a session, then `stopgate sessions`";
            checkup.notice("never-fired", install.settings.display(), what, why, fix);
        }
    }
}

/// A session of which nothing is heard any more although it goes on.
fn unheard(row: &SessionRow, checkup: &mut Checkup) {
    let subject = format!("{} session {}", row.harness, row.session_id);
    let why = "its stops are not judged, and no build is defended in it";
    if let Some(found) = &row.hooks_lost {
        let what = format!("{} while it ran, {}", found.lost, ago(found.at_ms));
        let fix = "installer doctor --fix puts them back; what switches hooks off, take out by hand";
        checkup.problem("hooks-lost", subject, what, why, fix);
    } else if let Some(found) = &row.hooks_silenced {
        let minutes = (SystemClock.now_ms() - found.at_ms).max(0) / 60_000;
        let what = format!("its hooks run with {}, and do nothing here, last {minutes} minutes ago", found.by);
        let fix =
            "take the variable out of the settings or of the environment it was started in; if you set it, nothing";
        checkup.problem("session-silenced", subject, what, why, fix);
    } else if let Some(since) = row.silent_since_ms {
        let what = format!("goes on (its transcript has newer prompts), but its hooks are silent, {}", ago(since));
        checkup.problem("session-silent", subject, what, why, "installer doctor --fix, then restart that session");
    }
}

fn ago(at_ms: UnixMillis) -> String {
    format!("since {} minutes", (SystemClock.now_ms() - at_ms).max(0) / 60_000)
}
