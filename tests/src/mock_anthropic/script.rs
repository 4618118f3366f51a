//! What the mocked model says, as plain data.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answers of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Tried first, in order, on main requests.
    pub rules: Vec<Rule>,
    /// Answers to main requests (those that offer tools) that no rule wanted, in order.
    pub turns: Vec<Turn>,
    /// The answer once `turns` is used up.
    #[serde(rename = "default")]
    pub default_turn: Turn,
    /// The answer to requests that offer no tools.
    pub side: Turn,
}

/// Turns for the main requests whose last user message contains a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Plain substring.
    pub contains: String,
    /// Used in order; then the rule steps aside.
    pub turns: Vec<Turn>,
    /// Instead of stepping aside, say the last turn again and again.
    #[serde(default)]
    pub repeat: bool,
}

/// One answer of the model; an empty one says "ok".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// What the assistant says.
    pub text: Option<String>,
    /// The tools it calls.
    pub tools: Vec<ToolCall>,
    /// How long it thinks first.
    pub delay_ms: u64,
    /// Fail instead of answering.
    pub error: Option<ErrorAnswer>,
}

/// One call of one of the client's tools.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool, such as `Bash`.
    pub name: String,
    /// Its input.
    pub input: Value,
}

/// An API error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorAnswer {
    /// HTTP status; the client retries 429 and 5xx by itself.
    pub status: u16,
    /// The API's name for it, such as `overloaded_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text beside it.
    pub message: String,
}

impl Turn {
    /// The assistant says `text` and stops.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// The assistant calls one tool.
    pub fn tool(name: impl Into<String>, input: Value) -> Self {
        Self::default().and_tool(name, input)
    }

    /// The assistant runs a shell command.
    pub fn bash(command: impl Into<String>) -> Self {
        Self::tool("Bash", serde_json::json!({ "command": command.into(), "description": "scripted" }))
    }

    /// The API fails with `status`.
    pub fn error(status: u16) -> Self {
        let error = ErrorAnswer { status, kind: "api_error".into(), message: "mock error".into() };
        Self { error: Some(error), ..Self::default() }
    }

    /// One more tool call in the same answer.
    #[must_use]
    pub fn and_tool(mut self, name: impl Into<String>, input: Value) -> Self {
        self.tools.push(ToolCall { name: name.into(), input });
        self
    }

    /// The same answer, `delay` later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }
}

impl Rule {
    /// `turns`, in order, whenever the last user message contains `text`.
    pub fn contains(text: impl Into<String>, turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { contains: text.into(), turns: turns.into_iter().collect(), repeat: false }
    }

    /// The last turn is said again and again.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.repeat = true;
        self
    }
}

/// A script and how far it has been used.
#[derive(Debug)]
pub(crate) struct Cursor {
    script: Script,
    used_turns: usize,
    used_by_rule: Vec<usize>,
}

impl Cursor {
    pub(crate) fn new(script: Script) -> Self {
        Self { used_by_rule: vec![0; script.rules.len()], used_turns: 0, script }
    }

    /// The answer to a request that offers tools, with its label; `last` is the last text of its user, or of a tool.
    pub(crate) fn main_turn(&mut self, last: &str) -> (String, Turn) {
        for (number, (rule, used)) in self.script.rules.iter().zip(&mut self.used_by_rule).enumerate() {
            if !last.contains(&rule.contains) {
                continue;
            }
            if let Some(turn) = rule.turns.get(*used) {
                *used += 1;
                return (format!("rule{number}[{}]", *used - 1), turn.clone());
            }
            if let Some(turn) = rule.turns.last().filter(|_| rule.repeat) {
                return (format!("rule{number}[last]"), turn.clone());
            }
        }
        let Some(turn) = self.script.turns.get(self.used_turns) else {
            return ("default".into(), self.script.default_turn.clone());
        };
        self.used_turns += 1;
        (format!("turn[{}]", self.used_turns - 1), turn.clone())
    }

    /// The answer to a request that offers none.
    pub(crate) fn side_turn(&self) -> (String, Turn) {
        ("side".into(), self.script.side.clone())
    }
}

/// Whether a message request belongs to the conversation rather than to the client's own errands.
pub(super) fn offers_tools(body: &Value) -> bool {
    body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::message::last_user_text;
    use super::*;
    use serde_json::json;

    fn request(last: &str) -> Value {
        json!({ "messages": [
            { "role": "user", "content": "alpha beta" },
            { "role": "assistant", "content": "said" },
            { "role": "user", "content": [{ "type": "tool_result", "content": [{ "type": "text", "text": last }] }] },
            { "role": "system", "content": "alpha" },
        ] })
    }

    #[test]
    fn rules_come_first_and_look_at_the_last_user_message_only() {
        let mut cursor = Cursor::new(Script {
            rules: vec![
                Rule::contains("alpha", [Turn::text("a")]),
                Rule::contains("beta", [Turn::text("b")]).repeated(),
            ],
            turns: vec![Turn::text("t")],
            ..Script::default()
        });
        let mut label = |last: &str| cursor.main_turn(&last_user_text(&request(last))).0;
        let labels = ["alpha", "alpha", "alpha", "beta", "beta"].map(&mut label);
        assert_eq!(labels, ["rule0[0]", "turn[0]", "default", "rule1[0]", "rule1[last]"]);
    }

    #[test]
    fn a_script_survives_json_and_a_typing_mistake_in_one_does_not() {
        let script = Script {
            turns: vec![Turn::bash("true").after(Duration::from_millis(5)), Turn::error(529)],
            ..Script::default()
        };
        let text = serde_json::to_string(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&text).unwrap(), script);
        assert!(serde_json::from_str::<Script>(r#"{"turns":[{"txt":"x"}]}"#).is_err());
    }
}
