//! The whole process table at one moment: who descends from whom, and what each has used.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stopgate_core::process::stat::Stat;

use crate::writer_lock::FileLocks;

/// One process of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessStat {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// The letter for its state, as proc(5) has it: `T` stands still, `t` is traced.
    pub state: char,
    /// Its process group.
    pub group: u32,
    /// The process group in front of its terminal; 0 if it has none.
    pub foreground: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Processor time of the process itself, in milliseconds.
    pub cpu_ms: u64,
    /// Processor time of its ended children that it has waited for, in milliseconds.
    pub waited_cpu_ms: u64,
    /// Resident memory in bytes; pages that several processes share count for each.
    pub resident_bytes: u64,
}

/// All processes that could be read at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    rows: BTreeMap<u32, ProcessStat>,
    children: BTreeMap<u32, Vec<u32>>,
    /// Looked at when it is first asked for: few sessions need it.
    locks: OnceLock<Arc<FileLocks>>,
}

impl Snapshot {
    /// A snapshot of exactly `rows`.
    pub fn of(rows: impl IntoIterator<Item = ProcessStat>) -> Self {
        let rows: BTreeMap<u32, ProcessStat> = rows.into_iter().map(|row| (row.pid, row)).collect();
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in rows.values() {
            children.entry(row.parent).or_default().push(row.pid);
        }
        Self { rows, children, locks: OnceLock::new() }
    }

    /// Reads `/proc` (Linux); an error if that cannot be listed. Processes that end meanwhile are left out.
    pub fn take() -> std::io::Result<Self> {
        let rows = std::fs::read_dir("/proc")?.filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            row(pid, &Stat::of(pid).ok()?)
        });
        Ok(Self::of(rows.collect::<Vec<_>>()))
    }

    /// Which files are locked.
    pub(crate) fn locks(&self) -> &FileLocks {
        self.locks.get_or_init(|| Arc::new(FileLocks::take()))
    }

    /// The process `pid`.
    pub fn get(&self, pid: u32) -> Option<&ProcessStat> {
        self.rows.get(&pid)
    }

    /// Whether there are processes, and none of them began at `start_ticks`.
    pub(crate) fn has_only_others(&self, start_ticks: u64) -> bool {
        !self.rows.is_empty() && self.rows.values().all(|row| row.start_ticks != start_ticks)
    }

    /// The descendants of `pid`, without itself.
    pub fn below(&self, pid: u32) -> Vec<&ProcessStat> {
        let mut found = Vec::new();
        let mut open = vec![pid];
        while let Some(next) = open.pop() {
            for child in self.children.get(&next).into_iter().flatten() {
                // A table read while it changes could hold a loop.
                if *child != pid && found.len() <= self.rows.len() {
                    found.extend(self.rows.get(child));
                    open.push(*child);
                }
            }
        }
        found
    }

    /// Whether `pid` is `ancestor`, or descends from it.
    pub fn is_at_or_below(&self, pid: u32, ancestor: u32) -> bool {
        pid == ancestor
            || self.at_and_above(pid).iter().any(|process| process.pid == ancestor || process.parent == ancestor)
    }

    /// `pid` and its ancestors, as far as the table has them, nearest first.
    pub fn at_and_above(&self, pid: u32) -> Vec<&ProcessStat> {
        let mut found = Vec::new();
        let mut current = pid;
        // A table read while it changes could hold a loop.
        while found.len() <= self.rows.len()
            && let Some(row) = self.rows.get(&current)
        {
            found.push(row);
            current = row.parent;
        }
        found
    }

    /// Resident memory of `pid` and all its descendants, in bytes; `None` if there is no such process.
    pub fn tree_bytes(&self, pid: u32) -> Option<u64> {
        let own = self.rows.get(&pid)?;
        Some(self.below(pid).iter().fold(own.resident_bytes, |sum, row| sum.saturating_add(row.resident_bytes)))
    }
}

/// What a line says. A process that has ended and only was not waited for is none.
fn row(pid: u32, stat: &Stat) -> Option<ProcessStat> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // -1 where there is none.
    let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    (!stat.is_zombie()).then_some(())?;
    Some(ProcessStat {
        pid,
        parent: stat.parent()?,
        state: stat.state()?,
        group: small(stat.number(5)),
        foreground: small(stat.number(8)),
        start_ticks: stat.start_ticks()?,
        cpu_ms: ms(stat.cpu()?),
        waited_cpu_ms: ms(stat.waited_cpu()?),
        resident_bytes: stat.resident_bytes()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: u32, parent: u32, resident_bytes: u64) -> ProcessStat {
        ProcessStat { pid, parent, resident_bytes, ..ProcessStat::default() }
    }

    #[test]
    fn a_tree_is_walked_and_added_up() {
        let table = Snapshot::of([row(1, 0, 1), row(5, 1, 10), row(6, 5, 20), row(7, 6, 30), row(8, 1, 40)]);
        let mut below: Vec<u32> = table.below(5).iter().map(|row| row.pid).collect();
        below.sort_unstable();
        assert_eq!((below, table.tree_bytes(5), table.tree_bytes(9)), (vec![6, 7], Some(60), None));
        assert!(table.is_at_or_below(7, 5) && table.is_at_or_below(5, 5) && !table.is_at_or_below(8, 5));
    }

    #[test]
    fn a_loop_ends() {
        let table = Snapshot::of([row(5, 6, 1), row(6, 5, 1)]);
        assert!(!table.is_at_or_below(5, 7));
        assert!(table.tree_bytes(5).is_some());
    }

    #[test]
    fn a_process_that_has_ended_is_none() {
        let line = |state: char| format!("12 (a) {state} 34 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 4242 23 24");
        let of = |state| super::row(12, &Stat::parse(line(state).as_bytes()).unwrap());
        assert_eq!(of('S').map(|row| (row.pid, row.parent, row.start_ticks)), Some((12, 34, 4242)));
        assert_eq!(of('Z'), None);
    }

    #[test]
    fn this_process_is_in_the_real_table() {
        let table = Snapshot::take().unwrap();
        assert!(table.get(std::process::id()).is_some_and(|own| own.resident_bytes > 0));
    }
}
