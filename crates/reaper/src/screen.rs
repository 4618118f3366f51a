//! What a pane shows: an empty prompt that waits, and nothing that moves. Written against captured panes of Claude
//! Code 2.1.329 and Codex 0.169.0 (`tests/fixtures/screens/`).
//!
//! Only what the client itself draws around its prompt counts. What stands above in the conversation is anybody's
//! words: names of tools and products, even "esc to interrupt", mean nothing there.

mod claude;
mod codex;

use serde::{Deserialize, Serialize};

use stopgate_core::session::Harness;

/// What a pane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Screen {
    /// An empty prompt, and no sign of work.
    Idle,
    /// A prompt with something typed into it.
    Draft,
    /// Work goes on.
    Busy,
    /// A question to the person.
    Asking,
    /// Nothing that this version knows.
    Unknown,
}

impl Screen {
    /// The word on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle prompt",
            Self::Draft => "typed input",
            Self::Busy => "at work",
            Self::Asking => "a question",
            Self::Unknown => "not recognised",
        }
    }
}

/// A frame's fingerprint (64-bit FNV-1a): two looks that have the same saw the same.
pub fn frame(capture: &str) -> u64 {
    capture.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads a pane of `harness`, captured with its colours (`tmux capture-pane -e`).
pub fn read(harness: Harness, capture: &str) -> Screen {
    let mut lines = lines(capture);
    while lines.last().is_some_and(ScreenLine::is_blank) {
        lines.pop();
    }
    match harness {
        Harness::Claude => claude::read(&lines),
        Harness::Codex => codex::read(&lines),
    }
}

/// A line without its colours.
#[derive(Debug, Default)]
struct ScreenLine {
    text: String,
    /// The text without what is drawn dim: a client's suggestions and placeholders.
    bright: String,
}

impl ScreenLine {
    fn is_blank(&self) -> bool {
        is_blank(&self.text)
    }

    /// A horizontal rule, as Claude Code draws one above and one below its prompt.
    fn is_rule(&self) -> bool {
        let text = self.text.trim_end();
        text.chars().count() >= 10 && text.chars().all(|char| char == '─')
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// How far above the prompt the line of a running turn stands.
const STATUS_LINES: usize = 6;

/// Takes the colours off. They carry on from one line to the next.
fn lines(capture: &str) -> Vec<ScreenLine> {
    let mut dim = false;
    capture.lines().map(|line| plain(line, &mut dim)).collect()
}

fn plain(line: &str, dim: &mut bool) -> ScreenLine {
    let mut out = ScreenLine::default();
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
            let length = sequence.find(|end: char| ('@'..='~').contains(&end));
            let Some(length) = length else { break };
            if sequence.as_bytes().get(length) == Some(&b'm') {
                set_dim(&sequence[..length], dim);
            }
            rest = &sequence[length + 1..];
            continue;
        }
        rest = &rest[char.len_utf8()..];
        out.text.push(char);
        if !*dim {
            out.bright.push(char);
        }
    }
    out
}

/// Follows the codes of one colour sequence: 2 is dim, 22 and 0 end it; 38 and 48 take arguments of their own.
fn set_dim(codes: &str, dim: &mut bool) {
    let mut codes = codes.split([';', ':']).map(|code| code.parse::<u16>().unwrap_or(0));
    while let Some(code) = codes.next() {
        match code {
            2 => *dim = true,
            0 | 22 => *dim = false,
            38 | 48 | 58 => match codes.next() {
                Some(5) => drop(codes.next()),
                Some(2) => drop(codes.nth(2)),
                _ => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Harness::{Claude, Codex};
    use Screen::{Asking, Busy, Draft, Idle, Unknown};
    use rstest::rstest;

    fn fixture(name: &str) -> String {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/screens");
        std::fs::read_to_string(format!("{dir}/{name}.txt")).unwrap()
    }

    #[rstest]
    #[case("claude-2.1.329-idle", Claude, Idle)]
    #[case("claude-2.1.329-start-80x24", Claude, Idle)]
    #[case("claude-2.1.329-background", Claude, Idle)]
    #[case("claude-2.1.329-draft", Claude, Draft)]
    #[case("claude-2.1.329-busy", Claude, Busy)]
    #[case("claude-2.1.329-tool-80x24", Claude, Busy)]
    #[case("claude-2.1.329-permission", Claude, Asking)]
    #[case("claude-2.1.329-shell-mode", Claude, Unknown)]
    #[case("codex-0.169.0-start", Codex, Idle)]
    #[case("codex-0.169.0-idle", Codex, Idle)]
    #[case("codex-0.169.0-busy", Codex, Busy)]
    #[case("codex-0.169.0-draft", Codex, Draft)]
    #[case("codex-0.169.0-menu", Codex, Asking)]
    #[case("codex-0.169.0-permission", Codex, Asking)]
    fn captured_panes(#[case] name: &str, #[case] harness: Harness, #[case] expected: Screen) {
        assert_eq!(read(harness, &fixture(name)), expected);
    }

    #[test]
    fn the_harness_s_own_words_in_the_conversation_mean_nothing() {
        // The captured idle pane has tool names and "esc to interrupt" in what the agent said.
        let pane = fixture("claude-2.1.329-idle");
        assert!(pane.contains("Bash and Read tools, esc to interrupt mentioned"));
        assert_eq!(read(Claude, &pane), Idle);
    }

    #[test]
    fn a_dim_suggestion_is_nobody_s_input() {
        let rule = "─".repeat(40);
        let pane = |prompt: &str| format!("x\n{rule}\n{prompt}\n{rule}\n  ? for shortcuts\n");
        assert_eq!(read(Claude, &pane("❯\u{a0}\u{1b}[2mTry \"fix lint errors\"\u{1b}[0m")), Idle);
        assert_eq!(read(Claude, &pane("❯\u{a0}fix lint errors")), Draft);
        assert_eq!(read(Claude, &pane("❯\u{a0}\u{1b}[38;5;2mfix\u{1b}[39m")), Draft, "5;2 is a colour, not dim");
        assert_eq!(read(Claude, &pane("❯\u{a0}\n  second line")), Draft);
    }

    #[test]
    fn what_is_no_prompt_is_unknown() {
        for pane in ["", "\n\n", "$ ", "❯ ", "root@box:~# ", &"─".repeat(40)] {
            assert_eq!(read(Claude, pane), Unknown, "{pane:?}");
        }
        for pane in ["", "› ", "$ ls\n"] {
            assert_eq!(read(Codex, pane), Unknown, "{pane:?}");
        }
        assert_eq!(read(Codex, &fixture("claude-2.1.329-idle")), Unknown);
        assert_eq!(read(Claude, &fixture("codex-0.169.0-idle")), Unknown);
    }

    #[test]
    fn a_prompt_that_has_scrolled_away_is_unknown() {
        let pane = fixture("claude-2.1.329-idle") + &"one\ntwo\nthree\n".repeat(5);
        assert_eq!(read(Claude, &pane), Unknown);
    }
}
