//! Sessions at work beside each other, each in an agent of its own: what they ask of leases, and what the fence tells them.

use serde_json::{Value, json};

use crate::build::{Agent, Said, Site};
use crate::run::eventually;

/// A session in an agent of its own.
pub struct Seat<'a> {
    /// Its agent.
    pub agent: Agent<'a>,
    /// Its id.
    pub id: String,
    /// Where it works.
    pub site: &'a Site,
}

impl<'a> Seat<'a> {
    /// One that has begun, and was given something to do.
    pub fn new(site: &'a Site, id: &str) -> Self {
        let agent = site.claude();
        agent.starts(id, "startup");
        let seat = Self { agent, id: id.to_owned(), site };
        seat.event("UserPromptSubmit", json!({"prompt": "go on"}));
        seat
    }

    /// Something happens, as the recorder is told.
    pub fn event(&self, name: &str, more: Value) {
        let mut payload = json!({"session_id": self.id, "cwd": "/", "hook_event_name": name});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.agent.records(&payload);
    }

    /// `stopgate lease ...`, by the session's shell tool.
    pub fn lease(&self, line: &str) -> Said {
        as_session(&self.agent, &self.id, &format!("lease {line}"))
    }

    /// The same, which has to be granted; the token.
    pub fn granted(&self, line: &str) -> u64 {
        let said = self.lease(&format!("{line} --json")).ok().json();
        assert_eq!(said["outcome"], "granted", "{said}");
        said["token"].as_u64().unwrap()
    }

    /// The same in the background: what it says lies in a file when it is over. By a shell of its own, as a client runs one: a
    /// part of the agent's shell would be an agent itself, by its name.
    pub fn begins(&self, name: &str, line: &str) {
        let said = format!("\"$AGENT/{name}");
        let waits = format!(
            "\"$BIN/stopgate\" lease {line} --json > {said}.part\" 2>&1 & echo $! > {said}.pid\"; wait $!; echo $? > {said}.code\""
        );
        self.agent
            .run(&format!(
                "export AGENT; CLAUDE_CODE_SESSION_ID={} sh -c '{waits}; mv {said}.part\" {said}.said\"' </dev/null >/dev/null 2>&1 &",
                self.id
            ))
            .ok();
    }

    /// The process that waits as `name`.
    pub fn pid(&self, name: &str) -> u32 {
        let read = || self.agent.run(&format!("cat \"$AGENT/{name}.pid\" 2>/dev/null")).out.trim().parse().ok();
        eventually("it waits", read)
    }

    /// `write-fence` before the agent writes `path` of its tree, or wherever that is; what it says.
    pub fn writes(&self, path: &str) -> Fenced {
        self.before("Write", &json!({"file_path": self.site.top().join(path), "content": "x"}))
    }

    /// The same before a tool.
    pub fn before(&self, tool: &str, input: &Value) -> Fenced {
        let payload = json!({"session_id": self.id, "transcript_path": "/nowhere/x.jsonl", "cwd": self.site.top(),
                             "prompt_id": "p", "permission_mode": "acceptEdits", "hook_event_name": "PreToolUse",
                             "tool_name": tool, "tool_input": input, "tool_use_id": "toolu_1"});
        let said = self.agent.hook("write-fence", &payload).ok();
        assert_eq!(said.err, "", "{input}");
        Fenced::of(&said.out)
    }

    /// The exit code and the answer of what began as `name`, once it is over.
    pub fn heard(&self, name: &str) -> (i32, Value) {
        let read = |ending: &str| {
            let said = self.agent.run(&format!("cat \"$AGENT/{name}.{ending}\" 2>/dev/null"));
            (said.code == Some(0)).then_some(said.out)
        };
        let said = eventually("the wait is over", || read("said"));
        let code = read("code").unwrap().trim().parse().unwrap();
        (code, serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")))
    }
}

/// `stopgate ...` as the shell tool of a session of `agent`.
pub fn as_session(agent: &Agent<'_>, id: &str, line: &str) -> Said {
    agent.run(&format!("CLAUDE_CODE_SESSION_ID={id} \"$BIN/stopgate\" {line}"))
}

/// Who holds what, and who waits.
pub fn leases(site: &Site) -> Value {
    let said: Said = site.world.stopgate_in(site.top(), &["lease", "list", "--json"]).into();
    said.ok().json()
}

/// How many wait.
pub fn waiters(site: &Site) -> usize {
    leases(site)["waiters"].as_array().unwrap().len()
}

/// Waits until so many requests wait.
pub fn listening(site: &Site, count: usize) {
    eventually("they wait", || {
        let found = leases(site);
        let waiters = found["waiters"].as_array().unwrap();
        (waiters.iter().filter(|waiter| waiter["is_listening"] == true).count() == count).then_some(())
    });
}

/// What the fence says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fenced {
    /// Nothing: the call goes on.
    LetGo,
    /// The call goes on, and the agent is told this.
    Noted(String),
    /// It is refused, with this.
    Denied(String),
}

impl Fenced {
    /// What `printed` means.
    pub fn of(printed: &str) -> Self {
        if printed.is_empty() {
            return Self::LetGo;
        }
        let said: Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let output = &said["hookSpecificOutput"];
        match output["permissionDecision"].as_str() {
            Some("deny") => Self::Denied(output["permissionDecisionReason"].as_str().unwrap().to_owned()),
            None => Self::Noted(output["additionalContext"].as_str().unwrap().to_owned()),
            Some(other) => panic!("{other}"),
        }
    }

    /// Whether it is refused.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied(_))
    }
}

/// Turns the fence on, for an authority that begins afterwards.
pub fn enforce(site: &Site) {
    std::fs::write(site.world.home.fence_file(), "enforce\n").unwrap();
}

/// Waits until `run/held` says `what`.
pub fn held(site: &Site, what: &str) {
    let file = stopgate_coordination::held::file(&site.world.home);
    eventually("hooks know of it", || std::fs::read_to_string(&file).ok().filter(|said| said.contains(what)));
}
