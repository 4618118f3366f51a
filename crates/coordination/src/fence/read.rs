//! From a tool's input to what it would write.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stopgate_core::harness::{Harness, SaysTargets};

use super::place::Around;
use super::script::Shell;
use super::words::Word;
use super::{Intent, TreeAct, TreeVerb, WriteTarget, patch};

/// Most targets that are kept of one call; what is beyond them is opaque.
pub const MAX_TARGETS: usize = 512;

/// What a call of `tool` with `input` would write and do, as far as it says so itself: nothing is run, expanded or looked
/// up but links. What is not understood is opaque, and so is an input of another form than the harness's own.
pub fn read(harness: Harness, tool: &str, input: &Value, around: &Around<'_>) -> Intent {
    let mut draft = Draft::new(around);
    let says = harness.spec().writing_tools.iter().find(|known| known.name == tool).map(|known| known.says);
    match (says, draft.around.start()) {
        (Some(SaysTargets::Path(field)), Some(cwd)) => match input.get(field).and_then(Value::as_str) {
            Some(path) => draft.write(&cwd, path, Reach::File),
            None => draft.intent.is_opaque = true,
        },
        (Some(SaysTargets::Patch), Some(cwd)) => match patch_of(input) {
            Some(text) => draft.patch(&cwd, text),
            None => draft.intent.is_opaque = true,
        },
        (Some(SaysTargets::Command), Some(cwd)) => match input.get("command") {
            Some(Value::String(script)) => Shell::new(&mut draft, cwd).read(script),
            // Words that are a command already.
            Some(Value::Array(said)) => {
                let words: Option<Vec<Word>> = said.iter().map(|word| word.as_str().map(Word::quoted)).collect();
                match words {
                    Some(words) if !words.is_empty() => Shell::new(&mut draft, cwd).run_words(&words),
                    _ => draft.opaque(),
                }
            }
            _ => draft.opaque(),
        },
        _ => draft.intent.is_opaque = true,
    }
    draft.intent
}

/// The patch in an input, in whatever field.
fn patch_of(input: &Value) -> Option<&str> {
    let said =
        input.as_str().or_else(|| ["command", "input", "patch"].iter().find_map(|field| input.get(field)?.as_str()));
    said.and_then(patch::within)
}

/// How far a write reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The file that a path leads to.
    File,
    /// What stands at the path: if that is a link, the link.
    Entry,
    /// The same, and all below it.
    Subtree,
}

/// An intent that is being found out.
pub(super) struct Draft<'a> {
    pub(super) around: &'a Around<'a>,
    pub(super) intent: Intent,
    /// Whether what is written now gives up what is uncommitted.
    pub(super) is_discarding: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(around: &'a Around<'a>) -> Self {
        Self { around, intent: Intent::default(), is_discarding: false }
    }

    /// A part is not understood.
    pub(super) fn opaque(&mut self) {
        self.intent.is_opaque = true;
    }

    /// `path`, said in `directory`, would be written.
    pub(super) fn write(&mut self, directory: &Path, path: &str, reach: Reach) {
        self.write_matching(directory, path, reach, None);
    }

    /// The same; with a `pattern`, of what is below `path` only what that means.
    pub(super) fn write_matching(&mut self, directory: &Path, path: &str, reach: Reach, pattern: Option<String>) {
        // A device keeps nothing.
        if path == "/dev" || path.starts_with("/dev/") {
            return;
        }
        let Some(target) = self.around.resolve(directory, path, reach == Reach::File || pattern.is_some()) else {
            return self.opaque();
        };
        let is_subtree = reach == Reach::Subtree || pattern.is_some();
        let discards = self.is_discarding;
        let target = WriteTarget { path: target, is_subtree, discards, pattern };
        // By their bytes, which are plain: part by part takes long.
        let is_known = |known: &WriteTarget| {
            known.is_subtree == target.is_subtree
                && known.discards == target.discards
                && known.pattern == target.pattern
                && known.path.as_os_str() == target.path.as_os_str()
        };
        if self.intent.writes.iter().any(is_known) {
            return;
        }
        if self.intent.writes.len() >= MAX_TARGETS { self.opaque() } else { self.intent.writes.push(target) }
    }

    /// The files of a patch.
    pub(super) fn patch(&mut self, directory: &Path, text: &str) {
        for file in patch::files(text) {
            self.write(directory, file, Reach::File);
        }
    }

    /// `verb` would be run in `directory`.
    pub(super) fn act(&mut self, verb: TreeVerb, directory: PathBuf) {
        let act = TreeAct { verb, directory };
        let is_known =
            |known: &TreeAct| known.verb == act.verb && known.directory.as_os_str() == act.directory.as_os_str();
        if self.intent.acts.iter().any(is_known) {
            return;
        }
        if self.intent.acts.len() >= MAX_TARGETS { self.opaque() } else { self.intent.acts.push(act) }
    }
}
