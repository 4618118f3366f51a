//! Leases through the real programs: sessions whose recorder has reported them, asked by their shell tools.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use serde_json::{Value, json};
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_tests::build::{Agent, Said, Site};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{World, binary};

/// A session in an agent of its own.
struct Seat<'a> {
    agent: Agent<'a>,
    id: String,
}

impl<'a> Seat<'a> {
    /// One that has begun, and was given something to do.
    fn new(site: &'a Site, id: &str) -> Self {
        let agent = site.claude();
        agent.starts(id, "startup");
        let seat = Self { agent, id: id.to_owned() };
        seat.event("UserPromptSubmit", json!({"prompt": "go on"}));
        seat
    }

    fn event(&self, name: &str, more: Value) {
        let mut payload = json!({"session_id": self.id, "cwd": "/", "hook_event_name": name});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.agent.records(&payload);
    }

    /// `stopgate lease ...`, by the session's shell tool.
    fn lease(&self, line: &str) -> Said {
        as_session(&self.agent, &self.id, &format!("lease {line}"))
    }

    fn granted(&self, line: &str) -> u64 {
        let said = self.lease(&format!("{line} --json")).ok().json();
        assert_eq!(said["outcome"], "granted", "{said}");
        said["token"].as_u64().unwrap()
    }

    /// The same in the background: what it says lies in a file when it is over. By a shell of its own, as a client runs one: a
    /// part of the agent's shell would be an agent itself, by its name.
    fn begins(&self, name: &str, line: &str) {
        let said = format!("\"$AGENT/{name}");
        let waits = format!("\"$BIN/stopgate\" lease {line} --json > {said}.part\" 2>&1; echo $? > {said}.code\"");
        self.agent
            .run(&format!(
                "export AGENT; CLAUDE_CODE_SESSION_ID={} sh -c '{waits}; mv {said}.part\" {said}.said\"' </dev/null >/dev/null 2>&1 &",
                self.id
            ))
            .ok();
    }

    fn heard(&self, name: &str) -> (i32, Value) {
        let read = |ending: &str| {
            let said = self.agent.run(&format!("cat \"$AGENT/{name}.{ending}\" 2>/dev/null"));
            (said.code == Some(0)).then_some(said.out)
        };
        let said = eventually("the wait is over", || read("said"));
        let code = read("code").unwrap().trim().parse().unwrap();
        (code, serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}")))
    }
}

/// `stopgate ...` as the shell tool of a session of `agent`.
fn as_session(agent: &Agent<'_>, id: &str, line: &str) -> Said {
    agent.run(&format!("CLAUDE_CODE_SESSION_ID={id} \"$BIN/stopgate\" {line}"))
}

fn name_of(site: &Site, id: &str) -> Option<String> {
    let rows = site.world.stopgate_json(&["sessions", "--all", "--json"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["session_id"] == id).unwrap().clone();
    row["name"].as_str().map(str::to_owned)
}

fn leases(site: &Site) -> Value {
    let said: Said = site.world.stopgate_in(site.top(), &["lease", "list", "--json"]).into();
    said.ok().json()
}

fn waiters(site: &Site) -> usize {
    leases(site)["waiters"].as_array().unwrap().len()
}

/// Waits until so many requests wait.
fn listening(site: &Site, count: usize) {
    eventually("they wait", || {
        let found = leases(site);
        let waiters = found["waiters"].as_array().unwrap();
        (waiters.iter().filter(|waiter| waiter["is_listening"] == true).count() == count).then_some(())
    });
}

#[test]
fn what_one_holds_is_refused_to_others_and_given_with_the_handoff_when_it_is_released() {
    let site = Site::new();
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire src/ docs/x.md");
    assert_eq!(amber.granted("acquire src/"), token, "it has it already");
    let held = birch.lease("acquire src/a.rs --json");
    assert_eq!(held.code, Some(10), "{held:?}");
    let held = held.json();
    assert_eq!((held["error"]["code"].as_str(), held["holders"][0]["resource"].as_str()), (Some("held"), Some("src/")));
    birch.lease("acquire src/a.rs").refused(10, &["src/ is held by", "stopgate lease wait"]);
    birch.granted("acquire README.md");
    birch.begins("w", "wait src/a.rs");
    listening(&site, 1);
    amber.lease("release src/ --status 'half done' --next 'write the parser' --question 'why?'").ok();
    let (code, said) = birch.heard("w");
    assert_eq!((code, said["outcome"].as_str()), (0, Some("granted")), "{said}");
    assert!(said["token"].as_u64() > Some(token));
    assert_eq!(said["handoffs"][0]["next"], "write the parser");
    assert_eq!(said["handoffs"][0]["from"]["session_id"], "amber");
    let again = birch.lease("wait src/a.rs --json").ok().json();
    assert!(again.get("handoffs").is_none(), "it was heard: {again}");
    assert_eq!(waiters(&site), 0);
}

#[test]
fn a_blank_handoff_changes_nothing() {
    let site = Site::new();
    let _authority = site.world.authority();
    let amber = Seat::new(&site, "amber");
    let token = amber.granted("acquire a");
    amber.lease("release a --status '  ' --next x").refused(2, &["status: is blank"]);
    amber.lease("release a --status x").refused(2, &["--next"]);
    amber.lease(&format!("check a --token {token}")).ok();
}

#[test]
fn a_grant_that_is_over_is_stale_and_one_that_counts_is_not() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let first = amber.granted("acquire a");
    // A script that knows nothing but the number.
    let check = |token: u64| -> Said {
        world.stopgate_in(site.top(), &["lease", "check", "a", "--token", &token.to_string()]).into()
    };
    check(first).ok();
    amber.lease(&format!("pass birch a --token {first} --status s --next n")).ok();
    check(first).refused(13, &["does not count", "a is held by"]);
    amber.lease(&format!("release a --token {first}")).refused(13, &["does not count"]);
    amber.lease("release a").refused(10, &["does not hold it"]);
    amber.lease("release never").refused(12, &["does not hold it", "nobody"]);
    amber.lease("pass nobody-like-that a").refused(12, &["no living session"]);
    let second = birch.granted("wait a");
    assert!(second > first);
    check(second).ok();
    check(second + 100).refused(13, &["does not count"]);
}

#[test]
fn a_wait_that_would_never_end_is_refused_and_one_in_vain_ends() {
    let site = Site::new();
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    amber.granted("acquire a");
    birch.granted("acquire b");
    amber.begins("w", "wait b");
    listening(&site, 1);
    birch.lease("wait a").refused(15, &["would never end", "has a, and waits until", "has b, which this session has"]);
    birch.lease("wait a --park").refused(15, &["would never end"]);
    let cedar = Seat::new(&site, "cedar");
    cedar.lease("wait a --timeout 0").refused(14, &["time is up"]);
    let parked = cedar.lease("wait a --park --json");
    assert_eq!((parked.code, parked.json()["before"].as_u64()), (Some(10), Some(0)), "{parked:?}");
    birch.lease("release").ok();
    assert_eq!(amber.heard("w").0, 0);
    amber.lease("release").ok();
    assert_eq!(cedar.lease("wait --json").ok().json()["outcome"], "granted", "what it was given meanwhile");
}

#[test]
fn what_a_silent_session_holds_may_be_taken_and_the_person_takes_anything() {
    let mut site = Site::new();
    let clock = site.world.root().join("clock");
    std::fs::write(&clock, "0").unwrap();
    site.world.set_env("STOPGATE_CLOCK", clock.to_str().unwrap());
    let _authority = site.world.authority();
    let birch = Seat::new(&site, "birch");
    let amber = Seat::new(&site, "amber");
    amber.granted("acquire a");
    birch.lease("acquire a").refused(10, &["held by"]);
    birch.lease("take a --reason mine").refused(10, &["at work"]);
    std::fs::write(&clock, "1200000").unwrap();
    birch.lease("acquire a").refused(10, &["held by"]);
    let person: Said =
        site.world.stopgate_in(site.top(), &["lease", "take", "a", "--reason", "it hangs", "--for", "birch"]).into();
    person.ok();
    assert!(birch.granted("acquire a") > 1);
    amber.lease("release a --token 1").refused(13, &["does not count"]);
    amber.lease("acquire b --for birch").refused(2, &["the person's"]);
    // One whose process cannot be seen: nothing proves that it is at work.
    site.world.start_session("unseen", site.top());
    let prompt =
        json!({"session_id": "unseen", "cwd": site.top(), "hook_event_name": "UserPromptSubmit", "prompt": "go on"});
    site.world.run_hook("session-start-recorder", &prompt);
    let given: Said = site.world.stopgate_in(site.top(), &["lease", "acquire", "c", "--for", "unseen"]).into();
    given.ok();
    birch.lease("acquire c").refused(10, &["held by"]);
    std::fs::write(&clock, "2400000").unwrap();
    birch.lease("acquire c").refused(11, &["held by", "stopgate lease take"]);
    birch.lease("take c --reason 'silent for 20 minutes'").ok();
    birch.granted("check c");
}

#[test]
fn the_end_of_a_holder_wakes_the_next_whatever_ends_it() {
    for end in ["killed", "exit"] {
        let site = Site::new();
        let _authority = site.world.authority();
        let (mut amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
        amber.granted("acquire a");
        birch.begins("w", "wait a");
        listening(&site, 1);
        if end == "killed" {
            amber.agent.kill();
        } else {
            amber.event("SessionEnd", json!({"reason": "prompt_input_exit"}));
        }
        let (code, said) = birch.heard("w");
        assert_eq!((code, said["outcome"].as_str()), (0, Some("granted")), "{end}: {said}");
    }
}

#[test]
fn clear_keeps_leases_and_a_fork_has_none() {
    let site = Site::new();
    let _authority = site.world.authority();
    let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let token = amber.granted("acquire a");
    amber.agent.starts("amber", "compact");
    amber.agent.starts("amber", "resume");
    amber.event("SessionEnd", json!({"reason": "clear"}));
    amber.agent.starts("amber-2", "clear");
    let next = Seat { id: "amber-2".to_owned(), ..amber };
    assert_eq!(next.granted("check a"), token);
    birch.lease("acquire a").refused(10, &["held by"]);
    next.agent.starts("fork", "fork");
    let fork = Seat { id: "fork".to_owned(), ..next };
    fork.lease("check a").refused(10, &["does not hold it"]);
}

#[test]
fn a_session_that_a_daemon_loads_anew_keeps_what_it_holds_and_one_that_is_over_does_not() {
    let site = Site::new();
    let _authority = site.world.authority();
    let mut daemon = site.codex_daemon();
    let of = |id: &str, line: &str| daemon.run(&format!("CODEX_THREAD_ID={id} \"$BIN/stopgate\" lease {line}"));
    for id in ["amber", "cedar"] {
        daemon.starts(id, "startup");
        of(id, &format!("acquire {id}")).ok();
    }
    let name = name_of(&site, "amber");
    let birch = Seat::new(&site, "birch");
    birch.begins("w", "wait amber");
    listening(&site, 1);
    daemon.ends("amber", "other");
    daemon.starts("amber", "resume");
    of("amber", "check amber").ok();
    assert_eq!(name_of(&site, "amber"), name);
    listening(&site, 1);
    // It ends, and nothing follows.
    daemon.ends("amber", "other");
    let (code, said) = birch.heard("w");
    assert_eq!((code, said["outcome"].as_str()), (0, Some("granted")), "{said}");
    // The end of the process is the end of all that it had, whatever it said.
    birch.begins("x", "wait cedar");
    listening(&site, 1);
    daemon.kill();
    assert_eq!(birch.heard("x").0, 0);
}

#[test]
fn a_fork_that_reports_a_start_of_its_parent_keeps_nothing_of_it() {
    for (prompts_first, end) in [(true, "clear"), (false, "clear"), (true, "other")] {
        let site = Site::new();
        let _authority = site.world.authority();
        let (amber, birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
        let token = amber.granted("acquire a");
        // As Claude Code 2.1.197 does it: the start is the parent's, and the first prompt the fork's.
        let forked = site.claude();
        forked.starts("amber", "resume");
        let prompts = || {
            forked.records(
                &json!({"session_id": "fork", "cwd": "/", "hook_event_name": "UserPromptSubmit", "prompt": "go"}),
            );
        };
        if prompts_first {
            prompts();
        }
        if end == "other" {
            birch.begins("w", "wait a");
            listening(&site, 1);
            amber.event("SessionEnd", json!({"reason": end}));
            assert_eq!(birch.heard("w").0, 0, "nobody has it any more");
            continue;
        }
        let name = name_of(&site, "amber");
        amber.event("SessionEnd", json!({"reason": end}));
        amber.agent.starts("amber-2", "clear");
        let next = Seat { id: "amber-2".to_owned(), ..amber };
        assert_eq!(next.granted("check a"), token, "{prompts_first}");
        assert_eq!(name_of(&site, "amber-2"), name, "{prompts_first}");
        prompts();
        as_session(&forked, "fork", "lease check a").refused(10, &["does not hold it"]);
        birch.lease("acquire a").refused(10, &["held by"]);
    }
}

#[test]
fn ten_wait_over_the_death_of_the_authority_and_are_served_in_their_order() {
    let site = Site::new();
    let authority = site.world.authority();
    let amber = Seat::new(&site, "amber");
    let first = amber.granted("acquire a");
    let seats: Vec<Seat<'_>> = (0..10).map(|at| Seat::new(&site, &format!("w{at}"))).collect();
    for (at, seat) in seats.iter().enumerate() {
        seat.begins("w", "wait a --timeout 300");
        listening(&site, at + 1);
    }
    authority.kill();
    let authority = site.world.authority();
    listening(&site, 10);
    assert_eq!(leases(&site)["leases"][0]["token"], first, "it holds on");
    amber.lease("release a").ok();
    let mut last = first;
    for seat in &seats {
        let (code, said) = seat.heard("w");
        let token = said["token"].as_u64().unwrap_or_else(|| panic!("{said}"));
        assert!(code == 0 && token > last, "{last}: {said}");
        last = token;
        seat.lease("release a").ok();
    }
    drop(authority);
    // What was given and not told is told by the next one.
    let _authority = site.world.authority();
    assert_eq!((waiters(&site), leases(&site)["leases"].as_array().unwrap().len()), (0, 0));
}

#[test]
fn a_restored_backup_gives_no_number_twice() {
    let site = Site::new();
    let world = &site.world;
    let authority = world.authority();
    let amber = Seat::new(&site, "amber");
    amber.granted("acquire a");
    authority.kill();
    let database = world.home.database();
    let backup = |name: &str| database.with_file_name(name);
    for ending in ["", "-wal", "-shm"] {
        let from = backup(&format!("stopgate.db{ending}"));
        if from.exists() {
            std::fs::copy(&from, backup(&format!("saved{ending}"))).unwrap();
        }
    }
    let authority = world.authority();
    let mut last = 0;
    for _ in 0..40 {
        amber.lease("release a").ok();
        let token = amber.granted("acquire a");
        assert!(token > last);
        last = token;
    }
    authority.kill();
    for ending in ["", "-wal", "-shm"] {
        let to = backup(&format!("stopgate.db{ending}"));
        let _ = std::fs::remove_file(&to);
        let saved = backup(&format!("saved{ending}"));
        if saved.exists() {
            std::fs::rename(saved, to).unwrap();
        }
    }
    let authority = world.authority();
    amber.lease("release a").ok();
    let after = amber.granted("acquire a");
    assert!(after > last, "{after} after {last}");
    authority.kill();
    // Without the file the database counts.
    std::fs::remove_file(world.home.root().join("tokens")).unwrap();
    let _authority = world.authority();
    amber.lease("release a").ok();
    assert!(amber.granted("acquire a") > after);
}

#[test]
fn what_cannot_be_written_down_is_not_granted() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let amber = Seat::new(&site, "amber");
    std::fs::create_dir(world.home.root().join("tokens")).unwrap();
    let refused = amber.lease("acquire a --json");
    assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (Some(1), Some("store_unavailable")));
    assert_eq!(leases(&site)["leases"].as_array().unwrap().len(), 0);
    std::fs::remove_dir(world.home.root().join("tokens")).unwrap();
    amber.granted("acquire a");
}

#[test]
fn who_calls_is_told_by_processes_and_never_by_the_environment_alone() {
    let site = Site::new();
    let world = &site.world;
    let _authority = world.authority();
    let (amber, _birch) = (Seat::new(&site, "amber"), Seat::new(&site, "birch"));
    let as_other =
        |id: &str| amber.agent.run(&format!("CLAUDE_CODE_SESSION_ID={id} \"$BIN/stopgate\" lease acquire a"));
    as_other("birch").refused(1, &["not known to run in the agent above"]);
    as_other("nobody").refused(1, &["not known to run in the agent above"]);
    // The one session of its process, where the environment says nothing.
    amber.agent.run("\"$BIN/stopgate\" lease acquire a").ok();
    let outside = |variable: Option<&str>| -> Said {
        let mut command = world.command(&binary("stopgate"));
        command.args(["lease", "acquire", "a"]).current_dir(site.top());
        command.envs(variable.map(|id| ("CLAUDE_CODE_SESSION_ID", id)));
        stopgate_tests::run::finish(command, stopgate_tests::run::Stdin::from("")).into()
    };
    outside(Some("amber")).refused(1, &["no agent is above this caller", "env -u"]);
    outside(None).refused(1, &["leases are held by sessions", "--for"]);
    amber.event("SessionEnd", json!({"reason": "other"}));
    as_other("amber").refused(1, &["not known to run"]);
}

#[test]
fn what_is_named_wrongly_is_refused_by_name() {
    let site = Site::new();
    let _authority = site.world.authority();
    let amber = Seat::new(&site, "amber");
    let long = "x/".repeat(2_049);
    for (line, code, said) in [
        ("acquire ../outside", 2, "is not in this room"),
        ("acquire /etc/passwd", 2, "is not in this room"),
        ("acquire ''", 2, "it is empty"),
        ("acquire \"$(printf 'a\\nb')\"", 2, "control character"),
        ("acquire \"$(printf 'a\\377')\"", 2, "is not UTF-8"),
        (&format!("acquire {long}"), 2, "longer than 4,096 bytes"),
        ("acquire @", 2, "a name is letters"),
        ("acquire @types/", 2, "a file is ./@"),
        ("acquire", 2, "RESOURCE"),
        ("wait a --timeout -1", 2, "--timeout"),
        ("check a --token -1", 2, "--token"),
        ("check a --token 7", 13, "does not count"),
        ("wait", 12, "waits for nothing"),
        ("take a --reason ' '", 2, "reason: is blank"),
    ] {
        let refused = amber.lease(line);
        assert!(refused.code == Some(code) && refused.err.contains(said), "{line}: {refused:?}");
    }
    assert_eq!(leases(&site)["leases"].as_array().unwrap().len(), 0);
    // What is meant is the same, however it is written and from wherever.
    amber.agent.run("mkdir -p \"$TOP/src/deep\" && ln -s src \"$TOP/link\" && touch \"$TOP/@odd\"").ok();
    let token = amber.granted("acquire src");
    for same in ["src/", "./src", "link/deep", "src/deep/../deep"] {
        assert_eq!(amber.granted(&format!("check {same}")), token, "{same}");
    }
    let below = "cd src/deep && CLAUDE_CODE_SESSION_ID=amber \"$BIN/stopgate\" lease check ../a.rs; cd \"$TOP\"";
    amber.agent.run(below).ok();
    amber.granted("acquire ./@odd");
    amber.lease("check @odd").refused(12, &["nobody"]);
}

#[test]
fn of_64_processes_that_ask_at_once_one_has_it() {
    let site = Site::new();
    let _authority = site.world.authority();
    let seats: Vec<Seat<'_>> = (0..8).map(|at| Seat::new(&site, &format!("s{at}"))).collect();
    let rounds: usize = ProcessEnv.text("STOPGATE_LEASE_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let mut last = 0;
    for round in 0..rounds {
        let place = site.world.root().join(format!("round-{round}"));
        std::fs::create_dir(&place).unwrap();
        let go = place.join("go");
        assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
        for seat in &seats {
            // Eight of each session, which wait for a line each.
            seat.agent
                .run(&format!(
                    "export BIN; for k in 1 2 3 4 5 6 7 8; do CLAUDE_CODE_SESSION_ID={id} SAID='{place}/{id}-'$k sh -c 'read line < \"{go}\"; \
                     \"$BIN/stopgate\" lease acquire a --json > \"$SAID.part\" 2>/dev/null; mv \"$SAID.part\" \"$SAID.said\"' \
                     </dev/null >/dev/null 2>&1 & done",
                    go = go.display(),
                    place = place.display(),
                    id = seat.id
                ))
                .ok();
        }
        let mut lines = std::fs::OpenOptions::new().write(true).open(&go).unwrap();
        lines.write_all(&[b'\n'; 64]).unwrap();
        let mut holders = Vec::new();
        for seat in &seats {
            for n in 1..=8 {
                let file = place.join(format!("{}-{n}.said", seat.id));
                let said = eventually("it is answered", || std::fs::read_to_string(&file).ok());
                let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
                if said["outcome"] == "granted" {
                    holders.push((seat.id.clone(), said["token"].as_u64().unwrap()));
                }
            }
        }
        holders.dedup();
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert!(holders[0].1 > last, "{holders:?} after {last}");
        last = holders[0].1;
        let holder = seats.iter().find(|seat| seat.id == holders[0].0).unwrap();
        holder.lease("release a").ok();
    }
}

#[test]
fn nothing_is_written_while_nobody_asks_for_a_lease() {
    let site = Site::new();
    let world: &World = &site.world;
    let _authority = world.authority();
    let amber = Seat::new(&site, "amber");
    assert!(leases(&site)["leases"].as_array().unwrap().is_empty());
    amber.event("SessionEnd", json!({"reason": "other"}));
    assert!(!world.home.root().join("tokens").exists());
}
