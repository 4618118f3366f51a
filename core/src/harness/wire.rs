//! The fields that the harnesses' payloads are made of, as they lie on the wire.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Event, EventKind, MAX_MESSAGE_BYTES, MAX_PROMPT_BYTES, Payload as Read, PayloadError, StartSource, Stop};
use crate::session::{Harness, SessionKey};
use crate::text;

/// Every field of either dialect that is of use. Both clients share most of them; which of the others make
/// sense is for [`super::claude`] and [`super::codex`] to say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub hook_event_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub cwd: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub transcript_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub permission_mode: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub agent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub prompt: Option<Cow<'a, str>>,
    pub stop_hook_active: Option<bool>,
    #[serde(borrow)]
    pub last_assistant_message: Option<Cow<'a, str>>,
    /// Claude Code only.
    pub background_tasks: Option<Vec<IgnoredAny>>,
    /// Claude Code only.
    pub session_crons: Option<Vec<IgnoredAny>>,
    /// Claude Code only.
    pub prompt_id: Option<IgnoredAny>,
    /// Codex only.
    pub turn_id: Option<IgnoredAny>,
}

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

impl Payload<'_> {
    /// The event that the common fields tell of. `pending_tasks` is the dialect's count.
    pub(super) fn into_event(self, harness: Harness, pending_tasks: usize) -> Result<Read, PayloadError> {
        let name = self.hook_event_name.unwrap_or_default();
        let kind = match &*name {
            "SessionStart" => EventKind::SessionStart { source: source(self.source.as_deref()) },
            "SessionEnd" => EventKind::SessionEnd { reason: self.reason.map(Cow::into_owned) },
            "UserPromptSubmit" => {
                let prompt = self.prompt.unwrap_or_default();
                EventKind::UserPromptSubmit { prompt: text::head(&prompt, MAX_PROMPT_BYTES).to_owned() }
            }
            "Stop" => {
                let message = self.last_assistant_message.unwrap_or_default();
                EventKind::Stop(Stop {
                    stop_hook_active: self.stop_hook_active.unwrap_or(false),
                    last_assistant_message: text::tail(&message, MAX_MESSAGE_BYTES).to_owned(),
                    pending_tasks,
                })
            }
            "SubagentStop" => EventKind::SubagentStop,
            "PreCompact" => EventKind::PreCompact,
            "PostCompact" => EventKind::PostCompact,
            _ => {
                return Ok(Read::Unknown { name: text::one_line(&name, 64) });
            }
        };
        let key =
            SessionKey::new(harness, self.session_id.as_deref().unwrap_or_default()).ok_or(PayloadError::NoSession)?;
        Ok(Read::Known(Event {
            key,
            cwd: absolute(self.cwd),
            transcript_path: absolute(self.transcript_path),
            model: self.model.map(Cow::into_owned),
            permission_mode: self.permission_mode.map(Cow::into_owned),
            agent_id: self.agent_id.map(Cow::into_owned).filter(|id| !id.is_empty()),
            kind,
        }))
    }
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

fn absolute(path: Option<Cow<'_, str>>) -> Option<PathBuf> {
    path.map(|path| PathBuf::from(path.into_owned())).filter(|path| path.is_absolute())
}
