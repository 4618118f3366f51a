//! stop-gate-router: asks the authority whether a turn may end, and says so.

use std::time::Instant;

use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::decision::Decision;
use stopgate_core::env::{self, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Event, EventKind, Reply};
use stopgate_core::hook;
use stopgate_core::protocol::{EvaluateRequest, EvaluateResponse, search_path};
use stopgate_core::release;
use stopgate_core::session::Harness;
use stopgate_core::spool::SpoolRoute;
use stopgate_core::switch::{self, Mode};
use stopgate_core::woken;

use crate::delivery::{Undelivered, redacted};
use crate::{HookOutcome, RunningHook, SHADOW_ACKNOWLEDGEMENT};

/// The hook's `main`.
pub fn stop_gate_router() {
    crate::run(hook::Hook::StopGateRouter, judge);
}

fn judge(hook: &RunningHook) -> HookOutcome {
    let mode = switch::read_mode(&hook.home);
    if mode == switch::ModeReading::Unreadable {
        return HookOutcome::Failed { problem: "mode unreadable", detail: "treated as off".to_owned() };
    }
    let mode = mode.mode();
    if mode == Mode::Off {
        return HookOutcome::Nothing;
    }
    let mut event = match hook.event() {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    let is_subagent = event.agent_id.is_some();
    let EventKind::Stop(stop) = &mut event.kind else {
        return HookOutcome::Nothing;
    };
    // The first stop of a turn that a hook began: nothing has kept that turn going yet.
    if !is_subagent && woken::take(&hook.home, &event.key, hook::Hook::StopGateRouter) {
        stop.stop_hook_active = false;
    }
    if release::by_marks(stop.stop_hook_active, is_subagent).is_some() {
        return HookOutcome::Answer(event.key.harness, Reply::Allow);
    }
    ask(hook, mode, event)
}

fn ask(hook: &RunningHook, mode: Mode, event: Event) -> HookOutcome {
    let harness = event.key.harness;
    let deadline = match mode {
        Mode::Enforce => hook.deadline.get(),
        Mode::Off | Mode::Shadow => Instant::now() + env::patiently(SHADOW_ACKNOWLEDGEMENT),
    };
    let waits = deadline.saturating_duration_since(Instant::now()).as_millis();
    let now = SystemClock.moment();
    let request = EvaluateRequest {
        event_id: new_event_id(&SystemClock),
        at_ms: now.wall_ms,
        boot_ms: Some(now.boot_ms),
        event,
        mode,
        deadline_ms: u64::try_from(waits).unwrap_or(0),
        search_path: search_path(&ProcessEnv),
        may_wait: mode == Mode::Enforce,
    };
    let Ok(body) = serde_json::to_vec(&request) else {
        return HookOutcome::Nothing;
    };
    match hook.post(SpoolRoute::Evaluate, &body, deadline) {
        Ok(response) if mode == Mode::Enforce => answer(harness, &response.body),
        Ok(_) => HookOutcome::Answer(harness, Reply::Allow),
        Err(undelivered) => put_away(hook, request, undelivered),
    }
}

/// Turns a verdict into an answer: only a continue with a reminder of ours holds the agent.
fn answer(harness: Harness, body: &[u8]) -> HookOutcome {
    let Ok(verdict) = serde_json::from_slice::<EvaluateResponse>(body) else {
        return HookOutcome::Failed { problem: "verdict not understood", detail: format!("{} bytes", body.len()) };
    };
    if verdict.decision == Decision::Continue && verdict.reminder.starts_with("[stopgate]") {
        return HookOutcome::Answer(harness, Reply::Block { reason: verdict.reminder });
    }
    if verdict.note.starts_with("[stopgate]") {
        return HookOutcome::Answer(harness, Reply::Note { text: verdict.note });
    }
    HookOutcome::Answer(harness, Reply::Allow)
}

fn put_away(hook: &RunningHook, mut request: EvaluateRequest, undelivered: Undelivered) -> HookOutcome {
    request.event = redacted(request.event);
    hook.spool(SpoolRoute::Evaluate, &request.event_id, serde_json::to_vec(&request).ok());
    HookOutcome::Failed { problem: "stop not judged", detail: undelivered.detail() }
}
