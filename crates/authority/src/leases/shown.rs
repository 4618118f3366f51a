//! What is answered, and shown to whoever looks: leases with the names of their holders.

use std::path::Path;

use stopgate_coordination::lease::{
    Answer, Claim, Facts as _, Handoff, Lease, Request, RoomLeases, Standing, Token, may_be_taken,
};
use stopgate_core::session::SessionKey;
use stopgate_protocol::{
    ErrorCode, Failure, HandoffRow, LeaseAnswer, LeaseEventKind, LeaseOutcome, LeaseRoom, LeaseRow, WaiterRow,
};
use stopgate_registry::neighbours::{self, LivingSession};
use stopgate_store::StoreError;

use super::Leases;
use crate::state::State;

/// Most that a session is told at once.
const MAX_UNTOLD: u32 = 100;

impl Leases {
    /// What `session` has to hear of and has not yet, the oldest first: what it was given out of the queue or by name, what it
    /// lost, and what was said to it.
    pub(crate) fn untold(&self, session: &SessionKey) -> Result<Vec<stopgate_protocol::LeaseEvent>, StoreError> {
        self.storage.with_reader(|store| store.untold_lease_events(session, MAX_UNTOLD))
    }

    /// `session` has heard of its events up to `id`, of those of the grant `token` if one is named.
    pub(crate) fn told(&self, session: &SessionKey, id: i64, token: Option<Token>) -> Result<(), StoreError> {
        self.storage.with_store(|store| store.lease_events_told(session, id, token))
    }

    /// A lease for whoever looks.
    pub(crate) fn row(&self, lease: &Lease) -> LeaseRow {
        let (now, facts) = (self.now(), self.facts());
        let longest = lease.since_boot_ms + now.limits.longest_ms;
        let idle = facts.sign_boot_ms(&lease.holder).max(lease.since_boot_ms) + now.limits.idle_ms;
        let ends = match facts.standing(&lease.holder) {
            Standing::Working | Standing::Unclear => longest,
            Standing::Resting => longest.min(idle),
        };
        LeaseRow {
            name: self.name(&lease.holder),
            ends_ms: Some(now.wall_ms + ends.max(now.no_end_before_boot_ms) - now.boot_ms),
            may_be_taken: may_be_taken(&now, lease, &facts),
            lease: lease.clone(),
        }
    }

    /// What a session is called.
    pub(crate) fn name(&self, session: &SessionKey) -> String {
        let named = self.sessions.name(session);
        named.unwrap_or_else(|| session.session_id.chars().take(8).collect())
    }

    fn rows(&self, leases: &[Lease]) -> Vec<LeaseRow> {
        leases.iter().map(|lease| self.row(lease)).collect()
    }
}

/// Who holds what in `room`, or in all, and who waits.
pub(crate) fn shown(state: &State, room: Option<&Path>) -> LeaseRoom {
    let rooms: Vec<RoomLeases> = match room {
        Some(room) => vec![state.leases.room(room)],
        None => state.leases.all().into_values().collect(),
    };
    let mut shown = LeaseRoom::default();
    for room in rooms {
        shown.leases.extend(state.leases.rows(&room.leases));
        shown.waiters.extend(room.waiters.iter().map(|waiter| WaiterRow {
            name: state.leases.name(&waiter.session),
            is_listening: state.leases.is_listening(&waiter.session),
            waiter: waiter.clone(),
        }));
        shown.handoffs.extend(
            room.handoffs
                .iter()
                .map(|handoff| HandoffRow { name: state.leases.name(&handoff.from), handoff: handoff.clone() }),
        );
    }
    shown
}

/// The living session that `word` means, by its name or the beginning of its id. Blocks.
pub(crate) fn living_session(
    state: &State,
    word: &str,
    room: &Path,
) -> Result<Result<SessionKey, Failure>, StoreError> {
    let now = state.storage.now_ms();
    let living = state.storage.with_store(|store| neighbours::living(store, now))?;
    let is_named = |session: &&LivingSession| session.name == word || session.key.to_string() == word;
    let begins = |session: &&LivingSession| !word.is_empty() && session.key.session_id.starts_with(word);
    let mut found: Vec<&LivingSession> = living.iter().filter(is_named).collect();
    if found.is_empty() {
        found = living.iter().filter(begins).collect();
    }
    let there = || {
        let is_there = |session: &&LivingSession| session.place.as_ref().is_some_and(|place| place.room == room);
        let names: Vec<&str> = living.iter().filter(is_there).map(|session| session.name.as_str()).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    Ok(match found.as_slice() {
        [only] => Ok(only.key.clone()),
        [] => Err(Failure::new(
            ErrorCode::NoSuchTarget,
            format!("no living session is called {word:?}; here are: {}", there()),
        )),
        _ => Err(Failure::new(
            ErrorCode::NoSuchTarget,
            format!("{word:?} may mean several sessions; here are: {}", there()),
        )),
    })
}

/// Whether a grant counts, or the session holds it.
pub(crate) fn checked(
    state: &State,
    room: &Path,
    own: Option<&SessionKey>,
    claims: &[Claim],
    token: Option<Token>,
) -> LeaseAnswer {
    // What has ended by itself since does not count.
    let _ = state.leases.ask(room, &Request::Look);
    let known = state.leases.room(room);
    let counts = |lease: &&Lease, claim: &Claim| {
        let is_asked = token.map_or_else(|| own == Some(&lease.holder), |token| lease.token == token);
        is_asked && lease.gives(claim)
    };
    let by: Vec<Option<&Lease>> =
        claims.iter().map(|claim| known.leases.iter().find(|lease| counts(lease, claim))).collect();
    if !by.is_empty() && by.iter().all(Option::is_some) {
        let leases: Vec<Lease> = by.into_iter().flatten().cloned().collect();
        let token = leases.iter().map(|lease| lease.token).max();
        return LeaseAnswer { token, leases: state.leases.rows(&leases), ..LeaseAnswer::of(LeaseOutcome::Granted) };
    }
    let overlaps = |lease: &&Lease| claims.iter().any(|claim| lease.claim().overlaps(claim));
    let holders: Vec<Lease> = known.leases.iter().filter(overlaps).cloned().collect();
    let others = holders.iter().any(|lease| own != Some(&lease.holder));
    let code = match token {
        Some(_) => ErrorCode::StaleToken,
        None if others => ErrorCode::Held,
        None => ErrorCode::NoSuchTarget,
    };
    let holders = state.leases.rows(&holders);
    let what = match token {
        Some(token) => format!("token {token} does not count (any more): {}", who_holds(state, &holders)),
        None => format!("this session does not hold it: {}", who_holds(state, &holders)),
    };
    LeaseAnswer { error: Some(Failure::new(code, what)), holders, ..LeaseAnswer::of(LeaseOutcome::Refused) }
}

/// "src/ is held by amber since 3 min".
fn who_holds(state: &State, holders: &[LeaseRow]) -> String {
    if holders.is_empty() {
        return "nobody holds it".to_owned();
    }
    let now = state.storage.now_ms();
    let of = |row: &LeaseRow| {
        let LeaseRow { lease, name, .. } = row;
        let seconds = (now - lease.since_ms).max(0) / 1_000;
        let since = if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
        let observed = match lease.origin {
            stopgate_coordination::lease::LeaseOrigin::Declared => "",
            stopgate_coordination::lease::LeaseOrigin::Observed => ", which was seen to write it",
        };
        let (harness, resource, token) = (lease.holder.harness, &lease.resource, lease.token);
        format!("{resource} is held by {name} ({harness}){observed}, for {since}, token {token}")
    };
    let mut told: Vec<String> = holders.iter().take(5).map(of).collect();
    if holders.len() > 5 {
        told.push(format!("{} more", holders.len() - 5));
    }
    told.join("; ")
}

/// What is said of what was decided.
pub(crate) fn said(state: &State, room: &Path, request: &Request, answer: Answer) -> LeaseAnswer {
    let leases = &state.leases;
    let refusal = |code, message: String, holders: Vec<LeaseRow>| LeaseAnswer {
        holders,
        ..LeaseAnswer::refused(Failure::new(code, message))
    };
    match answer {
        Answer::Granted { token, leases: held, .. } => {
            let session = held.first().map(|lease| lease.holder.clone());
            let is_it = |event: &stopgate_protocol::LeaseEvent| {
                event.kind == LeaseEventKind::HandoffGiven && held.iter().any(|lease| Some(lease.token) == event.token)
            };
            // What was granted is written down: whoever cannot be told of a handoff now is told at its next event.
            let untold = session.and_then(|session| leases.untold(&session).ok()).unwrap_or_default();
            let handoffs = untold.into_iter().filter(is_it).filter_map(|event| {
                let from = event.other?;
                let handoff = Handoff {
                    from: from.clone(),
                    token: event.token?,
                    at_ms: event.at_ms,
                    claims: event.claims,
                    text: event.handoff?,
                };
                Some(HandoffRow { name: state.leases.name(&from), handoff })
            });
            LeaseAnswer {
                token: Some(token),
                handoffs: handoffs.collect(),
                leases: leases.rows(&held),
                ..LeaseAnswer::of(LeaseOutcome::Granted)
            }
        }
        Answer::Queued { before, holders } => LeaseAnswer {
            before: Some(before),
            holders: leases.rows(&holders),
            ..LeaseAnswer::of(LeaseOutcome::Queued)
        },
        Answer::Held { holders, waiting, may_be_taken } => {
            let holders = leases.rows(&holders);
            let is_take = matches!(request, Request::Take { .. });
            let message = match (holders.is_empty(), is_take) {
                (true, _) => format!("{waiting} wait for it already"),
                (false, false) => who_holds(state, &holders),
                (false, true) => format!("{}, who is at work or was heard of a moment ago", who_holds(state, &holders)),
            };
            let code = if may_be_taken { ErrorCode::MayBeTaken } else { ErrorCode::Held };
            let mut answer = refusal(code, message, holders);
            if let (true, Some(error)) = (is_take, &mut answer.error) {
                error.remedy =
                    Some("wait for it (`stopgate lease wait`), or ask your person, who may take it".to_owned());
            }
            answer.before = Some(waiting);
            answer
        }
        Answer::Done { leases: done, next } => LeaseAnswer {
            token: done.iter().map(|lease| lease.token).max(),
            leases: leases.rows(&done),
            next: leases.rows(&next),
            ..LeaseAnswer::of(LeaseOutcome::Done)
        },
        Answer::NotHeld { holders } => {
            let code = if holders.is_empty() { ErrorCode::NoSuchTarget } else { ErrorCode::Held };
            let holders = leases.rows(&holders);
            let message = match request {
                Request::Take { .. } => "nobody holds it".to_owned(),
                _ => format!("this session does not hold it; {}", who_holds(state, &holders)),
            };
            refusal(code, message, holders)
        }
        Answer::Stale { token, holders } => {
            let last = leases.room(room).last_token;
            let holders = leases.rows(&holders);
            let why = if token > last { ", and was never given in this room" } else { "" };
            refusal(
                ErrorCode::StaleToken,
                format!("token {token} does not count{why}; {}", who_holds(state, &holders)),
                holders,
            )
        }
        Answer::WouldDeadlock { cycle } => {
            let steps: Vec<String> = cycle
                .iter()
                .map(|lease| format!("{} has {}", state.leases.name(&lease.holder), lease.resource))
                .collect();
            let message =
                format!("waiting would never end: {}, which this session has", steps.join(", and waits until "));
            refusal(ErrorCode::WouldDeadlock, message, leases.rows(&cycle))
        }
        Answer::Nothing => LeaseAnswer::of(LeaseOutcome::Done),
    }
}
