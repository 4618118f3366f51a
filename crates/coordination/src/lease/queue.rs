//! Who gets a lease next.

use stopgate_core::session::SessionKey;

use super::work::{Change, Given, Work};
use super::{Facts, Lease, LeaseEnd, RoomLeases, TAKE_UP_MS, WaitEnd, Waiter, ends};

impl Work<'_> {
    /// Ends what is over, by what is known of sessions and by time.
    pub(super) fn end_what_is_over(&mut self, facts: &dyn Facts) {
        for lease in self.room.leases.clone() {
            if let Some(why) = ends::over(self.now, &lease, facts) {
                self.end(lease, why, None, "");
            } else if let Some(offered) = lease.offered_boot_ms
                && facts.sign_boot_ms(&lease.holder) > offered
            {
                let lease = Lease { offered_boot_ms: None, ticket: None, ..lease };
                self.push(Change::Renewed { lease });
            }
        }
        for waiter in self.room.waiters.clone() {
            if facts.end(&waiter.session).is_some() {
                self.push(Change::WaitsNoMore { waiter, why: WaitEnd::SessionEnded });
            } else if waiter.leaves_boot_ms.is_some_and(|leaves| leaves <= self.now.boot_ms) {
                self.push(Change::WaitsNoMore { waiter, why: WaitEnd::GaveUp });
            }
        }
        self.end_what_is_not_taken_up(facts);
    }

    /// What was given to a session that has not been heard since goes to the next one, and the session gets its place back.
    fn end_what_is_not_taken_up(&mut self, facts: &dyn Facts) {
        if self.now.boot_ms < self.now.no_end_before_boot_ms {
            return;
        }
        let is_late = |lease: &&Lease| lease.offered_boot_ms.is_some_and(|at| self.now.boot_ms - at >= TAKE_UP_MS);
        let late: Vec<Lease> = self.room.leases.iter().filter(is_late).cloned().collect();
        for lease in late {
            let Some(next) = next_in_line(&self.room, &lease, facts).cloned() else { continue };
            let (holder, claim, ticket) = (lease.holder.clone(), lease.claim(), lease.ticket);
            self.end(lease, LeaseEnd::NotTakenUp, Some(&next), "");
            let Some(ticket) = ticket else { continue };
            let back = match self.room.waiters.iter().find(|waiter| waiter.session == holder).cloned() {
                // Several that were given at once.
                Some(mut waiter) if waiter.ticket == ticket => {
                    waiter.claims.push(claim);
                    waiter
                }
                // It waits for something else by now.
                Some(_) => continue,
                None => Waiter {
                    ticket,
                    session: holder,
                    claims: vec![claim],
                    since_ms: self.now.wall_ms,
                    is_parked: true,
                    leaves_boot_ms: None,
                    skipped_boot_ms: Some(self.now.boot_ms),
                },
            };
            self.push(Change::Skipped { waiter: back });
        }
    }

    /// Gives what is free to whoever waits for it, the first first.
    pub(super) fn serve_queue(&mut self, facts: &dyn Facts) {
        for waiter in self.room.waiters.clone() {
            let is_in_the_way = self.room.in_the_way(&waiter.session, &waiter.claims).next().is_some();
            if is_in_the_way || self.is_behind(&waiter, facts) {
                continue;
            }
            if !is_reachable(&waiter, facts) {
                if waiter.skipped_boot_ms.is_none() && !is_expected(&waiter, facts) {
                    let waiter = Waiter { skipped_boot_ms: Some(self.now.boot_ms), ..waiter };
                    self.push(Change::Skipped { waiter });
                }
                continue;
            }
            let Waiter { session, claims, ticket, .. } = &waiter;
            self.stop_waiting(session, WaitEnd::Granted);
            self.grant(session, claims, Given::FromQueue { ticket: *ticket });
        }
    }

    /// Whether somebody waits before `waiter` for something that it wants, too. Whoever waits for `waiter` itself cannot be
    /// served before, and whoever cannot be reached is not waited for, unless it is about to come again.
    pub(super) fn is_behind(&self, waiter: &Waiter, facts: &dyn Facts) -> bool {
        self.room.waiters.iter().any(|other| {
            other.ticket < waiter.ticket
                && other.competes(waiter)
                && (is_reachable(other, facts) || is_expected(other, facts))
                && self.room.way(&other.session, &waiter.session).is_none()
        })
    }
}

/// Who waits for `lease` and would hear of it, the first of them.
pub(super) fn next_in_line<'a>(room: &'a RoomLeases, lease: &Lease, facts: &dyn Facts) -> Option<&'a SessionKey> {
    let wants = |waiter: &&Waiter| {
        waiter.claims.iter().any(|claim| lease.is_in_the_way(&waiter.session, claim)) && is_reachable(waiter, facts)
    };
    room.waiters.iter().find(wants).map(|waiter| &waiter.session)
}

/// Whether `waiter` would hear of a grant: it listens, or it is parked and was not passed over since it was heard last.
pub(super) fn is_reachable(waiter: &Waiter, facts: &dyn Facts) -> bool {
    let is_heard = |skipped| facts.sign_boot_ms(&waiter.session) > skipped;
    facts.is_listening(&waiter.session) || waiter.is_parked && waiter.skipped_boot_ms.is_none_or(is_heard)
}

/// Whether `waiter` is about to listen again.
fn is_expected(waiter: &Waiter, facts: &dyn Facts) -> bool {
    !waiter.is_parked && facts.is_expected(&waiter.session)
}
