//! Without a terminal: a session in `claude -p` or `codex exec`, and either of them as the judge.

use std::time::Duration;

use serde_json::json;
use stopgate_core::decision::Decision;
use stopgate_gate::RuleId;
use stopgate_protocol::GateLogRow;
use stopgate_tests::claude_driver::{ClaudeSession, Summary};
use stopgate_tests::codex_driver::{CodexSession, CodexSummary};
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, PLAIN};

use crate::client::Client;
use crate::live::{Live, reminders};
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 4] = [
    Scenario {
        id: "headless",
        meaning: "`claude -p`, `codex exec`: an excuse is sent back once, as at a terminal",
        run: headless,
    },
    Scenario {
        id: "asked",
        meaning: "`claude -p`, `codex exec`: a question about the plan, a part of it and plan mode are let go with the answer \
                  as it is; the whole plan is sent back once, and goes on",
        run: asked,
    },
    Scenario {
        id: "judge",
        meaning: "`claude -p`, `codex exec` as `[judge] command`: its answer decides, and its own hooks record nothing",
        run: judge,
    },
    Scenario {
        id: "judge-waits",
        meaning: "the same in enforce: without `judge.wait_ms` there is no time for an answer; with it the client says what \
                  is waited for, and the answer holds the stop; Esc ends the wait",
        run: judge_waits,
    },
];

/// Runs `codex exec` to its end.
fn exec<const N: usize>(site: &Site, prompt: &str, turns: [Turn; N]) -> CodexSummary {
    let session = CodexSession {
        codex: site.client.program().unwrap(),
        project: site.checkout.top.clone(),
        home: site.person.dir(),
        prompt: prompt.to_owned(),
        turns: turns.to_vec(),
        env: Vec::new(),
    };
    let summary = session.run(env!("CARGO_BIN_EXE_drive-codex"));
    assert_eq!(summary.exit_code, Some(0), "{summary:#?}");
    summary
}

/// Runs `claude -p` to its end.
fn print<const N: usize>(site: &Site, prompt: &str, turns: [Turn; N], arguments: &[&str]) -> Summary {
    let session = ClaudeSession::new(&site.checkout.top).client(site.client.program().unwrap()).home(site.person.dir());
    let session = arguments.iter().fold(session, |session, argument| session.arg(*argument));
    let summary = session.turns(turns).prompt(prompt).run(env!("CARGO_BIN_EXE_drive-claude")).unwrap();
    assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
    summary
}

/// What a script that starts the client is told, how often the model was asked, and what hooks said to it.
struct Ran {
    answer: String,
    requests: usize,
    feedback: Vec<String>,
}

fn ran<const N: usize>(site: &Site, prompt: &str, turns: [Turn; N], arguments: &[&str]) -> Ran {
    if site.client.is_codex() {
        let CodexSummary { answer, requests, feedback, .. } = exec(site, prompt, turns);
        return Ran { answer, requests, feedback };
    }
    let summary = print(site, prompt, turns, arguments);
    Ran {
        answer: summary.last_result().unwrap().text.clone(),
        requests: summary.main_requests,
        feedback: summary.feedback().into_iter().map(str::to_owned).collect(),
    }
}

/// Ticks the plan's first open step, and commits that.
fn ticks(client: Client) -> Turn {
    let line = "sed -i 's/- \\[ \\] write the parser/- [x] write the parser/' docs/plan.md && git add -A && \
                git commit -q -m parser";
    if client.is_codex() {
        Turn::tool("exec_command", json!({ "cmd": line, "yield_time_ms": 10_000 }))
    } else {
        Turn::bash(line)
    }
}

/// An answer to a question about the plan, as an agent gives it.
const STATUS: &str = "The lexer is done. Remaining: write the parser, and write the tests. I have changed nothing. I can \
                      start with the parser next.";

/// What the gate has read of the last of `count` stops, for a prompt of this class. What the message decides needs no look.
fn has_read(site: &Site, count: usize, class: &str) {
    let verdicts = site.verdicts(count);
    let explained = site.stopgate(&["explain", &verdicts[count - 1].event_id, "--json"]);
    let inputs = &explained["recording"]["inputs"];
    let read = &inputs["turn"]["asked"]["class"];
    assert!(read.is_null() || read == class, "{class}: {inputs:#}");
    let looks = !explained["recording"]["answers"]["facts"].is_null();
    assert!(!looks || inputs["turn_end"]["headless"] == true, "{class}: {inputs:#}");
}

fn asked(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let let_go = |what: &str, ran: &Ran, said: &str| {
        assert_eq!(
            (ran.feedback.as_slice(), ran.answer.trim_end()),
            (&[][..], said),
            "{what}: {} requests",
            ran.requests
        );
    };
    let question =
        ran(&site, "Which steps of docs/plan.md are open? Just the status, change nothing.", [Turn::text(STATUS)], &[]);
    has_read(&site, 1, "question");
    let_go("question", &question, STATUS);
    assert_eq!(question.requests, 1);

    let done = "The parser is written and committed. The tests of the plan are left, as you said.";
    let narrow = ran(
        &site,
        "Only do the step \"write the parser\" of docs/plan.md and commit it, nothing else.",
        [ticks(client), Turn::text(done)],
        &[],
    );
    has_read(&site, 2, "narrow");
    let_go("narrow", &narrow, done);

    if !client.is_codex() {
        let said = "The plan is ready. I will write the tests in a fresh session, since I am low on context.";
        let planning = ran(&site, "Work through docs/plan.md.", [Turn::text(said)], &["--permission-mode", "plan"]);
        let_go("plan mode", &planning, said);
    }

    site.checkout.write("docs/plan.md", "# Plan\n\n- [x] lexer\n- [ ] write the parser\n- [ ] write the tests\n");
    site.checkout.commit("plan again");
    let goes_on = "The tests are written, too; all steps are ticked.";
    let executing = ran(
        &site,
        "Execute docs/plan.md until all of its steps are done.",
        [ticks(client), Turn::text(EXCUSE), Turn::text(goes_on)],
        &[],
    );
    has_read(&site, if client.is_codex() { 3 } else { 4 }, "execute");
    assert_eq!((executing.feedback.len(), executing.answer.trim_end()), (1, goes_on), "{:?}", executing.feedback);
    assert!(executing.feedback[0].contains("docs/plan.md: write the tests"), "{:?}", executing.feedback);

    let verdicts = site.verdicts(if client.is_codex() { 3 } else { 4 });
    let (held, others) = verdicts.split_last().unwrap();
    assert!(held.blocked && others.iter().all(|row| !row.blocked), "{verdicts:#?}");
    if client.is_codex() {
        return Outcome::works(["`codex exec` has no plan mode"]);
    }
    assert_eq!(others[2].short_circuit.as_deref(), Some("plan-mode"), "{verdicts:#?}");
    Outcome::works([])
}

fn headless(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let (requests, feedback) = if client.is_codex() {
        let summary = exec(&site, "go on with the plan", [Turn::text(EXCUSE), Turn::text(EXCUSE)]);
        (summary.requests, summary.feedback)
    } else {
        let summary = print(&site, "go on with the plan", [Turn::text(EXCUSE), Turn::text(EXCUSE)], &[]);
        (summary.main_requests, summary.feedback().into_iter().map(str::to_owned).collect())
    };
    assert_eq!((requests, feedback.len()), (2, 1), "{feedback:?}");
    assert!(feedback[0].contains("docs/plan.md: write the parser"), "{feedback:?}");
    // Both clients say that nobody reads along, and the prompt asked for a job: so it was held.
    let verdicts = site.verdicts(1);
    let explained = site.stopgate(&["explain", &verdicts.last().unwrap().event_id, "--json"]);
    let inputs = &explained["recording"]["inputs"];
    assert_eq!((&inputs["turn_end"]["headless"], &inputs["turn"]["asked"]["class"]), (&json!(true), &json!("execute")));
    let session = site.session();
    assert!(session.ended_at_ms.is_some() && session.tmux.is_none(), "{session:#?}");
    Outcome::works([])
}

/// An excuse and a reason at once: the rules cannot tell.
const BOTH: &str = "I'm running low on context, so let's continue with the parser in a fresh session. \
                    Which of the two grammars should it follow, the old one or the new one?";

/// The lines of the configuration that have this client asked. The model is where the authority finds it.
fn asks(client: Client) -> String {
    let (command, pass) = if client.is_codex() {
        let line = format!("exec {}", Client::own_process("exec --skip-git-repo-check", "-s danger-full-access"));
        (json!(["sh", "-c", line]), json!(["MOCK_URL", "MOCK_API_KEY", "NO_PROXY"]))
    } else {
        let pass = ["ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "NO_PROXY", "DISABLE_AUTOUPDATER", "IS_SANDBOX"];
        (json!(["claude", "-p", "--model", "haiku"]), json!(pass))
    };
    format!("[judge]\nkind = \"command\"\ncommand = {command}\npass_env = {pass}\ntimeout_ms = 60000\n")
}

/// What the judge answers.
fn opinion() -> Turn {
    let answer = json!({"decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT", "plan": 1, "commit": null,
                        "rationale": "WHAT-THE-JUDGE-THINKS"});
    Turn::text(answer.to_string())
}

/// Has this client asked, with `more` in its configuration.
fn configure(site: &Site, more: &str) {
    std::fs::write(site.person.world.home.root().join("config.toml"), asks(site.client) + more).unwrap();
}

/// Starts the authority anew where the model is that it asks.
fn authority<'a>(site: &'a Site, script: &Script) -> Live<'a> {
    assert!(site.person.world.stopgate(&["authority", "stop"]).status.success());
    let authority = Live::start(site, site.client, "authority", script, &site.stopgate_line("authority run"));
    eventually("the authority answers", || {
        site.person.world.stopgate(&["authority", "status"]).status.success().then_some(())
    });
    authority
}

fn judge(client: Client) -> Outcome {
    let site = Site::bare(client);
    site.init(&[]);
    configure(&site, "");
    let authority = authority(&site, &Script { default_turn: opinion(), ..Script::default() });

    // In shadow nobody waits: a client takes longer to start than a hook in enforce waits.
    let live = site.live("session", Script { turns: vec![Turn::text(BOTH)], ..Script::default() });
    live.turn("go on with the plan", 1);
    let verdicts = site.verdicts(1);
    assert_eq!(verdicts.len(), 1, "{verdicts:#?}\n{}", authority.screen());
    let verdict = (verdicts[0].decision, verdicts[0].rule, verdicts[0].would_block, verdicts[0].blocked);
    let wanted = (Some(Decision::Continue), Some(RuleId::PlanNextStep), true, false);
    assert_eq!(verdict, wanted, "{verdicts:#?}\n{:#?}", authority.asked());
    let explained = site.stopgate(&["explain", &verdicts[0].event_id, "--json"]).to_string();
    assert!(explained.contains("WHAT-THE-JUDGE-THINKS"), "{explained}");
    assert!(
        authority.asked().iter().any(|asked| asked.brings("Which of the two grammars")),
        "{:#?}",
        authority.asked()
    );
    live.quits();
    assert_eq!(site.sessions().len(), 1, "the judge is no session");
    Outcome::works([])
}

fn judge_waits(client: Client) -> Outcome {
    // What the client shows while the judge thinks.
    let judging = if client.is_codex() { "Running hooks" } else { "stopgate: judging this stop" };
    let site = Site::bare(client);
    site.init(&[]);
    configure(&site, "");
    let thinks = |seconds: u64| opinion().after(Duration::from_secs(seconds));
    let script = Script { turns: vec![thinks(12), thinks(4), thinks(20)], ..Script::default() };
    let authority = authority(&site, &script);
    site.enforce();
    let model = Script { turns: vec![Turn::text(BOTH)], default_turn: Turn::text(PLAIN), ..Script::default() };
    let told = |row: &GateLogRow| format!("{} ms, blocked: {}, {:?}", row.latency_ms, row.blocked, row.fail_open);

    // Without a word of the operator's there is no time for an answer, not even with the patience of tests (8 s).
    let live = site.live("hasty", model.clone());
    assert_eq!(reminders(&live.turn("Execute docs/plan.md.", 1)), Vec::<String>::new());
    let verdict = site.verdicts(1).remove(0);
    assert_eq!((verdict.blocked, verdict.fail_open.as_deref()), (false, Some("timeout")), "{verdict:#?}");
    crate::say(&format!("{}: without judge.wait_ms: {}", client.title(), told(&verdict)));
    live.quits();

    configure(&site, "wait_ms = 50000\n");
    site.init(&[]);
    if let Some(daemon) = &site.daemon {
        // It reads its hooks when it starts.
        daemon.stop();
    }
    let live = site.live("patient", model);
    live.types("Execute docs/plan.md.");
    live.shows(judging);
    let asked = live.turn_ends(2);
    assert!(
        reminders(&asked).len() == 1 && reminders(&asked)[0].contains("docs/plan.md: write the parser"),
        "{asked:#?}"
    );
    let verdict = site.verdicts(2).remove(1);
    assert!(verdict.blocked && verdict.latency_ms > 3_000, "{verdict:#?}");
    crate::say(&format!("{}: with judge.wait_ms: {}", client.title(), told(&verdict)));
    assert_eq!(authority.asked().iter().filter(|asked| asked.brings("Which of the two grammars")).count(), 2);
    live.quits();

    let live = site
        .live("ended", Script { turns: vec![Turn::text(BOTH)], default_turn: Turn::text(PLAIN), ..Script::default() });
    live.types("Execute docs/plan.md.");
    live.shows(judging);
    live.presses(&["Escape"], "the wait is over", || !live.screen().contains(judging));
    let asked = live.rests();
    assert_eq!((asked.len(), reminders(&asked).len()), (1, 0), "{asked:#?}");
    let verdict = site.verdicts(3).remove(2);
    assert!(!verdict.blocked, "{verdict:#?}");
    live.quits();
    if client.is_codex() {
        return Outcome::works(["the client says `Running hooks`: another hook has the same event"]);
    }
    Outcome::works([])
}
