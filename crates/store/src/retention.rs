//! Takes out what is old, a little at a time, and gives the room back.

use rusqlite::{TransactionBehavior, params};
use stopgate_core::clock::UnixMillis;

use crate::{Store, StoreError};

/// Rows that were taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Verdicts; their grades go with them.
    pub verdicts: usize,
    /// What hooks reported.
    pub events: usize,
    /// Continues.
    pub continues: usize,
    /// Contests.
    pub contests: usize,
    /// Verdicts of the fence; what it saw written goes with them.
    pub fence: usize,
}

impl Pruned {
    /// All rows.
    pub const fn total(&self) -> usize {
        self.verdicts + self.events + self.continues + self.contests + self.fence
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            verdicts: self.verdicts + other.verdicts,
            events: self.events + other.events,
            continues: self.continues + other.continues,
            contests: self.contests + other.contests,
            fence: self.fence + other.fence,
        }
    }
}

/// How full the file is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// In use.
    pub used: u64,
    /// Free within the file.
    pub free: u64,
    /// Whether free pages can be given back a few at a time.
    pub shrinks: bool,
}

impl Store {
    /// Takes out at most `batch` rows of each kind that are older than `before`, in one transaction: call it until
    /// nothing is left. Sessions, prompts, counts and what the operator did stay.
    pub fn prune(&mut self, before: UnixMillis, batch: u32) -> Result<Pruned, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let delete = |table: &str, key: &str| {
            transaction
                .prepare_cached(&format!(
                    "DELETE FROM {table} WHERE {key} IN
                        (SELECT {key} FROM {table} WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)"
                ))?
                .execute(params![before, batch])
        };
        delete("lease_events", "id")?;
        let pruned = Pruned {
            verdicts: delete("gate_events", "event_id")?,
            events: delete("hook_events", "event_id")?,
            continues: delete("continues", "event_id")?,
            contests: delete("contests", "id")?,
            fence: delete("fence_events", "event_id")?,
        };
        transaction.commit()?;
        Ok(pruned)
    }

    /// How full the file is.
    pub fn space(&self) -> Result<Space, StoreError> {
        let number = |pragma: &str| self.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let page = number("page_size")?.cast_unsigned();
        let (all, free) = (number("page_count")?.cast_unsigned(), number("freelist_count")?.cast_unsigned());
        Ok(Space { used: all.saturating_sub(free) * page, free: free * page, shrinks: number("auto_vacuum")? == 2 })
    }

    /// Gives back at most `pages` free pages of a file that shrinks; `false` when none are left.
    pub fn shrink(&self, pages: u32) -> Result<bool, StoreError> {
        // One page is given back with each step.
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        let left: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        Ok(left > 0)
    }

    /// Writes the whole file anew, as one that shrinks. Nobody else can write meanwhile.
    pub fn rewrite(&self) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "auto_vacuum", "incremental")?;
        Ok(self.connection.execute_batch("VACUUM")?)
    }
}
