//! How SQLite comes to its answers: never by going through a table that grows with the past.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use stopgate_core::tmux::TmuxPlace;
use stopgate_gate::report::Grade;
use stopgate_protocol::{CallerKind, Decided, LogFilter};

use super::*;
use crate::{NewGrade, OperatorAction};

/// What may be gone through: tables with a handful of rows, and what is no table.
const SMALL: [&str; 7] =
    ["CONSTANT ROW", "json_each", "reaper_candidates", "reaper_trips", "judge_breakers", "clock_looks", "(subquery"];

/// Indices of a handful of rows: what waits for somebody.
const FEW: [&str; 2] = [" USING INDEX gate_events_pending", " USING INDEX operator_actions_unseen"];

/// Every statement that `store` runs from now on.
fn heard(store: &mut Store) -> Arc<Mutex<BTreeSet<String>>> {
    let statements: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let heard = Arc::clone(&statements);
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, text) = event {
            heard.lock().unwrap().insert(text.to_owned());
        }
    };
    store.connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).unwrap();
    statements
}

/// Asks and writes all that can be asked and written.
fn everything(store: &mut Store) {
    let key = SessionKey::new(Harness::Claude, "s").unwrap();
    let now = FixedClock(99).moment();
    store.record_event(&booted("s", 1, DAY_MS, start(StartSource::Startup))).unwrap();
    store.record_event(&booted("s", 2, 0, EventKind::UserPromptSubmit { prompt: "go".into() })).unwrap();
    let mut other = booted("s", 3, 0, start(StartSource::Clear));
    other.origin.predecessor = Some("p".into());
    other.origin.harness_process.as_mut().unwrap().pid = 8;
    store.record_event(&other).unwrap();
    let change = |lost| EventKind::ConfigChange { file: Some("/f".into()), lost };
    let lost = serde_json::from_value(serde_json::json!({"file": "/f", "how": "removed", "events": ["Stop"]})).unwrap();
    store.record_event(&booted("s", 4, 0, change(Some(Box::new(lost))))).unwrap();
    store.record_event(&booted("s", 5, 0, change(None))).unwrap();
    let request = stop("s", 10);
    store.accept_stop(&request).unwrap();
    let aside = Aside {
        continues: Some("f".into()),
        prompt_at_ms: Some(1),
        contest: Some(1),
        counted: Counted { boot_ms: Some(1), ..Counted::default() },
        ..Aside::default()
    };
    let row = GateRow { decision: Some(Decision::Continue), blocked: true, ..blank_row(&request) };
    store.record_verdict(&request, &row, &aside, 11).unwrap();
    store.has_stop(&request.event_id).unwrap();
    store.close_interrupted().unwrap();
    store.standing(&key, Mode::Enforce, now, "boot").unwrap();
    store.record_contest(&key, "because", 12).unwrap();
    let filters = [
        LogFilter::default(),
        LogFilter { session: Some("s".into()), ..LogFilter::default() },
        LogFilter { decision: Some(Decided::Continue), ..LogFilter::default() },
        LogFilter { event: Some("01".into()), ..LogFilter::default() },
        LogFilter { ungraded: true, ..LogFilter::default() },
        LogFilter {
            session: Some("s".into()),
            decision: Some(Decided::Failed),
            ungraded: true,
            ..LogFilter::default()
        },
    ];
    for filter in &filters {
        store.gate_log_of(filter).unwrap();
    }
    store.explain(&request.event_id).unwrap();
    let new = NewGrade { event_id: &request.event_id, grade: Grade::Right, why: "", operator: "dev", at_ms: 13 };
    store.grade(new).unwrap();
    store.grades_of(&store.gate_log(1).unwrap()).unwrap();
    store.report(0, 99).unwrap();
    let caller = CallerKind::Unattended;
    let act = OperatorAction { at_ms: 14, action: "mode", done: true, caller, chain: &[], detail: "" };
    store.record_operator_action(&act).unwrap();
    store.unattended_acts().unwrap();
    store.mark_seen(1, 15).unwrap();
    store.sessions(10).unwrap();
    store.sessions_not_ended(10).unwrap();
    store.sessions_named("s", 10).unwrap();
    store.set_dirty_at_start(&key, "d").unwrap();
    store.set_head_at_start(&key, "h").unwrap();
    let place = TmuxPlace { server: "/s".into(), server_pid: Some(1), session: Some("w".into()), pane: "%1".into() };
    store.set_tmux_session(&key, &place).unwrap();
    store.harness_processes("boot", Some(1)).unwrap();
    store.has_sessions_outside("boot", Some(1)).unwrap();
    store.reaper_memories().unwrap();
    let audit = AuditRow {
        at_ms: 15,
        harness: Harness::Claude,
        session_id: "s".into(),
        event: ReaperAuditEvent::Reaped,
        kept_by: None,
        tier: None,
        detail: serde_json::Value::Null,
    };
    store.record_look(15, &[(key.clone(), CandidateMemory::default())], std::slice::from_ref(&audit)).unwrap();
    store.record_reaper_event(&audit).unwrap();
    store.record_reaper_event_if_still(&audit, Some(1)).unwrap();
    store.reaper_audit(10).unwrap();
    store.reaped_since(1).unwrap();
    store.reaper_trip().unwrap();
    store.set_reaper_trip(None).unwrap();
    store.mark_ended(&key, 16, "reaped-idle").unwrap();
    store.record_event(&booted("s", 20, 0, EventKind::SessionEnd { reason: None })).unwrap();
    store.look_at_clocks(now, "boot").unwrap();
    store.look_at_clocks(now, "boot").unwrap();
    store.prune_reaper_audit(99).unwrap();
    store.prune(99, 10).unwrap();
    store.breakers().unwrap();
    store.reset_breakers().unwrap();
}

#[test]
fn nothing_goes_through_a_table_that_grows() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let statements = heard(&mut store);
    everything(&mut store);
    let statements = std::mem::take(&mut *statements.lock().unwrap());
    let is_planned =
        |text: &&String| ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| text.trim().starts_with(verb));
    let planned: Vec<&String> = statements.iter().filter(is_planned).collect();
    assert!(planned.len() > 50, "{} statements were heard", planned.len());
    let mut wrong = Vec::new();
    for text in planned {
        let mut query = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        let plan: Vec<String> = query.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
        let sorts = plan.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        for step in plan.iter().filter(|step| step.starts_with("SCAN ")) {
            let is_small = SMALL.iter().any(|name| step["SCAN ".len()..].starts_with(name));
            // In the order that is asked for, until there are as many as are asked for; or the few of an index of few.
            let in_order = step.contains(" USING ") || text.contains("ORDER BY id DESC LIMIT");
            let ends_early = in_order && text.contains("LIMIT") && !sorts;
            let is_of_few = FEW.iter().any(|index| step.ends_with(index));
            if !is_small && !ends_early && !is_of_few {
                wrong.push(format!("{step}: {text}\n  {}", plan.join("\n  ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
