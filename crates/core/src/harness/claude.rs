//! Claude Code's dialect (observed with 2.1.329).

use serde::Serialize;

use super::wire::Payload;
use super::{Payload as Read, PayloadError};
use crate::session::Harness;

/// Whether the payload has marks that only Claude Code leaves.
pub(super) fn recognises(wire: &Payload) -> bool {
    wire.has("prompt_id")
        || wire.has("background_tasks")
        || matches!(wire.text("transcript_path"), Ok(Some(path)) if path.contains("/.claude/"))
}

/// Reads a payload: scheduled wake-ups keep a session going as background tasks do.
pub(super) fn read(wire: &Payload) -> Result<Read, PayloadError> {
    let pending = wire.length("background_tasks")? + wire.length("session_crons")?;
    wire.event(Harness::Claude, pending)
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
