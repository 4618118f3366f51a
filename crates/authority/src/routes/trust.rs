//! What people say about verdicts, and what that adds up to.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stopgate_core::clock::monotonic_ms;
use stopgate_core::event_id::is_event_id;
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_protocol::{Graded, SetGrade};
use stopgate_store::{Grading, NewGrade, Store};

use super::views::log_settles;
use super::{body, off_loop, problem};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// Longest reason and name that are kept, in characters.
const MAX_WHY: usize = 500;
const MAX_OPERATOR: usize = 64;
/// How long a report waits for a store that is being opened or recovered by somebody else.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn annotate(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    bytes: Bytes,
) -> Response {
    let wanted: SetGrade = match body(&bytes) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    if !is_event_id(&wanted.event_id) {
        return problem(StatusCode::BAD_REQUEST, "eventId: not a UUID");
    }
    off_loop(move || grade(&state, peer, &wanted)).await.unwrap_or_else(|problem| problem)
}

fn grade(state: &State, peer: Peer, wanted: &SetGrade) -> Response {
    let late = wanted.condition.until_monotonic_ms.is_some_and(|until| monotonic_ms() >= until);
    if late || peer.is_gone() {
        return problem(StatusCode::CONFLICT, "not done: whoever asked waits no more");
    }
    if let Err(refusal) = operator::check(state, peer.clone(), "gate grade") {
        return problem(StatusCode::FORBIDDEN, refusal);
    }
    let (why, operator) = (one_line(&redact(&wanted.why), MAX_WHY), one_line(&wanted.operator, MAX_OPERATOR));
    let new = NewGrade {
        event_id: &wanted.event_id,
        grade: wanted.verdict,
        why: &why,
        operator: if operator.is_empty() { "unknown" } else { &operator },
        at_ms: state.storage.now_ms(),
    };
    match state.storage.with_store(|store| store.grade(new)) {
        Ok(Grading::Written { prior }) => {
            operator::done(state, peer, "gate grade", &format!("{} {}", wanted.event_id, wanted.verdict));
            Json(Graded { event_id: wanted.event_id.clone(), verdict: wanted.verdict, prior }).into_response()
        }
        Ok(Grading::NoSuchEvent) => problem(StatusCode::NOT_FOUND, "eventId: no such stop in the log"),
        Ok(Grading::NoVerdict) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "eventId: this stop has no verdict to grade")
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// `?sinceMs=` of the report; without it, everything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportQuery {
    #[serde(default)]
    since_ms: i64,
}

pub(super) async fn report(Shared(state): Shared<Arc<State>>, Query(query): Query<ReportQuery>) -> Response {
    log_settles(&state).await;
    let read = move || {
        let until = state.storage.now_ms();
        // By a connection of its own: stops are not to wait for a hundred thousand rows.
        Store::open_to_read(&state.home, REPORT_PATIENCE).and_then(|store| store.report(query.since_ms.max(0), until))
    };
    match off_loop(read).await {
        Ok(Ok(report)) => Json(report).into_response(),
        Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(problem) => problem,
    }
}
