//! What the models are trained on: labelled stops as they stand in `tests/corpus/scenes`, one JSON object a line.

use serde::Deserialize;

use super::Model;
use super::fit::{Sample, Training, fit};
use super::reading::stop_features;
use crate::signals::{self, Signal};

/// Kinds of legitimate stop in which an agent that has work left needs somebody or something: what the model tells from
/// handing back. Other legitimate stops are told by what the person asked for and by what is open, not by words.
const NEEDS_SOMEBODY: [&str; 6] =
    ["real_choice", "risky", "missing_info", "missing_permission", "error", "external_wait"];

/// A labelled stop, as far as the model of stops is trained on it.
#[derive(Debug, Clone, Deserialize)]
pub struct LabelledStop {
    /// `continue` or `allow`.
    pub label: String,
    /// The kind of stop.
    #[serde(default)]
    pub kind: String,
    /// What the agent said.
    pub message: String,
    #[serde(default)]
    scene: SceneOfCall,
}

/// What there was beside the words.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct SceneOfCall {
    failed_call: Option<String>,
}

impl LabelledStop {
    /// The sample of it; `None` where it is of no use to the model.
    fn sample(&self) -> Option<Sample> {
        sample(self.label == "continue", &self.kind, &self.message, self.scene.failed_call.as_deref())
    }
}

/// The sample of a stop that should be sent back or not, of this kind; `None` where it is of no use to the model. Where no
/// kind is said, the phrases tell whether a legitimate stop is one in which somebody is needed.
pub fn sample(is_handed_back: bool, kind: &str, message: &str, failed_call: Option<&str>) -> Option<Sample> {
    let is_used = is_handed_back || NEEDS_SOMEBODY.contains(&kind) || (kind.is_empty() && says_what_it_needs(message));
    is_used.then(|| Sample { features: stop_features(message, failed_call), is_kind: is_handed_back })
}

fn says_what_it_needs(message: &str) -> bool {
    let signals = signals::detect(message);
    let needs = [
        Signal::AsksQuestion,
        Signal::ApprovalNeeded,
        Signal::MissingInfo,
        Signal::BlockedByError,
        Signal::WaitsOutside,
    ];
    needs.into_iter().any(|signal| signals.has(signal)) && !signals.has(Signal::ClaimsCompletion)
}

/// The stops of a corpus.
///
/// # Errors
///
/// The number of the line that is none, and why.
pub fn stops(corpus: &str) -> Result<Vec<LabelledStop>, (usize, serde_json::Error)> {
    let lines = corpus.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).map_err(|why| (at + 1, why))).collect()
}

/// The model of stops, from these.
pub fn train_stops<'a>(stops: impl IntoIterator<Item = &'a LabelledStop>) -> Model {
    train(&stops.into_iter().filter_map(LabelledStop::sample).collect::<Vec<_>>())
}

/// The model of stops, from these samples.
pub fn train(samples: &[Sample]) -> Model {
    fit(samples, Training::default())
}
