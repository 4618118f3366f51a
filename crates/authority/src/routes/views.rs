//! What people and programs may look at.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use stopgate_coordination::lease::LeaseOrigin;
use stopgate_core::env;
use stopgate_core::protocol::PROTOCOL_VERSION;
use stopgate_core::session::{Harness, LIVE_CHECK_PREFIX, SessionKey};
use stopgate_core::switch::Mode;
use stopgate_protocol::{
    CheckoutTrouble, GateLog, GetHealth, Health, HealthStatus, ListSessions, LogFilter, SessionRow,
};
use stopgate_store::Store;

use tokio::time::timeout;

use super::{Routes, off_loop, unavailable};
use crate::peer::Peer;
use crate::state::State;
use crate::{descriptors, fence, version};

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(health).serve(log).serve(sessions)
}

/// How long the authority's look at itself may take: well below what a person waits for the answer.
const HEALTH_PATIENCE: Duration = Duration::from_secs(3);
/// How long the log waits for stops that are being judged.
const LOG_PATIENCE: Duration = Duration::from_millis(100);
/// Sessions that are given at most.
const MAX_SESSIONS: u32 = 1_000;

async fn health(state: Arc<State>, _: Peer, _: GetHealth) -> Result<Health, Response> {
    let look = {
        let state = Arc::clone(&state);
        off_loop(move || health_of(&state))
    };
    let Ok((unjudged, health)) = timeout(HEALTH_PATIENCE, async { tokio::join!(judges(&state), look) }).await else {
        return Ok(bare_health(&state, state.stalled().or_else(|| Some(unanswered(HEALTH_PATIENCE)))));
    };
    let mut health = health?;
    // What keeps stops from being judged is the store's trouble said better.
    if let Some(unjudged) = unjudged {
        health.status = HealthStatus::Degraded;
        health.problem = Some(unjudged);
    }
    Ok(health)
}

/// Goes the way that every stop goes to its verdict: the turn, and the store's word on a session. What is in its way, if
/// something is; never ends where the disk does not answer.
async fn judges(state: &Arc<State>) -> Option<String> {
    let turn = state.turn_in(None).await;
    let state = Arc::clone(state);
    let asked = off_loop(move || {
        let _turn = turn;
        SessionKey::new(Harness::Claude, "health").map(|key| state.standing(&key, Mode::Shadow));
        state.stalled()
    });
    asked.await.unwrap_or_else(|_| Some(unanswered(Duration::ZERO)))
}

fn unanswered(patience: Duration) -> String {
    let seconds = patience.as_secs();
    format!("no stop can be judged: what all need for it (disk, store) has not answered for {seconds} s")
}

/// How the authority is, but for what takes a look at files.
fn bare_health(state: &State, problem: Option<String>) -> Health {
    Health {
        status: if problem.is_none() { HealthStatus::Ok } else { HealthStatus::Degraded },
        version: version::own(),
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        started_at_ms: state.started_at_ms,
        problem,
        config_problem: None,
        git_troubles: Vec::new(),
    }
}

fn health_of(state: &State) -> Health {
    let problems = [state.storage.problem(), descriptors::problem()];
    let problem = problems.into_iter().flatten().reduce(|all, next| format!("{all}; {next}"));
    Health {
        config_problem: state.settings.problem(),
        git_troubles: state
            .memo
            .troubles()
            .into_iter()
            .map(|(checkout, at_ms, trouble)| CheckoutTrouble { checkout, at_ms, trouble })
            .collect(),
        ..bare_health(state, problem)
    }
}

/// Waits until what was answered is in the log, but not long.
pub(super) async fn log_settles(state: &State) {
    state.settled(env::patiently(LOG_PATIENCE)).await;
}

async fn log(state: Arc<State>, _: Peer, filter: LogFilter) -> Result<GateLog, Response> {
    // Whoever has just seen a stop answered expects it in the log.
    log_settles(&state).await;
    let read = move || {
        state.storage.with_store(|store| {
            let events = store.gate_log_of(&filter)?;
            Ok(GateLog { grades: store.grades_of(&events)?, events })
        })
    };
    off_loop(read).await?.map_err(unavailable)
}

/// Whether a session should have a name, and has none.
fn wants_name(row: &SessionRow) -> bool {
    row.name.is_none() && row.ended_at_ms.is_none() && !row.session_id.starts_with(LIVE_CHECK_PREFIX)
}

async fn sessions(state: Arc<State>, _: Peer, wanted: ListSessions) -> Result<Vec<SessionRow>, Response> {
    let read = move || {
        let mut rows = state.storage.with_store(|store| {
            let read = |store: &mut Store| match &wanted.id {
                Some(id) => store.sessions_named(id, MAX_SESSIONS),
                None if wanted.all => store.sessions(MAX_SESSIONS),
                None => store.sessions_not_ended(MAX_SESSIONS),
            };
            let rows = read(store)?;
            // Sessions of an older version have none. Where none can be given they are shown all the same.
            let named = rows.iter().any(wants_name) && store.name_unnamed(state.storage.now_ms()).is_ok();
            if named { read(store) } else { Ok(rows) }
        })?;
        stopgate_registry::look(&mut rows, &state.home, state.storage.now_ms());
        let held: Vec<_> = state.leases.all().into_values().flat_map(|room| room.leases).collect();
        for lease in held.iter().filter(|lease| lease.origin == LeaseOrigin::Declared) {
            if let Some(row) = rows.iter_mut().find(|row| row.key() == lease.holder) {
                row.leases.push(lease.resource.as_str().to_owned());
            }
        }
        fence::look(&state, &held, &mut rows);
        Ok(rows)
    };
    off_loop(read).await?.map_err(unavailable)
}
