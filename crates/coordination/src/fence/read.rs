//! From a tool's input to what it would write.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stopgate_core::harness::{Harness, SaysTargets};
use stopgate_core::shell;

use super::place::Around;
use super::script::Shell;
use super::words::Word;
use super::{ActFiles, CommitSource, GitAlias, Intent, TreeAct, TreeVerb, WriteTarget, patch};

/// Most targets that are kept of one call; what is beyond them is opaque.
pub const MAX_TARGETS: usize = 512;
/// Most aliases of git that are kept of one call, and how many bytes one may have with the words behind it: git is asked about
/// each. What is beyond them is opaque.
const MAX_ALIASES: usize = 4;
const MAX_ALIAS_BYTES: usize = 4 * 1024;

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
    pub(super) said: Said,
}

/// What the command that is being read says of all that it does.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// See [`TreeAct::command`].
    pub(super) command: Option<&'static str>,
    /// See [`TreeAct::source`].
    pub(super) source: Option<CommitSource>,
    /// See [`TreeAct::is_named`].
    pub(super) is_named: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(around: &'a Around<'a>) -> Self {
        Self { around, intent: Intent::default(), said: Said::default() }
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
        let target = WriteTarget { path: target, is_subtree, pattern };
        // By their bytes, which are plain: part by part takes long.
        let is_known = |known: &WriteTarget| {
            known.is_subtree == target.is_subtree
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

    /// `verb` would be run in `directory`, and touch `files`.
    pub(super) fn act(&mut self, verb: TreeVerb, directory: PathBuf, files: Option<ActFiles>) {
        let act = TreeAct { files, ..self.plain(verb, directory) };
        match add(&mut self.intent.acts, act) {
            Added::Done => {}
            Added::TooMany => self.opaque(),
        }
    }

    fn plain(&self, verb: TreeVerb, directory: PathBuf) -> TreeAct {
        let said = &self.said;
        let command = match verb {
            TreeVerb::Remove | TreeVerb::Overwrite => None,
            _ => said.command.map(str::to_owned),
        };
        TreeAct { is_named: said.is_named, source: said.source.clone(), command, ..TreeAct::plain(verb, directory) }
    }

    /// `verb` would be run in `directory`, and touch `files` of `part`.
    pub(super) fn part(&mut self, verb: TreeVerb, directory: PathBuf, part: PathBuf, files: ActFiles) {
        let act = TreeAct { files: Some(files), part: Some(part), ..self.plain(verb, directory) };
        // What is beyond is let go, as it was before: the command is understood.
        let _ = add(&mut self.intent.parts, act);
    }

    /// git would be told `name` in `directory`, with the words `rest`.
    pub(super) fn alias(&mut self, directory: PathBuf, name: &str, rest: &[Word]) {
        self.opaque();
        let rest = rest.iter().map(|word| shell::word(&word.text)).collect::<Vec<_>>().join(" ");
        let alias = GitAlias { directory, name: name.to_owned(), rest };
        let is_small = alias.name.len() + alias.rest.len() <= MAX_ALIAS_BYTES;
        if is_small && self.intent.aliases.len() < MAX_ALIASES && !self.intent.aliases.contains(&alias) {
            self.intent.aliases.push(alias);
        }
    }
}

/// Whether there was room.
enum Added {
    Done,
    TooMany,
}

fn add(acts: &mut Vec<TreeAct>, act: TreeAct) -> Added {
    let is_it = |known: &&mut TreeAct| {
        known.verb == act.verb
            && known.directory.as_os_str() == act.directory.as_os_str()
            && known.part == act.part
            && known.source == act.source
    };
    if let Some(known) = acts.iter_mut().find(is_it) {
        let usual = act.verb.files();
        if known.files != act.files {
            known.files = Some(known.files.unwrap_or(usual).and(act.files.unwrap_or(usual)));
        }
        return Added::Done;
    }
    if acts.len() >= MAX_TARGETS {
        return Added::TooMany;
    }
    acts.push(act);
    Added::Done
}

/// What the alias `name` of git, of which the configuration says `meaning`, would write and do where `around` says and with the
/// words `rest` behind it. `top` is the top of the working tree, in which git runs what begins with `!`.
pub fn read_alias(around: &Around<'_>, top: &Path, meaning: &str, rest: &str) -> Intent {
    let (script, cwd) = match meaning.strip_prefix('!') {
        Some(script) => (format!("{script} {rest}"), top),
        None => (format!("git {meaning} {rest}"), around.cwd),
    };
    let around = Around { cwd, ..*around };
    let mut draft = Draft::new(&around);
    match around.start() {
        Some(cwd) => Shell::new(&mut draft, cwd).read(&script),
        None => draft.opaque(),
    }
    draft.intent
}
