//! What a session did before another one came: nobody asked the fence then. Its own transcript says which files it wrote and
//! when; a file that git calls uncommitted, and that was changed last while such a call of its ran, is its work. Anything
//! else may be the person's or a program's, and is nobody's.
//!
//! Read once, when a session is alone in its tree no longer. Claude Code alone: a transcript of Codex does not say when a
//! call of it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;
use stopgate_coordination::fence::{Around, FileLinks, read};
use stopgate_coordination::held;
use stopgate_core::clock::{UnixMillis, parse_utc};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::fsx;
use stopgate_core::session::{Harness, SessionKey};

use super::leases;
use crate::state::State;

/// How much of the end of a transcript is read.
const MAX_TAIL_BYTES: u64 = 8 * 1024 * 1024;
/// Files that are looked at, the last written first.
const MAX_FILES: usize = 200;
/// Sessions with the same id in different harnesses that are looked at.
const MAX_NAMESAKES: u32 = 10;
/// How long git may take: nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(2);
/// How far a file's time and a transcript's may lie apart: the latter says when a line was put together.
const SLACK_MS: i64 = 1_000;

/// A file that a call wrote, and between when and when.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    path: PathBuf,
    from_ms: UnixMillis,
    to_ms: UnixMillis,
}

/// Notes what `session` has uncommitted in `tree` by its own transcript. Blocks.
pub(super) fn remember(state: &State, tree: &Path, session: &SessionKey) {
    if session.harness != Harness::Claude {
        return;
    }
    let rows = state.storage.with_reader(|store| store.sessions_named(&session.session_id, MAX_NAMESAKES));
    let row = rows.unwrap_or_default().into_iter().find(|row| row.key() == *session);
    let Some(text) = row.and_then(|row| row.transcript_path).and_then(|path| tail(&path)) else { return };
    let home = ProcessEnv.os(env::HOME).map(PathBuf::from).filter(|home| home.is_absolute());
    let mut found: Vec<PathBuf> = Vec::new();
    for written in written(&text, home.as_deref()).into_iter().rev() {
        if found.len() < MAX_FILES && !found.contains(&written.path) && is_as_it_was_left(&written) {
            found.push(written.path);
        }
    }
    found.retain(|path| path.starts_with(tree));
    let resources: Vec<_> = found.iter().filter_map(|path| held::resource(tree, path, false)).collect();
    if resources.is_empty() {
        return;
    }
    let Some(clean) = leases::clean(tree, resources, None, Instant::now() + env::patiently(DEADLINE)) else { return };
    for path in found {
        if held::resource(tree, &path, false).is_some_and(|resource| !clean.contains(&resource))
            && let Err(error) = state.leases.observe(session, tree, &path)
        {
            tracing::warn!(%error, "what was written before is not noted");
            return;
        }
    }
}

/// Whether nobody has changed the file since.
fn is_as_it_was_left(written: &Written) -> bool {
    let changed = std::fs::symlink_metadata(&written.path).and_then(|meta| meta.modified()).ok();
    let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| at.as_millis());
    let changed = changed.and_then(|at| i64::try_from(at).ok());
    changed.is_some_and(|at| (written.from_ms - SLACK_MS..=written.to_ms + SLACK_MS).contains(&at))
}

/// The files that the calls in `transcript` wrote, in their order: those that ended without an error.
fn written(transcript: &str, home: Option<&Path>) -> Vec<Written> {
    let mut open: BTreeMap<String, (UnixMillis, BTreeSet<PathBuf>)> = BTreeMap::new();
    let mut out = Vec::new();
    let told = ["\"tool_use\"", "\"tool_result\""];
    for line in transcript.lines().filter(|line| told.iter().any(|mark| line.contains(mark))) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let Some(at_ms) = line["timestamp"].as_str().and_then(parse_utc) else { continue };
        for block in line["message"]["content"].as_array().into_iter().flatten() {
            let text = |name: &str| block[name].as_str().unwrap_or_default();
            match text("type") {
                "tool_use" => {
                    let Some(cwd) = line["cwd"].as_str().map(Path::new) else { continue };
                    let around = Around { cwd, home, links: &FileLinks };
                    let intent = read(Harness::Claude, text("name"), &block["input"], &around);
                    let files = intent.writes.into_iter().filter(|target| !target.is_subtree);
                    open.insert(text("id").to_owned(), (at_ms, files.map(|target| target.path).collect()));
                }
                "tool_result" => {
                    let Some((from_ms, files)) = open.remove(text("tool_use_id")) else { continue };
                    if block["is_error"] != true {
                        out.extend(files.into_iter().map(|path| Written { path, from_ms, to_ms: at_ms }));
                    }
                }
                _ => {}
            }
        }
    }
    out
}

/// The last part of `path`.
fn tail(path: &Path) -> Option<String> {
    let mut file = fsx::open_regular(OpenOptions::new().read(true), path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_TAIL_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_call_wrote_that_ended_well_is_found_with_its_time() {
        let call = |at: &str, id: &str, tool: &str, input: Value| {
            json!({"type": "assistant", "cwd": "/w", "timestamp": at, "message": {"content": [
                {"type": "text", "text": "now"}, {"type": "tool_use", "id": id, "name": tool, "input": input}]}})
        };
        let end = |at: &str, id: &str, is_error: bool| {
            json!({"type": "user", "cwd": "/w", "timestamp": at, "message": {"content": [
                {"type": "tool_result", "tool_use_id": id, "content": "x", "is_error": is_error}]}})
        };
        let lines = [
            call("1970-01-01T00:00:01Z", "a", "Write", json!({"file_path": "/w/a.rs", "content": "x"})),
            call("1970-01-01T00:00:02Z", "b", "Bash", json!({"command": "cd sub && echo x > b.rs; rm -rf gone"})),
            end("1970-01-01T00:00:03Z", "b", false),
            end("1970-01-01T00:00:04Z", "a", false),
            call("1970-01-01T00:00:05Z", "c", "Edit", json!({"file_path": "/w/c.rs"})),
            end("1970-01-01T00:00:06Z", "c", true),
            call("1970-01-01T00:00:07Z", "d", "Read", json!({"file_path": "/w/d.rs"})),
            end("1970-01-01T00:00:08Z", "d", false),
            call("1970-01-01T00:00:09Z", "e", "Write", json!({"file_path": "/w/e.rs"})),
        ];
        let text: Vec<String> = lines.iter().map(Value::to_string).chain(["{\"tool_use\"".to_owned()]).collect();
        let of = |path: &str, from_ms, to_ms| Written { path: path.into(), from_ms, to_ms };
        assert_eq!(written(&text.join("\n"), None), [of("/w/sub/b.rs", 2_000, 3_000), of("/w/a.rs", 1_000, 4_000)]);
    }
}
