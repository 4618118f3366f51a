//! A hundred stops at once: each is answered, and none is lost.

use std::collections::BTreeSet;

use stopgate_tests::build::Site;
use stopgate_tests::person::text;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, HOOKS, block_reason, noted};

const STOPS: usize = 100;

#[test]
fn a_hundred_stops_at_once_are_each_answered_and_none_is_lost() {
    let site = Site::new();
    let (world, top) = (&site.world, site.top());
    std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
    let authority = world.authority();
    let build = site.executing("s0", "large");
    for number in 0..STOPS {
        world.start_session(&format!("s{number}"), top);
    }
    world.start_session("control", top);
    assert!(block_reason(&world.stop_session("control", top, EXCUSE)).starts_with("[stopgate]"));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let stops: Vec<_> = (0..STOPS)
            .map(|number| {
                let session = format!("s{number}");
                scope.spawn(move || {
                    let payload = world.stop(&session, top, EXCUSE).to_string();
                    // As a harness does: both at once.
                    std::thread::scope(|scope| {
                        let run = |hook: &'static str| {
                            let payload = payload.clone();
                            scope.spawn(move || finish(world.hook(hook), Stdin::from(&*payload)))
                        };
                        [run(HOOKS[0]), run(HOOKS[1])].map(|hook| hook.join().unwrap())
                    })
                })
            })
            .collect();
        stops.into_iter().map(|stop| stop.join().unwrap()).collect()
    });
    let (mut held, mut let_go) = (0, 0);
    for (number, [router, build]) in answers.iter().enumerate() {
        for output in [router, build] {
            assert!(output.status.success() && output.stderr.is_empty(), "s{number}: {output:?}");
        }
        match &*text(&router.stdout) {
            "" => let_go += 1,
            // The gate leaves the owner to the build guard, and tells the person.
            note if number == 0 => {
                assert!(noted(note).starts_with("[stopgate]"));
                let_go += 1;
            }
            said => {
                assert!(block_reason(said).starts_with("[stopgate]"), "s{number}: {said}");
                held += 1;
            }
        }
        let owner = text(&build.stdout);
        assert!(number == 0 || owner.is_empty(), "s{number} owns nothing: {owner}");
    }
    assert_eq!(held + let_go, STOPS);
    assert!(held > 0, "the authority has judged nobody in time");
    assert!(site.used(&build) <= 1, "one stop of the owner spends one reminder");
    drop(authority);
    // What was not judged in time waits in the spool for the next one.
    let _next = world.authority();
    eventually("the spool is empty", || world.spooled().is_empty().then_some(()));
    let connection = rusqlite::Connection::open(world.home.database()).unwrap();
    let mut rows = connection.prepare("SELECT session_id FROM gate_events").unwrap();
    let found: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let sessions: BTreeSet<_> = found.iter().collect();
    assert_eq!((found.len(), sessions.len()), (STOPS + 1, STOPS + 1), "each stop once, and the control");
    assert!(!world.hook_log().contains("event lost"), "{}", world.hook_log());
}
