//! What every session does: it starts, stops, is held once, gets its way, and says why it is right.

use std::time::Duration;

use serde_json::json;
use stopgate_core::decision::Decision;
use stopgate_core::session::state::SessionState;
use stopgate_gate::RuleId;
use stopgate_reaper::screen::Screen;
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, PLAIN};

use crate::client::Client;
use crate::live::reminders;
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario {
        id: "start",
        meaning: "a session is on record, with its process, place and commit, before its first answer",
        run: start,
    },
    Scenario { id: "stop", meaning: "a turn that ends without an excuse ends: the model is asked once", run: stop },
    Scenario {
        id: "block-once",
        meaning: "an excuse with open work on the plan is sent back once; the same excuse again is let go",
        run: block_once,
    },
    Scenario {
        id: "contest",
        meaning: "`stopgate gate contest` in the agent's shell lets its next stop go, and only that one",
        run: contest,
    },
    Scenario {
        id: "permission",
        meaning: "a session that asks for a permission is `waiting`, with the tool's name, and the reaper reads a question",
        run: permission,
    },
    Scenario {
        id: "interrupt",
        meaning: "a turn that the person interrupts with Esc: the session is `idle`, and the reaper reads an empty prompt",
        run: interrupt,
    },
];

/// A model that says this, in order.
pub(crate) fn says<const N: usize>(turns: [Turn; N]) -> Script {
    Script { turns: turns.to_vec(), ..Script::default() }
}

fn start(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("start", says([Turn::text(PLAIN)]));
    let at_launch = !client.is_codex();
    if at_launch {
        eventually("the session is on record", || (!site.sessions().is_empty()).then_some(()));
        assert_eq!(live.asked().len(), 0);
    }
    live.turn("go on with the plan", 1);
    let session = site.session();
    assert_eq!(session.harness, client.harness());
    assert_eq!(session.harness_process.as_ref().unwrap().command, client.command());
    // Where sessions share a process, that has the terminal of whichever came first.
    let pane = Some(live.pane.as_str()).filter(|_| site.daemon.is_none());
    assert_eq!(session.tmux.as_ref().map(|place| place.pane.as_str()), pane);
    assert_eq!(session.start_cwd.as_deref(), Some(site.checkout.top.as_path()));
    assert_eq!(session.head_at_start, Some(site.checkout.git(&["rev-parse", "HEAD"])));
    assert_eq!(session.source.as_deref(), Some("startup"));
    live.quits();
    if let Some(daemon) = &site.daemon {
        assert_eq!((site.session().ended_at_ms, site.session().state), (None, SessionState::Idle));
        daemon.stop();
        assert!(site.session().ended_at_ms.is_some());
        return Outcome::works([
            "on record with the first prompt: the client reports no start before that",
            "`/quit` only disconnects: the daemon reports the end when it lets go of the session, a minute later, or stops",
        ]);
    }
    assert!(site.session().ended_at_ms.is_some());
    if at_launch {
        Outcome::works(["on record as soon as the client is on the screen, before the first prompt"])
    } else {
        Outcome::works(["on record with the first prompt: the client reports no start before that"])
    }
}

fn stop(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("stop", says([Turn::text(PLAIN)]));
    let asked = live.turn("go on with the plan", 1);
    assert_eq!(reminders(&asked), Vec::<String>::new());
    assert_eq!(live.quits(), 1);
    let verdicts = site.verdicts(1);
    assert_eq!(verdicts.len(), 1, "{verdicts:#?}");
    assert_eq!((verdicts[0].decision, verdicts[0].blocked), (Some(Decision::Allow), false));
    Outcome::works([])
}

fn block_once(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live =
        site.live("block", says([Turn::text(EXCUSE), Turn::text(EXCUSE), Turn::text(EXCUSE), Turn::text(PLAIN)]));
    let asked = live.turn("go on with the plan", 2);
    let told = reminders(&asked);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("docs/plan.md: write the parser"), "{told:?}");
    // The next prompt is another turn, with a stop of its own.
    let asked = live.turn("go on", 2);
    assert_eq!(reminders(&asked).len(), 1);
    assert_eq!(live.quits(), 4);
    let verdicts: Vec<_> = site.verdicts(2).into_iter().map(|row| (row.decision, row.rule, row.blocked)).collect();
    assert_eq!(verdicts, [(Some(Decision::Continue), Some(RuleId::PlanNextStep), true); 2]);
    Outcome::works([])
}

fn contest(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let why = site.stopgate_line("gate contest 'the grammar is not decided'");
    let live = site.live("contest", says([Turn::bash(why), Turn::text(EXCUSE), Turn::text(EXCUSE), Turn::text(PLAIN)]));
    let asked = live.turn("go on with the plan", 2);
    assert!(asked[1].brings("the next stop of this session goes through"), "{asked:#?}");
    assert_eq!(reminders(&asked), Vec::<String>::new());
    assert_eq!(reminders(&live.turn("go on", 2)).len(), 1);
    assert_eq!(live.quits(), 4);
    let verdicts = site.verdicts(2);
    assert_eq!(verdicts[0].short_circuit.as_deref(), Some("contested"), "{verdicts:#?}");
    assert!(verdicts[1].blocked, "{verdicts:#?}");
    Outcome::works([])
}

fn permission(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let asks = if client.is_codex() {
        let input = json!({ "cmd": "touch /asked", "sandbox_permissions": "require_escalated",
                            "justification": "May it be touched?" });
        Turn::tool("exec_command", input)
    } else {
        Turn::bash("touch /asked")
    };
    let live = site.asking("permission", says([asks]));
    live.types("go on with the plan");
    let session = eventually("the session waits", || {
        site.sessions().into_iter().find(|session| session.state == SessionState::Waiting)
    });
    assert_eq!(session.waits_for.as_deref(), Some("permission for Bash"));
    live.shows(if client.is_codex() { "May it be touched?" } else { "Do you want to proceed?" });
    live.until("a question, as the reaper reads it", || (live.read() == Screen::Asking).then_some(()));
    assert_eq!(site.verdicts(0).len(), 0);
    live.presses(&["Escape"], "an empty prompt, as the reaper reads it", || live.read() == Screen::Idle);
    live.is_quiet();
    if client.is_codex() {
        eventually("the person's no ends the turn", || (site.session().state == SessionState::Idle).then_some(()));
    }
    Outcome::works([])
}

fn interrupt(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("interrupt", says([Turn::text(PLAIN).after(Duration::from_mins(1))]));
    live.types("go on with the plan");
    live.until("the model is asked", || (!live.asked().is_empty()).then_some(()));
    live.until("the client works", || (live.read() == Screen::Busy).then_some(()));
    live.presses(&["Escape"], "the client has stopped", || matches!(live.read(), Screen::Idle | Screen::Draft));
    if client.is_codex() {
        // The client shows its prompt, and then runs the hook.
        let session = eventually("the interruption is on record", || {
            Some(site.session()).filter(|session| session.last_event.as_deref() == Some("Interrupt"))
        });
        assert_eq!((session.state, session.waits_for.as_deref()), (SessionState::Idle, Some("a prompt")));
        live.quits();
        assert_eq!(site.verdicts(0).len(), 0);
        return Outcome::works(["the client has an event for it, `Interrupt`"]);
    }
    // No hook tells of it; the client's own file of its sessions does.
    let session =
        eventually("the session is idle", || Some(site.session()).filter(|it| it.state == SessionState::Idle));
    assert_eq!(session.last_event.as_deref(), Some("UserPromptSubmit"));
    assert_eq!(site.verdicts(0).len(), 0);
    // A client that is cut off reports its end, and starts another authority for that.
    live.quits();
    Outcome::works(["read off the client's own list of its sessions"])
}
