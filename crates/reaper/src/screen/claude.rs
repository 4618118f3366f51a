//! Claude Code's prompt (2.1.329 and 2.1.332): between two rules, with its hints below.

use super::{STATUS_LINES, Screen, ScreenLine, is_blank};

/// How many lines a prompt may take, and how many the hints below it.
const MAX_PROMPT_LINES: usize = 40;
const MAX_FOOTER_LINES: usize = 6;
/// How far from the bottom a question stands.
const QUESTION_LINES: usize = 15;

/// Reads a pane.
pub(super) fn read(lines: &[ScreenLine]) -> Screen {
    let Some(bottom) = lines.iter().rposition(ScreenLine::is_rule) else { return question(lines) };
    let is_top = |line: &ScreenLine| line.is_rule() || line.is_named_rule();
    let Some(top) = lines[..bottom].iter().rposition(is_top) else { return question(lines) };
    let (prompt, footer) = (&lines[top + 1..bottom], &lines[bottom + 1..]);
    let is_prompt = prompt.first().is_some_and(|line| line.text.starts_with('❯')) && prompt.len() <= MAX_PROMPT_LINES;
    if !is_prompt || footer.iter().filter(|line| !line.is_blank()).count() > MAX_FOOTER_LINES {
        return question(lines);
    }
    let above = || lines[..top].iter().rev().filter(|line| !line.is_blank()).take(STATUS_LINES);
    if footer.iter().any(|line| line.text.contains("esc to interrupt")) || above().any(|line| is_spinner(&line.text)) {
        return Screen::Busy;
    }
    // The list of agents, which stands in for the session that it was opened from.
    if footer.iter().any(|line| line.text.contains("enter to return")) {
        return Screen::Unknown;
    }
    let typed = |line: &ScreenLine| !is_blank(line.bright.trim_start_matches('❯'));
    if prompt.iter().any(typed) {
        Screen::Draft
    } else if !footer.iter().all(ScreenLine::is_hint) {
        Screen::Foreign
    } else if footer.iter().any(|line| line.text.split(" · ").any(is_background)) {
        Screen::Background
    } else {
        Screen::Idle
    }
}

/// `1 shell`, `2 background tasks`: what runs in the background, among the hints.
fn is_background(hint: &str) -> bool {
    let Some((count, what)) = hint.trim().split_once(' ') else { return false };
    count.parse::<u32>().is_ok()
        && what.split(|char: char| !char.is_alphabetic()).any(|word| BACKGROUND.contains(&word.trim_end_matches('s')))
}

/// What Claude Code counts in the background, in the singular.
const BACKGROUND: [&str; 10] =
    ["shell", "background", "task", "agent", "subagent", "teammate", "monitor", "workflow", "job", "session"];

/// `✶ Wandering…`, `* Burrowing… (5s · ↓ 5 tokens)`: a turning glyph and a few words that end in an ellipsis.
fn is_spinner(text: &str) -> bool {
    let mut chars = text.chars();
    if !chars.next().is_some_and(|glyph| "·✢✳✶✻✽*".contains(glyph)) || chars.next() != Some(' ') {
        return false;
    }
    let Some((words, _)) = chars.as_str().split_once('…') else { return false };
    words.starts_with(char::is_uppercase) && words.split(' ').count() <= 4
}

fn question(lines: &[ScreenLine]) -> Screen {
    let asks = |line: &ScreenLine| {
        let text = line.text.trim();
        text.starts_with("❯ 1.") || text.starts_with("Esc to cancel") || text == "Do you want to proceed?"
    };
    let near = lines.iter().rev().filter(|line| !line.is_blank()).take(QUESTION_LINES);
    if near.into_iter().any(asks) { Screen::Asking } else { Screen::Unknown }
}
