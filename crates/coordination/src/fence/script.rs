//! A script, read from its beginning to its end once: simple commands, and in which directory each of them runs.
//!
//! What is said twice (a string behind `bash -c`, a function that is called) is read again, within [`MAX_DEPTH`] and
//! [`MAX_READ_AGAIN`]; beyond them it is opaque.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::parts::is_empty_pair;
use super::read::{Draft, Reach};
use super::words::{Cursor, Inner, Word};
use super::{ActFiles, TreeVerb};

/// How deep scripts within scripts are read.
const MAX_DEPTH: usize = 24;
/// How many bytes are read again.
const MAX_READ_AGAIN: usize = 1024 * 1024;

/// A shell that runs nothing.
pub(super) struct Shell<'d, 'a> {
    pub(super) draft: &'d mut Draft<'a>,
    /// Where the next command runs, if that is known.
    pub(super) cwd: Option<PathBuf>,
    /// Where `cd -` leads.
    previous: Option<PathBuf>,
    /// What `popd` takes.
    pushed: Vec<Option<PathBuf>>,
    /// Functions that the script defines, with what they do.
    functions: Vec<(String, String)>,
    /// In how many bodies of functions this is, which are read where they are called.
    muted: usize,
    depth: usize,
    read_again: usize,
}

/// What stands around a simple command.
pub(super) struct Scene<'s> {
    /// The script behind it, in which its documents are.
    pub(super) rest: &'s str,
    /// Whether something is fed to it from here: a document, or what is before a pipe.
    pub(super) is_fed: bool,
}

/// A compound command that is open.
struct Frame {
    kind: FrameKind,
    /// The directory in which it began.
    entry: Option<PathBuf>,
    /// Whether a branch of it has gone elsewhere.
    has_moved: bool,
}

/// The directory in which a compound command began that has ended.
pub(super) struct Began(pub(super) Option<PathBuf>);

enum FrameKind {
    Branch,
    Case,
    Brace,
    /// A function's body, and where it begins.
    Function(String, usize),
}

/// Where in a list a command stands.
#[derive(Default)]
struct Spot {
    /// Where the list began, to which `&` returns.
    list_cwd: Option<PathBuf>,
    is_after_pipe: bool,
    is_after_or: bool,
}

impl Inner for Shell<'_, '_> {
    fn substitution(&mut self, cursor: &mut Cursor<'_>) {
        self.subshell(|shell| shell.script(cursor, true));
    }

    fn backticks(&mut self, script: &str) {
        self.subshell(|shell| shell.read_again(script));
    }

    fn known(&self, variable: &str) -> Option<Cow<'_, str>> {
        match variable {
            "HOME" => self.draft.around.home?.to_str().map(Cow::Borrowed),
            "PWD" => self.cwd.as_deref()?.to_str().map(Cow::Borrowed),
            _ => None,
        }
    }

    fn broken(&mut self) {
        self.draft.opaque();
    }
}

impl<'d, 'a> Shell<'d, 'a> {
    pub(super) fn new(draft: &'d mut Draft<'a>, cwd: PathBuf) -> Self {
        Self {
            draft,
            cwd: Some(cwd),
            previous: None,
            pushed: Vec::new(),
            functions: Vec::new(),
            muted: 0,
            depth: 0,
            read_again: 0,
        }
    }

    /// Reads a whole script.
    pub(super) fn read(&mut self, text: &str) {
        let mut cursor = Cursor::new(text);
        self.script(&mut cursor, false);
    }

    /// Runs a command whose words are known.
    pub(super) fn run_words(&mut self, words: &[Word]) {
        self.run(words, &Scene { rest: "", is_fed: false });
    }

    /// Reads what has been read already as something else.
    pub(super) fn read_again(&mut self, text: &str) {
        if !self.may_read_again(text.len()) || self.depth >= MAX_DEPTH {
            return self.draft.opaque();
        }
        self.depth += 1;
        self.read(text);
        self.depth -= 1;
    }

    /// What happens in it to the directory is over behind it.
    pub(super) fn subshell(&mut self, run: impl FnOnce(&mut Self)) {
        let (cwd, previous, pushed) = (self.cwd.clone(), self.previous.clone(), self.pushed.len());
        run(self);
        (self.cwd, self.previous) = (cwd, previous);
        self.pushed.truncate(pushed);
    }

    /// Whether commands count: not in the body of a function that nobody has called yet.
    pub(super) const fn is_muted(&self) -> bool {
        self.muted > 0
    }

    /// `word` would be written.
    pub(super) fn target(&mut self, word: &Word, reach: Reach) {
        match (word.literal(), word.emptied()) {
            (Some(path), _) => self.target_path(path, reach),
            (None, Some(directory)) if reach == Reach::Subtree => self.target_path(directory, reach),
            _ => self.matching(word, reach),
        }
    }

    /// What the pattern `word` means would be written.
    fn matching(&mut self, word: &Word, reach: Reach) {
        let (Some((directory, pattern)), Some(cwd)) = (word.matching(), &self.cwd) else { return self.draft.opaque() };
        // `*/` means directories alone.
        let pattern = match (pattern.strip_suffix('/'), reach) {
            (Some(pattern), Reach::Subtree) => format!("{pattern}/*/"),
            (Some(_), _) => return self.draft.opaque(),
            (None, Reach::Subtree) => format!("{pattern}/"),
            (None, _) => pattern.to_owned(),
        };
        if self.muted == 0 {
            self.draft.write_matching(cwd, directory, reach, Some(pattern));
        }
    }

    /// `path` would be written.
    pub(super) fn target_path(&mut self, path: &str, reach: Reach) {
        if self.is_muted() {
            return;
        }
        match &self.cwd {
            Some(cwd) => self.draft.write(cwd, path, reach),
            None if path.starts_with('/') => self.draft.write(Path::new("/"), path, reach),
            None => self.draft.opaque(),
        }
    }

    /// `verb` would be run in `directory`, or in the one in which the command runs, with what it does without options.
    pub(super) fn act(&mut self, verb: TreeVerb, directory: Option<PathBuf>) {
        self.act_on(verb, directory, None);
    }

    /// The same, and it would touch `files`.
    pub(super) fn act_on(&mut self, verb: TreeVerb, directory: Option<PathBuf>, files: Option<ActFiles>) {
        if self.is_muted() {
            return;
        }
        match directory.or_else(|| self.cwd.clone()) {
            Some(directory) => self.draft.act(verb, directory, files),
            None => self.draft.opaque(),
        }
    }

    /// `verb` would touch `files` of what `path` names: a file, or a directory with all below it.
    pub(super) fn part(&mut self, verb: TreeVerb, path: &str, files: ActFiles) {
        if self.is_muted() {
            return;
        }
        if let Some(cwd) = &self.cwd
            && let Some(part) = self.draft.around.resolve(cwd, path, false)
        {
            self.draft.part(verb, cwd.clone(), part, files);
        }
    }

    /// What `word` names goes, by `verb`, and `files` of the work in it with it.
    pub(super) fn discard(&mut self, word: &Word, verb: TreeVerb, files: ActFiles) {
        if let Some(path) = word.literal().or_else(|| word.emptied()) {
            self.part(verb, path, files);
        }
    }

    /// git would be told `name`, which it does not have, and `rest`.
    pub(super) fn alias(&mut self, name: &str, rest: &[Word]) {
        match &self.cwd {
            Some(cwd) if !self.is_muted() => self.draft.alias(cwd.clone(), name, rest),
            _ => self.draft.opaque(),
        }
    }

    /// Goes to another directory, if it is known which.
    pub(super) fn go(&mut self, to: Option<&str>) {
        let to = match (to, &self.cwd) {
            (Some(path), Some(cwd)) => self.draft.around.resolve(cwd, path, true),
            (Some(path), None) if path.starts_with('/') => self.draft.around.resolve(Path::new("/"), path, true),
            _ => None,
        };
        self.previous = std::mem::replace(&mut self.cwd, to);
    }

    /// `cd -`.
    pub(super) fn go_back(&mut self) {
        std::mem::swap(&mut self.previous, &mut self.cwd);
    }

    /// `pushd`.
    pub(super) fn push(&mut self) {
        // Nobody pushes so many.
        if self.pushed.len() < 64 {
            self.pushed.push(self.cwd.clone());
        }
    }

    /// `popd`.
    pub(super) fn pop(&mut self) {
        let to = self.pushed.pop().flatten();
        self.previous = std::mem::replace(&mut self.cwd, to);
    }

    /// Whether `bytes` more may be read again.
    pub(super) fn may_read_again(&mut self, bytes: usize) -> bool {
        self.read_again += bytes;
        self.read_again <= MAX_READ_AGAIN
    }

    /// Runs a function of the script; `false` if there is none of that name.
    pub(super) fn call(&mut self, name: &str) -> bool {
        let Some(body) = self.functions.iter().rev().find(|(known, _)| known == name).map(|(_, body)| body.clone())
        else {
            return false;
        };
        self.read_again(&body);
        true
    }

    /// Reads commands up to the end, or up to a closing parenthesis that is not of their own.
    fn script(&mut self, cursor: &mut Cursor<'_>, is_inner: bool) {
        if self.depth >= MAX_DEPTH {
            self.draft.opaque();
            return cursor.skip_all();
        }
        self.depth += 1;
        let muted = self.muted;
        self.commands(cursor, is_inner);
        self.muted = muted;
        self.depth -= 1;
    }

    fn commands(&mut self, cursor: &mut Cursor<'_>, is_inner: bool) {
        let mut frames: Vec<Frame> = Vec::new();
        let mut spot = Spot { list_cwd: self.cwd.clone(), ..Spot::default() };
        loop {
            cursor.skip_blanks();
            let Some(byte) = cursor.peek() else { break };
            match byte {
                b'\n' => {
                    cursor.end_line();
                    spot = Spot { list_cwd: self.cwd.clone(), ..Spot::default() };
                }
                b'#' => cursor.skip_comment(),
                b';' => {
                    let is_end_of_case = cursor.eat(";;&") || cursor.eat(";;") || cursor.eat(";&");
                    if !is_end_of_case {
                        cursor.skip();
                    } else if let Some(frame) = frames.last_mut().filter(|frame| matches!(frame.kind, FrameKind::Case))
                    {
                        self.branch(frame);
                        self.patterns(cursor);
                    }
                    spot = Spot { list_cwd: self.cwd.clone(), ..Spot::default() };
                }
                b'&' if cursor.second() == Some(b'>') => self.simple(cursor, &mut frames, &mut spot, None),
                b'&' => {
                    if cursor.eat("&&") {
                        (spot.is_after_pipe, spot.is_after_or) = (false, false);
                    } else {
                        cursor.skip();
                        self.cwd.clone_from(&spot.list_cwd);
                        spot = Spot { list_cwd: self.cwd.clone(), ..Spot::default() };
                    }
                }
                b'|' => {
                    spot.is_after_or = cursor.eat("||");
                    spot.is_after_pipe = !spot.is_after_or;
                    if spot.is_after_pipe && !cursor.eat("|&") {
                        cursor.skip();
                    }
                }
                b'(' if cursor.second() == Some(b'(') => {
                    cursor.skip_to(b'(', b')', self);
                    self.simple(cursor, &mut frames, &mut spot, Some(Began(self.cwd.clone())));
                }
                b'(' => {
                    cursor.skip();
                    self.subshell(|shell| shell.script(cursor, true));
                    self.simple(cursor, &mut frames, &mut spot, Some(Began(self.cwd.clone())));
                }
                b')' => {
                    cursor.skip();
                    if is_inner {
                        break;
                    }
                    self.draft.opaque();
                }
                _ => self.simple(cursor, &mut frames, &mut spot, None),
            }
        }
        // A body that is left open is none.
        if frames.iter().any(|frame| matches!(frame.kind, FrameKind::Function(..))) {
            self.draft.opaque();
        }
    }

    /// Another branch begins.
    fn branch(&mut self, frame: &mut Frame) {
        frame.has_moved |= !is_same(self.cwd.as_deref(), frame.entry.as_deref());
        self.cwd.clone_from(&frame.entry);
    }

    fn open(&self, kind: FrameKind) -> Frame {
        Frame { kind, entry: self.cwd.clone(), has_moved: false }
    }

    /// A compound command ends. Whether it went elsewhere depends on what was run of it.
    fn close(&mut self, frame: Option<Frame>, cursor: &Cursor<'_>, before: usize) -> Option<PathBuf> {
        let Some(Frame { kind, entry, has_moved }) = frame else { return self.cwd.clone() };
        match kind {
            FrameKind::Brace => {}
            FrameKind::Branch | FrameKind::Case => {
                if has_moved || !is_same(self.cwd.as_deref(), entry.as_deref()) {
                    self.cwd = None;
                }
            }
            FrameKind::Function(name, start) => {
                self.muted -= 1;
                self.cwd.clone_from(&entry);
                let said = cursor.since(start);
                let body = said.get(..said.len().saturating_sub(cursor.at() - before)).unwrap_or_default();
                self.functions.push((name, body.to_owned()));
            }
        }
        entry
    }

    /// A simple command, or a keyword of a compound one. `is_over`: a compound command ended just before, of which only
    /// redirects are left; they are of the directory that it began in.
    fn simple(&mut self, cursor: &mut Cursor<'_>, frames: &mut Vec<Frame>, spot: &mut Spot, mut over: Option<Began>) {
        let mut words: Vec<Word> = Vec::new();
        let mut is_fed = spot.is_after_pipe;
        loop {
            cursor.skip_blanks();
            let Some(byte) = cursor.peek() else { break };
            match byte {
                b'\n' | b';' | b'|' | b')' => break,
                b'&' if cursor.second() != Some(b'>') => break,
                b'#' => cursor.skip_comment(),
                b'(' => {
                    if let [name] = &words[..]
                        && over.is_none()
                        && let Some(name) = name.literal().map(str::to_owned)
                        && is_empty_pair(cursor)
                    {
                        words.clear();
                        self.body(cursor, frames, name);
                        return;
                    }
                    // Something of another shell.
                    self.draft.opaque();
                    cursor.skip_to(b'(', b')', self);
                }
                _ if self.redirect(cursor, over.as_ref(), &mut is_fed) => {}
                _ => {
                    let before = cursor.at();
                    let word = cursor.word(self);
                    if cursor.at() == before {
                        cursor.skip();
                        continue;
                    }
                    if words.is_empty() && over.is_none() {
                        match self.keyword(&word, cursor, frames, before) {
                            Keyword::No => words.push(word),
                            Keyword::Goes => {
                                (spot.is_after_pipe, spot.is_after_or) = (false, false);
                                return;
                            }
                            Keyword::Ended(entry) => over = Some(Began(entry)),
                        }
                    } else {
                        words.push(word);
                    }
                }
            }
        }
        if over.is_some() || words.is_empty() || self.is_muted() {
            return;
        }
        let before = (self.cwd.clone(), self.previous.clone());
        let scene = Scene { rest: cursor.rest(), is_fed: is_fed || cursor.awaits_heredoc() };
        self.run(&words, &scene);
        if !is_same(self.cwd.as_deref(), before.0.as_deref()) {
            let is_in_pipe = spot.is_after_pipe || cursor.peek() == Some(b'|') && cursor.second() != Some(b'|');
            if is_in_pipe {
                (self.cwd, self.previous) = before;
            } else if spot.is_after_or {
                self.cwd = None;
            }
        }
    }

    fn keyword(&mut self, word: &Word, cursor: &mut Cursor<'_>, frames: &mut Vec<Frame>, before: usize) -> Keyword {
        if word.is_quoted {
            return Keyword::No;
        }
        match word.text.as_str() {
            "if" | "while" | "until" => frames.push(self.open(FrameKind::Branch)),
            "then" | "do" | "!" | "coproc" | "and" | "or" | "not" | "begin" => {}
            // Before a compound command it is a keyword, else as good as a program.
            "time" => {
                cursor.skip_blanks();
                if !matches!(cursor.peek(), Some(b'(' | b'{')) {
                    return Keyword::No;
                }
            }
            "else" | "elif" => {
                if let Some(frame) = frames.last_mut() {
                    self.branch(frame);
                }
            }
            "{" => frames.push(self.open(FrameKind::Brace)),
            // fish has one word for all of these.
            "}" | "fi" | "done" | "esac" | "end" => {
                let entry = self.close(frames.pop(), cursor, before);
                return Keyword::Ended(entry);
            }
            "for" | "select" | "foreach" => {
                self.head_of_loop(cursor);
                frames.push(self.open(FrameKind::Branch));
            }
            "case" => {
                cursor.skip_blanks();
                let _ = cursor.word(self);
                cursor.skip_lines();
                if !cursor.eat("in") {
                    self.draft.opaque();
                }
                frames.push(self.open(FrameKind::Case));
                self.patterns(cursor);
            }
            "[[" => {
                self.test(cursor);
                return Keyword::Ended(self.cwd.clone());
            }
            "function" => {
                cursor.skip_blanks();
                let name = cursor.word(self);
                let name = name.literal().unwrap_or_default().to_owned();
                cursor.skip_blanks();
                let _ = cursor.peek() == Some(b'(') && is_empty_pair(cursor);
                self.body(cursor, frames, name);
            }
            _ => return Keyword::No,
        }
        Keyword::Goes
    }

    /// The body of a function, which is only read once it is called.
    fn body(&mut self, cursor: &mut Cursor<'_>, frames: &mut Vec<Frame>, name: String) {
        cursor.skip_lines();
        if cursor.eat("{") {
            self.muted += 1;
            frames.push(self.open(FrameKind::Function(name, cursor.at())));
        } else if cursor.peek() == Some(b'(') {
            let start = cursor.at();
            cursor.skip();
            self.muted += 1;
            self.subshell(|shell| shell.script(cursor, true));
            self.muted -= 1;
            self.functions.push((name, cursor.since(start).to_owned()));
        } else {
            // Of another shell, or something rare.
            self.draft.opaque();
            frames.push(self.open(FrameKind::Branch));
        }
    }
}

/// What a first word makes of a command.
enum Keyword {
    /// Nothing: it is a program.
    No,
    /// Commands follow.
    Goes,
    /// A compound command has ended, which began in this directory.
    Ended(Option<PathBuf>),
}

/// Whether two directories are one. Both are plain, so that their bytes tell; comparing them part by part takes long.
fn is_same(one: Option<&Path>, other: Option<&Path>) -> bool {
    one.map(Path::as_os_str) == other.map(Path::as_os_str)
}
