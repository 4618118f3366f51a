//! The run: warm-up, then all situations in turn, then the proof that each was what its name says.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::hook::Hook;

use crate::authority::Authority;
use crate::binaries::Program;
use crate::situations::{Proof, Situation};
use crate::stats::Summary;
use crate::world::World;
use crate::{check, console, measure};

/// How long the authority may take to judge what it took in.
const SETTLE: Duration = Duration::from_secs(10);
const SETTLE_STEP: Duration = Duration::from_millis(20);
/// The authority lists at most so many sessions and verdicts.
const LISTED: usize = 1_000;
/// After so many rounds the records are checked, so that all that was spawned in between is still listed.
const ROUNDS_A_PROOF: usize = 100;
/// Pause before each spawn, so that what the one before set going in the authority is not counted against it.
const PAUSE: Duration = Duration::from_millis(2);

/// Pause after a session came or went.
const REST: Duration = Duration::from_millis(40);

/// Runs all `situations` for `rounds` rounds and returns a summary of each. In each round the order is another,
/// so that noise, and what a situation leaves behind, hits all of them equally.
pub(crate) fn all(world: &World, situations: &[Situation], rounds: usize) -> anyhow::Result<Vec<Summary>> {
    let mut runners: Vec<Runner<'_>> = situations.iter().map(|situation| Runner::new(world, situation)).collect();
    console::note("recording sessions ...");
    for runner in &runners {
        runner.record_beginnings()?;
    }
    console::note("warming up ...");
    for runner in &mut runners {
        for _ in 0..runner.situation.warm_ups {
            runner.step()?;
        }
    }
    let mut order: Vec<usize> = (0..runners.len()).collect();
    let mut dice = Dice::new();
    for round in 0..rounds {
        if round % ROUNDS_A_PROOF == 0 {
            prove_running(&mut runners)?;
            console::note(format!("measuring, round {round} of {rounds} ..."));
        }
        dice.shuffle(&mut order);
        for &index in &order {
            if let Some(runner) = runners.get_mut(index)
                && runner.is_due(round, rounds)
            {
                let elapsed = runner.step()?;
                runner.times.push(elapsed);
            }
        }
    }
    console::note("checking that each situation was what its name says ...");
    runners
        .iter_mut()
        .map(|runner| {
            runner.prove()?;
            Summary::of(&runner.times).with_context(|| format!("{}: nothing measured", runner.situation.name))
        })
        .collect()
}

/// Proves what can be proved in between: the store of an absent authority can only be asked at the end.
fn prove_running(runners: &mut [Runner<'_>]) -> anyhow::Result<()> {
    runners.iter_mut().filter(|runner| runner.authority().is_some()).try_for_each(Runner::prove)
}

/// A situation under way.
struct Runner<'a> {
    world: &'a World,
    situation: &'a Situation,
    command: Command,
    spawned: usize,
    proven: usize,
    times: Vec<Duration>,
}

impl<'a> Runner<'a> {
    fn new(world: &'a World, situation: &'a Situation) -> Self {
        Self {
            world,
            situation,
            command: world.command(&situation.home, situation.program, &situation.environment),
            spawned: 0,
            proven: 0,
            times: Vec::new(),
        }
    }

    fn authority(&self) -> Option<&'a Authority> {
        self.world.authority(&self.situation.home)
    }

    /// Lets the real recorder record the beginnings of the sessions that have to be known.
    fn record_beginnings(&self) -> anyhow::Result<()> {
        let mut recorder = self.world.command(&self.situation.home, Program::Hook(Hook::SessionStartRecorder), &[]);
        for payload in &self.situation.beginnings {
            let finished = measure::spawn(&mut recorder, payload)?;
            ensure!(finished.success && finished.stdout.is_empty(), "{}: the recorder failed", self.situation.name);
        }
        Ok(())
    }

    /// Whether it is spawned in this round; a situation with fewer spawns than rounds sits some out.
    fn is_due(&self, round: usize, rounds: usize) -> bool {
        let spawns = self.situation.measured();
        (round + 1) * spawns / rounds > round * spawns / rounds
    }

    /// Spawns it once, and makes sure that it did what it should.
    fn step(&mut self) -> anyhow::Result<Duration> {
        let situation = self.situation;
        let payload =
            situation.payloads.get(self.spawned).with_context(|| format!("{}: no payload left", situation.name))?;
        let session = situation.sessions.id(self.spawned);
        self.comes_or_goes(&session, &json!({"name": "SessionStart", "source": "startup"}))?;
        std::thread::sleep(PAUSE);
        let before_ms = SystemClock.now_ms();
        let finished = measure::spawn(&mut self.command, payload)
            .with_context(|| format!("{}: cannot be spawned", situation.name))?;
        self.spawned += 1;
        check::end(situation, &finished, before_ms)
            .with_context(|| format!("{} (spawn {})", situation.name, self.spawned))?;
        self.comes_or_goes(&session, &json!({"name": "SessionEnd", "reason": "other"}))?;
        Ok(finished.elapsed)
    }

    /// Reports the beginning of a session that is alone, or its end, and lets the authority do all that it does then.
    fn comes_or_goes(&self, session: &str, kind: &Value) -> anyhow::Result<()> {
        let Some((cwd, authority)) = self.situation.comes_and_goes.as_deref().zip(self.authority()) else {
            return Ok(());
        };
        authority.report(session, cwd, kind)?;
        std::thread::sleep(REST);
        Ok(())
    }

    /// Makes sure that every spawn since the last proof is on record as it should be.
    fn prove(&mut self) -> anyhow::Result<()> {
        let first = self.proven.max(self.spawned.saturating_sub(LISTED));
        let ids: Vec<String> = (first..self.spawned).map(|number| self.situation.sessions.id(number)).collect();
        let proven = match (self.situation.proof, self.authority()) {
            (Proof::None, _) => Ok(()),
            (proof, Some(authority)) => prove(authority, proof, &ids),
            (proof, None) => {
                self.world.start_authority(&self.situation.home).and_then(|authority| prove(&authority, proof, &ids))
            }
        };
        self.proven = self.spawned;
        proven.with_context(|| self.situation.name)
    }
}

/// Asks `authority` about the sessions `ids`, until all is as `proof` says or it has had its time.
fn prove(authority: &Authority, proof: Proof, ids: &[String]) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLE;
    loop {
        // Shadow is judged after the hook has gone.
        match check::on_record(authority, proof, ids) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(SETTLE_STEP),
            result => return result,
        }
    }
}

/// A small xorshift generator: the same orders in every run.
struct Dice(u64);

impl Dice {
    const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
    }

    /// Fisher-Yates.
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everybody_and_changes_the_order() {
        let mut dice = Dice::new();
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut items: Vec<usize> = (0..8).collect();
            dice.shuffle(&mut items);
            firsts.insert(items[0]);
            items.sort_unstable();
            assert_eq!(items, (0..8).collect::<Vec<_>>());
        }
        assert_eq!(firsts.len(), 8, "everybody comes first once in a while");
    }
}
