//! What the hooks send, and what they are told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::MAX_SEARCH_PATH_BYTES;
use crate::clock::UnixMillis;
use crate::decision::Decision;
use crate::env::{self, Env};
use crate::harness::Event;
use crate::process::ProcessIdentity;
use crate::switch::Mode;

/// Where a hook ran: what only the hook's own process can see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The harness process above the hook.
    #[serde(alias = "harnessProcess")]
    pub harness_process: Option<ProcessIdentity>,
    /// The session that this one continues, as far as the process's lineage tells.
    pub predecessor: Option<String>,
    /// `TMUX` of the hook.
    pub tmux: Option<String>,
    /// `TMUX_PANE` of the hook.
    #[serde(alias = "tmuxPane")]
    pub tmux_pane: Option<String>,
    /// Top of the main checkout.
    pub checkout: Option<PathBuf>,
    /// Commit checked out there.
    pub head: Option<String>,
    /// `PATH` of the hook when a session begins: git is searched there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_path: Option<String>,
}

/// `PATH` of this process, as a hook passes it on.
pub fn search_path(environment: &dyn Env) -> Option<String> {
    environment.text(env::PATH).filter(|path| path.len() <= MAX_SEARCH_PATH_BYTES)
}

/// Body of [`ROUTE_EVENTS`](super::ROUTE_EVENTS).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEvent {
    /// Id made by the hook; a repeated delivery is stored once.
    #[serde(alias = "eventId")]
    pub event_id: String,
    /// When the hook saw it.
    #[serde(alias = "atMs")]
    pub at_ms: UnixMillis,
    /// The same in milliseconds since the machine was booted; `None` where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boot_ms: Option<i64>,
    /// What happened.
    pub event: Event,
    /// Where.
    pub origin: Origin,
}

/// Body of [`ROUTE_EVALUATE`](super::ROUTE_EVALUATE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateRequest {
    /// Id made by the hook; a repeated delivery is stored once.
    #[serde(alias = "eventId")]
    pub event_id: String,
    /// When the hook saw the stop.
    #[serde(alias = "atMs")]
    pub at_ms: UnixMillis,
    /// The same in milliseconds since the machine was booted; `None` where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boot_ms: Option<i64>,
    /// The stop.
    pub event: Event,
    /// The mode that the hook acts on.
    pub mode: Mode,
    /// How long the hook will wait for the verdict, in milliseconds from now.
    #[serde(alias = "deadlineMs")]
    pub deadline_ms: u64,
    /// `PATH` of the hook, in which git is searched; `None` leaves the authority its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub search_path: Option<String>,
    /// The hook understands an interim answer, by which it waits longer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub may_wait: bool,
}

/// Answer of [`ROUTE_EVALUATE`](super::ROUTE_EVALUATE) in enforce: what a hook acts on. In shadow the stop is taken in
/// (status 202, no body), and the verdict goes to the log; everything else about it is there in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateResponse {
    /// What the authority decided.
    pub decision: Decision,
    /// What the agent is told; not empty only for [`Decision::Continue`].
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reminder: String,
    /// What the person is told of a stop that was let go; blocks nothing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// Set when a failure made the gate allow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fail_open: Option<String>,
}

impl EvaluateResponse {
    /// That a stop goes through.
    pub const ALLOW: Self =
        Self { decision: Decision::Allow, reminder: String::new(), note: String::new(), fail_open: None };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::snake_case_fields;
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    /// What protocol 1 wrote into the spool, with every field that it had.
    const EVENT: &str = r#"{"eventId":"019a0000-0000-7000-8000-000000000001","atMs":7,
        "event":{"key":{"harness":"claude","session_id":"s"},"cwd":"/c","transcriptPath":"/t","model":"m",
                 "permissionMode":"plan","agentId":"a","kind":{"name":"ConfigChange","file":"/f",
                 "lost":{"file":"/f","how":"removed","events":["Stop"]}}},
        "origin":{"harnessProcess":{"pid":1,"startTicks":2,"command":"claude","executable":"/x","bootId":"b"},
                  "predecessor":"p","tmux":"/t,1,0","tmuxPane":"%1","checkout":"/c","head":"h"}}"#;
    const STOP: &str = r#"{"eventId":"019a0000-0000-7000-8000-000000000002","atMs":7,"mode":"enforce","deadlineMs":9,
        "event":{"key":{"harness":"codex","session_id":"s"},"cwd":"/c","transcriptPath":"/t","model":"m",
                 "permissionMode":"plan","agentId":null,"kind":{"name":"Stop","stopHookActive":true,
                 "lastAssistantMessage":"bye","pendingTasks":3}}}"#;

    /// Reads `old`, and holds every value that was in it to be there under its present name.
    fn keeps<T: DeserializeOwned + Serialize>(old: &str) {
        let mut old: Value = serde_json::from_str(old).unwrap();
        let now = serde_json::to_value(serde_json::from_value::<T>(old.clone()).unwrap()).unwrap();
        snake_case_fields(&mut old);
        assert_within(&old, &now, "");
    }

    fn assert_within(old: &Value, now: &Value, path: &str) {
        match old {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, old)| assert_within(old, &now[name], &format!("{path}.{name}")));
            }
            old => assert_eq!(old, now, "{path}"),
        }
    }

    #[test]
    fn what_an_earlier_version_put_into_the_spool_is_read_whole() {
        keeps::<HookEvent>(EVENT);
        keeps::<EvaluateRequest>(STOP);
    }
}
