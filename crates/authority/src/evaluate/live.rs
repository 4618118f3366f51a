//! A stop's stages in the world as it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use stopgate_config::Config;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::harness::{EventKind, EventName, Stop, registration};
use stopgate_core::hook::{self, Hook};
use stopgate_core::person::{self, Person};
use stopgate_core::protocol::EvaluateRequest;
use stopgate_core::switch::{self, Mode};
use stopgate_gate::circumstances::{Circumstances, EndedBy};
use stopgate_gate::evidence::{EvidenceFault, EvidencePointer};
use stopgate_gate::facts::Facts;
use stopgate_gate::judge::JudgeQuestion;
use stopgate_gate::pipeline::{self, Answers, Inputs, Judgement, PipelineWorld, Recording, Trace};
use stopgate_gate::signals::Signals;
use stopgate_gate::transcript::Transcript;
use stopgate_gate::turn::{Ceilings, headless_lets_go};
use stopgate_gate::turn_end::TurnEnd;
use stopgate_registry::end_of_transcript;
use stopgate_store::{SessionFacts, TurnRecord};

use super::heard::{Words, read};
use super::{Gone, has_judge, waking};
use crate::facts::{self as gathering, Session};
use crate::judge::{self, JudgeOutcome};
use crate::rules;
use crate::state::{State, Turn};
use crate::turns;

/// How many of the person's prompts say what was asked for.
const MAX_PROMPTS: usize = 8;
/// What is waited beyond the judge: for looking at the evidence again, and for noting and sending the verdict.
const AFTER_JUDGE: Duration = Duration::from_secs(1);
/// How long a transcript is looked at again after that.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A stop that was judged, but for the ceilings.
pub(super) struct Judged {
    /// What its stages were given, and what the world answered.
    pub(super) recording: Recording,
    /// What they found.
    pub(super) trace: Trace,
    /// The contest that the next stop of the session uses up.
    pub(super) contest: Option<i64>,
    /// What the transcript shows of the person, where that was asked.
    pub(super) person: Person,
}

/// How long the world may take to answer.
pub(super) struct Deadlines<'a> {
    pub(super) facts: Instant,
    pub(super) judge: Instant,
    /// Whoever waits for that.
    pub(super) asker: &'a Gone,
}

/// Runs the stages in the world as it is, and keeps what that answers.
pub(super) fn judge(
    state: &State,
    request: &EvaluateRequest,
    config: &Config,
    message: String,
    words: Words,
    until: Deadlines<'_>,
    turn: Turn,
) -> Judged {
    let (session, stored) = state.standing(&request.event.key, request.mode);
    let has_judge = has_judge(config);
    // What the message decides needs no look at the transcript.
    let is_open = words.foregone(has_judge).is_none();
    let transcript = request.event.transcript_path.as_deref().filter(|_| is_open);
    let prompt_id = match &request.event.kind {
        EventKind::Stop(stop) => stop.prompt_id.as_deref(),
        _ => None,
    };
    let look = |path| person::look_back(request.event.key.harness, path, prompt_id, until.facts, MAX_PROMPTS);
    let person = transcript.map(look).unwrap_or_default();
    let told = transcript.and_then(|path| end_of_transcript(request.event.key.harness, path, until.facts));
    let mut inputs = inputs(state, request, config, session.as_ref(), &stored, &person, told.as_ref());
    inputs.reading = match &inputs.turn_end.failed_call {
        Some(call) => read(state, &message, Some(call)),
        None => words.reading,
    };
    let mut world = Live {
        state,
        request,
        config,
        session,
        person: &person,
        heard: if person.prompt.is_none() {
            turns::last_said(state, &request.event.key, request.mode, &stored)
        } else {
            None
        },
        told: told.as_ref(),
        message: &message,
        until,
        answers: Answers::default(),
        turn,
    };
    let trace = pipeline::run_heard(&inputs, words.signals, &mut world);
    let answers = world.answers;
    if trace.signals.is_some() {
        // What nobody looked at is not kept.
        inputs.message = message;
    }
    Judged { recording: Recording { inputs, answers }, trace, contest: stored.contest, person }
}

/// What is known of a stop before its stages run, but for its message and how that reads.
fn inputs(
    state: &State,
    request: &EvaluateRequest,
    config: &Config,
    session: Option<&SessionFacts>,
    stored: &TurnRecord,
    person: &Person,
    told: Option<&Transcript>,
) -> Inputs {
    let none = Stop::default();
    let stop = match &request.event.kind {
        EventKind::Stop(stop) => stop,
        _ => &none,
    };
    let circumstances = Circumstances {
        killed: switch::is_killed(&ProcessEnv, &state.home),
        mode: switch::read_mode(&state.home).mode(),
        subagent: request.event.agent_id.is_some(),
        stop_hook_active: stop.stop_hook_active,
        pending_tasks: waking::tasks(state, stop, told),
        ended_by: ended_by(request, told),
        session_start_ms: session.and_then(|session| session.started_at_ms),
    };
    let started = circumstances.session_start_ms;
    let mut turn = turns::of_session(state, &request.event.key, request.mode, stored, started, person);
    turn.headless = person.headless && headless_lets_go(config.gate.headless, &turn.asked);
    let (limits, has_judge) = (Ceilings::from(&config.gate), has_judge(config));
    let rule_modes = rules::modes(state, config, request.mode);
    let turn_end = TurnEnd { headless: person.headless, ..told.map(|told| told.turn_end.clone()).unwrap_or_default() };
    Inputs { circumstances, message: String::new(), turn, limits, has_judge, turn_end, rule_modes, reading: None }
}

/// What ended the turn besides what the agent says, as far as the event and the end of the transcript tell it.
fn ended_by(request: &EvaluateRequest, told: Option<&Transcript>) -> Option<EndedBy> {
    if request.event.permission_mode.as_deref() == Some("plan") {
        return Some(EndedBy::PlanMode);
    }
    told?.ended_by
}

/// The world as it is.
struct Live<'a> {
    state: &'a State,
    request: &'a EvaluateRequest,
    config: &'a Config,
    session: Option<SessionFacts>,
    person: &'a Person,
    /// The end of the last prompt that the store, or memory, has, where the transcript shows none.
    heard: Option<String>,
    /// What the end of the transcript tells, if that is known.
    told: Option<&'a Transcript>,
    message: &'a str,
    until: Deadlines<'a>,
    answers: Answers,
    turn: Turn,
}

impl Live<'_> {
    /// Does something with what is known of the session, if its start and its directory are.
    fn with_session<T>(&self, work: impl FnOnce(&Session<'_>) -> T) -> Option<T> {
        let event = &self.request.event;
        let known = self.session.as_ref()?;
        let home = ProcessEnv.os(env::HOME).map(PathBuf::from);
        Some(work(&Session {
            key: &event.key,
            cwd: event.cwd.as_deref()?,
            transcript: event.transcript_path.as_deref(),
            person: self.person,
            heard: self.heard.as_deref(),
            told: self.told,
            started_at_ms: known.started_at_ms?,
            clock_held: known.has_comparable_start(self.state.storage.moment()),
            head_at_start: known.head_at_start.as_deref(),
            start_cwd: known.start_cwd.as_deref(),
            search_path: self.request.search_path.as_deref(),
            home: home.as_deref(),
            exclude: &self.config.gate.exclude_plans,
        }))
    }

    /// How long whoever asked can be made to wait for a judge: as the operator says, as long as the hook can, and no longer
    /// than its client lets it.
    fn longest_wait(&self) -> Duration {
        let wait = self.config.judge.wait();
        let waits = self.request.mode == Mode::Enforce && self.request.may_wait && self.until.asker.somebody_waits();
        if !waits || wait.is_zero() {
            return Duration::ZERO;
        }
        let harness = self.request.event.key.harness;
        let registered =
            registration::shortest_timeout(&self.state.home, harness, EventName::Stop, Hook::StopGateRouter);
        wait.min(registered.unwrap_or(hook::USUAL).wait())
    }

    /// Why a stop is let go whatever the judge says, if something has happened while that was waited for.
    fn is_over(&self) -> Option<&'static str> {
        if switch::is_killed(&ProcessEnv, &self.state.home) {
            return Some("killed-meanwhile");
        }
        if switch::read_mode(&self.state.home).mode() != Mode::Enforce {
            return Some("mode-lowered-meanwhile");
        }
        let transcript = self.request.event.transcript_path.as_deref()?;
        let until = Instant::now() + LOOK_AGAIN;
        let person = person::look(self.request.event.key.harness, transcript, None, until);
        person.end.map(|_| "ended-by-person-meanwhile")
    }

    fn look(&self, evidence: &EvidencePointer) -> Result<(), EvidenceFault> {
        if let Some(task) = &evidence.task {
            let until = self.until.facts;
            return match self.with_session(|session| gathering::has_open_task(session, task, until)) {
                Some(Some(true)) => Ok(()),
                Some(None) => Err(EvidenceFault::NotKnownInTime),
                Some(Some(false)) | None => Err(EvidenceFault::PlanChanged),
            };
        }
        let cwd = self.request.event.cwd.as_deref().ok_or(EvidenceFault::PlanChanged)?;
        let search_path = self.request.search_path.as_deref();
        gathering::verify(&self.state.memo, cwd, search_path, evidence, self.until.facts)
    }
}

impl PipelineWorld for Live<'_> {
    fn facts(&mut self) -> Facts {
        let gathered = self.with_session(|session| gathering::gather(&self.state.memo, session, self.until.facts));
        self.turn.leave_checkout();
        self.answers.facts.insert(gathered.unwrap_or_default()).clone()
    }

    fn judge(&mut self, signals: &Signals, facts: &Facts) -> Judgement {
        let question = JudgeQuestion::new(self.message, signals.clone(), facts);
        self.turn.leave();
        let wait = self.longest_wait();
        let longer = || {
            let is_longer = Instant::now() + wait > self.until.judge;
            is_longer.then(|| self.until.asker.prolong(wait + AFTER_JUDGE)).flatten().map(|_| Instant::now() + wait)
        };
        let (state, config) = (self.state, &self.config.judge);
        let said = judge::ask(&state.judges, &state.storage, config, &question, self.until.judge, &longer);
        let judgement = match said {
            JudgeOutcome::Opinion(opinion) => {
                Judgement::Opinion { rule: opinion.rule, evidence: opinion.evidence, rationale: opinion.rationale }
            }
            JudgeOutcome::Failed(failure) => {
                Judgement::Failed { kind: failure.kind.name().to_owned(), detail: failure.detail }
            }
            JudgeOutcome::NotAsked(why) => Judgement::NotAsked { why: why.name().to_owned() },
        };
        // What was looked at before is to be looked at again.
        self.until.facts = self.until.facts.max(Instant::now() + AFTER_JUDGE / 2);
        let judgement = match self.until.asker.waits_until().and_then(|_| self.is_over()) {
            Some(why) => Judgement::NotAsked { why: why.to_owned() },
            None => judgement,
        };
        self.answers.judgement.insert(judgement).clone()
    }

    fn verify(&mut self, evidence: &EvidencePointer) -> Result<(), EvidenceFault> {
        let verified = self.look(evidence);
        self.answers.refused = verified.err();
        verified
    }
}
