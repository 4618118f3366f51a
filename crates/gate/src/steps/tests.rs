use super::*;
use rstest::rstest;

fn read(text: &str) -> Vec<Step> {
    by_line(text, Where::Everywhere).flatten().collect()
}

fn open(text: &str) -> Vec<String> {
    read(text).into_iter().filter(|step| !step.is_done).map(|step| step.text).collect()
}

#[rstest]
#[case::boxes("- [x] a1\n- [ ] b2\n  * [ ] c3\n1. [ ] d4\n", &["b2", "c3", "d4"])]
#[case::no_break_spaces("- [\u{a0}] a1\n-\u{a0}[ ]\u{a0}b2\n", &["a1", "b2"])]
#[case::org("* TODO Write the parser\n** DONE Write the lexer\n- [ ] and tests\n", &["Write the parser", "and tests"])]
#[case::table("| # | Task | Status |\n|---|---|---|\n| 1 | Lexer | done |\n| 2 | Parser | pending |\n| 3 | Tests | \u{2b1c} |\n| 4 | Docs | optional |\n", &["Parser", "Tests"])]
#[case::table_in_german("| Aufgabe | Stand |\n|---|---|\n| Lexer | erledigt |\n| Parser | offen |\n", &["Parser"])]
#[case::status_below_headings("# Plan\n**Status:** in progress\n\n## Step 1: lexer\n**Status:** done\n\n## Step 2: parser\n**Status:** pending\n\nText.\n", &["Step 2: parser"])]
#[case::status_in_japanese("## 手順1\n状態：完了\n\n## 手順2\n状態：未着手\n", &["手順2"])]
fn steps_are_read_in_every_form(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(open(text), expected);
}

#[rstest]
#[case("- [ ] ~~Write the exporter~~")]
#[case("- [ ] BLOCKED: waiting for ops")]
#[case("- [ ] **BLOCKED** waiting for ops")]
#[case("- [ ] blocked by #12")]
#[case("- [ ] Exporter (optional)")]
#[case("- [ ] (optional) exporter")]
#[case("- [ ] [optional] exporter")]
#[case("- [ ] Optional: exporter")]
#[case("- [ ] Exporter \u{2014} deferred to 2.0")]
#[case("- [ ] rotate the key @human")]
#[case("- [-] cancelled")]
#[case("- [ ] open")]
#[case("- [ ] in progress")]
#[case("- [ ] (optionnel) exportateur")]
#[case("- [ ] Zur\u{fc}ckgestellt: Exporter")]
#[case("- [ ] \u{53ef}\u{9009}\u{ff1a}\u{5bfc}\u{51fa}")]
#[case("- [text](link) and more")]
#[case("- [](link)")]
#[case("- [ ] \u{1f6ab} exporter")]
#[case("- [ ] \u{26d4} BLOCKED: exporter")]
#[case("- [ ] exporter #blocked")]
#[case("- [ ] exporter \u{1f512} blocked by ops")]
#[case("- [ ] exporter -- deferred")]
#[case("- [ ] exporter (needs human)")]
#[case("- [ ] exporter (out of scope)")]
#[case("- [ ] exporter (no longer needed)")]
#[case("- [ ] exporter \u{2013} moved to #123")]
#[case("- [ ] to do / - [x] done / - [-] dropped")]
#[case("- [ ] Bloqueado por operaciones: exportador")]
#[case("- [ ] ブロック中：エクスポート")]
#[case("- [ ] 차단됨: 내보내기")]
#[case("### [ ] ~~Exporter~~")]
#[case("## Step 2: exporter (optional) [ ]")]
fn what_nobody_is_to_do_is_no_step(#[case] text: &str) {
    assert_eq!(open(text), Vec::<String>::new(), "{text}");
}

#[rstest]
#[case("Optional chaining in the parser")]
#[case("Skip links for keyboards")]
#[case("Waiting room screen")]
#[case("Write the manual page")]
#[case("Unblock the queue (the lock in `q.rs`)")]
#[case("Open files lazily")]
#[case("TODO comments are listed")]
#[case("Cancel button")]
#[case("Fix imports (moved to lib/)")]
#[case("Call the new endpoint (v2 API)")]
#[case("Handle orders (future dates too)")]
#[case("Link the issue #12")]
#[case("Show \u{1f512} beside private rooms")]
#[case("迁移数据（不需要重启）")]
#[case("任意の列をエクスポート")]
#[case("取消按钮的样式")]
#[case("导出接口（可选参数）")]
#[case("대기열 화면 만들기")]
fn steps_that_only_sound_like_it_are_steps(#[case] text: &str) {
    assert_eq!(open(&format!("- [ ] {text}")), [text]);
}

#[rstest]
#[case("## Out of scope")]
#[case("## Future ideas")]
#[case("### For the human")]
#[case("## Optional")]
#[case("## Ideas and later")]
#[case("## Stretch goals (maybe)")]
#[case("## Out-of-scope")]
#[case("## Nice-to-haves")]
#[case("## Backlog")]
#[case("## Follow-ups")]
#[case("## Human tasks")]
#[case("## \u{1f9ca} Icebox")]
#[case("## ~~Phase 2~~")]
#[case("## \u{411}\u{44d}\u{43a}\u{43b}\u{43e}\u{433}")]
#[case("**Nice to have:**")]
#[case("Later:")]
#[case("## Au\u{df}erhalb")]
#[case("## Fuera de alcance")]
#[case("## \u{5c06}\u{6765}\u{306e}\u{62e1}\u{5f35}")]
#[case("## \u{041f}\u{043e}\u{0437}\u{0436}\u{0435}")]
#[case("## Not part of this")]
#[case("## Post-launch")]
#[case("## Beyond the MVP")]
#[case("## After release")]
#[case("## Needs a human")]
#[case("## Deferred to v2")]
#[case("## Explicitly excluded")]
#[case("## Blocked on ops")]
#[case("## Waiting on others")]
#[case("## To be done by the user")]
#[case("## Open questions")]
#[case("## Future improvements")]
#[case("## Nicht Teil dieses Plans")]
#[case("## Was wir nicht machen")]
#[case("## Ideen für die Zukunft")]
#[case("## Für den Nutzer")]
#[case("## Pas dans ce plan")]
#[case("## Idées pour la suite")]
#[case("## Fuera del plan")]
#[case("## Ideas para el futuro")]
#[case("## Fora deste plano")]
#[case("## Idee future")]
#[case("## Buiten de scope")]
#[case("## Toekomstige ideeën")]
#[case("## 本次不做")]
#[case("## 后续工作")]
#[case("## 可选")]
#[case("## 나중에 할 일")]
#[case("## 人間が行う作業")]
#[case("## За рамками")]
#[case("## Идеи на будущее")]
#[case("## 사람이 할 일")]
#[case("## Pomysły na przyszłość")]
#[case("## Gelecek fikirleri")]
#[case("## İnsan için")]
#[case("<details><summary>Future ideas</summary>\n")]
fn a_section_for_later_holds_no_steps_and_the_next_one_does(#[case] heading: &str) {
    let text = format!("# Plan\n\n## Steps\n- [ ] a1\n\n{heading}\n- [ ] b2\n\n## More\n- [ ] c3\n");
    assert_eq!(open(&text), ["a1", "c3"]);
}

#[rstest]
#[case("## Future-proof storage")]
#[case("## Human readable output")]
#[case("## Waiting room")]
#[case("## Late binding")]
#[case("## Future date handling")]
#[case("## Manual for users")]
#[case("## Archive to S3")]
#[case("## Blocked users")]
#[case("## Example project")]
#[case("## 사람이 읽을 수 있는 출력")]
#[case("## 人工智能接口")]
#[case("## 例外処理")]
#[case("## ブロックエディタ")]
#[case("## 예약 기능")]
#[case("## 阻塞队列")]
fn a_heading_that_only_sounds_like_it_holds_steps(#[case] heading: &str) {
    assert_eq!(open(&format!("{heading}\n- [ ] a1\n")), ["a1"]);
}

#[test]
fn what_is_below_a_section_for_later_is_for_later() {
    let text = "## Later\n### Exporter\n- [ ] a1\n## Now\n### Importer\n- [ ] b2\n";
    assert_eq!(open(text), ["b2"]);
}

#[rstest]
#[case("---\ntitle: x\nstatus: completed\n---\n")]
#[case("---\nStatus: \"superseded\"\n---\n")]
#[case("# Plan\n\n**Status:** Superseded by plan-2.md\n\n")]
#[case("# Plan (archived)\n")]
#[case("> note\n\nSuperseded by [plan 2](plan-2.md)\n\n")]
#[case("# \u{8ba1}\u{5212}\n\u{72b6}\u{6001}\u{ff1a}\u{5df2}\u{5e9f}\u{5f03}\n\n")]
fn a_plan_that_is_over_has_no_steps(#[case] head: &str) {
    assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), Vec::<String>::new());
    assert_eq!(
        open(&format!("{}## Steps\n- [ ] a1\n", head.replace("status: completed", "status: active"))).is_empty(),
        !head.contains("status: completed")
    );
}

#[rstest]
#[case("---\narchived: true\n---\n")]
#[case("---\nsuperseded_by: plan-2.md\n---\n")]
#[case("---\nstatus: on hold\n---\n")]
#[case("+++\nstatus = \"done\"\n+++\n")]
#[case("# Plan\n\n- Status: done\n\n")]
#[case("# Plan\n\n> **Status:** superseded by docs/new.md\n\n")]
#[case("# Plan\n\n**SUPERSEDED**\n\n")]
#[case("# Plan\n\n**DEPRECATED** do not use\n\n")]
#[case("# Plan\n\nThis plan has been completed.\n\n")]
#[case("# Plan\n\nThis plan is superseded by plan 2.\n\n")]
#[case("Do not execute this plan.\n\n")]
#[case("---\nstatus: ✅ completed\n---\n")]
#[case("---\nactive: false\n---\n")]
#[case("---\ncompleted_at: 2026-01-01\n---\n")]
#[case("---\nstatus: implemented\n---\n")]
#[case("> **Note:** this plan is superseded by plan-2.\n\n")]
#[case("# Plan\n\n_Obsolete: see plan 2_\n\n")]
#[case("# Plan\n\nEste plan está obsoleto.\n\n")]
#[case("# План\n\nЭтот план устарел.\n\n")]
#[case("# 计划\n\n本计划已废弃。\n\n")]
#[case("# 計画\n\nこの計画は廃止されました。\n\n")]
fn a_plan_says_in_many_ways_that_it_is_over(#[case] head: &str) {
    assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), Vec::<String>::new());
}

#[rstest]
#[case("---\narchived: false\ntitle: done deal\n---\n")]
#[case("# Plan\n\nThis plan is about the archive.\n\n")]
#[case("# Plan\n\nClosed captions are missing.\n\n")]
#[case("# Plan\n\n- [x] Status: done is shown\n\n")]
#[case("# API for finished orders\n\n")]
#[case("# 登录\n\n完成用户登录功能。\n\n")]
#[case("# 計画\n\n完了画面を作る計画です。\n\n")]
#[case("---\nactive: true\n---\n")]
#[case("---\ncompleted_at:\n---\n")]
#[case("# Plan\n\nNote: the old one is obsolete.\n\n")]
fn and_a_plan_that_only_sounds_like_it_is_not(#[case] head: &str) {
    assert_eq!(open(&format!("{head}## Steps\n- [ ] a1\n")), ["a1"]);
}

#[test]
fn what_stands_below_a_step_that_nobody_is_to_do_is_a_part_of_it() {
    let text =
        "- [ ] ~~big~~\n  - [ ] sub\n    - [ ] subsub\n- [ ] n1\n  - [ ] its part\n- [ ] BLOCKED: x\n\t- [ ] y\n";
    assert_eq!(open(text), ["n1", "its part"]);
}

#[test]
fn a_file_that_says_other_things_as_well_has_steps_in_its_task_sections_only() {
    let text = "# Rules\n- [ ] tick before a commit\n\n## Current tasks\n- [ ] a1\n\n## Style\n- [ ] b2\n";
    let steps: Vec<Step> = by_line(text, Where::TaskSections).flatten().collect();
    assert_eq!(steps, [Step { text: "a1".to_owned(), is_done: false }]);
}

#[test]
fn what_is_done_is_told() {
    let steps = read("- [x] a1\n- [X] b2\n- [ ] c3\n");
    assert_eq!(steps.iter().map(|step| step.is_done).collect::<Vec<_>>(), [true, true, false]);
}

/// Plans as they are written elsewhere; what is left of each.
#[rstest]
#[case::github_issue("### Tasks\n- [x] #12\n- [ ] octo/repo#34\n- [ ] https://example.invalid/issues/5\n", &["octo/repo#34", "https://example.invalid/issues/5"])]
#[case::notion("# Launch 1f2e3d\n\nStatus: In progress\nOwner: Ann\n\n- [x]  Draft\n- [ ]  Review\n    - [ ]  Legal\n", &["Review", "Legal"])]
#[case::ballot_boxes("\u{2611} lexer\n\u{2610} parser\n- \u{2610} tests\n- \u{2705} docs\n", &["parser", "tests"])]
#[case::todo_lines("TODO: write the parser\nDONE: write the lexer\n- TODO: tests\n", &["write the parser", "tests"])]
#[case::numbers_and_marks("1. \u{2705} Lexer\n2. \u{2b1c} Parser\n3. \u{274c} Tests\n", &["Parser"])]
#[case::marks_behind("- Lexer \u{2705}\n- Parser \u{2b1c}\n", &["Parser"])]
#[case::draft("---\nstatus: draft\n---\n- [ ] a1\n", &["a1"])]
#[case::completed("---\nstatus: completed\n---\n- [ ] a1\n", &[])]
#[case::superseded("---\nstatus: superseded\nsuperseded-by: b.md\n---\n- [ ] a1\n", &[])]
#[case::later("## Jetzt\n- [ ] a1\n## Sp\u{e4}ter\n- [ ] b2\n", &["a1"])]
#[case::future("## \u{4eca}\n- [ ] a1\n## \u{5c06}\u{6765}\n- [ ] b2\n", &["a1"])]
#[case::legend("Legend: - [ ] open, - [x] done\n\n- [ ] open\n- [x] done\n- [ ] a1\n", &["a1"])]
#[case::struck_through("- [ ] ~~a1~~ dropped\n- [ ] b2\n- [ ] **~~c3~~**\n", &["b2"])]
#[case::blocked("- [ ] BLOCKED: a1\n- [ ] a2 [BLOCKED]\n- [ ] \u{1f6ab} a3 (blocked)\n- [ ] b4\n", &["b4"])]
#[case::below_a_done_parent("- [x] big\n  - [ ] left over\n- [ ] b2\n", &["left over", "b2"])]
#[case::two_plans_in_one_file("# Plan A\n**Status:** completed\n- [ ] a1\n\n# Plan B\n**Status:** active\n- [ ] b1\n", &["b1"])]
#[case::two_plans_the_second_over("# Plan B\n- [ ] b1\n\n# Plan A (superseded)\n- [ ] a1\n", &["b1"])]
#[case::phase_that_is_done("# Plan\n## Phase 1 (done)\n- [ ] a1\n## Phase 2\n- [ ] b1\n", &["b1"])]
#[case::phase_with_a_mark("# Plan\n## \u{2705} Phase 1\n- [ ] a1\n## Phase 2\n- [ ] b1\n", &["b1"])]
#[case::table_of_boxes("| Step | Done |\n|---|---|\n| Lexer | [x] |\n| Parser | [ ] |\n", &["Parser"])]
#[case::table_in_chinese("| \u{4efb}\u{52a1} | \u{72b6}\u{6001} |\n|---|---|\n| \u{89e3}\u{6790}\u{5668} | \u{5df2}\u{5b8c}\u{6210} |\n| \u{6d4b}\u{8bd5}\u{7528}\u{4f8b} | \u{5f85}\u{529e} |\n", &["\u{6d4b}\u{8bd5}\u{7528}\u{4f8b}"])]
#[case::org_checkboxes("* Plan [1/2]\n- [X] a1\n- [ ] b2\n", &["b2"])]
#[case::org_priorities("* TODO [#A] Write the parser :work:\n* DONE Lexer\n* CANCELLED Old\n", &["[#A] Write the parser :work:"])]
#[case::quoted("> - [ ] an example of somebody\n\n- [ ] a1\n", &["a1"])]
#[case::windows_lines("# Plan\r\n- [x] a1\r\n- [ ] b2\r\n", &["b2"])]
#[case::byte_order_mark("\u{feff}- [ ] a1\n", &["a1"])]
#[case::asterisks_and_tabs("*\t[ ]\ta1\n+ [x] b2\n", &["a1"])]
#[case::capital_x_and_check("- [X] a1\n- [\u{2713}] b2\n- [v] c3\n- [ ] d4\n", &["d4"])]
#[case::full_width("- \u{ff3b} \u{ff3d} a1\n- [\u{3000}] b2\n", &["a1", "b2"])]
#[case::russian_status("## \u{428}\u{430}\u{433} 1\n**\u{421}\u{442}\u{430}\u{442}\u{443}\u{441}:** \u{433}\u{43e}\u{442}\u{43e}\u{432}\u{43e}\n## \u{428}\u{430}\u{433} 2\n**\u{421}\u{442}\u{430}\u{442}\u{443}\u{441}:** \u{432} \u{440}\u{430}\u{431}\u{43e}\u{442}\u{435}\n", &["\u{428}\u{430}\u{433} 2"])]
#[case::non_goals("## Non-Goals\n- [ ] a1\n## Goals\n- [ ] b1\n", &["b1"])]
#[case::boxes_in_headings("## Step 1: lexer [x]\n\n## Step 2: parser [ ]\n**Status:** pending\n### [ ] **Tests**\n", &["Step 2: parser", "Tests"])]
#[case::org_next("* Plan\n** NEXT exporter\n** WAITING ops\n- NEXT to it\n", &["exporter"])]
#[case::what_is_folded("- [ ] a1\n\n<details><summary>Future ideas</summary>\n\n- [ ] b2\n\n</details>\n\n- [ ] c3\n", &["a1", "c3"])]
#[case::changelog_prose("Release 2 is done.\nTODO comments are listed by the linter.\n", &[])]
fn plans_of_other_places(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(open(text), expected);
}
