//! Files: programs against the manifest, modes, leftovers, room, clock.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use stopgate_core::VERSION;
use stopgate_core::clock::{Clock, DAY_MS, SystemClock};
use stopgate_core::paths::Home;
use stopgate_protocol::version::is_newer;

use super::finding::{Checkup, Repair};
use crate::commands::Context;
use crate::digest::sha256;
use crate::home;
use crate::ledger::Ledger;
use crate::leftovers;
use crate::manifest::{File, MANIFEST, Manifest};

/// Less room than this, and the database cannot grow for long.
const LITTLE_ROOM_BYTES: u64 = 50 * 1024 * 1024;
/// How far a clock may be off before times mean nothing.
const CLOCK_SLACK_MS: i64 = DAY_MS;
/// 2026-01-01, when this was written: no right clock is before it.
const WRITTEN_MS: i64 = 1_767_225_600_000;

pub(super) fn check(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    programs(context, checkup);
    place(&context.home, checkup);
    modes(context, checkup);
    writable(context.home.root(), checkup);
    let places = leftovers::places(context.environment, &context.home, ledger);
    let dirs = || places.iter().map(PathBuf::as_path);
    let foreign = leftovers::foreign(dirs());
    if !foreign.is_empty() {
        let subject = foreign.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let what = "moved aside by an installer that was killed, with what somebody else had just written";
        let why = "the settings are without it";
        checkup.fixable("leftovers", subject, what, why, "installer doctor --fix", Repair::Leftovers(foreign));
    }
    let left = leftovers::find(dirs());
    if !left.is_empty() {
        let subject = left.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let repair = Repair::Leftovers(left);
        let what = "left behind by an installer that was killed";
        checkup.fixable("leftovers", subject, what, "they only take room", "installer doctor --fix", repair);
    }
    room(context.home.root(), checkup);
    clock(ledger, checkup);
    version(context, ledger, checkup);
}

fn programs(context: &Context<'_>, checkup: &mut Checkup) {
    let path = context.home.root().join(MANIFEST);
    let manifest = match Manifest::read(&path) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => {
            let why = "nobody can tell whether the programs are those that were installed";
            checkup.fixable("manifest-missing", path.display(), "is gone", why, "installer migrate", Repair::Migrate);
            return;
        }
        Err(error) => return checkup.unchecked("programs", format!("{error:#}")),
    };
    for File { name, sha256: expected, .. } in &manifest.programs {
        let path = context.home.bin().join(name);
        let again = "run `installer init` of the release";
        let why = "every settings file calls the programs there; a harness passes over one that is not";
        match std::fs::read(&path) {
            Err(error) => checkup.problem("program-missing", path.display(), error.to_string(), why, again),
            Ok(bytes) if sha256(&bytes) != *expected => {
                let why =
                    "its bytes are not those that were installed: an update was interrupted, or somebody wrote it";
                checkup.problem("program-changed", path.display(), "differs from the manifest", why, again);
            }
            Ok(_) => {
                let is_executable = std::fs::metadata(&path).is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0);
                if !is_executable {
                    let fix = format!("chmod 755 {}", path.display());
                    let repair = Repair::Mode(path.clone(), 0o755);
                    checkup.fixable("program-not-executable", path.display(), "cannot be run", why, fix, repair);
                }
            }
        }
    }
}

/// Whether programs in the home can be run, and whether it is this machine's own.
fn place(home: &Home, checkup: &mut Checkup) {
    if let Some(what) = home::forbids_programs(home) {
        let why =
            "every settings file calls the programs there; a harness cannot start them, and goes on without a word";
        checkup.problem("programs-noexec", home.bin().display(), what, why, home::ELSEWHERE);
    }
    if let Some(mount) = home::shared(home) {
        let what = format!("on {} at {}, which other machines may have mounted", mount.kind, mount.point.display());
        let why = "the database keeps part of itself in shared memory, and a socket is one machine's: used from two \
                   machines at once, it may be damaged";
        let fix = "set STOPGATE_HOME to a directory on a disk of each machine, and run `installer init` there";
        checkup.notice("home-shared", home.root().display(), what, why, fix);
    }
}

/// Our files that nobody else may read or reach: the finding's id, the file, the mode it should have.
pub(super) fn private(home: &Home) -> [(&'static str, PathBuf, u32); 4] {
    [
        ("home-open", home.root().to_owned(), 0o700),
        ("socket-open", home.socket(), 0o600),
        ("database-open", home.database(), 0o600),
        ("ledger-open", home.ledger(), 0o600),
    ]
}

fn modes(context: &Context<'_>, checkup: &mut Checkup) {
    for (id, path, mode) in private(&context.home) {
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if id == "socket-open" && !meta.file_type().is_socket() {
            // Somebody's file in its place: not ours to change.
            continue;
        }
        if meta.permissions().mode() & 0o077 != 0 {
            let what = format!("mode {:o}: others may look into it", meta.permissions().mode() & 0o777);
            let fix = format!("chmod {mode:o} {}", path.display());
            let why = "it holds what agents said and where, and whoever reaches the socket can ask about it";
            checkup.fixable(id, path.display(), what, why, fix, Repair::Mode(path.clone(), mode));
        }
    }
}

fn writable(root: &Path, checkup: &mut Checkup) {
    if let Err(error) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
        let what = format!("cannot be written: {}", std::io::Error::from(error));
        let why = "without it nothing is recorded and no authority starts; hooks then allow every stop";
        let fix = "give the directory back to yourself (chown, chmod 700), or mount its file system for writing";
        checkup.problem("home-not-writable", root.display(), what, why, fix);
    }
}

fn room(root: &Path, checkup: &mut Checkup) {
    match rustix::fs::statvfs(root) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            if free < LITTLE_ROOM_BYTES {
                let what = format!("only {} MiB are free", free / (1024 * 1024));
                let why = "verdicts and sessions cannot be recorded on a full disk; hooks then allow everything";
                checkup.problem("disk-full", root.display(), what, why, "make room on that file system");
            }
        }
        Err(error) => checkup.unchecked("disk space", format!("{}: {error}", root.display())),
    }
}

fn clock(ledger: &Ledger, checkup: &mut Checkup) {
    let now = SystemClock.now_ms();
    let latest = ledger.installs.iter().map(|install| install.at_ms).max().unwrap_or(0);
    if now < WRITTEN_MS || now + CLOCK_SLACK_MS < latest {
        let why = "the gate compares commits and plans with the start of a session";
        checkup.problem("clock", "this machine's clock", "is behind", why, "set the clock");
    }
}

fn version(context: &Context<'_>, ledger: &Ledger, checkup: &mut Checkup) {
    let root = context.home.root().display();
    let why = "settings, database and programs are of one version only after a migration";
    match ledger.version.as_deref() {
        Some(VERSION) => {}
        Some(newer) if is_newer(newer, VERSION) => {
            let what = format!("was brought to {newer}, this installer is {VERSION}");
            checkup.problem("version-newer", root, what, why, format!("run the installer of {newer}"));
        }
        other => {
            let what = format!("was brought to {}, this installer is {VERSION}", other.unwrap_or("no version"));
            checkup.fixable("version-skew", root, what, why, "installer migrate", Repair::Migrate);
        }
    }
    let result = std::fs::read(context.home.run().join("migrate.json")).ok();
    let result: Option<serde_json::Value> = result.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    for step in result.iter().filter_map(|result| result["steps"].as_array()).flatten() {
        if step["outcome"] == "failed" {
            let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
            let what = format!("the last migration failed: {}", text("detail"));
            let fix = "mend what it says, then `installer migrate`";
            checkup.problem("migration-failed", text("subject"), what, why, fix);
        }
    }
    if !ledger.pending_guides.is_empty() {
        let what = format!("the guide of {} is unread", ledger.pending_guides.join(", "));
        let fix = "installer migrate, then installer migrate --acknowledge";
        checkup.notice("guide-unread", "upgrade guides", what, "it says what an update changes for you", fix);
    }
}
