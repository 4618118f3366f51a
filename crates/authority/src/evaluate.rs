//! Judges a stop: the one pipeline, and the one exit through which every block passes.

mod asker;
mod heard;
mod live;
mod waking;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stopgate_config::Config;
use stopgate_core::clock::UnixMillis;
use stopgate_core::decision::Decision;
use stopgate_core::env;
use stopgate_core::paths::Home;
use stopgate_core::protocol::{EvaluateRequest, EvaluateResponse};
use stopgate_core::release::Release;
use stopgate_core::shell;
use stopgate_core::switch::Mode;
use stopgate_core::text;
use stopgate_gate::RuleId;
use stopgate_gate::facts::{Facts, GitTrouble, Plan};
use stopgate_gate::judge::FailureKind;
use stopgate_gate::pipeline::{Judgement, Recording, Trace};
use stopgate_gate::reminder;
use stopgate_gate::signals::Signals;
use stopgate_gate::turn::PersonTurn;
use stopgate_store::{Aside, Continued, Counted, GateRow, StoreError, blank_row};

use crate::contests;
use crate::continued;
use crate::journal::{Given, JournalAnswer, Noted};
use crate::state::{State, Turn};
use crate::turns;

pub(crate) use asker::Gone;
pub(crate) use heard::{Heard, has_judge};

/// Longest wait of a hook that is believed.
const MAX_DEADLINE: Duration = Duration::from_secs(10);
/// Kept back from the hook's deadline for writing the verdict down and sending it.
const SETTLE_RESERVE: Duration = Duration::from_millis(50);
/// A verdict that is ready so shortly before the deadline counts as late.
const LATE_MARGIN: Duration = Duration::from_millis(10);
/// `fail_open` of a verdict that comes too late.
const LATE: &str = "timeout";
/// `fail_open` of a verdict that could not be counted: no ceiling can be kept of it, and so each counts as reached.
const NOT_COUNTED: &str = "not_counted";
/// Plans that are named as no evidence.
const MAX_SET_ASIDE: usize = 2;
/// Longest preview of the last message in the log.
const MAX_PREVIEW_BYTES: usize = 200;

/// How long whoever asked waits for the verdict.
fn allowed(request: &EvaluateRequest) -> Duration {
    match request.mode {
        Mode::Enforce => Duration::from_millis(request.deadline_ms).min(MAX_DEADLINE),
        // Shadow makes nobody wait.
        Mode::Off | Mode::Shadow => MAX_DEADLINE,
    }
}

/// How long facts about `request` may be gathered, from its arrival on.
fn budget(config: &Config, request: &EvaluateRequest) -> Duration {
    let budget = env::patiently(Duration::from_millis(u64::from(config.gate.facts_budget_ms)));
    budget.min(allowed(request).saturating_sub(SETTLE_RESERVE))
}

/// [`budget`], before more is known of the stop than was `heard`: what its checkout says may be less.
pub(crate) fn facts_budget(state: &State, heard: Option<&Heard>, request: &EvaluateRequest) -> Duration {
    heard.map_or_else(|| budget(&state.settings.current(), request), |heard| budget(&heard.config, request))
}

/// After how long a hook that waits is told that there is no verdict: later than any is delivered.
pub(crate) fn answered_within(request: &EvaluateRequest) -> Duration {
    allowed(request).saturating_sub(LATE_MARGIN / 2)
}

/// What is said to a hook whose time is over before there is a verdict.
pub(crate) fn late() -> EvaluateResponse {
    EvaluateResponse { fail_open: Some(LATE.to_owned()), ..EvaluateResponse::ALLOW }
}

/// Judges `request`. What somebody waits for is noted, and a continue is counted, before anybody is told; the caller
/// writes the verdict down with [`Verdict::write`], and need not keep the hook waiting for that. Blocks: call it off
/// the event loop.
pub(crate) fn evaluate(
    state: &State,
    request: &Arc<EvaluateRequest>,
    heard: Option<Heard>,
    received: Instant,
    gone: &Gone,
    turn: Turn,
) -> Verdict {
    let allowed = allowed(request);
    contests::take_note(state, request);
    let Heard { checkout, config, message, words } = heard.unwrap_or_else(|| Heard::of(state, request));
    let until = received + budget(&config, request);
    let late_from = received + allowed.saturating_sub(LATE_MARGIN);

    let judge_until = match request.mode {
        Mode::Enforce => received + allowed.saturating_sub(SETTLE_RESERVE),
        // Nobody waits, so a slow judge is given the time that it is configured with.
        Mode::Off | Mode::Shadow => until + Duration::from_millis(u64::from(config.judge.timeout_ms)),
    };
    let counted = state.counted();
    let live::Judged { recording: mut judged, trace, contest, person } = live::judge(
        state,
        request,
        &config,
        message,
        words,
        live::Deadlines { facts: until, judge: judge_until, asker: gone },
        turn,
    );
    let late_from = gone.waits_until().and_then(|until| until.checked_sub(LATE_MARGIN)).unwrap_or(late_from);
    // Only what is counted has to come in turn: a verdict that lets go waits for nobody's write.
    let is_counted = trace.continues().is_some() || trace.release == Some(Release::Contested);
    // A rule that may do less than the mode is judged, and counted, as in that.
    let mode = effective(&trace, &judged, request.mode);
    let settling = is_counted.then(|| state.settling.take(late_from));
    // Whoever settles waits for a disk that does not answer.
    let not_in_turn = settling.as_ref().is_some_and(Result::is_err);
    let mut contest = contest.filter(|_| is_counted);
    if is_counted && (state.counted() != counted || mode != request.mode) {
        let (key, inputs) = (&request.event.key, &mut judged.inputs);
        let (session, stored) = state.standing(key, mode);
        let started = session.and_then(|session| session.started_at_ms);
        let turn = turns::of_session(state, key, mode, &stored, started, &person);
        inputs.turn = PersonTurn { contested: inputs.turn.contested, headless: inputs.turn.headless, ..turn };
        contest = stored.contest;
    }
    let trace = trace.limited(&judged.inputs.turn, &judged.inputs.limits);
    let late = || not_in_turn || mode == Mode::Enforce && (gone.is_set() || Instant::now() >= late_from);
    let used = contest.filter(|_| trace.release == Some(Release::Contested));
    let judged_asked = judged.inputs.turn.asked.clone();
    let mut verdict = settle(
        state,
        request,
        &judged,
        trace,
        Surroundings { checkout, notes: config.gate.notes, received, mode },
        late,
    );
    verdict.aside.contest = used;
    verdict.aside.prompt_at_ms = turns::prompt_at_ms(&person);
    verdict.aside.asked = turns::shown(&judged_asked, &person);
    if let Some(asked) = verdict.aside.asked.clone() {
        state.memory().shown(&request.event.key, asked);
    }
    if let Some(at_ms) = verdict.aside.prompt_at_ms {
        state.memory().prompted(&request.event.key, at_ms, state.storage.now_ms());
    }
    if gone.somebody_waits() {
        // Told before it is stored. Where it cannot be noted, a continue is stored first, because it counts.
        verdict.noted = state.journal.note(JournalAnswer::Given(Box::new(verdict.given(state.storage.now_ms()))));
    }
    if verdict.aside.continues.is_some() {
        verdict.count(state, late_from, late);
    }
    if is_counted {
        state.has_counted();
    }
    drop(settling);
    verdict
}

/// The mode in which a verdict counts: a continue by a rule that may do less than the mode is one of that.
fn effective(trace: &Trace, judged: &Recording, mode: Mode) -> Mode {
    let rule = trace.rule.filter(|_| trace.continues().is_some());
    rule.map_or(mode, |rule| judged.inputs.rule_modes.effective(rule, mode))
}

/// Why a continue is not delivered although the mode is enforce.
fn kept_back(rule: Option<RuleId>, judged: &Recording) -> Option<String> {
    let rule = rule?;
    let own = judged.inputs.rule_modes.of_rule(rule)?;
    Some(format!("not held: {} is {}, by {}", rule.short(), own.place(), own.by.meaning()))
}

/// The end of a message for the log. It was redacted before it is cut, so that no half of a secret is left.
fn preview(message: &str) -> String {
    text::one_line(text::tail(message, MAX_PREVIEW_BYTES), MAX_PREVIEW_BYTES)
}

/// A verdict, and the row to write of it.
pub(crate) struct Verdict {
    /// What the hook is told.
    pub(crate) response: EvaluateResponse,
    request: Arc<EvaluateRequest>,
    row: GateRow,
    aside: Aside,
    written: bool,
    /// That the journal holds what the hook was told of it.
    pub(crate) noted: Option<Noted>,
}

/// What a verdict needs besides the stages' findings.
struct Surroundings {
    checkout: Option<PathBuf>,
    notes: bool,
    received: Instant,
    /// The mode in which it counts.
    mode: Mode,
}

/// Which plans were no evidence because a configuration says so.
fn left_out(facts: &Facts) -> Option<String> {
    let named = facts.excluded_plans.join(", ");
    (!named.is_empty()).then(|| format!("no plan because of gate.exclude_plans: {}", text::one_line(&named, 200)))
}

/// Which plans were no evidence because the session has nothing to do with them.
fn set_aside(facts: &Facts) -> Option<String> {
    let notes: Vec<String> = facts.plans.iter().filter_map(Plan::set_aside).take(MAX_SET_ASIDE).collect();
    (!notes.is_empty()).then(|| text::one_line(&notes.join("; "), MAX_PREVIEW_BYTES))
}

/// Turns what the stages found into the verdict: lateness, and what the hook is told. Every block passes here.
fn settle(
    state: &State,
    request: &Arc<EvaluateRequest>,
    judged: &Recording,
    trace: Trace,
    around: Surroundings,
    late: impl FnOnce() -> bool,
) -> Verdict {
    let decision = trace.decision();
    let continues = decision == Decision::Continue;
    let failure = match &trace.judgement {
        // One that is left alone after failures fails no stop.
        Some(Judgement::Failed { kind, detail }) if kind != FailureKind::BreakerOpen.name() => Some((kind, detail)),
        _ => None,
    };
    // Let go because not all was known that could have held it.
    let finds_nothing = trace.release == Some(Release::NoEvidence) || trace.rule == Some(RuleId::SelfDeferral);
    let unknown =
        trace.facts.as_ref().filter(|_| finds_nothing).and_then(|facts| {
            Some((facts.failure()?, facts.git_trouble.map_or("not known in time", GitTrouble::meaning)))
        });
    // A verdict that comes too late, or to nobody, is not delivered and so is not counted.
    let late = continues && late();
    let fail_open = match (trace.refused, late) {
        (Some(fault), _) => Some(fault.kind().to_owned()),
        (None, true) => Some(LATE.to_owned()),
        (None, false) => failure.map(|(kind, _)| kind.clone()).or_else(|| unknown.map(|(kind, _)| kind.to_owned())),
    };
    let enforces = around.mode == Mode::Enforce;
    let kept_back = kept_back(trace.rule.filter(|_| !enforces && request.mode == Mode::Enforce && continues), judged);
    let delivers = continues && enforces && !late;
    let rule = trace.rule.filter(|_| trace.refused.is_none());
    let note = match trace.release {
        Some(release) if enforces && around.notes => reminder::note(decision, release, trace.evidence.as_ref()),
        _ => String::new(),
    };
    let text = match (&trace.evidence, rule) {
        (Some(evidence), Some(rule)) if delivers => reminder::render(rule, evidence, &program(&state.home)),
        _ => String::new(),
    };
    let aside = Aside {
        continues: trace.continues().filter(|_| !late).map(str::to_owned),
        counted: Counted {
            prompt_at_ms: judged.inputs.turn.prompt_name_ms,
            boot_ms: Some(state.storage.moment().boot_ms),
            boot_id: state.storage.boot_id().to_owned(),
        },
        inputs: serde_json::to_string(judged).ok(),
        ..Aside::default()
    };
    let row = GateRow {
        decision: Some(decision),
        rule: trace.rule,
        short_circuit: trace.release.map(|release| release.name().to_owned()),
        would_block: continues,
        blocked: delivers,
        noted: !note.is_empty(),
        detail: trace
            .refused
            .map(|fault| fault.name().to_owned())
            .or_else(|| failure.map(|(_, detail)| detail.clone()))
            .or_else(|| unknown.map(|(_, detail)| detail.to_owned()))
            .or_else(|| trace.facts.as_ref().filter(|_| finds_nothing).and_then(left_out))
            .or_else(|| trace.facts.as_ref().filter(|_| finds_nothing).and_then(set_aside))
            .or(kept_back),
        fail_open,
        signals: trace.signals.as_ref().map(Signals::names).unwrap_or_default(),
        preview: preview(&judged.inputs.message),
        evidence: trace.evidence,
        latency_ms: millis(around.received),
        checkout: around.checkout,
        mode: around.mode,
        ..blank_row(request)
    };
    let response = EvaluateResponse {
        // What the mode would hold and the rule may not is not told.
        decision: if late || continues && !enforces && request.mode == Mode::Enforce {
            Decision::Allow
        } else {
            decision
        },
        reminder: text,
        note,
        fail_open: row.fail_open.clone(),
    };
    Verdict { response, request: Arc::clone(request), row, aside, written: false, noted: None }
}

/// How an agent calls the program.
pub(crate) fn program(home: &Home) -> String {
    let installed = home.bin().join("stopgate");
    if installed.exists() { shell::shown(&installed.to_string_lossy()) } else { "stopgate".to_owned() }
}

impl Verdict {
    /// Writes the verdict down, unless that is done.
    pub(crate) fn write(&mut self, state: &State) {
        if !self.written {
            self.written = self.record(state, Instant::now() + MAX_DEADLINE).is_ok();
        }
        if let Some(noted) = self.noted.take() {
            state.journal.settle(noted, (!self.written).then(|| self.given(state.storage.now_ms())));
        }
    }

    /// What the journal is given of it.
    fn given(&self, at_ms: UnixMillis) -> Given {
        let (request, row, aside) = (EvaluateRequest::clone(&self.request), self.row.clone(), self.aside.clone());
        Given { request, row, aside, at_ms }
    }

    /// Counts a continue before it is delivered: in memory, beside the store, and, unless the journal holds it, in the
    /// store. One that neither of them takes would be forgotten with this process: it is not delivered and not counted, as
    /// one that becomes late over it. The caller logs that.
    fn count(&mut self, state: &State, until: Instant, late: impl Fn() -> bool) {
        let recorded = if self.noted.is_some() { Ok(true) } else { self.record(state, until) };
        let Ok(is_new) = recorded else {
            let why = if late() { LATE } else { NOT_COUNTED };
            self.response.decision = Decision::Allow;
            self.response.reminder.clear();
            self.response.fail_open = Some(why.to_owned());
            self.row.fail_open = Some(why.to_owned());
            self.row.blocked = false;
            self.aside.continues = None;
            return;
        };
        self.written = self.noted.is_none();
        if let (true, Some(fingerprint)) = (is_new, self.aside.continues.clone()) {
            let (key, mode) = (&self.request.event.key, self.row.mode);
            let Counted { prompt_at_ms, boot_ms, .. } = self.aside.counted;
            let (at_ms, rule) = (state.storage.now_ms(), self.row.rule);
            let continued = Continued { at_ms, fingerprint, prompt_at_ms, boot_ms, rule };
            if let Err(error) = continued::note(&state.home, key, mode, &continued, state.storage.boot_id()) {
                tracing::warn!(%error, "a continue is counted in the store alone");
            }
            state.memory().continued(key, mode, continued);
        }
    }

    fn record(&self, state: &State, until: Instant) -> Result<bool, StoreError> {
        let now = state.storage.now_ms();
        state
            .storage
            .with_store_until(until, |store| store.record_verdict(&self.request, &self.row, &self.aside, now))
            .inspect_err(|error| {
                tracing::error!(%error, event = self.row.event_id, decision = ?self.row.decision, "verdict not stored");
            })
            .inspect(|_| {
                state.leases.heard(&self.request.event, self.request.search_path.as_deref());
                state.fence.heard(&self.request.event, self.row.blocked);
            })
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
