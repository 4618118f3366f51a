//! Who lives where, looked at once for many questions: a look goes through the whole process table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_coordination::fence::verdict::Party;
use stopgate_coordination::room::{Place, resolve};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::harness::{Event, EventKind};
use stopgate_core::process::{Liveness, ProcFs, liveness};
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::Turn;
use stopgate_registry::neighbours::{LivingSession, living_of};

use crate::state::State;

/// Sessions that are looked at, the last active first.
const MAX_SESSIONS: u32 = 1_000;
/// Sessions of which it is remembered whom they continue.
const MAX_LINES: usize = 1_000;
/// How old a look may be. Whoever comes or goes says so; who is killed does not.
const FRESH: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(crate) struct Living {
    seen: Mutex<Seen>,
}

/// What was seen last.
#[derive(Default)]
struct Seen {
    /// Counts how often it was outdated: a look that began before that is not kept.
    version: u64,
    last: Option<(Instant, Arc<Vec<LivingSession>>)>,
    /// Whether anybody may have come or gone since.
    is_outdated: bool,
    /// Whom a session continues, with the version at which that was read.
    lines: HashMap<SessionKey, (u64, Vec<SessionKey>)>,
}

impl Living {
    /// Sessions may have come or gone.
    pub(super) fn outdate(&self) {
        let mut seen = self.seen();
        seen.version += 1;
        seen.is_outdated = true;
    }

    /// `key`, and whom it continues.
    pub(super) fn line(&self, state: &State, key: &SessionKey) -> Vec<SessionKey> {
        let version = {
            let seen = self.seen();
            if let Some((at, line)) = seen.lines.get(key)
                && *at == seen.version
            {
                return line.clone();
            }
            seen.version
        };
        match state.storage.with_reader(|store| store.lineage(key)) {
            Ok(line) => {
                let mut seen = self.seen();
                if seen.lines.len() >= MAX_LINES {
                    seen.lines.clear();
                }
                seen.lines.insert(key.clone(), (version, line.clone()));
                line
            }
            Err(_) => self.remembered_line(key).unwrap_or_else(|| vec![key.clone()]),
        }
    }

    /// The same as it was seen last, however long ago; `None` if it never was.
    pub(super) fn remembered_line(&self, key: &SessionKey) -> Option<Vec<SessionKey>> {
        self.seen().lines.get(key).map(|(_, line)| line.clone())
    }

    /// The sessions that lived when that was looked at last; `None` if it never was.
    pub(super) fn remembered(&self) -> Option<Arc<Vec<LivingSession>>> {
        self.seen().last.as_ref().map(|(_, living)| Arc::clone(living))
    }

    /// What an event says of a session. False where the last look, which is fresh, says the same of who lives where: what
    /// most events change is whose turn it is.
    pub(super) fn hear(&self, event: &Event, is_held: bool) -> bool {
        let comes_or_goes = matches!(event.kind, EventKind::SessionStart { .. } | EventKind::SessionEnd { .. });
        let mut seen = self.seen();
        let Some((_, living)) = seen.last.as_mut().filter(|(at, _)| !comes_or_goes && at.elapsed() < FRESH) else {
            return true;
        };
        let Some(at) = living.iter().position(|session| session.key == event.key) else { return true };
        if event.cwd.as_deref().is_some_and(|cwd| !living[at].works_in(cwd)) {
            return true;
        }
        let turn_open = match Turn::of(&event.kind).filter(|_| event.agent_id.is_none()) {
            Some(Turn::Prompted | Turn::Asked) => Some(true),
            Some(Turn::Stopped) => Some(is_held),
            Some(Turn::Started) | None => None,
        };
        if let Some(turn_open) = turn_open.filter(|open| *open != living[at].turn_open) {
            Arc::make_mut(living)[at].turn_open = turn_open;
        }
        false
    }

    /// The sessions whose process is proven to live. One of which that is not known neither holds nor is spared.
    pub(super) fn current(&self, state: &State) -> Arc<Vec<LivingSession>> {
        let last = {
            let seen = self.seen();
            seen.last.clone().filter(|_| !seen.is_outdated)
        };
        match last {
            Some((at, living)) if at.elapsed() < FRESH => living,
            _ => self.look(state),
        }
    }

    /// The same, looked at now.
    pub(super) fn look(&self, state: &State) -> Arc<Vec<LivingSession>> {
        let (began, version) = (Instant::now(), self.seen().version);
        let Ok(rows) = state.storage.with_reader(|store| store.sessions_not_ended(MAX_SESSIONS)) else {
            // What was known is better than nothing.
            return self.remembered().unwrap_or_default();
        };
        let mut living = living_of(rows, state.storage.now_ms());
        living.retain(|session| session.is_proven);
        let living = Arc::new(living);
        let mut seen = self.seen();
        if seen.version == version {
            seen.last = Some((began, Arc::clone(&living)));
            seen.is_outdated = false;
        }
        living
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the process of a session that lived at the last look is there still.
pub(super) fn still_lives(session: &LivingSession) -> bool {
    let gone = |process| liveness(&ProcFs, process) == Liveness::Gone;
    !session.process.as_ref().is_some_and(gone)
}

/// Whether `session` lives around `place`: in a workspace or a superproject that the tree lies in as a repository of its own.
/// Whoever lives in the person's home, or above it, works somewhere in it, and nobody knows where.
pub(super) fn lives_around(session: &LivingSession, place: &Place) -> bool {
    let is_around = |own: &Place| {
        own.tree != place.tree && own.room != place.room && place.tree.starts_with(&own.tree) && !is_home(&own.tree)
    };
    session.place.as_ref().is_some_and(is_around)
}

/// Whether the person's home is `tree`, or lies in it.
fn is_home(tree: &Path) -> bool {
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from).filter(|home| home.is_absolute());
    home.is_some_and(|home| resolve(&home).starts_with(tree))
}

/// A session by its name, or by the beginning of its id where it has none.
pub(super) fn party(living: &[LivingSession], key: &SessionKey) -> Party {
    let name = living.iter().find(|session| session.key == *key).map(|session| session.name.clone());
    Party { key: key.clone(), name: name.unwrap_or_else(|| key.session_id.chars().take(8).collect()) }
}
