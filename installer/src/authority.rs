//! The authority, seen from the installer: asked, started, handed over, stopped.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde::Serialize;
use stopgate_core::autostart::{Autostart, PROGRAM, autostart};
use stopgate_core::client::{self, ClientError, Response};
use stopgate_core::env::Env;
use stopgate_core::holder::{HolderProcess, holder};
use stopgate_core::paths::Home;
use stopgate_core::{VERSION, env};
use stopgate_protocol::{GateLog, Health, ROUTE_HEALTH, ROUTE_LOG, ROUTE_SESSIONS, ROUTE_SHUTDOWN, SessionRow};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a start may take.
const START: Duration = Duration::from_secs(10);
/// How long an end may take.
const STOP: Duration = Duration::from_secs(10);
/// How long an authority that does not listen is waited for: it may be about to begin, to end, or to listen again.
const SETTLE: Duration = Duration::from_secs(4);
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

/// Who serves; `None` if nobody holds the authority's lock. Whoever holds it and does not listen or answer is an error.
pub(crate) fn find(home: &Home, notice: &dyn Fn(&str)) -> Result<Option<Health>, String> {
    let began = Instant::now();
    let mut told = false;
    loop {
        match health(home) {
            Ok(None) => {}
            Ok(running) => return Ok(running),
            Err(problem) => return Err(with_remedy(home, &problem)),
        }
        if holder(home).is_none() {
            return Ok(None);
        }
        if began.elapsed() > SETTLE {
            let problem = format!("one lives, for {} is locked, but it does not listen", home.lock().display());
            return Err(with_remedy(home, &problem));
        }
        if !told && began.elapsed() > PATIENCE {
            notice("waiting for the authority to listen ...");
            told = true;
        }
        std::thread::sleep(POLL);
    }
}

/// `problem`, and how a person ends the process that has it. Only what is certain to be the authority is to be killed.
fn with_remedy(home: &Home, problem: &str) -> String {
    let Some(holder) = holder(home) else { return problem.to_owned() };
    let pid = holder.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let remedy = match holder.verified(home).map(|process| process.pid()) {
        Some(pid) => format!("end it with `kill {pid}`, or `kill -9 {pid}` if it hangs"),
        None => format!("`fuser -v {}` shows who it is: end it", home.lock().display()),
    };
    format!("{problem}{pid}; {remedy}, then run this again")
}

/// Whether the authority that serves, `running`, has to be started anew: it is of another version, or an update has
/// replaced its program, maybe one that was interrupted before it came to this.
fn is_outdated(home: &Home, running: &Health) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    // This leads to the very file that runs, also when its name is gone.
    let runs = identity(Path::new(&format!("/proc/{}/exe", running.pid)));
    let installed = identity(&home.bin().join(PROGRAM));
    running.version != VERSION || matches!((runs, installed), (Ok(runs), Ok(installed)) if runs != installed)
}

/// The authority that [`ensure`] would replace.
pub(crate) fn outdated(environment: &dyn Env, home: &Home) -> Option<Health> {
    let running = health(home).ok().flatten()?;
    (!environment.flag(env::STOPGATE_NO_AUTOSTART) && is_outdated(home, &running)).then_some(running)
}

/// Sees to it that the installed authority answers. Another one hands over. `notice` is told when it takes long. Call
/// it under the installer's lock, so that no other installer ends what this one has started.
pub(crate) fn ensure(environment: &dyn Env, home: &Home, notice: &dyn Fn(&str)) -> State {
    let running = match find(home, notice) {
        Ok(running) => running,
        Err(problem) => return State::Failed { problem },
    };
    if let Some(health) = running {
        if !is_outdated(home, &health) {
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
    let Some(health) = find(home, notice)? else { return Ok(false) };
    let process = holder(home).and_then(|holder| holder.verified(home));
    let answer = ask(home, "POST", ROUTE_SHUTDOWN).map_err(|error| with_remedy(home, &error.to_string()))?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("the authority (pid {}) refuses to stop: status {}", health.pid, answer.status));
    }
    let began = Instant::now();
    let mut told = false;
    let still_there = || {
        self::health(home).is_ok_and(|health| health.is_some())
            || holder(home).is_some()
            || process.as_ref().is_some_and(HolderProcess::runs)
    };
    while still_there() {
        if began.elapsed() > STOP {
            let problem = format!("it was asked to stop, but has not within {} s", STOP.as_secs());
            return Err(with_remedy(home, &problem));
        }
        if !told && began.elapsed() > PATIENCE {
            notice("waiting for the authority to stop ...");
            told = true;
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

/// All known sessions.
pub(crate) fn sessions(home: &Home) -> Result<Vec<SessionRow>, String> {
    let response = ask(home, "GET", ROUTE_SESSIONS).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&response.body) {
        Ok(rows) if response.status == 200 => Ok(rows),
        _ => Err(format!("the authority answers {ROUTE_SESSIONS} with status {}", response.status)),
    }
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
        let state = ensure(&environment, &home, &|_| panic!("nothing to wait for"));
        assert_eq!(state, State::NotStarted { reason: "STOPGATE_NO_AUTOSTART is set".into() });
        assert_eq!(stop(&home, &|_| ()), Ok(false));
    }

    #[test]
    fn whoever_holds_the_lock_without_listening_is_no_success() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        std::fs::write(home.lock(), "4242\n").unwrap();
        let lock = std::fs::File::open(home.lock()).unwrap();
        lock.try_lock().unwrap();
        let problem = stop(&home, &|_| ()).unwrap_err();
        assert!(problem.starts_with("one lives, for ") && problem.contains("does not listen (pid 4242)"), "{problem}");
        assert!(problem.contains("fuser -v"), "nobody is told to kill a process that is not surely it: {problem}");
        let State::Failed { problem } = ensure(&MapEnv::default(), &home, &|_| ()) else { panic!("not failed") };
        assert!(problem.contains("pid 4242"), "{problem}");
        drop(lock);
        assert_eq!(stop(&home, &|_| ()), Ok(false));
    }

    #[test]
    fn an_authority_runs_the_installed_program_or_is_outdated() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir(home.bin()).unwrap();
        let health = |version: &str| Health {
            status: stopgate_protocol::HealthStatus::Ok,
            version: version.to_owned(),
            protocol: 1,
            pid: std::process::id(),
            started_at_ms: 0,
            problem: None,
            config_problem: None,
        };
        assert!(!is_outdated(&home, &health(VERSION)), "doubt means no");
        assert!(is_outdated(&home, &health("0.0.0")));
        std::fs::write(home.bin().join(PROGRAM), "another").unwrap();
        assert!(is_outdated(&home, &health(VERSION)));
        std::fs::remove_file(home.bin().join(PROGRAM)).unwrap();
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), home.bin().join(PROGRAM)).unwrap();
        assert!(!is_outdated(&home, &health(VERSION)));
    }
}
