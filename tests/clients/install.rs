//! Ways in and out: settings of each scope, plugins, and both while a session runs.

use std::path::{Path, PathBuf};

use serde_json::json;
use stopgate_tests::mock_anthropic::{Script, Turn};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::EXCUSE;

use crate::client::Client;
use crate::live::{Live, reminders};
use crate::site::Site;
use crate::table::{Outcome, Scenario};

pub(crate) const SCENARIOS: [Scenario; 6] = [
    Scenario {
        id: "settings-user",
        meaning: "`installer init` into the person's file: hooks fire, `doctor` finds nothing, `uninstall` gives the \
                  file's bytes back",
        run: user_scope,
    },
    Scenario {
        id: "settings-project",
        meaning: "`installer init` into the project's file: the same, for this project alone",
        run: project_scope,
    },
    Scenario {
        id: "plugin",
        meaning: "`installer plugin build` and the client's own way to add a plugin: hooks fire",
        run: plugin,
    },
    Scenario {
        id: "uninstall-in-session",
        meaning: "`installer uninstall`, then `--purge`, while a session runs: its next stops end silently",
        run: uninstall,
    },
    Scenario {
        id: "hot-reload",
        meaning: "`installer init` while a session runs: recorded at once, held when it has been taken up again, because \
                  nobody saw it begin",
        run: hot_reload,
    },
    Scenario {
        id: "programs-gone",
        meaning: "somebody deletes the programs while a session runs: its stops end, and the model hears nothing",
        run: programs_gone,
    },
];

/// A model that never does anything but give an excuse.
fn excuses() -> Script {
    Script { default_turn: Turn::text(EXCUSE), ..Script::default() }
}

/// A whole session of one prompt, which is sent back so many times.
#[track_caller]
fn held(site: &Site, name: &str, arguments: &str, times: usize) {
    let live = site.live_with(name, excuses(), arguments);
    if site.client.is_codex() && has_foreign_hook(site) {
        // Continue without trusting
        live.chooses("Hooks need review", &["3", "Enter"]);
    }
    held_in(&live, "go on with the plan", true, times);
}

/// A turn that is sent back so many times.
#[track_caller]
fn held_in(live: &Live<'_>, prompt: &str, ends: bool, times: usize) {
    let asked = live.turn(prompt, 1 + times);
    if ends {
        live.quits();
    }
    assert_eq!(reminders(&asked).len(), times, "{asked:#?}");
}

/// Whether the person has a hook that Codex asks about at each start, because nobody trusts it.
fn has_foreign_hook(site: &Site) -> bool {
    std::fs::read_to_string(site.file(".codex/hooks.json")).is_ok_and(|text| text.contains("\"true\""))
}

pub(crate) fn settings(site: &Site) -> (PathBuf, &'static str) {
    if site.client.is_codex() {
        let theirs = "{\"description\": \"mine\",\n   \"hooks\": { \"Stop\": [\n  {\"hooks\": [ {\"type\": \"command\", \
                      \"command\": \"true\", \"timeout\": 3} ]} ] } }";
        (site.file(".codex/hooks.json"), theirs)
    } else {
        (site.file(".claude/settings.json"), "{\n    \"cleanupPeriodDays\": 30,\n  \"env\": {\"N\": \"1.50\"}\n}")
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn doctor_finds_nothing(site: &Site) {
    let output = site.installer(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // A scenario may have taken it back before, and nobody at a terminal has said that they know.
    let others = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] != "was-uninstalled");
    assert_eq!((output.status.code(), others.count()), (Some(0), 0), "{report:#}");
}

fn user_scope(client: Client) -> Outcome {
    let site = Site::bare(client);
    let (file, before) = settings(&site);
    write(&file, before);
    site.init(&[]);
    site.enforce();
    held(&site, "before", "", 1);
    doctor_finds_nothing(&site);
    site.uninstall(&[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let sessions = site.sessions().len();
    held(&site, "after", "", 0);
    assert_eq!(site.sessions().len(), sessions, "nothing fires any more");
    Outcome::works([])
}

fn project_scope(client: Client) -> Outcome {
    let site = Site::bare(client);
    let project = site.checkout.top.to_str().unwrap();
    let scope: &[&str] = if client.is_codex() { &["project"] } else { &["project-local", "project"] };
    for scope in scope {
        let name = |what: &str| format!("{scope}-{what}");
        site.init(&["--scope", scope, "--project", project]);
        site.enforce();
        held(&site, &name("before"), "", 1);
        doctor_finds_nothing(&site);
        site.uninstall(&["--scope", scope, "--project", project]);
        held(&site, &name("after"), "", 0);
    }
    Outcome::works([if client.is_codex() {
        "`.codex/hooks.json` of a trusted project"
    } else {
        "`.claude/settings.local.json` and `.claude/settings.json`"
    }])
}

fn plugin(client: Client) -> Outcome {
    let site = Site::bare(client);
    let words = if client.is_codex() { "codex" } else { "claude" };
    site.must(&["snippet", words, "--programs"]);
    site.enforce();
    let dir = site.person.world.root().join("plugins");
    site.must(&["plugin", "build", dir.to_str().unwrap()]);
    if !client.is_codex() {
        assert!(!site.file(".claude/settings.json").exists());
        held(&site, "plugin", &format!("--plugin-dir '{}'", dir.join("claude").display()), 1);
        return Outcome::works(["`claude --plugin-dir`"]);
    }
    let codex = |arguments: &[&str]| {
        let mut command = site.command(&client.program().unwrap());
        command.args(arguments);
        let output = finish(command, Stdin::from(""));
        assert!(output.status.success(), "codex {arguments:?}: {output:?}");
    };
    codex(&["plugin", "marketplace", "add", dir.join("codex").to_str().unwrap()]);
    codex(&["plugin", "add", "stopgate@stopgate"]);
    let live = site.live("plugin", excuses());
    // Trust all and continue
    live.chooses("Hooks need review", &["2", "Enter"]);
    held_in(&live, "go on with the plan", true, 1);
    assert!(!site.file(".codex/hooks.json").exists());
    Outcome::works(["`codex plugin marketplace add`, `codex plugin add`, and the person's trust at the next start"])
}

/// What a client shows of a hook that it could not run.
const TROUBLE: [&str; 5] = ["hook failed", "Hook failed", "hook error", "ENOENT", "not found"];

fn shows_trouble(live: &Live<'_>, prompt: &str) -> bool {
    let since = live.shown_since(prompt);
    TROUBLE.iter().any(|word| since.contains(word))
}

/// Waits until the client has read the settings as they are without our hooks, which it does in its own time: until a
/// hook of the person's that is new in them fires.
fn reads_its_settings(site: &Site, live: &Live<'_>) {
    let fired = site.file("fired");
    let entry = json!({ "type": "command", "command": format!("touch '{}'", fired.display()) });
    let settings = json!({ "hooks": { "UserPromptSubmit": [{ "hooks": [entry] }] } });
    write(&site.file(".claude/settings.json"), &settings.to_string());
    let mut prompts = 0;
    while !fired.exists() {
        prompts += 1;
        assert!(prompts <= 10, "the client never looks");
        held_in(live, &format!("and again {prompts}"), false, 0);
    }
}

fn uninstall(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("session", excuses());
    held_in(&live, "go on with the plan", false, 1);
    site.uninstall(&[]);
    held_in(&live, "and go on", false, 0);
    assert!(!shows_trouble(&live, "and go on"), "{}", live.screen());
    if !client.is_codex() {
        reads_its_settings(&site, &live);
    }
    let said = site.uninstall(&["--purge"]);
    assert!(!site.person.world.home.root().exists());
    held_in(&live, "and further on", false, 0);
    assert!(!live.asked().iter().skip(2).any(|asked| asked.brings("hook")), "{:#?}", live.asked());
    let outcome = if client.is_codex() {
        assert!(said.contains("will say \"Hook failed\" until it is started anew"), "{said}");
        assert!(shows_trouble(&live, "and further on"), "{}", live.screen());
        Outcome::differs(["silent after `uninstall`; after `--purge` the client, which reads its hooks only when it \
                           starts, tells the person that they failed, as `uninstall` said before"])
    } else {
        assert!(!shows_trouble(&live, "and further on"), "{}", live.screen());
        Outcome::works([])
    };
    live.quits();
    outcome
}

fn programs_gone(client: Client) -> Outcome {
    let site = Site::guarded(client);
    let live = site.live("session", excuses());
    held_in(&live, "go on with the plan", false, 1);
    std::fs::remove_dir_all(site.person.world.home.bin()).unwrap();
    held_in(&live, "and go on", false, 0);
    assert!(!live.asked().pop().unwrap().brings("hook"));
    assert!(shows_trouble(&live, "and go on"), "{}", live.screen());
    Outcome::works([
        "the client tells the person of each hook that it could not start, until it is started anew or the \
                     entries are gone",
    ])
}

fn hot_reload(client: Client) -> Outcome {
    let site = Site::bare(client);
    let live = site.live("session", excuses());
    held_in(&live, "go on with the plan", false, 0);
    site.init(&[]);
    site.enforce();
    // The client looks at its settings in its own time, if it does.
    let most = if client.is_codex() { 3 } else { 10 };
    let mut number = 0;
    let is_known = loop {
        number += 1;
        held_in(&live, &format!("go on {number}"), false, 0);
        let is_known = !site.sessions().is_empty();
        if is_known || number == most {
            break is_known;
        }
    };
    assert_eq!(is_known, !client.is_codex());
    let id = if client.is_codex() { "--last".to_owned() } else { site.session().session_id };
    live.quits();
    let live = site.live_with("again", excuses(), &client.resume(&id));
    held_in(&live, "and on", true, 1);
    if client.is_codex() {
        return Outcome::not_offered(
            "the client reads its hooks when it starts: a running session goes on without them",
        );
    }
    assert_eq!(site.verdicts(1)[0].short_circuit.as_deref(), Some("session-start-unknown"));
    Outcome::works(["hooks fire in the running session from its next prompt on"])
}
