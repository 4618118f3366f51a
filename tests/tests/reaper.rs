//! The reaper through the real authority, real tmux and real processes, with stand-in harnesses that show captured
//! screens. Hours go by on a made-up clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::{Endpoint, ExplainReaper, GetReaper, ReadReaperAudit, SetReaper};
use stopgate_reaper::gates::{Confidence, Gate};
use stopgate_reaper::report::ReaperAuditEvent;
use stopgate_reaper::report::ReaperAuditEvent::{ReapAborted, ReapPending, ReapRefused, Reaped, Reaping, WouldReap};
use stopgate_tests::build::Said;
use stopgate_tests::reaper::{CRITICAL, MINUTE, NORMAL, Stage, StandIn, looked, screen, status};
use stopgate_tests::run::eventually;
use stopgate_tests::world::RunningAuthority;

/// Looks until an end is announced under critical pressure (15 min at 2 min each), and until it is carried out.
const UNTIL_PENDING: usize = 9;
const UNTIL_REAPED: usize = UNTIL_PENDING + 1;

/// Beyond the first 30 minutes, with the first look that remembers transcript and processes.
fn grown_up(stage: &Stage, authority: &RunningAuthority<'_>) {
    stage.look_after(authority, 40 * MINUTE);
}

#[test]
fn an_idle_session_is_ended_under_pressure_and_its_resume_command_is_known() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    // An MCP server that only waits is no work.
    idle.tell("sleeper");
    stage.enable(true);
    grown_up(&stage, &authority);

    let before = stage.ticks(&authority, UNTIL_REAPED + 5);
    assert!(!idle.has_ended(), "without pressure nobody is ended: {before:?}");
    assert_eq!(looked(&before, "idle").verdict, "reap-eligible");
    assert_eq!(stage.deeds("idle"), []);

    stage.pressure(CRITICAL);
    let announced = stage.tick(&authority);
    assert!(looked(&announced, "idle").reap_pending && !idle.has_ended(), "{announced:?}");
    let after = stage.tick(&authority);
    assert!(idle.has_ended());
    assert_eq!((after.reaps_last_hour, after.sessions.len()), (1, 0), "{after:?}");
    assert_eq!(stage.deeds("idle"), [ReapPending, Reaping, Reaped]);
    let decisions: Vec<_> = stage
        .audit()
        .into_iter()
        .filter(|row| row.event == ReaperAuditEvent::Decision && row.session_id == "idle")
        .map(|row| row.kept_by)
        .collect();
    assert_eq!(decisions.last(), Some(&None), "eligible in the end");
    assert!(decisions.len() <= 4, "on change only: {decisions:?}");
    let reaping = stage.audit().into_iter().find(|row| row.event == Reaping).unwrap();
    let resume = reaping.detail["resume_command"].as_str().unwrap();
    assert!(resume.ends_with("claude --resume idle"), "{resume}");
    assert_eq!(Said::from(stage.site.world.stopgate(&["resume", "idle"])).ok().out.trim(), resume);
    let row = stage.row("idle");
    assert_eq!((row.state, row.end_reason.as_deref()), (SessionState::Ended, Some("reaped-idle")));
    // It was the only pane: the server has nothing left.
    eventually("the pane is closed", || {
        (!stage.tmux_command(&["list-panes", "-a"]).output().unwrap().status.success()).then_some(())
    });
}

#[test]
fn whoever_works_waits_or_cannot_be_told_is_kept_with_the_reason() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = |id: &str| stage.stand_in(id).is_idle();
    let control = idle("control");
    let busy = idle("busy");
    busy.shows("claude-2.1.329-busy");
    let asking = idle("asking");
    asking.shows("claude-2.1.329-permission");
    let draft = idle("draft");
    draft.shows("claude-2.1.329-draft");
    let shell = idle("shell");
    shell.shows_text("$ ");
    let growing = idle("growing");
    let cut = idle("cut");
    let burning = idle("burning");
    burning.tell("burner");
    let main = idle("main");
    main.tell("burn");
    let prompted = idle("prompted");
    prompted.records("prompted", "UserPromptSubmit");
    let permission = idle("permission");
    permission.records("permission", "PermissionRequest");
    let two = idle("two");
    two.starts("two-b", "startup");
    let outside = stage.stand_in_outside("outside").is_idle();
    let builder = idle("builder");
    stage.site.start("builder", "small");
    let flickering = idle("flickering");
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let pane = screen("claude-2.1.329-idle");
    let mut last = None;
    for number in 0..UNTIL_REAPED + 2 {
        growing.tell("say {}");
        if number % 3 == 0 {
            cut.tell("say {\"type\":\"something longer\"}");
        } else if number % 3 == 1 {
            cut.tell("cut");
        }
        flickering.shows_text(&pane.replace("done 11:54 AM", &format!("done {number} times")));
        last = Some(stage.tick(&authority));
    }
    let last = last.unwrap();
    let kept_by = |id: &str| looked(&last, id).kept_by;
    let expected = [
        (&busy, Gate::ScreenBusy),
        (&asking, Gate::ScreenAsking),
        (&draft, Gate::PendingInput),
        (&shell, Gate::NoPositiveIdle),
        (&growing, Gate::TranscriptGrew),
        (&burning, Gate::ActiveProcess),
        (&main, Gate::MainProcessActive),
        (&prompted, Gate::TurnOpen),
        (&permission, Gate::WaitingForPerson),
        (&two, Gate::SharedProcess),
        (&outside, Gate::OutsideTmux),
        (&builder, Gate::LiveBuild),
    ];
    for (stand_in, gate) in expected {
        assert!(!stand_in.has_ended(), "{} was ended", stand_in.id);
        assert_eq!(kept_by(&stand_in.id), Some(gate), "{}", stand_in.id);
        assert_eq!(stage.deeds(&stand_in.id), [], "{}", stand_in.id);
    }
    assert_eq!(last.kept_by["shared-process"], 2, "{:?}", last.kept_by);
    assert!(!flickering.has_ended() && looked(&last, "flickering").consecutive == 1);
    let cut_by: Vec<_> =
        stage.audit().into_iter().filter(|row| row.session_id == "cut").filter_map(|row| row.kept_by).collect();
    assert!(!cut.has_ended() && cut_by.contains(&"transcript-changed".to_owned()), "{cut_by:?}");
    assert!(control.has_ended(), "the pressure was real: {last:?}");
}

/// What a pane is called now counts, while the reaper looks: by its session, its window, or both, whatever it was called
/// when the session began, and on whichever server.
#[test]
fn a_pane_is_protected_by_its_present_names() {
    let stage = Stage::new();
    stage.site.world.home.create().unwrap();
    let config = "[reaper]\nprotected = [\"fort\", \"keep\", \"yard:gate\", \"old\"]\n";
    std::fs::write(stage.site.world.home.root().join("config.toml"), config).unwrap();
    let authority = stage.site.world.authority();
    let idle = |id: &str| stage.stand_in(id).is_idle();
    let in_session = |id: &str, session: &str| {
        let command = ["new-session", "-x", "120", "-y", "40", "-s", session];
        stage.stand_in_pane(id, "claude", &command, "exec").is_idle()
    };
    // Protected by then, each in another way.
    let (renamed, window, both) = (idle("renamed"), idle("window"), idle("both"));
    let (joined, moved, late) = (idle("joined"), idle("moved"), idle("late"));
    // Protected at first alone.
    let (left, broken) = (in_session("left", "old"), in_session("broken", "fort0"));
    let fresh = idle("fresh");
    stage.enable(true);
    grown_up(&stage, &authority);
    stage.tmux(&["rename-session", "-t", "=renamed", "fort"]);
    stage.tmux(&["rename-window", "-t", &window.pane, "keep"]);
    stage.tmux(&["rename-session", "-t", "=both", "yard"]);
    stage.tmux(&["rename-window", "-t", &both.pane, "gate"]);
    stage.tmux(&["join-pane", "-d", "-s", &joined.pane, "-t", &renamed.pane]);
    stage.tmux(&["new-window", "-d", "-t", "=fort:9", "-n", "spare", "exec sleep 300"]);
    stage.tmux(&["move-pane", "-d", "-s", &moved.pane, "-t", "=fort:9"]);
    stage.tmux(&["rename-session", "-t", "=old", "plain"]);
    stage.tmux(&["break-pane", "-d", "-s", &broken.pane, "-t", "=plain:7"]);
    // A pane that is joined or split off is smaller, and its client draws anew.
    stage.ticks(&authority, 2);
    stage.pressure(CRITICAL);
    let announced = eventually("an end is announced", || {
        let status = stage.tick(&authority);
        looked(&status, "late").reap_pending.then_some(status)
    });
    assert!(looked(&announced, "fresh").reap_pending, "{announced:?}");
    stage.tmux(&["rename-session", "-t", "=late", "keep"]);
    let last = stage.ticks(&authority, 4);
    for (kept, how) in [
        (&renamed, "rename-session"),
        (&window, "rename-window"),
        (&both, "session and window"),
        (&joined, "join-pane"),
        (&moved, "move-pane"),
        (&late, "renamed after its end was announced"),
    ] {
        assert!(!kept.has_ended(), "{how}");
        assert_eq!(looked(&last, &kept.id).kept_by, Some(Gate::Protected), "{how}");
    }
    for (ended, how) in [(&left, "its name is another now"), (&broken, "break-pane"), (&fresh, "never named")] {
        assert!(ended.has_ended(), "{how}: {last:?}");
    }
    assert_eq!(stage.deeds("late"), [ReapPending, ReapAborted]);
}

/// A name that a pane is given between the look and the signal: tmux itself gives it as soon as the pane was read.
#[test]
fn a_name_given_in_the_last_moment_keeps_the_session() {
    let stage = Stage::new();
    stage.site.world.home.create().unwrap();
    std::fs::write(stage.site.world.home.root().join("config.toml"), "[reaper]\nprotected = [\"keep\"]\n").unwrap();
    let authority = stage.site.world.authority();
    let (late, control) = (stage.stand_in("late").is_idle(), stage.stand_in("control").is_idle());
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let pending = stage.ticks(&authority, UNTIL_PENDING - 1);
    assert!(pending.sessions.iter().all(|session| session.reap_pending), "{pending:?}");
    let rename = format!("rename-window -t {} keep", late.pane);
    stage.tmux(&["set-hook", "-g", "after-capture-pane", &rename]);
    stage.tick(&authority);
    assert!(control.has_ended() && !late.has_ended());
    assert_eq!(stage.deeds("late"), [ReapPending, ReapRefused]);
    let refused = stage.audit().into_iter().find(|row| row.event == ReapRefused).unwrap();
    assert_eq!(refused.kept_by.as_deref(), Some("protected"));
}

#[test]
fn off_does_nothing_and_a_rehearsal_only_says_what_it_would_do() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    stage.pressure(CRITICAL);
    let off = status(&authority);
    assert_eq!((off.enabled, off.dry_run, off.switch), (false, true, None));
    stage.pass(600 * MINUTE);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(status(&authority).last_tick_at_ms, None, "off looks at nothing");

    stage.enable(false);
    eventually("it looks", || status(&authority).last_tick_at_ms);
    let rehearsed = stage.ticks(&authority, UNTIL_REAPED + 1);
    assert_eq!((rehearsed.enabled, rehearsed.dry_run, rehearsed.reaps_last_hour), (true, true, 0));
    assert_eq!(stage.deeds("idle"), [ReapPending, WouldReap]);
    assert!(!idle.has_ended());
    let would = stage.audit().into_iter().find(|row| row.event == WouldReap).unwrap();
    assert_eq!((would.tier.as_deref(), &would.detail["dry_run"]), (Some("critical"), &json!(true)));

    let disabled = Said::from(stage.site.world.stopgate(&["reaper", "disable", "--json"])).ok().json();
    assert_eq!((&disabled["enabled"], &disabled["switch"]), (&json!(false), &json!("off")));
}

#[test]
fn candidacy_survives_a_restart_and_an_announced_end_does_not() {
    let stage = Stage::new();
    let first = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    idle.tell("sleeper");
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &first);
    let pending = stage.ticks(&first, UNTIL_PENDING - 1);
    assert!(looked(&pending, "idle").reap_pending, "{pending:?}");
    first.kill();
    let second = stage.site.world.authority();
    let anew = eventually("it looks", || Some(status(&second)).filter(|status| status.last_tick_at_ms.is_some()));
    assert!(!idle.has_ended(), "the announcement was dropped");
    let session = looked(&anew, "idle");
    assert!(session.reap_pending && session.consecutive > 9, "and made again at once: {session:?}");
    stage.tick(&second);
    assert!(idle.has_ended());
    assert_eq!(stage.deeds("idle"), [ReapPending, ReapPending, Reaping, Reaped]);
}

#[test]
fn anything_that_moves_during_the_grace_takes_the_announcement_back() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = |id: &str| stage.stand_in(id).is_idle();
    let (writes, redraws, relieved) = (idle("writes"), idle("redraws"), idle("relieved"));
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let pending = stage.ticks(&authority, UNTIL_PENDING - 1);
    assert!(pending.sessions.iter().all(|session| session.reap_pending), "{pending:?}");
    writes.tell("say {}");
    redraws.shows_text(&screen("claude-2.1.329-idle").replace("hello there", "hello yonder"));
    stage.pressure(NORMAL);
    stage.tick(&authority);
    for (stand_in, why) in
        [(&writes, "transcript-grew"), (&redraws, "frame-changed-during-grace"), (&relieved, "pressure-gone")]
    {
        assert!(!stand_in.has_ended(), "{why}");
        assert_eq!(stage.deeds(&stand_in.id), [ReapPending, ReapAborted]);
        let rows = stage.audit();
        let aborted = rows.iter().find(|row| row.session_id == stand_in.id && row.event == ReapAborted).unwrap();
        assert_eq!(aborted.kept_by.as_deref(), Some(why));
    }
}

#[test]
fn three_in_one_look_at_most_and_a_pane_beside_another_is_judged_by_itself() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = |id: &str, command: &[&str]| stage.stand_in_pane(id, "claude", command, "exec").is_idle();
    let first = idle("p0", &["new-session", "-x", "120", "-y", "40", "-s", "work"]);
    let more: Vec<_> = (1..5).map(|number| idle(&format!("p{number}"), &["new-window", "-t", "work:"])).collect();
    // In one window with an idle one: it works.
    let busy = stage.stand_in_pane("busy", "claude", &["split-window", "-t", &first.pane], "exec").is_idle();
    busy.tell("burner");
    // The pane is half as high now.
    first.shows("claude-2.1.329-tool-80x24");
    first.shows("claude-2.1.329-start-80x24");
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    stage.ticks(&authority, UNTIL_REAPED - 1);
    let ended = |stand_ins: &[StandIn<'_>]| stand_ins.iter().filter(|one| one.has_ended()).count();
    assert_eq!(usize::from(first.has_ended()) + ended(&more), 3);
    stage.ticks(&authority, 2);
    assert_eq!(usize::from(first.has_ended()) + ended(&more), 5);
    assert!(!busy.has_ended());
    assert_eq!(stage.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]), busy.pane);
}

#[test]
fn a_harness_that_ignores_sigterm_is_killed_and_a_person_s_shell_with_work_in_it_stays() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let new = |id: &str| ["new-session", "-x", "120", "-y", "40", "-s", id].map(str::to_owned);
    let start = |id: &str, runner: &str| {
        let command = new(id);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        stage.stand_in_pane(id, "claude", &command, runner).is_idle()
    };
    let deaf = start("deaf", "trap '' TERM; exec");
    // What the person's shell does once the harness has ended: something, or nothing.
    let shell = start("shell", "sh -c 'sleep 100000 & \"$@\"; wait' sh");
    let quiet = start("quiet", "sh -c '\"$@\"; read line' sh");
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    stage.ticks(&authority, UNTIL_REAPED - 1);
    eventually("all are ended", || [&deaf, &shell, &quiet].iter().all(|one| one.has_ended()).then_some(()));
    let reaped = |id: &str| {
        eventually("it is recorded", || {
            stage.audit().into_iter().find(|row| row.session_id == id && row.event == Reaped)
        })
    };
    assert_eq!((&reaped("deaf").detail["killed"], &reaped("deaf").detail["pane_closed"]), (&json!(true), &json!(true)));
    assert_eq!(reaped("shell").detail["killed"], json!(false));
    assert_eq!(reaped("shell").detail["pane_closed"], json!(false));
    assert_eq!(reaped("quiet").detail["pane_closed"], json!(true));
    assert_eq!(stage.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]), shell.pane);
}

#[test]
fn an_attached_client_keeps_and_explain_shows_every_gate() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    let alone = stage.stand_in("alone").is_idle();
    // A client in a terminal of its own: a pane of another server.
    let outer = stage.site.world.root().join("outer");
    let attach = format!("env -u TMUX tmux -S '{}' attach -t =idle", stage.site.world.root().join("tm").display());
    let mut command = stage.site.world.command("tmux".as_ref());
    command.arg("-S").arg(&outer).args(["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "41", &attach]);
    command.env("TERM", "xterm-256color");
    assert!(command.status().unwrap().success());
    eventually("the client is attached", || {
        (stage.tmux(&["list-clients", "-F", "#{client_session}"]) == "idle").then_some(())
    });
    idle.shows("claude-2.1.329-idle");
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let last = stage.ticks(&authority, UNTIL_REAPED);
    assert_eq!(looked(&last, "idle").kept_by, Some(Gate::AttachedClient));
    assert_eq!(looked(&last, "idle").confidence, Confidence::High);
    assert!(!idle.has_ended() && alone.has_ended());

    let said = Said::from(stage.site.world.stopgate(&["reaper", "explain", "idle"])).ok().out;
    assert!(said.contains("outlook    stays: attached-client"), "{said}");
    assert!(said.contains("KEEPS   attached-client") && said.contains("passes  spawn-grace"), "{said}");
    let json = stage.site.world.stopgate_json(&["reaper", "explain", "idle", "--json"]);
    assert_eq!(json["gates"].as_array().unwrap().len(), 31, "{json}");
    assert_eq!(json["gates"][30]["value"], "idle prompt");
    Said::from(stage.site.world.stopgate(&["reaper", "explain", "alone"]))
        .refused(1, &["is over", "nothing to explain"]);
    let mut end = stage.site.world.command("tmux".as_ref());
    end.arg("-S").arg(&outer).arg("kill-server");
    assert!(end.status().unwrap().success());
}

#[test]
fn the_api_answers_and_bad_input_is_refused_by_name() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let get = |path: &str| authority.request("GET", path, &serde_json::Value::Null);
    assert_eq!(get(GetReaper::PATH).status, 200);
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&get(ReadReaperAudit::PATH).body).unwrap(),
        json!({"rows": []})
    );
    assert_eq!(get(&format!("{}?limit=many", ReadReaperAudit::PATH)).status, 200);
    assert_eq!(get(&format!("{}?harness=claude&session=nobody", ExplainReaper::PATH)).status, 404);
    assert_eq!(get(&format!("{}?harness=vim&session=nobody", ExplainReaper::PATH)).status, 400);
    for body in [json!({"switch": "on"}), json!({}), json!([])] {
        let answer = authority.request("POST", SetReaper::PATH, &body);
        assert_eq!(answer.status, 400, "{body}");
    }
    assert!(!status(&authority).enabled, "nothing of that was taken");
    let run = |arguments: &[&str]| Said::from(stage.site.world.stopgate(arguments));
    run(&["reaper", "enable", "--live"]).refused(2, &["no terminal to ask on", "--yes"]);
    run(&["reaper", "audit", "--limit", "0"]).refused(2, &["--limit"]);
    run(&["sessions", "end", "none", "--yes"]).refused(1, &["no session has the id none"]);

    // A torn or garbled switch is off.
    stage.enable(true);
    std::fs::write(stage.site.world.home.reaper_file(), "liv").unwrap();
    let status = stage.site.world.stopgate_json(&["reaper", "status", "--json"]);
    assert_eq!((&status["enabled"], &status["dry_run"]), (&json!(false), &json!(true)));
    // Off gets through without an authority.
    stage.enable(true);
    authority.kill();
    run(&["reaper", "disable"]).ok();
    assert_eq!(std::fs::read_to_string(stage.site.world.home.reaper_file()).unwrap(), "off\n");
}

#[test]
fn an_agent_may_not_turn_it_on_nor_end_a_session_and_the_operator_may() {
    let stage = Stage::new();
    let _authority = stage.site.world.authority();
    let agent = stage.site.claude();
    agent.starts("agent", "startup");
    let other = stage.stand_in("other").is_idle();
    agent.run("\"$BIN/stopgate\" reaper enable --live --yes").refused(2, &["refused", "the operator's"]);
    agent.run("\"$BIN/stopgate\" sessions end other --yes").refused(2, &["refused", "the operator's"]);
    assert!(!other.has_ended());
    stage.enable(true);
    agent.run("\"$BIN/stopgate\" reaper disable").ok();

    let run = |arguments: &[&str]| Said::from(stage.site.world.stopgate(arguments));
    run(&["sessions", "end", "other"]).refused(2, &["not ended", "--yes"]);
    let ended = run(&["sessions", "end", "other", "--yes", "--json"]).ok().json();
    assert!(ended["resume_command"].as_str().unwrap().ends_with("claude --resume other"), "{ended}");
    assert!(other.has_ended());
    assert_eq!(stage.row("other").end_reason.as_deref(), Some("ended-by-operator"));
    run(&["sessions", "end", "other", "--yes"]).refused(1, &["is over already"]);
}

#[test]
fn a_refusal_with_a_reason_disables_nothing_and_a_failure_without_one_does_until_the_operator_says_so() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    stage.ticks(&authority, UNTIL_PENDING - 1);
    // Somebody else writes: the command that takes the session up again cannot be written down.
    let other = rusqlite::Connection::open(stage.site.world.home.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = stage.tick(&authority);
    assert!(!idle.has_ended() && refused.tripped.is_none() && !refused.dry_run, "{refused:?}");

    other
        .execute_batch("INSERT INTO reaper_trips VALUES (1, 5, 'its process is still there after SIGKILL'); COMMIT")
        .unwrap();
    let tripped = stage.ticks(&authority, UNTIL_REAPED);
    assert!(!idle.has_ended() && tripped.enabled && tripped.dry_run, "{tripped:?}");
    assert!(stage.deeds("idle").contains(&WouldReap), "it rehearses");
    let said = Said::from(stage.site.world.stopgate(&["reaper", "status"])).ok().out;
    assert!(said.contains("TRIPPED") && said.contains("after SIGKILL") && said.contains("enable --live"), "{said}");
    stage.enable(true);
    let after = stage.ticks(&authority, UNTIL_REAPED + 1);
    assert!(idle.has_ended() && after.tripped.is_none(), "{after:?}");
}

/// The time of day is set ahead twice, a machine is suspended, and neither makes anybody idle; time that goes by does.
#[test]
fn a_clock_that_is_set_and_a_machine_that_is_suspended_make_nobody_idle() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    stage.enable(true);
    stage.pressure(CRITICAL);
    // Two looks two minutes apart: it has begun 4 minutes ago.
    stage.ticks(&authority, 2);
    for jump in [|stage: &Stage| stage.set_clock(60 * MINUTE), |stage: &Stage| stage.suspend(60 * MINUTE)] {
        for _ in 0..2 {
            jump(&stage);
            let status = stage.tick(&authority);
            assert!(!idle.has_ended(), "{status:?}");
            let session = looked(&status, "idle");
            assert_eq!((session.consecutive, session.idle_ms, session.reap_pending), (0, 0, false), "{session:?}");
        }
    }
    let json = stage.site.world.stopgate_json(&["reaper", "explain", "idle", "--json"]);
    let gates = json["gates"].as_array().unwrap();
    let keeps = |gate: &str| gates.iter().find(|reading| reading["gate"] == gate).unwrap()["keeps"].clone();
    assert_eq!(keeps("clock-settling"), json!(true), "{json}");
    // Its prompt and its start are as old as they are: the suspended hours went by, those that were only set did not.
    assert_eq!((keeps("spawn-grace"), keeps("recent-prompt")), (json!(false), json!(false)), "{json}");
    stage.set_clock(-300 * MINUTE);
    assert_eq!(looked(&stage.tick(&authority), "idle").kept_by, Some(Gate::ClockSettling), "set back");
    assert_eq!(stage.deeds("idle"), []);
    stage.look_after(&authority, 32 * MINUTE);
    stage.ticks(&authority, UNTIL_REAPED);
    assert!(idle.has_ended(), "by the time that has gone by");
}

/// Through a restart, too: what was set while nobody looked.
#[test]
fn a_clock_that_was_set_between_two_authorities_keeps() {
    let stage = Stage::new();
    let first = stage.site.world.authority();
    let idle = stage.stand_in("idle").is_idle();
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &first);
    let pending = stage.ticks(&first, UNTIL_PENDING - 1);
    assert!(looked(&pending, "idle").reap_pending, "{pending:?}");
    first.kill();
    stage.set_clock(60 * MINUTE);
    let second = stage.site.world.authority();
    eventually("it looks", || status(&second).last_tick_at_ms);
    let kept = stage.tick(&second);
    assert!(!idle.has_ended());
    assert_eq!(looked(&kept, "idle").kept_by, Some(Gate::ClockSettling), "{kept:?}");
}

/// A shell with job control in a pane; what a person types into it.
struct Shell<'a>(&'a Stage, String);

impl<'a> Shell<'a> {
    fn open(stage: &'a Stage, name: &str) -> Self {
        let line = "exec env PS1='$ ' bash --norc --noprofile -i";
        let command = ["new-session", "-d", "-x", "120", "-y", "40", "-s", name, "-P", "-F", "#{pane_id}", line];
        let pane = stage.tmux(&command);
        eventually("the shell asks", || stage.tmux(&["capture-pane", "-p", "-t", &pane]).contains('$').then_some(()));
        Self(stage, pane)
    }

    fn types(&self, keys: &[&str]) {
        self.0.tmux(&[&["send-keys", "-t", &self.1], keys].concat());
    }
}

/// A stand-in that a person has started in a shell, and that shell.
fn in_shell<'a>(stage: &'a Stage, id: &str, behind: &str) -> (StandIn<'a>, Shell<'a>) {
    let shell = Shell::open(stage, id);
    let mut stand_in = StandIn::prepare(stage, id, "claude");
    shell.types(&[&format!("{}{behind}", stand_in.line("")), "Enter"]);
    stand_in.pane.clone_from(&shell.1);
    (stand_in.is_idle(), shell)
}

/// Whoever is not in front of its terminal, or stands still, is kept, and so is a pane that shows what is not the client's.
#[test]
fn a_session_that_stands_still_or_is_not_in_front_of_its_terminal_is_kept() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    let (in_front, _) = in_shell(&stage, "in-front", "");
    let (stopped, keys) = in_shell(&stage, "stopped", "");
    let (behind, _) = in_shell(&stage, "behind", " &");
    let (late, late_keys) = in_shell(&stage, "late", "");
    let idle = |id: &str| stage.stand_in(id).is_idle();
    let (traced, half_typed) = (idle("traced"), idle("half-typed"));
    let _tracer = stopgate_tests::process::trace(traced.pid());
    half_typed.shows_text(&format!("{}\n$ git sta", screen("claude-2.1.329-idle").trim_end()));
    // As Ctrl-Z does, and a line is typed below what the client has drawn.
    let halt = |stand_in: &StandIn<'_>, keys: &Shell<'_>| {
        keys.types(&["C-z"]);
        eventually("it stands still", || (stopgate_tests::process::state(stand_in.pid()) == Some('T')).then_some(()));
        keys.types(&["git", "Space", "sta"]);
    };
    halt(&stopped, &keys);
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let announced = stage.ticks(&authority, UNTIL_PENDING - 1);
    assert!(looked(&announced, "late").reap_pending, "{announced:?}");
    halt(&late, &late_keys);
    let last = stage.ticks(&authority, 4);
    for (kept, gate) in [
        (&stopped, Gate::ProcessStopped),
        (&late, Gate::ProcessStopped),
        (&behind, Gate::ForeignForeground),
        (&traced, Gate::ProcessTraced),
        (&half_typed, Gate::ForeignLines),
    ] {
        assert!(!kept.has_ended(), "{}", kept.id);
        assert_eq!(looked(&last, &kept.id).kept_by, Some(gate), "{}", kept.id);
        let explained = Said::from(stage.site.world.stopgate(&["reaper", "explain", &kept.id])).ok().out;
        assert!(explained.contains(&format!("stays: {}", gate.name())), "{explained}");
        assert!(stage.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]).contains(&kept.pane));
    }
    assert_eq!(stage.deeds("late"), [ReapPending, ReapAborted]);
    assert!(in_front.has_ended(), "a shell that waits for the harness is no reason: {last:?}");
}

/// What is in front of the terminal changes between the look and the signal: tmux itself does that as soon as the pane was
/// read.
#[test]
fn a_session_that_stands_still_in_the_last_moment_is_not_ended() {
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    // Below another program, which says nothing of it: what tmux itself has started it lets go on at once.
    let command = ["new-session", "-x", "120", "-y", "40", "-s", "late"];
    let late = stage.stand_in_pane("late", "claude", &command, "sh -c '\"$@\"; read line' sh").is_idle();
    let control = stage.stand_in("control").is_idle();
    stage.enable(true);
    stage.pressure(CRITICAL);
    grown_up(&stage, &authority);
    let pending = stage.ticks(&authority, UNTIL_PENDING - 1);
    assert!(pending.sessions.iter().all(|session| session.reap_pending), "{pending:?}");
    // Whoever reads the pane waits for it.
    let halt = format!("run-shell 'kill -STOP {}'", late.pid());
    stage.tmux(&["set-hook", "-g", "after-capture-pane", &halt]);
    stage.tick(&authority);
    assert!(!late.has_ended() && control.has_ended(), "{:?}", stage.deeds("late"));
    assert_eq!(stage.deeds("late"), [ReapPending, ReapRefused]);
    let refused = stage.audit().into_iter().find(|row| row.event == ReapRefused).unwrap();
    assert_eq!(refused.kept_by.as_deref(), Some("not-in-front"));
}
