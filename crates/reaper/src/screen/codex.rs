//! Codex's prompt (0.169.0): the last line that begins with its mark, and a line or three below.

use super::{STATUS_LINES, Screen, ScreenLine};

/// Reads a pane.
pub(super) fn read(lines: &[ScreenLine]) -> Screen {
    let Some(prompt) = lines.iter().rposition(|line| line.text.starts_with('›')) else { return Screen::Unknown };
    let footer = lines[prompt + 1..].iter().filter(|line| !line.is_blank()).count();
    let above = lines[..prompt].iter().rev().filter(|line| !line.is_blank()).take(STATUS_LINES);
    let works =
        |line: &ScreenLine| line.text.starts_with(['•', '◦']) && line.text.trim_end().ends_with("esc to interrupt)");
    let typed = lines[prompt].bright.trim_start_matches('›').trim();
    let is_choice = typed.split_once('.').is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    if above.into_iter().any(works) {
        Screen::Busy
    } else if is_choice {
        Screen::Asking
    } else if !typed.is_empty() {
        Screen::Draft
    } else if (1..=3).contains(&footer) {
        Screen::Idle
    } else {
        Screen::Unknown
    }
}
