//! Payloads: what the real clients sent, with another session, directory and last message.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// A recorded `Stop` of Claude Code.
const STOP: &str = include_str!("../../tests/fixtures/claude/Stop.json");
/// A recorded `SessionStart` of Claude Code.
const SESSION_START: &str = include_str!("../../tests/fixtures/claude/SessionStart.startup.json");

/// A recorded `UserPromptSubmit` of Claude Code.
const PROMPTED: &str = include_str!("../../tests/fixtures/claude/UserPromptSubmit.json");
/// Recorded calls of tools of Claude Code.
const WRITE: &str = include_str!("../../tests/fixtures/claude/PreToolUse.Write.json");
const BASH: &str = include_str!("../../tests/fixtures/claude/PreToolUse.Bash.json");

/// A stop that gives no excuse and promises nothing.
pub(crate) const PLAIN_MESSAGE: &str =
    "The parser is in and its tests pass: 14 passed, none failed. The README shows the new flag.";
/// A stop that gives an excuse.
pub(crate) const EXCUSE_MESSAGE: &str = "The lexer is in and its tests pass: 14 passed, none failed.\n\n\
     I'm running low on context, so this is a good place to stop. Let's continue in a fresh session.";

/// A recorded prompt of a person at a terminal, with another text.
const PROMPT: &str = r#"{"type":"user","promptId":"d3372868-63a9-43e0-a2b2-4767b3c10066","timestamp":"2026-11-30T08:00:00.000Z","message":{"role":"user","content":"Execute docs/plan.md."},"origin":{"kind":"human"},"promptSource":"typed","turnOrigin":"human"}"#;

/// The transcript of the sessions in `cwd`, beside it: their person has asked for the plan.
pub(crate) fn transcript(cwd: &Path) -> anyhow::Result<PathBuf> {
    let path = cwd.with_extension("jsonl");
    if !path.exists() {
        std::fs::write(&path, format!("{PROMPT}\n")).context("no transcript")?;
    }
    Ok(path)
}

/// A stop of `session` in `cwd` after `message`.
pub(crate) fn stop(session: &str, cwd: &Path, message: &str) -> anyhow::Result<Vec<u8>> {
    let transcript = transcript(cwd)?;
    let transcript = transcript.to_str().context("the temporary directory's path is not UTF-8")?;
    render(STOP, session, cwd, &[("last_assistant_message", message), ("transcript_path", transcript)])
}

/// The start of `session` in `cwd`.
pub(crate) fn session_start(session: &str, cwd: &Path) -> anyhow::Result<Vec<u8>> {
    render(SESSION_START, session, cwd, &[])
}

/// A prompt of the person of `session` in `cwd`.
pub(crate) fn prompt(session: &str, cwd: &Path) -> anyhow::Result<Vec<u8>> {
    render(PROMPTED, session, cwd, &[])
}

/// A tool that `session` is about to use in `cwd`.
pub(crate) fn call(session: &str, cwd: &Path, call: Call) -> anyhow::Result<Vec<u8>> {
    let (fixture, field, value) = match call {
        Call::Write(file) => {
            let path = cwd.join(file);
            (WRITE, "file_path", path.to_str().context("the temporary directory's path is not UTF-8")?.to_owned())
        }
        Call::Shell(command) => (BASH, "command", command.to_owned()),
    };
    let mut payload: Value = serde_json::from_slice(&render(fixture, session, cwd, &[])?)?;
    let input = payload.get_mut("tool_input").and_then(|input| input.get_mut(field));
    *input.with_context(|| format!("a fixture has no `{field}`"))? = Value::from(value);
    Ok(serde_json::to_vec(&payload)?)
}

/// What a tool is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    /// Write this file of the working directory.
    Write(&'static str),
    /// Run this command.
    Shell(&'static str),
}

fn render(fixture: &str, session: &str, cwd: &Path, others: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
    let mut payload: Value = serde_json::from_str(fixture).context("a fixture is not JSON")?;
    let cwd = cwd.to_str().context("the temporary directory's path is not UTF-8")?;
    let fields = [("session_id", session), ("cwd", cwd)];
    for (name, value) in fields.iter().chain(others) {
        let field = payload.get_mut(*name).with_context(|| format!("a fixture has no field `{name}`"))?;
        *field = Value::from(*value);
    }
    Ok(serde_json::to_vec(&payload)?)
}

/// Sessions of one situation, numbered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sessions(pub(crate) u16);

impl Sessions {
    /// The id of session `number`, in the form both clients use.
    pub(crate) fn id(self, number: usize) -> String {
        format!("beac4000-0000-4000-8000-{:04x}{number:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::harness::{self, EventKind, Payload};
    use stopgate_core::session::Harness;
    use stopgate_gate::signals;

    fn read(bytes: &[u8]) -> harness::Event {
        match harness::parse(Some(Harness::Claude), bytes).unwrap() {
            Payload::Known(event) => event,
            Payload::Unknown { name } => panic!("unknown event {name}"),
        }
    }

    #[test]
    fn payloads_keep_their_shape_and_carry_what_was_asked_for() {
        let id = Sessions(3).id(1);
        assert_eq!(id.len(), 36);
        let cwd = std::env::temp_dir().join(format!("stopgate-payload-{}", std::process::id()));
        let event = read(&stop(&id, &cwd, "hello").unwrap());
        std::fs::remove_file(event.transcript_path.unwrap()).unwrap();
        assert_eq!((event.key.session_id.as_str(), event.cwd.as_deref()), (id.as_str(), Some(&*cwd)));
        assert!(matches!(event.kind, EventKind::Stop(stop) if stop.last_assistant_message == "hello"));
        let started = read(&session_start(&id, Path::new("/x")).unwrap());
        assert!(matches!(started.kind, EventKind::SessionStart { .. }));
    }

    #[test]
    fn a_call_says_what_it_would_do() {
        for (asked, field, expected) in
            [(Call::Write("a.rs"), "file_path", "/x/a.rs"), (Call::Shell("git stash"), "command", "git stash")]
        {
            let event = read(&call("s", Path::new("/x"), asked).unwrap());
            assert!(matches!(event.kind, EventKind::PreToolUse(call) if call.input[field] == expected));
        }
        let prompted = read(&prompt("s", Path::new("/x")).unwrap());
        assert!(matches!(prompted.kind, EventKind::UserPromptSubmit { .. }));
    }

    #[test]
    fn only_the_excuse_gives_the_gate_something_to_judge() {
        assert!(signals::detect(EXCUSE_MESSAGE).wants_to_leave());
        assert!(!signals::detect(PLAIN_MESSAGE).wants_to_leave());
    }
}
