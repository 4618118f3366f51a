//! How the text model reads the messages of a corpus.

use stopgate_gate::model::Reading;

use super::TextOnly;
use super::corpus::{Case, Label};

/// As the authority reads them; those without a scene not at all.
pub(super) fn as_they_are(cases: &[Case]) -> Vec<Option<Reading>> {
    let read = |case: &Case| Reading::of(&case.message, case.turn_end.failed_call.as_deref());
    cases.iter().map(|case| if case.has_scene { read(case) } else { None }).collect()
}

/// How many of the messages that should continue stand, by their reading, above all but so many of the others.
pub(super) fn curve(cases: &[Case], readings: &[Option<Reading>]) -> Vec<TextOnly> {
    let mut sorted: Vec<(i32, Label)> = cases
        .iter()
        .zip(readings)
        .map(|(case, reading)| (reading.as_ref().map_or(0, Reading::text_alone), case.label))
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
