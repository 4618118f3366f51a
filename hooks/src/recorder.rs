//! session-start-recorder: reports what happens to sessions, and starts the authority when it is down.

use std::time::{Duration, Instant};

use serde_json::Value;
use stopgate_core::autostart::{Autostart, autostart, migrate_if_outdated};
use stopgate_core::beat::{self, Beat};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Event, EventKind, EventName, Reply, registration};
use stopgate_core::hook;
use stopgate_core::protocol::{HookEvent, Origin, search_path};
use stopgate_core::spool::SpoolRoute;
use stopgate_core::tmux::TmuxPlace;
use stopgate_core::{checkout, leave, lineage, woken};
use stopgate_store::{Store, StoreError};

use crate::delivery::{Undelivered, redacted};
use crate::{HookOutcome, RunningHook, harness_process};

/// How long the authority may take to take an event in. With the second for the input it keeps the hook well below what
/// Codex gives a `SessionEnd` hook at most.
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(400);
/// How long to wait altogether for others who write to the store.
const STORE_PATIENCE: Duration = Duration::from_millis(300);
/// The same where an authority lives and does not answer: it may be what holds the store, and then it goes on holding it.
const STORE_PATIENCE_BESIDE_HUNG: Duration = Duration::from_millis(20);

/// An answer that says something to the agent is at least as long: with the field, its mark, and a word.
const LEAST_TOLD_BYTES: usize = 100;

/// The hook's `main`.
pub fn session_start_recorder() {
    crate::run(hook::Hook::SessionStartRecorder, record);
}

fn record(hook: &RunningHook) -> HookOutcome {
    let mut event = match hook.event() {
        Ok(event) => event,
        Err(outcome) => return outcome,
    };
    // Stops go to the gate, and a subagent's comings and goings are not the session's.
    if matches!(event.kind, EventKind::Stop(_) | EventKind::SubagentStop) || event.agent_id.is_some() {
        return HookOutcome::Nothing;
    }
    let harness = event.key.harness;
    if matches!(event.kind, EventKind::SessionStart { .. }) {
        migrate_if_outdated(&ProcessEnv, &hook.home);
    }
    if let EventKind::UserPromptSubmit { prompt } = &event.kind {
        if (harness.spec().woken_by_hook)(prompt) {
            woken::mark(&hook.home, &event.key);
        } else {
            woken::forget(&hook.home, &event.key);
        }
    }
    if let EventKind::ConfigChange { file: Some(file), lost } = &mut event.kind {
        // The last that this session's hooks hear, should they be what was taken out.
        *lost = registration::lost(&hook.home, file).map(Box::new);
        if let Some(lost) = lost {
            hook.note("hooks lost in the midst of a session", &format!("{}: {lost}", event.key));
        }
    }
    let origin = origin(hook, &event);
    let now = SystemClock.moment();
    let boot_ms = Some(now.boot_ms);
    let reported = HookEvent { event_id: new_event_id(&SystemClock), at_ms: now.wall_ms, boot_ms, origin, event };
    let Ok(body) = serde_json::to_vec(&reported) else {
        return HookOutcome::Nothing;
    };
    match hook.post(SpoolRoute::HookEvent, &body, Instant::now() + env::patiently(ACKNOWLEDGEMENT)) {
        Ok(response) => HookOutcome::Answer(harness, told(&reported.event.kind, &response.body)),
        Err(undelivered) => without_authority(hook, reported, undelivered),
    }
}

/// What the authority has to say to the agent, with an event that takes it. Mostly nothing, and then its answer is not read.
fn told(kind: &EventKind, answer: &[u8]) -> Reply {
    let event = match kind {
        EventKind::SessionStart { .. } => EventName::SessionStart,
        EventKind::UserPromptSubmit { .. } => EventName::UserPromptSubmit,
        _ => return Reply::Allow,
    };
    // Every answer has an id of 36 bytes and little else.
    if answer.len() < LEAST_TOLD_BYTES {
        return Reply::Allow;
    }
    let text =
        serde_json::from_slice::<Value>(answer).ok().and_then(|answer| answer.get("tell")?.as_str().map(str::to_owned));
    text.filter(|text| text.starts_with("[stopgate]")).map_or(Reply::Allow, |text| Reply::Told { event, text })
}

/// What only this process can see of the session.
fn origin(hook: &RunningHook, event: &Event) -> Origin {
    let starts = matches!(event.kind, EventKind::SessionStart { .. });
    let checkout = event.cwd.as_deref().and_then(checkout::find);
    let harness_process = harness_process(event.key.harness);
    let own = harness_process.as_ref().filter(|process| !process.shared);
    // What many sessions share has the environment, and so the terminal, of whichever session came first.
    let is_own_terminal = harness_process.is_none() || own.is_some();
    let terminal = |name| ProcessEnv.text(name).filter(|_| is_own_terminal);
    let (tmux, tmux_pane) = (terminal(env::TMUX), terminal(env::TMUX_PANE));
    if let Some(process) = own.filter(|_| starts)
        && let Some(place) =
            tmux.as_deref().zip(tmux_pane.as_deref()).and_then(|(tmux, pane)| TmuxPlace::parse(tmux, pane))
    {
        lineage::begin_in(&hook.home, &place, process);
    }
    let predecessor = own.and_then(|process| {
        let entry =
            lineage::LineageEntry { session: event.key.session_id.clone(), event: lineage::What::of(&event.kind)? };
        lineage::record(&hook.home, process, entry)
    });
    Origin {
        predecessor,
        tmux,
        tmux_pane,
        head: checkout.as_ref().filter(|_| starts).and_then(checkout::Checkout::head),
        checkout: checkout.map(|checkout| checkout.main),
        harness_process,
        search_path: starts.then(|| search_path(&ProcessEnv)).flatten(),
    }
}

/// Writes the row itself and sees to it that the next event finds an authority.
fn without_authority(hook: &RunningHook, mut reported: HookEvent, undelivered: Undelivered) -> HookOutcome {
    leave::however_stalled(hook.end.get());
    let patience = env::patiently(match undelivered {
        Undelivered::Absent => STORE_PATIENCE,
        Undelivered::Refused(_) => {
            // That it failed is clear, whatever else there is time for.
            beat::leave(&hook.home, hook.name, Beat::Failed);
            STORE_PATIENCE_BESIDE_HUNG
        }
    });
    let until = Instant::now() + patience;
    let opened = hook.home.create().map_err(StoreError::from).and_then(|()| Store::open(&hook.home, patience));
    // Closed at the end: who closes it last waits for the disk.
    let (_open, stored) = match opened {
        Ok(mut store) => {
            let left = until.saturating_duration_since(Instant::now());
            let stored = store.set_patience(left).and_then(|()| store.record_event(&reported).map(drop));
            (Some(store), stored)
        }
        Err(error) => (None, Err(error)),
    };
    if stored.is_err() {
        reported.event = redacted(reported.event);
        hook.spool(SpoolRoute::HookEvent, &reported.event_id, serde_json::to_vec(&reported).ok());
    }
    // Only where nobody listens: a hung authority holds its lock, and a second one could not serve.
    let started = matches!(undelivered, Undelivered::Absent).then(|| autostart(&ProcessEnv, &hook.home));
    match (stored, started) {
        (Err(error), _) => HookOutcome::Failed { problem: "event spooled", detail: error.to_string() },
        (Ok(()), Some(Autostart::Started(_) | Autostart::Forbidden)) => {
            HookOutcome::Answer(reported.event.key.harness, Reply::Allow)
        }
        (Ok(()), Some(Autostart::NoProgram)) => HookOutcome::Failed {
            problem: "authority not started",
            detail: format!("no program {}", hook.home.bin().join(stopgate_core::autostart::PROGRAM).display()),
        },
        (Ok(()), Some(Autostart::Failed(error))) => {
            HookOutcome::Failed { problem: "authority not started", detail: error.to_string() }
        }
        (Ok(()), None) => HookOutcome::Failed { problem: "authority did not answer", detail: undelivered.detail() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STDIN_DEADLINE;

    #[test]
    fn its_waits_fit_into_the_shortest_time_that_it_is_registered_with() {
        let row = hook::Hook::SessionStartRecorder.row();
        let shortest = row.wires.iter().map(|wire| wire.timeout).min().unwrap();
        assert!(STDIN_DEADLINE + ACKNOWLEDGEMENT + STORE_PATIENCE < row.deadline);
        assert!(row.deadline < shortest.duration());
        // What the README says of an authority that hangs.
        assert!(ACKNOWLEDGEMENT + STORE_PATIENCE_BESIDE_HUNG < Duration::from_millis(450));
    }
}
