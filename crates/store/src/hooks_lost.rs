//! Rows about settings that lost our hooks while a session ran.

use rusqlite::{Transaction, params};
use stopgate_core::harness::EventKind;
use stopgate_core::protocol::HookEvent;

use crate::StoreError;

/// Notes what an event says about the session's hooks: that they were taken out, or that they are heard of again.
pub(crate) fn note(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<(), StoreError> {
    let (harness, session) = (reported.event.key.harness.name(), &reported.event.key.session_id);
    if let EventKind::ConfigChange { lost: Some(lost), .. } = &reported.event.kind {
        let lost = serde_json::to_string(lost).unwrap_or_default();
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO hooks_lost (harness, session_id, at_ms, lost) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![harness, session, reported.at_ms, lost])?;
        return Ok(());
    }
    // A change that leaves everything in its place is heard with the hooks as they were.
    if let EventKind::ConfigChange { file: Some(file), lost: None } = &reported.event.kind {
        transaction
            .prepare_cached(
                "UPDATE hooks_lost SET back_at_ms = ?3
                 WHERE harness = ?1 AND session_id = ?2 AND back_at_ms IS NULL AND at_ms < ?3 AND lost ->> 'file' = ?4",
            )?
            .execute(params![harness, session, reported.at_ms, file.to_string_lossy()])?;
        return Ok(());
    }
    transaction
        .prepare_cached(
            "UPDATE hooks_lost SET back_at_ms = ?3
             WHERE harness = ?1 AND session_id = ?2 AND back_at_ms IS NULL AND at_ms < ?3
               -- A line that was changed may well be heard, and not be answered.
               AND lost ->> 'how' <> 'changed'
               AND (json_array_length(lost, '$.events') = 0
                    OR EXISTS (SELECT 1 FROM json_each(lost, '$.events') WHERE value = ?4))",
        )?
        .execute(params![harness, session, reported.at_ms, reported.event.kind.name()])?;
    Ok(())
}
