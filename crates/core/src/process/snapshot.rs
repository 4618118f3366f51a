//! The whole process table at one moment: who descends from whom, and what each has used. Not for hooks, which look
//! at single processes only.

use std::collections::BTreeMap;

/// One process of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessStat {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
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
}

impl Snapshot {
    /// A snapshot of exactly `rows`.
    pub fn of(rows: impl IntoIterator<Item = ProcessStat>) -> Self {
        let rows: BTreeMap<u32, ProcessStat> = rows.into_iter().map(|row| (row.pid, row)).collect();
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in rows.values() {
            children.entry(row.parent).or_default().push(row.pid);
        }
        Self { rows, children }
    }

    /// Reads `/proc` (Linux); an error if that cannot be listed. Processes that end meanwhile are left out.
    pub fn take() -> std::io::Result<Self> {
        let units = Units::of_system();
        let rows = std::fs::read_dir("/proc")?.filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?, &units)
        });
        Ok(Self::of(rows.collect::<Vec<_>>()))
    }

    /// The process `pid`.
    pub fn get(&self, pid: u32) -> Option<&ProcessStat> {
        self.rows.get(&pid)
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
        let mut current = pid;
        for _ in 0..=self.rows.len() {
            if current == ancestor {
                return true;
            }
            match self.rows.get(&current) {
                Some(row) if row.parent > 0 => current = row.parent,
                _ => return false,
            }
        }
        false
    }

    /// Resident memory of `pid` and all its descendants, in bytes; `None` if there is no such process.
    pub fn tree_bytes(&self, pid: u32) -> Option<u64> {
        let own = self.rows.get(&pid)?;
        Some(self.below(pid).iter().fold(own.resident_bytes, |sum, row| sum.saturating_add(row.resident_bytes)))
    }
}

/// What the numbers of the kernel are counted in.
struct Units {
    tick_ms: u64,
    page_bytes: u64,
}

impl Units {
    fn of_system() -> Self {
        Self {
            tick_ms: 1_000 / rustix::param::clock_ticks_per_second().clamp(1, 1_000),
            page_bytes: u64::try_from(rustix::param::page_size()).unwrap_or(4_096),
        }
    }
}

/// Parses `/proc/PID/stat`. A process that has ended and only was not waited for is none.
fn parse(pid: u32, bytes: &[u8], units: &Units) -> Option<ProcessStat> {
    let text = String::from_utf8_lossy(bytes);
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split_ascii_whitespace().collect();
    // Fields are counted from 1 in proc(5); the third, the state, is the first here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(ProcessStat {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        start_ticks: number(22)?,
        cpu_ms: (number(14)? + number(15)?) * units.tick_ms,
        waited_cpu_ms: (number(16)? + number(17)?) * units.tick_ms,
        resident_bytes: number(24)? * units.page_bytes,
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
    fn the_fields_are_those_of_the_manual() {
        let line = b"12 (a) b) S 34 5 6 7 8 9 10 11 12 13 140 150 160 170 18 19 20 21 4242 23 24 25";
        let units = Units { tick_ms: 10, page_bytes: 4_096 };
        let expected = ProcessStat {
            pid: 12,
            parent: 34,
            start_ticks: 4242,
            cpu_ms: 2_900,
            waited_cpu_ms: 3_300,
            resident_bytes: 24 * 4_096,
        };
        assert_eq!(parse(12, line, &units), Some(expected));
        assert_eq!(parse(12, b"12 (a) Z 34", &units), None);
    }

    #[test]
    fn this_process_is_in_the_real_table() {
        let table = Snapshot::take().unwrap();
        assert!(table.get(std::process::id()).is_some_and(|own| own.resident_bytes > 0));
    }
}
