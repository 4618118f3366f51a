//! Claude Code's dialect (observed with 2.1.329).

use serde::Serialize;

use super::wire::Payload;
use super::{Payload as Read, PayloadError};
use crate::session::Harness;

/// Whether the payload has marks that only Claude Code leaves.
pub(super) fn recognises(wire: &Payload<'_>) -> bool {
    wire.prompt_id.is_some()
        || wire.background_tasks.is_some()
        || wire.transcript_path.as_deref().is_some_and(|path| path.contains("/.claude/"))
}

/// Reads a payload: scheduled wake-ups keep a session going as background tasks do.
pub(super) fn read(wire: Payload<'_>) -> Result<Read, PayloadError> {
    let pending = wire.background_tasks.as_ref().map_or(0, Vec::len) + wire.session_crons.as_ref().map_or(0, Vec::len);
    wire.into_event(Harness::Claude, pending)
}

/// A Stop block. Claude Code takes the reason whole and adds "Stop hook feedback:" before it.
pub(super) fn block(reason: &str) -> Option<String> {
    block_object(reason)
}

/// The object that both harnesses take: exactly the two documented fields, because Codex rejects any other.
pub(super) fn block_object(reason: &str) -> Option<String> {
    #[derive(Serialize)]
    struct Block<'a> {
        decision: &'a str,
        reason: &'a str,
    }
    serde_json::to_string(&Block { decision: "block", reason }).ok()
}
