//! What is true of a room whatever happens, over any number of random steps.

use std::collections::BTreeMap;
use stopgate_core::env::{Env as _, ProcessEnv};

use proptest::prelude::*;

use super::*;

/// One random step.
#[derive(Debug, Clone)]
enum Step {
    Acquire(u8, u8, bool),
    Wait(u8, u8, u8, bool),
    Release(u8, Option<u8>),
    Pass(u8, u8, u8),
    Take(u8, u8, bool),
    Observe(u8, u8),
    Stand(u8, u8),
    Die(u8),
    Inherit(u8, u8),
    Passes(u32),
    Jump,
}

const WHAT: [&str; 8] = ["a", "b", "dir/", "dir/a", "r:dir/", "/", "@leader", "r:a"];

fn step() -> impl Strategy<Value = Step> {
    let (who, what) = (0..5_u8, 0..8_u8);
    prop_oneof![
        4 => (who.clone(), what.clone(), any::<bool>()).prop_map(|(who, what, two)| Step::Acquire(who, what, two)),
        4 => (who.clone(), what.clone(), what.clone(), any::<bool>()).prop_map(|(a, b, c, d)| Step::Wait(a, b, c, d)),
        4 => (who.clone(), proptest::option::of(what.clone())).prop_map(|(a, b)| Step::Release(a, b)),
        1 => (who.clone(), what.clone(), who.clone()).prop_map(|(a, b, c)| Step::Pass(a, b, c)),
        1 => (who.clone(), what.clone(), any::<bool>()).prop_map(|(a, b, c)| Step::Take(a, b, c)),
        2 => (who.clone(), what).prop_map(|(a, b)| Step::Observe(a, b)),
        3 => (who.clone(), 0..6_u8).prop_map(|(a, b)| Step::Stand(a, b)),
        1 => who.clone().prop_map(Step::Die),
        1 => (who.clone(), who).prop_map(|(a, b)| Step::Inherit(a, b)),
        2 => (0..1_000_000_u32).prop_map(Step::Passes),
        1 => Just(Step::Jump),
    ]
}

/// Does `step`, and looks whether anything is as it must not be.
fn does(stage: &mut Stage, step: &Step) {
    let who = |number: &u8| format!("s{number}");
    let what = |number: &u8| WHAT[usize::from(*number)];
    let last = stage.room.last_token;
    let before = stage.changes.borrow().len();
    match step {
        Step::Acquire(session, first, two) => {
            let second = if *two { " @two" } else { "" };
            stage.session(&who(session)).end = None;
            let answer = stage.acquire(&who(session), &format!("{}{second}", what(first)));
            let claims = claims(&format!("{}{second}", what(first)));
            if is_granted(&answer) {
                assert!(claims.iter().all(|claim| {
                    stage.room.leases.iter().any(|lease| lease.holder == key(&who(session)) && lease.gives(claim))
                }));
            }
        }
        Step::Wait(session, first, second, parked) => {
            stage.session(&who(session)).end = None;
            let wanted = format!("{} {}", what(first), what(second));
            let answer = if *parked { stage.park(&who(session), &wanted) } else { stage.wait(&who(session), &wanted) };
            assert!(!is_held(&answer));
        }
        Step::Release(session, which) => {
            stage.release(&who(session), which.as_ref().map_or("", what));
        }
        Step::Pass(from, which, to) if from != to => {
            stage.session(&who(to)).end = None;
            let which = Which { claims: claims(what(which)), token: None };
            stage.ask(&Request::Pass { session: key(&who(from)), which, to: key(&who(to)), handoff: None });
        }
        Step::Take(session, which, by_person) => {
            stage.session(&who(session)).end = None;
            let session = Some(key(&who(session)));
            let claims = claims(what(which));
            stage.ask(&Request::Take { session, by_person: *by_person, claims, reason: String::new() });
        }
        Step::Observe(session, which) => {
            let claim = Claim { mode: LeaseMode::Write, ..claim(what(which)) };
            stage.session(&who(session)).end = None;
            stage.ask(&Request::Observe { session: key(&who(session)), claim });
        }
        Step::Stand(session, how) => {
            let now = stage.boot_ms;
            let session = stage.session(&who(session));
            match how {
                0 => session.standing = Standing::Working,
                1 => session.standing = Standing::Unclear,
                2 => session.standing = Standing::Resting,
                3 => session.listens = false,
                _ => session.sign = now,
            }
        }
        Step::Die(session) => {
            *stage.session(&who(session)) = Session { end: Some(LeaseEnd::HolderGone), ..Session::default() };
        }
        Step::Inherit(from, to) if from != to => {
            // As after `/clear`: the new one is new.
            let to = format!("s{to}-{}", stage.boot_ms);
            stage.session(&to);
            stage.ask(&Request::Inherit { from: key(&who(from)), to: key(&to) });
            stage.session(&to).end = Some(LeaseEnd::SessionEnded);
        }
        Step::Passes(millis) => stage.passes(i64::from(*millis)),
        Step::Jump => stage.no_end_before = stage.boot_ms + JUMP_PATIENCE_MS,
        Step::Pass(..) | Step::Inherit(..) => {}
    }
    stage.look();
    holds_together(stage, last, before);
}

/// What is true after every step.
fn holds_together(stage: &Stage, last: Token, before: usize) {
    let room = &stage.room;
    let declared: Vec<&Lease> = room.leases.iter().filter(|lease| lease.origin == LeaseOrigin::Declared).collect();
    for (at, one) in declared.iter().enumerate() {
        for other in &declared[at + 1..] {
            let conflict = one.is_in_the_way(&other.holder, &other.claim());
            assert!(!conflict, "a double grant: {one:?} and {other:?}");
        }
    }
    // Numbers rise, and none is given twice: all of one grant are of one holder.
    let mut highest = last;
    for change in &stage.changes.borrow()[before..] {
        if let Change::Granted { lease } = change {
            assert!(lease.token > last && lease.token >= highest, "{lease:?} after {highest}");
            highest = lease.token;
        }
    }
    assert!(room.last_token >= highest);
    assert!(room.leases.iter().all(|lease| stage.end(&lease.holder).is_none()), "nobody who has ended holds anything");
    assert!(room.waiters.is_sorted_by_key(|waiter| waiter.ticket));
    for (at, waiter) in room.waiters.iter().enumerate() {
        assert!(room.waiters[at + 1..].iter().all(|other| other.session != waiter.session), "one place a session");
        // Nobody who listens waits for what nobody holds, unless somebody before it does as well.
        let is_free = room.in_the_way(&waiter.session, &waiter.claims).next().is_none();
        let is_first = !room.waiters[..at].iter().any(|other| other.competes(waiter));
        assert!(!(is_free && is_first && stage.is_listening(&waiter.session)), "{waiter:?} is not served");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_given_twice(steps in proptest::collection::vec(step(), 1..80)) {
        let mut stage = Stage::new();
        for step in &steps {
            does(&mut stage, step);
        }
    }
}

/// Takes long with `STOPGATE_SOAK_OPERATIONS=1000000`, in release.
#[test]
fn a_long_life_of_a_room_gives_nothing_twice() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let operations = ProcessEnv.text("STOPGATE_SOAK_OPERATIONS").and_then(|count| count.parse().ok());
    let mut runner = TestRunner::deterministic();
    let (mut stage, steps) = (Stage::new(), step());
    let (mut granted, mut ended) = (0_u64, BTreeMap::new());
    for _ in 0..operations.unwrap_or(20_000) {
        let step = steps.new_tree(&mut runner).unwrap_or_else(|why| panic!("{why}")).current();
        does(&mut stage, &step);
        for change in stage.changes.borrow_mut().drain(..) {
            match change {
                Change::Granted { .. } => granted += 1,
                Change::Ended { why, .. } => *ended.entry(why.name()).or_insert(0_u64) += 1,
                _ => {}
            }
        }
        // Those who have ended and hold nothing are forgotten, as their registry does.
        if stage.sessions.len() > 1_000 {
            stage.sessions.retain(|_, session| session.end.is_none());
        }
    }
    println!("granted {granted}, last token {}, ended {ended:?}", stage.room.last_token);
    let seen = [LeaseEnd::Released, LeaseEnd::HolderGone, LeaseEnd::Taken, LeaseEnd::Idle, LeaseEnd::NotTakenUp];
    assert!(seen.iter().all(|why| ended.contains_key(why.name())), "all of it happens: {ended:?}");
}
