use super::*;
use rstest::rstest;

/// Which of `paths` the prompts, newest first, name.
fn named<'a>(prompts: &[&str], paths: &[&'a str]) -> Vec<&'a str> {
    says(prompts, &paths.iter().map(|path| (*path, Vec::new())).collect::<Vec<_>>())
}

fn says<'a>(prompts: &[&str], plans: &[(&'a str, Vec<&str>)]) -> Vec<&'a str> {
    let texts: Vec<Vec<String>> =
        plans.iter().map(|(_, says)| says.iter().map(|text| (*text).to_owned()).collect()).collect();
    let candidates: Vec<Candidate<'_>> =
        plans.iter().zip(&texts).map(|((path, _), says)| Candidate { path, says }).collect();
    let named = Prompts::of(prompts.iter().copied()).named(&candidates);
    plans.iter().zip(named).filter(|(_, named)| *named).map(|((path, _), _)| *path).collect()
}

#[rstest]
#[case("Execute docs/plan.md")]
#[case("@docs/plan.md go")]
#[case("work through `./docs/plan.md`, step by step.")]
#[case("Implement /home/me/w/docs/plan.md.")]
#[case("mach [den Rest](docs/plan.md) fertig")]
#[case("docs\\plan.md abarbeiten")]
#[case("\u{6b21}\u{306b}docs/plan.md\u{3092}\u{5b9f}\u{884c}\u{3057}\u{3066}\u{304f}\u{3060}\u{3055}\u{3044}")]
#[case("see Docs/PLAN.MD")]
fn a_plan_is_named_by_its_path(#[case] prompt: &str) {
    assert_eq!(named(&[prompt], &["docs/plan.md", "docs/other-plan.md", "TODO.md"]), ["docs/plan.md"], "{prompt}");
}

#[rstest]
#[case("finish packages/web/PLAN.md", &["packages/web/PLAN.md"])]
#[case("finish web/PLAN.md", &["packages/web/PLAN.md"])]
#[case("finish PLAN.md", &["PLAN.md"])]
#[case("finish the plan in packages/api", &["packages/api/PLAN.md"])]
#[case("finish the plan for the api", &["packages/api/PLAN.md"])]
#[case("finish the plan", &["PLAN.md"])]
#[case("do other-PLAN.md", &[])]
fn of_several_with_one_name_the_one_is_meant_that_the_prompt_says(#[case] prompt: &str, #[case] expected: &[&str]) {
    let paths = ["PLAN.md", "packages/web/PLAN.md", "packages/api/PLAN.md"];
    assert_eq!(named(&[prompt], &paths), expected, "{prompt}");
}

#[rstest]
#[case("go on with the migration plan")]
#[case("Setze den Migration-Plan um")]
#[case("docs/plans/migration weiter")]
#[case("migration plan: step 3")]
fn a_plan_is_named_by_what_sets_it_apart(#[case] prompt: &str) {
    assert_eq!(named(&[prompt], &["docs/plans/migration.md", "docs/plans/exporter.md"]), ["docs/plans/migration.md"]);
    assert_eq!(named(&[prompt], &["2026-01-03-migration-plan.md", "PLAN.md"]), ["2026-01-03-migration-plan.md"]);
}

#[rstest]
#[case("Execute the plan")]
#[case("execute PLAN")]
#[case("F\u{fc}hre den Plan aus")]
#[case("Ex\u{e9}cute le plan")]
#[case("sigue con el plan")]
#[case("continue o plano")]
#[case("esegui il piano")]
#[case("voer het plan uit")]
#[case("wykonaj plan do ko\u{144}ca")]
#[case("plan\u{131} uygula")]
#[case("\u{432}\u{44b}\u{43f}\u{43e}\u{43b}\u{43d}\u{438} \u{43f}\u{43b}\u{430}\u{43d}")]
#[case("\u{8a08}\u{753b}\u{3092}\u{5b9f}\u{884c}\u{3057}\u{3066}")]
#[case("\u{6267}\u{884c}\u{8ba1}\u{5212}")]
#[case("\u{acc4}\u{d68d}\u{c744} \u{c2e4}\u{d589}\u{d574}")]
#[case("do all remaining steps")]
fn a_general_word_names_the_only_plan_or_the_one_that_stands_out(#[case] prompt: &str) {
    assert_eq!(named(&[prompt], &["docs/plan.md"]), ["docs/plan.md"], "{prompt}");
    assert_eq!(named(&[prompt], &["docs/plan.md", "sub/old-ideas/tasks.md"]), ["docs/plan.md"], "{prompt}");
    assert_eq!(named(&[prompt], &["docs/plan-a.md", "docs/plan-b.md"]), Vec::<&str>::new(), "{prompt}");
}

#[rstest]
#[case("fix the typo in README")]
#[case("plan the migration of the parser")]
#[case("write a plan for the exporter")]
#[case("go on")]
#[case("the planet demo is broken")]
#[case("tests")]
fn other_prompts_name_none(#[case] prompt: &str) {
    let plans = [("ROADMAP.md", vec!["Tests", "EU billing", "README"]), ("docs/roadmap-eu.md", vec![])];
    assert_eq!(says(&[prompt], &plans), Vec::<&str>::new(), "{prompt}");
}

#[test]
fn kinds_of_files_are_called_what_they_are() {
    let all = ["docs/plan.md", "TODO.md", "ROADMAP.md"];
    assert_eq!(named(&["clear the todo list"], &all), ["TODO.md"]);
    assert_eq!(named(&["work on the roadmap"], &all), ["ROADMAP.md"]);
    assert_eq!(named(&["execute the plan"], &all), ["docs/plan.md"]);
    assert_eq!(named(&["work on the roadmap"], &["docs/plan.md"]), Vec::<&str>::new());
}

#[test]
fn a_heading_or_a_step_names_its_plan() {
    let plans = [
        ("docs/a.md", vec!["Phase 1", "Phase 2: The exporter", "Write the JSON exporter"]),
        ("docs/b.md", vec!["Phase 1", "Phase 3"]),
    ];
    assert_eq!(says(&["Do phase 2 now"], &plans), ["docs/a.md"]);
    assert_eq!(says(&["Phase 3, please"], &plans), ["docs/b.md"]);
    assert_eq!(says(&["write the json exporter and commit"], &plans), ["docs/a.md"]);
    assert_eq!(says(&["Phase 1"], &plans), Vec::<&str>::new(), "both have one");
}

#[test]
fn the_newest_prompt_that_names_one_decides_and_a_name_counts_for_more_than_a_general_word() {
    let all = ["docs/plan.md", "docs/migration.md"];
    assert_eq!(named(&["go on with the plan", "execute docs/migration.md"], &all), ["docs/migration.md"]);
    assert_eq!(named(&["now docs/plan.md", "execute docs/migration.md"], &all), ["docs/plan.md"]);
    assert_eq!(named(&["go on", "execute the plan"], &all), ["docs/plan.md"]);
}

#[test]
fn a_file_of_any_name_is_a_job_where_it_is_to_be_worked_through() {
    let jobs = |prompt: &str| Prompts::of([prompt]).jobs().map(str::to_owned).collect::<Vec<_>>();
    for prompt in [
        "Execute notes/refactoring.md",
        "notes/refactoring.md \u{3092}\u{5b9f}\u{884c}\u{3057}\u{3066}",
        "Arbeite notes/refactoring.md ab",
    ] {
        assert_eq!(jobs(prompt), ["notes/refactoring.md"], "{prompt}");
    }
    assert_eq!(jobs("fix the typo in notes/refactoring.md"), Vec::<String>::new());
}

#[test]
fn paths_are_read_out_of_prompts() {
    let prompts = Prompts::of(["do @notes/refactoring.md, then `x.md:12`; see https://e.example/a.md", "and b.txt"]);
    assert_eq!(
        prompts.paths().collect::<Vec<_>>(),
        ["notes/refactoring.md", "x.md", "https://e.example/a.md", "b.txt"]
    );
}

proptest::proptest! {
    #[test]
    fn no_prompt_panics(prompt in "(\\PC{0,40}|.{0,20}\\.md.{0,5}){0,4}", path in "[a-z/.\u{8a08}]{1,20}") {
        let says = [prompt.clone()];
        let _ = Prompts::of([prompt.as_str()]).named(&[Candidate { path: &path, says: &says }]);
    }
}
