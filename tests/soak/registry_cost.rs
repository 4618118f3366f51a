//! What the authority costs at 500 sessions. A measurement, not a test: run it by hand with
//! `cargo test -p stopgate-tests --test soak registry_cost -- --ignored --nocapture`.
//!
//! `STOPGATE_COST_AUTHORITY=$PWD/target/release/stopgate` measures a release build instead of the debug one.
//! `STOPGATE_COST_AGED=1` makes the sessions an hour old on a made-up clock, so that every pane is read. A release build
//! has to be made for that with `--features stopgate-core/made-up-world`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::process::stat::Stat;
use stopgate_tests::reaper::{MINUTE, Stage};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{binary, stop};

const SESSIONS: usize = 500;
/// Two looks of the reaper.
const MEASURED: Duration = Duration::from_secs(245);

#[test]
#[ignore = "a measurement of five minutes"]
fn five_hundred_sessions() {
    let _alone = crate::alone();
    let stage = Stage::new();
    let world = &stage.site.world;
    let program = ProcessEnv.text("STOPGATE_COST_AUTHORITY").map_or_else(|| binary("stopgate"), PathBuf::from);
    let program = program.canonicalize().unwrap();
    stage.enable_by_file("dry-run");
    let mut command = world.command(&program);
    command.args(["authority", "run"]).env_remove("STOPGATE_PRESSURE");
    // With the sessions an hour old every pane is read. The price is a look at the made-up clock every 20 ms.
    let aged = ProcessEnv.flag("STOPGATE_COST_AGED");
    if !aged {
        command.env_remove("STOPGATE_CLOCK");
    }
    let mut authority = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the authority answers", || world.stopgate(&["authority", "status"]).status.success().then_some(()));
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let id = format!("s{number}");
        let stand_in = stage.stand_in(&id);
        stand_in.starts(&id, "startup");
        stand_in.shows("claude-2.1.329-idle");
        stand_in.tell("sleeper");
        sessions.push(stand_in);
    }
    let database = || {
        let size = |name: &str| std::fs::metadata(world.home.root().join(name)).map_or(0, |meta| meta.len());
        (size("stopgate.db"), size("stopgate.db-wal"))
    };
    let own = || Stat::of(authority.id()).unwrap();
    let ms = |time: Option<Duration>| time.unwrap().as_millis();
    let all_ms = |stat: &Stat| ms(stat.cpu()) + ms(stat.waited_cpu());
    let (before, size_before) = (own(), database());
    for stand_in in &sessions {
        stand_in.records(&stand_in.id, "UserPromptSubmit");
        stand_in.hook("stop-gate-router", stop(&stand_in.id, stage.site.top(), "The parser is in."));
    }
    std::thread::sleep(Duration::from_secs(2));
    if aged {
        stage.pass(60 * MINUTE);
    }
    let (after_turns, size_turns) = (own(), database());
    std::thread::sleep(MEASURED);
    let (after, size_after) = (own(), database());
    let started = std::time::Instant::now();
    let listed = world.stopgate_json(&["sessions", "--json"]).as_array().unwrap().len();
    let list = started.elapsed();
    let status = world.stopgate_json(&["reaper", "status", "--json"]);
    let mut out = std::io::stderr();
    let _ = writeln!(
        out,
        "{listed} sessions: resident {} KiB; {SESSIONS} turns took {} ms of CPU; then {} ms of CPU in {} s with the \
         reaper looking (last look {} ms); the list took {} ms",
        after.resident_bytes().unwrap() / 1_024,
        ms(after_turns.cpu()) - ms(before.cpu()),
        all_ms(&after) - all_ms(&after_turns),
        MEASURED.as_secs(),
        status["last_tick_took_ms"],
        list.as_millis(),
    );
    let _ = writeln!(
        out,
        "database (file, WAL): {size_before:?}, after {SESSIONS} turns {size_turns:?}, after two looks {size_after:?}; \
         kept by {}",
        status["kept_by"]
    );
    authority.kill().unwrap();
    authority.wait().unwrap();
}
