//! The fields that the harnesses' payloads are made of, as they lie on the wire.
//!
//! Read off the parsed JSON by hand: derived code for all fields took 10 KiB of each hook.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{
    Event, EventKind, MAX_MESSAGE_BYTES, MAX_PROMPT_BYTES, Payload as Read, PayloadError, StartSource, Stop, ToolCall,
};
use crate::session::{Harness, SessionKey};
use crate::text;

/// Longest name (model, permission mode, reason) that is kept.
const MAX_WORD_BYTES: usize = 256;
/// Longest path that the system knows (`PATH_MAX`).
const MAX_PATH_BYTES: usize = 4_096;

/// A payload's fields. Both clients share most of them; which of the others make sense is for [`super::claude`] and
/// [`super::codex`] to say.
#[derive(Debug)]
pub(super) struct RawPayload(Map<String, Value>);

/// Where parsing failed, without quoting the payload: it may hold secrets.
pub(super) fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a field has the wrong type",
        serde_json::error::Category::Eof => "JSON ends too early",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}

impl RawPayload {
    /// Parses a payload.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, PayloadError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(PayloadError::Json("not a JSON object".to_owned())),
            Err(error) => Err(PayloadError::Json(describe(&error))),
        }
    }

    /// Whether there is a field `name` that is not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// The text in the field `name`.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, PayloadError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// The items of the list in the field `name`.
    pub(super) fn items(&self, name: &str) -> Result<&[Value], PayloadError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong_type(name)),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, PayloadError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// The beginning of a name in the harness's words.
    pub(super) fn word(&self, name: &str) -> Result<Option<String>, PayloadError> {
        Ok(self.text(name)?.map(|word| text::head(word, MAX_WORD_BYTES).to_owned()))
    }

    fn path(&self, name: &str) -> Result<Option<PathBuf>, PayloadError> {
        let is_path = |path: &PathBuf| path.is_absolute() && path.as_os_str().len() <= MAX_PATH_BYTES;
        Ok(self.text(name)?.map(PathBuf::from).filter(is_path))
    }

    /// What a tool was given, which is taken out: it may be a whole file.
    pub(super) fn take_input(&mut self) -> Value {
        self.0.get_mut("tool_input").map(Value::take).unwrap_or_default()
    }

    /// The event that the common fields tell of, without what [`RawPayload::take_input`] has. Of a stop, `tasks` has what the dialect tells besides.
    pub(super) fn event(&self, harness: Harness, tasks: Stop) -> Result<Read, PayloadError> {
        let name = self.text("hook_event_name")?.unwrap_or_default();
        let kind = match name {
            "SessionStart" => EventKind::SessionStart { source: source(self.text("source")?) },
            "SessionEnd" => EventKind::SessionEnd { reason: self.word("reason")? },
            "UserPromptSubmit" => {
                let prompt = self.text("prompt")?.unwrap_or_default();
                EventKind::UserPromptSubmit { prompt: text::ends(prompt, MAX_PROMPT_BYTES) }
            }
            "Stop" => {
                let message = self.text("last_assistant_message")?.unwrap_or_default();
                EventKind::Stop(Stop {
                    stop_hook_active: self.flag("stop_hook_active")?,
                    last_assistant_message: text::tail(message, MAX_MESSAGE_BYTES).to_owned(),
                    ..tasks
                })
            }
            "PreToolUse" => EventKind::PreToolUse(ToolCall {
                tool: self.word("tool_name")?.unwrap_or_default(),
                use_id: self.word("tool_use_id")?,
                input: Value::Null,
            }),
            "PermissionRequest" => {
                EventKind::PermissionRequest { tool: self.text("tool_name")?.map(|name| text::one_line(name, 64)) }
            }
            "Interrupt" => EventKind::Interrupt,
            "SubagentStop" => EventKind::SubagentStop,
            "ConfigChange" => EventKind::ConfigChange { file: self.path("file_path")?, lost: None },
            "PreCompact" => EventKind::PreCompact,
            "PostCompact" => EventKind::PostCompact,
            _ => {
                return Ok(Read::Unknown { name: text::one_line(name, 64) });
            }
        };
        let key =
            SessionKey::new(harness, self.text("session_id")?.unwrap_or_default()).ok_or(PayloadError::NoSession)?;
        Ok(Read::Known(Event {
            key,
            cwd: self.path("cwd")?,
            transcript_path: self.path("transcript_path")?,
            model: self.word("model")?,
            permission_mode: self.word("permission_mode")?,
            agent_id: self.word("agent_id")?.filter(|id| !id.is_empty()),
            kind,
        }))
    }
}

fn wrong_type(name: &str) -> PayloadError {
    PayloadError::Json(format!("{name}: of the wrong type"))
}

fn source(word: Option<&str>) -> StartSource {
    match word {
        Some("startup") => StartSource::Startup,
        Some("resume") => StartSource::Resume,
        Some("fork") => StartSource::Fork,
        Some("clear") => StartSource::Clear,
        Some("compact") => StartSource::Compact,
        _ => StartSource::Other,
    }
}
