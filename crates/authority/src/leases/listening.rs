//! Requests that wait for a lease: one of each session. What becomes of a wait is told to them, and nobody asks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stopgate_coordination::lease::WaitEnd;
use stopgate_core::session::SessionKey;
use tokio::sync::oneshot;

/// What becomes of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The session holds what it waited for.
    Granted,
    /// It waits no more, for another reason.
    Retired(WaitEnd),
}

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    of: Mutex<HashMap<SessionKey, Ear>>,
}

#[derive(Debug)]
struct Ear {
    tell: oneshot::Sender<Heard>,
    /// Which listener it is of.
    id: u64,
}

/// A request that waits, until it goes.
#[derive(Debug)]
pub(crate) struct Listener {
    listening: Arc<Listening>,
    id: u64,
    heard: oneshot::Receiver<Heard>,
}

impl Listener {
    /// Waits until something becomes of the wait.
    pub(crate) async fn hear(&mut self) -> Heard {
        // Whoever replaces this one says so.
        (&mut self.heard).await.unwrap_or(Heard::Retired(WaitEnd::Replaced))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut of = self.listening.of();
        let id = self.id;
        of.retain(|_, ear| ear.id != id);
    }
}

impl Listening {
    fn of(&self) -> MutexGuard<'_, HashMap<SessionKey, Ear>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for `session`; whoever did before is replaced.
    pub(super) fn listen(self: &Arc<Self>, session: &SessionKey) -> Listener {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (tell, heard) = oneshot::channel();
        let older = self.of().insert(session.clone(), Ear { tell, id });
        if let Some(older) = older {
            let _ = older.tell.send(Heard::Retired(WaitEnd::Replaced));
        }
        Listener { listening: Arc::clone(self), id, heard }
    }

    /// Whether somebody listens for `session`.
    pub(super) fn has(&self, session: &SessionKey) -> bool {
        self.of().contains_key(session)
    }

    /// Tells whoever listens for `session`.
    pub(super) fn tell(&self, session: &SessionKey, heard: Heard) {
        let ear = self.of().remove(session);
        if let Some(ear) = ear {
            let _ = ear.tell.send(heard);
        }
    }

    /// The session goes on by another id.
    pub(super) fn rename(&self, from: &SessionKey, to: &SessionKey) {
        let mut of = self.of();
        if let Some(ear) = of.remove(from) {
            of.insert(to.clone(), ear);
        }
    }
}
