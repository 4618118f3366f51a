//! What people say about verdicts, and what that adds up to.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::response::Response;
use stopgate_core::clock::monotonic_ms;
use stopgate_core::event_id::is_event_id;
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;
use stopgate_gate::model::Correction;
use stopgate_gate::model::reading::weights_id;
use stopgate_gate::report::GateReport;
use stopgate_protocol::{CorrectionState, ErrorCode, Graded, ReadReport, SetCorrection, SetGrade};
use stopgate_store::{Grading, NewGrade, Store, learned};

use super::control::{not_written, still_counts};
use super::views::log_settles;
use super::{Routes, off_loop, problem, unavailable};
use crate::operator;
use crate::peer::Peer;
use crate::rules;
use crate::state::State;

/// The routes of this subject.
pub(super) fn routes(routes: Routes) -> Routes {
    routes.serve(grade).serve(report).serve(learned)
}

/// Longest reason and name that are kept, in characters.
const MAX_WHY: usize = 500;
const MAX_OPERATOR: usize = 64;
/// How long a report waits for a store that is being opened or recovered by somebody else.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

async fn grade(state: Arc<State>, peer: Peer, wanted: SetGrade) -> Result<Graded, Response> {
    if !is_event_id(&wanted.event_id) {
        return Err(problem(ErrorCode::Malformed, "event_id: not a UUID"));
    }
    off_loop(move || write(&state, peer, wanted)).await?
}

#[expect(clippy::result_large_err, reason = "the error is the HTTP answer")]
fn write(state: &State, peer: Peer, wanted: SetGrade) -> Result<Graded, Response> {
    let late = wanted.condition.until_monotonic_ms.is_some_and(|until| monotonic_ms() >= until);
    if late || peer.is_gone() {
        return Err(problem(ErrorCode::Conflict, "not done: whoever asked waits no more"));
    }
    let SetGrade { event_id, verdict, .. } = wanted;
    let (why, operator) = (one_line(&redact(&wanted.why), MAX_WHY), one_line(&wanted.operator, MAX_OPERATOR));
    let new = NewGrade {
        event_id: &event_id,
        grade: verdict,
        why: &why,
        operator: if operator.is_empty() { "unknown" } else { &operator },
        at_ms: state.storage.now_ms(),
    };
    match state.storage.with_store(|store| store.grade(new)).map_err(unavailable)? {
        Grading::Written { prior } => {
            state.rules.read_grades(&state.storage);
            let demoted = {
                let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
                rules::demote(state)
            };
            let follows: Vec<_> =
                demoted.iter().map(|one| format!("; {} goes back to shadow", one.rule.short())).collect();
            let follows = follows.concat();
            operator::done(state, &peer, SetGrade::ACTION, &format!("{event_id} {verdict}{follows}"));
            Ok(Graded { event_id, verdict, prior, demoted })
        }
        Grading::NoSuchEvent => Err(problem(ErrorCode::NotFound, "event_id: no such stop in the log")),
        Grading::NoVerdict => Err(problem(ErrorCode::NoVerdict, "event_id: this stop has no verdict to grade")),
    }
}

/// Has what was learned of grades count, or goes back to what counted before.
async fn learned(state: Arc<State>, peer: Peer, wanted: SetCorrection) -> Result<CorrectionState, Response> {
    let work = move || {
        let _flipping = state.flipping.lock().unwrap_or_else(PoisonError::into_inner);
        let file = state.home.correction_file();
        still_counts(&peer, &wanted.condition, &file, "stopgate gate learn --show")?;
        let written = match &wanted.correction {
            Some(correction) => {
                // What was sent is held to the same bounds as what is read.
                let json = correction
                    .to_json()
                    .map_err(|error| problem(ErrorCode::Malformed, format!("correction: {error}")))?;
                Correction::from_json(&json, weights_id())
                    .map_err(|why| problem(ErrorCode::Malformed, format!("correction: {}", why.meaning())))?;
                learned::write(&state.home, correction)
            }
            None => learned::undo(&state.home),
        };
        written.map_err(not_written(&file))?;
        let now = CorrectionState::of(learned::read(&state.home, weights_id()).ok().flatten().as_ref());
        operator::done(&state, &peer, wanted.action(), now.hash.as_deref().unwrap_or("nothing"));
        Ok(now)
    };
    off_loop(work).await?
}

async fn report(state: Arc<State>, _: Peer, wanted: ReadReport) -> Result<GateReport, Response> {
    log_settles(&state).await;
    let read = move || {
        let until = state.storage.now_ms();
        // By a connection of its own: stops are not to wait for a hundred thousand rows.
        Store::open_to_read(&state.home, REPORT_PATIENCE).and_then(|store| store.report(wanted.since_ms.max(0), until))
    };
    off_loop(read).await?.map_err(unavailable)
}
