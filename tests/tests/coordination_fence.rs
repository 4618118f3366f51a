//! The fence's verdict through the real hook, a real authority, real git, and processes that stand for two clients at work in
//! one checkout: what is refused, what is told, and what is let go.

mod forms;
mod thrown_away;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_coordination::held;
use stopgate_core::paths::Home;
use stopgate_protocol::{FenceReport, FenceStatus};
use stopgate_tests::checkout::Checkout;
use stopgate_tests::run::eventually;
use stopgate_tests::world::{RunningAuthority, World, binary, session_start};

/// A client at work: a shell that the kernel calls `claude`, which runs what it is told until it goes.
struct Client<'a> {
    world: &'a World,
    id: &'static str,
    cwd: PathBuf,
    child: Child,
    /// Its end ends the shell.
    told: Option<ChildStdin>,
    turns: usize,
}

impl<'a> Client<'a> {
    /// Starts one in `cwd`, and has its start recorded.
    fn start(world: &'a World, id: &'static str, cwd: &Path) -> Self {
        let program = world.root().join("claude");
        if !program.exists() {
            assert!(Command::new("cp").arg("/bin/sh").arg(&program).status().unwrap().success());
        }
        let mut command = world.command(&program);
        command.args(["-c", "while read -r line; do eval \"$line\"; done"]).current_dir(cwd);
        command.env("BIN", binary("stopgate").parent().unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let told = child.stdin.take();
        let mut client = Self { world, id, cwd: cwd.to_owned(), child, told, turns: 0 };
        client.hook("session-start-recorder", &session_start(id, cwd, "startup"));
        client
    }

    /// Has the client run a hook, as it does: a child of its own. What the hook prints.
    fn hook(&mut self, name: &str, payload: &Value) -> String {
        self.turns += 1;
        let file = self.world.root().join(format!("{}-{}", self.id, self.turns));
        std::fs::write(file.with_extension("in"), payload.to_string()).unwrap();
        let shown = file.display();
        let line = format!(
            "\"$BIN/{name}\" claude <'{shown}.in' >'{shown}.out' 2>&1; echo $? >'{shown}.tmp'; mv '{shown}.tmp' '{shown}.rc'\n"
        );
        self.told.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let status = eventually("the hook ends", || std::fs::read_to_string(file.with_extension("rc")).ok());
        assert_eq!(status.trim(), "0", "{payload}");
        std::fs::read_to_string(file.with_extension("out")).unwrap()
    }

    fn before(&mut self, tool: &str, input: &Value) -> Told {
        let cwd = self.cwd.clone();
        self.before_in(&cwd, tool, input)
    }

    /// The same after `cd`.
    fn before_in(&mut self, cwd: &Path, tool: &str, input: &Value) -> Told {
        let payload = json!({"session_id": self.id, "transcript_path": "/nowhere/x.jsonl", "cwd": cwd,
                             "prompt_id": "p", "permission_mode": "acceptEdits", "hook_event_name": "PreToolUse",
                             "tool_name": tool, "tool_input": input, "tool_use_id": "toolu_1"});
        let said = self.hook("write-fence", &payload);
        if said.is_empty() {
            return Told::Nothing;
        }
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let output = &said["hookSpecificOutput"];
        match output["permissionDecision"].as_str() {
            Some("deny") => Told::Denied(output["permissionDecisionReason"].as_str().unwrap().to_owned()),
            None => Told::Noted(output["additionalContext"].as_str().unwrap().to_owned()),
            Some(other) => panic!("{other}"),
        }
    }

    /// Edits a file of its tree, if it may.
    fn edits(&mut self, path: &str, text: &str) -> Told {
        let whole = self.cwd.join(path);
        let told = self.before("Write", &json!({"file_path": whole, "content": text}));
        if !matches!(told, Told::Denied(_)) {
            std::fs::create_dir_all(whole.parent().unwrap()).unwrap();
            std::fs::write(whole, text).unwrap();
        }
        told
    }

    /// Runs a shell command in its tree, if it may.
    fn runs(&mut self, command: &str) -> Told {
        let told = self.before("Bash", &json!({"command": command, "description": "d"}));
        if !matches!(told, Told::Denied(_)) {
            let mut shell = Command::new("sh");
            shell.args(["-c", command]).current_dir(&self.cwd).env("GIT_CONFIG_GLOBAL", "/dev/null");
            for role in ["AUTHOR", "COMMITTER"] {
                shell.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@example.invalid");
            }
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
        }
        told
    }

    /// Its turn is over.
    fn stops(&mut self) {
        let payload = stopgate_tests::world::stop(self.id, &self.cwd, "Done.");
        self.hook("stop-gate-router", &payload);
    }

    /// Runs the CLI below itself.
    fn stopgate(&mut self, arguments: &str) {
        self.turns += 1;
        let file = self.world.root().join(format!("{}-{}", self.id, self.turns));
        let shown = file.display();
        let line = format!(
            "CLAUDE_CODE_SESSION_ID={} \"$BIN/stopgate\" {arguments} >'{shown}.out' 2>&1; echo $? >'{shown}.tmp'; mv '{shown}.tmp' '{shown}.rc'\n",
            self.id
        );
        self.told.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let status = eventually("the command ends", || std::fs::read_to_string(file.with_extension("rc")).ok());
        let said = std::fs::read_to_string(file.with_extension("out")).unwrap();
        assert_eq!(status.trim(), "0", "{arguments}: {said}");
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        drop(self.told.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client is told before a tool.
#[derive(Debug, PartialEq)]
enum Told {
    Nothing,
    Noted(String),
    Denied(String),
}

impl Told {
    #[track_caller]
    fn denied(self) -> String {
        let Self::Denied(text) = self else { panic!("{self:?}") };
        text
    }

    #[track_caller]
    fn noted(self) -> String {
        let Self::Noted(text) = self else { panic!("{self:?}") };
        text
    }
}

/// A world with the fence in `mode`, and a checkout with `a.rs`, `b.rs` and a branch `other`.
fn site(mode: &str) -> (World, Checkout) {
    let world = World::new();
    world.home.create().unwrap();
    set(&world.home, mode);
    // Links on the way to it are resolved, as clients report it.
    let root = world.root().canonicalize().unwrap();
    let checkout = Checkout::create(&root.join("project"));
    for file in ["a.rs", "b.rs", "sub/c.rs"] {
        checkout.write(file, "old\n");
    }
    checkout.commit("first");
    checkout.git(&["branch", "other"]);
    (world, checkout)
}

fn set(home: &Home, mode: &str) {
    std::fs::create_dir_all(home.fence_file().parent().unwrap()).unwrap();
    std::fs::write(home.fence_file(), format!("{mode}\n")).unwrap();
}

fn top(checkout: &Checkout) -> PathBuf {
    PathBuf::from(checkout.git(&["rev-parse", "--show-toplevel"]).trim())
}

/// Waits until hooks are told of `count` sessions, in whatever trees.
fn held_has(world: &World, count: usize) -> String {
    eventually("run/held has them", || {
        let text = std::fs::read_to_string(held::file(&world.home)).unwrap_or_default();
        let sessions: usize = text
            .lines()
            .map(|line| line.split('\t').nth(1).unwrap_or_default().split(' ').filter(|one| !one.is_empty()).count())
            .sum();
        (sessions == count).then_some(text)
    })
}

fn report(world: &World) -> FenceReport {
    serde_json::from_value(world.stopgate_json(&["fence", "report", "--json"])).unwrap()
}

/// Waits until the report is as `is_it` has it: verdicts are written down after they are given.
fn reported(world: &World, is_it: impl Fn(&FenceReport) -> bool) -> FenceReport {
    eventually("the report has it", || Some(report(world)).filter(&is_it))
}

fn read(checkout: &Checkout, path: &str) -> String {
    std::fs::read_to_string(top(checkout).join(path)).unwrap()
}

/// What a session is called.
fn name_of(world: &World, id: &str) -> String {
    let rows = world.stopgate_json(&["sessions", "--all", "--json"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["session_id"] == id).unwrap();
    row["name"].as_str().map_or_else(|| id.chars().take(8).collect(), str::to_owned)
}

#[rstest]
#[case::stash("git stash")]
#[case::reset("git reset --hard")]
#[case::switch("git switch -q other")]
#[case::checkout("git checkout -q other")]
#[case::restore("git restore .")]
#[case::checkout_dot("git checkout -- .")]
#[case::add_all("git add -A")]
#[case::add_dot("git add .")]
#[case::commit_all("git commit -qam everything")]
#[case::merge("git merge -q other")]
#[case::clean("git clean -fdq")]
fn a_tree_verb_is_refused_over_anothers_work_and_let_go_over_ones_own(#[case] command: &str) {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    // A tree without uncommitted work is nobody's.
    assert_eq!(birch.before("Bash", &json!({"command": command})), Told::Nothing, "a clean tree");
    assert_eq!(birch.edits("b.rs", "birch's\n"), Told::Nothing);
    assert_eq!(birch.edits("own.rs", "birch's\n"), Told::Nothing);
    assert_eq!(birch.before("Bash", &json!({"command": command})), Told::Nothing, "own work");
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    assert_eq!(amber.edits("new.rs", "amber's, new\n"), Told::Nothing);
    let told = birch.runs(command).denied();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
    let kept = (read(&checkout, "a.rs"), read(&checkout, "new.rs"));
    assert_eq!(kept, ("amber's\n".to_owned(), "amber's, new\n".to_owned()));
    assert_eq!(checkout.git(&["stash", "list"]), "");
    // The other one has left: the tree is its own.
    drop(amber);
    assert!(!matches!(birch.runs(command), Told::Denied(_)), "alone");
}

#[rstest]
#[case::restore("git restore a.rs")]
#[case::checkout("git checkout -q -- a.rs")]
#[case::stash("git stash push -q -- a.rs")]
fn what_git_is_told_to_take_out_of_a_file_is_refused_where_it_is_anothers(#[case] command: &str) {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    let told = birch.runs(command).denied();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
    assert_eq!(read(&checkout, "a.rs"), "amber's\n");
    // Its own it may take out, and of what is committed nothing is lost.
    assert_eq!(birch.edits("b.rs", "birch's\n"), Told::Nothing);
    assert_eq!(birch.before("Bash", &json!({"command": command.replace("a.rs", "b.rs")})), Told::Nothing);
    amber.runs("git commit -q -m mine a.rs");
    assert_eq!(birch.before("Bash", &json!({"command": command})), Told::Nothing);
}

#[test]
fn a_write_that_was_let_go_counts_before_it_is_made() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    let resets = json!({"command": "git reset -q --hard"});
    assert_eq!(birch.before("Bash", &resets), Told::Nothing);
    let writes = json!({"file_path": top.join("a.rs"), "content": "amber's\n"});
    assert_eq!(amber.before("Write", &writes), Told::Nothing);
    let told = birch.before("Bash", &resets).denied();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
    // It is made, and committed: git's word counts again.
    checkout.write("a.rs", "amber's\n");
    amber.runs("git commit -q -m mine a.rs");
    assert_eq!(birch.before("Bash", &resets), Told::Nothing);
}

#[test]
fn each_session_is_shown_with_what_the_fence_made_of_it() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let rows = || world.stopgate_json(&["sessions", "--json"]);
    assert!(rows()[0]["fence"].is_null(), "alone");
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    let of = |id: &str| rows().as_array().unwrap().iter().find(|row| row["session_id"] == id).unwrap()["fence"].clone();
    assert_eq!(of("bbbb-birch")["is_unfenced"], true);
    let table = String::from_utf8(world.stopgate(&["sessions"]).stdout).unwrap();
    assert!(table.contains("FENCE") && table.contains("unfenced"), "{table}");
    birch.runs("git stash").denied();
    let fence = eventually("its denial is shown", || Some(of("bbbb-birch")).filter(|fence| fence["denials"] == 1));
    assert_eq!((&fence["is_unfenced"], &fence["last"]), (&json!(false), &json!("deny")));
    let fence = of("aaaa-amber");
    assert_eq!((&fence["denials"], &fence["last"], &fence["observed"]), (&json!(0), &json!("allow"), &json!(1)));
    let table = String::from_utf8(world.stopgate(&["sessions"]).stdout).unwrap();
    assert!(table.contains("1 denied"), "{table}");
    let shown = world.stopgate(&["sessions", "show", "bbbb-birch"]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("1 denied, 0 files seen to be written, last deny"),
        "{shown:?}"
    );
}

#[test]
fn work_of_nobody_known_is_told_and_not_refused() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    checkout.write("a.rs", "somebody's\n");
    let told = birch.runs("git stash").noted();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
    drop(amber);
}

#[test]
fn who_is_alone_is_asked_nothing_and_has_no_file() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let mut amber = Client::start(&world, "aaaa-amber", &top(&checkout));
    for command in ["git add -A", "git stash", "git stash pop -q || true", "git reset --hard -q"] {
        amber.runs(command);
    }
    assert_eq!(amber.edits("a.rs", "x"), Told::Nothing);
    assert!(!held::file(&world.home).exists());
    assert_eq!(report(&world).asked, 0);
}

#[test]
fn a_stash_entry_of_another_is_kept_in_every_working_tree_of_the_room() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let linked = top.parent().unwrap().join("linked");
    checkout.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "other"]);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &linked);
    held_has(&world, 2);
    std::fs::write(top.join("a.rs"), "amber's\n").unwrap();
    assert!(!matches!(amber.runs("git stash -q"), Told::Denied(_)));
    assert_eq!(read(&checkout, "a.rs"), "old\n", "stashed");
    for command in ["git stash pop", "git stash drop", "git stash clear", "git stash apply stash@{0}"] {
        let told = birch.runs(command).denied();
        assert!(told.contains(&name_of(&world, "aaaa-amber")), "{command}: {told}");
    }
    assert_eq!(checkout.git(&["stash", "list"]).lines().count(), 1);
    assert_eq!(std::fs::read_to_string(linked.join("a.rs")).unwrap(), "old\n");
    assert_eq!(amber.runs("git stash pop -q"), Told::Nothing, "its own");
    assert_eq!(read(&checkout, "a.rs"), "amber's\n");
    // One that nobody was seen to make.
    checkout.git(&["stash", "-q"]);
    birch.before("Bash", &json!({"command": "git stash pop"})).noted();
}

#[test]
fn what_is_committed_is_nobodys_once_the_turn_is_over() {
    let (world, checkout) = site("enforce");
    let authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    amber.runs("git commit -q -m mine a.rs");
    amber.stops();
    let observed = || authority.call(&stopgate_protocol::GetFence {}).observed;
    eventually("the lease of what is committed ends", || (observed() == 0).then_some(()));
    assert_eq!(birch.edits("a.rs", "birch's\n"), Told::Nothing);
    birch.stops();
    // What is not committed stays its own.
    amber.edits("a.rs", "amber's again\n").noted();
    amber.stops();
    assert!(observed() > 0);
}

#[test]
fn off_records_nothing_and_takes_the_file_away() {
    let (world, checkout) = site("shadow");
    let _authority = world.authority();
    let top = top(&checkout);
    let _amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    let off = world.stopgate(&["fence", "off"]);
    assert!(off.status.success(), "{off:?}");
    eventually("the file is taken away", || (!held::file(&world.home).exists()).then_some(()));
    assert_eq!(birch.edits("a.rs", "x"), Told::Nothing);
    assert_eq!(report(&world).asked, 0);
    let on = world.stopgate(&["fence", "enforce", "--yes"]);
    assert!(on.status.success(), "{on:?}");
    held_has(&world, 2);
}

#[test]
fn who_leaves_is_taken_out_and_the_last_takes_the_file_along() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let elsewhere = world.root().canonicalize().unwrap().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut birch = Client::start(&world, "bbbb-birch", &elsewhere);
    let text = held_has(&world, 2);
    assert_eq!(text.lines().count(), 2, "{text}");
    // In trees of their own nobody is in another's way.
    assert_eq!((amber.edits("a.rs", "x"), birch.edits("x", "x")), (Told::Nothing, Told::Nothing));
    assert_eq!(report(&world).asked, 0);
    let end = json!({"session_id": "bbbb-birch", "cwd": elsewhere, "hook_event_name": "SessionEnd", "reason": "other",
                     "transcript_path": "/nowhere/x.jsonl"});
    birch.hook("session-start-recorder", &end);
    eventually("the file goes", || (!held::file(&world.home).exists()).then_some(()));
}

#[test]
fn who_is_killed_is_taken_out_without_anybody_s_event() {
    let (world, checkout) = site("enforce");
    let authority = world.authority();
    let mut amber = Client::start(&world, "aaaa-amber", &top(&checkout));
    let birch = Client::start(&world, "bbbb-birch", &top(&checkout));
    held_has(&world, 2);
    amber.child.kill().unwrap();
    amber.child.wait().unwrap();
    eventually("the file goes", || (!held::file(&world.home).exists()).then_some(()));
    // The next authority knows of those that it finds, too.
    let cedar = Client::start(&world, "cccc-cedar", &top(&checkout));
    held_has(&world, 2);
    authority.kill();
    let _authority = world.authority();
    held_has(&world, 2);
    drop(cedar);
    eventually("the file goes", || (!held::file(&world.home).exists()).then_some(()));
    drop(birch);
}

#[test]
fn who_cannot_be_seen_neither_holds_nor_is_in_anybodys_way() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    // Of a container, or of another account: its hooks have no client above them that can be seen from here.
    world.start_session("unseen", &top);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    checkout.write("b.rs", "somebody's\n");
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    for command in ["git add -A", "git stash -uq", "git reset -q --hard"] {
        assert_eq!(amber.runs(command), Told::Nothing, "{command}");
    }
    assert!(!held::file(&world.home).exists(), "one that is known to live is alone");
    let rows = world.stopgate_json(&["sessions", "--json"]);
    let unseen = rows.as_array().unwrap().iter().find(|row| row["session_id"] == "unseen").unwrap();
    assert_eq!(unseen["liveness"], "unknown", "{unseen:#}");
}

#[test]
fn a_git_that_hangs_refuses_nothing() {
    let (mut world, checkout) = site("enforce");
    let bin = world.root().join("slow");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("git"), "#!/bin/sh\nexec sleep 60\n").unwrap();
    assert!(Command::new("chmod").arg("755").arg(bin.join("git")).status().unwrap().success());
    world.set_env("PATH", &format!("{}:/usr/bin:/bin", bin.display()));
    world.set_env("STOPGATE_PATIENCE", "1");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.edits("a.rs", "amber's\n");
    let told = birch.before("Bash", &json!({"command": "git stash"}));
    assert!(!matches!(told, Told::Denied(_)), "{told:?}");
    let report = reported(&world, |report| report.asked >= 2);
    assert_eq!(report.decided.deny, 0, "{report:?}");
}

#[test]
fn an_agent_may_tighten_and_not_loosen() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let start = session_start("aaaa-amber", &top, "startup").to_string();
    let script = |arguments: &str| {
        format!("printf '%s' '{start}' | \"$BIN/session-start-recorder\" claude\n\"$BIN/stopgate\" fence {arguments}")
    };
    let refused = stopgate_tests::agent::agent(&world, &script("shadow"));
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(std::fs::read_to_string(world.home.fence_file()).unwrap().trim(), "enforce");
    let same = stopgate_tests::agent::agent(&world, &script("enforce --yes"));
    assert!(same.status.success(), "{same:?}");
}

#[test]
fn nothing_is_written_or_said_while_coordination_was_never_turned_on() {
    let (world, checkout) = site("enforce");
    std::fs::remove_file(world.home.fence_file()).unwrap();
    let authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let _birch = Client::start(&world, "bbbb-birch", &top);
    assert_eq!(amber.edits("a.rs", "x"), Told::Nothing);
    let status: FenceStatus = authority.call(&stopgate_protocol::GetFence {});
    assert_eq!((status.mode, status.observed), (stopgate_core::switch::Mode::Off, 0));
    assert!(!held::file(&world.home).exists());
    let shown = String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
    assert!(!shown.lines().any(|line| line.starts_with("fence ")), "{shown}");
}

#[test]
fn a_declared_lease_keeps_another_out_and_its_bytes_as_they_are() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.stopgate("lease acquire a.rs sub/");
    let text = eventually("the lease is in run/held", || {
        std::fs::read_to_string(held::file(&world.home)).ok().filter(|text| text.contains("sub/"))
    });
    assert!(text.contains("w claude:aaaa-amber a.rs"), "{text}");
    let told = birch.edits("a.rs", "birch's\n").denied();
    let name = name_of(&world, "aaaa-amber");
    assert!(told.contains(&name) && told.contains("lease wait a.rs"), "{told}");
    assert_eq!(read(&checkout, "a.rs"), "old\n");
    birch.edits("sub/new/deep.rs", "x").denied();
    birch.runs("sed -i s/old/new/ a.rs").denied();
    birch.runs("rm -rf sub").denied();
    assert_eq!((read(&checkout, "a.rs"), read(&checkout, "sub/c.rs")), ("old\n".to_owned(), "old\n".to_owned()));
    // Its own are its own, and what nobody holds is let go.
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    assert_eq!(birch.edits("b.rs", "birch's\n"), Told::Nothing);
    // What was only seen is told.
    let told = amber.edits("b.rs", "amber's\n").noted();
    assert!(told.contains(&name_of(&world, "bbbb-birch")) && !told.contains("Not done"), "{told}");
    assert_eq!(read(&checkout, "b.rs"), "amber's\n");
    // Who gives something back is done with it.
    amber.stopgate("lease release a.rs");
    assert_eq!(birch.edits("a.rs", "birch's\n"), Told::Nothing);
    assert_eq!(read(&checkout, "a.rs"), "birch's\n");
    let report = reported(&world, |report| report.decided.deny == 4);
    assert_eq!((report.answered.deny, report.decided.note), (4, 1));
    assert!(report.collisions >= 1, "{report:?}");
}

/// Where the two sessions are, below the root and as they were started, and what is leased and written there.
#[rstest]
#[case::a_directory_that_looks_like_a_name("project", "project", "./@types/", "@types/index.d.ts", true)]
#[case::a_file_that_looks_like_a_name("project", "project", "./@x", "@x", true)]
#[case::spaces_and_letters(
    "my proj \u{e4}\u{65e5}",
    "my proj \u{e4}\u{65e5}",
    "'src dir/'",
    "src dir/\u{fc} b.rs",
    true
)]
#[case::a_subdirectory("project", "project/sub", "sub/", "c.rs", true)]
#[case::by_a_link("project", "link", "src/", "src/a.rs", true)]
#[case::a_tree_without_git("plain", "plain", "src/", "src/a.rs", false)]
fn a_lease_is_of_the_same_file_however_the_sessions_were_started(
    #[case] there: &str,
    #[case] started: &str,
    #[case] leased: &str,
    #[case] written: &str,
    #[case] is_git: bool,
) {
    let (world, _) = site("enforce");
    let root = world.root().canonicalize().unwrap();
    if is_git && there != "project" {
        Checkout::create(&root.join(there)).commit("first");
    }
    std::fs::create_dir_all(root.join(there).join("sub")).unwrap();
    if started == "link" {
        std::os::unix::fs::symlink(root.join(there), root.join("link")).unwrap();
    }
    let _authority = world.authority();
    let mut holder = Client::start(&world, "a", &root.join(there));
    let mut other = Client::start(&world, "b", &root.join(started));
    holder.stopgate(&format!("lease acquire {leased}"));
    let file = other.cwd.join(written);
    let told = other.edits(written, "new\n").denied();
    assert!(told.contains("lease wait"), "{told}");
    assert!(!file.exists() || std::fs::read_to_string(&file).unwrap() == "old\n", "its bytes are the same");
    assert!(matches!(other.runs(&format!("echo new > '{}'", file.display())), Told::Denied(_)));
    let beside = root.join(there).join("elsewhere.rs");
    assert_eq!(other.edits(beside.to_str().unwrap(), "new\n"), Told::Nothing);
    assert_eq!(holder.edits(written.trim_start_matches("./"), "mine\n"), Told::Nothing, "what it holds itself");
}

/// What a pattern of a shell means is what is kept: `true` where that has what is leased, `notes/plan.md` and `made`, which
/// does not exist yet.
#[rstest]
#[case("cd notes && rm -rf *", true)]
#[case("cd notes; rm *", true)]
#[case("rm -rf n*", true)]
#[case("rm notes/{plan,list}.md", true)]
#[case("sed -i s/a/b/ */*.md", true)]
#[case("touch m[a-z]de", true)]
#[case("touch made/x.rs", true)]
#[case("rm -f *.md", false)]
#[case("rm -f notes/*.txt", false)]
#[case("rm -f sub/* *.rs", false)]
#[case("cd notes && rm -f p?.md", false)]
fn a_pattern_is_of_what_a_shell_makes_of_it(#[case] command: &str, #[case] is_denied: bool) {
    let (world, checkout) = site("enforce");
    checkout.write("notes/plan.md", "old\n");
    checkout.commit("notes");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    amber.stopgate("lease acquire notes/plan.md made");
    let told = birch.before("Bash", &json!({"command": command, "description": "d"}));
    assert_eq!(matches!(told, Told::Denied(_)), is_denied, "{told:?}");
    assert!(is_denied || told == Told::Nothing, "{told:?}");
}

/// Where the two live, below a directory `space` without git that has the checkout `space/inner`, in which there is another
/// repository, `space/inner/lib`; and the file that both write.
#[rstest]
#[case::both_around("space", "space", "space/inner/a.rs")]
#[case::one_around("space/inner", "space", "space/inner/a.rs")]
#[case::the_other_around("space", "space/inner", "space/inner/a.rs")]
#[case::both_in_the_superproject("space/inner", "space/inner", "space/inner/lib/x.rs")]
#[case::one_in_the_superproject("space/inner/lib", "space/inner", "space/inner/lib/x.rs")]
fn who_lives_around_a_repository_is_not_alone_in_it(#[case] first: &str, #[case] second: &str, #[case] file: &str) {
    let (world, _) = site("enforce");
    let root = world.root().canonicalize().unwrap();
    for inner in ["space/inner", "space/inner/lib"] {
        let inner = Checkout::create(&root.join(inner));
        inner.write(if file.contains("lib") { "x.rs" } else { "a.rs" }, "old\n");
        inner.commit("first");
    }
    let _authority = world.authority();
    let mut amber = Client::start(&world, "aaaa-amber", &root.join(first));
    let mut birch = Client::start(&world, "bbbb-birch", &root.join(second));
    let path = root.join(file);
    let path = path.to_str().unwrap();
    held_has(&world, if first == second { 2 } else { 3 });
    assert_eq!(amber.edits(path, "amber's\n"), Told::Nothing);
    let dir = Path::new(path).parent().unwrap().display().to_string();
    birch.before("Bash", &json!({"command": format!("cd '{dir}' && git stash"), "description": "d"})).denied();
    let told = birch.edits(path, "birch's\n").noted();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
}

/// One works for a while, and then a second one is started in the same checkout.
#[test]
fn what_a_session_did_while_it_was_alone_is_its_own_once_another_comes() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let transcript = world.root().join("amber.jsonl");
    let said = |at: i64, content: Value| {
        let seconds = at.div_euclid(1_000);
        let output = Command::new("date").args(["-u", "+%FT%TZ", "-d", &format!("@{seconds}")]).output().unwrap();
        let timestamp = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        json!({"type": "assistant", "cwd": top, "timestamp": timestamp, "message": {"content": [content]}}).to_string()
    };
    let wrote = |id: &str, path: &str, from: i64, to: i64| {
        let input = json!({"file_path": top.join(path), "content": "x"});
        let call = said(from, json!({"type": "tool_use", "id": id, "name": "Write", "input": input}));
        let end = said(to, json!({"type": "tool_result", "tool_use_id": id, "content": "ok"}));
        format!("{call}\n{end}\n")
    };
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    for path in ["a.rs", "new.rs", "b.rs", "sub/c.rs"] {
        checkout.write(path, "mine\n");
    }
    // `b.rs` was changed again later by somebody else, and of `sub/c.rs` nothing is said.
    let lines = [
        wrote("1", "a.rs", now - 2_000, now + 2_000),
        wrote("2", "new.rs", now - 2_000, now + 2_000),
        wrote("3", "b.rs", now - 90_000, now - 80_000),
    ];
    std::fs::write(&transcript, lines.concat()).unwrap();
    let mut prompt = session_start("aaaa-amber", &top, "startup");
    prompt["transcript_path"] = json!(transcript);
    amber.hook("session-start-recorder", &prompt);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    eventually("what it did is seen", || {
        let status: FenceStatus = serde_json::from_value(world.stopgate_json(&["fence", "status", "--json"])).unwrap();
        (status.observed == 2).then_some(())
    });
    assert_eq!(birch.edits("b.rs", "birch's\n"), Told::Nothing);
    assert_eq!(birch.edits("sub/c.rs", "birch's\n"), Told::Nothing);
    birch.runs("git clean -fdq").denied();
    birch.runs("git stash").denied();
    let told = birch.edits("a.rs", "birch's\n").noted();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
}

#[test]
fn who_was_seen_to_write_in_a_tree_counts_there_wherever_it_was_started() {
    let (world, checkout) = site("enforce");
    let root = world.root().canonicalize().unwrap();
    Checkout::create(&root.join("elsewhere")).commit("first");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &root.join("elsewhere"));
    held_has(&world, 2);
    // Each is alone.
    assert_eq!(amber.edits("sub/c.rs", "amber's\n"), Told::Nothing);
    let observed = || {
        let status: FenceStatus = serde_json::from_value(world.stopgate_json(&["fence", "status", "--json"])).unwrap();
        status.observed
    };
    assert_eq!(observed(), 0);
    assert_eq!(birch.edits(top.join("b.rs").to_str().unwrap(), "birch's\n"), Told::Nothing);
    held_has(&world, 3);
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    let told = birch.edits(top.join("a.rs").to_str().unwrap(), "birch's\n").noted();
    assert!(told.contains(&name_of(&world, "aaaa-amber")), "{told}");
    amber.runs("git add -A").denied();
}

#[test]
fn the_third_same_denial_of_a_turn_names_the_person() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.stopgate("lease acquire a.rs b.rs");
    let mut asks = |path: &str, denied: u64| {
        let told = birch.edits(path, "x").denied();
        reported(&world, |report| report.answered.deny == denied);
        told.contains("ask your person")
    };
    assert_eq!([asks("a.rs", 1), asks("a.rs", 2), asks("b.rs", 3), asks("a.rs", 4)], [false, false, false, true]);
    let prompt = json!({"session_id": "bbbb-birch", "cwd": top, "hook_event_name": "UserPromptSubmit", "prompt_id": "p2",
                        "prompt": "Go on.", "transcript_path": "/nowhere/x.jsonl"});
    birch.hook("session-start-recorder", &prompt);
    assert!(!birch.edits("a.rs", "x").denied().contains("ask your person"), "a new turn");
}

#[test]
fn shadow_records_what_enforce_would_do_and_says_nothing() {
    let (world, checkout) = site("shadow");
    let authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.stopgate("lease acquire a.rs");
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    assert_eq!(birch.edits("a.rs", "birch's\n"), Told::Nothing);
    let report = reported(&world, |report| report.decided.deny == 1);
    assert_eq!((report.answered.deny, report.answered.note, report.denied_collisions), (0, 0, 1));
    assert_eq!(report.by_pair[0].against, name_of(&world, "aaaa-amber"));
    assert!(!report.missing.is_empty());
    let denial = &report.denials[0];
    assert!(!denial.refused && denial.collided, "{denial:?}");
    let explained = world.stopgate_json(&["fence", "explain", &denial.event_id, "--json"]);
    assert_eq!(explained["decided"], explained["replayed"]);
    assert_eq!(explained["decided"]["grounds"][0]["kind"], "declared_lease");
    assert_eq!(explained["answered"], "allow");
    let shown = world.stopgate(&["fence", "explain", &denial.event_id[..13]]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("writes       a.rs") && shown.contains("decided now  the same"), "{shown}");
    // The person's word counts, and an agent has none.
    let graded = world.stopgate(&["fence", "grade", &denial.event_id, "wrong"]);
    assert!(graded.status.success(), "{graded:?}");
    assert_eq!(self::report(&world).graded.wrong, 1);
    let text = String::from_utf8(world.stopgate(&["fence", "report"]).stdout).unwrap();
    assert!(text.contains("collisions   1 files") && text.contains("graded wrong"), "{text}");
    let status: FenceStatus = authority.call(&stopgate_protocol::GetFence {});
    assert_eq!((status.shared_trees.len(), status.declared, status.unfenced.len()), (1, 1, 0));
}

#[test]
fn a_new_authority_knows_what_the_old_one_did() {
    let (world, checkout) = site("enforce");
    let authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.stopgate("lease acquire b.rs");
    assert_eq!(amber.edits("a.rs", "amber's\n"), Told::Nothing);
    authority.kill();
    // Nobody answers: the fence is open, and what is known to be held is said.
    assert!(birch.before("Write", &json!({"file_path": top.join("b.rs"), "content": "x"})).noted().contains("cannot"));
    let status = String::from_utf8(world.stopgate(&["status"]).stdout).unwrap();
    assert!(status.contains("fence        open: the authority does not answer"), "{status}");
    std::fs::remove_file(held::file(&world.home)).unwrap();
    let _authority = world.authority();
    let text = held_has(&world, 2);
    assert!(text.contains("w claude:aaaa-amber b.rs"), "{text}");
    birch.edits("b.rs", "x").denied();
    birch.edits("a.rs", "x").noted();
    birch.runs("git stash").denied();
}

/// What is asked by hand, past the hook.
fn asked(authority: &RunningAuthority<'_>, question: &Value) -> (u16, String) {
    let answer = authority.request("POST", "/fence", question);
    (answer.status, String::from_utf8(answer.body).unwrap())
}

#[test]
fn a_question_that_is_none_is_refused_by_name() {
    let (world, _checkout) = site("enforce");
    let authority = world.authority();
    let id = stopgate_core::event_id::new_event_id(&stopgate_core::clock::SystemClock);
    let question = json!({"event_id": id, "harness": "claude", "session_id": "x", "at_ms": 1, "tool": "Bash",
                          "writes": [], "acts": []});
    assert_eq!(asked(&authority, &question).0, 200);
    for (field, value) in [
        ("event_id", json!("x")),
        ("session_id", json!("null")),
        ("writes", json!([7])),
        ("acts", json!([{"verb": "explode", "directory": "/"}])),
    ] {
        let mut wrong = question.clone();
        wrong[field] = value;
        let (status, body) = asked(&authority, &wrong);
        assert_eq!(status, 400, "{field}: {body}");
    }
    // Paths that are none are in nobody's way.
    for path in ["relative", "/", "/nowhere/\u{0}/x", &format!("/{}", "x/".repeat(2_100))] {
        let mut odd = question.clone();
        odd["writes"] = json!([{"path": path}]);
        assert_eq!(asked(&authority, &odd), (200, r#"{"verdict":"allow"}"#.to_owned()), "{path:.20}");
    }
}
