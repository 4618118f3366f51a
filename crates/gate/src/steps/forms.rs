//! A step by its form, line by line: what its box, mark or word says, and its text.

use super::phrases::Phrases;
use super::{Status, WORDS, is_nobodys, plain, says_nobody};
use crate::markdown::after_mark;

/// Marks of what is open, in a list: others (a cross) stand for what not to do as well.
pub(super) fn is_open_mark(sign: char) -> bool {
    "\u{2610}\u{2b1c}\u{1f532}\u{25a1}\u{25fb}\u{23f3}\u{1f6a7}\u{1f504}".contains(sign)
}

/// Marks of what is not to be begun.
pub(super) fn is_barrier(sign: char) -> bool {
    "\u{1f6ab}\u{26d4}\u{1f512}\u{23f8}\u{23ed}".contains(sign)
}

/// Marks of what is done.
pub(super) fn is_done_mark(sign: char) -> bool {
    "\u{2705}\u{2611}\u{2714}\u{2713}".contains(sign)
}

/// A step without a box: a mark before or behind its text, or `TODO:`.
fn step_by_mark(said: &str) -> Option<(Status, &str)> {
    // A mark may have a sign behind it that says how it is drawn.
    let bare = said.trim_matches([' ', '\u{fe0f}', '*']);
    let (first, last) = (bare.chars().next()?, bare.chars().next_back()?);
    let by = |sign: char| {
        if is_open_mark(sign) { Some(Status::Open) } else { is_done_mark(sign).then_some(Status::Done) }
    };
    let text = |text: &'_ str| !text.is_empty();
    if let Some(status) = by(first) {
        let rest = bare[first.len_utf8()..].trim_matches([' ', '\u{fe0f}']);
        return text(rest).then_some((status, rest));
    }
    let status = by(last)?;
    let rest = bare[..bare.len() - last.len_utf8()].trim_matches([' ', '\u{fe0f}']);
    text(rest).then_some((status, rest))
}

/// `TODO: text`, `DONE: text`, `**TODO**: text`, `TODO(ann): text`.
fn step_by_word(said: &str) -> Option<(Status, &str)> {
    let bare = said.trim_start_matches(['*', '_']);
    let after = |word: &str| {
        let rest = bare.strip_prefix(word)?;
        let rest = rest.strip_prefix('(').and_then(|name| Some(name.split_once(')')?.1)).unwrap_or(rest);
        let rest = rest.trim_start_matches(['*', '_']).strip_prefix([':', '\u{ff1a}'])?;
        Some(rest.trim_start_matches(['*', '_']).trim())
    };
    after("TODO").map(|rest| (Status::Open, rest)).or_else(|| after("DONE").map(|rest| (Status::Done, rest)))
}

/// `- [ ] text`, `* [x] text`, `1. [ ] text`, `* TODO text`, `** DONE text`, `- \u{2b1c} text`, `\u{2610} text`, `TODO: text`.
pub(super) fn step_of_item(text: &str) -> Option<(Status, String)> {
    if text.starts_with(['\u{2610}', '\u{2611}']) {
        let (status, said) = step_by_mark(text)?;
        return Some((if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()));
    }
    if let Some((status, said)) = step_by_word(text).filter(|(_, said)| !said.is_empty()) {
        return Some((if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()));
    }
    let stars = text.trim_start_matches('*');
    let marked = if stars.len() < text.len() && stars.starts_with(' ') { Some(stars) } else { after_mark(text) };
    // `1.2 [ ] text`.
    let marked = marked.filter(|rest| !rest.starts_with(|sign: char| sign.is_ascii_digit()));
    // Behind any other mark, or none, only a box is one.
    let said = marked.or_else(|| after_other_mark(text))?.trim_start_matches([' ', '\t', '\u{a0}', '\u{3000}']);
    let (status, said) = if let Some(boxed) = said.strip_prefix(['[', '\u{ff3b}', '\u{3010}']) {
        let (mark, rest) = boxed.split_once([']', '\u{ff3d}', '\u{3011}'])?;
        // `[text](link)` is no box.
        let status = match mark.trim_matches([' ', '\t', '\u{a0}', '\u{2007}', '\u{202f}', '\u{3000}']) {
            "" if !mark.is_empty() => Status::Open,
            "/" | ">" | "~" if mark.len() == 1 && !rest.starts_with('(') => Status::Open,
            "x" | "X" | "\u{ff58}" | "\u{ff38}" | "\u{2713}" | "\u{2714}" | "\u{2705}" if !rest.starts_with('(') => {
                Status::Done
            }
            // Cancelled, as many write it; in org-mode a step that is begun.
            "-" if mark.len() == 1 && !rest.starts_with('(') => Status::Nobody,
            // `[WIP] text`; in lower case it may be anything.
            word if !rest.starts_with(['(', '[', ':']) && !word.contains(|sign: char| sign.is_ascii_lowercase()) => {
                status_word(word)?
            }
            _ => return None,
        };
        (status, rest)
    } else if marked.is_none() {
        return None;
    } else if let Some(rest) = ["NEXT ", "DOING ", "STARTED ", "IN-PROGRESS ", "INPROGRESS "]
        .iter()
        .find_map(|word| said.strip_prefix(word).filter(|_| stars.len() < text.len()))
    {
        // Further words of org-mode, which anything else may begin with elsewhere.
        (Status::Open, rest)
    } else if let Some(rest) = said.strip_prefix("TODO ") {
        (Status::Open, rest)
    } else if let Some(rest) = said.strip_prefix("DONE ") {
        (Status::Done, rest)
    } else {
        // Most items of lists are no steps.
        step_by_word(said).or_else(|| if said.is_ascii() { None } else { step_by_mark(said) })?
    };
    let said = said.trim_matches([' ', '\t', '\u{a0}']);
    let lower = plain(said);
    if said.is_empty() || is_legend(&lower) {
        return None;
    }
    Some((if says_nobody(said, &lower) { Status::Nobody } else { status }, said.to_owned()))
}

/// The step that a heading is, with a box before or behind its text.
pub(super) fn step_of_heading(title: &str) -> Option<(Status, String)> {
    let bare = title.trim_matches(['*', '_', ' ']);
    let of = |mark: &str| match mark {
        "[ ]" => Some(Status::Open),
        "[x]" | "[X]" => Some(Status::Done),
        _ => None,
    };
    let ahead = bare.split_at_checked(3).and_then(|(mark, rest)| Some((of(mark)?, rest)));
    let behind = || bare.split_at_checked(bare.len().checked_sub(3)?).and_then(|(rest, mark)| Some((of(mark)?, rest)));
    let (status, said) = ahead.or_else(behind)?;
    let said = said.trim_matches([' ', '*', '_']);
    (!said.is_empty()).then(|| (if is_nobodys(said) { Status::Nobody } else { status }, said.to_owned()))
}

/// What follows a mark of a list that Markdown does not know, or where a line begins with a box.
fn after_other_mark(text: &str) -> Option<&str> {
    let is_box = |rest: &str| rest.trim_start().starts_with(['[', '\u{ff3b}', '\u{3010}']);
    let is_end = |sign: char| matches!(sign, '.' | ')' | '\u{ff0e}' | '\u{ff09}' | '\u{3001}');
    // \u{2022} and its likes, `(1)`, `a.`, `1.2`, and numbers as they are typed in Asia.
    let rest =
        text.trim_start_matches(['\u{2022}', '\u{30fb}', '\u{b7}', '\u{2023}', '\u{25e6}', '\u{25aa}', '\u{2013}']);
    let rest = rest.strip_prefix(['(', '\u{ff08}']).unwrap_or(rest);
    let number = rest.trim_start_matches(|sign: char| sign.is_numeric() || matches!(sign, '.' | '\u{ff0e}'));
    let letter = rest.strip_prefix(|sign: char| sign.is_ascii_alphabetic()).filter(|rest| rest.starts_with(is_end));
    let rest = if number.len() < rest.len() { number } else { letter.unwrap_or(rest) };
    let rest = rest.strip_prefix(is_end).unwrap_or(rest);
    is_box(rest).then_some(rest)
}

/// What a word says that is a status and nothing else.
fn status_word(word: &str) -> Option<Status> {
    let said = plain(word);
    let said = said.trim_matches(|sign: char| !sign.is_alphanumeric());
    if WORDS.nobody.has(said) || WORDS.over.has(said) && !WORDS.done.has(said) {
        Some(Status::Nobody)
    } else if WORDS.done.has(said) {
        Some(Status::Done)
    } else {
        WORDS.open.has(said).then_some(Status::Open)
    }
}

/// A step with a word for its status at its end: `Parser \u{2014} **pending**`, `Parser (in progress)`, `Parser [TODO]`. And whether
/// that word is shouted.
pub(super) fn step_by_last_word(said: &str) -> Option<(Status, &str, bool)> {
    // What a setting says as well.
    const ANSWERS: [&str; 9] = ["yes", "no", "open", "closed", "next", "pronto", "offen", "aperto", "ouvert"];
    let bare = said.trim_end_matches(['*', '_', ' ', '.']);
    let (text, word) = if let Some(inner) = bare.strip_suffix([')', ']', '\u{ff09}', '\u{3011}']) {
        inner.rsplit_once(['(', '[', '\u{ff08}', '\u{3010}'])?
    } else {
        [" - ", " -- ", " \u{2013} ", " \u{2014} ", ": "].iter().find_map(|dash| bare.rsplit_once(dash))?
    };
    let said = plain(word);
    let (text, status) = (text.trim_end(), status_word(word).filter(|_| !ANSWERS.contains(&said.trim()))?);
    let shouts = !word.contains(char::is_lowercase) && word.contains(char::is_uppercase);
    text.contains(char::is_alphanumeric).then_some((status, text, shouts))
}

/// `text` without what is struck through in it.
fn unstruck(text: &str) -> std::borrow::Cow<'_, str> {
    let mut parts = text.split("~~");
    match text.matches("~~").count() {
        count if count > 0 && count % 2 == 0 => parts.by_ref().step_by(2).collect::<Vec<_>>().concat().into(),
        _ => text.into(),
    }
}

/// Whether a text beside a box says what the box means.
fn is_legend(said: &str) -> bool {
    let said = said.trim_start_matches(['=', ':', '-', ' ']);
    let said = said.strip_prefix("means ").unwrap_or(said);
    let is = |said: &str| WORDS.open.has(said) || WORDS.done.has(said);
    // All of them in one line.
    let several =
        || said.contains("[x]") && said.split(['/', ',', ';', '|', '\u{b7}']).next().is_some_and(|one| is(one.trim()));
    is(said) || several()
}

/// What a status says, in words or as a mark.
pub(super) fn status_of(text: &str) -> Option<Status> {
    const OPEN: &str = "\u{2b1c}\u{2610}\u{1f532}\u{1f6a7}\u{23f3}\u{274c}\u{1f534}\u{1f7e1}\u{25fb}\u{25a1}\u{1f504}";
    const DONE: &str = "\u{2705}\u{2611}\u{2714}\u{2713}\u{1f7e2}";
    let kept = unstruck(text);
    let text = kept.trim();
    if text.starts_with("[ ]") {
        return Some(Status::Open);
    }
    if text.starts_with("[x]") || text.starts_with("[X]") {
        return Some(Status::Done);
    }
    let said = plain(text);
    let said = said.trim_start_matches(|sign: char| !sign.is_alphanumeric());
    if let Some(share) = said.strip_suffix('%').and_then(|share| share.trim_end().parse::<f32>().ok()) {
        return Some(if share >= 100.0 { Status::Done } else { Status::Open });
    }
    let is = |known: &Phrases| known.begin(said).next().is_some();
    if is(&WORDS.nobody) {
        Some(Status::Nobody)
    } else if is(&WORDS.done) {
        Some(Status::Done)
    } else if is(&WORDS.open) {
        Some(Status::Open)
    } else {
        let first = text.chars().next()?;
        if DONE.contains(first) { Some(Status::Done) } else { OPEN.contains(first).then_some(Status::Open) }
    }
}
