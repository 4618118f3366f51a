//! What agents say against a hold: over the socket, or, from a sandbox that has none, by a note in their checkout.

use stopgate_core::checkout;
use stopgate_core::contest_note;
use stopgate_core::protocol::EvaluateRequest;
use stopgate_core::redact::redact;
use stopgate_core::switch::Mode;
use stopgate_core::text;

use crate::state::State;

/// Longest reason of a contest that is kept.
const MAX_CHARS: usize = 500;

/// An agent's `why` as it is kept; `None` if it says nothing.
pub(crate) fn reason(why: &str) -> Option<String> {
    Some(text::one_line(&redact(why), MAX_CHARS)).filter(|why| !why.is_empty())
}

/// Takes in what the session that stops has left in its working tree.
pub(crate) fn take_note(state: &State, request: &EvaluateRequest) {
    let key = &request.event.key;
    let now = state.storage.now_ms();
    let Some(worktree) = request.event.cwd.as_deref().and_then(checkout::find).map(|found| found.worktree) else {
        return;
    };
    let Some(why) = contest_note::take(&worktree, key, now).and_then(|why| reason(&why)) else { return };
    if state.standing(key, Mode::Enforce).0.is_none() {
        return;
    }
    if let Err(error) = state.storage.with_store(|store| store.record_contest(key, &why, now)) {
        tracing::warn!(%key, %error, "a contest that was left in the checkout is lost");
    }
}
