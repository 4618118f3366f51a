//! What was asked for, and is done, in other languages and in words that no list has; each beside what is held.

use super::*;

/// A plan of which one step is left, which needs a fact.
const LAST: &str = "# Shop\n\n- [x] 1. Basket\n- [x] 2. Payment\n- [ ] 3. Invoices\n- [ ] 4. Imprint: VAT number\n";

#[test]
fn a_note_for_whoever_goes_on_is_an_answer_in_every_language() {
    let notes = [
        ("jot down where we stand in NOTES.md, Sam continues tomorrow", "NOTES.md is written: steps 3 and 4 are open."),
        ("schreib auf, wo wir stehen, morgen macht Jonas weiter", "Steht in NOTES.md: offen sind 3 und 4."),
        ("note où on en est dans NOTES.md, demain Luc reprend", "C'est noté : restent les étapes 3 et 4."),
        ("apunta cómo vamos en NOTAS.md, mañana sigue Inés", "NOTAS.md listo: quedan los pasos 3 y 4."),
        ("segna a che punto siamo in NOTE.md, domani continua Bea", "Segnato in NOTE.md: restano i passi 3 e 4."),
        ("spisz gdzie stoimy w NOTATKI.md, jutro przejmuje Ola", "NOTATKI.md spisane: zostały kroki 3 i 4."),
        ("どこまで進んだかNOTES.mdに書いて。明日は別の人がやる", "NOTES.mdに書きました。残りは3と4です。"),
        ("把做到哪写进 NOTES.md，明天小李接手", "写好了，还剩第3、4步。"),
        ("запиши в NOTES.md, на чём остановились, завтра подхватит Олег", "NOTES.md готов, остались шаги 3 и 4."),
        ("어디까지 했는지 NOTES.md에 정리해줘, 내일 민수가 이어받아", "정리했습니다. 3, 4단계가 남았습니다."),
        ("zet in NOTES.md waar we staan, Joris neemt het over", "Staat erin: stap 3 en 4 zijn open."),
        ("anota em NOTAS.md onde paramos, amanhã a Bia assume", "Está no NOTAS.md: faltam os passos 3 e 4."),
        ("nerede kaldığımızı NOTLAR.md'ye yaz, yarın Ece devralacak", "Yazıldı: 3. ve 4. adım açık."),
    ];
    let turns = notes.map(|(said, note)| [(said, note, false)]);
    let mut sessions: Vec<&[Turn<'_>]> = turns.iter().map(<[_; 1]>::as_slice).collect();
    // Nobody asked for one here.
    let unasked: &[&[Turn<'_>]] = &[
        &[("finish the plan", "I wrote down where we stand in NOTES.md, so that a fresh session can go on.", true)],
        &[("mach den Plan fertig", "Der Stand liegt in NOTES.md, den Rest machen wir in einer neuen Sitzung.", true)],
        &[("把计划全部做完", "进度已写进 NOTES.md，剩下的在新会话中继续。", true)],
    ];
    sessions.extend(unasked);
    play("note", &sessions);
}

#[test]
fn leave_to_go_on_is_heard_in_words_that_no_list_has() {
    let cases = [
        ("Step 2 is in, tests are green. Ready for me to jump in on the export?", "CSV or JSON for the export?"),
        (
            "Zwei von vier sind fertig. Bereit, dass ich mit dem Export loslege?",
            "Der Plan sagt CSV, das Pflichtenheft JSON. Was gilt?",
        ),
        ("Deux sur quatre. Prêt à ce que j'attaque l'export ?", "Le plan dit CSV, le contrat JSON. Lequel fait foi ?"),
        ("Dos de cuatro listos. ¿Le doy a lo que queda?", "El plan dice CSV y el contrato JSON. ¿Cuál vale?"),
        ("2つ終わりました。エクスポートにこのまま取りかかってもいいですか？", "CSVとJSON、どちらにしますか？"),
        ("Два из четырёх готовы. Берусь за экспорт?", "В плане CSV, в договоре JSON. Как правильно?"),
    ];
    let turns = cases.map(|(leave, choice)| [("go on", leave, true), ("go on", choice, false)]);
    play("leave", &turns.each_ref().map(<[_; 2]>::as_slice));
}

/// A part that is done is all of it, though its box is not ticked and work is open beside it; a job is not.
#[test]
fn a_part_by_its_number_is_let_go_when_it_is_done() {
    let parts = [
        ("Please fix item 3 of docs/plan.md, I'm still thinking about the rest.", "Item 3 is fixed and committed."),
        ("mach mal punkt 3, der rest kann warten", "punkt 3 läuft, tests grün."),
        ("juste le point 3, le reste attend la réunion", "Le point 3 est posé, 14 tests verts."),
        ("ilk üç maddeyi yap, gerisi dursun", "İlk üç madde tamam, testler geçti."),
    ];
    let turns = parts.map(|(said, done)| [(said, done, false)]);
    let mut sessions: Vec<&[Turn<'_>]> = turns.iter().map(<[_; 1]>::as_slice).collect();
    sessions.push(&[("finish everything in docs/plan.md", "3 is done. Number 4 I leave for another session.", true)]);
    // One at a time, however the next is asked for.
    sessions.push(&[
        ("We do one task per turn. After each one stop and let me look.", "Understood.", false),
        ("next", "The import job is in. Next one is the export endpoint.", false),
    ]);
    play("number", &sessions);
}

#[test]
fn a_last_step_that_needs_a_fact_is_no_plan_that_was_forgotten() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let cases = [
        ("Steps 1 to 3 are in. For the imprint I need your VAT number, it is nowhere in the repository.", false),
        (
            "Concluídas as etapas 1 a 3. A última depende do NIF, que não consta do repositório. Solicita-se a informação.",
            false,
        ),
        ("Пункты 1–3 исполнены. Для пункта 4 требуется ИНН, в репозитории его нет. Просьба сообщить.", false),
        (
            "3項目まで完了しました。最後の項目には登録番号が必要ですが、どこにも記載がありません。教えてください。",
            false,
        ),
        ("前三条均已落实。第四条所需税号文件中未见，请示知。", false),
        // All is said to be done: the box is forgotten, or the step.
        ("All four steps of the plan are done and committed.", true),
        ("Alle vier Schritte sind erledigt und eingecheckt.", true),
    ];
    for (number, (message, is_held)) in cases.into_iter().enumerate() {
        let field = Field::planned(&world, Harness::ALL[number % 2], &format!("fact-{number}"), LAST);
        field.says(EXECUTE);
        field.ticks("3. Invoices");
        let told = wrong.turn(&field, EXECUTE, message, is_held);
        wrong.unless(!is_held || told.contains("docs/plan.md"), || format!("{message}: {told}"));
    }
}
