//! Which plan is meant, which of its steps are open, and how a task list stands.

use rstest::rstest;
use serde_json::{Value, json};
use stopgate_core::session::Harness;
use stopgate_tests::checkout::Checkout;
use stopgate_tests::field::{Field, PLAN};
use stopgate_tests::transcript::EXECUTE;
use stopgate_tests::world::World;

use super::{EXCUSE, Wrong};
use Harness::{Claude, Codex};

/// What a session does.
type Does<'a> = &'a dyn Fn(&Field<'_>);

#[test]
fn an_old_list_that_the_session_has_nothing_to_do_with_holds_nobody() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let roadmap = "# Roadmap\n\n- [x] Accounts\n- [ ] EU billing\n- [ ] Exports\n";
    let cases = [
        (
            "docs/ROADMAP.md",
            roadmap,
            "fix the typo in README",
            "Fixed and committed. I'll leave the lint warnings for a follow-up PR.",
        ),
        (
            "TODO.md",
            "- [ ] EU billing\n- [ ] exports\n",
            "Behebe den Tippfehler in der README.",
            "Behoben. Die Lint-Warnungen lasse ich für einen späteren PR.",
        ),
        (
            "docs/plans/2025-q3.md",
            "| Task | Status |\n|---|---|\n| EU billing | pending |\n",
            "corrige la faute de frappe dans le README",
            "Corrigé. Je laisse les avertissements du linter pour plus tard.",
        ),
        (
            "PLAN.md",
            "## EU billing\n**Status:** pending\n",
            "Corrige el error tipográfico del README",
            "Corregido. Dejo los avisos del linter para otro PR.",
        ),
        ("roadmap.org", "* TODO EU billing\n", "修正 README 里的错别字", "已修正并提交。lint 警告留到以后再处理。"),
        ("docs/roadmap.md", roadmap, "READMEの誤字を直して", "修正しました。lintの警告は別のPRで対応します。"),
        (
            "docs/roadmap.md",
            roadmap,
            "Исправь опечатку в README",
            "Исправлено. Предупреждения линтера оставлю на потом.",
        ),
    ];
    for (number, (path, list, said, message)) in cases.into_iter().enumerate() {
        let checkout = Checkout::create(&world.root().join(format!("old-{number}")));
        checkout.write(path, list);
        checkout.write("README.md", "A projct.\n");
        checkout.commit("all of it");
        let field = Field::begun(&world, Harness::ALL[number % 2], &format!("old-{number}"), checkout);
        field.says(said);
        field.edits("README.md", "projct", "project");
        field.commits("typo");
        wrong.turn(&field, said, message, false);
        wrong.turn(&field, said, EXCUSE, false);
        field.says(&format!("Now execute {path}, all of it."));
        let told = wrong.turn(&field, path, EXCUSE, true);
        wrong.unless(told.contains("EU billing"), || format!("{path}: {told}"));
    }
}

/// Each beside a step, or a section, that only looks like it.
#[rstest]
#[case::items(&[
    ("- [ ] ~~Exporter~~", "- [ ] Exporter ~ 3 h"),
    ("- [ ] BLOCKED: waiting for ops", "- [ ] Blocked users see a page"),
    ("- [ ] ⛔ BLOCKED: exporter", "- [ ] Show ⛔ on closed roads"),
    ("- [ ] Exporter (optional)", "- [ ] Exporter with optional columns"),
    ("- [ ] _optional_: exporter", "- [ ] _optional_ fields are greyed"),
    ("- [ ] Exporter #blocked", "- [ ] Exporter #12"),
    ("- [ ] Rotate the key (needs human)", "- [ ] Human-readable dates"),
    ("- [-] Exporter", "- [/] Exporter"),
    ("- [ ] ~~Exporter~~\n  - [ ] CSV", "- [ ] Exporter\n  - [x] CSV"),
    ("- [\u{a0}] Exporter — deferred", "- [\u{a0}] Exporter"),
    ("Legend:\n- [ ] open\n- [x] done", "Steps:\n- [ ] open the file\n- [x] done"),
])]
#[case::sections(&[
    ("## Out of scope\n- [ ] Exporter", "## Scope\n- [ ] Exporter"),
    ("## Future ideas\n- [ ] Exporter", "## Future dates\n- [ ] Exporter"),
    ("## For the human\n- [ ] Exporter", "## Human-readable output\n- [ ] Exporter"),
    ("## Post-launch\n- [ ] Exporter", "## Launch\n- [ ] Exporter"),
    ("<details><summary>Nice to have</summary>\n\n- [ ] Exporter\n\n</details>", "<details><summary>Steps</summary>\n\n- [ ] Exporter\n\n</details>"),
    ("## Nicht Teil dieses Plans\n- [ ] Exporter", "## Teil 2\n- [ ] Exporter"),
    ("## Ideas para el futuro\n- [ ] Exportador", "## Exportar\n- [ ] Exportador"),
    ("## 本次不做\n- [ ] 导出", "## 人工智能接口\n- [ ] 导出"),
    ("## 나중에 할 일\n- [ ] 내보내기", "## 할 일\n- [ ] 내보내기"),
])]
#[case::in_other_languages(&[
    ("- [ ] Bloqué par l'équipe ops : export", "- [ ] Débloquer la file"),
    ("- [ ] エクスポート（任意）", "- [ ] 任意の列をエクスポート"),
    ("- [ ] Экспорт (необязательно)", "- [ ] Экспорт (обязательно)"),
    ("- [ ] ZABLOKOWANE: eksport", "- [ ] Odblokować eksport"),
])]
#[case::in_other_forms(&[
    ("| Step | Status |\n|---|---|\n| Exporter | ❌ cancelled |", "| Step | Status |\n|---|---|\n| Exporter | ⏳ pending |"),
    ("## Exporter\n**Status:** deferred", "## Exporter\n**Status:** in progress"),
    ("### [ ] ~~Exporter~~", "### [ ] Exporter"),
    ("* WAITING Exporter\n* CANCELLED CSV", "* NEXT Exporter"),
])]
fn what_nobody_is_to_do_holds_nobody(#[case] cases: &[(&str, &str)]) {
    let plan = |rest: &str| format!("# Plan\n\n- [ ] 2. Import job\n\n{rest}\n");
    steps(cases, plan);
}

#[test]
fn a_plan_that_is_over_holds_nobody() {
    let cases = [
        ("---\ntitle: x\nstatus: ✅ completed\n---\n", "---\ntitle: x\nstatus: active\n---\n"),
        ("---\nsuperseded_by: b.md\n---\n", "---\nsupersedes: a.md\n---\n"),
        ("---\nactive: false\n---\n", "---\nactive: true\n---\n"),
        ("> **Note:** this plan is superseded by b.md.\n\n", "> **Note:** this plan supersedes a.md.\n\n"),
        ("Dieser Plan ist überholt.\n\n", "Dieser Plan ist gültig.\n\n"),
        ("Este plan está obsoleto.\n\n", "Este plan está vigente.\n\n"),
        ("本计划已废弃。\n\n", "本计划已开始。\n\n"),
    ];
    steps(&cases, |head| format!("{head}# Plan\n\n- [ ] 2. Import job\n- [ ] Exporter\n"));
}

/// With the first plan of each case nobody is held, with the second one for what is left.
fn steps(cases: &[(&str, &str)], plan: impl Fn(&str) -> String) {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    for (number, (nobodys, open)) in cases.iter().enumerate() {
        let (one, other) = (Harness::ALL[number % 2], Harness::ALL[(number + 1) % 2]);
        for (harness, id, part, is_held) in [(one, "nobodys", nobodys, false), (other, "open", open, true)] {
            let field = Field::planned(&world, harness, &format!("{id}-{number}"), &plan(part));
            field.says(EXECUTE);
            field.ticks("2. Import job");
            let told = wrong.turn(&field, part, EXCUSE, is_held);
            wrong.unless(!told.contains("Import job"), || told.clone());
        }
    }
}

/// Where a linked working tree does a step, and whether it is there still when the session ends its turn.
#[rstest]
#[case::committed(true, true)]
#[case::not_committed(false, true)]
#[case::removed(true, false)]
fn a_step_that_is_ticked_in_a_linked_working_tree_is_done(#[case] commits: bool, #[case] stays: bool) {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    for harness in Harness::ALL {
        let field = Field::planned(&world, harness, harness.name(), PLAN);
        field.says(EXECUTE);
        let tree = world.root().join(format!("tree of {harness}"));
        let command = ["worktree", "add", "-q", "-b", "import", tree.to_str().unwrap()];
        field.checkout.git(&command);
        field.runs(&format!("git {}", command.join(" ")), "");
        let linked = Checkout { top: tree.canonicalize().unwrap() };
        let does = |text: &str| {
            linked.write("docs/plan.md", text);
            if harness == Claude {
                let file = linked.top.join("docs/plan.md");
                let input = json!({"file_path": file, "content": text});
                field.calls("Write", &input, "The file has been updated.", &json!({"filePath": file}));
            } else {
                let command = format!("cd '{}' && sed -i 's/. ./.x./' docs/plan.md", linked.top.display());
                field.runs(&command, "");
            }
            if commits {
                linked.commit("in the tree");
            }
        };
        let done = PLAN.replacen("- [ ] 2.", "- [x] 2.", 1);
        does(&done);
        let told = wrong.turn(&field, "a part", EXCUSE, true);
        wrong.unless(told.contains("Export endpoint") && !told.contains("Import"), || told.clone());
        does(&done.replace("- [ ]", "- [x]"));
        if !stays {
            field.checkout.git(&["worktree", "remove", linked.top.to_str().unwrap()]);
        }
        field.says("go on");
        wrong.turn(&field, "all", EXCUSE, false);
    }
}

#[test]
fn a_step_that_is_ticked_on_another_branch_of_the_session_is_done() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    for harness in Harness::ALL {
        let field = Field::planned(&world, harness, harness.name(), PLAN);
        field.says(EXECUTE);
        field.checkout.git(&["switch", "-q", "-c", "feature"]);
        field.runs("git switch -c feature", "");
        field.ticks("2. Import job");
        field.checkout.git(&["switch", "-q", "main"]);
        field.runs("git switch main", "");
        let told = wrong.turn(&field, "a part", EXCUSE, true);
        wrong.unless(told.contains("Export endpoint") && !told.contains("Import"), || told.clone());
        field.checkout.git(&["switch", "-q", "feature"]);
        field.ticks("3. Export endpoint");
        field.ticks("4. Rate limiting");
        field.checkout.git(&["switch", "-q", "main"]);
        field.says("go on");
        wrong.turn(&field, "all", EXCUSE, false);
    }
}

/// A checkout without a plan.
fn plain<'a>(world: &'a World, harness: Harness, id: &str) -> Field<'a> {
    let checkout = Checkout::create(&world.root().join(id));
    checkout.write("README.md", "A project.\n");
    checkout.commit("all of it");
    let field = Field::begun(world, harness, id, checkout);
    field.says("Execute the tasks, all of them.");
    field
}

#[test]
fn a_task_list_holds_by_what_is_open_in_it() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let creates = |field: &Field<'_>| {
        for (id, subject) in [("1", "Import job"), ("2", "Export endpoint")] {
            let told = json!({"task": {"id": id, "subject": subject}});
            field.calls(
                "TaskCreate",
                &json!({"subject": subject, "description": subject}),
                &format!("Task #{id} created successfully: {subject}"),
                &told,
            );
        }
    };
    let updates = |field: &Field<'_>, id: &str, status: &str| {
        let told = json!({"success": true, "taskId": id, "statusChange": {"from": "pending", "to": status}});
        field.calls("TaskUpdate", &json!({"taskId": id, "status": status}), "Updated task", &told);
    };
    let lists = |field: &Field<'_>, second: Option<&str>| {
        let mut tasks = vec![json!({"id": "1", "subject": "Import job", "status": "completed", "blockedBy": []})];
        tasks.extend(
            second.map(|status| json!({"id": "2", "subject": "Export endpoint", "status": status, "blockedBy": []})),
        );
        field.calls("TaskList", &json!({}), "#1 [completed] Import job", &json!({"tasks": tasks}));
    };
    let cases: [(&str, Does<'_>, bool); 8] = [
        ("open", &|_| (), true),
        ("closed", &|field| updates(field, "2", "completed"), false),
        ("deleted", &|field| updates(field, "2", "deleted"), false),
        ("cancelled", &|field| updates(field, "2", "cancelled"), false),
        ("listed-open", &|field| lists(field, Some("pending")), true),
        ("listed-closed", &|field| lists(field, Some("completed")), false),
        ("listed-gone", &|field| lists(field, None), false),
        (
            "got",
            &|field| {
                let told = json!({"task": {"id": "2", "subject": "Export endpoint", "status": "completed"}});
                field.calls("TaskGet", &json!({"taskId": "2"}), "#2 [completed]", &told);
            },
            false,
        ),
    ];
    for (id, then, is_held) in cases {
        let field = plain(&world, Claude, id);
        creates(&field);
        updates(&field, "1", "completed");
        then(&field);
        let told = wrong.turn(&field, id, EXCUSE, is_held);
        wrong.unless(!is_held || told.contains("Export endpoint"), || told.clone());
    }
    let todo = |second: Value| {
        let todos = json!([{"content": "Import job", "status": "completed", "activeForm": "Importing"}, second]);
        json!({"todos": todos})
    };
    for (id, status, is_held) in [
        ("todo-open", "in_progress", true),
        ("todo-closed", "completed", false),
        ("todo-cancelled", "cancelled", false),
    ] {
        let field = plain(&world, Claude, id);
        for status in ["pending", status] {
            let input = todo(json!({"content": "Export endpoint", "status": status, "activeForm": "Exporting"}));
            field.calls("TodoWrite", &input, "Todos have been modified", &json!({}));
        }
        wrong.turn(&field, id, EXCUSE, is_held);
    }
    for (id, status, is_held) in [("plan-open", "pending", true), ("plan-closed", "completed", false)] {
        let field = plain(&world, Codex, id);
        for status in ["pending", status] {
            let plan = json!({"plan": [{"step": "Import job", "status": "completed"}, {"step": "Export endpoint", "status": status}]});
            field.calls_function("update_plan", &plan, "Plan updated");
        }
        wrong.turn(&field, id, EXCUSE, is_held);
    }
}
