//! The fence: what becomes of a tool call, and what people ask of it.

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use axum::response::Response;
use stopgate_coordination::fence::mode as fence_mode;
use stopgate_coordination::fence::text::tell;
use stopgate_coordination::fence::{FenceAnswer, FenceQuestion, FenceVerdict, MAX_TARGETS};
use stopgate_core::env;
use stopgate_core::event_id::is_event_id;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_protocol::{
    ErrorCode, ExplainFence, FenceExplanation, FenceGraded, FenceReport, FenceState, FenceStatus, GetFence, GradeFence,
    ReadFenceReport, SetFence,
};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::control::{not_written, still_counts};
use super::views::log_settles;
use super::{Routes, off_loop, problem, unavailable};
use crate::peer::Peer;
use crate::state::State;
use crate::{evaluate, fence, operator};

/// After so long without a verdict the database is not waited for: the hook has 250 ms for everything.
const REMEMBERED_AFTER: Duration = Duration::from_millis(100);
/// How long an answer waits until what it lets go is noted.
const NOTED_WITHIN: Duration = Duration::from_millis(50);

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(ask).serve(status).serve(set_mode).serve(report).serve(explain).serve(grade)
}

/// Answers a hook. In shadow at once: nobody waits for what refuses nothing.
async fn ask(state: Arc<State>, _: Peer, question: FenceQuestion) -> Result<FenceAnswer, Response> {
    if !is_event_id(&question.event_id) {
        return Err(problem(ErrorCode::Malformed, "event_id: not a UUID"));
    }
    if SessionKey::new(question.session.harness, &question.session.session_id).is_none() {
        return Err(problem(ErrorCode::Malformed, "session_id: must be 1 to 128 printable ASCII characters"));
    }
    let intent = &question.intent;
    if [intent.writes.len(), intent.acts.len(), intent.parts.len()].iter().any(|count| *count > MAX_TARGETS) {
        return Err(problem(ErrorCode::Malformed, format!("writes, acts, parts: more than {MAX_TARGETS}")));
    }
    // A disk that does not answer tells nothing but what is remembered.
    if let Some(said) = state.stalled() {
        let remembered = off_loop(move || fence::judge_from_memory(&state, &question)).await?;
        return remembered.ok_or_else(|| problem(ErrorCode::StoreUnavailable, said));
    }
    let unsettled = state.unsettled();
    let is_waited_for = fence::current_mode(&state) == Mode::Enforce;
    let given: Arc<OnceLock<FenceAnswer>> = Arc::default();
    let (answered, mut answer) = oneshot::channel();
    let (noted, is_noted) = oneshot::channel();
    let judge = {
        let (state, question, given) = (Arc::clone(&state), question.clone(), Arc::clone(&given));
        move || {
            let _unsettled = unsettled;
            let judged = fence::judge(&state, question);
            let told = given.get_or_init(|| judged.answer.clone()).clone();
            let verdict = told.verdict;
            let _ = answered.send(told);
            if verdict < FenceVerdict::Deny {
                fence::note(&state, &judged);
            }
            let _ = noted.send(());
            fence::record(&state, judged, verdict);
        }
    };
    tokio::task::spawn_blocking(judge);
    if !is_waited_for {
        return Ok(FenceAnswer { verdict: FenceVerdict::Allow, text: String::new() });
    }
    let late = || problem(ErrorCode::Failed, "the work was cut short");
    let told = if let Ok(told) = timeout(env::patiently(REMEMBERED_AFTER), &mut answer).await {
        told.map_err(|_| late())?
    } else {
        let remembered = off_loop(move || fence::judge_from_memory(&state, &question)).await?;
        match remembered {
            Some(remembered) => given.get_or_init(|| remembered).clone(),
            None => answer.await.map_err(|_| late())?,
        }
    };
    if told.verdict < FenceVerdict::Deny {
        // Whoever asks next finds it; but nobody waits for a database that others keep busy.
        let _ = timeout(env::patiently(NOTED_WITHIN), is_noted).await;
    }
    Ok(told)
}

async fn status(state: Arc<State>, _: Peer, _: GetFence) -> Result<FenceStatus, Response> {
    off_loop(move || fence::status(&state)).await
}

async fn set_mode(state: Arc<State>, peer: Peer, wanted: SetFence) -> Result<FenceState, Response> {
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.fence_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate fence status")?;
        let (mode, prior) = (wanted.mode, fence::current_mode(&state));
        // It may have been tightened since the asker was looked at: under the lock that cannot happen any more.
        if wanted.loosens(prior) {
            operator::check(&state, &peer, &operator::may_ask(&state, &wanted, &|| false)).map_err(super::refused)?;
        }
        fence_mode::write(&state.home, mode).map_err(not_written(&file))?;
        operator::done(&state, &peer, &wanted.action(), prior.name());
        state.fence.changed();
        Ok(FenceState { mode, prior, changed: mode != prior })
    };
    off_loop(flip).await?
}

async fn report(state: Arc<State>, _: Peer, wanted: ReadFenceReport) -> Result<FenceReport, Response> {
    // Whoever has just seen a call answered expects it to be counted.
    log_settles(&state).await;
    off_loop(move || state.storage.with_reader(|store| store.fence_report(wanted.since_ms))).await?.map_err(unavailable)
}

async fn explain(state: Arc<State>, _: Peer, wanted: ExplainFence) -> Result<FenceExplanation, Response> {
    log_settles(&state).await;
    let read = move || {
        let found = state.storage.with_reader(|store| store.fence_explanation(&wanted.id)).map_err(unavailable)?;
        let mut found = found.ok_or_else(|| nothing(&wanted.id))?;
        found.text = tell(&found.replayed, &found.facts.acts, found.facts.at_ms, &evaluate::program(&state.home), 0);
        Ok(found)
    };
    off_loop(read).await?
}

async fn grade(state: Arc<State>, peer: Peer, wanted: GradeFence) -> Result<FenceGraded, Response> {
    log_settles(&state).await;
    let write = move || {
        let graded =
            state.storage.with_store(|store| store.grade_fence(&wanted.id, wanted.right)).map_err(unavailable)?;
        let event_id = graded.ok_or_else(|| nothing(&wanted.id))?;
        operator::done(&state, &peer, GradeFence::ACTION, &event_id);
        Ok(FenceGraded { event_id, right: wanted.right })
    };
    off_loop(write).await?
}

fn nothing(id: &str) -> Response {
    let said = stopgate_core::text::one_line(id, 64);
    problem(ErrorCode::NotFound, format!("{said}: no denial of the fence has such an id, or more than one"))
}
