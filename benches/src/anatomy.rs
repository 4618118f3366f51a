//! What one spawn of a hook asks of the machine: system calls (`strace`) and instructions (`valgrind`). Unlike times,
//! both are nearly the same in every run, so that a change of a hook shows here first.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::env;

use crate::binaries::Program;
use crate::measure;
use crate::peers::is_here;
use crate::situations::{SPARES, Situation};
use crate::table::table;
use crate::world::World;
use crate::{check, console};

/// A hook under valgrind is some fifty times slower.
const SLOW_DEADLINE_MS: &str = "8000";
/// How many kinds of system call are named.
const NAMED: usize = 6;

/// One hook's spawn in one situation.
#[derive(Debug, Clone)]
pub(crate) struct Anatomy {
    situation: &'static str,
    /// How often each system call was made.
    calls: BTreeMap<String, u64>,
    /// Instructions in user space, loader and exit included.
    instructions: Option<u64>,
}

/// Looks at every situation of stopgate's own programs in which nobody hangs; at none where there is no `strace`.
pub(crate) fn all(world: &World, situations: &[Situation]) -> anyhow::Result<Vec<Anatomy>> {
    if !is_here("strace") {
        console::note("no strace here: system calls are not counted");
        return Ok(Vec::new());
    }
    console::note("counting system calls and instructions ...");
    let directory = tempfile::tempdir()?;
    let of_interest = |situation: &&Situation| {
        !matches!(situation.program, Program::Peer(_)) && situation.expected.at_least.is_zero()
    };
    let look = |situation| one(world, situation, directory.path());
    situations.iter().filter(of_interest).map(look).collect()
}

fn one(world: &World, situation: &Situation, scratch: &Path) -> anyhow::Result<Anatomy> {
    let spares = situation.payloads.len().checked_sub(SPARES).and_then(|first| situation.payloads.get(first..));
    let [first, second] = spares.context("no session is left")? else {
        anyhow::bail!("{SPARES} sessions are kept, two are used");
    };
    let log = scratch.join("strace");
    let strace = ["strace", "-f", "-qq", "-o"].map(Into::into).into_iter().chain([log.clone().into_os_string()]);
    spawn(world, situation, strace.collect(), first)?;
    let calls = calls(&std::fs::read_to_string(&log)?);
    let instructions = is_here("valgrind").then(|| -> anyhow::Result<u64> {
        let counted = scratch.join("callgrind");
        let into = |option: &str| {
            let mut argument = std::ffi::OsString::from(option);
            argument.push(counted.as_os_str());
            argument
        };
        let valgrind = vec!["valgrind".into(), "--tool=callgrind".into(), into("--callgrind-out-file="), "-q".into()];
        spawn(world, situation, valgrind, second)?;
        let text = std::fs::read_to_string(&counted)?;
        let total = text.lines().find_map(|line| line.strip_prefix("summary:").or(line.strip_prefix("totals:")));
        Ok(total.context("callgrind counted nothing")?.trim().parse()?)
    });
    Ok(Anatomy { situation: situation.name, calls, instructions: instructions.transpose()? })
}

/// Spawns the hook under a program that looks at it, and makes sure that it did what it should.
fn spawn(world: &World, situation: &Situation, under: Vec<std::ffi::OsString>, payload: &[u8]) -> anyhow::Result<()> {
    let plain = world.command(&situation.home, situation.program, &situation.environment);
    let mut words = under.into_iter();
    let mut command = Command::new(words.next().context("no program")?);
    command.args(words).arg(plain.get_program()).args(plain.get_args()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env(env::STOPGATE_DEADLINE_MS, SLOW_DEADLINE_MS);
    measure::prepare(&mut command);
    let before_ms = SystemClock.now_ms();
    let finished = measure::spawn(&mut command, payload)?;
    ensure!(finished.success, "{}: failed under {}", situation.name, command.get_program().display());
    check::end(situation, &finished, before_ms).with_context(|| situation.name)
}

/// How often each system call is in strace's log.
fn calls(log: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        // With -f, lines begin with the pid.
        let call = line.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == ' ');
        if let Some((name, _)) = call.split_once('(')
            && !name.is_empty()
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        {
            *calls.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    calls
}

impl Anatomy {
    fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    /// What is called beyond `base`, the most frequent first.
    fn beyond(&self, base: &Self) -> String {
        let mut more: Vec<(&str, u64)> = self
            .calls
            .iter()
            .map(|(name, count)| (name.as_str(), count.saturating_sub(base.calls.get(name).copied().unwrap_or(0))))
            .filter(|(_, count)| *count > 0)
            .collect();
        more.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        more.iter().take(NAMED).map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({"situation": self.situation, "calls": self.calls, "instructions": self.instructions})
    }
}

/// The table of all; the first is what the others are compared with.
pub(crate) fn text(all: &[Anatomy]) -> String {
    let Some(base) = all.first() else {
        return "not counted: no strace\n".to_owned();
    };
    let mut rows = vec![
        ["situation", "calls", "+/-", "thousand instructions", "+/-", "most frequent beyond the no-op"]
            .map(str::to_owned),
    ];
    for one in all {
        let thousands = one.instructions.map(|count| count / 1_000);
        let base_thousands = base.instructions.map(|count| count / 1_000);
        let beside = |count: u64, base: u64| format!("{:+}", count.cast_signed() - base.cast_signed());
        let more = thousands.zip(base_thousands).map_or_else(|| "-".to_owned(), |(count, base)| beside(count, base));
        let shown = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        rows.push([
            one.situation.to_owned(),
            one.total().to_string(),
            beside(one.total(), base.total()),
            shown(thousands),
            more,
            one.beyond(base),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_resumed_ones_once() {
        let log = "12 read(3, \"exit(1)\", 4) = 4\n12 futex(0x1, FUTEX_WAIT <unfinished ...>\n13 read(4) = 0\n\
                   12 <... futex resumed>) = 0\n12 +++ exited with 0 +++\nread(5) = 0\n";
        let expected = [("futex".to_owned(), 1), ("read".to_owned(), 3)];
        assert_eq!(calls(log).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_what_is_beyond_the_base_is_named() {
        let of = |calls: &[(&str, u64)]| Anatomy {
            situation: "x",
            calls: calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            instructions: None,
        };
        let base = of(&[("read", 2), ("mmap", 9)]);
        assert_eq!(of(&[("read", 3), ("mmap", 9), ("openat", 4)]).beyond(&base), "openat 4, read 1");
    }
}
