//! One look at all sessions.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use serde_json::json;
use stopgate_config::ReaperConfig;
use stopgate_core::clock::{Moment, UnixMillis, hours};
use stopgate_core::process::Liveness;
use stopgate_core::session::SessionKey;
use stopgate_protocol::SessionRow;
use stopgate_reaper::candidacy::{Budget, CandidacyStep, CandidateMemory, SightOf, Why, step};
use stopgate_reaper::gates::{
    Confidence, Evidence, Gate, GateReading, ReaperVerdict, Seen, kept_without_screen, read, verdict,
};
use stopgate_reaper::pressure::{Pressure, assess, threshold};
use stopgate_reaper::report::{AuditRow, ReaperAuditEvent, ReaperSession, Trip};
use stopgate_store::StoreError;

use super::collect::{self, LookWorld};
use super::machine;
use super::state::{Reaper, lock};
use super::terminate::{self, EndedSession, SessionEnding};

/// Sessions that are looked at, at most.
const MAX_SESSIONS: u32 = 1_000;

/// One session during a look.
pub(super) struct Looked {
    pub(super) row: SessionRow,
    pub(super) memory: CandidateMemory,
    pub(super) evidence: Evidence,
    /// Which process, pane and terminal were looked at.
    pub(super) holder: u64,
    pub(super) readings: Vec<GateReading>,
    pub(super) verdict: ReaperVerdict,
}

impl Looked {
    /// The screen's fingerprint; anything but a frame is kept before it is asked for.
    pub(super) fn frame(&self) -> u64 {
        match self.evidence.screen {
            Seen::Frame(_, frame) => frame,
            Seen::NotLooked | Seen::Unreadable => 0,
        }
    }

    pub(super) fn report(&self, pending: bool, awake_ms: i64) -> ReaperSession {
        let kept_by = match self.verdict {
            ReaperVerdict::Keep(gate) => Some(gate),
            ReaperVerdict::Eligible => None,
        };
        ReaperSession {
            harness: self.row.harness,
            session_id: self.row.session_id.clone(),
            verdict: if kept_by.is_some() { "keep" } else { "reap-eligible" }.to_owned(),
            kept_by,
            confidence: kept_by.map_or(Confidence::High, Gate::confidence),
            consecutive: self.memory.streak.map_or(0, |streak| streak.observations),
            idle_ms: self.memory.streak.map_or(0, |streak| awake_ms - streak.since_ms),
            reap_pending: pending,
        }
    }
}

/// The sessions that live, with the evidence on each. `only` leaves out the panes of all others.
pub(super) fn gather(
    reaper: &Reaper,
    config: &ReaperConfig,
    now: Moment,
    only: Option<&SessionKey>,
) -> Result<Vec<Looked>, StoreError> {
    let settled_for = reaper.settled_for(now);
    let (mut rows, memories) =
        reaper.storage.with_store(|store| Ok((store.sessions_not_ended(MAX_SESSIONS)?, store.reaper_memories()?)))?;
    let mut memories: HashMap<SessionKey, CandidateMemory> = memories.into_iter().collect();
    let world = LookWorld::look(&mut rows, now, settled_for);
    let mut looked: Vec<Looked> = rows
        .iter()
        .filter(|row| !row.state.is_over() && row.liveness != Liveness::Gone)
        .map(|row| {
            let mut memory = memories.remove(&row.key()).unwrap_or_default();
            let gathered = catch_unwind(AssertUnwindSafe(|| world.evidence(row, &rows, &mut memory, config)));
            let (evidence, readings) = match gathered {
                Ok(evidence) => {
                    let readings = read(&evidence, config);
                    (evidence, readings)
                }
                Err(_) => (Evidence::default(), vec![failed()]),
            };
            let holder = world.holder(row);
            Looked { row: row.clone(), memory, verdict: verdict(&readings), evidence, holder, readings }
        })
        .collect();
    let wanted = |one: &Looked| match only {
        Some(key) => one.row.key() == *key,
        None => !kept_without_screen(&one.readings),
    };
    let frames = {
        let rows: Vec<&SessionRow> = looked.iter().filter(|one| wanted(one)).map(|one| &one.row).collect();
        collect::frames(&rows, config)
    };
    for one in &mut looked {
        if wanted(one) && one.verdict != ReaperVerdict::Keep(Gate::EvalError) {
            one.evidence.screen = collect::seen(&one.row, &frames);
            one.readings = read(&one.evidence, config);
            one.verdict = verdict(&one.readings);
        }
    }
    Ok(looked)
}

fn failed() -> GateReading {
    GateReading { gate: Gate::EvalError, keeps: true, value: "the evidence could not be gathered".to_owned() }
}

/// What a look has at hand.
struct Look<'a> {
    reaper: &'a Reaper,
    config: &'a ReaperConfig,
    now: Moment,
    pressure: Pressure,
    threshold: Option<UnixMillis>,
    rehearses: bool,
    budget: Budget,
    audit: Vec<AuditRow>,
}

/// One look. Blocks for as long as it takes to end what is to be ended.
pub(super) fn tick(reaper: &Reaper, config: &ReaperConfig) {
    let _looking = lock(&reaper.looking);
    let began = Instant::now();
    let moment = reaper.storage.moment();
    if let Err(error) = look(reaper, config, moment) {
        tracing::warn!(%error, "the reaper could not look");
    }
    let mut now = lock(&reaper.now);
    now.last_tick_at_ms = Some(moment.wall_ms);
    now.last_tick_awake_ms = Some(moment.awake_ms);
    now.last_tick_took_ms = u64::try_from(began.elapsed().as_millis()).ok();
}

fn look(reaper: &Reaper, config: &ReaperConfig, moment: Moment) -> Result<(), StoreError> {
    let mut looked = gather(reaper, config, moment, None)?;
    let now_ms = moment.wall_ms;
    let (trip, last_hour) =
        reaper.storage.with_store(|store| Ok((store.reaper_trip()?, store.reaped_since(now_ms - hours(1))?)))?;
    let pressure = assess(machine::reading(), config);
    let mut look = Look {
        reaper,
        config,
        now: moment,
        pressure,
        threshold: threshold(pressure.tier, config),
        rehearses: config.dry_run || trip.is_some(),
        budget: Budget::new(last_hour, config),
        audit: Vec::new(),
    };
    let mut pending = std::mem::take(&mut lock(&reaper.now).pending);
    let mut still_pending = HashMap::new();
    let mut ended = Vec::new();
    for one in &mut looked {
        let key = one.row.key();
        let mut since = pending.remove(&key);
        if look.advance(one, &mut since) {
            ended.push(key);
        } else if let Some(since) = since {
            still_pending.insert(key, since);
        }
    }
    looked.retain(|one| !ended.contains(&one.row.key()));
    let memories: Vec<_> = looked.iter().map(|one| (one.row.key(), one.memory.clone())).collect();
    let sessions =
        looked.iter().map(|one| one.report(still_pending.contains_key(&one.row.key()), moment.awake_ms)).collect();
    let mut now = lock(&reaper.now);
    now.pending = still_pending;
    now.sessions = sessions;
    drop(now);
    reaper.storage.with_store(|store| store.record_look(now_ms, &memories, &look.audit))
}

impl Look<'_> {
    /// Takes one session a step on; whether it was ended.
    fn advance(&mut self, one: &mut Looked, since: &mut Option<i64>) -> bool {
        if one.memory.verdict.replace(one.verdict) != Some(one.verdict) {
            let kept_by = match one.verdict {
                ReaperVerdict::Keep(gate) => Some(gate.name().to_owned()),
                ReaperVerdict::Eligible => None,
            };
            self.note(one, ReaperAuditEvent::Decision, kept_by);
        }
        let look = SightOf { verdict: one.verdict, frame: one.frame(), holder: one.holder };
        match step(&mut one.memory, since, look, self.now.awake_ms, self.threshold, self.config) {
            CandidacyStep::Kept | CandidacyStep::Watched | CandidacyStep::Announced => {}
            CandidacyStep::TakenBack(why) => self.note(one, ReaperAuditEvent::ReapAborted, Some(why.name())),
            // Whoever does not fit into the budget any more waits for the next look.
            CandidacyStep::Matured if !self.budget.allows() => {}
            CandidacyStep::Matured => {
                *since = Some(self.now.awake_ms);
                self.note(one, ReaperAuditEvent::ReapPending, None);
            }
            CandidacyStep::Due => {
                *since = None;
                return self.end(one);
            }
        }
        false
    }

    /// Ends a session whose time has come, or says that it would; whether it was ended.
    fn end(&mut self, one: &mut Looked) -> bool {
        if !self.budget.allows() {
            self.note(one, ReaperAuditEvent::ReapAborted, Some(Why::Budget.name()));
            return false;
        }
        if self.rehearses {
            self.budget.spend(false);
            self.note(one, ReaperAuditEvent::WouldReap, None);
            // Proven again before it is said again.
            one.memory.streak = None;
            return false;
        }
        let ending = SessionEnding {
            row: &one.row,
            by: terminate::By::Reaper {
                transcript: one.memory.transcript.clone(),
                frame: one.frame(),
                holder: one.holder,
            },
            detail: self.detail(one),
            tier: Some(self.pressure.tier.name().to_owned()),
        };
        match terminate::end(self.reaper, &ending, self.config) {
            EndedSession::Done(done) => {
                self.budget.spend(true);
                tracing::info!(session = %one.row.key(), killed = done.killed, "ended an idle session");
                return true;
            }
            EndedSession::Refused(why) => self.note(one, ReaperAuditEvent::ReapRefused, Some(why.name().to_owned())),
            EndedSession::Failed(why) => {
                tracing::error!(session = %one.row.key(), why, "a session could not be ended: rehearsing from now on");
                self.note(one, ReaperAuditEvent::ReapFailed, Some(why.clone()));
                self.rehearses = true;
                let trip = Trip { at_ms: self.now.wall_ms, detail: format!("{}: {why}", one.row.key()) };
                let _ = self.reaper.storage.with_store(|store| store.set_reaper_trip(Some(&trip)));
            }
        }
        one.memory.streak = None;
        false
    }

    fn note(&mut self, one: &Looked, event: ReaperAuditEvent, kept_by: Option<String>) {
        self.audit.push(AuditRow {
            at_ms: self.now.wall_ms,
            harness: one.row.harness,
            session_id: one.row.session_id.clone(),
            event,
            kept_by,
            tier: Some(self.pressure.tier.name().to_owned()),
            detail: self.detail(one),
        });
    }

    /// The inputs of a decision.
    fn detail(&self, one: &Looked) -> serde_json::Value {
        let streak = one.memory.streak;
        let gates: serde_json::Map<_, _> = one
            .readings
            .iter()
            .filter(|reading| reading.keeps)
            .map(|reading| (reading.gate.name().to_owned(), json!(reading.value)))
            .collect();
        json!({
            "pressure": self.pressure,
            "threshold_ms": self.threshold,
            "dry_run": self.rehearses,
            "idle_ms": streak.map_or(0, |streak| self.now.awake_ms - streak.since_ms),
            "consecutive": streak.map_or(0, |streak| streak.observations),
            "keeps": gates,
        })
    }
}
