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
#[case("I'll go on once CI finishes.", Signal::MissingInfo)]
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

proptest! {
    #[test]
    fn no_message_panics(message in "\\PC*|[ -~\n`>*_?.\u{2019}\u{201c}\u{201d}\"']*") {
        let _ = detect(&message);
    }
}
