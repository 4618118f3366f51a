//! What the authority found in the checkout, as data for the rules.

use serde::{Deserialize, Serialize};

/// What is known about the work a session stops in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Plan-like files with an open step, best first.
    pub plans: Vec<Plan>,
    /// Commits made since the session began, newest first.
    pub session_commits: Vec<String>,
    /// The checkout is that of stopgate itself.
    pub is_stopgate: bool,
}

/// A file that says what is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Path relative to the top of the working tree.
    pub path: String,
    /// Text of the first unchecked box, one line.
    pub next_step: String,
    /// How many boxes are unchecked.
    pub open_steps: usize,
    /// Whether the file was there when the session began.
    pub predates_session: bool,
    /// The commit that brought the file in, if it is tracked.
    pub introduced_by: Option<String>,
    /// Commits of the session that touch the file, newest first.
    pub session_commits: Vec<String>,
}

/// Text of the first unchecked box in a Markdown file, and the number of unchecked boxes; `None` when there is
/// none. Boxes in code blocks do not count.
pub fn open_steps(markdown: &str) -> Option<(String, usize)> {
    let mut first = None;
    let mut count = 0;
    let mut fence: Option<&str> = None;
    for line in markdown.lines() {
        let trimmed = line.trim_start();
        if let Some(open) = fence {
            if trimmed.starts_with(open) {
                fence = None;
            }
            continue;
        }
        if let Some(mark) = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark)) {
            fence = Some(mark);
            continue;
        }
        let Some(text) = unchecked(trimmed) else {
            continue;
        };
        count += 1;
        if first.is_none() {
            first = Some(crate::text::one_line(text, MAX_STEP_CHARS));
        }
    }
    first.filter(|text| !text.is_empty()).map(|text| (text, count))
}

/// Longest text of a step that is passed on.
pub const MAX_STEP_CHARS: usize = 160;

/// The text of `- [ ] text`, `* [ ] text`, `1. [ ] text`.
fn unchecked(line: &str) -> Option<&str> {
    let after_bullet = line
        .strip_prefix(['-', '*', '+'])
        .or_else(|| line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(['.', ')']))?;
    let text = after_bullet.trim_start().strip_prefix("[ ]")?;
    (!text.trim().is_empty()).then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_open_box_is_the_next_step() {
        let plan = "# Plan\n- [x] one\n  - [ ]  two  \n* [ ] three\n1. [ ] four\n- [ ]\n";
        assert_eq!(open_steps(plan), Some(("two".to_owned(), 3)));
    }

    #[test]
    fn finished_plans_and_boxes_in_code_have_none() {
        for text in ["", "- [x] all", "text [ ] inline", "```\n- [ ] example\n```\n", "~~~md\n- [ ] x\n~~~"] {
            assert_eq!(open_steps(text), None, "{text:?}");
        }
    }
}
