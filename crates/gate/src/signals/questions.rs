//! Three kinds of question, in every language: leave to go on, which hands the work back; what cannot be taken back; and a
//! real choice, or a fact that is missing.

use super::*;

fn is_hand_back(message: &str) -> bool {
    let signals = detect(message);
    signals.hands_back() && !signals.has(Signal::AsksQuestion)
}

fn is_real(message: &str) -> bool {
    let signals = detect(message);
    signals.has(Signal::AsksQuestion) && !signals.has(Signal::GoOnQuestion)
}

const HAND_BACKS: &[&str] = &[
    "The exporter is still untouched. Shall I get going on it?",
    "Step 2 is in. Want me to take the next one?",
    "Step 2 is in. Do you want me to write the other two as well?",
    "Next I'd touch the billing table. Is that OK?",
    "Would you like me to continue with the parser? I'll start with the grammar if so.",
    "Let me know if I should continue.",
    "Let me know if you want me to go on with the next step.",
    "Four of six are converted. Say the word and I'll start on the rest.",
    "The lexer is done. What would you like me to do next?",
    "May I edit `parser.rs` for step 3?",
    "Ready to advance on item 7. Request go-ahead.",
    "Should I begin with step 4, or would you like to look first?",
    "Der Lexer ist fertig. Soll ich weitermachen?",
    "Der Lexer ist fertig. Weiter mit dem Parser?",
    "Sag kurz Bescheid, dann mache ich weiter.",
    "\u{bf}Sigo con el analizador?",
    "Listo el paso 2. \u{bf}Quieres que haga el siguiente?",
    "L'analyse est faite. Je continue avec la suite ?",
    "Voulez-vous que je passe \u{e0} l'\u{e9}tape 3 ?",
    "Passo 2 feito. Posso avan\u{e7}ar para o 3?",
    "Basta dizer que eu continuo.",
    "\u{7b2c}\u{4e8c}\u{6b65}\u{5df2}\u{5b8c}\u{6210}\u{3002}\u{8981}\u{6211}\u{7ee7}\u{7eed}\u{5417}\u{ff1f}",
    "第二步完成了，是否继续第三步",
    "字句解析は終わりました。続けましょうか？",
    "次の項目に進んでよろしいでしょうか。",
    "Лексер готов. Продолжать?",
    "Мне перейти к следующему шагу?",
    "Passo 2 concluso. Procedo con il 3?",
    "Vuole che continui con il parser?",
    "Stap 2 is klaar. Zal ik doorgaan met stap 3?",
    "렉서는 끝났습니다. 이어서 할까요?",
    "다음 단계로 진행할까요",
    "Lekser gotowy. Kontynuować?",
    "Czy mam przejść do następnego kroku?",
    "Sözcük çözümleyici bitti. Devam edeyim mi?",
    "Sıradaki adıma geçeyim mi?",
];

const RISKY: &[&str] = &[
    "The migration is ready. Shall I go ahead and drop the `users` table?",
    "History is rewritten locally. Should I force push it now?",
    "Should I delete the nine buckets now?",
    "Everything is green. Shall I deploy it to production?",
    "Shall I send the mail to the 4,000 subscribers now?",
    "The next step charges real cards. Shall I continue?",
    "There is no backup of the old database. Shall I proceed with step 5?",
    "Shall I rotate the keys now?",
    "Shall I publish the release?",
    "Soll ich die alte Datenbank jetzt löschen?",
    "Es gibt kein Backup. Soll ich weitermachen?",
    "¿Borro la tabla ahora?",
    "Je supprime l'ancien cluster maintenant ?",
    "Posso apagar os registos agora?",
    "删除后不可恢复。要继续吗？",
    "本番環境です。続けてよろしいでしょうか。",
    "Это необратимо. Продолжать?",
    "L'operazione è irreversibile. Procedo?",
    "Dit is onomkeerbaar. Zal ik doorgaan?",
    "운영 서버입니다. 배포할까요?",
    "Kopii nie da się odzyskać. Usunąć?",
    "Geri dönüşü yok. Sileyim mi?",
];

const CHOICES: &[&str] = &[
    "Should I go ahead with nom or pest?",
    "Which of the two readings do you want? I'll continue with it.",
    "How should I handle the conflict in Cargo.lock? I'll continue with the rebase then.",
    "What is the tenant id of the target system?",
    "The spec allows both. Decision needed: A or B.",
    "Welche Variante soll gelten?",
    "¿Cuál prefieres, A o B?",
    "Lequel des deux préférez-vous ?",
    "Qual das duas opções prefere?",
    "两种做法，选哪个？",
    "匿名化と削除、どちらにしましょうか？",
    "Какой вариант выбрать?",
    "Quale delle due versioni devo usare?",
    "Welke van de twee wordt het?",
    "둘 중 어느 쪽으로 할까요?",
    "Który wariant mam wybrać?",
    "Hangisini kullanayım?",
];

#[test]
fn leave_to_go_on_hands_the_work_back_in_every_language() {
    let missed: Vec<_> =
        HAND_BACKS.iter().filter(|message| !is_hand_back(message)).map(|m| (m, detect(m).names())).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_cannot_be_taken_back_is_rightly_asked_in_every_language() {
    let missed: Vec<_> = RISKY.iter().filter(|message| !is_real(message)).map(|m| (m, detect(m).names())).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_choice_or_a_fact_is_rightly_asked_in_every_language() {
    let missed: Vec<_> = CHOICES.iter().filter(|message| !is_real(message)).map(|m| (m, detect(m).names())).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_only_looks_like_one_hands_nothing_back() {
    for message in [
        "The dialog asks \u{201c}Shall I continue?\u{201d} before it saves.",
        "All steps are done. Any questions?",
        "The button says `Continue?` now.",
        "Users can continue in the next step.",
        "The loop checks whether it should continue.",
    ] {
        assert!(!detect(message).has(Signal::GoOnQuestion), "{message}");
    }
}

#[test]
fn where_a_signal_stands_is_told() {
    let report = "The parser fails with a stack overflow, as the old one did.\n\nI rewrote it.\n\n## Tests\n\nAll green.\n\n\
                  I'm low on context, so let's continue in a fresh session.\n\n";
    let of = |message: &str, signal| {
        let signals = detect(message);
        (signals.has(signal), signals.at_end(signal))
    };
    assert_eq!(of(report, Signal::FreshSession), (true, true));
    let error = "Blocked: the license server is down.\n\nSo I did the docs.\n\nThey are long.\n\n";
    assert_eq!(of(&format!("{error}Next, I'll write the parser."), Signal::BlockedByError), (true, false));
    assert_eq!(
        of(&format!("{error}Blocked: the license server is down."), Signal::BlockedByError),
        (true, true),
        "again"
    );
    // Code hides nothing, and a list, a table or what a heading stands over is one with its paragraph.
    let code = "\n\n```\nfn main() {}\n```\n";
    assert_eq!(of(&format!("{report}{code}"), Signal::FreshSession), (true, true));
    let left = "Let's continue in a fresh session:\n\n";
    for list in ["- one\n- two\n- three\n- four\n", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"] {
        assert_eq!(of(&format!("{left}{list}\nThat is all."), Signal::FreshSession), (true, true), "{list}");
        assert_eq!(of(&format!("{left}{list}\nOne.\n\nTwo."), Signal::FreshSession), (true, false), "{list}");
    }
}
