//! What an agent is told at the beginning of a session or turn, while coordination is on: who shares its working tree, what
//! became of its leases, and what was said to it with one. Nobody is told anything twice, and who works alone nothing at all.

use stopgate_coordination::fence::mode;
use stopgate_coordination::lease::LeaseOrigin;
use stopgate_coordination::room::Place;
use stopgate_coordination::told::{self, Neighbour};
use stopgate_core::clock::UnixMillis;
use stopgate_core::harness::EventKind;
use stopgate_core::paths::Home;
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::{LIVE_CHECK_PREFIX, SessionKey};
use stopgate_core::switch::Mode;
use stopgate_core::text::one_line;
use stopgate_protocol::{LeaseEvent, LeaseEventKind};
use stopgate_registry::neighbours::{self, LivingSession};
use stopgate_store::StoreError;

use crate::evaluate;
use crate::state::State;

/// Resources that are named at once.
const MAX_RESOURCES: usize = 4;
/// Longest resource and longest line of a handoff that is shown, in characters.
const MAX_RESOURCE: usize = 80;
const MAX_SAID: usize = 350;
/// Longest text altogether, in bytes.
const MAX_BYTES: usize = 4_000;

/// Whether somebody turned coordination on.
pub(crate) fn is_on(home: &Home) -> bool {
    mode::of(mode::read(home)) != Mode::Off
}

/// What the agent of `reported`, which is stored, is to be told; empty if nothing. Blocks.
pub(crate) fn tell(state: &State, reported: &HookEvent) -> String {
    let begins = match reported.event.kind {
        EventKind::SessionStart { .. } => true,
        EventKind::UserPromptSubmit { .. } => false,
        _ => return String::new(),
    };
    let key = &reported.event.key;
    if key.session_id.starts_with(LIVE_CHECK_PREFIX) || !is_on(&state.home) {
        return String::new();
    }
    let place = reported.event.cwd.as_deref().filter(|cwd| cwd.is_dir()).and_then(Place::of);
    let told = place.map(|place| of_tree(state, key, &place, begins)).transpose();
    let leases = of_leases(state, key, begins);
    let lines: Vec<String> = match (told, leases) {
        (Ok(told), Ok(leases)) => told.flatten().into_iter().chain(leases).collect(),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "an agent is not told of its neighbours");
            return String::new();
        }
    };
    stopgate_core::text::head(&lines.join("\n"), MAX_BYTES).to_owned()
}

/// Who shares the tree, as far as the session does not know it. At a beginning it knows nothing: its conversation may be
/// another one than before.
fn of_tree(state: &State, key: &SessionKey, place: &Place, begins: bool) -> Result<Option<String>, StoreError> {
    if !begins && has_heard(state, key, place)? {
        return Ok(None);
    }
    let now_ms = state.storage.now_ms();
    let (own, known, others) = state.storage.with_store(|store| {
        let others = neighbours::beside(store, now_ms, key, place)?;
        let known = store.neighbours_told(key)?;
        // Most work alone, and were never told anything.
        let own = if others.is_empty() && known.is_none() { None } else { store.name_of(key)? };
        Ok((own, known, others))
    })?;
    let Some(own) = own else { return Ok(None) };
    let proven: Vec<&LivingSession> = others.iter().filter(|other| other.is_proven).collect();
    let now: Vec<(SessionKey, String)> = proven.iter().map(|other| (other.key.clone(), other.name.clone())).collect();
    let neighbour = |(key, name): &(SessionKey, String)| Neighbour { name: name.clone(), harness: key.harness };
    let all: Vec<Neighbour> = now.iter().map(neighbour).collect();
    let text = match known.filter(|known| !begins && !known.is_empty()) {
        None => told::beside(&own, &all, &evaluate::program(&state.home)),
        Some(known) => {
            // By another id after `/clear` it is the same to others.
            let has =
                |list: &[(SessionKey, String)], one: &Neighbour| list.iter().any(|other| neighbour(other) == *one);
            let came: Vec<_> = all.iter().filter(|other| !has(&known, other)).cloned().collect();
            // Of whom it is not known whether it lives, nobody says that it went.
            let is_there = |key: &SessionKey| others.iter().any(|other| other.key == *key);
            let went = known.iter().filter(|(key, _)| !is_there(key)).map(neighbour);
            let went: Vec<_> = went.filter(|other| !all.contains(other)).collect();
            told::changed(&came, &went, &all)
        }
    };
    state.storage.with_store(|store| match store.neighbours_told(key)? {
        Some(known) if known == now => Ok(()),
        None if now.is_empty() => Ok(()),
        _ => store.set_neighbours_told(key, &now),
    })?;
    Ok(text)
}

/// Whether the session was told of just those that live in its tree: the usual case, for which nobody is looked at anew but
/// they.
fn has_heard(state: &State, key: &SessionKey, place: &Place) -> Result<bool, StoreError> {
    let mut known = state.storage.with_reader(|store| store.neighbours_told(key))?.unwrap_or_default();
    let mut now = state.fence.beside(state, key, place);
    known.sort_unstable();
    now.sort_unstable();
    Ok(known == now)
}

/// What became of the session's leases since it was told last, and at a beginning what it holds.
fn of_leases(state: &State, key: &SessionKey, begins: bool) -> Result<Vec<String>, StoreError> {
    let untold = state.leases.untold(key)?;
    let mut lines: Vec<String> = untold.iter().filter_map(|event| line(state, event)).collect();
    if let Some(last) = untold.last() {
        state.leases.told(key, last.id, None)?;
    }
    if begins {
        let held = state.leases.all().into_values().flat_map(|room| room.leases);
        let held = held.filter(|lease| lease.holder == *key && lease.origin == LeaseOrigin::Declared);
        let held: Vec<String> = held.map(|lease| resource(lease.resource.as_str())).collect();
        if !held.is_empty() {
            lines.push(format!("[stopgate] You hold {}.", listed(&held)));
        }
    }
    Ok(lines)
}

/// An event of a lease in words for the session that it concerns.
fn line(state: &State, event: &LeaseEvent) -> Option<String> {
    let of: Vec<String> = event.claims.iter().map(|claim| resource(claim.resource.as_str())).collect();
    let of = listed(&of);
    let ago = ago(state.storage.now_ms() - event.at_ms);
    let other = || event.other.as_ref().map(|other| called(state, other));
    match event.kind {
        LeaseEventKind::Ended => {
            let to = other().map(|other| format!(" to {other}")).unwrap_or_default();
            let why = event.why.as_deref().map(|why| format!(": {}", why.replace('_', " "))).unwrap_or_default();
            Some(format!("[stopgate] You lost {of}{to}, {ago} ago{why}. Acquire it again before you go on with it."))
        }
        LeaseEventKind::Granted => Some(format!("[stopgate] You hold {of} now, since {ago}.")),
        LeaseEventKind::HandoffGiven => {
            let handoff = event.handoff.as_ref()?;
            let said = [
                ("status", Some(&handoff.status)),
                ("next", Some(&handoff.next)),
                ("artifact", handoff.artifact.as_ref()),
                ("question", handoff.question.as_ref()),
            ];
            let said: String = said
                .into_iter()
                .filter_map(|(what, text)| Some(format!("\n| {what}: {}", one_line(text?, MAX_SAID))))
                .collect();
            let from = other().unwrap_or_else(|| "another session".to_owned());
            Some(format!("[stopgate] handoff of {of} from {from}, not your person:{said}"))
        }
        _ => None,
    }
}

fn called(state: &State, key: &SessionKey) -> String {
    let name = state.storage.with_reader(|store| store.name_of(key)).ok().flatten();
    format!("{} ({})", name.unwrap_or_else(|| "a session without a name".to_owned()), key.harness)
}

fn resource(text: &str) -> String {
    format!("`{}`", one_line(text, MAX_RESOURCE).replace('`', "'"))
}

fn listed(resources: &[String]) -> String {
    let more = resources.len().saturating_sub(MAX_RESOURCES);
    let shown = resources.iter().take(MAX_RESOURCES).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn ago(ms: UnixMillis) -> String {
    match ms.max(0) / 1_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
