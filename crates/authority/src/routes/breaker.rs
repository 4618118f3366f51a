//! The breakers of judges: everybody may look, the operator may close them.

use std::sync::Arc;

use axum::response::Response;
use stopgate_protocol::{BreakerStates, BreakersReset, ErrorCode, ListBreakers, ResetBreakers};

use super::control::still_counts;
use super::{Routes, off_loop, problem};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(show).serve(reset)
}

async fn show(state: Arc<State>, _: Peer, _: ListBreakers) -> Result<BreakerStates, Response> {
    off_loop(move || BreakerStates { breakers: state.judges.breakers(&state.storage) }).await
}

async fn reset(state: Arc<State>, peer: Peer, wanted: ResetBreakers) -> Result<BreakersReset, Response> {
    let work = move || {
        still_counts(&peer, &wanted.condition, &state.home.database(), "stopgate gate breaker")?;
        let reset = state
            .judges
            .reset_breakers(&state.storage)
            .map_err(|error| problem(ErrorCode::StoreUnavailable, format!("not reset: {error}")))?;
        operator::done(&state, &peer, ResetBreakers::ACTION, &reset.to_string());
        Ok(BreakersReset { reset })
    };
    off_loop(work).await?
}
