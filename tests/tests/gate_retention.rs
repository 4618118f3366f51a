//! A past that grows: what is old goes, nobody waits for that, and a report on much takes time in proportion.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use serde_json::json;
use stopgate_core::clock::DAY_MS;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_tests::evaluations::{Evaluation, connect, count, event_id, write, write_many};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{PLAIN, World};

fn now() -> i64 {
    SystemClock.now_ms()
}

#[test]
fn what_is_old_goes_at_the_start_of_the_authority_and_nothing_else() {
    let world = World::new();
    let now = now();
    std::fs::create_dir_all(world.home.root()).unwrap();
    std::fs::write(world.home.root().join("config.toml"), "[gate]\nretention_days = 7\n").unwrap();
    let minute = 60_000;
    let at = |at_ms, grade| Evaluation { at_ms, grade, ..Evaluation::held() };
    let mut past: Vec<_> = (0..450).map(|number| at(now - 8 * DAY_MS - number, Some("right"))).collect();
    past.push(at(now - 7 * DAY_MS - minute, None));
    past.push(at(now - 7 * DAY_MS + 5 * minute, Some("wrong")));
    past.push(at(now - minute, None));
    write(&world.home, &past);
    let connection = connect(&world.home);
    for (number, days) in [8, 6].into_iter().enumerate() {
        let (id, at) = (event_id(900 + number), now - days * DAY_MS);
        connection
            .execute_batch(&format!(
                "INSERT INTO hook_events VALUES ('{id}', 'claude', 's', 'Stop', {at});
                 INSERT INTO continues (event_id, harness, session_id, mode, at_ms, fingerprint)
                     VALUES ('{id}', 'claude', 's', 'shadow', {at}, 'f');
                 INSERT INTO contests (harness, session_id, at_ms, why) VALUES ('claude', 's', {at}, 'w');
                 INSERT INTO sessions (harness, session_id, last_event, last_event_at_ms)
                     VALUES ('claude', 's{days}', 'Stop', {at});"
            ))
            .unwrap();
    }
    let authority = world.authority();
    eventually("what is old is gone", || (count(&world.home, "SELECT count(*) FROM gate_events") == 2).then_some(()));
    eventually("and its room is given back", || (count(&world.home, "PRAGMA freelist_count") == 0).then_some(()));
    let left: Vec<_> = authority.log().into_iter().map(|row| row.event_id).collect();
    assert_eq!(left, [event_id(452), event_id(451)]);
    for (table, rows) in [("annotations", 1), ("hook_events", 1), ("continues", 1), ("contests", 1), ("sessions", 2)] {
        assert_eq!(count(&world.home, &format!("SELECT count(*) FROM {table}")), rows, "{table}");
    }
    // And it serves as before.
    world.start_session("s1", world.root());
    world.stop_session("s1", world.root(), PLAIN);
    authority.judged("s1");
}

/// One start with the clock 40 days ahead, and a second one, delete nothing; with the clock set right, what is old goes.
#[test]
fn a_clock_that_is_ahead_deletes_nothing_and_one_that_is_right_does() {
    let mut world = World::new();
    let clock = world.root().join("clock");
    world.set_env("STOPGATE_CLOCK", clock.to_str().unwrap());
    let now = now();
    let at = |days: i64| Evaluation { at_ms: now - days * DAY_MS - 60_000, grade: Some("right"), ..Evaluation::held() };
    write(&world.home, &[at(29), at(20), at(0)]);
    let kept = || {
        count(&world.home, "SELECT count(*) FROM gate_events") + count(&world.home, "SELECT count(*) FROM annotations")
    };
    let run = |passed: i64, set: i64| {
        std::fs::write(&clock, format!("{passed} {set}")).unwrap();
        // The last that is deleted, by whatever clock.
        let ancient = now - 300 * DAY_MS;
        let audit =
            "INSERT INTO reaper_audit (at_ms, harness, session_id, event) VALUES (?1, 'claude', 's', 'decision')";
        connect(&world.home).execute(audit, [ancient]).unwrap();
        let authority = world.authority();
        eventually("it has deleted what is old", || {
            (count(&world.home, "SELECT count(*) FROM reaper_audit") == 0).then_some(())
        });
        let id = format!("s{passed}-{set}");
        world.start_session(&id, world.root());
        world.stop_session(&id, world.root(), PLAIN);
        authority.judged(&id);
        authority.kill();
        kept()
    };
    let all = run(0, 0);
    assert_eq!(all, 7, "three with their grades, and one stop");
    let ahead = 40 * DAY_MS;
    assert_eq!(run(0, ahead), 8);
    assert_eq!(run(3_600_000, ahead), 9, "and again an hour later");
    assert_eq!(run(3_600_000, 0), 10, "set right");
    // Two days later the oldest is more than 30 days old, and the others are not.
    assert_eq!(run(2 * DAY_MS, 0), 9, "less two, and one more");
}

#[test]
fn stops_are_taken_in_while_thousands_of_rows_are_pruned() {
    // More of them, should the machine prune before it lets this test look.
    let came = [20_000, 80_000].into_iter().map(stops_while_it_prunes).find(|meanwhile| *meanwhile > 2);
    assert!(came.is_some(), "hardly a stop came while it pruned");
}

/// How many stops came while so many rows were pruned. All of them are judged.
fn stops_while_it_prunes(rows: i64) -> usize {
    let world = World::new();
    let old = now() - 31 * DAY_MS;
    let inputs = "x".repeat(3_000);
    let stop = |number| Evaluation { at_ms: old + number, inputs: Some(&inputs), ..Evaluation::held() };
    // And one of today: it tells that the clock is right.
    let today = Evaluation { at_ms: now() - 60_000, ..Evaluation::held() };
    write(&world.home, &(0..rows).map(stop).chain([today]).collect::<Vec<_>>());
    let connection = connect(&world.home);
    let left = || {
        let query = "SELECT count(*) FROM gate_events INDEXED BY gate_events_by_time WHERE at_ms < ?1";
        connection.query_row(query, [old + rows], |row| row.get::<_, i64>(0)).unwrap()
    };
    let authority = world.authority();
    let mut meanwhile = 0;
    let mut all = 0;
    eventually("all that is old is gone", || {
        let before = left();
        world.stop_session("s1", world.root(), PLAIN);
        all += 1;
        meanwhile += usize::from((1..rows).contains(&before));
        (before == 0).then_some(())
    });
    assert_eq!(world.spooled().len(), 0, "no stop had to be let go undelivered");
    eventually("all are judged", || {
        let log = authority.log();
        let judged = log.iter().filter(|row| row.session_id == "s1" && row.decision.is_some()).count();
        (judged == all.min(1_000)).then_some(())
    });
    meanwhile
}

/// Time grows with the number of stops, and not faster: measured in one run, best of three.
#[expect(clippy::print_stdout, reason = "a measurement, for whoever asks with --nocapture")]
fn report_takes(count: usize) -> f64 {
    let world = World::new();
    write_many(&world.home, count, now());
    let _authority = world.authority();
    let took = (0..3).map(|_| {
        let started = Instant::now();
        let report = world.stopgate_json(&["gate", "report", "--json"]);
        assert_eq!((&report["stops"], &report["sessions"]["count"]), (&json!(count), &json!(count.div_ceil(16))));
        started.elapsed().as_secs_f64()
    });
    let best = took.fold(f64::INFINITY, f64::min);
    println!("a report on {count} stops: {:.0} ms", best * 1_000.0);
    best
}

#[test]
#[ignore = "a measurement: run it with --nocapture"]
fn a_report_takes_time_in_proportion() {
    let (few, many) = (report_takes(5_000), report_takes(100_000));
    let ratio = many / few;
    assert!(ratio < 40.0, "20 times the stops take {ratio:.1} times as long");
}
