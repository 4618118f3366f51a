use proptest::prelude::*;

use super::fit::{Sample, Training, fit};
use super::*;
use crate::training;

const SMALL: Training = Training { slots: 1 << 10, seen: 1, epochs: 40, rate: 1.0, decay: 2e-5 };

fn trained() -> Model {
    let of_kind =
        ["Let us go on in a fresh session.", "Ich mache in einer neuen Sitzung weiter.", "次のセッションで続けます。"];
    let others = ["All tests pass.", "Welche Variante soll ich nehmen?", "全部できました。"];
    let sample = |text: &&str, is_kind| Sample { features: features(text), is_kind };
    let samples: Vec<_> =
        of_kind.iter().map(|text| sample(text, true)).chain(others.iter().map(|text| sample(text, false))).collect();
    fit(&samples, SMALL)
}

#[test]
fn it_knows_what_it_was_trained_on_and_says_by_which_words() {
    let model = trained();
    for text in ["a fresh session", "in einer neuen Sitzung", "次のセッション"] {
        assert!(model.probability(&features(text)) > 0.5, "{text}");
    }
    for text in ["all tests", "welche Variante?", "全部できました"] {
        assert!(model.probability(&features(text)) < 0.5, "{text}");
    }
    let strongest = model.strongest("Well, a fresh session then.", 3);
    assert_eq!(strongest.len(), 3);
    assert!(strongest.iter().all(|(name, weight)| name.contains("ses") || name.contains("fre") || *weight != 0.0));
    assert!(strongest[0].1.abs() >= strongest[2].1.abs());
}

#[test]
fn the_same_samples_give_the_same_bytes_and_these_the_same_model() {
    let bytes = trained().to_bytes();
    assert_eq!(bytes, trained().to_bytes());
    assert_eq!(bytes.len(), 16 + 2 * SMALL.slots);
    assert_eq!(Model::from_bytes(&bytes), Ok(trained()));
}

#[test]
fn what_is_no_model_is_refused() {
    let bytes = trained().to_bytes();
    let mut endless = bytes.clone();
    endless[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    for broken in [&[][..], b"sgmodel1", &bytes[..bytes.len() - 1], &bytes[1..], &endless] {
        assert_eq!(Model::from_bytes(broken), Err(NotAModel), "{} bytes", broken.len());
    }
}

#[test]
fn the_logistic_function_is_that_of_the_library() {
    for at in -300_i16..=300 {
        let sum = f32::from(at) / 8.0;
        let expected = 1.0 / (1.0 + (-f64::from(sum)).exp());
        assert!((f64::from(logistic(sum)) - expected).abs() < 1e-6, "{sum}");
    }
    assert_eq!((logistic(f32::NEG_INFINITY), logistic(f32::INFINITY)), (logistic(-40.0), 1.0));
}

#[test]
fn of_a_long_text_the_beginning_and_the_end_are_looked_at() {
    let filler = "filler text of no weight, ".repeat(20_000);
    let model = trained();
    let long = format!("{filler}\n\nLet us go on in a fresh session.");
    assert!(model.log_odds(&features(&long)) > model.log_odds(&features(&filler)));
    assert!(features(&long).len() < 20_000);
}

proptest! {
    #[test]
    fn features_of_any_text_are_unit_vectors_and_have_the_same_hashes_with_names(text in "\\PC{0,200}|[`\\-\n 字한a-z.?]{0,80}") {
        let plain = features(&text);
        let squares: f32 = plain.iter().map(|feature| feature.value * feature.value).sum();
        prop_assert!(plain.is_empty() || (squares - 2.0).abs() < 1e-3, "{squares}");
        let hashes = |features: &[Feature]| features.iter().map(|feature| feature.hash).collect::<Vec<_>>();
        let named: Vec<Feature> = features::named(&text).into_iter().map(|(_, feature)| feature).collect();
        prop_assert_eq!(hashes(&plain), hashes(&named));
    }
}

/// The weights that are checked in are what the texts give, to the byte, whatever machine trains them.
#[test]
fn the_weights_are_what_their_texts_give() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let labelled: Vec<training::LabelledStop> = training::STOPS
        .into_iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(root.join("../../tests/corpus").join(name)).unwrap();
            training::rows(&text).unwrap()
        })
        .collect();
    let trained = training::train_stops(&labelled);
    let how = "cargo run --release -p stopgate-gate --example train-models";
    let sums = std::fs::read_to_string(root.join("models/SHA256SUMS")).unwrap();
    let mut digests = Vec::new();
    for (name, trained) in [("stop-text.bin", trained.stop.to_bytes()), ("done-text.bin", trained.done.to_bytes())] {
        let there = std::fs::read(root.join("models").join(name)).unwrap();
        assert!(trained == there, "the texts, or what is read of them, have changed: {how}");
        assert_eq!(there.len(), 16 + 2 * (1 << 15));
        let digest = sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), &there));
        let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = digest.concat();
        assert!(sums.lines().any(|line| line == format!("{digest}  {name}")), "{how}");
        digests.push(digest);
    }
    let digest = &digests[0];
    assert_eq!(reading::weights_id(), &digest[..8]);
}

#[test]
fn a_feature_that_was_never_seen_counts_for_nothing() {
    let model = trained();
    let bias = model.log_odds(&[]);
    let strange = features("Quokkas hum wistfully near Zwolle");
    // One in some 60 is taken for another.
    let counted = strange.iter().filter(|feature| (model.log_odds(&[**feature]) - bias).abs() > 0.0).count();
    assert!(counted * 10 < strange.len(), "{counted} of {}", strange.len());
}
