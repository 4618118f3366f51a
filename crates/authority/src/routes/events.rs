//! Taking in what hooks report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::Response;
use stopgate_core::checkout::{self, Checkout};
use stopgate_core::clock::UnixMillis;
use stopgate_core::event_id::is_event_id;
use stopgate_core::harness::EventKind;
use stopgate_core::protocol::{HookEvent, Origin};
use stopgate_core::session::SessionKey;
use stopgate_protocol::{ErrorCode, EventTaken};
use stopgate_store::StoreError;

use super::{Routes, off_loop, problem, unavailable};
use crate::git::Git;
use crate::peer::Peer;
use crate::state::State;
use crate::{facts, heard_prompt, neighbours, operator, process_files};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(take)
}

/// Longest time for hashing the uncommitted changes at a session's start.
const FINGERPRINT_BUDGET: Duration = Duration::from_secs(2);

/// Longest time for asking which commit is checked out.
const HEAD_BUDGET: Duration = Duration::from_secs(2);

/// How old a start may be for the checkout still to be as it was then.
const FRESH_MS: UnixMillis = 10_000;
/// How old it may be for the same commit still to be checked out: no agent has done anything so soon.
const UNMOVED_MS: UnixMillis = 1_500;

async fn take(state: Arc<State>, peer: Peer, mut reported: HookEvent) -> Result<EventTaken, Response> {
    if !is_event_id(&reported.event_id) {
        return Err(problem(ErrorCode::Malformed, "event_id: not a UUID"));
    }
    if SessionKey::new(reported.event.key.harness, &reported.event.key.session_id).is_none() {
        let what = "event.key.session_id: must be 1 to 128 printable ASCII characters";
        return Err(problem(ErrorCode::Malformed, what));
    }
    let take = move || {
        let harness = reported.event.key.harness;
        let claimed = reported.origin.harness_process.take();
        reported.origin.harness_process = claimed.and_then(|claimed| operator::proven_process(&peer, harness, claimed));
        let recorded = record(&state, &reported)?;
        state.sessions_changed.send_modify(|count| *count += 1);
        // One that comes again was answered before, or the hook has written the row itself: it waits no longer.
        let tell = if recorded { neighbours::tell(&state, &reported) } else { String::new() };
        Ok(EventTaken { event_id: reported.event_id, recorded, tell })
    };
    off_loop(take).await?.map_err(unavailable)
}

/// Remembers and stores an event; false when it was stored already. An error means that it is not stored.
fn record(state: &Arc<State>, reported: &HookEvent) -> Result<bool, StoreError> {
    let starts = matches!(reported.event.kind, EventKind::SessionStart { .. });
    if starts {
        state.memory().session_started(
            &reported.event.key,
            reported.at_ms,
            reported.boot_ms.map(|boot_ms| reported.at_ms - boot_ms),
            reported.origin.head.clone(),
            reported.event.cwd.clone(),
        );
    }
    let heard = heard_prompt::asked(state, reported);
    let recorded = state.storage.with_store(|store| store.record_event(reported))?;
    state.leases.heard(&reported.event, reported.origin.search_path.as_deref());
    state.fence.heard(&reported.event, false);
    if let Some(asked) = heard.filter(|_| recorded) {
        // The event is stored: this is remembered in any case.
        let _ = state.storage.with_store(|store| store.hear_asked(&reported.event.key, &asked));
        state.memory().heard(&reported.event.key, asked);
    }
    // The hook, out of patience, may have written the row itself; what only the authority notes is still missing then.
    let is_fresh = || state.storage.now_ms() - reported.at_ms < FRESH_MS;
    if starts
        && (recorded || is_fresh())
        && let Some(cwd) = reported.event.cwd.clone()
    {
        // Not while the hook waits: tmux and git may take their time.
        let began = Began {
            key: reported.event.key.clone(),
            origin: reported.origin.clone(),
            at_ms: reported.at_ms,
            checkout: checkout::find(&cwd),
        };
        let state = Arc::clone(state);
        tokio::spawn(look_around(state, began));
    }
    Ok(recorded)
}

/// A session that began a moment ago.
struct Began {
    key: SessionKey,
    origin: Origin,
    at_ms: UnixMillis,
    checkout: Option<Checkout>,
}

/// Notes what tmux and git say of a session's beginning.
async fn look_around(state: Arc<State>, began: Began) {
    let quickly = {
        let state = Arc::clone(&state);
        move || {
            if let Some(place) = process_files::note_surroundings(&state.home, &began.origin) {
                let _ = state.storage.with_store(|store| store.set_tmux_session(&began.key, &place));
            }
            note_head(&state, &began);
            began
        }
    };
    let Ok(began) = tokio::task::spawn_blocking(quickly).await else { return };
    let Some(checkout) = began.checkout else { return };
    // Hashing a large tree takes its time, and there may be many sessions.
    let turn = Arc::clone(&state.hashing).lock_owned().await;
    let hash = move || {
        let _turn = turn;
        let git = Git::of(&checkout, began.origin.search_path.as_deref());
        if let Some(hash) = facts::dirty_fingerprint(&state.memo, &checkout, &git, Instant::now() + FINGERPRINT_BUDGET)
        {
            let _ = state.storage.with_store(|store| store.set_dirty_at_start(&began.key, &hash));
        }
    };
    let _ = tokio::task::spawn_blocking(hash).await;
}

/// Asks git for what is checked out, where the hook could not read it off files.
fn note_head(state: &State, began: &Began) {
    let Some(checkout) = began.checkout.as_ref().filter(|_| began.origin.head.is_none()) else { return };
    let git = Git::of(checkout, began.origin.search_path.as_deref());
    let head = facts::head_at_start(checkout, &git, began.at_ms, Instant::now() + HEAD_BUDGET);
    // Looked at afterwards: only then is it known how long it took.
    if let Some(head) = head.filter(|_| state.storage.now_ms() - began.at_ms < UNMOVED_MS) {
        state.memory().found_head(&began.key, &head);
        let _ = state.storage.with_store(|store| store.set_head_at_start(&began.key, &head));
    }
}
