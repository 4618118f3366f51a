use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use stopgate_core::session::Harness;
use stopgate_gate::facts::{GitTrouble, Plan};

mod related;

struct Repository {
    _dir: tempfile::TempDir,
    top: PathBuf,
    key: SessionKey,
}

/// A time whose seconds tell commits apart.
const START: UnixMillis = 1_700_000_000_500;

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let key = SessionKey::new(Harness::Claude, "s").unwrap();
        let repository = Self { _dir: dir, top, key };
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
        gather_as(&Session { head_at_start, ..self.session() })
    }

    fn session(&self) -> Session<'_> {
        Session {
            key: &self.key,
            cwd: &self.top,
            transcript: None,
            told: None,
            person: const { &Person { prompt: None, earlier: Vec::new(), end: None, headless: false } },
            heard: None,
            clock_held: true,
            started_at_ms: START,
            head_at_start: None,
            start_cwd: Some(&self.top),
            search_path: None,
            home: None,
            exclude: &[],
        }
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.top.join(path), text).unwrap();
    }
}

fn gather_as(session: &Session<'_>) -> Facts {
    gather(&Memo::default(), session, soon())
}

fn fingerprint_of(top: &Path) -> Option<String> {
    let checkout = checkout::find(top).unwrap();
    dirty_fingerprint(&Memo::default(), &checkout, &Git::of(&checkout, None), soon())
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
    {
        let facts = repository.gather(Some(&head));
        let plan = Plan {
            path: "docs/plan.md".into(),
            next_step: "two".into(),
            open_steps: 1,
            predates_session: true,
            introduced_by: Some(planned.clone()),
            session_commits: vec![moved.clone()],
            ticked_by_session: 1,
            open_step_texts: vec!["two".into()],
            done_steps: Some(1),
            ..Plan::default()
        };
        let expected = Facts {
            plans: vec![plan],
            session_commits: vec![other.clone(), moved.clone()],
            head: Some(other.clone()),
            head_at_start: Some(head),
            fingerprint: facts.fingerprint.clone(),
            ..Facts::default()
        };
        assert_eq!(facts, expected);
    }
    std::fs::remove_dir_all(repository.top.join(".git/logs")).unwrap();
    assert_eq!(repository.gather(None).plans, [], "whose step that is cannot be told");
    let evidence = EvidencePointer {
        plan_file: "docs/plan.md".into(),
        plan_commit_sha: Some(planned.clone()),
        incremental_commit_sha: Some(moved.clone()),
        next_step: "two".into(),
        task: None,
    };
    let verified = |evidence: &EvidencePointer| verify(&Memo::default(), &repository.top, None, evidence, soon());
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
fn a_plan_of_this_session_is_none() {
    let repository = Repository::new();
    let head = repository.commit("a.txt", "", START - 60_000);
    repository.commit("todo.md", "- [ ] new\n", START + 60_000);
    repository.commit("spec.md", "- [ ] backdated\n", START - 30_000);
    repository.write("plan.md", "- [ ] untracked and newer than the start\n");
    let started_at_ms = to_millis(SystemTime::now()) - 3_600_000;
    let session = Session { started_at_ms, head_at_start: Some(&head), ..repository.session() };
    assert_eq!(gather(&Memo::default(), &session, soon()).plans, []);
    assert_eq!(repository.gather(Some(&head)).plans, []);
}

#[test]
fn a_step_of_this_session_is_none() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    let steps = |text: &str| {
        repository.commit("plan.md", text, START + 60_000);
        repository.gather(Some(&head)).plans.first().map(|plan| (plan.next_step.clone(), plan.open_steps))
    };
    assert_eq!(steps("- [ ] new\n- [x] one\n- [ ] two\n"), Some(("two".into(), 2)));
    assert_eq!(steps("- [ ] new\n- [x] one\n- [x] two\n"), None);
    assert_eq!(steps("- [x] one\n```\n- [ ] two\n```\n"), None, "an example in code");
}

#[test]
fn a_plan_that_was_changed_before_the_session_counts_as_it_was_then() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] one\n", START);
    repository.write("plan.md", "- [ ] not committed\n");
    let started_at_ms = to_millis(SystemTime::now()) + 60_000;
    let session = Session { started_at_ms, head_at_start: Some(&head), ..repository.session() };
    assert_eq!(gather(&Memo::default(), &session, soon()).plans[0].next_step, "not committed");
}

#[test]
fn another_checkout_and_the_home_directory_give_nothing() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] one\n", START - 60_000);
    repository.commit("a.txt", "", START + 60_000);
    assert_eq!(repository.gather(Some(&head)).plans.len(), 1);
    let foreign = repository.gather(Some(&"0".repeat(40)));
    assert_eq!((foreign.plans, foreign.head), (vec![], None), "began in another repository");
    let below = repository.top.join("below");
    std::fs::create_dir(&below).unwrap();
    for (home, plans) in [(&repository.top, 0), (&below, 1)] {
        let session =
            Session { cwd: &below, head_at_start: Some(&head), home: Some(home.as_path()), ..repository.session() };
        assert_eq!(gather(&Memo::default(), &session, soon()).plans.len(), plans, "{}", home.display());
    }
}

#[test]
fn steps_are_evidence_without_their_secrets() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] log in with password=hunter2\n", START - 60_000);
    let plan = repository.gather(Some(&head)).plans.remove(0);
    assert_eq!(plan.next_step, "log in with password=[redacted]");
    let evidence = EvidencePointer {
        plan_file: plan.path,
        plan_commit_sha: plan.introduced_by,
        incremental_commit_sha: None,
        next_step: plan.next_step,
        task: None,
    };
    assert_eq!(verify(&Memo::default(), &repository.top, None, &evidence, soon()), Ok(()));
}

/// Programs that a checkout's own configuration names, and that say that they ran.
#[test]
fn no_program_of_the_checkout_is_run() {
    let repository = Repository::new();
    let script = |name: &str, does: &str| {
        let path = repository.top.join(".git").join(name);
        let text = format!("#!/bin/sh\necho {name} >> '{}'\n{does}\n", repository.top.join(".git/ran").display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let signs = "cat > /dev/null; echo '[GNUPG:] SIG_CREATED X' >&2; echo '-----BEGIN PGP SIGNATURE-----'; echo x; \
                 echo '-----END PGP SIGNATURE-----'";
    repository.commit("a.txt", "a", START - 60_000);
    let head = repository.commit("plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    for (key, value) in [
        ("gpg.program", script("gpg", &format!("[ \"$1\" = --status-fd=2 ] || exit 1\n{signs}"))),
        ("log.showSignature", "true".to_owned()),
        ("core.fsmonitor", script("fsmonitor", "")),
        ("diff.external", script("external", "")),
        ("diff.x.textconv", script("textconv", "cat \"$1\"")),
    ] {
        repository.git(&["config", key, &value], 0);
    }
    repository.write("plan.md", "- [x] one\n- [ ] two\n");
    let signed = ["-c", "core.fsmonitor=false", "commit", "-q", "-S", "-a", "-m", "signed"];
    repository.git(&signed, START + 60_000);
    for (key, value) in [("filter.x.clean", script("clean", "cat")), ("filter.x.process", script("process", "exit 1"))]
    {
        repository.git(&["config", key, &value], 0);
    }
    repository.write(".gitattributes", "* filter=x diff=x\n");
    repository.write("a.txt", "b");
    let ran = repository.top.join(".git/ran");
    std::fs::remove_file(&ran).unwrap();

    assert!(fingerprint_of(&repository.top).is_some());
    let facts = repository.gather(Some(&head));
    assert_eq!((facts.plans.len(), facts.session_commits.len()), (1, 1), "{facts:?}");
    let evidence = EvidencePointer {
        plan_file: "plan.md".into(),
        plan_commit_sha: Some(head),
        incremental_commit_sha: facts.session_commits.first().cloned(),
        next_step: "two".into(),
        task: None,
    };
    assert_eq!(verify(&Memo::default(), &repository.top, None, &evidence, soon()), Ok(()));
    assert!(!ran.exists(), "ran: {}", std::fs::read_to_string(&ran).unwrap_or_default());
}

#[test]
fn a_fingerprint_tells_changes() {
    let repository = Repository::new();
    repository.commit("a.txt", "a", START);
    let fingerprint = || fingerprint_of(&repository.top).unwrap();
    let mut seen = vec![fingerprint()];
    assert_eq!(fingerprint(), seen[0]);
    repository.write("a.txt", "changed");
    seen.push(fingerprint());
    repository.write("new.txt", "");
    seen.push(fingerprint());
    repository.git(&["add", "new.txt"], 0);
    seen.push(fingerprint());
    repository.git(&["commit", "-q", "-m", "all"], START);
    seen.push(fingerprint());
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn an_untracked_plan_is_judged_by_its_birth() {
    let repository = Repository::new();
    repository.write("plan.md", "- [ ] parser\n");
    let at = |started_at_ms| {
        let session = Session { started_at_ms, ..repository.session() };
        gather(&Memo::default(), &session, soon()).plans.len()
    };
    let now = to_millis(SystemTime::now());
    assert_eq!((at(now + 60_000), at(now - 60_000)), (1, 0));
}

#[test]
fn a_clock_that_was_set_leaves_what_git_has_of_the_start_and_nothing_else() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] parser\n", START - 99_000);
    repository.write("todo.md", "- [ ] untracked\n");
    // By the clock as it is now, all of it was there long before the session.
    let later = to_millis(SystemTime::now()) + 99_000_000;
    let paths = |clock_held, head_at_start| {
        let session = Session { started_at_ms: later, clock_held, head_at_start, ..repository.session() };
        gather_as(&session).plans.into_iter().map(|plan| plan.path).collect::<BTreeSet<_>>()
    };
    assert_eq!(paths(true, Some(&head)).len(), 2);
    assert_eq!(paths(false, Some(&head)), BTreeSet::from(["plan.md".to_owned()]));
    assert_eq!(paths(false, None), BTreeSet::new());
    // A plan that the session has committed itself is no evidence, whatever its times are.
    let own = repository.commit("plan.md", "- [ ] parser\n- [ ] own\n", START - 50_000);
    let session = Session { clock_held: false, head_at_start: Some(&head), ..repository.session() };
    let facts = gather_as(&session);
    assert_eq!(facts.plans[0].next_step, "parser");
    assert_eq!(facts.session_commits, [own], "no ancestor of the start");
    let session = Session { clock_held: false, started_at_ms: 1, ..repository.session() };
    assert_eq!(gather_as(&session).session_commits, [""; 0]);
}

#[test]
fn planted_links_and_plain_directories_give_nothing() {
    let repository = Repository::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("plan.md"), "- [ ] not yours\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("plan.md"), repository.top.join("plan.md")).unwrap();
    std::os::unix::fs::symlink(outside.path(), repository.top.join("plans")).unwrap();
    assert_eq!(repository.gather(None).plans, []);
    let evidence = |path: &str| EvidencePointer {
        plan_file: path.into(),
        plan_commit_sha: None,
        incremental_commit_sha: None,
        next_step: "not yours".into(),
        task: None,
    };
    for path in ["plan.md", "plans/plan.md"] {
        assert_eq!(
            verify(&Memo::default(), &repository.top, None, &evidence(path), soon()),
            Err(EvidenceFault::PlanChanged),
            "{path}"
        );
    }
    let plain = Session { cwd: outside.path(), started_at_ms: i64::MAX, ..repository.session() };
    let facts = gather(&Memo::default(), &plain, soon());
    assert_eq!((facts.plans, facts.head), (vec![], None), "not a checkout");
}

#[test]
fn without_time_there_are_no_facts_and_no_verification() {
    let repository = Repository::new();
    repository.commit("plan.md", "- [ ] one\n", START - 60_000);
    let session = repository.session();
    assert_eq!(gather(&Memo::default(), &session, Instant::now()).plans, []);
}

#[test]
fn what_the_session_touched_comes_first_and_what_is_excluded_never() {
    let repository = Repository::new();
    repository.commit("a/plan.md", "- [ ] old\n", START - 60_000);
    let head = repository.commit("b/plan.md", "- [ ] newer\n", START - 50_000);
    let later = SystemTime::now() + Duration::from_mins(1);
    let file = std::fs::OpenOptions::new().write(true).open(repository.top.join("b/plan.md")).unwrap();
    file.set_modified(later).unwrap();
    let first = |session: &Session<'_>| gather_as(session).plans.first().map(|plan| plan.next_step.clone());
    let plain = Session { head_at_start: Some(&head), ..repository.session() };
    assert_eq!(first(&plain).as_deref(), Some("newer"));
    assert_eq!(gather_as(&plain).excluded_plans, Vec::<String>::new());

    let transcript = repository.top.join("transcript.jsonl");
    let touched = repository.top.join("a/plan.md");
    let line = format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"Read","input":{{"file_path":"{}"}}}}]}}}}"#,
        touched.display()
    );
    std::fs::write(&transcript, line).unwrap();
    let session = Session { transcript: Some(&transcript), head_at_start: Some(&head), ..repository.session() };
    assert_eq!(first(&session).as_deref(), Some("old"));
    assert!(gather_as(&session).plans[0].touched_by_session);

    let exclude = ["b".to_owned(), "a/plan.md".to_owned()];
    let facts = gather_as(&Session { exclude: &exclude, ..plain });
    assert_eq!((facts.plans.len(), facts.excluded_plans), (0, vec!["a/plan.md".to_owned(), "b/plan.md".to_owned()]));
}

#[test]
fn the_end_of_a_long_transcript_tells_the_tasks() {
    let repository = Repository::new();
    let transcript = repository.top.join("transcript.jsonl");
    let list = |text: &str| {
        format!(
            r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"TodoWrite","input":{{"todos":[{{"content":"{text}","status":"pending"}}]}}}}]}}}}"#
        )
    };
    let filler = "x".repeat(300 * 1024);
    std::fs::write(&transcript, format!("{}\n{filler}\n{}\n", list("early"), list("late"))).unwrap();
    let session = Session { transcript: Some(&transcript), ..repository.session() };
    let tasks = gather_as(&session).tasks;
    assert_eq!(tasks.iter().map(|task| task.text.as_str()).collect::<Vec<_>>(), ["late"]);
    let has_open = |task| has_open_task(&session, task, soon());
    assert_eq!((has_open("late"), has_open("early")), (Some(true), Some(false)));
    assert_eq!(has_open_task(&session, "late", Instant::now()), None, "no time");
    let hostile = Session { transcript: Some(Path::new("/dev/zero")), ..repository.session() };
    assert_eq!(gather_as(&hostile).tasks, []);
}

#[test]
fn changed_and_new_files_are_counted_and_change_the_fingerprint() {
    let repository = Repository::new();
    repository.commit("a.txt", "a", START);
    repository.commit("b.txt", "b", START);
    repository.write(".gitignore", "ignored\n");
    repository.git(&["add", ".gitignore"], START);
    repository.git(&["commit", "-q", "-m", "ignore"], START);
    let look = || {
        let facts = repository.gather(None);
        (facts.dirty_files, facts.fingerprint)
    };
    let (count, clean) = look();
    assert_eq!(count, 0);
    assert_eq!(look().1, clean, "the same state has the same hash");
    repository.write("a.txt", "changed");
    repository.write("new.txt", "");
    repository.write("ignored", "");
    let (count, dirty) = look();
    assert_eq!(count, 2);
    assert_ne!(dirty, clean);
    std::fs::remove_file(repository.top.join("b.txt")).unwrap();
    assert_eq!(look().0, 3);
    repository.git(&["add", "-A"], START);
    repository.git(&["commit", "-q", "-m", "all"], START);
    let (count, committed) = look();
    assert_eq!(count, 0);
    assert_ne!(committed, clean, "a commit is progress");
}

/// git is not asked twice while HEAD and index stay as they are, and is when they do not: shown by taking git's
/// objects away.
#[test]
fn answers_are_kept_for_as_long_as_head_and_index_stay() {
    let repository = Repository::new();
    let head = repository.commit("docs/plan.md", "- [ ] one\n", START - 60_000);
    let memo = Memo::default();
    let session = Session { head_at_start: Some(&head), ..repository.session() };
    let gathered = || gather(&memo, &session, soon());
    let first = gathered();
    assert!(first.plans[0].introduced_by.is_some());
    let objects = repository.top.join(".git/objects");
    let aside = repository.top.join(".git/aside");
    std::fs::rename(&objects, &aside).unwrap();
    assert_eq!(gathered(), first, "from memory");
    assert_eq!(gather(&Memo::default(), &session, soon()).plans, [], "without memory there is nothing");
    std::fs::rename(&aside, &objects).unwrap();
    let second = repository.commit("docs/plan.md", "- [ ] one\n- [ ] two\n", START + 60_000);
    assert_eq!(gathered().session_commits, [second]);
    assert_eq!(gathered().plans[0].open_steps, 2);
}

#[test]
fn a_live_build_of_the_session_is_a_fact_and_one_of_another_is_not() {
    use stopgate_build_guard::owner::OwnerStamp;
    use stopgate_build_guard::state::{BuildState, Phase, Size};
    let repository = Repository::new();
    repository.commit("a.txt", "a", START);
    let build = |id: &str, session: &str, phase: Phase| {
        let owner =
            OwnerStamp { harness: Some(Harness::Claude), session_id: Some(session.into()), ..OwnerStamp::default() };
        let mut state = BuildState::started(id.into(), "task".into(), Size::Small, Some(owner), 1);
        state.phase = phase;
        let dir = repository.top.join(".stopgate/builds").join(id);
        std::fs::create_dir_all(&dir).unwrap();
        stopgate_build_guard::store::write(&dir, &state).unwrap();
    };
    build("own", "s", Phase::Executing);
    build("over", "s", Phase::Failed);
    build("foreign", "other", Phase::Executing);
    assert_eq!(repository.gather(None).live_builds, ["own"]);
}

#[test]
fn stopgate_itself_is_known_by_a_line_that_a_namesake_does_not_have() {
    assert!(is_stopgate(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))));
    let other = tempfile::tempdir().unwrap();
    for dir in ["core", "crates/core"] {
        std::fs::create_dir_all(other.path().join(dir)).unwrap();
        std::fs::write(other.path().join(dir).join("Cargo.toml"), "[package]\nname = \"stopgate-core\"\n").unwrap();
    }
    std::fs::write(other.path().join("Cargo.toml"), "[workspace]\nmembers = [\"crates/*\"]\n").unwrap();
    assert!(!is_stopgate(other.path()));
}

/// Untracked files are found wherever they are, and what is ignored nowhere; the latter also where nothing is tracked.
#[test]
fn untracked_plans_are_found_in_directories_of_which_nothing_is_tracked() {
    let repository = Repository::new();
    repository.commit(".gitignore", "*.log\n/new/secret/\n", START - 60_000);
    let plan = "- [ ] one\n";
    for path in ["new/deep/plan.md", "new/secret/plan.md", "new/:(top)x/plan.md", "new/*/todo.md", "new/other/x.bin"] {
        std::fs::create_dir_all(repository.top.join(path).parent().unwrap()).unwrap();
        repository.write(path, plan);
    }
    repository.write("new/plan.log", plan);
    std::fs::create_dir(repository.top.join("new/inner")).unwrap();
    repository.git(&["init", "-q", "new/inner"], START);
    repository.write("new/inner/plan.md", plan);
    std::os::unix::fs::symlink(repository.top.join("new/deep"), repository.top.join("new/link")).unwrap();

    let checkout = checkout::find(&repository.top).unwrap();
    let git = Git::of(&checkout, None);
    let listed = untracked::Untracked::list(&git, &repository.top, soon()).unwrap();
    assert_eq!(listed.plans, ["new/*/todo.md", "new/:(top)x/plan.md", "new/deep/plan.md"]);
    assert_eq!((listed.count, listed.files.len()), (5, 5), "with new/link and new/other/x.bin: {:?}", listed.files);
    let state = || fingerprint_of(&repository.top);
    let before = state();
    repository.write("new/other/x.bin", "changed");
    assert_ne!(state(), before);
    assert_eq!(untracked::Untracked::list(&git, &repository.top, Instant::now()).unwrap_err(), Unlisted::NotInTime);
}

/// A step that the session wrote itself is not held against it where nobody knows what was checked out at its start, in a
/// checkout that is not the one it began in least of all.
#[test]
fn without_a_known_start_only_what_nobody_has_touched_counts() {
    let repository = Repository::new();
    repository.commit("plan.md", "- [x] one\n", START - 60_000);
    repository.write("plan.md", "- [x] one\n- [ ] written in this session\n");
    assert_eq!(repository.gather(None).plans, [], "touched since");
    let later = to_millis(SystemTime::now()) + 60_000;
    let session = || Session { started_at_ms: later, ..repository.session() };
    assert_eq!(gather_as(&session()).plans.len(), 1, "as it was before the session");
    let other = Repository::new();
    for start_cwd in [Some(other.top.as_path()), None] {
        assert_eq!(
            gather_as(&Session { start_cwd, ..session() }).plans,
            [],
            "began elsewhere, or who knows: {start_cwd:?}"
        );
    }
}

#[test]
fn git_s_own_log_tells_what_was_checked_out_when_nobody_noted_it() {
    let repository = Repository::new();
    let planned = repository.commit("plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    let of = |start_cwd: Option<&Path>, started_at_ms| {
        gather_as(&Session { started_at_ms, start_cwd, ..repository.session() })
    };
    let steps = |facts: &Facts| facts.plans.iter().map(|plan| plan.next_step.clone()).collect::<Vec<_>>();
    // The session goes on with the plan, and writes one of its own.
    repository.commit("plan.md", "- [x] one\n- [ ] of the session\n- [ ] two\n", START + 60_000);
    repository.commit("own-plan.md", "- [ ] of the session\n", START + 90_000);
    let nowhere = tempfile::tempdir().unwrap();
    for start in [&*repository.top, nowhere.path(), repository.top.parent().unwrap()] {
        let facts = of(Some(start), START);
        assert_eq!((facts.head_at_start.as_ref(), facts.start_from_reflog), (Some(&planned), true), "{start:?}");
        assert_eq!((steps(&facts), facts.session_commits.len()), (vec!["two".to_owned()], 2), "{start:?}");
        // Within the second of a move nobody knows which was first.
        let facts = of(Some(start), START - 60_000);
        assert_eq!((&facts.head_at_start, steps(&facts)), (&None, vec![]), "{start:?}");
    }
    assert_eq!((of(None, START).head_at_start, steps(&of(None, START))), (None, vec![]), "who knows where it began");
    // All of it made since the start: nothing counts.
    let facts = of(Some(nowhere.path()), START - 120_000);
    assert_eq!((&facts.head_at_start, steps(&facts)), (&None, vec![]));
    // Cloned since: what was cloned is of before.
    let mut cloned = Repository::new();
    std::fs::remove_dir_all(cloned.top.join(".git")).unwrap();
    cloned.git(&["clone", "-q", repository.top.to_str().unwrap(), "c"], START + 200_000);
    cloned.top.push("c");
    let head = repository.git(&["rev-parse", "HEAD"], 0);
    let of = |started_at_ms| gather_as(&Session { start_cwd: Some(nowhere.path()), started_at_ms, ..cloned.session() });
    let facts = of(START + 150_000);
    assert_eq!((facts.head_at_start, facts.plans.len()), (Some(head), 2));
    assert_eq!(of(START + 90_000).head_at_start, None, "what was cloned was made in the session");
    // Without a log nothing is told.
    std::fs::remove_dir_all(cloned.top.join(".git/logs")).unwrap();
    assert_eq!(of(START + 150_000).head_at_start, None);
}

#[test]
fn a_plan_that_is_too_large_is_named() {
    let repository = Repository::new();
    let head = repository.commit("docs/plan.md", &"- [ ] a step\n".repeat(50_000), START - 60_000);
    let facts = repository.gather(Some(&head));
    assert_eq!((facts.plans, facts.too_large_plans), (vec![], vec!["docs/plan.md".to_owned()]));
}

#[test]
fn with_reftable_git_is_asked_and_what_it_says_is_forgotten_with_the_commit() {
    let repository = Repository::new();
    std::fs::remove_dir_all(repository.top.join(".git")).unwrap();
    repository.git(&["init", "-q", "--ref-format=reftable", "."], START);
    let head = repository.commit("plan.md", "- [ ] one\n- [ ] two\n", START - 60_000);
    let checkout = checkout::find(&repository.top).unwrap();
    let git = Git::of(&checkout, None);
    let at_start = |start_ms| head_at_start(&checkout, &git, start_ms, soon());
    assert_eq!(
        (at_start(START), at_start(START - 60_000)),
        (Some(head.clone()), None),
        "a commit of before, and one that may be the session's"
    );
    let memo = Memo::default();
    let session = Session { head_at_start: Some(&head), ..repository.session() };
    let first = gather(&memo, &session, soon());
    assert_eq!((first.plans.len(), first.head.as_ref(), first.session_commits.len()), (1, Some(&head), 0));
    // Neither index nor any file changes.
    repository.git(&["commit", "-q", "--allow-empty", "-m", "empty"], START + 60_000);
    assert_eq!(gather(&memo, &session, soon()).session_commits.len(), 1);
}

/// A plan of tens of thousands of steps takes time in proportion to its length: twice as long, and not four times.
#[test]
fn a_long_plan_is_compared_step_by_step_with_what_it_was() {
    let repository = Repository::new();
    let text: Vec<String> = (0..40_000).map(|step| format!("- [ ] {step}\n")).collect();
    let text = text.concat();
    let head = repository.commit("plan.md", &text, START - 60_000);
    repository.write("plan.md", &text.replacen("- [ ] 0\n", "- [ ] new\n- [x] 0\n", 1));
    let facts = repository.gather(Some(&head));
    assert_eq!((facts.plans[0].next_step.as_str(), facts.plans[0].open_steps), ("1", 40_000));
    // With the last step alone left of them, every step would have to be compared with every other.
    let new = text.replace("- [ ] ", "- [ ] n");
    repository.write("plan.md", &(new + "- [ ] 39999\n"));
    assert_eq!(repository.gather(Some(&head)).plans[0].next_step, "39999");
}

#[test]
fn what_is_not_known_in_time_is_not_said_to_be_missing() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] one\n", START - 60_000);
    let evidence = EvidencePointer {
        plan_file: "plan.md".into(),
        plan_commit_sha: Some(head),
        incremental_commit_sha: None,
        next_step: "one".into(),
        task: None,
    };
    let verified = |path| verify(&Memo::default(), &repository.top, path, &evidence, soon());
    assert_eq!(verified(None), Ok(()));
    assert_eq!(verified(Some("/nowhere")), Err(EvidenceFault::NotKnownInTime), "git cannot be asked");
    let late = verify(&Memo::default(), &repository.top, None, &evidence, Instant::now());
    assert_eq!(late, Err(EvidenceFault::NotKnownInTime));
    let session = repository.session();
    assert_eq!(gather(&Memo::default(), &session, Instant::now()).failure(), Some("timeout"));
}

/// Also where the files are known from before, as after the start of a session.
#[test]
fn a_git_that_cannot_be_asked_is_told_of_though_something_is_remembered() {
    let repository = Repository::new();
    let head = repository.commit("plan.md", "- [ ] one\n", START - 60_000);
    let (memo, checkout) = (Memo::default(), checkout::find(&repository.top).unwrap());
    assert!(dirty_fingerprint(&memo, &checkout, &Git::of(&checkout, None), soon()).is_some());
    let without = |head_at_start| Session { head_at_start, search_path: Some("/nowhere"), ..repository.session() };
    let facts = gather(&memo, &without(Some(&head)), soon());
    assert_eq!((facts.git_trouble, facts.failure()), (Some(GitTrouble::Missing), Some("git")));
    assert_eq!(memo.troubles().len(), 1);
    let with = Session { search_path: None, ..without(Some(&head)) };
    assert_eq!((gather(&memo, &with, soon()).failure(), memo.troubles().len()), (None, 0));
}
