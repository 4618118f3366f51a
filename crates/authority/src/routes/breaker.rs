//! The breakers of judges: everybody may look, the operator may close them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use stopgate_protocol::{BreakerStates, BreakersReset, ResetBreakers};

use super::control::{answer, still_counts};
use super::{body, off_loop, problem};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// The action, as it is logged and refused.
const RESET: &str = "gate breaker reset";

pub(super) async fn show(Shared(state): Shared<Arc<State>>) -> Response {
    let look = move || BreakerStates { breakers: state.judges.breakers(&state.storage) };
    off_loop(look).await.map_or_else(|problem| problem, |states| Json(states).into_response())
}

pub(super) async fn reset(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let ResetBreakers { condition } = if bytes.is_empty() {
        ResetBreakers::default()
    } else {
        match body(&bytes) {
            Ok(wanted) => wanted,
            Err(problem) => return problem,
        }
    };
    let work = move || {
        still_counts(&peer, &condition, &state.home.database(), "stopgate gate breaker")?;
        operator::check(&state, peer.clone(), RESET).map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
        let reset = state
            .judges
            .reset_breakers(&state.storage)
            .map_err(|error| problem(StatusCode::SERVICE_UNAVAILABLE, format!("not reset: {error}")))?;
        operator::done(&state, peer, RESET, &reset.to_string());
        Ok(BreakersReset { reset })
    };
    answer(off_loop(work).await)
}
