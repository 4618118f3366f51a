//! Trains a [`Model`]: the same bytes from the same samples, on every machine.

use super::{Feature, Model, logistic};

/// A text that is of the kind, or not.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its features.
    pub features: Vec<Feature>,
    /// Whether it is of the kind.
    pub is_kind: bool,
}

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// How many features find a place at most: a power of two, and two bytes of the model each.
    pub slots: usize,
    /// In how many samples a feature has to be.
    pub seen: usize,
    /// Times that all samples are gone through.
    pub epochs: usize,
    /// How far a step goes.
    pub rate: f32,
    /// How much a weight is drawn to zero.
    pub decay: f32,
}

/// Weights that tell samples of the kind from the others: logistic regression by stochastic gradient descent, both kinds with the same
/// weight in all. The order of samples counts.
#[expect(clippy::cast_precision_loss, reason = "thousands of samples")]
pub fn fit(samples: &[Sample], training: Training) -> Model {
    // The features by number, those that are seen too seldom left out.
    let mut hashes: Vec<u32> =
        samples.iter().flat_map(|sample| sample.features.iter().map(|feature| feature.hash)).collect();
    hashes.sort_unstable();
    let hashes: Vec<u32> = hashes
        .chunk_by(|one, other| one == other)
        .filter(|same| same.len() >= training.seen)
        .filter_map(|same| same.first().copied())
        .collect();
    let number = |feature: &Feature| Some((hashes.binary_search(&feature.hash).ok()?, feature.value));
    let numbered: Vec<Vec<(usize, f32)>> =
        samples.iter().map(|sample| sample.features.iter().filter_map(number).collect()).collect();
    let kinds = samples.iter().filter(|sample| sample.is_kind).count();
    let weight_of = |count: usize| samples.len() as f32 / (2.0 * count.max(1) as f32);
    let (of_kind, of_others) = (weight_of(kinds), weight_of(samples.len() - kinds));
    // Plain steps that grow shorter. Steps of a length for each weight (`AdaGrad`) learn rare words by heart: on texts of
    // other styles they did markedly worse.
    let mut weights = vec![0.0_f32; hashes.len()];
    let mut bias = 0.0_f32;
    let mut shrunk = 1.0_f32;
    let mut order: Vec<usize> = (0..samples.len()).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let decay = training.decay;
    let mut step = 0.0_f32;
    for _ in 0..training.epochs {
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        for (sample, features) in order.iter().filter_map(|at| Some((samples.get(*at)?, numbered.get(*at)?))) {
            let rate = training.rate / (1.0 + training.rate * decay * step);
            step += 1.0;
            let sum = features.iter().fold(0.0, |sum, (at, value)| sum + weights[*at] * value);
            let wanted = f32::from(u8::from(sample.is_kind));
            let error = (logistic(bias + sum * shrunk) - wanted) * if sample.is_kind { of_kind } else { of_others };
            shrunk *= 1.0 - rate * decay;
            let by = rate * error / shrunk;
            for (at, value) in features {
                weights[*at] -= by * value;
            }
            bias -= rate * 0.1 * error;
        }
    }
    for weight in &mut weights {
        *weight *= shrunk;
    }
    let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
    let scale = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, reason = "within i8 by the choice of scale")]
    let mut weights: Vec<(u32, i8)> =
        hashes.iter().zip(&weights).map(|(hash, weight)| (*hash, (weight / scale).round() as i8)).collect();
    weights.retain(|(_, weight)| weight.unsigned_abs() >= LEAST);
    weights.sort_unstable_by_key(|(hash, weight)| (std::cmp::Reverse(weight.unsigned_abs()), *hash));
    Model::of(scale, bias, training.slots, weights)
}

/// Weights below this share of 127 of the largest are left out.
const LEAST: u8 = 1;

/// xorshift64*: the same order everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0) % bound.max(1)
    }
}
