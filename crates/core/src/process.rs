//! Process identity: a pid alone names nobody, because pids are reused.

use std::fs::File;
use std::io::Read as _;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::env;
use crate::json::{object, optional, or_null, pid, string, text};
use crate::process::stat::Stat;

mod ancestry;
mod harness;
pub mod stat;

pub use ancestry::{Ancestor, Ancestry, Top, may_be_harness};
pub use harness::{ProcessRole, ProcessSight, harness_root, nearest_harness, role_of};

/// A process that can be recognised later: pid, the namespace that it counts in, start time, executable and the boot it
/// lived in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id, as it counts in `pid_namespace`.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    #[serde(alias = "startTicks")]
    pub start_ticks: u64,
    /// Name of the command as the kernel keeps it (15 bytes at most).
    pub command: String,
    /// Path of the executable, if it could be read.
    pub executable: Option<String>,
    /// The kernel's id of this boot.
    #[serde(alias = "bootId")]
    pub boot_id: String,
    /// The PID namespace (number of its inode): a sandbox and a container count their processes anew. `None` where it is
    /// not known, as in what older versions wrote.
    #[serde(default)]
    pub pid_namespace: Option<u64>,
    /// It runs many sessions at once, as a daemon does: proof of none of them, neither that one lives nor that it has
    /// ended, nor who owns what.
    #[serde(default)]
    pub shared: bool,
}

impl ProcessIdentity {
    /// Reads it off a state; `None` if that is none.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: pid(value.get("pid")?)?,
            start_ticks: value.get("start_ticks")?.as_u64()?,
            command: text(value, "command")?.to_owned(),
            executable: optional(value, "executable", string)?,
            boot_id: text(value, "boot_id")?.to_owned(),
            pid_namespace: optional(value, "pid_namespace", Value::as_u64)?,
            shared: optional(value, "shared", Value::as_bool)?.unwrap_or_default(),
        })
    }

    /// As [`ProcessIdentity::from_json`] reads it.
    pub fn to_json(&self) -> Value {
        object([
            ("pid", self.pid.into()),
            ("start_ticks", self.start_ticks.into()),
            ("command", self.command.as_str().into()),
            ("executable", or_null(self.executable.as_ref(), |path| path.as_str().into())),
            ("boot_id", self.boot_id.as_str().into()),
            ("pid_namespace", or_null(self.pid_namespace.as_ref(), |namespace| (*namespace).into())),
            ("shared", self.shared.into()),
        ])
    }

    /// A file name that no other process has, in this boot or another, in this PID namespace or another.
    pub fn file_key(&self) -> String {
        let boot: String = self.boot_id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let key = format!("{boot}-{}-{}", self.pid, self.start_ticks);
        match self.pid_namespace {
            // As before there was more than one: what runs during an update keeps its files.
            None | Some(FIRST_NAMESPACE) => key,
            Some(namespace) => format!("{key}-{namespace}"),
        }
    }

    /// Whether both name one process.
    pub fn is(&self, other: &Self) -> bool {
        let same_namespace = match (self.pid_namespace, other.pid_namespace) {
            (Some(own), Some(others)) => own == others,
            // What an older version wrote: start time and boot are as good as certain.
            _ => true,
        };
        same_namespace && (self.pid, self.start_ticks, &self.boot_id) == (other.pid, other.start_ticks, &other.boot_id)
    }
}

/// The PID namespace that a machine begins with: a constant of Linux (`PROC_PID_INIT_INO`). Whoever lives in it sees all of
/// its ancestors.
pub const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether a recognised process still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// The very process runs.
    Alive,
    /// It has ended: the pid is free, belongs to another process, or the machine was booted since.
    Gone,
    /// It cannot be told.
    #[default]
    Unknown,
}

impl Liveness {
    /// The word on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// One row of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Parent's process id; 0 for the first process.
    pub parent: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Name of the command as the kernel keeps it.
    pub command: String,
    /// It has ended, and only waits for its parent to take note.
    pub zombie: bool,
}

/// Answer to a look-up in the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// There is such a process.
    Found(ProcessRow),
    /// There is none.
    Absent,
    /// There is one, and this user may not look at it.
    Forbidden,
    /// The table cannot be read.
    Unreadable,
}

/// Read access to the process table.
pub trait ProcessTable {
    /// The row of `pid`.
    fn row(&self, pid: u32) -> Lookup;
    /// Path of the executable of `pid`, if it can be read.
    fn executable(&self, pid: u32) -> Option<String>;
    /// Program and arguments of `pid`, each ended by a zero byte; empty if they cannot be read.
    fn command_line(&self, pid: u32) -> Vec<u8>;
    /// The kernel's id of this boot, if it can be read.
    fn boot_id(&self) -> Option<String>;
    /// The PID namespace that the table's numbers count in, if it can be told.
    fn namespace(&self) -> Option<u64>;
    /// The variables that `pid` was started with, each ended by a zero byte; empty if they cannot be read.
    fn environment(&self, _pid: u32) -> Vec<u8> {
        Vec::new()
    }
    /// `pid` as it knows itself: in a PID namespace of its own, processes are counted anew.
    fn own_number(&self, pid: u32) -> u32 {
        pid
    }
}

/// Linux: `/proc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcFs;

impl ProcFs {
    /// This process, as the table numbers it: a sandbox may show the `/proc` of the namespace outside.
    pub fn own_pid() -> u32 {
        let own = std::fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
        own.unwrap_or_else(std::process::id)
    }

    /// The process that started this one, as the table numbers it; `None` if it is not in the table.
    pub fn parent_pid() -> Option<u32> {
        let parent = if Self::has_own_numbers() {
            std::os::unix::process::parent_id()
        } else {
            Stat::of(Self::own_pid()).ok()?.parent()?
        };
        (parent > 0).then_some(parent)
    }

    /// Whether the table's numbers are those by which the kernel names processes to this one.
    pub fn has_own_numbers() -> bool {
        Self::own_pid() == std::process::id()
    }

    /// How many PID namespaces lie between the table's and that of `pid`; 0 if it lives in the table's own.
    pub fn depth(pid: u32) -> Option<usize> {
        Self::numbers(pid)?.len().checked_sub(1)
    }

    /// What `pid` is called in the table's namespace and in each one below, down to its own.
    pub fn numbers(pid: u32) -> Option<Vec<u32>> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
    }

    /// Whether `pid` has a terminal that controls it; `None` if it cannot be looked at.
    pub fn has_terminal(pid: u32) -> Option<bool> {
        Some(Stat::of(pid).ok()?.terminal()? != 0)
    }
}

impl ProcessTable for ProcFs {
    fn row(&self, pid: u32) -> Lookup {
        match Stat::of(pid) {
            Ok(stat) => row(pid, &stat).map_or(Lookup::Unreadable, Lookup::Found),
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && std::path::Path::new("/proc/self").exists() =>
            {
                Lookup::Absent
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Lookup::Forbidden,
            Err(_) => Lookup::Unreadable,
        }
    }

    fn executable(&self, pid: u32) -> Option<String> {
        std::fs::read_link(format!("/proc/{pid}/exe")).ok()?.into_os_string().into_string().ok()
    }

    fn command_line(&self, pid: u32) -> Vec<u8> {
        let mut line = Vec::new();
        // What was read before an error is the beginning all the same.
        let _ = File::open(format!("/proc/{pid}/cmdline"))
            .and_then(|file| file.take(MAX_COMMAND_LINE_BYTES).read_to_end(&mut line));
        line
    }

    fn environment(&self, pid: u32) -> Vec<u8> {
        let mut variables = Vec::new();
        let _ = File::open(format!("/proc/{pid}/environ"))
            .and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut variables));
        variables
    }

    fn own_number(&self, pid: u32) -> u32 {
        Self::numbers(pid).and_then(|numbers| numbers.last().copied()).unwrap_or(pid)
    }

    fn boot_id(&self) -> Option<String> {
        Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
    }

    fn namespace(&self) -> Option<u64> {
        // Neither a process's namespace nor its `/proc` becomes another one.
        static FOUND: OnceLock<Option<u64>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let mut pid = Self::own_pid();
            if pid == std::process::id() {
                return namespace_of(pid);
            }
            // The `/proc` of a namespace outside: the nearest ancestor that lives there names it.
            for _ in 0..MAX_SANDBOX_ANCESTORS {
                if Self::depth(pid)? == 0 {
                    return namespace_of(pid);
                }
                pid = Stat::of(pid).ok()?.parent()?;
            }
            None
        })
    }
}

/// The PID namespace that `pid` lives in, if this user may know. Where the kernel has no such namespaces, all live in one.
fn namespace_of(pid: u32) -> Option<u64> {
    let link = match std::fs::read_link(format!("/proc/{pid}/ns/pid")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(FIRST_NAMESPACE),
        link => link.ok()?,
    };
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

fn row(pid: u32, stat: &Stat) -> Option<ProcessRow> {
    Some(ProcessRow {
        // The world of a test begins with the test: what runs it is no part of it.
        parent: if top() == Some(pid) { 0 } else { stat.parent()? },
        start_ticks: stat.start_ticks()?,
        command: stat.command().to_owned(),
        zombie: stat.is_zombie(),
    })
}

/// The process above which a test's world has nobody ([`env::STOPGATE_TOP`]).
fn top() -> Option<u32> {
    static FOUND: OnceLock<Option<u32>> = OnceLock::new();
    *FOUND.get_or_init(|| env::made_up(env::STOPGATE_TOP)?.to_str()?.parse().ok())
}

/// The identity of the process `pid`, if it runs.
pub fn identify(table: &dyn ProcessTable, pid: u32) -> Option<ProcessIdentity> {
    let Lookup::Found(row) = table.row(pid) else {
        return None;
    };
    identity_of(table, pid, row, false)
}

fn identity_of(table: &dyn ProcessTable, pid: u32, row: ProcessRow, shared: bool) -> Option<ProcessIdentity> {
    Some(ProcessIdentity {
        pid,
        start_ticks: row.start_ticks,
        command: row.command,
        executable: table.executable(pid),
        boot_id: table.boot_id()?,
        pid_namespace: table.namespace(),
        shared,
    })
}

/// Whether `identity` still runs. Another boot or another start time means gone, and so does a process that has ended
/// and only was not waited for. One that may not be looked at (EPERM) is there, and so alive. One of another PID
/// namespace cannot be seen from here, and one that many sessions share says nothing of any.
pub fn liveness(table: &dyn ProcessTable, identity: &ProcessIdentity) -> Liveness {
    match table.boot_id() {
        None => return Liveness::Unknown,
        Some(boot) if boot != identity.boot_id => return Liveness::Gone,
        Some(_) => {}
    }
    if identity.shared {
        return Liveness::Unknown;
    }
    let is_here = identity.pid_namespace.zip(table.namespace()).map(|(its, own)| its == own);
    if is_here == Some(false) {
        return Liveness::Unknown;
    }
    match (table.row(identity.pid), is_here) {
        (Lookup::Found(row), _) if row.start_ticks == identity.start_ticks && !row.zombie => Liveness::Alive,
        (Lookup::Forbidden, Some(_)) => Liveness::Alive,
        (Lookup::Found(_) | Lookup::Absent, Some(_)) => Liveness::Gone,
        // Maybe in a namespace that is not known: only its very process could prove anything.
        (_, None) | (Lookup::Unreadable, _) => Liveness::Unknown,
    }
}

/// Whether the process that [`ProcessIdentity::file_key`] has named `key` is certain to have ended.
pub fn has_ended(table: &dyn ProcessTable, key: &str) -> bool {
    let parts: Vec<&str> = key.split('-').collect();
    let (of_boot, pid, ticks, of_namespace) = match *parts.as_slice() {
        [boot, pid, ticks] => (boot, pid.parse(), ticks.parse::<u64>(), Ok(FIRST_NAMESPACE)),
        [boot, pid, ticks, namespace] => (boot, pid.parse(), ticks.parse(), namespace.parse()),
        _ => return false,
    };
    let (Ok(pid), Ok(ticks), Ok(of_namespace)) = (pid, ticks, of_namespace) else { return false };
    let Some(boot) = table.boot_id() else { return false };
    if boot.len() >= 8 && !boot.starts_with(of_boot) {
        return true;
    }
    if table.namespace() != Some(of_namespace) {
        return false;
    }
    match table.row(pid) {
        Lookup::Found(row) => row.start_ticks != ticks || row.zombie,
        Lookup::Absent => true,
        Lookup::Forbidden | Lookup::Unreadable => false,
    }
}

/// How many ancestors may live in a sandbox that shows the `/proc` of the namespace outside.
const MAX_SANDBOX_ANCESTORS: usize = 4_096;

/// Longest environment that is looked through, in bytes.
const MAX_ENVIRONMENT_BYTES: u64 = 1024 * 1024;

/// Longest command line that is read, in bytes: the beginning tells what a harness was started as.
const MAX_COMMAND_LINE_BYTES: u64 = 4_096;

/// The name of this machine, as the kernel knows it; empty if it cannot be read.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
