//! What a prompt asks for, by itself: by a model of words of its own, which is trained from `tests/corpus`, and by rules
//! where the form of a prompt leaves no doubt.

use std::sync::OnceLock;

use stopgate_core::stop_request::Meaning;

use super::phrases::List;
use super::reading::PromptReading;
use super::{PromptClass, PromptOdds};
use crate::model::{Feature, Model, thousandths};

/// What a prompt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// What it asks for.
    pub(super) class: PromptClass,
    /// It asks for no more than to go on with what there is.
    pub(super) goes_on: bool,
    /// It approves of what was proposed, and says nothing else.
    pub(super) approves: bool,
    /// The steps that it is bounded by.
    pub(super) bounds: Vec<String>,
    /// How it reads; `None` where the weights are broken.
    pub(super) odds: Option<PromptOdds>,
}

/// What tells what a prompt asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptModels {
    /// A model for each class, in the order of [`PromptClass::ALL`].
    pub classes: [Model; 5],
    /// How likely an agent that stops after this prompt, with work open, should have gone on.
    pub insists: Model,
}

impl PromptModels {
    /// Reads weights as [`PromptModels::to_bytes`] writes them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let each = bytes.len() / 6;
        let models: Option<Vec<Model>> =
            bytes.chunks_exact(each.max(1)).map(|bytes| Model::from_bytes(bytes).ok()).collect();
        let mut models = models?;
        let insists = models.pop()?;
        Some(Self { classes: models.try_into().ok()?, insists })
    }

    /// The weights of each class, one after the other, and those of [`PromptModels::insists`].
    pub fn to_bytes(&self) -> Vec<u8> {
        self.classes.iter().chain([&self.insists]).flat_map(Model::to_bytes).collect()
    }

    /// The log-odds of each class.
    pub fn odds(&self, features: &[Feature]) -> [f32; 5] {
        std::array::from_fn(|at| self.classes[at].log_odds(features))
    }
}

/// By how much (log-odds) a job has to be likelier than anything else: to hold who was not asked for a job is worse than
/// to let go who was. Chosen on authors that the models were not trained on.
const EXECUTE_MARGIN: f32 = 1.0;

/// The features of a prompt that [`PromptModels`] are trained on.
pub fn features(prompt: &str) -> Vec<Feature> {
    PromptReading::of(prompt).features()
}

/// The weights of each class, one after the other; see `examples/train-prompts.rs`.
static WEIGHTS: &[u8] = include_bytes!("../../models/prompts.bin");

/// The models that are checked in; none if they cannot be read.
fn models() -> Option<&'static PromptModels> {
    static MODELS: OnceLock<Option<PromptModels>> = OnceLock::new();
    MODELS.get_or_init(|| PromptModels::from_bytes(WEIGHTS)).as_ref()
}

/// What `prompt` asks for, by itself.
pub fn class_of(prompt: &str) -> PromptClass {
    read(prompt).class
}

/// [`class_of`] by other models.
pub fn class_by(models: &PromptModels, prompt: &str) -> PromptClass {
    let reading = PromptReading::of(prompt);
    by_form(&reading).unwrap_or_else(|| likeliest(&reading, models.odds(&reading.features())))
}

/// What `prompt` says.
pub(super) fn read(prompt: &str) -> Said {
    read_by(models(), prompt)
}

/// What `prompt` says by these models.
pub(super) fn read_by(models: Option<&PromptModels>, prompt: &str) -> Said {
    let reading = PromptReading::of(prompt);
    let read = models.map(|models| {
        let features = reading.features();
        (models.odds(&features), models.insists.log_odds(&features))
    });
    let class = by_form(&reading)
        .unwrap_or_else(|| read.map_or(PromptClass::Other, |(classes, _)| likeliest(&reading, classes)));
    let is_standing = reading.has(List::Standing);
    let bounds = if class == PromptClass::Narrow && !is_standing { reading.numbers() } else { Vec::new() };
    let odds = read.map(|(classes, insists)| {
        let others = classes[1..].iter().copied().fold(f32::MIN, f32::max);
        PromptOdds { job: thousandths(classes[0] - others), insists: thousandths(insists) }
    });
    let approves = is_short(&reading) && reading.is_only(List::Approves);
    Said { class, goes_on: goes_on(&reading), approves, bounds, odds }
}

/// How many words there are at most in a prompt that says no more than to go on.
const MOST_TO_GO_ON: usize = 12;

fn is_short(reading: &PromptReading) -> bool {
    (1..=MOST_TO_GO_ON).contains(&reading.count())
}

fn goes_on(reading: &PromptReading) -> bool {
    is_short(reading) && reading.is_only(List::GoesOn)
}

/// The class where the form leaves no doubt.
fn by_form(reading: &PromptReading) -> Option<PromptClass> {
    use PromptClass::{Execute, Narrow, Other, Question, Stop};
    if reading.command.as_deref().is_some_and(stopgate_core::person::is_local_command) {
        return Some(Other);
    }
    match reading.meaning {
        // "Stop after each step" is for the steps that follow; that this turn ends is heard by itself.
        Meaning::Stop if reading.has(List::Standing) => return Some(Narrow),
        Meaning::Stop => return Some(Stop),
        Meaning::Courtesy => return Some(Other),
        Meaning::Other => {}
    }
    if reading.sentences() == 0 {
        return Some(Other);
    }
    if goes_on(reading) {
        return Some(Execute);
    }
    if reading.has(List::Standing) {
        return Some(Narrow);
    }
    // A question word at its beginning and a question mark at its end; "can you fix it?" has none.
    if reading.sentences() == 1 && reading.ends_as_question() && reading.begins(List::Question) {
        return Some(Question);
    }
    if asks_for_handoff(reading) {
        return Some(Narrow);
    }
    let is_bounded = is_bounded(reading);
    // Steps by their numbers, and that the others are not meant.
    let sets_apart = reading.has(List::Later) || reading.has(List::Ends);
    if sets_apart && !reading.asks() && !reading.has(List::All) && !reading.numbers().is_empty() {
        return Some(Narrow);
    }
    // "Just the logo": what is begun with "only" is all that is asked for.
    let is_one_sentence = reading.sentences() == 1 && reading.count() > 2 && !reading.asks();
    if is_one_sentence
        && reading.begins(List::Only)
        && !reading.has(List::All)
        && (!reading.has(List::Plan) || !reading.numbers().is_empty())
    {
        return Some(Narrow);
    }
    let is_plain = reading.sentences() <= 2 && !reading.asks() && !reading.has(List::TellStrictly);
    if is_plain
        && !is_bounded
        && reading.begins(List::DoStrictly)
        && (reading.has(List::Plan) || reading.has(List::All))
    {
        return Some(Execute);
    }
    None
}

/// Whether it asks for a note for whoever goes on, and for nothing before that.
fn asks_for_handoff(reading: &PromptReading) -> bool {
    let is_begun = reading.begins_any(List::Write) || reading.has(List::WriteAnywhere);
    reading.sentences() <= 3 && is_begun && reading.has(List::Handoff) && !reading.begins_any(List::DoStrictly)
}

/// Whether it has words that set bounds.
fn is_bounded(reading: &PromptReading) -> bool {
    [List::Only, List::Later, List::Ends, List::NotChange].into_iter().any(|list| reading.has(list))
}

/// The class that these odds speak for.
fn likeliest(reading: &PromptReading, odds: [f32; 5]) -> PromptClass {
    let best = |classes: &[usize]| classes.iter().copied().max_by(|one, other| odds[*one].total_cmp(&odds[*other]));
    let other = best(&[1, 2, 3, 4]).unwrap_or(4);
    // Only words can set bounds: where there are none, a part is hardly meant.
    let margin = if other == 1 && !is_bounded(reading) { 0.0 } else { EXECUTE_MARGIN };
    let is_job = odds[0] > odds[other] + margin && !reading.has(List::NotChange);
    match PromptClass::ALL[other] {
        _ if is_job => PromptClass::Execute,
        // A word to stop is heard by its phrases alone: one that is guessed would take back a job that was asked for.
        PromptClass::Stop => PromptClass::Other,
        class => class,
    }
}
