use super::*;

#[test]
fn names_on_the_wire_are_the_names_in_the_store() {
    for rule in RuleId::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.id());
        assert_eq!(rule.id().parse(), Ok(rule));
    }
    let continues = RuleId::ALL.into_iter().filter(|rule| rule.decision() == Decision::Continue);
    assert_eq!(continues.count(), 5, "every other rule can only let go");
}

/// They are in the stores, scripts and graded verdicts of users: a row may come, and none may go or change its name.
#[test]
fn ids_that_were_public_once_stay() {
    for id in [
        "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE",
        "U2_PLAN_FILE_NEXT_STEP_EXPLICIT",
        "U3_RECENT_COMMIT_PROVES_INCREMENTAL",
        "U4_TASK_LIST_PENDING",
        "U5_PLAN_NOT_UPDATED",
        "U_LEGIT_DESIGN_QUESTION",
        "U_LEGIT_APPROVAL_NEEDED",
        "U_LEGIT_MISSING_INFO",
        "U_LEGIT_ERROR",
        "U_LEGIT_EXTERNAL_WAIT",
        "U_LEGIT_COMPLETION",
        "U_LEGIT_AS_ASKED",
        "U_SELF_DEFERRAL",
        "U_META_SELF_REFERENCE",
        "U_AMBIGUOUS_INSUFFICIENT_SIGNAL",
    ] {
        assert_eq!(RuleId::from_str(id).map(RuleId::id), Ok(id));
    }
}

#[test]
fn a_judge_may_cite_no_rule_that_rests_on_something_else_than_an_offered_plan() {
    for rule in RuleId::ALL.into_iter().filter(|rule| rule.for_judge().is_some()) {
        assert_ne!(rule.basis(), Some(Basis::Task), "{rule}");
    }
}

#[test]
fn the_page_has_each_rule_with_what_the_table_says_of_it() {
    let page = include_str!("../../../../../docs/gate.md");
    let mut rules = RuleId::ALL;
    // What holds first, in the order in which it is looked for.
    rules.sort_by_key(|rule| (rule.basis().is_none(), rule.basis()));
    let row = |rule: RuleId| format!("| `{rule}` | {} |{} |\n", rule.decision().name(), rule.when());
    let head = "| rule | decision | when there is an excuse or a promise, and |\n| --- | --- | --- |\n";
    let table = format!("\n{head}{}\n", rules.map(row).concat());
    assert!(page.contains(&table), "the table of docs/gate.md has to be:\n{table}");
}

fn facts() -> Facts {
    let plan = |path: &str, introduced: char, touched: char| Plan {
        path: path.into(),
        next_step: "x".into(),
        open_steps: 1,
        predates_session: true,
        introduced_by: Some(introduced.to_string().repeat(40)),
        session_commits: vec![touched.to_string().repeat(40)],
        ..Plan::default()
    };
    Facts {
        plans: vec![plan("a.md", 'a', 'c'), plan("b.md", 'b', 'd')],
        session_commits: vec!["c".repeat(40), "d".repeat(40)],
        ..Facts::default()
    }
}

fn pointer(path: &str, plan: &str, incremental: &str) -> EvidencePointer {
    EvidencePointer {
        plan_file: path.into(),
        plan_commit_sha: Some(plan.to_owned()),
        incremental_commit_sha: Some(incremental.to_owned()),
        next_step: "x".into(),
        task: None,
    }
}

#[test]
fn all_pointers_must_belong_to_one_artifact() {
    let (a, b, c, d) = ("a".repeat(40), "b".repeat(40), "c".repeat(40), "d".repeat(40));
    let u1 = |path: &str, plan: &str, inc: &str| Basis::MovedPlan.check(&pointer(path, plan, inc), &facts());
    assert_eq!(u1("a.md", &a, &c), Ok(()));
    assert_eq!(u1("a.md", &b, &c), Err(EvidenceFault::ForeignPlanCommit));
    assert_eq!(u1("a.md", &a, &d), Err(EvidenceFault::ForeignIncrementalCommit));
    assert_eq!(u1("c.md", &a, &c), Err(EvidenceFault::UnknownPlan));
    assert_eq!(u1("../a.md", &a, &c), Err(EvidenceFault::UnsafePath));
    assert_eq!(u1("/a.md", &a, &c), Err(EvidenceFault::UnsafePath));
    assert_eq!(u1("a.md", &a, "--help"), Err(EvidenceFault::NotAnObjectId));
    assert_eq!(Basis::PlanAndCommit.check(&pointer("a.md", &a, &d), &facts()), Ok(()));
}

#[test]
fn u1_and_u3_need_both_commits_and_u2_none() {
    let bare = EvidencePointer { plan_commit_sha: None, incremental_commit_sha: None, ..pointer("a.md", "", "") };
    assert_eq!(Basis::MovedPlan.check(&bare, &facts()), Err(EvidenceFault::MissingPointer));
    assert_eq!(Basis::PlanAndCommit.check(&bare, &facts()), Err(EvidenceFault::MissingPointer));
    assert_eq!(Basis::Plan.check(&bare, &facts()), Ok(()));
}
