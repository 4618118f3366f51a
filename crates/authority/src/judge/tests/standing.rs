//! The breaker between the authority and a judge that fails.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use stopgate_core::clock::UnixMillis;
use stopgate_gate::breaker::BreakerStanding;
use stopgate_tests::mock_judge::{Manner, MockJudge};

use super::*;

/// A clock that is put forward by hand.
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now_ms(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }
}

const T0: UnixMillis = 1_700_000_000_000;
const COOLDOWN: UnixMillis = 300_000;

/// A court whose clock stands still until it is put forward.
struct Timed {
    court: Court,
    now: Arc<AtomicI64>,
}

impl Timed {
    fn new() -> Self {
        let mut timed = Self { court: Court::new(), now: Arc::new(AtomicI64::new(T0)) };
        timed.restart();
        timed
    }

    fn restart(&mut self) {
        self.court.restarted(Box::new(Hand(Arc::clone(&self.now))));
    }

    fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    fn kind(&self, judge: &JudgeConfig) -> FailureKind {
        failure(self.court.ask(judge, "m")).kind
    }
}

fn broken() -> (MockJudge, JudgeConfig) {
    let mock = MockJudge::start(Manner::Says(500, "", String::new()));
    let judge = model(mock.messages_url(), JudgeWire::Messages);
    (mock, judge)
}

#[test]
fn the_third_failure_opens_it_and_then_nobody_is_asked_over_restarts_too() {
    let mut timed = Timed::new();
    let (mock, judge) = broken();
    assert_eq!(timed.kind(&judge), FailureKind::ServerError);
    timed.restart();
    assert_eq!(timed.kind(&judge), FailureKind::ServerError);
    let opening = failure(timed.court.ask(&judge, "m"));
    assert_eq!(opening.kind, FailureKind::BreakerOpen);
    assert!(opening.detail.starts_with("server_error: "), "{opening}");
    for _ in 0..5 {
        timed.restart();
        assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
        assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
    }
    assert_eq!(mock.asked().len(), 3);
    let shown = timed.court.state.judges.breakers(&timed.court.state.storage);
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].state, shown[0].consecutive_failures), (BreakerStanding::Open, 3));
    assert_eq!((shown[0].last_failure.as_str(), shown[0].open_until_ms), ("server_error", T0 + COOLDOWN));
    // Each restart forgets what it has not written down: the one of each two that memory alone let go.
    assert!((6..=10).contains(&shown[0].suppressed_count), "{shown:?}");
}

#[test]
fn one_probe_after_the_cooldown_and_only_a_valid_answer_closes_it() {
    let timed = Timed::new();
    let (mock, judge) = broken();
    for _ in 0..3 {
        timed.kind(&judge);
    }
    for round in 1..=4 {
        timed.pass(COOLDOWN);
        // Malformed output is a failure like any other.
        mock.now(Manner::Answers(if round % 2 == 0 { "no JSON".into() } else { GO_ON.replace("U2_", "U7_") }));
        assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen, "the probe fails, which is nothing new");
        assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen, "left alone");
        assert_eq!(mock.asked().len(), 3 + round);
    }
    timed.pass(COOLDOWN);
    mock.now(Manner::Answers(GO_ON.into()));
    assert_holds(&opinion(timed.court.ask(&judge, "m")));
    assert_eq!(timed.court.state.judges.breakers(&timed.court.state.storage), []);
    mock.now(Manner::Says(429, "", String::new()));
    assert_eq!(timed.kind(&judge), FailureKind::RateLimited, "the count begins anew");
    assert_eq!(timed.court.state.judges.breakers(&timed.court.state.storage)[0].state, BreakerStanding::Closed);
}

#[test]
fn of_many_stops_at_once_one_is_the_probe() {
    let timed = Timed::new();
    let (mock, judge) = broken();
    for _ in 0..3 {
        timed.kind(&judge);
    }
    timed.pass(COOLDOWN);
    mock.now(Manner::AnswersAfter(Duration::from_millis(500), GO_ON.into()));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..6).map(|_| scope.spawn(|| timed.court.ask(&judge, "m"))).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    // The others come before its answer or after it; those before it are left alone, or find too many asking already.
    let alone = outcomes.iter().filter(|outcome| !matches!(outcome, JudgeOutcome::Opinion(_))).count();
    assert_eq!(alone + mock.asked().len() - 3, 6, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, JudgeOutcome::Opinion(_))), "{outcomes:?}");
}

#[test]
fn a_probe_whose_authority_died_is_followed_by_another() {
    let mut timed = Timed::new();
    let (mock, judge) = broken();
    for _ in 0..3 {
        timed.kind(&judge);
    }
    timed.pass(COOLDOWN);
    // Let through, and never settled.
    let lost =
        timed.court.state.judges.breakers.admit(&timed.court.state.storage, &judge, Instant::now() + AMPLE).unwrap();
    timed.restart();
    assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
    assert_eq!(mock.asked().len(), 3, "the lease holds over the restart");
    timed.pass(20_000 + 500);
    mock.now(Manner::Answers(GO_ON.into()));
    let next =
        timed.court.state.judges.breakers.admit(&timed.court.state.storage, &judge, Instant::now() + AMPLE).unwrap();
    assert_eq!(
        timed.court.state.judges.breakers.settle(lost, &timed.court.state.storage, None, Instant::now() + AMPLE),
        None
    );
    assert_eq!(
        timed.court.state.judges.breakers(&timed.court.state.storage)[0].state,
        BreakerStanding::HalfOpen,
        "a stale token resets nothing"
    );
    assert_eq!(
        timed.court.state.judges.breakers.settle(next, &timed.court.state.storage, None, Instant::now() + AMPLE),
        None
    );
    assert_eq!(timed.court.state.judges.breakers(&timed.court.state.storage), []);
}

#[test]
fn routes_do_not_share_and_zero_never_leaves_a_judge_alone() {
    let timed = Timed::new();
    let (mock, first) = broken();
    let second = JudgeConfig { model: "judge-2".into(), ..first.clone() };
    for _ in 0..2 {
        assert_eq!(timed.kind(&first), FailureKind::ServerError);
        assert_eq!(timed.kind(&second), FailureKind::ServerError);
    }
    assert_eq!(timed.kind(&first), FailureKind::BreakerOpen);
    let never = JudgeConfig { breaker_failures: 0, model: "judge-3".into(), ..first };
    for _ in 0..6 {
        assert_eq!(timed.kind(&never), FailureKind::ServerError);
    }
    assert_eq!(mock.asked().len(), 11);
    let states: Vec<_> = timed
        .court
        .state
        .judges
        .breakers(&timed.court.state.storage)
        .into_iter()
        .map(|it| (it.state, it.consecutive_failures))
        .collect();
    assert!(
        states.contains(&(BreakerStanding::Open, 3)) && states.contains(&(BreakerStanding::Closed, 2)),
        "{states:?}"
    );
}

#[test]
fn a_reset_has_it_asked_again_at_once() {
    let timed = Timed::new();
    let (mock, judge) = broken();
    for _ in 0..4 {
        timed.kind(&judge);
    }
    assert_eq!(timed.court.state.judges.reset_breakers(&timed.court.state.storage).unwrap(), 1);
    assert_eq!(timed.kind(&judge), FailureKind::ServerError);
    assert_eq!(mock.asked().len(), 4);
}

#[test]
fn memory_stands_in_for_a_store_that_is_locked_and_hands_over_what_it_knows() {
    let mut timed = Timed::new();
    let (mock, judge) = broken();
    assert_eq!(timed.kind(&judge), FailureKind::ServerError);
    let holder = Connection::open(timed.court.state.home.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(timed.kind(&judge), FailureKind::ServerError);
    assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
    assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
    assert_eq!(mock.asked().len(), 3);
    assert_eq!(
        timed.court.state.judges.breakers(&timed.court.state.storage)[0].consecutive_failures,
        3,
        "what is shown is what holds"
    );
    holder.execute_batch("ROLLBACK").unwrap();
    timed.pass(COOLDOWN);
    assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen, "a probe, which fails");
    timed.restart();
    let shown = timed.court.state.judges.breakers(&timed.court.state.storage);
    assert_eq!((shown[0].consecutive_failures, shown[0].first_opened_at_ms), (4, T0), "all of it is written by now");
    assert_eq!(timed.kind(&judge), FailureKind::BreakerOpen);
    assert_eq!(mock.asked().len(), 4);
}

#[test]
fn without_any_store_the_judge_is_asked_and_left_alone_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path().join("home"));
    home.create().unwrap();
    std::fs::create_dir(home.database()).unwrap();
    let mut court = Court::new();
    court.state = State::open(home);
    let (mock, judge) = broken();
    for kind in [FailureKind::ServerError, FailureKind::ServerError, FailureKind::BreakerOpen, FailureKind::BreakerOpen]
    {
        assert_eq!(failure(court.ask(&judge, "m")).kind, kind);
    }
    assert_eq!(mock.asked().len(), 3);
}
