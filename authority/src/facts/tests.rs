use super::*;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

struct Repository {
    _dir: tempfile::TempDir,
    top: PathBuf,
}

/// A time whose seconds tell commits apart.
const START: UnixMillis = 1_700_000_000_500;

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let repository = Self { _dir: dir, top };
        repository.git(&["init", "-q", "."], 0);
        repository
    }

    fn git(&self, arguments: &[&str], at_ms: UnixMillis) -> String {
        let date = format!("{} +0000", at_ms / 1000);
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(&self.top)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, path: &str, text: &str, at_ms: UnixMillis) -> String {
        let file = self.top.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["add", "--", path], at_ms);
        self.git(&["commit", "-q", "-m", path], at_ms);
        self.git(&["rev-parse", "HEAD"], at_ms)
    }

    fn gather(&self, head_at_start: Option<&str>) -> Facts {
        gather(&Session { cwd: &self.top, started_at_ms: START, head_at_start }, soon())
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn a_plan_from_before_and_a_commit_that_moved_it_on() {
    let repository = Repository::new();
    let planned = repository.commit("docs/plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    repository.commit("src/a.rs", "", START - 30_000);
    let head = repository.git(&["rev-parse", "HEAD"], 0);
    let moved = repository.commit("docs/plan.md", "- [x] one\n- [ ] two\n", START + 60_000);
    let other = repository.commit("src/b.rs", "", START + 90_000);
    for head_at_start in [Some(head.as_str()), None] {
        let facts = repository.gather(head_at_start);
        let plan = Plan {
            path: "docs/plan.md".into(),
            next_step: "two".into(),
            open_steps: 1,
            predates_session: true,
            introduced_by: Some(planned.clone()),
            session_commits: vec![moved.clone()],
        };
        let expected =
            Facts { plans: vec![plan], session_commits: vec![other.clone(), moved.clone()], is_stopgate: false };
        assert_eq!(facts, expected, "{head_at_start:?}");
    }
    let evidence = EvidencePointer {
        plan_file: "docs/plan.md".into(),
        plan_commit_sha: Some(planned.clone()),
        incremental_commit_sha: Some(moved.clone()),
        next_step: "two".into(),
    };
    let verified = |evidence: &EvidencePointer| verify(&repository.top, evidence, soon());
    assert_eq!(verified(&evidence), Ok(()));
    let swapped =
        EvidencePointer { plan_commit_sha: Some(moved), incremental_commit_sha: Some(planned), ..evidence.clone() };
    assert_eq!(verified(&swapped), Err(EvidenceFault::NotDescendant));
    let missing = EvidencePointer { plan_commit_sha: Some("0".repeat(40)), ..evidence.clone() };
    assert_eq!(verified(&missing), Err(EvidenceFault::NoSuchCommit));
    std::fs::write(repository.top.join("docs/plan.md"), "- [x] one\n- [x] two\n").unwrap();
    assert_eq!(verified(&evidence), Err(EvidenceFault::PlanChanged), "ticked meanwhile");
    std::fs::remove_file(repository.top.join("docs/plan.md")).unwrap();
    assert_eq!(verified(&evidence), Err(EvidenceFault::PlanChanged), "deleted meanwhile");
}

#[test]
fn a_plan_of_this_session_does_not_predate_it() {
    let repository = Repository::new();
    let head = repository.commit("a.txt", "", START - 60_000);
    repository.commit("todo.md", "- [ ] new\n", START + 60_000);
    std::fs::write(repository.top.join("plan.md"), "- [ ] untracked and newer than the start\n").unwrap();
    let facts = gather(
        &Session {
            cwd: &repository.top,
            started_at_ms: to_millis(SystemTime::now()) - 3_600_000,
            head_at_start: Some(&head),
        },
        soon(),
    );
    let plan = |path: &str| facts.plans.iter().find(|plan| plan.path == path).unwrap();
    assert!(!plan("plan.md").predates_session);
    let by_commit = repository.gather(Some(&head));
    assert!(!by_commit.plans.iter().find(|plan| plan.path == "todo.md").unwrap().predates_session);
}

#[test]
fn an_untracked_plan_is_judged_by_its_birth() {
    let repository = Repository::new();
    std::fs::write(repository.top.join("plan.md"), "- [ ] later\n").unwrap();
    let at = |started_at_ms| {
        gather(&Session { cwd: &repository.top, started_at_ms, head_at_start: None }, soon()).plans[0].predates_session
    };
    let now = to_millis(SystemTime::now());
    assert!(at(now + 60_000) && !at(now - 60_000));
}

#[test]
fn planted_links_and_plain_directories_give_nothing() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("plan.md"), "- [ ] not yours\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("plan.md"), repository.top.join("plan.md")).unwrap();
    std::os::unix::fs::symlink(outside.path(), repository.top.join("plans")).unwrap();
    assert_eq!(repository.gather(None), Facts::default());
    let evidence = |path: &str| EvidencePointer {
        plan_file: path.into(),
        plan_commit_sha: None,
        incremental_commit_sha: None,
        next_step: "not yours".into(),
    };
    for path in ["plan.md", "plans/plan.md"] {
        assert_eq!(verify(&repository.top, &evidence(path), soon()), Err(EvidenceFault::PlanChanged), "{path}");
    }
    let plain = Session { cwd: outside.path(), started_at_ms: i64::MAX, head_at_start: None };
    assert_eq!(gather(&plain, soon()), Facts::default(), "not a checkout");
}

#[test]
fn without_time_there_are_no_facts_and_no_verification() {
    let repository = Repository::new();
    repository.commit("plan.md", "- [ ] one\n", START - 60_000);
    let session = Session { cwd: &repository.top, started_at_ms: START, head_at_start: None };
    assert_eq!(gather(&session, Instant::now()).plans, []);
}

#[test]
fn names_are_compared_by_whole_words() {
    for yes in ["PLAN.md", "docs/plan.md", "docs/my-plan_v2.markdown", "TODO.txt", "specs/parser.md", "a/tasks/1.md"] {
        assert!(is_plan_like(yes), "{yes}");
    }
    for no in ["planet.md", "background.md", ".next/build.json", "src/plan.rs", "plan", "explanation.md", "context.md"]
    {
        assert!(!is_plan_like(no), "{no}");
    }
}
