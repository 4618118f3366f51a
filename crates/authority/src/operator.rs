//! What only the operator may do: an agent that asks for it is refused, and either is noted. Who is one, `stopgate_registry`
//! tells.

use stopgate_core::process::ProcFs;
use stopgate_protocol::Failure;
use stopgate_registry::caller;

use crate::peer::Peer;
use crate::state::State;

/// `Err` with the reason if the caller is an agent, or cannot be told from one; the refusal is logged.
pub(crate) fn check(state: &State, peer: Peer, action: &str) -> Result<(), Failure> {
    // The kernel names the peer by its number in this process's namespace, which may not be that of `/proc`.
    let pid = peer.pid.filter(|_| ProcFs::has_own_numbers());
    // A store that cannot be read refuses nobody: the person must get through.
    let Ok(caller) = state.storage.with_store(|store| caller(store, pid)) else { return Ok(()) };
    let Some(refusal) = caller.refusal(action) else { return Ok(()) };
    tracing::warn!(action, peer = peer.pid, ?caller, "refused");
    let now = state.storage.now_ms();
    let detail = &refusal.detail;
    let _ = state.storage.with_store(|store| store.record_operator_action(now, action, false, peer.pid, detail));
    Err(refusal.told)
}

/// Notes that an operator's action was done.
pub(crate) fn done(state: &State, peer: Peer, action: &str, detail: &str) {
    tracing::info!(action, peer = peer.pid, detail, "done");
    let now = state.storage.now_ms();
    let _ = state.storage.with_store(|store| store.record_operator_action(now, action, true, peer.pid, detail));
}
