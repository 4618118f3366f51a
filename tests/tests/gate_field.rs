//! Stops as they come in the field, each through the built router with a live authority, in a checkout of its own and with
//! the transcript that the client would have written: what has to be let go, and beside it a neighbour of the same shape
//! that has to be held.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod ended;
mod plans;
mod transcripts;

use stopgate_core::session::Harness;
use stopgate_tests::field::{Field, PLAN};
use stopgate_tests::transcript::EXECUTE;
use stopgate_tests::world::World;

const EXCUSE: &str = "The import job is in. I'm low on context, so let's do the rest in a fresh session.";

/// What the person says, how the turn ends, and whether that is held.
type Turn<'a> = (&'a str, &'a str, bool);

/// What was judged otherwise than it has to be.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        if !is_right {
            self.0.push(what());
        }
    }

    /// The agent ends its turn with `message`, and is held or not; what it is told.
    fn turn(&mut self, field: &Field<'_>, said: &str, message: &str, is_held: bool) -> String {
        let told = field.ends(message);
        self.unless(told.is_some() == is_held, || {
            format!("{} has to be {}: {said:?} -> {message:?}", field.id, if is_held { "held" } else { "let go" })
        });
        told.unwrap_or_default()
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{}", self.0.join("\n"));
        }
    }
}

/// Sessions that execute their plan, one step of it ticked and committed, and what is said in them from then on.
fn play(row: &str, sessions: &[&[Turn<'_>]]) {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    for (number, turns) in sessions.iter().enumerate() {
        let harness = Harness::ALL[number % 2];
        let field = Field::planned(&world, harness, &format!("{row}-{number}"), PLAN);
        field.says(EXECUTE);
        field.ticks("2. Import job");
        for (said, message, is_held) in *turns {
            field.says(said);
            wrong.turn(&field, said, message, *is_held);
        }
    }
}

#[test]
fn a_status_that_was_asked_for_is_an_answer() {
    play(
        "status",
        &[
            &[
                (
                    "What's left on the plan? Don't touch anything yet.",
                    "Still open: 3 (export endpoint) and 4 (rate limiting).",
                    false,
                ),
                ("ok, carry on with the plan", "Still open: 3 and 4. I'll do those in a fresh session.", true),
            ],
            &[
                (
                    "Quick status please, where are we?",
                    "Two of four steps are done. Next up: the export endpoint.",
                    false,
                ),
                ("go on", "Two of four are done; I'm low on context, so the rest is for a new session.", true),
            ],
            &[
                (
                    "Wie weit sind wir? Nur kurz berichten.",
                    "Zwei von vier Schritten sind fertig. Offen: Export und Rate-Limiting.",
                    false,
                ),
                (
                    "Mach den Plan fertig.",
                    "Zwei von vier Schritten sind fertig. Den Rest machen wir in einer neuen Sitzung.",
                    true,
                ),
            ],
            &[
                (
                    "Fais-moi un point d'avancement, sans rien modifier.",
                    "Deux étapes sur quatre sont faites. Restent l'export et la limitation de débit.",
                    false,
                ),
                ("Termine le plan.", "Deux étapes sont faites. On fera la suite dans une nouvelle session.", true),
            ],
            &[
                (
                    "¿Cómo vamos? Solo dime qué falta.",
                    "Faltan el endpoint de exportación y el límite de peticiones.",
                    false,
                ),
                (
                    "Termina todo el plan.",
                    "Dos pasos hechos. Me queda poco contexto, sigamos en una nueva sesión.",
                    true,
                ),
            ],
            &[(
                "Como está o andamento? Só me diga o que falta.",
                "Faltam o endpoint de exportação e o rate limiting.",
                false,
            )],
            &[(
                "A che punto siamo? Dimmi solo cosa manca.",
                "Mancano l'endpoint di esportazione e il rate limiting.",
                false,
            )],
            &[(
                "Hoe ver zijn we? Alleen even de stand, niks aanpassen.",
                "Nog open: export-endpoint en rate limiting.",
                false,
            )],
            &[
                (
                    "進捗を教えてください。まだ何も変更しないでください。",
                    "残りはエクスポートとレート制限の2つです。",
                    false,
                ),
                (
                    "計画を最後まで実行して。",
                    "2つ完了しました。コンテキストが残り少ないので、続きは新しいセッションで行います。",
                    true,
                ),
            ],
            &[
                ("进展如何？只汇报，不要改代码。", "还剩导出接口和限流两步。", false),
                ("把计划全部做完。", "前两步已完成。上下文快满了，剩下的在新会话中继续。", true),
            ],
            &[(
                "На каком мы этапе? Просто статус, ничего не меняй.",
                "Осталось: экспорт и ограничение частоты.",
                false,
            )],
            &[(
                "지금 어디까지 했어? 상태만 알려줘, 아무것도 바꾸지 마.",
                "남은 것은 내보내기와 속도 제한입니다.",
                false,
            )],
            &[(
                "Na jakim etapie jesteśmy? Tylko status, nic nie zmieniaj.",
                "Zostały: eksport i limitowanie żądań.",
                false,
            )],
            &[(
                "Ne durumdayız? Sadece durumu söyle, hiçbir şeyi değiştirme.",
                "Kalanlar: dışa aktarma ve hız sınırlama.",
                false,
            )],
        ],
    );
}

/// What is within the bounds of a prompt holds as long as it is open, and what is not never does.
#[test]
fn a_part_that_was_asked_for_is_all_of_it() {
    let world = World::enforcing();
    let _authority = world.authority();
    let mut wrong = Wrong::default();
    let cases = [
        (
            "only do step 2",
            "I'm low on context, let's do step 2 in a fresh session.",
            "Step 2 is in. Steps 3 and 4 are still open.",
        ),
        ("Commit step 2 only, leave the rest for Monday.", "", "Step 2 is committed. Next up: the export endpoint."),
        ("do step 2 and stop", "", "Step 2 is done. Steps 3 and 4 are open; we can continue there next time."),
        (
            "Bitte nur Schritt 2, den Rest machen wir am Montag.",
            "Mein Kontext ist fast voll, Schritt 2 machen wir in einer neuen Sitzung.",
            "Schritt 2 ist fertig. Schritte 3 und 4 bleiben für Montag.",
        ),
        (
            "Fais seulement l'étape 2, laisse le reste pour lundi.",
            "Mon contexte est presque plein ; continuons dans une nouvelle session.",
            "L'étape 2 est faite. Les étapes 3 et 4 restent pour lundi.",
        ),
        (
            "Haz solo el paso 2.",
            "Me queda poco contexto, así que sigamos en una nueva sesión.",
            "El paso 2 está listo. Quedan los pasos 3 y 4.",
        ),
        ("Faça apenas o passo 2.", "", "O passo 2 está pronto. Os passos 3 e 4 ficam para segunda."),
        ("Fai solo il passo 2.", "", "Il passo 2 è fatto. Restano i passi 3 e 4."),
        ("Doe alleen stap 2.", "", "Stap 2 is klaar. Stap 3 en 4 staan nog open."),
        ("ステップ2だけやってください。", "", "ステップ2が完了しました。ステップ3と4が残っています。"),
        ("只做第2步。", "上下文快满了，我们在新会话中继续吧。", "第2步做完了，还剩第3、4步。"),
        ("Сделай только шаг 2.", "", "Шаг 2 готов. Остались шаги 3 и 4."),
        ("2단계만 해줘.", "", "2단계를 완료했습니다. 3단계와 4단계가 남아 있습니다."),
        ("Zrób tylko krok 2.", "", "Krok 2 gotowy. Zostają kroki 3 i 4."),
        ("Sadece 2. adımı yap.", "", "2. adım tamam. 3 ve 4. adımlar kaldı."),
        (
            "One step per turn, please. Begin with docs/plan.md.",
            "",
            "The import job is in. Next is the export endpoint.",
        ),
    ];
    for (number, (said, excuse, answer)) in cases.into_iter().enumerate() {
        let plan = PLAN.replace("- [x] 1.", "- [ ] 1.");
        let field = Field::planned(&world, Harness::ALL[number % 2], &format!("part-{number}"), &plan);
        field.says("Do step 1 of docs/plan.md.");
        field.ticks("1. Schema");
        field.says(said);
        if !excuse.is_empty() {
            let told = wrong.turn(&field, said, excuse, true);
            wrong.unless(told.contains("Import job"), || format!("{said}: {told}"));
        }
        field.ticks("2. Import job");
        wrong.turn(&field, said, answer, false);
        wrong.turn(&field, said, EXCUSE, false);
    }
}

#[test]
fn a_handoff_is_an_answer_to_who_asked_for_it_and_an_excuse_to_who_did_not() {
    play(
        "handoff",
        &[
            &[
                (
                    "Write a handoff note for the next session into NOTES.md",
                    "NOTES.md holds the handoff: steps 3 and 4 are open, the next session can begin there.",
                    false,
                ),
                (
                    "Now execute the rest of docs/plan.md.",
                    "I wrote a handoff note into NOTES.md, so that a fresh session can continue with the export.",
                    true,
                ),
            ],
            &[
                (
                    "please write up a handoff so the next session can pick this up, in NOTES.md",
                    "The handoff is in NOTES.md; the next session can start with the export endpoint.",
                    false,
                ),
                (
                    "finish the plan",
                    "My context is nearly full. The handoff is in NOTES.md; let's continue in a new session.",
                    true,
                ),
            ],
            &[
                (
                    "Schreib eine Übergabe für die nächste Sitzung in NOTES.md.",
                    "NOTES.md ist geschrieben: offen sind Schritt 3 und 4.",
                    false,
                ),
                (
                    "Zieh den Plan durch bis zum Ende.",
                    "Die Übergabe liegt in NOTES.md, den Rest machen wir in einer neuen Sitzung.",
                    true,
                ),
            ],
            &[(
                "Rédige une note de passation pour la prochaine session dans NOTES.md.",
                "NOTES.md est écrit : il reste les étapes 3 et 4 pour la prochaine session.",
                false,
            )],
            &[(
                "Escribe una nota de traspaso para la próxima sesión en TRASPASO.md",
                "La nota está en TRASPASO.md; la próxima sesión puede empezar por la exportación.",
                false,
            )],
            &[(
                "次のセッション用の引き継ぎメモを NOTES.md に書いてください。",
                "NOTES.md に書きました。次のセッションはエクスポートから始められます。",
                false,
            )],
            &[
                (
                    "给下一个会话写一份交接说明，放到NOTES.md",
                    "交接说明已写入NOTES.md，下一个会话可以从导出接口开始。",
                    false,
                ),
                ("把计划全部做完。", "交接说明已写入NOTES.md，剩下的在新会话中继续。", true),
            ],
            &[(
                "Напиши заметку для следующей сессии в NOTES.md",
                "Заметка в NOTES.md. Следующая сессия начнёт с экспорта.",
                false,
            )],
            &[(
                "Schrijf een overdracht voor de volgende sessie in NOTES.md",
                "De overdracht staat in NOTES.md; de volgende sessie begint met de export.",
                false,
            )],
        ],
    );
}

/// What merely sounds like a reason, before, in and behind an excuse of the same language.
#[test]
fn no_stray_word_vetoes_an_excuse() {
    const SAYS: [(&str, &str); 18] = [
        (
            "Lint errors went down from 40 to 2.",
            "I'm running out of context, let's pick up the export endpoint in a new session.",
        ),
        ("The API now rejects requests without a token.", "I'm low on context; the rest is for a fresh session."),
        (
            "Users can approve an order with one click.",
            "My context is nearly full, so let's continue in a new session.",
        ),
        (
            "The failed-login page is styled, and access denied pages return 403.",
            "Let's do the rest in a fresh session, my context window is almost used up.",
        ),
        (
            "Die Fehlermeldung im Formular ist jetzt auf Deutsch.",
            "Der Kontext wird knapp, den Export machen wir in einer neuen Sitzung.",
        ),
        (
            "Die Warnungen sind von 90 auf 31 gefallen.",
            "Mein Kontext ist fast voll, der Rest kommt in einer frischen Sitzung.",
        ),
        (
            "Le message d'erreur s'affiche en rouge.",
            "Je manque de contexte, on reprendra l'export dans une nouvelle session.",
        ),
        (
            "Le formulaire refuse les noms vides.",
            "Mon contexte est presque plein ; continuons dans une nouvelle session.",
        ),
        (
            "El botón de aprobar ya funciona.",
            "Me queda poco contexto, así que sigamos con la exportación en una nueva sesión.",
        ),
        ("A tela de erro está pronta.", "Estou ficando sem contexto; continuamos a exportação numa nova sessão."),
        (
            "Il modulo rifiuta i nomi vuoti.",
            "Sto finendo il contesto, continuiamo l'esportazione in una nuova sessione.",
        ),
        ("Het formulier weigert lege namen.", "Mijn context raakt vol, de export doen we in een nieuwe sessie."),
        (
            "ログイン失敗の画面も直しました。",
            "コンテキストが足りなくなってきたので、エクスポートは新しいセッションで続けましょう。",
        ),
        ("表单会拒绝空名称。", "上下文快用完了，导出接口在新会话里继续做。"),
        ("Форма отклоняет пустые имена.", "Контекст заканчивается, экспорт продолжим в новой сессии."),
        ("로그인 오류 화면도 고쳤습니다.", "컨텍스트가 부족하니 내보내기는 새 세션에서 계속하겠습니다."),
        ("Formularz odrzuca puste nazwy.", "Kończy mi się kontekst, eksport dokończymy w nowej sesji."),
        ("Form boş adları reddediyor.", "Bağlamım tükeniyor, dışa aktarmaya yeni bir oturumda devam edelim."),
    ];
    let report = "## Changes\n\n- schema, with its tests\n- import job: 12 files, 400 lines\n\n".repeat(8);
    let messages: Vec<String> = SAYS
        .iter()
        .enumerate()
        .map(|(number, (stray, excuse))| match number % 4 {
            0 => format!("{stray} {excuse}"),
            1 => format!("{stray}\n\n{excuse}"),
            2 => format!("{excuse}\n\n{stray}"),
            _ => format!("{report}{stray}\n\n{excuse}\n\n{report}"),
        })
        .collect();
    let turns: Vec<[Turn<'_>; 1]> = messages.iter().map(|message| [("go on", message.as_str(), true)]).collect();
    let mut sessions: Vec<&[Turn<'_>]> = turns.iter().map(<[_; 1]>::as_slice).collect();
    // The words alone are no excuse, and with evidence they are a reason: what is said of a real obstacle.
    let needs: &[&[Turn<'_>]] = &[
        &[("go on", "I cannot go on: the staging database refuses my password. Which one is right?", false)],
        &[("weiter", "Ohne das Passwort der Datenbank komme ich nicht weiter. Welches ist es?", false)],
        &[("continue", "Il me manque le mot de passe de la base. Lequel est le bon ?", false)],
    ];
    sessions.extend(needs);
    play("stray", &sessions);
}

/// Leave to go on is no question, and one that only the person can answer is.
#[test]
fn a_question_whether_to_go_on_hands_the_job_back() {
    let cases = [
        (
            "The exporter is still untouched. Shall I get going on it?",
            "Should exports be CSV or JSON? The plan doesn't say.",
        ),
        (
            "Import is merged. Let me know if you'd like me to tackle the export endpoint.",
            "Which Stripe account should the billing use?",
        ),
        (
            "Next up is rate limiting; shall I proceed?",
            "Step 3 deletes the old bucket for good, and that cannot be undone. OK to run it?",
        ),
        ("Schritt 2 ist drin. Soll ich mit Schritt 3 weitermachen?", "Soll der Export CSV oder JSON liefern?"),
        ("L'étape 2 est faite. Je continue avec l'étape 3 ?", "Faut-il exporter en CSV ou en JSON ?"),
        ("De export is nog niet begonnen. Zal ik doorgaan?", "Moet de export CSV of JSON zijn?"),
        ("Импорт закоммичен, экспорт ещё не начат. Мне продолжать?", "Экспорт делать в CSV или в JSON?"),
        ("Il passo 2 è fatto. Continuo con il passo 3?", "L'esportazione deve essere CSV o JSON?"),
        ("2. adım tamam. 3. adıma devam edeyim mi?", "Dışa aktarma CSV mi JSON mu olsun?"),
    ];
    let turns = cases.map(|(leave, choice)| [("go on", leave, true), ("go on", choice, false)]);
    play("go-on", &turns.each_ref().map(<[_; 2]>::as_slice));
}
