//! The authority's routes: `stopgate_protocol::endpoints` says what there is, the modules here do it, one a subject.

mod breaker;
mod control;
mod events;
mod fence;
mod gate;
mod leases;
mod operators;
mod reaper;
mod rooms;
mod trust;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, http::header::CONTENT_TYPE};
use serde::Serialize;
use stopgate_core::protocol::{MAX_REQUEST_BYTES, PROTOCOL_VERSION};
use stopgate_protocol::endpoint::{self, Endpoint, Method};
use stopgate_protocol::{ErrorCode, Failure, Problem};
use stopgate_store::StoreError;

use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// What each subject serves.
const SUBJECTS: [fn(Routes) -> Routes; 11] = [
    views::routes,
    events::routes,
    fence::routes,
    gate::routes,
    trust::routes,
    control::routes,
    breaker::routes,
    reaper::routes,
    rooms::routes,
    operators::routes,
    leases::routes,
];

/// All routes.
pub(crate) fn router(state: Arc<State>) -> Router {
    let Routes(routes) = SUBJECTS.iter().fold(Routes(Router::new()), |routes, serve| serve(routes));
    routes
        .fallback(async || problem(ErrorCode::NoSuchRoute, "no such route"))
        .method_not_allowed_fallback(async || problem(ErrorCode::WrongMethod, "this route has other methods"))
        .layer(middleware::from_fn(check_protocol))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(state)
}

/// Routes, each with what serves it.
struct Routes(Router<Arc<State>>);

impl Routes {
    /// Has `handler` serve what it takes. It is called with what is asked of whom by whom, once it is clear that they
    /// may ask it.
    fn serve<E, F>(self, handler: impl Fn(Arc<State>, Peer, E) -> F + Clone + Send + Sync + 'static) -> Self
    where
        E: Endpoint,
        F: Future<Output = Result<E::Response, Response>> + Send + 'static,
    {
        let serve = move |Shared(state): Shared<Arc<State>>,
                          ConnectInfo(peer): ConnectInfo<Peer>,
                          uri: Uri,
                          body: Result<Bytes, BytesRejection>| {
            let handler = handler.clone();
            async move {
                let asked = match ask::<E>(&state, &peer, &uri, body).await {
                    Ok(request) => handler(state, peer, request).await,
                    Err(problem) => Err(problem),
                };
                asked.map_or_else(|problem| problem, |response| answer(&response))
            }
        };
        let method = match E::METHOD {
            Method::Get => get(serve),
            Method::Post => post(serve),
        };
        Self(self.0.route(E::PATH, method))
    }
}

/// What is asked, if whoever asks may. This is the one place where callers are told apart.
async fn ask<E: Endpoint>(
    state: &Arc<State>,
    peer: &Peer,
    uri: &Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<E, Response> {
    let body = body.map_err(|refused| {
        let is_too_large = refused.status() == StatusCode::PAYLOAD_TOO_LARGE;
        problem(if is_too_large { ErrorCode::TooLarge } else { ErrorCode::Malformed }, refused.body_text())
    })?;
    let request: E = endpoint::request(uri.query().unwrap_or_default(), &body)
        .map_err(|error| problem(ErrorCode::Malformed, error))?;
    // Hooks ask at every turn, and what everybody may ask costs no look.
    if operator::may_ask(state, &request, &|| false).action().is_none() {
        return Ok(request);
    }
    let (state, peer) = (Arc::clone(state), peer.clone());
    let allowed = off_loop(move || {
        let may = operator::may_ask(&state, &request, &|| operator::is_deployed(&state, &peer));
        operator::check(&state, &peer, &may).map(|()| request)
    });
    allowed.await?.map_err(refused)
}

/// A response as HTTP has it; one that says nothing is "accepted" without a body.
fn answer(response: &impl Serialize) -> Response {
    match serde_json::to_vec(response) {
        Ok(json) if json == b"null" => StatusCode::ACCEPTED.into_response(),
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => problem(ErrorCode::Failed, format!("the answer cannot be written: {error}")),
    }
}

/// Refuses requests of another protocol version. A request that names none (a person with `curl`) is served.
async fn check_protocol(headers: HeaderMap, request: Request, next: Next) -> Response {
    let spoken = headers.get("x-stopgate-protocol").map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
    match spoken {
        Some(version) if version != Some(PROTOCOL_VERSION) => {
            problem(ErrorCode::OtherVersion, format!("this authority speaks protocol {PROTOCOL_VERSION}"))
        }
        _ => next.run(request).await,
    }
}

/// An error answer.
fn problem(code: ErrorCode, message: impl Into<String>) -> Response {
    refused(Failure::new(code, message))
}

fn refused(error: Failure) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(Problem { error })).into_response()
}

/// The answer where the store cannot be used.
fn unavailable(error: StoreError) -> Response {
    problem(ErrorCode::StoreUnavailable, error.to_string())
}

/// Runs blocking work off the event loop.
async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|_| problem(ErrorCode::Failed, "the work was cut short"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stopgate_core::paths::Home;
    use stopgate_protocol::endpoints;

    use crate::rehearsal::Rehearsal;

    #[test]
    fn every_route_of_the_table_is_served_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Rehearsal::at(&Home::at(dir.path().join("home"))).unwrap();
        let ask = |method: &str, path: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let (quiet, patience) = (Duration::from_secs(2), Duration::from_secs(20));
            let answer = authority.answer(request.as_bytes(), quiet, patience).unwrap();
            String::from_utf8(answer).unwrap()
        };
        for route in endpoints::ALL {
            let answer = ask(route.method.name(), route.path);
            assert!(!answer.contains("no such route") && !answer.starts_with("HTTP/1.1 405 "), "{route:?}: {answer}");
        }
        assert!(ask("GET", "/nothing").contains("no such route"));
        assert!(ask("PUT", "/health").starts_with("HTTP/1.1 405 "));
    }
}
