//! Sessions of Claude Code in the background, as `claude --bg` starts them: a daemon, below it a holder of a terminal for each
//! session, below that the session's worker. The names are those of the real client, 2.1.332, in its two layouts.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::build::{Agent, Site};

/// What installed the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// npm: all are `claude.exe`.
    Npm,
    /// The native installer: the daemon is `claude`, the others have the version's name.
    Native,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Npm, Self::Native];

    /// The programs of daemon and worker, made below `root`.
    fn programs(self, root: &Path) -> [PathBuf; 2] {
        let paths = match self {
            Self::Npm => ["claude.exe", "claude.exe"].map(|name| root.join("npm").join(name)),
            Self::Native => ["bin/claude", "share/claude/versions/2.1.332"].map(|name| root.join("native").join(name)),
        };
        for path in &paths {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            // The kernel names the file, not a link to it. By a process of its own: a program that another thread's child
            // still holds open for writing cannot be run.
            assert!(Command::new("cp").arg("/bin/sh").arg(path).status().unwrap().success());
        }
        paths
    }
}

/// A daemon with workers. All of it ends with the value.
pub struct Background<'a> {
    daemon: Child,
    /// One for each session.
    pub workers: Vec<Agent<'a>>,
}

impl<'a> Background<'a> {
    /// A daemon with so many workers.
    pub fn start(site: &'a Site, layout: Layout, count: usize) -> Self {
        let root = site.world.root();
        let [program, worker] = layout.programs(root);
        // Scripts by the names of the client's commands, so that the command lines are the client's.
        std::fs::write(root.join("daemon"), "for n in $(seq $2); do \"$WORKER\" bg-pty-host $n & done\nwait\n")
            .unwrap();
        std::fs::write(root.join("bg-pty-host"), "sh \"worker.$1\"\ntrue\n").unwrap();
        let workers: Vec<Agent<'a>> = (0..count).map(|_| Agent::prepare_at(site, worker.clone())).collect();
        for (number, worker) in workers.iter().enumerate() {
            std::fs::write(root.join(format!("worker.{}", number + 1)), worker.line()).unwrap();
        }
        let mut command = site.world.command(&program);
        command.args(["daemon", "run", &count.to_string()]).env("WORKER", &worker).process_group(0);
        let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for worker in &workers {
            let _ = worker.pid();
        }
        Self { daemon, workers }
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.daemon), Signal::KILL);
        let _ = self.daemon.wait();
    }
}
