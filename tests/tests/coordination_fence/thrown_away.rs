//! What would throw another session's work away, by git or without it, is refused exactly where it does so when it is really
//! run in a copy of the tree; and whose work a file is follows from what was written, not from who touched it.

use std::path::Path;

use serde_json::json;

use super::forms::shell;
use super::{Client, Told, held_has, name_of, site, top};

/// Files of the other session's: edited, staged, new, new and ignored, edited below; and one that it has asked for, and has not
/// changed.
const THEIRS: [&str; 6] = ["a.rs", "staged.rs", "new.rs", ".env", "sub/c.rs", "held.rs"];

/// All of it stands beside work of the caller's own: `b.rs`, `own.rs`, `mine/d.rs`, `mine/.env`. The branch `changed` has other
/// contents of `new.rs`, `held.rs` and `mine/d.rs`.
const COMMANDS: [&str; 47] = [
    "git checkout HEAD -- .",
    "git checkout HEAD .",
    "git checkout HEAD -- b.rs",
    "git checkout HEAD -- mine",
    "git checkout -- .",
    "git checkout -- sub",
    "git checkout -- mine b.rs",
    "git checkout -f",
    "git restore -SW .",
    "git restore -SW b.rs mine",
    "git restore --source=HEAD --staged --worktree .",
    "git restore a.rs",
    "git restore b.rs",
    "git clean -fdx",
    "git clean -fX",
    "git clean -fdX mine",
    "git clean -fdx mine",
    "git clean -fd",
    "git clean -f .env",
    "git clean -fx .env",
    "git stash -a",
    "git stash -u -- mine",
    "git reset --hard changed",
    "git checkout -f changed",
    "git switch -f changed",
    "git checkout changed -- .",
    "git checkout changed -- mine",
    "git checkout changed -- new.rs",
    "git checkout changed -- held.rs",
    "git restore -s changed .",
    "git restore -s changed mine",
    "git restore --source changed held.rs",
    "rm a.rs",
    "rm -f b.rs own.rs",
    "rm -rf sub",
    "rm -rf mine",
    "rm .env",
    "git rm -qf a.rs",
    "git rm -qf b.rs",
    "git rm -qrf sub",
    "mv b.rs a.rs",
    "mv b.rs c.rs",
    "cp b.rs a.rs",
    "cp b.rs sub/",
    "cp own.rs new.rs",
    "cp -n b.rs a.rs || true",
    "rm -rf ./sub/*",
];

fn bytes(top: &Path) -> Vec<Option<Vec<u8>>> {
    THEIRS.iter().map(|file| std::fs::read(top.join(file)).ok()).collect()
}

#[test]
fn what_throws_anothers_work_away_is_refused_in_every_form_and_what_does_not_is_let_go() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    for (file, text) in [("staged.rs", "old\n"), ("held.rs", "old\n"), ("mine/d.rs", "old\n"), (".gitignore", ".env\n")]
    {
        checkout.write(file, text);
    }
    checkout.commit("more");
    checkout.git(&["switch", "-qc", "changed"]);
    for file in ["new.rs", "held.rs", "mine/d.rs"] {
        checkout.write(file, "changed\n");
    }
    checkout.commit("changed");
    checkout.git(&["switch", "-q", "-"]);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    for file in &THEIRS[..5] {
        assert_eq!(amber.edits(file, "amber's\n"), Told::Nothing);
    }
    amber.runs("git add staged.rs");
    amber.stopgate("lease acquire held.rs");
    for file in ["b.rs", "own.rs", "mine/d.rs", "mine/.env"] {
        assert_eq!(birch.edits(file, "birch's\n"), Told::Nothing);
    }
    let before = bytes(&top);
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (at, command) in COMMANDS.iter().enumerate() {
        let copy = top.with_file_name(format!("copy-{at}"));
        assert!(shell(&top, &format!("cp -a . '{}'", copy.display())).status.success());
        shell(&copy, command);
        let is_lost = bytes(&copy) != before;
        std::fs::remove_dir_all(&copy).unwrap();
        refused += usize::from(is_lost);
        let told = birch.before("Bash", &json!({"command": command}));
        if is_lost != matches!(told, Told::Denied(_)) {
            wrong.push(format!("{command}: lost {is_lost}, and the fence: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), COMMANDS.len(), wrong.join("\n"));
    assert!(refused >= 20 && COMMANDS.len() - refused >= 15, "{refused}");
    // An edit of the same file goes on, and is told of what the other one wrote.
    let told = birch.before("Write", &json!({"file_path": top.join("a.rs"), "content": "x"})).noted();
    assert!(told.contains("wrote a.rs"), "{told}");
    assert_eq!(bytes(&top), before);
}

#[test]
fn a_file_is_whose_change_is_in_it() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    let sweeps = ["git commit -qam x", "git add -A", "git stash", "git checkout -- ."];
    let verdicts = |client: &mut Client<'_>| {
        sweeps.map(|command| matches!(client.before("Bash", &json!({"command": command})), Told::Denied(_)))
    };
    // Who touches a file, or fails to change it, has no work in it.
    assert_eq!(birch.edits("b.rs", "birch's\n"), Told::Nothing);
    amber.runs("sed -i s/nomatch/x/ b.rs").noted();
    amber.runs("touch b.rs").noted();
    assert_eq!(verdicts(&mut birch), [false; 4]);
    assert_eq!(verdicts(&mut amber), [true; 4]);
    // Both have: the last commits it, and neither throws it away.
    amber.edits("b.rs", "birch's\namber's\n").noted();
    assert_eq!(verdicts(&mut birch), [true; 4]);
    assert_eq!(verdicts(&mut amber), [false, false, true, true]);
    amber.runs("git commit -qam both");
    assert_eq!(verdicts(&mut birch), [false; 4], "a clean tree");
    // What is committed is nobody's, though the turn is open.
    assert_eq!(birch.edits("b.rs", "birch's again\n"), Told::Nothing);
    assert_eq!(verdicts(&mut birch), [false; 4]);
    assert_eq!(verdicts(&mut amber), [true; 4]);
}

#[test]
fn whoever_is_in_the_middle_of_something_can_go_on() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    checkout.git(&["switch", "-qc", "picked"]);
    checkout.write("a.rs", "picked\n");
    checkout.commit("picked");
    checkout.git(&["switch", "-q", "-"]);
    checkout.write("a.rs", "main\n");
    checkout.commit("main");
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    birch.runs("git cherry-pick picked || true");
    assert_eq!(amber.edits("b.rs", "amber's\n"), Told::Nothing);
    birch.runs("echo both >a.rs; git add a.rs");
    for command in [
        "git cherry-pick --continue",
        "git cherry-pick --skip",
        "git cherry-pick --abort",
        "git revert --continue",
        "git revert --abort",
        "git am --continue",
        "git merge --continue",
        "git merge --abort",
    ] {
        assert_eq!(birch.before("Bash", &json!({"command": command})), Told::Nothing, "{command}");
    }
    let told = birch.before("Bash", &json!({"command": "git rebase --abort"})).denied();
    assert!(told.contains("git rebase would hit") && told.contains("lease wait b.rs"), "{told}");
    let told = birch.before("Bash", &json!({"command": "git cherry-pick picked"})).denied();
    assert!(told.contains("git cherry-pick would hit"), "{told}");
    assert_eq!(birch.runs("git -c core.editor=true cherry-pick --continue"), Told::Nothing);
    assert_eq!(super::read(&checkout, "b.rs"), "amber's\n");
}

#[test]
fn a_tree_that_another_works_in_is_not_removed_with_its_work() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    checkout.git(&["worktree", "add", "-q", ".claude/trees/x", "-b", "x"]);
    checkout.git(&["worktree", "add", "-q", "spare", "-b", "spare"]);
    let linked = top.join(".claude/trees/x");
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &linked);
    held_has(&world, 2);
    let removals =
        ["git worktree remove --force .claude/trees/x", "rm -rf .claude/trees/x", "rm -rf .claude", "git clean -ffdx"];
    for command in removals {
        let told = amber.before("Bash", &json!({"command": command})).noted();
        assert!(told.contains(&name_of(&world, "bbbb-birch")), "{command}: {told}");
    }
    birch.edits("new.rs", "birch's\n");
    for command in removals {
        let told = amber.before("Bash", &json!({"command": command})).denied();
        assert!(told.contains("uncommitted changes in 1 file"), "{command}: {told}");
    }
    for command in ["git worktree remove --force spare", "rm -rf spare", "git clean -fdx", "rm -rf sub"] {
        assert_eq!(amber.before("Bash", &json!({"command": command})), Told::Nothing, "{command}");
    }
}

#[test]
fn a_name_that_was_asked_for_is_had() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    let branch = checkout.git(&["branch", "--show-current"]).trim().to_owned();
    amber.stopgate(&format!("lease acquire @stash @merge:{branch} @merge:another"));
    for command in ["git stash", "git stash pop", "git merge other", "git pull"] {
        let told = birch.before("Bash", &json!({"command": command})).denied();
        assert!(told.contains("lease wait @"), "{command}: {told}");
        assert!(!matches!(amber.before("Bash", &json!({"command": command})), Told::Denied(_)), "{command}: its own");
    }
    for command in ["git merge --abort", "git stash list", "git switch -q other", "git commit -qam x"] {
        assert_eq!(birch.before("Bash", &json!({"command": command})), Told::Nothing, "{command}");
    }
}

#[test]
fn a_stash_of_some_files_is_whose_it_is_and_does_not_go_by_another_door() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    amber.edits("a.rs", "amber's\n");
    assert_eq!(amber.runs("git stash push -q -m wip -- a.rs"), Told::Nothing);
    for command in ["git stash pop", "git stash drop", "git stash clear", "git update-ref -d refs/stash"] {
        birch.before("Bash", &json!({"command": command})).denied();
    }
    birch.before("Bash", &json!({"command": "git reflog delete stash@{0}"})).noted();
    assert_eq!(birch.before("Bash", &json!({"command": "git update-ref -d refs/heads/other"})), Told::Nothing);
}
