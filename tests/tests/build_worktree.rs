//! `stopgate build worktree` through the real binary and the real git: no work is lost.

#![allow(clippy::unwrap_used, reason = "tests")]

use stopgate_tests::build::Site;

#[test]
fn a_worktree_is_merged_where_it_came_from_or_not_at_all() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let tree = |arguments: &[&str]| site.build("mine", &[&["worktree"], arguments].concat());
    tree(&["merge"]).refused(1, &["no worktree"]);
    let state = tree(&["create", "--json"]).ok().json();
    let path = site.top().join(state["worktree"]["path"].as_str().unwrap());
    let main = state["worktree"]["source_branch"].as_str().unwrap().to_owned();
    tree(&["create"]).refused(1, &["has a worktree already"]);
    assert_eq!(site.build_in(&path, &["status", "--json"]).ok().json()["live"][0]["id"], id.as_str());
    let git = |arguments: &[&str]| site.checkout.git(&[&["-C", path.to_str().unwrap()], arguments].concat());
    assert_eq!(git(&["status", "--porcelain"]), "");

    std::fs::write(path.join("parser.rs"), "one\n").unwrap();
    tree(&["merge"]).refused(1, &["uncommitted work"]);
    tree(&["cleanup"]).refused(1, &["uncommitted work", "--force"]);
    assert!(path.join("parser.rs").exists());
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "parser"]);
    site.checkout.git(&["checkout", "-q", "-b", "elsewhere"]);
    tree(&["merge"]).refused(1, &["elsewhere is checked out", &main]);
    site.checkout.git(&["checkout", "-q", "--detach"]);
    tree(&["merge"]).refused(1, &["no branch is checked out"]);
    site.checkout.git(&["checkout", "-q", &main]);

    // A conflict leaves the checkout as it was.
    site.checkout.write("parser.rs", "other\n");
    let head = site.checkout.commit("other");
    tree(&["merge", "--json"]).refused(1, &["does not merge"]);
    assert_eq!(
        (site.checkout.git(&["status", "--porcelain"]), site.checkout.git(&["rev-parse", "HEAD"])),
        (String::new(), head)
    );
    // So does uncommitted work of the person that the merge would touch.
    site.checkout.git(&["reset", "-q", "--hard", "HEAD~1"]);
    site.checkout.write("parser.rs", "a person's\n");
    tree(&["merge"]).refused(1, &[]);
    assert_eq!(std::fs::read(site.top().join("parser.rs")).unwrap(), b"a person's\n");
    std::fs::remove_file(site.top().join("parser.rs")).unwrap();

    assert_eq!(tree(&["merge", "--json"]).ok().json()["worktree"]["merged"], true);
    assert_eq!(std::fs::read(site.top().join("parser.rs")).unwrap(), b"one\n");
    tree(&["cleanup"]).ok();
    assert!(!path.exists() && site.state(&id)["worktree"].is_null());
    assert_eq!(site.checkout.git(&["branch", "--list", "build/*"]), "");
    assert_eq!(site.checkout.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_merge_that_a_person_is_at_is_left_alone_and_unmerged_branches_stay() {
    let site = Site::new();
    let id = site.executing("mine", "small");
    let tree = |arguments: &[&str]| site.build("mine", &[&["worktree"], arguments].concat());
    let path = site.top().join(tree(&["create", "--json"]).ok().json()["worktree"]["path"].as_str().unwrap());
    let git = |arguments: &[&str]| site.checkout.git(&[&["-C", path.to_str().unwrap()], arguments].concat());
    git(&["commit", "-q", "--allow-empty", "-m", "work"]);
    site.checkout.git(&["checkout", "-q", "-b", "side"]);
    site.checkout.commit("side");
    site.checkout.git(&["checkout", "-q", "-"]);
    site.checkout.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    assert!(site.top().join(".git/MERGE_HEAD").exists());
    tree(&["merge"]).refused(1, &[]);
    assert!(site.top().join(".git/MERGE_HEAD").exists(), "the person's merge was aborted");
    site.checkout.git(&["merge", "--abort"]);

    std::fs::write(path.join("draft"), "x").unwrap();
    let said = tree(&["cleanup", "--force"]).ok();
    assert!(said.out.contains("not merged and stays") && !path.exists(), "{said:?}");
    let branch = site.checkout.git(&["branch", "--list", "--format=%(refname:short)", "build/*"]);
    assert_eq!(branch, format!("build/{id}"));
    // It can be taken up again.
    tree(&["create"]).ok();
    assert_eq!(git(&["log", "-1", "--format=%s"]), "work");
}
