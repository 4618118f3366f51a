//! Tells the operator from the agents: a caller that descends from a harness process which the registry knows is
//! an agent, and agents do not turn their own gate off.
//!
//! This is drift correction, not a security boundary: an agent of the same user can write the files itself.

use stopgate_core::process::{ProcFs, ProcessTable as _, ancestry};
use stopgate_store::{Store, StoreError};

/// The recorded harness process that the process `pid` descends from, or is.
pub fn harness_above(store: &Store, pid: u32) -> Result<Option<u32>, StoreError> {
    let Some(boot) = ProcFs.boot_id() else { return Ok(None) };
    let known = store.harness_processes(&boot)?;
    Ok(ancestry(&ProcFs, pid).into_iter().find(|process| known.contains(process)).map(|(pid, _)| pid))
}

/// What an agent that tries an operator's `action` is told.
pub fn refusal(action: &str, harness: u32) -> String {
    format!(
        "refused: `{action}` is the operator's, and this caller runs inside a recorded agent session (harness pid \
         {harness}). Run it from a terminal of your own."
    )
}
