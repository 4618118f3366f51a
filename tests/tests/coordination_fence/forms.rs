//! The ways in which git is told to take uncommitted work along: refused exactly where real git, in a copy of the tree, takes
//! another session's.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::{Client, Told, held_has, site, top};

/// Files of the other session's, with what it does to each: edited, edited and staged, new, edited below, new below.
const THEIRS: [&str; 5] = ["a.rs", "staged.rs", "new.rs", "sub/c.rs", "sub/new.rs"];

pub(super) fn shell(directory: &Path, command: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(directory).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{role}_NAME"), "t").env(format!("GIT_{role}_EMAIL"), "t@example.invalid");
    }
    shell.output().unwrap()
}

/// How the files of the other session stand: their bytes, and what git says of each.
fn state(top: &Path) -> Vec<(Option<Vec<u8>>, String)> {
    let of = |file: &&str| {
        let said = shell(top, &format!("git status --porcelain --untracked-files=all -- {file}"));
        (std::fs::read(top.join(file)).ok(), String::from_utf8(said.stdout).unwrap())
    };
    THEIRS.iter().map(of).collect()
}

/// Where, and what. All of it stands beside work of the caller's own, at the top (`b.rs`, `own.rs`) and in `mine/`.
const COMMANDS: [(&str, &str); 58] = [
    ("", "git stash"),
    ("", "git stash -u"),
    ("sub", "git stash -u"),
    ("mine", "git stash --include-untracked -q"),
    ("mine", "git stash"),
    ("mine", "git stash push -k"),
    ("mine", "git stash save -u wip"),
    ("", "git stash push -- a.rs"),
    ("", "git stash push -m wip -- b.rs"),
    ("", "git stash push -- sub"),
    ("", "git stash push -u sub mine"),
    ("", "git stash push -u -- mine"),
    ("mine", "git stash push -u ."),
    ("sub", "git stash push -u ."),
    ("sub", "git stash push -u -- new.rs"),
    ("", "git stash push --staged"),
    ("", "git add -A"),
    ("mine", "git add -A"),
    ("mine", "git add --all"),
    ("mine", "git add -u"),
    ("mine", "git add ."),
    ("mine", "git add -A ."),
    ("sub", "git add ."),
    ("sub", "git add -u ."),
    ("", "git add mine"),
    ("", "git add mine sub/"),
    ("", "git add -u sub"),
    ("sub", "git add ../mine"),
    ("mine", "git add .."),
    ("mine", "git add :/"),
    ("", "git add b.rs own.rs"),
    ("", "git commit -qam x"),
    ("mine", "git commit -qam x"),
    ("", "git commit -qam x -- b.rs"),
    ("", "git commit -qam x mine"),
    ("", "git commit -qm x b.rs"),
    ("", "git commit -qm x mine"),
    ("", "git commit -qm x sub"),
    ("sub", "git commit -qm x ."),
    ("", "git commit -qm x -o mine"),
    ("", "git -C sub add -A"),
    ("mine", "git -C ../sub add ."),
    ("sub", "git -C ../mine add ."),
    ("", "git -C ../other add -A"),
    ("", "git -C ../other stash -u"),
    ("", "git -C ../other commit -qam x"),
    ("mine", "git --work-tree=.. add -A"),
    ("", "git --git-dir=.git --work-tree=. stash -u"),
    ("../other", "git --git-dir=../project/.git --work-tree=../project add -A"),
    ("../other", "git --work-tree=../project add -A"),
    ("../other", "git --work-tree ../project checkout -f HEAD"),
    ("", "git wip"),
    ("mine", "git st"),
    ("mine", "git here"),
    ("sub", "git here"),
    ("", "git deep -- b.rs"),
    ("mine", "git all x"),
    ("mine", "git -c alias.w='stash push -u' w"),
];

const ALIASES: [(&str, &str); 6] = [
    ("wip", "commit -qam wip"),
    ("st", "status --short"),
    ("here", "add ."),
    ("p", "stash push"),
    ("deep", "p -u"),
    ("all", "!f() { git add -A && git commit -qm \"$1\"; }; f"),
];

#[test]
fn what_would_take_anothers_work_is_refused_in_every_form_and_what_would_not_is_let_go() {
    let (world, checkout) = site("enforce");
    let _authority = world.authority();
    let top = top(&checkout);
    let root = top.parent().unwrap();
    checkout.write("staged.rs", "old\n");
    checkout.write("mine/d.rs", "old\n");
    checkout.commit("more");
    for (name, meaning) in ALIASES {
        checkout.git(&["config", &format!("alias.{name}"), meaning]);
    }
    let other = stopgate_tests::checkout::Checkout::create(&root.join("other"));
    other.write("x.rs", "old\n");
    other.commit("first");
    other.write("x.rs", "new\n");
    let mut amber = Client::start(&world, "aaaa-amber", &top);
    let mut birch = Client::start(&world, "bbbb-birch", &top);
    held_has(&world, 2);
    for file in THEIRS {
        assert_eq!(amber.edits(file, "amber's\n"), Told::Nothing);
    }
    amber.runs("git add staged.rs");
    for file in ["b.rs", "own.rs", "mine/d.rs", "mine/own.rs"] {
        assert_eq!(birch.edits(file, "birch's\n"), Told::Nothing);
    }
    let before = state(&top);
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (at, (directory, command)) in COMMANDS.iter().enumerate() {
        // The same names beside each other, elsewhere.
        let copies = root.join(format!("copy-{at}"));
        std::fs::create_dir(&copies).unwrap();
        let made = shell(root, &format!("cp -a project other '{}'", copies.display()));
        assert!(made.status.success(), "{made:?}");
        let copy = copies.join("project");
        shell(&copy.join(directory), command);
        let takes = state(&copy) != before;
        std::fs::remove_dir_all(&copies).unwrap();
        let told = birch.before_in(&top.join(directory), "Bash", &json!({"command": command}));
        refused += usize::from(takes);
        if takes != matches!(told, Told::Denied(_)) {
            wrong.push(format!("{directory}$ {command}: git takes it {takes}, and the fence: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), COMMANDS.len(), wrong.join("\n"));
    assert!(refused >= 20 && COMMANDS.len() - refused >= 20, "{refused}");
    assert_eq!(state(&top), before);
}
