//! A build that one session owns: its state on disk, and the budget of reminders it may spend on its owner.
//!
//! So far only what the stop hook needs; starting and driving builds comes with `stopgate build`.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::checkout::Checkout;
use crate::fsx;
use crate::gate::reminder::fill;
use crate::session::{Harness, SessionKey};
use crate::text::one_line;

/// Largest state file that is read.
const MAX_STATE_BYTES: u64 = 1024 * 1024;
/// How many builds of one checkout are looked at.
const MAX_BUILDS: usize = 256;
/// How long to sleep between two attempts to take a lock.
const LOCK_RETRY: Duration = Duration::from_millis(1);

/// `state.json` of a build, as far as the stop hook reads it. Fields that it does not know survive a write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildState {
    /// Id, and name of the build's directory.
    pub id: String,
    /// What is being built.
    pub task: String,
    /// How far it is.
    pub phase: Phase,
    /// Who owns it; without a stamp nobody is held.
    #[serde(default)]
    pub owner: Option<OwnerStamp>,
    /// How many reminders it may spend.
    pub max_reminders: u32,
    /// How many it has spent.
    #[serde(default)]
    pub reminders_used: u32,
    /// Everything else in the file.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Started, nothing done.
    Idle,
    /// Questions are being cleared up.
    Clarify,
    /// The plan is being made.
    Planning,
    /// Steps are being done.
    Executing,
    /// The result is being checked.
    Verifying,
    /// What the check found is being mended.
    Fixing,
    /// Edge cases are being covered.
    Hardening,
    /// Done.
    Complete,
    /// Given up.
    Failed,
    /// Handed to a person.
    Escalated,
}

impl Phase {
    /// The word on disk and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Clarify => "clarify",
            Self::Planning => "planning",
            Self::Executing => "executing",
            Self::Verifying => "verifying",
            Self::Fixing => "fixing",
            Self::Hardening => "hardening",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Escalated => "escalated",
        }
    }

    /// Whether the build is over.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Escalated)
    }
}

/// Who owns a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerStamp {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// Everything else in the stamp.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, serde_json::Value>,
}

impl BuildState {
    /// Whether the build holds `session`: it is live, stamped with exactly this session, and has budget left.
    pub fn holds(&self, session: &SessionKey) -> bool {
        let owned = self
            .owner
            .as_ref()
            .is_some_and(|owner| owner.harness == session.harness && owner.session_id == session.session_id);
        owned && !self.phase.is_terminal() && self.reminders_used < self.max_reminders
    }

    /// What the owner is told when it is held; [`BuildState::reminders_used`] counts this reminder already.
    pub fn block_reason(&self) -> String {
        fill(
            include_str!("../../templates/build/block.txt"),
            &[
                ("build_id", &one_line(&self.id, 64)),
                ("phase", self.phase.name()),
                ("used", &self.reminders_used.to_string()),
                ("max", &self.max_reminders.to_string()),
                ("task", &crate::redact::redact(&one_line(&self.task, 200))),
            ],
        )
    }
}

/// A state file that cannot be used.
#[derive(Debug)]
pub enum BuildError {
    /// It cannot be read or written.
    Io(io::Error),
    /// It is not a build's state.
    Corrupt(serde_json::Error),
    /// Another process held its lock for too long.
    Busy,
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::Corrupt(error) => write!(out, "not a build's state: {error}"),
            Self::Busy => out.write_str("locked by another process"),
        }
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Directories of the builds of `checkout`. A checkout without builds costs one failed `opendir`.
pub fn directories(checkout: &Checkout) -> Vec<PathBuf> {
    let root = checkout.main.join(".stopgate/builds");
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .take(MAX_BUILDS)
        .collect()
}

/// Reads the state in `dir`.
pub fn read(dir: &Path) -> Result<BuildState, BuildError> {
    let bytes = fsx::read_regular(&dir.join("state.json"), MAX_STATE_BYTES)?;
    serde_json::from_slice(&bytes).map_err(BuildError::Corrupt)
}

/// Spends one reminder of the build in `dir` on `session`: the count on disk is raised before the block is
/// printed, under a lock, and only if the build still holds the session. `None` means that it does not.
pub fn spend(dir: &Path, session: &SessionKey, deadline: Instant) -> Result<Option<BuildState>, BuildError> {
    // Cheap refusal first: whoever is not the owner never opens the lock, let alone writes.
    if !read(dir)?.holds(session) {
        return Ok(None);
    }
    let _lock = lock(dir, deadline)?;
    let mut state = read(dir)?;
    if !state.holds(session) {
        return Ok(None);
    }
    state.reminders_used += 1;
    let mut bytes = serde_json::to_vec_pretty(&state).map_err(BuildError::Corrupt)?;
    bytes.push(b'\n');
    fsx::write_atomic(&dir.join("state.json"), &bytes, 0o600)?;
    Ok(Some(state))
}

fn lock(dir: &Path, deadline: Instant) -> Result<File, BuildError> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(TryLockError::WouldBlock) => return Err(BuildError::Busy),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> SessionKey {
        SessionKey::new(Harness::Claude, id).unwrap()
    }

    fn place(dir: &Path, phase: &str, max: u32) {
        let state = serde_json::json!({
            "id": "b1", "task": "the parser", "phase": phase, "maxReminders": max, "steps": [1, 2],
            "owner": {"harness": "claude", "sessionId": "owner", "host": "h"},
        });
        std::fs::write(dir.join("state.json"), state.to_string()).unwrap();
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn the_owner_is_held_until_the_budget_is_spent_and_foreign_fields_survive() {
        let dir = tempfile::tempdir().unwrap();
        place(dir.path(), "executing", 2);
        assert_eq!(spend(dir.path(), &session("owner"), soon()).unwrap().unwrap().reminders_used, 1);
        let second = spend(dir.path(), &session("owner"), soon()).unwrap().unwrap();
        assert_eq!(second.reminders_used, 2);
        assert!(second.block_reason().contains("reminder 2 of 2") && second.block_reason().contains("the parser"));
        assert!(spend(dir.path(), &session("owner"), soon()).unwrap().is_none());
        assert_eq!(read(dir.path()).unwrap().rest["steps"], serde_json::json!([1, 2]));
    }

    #[test]
    fn others_and_finished_builds_change_no_byte() {
        let dir = tempfile::tempdir().unwrap();
        for (phase, id) in [("executing", "other"), ("complete", "owner"), ("failed", "owner"), ("escalated", "owner")]
        {
            place(dir.path(), phase, 2);
            let before = std::fs::read(dir.path().join("state.json")).unwrap();
            assert!(spend(dir.path(), &session(id), soon()).unwrap().is_none());
            assert_eq!(std::fs::read(dir.path().join("state.json")).unwrap(), before);
        }
        assert!(!dir.path().join("lock").exists());
    }

    #[test]
    fn concurrent_stops_spend_exactly_the_budget() {
        let dir = tempfile::tempdir().unwrap();
        place(dir.path(), "executing", 5);
        let stop = || matches!(spend(dir.path(), &session("owner"), soon()), Ok(Some(_)));
        let held: usize = std::thread::scope(|scope| {
            let stops: Vec<_> = (0..16).map(|_| scope.spawn(stop)).collect();
            stops.into_iter().map(|stop| usize::from(stop.join().unwrap())).sum()
        });
        assert_eq!((held, read(dir.path()).unwrap().reminders_used), (5, 5));
    }

    #[test]
    fn a_corrupt_state_is_an_error_and_not_a_hold() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("state.json"), "{\"id\":").unwrap();
        assert!(matches!(spend(dir.path(), &session("owner"), soon()), Err(BuildError::Corrupt(_))));
    }
}
