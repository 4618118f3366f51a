//! Settings of both harnesses: installed and taken out again, nobody else's bytes change; or the file is refused.
#![no_main]

use std::path::Path;

use installer::rehearsal::{self, Rehearsed};
use libfuzzer_sys::fuzz_target;
use stopgate_core::session::Harness;
use stopgate_fuzz::is_subsequence;

const BIN: &str = "/home/dev/.stopgate/bin";

fuzz_target!(|bytes: &[u8]| {
    for harness in Harness::ALL {
        match rehearsal::settings(harness, Path::new(BIN), bytes) {
            Ok(done) => check(harness, bytes, &done),
            Err(problem) => assert!(!problem.is_empty()),
        }
    }
});

fn check(harness: Harness, before: &[u8], done: &Rehearsed) {
    assert!(done.foreign_part_kept, "somebody else's part changed");
    assert_eq!(done.registered, done.wanted);
    assert_eq!(done.installed_twice, done.installed, "twice is not once");
    let is_strict = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if is_strict(before) || harness == Harness::Codex {
        assert!(is_strict(&done.installed), "strict JSON before, not after");
    }
    // A blank file is filled: its white space goes, and comes back with the copy of the original.
    let is_blank = std::str::from_utf8(before).is_ok_and(|text| text.trim_start_matches('\u{feff}').trim().is_empty());
    if done.registered_before == 0 && !is_blank {
        assert!(is_subsequence(before, &done.installed), "something was taken away");
        assert_eq!(
            String::from_utf8_lossy(&bare(&done.uninstalled)),
            String::from_utf8_lossy(&bare(before)),
            "not what it was, even but for white space"
        );
    }
}

/// `text` without white space: where entries are taken out one by one, some of it may stay that came with them, as a new
/// line before the closing bracket. (An uninstallation that finds the file as it left it puts the original back.) That
/// the space in strings is kept is in `foreign_part_kept`.
fn bare(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}
