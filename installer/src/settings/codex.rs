//! What makes Codex reject a `hooks.json` as a whole: then none of its hooks runs, and `codex exec` does not say so.
//!
//! The shapes below are those of Codex 0.169.0, found by asking its `hooks/list` about one broken file after the other.
//! It reads strict JSON: no comments, no byte order mark, no key twice.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::document::{Document, DocumentProblem, Position, Unfit, Value};
use crate::wiring::hook_of;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its being read counts")]
struct CodexFile {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    hooks: Events,
}

/// Every event that Codex knows; what it does not know may be anything.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Events {
    session_start: Vec<Group>,
    session_end: Vec<Group>,
    user_prompt_submit: Vec<Group>,
    pre_tool_use: Vec<Group>,
    permission_request: Vec<Group>,
    post_tool_use: Vec<Group>,
    pre_compact: Vec<Group>,
    post_compact: Vec<Group>,
    subagent_start: Vec<Group>,
    subagent_stop: Vec<Group>,
    stop: Vec<Group>,
    interrupt: Vec<Group>,
    pre_model_request: Vec<Group>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its being read counts")]
struct Group {
    #[serde(default)]
    matcher: Option<String>,
    #[serde(default)]
    hooks: Vec<Handler>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "only its being read counts")]
enum Handler {
    #[serde(rename_all = "camelCase")]
    Command {
        command: String,
        #[serde(default)]
        timeout: Option<u64>,
        #[serde(default, rename = "async")]
        is_async: bool,
        #[serde(default)]
        status_message: Option<String>,
        #[serde(default)]
        command_windows: Option<String>,
        #[serde(default)]
        additional_context_limit: Option<usize>,
    },
    McpTool(IgnoredAny),
    Prompt(IgnoredAny),
    Agent(IgnoredAny),
}

/// Why Codex would reject `document`, with the place. A blank file is as good as none: it is filled.
pub(crate) fn rejection(document: &Document) -> Option<Unfit> {
    if document.has_mark() {
        let problem = "a byte order mark is before the text".to_owned();
        return Some(Unfit {
            at: Some(Position { line: 1, column: 1 }),
            problem: DocumentProblem::CodexRejects(problem),
        });
    }
    if document.is_blank() {
        return None;
    }
    let error = serde_json::from_str::<CodexFile>(document.text()).err()?;
    let at = Position { line: error.line(), column: error.column().max(1) };
    let text = error.to_string();
    let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem);
    Some(Unfit { at: Some(at), problem: DocumentProblem::CodexRejects(problem.to_owned()) })
}

/// Where the hooks of others stand: event, group, entry. Codex knows a trusted hook by its place.
fn places(document: &Document, bin: &Path) -> Vec<(String, usize, usize, Value)> {
    let mut places = Vec::new();
    let Some(Value::Object(events)) = document.value().and_then(|value| value.get("hooks").cloned()) else {
        return places;
    };
    for (event, groups) in events {
        let Value::Array(groups) = groups else { continue };
        for (group_at, group) in groups.iter().enumerate() {
            let Some(Value::Array(entries)) = group.get("hooks") else { continue };
            for (at, entry) in entries.iter().enumerate() {
                let command = entry.get("command").and_then(Value::as_str).unwrap_or_default();
                if hook_of(command, bin).is_none() {
                    places.push((event.clone(), group_at, at, entry.clone()));
                }
            }
        }
    }
    places
}

/// A warning if the change moves hooks of others: Codex then skips them until they are trusted anew.
pub(crate) fn moved_warning(before: &Document, after: &Document, bin: &Path) -> Option<String> {
    let (before, after) = (places(before, bin), places(after, bin));
    let moved = before.iter().filter(|place| !after.contains(place));
    let mut events: Vec<&str> = moved.map(|(event, ..)| event.as_str()).collect();
    events.dedup();
    (!events.is_empty()).then(|| {
        format!(
            "hooks of others on {} stand behind stopgate's and move up: Codex knows a trusted hook by its place, and \
             skips them until you trust them again (`/hooks` in Codex)",
            events.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        rejection(&Document::parse(text.as_bytes()).unwrap()).map(|unfit| unfit.to_string())
    }

    fn stop(handler: &str) -> String {
        format!("{{\n  \"hooks\": {{\"Stop\": [{{\"hooks\": [{handler}]}}]}}\n}}")
    }

    #[test]
    fn what_codex_reads_is_well() {
        for text in [
            "",
            "{}",
            r#"{"description": null, "hooks": {"Foo": 7, "Stop": [{"matcher": null, "zzz": 1}]}}"#,
            &stop(r#"{"type": "command", "command": "e", "timeout": null, "args": 1, "once": "x"}"#),
            &stop(r#"{"type": "prompt", "prompt": 1}, {"type": "agent"}, {"type": "mcp_tool", "x": {}}"#),
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn what_codex_rejects_is_named_with_its_place() {
        for (text, said) in [
            ("// x\n{}", "line 1, column 1"),
            ("{\"hooks\": {},}", "trailing comma"),
            ("\u{feff}{}", "byte order mark"),
            ("{\"x\": 1}", "unknown field `x`"),
            ("{\"hooks\": null}", "invalid type: null"),
            ("{\"hooks\": {}, \"hooks\": {}}", "duplicate field `hooks`"),
            ("{\"hooks\": {\"Stop\": [], \"Stop\": []}}", "duplicate field `Stop`"),
            ("{\"hooks\": {\"Stop\": {}}}", "invalid type: map"),
            ("{\"hooks\": {\"Stop\": [{\"matcher\": 1}]}}", "expected a string"),
            (&stop(r#"{"type": "command", "command": "e", "timeout": 0.5}"#), "line 2"),
            (&stop(r#"{"type": "command", "command": "e", "timeout": "5"}"#), "expected u64"),
            (&stop(r#"{"type": "command", "command": "e", "async": null}"#), "expected a boolean"),
            (&stop(r#"{"type": "command"}"#), "missing field `command`"),
            (&stop(r#"{"type": "http", "url": "x"}"#), "unknown variant `http`"),
            (&stop(r#"{"command": "e"}"#), "missing field `type`"),
        ] {
            let found = of(text).unwrap_or_else(|| panic!("{text} is taken for good"));
            assert!(found.contains(said) && found.contains("Codex rejects the whole file"), "{text}: {found}");
        }
    }

    #[test]
    fn hooks_of_others_that_move_are_named() {
        let document = |text: &str| Document::parse(text.as_bytes()).unwrap();
        let ours = r#"{"hooks": [{"type": "command", "command": "/h/bin/stop-gate-router codex"}]}"#;
        let other = r#"{"hooks": [{"type": "command", "command": "x"}]}"#;
        let stop = |groups: &[&str]| document(&format!("{{\"hooks\": {{\"Stop\": [{}]}}}}", groups.join(", ")));
        let bin = Path::new("/h/bin");
        assert_eq!(moved_warning(&stop(&[other]), &stop(&[other, ours]), bin), None);
        assert_eq!(moved_warning(&stop(&[other, ours]), &stop(&[other]), bin), None);
        let warning = moved_warning(&stop(&[ours, other]), &stop(&[other]), bin).unwrap();
        assert!(warning.contains("on Stop stand behind"), "{warning}");
    }
}
