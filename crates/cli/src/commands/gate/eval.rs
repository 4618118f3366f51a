//! `stopgate gate eval`: what signals and rules make of labelled messages. Pure: no authority, no store, no checkout.

mod corpus;
mod readings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use stopgate_core::decision::Decision;
use stopgate_core::release::Release;
use stopgate_core::text::one_line;
use stopgate_gate::RuleId;
use stopgate_gate::model::Reading;
use stopgate_gate::pipeline::{self, Answers, Inputs};
use stopgate_gate::report::Proportion;
use stopgate_gate::rules::RuleModes;
use stopgate_gate::signals::Signals;
use stopgate_gate::training::NOT_TICKED;
use stopgate_gate::turn::Ceilings;

use self::corpus::{Case, Label};
use crate::{ExitStatus, printer};

/// Longest part of a message that is shown with a miss.
const MAX_SHOWN_CHARS: usize = 140;

#[derive(Args)]
#[command(after_help = corpus::FORMAT)]
pub(crate) struct Arguments {
    /// Labelled messages, one JSON object a line
    #[arg(required = true, value_name = "CORPUS")]
    files: Vec<PathBuf>,
    /// List the messages that were judged wrongly, with what was heard in them
    #[arg(long)]
    misses: bool,
    /// Count by this as well, with 95 % intervals
    #[arg(long, value_enum)]
    by: Option<By>,
    /// Take what the person asked for from the labels, not from the words of the prompts
    #[arg(long)]
    labelled_classes: bool,
    /// Say how well the text model alone, without phrases and evidence, tells the messages apart
    #[arg(long)]
    text_only: bool,
    /// Fail (exit 1) if less than this share of the messages that should continue is held, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_caught: Option<f64>,
    /// Fail (exit 1) if more than this share of the legitimate stops is held, in percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_held: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What messages are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// The kind of stop.
    Kind,
    /// The message's language.
    Language,
    /// The style that it is written in.
    Style,
    /// Its length: below 40 words, below 130, or more.
    Length,
}

impl By {
    fn group(self, case: &Case) -> &str {
        let given = match self {
            Self::Kind => &case.kind,
            Self::Language => &case.language,
            Self::Style => &case.style,
            Self::Length => {
                return match case.message.split_whitespace().count() {
                    0..40 => "below 40 words",
                    40..130 => "below 130 words",
                    _ => "more",
                };
            }
        };
        given.as_deref().unwrap_or("(not said)")
    }
}

/// The messages of a group.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct GroupScore {
    should_continue: LabelCount,
    legitimate: LabelCount,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "not a number from 0 to 100".to_owned())
}

/// How often a label was met and missed.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct LabelCount {
    held: usize,
    released: usize,
}

impl LabelCount {
    fn add(&mut self, held: bool) {
        *if held { &mut self.held } else { &mut self.released } += 1;
    }

    /// Share of what was held; `None` of nothing.
    fn share(self) -> Option<Proportion> {
        Proportion::of(self.held as u64, (self.held + self.released) as u64)
    }

    /// Share of what was held, in percent; nothing of nothing is 0.
    #[expect(clippy::cast_precision_loss, reason = "numbers of messages")]
    fn held_percent(self) -> f64 {
        let all = self.held + self.released;
        if all == 0 { 0.0 } else { self.held as f64 * 100.0 / all as f64 }
    }
}

/// How often what decided was right.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct DecidedScore {
    right: usize,
    wrong: usize,
}

/// How many prompts are of the class by their words that their label says.
#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Agreement {
    same: usize,
    of: usize,
}

/// What share of the messages that should continue the text model finds, where it holds so many of the others.
#[derive(Debug, Clone, Copy, Serialize)]
struct TextOnly {
    held_wrongly_percent: u32,
    caught_percent: f64,
}

/// A message that was judged wrongly.
#[derive(Debug, Serialize)]
struct Miss<'a> {
    file: String,
    line: usize,
    id: &'a str,
    label: Label,
    why: &'a str,
    decided_by: String,
    signals: Vec<HeardSignal>,
    message: String,
}

/// A signal, and the words that gave it.
#[derive(Debug, Serialize)]
struct HeardSignal {
    signal: &'static str,
    words: String,
}

#[derive(Debug, Default, Serialize)]
struct Score<'a> {
    messages: usize,
    should_continue: LabelCount,
    legitimate: LabelCount,
    caught_percent: f64,
    held_percent: f64,
    /// Stops of work that is done, with forgotten boxes, that get the reminder of their own for it. They are held, and not
    /// wrongly: they count as let go above.
    reminded_of_plan: usize,
    /// How often the words of the last prompt say what its label says.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Agreement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    text_only: Vec<TextOnly>,
    decided_by: BTreeMap<String, DecidedScore>,
    groups: BTreeMap<String, GroupScore>,
    misses: Vec<Miss<'a>>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let mut cases = Vec::new();
    for file in &arguments.files {
        cases.extend(corpus::read(file)?);
    }
    if !arguments.labelled_classes {
        cases.iter_mut().for_each(Case::ask_by_words);
    }
    let readings = readings::as_they_are(&cases);
    let mut score = score(&cases, &readings, arguments.by);
    if arguments.text_only {
        score.text_only = readings::curve(&cases, &readings);
    }
    score.classes = corpus::agreement(&cases);
    if arguments.json {
        printer::json(&score)?;
    } else {
        show(&score, arguments.misses);
    }
    let few = arguments.min_caught.is_some_and(|least| score.caught_percent < least);
    let many = arguments.max_held.is_some_and(|most| score.held_percent > most);
    if few {
        printer::note(format!("stopgate: only {:.1} % of what should continue is held", score.caught_percent));
    }
    if many {
        printer::note(format!("stopgate: {:.1} % of the legitimate stops are held", score.held_percent));
    }
    Ok(if few || many { ExitStatus::Failure } else { ExitStatus::Success })
}

/// What decides over a case, and whether it is held: by the stages that the authority runs, with the facts of the corpus.
fn judge(case: &Case, reading: Option<Reading>) -> (Signals, String, bool) {
    let inputs = Inputs {
        circumstances: case.circumstances.clone(),
        message: case.message.clone(),
        turn: case.turn.clone(),
        limits: Ceilings::default(),
        has_judge: false,
        turn_end: case.turn_end.clone(),
        reading,
        rule_modes: RuleModes::default(),
    };
    let trace = pipeline::run(&inputs, &mut Answers { facts: Some(case.facts.clone()), ..Answers::default() });
    let held = trace.decision() == Decision::Continue;
    let decided_by = match (trace.refused, trace.rule, trace.release) {
        (Some(fault), _, _) => fault.kind(),
        (None, Some(rule), _) => rule.id(),
        (None, None, release) => release.map_or("nothing", Release::name),
    };
    (trace.signals.unwrap_or_default(), decided_by.to_owned(), held)
}

fn score<'a>(cases: &'a [Case], readings: &[Option<Reading>], by: Option<By>) -> Score<'a> {
    let mut score = Score { messages: cases.len(), ..Score::default() };
    for (case, reading) in cases.iter().zip(readings) {
        let (signals, decided_by, held) = judge(case, reading.clone());
        let is_reminded = case.label == Label::Allow
            && case.kind.as_deref() == Some(NOT_TICKED)
            && decided_by == RuleId::PlanNotUpdated.id();
        score.reminded_of_plan += usize::from(is_reminded);
        let held = held && !is_reminded;
        let group = by.map(|by| score.groups.entry(by.group(case).to_owned()).or_default());
        let of_group = group.map(|group| match case.label {
            Label::Continue => &mut group.should_continue,
            Label::Allow => &mut group.legitimate,
        });
        if let Some(count) = of_group {
            count.add(held);
        }
        match case.label {
            Label::Continue => score.should_continue.add(held),
            Label::Allow => score.legitimate.add(held),
        }
        let is_right = held == (case.label == Label::Continue);
        let outcome = score.decided_by.entry(decided_by.clone()).or_default();
        *if is_right { &mut outcome.right } else { &mut outcome.wrong } += 1;
        if !is_right {
            score.misses.push(miss(case, &signals, decided_by));
        }
    }
    score.caught_percent = score.should_continue.held_percent();
    score.held_percent = score.legitimate.held_percent();
    score
}

fn miss<'a>(case: &'a Case, signals: &Signals, decided_by: String) -> Miss<'a> {
    let heard = signals.sightings().iter().map(|seen| HeardSignal {
        signal: seen.signal.name(),
        words: one_line(case.message.get(seen.span.clone()).unwrap_or_default(), MAX_SHOWN_CHARS),
    });
    Miss {
        file: case.file.display().to_string(),
        line: case.line,
        id: &case.id,
        label: case.label,
        why: &case.why,
        decided_by,
        signals: heard.collect(),
        message: one_line(&case.message, MAX_SHOWN_CHARS),
    }
}

fn show(score: &Score<'_>, misses: bool) {
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let count = |name: &str, count: LabelCount, rate: String| {
        row(&[name, &count.held.to_string(), &count.released.to_string(), &rate])
    };
    let table = [
        row(&["", "held", "let go", ""]),
        count("should continue", score.should_continue, format!("{:.1} % caught", score.caught_percent)),
        count("legitimate stop", score.legitimate, format!("{:.1} % held wrongly", score.held_percent)),
    ];
    printer::columns(&table).iter().for_each(printer::line);
    if score.reminded_of_plan > 0 {
        let of = "legitimate stops of finished work are held once, rightly, to have its plan brought up to date";
        printer::line(format!("{} {of}", score.reminded_of_plan));
    }
    if let Some(Agreement { same, of }) = score.classes {
        printer::line(format!("{same} of {of} prompts ask by their words for what their label says"));
    }
    for TextOnly { held_wrongly_percent, caught_percent } in &score.text_only {
        printer::line(format!(
            "text model alone, at {held_wrongly_percent} % held wrongly: {caught_percent:.1} % caught"
        ));
    }
    printer::line("");
    let mut table = vec![row(&["decided by", "right", "wrong"])];
    for (name, outcome) in &score.decided_by {
        table.push(row(&[name, &outcome.right.to_string(), &outcome.wrong.to_string()]));
    }
    printer::columns(&table).iter().for_each(printer::line);
    if !score.groups.is_empty() {
        printer::line("");
        let mut table = vec![row(&["", "caught", "95 %", "held wrongly", "95 %"])];
        for (name, group) in &score.groups {
            let shares = [group.should_continue, group.legitimate].map(LabelCount::share);
            let cells = shares.into_iter().flat_map(|share| {
                share.map_or([String::new(), String::new()], |share| {
                    let percent = |share: f64| format!("{:.0}", share * 100.0);
                    [
                        format!("{} of {}", share.hits, share.of),
                        format!("{}-{} %", percent(share.low), percent(share.high)),
                    ]
                })
            });
            table.push(std::iter::once(name.clone()).chain(cells).collect());
        }
        printer::columns(&table).iter().for_each(printer::line);
    }
    if misses {
        score.misses.iter().for_each(show_miss);
    } else if !score.misses.is_empty() {
        printer::line("");
        printer::line(format!("{} judged wrongly; --misses lists them", score.misses.len()));
    }
}

fn show_miss(miss: &Miss<'_>) {
    let should = if miss.label == Label::Continue { "should continue" } else { "is legitimate" };
    printer::line("");
    printer::line(format!("{}:{} {} {should}: {}", miss.file, miss.line, miss.id, miss.why));
    let heard = miss.signals.iter().map(|heard| format!("{} \"{}\"", heard.signal, heard.words)).collect::<Vec<_>>();
    printer::line(format!("    decided by {}; heard: {}", miss.decided_by, heard.join(", ")));
    printer::line(format!("    \"{}\"", miss.message));
}
