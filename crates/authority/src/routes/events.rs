//! Taking in what hooks report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::Response;
use stopgate_core::clock::UnixMillis;
use stopgate_core::event_id::is_event_id;
use stopgate_core::harness::EventKind;
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::SessionKey;
use stopgate_protocol::EventTaken;
use stopgate_store::StoreError;

use super::{Routes, off_loop, problem, unavailable};
use crate::peer::Peer;
use crate::state::State;
use crate::{facts, process_files};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(take)
}

/// Longest time for hashing the uncommitted changes at a session's start.
const FINGERPRINT_BUDGET: Duration = Duration::from_secs(2);

/// How old a start may be for the checkout still to be as it was then.
const FRESH_MS: UnixMillis = 10_000;

async fn take(state: Arc<State>, _: Peer, reported: HookEvent) -> Result<EventTaken, Response> {
    if !is_event_id(&reported.event_id) {
        return Err(problem(StatusCode::BAD_REQUEST, "eventId: not a UUID"));
    }
    if SessionKey::new(reported.event.key.harness, &reported.event.key.session_id).is_none() {
        let what = "event.key.session_id: must be 1 to 128 printable ASCII characters";
        return Err(problem(StatusCode::BAD_REQUEST, what));
    }
    let take = move || {
        let recorded = record(&state, &reported)?;
        Ok(EventTaken { event_id: reported.event_id, recorded })
    };
    off_loop(take).await?.map_err(unavailable)
}

/// Remembers and stores an event; false when it was stored already. An error means that it is not stored.
fn record(state: &Arc<State>, reported: &HookEvent) -> Result<bool, StoreError> {
    let starts = matches!(reported.event.kind, EventKind::SessionStart { .. });
    if starts {
        state.memory().session_started(&reported.event.key, reported.at_ms, reported.origin.head.clone());
    }
    if matches!(reported.event.kind, EventKind::UserPromptSubmit { .. }) {
        state.memory().prompted(&reported.event.key, reported.at_ms);
    }
    let recorded = state.storage.with_store(|store| store.record_event(reported))?;
    // The hook, out of patience, may have written the row itself; what only the authority notes is still missing then.
    let is_fresh = || state.storage.now_ms() - reported.at_ms < FRESH_MS;
    if starts
        && (recorded || is_fresh())
        && let Some(cwd) = reported.event.cwd.clone()
    {
        // Not while the hook waits: tmux and git may take their time.
        let (state, key, origin) = (Arc::clone(state), reported.event.key.clone(), reported.origin.clone());
        tokio::task::spawn_blocking(move || {
            if let Some(place) = process_files::note_surroundings(&state.home, &origin) {
                let _ = state.storage.with_store(|store| store.set_tmux_session(&key, &place));
            }
            if let Some(fingerprint) = facts::dirty_fingerprint(&cwd, Instant::now() + FINGERPRINT_BUDGET) {
                let _ = state.storage.with_store(|store| store.set_dirty_at_start(&key, &fingerprint));
            }
        });
    }
    Ok(recorded)
}
