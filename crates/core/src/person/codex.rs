//! Codex's lines (0.169.0 to 0.171.0).
//!
//! A turn says at its beginning what set it off: `turn_trigger` is `user` at a terminal, with a daemon and without one,
//! `exec` for `codex exec`, `queue` for `codex queue`. A client of `codex app-server` may say anything, or nothing, which
//! is unknown. What is put into a running turn has no trigger of its own: the terminal gives it a `client_id`, others
//! may; without one it is unknown.

use serde_json::{Map, Value};

use super::{Act, Seen, joined, said_at, text_of};
use crate::harness::MAX_PROMPT_BYTES;
use crate::text;

/// What a line has that may tell of the person.
pub(super) const MARKS: [&str; 4] = ["\"task_started\"", "\"UserMessage\"", "\"user_message\"", "\"turn_aborted\""];

/// Whether a turn begins here.
pub(super) fn is_start(line: &Map<String, Value>) -> bool {
    line.get("payload").is_some_and(|payload| payload["type"] == "task_started")
}

/// Whether a turn begins here that the person set off.
pub(super) fn is_persons(line: &Map<String, Value>) -> bool {
    is_start(line) && line.get("payload").is_some_and(by_person)
}

/// Whether the person set off the turn that a `task_started` begins.
fn by_person(payload: &Value) -> bool {
    matches!(payload["turn_attribution"]["turn_trigger"].as_str(), Some("user" | "exec"))
}

/// What the lines of a turn, in their order, say of the person.
pub(super) fn seen(lines: impl Iterator<Item = Map<String, Value>>) -> Vec<Seen> {
    let mut found = Vec::new();
    // Whether the turn is the person's, until the message has come that it began with; then that message.
    let (mut begins, mut began_with) = (None, None);
    let mut headless = false;
    for line in lines.filter(|line| text_of(line, "type") == Some("event_msg")) {
        let (payload, at_ms) = (&line["payload"], said_at(&line));
        match payload["type"].as_str() {
            Some("task_started") => {
                (begins, began_with) = (Some(by_person(payload)), None);
                headless = payload["turn_attribution"]["turn_trigger"] == "exec";
            }
            Some("turn_aborted") if payload["reason"] == "interrupted" => {
                found.push(Seen { act: Act::Interrupted, at_ms, reported: false, headless: false });
            }
            kind => {
                let item = &payload["item"];
                let words = match kind {
                    Some("user_message") => joined(&payload["message"]),
                    Some("item_completed") if item["type"] == "UserMessage" => joined(&item["content"]),
                    _ => continue,
                };
                let is_persons = match begins.take() {
                    Some(by_person) => {
                        began_with = Some(words.clone());
                        by_person
                    }
                    // What the turn began with may stand there in two forms.
                    None => {
                        began_with.as_ref().is_some_and(|first| *first != words)
                            && item["client_id"].as_str().is_some_and(|id| !id.is_empty())
                    }
                };
                if is_persons {
                    let act = Act::Prompt(text::ends(words.trim(), MAX_PROMPT_BYTES));
                    found.push(Seen { act, at_ms, reported: true, headless });
                }
            }
        }
    }
    found
}
