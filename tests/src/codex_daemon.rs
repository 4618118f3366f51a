//! Codex as people start it: a `codex` without `-c` starts a daemon for its `CODEX_HOME`, in which all of its sessions
//! live, and leaves it running.
//!
//! The daemon runs a copy of the client, 400 MB below its `CODEX_HOME`: the homes of a test share one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use stopgate_core::process::{Lookup, ProcFs, ProcessTable as _};

use crate::run::{Stdin, finish};

/// What the shell that starts a client says first: the daemon inherits it, and is another's guest on this machine.
pub const MEMORY_LIMIT: &str = "ulimit -v 8000000";
/// What the client notes of its own processes: the daemon, and what looks for a newer version.
const NOTES: [&str; 2] = ["daemon.pid", "daemon-updater.pid"];
/// How long a process may take to end that was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon of one `CODEX_HOME`, if one is started; it ends with the value.
#[derive(Debug)]
pub struct CodexDaemon {
    program: PathBuf,
    home: PathBuf,
}

impl CodexDaemon {
    /// That of the person who lives in `home`, whose `CODEX_HOME` is `.codex` in it and exists. `copies` is where the
    /// copies of the client are kept.
    pub fn of(program: PathBuf, home: PathBuf, copies: &Path) -> Self {
        fs::create_dir_all(copies).unwrap();
        symlink(copies, home.join(".codex/packages")).unwrap();
        Self { program, home }
    }

    fn noted(&self, name: &str) -> Option<(u32, u64)> {
        let text = fs::read(self.home.join(".codex/app-server-daemon").join(name)).ok()?;
        let note: Value = serde_json::from_slice(&text).ok()?;
        let pid = u32::try_from(note["pid"].as_u64()?).ok()?;
        Some((pid, note["processIdentity"]["startTicks"].as_u64()?))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.noted(NOTES[0]).filter(|process| runs(*process)).map(|(pid, _)| pid)
    }

    /// Kills it: neither it nor its sessions say anything.
    pub fn kill(&self) {
        if let Some(process) = self.noted(NOTES[0]).filter(|process| runs(*process)) {
            ends(process, Signal::KILL);
        }
    }

    /// Stops it as a person does, and waits until it has ended. Its sessions report their end.
    pub fn stop(&self) {
        let processes: Vec<_> = NOTES.into_iter().filter_map(|name| self.noted(name)).collect();
        if processes.iter().copied().any(runs) {
            let mut command = Command::new(&self.program);
            command.args(["app-server", "daemon", "stop"]).env_clear();
            command.env("HOME", &self.home).env("CODEX_HOME", self.home.join(".codex"));
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(&self.home);
            command.env("STOPGATE_TOP", std::process::id().to_string());
            let _ = finish(command, Stdin::from(""));
        }
        for process in processes {
            for signal in [Signal::TERM, Signal::KILL] {
                if runs(process) {
                    ends(process, signal);
                }
            }
        }
    }
}

impl Drop for CodexDaemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sends a signal, and waits for the end.
fn ends(process: (u32, u64), signal: Signal) {
    let Some(pid) = i32::try_from(process.0).ok().and_then(Pid::from_raw) else { return };
    let _ = rustix::process::kill_process(pid, signal);
    let end = Instant::now() + PATIENCE;
    while runs(process) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the very process runs: another may have its number by now.
fn runs((pid, start_ticks): (u32, u64)) -> bool {
    matches!(ProcFs.row(pid), Lookup::Found(row) if row.start_ticks == start_ticks && !row.zombie)
}
