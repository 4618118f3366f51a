//! Sessions that live, and where: who shares a working tree with whom.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stopgate_coordination::room::Place;
use stopgate_core::clock::UnixMillis;
use stopgate_core::process::{Liveness, ProcessIdentity};
use stopgate_core::session::state::SessionState;
use stopgate_core::session::{LIVE_CHECK_PREFIX, SessionKey};
use stopgate_protocol::SessionRow;
use stopgate_store::{Store, StoreError};

/// Sessions that are looked at, the last active first.
const MAX_SESSIONS: u32 = 1_000;

/// A session that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivingSession {
    /// Which.
    pub key: SessionKey,
    /// What people and agents call it.
    pub name: String,
    /// Where it works: the place of its working directory. `None` where no event said which that is.
    pub place: Option<Place>,
    /// What it is doing.
    pub state: SessionState,
    /// Whether its process is proven to live. One of which that is not known is listed, but neither holds nor blocks.
    pub is_proven: bool,
    /// When it began.
    pub since_ms: Option<UnixMillis>,
    /// Whether the agent is in the midst of a turn, be it that it waits for an answer.
    pub turn_open: bool,
    /// When it was last heard.
    pub last_event_at_ms: Option<UnixMillis>,
    /// The process in which it runs.
    pub process: Option<ProcessIdentity>,
}

impl LivingSession {
    /// What `row`, looked at, says of a session that lives; `None` if it is over, or was made up by a live check.
    fn of(row: &SessionRow, places: &mut Places) -> Option<Self> {
        if row.state.is_over() || row.session_id.starts_with(LIVE_CHECK_PREFIX) {
            return None;
        }
        Some(Self {
            key: row.key(),
            name: name_of(row),
            place: row.cwd.as_deref().and_then(|cwd| places.of(cwd)),
            state: row.state,
            is_proven: row.liveness == Liveness::Alive,
            since_ms: row.started_at_ms,
            turn_open: matches!(row.state, SessionState::Working | SessionState::Waiting),
            last_event_at_ms: row.last_event_at_ms,
            process: row.harness_process.clone(),
        })
    }

    /// Whether `cwd` is in the place where it works.
    pub fn works_in(&self, cwd: &Path) -> bool {
        self.place.is_some() && place_of(cwd) == self.place
    }

    /// Top of the working tree that it lives in.
    pub fn tree(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.tree.as_path())
    }
}

/// Its name, or the beginning of its id where the store could not be written to give it one.
fn name_of(row: &SessionRow) -> String {
    row.name.clone().unwrap_or_else(|| row.session_id.chars().take(8).collect())
}

/// The place of a working directory. One that is gone is nobody else's: what is around it is not where the session works.
fn place_of(cwd: &Path) -> Option<Place> {
    if cwd.is_dir() { Place::of(cwd) } else { Some(Place::alone(cwd)) }
}

/// Places of working directories: many sessions work in the same.
#[derive(Default)]
struct Places(BTreeMap<PathBuf, Option<Place>>);

impl Places {
    fn of(&mut self, cwd: &Path) -> Option<Place> {
        if let Some(known) = self.0.get(cwd) {
            return known.clone();
        }
        let found = place_of(cwd);
        self.0.insert(cwd.to_owned(), found.clone());
        found
    }
}

/// The sessions that live, the last active first. Blocks: looks at processes and files.
pub fn living(store: &Store, now_ms: UnixMillis) -> Result<Vec<LivingSession>, StoreError> {
    Ok(living_of(store.sessions_not_ended(MAX_SESSIONS)?, now_ms))
}

/// Those of `rows` that live. Blocks: looks at processes and files.
pub fn living_of(mut rows: Vec<SessionRow>, now_ms: UnixMillis) -> Vec<LivingSession> {
    crate::look_who_lives(&mut rows, now_ms);
    let mut places = Places::default();
    rows.iter().filter_map(|row| LivingSession::of(row, &mut places)).collect()
}

/// The other sessions that live in the working tree of `place`, the last active first. Blocks; looks at processes
/// only where there may be any.
pub fn beside(
    store: &Store,
    now_ms: UnixMillis,
    own: &SessionKey,
    place: &Place,
) -> Result<Vec<LivingSession>, StoreError> {
    let mut places = Places::default();
    let mut rows = store.sessions_not_ended(MAX_SESSIONS)?;
    rows.retain(|row| {
        let Some(cwd) = row.cwd.as_ref().filter(|_| row.key() != *own) else { return false };
        places.of(cwd).is_some_and(|found| found.tree == place.tree)
    });
    crate::look_who_lives(&mut rows, now_ms);
    Ok(rows.iter().filter_map(|row| LivingSession::of(row, &mut places)).collect())
}

/// The sessions of each working tree, by its top.
pub fn by_tree(sessions: &[LivingSession]) -> BTreeMap<PathBuf, Vec<&LivingSession>> {
    let mut trees: BTreeMap<PathBuf, Vec<&LivingSession>> = BTreeMap::new();
    for session in sessions {
        if let Some(tree) = session.tree() {
            trees.entry(tree.to_owned()).or_default().push(session);
        }
    }
    trees
}
