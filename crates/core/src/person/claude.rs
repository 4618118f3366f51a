//! Claude Code's lines (2.1.197 to 2.1.332).
//!
//! A prompt says whose it is: `origin.kind` is `human`, `peer`, `task-notification`, ...; where that is missing,
//! `promptSource` is `typed`, `queued` and `suggestion_accepted` at a terminal, `sdk` with `claude -p`, and `system` for
//! schedules and wake-ups. A prompt that is typed while the agent works is an attachment. A turn that the person
//! interrupts fires no hook, and leaves a line.

use serde_json::{Map, Value};

use super::{Act, Seen, joined, said_at, text_of};
use crate::harness::MAX_PROMPT_BYTES;
use crate::text;

/// What a line has that may tell of the person.
pub(super) const MARKS: [&str; 5] =
    ["\"promptSource\":\"", "\"human\"", INTERRUPTED, "\"user_reject\"", "\"answers\":{"];

const INTERRUPTED: &str = "[Request interrupted by user";
/// Behind this stand the words with which a person refused a tool.
const REFUSED_WITH: &str = "the user said:\n";

/// What a line says of the person.
pub(super) fn seen(line: &Map<String, Value>) -> Option<Seen> {
    let is = |name: &str| line.get(name).and_then(Value::as_bool) == Some(true);
    if is("isSidechain") || is("isMeta") || is("isCompactSummary") {
        return None;
    }
    let at_ms = said_at(line);
    // Others that use the same kit (an editor) may have a person who reads along.
    let headless = text_of(line, "entrypoint") == Some("sdk-cli");
    let found = |act, reported| Some(Seen { act, at_ms, reported, headless });
    match text_of(line, "type")? {
        "attachment" => {
            let queued = line.get("attachment").filter(|attachment| attachment["type"] == "queued_command")?;
            let is_prompt = matches!(queued["commandMode"].as_str(), None | Some("prompt"));
            let by_person = queued["origin"]["kind"] == "human";
            (is_prompt && by_person).then(|| found(Act::Prompt(said(&joined(&queued["prompt"]))), false))?
        }
        "user" => {
            let content = line.get("message")?.get("content")?;
            if is_persons(line) {
                let text = said(&joined(content));
                return (!is_local(&text)).then(|| found(Act::Prompt(text), true))?;
            }
            if let Some(answer) = answer(line, content) {
                return found(Act::Answer(answer), false);
            }
            // Neither a prompt, nor anything that another one sent: the words alone can be anybody's.
            let is_clients_own = line.get("promptSource").is_none() && by_whom(line).is_none();
            let is_interrupted = is_clients_own && joined(content).starts_with(INTERRUPTED);
            is_interrupted.then(|| found(Act::Interrupted, false))?
        }
        _ => None,
    }
}

/// The kind of who sent a line, if it says: of a kind that is not understood, an empty one.
fn by_whom(line: &Map<String, Value>) -> Option<&str> {
    let origin = line.get("origin").filter(|origin| !origin.is_null())?;
    Some(origin["kind"].as_str().unwrap_or_default())
}

/// Commands of the client's own that send the model nothing (2.1.332).
const LOCAL_COMMANDS: &str = "add-dir agents bug clear color compact config context copy cost doctor effort exit export fast \
    feedback help hooks ide keybindings login logout mcp memory model output-style permissions plugin \
    quit release-notes rename resume rewind sandbox skills stats status statusline tasks theme todos \
    usage vim";

/// Whether the command `name` sends the model nothing.
pub fn is_local_command(name: &str) -> bool {
    LOCAL_COMMANDS.split(' ').any(|known| known == name)
}

/// Whether what the person typed went to the client or to a shell, and not to the model.
fn is_local(text: &str) -> bool {
    let command = text.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    command.is_some_and(is_local_command)
        || ["<bash-input>", "<bash-stdout>", "<local-command-stdout>"].iter().any(|mark| text.starts_with(mark))
}

/// Whether a prompt was sent by the person, or by whoever runs the client without a terminal.
fn is_persons(line: &Map<String, Value>) -> bool {
    match by_whom(line) {
        Some(kind) => kind == "human",
        None => matches!(text_of(line, "promptSource"), Some("typed" | "queued" | "suggestion_accepted" | "sdk")),
    }
}

/// What the person said to a question of the agent's, or when refusing a tool. The client's own fields tell that it was
/// the person: a tool may print the same words.
fn answer(line: &Map<String, Value>, content: &Value) -> Option<String> {
    let result = line.get("toolUseResult");
    if let Some(Value::Object(answers)) =
        result.filter(|result| result["questions"].is_array()).map(|result| &result["answers"])
    {
        let all: Vec<&str> = answers.values().filter_map(Value::as_str).collect();
        return Some(said(&all.join("\n")));
    }
    let refused = line.get("permissionDecision").is_some_and(|decision| decision["source"] == "user_reject");
    let text = content.as_array().filter(|_| refused)?.iter().find_map(|block| block["content"].as_str())?;
    Some(said(text.split_once(REFUSED_WITH)?.1))
}

/// A prompt, of a long one both ends; of a command its name and its arguments.
fn said(prompt: &str) -> String {
    let within = |name: &str| {
        let (_, rest) = prompt.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
    };
    let text = match within("command-name").filter(|_| prompt.starts_with("<command-")) {
        Some(name) => format!("{name} {}", within("command-args").unwrap_or_default()).trim().to_owned(),
        None => prompt.trim().to_owned(),
    };
    text::ends(&text, MAX_PROMPT_BYTES)
}
