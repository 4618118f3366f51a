//! The fence: what becomes of a tool call that touches a working tree in which another session lives. The verdict is pure
//! ([`stopgate_coordination::fence::verdict`]); here is what it is decided from, and the one way by which it is told.

mod aliases;
mod facts;
mod held;
mod leases;
mod living;
mod seen;
mod stash;
mod work;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stopgate_coordination::fence::text::tell;
use stopgate_coordination::fence::verdict::{ActFacts, FenceDecision, FenceGround, decide};
use stopgate_coordination::fence::{FenceAnswer, FenceQuestion, FenceVerdict, mode};
use stopgate_core::env;
use stopgate_core::redact::redact;
use stopgate_core::switch::Mode;
use stopgate_core::text::head;
use stopgate_store::FenceRecord;
use tokio::sync::Notify;

use self::living::Living;
use self::seen::Seen;
use crate::evaluate;
use crate::state::State;

pub(crate) use self::held::keep_written;
pub(crate) use self::leases::clean;

/// How long the facts may take, git included: the hook has 250 ms for everything.
const BUDGET: Duration = Duration::from_millis(150);
/// How much is kept of what a command says.
const MAX_SAID_BYTES: usize = 4 * 1024;

/// What the authority remembers of the fence.
#[derive(Default)]
pub(crate) struct Fence {
    living: Living,
    seen: Seen,
    /// Told when sessions may have come or gone.
    changed: Notify,
    /// What keeps `run/held` from being written.
    problem: Mutex<Option<String>>,
}

impl Fence {
    /// Sessions, or what they hold, may have changed.
    pub(crate) fn changed(&self) {
        self.living.outdate();
        self.changed.notify_one();
    }

    /// What keeps hooks from knowing when to ask, if something does.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The fence's mode as it is now.
pub(crate) fn current_mode(state: &State) -> Mode {
    mode::of(mode::read(&state.home))
}

/// Decides, and sees to it that what is let go is known to whoever asks next. Returns what is to be written down, if
/// anything is. Blocks.
pub(crate) fn judge(state: &Arc<State>, mut question: FenceQuestion) -> (FenceAnswer, Option<FenceRecord>) {
    let began = Instant::now();
    let mode = current_mode(state);
    if mode == Mode::Off {
        return (ALLOW, None);
    }
    question.said = redact(&question.said);
    question.said.truncate(head(&question.said, MAX_SAID_BYTES).len());
    let deadline = began + env::patiently(BUDGET);
    aliases::resolve(&mut question.intent, deadline);
    let gathered = facts::gather(state, &question, deadline);
    let decision = decide(&gathered.facts);
    let answer = settle(state, &question, &decision, &gathered.facts.acts, mode);
    if answer.verdict < FenceVerdict::Deny {
        leases::observe(state, &question.session, &gathered.facts);
    }
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let record = FenceRecord {
        name: gathered.name,
        room: gathered.room,
        head: gathered.head,
        mode,
        facts: gathered.facts,
        decision,
        answered: answer.verdict,
        took_us,
        question,
    };
    (answer, Some(record))
}

const ALLOW: FenceAnswer = FenceAnswer { verdict: FenceVerdict::Allow, text: String::new() };

/// What the hook is told: the one way by which a call is refused. In shadow every call goes on, and nothing is said.
fn settle(
    state: &State,
    question: &FenceQuestion,
    decision: &FenceDecision,
    acts: &[ActFacts],
    mode: Mode,
) -> FenceAnswer {
    if mode != Mode::Enforce || decision.verdict == FenceVerdict::Allow {
        return ALLOW;
    }
    let before = match decision.grounds.first().map(FenceGround::signature) {
        Some(signature) if decision.verdict == FenceVerdict::Deny => {
            state.storage.with_reader(|store| store.fence_denials(&question.session, &signature)).unwrap_or_default()
        }
        _ => 0,
    };
    let text = tell(decision, acts, question.at_ms, &evaluate::program(&state.home), before);
    // Who is refused is told why, whatever else is broken.
    if text.is_empty() { ALLOW } else { FenceAnswer { verdict: decision.verdict, text } }
}

/// Writes a verdict down. Blocks.
pub(crate) fn record(state: &State, record: &FenceRecord) {
    if let Err(error) = state.storage.with_store(|store| store.record_fence(record)) {
        tracing::warn!(%error, event = record.question.event_id, "a verdict of the fence is not stored");
    }
}

/// How the fence is, for people. Blocks.
pub(crate) fn status(state: &State) -> stopgate_protocol::FenceStatus {
    facts::status(state)
}
