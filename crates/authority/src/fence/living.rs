//! Who lives where, looked at once for many questions: a look goes through the whole process table.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stopgate_coordination::fence::verdict::Party;
use stopgate_coordination::room::{Place, resolve};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::process::{Liveness, ProcFs, liveness};
use stopgate_core::session::SessionKey;
use stopgate_registry::neighbours::LivingSession;

use crate::state::State;

/// Sessions that are looked at, the last active first.
const MAX_SESSIONS: u32 = 1_000;
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
}

impl Living {
    /// Sessions may have come or gone.
    pub(super) fn outdate(&self) {
        let mut seen = self.seen();
        seen.version += 1;
        seen.last = None;
    }

    /// The sessions whose process is proven to live. One of which that is not known neither holds nor is spared.
    pub(super) fn current(&self, state: &State) -> Arc<Vec<LivingSession>> {
        let last = self.seen().last.clone();
        match last {
            Some((at, living)) if at.elapsed() < FRESH => living,
            _ => self.look(state),
        }
    }

    /// The same, looked at now.
    pub(super) fn look(&self, state: &State) -> Arc<Vec<LivingSession>> {
        let (began, version) = (Instant::now(), self.seen().version);
        let Ok(mut rows) = state.storage.with_reader(|store| store.sessions_not_ended(MAX_SESSIONS)) else {
            // What was known is better than nothing.
            return self.seen().last.as_ref().map(|(_, living)| Arc::clone(living)).unwrap_or_default();
        };
        stopgate_registry::look(&mut rows, &state.home, state.storage.now_ms());
        let living = rows.iter().filter_map(LivingSession::of).filter(|session| session.is_proven);
        let living: Arc<Vec<_>> = Arc::new(living.collect());
        let mut seen = self.seen();
        if seen.version == version {
            seen.last = Some((began, Arc::clone(&living)));
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
