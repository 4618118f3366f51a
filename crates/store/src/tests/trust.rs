//! Grades, reports and pruning.

use stopgate_core::clock::DAY_MS;
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_gate::report::Grade;
use stopgate_protocol::{Decided, LogFilter};

use super::*;
use crate::{Grading, NewGrade, Pruned};

fn store() -> (tempfile::TempDir, Home, Store) {
    let (dir, home) = home();
    let store = Store::open(&home, PATIENCE).unwrap();
    (dir, home, store)
}

/// A stop with a verdict; its id.
fn judged(store: &mut Store, session: &str, at_ms: i64, decision: Option<Decision>) -> String {
    let request = stop(session, at_ms);
    let row = GateRow {
        decision,
        would_block: decision == Some(Decision::Continue),
        fail_open: decision.is_none().then(|| "interrupted".to_owned()),
        signals: vec!["fresh-session".into()],
        latency_ms: 5,
        ..blank_row(&request)
    };
    let aside = Aside { continues: row.would_block.then(|| "f".into()), ..Aside::default() };
    store.record_verdict(&request, &row, &aside, at_ms).unwrap();
    request.event_id
}

fn grade(event_id: &str, grade: Grade) -> NewGrade<'_> {
    NewGrade { event_id, grade, why: "because", operator: "dev", at_ms: 99 }
}

fn count(store: &Store, table: &str) -> i64 {
    store.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn the_last_grade_counts_and_all_are_kept() {
    let (_dir, _home, mut store) = store();
    let id = judged(&mut store, "s", 10, Some(Decision::Continue));
    assert_eq!(store.grade(grade(&id, Grade::Wrong)).unwrap(), Grading::Written { prior: None });
    assert_eq!(store.grade(grade(&id, Grade::Right)).unwrap(), Grading::Written { prior: Some(Grade::Wrong) });
    let mut history = store.connection.prepare("SELECT verdict FROM annotations ORDER BY id").unwrap();
    let history: Vec<String> = history.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(history, [Grade::Wrong.name(), Grade::Right.name()]);
    let rows = store.gate_log(10).unwrap();
    assert_eq!(store.grades_of(&rows).unwrap()[&id].verdict, Grade::Right);
    let report = store.report(0, 1_000).unwrap();
    assert_eq!((report.graded_would_block.right, report.graded_would_block.wrong), (1, 0));
}

#[test]
fn only_a_verdict_that_is_there_can_be_graded() {
    let (_dir, _home, mut store) = store();
    let failed = judged(&mut store, "s", 10, None);
    assert_eq!(store.grade(grade(&failed, Grade::Right)).unwrap(), Grading::NoVerdict);
    let unknown = "00000000-0000-7000-8000-000000000000";
    assert_eq!(store.grade(grade(unknown, Grade::Right)).unwrap(), Grading::NoSuchEvent);
    assert_eq!(count(&store, "annotations"), 0);
    let other_verdict = "INSERT INTO annotations (event_id, operator, at_ms, verdict) VALUES (?1, 'x', 1, 'great')";
    assert!(store.connection.execute(other_verdict, [&failed]).is_err());
    let no_event = "INSERT INTO annotations (event_id, operator, at_ms, verdict) VALUES (?1, 'x', 1, 'right')";
    assert!(store.connection.execute(no_event, [unknown]).is_err(), "the schema keeps it, too");
}

#[test]
fn the_log_is_filtered() {
    let (_dir, _home, mut store) = store();
    let held = judged(&mut store, "abc", 10, Some(Decision::Continue));
    let gone = judged(&mut store, "abd", 20, Some(Decision::Allow));
    let failed = judged(&mut store, "x%", 30, None);
    let staged = judged(&mut store, &format!("{LIVE_CHECK_PREFIX}1"), 40, Some(Decision::Continue));
    let wanted = |store: &Store, filter: &LogFilter| {
        store.gate_log_of(filter).unwrap().into_iter().map(|row| row.event_id).collect::<Vec<_>>().join(" ")
    };
    let session = |text: &str| LogFilter { session: Some(text.into()), ..LogFilter::default() };
    assert_eq!(wanted(&store, &session("ab")), format!("{gone} {held}"));
    assert_eq!(wanted(&store, &session("abc")), held);
    assert_eq!(wanted(&store, &session("%")), "", "a text, no pattern");
    assert_eq!(wanted(&store, &session("x%")), failed);
    let decided = |decision| LogFilter { decision: Some(decision), ..LogFilter::default() };
    assert_eq!(wanted(&store, &decided(Decided::Continue)), format!("{staged} {held}"));
    assert_eq!(wanted(&store, &decided(Decided::Failed)), failed);
    let event = LogFilter { event: Some(gone[..18].to_owned()), ..LogFilter::default() };
    assert_eq!(wanted(&store, &event), gone);
    let ungraded = LogFilter { ungraded: true, ..LogFilter::default() };
    assert_eq!(wanted(&store, &ungraded), held);
    store.grade(grade(&held, Grade::Unclear)).unwrap();
    assert_eq!(wanted(&store, &ungraded), "");
}

#[test]
fn pruning_takes_exactly_what_is_old_a_batch_at_a_time() {
    let (_dir, _home, mut store) = store();
    let start = |at| event("s", at, start(StartSource::Startup));
    for at in [1, 2, 3, 100, 101] {
        let id = judged(&mut store, "s", at, Some(Decision::Continue));
        store.grade(grade(&id, Grade::Right)).unwrap();
        store.record_event(&start(at)).unwrap();
        store
            .connection
            .execute_batch(&format!(
                "INSERT INTO contests (harness, session_id, at_ms, why) VALUES ('claude', 's', {at}, 'w');"
            ))
            .unwrap();
    }
    let all = |rows| Pruned { verdicts: rows, events: rows, continues: rows, contests: rows, fence: 0 };
    assert_eq!(store.prune(100, 2).unwrap(), all(2));
    assert_eq!(store.prune(100, 2).unwrap(), all(1));
    assert_eq!(store.prune(100, 2).unwrap(), all(0));
    for table in ["gate_events", "annotations", "hook_events", "continues", "contests"] {
        assert_eq!(count(&store, table), 2, "{table}");
    }
    assert_eq!(store.gate_log(10).unwrap().iter().map(|row| row.at_ms).collect::<Vec<_>>(), [101, 100]);
    assert_eq!(store.sessions(10).unwrap().len(), 1, "sessions stay");
}

/// Verdicts that fill about a megabyte, all of them old.
fn fill(store: &mut Store) {
    for at in 0..300 {
        let id = judged(store, "s", at, Some(Decision::Allow));
        store
            .connection
            .execute("UPDATE gate_events SET inputs = ?2 WHERE event_id = ?1", [&id, &"x".repeat(4_000)])
            .unwrap();
    }
}

#[test]
fn a_new_file_gives_back_what_pruning_frees() {
    let (_dir, _home, mut store) = store();
    fill(&mut store);
    let full = store.space().unwrap();
    assert!(full.shrinks && full.used > 1_000_000, "{full:?}");
    store.prune(DAY_MS, 1_000).unwrap();
    assert!(store.space().unwrap().free > 1_000_000);
    let mut steps = 1;
    while store.shrink(50).unwrap() {
        steps += 1;
    }
    let after = store.space().unwrap();
    assert!(after.free == 0 && after.used < 300_000 && steps > 2, "{after:?} in {steps} steps");
}

#[test]
fn a_file_of_before_is_brought_up_and_shrinks_once_it_is_rewritten() {
    let (_dir, home) = home();
    let before = Connection::open(home.database()).unwrap();
    before.pragma_update(None, "journal_mode", "wal").unwrap();
    before.execute_batch(include_str!("../../../../migrations/db/0001_sessions_and_gate.sql")).unwrap();
    before.pragma_update(None, "user_version", 1).unwrap();
    drop(before);
    let mut store = Store::open_and_migrate(&home, PATIENCE).unwrap();
    fill(&mut store);
    store.prune(250, 1_000).unwrap();
    let space = store.space().unwrap();
    assert!(!space.shrinks && space.free > space.used, "{space:?}");
    store.rewrite().unwrap();
    let after = store.space().unwrap();
    assert!(after.shrinks && after.free == 0 && after.used <= space.used, "{after:?}");
    assert_eq!(store.gate_log(1_000).unwrap().len(), 50);
}

#[test]
fn a_reader_reports_and_cannot_write() {
    let (_dir, home, mut store) = store();
    judged(&mut store, "s", 10, Some(Decision::Continue));
    let mut reader = Store::open_to_read(&home, PATIENCE).unwrap();
    let transaction = store.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    assert_eq!(reader.report(0, 100).unwrap().would_block, 1, "also while somebody writes");
    drop(transaction);
    assert_eq!(reader.report(11, 100).unwrap().stops, 0, "only the span");
    let id = store.gate_log(1).unwrap()[0].event_id.clone();
    assert!(reader.grade(grade(&id, Grade::Right)).is_err());
}

#[test]
fn reports_reviews_and_pruning_are_answered_from_indexes() {
    let (_dir, _home, store) = store();
    let plan = |query: &str| {
        let mut explain = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let parameters = vec![1; explain.parameter_count()];
        let steps = explain.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail"));
        steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    };
    let report = plan(crate::report::QUERY);
    assert!(report.contains("USING COVERING INDEX gate_events_for_report (at_ms>?"), "{report}");
    assert!(report.contains("annotations USING INDEX annotations_by_event") && !report.contains("SCAN"), "{report}");
    for table in ["gate_events", "hook_events", "continues", "contests"] {
        let old = plan(
            &format!("SELECT rowid_or_key FROM {table} WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2")
                .replace("rowid_or_key", if table == "contests" { "id" } else { "event_id" }),
        );
        assert!(old.contains("SEARCH") && old.contains("INDEX") && !old.contains("TEMP B-TREE"), "{table}: {old}");
    }
    let review = plan(
        "SELECT * FROM gate_events WHERE 1 AND would_block = 1 AND NOT EXISTS
         (SELECT 1 FROM annotations WHERE annotations.event_id = gate_events.event_id)
         ORDER BY at_ms DESC, event_id DESC LIMIT 5",
    );
    assert!(review.contains("gate_events_would_block"), "{review}");
}
