//! Payloads as Claude Code 2.1 and Codex 0.169 send them, made up.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stopgate_core::session::Harness;

/// What a person says who wants the plan done.
const PROMPT: &str = "Execute docs/plan.md.";

/// The transcript of a session in `cwd`.
pub(crate) fn transcript(cwd: &Path) -> PathBuf {
    cwd.join("transcript.jsonl")
}

/// What a client of `harness` has written into it when the person has asked for the plan at a terminal.
pub(crate) fn prompted(harness: Harness) -> String {
    let at = jiff::Timestamp::now();
    let rows = match harness {
        Harness::Claude => vec![json!({
            "type": "user", "timestamp": format!("{at:.3}"), "message": { "role": "user", "content": PROMPT },
            "origin": { "kind": "human" }, "promptSource": "typed", "turnOrigin": "human",
        })],
        Harness::Codex => [
            json!({ "type": "task_started", "turn_id": "t",
                    "turn_attribution": { "turn_id": "t", "turn_trigger": "user" } }),
            json!({ "type": "item_completed", "turn_id": "t",
                    "item": { "type": "UserMessage", "id": "i", "content": [{ "type": "text", "text": PROMPT }] } }),
        ]
        .map(|payload| json!({ "type": "event_msg", "timestamp": format!("{at:.3}"), "payload": payload }))
        .to_vec(),
    };
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

/// The standard input of a hook on `event`: one line of JSON. `message` is what the agent said last.
pub(crate) fn of(event: &str, session: &str, cwd: &Path, message: &str) -> Vec<u8> {
    let mut fields = json!({
        "session_id": session,
        "transcript_path": transcript(cwd),
        "cwd": cwd,
        "hook_event_name": event.split(':').next(),
    });
    let more = match event {
        "SessionStart" => json!({ "source": "startup" }),
        "SessionEnd" => json!({ "reason": "other" }),
        "UserPromptSubmit" => json!({ "prompt": "stopgate's live check", "permission_mode": "default" }),
        // Harmless and of a tool that both harnesses have; nothing runs it.
        "PermissionRequest" => json!({
            "permission_mode": "default",
            "tool_name": "Bash",
            "tool_input": { "command": "true" },
            "permission_suggestions": [],
        }),
        // The same.
        "PreToolUse" => json!({
            "permission_mode": "default",
            "tool_name": "Bash",
            "tool_input": { "command": "true" },
            "tool_use_id": "stopgate-live-check",
        }),
        // A write, in the words of each harness; nothing makes it.
        "PreToolUse:write" => json!({
            "permission_mode": "default",
            "tool_name": "Bash",
            "tool_input": { "command": "echo x > live-check.txt" },
            "tool_use_id": "stopgate-live-check",
        }),
        "PreCompact" => json!({ "trigger": "manual", "custom_instructions": "" }),
        "PostCompact" => json!({ "trigger": "manual", "compact_summary": "" }),
        // No settings at all: nothing is found missing.
        "ConfigChange" => json!({ "source": "project_settings", "file_path": cwd.join(".claude/settings.json") }),
        "Stop" => json!({
            "permission_mode": "default",
            "stop_hook_active": false,
            "last_assistant_message": message,
            "background_tasks": [],
            "session_crons": [],
        }),
        _ => json!({}),
    };
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more);
    }
    format!("{fields}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::harness::Payload;
    use stopgate_core::hook::{TABLE, Wire};

    #[test]
    fn every_event_of_the_table_is_understood_by_the_hooks() {
        let of_all = |(_, wire): (_, Wire)| Harness::ALL.map(|harness| (wire, harness));
        for (wire, harness) in TABLE.into_iter().flat_map(of_all).filter(|(wire, harness)| wire.is_of(*harness)) {
            let bytes = of(wire.event.name(), &super::super::session_id(), Path::new("/tmp"), "x");
            let parsed = stopgate_core::harness::parse(Some(harness), &bytes).unwrap();
            let Payload::Known(event) = parsed else { panic!("{parsed:?}") };
            assert_eq!((event.kind.name(), event.key.harness), (wire.event.name(), harness));
        }
    }
}
