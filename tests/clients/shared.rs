//! Sessions that share a process, and sessions whose tools run in a sandbox: who is who, there.

use stopgate_core::process::Liveness;
use stopgate_core::session::state::SessionState;
use stopgate_tests::mock_anthropic::{Rule, Script, Turn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{EXCUSE, PLAIN};

use crate::builds::{START, is_held_thrice, starts_build};
use crate::client::Client;
use crate::live::reminders;
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        id: "shared-process",
        meaning: "two sessions in one process: build, contest and life are each one's own, and neither is ended for the other",
        run: shared,
    },
    Scenario {
        id: "sandbox-write",
        meaning: "in a sandbox that writes in the checkout alone: `build start` makes its session the owner, and the next \
                  stop takes `gate contest` along",
        run: writes,
    },
    Scenario {
        id: "sandbox-read",
        meaning: "in a sandbox that writes nothing: both commands fail, say what to do, and leave nothing behind",
        run: reads,
    },
];

const CONTEST: &str = "look at the grammar";

/// A session that is asked to speak against a hold does so in its shell, and stops with an excuse.
fn contests(site: &Site) -> [Rule; 2] {
    let why = site.stopgate_line("gate contest 'the grammar is not decided'; echo CONTESTED $?");
    [
        Rule::contains(CONTEST, [Turn::bash(why)]).repeated(),
        Rule::contains("CONTESTED", [Turn::text(EXCUSE)]).repeated(),
    ]
}

fn shared(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let Some(daemon) = &site.daemon else {
        return Outcome::not_offered("each session has a process of its own");
    };
    let mut script = Script { default_turn: Turn::text(PLAIN), ..Script::default() };
    script.rules.extend(contests(&site));
    script.rules.push(Rule::contains("and now the parser", [Turn::text(EXCUSE)]).repeated());
    let second = site.live("second", script);
    second.turn("say hello", 1);
    let other = site.session().session_id;
    let first = site.live("first", starts_build(&site, "small"));
    first.turn(START, 2);

    let sessions = site.sessions();
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    for session in &sessions {
        let process = session.harness_process.as_ref().unwrap();
        assert!(process.shared && Some(process.pid) == daemon.pid(), "{session:#?}");
        assert_eq!((session.liveness, session.tmux.as_ref(), session.memory_bytes), (Liveness::Alive, None, None));
    }
    let owner = sessions.iter().map(|session| &session.session_id).find(|id| **id != other).unwrap();
    let build = site.build();
    assert_eq!((&build["owner"]["session_id"], &build["owner"]["harness"]), (&owner.as_str().into(), &"codex".into()));
    assert!(build["owner"]["process"].is_null() && build["owner"]["tmux"].is_null(), "{build:#}");
    for prompt in ["go on", "and on"] {
        second.turn(prompt, 1);
    }
    assert_eq!(site.build(), build, "the other one is not held, and nothing is written for it");
    is_held_thrice(&first);

    let asked = second.turn(CONTEST, 2);
    assert!(asked[1].brings("the next stop of this session goes through"), "{asked:#?}");
    assert_eq!(reminders(&asked), Vec::<String>::new());
    assert_eq!(reminders(&second.turn("execute docs/plan.md, and now the parser", 2)).len(), 1, "it counted once");
    let verdicts = site.verdicts(0);
    let contested: Vec<_> = verdicts.iter().filter(|row| row.short_circuit.as_deref() == Some("contested")).collect();
    assert_eq!(contested.iter().map(|row| &row.session_id).collect::<Vec<_>>(), [&other], "{verdicts:#?}");

    let kept = site.person.world.stopgate(&["reaper", "explain", &other]);
    assert!(String::from_utf8_lossy(&kept.stdout).contains("shared-process"), "{kept:?}");
    let refused = site.person.world.stopgate(&["sessions", "end", &other, "--yes"]);
    assert!(!refused.status.success() && daemon.pid().is_some(), "{refused:?}");

    second.quits();
    first.quits();
    assert!(site.sessions().iter().all(|row| (row.liveness, row.ended_at_ms) == (Liveness::Alive, None)));
    daemon.kill();
    eventually("both are gone", || site.sessions().iter().all(|row| row.state == SessionState::Gone).then_some(()));
    let third =
        site.live_with("third", Script { default_turn: Turn::text(PLAIN), ..Script::default() }, &client.resume(owner));
    third.turn("go on", 1);
    let taken_up = site.sessions().into_iter().find(|row| row.session_id == *owner).unwrap();
    assert_eq!(taken_up.harness_process.map(|process| process.pid), daemon.pid());
    assert_eq!(taken_up.liveness, Liveness::Alive);
    assert_eq!(site.build()["owner"]["session_id"], owner.as_str());
    Outcome::works([])
}

/// For a client whose tools run in a sandbox of its own.
fn sandboxed(client: Client) -> Option<Site> {
    client.is_codex().then(|| Site::outside_of_tmp(client))
}

fn without_sandbox() -> Outcome {
    Outcome::not_offered("the client runs its tools in no sandbox unless it is told to, and that was not tried")
}

fn writes(client: Client) -> Outcome {
    let Some(site) = sandboxed(client) else { return without_sandbox() };
    let mut script = starts_build(&site, "small");
    script.rules.extend(contests(&site));
    script.rules.push(Rule::contains("and now the parser", [Turn::text(EXCUSE)]).repeated());
    let live = site.in_sandbox("write", script, "workspace-write");
    let asked = live.turn(CONTEST, 2);
    assert!(asked[1].brings("Noted in the checkout") && asked[1].brings("CONTESTED 0"), "{asked:#?}");
    assert_eq!(reminders(&asked), Vec::<String>::new());
    let notes = || std::fs::read_dir(site.checkout.top.join(".stopgate/contests")).unwrap().count();
    eventually("the note is used up", || (notes() == 0).then_some(()));
    assert_eq!(reminders(&live.turn("execute docs/plan.md, and now the parser", 2)).len(), 1, "it counted once");
    let verdicts = site.verdicts(2);
    assert_eq!(verdicts[0].short_circuit.as_deref(), Some("contested"), "{verdicts:#?}");

    let asked = live.turn(START, 2);
    assert!(asked[1].brings("started, phase idle"), "{asked:#?}");
    assert_eq!(site.build()["owner"]["session_id"], site.session().session_id);
    is_held_thrice(&live);
    live.quits();
    Outcome::works([])
}

fn reads(client: Client) -> Outcome {
    let Some(site) = sandboxed(client) else { return without_sandbox() };
    let mut script = starts_build(&site, "small");
    let start = site.stopgate_line("build start 'write the parser'; echo EXIT $?");
    script.rules[0] = Rule::contains(START, [Turn::bash(start)]);
    script.rules.extend(contests(&site));
    let live = site.in_sandbox("read", script, "read-only");
    let asked = live.turn(&format!("Execute docs/plan.md. {CONTEST}"), 3);
    assert!(
        asked[1].brings("say in your last message why the stop is right") && asked[1].brings("CONTESTED 1"),
        "{asked:#?}"
    );
    assert_eq!(reminders(&asked).len(), 1, "the excuse is held: it was no word against that");
    let asked = live.turn(START, 2);
    assert!(asked[1].brings("a sandbox that only reads") && asked[1].brings("EXIT 1"), "{asked:#?}");
    assert!(!site.checkout.top.join(".stopgate").exists());
    live.quits();
    Outcome::works([])
}
