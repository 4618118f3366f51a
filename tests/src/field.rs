//! A session as it goes on in a checkout of its own: payloads as the clients sent them, and beside each thing that is really
//! done there the rows that the client writes of it.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stopgate_core::session::Harness;

use crate::checkout::Checkout;
use crate::run::{Stdin, finish};
use crate::transcript::{self, Sender};
use crate::world::{World, binary, block_reason};

/// A plan with one step done and three open.
pub const PLAN: &str = "# Inventory\n\n- [x] 1. Schema\n- [ ] 2. Import job\n- [ ] 3. Export endpoint\n\
                        - [ ] 4. Rate limiting\n";

/// A session.
pub struct Field<'a> {
    /// Where it lives.
    pub world: &'a World,
    /// Its client.
    pub harness: Harness,
    /// Its id.
    pub id: String,
    /// Its checkout.
    pub checkout: Checkout,
    calls: Cell<u32>,
}

impl<'a> Field<'a> {
    /// One that begins in a new checkout with `plan` in `docs/plan.md`.
    pub fn planned(world: &'a World, harness: Harness, id: &str, plan: &str) -> Self {
        Self::begun(world, harness, id, Checkout::planned(&world.root().join(id), plan))
    }

    /// One that begins in `checkout`.
    pub fn begun(world: &'a World, harness: Harness, id: &str, checkout: Checkout) -> Self {
        let field = Self { world, harness, id: id.to_owned(), checkout, calls: Cell::new(0) };
        let started = field.payload("SessionStart.startup.json");
        assert_eq!(field.hook("session-start-recorder", &started), "");
        field
    }

    /// Its transcript.
    pub fn transcript(&self) -> PathBuf {
        self.world.transcript(&self.id)
    }

    /// A payload as the client sent it, of this session.
    pub fn payload(&self, fixture: &str) -> Value {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(self.harness.name());
        let mut payload: Value = serde_json::from_slice(&std::fs::read(dir.join(fixture)).unwrap()).unwrap();
        payload["session_id"] = json!(self.id);
        payload["cwd"] = json!(self.checkout.top);
        payload["transcript_path"] = json!(self.transcript());
        if payload.get("prompt_id").is_some() {
            payload["prompt_id"] = json!("p");
        }
        payload
    }

    /// Runs a hook; what it prints.
    pub fn hook(&self, name: &str, payload: &Value) -> String {
        let mut command = self.world.command(&binary(name));
        command.arg(self.harness.name());
        let output = finish(command, Stdin::from(&*payload.to_string()));
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", self.id);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The person types a prompt.
    pub fn says(&self, words: &str) {
        self.hears(Sender::Typed, words);
    }

    /// A prompt comes: the hook is told before the client writes it down.
    pub fn hears(&self, sender: Sender, words: &str) {
        let mut payload = self.payload("UserPromptSubmit.json");
        payload["prompt"] = json!(sender.prompt(words));
        assert_eq!(self.hook("session-start-recorder", &payload), "");
        transcript::says(self.harness, &self.transcript(), sender, words);
    }

    /// Writes rows.
    pub fn row(&self, row: Value) {
        transcript::append(&self.transcript(), &[row]);
    }

    fn call(&self) -> String {
        self.calls.set(self.calls.get() + 1);
        format!("call_{}", self.calls.get())
    }

    /// A call of a tool of Claude Code's, and its result.
    pub fn calls(&self, tool: &str, input: &Value, result: &str, told: &Value) {
        let call = self.call();
        let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 31_000, "output_tokens": 5});
        self.row(json!({"type": "assistant", "cwd": self.checkout.top, "message": {"role": "assistant",
            "model": "claude-opus-5-5", "usage": usage,
            "content": [{"type": "tool_use", "id": call, "name": tool, "input": input}]}}));
        let is_error = told.is_string();
        self.row(json!({"type": "user", "cwd": self.checkout.top, "toolUseResult": told, "message": {"role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call, "content": result, "is_error": is_error}]}}));
    }

    /// A call of a function of Codex's, and its output.
    pub fn calls_function(&self, name: &str, arguments: &Value, output: &str) {
        let call = self.call();
        self.row(json!({"type": "response_item", "payload": {"type": "function_call", "name": name, "call_id": call,
            "arguments": arguments.to_string()}}));
        self.row(json!({"type": "response_item",
            "payload": {"type": "function_call_output", "call_id": call, "output": output}}));
    }

    /// The agent runs a command, which prints `output`.
    pub fn runs(&self, command: &str, output: &str) {
        match self.harness {
            Harness::Claude => {
                let told = json!({"stdout": output, "stderr": "", "interrupted": false});
                self.calls("Bash", &json!({"command": command}), output, &told);
            }
            Harness::Codex => {
                let output = format!("Wall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n{output}");
                self.calls_function("exec_command", &json!({"cmd": command, "workdir": self.checkout.top}), &output);
            }
        }
    }

    /// The agent replaces `old` by `new` in `path`, which has it.
    pub fn edits(&self, path: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.checkout.top.join(path)).unwrap();
        assert!(text.contains(old), "{path} has no {old:?}");
        self.checkout.write(path, &text.replacen(old, new, 1));
        match self.harness {
            Harness::Claude => {
                let file = self.checkout.top.join(path);
                let input = json!({"file_path": file, "old_string": old, "new_string": new});
                let outcome = json!({"filePath": file, "oldString": old, "newString": new});
                self.calls("Edit", &input, "The file has been updated.", &outcome);
            }
            Harness::Codex => {
                let call = self.call();
                let change = format!("*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n");
                self.row(
                    json!({"type": "response_item", "payload": {"type": "custom_tool_call", "name": "apply_patch",
                    "call_id": call, "input": change}}),
                );
                let output = format!("Exit code: 0\nOutput:\nSuccess. Updated the following files:\nM {path}\n");
                self.row(json!({"type": "response_item",
                    "payload": {"type": "custom_tool_call_output", "call_id": call, "output": output}}));
            }
        }
    }

    /// The agent commits everything.
    pub fn commits(&self, message: &str) {
        self.checkout.commit(message);
        self.runs(&format!("git add -A && git commit -m '{message}'"), "1 file changed");
    }

    /// The agent ticks a step of the plan, and commits.
    pub fn ticks(&self, step: &str) {
        self.edits("docs/plan.md", &format!("- [ ] {step}"), &format!("- [x] {step}"));
        self.commits(step);
    }

    /// What the client sends when the agent has said `message` last, and has written that down.
    pub fn stop(&self, message: &str) -> Value {
        self.row(match self.harness {
            Harness::Claude => json!({"type": "assistant", "cwd": self.checkout.top, "message": {"role": "assistant",
                "model": "claude-opus-5-5", "content": [{"type": "text", "text": message}]}}),
            Harness::Codex => json!({"type": "response_item", "payload": {"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": message}]}}),
        });
        let mut payload = self.payload("Stop.json");
        payload["last_assistant_message"] = json!(message);
        payload
    }

    /// What the agent is told that ends its turn with `message`; `None` if it may.
    pub fn ends(&self, message: &str) -> Option<String> {
        self.routes(&self.stop(message))
    }

    /// The same with a payload.
    pub fn routes(&self, payload: &Value) -> Option<String> {
        let said = self.hook("stop-gate-router", payload);
        said.contains("\"block\"").then(|| block_reason(&said))
    }
}
