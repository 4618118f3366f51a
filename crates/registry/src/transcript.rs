//! Reads the end of a session's transcript.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Instant;

use stopgate_core::fsx;
use stopgate_core::session::Harness;
use stopgate_gate::transcript::{self, MAX_TAIL_BYTES, Transcript};

/// What the end of a transcript tells; nothing if it cannot be read, `None` if it could not be before `deadline`.
pub fn end_of_transcript(harness: Harness, path: &Path, deadline: Instant) -> Option<Transcript> {
    let in_time = || Instant::now() < deadline;
    if !in_time() {
        return None;
    }
    let Some((text, is_whole)) = tail(path) else { return Some(Transcript::default()) };
    transcript::read_while(harness, &text, is_whole, in_time)
}

/// The last part of `path`, and whether that is all of it.
fn tail(path: &Path) -> Option<(String, bool)> {
    let mut file = fsx::open_regular(OpenOptions::new().read(true), path).ok()?;
    let length = file.metadata().ok()?.len();
    let start = length.saturating_sub(MAX_TAIL_BYTES);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some((String::from_utf8_lossy(&bytes).into_owned(), start == 0))
}
