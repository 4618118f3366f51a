//! write-fence: asks the authority, before a tool writes, whether another session is at that.

use stopgate_coordination::fence::mode;
use stopgate_core::harness::EventKind;
use stopgate_core::hook;
use stopgate_core::switch::{Mode, ModeReading};

use crate::{HookOutcome, RunningHook};

/// The hook's `main`.
pub fn write_fence() {
    crate::run(hook::Hook::WriteFence, guard);
}

fn guard(hook: &RunningHook) -> HookOutcome {
    let mode = mode::read(&hook.home);
    if mode == ModeReading::Unreadable {
        return HookOutcome::Failed { problem: "fence's mode unreadable", detail: "treated as off".to_owned() };
    }
    if mode::of(mode) == Mode::Off {
        return HookOutcome::Nothing;
    }
    let event = match hook.event() {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    let EventKind::PreToolUse(_) = &event.kind else { return HookOutcome::Nothing };
    HookOutcome::Nothing
}
