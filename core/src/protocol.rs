//! What hooks, CLI and authority say to each other: JSON bodies over HTTP/1.1 on a Unix socket.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::gate::breaker::Standing;
use crate::gate::pipeline::Recording;
use crate::gate::{Decision, EvidencePointer, RuleId};
use crate::harness::Event;
use crate::harness::registration::HooksLost;
use crate::process::{Liveness, ProcessIdentity};
use crate::reaper::switch::ReaperSwitch;
use crate::report::Annotation;
use crate::session::state::{SessionState, Turn};
use crate::session::{Harness, SessionKey};
use crate::switch::Mode;
use crate::tmux::TmuxPlace;

/// Version of this protocol. The authority refuses (426) a request of another version, so that a half-finished
/// update fails open instead of being misread.
pub const PROTOCOL_VERSION: u32 = 1;
/// Largest request body that the authority reads.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// `GET`: who serves, and which version.
pub const ROUTE_HEALTH: &str = "/health";
/// `POST`: something happened in a session.
pub const ROUTE_EVENTS: &str = "/hooks/events";
/// `GET ?session=`: all routing state in one read.
pub const ROUTE_HOT_PATH: &str = "/internal/stop-gate/hot-path";
/// `POST`: judge a stop.
pub const ROUTE_EVALUATE: &str = "/internal/stop-gate/evaluate";
/// `GET`, `POST`: the mode.
pub const ROUTE_MODE: &str = "/internal/stop-gate/mode";
/// `GET`, `POST`: the kill switch.
pub const ROUTE_KILL: &str = "/internal/stop-gate/kill-switch";
/// `POST`: an agent says why its stop is right; the next stop of its session goes through.
pub const ROUTE_CONTEST: &str = "/internal/stop-gate/contest";
/// `GET ?event=`: what the verdict on a stop was reached from.
pub const ROUTE_EXPLAIN: &str = "/internal/stop-gate/explain";
/// `GET`: the breakers of judges that failed.
pub const ROUTE_BREAKER: &str = "/internal/stop-gate/breaker";
/// `POST`: close them all.
pub const ROUTE_BREAKER_RESET: &str = "/internal/stop-gate/breaker/reset";
/// `GET ?tail=&session=&decision=&event=&ungraded=`: verdicts, newest first; see [`LogFilter`].
pub const ROUTE_LOG: &str = "/internal/stop-gate/log";
/// `POST`: grade a verdict.
pub const ROUTE_ANNOTATIONS: &str = "/internal/stop-gate/annotations";
/// `GET ?sinceMs=`: what the gate did since then, counted.
pub const ROUTE_REPORT: &str = "/internal/stop-gate/report";
/// `GET`: known sessions.
pub const ROUTE_SESSIONS: &str = "/sessions";
/// `POST`: end a session, as the operator.
pub const ROUTE_SESSION_END: &str = "/sessions/end";
/// `GET`: how the reaper is. `POST`: set its switch.
pub const ROUTE_REAPER: &str = "/sessions/reaper";
/// `GET ?limit=`: what the reaper decided and did, newest last.
pub const ROUTE_REAPER_AUDIT: &str = "/sessions/reaper/audit";
/// `GET ?harness=&session=`: every gate with its value.
pub const ROUTE_REAPER_EXPLAIN: &str = "/sessions/reaper/explain";
/// `POST`: end the authority.
pub const ROUTE_SHUTDOWN: &str = "/authority/shutdown";

/// Answer of [`ROUTE_HEALTH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`, or `degraded` when the store does not work, or cannot be written.
    pub status: HealthStatus,
    /// Version of the program.
    pub version: String,
    /// Version of the protocol.
    pub protocol: u32,
    /// The authority's process.
    pub pid: u32,
    /// When it began to serve.
    pub started_at_ms: UnixMillis,
    /// What is wrong, if something is.
    pub problem: Option<String>,
    /// What is wrong with `config.toml`, if something is; the last one without a fault stays in force.
    #[serde(default)]
    pub config_problem: Option<String>,
}

/// How well the authority is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Ok,
    /// It serves, but without its store.
    Degraded,
}

/// Where a hook ran: what only the hook's own process can see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// The harness process above the hook.
    pub harness_process: Option<ProcessIdentity>,
    /// The session that this one continues, as far as the process's lineage tells.
    pub predecessor: Option<String>,
    /// `TMUX` of the hook.
    pub tmux: Option<String>,
    /// `TMUX_PANE` of the hook.
    pub tmux_pane: Option<String>,
    /// Top of the main checkout.
    pub checkout: Option<PathBuf>,
    /// Commit checked out there.
    pub head: Option<String>,
}

/// Body of [`ROUTE_EVENTS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookEvent {
    /// Id made by the hook; a repeated delivery is stored once.
    pub event_id: String,
    /// When the hook saw it.
    pub at_ms: UnixMillis,
    /// What happened.
    pub event: Event,
    /// Where.
    pub origin: Origin,
}

/// Body of [`ROUTE_EVALUATE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateRequest {
    /// Id made by the hook; a repeated delivery is stored once.
    pub event_id: String,
    /// When the hook saw the stop.
    pub at_ms: UnixMillis,
    /// The stop.
    pub event: Event,
    /// The mode that the hook acts on.
    pub mode: Mode,
    /// How long the hook will wait for the verdict, in milliseconds from now.
    pub deadline_ms: u64,
}

/// Answer of [`ROUTE_EVALUATE`] in enforce, and the content of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateResponse {
    /// The hook's id of the stop.
    pub event_id: String,
    /// What the authority decided.
    pub decision: Decision,
    /// The rule that decided, if one did.
    pub rule: Option<RuleId>,
    /// What the agent is told; not empty only for [`Decision::Continue`].
    pub reminder: String,
    /// What the person is told of a stop that was let go; blocks nothing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// Set when something ended the evaluation before the rules.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub short_circuit: Option<String>,
    /// Set when a failure made the gate allow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fail_open: Option<String>,
    /// Why the evidence of a continue was refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub post_verify_failure: Option<String>,
    /// Continues before this one, when the ceiling was reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prior_count: Option<u32>,
    /// How long the evaluation took, in milliseconds.
    pub latency_ms: u64,
}

impl EvaluateResponse {
    /// That the stop `event_id` goes through; whoever knows why, says so.
    pub fn allow(event_id: &str) -> Self {
        Self {
            event_id: event_id.to_owned(),
            decision: Decision::Allow,
            rule: None,
            reminder: String::new(),
            note: String::new(),
            short_circuit: None,
            fail_open: None,
            post_verify_failure: None,
            prior_count: None,
            latency_ms: 0,
        }
    }
}

/// Answer of [`ROUTE_EVALUATE`] in shadow (status 202): the stop is taken, the verdict goes to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateAccepted {
    /// The hook's id of the stop.
    pub event_id: String,
    /// Always true.
    pub accepted: bool,
}

/// Answer of [`ROUTE_HOT_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HotPath {
    /// The mode that applies.
    pub mode: Mode,
    /// Whether the kill switch is on.
    pub kill_switch: bool,
    /// When the session began; `null` if that is unknown.
    pub session_start_ts: Option<UnixMillis>,
    /// Continues delivered to the session.
    pub continue_count: u32,
    /// Version of the protocol.
    pub route_version: u32,
}

/// When a flip still counts. A request can lie in the socket of a hung authority for as long as that hangs, while
/// the person acts in another way: it must not be carried out then (409).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// The switch's file as the asker saw it ([`crate::switch::stamp`]); a switch that has changed since stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Until when the asker waits, on the clock of [`crate::clock::monotonic_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_monotonic_ms: Option<u64>,
}

/// Body of `POST` [`ROUTE_MODE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMode {
    /// The mode to set.
    pub mode: Mode,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Answer of [`ROUTE_MODE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeState {
    /// The mode that applies now.
    pub mode: Mode,
    /// The mode before.
    pub prior: Mode,
    /// Whether it differs.
    pub changed: bool,
}

/// Body of `POST` [`ROUTE_KILL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKill {
    /// On or off.
    pub value: bool,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Who.
    #[serde(default)]
    pub by: String,
    /// The asker has turned it on itself: the authority takes note, and writes nothing.
    #[serde(default)]
    pub done: bool,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Body of `POST` [`ROUTE_REAPER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReaper {
    /// What is chosen.
    pub switch: ReaperSwitch,
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Body of [`ROUTE_SESSION_END`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSession {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
}

/// Answer of [`ROUTE_SESSION_END`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// How it was ended: `terminated` on SIGTERM, or `killed`.
    pub how: String,
    /// Whether its tmux pane was closed, too.
    pub pane_closed: bool,
    /// The line that takes it up again.
    pub resume_command: String,
}

/// Body of [`ROUTE_SHUTDOWN`]; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shutdown {
    /// Version of the program that takes over. Agents may hand over to a newer one; ending it is the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_version: Option<String>,
}

/// Answer of [`ROUTE_KILL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillState {
    /// Whether it is on now.
    pub kill_switch: bool,
    /// Whether it was on before.
    pub prior: bool,
    /// Whether that differs.
    pub changed: bool,
}

/// Body of [`ROUTE_CONTEST`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contest {
    /// Whose next stop is right.
    pub session: SessionKey,
    /// Why.
    pub why: String,
}

/// Answer of [`ROUTE_CONTEST`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contested {
    /// Always true.
    pub taken: bool,
}

/// Answer of [`ROUTE_EXPLAIN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// How many stops have an event id that begins so.
    pub found: usize,
    /// The only one.
    pub event: Option<GateLogRow>,
    /// What its verdict was reached from; missing for one that was not judged.
    pub recording: Option<Recording>,
}

/// One row of [`ROUTE_LOG`]: a stop and what became of it. Field names are snake case, as scripts read them from
/// `stopgate gate log --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLogRow {
    /// The hook's id of the stop.
    pub event_id: String,
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// When the hook saw it.
    pub at_ms: UnixMillis,
    /// The mode it was judged in.
    pub mode: Mode,
    /// The true decision, the same in shadow and in enforce; `null` when a failure left none.
    pub decision: Option<Decision>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// What ended the evaluation before the rules: `no-signal`, `subagent`, `session-start-unknown`, ...
    pub short_circuit: Option<String>,
    /// Whether enforce would have blocked (in shadow) or has blocked (in enforce).
    pub would_block: bool,
    /// Whether the block was handed to the hook.
    pub blocked: bool,
    /// Whether a hint that blocks nothing was handed to the hook.
    #[serde(default)]
    pub noted: bool,
    /// The failure that made the gate allow.
    pub fail_open: Option<String>,
    /// What the failure was about.
    pub detail: Option<String>,
    /// Names of the signals that fired.
    pub signals: Vec<String>,
    /// What a continue rests on.
    pub evidence: Option<EvidencePointer>,
    /// How long the evaluation took.
    pub latency_ms: u64,
    /// Where the session worked.
    pub cwd: Option<PathBuf>,
    /// Top of the main checkout of that.
    #[serde(default)]
    pub checkout: Option<PathBuf>,
    /// The end of the last message, redacted.
    pub preview: String,
}

/// Answer of [`ROUTE_LOG`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLog {
    /// Rows, newest first.
    pub events: Vec<GateLogRow>,
    /// The grade that counts of each row that has one, by event id.
    #[serde(default)]
    pub grades: BTreeMap<String, Annotation>,
}

/// Which rows of the log are wanted; what is not given wants them all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFilter {
    /// Beginning of the session's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
    /// Beginning of the event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only would-blocks that nobody has graded, without those of the installer's live check.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ungraded: bool,
}

/// What was decided about a stop, or that nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// [`Decision::Allow`]
    Allow,
    /// [`Decision::Continue`]
    Continue,
    /// [`Decision::Escalate`]
    Escalate,
    /// [`Decision::ForceAllow`]
    ForceAllow,
    /// A failure left no decision.
    Failed,
}

impl Decided {
    /// The decision; `None` for none.
    pub const fn decision(self) -> Option<Decision> {
        match self {
            Self::Allow => Some(Decision::Allow),
            Self::Continue => Some(Decision::Continue),
            Self::Escalate => Some(Decision::Escalate),
            Self::ForceAllow => Some(Decision::ForceAllow),
            Self::Failed => None,
        }
    }
}

/// The breaker of one judge. Field names are snake case, as scripts read them from `stopgate gate breaker --json`.
/// Times are milliseconds UTC; 0 means never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerState {
    /// Hash of kind, endpoint or command, and model.
    pub route: String,
    /// The same for people.
    pub label: String,
    /// `closed` (it is asked), `open` (it is not) or `half-open` (one stop asks it, to see whether it works again).
    pub state: Standing,
    /// Kind of the last failure.
    pub last_failure: String,
    /// Failures since its last valid answer.
    pub consecutive_failures: u64,
    /// Until when it is left alone.
    pub open_until_ms: UnixMillis,
    /// Until when the one stop that asks it may take.
    pub probe_lease_until_ms: UnixMillis,
    /// Since when it fails so often.
    pub first_opened_at_ms: UnixMillis,
    /// Stops that were judged without it since then.
    pub suppressed_count: u64,
    /// When this last changed.
    pub updated_at_ms: UnixMillis,
}

/// Answer of [`ROUTE_BREAKER`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerStates {
    /// Breakers that count a failure, the last changed first; a judge that works has none.
    pub breakers: Vec<BreakerState>,
}

/// Body of [`ROUTE_BREAKER_RESET`]; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetBreakers {
    /// When that still counts.
    #[serde(flatten)]
    pub condition: Condition,
}

/// Answer of [`ROUTE_BREAKER_RESET`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakersReset {
    /// How many breakers were closed.
    pub reset: usize,
}

/// One row of [`ROUTE_SESSIONS`]. Field names are snake case, as scripts read them from `stopgate sessions --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Which client.
    pub harness: Harness,
    /// Which session.
    pub session_id: String,
    /// What it is doing.
    pub state: SessionState,
    /// Whether its process lives.
    pub liveness: Liveness,
    /// Whose turn it is since the last event that says so; `null` if none did.
    pub turn: Option<Turn>,
    /// When that event was.
    pub turn_at_ms: Option<UnixMillis>,
    /// What it waits for, for people: `a prompt`, `permission for Bash`, `2 background tasks`.
    pub waits_for: Option<String>,
    /// Background tasks that ran when the agent last stopped.
    pub pending_tasks: u32,
    /// When the gate last sent it back to its work.
    pub held_at_ms: Option<UnixMillis>,
    /// First start, milliseconds UTC; never moves. `null` when only later events were seen.
    pub started_at_ms: Option<UnixMillis>,
    /// How it began.
    pub source: Option<String>,
    /// When it ended, or was retired because another one continues it after `/clear`.
    pub ended_at_ms: Option<UnixMillis>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Last event of any kind.
    pub last_event: Option<String>,
    /// When that was.
    pub last_event_at_ms: Option<UnixMillis>,
    /// When the last event of each kind was.
    pub last_events: BTreeMap<String, UnixMillis>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Working directory at the start.
    pub start_cwd: Option<PathBuf>,
    /// Top of the main checkout.
    pub checkout: Option<PathBuf>,
    /// Commit checked out at the start.
    pub head_at_start: Option<String>,
    /// Hash of the uncommitted changes at the start; `null` when it was not taken.
    pub dirty_at_start: Option<String>,
    /// Transcript.
    pub transcript_path: Option<PathBuf>,
    /// Model.
    pub model: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// Place in tmux.
    pub tmux: Option<TmuxPlace>,
    /// The harness process, as recorded.
    pub harness_process: Option<ProcessIdentity>,
    /// Memory of the harness process and all its descendants, in bytes; pages that several share count for each.
    pub memory_bytes: Option<u64>,
    /// Name of the machine.
    pub host: Option<String>,
    /// Settings that lost our hooks while the session ran, unless those have been heard of since.
    #[serde(default)]
    pub hooks_lost: Option<LostAt>,
    /// Since when its hooks are silent although it goes on: the first prompt in its transcript that none reported.
    #[serde(default)]
    pub silent_since_ms: Option<UnixMillis>,
    /// Id of the session this one continues after `/clear` or as a fork.
    pub predecessor: Option<String>,
    /// Id of the session that continues this one after `/clear`.
    pub successor: Option<String>,
    /// The line that takes the session up again in a shell.
    pub resume_command: String,
}

/// Hooks that a session lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostAt {
    /// When the last of them said so.
    pub at_ms: UnixMillis,
    /// What was lost, and where.
    #[serde(flatten)]
    pub lost: HooksLost,
}

impl SessionRow {
    /// The session's identity.
    pub fn key(&self) -> SessionKey {
        SessionKey { harness: self.harness, session_id: self.session_id.clone() }
    }
}

/// An error's body, in every route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and with which field.
    pub error: String,
}
