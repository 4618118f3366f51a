//! Sessions' transcripts as the clients write them: rows recorded with Claude Code 2.1.332 and Codex 0.171.0, with words
//! of a test's own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use stopgate_core::session::Harness;

/// Who sends a prompt, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The person, at a terminal.
    Typed,
    /// The person, at a terminal, while the agent works.
    WhileWorking,
    /// Whoever runs `claude -p` or `codex exec`.
    Headless,
    /// A background task that has ended; the words are its description, which is the agent's.
    Notice,
    /// Another session, with the client's own tool.
    Peer,
    /// Another program that writes to the session's socket.
    Socket,
    /// A schedule, a wake-up, a `/loop`.
    Scheduled,
    /// A Stop hook that wakes the session.
    Hook,
    /// A client that says of nobody who it was.
    Unsaid,
    /// `codex queue`.
    Queue,
    /// Another client of `codex app-server`, into a running turn.
    Steered,
}

use Sender::{Headless, Hook, Notice, Peer, Queue, Scheduled, Socket, Steered, Typed, Unsaid, WhileWorking};

impl Sender {
    /// Those that `harness` has.
    pub fn all(harness: Harness) -> &'static [Self] {
        match harness {
            Harness::Claude => &[Typed, WhileWorking, Headless, Notice, Peer, Socket, Scheduled, Hook, Unsaid],
            Harness::Codex => &[Typed, WhileWorking, Headless, Queue, Unsaid, Steered],
        }
    }

    /// Whether it is the person.
    pub fn is_person(self) -> bool {
        matches!(self, Typed | WhileWorking | Headless)
    }

    /// The prompt as hooks are told of it.
    pub fn prompt(self, words: &str) -> String {
        match self {
            Notice => format!(
                "<task-notification>\n<task-id>be8nylb7b</task-id>\n<status>completed</status>\n<summary>Background \
                 command \"{words}\" completed (exit code 0)</summary>\n</task-notification>"
            ),
            Peer => format!(
                "<cross-session-message from=\"uds:/tmp/cc-socks/7.sock\" from-name=\"beta\" \
                 from-mode=\"prompting\">\n{words}\n</cross-session-message>"
            ),
            Hook => format!(
                "<task-notification>\n<summary>Stop hook feedback</summary>\n</task-notification>\n<system-reminder>\n\
                 Stop hook blocking error from command \"Stop\": {words}\n</system-reminder>"
            ),
            _ => words.to_owned(),
        }
    }

    /// What the client writes down of it.
    fn rows(self, harness: Harness, words: &str) -> Vec<Value> {
        match harness {
            Harness::Claude => vec![self.claude(&self.prompt(words))],
            Harness::Codex => self.codex(words),
        }
    }

    fn claude(self, prompt: &str) -> Value {
        if self == WhileWorking {
            return json!({"type": "attachment", "attachment": {"type": "queued_command", "prompt": prompt,
                "commandMode": "prompt", "origin": {"kind": "human"}, "humanTurn": true}});
        }
        let text = match self {
            Peer | Socket => {
                format!("Another Claude session sent a message:\n{prompt}\n\nThis came from another Claude")
            }
            _ => prompt.to_owned(),
        };
        let mut row = json!({"type": "user", "promptId": "p", "message": {"role": "user", "content": text}});
        let marks = match self {
            Typed => json!({"origin": {"kind": "human"}, "promptSource": "typed", "turnOrigin": "human"}),
            Headless => json!({"promptSource": "sdk", "turnOrigin": "sdk", "entrypoint": "sdk-cli"}),
            Notice | Hook => json!({"origin": {"kind": "task-notification"}, "promptSource": "system",
                                    "turnOrigin": "task_notification"}),
            Peer | Socket => json!({"isMeta": true, "promptSource": "system",
                                    "origin": {"kind": "peer", "from": "uds:/tmp/x", "verifiedPeerPid": 7}}),
            Scheduled => json!({"isMeta": true, "promptSource": "system", "turnOrigin": "scheduled"}),
            _ => json!({}),
        };
        row.as_object_mut().unwrap().extend(marks.as_object().unwrap().clone());
        row
    }

    fn codex(self, words: &str) -> Vec<Value> {
        let trigger = match self {
            Headless => json!("exec"),
            Queue => json!("queue"),
            Unsaid => Value::Null,
            _ => json!("user"),
        };
        let event = |payload: Value| json!({"type": "event_msg", "payload": payload});
        let begins = event(json!({"type": "task_started", "turn_id": "t",
                                  "turn_attribution": {"turn_id": "t", "turn_trigger": trigger}}));
        let mut item = json!({"type": "UserMessage", "id": "i", "content": [{"type": "text", "text": words}]});
        if matches!(self, Typed | WhileWorking | Queue) {
            item["client_id"] = json!("d26679e3-ef1a-4135-b231-9f7004f7a509");
        }
        let message = event(json!({"type": "item_completed", "turn_id": "t", "item": item}));
        match self {
            // The turn runs already: what was said before it began it.
            WhileWorking | Steered => vec![message],
            _ => vec![begins, message],
        }
    }
}

/// Appends to the transcript of a session of `harness` in `path` what it has of a prompt.
pub fn says(harness: Harness, path: &Path, sender: Sender, words: &str) {
    append(path, &sender.rows(harness, words));
}

/// What a person says who wants the plan of a [`crate::checkout::Checkout`] done.
pub const EXECUTE: &str = "Execute docs/plan.md.";

/// The transcript in `path` of a session of `harness` whose person has asked for a job ([`EXECUTE`]), unless it has one.
pub fn begun(harness: Harness, path: &Path) {
    if !path.exists() {
        says(harness, path, Sender::Typed, EXECUTE);
    }
}

/// Appends what it has of a person who presses Escape.
pub fn interrupted(harness: Harness, path: &Path) {
    let row = match harness {
        Harness::Claude => json!({"type": "user", "rowSource": "harness", "message": {"role": "user",
            "content": [{"type": "text", "text": "[Request interrupted by user]"}]}}),
        Harness::Codex => json!({"type": "event_msg",
                                 "payload": {"type": "turn_aborted", "turn_id": "t", "reason": "interrupted"}}),
    };
    append(path, &[row]);
}

/// Appends rows, as of now.
pub fn append(path: &Path, rows: &[Value]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for row in rows {
        let mut row = row.clone();
        row["timestamp"] = json!(format!("{:.3}", jiff::Timestamp::now()));
        writeln!(file, "{row}").unwrap();
    }
}
