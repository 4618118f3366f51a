//! A plan file of the checkout: any bytes give steps that can be shown, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_gate::facts::{MAX_STEP_CHARS, open_step_texts, open_steps};
use stopgate_fuzz::assert_shown;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let steps: Vec<String> = open_step_texts(&text).collect();
    assert!(steps.len() <= text.lines().count());
    for step in &steps {
        assert!(!step.is_empty());
        assert_shown(step, MAX_STEP_CHARS);
    }
    assert_eq!(open_steps(&text), steps.first().map(|first| (first.clone(), steps.len())));
    // A step that is ticked is none; nothing else is.
    let ticked = text.replace("[ ]", "[x]");
    assert!(open_step_texts(&ticked).next().is_none());
    // Reading is linear: a plan twice as long takes no more than its time, which the fuzzer watches.
    let twice = format!("{text}\n\n{text}");
    assert!(open_step_texts(&twice).count() >= steps.len());
});
