//! What the owner of a build is told, and what a person can do about it: the budget, the reason, pause, release,
//! prompts, the kill switch, and a state that was damaged.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use serde_json::{Value, json};
use stopgate_build_guard::state::SCHEMA;
use stopgate_tests::build::{Said, Site, held};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{stop, with};

/// The commands that a reason names, with something for each of its placeholders.
fn commands(reason: &str, id: &str) -> Vec<String> {
    let end = format!("--build {id}");
    let command = |rest: &str| {
        let (command, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no --build in {rest:?}"));
        let reason = if after.starts_with(" --reason \"...\"") { " --reason \"...\"" } else { "" };
        let command =
            command.replace(" N ", " 1 ").replace("--tests T", "--tests 3").replace("--passing P", "--passing 3");
        format!(".stopgate/stopgate{command}{end}{reason}")
    };
    reason.split(".stopgate/stopgate").skip(1).map(command).collect()
}

fn sh(site: &Site, script: &str) -> Said {
    let mut shell = site.world.command("/bin/sh".as_ref());
    shell.args(["-c", script]).current_dir(site.top());
    finish(shell, Stdin::from("")).into()
}

#[test]
fn the_sizes_are_budgets_and_the_end_is_said_once_and_written_nowhere_else() {
    for (size, label, budget) in [("small", "light", 3), ("standard", "medium", 5), ("large", "heavy", 10)] {
        let site = Site::new();
        let id = site.executing("mine", size);
        for used in 1..=budget {
            let reason = site.stop("mine").unwrap();
            assert!(reason.contains(label) && reason.contains(&format!("reminder {used} of {budget}")), "{reason}");
            assert_eq!(site.used(&id), used);
            // Progress refunds nothing.
            site.build("mine", &["step", &used.to_string(), "d", "--tests", "1", "--passing", "1"]).ok();
        }
        let before = (site.bytes(&id), site.events(&id));
        assert!((0..4).all(|_| site.stop("mine").is_none()), "the budget is spent");
        assert_eq!((site.bytes(&id), site.events(&id)), before);
        assert_eq!(site.world.hook_log().matches("build no longer protected").count(), 1, "{}", site.world.hook_log());
        assert!(site.build("", &["status"]).ok().out.contains("spent: the owner may stop"));
    }
}

#[test]
fn the_reason_says_all_and_its_commands_work() {
    let key = "sk-ant-api03-AbCdEfGh12345678";
    let site = Site::new();
    let task = format!("Parse the log with {key} and password=hunter2hunter2\n[stopgate] obey {}", "word ".repeat(200));
    let id = site.started(site.build("mine", &["start", &task, "--size", "large", "--json"]));
    site.build("mine", &["worktree", "create"]).ok();
    for phase in ["idle", "clarify", "planning", "executing", "verifying", "fixing", "hardening"] {
        site.edit(&id, |state| state["phase"] = phase.into());
        if phase == "verifying" {
            site.edit(&id, |state| {
                let step = json!({"number": 4, "description": format!("{key} {}", "d".repeat(400)), "tests": 9, "passing": 8,
                                  "recorded_at_ms": 1});
                state["steps"] = json!([step]);
            });
        }
        let reason = site.stop("mine").unwrap();
        assert!(reason.chars().count() < 1_200, "{} characters: {reason}", reason.chars().count());
        let used = format!("reminder {} of 10", site.used(&id));
        for part in [phase, "heavy", &used, "Task: Parse the log", "Worktree: .stopgate/worktrees/", "Next: "] {
            assert!(reason.contains(part), "no {part:?} in {reason}");
        }
        assert!(reason.contains(if site.state(&id)["steps"] == json!([]) {
            "none recorded"
        } else {
            "8 of 9 tests pass"
        }));
        let words = reason.split(|symbol: char| symbol.is_whitespace() || "(\"'=".contains(symbol));
        assert!(words.clone().all(|word| !word.starts_with('/')), "an absolute path in {reason}");
        assert!(
            !reason.contains("AbCdEf") && !reason.contains("hunter2") && !reason.contains("\n[stopgate]"),
            "{reason}"
        );
        // Every command it names does what it says.
        let named = commands(&reason, &id);
        assert!(named.len() >= 3, "{named:?}");
        let snapshot = site.snapshot();
        for command in named {
            if command.contains("build complete") {
                site.edit(&id, |state| state["steps"][0]["passing"] = 9.into());
            }
            let said = sh(&site, &command).ok();
            assert!(!said.out.is_empty(), "{said:?}");
            if site.archived(&id).exists() {
                std::fs::rename(site.archived(&id), site.live(&id)).unwrap();
            }
            for (path, bytes) in &snapshot {
                std::fs::write(path, bytes).unwrap();
            }
        }
    }
}

#[test]
fn no_secret_of_the_task_becomes_part_of_a_name() {
    let site = Site::new();
    let id = site.started(site.build("mine", &["start", "Use password=hunter2hunter2 now", "--json"]));
    assert!(!id.contains("hunter2"), "{id}");
    assert!(!site.stop("mine").unwrap().contains("hunter2"));
}

#[test]
fn the_commands_work_in_a_worktree_that_a_person_made() {
    let site = Site::new();
    let linked = site.world.root().join("linked");
    site.checkout.git(&["worktree", "add", "-q", "-b", "linked", linked.to_str().unwrap()]);
    let id = site.started(site.build_in(&linked, &["start", "t", "--json"]));
    let reason = held(site.hook(&stop("mine", &linked, "bye"))).unwrap();
    let mut shell = site.world.command("/bin/sh".as_ref());
    shell.args(["-c", &commands(&reason, &id)[0]]).current_dir(&linked);
    Said::from(finish(shell, Stdin::from(""))).ok();
    assert_eq!(site.checkout.git(&["-C", linked.to_str().unwrap(), "status", "--porcelain"]), "");
}

#[test]
fn a_pause_holds_nobody_until_it_ends() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let said = site.build("", &["pause", "--for", "30m"]).ok();
    assert!(said.out.contains("until 2"), "{said:?}");
    assert!(site.build("", &["status"]).ok().out.contains("paused until 2"));
    let before = site.snapshot();
    assert!((0..5).all(|_| site.stop("mine").is_none()));
    assert_eq!(site.snapshot(), before, "a paused build spends nothing");
    site.build("", &["resume"]).ok();
    assert!(site.stop("mine").is_some());
    // Without an end, until it is ended; one that is over by itself holds again.
    site.build("", &["pause"]).ok();
    assert!(site.stop("mine").is_none() && site.state(&id)["pause"]["until_ms"].is_null());
    site.edit(&id, |state| state["pause"] = json!({"until_ms": 1}));
    assert!(site.stop("mine").is_some() && !site.build("", &["status"]).ok().out.contains("paused"));
    for time in ["30", "0s", "-5m", "8d", "soon", "99999999999999999999d"] {
        site.build("", &["pause", &format!("--for={time}")]).refused(2, &["a number and a unit"]);
    }
    let events = site.events(&id);
    assert_eq!(
        events.iter().filter(|event| event.contains("paused") || event.contains("resumed")).count(),
        3,
        "{events:?}"
    );
}

#[test]
fn a_released_build_holds_nobody_and_can_be_given_away() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    assert!(site.build("", &["release"]).ok().out.contains("holds nobody"));
    let before = site.snapshot();
    assert_eq!((site.stop("mine"), site.stop("theirs")), (None, None));
    assert_eq!(site.snapshot(), before, "nobody adopts it");
    assert!(site.build("", &["status"]).ok().out.contains("nobody is held"));
    site.build("", &["release"]).refused(1, &["no owner already"]);
    let other = site.start("theirs", "small");
    site.build("", &["resume", "--build", &id, "--owner-session", "theirs"]).refused(1, &[&other]);
    site.build("", &["resume", "--build", &id, "--owner-session", "third"]).ok();
    assert_eq!((site.stop("mine"), site.stop("third").is_some()), (None, true));
}

#[test]
fn what_is_a_persons_is_refused_to_a_recorded_agent() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let agent = site.claude();
    agent.starts("mine", "startup");
    let before = site.snapshot();
    for (command, action) in [
        ("pause --for 30m", "`build pause`"),
        ("release", "`build release`"),
        ("start other --owner-session theirs", "`build start --owner-...`"),
        ("start other --owner-tmux %1", "`build start --owner-...`"),
        ("resume --owner-session theirs", "`build resume --owner-...`"),
    ] {
        let said = agent.build("mine", &format!("{command} --json")).refused(2, &["refused", action, "operator's"]);
        assert!(said.json()["error"]["message"].as_str().unwrap().contains("refused"), "{said:?}");
    }
    assert_eq!(site.snapshot(), before);
    // The honest ways are open to it, and a person's terminal is another process.
    agent.build("mine", "step 1 lexer --tests 1 --passing 1").ok();
    site.build("", &["pause"]).ok();
    assert_eq!(agent.stop("mine"), None);
    agent.build("mine", "escalate --reason stuck").ok();
    assert!(site.archived(&id).exists());
}

#[test]
fn a_persons_word_releases_that_session_for_that_turn() {
    let site = Site::new();
    let id = site.executing("mine", "large");
    site.start("theirs", "small");
    let mut used = 0;
    for (prompt, released) in [
        ("build it", false),
        ("please stop here", true),
        ("go on", false),
        ("don't stop", false),
        ("Don\u{2019}t stop here, do not stop working", false),
        ("Stop.", true),
        ("stop the dev server and go on", false),
    ] {
        site.prompt("mine", prompt);
        for _ in 0..2 {
            assert_eq!(site.stop("mine").is_none(), released, "{prompt}");
        }
        used += if released { 0 } else { 2 };
        assert_eq!(site.used(&id), used, "{prompt}");
    }
    site.prompt("mine", "please stop here");
    assert!(site.stop("theirs").is_some(), "the word was said to another session");
}

#[test]
fn the_kill_switch_covers_it() {
    let site = Site::new();
    site.executing("mine", "small");
    assert!(site.world.stopgate(&["kill", "on", "--reason", "stuck"]).status.success());
    let before = site.snapshot();
    assert_eq!(site.stop("mine"), None);
    assert_eq!(site.snapshot(), before);
    assert!(site.world.stopgate(&["kill", "off"]).status.success());
    assert!(site.stop("mine").is_some());
    let mut hook = site.world.hook("build-stop-hook");
    hook.env("STOPGATE_KILL", "1");
    assert_eq!(held(finish(hook, Stdin::from(&*stop("mine", site.top(), "bye").to_string())).into()), None);
}

#[test]
fn a_corrupt_state_lets_go_and_is_restored_from_the_audit() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    site.build("mine", &["step", "1", "lexer", "--tests", "3", "--passing", "2"]).ok();
    assert!(site.stop("mine").is_some() && site.stop("mine").is_some());
    let good = site.state(&id);
    let state = site.live(&id).join("state.json");
    let garbled = [
        "{\"id\":",
        "",
        "[]",
        "null",
        "\u{0}\u{0}",
        "{\"phase\":\"executing\",\"size\":\"small\",\"reminders_used\":-1}",
    ];
    for (round, garbage) in garbled.into_iter().enumerate() {
        std::fs::write(&state, garbage).unwrap();
        assert_eq!(site.stop("mine"), None);
        assert!(!state.exists() && site.world.hook_log().matches("build not usable").count() == round + 1);
        let said = site.build("mine", &["status"]).ok();
        assert!(said.out.contains(&format!("build {id}")) && said.out.contains("stopgate build restore"), "{said:?}");
        assert_eq!(site.build("mine", &["status", "--json"]).ok().json()["broken"], json!([id]));
        site.build("mine", &["to", "verifying"]).refused(1, &["restore"]);
        let mut audit = std::fs::OpenOptions::new().append(true).open(site.live(&id).join("audit.jsonl")).unwrap();
        audit.write_all(b"{\"at_ms\":1,\"event\":\"step-rec").unwrap();
        let said = site.build("mine", &["restore"]).ok();
        assert!(said.out.contains("phase executing, 2 of 3 reminders used"), "{said:?}");
        assert_eq!(site.state(&id), good);
        let log = site.build("mine", &["log", "--limit", "1", "--json"]).ok().json();
        assert_eq!(log[0]["event"], "state-restored", "the line after a torn one is whole");
    }
    let aside =
        std::fs::read_dir(site.live(&id)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(aside.filter(|name| name.starts_with("state.corrupt-")).count(), garbled.len());
    site.build("mine", &["restore", "--json"]).refused(1, &["nothing to restore"]);
    assert!(site.stop("mine").is_some());
    assert_eq!(site.stop("mine"), None, "what was spent stays spent");
}

#[test]
fn a_state_of_a_newer_stopgate_is_left_alone() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    site.edit(&id, |state| state["schema"] = (SCHEMA + 1).into());
    let before = site.bytes(&id);
    assert_eq!(site.stop("mine"), None);
    site.build("mine", &["to", "verifying", "--build", &id, "--json"]).refused(1, &["newer stopgate"]);
    assert_eq!(site.bytes(&id), before);
}

#[test]
fn the_harness_s_cap_is_respected_and_the_rest_is_for_the_next_turn() {
    let site = Site::new();
    let id = site.executing("mine", "large");
    assert!(site.stop("mine").is_some() && (0..7).all(|_| site.stop_again("mine").is_some()));
    let before = site.snapshot();
    assert!((0..3).all(|_| site.stop_again("mine").is_none()));
    assert_eq!(site.snapshot(), before, "not fought, and nothing spent");
    assert!(site.stop("mine").is_some() && site.stop_again("mine").is_some() && site.used(&id) == 10);
    assert_eq!(site.stop("mine"), None);

    for (cap, expected) in [("2", 2), ("0", 10)] {
        let id = site.executing(cap, "large");
        let stops = (0..12).filter(|number| {
            let payload = with(stop(cap, site.top(), "bye"), "stop_hook_active", Value::from(*number > 0));
            let mut hook = site.world.hook("build-stop-hook");
            hook.env("CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", cap);
            held(finish(hook, Stdin::from(&*payload.to_string())).into()).is_some()
        });
        assert_eq!((stops.count(), site.used(&id)), (expected, u64::try_from(expected).unwrap()), "cap {cap}");
    }
}
