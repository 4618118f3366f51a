//! What becomes of a room when something is asked or happens.

use stopgate_core::session::SessionKey;

use super::work::{Change, Given, Work};
use super::{
    Claim, Facts, Handoff, HandoffText, Lease, LeaseEnd, LeaseMode, LeaseOrigin, Now, PLACE_KEPT_MS, RoomLeases, Token,
    WaitEnd, Waiter, ends,
};

/// Handoffs that are kept of a room for holders who do not come.
const MAX_HANDOFFS: usize = 100;

/// What is asked, or happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Give it all of this, or nothing.
    Acquire {
        /// To whom.
        session: SessionKey,
        /// What.
        claims: Vec<Claim>,
    },
    /// The same, and wait for it in the queue where it is held.
    Wait {
        /// To whom.
        session: SessionKey,
        /// What.
        claims: Vec<Claim>,
        /// It keeps its place without a request that waits.
        is_parked: bool,
    },
    /// Nobody asks any more for what the session waits for.
    StopListening {
        /// Who.
        session: SessionKey,
        /// It gives its place up at once.
        gives_up: bool,
    },
    /// It is still needed: the longest time begins anew.
    Renew {
        /// By whom.
        session: SessionKey,
        /// What.
        which: Which,
    },
    /// It is not needed any more.
    Release {
        /// By whom.
        session: SessionKey,
        /// What.
        which: Which,
        /// What the next holder is told.
        handoff: Option<HandoffText>,
    },
    /// The same, and a session by name gets it.
    Pass {
        /// By whom.
        session: SessionKey,
        /// What.
        which: Which,
        /// To whom.
        to: SessionKey,
        /// What it is told.
        handoff: Option<HandoffText>,
    },
    /// Take it from whoever holds it.
    Take {
        /// Who gets it. Nobody by name where the person takes it: then the first in the queue does.
        session: Option<SessionKey>,
        /// The person says so: whatever the holder does.
        by_person: bool,
        /// What.
        claims: Vec<Claim>,
        /// Why.
        reason: String,
    },
    /// The fence saw a session write something while others live in its tree.
    Observe {
        /// Who.
        session: SessionKey,
        /// What.
        claim: Claim,
    },
    /// The session's turn is over, and git has nothing to say against these any more.
    Clean {
        /// Who.
        session: SessionKey,
        /// What.
        claims: Vec<Claim>,
    },
    /// A session goes on by another id.
    Inherit {
        /// The old one.
        from: SessionKey,
        /// The new one.
        to: SessionKey,
    },
    /// Something that facts tell of may have ended a lease, or time has.
    Look,
}

/// Which leases of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Those of these resources, or in them; none means all of the grant, or without a token all that were asked for.
    pub claims: Vec<Claim>,
    /// Of this grant. Another number than the one that counts is refused.
    pub token: Option<Token>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds all that it asked for.
    Granted {
        /// The number of the newest grant of these.
        token: Token,
        /// By what it holds it.
        leases: Vec<Lease>,
        /// What earlier holders have said to it just now.
        handoffs: Vec<Handoff>,
        /// It held all of it already.
        is_old: bool,
    },
    /// It is in the queue.
    Queued {
        /// How many wait before it.
        before: usize,
        /// What is in its way.
        holders: Vec<Lease>,
    },
    /// Others hold it, or wait for it.
    Held {
        /// What is in its way.
        holders: Vec<Lease>,
        /// How many wait for it.
        waiting: usize,
        /// Whether all of it may be taken.
        may_be_taken: bool,
    },
    /// It was done.
    Done {
        /// The leases that it was done to, as they were, or are after a renewal.
        leases: Vec<Lease>,
        /// What others were given at once.
        next: Vec<Lease>,
    },
    /// The session holds nothing of the kind.
    NotHeld {
        /// Who does.
        holders: Vec<Lease>,
    },
    /// The token is not the one that counts.
    Stale {
        /// The one that was given.
        token: Token,
        /// Who holds it now.
        holders: Vec<Lease>,
    },
    /// Waiting for it would never end: who waits for whom, from the one in the way back to the one who asks.
    WouldDeadlock {
        /// What each waits for, with who holds it; the last is held by who asks.
        cycle: Vec<Lease>,
    },
    /// Nothing is answered.
    Nothing,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is answered.
    pub answer: Answer,
    /// What changes, in this order.
    pub changes: Vec<Change>,
    /// The room afterwards.
    pub after: RoomLeases,
}

/// Decides what becomes of `room`. Nothing is done: the caller writes the changes down, takes `after`, and answers, in this
/// order.
pub fn decide(now: &Now, room: &RoomLeases, request: &Request, facts: &dyn Facts) -> Decision {
    let mut work = Work::on(now, room);
    work.end_what_is_over(facts);
    // What ended by itself is those who have waited for it, not whoever asks first.
    work.serve_queue(facts);
    let answer = work.answer(request, facts);
    work.serve_queue(facts);
    let answer = work.after_queue(request, answer);
    Decision { answer, changes: work.changes, after: work.room }
}

impl Work<'_> {
    fn answer(&mut self, request: &Request, facts: &dyn Facts) -> Answer {
        match request {
            Request::Acquire { session, claims } => self.acquire(session, claims, facts),
            Request::Wait { session, claims, is_parked } => self.wait(session, claims, *is_parked, facts),
            Request::StopListening { session, gives_up } => self.stop_listening(session, *gives_up, facts),
            Request::Renew { session, which } => self.renew(session, which),
            Request::Release { session, which, handoff } => self.release(session, which, None, handoff.as_ref()),
            Request::Pass { session, which, to, handoff } => self.release(session, which, Some(to), handoff.as_ref()),
            Request::Take { session, by_person, claims, reason } => {
                self.take(session.as_ref(), *by_person, claims, reason, facts)
            }
            Request::Observe { session, claim } => self.observe(session, claim),
            Request::Clean { session, claims } => self.clean(session, claims),
            Request::Inherit { from, to } => self.inherit(from, to),
            Request::Look => Answer::Nothing,
        }
    }

    /// What the queue has made of the answer since.
    fn after_queue(&self, request: &Request, answer: Answer) -> Answer {
        match (answer, request) {
            (Answer::Queued { .. }, Request::Wait { session, claims, .. }) => {
                if self.room.waiters.iter().any(|waiter| waiter.session == *session) {
                    let before = self.room.place(session).map_or(0, |(_, before)| before);
                    let holders = self.room.in_the_way(session, claims).cloned().collect();
                    return Answer::Queued { before, holders };
                }
                self.granted(session, claims, false)
            }
            (
                Answer::Granted { is_old, .. },
                Request::Wait { session, claims, .. } | Request::Acquire { session, claims },
            ) => self.granted(session, claims, is_old),
            (Answer::Done { leases, .. }, Request::Release { .. } | Request::Pass { .. } | Request::Take { .. }) => {
                let given = self.changes.iter().filter_map(|change| match change {
                    Change::Granted { lease } => Some(lease),
                    _ => None,
                });
                let concerns = |lease: &&Lease| leases.iter().any(|ended| ended.claim().overlaps(&lease.claim()));
                let next = given.filter(concerns).cloned().collect();
                Answer::Done { leases, next }
            }
            (answer, _) => answer,
        }
    }

    /// What `session` holds `claims` by, with what it was told with that in this decision.
    fn granted(&self, session: &SessionKey, claims: &[Claim], is_old: bool) -> Answer {
        let is_it = |lease: &&Lease| lease.holder == *session && claims.iter().any(|claim| lease.gives(claim));
        let leases: Vec<Lease> = self.room.leases.iter().filter(is_it).cloned().collect();
        let token = leases.iter().map(|lease| lease.token).max().unwrap_or_default();
        let told = self.changes.iter().filter_map(|change| match change {
            Change::HandoffGiven { handoff, to, .. } if to == session => Some(handoff.clone()),
            _ => None,
        });
        Answer::Granted { token, leases, handoffs: told.collect(), is_old }
    }

    fn holds_all(&self, session: &SessionKey, claims: &[Claim]) -> bool {
        claims.iter().all(|claim| {
            let gives =
                |lease: &Lease| lease.holder == *session && lease.origin == LeaseOrigin::Declared && lease.gives(claim);
            self.room.leases.iter().any(gives)
        })
    }

    /// Whether nobody holds, or waits before the session for, what it wants.
    fn is_free(&self, session: &SessionKey, claims: &[Claim], facts: &dyn Facts) -> bool {
        let last = Waiter {
            ticket: u64::MAX,
            session: session.clone(),
            claims: claims.to_vec(),
            since_ms: 0,
            is_parked: false,
            leaves_boot_ms: None,
            skipped_boot_ms: None,
        };
        // Somebody who reads and is to write goes before those who wait for it to stop reading.
        self.room.in_the_way(session, claims).next().is_none() && !self.is_behind(&last, facts)
    }

    /// Somebody who was given it out of the queue has it, now that it asks.
    fn take_up(&mut self, session: &SessionKey, claims: &[Claim]) {
        let is_offered = |lease: &&Lease| {
            lease.holder == *session && lease.offered_boot_ms.is_some() && claims.iter().any(|claim| lease.gives(claim))
        };
        let offered: Vec<Lease> = self.room.leases.iter().filter(is_offered).cloned().collect();
        for lease in offered {
            self.push(Change::Renewed { lease: Lease { offered_boot_ms: None, ticket: None, ..lease } });
        }
    }

    fn acquire(&mut self, session: &SessionKey, claims: &[Claim], facts: &dyn Facts) -> Answer {
        if self.holds_all(session, claims) {
            self.take_up(session, claims);
            return self.granted(session, claims, true);
        }
        if self.is_free(session, claims, facts) {
            self.grant(session, claims, Given::Asked);
            self.forget_wait(session, claims);
            return self.granted(session, claims, false);
        }
        let holders: Vec<Lease> = self.room.in_the_way(session, claims).cloned().collect();
        let may_be_taken =
            !holders.is_empty() && holders.iter().all(|lease| ends::may_be_taken(self.now, lease, facts));
        let waits = |waiter: &&Waiter| {
            waiter.session != *session
                && waiter.claims.iter().any(|other| claims.iter().any(|own| own.conflicts(other)))
        };
        Answer::Held { waiting: self.room.waiters.iter().filter(waits).count(), holders, may_be_taken }
    }

    /// A session that has got what it waited for by another way waits no more.
    fn forget_wait(&mut self, session: &SessionKey, claims: &[Claim]) {
        let has_it = |waiter: &Waiter| {
            waiter.session == *session
                && waiter.claims.iter().all(|wanted| claims.iter().any(|claim| claim.covers(wanted)))
        };
        if self.room.waiters.iter().any(has_it) {
            self.stop_waiting(session, WaitEnd::Granted);
        }
    }

    fn wait(&mut self, session: &SessionKey, claims: &[Claim], is_parked: bool, facts: &dyn Facts) -> Answer {
        let own = self.room.waiters.iter().find(|waiter| waiter.session == *session).cloned();
        let same = own.filter(|waiter| waiter.claims == claims);
        if same.is_none() {
            match self.acquire(session, claims, facts) {
                Answer::Held { holders, .. } => {
                    if let Some(cycle) = self.cycle(session, &holders) {
                        return Answer::WouldDeadlock { cycle };
                    }
                }
                answer => return answer,
            }
            self.stop_waiting(session, WaitEnd::Replaced);
        }
        let waiter = match same {
            // A place that was parked stays so: whoever looks again and goes does not give it up.
            Some(waiter) => Waiter {
                is_parked: waiter.is_parked || is_parked,
                leaves_boot_ms: None,
                skipped_boot_ms: None,
                ..waiter
            },
            None => Waiter {
                ticket: self.room.last_ticket + 1,
                session: session.clone(),
                claims: claims.to_vec(),
                since_ms: self.now.wall_ms,
                is_parked,
                leaves_boot_ms: None,
                skipped_boot_ms: None,
            },
        };
        if !self.room.waiters.contains(&waiter) {
            self.push(Change::Waits { waiter });
        }
        Answer::Queued { before: 0, holders: Vec::new() }
    }

    /// Who waits for whom, if one of `holders` waits for what `session` holds.
    fn cycle(&self, session: &SessionKey, holders: &[Lease]) -> Option<Vec<Lease>> {
        holders.iter().find_map(|lease| {
            let mut cycle = self.room.way(&lease.holder, session)?;
            cycle.insert(0, lease.clone());
            Some(cycle)
        })
    }

    fn stop_listening(&mut self, session: &SessionKey, gives_up: bool, facts: &dyn Facts) -> Answer {
        let Some(waiter) = self.room.waiters.iter().find(|waiter| waiter.session == *session).cloned() else {
            return Answer::Nothing;
        };
        if gives_up {
            self.push(Change::WaitsNoMore { waiter, why: WaitEnd::GaveUp });
        } else if !waiter.is_parked && !facts.is_listening(session) {
            let leaves_boot_ms = Some(self.now.boot_ms + PLACE_KEPT_MS);
            self.push(Change::Waits { waiter: Waiter { leaves_boot_ms, ..waiter } });
        }
        Answer::Nothing
    }

    /// The leases that `which` means; what is answered if there are none.
    fn meant(&self, session: &SessionKey, which: &Which) -> Result<Vec<Lease>, Answer> {
        let lies_there = |lease: &Lease| {
            which.claims.is_empty() && lease.origin == LeaseOrigin::Declared
                || which.claims.iter().any(|claim| lease.lies_in(claim))
        };
        let own: Vec<Lease> =
            self.room.leases.iter().filter(|lease| lease.holder == *session && lies_there(lease)).cloned().collect();
        let others = || {
            let concerns = |lease: &&Lease| {
                lease.holder != *session && which.claims.iter().any(|claim| lease.claim().overlaps(claim))
            };
            self.room.leases.iter().filter(concerns).cloned().collect::<Vec<_>>()
        };
        match which.token {
            None if own.is_empty() => Err(Answer::NotHeld { holders: others() }),
            None => Ok(own),
            Some(token) => {
                let of_grant: Vec<Lease> = own.iter().filter(|lease| lease.token == token).cloned().collect();
                let holders = || if own.is_empty() { others() } else { own.clone() };
                if of_grant.is_empty() { Err(Answer::Stale { token, holders: holders() }) } else { Ok(of_grant) }
            }
        }
    }

    fn renew(&mut self, session: &SessionKey, which: &Which) -> Answer {
        let meant = match self.meant(session, which) {
            Ok(meant) => meant,
            Err(answer) => return answer,
        };
        let mut leases = Vec::new();
        for lease in meant {
            let lease = Lease { since_boot_ms: self.now.boot_ms, offered_boot_ms: None, ticket: None, ..lease };
            self.push(Change::Renewed { lease: lease.clone() });
            leases.push(lease);
        }
        Answer::Done { leases, next: Vec::new() }
    }

    fn release(
        &mut self,
        session: &SessionKey,
        which: &Which,
        to: Option<&SessionKey>,
        handoff: Option<&HandoffText>,
    ) -> Answer {
        let leases = match self.meant(session, which) {
            Ok(meant) => meant,
            Err(answer) => return answer,
        };
        let why = if to.is_some() { LeaseEnd::Passed } else { LeaseEnd::Released };
        for lease in &leases {
            self.end(lease.clone(), why, to, "");
        }
        let claims: Vec<Claim> = leases.iter().map(Lease::claim).collect();
        if let Some(text) = handoff {
            self.leave_handoff(session, &leases, claims.clone(), text);
        }
        if let Some(to) = to {
            // Those who read beside may go on.
            let free: Vec<Claim> = claims
                .iter()
                .filter(|claim| self.room.in_the_way(to, std::slice::from_ref(claim)).next().is_none())
                .cloned()
                .collect();
            self.grant(to, &free, Given::ByName);
            self.forget_wait(to, &free);
        }
        Answer::Done { leases, next: Vec::new() }
    }

    fn leave_handoff(&mut self, from: &SessionKey, leases: &[Lease], claims: Vec<Claim>, text: &HandoffText) {
        let is_replaced = |old: &&Handoff| old.claims.iter().all(|old| claims.iter().any(|claim| claim.covers(old)));
        let mut dropped: Vec<Handoff> = self.room.handoffs.iter().filter(is_replaced).cloned().collect();
        if dropped.is_empty() && self.room.handoffs.len() >= MAX_HANDOFFS {
            dropped.extend(self.room.handoffs.first().cloned());
        }
        for handoff in dropped {
            self.push(Change::HandoffDropped { handoff });
        }
        let token = leases.iter().map(|lease| lease.token).max().unwrap_or_default();
        let handoff = Handoff { from: from.clone(), token, at_ms: self.now.wall_ms, claims, text: text.clone() };
        self.push(Change::HandoffLeft { handoff });
    }

    fn take(
        &mut self,
        session: Option<&SessionKey>,
        by_person: bool,
        claims: &[Claim],
        reason: &str,
        facts: &dyn Facts,
    ) -> Answer {
        let is_held = |lease: &&Lease| {
            session != Some(&lease.holder) && claims.iter().any(|claim| claim.conflicts(&lease.claim()))
        };
        let holders: Vec<Lease> = self.room.leases.iter().filter(is_held).cloned().collect();
        if holders.is_empty() {
            // There is nobody to take it from.
            return match session {
                Some(session) => self.acquire(session, claims, facts),
                None => Answer::NotHeld { holders },
            };
        }
        if !by_person && !holders.iter().all(|lease| ends::may_be_taken(self.now, lease, facts)) {
            return Answer::Held { holders, waiting: 0, may_be_taken: false };
        }
        for lease in &holders {
            self.end(lease.clone(), LeaseEnd::Taken, session, reason);
        }
        let Some(session) = session else { return Answer::Done { leases: holders, next: Vec::new() } };
        // The person's word gives it to somebody who has not asked at this moment.
        self.grant(session, claims, if by_person { Given::ByName } else { Given::Asked });
        self.forget_wait(session, claims);
        Answer::Done { leases: holders, next: Vec::new() }
    }

    fn observe(&mut self, session: &SessionKey, claim: &Claim) -> Answer {
        let has_it = |lease: &Lease| lease.holder == *session && lease.gives(claim);
        // Somebody has asked for it: that this session wrote it all the same makes it none of its own.
        let is_anothers = |lease: &Lease| lease.origin == LeaseOrigin::Declared && lease.is_in_the_way(session, claim);
        if !self.room.leases.iter().any(|lease| has_it(lease) || is_anothers(lease)) {
            let Claim { resource, tree, .. } = claim.clone();
            let lease = Lease {
                resource,
                tree,
                mode: LeaseMode::Write,
                origin: LeaseOrigin::Observed,
                holder: session.clone(),
                token: Token(self.room.last_token.0 + 1),
                since_ms: self.now.wall_ms,
                since_boot_ms: self.now.boot_ms,
                offered_boot_ms: None,
                ticket: None,
            };
            self.push(Change::Granted { lease });
        }
        Answer::Nothing
    }

    fn clean(&mut self, session: &SessionKey, claims: &[Claim]) -> Answer {
        let is_clean = |lease: &&Lease| {
            lease.holder == *session
                && lease.origin == LeaseOrigin::Observed
                && claims.iter().any(|claim| lease.lies_in(claim))
        };
        let clean: Vec<Lease> = self.room.leases.iter().filter(is_clean).cloned().collect();
        for lease in clean {
            self.end(lease, LeaseEnd::Clean, None, "");
        }
        Answer::Nothing
    }

    fn inherit(&mut self, from: &SessionKey, to: &SessionKey) -> Answer {
        let concerns = self.room.leases.iter().any(|lease| lease.holder == *from)
            || self.room.waiters.iter().any(|waiter| waiter.session == *from);
        if concerns {
            // Two places of one session are one.
            self.stop_waiting(to, WaitEnd::Replaced);
            self.push(Change::Inherited { from: from.clone(), to: to.clone() });
        }
        Answer::Nothing
    }
}
