//! Builds on disk: `<checkout>/.stopgate/builds/<id>/` holds `state.json`, `audit.jsonl` and a lock.
//!
//! Every change is a compare-and-set under the lock, and replaces the file in one step: a crash leaves the old or
//! the new state. What lies in a checkout may have been planted, so links are not followed and reads are bounded.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::guard::{self, BuildGuard};
use super::hold::{self, BuildTurn, LetGo};
use super::state::{BuildState, Phase};
use crate::owner::{Claimant, OwnerSurroundings, Rung, claim};
use stopgate_core::checkout::Checkout;
use stopgate_core::clock::{SystemClock, UnixMillis};
use stopgate_core::event_id::new_event_id;
use stopgate_core::fsx;
use stopgate_core::json::snake_case_fields;
use stopgate_core::lock::HeldLock;
use stopgate_core::process::{Liveness, ProcessIdentity};

/// Largest state file that is read.
const MAX_STATE_BYTES: u64 = 1024 * 1024;
/// How many builds of one checkout a hook looks at.
const MAX_BUILDS: usize = 256;
/// Name of a state file that could not be understood, before a unique ending.
const QUARANTINE_PREFIX: &str = "state.corrupt-";
const STATE: &str = "state.json";
const AUDIT: &str = "audit.jsonl";
const PRIVATE: u32 = 0o600;
/// [`BuildAuditEvent::StopBlocked`] in the file.
const STOP_BLOCKED: &str = "stop-blocked";

/// A state file that cannot be used.
#[derive(Debug)]
pub enum BuildError {
    /// It cannot be read or written.
    Io(io::Error),
    /// It is not a build's state, and was moved aside to this path.
    Quarantined(PathBuf),
    /// It was written by a newer version of stopgate.
    Newer(u64),
    /// Another process held its lock for too long.
    Busy,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::Quarantined(path) => {
                let name = path.file_name().unwrap_or_default().display();
                write!(out, "not a build's state; moved aside as {name}, `stopgate build restore` brings it back")
            }
            Self::Newer(schema) => write!(out, "format {schema} is of a newer stopgate"),
            Self::Busy => out.write_str("locked by another process"),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What an audit line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum BuildAuditEvent {
    BuildStarted,
    PhaseChanged,
    StepRecorded,
    StopBlocked,
    RemindersSpent,
    OwnerStamped,
    OwnerReleased,
    BuildPaused,
    BuildResumed,
    WorktreeCreated,
    WorktreeMerged,
    WorktreeRemoved,
    BuildCompleted,
    BuildFailed,
    BuildEscalated,
    StateRestored,
}

/// One line of `audit.jsonl`: what happened, and the whole state after it, so that the state can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// When.
    pub at_ms: UnixMillis,
    /// What.
    pub event: BuildAuditEvent,
    /// The phase before, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Phase>,
    /// The circumstances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The state after it.
    pub state: BuildState,
}

/// The directory that holds everything of stopgate in `checkout`.
pub fn root(checkout: &Checkout) -> PathBuf {
    checkout.main.join(".stopgate")
}

/// Directories of the builds of `checkout` that are not archived. A checkout without builds costs one failed
/// `opendir`.
pub fn directories(checkout: &Checkout) -> Vec<PathBuf> {
    let root = root(checkout);
    let builds = root.join("builds");
    let Ok(entries) = std::fs::read_dir(&builds) else {
        return Vec::new();
    };
    let real = |dir: &Path| std::fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir());
    if !real(&root) || !real(&builds) {
        return Vec::new();
    }
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(MAX_BUILDS)
        .collect()
}

/// Reads the state in `dir`; `None` if there is none. A file that is not understood is moved aside.
pub fn read(dir: &Path) -> Result<Option<BuildState>, BuildError> {
    read_as(dir, |state| serde_json::from_value(state).ok())
}

fn read_as<T>(dir: &Path, understand: impl FnOnce(Value) -> Option<T>) -> Result<Option<T>, BuildError> {
    let path = dir.join(STATE);
    let bytes = match fsx::read_regular(&path, MAX_STATE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Some(schema) = guard::newer_schema(&value) {
        return Err(BuildError::Newer(schema));
    }
    guard::upgrade(&mut value);
    if let Some(state) = understand(value) {
        return Ok(Some(state));
    }
    let aside = dir.join(format!("{QUARANTINE_PREFIX}{}.json", new_event_id(&SystemClock)));
    std::fs::rename(&path, &aside)?;
    Err(BuildError::Quarantined(aside))
}

/// The state in the bytes of a state file; `None` if it is none that this version knows.
pub fn parse(bytes: &[u8]) -> Option<BuildState> {
    let mut value = serde_json::from_slice(bytes).ok()?;
    guard::upgrade(&mut value);
    serde_json::from_value(value).ok()
}

/// A line of the audit file; `None` if it is none that this version knows.
pub fn parse_audit(line: &str) -> Option<AuditLine> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    guard::upgrade(value.get_mut("state")?);
    snake_case_fields(&mut value);
    serde_json::from_value(value).ok()
}

/// Replaces the state in `dir`. Call it under [`lock`].
pub fn write(dir: &Path, state: &BuildState) -> Result<(), BuildError> {
    write_bytes(dir, serde_json::to_vec(state))
}

fn write_bytes(dir: &Path, bytes: serde_json::Result<Vec<u8>>) -> Result<(), BuildError> {
    let mut bytes = bytes.map_err(io::Error::from)?;
    bytes.push(b'\n');
    Ok(fsx::write_atomic(&dir.join(STATE), &bytes, PRIVATE)?)
}

/// Appends to the audit file in `dir`.
pub fn append_audit(dir: &Path, line: &AuditLine) -> Result<(), BuildError> {
    append(dir, serde_json::to_vec(line))
}

/// One write, so that lines do not mix. A line that a crash tore is ended first, so that it spoils no other.
fn append(dir: &Path, bytes: serde_json::Result<Vec<u8>>) -> Result<(), BuildError> {
    let mut bytes = bytes.map_err(io::Error::from)?;
    bytes.push(b'\n');
    let mut file = fsx::open_regular(OpenOptions::new().create(true).read(true).append(true), &dir.join(AUDIT))?;
    let meta = file.metadata()?;
    if meta.nlink() > 1 {
        return Err(
            io::Error::new(io::ErrorKind::InvalidInput, "it has another name, and may be another's file").into()
        );
    }
    let length = meta.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        bytes.insert(0, b'\n');
    }
    Ok(file.write_all(&bytes)?)
}

/// Takes the lock of `dir`: a build's directory, or [`root`] for starting one.
pub fn lock(dir: &Path, deadline: Instant) -> Result<HeldLock, BuildError> {
    let file = fsx::open_regular(OpenOptions::new().create(true).truncate(false).write(true), &dir.join("lock"))?;
    if stopgate_core::lock::take(&file, deadline)? { Ok(HeldLock::new(file)) } else { Err(BuildError::Busy) }
}

/// A stop that a build holds.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBuild {
    /// The state on disk, with this reminder counted.
    pub state: Value,
    /// What of it decided.
    pub guard: BuildGuard,
    /// How the owner was recognised.
    pub rung: Rung,
}

/// Spends one reminder of the build in `dir` on `claimant`: the count on disk is raised before the block is printed,
/// and only if the build holds the claimant. Whoever is not held changes no byte. `is_released` tells whether the person
/// ended the turn, and is asked only where the build would hold.
pub fn spend(
    dir: &Path,
    claimant: &Claimant,
    turn: BuildTurn,
    world: &dyn OwnerSurroundings,
    now: UnixMillis,
    deadline: Instant,
    is_released: impl FnOnce() -> bool,
) -> Result<Result<HeldBuild, LetGo>, BuildError> {
    // Cheap refusal first: for whoever is not held nothing more is looked at, and no lock opened.
    if let Err(reason) = judge(dir, claimant, turn, world, now)? {
        return Ok(Err(reason));
    }
    if is_released() {
        return Ok(Err(LetGo::Released));
    }
    let _lock = lock(dir, deadline)?;
    let held = judge(dir, claimant, turn, world, now)?;
    if let Ok(held) = &held {
        write_bytes(dir, serde_json::to_vec(&held.state))?;
    }
    Ok(held)
}

/// Decides on a stop, and writes nothing.
fn judge(
    dir: &Path,
    claimant: &Claimant,
    turn: BuildTurn,
    world: &dyn OwnerSurroundings,
    now: UnixMillis,
) -> Result<Result<HeldBuild, LetGo>, BuildError> {
    let understand = |state: Value| BuildGuard::of(&state).map(|guard| (state, guard));
    let Some((mut state, guard)) = read_as(dir, understand)? else { return Ok(Err(LetGo::Ended)) };
    if guard.phase.is_terminal() {
        return Ok(Err(LetGo::Ended));
    }
    let Some(rung) = guard.owner.as_ref().and_then(|stamp| claim(stamp, claimant, world)) else {
        return Ok(Err(LetGo::NotOwner));
    };
    // A session that is open in its own process is opened a second time: what is stamped stays where the first one is.
    let lives = |stamped: &ProcessIdentity| world.liveness(stamped) != Liveness::Gone;
    let is_second = rung == Rung::Session
        && guard
            .owner
            .as_ref()
            .and_then(|owner| owner.process.as_ref())
            .is_some_and(|stamped| claimant.process.as_ref().is_some_and(|own| !stamped.is(own)) && lives(stamped));
    let unplaced = Claimant { process: None, tmux: None, ..claimant.clone() };
    let claimant = if is_second { &unplaced } else { claimant };
    Ok(hold::judge(&guard, claimant, rung, turn, now).map(|guard| {
        guard.write_into(&mut state);
        HeldBuild { state, guard, rung }
    }))
}

/// Marks that the end of the budget has been told; `false` if it was marked before.
pub fn mark_spent(dir: &Path) -> bool {
    fsx::open_regular(OpenOptions::new().write(true).create_new(true), &dir.join("spent")).is_ok()
}

/// Notes a held stop in the audit file: the same line that [`append_audit`] writes, without its derived code.
pub fn append_blocked(dir: &Path, held: &HeldBuild, detail: Option<String>, now: UnixMillis) -> Result<(), BuildError> {
    let mut line = Map::new();
    line.insert("at_ms".to_owned(), now.into());
    line.insert("event".to_owned(), STOP_BLOCKED.into());
    if let Some(detail) = detail {
        line.insert("detail".to_owned(), detail.into());
    }
    line.insert("state".to_owned(), held.state.clone());
    append(dir, serde_json::to_vec(&Value::Object(line)))
}

#[cfg(test)]
mod tests {
    use super::super::state::{SCHEMA, Size};
    use super::*;
    use crate::owner::OwnerStamp;
    use std::time::Duration;
    use stopgate_core::session::{Harness, SessionKey};
    use stopgate_core::tmux::TmuxRecord;

    const TURN: BuildTurn = BuildTurn { continued: false, cap: None, released: false };

    struct Nowhere;

    impl OwnerSurroundings for Nowhere {
        fn liveness(&self, _: &ProcessIdentity) -> Liveness {
            Liveness::Unknown
        }
        fn tmux_record(&self, _: &ProcessIdentity) -> Option<TmuxRecord> {
            None
        }
        fn descends(&self, _: &[&ProcessIdentity], _: &str, _: &str) -> bool {
            false
        }
        fn follows(&self, _: &ProcessIdentity, _: &ProcessIdentity) -> bool {
            false
        }
    }

    fn claimant(id: &str) -> Claimant {
        Claimant { key: SessionKey::new(Harness::Claude, id).unwrap(), tmux: None, process: None, host: "h".into() }
    }

    fn place(dir: &Path, phase: Phase) -> BuildState {
        let owner = OwnerStamp { session_id: Some("owner".into()), ..OwnerStamp::default() };
        let state = BuildState { phase, ..BuildState::started("b".into(), "t".into(), Size::Small, Some(owner), 0) };
        write(dir, &state).unwrap();
        state
    }

    fn stop(dir: &Path, id: &str) -> Result<Result<HeldBuild, LetGo>, BuildError> {
        spend(dir, &claimant(id), TURN, &Nowhere, 1, Instant::now() + Duration::from_secs(20), || false)
    }

    #[test]
    fn the_budget_is_on_disk_before_anybody_is_held() {
        let dir = tempfile::tempdir().unwrap();
        place(dir.path(), Phase::Executing);
        for used in 1..=3 {
            assert_eq!(stop(dir.path(), "owner").unwrap().unwrap().guard.reminders_used, used);
            assert_eq!(read(dir.path()).unwrap().unwrap().reminders_used, used);
        }
        assert_eq!(stop(dir.path(), "owner").unwrap(), Err(LetGo::Spent));
    }

    /// As `claude -p --resume` does with a session that is open in a terminal.
    #[test]
    fn a_second_process_of_a_session_is_held_and_moves_nothing() {
        struct Living(Liveness);
        impl OwnerSurroundings for Living {
            fn liveness(&self, _: &ProcessIdentity) -> Liveness {
                self.0
            }
            fn tmux_record(&self, _: &ProcessIdentity) -> Option<TmuxRecord> {
                None
            }
            fn descends(&self, _: &[&ProcessIdentity], _: &str, _: &str) -> bool {
                false
            }
            fn follows(&self, _: &ProcessIdentity, _: &ProcessIdentity) -> bool {
                false
            }
        }
        let process = |pid| ProcessIdentity { pid, ..ProcessIdentity::default() };
        for (liveness, expected) in [(Liveness::Alive, 7), (Liveness::Unknown, 7), (Liveness::Gone, 8)] {
            let dir = tempfile::tempdir().unwrap();
            let state = place(dir.path(), Phase::Executing);
            let owner = state.owner.clone().map(|owner| OwnerStamp { process: Some(process(7)), ..owner });
            write(dir.path(), &BuildState { owner, ..state }).unwrap();
            let second = Claimant { process: Some(process(8)), ..claimant("owner") };
            let until = Instant::now() + Duration::from_secs(20);
            let held = spend(dir.path(), &second, TURN, &Living(liveness), 1, until, || false).unwrap().unwrap();
            assert_eq!(held.guard.owner.unwrap().process.unwrap().pid, expected, "{liveness:?}");
        }
    }

    #[test]
    fn others_and_finished_builds_change_no_byte() {
        let dir = tempfile::tempdir().unwrap();
        for (phase, id) in [
            (Phase::Executing, "other"),
            (Phase::Complete, "owner"),
            (Phase::Failed, "owner"),
            (Phase::Escalated, "owner"),
        ] {
            place(dir.path(), phase);
            let before = std::fs::read(dir.path().join(STATE)).unwrap();
            assert!(stop(dir.path(), id).unwrap().is_err());
            assert_eq!(std::fs::read(dir.path().join(STATE)).unwrap(), before);
        }
        assert!(!dir.path().join("lock").exists());
    }

    #[test]
    fn the_audit_of_a_held_stop_can_be_read_back() {
        let dir = tempfile::tempdir().unwrap();
        place(dir.path(), Phase::Executing);
        let held = stop(dir.path(), "owner").unwrap().unwrap();
        append_blocked(dir.path(), &held, Some("why".into()), 9).unwrap();
        let line: AuditLine = serde_json::from_slice(&std::fs::read(dir.path().join(AUDIT)).unwrap()).unwrap();
        assert_eq!((line.at_ms, line.event, line.detail.as_deref()), (9, BuildAuditEvent::StopBlocked, Some("why")));
        assert_eq!(Some(line.state), read(dir.path()).unwrap());
    }

    #[test]
    fn concurrent_stops_spend_exactly_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        place(dir.path(), Phase::Executing);
        let held: usize = std::thread::scope(|scope| {
            let stops: Vec<_> =
                (0..16).map(|_| scope.spawn(|| matches!(stop(dir.path(), "owner"), Ok(Ok(_))))).collect();
            stops.into_iter().map(|stop| usize::from(stop.join().unwrap())).sum()
        });
        assert_eq!((held, read(dir.path()).unwrap().unwrap().reminders_used), (3, 3));
    }

    #[test]
    fn what_is_not_understood_is_moved_aside_and_what_is_newer_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(STATE), "{\"id\":").unwrap();
        let Err(BuildError::Quarantined(aside)) = stop(dir.path(), "owner") else { panic!("not quarantined") };
        assert_eq!(std::fs::read(aside).unwrap(), b"{\"id\":");
        assert_eq!(stop(dir.path(), "owner").unwrap(), Err(LetGo::Ended), "nothing is left to be held by");
        std::fs::write(dir.path().join(STATE), format!("{{\"schema\": {}, \"id\": 7}}", SCHEMA + 1)).unwrap();
        assert!(matches!(stop(dir.path(), "owner"), Err(BuildError::Newer(newer)) if newer == u64::from(SCHEMA) + 1));
        assert!(dir.path().join(STATE).exists());
    }

    #[test]
    fn planted_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir_all(real.join("builds/b")).unwrap();
        let top = dir.path().join("checkout");
        std::fs::create_dir_all(top.join(".git")).unwrap();
        std::os::unix::fs::symlink(&real, top.join(".stopgate")).unwrap();
        let checkout = stopgate_core::checkout::find(&top).unwrap();
        assert_eq!(directories(&checkout), Vec::<PathBuf>::new());
    }
}
