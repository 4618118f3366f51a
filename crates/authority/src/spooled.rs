//! Drains what hooks could not deliver.

use std::sync::Arc;
use std::time::Duration;

use stopgate_core::harness::Event;
use stopgate_core::protocol::{EvaluateRequest, HookEvent};
use stopgate_core::session::SessionKey;
use stopgate_core::spool::{self, SpoolRoute, Spooled};
use stopgate_store::{Aside, StoreError, blank_row};

use crate::operator;
use crate::process_files;
use crate::state::State;

/// How often the spool is looked at.
const INTERVAL: Duration = Duration::from_secs(30);
/// How many requests are taken at a time.
const BATCH: usize = 500;
/// `fail_open` of a stop that was let go because the authority could not be asked.
const UNDELIVERED: &str = "undelivered";

/// Looks at the spool now and then, for as long as the authority lives.
pub(crate) async fn keep_draining(state: Arc<State>) {
    let home = state.home.clone();
    let _ = tokio::task::spawn_blocking(move || spool::readmit(&home)).await;
    loop {
        let drained = {
            let state = Arc::clone(&state);
            let work = move || {
                process_files::prune(&state.home);
                state.journal.try_again(&state.storage);
                drain(&state)
            };
            tokio::task::spawn_blocking(work).await.unwrap_or(0)
        };
        if drained > 0 {
            tracing::info!(drained, "took in what hooks could not deliver");
        }
        if drained < BATCH {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Takes in a batch; a file goes only after its content is stored. Returns how many were stored.
fn drain(state: &State) -> usize {
    let Ok(batch) = spool::list(&state.home, BATCH) else {
        return 0;
    };
    batch.iter().filter(|spooled| take(state, spooled)).count()
}

fn take(state: &State, spooled: &Spooled) -> bool {
    // What an older hook has taken for a session's id may be none.
    let named = |event: &Event| {
        let key = SessionKey::new(event.key.harness, &event.key.session_id);
        key.map(drop).ok_or_else(|| serde::de::Error::custom("no session id"))
    };
    let stored = match spooled.route {
        SpoolRoute::HookEvent => serde_json::from_slice::<HookEvent>(&spooled.body)
            .and_then(|reported| named(&reported.event).map(|()| reported))
            .map(|reported| HookEvent { origin: operator::unless_a_persons(reported.origin), ..reported })
            .map(|event| {
                let stored = state.storage.with_store(|store| store.record_event(&event).map(|_| ()));
                state.leases.heard(&event.event, event.origin.search_path.as_deref());
                stored
            }),
        SpoolRoute::Evaluate => serde_json::from_slice::<EvaluateRequest>(&spooled.body)
            .and_then(|request| named(&request.event).map(|()| request))
            .map(|request| state.storage.with_store(|store| record_undelivered(store, state, &request))),
    };
    match stored {
        Ok(Ok(())) => std::fs::remove_file(&spooled.path).is_ok(),
        // The store's trouble: keep the file and try again later.
        Ok(Err(_)) => false,
        Err(error) => {
            tracing::warn!(path = %spooled.path.display(), %error, "spooled request is not understood, set aside");
            let _ = spool::reject(spooled);
            false
        }
    }
}

/// The agent was let go at the time; the log says so instead of judging after the fact.
fn record_undelivered(
    store: &mut stopgate_store::Store,
    state: &State,
    request: &EvaluateRequest,
) -> Result<(), StoreError> {
    let row = stopgate_store::GateRow { fail_open: Some(UNDELIVERED.to_owned()), ..blank_row(request) };
    store.record_verdict(request, &row, &Aside::default(), state.storage.now_ms()).map(|_| ())
}
