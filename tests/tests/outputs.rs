//! What commands print for people, as a whole: nothing of it moves unnoticed.

#![allow(clippy::unwrap_used, reason = "tests")]

use stopgate_tests::person::text;
use stopgate_tests::world::{EXCUSE, World, block_reason};

/// What differs from run to run.
const FILTERS: [(&str, &str); 13] = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "EVENT-ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"/[^ \n]*/sg[A-Za-z0-9]{6}", "DIR"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\bpid \d+", "pid N"),
    (r"\b\d+ ?(ms|s|B|KiB|MiB)\b", "N ${1}"),
    (r"\bversion \d+\.\d+\.\d+", "version X"),
    (r"(?m)^( *)[0-9a-f]{8}(-[0-9a-f]{4})*\b", "${1}EVENT"),
    (r"\b\d+ (second|minute)s?\b", "N ${1}s"),
    // What the model makes of a message, and by which words, changes whenever it is trained.
    (r"\d+ % like work handed back \(log-odds [^)]*\)", "N % like work handed back (log-odds N; weights ID)"),
    (r#"(?m)^ *("[^"\n]+" [+-]\d+\.\d\d(, )?)+$"#, "  WORDS"),
    // Columns are as wide as what stands in them.
    (r" {2,}", "  "),
    (r" +\n", "\n"),
];

#[test]
fn what_people_read_of_two_stops() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for session in ["held", "done"] {
        world.start_session(session, &checkout.top);
    }
    block_reason(&world.stop_session("held", &checkout.top, EXCUSE));
    assert_eq!(world.stop_session("done", &checkout.top, "All tests pass, and the plan is finished."), "");
    authority.judged("done");
    let held = authority.judged("held").event_id;
    let shown =
        |arguments: &[&str]| format!("$ stopgate {}\n{}", arguments.join(" "), text(&world.stopgate(arguments).stdout));
    let all = [shown(&["status"]), shown(&["gate", "log"]), shown(&["explain", &held])].join("\n");
    insta::with_settings!({ filters => FILTERS.to_vec() }, { insta::assert_snapshot!(all) });
}

#[test]
fn an_empty_argument_asks_for_nothing_rather_than_everything() {
    let world = World::enforcing();
    let authority = world.authority();
    for arguments in [
        &["gate", "log", "--session", ""][..],
        &["gate", "log", "--session="],
        &["gate", "review", "--session", ""],
        &["gate", "grade", "", "right"],
        &["gate", "contest", "", "--session", "s"],
        &["gate", "contest", "why", "--session", ""],
        &["explain", ""],
        &["resume", ""],
        &["sessions", "show", ""],
        &["sessions", "end", "", "--yes"],
        &["reaper", "explain", ""],
        &["build", "status", "--build", ""],
        &["build", "log", "--build="],
        &["build", "start", ""],
        &["config", "check", ""],
    ] {
        let said = world.stopgate(arguments);
        let told = text(&said.stderr);
        assert_eq!((said.status.code(), text(&said.stdout).as_str()), (Some(2), ""), "{arguments:?}: {told}");
        assert!(told.contains("a value is required"), "{arguments:?}: {told}");
    }
    for path in ["/internal/stop-gate/log?session=", "/internal/stop-gate/log?event=", "/sessions?id="] {
        let refused = authority.request("GET", path, &serde_json::Value::Null);
        let said = String::from_utf8(refused.body).unwrap();
        assert!(refused.status == 400 && said.contains("is empty"), "{path}: {} {said}", refused.status);
    }
    // Where no text has a meaning, there may be none.
    assert!(world.stopgate(&["kill", "on", "--reason", ""]).status.success());
}
