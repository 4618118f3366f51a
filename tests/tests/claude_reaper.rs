//! The reaper and the real Claude Code client in real tmux panes, against a scripted model: an idle one is ended and
//! can be taken up again with the printed command; one at work or at a question never is.
//!
//! Needs the client (`STOPGATE_TEST_CLAUDE`), but neither a network nor a key; without it these tests say so and
//! pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::SessionRow;
use stopgate_reaper::gates::Gate;
use stopgate_reaper::report::ReaperAuditEvent::{ReapPending, Reaped, Reaping};
use stopgate_tests::build::Said;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{LOOPBACK_UP, namespace, real_claude};
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::process::has_ended;
use stopgate_tests::reaper::{CRITICAL, MINUTE, Stage, looked};
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::binary;

/// A stage with real clients on it.
pub(crate) struct Clients {
    pub(crate) stage: Stage,
    pub(crate) home: PathBuf,
}

impl Clients {
    pub(crate) fn new() -> Option<Self> {
        let claude = real_claude()?;
        let stage = Stage::new();
        let root = stage.site.world.root();
        let home = root.join("claude home");
        std::fs::create_dir_all(home.join("tmp")).unwrap();
        std::fs::create_dir(root.join("bin")).unwrap();
        symlink(claude, root.join("bin/claude")).unwrap();
        hooks(&stage.site.checkout);
        // What a person has answered once: theme, trust, key.
        let project = stage.site.top().to_str().unwrap();
        let known = json!({
            "hasCompletedOnboarding": true, "theme": "dark",
            "projects": {project: {"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
            "customApiKeyResponses": {"approved": ["test-key"], "rejected": []},
        });
        std::fs::write(home.join(".claude.json"), known.to_string()).unwrap();
        Some(Self { stage, home })
    }

    /// A tmux session in which a shell runs `line` beside a model with this script; its pane.
    pub(crate) fn start(&self, name: &str, turns: impl IntoIterator<Item = Turn>, line: &str) -> String {
        let root = self.stage.site.world.root();
        let script = root.join(format!("{name}.script"));
        let turns = Script { turns: turns.into_iter().collect(), ..Script::default() };
        std::fs::write(&script, serde_json::to_vec(&turns).unwrap()).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let environment = [
            format!("HOME={}", path(&self.home)),
            format!("TMPDIR={}", path(&self.home.join("tmp"))),
            format!("CLAUDE_CODE_TMPDIR={}", path(&self.home.join("tmp"))),
            format!("PATH={}:/usr/local/bin:/usr/bin:/bin", path(&root.join("bin"))),
            "TERM=xterm-256color".to_owned(),
            "LANG=C.UTF-8".to_owned(),
            "ANTHROPIC_API_KEY=test-key".to_owned(),
            "NO_PROXY=127.0.0.1,localhost".to_owned(),
            // Where there is no namespace, whatever is not for the model ends at a closed port.
            "HTTPS_PROXY=http://127.0.0.1:9".to_owned(),
            "HTTP_PROXY=http://127.0.0.1:9".to_owned(),
            "DISABLE_TELEMETRY=1".to_owned(),
            "DISABLE_ERROR_REPORTING=1".to_owned(),
            "DISABLE_AUTOUPDATER=1".to_owned(),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1".to_owned(),
        ];
        let mut command: Vec<String> =
            ["new-session", "-d", "-P", "-F", "#{pane_id}", "-x", "120", "-y", "40"].map(str::to_owned).to_vec();
        command.extend(["-s".to_owned(), name.to_owned(), "-c".to_owned(), path(self.stage.site.top())]);
        command.extend(["env".to_owned()].into_iter().chain(environment));
        if let Some(flag) = namespace() {
            command.extend(["unshare", flag, "sh", "-c", LOOPBACK_UP].map(str::to_owned));
        }
        command.extend([path(&binary("with-mock")), path(&script), "sh".to_owned(), "-c".to_owned(), line.to_owned()]);
        self.stage.tmux(&command.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn shows(&self, pane: &str) -> String {
        self.stage.tmux(&["capture-pane", "-p", "-t", pane])
    }

    /// Waits until the pane shows `text`.
    pub(crate) fn wait_for(&self, pane: &str, text: &str) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(40);
        while !self.shows(pane).contains(text) {
            assert!(std::time::Instant::now() < until, "no {text:?} in:\n{}", self.shows(pane));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// Types a prompt, once the client is there.
    pub(crate) fn prompt(&self, pane: &str, text: &str) {
        self.wait_for(pane, "❯");
        self.stage.tmux(&["send-keys", "-t", pane, "-l", text]);
        self.wait_for(pane, text);
        self.stage.tmux(&["send-keys", "-t", pane, "Enter"]);
    }

    /// The session in `pane`, once it is in `state`.
    pub(crate) fn session(&self, pane: &str, state: SessionState) -> SessionRow {
        eventually("the session is in its state", || {
            let rows = self.stage.site.world.stopgate_json(&["sessions", "--json"]);
            let rows: Vec<SessionRow> = serde_json::from_value(rows).unwrap();
            rows.into_iter().find(|row| row.tmux.as_ref().is_some_and(|place| place.pane == pane) && row.state == state)
        })
    }
}

/// All hooks that tell of a session, in the project-local settings.
fn hooks(checkout: &Checkout) {
    let entry = |hook: &str| json!({"type": "command", "command": binary(hook), "args": ["claude"], "timeout": 10});
    let recorder = json!([{"hooks": [entry("session-start-recorder")]}]);
    let settings = json!({"hooks": {
        "Stop": [{"hooks": [entry("stop-gate-router"), entry("build-stop-hook")]}],
        "SessionStart": recorder, "SessionEnd": recorder, "UserPromptSubmit": recorder,
        "PermissionRequest": recorder,
    }});
    checkout.write(".claude/settings.local.json", &settings.to_string());
}

fn pid(row: &SessionRow) -> u32 {
    row.harness_process.as_ref().unwrap().pid
}

#[test]
fn idle_is_ended_and_resumed_at_work_and_at_a_question_never() {
    let Some(clients) = Clients::new() else { return };
    let stage = &clients.stage;
    let authority = stage.site.world.authority();
    let client = "claude --permission-mode default";
    let said = "The parser is in; I ran Bash and Read.";
    let idle = clients.start("idle", [Turn::text(said)], client);
    let working = clients.start("working", [Turn::text("late").after(std::time::Duration::from_mins(10))], client);
    let asking = clients.start("asking", [Turn::bash("touch asked")], client);
    clients.prompt(&idle, "write the parser");
    clients.prompt(&working, "think about it");
    clients.prompt(&asking, "touch it");
    clients.wait_for(&idle, said);
    clients.wait_for(&asking, "Do you want to proceed?");
    let idle_row = clients.session(&idle, SessionState::Idle);
    let working_row = clients.session(&working, SessionState::Working);
    let asking_row = clients.session(&asking, SessionState::Waiting);
    assert_eq!(asking_row.waits_for.as_deref(), Some("permission for Bash"));

    stage.enable(true);
    stage.pressure(CRITICAL);
    // The notice of how long the turn took may still come.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mut last = stage.look_after(&authority, 40 * MINUTE);
    for _ in 0..14 {
        last = stage.tick(&authority);
        if has_ended(pid(&idle_row)) {
            break;
        }
    }
    assert!(has_ended(pid(&idle_row)), "{last:?}\n{}", clients.shows(&idle));
    // All other reasons but what the screens and transcripts tell run out.
    last = stage.look_after(&authority, 9 * 60 * MINUTE);
    for _ in 0..12 {
        last = stage.tick(&authority);
    }
    assert!(!has_ended(pid(&working_row)) && !has_ended(pid(&asking_row)), "{last:?}");
    // Its spinner turns, which takes a tenth of a core.
    let by = looked(&last, &working_row.session_id).kept_by;
    assert!(matches!(by, Some(Gate::ScreenBusy | Gate::MainProcessActive)), "{by:?}");
    let by = looked(&last, &asking_row.session_id).kept_by;
    assert!(matches!(by, Some(Gate::ScreenAsking | Gate::MainProcessActive)), "{by:?}");

    let id = idle_row.session_id.as_str();
    assert_eq!(stage.deeds(id), [ReapPending, Reaping, Reaped]);
    let ended = stage.row(id);
    assert_eq!((ended.state, ended.end_reason.as_deref()), (SessionState::Ended, Some("reaped-idle")));
    let mut command = stage.site.world.command(&binary("stopgate"));
    // The person who resumes has the home that the client has.
    command.args(["resume", id]).env("HOME", &clients.home);
    let resume = Said::from(finish(command, Stdin::from(""))).ok().out.trim().to_owned();
    assert!(resume.ends_with(&format!("claude --resume {id}")), "{resume}");
    let again = clients.start("again", [Turn::text("We had written the parser.")], &resume);
    clients.wait_for(&again, said);
    // Not starting any more, but waiting for a prompt.
    stage.pass(2 * MINUTE);
    let resumed = clients.session(&again, SessionState::Idle);
    assert_eq!((resumed.session_id.as_str(), resumed.started_at_ms), (id, idle_row.started_at_ms));
    clients.prompt(&again, "what had we done?");
    clients.wait_for(&again, "We had written the parser.");
}
