//! What a tool call says that it writes: any script gives plain paths within bounds, and nothing of it in quotes does.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use stopgate_coordination::fence::{Around, Intent, MAX_TARGETS, NoLinks, read};
use stopgate_core::harness::Harness;

fuzz_target!(|bytes: &[u8]| {
    let script = String::from_utf8_lossy(bytes);
    let around = Around { cwd: Path::new("/w"), home: Some(Path::new("/home/dev")), links: &NoLinks };
    for (harness, tool) in [(Harness::Claude, "Bash"), (Harness::Codex, "apply_patch"), (Harness::Claude, "Write")] {
        let intent = read(harness, tool, &json!({"command": script, "file_path": script}), &around);
        assert!(intent.writes.len() <= MAX_TARGETS && intent.acts.len() <= MAX_TARGETS);
        for target in &intent.writes {
            let text = target.path.to_str().unwrap();
            assert!(text.starts_with('/') && text.len() <= 4096 && !text.contains('\0'), "{text:?}");
            assert!(!text.split('/').any(|part| part == "." || part == ".."), "{text:?}");
        }
    }
    let quoted = format!("git commit -m '{}'", script.replace('\'', "'\\''"));
    assert_eq!(read(Harness::Claude, "Bash", &json!({"command": quoted}), &around), Intent::default(), "{quoted}");
    // Reading is linear: a script twice as long takes no more than its time, which the fuzzer watches.
    let twice = format!("{script}\n{script}");
    let _ = read(Harness::Claude, "Bash", &json!({"command": twice}), &around);
});
