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
    /// The first of them, by the time that the machine has been awake since it was booted: neither a clock that is set nor
    /// a machine that is suspended makes anybody idle.
    pub since_ms: i64,
    /// How many.
    pub observations: u32,
    /// The screen's fingerprint.
    pub frame: u64,
    /// Which process, pane and terminal were looked at; 0 where that was not noted.
    #[serde(default)]
    pub holder: u64,
}

/// What a look has seen of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SightOf {
    /// What all gates together say.
    pub verdict: ReaperVerdict,
    /// The screen's fingerprint.
    pub frame: u64,
    /// That of the process (its start time included), its pane, and who is in front of the terminal; 0 if not all is known.
    pub holder: u64,
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
    /// It is another process, pane or terminal, or another process is in front of that.
    HolderChanged,
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
            Self::HolderChanged => "holder-changed-during-grace".to_owned(),
            Self::PressureGone => "pressure-gone".to_owned(),
            Self::Budget => "budget-spent".to_owned(),
        }
    }
}

/// Takes in one look, at `now_ms` by the time that the machine has been awake. `pending` is when the session's end was
/// announced; `threshold` how long it must have been idle under the present pressure.
pub fn step(
    memory: &mut CandidateMemory,
    pending: &mut Option<i64>,
    look: SightOf,
    now_ms: i64,
    threshold: Option<UnixMillis>,
    config: &ReaperConfig,
) -> CandidacyStep {
    let SightOf { verdict, frame, holder } = look;
    if let ReaperVerdict::Keep(gate) = verdict {
        memory.streak = None;
        return if pending.take().is_some() { CandidacyStep::TakenBack(Why::Kept(gate)) } else { CandidacyStep::Kept };
    }
    let streak = match memory.streak {
        Some(streak)
            if streak.frame == frame && streak.holder == holder && holder != 0 && streak.since_ms <= now_ms =>
        {
            Streak { observations: streak.observations.saturating_add(1), ..streak }
        }
        before => {
            memory.streak = Some(Streak { since_ms: now_ms, observations: 1, frame, holder });
            return if pending.take().is_some() {
                let is_other_screen = before.is_some_and(|before| before.frame != frame);
                CandidacyStep::TakenBack(if is_other_screen { Why::FrameChanged } else { Why::HolderChanged })
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
        pending: Option<i64>,
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
            let look = SightOf { verdict, frame, holder: 7 };
            let step = step(&mut self.memory, &mut self.pending, look, minute * MINUTE, threshold, &config);
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
            let look = SightOf { verdict: ReaperVerdict::Eligible, frame: 1, holder: 7 };
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
    fn every_look_must_be_at_the_same_process_pane_and_terminal() {
        let config = ReaperConfig::default();
        let mut track = Track::default();
        let mut look = |holder: u64, minute: i64| {
            let look = SightOf { verdict: ReaperVerdict::Eligible, frame: 1, holder };
            let step = step(&mut track.memory, &mut track.pending, look, minute * MINUTE, CRITICAL, &config);
            if step == CandidacyStep::Matured {
                track.pending = Some(minute * MINUTE);
            }
            step
        };
        for minute in 0..16 {
            assert_eq!(look(if minute == 8 { 8 } else { 7 }, minute), CandidacyStep::Watched, "minute {minute}");
        }
        for minute in 16..24 {
            assert_eq!(look(7, minute), CandidacyStep::Watched, "from minute 9 on");
        }
        assert_eq!(look(7, 24), CandidacyStep::Matured);
        assert_eq!(look(8, 25), CandidacyStep::TakenBack(Why::HolderChanged));
        for minute in 30..90 {
            assert_eq!(look(0, minute), CandidacyStep::Watched, "who is not known is never proven");
        }
        // As an older version has remembered it: by the time of day, and of nobody in particular.
        let old = r#"{"streak":{"since_ms":1700000000000,"observations":99,"frame":1}}"#;
        track.memory = serde_json::from_str(old).unwrap();
        let mut restarted = track;
        assert_eq!(restarted.idle(100), CandidacyStep::Watched);
        assert_eq!(restarted.memory.streak.unwrap().observations, 1);
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
