use super::*;
use rstest::rstest;

fn said(message: &str) -> String {
    let shown = |clause: &Clause| {
        let mark = if clause.asks { "?" } else { "" };
        format!("{}{mark}", clause.words.join(" ").replace(LEFT_OUT, "_"))
    };
    clauses(message).iter().map(shown).collect::<Vec<_>>().join(" / ")
}

#[rstest]
#[case::sentences("It\u{2019}s **in**. Next, I'll go on!", "it's in / next i'll go on")]
#[case::names_and_numbers("See db:5432 and next_step 1.2 in a.rs.", "see db 5432 and next_step 1 2 in a rs")]
#[case::wrapped_lines("let's go\non", "let's go on")]
#[case::clauses("Full; let's stop \u{2014} here", "full / let's stop / here")]
#[case::labels("**Next steps:** a", "next steps : a")]
#[case::inline_code("the `fresh session` helper", "the _ helper")]
#[case::quotes("say \"next, I'll\" or \u{201c}next\u{201d} or \u{ab}next\u{bb}", "say _ or _ or _")]
#[case::single_quotes("it's 'next, I'll' and the users' \u{2018}next\u{2019}", "it's _ and the users' _")]
#[case::open_quote("a 5\" disk", "a 5 disk")]
#[case::block_quote("> quoted\n\nmine", "mine")]
#[case::code("    code\n\nmine\n```\ncode\n```", "mine")]
#[case::questions("(Really?) Which? \"Either?\" **Sure?**", "really? / which? / _? / sure?")]
#[case::a_quoted_question_within("It asks \"why?\" at times.", "it asks _ at times")]
fn messages_are_split_into_clauses(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said(message).replace("users'", "users"), expected.replace("users'", "users"));
}

#[rstest]
#[case::marks("- [x] a\n- [ ] b\n- c ✅", "☑ a / ☐ b / c ☑")]
#[case::rows("| a | b |\n|---|---|\n| c | ⏳ open |", "a / b / c / ☐ open")]
#[case::dashes("a - b well-known", "a / b well known")]
#[case::chinese("好。做a？「不」", "好 / 做 a? / _")]
fn marks_rows_and_scripts(#[case] message: &str, #[case] expected: &str) {
    assert_eq!(said(message), expected);
}

#[test]
fn words_know_where_they_stand() {
    let message = "é <!-- x --> It's\n  **over**. \"No\" \u{201c}so\u{201d}";
    for clause in clauses(message) {
        for (word, span) in clause.words.iter().zip(&clause.spans) {
            let said = message[span.clone()].to_lowercase();
            assert!(said == *word || word == LEFT_OUT, "{word} {said}");
        }
    }
    let clause = &clauses(message)[0];
    assert_eq!(&message[clause.span(1..3)], "It's\n  **over");
}

#[test]
fn what_breaks_off_is_told() {
    let breaks = |message: &str| clauses(message).last().unwrap().breaks_off;
    assert!(breaks("Let me look:") && breaks("Going on...") && breaks("Going on\u{2026}"));
    assert!(!breaks("Let me look: here") && !breaks("Wait... no."));
}

#[test]
fn a_list_belongs_to_the_paragraph_above_it() {
    let groups: Vec<_> = clauses("One.\n\nTwo?\n\n- a\n- b\n  more\n\nThree. Four.")
        .iter()
        .map(|clause| (clause.words.join(" "), clause.from_end, clause.closes))
        .collect();
    let expected = [
        ("one", 2, true),
        ("two", 1, true),
        ("a", 1, true),
        ("b more", 1, true),
        ("three", 0, false),
        ("four", 0, true),
    ];
    assert_eq!(groups, expected.map(|(text, group, closes)| (text.to_owned(), group, closes)));
}
