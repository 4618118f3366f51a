//! What a stop says by itself, read once: it may be enough to let the stop go, and the judgement begins with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use stopgate_config::{Config, JudgeKind};
use stopgate_core::checkout;
use stopgate_core::decision::Decision;
use stopgate_core::harness::EventKind;
use stopgate_core::protocol::{EvaluateRequest, EvaluateResponse};
use stopgate_core::redact::redact;
use stopgate_gate::model::Reading;
use stopgate_gate::pipeline::{self, Trace};
use stopgate_gate::signals::{self, Signals};
use stopgate_store::{Aside, GateRow, blank_row};

use super::{millis, preview};
use crate::journal::Given;
use crate::state::State;

/// Longest message that is read on the event loop, where others wait.
const MAX_QUICK_MESSAGE_BYTES: usize = 16 * 1024;

/// What a stop says, and how it is to be judged.
pub(crate) struct Heard {
    /// The main checkout of the directory that it comes from.
    pub(super) checkout: Option<PathBuf>,
    /// What is configured for that.
    pub(super) config: Arc<Config>,
    /// The agent's last message. Redacted before it is judged, so that what is written down leads to the same verdict.
    pub(super) message: String,
    /// What that says.
    pub(super) words: Words,
}

/// What a message says, and how it reads.
pub(crate) struct Words {
    pub(super) signals: Signals,
    pub(super) reading: Option<Reading>,
}

impl Words {
    fn of(state: &State, message: &str) -> Self {
        Self { signals: signals::detect(message), reading: read(state, message, None) }
    }

    /// What they decide alone.
    pub(super) fn foregone(&self, has_judge: bool) -> Option<Trace> {
        pipeline::foregone(&self.signals, self.reading.as_ref()?, None, has_judge)
    }
}

impl Heard {
    /// What `request` says.
    pub(super) fn of(state: &State, request: &EvaluateRequest) -> Self {
        let checkout = request.event.cwd.as_deref().and_then(checkout::find).map(|checkout| checkout.main);
        let config = config_for(state, checkout.as_deref());
        let message = redact(message_of(request));
        let words = Words::of(state, &message);
        Self { checkout, config, message, words }
    }

    /// What `request` says, unless that is too long to be read on the event loop.
    pub(crate) fn quickly(state: &State, request: &EvaluateRequest) -> Option<Self> {
        (message_of(request).len() <= MAX_QUICK_MESSAGE_BYTES).then(|| Self::of(state, request))
    }

    /// Whether the message alone lets the stop go.
    pub(crate) fn is_foregone(&self) -> bool {
        self.words.foregone(has_judge(&self.config)).is_some()
    }

    /// The verdict on a stop that nothing can hold, by its message alone, as the hook is told and the journal holds it;
    /// it is judged in full when the hook has gone. `None` if it has to wait for that. Quick: no store, no git.
    pub(crate) fn foregone(
        &self,
        state: &State,
        request: &EvaluateRequest,
        received: Instant,
    ) -> Option<(EvaluateResponse, Given)> {
        let trace = self.words.foregone(has_judge(&self.config)).filter(|trace| trace.decision() == Decision::Allow)?;
        let row = GateRow {
            decision: Some(Decision::Allow),
            rule: trace.rule,
            short_circuit: trace.release.map(|release| release.name().to_owned()),
            signals: self.words.signals.names(),
            preview: preview(&self.message),
            latency_ms: millis(received),
            checkout: self.checkout.clone(),
            ..blank_row(request)
        };
        Some((
            EvaluateResponse::ALLOW,
            Given { request: request.clone(), row, aside: Aside::default(), at_ms: state.storage.now_ms() },
        ))
    }
}

/// How `message` reads, with what was learned of the operator's grades.
pub(super) fn read(state: &State, message: &str, failed_call: Option<&str>) -> Option<Reading> {
    let reading = Reading::of(message, failed_call)?;
    Some(reading.corrected(state.learned.current().as_deref(), message))
}

fn message_of(request: &EvaluateRequest) -> &str {
    match &request.event.kind {
        EventKind::Stop(stop) => &stop.last_assistant_message,
        _ => "",
    }
}

/// Whether somebody is configured who judges what the rules cannot decide.
pub(crate) fn has_judge(config: &Config) -> bool {
    config.judge.kind != JudgeKind::None
}

/// What is configured for a checkout: the operator's word, tightened by the checkout's own file if that has no fault.
fn config_for(state: &State, checkout: Option<&Path>) -> Arc<Config> {
    let config = state.settings.current();
    let Some(checkout) = checkout.filter(|checkout| stopgate_config::project_file(checkout).exists()) else {
        return config;
    };
    match stopgate_config::load_for_checkout(&config, checkout) {
        Ok(tightened) => Arc::new(tightened),
        Err(faults) => {
            tracing::warn!(%faults, "the checkout's configuration is ignored");
            config
        }
    }
}
