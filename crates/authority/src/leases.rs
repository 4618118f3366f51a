//! Leases of what sessions share. What becomes of them is decided in `stopgate_coordination::lease`; here is what that needs:
//! what is known of sessions (`sessions`, `observed`), tokens that rise whatever happens to the database (`tokens`), and who is told of a
//! change (`listening`, and `told` for those who are not there to hear it).
//!
//! A change is written down before anybody hears of it, and is not done if it cannot be written. Nothing is looked at again
//! and again: one sleep until the earliest end, and the kernel tells when a holder's process ends.

mod listening;
mod observed;
mod sessions;
mod shown;
#[cfg(test)]
mod tests;
mod tokens;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use stopgate_coordination::lease::{
    Answer, Change, Claim, Decision, JUMP_MS, JUMP_PATIENCE_MS, Lease, LeaseMode, LeaseOrigin, Limits, Now, Request,
    RoomLeases, WaitEnd, decide, next_end,
};
use stopgate_coordination::resource::Resource;
use stopgate_coordination::room::Place;
use stopgate_core::clock::Moment;
use stopgate_core::harness::{Event, EventKind, StartSource};
use stopgate_core::paths::Home;
use stopgate_core::session::SessionKey;
use stopgate_core::session::state::Turn;
use stopgate_store::{LeaseCommit, StoreError};
use tokio::sync::{Notify, watch};

use self::listening::Listening;
pub(crate) use self::listening::{Heard, Listener};
use self::sessions::Sessions;
pub(crate) use self::shown::{checked, living_session, said, shown};
use self::tokens::Tokens;
use crate::settings::Settings;
use crate::storage::Storage;

/// Changes come in crowds, and when the next thing ends is told once for all of them.
const CROWD: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Leases {
    storage: Arc<Storage>,
    settings: Arc<Settings>,
    tokens: Tokens,
    /// Held from deciding to having written it down.
    deciding: Mutex<()>,
    /// As it is written down; `None` until it could be read.
    rooms: RwLock<Option<BTreeMap<PathBuf, RoomLeases>>>,
    sessions: Sessions,
    listening: Arc<Listening>,
    clocks: Mutex<Clocks>,
    changed: watch::Sender<u64>,
    due: Notify,
}

/// What was seen of the clocks last, to tell when they jump.
#[derive(Debug, Clone, Copy, Default)]
struct Clocks {
    last: Option<Moment>,
    no_end_before_boot_ms: i64,
}

impl Leases {
    pub(crate) fn of(home: Home, storage: Arc<Storage>, settings: Arc<Settings>) -> Self {
        let leases = Self {
            tokens: Tokens::of(&home),
            sessions: Sessions::of(home, Arc::clone(&storage)),
            storage,
            settings,
            deciding: Mutex::new(()),
            rooms: RwLock::new(None),
            listening: Arc::default(),
            clocks: Mutex::new(Clocks::default()),
            changed: watch::Sender::new(0),
            due: Notify::new(),
        };
        // A store that cannot be read yet is read when somebody asks.
        let _ = leases.load(&leases.deciding());
        leases
    }

    fn deciding(&self) -> MutexGuard<'_, ()> {
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is written down, unless that was done.
    fn load(&self, _: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        if self.with_rooms(Option::is_some) {
            return Ok(());
        }
        let now = self.storage.moment();
        let boot_id = self.storage.boot_id();
        let mut rooms = self.storage.with_store(|store| store.lease_rooms(boot_id, now.boot_ms))?;
        for (room, leases) in &mut rooms {
            leases.last_token = leases.last_token.max(self.tokens.highest(room)?);
        }
        for session in rooms.values().flat_map(involved) {
            self.sessions.know(session);
        }
        if rooms.values().any(|room| !room.is_empty()) {
            // Signs of life may have gone by while nobody listened.
            self.clocks().no_end_before_boot_ms = now.boot_ms + JUMP_PATIENCE_MS;
        }
        *self.rooms.write().unwrap_or_else(PoisonError::into_inner) = Some(rooms);
        Ok(())
    }

    fn with_rooms<T>(&self, look: impl FnOnce(&Option<BTreeMap<PathBuf, RoomLeases>>) -> T) -> T {
        look(&self.rooms.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn clocks(&self) -> MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now. A machine that was suspended since has jumped.
    fn now(&self) -> Now {
        let moment = self.storage.moment();
        let mut clocks = self.clocks();
        if clocks.last.is_some_and(|last| moment.suspended_ms() - last.suspended_ms() > JUMP_MS) {
            clocks.no_end_before_boot_ms = moment.boot_ms + JUMP_PATIENCE_MS;
        }
        clocks.last = Some(moment);
        let lease = &self.settings.current().lease;
        let minutes = stopgate_core::clock::minutes;
        Now {
            wall_ms: moment.wall_ms,
            boot_ms: moment.boot_ms,
            no_end_before_boot_ms: clocks.no_end_before_boot_ms,
            limits: Limits { idle_ms: minutes(lease.idle_minutes), longest_ms: minutes(lease.longest_minutes) },
        }
    }

    /// Has `request` decided in `room`, and done. An error means that nothing was done. Blocks.
    pub(crate) fn ask(&self, room: &Path, request: &Request) -> Result<Answer, StoreError> {
        let deciding = self.deciding();
        self.load(&deciding)?;
        let now = self.now();
        for session in speakers(request) {
            self.sessions.know(session);
        }
        let decided = self.with_rooms(|rooms| {
            let empty = RoomLeases::default();
            let known = rooms.as_ref().and_then(|rooms| rooms.get(room));
            let before = known.unwrap_or(&empty);
            let facts = self.sessions.facts(&self.listening);
            // A room that the database has forgotten goes on where its tokens were.
            let highest = if known.is_some() { before.last_token } else { self.tokens.highest(room)? };
            if highest == before.last_token {
                return Ok::<_, StoreError>((decide(&now, before, request, &facts), highest));
            }
            let before = RoomLeases { last_token: highest, ..before.clone() };
            Ok((decide(&now, &before, request, &facts), highest))
        });
        let (Decision { answer, changes, after }, highest) = decided?;
        if changes.is_empty() {
            return Ok(answer);
        }
        if after.last_token > highest {
            self.tokens.reserve(room, after.last_token)?;
        }
        let events = told::events(&now, room, &changes);
        let commit =
            LeaseCommit { room, after: &after, changes: &changes, events: &events, boot_id: self.storage.boot_id() };
        self.storage.with_store(|store| store.commit_leases(&commit))?;
        if let Some(rooms) = &mut *self.rooms.write().unwrap_or_else(PoisonError::into_inner) {
            rooms.insert(room.to_owned(), after);
        }
        drop(deciding);
        self.spread(&changes);
        Ok(answer)
    }

    /// Tells whoever waits of what was written down.
    fn spread(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::WaitsNoMore { waiter, why } => {
                    let heard = if *why == WaitEnd::Granted { Heard::Granted } else { Heard::Retired(*why) };
                    self.listening.tell(&waiter.session, heard);
                }
                Change::Inherited { from, to } => self.listening.rename(from, to),
                _ => {}
            }
        }
        self.changed.send_modify(|count| *count += 1);
        self.due.notify_one();
    }

    /// Fires at every change that is written down.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A place to hear at what becomes of the wait of `session`; an older one hears that it is replaced.
    pub(crate) fn listen(&self, session: &SessionKey) -> Listener {
        self.listening.listen(session)
    }

    /// Whether `session` has a request that waits.
    pub(crate) fn is_listening(&self, session: &SessionKey) -> bool {
        self.listening.has(session)
    }

    /// What is known of `room`.
    pub(crate) fn room(&self, room: &Path) -> RoomLeases {
        self.with_rooms(|rooms| rooms.as_ref().and_then(|rooms| rooms.get(room)).cloned()).unwrap_or_default()
    }

    /// What is known of all rooms in which there is something.
    pub(crate) fn all(&self) -> BTreeMap<PathBuf, RoomLeases> {
        let is_used = |(_, room): &(&PathBuf, &RoomLeases)| !room.is_empty();
        let copy = |(path, room): (&PathBuf, &RoomLeases)| (path.clone(), room.clone());
        self.with_rooms(|rooms| rooms.iter().flatten().filter(is_used).map(copy).collect())
    }

    /// The leases of paths of the working tree `tree`.
    pub(crate) fn of_tree(&self, tree: &Path) -> Vec<Lease> {
        self.chosen(|lease| is_of_tree(lease, tree))
    }

    /// The leases that a write to `path` (with all below it, if it `is_subtree`) touches; `path` is absolute and lies in `tree`.
    pub(crate) fn overlapping(&self, tree: &Path, path: &Path, is_subtree: bool) -> Vec<Lease> {
        let Ok(relative) = path.strip_prefix(tree) else { return Vec::new() };
        if let Some(resource) = resource_of(relative, is_subtree) {
            return self.chosen(|lease| is_of_tree(lease, tree) && lease.resource.overlaps(&resource));
        }
        // No lease can be of such a path by name, only of what it lies in.
        let above = relative.ancestors().skip(1).find_map(|above| resource_of(above, true));
        let above = above.unwrap_or_else(Resource::tree);
        self.chosen(|lease| is_of_tree(lease, tree) && lease.resource.covers(&above))
    }

    fn chosen(&self, is_it: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        self.with_rooms(|rooms| {
            let leases = rooms.iter().flat_map(BTreeMap::values).flat_map(|room| &room.leases);
            leases.filter(|lease| is_it(lease)).cloned().collect()
        })
    }

    /// Notes that `session` wrote `path` of `tree` while others live there. Blocks.
    pub(crate) fn observe(&self, session: &SessionKey, tree: &Path, path: &Path) -> Result<(), StoreError> {
        self.sessions.sign(session);
        let resource = path.strip_prefix(tree).ok().and_then(|relative| resource_of(relative, false));
        // What cannot be named cannot be held.
        let (Some(resource), Some(place), Some(_)) = (resource, Place::of(tree), tree.to_str()) else { return Ok(()) };
        let claim = Claim { resource, tree: Some(tree.to_owned()), mode: LeaseMode::Write };
        self.ask(&place.room, &Request::Observe { session: session.clone(), claim }).map(|_| ())
    }

    /// Ends the observed leases of `session` that lie in `paths` of `tree`: its turn is over, and git says that they have no
    /// changes. Blocks.
    pub(crate) fn clean(&self, session: &SessionKey, tree: &Path, paths: Vec<Resource>) -> Result<(), StoreError> {
        let Some(place) = Place::of(tree) else { return Ok(()) };
        let claim = |resource| Claim { resource, tree: Some(tree.to_owned()), mode: LeaseMode::Write };
        let claims = paths.into_iter().map(claim).collect();
        self.ask(&place.room, &Request::Clean { session: session.clone(), claims }).map(|_| ())
    }

    /// The observed leases of `session`, which end when they are clean.
    pub(crate) fn observed(&self, session: &SessionKey) -> Vec<Lease> {
        self.chosen(|lease| lease.holder == *session && lease.origin == LeaseOrigin::Observed)
    }

    /// A sign of life of `session`: a hook has asked something for it.
    pub(crate) fn sign(&self, session: &SessionKey) {
        self.sessions.sign(session);
    }

    /// An event of a session, which is stored, with the search path of whoever reported it. Blocks, and only where it holds
    /// something or waits.
    pub(crate) fn heard(self: &Arc<Self>, event: &Event, search_path: Option<&str>) {
        let key = &event.key;
        if let EventKind::SessionStart { source: StartSource::Clear } = event.kind
            && let Some(from) = self.sessions.cleared_by(key)
            && from != *key
        {
            self.everywhere(&from, |session| Request::Inherit { from: session.clone(), to: key.clone() });
            self.sessions.forget(&from);
        }
        if !self.sessions.is_known(key) {
            return;
        }
        self.sessions.sign(key);
        let known = self.sessions.refresh(key);
        if Turn::of(&event.kind) == Some(Turn::Stopped) && event.agent_id.is_none() {
            self.end_clean(key, search_path.map(str::to_owned));
        }
        let is_offered = || !self.chosen(|lease| lease.holder == *key && lease.offered_boot_ms.is_some()).is_empty();
        if known.has_ended(self.storage.moment().boot_ms) || is_offered() {
            self.everywhere(key, |_| Request::Look);
        }
        // Whatever becomes of one that is over is heard of anew.
        if known.has_ended(self.storage.moment().boot_ms) {
            self.sessions.forget(key);
        }
        self.due.notify_one();
    }

    /// Asks `request` in every room in which `session` holds something or waits.
    fn everywhere(&self, session: &SessionKey, request: impl Fn(&SessionKey) -> Request) {
        let concerns = |room: &RoomLeases| involved(room).any(|other| other == session);
        let rooms: Vec<PathBuf> = self.with_rooms(|rooms| {
            rooms.iter().flatten().filter(|(_, room)| concerns(room)).map(|(path, _)| path.clone()).collect()
        });
        for room in rooms {
            if let Err(error) = self.ask(&room, &request(session)) {
                tracing::error!(%error, room = %room.display(), "leases are not changed");
            }
        }
    }

    /// Ends what is over, in all rooms. Blocks.
    pub(crate) fn look(&self) {
        for room in self.all().into_keys() {
            if let Err(error) = self.ask(&room, &Request::Look) {
                tracing::error!(%error, room = %room.display(), "leases are not looked after");
            }
        }
        let rooms = self.all();
        self.sessions.forget_ended(|session| rooms.values().flat_map(involved).any(|other| other == session));
    }

    /// How long until the next thing may end by time; `None` if nothing does.
    fn until_next_end(&self) -> Option<Duration> {
        let now = self.now();
        let facts = self.sessions.facts(&self.listening);
        let next = self.with_rooms(|rooms| {
            let of_leases = rooms.iter().flat_map(BTreeMap::values).filter_map(|room| next_end(&now, room, &facts));
            of_leases.chain(self.sessions.next_end()).min()
        });
        next.map(|next| Duration::from_millis(u64::try_from(next - now.boot_ms).unwrap_or(0)))
    }

    /// Watches the processes of those who hold something: those that are not watched yet, each in a task of its own.
    fn watch_processes(self: &Arc<Self>) {
        for (session, process) in self.sessions.unwatched() {
            let leases = Arc::clone(self);
            tokio::spawn(async move {
                process.ended().await;
                let look = move || leases.everywhere(&session, |_| Request::Look);
                let _ = tokio::task::spawn_blocking(look).await;
            });
        }
    }
}

/// Ends leases when their time has come, and when the process of a holder ends.
pub(crate) async fn keep_time(leases: Arc<Leases>) {
    loop {
        leases.watch_processes();
        let ask = Arc::clone(&leases);
        let next = tokio::task::spawn_blocking(move || ask.until_next_end()).await.unwrap_or_default();
        let ends = async {
            match next {
                // The sleep may be shorter by a little than the clock that counts.
                Some(next) => tokio::time::sleep(next + Duration::from_millis(20)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ends => {
                let look = Arc::clone(&leases);
                let _ = tokio::task::spawn_blocking(move || look.look()).await;
            }
            () = leases.due.notified() => tokio::time::sleep(CROWD).await,
        }
    }
}

fn is_of_tree(lease: &Lease, tree: &Path) -> bool {
    lease.tree.as_deref().is_some_and(|of| of.as_os_str() == tree.as_os_str())
}

/// What a path of a tree is called, if it can be.
fn resource_of(relative: &Path, is_subtree: bool) -> Option<Resource> {
    match relative.to_str()? {
        "" => Some(Resource::tree()),
        text => Resource::of_path(text, is_subtree).ok(),
    }
}

/// The sessions that hold something in `room` or wait.
fn involved(room: &RoomLeases) -> impl Iterator<Item = &SessionKey> {
    room.leases.iter().map(|lease| &lease.holder).chain(room.waiters.iter().map(|waiter| &waiter.session))
}

/// The sessions that `request` is of.
fn speakers(request: &Request) -> Vec<&SessionKey> {
    match request {
        Request::Acquire { session, .. }
        | Request::Wait { session, .. }
        | Request::StopListening { session, .. }
        | Request::Renew { session, .. }
        | Request::Release { session, .. }
        | Request::Observe { session, .. }
        | Request::Clean { session, .. } => vec![session],
        Request::Pass { session, to, .. } => vec![session, to],
        Request::Take { session, .. } => session.iter().collect(),
        Request::Inherit { to, .. } => vec![to],
        Request::Look => Vec::new(),
    }
}
