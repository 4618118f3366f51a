use super::*;
use PromptClass::{Execute, Narrow, Other, Question, Stop};

fn each(expected: PromptClass, prompts: &[&str]) {
    let wrong: Vec<_> =
        prompts.iter().map(|prompt| (class_of(prompt), prompt)).filter(|(class, _)| *class != expected).collect();
    assert!(wrong.is_empty(), "not {expected:?}: {wrong:#?}");
}

#[test]
fn a_question_is_one_in_every_language() {
    each(
        Question,
        &[
            "Which steps are open? Just the status, change nothing.",
            "Which steps are still open?",
            "How far are we?",
            "What does this error mean?",
            "Status?",
            "Welche Schritte sind noch offen?",
            "Quelles étapes restent ouvertes ?",
            "¿Qué pasos quedan abiertos?",
            "Quais passos ainda estão abertos?",
            "Quali passi sono ancora aperti?",
            "Welke stappen staan nog open?",
            "Które kroki są jeszcze otwarte?",
            "Какие шаги ещё открыты?",
            "Hangi adımlar hâlâ açık?",
            "还有哪些步骤没完成？",
            "残っているステップはどれですか？",
            "남은 단계는 무엇인가요?",
        ],
    );
}

#[test]
fn a_part_with_its_bounds_is_narrow() {
    each(
        Narrow,
        &[
            "only do step 2",
            "Just step 2, please.",
            "Mach nur Schritt 2.",
            "Ne fais que l'étape 2, rien d'autre.",
            "Haz solo el paso 2, nada más.",
            "Faz apenas o passo 2.",
            "Fai solo il passo 2.",
            "Doe alleen stap 2.",
            "Zrób tylko krok 2.",
            "Сделай только шаг 2.",
            "Sadece adım 2'yi yap.",
            "只做第2步",
            "ステップ2だけやって",
            "2단계만 해줘",
            "One step per turn, please: execute docs/plan.md.",
            "Execute the plan, but stop after each step and let me look.",
            "We work one task per turn. After each one stop and let me review the diff.",
            "每做完一项停下来让我看看",
            "Do tasks 1-3 of tasks.md. 4 and up wait for the design review.",
            "сделай пункты 1-3, остальное потом",
            "just do number 3",
        ],
    );
}

#[test]
fn a_note_for_whoever_goes_on_is_a_part_and_a_job_that_is_called_so_is_none() {
    each(
        Narrow,
        &[
            "I'm off for two weeks. write me a summary of the state of the payments work that Priya can start from",
            "jot down where we stand in NOTES.md so sam can pick it up",
            "schreib auf, wo wir stehen, morgen macht Jonas weiter",
            "note où on en est, demain c'est Luc qui reprend",
            "apunta cómo vamos en NOTAS.md, mañana sigue Inés",
            "scrivi in NOTE.md come siamo messi, domani continua Bea",
            "zapisz w NOTATKI.md gdzie stoimy, jutro przejmuje Ola",
            "zet op papier waar we staan, Joris neemt het over",
            "anota aí o que falta que amanhã a bia assume",
            "nerede kaldığımızı NOTLAR.md'ye yaz, yarın Ece devralacak",
            "запиши, на чём остановились, завтра подхватит Олег",
            "どこまで進んだかNOTES.mdに書いて。明日から別の人がやる",
            "把做到哪写进 NOTES.md，明天小李接手",
            "어디까지 했는지 NOTES.md에 정리해줘, 내일 민수가 이어받아",
        ],
    );
    each(
        Execute,
        &[
            "implement handoff.md, all of it",
            "Setz uebergabe.md komplett um",
            "Implement the handover module for the next session store and finish the plan",
        ],
    );
}

#[test]
fn a_job_is_one_in_every_language_and_so_is_to_go_on_with_it() {
    each(
        Execute,
        &[
            "Execute docs/plan.md.",
            "Execute the plan",
            "Implement all steps of docs/plan.md",
            "Work through PLAN.md, all of it.",
            "go on",
            "continue",
            "yes, do it",
            "Go ahead.",
            "weiter",
            "mach weiter",
            "continue, s'il te plaît",
            "sigue",
            "continua",
            "ga verder",
            "kontynuuj",
            "продолжай",
            "devam et",
            "继续",
            "続けて",
            "계속해줘",
            "Führe docs/plan.md aus.",
            "Exécute docs/plan.md.",
            "Ejecuta docs/plan.md.",
            "Выполни docs/plan.md.",
            "执行 docs/plan.md",
            "/execute-plan docs/plan.md",
            "Write the parser.",
        ],
    );
}

#[test]
fn a_stop_is_one_and_talk_asks_for_nothing() {
    each(
        Stop,
        &[
            "commit step 2 only, leave the rest for Monday",
            "stop here please",
            "Bitte hier aufhören.",
            "ここで止めてください",
            "I'll take it from here",
        ],
    );
    each(Other, &["thanks!", "danke", "👍", "/cost", "/model", "", "   "]);
}

#[test]
fn what_stands_before_or_behind_a_log_counts() {
    let log = "2026-01-01T00:00:01 INFO [main] served /orders?id=3 in 3 ms\n".repeat(300);
    assert_eq!(class_of(&format!("what does this mean?\n{log}")), Question);
    assert_eq!(class_of(&format!("{log}\nstop here for today")), Stop);
    assert_eq!(class_of(&format!("Execute docs/plan.md.\n```\n{log}```")), Execute);
}

#[test]
fn to_go_on_changes_no_bounds_and_another_job_does() {
    let asked = |prompts: &[&str]| Asked::of(prompts.iter().copied());
    let narrow = asked(&["Do steps 2 and 3 only."]);
    assert_eq!(
        (narrow.class, narrow.has_job, &*narrow.bounds),
        (Some(Narrow), true, &["2".to_owned(), "3".into()][..])
    );
    let gone_on = asked(&["Do steps 2 and 3 only.", "go on"]);
    assert_eq!((gone_on.class, &gone_on.bounds), (Some(Narrow), &narrow.bounds));
    let standing = asked(&["Execute docs/plan.md, one step per turn.", "ok", "continue", "next"]);
    assert_eq!((standing.class, standing.has_job, standing.bounds.len()), (Some(Narrow), true, 0));
    let anew = asked(&["Only step 2.", "Now execute docs/plan.md, all of it."]);
    assert_eq!((anew.class, anew.is_bounded, anew.bounds.len()), (Some(Execute), false, 0));
    // What is not to be done is no bound that has to be met.
    assert_eq!(asked(&["Do step 2 only, leave 3 and 4 alone."]).bounds, ["2"]);
    assert_eq!(asked(&["Leave step 3 alone, only do the other."]).bounds, [""; 0]);
}

#[test]
fn a_job_lasts_until_the_person_ends_it() {
    let asked = |prompts: &[&str]| Asked::of(prompts.iter().copied());
    let has_job = |prompts: &[&str]| asked(prompts).has_job;
    assert!(has_job(&["Execute docs/plan.md.", "Which steps are open?"]));
    assert!(has_job(&["Execute docs/plan.md.", "thanks!"]));
    assert!(!has_job(&["Execute docs/plan.md.", "stop here please"]));
    assert!(!has_job(&["Which steps are open?", "thanks!"]) && asked(&[]).is_unknown());
    // An approval asks for what was proposed, where there was a job.
    assert_eq!(asked(&["Execute docs/plan.md.", "sounds good"]).class, Some(Execute));
    assert_eq!(asked(&["sounds good"]).class, Some(Other));
}

#[test]
fn no_more_of_a_prompt_is_kept_than_its_end_without_secrets() {
    let said = |prompt: &str| AskedAt::new(7, Asked::default(), prompt).said;
    assert_eq!(said("go on,\n  please"), "go on, please");
    assert_eq!(said(""), "");
    let long = said(&format!("begin {} password=hunter2 é", "x ".repeat(2_000)));
    assert!(long.chars().count() == SAID_CHARS && long.ends_with('é') && !long.contains("hunter2"), "{long}");
}

/// Of the labelled prompts in a file, whose styles the models were not trained on: how many are told rightly
/// to be a job or none, and how many are taken for one that are none.
fn score(file: &str) -> (usize, usize) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let each = rows.flat_map(|row| row["scene"]["prompts"].as_array().cloned().unwrap_or_else(|| vec![row]));
    let (mut right, mut wrong) = (0, 0);
    for prompt in each.filter(|prompt| prompt["text"].is_string()) {
        let is_job = prompt["class"] == "execute";
        let told = class_of(prompt["text"].as_str().unwrap()) == Execute;
        right += usize::from(told == is_job);
        wrong += usize::from(told && !is_job);
    }
    (right, wrong)
}

#[test]
fn prompts_of_others_are_told_apart_no_worse_than_when_the_weights_were_written() {
    let (right, wrong) = score("prompts/held-out.jsonl");
    assert!(right >= 550 && wrong <= 40, "{right} of 697, {wrong} of 447 taken for a job");
    let (right, wrong) = score("scenes/held-out.jsonl");
    assert!(right >= 305 && wrong <= 11, "{right} of 391, {wrong} of 91 taken for a job");
}

/// That they are what their texts give is checked by `train-prompts --check`: without optimization it takes too long.
#[test]
fn the_weights_are_those_that_are_listed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let weights = std::fs::read(root.join("models/prompts.bin")).unwrap();
    let models = PromptModels::from_bytes(&weights).unwrap();
    assert_eq!((models.to_bytes() == weights, weights.len()), (true, 6 * (16 + 2 * (1 << 15))));
    let digest = sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), &weights));
    let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let sums = std::fs::read_to_string(root.join("models/SHA256SUMS")).unwrap();
    let how = "cargo run --release -p stopgate-gate --example train-prompts";
    assert!(sums.lines().any(|line| line == format!("{}  prompts.bin", digest.concat())), "{how}");
}

#[test]
fn a_note_for_whoever_goes_on_is_a_part_and_a_job_with_one_behind_it_is_not() {
    let notes = [
        "Write a handoff note for the next session into NOTES.md",
        "Schreib eine Übergabe für die nächste Sitzung in NOTES.md, sonst nichts.",
        "Rédige une note de passation pour la prochaine session dans NOTES.md.",
        "Escribe una nota de traspaso en NOTES.md.",
        "Напиши заметку для следующей сессии.",
        "次のセッション用の引き継ぎメモを NOTES.md に書いて。",
        "把交接说明写到 NOTES.md。",
    ];
    each(Narrow, &notes);
    for note in notes {
        assert_eq!(Asked::of(["Execute docs/plan.md.", note]).bounds, [""; 0], "{note}");
    }
    each(
        Execute,
        &[
            "Execute docs/plan.md, and write a handoff note at the end.",
            "Implement the plan. Write a handoff note when all of it is done.",
        ],
    );
}
