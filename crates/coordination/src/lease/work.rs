//! A change of a room under way: each step is done to a copy and noted, so that all can be written down as one.

use stopgate_core::session::SessionKey;

use super::{Claim, Handoff, Lease, LeaseEnd, LeaseMode, LeaseOrigin, Now, RoomLeases, Token, WaitEnd, Waiter};

/// How a grant comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// The session asks for it at this moment.
    Asked,
    /// Somebody gives it to the session by name.
    ByName,
    /// The session's turn has come.
    FromQueue {
        /// Its place there.
        ticket: u64,
    },
}

impl Given {
    fn ticket(self) -> Option<u64> {
        match self {
            Self::Asked | Self::ByName => None,
            Self::FromQueue { ticket } => Some(ticket),
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody holds something.
    Granted {
        /// What.
        lease: Lease,
    },
    /// It is held on other terms: renewed by name, or taken up.
    Renewed {
        /// As it is now.
        lease: Lease,
    },
    /// Somebody holds it no more.
    Ended {
        /// As it was.
        lease: Lease,
        /// Why.
        why: LeaseEnd,
        /// Who took it, or was named as the next.
        to: Option<SessionKey>,
        /// What was said of it.
        reason: String,
    },
    /// Somebody waits, or waits on other terms.
    Waits {
        /// As it is now.
        waiter: Waiter,
    },
    /// Somebody was passed over, because it could not be reached.
    Skipped {
        /// As it is now.
        waiter: Waiter,
    },
    /// Somebody waits no more.
    WaitsNoMore {
        /// As it was.
        waiter: Waiter,
        /// Why.
        why: WaitEnd,
    },
    /// Something is said to the next holder.
    HandoffLeft {
        /// What.
        handoff: Handoff,
    },
    /// Something that was said is out of date.
    HandoffDropped {
        /// What.
        handoff: Handoff,
    },
    /// The next holder is there.
    HandoffGiven {
        /// What was said.
        handoff: Handoff,
        /// To whom.
        to: SessionKey,
        /// With which grant.
        token: Token,
    },
    /// A session goes on by another id.
    Inherited {
        /// The old one.
        from: SessionKey,
        /// The new one.
        to: SessionKey,
    },
}

/// A room, and what has been done to it.
pub(super) struct Work<'a> {
    pub(super) now: &'a Now,
    pub(super) room: RoomLeases,
    pub(super) changes: Vec<Change>,
}

impl<'a> Work<'a> {
    pub(super) fn on(now: &'a Now, room: &RoomLeases) -> Self {
        Self { now, room: room.clone(), changes: Vec::new() }
    }

    /// Does `change`.
    pub(super) fn push(&mut self, change: Change) {
        self.room.apply(&change);
        self.changes.push(change);
    }

    /// Gives `session` what it has not of `claims`, which are in nobody's way; the number of the grant.
    pub(super) fn grant(&mut self, session: &SessionKey, claims: &[Claim], given: Given) -> Token {
        let mut token = None;
        for claim in claims {
            // Asked for one after the other, the second may lie in the first.
            if self.held(session, claim).is_some() {
                continue;
            }
            let token = *token.get_or_insert_with(|| Token(self.room.last_token.0 + 1));
            self.replace(session, claim);
            let Claim { resource, tree, mode } = claim.clone();
            let lease = Lease {
                resource,
                tree,
                mode,
                origin: LeaseOrigin::Declared,
                holder: session.clone(),
                token,
                since_ms: self.now.wall_ms,
                since_boot_ms: self.now.boot_ms,
                offered_boot_ms: (given != Given::Asked).then_some(self.now.boot_ms),
                ticket: given.ticket(),
            };
            self.push(Change::Granted { lease });
        }
        let Some(token) = token else {
            return claims.iter().filter_map(|claim| self.held(session, claim)).max().unwrap_or_default();
        };
        self.hand_over(session, claims, token);
        token
    }

    /// By which declared lease `session` holds `claim`.
    fn held(&self, session: &SessionKey, claim: &Claim) -> Option<Token> {
        let gives =
            |lease: &&Lease| lease.holder == *session && lease.origin == LeaseOrigin::Declared && lease.gives(claim);
        self.room.leases.iter().find(gives).map(|lease| lease.token)
    }

    /// What `session` holds by `claim` it need not hold a second time. Smaller ones that were asked for stay: their tokens are
    /// in use.
    fn replace(&mut self, session: &SessionKey, claim: &Claim) {
        let is_the_same = |lease: &&Lease| {
            let is_part = match lease.origin {
                LeaseOrigin::Declared => lease.resource == claim.resource,
                LeaseOrigin::Observed => claim.mode == LeaseMode::Write,
            };
            lease.holder == *session && is_part && lease.lies_in(claim)
        };
        let same: Vec<Lease> = self.room.leases.iter().filter(is_the_same).cloned().collect();
        for lease in same {
            self.end(lease, LeaseEnd::Replaced, None, "");
        }
    }

    /// Gives the new holder what was said to it.
    fn hand_over(&mut self, to: &SessionKey, claims: &[Claim], token: Token) {
        let concerns =
            |handoff: &&Handoff| handoff.claims.iter().any(|of| claims.iter().any(|claim| of.overlaps(claim)));
        let said: Vec<Handoff> = self.room.handoffs.iter().filter(concerns).cloned().collect();
        for handoff in said {
            // Who takes up again what it gave back knows what it said, and nobody else needs it any more.
            self.push(if handoff.from == *to {
                Change::HandoffDropped { handoff }
            } else {
                Change::HandoffGiven { handoff, to: to.clone(), token }
            });
        }
    }

    pub(super) fn end(&mut self, lease: Lease, why: LeaseEnd, to: Option<&SessionKey>, reason: &str) {
        self.push(Change::Ended { lease, why, to: to.cloned(), reason: reason.to_owned() });
    }

    pub(super) fn stop_waiting(&mut self, session: &SessionKey, why: WaitEnd) {
        let waiter = self.room.waiters.iter().find(|waiter| waiter.session == *session).cloned();
        if let Some(waiter) = waiter {
            self.push(Change::WaitsNoMore { waiter, why });
        }
    }
}

impl RoomLeases {
    /// Does one step. Whoever does all steps of a decision has the room after it.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Granted { lease } => {
                self.last_token = self.last_token.max(lease.token);
                self.leases.push(lease.clone());
            }
            Change::Renewed { lease } => {
                if let Some(held) = self.leases.iter_mut().find(|held| is_same(held, lease)) {
                    held.clone_from(lease);
                }
            }
            Change::Ended { lease, .. } => self.leases.retain(|held| !is_same(held, lease)),
            Change::Waits { waiter } | Change::Skipped { waiter } => {
                self.last_ticket = self.last_ticket.max(waiter.ticket);
                self.waiters.retain(|other| other.session != waiter.session);
                let at = self.waiters.partition_point(|other| other.ticket <= waiter.ticket);
                self.waiters.insert(at, waiter.clone());
            }
            Change::WaitsNoMore { waiter, .. } => self.waiters.retain(|other| other.session != waiter.session),
            Change::HandoffLeft { handoff } => self.handoffs.push(handoff.clone()),
            Change::HandoffDropped { handoff } | Change::HandoffGiven { handoff, .. } => {
                self.handoffs.retain(|other| other != handoff);
            }
            Change::Inherited { from, to } => {
                let leases = self.leases.iter_mut().map(|lease| &mut lease.holder);
                let waiters = self.waiters.iter_mut().map(|waiter| &mut waiter.session);
                for session in leases.chain(waiters).filter(|session| *session == from) {
                    session.clone_from(to);
                }
            }
        }
    }
}

/// Whether both are the same lease: a session holds a resource by a grant once.
fn is_same(left: &Lease, right: &Lease) -> bool {
    left.token == right.token
        && left.resource == right.resource
        && left.holder == right.holder
        && super::is_same_tree(left.tree.as_ref(), right.tree.as_ref())
}
