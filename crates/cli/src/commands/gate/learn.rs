//! `stopgate gate learn`: a correction of the text model from the operator's own grades, shown before it is taken.

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use stopgate_client::ANSWER;
use stopgate_core::decision::Decision;
use stopgate_core::switch;
use stopgate_core::text::one_line;
use stopgate_gate::model::correction::{self, Correction, FeatureWeight, NotLearned, Validation};
use stopgate_gate::model::reading;
use stopgate_gate::report::Grade;
use stopgate_protocol::{CorrectionState, ErrorCode, Failure, SetCorrection};
use stopgate_store::{PastStop, learned};

use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Newest stops that are reached again with what would be learned.
const MAX_STOPS: u32 = 2_000;
/// Changed verdicts that are listed.
const MAX_LISTED: usize = 40;
/// Words that are shown of a correction, in either direction.
const MAX_WORDS: usize = 8;

#[derive(Args)]
#[group(multiple = false)]
struct What {
    /// Take what is learned: it counts from the next stop on
    #[arg(long)]
    apply: bool,
    /// Go back to what counted before the last `--apply`
    #[arg(long)]
    undo: bool,
    /// Show what was learned and counts now
    #[arg(long)]
    show: bool,
}

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A verdict that would be another one.
#[derive(Debug, Serialize)]
struct Change {
    event_id: String,
    at: String,
    before: Decision,
    after: Decision,
    grade: Option<Grade>,
    /// Whether the new verdict is the one that the grade asks for; `null` without a grade that says so.
    agrees: Option<bool>,
    preview: String,
}

/// What would be learned.
#[derive(Serialize)]
struct Proposal {
    correction: Correction,
    validation: Validation,
    stops: usize,
    changes: Vec<Change>,
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let What { apply, undo, show } = arguments.what;
    if show {
        return show_current(context, arguments.json);
    }
    if undo {
        return set(context, None, arguments.json);
    }
    let proposal = match propose(context)? {
        Ok(proposal) => proposal,
        Err(refused) => return refuse(&refused, arguments.json),
    };
    if apply {
        return set(context, Some(proposal.correction), arguments.json);
    }
    if arguments.json {
        printer::json(&proposal)?;
        return Ok(ExitStatus::Success);
    }
    render(&proposal).into_iter().for_each(printer::line);
    Ok(ExitStatus::Success)
}

/// Learns from what was graded.
fn propose(context: &CliContext) -> anyhow::Result<Result<Proposal, NotLearned>> {
    let stops =
        if context.home.database().exists() { context.open_store()?.past_stops(MAX_STOPS)? } else { Vec::new() };
    let graded: Vec<_> = stops.iter().filter_map(|stop| stop.recording.graded(stop.grade?, stop.would_block)).collect();
    Ok(Correction::learn(reading::weights_id(), &graded).map(|(correction, validation)| {
        let now = learned::read(&context.home, reading::weights_id()).ok().flatten();
        let changes = stops.iter().filter_map(|stop| change(stop, now.as_ref(), &correction)).collect();
        Proposal { correction, validation, stops: stops.len(), changes }
    }))
}

/// What becomes of a past stop with `correction`, if that is something else than with what counts now.
fn change(stop: &PastStop, now: Option<&Correction>, correction: &Correction) -> Option<Change> {
    let before = stop.recording.corrected(now).replay().decision();
    let after = stop.recording.corrected(Some(correction)).replay().decision();
    let holds = |decision: Decision| decision == Decision::Continue;
    let wanted = stop.grade.and_then(|grade| match grade {
        Grade::Right => Some(stop.would_block),
        Grade::Wrong => Some(!stop.would_block),
        Grade::Unclear => None,
    });
    (before != after).then(|| Change {
        event_id: stop.event_id.clone(),
        at: when::rfc3339(stop.at_ms),
        before,
        after,
        grade: stop.grade,
        agrees: wanted.map(|wanted| wanted == holds(after)),
        preview: stop.preview.clone(),
    })
}

fn refuse(why: &NotLearned, json: bool) -> anyhow::Result<ExitStatus> {
    let (code, said) = match why {
        NotLearned::TooFew { go_on, stop } => (
            "too_few",
            format!(
                "not learned: {} grades of stops with a text ({go_on} that should have gone on, {stop} that might stop), needed: {} \
                 and {} of each (`stopgate gate review`)",
                go_on + stop,
                correction::MIN_GRADES,
                correction::MIN_OF_A_KIND
            ),
        ),
        NotLearned::NoGain(validation) => (
            "no_gain",
            format!(
                "not learned: on grades that it had not seen it does no better than the model alone ({})",
                described(*validation)
            ),
        ),
    };
    if json {
        printer::json(&serde_json::json!({ "learned": false, "why": code, "detail": said }))?;
    } else {
        printer::line(said);
    }
    Ok(ExitStatus::Failure)
}

fn described(validation: Validation) -> String {
    let Validation { loss_before, loss_after, right_before, right_after } = validation;
    format!("loss {loss_before:.3} -> {loss_after:.3}, agrees with {right_before} -> {right_after}")
}

fn render(proposal: &Proposal) -> Vec<String> {
    let Proposal { correction, validation, stops, changes } = proposal;
    let mut lines = vec![
        format!(
            "learned from {} grades, and held against each fifth that it had not seen: {}",
            correction.grades,
            described(*validation)
        ),
        String::new(),
    ];
    lines.extend(words(correction));
    lines.push(String::new());
    if changes.is_empty() {
        lines.push(format!("of {stops} past stops none would be judged otherwise"));
    } else {
        let count = |wanted: Option<bool>| changes.iter().filter(|change| change.agrees == wanted).count();
        lines.push(format!(
            "of {stops} past stops {} would be judged otherwise: {} as you graded them, {} against it, {} that nobody has graded",
            changes.len(),
            count(Some(true)),
            count(Some(false)),
            count(None)
        ));
        let head = ["STOP", "NOW", "THEN", "GRADE", "", "MESSAGE"].map(str::to_owned).to_vec();
        let row = |change: &Change| {
            let agrees = change.agrees.map_or("", |agrees| if agrees { "agrees" } else { "disagrees" });
            vec![
                change.event_id.get(..13).unwrap_or_default().to_owned(),
                change.before.name().to_owned(),
                change.after.name().to_owned(),
                change.grade.map_or("-", Grade::name).to_owned(),
                agrees.to_owned(),
                format!("\"{}\"", one_line(&change.preview, 60)),
            ]
        };
        let rows: Vec<_> = std::iter::once(head).chain(changes.iter().take(MAX_LISTED).map(row)).collect();
        lines.extend(printer::columns(&rows));
        if changes.len() > MAX_LISTED {
            lines.push(format!("and {} more (`--json` has all)", changes.len() - MAX_LISTED));
        }
    }
    lines.push(String::new());
    lines.push("nothing is changed yet: `stopgate gate learn --apply` takes it, `--undo` takes it back".to_owned());
    lines
}

/// What a correction adds, in words.
fn words(correction: &Correction) -> Vec<String> {
    let toward = |value: f32| if value >= 0.0 { "toward going on" } else { "toward stopping" };
    let word = |one: &FeatureWeight| {
        vec![format!("\"{}\"", one_line(&one.name, 60)), format!("{:+.2}", one.weight), toward(one.weight).to_owned()]
    };
    let bias = vec!["every message".to_owned(), format!("{:+.2}", correction.bias), toward(correction.bias).to_owned()];
    let toward_going_on = correction.weights.iter().filter(|one| one.weight > 0.0).take(MAX_WORDS);
    let toward_stopping = correction.weights.iter().filter(|one| one.weight < 0.0).take(MAX_WORDS);
    let shown: Vec<_> = std::iter::once(bias).chain(toward_going_on.chain(toward_stopping).map(word)).collect();
    printer::columns(&shown)
}

fn show_current(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let found = learned::read(&context.home, reading::weights_id());
    if json {
        let problem = found.as_ref().err().map(|error| error.meaning());
        printer::json(
            &serde_json::json!({ "correction": found.as_ref().ok().and_then(Option::as_ref), "problem": problem }),
        )?;
        return Ok(ExitStatus::Success);
    }
    match found {
        Ok(None) => printer::line("nothing is learned: the model counts as it is"),
        Ok(Some(correction)) => {
            printer::line(format!("correction {}, of {} grades", correction.hash(), correction.grades));
            words(&correction).into_iter().for_each(printer::line);
        }
        Err(error) => printer::line(format!(
            "not used: {} {}; learn anew (`stopgate gate learn`), or `--undo`",
            context.home.correction_file().display(),
            error.meaning()
        )),
    }
    Ok(ExitStatus::Success)
}

/// Has a correction taken, or the one before it.
fn set(context: &CliContext, correction: Option<Correction>, json: bool) -> anyhow::Result<ExitStatus> {
    let file = context.home.correction_file();
    let seen = switch::stamp(&file);
    let wanted = SetCorrection { correction, condition: CliContext::condition(&seen, ANSWER) };
    let state = match context.ensure_authority().and_then(|()| context.authority().call(&wanted)) {
        Ok(state) => state,
        Err(error) if error.is_decided() => return Err(error.into()),
        // It is a file: it can be written with the authority down or broken.
        Err(error) => {
            context.operators_only(wanted.action())?;
            if switch::stamp(&file) != seen {
                bail!(
                    Failure::new(ErrorCode::Conflict, format!("not done: {} was changed meanwhile", file.display()))
                        .with_remedy("look with `stopgate gate learn --show`")
                );
            }
            let written = match &wanted.correction {
                Some(correction) => learned::write(&context.home, correction),
                None => learned::undo(&context.home),
            };
            written.with_context(|| format!("nothing is changed: cannot write {}", file.display()))?;
            printer::note(format!("note: {error}; it was written to {}", file.display()));
            CorrectionState::of(learned::read(&context.home, reading::weights_id()).ok().flatten().as_ref())
        }
    };
    if json {
        printer::json(&state)?;
    } else {
        printer::line(match &state.hash {
            Some(hash) => format!("correction {hash} counts from the next stop on"),
            None => "nothing is learned: the model counts as it is".to_owned(),
        });
    }
    Ok(ExitStatus::Success)
}
