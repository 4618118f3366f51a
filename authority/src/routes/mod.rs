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
use stopgate_core::protocol::{self, PROTOCOL_VERSION, Problem};

use crate::state::State;

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route(protocol::ROUTE_HEALTH, get(views::health))
        .route(protocol::ROUTE_EVENTS, post(events::take))
        .route(protocol::ROUTE_HOT_PATH, get(gate::hot_path))
        .route(protocol::ROUTE_EVALUATE, post(gate::evaluate))
        .route(protocol::ROUTE_MODE, get(control::mode).post(control::set_mode))
        .route(protocol::ROUTE_KILL, get(control::kill_switch).post(control::set_kill_switch))
        .route(protocol::ROUTE_EXPLAIN, get(gate::explain))
        .route(protocol::ROUTE_CONTEST, post(gate::contest))
        .route(protocol::ROUTE_BREAKER, get(breaker::show))
        .route(protocol::ROUTE_BREAKER_RESET, post(breaker::reset))
        .route(protocol::ROUTE_LOG, get(views::log))
        .route(protocol::ROUTE_ANNOTATIONS, post(trust::annotate))
        .route(protocol::ROUTE_REPORT, get(trust::report))
        .route(protocol::ROUTE_SESSIONS, get(views::sessions))
        .route(protocol::ROUTE_SESSION_END, post(reaper::end))
        .route(protocol::ROUTE_REAPER, get(reaper::status).post(reaper::set))
        .route(protocol::ROUTE_REAPER_AUDIT, get(reaper::audit))
        .route(protocol::ROUTE_REAPER_EXPLAIN, get(reaper::explain))
        .route(protocol::ROUTE_SHUTDOWN, post(control::shutdown))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such route"))
        .layer(middleware::from_fn(check_protocol))
        .layer(DefaultBodyLimit::max(protocol::MAX_REQUEST_BYTES))
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
