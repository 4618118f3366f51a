//! `stopgate try`: the gate's word on a stop that nobody made, without a home.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{EXCUSE, PLAIN, World};

const PLAN: &str = "# Plan\n\n- [x] lexer\n- [ ] write the parser\n- [ ] write the tests\n";

/// Somebody who has installed nothing.
struct Stranger {
    world: World,
    dir: PathBuf,
}

impl Stranger {
    fn new() -> Self {
        let world = World::new();
        let dir = world.root().join("anywhere");
        std::fs::create_dir(&dir).unwrap();
        Self { world, dir }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(&stopgate_tests::world::binary("stopgate"));
        // As it is installed: it may start an authority, if it wants one.
        command.env_remove("STOPGATE_NO_AUTOSTART").arg("try").args(arguments).current_dir(&self.dir);
        command
    }

    fn tries(&self, arguments: &[&str]) -> Output {
        finish(self.command(arguments), Stdin::from(""))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.tries(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(!self.world.home.root().exists(), "no home is made");
        }
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

#[test]
fn what_the_agent_would_receive_is_shown_without_a_home_a_checkout_or_a_trace() {
    let stranger = Stranger::new();
    write(&stranger.dir, "plan.md", PLAN);
    let output = stranger.tries(&[EXCUSE, "--plan", "plan.md", "--ticked", "1"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("would be sent back: U2_PLAN_FILE_NEXT_STEP_EXPLICIT\n"), "{said}");
    for shown in [
        "The agent would receive, in enforce:\n\n[stopgate] Nothing failed",
        "Next open step in plan.md: write the parser\n",
        "context-limit: \"low on context\"",
        "the person asked: \"Execute plan.md until all of its steps are done.\" (--prompt says otherwise)",
    ] {
        assert!(said.contains(shown), "{shown:?} is missing:\n{said}");
    }
    assert_eq!(std::fs::read_dir(&stranger.dir).unwrap().count(), 1, "nothing is left");
    let exits = |arguments: &[&str]| stranger.tries(&[arguments, &["--exit-code"]].concat()).status.code();
    assert_eq!(exits(&[EXCUSE, "--plan", "plan.md", "--ticked", "1"]), Some(1));
    assert_eq!(exits(&[EXCUSE, "--prompt", "Thanks, stop here for today."]), Some(0));
}

#[test]
fn it_says_of_a_stop_what_the_authority_does_with_it() {
    let stranger = Stranger::new();
    let checkout = Checkout::with_plan(&stranger.dir.join("project"));
    let dir = checkout.top.to_str().unwrap();
    let plan = format!("{dir}/docs/plan.md");
    let held = |arguments: &[&str]| stranger.json(&[&["--dir", dir], arguments].concat());
    let tried = held(&[EXCUSE, "--plan", &plan]);
    assert_eq!((&tried["would_hold"], &tried["decision"]), (&true.into(), &"continue".into()), "{tried:#}");
    let facts = &tried["recording"]["answers"]["facts"]["plans"][0];
    assert_eq!((&facts["path"], &facts["touched_by_session"]), (&"docs/plan.md".into(), &true.into()), "{tried:#}");

    // The session's commits are those that were named.
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("- [ ] write the parser", "- [x] write the parser")).unwrap();
    let id = checkout.commit("parser");
    let tried = held(&[EXCUSE, "--commits", "1"]);
    assert_eq!(tried["rule"], "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE", "{tried:#}");
    assert!(tried["reminder"].as_str().unwrap().contains(&id[..12]), "{tried:#}");
    assert!(tried["reminder"].as_str().unwrap().contains("write the tests"), "{tried:#}");

    // What lets a stop go does so here.
    for (arguments, release) in [
        (vec![EXCUSE, "--plan-mode"], "plan-mode"),
        (
            vec![EXCUSE, "--plan", &plan, "--prompt", "Execute the plan.", "--prompt", "Stop here, please."],
            "person-asked-to-stop",
        ),
    ] {
        let tried = held(&arguments);
        assert_eq!((&tried["would_hold"], &tried["release"]), (&false.into(), &release.into()), "{tried:#}");
        assert_eq!(tried["reminder"], "");
    }
    std::fs::create_dir_all(checkout.top.join(".stopgate")).unwrap();
    checkout.write(".stopgate/config.toml", "[gate]\nexclude_plans = [\"docs\"]\n");
    let tried = held(&[EXCUSE, "--commits", "1"]);
    assert_eq!(tried["would_hold"], false, "the checkout's own configuration counts: {tried:#}");
}

#[test]
fn a_message_comes_from_wherever_it_is_and_a_huge_one_is_cut_as_the_gate_cuts_it() {
    let stranger = Stranger::new();
    write(&stranger.dir, "plan.md", PLAN);
    let plan = ["--plan", "plan.md", "--ticked", "1", "--json"];
    let read = |output: Output| -> Value {
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    write(&stranger.dir, "message.txt", EXCUSE);
    let from_file = read(stranger.tries(&[&["--file", "message.txt"], &plan[..]].concat()));
    let from_stdin = read(finish(stranger.command(&[&["--stdin"], &plan[..]].concat()), Stdin::from(EXCUSE)));
    for tried in [&from_file, &from_stdin] {
        assert_eq!(tried["would_hold"], true, "{tried:#}");
    }
    let long = format!("{}\n\n{EXCUSE}", "Line of a log that says nothing.\n".repeat(60_000));
    let tried = read(finish(stranger.command(&[&["--stdin"], &plan[..]].concat()), Stdin::from(&*long)));
    assert_eq!(tried["would_hold"], true);
    assert!(tried["assumed"].to_string().contains("of the message the last"), "{}", tried["assumed"]);
    let secret = "password=hunter2hunter2";
    let tried = stranger.json(&[&format!("{EXCUSE} {secret}"), "--plan", "plan.md"]);
    assert!(!tried.to_string().contains("hunter2"), "{tried}");
}

#[test]
fn what_is_wrong_is_said_with_its_argument_and_a_remedy() {
    let stranger = Stranger::new();
    std::fs::create_dir(stranger.dir.join("folder")).unwrap();
    std::fs::write(stranger.dir.join("bytes.md"), b"\xff\xfe- [ ] x").unwrap();
    write(&stranger.dir, "huge.md", &"- [ ] step\n".repeat(60_000));
    assert!(Command::new("mkfifo").arg(stranger.dir.join("pipe.md")).status().unwrap().success());
    for (arguments, said) in [
        (vec!["x", "--plan", "missing.md"], "--plan: missing.md"),
        (vec!["x", "--plan", "folder"], "--plan: folder: not a file"),
        (vec!["x", "--plan", "pipe.md"], "--plan: pipe.md: not a file"),
        (vec!["x", "--plan", "bytes.md"], "--plan: bytes.md"),
        (vec!["x", "--plan", "huge.md"], "--plan: huge.md: larger than 512 KiB"),
        (vec!["x", "--dir", "nowhere"], "--dir: nowhere"),
        (vec!["x", "--commits", "3"], "--commits: "),
        (vec!["   "], "message: there is none"),
        (vec!["--file", "missing.txt"], "--file missing.txt"),
        (vec![], "required"),
        (vec!["x", "--stdin"], "cannot be used with"),
        (vec!["x", "--ticked", "2"], "--plan"),
    ] {
        let output = stranger.tries(&arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {complaint}");
        assert!(complaint.contains(said), "{arguments:?}: {complaint}");
    }
    assert_eq!(stranger.json(&[PLAIN])["would_hold"], false);
}
