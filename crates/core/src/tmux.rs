//! Places in tmux: where a process lives, and what stood beside it when it began.

pub mod query;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::env::{self, Env};
use crate::fsx;
use crate::json::{object, optional, or_null, pid, snake_case_fields, string, text};
use crate::paths::Home;
use crate::process::ProcessIdentity;

/// Largest record that is read; a pane takes about ten bytes.
const MAX_RECORD_BYTES: u64 = 64 * 1024;

/// A place in tmux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmuxPlace {
    /// Path of the server's socket.
    pub server: String,
    /// The server's process id: a server that was restarted numbers its panes anew.
    pub server_pid: Option<u32>,
    /// Name of the session, where it was asked for.
    #[serde(default)]
    pub session: Option<String>,
    /// Id of the pane, `%7`.
    pub pane: String,
}

impl TmuxPlace {
    /// The place that the environment tells of: `TMUX` is `socket,server pid,session number`, `TMUX_PANE` the pane.
    /// A process outside tmux has none.
    pub fn of(environment: &dyn Env) -> Option<Self> {
        Self::parse(&environment.text(env::TMUX)?, &environment.text(env::TMUX_PANE)?)
    }

    /// The place that the values of `TMUX` and `TMUX_PANE` name.
    pub fn parse(tmux: &str, pane: &str) -> Option<Self> {
        let mut parts = tmux.rsplitn(3, ',');
        let _session_number = parts.next()?;
        let server_pid = parts.next()?.parse().ok();
        let server = parts.next().filter(|server| server.starts_with('/'))?.to_owned();
        is_pane_id(pane).then(|| Self { server, server_pid, session: None, pane: pane.to_owned() })
    }

    /// Whether both are the same pane of one running server.
    pub fn is_pane_of(&self, other: &Self) -> bool {
        self.same_server(other) && self.pane == other.pane
    }

    /// Whether both are places of one running server.
    pub fn same_server(&self, other: &Self) -> bool {
        self.server == other.server && self.server_pid.is_some() && self.server_pid == other.server_pid
    }

    /// Reads it off a state; `None` if that is none.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            server: text(value, "server")?.to_owned(),
            server_pid: optional(value, "server_pid", pid)?,
            session: optional(value, "session", string)?,
            pane: text(value, "pane")?.to_owned(),
        })
    }

    /// As [`TmuxPlace::from_json`] reads it.
    pub fn to_json(&self) -> Value {
        object([
            ("server", self.server.as_str().into()),
            ("server_pid", or_null(self.server_pid.as_ref(), |pid| (*pid).into())),
            ("session", or_null(self.session.as_ref(), |name| name.as_str().into())),
            ("pane", self.pane.as_str().into()),
        ])
    }
}

/// Whether `text` is a tmux pane id: `%` and digits.
pub fn is_pane_id(text: &str) -> bool {
    text.strip_prefix('%').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// What stood beside a harness process in its tmux session when it began. Written once by the authority, so that a
/// hook need not run tmux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmuxRecord {
    /// The process's own place, with the session's name.
    pub place: TmuxPlace,
    /// Ids of all panes of the server at that time.
    pub panes: Vec<String>,
}

/// Where the record of `process` is.
fn record_path(home: &Home, process: &ProcessIdentity) -> PathBuf {
    home.run().join("tmux").join(format!("{}.json", process.file_key()))
}

/// The record of `process`, if the authority has made one.
pub fn read_record(home: &Home, process: &ProcessIdentity) -> Option<TmuxRecord> {
    let bytes = fsx::read_regular(&record_path(home, process), MAX_RECORD_BYTES).ok()?;
    let mut record: Value = serde_json::from_slice(&bytes).ok()?;
    snake_case_fields(&mut record);
    let panes = record.get("panes")?.as_array()?;
    let panes = panes.iter().map(|pane| pane.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some(TmuxRecord { place: TmuxPlace::from_json(record.get("place")?)?, panes })
}

/// Keeps `record` of `process`, unless there is one: what stood beside it *at its start* is what counts.
pub fn write_record(home: &Home, process: &ProcessIdentity, record: &TmuxRecord) -> std::io::Result<()> {
    let path = record_path(home, process);
    if path.exists() {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fsx::ensure_private_dir(dir)?;
    }
    fsx::write_atomic(&path, &serde_json::to_vec(record)?, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MapEnv;

    #[test]
    fn the_place_is_read_from_the_environment_of_tmux_alone() {
        let env = MapEnv::of([(env::TMUX, "/tmp/a,b/default,4242,3"), (env::TMUX_PANE, "%7")]);
        let place = TmuxPlace::of(&env).unwrap();
        assert_eq!(
            (place.server.as_str(), place.server_pid, place.pane.as_str()),
            ("/tmp/a,b/default", Some(4242), "%7")
        );
        assert_eq!(TmuxPlace::of(&MapEnv::of([(env::TMUX_PANE, "%7")])), None);
        for (tmux, pane) in [("/s,1,1", "7; rm"), ("relative,1,1", "%1"), ("/s", "%1"), ("/s,1,1", "%")] {
            assert_eq!(TmuxPlace::parse(tmux, pane), None, "{tmux} {pane}");
        }
    }

    #[test]
    fn the_first_record_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let process = ProcessIdentity {
            pid: 7,
            start_ticks: 1,
            command: "c".into(),
            boot_id: "b".into(),
            ..ProcessIdentity::default()
        };
        let record = |pane: &str| TmuxRecord {
            place: TmuxPlace { server: "/s".into(), server_pid: Some(1), session: Some("w".into()), pane: pane.into() },
            panes: vec![pane.into()],
        };
        write_record(&home, &process, &record("%1")).unwrap();
        write_record(&home, &process, &record("%2")).unwrap();
        assert_eq!(read_record(&home, &process), Some(record("%1")));
    }
}
