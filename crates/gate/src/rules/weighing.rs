//! What speaks for and against holding a stop in the middle of a job that was asked for, in one number: how the message
//! reads, how the prompt reads, what is on record of the turn's end, and the few phrases that say more than their words.
//!
//! The weights are learned from labelled scenes, each author's by how models of the other authors read them
//! (`train-models`): words that one author likes count for little, what holds across authors for much.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::KnownStop;
use crate::asked::{PromptClass, PromptOdds};
use crate::signals::Signal;

/// The weights that are checked in.
const WEIGHTS: &str = include_str!("../../models/weighing.json");
/// Beyond this, in thousandths of log-odds, a reading counts no more.
const MOST: i32 = 8000;
/// How a job reads of which only the class is known, in what was kept before prompts were read for it.
const TYPICAL: PromptOdds = PromptOdds { job: 3000, insists: 1000 };
/// The most that a prompt can say for a job.
const FIRMEST: PromptOdds = PromptOdds { job: MOST, insists: MOST };

/// How much each ground counts. Log-odds and weights are in thousandths; a stop is held above `holds_above`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighing {
    /// What is there before anything is known.
    pub bias: i32,
    /// Of how the message reads; not below 0.
    pub reads: i32,
    /// Of how much likelier the prompt asks for a job than for anything else.
    pub job: i32,
    /// Of how much the prompt wants all of it.
    pub insists: i32,
    /// The prompt asks for a part, and the next step is of it.
    pub narrow: i32,
    /// A call failed near the end; not above 0.
    pub failed: i32,
    /// A call was refused; not above 0.
    pub denied: i32,
    /// It asks for leave to go on; not below 0.
    pub goes_on: i32,
    /// It asks what only the person can answer; not above 0.
    pub asks: i32,
    /// Its end gives a reason to stop that is no question; not above 0.
    pub reason: i32,
    /// It says that it leaves work, or what it will do; not below 0.
    pub leaves: i32,
    /// Above this a stop is held.
    pub holds_above: i32,
    /// How much more has to speak for it where one step is left, which the message may be about.
    pub last_step: i32,
}

static CHECKED_IN: LazyLock<Option<Weighing>> = LazyLock::new(|| serde_json::from_str(WEIGHTS).ok());

/// What is a reason to stop at the end of a message, beside a question.
const REASONS: [Signal; 5] =
    [Signal::ApprovalNeeded, Signal::MissingInfo, Signal::BlockedByError, Signal::WaitsOutside, Signal::AsAsked];

/// How many grounds there are.
pub const GROUNDS: usize = 10;

impl Weighing {
    /// The weights that are checked in; `None` only where they are broken, which a test rules out: then nothing is held.
    pub fn checked_in() -> Option<&'static Self> {
        CHECKED_IN.as_ref()
    }

    /// The weights of the grounds, in the order of [`grounds`].
    const fn weights(&self) -> [i32; GROUNDS] {
        [
            self.reads,
            self.job,
            self.insists,
            self.narrow,
            self.failed,
            self.denied,
            self.goes_on,
            self.asks,
            self.reason,
            self.leaves,
        ]
    }

    /// These weights of the grounds, in their order, and this bias: nothing that explains a stop makes it suspicious.
    #[must_use]
    pub fn with(self, bias: i32, weights: [i32; GROUNDS]) -> Self {
        let [reads, job, insists, narrow, failed, denied, goes_on, asks, reason, leaves] = weights;
        let (reads, job, insists) = (reads.max(0), job.max(0), insists.max(0));
        let (failed, denied, asks, reason) = (failed.min(0), denied.min(0), asks.min(0), reason.min(0));
        let (goes_on, leaves) = (goes_on.max(0), leaves.max(0));
        Self { bias, reads, job, insists, narrow, failed, denied, goes_on, asks, reason, leaves, ..self }
    }

    /// What speaks for holding `stop`, in thousandths of log-odds.
    pub fn log_odds(&self, stop: &KnownStop<'_>) -> i32 {
        self.of(grounds(stop))
    }

    /// [`Weighing::log_odds`] of a stop of which it is not known what was asked for: the most that it can come to.
    pub(super) fn most(&self, stop: &KnownStop<'_>) -> i32 {
        [false, true].map(|narrow| self.of(grounds_of(stop, FIRMEST, narrow))).into_iter().max().unwrap_or_default()
    }

    /// The same if a job was asked for.
    pub(super) fn as_a_job(&self, stop: &KnownStop<'_>) -> i32 {
        self.of(grounds_of(stop, TYPICAL, false))
    }

    fn of(&self, grounds: [i32; GROUNDS]) -> i32 {
        let each = grounds.into_iter().zip(self.weights());
        let sum: i64 = each.map(|(ground, weight)| i64::from(ground) * i64::from(weight) / 1000).sum();
        i32::try_from(sum + i64::from(self.bias)).unwrap_or(if sum > 0 { i32::MAX } else { i32::MIN })
    }

    /// What speaks for holding `stop` and against it, strongest first, each with what it adds.
    pub fn strongest(&self, stop: &KnownStop<'_>) -> Vec<(&'static str, i32)> {
        const NAMES: [&str; GROUNDS] = [
            "how the message reads",
            "how much the prompt asks for a job",
            "how much the prompt wants all of it",
            "only a part was asked for",
            "a call failed",
            "a call was refused",
            "it asks for leave to go on",
            "it asks what only you can answer",
            "its end gives a reason to stop",
            "it says that it leaves work",
        ];
        let each = NAMES.into_iter().zip(grounds(stop)).zip(self.weights());
        let mut found: Vec<_> = each
            .map(|((name, ground), weight)| (name, i64::from(ground) * i64::from(weight) / 1000))
            .filter(|(_, added)| *added != 0)
            .map(|(name, added)| (name, i32::try_from(added).unwrap_or_default()))
            .collect();
        found.sort_by_key(|(_, added)| std::cmp::Reverse(added.unsigned_abs()));
        found
    }
}

/// What there is of each ground, in thousandths.
pub fn grounds(stop: &KnownStop<'_>) -> [i32; GROUNDS] {
    let asked = &stop.turn.asked;
    grounds_of(stop, asked.odds.unwrap_or(TYPICAL), asked.class == Some(PromptClass::Narrow))
}

fn grounds_of(stop: &KnownStop<'_>, odds: PromptOdds, is_narrow: bool) -> [i32; GROUNDS] {
    let KnownStop { signals, reading, turn_end, .. } = *stop;
    let is = |flag: bool| i32::from(flag) * 1000;
    [
        reading.milli_log_odds.clamp(-MOST, MOST),
        odds.job.clamp(-MOST, MOST),
        odds.insists.clamp(-MOST, MOST),
        is(is_narrow),
        is(turn_end.failed_call.is_some()),
        is(turn_end.denied_call.is_some()),
        is(signals.hands_back()),
        is(signals.has(Signal::AsksQuestion)),
        is(REASONS.into_iter().any(|signal| signals.at_end(signal))),
        is(signals.wants_to_leave()),
    ]
}
