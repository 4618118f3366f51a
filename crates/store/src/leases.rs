//! Leases, who waits for one, and what became of them. What a decision changes is written in one transaction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgate_coordination::lease::{Change, Handoff, Lease, RoomLeases, Token, Waiter};
use stopgate_core::session::SessionKey;
use stopgate_protocol::LeaseEvent;

use crate::rows::bad_text;
use crate::{Store, StoreError};

/// What a decision changes in a room.
#[derive(Debug, Clone, Copy)]
pub struct LeaseCommit<'a> {
    /// The room.
    pub room: &'a Path,
    /// The room afterwards.
    pub after: &'a RoomLeases,
    /// What changes.
    pub changes: &'a [Change],
    /// What is told of it.
    pub events: &'a [LeaseEvent],
    /// The boot that times of `CLOCK_BOOTTIME` are of.
    pub boot_id: &'a str,
}

impl Store {
    /// Writes down what a decision changes: all of it, or nothing.
    pub fn commit_leases(&mut self, commit: &LeaseCommit<'_>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let LeaseCommit { after, changes, events, .. } = commit;
        write_numbers(&transaction, commit.room, after)?;
        for change in *changes {
            write(&transaction, commit, change)?;
        }
        for event in *events {
            transaction
                .prepare_cached(
                    "INSERT INTO lease_events (room, at_ms, kind, harness, session_id, untold, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    path(commit.room),
                    event.at_ms,
                    event.kind.name(),
                    event.session.harness.name(),
                    event.session.session_id,
                    event.untold,
                    body(event)?,
                ])?;
        }
        Ok(transaction.commit()?)
    }

    /// Replaces what is written of all rooms by `rooms`: another file lies where the one was in which they stood. What has
    /// happened in them is not written anew.
    pub fn replace_leases(&mut self, rooms: &BTreeMap<PathBuf, RoomLeases>, boot_id: &str) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "DELETE FROM leases; DELETE FROM lease_waiters; DELETE FROM lease_handoffs; DELETE FROM lease_rooms;",
        )?;
        for (room, after) in rooms {
            write_numbers(&transaction, room, after)?;
            let commit = LeaseCommit { room, after, changes: &[], events: &[], boot_id };
            let leases = after.leases.iter().map(|lease| Change::Granted { lease: lease.clone() });
            let waiters = after.waiters.iter().map(|waiter| Change::Waits { waiter: waiter.clone() });
            let handoffs = after.handoffs.iter().map(|handoff| Change::HandoffLeft { handoff: handoff.clone() });
            for change in leases.chain(waiters).chain(handoffs) {
                write(&transaction, &commit, &change)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// What is known of all rooms. Times of another boot than `boot_id` count as `now_boot_ms`.
    pub fn lease_rooms(&self, boot_id: &str, now_boot_ms: i64) -> Result<BTreeMap<PathBuf, RoomLeases>, StoreError> {
        let mut rooms: BTreeMap<PathBuf, RoomLeases> = BTreeMap::new();
        let mut query = self.connection.prepare("SELECT room, last_token, last_ticket FROM lease_rooms")?;
        let numbers = query.query_map([], |row| {
            let room = RoomLeases {
                last_token: Token(row.get::<_, i64>(1)?.cast_unsigned()),
                last_ticket: row.get::<_, i64>(2)?.cast_unsigned(),
                ..RoomLeases::default()
            };
            Ok((PathBuf::from(row.get::<_, String>(0)?), room))
        })?;
        for row in numbers {
            let (room, numbers) = row?;
            rooms.insert(room, numbers);
        }
        let mut query = self.connection.prepare("SELECT room, boot_id, body FROM leases ORDER BY room, token")?;
        for row in query.query_map([], bodied::<Lease>)? {
            let (room, of_boot, mut lease) = row?;
            if of_boot != boot_id {
                lease.since_boot_ms = now_boot_ms;
                lease.offered_boot_ms = lease.offered_boot_ms.map(|_| now_boot_ms);
            }
            rooms.entry(room).or_default().apply(&Change::Granted { lease });
        }
        let mut query = self.connection.prepare("SELECT room, boot_id, body FROM lease_waiters")?;
        for row in query.query_map([], bodied::<Waiter>)? {
            let (room, of_boot, mut waiter) = row?;
            if of_boot != boot_id {
                waiter.skipped_boot_ms = None;
                waiter.leaves_boot_ms = waiter.leaves_boot_ms.map(|_| now_boot_ms);
            }
            rooms.entry(room).or_default().apply(&Change::Waits { waiter });
        }
        let mut query = self.connection.prepare("SELECT room, '' AS boot_id, body FROM lease_handoffs ORDER BY id")?;
        for row in query.query_map([], bodied::<Handoff>)? {
            let (room, _, handoff) = row?;
            rooms.entry(room).or_default().apply(&Change::HandoffLeft { handoff });
        }
        Ok(rooms)
    }

    /// What happened in `room` (in all of them without one) after the event `after`, the oldest first.
    pub fn lease_events(&self, room: Option<&Path>, after: i64, limit: u32) -> Result<Vec<LeaseEvent>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, untold, body FROM lease_events WHERE id > ?2 AND (?1 IS NULL OR room = ?1) ORDER BY id LIMIT ?3",
        )?;
        let rows = query.query_map(params![room.map(path), after, limit], event)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest events of `room`, the oldest first.
    pub fn newest_lease_events(&self, room: &Path, limit: u32) -> Result<Vec<LeaseEvent>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, untold, body FROM
                (SELECT id, untold, body FROM lease_events WHERE room = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id",
        )?;
        let rows = query.query_map(params![path(room), limit], event)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What `session` has to hear of, the oldest first.
    pub fn untold_lease_events(&self, session: &SessionKey, limit: u32) -> Result<Vec<LeaseEvent>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, untold, body FROM lease_events
             WHERE harness = ?1 AND session_id = ?2 AND untold = 1 ORDER BY id LIMIT ?3",
        )?;
        let rows = query.query_map(params![session.harness.name(), session.session_id, limit], event)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that `session` has heard of its events up to `id`; of the grant `token` alone where one is named.
    pub fn lease_events_told(&self, session: &SessionKey, id: i64, token: Option<Token>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE lease_events SET untold = 0
                 WHERE harness = ?1 AND session_id = ?2 AND untold = 1 AND id <= ?3
                   AND (?4 IS NULL OR json_extract(body, '$.token') = ?4)",
            )?
            .execute(params![
                session.harness.name(),
                session.session_id,
                id,
                token.map(|token| token.0.cast_signed())
            ])?;
        Ok(())
    }
}

fn write_numbers(transaction: &Transaction<'_>, room: &Path, after: &RoomLeases) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO lease_rooms (room, last_token, last_ticket) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET last_token = excluded.last_token, last_ticket = excluded.last_ticket",
        )?
        .execute(params![path(room), after.last_token.0.cast_signed(), after.last_ticket.cast_signed()])?;
    Ok(())
}

fn write(transaction: &Transaction<'_>, commit: &LeaseCommit<'_>, change: &Change) -> Result<(), StoreError> {
    let room = path(commit.room);
    match change {
        Change::Granted { lease } | Change::Renewed { lease } => {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO leases (room, token, tree, resource, harness, session_id, boot_id, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    room,
                    lease.token.0.cast_signed(),
                    tree(lease),
                    lease.resource.as_str(),
                    lease.holder.harness.name(),
                    lease.holder.session_id,
                    commit.boot_id,
                    body(lease)?,
                ])?;
        }
        Change::Ended { lease, .. } => {
            transaction
                .prepare_cached("DELETE FROM leases WHERE room = ?1 AND token = ?2 AND tree = ?3 AND resource = ?4")?
                .execute(params![room, lease.token.0.cast_signed(), tree(lease), lease.resource.as_str()])?;
        }
        Change::Waits { waiter } | Change::Skipped { waiter } => {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO lease_waiters (room, harness, session_id, boot_id, body)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    room,
                    waiter.session.harness.name(),
                    waiter.session.session_id,
                    commit.boot_id,
                    body(waiter)?
                ])?;
        }
        Change::WaitsNoMore { waiter, .. } => forget_waiter(transaction, &room, &waiter.session)?,
        Change::HandoffLeft { handoff } => {
            transaction
                .prepare_cached("INSERT INTO lease_handoffs (room, body) VALUES (?1, ?2)")?
                .execute(params![room, body(handoff)?])?;
        }
        Change::HandoffDropped { handoff } | Change::HandoffGiven { handoff, .. } => {
            transaction
                .prepare_cached("DELETE FROM lease_handoffs WHERE room = ?1 AND body = ?2")?
                .execute(params![room, body(handoff)?])?;
        }
        Change::Inherited { from, to } => {
            for lease in commit.after.leases.iter().filter(|lease| lease.holder == *to) {
                write(transaction, commit, &Change::Renewed { lease: lease.clone() })?;
            }
            forget_waiter(transaction, &room, from)?;
            for waiter in commit.after.waiters.iter().filter(|waiter| waiter.session == *to) {
                write(transaction, commit, &Change::Waits { waiter: waiter.clone() })?;
            }
            transaction
                .prepare_cached(
                    "UPDATE lease_events SET harness = ?3, session_id = ?4
                     WHERE harness = ?1 AND session_id = ?2 AND untold = 1",
                )?
                .execute(params![from.harness.name(), from.session_id, to.harness.name(), to.session_id])?;
        }
    }
    Ok(())
}

fn forget_waiter(transaction: &Transaction<'_>, room: &str, session: &SessionKey) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM lease_waiters WHERE room = ?1 AND harness = ?2 AND session_id = ?3")?
        .execute(params![room, session.harness.name(), session.session_id])?;
    Ok(())
}

/// What is not UTF-8 has been refused before.
fn path(path: &Path) -> std::borrow::Cow<'_, str> {
    path.to_string_lossy()
}

fn tree(lease: &Lease) -> std::borrow::Cow<'_, str> {
    lease.tree.as_deref().map_or(std::borrow::Cow::Borrowed(""), path)
}

fn body(of: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(of).map_err(|error| StoreError::Sqlite(rusqlite::Error::ToSqlConversionFailure(error.into())))
}

fn bodied<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<(PathBuf, String, T)> {
    let text: String = row.get("body")?;
    let of = serde_json::from_str(&text).map_err(|_| bad_text("body"))?;
    Ok((PathBuf::from(row.get::<_, String>("room")?), row.get("boot_id")?, of))
}

fn event(row: &Row<'_>) -> rusqlite::Result<LeaseEvent> {
    let text: String = row.get("body")?;
    let event: LeaseEvent = serde_json::from_str(&text).map_err(|_| bad_text("body"))?;
    Ok(LeaseEvent { id: row.get("id")?, untold: row.get("untold")?, ..event })
}
