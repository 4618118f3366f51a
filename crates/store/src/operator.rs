//! What was done of the operator's, and by whom.

use rusqlite::params;
use stopgate_core::clock::UnixMillis;
use stopgate_protocol::{CallerKind, CallerProcess, UnattendedAct};

use crate::{Store, StoreError};

/// Acts that are shown at once; the rest comes when these are seen.
const MAX_SHOWN: u32 = 200;

/// One act, done or refused.
#[derive(Debug, Clone, Copy)]
pub struct OperatorAction<'a> {
    /// When.
    pub at_ms: UnixMillis,
    /// As it is typed.
    pub action: &'a str,
    /// Whether it was done; else it was refused.
    pub done: bool,
    /// What the caller is.
    pub caller: CallerKind,
    /// The caller and its ancestors, nearest first.
    pub chain: &'a [CallerProcess],
    /// What more there is to say.
    pub detail: &'a str,
}

impl Store {
    /// Notes an act of the operator's, done or refused.
    pub fn record_operator_action(&self, act: &OperatorAction<'_>) -> Result<(), StoreError> {
        let chain = serde_json::to_string(act.chain).unwrap_or_else(|_| "[]".to_owned());
        let outcome = if act.done { "done" } else { "refused" };
        let pid = act.chain.first().map(|process| process.pid);
        self.connection.execute(
            "INSERT INTO operator_actions (at_ms, action, outcome, pid, detail, caller, chain)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![act.at_ms, act.action, outcome, pid, act.detail, act.caller.name(), chain],
        )?;
        Ok(())
    }

    /// What was done without a terminal, and nobody has marked as seen, oldest first.
    pub fn unattended_acts(&self) -> Result<Vec<UnattendedAct>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, at_ms, action, detail, chain FROM operator_actions
             WHERE caller = 'unattended' AND outcome = 'done' AND seen_at_ms IS NULL ORDER BY id LIMIT ?1",
        )?;
        let rows = query.query_map([MAX_SHOWN], |row| {
            let chain: String = row.get("chain")?;
            Ok(UnattendedAct {
                id: row.get("id")?,
                at_ms: row.get("at_ms")?,
                action: row.get("action")?,
                detail: row.get("detail")?,
                chain: serde_json::from_str(&chain).unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Marks what is unseen up to the act `up_to` as seen; how many those were.
    pub fn mark_seen(&self, up_to: i64, now_ms: UnixMillis) -> Result<u64, StoreError> {
        let marked = self.connection.execute(
            "UPDATE operator_actions SET seen_at_ms = ?2
             WHERE caller = 'unattended' AND outcome = 'done' AND seen_at_ms IS NULL AND id <= ?1",
            params![up_to, now_ms],
        )?;
        Ok(u64::try_from(marked).unwrap_or(u64::MAX))
    }
}
