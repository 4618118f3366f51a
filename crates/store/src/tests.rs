use super::*;
use stopgate_core::clock::{Clock as _, DAY_MS, FixedClock, Moment, UnixMillis, hours};
use stopgate_core::decision::Decision;
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Event, EventKind, StartSource, Stop};
use stopgate_core::process::ProcessIdentity;
use stopgate_core::protocol::{EvaluateRequest, HookEvent, Origin};
use stopgate_core::session::state::SessionState;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::switch::Mode;
use stopgate_protocol::{CallerKind, CallerProcess};
use stopgate_reaper::candidacy::CandidateMemory;
use stopgate_reaper::report::{AuditRow, ReaperAuditEvent, Trip};

mod fence;
mod names;
mod plans;
mod trust;

const PATIENCE: Duration = Duration::from_secs(10);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    home.create().unwrap();
    (dir, home)
}

fn event(id: &str, at_ms: i64, kind: EventKind) -> HookEvent {
    HookEvent {
        event_id: new_event_id(&FixedClock(at_ms)),
        at_ms,
        boot_ms: None,
        event: Event {
            key: SessionKey::new(Harness::Claude, id).unwrap(),
            cwd: Some("/w".into()),
            transcript_path: None,
            model: None,
            permission_mode: None,
            agent_id: None,
            kind,
        },
        origin: Origin {
            harness_process: Some(ProcessIdentity {
                pid: 7,
                start_ticks: 70,
                command: "claude".into(),
                boot_id: "boot".into(),
                ..ProcessIdentity::default()
            }),
            head: Some(format!("{at_ms:040}")),
            ..Origin::default()
        },
    }
}

fn start(source: StartSource) -> EventKind {
    EventKind::SessionStart { source }
}

fn stop(id: &str, at_ms: i64) -> EvaluateRequest {
    let event = event(id, at_ms, EventKind::Stop(Stop::default()));
    EvaluateRequest {
        event_id: event.event_id,
        at_ms,
        boot_ms: None,
        event: event.event,
        mode: Mode::Enforce,
        deadline_ms: 1000,
        search_path: None,
        may_wait: false,
    }
}

#[test]
fn eight_first_starts_at_once_all_succeed() {
    let (_dir, home) = home();
    std::thread::scope(|scope| {
        let opens: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&home, PATIENCE).map(|_| ()))).collect();
        for open in opens {
            open.join().unwrap().unwrap();
        }
    });
    let found: i64 = Store::open(&home, PATIENCE)
        .unwrap()
        .connection
        .pragma_query_value(None, "user_version", |r| r.get(0))
        .unwrap();
    assert_eq!(found, LATEST_VERSION);
}

#[test]
fn a_store_from_the_future_or_of_garbage_is_refused_and_kept() {
    let (_dir, home) = home();
    Store::open(&home, PATIENCE).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&home, PATIENCE), Err(StoreError::FromTheFuture { found: 99, .. })));
    std::fs::remove_file(home.root().join("stopgate.db-wal")).ok();
    std::fs::write(home.database(), "this is not a database, but it is somebody's file".repeat(50)).unwrap();
    let before = std::fs::read(home.database()).unwrap();
    assert!(matches!(Store::open(&home, PATIENCE), Err(StoreError::Sqlite(_))));
    assert_eq!(std::fs::read(home.database()).unwrap(), before);
}

#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    store.record_event(&event("s", 1, start(StartSource::Startup))).unwrap();
    for name in ["stopgate.db", "stopgate.db-wal", "stopgate.db-shm"] {
        let mode = std::fs::metadata(home.root().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

fn facts_of(store: &Store, key: &SessionKey) -> Option<SessionFacts> {
    store.standing(key, Mode::Enforce, FixedClock(0).moment(), "").unwrap().0
}

fn turn_of(store: &Store, key: &SessionKey, mode: Mode, now_ms: UnixMillis) -> TurnRecord {
    store.standing(key, mode, FixedClock(now_ms).moment(), "").unwrap().1
}

#[test]
fn the_first_start_never_moves_later() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    for (at, source) in [(100, StartSource::Startup), (200, StartSource::Resume), (300, StartSource::Compact)] {
        assert!(store.record_event(&event("s", at, start(source))).unwrap());
    }
    let row = &store.sessions(10).unwrap()[0];
    assert_eq!((row.started_at_ms, row.source.as_deref()), (Some(100), Some("startup")));
    assert_eq!(row.head_at_start, Some(format!("{:040}", 100)));
    assert_eq!((row.last_event.as_deref(), row.last_event_at_ms), (Some("SessionStart"), Some(300)));

    // The true first event was spooled and arrives last.
    store.record_event(&event("s", 50, start(StartSource::Startup))).unwrap();
    let row = &store.sessions(10).unwrap()[0];
    assert_eq!((row.started_at_ms, row.last_event_at_ms), (Some(50), Some(300)));
}

#[test]
fn other_events_do_not_make_a_start() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    store.record_event(&event("s", 5, EventKind::UserPromptSubmit { prompt: "go".into() })).unwrap();
    let key = SessionKey::new(Harness::Claude, "s").unwrap();
    assert_eq!(facts_of(&store, &key).unwrap().started_at_ms, None);
    store.record_event(&event("s", 9, start(StartSource::Resume))).unwrap();
    assert_eq!(facts_of(&store, &key).unwrap().started_at_ms, Some(9));
    assert_eq!(facts_of(&store, &SessionKey::new(Harness::Codex, "s").unwrap()), None);
}

#[test]
fn a_repeated_delivery_is_stored_once() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let once = event("s", 1, start(StartSource::Startup));
    assert!(store.record_event(&once).unwrap());
    assert!(!store.record_event(&once).unwrap());
}

#[test]
fn what_a_session_continues_is_kept() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    store.record_event(&event("old", 1, start(StartSource::Startup))).unwrap();
    store.record_event(&event("old", 2, EventKind::SessionEnd { reason: Some("clear".into()) })).unwrap();
    let mut new = event("new", 3, start(StartSource::Clear));
    new.origin.predecessor = Some("old".into());
    store.record_event(&new).unwrap();
    store.record_event(&event("new", 4, EventKind::PreCompact)).unwrap();
    let rows = store.sessions(10).unwrap();
    let of = |id: &str| rows.iter().find(|row| row.session_id == id).unwrap();
    assert_eq!(of("new").predecessor.as_deref(), Some("old"));
    assert_eq!((of("old").state, of("old").end_reason.as_deref()), (SessionState::Ended, Some("clear")));
}

#[test]
fn a_verdict_and_its_count_are_written_together_and_once() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let request = stop("s", 10);
    let key = request.event.key.clone();
    assert!(store.accept_stop(&request).unwrap());
    assert_eq!(store.gate_log(10).unwrap()[0].fail_open.as_deref(), Some("pending"));
    assert!(!store.accept_stop(&request).unwrap(), "a repeated delivery");
    let rule = Some(stopgate_gate::RuleId::PlanNotUpdated);
    let row = GateRow { decision: Some(Decision::Continue), rule, would_block: true, ..blank_row(&request) };
    let aside = Aside { continues: Some("f".into()), inputs: Some("{}".into()), ..Aside::default() };
    for _ in 0..2 {
        store.record_verdict(&request, &row, &aside, 11).unwrap();
    }
    let once = [Continued { at_ms: 11, fingerprint: "f".into(), prompt_at_ms: None, boot_ms: None, rule }];
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12).continues, once);
    assert_eq!(turn_of(&store, &key, Mode::Shadow, 12).continues, [], "shadow counts apart");
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12 + DAY_MS).continues, [], "a day later");
    let row = GateRow { name: store.sessions(1).unwrap()[0].name.clone(), ..row };
    assert!(row.name.is_some());
    let explained = store.explain(&request.event_id[..8]).unwrap();
    assert_eq!((explained.found, explained.event, explained.recording), (1, Some(row.clone()), None));
    assert_eq!(store.explain("zzzz").unwrap().found, 0);
    assert_eq!(store.gate_log(10).unwrap(), [row]);
    assert_eq!(store.sessions(10).unwrap()[0].state, SessionState::Idle);
}

#[test]
fn a_refused_write_counts_nothing() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let request = stop("s", 10);
    store.connection.execute_batch("DROP TABLE sessions").unwrap();
    let row = GateRow { decision: Some(Decision::Continue), ..blank_row(&request) };
    let aside = Aside { continues: Some("f".into()), ..Aside::default() };
    assert!(store.record_verdict(&request, &row, &aside, 11).is_err());
    let counted = store.connection.query_row("SELECT count(*) FROM continues", [], |row| row.get::<_, u32>(0));
    assert_eq!(counted, Ok(0));
    assert_eq!(store.gate_log(10).unwrap(), []);
}

#[test]
fn a_prompt_is_noted_where_it_is_the_persons_and_a_contest_is_used_up_by_one_stop() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let request = stop("s", 10);
    let key = request.event.key.clone();
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12), TurnRecord::default());
    let prompt = || EventKind::UserPromptSubmit { prompt: "go on".into() };
    store.record_event(&event("s", 7, prompt())).unwrap();
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12).prompt_at_ms, None, "nobody knows whose it was");
    for at_ms in [7, 5] {
        let request = stop("s", at_ms + 1);
        let aside = Aside { prompt_at_ms: Some(at_ms), ..Aside::default() };
        store.record_verdict(&request, &blank_row(&request), &aside, 9).unwrap();
    }
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12).prompt_at_ms, Some(7), "one from the spool comes late");
    store.record_contest(&key, "all done", 8).unwrap();
    let contest = turn_of(&store, &key, Mode::Enforce, 12).contest;
    assert!(contest.is_some());
    let aside = Aside { contest, ..Aside::default() };
    store.record_verdict(&request, &blank_row(&request), &aside, 11).unwrap();
    assert_eq!(turn_of(&store, &key, Mode::Enforce, 12).contest, None);
}

#[test]
fn what_an_ended_authority_left_open_is_closed() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    store.accept_stop(&stop("s", 10)).unwrap();
    assert_eq!(store.close_interrupted().unwrap(), 1);
    assert_eq!(store.gate_log(10).unwrap()[0].fail_open.as_deref(), Some("interrupted"));
}

#[test]
fn nothing_but_a_regular_file_is_opened() {
    for name in ["stopgate.db", "stopgate.db-journal", "stopgate.db-wal", "stopgate.db-shm"] {
        let (_dir, home) = home();
        std::os::unix::fs::symlink(home.root().join("planted"), home.root().join(name)).unwrap();
        assert!(matches!(Store::open(&home, PATIENCE), Err(StoreError::Io(_))), "{name}");
        assert!(!home.root().join("planted").exists(), "{name}");
    }
}

#[test]
fn the_reaper_notes_an_end_only_of_a_session_that_has_done_nothing_since() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let row = AuditRow {
        at_ms: 9,
        harness: Harness::Claude,
        session_id: "s".into(),
        event: ReaperAuditEvent::Reaping,
        kept_by: None,
        tier: None,
        detail: serde_json::Value::Null,
    };
    assert!(!store.record_reaper_event_if_still(&row, Some(1)).unwrap(), "nobody knows it");
    store.record_event(&event("s", 1, EventKind::SessionStart { source: StartSource::Startup })).unwrap();
    assert!(store.record_reaper_event_if_still(&row, Some(1)).unwrap());
    store.record_event(&event("s", 2, EventKind::UserPromptSubmit { prompt: "go".into() })).unwrap();
    assert!(!store.record_reaper_event_if_still(&row, Some(1)).unwrap(), "it has moved");
    store.record_event(&event("s", 3, EventKind::SessionEnd { reason: Some("other".into()) })).unwrap();
    assert!(!store.record_reaper_event_if_still(&row, Some(3)).unwrap(), "it has ended");
    assert_eq!(store.reaper_audit(10).unwrap(), [row]);
}

#[test]
fn the_reaper_s_audit_skips_what_is_torn_and_a_trip_keeps_its_first_reason() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    assert_eq!(store.reaper_audit(10).unwrap(), []);
    let row = |at_ms, event| AuditRow {
        at_ms,
        harness: Harness::Claude,
        session_id: "s".into(),
        event,
        kept_by: None,
        tier: Some("critical".into()),
        detail: serde_json::json!({"inputs": at_ms}),
    };
    let key = SessionKey::new(Harness::Claude, "s").unwrap();
    let audit = [row(1, ReaperAuditEvent::ReapPending), row(2, ReaperAuditEvent::Reaped)];
    store.record_look(2, &[(key.clone(), CandidateMemory::default())], &audit).unwrap();
    store.connection.execute("INSERT INTO reaper_audit (at_ms, harness, session_id, event, detail) VALUES (3, 'claude', 's', 'reaped', '{\"to')", []).unwrap();
    store.record_reaper_event(&row(4, ReaperAuditEvent::Decision)).unwrap();
    let times = |limit| store.reaper_audit(limit).unwrap().iter().map(|row| row.at_ms).collect::<Vec<_>>();
    assert_eq!((times(10), times(1)), (vec![1, 2, 4], vec![4]), "newest last");
    assert_eq!((store.reaped_since(0).unwrap(), store.reaped_since(3).unwrap()), (2, 0));
    assert_eq!(store.prune_reaper_audit(4).unwrap(), 3);

    assert_eq!(store.reaper_memories().unwrap(), [(key, CandidateMemory::default())]);
    store.connection.execute("UPDATE reaper_candidates SET memory = 'garbage'", []).unwrap();
    assert_eq!(store.reaper_memories().unwrap()[0].1, CandidateMemory::default(), "not understood is nothing proven");
    store.record_look(5, &[], &[]).unwrap();
    assert_eq!(store.reaper_memories().unwrap(), [], "what does not live is forgotten");

    let trip = |at_ms| Trip { at_ms, detail: format!("failed at {at_ms}") };
    store.set_reaper_trip(Some(&trip(1))).unwrap();
    store.set_reaper_trip(Some(&trip(2))).unwrap();
    assert_eq!(store.reaper_trip().unwrap(), Some(trip(1)));
    store.set_reaper_trip(None).unwrap();
    assert_eq!(store.reaper_trip().unwrap(), None);
}

#[test]
fn an_old_file_gains_the_registry_s_columns_and_keeps_its_rows() {
    let (_dir, home) = home();
    let old = rusqlite::Connection::open(home.database()).unwrap();
    old.execute_batch(include_str!("../../../migrations/db/0001_sessions_and_gate.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO sessions (harness, session_id, started_at_ms, last_event, last_event_at_ms, cwd) VALUES
             ('claude', 'a', 1, 'UserPromptSubmit', 2, '/w'), ('claude', 'b', 1, 'SessionEnd', 3, '/w');
         INSERT INTO hook_events VALUES ('e1', 'claude', 'a', 'UserPromptSubmit', 1), ('e2', 'claude', 'a', 'UserPromptSubmit', 2);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let refused = Store::open(&home, PATIENCE).map(|_| ());
    assert!(matches!(refused, Err(StoreError::FromThePast { found: 1, .. })), "left alone: {refused:?}");
    let rows = Store::open_and_migrate(&home, PATIENCE).unwrap().sessions(10).unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.session_id.as_str(), row.state)).collect();
    assert_eq!(states, [("b", SessionState::Ended), ("a", SessionState::Working)]);
    assert_eq!(rows[1].last_events["UserPromptSubmit"], 2);
    assert_eq!(rows[1].start_cwd.as_deref(), Some("/w".as_ref()));
}

#[test]
fn the_words_for_failures_are_respelled_and_others_stay() {
    let (_dir, home) = home();
    let old = old_file(&home, 8);
    for (number, word) in (0..).zip(["rateLimited", "breakerOpen", "interrupted", "inventedWord"]) {
        let id = new_event_id(&FixedClock(number));
        let insert = "INSERT INTO gate_events (event_id, harness, session_id, at_ms, mode, fail_open)
                      VALUES (?1, 'claude', 's', ?2, 'enforce', ?3)";
        old.execute(insert, rusqlite::params![id, number, word]).unwrap();
    }
    drop(old);
    let mut words: Vec<_> = Store::open_and_migrate(&home, PATIENCE)
        .unwrap()
        .gate_log(10)
        .unwrap()
        .into_iter()
        .map(|row| row.fail_open.unwrap())
        .collect();
    words.sort();
    assert_eq!(words, ["breaker_open", "interrupted", "inventedWord", "rate_limited"]);
}

/// A file with the schema of version `version`.
fn old_file(home: &Home, version: usize) -> rusqlite::Connection {
    let old = rusqlite::Connection::open(home.database()).unwrap();
    old.execute_batch(&migrate::MIGRATIONS[..version].concat()).unwrap();
    old.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    old
}

/// An event of a boot at 1,000,000 by the time of day; the clock is `ahead`.
fn booted(id: &str, boot_ms: i64, ahead: i64, kind: EventKind) -> HookEvent {
    HookEvent { boot_ms: Some(boot_ms), ..event(id, 1_000_000 + boot_ms + ahead, kind) }
}

#[test]
fn events_stand_in_the_order_in_which_they_came_however_the_time_of_day_was_set() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let prompt = || EventKind::UserPromptSubmit { prompt: "go".into() };
    let stopped = || EventKind::Stop(Stop::default());
    // A day ahead, and set right afterwards.
    store.record_event(&booted("s", 5_000, DAY_MS, start(StartSource::Startup))).unwrap();
    store.record_event(&booted("s", 6_000, DAY_MS, prompt())).unwrap();
    let late = booted("s", 6_500, DAY_MS, EventKind::PermissionRequest { tool: None });
    store.record_event(&booted("s", 7_000, 0, stopped())).unwrap();
    let row = store.sessions(1).unwrap().remove(0);
    assert_eq!(
        (row.state, row.turn_at_ms, row.last_event_at_ms),
        (SessionState::Idle, Some(1_007_000), Some(1_007_000))
    );
    assert_eq!((row.started_at_ms, row.clock_set, row.booted_at_ms), (Some(1_007_000), true, Some(1_000_000)));
    assert!(row.last_events.values().all(|at| *at <= 1_007_000), "{row:?}");
    // What was seen while it was ahead, and comes late.
    store.record_event(&late).unwrap();
    let row = store.sessions(1).unwrap().remove(0);
    assert_eq!((row.state, row.last_event_at_ms), (SessionState::Idle, Some(1_007_000)));
    // An event in order changes nothing of what is known, and no clock was set.
    store.record_event(&booted("t", 1_000, 0, start(StartSource::Startup))).unwrap();
    store.record_event(&booted("t", 9_000, 0, stopped())).unwrap();
    let row = store.sessions(2).unwrap().into_iter().find(|row| row.session_id == "t").unwrap();
    assert_eq!((row.started_at_ms, row.clock_set), (Some(1_001_000), false));
    // Booted anew, with the clock far behind.
    let mut rebooted = booted("t", 500, -DAY_MS, prompt());
    rebooted.origin.harness_process.as_mut().unwrap().boot_id = "other".into();
    store.record_event(&rebooted).unwrap();
    let row = store.sessions(2).unwrap().into_iter().find(|row| row.session_id == "t").unwrap();
    assert_eq!((row.state, row.last_event_at_ms), (SessionState::Working, Some(1_000_500 - DAY_MS)));
}

#[test]
fn times_of_files_are_compared_with_a_start_only_if_the_clock_was_not_set_since() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let now = |boot_ms: i64, ahead: i64| Moment { wall_ms: 1_000_000 + boot_ms + ahead, boot_ms, awake_ms: boot_ms };
    let comparable = |store: &Store, id: &str, now: Moment| {
        let key = SessionKey::new(Harness::Claude, id).unwrap();
        store.standing(&key, Mode::Enforce, now, "boot").unwrap().0.unwrap().has_comparable_start(now)
    };
    store.record_event(&booted("plain", 5_000, 0, start(StartSource::Startup))).unwrap();
    assert!(comparable(&store, "plain", now(9_000, 0)) && comparable(&store, "plain", now(9_000, 1_000)), "slewed");
    assert!(!comparable(&store, "plain", now(9_000, -3_000)), "set back");
    assert!(!comparable(&store, "plain", now(9_000, 3_000)));
    let long_after = Moment { wall_ms: 1_000_000 + hours(9), boot_ms: 3_000, awake_ms: 3_000 };
    assert!(comparable(&store, "plain", long_after), "booted anew since");
    store.record_event(&booted("ahead", 5_000, DAY_MS, start(StartSource::Startup))).unwrap();
    assert!(!comparable(&store, "ahead", now(9_000, 0)));
    // It was set back in the midst of it, and forth again.
    store.record_event(&booted("plain", 10_000, -DAY_MS, EventKind::PreCompact)).unwrap();
    store.record_event(&booted("plain", 11_000, 0, EventKind::PreCompact)).unwrap();
    assert!(!comparable(&store, "plain", now(12_000, 0)));
    // What older versions have recorded counts as it did.
    store.record_event(&event("old", 5_000, start(StartSource::Startup))).unwrap();
    assert!(comparable(&store, "old", now(12_000, 0)) && !comparable(&store, "old", Moment::default()));
}

#[test]
fn continues_of_the_last_day_are_those_by_either_clock() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let key = SessionKey::new(Harness::Claude, "s").unwrap();
    for (number, boot_id) in ["boot", "before", ""].into_iter().enumerate() {
        let request = stop("s", i64::try_from(number).unwrap());
        let counted = Counted { prompt_at_ms: Some(7), boot_ms: Some(500), boot_id: boot_id.into() };
        let aside = Aside { continues: Some(format!("f{number}")), counted, ..Aside::default() };
        let row = GateRow { decision: Some(Decision::Continue), ..blank_row(&request) };
        store.record_verdict(&request, &row, &aside, 1_000).unwrap();
    }
    let of = |wall_ms, boot_ms, boot_id: &str| {
        let now = Moment { wall_ms, boot_ms, awake_ms: boot_ms };
        let continues = store.standing(&key, Mode::Enforce, now, boot_id).unwrap().1.continues;
        continues.into_iter().map(|one| (one.fingerprint, one.boot_ms)).collect::<Vec<_>>()
    };
    let of_boot = ("f0".to_owned(), Some(500));
    assert_eq!(of(2_000, 900, "boot"), [("f2".into(), None), ("f1".into(), None), of_boot.clone()]);
    assert_eq!(of(5 * DAY_MS, 900, "boot"), [of_boot], "set ahead");
    assert_eq!(of(5 * DAY_MS, 900 + DAY_MS, "boot"), []);
    assert_eq!(of(5 * DAY_MS, 900, ""), [], "an unknown boot is none");
}

/// A script that nobody runs changes nothing.
#[test]
fn every_script_of_the_schema_is_run() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/db");
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let scripts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sql")).count();
    assert_eq!(i64::try_from(scripts).unwrap(), LATEST_VERSION);
}

#[test]
fn a_statement_is_planned_once_whatever_is_bound_to_it() {
    let (_dir, home) = home();
    let mut writer = Store::open(&home, PATIENCE).unwrap();
    let reader = Store::open_to_read(&home, PATIENCE).unwrap();
    for id in ["a", "b", "c"] {
        writer.record_event(&event(id, 5, start(StartSource::Startup))).unwrap();
        assert!(facts_of(&reader, &event(id, 5, start(StartSource::Startup)).event.key).is_some());
    }
    for store in [&writer, &reader] {
        let mut query = store.connection.prepare("SELECT 1 FROM sessions WHERE harness = ?1 LIMIT ?2").unwrap();
        for limit in 1..4 {
            assert!(query.exists(rusqlite::params!["claude", limit]).unwrap());
        }
        assert_eq!(query.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }
}

#[test]
fn what_nobody_saw_stays_until_it_is_marked_and_nothing_else_is_shown() {
    let (_dir, home) = home();
    let store = Store::open(&home, PATIENCE).unwrap();
    let chain = [CallerProcess { pid: 7, start_ticks: 70, name: "sh".into() }];
    let act = |caller, done| OperatorAction { at_ms: 5, action: "mode off", done, caller, chain: &chain, detail: "x" };
    for (caller, done) in [
        (CallerKind::Unattended, true),
        (CallerKind::Unattended, false),
        (CallerKind::Person, true),
        (CallerKind::Agent, false),
        (CallerKind::Unattended, true),
    ] {
        store.record_operator_action(&act(caller, done)).unwrap();
    }
    let unseen = store.unattended_acts().unwrap();
    assert_eq!(unseen.iter().map(|act| act.id).collect::<Vec<_>>(), [1, 5]);
    assert_eq!((unseen[0].action.as_str(), unseen[0].chain.as_slice()), ("mode off", &chain[..]));
    assert_eq!((store.mark_seen(4, 9).unwrap(), store.mark_seen(4, 9).unwrap()), (1, 0));
    assert_eq!(store.unattended_acts().unwrap().len(), 1, "what came since");
}
