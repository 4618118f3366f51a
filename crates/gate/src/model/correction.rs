//! What a model has learned of one operator's grades: a small addition to its log-odds. It is bounded in every part, so that
//! grades can move what is in doubt and nothing else.

use serde::{Deserialize, Serialize};

use super::{Feature, features, logistic};

/// Most features that a correction has weights for.
pub const MAX_WEIGHTS: usize = 32;
/// The largest bias, in log-odds.
pub const MAX_BIAS: f32 = 1.0;
/// The largest weight. The value of a feature is 0.05 to 0.2 in a message of usual length: each adds up to 1 or so.
pub const MAX_WEIGHT: f32 = 8.0;
/// The most that a correction moves a message, in log-odds: what the model is sure of stays as it is.
pub const MAX_SHIFT: f32 = 1.5;
/// Largest file that is believed.
pub const MAX_BYTES: u64 = 16 * 1024;
/// Fewest grades that are learned from, and fewest of either kind.
pub const MIN_GRADES: usize = 20;
/// See [`MIN_GRADES`].
pub const MIN_OF_A_KIND: usize = 5;

/// A feature that fewer messages have tells nothing, and so does one that fewer than a twentieth have.
const MIN_SEEN: usize = 3;
/// Longest name of a feature, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The format of the file.
const VERSION: u32 = 1;
/// Parts that cross-validation divides the grades into.
const FOLDS: usize = 5;
/// By how much its loss has to fall, as a share and by itself: less is chance, or nothing that anybody would notice.
const MIN_GAIN: f64 = 0.02;
const MIN_FALL: f64 = 0.01;
/// Steps of the fit, and how far each goes.
const STEPS: usize = 400;
const RATE: f64 = 4.0;
/// How much bias and weights are drawn to zero, in units of one grade's pull. A bias touches every message.
const BIAS_DECAY: f64 = 1.0;
const WEIGHT_DECAY: f64 = 0.02;

/// The weight of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureWeight {
    /// The hash of its name.
    pub feature: u32,
    /// Its name, for people.
    pub name: String,
    /// What it adds to the log-odds, times its value.
    pub weight: f32,
}

/// A correction as it is kept in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    version: u32,
    /// Which weights it corrects: [`super::reading::weights_id`].
    pub model: String,
    /// How many grades it was learned from.
    pub grades: usize,
    /// What is added to every message.
    pub bias: f32,
    /// What single features add, the strongest first.
    pub weights: Vec<FeatureWeight>,
    /// Of all of the above: [`Correction::hash`].
    hash: String,
}

/// Why a file is no correction, or none of this model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotACorrection {
    /// It is not understood, or was changed by hand.
    Garbled,
    /// Something in it is larger than may be.
    Unbounded,
    /// It was learned with other weights of the model.
    OtherModel,
}

impl NotACorrection {
    /// The same for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Garbled => "is not understood, or was changed by hand",
            Self::Unbounded => "asks for more than a correction may",
            Self::OtherModel => "was learned with other weights of the model",
        }
    }
}

/// A message that was graded.
#[derive(Debug, Clone)]
pub struct GradedMessage {
    /// Its text.
    pub text: String,
    /// What the model says of the stop, in log-odds, without a correction.
    pub log_odds: f32,
    /// Whether the agent should have gone on, by the grade.
    pub should_continue: bool,
}

/// How a fit does on grades that it has not seen, beside the model alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Validation {
    /// Mean logarithmic loss without it.
    pub loss_before: f64,
    /// And with it.
    pub loss_after: f64,
    /// Grades that the model agrees with, without it.
    pub right_before: usize,
    /// And with it.
    pub right_after: usize,
}

impl Validation {
    /// Whether it is worth taking: clearly less loss, and not one more wrong.
    pub fn improves(&self) -> bool {
        let least = MIN_FALL.max(self.loss_before * MIN_GAIN);
        self.loss_before - self.loss_after >= least && self.right_after >= self.right_before
    }
}

/// Why nothing is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotLearned {
    /// There are too few grades, or of one kind.
    TooFew {
        /// Grades that say that the agent should have gone on.
        go_on: usize,
        /// Those that say that it was right to stop.
        stop: usize,
    },
    /// On grades that it had not seen it did no better than the model alone.
    NoGain(Validation),
}

impl Correction {
    /// By how much it moves a message of these features, in log-odds.
    pub fn shift(&self, features: &[Feature]) -> f32 {
        let weight =
            |feature: &Feature| self.weights.iter().find(|one| one.feature == feature.hash).map(|one| one.weight);
        let sum = features.iter().filter_map(|feature| Some(weight(feature)? * feature.value)).sum::<f32>();
        (self.bias + sum).clamp(-MAX_SHIFT, MAX_SHIFT)
    }

    /// Learns from `graded`, of which `model` made what they say. Nothing, unless that does better on grades left out.
    pub fn learn(model: &str, graded: &[GradedMessage]) -> Result<(Self, Validation), NotLearned> {
        let go_on = graded.iter().filter(|one| one.should_continue).count();
        let stop = graded.len() - go_on;
        if graded.len() < MIN_GRADES || go_on.min(stop) < MIN_OF_A_KIND {
            return Err(NotLearned::TooFew { go_on, stop });
        }
        let samples: Vec<Sample> = graded.iter().map(Sample::of).collect();
        let validation = validate(&samples);
        if !validation.improves() {
            return Err(NotLearned::NoGain(validation));
        }
        let fitted = Fit::of(&samples.iter().collect::<Vec<_>>());
        Ok((fitted.named(model, graded), validation))
    }

    /// Reads what [`Correction::to_json`] writes. All of it counts, or nothing does.
    pub fn from_json(bytes: &[u8], model: &str) -> Result<Self, NotACorrection> {
        let read: Self = serde_json::from_slice(bytes).map_err(|_| NotACorrection::Garbled)?;
        if read.version != VERSION || read.hash != read.content_hash() {
            return Err(NotACorrection::Garbled);
        }
        let is_within = |value: f32, most: f32| value.is_finite() && value.abs() <= most;
        let fits = |one: &FeatureWeight| is_within(one.weight, MAX_WEIGHT) && one.name.len() <= MAX_NAME_BYTES;
        if !is_within(read.bias, MAX_BIAS) || read.weights.len() > MAX_WEIGHTS || !read.weights.iter().all(fits) {
            return Err(NotACorrection::Unbounded);
        }
        if read.model != model {
            return Err(NotACorrection::OtherModel);
        }
        Ok(read)
    }

    /// As a file.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Which correction it is: 16 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    fn content_hash(&self) -> String {
        let mut bytes = self.version.to_le_bytes().to_vec();
        bytes.extend(self.model.bytes().chain([0]));
        bytes.extend(self.grades.to_le_bytes());
        bytes.extend(self.bias.to_le_bytes());
        for FeatureWeight { feature, name, weight } in &self.weights {
            bytes.extend(feature.to_le_bytes());
            bytes.extend(name.bytes().chain([0]));
            bytes.extend(weight.to_le_bytes());
        }
        digest(&bytes)
    }
}

/// FNV-1a of 64 bits: tells one from another, and nothing that somebody wants to pass off as the other.
fn digest(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

struct Sample {
    features: Vec<Feature>,
    log_odds: f64,
    wanted: f64,
}

impl Sample {
    fn of(graded: &GradedMessage) -> Self {
        Self {
            features: features::features(&graded.text),
            log_odds: f64::from(graded.log_odds),
            wanted: f64::from(u8::from(graded.should_continue)),
        }
    }

    fn loss(&self, shift: f64) -> f64 {
        let likely = likely(self.log_odds + shift).clamp(1e-6, 1.0 - 1e-6);
        -(self.wanted * likely.ln() + (1.0 - self.wanted) * (1.0 - likely).ln())
    }

    fn is_right(&self, shift: f64) -> bool {
        (self.log_odds + shift > 0.0) == (self.wanted > 0.5)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "log-odds")]
fn likely(log_odds: f64) -> f64 {
    f64::from(logistic(log_odds as f32))
}

/// Bias and weights that are being learned.
struct Fit {
    bias: f64,
    weights: Vec<(u32, f64)>,
}

impl Fit {
    fn shift(&self, sample: &Sample) -> f64 {
        let weight = |hash: u32| self.weights.iter().find(|(of, _)| *of == hash).map_or(0.0, |(_, weight)| *weight);
        let sum: f64 = sample.features.iter().map(|feature| weight(feature.hash) * f64::from(feature.value)).sum();
        (self.bias + sum).clamp(-f64::from(MAX_SHIFT), f64::from(MAX_SHIFT))
    }

    /// Logistic regression on top of what the model says, with the features that would lower the loss most.
    fn of(samples: &[&Sample]) -> Self {
        let mut fit = Self { bias: 0.0, weights: pulled(samples).into_iter().map(|hash| (hash, 0.0)).collect() };
        #[expect(clippy::cast_precision_loss, reason = "hundreds of grades")]
        let count = samples.len().max(1) as f64;
        // What each weight is multiplied with, for each sample.
        let values: Vec<Vec<f64>> = samples.iter().map(|sample| fit.values(sample)).collect();
        for _ in 0..STEPS {
            let mut slopes = vec![0.0; fit.weights.len()];
            let mut bias_slope = fit.bias * BIAS_DECAY;
            for (sample, values) in samples.iter().zip(&values) {
                let sum: f64 = fit.weights.iter().zip(values).map(|((_, weight), value)| weight * value).sum();
                let error = likely(sample.log_odds + fit.bias + sum) - sample.wanted;
                bias_slope += error;
                slopes.iter_mut().zip(values).for_each(|(slope, value)| *slope += error * value);
            }
            let bound = |value: f64, most: f32| value.clamp(-f64::from(most), f64::from(most));
            fit.bias = bound(fit.bias - RATE / 4.0 * bias_slope / count, MAX_BIAS);
            for ((_, weight), slope) in fit.weights.iter_mut().zip(&slopes) {
                // A value is a tenth or so: its square is what a slope falls short by.
                *weight = bound(*weight - RATE * (10.0 * slope + WEIGHT_DECAY * *weight) / count, MAX_WEIGHT);
            }
        }
        fit
    }

    fn values(&self, sample: &Sample) -> Vec<f64> {
        let value =
            |hash: u32| sample.features.iter().find(|feature| feature.hash == hash).map(|feature| feature.value);
        self.weights.iter().map(|(hash, _)| value(*hash).map_or(0.0, f64::from)).collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "within the bounds")]
    fn named(&self, model: &str, graded: &[GradedMessage]) -> Correction {
        let mut weights: Vec<_> = self
            .weights
            .iter()
            .filter(|(_, weight)| weight.abs() >= 0.01)
            .map(|(feature, weight)| FeatureWeight {
                feature: *feature,
                name: name_of(*feature, graded),
                weight: *weight as f32,
            })
            .collect();
        weights.sort_by(|one, other| {
            other.weight.abs().total_cmp(&one.weight.abs()).then(one.feature.cmp(&other.feature))
        });
        let mut learned = Correction {
            version: VERSION,
            model: model.to_owned(),
            grades: graded.len(),
            bias: self.bias as f32,
            weights,
            hash: String::new(),
        };
        learned.hash = learned.content_hash();
        learned
    }
}

/// What a feature is called in the first message that has it.
fn name_of(hash: u32, graded: &[GradedMessage]) -> String {
    let mut names = graded.iter().flat_map(|one| features::named(&one.text));
    let name = names.find(|(_, feature)| feature.hash == hash).map(|(name, _)| name).unwrap_or_default();
    name.get(..name.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or_default().to_owned()
}

/// The features that pull hardest against what the model says, of some samples at least; what nearly all have is no more than a
/// bias, which has its own bound.
fn pulled(samples: &[&Sample]) -> Vec<u32> {
    let least = MIN_SEEN.max(samples.len() / 20);
    let mut pulls: std::collections::BTreeMap<u32, (usize, f64)> = std::collections::BTreeMap::new();
    for sample in samples {
        let error = sample.wanted - likely(sample.log_odds);
        for feature in &sample.features {
            let pull = pulls.entry(feature.hash).or_default();
            pull.0 += 1;
            pull.1 += error * f64::from(feature.value);
        }
    }
    let mut found: Vec<_> =
        pulls.into_iter().filter(|(_, (count, _))| (least..=samples.len() * 4 / 5).contains(count)).collect();
    found.sort_by(|(one, (_, pull)), (other, (_, than))| than.abs().total_cmp(&pull.abs()).then(one.cmp(other)));
    found.into_iter().take(MAX_WEIGHTS).map(|(hash, _)| hash).collect()
}

/// Learns from four fifths and looks at the rest, five times.
#[expect(clippy::cast_precision_loss, reason = "hundreds of grades")]
fn validate(samples: &[Sample]) -> Validation {
    let (mut before, mut after, mut right_before, mut right_after) = (0.0, 0.0, 0, 0);
    for fold in 0..FOLDS {
        let (out, seen): (Vec<_>, Vec<_>) = samples.iter().enumerate().partition(|(at, _)| at % FOLDS == fold);
        let fit = Fit::of(&seen.into_iter().map(|(_, sample)| sample).collect::<Vec<_>>());
        for (_, sample) in out {
            let shift = fit.shift(sample);
            before += sample.loss(0.0);
            after += sample.loss(shift);
            right_before += usize::from(sample.is_right(0.0));
            right_after += usize::from(sample.is_right(shift));
        }
    }
    let count = samples.len().max(1) as f64;
    Validation { loss_before: before / count, loss_after: after / count, right_before, right_after }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = "0123456789abcdef";

    fn graded(text: &str, log_odds: f32, should_continue: bool) -> GradedMessage {
        GradedMessage { text: text.to_owned(), log_odds, should_continue }
    }

    /// An operator whose agents end with "parking this" when they should go on, and with "over to review" when they may stop:
    /// words that the model knows nothing of.
    fn habits() -> Vec<GradedMessage> {
        let subjects =
            ["parser", "lexer", "exporter", "schema", "login", "cache", "report", "index", "queue", "mailer"];
        let each = subjects.iter().flat_map(|subject| {
            [
                graded(&format!("The {subject} compiles. I am parking this for the moment."), -0.4, true),
                graded(&format!("The {subject} compiles. It goes over to review."), 0.4, false),
            ]
        });
        each.chain(subjects.iter().flat_map(|subject| {
            [
                graded(&format!("Rewrote the {subject}; parking this here."), -0.3, true),
                graded(&format!("Rewrote the {subject}; it goes over to review."), 0.3, false),
            ]
        }))
        .collect()
    }

    #[test]
    fn an_operators_own_words_are_learned_and_carry_over_to_new_messages() {
        let (learned, validation) = Correction::learn(MODEL, &habits()).unwrap();
        assert!(validation.improves() && validation.right_after > validation.right_before, "{validation:?}");
        let shift = |text: &str| learned.shift(&features::features(text));
        let (go_on, stop) =
            (shift("The tokenizer is new. Parking this."), shift("The tokenizer is new. It goes over to review."));
        assert!(go_on > 0.3 && stop < -0.3, "{go_on} {stop} {learned:?}");
        assert!(shift("Everything is green.").abs() < 0.4, "what it does not know stays much as it is");
        assert!(learned.weights.iter().any(|one| one.name.contains("parking")), "{learned:?}");
        assert_eq!(Correction::learn(MODEL, &habits()).unwrap().0, learned, "the same grades teach the same");
    }

    #[test]
    fn few_grades_or_of_one_kind_or_without_a_pattern_teach_nothing() {
        let few = &habits()[..18];
        assert_eq!(Correction::learn(MODEL, few).unwrap_err(), NotLearned::TooFew { go_on: 9, stop: 9 });
        let one_kind: Vec<_> = (0..30).map(|at| graded(&format!("Done {at}."), 0.1, at < 4)).collect();
        assert_eq!(Correction::learn(MODEL, &one_kind).unwrap_err(), NotLearned::TooFew { go_on: 4, stop: 26 });
        // Each text was graded both ways.
        let noise: Vec<_> =
            (0..40).map(|at| graded(&format!("Part {} is done.", at / 4 % 5), 0.0, at % 2 == 0)).collect();
        assert!(matches!(Correction::learn(MODEL, &noise), Err(NotLearned::NoGain(_))));
        // The model knows it all.
        let known: Vec<_> = habits()
            .into_iter()
            .map(|one| GradedMessage { log_odds: if one.should_continue { 6.0 } else { -6.0 }, ..one })
            .collect();
        assert!(matches!(Correction::learn(MODEL, &known), Err(NotLearned::NoGain(_))));
    }

    #[test]
    fn what_is_written_is_read_and_what_is_hostile_is_nothing() {
        let (learned, _) = Correction::learn(MODEL, &habits()).unwrap();
        let json = learned.to_json().unwrap();
        assert!((json.len() as u64) < MAX_BYTES, "{}", json.len());
        assert_eq!(Correction::from_json(&json, MODEL), Ok(learned.clone()));
        assert_eq!(Correction::from_json(&json, "other"), Err(NotACorrection::OtherModel));
        let text = String::from_utf8(json).unwrap();
        for garbled in [
            "",
            "{}",
            "[]",
            "null",
            &text.replace("\"grades\": 40", "\"grades\": 41"),
            &text.replace("\"version\": 1", "\"version\": 2"),
        ] {
            assert_eq!(Correction::from_json(garbled.as_bytes(), MODEL), Err(NotACorrection::Garbled), "{garbled}");
        }
        let unbounded = |change: fn(&mut Correction)| {
            let mut changed = learned.clone();
            change(&mut changed);
            changed.hash = changed.content_hash();
            Correction::from_json(&changed.to_json().unwrap(), MODEL)
        };
        let cases: [fn(&mut Correction); 4] = [
            |one| one.bias = 1.1,
            |one| one.weights[0].weight = -9.0,
            |one| one.weights = vec![one.weights[0].clone(); MAX_WEIGHTS + 1],
            |one| one.weights[0].name = "x".repeat(MAX_NAME_BYTES + 1),
        ];
        for change in cases {
            assert_eq!(unbounded(change), Err(NotACorrection::Unbounded));
        }
        assert_eq!(unbounded(|one| one.bias = f32::NAN), Err(NotACorrection::Garbled), "JSON has no such number");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn nothing_is_ever_moved_further_than_the_bound(
            texts in proptest::collection::vec(("[a-e ]{0,30}", -3.0_f32..3.0, any::<bool>()), 20..40),
            text in ".{0,300}",
        ) {
            let all: Vec<_> = texts.iter().map(|(text, log_odds, label)| graded(text, *log_odds, *label)).collect();
            let fit = Fit::of(&all.iter().map(Sample::of).collect::<Vec<_>>().iter().collect::<Vec<_>>()).named(MODEL, &all);
            prop_assert!(fit.shift(&features::features(&text)).abs() <= MAX_SHIFT);
            prop_assert!(Correction::from_json(&fit.to_json().unwrap(), MODEL).is_ok());
        }

        #[test]
        fn no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Correction::from_json(&bytes, MODEL).is_err());
        }
    }
}
