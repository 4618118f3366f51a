//! How long a session has been proven idle, and when that is enough: hysteresis, an announcement before the end, and
//! budgets.

use serde::{Deserialize, Serialize};

use super::activity::{CpuSample, TranscriptStamp};
use super::gates::{Gate, ReaperVerdict};
use stopgate_config::ReaperConfig;
use stopgate_core::clock::{UnixMillis, minutes, seconds};

/// What is remembered of a session from look to look. It is kept in the store: a restart loses no proof.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CandidateMemory {
    /// Looks in a row that found it idle, with the same screen.
    pub streak: Option<Streak>,
    /// Its transcript at the last look.
    pub transcript: Option<TranscriptStamp>,
    /// Its processor time at the last look.
    pub cpu: Option<CpuSample>,
    /// The last verdict.
    pub verdict: Option<ReaperVerdict>,
}

/// Looks in a row that saw the same idle screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// The first of them.
    pub since_ms: UnixMillis,
    /// How many.
    pub observations: u32,
    /// The screen's fingerprint.
    pub frame: u64,
}

/// What a look leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidacyStep {
    /// Something keeps it.
    Kept,
    /// It is idle, but not for long enough.
    Watched,
    /// It has been idle for long enough: its end may be announced.
    Matured,
    /// Its end is announced, and the grace is not over.
    Announced,
    /// The grace is over, and everything was proven again: it may be ended.
    Due,
    /// Its end was announced and is taken back.
    TakenBack(Why),
}

/// Why an announced end is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A gate keeps it now.
    Kept(Gate),
    /// Its screen changed.
    FrameChanged,
    /// The pressure is over.
    PressureGone,
    /// The budget is spent.
    Budget,
}

impl Why {
    /// The words in the audit.
    pub fn name(self) -> String {
        match self {
            Self::Kept(gate) => gate.name().to_owned(),
            Self::FrameChanged => "frame-changed-during-grace".to_owned(),
            Self::PressureGone => "pressure-gone".to_owned(),
            Self::Budget => "budget-spent".to_owned(),
        }
    }
}

/// Takes in one look. `pending` is when the session's end was announced; `threshold` how long it must have been idle
/// under the present pressure.
pub fn step(
    memory: &mut CandidateMemory,
    pending: &mut Option<UnixMillis>,
    look: (ReaperVerdict, u64),
    now_ms: UnixMillis,
    threshold: Option<UnixMillis>,
    config: &ReaperConfig,
) -> CandidacyStep {
    let (verdict, frame) = look;
    if let ReaperVerdict::Keep(gate) = verdict {
        memory.streak = None;
        return if pending.take().is_some() { CandidacyStep::TakenBack(Why::Kept(gate)) } else { CandidacyStep::Kept };
    }
    let streak = match memory.streak {
        Some(streak) if streak.frame == frame && streak.since_ms <= now_ms => {
            Streak { observations: streak.observations.saturating_add(1), ..streak }
        }
        _ => {
            memory.streak = Some(Streak { since_ms: now_ms, observations: 1, frame });
            return if pending.take().is_some() {
                CandidacyStep::TakenBack(Why::FrameChanged)
            } else {
                CandidacyStep::Watched
            };
        }
    };
    memory.streak = Some(streak);
    let idle_ms = now_ms - streak.since_ms;
    let long_enough = |threshold: UnixMillis| idle_ms >= threshold.max(minutes(config.confirm_window_minutes));
    let matured = streak.observations >= config.confirm_observations && threshold.is_some_and(long_enough);
    match *pending {
        Some(_) if threshold.is_none() => {
            *pending = None;
            CandidacyStep::TakenBack(Why::PressureGone)
        }
        Some(since) if now_ms - since >= seconds(config.final_grace_seconds) => CandidacyStep::Due,
        Some(_) => CandidacyStep::Announced,
        None if matured => CandidacyStep::Matured,
        None => CandidacyStep::Watched,
    }
}

/// What may still be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    tick: u32,
    hour: u32,
}

impl Budget {
    /// The budget of one look, when `last_hour` sessions were ended within the last hour.
    pub fn new(last_hour: u32, config: &ReaperConfig) -> Self {
        Self { tick: config.max_reaps_per_tick, hour: config.max_reaps_per_hour.saturating_sub(last_hour) }
    }

    /// Whether another one may be ended.
    pub const fn allows(self) -> bool {
        self.tick > 0 && self.hour > 0
    }

    /// One was ended; what only would have been ended does not spend the hour.
    pub const fn spend(&mut self, really: bool) {
        self.tick = self.tick.saturating_sub(1);
        if really {
            self.hour = self.hour.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: UnixMillis = minutes(1);
    const CRITICAL: Option<UnixMillis> = Some(15 * MINUTE);
    const KEEP: ReaperVerdict = ReaperVerdict::Keep(Gate::TranscriptGrew);

    #[derive(Default)]
    struct Track {
        memory: CandidateMemory,
        pending: Option<UnixMillis>,
    }

    impl Track {
        fn look(
            &mut self,
            verdict: ReaperVerdict,
            frame: u64,
            minute: i64,
            threshold: Option<UnixMillis>,
        ) -> CandidacyStep {
            let config = ReaperConfig::default();
            let step = step(&mut self.memory, &mut self.pending, (verdict, frame), minute * MINUTE, threshold, &config);
            if step == CandidacyStep::Matured {
                self.pending = Some(minute * MINUTE);
            }
            step
        }

        fn idle(&mut self, minute: i64) -> CandidacyStep {
            self.look(ReaperVerdict::Eligible, 1, minute, CRITICAL)
        }
    }

    #[test]
    fn it_matures_at_the_threshold_and_is_due_after_the_grace() {
        let mut track = Track::default();
        for minute in (0..=14).step_by(2) {
            assert_eq!(track.idle(minute), CandidacyStep::Watched, "minute {minute}");
        }
        assert_eq!(track.idle(16), CandidacyStep::Matured);
        assert_eq!(track.idle(16), CandidacyStep::Announced);
        assert_eq!(track.idle(18), CandidacyStep::Due);
    }

    #[test]
    fn not_before_enough_looks_however_much_time_went_by() {
        let mut track = Track::default();
        assert_eq!(
            (track.idle(0), track.idle(600), track.idle(601)),
            (CandidacyStep::Watched, CandidacyStep::Watched, CandidacyStep::Matured)
        );
        let hasty = ReaperConfig { idle_threshold_critical_minutes: 0, ..ReaperConfig::default() };
        let mut memory = CandidateMemory::default();
        for minute in 0..=9 {
            let look = (ReaperVerdict::Eligible, 1);
            assert_eq!(
                step(&mut memory, &mut None, look, minute * MINUTE, Some(0), &hasty),
                CandidacyStep::Watched,
                "window"
            );
        }
    }

    #[test]
    fn a_screen_that_changes_is_never_due() {
        let mut track = Track::default();
        for minute in 0..1_000 {
            let frame = u64::try_from(minute).unwrap();
            assert_eq!(track.look(ReaperVerdict::Eligible, frame, minute, CRITICAL), CandidacyStep::Watched);
        }
    }

    #[test]
    fn an_announced_end_is_taken_back_when_anything_moves() {
        let announced = || {
            let mut track = Track::default();
            (0..=16).step_by(2).for_each(|minute| assert_ne!(track.idle(minute), CandidacyStep::Due));
            assert!(track.pending.is_some());
            track
        };
        let after = |verdict, frame, threshold| {
            let mut track = announced();
            let step = track.look(verdict, frame, 18, threshold);
            assert_eq!(track.pending, None);
            step
        };
        assert_eq!(after(KEEP, 1, CRITICAL), CandidacyStep::TakenBack(Why::Kept(Gate::TranscriptGrew)));
        assert_eq!(after(ReaperVerdict::Eligible, 2, CRITICAL), CandidacyStep::TakenBack(Why::FrameChanged));
        assert_eq!(after(ReaperVerdict::Eligible, 1, None), CandidacyStep::TakenBack(Why::PressureGone));
        let mut kept = announced();
        kept.look(KEEP, 1, 18, CRITICAL);
        assert_eq!(kept.idle(20), CandidacyStep::Watched, "the proof begins anew");
    }

    #[test]
    fn without_pressure_it_is_only_watched_and_the_proof_adds_up() {
        let mut track = Track::default();
        for minute in (0..=60).step_by(2) {
            assert_eq!(track.look(ReaperVerdict::Eligible, 1, minute, None), CandidacyStep::Watched);
        }
        assert_eq!(track.idle(62), CandidacyStep::Matured);
    }

    #[test]
    fn a_clock_that_went_back_begins_anew_and_memory_survives_json() {
        let mut track = Track::default();
        track.memory.verdict = Some(ReaperVerdict::Eligible);
        (10..=24).step_by(2).for_each(|minute| assert_ne!(track.idle(minute), CandidacyStep::Due));
        let restored: CandidateMemory = serde_json::from_str(&serde_json::to_string(&track.memory).unwrap()).unwrap();
        assert_eq!(restored, track.memory);
        let mut restarted = Track { memory: restored, pending: None };
        assert_eq!(restarted.idle(26), CandidacyStep::Matured, "candidacy survives a restart");
        assert_eq!(track.idle(5), CandidacyStep::Watched, "the clock went back");
        assert_eq!(track.memory.streak.unwrap().observations, 1);
    }

    #[test]
    fn budgets_are_for_one_look_and_for_an_hour() {
        let config = ReaperConfig::default();
        let mut budget = Budget::new(0, &config);
        for _ in 0..3 {
            assert!(budget.allows());
            budget.spend(true);
        }
        assert!(!budget.allows());
        assert!(Budget::new(11, &config).allows() && !Budget::new(12, &config).allows());
    }
}
