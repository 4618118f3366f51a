//! A small model of words: how much a text reads like one of the kind that it was trained to know. A hint beside the
//! rules and the evidence, never a verdict.
//!
//! Logistic regression over hashed words, stems and pairs of words (of signs, where a script has no spaces). What stands
//! at the end of a text counts apart: there an agent says why it stops. Weights are trained by
//! `cargo run --release -p stopgate-gate --example train-models` from `tests/corpus`, and checked in below `models/`.

pub mod correction;
pub mod features;
pub mod fit;
pub mod reading;
#[cfg(test)]
mod tests;

pub use correction::Correction;
pub use features::{Feature, features, features_apart, said};
pub use reading::{Reading, StopModels};

/// The weights of a kind of text: a table of the features that tell something.
///
/// Each is found by the low bits of its hash, and known by the high ones. A feature that is not in it counts for nothing: with
/// a weight for each bucket instead, those that were never seen would count for others.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What the weights are multiples of.
    scale: f32,
    bias: f32,
    /// As many as a power of two.
    slots: Vec<Slot>,
}

/// A feature and its weight; a weight of 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    tag: u8,
    weight: i8,
}

/// A file of weights is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAModel;

/// What a file of weights begins with: a name and the version of the format.
const MAGIC: &[u8; 8] = b"sgmodel2";
/// In how many slots beside each other a feature may stand.
const PROBES: usize = 4;

impl Model {
    /// Weights of features by their hashes, the most telling first. What finds no place is left out.
    fn of(scale: f32, bias: f32, slots: usize, weights: impl IntoIterator<Item = (u32, i8)>) -> Self {
        let mut model = Self { scale, bias, slots: vec![Slot::default(); slots.next_power_of_two().max(PROBES)] };
        for (hash, weight) in weights {
            let free = model.places(hash).find(|place| model.slots[*place].weight == 0);
            if let Some(place) = free {
                model.slots[place] = Slot { tag: tag(hash), weight };
            }
        }
        model
    }

    /// Where a feature of this hash may stand.
    fn places(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let first = hash as usize & self.slots.len().wrapping_sub(1);
        (0..PROBES).map(move |probe| first ^ probe)
    }

    /// Reads weights as [`Model::to_bytes`] writes them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAModel> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(NotAModel)?;
        let (scale, rest) = rest.split_first_chunk::<4>().ok_or(NotAModel)?;
        let (bias, rest) = rest.split_first_chunk::<4>().ok_or(NotAModel)?;
        let (scale, bias) = (f32::from_le_bytes(*scale), f32::from_le_bytes(*bias));
        let (pairs, left) = rest.as_chunks::<2>();
        let is_table = left.is_empty() && pairs.len().is_power_of_two() && pairs.len() >= PROBES;
        if !is_table || !scale.is_finite() || !bias.is_finite() {
            return Err(NotAModel);
        }
        let slots = pairs.iter().map(|[tag, weight]| Slot { tag: *tag, weight: weight.cast_signed() }).collect();
        Ok(Self { scale, bias, slots })
    }

    /// The weights as a file: 16 bytes, and two for each slot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.scale.to_le_bytes());
        bytes.extend(self.bias.to_le_bytes());
        bytes.extend(self.slots.iter().flat_map(|slot| [slot.tag, slot.weight.cast_unsigned()]));
        bytes
    }

    /// How much a text of these features reads like one of the kind: log-odds, 0 where both are as likely.
    pub fn log_odds(&self, features: &[Feature]) -> f32 {
        features.iter().fold(self.bias, |sum, feature| sum + self.weight(*feature))
    }

    /// How likely a text of these features is of the kind, from 0 to 1.
    pub fn probability(&self, features: &[Feature]) -> f32 {
        logistic(self.log_odds(features))
    }

    /// The words of `text` that speak most for the kind or against it, strongest first, with what they add to the
    /// log-odds.
    pub fn strongest(&self, text: &str, most: usize) -> Vec<(String, f32)> {
        self.strongest_of(features::named(text), most)
    }

    fn strongest_of(&self, named: Vec<(String, Feature)>, most: usize) -> Vec<(String, f32)> {
        let named = named.into_iter().map(|(name, feature)| (name, self.weight(feature)));
        let mut found: Vec<(String, f32)> = named.filter(|(_, weight)| *weight != 0.0).collect();
        found.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()).then_with(|| one.0.cmp(&other.0)));
        found.truncate(most);
        found
    }

    /// What `feature` adds to the log-odds.
    fn weight(&self, feature: Feature) -> f32 {
        let tag = tag(feature.hash);
        let slots = self.places(feature.hash).filter_map(|place| self.slots.get(place));
        let found = slots.take_while(|slot| slot.weight != 0).find(|slot| slot.tag == tag);
        found.map_or(0.0, |slot| f32::from(slot.weight) * self.scale * feature.value)
    }
}

/// By which bits of its hash a feature is known in its slot.
const fn tag(hash: u32) -> u8 {
    (hash >> 24) as u8
}

/// The logistic function, of basic operations alone: the same bits on every machine, which the library's `exp` does not
/// promise.
pub fn logistic(sum: f32) -> f32 {
    /// Beyond this an `f32` tells no difference from 0 or 1.
    const MOST: f64 = 40.0;
    /// The series is taken at this fraction, and squared as often as that was halved.
    const HALVED: u32 = 10;
    let at = (-f64::from(sum)).clamp(-MOST, MOST) / f64::from(1_u32 << HALVED);
    let mut exp = 1.0 + at * (1.0 + at / 2.0 * (1.0 + at / 3.0 * (1.0 + at / 4.0)));
    for _ in 0..HALVED {
        exp *= exp;
    }
    #[expect(clippy::cast_possible_truncation, reason = "from 0 to 1")]
    let share = (1.0 / (1.0 + exp)) as f32;
    share
}

/// Log-odds in thousandths, as they are written down.
#[expect(clippy::cast_possible_truncation, reason = "cut to thousands")]
pub fn thousandths(log_odds: f32) -> i32 {
    (log_odds.clamp(-1000.0, 1000.0) * 1000.0).round() as i32
}
