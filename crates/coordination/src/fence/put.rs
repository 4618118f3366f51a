//! Programs that put files somewhere else: under another name, or into a directory.

use super::TreeVerb;
use super::classify::{kind, whole};
use super::git::ALL_WORK;
use super::options::{Grammar, Parsed};
use super::place::Kind;
use super::read::Reach;
use super::script::Shell;
use super::words::Word;

/// A program that puts sources at a destination.
pub(super) struct Putter {
    grammar: Grammar,
    /// What becomes of what stands at the destination.
    reach: Reach,
    /// Options with which directories are put with all that is in them; `None`: always, and the sources are gone.
    deep: Option<&'static [&'static str]>,
    /// Options with which the destination is no directory, whatever stands there.
    never_into: &'static [&'static str],
    /// Options without which it leaves what is there; `None`: it does not.
    over: Option<&'static [&'static str]>,
    /// Options with which it puts nothing.
    idle: &'static [&'static str],
}

pub(super) const COPY: Putter = Putter {
    grammar: Grammar { short: "tS", attached: "", long: &["target-directory", "suffix"] },
    reach: Reach::File,
    deep: Some(&["r", "R", "a", "recursive", "archive"]),
    never_into: &["T", "no-target-directory"],
    over: None,
    idle: &[],
};
pub(super) const MOVE: Putter = Putter {
    grammar: Grammar { short: "tS", attached: "", long: &["target-directory", "suffix"] },
    reach: Reach::Entry,
    deep: None,
    never_into: &["T", "no-target-directory"],
    over: None,
    idle: &[],
};
/// `git mv` moves over nothing unless it is forced to.
pub(super) const GIT_MOVE: Putter = Putter { over: Some(&[]), ..MOVE };
pub(super) const INSTALL: Putter = Putter {
    grammar: Grammar { short: "tSmogf", attached: "", long: &["target-directory", "suffix", "mode", "owner", "group"] },
    reach: Reach::File,
    deep: Some(&[]),
    never_into: &["T", "no-target-directory"],
    over: None,
    idle: &["d", "directory"],
};
pub(super) const LINK: Putter = Putter {
    grammar: Grammar { short: "tS", attached: "", long: &["target-directory", "suffix"] },
    reach: Reach::Entry,
    deep: Some(&[]),
    never_into: &["T", "n", "h", "no-target-directory", "no-dereference"],
    over: Some(&["f", "force"]),
    idle: &[],
};

/// Puts what `arguments` say.
pub(super) fn copy(shell: &mut Shell<'_, '_>, arguments: &[Word], putter: &Putter) {
    let parsed = Parsed::of(arguments, putter.grammar);
    if parsed.has(putter.idle) {
        return;
    }
    let is_deep = putter.deep.is_none_or(|options| parsed.has(options));
    let named = parsed.value(&["t", "target-directory"]);
    let (sources, destination) = match (&parsed.operands[..], named) {
        (sources, Some(named)) => (sources, named),
        // `ln -s ../a`
        ([only], None) if putter.never_into.contains(&"h") => {
            return put(shell, only, ".", putter.reach, false, false);
        }
        ([sources @ .., destination], None) if !sources.is_empty() => (sources, *destination),
        // A pattern may be many.
        ([only], None) if only.literal().is_none() => return shell.draft.opaque(),
        _ => return,
    };
    let is_into = named.is_some()
        || sources.len() > 1
        || is_directory_name(&destination.text)
        || !parsed.has(putter.never_into) && kind(shell, destination) == Some(Kind::Directory);
    // With a backup nothing is lost, either.
    let is_careful = parsed.has(&["n", "no-clobber", "i", "interactive", "b", "backup", "u", "update"]);
    let is_over = !is_careful && putter.over.is_none_or(|options| parsed.has(options));
    for source in sources {
        let own = whole(shell, source);
        // Whether something that is not known is a directory, nobody says who moves it.
        let is_tree = match putter.deep {
            Some(_) => is_deep && own == Reach::Subtree,
            None => kind(shell, source) == Some(Kind::Directory),
        };
        let reach = if is_tree { Reach::Subtree } else { putter.reach };
        if putter.deep.is_none() {
            shell.target(source, own);
        }
        if source.pattern.is_some() {
            // Nobody knows how many there are, nor what they are called.
            shell.draft.opaque();
        } else if !is_into {
            shell.target(destination, reach);
            if is_over {
                shell.discard(destination, TreeVerb::Overwrite, ALL_WORK);
            }
        } else if let Some(directory) = destination.literal() {
            put(shell, source, directory, reach, parsed.has(&["parents"]), is_over);
        } else {
            shell.draft.opaque();
        }
    }
}

/// `source` comes into `directory` under its own name, or under all of its path.
fn put(shell: &mut Shell<'_, '_>, source: &Word, directory: &str, reach: Reach, with_parents: bool, is_over: bool) {
    let Some(path) = source.literal() else { return shell.draft.opaque() };
    let path = path.trim_end_matches('/');
    let name = if with_parents { Some(path.trim_start_matches("./")) } else { path.rsplit('/').next() };
    match name {
        Some(".") => shell.target_path(directory, reach),
        None | Some("" | "..") => shell.draft.opaque(),
        Some(name) if with_parents && (name.starts_with("..") || name.contains("/./")) => shell.draft.opaque(),
        Some(name) => {
            let path = format!("{}/{name}", directory.trim_end_matches('/'));
            shell.target_path(&path, reach);
            // A directory comes beside what is in one of its name; of the files in it nothing is known.
            if is_over && reach != Reach::Subtree {
                shell.part(TreeVerb::Overwrite, &path, ALL_WORK);
            }
        }
    }
}

/// The path on another machine in `host:path`, if `word` is that.
fn remote(word: &Word) -> Option<Word> {
    let host = word.text.split('/').next()?;
    let at = host.find(':')?;
    Some(super::options::tail(word, at + 1))
}

/// `rsync` with `arguments`.
pub(super) fn rsync(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    const LONG: &[&str] = &[
        "rsh",
        "exclude",
        "include",
        "filter",
        "files-from",
        "exclude-from",
        "include-from",
        "chmod",
        "chown",
        "backup-dir",
        "suffix",
        "max-size",
        "min-size",
        "bwlimit",
        "port",
        "log-file",
        "partial-dir",
        "compare-dest",
        "copy-dest",
        "link-dest",
        "info",
        "debug",
        "password-file",
        "timeout",
        "out-format",
        "rsync-path",
        "temp-dir",
        "max-delete",
    ];
    let parsed = Parsed::of(arguments, Grammar { short: "efBTM", attached: "", long: LONG });
    if parsed.has(&["n", "dry-run", "list-only"]) {
        return;
    }
    let [sources @ .., destination] = &parsed.operands[..] else { return };
    if parsed.has(&["remove-source-files"]) {
        shell.draft.opaque();
    }
    if remote(destination).is_some() || sources.is_empty() {
        return;
    }
    let is_deep = parsed.has(&["r", "a", "recursive", "archive"]);
    let is_into =
        sources.len() > 1 || is_directory_name(&destination.text) || kind(shell, destination) == Some(Kind::Directory);
    for source in sources {
        let there = remote(source);
        let is_expanded_there = there.as_ref().is_some_and(|path| path.text.contains(['*', '?', '[', '$', '`', ' ']));
        let source = there.as_ref().unwrap_or(source);
        let reach = if is_deep && whole(shell, source) == Reach::Subtree { Reach::Subtree } else { Reach::Entry };
        let is_content = reach == Reach::Subtree && source.text.ends_with('/');
        if is_into && !is_content && source.pattern.is_none() && !is_expanded_there {
            match destination.literal() {
                Some(directory) => put(shell, source, directory, reach, parsed.has(&["R", "relative"]), false),
                None => shell.draft.opaque(),
            }
        } else if is_into && !is_content {
            shell.draft.opaque();
        } else {
            shell.target(destination, reach);
        }
    }
}

/// Whether `path` can only be a directory.
fn is_directory_name(path: &str) -> bool {
    path.ends_with('/') || matches!(path.rsplit('/').next(), Some("." | ".."))
}
