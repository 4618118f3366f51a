//! Nothing that was acknowledged is ever lost: the authority is killed again and again while it is asked without a
//! pause, and then every event that it has acknowledged is in its database, once.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stopgate_core::client;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Payload, parse};
use stopgate_core::protocol::{EvaluateRequest, HookEvent, Origin, ROUTE_EVALUATE, ROUTE_EVENTS};
use stopgate_core::session::Harness;
use stopgate_core::switch::Mode;
use stopgate_protocol::{Endpoint, GetHealth};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, HOOKS, PLAIN, World, assert_silent, binary, session_start, stop};

/// How often it is killed.
const KILLS: usize = 500;
/// Those who ask at the same time.
const ASKING: usize = 3;

/// An authority that can be killed and started again, and ends with the value.
struct Killed<'a> {
    world: &'a World,
    child: Option<Child>,
}

impl<'a> Killed<'a> {
    fn start(world: &'a World) -> Self {
        let mut killed = Self { world, child: None };
        killed.again();
        killed
    }

    /// Kills it as it is, and starts the next.
    fn again(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut command = self.world.command(&binary("stopgate"));
        command.args(["authority", "run"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
    }

    fn serves(&mut self) {
        eventually("it serves", || {
            // What the killed one was about to run holds its lock until it runs: the next one may come too early, as
            // it would if a hook had started it.
            if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                self.again();
            }
            ask(self.world, "GET", GetHealth::PATH, b"").filter(|status| *status == 200)
        });
    }
}

/// Sets a flag when it is dropped.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Killed<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The status of an answer, if one came whole.
fn ask(world: &World, method: &str, path: &str, body: &[u8]) -> Option<u16> {
    let until = Instant::now() + Duration::from_secs(5);
    client::request(&world.home.socket(), method, path, body, until).ok().map(|response| response.status)
}

/// An event as the recorder reports it, with an id of its own.
pub(crate) fn reported(payload: &serde_json::Value) -> HookEvent {
    let parsed = parse(Some(Harness::Claude), payload.to_string().as_bytes());
    let Ok(Payload::Known(event)) = parsed else { panic!("{parsed:?}") };
    HookEvent {
        event_id: new_event_id(&SystemClock),
        at_ms: SystemClock.now_ms(),
        boot_ms: None,
        origin: Origin::default(),
        event,
    }
}

/// What is asked: the start of a session, or a stop, with and without an excuse, in both modes. The id, the route and
/// the body.
fn request(checkout: &Checkout, number: usize) -> (String, &'static str, Vec<u8>) {
    let session = format!("s{number}");
    let reported = reported(&match number % 3 {
        0 => session_start(&session, &checkout.top, "startup"),
        1 => stop(&session, &checkout.top, EXCUSE),
        _ => stop(&session, &checkout.top, PLAIN),
    });
    let id = reported.event_id.clone();
    if number.is_multiple_of(3) {
        return (id, ROUTE_EVENTS, serde_json::to_vec(&reported).unwrap());
    }
    let mode = if number.is_multiple_of(2) { Mode::Enforce } else { Mode::Shadow };
    let HookEvent { event_id, at_ms, event, .. } = reported;
    let asked = EvaluateRequest {
        event_id,
        at_ms,
        boot_ms: None,
        event,
        mode,
        deadline_ms: 3_000,
        search_path: None,
        may_wait: false,
    };
    (id, ROUTE_EVALUATE, serde_json::to_vec(&asked).unwrap())
}

/// All ids in a table.
fn stored(world: &World, table: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(world.home.database()).unwrap();
    let mut query = connection.prepare(&format!("SELECT event_id FROM {table}")).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_was_acknowledged_outlives_kill_9() {
    let world = World::new();
    let checkout = world.planned_checkout();
    world.home.create().unwrap();
    std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
    let acknowledged = Mutex::new((BTreeSet::new(), BTreeSet::new()));
    let (asked, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut authority = Killed::start(&world);
    std::thread::scope(|scope| {
        for _ in 0..ASKING {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let (id, route, body) = request(&checkout, asked.fetch_add(1, Ordering::Relaxed));
                    match ask(&world, "POST", route, &body) {
                        Some(200 | 202) => {
                            let mut acknowledged = acknowledged.lock().unwrap();
                            let _ = if route == ROUTE_EVENTS {
                                acknowledged.0.insert(id)
                            } else {
                                acknowledged.1.insert(id)
                            };
                        }
                        _ => std::thread::sleep(Duration::from_millis(2)),
                    }
                }
            });
        }
        // Also if what follows panics.
        let _over = Sets(&over);
        let loaded = || {
            let (events, stops) = &*acknowledged.lock().unwrap();
            events.len() >= KILLS && stops.len() >= KILLS
        };
        // More of them, should the machine do little between two.
        for kill in (0..KILLS * 4).take_while(|kill| *kill < KILLS || !loaded()) {
            authority.serves();
            // Spread over 20 to 100 ms, in an order that is no order.
            std::thread::sleep(Duration::from_millis(20 + (kill as u64 * 37) % 80));
            authority.again();
        }
    });
    authority.serves();
    // The next one has taken over what the last one had noted before it serves.
    let (events, stops) = acknowledged.into_inner().unwrap();
    assert!(events.len() >= KILLS && stops.len() >= KILLS, "hardly any load: {} {}", events.len(), stops.len());
    for (what, acknowledged, table) in [("events", events, "hook_events"), ("stops", stops, "gate_events")] {
        let found = stored(&world, table);
        let unique: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!(unique.len(), found.len(), "{what}: some are there twice");
        let lost: Vec<_> = acknowledged.difference(&unique).collect();
        assert!(
            lost.is_empty(),
            "{what}: {} of {} acknowledged ones are lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
    }
    let checked = rusqlite::Connection::open(world.home.database()).unwrap();
    let answer: String = checked.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "ok");
}

/// The same through the hooks: whatever happens to the authority meanwhile, no start and no stop is missing in the end.
#[test]
fn what_hooks_report_is_not_lost_either() {
    const ROUNDS: usize = 12;
    let world = World::new();
    let checkout = world.planned_checkout();
    world.home.create().unwrap();
    std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
    let over = AtomicBool::new(false);
    let mut authority = Killed::start(&world);
    std::thread::scope(|scope| {
        let hooks: Vec<_> = (0..2)
            .map(|thread| {
                let (world, checkout) = (&world, &checkout);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let session = format!("t{thread}-{round}");
                        assert_silent(&world.run_hook(HOOKS[2], &session_start(&session, &checkout.top, "startup")));
                        let output = world.run_hook(HOOKS[0], &stop(&session, &checkout.top, EXCUSE));
                        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(60));
                authority.again();
            }
        });
        let _over = Sets(&over);
        let ended: Vec<_> = hooks.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        assert!(ended.into_iter().all(|hook| hook.is_ok()));
    });
    // One that begins drains the spool.
    authority.again();
    authority.serves();
    eventually("the spool is empty", || world.spooled().is_empty().then_some(()));
    assert!(!world.hook_log().contains("event lost"), "{}", world.hook_log());
    let connection = rusqlite::Connection::open(world.home.database()).unwrap();
    let expected: BTreeSet<String> =
        (0..2).flat_map(|thread| (0..ROUNDS).map(move |round| format!("t{thread}-{round}"))).collect();
    for query in [
        "SELECT session_id FROM hook_events WHERE event = 'SessionStart'",
        "SELECT session_id FROM gate_events",
        "SELECT session_id FROM sessions WHERE started_at_ms IS NOT NULL",
    ] {
        let mut rows = connection.prepare(query).unwrap();
        let found: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let unique: BTreeSet<_> = found.iter().cloned().collect();
        assert!(expected.is_subset(&unique), "{query}: {:?} are missing", expected.difference(&unique));
        assert_eq!(found.len(), unique.len(), "{query}: {} of {}", unique.len(), found.len());
    }
}
