//! Hooks that a variable of their environment keeps from working: `STOPGATE_KILL`, `STOPGATE_JUDGE`, or another home.
//!
//! Whoever set it in a harness's settings has switched off what is registered, and nothing else would show it. So such a
//! hook leaves a beat and a note in the home that it is installed in, which no variable moves: a note for each session as
//! far as the harness names it to its hooks, or else for each process that runs hooks.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::beat::{self, Beat};
use crate::clock::{UnixMillis, to_millis};
use crate::env::{self, Env};
use crate::paths::Home;
use crate::process::ProcFs;
use crate::session::Harness;
use crate::{fsx, hook_log};

/// Longest name of a variable with its value that a note holds.
const MAX_BYTES: usize = 1024;

/// A note: what kept the hooks of a session from working, and when they were last called so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilencedNote {
    /// When.
    pub at_ms: UnixMillis,
    /// The variable.
    pub by: String,
}

/// Whose note it is.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// A session's.
    Session(&'a str),
    /// That of the process that started the hook.
    Process(u32),
}

/// Leaves beat and note of `hook`, which `variable` keeps from working. Only what a hook of an installed home is worth
/// telling of, and not the hooks of an agent that is asked to judge, as it should be: that runs in the home.
pub fn leave(environment: &dyn Env, hook: &str, harness: Option<Harness>, variable: &str) {
    let Some(home) = Home::installed() else { return };
    let is_judge = || std::env::current_dir().is_ok_and(|dir| dir.starts_with(judges(&home)));
    if variable == env::STOPGATE_JUDGE && is_judge() {
        return;
    }
    // Without a harness's name it was somebody who tries whether it starts.
    let Some(harness) = harness else { return };
    beat::leave(&home, hook, Beat::Silenced);
    let spec = harness.spec();
    let session = spec.session_variable.filter(|_| spec.names_session_to_hooks);
    let session = session.and_then(|name| environment.text(name));
    let whose = match &session {
        Some(id) => Whose::Session(id),
        None => Whose::Process(ProcFs::parent_pid().unwrap_or(0)),
    };
    let path = path(&home, harness, whose);
    let known = fsx::open_regular(OpenOptions::new().write(true), &path);
    if let Ok(file) = known {
        let _ = file.set_modified(SystemTime::now());
        return;
    }
    let value = environment.os(variable).unwrap_or_default();
    let by = format!("{variable}={}", value.display());
    hook_log::write(&home, hook, "silenced by its environment", &by);
    if path.parent().is_some_and(|dir| fsx::ensure_private_dir(dir).is_ok())
        && let Ok(mut file) = fsx::open_regular(OpenOptions::new().create_new(true).write(true), &path)
    {
        let _ = file.write_all(crate::text::head(&by, MAX_BYTES).as_bytes());
    }
}

/// The note of `harness` about `whose` hooks.
pub fn read(home: &Home, harness: Harness, whose: Whose<'_>) -> Option<SilencedNote> {
    let path = path(home, harness, whose);
    let at_ms = to_millis(std::fs::symlink_metadata(&path).ok()?.modified().ok()?);
    let by = String::from_utf8_lossy(&fsx::read_regular(&path, MAX_BYTES as u64).ok()?).into_owned();
    Some(SilencedNote { at_ms, by })
}

/// Where notes are.
pub fn directory(home: &Home) -> PathBuf {
    home.run().join("silenced")
}

/// Where a judge that is a program runs.
pub fn judges(home: &Home) -> PathBuf {
    home.run().join("judge")
}

/// Whether `value` of `STOPGATE_HOME` leads hooks away from the home they are installed in.
pub fn is_elsewhere(value: &OsStr) -> bool {
    !value.is_empty() && Home::installed().is_some_and(|home| !home.is_same(&Home::at(value)))
}

fn path(home: &Home, harness: Harness, whose: Whose<'_>) -> PathBuf {
    let mut name = format!("{harness}-");
    match whose {
        Whose::Process(pid) => drop(write!(name, "process-{pid}")),
        Whose::Session(id) => {
            name.push_str("session-");
            for byte in id.bytes().take(64) {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
                    byte => drop(write!(name, "_{byte:02x}")),
                }
            }
        }
    }
    directory(home).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_session_s_or_one_process_s_and_a_planted_one_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let session = Whose::Session("../a");
        assert_eq!(read(&home, Harness::Claude, session), None);
        let path = path(&home, Harness::Claude, session);
        assert_eq!(path.parent(), Some(directory(&home).as_path()));
        std::fs::create_dir_all(directory(&home)).unwrap();
        std::fs::write(&path, "STOPGATE_KILL=1").unwrap();
        assert_eq!(read(&home, Harness::Claude, session).unwrap().by, "STOPGATE_KILL=1");
        for other in [Whose::Session("a"), Whose::Process(7)] {
            assert_eq!(read(&home, Harness::Claude, other), None);
        }
        assert_eq!(read(&home, Harness::Codex, session), None);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(read(&home, Harness::Claude, session), None);
    }
}
