//! Judging stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::Response;
use stopgate_core::checkout;
use stopgate_core::env::ProcessEnv;
use stopgate_core::event_id::is_event_id;
use stopgate_core::harness::{EventKind, MAX_MESSAGE_BYTES};
use stopgate_core::protocol::{EvaluateRequest, EvaluateResponse};
use stopgate_core::session::SessionKey;
use stopgate_core::switch::{self, Mode};
use stopgate_core::text;
use stopgate_protocol::{Contest, Contested, ErrorCode, ExplainStop, StopExplanation};
use tokio::time::{sleep, sleep_until};

use super::views::log_settles;
use super::{Routes, off_loop, problem, unavailable};
use crate::contests;
use crate::evaluate::{self, Gone, Heard, Verdict};
use crate::journal::{JournalAnswer, Noted};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// How often whoever waits for a verdict looks whether the disk answers.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(evaluate).serve(explain).serve(contest)
}

async fn explain(state: Arc<State>, _: Peer, wanted: ExplainStop) -> Result<StopExplanation, Response> {
    let explained = off_loop(move || state.storage.with_store(|store| store.explain(&wanted.event))).await?;
    explained.map_err(unavailable)
}

/// Takes an agent's word that its next stop is right.
async fn contest(state: Arc<State>, peer: Peer, contest: Contest) -> Result<Contested, Response> {
    let Some(key) = SessionKey::new(contest.session.harness, &contest.session.session_id) else {
        let what = "session.session_id: must be 1 to 128 printable ASCII characters";
        return Err(problem(ErrorCode::Malformed, what));
    };
    let Some(why) = contests::reason(&contest.why) else {
        return Err(problem(ErrorCode::Malformed, "why: must say something"));
    };
    // A reminder is answered before it is stored, and it is what the agent speaks against.
    log_settles(&state).await;
    let record = move || {
        if state.standing(&key, Mode::Enforce).0.is_none() {
            return Err(problem(ErrorCode::NotFound, "session.session_id: no such session is known"));
        }
        operator::speaks_for(&state, &peer, &key).map_err(super::refused)?;
        let recorded = state.storage.with_store(|store| store.record_contest(&key, &why, state.storage.now_ms()));
        recorded.map(|()| Contested { taken: true }).map_err(unavailable)
    };
    off_loop(record).await?
}

/// Tells the evaluation that whoever asked is gone, when its handler is dropped before it has answered.
struct Asker(Gone);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// What is known of a stop at once.
enum Begun {
    /// It is let go, and nothing is kept of it: the gate is off.
    Answered,
    /// It is let go by its message alone; judged in full afterwards.
    LetGo(Option<Heard>, Option<Noted>),
    /// It is to be judged while the hook waits.
    ToJudge(Option<Heard>),
    /// It is to be judged in shadow.
    InShadow { noted: Option<Noted>, has_judge: bool },
}

async fn evaluate(
    state: Arc<State>,
    peer: Peer,
    mut request: EvaluateRequest,
) -> Result<Option<EvaluateResponse>, Response> {
    let received = Instant::now();
    if let EventKind::Stop(stop) = &mut request.event.kind
        && stop.last_assistant_message.len() > MAX_MESSAGE_BYTES
    {
        // Hooks send no more. Reading it takes time in proportion.
        stop.last_assistant_message = text::tail(&stop.last_assistant_message, MAX_MESSAGE_BYTES).to_owned();
    }
    check(&request).map_err(|error| problem(ErrorCode::Malformed, error))?;
    let until = received + evaluate::answered_within(&request);
    let gone = Gone::of(peer);
    // Dropped in any case: what is asked of it after the verdict is there changes nothing, and it holds the connection.
    let _asker = Asker(gone.clone());
    let asker = gone.clone();
    let judged = {
        let state = Arc::clone(&state);
        let unsettled = state.unsettled();
        async move {
            let _unsettled = unsettled;
            let (begun, request) = {
                let state = Arc::clone(&state);
                off_loop(move || (begin(&state, &mut request, received), request)).await?
            };
            match begun {
                Begun::Answered => Ok(Some(EvaluateResponse::ALLOW)),
                Begun::LetGo(heard, noted) => {
                    judge_afterwards(state, request, heard, received, noted);
                    Ok(Some(EvaluateResponse::ALLOW))
                }
                Begun::ToJudge(heard) => enforce(state, request, heard, received, gone).await.map(Some),
                Begun::InShadow { noted, has_judge } => {
                    shadow(state, request, received, noted, has_judge).await.map(|()| None)
                }
            }
        }
    };
    in_time(&state, until, &asker, judged).await
}

/// Waits for `work`, but not for a disk that does not answer: the hook is told at once that nothing is judged then. The
/// work is a task of its own, and runs to its end whatever becomes of whoever waits.
async fn in_time(
    state: &State,
    mut until: Instant,
    asker: &Gone,
    work: impl Future<Output = Result<Option<EvaluateResponse>, Response>> + Send + 'static,
) -> Result<Option<EvaluateResponse>, Response> {
    let unanswered = |state: &State| state.stalled().map(|said| problem(ErrorCode::StoreUnavailable, said));
    if let Some(problem) = unanswered(state) {
        return Err(problem);
    }
    let mut work = tokio::spawn(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                return done.unwrap_or_else(|_| Err(problem(ErrorCode::Failed, "the work was cut short")));
            }
            () = sleep_until(until.into()) => match asker.outlasts() {
                Some(later) => until = later,
                None => return Ok(Some(evaluate::late())),
            },
            () = sleep(LOOK_INTERVAL) => if let Some(problem) = unanswered(state) {
                return Err(problem);
            }
        }
    }
}

/// Reads what a stop says, and notes the answer where that is all it takes. Blocks: files are read and written.
fn begin(state: &State, request: &mut EvaluateRequest, received: Instant) -> Begun {
    // The switches are files: read here too, so that a caller's word alone never enforces.
    let mode = switch::read_mode(&state.home).mode();
    if switch::is_killed(&ProcessEnv, &state.home) {
        return Begun::Answered;
    }
    match mode {
        Mode::Off => return Begun::Answered,
        Mode::Shadow => request.mode = Mode::Shadow,
        Mode::Enforce => {}
    }
    if request.mode != Mode::Enforce {
        let noted = state.journal.note(JournalAnswer::Taken { request: Box::new(request.clone()) });
        return Begun::InShadow { noted, has_judge: evaluate::has_judge(&state.settings.current()) };
    }
    let heard = Heard::quickly(state, request);
    match heard.as_ref().and_then(|heard| heard.foregone(state, request, received)) {
        Some((_, given)) => Begun::LetGo(heard, state.journal.note(JournalAnswer::Given(Box::new(given)))),
        None => Begun::ToJudge(heard),
    }
}

fn check(request: &EvaluateRequest) -> Result<(), &'static str> {
    if !is_event_id(&request.event_id) {
        return Err("event_id: not a UUID");
    }
    let key = &request.event.key;
    if SessionKey::new(key.harness, &key.session_id).is_none() {
        return Err("event.key.session_id: must be 1 to 128 printable ASCII characters");
    }
    if !matches!(request.event.kind, EventKind::Stop(_)) {
        return Err("event.kind: must be a Stop");
    }
    if request.mode == Mode::Off {
        return Err("mode: a hook in mode off does not ask");
    }
    Ok(())
}

/// The hook waits for the verdict. The evaluation runs to its end also when the hook does not: it is logged then as not
/// delivered.
async fn enforce(
    state: Arc<State>,
    request: EvaluateRequest,
    heard: Option<Heard>,
    received: Instant,
    gone: Gone,
) -> Result<EvaluateResponse, Response> {
    let unsettled = state.unsettled();
    let mut verdict = judge_in_turn(&state, request, heard, received, gone).await?;
    let response = verdict.response.clone();
    // The log can wait; the agent should not.
    tokio::task::spawn_blocking(move || {
        verdict.write(&state);
        drop(unsettled);
    });
    Ok(response)
}

/// The hook does not wait: the stop is written down, acknowledged, and judged afterwards.
async fn shadow(
    state: Arc<State>,
    request: EvaluateRequest,
    received: Instant,
    noted: Option<Noted>,
    has_judge: bool,
) -> Result<(), Response> {
    // A judge may take its time: until it has spoken the log shows the stop as pending.
    if noted.is_none() || has_judge {
        return store_and_judge(state, request, received, noted).await;
    }
    judge_afterwards(state, request, None, received, noted);
    Ok(())
}

/// Stores a stop, and has it judged if it is new. An error means that it is neither stored nor noted.
async fn store_and_judge(
    state: Arc<State>,
    request: EvaluateRequest,
    received: Instant,
    noted: Option<Noted>,
) -> Result<(), Response> {
    let taken = {
        let (state, request) = (Arc::clone(&state), request.clone());
        off_loop(move || state.storage.with_store(|store| store.accept_stop(&request))).await
    };
    match taken {
        // Delivered before.
        Ok(Ok(false)) => state.journal.forget(noted),
        Ok(Err(error)) if noted.is_none() => return Err(unavailable(error)),
        Err(problem) if noted.is_none() => return Err(problem),
        _ => judge_afterwards(state, request, None, received, noted),
    }
    Ok(())
}

/// Judges a stop that was answered, and writes the verdict down.
fn judge_afterwards(
    state: Arc<State>,
    request: EvaluateRequest,
    heard: Option<Heard>,
    received: Instant,
    noted: Option<Noted>,
) {
    let unsettled = state.unsettled();
    tokio::spawn(async move {
        if let Ok(mut verdict) = judge_in_turn(&state, request, heard, received, Gone::default()).await {
            verdict.noted = noted;
            let _ = off_loop(move || verdict.write(&state)).await;
        }
        drop(unsettled);
    });
}

/// Judges a stop when its turn has come: one at a time in a checkout.
async fn judge_in_turn(
    state: &Arc<State>,
    request: EvaluateRequest,
    heard: Option<Heard>,
    received: Instant,
    gone: Gone,
) -> Result<Verdict, Response> {
    // Waiting for a turn counts against the deadline: a verdict that comes late is not delivered.
    let looks = heard.as_ref().is_none_or(|heard| !heard.is_foregone());
    let request = Arc::new(request);
    let checkout = request.event.cwd.clone().filter(|_| looks);
    let (heard, patience, checkout) = {
        let (state, request) = (Arc::clone(state), Arc::clone(&request));
        let look = move || {
            let patience = evaluate::facts_budget(&state, heard.as_ref(), &request);
            (heard, patience, checkout.as_deref().and_then(checkout::find))
        };
        off_loop(look).await?
    };
    // Nobody waits past the time that facts may take: then they are not known in time, whoever holds the turn.
    let turn = state.turn_in(checkout.as_ref().map(|checkout| &*checkout.worktree));
    let turn = tokio::time::timeout(patience.saturating_sub(received.elapsed()), turn).await.unwrap_or_default();
    let state = Arc::clone(state);
    off_loop(move || evaluate::evaluate(&state, &request, heard, received, &gone, turn)).await
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use stopgate_core::decision::Decision;
    use stopgate_core::event_id::new_event_id;
    use stopgate_core::harness::{Event, Stop};
    use stopgate_core::paths::Home;
    use stopgate_core::session::Harness;

    use super::*;

    /// Somebody looks at the checkout and does not come to an end: the next stop is let go when its own time is over.
    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_waits_for_a_turn_longer_than_facts_may_take() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("project").canonicalize().unwrap_or_else(|_| dir.path().join("project"));
        std::fs::create_dir(&top).unwrap();
        assert!(Command::new("git").args(["init", "-q"]).current_dir(&top).status().unwrap().success());
        let home = Home::at(dir.path().join("home"));
        home.create().unwrap();
        std::fs::write(home.root().join("config.toml"), "[gate]\nfacts_budget_ms = 50\n").unwrap();
        let state = tokio::task::spawn_blocking(move || State::open(home)).await.unwrap();
        let found = checkout::find(&top).unwrap();
        let held = state.turn_in(Some(&found.worktree)).await;
        let clock = state.storage.clock();
        let request = EvaluateRequest {
            event_id: new_event_id(clock),
            at_ms: clock.now_ms(),
            boot_ms: None,
            event: Event {
                key: SessionKey::new(Harness::Claude, "s").unwrap(),
                cwd: Some(top),
                transcript_path: None,
                model: None,
                permission_mode: None,
                agent_id: None,
                kind: EventKind::Stop(Stop {
                    last_assistant_message: "Let's continue in a fresh session.".into(),
                    ..Stop::default()
                }),
            },
            mode: Mode::Shadow,
            search_path: None,
            may_wait: false,
            deadline_ms: 1_000,
        };
        let judged = judge_in_turn(&state, request, None, Instant::now(), Gone::default());
        let verdict = tokio::time::timeout(Duration::from_mins(1), judged).await.expect("it does not wait").unwrap();
        assert_eq!(verdict.response.decision, Decision::Allow);
        drop(held);
    }
}
