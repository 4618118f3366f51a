//! What a plan says of all of itself: that it is over.

use stopgate_core::words;

use super::{MAX_STATUS_NAME, WORDS, plain, status_value};

/// Whether a line at the beginning of a plan says that it is over.
pub(super) fn is_over(text: &str) -> bool {
    const SAYS: [&str; 21] = [
        "this plan ",
        "this document ",
        "this file ",
        "this roadmap ",
        "dieser plan ",
        "ce plan ",
        "este plan ",
        "este documento ",
        "este plano ",
        "questo piano ",
        "dit plan ",
        "ten plan ",
        "bu plan ",
        "этот план ",
        "план ",
        "本计划",
        "此计划",
        "该计划",
        "この計画は",
        "このプランは",
        "이 계획은 ",
    ];
    const HAS: [&str; 20] = [
        "is ",
        "has been ",
        "was ",
        "now ",
        "ist ",
        "wurde ",
        "est ",
        "a été ",
        "está ",
        "ha sido ",
        "foi ",
        "è ",
        "jest ",
        "został ",
        "уже ",
        "已经",
        "已",
        "もう",
        "すでに",
        "artık ",
    ];
    let text = text.trim_start_matches(['>', ' ']);
    let said = plain(text.trim_start_matches('#'));
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    let is = |value: &str| begins_over(value.trim_start_matches(|sign: char| !sign.is_alphanumeric()));
    // "ARCHIVED": shouted, it is a mark and no sentence.
    let first = text.split_whitespace().next().unwrap_or_default();
    let letters = || first.chars().filter(|sign| sign.is_alphabetic());
    let shouts = letters().count() > 3 && letters().all(char::is_uppercase) && is(said);
    // "Note: this plan is superseded".
    let noted = said.split_once(": ").filter(|(note, _)| note.len() < MAX_STATUS_NAME).map_or(said, |(_, rest)| rest);
    let told =
        SAYS.iter().find_map(|of| said.strip_prefix(of).or_else(|| noted.strip_prefix(of))).is_some_and(|rest| {
            let rest = HAS.iter().fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
            begins_over(rest)
        });
    status_value(text).is_some_and(|value| is(&value))
        || (text.starts_with('#') && said.match_indices(['(', '[']).any(|(at, _)| is(&said[at..])))
        || shouts
        || told
        || ["superseded by", "obsolete:", "superseded:", "archived:", "deprecated:"]
            .iter()
            .any(|mark| words::begins_with(said, mark))
        || words::begins_with(said, "do not execute this")
}

fn begins_over(said: &str) -> bool {
    WORDS.over.begin(said).next().is_some()
}

/// The same of a line of front matter, in YAML or TOML.
pub(super) fn ends_in_front(text: &str) -> bool {
    let said = plain(text).replace(['"', '\''], "");
    let Some((name, value)) = said.split_once([':', '=']) else { return false };
    let (name, value) = (name.trim().replace('_', " "), value.trim());
    let value = value.trim_start_matches(|sign: char| !sign.is_alphanumeric() && !"~[".contains(sign));
    if name == "active" && matches!(value, "false" | "no") {
        return true;
    }
    let is_set = !matches!(value, "" | "false" | "no" | "null" | "~" | "[]");
    // `plain` takes underscores away.
    let is_mark = matches!(
        name.as_str(),
        "archived"
            | "completed"
            | "superseded"
            | "supersededby"
            | "superseded by"
            | "superseded-by"
            | "completedat"
            | "completed-at"
            | "completedon"
            | "archivedat"
            | "obsolete"
            | "done"
    );
    (is_mark && is_set) || (WORDS.status.has(&name) && begins_over(value))
}
