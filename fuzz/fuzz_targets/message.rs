//! An agent's last message: any text is read for signals, each with its place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_gate::facts::Facts;
use stopgate_gate::judge::JudgeQuestion;
use stopgate_gate::rules;
use stopgate_gate::signals::{self, Signal};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let found = signals::detect(&text);
    assert_eq!(signals::detect(&text), found);
    let mut order = Signal::ALL.iter();
    for seen in found.sightings() {
        assert!(order.any(|signal| *signal == seen.signal), "out of order, or twice");
        assert!(text.get(seen.span.clone()).is_some(), "{seen:?} is no part of the text");
    }
    // Nothing is open: nothing may be decided against the agent.
    let facts = Facts::default();
    let decision = rules::decide(&found, &facts).decision();
    assert!(decision != stopgate_core::decision::Decision::Continue, "held without evidence");
    let question = JudgeQuestion::new(&text, found, &facts);
    let prompt = question.prompt(7);
    assert!(prompt.whole().len() < 128 * 1024);
    // And a judge that answers with the same text.
    if let Ok(opinion) = question.read(&text) {
        assert_ne!(opinion.decision(), stopgate_core::decision::Decision::Continue, "a judge held without evidence");
    }
});
