//! Which text files the agent wrote, read by name, or ticked boxes in, by its tools and by its shell commands.
//!
//! A plan is a text file, so only those are kept. A file that is merely listed, or that stands in a command for more than
//! a few, was not read for its own sake: many agents look through every text of a checkout when they begin.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What the names of text files end in.
pub const TEXT_EXTENSIONS: [&str; 5] = ["md", "markdown", "mdx", "org", "txt"];

/// Most doings that are kept: the last ones.
const MAX_DOINGS: usize = 400;
/// Most directories that are kept.
const MAX_PLACES: usize = 32;
/// How much of a command is looked at.
const MAX_COMMAND_BYTES: usize = 16 * 1024;
/// Files that are read in one command, each for its own sake.
const MAX_READ_AT_ONCE: usize = 2;
/// Programs that read no file, or only tell of it.
const LOOKERS: &str =
    " ls find fd stat file wc test [ du tree rm rmdir mkdir touch chmod chown echo printf which export ";
/// What git does to files that are named; all else of it tells of them.
const GIT_WRITES: &str = " add commit mv stage ";
/// Programs that write the files that they name.
const WRITERS: &str = " tee mv cp ed ex truncate dd install ";
/// Programs that run a script, which may write.
const SCRIPTED: &str = " python python3 node ruby perl deno bun php ";

/// The text files that the agent had to do with, as it named them: absolute where the directory was known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TouchedFiles {
    /// Written by a tool or a command.
    pub written: BTreeSet<PathBuf>,
    /// Read by name.
    pub read: BTreeSet<PathBuf>,
    /// How many boxes were ticked in it, as far as that is seen.
    pub ticked: BTreeMap<PathBuf, usize>,
    /// Directories that the agent worked in: those of files that it wrote, and of its shell.
    pub places: BTreeSet<PathBuf>,
    /// The plan that the person approved last, as the harness keeps it.
    pub approved: Option<ApprovedPlan>,
}

/// A plan that the person approved in this session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovedPlan {
    /// Where it lies.
    pub file: PathBuf,
    /// What it said then.
    pub text: String,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    /// And so many boxes were ticked.
    Write(usize),
}

/// What a call did to a file; forgotten when the call fails.
#[derive(Debug)]
struct Doing {
    call: String,
    file: PathBuf,
    access: Access,
}

/// The doings of a session, in their order.
#[derive(Debug, Default)]
pub(super) struct Doings {
    list: VecDeque<Doing>,
    places: BTreeSet<PathBuf>,
    /// The call that shows a plan to the person.
    shown: Option<String>,
    approved: Option<ApprovedPlan>,
}

impl Doings {
    /// The call `call` has to do with `file`, which is named from `cwd`.
    pub(super) fn note(&mut self, call: &str, cwd: Option<&str>, file: &str, access: Access) {
        let file = place(cwd, file);
        if matches!(access, Access::Write(_))
            && let Some(directory) = file.parent()
        {
            self.work_in(directory);
        }
        if !is_text(&file) {
            return;
        }
        if self.list.len() == MAX_DOINGS {
            self.list.pop_front();
        }
        self.list.push_back(Doing { call: call.to_owned(), file, access });
    }

    /// The agent works in `directory`.
    pub(super) fn work_in(&mut self, directory: &Path) {
        if directory.is_absolute() && self.places.len() < MAX_PLACES && !self.places.contains(directory) {
            self.places.insert(directory.to_owned());
        }
    }

    /// A shell command.
    pub(super) fn command(&mut self, call: &str, cwd: Option<&str>, command: &str) {
        if let Some(cwd) = cwd {
            self.work_in(Path::new(cwd));
        }
        if !command.contains('.') && !command.contains("cd ") {
            return;
        }
        if self.patch(call, cwd, command) {
            return;
        }
        let mut cwd = cwd.map(str::to_owned);
        let command = cut(command, MAX_COMMAND_BYTES);
        let script = script_writes(command);
        for statement in command.split(['\n', ';', '|', '&']) {
            if let Some(to) = changed_directory(statement) {
                let to = place(cwd.as_deref(), to);
                self.work_in(&to);
                cwd = to.to_str().map(str::to_owned);
                continue;
            }
            let named = names(statement, script);
            let is_browsing = named.iter().filter(|(_, access)| *access == Access::Read).count() > MAX_READ_AT_ONCE;
            for (file, access) in named {
                if !(is_browsing && access == Access::Read) {
                    self.note(call, cwd.as_deref(), file, access);
                }
            }
        }
    }

    /// A patch in Codex's form, on its own or in a command or a script; whether there is one.
    pub(super) fn patch(&mut self, call: &str, cwd: Option<&str>, text: &str) -> bool {
        if !text.contains("*** Begin Patch") {
            return false;
        }
        let mut current: Option<(String, usize)> = None;
        // In a script the lines may be written with `\n`.
        for line in text.split('\n').flat_map(|line| line.split("\\n")) {
            let file = ["*** Update File: ", "*** Add File: ", "*** Move to: "].iter().find_map(|mark| {
                let (_, file) = line.split_once(mark)?;
                Some(file.trim_end_matches(['\'', '"', '`', ')', ';', '\r', '\\', ' ']).trim())
            });
            if let Some(file) = file {
                self.patched(call, cwd, current.replace((file.to_owned(), 0)));
            } else if line.contains("*** ") {
                self.patched(call, cwd, current.take());
            } else if let Some((_, ticked)) = &mut current {
                if line.starts_with('+') {
                    *ticked += ticks(line);
                } else if line.starts_with('-') {
                    *ticked = ticked.saturating_sub(ticks(line));
                }
            }
        }
        self.patched(call, cwd, current);
        true
    }

    fn patched(&mut self, call: &str, cwd: Option<&str>, file: Option<(String, usize)>) {
        if let Some((file, ticked)) = file {
            self.note(call, cwd, &file, Access::Write(ticked));
        }
    }

    /// An edit by a tool of Claude Code's.
    pub(super) fn edit(&mut self, call: &str, cwd: Option<&str>, input: &Value) {
        let Some(file) = input["file_path"].as_str().or_else(|| input["notebook_path"].as_str()) else { return };
        let in_edit = |edit: &Value| {
            let count = |name: &str| edit[name].as_str().map_or(0, ticks);
            count("new_string").saturating_sub(count("old_string"))
        };
        let ticked = match input["edits"].as_array() {
            Some(edits) => edits.iter().map(in_edit).sum(),
            None => in_edit(input),
        };
        self.note(call, cwd, file, Access::Write(ticked));
    }

    /// A plan is shown to the person by `call`.
    pub(super) fn shows_plan(&mut self, call: &str) {
        self.shown = Some(call.to_owned());
    }

    /// The call `call` has succeeded, as `told` says.
    pub(super) fn succeeded(&mut self, call: &str, told: &Value) {
        if self.shown.take_if(|shown| shown == call).is_some()
            && let (Some(file), Some(text)) = (told["filePath"].as_str(), told["plan"].as_str())
        {
            self.approved = Some(ApprovedPlan { file: PathBuf::from(file), text: text.to_owned() });
        }
    }

    /// The call `call` has failed: it did nothing.
    pub(super) fn failed(&mut self, call: &str) {
        if !call.is_empty() {
            self.list.retain(|doing| doing.call != call);
            self.shown.take_if(|shown| shown == call);
        }
    }

    /// What the session had to do with.
    pub(super) fn done(self) -> TouchedFiles {
        let mut files = TouchedFiles { places: self.places, approved: self.approved, ..TouchedFiles::default() };
        for Doing { file, access, .. } in self.list {
            match access {
                Access::Read => {
                    files.read.insert(file);
                }
                Access::Write(ticked) => {
                    if ticked > 0 {
                        *files.ticked.entry(file.clone()).or_default() += ticked;
                    }
                    files.written.insert(file);
                }
            }
        }
        files
    }
}

/// How many boxes of a text are ticked.
fn ticks(text: &str) -> usize {
    text.matches("[x]").count() + text.matches("[X]").count()
}

fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes { text } else { &text[..text.floor_char_boundary(bytes)] }
}

fn place(cwd: Option<&str>, file: &str) -> PathBuf {
    let file = Path::new(file.strip_prefix("./").unwrap_or(file));
    match cwd {
        Some(cwd) => Path::new(cwd).join(file),
        None => file.to_owned(),
    }
}

/// Whether a file is a text by its name.
pub fn is_text(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|own| TEXT_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(own)))
}

fn is_one_of(word: &str, list: &str) -> bool {
    !word.is_empty() && list.split(' ').any(|known| known == word)
}

/// Where `cd` goes to.
fn changed_directory(statement: &str) -> Option<&str> {
    let to = statement.trim().strip_prefix("cd ")?.trim();
    let to = to.trim_matches(['"', '\'']);
    (!to.is_empty() && !to.contains(['$', '`', '*']) && !to.starts_with(['~', '-'])).then_some(to)
}

/// Whether a script in the command writes; `None` if there is none.
fn script_writes(command: &str) -> Option<bool> {
    let has = command.split_whitespace().any(|word| is_one_of(word.rsplit('/').next().unwrap_or(word), SCRIPTED));
    let writes =
        ["write", "'w'", "\"w\"", "'a'", "\"a\"", "-pi", "-i", "sub("].iter().any(|mark| command.contains(mark));
    has.then_some(writes)
}

/// The text files that a statement of a command names, and what it does to them.
fn names(statement: &str, script: Option<bool>) -> Vec<(&str, Access)> {
    let mut words = statement.split_whitespace().skip_while(|word| word.contains('=') || *word == "sudo");
    let program = words.next().map(|word| word.rsplit('/').next().unwrap_or(word)).unwrap_or_default();
    let has = |flag: &str| statement.split_whitespace().any(|word| word.starts_with(flag));
    let writes = match program {
        "git" => {
            let sub = words.find(|word| !word.starts_with('-') && !word.contains('=')).unwrap_or_default();
            if !is_one_of(sub, GIT_WRITES) {
                return Vec::new();
            }
            true
        }
        "sed" | "perl" => has("-i") || has("-pi") || has("--in-place"),
        program => is_one_of(program, WRITERS) || script == Some(true),
    };
    let is_looker = is_one_of(program, LOOKERS);
    let mut found = Vec::new();
    let mut from = 0;
    let is_end = |sign: char| sign.is_whitespace() || "\"'`(),=<>{}[]".contains(sign);
    for part in statement.split(is_end) {
        let at = from;
        from += part.len() + statement[at + part.len()..].chars().next().map_or(0, char::len_utf8);
        let is_name = part.contains('.') && !part.contains(['*', '?', '$', '\\']) && !part.starts_with('-');
        if !is_name || !is_text(Path::new(part)) {
            continue;
        }
        let before = statement[..at].trim_end_matches([' ', '"', '\'']);
        let is_target = before.ends_with('>') && !before.ends_with("2>");
        let ticked = usize::from(ticks(statement) > 0);
        if writes || is_target {
            found.push((part, Access::Write(ticked)));
        } else if !is_looker {
            found.push((part, Access::Read));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn done(command: &str) -> TouchedFiles {
        let mut doings = Doings::default();
        doings.command("c", Some("/w"), command);
        doings.done()
    }

    fn list(files: &BTreeSet<PathBuf>) -> Vec<&str> {
        files.iter().filter_map(|file| file.to_str()).collect()
    }

    #[rstest]
    #[case("sed -i 's/- \\[ \\] one/- [x] one/' docs/plan.md", 1)]
    #[case("sed -i.bak 's/a/b/' ./docs/plan.md && git commit -qam x", 0)]
    #[case("cat > docs/plan.md <<'EOF'\n- [ ] a\nEOF", 0)]
    #[case("echo '- [x] two' >> \"docs/plan.md\"", 1)]
    #[case("printf x | tee -a docs/plan.md", 0)]
    #[case("cd docs && git add plan.md", 0)]
    #[case("git -c user.name=x commit -m done docs/plan.md", 0)]
    #[case(
        "python3 - <<'E'\np='docs/plan.md'\ns=open(p).read()\nopen(p,'w').write(s.replace('- [ ] a','- [x] a'))\nE",
        0
    )]
    #[case(
        "apply_patch <<'EOF'\n*** Begin Patch\n*** Update File: docs/plan.md\n@@\n-- [ ] a\n+- [x] a\n - [x] b\n*** End Patch\nEOF",
        1
    )]
    #[case(
        "tools.apply_patch(\"*** Begin Patch\\n*** Update File: docs/plan.md\\n@@\\n-- [ ] a\\n+- [x] a\\n*** End Patch\")",
        1
    )]
    fn what_a_command_writes(#[case] command: &str, #[case] ticked: usize) {
        let files = done(command);
        assert_eq!(list(&files.written), ["/w/docs/plan.md"], "{command}");
        assert_eq!(files.ticked.values().sum::<usize>(), ticked, "{command}");
    }

    #[rstest]
    #[case("cat docs/plan.md", &["/w/docs/plan.md"])]
    #[case("sed -n 1,40p docs/plan.md", &["/w/docs/plan.md"])]
    #[case("grep -n '\\[ \\]' docs/plan.md 2>/dev/null | head", &["/w/docs/plan.md"])]
    #[case("python3 -c 'print(open(\"docs/plan.md\").read())'", &["/w/docs/plan.md"])]
    #[case("cat a.md b.md c.md docs/plan.md", &[])]
    #[case("cat docs/*.md; ls docs/plan.md; wc -l docs/plan.md", &[])]
    #[case("git log --oneline -- docs/plan.md", &[])]
    #[case("git diff docs/plan.md", &[])]
    #[case("rm docs/plan.md", &[])]
    #[case("cat $DIR/plan.md src/plan.rs", &[])]
    fn what_a_command_reads(#[case] command: &str, #[case] read: &[&str]) {
        let files = done(command);
        assert_eq!((list(&files.read), list(&files.written)), (read.to_vec(), Vec::new()), "{command}");
    }

    #[test]
    fn a_call_that_failed_did_nothing_and_an_approved_plan_is_kept() {
        let mut doings = Doings::default();
        doings.edit(
            "a",
            Some("/w"),
            &serde_json::json!({"file_path": "/w/TODO.md", "old_string": "- [ ] a", "new_string": "- [x] a"}),
        );
        doings.edit("b", Some("/w"), &serde_json::json!({"file_path": "/w/plan.md", "edits": [{"old_string": "[ ]", "new_string": "[x]"}, {"old_string": "[ ]", "new_string": "[x]"}]}));
        doings.failed("a");
        doings.shows_plan("p");
        doings.succeeded("q", &serde_json::json!({"filePath": "/no", "plan": "no"}));
        doings.succeeded("p", &serde_json::json!({"filePath": "/h/plans/x.md", "plan": "- [ ] a"}));
        let files = doings.done();
        assert_eq!(list(&files.written), ["/w/plan.md"]);
        assert_eq!(files.ticked[Path::new("/w/plan.md")], 2);
        assert_eq!(files.approved.unwrap().file, Path::new("/h/plans/x.md"));
    }
}
