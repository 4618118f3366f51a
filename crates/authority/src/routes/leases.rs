//! Leases: asked for by the session that calls, or the person.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use stopgate_coordination::lease::{Answer, Claim, HandoffText, Lease, Request, Token, WaitEnd, Waiter, Which};
use stopgate_coordination::room::Place;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{AskLease, ErrorCode, Failure, LeaseAct, LeaseAnswer, LeaseOutcome, LeaseRoom, ListLeases};
use stopgate_registry::caller::Caller;
use stopgate_store::StoreError;
use tokio::time::Instant;

use super::{Routes, off_loop, refused, unavailable};
use crate::leases::{Heard, Listener};
use crate::peer::Peer;
use crate::state::State;
use crate::{leases, operator};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(ask).serve(list)
}

/// Resources that are asked for at once.
const MAX_CLAIMS: usize = 100;
/// Longest text of a handoff or a reason, in characters.
const MAX_TEXT: usize = 2_000;
/// Longest wait in one request.
const MAX_WAIT: Duration = Duration::from_hours(1);
/// How much longer than the wait the answer may take.
const MARGIN: Duration = Duration::from_secs(5);

async fn list(state: Arc<State>, _: Peer, asked: ListLeases) -> Result<LeaseRoom, Response> {
    off_loop(move || leases::shown(&state, asked.room.as_deref())).await
}

async fn ask(state: Arc<State>, peer: Peer, asked: AskLease) -> Result<LeaseAnswer, Response> {
    let who = {
        let (state, peer, asked) = (Arc::clone(&state), peer.clone(), asked.clone());
        off_loop(move || {
            plausible(&asked).map_err(refused)?;
            operator::who(&state, &peer, &asked.told).map_err(unavailable)
        })
    };
    let caller = who.await??;
    if let (Caller::Session(session), LeaseAct::Wait { claims, timeout_ms, park }) = (&caller, &asked.act) {
        let wait = Wait { session: session.clone(), claims: claims.clone(), park: *park, asked: asked.clone() };
        let patience = Duration::from_millis(*timeout_ms).min(MAX_WAIT);
        return wait.go(state, &peer, patience).await;
    }
    off_loop(move || answer(&state, &caller, &asked)).await?.map_err(unavailable)
}

/// Whether the request can be meant.
fn plausible(asked: &AskLease) -> Result<(), Failure> {
    let malformed = |what: String| Err(Failure::new(ErrorCode::Malformed, what));
    if asked.act.claims().len() > MAX_CLAIMS {
        return malformed(format!("claims: more than {MAX_CLAIMS} at once"));
    }
    for claim in asked.act.claims() {
        let is_there = match &claim.tree {
            None => claim.resource.is_name(),
            Some(tree) => {
                let is_of_room = |place: Place| place.room == asked.room && place.tree == *tree;
                !claim.resource.is_name() && (*tree == asked.room || Place::of(tree).is_some_and(is_of_room))
            }
        };
        if !is_there {
            return malformed(format!("claims: {} is of no tree of {}", claim.resource, asked.room.display()));
        }
    }
    let (handoff, reason) = match &asked.act {
        LeaseAct::Release { handoff, .. } | LeaseAct::Pass { handoff, .. } => (handoff.as_ref(), None),
        LeaseAct::Take { reason, .. } => (None, Some(reason)),
        _ => (None, None),
    };
    let handoff = handoff.map(|HandoffText { status, next, artifact, question }| {
        let told = [("status", Some(status)), ("next", Some(next))];
        told.into_iter().chain([("artifact", artifact.as_ref()), ("question", question.as_ref())])
    });
    let texts = handoff.into_iter().flatten().chain([("reason", reason)]);
    for (name, text) in texts.filter_map(|(name, text)| Some((name, text?))) {
        if text.trim().is_empty() {
            return malformed(format!("{name}: is blank"));
        }
        if text.chars().count() > MAX_TEXT {
            return malformed(format!("{name}: longer than {MAX_TEXT} characters"));
        }
    }
    Ok(())
}

/// What is asked, but for a wait.
fn answer(state: &State, caller: &Caller, asked: &AskLease) -> Result<LeaseAnswer, StoreError> {
    let by_person = matches!(caller, Caller::Person);
    let own = match caller {
        Caller::Session(session) => Some(session),
        Caller::Person => None,
        Caller::Unproven(why) => match &asked.act {
            // Whoever has the number of a grant may ask whether it counts.
            LeaseAct::Check { token: Some(_), .. } => None,
            _ => return Ok(LeaseAnswer::refused(why.failure())),
        },
    };
    if let Some(session) = own {
        state.leases.sign(session);
    }
    let named = |name: &str| leases::living_session(state, name, &asked.room);
    let for_session = |wanted: &Option<String>| match wanted {
        Some(_) if !by_person => Ok(Err(LeaseAnswer::refused(Failure::new(
            ErrorCode::OperatorOnly,
            "refused: to ask for another session is the person's",
        )))),
        Some(name) => named(name).map(|found| found.map(Some).map_err(LeaseAnswer::refused)),
        None => Ok(Ok(own.cloned())),
    };
    let needs_session = || {
        let why = "leases are held by sessions, and no agent is above this caller";
        let remedy = "a person holds none: `lease take --reason TEXT` frees what a session holds, and `--for SESSION` gives it to one";
        LeaseAnswer::refused(Failure::new(ErrorCode::UnprovenCaller, why).with_remedy(remedy))
    };
    let which = |claims: &[Claim], token: Option<Token>| Which { claims: claims.to_vec(), token };
    let request = match &asked.act {
        LeaseAct::Acquire { claims, for_session: wanted } => match for_session(wanted)? {
            Ok(Some(session)) => Request::Acquire { session, claims: claims.clone() },
            Ok(None) => return Ok(needs_session()),
            Err(refused) => return Ok(refused),
        },
        LeaseAct::Take { claims, reason, for_session: wanted } => match for_session(wanted)? {
            Ok(session) => Request::Take { session, by_person, claims: claims.clone(), reason: reason.clone() },
            Err(refused) => return Ok(refused),
        },
        LeaseAct::Check { claims, token } => return Ok(leases::checked(state, &asked.room, own, claims, *token)),
        act => {
            let Some(session) = own.cloned() else { return Ok(needs_session()) };
            match act {
                LeaseAct::Renew { claims, token } => Request::Renew { session, which: which(claims, *token) },
                LeaseAct::Release { claims, token, handoff } => {
                    if claims.is_empty() && token.is_none() {
                        let place = Request::StopListening { session: session.clone(), gives_up: true };
                        let waited = state.leases.room(&asked.room).place(&session).is_some();
                        state.leases.ask(&asked.room, &place)?;
                        let holds = state.leases.room(&asked.room).leases.iter().any(|lease| lease.holder == session);
                        if waited && !holds {
                            return Ok(LeaseAnswer::of(LeaseOutcome::Done));
                        }
                    }
                    Request::Release { session, which: which(claims, *token), handoff: handoff.clone() }
                }
                LeaseAct::Pass { claims, token, to, handoff } => match named(to)? {
                    Ok(to) if to == session => {
                        let failure = Failure::new(ErrorCode::Usage, "a lease is not passed to whoever holds it");
                        return Ok(LeaseAnswer::refused(failure));
                    }
                    Ok(to) => Request::Pass { session, which: which(claims, *token), to, handoff: handoff.clone() },
                    Err(failure) => return Ok(LeaseAnswer::refused(failure)),
                },
                LeaseAct::Heard { token } => {
                    state.leases.told(&session, i64::MAX, Some(*token))?;
                    let room = state.leases.room(&asked.room);
                    let is_it = |lease: &&Lease| lease.holder == session && lease.token == *token;
                    let claims = room.leases.iter().filter(is_it).map(Lease::claim).collect();
                    // To ask for what it has is to take it up.
                    Request::Acquire { session, claims }
                }
                // Those of a session wait elsewhere; the person's is refused above.
                _ => return Ok(needs_session()),
            }
        }
    };
    let answer = state.leases.ask(&asked.room, &request)?;
    Ok(leases::said(state, &asked.room, &request, answer))
}

/// A wait of a session.
struct Wait {
    session: SessionKey,
    claims: Vec<Claim>,
    park: bool,
    asked: AskLease,
}

impl Wait {
    async fn go(mut self, state: Arc<State>, peer: &Peer, patience: Duration) -> Result<LeaseAnswer, Response> {
        state.leases.sign(&self.session);
        if self.claims.is_empty() {
            // What it waits for already, or was given meanwhile.
            let room = state.leases.room(&self.asked.room);
            let own = |waiter: &&Waiter| waiter.session == self.session;
            let waited: Option<Vec<Claim>> = room.waiters.iter().find(own).map(|waiter| waiter.claims.clone());
            let given = || {
                let is_given = |lease: &&Lease| lease.holder == self.session && lease.offered_boot_ms.is_some();
                room.leases.iter().filter(is_given).map(Lease::claim).collect()
            };
            self.claims = waited.unwrap_or_else(given);
            if self.claims.is_empty() {
                let failure = Failure::new(ErrorCode::NoSuchTarget, "this session waits for nothing");
                return Ok(LeaseAnswer::refused(failure.with_remedy("name what to wait for")));
            }
        }
        let listener = (!self.park).then(|| state.leases.listen(&self.session));
        let mut waiting = Waiting { state: Arc::clone(&state), wait: &self, listener, is_over: self.park };
        let answer = waiting.wait.ask(&state).await?;
        let Some(listener) = waiting.listener.as_mut().filter(|_| answer.outcome == LeaseOutcome::Queued) else {
            waiting.is_over = true;
            return Ok(answer);
        };
        let until = Instant::now() + patience;
        if !peer.announce(patience + MARGIN) {
            // It has gone, or hears no more than it would anyway.
            tracing::debug!(session = %waiting.wait.session, "a wait could not be announced");
        }
        let heard = tokio::select! {
            heard = listener.hear() => heard,
            () = tokio::time::sleep_until(until) => {
                // Its place is kept for a while.
                drop(waiting);
                let still = self.ask_again(&state).await?;
                if still.outcome == LeaseOutcome::Queued {
                    let failure = Failure::new(ErrorCode::TimeUp, "time is up, and it is still held");
                    return Ok(LeaseAnswer { error: Some(failure), outcome: LeaseOutcome::Refused, ..still });
                }
                return Ok(still);
            }
        };
        waiting.is_over = true;
        match heard {
            Heard::Granted => self.given(&state).await,
            Heard::Retired(why) => {
                let why = match why {
                    WaitEnd::Replaced => "this session waits elsewhere by now",
                    WaitEnd::SessionEnded => "this session has ended",
                    WaitEnd::Granted | WaitEnd::GaveUp => "the place in the queue was given up",
                };
                Ok(LeaseAnswer::refused(Failure::new(ErrorCode::Conflict, why)))
            }
        }
    }

    /// Asks for it, and for a place in the queue if it is held.
    async fn ask(&self, state: &Arc<State>) -> Result<LeaseAnswer, Response> {
        let request =
            Request::Wait { session: self.session.clone(), claims: self.claims.clone(), is_parked: self.park };
        self.decided(state, request).await
    }

    /// What it was given just now. Whether that arrives is not known yet: it is not taken up by this.
    async fn given(&self, state: &Arc<State>) -> Result<LeaseAnswer, Response> {
        let given = {
            let (state, room) = (Arc::clone(state), self.asked.room.clone());
            let (session, claims) = (self.session.clone(), self.claims.clone());
            off_loop(move || {
                let answer = state.leases.given(&room, &session, &claims)?;
                let request = Request::Acquire { session, claims };
                Some(leases::said(&state, &room, &request, answer))
            })
        };
        match given.await? {
            Some(said) => Ok(said),
            // It was lost again meanwhile.
            None => self.ask(state).await,
        }
    }

    /// How it stands, without a place in the queue.
    async fn ask_again(&self, state: &Arc<State>) -> Result<LeaseAnswer, Response> {
        let request = Request::StopListening { session: self.session.clone(), gives_up: false };
        let session = self.session.clone();
        let (state, room, claims) = (Arc::clone(state), self.asked.room.clone(), self.claims.clone());
        let work = move || {
            state.leases.ask(&room, &request)?;
            let known = state.leases.room(&room);
            let request = Request::Wait { session: session.clone(), claims: claims.clone(), is_parked: false };
            let answer = match known.place(&session) {
                Some((_, before)) => {
                    let holders = known.in_the_way(&session, &claims).cloned().collect();
                    Answer::Queued { before, holders }
                }
                // It was given in the last moment, or its session is over.
                None => state.leases.ask(&room, &Request::Acquire { session, claims })?,
            };
            Ok::<_, StoreError>(leases::said(&state, &room, &request, answer))
        };
        off_loop(work).await?.map_err(unavailable)
    }

    async fn decided(&self, state: &Arc<State>, request: Request) -> Result<LeaseAnswer, Response> {
        let (state, room) = (Arc::clone(state), self.asked.room.clone());
        let work = move || {
            let answer = state.leases.ask(&room, &request)?;
            Ok::<_, StoreError>(leases::said(&state, &room, &request, answer))
        };
        off_loop(work).await?.map_err(unavailable)
    }
}

/// A request that waits. When it goes before its end, its place is kept for a while.
struct Waiting<'a> {
    state: Arc<State>,
    wait: &'a Wait,
    listener: Option<Listener>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.listener = None;
        if self.is_over {
            return;
        }
        let (state, room) = (Arc::clone(&self.state), self.wait.asked.room.clone());
        let request = Request::StopListening { session: self.wait.session.clone(), gives_up: false };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = state.leases.ask(&room, &request) {
                tracing::warn!(%error, "a place in the queue is kept without a request");
            }
        });
    }
}
