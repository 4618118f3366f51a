//! What is kept of a room.

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::SessionKey;

use super::{Claim, Handoff, Lease, Token};

/// The leases of a room, and who waits for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomLeases {
    /// The last token that was given.
    pub last_token: Token,
    /// The last place in the queue that was given.
    pub last_ticket: u64,
    /// Who holds what.
    pub leases: Vec<Lease>,
    /// Who waits, the first first; one of each session.
    pub waiters: Vec<Waiter>,
    /// What was said to next holders who are not there yet.
    pub handoffs: Vec<Handoff>,
}

/// Somebody who waits for something, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Its place: the smallest number is first.
    pub ticket: u64,
    /// Who.
    pub session: SessionKey,
    /// For what.
    pub claims: Vec<Claim>,
    /// Since when.
    pub since_ms: UnixMillis,
    /// It keeps its place without a request that waits.
    pub is_parked: bool,
    /// When, by `CLOCK_BOOTTIME`, it loses its place, because its request has gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_boot_ms: Option<i64>,
    /// When, by `CLOCK_BOOTTIME`, it was passed over because it could not be reached; until something is heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_boot_ms: Option<i64>,
}

impl RoomLeases {
    /// Whether there is nothing but numbers.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.waiters.is_empty() && self.handoffs.is_empty()
    }

    /// What keeps `session` from having `claims`.
    pub fn in_the_way<'a>(
        &'a self,
        session: &'a SessionKey,
        claims: &'a [Claim],
    ) -> impl Iterator<Item = &'a Lease> + 'a {
        self.leases.iter().filter(move |lease| claims.iter().any(|claim| lease.is_in_the_way(session, claim)))
    }

    /// The place of `session` in the queue, and how many wait before it for something that it wants, too.
    pub fn place(&self, session: &SessionKey) -> Option<(&Waiter, usize)> {
        let own = self.waiters.iter().find(|waiter| waiter.session == *session)?;
        let before = self.waiters.iter().filter(|other| other.ticket < own.ticket && other.competes(own)).count();
        Some((own, before))
    }

    /// The way from `from` to `to` by who waits for whom: what each on it waits for, with who holds it. Empty if they are
    /// the same.
    pub fn way(&self, from: &SessionKey, to: &SessionKey) -> Option<Vec<Lease>> {
        self.way_past(from, to, &mut Vec::new())
    }

    fn way_past<'a>(
        &'a self,
        from: &'a SessionKey,
        to: &SessionKey,
        seen: &mut Vec<&'a SessionKey>,
    ) -> Option<Vec<Lease>> {
        if from == to {
            return Some(Vec::new());
        }
        if seen.contains(&from) {
            return None;
        }
        seen.push(from);
        let waiter = self.waiters.iter().find(|waiter| waiter.session == *from)?;
        self.in_the_way(&waiter.session, &waiter.claims).find_map(|lease| {
            let mut rest = self.way_past(&lease.holder, to, seen)?;
            rest.insert(0, lease.clone());
            Some(rest)
        })
    }
}

impl Waiter {
    /// Whether the two cannot both have what they wait for.
    pub fn competes(&self, other: &Self) -> bool {
        self.session != other.session
            && self.claims.iter().any(|own| other.claims.iter().any(|theirs| own.conflicts(theirs)))
    }
}
