//! What becomes of leases, rule by rule.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rstest::rstest;
use stopgate_core::clock::{minutes, seconds};
use stopgate_core::session::{Harness, SessionKey};

use super::*;

mod random;

const START: i64 = 1_000_000;

/// A room with a clock and sessions of which everything is said.
#[derive(Default)]
struct Stage {
    room: RoomLeases,
    boot_ms: i64,
    no_end_before: i64,
    sessions: BTreeMap<SessionKey, Session>,
    /// Every lease that was ever given, and every change, in order.
    changes: RefCell<Vec<Change>>,
}

#[derive(Clone, Copy)]
struct Session {
    end: Option<LeaseEnd>,
    sign: i64,
    standing: Standing,
    listens: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self { end: None, sign: 0, standing: Standing::Working, listens: false }
    }
}

impl Facts for Stage {
    fn end(&self, session: &SessionKey) -> Option<LeaseEnd> {
        self.sessions.get(session).and_then(|session| session.end)
    }
    fn sign_boot_ms(&self, session: &SessionKey) -> i64 {
        self.sessions.get(session).map_or(0, |session| session.sign)
    }
    fn standing(&self, session: &SessionKey) -> Standing {
        self.sessions.get(session).map_or(Standing::Working, |session| session.standing)
    }
    fn is_listening(&self, session: &SessionKey) -> bool {
        self.sessions.get(session).is_some_and(|session| session.listens)
    }
}

fn key(name: &str) -> SessionKey {
    SessionKey::new(Harness::Claude, name).unwrap_or_else(|| panic!("{name}"))
}

/// `a.rs` to write, `r:a.rs` to read, `@name` of the room.
fn claim(text: &str) -> Claim {
    let (mode, text) = text.strip_prefix("r:").map_or((LeaseMode::Write, text), |text| (LeaseMode::Read, text));
    let resource: crate::resource::Resource = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
    let tree = (!resource.is_name()).then(|| "/tree".into());
    Claim { resource, tree, mode }
}

fn claims(texts: &str) -> Vec<Claim> {
    texts.split(' ').filter(|text| !text.is_empty()).map(claim).collect()
}

impl Stage {
    fn new() -> Self {
        Self { boot_ms: START, ..Self::default() }
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: self.boot_ms,
            boot_ms: self.boot_ms,
            no_end_before_boot_ms: self.no_end_before,
            limits: Limits::default(),
        }
    }

    fn ask(&mut self, request: &Request) -> Answer {
        let Decision { answer, changes, after } = decide(&self.now(), &self.room, request, self);
        let mut replayed = self.room.clone();
        for change in &changes {
            replayed.apply(change);
        }
        assert_eq!(replayed, after, "what is written down is the room");
        self.room = after;
        self.changes.borrow_mut().extend(changes);
        answer
    }

    fn acquire(&mut self, who: &str, what: &str) -> Answer {
        self.ask(&Request::Acquire { session: key(who), claims: claims(what) })
    }

    fn wait(&mut self, who: &str, what: &str) -> Answer {
        self.session(who).listens = true;
        self.ask(&Request::Wait { session: key(who), claims: claims(what), is_parked: false })
    }

    fn park(&mut self, who: &str, what: &str) -> Answer {
        self.ask(&Request::Wait { session: key(who), claims: claims(what), is_parked: true })
    }

    fn release(&mut self, who: &str, what: &str) -> Answer {
        let which = Which { claims: claims(what), token: None };
        self.ask(&Request::Release { session: key(who), which, handoff: None })
    }

    fn look(&mut self) {
        self.ask(&Request::Look);
    }

    fn session(&mut self, who: &str) -> &mut Session {
        let sign = self.boot_ms;
        self.sessions.entry(key(who)).or_insert(Session { sign, ..Session::default() })
    }

    fn passes(&mut self, millis: i64) {
        self.boot_ms += millis;
    }

    fn token(&self, who: &str, what: &str) -> Option<u64> {
        let wanted = claim(what);
        let gives = |lease: &&Lease| lease.holder == key(who) && lease.gives(&wanted);
        self.room.leases.iter().find(gives).map(|lease| lease.token.0)
    }

    fn ended(&self, who: &str) -> Vec<LeaseEnd> {
        let of = |change: &Change| match change {
            Change::Ended { lease, why, .. } if lease.holder == key(who) => Some(*why),
            _ => None,
        };
        self.changes.borrow().iter().filter_map(of).collect()
    }
}

fn is_granted(answer: &Answer) -> bool {
    matches!(answer, Answer::Granted { .. })
}

fn is_held(answer: &Answer) -> bool {
    matches!(answer, Answer::Held { .. })
}

#[rstest]
#[case("src/a.rs", "src/a.rs", false)]
#[case("src/", "src/a.rs", false)]
#[case("/", "src/a.rs", false)]
#[case("src/a.rs", "src/b.rs", true)]
#[case("r:src/", "r:src/a.rs", true)]
#[case("r:src/", "src/a.rs", false)]
#[case("src/", "r:src/a.rs", false)]
#[case("/", "@leader", true)]
#[case("@leader", "@leader", false)]
#[case("@merge:main", "@merge:next", true)]
fn two_hold_what_does_not_overlap_or_is_only_read(#[case] first: &str, #[case] second: &str, #[case] both: bool) {
    let mut stage = Stage::new();
    assert!(is_granted(&stage.acquire("amber", first)));
    assert_eq!(is_granted(&stage.acquire("birch", second)), both);
    assert_eq!(stage.token("birch", second).is_some(), both);
}

#[test]
fn two_worktrees_have_the_same_path_and_share_names() {
    let mut stage = Stage::new();
    stage.acquire("amber", "src/a.rs @stash");
    let other = Claim { tree: Some("/other".into()), ..claim("src/a.rs") };
    assert!(is_granted(&stage.ask(&Request::Acquire { session: key("birch"), claims: vec![other] })));
    assert!(is_held(&stage.acquire("birch", "@stash")));
}

#[test]
fn all_is_given_or_nothing_and_what_is_held_already_keeps_its_number() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    assert!(is_held(&stage.acquire("birch", "b a")));
    assert_eq!(stage.token("birch", "b"), None, "all or nothing");
    let before = stage.changes.borrow().len();
    assert!(matches!(stage.acquire("amber", "a"), Answer::Granted { token: Token(1), is_old: true, .. }));
    assert_eq!(stage.changes.borrow().len(), before, "nothing happened");
    stage.acquire("amber", "a c");
    assert_eq!((stage.token("amber", "a"), stage.token("amber", "c")), (Some(1), Some(2)));
}

#[test]
fn who_reads_writes_only_as_the_one_reader() {
    let mut stage = Stage::new();
    stage.acquire("amber", "r:a");
    stage.acquire("birch", "r:a");
    assert!(is_held(&stage.acquire("amber", "a")));
    stage.release("birch", "a");
    assert!(is_granted(&stage.acquire("amber", "a")));
    assert_eq!(stage.room.leases.len(), 1, "the old one is replaced");
    assert!(is_held(&stage.acquire("birch", "r:a")));
}

#[test]
fn the_first_in_the_queue_is_the_first_served_and_who_releases_is_the_last() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    assert!(matches!(stage.wait("birch", "a"), Answer::Queued { before: 0, .. }));
    assert!(matches!(stage.wait("cedar", "a"), Answer::Queued { before: 1, .. }));
    let Answer::Done { next, .. } = stage.release("amber", "a") else { panic!("not released") };
    assert_eq!(next[0].holder, key("birch"));
    assert!(matches!(stage.acquire("amber", "a"), Answer::Held { waiting: 1, .. }), "no immediate take-back");
    assert!(matches!(stage.wait("amber", "a"), Answer::Queued { before: 1, .. }));
    stage.release("birch", "a");
    assert!(stage.token("cedar", "a").is_some());
    stage.release("cedar", "a");
    assert!(stage.token("amber", "a").is_some());
    assert_eq!(stage.room.last_token, Token(4));
}

#[test]
fn who_comes_later_does_not_overtake_one_that_waits_for_more() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.wait("birch", "a b");
    assert!(is_held(&stage.acquire("cedar", "b")), "free, and birch has waited for it");
    stage.release("amber", "a");
    assert!(stage.token("birch", "b").is_some());
}

#[test]
fn who_is_waited_for_goes_first() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.wait("birch", "a b");
    assert!(is_granted(&stage.acquire("amber", "b")), "birch cannot have it before amber is done");
}

#[test]
fn a_wait_that_would_never_end_is_refused_with_the_way_it_goes() {
    let mut stage = Stage::new();
    for (who, what) in [("amber", "a"), ("birch", "b"), ("cedar", "c")] {
        stage.acquire(who, what);
    }
    stage.wait("amber", "b");
    stage.wait("birch", "c");
    let Answer::WouldDeadlock { cycle } = stage.wait("cedar", "a") else { panic!("cedar waits") };
    let way: Vec<_> = cycle.iter().map(|lease| (lease.holder.session_id.as_str(), lease.resource.as_str())).collect();
    assert_eq!(way, [("amber", "a"), ("birch", "b"), ("cedar", "c")]);
    assert!(stage.room.place(&key("cedar")).is_none());
    assert!(matches!(stage.wait("dogwood", "a"), Answer::Queued { .. }), "who holds nothing waits");
    // Both read, and both want to write.
    stage.acquire("elder", "r:e");
    stage.acquire("fir", "r:e");
    assert!(matches!(stage.wait("elder", "e"), Answer::Queued { .. }));
    assert!(matches!(stage.wait("fir", "e"), Answer::WouldDeadlock { .. }));
}

#[test]
fn what_is_not_taken_up_goes_to_the_next_and_the_place_is_kept() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.park("birch", "a");
    stage.session("birch").standing = Standing::Resting;
    stage.wait("cedar", "a");
    stage.passes(seconds(1));
    stage.release("amber", "a");
    assert!(stage.token("birch", "a").is_some());
    stage.passes(TAKE_UP_MS - 1);
    stage.look();
    assert!(stage.token("birch", "a").is_some(), "it has its time");
    stage.passes(1);
    stage.look();
    assert_eq!(stage.ended("birch"), [LeaseEnd::NotTakenUp]);
    assert!(stage.token("cedar", "a").is_some());
    let skipped = |change: &Change| matches!(change, Change::Skipped { waiter } if waiter.session == key("birch"));
    assert!(stage.changes.borrow().iter().any(skipped), "loudly");
    stage.wait("dogwood", "a");
    stage.session("birch").sign = stage.boot_ms + 1;
    stage.passes(2);
    stage.release("cedar", "a");
    assert!(stage.token("birch", "a").is_some(), "heard again, it is before dogwood");
}

#[test]
fn who_cannot_be_reached_is_passed_over_and_keeps_its_place() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.wait("birch", "a");
    stage.session("birch").listens = false;
    stage.ask(&Request::StopListening { session: key("birch"), gives_up: false });
    stage.wait("cedar", "a");
    stage.release("amber", "a");
    assert!(stage.token("cedar", "a").is_some());
    assert!(matches!(stage.wait("birch", "a"), Answer::Queued { before: 0, .. }), "the same place");
    stage.session("birch").listens = false;
    stage.ask(&Request::StopListening { session: key("birch"), gives_up: false });
    stage.passes(PLACE_KEPT_MS);
    stage.look();
    assert!(stage.room.place(&key("birch")).is_none(), "not for ever");
}

#[test]
fn what_nobody_else_wants_stays_though_it_is_not_taken_up() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.park("birch", "a");
    stage.release("amber", "a");
    stage.passes(TAKE_UP_MS * 2);
    stage.look();
    assert!(stage.token("birch", "a").is_some());
}

#[rstest]
#[case(Standing::Working, minutes(40), None)]
#[case(Standing::Working, minutes(240), Some(LeaseEnd::Longest))]
#[case(Standing::Unclear, minutes(40), None)]
#[case(Standing::Unclear, minutes(240), Some(LeaseEnd::Longest))]
#[case(Standing::Resting, minutes(10) - 1, None)]
#[case(Standing::Resting, minutes(10), Some(LeaseEnd::Idle))]
fn a_lease_lasts_as_long_as_its_holder_works(
    #[case] standing: Standing,
    #[case] silent: i64,
    #[case] end: Option<LeaseEnd>,
) {
    let mut stage = Stage::new();
    *stage.session("amber") = Session { standing, sign: START, ..Session::default() };
    stage.acquire("amber", "a");
    assert!(next_end(&stage.now(), &stage.room, &stage).is_some_and(|next| next <= START + minutes(240)));
    stage.passes(silent);
    // Whatever ends by itself has been announced by then.
    stage.look();
    assert_eq!(stage.ended("amber").first().copied(), end);
}

#[test]
fn every_sign_renews_and_a_renewal_by_name_begins_the_longest_anew() {
    let mut stage = Stage::new();
    stage.session("amber").standing = Standing::Resting;
    stage.acquire("amber", "a");
    for _ in 0..23 {
        stage.passes(minutes(10) - 1);
        stage.session("amber").sign = stage.boot_ms;
        stage.look();
    }
    assert!(stage.token("amber", "a").is_some());
    let which = Which { claims: Vec::new(), token: Some(Token(1)) };
    assert!(matches!(stage.ask(&Request::Renew { session: key("amber"), which }), Answer::Done { .. }));
    stage.session("amber").standing = Standing::Working;
    stage.passes(minutes(239));
    stage.look();
    assert!(stage.token("amber", "a").is_some());
    stage.passes(minutes(1));
    stage.look();
    assert_eq!(stage.ended("amber"), [LeaseEnd::Longest]);
}

#[test]
fn after_a_jump_every_end_waits_for_a_sign_of_life_but_a_proven_end() {
    let mut stage = Stage::new();
    for who in ["amber", "birch"] {
        stage.session(who).standing = Standing::Resting;
        stage.acquire(who, who);
    }
    stage.passes(minutes(480));
    stage.no_end_before = stage.boot_ms + JUMP_PATIENCE_MS;
    stage.session("birch").end = Some(LeaseEnd::HolderGone);
    stage.look();
    assert_eq!((stage.ended("amber"), stage.ended("birch")), (vec![], vec![LeaseEnd::HolderGone]));
    assert!(!may_be_taken(&stage.now(), &stage.room.leases[0], &stage));
    assert_eq!(next_end(&stage.now(), &stage.room, &stage), Some(stage.no_end_before));
    stage.passes(JUMP_PATIENCE_MS);
    stage.look();
    assert_eq!(stage.ended("amber"), [LeaseEnd::Longest]);
}

#[rstest]
#[case(Standing::Working, minutes(20), false)]
#[case(Standing::Unclear, minutes(10) - 1, false)]
#[case(Standing::Unclear, minutes(10), true)]
fn what_a_silent_session_holds_is_taken_and_a_live_turn_is_the_persons_to_end(
    #[case] standing: Standing,
    #[case] silent: i64,
    #[case] taken: bool,
) {
    let mut stage = Stage::new();
    *stage.session("amber") = Session { standing, sign: START, ..Session::default() };
    stage.acquire("amber", "a");
    stage.passes(silent);
    let Answer::Held { may_be_taken, .. } = stage.acquire("birch", "a") else { panic!("not held") };
    assert_eq!(may_be_taken, taken, "offered, and not done");
    let take = |by_person| Request::Take {
        session: Some(key("birch")),
        by_person,
        claims: claims("a"),
        reason: "silent".to_owned(),
    };
    assert_eq!(matches!(stage.ask(&take(false)), Answer::Done { .. }), taken);
    assert!(matches!(stage.ask(&take(true)), Answer::Done { .. } | Answer::Granted { .. }));
    assert_eq!(stage.ended("amber"), [LeaseEnd::Taken]);
    let which = Which { claims: claims("a"), token: Some(Token(1)) };
    let old = stage.ask(&Request::Release { session: key("amber"), which, handoff: None });
    assert!(
        matches!(old, Answer::Stale { token: Token(1), ref holders } if holders[0].holder == key("birch")),
        "{old:?}"
    );
    assert!(stage.token("birch", "a") > Some(1));
}

#[test]
fn a_handoff_reaches_the_next_holder_once_and_not_its_author() {
    let mut stage = Stage::new();
    let text =
        |next: &str| HandoffText { status: "half".to_owned(), next: next.to_owned(), artifact: None, question: None };
    let release = |who, handoff| Request::Release {
        session: key(who),
        which: Which { claims: claims("a"), token: None },
        handoff: Some(handoff),
    };
    stage.acquire("amber", "a");
    stage.ask(&release("amber", text("the rest")));
    let Answer::Granted { handoffs, .. } = stage.acquire("birch", "a") else { panic!("not granted") };
    assert_eq!(handoffs.iter().map(|handoff| handoff.text.next.as_str()).collect::<Vec<_>>(), ["the rest"]);
    assert!(stage.room.handoffs.is_empty());
    stage.ask(&release("birch", text("mine")));
    let Answer::Granted { handoffs, .. } = stage.acquire("birch", "a") else { panic!("not granted") };
    assert!(handoffs.is_empty() && stage.room.handoffs.is_empty());
}

#[test]
fn one_that_is_named_gets_it_before_the_queue_and_what_it_does_not_take_up_goes_on() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.wait("birch", "a");
    let which = Which { claims: claims("a"), token: Some(Token(1)) };
    let pass = Request::Pass { session: key("amber"), which, to: key("cedar"), handoff: None };
    let Answer::Done { next, .. } = stage.ask(&pass) else { panic!("not passed") };
    assert_eq!(next[0].holder, key("cedar"));
    stage.passes(TAKE_UP_MS);
    stage.look();
    assert!(stage.token("birch", "a").is_some());
    assert_eq!(stage.ended("cedar"), [LeaseEnd::NotTakenUp]);
}

#[test]
fn what_the_fence_saw_ends_when_it_is_clean_or_quiet_and_is_in_nobodys_declared_way() {
    let mut stage = Stage::new();
    let saw = |who: &str, what: &str| Request::Observe { session: key(who), claim: claim(what) };
    stage.ask(&saw("amber", "a"));
    stage.ask(&saw("birch", "a"));
    assert_eq!(stage.room.leases.len(), 2, "both were seen");
    stage.ask(&Request::Clean { session: key("amber"), claims: claims("/") });
    assert_eq!(stage.ended("amber"), [LeaseEnd::Clean]);
    assert!(is_held(&stage.acquire("cedar", "a")), "birch has edits in it");
    assert!(is_granted(&stage.acquire("birch", "a")), "and asks for it now");
    assert_eq!(stage.ended("birch"), [LeaseEnd::Replaced]);
    stage.ask(&saw("amber", "a"));
    assert_eq!(stage.room.leases.len(), 1, "what another has asked for is not seen as its own");
    stage.session("dogwood").standing = Standing::Unclear;
    stage.ask(&saw("dogwood", "d"));
    stage.passes(minutes(10));
    stage.look();
    assert_eq!(stage.ended("dogwood"), [LeaseEnd::Idle]);
}

#[test]
fn a_session_that_goes_on_by_another_id_keeps_its_leases_and_its_place() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.acquire("birch", "b");
    stage.park("amber", "b");
    stage.ask(&Request::Inherit { from: key("amber"), to: key("amber-2") });
    assert_eq!((stage.token("amber-2", "a"), stage.token("amber", "a")), (Some(1), None));
    stage.release("birch", "b");
    assert!(stage.token("amber-2", "b").is_some());
}

#[test]
fn the_end_of_a_session_ends_all_that_it_holds_and_waits_for() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a b");
    stage.acquire("cedar", "c");
    stage.park("amber", "c");
    stage.wait("birch", "a");
    stage.session("amber").end = Some(LeaseEnd::SessionEnded);
    stage.look();
    assert!(stage.token("birch", "a").is_some());
    assert!(stage.room.waiters.is_empty() && stage.room.leases.len() == 2);
}

#[test]
fn a_number_of_another_grant_changes_nothing() {
    let mut stage = Stage::new();
    stage.acquire("amber", "a");
    stage.acquire("amber", "b");
    for token in [Token(0), Token(2), Token(7)] {
        let which = Which { claims: claims("a"), token: Some(token) };
        let answer = stage.ask(&Request::Release { session: key("amber"), which: which.clone(), handoff: None });
        assert!(matches!(answer, Answer::Stale { .. }), "{answer:?}");
        let other = stage.ask(&Request::Renew { session: key("birch"), which });
        assert!(matches!(other, Answer::Stale { .. }), "{other:?}");
    }
    assert!(matches!(stage.release("birch", "a"), Answer::NotHeld { ref holders } if holders.len() == 1));
    assert!(matches!(stage.release("birch", "z"), Answer::NotHeld { ref holders } if holders.is_empty()));
}
