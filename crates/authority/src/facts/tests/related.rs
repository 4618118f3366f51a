//! Which plans a session has to do with, in repositories made with git itself.

use super::*;
use rstest::rstest;
use serde_json::json;
use stopgate_core::person::Prompt;
use stopgate_gate::facts::PlanRelation::{self, Moved, Named, Touched, Untouched};

/// What a session did, and what the person said.
#[derive(Default)]
struct Done<'a> {
    prompt: Option<&'a str>,
    calls: Vec<(&'a str, serde_json::Value)>,
    /// Where it stops.
    cwd: Option<&'a Path>,
}

/// The plans with their relations, as a session sees them that began at `head`.
fn look(repository: &Repository, head: &str, done: &Done<'_>) -> Vec<(String, PlanRelation)> {
    facts(repository, head, done).plans.iter().map(|plan| (plan.path.clone(), plan.relation())).collect()
}

fn facts(repository: &Repository, head: &str, done: &Done<'_>) -> Facts {
    let dir = tempfile::tempdir().unwrap();
    let transcript = dir.path().join("transcript.jsonl");
    let line = |(name, input): &(&str, serde_json::Value)| {
        let call = json!({"type": "tool_use", "id": "c", "name": name, "input": input});
        json!({"type": "assistant", "cwd": repository.top, "message": {"content": [call]}}).to_string()
    };
    std::fs::write(&transcript, done.calls.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let prompt = done.prompt.map(|text| Prompt { text: text.to_owned(), at_ms: None, reported: true });
    let person = Person { prompt, ..Person::default() };
    let cwd = done.cwd.unwrap_or(&repository.top);
    gather_as(&Session {
        cwd,
        transcript: Some(&transcript),
        person: &person,
        heard: None,
        head_at_start: Some(head),
        ..repository.session()
    })
}

fn of(path: &str, relation: PlanRelation) -> Vec<(String, PlanRelation)> {
    vec![(path.to_owned(), relation)]
}

fn bash(command: &str) -> (&str, serde_json::Value) {
    ("Bash", json!({"command": command}))
}

#[test]
fn an_old_roadmap_that_nobody_touched_is_untouched_whatever_else_was_done() {
    let repository = Repository::new();
    repository.commit("README.md", "- [ ] a box of the readme\n", START - 70_000);
    let head = repository.commit("docs/ROADMAP.md", "# Roadmap\n- [ ] EU billing\n", START - 60_000);
    repository.commit("README.md", "- [ ] a box of the readme.\n", START + 60_000);
    let untouched = of("docs/ROADMAP.md", Untouched);
    for prompt in ["fix the typo in README", "fix the typo in README.md", "explain docs/architecture.md", "go on"] {
        let calls = vec![
            ("Edit", json!({"file_path": repository.top.join("README.md"), "old_string": "a", "new_string": "b"})),
            bash("git log -- docs/ROADMAP.md; ls docs/ROADMAP.md; grep -rn typo ."),
            bash("cat README.md docs/ROADMAP.md docs/a.md docs/b.md"),
        ];
        assert_eq!(look(&repository, &head, &Done { prompt: Some(prompt), calls, cwd: None }), untouched, "{prompt}");
    }
    // A commit that changed the look of every text has moved none.
    repository.commit("docs/ROADMAP.md", "# Roadmap\n\n* [ ] EU billing\n", START + 70_000);
    assert_eq!(look(&repository, &head, &Done::default()), untouched);
}

#[rstest]
#[case("Edit", json!({"file_path": "docs/plan.md", "old_string": "a", "new_string": "b"}), Touched)]
#[case("Write", json!({"file_path": "docs/plan.md", "content": "x"}), Touched)]
#[case("Edit", json!({"file_path": "docs/plan.md", "old_string": "- [ ] zero", "new_string": "- [x] zero"}), Moved)]
#[case("Bash", json!({"command": "sed -i 's/a/b/' docs/plan.md"}), Touched)]
#[case("Bash", json!({"command": "cd docs && sed -i 's/- \\[ \\] zero/- [x] zero/' plan.md"}), Moved)]
#[case("Bash", json!({"command": "cat docs/plan.md"}), Touched)]
#[case("Read", json!({"file_path": "docs/plan.md"}), Touched)]
#[case("Read", json!({"file_path": "docs/other.md"}), Untouched)]
#[case("Bash", json!({"command": "ls docs/plan.md"}), Untouched)]
fn what_a_tool_does_with_a_plan(#[case] tool: &str, #[case] input: serde_json::Value, #[case] expected: PlanRelation) {
    let repository = Repository::new();
    let head = repository.commit("docs/plan.md", "- [x] zero\n- [ ] one\n", START - 60_000);
    let done = Done { calls: vec![(tool, input)], ..Done::default() };
    assert_eq!(look(&repository, &head, &done), of("docs/plan.md", expected));
}

#[test]
fn reading_counts_only_where_nothing_else_relates_a_plan_and_few_were_read() {
    let repository = Repository::new();
    for path in ["a/plan.md", "b/plan.md", "c/plan.md"] {
        repository.commit(path, "- [ ] one\n", START - 60_000);
    }
    let head = repository.git(&["rev-parse", "HEAD"], 0);
    let read = |path: &str| ("Read", json!({"file_path": path}));
    let related = |done: &Done<'_>| {
        let plans = look(&repository, &head, done).into_iter();
        plans.filter(|(_, relation)| *relation != Untouched).map(|(path, _)| path).collect::<Vec<_>>()
    };
    let two = Done { calls: vec![read("a/plan.md"), read("b/plan.md")], ..Done::default() };
    assert_eq!(related(&two).len(), 2);
    let all = Done { calls: vec![read("a/plan.md"), read("b/plan.md"), read("c/plan.md")], ..Done::default() };
    assert_eq!(related(&all), Vec::<String>::new());
    let named = Done { prompt: Some("execute b/plan.md"), ..two };
    assert_eq!(related(&named), ["b/plan.md"]);
    let written = Done {
        calls: vec![read("a/plan.md"), ("Edit", json!({"file_path": "c/plan.md", "old_string": "", "new_string": ""}))],
        ..Done::default()
    };
    assert_eq!(related(&written), ["c/plan.md"]);
}

#[test]
fn boxes_that_are_ticked_and_not_committed_are_moved_and_those_of_before_are_not() {
    let repository = Repository::new();
    let head = repository.commit("docs/plan.md", "- [x] zero\n- [ ] one\n- [ ] two\n", START - 60_000);
    let ticked = |text: &str| {
        repository.write("docs/plan.md", text);
        let plan = facts(&repository, &head, &Done::default()).plans.remove(0);
        (plan.relation(), plan.ticked_by_session, plan.open_step_texts)
    };
    assert_eq!(ticked("- [x] zero\n- [x] one\n- [ ] two\n"), (Moved, 1, vec!["two".to_owned()]));
    assert_eq!(ticked("- [x] zero\n- [x] one (in abc1234)\n- [ ] two\n"), (Moved, 1, vec!["two".to_owned()]));
    let both = vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(ticked("# Plan\n- [x] zero\n- [ ] one\n- [ ] two\n"), (Untouched, 0, both));
}

#[test]
fn a_prompt_names_a_plan_and_a_file_of_another_name_too() {
    let repository = Repository::new();
    repository.commit("notes/refactoring.md", "## Phase 2\n- [ ] split the parser\n", START - 70_000);
    repository.commit("packages/web/PLAN.md", "- [ ] one\n", START - 65_000);
    repository.commit("README.md", "- [ ] box\n", START - 64_000);
    let head = repository.commit("docs/plan.md", "# Exporter\n- [ ] write the JSON exporter\n", START - 60_000);
    let named = |prompt: &str| {
        let plans = look(&repository, &head, &Done { prompt: Some(prompt), ..Done::default() }).into_iter();
        plans.filter(|(_, relation)| *relation == Named).map(|(path, _)| path).collect::<Vec<_>>()
    };
    for (prompt, path) in [
        ("Execute docs/plan.md", "docs/plan.md"),
        ("go on with the plan", "docs/plan.md"),
        ("F\u{fc}hre den Plan aus", "docs/plan.md"),
        ("\u{8a08}\u{753b}\u{3092}\u{5b9f}\u{884c}", "docs/plan.md"),
        ("write the json exporter now", "docs/plan.md"),
        ("finish the plan in packages/web", "packages/web/PLAN.md"),
        ("Execute notes/refactoring.md to the end", "notes/refactoring.md"),
    ] {
        assert_eq!(named(prompt), [path], "{prompt}");
    }
    for prompt in ["read notes/refactoring.md", "work through README.md", "execute ../plan.md", "execute .git/x.md"] {
        assert_eq!(named(prompt).first().filter(|path| *path != "docs/plan.md"), None, "{prompt}");
    }
}

#[test]
fn of_very_many_plans_the_one_that_counts_is_not_cut_off() {
    let repository = Repository::new();
    std::fs::create_dir_all(repository.top.join("docs/plans")).unwrap();
    for number in 0..500 {
        repository.write(&format!("docs/plans/area-{number}-x.md"), "- [ ] one\n");
    }
    let old = repository.top.join("docs/plans/area-7-x.md");
    let file = std::fs::OpenOptions::new().write(true).open(&old).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    repository.git(&["add", "-A"], START - 60_000);
    let head = repository.commit("a.txt", "", START - 60_000);
    let first = |done: &Done<'_>| look(&repository, &head, done).remove(0);
    let named = Done { prompt: Some("execute docs/plans/area-7-x.md"), ..Done::default() };
    assert_eq!(first(&named), ("docs/plans/area-7-x.md".to_owned(), Named));
    let written = Done { calls: vec![bash("sed -i s/a/b/ docs/plans/area-7-x.md")], ..Done::default() };
    assert_eq!(first(&written), ("docs/plans/area-7-x.md".to_owned(), Touched));
    assert_eq!(first(&Done::default()).1, Untouched);
    repository.write("docs/plans/area-7-x.md", "- [x] zero\n- [ ] one\n");
    repository.git(&["commit", "-qam", "progress"], START + 60_000);
    assert_eq!(first(&Done::default()), ("docs/plans/area-7-x.md".to_owned(), Moved), "by a commit");
}

/// A repository with a plan of two steps, and what the session is known by: the prompt names the plan.
fn planned() -> (Repository, String) {
    let repository = Repository::new();
    let head = repository.commit("docs/plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    (repository, head)
}

/// What is left of the plan at a stop in `cwd`.
fn left(repository: &Repository, head: &str, cwd: &Path, calls: Vec<(&str, serde_json::Value)>) -> Vec<String> {
    let done = Done { prompt: Some("Execute docs/plan.md"), calls, cwd: Some(cwd) };
    let plans = facts(repository, head, &done).plans;
    plans.into_iter().flat_map(|plan| std::iter::once(plan.next_step).chain(plan.open_step_texts)).collect()
}

fn tick_in(repository: &Repository, tree: &Path, text: &str, commit: bool) {
    std::fs::write(tree.join("docs/plan.md"), text).unwrap();
    if commit {
        repository.git(&["-C", tree.to_str().unwrap(), "commit", "-qam", "tick"], START + 60_000);
    }
}

#[rstest]
#[case::on_a_branch(&["-b", "feature"])]
#[case::detached(&["--detach"])]
fn a_step_that_is_ticked_in_a_linked_worktree_is_done(#[case] how: &[&str]) {
    for commit in [true, false] {
        let (repository, head) = planned();
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().canonicalize().unwrap().join("linked tree");
        let add = [&["worktree", "add", "-q"], how, &[tree.to_str().unwrap()]].concat();
        repository.git(&add, START);
        assert_eq!(left(&repository, &head, &repository.top, vec![]), ["one", "one", "two"]);
        tick_in(&repository, &tree, "- [x] one\n- [ ] two\n", commit);
        assert_eq!(left(&repository, &head, &repository.top, vec![]), ["two", "two"]);
        tick_in(&repository, &tree, "- [x] one\n- [x] two\n", commit);
        assert_eq!(left(&repository, &head, &repository.top, vec![]), Vec::<String>::new());
    }
}

#[test]
fn the_other_way_round_a_step_that_is_ticked_in_the_main_working_tree_is_done() {
    let (repository, head) = planned();
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().canonicalize().unwrap().join("linked");
    repository.git(&["worktree", "add", "-q", "-b", "feature", tree.to_str().unwrap()], START);
    assert_eq!(left(&repository, &head, &tree, vec![]), ["one", "one", "two"]);
    tick_in(&repository, &repository.top, "- [x] one\n- [ ] two\n", false);
    assert_eq!(left(&repository, &head, &tree, vec![]), ["two", "two"]);
}

#[test]
fn a_removed_worktree_leaves_its_branch() {
    let (repository, head) = planned();
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().canonicalize().unwrap().join("linked");
    repository.git(&["worktree", "add", "-q", "-b", "feature", tree.to_str().unwrap()], START);
    tick_in(&repository, &tree, "- [x] one\n- [ ] two\n", true);
    repository.git(&["worktree", "remove", tree.to_str().unwrap()], START);
    assert_eq!(left(&repository, &head, &repository.top, vec![]), ["two", "two"]);
    // Merged, and opened again: what is checked out has the last word.
    repository.git(&["merge", "-q", "feature"], START + 70_000);
    repository.commit("docs/plan.md", "- [ ] one\n- [ ] two\n", START + 80_000);
    assert_eq!(left(&repository, &head, &repository.top, vec![]), ["one", "one", "two"]);
}

#[test]
fn what_was_ticked_elsewhere_before_the_session_counts_only_where_it_worked() {
    let (repository, head) = planned();
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().canonicalize().unwrap().join("old experiment");
    repository.git(&["worktree", "add", "-q", "-b", "experiment", tree.to_str().unwrap()], START - 50_000);
    std::fs::write(tree.join("docs/plan.md"), "- [x] one\n- [ ] two\n").unwrap();
    repository.git(&["-C", tree.to_str().unwrap(), "commit", "-qam", "tick"], START - 40_000);
    let plan = std::fs::OpenOptions::new().write(true).open(tree.join("docs/plan.md")).unwrap();
    plan.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
    assert_eq!(left(&repository, &head, &repository.top, vec![]), ["one", "one", "two"]);
    let command = format!("cd '{}' && make test.txt", tree.display());
    assert_eq!(left(&repository, &head, &repository.top, vec![bash(&command)]), ["two", "two"]);
}

#[test]
fn a_bare_repository_has_only_linked_worktrees_and_a_submodule_none() {
    let (source, head) = planned();
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    let bare = root.join("bare.git");
    source.git(&["clone", "-q", "--bare", source.top.to_str().unwrap(), bare.to_str().unwrap()], START);
    let (first, second) = (root.join("first"), root.join("second"));
    for (tree, branch) in [(&first, "a"), (&second, "b")] {
        let add = ["-C", bare.to_str().unwrap(), "worktree", "add", "-q", "-b", branch, tree.to_str().unwrap()];
        source.git(&add, START);
    }
    let start_cwd = first.clone();
    let in_first = |cwd: &Path| {
        let person = Person {
            prompt: Some(Prompt { text: "Execute docs/plan.md".into(), at_ms: None, reported: true }),
            ..Person::default()
        };
        let session = Session {
            cwd,
            start_cwd: Some(&start_cwd),
            person: &person,
            heard: None,
            head_at_start: Some(&head),
            ..source.session()
        };
        gather_as(&session).plans.into_iter().map(|plan| plan.next_step).collect::<Vec<_>>()
    };
    assert_eq!(in_first(&first), ["one"]);
    tick_in(&source, &second, "- [x] one\n- [ ] two\n", true);
    assert_eq!(in_first(&first), ["two"]);

    let outer = Repository::new();
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", source.top.to_str().unwrap(), "sub"];
    outer.git(&add, START);
    let sub = outer.top.join("sub");
    assert_eq!(in_first(&sub), ["one"], "of the repository that it was cloned from it knows nothing");
    let checkout = checkout::find(&sub).unwrap();
    assert_eq!(checkout.others(9), []);
}

/// A plan that the person approved in plan mode is the person's, wherever the client keeps it, and of what stood in it then.
#[test]
fn an_approved_plan_is_one_though_the_session_wrote_it() {
    let repository = Repository::new();
    let head = repository.commit("a.txt", "", START - 60_000);
    let place = tempfile::tempdir().unwrap();
    let home = place.path().canonicalize().unwrap();
    let seen = |file: &Path, in_result: bool, is_error: bool| {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "- [x] one\n- [ ] two\n- [ ] written later\n").unwrap();
        let shows = json!({"type": "tool_use", "id": "p", "name": "ExitPlanMode", "input": {}});
        let answer = json!({"type": "tool_result", "tool_use_id": "p", "content": "User has approved your plan.", "is_error": is_error});
        let told = json!({"filePath": file, "plan": "# Plan\n- [ ] one\n- [ ] two\n"});
        let lines = [
            json!({"type": "assistant", "message": {"content": [shows]}}),
            json!({"type": "user", "message": {"content": [answer]}, "toolUseResult": if in_result { told } else { json!({}) }}),
        ];
        let transcript = home.join("transcript.jsonl");
        std::fs::write(&transcript, lines.map(|line| line.to_string()).join("\n")).unwrap();
        let session = Session {
            transcript: Some(&transcript),
            home: Some(&home),
            head_at_start: Some(&head),
            ..repository.session()
        };
        let plans = gather_as(&session).plans.into_iter();
        plans.map(|plan| (plan.path.clone(), plan.relation(), plan.next_step)).collect::<Vec<_>>()
    };
    let of = |path: &str| vec![(path.to_owned(), Moved, "two".to_owned())];
    let kept = home.join(".claude/plans/calm-otter.md");
    assert_eq!(seen(&kept, true, false), of("~/.claude/plans/calm-otter.md"));
    assert_eq!(seen(&kept, true, true), [], "refused");
    assert_eq!(seen(&kept, false, false), [], "the client does not say which");
    assert_eq!(seen(&home.join("secrets/x.md"), true, false), [], "no directory of plans");
    let inside = repository.top.join("notes/calm-otter.md");
    assert_eq!(seen(&inside, true, false), of("notes/calm-otter.md"), "plansDirectory is in the project");
}
