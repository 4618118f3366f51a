//! The fence through the real clients: a write that is refused is not made, and the model is told why.
//!
//! Needs the clients (`STOPGATE_TEST_CLAUDE`, `STOPGATE_TEST_CODEX`), but neither a network nor a key; without one of them its
//! test says so and passes.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use stopgate_coordination::held::{self, HeldTree};
use stopgate_core::session::{Harness, SessionKey};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::claude_driver::{ClaudeSession, real_claude};
use stopgate_tests::codex_driver::{CodexSession, CodexSummary, real_codex};
use stopgate_tests::fake_authority::{Behaviour, FakeAuthority, answer};
use stopgate_tests::mock_anthropic::Turn;
use stopgate_tests::person::Person;

const CLAUDE_DRIVER: &str = env!("CARGO_BIN_EXE_drive-claude");
const CODEX_DRIVER: &str = env!("CARGO_BIN_EXE_drive-codex");
const VARIABLES: [(&str, &str); 2] = [("STOPGATE_NO_AUTOSTART", "1"), ("STOPGATE_PATIENCE", "10")];
const BEFORE: &str = "as it was\n";

/// Refuses what the fence asks about, and takes in all else.
fn refuse(request: &str) -> Vec<u8> {
    if request.starts_with("POST /fence ") {
        return answer("200 OK", r#"{"verdict":"deny","text":"[stopgate] amber (codex) holds it"}"#);
    }
    answer("202 Accepted", "")
}

/// A person with both sets of lines, in whose checkout another session lives.
struct Site {
    person: Person,
    checkout: Checkout,
}

impl Site {
    fn new(harness: Harness) -> Self {
        let person = Person::new();
        std::fs::create_dir_all(person.dir().join(harness.spec().directory)).unwrap();
        person.install(&["--harness", harness.name(), "--with", "coordination"]);
        let checkout = person.world.planned_checkout();
        checkout.write("a.txt", BEFORE);
        let other = SessionKey::new(Harness::Codex, "other").unwrap();
        let tree = checkout.top.canonicalize().unwrap();
        let held = held::render(&[HeldTree { tree, sessions: vec![other], leases: Vec::new() }]);
        std::fs::create_dir_all(person.world.home.run()).unwrap();
        std::fs::write(held::file(&person.world.home), held).unwrap();
        Self { person, checkout }
    }

    fn mode(&self, mode: &str) {
        std::fs::write(self.person.world.home.fence_file(), mode).unwrap();
    }

    fn authority(&self) -> FakeAuthority {
        FakeAuthority::listen(&self.person.world.home.socket(), Behaviour::Answers(refuse))
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.checkout.top.join(name)).ok()
    }
}

#[test]
fn claude_code_makes_no_write_that_is_refused_and_is_told_why() {
    if real_claude().is_none() {
        return;
    }
    let site = Site::new(Harness::Claude);
    let _authority = site.authority();
    let top = &site.checkout.top;
    let session = || {
        let write = Turn::tool("Write", json!({"file_path": top.join("new.txt"), "content": "written"}));
        let shell = Turn::bash("echo written >> a.txt");
        let session = ClaudeSession::new(top).home(site.person.dir()).turns([write, shell, Turn::text("done")]);
        let session = VARIABLES.into_iter().fold(session, |session, (name, value)| session.env(name, value));
        session.arg("--allowedTools").arg("Write,Bash").run(CLAUDE_DRIVER).unwrap()
    };
    site.mode("enforce\n");
    let refused = session();
    assert_eq!(refused.exit_code, Some(0), "{refused:#?}");
    assert_eq!((site.read("a.txt").as_deref(), site.read("new.txt")), (Some(BEFORE), None), "{refused:#?}");
    for (result, tool) in refused.tool_results.iter().zip(["Write", "Bash"]) {
        assert!(
            result.contains(&format!("PreToolUse:{tool} hook error: [stopgate] amber (codex) holds it")),
            "{result}"
        );
    }
    assert_eq!(refused.tool_results.len(), 2, "{refused:#?}");

    // The control: in shadow the same session writes both, and hears nothing.
    site.mode("shadow\n");
    let written = session();
    assert_eq!(site.read("a.txt").unwrap(), format!("{BEFORE}written\n"), "{written:#?}");
    assert_eq!(site.read("new.txt").as_deref(), Some("written"), "{written:#?}");
    assert!(written.tool_results.iter().all(|result| !result.contains("[stopgate]")), "{written:#?}");
}

#[test]
fn codex_makes_no_write_that_is_refused() {
    let Some(codex) = real_codex() else { return };
    let site = Site::new(Harness::Codex);
    let session = || -> CodexSummary {
        let patch = "*** Begin Patch\n*** Add File: new.txt\n+written\n*** End Patch";
        let session = CodexSession {
            codex: codex.clone(),
            project: site.checkout.top.clone(),
            home: site.person.dir(),
            prompt: "write".to_owned(),
            turns: vec![
                Turn::tool("apply_patch", json!({"input": patch})),
                Turn::bash("echo written >> a.txt"),
                Turn::text("done"),
            ],
            env: VARIABLES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        session.run(CODEX_DRIVER)
    };
    let bin = site.person.world.root().join("codex bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(&codex, bin.join("codex")).unwrap();
    let mut trust = site.person.installer(&["init", "--harness", "codex", "--yes", "--trust", "--no-live-check"]);
    trust.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display())).env("STOPGATE_NO_AUTOSTART", "1");
    let trusted = stopgate_tests::run::finish(trust, stopgate_tests::run::Stdin::from(""));
    assert!(trusted.status.success(), "{trusted:?}");
    let authority = site.authority();
    site.mode("enforce\n");
    let refused = session();
    assert_eq!(refused.exit_code, Some(0), "{refused:#?}");
    assert_eq!((site.read("a.txt").as_deref(), site.read("new.txt")), (Some(BEFORE), None), "{refused:#?}");
    let blocked = refused.hook_lines.iter().filter(|line| line.contains("PreToolUse") && line.contains("Blocked"));
    assert_eq!(blocked.count(), 2, "{refused:#?}");

    site.mode("shadow\n");
    let written = session();
    assert_eq!(site.read("a.txt").unwrap(), format!("{BEFORE}written\n"), "{written:#?}");
    assert_eq!(site.read("new.txt").as_deref(), Some("written\n"), "{written:#?}");

    // Taking the set back takes its trust, and leaves that of the others.
    let config = || std::fs::read_to_string(site.person.dir().join(".codex/config.toml")).unwrap();
    assert!(config().contains(":pre_tool_use:") && config().contains(":stop:"), "{}", config());
    drop(authority);
    site.person.must(&["coordination", "disable", "--yes"]);
    assert!(!config().contains(":pre_tool_use:") && config().contains(":stop:"), "{}", config());
}
