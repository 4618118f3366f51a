//! The fence: what becomes of a tool call that touches a working tree in which another session lives. The verdict is pure
//! ([`stopgate_coordination::fence::verdict`]); here is what it is decided from, and the one way by which it is told.

mod aliases;
mod earlier;
mod facts;
mod held;
mod leases;
mod living;
mod pending;
mod seen;
mod stash;
mod work;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stopgate_coordination::fence::text::{ASK_PERSON_AT, tell};
use stopgate_coordination::fence::verdict::{ActFacts, FenceDecision, FenceGround, decide};
use stopgate_coordination::fence::{FenceAnswer, FenceQuestion, FenceVerdict, mode};
use stopgate_coordination::lease::{Lease, LeaseOrigin};
use stopgate_coordination::room::Place;
use stopgate_core::env;
use stopgate_core::harness::Event;
use stopgate_core::redact::redact;
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_core::text::head;
use stopgate_protocol::{SessionFence, SessionRow};
use stopgate_registry::neighbours::LivingSession;
use stopgate_store::FenceRecord;
use tokio::sync::Notify;

use self::living::Living;
use self::pending::Pending;
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
    pending: Pending,
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

    /// A session was heard; a stop of it may be held.
    pub(crate) fn heard(&self, event: &Event, is_held: bool) {
        if self.living.hear(event, is_held) {
            self.changed();
        }
    }

    /// The others that live in the working tree of `place`, with their names, by a look that may be a few seconds old: who has
    /// gone since is not among them. Blocks.
    pub(crate) fn beside(&self, state: &State, own: &SessionKey, place: &Place) -> Vec<(SessionKey, String)> {
        let living = self.living.current(state);
        let is_there = |session: &&LivingSession| session.key != *own && session.tree() == Some(place.tree.as_path());
        let there = living.iter().filter(is_there).filter(|session| living::still_lives(session));
        there.map(|session| (session.key.clone(), session.name.clone())).collect()
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

/// What became of a question.
pub(crate) struct Judged {
    /// What the hook is told.
    pub(crate) answer: FenceAnswer,
    /// What is to be written down, if anything is.
    record: Option<FenceRecord>,
}

/// Decides. Blocks.
pub(crate) fn judge(state: &State, mut question: FenceQuestion) -> Judged {
    let began = Instant::now();
    let mode = current_mode(state);
    if mode == Mode::Off {
        return Judged { answer: ALLOW, record: None };
    }
    question.said = redact(&question.said);
    question.said.truncate(head(&question.said, MAX_SAID_BYTES).len());
    let deadline = began + env::patiently(BUDGET);
    aliases::resolve(&mut question.intent, deadline);
    let gathered = facts::gather(state, &question, deadline);
    let decision = decide(&gathered.facts);
    let denials = |signature: &str| {
        let counted =
            state.storage.with_reader(|store| store.fence_denials(&question.session, signature, ASK_PERSON_AT));
        counted.unwrap_or_default()
    };
    let answer = settle(state, &question, &decision, &gathered.facts.acts, mode, denials);
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
    Judged { answer, record: Some(record) }
}

/// The same while the database does not answer: from leases, which are in memory, and from what was seen of sessions last.
/// `None` where that is too little to tell. Blocks for no longer than git may take.
pub(crate) fn judge_from_memory(state: &State, question: &FenceQuestion) -> Option<FenceAnswer> {
    let mode = current_mode(state);
    let gathered = facts::gather_from_memory(state, question, Instant::now() + env::patiently(BUDGET))?;
    let decision = decide(&gathered.facts);
    // What is stashed, and by whom, only the database knows.
    let is_sure = decision.verdict == FenceVerdict::Deny || question.intent.acts.is_empty();
    is_sure.then(|| settle(state, question, &decision, &gathered.facts.acts, mode, |_| 0))
}

/// Sees to it that what is let go is known to whoever asks next. Blocks.
pub(crate) fn note(state: &State, judged: &Judged) {
    if let Some(record) = &judged.record {
        leases::observe(state, &record.question.session, &record.facts);
    }
}

const ALLOW: FenceAnswer = FenceAnswer { verdict: FenceVerdict::Allow, text: String::new() };

/// What the hook is told: the one way by which a call is refused. In shadow every call goes on, and nothing is said.
fn settle(
    state: &State,
    question: &FenceQuestion,
    decision: &FenceDecision,
    acts: &[ActFacts],
    mode: Mode,
    denials: impl FnOnce(&str) -> u32,
) -> FenceAnswer {
    if mode != Mode::Enforce || decision.verdict == FenceVerdict::Allow {
        return ALLOW;
    }
    let before = match decision.grounds.first().map(FenceGround::signature) {
        Some(signature) if decision.verdict == FenceVerdict::Deny => denials(&signature),
        _ => 0,
    };
    let text = tell(decision, acts, question.at_ms, &evaluate::program(&state.home), before);
    // Who is refused is told why, whatever else is broken.
    if text.is_empty() { ALLOW } else { FenceAnswer { verdict: decision.verdict, text } }
}

/// Writes a verdict down, with what the hook was told in truth. Blocks.
pub(crate) fn record(state: &State, judged: Judged, answered: FenceVerdict) {
    let Some(record) = judged.record else { return };
    let record = &FenceRecord { answered, ..record };
    if let Err(error) = state.storage.with_store(|store| store.record_fence(record)) {
        tracing::warn!(%error, event = record.question.event_id, "a verdict of the fence is not stored");
    }
}

/// Adds to sessions that are not over what the fence made of them. Blocks.
pub(crate) fn look(state: &State, held: &[Lease], rows: &mut [SessionRow]) {
    if current_mode(state) == Mode::Off {
        return;
    }
    let unfenced: Vec<_> = status(state).unfenced.into_iter().map(|one| one.key).collect();
    for row in rows.iter_mut().filter(|row| !row.state.is_over()) {
        let key = row.key();
        let seen = |lease: &&Lease| lease.holder == key && lease.origin == LeaseOrigin::Observed;
        let observed = held.iter().filter(seen).count() as u64;
        // What cannot be read is not known, and is not shown.
        let known = state.storage.with_reader(|store| store.fence_of(&key)).unwrap_or_default();
        let is_unfenced = unfenced.contains(&key);
        if known.is_some() || is_unfenced || observed > 0 {
            row.fence = Some(SessionFence { is_unfenced, observed, ..known.unwrap_or_default() });
        }
    }
}

/// How the fence is, for people. Blocks.
pub(crate) fn status(state: &State) -> stopgate_protocol::FenceStatus {
    facts::status(state)
}
