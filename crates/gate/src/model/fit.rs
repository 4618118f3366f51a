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
    /// How many buckets there are: a power of two, and a byte of the model each.
    pub buckets: usize,
    /// Times that all samples are gone through.
    pub epochs: usize,
    /// How far a step goes.
    pub rate: f32,
    /// How much a weight is drawn to zero.
    pub decay: f32,
}

impl Default for Training {
    fn default() -> Self {
        Self { buckets: 1 << 15, epochs: 40, rate: 1.0, decay: 2e-5 }
    }
}

/// Weights that tell samples of the kind from the others: logistic regression by stochastic gradient descent, both kinds with the same
/// weight in all. The order of samples counts.
#[expect(clippy::cast_precision_loss, reason = "thousands of samples")]
pub fn fit(samples: &[Sample], training: Training) -> Model {
    let buckets = training.buckets.next_power_of_two();
    let kinds = samples.iter().filter(|sample| sample.is_kind).count();
    let weight_of = |count: usize| samples.len() as f32 / (2.0 * count.max(1) as f32);
    let (of_kind, of_others) = (weight_of(kinds), weight_of(samples.len() - kinds));
    // Plain steps that grow shorter. Steps of a length for each weight (`AdaGrad`) learn rare words by heart: on texts of
    // other styles they did markedly worse.
    let mut weights = vec![0.0_f32; buckets];
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
        for sample in order.iter().filter_map(|at| samples.get(*at)) {
            let rate = training.rate / (1.0 + training.rate * decay * step);
            step += 1.0;
            let sum = sample.features.iter().fold(0.0, |sum, f| sum + weights[f.bucket(buckets)] * f.value);
            let wanted = f32::from(u8::from(sample.is_kind));
            let error = (logistic(bias + sum * shrunk) - wanted) * if sample.is_kind { of_kind } else { of_others };
            shrunk *= 1.0 - rate * decay;
            let by = rate * error / shrunk;
            for feature in &sample.features {
                weights[feature.bucket(buckets)] -= by * feature.value;
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
    let weights = weights.iter().map(|weight| (weight / scale).round() as i8).collect();
    Model { scale, bias, weights }
}

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
