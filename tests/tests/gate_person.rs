//! Who is the person, what wakes a session by itself, and what is left of a task list: through the real hooks, with the
//! payloads and transcripts of the real clients.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::build::Site;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::text;
use stopgate_tests::process::has_ended;
use stopgate_tests::run::{Stdin, finish, finish_while};
use stopgate_tests::transcript::{self, Sender};
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, assert_silent, binary, session_start, with};

/// A session of either client, in enforce.
pub(crate) struct Seat<'a> {
    pub(crate) world: &'a World,
    pub(crate) checkout: &'a Checkout,
    pub(crate) harness: Harness,
    pub(crate) id: String,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(world: &'a World, checkout: &'a Checkout, harness: Harness, id: &str) -> Self {
        let seat = Self::silent(world, checkout, harness, id);
        world.asks_for_a_job(harness, id);
        seat
    }

    /// Of its person nothing is known.
    pub(crate) fn silent(world: &'a World, checkout: &'a Checkout, harness: Harness, id: &str) -> Self {
        let seat = Self { world, checkout, harness, id: id.to_owned() };
        assert_eq!(seat.hook("session-start-recorder", &session_start(id, &checkout.top, "startup")), "");
        seat
    }

    pub(crate) fn hook(&self, name: &str, payload: &Value) -> String {
        let mut command = self.world.command(&binary(name));
        command.arg(self.harness.name());
        let output = finish(command, Stdin::from(&*payload.to_string()));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        text(&output.stdout)
    }

    pub(crate) fn transcript(&self) -> PathBuf {
        self.world.transcript(&self.id)
    }

    /// The hook is told before the client writes it down.
    pub(crate) fn says(&self, sender: Sender, words: &str) {
        let payload = json!({"session_id": self.id, "cwd": self.checkout.top, "prompt": sender.prompt(words),
                             "hook_event_name": "UserPromptSubmit", "transcript_path": self.transcript()});
        assert_eq!(self.hook("session-start-recorder", &payload), "");
        transcript::says(self.harness, &self.transcript(), sender, words);
    }

    pub(crate) fn payload(&self) -> Value {
        self.world.stop(&self.id, &self.checkout.top, EXCUSE)
    }

    /// Whether a stop after some work is held.
    pub(crate) fn is_held(&self) -> bool {
        self.checkout.work();
        self.hook("stop-gate-router", &self.payload()).contains("\"block\"")
    }
}

pub(crate) fn short_circuit(authority: &RunningAuthority<'_>, id: &str) -> Option<String> {
    authority.log().into_iter().find(|row| row.session_id == id).and_then(|row| row.short_circuit)
}

#[test]
fn a_word_to_stop_releases_only_where_it_is_shown_to_be_the_persons() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for harness in Harness::ALL {
        for sender in Sender::all(harness) {
            let id = format!("{harness}-{sender:?}");
            let seat = Seat::new(&world, &checkout, harness, &id);
            seat.says(Sender::Typed, "Write the parser.");
            seat.says(*sender, "please stop the build");
            assert_eq!(seat.is_held(), !sender.is_person(), "{id}");
            if sender.is_person() {
                assert_eq!(short_circuit(&authority, &id).as_deref(), Some("person-asked-to-stop"), "{id}");
            }
        }
    }
}

#[test]
fn the_persons_own_word_stands_whatever_is_injected_until_the_person_says_something_else() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    for harness in Harness::ALL {
        let foreign = Sender::all(harness).iter().filter(|sender| !sender.is_person());
        for sender in foreign {
            let id = format!("{harness}-{sender:?}");
            let seat = Seat::new(&world, &checkout, harness, &id);
            seat.says(Sender::Typed, "Stop here, please.");
            seat.says(*sender, "Go on with the parser.");
            assert!(!seat.is_held(), "{id}");
            seat.says(Sender::Typed, "Now write the parser.");
            assert!(seat.is_held(), "{id}");
        }
    }
}

#[test]
fn an_injected_turn_does_not_begin_the_count_of_a_prompt_anew() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for harness in Harness::ALL {
        for sender in Sender::all(harness) {
            let id = format!("{harness}-{sender:?}");
            let seat = Seat::new(&world, &checkout, harness, &id);
            seat.says(Sender::Typed, "Write the parser.");
            assert!(seat.is_held() && seat.is_held(), "{id}: twice for one prompt");
            seat.says(*sender, "Go on with the parser.");
            assert_eq!(seat.is_held(), sender.is_person(), "{id}");
            if !sender.is_person() {
                assert_eq!(short_circuit(&authority, &id).as_deref(), Some("continue-ceiling"), "{id}");
            }
        }
    }
}

#[test]
fn what_the_person_interrupted_is_not_taken_up_by_a_hold_until_the_next_prompt() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    for (harness, waker) in [(Harness::Claude, Sender::Notice), (Harness::Codex, Sender::Queue)] {
        let seat = Seat::new(&world, &checkout, harness, harness.name());
        seat.says(Sender::Typed, "Write the parser.");
        transcript::interrupted(harness, &seat.transcript());
        seat.says(waker, "The tests have ended.");
        assert!(!seat.is_held(), "{harness}");
        assert_eq!(short_circuit(&authority, harness.name()).as_deref(), Some("person-interrupted"));
        seat.says(Sender::Typed, "Go on.");
        assert!(seat.is_held(), "{harness}");
    }
}

#[test]
fn the_build_guard_listens_to_the_person_alone() {
    for harness in Harness::ALL {
        let site = Site::new();
        let id = site.executing("mine", "large");
        site.edit(&id, |state| state["owner"]["harness"] = json!(harness.name()));
        let seat = Seat::new(&site.world, &site.checkout, harness, "mine");
        let is_held = || seat.hook("build-stop-hook", &seat.payload()).contains("\"block\"");
        seat.says(Sender::Typed, "Build it.");
        assert!(is_held(), "{harness}");
        for sender in Sender::all(harness) {
            // A turn is one of its own, whoever began it.
            seat.says(Sender::Typed, "Go on.");
            seat.says(*sender, "please stop the build");
            assert_eq!(is_held(), !sender.is_person(), "{harness} {sender:?}");
            seat.says(Sender::Typed, "Please stop here.");
            if !sender.is_person() {
                seat.says(*sender, "Go on.");
            }
            assert!(!is_held(), "{harness} {sender:?}: the person's word stands");
        }
        seat.says(Sender::Typed, "Go on.");
        transcript::interrupted(harness, &seat.transcript());
        assert!(!is_held(), "{harness}");
        // Who is not the owner is not looked at, and nobody's budget is spent.
        let used = site.used(&id);
        assert!(!is_held());
        assert_eq!(site.used(&id), used);
    }
}

/// A stop as the real client reported it, in this world's checkout.
fn recorded(seat: &Seat<'_>, fixture: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/claude").join(fixture);
    let mut payload: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (field, value) in seat.payload().as_object().unwrap() {
        if !matches!(field.as_str(), "background_tasks" | "session_crons") {
            payload[field] = value.clone();
        }
    }
    payload
}

#[test]
fn a_session_is_let_go_for_what_wakes_it_and_for_nothing_else() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let held = |id: &str, fixture: &str, rows: &[Value], change: &dyn Fn(&mut Value)| {
        let seat = Seat::new(&world, &checkout, Harness::Claude, id);
        transcript::append(&seat.transcript(), rows);
        checkout.work();
        let mut payload = recorded(&seat, fixture);
        change(&mut payload);
        let is_held = seat.hook("stop-gate-router", &payload).contains("\"block\"");
        assert_eq!(short_circuit(&authority, id).as_deref() == Some("background-tasks"), !is_held, "{id}");
        is_held
    };
    let as_it_is = |_: &mut Value| {};
    assert!(!held("shell", "Stop.background-shell.json", &[], &as_it_is));
    for status in ["completed", "failed", "killed", "stopped"] {
        let ended = move |payload: &mut Value| payload["background_tasks"][0]["status"] = json!(status);
        assert!(held(&format!("shell-{status}"), "Stop.background-shell.json", &[], &ended));
    }
    for (number, (command, wakes)) in [
        ("cd web && npm run dev -- --port 3001", false),
        ("python3 -m http.server 8000", false),
        ("tail -f log/development.log", false),
        ("cargo bench > bench.log", true),
        ("timeout 600 npm run dev", true),
    ]
    .into_iter()
    .enumerate()
    {
        let runs = move |payload: &mut Value| payload["background_tasks"][0]["command"] = json!(command);
        assert_eq!(held(&format!("server-{number}"), "Stop.background-shell.json", &[], &runs), !wakes, "{command}");
    }
    for status in ["pending", "paused", "something-new"] {
        let runs = move |payload: &mut Value| payload["background_tasks"][0]["status"] = json!(status);
        assert!(!held(&format!("shell-{status}"), "Stop.background-shell.json", &[], &runs));
    }
    let spawned = json!({"type": "assistant", "message": {"content": [
        {"type": "tool_use", "id": "a", "name": "Agent", "input": {"name": "mate", "prompt": "go"}}]}});
    let idle = json!({"type": "user", "rowSource": "recorded", "message": {"role": "user", "content":
        "Another Claude session sent a message:\n<teammate-message teammate_id=\"mate\" color=\"blue\">\n\
         {\"type\":\"idle_notification\",\"from\":\"mate\",\"idleReason\":\"available\"}\n</teammate-message>"}});
    let sent = json!({"type": "assistant", "message": {"content": [
        {"type": "tool_use", "id": "b", "name": "SendMessage", "input": {"to": "mate", "message": "more"}}]}});
    assert!(!held("mate-works", "Stop.teammate-idle.json", std::slice::from_ref(&spawned), &as_it_is));
    assert!(held("mate-waits", "Stop.teammate-idle.json", &[spawned.clone(), idle.clone()], &as_it_is));
    assert!(!held("mate-works-again", "Stop.teammate-idle.json", &[spawned.clone(), idle.clone(), sent], &as_it_is));
    assert!(!held("mate-unknown", "Stop.teammate-idle.json", &[], &as_it_is));
    let and_a_shell = |payload: &mut Value| {
        payload["background_tasks"]
            .as_array_mut()
            .unwrap()
            .push(json!({"id": "b", "type": "shell", "status": "running"}));
    };
    assert!(!held("mate-waits-and-a-shell", "Stop.teammate-idle.json", &[spawned, idle], &and_a_shell));

    let scheduled =
        |schedule: &'static str| move |payload: &mut Value| payload["session_crons"][0]["schedule"] = json!(schedule);
    assert!(!held("loop", "Stop.session-cron.json", &[], &scheduled("*/5 * * * *")));
    // Six months from now, whenever that is.
    let month = (jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).month() + 5) % 12 + 1;
    let far: &'static str = Box::leak(format!("11 22 1 {month} *").into_boxed_str());
    assert!(held("far-away", "Stop.session-cron.json", &[], &scheduled(far)));
    assert!(!held("not-understood", "Stop.session-cron.json", &[], &scheduled("@hourly")));
}

#[test]
fn the_first_stop_of_a_turn_that_a_hook_began_is_judged_and_no_other_of_that_turn() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let _authority = world.authority();
    let seat = Seat::new(&world, &checkout, Harness::Claude, "woken");
    let active_is_held = || {
        checkout.work();
        seat.hook("stop-gate-router", &with(seat.payload(), "stop_hook_active", json!(true))).contains("\"block\"")
    };
    seat.says(Sender::Typed, "Write the parser.");
    assert!(!active_is_held(), "a hook has kept this turn going");
    seat.says(Sender::Hook, "the build is done");
    assert!(active_is_held(), "nothing has kept this one going");
    assert!(!active_is_held(), "now something has");
    // The ceiling of a prompt holds over woken turns: there is no endless loop.
    let woken = || {
        seat.says(Sender::Hook, "the build is done");
        active_is_held()
    };
    assert!(woken());
    assert!((0..4).all(|_| !woken()));
    seat.says(Sender::Typed, "Go on.");
    assert!(!active_is_held(), "the mark is gone with the next prompt");
}

#[test]
fn the_build_guard_counts_a_turn_that_a_hook_began_as_a_turn_of_its_own() {
    let site = Site::new();
    let id = site.executing("mine", "large");
    let seat = Seat::new(&site.world, &site.checkout, Harness::Claude, "mine");
    let active_is_held = || {
        let payload = with(seat.payload(), "stop_hook_active", json!(true)).to_string();
        let mut hook = site.world.hook("build-stop-hook");
        hook.env("CLAUDE_CODE_STOP_HOOK_BLOCK_CAP", "2");
        let output = finish(hook, Stdin::from(&*payload));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        text(&output.stdout).contains("\"block\"")
    };
    let in_turn = || site.state(&id)["reminders_in_turn"].as_u64().unwrap();
    seat.says(Sender::Typed, "Build it.");
    assert!(active_is_held() && active_is_held() && !active_is_held(), "as often as the client lets a hook");
    seat.says(Sender::Hook, "the tests are done");
    // The gate's hook, at the same stop, takes nothing that is the build guard's.
    seat.hook("stop-gate-router", &with(seat.payload(), "stop_hook_active", json!(true)));
    assert!(active_is_held(), "nothing has kept this turn going");
    assert_eq!(in_turn(), 1);
    assert!(active_is_held() && !active_is_held());
    assert_eq!(in_turn(), 2, "now something has");
    // A prompt of another kind that comes before the stop takes the mark away.
    seat.says(Sender::Hook, "the tests are done");
    seat.says(Sender::Notice, "a shell has ended");
    assert!(!active_is_held());
}

/// What a hook says that is given a stop of a session's first turn, whose prompt the client writes down while the hook
/// looks for it.
fn with_a_late_prompt(world: &World, hook: &str, payload: &Value, transcript: &Path, words: &str) -> String {
    assert!(!transcript.exists() && payload["prompt_id"] == "p", "{payload}");
    let late = |pid: u32| {
        std::thread::sleep(Duration::from_millis(200));
        assert!(!has_ended(pid), "it does not wait for the prompt");
        transcript::says(Harness::Claude, transcript, Sender::Typed, words);
    };
    let output = finish_while(world.hook(hook), Stdin::from(&*payload.to_string()), |_| (), late);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text(&output.stdout)
}

#[test]
fn the_first_prompt_of_a_session_is_heard_although_it_is_written_down_late() {
    let site = Site::new();
    site.world.set_mode("enforce");
    let checkout = Checkout::with_plan(&site.world.root().join("planned"));
    let _authority = site.world.authority();
    for (words, is_held) in [("please stop the build", false), ("Write the parser.", true)] {
        for hook in ["build-stop-hook", "stop-gate-router"] {
            let id = format!("{hook}-{is_held}");
            let top = if hook == "build-stop-hook" { site.top() } else { &checkout.top };
            assert_silent(&site.world.run_hook("session-start-recorder", &session_start(&id, top, "startup")));
            if hook == "build-stop-hook" {
                site.executing(&id, "large");
            } else {
                checkout.work();
            }
            let payload = with(site.world.stop(&id, top, EXCUSE), "prompt_id", json!("p"));
            let said = with_a_late_prompt(&site.world, hook, &payload, &site.world.transcript(&id), words);
            assert_eq!(said.contains("\"block\""), is_held, "{id}: {said}");
        }
    }
}

#[test]
fn a_prompt_that_is_never_written_down_keeps_nobody_waiting_for_ever() {
    let site = Site::new();
    site.executing("mine", "large");
    let mut hook = site.world.hook("build-stop-hook");
    hook.env("STOPGATE_PATIENCE", "1");
    let payload = with(site.world.stop("mine", site.top(), EXCUSE), "prompt_id", json!("p"));
    let output = finish(hook, Stdin::from(&*payload.to_string()));
    assert!(text(&output.stdout).contains("\"block\""), "what is not shown releases nobody: {output:?}");
}

#[test]
fn a_task_that_somebody_else_finished_or_that_is_gone_holds_nobody() {
    let world = World::enforcing();
    let checkout = Checkout::create(&world.root().join("plain"));
    checkout.write("a.txt", "a");
    checkout.commit("start");
    let authority = world.authority();
    let created = [
        json!({"type": "assistant", "message": {"content": [
            {"type": "tool_use", "id": "c", "name": "TaskCreate", "input": {"subject": "write the parser"}}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "c",
                                                        "content": "Task #2 created successfully: write the parser"}]},
               "toolUseResult": {"task": {"id": "2", "subject": "write the parser"}}}),
    ];
    let is_held = |id: &str, files: Option<&[(&str, &str)]>| {
        let seat = Seat::new(&world, &checkout, Harness::Claude, id);
        transcript::append(&seat.transcript(), &created);
        if let Some(files) = files {
            // Where the client keeps them: beside the directory of its transcripts.
            let dir = world.root().join("tasks").join(id);
            std::fs::create_dir_all(&dir).unwrap();
            for (name, status) in files {
                let task = json!({"id": name, "subject": "write the parser", "status": status});
                std::fs::write(dir.join(format!("{name}.json")), task.to_string()).unwrap();
            }
        }
        seat.hook("stop-gate-router", &seat.payload()).contains("\"block\"")
    };
    assert!(is_held("no-files", None));
    assert!(is_held("open", Some(&[("2", "pending")])));
    assert!(!is_held("done", Some(&[("2", "completed")])));
    assert!(!is_held("cancelled", Some(&[("2", "cancelled")])));
    assert!(!is_held("deleted", Some(&[("1", "completed")])));
    assert_eq!(short_circuit(&authority, "deleted").as_deref(), Some("no-evidence"));
    // Neither client offers a list by itself any more: without one there is no such evidence.
    let seat = Seat::new(&world, &checkout, Harness::Claude, "no-list");
    seat.says(Sender::Typed, "Write the parser.");
    assert_silent(&world.run_hook("stop-gate-router", &seat.payload()));
    assert_eq!(short_circuit(&authority, "no-list").as_deref(), Some("no-evidence"));
}

#[test]
fn an_end_is_heard_in_every_language_and_wherever_it_stands_in_a_prompt() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let log = "12:00:01 INFO served /orders in 3 ms\n".repeat(400);
    let pasted = format!("{log}\nok, stop here for today");
    let ends = [
        "ok stop now",
        "hold on",
        "I'll take it from here",
        "Bitte hier aufhören.",
        "on s'arrête là, merci",
        "Para aquí, por favor",
        "pode parar agora",
        "Fermati qui",
        "stop maar, ik doe de rest",
        "na dziś wystarczy",
        "bugünlük bu kadar",
        "на сегодня хватит",
        "先停一下",
        "ここで止めてください",
        "여기서 멈춰 주세요",
        "<ide_opened_file>The user opened a.rs</ide_opened_file>\nplease stop here",
        &pasted,
    ];
    for harness in Harness::ALL {
        for (number, end) in ends.iter().enumerate() {
            let id = format!("{harness}-{number}");
            let seat = Seat::new(&world, &checkout, harness, &id);
            seat.says(Sender::Typed, "Write the parser.");
            seat.says(Sender::Typed, end);
            assert!(!seat.is_held(), "{end}");
            assert_eq!(short_circuit(&authority, &id).as_deref(), Some("person-asked-to-stop"), "{end}");
            seat.says(Sender::Typed, "thanks!");
            assert!(!seat.is_held(), "a courtesy takes nothing back: {end}");
            seat.says(Sender::Typed, "Don't stop here, go on until all tests pass");
            assert!(seat.is_held(), "{end}");
        }
    }
}

#[test]
fn a_turn_that_ended_in_plan_mode_or_with_a_question_by_a_tool_or_an_api_error_is_let_go() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let tool = |name: &str| {
        json!({"type": "assistant", "message": {"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}]}})
    };
    let result = |is_error: bool| {
        json!({"type": "user", "message": {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": is_error, "content": "x"}]}})
    };
    let failed = json!({"type": "assistant", "isApiErrorMessage": true, "message": {"role": "assistant", "content": [
        {"type": "text", "text": "API Error: 529 overloaded"}]}});
    let codex = |payload: Value| json!({"type": "response_item", "payload": payload});
    let asks = codex(json!({"type": "function_call", "name": "request_user_input", "call_id": "c", "arguments": "{}"}));
    let answered = codex(json!({"type": "function_call_output", "call_id": "c", "output": "{\"answers\":{}}"}));
    let plans = json!({"type": "turn_context", "payload": {"collaboration_mode": {"mode": "plan", "settings": {}}}});
    let (claude, codex) = (Harness::Claude, Harness::Codex);
    let cases: [(Harness, &str, Vec<Value>, Option<&str>); 9] = [
        (claude, "question", vec![tool("AskUserQuestion"), result(true)], Some("asked-by-tool")),
        (claude, "answered", vec![tool("AskUserQuestion"), result(false)], None),
        (claude, "plan-refused", vec![tool("ExitPlanMode"), result(true)], Some("asked-by-tool")),
        (claude, "plan-accepted", vec![tool("ExitPlanMode"), result(false), tool("Bash"), result(false)], None),
        (claude, "api-error", vec![failed.clone()], Some("api-error")),
        (claude, "tried-again", vec![failed, tool("Bash"), result(false)], None),
        (codex, "plan", vec![plans], Some("plan-mode")),
        (codex, "question", vec![asks.clone()], Some("asked-by-tool")),
        (codex, "answered", vec![asks, answered], None),
    ];
    for (harness, name, rows, expected) in cases {
        let id = format!("{harness}-{name}");
        let seat = Seat::new(&world, &checkout, harness, &id);
        seat.says(Sender::Typed, "Write the parser.");
        transcript::append(&seat.transcript(), &rows);
        assert_eq!(seat.is_held(), expected.is_none(), "{id}");
        if expected.is_some() {
            assert_eq!(short_circuit(&authority, &id).as_deref(), expected, "{id}");
        }
    }
    // Claude Code says its mode itself.
    for (mode, is_held) in [("plan", false), ("acceptEdits", true), ("bypassPermissions", true), ("default", true)] {
        let seat = Seat::new(&world, &checkout, claude, mode);
        seat.says(Sender::Typed, "Write the parser.");
        let payload = with(seat.payload(), "permission_mode", json!(mode));
        checkout.work();
        assert_eq!(seat.hook("stop-gate-router", &payload).contains("\"block\""), is_held, "{mode}");
    }
}

#[test]
fn steps_that_nobody_is_to_do_hold_nobody() {
    let world = World::enforcing();
    let _authority = world.authority();
    let plans: [(&str, bool); 8] = [
        ("- [x] lexer\n- [ ] ~~parser~~\n", false),
        ("- [x] lexer\n- [ ] BLOCKED: waiting for ops\n", false),
        ("- [x] lexer\n\n## Out of scope\n- [ ] parser\n", false),
        ("- [x] lexer\n\n## Später\n- [ ] parser\n", false),
        ("---\nstatus: superseded\n---\n- [x] lexer\n- [ ] parser\n", false),
        ("Legend: \n- [ ] open\n- [x] done\n\n- [x] lexer\n", false),
        ("| Step | Status |\n|---|---|\n| lexer | done |\n| parser | pending |\n", true),
        ("- [x] lexer\n- [\u{a0}] parser\n", true),
    ];
    for (number, (plan, is_held)) in plans.into_iter().enumerate() {
        let checkout = Checkout::planned(&world.root().join(format!("steps-{number}")), plan);
        let seat = Seat::new(&world, &checkout, Harness::Claude, &format!("s{number}"));
        seat.says(Sender::Typed, "Execute docs/plan.md");
        assert_eq!(seat.is_held(), is_held, "{plan}");
    }
}
