//! How the text model reads the messages of a corpus.

use std::collections::BTreeSet;

use stopgate_gate::model::Reading;
use stopgate_gate::model::training::{sample, train};

use super::TextOnly;
use super::corpus::{Case, Label};

/// In how many parts styles are split, each read by a model of the others.
const FOLDS: usize = 10;

/// As the authority reads them; those without a scene not at all.
pub(super) fn as_they_are(cases: &[Case]) -> Vec<Option<Reading>> {
    let read = |case: &Case| Reading::of(&case.message, case.turn_end.failed_call.as_deref());
    cases.iter().map(|case| if case.has_scene { read(case) } else { None }).collect()
}

/// Each by a model that was trained on the other styles: what is to be expected of styles that nobody has seen.
pub(super) fn across(cases: &[Case]) -> Vec<Option<Reading>> {
    let style = |case: &Case| (case.file.clone(), case.style.clone());
    let styles: Vec<_> = cases.iter().map(style).collect::<BTreeSet<_>>().into_iter().collect();
    let fold = |case: &Case| styles.iter().position(|one| *one == style(case)).unwrap_or_default() % FOLDS;
    let mut readings = vec![None; cases.len()];
    for part in 0..FOLDS {
        let others = cases.iter().filter(|case| fold(case) != part);
        let samples: Vec<_> = others
            .filter_map(|case| {
                let (kind, call) = (case.kind.as_deref().unwrap_or_default(), case.turn_end.failed_call.as_deref());
                sample(case.label == Label::Continue, kind, &case.message, call)
            })
            .collect();
        let model = train(&samples);
        let of_part = |case: &Case| fold(case) == part && case.has_scene;
        for (case, reading) in cases.iter().zip(&mut readings).filter(|(case, _)| of_part(case)) {
            *reading =
                Some(Reading::by(&model, "cross-validated", &case.message, case.turn_end.failed_call.as_deref()));
        }
    }
    readings
}

/// How many of the messages that should continue stand, by their reading, above all but so many of the others.
pub(super) fn curve(cases: &[Case], readings: &[Option<Reading>]) -> Vec<TextOnly> {
    let mut sorted: Vec<(i32, Label)> = cases
        .iter()
        .zip(readings)
        .map(|(case, reading)| (reading.as_ref().map_or(0, |reading| reading.milli_log_odds), case.label))
        .collect();
    sorted.sort_by_key(|(reading, _)| std::cmp::Reverse(*reading));
    let count = |label: Label| sorted.iter().filter(|(_, one)| *one == label).count();
    let (continues, allows) = (count(Label::Continue), count(Label::Allow));
    let caught = |percent: usize| {
        let (mut held, mut caught) = (0, 0);
        for (_, label) in &sorted {
            if *label == Label::Continue {
                caught += 1;
            } else if held * 100 >= allows * percent {
                break;
            } else {
                held += 1;
            }
        }
        caught
    };
    #[expect(clippy::cast_precision_loss, reason = "numbers of messages")]
    let share = |percent: u32| TextOnly {
        held_wrongly_percent: percent,
        caught_percent: f64::from(caught(percent as usize)) * 100.0 / continues.max(1) as f64,
    };
    [1, 2, 4, 8].map(share).to_vec()
}
