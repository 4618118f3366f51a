//! PID namespaces: sandboxes and containers that share the home. A stop is judged across them, what lives in another one is
//! unknown rather than gone, whoever calls from there is no operator, and process 1 may be a harness.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use stopgate_core::process::Liveness;
use stopgate_core::session::Harness;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::SessionRow;
use stopgate_tests::build::{Said, Site};
use stopgate_tests::person::Person;
use stopgate_tests::process::{blind_places, contained_namespaces, has_ended, pid_namespaces};
use stopgate_tests::run::{Stdin, finish, under};
use stopgate_tests::world::{EXCUSE, StopsAuthority, World, assert_silent, binary, block_reason, session_start};

/// The CLI, to be run by `wrapper`.
fn stopgate(world: &World, wrapper: &[&str], arguments: &[&str]) -> Said {
    let mut command = world.command(&binary("stopgate"));
    command.args(arguments);
    run(wrapper, command, "").into()
}

fn run(wrapper: &[&str], command: Command, stdin: &str) -> Output {
    finish(if wrapper.is_empty() { command } else { under(wrapper, &command) }, Stdin::from(stdin))
}

/// The session as the CLI shows it, run by `wrapper`.
fn row(world: &World, wrapper: &[&str], session: &str) -> SessionRow {
    let shown = stopgate(world, wrapper, &["sessions", "--all", "--json"]).ok().json();
    let rows: Vec<SessionRow> = serde_json::from_value(shown).unwrap();
    rows.into_iter().find(|row| row.session_id == session).unwrap()
}

#[test]
fn a_stop_is_judged_across_namespaces_in_both_directions() {
    for inside in pid_namespaces() {
        let is_contained = contained_namespaces().contains(&inside);
        let places = [(&[][..], &inside[..]), (&inside[..], &[][..]), (&inside[..], &inside[..])];
        for (of_authority, of_hook) in places.into_iter().take(if is_contained { 3 } else { 1 }) {
            let world = World::enforcing();
            let checkout = world.planned_checkout();
            let authority = if of_authority.is_empty() { world.authority() } else { world.authority_by(of_authority) };
            let start = session_start("s", &checkout.top, "startup").to_string();
            assert_silent(&run(of_hook, world.hook("session-start-recorder"), &start));
            assert_eq!(authority.sessions().len(), 1);
            world.asks_for_a_job(Harness::Claude, "s");
            let stopped =
                run(of_hook, world.hook("stop-gate-router"), &world.stop("s", &checkout.top, EXCUSE).to_string());
            let reason = block_reason(&String::from_utf8(stopped.stdout).unwrap());
            assert!(reason.contains("write the parser"), "{reason}");
            assert_eq!((world.spooled().len(), world.hook_log()), (0, String::new()), "{of_authority:?} {of_hook:?}");
        }
    }
}

#[test]
fn what_lives_in_another_namespace_is_unknown_and_not_resumed_beside_itself() {
    for inside in pid_namespaces().iter().filter(|layout| layout.contains(&"--mount-proc")) {
        let site = Site::new();
        let world = &site.world;
        let (outer, mut inner) = (site.claude(), site.agent_by("claude", inside));
        outer.starts("outer", "startup");
        inner.starts("inner", "startup");
        let seen = |wrapper: &[&str], session: &str| row(world, wrapper, session).liveness;
        assert_eq!([seen(&[], "outer"), seen(&[], "inner")], [Liveness::Alive, Liveness::Unknown]);
        assert_eq!([seen(inside, "outer"), seen(inside, "inner")], [Liveness::Unknown; 2], "a third one");
        let own: Vec<SessionRow> =
            serde_json::from_value(inner.run("\"$BIN/stopgate\" sessions --all --json").ok().json()).unwrap();
        let own =
            own.into_iter().map(|row| (row.session_id, row.liveness)).collect::<std::collections::BTreeMap<_, _>>();
        assert_eq!((own["outer"], own["inner"]), (Liveness::Unknown, Liveness::Alive));
        for (wrapper, session) in [(&inside[..], "outer"), (&[][..], "inner")] {
            let told = stopgate(world, wrapper, &["resume", session, "--exec"]);
            told.refused(2, &["cannot be told", "--force"]);
        }
        stopgate(world, &[], &["resume", "outer", "--exec"]).refused(2, &["still runs"]);
        inner.kill();
        assert_eq!(seen(&[], "inner"), Liveness::Unknown, "nobody outside saw it end");
        assert_ne!(row(world, &[], "inner").state, SessionState::Gone);
    }
}

#[test]
fn who_calls_from_another_namespace_is_no_operator() {
    let refused = |said: Said| drop(said.refused(2, &["another process namespace", "a terminal of your own"]));
    for inside in pid_namespaces() {
        let world = World::enforcing();
        let outside = world.authority();
        refused(stopgate(&world, &inside, &["mode", "off"]));
        refused(stopgate(&world, &inside, &["kill", "on"]));
        stopgate(&world, &[], &["kill", "on"]).ok();
        refused(stopgate(&world, &inside, &["kill", "off"]));
        stopgate(&world, &[], &["kill", "off"]).ok();
        stopgate(&world, &[], &["mode", "shadow"]).ok();
        drop(outside);
    }
}

#[test]
fn an_authority_that_was_started_in_a_sandbox_is_named_and_makes_way_for_one_that_sees_the_person() {
    for inside in contained_namespaces() {
        let world = World::enforcing();
        let mode = || std::fs::read_to_string(world.home.mode_file()).unwrap().trim().to_owned();
        let agents = world.authority_by(&inside);
        let _ends = StopsAuthority(&world);
        // Whoever looks is told what it is, and what to do.
        for look in [&["status"][..], &["authority", "status"]] {
            let shown = String::from_utf8(world.stopgate(look).stdout).unwrap();
            let told = ["namespace of its own", "cannot see who asks it", "`stopgate authority start` replaces it"];
            assert!(told.iter().all(|part| shown.contains(part)), "{shown}");
        }
        assert!(world.stopgate_json(&["status", "--json"])["authority_secluded"].is_string());
        // Where none may be started, the person gets by without it, and what needs one says why not.
        stopgate(&world, &[], &["kill", "on"]).ok();
        stopgate(&world, &[], &["kill", "off"]).ok();
        stopgate(&world, &[], &["mode", "shadow"]).ok();
        stopgate(&world, &[], &["sessions", "end", "nobody", "--yes"]).refused(1, &["namespace of its own", "kill "]);
        assert_eq!((mode(), world.home.kill_file().exists()), ("shadow".to_owned(), false));
        // Whoever is in there with it sees no other, and ends none.
        let mut inner = world.autostarting("stopgate");
        inner.args(["authority", "start"]);
        Said::from(run(&inside, inner, "")).ok();
        assert!(!has_ended(agents.pid()));
        // Any command of theirs that needs one replaces it.
        let mut command = world.autostarting("stopgate");
        command.args(["mode", "off"]);
        let said = Said::from(run(&[], command, "")).ok();
        assert!(said.err.contains("it was replaced"), "{said:?}");
        assert_eq!(mode(), "off");
        assert!(has_ended(agents.pid()));
        assert!(world.stopgate_json(&["status", "--json"])["authority_secluded"].is_null());
        stopgate(&world, &[], &["mode", "shadow"]).ok();
        assert_eq!(mode(), "shadow");
        // And the one outside is nobody's to end from in there.
        stopgate(&world, &inside, &["authority", "stop"]).refused(2, &["another process namespace"]);
    }
}

#[test]
fn the_doctor_names_an_authority_in_a_sandbox_and_replaces_it() {
    for inside in contained_namespaces() {
        let person = Person::new();
        person.install(&[]);
        let agents = person.world.authority_by(&inside);
        let doctor = |more: &[&str]| person.json(&[&["doctor", "--no-fire"], more].concat()).1.to_string();
        assert!(doctor(&[]).contains("authority-secluded"));
        doctor(&["--fix"]);
        let after = doctor(&[]);
        assert!(!after.contains("authority-secluded"), "{after}");
        assert!(person.has_authority() && has_ended(agents.pid()));
    }
}

#[test]
fn no_authority_serves_where_its_proc_does_not_show_it() {
    for inside in blind_places() {
        let world = World::enforcing();
        let checkout = world.planned_checkout();
        let told = &["without a /proc of its own processes", "start it outside"];
        stopgate(&world, &inside, &["authority", "run"]).refused(1, told);
        // Hooks there let go, and whoever looks is told why.
        // Where nothing is in /proc, nobody is told where they lie.
        std::fs::create_dir_all(world.home.bin()).unwrap();
        std::os::unix::fs::symlink(binary("stopgate"), world.home.bin().join("stopgate")).unwrap();
        // The sandbox ends with its first process, and whatever was started in there with it.
        let problem = world.home.run().join("authority.problem");
        let waiting = "\"$0\" claude; while [ ! -s \"$1\" ]; do sleep 0.02; done";
        let mut hook = world.command(Path::new("sh"));
        hook.env_remove("STOPGATE_NO_AUTOSTART");
        hook.args(["-c", waiting]).arg(binary("session-start-recorder")).arg(problem);
        assert_silent(&run(&inside, hook, &session_start("s", &checkout.top, "startup").to_string()));
        let status = world.stopgate_json(&["status", "--json"]);
        let problem = status["authority_problem"].as_str().unwrap();
        assert!(problem.contains(told[0]), "{problem}");
        let stopped = run(&inside, world.hook("stop-gate-router"), &world.stop("s", &checkout.top, EXCUSE).to_string());
        assert_silent(&stopped);
        // One that serves outside serves them, too.
        let _outside = world.authority();
        world.asks_for_a_job(Harness::Claude, "s");
        let stopped = run(&inside, world.hook("stop-gate-router"), &world.stop("s", &checkout.top, EXCUSE).to_string());
        block_reason(&String::from_utf8(stopped.stdout).unwrap());
    }
}

#[test]
fn in_a_container_a_person_is_an_operator_and_what_a_session_runs_in_a_sandbox_is_none() {
    for inside in pid_namespaces() {
        let world = World::enforcing();
        world.start_session("known", world.root());
        // Without an authority: the CLI asks the store itself.
        let mode = |session: &str| {
            let mut command = world.command(&binary("stopgate"));
            command.args(["mode", "off", "--json"]).env("CLAUDE_CODE_SESSION_ID", session);
            Said::from(run(&inside, command, ""))
        };
        mode("known").refused(2, &["another process namespace"]);
        if inside.contains(&"--mount-proc") {
            for somebody in ["", "stranger", "null"] {
                mode(somebody).ok();
            }
        }
    }
}

#[test]
fn while_a_session_lives_outside_nobody_in_a_namespace_of_its_own_is_the_operator() {
    for inside in pid_namespaces() {
        let site = Site::new();
        let outer = site.claude();
        outer.starts("outer", "startup");
        // It may have begun whoever asks, and no variable says so; there is no authority that would see it.
        stopgate(&site.world, &inside, &["mode", "off"]).refused(2, &["another process namespace"]);
        stopgate(&site.world, &[], &["mode", "off"]).ok();
    }
}

#[test]
fn process_1_may_be_the_harness() {
    for inside in pid_namespaces() {
        let site = Site::new();
        let world = &site.world;
        let authority = world.authority();
        let agent = site.agent_by("claude", &inside);
        agent.starts("s", "startup");
        let process = row(world, &[], "s").harness_process.unwrap();
        assert_eq!((agent.pid(), process.command.as_str()), (1, "claude"));
        // By the numbers of the `/proc` that it sees.
        let is_contained = inside.contains(&"--mount-proc") || inside.contains(&"--proc");
        assert_eq!(process.pid == 1, is_contained, "{process:?}");
        assert!(process.pid_namespace.is_some(), "{process:?}");
        agent.run("\"$BIN/stopgate\" mode off").refused(2, &["is the operator's"]);
        agent.run("\"$BIN/stopgate\" build pause").refused(2, &["is the operator's"]);
        let id = agent.start("s");
        assert!(agent.stop("s").is_some());
        agent.ends("s", "clear");
        agent.starts("next", "clear");
        assert!(agent.stop("next").is_some(), "the owner is known by its process and lineage");
        assert_eq!(site.state(&id)["owner"]["session_id"], json!("next"));
        assert_eq!(agent.stop("stranger"), None);
        drop(authority);
        agent.run("\"$BIN/stopgate\" mode off").refused(2, &["is the operator's"]);
    }
}
