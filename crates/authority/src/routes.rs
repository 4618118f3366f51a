//! The authority's routes, one module a subject.

mod breaker;
mod control;
mod events;
mod gate;
mod reaper;
mod trust;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, body::Bytes};
use serde::de::DeserializeOwned;
use stopgate_core::protocol::{MAX_REQUEST_BYTES, PROTOCOL_VERSION, ROUTE_EVALUATE, ROUTE_EVENTS};
use stopgate_protocol::{
    Problem, ROUTE_ANNOTATIONS, ROUTE_BREAKER, ROUTE_BREAKER_RESET, ROUTE_CONTEST, ROUTE_EXPLAIN, ROUTE_HEALTH,
    ROUTE_KILL, ROUTE_LOG, ROUTE_MODE, ROUTE_REAPER, ROUTE_REAPER_AUDIT, ROUTE_REAPER_EXPLAIN, ROUTE_REPORT,
    ROUTE_SESSION_END, ROUTE_SESSIONS, ROUTE_SHUTDOWN,
};

use crate::state::State;

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route(ROUTE_HEALTH, get(views::health))
        .route(ROUTE_EVENTS, post(events::take))
        .route(ROUTE_EVALUATE, post(gate::evaluate))
        .route(ROUTE_MODE, post(control::set_mode))
        .route(ROUTE_KILL, post(control::set_kill_switch))
        .route(ROUTE_EXPLAIN, get(gate::explain))
        .route(ROUTE_CONTEST, post(gate::contest))
        .route(ROUTE_BREAKER, get(breaker::show))
        .route(ROUTE_BREAKER_RESET, post(breaker::reset))
        .route(ROUTE_LOG, get(views::log))
        .route(ROUTE_ANNOTATIONS, post(trust::annotate))
        .route(ROUTE_REPORT, get(trust::report))
        .route(ROUTE_SESSIONS, get(views::sessions))
        .route(ROUTE_SESSION_END, post(reaper::end))
        .route(ROUTE_REAPER, get(reaper::status).post(reaper::set))
        .route(ROUTE_REAPER_AUDIT, get(reaper::audit))
        .route(ROUTE_REAPER_EXPLAIN, get(reaper::explain))
        .route(ROUTE_SHUTDOWN, post(control::shutdown))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such route"))
        .layer(middleware::from_fn(check_protocol))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(state)
}

/// Refuses requests of another protocol version. A request that names none (a person with `curl`) is served.
async fn check_protocol(headers: HeaderMap, request: Request, next: Next) -> Response {
    let spoken = headers.get("x-stopgate-protocol").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    match spoken {
        Some(version) if version != Some(PROTOCOL_VERSION) => problem(
            StatusCode::UPGRADE_REQUIRED,
            format!(
                "this authority speaks protocol {PROTOCOL_VERSION}: run `stopgate authority start` from the newer installation"
            ),
        ),
        _ => next.run(request).await,
    }
}

/// An error answer.
fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Problem { error: error.into() })).into_response()
}

/// Reads a JSON body; the error names line, column and field but quotes nothing.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Response> {
    serde_json::from_slice(bytes).map_err(|error| problem(StatusCode::BAD_REQUEST, format!("body: {error}")))
}

/// Runs blocking work off the event loop.
async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the work was cut short"))
}
