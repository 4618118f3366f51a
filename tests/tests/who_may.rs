//! Who may do what is the operator's: an agent never, however it goes about it; the person always; and whoever cannot be told
//! from either is shown to the person afterwards.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::contest_note;
use stopgate_core::event_id::new_event_id;
use stopgate_core::harness::{Payload, parse};
use stopgate_core::process::{ProcFs, ProcessIdentity, identify};
use stopgate_core::protocol::{HookEvent, Origin};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::spool::{self, SpoolRoute};
use stopgate_protocol::{Endpoint as _, SetMode, Shutdown};
use stopgate_tests::agent::agent;
use stopgate_tests::build::{Agent, Said, Site};
use stopgate_tests::person::Person;
use stopgate_tests::process::pid_namespaces;
use stopgate_tests::run::{Stdin, eventually, finish, under};
use stopgate_tests::world::{EXCUSE, World, binary, block_reason, session_start};

const QUIETLY_INIT: [&str; 3] = ["init", "--yes", "--no-live-check"];
/// The user `nobody` of every Linux.
const NOBODY: u32 = 65_534;
const REFUSED: &[&str] = &["is the operator's"];

/// What loosens, and how it is called.
const LOOSENS: [&str; 12] = [
    "mode shadow",
    "mode off",
    "mode shadow --rule U2",
    "gate learn --undo",
    "kill on",
    "kill off",
    "gate breaker reset",
    "authority stop",
    "reaper enable",
    "sessions end s --yes",
    "sessions rename s parser",
    "build pause",
];

fn mode(world: &World) -> String {
    std::fs::read_to_string(world.home.mode_file()).unwrap_or_default().trim().to_owned()
}

fn unattended(world: &World) -> Vec<Value> {
    let status = world.stopgate_json(&["status", "--json"]);
    status["unattended_acts"].as_array().unwrap().clone()
}

/// A site in enforce.
fn enforcing() -> Site {
    let site = Site::new();
    std::fs::write(site.world.home.mode_file(), "enforce\n").unwrap();
    site
}

/// `stopgate` with arguments, by a person at a terminal of their own.
fn at_terminal(world: &World, line: &str) -> Said {
    let mut command = world.command(Path::new("script"));
    let program = binary("stopgate");
    command.args(["-qec", &format!("'{}' {line} 2>&1", program.display()), "/dev/null"]);
    Said::from(finish(command, Stdin::from("")))
}

/// Runs a line as a helper that has left its ancestors, as `setsid` and a parent that ends make one; what it printed.
fn cut_loose(world: &World, agent: &Agent<'_>, line: &str) -> String {
    let out = world.root().join(format!("cut-loose-{}", new_event_id(&SystemClock)));
    let shown = out.display();
    agent.run(&format!(
        "(setsid sh -c '{{ {line}; }} > \"{shown}.part\" 2>&1; mv \"{shown}.part\" \"{shown}\"' </dev/null >/dev/null 2>&1 &)"
    ));
    eventually("the helper is done", || std::fs::read_to_string(&out).ok())
}

#[test]
fn everything_that_loosens_is_refused_to_an_agent_with_an_authority_and_without() {
    for served in [true, false] {
        let site = enforcing();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        let agent = site.claude();
        agent.starts("s", "startup");
        let id = agent.start("s");
        for act in LOOSENS.iter().filter(|act| served || !act.starts_with("sessions") && !act.starts_with("reaper")) {
            if !served && *act == "authority stop" {
                continue;
            }
            agent.run(&format!("\"$BIN/stopgate\" {act}")).refused(2, REFUSED);
        }
        assert_eq!((mode(world).as_str(), world.home.kill_file().exists()), ("enforce", false));
        assert!(site.state(&id)["pause"].is_null());
        // What tightens is everybody's.
        agent.run("\"$BIN/stopgate\" mode enforce --yes").ok();
        agent.run("\"$BIN/stopgate\" reaper disable").ok();
        assert_eq!(unattended(world), Vec::<Value>::new());
    }
}

#[test]
fn nested_shells_hide_no_agent() {
    let site = enforcing();
    let world = &site.world;
    for served in [true, false] {
        let _authority = served.then(|| world.authority());
        let agent = site.claude();
        agent.starts("s", "startup");
        // Each shell waits for the next one: none becomes it.
        let deep = "n=$1; f=$2; shift; if [ $n -gt 0 ]; then sh \"$f\" $((n - 1)) \"$f\"; exit $?; else \"$BIN/stopgate\" mode off; exit $?; fi";
        let file = world.root().join("deep");
        std::fs::write(&file, deep).unwrap();
        for depth in [21, 30, 200] {
            let line = format!("export BIN; sh '{0}' {depth} '{0}'", file.display());
            agent.run(&line).refused(2, REFUSED);
        }
        assert_eq!(mode(world), "enforce");
    }
}

#[test]
fn many_shells_of_a_person_make_no_agent() {
    let world = World::enforcing();
    let _authority = world.authority();
    let file = world.root().join("deep");
    let program = binary("stopgate");
    let deep =
        "n=$1; f=$2; if [ $n -gt 0 ]; then sh \"$f\" $((n - 1)) \"$f\"; exit $?; else \"$P\" mode off; exit $?; fi";
    std::fs::write(&file, deep).unwrap();
    let mut command = world.command(Path::new("script"));
    let line = format!("P='{1}' sh '{0}' 30 '{0}'", file.display(), program.display());
    command.args(["-qec", &line, "/dev/null"]);
    Said::from(finish(command, Stdin::from(""))).ok();
    assert_eq!((mode(&world).as_str(), unattended(&world).len()), ("off", 0), "at a terminal it is no news");
}

#[test]
fn a_connector_that_is_gone_is_no_operator() {
    let world = World::enforcing();
    let authority = world.authority();
    let socket = world.home.socket_to_connect().unwrap();
    // The connection is handed on to a process that asks when whoever made it has ended.
    let body = json!({"mode": "off"}).to_string();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        SetMode::PATH,
        body.len()
    );
    let answer = world.root().join("answer");
    let script = format!(
        "import os, socket, time\n\
         s = socket.socket(socket.AF_UNIX); s.connect({socket:?}); parent = os.getpid()\n\
         if os.fork() == 0:\n\
         \x20   while os.getppid() == parent: time.sleep(0.01)\n\
         \x20   s.sendall({request:?}.encode()); got = b''\n\
         \x20   while True:\n\
         \x20       part = s.recv(65536)\n\
         \x20       if not part: break\n\
         \x20       got += part\n\
         \x20   open({part:?}, 'wb').write(got); os.rename({part:?}, {answer:?})\n\
         os._exit(0)\n",
        part = world.root().join("answer.part"),
    );
    let mut python = world.command(Path::new("python3"));
    python.args(["-c", &script]);
    if python.stdout(std::process::Stdio::null()).spawn().map(|mut child| child.wait()).is_err() {
        let _ = std::io::stderr().write_all(b"SKIPPED: no python3\n");
        return;
    }
    let said = eventually("it is answered", || std::fs::read_to_string(&answer).ok());
    assert!(said.starts_with("HTTP/1.1 403 ") && said.contains("has ended"), "{said}");
    assert_eq!(mode(&world), "enforce");
    drop(authority);
}

#[test]
fn an_event_names_nobody_but_its_own_process() {
    let site = enforcing();
    let world = &site.world;
    let authority = world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    let own = authority.sessions()[0].harness_process.clone().unwrap();
    assert_eq!(own.pid, agent.pid());
    let payload = session_start("forged", world.root(), "startup");
    let Ok(Payload::Known(event)) = parse(Some(Harness::Claude), payload.to_string().as_bytes()) else { panic!() };
    let says = |process: ProcessIdentity| {
        let origin = Origin { harness_process: Some(process), ..Origin::default() };
        HookEvent {
            event_id: new_event_id(&SystemClock),
            at_ms: SystemClock.now_ms(),
            boot_ms: None,
            event: event.clone(),
            origin,
        }
    };
    let person = std::process::id();
    // A shell of the person's: it ends with its input.
    let mut shell = world.command(Path::new("sh"));
    let mut shell = shell.args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    for pid in [1, person, shell.id()] {
        let event = says(identify(&ProcFs, pid).unwrap());
        // From the socket, and from a file that an authority finds.
        authority.call(&event);
        let spooled = HookEvent { event_id: new_event_id(&SystemClock), ..event };
        let bytes = serde_json::to_vec(&spooled).unwrap();
        spool::put(&world.home, SpoolRoute::HookEvent, &spooled.event_id, &bytes).unwrap();
    }
    eventually("the files are taken in", || world.spooled().is_empty().then_some(()));
    drop(shell.stdin.take());
    shell.wait().unwrap();
    let forged = authority.sessions().into_iter().find(|row| row.session_id == "forged").unwrap();
    assert_eq!(forged.harness_process, None);
    // Nor does the agent's own event name another process for itself.
    let renamed = json!({"session_id": "s", "cwd": "/", "hook_event_name": "UserPromptSubmit", "prompt": "go"});
    agent
        .run(&format!("export CLAUDE_PID={person}; printf '%s' '{renamed}' | \"$BIN/session-start-recorder\" claude"))
        .ok();
    let still = authority.sessions().into_iter().find(|row| row.session_id == "s").unwrap();
    assert_eq!(still.harness_process.map(|process| process.pid), Some(agent.pid()));
    agent.run("\"$BIN/stopgate\" mode off").refused(2, REFUSED);
    // The person is refused nothing.
    at_terminal(world, "mode off").ok();
    assert_eq!(mode(world), "off");
}

#[test]
fn a_record_of_a_persons_shell_makes_no_harness_of_it() {
    // What an older version, or whoever writes into the store, has left there.
    let site = enforcing();
    let world = &site.world;
    let agent = site.claude();
    agent.starts("s", "startup");
    let shell = world.root().join("shell");
    let program = binary("stopgate");
    let line = format!(
        "echo $$ > '{0}.part'; mv '{0}.part' '{0}'; while [ ! -e '{0}.go' ]; do sleep 0.02; done; '{1}' mode off; exit $?",
        shell.display(),
        program.display()
    );
    let world_command = |line: &str| {
        let mut command = world.command(Path::new("script"));
        command.args(["-qec", line, "/dev/null"]);
        command
    };
    std::fs::write(world.root().join("line"), line).unwrap();
    // A shell that somebody types into: its name is its program's.
    let running = world_command(&format!("/bin/bash '{}'", world.root().join("line").display()));
    std::thread::scope(|scope| {
        let person = scope.spawn(|| Said::from(finish(running, Stdin::from(""))));
        let pid: u32 = eventually("the shell runs", || std::fs::read_to_string(&shell).ok()?.trim().parse().ok());
        let ticks = identify(&ProcFs, pid).unwrap().start_ticks;
        rusqlite::Connection::open(world.home.database())
            .unwrap()
            .execute(
                "UPDATE sessions SET process_pid = ?1, process_start_ticks = ?2",
                [i64::from(pid), ticks.cast_signed()],
            )
            .unwrap();
        std::fs::write(shell.with_extension("go"), "").unwrap();
        person.join().unwrap().ok();
    });
    assert_eq!(mode(world), "off");
}

#[test]
fn another_home_hides_no_agent() {
    let (site, other) = (enforcing(), World::enforcing());
    let _authorities = (site.world.authority(), other.authority());
    let agent = site.claude();
    agent.starts("s", "startup");
    let home = other.home.root().display().to_string();
    let said = agent.run(&format!("STOPGATE_HOME='{home}' \"$BIN/stopgate\" mode off"));
    said.refused(2, &["runs inside an agent session"]);
    // A home of its own, whose switches are the person's.
    let trick = site.world.root().join("trick");
    std::fs::create_dir(&trick).unwrap();
    std::os::unix::fs::symlink(site.world.home.root().join("switches"), trick.join("switches")).unwrap();
    agent.run(&format!("STOPGATE_HOME='{}' \"$BIN/stopgate\" mode off", trick.display())).refused(2, REFUSED);
    assert_eq!((mode(&other).as_str(), mode(&site.world).as_str()), ("enforce", "enforce"));
}

#[test]
fn another_namespace_hides_no_agent() {
    for inside in pid_namespaces() {
        let site = enforcing();
        let world = &site.world;
        for served in [true, false] {
            let _authority = served.then(|| world.authority());
            let agent = site.claude();
            agent.starts("s", "startup");
            for act in ["mode off", "kill on"] {
                agent.run(&format!("{} \"$BIN/stopgate\" {act}", inside.join(" "))).refused(2, REFUSED);
            }
            assert_eq!((mode(world).as_str(), world.home.kill_file().exists()), ("enforce", false), "served: {served}");
        }
    }
}

#[test]
fn what_is_cut_loose_is_done_recorded_and_shown_until_a_person_has_seen_it() {
    for served in [true, false] {
        let site = enforcing();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        let agent = site.claude();
        agent.starts("s", "startup");
        let said = cut_loose(world, &agent, ": secret-in-arguments; \"$BIN/stopgate\" mode shadow --json");
        assert_eq!(mode(world), "shadow", "{said}");
        let acts = unattended(world);
        assert_eq!(acts.len(), 1, "{acts:?}");
        assert_eq!(acts[0]["action"], "mode shadow");
        let chain = acts[0]["chain"].as_array().unwrap();
        assert!(chain.len() >= 2 && chain[0]["name"] == "stopgate" && chain[1]["name"] == "sh", "{chain:?}");
        assert!(chain.iter().all(|process| process["pid"].is_u64() && process["start_ticks"].is_u64()));
        assert!(!acts[0].to_string().contains("secret"), "no arguments are kept: {acts:?}");
        let shown = String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
        assert!(
            shown.contains("unattended   ") && shown.contains("`mode shadow`, without a terminal, by stopgate ("),
            "{shown}"
        );
        // Neither the agent nor a helper says that the person has seen it.
        agent.run("\"$BIN/stopgate\" status --seen").refused(2, REFUSED);
        let helper = cut_loose(world, &agent, "\"$BIN/stopgate\" status --seen");
        assert!(helper.contains("is for a person at a terminal"), "{helper}");
        Said::from(world.stopgate(&["status", "--seen"])).refused(2, &["is for a person at a terminal"]);
        assert_eq!(unattended(world).len(), 1);
        let seen = at_terminal(world, "status --seen").ok();
        assert!(seen.out.contains("1 marked as seen"), "{seen:?}");
        assert_eq!(unattended(world), Vec::<Value>::new());
        assert!(at_terminal(world, "status --seen").ok().out.contains("nothing that you had not seen"));
        at_terminal(world, "mode off").ok();
        assert_eq!(unattended(world), Vec::<Value>::new(), "what a person does at a terminal is no news to them");
    }
}

#[test]
fn terminal_only_refuses_whoever_has_none() {
    for served in [true, false] {
        let site = enforcing();
        let world = &site.world;
        std::fs::write(world.home.root().join("config.toml"), "[operator]\nterminal_only = true\n").unwrap();
        let _authority = served.then(|| world.authority());
        let agent = site.claude();
        agent.starts("s", "startup");
        for act in ["mode off", "kill on"] {
            let said = cut_loose(world, &agent, &format!("\"$BIN/stopgate\" {act}"));
            assert!(said.contains("terminal_only"), "{said}");
        }
        Said::from(world.stopgate(&["mode", "off"])).refused(2, &["terminal_only"]);
        assert_eq!((mode(world).as_str(), world.home.kill_file().exists()), ("enforce", false));
        Said::from(world.stopgate(&["mode", "enforce", "--yes"])).ok();
        at_terminal(world, "kill on").ok();
        at_terminal(world, "kill off").ok();
        at_terminal(world, "mode off").ok();
        assert_eq!(mode(world), "off");
    }
}

#[test]
fn a_person_is_never_refused_wherever_their_terminal_comes_from() {
    let site = enforcing();
    let world = &site.world;
    let _authority = world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    let set = |said: Said, to: &str| {
        said.ok();
        assert_eq!(mode(world), to);
        at_terminal(world, "mode enforce --yes").ok();
    };
    set(at_terminal(world, "mode off"), "off");
    // tmux that a person has started, below a login shell.
    let tmux = stopgate_tests::build::Tmux::new(&site, "persons");
    let done = world.root().join("done");
    let line = format!("'{}' mode shadow; echo $? > '{}'", binary("stopgate").display(), done.display());
    tmux.run(&["new-session", "-d", "-s", "mine", &format!("bash -lc \"{line}\"; sleep 60")]);
    let code =
        eventually("the pane is done", || std::fs::read_to_string(&done).ok().filter(|text| text.ends_with('\n')));
    assert_eq!((code.trim(), mode(world).as_str()), ("0", "shadow"));
    at_terminal(world, "mode enforce --yes").ok();
    // An editor's terminal: the editor is no harness, whatever runs beside it, and has variables of one.
    let mut editor = world.command(Path::new("script"));
    editor.env("CLAUDE_CODE_SESSION_ID", "s").env("CLAUDE_PID", agent.pid().to_string());
    editor.args(["-qec", &format!("sh -c \"'{}' mode off; exit $?\"", binary("stopgate").display()), "/dev/null"]);
    set(Said::from(finish(editor, Stdin::from(""))), "off");
    assert_eq!(unattended(world), Vec::<Value>::new());
    // A command over ssh has neither: it is done, and shown.
    Said::from(world.stopgate(&["mode", "shadow"])).ok();
    assert_eq!(unattended(world).len(), 1);
}

/// Whether these tests may become another user.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let _ = std::io::stderr().write_all(b"SKIPPED: only root may become another user\n");
    }
    is_root
}

#[test]
fn whoever_changes_their_user_at_a_terminal_has_one_though_su_takes_it_away() {
    if !is_root() {
        return;
    }
    for served in [true, false] {
        let site = enforcing();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        let agent = site.claude();
        agent.starts("s", "startup");
        let program = binary("stopgate");
        let inner = format!("{} mode shadow --json", program.display());
        for by in [
            format!("su -c '{inner}'"),
            format!("/usr/sbin/runuser -c '{inner}'"),
            format!("/usr/sbin/runuser -u root -- {inner}"),
        ] {
            let mut command = world.command(Path::new("script"));
            command.args(["-qec", &by, "/dev/null"]);
            Said::from(finish(command, Stdin::from(""))).ok();
            assert_eq!((mode(world).as_str(), unattended(world)), ("shadow", vec![]), "served: {served}, {by}");
            at_terminal(world, "mode enforce --yes").ok();
        }
        // Without a terminal it gives nobody one, nor does it hide an agent.
        let mut command = world.command(Path::new("su"));
        command.args(["-c", &inner]);
        Said::from(finish(command, Stdin::from(""))).ok();
        assert_eq!(unattended(world).len(), 1);
        at_terminal(world, "mode enforce --yes").ok();
        agent.run(&format!("script -qec \"su -c '{inner}'\" /dev/null >&2")).refused(2, REFUSED);
        assert_eq!(mode(world), "enforce");
    }
}

#[test]
fn root_acts_in_anothers_home_as_its_owner() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    if !is_root() {
        return;
    }

    let world = World::enforcing();
    std::fs::set_permissions(world.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    give(world.home.root());
    for path in stopgate_tests::person::tree(world.home.root()).keys() {
        give(path);
    }
    let all_are_theirs = || {
        for path in stopgate_tests::person::tree(world.home.root()).keys() {
            assert_eq!(std::fs::symlink_metadata(path).unwrap().uid(), NOBODY, "{}", path.display());
        }
    };
    // Without an authority, and by the one that root starts.
    at_terminal(&world, "mode off").ok();
    at_terminal(&world, "kill on").ok();
    Said::from(world.stopgate(&["status"])).ok();
    all_are_theirs();
    let mut serve = world.command(&binary("stopgate"));
    serve.args(["authority", "run"]).stderr(std::process::Stdio::null());
    let mut authority = serve.spawn().unwrap();
    eventually("it serves", || world.stopgate(&["authority", "status"]).status.success().then_some(()));
    at_terminal(&world, "mode shadow").ok();
    at_terminal(&world, "kill off").ok();
    assert_eq!(std::fs::metadata(format!("/proc/{}", authority.id())).unwrap().uid(), NOBODY);
    all_are_theirs();
    at_terminal(&world, "authority stop").ok();
    assert!(authority.wait().unwrap().success());
    all_are_theirs();
    // The owner understands all of it.
    let mut theirs = world.command(Path::new("setpriv"));
    theirs.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary("stopgate")).arg("mode");
    let said = Said::from(finish(theirs, Stdin::from(""))).ok();
    assert!(said.out.starts_with("shadow (") && !said.out.contains("not understood"), "{said:?}");
    // What looks for settings does it as them, or not at all.
    let mut installer = world.command(&binary("installer"));
    installer.args(["doctor"]);
    Said::from(finish(installer, Stdin::from(""))).refused(2, &["sudo -u nobody STOPGATE_HOME="]);
    // Where root may not become anybody, it is told how.
    let mut confined = world.command(Path::new("setpriv"));
    confined.args(["--bounding-set", "-setuid,-setgid", "--inh-caps", "-setuid,-setgid"]).arg(binary("stopgate"));
    Said::from(finish(
        {
            confined.args(["mode", "off"]);
            confined
        },
        Stdin::from(""),
    ))
    .refused(2, &["could not read what root writes there", "sudo -u nobody"]);
    all_are_theirs();
}

#[test]
fn a_client_by_any_name_is_an_agent_where_it_has_said_so() {
    let site = enforcing();
    let wrapped = site.agent("my-claude-build");
    // Nothing tells it.
    wrapped.run("\"$BIN/stopgate\" mode shadow").ok();
    wrapped.run("export CLAUDE_PID=$$").ok();
    wrapped.run("\"$BIN/stopgate\" mode off").refused(2, REFUSED);
    wrapped.starts("s", "startup");
    // It was seen: taking the variable away does not help.
    wrapped
        .run("exec_off() { sh -c 'exec env -u CLAUDE_PID \"$0/stopgate\" mode off' \"$BIN\"; }; exec_off")
        .refused(2, REFUSED);
    assert_eq!(mode(&site.world), "shadow");
}

#[test]
fn a_hand_over_is_believed_of_a_deployed_program_alone() {
    let site = enforcing();
    let world = &site.world;
    let authority = world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    let socket = world.home.socket_to_connect().unwrap();
    // A person with `curl`, and an agent with it: a number is anybody's to say.
    let body = r#"{"for_version": "999.0.0"}"#;
    let ask = format!(
        "python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); \
         s.sendall(sys.argv[2].encode()); print(s.recv(65536).decode())' '{}' 'POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}'",
        socket.display(),
        Shutdown::PATH,
        body.len()
    );
    let said = agent.run(&ask);
    assert!(said.out.starts_with("HTTP/1.1 403 "), "{said:?}");
    assert!(authority.sessions().len() == 1, "it serves");
}

#[test]
fn an_environment_makes_no_owner_of_another_session() {
    for served in [true, false] {
        let site = enforcing();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        let (victim, agent) = (site.claude(), site.claude());
        victim.starts("victim", "startup");
        agent.starts("own", "startup");
        let id = site.started(agent.build("victim", "start 'build the parser' --size small --json"));
        assert_eq!(site.state(&id)["owner"]["session_id"], json!("own"), "served: {served}");
        assert_eq!(victim.stop("victim"), None);
        assert!(agent.stop("own").is_some());
        let audit = std::fs::read_to_string(site.live(&id).join("audit.jsonl")).unwrap();
        let who = format!("started by session claude:own (harness pid {})", agent.pid());
        assert!(audit.contains(&who) && audit.contains(&format!("claude ({})", agent.pid())), "{audit}");
        agent.build("own", "fail --reason r").ok();
        // Of two that run in one process, the variable says which; and one that never was is none.
        agent.starts("second", "startup");
        let id = site.started(agent.build("own", "start 'build it' --size small --json"));
        assert_eq!(site.state(&id)["owner"]["session_id"], json!("own"));
        agent.build("own", "fail --reason r").ok();
        for nobody in ["victim", "never-was"] {
            agent.build(nobody, "start t").refused(1, &["cannot tell which session this is"]);
        }
        // Nobody above at all: a variable alone is nobody's word.
        let mut bare = site.command("", &["start", "t", "--json"]);
        bare.env("CLAUDE_CODE_SESSION_ID", "victim").env("CODEX_SESSION_ID", "victim").env("CODEX_THREAD_ID", "victim");
        let id = site.started(Said::from(finish(bare, Stdin::from(""))));
        assert_eq!(site.state(&id)["owner"], Value::Null);
        assert_eq!(victim.stop("victim"), None);
        // Where the way up ends early, too.
        for inside in pid_namespaces() {
            let mut contained = site.command("", &["start", "t", "--json"]);
            contained.env("CLAUDE_CODE_SESSION_ID", "victim").env("CODEX_SESSION_ID", "victim");
            Said::from(finish(under(&inside, &contained), Stdin::from(""))).refused(1, &["cannot tell which session"]);
        }
    }
}

/// The layouts that show a `/proc` of their own, as the sandboxes of clients do.
fn sandboxes() -> impl Iterator<Item = String> {
    let has_own = |layout: &Vec<&str>| layout.contains(&"--mount-proc") || layout.contains(&"--proc");
    pid_namespaces().into_iter().filter(has_own).map(|layout| layout.join(" "))
}

/// The same with a home that may only be read, where the layout can have that, as in the sandboxes of clients.
fn with_read_only_home(sandbox: &str, world: &World) -> String {
    let home = world.home.root().display();
    sandbox.replace("--bind / /", &format!("--bind / / --ro-bind '{home}' '{home}'"))
}

/// What a shell called as Codex's program in its sandbox runs there, in a sandbox that a client has made with these variables:
/// `$0` has the programs, and the shell does not become what it runs.
fn in_sandbox(agent: &Agent<'_>, sandbox: &str, variables: &str, line: &str) -> Said {
    agent.run(&format!(
        "ln -sf /bin/sh \"$AGENT/codex-linux-sandbox\"
        {variables} {sandbox} \"$AGENT/codex-linux-sandbox\" -c '{line}; exit $?' \"$BIN\""
    ))
}

#[test]
fn in_a_sandbox_the_client_names_the_session_and_no_variable_that_was_set_since() {
    const START: &str = "\"$0/stopgate\" build start \"build it\" --size small --json";
    for (sandbox, served) in sandboxes().flat_map(|sandbox| [(sandbox.clone(), true), (sandbox, false)]) {
        let site = enforcing();
        let world = &site.world;
        let _authority = served.then(|| world.authority());
        // A store that nobody has open can only be read where its companions can be made.
        let sandbox = if served { with_read_only_home(&sandbox, world) } else { sandbox };
        let (victim, agent) = (site.agent("codex"), site.agent("codex"));
        victim.starts("victim", "startup");
        agent.starts("own", "startup");
        let owner = |said: Said| {
            let id = site.started(said);
            let owner = site.state(&id)["owner"]["session_id"].clone();
            site.build("", &["fail", "--reason", "r", "--build", &id]).ok();
            owner
        };
        let honest = in_sandbox(&agent, &sandbox, "CODEX_SESSION_ID=own", START);
        assert_eq!(owner(honest), json!("own"), "{sandbox}, served: {served}");
        let renamed = format!("export CODEX_SESSION_ID=victim; {START}");
        assert_eq!(owner(in_sandbox(&agent, &sandbox, "CODEX_SESSION_ID=own", &renamed)), json!("own"));
        // Without the client's word there is no owner, whatever the variable says.
        in_sandbox(&agent, &sandbox, "", &renamed).refused(1, &["a variable is no proof", "outside of the sandbox"]);
        // Nor is there one by another program of that name.
        let other = world.root().join("codex-linux-sandbox");
        std::fs::copy("/bin/sh", &other).unwrap();
        let line = format!("CODEX_SESSION_ID=victim {sandbox} '{}' -c '{START}; exit $?' \"$BIN\"", other.display());
        agent.run(&line).refused(1, &["a variable is no proof"]);
        assert_eq!(victim.stop("victim"), None);
    }
}

#[test]
fn in_a_sandbox_that_shows_no_client_a_build_is_not_started() {
    for sandbox in sandboxes() {
        let site = enforcing();
        let sandbox = with_read_only_home(&sandbox, &site.world);
        let (victim, agent) = (site.claude(), site.claude());
        victim.starts("victim", "startup");
        agent.starts("own", "startup");
        for session in ["own", "victim"] {
            let line = format!("CLAUDE_CODE_SESSION_ID={session} {sandbox} \"$BIN/stopgate\" build start t");
            agent.run(&line).refused(1, &["cannot tell which session this is", "outside of the sandbox"]);
        }
        assert!(!site.top().join(".stopgate/builds").exists());
        assert_eq!(victim.stop("victim"), None);
    }
}

#[test]
fn what_is_not_seen_of_a_sandbox_is_that_an_agent_has_made_it() {
    // What cannot be seen, and is said to be so; the audit tells it.
    let Some(sandbox) = sandboxes().next() else { return };
    let site = enforcing();
    let (victim, agent) = (site.agent("codex"), site.agent("codex"));
    victim.starts("victim", "startup");
    agent.starts("own", "startup");
    let start = "\"$0/stopgate\" build start t --size small --json";
    let id = site.started(in_sandbox(&agent, &sandbox, "CODEX_SESSION_ID=victim", start));
    assert_eq!(site.state(&id)["owner"]["session_id"], json!("victim"));
    let audit = std::fs::read_to_string(site.live(&id).join("audit.jsonl")).unwrap();
    assert!(audit.contains("started by session codex:victim: stopgate ("), "{audit}");
}

/// The bytes of a seccomp filter under which no socket is made (`EPERM`), as in the sandboxes of clients.
fn no_sockets() -> Vec<u8> {
    let socket = u32::try_from(libc::SYS_socket).unwrap();
    // Load the call's number; is it `socket`; if so, the error; else let it go.
    let program: [(u16, u8, u8, u32); 4] =
        [(0x20, 0, 0, 0), (0x15, 0, 1, socket), (0x06, 0, 0, 0x0005_0001), (0x06, 0, 0, 0x7FFF_0000)];
    let bytes = |(code, jump, fall, value): (u16, u8, u8, u32)| {
        [&code.to_ne_bytes()[..], &[jump, fall], &value.to_ne_bytes()].concat()
    };
    program.into_iter().flat_map(bytes).collect()
}

#[test]
fn in_a_sandbox_without_sockets_a_note_is_left_for_the_proven_session_alone() {
    let Some(sandbox) = sandboxes().find(|layout| layout.starts_with("bwrap")) else { return };
    let site = enforcing();
    let world = &site.world;
    let _authority = world.authority();
    let filter = world.root().join("no-sockets");
    std::fs::write(&filter, no_sockets()).unwrap();
    let sandbox = with_read_only_home(&sandbox, world);
    let sandbox = format!("9<'{}' bwrap --seccomp 9{}", filter.display(), sandbox.strip_prefix("bwrap").unwrap());
    let (victim, codex, claude) = (site.claude(), site.agent("codex"), site.claude());
    victim.starts("victim", "startup");
    codex.starts("own", "startup");
    claude.starts("other", "startup");
    let notes = || {
        let entries = std::fs::read_dir(site.top().join(".stopgate/contests")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let contest = "\"$0/stopgate\" gate contest \"it is done\"";
    for variable in ["CLAUDE_CODE_SESSION_ID=victim", "CLAUDE_CODE_SESSION_ID=other", ""] {
        for named in ["victim", "other", "own --harness codex", "never-was"] {
            let line = format!("{variable} {sandbox} \"$BIN/stopgate\" gate contest w --session {named}");
            claude.run(&line).refused(2, REFUSED);
        }
        let unnamed = claude.run(&format!("{variable} {sandbox} \"$BIN/stopgate\" gate contest w"));
        unnamed.refused(1, &["cannot tell which session this is", "say in your last message"]);
    }
    for named in ["victim", "own2 --harness codex"] {
        let line = format!("{contest} --session {named}");
        in_sandbox(&codex, &sandbox, "CODEX_SESSION_ID=own", &line).refused(2, REFUSED);
    }
    assert_eq!(notes(), Vec::<String>::new());
    let renamed = format!("export CODEX_SESSION_ID=victim; {contest}");
    in_sandbox(&codex, &sandbox, "CODEX_SESSION_ID=own", &renamed).ok();
    assert_eq!(notes(), ["codex-own.json"]);
    in_sandbox(&codex, &sandbox, "CODEX_SESSION_ID=own", &format!("{contest} --session own --harness codex")).ok();
    assert_eq!(notes(), ["codex-own.json"]);
}

#[test]
fn an_agent_contests_for_its_own_session_alone() {
    let site = enforcing();
    let world = &site.world;
    let _authority = world.authority();
    let (victim, agent) = (site.claude(), site.claude());
    victim.starts("victim", "startup");
    agent.starts("own", "startup");
    let contest = |line: &str| agent.run(&format!("{line} \"$BIN/stopgate\" gate contest 'it is done'"));
    contest("CLAUDE_CODE_SESSION_ID=victim").ok();
    agent.run("\"$BIN/stopgate\" gate contest why --session victim").refused(2, REFUSED);
    agent.run("\"$BIN/stopgate\" gate contest why --session own").ok();
    let of: Vec<String> = {
        let store = rusqlite::Connection::open(world.home.database()).unwrap();
        let mut query = store.prepare("SELECT DISTINCT session_id FROM contests").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(of, ["own"], "the variable speaks for nobody else");
    Said::from(world.stopgate(&["gate", "contest", "why", "--session", "victim"])).ok();
}

#[test]
fn taking_stopgate_back_is_refused_to_an_agent_and_leaves_word_whoever_does_it() {
    let person = Person::new();
    let world = &person.world;
    person.must(&["init", "--yes", "--no-live-check"]);
    let settings = person.dir().join(".claude/settings.json");
    let before = std::fs::read(&settings).unwrap();
    let installer = world.home.bin().join("installer");
    let backup = {
        std::fs::write(&settings, "{}").unwrap();
        person.must(&["init", "--yes", "--no-live-check"]);
        let listed: Value = serde_json::from_str(&person.must(&["restore", "--json"])).unwrap();
        listed["backups"][0]["id"].as_str().unwrap().to_owned()
    };
    let wired = std::fs::read(&settings).unwrap();
    for act in
        ["uninstall --yes", "uninstall --yes --purge", &format!("restore {backup} --yes"), "migrate --acknowledge"]
    {
        let said = Said::from(agent(world, &format!("'{}' {act}; exit $?", installer.display())));
        said.refused(2, REFUSED);
    }
    // In a process namespace of its own nobody sees what is above it; the authority does.
    for inside in pid_namespaces().into_iter().filter(|layout| layout.contains(&"--mount-proc")) {
        for act in [&["uninstall", "--yes"][..], &["restore", &backup, "--yes"]] {
            let mut command = world.command(&installer);
            command.args(act);
            Said::from(finish(under(&inside, &command), Stdin::from(""))).refused(2, &["another process namespace"]);
        }
    }
    assert_eq!(std::fs::read(&settings).unwrap(), wired);
    assert!(person.has_authority());
    // What repairs is everybody's: a session's start does it.
    let said = Said::from(agent(world, &format!("'{}' migrate --quiet; exit $?", installer.display())));
    said.ok();
    let file = world.root().join("state/stopgate/uninstalled.json");
    assert!(!file.exists(), "what was refused is no uninstall");
    let findings = |person: &Person| {
        let doctor: Value = serde_json::from_slice(&person.run(&["doctor", "--json"]).stdout).unwrap();
        let told = |finding: &&Value| finding["id"] == "was-uninstalled";
        let found: Vec<_> = doctor["findings"].as_array().unwrap().iter().filter(told).cloned().collect();
        found
    };
    assert_eq!(findings(&person), Vec::<Value>::new());

    person.must(&["uninstall", "--yes", "--purge"]);
    assert!(!world.home.root().exists());
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    person.must(&["init", "--yes", "--no-live-check"]);
    let found = findings(&person);
    assert_eq!((found.len(), &found[0]["level"]), (1, &json!("notice")), "{found:?}");
    let what = found[0]["what"].as_str().unwrap();
    assert!(what.contains("settings.json, with its home, by somebody without a terminal: installer ("), "{what}");
    assert!(String::from_utf8(world.stopgate(&["status"]).stdout).unwrap().contains("uninstalled  "));
    Said::from(world.stopgate(&["status", "--seen"])).refused(2, &["is for a person at a terminal"]);
    at_terminal(world, "status --seen").ok();
    assert_eq!(findings(&person), Vec::<Value>::new());
    assert_ne!(before, Vec::<u8>::new());
}

#[test]
fn without_a_state_directory_of_their_own_the_word_lies_in_the_home_directory() {
    let person = Person::new();
    person.must(&QUIETLY_INIT);
    let mut uninstall = person.installed("installer");
    uninstall.args(["uninstall", "--yes", "--purge"]).env_remove("XDG_STATE_HOME");
    Said::from(finish(uninstall, Stdin::from(""))).ok();
    let file = person.dir().join(".local/state/stopgate/uninstalled.json");
    let notes: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!((notes.as_array().unwrap().len(), &notes[0]["purge"]), (1, &json!(true)));
}

#[test]
fn the_word_of_an_uninstall_lies_where_the_environment_says() {
    // What cannot be seen, and is said to be so.
    let person = Person::new();
    person.must(&QUIETLY_INIT);
    let elsewhere = person.world.root().join("elsewhere");
    let mut uninstall = person.installed("installer");
    uninstall.args(["uninstall", "--yes", "--purge"]).env("XDG_STATE_HOME", &elsewhere);
    Said::from(finish(uninstall, Stdin::from(""))).ok();
    assert!(elsewhere.join("stopgate/uninstalled.json").exists());
    person.must(&QUIETLY_INIT);
    let told = |state: Option<&Path>| {
        let mut doctor = person.installer(&["doctor", "--json"]);
        if let Some(state) = state {
            doctor.env("XDG_STATE_HOME", state);
        }
        let said = Said::from(finish(doctor, Stdin::from(""))).json();
        said["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "was-uninstalled")
    };
    assert_eq!([told(None), told(Some(&elsewhere))], [false, true]);
}

#[test]
fn a_terminal_that_an_agent_makes_for_itself_is_taken_for_a_persons() {
    // What cannot be seen, and is said to be so.
    let site = enforcing();
    let world = &site.world;
    let _authority = world.authority();
    let agent = site.claude();
    agent.starts("s", "startup");
    cut_loose(world, &agent, "script -qec \"\\\"$BIN/stopgate\\\" mode off\" /dev/null");
    assert_eq!((mode(world).as_str(), unattended(world).len()), ("off", 0));
}

#[test]
fn what_an_agent_writes_itself_holds_and_is_shown() {
    let site = enforcing();
    let world = &site.world;
    let agent = site.claude();
    agent.run(&format!("echo off > '{}'", world.home.mode_file().display())).ok();
    assert_eq!(world.stopgate_json(&["status", "--json"])["mode"], "off");
}

#[test]
fn a_tools_own_kill_variable_reaches_no_hook() {
    let site = enforcing();
    let agent = site.claude();
    agent.starts("s", "startup");
    agent.start("s");
    agent.run("sh -c 'export STOPGATE_KILL=1; true'").ok();
    assert!(agent.stop("s").is_some());
}

#[test]
fn a_note_in_the_checkout_lets_one_stop_of_whom_it_names_go() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    for session in ["s", "other"] {
        world.start_session(session, &checkout.top);
    }
    let key = SessionKey::new(Harness::Claude, "s").unwrap();
    let now = SystemClock.now_ms();
    contest_note::leave(&checkout.top, &key, "another team has it", now).unwrap();
    block_reason(&world.stop_session("other", &checkout.top, EXCUSE));
    assert_eq!(world.stop_session("s", &checkout.top, EXCUSE), "");
    checkout.work();
    block_reason(&world.stop_session("s", &checkout.top, EXCUSE));
}
