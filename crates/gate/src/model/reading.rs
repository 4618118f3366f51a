//! What the model of stops makes of a message: does an agent that has work left hand it back, or does it need somebody?

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::features::{self, Feature, features, features_apart};
use super::{Correction, Model, said, thousandths};

/// The weights, and their digest: as `train-models` writes them.
const WEIGHTS: &[u8] = include_bytes!("../../models/stop-text.bin");
const FILE: &str = "stop-text.bin";
const DIGESTS: &str = include_str!("../../models/SHA256SUMS");

/// How many words are named that speak most for it or against it.
const MAX_WORDS: usize = 6;
/// How much of a digest names weights.
const ID_CHARS: usize = 8;
/// What is known of the turn beside its words weighs as much as half of these.
const WEIGHT: f32 = 0.5;
/// The words of questions, and of a failed call, weigh a little less than those of the message.
const APART_WEIGHT: f32 = 0.7;
/// The parts of the features that are those words.
const QUESTIONS: &str = "?";
const CALL: &str = "!";
/// Longest part of what a failed call says that is looked at, in bytes.
const MAX_CALL_BYTES: usize = 256;

/// The weights that tell finished work.
const DONE_WEIGHTS: &[u8] = include_bytes!("../../models/done-text.bin");

/// What messages are read by.
#[derive(Debug, Clone, PartialEq)]
pub struct StopModels {
    /// Does an agent hand its work back, or does it need somebody?
    pub stop: Model,
    /// Does it tell of finished work, or is some of it left?
    pub done: Model,
}

static MODELS: LazyLock<Option<StopModels>> = LazyLock::new(|| {
    Some(StopModels { stop: Model::from_bytes(WEIGHTS).ok()?, done: Model::from_bytes(DONE_WEIGHTS).ok()? })
});

/// How a message reads, in thousandths of log-odds: above 0 like an agent that hands its work back, below 0 like one
/// that needs somebody. Together with the name of the weights, so that it is known by which it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Thousandths of log-odds.
    pub milli_log_odds: i32,
    /// The first letters of the digest of the weights.
    pub weights: String,
    /// How much it reads like finished work, in thousandths of log-odds; `None` in what was written before that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<i32>,
    /// What of it was learned of the operator's grades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
}

/// What a correction has added to a reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Which correction: [`Correction::hash`].
    pub correction: String,
    /// Thousandths of log-odds, which are in [`Reading::milli_log_odds`].
    pub milli_log_odds: i32,
}

impl Reading {
    /// Reads `message`, at whose end a tool call had failed as `failed_call` says. `None` only where the weights are
    /// broken, which a test rules out.
    pub fn of(message: &str, failed_call: Option<&str>) -> Option<Self> {
        MODELS.as_ref().map(|models| Self::by(models, weights_id(), message, failed_call))
    }

    /// [`Reading::of`] by models of other weights.
    pub fn by(models: &StopModels, weights: &str, message: &str, failed_call: Option<&str>) -> Self {
        let plain = stop_features(message, None);
        let model = &models.stop;
        let mut log_odds = model.log_odds(&plain);
        if failed_call.is_some() {
            // A failure may explain a stop. It makes none suspicious.
            log_odds = log_odds.min(model.log_odds(&stop_features(message, failed_call)));
        }
        let done = Some(thousandths(models.done.log_odds(&plain)));
        Self { milli_log_odds: thousandths(log_odds), weights: weights.to_owned(), done, learned: None }
    }

    /// The same as `correction` moves it, and as no other does.
    #[must_use]
    pub fn corrected(self, correction: Option<&Correction>, message: &str) -> Self {
        let own = self.uncorrected();
        let learned = correction.map(|correction| Learned {
            correction: correction.hash().to_owned(),
            milli_log_odds: thousandths(correction.shift(&features(message))),
        });
        let added = learned.as_ref().map_or(0, |learned| learned.milli_log_odds);
        Self { milli_log_odds: own.saturating_add(added), weights: self.weights, done: self.done, learned }
    }

    /// Thousandths of log-odds by the weights alone.
    pub fn uncorrected(&self) -> i32 {
        self.milli_log_odds.saturating_sub(self.learned.as_ref().map_or(0, |learned| learned.milli_log_odds))
    }

    /// How much it reads like work handed back where nothing but the text is known, in thousandths of log-odds: what reads
    /// like finished work is none. The shares were chosen on left-out authors; no verdict rests on it.
    pub fn text_alone(&self) -> i32 {
        let done = self.done.unwrap_or_default();
        let finished = done.saturating_add(1000).max(0);
        self.milli_log_odds.saturating_sub(done / 2).saturating_sub(finished.saturating_mul(2))
    }

    /// How likely it is, in percent, that an agent hands its work back which says this.
    pub fn percent(&self) -> u32 {
        #[expect(clippy::cast_precision_loss, reason = "a million at most")]
        let log_odds = self.milli_log_odds as f32 / 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
        let percent = (super::logistic(log_odds) * 100.0).round() as u32;
        percent
    }

    /// Whether these weights are the ones that messages are read by now.
    pub fn is_current(&self) -> bool {
        self.weights == weights_id()
    }
}

/// What names the weights that messages are read by.
pub fn weights_id() -> &'static str {
    let line = DIGESTS.lines().find(|line| line.ends_with(FILE));
    line.and_then(|line| line.get(..ID_CHARS)).unwrap_or_default()
}

/// The words of `message` that speak most for handing back (above 0) or against it, strongest first, with what they add to
/// the log-odds. `$` stands before words of its end, `?` before those of its questions, `~` before a part of a
/// word, `*` after a stem, `0` for a number.
pub fn strongest_words(message: &str) -> Vec<(String, f32)> {
    let mut named = features::named(message);
    named.extend(features::named_apart(QUESTIONS, &questions(message)).into_iter().map(scaled_name));
    MODELS.as_ref().map(|models| models.stop.strongest_of(named, MAX_WORDS)).unwrap_or_default()
}

/// The features of a stop.
pub fn stop_features(message: &str, failed_call: Option<&str>) -> Vec<Feature> {
    let mut all = features(message);
    let questions = questions(message);
    if !questions.is_empty() {
        all.push(said("asks", WEIGHT));
        all.extend(features_apart(QUESTIONS, &questions).into_iter().map(scaled));
    }
    if message.trim_end().ends_with(is_question_mark) {
        all.push(said("ends with a question", WEIGHT));
    }
    if let Some(call) = failed_call {
        all.push(said("failed call", WEIGHT));
        let end = call.floor_char_boundary(MAX_CALL_BYTES);
        all.extend(features_apart(CALL, &call[..end]).into_iter().map(scaled));
    }
    all
}

fn scaled(feature: Feature) -> Feature {
    Feature { value: feature.value * APART_WEIGHT, ..feature }
}

fn scaled_name((name, feature): (String, Feature)) -> (String, Feature) {
    (name, scaled(feature))
}

const fn is_question_mark(sign: char) -> bool {
    matches!(sign, '?' | '\u{ff1f}')
}

/// Most bytes of questions that are looked at: those that stand last.
const MAX_QUESTION_BYTES: usize = 2 * 1024;

/// The sentences of `message` that end with a question mark, a line each.
fn questions(message: &str) -> String {
    let tail = &message[message.ceil_char_boundary(message.len().saturating_sub(8 * 1024))..];
    let mut found = String::new();
    for line in tail.lines() {
        let mut start = 0;
        for (at, sign) in line.char_indices() {
            let end = at + sign.len_utf8();
            if is_question_mark(sign) {
                found.push_str(&line[start..end]);
                found.push('\n');
                start = end;
            } else if ends_sentence(sign, &line[end..]) {
                start = end;
            }
        }
    }
    found.split_off(found.ceil_char_boundary(found.len().saturating_sub(MAX_QUESTION_BYTES)))
}

fn ends_sentence(sign: char, rest: &str) -> bool {
    match sign {
        '\u{3002}' | '\u{ff01}' | '\u{2014}' => true,
        '.' | '!' | ';' => rest.starts_with(' '),
        _ => false,
    }
}
