//! Names of sessions and rooms, through the real binaries and real git.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use stopgate_coordination::lease::{Claim, LeaseMode};
use stopgate_protocol::{AskLease, LeaseAct, LeaseOutcome, SessionRow};
use stopgate_tests::build::{Agent, Said, Site};
use stopgate_tests::world::{World, binary};

fn git(dir: &Path, arguments: &[&str]) {
    let output =
        Command::new("git").args(arguments).current_dir(dir).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
}

fn rows(world: &World) -> Vec<SessionRow> {
    serde_json::from_value(world.stopgate_json(&["sessions", "--all", "--json"])).unwrap()
}

fn name(world: &World, session: &str) -> String {
    let row = rows(world).into_iter().find(|row| row.session_id == session);
    row.and_then(|row| row.name).unwrap_or_else(|| panic!("{session} has no name"))
}

fn said(world: &World, arguments: &[&str]) -> Said {
    world.stopgate(arguments).into()
}

#[test]
fn names_stay_over_clear_resume_and_compaction_with_an_authority_and_without() {
    for served in [true, false] {
        let site = Site::new();
        let world = &site.world;
        let authority = served.then(|| world.authority());
        let (claude, codex) = (site.claude(), site.agent("codex"));
        claude.starts("c1", "startup");
        codex.starts("x1", "startup");
        let (first, other) = (name(world, "c1"), name(world, "x1"));
        assert_ne!(first, other);
        claude.starts("c1", "compact");
        claude.ends("c1", "clear");
        claude.starts("c2", "clear");
        codex.starts("x2", "clear");
        assert_eq!((name(world, "c2"), name(world, "x2")), (first.clone(), other.clone()), "{served}");
        claude.starts("fork", "fork");
        assert!(![&first, &other].contains(&&name(world, "fork")));
        claude.ends("c2", "prompt_input_exit");
        let elsewhere = site.claude();
        elsewhere.starts("c2", "resume");
        assert_eq!(name(world, "c2"), first);
        // Whoever takes over has the same names.
        drop(authority);
        let _authority = world.authority();
        assert_eq!((name(world, "c2"), name(world, "x2")), (first, other));
    }
}

#[test]
fn a_name_is_shown_and_taken_wherever_an_id_is() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let claude = site.claude();
    claude.starts("0193-s", "startup");
    let name = name(world, "0193-s");
    for command in [vec!["sessions"], vec!["status"], vec!["sessions", "show", &name]] {
        assert!(said(world, &command).ok().out.contains(&name), "{command:?}");
    }
    assert_eq!(world.stopgate_json(&["sessions", "show", &name, "--json"])["session_id"], "0193-s");
    assert_eq!(world.stopgate_json(&["resume", &name, "--json"])["session_id"], "0193-s");
    assert_eq!(world.stopgate_json(&["status", "--json"])["sessions"][0]["name"], name.as_str());
    assert!(claude.stop("0193-s").is_none());
    world.stop_session("0193-s", site.top(), "Done.");
    let logged = world.stopgate_json(&["gate", "log", "--session", &name, "--json"]);
    assert!(logged.as_array().unwrap().iter().all(|row| row["name"] == name.as_str()) && logged[0].is_object());
    assert!(said(world, &["gate", "log"]).ok().out.contains(&format!("0193-s {name}")));
    assert_eq!(world.stopgate_json(&["gate", "log", "--session", "nobody", "--json"]), Value::Array(vec![]));
    said(world, &["sessions", "show", "nobody"]).refused(1, &["no session has the id nobody"]);
    said(world, &["sessions", "end", &name, "--yes"]).ok();
}

#[test]
fn only_the_operator_renames_and_only_to_a_free_plain_word() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let (one, two) = (site.claude(), site.claude());
    one.starts("one", "startup");
    two.starts("two", "startup");
    let taken = name(world, "two");
    for (bad, why) in [
        (taken.as_str(), "which lives"),
        ("Parser", "lower-case letters"),
        ("ab", "3 to 16"),
        ("parser-of-a-language", "3 to 16"),
        ("two words", "lower-case letters"),
        ("--yes2", "unexpected argument"),
        ("\u{1b}[31mred", "lower-case letters"),
        ("person", "somebody else"),
        ("facade", "beginning of a session's id"),
        ("", "a value is required"),
    ] {
        let refused = said(world, &["sessions", "rename", "one", bad]);
        assert_ne!(refused.code, Some(0), "{bad:?}");
        assert!(refused.err.contains(why), "{bad:?}: {refused:?}");
        assert!(!refused.err.contains('\u{1b}'), "{refused:?}");
    }
    one.run("\"$BIN/stopgate\" sessions rename one parser").refused(2, &["is the operator's"]);
    let done = said(world, &["sessions", "rename", "one", "parser", "--json"]).ok().json();
    assert_eq!(done["name"], "parser");
    assert_eq!(name(world, "one"), "parser");
    // By its name, to the name that it had.
    said(world, &["sessions", "rename", "parser", done["was"].as_str().unwrap()]).ok();
    assert_eq!(name(world, "one"), done["was"].as_str().unwrap());
    said(world, &["sessions", "rename", "nobody", "parser"]).refused(1, &["no session has the id nobody"]);
}

/// Turns coordination on, as far as an agent is told of it.
fn coordinate(world: &World) {
    std::fs::create_dir_all(world.home.fence_file().parent().unwrap()).unwrap();
    std::fs::write(world.home.fence_file(), "shadow\n").unwrap();
}

/// What the recorder's answer to `event` tells the model of a session of `agent`; the answer has to be one object, or
/// nothing.
fn heard(agent: &Agent<'_>, session: &str, cwd: &Path, event: &str) -> Option<String> {
    let mut payload = json!({"session_id": session, "cwd": cwd, "hook_event_name": event, "prompt": "Go on."});
    if event == "SessionStart" {
        payload["source"] = "startup".into();
    }
    let said = agent.hook("session-start-recorder", &payload).ok();
    assert_eq!(said.err, "");
    if said.out.is_empty() {
        return None;
    }
    let answer = said.json();
    let output = answer["hookSpecificOutput"].as_object().unwrap();
    assert_eq!((answer.as_object().unwrap().len(), output.len()), (1, 2), "{answer}");
    assert_eq!(output["hookEventName"], event);
    Some(output["additionalContext"].as_str().unwrap().to_owned())
}

#[test]
fn who_shares_a_tree_is_told_once_in_one_short_line_whatever_the_client() {
    let site = Site::new();
    let world = &site.world;
    coordinate(world);
    let _authority = world.authority();
    let (claude, codex, third) = (site.claude(), site.agent("codex"), site.claude());
    let top = site.top();
    assert_eq!(heard(&claude, "c", top, "SessionStart"), None, "alone");
    assert_eq!(heard(&claude, "c", top, "UserPromptSubmit"), None, "alone");
    let said = heard(&codex, "x", top, "SessionStart").unwrap();
    let (first, second) = (name(world, "c"), name(world, "x"));
    assert!(
        said.starts_with(&format!("[stopgate] You are {second}. {first} (claude) works in this working tree")),
        "{said}"
    );
    assert!(said.contains("lease acquire PATH`") && said.contains("room`") && said.lines().count() == 1, "{said}");
    // A token has four bytes or more.
    assert!(said.len() <= 90 * 4, "{}", said.len());
    let said = heard(&claude, "c", top, "UserPromptSubmit").unwrap();
    assert!(said.starts_with(&format!("[stopgate] You are {first}. {second} (codex) works")), "{said}");
    for (agent, session) in [(&claude, "c"), (&codex, "x")] {
        assert_eq!(heard(agent, session, top, "UserPromptSubmit"), None, "nothing is said twice");
    }
    // A third one comes, in a directory below, and goes on after `/clear`: it is the same to the others.
    std::fs::create_dir_all(top.join("below")).unwrap();
    heard(&third, "t1", &top.join("below"), "SessionStart").unwrap();
    let newcomer = name(world, "t1");
    let said = heard(&claude, "c", top, "UserPromptSubmit").unwrap();
    assert_eq!(said, format!("[stopgate] {newcomer} (claude) works in this working tree, too, by now."));
    third.ends("t1", "clear");
    let payload = json!({"session_id": "t2", "cwd": top, "hook_event_name": "SessionStart", "source": "clear"});
    let told = third.hook("session-start-recorder", &payload).ok().json();
    let told = told["hookSpecificOutput"]["additionalContext"].as_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("[stopgate] You are {newcomer}.")), "its conversation is another one: {told}");
    assert_eq!(heard(&claude, "c", top, "UserPromptSubmit"), None);
    // Both others go: one says so, one is killed.
    third.ends("t2", "other");
    let mut codex = codex;
    codex.kill();
    let said = heard(&claude, "c", top, "UserPromptSubmit").unwrap();
    assert!(said.contains("no longer work here. You are alone in this tree."), "{said}");
    assert_eq!(heard(&claude, "c", top, "UserPromptSubmit"), None);
}

#[test]
fn nothing_is_said_while_coordination_is_off_nor_to_another_tree_nor_to_a_subagent() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let (one, two) = (site.claude(), site.claude());
    let top = site.top();
    let linked = world.root().join("linked");
    git(top, &["worktree", "add", "-q", linked.to_str().unwrap()]);
    for session in ["a", "b"] {
        assert_eq!(heard(&one, session, top, "SessionStart"), None);
        assert_eq!(heard(&one, session, top, "UserPromptSubmit"), None);
    }
    coordinate(world);
    assert_eq!(heard(&two, "w", &linked, "SessionStart"), None, "alone in its tree");
    let mut payload = json!({"session_id": "b", "cwd": top, "hook_event_name": "UserPromptSubmit", "prompt": "p"});
    payload["agent_id"] = "sub".into();
    payload["agent_type"] = "worker".into();
    assert_eq!(one.hook("session-start-recorder", &payload).ok().out, "");
    assert!(heard(&one, "b", top, "UserPromptSubmit").is_some(), "it does share one");
    // An unreadable switch is off.
    std::fs::write(world.home.fence_file(), "on please\n").unwrap();
    assert_eq!(heard(&one, "a", top, "UserPromptSubmit"), None);
}

#[test]
fn without_an_authority_nothing_is_said_and_nothing_is_lost() {
    let site = Site::new();
    let world = &site.world;
    world.home.create().unwrap();
    coordinate(world);
    let (one, two) = (site.claude(), site.claude());
    let top = site.top();
    for (agent, session) in [(&one, "a"), (&two, "b")] {
        assert_eq!(heard(agent, session, top, "SessionStart"), None);
    }
    let _authority = world.authority();
    assert!(heard(&two, "b", top, "UserPromptSubmit").is_some());
}

#[test]
fn a_room_shows_its_trees_and_who_lives_in_them() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let top = site.top().to_owned();
    let (linked, nested, plain) = (world.root().join("linked"), top.join("nested"), world.root().join("plain"));
    git(&top, &["worktree", "add", "-q", linked.to_str().unwrap()]);
    std::fs::create_dir_all(&nested).unwrap();
    git(&nested, &["init", "-q"]);
    std::fs::create_dir_all(plain.join("below")).unwrap();
    std::os::unix::fs::symlink(&linked, world.root().join("way")).unwrap();
    let agent = site.claude();
    for (session, cwd) in
        [("main", &top), ("linked", &world.root().join("way")), ("nested", &nested), ("plain", &plain)]
    {
        assert_eq!(heard(&agent, session, cwd, "SessionStart"), None);
    }
    let room = |dir: &Path| {
        let said = Said::from(world.stopgate_in(dir, &["room", "--json"])).ok().json();
        let trees = said["trees"].as_array().unwrap().iter().map(|tree| {
            let sessions = tree["sessions"].as_array().unwrap().iter();
            let ids = sessions.map(|session| session["session_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
            (PathBuf::from(tree["tree"].as_str().unwrap()), ids)
        });
        (PathBuf::from(said["room"].as_str().unwrap()), trees.collect::<BTreeMap<_, _>>())
    };
    let of = |tree: &Path, session: &str| (tree.to_owned(), vec![session.to_owned()]);
    let both = BTreeMap::from([of(&top, "main"), of(&linked, "linked")]);
    assert_eq!(room(&top), (top.clone(), both.clone()));
    assert_eq!(room(&linked), (top.clone(), both));
    assert_eq!(room(&nested), (nested.clone(), BTreeMap::from([of(&nested, "nested")])));
    assert_eq!(room(&plain.join("below")), (plain.clone(), BTreeMap::from([of(&plain, "plain")])));
    let shown = Said::from(world.stopgate_in(&top, &["room", "show", "src/new.rs"])).ok().out;
    let names = [name(world, "main"), name(world, "linked")];
    assert!(names.iter().all(|name| shown.contains(name)) && shown.contains("starting"), "{shown}");
    let events = Said::from(world.stopgate_in(&top, &["room", "--events"])).ok().out;
    assert_eq!(events, "nothing has happened to leases here\n");
    Said::from(world.stopgate_in(&top, &["room", "--help"])).ok();
}

/// Lines of `stopgate room --follow --json`, until it ends.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(world: &World, dir: &Path) -> Self {
        let mut command = world.command(&binary("stopgate"));
        command.args(["room", "--follow", "--json"]).current_dir(dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn who_follows_a_room_hears_who_comes_and_goes_also_of_the_next_authority() {
    let site = Site::new();
    let world = &site.world;
    let authority = world.authority();
    let top = site.top();
    let mut follower = Follower::start(world, top);
    assert_eq!(follower.next()["trees"][0]["sessions"], json!([]));
    let mut one = site.claude();
    one.starts("one", "startup");
    let came = follower.next();
    assert_eq!((&came["what"], &came["session_id"], &came["tree"]), (&json!("came"), &json!("one"), &json!(top)));
    assert_eq!(came["name"], name(world, "one").as_str());
    said(world, &["sessions", "rename", "one", "parser"]).ok();
    assert_eq!([follower.next()["what"].clone(), follower.next()["name"].clone()], [json!("left"), json!("parser")]);
    authority.kill();
    let _next = world.authority();
    let two = site.agent("codex");
    two.starts("two", "startup");
    let came = follower.next();
    assert_eq!((&came["what"], &came["session_id"]), (&json!("came"), &json!("two")));
    // Nobody says that it ended.
    one.kill();
    let left = follower.next();
    assert_eq!((&left["what"], &left["session_id"]), (&json!("left"), &json!("one")));
    two.ends("two", "other");
    assert_eq!(follower.next()["session_id"], "two");
    // Ctrl-C.
    let pid = rustix::process::Pid::from_child(&follower.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = follower.child.wait().unwrap();
    assert!(std::os::unix::process::ExitStatusExt::signal(&ended) == Some(2) || ended.code() == Some(130), "{ended:?}");
    assert!(follower.lines.next().is_none(), "nothing is printed any more");
}

#[test]
fn a_lease_is_shown_where_sessions_are_and_its_loss_is_told_once_to_whom_it_concerns() {
    let site = Site::new();
    let world = &site.world;
    coordinate(world);
    let authority = world.authority();
    let (one, two) = (site.claude(), site.agent("codex"));
    let top = site.top();
    heard(&one, "one", top, "SessionStart");
    heard(&two, "two", top, "SessionStart");
    heard(&one, "one", top, "UserPromptSubmit");
    let (first, second) = (name(world, "one"), name(world, "two"));
    let mut follower = Follower::start(world, top);
    follower.next();
    let claims =
        || vec![Claim { resource: "src/".parse().unwrap(), tree: Some(top.to_owned()), mode: LeaseMode::Write }];
    let ask = |act: LeaseAct| authority.call(&AskLease { told: Vec::new(), room: top.to_owned(), act });
    let given = ask(LeaseAct::Acquire { claims: claims(), for_session: Some("one".into()) });
    assert_eq!(given.outcome, LeaseOutcome::Granted, "{given:?}");
    assert_eq!(follower.next()["kind"], "granted");
    let table = said(world, &["sessions"]).ok().out;
    assert!(table.lines().next().unwrap().contains("LEASES") && table.contains("src/"), "{table}");
    assert!(said(world, &["status"]).ok().out.contains(&format!("{first} (claude, working, 1 lease)")));
    assert!(said(world, &["sessions", "show", &first]).ok().out.contains("src/"));
    let shown = Said::from(world.stopgate_in(top, &["room"])).ok().out;
    assert!(shown.contains(&format!("{first} (claude)  token {}", given.token.unwrap())), "{shown}");
    // After compaction it hears what it holds.
    let said_again = heard(&one, "one", top, "SessionStart").unwrap();
    assert!(said_again.contains("You hold `src/`."), "{said_again}");
    let taken = LeaseAct::Take { claims: claims(), reason: "it\nis mine".into(), for_session: Some("two".into()) };
    assert_eq!(ask(taken).error, None);
    let given = heard(&two, "two", top, "UserPromptSubmit").unwrap();
    assert!(given.starts_with("[stopgate] You hold `src/` now, ") && !given.contains("lost"), "{given}");
    assert_eq!(heard(&two, "two", top, "UserPromptSubmit"), None, "it is said once");
    let lost = heard(&one, "one", top, "UserPromptSubmit").unwrap();
    assert!(lost.starts_with(&format!("[stopgate] You lost `src/` to {second} (codex), ")), "{lost}");
    assert_eq!(heard(&one, "one", top, "UserPromptSubmit"), None, "it is said once");
}
