//! What only the operator may do, and the one thing everybody may: turn the kill switch on.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use stopgate_core::env::ProcessEnv;
use stopgate_core::protocol::{KillState, ModeState, SetKill, SetMode};
use stopgate_core::switch::{self, KillRecord};
use stopgate_core::text::one_line;

use super::{body, off_loop, problem};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

pub(super) async fn mode(Shared(state): Shared<Arc<State>>) -> Response {
    let mode = switch::read_mode(&state.home).mode();
    Json(ModeState { mode, prior: mode, changed: false }).into_response()
}

pub(super) async fn set_mode(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let SetMode { mode } = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let flip = move || {
        let action = format!("mode {}", mode.name());
        operator::check(&state, peer, &action).map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
        let prior = switch::read_mode(&state.home).mode();
        switch::write_mode(&state.home, mode)
            .map_err(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, format!("switches/mode: {error}")))?;
        operator::done(&state, peer, &action, prior.name());
        Ok(ModeState { mode, prior, changed: mode != prior })
    };
    answer(off_loop(flip).await)
}

pub(super) async fn kill_switch(Shared(state): Shared<Arc<State>>) -> Response {
    let on = switch::is_killed(&ProcessEnv, &state.home);
    Json(KillState { kill_switch: on, prior: on, changed: false }).into_response()
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
        let prior = switch::is_killed(&ProcessEnv, &state.home);
        let failed =
            |error: std::io::Error| problem(StatusCode::INTERNAL_SERVER_ERROR, format!("switches/kill: {error}"));
        if wanted.value {
            let record = KillRecord {
                by: one_line(&wanted.by, 64),
                at_ms: state.clock.now_ms(),
                reason: one_line(&stopgate_core::redact::redact(&wanted.reason), 500),
            };
            switch::set_kill(&state.home, &record).map_err(failed)?;
            operator::done(&state, peer, "kill on", &record.reason);
        } else {
            operator::check(&state, peer, "kill off").map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
            switch::clear_kill(&state.home).map_err(failed)?;
            operator::done(&state, peer, "kill off", "");
        }
        let on = switch::is_killed(&ProcessEnv, &state.home);
        Ok(KillState { kill_switch: on, prior, changed: on != prior })
    };
    answer(off_loop(flip).await)
}

pub(super) async fn shutdown(Shared(state): Shared<Arc<State>>) -> Response {
    tracing::info!("asked to stop");
    state.stop.notify_one();
    (StatusCode::ACCEPTED, Json(serde_json::json!({ "stopping": true }))).into_response()
}

fn answer<T: serde::Serialize>(done: Result<Result<T, Response>, Response>) -> Response {
    match done {
        Ok(Ok(state)) => Json(state).into_response(),
        Ok(Err(problem)) | Err(problem) => problem,
    }
}
