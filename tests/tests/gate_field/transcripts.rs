//! Transcripts that tell nothing or are damaged, and sessions whose answer a script reads.

use std::io::Write as _;

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::field::{Field, PLAN};
use stopgate_tests::transcript::{EXECUTE, Sender};
use stopgate_tests::world::World;

use super::{EXCUSE, Wrong};
use Harness::{Claude, Codex};

/// What is done to a transcript, and whether anything is known of its person afterwards.
#[rstest]
fn a_transcript_that_tells_nothing_holds_nobody(#[values(Claude, Codex)] harness: Harness) {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let half = br#"{"type":"user","origin":{"kind":"human"},"promptSource":"typed","message":{"role":"user","content":"Execute docs/pl"#;
    let other = br#"{"v":9,"kind":"prompt","by":"human","words":"Execute docs/plan.md."}
{"v":9,"kind":"tool","name":"edit","path":"docs/plan.md"}
"#;
    let line =
        br#"{"type":"attachment","attachment":{"type":"new","content":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}
"#;
    let nested = [br#"{"type":"user","message":{"content":"#.as_slice(), &vec![b'['; 3 << 20]].concat();
    let cases: [(&str, Option<Vec<u8>>); 7] = [
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("half", Some(half.to_vec())),
        ("other", Some(other.to_vec())),
        ("huge", Some(line.repeat((20 << 20) / line.len()))),
        ("nested", Some(nested)),
        ("bytes", Some((0..=255).cycle().take(1 << 20).collect())),
    ];
    for (id, bytes) in cases {
        let field = Field::planned(&world, harness, id, PLAN);
        let file = field.transcript();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        if let Some(bytes) = bytes {
            std::fs::write(&file, bytes).unwrap();
        }
        let mut payload = field.payload("Stop.json");
        payload["last_assistant_message"] = json!(EXCUSE);
        // What is never written down is waited for.
        payload["prompt_id"] = Value::Null;
        wrong.unless(field.routes(&payload).is_none(), || id.to_owned());
    }
    // Neither a pipe nor a directory is one, nor what is named where nothing can be.
    let field = Field::planned(&world, harness, "places", PLAN);
    let pipe = world.root().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for place in [json!(pipe), json!(world.root()), json!("/proc/self/mem"), json!("\u{0}"), json!(7), Value::Null] {
        let mut payload = field.payload("Stop.json");
        payload["last_assistant_message"] = json!(EXCUSE);
        payload["prompt_id"] = Value::Null;
        payload["transcript_path"] = place;
        wrong.unless(field.routes(&payload).is_none(), || payload["transcript_path"].to_string());
    }
}

/// What is shown counts, whatever stands beside it: as the same transcript without it, it holds.
#[rstest]
fn what_a_damaged_transcript_shows_still_counts(#[values(Claude, Codex)] harness: Harness) {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let noise =
        format!("{}\n", json!({"type": "attachment", "attachment": {"type": "new", "content": "x".repeat(4_000)}}));
    let cases: [(&str, Vec<u8>); 4] = [
        ("whole", Vec::new()),
        ("mid-write", br#"{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","te"#.to_vec()),
        ("other-rows", b"{\"v\":9}\n[]\nnull\n7\n\xff\xfe\n".to_vec()),
        ("larger-than-read", noise.repeat((20 << 20) / noise.len()).into_bytes()),
    ];
    for (id, bytes) in cases {
        let field = Field::planned(&world, harness, id, PLAN);
        field.says(EXECUTE);
        field.ticks("2. Import job");
        let payload = field.stop(EXCUSE);
        let mut file = std::fs::OpenOptions::new().append(true).open(field.transcript()).unwrap();
        file.write_all(&bytes).unwrap();
        wrong.unless(field.routes(&payload).is_some(), || format!("{id} has to be held"));
        // The person's word to stop is heard as well behind it.
        file.write_all(b"\n").unwrap();
        field.says("stop here, please");
        wrong.turn(&field, id, EXCUSE, false);
    }
}

/// A script reads the answer: `claude -p`, `codex exec`.
#[rstest]
fn without_a_person_who_reads_along_only_a_job_is_held(#[values(Claude, Codex)] harness: Harness) {
    let world = World::enforcing();
    let authority = world.authority();
    let mut wrong = Wrong::default();
    let cases = [
        ("Execute docs/plan.md until all of it is done.", EXCUSE, true),
        (
            "Führe den Plan in docs/plan.md vollständig aus.",
            "Mein Kontext ist fast voll, der Rest kommt in einer neuen Sitzung.",
            true,
        ),
        ("执行 docs/plan.md 里的所有步骤。", "上下文快满了，剩下的在新会话中继续。", true),
        (
            "Which steps of docs/plan.md are open?",
            "Steps 3 and 4. I'm low on context, so let's do them in a fresh session.",
            false,
        ),
        ("Welche Schritte sind noch offen?", "Schritt 3 und 4; die machen wir in einer neuen Sitzung.", false),
        ("只列出未完成的步骤，不要改代码。", "还剩第3、4步，剩下的在新会话中继续。", false),
        ("Do step 1 of docs/plan.md only.", EXCUSE, false),
        ("Write a summary of the last commit.", "It adds the import job. Next up: the export endpoint.", false),
    ];
    for (number, (said, message, is_held)) in cases.into_iter().enumerate() {
        let id = format!("headless-{number}");
        let field = Field::planned(&world, harness, &id, PLAN);
        field.hears(Sender::Headless, said);
        if is_held {
            field.ticks("2. Import job");
        }
        wrong.turn(&field, said, message, is_held);
        let row = authority.judged(&id);
        wrong.unless(row.would_block == is_held, || format!("{said}: recorded as {row:?}"));
        let explained = world.stopgate_json(&["explain", &row.event_id, "--json"]);
        wrong.unless(explained["recording"]["inputs"]["turn_end"]["headless"] == true, || format!("{said}: {row:?}"));
    }
    // What is let go for nothing but the script is recorded as what it is.
    std::fs::write(world.home.root().join("config.toml"), "[gate]\nheadless = \"never\"\n").unwrap();
    for (id, sender, is_held) in [("script", Sender::Headless, false), ("terminal", Sender::Typed, true)] {
        let field = Field::planned(&world, harness, id, PLAN);
        field.hears(sender, EXECUTE);
        field.ticks("2. Import job");
        wrong.turn(&field, id, EXCUSE, is_held);
        wrong.unless(authority.judged(id).rule.is_some(), || id.to_owned());
    }
}
