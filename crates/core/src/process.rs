//! Process identity: a pid alone names nobody, because pids are reused.

use std::fs::File;
use std::io::Read as _;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{object, optional, or_null, pid, string, text};
use crate::process::stat::Stat;
use crate::session::Harness;

pub mod stat;

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
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_ascii_whitespace().count().checked_sub(1)
    }
}

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

    fn command_line(&self, pid: u32) -> Vec<u8> {
        let mut line = Vec::new();
        // What was read before an error is the beginning all the same.
        let _ = File::open(format!("/proc/{pid}/cmdline"))
            .and_then(|file| file.take(MAX_COMMAND_LINE_BYTES).read_to_end(&mut line));
        line
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
            for _ in 0..MAX_ANCESTORS {
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

/// How far up the tree the search for a harness goes; shells, wrappers and multiplexers stay well below.
const MAX_ANCESTORS: usize = 24;

/// Longest command line that is read, in bytes: the beginning tells what a harness was started as.
const MAX_COMMAND_LINE_BYTES: u64 = 4_096;

/// What a process is to a harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessRole {
    /// It runs one session, or one after the other.
    Session,
    /// It runs many at once.
    Shared,
    /// It is the client's, and runs none, such as a daemon that starts others.
    Helper,
}

/// A process that may be a harness's, for its row to tell: what costs a look is read when it is asked for.
pub struct ProcessSight<'a> {
    /// Name of the command as the kernel keeps it.
    pub command: &'a str,
    table: &'a dyn ProcessTable,
    pid: u32,
}

impl ProcessSight<'_> {
    /// Path of the executable; without the mark of one that was replaced since.
    pub fn executable(&self) -> Option<String> {
        let path = self.table.executable(self.pid)?;
        Some(path.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(path))
    }

    /// Whether its arguments, of which the program's name is none, begin with these.
    pub fn begins_with(&self, words: &[&str]) -> bool {
        let line = self.table.command_line(self.pid);
        let mut found = line.split(|byte| *byte == 0).skip(1);
        words.iter().all(|word| found.next() == Some(word.as_bytes()))
    }

    /// Whether one of its arguments is `word`.
    pub fn has_argument(&self, word: &str) -> bool {
        self.table.command_line(self.pid).split(|byte| *byte == 0).skip(1).any(|found| found == word.as_bytes())
    }
}

/// What `pid` is to `harness`; `None` if nothing.
fn role(table: &dyn ProcessTable, pid: u32, row: &ProcessRow, harness: Harness) -> Option<ProcessRole> {
    (harness.spec().role)(&ProcessSight { command: &row.command, table, pid })
}

/// The nearest ancestor of `pid` (itself included) that is the client `harness`. `told` is the process that the client says
/// it is ([`crate::harness::Spec::process_variable`]), believed only of an ancestor: the client may be called by any name.
pub fn harness_root(
    table: &dyn ProcessTable,
    pid: u32,
    harness: Harness,
    told: Option<u32>,
) -> Option<ProcessIdentity> {
    nearest(table, pid, |pid, row| {
        let by_its_word = || (told == Some(pid)).then_some(ProcessRole::Session);
        Some((harness, role(table, pid, row, harness).or_else(by_its_word)?))
    })
    .map(|(_, found)| found)
}

/// The nearest ancestor of `pid` (itself included) that is a client at all, and which. Where one runs inside another, the
/// inner one counts. `told` is what each says of itself, as for [`harness_root`].
pub fn nearest_harness(
    table: &dyn ProcessTable,
    pid: u32,
    told: &dyn Fn(Harness) -> Option<u32>,
) -> Option<(Harness, ProcessIdentity)> {
    let of = |pid, row: &ProcessRow| {
        let by_its_name = |harness| Some((harness, role(table, pid, row, harness)?));
        let by_its_word = |harness| (told(harness) == Some(pid)).then_some((harness, ProcessRole::Session));
        let all = || Harness::ALL.into_iter();
        all().find_map(by_its_name).or_else(|| all().find_map(by_its_word))
    };
    nearest(table, pid, of)
}

/// What a living process is to `harness` now.
pub fn role_of(table: &dyn ProcessTable, pid: u32, harness: Harness) -> Option<ProcessRole> {
    match table.row(pid) {
        Lookup::Found(row) => role(table, pid, &row, harness),
        _ => None,
    }
}

fn nearest(
    table: &dyn ProcessTable,
    pid: u32,
    is_meant: impl Fn(u32, &ProcessRow) -> Option<(Harness, ProcessRole)>,
) -> Option<(Harness, ProcessIdentity)> {
    let mut current = pid;
    let mut below = u64::MAX;
    for _ in 0..MAX_ANCESTORS {
        let Lookup::Found(row) = table.row(current) else {
            return None;
        };
        // The table changes while it is read: a pid that was given away since is no ancestor.
        if row.start_ticks > below {
            return None;
        }
        below = row.start_ticks;
        if let Some((harness, role)) = is_meant(current, &row).filter(|(_, role)| *role != ProcessRole::Helper) {
            return Some((harness, identity_of(table, current, row, role == ProcessRole::Shared)?));
        }
        // Process 1 may be a harness itself, as in a container; above it there is nobody.
        if row.parent == 0 {
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

    const NAMESPACE: u64 = 4_026_532_000;

    /// Processes with their command lines, the boot, and the namespace.
    struct Table(BTreeMap<u32, (ProcessRow, &'static str)>, &'static str, Option<u64>);

    impl ProcessTable for Table {
        fn row(&self, pid: u32) -> Lookup {
            self.0.get(&pid).map_or(Lookup::Absent, |(row, _)| Lookup::Found(row.clone()))
        }
        fn executable(&self, pid: u32) -> Option<String> {
            Some(format!("/home/dev/.local/share/claude/versions/{}", self.0.get(&pid)?.0.command))
        }
        fn command_line(&self, pid: u32) -> Vec<u8> {
            self.0.get(&pid).map(|(_, line)| line.replace(' ', "\0").into_bytes()).unwrap_or_default()
        }
        fn boot_id(&self) -> Option<String> {
            Some(self.1.to_owned())
        }
        fn namespace(&self) -> Option<u64> {
            self.2
        }
    }

    /// Processes with their parents, start times and command lines, whose first word is the name.
    fn table(rows: &[(u32, u32, u64, &'static str)], boot: &'static str) -> Table {
        let row = |&(pid, parent, start_ticks, line): &(u32, u32, u64, &'static str)| {
            let command = line.split(' ').next().unwrap().to_owned();
            (pid, (ProcessRow { parent, start_ticks, command, zombie: false }, line))
        };
        Table(rows.iter().map(row).collect(), boot, Some(NAMESPACE))
    }

    fn root(table: &Table, pid: u32, harness: Harness) -> Option<u32> {
        harness_root(table, pid, harness, None).map(|root| root.pid)
    }

    #[test]
    fn the_nearest_harness_of_the_right_kind_is_the_root() {
        let table = table(
            &[(1, 0, 1, "init"), (5, 1, 50, "claude"), (6, 5, 60, "bash"), (7, 6, 70, "codex"), (8, 7, 80, "bash")],
            "b",
        );
        let of = |pid, harness| root(&table, pid, harness);
        assert_eq!([of(8, Harness::Codex), of(8, Harness::Claude), of(1, Harness::Claude)], [Some(7), Some(5), None]);
        let nearest = |pid| nearest_harness(&table, pid, &|_| None).map(|(harness, found)| (harness, found.pid));
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
        ended.0.values_mut().for_each(|(row, _)| row.zombie = true);
        assert_eq!(liveness(&ended, &identity), Liveness::Gone, "a zombie");
    }

    #[test]
    fn process_1_may_be_a_harness() {
        let table = table(&[(1, 0, 1, "claude"), (7, 1, 70, "sh"), (8, 7, 80, "python")], "b");
        assert_eq!(root(&table, 8, Harness::Claude), Some(1));
        assert_eq!(root(&table, 8, Harness::Codex), None);
    }

    #[test]
    fn a_session_in_the_background_is_its_worker_in_both_layouts_and_never_the_daemon() {
        let layout = |daemon, host, worker| {
            let rows = [(1, 0, 1, "init"), (5, 1, 50, daemon), (6, 5, 60, host), (7, 6, 70, worker), (8, 7, 80, "sh")];
            let table = table(&rows, "b");
            [8, 6, 5].map(|pid| root(&table, pid, Harness::Claude))
        };
        let worker_alone = [Some(7), None, None];
        let npm = layout(
            "claude.exe daemon run",
            "claude.exe bg-pty-host s -- claude.exe daemon run",
            "claude.exe --session-id s",
        );
        let native = layout("claude daemon run", "2.1.332 bg-pty-host", "2.1.332 --session-id s");
        assert_eq!([npm, native], [worker_alone; 2]);
        let prompt = table(&[(1, 0, 1, "init"), (5, 1, 50, "claude -p daemon run"), (6, 5, 60, "sh")], "b");
        assert_eq!(root(&prompt, 6, Harness::Claude), Some(5));
    }

    #[test]
    fn what_a_client_says_of_itself_is_believed_of_an_ancestor_that_is_not_further_than_another_client() {
        let table = table(
            &[(1, 0, 1, "init"), (5, 1, 50, "wrapped"), (6, 5, 60, "bash"), (7, 6, 70, "claude"), (8, 7, 80, "sh")],
            "b",
        );
        let told = |pid, told| harness_root(&table, pid, Harness::Claude, Some(told)).map(|root| root.pid);
        assert_eq!([told(6, 5), told(6, 9), told(8, 5), told(8, 7)], [Some(5), None, Some(7), Some(7)]);
        let says = |harness| (harness == Harness::Claude).then_some(5);
        let found = nearest_harness(&table, 6, &says).map(|(harness, found)| (harness, found.pid));
        assert_eq!(found, Some((Harness::Claude, 5)));
    }

    #[test]
    fn a_server_of_many_sessions_is_proof_of_none() {
        for line in
            ["codex app-server --listen unix:// --managed-daemon", "codex -c a=b app-server", "codex mcp-server"]
        {
            let table = table(&[(1, 0, 1, "init"), (5, 1, 50, line), (6, 5, 60, "sh")], "b");
            let found = harness_root(&table, 6, Harness::Codex, None).unwrap();
            assert_eq!((found.pid, found.shared, liveness(&table, &found)), (5, true, Liveness::Unknown), "{line}");
            assert_eq!(liveness(&super::tests::table(&[], "b"), &found), Liveness::Unknown);
        }
        let own = table(&[(1, 0, 1, "init"), (5, 1, 50, "codex resume app"), (6, 5, 60, "sh")], "b");
        assert!(!harness_root(&own, 6, Harness::Codex, None).unwrap().shared);
    }

    #[test]
    fn a_process_of_another_namespace_is_unknown_and_has_files_of_its_own() {
        let here = table(&[(7, 1, 70, "claude")], "boot-1");
        let own = identify(&here, 7).unwrap();
        let of = |pid_namespace, start_ticks| ProcessIdentity { start_ticks, pid_namespace, ..own.clone() };
        let (other, older) = (Some(NAMESPACE + 1), None);
        for ticks in [70, 71] {
            assert_eq!(liveness(&here, &of(other, ticks)), Liveness::Unknown);
        }
        assert_eq!(liveness(&table(&[], "boot-1"), &of(other, 70)), Liveness::Unknown);
        assert_eq!(liveness(&table(&[], "boot-2"), &of(other, 70)), Liveness::Gone);
        assert!(!own.is(&of(other, 70)) && own.file_key() != of(other, 70).file_key());
        // What an older version wrote: only the very process proves anything.
        assert_eq!(liveness(&here, &of(older, 70)), Liveness::Alive);
        assert_eq!(liveness(&here, &of(older, 71)), Liveness::Unknown);
        assert!(own.is(&of(older, 70)) && of(older, 70).file_key() == of(Some(FIRST_NAMESPACE), 70).file_key());
        let unseeing = Table(here.0, here.1, None);
        assert_eq!(liveness(&unseeing, &of(Some(NAMESPACE), 71)), Liveness::Unknown);
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
            fn command_line(&self, _: u32) -> Vec<u8> {
                Vec::new()
            }
            fn boot_id(&self) -> Option<String> {
                Some("boot-1".to_owned())
            }
            fn namespace(&self) -> Option<u64> {
                Some(NAMESPACE)
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
        assert!(me.pid_namespace.is_some() && ProcFs::depth(me.pid) == Some(0));
        assert_eq!((ProcFs::own_pid(), ProcFs::parent_pid()), (me.pid, Some(std::os::unix::process::parent_id())));
    }
}
