//! Law 3, only the proven owner is held: who owns a build, with real harness processes and real tmux servers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use serde_json::{Value, json};
use stopgate_tests::build::{Said, Site, Tmux, held};
use stopgate_tests::process::has_ended;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{stop, with};

/// Nobody of these stops is held, and not a byte changes.
#[track_caller]
fn unmoved(site: &Site, why: &str, stop: impl FnOnce() -> Option<String>) {
    let before = site.snapshot();
    assert_eq!(stop(), None, "{why}");
    assert_eq!(site.snapshot(), before, "{why}");
}

fn owner(site: &Site, id: &str, field: &str) -> Value {
    site.state(id)["owner"].pointer(field).cloned().unwrap_or_default()
}

/// What the authority noted of the surroundings of `pid`.
fn noted(site: &Site, pid: u32) -> Option<PathBuf> {
    let files = std::fs::read_dir(site.world.home.run().join("tmux")).ok()?;
    let of_pid = |path: &PathBuf| path.to_str().unwrap().contains(&format!("-{pid}-"));
    files.map(|entry| entry.unwrap().path()).find(of_pid)
}

#[test]
fn the_stamp_comes_from_flags_or_from_where_it_is_made() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    agent.starts("mine", "startup");
    let id = agent.start("mine");
    let stamp = site.state(&id)["owner"].clone();
    let server: u32 = tmux.run(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    assert_eq!((&stamp["harness"], &stamp["session_id"]), (&json!("claude"), &json!("mine")));
    let place = json!({"server": tmux.socket, "server_pid": server, "session": "work", "pane": agent.pane});
    assert_eq!(stamp["tmux"], place);
    assert_eq!((&stamp["process"]["pid"], &stamp["process"]["command"]), (&json!(agent.pid()), &json!("claude")));
    assert!(stamp["process"]["start_ticks"].is_u64() && stamp["process"]["boot_id"].is_string(), "{stamp}");
    assert_eq!(stamp["host"], std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim());
    let again = agent.build("", "start again").refused(1, &[&id]);
    assert_eq!(again.out, "");
    agent.build("mine", "fail --reason r").ok();

    // Outside tmux, with the session alone; and by a flag, which names nothing else.
    let outside = site.claude();
    outside.starts("outside", "startup");
    let id = outside.start("outside");
    assert_eq!((owner(&site, &id, "/session_id"), owner(&site, &id, "/tmux")), (json!("outside"), Value::Null));
    assert_eq!(owner(&site, &id, "/process/pid"), json!(outside.pid()));
    // Whoever is named is held: that is for the operator to do.
    agent.build("mine", "start t --owner-session given --json").refused(2, &["is the operator's"]);
    let id = site.started(site.build("", &["start", "t", "--owner-session", "given", "--json"]));
    assert_eq!((owner(&site, &id, "/session_id"), owner(&site, &id, "/tmux")), (json!("given"), Value::Null));
    assert_eq!(owner(&site, &id, "/process"), Value::Null);
    // Whoever is held can be told by whom.
    let audit = std::fs::read_to_string(site.top().join(".stopgate/builds").join(&id).join("audit.jsonl")).unwrap();
    assert!(audit.contains(r#""detail":"started by somebody without a terminal: stopgate ("#), "{audit}");
    site.build("mine", &["start", "t", "--owner-session", "a b"]).refused(2, &["not a session id"]);
}

#[test]
fn a_tmux_session_names_its_pane_only_if_it_has_one() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let first = tmux.agent(&["new-session", "-s", "two words \u{e9}"]);
    // A person in another terminal, whose `TMUX` names the server.
    let start = |name: &str| {
        let mut command = site.command("", &["start", "t", "--owner-tmux", name, "--json"]);
        command.env("TMUX", tmux.variable());
        Said::from(finish(command, Stdin::from("")))
    };
    let id = site.started(start("two words \u{e9}"));
    assert_eq!((owner(&site, &id, "/tmux/pane"), owner(&site, &id, "/session_id")), (json!(first.pane), Value::Null));
    assert!(first.stop("whoever").is_some(), "the session in that pane is the owner");
    assert_eq!(owner(&site, &id, "/session_id"), "whoever");
    let second = tmux.agent(&["split-window", "-t", "two words \u{e9}"]);
    start("two words \u{e9}").refused(1, &["several panes", &first.pane, &second.pane]);
    let id = site.started(start(&second.pane));
    assert_eq!(owner(&site, &id, "/tmux/pane"), json!(second.pane));
    start("nothing").refused(1, &["no such session or pane"]);
    let mut command = site.command("", &["start", "t", "--owner-tmux", "x"]);
    command.env("TMUX", format!("{},1,0", site.world.root().join("nobody").display()));
    let said: Said = finish(command, Stdin::from("")).into();
    said.refused(1, &["no tmux server answers"]);
}

#[test]
fn a_pane_owns_its_build_also_where_the_session_is_not_known() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    // A client that does not tell its shell tool which session it is.
    let id = agent.start("");
    assert_eq!((owner(&site, &id, "/session_id"), owner(&site, &id, "/tmux/pane")), (Value::Null, json!(agent.pane)));
    assert!(agent.stop("mine").is_some(), "the process that started it, in the pane that was stamped");
    assert_eq!(owner(&site, &id, "/session_id"), "mine");
    unmoved(&site, "another session of the process, now that one is known", || agent.stop("second"));
}

#[test]
fn an_owner_that_restarts_in_its_pane_is_held_and_written_back() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    agent.starts("old", "startup");
    let id = agent.start("old");
    unmoved(&site, "a nested agent in the owner's pane", || agent.nested_stop("nested"));

    let old = agent.pid();
    let agent = tmux.agent(&["respawn-pane", "-t", &agent.pane]);
    // Two in one pane are nobody's. tmux does not wait for the one whose terminal it closes.
    eventually("the old one has gone", || has_ended(old).then_some(()));
    unmoved(&site, "nothing is known of when it began", || agent.stop("new"));
    agent.starts("new", "startup");
    assert!(agent.stop("new").unwrap().contains("reminder 1 of 3"));
    assert_eq!(
        (owner(&site, &id, "/session_id"), owner(&site, &id, "/process/pid")),
        (json!("new"), json!(agent.pid()))
    );
    assert_eq!(
        (owner(&site, &id, "/tmux/session"), owner(&site, &id, "/tmux/pane")),
        (json!("work"), json!(agent.pane))
    );
    unmoved(&site, "the old session, which nobody is any more", || site.stop("old"));
    assert!(agent.stop("new").is_some());
    let detail = site.build("", &["log", "--event", "stop-blocked", "--json"]).json();
    assert!(detail[0]["detail"].as_str().unwrap().contains("owner recognised by tmux pane, now session"), "{detail}");
}

#[test]
fn two_panes_of_one_tmux_session_are_two_agents() {
    let site = Site::new();
    let authority = site.world.authority();
    let tmux = Tmux::new(&site, "tmux");
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    agent.starts("mine", "startup");
    let beside = tmux.agent(&["split-window", "-t", "work"]);
    let window = tmux.agent(&["new-window", "-t", "work"]);
    for (other, session) in [(&beside, "beside"), (&window, "window")] {
        other.starts(session, "startup");
        eventually("its surroundings are noted", || noted(&site, other.pid()));
    }
    let id = agent.start("mine");
    unmoved(&site, "the pane beside", || beside.stop("beside"));
    unmoved(&site, "the window beside", || window.stop("window"));
    assert!(agent.stop("mine").is_some());
    // Nor when the owner's pane is gone: both stood beside it.
    tmux.run(&["kill-pane", "-t", &agent.pane]);
    agent.ended();
    unmoved(&site, "the pane that is left", || beside.stop("beside"));
    unmoved(&site, "the window that is left", || window.stop("window"));
    assert_eq!(site.used(&id), 1);
    drop(authority);
}

#[test]
fn the_owner_comes_back_in_a_new_pane_of_its_tmux_session() {
    let site = Site::new();
    let authority = site.world.authority();
    let tmux = Tmux::new(&site, "tmux");
    let _keeps_the_server = tmux.agent(&["new-session", "-s", "other"]);
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    agent.starts("old", "startup");
    let id = agent.start("old");
    tmux.run(&["kill-pane", "-t", &agent.pane]);
    agent.ended();
    let elsewhere = tmux.agent(&["new-session", "-s", "elsewhere"]);
    let back = tmux.agent(&["new-session", "-s", "work"]);
    unmoved(&site, "nothing is known of when it began", || back.stop("new"));
    for (agent, session) in [(&elsewhere, "third"), (&back, "new")] {
        agent.starts(session, "startup");
        eventually("its surroundings are noted", || noted(&site, agent.pid()));
    }
    unmoved(&site, "a tmux session of another name", || elsewhere.stop("third"));
    unmoved(&site, "a process outside tmux", || site.stop("fourth"));
    assert!(back.stop("new").is_some());
    assert_eq!((owner(&site, &id, "/session_id"), owner(&site, &id, "/tmux/pane")), (json!("new"), json!(back.pane)));
    assert_eq!((owner(&site, &id, "/tmux/session"), site.used(&id)), (json!("work"), 1));

    // The server itself was restarted on its socket and numbers its panes anew.
    let server = tmux.run(&["display-message", "-p", "#{pid}"]).parse().unwrap();
    tmux.run(&["kill-server"]);
    back.ended();
    // Whoever asks a server that is about to end is told "server exited unexpectedly", and gets no new one.
    eventually("the server has gone", || has_ended(server).then_some(()));
    let stranger = tmux.agent(&["new-session", "-s", "strange"]);
    let again = tmux.agent(&["new-session", "-s", "work"]);
    for (agent, session) in [(&stranger, "fifth"), (&again, "newest")] {
        agent.starts(session, "startup");
        eventually("its surroundings are noted", || noted(&site, agent.pid()));
    }
    unmoved(&site, "another tmux session of the new server", || stranger.stop("fifth"));
    assert!(again.stop("newest").is_some());
    drop(authority);
}

#[test]
fn places_that_only_look_alike_are_not_the_owners() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let agent = tmux.agent(&["new-session", "-s", "work"]);
    let _keeps_the_server = tmux.agent(&["new-window", "-t", "work"]);
    let id = agent.start("mine");
    let place = tmux.variable();
    tmux.run(&["kill-pane", "-t", &agent.pane]);
    agent.ended();
    let other_server = Tmux::new(&site, "tmux2");
    let twin = other_server.agent(&["new-session", "-s", "work"]);
    assert_eq!(twin.pane, agent.pane);
    unmoved(&site, "the same pane id of another server", || twin.stop("twin"));
    let (socket, _) = place.split_once(',').unwrap();
    for forged in
        [format!("{socket},{},0", std::process::id()), format!("{socket},,0"), socket.to_owned(), String::new()]
    {
        let mut hook = site.world.hook("build-stop-hook");
        hook.env("TMUX", &forged).env("TMUX_PANE", &agent.pane);
        let stop = stop("forger", site.top(), "bye").to_string();
        unmoved(&site, &forged, || held(finish(hook, Stdin::from(&*stop)).into()));
    }
    let mut hook = site.world.hook("build-stop-hook");
    hook.env("TMUX_PANE", &agent.pane);
    let payload = stop("forger", site.top(), "bye").to_string();
    unmoved(&site, "a pane without a server", || held(finish(hook, Stdin::from(&*payload)).into()));
    let back = tmux.agent(&["new-window", "-t", "work"]);
    site.edit(&id, |state| {
        state["owner"]["host"] = "elsewhere".into();
        state["owner"]["tmux"]["pane"] = back.pane.clone().into();
    });
    unmoved(&site, "the same pane on another machine", || back.stop("new"));
}

#[test]
fn clear_within_the_process_keeps_the_owner_and_other_sessions_of_it_are_not() {
    let site = Site::new();
    let agent = site.claude();
    agent.starts("one", "startup");
    let id = agent.start("one");
    agent.starts("stranger", "startup");
    unmoved(&site, "another session of the process", || agent.stop("stranger"));
    agent.ends("stranger", "prompt_input_exit");
    for (old, new) in [("one", "two"), ("two", "three")] {
        agent.ends(old, "clear");
        agent.starts(new, "clear");
        unmoved(&site, "the same id in another process", || site.claude().stop(new));
        assert!(agent.stop(new).is_some());
        assert_eq!(owner(&site, &id, "/session_id"), new);
    }
    agent.starts("late", "startup");
    unmoved(&site, "a later session of the process", || agent.stop("late"));
}

#[test]
fn an_owner_that_resumes_in_a_new_process_is_followed_there() {
    let site = Site::new();
    let mut agent = site.claude();
    agent.starts("one", "startup");
    let id = agent.start("one");
    agent.kill();
    let agent = site.claude();
    agent.starts("one", "resume");
    assert!(agent.stop("one").is_some());
    assert_eq!(owner(&site, &id, "/process/pid"), json!(agent.pid()));
    agent.ends("one", "clear");
    agent.starts("two", "clear");
    assert!(agent.stop("two").is_some(), "cleared in the process that it was resumed in");
}

#[test]
fn an_owner_that_was_cleared_is_followed_when_it_is_taken_up_again_elsewhere() {
    let site = Site::new();
    let mut agent = site.claude();
    agent.starts("one", "startup");
    let id = agent.start("one");
    agent.ends("one", "clear");
    agent.starts("two", "clear");
    let elsewhere = site.claude();
    elsewhere.starts("two", "resume");
    unmoved(&site, "the owner's own process lives", || elsewhere.stop("two"));
    agent.ends("two", "prompt_input_exit");
    agent.kill();
    // An authority that starts forgets nothing of it.
    drop(site.world.authority());
    elsewhere.starts("stranger", "startup");
    unmoved(&site, "another session of that process", || elsewhere.stop("stranger"));
    let mut back = site.claude();
    back.starts("two", "resume");
    back.ends("two", "clear");
    back.starts("three", "clear");
    assert!(back.stop("three").is_some(), "cleared again before anybody looked");
    assert_eq!(owner(&site, &id, "/session_id"), "three");
    unmoved(&site, "what it was before, while it lives", || elsewhere.stop("two"));
    back.kill();
    unmoved(&site, "whoever began anew", || site.claude().stop("newest"));
}

#[test]
fn an_owner_that_branches_off_may_go_back() {
    let site = Site::new();
    let mut agent = site.claude();
    agent.starts("parent", "startup");
    let id = agent.start("parent");
    let old = site.start("old", "large");
    agent.starts("branch", "fork");
    assert!(agent.stop("branch").is_some());
    assert_eq!(owner(&site, &id, "/session_id"), "branch");
    unmoved(&site, "the parent in another process, while the branch lives", || site.claude().stop("parent"));
    agent.ends("branch", "resume");
    agent.starts("parent", "resume");
    assert!(agent.stop("parent").is_some(), "back in the same process");
    assert_eq!(owner(&site, &id, "/former_sessions"), json!(["branch"]));
    agent.kill();
    let again = site.claude();
    again.starts("branch", "resume");
    assert!(again.stop("branch").is_some(), "in another process");
    // What a branch begins is the branch's.
    again.build("branch", "fail --reason r").ok();
    again.ends("branch", "resume");
    again.starts("parent", "resume");
    again.starts("second", "fork");
    let own = again.start("second");
    assert!(again.stop("second").is_some());
    again.ends("second", "resume");
    again.starts("parent", "resume");
    unmoved(&site, "the parent never owned it", || again.stop("parent"));
    assert_eq!((site.used(&own), site.used(&old)), (1, 0));
}

#[test]
fn whoever_began_beside_the_owner_in_its_pane_does_not_take_its_place() {
    let site = Site::new();
    let tmux = Tmux::new(&site, "tmux");
    let shell = tmux.agent(&["new-session", "-s", "work"]);
    // Two clients in one terminal: the first one was put to sleep there.
    let inside = |variables: &str| {
        let place = shell.run("printf '%s %s' \"$TMUX\" \"$TMUX_PANE\"").ok().out;
        let (server, pane) = place.split_once(' ').unwrap();
        let wrapper = ["env", &format!("TMUX={server}"), &format!("TMUX_PANE={pane}"), variables].map(str::to_owned);
        site.agent_by("claude", &wrapper)
    };
    let mut owner = inside("A=1");
    owner.starts("mine", "startup");
    let id = owner.start("mine");
    let beside = inside("A=2");
    beside.starts("beside", "startup");
    owner.kill();
    unmoved(&site, "it began while the owner lived", || beside.stop("beside"));
    beside.starts("resumed", "resume");
    unmoved(&site, "another session of that process", || beside.stop("resumed"));
    let after = inside("A=3");
    after.starts("after", "startup");
    assert!(after.stop("after").is_some(), "it began when the owner had ended");
    assert_eq!(site.used(&id), 1);
}

#[test]
fn other_clients_subagents_and_unstamped_builds() {
    let site = Site::new();
    let agent = site.claude();
    agent.starts("mine", "startup");
    let id = agent.start("mine");
    let codex = site.agent("codex");
    unmoved(&site, "the same id of another client", || codex.stop("mine"));
    let subagent = with(stop("mine", site.top(), "bye"), "agent_id", json!("a1"));
    unmoved(&site, "a subagent", || held(agent.hook("build-stop-hook", &subagent)));
    let subagent = with(subagent, "hook_event_name", json!("SubagentStop"));
    unmoved(&site, "a subagent's own event", || held(agent.hook("build-stop-hook", &subagent)));
    for stamp in [Value::Null, json!({}), json!({"harness": "claude"}), json!({"session_id": ""})] {
        site.edit(&id, |state| state["owner"] = stamp.clone());
        unmoved(&site, &stamp.to_string(), || agent.stop("mine"));
    }
    let said = site.build("", &["start", "nobody's"]).ok();
    assert!(said.err.contains("no owner"), "{said:?}");
}

#[test]
fn twenty_other_sessions_change_no_byte_and_the_owner_keeps_its_budget() {
    let site = Site::new();
    site.executing("mine", "small");
    let before = site.snapshot();
    std::thread::scope(|scope| {
        for session in 0..20 {
            let site = &site;
            scope.spawn(move || {
                for _ in 0..100 {
                    assert_eq!(site.stop(&format!("other-{session}")), None);
                }
            });
        }
    });
    assert_eq!(site.snapshot(), before);
    assert!((0..3).all(|_| site.stop("mine").is_some()));
    assert_eq!(site.stop("mine"), None);
}
