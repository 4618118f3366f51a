//! Who is the person: what is typed is heard, what is injected is not.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use stopgate_reaper::screen::Screen;
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, PLAIN};

use crate::client::Client;
use crate::live::reminders;
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        id: "person",
        meaning: "\"please stop here\" ends a turn when it is typed, and not when a background task or another session says \
                  it; what these say later does not take it back",
        run: person,
    },
    Scenario {
        id: "interrupt-and-wake",
        meaning: "a turn is interrupted, and something else wakes the session: it is not held until the next prompt",
        run: interrupt_and_wake,
    },
    Scenario {
        id: "woken-by-hook",
        meaning: "a Stop hook of somebody else's wakes the session (`asyncRewake`): the stop of that turn is judged",
        run: woken_by_hook,
    },
];

const STOP: &str = "please stop here";
const GO_ON: &str = "go on with the plan";

/// A background task that ends when `done` is there, and says `description` then.
fn waits(done: &Path, description: &str) -> Turn {
    let command = format!("while [ ! -e '{}' ]; do sleep 0.2; done", done.display());
    Turn::tool("Bash", json!({"command": command, "description": description, "run_in_background": true}))
}

/// Another session sends `words` with `codex queue`.
fn queues(site: &Site, words: &str) {
    let mut command = site.command(Path::new("codex"));
    command.args(["queue", "--thread", &site.session().session_id, "--message", words]);
    let said = finish(command, Stdin::from(""));
    assert!(said.status.success(), "{said:?}");
}

fn person(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let (first, second) = (site.file("first"), site.file("second"));
    let turns = if client.is_codex() {
        Vec::new()
    } else {
        let excuse = || Turn::text(EXCUSE);
        vec![waits(&first, STOP), excuse(), excuse(), excuse(), waits(&second, GO_ON)]
    };
    let live = site.live("person", Script { turns, default_turn: Turn::text(EXCUSE), ..Script::default() });
    if client.is_codex() {
        assert_eq!(reminders(&live.turn(GO_ON, 2)).len(), 1);
        site.checkout.work();
        queues(&site, STOP);
        assert_eq!(reminders(&live.turn_ends(2)).len(), 1, "another session's word");
        assert_eq!(reminders(&live.turn(STOP, 1)), Vec::<String>::new());
        queues(&site, GO_ON);
        assert_eq!(reminders(&live.turn_ends(1)), Vec::<String>::new(), "the person's word stands");
    } else {
        assert_eq!(reminders(&live.turn(GO_ON, 2)), Vec::<String>::new());
        std::fs::write(first, "").unwrap();
        assert_eq!(reminders(&live.turn_ends(2)).len(), 1, "a background task's word");
        assert_eq!(reminders(&live.turn(STOP, 2)), Vec::<String>::new());
        std::fs::write(second, "").unwrap();
        assert_eq!(reminders(&live.turn_ends(1)), Vec::<String>::new(), "the person's word stands");
    }
    assert_eq!(reminders(&live.turn(GO_ON, 2)).len(), 1);
    live.quits();
    let asked = site.verdicts(5).into_iter().filter(|row| row.short_circuit.as_deref() == Some("person-asked-to-stop"));
    assert!(asked.count() >= 1);
    Outcome::works([if client.is_codex() {
        "injected with `codex queue`"
    } else {
        "injected by the end of a background task, with its description"
    }])
}

fn interrupt_and_wake(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let done = site.file("done");
    let mut turns = vec![Turn::text(PLAIN).after(Duration::from_mins(1))];
    if !client.is_codex() {
        turns.insert(0, waits(&done, "waits"));
    }
    let requests = turns.len();
    let live = site.live("interrupted", Script { turns, default_turn: Turn::text(EXCUSE), ..Script::default() });
    live.types(GO_ON);
    live.until("the model is asked", || (live.asked().len() == requests).then_some(()));
    live.until("the client works", || (live.read() == Screen::Busy).then_some(()));
    live.presses(&["Escape"], "the client has stopped", || !matches!(live.read(), Screen::Busy));
    if client.is_codex() {
        queues(&site, "the tests have ended");
        let asked = live.turn(GO_ON, 3);
        assert!(asked[0].brings(GO_ON) && asked[2].brings("the tests have ended"), "{asked:#?}");
        assert_eq!(reminders(&asked).len(), 1);
        live.quits();
        return Outcome::works(["the client keeps what is queued until the next prompt is answered"]);
    }
    std::fs::write(done, "").unwrap();
    assert_eq!(reminders(&live.turn_ends(requests + 1)), Vec::<String>::new());
    let verdicts = site.verdicts(1);
    assert_eq!(verdicts[0].short_circuit.as_deref(), Some("person-interrupted"), "{verdicts:#?}");
    assert_eq!(reminders(&live.turn(GO_ON, 2)).len(), 1);
    live.quits();
    Outcome::works([])
}

fn woken_by_hook(client: Client) -> Outcome {
    if client.is_codex() {
        return Outcome::not_offered("the client has no hook that wakes a session");
    }
    let site = Site::guarded(client);
    let once = site.file("once");
    // Long after the turn has ended.
    let wakes =
        format!("[ -e '{0}' ] || {{ touch '{0}'; sleep 5; echo 'the build is done' >&2; exit 2; }}", once.display());
    let hook = json!({"type": "command", "command": wakes, "asyncRewake": true, "timeout": 60});
    site.checkout.write(".claude/settings.json", &json!({"hooks": {"Stop": [{"hooks": [hook]}]}}).to_string());
    let turns = vec![Turn::text(PLAIN)];
    let live = site.live("woken", Script { turns, default_turn: Turn::text(EXCUSE), ..Script::default() });
    assert_eq!(reminders(&live.turn(GO_ON, 1)), Vec::<String>::new());
    let asked = live.turn_ends(2);
    assert!(asked[0].brings("the build is done"), "{asked:#?}");
    assert_eq!(reminders(&asked).len(), 1);
    live.quits();
    let verdicts = site.verdicts(2);
    assert!(verdicts.len() == 2 && verdicts[1].blocked, "{verdicts:#?}");
    Outcome::works([])
}
