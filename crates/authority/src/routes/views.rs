//! What people and programs may look at.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stopgate_core::env;
use stopgate_core::protocol::PROTOCOL_VERSION;
use stopgate_protocol::{Decided, GateLog, Health, HealthStatus, LogFilter};
use stopgate_store::StoreError;

use super::{off_loop, problem};
use crate::state::State;
use crate::{descriptors, version};

/// Rows of the log that are given when nobody says how many, and at most.
const DEFAULT_TAIL: u32 = 100;
const MAX_TAIL: u32 = 1_000;
/// How long the log waits for stops that are being judged.
const LOG_PATIENCE: Duration = Duration::from_millis(100);
/// Sessions that are given at most.
const MAX_SESSIONS: u32 = 1_000;

pub(super) async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let look = move || {
        let problems = [state.storage.problem(), descriptors::problem()];
        let problem = problems.into_iter().flatten().reduce(|all, next| format!("{all}; {next}"));
        Health {
            status: if problem.is_none() { HealthStatus::Ok } else { HealthStatus::Degraded },
            version: version::own(),
            protocol: PROTOCOL_VERSION,
            pid: std::process::id(),
            started_at_ms: state.started_at_ms,
            problem,
            config_problem: state.settings.problem(),
        }
    };
    off_loop(look).await.map_or_else(|problem| problem, |health| Json(health).into_response())
}

/// Query of the log; a `tail` of garbage counts as not given. A filter of garbage is refused: the whole log is not
/// what was asked for.
#[derive(Deserialize)]
pub(super) struct LogQuery {
    tail: Option<String>,
    session: Option<String>,
    decision: Option<Decided>,
    event: Option<String>,
    #[serde(default)]
    ungraded: bool,
}

/// Waits until what was answered is in the log, but not long.
pub(super) async fn log_settles(state: &State) {
    state.settled(env::patiently(LOG_PATIENCE)).await;
}

pub(super) async fn log(Shared(state): Shared<Arc<State>>, Query(query): Query<LogQuery>) -> Response {
    let tail = query.tail.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_TAIL).clamp(1, MAX_TAIL);
    // Whoever has just seen a stop answered expects it in the log.
    log_settles(&state).await;
    let LogQuery { session, decision, event, ungraded, .. } = query;
    let filter = LogFilter { session, decision, event, ungraded };
    let read = move || {
        state.storage.with_store(|store| {
            let events = store.gate_log_of(tail, &filter)?;
            Ok(GateLog { grades: store.grades_of(&events)?, events })
        })
    };
    match off_loop(read).await {
        Ok(Ok(log)) => Json(log).into_response(),
        Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(problem) => problem,
    }
}

/// `?all=1` gives sessions that are over, too; `?id=` only those whose id begins so.
#[derive(Deserialize)]
pub(super) struct SessionsQuery {
    #[serde(default)]
    all: String,
    id: Option<String>,
}

pub(super) async fn sessions(Shared(state): Shared<Arc<State>>, Query(query): Query<SessionsQuery>) -> Response {
    let read = move || {
        let mut rows = state.storage.with_store(|store| match &query.id {
            Some(id) => store.sessions_named(id, MAX_SESSIONS),
            None if matches!(query.all.as_str(), "" | "0") => store.sessions_not_ended(MAX_SESSIONS),
            None => store.sessions(MAX_SESSIONS),
        })?;
        stopgate_registry::look(&mut rows, state.storage.now_ms());
        Ok::<_, StoreError>(rows)
    };
    match off_loop(read).await {
        Ok(Ok(sessions)) => Json(sessions).into_response(),
        Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        Err(problem) => problem,
    }
}
