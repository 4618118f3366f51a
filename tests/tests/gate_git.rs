//! The gate in repositories of every layout, with git on the agent's path and not, and in trees that are too large to be
//! looked at file by file.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use stopgate_core::decision::Decision;
use stopgate_core::session::Harness;
use stopgate_gate::facts::GitTrouble;
use stopgate_protocol::{GateLogRow, GetHealth};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::run::{Stdin, eventually, finish};
use stopgate_tests::world::{EXCUSE, RunningAuthority, World, assert_silent, block_reason, session_start};

/// Where programs are on the tests' machines.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs git in `dir`.
fn git(dir: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(dir)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    let output = finish(command, Stdin::from(""));
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
}

/// Where a layout's working tree is, and a repository above it, whose plan is not the session's.
struct Places {
    parent: Checkout,
    source: Checkout,
}

impl Places {
    fn new(world: &World) -> Self {
        let parent = Checkout::create(&world.root().join("parent"));
        parent.write("plan.md", "- [ ] somebody else's\n");
        parent.commit("plan");
        let source = Checkout::with_plan(&world.root().join("source"));
        Self { parent, source }
    }

    fn below(&self, name: &str) -> PathBuf {
        self.parent.top.join(name)
    }

    fn source(&self) -> &str {
        self.source.top.to_str().unwrap()
    }
}

fn plain(places: &Places) -> PathBuf {
    git(&places.parent.top, &["clone", "-q", places.source(), "plain"]);
    places.below("plain")
}

fn bare_with_worktrees(places: &Places) -> PathBuf {
    let bare = places.below("bare");
    std::fs::create_dir(&bare).unwrap();
    git(&bare, &["clone", "-q", "--bare", places.source(), ".bare"]);
    std::fs::write(bare.join(".git"), "gitdir: ./.bare\n").unwrap();
    git(&bare, &["worktree", "add", "-q", "-b", "one", "one"]);
    bare.join("one")
}

fn worktree_of_a_worktree(places: &Places) -> PathBuf {
    let first = bare_with_worktrees(places);
    git(&first, &["worktree", "add", "-q", "-b", "two", "two"]);
    first.join("two")
}

fn reftable(places: &Places) -> PathBuf {
    git(&places.parent.top, &["clone", "-q", "--ref-format=reftable", places.source(), "reftable"]);
    places.below("reftable")
}

fn reftable_worktree(places: &Places) -> PathBuf {
    git(&reftable(places), &["worktree", "add", "-q", "-b", "tree", "../tree"]);
    places.below("tree")
}

fn linked(places: &Places) -> PathBuf {
    let linked = places.below("linked");
    git(&places.parent.top, &["clone", "-q", places.source(), "linked"]);
    std::fs::rename(linked.join(".git"), places.source.top.join("../git dir")).unwrap();
    symlink(places.source.top.join("../git dir"), linked.join(".git")).unwrap();
    linked
}

fn separate_git_dir(places: &Places) -> PathBuf {
    git(&places.parent.top, &["clone", "-q", "--separate-git-dir", "../apart.git", places.source(), "apart"]);
    places.below("apart")
}

fn submodule(places: &Places) -> PathBuf {
    git(&places.parent.top, &["submodule", "--quiet", "add", places.source(), "sub"]);
    places.below("sub")
}

fn worktree_of_a_submodule(places: &Places) -> PathBuf {
    git(&submodule(places), &["worktree", "add", "-q", "-b", "tree", "../subtree"]);
    places.below("subtree")
}

/// A step of before holds the session in every layout; one that the session wrote itself, and one of the repository around
/// it, do not, whatever `GIT_DIR` says.
#[rstest]
#[case::plain(plain)]
#[case::bare(bare_with_worktrees)]
#[case::worktree_of_a_worktree(worktree_of_a_worktree)]
#[case::reftable(reftable)]
#[case::reftable_worktree(reftable_worktree)]
#[case::linked(linked)]
#[case::separate_git_dir(separate_git_dir)]
#[case::submodule(submodule)]
#[case::worktree_of_a_submodule(worktree_of_a_submodule)]
fn in_every_layout_only_a_step_of_before_holds(#[case] layout: fn(&Places) -> PathBuf) {
    let mut world = World::enforcing();
    let places = Places::new(&world);
    let top = layout(&places);
    let elsewhere = places.parent.top.join(".git");
    world.set_env("GIT_DIR", elsewhere.to_str().unwrap());
    world.set_env("GIT_WORK_TREE", places.parent.top.to_str().unwrap());
    // What is tracked in it, and what it refers to, is not the layout's affair.
    let authority = world.authority();
    world.start_session("holds", &top);
    head_is_known(&authority, "holds", &top);
    let reason = block_reason(&world.stop_session("holds", &top, EXCUSE));
    assert!(reason.contains("docs/plan.md") && reason.contains("write the parser"), "{reason}");

    let own = "# Plan\n\n- [x] lexer\n- [x] write the parser\n- [x] write the tests\n";
    std::fs::write(top.join("docs/plan.md"), own).unwrap();
    git(&top, &["commit", "-q", "-a", "-m", "done"]);
    world.start_session("own", &top);
    head_is_known(&authority, "own", &top);
    std::fs::write(top.join("docs/plan.md"), format!("{own}- [ ] written by the session\n")).unwrap();
    git(&top, &["commit", "-q", "-a", "-m", "more"]);
    assert_eq!(world.stop_session("own", &top, EXCUSE), "");
    let row = authority.judged("own");
    assert_eq!((row.short_circuit.as_deref(), row.fail_open), (Some("no-evidence"), None));
}

/// Waits for what the authority has to ask git for. A commit of the very second in which the session began may be the
/// session's own: it stays unknown.
fn head_is_known(authority: &RunningAuthority<'_>, session: &str, top: &Path) {
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(top).output().unwrap();
    let head = String::from_utf8(head.stdout).unwrap().trim().to_owned();
    eventually("the beginning is looked at", || {
        let row = authority.sessions().into_iter().find(|row| row.session_id == session)?;
        assert!(row.head_at_start.is_none() || row.head_at_start.as_deref() == Some(&head), "{row:?}");
        row.dirty_at_start
    });
}

/// What is not known of the start counts for the session: the row is as older versions wrote it, without a commit.
#[test]
fn an_unknown_start_counts_for_the_session() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let at_start = |id: &str| {
        world.start_session(id, &checkout.top);
        let store = rusqlite::Connection::open(world.home.database()).unwrap();
        store.busy_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(store.execute("UPDATE sessions SET head_at_start = NULL WHERE session_id = ?1", [id]).unwrap(), 1);
    };
    let authority = world.authority();
    // What was written just before the start is within the lag of a file system's clock.
    std::thread::sleep(Duration::from_millis(300));
    at_start("untouched");
    let reason = block_reason(&world.stop_session("untouched", &checkout.top, EXCUSE));
    assert!(reason.contains("docs/plan.md"), "nobody has touched it since: {reason}");
    at_start("touched");
    checkout.write("docs/plan.md", "- [x] lexer\n- [ ] written by the session\n");
    assert_eq!(world.stop_session("touched", &checkout.top, EXCUSE), "");
    let row = authority.judged("touched");
    assert_eq!((row.decision, row.short_circuit.as_deref()), (Some(Decision::Allow), Some("no-evidence")));
}

/// What nobody noted at the start git's own log tells: with reftable and no authority there, in a checkout below the
/// directory that the session began in, and in one that was made since.
#[test]
fn what_was_checked_out_at_a_start_that_nobody_noted_is_told_by_git_s_own_log() {
    let world = World::enforcing();
    let parent = world.root().join("parent");
    let made = |name: &str, init: &[&str]| {
        let top = parent.join(name);
        std::fs::create_dir_all(&top).unwrap();
        git(&top, init);
        top
    };
    let step = |top: &Path, text: &str| {
        std::fs::write(top.join("TODO.md"), text).unwrap();
        git(top, &["add", "."]);
        // No two repositories with a commit of one id.
        git(top, &["commit", "-q", "-m", top.to_str().unwrap()]);
    };
    let reftable = made("reftable", &["init", "-q", "--ref-format=reftable", "."]);
    let below = made("below", &["init", "-q", "."]);
    for top in [&reftable, &below] {
        step(top, "- [ ] of before\n");
    }
    // A second of its own: git keeps time in seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    world.start_session("reftable", &reftable);
    world.start_session("parent", &parent);
    std::thread::sleep(Duration::from_millis(1_100));
    let made_since = made("made-since", &["init", "-q", "."]);
    for top in [&reftable, &below, &made_since] {
        step(top, "- [ ] of the session\n- [ ] of before\n");
    }
    let authority = world.authority();
    for (session, top) in [("reftable", &reftable), ("parent", &below)] {
        let reason = block_reason(&world.stop_session(session, top, EXCUSE));
        assert!(reason.contains("TODO.md: of before"), "{session}: {reason}");
        let why = explained(&world, &authority.judged(session));
        assert!(why.contains("git's log of HEAD"), "{why}");
    }
    world.start_session("elsewhere", &reftable);
    for (session, top) in [("parent", &made_since), ("elsewhere", &below)] {
        let before = authority.log().len();
        assert_eq!(world.stop_session(session, top, EXCUSE), "", "{session}");
        let rows = authority.log();
        assert_eq!((rows.len() - before, rows[0].short_circuit.as_deref()), (1, Some("no-evidence")), "{session}");
    }
}

#[test]
fn a_plan_that_is_too_large_is_named_by_explain() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    checkout.write("docs/plan.md", &"- [ ] write the parser\n".repeat(30_000));
    checkout.commit("a large plan");
    let authority = world.authority();
    world.start_session("large", &checkout.top);
    assert_eq!(world.stop_session("large", &checkout.top, EXCUSE), "");
    let why = explained(&world, &authority.judged("large"));
    assert!(why.contains("docs/plan.md: too large, 512 KiB is the most"), "{why}");
    checkout.write("docs/plan.md", "- [ ] write the parser\n");
    checkout.commit("a small plan");
    world.start_session("small", &checkout.top);
    block_reason(&world.stop_session("small", &checkout.top, EXCUSE));
    assert!(!explained(&world, &authority.judged("small")).contains("too large"));
}

#[test]
fn a_plan_that_a_checkout_s_own_configuration_leaves_out_is_named_by_explain_log_and_status() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let said = |arguments: &[&str]| String::from_utf8(world.stopgate(arguments).stdout).unwrap();
    world.start_session("held", &checkout.top);
    block_reason(&world.stop_session("held", &checkout.top, EXCUSE));
    assert!(!explained(&world, &authority.judged("held")).contains("exclude_plans"));
    for command in [&["gate", "log"][..], &["status"]] {
        assert!(!said(command).contains("exclude_plans"));
    }

    checkout.write(".stopgate/config.toml", "[gate]\nexclude_plans = [\"docs\"]\n");
    world.start_session("released", &checkout.top);
    assert_eq!(world.stop_session("released", &checkout.top, EXCUSE), "");
    let row = authority.judged("released");
    assert_eq!(
        (row.detail.as_deref(), row.fail_open.as_deref()),
        (Some("no plan because of gate.exclude_plans: docs/plan.md"), None)
    );
    let why = explained(&world, &row);
    assert!(why.contains("docs/plan.md: no plan because of `gate.exclude_plans`"), "{why}");
    let log = said(&["gate", "log"]);
    assert!(log.contains("    no plan because of gate.exclude_plans: docs/plan.md"), "{log}");
    let file = checkout.top.join(".stopgate/config.toml");
    let status = said(&["status"]);
    assert!(status.contains(&format!("{} takes docs for no plan (gate.exclude_plans)", file.display())), "{status}");
}

fn program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A session of its own stops in `top`, of an agent with this search path: what the router prints, and the row.
fn stops(world: &World, authority: &RunningAuthority<'_>, path: &str, id: &str, top: &Path) -> (String, GateLogRow) {
    let run = |hook: &str, payload: Value| {
        let mut command = world.hook(hook);
        command.env("PATH", path);
        finish(command, Stdin::from(&*payload.to_string()))
    };
    assert_silent(&run("session-start-recorder", session_start(id, top, "startup")));
    world.asks_for_a_job(Harness::Claude, id);
    let output = run("stop-gate-router", world.stop(id, top, EXCUSE));
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), authority.judged(id))
}

fn explained(world: &World, row: &GateLogRow) -> String {
    String::from_utf8(world.stopgate(&["explain", &row.event_id]).stdout).unwrap()
}

#[test]
fn git_is_searched_on_the_path_of_the_agent_and_not_of_whoever_started_the_authority() {
    let mut world = World::enforcing();
    let checkout = world.planned_checkout();
    world.set_env("PATH", "/nowhere");
    let authority = world.authority();
    let (said, row) = stops(&world, &authority, "/nowhere", "without", &checkout.top);
    assert_eq!((said.as_str(), row.fail_open.as_deref()), ("", Some("git")));
    let why = explained(&world, &row);
    assert!(why.contains("there is no git on the session's search path") && why.contains("fail-open: git"), "{why}");
    let status = || String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
    assert!(status().contains(&format!("every stop in {} is let go", checkout.top.display())), "{}", status());
    let troubles = authority.call(&GetHealth {}).git_troubles;
    assert_eq!((&troubles[0].checkout, troubles[0].trouble), (&checkout.top, GitTrouble::Missing));
    // Another authority knows it from the log.
    drop(authority);
    let authority = world.authority();
    let remembered = authority.call(&GetHealth {}).git_troubles;
    assert_eq!((&remembered[0].checkout, remembered[0].trouble), (&checkout.top, GitTrouble::Missing));

    let (said, _) = stops(&world, &authority, PATH, "with", &checkout.top);
    assert!(block_reason(&said).contains("docs/plan.md"));
    let status = String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
    assert!(!status.contains("is let go"), "{status}");
}

#[test]
fn no_git_of_the_checkout_is_run_whatever_the_path_says() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let ran = world.root().join("ran");
    program(&checkout.top.join("bin/git"), &format!("echo ran >> '{}'", ran.display()));
    let link = world.root().join("link");
    symlink(checkout.top.join("bin"), &link).unwrap();
    let bin = checkout.top.join("bin");
    let up = format!("{}/../project/bin", world.root().join("home").display());
    let authority = world.authority();
    let planted = format!("bin:.::{}:{}:{up}", bin.display(), link.display());
    let (said, row) = stops(&world, &authority, &planted, "nothing-else", &checkout.top);
    assert_eq!((said.as_str(), row.fail_open.as_deref()), ("", Some("git")));
    let (said, _) = stops(&world, &authority, &format!("{planted}:{PATH}"), "planted", &checkout.top);
    assert!(block_reason(&said).contains("docs/plan.md"), "the real one answers");
    assert!(!ran.exists(), "the checkout's own program was run");
    assert!(Command::new(bin.join("git")).status().unwrap().success() && ran.exists(), "it would have told");
}

#[test]
fn a_checkout_of_another_user_and_a_broken_git_are_told_of() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    let authority = world.authority();
    let broken = world.root().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("git"), [0x7f, b'E', b'L', b'F', 0]).unwrap();
    std::fs::set_permissions(broken.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (said, row) = stops(&world, &authority, &format!("{}:{PATH}", broken.display()), "broken", &checkout.top);
    assert_eq!((said.as_str(), row.fail_open.as_deref()), ("", Some("git")));
    assert!(explained(&world, &row).contains("git cannot be run, or fails in it"));

    if chown(&checkout.top, Some(12_345), None)
        .and_then(|()| chown(checkout.top.join(".git"), Some(12_345), None))
        .is_err()
    {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root can give a checkout away\n");
        return;
    }
    let (said, row) = stops(&world, &authority, PATH, "refused", &checkout.top);
    assert_eq!((said.as_str(), row.fail_open.as_deref()), ("", Some("git")));
    let why = explained(&world, &row);
    assert!(why.contains("another user owns it") && why.contains("safe.directory"), "{why}");
    let settings = world.root().join("home/.gitconfig");
    std::fs::write(settings, format!("[safe]\n\tdirectory = {}\n", checkout.top.display())).unwrap();
    let (said, _) = stops(&world, &authority, PATH, "trusted", &checkout.top);
    assert!(block_reason(&said).contains("docs/plan.md"), "as it says");
}

/// A plan as long as a plan is read, which the session has written to, so that it is compared with what it was: read in
/// time in proportion to its length.
#[test]
fn a_plan_of_many_thousand_steps_is_judged_in_time() {
    const STEPS: usize = 47_000;
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    // One line of it has nothing but signs behind the name of a secret.
    let signs = format!("password{}", "=".repeat(60_000));
    checkout.write("docs/plan.md", &format!("{}- [ ] {signs}\n", "- [ ] a\n".repeat(STEPS)));
    checkout.commit("a long plan");
    let authority = world.authority();
    world.start_session("long", &checkout.top);
    checkout.work();
    let stopped = world.run_hook("stop-gate-router", &world.stop("long", &checkout.top, EXCUSE));
    assert!(block_reason(&String::from_utf8(stopped.stdout).unwrap()).contains("docs/plan.md"));
    let row = authority.judged("long");
    assert_eq!((row.decision, row.fail_open.as_deref()), (Some(Decision::Continue), None), "{row:?}");
    let explained = world.stopgate_json(&["explain", &row.event_id, "--json"]);
    let plan = &explained["recording"]["answers"]["facts"]["plans"][0];
    assert_eq!((&plan["open_steps"], &plan["next_step"]), (&Value::from(STEPS + 1), &Value::from("a")));
}

/// Stops in a checkout where git hangs are let go, and named so; they keep nobody's stops waiting elsewhere.
#[test]
fn a_git_that_hangs_in_one_checkout_costs_no_other_its_verdict() {
    let mut world = World::enforcing();
    let (slow, quick) = (world.planned_checkout(), Checkout::with_plan(&world.root().join("quick")));
    let hangs = world.root().join("hangs");
    program(&hangs.join("git"), "exec sleep 40");
    let away = format!("{}:{PATH}", hangs.display());
    world.set_env("STOPGATE_DEADLINE_MS", "1000");
    let authority = world.authority();
    let (said, row) = stops(&world, &authority, &away, "hangs", &slow.top);
    assert_eq!((said.as_str(), row.fail_open.as_deref()), ("", Some("timeout")));
    assert!(explained(&world, &row).contains("not known in time"), "{}", explained(&world, &row));
    let troubles = || authority.call(&GetHealth {}).git_troubles;
    assert_eq!(troubles(), [], "once may be anything");
    for id in ["hangs-again", "hangs-ever"] {
        stops(&world, &authority, &away, id, &slow.top);
    }
    assert_eq!(
        troubles().iter().map(|seen| (&seen.checkout, seen.trouble)).collect::<Vec<_>>(),
        [(&slow.top, GitTrouble::Slow)]
    );

    // In shadow nobody waits, and each may take its whole budget: altogether minutes.
    world.set_mode("shadow");
    for number in 0..12 {
        let id = format!("slow{number}");
        world.start_session(&id, &slow.top);
        let mut router = world.hook("stop-gate-router");
        router.env("PATH", &away);
        assert_silent(&finish(router, Stdin::from(&*world.stop(&id, &slow.top, EXCUSE).to_string())));
    }
    world.start_session("quick", &quick.top);
    assert_silent(&world.run_hook("stop-gate-router", &world.stop("quick", &quick.top, EXCUSE)));
    let row = authority.judged("quick");
    assert_eq!(row.decision, Some(Decision::Continue), "{row:?}");
    let done =
        authority.log().iter().filter(|row| row.session_id.starts_with("slow") && row.decision.is_some()).count();
    assert!(done < 6, "{done} of the others were judged before");
}

/// Tens of thousands of files that are neither tracked nor ignored: the plan is found, and git lists few of them.
#[test]
fn a_tree_of_very_many_untracked_files_is_not_listed() {
    let world = World::enforcing();
    let checkout = world.planned_checkout();
    for directory in 0..40 {
        let directory = checkout.top.join(format!("data/{directory}"));
        std::fs::create_dir_all(&directory).unwrap();
        for file in 0..500 {
            std::fs::write(directory.join(format!("{file}.bin")), "").unwrap();
        }
    }
    checkout.write("notes/plan.md", "- [x] ticked\n");
    let listed = world.root().join("listed");
    let counting = world.root().join("counting");
    let script = format!(
        "case \" $* \" in *' ls-files '*' --others '*) /usr/bin/env PATH={PATH} git \"$@\" | tee -a '{}';; \
         *) exec /usr/bin/env PATH={PATH} git \"$@\";; esac",
        listed.display()
    );
    program(&counting.join("git"), &script);
    let authority = world.authority();
    let (said, row) = stops(&world, &authority, &format!("{}:{PATH}", counting.display()), "large", &checkout.top);
    assert!(block_reason(&said).contains("docs/plan.md"), "{row:?}");
    let listed = std::fs::read_to_string(&listed).unwrap();
    assert!(listed.contains("data/") && listed.len() < 2_000, "{} bytes were listed", listed.len());
}
