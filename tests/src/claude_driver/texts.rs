//! Finds, in the requests of a session, what was new in each and what of it came from hooks.

use std::collections::HashMap;

use serde_json::Value;

use super::summary::{HookText, HookTextKind, NewText};
use crate::mock_anthropic::flatten;

/// What Claude Code 2.1.x wraps around hook output. Several pieces can share one system message.
const HEADS: [(&str, HookTextKind); 3] = [
    (" hook additional context: ", HookTextKind::Context),
    (" hook success: ", HookTextKind::Stdout),
    (" hook blocking error from command: ", HookTextKind::BlockingError),
];
const FEEDBACK: &str = " hook feedback:\n";
/// What newer clients put around a blocked stop's feedback: words of their own, and then the feedback as it was.
const REMINDER: (&str, &str) = ("<system-reminder>\n", "\n</system-reminder>");
const DENIED: &str = " hook error: ";
const ENVIRONMENT: &str = "# Environment\n";
const ATTRIBUTION: &str = "<system-reminder>\nAttribution for git commits";
/// What the client itself puts behind a piece in the same message.
const ENDS: [&str; 4] =
    ["\n\n# Environment\n", "\n\nToday's date is ", "\n\nThe following deferred tools ", "\n</system-reminder>"];

/// For each main request, the user and system texts that the one before it did not have.
pub(super) fn new_texts<'a>(bodies: impl IntoIterator<Item = &'a Value>) -> Vec<Vec<NewText>> {
    let mut before: HashMap<NewText, usize> = HashMap::new();
    let mut out = Vec::new();
    for body in bodies {
        let mut now: HashMap<NewText, usize> = HashMap::new();
        let mut fresh = Vec::new();
        for text in body["messages"].as_array().into_iter().flatten().flat_map(texts_of) {
            let count = now.entry(text.clone()).or_default();
            *count += 1;
            if *count > before.get(&text).copied().unwrap_or_default() {
                fresh.push(text);
            }
        }
        out.push(fresh);
        before = now;
    }
    out
}

fn texts_of(message: &Value) -> Vec<NewText> {
    let role = message["role"].as_str().unwrap_or_default();
    let text = |tool_result, text| NewText { role: role.to_owned(), tool_result, text };
    match &message["content"] {
        _ if role == "assistant" => Vec::new(),
        Value::Array(blocks) => {
            let wanted = |block: &&Value| matches!(block["type"].as_str(), Some("text" | "tool_result"));
            blocks.iter().filter(wanted).map(|block| text(block["type"] == "tool_result", flatten(block))).collect()
        }
        content => vec![text(false, flatten(content))],
    }
}

/// The same without the pages that the client tells every model about itself, so that a failed assertion is legible.
pub(super) fn without_preamble(mut fresh: Vec<Vec<NewText>>) -> Vec<Vec<NewText>> {
    for new in fresh.iter_mut().flatten().filter(|new| !new.tool_result) {
        if new.text.starts_with(ATTRIBUTION) {
            "[attribution]".clone_into(&mut new.text);
        }
        let at_start = new.text.starts_with(ENVIRONMENT).then_some(0);
        let Some(from) = at_start.or_else(|| new.text.find(ENDS[0]).map(|at| at + 2)) else {
            continue;
        };
        let is_head = |(at, _): &(usize, &str)| split_head(&new.text[at + 2..]).is_some();
        let to = new.text.match_indices("\n\n").filter(|(at, _)| *at > from).find(is_head);
        new.text.replace_range(from..to.map_or(new.text.len(), |(at, _)| at), "[environment]");
    }
    fresh
}

/// What hooks said in `fresh`, the texts of each main request.
pub(super) fn hook_texts(fresh: &[Vec<NewText>]) -> Vec<HookText> {
    let mut out = Vec::new();
    for (request, new) in
        fresh.iter().enumerate().flat_map(|(number, texts)| texts.iter().map(move |new| (number, new)))
    {
        for (kind, hook, text) in pieces(new) {
            out.push(HookText { request, role: new.role.clone(), kind, hook: hook.to_owned(), text: text.to_owned() });
        }
    }
    out
}

type Piece<'a> = (HookTextKind, &'a str, &'a str);

fn pieces(new: &NewText) -> Vec<Piece<'_>> {
    let text = new.text.as_str();
    if let Some(found) = wrapped_feedback(text).filter(|_| !new.tool_result && new.role == "user") {
        return vec![found];
    }
    if let Some((hook, tail)) = split_name(text) {
        if let Some(reason) = tail.strip_prefix(DENIED).filter(|_| new.tool_result) {
            return vec![(HookTextKind::Denied, hook, reason)];
        }
        if let Some(reason) = tail.strip_prefix(FEEDBACK).filter(|_| !new.tool_result) {
            return vec![(HookTextKind::Feedback, hook, reason)];
        }
    }
    let mut out = Vec::new();
    let mut rest = if new.tool_result { "" } else { text };
    while !rest.is_empty() {
        if let Some((kind, hook, tail)) = split_head(rest) {
            let (said, behind) = tail.split_at(end_of_piece(tail));
            out.push((kind, hook, said));
            rest = behind;
        }
        // To the next line: a piece's end is in front of a line break, so this never skips a head.
        rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
    }
    out
}

/// A feedback in the reminder of newer clients: what stands between its head, at the beginning of a line, and the end.
fn wrapped_feedback(text: &str) -> Option<Piece<'_>> {
    let inside = text.strip_prefix(REMINDER.0)?.strip_suffix(REMINDER.1)?;
    let mut lines = std::iter::once(0).chain(inside.match_indices('\n').map(|(at, _)| at + 1));
    lines.find_map(|at| {
        let (hook, tail) = split_name(&inside[at..])?;
        Some((HookTextKind::Feedback, hook, tail.strip_prefix(FEEDBACK)?))
    })
}

/// Splits `Stop hook ...` or `PreToolUse:Bash hook ...` behind the hook's name.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let (name, _) = text.split_once(" hook ")?;
    let event = name.split(':').next().unwrap_or_default();
    let is_event =
        event.starts_with(|c: char| c.is_ascii_uppercase()) && event.chars().all(|c| c.is_ascii_alphanumeric());
    (is_event && !name.contains(char::is_whitespace)).then(|| text.split_at(name.len()))
}

fn split_head(text: &str) -> Option<(HookTextKind, &str, &str)> {
    let (hook, tail) = split_name(text)?;
    HEADS.iter().find_map(|(head, kind)| Some((*kind, hook, tail.strip_prefix(head)?)))
}

fn end_of_piece(text: &str) -> usize {
    let is_end = |at: &usize| {
        let rest = &text[*at..];
        ENDS.iter().any(|end| rest.starts_with(end))
            || rest.strip_prefix("\n\n").is_some_and(|next| split_head(next).is_some())
    };
    text.match_indices('\n').map(|(at, _)| at).find(is_end).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(role: &str, tool_result: bool, text: &str) -> Vec<(HookTextKind, String, String)> {
        let new = NewText { role: role.into(), tool_result, text: text.into() };
        hook_texts(&[vec![new]]).into_iter().map(|found| (found.kind, found.hook, found.text)).collect()
    }

    #[test]
    fn every_wrapping_is_taken_off() {
        use HookTextKind::{BlockingError, Context, Denied, Feedback, Stdout};
        let triple = |kind, hook: &str, text: &str| (kind, hook.to_owned(), text.to_owned());
        assert_eq!(found("user", false, "Stop hook feedback:\na\n\nb"), [triple(Feedback, "Stop", "a\n\nb")]);
        let reminder = "<system-reminder>\nThe text below is the output of a hook that the user set up.\n\
            Stop hook feedback:\na\n\nStop hook feedback:\nb\n</system-reminder>";
        let whole = "a\n\nStop hook feedback:\nb";
        assert_eq!(found("user", false, reminder), [triple(Feedback, "Stop", whole)]);
        assert_eq!(found("user", true, "PreToolUse:Bash hook error: no"), [triple(Denied, "PreToolUse:Bash", "no")],);
        let several = "<system-reminder>\nSessionStart:startup hook success: one\n\ntwo\n\n\
            UserPromptSubmit hook additional context: three\n\nStop hook blocking error from command: \"x\": four\n\n\
            # Environment\nmore\n</system-reminder>";
        assert_eq!(
            found("system", false, several),
            [
                triple(Stdout, "SessionStart:startup", "one\n\ntwo"),
                triple(Context, "UserPromptSubmit", "three"),
                triple(BlockingError, "Stop", "\"x\": four"),
            ],
        );
    }

    #[test]
    fn cutting_the_preamble_leaves_what_hooks_said() {
        let text = "SessionStart:startup hook success: one\n\n# Environment\nmuch\n\nmore\n\n\
            UserPromptSubmit hook additional context: two";
        let new = NewText { role: "system".into(), tool_result: false, text: text.into() };
        let cut = without_preamble(vec![vec![new]])[0][0].text.clone();
        assert_eq!(
            cut,
            "SessionStart:startup hook success: one\n\n[environment]\n\nUserPromptSubmit hook additional context: two"
        );
    }

    #[test]
    fn talk_about_hooks_is_not_a_hook() {
        for text in
            ["the Stop hook success: x", "A stop hook feedback:\nx", "hook success: x", "Stop hook: x", " hook "]
        {
            assert_eq!(found("user", false, text), [], "{text}");
        }
        assert_eq!(found("user", true, "Stop hook success: in a file"), []);
        let quoted = "<system-reminder>\nStop hook feedback:\nx\n</system-reminder>";
        assert_eq!(found("user", true, quoted), [], "in a file");
        assert_eq!(found("system", false, quoted), [], "in another role");
        assert_eq!(found("user", false, &format!("see {quoted}")), []);
    }

    #[test]
    fn only_what_the_request_before_did_not_have_is_new() {
        let user = |text: &str| json!({ "role": "user", "content": text });
        let first = json!({ "messages": [user("go")] });
        let answered = json!({ "role": "assistant", "content": "done" });
        let second = json!({ "messages": [user("go"), answered, user("go"), { "role": "system", "content": [
            { "type": "text", "text": "more" }, { "type": "image" }] }] });
        let texts = new_texts([&first, &second]);
        let shown: Vec<Vec<&str>> = texts.iter().map(|new| new.iter().map(|new| new.text.as_str()).collect()).collect();
        assert_eq!(shown, [vec!["go"], vec!["go", "more"]]);
    }
}
