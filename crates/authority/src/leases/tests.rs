//! The engine over a real store: what is granted is written down first, by whoever asks at once, and found again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

use stopgate_coordination::lease::{Answer, Claim, LeaseMode, LeaseOrigin, Request, Token, Which};
use stopgate_core::clock::SystemClock;
use stopgate_core::paths::Home;
use stopgate_core::session::{Harness, SessionKey};

use super::Leases;
use crate::settings::Settings;
use crate::storage::Storage;

const ROOM: &str = "/room";

fn key(name: &str) -> SessionKey {
    SessionKey::new(Harness::Claude, name).unwrap()
}

fn claim(resource: &str) -> Claim {
    Claim { resource: resource.parse().unwrap(), tree: Some(ROOM.into()), mode: LeaseMode::Write }
}

fn engine(home: &Home) -> Leases {
    home.create().unwrap();
    let storage = Arc::new(Storage::open(home.clone(), Box::new(SystemClock)));
    Leases::of(home, storage, Arc::new(Settings::load(home.clone())))
}

impl Leases {
    fn acquire(&self, who: &str, what: &str) -> Option<Token> {
        let request = Request::Acquire { session: key(who), claims: vec![claim(what)] };
        match self.ask(Path::new(ROOM), &request).unwrap() {
            Answer::Granted { token, .. } => Some(token),
            Answer::Held { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    fn release(&self, who: &str) {
        let request = Request::Release { session: key(who), which: Which::default(), handoff: None };
        let answer = self.ask(Path::new(ROOM), &request).unwrap();
        assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    }
}

#[test]
fn of_64_that_ask_at_once_one_has_it_a_thousand_times() {
    const ASKERS: usize = 64;
    let rounds = if cfg!(debug_assertions) { 200 } else { 1_000 };
    let dir = tempfile::tempdir().unwrap();
    let leases = engine(&Home::at(dir.path()));
    let (gate, granted) = (Barrier::new(ASKERS), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for at in 0..ASKERS {
            let (leases, gate, granted) = (&leases, &gate, &granted);
            scope.spawn(move || {
                let name = format!("s{at}");
                for _ in 0..rounds {
                    gate.wait();
                    let token = leases.acquire(&name, "a");
                    granted.lock().unwrap().extend(token);
                    if gate.wait().is_leader() {
                        let mut granted = granted.lock().unwrap();
                        assert_eq!(granted.len() % 2, 1, "one of them: {granted:?}");
                        let token = *granted.last().unwrap();
                        // The mark of a round.
                        granted.push(token);
                    }
                    gate.wait();
                    if token.is_some() {
                        leases.release(&name);
                    }
                }
            });
        }
    });
    let granted = granted.into_inner().unwrap();
    let tokens: Vec<Token> = granted.chunks(2).map(|pair| pair[0]).collect();
    assert_eq!(tokens.len(), rounds);
    assert!(tokens.is_sorted_by(|one, next| one < next), "numbers rise");
}

#[test]
fn what_was_granted_is_found_again_by_the_next_authority() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let leases = engine(&home);
    let token = leases.acquire("amber", "a").unwrap();
    let wait = Request::Wait { session: key("birch"), claims: vec![claim("a")], is_parked: true };
    assert!(matches!(leases.ask(Path::new(ROOM), &wait).unwrap(), Answer::Queued { .. }));
    let before = leases.room(Path::new(ROOM));
    drop(leases);
    let leases = engine(&home);
    let after = leases.room(Path::new(ROOM));
    assert_eq!((&after.leases, &after.waiters), (&before.leases, &before.waiters));
    leases.release("amber");
    assert_eq!(leases.acquire("amber", "a"), None, "birch has it");
    let untold = leases.untold(&key("birch")).unwrap();
    assert_eq!(untold.len(), 1, "it has not heard of it: {untold:?}");
    assert!(untold[0].token > Some(token));
    leases.told(&key("birch"), i64::MAX, None).unwrap();
    assert!(leases.untold(&key("birch")).unwrap().is_empty());
    assert!(leases.chosen(|lease| lease.origin == LeaseOrigin::Declared).len() == 1);
}

#[test]
fn what_is_not_written_down_is_not_granted() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let leases = engine(&home);
    leases.acquire("amber", "a").unwrap();
    // Somebody else writes, and does not end.
    let other = rusqlite::Connection::open(home.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request = Request::Acquire { session: key("birch"), claims: vec![claim("b")] };
    assert!(leases.ask(Path::new(ROOM), &request).is_err());
    assert_eq!(leases.room(Path::new(ROOM)).leases.len(), 1);
    other.execute_batch("ROLLBACK").unwrap();
    drop(leases);
    let leases = engine(&home);
    assert_eq!(leases.room(Path::new(ROOM)).leases.len(), 1, "nothing of it is there");
    assert!(leases.acquire("birch", "b").is_some());
}

#[test]
fn a_thousand_steps_with_restarts_lose_nothing_and_give_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    let mut leases = engine(&home);
    // Small and seeded: the same steps each time.
    let mut state = 0x5EED_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut last, mut held) = (Token(0), BTreeMap::new());
    for _ in 0..1_000 {
        let (who, what) = (format!("s{}", next(6)), format!("f{}", next(8)));
        match next(12) {
            0 => {
                let before = leases.room(Path::new(ROOM));
                drop(leases);
                leases = engine(&home);
                let after = leases.room(Path::new(ROOM));
                assert_eq!((before.leases, before.waiters), (after.leases, after.waiters));
            }
            1..=4 if held.values().any(|holder| *holder == who) => {
                leases.release(&who);
                held.retain(|_, holder| *holder != who);
            }
            _ => match leases.acquire(&who, &what) {
                Some(token) => {
                    let holder = held.insert(what, who.clone());
                    assert!(holder.as_ref().is_none_or(|holder| *holder == who), "given twice");
                    assert_eq!(holder.is_none(), token > last, "numbers rise with each grant");
                    last = last.max(token);
                }
                None => assert!(held.get(&what).is_some_and(|holder| *holder != who)),
            },
        }
    }
    assert!(last > Token(100));
}

#[test]
fn a_write_meets_what_covers_it_and_what_it_covers() {
    let dir = tempfile::tempdir().unwrap();
    let leases = engine(&Home::at(dir.path()));
    leases.acquire("amber", "src/").unwrap();
    leases.acquire("birch", "docs/a.md").unwrap();
    let met = |path: &str, is_subtree| {
        let met = leases.overlapping(Path::new(ROOM), &Path::new(ROOM).join(path), is_subtree);
        met.into_iter().map(|lease| lease.holder.session_id).collect::<Vec<_>>()
    };
    assert_eq!(met("src/deep/x.rs", false), ["amber"]);
    assert_eq!(met("src/a\nb", false), ["amber"], "no lease is of such a name");
    assert_eq!(met("docs", true), ["birch"]);
    assert_eq!(met("docs", false), ["birch"], "what is to be a file may be a directory by then");
    assert!(met("docs/b.md", false).is_empty() && met("@src/x", false).is_empty());
    assert_eq!(met("", true).len(), 2);
    assert!(leases.overlapping(Path::new("/other"), Path::new("/other/src/x"), false).is_empty());
    assert_eq!(leases.of_tree(Path::new(ROOM)).len(), 2);
}
