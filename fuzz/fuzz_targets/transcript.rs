//! The end of a transcript: any bytes give lists of a bounded size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stopgate_gate::transcript::{self, MAX_TAIL_BYTES};
use stopgate_core::session::Harness;
use stopgate_fuzz::assert_shown;

/// As in the reader.
const MAX_ITEMS: usize = 200;
/// As in the reader of what was done to files: doings, one of them being a call that names up to that many.
const MAX_DOINGS: usize = 400;
/// As there.
const MAX_PLACES: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TAIL_BYTES as usize)]);
    for harness in Harness::ALL {
        for is_whole in [true, false] {
            let read = transcript::read(harness, &text, is_whole);
            assert!(read.tasks.len() <= MAX_ITEMS && read.teammates.len() <= MAX_ITEMS);
            let files = &read.files;
            assert!(files.written.len() + files.read.len() <= MAX_DOINGS && files.ticked.len() <= MAX_DOINGS);
            assert!(files.places.len() <= MAX_PLACES);
            assert_eq!(read.tasks.len(), read.task_ids.len());
            for task in &read.tasks {
                assert_shown(&task.text, 160);
            }
            let end = &read.turn_end;
            for said in [&end.failed_call, &end.denied_call].into_iter().flatten() {
                assert_shown(said, 160);
            }
            assert!(end.usage.is_none_or(|usage| usage.used > 0 && usage.window > 0));
            // A line that is no JSON is skipped, wherever it stands.
            let disturbed = format!("{text}\nnot json\n");
            assert_eq!(transcript::read(harness, &disturbed, is_whole), read);
        }
    }
});
