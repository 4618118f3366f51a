//! Plans in layouts of many places, and what is left of each.

use super::{Where, by_line};

fn open(text: &str, within: Where) -> Vec<String> {
    by_line(text, within).flatten().filter(|step| !step.is_done).map(|step| step.text).collect()
}

/// Each that is read otherwise than it says.
fn wrong(layouts: &[(&str, &str, &[&str])], within: Where) -> Vec<String> {
    let each = layouts.iter().map(|(name, text, expected)| (name, open(text, within), expected));
    each.filter(|(_, found, expected)| found != *expected).map(|wrong| format!("{wrong:?}")).collect()
}

#[test]
fn tables() {
    let layouts: &[(&str, &str, &[&str])] = &[
        (
            "jira ids",
            "| Key | Summary | Status |\n|:--|:--|:-:|\n| ABC-1 | Lexer | Done |\n| ABC-2 | Parser | To Do |\n| ABC-3 | Tests | In Review |\n",
            &["Parser", "Tests"],
        ),
        (
            "status first",
            "| Status | Task |\n|---|---|\n| ✅ | Lexer |\n| 🔄 | Parser |\n| ❌ | Tests |\n| ⏳ | Docs |\n",
            &["Parser", "Tests", "Docs"],
        ),
        (
            "emoji and words",
            "| Step | State |\n|---|---|\n| Lexer | ✅ Done |\n| Parser | 🚧 In progress |\n| Docs | ⛔ Blocked |\n| Site | 🔜 Next |\n",
            &["Parser", "Site"],
        ),
        ("no outer pipes", "Task | Status\n--- | ---\nLexer | done\nParser | pending\n", &["Parser"]),
        (
            "bold cells",
            "| Task | **Status** |\n|---|---|\n| **Lexer** | **Done** |\n| **Parser** | **Pending** |\n",
            &["**Parser**"],
        ),
        (
            "percent",
            "| Task | Progress |\n|---|---|\n| Lexer | 100% |\n| Parser | 40% |\n| Tests | 0 % |\n",
            &["Parser", "Tests"],
        ),
        (
            "wontfix",
            "| Task | Status |\n|---|---|\n| Lexer | won't fix |\n| Parser | obsolete |\n| Tests | deferred |\n| Docs | blocked |\n| Site | open |\n",
            &["Site"],
        ),
        (
            "priority column",
            "| # | Task | Owner | Priority | Status |\n|---|---|---|---|---|\n| 1 | Lexer | ann | P1 | completed |\n| 2 | Parser | bob | P2 | not started |\n",
            &["Parser"],
        ),
        (
            "struck row",
            "| Task | Status |\n|---|---|\n| ~~Lexer~~ | todo |\n| Parser | ~~todo~~ done |\n| Tests | todo |\n",
            &["Tests"],
        ),
        (
            "german",
            "| Nr. | Aufgabe | Status |\n|---|---|---|\n| 1 | Lexer | ✔ fertig |\n| 2 | Parser | offen |\n| 3 | Tests | zurückgestellt |\n| 4 | Doku | entfällt |\n",
            &["Parser"],
        ),
        (
            "spanish",
            "| Tarea | Estado |\n|---|---|\n| Léxico | hecho |\n| Analizador | pendiente |\n| Pruebas | cancelado |\n",
            &["Analizador"],
        ),
        (
            "portuguese",
            "| Tarefa | Situação |\n|---|---|\n| Léxico | concluído |\n| Analisador | pendente |\n| Testes | adiado |\n",
            &["Analisador"],
        ),
        (
            "italian",
            "| Compito | Stato |\n|---|---|\n| Lexer | fatto |\n| Parser | da fare |\n| Test | annullato |\n",
            &["Parser"],
        ),
        (
            "dutch",
            "| Taak | Status |\n|---|---|\n| Lexer | klaar |\n| Parser | te doen |\n| Tests | uitgesteld |\n",
            &["Parser"],
        ),
        (
            "polish",
            "| Zadanie | Status |\n|---|---|\n| Lekser | zrobione |\n| Parser | do zrobienia |\n| Testy | odłożone |\n",
            &["Parser"],
        ),
        (
            "turkish",
            "| Görev | Durum |\n|---|---|\n| Sözcük | tamamlandı |\n| Ayrıştırıcı | yapılacak |\n| Testler | iptal edildi |\n",
            &["Ayrıştırıcı"],
        ),
        (
            "russian",
            "| Задача | Статус |\n|---|---|\n| Лексер | готово |\n| Парсер | в работе |\n| Тесты | отложено |\n",
            &["Парсер"],
        ),
        (
            "japanese",
            "| 作業 | 状態 |\n|---|---|\n| 字句解析器 | 完了 |\n| 構文解析器 | 未着手 |\n| テスト | 見送り |\n",
            &["構文解析器"],
        ),
        (
            "korean",
            "| 작업 | 상태 |\n|---|---|\n| 렉서 만들기 | 완료 |\n| 파서 만들기 | 진행 중 |\n| 테스트 작성 | 보류 |\n",
            &["파서 만들기"],
        ),
        ("two signs of chinese", "| 任务 | 状态 |\n|---|---|\n| 词法 | 完成 |\n| 语法 | 未开始 |\n", &["语法"]),
        (
            "french",
            "| Tâche | Statut |\n|---|---|\n| Lexeur | terminé |\n| Analyseur | à faire |\n| Tests | reporté |\n",
            &["Analyseur"],
        ),
    ];
    assert_eq!(wrong(layouts, Where::Everywhere), Vec::<String>::new());
}

#[test]
fn lists() {
    let layouts: &[(&str, &str, &[&str])] = &[
        ("numbered with strikes", "1. [x] Lexer\n2. [ ] ~~Parser~~ (dropped)\n3) [ ] Tests\n", &["Tests"]),
        ("letters", "a. [ ] Lexer\nb) [x] Parser\n", &["Lexer"]),
        ("numbers in parentheses", "(1) [x] Lexer\n(2) [ ] Parser\n", &["Parser"]),
        ("dotted numbers", "1.1 [x] Lexer\n1.2 [ ] Parser\n", &["Parser"]),
        ("a bullet of its own", "• [x] Lexer\n• [ ] Parser\n", &["Parser"]),
        ("no bullet", "[x] Lexer\n[ ] Parser\n", &["Parser"]),
        (
            "jira ids",
            "- [x] ABC-1: Lexer\n- [ ] ABC-2: Parser\n- [ ] **ABC-3** Tests _(deferred)_\n",
            &["ABC-2: Parser"],
        ),
        (
            "nested",
            "- [ ] Phase 1\n    - [x] Lexer\n    - [ ] Parser\n        - [ ] Errors\n- [x] Phase 0\n",
            &["Phase 1", "Parser", "Errors"],
        ),
        ("emoji status", "- 🟢 Lexer\n- 🟡 Parser\n- 🔴 Tests\n- ⚪ Docs\n", &[]),
        ("emoji of progress", "- ✅ Lexer\n- 🔄 Parser\n- ⬜ Tests\n- ⏭️ Docs\n", &["Parser", "Tests"]),
        (
            "bold status at the end",
            "1. Lexer — **done**\n2. Parser — **pending**\n3. Tests — **in progress**\n",
            &["Parser", "Tests"],
        ),
        ("status in brackets", "1. Lexer [done]\n2. Parser [pending]\n3. Tests [TODO]\n", &["Parser", "Tests"]),
        ("status in parentheses", "- Lexer (done)\n- Parser (todo)\n- Tests (in progress)\n", &["Parser", "Tests"]),
        ("status ahead", "- [DONE] Lexer\n- [TODO] Parser\n- [WIP] Tests\n- [WONTFIX] Docs\n", &["Parser", "Tests"]),
        ("status in bold ahead", "- **TODO**: Parser\n- **DONE**: Lexer\n", &["Parser"]),
        ("todo with a name", "- TODO(ann): Parser\n", &["Parser"]),
        ("boxes with a date", "- [x] 2026-01-02 Lexer\n- [ ] 2026-01-03 Parser\n", &["2026-01-03 Parser"]),
        (
            "obsidian",
            "- [x] Lexer\n- [>] Parser moved to [[next]]\n- [-] Tests\n- [!] Docs\n- [?] Site\n- [ ] Release 📅 2026-12-01\n",
            &["Parser moved to [[next]]", "Release 📅 2026-12-01"],
        ),
        ("asian brackets", "・【済】字句解析器\n・【未】構文解析器\n", &["構文解析器"]),
        (
            "asian brackets with words",
            "- 【完了】字句解析器\n- 【未着手】構文解析器\n- 【保留】テスト\n",
            &["構文解析器"],
        ),
        (
            "asian brackets in chinese",
            "1. 【已完成】词法分析\n2. 【待办】语法分析\n3. 【取消】测试用例\n",
            &["语法分析"],
        ),
        ("asian numbers", "１．［ｘ］字句解析器\n２．［　］構文解析器\n", &["構文解析器"]),
        ("asian comma", "1、[x] 词法分析\n2、[ ] 语法分析\n", &["语法分析"]),
        (
            "deferred in words",
            "- [ ] Lexer - wontfix\n- [ ] Parser: obsolete\n- [ ] Tests — blocked on ops\n- [ ] Docs [deferred]\n- [ ] Site\n",
            &["Site"],
        ),
        (
            "french words",
            "- [ ] Lexeur (abandonné)\n- [ ] Analyseur — bloqué par l'équipe\n- [ ] Tests (obsolète)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "german words",
            "- [ ] Lexer (verworfen)\n- [ ] Parser — zurückgestellt\n- [ ] Tests [hinfällig]\n- [ ] Doku\n",
            &["Doku"],
        ),
        (
            "spanish words",
            "- [ ] Léxico (cancelado)\n- [ ] Analizador — aplazado\n- [ ] Pruebas (obsoleto)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "portuguese words",
            "- [ ] Léxico (cancelado)\n- [ ] Analisador — adiado\n- [ ] Testes (obsoleto)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "italian words",
            "- [ ] Lexer (annullato)\n- [ ] Parser — rimandato\n- [ ] Test (obsoleto)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "dutch words",
            "- [ ] Lexer (geannuleerd)\n- [ ] Parser — uitgesteld\n- [ ] Tests (vervallen)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "polish words",
            "- [ ] Lekser (anulowane)\n- [ ] Parser — odłożone\n- [ ] Testy (nieaktualne)\n- [ ] Docs\n",
            &["Docs"],
        ),
        (
            "turkish words",
            "- [ ] Sözcük (iptal)\n- [ ] Ayrıştırıcı — ertelendi\n- [ ] Testler (engellendi)\n- [ ] Belgeler\n",
            &["Belgeler"],
        ),
        (
            "russian words",
            "- [ ] Лексер (отменено)\n- [ ] Парсер — отложено\n- [ ] Тесты (неактуально)\n- [ ] Документы\n",
            &["Документы"],
        ),
        (
            "japanese words",
            "- [ ] 字句解析器（中止）\n- [ ] 構文解析器（保留中）\n- [ ] テスト（不要）\n- [ ] 文書\n",
            &["文書"],
        ),
        (
            "chinese words",
            "- [ ] 词法分析（已取消）\n- [ ] 语法分析（暂缓）\n- [ ] 测试用例（已废弃）\n- [ ] 文档\n",
            &["文档"],
        ),
        ("korean words", "- [ ] 렉서 (취소됨)\n- [ ] 파서 (보류)\n- [ ] 테스트 (불필요)\n- [ ] 문서\n", &["문서"]),
    ];
    assert_eq!(wrong(layouts, Where::Everywhere), Vec::<String>::new());
}

#[test]
fn headings_and_sections() {
    let layouts: &[(&str, &str, &[&str])] = &[
        (
            "status lines",
            "## 1. Lexer\n- **Status**: ✅ Complete\n\n## 2. Parser\n- **Status**: ⏳ Pending\n\n## 3. Tests\n- **Status**: Deferred\n",
            &["2. Parser"],
        ),
        (
            "status in the heading",
            "## Phase 1: Lexer — DONE\n## Phase 2: Parser — TODO\n## Phase 3: Tests — IN PROGRESS\n",
            &["Phase 2: Parser", "Phase 3: Tests"],
        ),
        (
            "status in the heading, in parentheses",
            "### Phase 1 Lexer (complete)\n### Phase 2 Parser (pending)\n",
            &["Phase 2 Parser"],
        ),
        ("emoji in headings", "## ✅ Lexer\n## ⏳ Parser\n## 🚧 Tests\n", &["Parser", "Tests"]),
        ("italics", "### Parser\n\n_Status: not started_\n", &["Parser"]),
        ("quoted status", "### Parser\n\n> Status: pending\n", &[]),
        ("status in spanish", "## Paso 1\nEstado: hecho\n## Paso 2\nEstado: pendiente\n", &["Paso 2"]),
        ("status in french", "## Étape 1\n**Statut :** terminé\n## Étape 2\n**Statut :** à faire\n", &["Étape 2"]),
        ("status in polish", "## Krok 1\nStatus: zrobione\n## Krok 2\nStatus: do zrobienia\n", &["Krok 2"]),
        ("status in turkish", "## Adım 1\nDurum: tamamlandı\n## Adım 2\nDurum: yapılacak\n", &["Adım 2"]),
        ("status in korean", "## 1단계\n상태: 완료\n## 2단계\n상태: 진행 중\n", &["2단계"]),
        ("status in dutch", "## Stap 1\nStatus: klaar\n## Stap 2\nStatus: niet begonnen\n", &["Stap 2"]),
        ("status in italian", "## Passo 1\nStato: completato\n## Passo 2\nStato: da fare\n", &["Passo 2"]),
        ("status in portuguese", "## Passo 1\nEstado: concluído\n## Passo 2\nEstado: em andamento\n", &["Passo 2"]),
        ("status in chinese", "## 第一步\n状态：已完成\n## 第二步\n状态：进行中\n", &["第二步"]),
        ("kanban in german", "## Offen\n- [ ] a1\n## Erledigt\n- [ ] b2\n", &["a1"]),
        (
            "a rule below a paragraph",
            "## Later\n\nWhat may come after the release, if anybody asks for it.\n\n---\n- [ ] a1\n",
            &[],
        ),
        ("a rule right below text", "## Later\nNot now\n---\n- [ ] a1\n", &[]),
        ("settings", "## Settings\n- Cache: no\n- Log: yes\n- Retries: open\n- Mode: next\n", &[]),
        ("prose that ends so", "## Notes\n- The parser is what we call pending\n- Queue (pending)\n", &[]),
        ("headings that end so once", "## Orders (pending)\nText.\n## Orders (shipped)\nText.\n", &[]),
        (
            "org, what is cancelled with what is below it",
            "* Plan\n** CANCELLED Old\n*** TODO its part\n** TODO New\n",
            &["New"],
        ),
        ("kanban", "## Todo\n- [ ] a1\n## Doing\n- [ ] b2\n## Done\n- [ ] c3\n- [x] d4\n", &["a1", "b2"]),
        (
            "sections for later",
            "## Now\n- [ ] a1\n## v2\n- [ ] b2\n## Later (v3)\n- [ ] c3\n## Phase 9 — optional\n- [ ] d4\n",
            &["a1", "b2"],
        ),
        (
            "for the person",
            "## Agent\n- [ ] a1\n## You need to do\n- [ ] b2\n## Requires your approval\n- [ ] c3\n",
            &["a1"],
        ),
        (
            "underlined",
            "Plan\n====\n\nSteps\n-----\n- [ ] a1\n\nLater\n-----\n- [ ] b2\n\nTests\n-----\n- [ ] c3\n",
            &["a1", "c3"],
        ),
        ("setext over", "Plan (archived)\n===============\n- [ ] a1\n", &[]),
        ("asciidoc", "= Plan\n\n== Steps\n* [x] Lexer\n* [ ] Parser\n\n== Out of scope\n* [ ] Tests\n", &["Parser"]),
        (
            "org",
            "#+TITLE: Plan\n* Steps\n** TODO Parser\n   SCHEDULED: <2026-01-01>\n** DONE Lexer\n   CLOSED: [2026-01-01]\n** CANCELLED Tests\n* Later\n** TODO Docs\n",
            &["Parser"],
        ),
        ("org keywords", "* IN-PROGRESS Parser\n* HOLD Tests\n* WAIT Docs\n* KILL Site\n", &["Parser"]),
        ("html comment", "<!-- - [ ] a1 -->\n- [ ] b2 <!-- id: 7 -->\n<!--\n- [ ] c3\n-->\n", &["b2"]),
        ("code fence", "```md\n- [ ] a1\n```\n- [ ] b2\n~~~\n- [ ] c3\n~~~\n", &["b2"]),
        ("inline code", "- Write `- [ ] task` for each task\n- [ ] use `[ ]` in boxes\n", &["use `[ ]` in boxes"]),
        ("quotes", "> - [ ] a1\n>\n> - [x] b2\n\n- [ ] c3\n", &["c3"]),
        (
            "front matter with todos",
            "---\ntodos:\n  - id: a\n    content: Lexer\n    status: completed\n  - id: b\n    content: Parser\n    status: pending\nisProject: false\n---\n# Plan\n",
            &["Parser"],
        ),
        ("front matter of a draft", "---\ntitle: Plan\nstatus: in_progress\ntags: [done]\n---\n- [ ] a1\n", &["a1"]),
        ("front matter in other languages", "---\nestado: completado\n---\n- [ ] a1\n", &[]),
        (
            "plan of plan mode",
            "# Add a cache\n\n## Context\nText.\n\n## Approach\n1. Add the type\n2. Use it\n\n## Verification\n- [ ] run the tests\n",
            &["run the tests"],
        ),
        ("acceptance", "## Tasks\n- [x] a1\n\n## Definition of done\n- [ ] tests pass\n", &["tests pass"]),
    ];
    assert_eq!(wrong(layouts, Where::Everywhere), Vec::<String>::new());
}

#[test]
fn files_that_say_other_things_as_well() {
    let layouts: &[(&str, &str, &[&str])] = &[
        ("rules", "# AGENTS.md\n\n## Before you commit\n- [ ] run the tests\n\n## TODO\n- [x] a1\n- [ ] b2\n", &["b2"]),
        (
            "status of a feature",
            "## Style\nStatus: pending\n\n## Roadmap\n- [ ] a1\n\n## Tasks\n### Parser\n**Status:** in progress\n",
            &["Parser"],
        ),
        (
            "a table of tools",
            "## Tools\n| Tool | Status |\n|---|---|\n| make | pending |\n\n## Current tasks\n| Task | Status |\n|---|---|\n| Parser | pending |\n",
            &["Parser"],
        ),
        ("in german", "## Regeln\n- [ ] Tests laufen lassen\n\n## Aufgaben\n- [ ] Parser\n", &["Parser"]),
        ("in japanese", "## 規約\n- [ ] テストを実行\n\n## タスク\n- [ ] 構文解析器\n", &["構文解析器"]),
        ("an example in tasks", "## Tasks\nWrite them so:\n```\n- [ ] task\n```\n- [ ] Parser\n", &["Parser"]),
    ];
    assert_eq!(wrong(layouts, Where::TaskSections), Vec::<String>::new());
}
