//! What the fence decided.

use super::*;
use crate::FenceRecord;
use stopgate_coordination::fence::verdict::{
    ActFacts, FenceDecision, FenceFacts, ForeignLease, Party, WorkSeen, WriteFacts, decide,
};
use stopgate_coordination::fence::{FenceQuestion, FenceVerdict, Intent, TreeAct, TreeVerb, WriteTarget};
use stopgate_coordination::lease::{LeaseMode, LeaseOrigin};

fn key(id: &str) -> SessionKey {
    SessionKey::new(Harness::Claude, id).unwrap()
}

/// `who` writes `path` at `at_ms`; `holder` has a lease of it.
fn write(who: &str, path: &str, at_ms: i64, holder: Option<&str>) -> FenceRecord {
    let lease = |holder: &str| ForeignLease {
        holder: Party { key: key(holder), name: format!("name of {holder}") },
        resource: path.parse().unwrap(),
        mode: LeaseMode::Write,
        origin: LeaseOrigin::Declared,
        since_ms: 1,
    };
    let target = WriteTarget { path: format!("/w/{path}").into(), is_subtree: false, pattern: None };
    let facts = FenceFacts {
        at_ms,
        observed_denies: false,
        writes: vec![WriteFacts {
            target: target.clone(),
            tree: "/w".into(),
            resource: Some(path.parse().unwrap()),
            others: vec![],
            leases: holder.map(lease).into_iter().collect(),
        }],
        acts: vec![],
    };
    record(who, facts, Intent { writes: vec![target], ..Intent::default() })
}

fn record(who: &str, facts: FenceFacts, intent: Intent) -> FenceRecord {
    let decision: FenceDecision = decide(&facts);
    FenceRecord {
        question: FenceQuestion {
            event_id: new_event_id(&FixedClock(facts.at_ms)),
            session: key(who),
            agent_id: None,
            at_ms: facts.at_ms,
            tool: "Write".into(),
            intent,
            said: String::new(),
        },
        name: format!("name of {who}"),
        room: Some("/w".into()),
        head: Some("base".into()),
        mode: Mode::Enforce,
        answered: decision.verdict,
        decision,
        facts,
        took_us: 700,
    }
}

#[test]
fn verdicts_are_counted_and_collisions_are_told_from_mere_refusals() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let hour = hours(1);
    for one in [
        write("amber", "a.rs", hour, None),
        write("birch", "a.rs", hour + 5, Some("amber")),
        write("birch", "b.rs", hour + 6, Some("amber")),
        // The same file, but not within the hour.
        write("amber", "c.rs", hour, None),
        write("birch", "c.rs", 3 * hour, None),
    ] {
        assert!(store.record_fence(&one).unwrap());
        assert!(!store.record_fence(&one).unwrap(), "known already");
    }
    let report = store.fence_report(None).unwrap();
    assert_eq!((report.asked, report.decided.deny, report.decided.allow), (5, 2, 3));
    assert_eq!((report.collisions, report.denied_collisions, report.p99_us), (1, 1, 700));
    assert_eq!(
        (report.by_pair[0].who.as_str(), report.by_pair[0].against.as_str()),
        ("name of birch", "name of amber")
    );
    let collided: Vec<_> = report.denials.iter().map(|one| (one.what.as_str(), one.collided)).collect();
    assert_eq!(collided, [("write b.rs claude:amber", false), ("write a.rs claude:amber", true)]);
    assert_eq!(store.fence_report(Some(2 * hour)).unwrap().asked, 1);
    assert_eq!(report.missing.len(), 1, "{:?}", report.missing);
    let id = report.denials[0].event_id.clone();
    assert_eq!(store.grade_fence(&id, false).unwrap(), Some(id.clone()));
    let report = store.fence_report(None).unwrap();
    assert_eq!((report.graded.wrong, report.missing.len(), report.denials[0].is_right), (1, 2, Some(false)));
    let explained = store.fence_explanation(&id[..20]).unwrap().unwrap();
    assert_eq!((&explained.decided, explained.name.as_str()), (&explained.replayed, "name of birch"));
    assert_eq!(store.fence_explanation("").unwrap(), None, "more than one");
    assert_eq!(store.grade_fence("nothing", true).unwrap(), None);
    assert_eq!(store.fenced(&[key("amber"), key("cedar")]).unwrap(), [key("amber")]);
    assert_eq!(store.prune(3 * hour, 100).unwrap().fence, 4);
    assert_eq!(store.fence_report(None).unwrap().collisions, 0);
}

#[test]
fn the_same_refusals_of_a_turn_are_counted() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let count = |store: &Store| store.fence_denials(&key("birch"), "write a.rs claude:amber", 9).unwrap();
    let shadowed = FenceRecord { answered: FenceVerdict::Allow, ..write("birch", "a.rs", 9, Some("amber")) };
    for one in [write("birch", "a.rs", 10, Some("amber")), write("birch", "b.rs", 11, Some("amber")), shadowed] {
        store.record_fence(&one).unwrap();
    }
    assert_eq!(count(&store), 1);
    store.record_event(&event("birch", 20, EventKind::UserPromptSubmit { prompt: String::new() })).unwrap();
    assert_eq!(count(&store), 0, "a new turn");
    store.record_fence(&write("birch", "a.rs", 21, Some("amber"))).unwrap();
    assert_eq!(count(&store), 1);
}

#[test]
fn who_was_let_stash_is_remembered_and_who_was_not_is_not() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    let act = TreeAct::plain(TreeVerb::Stash, "/w");
    let facts = |at_ms| FenceFacts {
        at_ms,
        observed_denies: false,
        writes: vec![],
        acts: vec![ActFacts {
            act: act.clone(),
            tree: "/w".into(),
            others: vec![],
            leases: vec![],
            names: Vec::new(),
            is_elsewhere: false,
            others_at_work: Vec::new(),
            work: WorkSeen::NotAsked,
            entry: None,
        }],
    };
    let stash = |at_ms| record("amber", facts(at_ms), Intent { acts: vec![act.clone()], ..Intent::default() });
    store.record_fence(&stash(10)).unwrap();
    store.record_fence(&FenceRecord { answered: FenceVerdict::Deny, ..stash(20) }).unwrap();
    let seen = store.seen_stashes("/w", 0).unwrap();
    assert_eq!(seen.iter().map(|one| (one.at_ms, one.head.as_deref())).collect::<Vec<_>>(), [(10, Some("base"))]);
    assert_eq!(seen[0].who, Party { key: key("amber"), name: "name of amber".into() });
    assert!(store.seen_stashes("/w", 11).unwrap().is_empty() && store.seen_stashes("/v", 0).unwrap().is_empty());
}

#[test]
fn what_a_session_continues_is_its_own_and_what_a_fork_came_from_is_not() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, PATIENCE).unwrap();
    store.record_event(&event("old", 10, start(StartSource::Startup))).unwrap();
    for (id, at_ms, source) in [("new", 20, StartSource::Clear), ("fork", 30, StartSource::Fork)] {
        let mut began = event(id, at_ms, start(source));
        began.origin.predecessor = Some("old".into());
        store.record_event(&began).unwrap();
    }
    assert_eq!(store.lineage(&key("new")).unwrap(), [key("new"), key("old")]);
    assert_eq!(store.lineage(&key("fork")).unwrap(), [key("fork")]);
    assert_eq!(store.lineage(&key("nobody")).unwrap(), [key("nobody")]);
}
