//! The judge's breaker through the CLI and the authority: everybody may look, only the operator closes it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_gate::breaker::{Breaker, BreakerLimits};
use stopgate_protocol::{Endpoint, ListBreakers, ResetBreakers};
use stopgate_store::{BreakerRow, Store};
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::person::text;
use stopgate_tests::world::World;

/// Two judges in the store: one is left alone, one has failed once.
fn with_failures() -> World {
    let world = World::new();
    world.home.create().unwrap();
    let mut store = Store::open(&world.home, Duration::from_secs(10)).unwrap();
    let limits = BreakerLimits { failures: 3, cooldown_ms: 300_000, lease_ms: 20_500 };
    for (route, failures) in [("http messages https://a.example/v1/messages m", 3), ("command claude -p", 1)] {
        let (route, label) = (route.replace(' ', "-"), route.to_owned());
        let row = BreakerRow { route, label, last_failure: "timeout".into(), breaker: Breaker::default() };
        for _ in 0..failures {
            let now = SystemClock.now_ms();
            store.change_breaker(&row, now, |breaker| breaker.settle(now, limits, None, false)).unwrap();
        }
    }
    world
}

fn assert_shown(shown: &Output) {
    let said = text(&shown.stdout);
    assert!(said.contains("http messages https://a.example/v1/messages m\n    open: 3 failures in a row"), "{shown:?}");
    assert!(said.contains("the last: timeout; left alone until 20"), "{said}");
    assert!(said.contains("command claude -p\n    closed: 1 failure, the last: timeout\n"), "{said}");
    assert!(said.contains("`stopgate gate breaker reset`"), "{said}");
}

#[test]
fn it_is_shown_and_the_operator_resets_it() {
    let world = with_failures();
    let authority = world.authority();
    assert_shown(&world.stopgate(&["gate", "breaker"]));
    let shown = world.stopgate_json(&["gate", "breaker", "--json"]);
    let open = shown.as_array().unwrap().iter().find(|breaker| breaker["state"] == "open").unwrap();
    assert_eq!((&open["consecutive_failures"], &open["suppressed_count"]), (&json!(3), &json!(0)));
    assert!(open["open_until"].as_str().unwrap().ends_with('Z') && open["open_until_ms"].is_i64(), "{open}");
    assert_eq!(world.stopgate_json(&["gate", "breaker", "reset", "--json"]), json!({"reset": 2}));
    let none = world.stopgate(&["gate", "breaker"]);
    assert_eq!(text(&none.stdout), "no judge has failed since its last valid answer\n");
    assert_eq!(world.stopgate_json(&["gate", "breaker", "--json"]), json!([]));
    let again = world.stopgate(&["gate", "breaker", "reset"]);
    assert!(again.status.success() && text(&again.stdout).starts_with("nothing to reset"), "{again:?}");
    drop(authority);
}

#[test]
fn without_an_authority_it_is_shown_and_reset_in_the_store() {
    let world = with_failures();
    let shown = world.stopgate(&["gate", "breaker"]);
    assert_shown(&shown);
    assert!(text(&shown.stderr).contains("reading the store directly"), "{shown:?}");
    let reset = world.stopgate(&["gate", "breaker", "reset"]);
    assert!(reset.status.success() && text(&reset.stdout) == "reset: 2\n", "{reset:?}");
    let store = Store::open(&world.home, Duration::from_secs(10)).unwrap();
    assert_eq!(store.breakers().unwrap(), []);
}

#[test]
fn an_agent_may_look_and_not_reset_with_an_authority_or_without() {
    let world = with_failures();
    let script = "\"$BIN/stopgate\" gate breaker; echo look=$?; \"$BIN/stopgate\" gate breaker reset; echo reset=$?";
    let absent = recorded_agent(&world, "s1", script);
    let authority = world.authority();
    let refused = recorded_agent(&world, "s2", script);
    for output in [absent, refused] {
        let said = text(&output.stdout);
        assert!(said.contains("look=0") && said.contains("left alone") && said.contains("reset=2"), "{output:?}");
        assert!(text(&output.stderr).contains("refused: `gate breaker reset` is the operator's"), "{output:?}");
    }
    let shown: Value =
        serde_json::from_slice(&authority.request("GET", ListBreakers::PATH, &Value::Null).body).unwrap();
    assert_eq!(shown["breakers"].as_array().unwrap().len(), 2);
    let noted = rusqlite::Connection::open(world.home.database()).unwrap().query_row(
        "SELECT count(*) FROM operator_actions WHERE action = 'gate breaker reset' AND outcome = 'refused'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(noted.unwrap(), 2, "what is refused is noted, with an authority and without");
    assert!(world.stopgate(&["gate", "breaker", "reset"]).status.success(), "the person");
}

#[test]
fn a_reset_that_is_late_or_garbled_resets_nothing_and_an_empty_one_does() {
    let world = with_failures();
    let authority = world.authority();
    let reset = |body: &Value| authority.request("POST", ResetBreakers::PATH, body);
    assert_eq!(reset(&json!({"until_monotonic_ms": 1})).status, 409);
    assert_eq!(reset(&json!({"until_monotonic_ms": "soon"})).status, 400);
    let shown: Value =
        serde_json::from_slice(&authority.request("GET", ListBreakers::PATH, &Value::Null).body).unwrap();
    assert_eq!(shown["breakers"].as_array().unwrap().len(), 2);
    let done = reset(&Value::Null);
    assert_eq!((done.status, serde_json::from_slice::<Value>(&done.body).unwrap()), (200, json!({"reset": 2})));
}
