//! Whom a build holds: a pure decision.

use super::guard::BuildGuard;
use crate::owner::{Claimant, OwnerStamp, Rung};
use stopgate_core::clock::UnixMillis;
use stopgate_core::process::ProcessIdentity;
use stopgate_core::tmux::TmuxPlace;

/// How many sessions that an owner was before are remembered.
const MAX_FORMER: usize = 8;

/// What is known of the turn that wants to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildTurn {
    /// A stop hook has kept it going before.
    pub continued: bool,
    /// After how many blocks in a row the harness ends the turn whatever a hook says; `None` if it never does.
    pub cap: Option<u32>,
    /// The person asked for an end.
    pub released: bool,
}

/// Why nobody is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetGo {
    /// The build is over.
    Ended,
    /// A person has suspended the protection.
    Paused,
    /// The claimant is not the owner.
    NotOwner,
    /// The person asked for an end of this turn.
    Released,
    /// The harness would override one more block in this turn; the rest of the budget is for the next turn.
    TurnCap,
    /// All reminders are spent.
    Spent,
}

/// Decides on a stop. `Ok` holds the state to write before the block is printed: one reminder more, and the owner's
/// stamp brought up to date if its session or its process is another one now.
pub fn judge(
    state: &BuildGuard,
    claimant: &Claimant,
    rung: Rung,
    turn: BuildTurn,
    now: UnixMillis,
) -> Result<BuildGuard, LetGo> {
    if state.phase.is_terminal() {
        return Err(LetGo::Ended);
    }
    if state.is_paused(now) {
        return Err(LetGo::Paused);
    }
    if turn.released {
        return Err(LetGo::Released);
    }
    if state.reminders_used >= state.size.reminders() {
        return Err(LetGo::Spent);
    }
    let in_turn = if turn.continued { state.reminders_in_turn } else { 0 };
    if turn.cap.is_some_and(|cap| in_turn >= cap) {
        return Err(LetGo::TurnCap);
    }
    let mut next = state.clone();
    next.reminders_used += 1;
    next.reminders_in_turn = in_turn + 1;
    if let Some(owner) = &mut next.owner
        && (rung != Rung::Session || has_moved(owner, claimant))
    {
        reconcile(owner, claimant, rung, now);
    }
    Ok(next)
}

/// Whether the owner goes on in another process, by `--resume` for instance. One whose own process lives has not: a
/// second client has opened the session.
fn has_moved(owner: &OwnerStamp, claimant: &Claimant) -> bool {
    let lives_in = |own: &ProcessIdentity| owner.process.as_ref().is_some_and(|stamped| stamped.is(own));
    claimant.process.as_ref().is_some_and(|own| !lives_in(own))
}

fn reconcile(owner: &mut OwnerStamp, claimant: &Claimant, rung: Rung, now: UnixMillis) {
    let own = &claimant.key.session_id;
    owner.former_sessions.retain(|former| former != own);
    match rung {
        Rung::Session => {}
        Rung::Lineage => owner.former_sessions.extend(owner.session_id.take()),
        // Another conversation: what came before is nobody's any more.
        Rung::TmuxPane | Rung::TmuxSession => owner.former_sessions.clear(),
    }
    let excess = owner.former_sessions.len().saturating_sub(MAX_FORMER);
    owner.former_sessions.drain(..excess);
    owner.session_id = Some(own.clone());
    owner.harness = Some(claimant.key.harness);
    owner.process = claimant.process.clone().or_else(|| owner.process.take());
    let stamped = owner.tmux.take();
    owner.tmux = claimant.tmux.clone().map(|place| {
        // Only in the same place does the tmux session surely have the same name.
        let stayed = rung == Rung::TmuxSession || stamped.as_ref().is_some_and(|stamped| stamped.is_pane_of(&place));
        TmuxPlace { session: stamped.filter(|_| stayed).and_then(|stamped| stamped.session), ..place }
    });
    owner.stamped_at_ms = now;
}

#[cfg(test)]
mod tests {
    use super::super::state::{Pause, Phase, Size};
    use super::*;
    use proptest::prelude::*;
    use stopgate_core::session::{Harness, SessionKey};

    const TURN: BuildTurn = BuildTurn { continued: false, cap: Some(8), released: false };

    fn claimant(id: &str) -> Claimant {
        Claimant { key: SessionKey::new(Harness::Claude, id).unwrap(), tmux: None, process: None, host: "h".into() }
    }

    fn build(size: Size) -> BuildGuard {
        let owner = OwnerStamp { session_id: Some("old".into()), ..OwnerStamp::default() };
        let phase = Phase::Executing;
        BuildGuard { phase, size, owner: Some(owner), reminders_used: 0, reminders_in_turn: 0, pause: None }
    }

    #[test]
    fn who_is_let_go_and_why() {
        let own = Rung::Session;
        let judge = |state: &BuildGuard, rung, turn| judge(state, &claimant("old"), rung, turn, 100).unwrap_err();
        let live = build(Size::Small);
        assert_eq!(judge(&BuildGuard { phase: Phase::Failed, ..live.clone() }, own, TURN), LetGo::Ended);
        assert_eq!(judge(&live, own, BuildTurn { released: true, ..TURN }), LetGo::Released);
        let paused = |until_ms| BuildGuard { pause: Some(Pause { until_ms }), ..live.clone() };
        assert_eq!(judge(&paused(None), own, TURN), LetGo::Paused);
        assert_eq!(judge(&paused(Some(101)), own, TURN), LetGo::Paused);
        assert!(super::judge(&paused(Some(100)), &claimant("old"), own, TURN, 100).is_ok(), "the pause is over");
        assert_eq!(judge(&BuildGuard { reminders_used: 3, ..live }, own, TURN), LetGo::Spent);
    }

    #[test]
    fn a_budget_above_the_harness_s_cap_is_spent_over_several_turns() {
        let mut state = build(Size::Large);
        let mut stop =
            |continued| match judge(&state, &claimant("old"), Rung::Session, BuildTurn { continued, ..TURN }, 1) {
                Ok(next) => {
                    state = next;
                    Ok(state.reminders_used)
                }
                Err(reason) => Err(reason),
            };
        let first: Vec<_> = (0..9).map(|count| stop(count > 0)).collect();
        assert_eq!(first[7], Ok(8));
        assert_eq!(first[8], Err(LetGo::TurnCap));
        assert_eq!([stop(false), stop(true), stop(true)], [Ok(9), Ok(10), Err(LetGo::Spent)]);
    }

    #[test]
    fn a_rotated_session_is_written_back() {
        let next = judge(&build(Size::Small), &claimant("new"), Rung::TmuxPane, TURN, 7).unwrap();
        let owner = next.owner.unwrap();
        assert_eq!((owner.session_id.as_deref(), owner.stamped_at_ms), (Some("new"), 7));
        let same = judge(&build(Size::Small), &claimant("old"), Rung::Session, TURN, 7).unwrap();
        assert_eq!(same.owner.unwrap().stamped_at_ms, 0);
        let branch = |state: &BuildGuard, id: &str| judge(state, &claimant(id), Rung::Lineage, TURN, 7).unwrap();
        let former = |state: &BuildGuard| state.owner.clone().unwrap().former_sessions;
        let branched = branch(&build(Size::Large), "branch");
        assert_eq!(former(&branched), ["old"]);
        assert_eq!(former(&branch(&branched, "old")), ["branch"]);
        let moved = judge(&branched, &claimant("new"), Rung::TmuxPane, TURN, 7).unwrap();
        assert!(former(&moved).is_empty(), "another conversation");
        let mut many = build(Size::Large);
        for number in 0..MAX_FORMER + 2 {
            many = BuildGuard { reminders_used: 0, reminders_in_turn: 0, ..branch(&many, &number.to_string()) };
        }
        assert_eq!((former(&many).len(), former(&many)[0].as_str()), (MAX_FORMER, "1"));
        let process = ProcessIdentity {
            pid: 7,
            start_ticks: 1,
            command: "claude".into(),
            boot_id: "b".into(),
            ..ProcessIdentity::default()
        };
        let resumed = Claimant { process: Some(process.clone()), ..claimant("old") };
        let owner = judge(&build(Size::Small), &resumed, Rung::Session, TURN, 7).unwrap().owner.unwrap();
        assert_eq!((owner.process, owner.stamped_at_ms), (Some(process), 7), "resumed in another process");
    }

    proptest! {
        #[test]
        fn the_budget_only_shrinks_and_never_below_nothing(
            size in prop::sample::select(Size::ALL.to_vec()),
            stops in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..40),
        ) {
            let mut state = build(size);
            for (continued, released) in stops {
                let turn = BuildTurn { continued, released, ..TURN };
                if let Ok(next) = judge(&state, &claimant("old"), Rung::Session, turn, 1) {
                    prop_assert!(!released);
                    prop_assert_eq!(next.reminders_used, state.reminders_used + 1);
                    state = next;
                }
                prop_assert!(state.reminders_used <= size.reminders());
            }
        }
    }
}
