//! Process identity: a pid alone names nobody, because pids are reused.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{object, optional, or_null, pid, string, text};
use crate::process::stat::Stat;
use crate::session::Harness;

pub mod stat;

/// A process that can be recognised later: pid, start time, executable and the boot it lived in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_ticks: u64,
    /// Name of the command as the kernel keeps it (15 bytes at most).
    pub command: String,
    /// Path of the executable, if it could be read.
    pub executable: Option<String>,
    /// The kernel's id of this boot.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Reads it off a state; `None` if that is none.
    pub fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: pid(value.get("pid")?)?,
            start_ticks: value.get("startTicks")?.as_u64()?,
            command: text(value, "command")?.to_owned(),
            executable: optional(value, "executable", string)?,
            boot_id: text(value, "bootId")?.to_owned(),
        })
    }

    /// As [`ProcessIdentity::from_json`] reads it.
    pub fn to_json(&self) -> Value {
        object([
            ("pid", self.pid.into()),
            ("startTicks", self.start_ticks.into()),
            ("command", self.command.as_str().into()),
            ("executable", or_null(self.executable.as_ref(), |path| path.as_str().into())),
            ("bootId", self.boot_id.as_str().into()),
        ])
    }

    /// A file name that no other process has, in this boot or another.
    pub fn file_key(&self) -> String {
        let boot: String = self.boot_id.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        format!("{boot}-{}-{}", self.pid, self.start_ticks)
    }

    /// Whether both name one process.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, self.start_ticks, &self.boot_id) == (other.pid, other.start_ticks, &other.boot_id)
    }
}

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
    /// The kernel's id of this boot, if it can be read.
    fn boot_id(&self) -> Option<String>;
}

/// Linux: `/proc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcFs;

impl ProcessTable for ProcFs {
    fn row(&self, pid: u32) -> Lookup {
        match Stat::of(pid) {
            Ok(stat) => row(&stat).map_or(Lookup::Unreadable, Lookup::Found),
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

    fn boot_id(&self) -> Option<String> {
        Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
    }
}

fn row(stat: &Stat) -> Option<ProcessRow> {
    Some(ProcessRow {
        parent: stat.parent()?,
        start_ticks: stat.start_ticks()?,
        command: stat.command().to_owned(),
        zombie: stat.is_zombie(),
    })
}

/// The identity of the process `pid`, if it runs.
pub fn identify(table: &dyn ProcessTable, pid: u32) -> Option<ProcessIdentity> {
    let Lookup::Found(row) = table.row(pid) else {
        return None;
    };
    Some(identity_of(table, pid, row, table.boot_id()?))
}

fn identity_of(table: &dyn ProcessTable, pid: u32, row: ProcessRow, boot_id: String) -> ProcessIdentity {
    ProcessIdentity {
        pid,
        start_ticks: row.start_ticks,
        command: row.command,
        executable: table.executable(pid),
        boot_id,
    }
}

/// Whether `identity` still runs. Another boot or another start time means gone, and so does a process that has ended
/// and only was not waited for. One that may not be looked at (EPERM) is there, and so alive.
pub fn liveness(table: &dyn ProcessTable, identity: &ProcessIdentity) -> Liveness {
    match table.boot_id() {
        None => return Liveness::Unknown,
        Some(boot) if boot != identity.boot_id => return Liveness::Gone,
        Some(_) => {}
    }
    match table.row(identity.pid) {
        Lookup::Found(row) if row.start_ticks == identity.start_ticks && !row.zombie => Liveness::Alive,
        Lookup::Forbidden => Liveness::Alive,
        Lookup::Found(_) | Lookup::Absent => Liveness::Gone,
        Lookup::Unreadable => Liveness::Unknown,
    }
}

/// How far up the tree the search for a harness goes; shells, wrappers and multiplexers stay well below.
const MAX_ANCESTORS: usize = 24;

/// The nearest ancestor of `pid` (itself included) that is the client `harness`.
pub fn harness_root(table: &dyn ProcessTable, pid: u32, harness: Harness) -> Option<ProcessIdentity> {
    nearest(table, pid, |command| command == harness.spec().command)
}

/// The nearest ancestor of `pid` (itself included) that is a client at all, and which. Where one runs inside another, the
/// inner one counts.
pub fn nearest_harness(table: &dyn ProcessTable, pid: u32) -> Option<(Harness, ProcessIdentity)> {
    let of = |command: &str| Harness::ALL.into_iter().find(|harness| command == harness.spec().command);
    let found = nearest(table, pid, |command| of(command).is_some())?;
    Some((of(&found.command)?, found))
}

fn nearest(table: &dyn ProcessTable, pid: u32, is_meant: impl Fn(&str) -> bool) -> Option<ProcessIdentity> {
    let mut current = pid;
    for _ in 0..MAX_ANCESTORS {
        let Lookup::Found(row) = table.row(current) else {
            return None;
        };
        if is_meant(&row.command) {
            return Some(identity_of(table, current, row, table.boot_id()?));
        }
        if row.parent <= 1 {
            return None;
        }
        current = row.parent;
    }
    None
}

/// `pid` and its ancestors as (pid, start time) pairs, nearest first.
pub fn ancestry(table: &dyn ProcessTable, pid: u32) -> Vec<(u32, u64)> {
    let mut chain = Vec::new();
    let mut current = pid;
    while chain.len() < MAX_ANCESTORS
        && current > 0
        && let Lookup::Found(row) = table.row(current)
    {
        chain.push((current, row.start_ticks));
        current = row.parent;
    }
    chain
}

/// The name of this machine, as the kernel knows it; empty if it cannot be read.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Table(BTreeMap<u32, ProcessRow>, &'static str);

    impl ProcessTable for Table {
        fn row(&self, pid: u32) -> Lookup {
            self.0.get(&pid).cloned().map_or(Lookup::Absent, Lookup::Found)
        }
        fn executable(&self, _: u32) -> Option<String> {
            None
        }
        fn boot_id(&self) -> Option<String> {
            Some(self.1.to_owned())
        }
    }

    fn table(rows: &[(u32, u32, u64, &str)], boot: &'static str) -> Table {
        let row = |&(pid, parent, start_ticks, command): &(u32, u32, u64, &str)| {
            (pid, ProcessRow { parent, start_ticks, command: command.to_owned(), zombie: false })
        };
        Table(rows.iter().map(row).collect(), boot)
    }

    #[test]
    fn the_nearest_harness_of_the_right_kind_is_the_root() {
        let table = table(
            &[(1, 0, 1, "init"), (5, 1, 50, "claude"), (6, 5, 60, "bash"), (7, 6, 70, "codex"), (8, 7, 80, "bash")],
            "b",
        );
        assert_eq!(harness_root(&table, 8, Harness::Codex).map(|root| root.pid), Some(7));
        assert_eq!(harness_root(&table, 8, Harness::Claude).map(|root| root.pid), Some(5));
        assert_eq!(harness_root(&table, 1, Harness::Claude), None);
        let nearest = |pid| nearest_harness(&table, pid).map(|(harness, found)| (harness, found.pid));
        assert_eq!([nearest(8), nearest(6), nearest(1)], [Some((Harness::Codex, 7)), Some((Harness::Claude, 5)), None]);
        assert_eq!(ancestry(&table, 8), [(8, 80), (7, 70), (6, 60), (5, 50), (1, 1)]);
    }

    #[test]
    fn a_reused_pid_and_another_boot_are_gone() {
        let before = table(&[(7, 1, 70, "claude")], "boot-1");
        let identity = identify(&before, 7).unwrap();
        assert_eq!(liveness(&before, &identity), Liveness::Alive);
        assert_eq!(liveness(&table(&[(7, 1, 71, "claude")], "boot-1"), &identity), Liveness::Gone);
        assert_eq!(liveness(&table(&[(7, 1, 70, "claude")], "boot-2"), &identity), Liveness::Gone);
        assert_eq!(liveness(&table(&[], "boot-1"), &identity), Liveness::Gone);
        let mut ended = table(&[(7, 1, 70, "claude")], "boot-1");
        ended.0.values_mut().for_each(|row| row.zombie = true);
        assert_eq!(liveness(&ended, &identity), Liveness::Gone, "a zombie");
    }

    #[test]
    fn what_may_not_be_looked_at_is_alive_and_what_cannot_be_read_is_unknown() {
        struct Says(Lookup);
        impl ProcessTable for Says {
            fn row(&self, _: u32) -> Lookup {
                self.0.clone()
            }
            fn executable(&self, _: u32) -> Option<String> {
                None
            }
            fn boot_id(&self) -> Option<String> {
                Some("boot-1".to_owned())
            }
        }
        let identity = identify(&table(&[(7, 1, 70, "claude")], "boot-1"), 7).unwrap();
        assert_eq!(liveness(&Says(Lookup::Forbidden), &identity), Liveness::Alive);
        assert_eq!(liveness(&Says(Lookup::Unreadable), &identity), Liveness::Unknown);
    }

    #[test]
    fn this_process_is_found_in_the_real_table() {
        let me = identify(&ProcFs, std::process::id()).unwrap();
        assert_eq!(liveness(&ProcFs, &me), Liveness::Alive);
        assert!(ancestry(&ProcFs, me.pid).len() >= 2);
    }
}
