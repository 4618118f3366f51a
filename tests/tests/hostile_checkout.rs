//! What an agent may plant in a checkout: links out of it, pipes, devices, directories, files without end, names that
//! climb. Nothing is waited for, nothing outside is read into an answer, a log or the database, nothing outside is
//! written. `docs/security.md` lists the files.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rstest::rstest;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_build_guard::state::{BuildState, Phase, Size, Worktree};
use stopgate_build_guard::store;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::person::{Person, QUIETLY};
use stopgate_tests::world::{EXCUSE, World, assert_silent, block_reason, session_start, stop, with};

/// Stands in every file outside, in the form that whoever reads it by mistake would pass on.
const CANARY: &str = "canary7f3a";
const SESSION: &str = "s1";

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    /// A link to a file outside, with the canary in it.
    Link,
    /// The directory above it is a link to one outside, with such a file in it.
    LinkedParent,
    Fifo,
    Zero,
    Directory,
    /// A tebibyte of nothing.
    Sparse,
}

/// A world with a checkout, and a directory beside it that is nobody's business.
struct Stage {
    world: World,
    checkout: Checkout,
}

impl Stage {
    fn new() -> Self {
        let world = World::new();
        world.home.create().unwrap();
        std::fs::write(world.home.mode_file(), "enforce\n").unwrap();
        let checkout = world.planned_checkout();
        std::fs::create_dir(world.root().join("outside")).unwrap();
        Self { world, checkout }
    }

    fn top(&self) -> &Path {
        &self.checkout.top
    }

    fn outside(&self) -> PathBuf {
        self.world.root().join("outside")
    }

    /// Puts `plant` in the place of `path`; a file outside says `text`.
    fn plant(&self, plant: Plant, path: &str, text: &str) {
        let path = self.top().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        plant_at(plant, &path, &self.outside(), text);
    }

    /// Everything below the directory outside, with its content.
    fn tree(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files(&self.outside())
    }

    /// Fails if the canary is in `said`, or in any file of the home.
    fn assert_quiet(&self, said: &[u8]) {
        let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|part| part.eq_ignore_ascii_case(CANARY.as_bytes()));
        assert!(!holds(said), "{}", String::from_utf8_lossy(said));
        for (path, bytes) in files(self.world.home.root()) {
            assert!(!holds(&bytes), "the canary is in {}", path.display());
        }
    }

    /// Begins a session, lets it stop with an excuse, and looks at everything that could tell of it.
    fn stop(&self) -> String {
        let authority = self.world.authority();
        self.world.start_session(SESSION, self.top());
        let said = self.world.stop_session(SESSION, self.top(), EXCUSE);
        let row = authority.judged(SESSION);
        let mut told = said.clone().into_bytes();
        let explained = self.world.stopgate(&["explain", &row.event_id]);
        let shown = self.world.stopgate(&["sessions", "show", SESSION]);
        for output in [explained, shown] {
            told.extend([output.stdout, output.stderr].concat());
        }
        drop(authority);
        self.assert_quiet(&told);
        said
    }
}

fn plant_at(plant: Plant, path: &Path, outside: &Path, text: &str) {
    let parent = path.parent().unwrap();
    let name = path.file_name().unwrap();
    if plant == Plant::LinkedParent {
        let _ = std::fs::remove_dir_all(parent);
        let target = outside.join("parent");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join(name), text).unwrap();
        symlink(&target, parent).unwrap();
        return;
    }
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_dir_all(path);
    match plant {
        Plant::Link => {
            std::fs::write(outside.join(name), text).unwrap();
            symlink(outside.join(name), path).unwrap();
        }
        Plant::Fifo => mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap(),
        Plant::Zero => symlink("/dev/zero", path).unwrap(),
        Plant::Directory => std::fs::create_dir(path).unwrap(),
        Plant::Sparse => std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        Plant::LinkedParent => unreachable!(),
    }
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        } else {
            found.push((path, Vec::new()));
        }
    }
    found.sort();
    found
}

#[test]
fn the_control_an_untouched_plan_holds_the_stop() {
    assert!(block_reason(&Stage::new().stop()).contains("write the parser"));
}

#[rstest]
fn a_plan(
    #[values(Plant::Link, Plant::LinkedParent, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant,
) {
    let stage = Stage::new();
    stage.plant(plant, "docs/plan.md", &format!("# Plan\n- [ ] {CANARY} write the parser\n"));
    assert_eq!(stage.stop(), "", "{plant:?}");
}

#[rstest]
fn the_checkout_s_configuration(
    #[values(Plant::Link, Plant::LinkedParent, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant,
) {
    let stage = Stage::new();
    stage.plant(plant, ".stopgate/config.toml", &format!("{CANARY} = 1\n[gate]\n{CANARY} = \"{CANARY}\"\n"));
    let shown = stage.world.stopgate_in(stage.top(), &["config"]);
    stage.assert_quiet(&[shown.stdout, shown.stderr].concat());
    // A file that cannot be read tightens nothing.
    assert!(block_reason(&stage.stop()).contains("write the parser"), "{plant:?}");
}

#[rstest]
#[case::head(".git/HEAD", "ref: refs/heads/canary7f3a\n")]
#[case::reference(".git/refs/heads/main", "canary7f3a\n")]
#[case::packed(".git/packed-refs", "canary7f3a refs/heads/main\n")]
#[case::index(".git/index", "canary7f3a")]
fn git_s_own_files(
    #[case] path: &str,
    #[case] text: &str,
    #[values(Plant::Link, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant,
) {
    let stage = Stage::new();
    stage.plant(plant, path, text);
    let authority = stage.world.authority();
    stage.world.start_session(SESSION, stage.top());
    let said = stage.world.stop_session(SESSION, stage.top(), EXCUSE);
    drop(authority);
    assert_silent(&stage.world.run_hook("build-stop-hook", &stop(SESSION, stage.top(), EXCUSE)));
    stage.assert_quiet(said.as_bytes());
}

#[rstest]
#[case::climbs("gitdir: ../outside/../outside/.git\n")]
#[case::absolute("gitdir: OUTSIDE/.git\n")]
#[case::nowhere("gitdir: ../../../../../../../../canary7f3a\n")]
#[case::itself("gitdir: .\n")]
fn a_pointer_to_another_repository(#[case] pointer: &str) {
    let stage = Stage::new();
    let victim = Checkout::with_plan(&stage.outside());
    std::fs::write(victim.top.join("docs/plan.md"), format!("- [ ] {CANARY}\n")).unwrap();
    let before = stage.tree();
    std::fs::remove_dir_all(stage.top().join(".git")).unwrap();
    std::fs::write(stage.top().join(".git"), pointer.replace("OUTSIDE", victim.top.to_str().unwrap())).unwrap();
    stage.stop();
    let started = stage.world.stopgate_in(stage.top(), &["build", "start", "x", "--owner-session", "claude:s1"]);
    stage.assert_quiet(&[started.stdout, started.stderr].concat());
    assert_eq!(stage.tree(), before, "{pointer}");
}

/// `.git` and all that it leads to are the agent's: nobody else's directory says that this is a worktree of its.
#[rstest]
#[case::a_repository("victim/.git")]
#[case::no_repository("plain/.git")]
fn pointers_that_were_planted_together(#[case] main: &str) {
    let stage = Stage::new();
    let victim = Checkout::with_plan(&stage.outside().join("victim"));
    std::fs::write(victim.top.join("docs/plan.md"), format!("- [ ] {CANARY}\n")).unwrap();
    build(&victim.top.join(".stopgate/builds/b1"), "b1");
    std::fs::create_dir(stage.outside().join("plain")).unwrap();
    let before = stage.tree();
    std::fs::remove_dir_all(stage.top().join(".git")).unwrap();
    for (path, text) in [
        (".git", "gitdir: own\n".to_owned()),
        ("own/HEAD", "ref: refs/heads/main\n".to_owned()),
        ("own/gitdir", "../.git\n".to_owned()),
        ("own/commondir", format!("{}\n", stage.outside().join(main).display())),
    ] {
        std::fs::create_dir_all(stage.top().join("own")).unwrap();
        std::fs::write(stage.top().join(path), text).unwrap();
    }
    assert_silent(&stage.world.run_hook("build-stop-hook", &stop(SESSION, stage.top(), EXCUSE)));
    stage.stop();
    let started = stage.world.stopgate_in(stage.top(), &["build", "start", "x", "--owner-session", "claude:other"]);
    stage.assert_quiet(&[started.stdout, started.stderr].concat());
    assert_eq!(stage.tree(), before, "nothing is read or written there");
}

#[rstest]
fn a_transcript(#[values(Plant::Link, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant) {
    let stage = Stage::new();
    let line = json!({"type": "user", "timestamp": "2030-01-01T00:00:00Z", "message": {"content": format!("please stop {CANARY}")}});
    stage.plant(plant, "transcript.jsonl", &format!("{line}\n"));
    let authority = stage.world.authority();
    let path = json!(stage.top().join("transcript.jsonl"));
    let started = with(session_start(SESSION, stage.top(), "startup"), "transcript_path", path.clone());
    assert_silent(&stage.world.run_hook("session-start-recorder", &started));
    // What the person asked for is known from what the hooks heard: nothing is to be read of it there.
    let asked = json!({"session_id": SESSION, "cwd": stage.top(), "hook_event_name": "UserPromptSubmit", "prompt_id": "p",
                       "prompt": "Execute docs/plan.md", "transcript_path": path});
    assert_silent(&stage.world.run_hook("session-start-recorder", &asked));
    let stopped = with(stop(SESSION, stage.top(), EXCUSE), "transcript_path", path);
    let said = stage.world.run_hook("stop-gate-router", &stopped);
    assert!(block_reason(std::str::from_utf8(&said.stdout).unwrap()).contains("write the parser"), "{plant:?}");
    authority.sessions();
    drop(authority);
    stage.assert_quiet(&[]);
}

/// A live build of the session in `dir`.
fn build(dir: &Path, id: &str) -> BuildState {
    std::fs::create_dir_all(dir).unwrap();
    let owner = OwnerStamp { session_id: Some(SESSION.into()), ..OwnerStamp::default() };
    let state = BuildState::started(id.into(), format!("the task of {CANARY}"), Size::Small, Some(owner), 0);
    let state = BuildState { phase: Phase::Executing, ..state };
    store::write(dir, &state).unwrap();
    state
}

#[rstest]
#[case::all(".stopgate", "builds/b1")]
#[case::builds(".stopgate/builds", "b1")]
#[case::one(".stopgate/builds/b1", "")]
#[case::archive(".stopgate/archive", "b1")]
#[case::archived(".stopgate/archive/b1", "")]
fn builds_behind_a_link(#[case] link: &str, #[case] below: &str) {
    let stage = Stage::new();
    build(&stage.outside().join("target").join(below), "b1");
    let link = stage.top().join(link);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(stage.outside().join("target"), &link).unwrap();
    let before = stage.tree();
    assert_silent(&stage.world.run_hook("build-stop-hook", &stop(SESSION, stage.top(), EXCUSE)));
    for arguments in [
        &["build", "list", "--all"][..],
        &["build", "status", "--build", "b1"],
        &["build", "start", "x", "--owner-session", "claude:other"],
        &["build", "fail", "--build", "b1", "--reason", "x"],
        &["build", "restore", "--build", "b1"],
        &["build", "worktree", "create", "--build", "b1"],
    ] {
        let output = stage.world.stopgate_in(stage.top(), arguments);
        stage.assert_quiet(&[output.stdout, output.stderr].concat());
        assert_eq!(stage.tree(), before, "{arguments:?}");
    }
}

#[test]
fn an_end_is_not_put_away_behind_a_link() {
    let stage = Stage::new();
    build(&stage.top().join(".stopgate/builds/b1"), "b1");
    symlink(stage.outside(), stage.top().join(".stopgate/archive")).unwrap();
    let output = stage.world.stopgate_in(stage.top(), &["build", "fail", "--build", "b1", "--reason", "x"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stage.tree(), []);
    assert!(stage.top().join(".stopgate/builds/b1/state.json").exists());
}

#[test]
fn ids_do_not_climb() {
    let stage = Stage::new();
    build(&stage.outside().join("b1"), "b1");
    std::fs::create_dir_all(stage.top().join(".stopgate/builds")).unwrap();
    let before = stage.tree();
    for id in ["../../../outside/b1", "..", ".", "b1/../../../../outside/b1", "", "-x"] {
        let output = stage.world.stopgate_in(stage.top(), &["build", "fail", "--reason", "x", "--build", id]);
        assert!(!output.status.success(), "{id}: {output:?}");
    }
    assert_eq!(stage.tree(), before);
}

#[rstest]
#[case("../outside/tree")]
#[case(".stopgate/worktrees/../../../outside/tree")]
#[case(".stopgate/worktrees/..")]
#[case("OUTSIDE/tree")]
fn a_worktree_of_a_build_does_not_climb(#[case] path: &str) {
    let stage = Stage::new();
    // A worktree that git knows, so that git would remove it.
    let tree = stage.outside().join("tree");
    stage.checkout.git(&["worktree", "add", "-q", "-b", "side", tree.to_str().unwrap()]);
    let dir = stage.top().join(".stopgate/builds/b1");
    let state = build(&dir, "b1");
    let path = path.replace("OUTSIDE", stage.outside().to_str().unwrap());
    let worktree = Worktree { path, branch: "side".into(), source_branch: "main".into(), merged: false };
    store::write(&dir, &BuildState { worktree: Some(worktree), ..state }).unwrap();
    for action in [&["cleanup", "--force"][..], &["merge"]] {
        let arguments = [&["build", "worktree"], action, &["--build", "b1"]].concat();
        let output = stage.world.stopgate_in(stage.top(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not in .stopgate/worktrees"), "{output:?}");
    }
    assert!(tree.join("docs/plan.md").exists());
}

#[test]
fn worktrees_are_not_made_behind_a_link() {
    let stage = Stage::new();
    build(&stage.top().join(".stopgate/builds/b1"), "b1");
    symlink(stage.outside(), stage.top().join(".stopgate/worktrees")).unwrap();
    let output = stage.world.stopgate_in(stage.top(), &["build", "worktree", "create", "--build", "b1"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stage.tree(), []);
}

#[test]
fn another_name_of_a_file_outside_is_not_written() {
    let stage = Stage::new();
    let dir = stage.top().join(".stopgate/builds/b1");
    build(&dir, "b1");
    for name in ["audit.jsonl", "lock"] {
        std::fs::write(stage.outside().join(name), CANARY).unwrap();
        std::fs::hard_link(stage.outside().join(name), dir.join(name)).unwrap();
    }
    std::fs::hard_link(dir.join("state.json"), stage.outside().join("state.json")).unwrap();
    let before = stage.tree();
    let held = stage.world.run_hook("build-stop-hook", &stop(SESSION, stage.top(), EXCUSE));
    assert!(held.status.success() && held.stderr.is_empty(), "{held:?}");
    assert_eq!(stage.tree(), before);
}

#[rstest]
fn settings_of_a_project(
    #[values(Plant::Link, Plant::LinkedParent, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant,
    #[values("project", "project-local")] scope: &str,
) {
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    let outside = person.world.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let name = if scope == "project" { "settings.json" } else { "settings.local.json" };
    let path = checkout.top.join(".claude").join(name);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    plant_at(plant, &path, &outside, &format!("{{\"env\": {{\"A\": \"{CANARY}\"}}}}"));
    let before = files(&outside);
    let top = checkout.top.to_str().unwrap();
    let output = person.run(&["init", "--scope", scope, "--project", top, QUIETLY[0], QUIETLY[1]]);
    assert_eq!(output.status.code(), Some(2), "{plant:?}: {output:?}");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains(CANARY) && said.contains(".claude"), "{said}");
    assert_eq!(files(&outside), before, "{plant:?}");
}

#[test]
fn a_link_within_the_project_is_followed() {
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    checkout.write("conf/shared.json", "{}\n");
    std::fs::create_dir(checkout.top.join(".claude")).unwrap();
    symlink("../conf/shared.json", checkout.top.join(".claude/settings.json")).unwrap();
    let top = checkout.top.to_str().unwrap();
    person.must(&["init", "--scope", "project", "--project", top, QUIETLY[0], QUIETLY[1]]);
    assert!(std::fs::read_to_string(checkout.top.join("conf/shared.json")).unwrap().contains("stop-gate-router"));
    person.must(&["uninstall", "--scope", "project", "--project", top, "--yes"]);
    assert_eq!(std::fs::read_to_string(checkout.top.join("conf/shared.json")).unwrap(), "{}\n");
}

#[rstest]
fn doctor_waits_for_nothing_that_was_planted_since(
    #[values(Plant::Link, Plant::Fifo, Plant::Zero, Plant::Directory, Plant::Sparse)] plant: Plant,
) {
    let person = Person::new();
    let checkout = person.world.planned_checkout();
    let outside = person.world.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let top = checkout.top.to_str().unwrap();
    person.must(&["init", "--scope", "project-local", "--project", top, QUIETLY[0], QUIETLY[1]]);
    for name in ["settings.json", "settings.local.json"] {
        plant_at(plant, &checkout.top.join(".claude").join(name), &outside, &format!("{CANARY}: no json"));
    }
    let (code, report) = person.json(&["doctor", "--no-fire"]);
    assert_ne!(code, 0, "{report:#}");
    assert!(!report.to_string().contains(CANARY), "{report:#}");
    let before = files(&outside);
    let taken_back = person.run(&["uninstall", "--project", top, "--yes"]);
    assert!(taken_back.status.code().is_some(), "{taken_back:?}");
    assert_eq!(files(&outside), before);
}

#[test]
fn a_session_s_id_names_no_file_elsewhere() {
    let stage = Stage::new();
    let before = files(stage.world.root()).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    for id in ["../../../../x", "/etc/x", "..", "a/../../../b"] {
        stage.world.start_silent_session(id, stage.top());
        let prompt = json!({"session_id": id, "cwd": stage.top(), "hook_event_name": "UserPromptSubmit", "prompt": "please stop here"});
        assert_silent(&stage.world.run_hook("session-start-recorder", &prompt));
        assert_silent(&stage.world.run_hook("build-stop-hook", &stop(id, stage.top(), EXCUSE)));
        let _: Value = json!(stage.world.stop_session(id, stage.top(), EXCUSE));
    }
    let home = stage.world.home.root();
    let after: Vec<_> =
        files(stage.world.root()).into_iter().map(|(path, _)| path).filter(|path| !path.starts_with(home)).collect();
    assert_eq!(after, before.into_iter().filter(|path| !path.starts_with(home)).collect::<Vec<_>>());
}
