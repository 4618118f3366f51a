use super::*;
use crate::session::Harness::{Claude, Codex};
use rstest::rstest;
use std::time::Duration;

/// What a transcript of these lines shows.
fn shown(harness: Harness, lines: &[&str]) -> Person {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    look(harness, &path, None, Instant::now() + Duration::from_secs(30))
}

fn text(person: &Person) -> Option<&str> {
    person.prompt.as_ref().map(|prompt| prompt.text.as_str())
}

/// A prompt as Claude Code 2.1.332 writes it down.
fn claude(prompt: &str, marks: &str) -> String {
    format!(
        r#"{{"type":"user","promptId":"p","timestamp":"1970-01-01T00:00:01.5Z","message":{{"role":"user","content":"{prompt}"}},{marks}"rowSource":"local"}}"#
    )
}

const TYPED: &str = r#""origin":{"kind":"human"},"promptSource":"typed","turnOrigin":"human","#;
const HEADLESS: &str = r#""promptSource":"sdk","turnOrigin":"sdk","#;
const COMMAND: &str = r#""origin":{"kind":"human"},"turnOrigin":"human","#;
const NOTICE: &str = r#""origin":{"kind":"task-notification","producer":"session-task"},"promptSource":"system","#;
const PEER: &str =
    r#""isMeta":true,"origin":{"kind":"peer","from":"uds:/s","verifiedPeerPid":7},"promptSource":"system","#;
const SCHEDULED: &str = r#""isMeta":true,"promptSource":"system","turnOrigin":"scheduled","#;
const MATE: &str = "";

#[rstest]
#[case::typed(TYPED, true)]
#[case::headless(HEADLESS, true)]
#[case::command(COMMAND, true)]
#[case::taken_from_a_suggestion(r#""promptSource":"suggestion_accepted","#, true)]
#[case::notice(NOTICE, false)]
#[case::peer(PEER, false)]
#[case::scheduled(SCHEDULED, false)]
#[case::teammate(MATE, false)]
#[case::of_a_kind_to_come(r#""origin":{"kind":"channel"},"promptSource":"typed","#, false)]
#[case::of_a_source_to_come(r#""promptSource":"telepathy","#, false)]
#[case::of_a_subagent(r#""isSidechain":true,"promptSource":"typed","origin":{"kind":"human"},"#, false)]
fn a_prompt_of_claude_code_is_the_person_s_only_if_that_is_shown(#[case] marks: &str, #[case] is_persons: bool) {
    let person = shown(Claude, &[&claude("write the parser", TYPED), &claude("please stop here", marks)]);
    assert_eq!(person.end == Some(End::Asked), is_persons, "{marks}");
    assert_eq!(text(&person), Some(if is_persons { "please stop here" } else { "write the parser" }));
    // Nor does it take back that the person has asked for an end.
    let person = shown(Claude, &[&claude("please stop here", TYPED), &claude("go on", marks)]);
    assert_eq!(person.end == Some(End::Asked), !is_persons, "{marks}");
    assert_eq!(person.prompt.unwrap().at_ms, Some(1_500));
}

#[test]
fn a_prompt_that_is_typed_while_the_agent_works_is_heard() {
    let queued = |kind: &str, mode: &str| {
        format!(
            r#"{{"type":"attachment","timestamp":"1970-01-01T00:00:02Z","attachment":{{"type":"queued_command","prompt":"stop the build","commandMode":"{mode}","origin":{{"kind":"{kind}"}},"humanTurn":true}}}}"#
        )
    };
    let end = |line: &str| shown(Claude, &[&claude("write the parser", TYPED), line]).end;
    assert_eq!(end(&queued("human", "prompt")), Some(End::Asked));
    assert_eq!(end(&queued("human", "bash")), None);
    assert_eq!(end(&queued("task-notification", "prompt")), None);
    let person = shown(Claude, &[&queued("human", "prompt")]);
    assert!(!person.prompt.unwrap().reported);
}

#[test]
fn a_turn_that_was_interrupted_stays_so_until_the_next_prompt() {
    let interrupted = r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user for tool use]"}]},"rowSource":"harness"}"#;
    let of = |lines: &[&str]| shown(Claude, lines).end;
    let typed = claude("write the parser", TYPED);
    assert_eq!(of(&[&typed, interrupted]), Some(End::Interrupted));
    assert_eq!(of(&[&typed, interrupted, &claude("done", NOTICE)]), Some(End::Interrupted));
    assert_eq!(of(&[&typed, interrupted, &typed]), None);
    // The words alone are nothing: neither a tool's, nor a prompt's.
    let tool =
        r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"[Request interrupted by user]"}]}}"#;
    assert_eq!(of(&[&typed, tool]), None);
    assert_eq!(of(&[&claude("[Request interrupted by user] means what?", TYPED)]), None);
    let of_kind = |origin: &str| interrupted.replace(r#""rowSource""#, &format!(r#""origin":{origin},"rowSource""#));
    for foreign in [r#"{"kind":"peer"}"#, r#"{"kind":"task-notification"}"#, r#"{"kind":7}"#, "{}", r#""human""#] {
        assert_eq!(of(&[&typed, &of_kind(foreign)]), None, "{foreign}");
    }
    assert_eq!(of(&[&typed, &of_kind("null")]), Some(End::Interrupted));
}

#[test]
fn what_the_person_says_in_the_midst_of_a_turn_is_heard() {
    let typed = claude("write the parser", TYPED);
    let end = |line: &str| shown(Claude, &[&typed, line]);
    let said = |answer: &str| {
        format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"The user answered"}}]}},"toolUseResult":{{"questions":[{{"question":"Which?"}}],"answers":{{"Which?":"{answer}"}}}}}}"#
        )
    };
    assert_eq!(end(&said("stop here")).end, Some(End::Asked));
    assert_eq!(end(&said("Red")).end, None);
    assert_eq!(text(&end(&said("Red"))), Some("write the parser"), "an answer is no new prompt");
    let refused = |source: &str| {
        format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"To tell you how to proceed, the user said:\nplease stop here","is_error":true}}]}},"permissionDecision":{{"decision":"reject","source":"{source}"}}}}"#
        )
    };
    assert_eq!(end(&refused("user_reject")).end, Some(End::Asked));
    assert_eq!(end(&refused("config")).end, None, "a tool may print the same words");
}

#[test]
fn a_command_is_its_name_and_its_arguments() {
    let content = r"<command-message>foo</command-message>\n<command-name>/foo</command-name>\n<command-args>bar baz</command-args>";
    assert_eq!(text(&shown(Claude, &[&claude(content, COMMAND)])), Some("/foo bar baz"));
    assert_eq!(text(&shown(Claude, &[&claude("<b>bold</b>", TYPED)])), Some("<b>bold</b>"), "pasted text");
}

fn begins(turn: &str, trigger: &str) -> String {
    format!(
        r#"{{"type":"event_msg","payload":{{"type":"task_started","turn_id":"{turn}","turn_attribution":{{"turn_id":"{turn}","turn_trigger":{trigger}}}}}}}"#
    )
}

fn message(words: &str, client: &str) -> String {
    format!(
        r#"{{"type":"event_msg","timestamp":"1970-01-01T00:00:01.5Z","payload":{{"type":"item_completed","turn_id":"t","item":{{"type":"UserMessage","id":"i",{client}"content":[{{"type":"text","text":"{words}","text_elements":[]}}]}}}}}}"#
    )
}

const TERMINAL: &str = r#""client_id":"d26679e3-ef1a-4135-b231-9f7004f7a509","#;

#[rstest]
#[case::terminal(r#""user""#, TERMINAL, true)]
#[case::headless(r#""exec""#, "", true)]
#[case::queue(r#""queue""#, TERMINAL, false)]
#[case::app_server("null", "", false)]
#[case::of_a_kind_to_come(r#""schedule""#, TERMINAL, false)]
fn a_turn_of_codex_is_the_person_s_only_if_that_is_shown(
    #[case] trigger: &str,
    #[case] client: &str,
    #[case] is_persons: bool,
) {
    let turn = |trigger: &str, words: &str, client: &str| [begins("t", trigger), message(words, client)].join("\n");
    let first = turn(r#""user""#, "write the parser", TERMINAL);
    let person = shown(Codex, &[&first, &turn(trigger, "please stop here", client)]);
    assert_eq!(person.end == Some(End::Asked), is_persons);
    assert_eq!(text(&person), Some(if is_persons { "please stop here" } else { "write the parser" }));
    let asked = turn(r#""user""#, "please stop here", TERMINAL);
    let person = shown(Codex, &[&asked, &turn(trigger, "go on", client)]);
    assert_eq!(person.end == Some(End::Asked), !is_persons);
    assert_eq!(person.prompt.unwrap().at_ms, Some(1_500));
}

#[test]
fn what_is_put_into_a_running_turn_of_codex_needs_the_terminal_s_mark() {
    let of = |trigger: &str, client: &str| {
        let lines = [begins("t", trigger), message("go on", TERMINAL), message("stop here", client)];
        shown(Codex, &[&lines.join("\n")]).end
    };
    assert_eq!(of(r#""user""#, TERMINAL), Some(End::Asked));
    assert_eq!(of(r#""queue""#, TERMINAL), Some(End::Asked), "the person types into a turn of the queue");
    assert_eq!(of(r#""user""#, ""), None);
    // The same message in both forms that there are is one.
    let old = r#"{"type":"event_msg","payload":{"type":"user_message","message":"stop here"}}"#;
    let twice = [begins("t", r#""queue""#), old.to_owned(), message("stop here", TERMINAL)];
    assert_eq!(shown(Codex, &[&twice.join("\n")]).end, None);
    assert_eq!(shown(Codex, &[&begins("t", r#""user""#), old]).end, Some(End::Asked));
    assert_eq!(shown(Codex, &[old]).end, None, "who began the turn is not said");
}

#[test]
fn an_interrupted_turn_of_codex_stays_so_until_the_next_prompt() {
    let aborted = r#"{"type":"event_msg","payload":{"type":"turn_aborted","turn_id":"t","reason":"interrupted"}}"#;
    let turn = [begins("t", r#""user""#), message("write the parser", TERMINAL), aborted.to_owned()].join("\n");
    let queue = [begins("q", r#""queue""#), message("go on", TERMINAL)].join("\n");
    let again = [begins("u", r#""user""#), message("go on", TERMINAL)].join("\n");
    assert_eq!(shown(Codex, &[&turn]).end, Some(End::Interrupted));
    assert_eq!(shown(Codex, &[&turn, &queue]).end, Some(End::Interrupted));
    assert_eq!(shown(Codex, &[&turn, &queue, &again]).end, None);
    let replaced = aborted.replace("interrupted", "replaced");
    let turn = [begins("t", r#""user""#), message("write the parser", TERMINAL), replaced].join("\n");
    assert_eq!(shown(Codex, &[&turn]).end, None);
}

/// A prompt of the person's with a picture of so many bytes.
fn picture_and_words(bytes: usize, words: &str) -> String {
    let picture = format!(r#"{{"type":"image","source":{{"type":"base64","data":"{}"}}}}"#, "A".repeat(bytes));
    format!(
        r#"{{"type":"user","promptId":"p","message":{{"role":"user","content":[{picture},{{"type":"text","text":"{words}"}}]}},{TYPED}"rowSource":"local"}}"#
    )
}

#[test]
fn a_long_turn_hides_nothing_and_what_is_not_understood_is_passed_over() {
    let typed = claude("please stop here", TYPED);
    let work = format!(r#"{{"type":"assistant","message":{{"content":"{}"}}}}"#, "x".repeat(200_000));
    let picture = claude(&"y".repeat(3_000_000), NOTICE);
    let lines = vec![work.as_str(); 30];
    for more in [&lines[..], &[picture.as_str()], &["\"promptSource\":\"", "{\"promptSource\":\"typed\""]] {
        let person = shown(Claude, &[&[typed.as_str()], more].concat());
        assert_eq!((person.end, text(&person)), (Some(End::Asked), Some("please stop here")));
    }
    // A prompt with a picture is as long as that.
    let pictured = picture_and_words(3_000_000, "please stop here");
    let person = shown(Claude, &[&[claude("write the parser", TYPED).as_str(), &pictured], &lines[..]].concat());
    assert_eq!((person.end, text(&person)), (Some(End::Asked), Some("please stop here")));
    let dir = tempfile::tempdir().unwrap();
    let soon = Instant::now() + Duration::from_secs(30);
    assert_eq!(look(Claude, dir.path(), None, soon), Person::default());
    assert_eq!(look(Claude, &dir.path().join("none"), None, soon), Person::default());
    assert_eq!(shown(Claude, &[]), Person::default());
}

#[test]
fn a_transcript_that_is_behind_is_known_by_its_last_prompt_and_not_waited_for_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    let notice = claude("done", NOTICE).replace(r#""promptId":"p""#, r#""promptId":"2""#);
    std::fs::write(&path, [claude("please stop here", TYPED), notice].join("\n") + "\n").unwrap();
    let soon = Instant::now() + Duration::from_secs(30);
    let (person, last) = look_once(Claude, &path, soon, 1);
    assert_eq!((person.end, last), (Some(End::Asked), LastPrompt::Id("2".into())), "whoever sent it");
    for id in ["2", "3"] {
        assert_eq!(look(Claude, &path, Some(id), soon).end, Some(End::Asked));
    }
}

#[test]
fn the_first_prompt_of_a_session_is_still_to_come_where_ids_are_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    let is_behind = |harness| look_once(harness, &path, Instant::now() + Duration::from_secs(30), 1).1.is_behind("p");
    assert!(is_behind(Claude) && !is_behind(Codex), "no file");
    let row = claude("please stop here", TYPED);
    let mode = r#"{"type":"mode","mode":"normal","promptSource":""}"#;
    let nameless = row.replace(r#""promptId":"p","#, "");
    for (lines, expected) in [("", true), (mode, true), (&row, false), (&nameless, false)] {
        std::fs::write(&path, format!("{lines}\n")).unwrap();
        assert_eq!(is_behind(Claude), expected, "{lines}");
    }
}

proptest::proptest! {
    #[test]
    fn no_transcript_panics(lines in proptest::collection::vec(
        "(\\{\"type\":\"(user|attachment|event_msg)\",\"(message|attachment|payload)\":.{0,40}\"human\"\\}|.{0,60})", 0..6)
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for harness in [Claude, Codex] {
            let _ = shown(harness, &lines);
        }
    }
}

#[rstest]
#[case::courtesy("thanks, perfect")]
#[case::command("<command-name>/cost</command-name>\\n<command-args></command-args>")]
#[case::switched("<command-name>/model</command-name><command-args>opus</command-args>")]
#[case::shell("<bash-input>git status</bash-input>")]
fn what_asks_for_nothing_takes_no_word_back(#[case] later: &str) {
    let of = |lines: &[&str]| shown(Claude, lines);
    let stop = claude("please stop here", TYPED);
    let person = of(&[&claude("write the parser", TYPED), &stop, &claude(later, TYPED)]);
    assert_eq!(person.end, Some(End::Asked), "{later}");
    // Nor is it an end by itself.
    let person = of(&[&claude("write the parser", TYPED), &claude(later, TYPED)]);
    assert_eq!(person.end, None, "{later}");
    assert!(person.prompt.is_some());
    // A command that sends something to the model is a prompt like any other.
    assert_eq!(of(&[&stop, &claude("<command-name>/next-step</command-name>", TYPED)]).end, None);
}

#[test]
fn the_prompts_before_the_last_are_given_the_earliest_first_and_not_looked_for_far_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    let typed = |number: usize| claude(&format!("prompt {number}"), TYPED);
    let asked = |lines: &[String], most: usize| -> Vec<String> {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let person = look_back(Claude, &path, None, Instant::now() + Duration::from_secs(30), most);
        person.prompts().map(|prompt| prompt.text.clone()).collect()
    };
    let between = claude("done", NOTICE);
    let lines: Vec<String> = (0..12).flat_map(|number| [typed(number), between.clone()]).collect();
    assert_eq!(asked(&lines, 3), ["prompt 9", "prompt 10", "prompt 11"]);
    assert_eq!(asked(&lines, 1), ["prompt 11"]);
    assert_eq!(asked(&lines[..3], 8), ["prompt 0", "prompt 1"]);
    // However far the last one is away, it is found; those before it only near it.
    let work = format!(r#"{{"type":"assistant","text":"{}"}}"#, "x".repeat(1024));
    let far = vec![work; usize::try_from(EARLIER_BYTES / 1024).unwrap() + 200];
    let lines = [vec![typed(0), typed(1)], far.clone()].concat();
    assert_eq!(asked(&lines, 8), ["prompt 0", "prompt 1"]);
    let lines = [vec![typed(0)], far.clone(), vec![typed(1)], far].concat();
    assert_eq!(asked(&lines, 8), ["prompt 1"]);
}
