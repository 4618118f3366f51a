//! What people's programs and the authority say to each other over the socket, besides what hooks send
//! (`stopgate_core::protocol`).

mod breaker;
mod grades;
mod log;
mod sessions;
mod switches;
pub mod version;

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;

pub use self::breaker::{BreakerState, BreakerStates, BreakersReset, ResetBreakers};
pub use self::grades::{Graded, SetGrade};
pub use self::log::{Contest, Contested, Decided, Explanation, GateLog, GateLogRow, LogFilter};
pub use self::sessions::{EndSession, LostAt, SessionEnded, SessionRow};
pub use self::switches::{KillState, ModeState, SetKill, SetMode, SetReaper};

/// `GET`: who serves, and which version.
pub const ROUTE_HEALTH: &str = "/health";
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

/// When a flip still counts. A request can lie in the socket of a hung authority for as long as that hangs, while
/// the person acts in another way: it must not be carried out then (409).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// The switch's file as the asker saw it ([`stopgate_core::switch::stamp`]); a switch that has changed since stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Until when the asker waits, on the clock of [`stopgate_core::clock::monotonic_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_monotonic_ms: Option<u64>,
}

/// Body of [`ROUTE_SHUTDOWN`]; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shutdown {
    /// Version of the program that takes over. Agents may hand over to a newer one; ending it is the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_version: Option<String>,
}

/// An error's body, in every route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and with which field.
    pub error: String,
}
