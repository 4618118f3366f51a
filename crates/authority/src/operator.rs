//! What only the operator may do: an agent that asks for it is refused, and either is noted. Who is one, `stopgate_registry`
//! tells.

use stopgate_registry::{harness_above, refusal};

use crate::peer::Peer;
use crate::state::State;

/// `Err` with the reason if the caller is an agent; the refusal is logged.
pub(crate) fn check(state: &State, peer: Peer, action: &str) -> Result<(), String> {
    let above = peer.pid.map(|pid| state.storage.with_store(|store| harness_above(store, pid)));
    let Some(Ok(Some(harness))) = above else { return Ok(()) };
    tracing::warn!(action, peer = peer.pid, harness, "refused to an agent");
    let now = state.storage.now_ms();
    let detail = format!("descends from harness pid {harness}");
    let _ = state.storage.with_store(|store| store.record_operator_action(now, action, false, peer.pid, &detail));
    Err(refusal(action, harness))
}

/// Notes that an operator's action was done.
pub(crate) fn done(state: &State, peer: Peer, action: &str, detail: &str) {
    tracing::info!(action, peer = peer.pid, detail, "done");
    let now = state.storage.now_ms();
    let _ = state.storage.with_store(|store| store.record_operator_action(now, action, true, peer.pid, detail));
}
