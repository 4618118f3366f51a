//! Reads a file of JSON lines from its end.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::fsx;

/// How much of a file's end is read at most: a turn of many hours. What stands before that is unknown.
pub(super) const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Read at once; of a line that is longer (a picture) as much again as is there.
const BLOCK_BYTES: u64 = 128 * 1024;

/// Gives each line of `path` that has one of `marks` to `take`, the last line first, until that says true, `until` comes,
/// or there is no more. What is no JSON object is left out, and so is everything of a file that cannot be read.
pub fn backwards(path: &Path, until: Instant, marks: &[&str], mut take: impl FnMut(&Map<String, Value>) -> bool) {
    backwards_within(path, until, marks, &Cell::new(MAX_BYTES), |line, _| take(line));
}

/// [`backwards`] through no more than `most` bytes, which may be lowered on the way; `take` is told how many have been
/// read.
pub(super) fn backwards_within(
    path: &Path,
    until: Instant,
    marks: &[&str],
    most: &Cell<u64>,
    mut take: impl FnMut(&Map<String, Value>, u64) -> bool,
) {
    let Ok(file) = fsx::open_regular(OpenOptions::new().read(true), path) else { return };
    let Ok(length) = file.metadata().map(|meta| meta.len()) else { return };
    let mut give = |line: &[u8], read: u64| {
        let text = String::from_utf8_lossy(line);
        let is_marked = marks.iter().any(|mark| text.contains(mark));
        is_marked && matches!(serde_json::from_str(&text), Ok(Value::Object(line)) if take(&line, read))
    };
    let (mut start, mut rest) = (length, Vec::new());
    loop {
        let first = length.saturating_sub(most.get());
        if start <= first || Instant::now() >= until {
            return;
        }
        let from = start.saturating_sub(BLOCK_BYTES.max(rest.len() as u64)).max(first);
        let Some(mut block) = read(&file, from, start) else { return };
        start = from;
        block.append(&mut rest);
        // What stands before the first line break is the end of a line that begins further up.
        let begins =
            if start == 0 { 0 } else { block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1) };
        if block[begins..].split(|byte| *byte == b'\n').rev().any(|line| give(line, length - start)) {
            return;
        }
        block.truncate(begins);
        rest = block;
    }
}

fn read(file: &File, from: u64, to: u64) -> Option<Vec<u8>> {
    let mut block = vec![0; usize::try_from(to - from).ok()?];
    file.read_exact_at(&mut block, from).ok()?;
    Some(block)
}
