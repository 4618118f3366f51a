//! The authority, seen from the installer: asked, started, handed over, stopped.

use std::process::Child;
use std::time::{Duration, Instant};

use serde::Serialize;
use stopgate_core::autostart::{Autostart, autostart};
use stopgate_core::client::{self, ClientError, Response};
use stopgate_core::env::Env;
use stopgate_core::paths::Home;
use stopgate_core::protocol::{GateLog, Health, ROUTE_HEALTH, ROUTE_LOG, ROUTE_SHUTDOWN};
use stopgate_core::{VERSION, env};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a start may take.
const START: Duration = Duration::from_secs(10);
/// How long an end may take.
const STOP: Duration = Duration::from_secs(10);
/// After this long, a person is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// How the authority is after [`ensure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub(crate) enum State {
    /// It answers.
    Running {
        /// Version of the program that runs.
        version: String,
        /// Its process.
        pid: u32,
        /// Whether this installer started it.
        started: bool,
    },
    /// It was not to be started.
    NotStarted {
        /// Why not.
        reason: String,
    },
    /// It should answer, but does not.
    Failed {
        /// What is wrong.
        problem: String,
    },
}

fn ask(home: &Home, method: &str, path: &str) -> Result<Response, ClientError> {
    let socket = home.socket_to_connect().map_err(|_| ClientError::Absent)?;
    client::request(&socket, method, path, b"{}", Instant::now() + ANSWER)
}

/// Who serves; `None` if nobody listens.
pub(crate) fn health(home: &Home) -> Result<Option<Health>, String> {
    let response = match ask(home, "GET", ROUTE_HEALTH) {
        Ok(response) => response,
        Err(ClientError::Absent) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match serde_json::from_slice(&response.body) {
        Ok(health) if response.status == 200 => Ok(Some(health)),
        _ => Err(format!(
            "an authority of another version serves this home (status {}); stop it with that version's \
             `stopgate authority stop`, then try again",
            response.status
        )),
    }
}

/// Sees to it that an authority of this version answers. One of another version, or one whose program has just
/// been replaced (`is_replaced`), hands over. `notice` is told when it takes long.
pub(crate) fn ensure(environment: &dyn Env, home: &Home, is_replaced: bool, notice: &dyn Fn(&str)) -> State {
    let running = match health(home) {
        Ok(running) => running,
        Err(problem) => return State::Failed { problem },
    };
    if let Some(health) = running {
        if health.version == VERSION && !is_replaced {
            return State::Running { version: health.version, pid: health.pid, started: false };
        }
        if environment.flag(env::STOPGATE_NO_AUTOSTART) {
            let reason = format!(
                "version {} keeps running, because STOPGATE_NO_AUTOSTART is set: restart it yourself",
                health.version
            );
            return State::NotStarted { reason };
        }
        if let Err(problem) = stop(home, notice) {
            return State::Failed { problem };
        }
    }
    match autostart(environment, home) {
        Autostart::Started(child) => wait_until_up(home, child, notice),
        Autostart::Forbidden => State::NotStarted { reason: "STOPGATE_NO_AUTOSTART is set".to_owned() },
        Autostart::NoProgram => {
            State::Failed { problem: format!("{}: no such program", home.bin().join("stopgate").display()) }
        }
        Autostart::Failed(error) => State::Failed { problem: format!("cannot be started: {error}") },
    }
}

fn wait_until_up(home: &Home, mut child: Child, notice: &dyn Fn(&str)) -> State {
    let began = Instant::now();
    let mut told = false;
    let mut ended = None;
    while began.elapsed() < START {
        if let Ok(Some(health)) = health(home) {
            return State::Running { version: health.version, pid: health.pid, started: true };
        }
        // One that ends at once may have found another at work, which then answers soon.
        if ended.is_none() {
            ended = child.try_wait().ok().flatten().map(|status| (status, Instant::now()));
        }
        if ended.is_some_and(|(_, at)| at.elapsed() > PATIENCE) {
            break;
        }
        if !told && began.elapsed() > PATIENCE {
            notice("waiting for the authority to answer ...");
            told = true;
        }
        std::thread::sleep(POLL);
    }
    let log = home.log();
    let what = match ended {
        Some((status, _)) => format!("ended at once ({status})"),
        None => format!("was started, but does not answer within {} s", START.as_secs()),
    };
    State::Failed { problem: format!("{what}; see {}", log.display()) }
}

/// Asks the authority to end, and waits until its process has. `false` if none was running.
pub(crate) fn stop(home: &Home, notice: &dyn Fn(&str)) -> Result<bool, String> {
    let Some(health) = health(home)? else { return Ok(false) };
    let answer = ask(home, "POST", ROUTE_SHUTDOWN).map_err(|error| error.to_string())?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("the authority (pid {}) refuses to stop: status {}", health.pid, answer.status));
    }
    let began = Instant::now();
    let mut told = false;
    while self::health(home).is_ok_and(|health| health.is_some()) || holds_lock(home) {
        if began.elapsed() > STOP {
            return Err(format!(
                "the authority (pid {}) was asked to stop, but has not within {} s",
                health.pid,
                STOP.as_secs()
            ));
        }
        if !told && began.elapsed() > PATIENCE {
            notice("waiting for the authority to stop ...");
            told = true;
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

/// Whether the authority's lock is held: it is for as long as the process lives, and no longer.
fn holds_lock(home: &Home) -> bool {
    std::fs::File::open(home.lock())
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// The last `tail` judged stops.
pub(crate) fn gate_log(home: &Home, tail: u32) -> Result<GateLog, String> {
    let response = ask(home, "GET", &format!("{ROUTE_LOG}?tail={tail}")).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&response.body) {
        Ok(log) if response.status == 200 => Ok(log),
        _ => Err(format!("the authority's log is not understood (status {})", response.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn an_absent_authority_that_may_not_be_started_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let environment = MapEnv::of([(env::STOPGATE_NO_AUTOSTART, "1")]);
        let state = ensure(&environment, &home, false, &|_| panic!("nothing to wait for"));
        assert_eq!(state, State::NotStarted { reason: "STOPGATE_NO_AUTOSTART is set".into() });
        assert_eq!(stop(&home, &|_| ()), Ok(false));
    }
}
