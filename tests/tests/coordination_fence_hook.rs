//! The hook of the fence: when it asks, when it keeps still, what it says, and that it lets go whatever is broken.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, SystemTime};

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_coordination::held::{self, HeldLease, HeldTree};
use stopgate_coordination::lease::LeaseMode;
use stopgate_core::beat::{self, Beat};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority};
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{World, assert_silent, with};

const DENY: &str = r#"{"verdict":"deny","text":"[stopgate] amber holds it"}"#;
const NOTE: &str = r#"{"verdict":"note","text":"[stopgate] amber wrote it"}"#;
const ALLOW: &str = r#"{"verdict":"allow"}"#;
const MINE: &str = "mine";

/// A world with a tree `shared` in which the session [`MINE`] of Claude Code and another of Codex live, and one `own` in
/// which the first lives alone.
struct Site {
    world: World,
    shared: PathBuf,
    own: PathBuf,
}

impl Site {
    fn new(mode: &str) -> Self {
        Self::holding(mode, &[])
    }

    /// The same where the other session holds `leases`.
    fn holding(mode: &str, leases: &[&str]) -> Self {
        let world = World::new();
        world.home.create().unwrap();
        std::fs::create_dir_all(world.home.fence_file().parent().unwrap()).unwrap();
        std::fs::write(world.home.fence_file(), mode).unwrap();
        let root = world.root().canonicalize().unwrap();
        let (shared, own) = (root.join("shared"), root.join("own"));
        for dir in [&shared, &own] {
            std::fs::create_dir_all(dir.join("src")).unwrap();
        }
        let other = key(Harness::Codex, "other");
        let lease = |resource: &&str| HeldLease {
            resource: resource.parse().unwrap(),
            mode: LeaseMode::Write,
            holder: other.clone(),
        };
        let leases = leases.iter().map(lease).collect();
        let mine = [Harness::Claude, Harness::Codex].map(|harness| key(harness, MINE));
        let trees = [
            HeldTree { tree: shared.clone(), sessions: [mine.to_vec(), vec![other]].concat(), leases },
            HeldTree { tree: own.clone(), sessions: vec![mine[0].clone()], leases: Vec::new() },
        ];
        std::fs::create_dir_all(world.home.run()).unwrap();
        std::fs::write(held::file(&world.home), held::render(&trees)).unwrap();
        Self { world, shared, own }
    }

    fn authority(&self, behaviour: Behaviour) -> FakeAuthority {
        FakeAuthority::listen(&self.world.home.socket(), behaviour)
    }

    fn run(&self, harness: Harness, payload: &Value) -> Output {
        let mut command = self.world.command(&stopgate_tests::world::binary("write-fence"));
        command.arg(harness.name()).env("STOPGATE_DEADLINE_MS", "1000");
        finish(command, Stdin::from(&*payload.to_string()))
    }

    fn write(&self) -> Value {
        claude(&self.shared, "Write", &json!({"file_path": self.shared.join("src/a.rs"), "content": "x"}))
    }
}

fn key(harness: Harness, id: &str) -> SessionKey {
    SessionKey::new(harness, id).unwrap()
}

fn claude(cwd: &Path, tool: &str, input: &Value) -> Value {
    json!({"session_id": MINE, "transcript_path": "/nowhere/mine.jsonl", "cwd": cwd, "prompt_id": "p",
           "permission_mode": "acceptEdits", "hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input,
           "tool_use_id": "toolu_1"})
}

fn codex(cwd: &Path, tool: &str, command: &str) -> Value {
    json!({"session_id": MINE, "turn_id": "t", "transcript_path": null, "cwd": cwd, "model": "gpt-5.5",
           "permission_mode": "bypassPermissions", "hook_event_name": "PreToolUse", "tool_name": tool,
           "tool_input": {"command": command}, "tool_use_id": "call_1"})
}

/// What was printed: one object with one field.
fn said(output: &Output) -> Value {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), ["hookSpecificOutput"]);
    value["hookSpecificOutput"].clone()
}

fn denied() -> Value {
    json!({"hookEventName": "PreToolUse", "permissionDecision": "deny",
           "permissionDecisionReason": "[stopgate] amber holds it"})
}

#[rstest]
#[case::edit(Harness::Claude, "Edit", json!({"file_path": "SHARED/src/a.rs", "old_string": "a", "new_string": "b"}))]
#[case::write(Harness::Claude, "Write", json!({"file_path": "SHARED/new.rs", "content": "x"}))]
#[case::notebook(Harness::Claude, "NotebookEdit", json!({"notebook_path": "SHARED/n.ipynb", "new_source": "x"}))]
#[case::shell(Harness::Claude, "Bash", json!({"command": "cd src && echo x > a.rs", "description": "d"}))]
#[case::tree_verb(Harness::Claude, "Bash", json!({"command": "git reset --hard"}))]
#[case::opaque(Harness::Claude, "Bash", json!({"command": "make all"}))]
#[case::patch(Harness::Codex, "apply_patch", json!({"command": "*** Begin Patch\n*** Add File: src/n.rs\n+x\n*** End Patch"}))]
#[case::patch_elsewhere(Harness::Codex, "apply_patch", json!({"command": "*** Begin Patch\n*** Delete File: SHARED/src/a.rs\n*** End Patch"}))]
#[case::codex_shell(Harness::Codex, "Bash", json!({"command": "rm -rf src"}))]
fn a_write_in_a_shared_tree_is_asked_about_and_refused(
    #[case] harness: Harness,
    #[case] tool: &str,
    #[case] input: Value,
) {
    let site = Site::new("enforce\n");
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    let input: Value =
        serde_json::from_str(&input.to_string().replace("SHARED", site.shared.to_str().unwrap())).unwrap();
    let payload = match harness {
        Harness::Claude => claude(&site.shared, tool, &input),
        Harness::Codex => codex(&site.shared, tool, input["command"].as_str().unwrap()),
    };
    assert_eq!(said(&site.run(harness, &payload)), denied());
    assert_eq!(fake.connections(), 1);
    assert!(beat::last(&site.world.home, "write-fence", Beat::Delivered).is_some());
}

/// What the authority is asked is what it needs, and the words of a secret are not among it.
#[test]
fn the_question_names_session_subagent_tool_and_targets() {
    fn look(request: &str) -> Vec<u8> {
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        let fields =
            ["harness", "session_id", "agent_id", "tool", "said"].map(|name| body[name].as_str().unwrap_or("-"));
        let path = body["writes"][0]["path"].as_str().unwrap_or("-");
        let text = format!("[stopgate] {} {path}", fields.join(" "));
        stopgate_tests::fake_authority::answer("200 OK", &json!({"verdict": "deny", "text": text}).to_string())
    }
    let site = Site::new("enforce");
    let _fake = site.authority(Behaviour::Answers(look));
    let command = "echo ghp_0123456789abcdefghijABCDEFGHIJ > out.txt";
    let payload = with(claude(&site.shared, "Bash", &json!({"command": command})), "agent_id", json!("a1"));
    let expected =
        format!("[stopgate] claude mine a1 Bash echo [redacted] > out.txt {}", site.shared.join("out.txt").display());
    assert_eq!(said(&site.run(Harness::Claude, &payload))["permissionDecisionReason"], expected);
}

#[test]
fn a_note_goes_to_the_model_and_the_call_goes_on() {
    let site = Site::new("enforce");
    let _fake = site.authority(Behaviour::answer("200 OK", NOTE));
    let expected = json!({"hookEventName": "PreToolUse", "additionalContext": "[stopgate] amber wrote it"});
    assert_eq!(said(&site.run(Harness::Claude, &site.write())), expected);
    let patch = codex(&site.shared, "apply_patch", "*** Begin Patch\n*** Add File: n\n+x\n*** End Patch");
    assert_eq!(said(&site.run(Harness::Codex, &patch)), expected);
}

/// In each of these worlds an authority stands by that would refuse, and is not asked.
#[rstest]
#[case::switched_off("off", |_: &Site| ())]
#[case::no_word("enforced", |_: &Site| ())]
#[case::never_enabled("enforce", |site: &Site| std::fs::remove_file(site.world.home.fence_file()).unwrap())]
#[case::killed("enforce", |site: &Site| std::fs::write(site.world.home.kill_file(), "").unwrap())]
#[case::nobody_lives("enforce", |site: &Site| std::fs::remove_file(held::file(&site.world.home)).unwrap())]
#[case::nobody_else_lives("enforce", |site: &Site| std::fs::write(held::file(&site.world.home), "").unwrap())]
#[case::held_is_garbage("enforce", |site: &Site| std::fs::write(held::file(&site.world.home), [0xff, 0, b'\t']).unwrap())]
#[case::held_is_a_directory("enforce", |site: &Site| {
    std::fs::remove_file(held::file(&site.world.home)).unwrap();
    std::fs::create_dir(held::file(&site.world.home)).unwrap();
})]
#[case::held_is_a_fifo("enforce", |site: &Site| {
    std::fs::remove_file(held::file(&site.world.home)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(held::file(&site.world.home)).status().unwrap().success());
})]
#[case::held_is_huge("enforce", |site: &Site| {
    let file = std::fs::OpenOptions::new().append(true).open(held::file(&site.world.home)).unwrap();
    file.set_len(held::MAX_BYTES + 1).unwrap();
})]
fn nobody_is_asked(#[case] mode: &str, #[case] change: fn(&Site)) {
    let site = Site::new(mode);
    change(&site);
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    assert_silent(&site.run(Harness::Claude, &site.write()));
    assert_eq!(fake.connections(), 0);
}

#[rstest]
#[case::own_tree("Write", json!({"file_path": "OWN/a.rs", "content": "x"}))]
#[case::no_tree("Write", json!({"file_path": "/tmp/stopgate-nowhere/a.rs", "content": "x"}))]
#[case::reads("Bash", json!({"command": "git status && cat src/a.rs | head -3"}))]
#[case::writes_elsewhere("Bash", json!({"command": "echo x > /tmp/stopgate-nowhere/b"}))]
#[case::quoted("Bash", json!({"command": "echo 'git reset --hard > src/a.rs'"}))]
#[case::unknown_tool("Teleport", json!({"file_path": "SHARED/a.rs"}))]
#[case::reading_tool("Read", json!({"file_path": "SHARED/a.rs"}))]
#[case::no_input("Write", json!(null))]
#[case::input_of_another_form("Write", json!("SHARED/a.rs"))]
fn a_call_that_touches_nothing_of_others_is_nobody_s_business(#[case] tool: &str, #[case] input: Value) {
    let site = Site::new("enforce");
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    let input = input.to_string().replace("SHARED", site.shared.to_str().unwrap());
    let input: Value = serde_json::from_str(&input.replace("OWN", site.own.to_str().unwrap())).unwrap();
    assert_silent(&site.run(Harness::Claude, &claude(&site.shared, tool, &input)));
    assert_eq!(fake.connections(), 0);
    // The control.
    said(&site.run(Harness::Claude, &site.write()));
}

#[test]
fn a_payload_without_input_session_or_directory_is_let_go() {
    let site = Site::new("enforce");
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    for field in ["tool_input", "tool_name", "session_id", "cwd", "hook_event_name"] {
        let mut payload = site.write();
        payload.as_object_mut().unwrap().remove(field);
        assert_silent(&site.run(Harness::Claude, &payload));
    }
    assert_silent(&site.run(Harness::Claude, &with(site.write(), "hook_event_name", json!("PostToolUse"))));
    assert_eq!(fake.connections(), 0);
}

/// Paths lead where the links on the way say, and a circle of links leads nowhere.
#[test]
fn links_are_followed_to_the_tree_that_is_written() {
    let site = Site::new("enforce");
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    symlink(&site.shared, site.own.join("in")).unwrap();
    symlink(&site.own, site.shared.join("out")).unwrap();
    symlink(site.own.join("circle"), site.own.join("circle")).unwrap();
    let write = |path: PathBuf| claude(&site.own, "Write", &json!({"file_path": path, "content": "x"}));
    assert_eq!(said(&site.run(Harness::Claude, &write(site.own.join("in/src/a.rs")))), denied());
    assert_eq!(said(&site.run(Harness::Claude, &write(site.own.join("src/../../shared/a.rs")))), denied());
    assert_eq!(fake.connections(), 2);
    for elsewhere in ["shared/out/a.rs", "own/circle/a.rs", "own/circle"] {
        let path = site.own.parent().unwrap().join(elsewhere);
        assert_silent(&site.run(Harness::Claude, &write(path)));
    }
    assert_eq!(fake.connections(), 2);
}

#[test]
fn shadow_asks_and_says_nothing() {
    let site = Site::new("shadow");
    let fake = site.authority(Behaviour::answer("200 OK", DENY));
    assert_silent(&site.run(Harness::Claude, &site.write()));
    assert_eq!(fake.connections(), 1);
    assert!(beat::last(&site.world.home, "write-fence", Beat::Delivered).is_some());
}

#[rstest]
#[case::silent(Behaviour::Silent)]
#[case::hangs_up(Behaviour::HangsUp)]
#[case::drips(Behaviour::Drips(b"HTTP/1.1 200 OK\r\nx: y\r\n".to_vec()))]
#[case::garbage(Behaviour::Says(vec![0xff; 4096]))]
#[case::not_json(Behaviour::answer("200 OK", "<html>"))]
#[case::server_error(Behaviour::answer("500 Internal Server Error", DENY))]
#[case::older(Behaviour::answer("404 Not Found", "{}"))]
#[case::other_protocol(Behaviour::answer("426 Upgrade Required", DENY))]
#[case::another_word(Behaviour::answer("200 OK", r#"{"verdict":"block","text":"[stopgate] x"}"#))]
#[case::not_our_text(Behaviour::answer("200 OK", r#"{"verdict":"deny","text":"stay out"}"#))]
#[case::no_text(Behaviour::answer("200 OK", r#"{"verdict":"deny"}"#))]
#[case::a_note_that_is_not_ours(Behaviour::answer("200 OK", r#"{"verdict":"note","text":"stay out"}"#))]
#[case::allows(Behaviour::answer("200 OK", ALLOW))]
fn whatever_the_authority_does_wrong_the_write_goes_through(#[case] behaviour: Behaviour) {
    for mode in ["enforce", "shadow"] {
        let site = Site::new(mode);
        let fake = site.authority(behaviour.clone());
        assert_silent(&site.run(Harness::Claude, &site.write()));
        assert_eq!(fake.connections(), 1, "{mode}");
    }
}

/// An authority that hangs is left at the hook's own deadline, however long the harness would wait.
#[test]
fn the_hook_s_own_deadline_ends_it() {
    let site = Site::holding("enforce", &["src/"]);
    let _fake = site.authority(Behaviour::Silent);
    let mut command = site.world.command(&stopgate_tests::world::binary("write-fence"));
    command.arg("claude").env("STOPGATE_DEADLINE_MS", "50").env_remove("STOPGATE_PATIENCE");
    // Over by its timer, or with its line: either way it has ended, with success.
    assert!(finish(command, Stdin::NeverClosed(site.write().to_string().into_bytes())).status.success());
}

fn unchecked(output: &Output) -> bool {
    if output.stdout.is_empty() {
        assert_silent(output);
        return false;
    }
    let said = said(output);
    assert!(said.get("permissionDecision").is_none(), "{said}");
    said["additionalContext"].as_str().unwrap().contains("cannot be checked now")
}

#[test]
fn where_another_holds_a_lease_and_nobody_answers_that_is_said_once() {
    let site = Site::holding("enforce", &["src/"]);
    assert!(unchecked(&site.run(Harness::Claude, &site.write())));
    assert!(beat::last(&site.world.home, "write-fence", Beat::Failed).is_some());
    assert!(!unchecked(&site.run(Harness::Claude, &site.write())), "once");
    let patch = codex(&site.shared, "apply_patch", "*** Begin Patch\n*** Add File: src/n\n+x\n*** End Patch");
    assert!(unchecked(&site.run(Harness::Codex, &patch)), "another session is told by itself");
    let marks: Vec<_> = std::fs::read_dir(site.world.home.run().join("unchecked")).unwrap().collect();
    assert_eq!(marks.len(), 2);
    for mark in marks {
        let long_ago = SystemTime::now() - Duration::from_secs(301);
        std::fs::File::open(mark.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
    }
    assert!(unchecked(&site.run(Harness::Claude, &site.write())), "five minutes later");
}

#[rstest]
#[case::another_path("enforce", &["docs/"], true)]
#[case::no_lease("enforce", &[], true)]
#[case::shadow("shadow", &["src/"], true)]
#[case::answered("enforce", &["src/"], false)]
fn where_no_lease_is_in_question_nothing_is_said(#[case] mode: &str, #[case] leases: &[&str], #[case] down: bool) {
    let site = Site::holding(mode, leases);
    let _fake = (!down).then(|| site.authority(Behaviour::answer("200 OK", ALLOW)));
    assert!(!unchecked(&site.run(Harness::Claude, &site.write())));
    assert!(!site.world.home.run().join("unchecked").exists());
}
