//! Judges that are programs, run by the real `/bin/sh`.

use std::path::Path;

use rstest::rstest;
use stopgate_tests::process::has_ended;
use stopgate_tests::run::eventually;

use super::*;

/// Waits until the process whose id is in `file` has ended.
fn await_end(file: &Path) {
    let pid = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    eventually("the process ends", || has_ended(pid).then_some(()));
}

#[test]
fn it_reads_the_prompt_and_its_answer_holds() {
    let court = Court::new();
    let seen = court.dir.path().join("prompt");
    let judge = program(&format!("cat > '{}'; printf '%s' '{GO_ON}'", seen.display()));
    assert_holds(&opinion(court.ask(&judge, "My key is sk-a1b2c3d4e5f6a7b8 as ever. Let's go on in a fresh session.")));
    let prompt = std::fs::read_to_string(seen).unwrap();
    for part in ["You decide whether", "| plan 1: docs/plan.md", "| My key is [redacted] as ever. Let's go on"] {
        assert!(prompt.contains(part), "{part:?} in {prompt}");
    }
    assert!(!prompt.contains("sk-a1b2"), "{prompt}");
}

#[test]
fn the_fence_differs_from_call_to_call() {
    let court = Court::new();
    let seen = court.dir.path().join("fences");
    let judge = program(&format!("grep -m1 '^BEGIN' >> '{}'; printf '%s' '{GO_ON}'", seen.display()));
    for _ in 0..2 {
        opinion(court.ask(&judge, "m"));
    }
    let fences = std::fs::read_to_string(seen).unwrap();
    let (first, second) = fences.trim().split_once('\n').unwrap();
    assert!(first.starts_with("BEGIN stopgate-data-") && first != second, "{fences}");
}

#[test]
fn it_sees_a_scrubbed_environment_with_the_guard_and_an_empty_directory() {
    let court = Court::new();
    let seen = court.dir.path().join("seen");
    let script = format!(
        "{{ env; echo in=$(pwd -P); echo files=$(ls -A | wc -l); }} > '{}'; touch left-behind; mkdir -p sub/dir; printf '%s' '{GO_ON}'",
        seen.display()
    );
    let judge = JudgeConfig {
        pass_env: vec!["JUDGE_KEY".into(), "NOT_SET".into(), env::STOPGATE_JUDGE.into()],
        ..program(&script)
    };
    for _ in 0..2 {
        opinion(court.ask(&judge, "m"));
        let text = std::fs::read_to_string(&seen).unwrap();
        let place = std::fs::canonicalize(court.state.home.run()).unwrap().join("judge");
        for line in ["STOPGATE_JUDGE=1", &format!("JUDGE_KEY={KEY}"), &format!("in={}", place.display()), "files=0"] {
            assert!(text.lines().any(|seen| seen == line), "{line} in {text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("CARGO"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&place).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn a_link_in_the_place_of_its_directory_is_not_followed() {
    let court = Court::new();
    let elsewhere = court.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("precious"), "x").unwrap();
    std::os::unix::fs::symlink(&elsewhere, court.state.home.run().join("judge")).unwrap();
    let failed = failure(court.ask(&program("true"), "m"));
    assert_eq!(failed.kind, FailureKind::Unavailable);
    assert!(failed.detail.contains("run/judge") && elsewhere.join("precious").exists(), "{failed}");
}

#[rstest]
#[case::prose("echo 'I would let it continue.'", FailureKind::Malformed, "I would let it")]
#[case::nothing("true", FailureKind::Malformed, "not a JSON object")]
#[case::not_text("printf '\\377\\376'", FailureKind::Malformed, "UTF-8")]
#[case::oversized("yes | head -c 200000", FailureKind::Malformed, "more than 65536 bytes")]
#[case::endless("yes", FailureKind::Malformed, "more than 65536 bytes")]
#[case::fails("echo 'not logged in' >&2; exit 3", FailureKind::Unavailable, "ended with status 3: not logged in")]
#[case::fails_with_an_answer("echo '{}'; exit 1", FailureKind::Unavailable, "ended with status 1")]
#[case::signal("kill -9 $$", FailureKind::Unavailable, "ended by signal 9")]
#[case::tells_a_secret(
    "echo 'bad key sk-a1b2c3d4e5f6a7b8' >&2; exit 1",
    FailureKind::Unavailable,
    "bad key [redacted]"
)]
#[case::wrong_rule(
    r#"echo '{"decision": "continue", "rule": "U9_BECAUSE", "plan": 1}'"#,
    FailureKind::InvalidRule,
    "U9_BECAUSE"
)]
#[case::no_plan(
    r#"echo '{"decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT"}'"#,
    FailureKind::MissingPointer,
    "needs a plan"
)]
#[case::invented_path(
    r#"echo '{"decision": "continue", "rule": "U2_PLAN_FILE_NEXT_STEP_EXPLICIT", "plan": "/etc/passwd"}'"#,
    FailureKind::InvalidEvidence,
    "no such plan"
)]
fn whatever_a_program_does_wrong_has_its_kind(#[case] script: &str, #[case] kind: FailureKind, #[case] detail: &str) {
    let failed = failure(Court::new().ask(&program(script), "m"));
    assert_eq!(failed.kind, kind, "{failed}");
    assert!(failed.detail.contains(detail) && !failed.detail.contains("sk-a1b2"), "{failed}");
}

#[test]
fn a_program_that_is_not_there_is_unavailable() {
    let court = Court::new();
    for command in [vec!["/nowhere/judge".to_owned()], vec!["no-such-judge".to_owned()], Vec::new()] {
        let judge = JudgeConfig { command, ..program("") };
        assert_eq!(failure(court.ask(&judge, "m")).kind, FailureKind::Unavailable);
        court.state.judges.breakers.forget();
    }
}

#[test]
fn what_it_says_beside_the_answer_does_not_hold_it_up() {
    let court = Court::new();
    let judge = program(&format!("yes complaint | head -c 1000000 >&2; printf '%s' '{GO_ON}'"));
    assert_holds(&opinion(court.ask(&judge, "m")));
}

#[test]
fn a_program_that_ignores_its_prompt_or_closes_its_output_early_may_answer() {
    let court = Court::new();
    assert_holds(&opinion(court.ask(&program(&format!("exec < /dev/null; printf '%s' '{GO_ON}'")), "m")));
    let early = format!("printf '%s' '{GO_ON}'; exec >&- 2>&-; sleep 0.2");
    assert_holds(&opinion(court.ask(&program(&early), "m")));
    let failing = failure(court.ask(&program(&format!("{early}; exit 4")), "m"));
    assert_eq!(failing.kind, FailureKind::Unavailable, "the status counts");
}

#[test]
fn a_program_that_hangs_and_ignores_sigterm_is_killed_with_its_children_at_the_deadline() {
    let court = Court::new();
    let [own, child] = ["own", "child"].map(|name| court.dir.path().join(name));
    let script = format!(
        "trap '' TERM INT HUP; echo $$ > '{}'; sleep 300 & echo $! > '{}'; echo thinking >&2; while :; do wait; done",
        own.display(),
        child.display()
    );
    let judge = JudgeConfig { timeout_ms: 1_500, ..program(&script) };
    let failed = failure(court.ask(&judge, "m"));
    assert_eq!(failed.kind, FailureKind::Timeout);
    assert!(failed.detail.contains("thinking"), "{failed}");
    await_end(&own);
    await_end(&child);
}

#[test]
fn the_caller_s_deadline_counts_where_it_is_the_shorter_one() {
    let court = Court::new();
    let judge = JudgeConfig { timeout_ms: 120_000, ..program(&format!("sleep 10; printf '%s' '{GO_ON}'")) };
    let failed = failure(court.ask_within(&judge, "m", Duration::from_millis(400)));
    assert_eq!(failed.kind, FailureKind::Timeout);
}

#[test]
fn a_grandchild_that_holds_the_output_delays_no_answer_and_does_not_outlive_it() {
    let court = Court::new();
    let child = court.dir.path().join("child");
    let script = format!("sleep 300 & echo $! > '{}'; printf '%s' '{GO_ON}'", child.display());
    // Were it waited for, the deadline would pass first.
    assert_holds(&opinion(court.ask(&program(&script), "m")));
    await_end(&child);
}
