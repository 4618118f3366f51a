//! Codex's prompt (0.169.0 and 0.171.0): the last line that begins with its mark, and a line or three below.

use super::{STATUS_LINES, Screen, ScreenLine};

/// Reads a pane.
pub(super) fn read(lines: &[ScreenLine]) -> Screen {
    let Some(prompt) = lines.iter().rposition(|line| line.text.starts_with('›')) else { return Screen::Unknown };
    let below = lines[prompt + 1..].iter().filter(|line| !line.is_blank());
    let footer = below.clone().count();
    let above = || lines[..prompt].iter().rev().filter(|line| !line.is_blank()).take(STATUS_LINES);
    let typed = lines[prompt].bright.trim_start_matches('›').trim();
    let is_choice = typed.split_once('.').is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    let is_menu = || below.clone().any(|line| line.text.trim_start().starts_with("enter select"));
    if above().any(works) {
        Screen::Busy
    } else if is_choice || is_menu() {
        Screen::Asking
    } else if !typed.is_empty() {
        Screen::Draft
    } else if !(1..=3).contains(&footer) {
        Screen::Unknown
    } else if !lines[prompt + 1..].iter().all(ScreenLine::is_hint) {
        Screen::Foreign
    } else if above().any(|line| runs_in_background(&line.text)) {
        Screen::Background
    } else {
        Screen::Idle
    }
}

/// `• Working (4s • esc to interrupt) · 1 background terminal running`, with a blinking mark and perhaps cut at the end of
/// the pane; or a message that waits for the turn to go on.
fn works(line: &ScreenLine) -> bool {
    let text = &line.text;
    let counts = || {
        let mut after = text.split('(').skip(1);
        after.any(|rest| rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains(" • "))
    };
    text.starts_with('◦')
        || text.trim_start().starts_with('↳')
        || (text.starts_with('•') && (text.contains("esc to interrupt") || counts()))
}

/// `1 background terminal running · /ps to view · /stop to close`.
fn runs_in_background(text: &str) -> bool {
    let Some((count, what)) = text.trim().split_once(' ') else { return false };
    count.parse::<u32>().is_ok() && what.starts_with("background terminal")
}
