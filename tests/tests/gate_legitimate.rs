//! Stops that look like an excuse and are none, and excuses in other words, through the real hooks and a live authority.
//! Every case has the same evidence against it, so that only what was said, or what the checkout is, decides.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use stopgate_core::decision::Decision;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, block_reason};

/// What decided over a session's only stop.
fn decided(authority: &RunningAuthority<'_>, session: &str) -> String {
    let row = authority.judged(session);
    assert_eq!((row.decision, row.would_block), (Some(Decision::Allow), false), "{session}");
    row.rule.map(|rule| rule.id().to_owned()).or(row.short_circuit).unwrap()
}

#[test]
fn legitimate_stops_are_let_go() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for (number, (message, why)) in [
        (
            "Which parser do you prefer? I'll start on it once you choose.\n\n1. Use nom.\n2. Use pest.\n",
            "U_LEGIT_DESIGN_QUESTION",
        ),
        ("I'll begin when you answer: \"Should it be nom or pest?\"", "U_LEGIT_DESIGN_QUESTION"),
        ("Please review docs/design.md. Once you approve it, I'll proceed with the parser.", "U_LEGIT_APPROVAL_NEEDED"),
        ("The deploy needs AWS credentials. I'll continue as soon as they are set.", "U_LEGIT_MISSING_INFO"),
        ("I'll continue when the server is back up.", "U_LEGIT_EXTERNAL_WAIT"),
        ("The build fails: no space left on device. I'll proceed with the parser.", "U_LEGIT_ERROR"),
        ("The tests fail because of a bug in libfoo. I'll move on to the docs.", "U_LEGIT_ERROR"),
        ("Done. All 14 tests pass. The next step is to deploy it.", "U_LEGIT_COMPLETION"),
        ("You asked me to stop here, so I stopped. The rest is for another session.", "U_LEGIT_AS_ASKED"),
        ("A new session is created by calling POST /sessions.", "no-signal"),
        ("The wizard shows the next step when the user clicks Continue.", "no-signal"),
        ("The button now says \"Continue in a new session\".", "no-signal"),
        ("Here is the output:\n\n    Next, I'll write the parser\n\nThat is what it prints.", "no-signal"),
        ("SQLite compaction can pause the writer; resume it afterwards.", "no-signal"),
    ]
    .into_iter()
    .enumerate()
    {
        let session = format!("s{number}");
        world.start_session(&session, &checkout.top);
        assert_eq!(world.stop_session(&session, &checkout.top, message), "", "{message}");
        let found = decided(&authority, &session);
        // Nothing is heard in it, or it reads like that.
        let is_quiet = why == "no-signal" && found == "reads-legitimate";
        assert!(found == why || is_quiet, "{message}: {found}, not {why}");
    }
}

#[test]
fn excuses_in_other_words_are_held() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    for (number, message) in [
        "The tokenizer is in and committed. I'm running low on context, so let's continue with the parser in a fresh \
         session.",
        "The rest is better picked up in a new session.",
        "Start a new conversation to continue.",
        "We're close to compaction, so I'll wrap up here.",
        "My token budget is nearly spent. I'll stop here.",
        "All tests pass. For the parser, a new chat would be safer.",
        "Two tests still fail. I'm running low on context, so let's continue in a fresh session.",
        "I'm low on context, so let's continue in a fresh session. Sound good?",
        "Done. Next, I'll write the parser.",
        "The lexer is in.\n\nNext steps:\n\n1. Parser\n2. Printer",
        "The lexer is in. I'll leave the parser for later.",
        "The lexer is in. The parser is not written yet.",
        "Let me know if you want me to go on with the next step.",
        "The lexer is in; the parser can follow in a separate PR.",
        "Das war der Lexer. Den Parser machen wir in der nächsten Sitzung.",
    ]
    .into_iter()
    .enumerate()
    {
        let session = format!("s{number}");
        world.start_session(&session, &checkout.top);
        let answer = world.stop_session(&session, &checkout.top, message);
        assert!(!answer.is_empty(), "{message}");
        assert!(block_reason(&answer).contains("write the parser"), "{answer}");
    }
}

/// A checkout whose only open step is in `plan`, from before the session.
fn checkout(top: &Path, plan: &str, text: &str) -> Checkout {
    let checkout = Checkout::create(top);
    checkout.write(plan, text);
    checkout.commit("plan");
    checkout
}

#[test]
fn what_only_looks_like_a_plan_of_the_work_is_no_evidence() {
    let world = World::enforcing();
    let authority = world.authority();
    let step = "- [ ] step\n";
    for (name, plan, text) in [
        ("vendored", "vendor/foo/TODO.md", step),
        ("template", ".github/ISSUE_TEMPLATE/task.md", step),
        ("recurring", "docs/release-checklist.md", step),
        ("fixture", "tests/fixtures/plan.md", step),
        ("over", "docs/archive/plan.md", step),
        ("comment", "plan.md", "<!--\n- [ ] step\n-->\n"),
        ("code", "plan.md", "text\n\n    - [ ] step\n"),
    ] {
        let checkout = checkout(&world.root().join(name), plan, text);
        world.start_session(name, &checkout.top);
        assert_eq!(world.stop_session(name, &checkout.top, EXCUSE), "", "{name}");
        assert_eq!(decided(&authority, name), "no-evidence", "{name}");
    }

    // Settings that are tracked in the home directory: what lies below without a repository of its own is no project.
    checkout(&world.root().join("home"), "plan.md", step);
    let below = world.root().join("home/notes");
    std::fs::create_dir(&below).unwrap();
    world.start_session("home", &below);
    assert_eq!(world.stop_session("home", &below, EXCUSE), "");
    assert_eq!(decided(&authority, "home"), "no-evidence");
}

#[test]
fn a_step_of_the_session_or_of_another_checkout_is_no_evidence() {
    let world = World::enforcing();
    let authority = world.authority();
    let own = checkout(&world.root().join("own"), "plan.md", "- [ ] old\n");
    world.start_session("own", &own.top);
    own.write("plan.md", "- [x] old\n- [ ] new\n");
    assert_eq!(world.stop_session("own", &own.top, EXCUSE), "");
    assert_eq!(decided(&authority, "own"), "no-evidence");
    own.write("plan.md", "- [ ] new\n- [ ] old\n");
    world.start_session("both", &own.top);
    own.write("plan.md", "- [ ] newer\n- [ ] new\n- [ ] old\n");
    let reason = block_reason(&world.stop_session("both", &own.top, EXCUSE));
    assert!(reason.contains("plan.md: old"), "only that step was committed: {reason}");

    let other = world.planned_checkout();
    world.start_session("elsewhere", &own.top);
    assert_eq!(world.stop_session("elsewhere", &other.top, EXCUSE), "");
    assert_eq!(decided(&authority, "elsewhere"), "no-evidence");
}

#[test]
fn secrets_of_a_plan_are_neither_shown_nor_stored() {
    let world = World::enforcing();
    let step = "log in with password=hunter2 or sk-ant-api03-ABCDEFGHIJKLMNOP";
    let checkout = checkout(&world.root().join("secret"), "plan.md", &format!("- [ ] {step}\n"));
    let authority = world.authority();
    world.start_session("s1", &checkout.top);
    let reason = block_reason(&world.stop_session("s1", &checkout.top, EXCUSE));
    assert!(reason.contains("plan.md: log in with password=[redacted] or [redacted]\n"), "{reason}");
    let row = authority.judged("s1");
    assert_eq!(row.evidence.unwrap().next_step, "log in with password=[redacted] or [redacted]");
    let shown = world.stopgate(&["gate", "log", "--json"]);
    let mut kept = vec![shown.stdout];
    let home = std::fs::read_dir(world.home.root()).unwrap();
    kept.extend(home.filter_map(|entry| std::fs::read(entry.unwrap().path()).ok()));
    for secret in ["hunter2", "sk-ant-api03"] {
        let found = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!kept.iter().any(found), "{secret}");
    }
}
