//! Codex's dialect (observed with 0.169.0).

use super::wire::Payload;
use super::{Payload as Read, PayloadError};
use crate::session::Harness;
use crate::text;

/// Codex cuts a block's reason at about 10,000 characters and says so in the text; stay well below.
const MAX_REASON_BYTES: usize = 8_000;

/// Whether the payload has marks that only Codex leaves.
pub(super) fn recognises(wire: &Payload) -> bool {
    let rollout = |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with("rollout-"));
    wire.has("turn_id") || matches!(wire.text("transcript_path"), Ok(Some(path)) if rollout(path))
}

/// Reads a payload. Codex does not report background tasks.
pub(super) fn read(wire: &Payload) -> Result<Read, PayloadError> {
    wire.event(Harness::Codex, 0)
}

/// A Stop block. Any field besides the two makes Codex drop the whole answer.
pub(super) fn block(reason: &str) -> Option<String> {
    super::claude::block_object(text::head(reason, MAX_REASON_BYTES))
}
