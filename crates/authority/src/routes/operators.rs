//! What was done of the operator's where nobody saw it.

use std::sync::Arc;

use axum::response::Response;
use stopgate_protocol::{AskLeave, LeaveGiven, ListUnattended, MarkSeen, MarkedSeen, UnattendedAct};

use super::{Routes, off_loop, unavailable};
use crate::peer::Peer;
use crate::state::State;

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(unattended).serve(seen).serve(leave)
}

async fn unattended(state: Arc<State>, _: Peer, _: ListUnattended) -> Result<Vec<UnattendedAct>, Response> {
    let read = move || state.storage.with_store(|store| store.unattended_acts());
    off_loop(read).await?.map_err(unavailable)
}

/// Whoever may not was refused on the way here.
async fn leave(_: Arc<State>, _: Peer, _: AskLeave) -> Result<LeaveGiven, Response> {
    Ok(LeaveGiven {})
}

async fn seen(state: Arc<State>, _: Peer, wanted: MarkSeen) -> Result<MarkedSeen, Response> {
    let mark = move || {
        let now = state.storage.now_ms();
        state.storage.with_store(|store| store.mark_seen(wanted.up_to, now))
    };
    let marked = off_loop(mark).await?.map_err(unavailable)?;
    Ok(MarkedSeen { marked })
}
