//! What a pane shows: an empty prompt that waits, and nothing that moves. Written against captured panes of Claude
//! Code 2.1.329 and 2.1.332 and Codex 0.169.0 and 0.171.0 (`tests/fixtures/screens/`).
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
    /// An empty prompt, and something that runs in the background: a shell, a terminal, an agent.
    Background,
    /// A question to the person.
    Asking,
    /// An empty prompt, and below it lines that the client does not draw: a shell's, or another program's.
    Foreign,
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
            Self::Background => "background work",
            Self::Asking => "a question",
            Self::Foreign => "lines that are not the client's",
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

    /// Whether a client may have drawn it below its prompt: all of them indent that.
    fn is_hint(&self) -> bool {
        self.is_blank() || self.text.starts_with("  ")
    }

    /// A horizontal rule, as Claude Code draws one above and one below its prompt.
    fn is_rule(&self) -> bool {
        let text = self.text.trim_end();
        text.chars().count() >= 10 && text.chars().all(|char| char == '─')
    }

    /// A horizontal rule with a session's name in it (`claude -n`, `/rename`): `──── name ─`.
    fn is_named_rule(&self) -> bool {
        let text = self.text.trim_end();
        let name = text.trim_matches('─');
        text.starts_with('─') && text.ends_with('─') && name.starts_with(' ') && name.ends_with(' ') && !is_blank(name)
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
    use Screen::{Asking, Background, Busy, Draft, Foreign, Idle, Unknown};
    use rstest::rstest;

    fn fixture(name: &str) -> String {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/screens");
        std::fs::read_to_string(format!("{dir}/{name}.txt")).unwrap()
    }

    #[rstest]
    #[case("claude-2.1.329-idle", Claude, Idle)]
    #[case("claude-2.1.329-start-80x24", Claude, Idle)]
    #[case("claude-2.1.329-background", Claude, Background)]
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

    /// What each captured pane shows, by its name without the version.
    const SHOWN: [(&str, Screen); 45] = [
        ("claude-after-esc", Idle),
        ("claude-agentview", Unknown),
        ("claude-askuser", Asking),
        ("claude-background", Background),
        ("claude-bgtask-idle", Background),
        ("claude-busy", Busy),
        ("claude-busy-queued", Busy),
        ("claude-draft", Draft),
        ("claude-hook-statusmessage", Busy),
        ("claude-idle", Idle),
        // Before anything was said: the prompt is back in its place.
        ("claude-interrupted", Draft),
        ("claude-modelswitch", Asking),
        ("claude-named-busy", Busy),
        ("claude-named-idle", Idle),
        ("claude-named-start", Idle),
        ("claude-narrow-busy", Busy),
        ("claude-narrow-idle", Idle),
        ("claude-narrow-start", Idle),
        ("claude-permission", Asking),
        ("claude-permission-write", Asking),
        // Agents in its background; no plan is asked about any more.
        ("claude-planexit", Background),
        ("claude-renamed-idle", Idle),
        ("claude-shell-mode", Unknown),
        ("claude-shellmode", Draft),
        // Help in the place of the hints.
        ("claude-shortcuts", Unknown),
        ("claude-slashmenu", Draft),
        ("claude-start", Idle),
        ("claude-subagent-bg", Background),
        ("claude-tool", Busy),
        ("claude-trust", Unknown),
        // With a terminal in its background.
        ("codex-after-esc", Background),
        ("codex-bgterm-busy", Busy),
        ("codex-bgterm-idle", Background),
        ("codex-busy", Busy),
        ("codex-busy-draft", Busy),
        ("codex-busy-queued", Busy),
        ("codex-draft", Draft),
        ("codex-hook-statusmessage", Busy),
        ("codex-idle", Idle),
        ("codex-interrupted", Idle),
        ("codex-menu", Asking),
        ("codex-model-menu", Asking),
        ("codex-permission", Asking),
        ("codex-slash-draft", Draft),
        ("codex-start", Idle),
    ];

    /// Every pane that was ever captured, and no other client takes it for its own idle prompt.
    #[test]
    fn every_captured_pane_is_read_right() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/screens");
        let mut wrong = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let mut parts: Vec<&str> = name.split('-').collect();
            // The version, and the size of the pane where that is another than 120 x 40.
            parts.retain(|part| {
                !part.contains('.') && part.split_once('x').is_none_or(|(columns, _)| columns.parse::<u16>().is_err())
            });
            let kind = parts.join("-");
            let Some((_, expected)) = SHOWN.iter().find(|(shown, _)| *shown == kind) else {
                wrong.push(format!("{name}: nobody says what it shows"));
                continue;
            };
            let (own, other) = if kind.starts_with("claude") { (Claude, Codex) } else { (Codex, Claude) };
            let pane = std::fs::read_to_string(&path).unwrap();
            let (shown, taken) = (read(own, &pane), read(other, &pane));
            if shown != *expected || taken == Idle {
                wrong.push(format!("{name}: {shown:?} instead of {expected:?}; by the other: {taken:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_status_that_is_cut_or_a_queue_that_is_long_is_work() {
        let pane = |above: &str| format!("{above}\n\n› \n\n  model · /w\n");
        for busy in [
            "• Working (1m 02s • esc to interrupt) · 1 background terminal running · /ps to view",
            "• Working (4s • esc to inte…",
            "◦ Thinking",
            "• Messages to be submitted\n  ↳ a\n  ↳ b\n  ↳ c\n  ↳ d\n  ↳ e\n  ↳ f\n  ↳ g",
        ] {
            assert_eq!(read(Codex, &pane(busy)), Busy, "{busy}");
        }
        assert_eq!(read(Codex, &pane("  2 background terminals running · /ps to view")), Background);
        assert_eq!(read(Codex, &pane("• Worked (see above)")), Idle);
    }

    #[test]
    fn a_name_in_the_rule_is_no_other_frame() {
        let rule = "─".repeat(40);
        let pane = |top: &str, bottom: &str| format!("x\n{top}\n❯\u{a0}\n{bottom}\n  ? for shortcuts\n");
        assert_eq!(read(Claude, &pane(&format!("{rule} my own name ─"), &rule)), Idle);
        assert_eq!(read(Claude, &pane("─ a name that is nearly as long as the pane ─", &rule)), Idle);
        assert_eq!(read(Claude, &pane(&rule, &format!("{rule} name ─"))), Unknown, "below it nobody writes a name");
        assert_eq!(read(Claude, &pane(&format!("{rule} name"), &rule)), Unknown);
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
    fn lines_below_the_prompt_that_no_client_draws_are_foreign() {
        for (name, harness) in [
            ("claude-2.1.332-idle", Claude),
            ("claude-2.1.329-idle", Claude),
            ("codex-0.171.0-idle", Codex),
            ("codex-0.169.0-idle", Codex),
        ] {
            let pane = fixture(name);
            let pane = pane.trim_end();
            assert_eq!(read(harness, pane), Idle, "{name}");
            for line in
                ["$ git sta", "[1]+  Stopped                 claude", "me@box:~/w$ ", "\u{1b}[1mfg\u{1b}[0m", "%"]
            {
                assert_eq!(read(harness, &format!("{pane}\n{line}")), Foreign, "{name}: {line}");
            }
        }
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
