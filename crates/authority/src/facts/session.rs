//! What is known of the session besides its checkout: its transcript and its builds.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use stopgate_build_guard::state::BuildState;
use stopgate_build_guard::store;
use stopgate_core::checkout::Checkout;
use stopgate_core::session::SessionKey;
use stopgate_gate::transcript::Transcript;
use stopgate_registry::end_of_transcript;

use super::Session;

/// What the end of the session's transcript tells; nothing if it cannot be read.
pub(super) fn transcript(session: &Session<'_>) -> Transcript {
    session.transcript.map(|path| end_of_transcript(session.key.harness, path)).unwrap_or_default()
}

/// Files that the agent touched, relative to the top of the working tree.
pub(super) fn touched(checkout: &Checkout, cwd: &Path, transcript: &Transcript) -> BTreeSet<String> {
    let relative = |file: &String| {
        let file = cwd.join(file);
        let inside = file.strip_prefix(&checkout.worktree).ok()?;
        inside.to_str().map(|path| path.trim_start_matches("./").to_owned())
    };
    transcript.touched.iter().filter_map(relative).collect()
}

/// Ids of the session's builds that are not over, as far as they could be read before `deadline`.
pub(super) fn live_builds(checkout: &Checkout, key: &SessionKey, deadline: Instant) -> Vec<String> {
    let is_own = |state: &BuildState| {
        let owner = state.owner.as_ref().filter(|owner| owner.harness.is_none_or(|harness| harness == key.harness));
        let session = owner.and_then(|owner| owner.session_id.as_deref());
        session == Some(&key.session_id) && !state.phase.is_terminal()
    };
    store::directories(checkout)
        .iter()
        .take_while(|_| Instant::now() < deadline)
        .filter_map(|dir| store::read(dir).ok().flatten())
        .filter(is_own)
        .map(|state| state.id)
        .collect()
}
