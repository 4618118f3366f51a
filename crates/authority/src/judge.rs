//! Asks the configured judge what the rules could not decide: within a deadline, through its breaker, and with every
//! answer validated before it counts.

mod breaker;
mod command;
mod http;
mod route;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use stopgate_config::{JudgeConfig, JudgeKind};
use stopgate_core::env::{Env, ProcessEnv};
use stopgate_core::event_id::nonce;
use stopgate_core::paths::Home;
use stopgate_gate::judge::{FailureKind, JudgeFailure, JudgePrompt, JudgeQuestion, Opinion};
use stopgate_protocol::BreakerState;
use stopgate_store::StoreError;
use tokio::sync::Semaphore;

use crate::storage::Storage;

use breaker::Breakers;

/// Kept back from the caller's deadline: for killing a program and settling with the breaker.
const SETTLE_RESERVE: Duration = Duration::from_millis(40);
/// A judge that has less time than this is not asked: it would fail for a reason that is not its own.
const MIN_TIME: Duration = Duration::from_millis(50);
/// Longest output of a judge that is read, with all that its wire format puts around the answer.
const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JudgeOutcome {
    /// A valid answer.
    Opinion(Opinion),
    /// No valid answer: the turn may end.
    Failed(JudgeFailure),
    /// Nobody was asked, which is no failure.
    NotAsked(NotAsked),
}

/// Why nobody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// No judge is configured.
    NoJudge,
    /// There is no plan that a continue could rest on, so no answer would change anything.
    NothingOffered,
    /// The time that is left is too short for any judge.
    NoTime,
    /// Others are being asked: slow judges must not keep the stops waiting that rules decide.
    Busy,
}

impl NotAsked {
    /// The word for `explain`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoJudge => "no-judge",
            Self::NothingOffered => "nothing-offered",
            Self::NoTime => "no-time",
            Self::Busy => "busy",
        }
    }
}

/// What is shared by all who ask.
#[derive(Debug)]
pub(crate) struct Judges {
    /// Held while one is asked.
    asking: Semaphore,
    breakers: Breakers,
}

impl Judges {
    /// Of which so many are asked at once.
    pub(crate) fn asked_at_once(most: usize) -> Self {
        Self { asking: Semaphore::new(most), breakers: Breakers::default() }
    }

    /// The breakers that count a failure, the last changed first.
    pub(crate) fn breakers(&self, storage: &Storage) -> Vec<BreakerState> {
        self.breakers.all(storage)
    }

    /// Closes every breaker. Returns how many were not blank.
    pub(crate) fn reset_breakers(&self, storage: &Storage) -> Result<usize, StoreError> {
        self.breakers.reset(storage)
    }
}

/// Asks the judge of `config`, unless its breaker is open. Blocks, and returns by `until` at the latest, or by what
/// `longer` says, which is called once it is clear that one is to be asked: call it off the event loop.
pub(crate) fn ask(
    judges: &Judges,
    storage: &Storage,
    config: &JudgeConfig,
    question: &JudgeQuestion,
    until: Instant,
    longer: &dyn Fn() -> Option<Instant>,
) -> JudgeOutcome {
    ask_in(&ProcessEnv, judges, storage, config, question, until, longer)
}

/// [`ask`] with the environment that keys and a program's surroundings are taken from.
fn ask_in(
    environment: &dyn Env,
    judges: &Judges,
    storage: &Storage,
    config: &JudgeConfig,
    question: &JudgeQuestion,
    until: Instant,
    longer: &dyn Fn() -> Option<Instant>,
) -> JudgeOutcome {
    if config.kind == JudgeKind::None {
        return JudgeOutcome::NotAsked(NotAsked::NoJudge);
    }
    if !question.offers_a_plan() {
        return JudgeOutcome::NotAsked(NotAsked::NothingOffered);
    }
    let Ok(_asking) = judges.asking.try_acquire() else {
        return JudgeOutcome::NotAsked(NotAsked::Busy);
    };
    // Nobody is made to wait for one that is left alone.
    let until = if judges.breakers.leaves_alone(storage, config) { until } else { longer().unwrap_or(until) };
    let now = Instant::now();
    let left = until.saturating_duration_since(now).saturating_sub(SETTLE_RESERVE);
    if left < MIN_TIME {
        return JudgeOutcome::NotAsked(NotAsked::NoTime);
    }
    let deadline = now + left.min(Duration::from_millis(u64::from(config.timeout_ms)));
    let guard = match judges.breakers.admit(storage, config, until) {
        Ok(guard) => guard,
        Err(left_alone) => return JudgeOutcome::Failed(left_alone),
    };
    let prompt = question.prompt(nonce());
    let said = answer(environment, storage.home(), config, &prompt, deadline).and_then(|answer| question.read(&answer));
    match (judges.breakers.settle(guard, storage, said.as_ref().err(), until), said) {
        (Some(opened), _) => JudgeOutcome::Failed(opened),
        (None, Ok(opinion)) => JudgeOutcome::Opinion(opinion),
        (None, Err(failure)) => JudgeOutcome::Failed(failure),
    }
}

fn answer(
    environment: &dyn Env,
    home: &Home,
    config: &JudgeConfig,
    prompt: &JudgePrompt,
    deadline: Instant,
) -> Result<String, JudgeFailure> {
    let bytes = match config.kind {
        JudgeKind::Command => command::ask(environment, home, config, prompt, deadline)?,
        JudgeKind::Http => return http::ask(environment, config, prompt, deadline),
        JudgeKind::None => Vec::new(),
    };
    String::from_utf8(bytes).map_err(|_| JudgeFailure::new(FailureKind::Malformed, "the answer is not UTF-8"))
}
