//! Whether a hook did what its situation claims: the bench of a hook that silently failed is worthless.

use anyhow::{Context as _, ensure};
use serde_json::Value;
use stopgate_core::beat;
use stopgate_core::decision::Decision;
use stopgate_protocol::GateLogRow;

use crate::authority::Authority;
use crate::measure::Finished;
use crate::situations::{Prints, Proof, Situation};

/// `touch` leaves it to the file system to tell the time, whose clock lags behind by up to a tick. Two spawns of the same
/// situation are further apart.
const CLOCK_LAG_MS: i64 = 10;
/// More than the authority gives: all that it gives.
const MAX_TAIL: usize = 1_000_000;

/// Makes sure that `authority` has the sessions `ids` on record as `proof` says.
pub(crate) fn on_record(authority: &Authority, proof: Proof, ids: &[String]) -> anyhow::Result<()> {
    match proof {
        Proof::None => Ok(()),
        Proof::Recorded => {
            let known = authority.started_sessions()?;
            let missing = ids.iter().filter(|id| !known.contains(id)).count();
            ensure!(missing == 0, "{missing} of {} sessions are not in the store", ids.len());
            Ok(())
        }
        Proof::Judged { .. } => {
            let log = authority.log(MAX_TAIL)?;
            for id in ids {
                let row = log
                    .iter()
                    .find(|row| row.session_id == *id)
                    .with_context(|| format!("the stop of {id} is not in the authority's log"))?;
                ensure!(is_as_claimed(row, proof), "a stop was judged otherwise: {}", serde_json::to_string(row)?);
            }
            Ok(())
        }
    }
}

/// Whether the authority judged a stop as `proof` says.
fn is_as_claimed(row: &GateLogRow, proof: Proof) -> bool {
    let Proof::Judged { short_circuit, would_block, blocked } = proof else {
        return true;
    };
    let decision = if would_block { Decision::Continue } else { Decision::Allow };
    row.decision == Some(decision)
        && row.short_circuit.as_deref() == short_circuit
        && row.would_block == would_block
        && row.blocked == blocked
        && row.fail_open.is_none()
}

/// Holds one end of a hook against what it should have been, and empties the spool.
pub(crate) fn end(situation: &Situation, finished: &Finished, before_ms: i64) -> anyhow::Result<()> {
    let expected = situation.expected;
    let shown = String::from_utf8_lossy(&finished.stdout);
    ensure!(finished.success, "did not exit with 0");
    ensure!(is_printed(expected.prints, &finished.stdout), "should print {:?}, printed {shown:?}", expected.prints);
    if let Some(kind) = expected.beat {
        let last = beat::last(&situation.home, situation.program.name(), kind);
        ensure!(last.is_some_and(|at_ms| at_ms >= before_ms - CLOCK_LAG_MS), "left no beat `{}`", kind.name());
    }
    let spooled = empty_spool(situation)?;
    ensure!(spooled == expected.spooled, "should spool {} files, spooled {spooled}", expected.spooled);
    ensure!(
        finished.elapsed >= expected.at_least,
        "should have waited for {:?}, ended after {:?}",
        expected.at_least,
        finished.elapsed
    );
    Ok(())
}

/// Whether a hook printed what it should.
fn is_printed(prints: Prints, stdout: &[u8]) -> bool {
    let is_ours = |reason: &Value| reason.as_str().is_some_and(|reason| reason.starts_with("[stopgate]"));
    let reply: Value = serde_json::from_slice(stdout).unwrap_or_default();
    let tool = &reply["hookSpecificOutput"];
    match prints {
        Prints::Nothing => stdout.is_empty(),
        Prints::Block => reply["decision"] == "block" && is_ours(&reply["reason"]),
        Prints::Denial => tool["permissionDecision"] == "deny" && is_ours(&tool["permissionDecisionReason"]),
    }
}

/// Removes what was spooled and counts it. An authority would drain it; a spool that grows is another situation.
fn empty_spool(situation: &Situation) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(situation.home.spool())? {
        std::fs::remove_file(entry?.path())?;
        count += 1;
    }
    Ok(count)
}
