//! From whom a process descends, and whether a harness is among them: what tells an agent from the person.
//!
//! Only what the kernel says now counts: names of commands, start times, and what a process was started with. Nothing that a
//! message says makes a harness of anybody.

use super::harness::role;
use super::{FIRST_NAMESPACE, Lookup, ProcessRole, ProcessRow, ProcessTable};
use crate::session::Harness;

/// How often the way up is walked again when processes on it end meanwhile.
const TRIES: usize = 8;

/// Programs that people type into. Their own name tells them from a script that has one of them for its interpreter.
const SHELLS: [&str; 12] = ["bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh", "tcsh", "csh", "nu", "busybox"];

/// A process on the way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Name of the command as the kernel keeps it.
    pub command: String,
}

/// How the way up ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Top {
    /// At the first process that can be seen from here.
    Reached,
    /// At a process that this user may not look at (`hidepid`): there is one above.
    Hidden,
    /// The process, or one above it, ended while it was looked at, again and again.
    Lost,
}

/// A process and its ancestors, nearest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestry {
    /// The process, its parent, and so on.
    pub ancestors: Vec<Ancestor>,
    /// How it ends.
    pub top: Top,
}

impl Ancestry {
    /// That of `pid`, as it is now; however long it is.
    pub fn of(table: &dyn ProcessTable, pid: u32) -> Self {
        let mut walked = walk(table, pid);
        for _ in 1..TRIES {
            // One that has ended itself does not come back.
            if walked.top != Top::Lost || walked.ancestors.is_empty() {
                break;
            }
            walked = walk(table, pid);
        }
        walked
    }

    /// The nearest process at or above that is a harness's by what can be seen of it now. `is_recorded` says of a process
    /// which nothing else tells whether it was proven to be one before.
    pub fn harness(
        &self,
        table: &dyn ProcessTable,
        is_recorded: &dyn Fn(&Ancestor) -> bool,
    ) -> Option<(&Ancestor, Option<(Harness, ProcessRole)>)> {
        self.ancestors.iter().enumerate().find_map(|(at, ancestor)| {
            let row = ProcessRow {
                parent: 0,
                start_ticks: ancestor.start_ticks,
                command: ancestor.command.clone(),
                zombie: false,
            };
            let by_name = || {
                Harness::ALL.into_iter().find_map(|harness| {
                    let found = role(table, ancestor.pid, &row, harness)?;
                    (found != ProcessRole::Helper).then_some((harness, found))
                })
            };
            let by_word = || {
                let below = self.ancestors.get(at.checked_sub(1)?)?;
                Some((says_it_is(table, below.pid, ancestor.pid)?, ProcessRole::Session))
            };
            let told = by_name().or_else(by_word);
            let is_one = told.is_some() || is_recorded(ancestor);
            (is_one && may_be_harness(table, ancestor.pid, &ancestor.command)).then_some((ancestor, told))
        })
    }
}

/// Which harness `pid` says it is by what it has started `child` with: a client tells its children its process id. Nobody
/// else can give a child to `pid`.
pub(super) fn says_it_is(table: &dyn ProcessTable, child: u32, pid: u32) -> Option<Harness> {
    let environment = table.environment(child);
    let own = table.own_number(pid).to_string();
    Harness::ALL.into_iter().find(|harness| {
        harness.spec().process_variable.is_some_and(|name| {
            environment.split(|byte| *byte == 0).any(|pair| {
                pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) == Some(own.as_bytes())
            })
        })
    })
}

/// Whether `pid` can be a harness at all. The first process of the machine is none, and no shell that a person types into,
/// whoever says so: everything that the person does is below them. In a container the first process may be one.
pub fn may_be_harness(table: &dyn ProcessTable, pid: u32, command: &str) -> bool {
    if pid == 1 && table.namespace() == Some(FIRST_NAMESPACE) {
        return false;
    }
    // A login shell begins its own name so, whatever it is called.
    if table.command_line(pid).first() == Some(&b'-') {
        return false;
    }
    let is_shell = |name: &str| SHELLS.contains(&name);
    let runs_shell = || {
        let path = table.executable(pid)?;
        Some(path.rsplit('/').next().is_some_and(|name| is_shell(name.trim_end_matches(" (deleted)"))))
    };
    !(is_shell(command) && runs_shell().unwrap_or(true))
}

/// The way up as it is at one moment, or what of it could be seen before it changed.
fn walk(table: &dyn ProcessTable, pid: u32) -> Ancestry {
    let mut ancestors: Vec<Ancestor> = Vec::new();
    let ended = |ancestors, top| Ancestry { ancestors, top };
    let (mut current, mut below) = (pid, u64::MAX);
    loop {
        let row = match table.row(current) {
            Lookup::Found(row) if !row.zombie => row,
            // A process that has children has not ended: whoever was above is there, and only this user does not see it.
            Lookup::Absent | Lookup::Forbidden
                if ancestors.last().is_some_and(|child: &Ancestor| is_above(table, current, child)) =>
            {
                return ended(ancestors, Top::Hidden);
            }
            _ => return ended(ancestors, Top::Lost),
        };
        // Who was there before its parent is not its child, and nobody is above themselves.
        if row.start_ticks > below || ancestors.iter().any(|seen| seen.pid == current) {
            return ended(ancestors, Top::Lost);
        }
        below = row.start_ticks;
        ancestors.push(Ancestor { pid: current, start_ticks: row.start_ticks, command: row.command });
        if row.parent == 0 {
            return ended(ancestors, Top::Reached);
        }
        current = row.parent;
    }
}

/// Whether `parent` still is the parent of the very process `child`.
fn is_above(table: &dyn ProcessTable, parent: u32, child: &Ancestor) -> bool {
    matches!(table.row(child.pid), Lookup::Found(row)
        if row.parent == parent && row.start_ticks == child.start_ticks && !row.zombie)
}
