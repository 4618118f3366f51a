//! The reaper's routes, and the end of a session by the operator.

use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_protocol::{EndSession, SessionEnded, SetReaper};
use stopgate_reaper::report::{ReaperAudit, ReaperStatus};
use stopgate_reaper::switch::{self, ReaperSwitch};
use stopgate_store::StoreError;

use super::control::{answer, not_written, still_counts};
use super::{body, off_loop, problem};
use crate::peer::Peer;
use crate::reaper::terminate::{self, By, Ended, Ending};
use crate::state::State;
use crate::{operator, reaper};

/// Rows of the audit that are given when nobody says how many, and at most.
const DEFAULT_ROWS: u32 = 200;
const MAX_ROWS: u32 = 1_000;

fn unavailable(error: StoreError) -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

pub(super) async fn status(Shared(state): Shared<Arc<State>>) -> Response {
    answer(off_loop(move || reaper::status(&state.reaper).map_err(unavailable)).await)
}

pub(super) async fn set(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let SetReaper { switch, condition } = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let flip = move || -> Result<ReaperStatus, Response> {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.reaper_file();
        // As it is typed.
        let action = match switch {
            ReaperSwitch::Off => "reaper disable",
            ReaperSwitch::DryRun => "reaper enable",
            ReaperSwitch::Live => "reaper enable --live",
        };
        still_counts(&peer, &condition, &file, "stopgate reaper status")?;
        // Anybody may turn it off: that ends nobody.
        if switch != ReaperSwitch::Off {
            operator::check(&state, peer.clone(), action).map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
        }
        switch::write(&state.home, switch).map_err(not_written(&file))?;
        if switch == ReaperSwitch::Live {
            state.storage.with_store(|store| store.set_reaper_trip(None)).map_err(unavailable)?;
        }
        operator::done(&state, peer, action, "");
        state.reaper.woken.notify_one();
        reaper::status(&state.reaper).map_err(unavailable)
    };
    answer(off_loop(flip).await)
}

/// `?limit=` of the audit; garbage counts as not given.
#[derive(Deserialize)]
pub(super) struct AuditQuery {
    limit: Option<String>,
}

pub(super) async fn audit(Shared(state): Shared<Arc<State>>, Query(query): Query<AuditQuery>) -> Response {
    let limit = query.limit.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
    let read = move || state.storage.with_store(|store| store.reaper_audit(limit)).map(|rows| ReaperAudit { rows });
    answer(off_loop(move || read().map_err(unavailable)).await)
}

/// `?harness=&session=`.
#[derive(Deserialize)]
pub(super) struct ExplainQuery {
    harness: Harness,
    session: String,
}

pub(super) async fn explain(Shared(state): Shared<Arc<State>>, Query(query): Query<ExplainQuery>) -> Response {
    let Some(key) = SessionKey::new(query.harness, &query.session) else {
        return problem(StatusCode::BAD_REQUEST, "session: must be 1 to 128 printable ASCII characters");
    };
    let look = move || match reaper::explain(&state.reaper, &key) {
        Ok(Some(explanation)) => Ok(explanation),
        Ok(None) => Err(problem(StatusCode::NOT_FOUND, format!("{key} does not run: there is nothing to explain"))),
        Err(error) => Err(unavailable(error)),
    };
    answer(off_loop(look).await)
}

pub(super) async fn end(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let EndSession { harness, session_id } = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let Some(key) = SessionKey::new(harness, &session_id) else {
        return problem(StatusCode::BAD_REQUEST, "session_id: must be 1 to 128 printable ASCII characters");
    };
    let end = move || -> Result<SessionEnded, Response> {
        let action = format!("end {key}");
        operator::check(&state, peer.clone(), &action).map_err(|refusal| problem(StatusCode::FORBIDDEN, refusal))?;
        let mut rows =
            state.storage.with_store(|store| store.sessions_named(&key.session_id, 10)).map_err(unavailable)?;
        stopgate_registry::look(&mut rows, state.storage.now_ms());
        let Some(row) = rows.into_iter().find(|row| row.key() == key) else {
            return Err(problem(StatusCode::NOT_FOUND, format!("no session {key}")));
        };
        let ending = Ending { row: &row, by: By::Operator, detail: serde_json::Value::Null, tier: None };
        match terminate::end(&state.reaper, &ending, &state.reaper.config()) {
            Ended::Done(done) => {
                operator::done(&state, peer, &action, &row.resume_command);
                let how = if done.killed { "killed" } else { "terminated" }.to_owned();
                Ok(SessionEnded { how, pane_closed: done.pane_closed, resume_command: row.resume_command })
            }
            Ended::Refused(why) => {
                Err(problem(StatusCode::CONFLICT, format!("{key} is not ended: {}", why.explained())))
            }
            Ended::Failed(why) => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, format!("{key}: {why}"))),
        }
    };
    answer(off_loop(end).await)
}
