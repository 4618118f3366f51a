//! A plan file of the checkout: any bytes give steps that can be shown, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_fuzz::assert_shown;
use stopgate_gate::steps::{MAX_STEP_CHARS, Step, Where, by_line};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let steps: Vec<Step> = by_line(&text, Where::Everywhere).flatten().collect();
    assert!(steps.len() <= text.lines().count());
    for step in &steps {
        assert!(!step.text.is_empty());
        assert_shown(&step.text, MAX_STEP_CHARS);
    }
    // A part of a file holds no more than all of it.
    assert!(by_line(&text, Where::TaskSections).flatten().count() <= steps.len());
    // Reading is linear: a plan twice as long takes no more than its time, which the fuzzer watches.
    let twice = format!("{text}\n\n{text}");
    let _ = by_line(&twice, Where::Everywhere).count();
});
