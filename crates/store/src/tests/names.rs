//! Names of sessions.

use std::collections::BTreeSet;

use stopgate_coordination::name;
use stopgate_core::process::{ProcFs, identify};
use stopgate_core::session::LIVE_CHECK_PREFIX;
use stopgate_protocol::LogFilter;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let (dir, home) = home();
    let store = Store::open(&home, PATIENCE).unwrap();
    (dir, store)
}

fn key(id: &str) -> SessionKey {
    SessionKey::new(Harness::Claude, id).unwrap()
}

/// An event of a session whose process is this one, which lives.
fn living(id: &str, at_ms: i64, kind: EventKind) -> HookEvent {
    let mut event = event(id, at_ms, kind);
    event.origin.harness_process = identify(&ProcFs, std::process::id());
    assert!(event.origin.harness_process.is_some());
    event
}

fn begin(store: &mut Store, id: &str, at_ms: i64) -> String {
    store.record_event(&living(id, at_ms, start(StartSource::Startup))).unwrap();
    name_of(store, id)
}

fn end(store: &mut Store, id: &str, at_ms: i64, reason: &str) {
    store.record_event(&event_of_nobody(id, at_ms, EventKind::SessionEnd { reason: Some(reason.into()) })).unwrap();
    store
        .connection
        .execute("UPDATE sessions SET ended_at_ms = ?2 WHERE session_id = ?1", rusqlite::params![id, at_ms])
        .unwrap();
}

fn event_of_nobody(id: &str, at_ms: i64, kind: EventKind) -> HookEvent {
    let mut event = event(id, at_ms, kind);
    event.origin.harness_process = None;
    event
}

fn name_of(store: &Store, id: &str) -> String {
    let rows = store.sessions(1_000).unwrap();
    rows.into_iter()
        .find(|row| row.session_id == id)
        .and_then(|row| row.name)
        .unwrap_or_else(|| panic!("{id}: no name"))
}

#[test]
fn every_session_has_a_name_of_its_own_from_its_first_event_on() {
    let (_dir, mut store) = store();
    store.record_event(&living("a", 1, EventKind::UserPromptSubmit { prompt: "p".into() })).unwrap();
    let names: BTreeSet<_> =
        ["a", "b", "c"].map(|id| if id == "a" { name_of(&store, id) } else { begin(&mut store, id, 2) }).into();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|name| name::WORDS.contains(&name.as_str())), "{names:?}");
    // A stop alone, as of a session whose start went to another home.
    let (request, mut row) = (stop("d", 3), blank_row(&stop("d", 3)));
    row.event_id.clone_from(&request.event_id);
    store.record_verdict(&request, &row, &Aside::default(), 3).unwrap();
    assert!(!names.contains(&name_of(&store, "d")));
    let log = store.gate_log(1).unwrap();
    assert_eq!(log[0].name, Some(name_of(&store, "d")));
    let by_name = LogFilter { session: Some(name_of(&store, "d")), ..LogFilter::default() };
    assert_eq!(store.gate_log_of(&by_name).unwrap().len(), 1);
    let by_other = LogFilter { session: Some(name_of(&store, "a")), ..LogFilter::default() };
    assert_eq!(store.gate_log_of(&by_other).unwrap(), []);
}

#[test]
fn a_name_stays_over_clear_resume_and_compaction_and_a_fork_has_its_own() {
    let (_dir, mut store) = store();
    let first = begin(&mut store, "a", 1);
    for (at, source) in [(2, StartSource::Compact), (3, StartSource::Resume)] {
        store.record_event(&living("a", at, start(source))).unwrap();
        assert_eq!(name_of(&store, "a"), first);
    }
    let mut cleared = living("b", 4, start(StartSource::Clear));
    cleared.origin.predecessor = Some("a".into());
    store.record_event(&cleared).unwrap();
    assert_eq!(name_of(&store, "b"), first, "it goes on");
    let mut forked = living("c", 5, start(StartSource::Fork));
    forked.origin.predecessor = Some("b".into());
    store.record_event(&forked).unwrap();
    assert_ne!(name_of(&store, "c"), first);
    assert_eq!(name_of(&store, "b"), first);
    // Ended, and taken up again.
    end(&mut store, "b", 6, "prompt_input_exit");
    store.record_event(&living("b", 7, start(StartSource::Resume))).unwrap();
    assert_eq!(name_of(&store, "b"), first);
}

#[test]
fn who_was_over_when_its_name_was_given_away_gets_another() {
    let (_dir, mut store) = store();
    let (first, second) = (begin(&mut store, "a", 1), begin(&mut store, "b", 2));
    assert_eq!(store.rename(&key("b"), &first, 3).unwrap(), Renamed::Taken(key("a")));
    end(&mut store, "a", 4, "other");
    assert_eq!(store.rename(&key("b"), &first, 5).unwrap(), Renamed::Done { was: Some(second) });
    store.record_event(&living("a", 6, start(StartSource::Resume))).unwrap();
    assert_eq!(name_of(&store, "b"), first, "who lives keeps it");
    assert_ne!(name_of(&store, "a"), first);
    assert_eq!(store.rename(&key("nobody"), "quiet", 7).unwrap(), Renamed::Unknown);
    assert_eq!(store.rename(&key("b"), &first, 8).unwrap(), Renamed::Done { was: Some(first) }, "its own");
}

#[test]
fn who_is_gone_without_a_word_keeps_no_name_from_others() {
    let (_dir, mut store) = store();
    begin(&mut store, "b", 1);
    // Its process is of another boot.
    store.record_event(&event("a", 2, start(StartSource::Startup))).unwrap();
    let name = name_of(&store, "a");
    assert!(matches!(store.rename(&key("b"), &name, 3).unwrap(), Renamed::Done { .. }));
    // Of one without a process nothing is known, for a month.
    store.record_event(&event_of_nobody("c", 4, start(StartSource::Startup))).unwrap();
    let name = name_of(&store, "c");
    assert_eq!(store.rename(&key("b"), &name, 5 + 29 * DAY_MS).unwrap(), Renamed::Taken(key("c")));
    assert!(matches!(store.rename(&key("b"), &name, 5 + 31 * DAY_MS).unwrap(), Renamed::Done { .. }));
}

#[test]
fn words_are_used_again_when_all_were_and_numbered_when_all_are() {
    let (_dir, mut store) = store();
    let count = i64::try_from(name::WORDS.len()).unwrap();
    let names: BTreeSet<_> = (0..count).map(|at| begin(&mut store, &format!("s{at}"), at + 1)).collect();
    assert_eq!(names.len(), name::WORDS.len());
    let numbered = begin(&mut store, "more", count + 1);
    assert!(numbered.ends_with('2') && name::WORDS.contains(&&numbered[..numbered.len() - 1]), "{numbered}");
    let first = name_of(&store, "s7");
    end(&mut store, "s7", count + 2, "other");
    let last = name_of(&store, "s9");
    end(&mut store, "s9", count + 3, "other");
    assert_eq!(begin(&mut store, "again", count + 4), first, "the one that was given longest ago");
    assert_eq!(begin(&mut store, "again-too", count + 5), last);
}

#[test]
fn old_sessions_get_a_name_when_it_is_asked_for_and_live_checks_never() {
    let (_dir, mut store) = store();
    let check = format!("{LIVE_CHECK_PREFIX}1");
    for id in ["a", "b", "over", &check] {
        store.record_event(&living(id, 1, start(StartSource::Startup))).unwrap();
    }
    assert_eq!(store.sessions_named(&check, 1).unwrap()[0].name, None);
    store.connection.execute("DELETE FROM session_names", []).unwrap();
    end(&mut store, "over", 2, "other");
    store.connection.execute("DELETE FROM session_names", []).unwrap();
    assert_eq!((store.name_unnamed(3).unwrap(), store.name_unnamed(4).unwrap()), (2, 0));
    assert_ne!(name_of(&store, "a"), name_of(&store, "b"));
    assert_eq!(store.sessions_named(&check, 1).unwrap()[0].name, None);
}

#[test]
fn a_session_is_found_by_its_name() {
    let (_dir, mut store) = store();
    let name = begin(&mut store, "0193-a", 1);
    begin(&mut store, "0193-b", 2);
    let found =
        |id: &str| store.sessions_named(id, 9).unwrap().into_iter().map(|row| row.session_id).collect::<Vec<_>>();
    assert_eq!(found(&name), ["0193-a"]);
    assert_eq!(found("0193").len(), 2);
    assert_eq!(found("nobody"), Vec::<String>::new());
}
