//! Taking in what hooks report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stopgate_core::clock::UnixMillis;
use stopgate_core::event_id::is_event_id;
use stopgate_core::harness::EventKind;
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::SessionKey;

use super::{body, off_loop, problem};
use crate::state::State;
use crate::{facts, process_files};

/// Longest time for hashing the uncommitted changes at a session's start.
const FINGERPRINT_BUDGET: Duration = Duration::from_secs(2);

/// How old a start may be for the checkout still to be as it was then.
const FRESH_MS: UnixMillis = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    event_id: String,
    /// False when the event was known already.
    recorded: bool,
}

pub(super) async fn take(Shared(state): Shared<Arc<State>>, bytes: Bytes) -> Response {
    let reported: HookEvent = match body(&bytes) {
        Ok(reported) => reported,
        Err(problem) => return problem,
    };
    if !is_event_id(&reported.event_id) {
        return problem(StatusCode::BAD_REQUEST, "eventId: not a UUID");
    }
    if SessionKey::new(reported.event.key.harness, &reported.event.key.session_id).is_none() {
        return problem(StatusCode::BAD_REQUEST, "event.key.session_id: must be 1 to 128 printable ASCII characters");
    }
    let event_id = reported.event_id.clone();
    match off_loop(move || record(&state, &reported)).await {
        Ok(Ok(recorded)) => Json(Taken { event_id, recorded }).into_response(),
        Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, error),
        Err(problem) => problem,
    }
}

/// Remembers and stores an event; an error means that it is not stored.
fn record(state: &Arc<State>, reported: &HookEvent) -> Result<bool, String> {
    let starts = matches!(reported.event.kind, EventKind::SessionStart { .. });
    if starts {
        state.memory().session_started(&reported.event.key, reported.at_ms, reported.origin.head.clone());
    }
    if matches!(reported.event.kind, EventKind::UserPromptSubmit { .. }) {
        state.memory().prompted(&reported.event.key, reported.at_ms);
    }
    let recorded = state.storage.with_store(|store| store.record_event(reported)).map_err(|error| error.to_string())?;
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
