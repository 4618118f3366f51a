//! Rooms, and what the sessions in them are called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use stopgate_coordination::name;
use stopgate_coordination::room::Place;
use stopgate_core::process::ProcessIdentity;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{
    ErrorCode, FollowRoom, GetRoom, LeaseEvent, LeaseRoom, RenameSession, RoomMark, RoomNews, RoomSession, RoomTree,
    RoomView, SessionRenamed,
};
use stopgate_registry::neighbours::{self, LivingSession};
use stopgate_store::{Renamed, Store, StoreError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Routes, off_loop, problem, unavailable};
use crate::peer::Peer;
use crate::state::State;
use crate::watched::Watched;
use crate::{leases, operator};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(show).serve(follow).serve(rename)
}

/// Events that are given at once.
const MAX_EVENTS: u32 = 1_000;
/// Longest wait in one request.
const MAX_WAIT: Duration = Duration::from_mins(10);
/// How much longer than the wait the answer may take.
const MARGIN: Duration = Duration::from_secs(5);

async fn show(state: Arc<State>, _: Peer, asked: GetRoom) -> Result<RoomView, Response> {
    if !asked.path.is_absolute() {
        return Err(problem(ErrorCode::Malformed, "path: must be absolute"));
    }
    off_loop(move || view(&state, &asked)).await?.map_err(unavailable)
}

fn view(state: &State, asked: &GetRoom) -> Result<RoomView, StoreError> {
    let living = living(state)?;
    let places = living.iter().filter_map(|session| session.place.as_ref());
    let place = Place::of_among(&asked.path, places).unwrap_or_else(|| Place::alone(&asked.path));
    let mut trees = trees(&living, &place.room);
    let own = shown(&place.tree);
    if !trees.iter().any(|tree| tree.tree == own) {
        trees.push(RoomTree { tree: own, sessions: Vec::new() });
    }
    let mut leases = leases::shown(state, Some(&place.room));
    let (events, names) = state.storage.with_reader(|store| {
        let events = store.newest_lease_events(&place.room, asked.events.clamp(1, MAX_EVENTS))?;
        let names = names(store, &events, &leases)?;
        Ok((events, names))
    })?;
    call_by_name(&mut leases, &names);
    let mark = RoomMark { last_event: events.last().map_or(0, |event| event.id), living: standing_for(&trees) };
    let events = if asked.events == 0 { Vec::new() } else { events };
    Ok(RoomView { room: shown(&place.room), trees, leases, events, names, mark })
}

fn living(state: &State) -> Result<Vec<LivingSession>, StoreError> {
    let now_ms = state.storage.now_ms();
    state.storage.with_store(|store| {
        // Sessions of an older version have none.
        let _ = store.name_unnamed(now_ms);
        neighbours::living(store, now_ms)
    })
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn trees(living: &[LivingSession], room: &Path) -> Vec<RoomTree> {
    let here: Vec<LivingSession> = living
        .iter()
        .filter(|session| session.place.as_ref().is_some_and(|place| place.room == room))
        .cloned()
        .collect();
    let session = |session: &LivingSession| RoomSession {
        harness: session.key.harness,
        session_id: session.key.session_id.clone(),
        name: session.name.clone(),
        state: session.state,
        is_proven: session.is_proven,
        since_ms: session.since_ms,
    };
    let tree = |(tree, sessions): (PathBuf, Vec<&LivingSession>)| RoomTree {
        tree: shown(&tree),
        sessions: sessions.into_iter().map(session).collect(),
    };
    neighbours::by_tree(&here).into_iter().map(tree).collect()
}

/// A number for who lives where by which name, whatever they do there.
fn standing_for(trees: &[RoomTree]) -> u64 {
    let mut known: Vec<String> = trees
        .iter()
        .flat_map(|tree| {
            tree.sessions.iter().map(|one| format!("{}:{} {} {}", one.harness, one.session_id, one.name, tree.tree))
        })
        .collect();
    known.sort_unstable();
    // FNV-1a, 64 bits: offset basis and prime as its authors give them.
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    known.join("\n").as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// What the sessions of events and leases are called.
fn names(store: &Store, events: &[LeaseEvent], leases: &LeaseRoom) -> Result<BTreeMap<String, String>, StoreError> {
    let mut names = BTreeMap::new();
    let of_events = events.iter().flat_map(|event| std::iter::once(&event.session).chain(&event.other));
    let of_leases = leases.leases.iter().map(|row| &row.lease.holder);
    let of_waiters = leases.waiters.iter().map(|row| &row.waiter.session);
    let of_handoffs = leases.handoffs.iter().map(|row| &row.handoff.from);
    for key in of_events.chain(of_leases).chain(of_waiters).chain(of_handoffs) {
        if let std::collections::btree_map::Entry::Vacant(entry) = names.entry(key.to_string())
            && let Some(name) = store.name_of(key)?
        {
            entry.insert(name);
        }
    }
    Ok(names)
}

fn call_by_name(leases: &mut LeaseRoom, names: &BTreeMap<String, String>) {
    let call = |key: &SessionKey, name: &mut String| {
        if let Some(found) = names.get(&key.to_string()) {
            name.clone_from(found);
        }
    };
    leases.leases.iter_mut().for_each(|row| call(&row.lease.holder, &mut row.name));
    leases.waiters.iter_mut().for_each(|row| call(&row.waiter.session, &mut row.name));
    leases.handoffs.iter_mut().for_each(|row| call(&row.handoff.from, &mut row.name));
}

async fn follow(state: Arc<State>, peer: Peer, asked: FollowRoom) -> Result<RoomNews, Response> {
    let patience = Duration::from_millis(asked.wait_ms).min(MAX_WAIT);
    peer.announce(patience + MARGIN);
    let until = Instant::now() + patience;
    // Before the first look: what happens after it is heard of.
    let (mut of_leases, mut of_sessions) = (state.leases.subscribe(), state.sessions_changed.subscribe());
    let asked = Arc::new(asked);
    loop {
        let (state, known) = (Arc::clone(&state), Arc::clone(&asked));
        let look = off_loop(move || news(&state, &known)).await?;
        let (news, processes) = look.map_err(unavailable)?;
        let is_news = !news.events.is_empty() || news.mark.living != asked.living;
        if is_news || Instant::now() >= until {
            return Ok(news);
        }
        let mut ends = JoinSet::new();
        for process in processes {
            ends.spawn(ended(process));
        }
        // Who does not hear of ends hears of everything else.
        let an_end = async {
            if ends.join_next().await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = of_leases.changed() => {}
            _ = of_sessions.changed() => {}
            () = an_end => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// What happened since, and the processes of the sessions that live there.
fn news(state: &State, asked: &FollowRoom) -> Result<(RoomNews, Vec<ProcessIdentity>), StoreError> {
    let living = living(state)?;
    let trees = trees(&living, &asked.room);
    let is_here = |session: &&LivingSession| session.place.as_ref().is_some_and(|place| place.room == asked.room);
    let processes = living.iter().filter(is_here).filter(|session| session.is_proven);
    // What many sessions share says nothing of one.
    let processes = processes.filter_map(|session| session.process.clone()).filter(|process| !process.shared).collect();
    let (events, names) = state.storage.with_reader(|store| {
        let events = store.lease_events(Some(&asked.room), asked.last_event, MAX_EVENTS)?;
        let names = names(store, &events, &LeaseRoom::default())?;
        Ok((events, names))
    })?;
    let last_event = events.last().map_or(asked.last_event, |event| event.id);
    let mark = RoomMark { last_event, living: standing_for(&trees) };
    Ok((RoomNews { trees, events, names, mark }, processes))
}

/// Waits until `process` has ended; for ever if that cannot be watched.
async fn ended(process: ProcessIdentity) {
    match Watched::of(&process) {
        Some(watched) => watched.ended().await,
        None => std::future::pending().await,
    }
}

async fn rename(state: Arc<State>, peer: Peer, wanted: RenameSession) -> Result<SessionRenamed, Response> {
    let Some(key) = SessionKey::new(wanted.harness, &wanted.session_id) else {
        return Err(problem(ErrorCode::Malformed, "session_id: must be 1 to 128 printable ASCII characters"));
    };
    name::check(&wanted.name).map_err(|why| problem(ErrorCode::Malformed, format!("name: {why}")))?;
    let rename = move || {
        let now_ms = state.storage.now_ms();
        let renamed =
            state.storage.with_store(|store| store.rename(&key, &wanted.name, now_ms)).map_err(unavailable)?;
        match renamed {
            Renamed::Done { was } => {
                operator::done(&state, &peer, &wanted.action(), &wanted.name);
                state.sessions_changed.send_modify(|count| *count += 1);
                Ok(SessionRenamed { name: wanted.name, was })
            }
            Renamed::Taken(by) => {
                Err(problem(ErrorCode::Conflict, format!("{} is the name of {by}, which lives", wanted.name)))
            }
            Renamed::Unknown => Err(problem(ErrorCode::NotFound, format!("no session {key}"))),
        }
    };
    off_loop(rename).await?
}
