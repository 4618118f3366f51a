//! Which process is a session's: workers below a daemon, a second process on one session, and ids that are none.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Payload, parse};
use stopgate_core::process::{Liveness, ProcFs, ProcessIdentity, identify};
use stopgate_core::protocol::{HookEvent, Origin};
use stopgate_core::session::Harness;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::SessionRow;
use stopgate_store::Store;
use stopgate_tests::background::{Background, Layout};
use stopgate_tests::build::{Agent, Said, Site};
use stopgate_tests::process::{has_ended, pid_namespaces};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{HOOKS, World, assert_silent, binary, session_start, stop, with};

fn row(world: &World, session: &str) -> SessionRow {
    let rows: Vec<SessionRow> = serde_json::from_value(world.stopgate_json(&["sessions", "--all", "--json"])).unwrap();
    rows.into_iter().find(|row| row.session_id == session).unwrap()
}

fn pid(world: &World, session: &str) -> Option<u32> {
    row(world, session).harness_process.map(|process| process.pid)
}

fn end(world: &World, session: &str) -> Said {
    world.stopgate(&["sessions", "end", session, "--yes"]).into()
}

fn prompts(agent: &Agent<'_>, session: &str) {
    agent.records(&json!({"session_id": session, "cwd": "/", "hook_event_name": "UserPromptSubmit", "prompt": "go",
                          "transcript_path": "/nowhere/x.jsonl"}));
}

#[test]
fn sessions_in_the_background_are_their_workers_and_the_daemon_is_none() {
    for layout in Layout::ALL {
        let site = Site::new();
        let world = &site.world;
        let _authority = world.authority();
        let background = Background::start(&site, layout, 2);
        let [first, second] = &background.workers[..] else { panic!() };
        first.starts("first", "startup");
        let id = first.start("first");
        second.starts("second", "fork");
        assert_eq!([pid(world, "first"), pid(world, "second")], [Some(first.pid()), Some(second.pid())], "{layout:?}");
        assert_eq!(row(world, "second").predecessor, None, "{layout:?}: a fork in another process");
        let before = site.snapshot();
        assert_eq!(second.stop("second"), None, "{layout:?}: it has not inherited the build of a living session");
        assert_eq!(site.snapshot(), before);
        assert!(first.stop("first").is_some());
        first.ends("first", "clear");
        first.starts("next", "clear");
        assert!(first.stop("next").is_some(), "{layout:?}: the owner goes on");
        assert_eq!(site.state(&id)["owner"]["process"]["pid"], json!(first.pid()));
        // What an agent may not do.
        second.run("\"$BIN/stopgate\" mode off").refused(2, &["is the operator's"]);

        assert!(end(world, "next").ok().out.starts_with("terminated"));
        assert!(has_ended(first.pid()) && !has_ended(background.pid()) && !has_ended(second.pid()), "{layout:?}");
        assert_eq!(
            [row(world, "next").state, row(world, "second").state],
            [SessionState::Ended, SessionState::Starting]
        );
    }
}

#[test]
fn a_daemon_that_an_older_version_took_for_a_session_is_not_ended() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let background = Background::start(&site, Layout::Native, 1);
    let daemon = identify(&ProcFs, background.pid()).unwrap();
    let payload = session_start("s", world.root(), "startup");
    let Ok(Payload::Known(event)) = parse(Some(Harness::Claude), payload.to_string().as_bytes()) else { panic!() };
    let recorded = |pid_namespace| {
        let harness_process = Some(ProcessIdentity { pid_namespace, ..daemon.clone() });
        let (event_id, at_ms) = (new_event_id(&SystemClock), SystemClock.now_ms());
        let origin = Origin { harness_process, ..Origin::default() };
        HookEvent { event_id, at_ms, boot_ms: None, event: event.clone(), origin }
    };
    for namespace in [None, daemon.pid_namespace] {
        let mut store = Store::open(&world.home, std::time::Duration::from_secs(5)).unwrap();
        store.record_event(&recorded(namespace)).unwrap();
        end(world, "s").refused(1, &["not ended", "not known for certain"]);
        assert!(!has_ended(background.pid()));
    }
}

#[test]
fn what_the_client_says_of_itself_counts_whatever_it_is_called() {
    let site = Site::new();
    let world = &site.world;
    let wrapped = site.agent("my-claude-build");
    wrapped.starts("unnamed", "startup");
    assert_eq!(pid(world, "unnamed"), None);
    wrapped.run("export CLAUDE_PID=$$").ok();
    wrapped.starts("named", "startup");
    assert_eq!(pid(world, "named"), Some(wrapped.pid()));
    let id = wrapped.start("named");
    assert_eq!(site.state(&id)["owner"]["process"]["pid"], json!(wrapped.pid()));
    wrapped.ends("named", "clear");
    wrapped.starts("next", "clear");
    assert!(wrapped.stop("next").is_some(), "the owner is known by its process and lineage");
    // Inherited from a client outside, of an older client that does not say it, and of nobody.
    let inner = site.claude();
    for told in [wrapped.pid().to_string(), "1".to_owned(), "0".to_owned(), "x".to_owned(), "99999999999".to_owned()] {
        inner.run(&format!("export CLAUDE_PID={told}")).ok();
        inner.starts("inner", "startup");
        assert_eq!(pid(world, "inner"), Some(inner.pid()), "{told}");
    }
}

#[test]
fn two_sessions_of_one_process_are_not_ended_with_each_other() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let agent = site.claude();
    agent.starts("one", "startup");
    agent.starts("two", "startup");
    for session in ["one", "two"] {
        end(world, session).refused(1, &["not ended", "runs other sessions"]);
    }
    agent.ends("one", "other");
    end(world, "two").ok();
    assert!(has_ended(agent.pid()));
}

#[test]
fn a_session_that_is_taken_up_in_a_second_process_lives_on_in_the_first() {
    for served in [true, false] {
        let site = Site::new();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        let (open, mut headless) = (site.claude(), site.claude());
        open.starts("s", "startup");
        prompts(&open, "s");
        headless.starts("s", "resume");
        prompts(&headless, "s");
        assert_eq!((row(world, "s").state, pid(world, "s")), (SessionState::Working, Some(open.pid())));
        headless.ends("s", "other");
        headless.kill();
        let still = row(world, "s");
        assert_eq!((still.state, still.liveness, still.ended_at_ms), (SessionState::Working, Liveness::Alive, None));
        assert_eq!(pid(world, "s"), Some(open.pid()), "served: {served}");
        open.ends("s", "prompt_input_exit");
        assert_eq!(row(world, "s").state, SessionState::Ended);
        assert_eq!(row(world, "s").end_reason.as_deref(), Some("prompt_input_exit"));
    }
}

#[test]
fn a_session_goes_on_in_the_process_that_is_left() {
    let site = Site::new();
    let world = &site.world;
    let (mut first, mut second) = (site.claude(), site.claude());
    first.starts("s", "startup");
    second.starts("s", "resume");
    first.ends("s", "prompt_input_exit");
    first.kill();
    assert_eq!((row(world, "s").ended_at_ms, pid(world, "s")), (None, Some(second.pid())));
    // One that was killed said nothing: whoever takes the session up is its process.
    second.kill();
    assert_eq!(row(world, "s").state, SessionState::Gone);
    let third = site.claude();
    third.starts("s", "resume");
    assert_eq!((row(world, "s").liveness, pid(world, "s")), (Liveness::Alive, Some(third.pid())));
    third.ends("s", "other");
    assert_eq!(row(world, "s").state, SessionState::Ended);
}

#[test]
fn an_end_outside_leaves_a_session_unknown_that_is_open_in_another_namespace() {
    for inside in pid_namespaces().iter().filter(|layout| layout.contains(&"--mount-proc")) {
        let site = Site::new();
        let world = &site.world;
        let _authority = world.authority();
        let (contained, headless) = (site.agent_by("claude", inside), site.claude());
        contained.starts("s", "startup");
        headless.starts("s", "resume");
        assert_eq!((row(world, "s").liveness, pid(world, "s")), (Liveness::Alive, Some(headless.pid())));
        headless.ends("s", "other");
        let left = row(world, "s");
        assert_eq!((left.ended_at_ms, left.liveness, pid(world, "s")), (None, Liveness::Unknown, Some(1)));
        contained.ends("s", "other");
        assert_eq!(row(world, "s").state, SessionState::Ended);
    }
}

#[test]
fn an_id_that_says_that_there_is_none_is_none_wherever_it_comes_in() {
    let site = Site::new();
    let world = &site.world;
    let authority = world.authority();
    for nothing in ["null", "undefined", "NULL", " null ", "None", "00000000-0000-0000-0000-000000000000"] {
        for hook in HOOKS {
            for harness in Harness::ALL {
                for payload in [session_start(nothing, site.top(), "startup"), stop(nothing, site.top(), "bye")] {
                    let mut command = world.command(&binary(hook));
                    command.arg(harness.name());
                    assert_silent(&finish(command, Stdin::from(&*payload.to_string())));
                }
            }
        }
        let said = site.build("", &["start", "t", "--owner-session", nothing]);
        said.refused(2, &["not a session id"]);
        let mut start = site.command("", &["start", "t", "--json"]);
        start.env("CLAUDE_CODE_SESSION_ID", nothing);
        let id = site.started(finish(start, Stdin::from("")).into());
        assert_eq!(site.state(&id)["owner"]["session_id"], Value::Null, "{nothing}");
        assert_eq!(held(&site, nothing), None);
        site.build("", &["fail", "--build", &id, "--reason", "r"]).ok();
        let contest = ["gate", "contest", "why", "--session", nothing];
        Said::from(world.stopgate(&contest)).refused(1, &["cannot tell which session"]);
    }
    assert_eq!((authority.sessions().len(), authority.log().len(), world.spooled().len()), (0, 0, 0));
}

fn held(site: &Site, session: &str) -> Option<String> {
    stopgate_tests::build::held(site.hook(&with(stop("x", site.top(), "bye"), "session_id", json!(session))))
}
