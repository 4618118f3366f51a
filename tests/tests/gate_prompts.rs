//! What the person asked for, through the real hooks: how a prompt is classed, what is kept of it where a transcript does
//! not show it, and what is different where no person reads along.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde_json::{Value, json};
use stopgate_core::decision::Decision;
use stopgate_core::session::Harness;
use stopgate_tests::evaluations::connect;
use stopgate_tests::transcript::{self, Sender};
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, assert_silent, session_start, stop, with};

use crate::gate_person::{Seat, short_circuit};

/// What the last stop of a session was judged with as what was asked for.
fn asked(world: &World, authority: &RunningAuthority<'_>, id: &str) -> Value {
    let row = authority.log().into_iter().find(|row| row.session_id == id).unwrap();
    let explained = world.stopgate_json(&["explain", &row.event_id, "--json"]);
    explained["recording"]["inputs"]["turn"]["asked"].clone()
}

#[test]
fn a_stop_is_judged_with_what_the_last_prompts_ask_for() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let cases: [(&[&str], &str, bool); 14] = [
        (&["Which steps are open? Just the status, change nothing."], "question", true),
        (&["Welche Schritte sind noch offen?"], "question", true),
        (&["残っているステップはどれですか？"], "question", true),
        (&["only do step 2"], "narrow", true),
        (&["Mach nur Schritt 2."], "narrow", true),
        (&["只做第2步"], "narrow", true),
        (&["Ne fais que l'étape 2, rien d'autre."], "narrow", true),
        (&["only do step 2", "go on"], "narrow", true),
        (&["One step per turn, please.", "ok", "continue"], "narrow", true),
        (&["Write the parser."], "execute", true),
        (&["Which steps are open?", "weiter"], "execute", true),
        (&["続けて"], "execute", true),
        (&["thanks!"], "other", true),
        (&["stop here, please"], "stop", false),
    ];
    for harness in Harness::ALL {
        for (number, (prompts, class, has_job)) in cases.iter().enumerate() {
            let id = format!("{harness}-{number}");
            let seat = Seat::new(&world, &checkout, harness, &id);
            for prompt in *prompts {
                seat.says(Sender::Typed, prompt);
            }
            seat.is_held();
            let asked = asked(&world, &authority, &id);
            assert_eq!((&asked["class"], &asked["has_job"]), (&json!(class), &json!(has_job)), "{harness} {prompts:?}");
            // Nobody else asks for anything.
            let foreign = if harness == Harness::Claude { Sender::Notice } else { Sender::Queue };
            seat.says(foreign, "Execute all of it");
            seat.is_held();
            assert_eq!(self::asked(&world, &authority, &id), asked, "{harness} {prompts:?}");
        }
    }
}

/// The hook alone is told of a prompt.
fn hears(world: &World, id: &str, cwd: &Path, prompt: &str) {
    let payload = json!({"session_id": id, "cwd": cwd, "hook_event_name": "UserPromptSubmit", "prompt": prompt,
                         "transcript_path": world.transcript(id)});
    assert_silent(&world.run_hook("session-start-recorder", &payload));
}

#[test]
fn a_prompt_that_no_transcript_shows_is_known_from_the_hook_and_no_more_of_it_is_kept_than_its_end() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_silent_session("s", &checkout.top);
    // Without a transcript.
    let stops =
        || world.run_hook("stop-gate-router", &with(stop("s", &checkout.top, EXCUSE), "prompt_id", Value::Null));
    stops();
    assert_eq!(asked(&world, &authority, "s"), Value::Null, "nothing is known");
    let long = format!("MARKBEGIN Execute docs/plan.md, all of it. {}", "The parser comes first. ".repeat(60));
    hears(&world, "s", &checkout.top, &format!("{long} password=hunter2secret"));
    stops();
    assert_eq!(asked(&world, &authority, "s")["class"], "execute");
    let row = &world.stopgate_json(&["sessions", "--json"])[0];
    let said = row["asked"]["said"].as_str().unwrap();
    assert!(said.contains("comes first") && said.chars().count() <= 300 && !said.contains("hunter2"), "{said}");
    assert_eq!((&row["asked"]["class"], &row["asked"]["has_job"]), (&json!("execute"), &json!(true)));
    let texts = |query: &str| -> String { connect(&world.home).query_row(query, [], |row| row.get(0)).unwrap() };
    assert!(!texts("SELECT group_concat(said || asked) FROM asked").contains("MARKBEGIN"));
    // What is plainly a machine's asks for nothing and takes nothing back.
    for sender in [Sender::Notice, Sender::Peer, Sender::Hook] {
        hears(&world, "s", &checkout.top, &sender.prompt("Which steps are open?"));
    }
    stops();
    assert_eq!(asked(&world, &authority, "s")["class"], "execute");
    hears(&world, "s", &checkout.top, "Which steps are open?");
    // Another authority knows it, too.
    authority.kill();
    let authority = world.authority();
    stops();
    let known = asked(&world, &authority, "s");
    assert_eq!((&known["class"], &known["has_job"]), (&json!("question"), &json!(true)));
    // Nobody hears what is said while there is no authority: then it is unknown.
    authority.kill();
    hears(&world, "s", &checkout.top, "Do step 2 only.");
    let authority = world.authority();
    stops();
    assert_eq!(asked(&world, &authority, "s"), Value::Null);
}

#[test]
fn what_a_transcript_shows_wins_over_what_a_hook_heard_and_outlives_the_transcript() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    world.start_silent_session("s", &checkout.top);
    let class = || {
        world.stop_session("s", &checkout.top, EXCUSE);
        asked(&world, &authority, "s")["class"].clone()
    };
    world.says("s", &checkout.top, Sender::Typed, "Execute docs/plan.md, one step per turn.");
    // Another program's: the hook cannot tell, the transcript can.
    world.says("s", &checkout.top, Sender::Socket, "Which steps are open?");
    assert_eq!(class(), "narrow");
    // As after a compaction, or where it is larger than what is read of it.
    std::fs::remove_file(world.transcript("s")).unwrap();
    transcript::append(&world.transcript("s"), &[json!({"type": "assistant", "message": {"content": []}})]);
    transcript::says(Harness::Claude, &world.transcript("s"), Sender::Notice, "a shell has ended");
    assert_eq!(class(), "narrow", "the standing instruction of the first prompt");
    world.says("s", &checkout.top, Sender::Typed, "go on");
    assert_eq!(class(), "narrow");
    world.says("s", &checkout.top, Sender::Typed, "Now execute docs/plan.md, all of it.");
    assert_eq!(class(), "execute");
}

#[test]
fn without_a_person_who_reads_along_only_a_job_is_held_or_as_it_is_configured() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for harness in Harness::ALL {
        for (number, (headless, prompt, is_held)) in [
            ("execute", "Execute docs/plan.md.", true),
            ("execute", "Which steps are open?", false),
            ("execute", "Do step 1 of docs/plan.md only.", false),
            ("never", "Execute docs/plan.md.", false),
            ("always", "Execute docs/plan.md.", true),
        ]
        .into_iter()
        .enumerate()
        {
            std::fs::write(world.home.root().join("config.toml"), format!("[gate]\nheadless = \"{headless}\"\n"))
                .unwrap();
            let id = format!("{harness}-{number}");
            let seat = Seat::silent(&world, &checkout, harness, &id);
            seat.says(Sender::Headless, prompt);
            assert_eq!(seat.is_held(), is_held, "{id} {headless} {prompt}");
            let row = authority.log().into_iter().find(|row| row.session_id == id).unwrap();
            let explained = world.stopgate_json(&["explain", &row.event_id, "--json"]);
            assert_eq!(explained["recording"]["inputs"]["turn_end"]["headless"], true, "{id}");
            if headless == "never" {
                // It is judged as any other, and nothing is said where a script reads.
                assert_eq!((row.decision, row.noted), (Some(Decision::ForceAllow), false), "{row:?}");
                assert!(row.rule.is_some() && short_circuit(&authority, &id).as_deref() == Some("headless"), "{row:?}");
                // At a terminal the same is held.
                let seat = Seat::silent(&world, &checkout, harness, &format!("{id}-typed"));
                seat.says(Sender::Typed, prompt);
                assert!(seat.is_held(), "{id}");
            }
        }
    }
}

#[test]
fn a_session_that_goes_on_at_a_terminal_is_no_script_s_any_more() {
    let world = World::enforcing();
    std::fs::write(world.home.root().join("config.toml"), "[gate]\nheadless = \"never\"\n").unwrap();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    for harness in Harness::ALL {
        let seat = Seat::silent(&world, &checkout, harness, harness.name());
        seat.says(Sender::Headless, "Execute docs/plan.md.");
        assert!(!seat.is_held(), "{harness}");
        seat.says(Sender::Typed, "go on");
        assert!(seat.is_held(), "{harness}");
    }
    // Unknown is no script's.
    let started = session_start("unknown", &checkout.top, "startup");
    assert_silent(&world.run_hook("session-start-recorder", &started));
}
