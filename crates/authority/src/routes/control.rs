//! What only the operator may do, and the one thing everybody may: turn the kill switch on.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use stopgate_core::clock::monotonic_ms;
use stopgate_core::env::ProcessEnv;
use stopgate_core::switch::{self, KillRecord};
use stopgate_core::text::one_line;
use stopgate_protocol::version::is_newer;
use stopgate_protocol::{Condition, KillState, ModeState, SetKill, SetMode, Shutdown};

use super::{body, off_loop, problem};
use crate::peer::Peer;
use crate::state::State;
use crate::{operator, version};

pub(super) async fn set_mode(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let SetMode { mode, condition } = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.mode_file();
        let action = format!("mode {}", mode.name());
        still_counts(&peer, &condition, &file, "stopgate mode")?;
        operator::check(&state, peer.clone(), &action).map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
        let prior = switch::read_mode(&state.home).mode();
        switch::write_mode(&state.home, mode).map_err(not_written(&file))?;
        operator::done(&state, peer, &action, prior.name());
        Ok(ModeState { mode, prior, changed: mode != prior })
    };
    answer(off_loop(flip).await)
}

/// Refuses (409) a flip that nobody waits for any more, or that answers a state which is no more: it lay in the
/// socket while this process was hung, and the person has acted in another way since.
#[expect(clippy::result_large_err, reason = "the error is the HTTP answer")]
pub(super) fn still_counts(peer: &Peer, condition: &Condition, file: &Path, command: &str) -> Result<(), Response> {
    let refused = |why: String| Err(problem(StatusCode::CONFLICT, why));
    if peer.is_gone() {
        return refused("not done: whoever asked is gone".to_owned());
    }
    if condition.until_monotonic_ms.is_some_and(|until| monotonic_ms() >= until) {
        return refused("not done: the request is late, nobody waits for it any more".to_owned());
    }
    match &condition.seen {
        Some(seen) if *seen != switch::stamp(file) => {
            refused(format!("not done: {} was changed meanwhile; look with `{command}`, and ask again", file.display()))
        }
        _ => Ok(()),
    }
}

pub(super) fn not_written(file: &Path) -> impl Fn(io::Error) -> Response {
    move |error| problem(StatusCode::INTERNAL_SERVER_ERROR, format!("{}: {error}", file.display()))
}

pub(super) async fn set_kill_switch(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let wanted: SetKill = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.kill_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate kill status")?;
        let prior = switch::is_killed(&ProcessEnv, &state.home);
        if wanted.value {
            let record = KillRecord {
                by: one_line(&wanted.by, 64),
                at_ms: state.storage.now_ms(),
                reason: one_line(&stopgate_core::redact::redact(&wanted.reason), 500),
            };
            if !wanted.done {
                switch::set_kill(&state.home, &record).map_err(not_written(&file))?;
            }
            operator::done(&state, peer, "kill on", &record.reason);
        } else {
            operator::check(&state, peer.clone(), "kill off")
                .map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
            switch::clear_kill(&state.home).map_err(not_written(&file))?;
            operator::done(&state, peer, "kill off", "");
        }
        let on = switch::is_killed(&ProcessEnv, &state.home);
        Ok(KillState { kill_switch: on, prior, changed: on != prior })
    };
    answer(off_loop(flip).await)
}

/// Ends the authority: the operator's to do. An agent may only have it hand over to a newer program.
pub(super) async fn shutdown(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    // Whatever the body is, the person must get through.
    let Shutdown { for_version } = serde_json::from_slice(&bytes).unwrap_or_default();
    let hands_over = for_version.is_some_and(|successor| is_newer(&successor, &version::own()));
    let allowed = {
        let state = Arc::clone(&state);
        off_loop(move || if hands_over { Ok(()) } else { operator::check(&state, peer, "authority stop") }).await
    };
    match allowed {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => return problem(StatusCode::FORBIDDEN, refusal),
        Err(problem) => return problem,
    }
    tracing::info!(hands_over, "asked to stop");
    state.stop.notify_one();
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "stopping": true }))).into_response()
}

pub(super) fn answer<T: serde::Serialize>(done: Result<Result<T, Response>, Response>) -> Response {
    match done {
        Ok(Ok(state)) => Json(state).into_response(),
        Ok(Err(problem)) | Err(problem) => problem,
    }
}
