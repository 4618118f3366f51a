//! build-stop-hook: keeps the session that owns a live build at it. Needs no authority.

use std::path::Path;
use std::time::Instant;

use stopgate_build_guard::hold::{BuildTurn, LetGo};
use stopgate_build_guard::owner::{Claimant, OwnerSurroundings, Rung};
use stopgate_build_guard::reason;
use stopgate_build_guard::store::{self, HeldBuild};
use stopgate_core::clock::{Clock as _, SystemClock, UnixMillis};
use stopgate_core::env::{Env, ProcessEnv};
use stopgate_core::harness::{Event, EventKind, Reply, Stop};
use stopgate_core::hook;
use stopgate_core::process::host;
use stopgate_core::process::{self, Liveness, ProcFs, ProcessIdentity};
use stopgate_core::session::Harness;
use stopgate_core::tmux::{self, TmuxPlace, TmuxRecord};
use stopgate_core::{autostart, checkout, leave, lineage, person, woken};

use crate::{HookOutcome, RunningHook, harness_process};

/// The hook's `main`.
pub fn build_stop_hook() {
    crate::run(hook::Hook::BuildStop, hold_owner);
}

fn hold_owner(hook: &RunningHook) -> HookOutcome {
    let event = match hook.event() {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    // A subagent speaks with its session's id, but it is not what owns the build.
    let EventKind::Stop(stop) = &event.kind else { return HookOutcome::Nothing };
    if event.agent_id.is_some() {
        return HookOutcome::Nothing;
    }
    let allow = HookOutcome::Answer(event.key.harness, Reply::Allow);
    let Some(checkout) = event.cwd.as_deref().and_then(checkout::find) else {
        return allow;
    };
    let builds = store::directories(&checkout);
    if builds.is_empty() {
        return allow;
    }
    // The first stop of a turn that a hook began: nothing has kept that turn going yet.
    let continued = stop.stop_hook_active && !woken::take(&hook.home, &event.key, hook::Hook::BuildStop);
    let turn = BuildTurn { continued, cap: block_cap(&ProcessEnv, event.key.harness), released: false };
    let claimant = claimant(&event);
    let now = SystemClock.now_ms();
    for dir in builds {
        if Instant::now() >= hook.deadline.get() {
            hook.failed("builds not looked at", &format!("the deadline came before {}", dir.display()));
            break;
        }
        // The transcript is read only for whom the build would hold; what is asked next is that it be written down.
        let is_released = || {
            leave::however_stalled(hook.end.get());
            is_released(&event, stop, hook.deadline.get())
        };
        match store::spend(&dir, &claimant, turn, &ProcWorld(hook), now, hook.deadline.get(), is_released) {
            Ok(Ok(held)) => {
                audit(hook, &dir, &held, &claimant, now);
                let program = reason::call(&checkout.worktree, autostart::program(&hook.home).as_deref());
                let reason = reason::render(&held.state, &held.guard, &program);
                return HookOutcome::Answer(event.key.harness, Reply::Block { reason });
            }
            Ok(Err(LetGo::Spent)) => tell_once(hook, &dir),
            Ok(Err(_)) => {}
            Err(error) => hook.failed("build not usable", &format!("{}: {error}", dir.display())),
        }
    }
    allow
}

/// Whether the person ended the session's turn.
fn is_released(event: &Event, stop: &Stop, until: Instant) -> bool {
    let look = |path| person::look(event.key.harness, path, stop.prompt_id.as_deref(), until);
    event.transcript_path.as_deref().is_some_and(|path| look(path).end.is_some())
}

fn claimant(event: &Event) -> Claimant {
    Claimant {
        key: event.key.clone(),
        tmux: TmuxPlace::of(&ProcessEnv),
        process: harness_process(event.key.harness),
        host: host(),
    }
}

/// The harness's own limit on blocks in a row.
fn block_cap(environment: &dyn Env, harness: Harness) -> Option<u32> {
    let cap = harness.spec().block_cap?;
    let set = environment.text(cap.variable).and_then(|text| text.parse().ok());
    Some(set.unwrap_or(cap.usual)).filter(|cap| *cap > 0)
}

/// The block stands already; an audit that fails takes nothing back.
fn audit(hook: &RunningHook, dir: &Path, held: &HeldBuild, claimant: &Claimant, now: UnixMillis) {
    let detail = match held.rung {
        Rung::Session => None,
        rung => Some(format!("owner recognised by {}, now session {}", rung.name(), claimant.key)),
    };
    if let Err(error) = store::append_blocked(dir, held, detail, now) {
        hook.failed("audit not written", &format!("{}: {error}", dir.display()));
    }
}

/// Notes the end of the budget at the first stop after it.
fn tell_once(hook: &RunningHook, dir: &Path) {
    if store::mark_spent(dir) {
        let detail = format!("{}: all reminders are spent, the owner is let go from here on", dir.display());
        hook.note("build no longer protected", &detail);
    }
}

/// What the ladder of ownership asks, answered from `/proc` and from what recorder and authority wrote down.
struct ProcWorld<'a>(&'a RunningHook);

impl OwnerSurroundings for ProcWorld<'_> {
    fn liveness(&self, process: &ProcessIdentity) -> Liveness {
        process::liveness(&ProcFs, process)
    }

    fn tmux_record(&self, process: &ProcessIdentity) -> Option<TmuxRecord> {
        tmux::read_record(&self.0.home, process)
    }

    fn descends(&self, processes: &[&ProcessIdentity], ancestor: &str, session: &str) -> bool {
        let recorded: Vec<_> = processes.iter().map(|process| lineage::read(&self.0.home, process)).collect();
        lineage::descends(&recorded, ancestor, session)
    }

    fn follows(&self, process: &ProcessIdentity, earlier: &ProcessIdentity) -> bool {
        lineage::follows(&self.0.home, process, earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_harness_s_own_cap_is_respected() {
        let of = |text| block_cap(&MapEnv::of([("CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", text)]), Harness::Claude);
        assert_eq!([of("3"), of("0"), of("many"), of("-1")], [Some(3), None, Some(8), Some(8)]);
        assert_eq!(block_cap(&MapEnv::default(), Harness::Claude), Some(8));
        assert_eq!(block_cap(&MapEnv::default(), Harness::Codex), None);
    }
}
