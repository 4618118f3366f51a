//! Ceilings hold whoever counts: many stops at once, the mode going back and forth, two authorities, a database that goes.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rstest::rstest;
use stopgate_core::session::Harness;
use stopgate_core::switch::{self, Mode};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::world::{EXCUSE, World, block_reason, session_start};

/// As many as a person's prompt has, by the configuration that nobody has changed.
const CEILING: usize = 2;
/// How many stop at once.
const AT_ONCE: usize = 20;

fn is_held(world: &World, session: &str, cwd: &Path) -> bool {
    let said = world.stop_session(session, cwd, EXCUSE);
    said.contains("\"block\"") && block_reason(&said).starts_with("[stopgate]")
}

/// How many of many that stop at once are held.
fn held_at_once(world: &World, checkout: &Checkout) -> usize {
    std::thread::scope(|scope| {
        let stops: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| is_held(world, "s", &checkout.top))).collect();
        stops.into_iter().filter(|_| true).map(|stop| usize::from(stop.join().unwrap())).sum()
    })
}

#[test]
fn many_stops_at_once_share_one_ceiling_while_the_mode_goes_back_and_forth() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s", &checkout.top);
    let ends = AtomicBool::new(false);
    let mut held = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for mode in [Mode::Shadow, Mode::Enforce].into_iter().cycle() {
                switch::write_mode(&world.home, mode).unwrap();
                if ends.load(Ordering::Relaxed) && mode == Mode::Enforce {
                    break;
                }
            }
        });
        for _ in 0..4 {
            checkout.work();
            held += held_at_once(&world, &checkout);
        }
        ends.store(true, Ordering::Relaxed);
    });
    // The control: in enforce the ceiling is used up, and no more.
    for _ in 0..4 {
        checkout.work();
        held += held_at_once(&world, &checkout);
    }
    assert_eq!(held, CEILING);
    drop(authority);
}

#[test]
fn two_authorities_share_one_ceiling() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let first = world.authority();
    world.start_session("s", &checkout.top);
    let mut held = 0;
    for round in 0..6 {
        checkout.work();
        if round == 1 {
            // Somebody tidies up: another one can begin while the first still answers.
            std::fs::remove_file(world.home.lock()).unwrap();
            std::fs::remove_file(world.home.socket()).unwrap();
            let second = world.authority();
            held += held_at_once(&world, &checkout);
            drop(second);
            continue;
        }
        if round > 1 {
            let next = world.authority();
            held += held_at_once(&world, &checkout);
            next.kill();
            continue;
        }
        held += held_at_once(&world, &checkout);
    }
    assert_eq!(held, CEILING);
    drop(first);
}

#[rstest]
fn a_database_that_is_removed_takes_no_ceiling_with_it(#[values(false, true)] restarts: bool) {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let mut authority = Some(world.authority());
    let mut held = 0;
    world.asks_for_a_job(Harness::Claude, "s");
    for _ in 0..10 {
        let start = session_start("s", &checkout.top, "resume");
        assert!(world.run_hook("session-start-recorder", &start).status.success());
        checkout.work();
        held += usize::from(is_held(&world, "s", &checkout.top));
        if restarts && let Some(authority) = authority.take() {
            authority.kill();
        }
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(world.home.root().join(format!("stopgate.db{ending}")));
        }
        if authority.is_none() {
            authority = Some(world.authority());
        }
    }
    assert_eq!(held, CEILING);
}
