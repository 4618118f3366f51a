//! Which process above another one is a harness's, and what it runs.

use super::{Lookup, ProcessIdentity, ProcessRow, ProcessTable, identity_of, may_be_harness};
use crate::process::ancestry::says_it_is;
use crate::session::Harness;

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
pub(super) fn role(table: &dyn ProcessTable, pid: u32, row: &ProcessRow, harness: Harness) -> Option<ProcessRole> {
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
    nearest(table, pid, |child, pid, row| {
        let by_its_word = || says(table, told, child, pid, row).then_some(ProcessRole::Session);
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
    let of = |child, pid, row: &ProcessRow| {
        let by_its_name = |harness| Some((harness, role(table, pid, row, harness)?));
        let by_its_word =
            |harness| says(table, told(harness), child, pid, row).then_some((harness, ProcessRole::Session));
        let all = || Harness::ALL.into_iter();
        all().find_map(by_its_name).or_else(|| all().find_map(by_its_word))
    };
    nearest(table, pid, of)
}

/// Whether `told` is the process `pid`, and that is no claim of somebody below: it has started `child` with it. Without a child,
/// whoever asks is it, and has been told so.
fn says(table: &dyn ProcessTable, told: Option<u32>, child: Option<u32>, pid: u32, row: &ProcessRow) -> bool {
    told == Some(pid)
        && child.is_none_or(|child| says_it_is(table, child, pid).is_some())
        && may_be_harness(table, pid, &row.command)
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
    is_meant: impl Fn(Option<u32>, u32, &ProcessRow) -> Option<(Harness, ProcessRole)>,
) -> Option<(Harness, ProcessIdentity)> {
    let (mut child, mut current) = (None, pid);
    let mut below = u64::MAX;
    // However deep the shells are nested. A table that is read while it changes could hold a loop: whoever comes by the
    // mark again has gone around.
    let (mut mark, mut steps) = (0, 0_u64);
    loop {
        if current == mark {
            return None;
        }
        steps += 1;
        if steps.is_power_of_two() {
            mark = current;
        }
        let Lookup::Found(row) = table.row(current) else {
            return None;
        };
        // The table changes while it is read: a pid that was given away since is no ancestor.
        if row.start_ticks > below {
            return None;
        }
        below = row.start_ticks;
        if let Some((harness, role)) = is_meant(child, current, &row).filter(|(_, role)| *role != ProcessRole::Helper) {
            return Some((harness, identity_of(table, current, row, role == ProcessRole::Shared)?));
        }
        // Process 1 may be a harness itself, as in a container; above it there is nobody.
        if row.parent == 0 {
            return None;
        }
        (child, current) = (Some(current), row.parent);
    }
}
