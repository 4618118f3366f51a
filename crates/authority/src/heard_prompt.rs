//! What a hook heard of what is asked for. Whose prompt it was, no hook is told (`stopgate_core::person`): so it counts
//! only until a transcript shows the person's, and what is plainly a machine's does not count at all.

use stopgate_core::harness::EventKind;
use stopgate_core::protocol::HookEvent;
use stopgate_core::switch::Mode;
use stopgate_gate::asked::{Asked, AskedAt};

use crate::state::State;

/// What prompts begin with that clients send by themselves.
const MACHINES: [&str; 6] = [
    "<task-notification>",
    "<cross-session-message",
    "<teammate-message",
    "Another Claude session sent a message",
    "Stop hook feedback",
    "<system-reminder>",
];

/// What is asked for since the prompt that `reported` tells of; what was known before, where that is a machine's.
pub(crate) fn asked(state: &State, reported: &HookEvent) -> Option<AskedAt> {
    let EventKind::UserPromptSubmit { prompt } = &reported.event.kind else { return None };
    if reported.event.agent_id.is_some() {
        return None;
    }
    let key = &reported.event.key;
    let stored = state.standing(key, Mode::Shadow).1.asked;
    let remembered = state.memory().turn(key, Mode::Shadow).asked;
    let heard = remembered.heard.or(stored.heard);
    if MACHINES.iter().any(|begins| prompt.trim_start().starts_with(begins)) {
        return heard;
    }
    let shown = remembered.shown.or(stored.shown);
    let before = shown.into_iter().chain(heard).max_by_key(|known| known.at_ms);
    let asked = before.map_or_else(Asked::default, |known| known.asked).then(prompt);
    Some(AskedAt::new(reported.at_ms, asked, prompt))
}
