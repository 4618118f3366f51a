//! `stopgate sessions` and `stopgate resume` through the real binary.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;
use stopgate_tests::build::{Said, Site};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{World, binary, session_start};

fn said(world: &World, arguments: &[&str]) -> Said {
    world.stopgate(arguments).into()
}

/// The state of `world` with sessions in a directory that needs quoting.
fn three_sessions() -> (World, std::path::PathBuf) {
    let world = World::new();
    let dir = world.root().join("it's my work");
    std::fs::create_dir(&dir).unwrap();
    for id in ["aaa-1", "aaa-2", "bbb"] {
        world.start_session(id, &dir);
    }
    (world, dir)
}

#[test]
fn the_table_has_a_line_for_each_session_with_its_resume_command() {
    let (world, dir) = three_sessions();
    let _authority = world.authority();
    let table = said(&world, &["sessions"]).ok().out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("STATE") && lines[0].contains("WAITS FOR") && lines[0].ends_with("RESUME"), "{table}");
    assert_eq!(lines.len(), 4, "{table}");
    let resume = format!("cd '{}' && claude --resume bbb", dir.to_str().unwrap().replace('\'', r"'\''"));
    let line = lines.iter().find(|line| line.ends_with(&resume)).unwrap();
    assert!(line.starts_with("starting?") && line.contains("SessionStart") && line.contains("it's my work"), "{line}");
    assert!(!table.contains('\u{1b}'), "no colour where there is no terminal: {table:?}");
    let json = world.stopgate_json(&["sessions", "--json"]);
    for field in ["started_at", "state", "harness", "session_id", "liveness", "resume_command", "memory_bytes"] {
        assert!(json.as_array().unwrap().iter().all(|row| row.get(field).is_some()), "{field}: {json}");
    }
    assert!(said(&world, &["sessions", "show", "bbb"]).ok().out.contains("last SessionStart"));
    assert_eq!(world.stopgate_json(&["sessions", "show", "bbb", "--json"])["session_id"], "bbb");
}

#[test]
fn ids_may_be_cut_short_and_what_fits_several_or_none_is_refused_by_name() {
    let (world, _) = three_sessions();
    let _authority = world.authority();
    assert_eq!(world.stopgate_json(&["sessions", "show", "b", "--json"])["session_id"], "bbb");
    said(&world, &["sessions", "show", "aaa"])
        .refused(1, &["2 sessions begin with aaa", "claude:aaa-1", "claude:aaa-2"]);
    said(&world, &["sessions", "show", "zzz"]).refused(1, &["no session has the id zzz", "--all"]);
    said(&world, &["resume", "a b"]).refused(1, &["session id \"a b\""]);
    said(&world, &["resume", ""]).refused(2, &["a value is required"]);
    said(&world, &["sessions", "show", "aaa%"]).refused(1, &["no session has the id aaa%"]);
    said(&world, &["sessions", "--all", "show", "bbb"]).refused(2, &["cannot be used"]);
}

#[test]
fn resume_prints_a_line_that_a_shell_runs_and_exec_runs_it() {
    let (world, dir) = three_sessions();
    let bin = world.root().join("fake bin");
    std::fs::create_dir(&bin).unwrap();
    // The shell is the harness: it says where it is and what it was told.
    std::fs::write(bin.join("claude"), "#!/bin/sh\npwd\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(bin.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let expected = format!("{}\n--resume bbb\n", dir.display());
    let with_path = |mut command: std::process::Command| {
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        Said::from(finish(command, Stdin::from("")))
    };
    let line = said(&world, &["resume", "bbb"]).ok().out;
    let mut shell = world.command("/bin/sh".as_ref());
    shell.args(["-c", &line]);
    assert_eq!(with_path(shell).ok().out, expected);
    let mut exec = world.command(&binary("stopgate"));
    exec.args(["resume", "bbb", "--exec"]);
    assert_eq!(with_path(exec).ok().out, expected);
    let json = world.stopgate_json(&["resume", "bbb", "--json"]);
    assert_eq!(json["argv"], serde_json::json!(["claude", "--resume", "bbb"]));

    said(&world, &["resume", "bbb", "--exec"]).refused(1, &["cannot run claude"]);
    std::fs::remove_dir(&dir).unwrap();
    said(&world, &["resume", "bbb", "--exec"]).refused(1, &["is gone", "it's my work"]);
}

#[test]
fn a_session_that_runs_is_not_resumed_beside_itself() {
    let site = Site::new();
    let _authority = site.world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    said(&site.world, &["resume", "s", "--exec"]).refused(2, &["still runs", &agent.pid().to_string(), "--force"]);
    let printed = said(&site.world, &["resume", "s"]).ok();
    assert!(printed.err.contains("still runs") && printed.out.contains("claude --resume s"), "{printed:?}");
}

#[test]
fn watching_ends_with_the_home_and_makes_no_other() {
    let (world, _) = three_sessions();
    let authority = world.authority();
    let mut command = world.command(&binary("stopgate"));
    command.args(["sessions", "--watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    authority.kill();
    // At once, also for a look that is under way.
    std::fs::rename(world.home.root(), world.root().join("removed")).unwrap();
    while lines.next().is_some() {}
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("was removed"), "{ended:?}");
    assert!(!world.home.root().exists());
}

#[test]
fn watching_ends_with_its_reader() {
    let (world, _) = three_sessions();
    let _authority = world.authority();
    let mut command = world.command(&binary("stopgate"));
    command.args(["sessions", "--watch", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line.as_array().unwrap().len(), 3);
        // Something changes between the looks.
        world.run_hook("session-start-recorder", &session_start("bbb", world.root(), "resume"));
    }
    drop(lines);
    assert!(child.wait().unwrap().success());
}
