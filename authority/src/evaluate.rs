//! Judges a stop: the one pipeline, and the one exit through which every block passes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::gate::evidence::{self, EvidenceFault, EvidencePointer};
use stopgate_core::gate::facts::Facts;
use stopgate_core::gate::release::{self, Release};
use stopgate_core::gate::{Decision, RuleId, ceiling, reminder, rules, signals};
use stopgate_core::harness::{EventKind, Stop};
use stopgate_core::protocol::{EvaluateRequest, EvaluateResponse};
use stopgate_core::redact::redact;
use stopgate_core::switch::{self, Mode};
use stopgate_core::text;
use stopgate_store::{Counting, GateRow, StoreError, blank_row};

use crate::facts::{self as gathering, Session};
use crate::peer::Peer;
use crate::state::State;

/// Longest time that gathering and verifying take together.
const FACTS_BUDGET: Duration = Duration::from_secs(2);
/// Longest wait of a hook that is believed.
const MAX_DEADLINE: Duration = Duration::from_secs(10);
/// Kept back from the hook's deadline for writing the verdict down and sending it.
const SETTLE_RESERVE: Duration = Duration::from_millis(50);
/// A verdict that is ready so shortly before the deadline counts as late.
const LATE_MARGIN: Duration = Duration::from_millis(10);
/// `fail_open` of a verdict that comes too late.
const LATE: &str = "timeout";
/// Longest preview of the last message in the log.
const MAX_PREVIEW_BYTES: usize = 200;

/// Set when whoever asked is gone: what it would have been told is not delivered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    set: Arc<AtomicBool>,
    asker: Option<Peer>,
}

impl Gone {
    /// Looks at `asker` as well: one that has given up is seen before its handler is dropped.
    pub(crate) fn of(asker: Peer) -> Self {
        Self { asker: Some(asker), ..Self::default() }
    }

    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire) || self.asker.as_ref().is_some_and(Peer::is_gone)
    }
}

/// What judging found, before it is settled.
struct Judgement {
    rule: Option<RuleId>,
    evidence: Option<EvidencePointer>,
    release: Option<Release>,
    fault: Option<EvidenceFault>,
    signals: Vec<String>,
}

impl Judgement {
    fn released(release: Release) -> Self {
        Self { rule: None, evidence: None, release: Some(release), fault: None, signals: Vec::new() }
    }

    /// What the rules decided, unless the evidence did not hold.
    fn decision(&self) -> Decision {
        match (self.rule, self.fault) {
            (Some(rule), None) => rule.decision(),
            _ => Decision::Allow,
        }
    }
}

/// Judges `request`. A continue is written down before anybody is told, because it is counted; the caller writes
/// any other verdict down with [`Verdict::write`], and need not keep the hook waiting for that. Blocks: call it off
/// the event loop.
pub(crate) fn evaluate(state: &State, request: &Arc<EvaluateRequest>, received: Instant, gone: &Gone) -> Verdict {
    let allowed = match request.mode {
        Mode::Enforce => Duration::from_millis(request.deadline_ms).min(MAX_DEADLINE),
        // Shadow makes nobody wait.
        Mode::Off | Mode::Shadow => MAX_DEADLINE,
    };
    let until = received + FACTS_BUDGET.min(allowed.saturating_sub(SETTLE_RESERVE));
    let (judgement, message) = match &request.event.kind {
        EventKind::Stop(stop) => (judge(state, request, stop, until), stop.last_assistant_message.as_str()),
        _ => (Judgement::released(Release::NoSignal), ""),
    };
    let row = GateRow { signals: judgement.signals.clone(), preview: preview(message), ..blank_row(request) };
    let late_from = received + allowed.saturating_sub(LATE_MARGIN);
    let _settling = state.settling.lock().unwrap_or_else(PoisonError::into_inner);
    let late = || request.mode == Mode::Enforce && (gone.is_set() || Instant::now() >= late_from);
    let mut verdict = settle(state, request, judgement, row, received, late);
    if verdict.counting == Counting::Continue {
        verdict.count(state, late_from, late);
    }
    verdict
}

/// The end of a message for the log. Redacted before it is cut, so that no half of a secret is left.
fn preview(message: &str) -> String {
    let redacted = redact(message);
    text::one_line(text::tail(&redacted, MAX_PREVIEW_BYTES), MAX_PREVIEW_BYTES)
}

/// The stages up to the verified finding.
fn judge(state: &State, request: &EvaluateRequest, stop: &Stop, until: Instant) -> Judgement {
    let killed = switch::is_killed(&ProcessEnv, &state.home);
    let mode = switch::read_mode(&state.home).mode();
    let session = state.session_facts(&request.event.key);
    let started = session.as_ref().and_then(|session| session.started_at_ms);
    if let Some(release) = release::before_judging(killed, mode, &request.event, stop, started) {
        return Judgement::released(release);
    }
    let signals = signals::detect(&stop.last_assistant_message);
    let mut judgement = Judgement { signals: signals.names(), ..Judgement::released(Release::NoSignal) };
    if let Some(finding) = rules::legitimate_stop(&signals) {
        judgement.rule = finding.rule;
        judgement.release = None;
        return judgement;
    }
    let (true, Some(cwd), Some(started_at_ms)) = (signals.wants_to_leave(), &request.event.cwd, started) else {
        return judgement;
    };
    let head_at_start = session.as_ref().and_then(|session| session.head_at_start.as_deref());
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from);
    let facts = gathering::gather(&Session { cwd, started_at_ms, head_at_start, home: home.as_deref() }, until);
    let finding = rules::decide(&signals, &facts);
    judgement.release = finding.rule.is_none().then_some(Release::NoEvidence);
    judgement.rule = finding.rule;
    judgement.evidence = finding.evidence;
    judgement.fault = refuted(&judgement, &facts, cwd, until);
    judgement
}

/// Why a continue's evidence does not hold, if it does not.
fn refuted(judgement: &Judgement, facts: &Facts, cwd: &std::path::Path, until: Instant) -> Option<EvidenceFault> {
    let rule = judgement.rule.filter(|rule| rule.decision() == Decision::Continue)?;
    let Some(pointer) = &judgement.evidence else {
        return Some(EvidenceFault::MissingPointer);
    };
    evidence::check(rule, pointer, facts).and_then(|()| gathering::verify(cwd, pointer, until)).err()
}

/// A verdict, and the row to write of it.
pub(crate) struct Verdict {
    /// What the hook is told.
    pub(crate) response: EvaluateResponse,
    request: Arc<EvaluateRequest>,
    row: GateRow,
    counting: Counting,
    prior: u32,
    written: bool,
}

/// Turns a judgement into the verdict: ceiling, lateness, and what the hook is told. Every block passes here.
fn settle(
    state: &State,
    request: &Arc<EvaluateRequest>,
    judgement: Judgement,
    mut row: GateRow,
    received: Instant,
    late: impl FnOnce() -> bool,
) -> Verdict {
    let mut decision = judgement.decision();
    let mut release = judgement.release;
    let mut prior = 0;
    if decision == Decision::Continue {
        prior = continues(state, request);
        if !ceiling::allows(prior) {
            decision = Decision::ForceAllow;
            release = Some(Release::ContinueCeiling);
        }
    }
    let continues = decision == Decision::Continue;
    // A verdict that comes too late, or to nobody, is not delivered and so is not counted.
    let late = continues && late();
    let fail_open = match (judgement.fault, late) {
        (Some(fault), _) => Some(fault.kind()),
        (None, true) => Some(LATE),
        (None, false) => None,
    };
    let delivers = continues && request.mode == Mode::Enforce && !late;
    let rule = judgement.rule.filter(|_| judgement.fault.is_none());

    row.decision = Some(decision);
    row.rule = judgement.rule;
    row.short_circuit = release.map(|release| release.name().to_owned());
    row.would_block = continues;
    row.blocked = delivers;
    row.fail_open = fail_open.map(str::to_owned);
    row.detail = judgement.fault.map(|fault| fault.name().to_owned());
    row.evidence = judgement.evidence;
    row.latency_ms = millis(received);

    let text = match (&row.evidence, rule) {
        (Some(evidence), Some(rule)) if delivers => reminder::render(rule, evidence),
        _ => String::new(),
    };
    let response = EvaluateResponse {
        decision: if late { Decision::Allow } else { decision },
        rule: if decision == Decision::ForceAllow { None } else { rule },
        reminder: text,
        short_circuit: row.short_circuit.clone(),
        fail_open: row.fail_open.clone(),
        post_verify_failure: row.detail.clone(),
        prior_count: (decision == Decision::ForceAllow).then_some(prior),
        latency_ms: row.latency_ms,
        event_id: request.event_id.clone(),
    };
    let counting = if continues && !late { Counting::Continue } else { Counting::Nothing };
    Verdict { response, request: Arc::clone(request), row, counting, prior, written: false }
}

impl Verdict {
    /// Writes the verdict down, once.
    pub(crate) fn write(&mut self, state: &State) {
        if !std::mem::replace(&mut self.written, true) {
            let _ = self.record(state, Instant::now() + MAX_DEADLINE);
        }
    }

    /// Writes a continue down and counts it, before it is delivered. When the store fails, its transaction counts
    /// nothing; a continue that is delivered all the same counts in memory, so that the ceiling holds. One that
    /// becomes late over it is not delivered and not counted: the caller logs that.
    fn count(&mut self, state: &State, until: Instant, late: impl Fn() -> bool) {
        let recorded = self.record(state, until);
        if recorded.is_err() && late() {
            self.response.decision = Decision::Allow;
            self.response.reminder.clear();
            self.response.fail_open = Some(LATE.to_owned());
            self.row.fail_open = Some(LATE.to_owned());
            self.row.blocked = false;
            self.counting = Counting::Nothing;
            return;
        }
        self.written = true;
        if recorded.unwrap_or(true) {
            state.memory().set_continues(&self.request.event.key, self.request.mode, self.prior + 1);
        }
    }

    fn record(&self, state: &State, until: Instant) -> Result<bool, StoreError> {
        let now = state.clock.now_ms();
        state
            .with_store_until(until, |store| store.record_verdict(&self.request, &self.row, self.counting, now))
            .inspect_err(|error| {
                tracing::error!(%error, event = self.row.event_id, decision = ?self.row.decision, "verdict not stored");
            })
    }
}

/// Continues so far: the larger of what the store and memory say.
fn continues(state: &State, request: &EvaluateRequest) -> u32 {
    let key = &request.event.key;
    let stored = state.with_store(|store| store.continue_count(key, request.mode)).unwrap_or(0);
    stored.max(state.memory().continues(key, request.mode))
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
