//! How a build may move: pure transitions. Terminal phases are terminal, and [`complete`] is the only way to done.

use std::fmt;

use super::state::{BuildState, BuildStep, Phase};
use stopgate_core::clock::UnixMillis;

/// How often a build may go to `fixing`; the next time it is escalated to a person. The number of an earlier build guard.
pub const MAX_FIX_CYCLES: u32 = 3;
/// How often it may come back from `fixing` to `verifying`: once for each time that it went there.
pub const MAX_VERIFICATIONS: u32 = 3;
/// Largest number of a step.
pub const MAX_STEP: u32 = 999;
/// Largest number of tests of a step.
pub const MAX_TESTS: u32 = 1_000_000;

/// Why a build does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveRefused {
    /// It is over.
    Ended(Phase),
    /// There is no such way from here.
    Illegal {
        /// Where the build is.
        from: Phase,
        /// Where it was to go.
        to: Phase,
    },
    /// That phase has a command of its own.
    OwnCommand(Phase),
    /// Steps are recorded while executing.
    NotExecuting(Phase),
    /// A number is out of range; the text says which and how.
    OutOfRange(String),
    /// No step is recorded, so that nothing can be complete.
    NoSteps,
    /// Tests of these steps fail.
    Failing(Vec<u32>),
}

impl fmt::Display for MoveRefused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(phase) => write!(out, "the build has ended ({}) and cannot change any more", phase.name()),
            Self::Illegal { from, to } => {
                let targets: Vec<_> = targets(*from).iter().map(|phase| phase.name()).collect();
                write!(out, "no way from {} to {}; from {} it goes to ", from.name(), to.name(), from.name())?;
                write!(out, "{}, failed or escalated", targets.join(", "))
            }
            Self::OwnCommand(Phase::Complete) => {
                out.write_str("use `stopgate build complete`, which checks the tests first")
            }
            Self::OwnCommand(Phase::Failed) => out.write_str("use `stopgate build fail --reason ...`"),
            Self::OwnCommand(_) => out.write_str("use `stopgate build escalate --reason ...`"),
            Self::NotExecuting(phase) => {
                write!(out, "steps are recorded while executing, and the build is {}", phase.name())
            }
            Self::OutOfRange(text) => out.write_str(text),
            Self::NoSteps => out.write_str("no step is recorded; record what was done with `stopgate build step`"),
            Self::Failing(steps) => {
                let steps: Vec<_> = steps.iter().map(u32::to_string).collect();
                write!(out, "tests of step {} fail; mend them and record the step again", steps.join(", "))
            }
        }
    }
}

impl std::error::Error for MoveRefused {}

/// Where a build may go from `phase` with `stopgate build to` and `complete`. `failed` and `escalated` can be reached
/// from every phase that is not terminal.
pub const fn targets(phase: Phase) -> &'static [Phase] {
    match phase {
        Phase::Idle => &[Phase::Clarify, Phase::Planning, Phase::Executing],
        Phase::Clarify => &[Phase::Planning],
        Phase::Planning => &[Phase::Executing],
        Phase::Executing => &[Phase::Verifying, Phase::Complete],
        Phase::Verifying => &[Phase::Complete, Phase::Fixing, Phase::Hardening],
        Phase::Fixing => &[Phase::Verifying],
        Phase::Hardening => &[Phase::Complete],
        Phase::Complete | Phase::Failed | Phase::Escalated => &[],
    }
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The build is where it was to go.
    To(Phase),
    /// It has gone in circles too often and was escalated instead.
    Escalated {
        /// What ran out.
        limit: &'static str,
    },
}

/// Moves the build to `to`.
pub fn go(state: &mut BuildState, to: Phase, now: UnixMillis) -> Result<Moved, MoveRefused> {
    live(state)?;
    if to.is_terminal() {
        return Err(MoveRefused::OwnCommand(to));
    }
    allowed(state.phase, to)?;
    if to == Phase::Fixing {
        if state.fix_cycles >= MAX_FIX_CYCLES {
            return Ok(exhausted(state, "fix cycles", now));
        }
        state.fix_cycles += 1;
    }
    if state.phase == Phase::Fixing && to == Phase::Verifying {
        if state.verifications >= MAX_VERIFICATIONS {
            return Ok(exhausted(state, "verifications", now));
        }
        state.verifications += 1;
    }
    state.phase = to;
    Ok(Moved::To(to))
}

fn exhausted(state: &mut BuildState, limit: &'static str, now: UnixMillis) -> Moved {
    end(state, Phase::Escalated, Some(format!("too many {limit}")), now);
    Moved::Escalated { limit }
}

/// Records a step that was done.
pub fn step(state: &mut BuildState, step: BuildStep) -> Result<(), MoveRefused> {
    live(state)?;
    if state.phase != Phase::Executing {
        return Err(MoveRefused::NotExecuting(state.phase));
    }
    if !(1..=MAX_STEP).contains(&step.number) {
        return Err(MoveRefused::OutOfRange(format!("step {}: not within 1 to {MAX_STEP}", step.number)));
    }
    if step.tests > MAX_TESTS {
        return Err(MoveRefused::OutOfRange(format!("--tests {}: more than {MAX_TESTS}", step.tests)));
    }
    if step.passing > step.tests {
        let (passing, tests) = (step.passing, step.tests);
        return Err(MoveRefused::OutOfRange(format!("--passing {passing}: more than --tests {tests}")));
    }
    match state.steps.binary_search_by_key(&step.number, |known| known.number) {
        Ok(at) => state.steps[at] = step,
        Err(at) => state.steps.insert(at, step),
    }
    Ok(())
}

/// Ends the build as done, if every test of every step passes.
pub fn complete(state: &mut BuildState, now: UnixMillis) -> Result<(), MoveRefused> {
    live(state)?;
    allowed(state.phase, Phase::Complete)?;
    if state.steps.is_empty() {
        return Err(MoveRefused::NoSteps);
    }
    let failing: Vec<u32> =
        state.steps.iter().filter(|step| step.passing < step.tests).map(|step| step.number).collect();
    if !failing.is_empty() {
        return Err(MoveRefused::Failing(failing));
    }
    end(state, Phase::Complete, None, now);
    Ok(())
}

/// Ends the build as [`Phase::Failed`] or [`Phase::Escalated`].
pub fn give_up(state: &mut BuildState, phase: Phase, reason: String, now: UnixMillis) -> Result<(), MoveRefused> {
    live(state)?;
    end(state, phase, Some(reason), now);
    Ok(())
}

fn end(state: &mut BuildState, phase: Phase, reason: Option<String>, now: UnixMillis) {
    state.phase = phase;
    state.ended_at_ms = Some(now);
    state.end_reason = reason;
}

fn live(state: &BuildState) -> Result<(), MoveRefused> {
    if state.phase.is_terminal() { Err(MoveRefused::Ended(state.phase)) } else { Ok(()) }
}

fn allowed(from: Phase, to: Phase) -> Result<(), MoveRefused> {
    if targets(from).contains(&to) { Ok(()) } else { Err(MoveRefused::Illegal { from, to }) }
}

#[cfg(test)]
mod tests {
    use super::super::state::Size;
    use super::*;
    use proptest::prelude::*;

    fn build() -> BuildState {
        BuildState::started("b".into(), "t".into(), Size::Small, None, 0)
    }

    fn at(phase: Phase) -> BuildState {
        BuildState { phase, ..build() }
    }

    fn done(number: u32, tests: u32, passing: u32) -> BuildStep {
        BuildStep { number, description: "d".into(), tests, passing, recorded_at_ms: 0 }
    }

    #[test]
    fn the_happy_path() {
        let mut state = build();
        go(&mut state, Phase::Planning, 1).unwrap();
        go(&mut state, Phase::Executing, 2).unwrap();
        step(&mut state, done(2, 5, 5)).unwrap();
        step(&mut state, done(1, 3, 2)).unwrap();
        assert_eq!((state.tests(), state.steps[0].number), ((8, 7), 1));
        assert_eq!(complete(&mut state, 3), Err(MoveRefused::Failing(vec![1])));
        step(&mut state, done(1, 3, 3)).unwrap();
        go(&mut state, Phase::Verifying, 4).unwrap();
        complete(&mut state, 5).unwrap();
        assert_eq!((state.phase, state.ended_at_ms), (Phase::Complete, Some(5)));
    }

    #[test]
    fn done_has_one_door() {
        for phase in Phase::ALL {
            let mut state = at(phase);
            assert!(go(&mut state, Phase::Complete, 1).is_err(), "{phase:?}");
            assert_eq!(state, at(phase));
            assert!(complete(&mut state, 1).is_err(), "{phase:?} without a step");
        }
    }

    #[test]
    fn the_fourth_fix_is_a_persons() {
        let mut state = at(Phase::Verifying);
        for _ in 0..3 {
            assert_eq!(go(&mut state, Phase::Fixing, 1), Ok(Moved::To(Phase::Fixing)));
            assert_eq!(go(&mut state, Phase::Verifying, 1), Ok(Moved::To(Phase::Verifying)));
        }
        assert_eq!(go(&mut state, Phase::Fixing, 9), Ok(Moved::Escalated { limit: "fix cycles" }));
        assert_eq!((state.phase, state.ended_at_ms), (Phase::Escalated, Some(9)));
        let mut state = BuildState { verifications: 3, ..at(Phase::Fixing) };
        assert_eq!(go(&mut state, Phase::Verifying, 9), Ok(Moved::Escalated { limit: "verifications" }));
    }

    #[test]
    fn absurd_numbers_are_refused() {
        let refused = |step_| step(&mut at(Phase::Executing), step_).unwrap_err().to_string();
        assert!(refused(done(0, 1, 1)).contains("step 0"));
        assert!(refused(done(1000, 1, 1)).contains("step 1000"));
        assert!(refused(done(1, 1, 2)).contains("--passing 2"));
        assert!(refused(done(1, MAX_TESTS + 1, 0)).contains("--tests"));
        let planning = step(&mut at(Phase::Planning), done(1, 1, 1)).unwrap_err();
        assert_eq!(planning, MoveRefused::NotExecuting(Phase::Planning));
        assert_eq!(
            go(&mut at(Phase::Clarify), Phase::Executing, 1).unwrap_err().to_string(),
            "no way from clarify to executing; from clarify it goes to planning, failed or escalated"
        );
    }

    #[derive(Debug, Clone)]
    enum Move {
        Go(usize),
        Step(u32, u32, u32),
        Complete,
        GiveUp(bool),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            6 => (0..Phase::ALL.len()).prop_map(Move::Go),
            3 => (0..4_u32, 0..5_u32, 0..6_u32).prop_map(|(number, tests, passing)| Move::Step(number, tests, passing)),
            2 => Just(Move::Complete),
            1 => any::<bool>().prop_map(Move::GiveUp),
        ];
        proptest::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn no_sequence_breaks_the_rules(moves in moves()) {
            let mut state = build();
            for one in moves {
                let before = state.clone();
                let moved = match one {
                    Move::Go(index) => go(&mut state, Phase::ALL[index], 1).is_ok(),
                    Move::Step(number, tests, passing) => step(&mut state, done(number, tests, passing)).is_ok(),
                    Move::Complete => complete(&mut state, 1).is_ok(),
                    Move::GiveUp(fail) => {
                        let phase = if fail { Phase::Failed } else { Phase::Escalated };
                        give_up(&mut state, phase, String::new(), 1).is_ok()
                    }
                };
                prop_assert!(moved || state == before, "a refused move changes nothing");
                prop_assert!(!before.phase.is_terminal() || !moved, "terminal stays terminal");
                let legal = state.phase == before.phase
                    || targets(before.phase).contains(&state.phase)
                    || matches!(state.phase, Phase::Failed | Phase::Escalated);
                prop_assert!(legal, "{:?} -> {:?}", before.phase, state.phase);
                prop_assert!(state.fix_cycles <= MAX_FIX_CYCLES && state.verifications <= MAX_VERIFICATIONS);
                prop_assert_eq!(state.reminders_used, 0, "no progress spends or refunds a reminder");
                prop_assert_eq!(state.phase.is_terminal(), state.ended_at_ms.is_some());
                if state.phase == Phase::Complete {
                    prop_assert!(!state.steps.is_empty());
                    prop_assert!(state.steps.iter().all(|step| step.tests == step.passing));
                }
            }
        }
    }
}
