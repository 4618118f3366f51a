//! What only the operator may do: an agent that asks for it is refused, and either is noted. Who is one, `stopgate_registry`
//! tells.

use std::fs::File;
use std::io::{self, Read};

use stopgate_coordination::fence::mode as fence_mode;
use stopgate_core::autostart;
use stopgate_core::paths::Home;
use stopgate_core::process::{
    Ancestry, Liveness, ProcFs, ProcessIdentity, ProcessRole, ProcessTable as _, Top, liveness, role_of,
};
use stopgate_core::protocol::Origin;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::switch;
use stopgate_protocol::endpoint::{Caller as MayAsk, Endpoint, Serving};
use stopgate_protocol::{CallerKind, CallerProcess, Failure};
use stopgate_registry::Caller;
use stopgate_store::StoreError;

use crate::peer::Peer;
use crate::state::State;
use crate::version;

/// Which session connected, or whether the person did; `told` are the sessions that the caller's environment names. Blocks.
pub(crate) fn who(
    state: &State,
    peer: &Peer,
    told: &[SessionKey],
) -> Result<stopgate_registry::caller::Caller, StoreError> {
    let seen = caller(state, peer);
    state.storage.with_store(|store| stopgate_registry::caller::who(store, &seen, told))
}

/// Who connected, by what the kernel says now.
fn caller(state: &State, peer: &Peer) -> Caller {
    // The kernel names the peer by its number in this process's namespace, which may not be that of `/proc`.
    let pid = peer.pid.filter(|_| ProcFs::has_own_numbers());
    if pid.is_none() {
        return Caller::of(None, None);
    }
    let Ok(held) = peer.hold() else { return Caller::vanished() };
    // What the kernel says counts with a broken store, too.
    let found = state.storage.with_store(|store| Ok(Caller::of(Some(store), pid)));
    let caller = found.unwrap_or_else(|_| Caller::of(None, pid));
    // Its number may have become another's while it was looked at.
    if held.still_runs(&caller.chain) { caller } else { Caller::vanished() }
}

/// `Err` with the reason if the caller may not ask what `may` says; the refusal is logged.
pub(crate) fn check(state: &State, peer: &Peer, may: &MayAsk) -> Result<(), Failure> {
    let Some(action) = may.action() else { return Ok(()) };
    let caller = caller(state, peer);
    let refusal = match may {
        MayAsk::AtTerminal { .. } => caller.refusal_without_terminal(action),
        _ => caller.refusal(action, state.settings.current().operator.terminal_only),
    };
    let Some(refusal) = refusal else { return Ok(()) };
    tracing::warn!(action, peer = peer.pid, ?caller, "refused");
    let act = caller.act(state.storage.now_ms(), action, false, &refusal.detail);
    let _ = state.storage.with_store(|store| store.record_operator_action(&act));
    Err(refusal.told)
}

/// Notes that an operator's action was done.
pub(crate) fn done(state: &State, peer: &Peer, action: &str, detail: &str) {
    let caller = caller(state, peer);
    tracing::info!(action, peer = peer.pid, caller = caller.kind.name(), detail, "done");
    let act = caller.act(state.storage.now_ms(), action, true, detail);
    let _ = state.storage.with_store(|store| store.record_operator_action(&act));
}

/// Who may ask `request`. `is_deployed` tells whether the asker runs a program of this home.
pub(crate) fn may_ask<E: Endpoint>(state: &State, request: &E, is_deployed: &dyn Fn() -> bool) -> MayAsk {
    let mode = || switch::read_mode(&state.home).mode();
    let fence = || fence_mode::of(fence_mode::read(&state.home));
    request.caller(&Serving { version: &version::own(), mode: &mode, fence: &fence, asker_is_deployed: is_deployed })
}

/// Whether `peer` runs a program of this home.
pub(crate) fn is_deployed(state: &State, peer: &Peer) -> bool {
    peer.pid.is_some_and(|pid| runs_a_deployed_program(&state.home, pid))
}

/// Whether the process `pid` is one of the programs in the home's `bin/`, by its bytes: a new version's installer puts the
/// programs there first, and runs from wherever it was unpacked.
fn runs_a_deployed_program(home: &Home, pid: u32) -> bool {
    let name = ProcFs.executable(pid);
    let Some(name) = name.as_deref().and_then(|path| path.rsplit('/').next()) else { return false };
    let name = name.trim_end_matches(" (deleted)");
    // Only those ask an authority to make way.
    if ![autostart::PROGRAM, "installer"].contains(&name) {
        return false;
    }
    let open = || Ok::<_, io::Error>((File::open(format!("/proc/{pid}/exe"))?, File::open(home.bin().join(name))?));
    open().and_then(|(asker, deployed)| same_bytes(asker, deployed)).unwrap_or(false)
}

/// Whether two files hold the same.
fn same_bytes(left: File, right: File) -> io::Result<bool> {
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (io::BufReader::new(left), io::BufReader::new(right));
    let (mut ours, mut theirs) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let count = left.read(&mut ours)?;
        if count == 0 {
            return Ok(true);
        }
        right.read_exact(&mut theirs[..count])?;
        if ours[..count] != theirs[..count] {
            return Ok(false);
        }
    }
}

/// The process that an event says its harness is, if it descends from that by what the kernel says now: an event is believed
/// of its own process alone. One whose sender cannot be seen, because it lives in another PID namespace, may name a process
/// there, and none here.
pub(crate) fn proven_process(peer: &Peer, harness: Harness, claimed: ProcessIdentity) -> Option<ProcessIdentity> {
    let own = ProcFs.namespace();
    let Some(pid) = peer.pid.filter(|_| ProcFs::has_own_numbers()) else {
        return (claimed.pid_namespace.is_some() && claimed.pid_namespace != own).then_some(claimed);
    };
    let held = peer.hold().ok()?;
    let mut ancestry = Ancestry::of(&ProcFs, pid);
    let is_it =
        |pid: u32| pid == claimed.pid || ProcFs::numbers(pid).is_some_and(|numbers| numbers.contains(&claimed.pid));
    let at = ancestry
        .ancestors
        .iter()
        .position(|ancestor| ancestor.start_ticks == claimed.start_ticks && is_it(ancestor.pid))?;
    // From its child on: that is what a client tells its own number to.
    ancestry.ancestors.truncate(at + 1);
    ancestry.ancestors.drain(..at.saturating_sub(1));
    ancestry.top = Top::Reached;
    let (found, told) = ancestry.harness(&ProcFs, &|_| false)?;
    let is_last = ancestry.ancestors.last().is_some_and(|last| last.pid == found.pid);
    let (_, role) = told.filter(|(told, _)| is_last && *told == harness)?;
    let shared = role == ProcessRole::Shared;
    held.is_there().then_some(ProcessIdentity { shared, ..claimed })
}

/// What a file says of where an event comes from. Nobody stands behind a file that could be asked: it may name a process that
/// has ended, or is a harness's by its name, or cannot be seen from here, but none that lives and is something else.
pub(crate) fn unless_a_persons(origin: Origin) -> Origin {
    let may_be = |process: &ProcessIdentity| {
        liveness(&ProcFs, process) != Liveness::Alive
            || Harness::ALL.iter().any(|harness| role_of(&ProcFs, process.pid, *harness).is_some())
    };
    let harness_process = origin.harness_process.filter(may_be);
    Origin { harness_process, ..origin }
}

/// `Err` with the reason if `peer` may not speak for the session `key`: an agent speaks for the session that is known to run in
/// the nearest harness above it, and everybody else needs to be the operator.
pub(crate) fn speaks_for(state: &State, peer: &Peer, key: &SessionKey) -> Result<(), Failure> {
    let asker = caller(state, peer);
    let action = "gate contest --session ...";
    if asker.kind != CallerKind::Agent {
        return check(state, peer, &MayAsk::operator(action));
    }
    let known = state.storage.with_store(|store| store.processes_of(key));
    // A store that cannot be read says nothing against anybody, and stores no contest either.
    let Ok(known) = known else { return Ok(()) };
    let harness = asker.chain.iter().find(|process| Some(process.pid) == asker.harness);
    let is_it = |harness: &CallerProcess| {
        let numbers = ProcFs::numbers(harness.pid).unwrap_or_else(|| vec![harness.pid]);
        known.iter().any(|known| known.start_ticks == harness.start_ticks && numbers.contains(&known.pid))
    };
    if harness.is_some_and(is_it) {
        return Ok(());
    }
    let refusal = asker.refusal(action, false);
    let detail = format!("for session {key}");
    let act = asker.act(state.storage.now_ms(), action, false, &detail);
    let _ = state.storage.with_store(|store| store.record_operator_action(&act));
    refusal.map_or(Ok(()), |refusal| Err(refusal.told))
}
