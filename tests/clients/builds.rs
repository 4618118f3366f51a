//! The build guard over everything that can happen to a session: its budget runs out, it is cleared, compacted, taken
//! up again, and not alone.

use stopgate_protocol::SessionRow;
use stopgate_tests::mock_anthropic::{Rule, Script, Turn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::PLAIN;

use crate::client::Client;
use crate::live::{Live, reminders_of_build};
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario {
        id: "build-budget",
        meaning: "the owner of a small build is sent back 3 times, then let go for good",
        run: budget,
    },
    Scenario {
        id: "block-to-the-cap",
        meaning: "the owner of a large build is sent back 10 times in one turn",
        run: cap,
    },
    Scenario {
        id: "clear",
        meaning: "`/clear`: the new session is linked to the old one, and still owns the build",
        run: clear,
    },
    Scenario {
        id: "resume",
        meaning: "ended and taken up again: same session, same start, still the owner of the build",
        run: resume,
    },
    Scenario {
        id: "compaction",
        meaning: "`/compact`: recorded before and after, same session, still the owner of the build",
        run: compaction,
    },
    Scenario {
        id: "parallel",
        meaning: "two sessions in one checkout: only the owner of the build is held, and not for the other's stops",
        run: parallel,
    },
];

/// The prompt that has the build started; its last words let the turn end, so that the budget stays whole.
pub(crate) const START: &str = "start the build of the parser and then please stop here";

/// The prompt that has a session make itself the owner.
const TAKE_OVER: &str = "take the build over and then please stop here";

/// A model that starts a build when asked to, and otherwise just stops. A compaction gets its summary.
pub(crate) fn starts_build(site: &Site, protection: &str) -> Script {
    let start = Turn::bash(site.stopgate_line(&format!("build start 'write the parser' --size {protection}")));
    let summary = |words: &str| Rule::contains(words, [Turn::text("We work on the parser.")]).repeated();
    Script {
        rules: vec![
            Rule::contains(START, [start]),
            Rule::contains(
                TAKE_OVER,
                [Turn::bash(site.stopgate_line("build resume --owner-session $CODEX_SESSION_ID"))],
            ),
            summary("create a detailed summary"),
            summary("CONTEXT CHECKPOINT COMPACTION"),
        ],
        default_turn: Turn::text(PLAIN),
        ..Script::default()
    }
}

/// A session that owns a small build, with the whole budget.
fn owner<'a>(site: &'a Site, name: &str) -> Live<'a> {
    let live = site.live(name, starts_build(site, "small"));
    let asked = live.turn(START, 2);
    assert_eq!(reminders_of_build(&asked), Vec::<String>::new(), "the person's word lets the turn end");
    assert_eq!(site.build()["owner"]["session_id"], site.session().session_id);
    live
}

/// The owner's turn: it is held three times, and the last words tell which times.
pub(crate) fn is_held_thrice(live: &Live<'_>) {
    let told = reminders_of_build(&live.turn("go on", 4));
    assert_eq!(told.len(), 3, "{told:?}");
    for (number, text) in told.iter().enumerate() {
        assert!(text.contains(&format!("reminder {} of 3", number + 1)), "{text}");
    }
}

fn budget(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = owner(&site, "budget");
    is_held_thrice(&live);
    live.turn("go on", 1);
    assert_eq!(live.quits(), 2 + 4 + 1);
    assert_eq!(site.build()["reminders_used"], 3);
    Outcome::works(["a prompt that asks to stop let the first turn end, with the budget whole"])
}

fn cap(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("cap", starts_build(&site, "large"));
    live.turn(START, 2);
    let outcome = if client.is_codex() {
        assert_eq!(reminders_of_build(&live.turn("go on", 11)).len(), 10);
        Outcome::works(["the client sets no limit of its own: 10 in one turn"])
    } else {
        assert_eq!(reminders_of_build(&live.turn("go on", 9)).len(), 8);
        assert_eq!(site.build()["reminders_used"], 8);
        assert_eq!(reminders_of_build(&live.turn("go on", 3)).len(), 2);
        Outcome::differs([
            "the client overrules the ninth block in a row: 8 reminders in that turn, and the other 2 in \
                           the next one",
        ])
    };
    live.turn("go on", 1);
    live.quits();
    assert_eq!(site.build()["reminders_used"], 10);
    outcome
}

fn by_start(site: &Site) -> Vec<SessionRow> {
    let mut sessions = site.sessions();
    sessions.sort_by_key(|session| session.started_at_ms);
    sessions
}

fn clear(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = owner(&site, "clear");
    live.types("/clear");
    if !client.is_codex() {
        eventually("the new session is on record", || (site.sessions().len() == 2).then_some(()));
    }
    if site.daemon.is_some() {
        live.turn("go on", 1);
        assert_eq!(by_start(&site)[1].predecessor, None);
        live.turn(TAKE_OVER, 2);
    }
    is_held_thrice(&live);
    live.quits();
    let sessions = by_start(&site);
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    if site.daemon.is_some() {
        assert_eq!(site.build()["owner"]["session_id"], sessions[1].session_id);
        return Outcome::differs([
            "in a process that many share nothing tells whom the new session continues: it owns the \
                                  build when it has said `build resume --owner-session` with its own id",
        ]);
    }
    assert_eq!(sessions[1].predecessor.as_ref(), Some(&sessions[0].session_id));
    assert_eq!(sessions[0].successor.as_ref(), Some(&sessions[1].session_id));
    assert_eq!(site.build()["owner"]["session_id"], sessions[1].session_id);
    Outcome::works([if client.is_codex() {
        "the new session is on record with its first prompt"
    } else {
        "the new session is on record at once"
    }])
}

fn resume(client: Client) -> Outcome {
    let site = Site::guarded(client);
    owner(&site, "first").quits();
    let before = site.session();
    assert_eq!(before.ended_at_ms.is_some(), site.daemon.is_none(), "the daemon still has it");
    let live = site.live_with("second", Script::default(), &client.resume(&before.session_id));
    is_held_thrice(&live);
    live.quits();
    let after = site.session();
    assert_eq!((&after.session_id, after.started_at_ms), (&before.session_id, before.started_at_ms));
    assert_eq!(site.build()["owner"]["session_id"], after.session_id);
    Outcome::works([])
}

fn compaction(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = owner(&site, "compaction");
    let before = site.session();
    live.types("/compact");
    eventually("the compaction is recorded", || site.session().last_events.contains_key("PostCompact").then_some(()));
    assert!(site.session().last_events.contains_key("PreCompact"));
    live.is_quiet();
    is_held_thrice(&live);
    live.quits();
    let after = site.session();
    assert_eq!((&after.session_id, after.started_at_ms), (&before.session_id, before.started_at_ms));
    Outcome::works([])
}

fn parallel(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let first = owner(&site, "first");
    let before = site.build();
    let second = site.live("second", Script { default_turn: Turn::text(PLAIN), ..Script::default() });
    second.turn("say hello", 1);
    assert_eq!(site.build(), before, "nothing is written for the other one");
    is_held_thrice(&first);
    assert_eq!((first.quits(), second.quits()), (6, 1));
    assert_eq!(site.sessions().len(), 2);
    Outcome::works([])
}
