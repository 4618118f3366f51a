//! The reaper's routes, and the end of a session by the operator.

use std::sync::{Arc, PoisonError};

use axum::response::Response;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{EndSession, ErrorCode, ExplainReaper, GetReaper, ReadReaperAudit, SessionEnded, SetReaper};
use stopgate_reaper::report::{ReaperAudit, ReaperExplanation, ReaperStatus};
use stopgate_reaper::switch::{self, ReaperSwitch};

use super::control::{not_written, still_counts};
use super::{Routes, off_loop, problem, unavailable};
use crate::peer::Peer;
use crate::reaper::terminate::{self, By, EndedSession, SessionEnding};
use crate::state::State;
use crate::{operator, reaper};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(status).serve(set).serve(audit).serve(explain).serve(end)
}

async fn status(state: Arc<State>, _: Peer, _: GetReaper) -> Result<ReaperStatus, Response> {
    off_loop(move || reaper::status(&state.reaper).map_err(unavailable)).await?
}

async fn set(state: Arc<State>, peer: Peer, wanted: SetReaper) -> Result<ReaperStatus, Response> {
    let flip = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.reaper_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate reaper status")?;
        switch::write(&state.home, wanted.switch).map_err(not_written(&file))?;
        if wanted.switch == ReaperSwitch::Live {
            state.storage.with_store(|store| store.set_reaper_trip(None)).map_err(unavailable)?;
        }
        operator::done(&state, &peer, wanted.action(), "");
        state.reaper.woken.notify_one();
        reaper::status(&state.reaper).map_err(unavailable)
    };
    off_loop(flip).await?
}

async fn audit(state: Arc<State>, _: Peer, wanted: ReadReaperAudit) -> Result<ReaperAudit, Response> {
    let read = move || state.storage.with_store(|store| store.reaper_audit(wanted.rows()));
    let rows = off_loop(read).await?.map_err(unavailable)?;
    Ok(ReaperAudit { rows })
}

async fn explain(state: Arc<State>, _: Peer, wanted: ExplainReaper) -> Result<ReaperExplanation, Response> {
    let Some(key) = SessionKey::new(wanted.harness, &wanted.session) else {
        return Err(problem(ErrorCode::Malformed, "session: must be 1 to 128 printable ASCII characters"));
    };
    let look = move || match reaper::explain(&state.reaper, &key) {
        Ok(Some(explanation)) => Ok(explanation),
        Ok(None) => Err(problem(ErrorCode::NotFound, format!("{key} does not run: there is nothing to explain"))),
        Err(error) => Err(unavailable(error)),
    };
    off_loop(look).await?
}

async fn end(state: Arc<State>, peer: Peer, wanted: EndSession) -> Result<SessionEnded, Response> {
    let Some(key) = SessionKey::new(wanted.harness, &wanted.session_id) else {
        return Err(problem(ErrorCode::Malformed, "session_id: must be 1 to 128 printable ASCII characters"));
    };
    let end = move || {
        let mut rows =
            state.storage.with_store(|store| store.sessions_named(&key.session_id, 10)).map_err(unavailable)?;
        stopgate_registry::look(&mut rows, &state.home, state.storage.now_ms());
        let Some(row) = rows.into_iter().find(|row| row.key() == key) else {
            return Err(problem(ErrorCode::NotFound, format!("no session {key}")));
        };
        let ending = SessionEnding { row: &row, by: By::Operator, detail: serde_json::Value::Null, tier: None };
        match terminate::end(&state.reaper, &ending, &state.reaper.config()) {
            EndedSession::Done(done) => {
                operator::done(&state, &peer, &wanted.action(), &row.resume_command);
                let how = if done.killed { "killed" } else { "terminated" }.to_owned();
                Ok(SessionEnded { how, pane_closed: done.pane_closed, resume_command: row.resume_command })
            }
            EndedSession::Refused(why) => {
                Err(problem(ErrorCode::Conflict, format!("{key} is not ended: {}", why.explained())))
            }
            EndedSession::Failed(why) => Err(problem(ErrorCode::Failed, format!("{key}: {why}"))),
        }
    };
    off_loop(end).await?
}
