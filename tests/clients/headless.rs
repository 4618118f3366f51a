//! Without a terminal: a session in `claude -p` or `codex exec`, and either of them as the judge.

use serde_json::json;
use stopgate_core::decision::Decision;
use stopgate_gate::RuleId;
use stopgate_tests::claude_driver::ClaudeSession;
use stopgate_tests::codex_driver::CodexSession;
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::EXCUSE;

use crate::client::Client;
use crate::live::Live;
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        id: "headless",
        meaning: "`claude -p`, `codex exec`: an excuse is sent back once, as at a terminal",
        run: headless,
    },
    Scenario {
        id: "judge",
        meaning: "`claude -p`, `codex exec` as `[judge] command`: its answer decides, and its own hooks record nothing",
        run: judge,
    },
];

fn headless(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let top = site.checkout.top.clone();
    let program = client.program().unwrap();
    let (requests, feedback) = if client.is_codex() {
        let turns = vec![EXCUSE.to_owned(), EXCUSE.to_owned()];
        let session = CodexSession { codex: program, project: top, home: site.person.dir(), turns, env: Vec::new() };
        let summary = session.run(env!("CARGO_BIN_EXE_drive-codex"));
        assert_eq!(summary.exit_code, Some(0), "{summary:#?}");
        (summary.requests, summary.feedback)
    } else {
        let session = ClaudeSession::new(top).client(program).home(site.person.dir());
        let session = session.default_turn(Turn::text(EXCUSE)).prompt("go on with the plan");
        let summary = session.run(env!("CARGO_BIN_EXE_drive-claude")).unwrap();
        assert_eq!((summary.exit_code, summary.timed_out), (Some(0), false), "{summary:#?}");
        (summary.main_requests, summary.feedback().into_iter().map(str::to_owned).collect())
    };
    assert_eq!((requests, feedback.len()), (2, 1), "{feedback:?}");
    assert!(feedback[0].contains("docs/plan.md: write the parser"), "{feedback:?}");
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

fn judge(client: Client) -> Outcome {
    let site = Site::bare(client);
    site.init(&[]);
    let home = &site.person.world.home;
    assert!(site.person.world.stopgate(&["authority", "stop"]).status.success());
    std::fs::write(home.root().join("config.toml"), asks(client)).unwrap();
    let answer = json!({"decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT", "plan": 1, "commit": null,
                        "rationale": "WHAT-THE-JUDGE-THINKS"});
    let script = Script { default_turn: Turn::text(answer.to_string()), ..Script::default() };
    // The authority runs where the model is that it asks.
    let authority = Live::start(&site, "authority", &script, &site.stopgate_line("authority run"));
    eventually("the authority answers", || {
        site.person.world.stopgate(&["authority", "status"]).status.success().then_some(())
    });

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
