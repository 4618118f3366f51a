use super::super::rules;
use super::*;
use proptest::prelude::*;
use rstest::rstest;

/// Whether a stop with this message would be held if there were evidence.
pub(super) fn is_held(message: &str) -> bool {
    let signals = detect(message);
    signals.wants_to_leave() && rules::legitimate_stop(&signals).is_none()
}

#[rstest]
#[case("I'm running low on context, so this is a good place to stop.", &[Signal::ContextLimit, Signal::ShouldStopForContext])]
#[case("Let\u{2019}s continue in a **fresh session**.", &[Signal::FreshSession])]
#[case("Step 1 is in. Next, I'll write the parser.", &[Signal::PromisedNextStep])]
#[case("Shall we pick this up in a new session?", &[Signal::FreshSession])]
#[case("I'm low on context.\n\nI'll stop here.", &[Signal::ContextLimit, Signal::ShouldStopForContext])]
fn excuses_and_promises_want_to_leave(#[case] message: &str, #[case] expected: &[Signal]) {
    let found = detect(message);
    assert!(found.wants_to_leave(), "{message}");
    for signal in expected {
        assert!(found.has(*signal), "{message}: {signal:?} not in {:?}", found.names());
    }
    assert!(!found.has(Signal::AsksQuestion), "{message}");
}

#[rstest]
#[case("Done: the parser is in and its tests pass.")]
#[case("The lexer is in and its tests pass.")]
#[case("I renamed the `fresh session` helper.")]
#[case("> next, I'll do it\n\nThat was the user's text.")]
#[case("```\nnext, I'll\n```\nPrinted above.")]
#[case("The sessionless newsession token is parsed.")]
#[case("")]
fn other_messages_do_not(#[case] message: &str) {
    assert!(!detect(message).wants_to_leave(), "{message}: {:?}", detect(message).names());
}

#[rstest]
#[case("Should the cache be per user or global?", Signal::AsksQuestion)]
#[case("Which database do you prefer? Both work. Happy to do either.", Signal::AsksQuestion)]
#[case("Should each login start a new session?", Signal::AsksQuestion)]
#[case("I need your API key for the staging system.", Signal::MissingInfo)]
#[case("I'll go on once CI finishes.", Signal::WaitsOutside)]
#[case("Waiting for your approval of the design.", Signal::ApprovalNeeded)]
#[case("I'll leave CRLF for later.", Signal::SelfDeferral)]
#[case("The printer is not written yet.", Signal::ReportsRemaining)]
#[case("I cannot proceed: the disk is read-only.", Signal::BlockedByError)]
#[case("All tasks are complete.", Signal::ClaimsCompletion)]
#[case("Done. All 14 tests pass.", Signal::ClaimsCompletion)]
#[case("As you asked, I stopped after the lexer.", Signal::AsAsked)]
fn legitimate_reasons_are_heard(#[case] message: &str, #[case] signal: Signal) {
    assert!(detect(message).has(signal), "{:?}", detect(message).names());
}

#[rstest]
#[case::taken_back("Not everything is done yet.", Signal::ClaimsCompletion)]
#[case::of_a_part("The lexer is complete. Next, I'll write the parser.", Signal::ClaimsCompletion)]
#[case::no_failure("14 passed, none failed. Next, I'll write the parser.", Signal::BlockedByError)]
#[case::not_done_is_not_blocked("I did not run the tests yet. Next, I'll write the parser.", Signal::BlockedByError)]
#[case::to_be_mended("Two tests fail. Next, I'll fix them.", Signal::BlockedByError)]
#[case::answered("Why did it fail? The lock was held. It is fixed.", Signal::AsksQuestion)]
#[case::long_ago("Which one?\n\nI took nom.\n\nThe parser uses it.", Signal::AsksQuestion)]
#[case::a_wait_in_a_description("It prints help when you run it.", Signal::MissingInfo)]
#[case::a_fresh_session_is_no_wait("Once you open a new session I'll continue.", Signal::MissingInfo)]
fn no_reasons_are_not_heard(#[case] message: &str, #[case] signal: Signal) {
    assert!(!detect(message).has(signal), "{:?}", detect(message).names());
}

#[test]
fn the_gate_s_own_examples_are_excuses_and_nothing_else() {
    for message in [
        "The tokenizer is in and committed. I'm running low on context, so this is a good place to stop; let's \
         continue with the parser in a fresh session.",
        "I am running low on context. Let's continue with the parser in a fresh session.",
        "The lexer is in. I'm running low on context, so this is a good place to stop; we can continue with the \
         parser in a fresh session.",
    ] {
        assert_eq!(detect(message).names(), ["context-limit", "fresh-session", "should-stop-for-context"], "{message}");
    }
}

#[test]
fn a_long_message_is_read_in_full() {
    let message = format!("{}\n\nLet's continue in a fresh session.", "The word of the day, next to it. ".repeat(900));
    assert!(is_held(&message));
}

#[rstest]
#[case("Die Tests stehen noch aus.", Signal::ReportsRemaining)]
#[case("Den Rest machen wir in einer neuen Sitzung.", Signal::FreshSession)]
#[case("Je laisse les tests pour plus tard.", Signal::SelfDeferral)]
#[case("Ahora voy a escribir las pruebas.", Signal::PromisedNextStep)]
#[case("Agora vou escrever os testes.", Signal::PromisedNextStep)]
#[case("接下来我将编写测试。", Signal::PromisedNextStep)]
#[case("请提供密钥。", Signal::MissingInfo)]
fn other_languages_are_heard(#[case] message: &str, #[case] signal: Signal) {
    assert!(detect(message).has(signal), "{:?}", detect(message).names());
}

#[rstest]
#[case::own("The lexer is in. Next, I'll write it.", Signal::PromisedNextStep, "Next, I'll")]
#[case::marked(
    "It\u{2019}s in.\n\n> no\n\nLet\u{2019}s go on in a **fresh session**.",
    Signal::FreshSession,
    "in a **fresh session"
)]
#[case::wrapped("I'll leave the\n  printer for later.", Signal::SelfDeferral, "I'll leave the\n  printer for later")]
#[case::after_a_comment("<!-- é --> Waiting for your approval.", Signal::ApprovalNeeded, "Waiting for your approval")]
#[case::chinese("好。接下来我将编写测试。", Signal::PromisedNextStep, "接下来")]
fn a_signal_says_which_words_gave_it(#[case] message: &str, #[case] signal: Signal, #[case] words: &str) {
    let signals = detect(message);
    let seen = signals.sightings().iter().find(|seen| seen.signal == signal).unwrap();
    assert_eq!(&message[seen.span.clone()], words);
}

#[test]
fn what_is_quoted_never_fires() {
    let excuse = "I'm running low on context, so let's continue in a fresh session. Next, I'll write the parser.";
    for message in [
        format!("It said:\n\n> {excuse}\n\nNobody meant it."),
        format!("It said:\n\n```text\n{excuse}\n```\n\nNobody meant it."),
        format!("It said:\n\n    {excuse}\n\nNobody meant it."),
        format!("It said \"{excuse}\", but nobody meant it."),
        format!("It said \u{201c}{excuse}\u{201d}, but nobody meant it."),
        format!("It printed `{excuse}`, but nobody meant it."),
        format!("Here's the draft:\n\n{excuse}\n\nNobody meant it."),
    ] {
        assert_eq!(detect(&message), Signals::default(), "{message}");
    }
}

/// The processor time that this thread has used: other programs cost it nothing.
fn processor_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// What it costs to read `text` over and over, in all `length` bytes; the best of five.
fn reading(text: &str, length: usize) -> std::time::Duration {
    let message = text.repeat(length.div_ceil(text.len()));
    let once = || {
        let begin = processor_time();
        let _ = (detect(&message), crate::facts::open_step_texts(&message).count());
        processor_time().saturating_sub(begin)
    };
    (0..5).map(|_| once()).min().unwrap_or_default()
}

#[test]
fn reading_takes_linear_time_whatever_the_text() {
    const LENGTH: usize = 3_000;
    for text in [
        "the word of the day ",
        "\"",
        "'",
        "`",
        "\u{201c}",
        "\u{ab}",
        "\u{2018}",
        "\u{300c}",
        "a\u{ab} ",
        "'a ",
        "_",
        "_a",
        "'a",
        ".",
        "...a",
        "?\"?",
        "\"?\"",
        "- [ ] a\n",
        "| a ",
        "# a\n",
        "<!-- ",
        "<!-- a -->",
        "```\n",
        "> a\n",
        "\n",
        " ",
        "a\n",
        "* ",
        "1. ",
        "i'll ",
        "i'll leave ",
        "next ",
        "not yet ",
        "is are be ",
        "1 of 2 ",
        "上下文",
        "i i i we we ",
        "later\n\n",
    ] {
        // Eight times the text may take eight times as long; were it quadratic, it would take 64 times.
        let (small, large) = (reading(text, LENGTH), reading(text, LENGTH * 8));
        let least = std::time::Duration::from_millis(1);
        assert!(large < small.max(least) * 30, "{text:?}: {small:?}, then {large:?}");
    }
}

proptest! {
    #[test]
    fn every_span_is_part_of_the_message(
        message in "(\\PC|[ -~\n`>*_?.\u{2019}\u{201c}\u{201d}\"']|i'll |next |later |not yet |in a fresh session|ẞ|İ|<!--|-->){0,60}",
    ) {
        for seen in detect(&message).sightings() {
            prop_assert!(message.get(seen.span.clone()).is_some_and(|words| !words.is_empty()), "{seen:?}");
        }
    }

    #[test]
    fn each_signal_is_seen_once_and_in_order(message in "(I'll |next |leave |it |for later|\\. |\\? |done|need |your key|\n\n){0,40}") {
        let found = detect(&message);
        let order: Vec<_> = found.sightings().iter().map(|seen| seen.signal as u8).collect();
        prop_assert!(order.is_sorted_by(|one, other| one < other), "{order:?}");
    }

    #[test]
    fn no_message_panics(message in "\\PC*|[ -~\n`>*_?.\u{2019}\u{201c}\u{201d}\"']*") {
        let _ = detect(&message);
    }
}

#[rstest]
#[case("Should the export be CSV or JSON?", true)]
#[case("Soll der Export CSV oder JSON liefern?", true)]
#[case("Faut-il exporter en CSV ou en JSON ?", true)]
#[case("¿CSV o JSON?", true)]
#[case("L'esportazione deve essere CSV o JSON?", true)]
#[case("Exportar em CSV ou JSON?", true)]
#[case("Moet de export CSV of JSON zijn?", true)]
#[case("Eksport CSV czy JSON?", true)]
#[case("Экспорт делать в CSV или в JSON?", true)]
#[case("Dışa aktarma CSV mi JSON mu olsun?", true)]
#[case("CSV 还是 JSON？", true)]
#[case("Which part of the plan comes next?", false)]
#[case("Posso continuar com o exportador?", false)]
#[case("O que faço em seguida?", false)]
#[case("Devam edeyim mi?", false)]
#[case("Czy mam kontynuować?", false)]
#[case("¿Le doy a lo que queda?", false)]
#[case("Bereit, dass ich mit dem Export loslege?", false)]
fn a_question_for_one_of_two_things_names_both(#[case] question: &str, #[case] expected: bool) {
    assert_eq!(is_choice(question), expected);
}
