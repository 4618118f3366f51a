//! What the models are trained on, and how: labelled stops as they stand in `tests/corpus/scenes`, and labelled prompts, one
//! JSON object a line. What is to be expected of authors that nobody has seen is told by leaving each author out in turn.

use std::collections::BTreeSet;

use serde::Deserialize;
use stopgate_core::decision::Decision;

use crate::RuleId;
use crate::asked::{Asked, PromptClass, PromptModels, features};
use crate::circumstances::before_judging;
use crate::facts::PlanRelation;
use crate::model::fit::{Sample, Training, fit};
use crate::model::logistic;
use crate::model::reading::stop_features;
use crate::model::{Model, Reading, StopModels};
use crate::pipeline::{self, Answers, Inputs, Trace};
use crate::rules::{GROUNDS, KnownStop, RuleModes, Weighing, grounds, is_asked_for};
use crate::scene::Scene;
use crate::signals::{self, Signal, Signals};
use crate::turn::{Ceilings, PersonTurn};

/// Kinds of legitimate stop in which an agent that has work left needs somebody or something: what the model tells from
/// handing back. Other legitimate stops are told by what the person asked for and by what is open, not by words.
pub const NEEDS_SOMEBODY: [&str; 6] =
    ["real_choice", "risky", "missing_info", "missing_permission", "error", "external_wait"];
/// Kinds of stop in which the work is done.
const DONE: [&str; 2] = [NOT_TICKED, "complete"];
/// The work is done, and the boxes are forgotten: it gets a reminder of its own.
pub const NOT_TICKED: &str = "boxes_not_ticked";
/// The work is said to be done, and is not.
const DONE_CLAIM: &str = "done_claim";
/// The largest share of legitimate stops that may be held, of authors that were left out: [`Weighing::holds_above`] is
/// chosen by it.
const MOST_HELD: f64 = 0.03;
/// The lowest threshold that is tried, in steps of 50 thousandths: with a reason at its end, which counts for 1000, a stop
/// is held only where more speaks for it than against it.
const LOWEST: i32 = -20;
/// How much more has to speak for holding where one step is left: [`Weighing::last_step`].
const LAST_STEP: i32 = 3000;

/// How models of prompts are trained: prompts are short.
const OF_PROMPTS: Training = Training { decay: 3e-5, ..OF_MESSAGES };
const OF_MESSAGES: Training = Training { slots: 1 << 15, seen: 2, epochs: 40, rate: 1.0, decay: 1e-5 };
/// The stops that the models are trained on, below `tests/corpus`: never the parts that are held out.
pub const STOPS: [&str; 8] = [
    "tuning.jsonl",
    "scenes/train-1.jsonl",
    "scenes/train-2.jsonl",
    "scenes/train-3.jsonl",
    "scenes/train-4.jsonl",
    "scenes/train-5.jsonl",
    "scenes/train-6.jsonl",
    "scenes/train-7.jsonl",
];
/// The prompts that they are trained on besides.
pub const PROMPTS: &str = "prompts/train.jsonl";

/// A labelled stop.
#[derive(Debug, Deserialize)]
pub struct LabelledStop {
    /// Who wrote it is told by what stands before the `-`, unless `author` is there.
    #[serde(default)]
    pub id: String,
    /// Who wrote it.
    pub author: Option<String>,
    /// `continue` or `allow`.
    pub label: String,
    /// The kind of stop.
    #[serde(default)]
    pub kind: String,
    /// What the agent said.
    pub message: String,
    /// What there was beside the words.
    pub scene: Option<Scene>,
}

/// A labelled prompt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct LabelledPrompt {
    /// What the person says.
    pub text: String,
    /// What it asks for.
    pub class: PromptClass,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
}

impl LabelledStop {
    /// Who wrote it.
    pub fn author(&self) -> &str {
        self.author.as_deref().unwrap_or_else(|| self.id.split('-').next().unwrap_or_default())
    }

    /// Whether the agent should have gone on.
    pub fn should_continue(&self) -> bool {
        self.label == "continue"
    }

    fn failed_call(&self) -> Option<String> {
        self.scene.as_ref().and_then(|scene| scene.turn_end().failed_call)
    }

    /// Whether work is open that the session has to do with, and nothing but its words ended the turn.
    fn is_open(&self) -> bool {
        self.scene.as_ref().is_some_and(|scene| {
            let facts = scene.facts();
            let is_related = facts.plans.iter().any(|plan| plan.relation() != PlanRelation::Untouched);
            before_judging(&scene.circumstances(), &scene.turn()).is_none()
                && (is_related || facts.open_tasks().next().is_some())
        })
    }

    /// The prompts of its scene.
    pub fn prompts(&self) -> impl Iterator<Item = LabelledPrompt> + '_ {
        let each = self.scene.iter().flat_map(Scene::prompts);
        each.map(|(text, class)| LabelledPrompt { text: text.to_owned(), class, author: self.author().to_owned() })
    }
}

/// The sample of a stop that should be sent back or not, of this kind; `None` where it is of no use to the model. Where no
/// kind is said, the phrases tell whether a legitimate stop is one in which somebody is needed.
fn sample(is_handed_back: bool, kind: &str, message: &str, failed_call: Option<&str>) -> Option<Sample> {
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

/// The labelled stops or prompts of a corpus.
///
/// # Errors
///
/// The number of the line that is none, and why.
pub fn rows<'a, T: Deserialize<'a>>(corpus: &'a str) -> Result<Vec<T>, (usize, serde_json::Error)> {
    let lines = corpus.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| serde_json::from_str(line).map_err(|why| (at + 1, why))).collect()
}

/// The models of messages, from these stops.
pub fn train_stops<'a>(stops: impl IntoIterator<Item = &'a LabelledStop>) -> StopModels {
    let (mut of_stop, mut of_done) = (Vec::new(), Vec::new());
    for stop in stops {
        let call = stop.failed_call();
        of_stop.extend(sample(stop.should_continue(), &stop.kind, &stop.message, call.as_deref()));
        let is_done = DONE.contains(&stop.kind.as_str());
        if is_done || (stop.should_continue() && !stop.kind.is_empty() && stop.kind != DONE_CLAIM) {
            of_done.push(Sample { features: stop_features(&stop.message, None), is_kind: is_done });
        }
    }
    StopModels { stop: fit(&of_stop, OF_MESSAGES), done: fit(&of_done, OF_MESSAGES) }
}

/// The models of prompts, from these prompts and those of these stops, in whatever order.
pub fn train_prompts<'a>(
    prompts: impl IntoIterator<Item = &'a LabelledPrompt>,
    stops: impl IntoIterator<Item = &'a LabelledStop>,
) -> PromptModels {
    let mut labelled: BTreeSet<(String, PromptClass)> =
        prompts.into_iter().map(|prompt| (prompt.text.clone(), prompt.class)).collect();
    let mut open = BTreeSet::new();
    for stop in stops {
        labelled.extend(stop.prompts().map(|prompt| (prompt.text, prompt.class)));
        if stop.is_open()
            && let Some(last) = stop.prompts().last()
        {
            open.insert((last.text, stop.should_continue()));
        }
    }
    let read: Vec<_> = labelled.iter().map(|(text, class)| (features(text), *class)).collect();
    let of_class = |class: PromptClass| -> Model {
        let sample =
            |(features, of): &(Vec<_>, PromptClass)| Sample { features: features.clone(), is_kind: *of == class };
        fit(&read.iter().map(sample).collect::<Vec<_>>(), OF_PROMPTS)
    };
    let insists: Vec<_> =
        open.iter().map(|(text, is_kind)| Sample { features: features(text), is_kind: *is_kind }).collect();
    PromptModels { classes: PromptClass::ALL.map(of_class), insists: fit(&insists, OF_PROMPTS) }
}

/// How a stop with a scene reads to models that were trained on other authors.
#[derive(Debug)]
pub struct ReadStop<'a> {
    /// The stop.
    pub stop: &'a LabelledStop,
    /// What its scene was.
    pub scene: &'a Scene,
    /// How its message reads.
    pub reading: Reading,
    /// What its prompts ask for.
    pub asked: Asked,
    /// What its message says.
    pub signals: Signals,
}

impl ReadStop<'_> {
    /// The rule that holds it with these weights, if one does.
    pub fn held_by(&self, weighing: &Weighing) -> Option<RuleId> {
        let trace = self.judged(weighing);
        trace.rule.filter(|_| trace.decision() == Decision::Continue)
    }

    /// What the gate makes of it with these weights.
    pub fn judged(&self, weighing: &Weighing) -> Trace {
        let mut turn = self.scene.turn();
        turn.asked = self.asked.clone();
        let inputs = Inputs {
            circumstances: self.scene.circumstances(),
            message: String::new(),
            turn,
            limits: Ceilings::default(),
            has_judge: false,
            turn_end: self.scene.turn_end(),
            reading: Some(self.reading.clone()),
            rule_modes: RuleModes::default(),
        };
        let mut world = Answers { facts: Some(self.scene.facts()), ..Answers::default() };
        pipeline::run_by(weighing, &inputs, self.signals.clone(), &mut world)
    }

    /// Whether `rule` holds it wrongly: to have the plan brought up to date is right where the work is done.
    pub fn is_wrong(&self, rule: RuleId) -> bool {
        !self.stop.should_continue() && (self.stop.kind != NOT_TICKED || rule != RuleId::PlanNotUpdated)
    }

    /// Its grounds, where they decide.
    fn sample(&self) -> Option<([i32; GROUNDS], bool)> {
        let turn = PersonTurn { asked: self.asked.clone(), ..self.scene.turn() };
        let weighing = Weighing::default();
        let turn_end = self.scene.turn_end();
        let stop = KnownStop {
            signals: &self.signals,
            reading: &self.reading,
            turn: &turn,
            turn_end: &turn_end,
            weighing: &weighing,
        };
        let is_used = self.stop.is_open()
            && self.stop.kind != NOT_TICKED
            && !self.signals.has_excuse()
            && is_asked_for(&stop, &self.scene.facts());
        is_used.then(|| (grounds(&stop), self.stop.should_continue()))
    }
}

/// Each stop that has a scene, as models of all other authors read it.
pub fn across<'a>(stops: &'a [LabelledStop], prompts: &[LabelledPrompt]) -> Vec<ReadStop<'a>> {
    let authors: BTreeSet<&str> = stops.iter().filter(|stop| stop.scene.is_some()).map(LabelledStop::author).collect();
    std::thread::scope(|scope| {
        let each = authors.into_iter().map(|author| scope.spawn(move || of_author(author, stops, prompts)));
        let each: Vec<_> = each.collect();
        each.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// The stops of `author` that have a scene, as models of all others read them.
fn of_author<'a>(author: &'a str, stops: &'a [LabelledStop], prompts: &[LabelledPrompt]) -> Vec<ReadStop<'a>> {
    let others = || stops.iter().filter(|stop| stop.author() != author);
    let messages = train_stops(others());
    let asks = train_prompts(prompts.iter().filter(|prompt| prompt.author != author), others());
    let read = |stop: &'a LabelledStop| {
        let scene = stop.scene.as_ref()?;
        let call = stop.failed_call();
        Some(ReadStop {
            stop,
            scene,
            reading: Reading::by(&messages, author, &stop.message, call.as_deref()),
            asked: Asked::of_by(&asks, scene.prompts().map(|(text, _)| text)),
            signals: signals::detect(&stop.message),
        })
    };
    stops.iter().filter(|stop| stop.author() == author).filter_map(read).collect()
}

/// The weights of grounds, from stops as models of other authors read them; with a threshold for each, by which no more
/// than `MOST_HELD` of the legitimate ones would be held if each author were weighed by the others.
pub fn weigh(read: &[ReadStop<'_>]) -> Weighing {
    let fits: Vec<(&str, Weighing)> = authors(read).into_iter().map(|author| (author, without(read, author))).collect();
    let legitimate = read.iter().filter(|stop| !stop.stop.should_continue()).count();
    let held_wrongly = |holds_above: i32| {
        let of_author = |stop: &ReadStop<'_>| fits.iter().find(|(author, _)| *author == stop.stop.author());
        let is_wrong = |stop: &&ReadStop<'_>| {
            let weighing =
                of_author(stop).map(|(_, fit)| Weighing { holds_above, last_step: LAST_STEP, ..fit.clone() });
            weighing.and_then(|weighing| stop.held_by(&weighing)).is_some_and(|rule| stop.is_wrong(rule))
        };
        read.iter().filter(is_wrong).count()
    };
    #[expect(clippy::cast_precision_loss, reason = "numbers of messages")]
    let is_few = |holds_above: &i32| held_wrongly(*holds_above) as f64 <= MOST_HELD * legitimate as f64;
    let holds_above = (LOWEST..80).map(|step| step * 50).find(is_few).unwrap_or(i32::MAX);
    Weighing { holds_above, last_step: LAST_STEP, ..fit_grounds(read.iter()) }
}

/// The authors of stops.
pub fn authors<'a>(read: &[ReadStop<'a>]) -> BTreeSet<&'a str> {
    read.iter().map(|stop| stop.stop.author()).collect()
}

/// The weights of grounds, without a threshold, from the stops of all authors but this one.
pub fn without(read: &[ReadStop<'_>], author: &str) -> Weighing {
    fit_grounds(read.iter().filter(|stop| stop.stop.author() != author))
}

/// Logistic regression of basic operations alone, the same on every machine: all samples at each step, both labels with the
/// same weight in all.
#[expect(clippy::cast_precision_loss, reason = "thousands of samples")]
fn fit_grounds<'a, 'b: 'a>(read: impl Iterator<Item = &'a ReadStop<'b>>) -> Weighing {
    const STEPS: usize = 1500;
    const RATE: f64 = 1.0;
    const DECAY: f64 = 2e-3;
    let samples: Vec<_> = read.filter_map(ReadStop::sample).collect();
    let values: Vec<([f64; GROUNDS], bool)> =
        samples.iter().map(|(grounds, label)| (grounds.map(|ground| f64::from(ground) / 1000.0), *label)).collect();
    let count = values.len().max(1) as f64;
    let continues = values.iter().filter(|(_, label)| *label).count() as f64;
    let each = [count / (2.0 * (count - continues).max(1.0)), count / (2.0 * continues.max(1.0))];
    // Each ground in units of its own spread.
    let mean: [f64; GROUNDS] = std::array::from_fn(|at| values.iter().map(|(x, _)| x[at]).sum::<f64>() / count);
    let spread: [f64; GROUNDS] = std::array::from_fn(|at| {
        let squares = values.iter().map(|(x, _)| (x[at] - mean[at]) * (x[at] - mean[at])).sum::<f64>() / count;
        squares.sqrt().max(1e-6)
    });
    let (mut bias, mut weights) = (0.0_f64, [0.0_f64; GROUNDS]);
    for _ in 0..STEPS {
        let (mut of_bias, mut slopes) = (0.0_f64, [0.0_f64; GROUNDS]);
        for (x, label) in &values {
            let z: [f64; GROUNDS] = std::array::from_fn(|at| (x[at] - mean[at]) / spread[at]);
            let sum = z.iter().zip(&weights).fold(bias, |sum, (value, weight)| sum + value * weight);
            #[expect(clippy::cast_possible_truncation, reason = "log-odds")]
            let share = f64::from(logistic(sum as f32));
            let error = (share - f64::from(u8::from(*label))) * each[usize::from(*label)] / count;
            of_bias += error;
            for (slope, value) in slopes.iter_mut().zip(&z) {
                *slope += error * value;
            }
        }
        bias -= RATE * of_bias;
        for (weight, slope) in weights.iter_mut().zip(&slopes) {
            *weight -= RATE * (slope + DECAY * *weight);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "thousandths of log-odds")]
    let thousandths = |value: f64| (value * 1000.0).round() as i32;
    let plain: [f64; GROUNDS] = std::array::from_fn(|at| weights[at] / spread[at]);
    let bias = bias - plain.iter().zip(&mean).map(|(weight, mean)| weight * mean).sum::<f64>();
    Weighing::default().with(thousandths(bias), plain.map(thousandths))
}
