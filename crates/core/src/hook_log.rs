//! The hooks' own log: one JSON line for each time a hook could not do its work. Never stdout, never stderr.

use std::fs::OpenOptions;
use std::io::Write;

use serde::Serialize;

use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::fsx;
use crate::paths::Home;
use crate::redact::redact;
use crate::text::head;

/// The log is renamed to `hooks.jsonl.1` (one old file is kept) when it has grown to this.
const ROTATE_BYTES: u64 = 1024 * 1024;
/// Longest detail that is written.
const MAX_DETAIL_BYTES: usize = 512;

#[derive(Serialize)]
struct Line<'a> {
    at_ms: UnixMillis,
    hook: &'a str,
    problem: &'a str,
    detail: String,
}

/// Appends a line. Failure is ignored: a hook that cannot log still lets the harness go on.
pub fn write(home: &Home, hook: &str, problem: &str, detail: &str) {
    if !home.root().exists() {
        return;
    }
    let path = home.log().join("hooks.jsonl");
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() >= ROTATE_BYTES) {
        let _ = std::fs::rename(&path, home.log().join("hooks.jsonl.1"));
    }
    let line = Line { at_ms: SystemClock.now_ms(), hook, problem, detail: redact(head(detail, MAX_DETAIL_BYTES)) };
    let Ok(mut bytes) = serde_json::to_vec(&line) else {
        return;
    };
    bytes.push(b'\n');
    let open = || fsx::open_regular(OpenOptions::new().create(true).append(true), &path);
    let file = open().or_else(|_| {
        fsx::ensure_private_dir(&home.log())?;
        open()
    });
    if let Ok(mut file) = file {
        let _ = file.write_all(&bytes);
    }
}
