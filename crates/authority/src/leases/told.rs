//! What is told of a change: the room's log, and what a session has to hear of at its next hook event.

use std::path::Path;

use stopgate_coordination::lease::{Change, Claim, Handoff, Lease, LeaseOrigin, Now, Token, Waiter};
use stopgate_core::session::SessionKey;
use stopgate_protocol::{LeaseEvent, LeaseEventKind};

/// The events of `changes`: one for what was given, or ended, at once.
pub(super) fn events(now: &Now, room: &Path, changes: &[Change]) -> Vec<LeaseEvent> {
    let mut events: Vec<LeaseEvent> = Vec::new();
    for change in changes {
        let Some(event) = event(now, room, change) else { continue };
        let is_same = |last: &LeaseEvent| LeaseEvent { claims: event.claims.clone(), ..last.clone() } == event;
        match events.last_mut().filter(|last| is_same(last)) {
            Some(last) => last.claims.extend(event.claims),
            None => events.push(event),
        }
    }
    events
}

fn event(now: &Now, room: &Path, change: &Change) -> Option<LeaseEvent> {
    let of = |kind, session: &SessionKey, claims: Vec<Claim>| LeaseEvent {
        id: 0,
        at_ms: now.wall_ms,
        room: room.to_owned(),
        kind,
        session: session.clone(),
        other: None,
        claims,
        token: None,
        why: None,
        reason: None,
        handoff: None,
        untold: false,
    };
    let of_lease =
        |kind, lease: &Lease| LeaseEvent { token: Some(lease.token), ..of(kind, &lease.holder, vec![lease.claim()]) };
    let of_waiter = |kind, waiter: &Waiter| of(kind, &waiter.session, waiter.claims.clone());
    let of_handoff = |kind, session: &SessionKey, token: Token, handoff: &Handoff| LeaseEvent {
        token: Some(token),
        handoff: Some(handoff.text.clone()),
        ..of(kind, session, handoff.claims.clone())
    };
    Some(match change {
        Change::Granted { lease } => {
            let kind = match lease.origin {
                LeaseOrigin::Declared => LeaseEventKind::Granted,
                LeaseOrigin::Observed => LeaseEventKind::Observed,
            };
            LeaseEvent { untold: lease.offered_boot_ms.is_some(), ..of_lease(kind, lease) }
        }
        Change::Ended { lease, why, to, reason } => LeaseEvent {
            other: to.clone(),
            why: Some(why.name().to_owned()),
            reason: Some(reason.clone()).filter(|reason| !reason.is_empty()),
            // Of what the fence saw nobody has asked to hear.
            untold: why.is_loss() && lease.origin == LeaseOrigin::Declared,
            ..of_lease(LeaseEventKind::Ended, lease)
        },
        Change::Waits { waiter } if waiter.leaves_boot_ms.is_none() => of_waiter(LeaseEventKind::Waits, waiter),
        Change::Waits { .. } | Change::Renewed { .. } | Change::HandoffDropped { .. } => return None,
        Change::Skipped { waiter } => of_waiter(LeaseEventKind::Skipped, waiter),
        Change::WaitsNoMore { waiter, why } => {
            LeaseEvent { why: Some(why.name().to_owned()), ..of_waiter(LeaseEventKind::WaitsNoMore, waiter) }
        }
        Change::HandoffLeft { handoff } => {
            of_handoff(LeaseEventKind::HandoffLeft, &handoff.from, handoff.token, handoff)
        }
        Change::HandoffGiven { handoff, to, token } => LeaseEvent {
            other: Some(handoff.from.clone()),
            untold: true,
            ..of_handoff(LeaseEventKind::HandoffGiven, to, *token, handoff)
        },
        Change::Inherited { from, to } => {
            LeaseEvent { other: Some(from.clone()), ..of(LeaseEventKind::Inherited, to, Vec::new()) }
        }
    })
}
