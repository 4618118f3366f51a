//! What is known of the session besides its checkout: its transcript and its builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use stopgate_build_guard::state::BuildState;
use stopgate_build_guard::store;
use stopgate_core::checkout::Checkout;
use stopgate_core::fsx;
use stopgate_core::session::SessionKey;
use stopgate_gate::transcript::{TaskStatus, TouchedFiles, Transcript};
use stopgate_registry::end_of_transcript;

use super::Session;

/// Largest file of a task that is read.
const MAX_TASK_BYTES: u64 = 64 * 1024;

/// What the end of the session's transcript tells, and the harness's own files of its tasks; nothing if it cannot be read,
/// `None` if it could not be before `deadline`.
pub(super) fn transcript(session: &Session<'_>, deadline: Instant) -> Option<Transcript> {
    let Some(path) = session.transcript else { return Some(Transcript::default()) };
    let mut transcript = match session.told {
        Some(told) => told.clone(),
        None => end_of_transcript(session.key.harness, path, deadline)?,
    };
    if let Some(tasks) = task_files(session.key, path) {
        transcript.settle(|id| if Instant::now() < deadline { task_status(&tasks, id) } else { None });
    }
    (Instant::now() < deadline).then_some(transcript)
}

/// Where the harness keeps the session's tasks, a file each, if it does. A subagent or a teammate that finishes one says
/// so there, and not in the session's transcript.
fn task_files(key: &SessionKey, transcript: &Path) -> Option<PathBuf> {
    let spec = key.harness.spec();
    // As many levels above the transcript as the harness puts between it and its own directory.
    let directory = transcript.ancestors().nth(spec.transcripts.1 + 1)?;
    Some(directory.join(spec.tasks?).join(&key.session_id)).filter(|tasks| tasks.is_dir())
}

/// How far a task is; `None` if it is none any more.
fn task_status(tasks: &Path, id: &str) -> Option<TaskStatus> {
    let file = tasks.join(format!("{id}.json"));
    if !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let task: Value = serde_json::from_slice(&fsx::read_regular(&file, MAX_TASK_BYTES).ok()?).ok()?;
    TaskStatus::of(task["status"].as_str()?)
}

/// Files that the agent had to do with, relative to the top of the working tree, or of another one of the repository.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) written: BTreeSet<String>,
    pub(super) read: BTreeSet<String>,
    /// How many boxes were ticked in each.
    pub(super) ticked: BTreeMap<String, usize>,
}

impl Touched {
    /// `others` are the other working trees of the repository.
    pub(super) fn of(checkout: &Checkout, others: &[Checkout], cwd: &Path, files: &TouchedFiles) -> Self {
        let tops: Vec<&Path> = std::iter::once(checkout).chain(others).map(|tree| &*tree.worktree).collect();
        let relative = |file: &PathBuf| {
            let file = cwd.join(file);
            // The innermost: one working tree may lie in another.
            let inside = |file: &Path| {
                let tops = tops.iter().filter(|top| file.starts_with(top));
                let top = tops.max_by_key(|top| top.as_os_str().len())?;
                let path = file.strip_prefix(top).ok()?.to_str()?;
                (!path.split('/').any(|part| part == "..")).then(|| path.to_owned())
            };
            // Named by way of a link, or of `..`.
            let real = || file.parent()?.canonicalize().ok().zip(file.file_name()).map(|(dir, name)| dir.join(name));
            inside(&file).or_else(|| inside(&real()?))
        };
        let all = |files: &BTreeSet<PathBuf>| files.iter().filter_map(relative).collect();
        let ticked = files.ticked.iter().filter_map(|(file, count)| Some((relative(file)?, *count)));
        Self { written: all(&files.written), read: all(&files.read), ticked: ticked.collect() }
    }
}

/// Ids of the session's builds that are not over, as far as they could be read before `deadline`.
pub(super) fn live_builds(checkout: &Checkout, key: &SessionKey, deadline: Instant) -> Vec<String> {
    let is_own = |state: &BuildState| {
        let owner = state.owner.as_ref().filter(|owner| owner.harness.is_none_or(|harness| harness == key.harness));
        let session = owner.and_then(|owner| owner.session_id.as_deref());
        session == Some(&key.session_id) && !state.phase.is_terminal()
    };
    store::directories(checkout)
        .iter()
        .take_while(|_| Instant::now() < deadline)
        .filter_map(|dir| store::read(dir).ok().flatten())
        .filter(is_own)
        .map(|state| state.id)
        .collect()
}
