//! An agent's last message, and a person's prompt: any text is read for signals, each with its place in the text, and for
//! what was asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_core::decision::Decision;
use stopgate_gate::asked::Asked;
use stopgate_gate::facts::Facts;
use stopgate_gate::judge::JudgeQuestion;
use stopgate_gate::model::Reading;
use stopgate_gate::rules::{self, KnownStop, RuleModes, Weighing};
use stopgate_gate::signals::{self, Signal};
use stopgate_gate::turn::PersonTurn;
use stopgate_gate::turn_end::TurnEnd;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let found = signals::detect(&text);
    assert_eq!(signals::detect(&text), found);
    let mut order = Signal::ALL.iter();
    for seen in found.sightings() {
        assert!(order.any(|signal| *signal == seen.signal), "out of order, or twice");
        assert!(text.get(seen.span.clone()).is_some(), "{seen:?} is no part of the text");
    }
    // Nothing is open: nothing may be decided against the agent, whatever was asked for.
    let facts = Facts::default();
    let modes = RuleModes::default();
    let old = rules::decide(&found, &facts, &modes).decision();
    assert!(old != Decision::Continue, "held without evidence");
    let asked = Asked::of([text.as_ref()]);
    assert_eq!(Asked::of([text.as_ref()]), asked);
    let turn = PersonTurn { asked, ..PersonTurn::default() };
    if let (Some(reading), Some(weighing)) = (Reading::of(&text, None), Weighing::checked_in()) {
        let turn_end = TurnEnd::default();
        let stop = KnownStop { signals: &found, reading: &reading, turn: &turn, turn_end: &turn_end, weighing };
        let weighed = rules::weigh(&stop, &facts, &modes);
        assert!(weighed.finding.decision() != Decision::Continue, "held without evidence: {weighed:?}");
    }
    let question = JudgeQuestion::new(&text, found, &facts);
    let prompt = question.prompt(7);
    assert!(prompt.whole().len() < 128 * 1024);
    // And a judge that answers with the same text.
    if let Ok(opinion) = question.read(&text) {
        assert_ne!(opinion.decision(), Decision::Continue, "a judge held without evidence");
    }
});
