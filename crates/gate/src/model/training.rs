//! What the models are trained on: labelled stops as they stand in `tests/corpus/scenes`, one JSON object a line.

use serde::Deserialize;

use super::Model;
use super::fit::{Sample, Training, fit};
use super::reading::stop_features;

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
    /// The style that it is written in: parts are never mixed within one.
    #[serde(default)]
    pub style: String,
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
    pub fn sample(&self) -> Option<Sample> {
        let is_kind = self.label == "continue";
        let is_used = is_kind || NEEDS_SOMEBODY.contains(&self.kind.as_str());
        is_used.then(|| Sample { features: stop_features(&self.message, self.scene.failed_call.as_deref()), is_kind })
    }
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
    let samples: Vec<Sample> = stops.into_iter().filter_map(LabelledStop::sample).collect();
    fit(&samples, Training::default())
}
