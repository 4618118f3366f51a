//! The last tool calls of a turn, and what came of them: a call that failed or was refused is evidence for what the agent
//! says of it, unless one like it went well after that.

use std::collections::VecDeque;

use stopgate_core::text::{head, one_line, tail};

use super::shown;

/// How many calls from the end of a turn still are its end.
const NEAR: usize = 12;
/// Longest part of a command that is looked at for what it runs, in bytes.
const MAX_COMMAND_BYTES: usize = 1024;
/// How much of what a call printed is looked at, in bytes, at both ends.
const MAX_LOOKED_AT_BYTES: usize = 1024;
/// Longest text that is kept of a call, in characters.
const MAX_SAID_CHARS: usize = 160;

/// What came of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// Not known, or nobody's failure: it still runs, was interrupted, or the agent called it wrongly.
    #[default]
    Unknown,
    /// It did what it was to do.
    Done,
    /// It failed; what was said of that, and whether rights were missing.
    Failed { said: String, lacks_rights: bool },
    /// The person, a rule, a hook or a sandbox refused it; what was said of that.
    Refused { said: String },
}

impl CallOutcome {
    /// It failed, and printed `output`.
    pub(super) fn failed(output: &str) -> Self {
        Self::Failed { said: first_words(output), lacks_rights: lacks_rights(output) }
    }

    /// It was refused in these words.
    pub(super) fn refused(text: &str) -> Self {
        Self::Refused { said: first_words(text) }
    }
}

/// A call.
#[derive(Debug, Default)]
struct ToolCall {
    id: String,
    /// Its tool, and of a command what that runs: calls that agree in this are alike.
    like: String,
    /// It only looks for something: finding nothing is an answer.
    looks: bool,
    /// Of a command, that its exit code is another one's.
    piped: bool,
    outcome: CallOutcome,
}

impl ToolCall {
    fn refused(&self) -> Option<&str> {
        match &self.outcome {
            CallOutcome::Refused { said } | CallOutcome::Failed { said, lacks_rights: true } => Some(said),
            _ => None,
        }
    }

    fn failed(&self) -> Option<&str> {
        match &self.outcome {
            CallOutcome::Failed { said, .. } => Some(said),
            _ => None,
        }
    }
}

/// The last calls of a turn.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<ToolCall>);

impl Calls {
    /// `tool` is called; with `command` where it runs one.
    pub(super) fn begin(&mut self, id: &str, tool: &str, command: Option<&str>) {
        if self.0.len() == NEAR {
            self.0.pop_front();
        }
        let (tool, command) = (one_line(tool, 64), command.map(ShellCommand::of).unwrap_or_default());
        let like = if command.runs.is_empty() { tool } else { format!("{tool} ({})", command.runs) };
        let (looks, piped) = (command.looks(), command.piped);
        self.0.push_back(ToolCall { id: one_line(id, 128), like, looks, piped, outcome: CallOutcome::Unknown });
    }

    /// What came of the call `id`.
    pub(super) fn end(&mut self, id: &str, outcome: CallOutcome) {
        if let Some(call) = self.0.iter_mut().rev().find(|call| !id.is_empty() && call.id == id) {
            call.outcome = match outcome {
                CallOutcome::Done if call.piped => CallOutcome::Unknown,
                CallOutcome::Failed { lacks_rights: false, .. } if call.looks => CallOutcome::Unknown,
                outcome => outcome,
            };
        }
    }

    /// The last call that failed, where none like it went well after that.
    pub(super) fn failed(&self) -> Option<String> {
        self.last(ToolCall::failed, |later| later.outcome == CallOutcome::Done)
    }

    /// The last call that was refused, where none like it was let through after that.
    pub(super) fn refused(&self) -> Option<String> {
        self.last(ToolCall::refused, |later| {
            matches!(later.outcome, CallOutcome::Done | CallOutcome::Failed { lacks_rights: false, .. })
        })
    }

    fn last(&self, said: fn(&ToolCall) -> Option<&str>, mends: fn(&ToolCall) -> bool) -> Option<String> {
        self.0.iter().enumerate().rev().find_map(|(at, call)| {
            let said = said(call)?;
            let is_mended = self.0.iter().skip(at + 1).any(|later| later.like == call.like && mends(later));
            (!is_mended).then(|| shown(&format!("{}: {said}", call.like), MAX_SAID_CHARS))
        })
    }
}

/// What a command line runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct ShellCommand {
    /// The program, and what of many it is to do: `cargo test`.
    runs: String,
    /// Another program has the last word.
    piped: bool,
}

/// Run for what stands behind them.
const WRAPPERS: &str =
    "sudo doas env time timeout nice nohup command exec stdbuf xargs npx bunx uv poetry bash sh -c -lc -l";
/// Come before what a command line is for.
const PREPARES: &str = "cd pushd export set source . mkdir echo printf sleep unset umask";
/// Look for something, or whether it is there.
const LOOKS: &str =
    "grep egrep fgrep rg ag ls test [ [[ which type find fd diff cmp cat head tail stat pgrep file wc hash";
/// Pass on what another one prints.
const PASSES_ON: &str = "tail head grep egrep rg tee cat less wc sort uniq cut sed awk";

fn is_in(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

impl ShellCommand {
    fn of(line: &str) -> Self {
        let line = head(line, MAX_COMMAND_BYTES);
        let piped = line
            .rsplit_once('|')
            .filter(|(before, _)| !before.ends_with('|'))
            .and_then(|(_, last)| last.split_whitespace().next())
            .is_some_and(|last| is_in(PASSES_ON, last));
        let parts = line.split(['\n', ';', '|', '&']).filter_map(Self::named);
        let mut parts = parts.filter(|words| !is_in(PREPARES, words[0]));
        let runs = parts.next().map(|words| words.join(" ")).unwrap_or_default();
        Self { runs: one_line(&runs, 64), piped }
    }

    /// The program that a part of a command line runs, and a word that tells what of it.
    fn named(part: &str) -> Option<Vec<&str>> {
        let mut words =
            part.split_whitespace().map(|word| word.trim_matches(['"', '\'', '(', ')', '{', '}', '!', '`']));
        let is_program = |word: &&str| {
            let is_number = word.starts_with(|first: char| first.is_ascii_digit());
            !word.is_empty() && !word.contains('=') && !is_number && !is_in(WRAPPERS, word)
        };
        let program = words.by_ref().find(is_program)?;
        let program = program.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(program);
        let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_:".contains(&byte));
        let what = words.next().filter(|word| !word.is_empty() && !word.starts_with('-')).filter(is_word);
        Some([Some(program), what].into_iter().flatten().collect())
    }

    fn looks(&self) -> bool {
        self.runs.split(' ').next().is_some_and(|program| is_in(LOOKS, program))
    }
}

/// The first line that says something; with the next one, where it only names an exit code.
fn first_words(text: &str) -> String {
    let mut lines = head(text, MAX_LOOKED_AT_BYTES).lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let names_code = first.len() < 40 && first.to_ascii_lowercase().contains("exit");
    match lines.next().filter(|_| names_code) {
        Some(second) => format!("{first}: {second}"),
        None => first.to_owned(),
    }
}

/// Whether what a command printed says that it had no right to do what it was to do.
fn lacks_rights(output: &str) -> bool {
    const SAYINGS: [&str; 14] = [
        "permission denied",
        "operation not permitted",
        "read-only file system",
        "eacces",
        "eperm",
        "access denied",
        "access is denied",
        "accessdenied",
        "forbidden",
        "unauthorized",
        "not authorized",
        "authentication failed",
        "authentication required",
        "could not read username",
    ];
    let ends = [head(output, MAX_LOOKED_AT_BYTES), tail(output, MAX_LOOKED_AT_BYTES)];
    ends.iter().any(|end| {
        let end = end.to_ascii_lowercase();
        SAYINGS.iter().any(|saying| end.contains(saying))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cargo test -p x", "cargo test", false)]
    #[case("cd /w && RUST_LOG=1 cargo test 2>&1 | tail -5", "cargo test", true)]
    #[case("timeout 30 ./gradlew build", "gradlew build", false)]
    #[case("curl https://example.com/a=b", "curl", false)]
    #[case("grep -q x a || true", "grep", false)]
    #[case("bash -lc 'npm publish'", "npm publish", false)]
    #[case("echo a; exit 3", "exit", false)]
    #[case("", "", false)]
    #[case("&&&& | ;", "", false)]
    fn what_a_command_line_runs(#[case] line: &str, #[case] runs: &str, #[case] piped: bool) {
        assert_eq!(ShellCommand::of(line), ShellCommand { runs: runs.to_owned(), piped });
    }

    #[test]
    fn a_failure_counts_until_one_like_it_goes_well() {
        let mut calls = Calls::default();
        calls.begin("1", "Bash", Some("cargo test"));
        calls.end("1", CallOutcome::failed("Exit code 101\n\nerror: no"));
        assert_eq!(calls.failed().as_deref(), Some("Bash (cargo test): Exit code 101: error: no"));
        assert_eq!(calls.refused(), None);
        calls.begin("2", "Bash", Some("cargo build"));
        calls.end("2", CallOutcome::Done);
        assert!(calls.failed().is_some(), "another one");
        calls.begin("3", "Bash", Some("cd x; cargo test -p y | tail"));
        calls.end("3", CallOutcome::Done);
        assert!(calls.failed().is_some(), "whose exit code was tail's");
        calls.begin("4", "Bash", Some("cargo test -p y"));
        calls.end("4", CallOutcome::Done);
        assert_eq!(calls.failed(), None);
    }

    #[test]
    fn what_is_far_from_the_end_does_not_count_and_what_looks_for_something_does_not_fail() {
        let mut calls = Calls::default();
        calls.begin("1", "Bash", Some("npm publish"));
        calls.end("1", CallOutcome::failed("Exit code 1\nnpm ERR! 403 Forbidden"));
        assert!(calls.refused().is_some() && calls.failed().is_some());
        for id in 0..NEAR {
            let id = format!("c{id}");
            calls.begin(&id, "Bash", Some("grep -n x y"));
            calls.end(&id, CallOutcome::failed("Exit code 1"));
        }
        assert_eq!((calls.failed(), calls.refused()), (None, None));
    }

    #[test]
    fn a_call_that_was_let_through_later_was_not_refused() {
        let mut calls = Calls::default();
        calls.begin("1", "WebFetch", None);
        calls.end("1", CallOutcome::refused("you haven't granted it yet. password=hunter2"));
        let refused = calls.refused().unwrap();
        assert!(refused.starts_with("WebFetch: you haven't granted") && !refused.contains("hunter2"), "{refused}");
        calls.begin("2", "WebFetch", None);
        calls.end("2", CallOutcome::failed("404"));
        assert_eq!(calls.refused(), None);
        assert_eq!(calls.failed().as_deref(), Some("WebFetch: 404"));
    }
}
