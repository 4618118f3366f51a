//! Rooms, and what the sessions in them are called.

use std::sync::Arc;

use axum::response::Response;
use stopgate_coordination::name;
use stopgate_core::session::SessionKey;
use stopgate_protocol::{ErrorCode, RenameSession, SessionRenamed};
use stopgate_store::Renamed;

use super::{Routes, off_loop, problem, unavailable};
use crate::operator;
use crate::peer::Peer;
use crate::state::State;

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(rename)
}

async fn rename(state: Arc<State>, peer: Peer, wanted: RenameSession) -> Result<SessionRenamed, Response> {
    let Some(key) = SessionKey::new(wanted.harness, &wanted.session_id) else {
        return Err(problem(ErrorCode::Malformed, "session_id: must be 1 to 128 printable ASCII characters"));
    };
    name::check(&wanted.name).map_err(|why| problem(ErrorCode::Malformed, format!("name: {why}")))?;
    let rename = move || {
        let now_ms = state.storage.now_ms();
        let renamed =
            state.storage.with_store(|store| store.rename(&key, &wanted.name, now_ms)).map_err(unavailable)?;
        match renamed {
            Renamed::Done { was } => {
                operator::done(&state, &peer, &wanted.action(), &wanted.name);
                Ok(SessionRenamed { name: wanted.name, was })
            }
            Renamed::Taken(by) => {
                Err(problem(ErrorCode::Conflict, format!("{} is the name of {by}, which lives", wanted.name)))
            }
            Renamed::Unknown => Err(problem(ErrorCode::NotFound, format!("no session {key}"))),
        }
    };
    off_loop(rename).await?
}
