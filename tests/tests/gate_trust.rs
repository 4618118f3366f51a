//! What an operator trusts the gate by: grades that agents cannot give, numbers that add up, and conditions that
//! hold or do not.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use stopgate_core::clock::DAY_MS;
use stopgate_core::clock::{Clock as _, SystemClock, monotonic_ms};
use stopgate_gate::RuleId;
use stopgate_protocol::{Endpoint, LogFilter, ReadReport, SetGrade};
use stopgate_tests::agent::recorded_agent;
use stopgate_tests::build::{Site, Tmux};
use stopgate_tests::evaluations::{Evaluation, connect, count, event_id, write};
use stopgate_tests::person::text;
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, World, binary};

fn now() -> i64 {
    SystemClock.now_ms()
}

#[test]
fn a_person_grades_by_the_beginning_of_an_id_and_the_last_grade_counts() {
    let world = World::new();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    world.stop_session("s1", &checkout.top, EXCUSE);
    let id = authority.judged("s1").event_id;

    let said = text(&world.stopgate(&["gate", "log"]).stdout);
    assert!(said.contains(&format!("    {}  \"", &id[..13])), "the log shows what to grade by: {said}");
    let wrong = world.stopgate(&["gate", "grade", &id[..13], "wrong", "--why", "token=hunter2 was asked for"]);
    assert_eq!(text(&wrong.stdout), format!("{id}: wrong\n"), "{wrong:?}");
    let right = world.stopgate_json(&["gate", "grade", &id, "right", "--json"]);
    assert_eq!(right, json!({"event_id": id, "verdict": "right", "prior": "wrong"}));

    let log = world.stopgate_json(&["gate", "log", "--json"]);
    assert_eq!((&log[0]["grade"]["verdict"], &log[0]["event_id"]), (&json!("right"), &json!(id)));
    assert!(text(&world.stopgate(&["gate", "log"]).stdout).contains("[right]"));
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations"), 2, "the history is kept");
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations WHERE why LIKE '%hunter2%'"), 0);
    assert_eq!(count(&world.home, "SELECT count(*) FROM operator_actions WHERE action = 'gate grade'"), 2);
}

#[test]
fn an_id_that_means_several_none_or_nothing_is_an_error_that_helps() {
    let world = World::new();
    write(
        &world.home,
        &[Evaluation::held(), Evaluation { decision: None, fail_open: Some("interrupted"), ..Evaluation::default() }],
    );
    let _authority = world.authority();
    let refused = |event: &str, parts: &[&str]| {
        let output = world.stopgate(&["gate", "grade", event, "right"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    };
    refused("1000", &["several", &event_id(0), &event_id(1), "U2_PLAN_FILE_NEXT_STEP_EXPLICIT"]);
    refused("ffff", &["no event's id begins with ffff", "gate log"]);
    refused("100", &["4 characters"]);
    refused("%___", &["not the beginning"]);
    refused(&event_id(1), &["no verdict to grade"]);
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations"), 0);
}

#[test]
fn an_agent_may_not_grade_and_the_refusal_is_on_record() {
    let world = World::new();
    write(&world.home, &[Evaluation::held()]);
    let id = event_id(0);
    let script = format!("\"$BIN/stopgate\" gate grade {id} right; echo grade=$?");
    let refusals = "SELECT count(*) FROM operator_actions WHERE outcome = 'refused' AND action = 'gate grade'";

    let authority = world.authority();
    let output = recorded_agent(&world, "s1", &script);
    assert!(text(&output.stdout).contains("grade=2"), "{output:?}");
    assert!(text(&output.stderr).contains("refused: `gate grade` is the operator's"), "{output:?}");
    assert_eq!(count(&world.home, refusals), 1);
    drop(authority);

    let output = recorded_agent(&world, "s1", &script);
    assert!(text(&output.stdout).contains("grade=2"), "without an authority, too: {output:?}");
    assert_eq!(count(&world.home, refusals), 2);
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations"), 0);

    let person = world.stopgate(&["gate", "grade", &id, "right"]);
    assert!(person.status.success() && text(&person.stderr).contains("directly"), "{person:?}");
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations"), 1);
}

#[test]
fn the_routes_check_what_they_are_given() {
    let world = World::new();
    write(&world.home, &[Evaluation { at_ms: now(), ..Evaluation::held() }]);
    let authority = world.authority();
    let id = event_id(0);
    let grade = |body: &Value| authority.request("POST", SetGrade::PATH, body).status;
    assert_eq!(grade(&json!({"event_id": "x", "verdict": "right"})), 400);
    assert_eq!(grade(&json!({"event_id": id, "verdict": "great"})), 400);
    assert_eq!(grade(&json!({"event_id": id})), 400);
    assert_eq!(grade(&json!({"event_id": "00000000-0000-7000-8000-000000000000", "verdict": "right"})), 404);
    assert_eq!(grade(&json!({"event_id": id, "verdict": "right", "until_monotonic_ms": monotonic_ms() - 1})), 409);
    assert_eq!(count(&world.home, "SELECT count(*) FROM annotations"), 0);
    assert_eq!(grade(&json!({"event_id": id, "verdict": "right"})), 200);
    let get = |path: &str| authority.request("GET", path, &Value::Null);
    assert_eq!(get(&format!("{}?decision=great", LogFilter::PATH)).status, 400);
    assert_eq!(get(&format!("{}?tail=great", LogFilter::PATH)).status, 200);
    assert_eq!(get(&format!("{}?since_ms=soon", ReadReport::PATH)).status, 400);
    let whole: Value = serde_json::from_slice(&get(ReadReport::PATH).body).unwrap();
    assert_eq!(whole["stops"], 1);
}

#[test]
fn the_log_is_filtered_by_session_and_decision() {
    let world = World::new();
    write(
        &world.home,
        &[
            Evaluation { session: "aa & bb=1#", ..Evaluation::held() },
            Evaluation { session: "aa", at_ms: now() - 2, ..Evaluation::default() },
            Evaluation {
                session: "b",
                at_ms: now() - 1,
                decision: None,
                fail_open: Some("timeout"),
                ..Evaluation::default()
            },
        ],
    );
    let look = |arguments: &[&str]| {
        let all = [&["gate", "log", "--json"], arguments].concat();
        let log = world.stopgate_json(&all);
        let sessions: Vec<_> = log.as_array().unwrap().iter().map(|row| row["session_id"].clone()).collect();
        json!(sessions)
    };
    let check = || {
        assert_eq!(look(&[]), json!(["b", "aa", "aa & bb=1#"]));
        assert_eq!(look(&["--session", "aa"]), json!(["aa", "aa & bb=1#"]));
        assert_eq!(look(&["--session", "aa & bb=1#"]), json!(["aa & bb=1#"]));
        assert_eq!(look(&["--decision", "continue"]), json!(["aa & bb=1#"]));
        assert_eq!(look(&["--decision", "failed", "--tail", "5"]), json!(["b"]));
        assert_eq!(look(&["--decision", "allow", "--session", "b"]), json!([]));
    };
    check();
    let _authority = world.authority();
    check();
    let other = world.stopgate(&["gate", "log", "--decision", "great"]);
    assert!(other.status.code() == Some(2) && text(&other.stderr).contains("force_allow"), "{other:?}");
}

/// Ten stops of three sessions with known numbers, the last a moment ago.
fn known(now: i64) -> Vec<Evaluation<'static>> {
    let held =
        |session, grade| Evaluation { at_ms: now - DAY_MS, session, grade, latency_ms: 30, ..Evaluation::held() };
    let mut all = vec![
        held("a", Some("right")),
        held("a", Some("right")),
        held("a", Some("right")),
        held("b", Some("wrong")),
        held("b", Some("unclear")),
        held("b", None),
        Evaluation { at_ms: now - 1, session: "c", grade: Some("wrong"), ..Evaluation::default() },
        Evaluation { at_ms: now - 1, session: "c", decision: Some("force_allow"), ..Evaluation::default() },
        Evaluation {
            at_ms: now - 1,
            session: "c",
            decision: None,
            fail_open: Some("timeout"),
            ..Evaluation::default()
        },
        Evaluation { at_ms: now - 1, session: "c", project: "/w/other", latency_ms: 100, ..Evaluation::default() },
    ];
    // What must not be counted: too old, and staged by the installer.
    all.push(Evaluation { at_ms: now - 15 * DAY_MS, ..Evaluation::held() });
    all.push(Evaluation { at_ms: now - 1, session: "stopgate-live-check-1", ..Evaluation::held() });
    all
}

#[test]
fn a_report_adds_up() {
    let world = World::new();
    write(&world.home, &known(now()));
    let check = || {
        let report = world.stopgate_json(&["gate", "report", "--json", "--days", "14"]);
        let field = |name: &str| report[name].clone();
        assert_eq!((field("stops"), field("verdicts"), field("would_block")), (json!(10), json!(9), json!(6)));
        assert_eq!(report["by_decision"][0], json!({"name": "continue", "count": 6}));
        assert_eq!(report["failures"], json!([{"name": "timeout", "count": 1}]));
        assert_eq!(report["latency"], json!({"p50_ms": 30, "p95_ms": 100, "p99_ms": 100, "max_ms": 100}));
        assert_eq!(report["graded_would_block"], json!({"right": 3, "wrong": 1, "unclear": 1}));
        assert_eq!(report["graded_let_go"], json!({"right": 0, "wrong": 1, "unclear": 0}));
        // Wilson, 3 of 4: 0.3006 to 0.9544.
        let end = |name: &str| (report["precision"][name].as_f64().unwrap() * 10_000.0).round() / 10_000.0;
        assert_eq!((end("share"), end("low"), end("high")), (0.75, 0.3006, 0.9544));
        assert_eq!(
            (&report["by_rule"][0]["stops"], &report["by_rule"][0]["precision"]["hits"]),
            (&json!(6), &json!(3))
        );
        assert_eq!(report["by_signal"][0]["name"], "fresh-session");
        let project = |at: usize| (report["by_project"][at]["name"].clone(), report["by_project"][at]["stops"].clone());
        assert_eq!((project(0), project(1)), ((json!("/w/demo"), json!(9)), (json!("/w/other"), json!(1))));
        assert_eq!(report["sessions"]["would_block_each"], 2.0);
        assert_eq!((&report["sessions"]["held"]["hits"], &report["sessions"]["held"]["of"]), (&json!(2), &json!(3)));
    };
    check();
    let _authority = world.authority();
    check();
    let shown = text(&world.stopgate(&["gate", "report"]).stdout);
    assert!(shown.contains("U2_PLAN_FILE_NEXT_STEP_EXPLICIT") && shown.contains("3 of 4 (75.0 %)"), "{shown}");
    assert!(shown.contains("precision 75.0 % (95 % interval 30.1 % to 95.4 %)"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80) && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(world.stopgate_json(&["gate", "report", "--json", "--days", "16"])["stops"], 11);
    assert_eq!(world.stopgate_json(&["gate", "report", "--json"])["stops"], 11, "all that are kept");
    let empty = World::new();
    let _authority = empty.authority();
    assert!(text(&empty.stopgate(&["gate", "report"]).stdout).contains("no stop has reached the gate"));
}

#[test]
fn the_page_runs_nothing_loads_nothing_and_escapes_everything() {
    let world = World::new();
    let hostile = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' & \u{202e}]]>";
    write(
        &world.home,
        &[Evaluation {
            at_ms: now(),
            session: "<b>s</b>",
            project: "/w/<script>evil</script>",
            preview: hostile,
            fail_open: Some("<i>"),
            signals: &["<u>"],
            ..Evaluation::held()
        }],
    );
    let _authority = world.authority();
    let file = world.root().join("report.html");
    let output = world.stopgate(&["gate", "report", "--html", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x"), "{page}");
    assert!(
        page.contains("/w/&lt;script&gt;evil") && page.contains("&lt;u&gt;") && page.contains("&lt;b&gt;"),
        "{page}"
    );
    let lower = page.to_lowercase();
    for bad in ["<script", "<img", "<b>", "<i>", "<u>", "http://", "https://", "\u{202e}", "<link", "url("] {
        assert!(!lower.contains(bad), "{bad} in {page}");
    }
    assert!(page.contains("<svg") && page.contains("default-src 'none'"), "{page}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = world.stopgate(&["gate", "report", "--html", "/nonexistent/report.html"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("/nonexistent/report.html"), "{nowhere:?}");
}

/// A past that just meets the conditions of the default configuration.
fn enough(now: i64) -> Vec<Evaluation<'static>> {
    let signals: [&[&str]; 3] = [&["fresh-session"], &["context-limit"], &["promised-next-step"]];
    (0..50)
        .zip(["a", "b", "c"].into_iter().zip(signals).cycle())
        .map(|(number, (session, signals))| {
            let at_ms = now - 15 * DAY_MS + number;
            let grade = (number % 2 == 0).then_some("right");
            let base = if number % 4 == 0 { Evaluation::held() } else { Evaluation::default() };
            Evaluation { at_ms, session, grade, signals, ..base }
        })
        .collect()
}

#[test]
fn ready_says_which_conditions_hold_and_the_configuration_moves_them() {
    let world = World::new();
    write(&world.home, &enough(now()));
    let ready = world.stopgate(&["gate", "ready"]);
    assert!(ready.status.success() && text(&ready.stdout).contains("ready: `stopgate mode enforce`"), "{ready:?}");
    assert_eq!(world.stopgate_json(&["gate", "ready", "--json"])["ready"], true);

    std::fs::write(world.home.root().join("config.toml"), "[gate.promotion]\nmin_sessions = 4\n").unwrap();
    let not = world.stopgate(&["gate", "ready", "--json"]);
    assert_eq!(not.status.code(), Some(1), "{not:?}");
    let said: Value = serde_json::from_slice(&not.stdout).unwrap();
    let missing: Vec<_> = said["conditions"].as_array().unwrap().iter().filter(|one| one["holds"] == false).collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    let expected = json!({"key": "gate.promotion.min_sessions", "what": "sessions they come from", "value": 3,
                          "bound": "at_least", "threshold": 4, "unit": "", "holds": false});
    assert_eq!(missing[0], &expected);
}

#[test]
fn a_failure_or_a_wrong_grade_takes_the_readiness_away() {
    let world = World::new();
    let mut past = enough(now());
    past[48].fail_open = Some("invalid_evidence");
    write(&world.home, &past);
    let said = text(&world.stopgate(&["gate", "ready"]).stdout);
    let row = |said: &str, what: &str| said.lines().find(|line| line.contains(what)).unwrap().to_owned();
    assert!(row(&said, "without a failure").starts_with("no "), "{said}");
    assert!(row(&said, "that were right").starts_with("yes "), "{said}");
    for number in [0, 4] {
        assert!(world.stopgate(&["gate", "grade", &event_id(number), "wrong"]).status.success());
    }
    let said = text(&world.stopgate(&["gate", "ready"]).stdout);
    assert!(row(&said, "that were right").starts_with("no ") && said.contains("84.6 %"), "{said}");
}

#[test]
fn ready_and_report_say_the_same_of_each_rule() {
    let world = World::new();
    let graded = |rule, grade| Evaluation {
        rule: Some(rule),
        grade: Some(grade),
        at_ms: now() - 20 * DAY_MS,
        ..Evaluation::held()
    };
    let (bad, good) = (RuleId::RecentCommit, RuleId::PlanNextStep);
    let let_go = Evaluation { grade: Some("right"), ..Evaluation::default() };
    let past =
        [vec![graded(bad, "right"); 4], vec![graded(bad, "wrong"); 2], vec![graded(good, "right"); 5], vec![let_go; 5]];
    write(&world.home, &past.concat());
    let ready = world.stopgate(&["gate", "ready", "--json"]);
    assert_eq!(ready.status.code(), Some(1));
    let ready: Value = serde_json::from_slice(&ready.stdout).unwrap();
    let of = |rule: RuleId| {
        let all = ready["rules"].as_array().unwrap();
        all.iter().find(|one| one["rule"] == rule.id()).unwrap().clone()
    };
    let report = world.stopgate_json(&["gate", "report", "--json"]);
    for rule in [bad, good] {
        let group = report["by_rule"].as_array().unwrap().iter().find(|group| group["name"] == rule.id()).unwrap();
        let share = (group["precision"]["share"].as_f64().unwrap() * 1_000.0).floor() / 10.0;
        assert_eq!(of(rule)["precision_percent"], json!(share));
        assert_eq!(of(rule)["graded"], group["precision"]["of"]);
    }
    assert_eq!(
        (&of(bad)["ready"], &of(good)["ready"], &of(RuleId::DurableArtifact)["ready"]),
        (&json!(false), &json!(true), &json!(false))
    );
    assert!(of(bad)["goes_to_shadow"].as_str().unwrap().contains("4 of 6"));
    let shown = text(&world.stopgate(&["gate", "ready"]).stdout);
    let reported = text(&world.stopgate(&["gate", "report"]).stdout);
    assert!(shown.contains("66.6 %") && reported.contains("4 of 6 (66.6 %)"), "{shown}\n{reported}");
    assert_eq!(world.stopgate(&["gate", "ready", "--rule", "U2"]).status.code(), Some(0));
    assert_eq!(world.stopgate(&["gate", "ready", "--rule", "U3"]).status.code(), Some(1));
    let asked = world.stopgate(&["mode", "enforce"]);
    assert!(text(&asked.stderr).contains("U3 goes to shadow then: 4 of 6"), "{asked:?}");
}

#[test]
fn enforcing_shows_what_is_missing_and_yes_answers_all_the_same() {
    let world = World::new();
    let refused = world.stopgate(&["mode", "enforce"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("not ready: 10 of 10 conditions do not hold") && said.contains("add --yes"), "{said}");
    assert!(!world.home.mode_file().exists());

    let _authority = world.authority();
    let flipped = world.stopgate(&["mode", "enforce", "--yes"]);
    assert_eq!(text(&flipped.stdout), "mode: shadow -> enforce\n", "{flipped:?}");
    assert!(text(&flipped.stderr).contains("verdicts") && text(&flipped.stderr).contains("needed: at least 50"));
    let again = world.stopgate(&["mode", "enforce", "--yes"]);
    assert!(again.status.success() && again.stderr.is_empty(), "nothing changes, nothing to say: {again:?}");

    world.set_mode("shadow");
    write(&world.home, &enough(now()));
    let ready = world.stopgate(&["mode", "enforce", "--yes"]);
    assert!(text(&ready.stderr).contains("ready to enforce: all 10 conditions hold"), "{ready:?}");
}

/// A shell in a real terminal, with `stopgate` as `$STOPGATE`.
fn terminal<'a>(site: &'a Site, name: &str) -> Tmux<'a> {
    let tmux = Tmux::new(site, name);
    let line = format!("env STOPGATE='{}' PS1=: /bin/sh -i", binary("stopgate").display());
    tmux.run(&["new-session", "-d", "-x", "200", "-y", "50", &line]);
    tmux
}

fn type_line(tmux: &Tmux<'_>, line: &str) {
    tmux.run(&["send-keys", "-l", line]);
    tmux.run(&["send-keys", "Enter"]);
}

fn shows(tmux: &Tmux<'_>, what: &str) -> String {
    eventually(what, || Some(tmux.run(&["capture-pane", "-p", "-S", "-100"])).filter(|screen| screen.contains(what)))
}

#[test]
fn a_review_walks_through_what_is_not_graded() {
    let site = Site::new();
    let world = &site.world;
    let held =
        |number, preview, grade| Evaluation { at_ms: now() - 10_000 + number, preview, grade, ..Evaluation::held() };
    write(
        &world.home,
        &[
            held(1, "the first message", None),
            held(2, "the second message", None),
            held(3, "the third message", None),
            held(4, "a graded message", Some("right")),
            Evaluation { preview: "a message without an excuse", ..Evaluation::default() },
            Evaluation { preview: "an excuse let go", signals: &["fresh-session"], ..Evaluation::default() },
            Evaluation { preview: "a graded one let go", grade: Some("unclear"), ..Evaluation::default() },
            Evaluation { preview: "", ..Evaluation::default() },
            Evaluation { decision: None, fail_open: Some("timeout"), preview: "not judged", ..Evaluation::default() },
            Evaluation { session: "stopgate-live-check-1", preview: "a staged message", ..Evaluation::held() },
            Evaluation { session: "stopgate-live-check-1", preview: "a staged one let go", ..Evaluation::default() },
        ],
    );
    let listed = |arguments: &[&str]| {
        let rows = world.stopgate_json(&[&["gate", "review", "--json"], arguments].concat());
        let shown = |row: &Value| format!("{} {}", row["let_go"], row["preview"].as_str().unwrap());
        rows.as_array().unwrap().iter().map(shown).collect::<Vec<_>>()
    };
    let all = [
        "false the third message",
        "false the second message",
        "true an excuse let go",
        "false the first message",
        "true a message without an excuse",
    ];
    assert_eq!(listed(&[]), all);
    assert_eq!(listed(&["--session", "other"]), [""; 0]);
    let piped = world.stopgate(&["gate", "review"]);
    assert_eq!(piped.status.code(), Some(2));
    assert!(text(&piped.stderr).contains("terminal") && text(&piped.stderr).contains("gate grade"), "{piped:?}");

    let _authority = world.authority();
    let tmux = terminal(&site, "review");
    type_line(&tmux, "\"$STOPGATE\" gate review; echo ended=$?");
    for part in [
        "1 of 5",
        "the third message",
        "Was it right to hold this one?",
        "U2_PLAN_FILE_NEXT_STEP_EXPLICIT",
        "fresh-session",
        "docs/plan.md: write the parser",
    ] {
        shows(&tmux, part);
    }
    type_line(&tmux, "perhaps");
    shows(&tmux, "one of r, w, u, s, q");
    type_line(&tmux, "w it had asked me");
    shows(&tmux, "2 of 5");
    shows(&tmux, "the second message");
    type_line(&tmux, "s");
    shows(&tmux, "3 of 5");
    shows(&tmux, "an excuse let go");
    shows(&tmux, "Was it right to let this one go?");
    type_line(&tmux, "w");
    shows(&tmux, "4 of 5");
    shows(&tmux, "the first message");
    type_line(&tmux, "r");
    shows(&tmux, "5 of 5");
    type_line(&tmux, "q");
    let screen = shows(&tmux, "ended=0");
    assert!(screen.contains("3 graded, 2 without a grade"), "{screen}");
    for unwanted in ["a graded", "not judged", "a staged"] {
        assert!(!screen.contains(unwanted), "{screen}");
    }
    assert_eq!(
        listed(&[]),
        ["false the second message", "true a message without an excuse"],
        "nothing graded comes again"
    );
    let graded = |number: usize| {
        let query = format!("SELECT verdict || ' ' || why FROM annotations WHERE event_id = '{}'", event_id(number));
        connect(&world.home).query_row(&query, [], |row| row.get::<_, String>(0)).ok()
    };
    assert_eq!((graded(0), graded(1)), (Some("right ".into()), None));
    assert_eq!(graded(2).as_deref(), Some("wrong it had asked me"));
}

#[test]
fn on_a_terminal_enforcing_shows_what_is_missing_before_it_asks() {
    let site = Site::new();
    let tmux = terminal(&site, "mode");
    type_line(&tmux, "\"$STOPGATE\" mode enforce; echo ended=$?");
    let screen = shows(&tmux, "Go on? [y/N]");
    assert!(screen.contains("not ready: 10 of 10 conditions do not hold"), "{screen}");
    type_line(&tmux, "n");
    shows(&tmux, "ended=2");
    assert!(!site.world.home.mode_file().exists());
    type_line(&tmux, "clear; \"$STOPGATE\" mode enforce; echo ended=$?");
    shows(&tmux, "Go on? [y/N]");
    type_line(&tmux, "y");
    shows(&tmux, "ended=0");
    assert_eq!(std::fs::read_to_string(site.world.home.mode_file()).unwrap(), "enforce\n");
}
