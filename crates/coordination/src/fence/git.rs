//! What a git command does: to files that it names, or to a whole working tree.
//!
//! An alias may mean anything: a command that git does not have is opaque here, and the authority asks git what it means. What
//! is said of one on the spot (`-c alias.x=...`) is read at once.

use std::path::PathBuf;

use super::classify::{kind, whole};
use super::command::GitVariables;
use super::options::{Grammar, Parsed};
use super::place::Kind;
use super::read::{Reach, Said};
use super::script::Shell;
use super::words::{HOLE, Word};
use super::{ActFiles, CommitName, CommitSource, TreeVerb};

/// Commands that leave the files of a working tree alone, and the stash. Those of the index and of references are here, too:
/// nobody's edit is lost by them.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "annotate", "blame", "branch", "bugreport", "cat-file", "check-attr", "check-ignore", "check-mailmap", "check-ref-format",
    "cherry", "clone", "column", "commit-graph", "commit-tree", "config", "count-objects", "credential", "describe", "diff-files",
    "diff-index", "diff-tree", "difftool", "fetch", "fetch-pack", "for-each-ref", "fsck", "gc", "get-tar-commit-id", "grep",
    "hash-object", "help", "init", "interpret-trailers", "log", "ls-files", "ls-remote", "ls-tree", "maintenance", "merge-base",
    "merge-tree", "mktag", "mktree", "name-rev", "notes", "pack-objects", "pack-refs", "patch-id", "prune", "prune-packed",
    "push", "range-diff", "reflog", "remote", "repack", "replace", "request-pull", "rerere", "rev-list", "rev-parse", "send-email",
    "shortlog", "show-branch", "show-index", "show-ref", "stripspace", "symbolic-ref", "tag", "unpack-objects", "update-index",
    "update-ref", "var", "verify-commit", "verify-pack", "verify-tag", "version", "whatchanged", "write-tree", "status",
];

/// `git` with `arguments`, run in the shell's directory.
pub(super) fn run(shell: &mut Shell<'_, '_>, arguments: &[Word], variables: &GitVariables) {
    shell.subshell(|shell| in_its_directory(shell, arguments, variables));
    shell.draft.said = Said::default();
}

fn in_its_directory(shell: &mut Shell<'_, '_>, arguments: &[Word], variables: &GitVariables) {
    let mut rest = arguments;
    let mut tree = variables.work_tree.clone();
    let mut repository = None;
    let mut aliases: Vec<(&str, &Word)> = Vec::new();
    while let [first, after @ ..] = rest
        && first.text.starts_with('-')
    {
        rest = after;
        let text = first.text.as_str();
        match text {
            "-C" | "-c" | "--git-dir" | "--work-tree" | "--namespace" | "--exec-path" | "--config-env" => {
                let [value, after @ ..] = rest else { return };
                rest = after;
                match text {
                    "-C" => shell.go(value.literal()),
                    "--work-tree" => tree = Some(value.clone()),
                    "--git-dir" => repository = Some(value.clone()),
                    "-c" => aliases.extend(value.text.strip_prefix("alias.").map(|alias| (alias, value))),
                    _ => {}
                }
            }
            "--version" | "--help" | "-h" | "-v" | "--html-path" | "--man-path" | "--info-path" => return,
            "--bare" => return shell.draft.opaque(),
            _ => {
                let value = |name: &str| text.starts_with(name).then(|| super::options::tail(first, name.len()));
                tree = value("--work-tree=").or(tree);
                repository = value("--git-dir=").or(repository);
            }
        }
    }
    let [command, arguments @ ..] = rest else { return };
    let Some(name) = command.literal() else { return shell.draft.opaque() };
    if arguments.iter().take_while(|word| word.text != "--").any(|word| matches!(word.text.as_str(), "--help" | "-h")) {
        return;
    }
    let mut is_of_another = false;
    if let Some(tree) = tree {
        let before = shell.cwd.clone();
        shell.go(tree.literal());
        let directory = repository.as_ref().and_then(Word::literal).zip(before.as_deref());
        let directory = directory.and_then(|(path, before)| shell.draft.around.resolve(before, path, true));
        is_of_another = match (&shell.cwd, &before) {
            // Where it is told, or else where it is run, the repository begins.
            (Some(tree), _) if repository.is_some() => {
                directory.is_some_and(|directory| directory != tree.join(".git"))
            }
            (Some(tree), Some(before)) if !variables.has_directory => !before.starts_with(tree),
            _ => false,
        };
    }
    // Another repository's index is nobody's here, and which files it would write is not told.
    if is_of_another {
        return shell.draft.opaque();
    }
    shell.draft.said = Said { command: typed(name), ..Said::default() };
    match name {
        "stash" => stash(shell, arguments),
        "reset" => {
            let parsed = Parsed::of(arguments, Grammar::default());
            if parsed.has(&["hard", "merge", "keep"]) {
                shell.draft.said.source = parsed.operands.first().and_then(|commit| source(commit, false));
                let files = ActFiles { overwritten: parsed.has(&["hard"]), ..TreeVerb::ResetHard.files() };
                shell.act_on(TreeVerb::ResetHard, None, Some(files));
            }
        }
        "checkout" => checkout(shell, arguments),
        "switch" => switch(shell, arguments),
        "restore" => restore(shell, arguments),
        "clean" => clean(shell, arguments),
        "merge" => {
            let parsed = Parsed::of(arguments, Grammar::default());
            if !parsed.has(&["continue", "quit"]) {
                shell.act_on(TreeVerb::Merge, None, parsed.has(&["abort"]).then(ActFiles::default));
            }
        }
        "pull" => {
            if !Parsed::of(arguments, Grammar::default()).has(&["dry-run"]) {
                shell.act(TreeVerb::Merge, None);
            }
        }
        "rebase" | "cherry-pick" | "revert" | "am" => {
            const IDLE: [&str; 4] = ["quit", "edit-todo", "show-current-patch", "no-commit-hook"];
            let parsed = Parsed::of(arguments, Grammar::default());
            // They keep what is edited and not theirs, or git refuses. A rebase does not.
            let goes_on = name != "rebase" && parsed.has(&["continue", "r", "resolved", "skip", "abort"]);
            if !parsed.has(&IDLE) {
                shell.act_on(TreeVerb::Merge, None, goes_on.then(ActFiles::default));
            }
        }
        "bisect" => {
            let verb = arguments.first().map_or("", |word| word.text.as_str());
            let moves = matches!(verb, "good" | "bad" | "new" | "old" | "skip" | "reset" | "run" | "replay");
            if moves || verb == "start" && arguments.len() > 2 {
                shell.act(TreeVerb::Switch, None);
            }
        }
        "commit" => {
            let grammar = Grammar {
                short: "mFCct",
                attached: "uS",
                long: &[
                    "message",
                    "file",
                    "reuse-message",
                    "reedit-message",
                    "template",
                    "author",
                    "date",
                    "fixup",
                    "squash",
                    "trailer",
                    "cleanup",
                    "pathspec-from-file",
                ],
            };
            let parsed = Parsed::of(arguments, grammar);
            let takes_nothing = ["dry-run", "p", "patch", "interactive", "pathspec-from-file"];
            match (parsed.has(&["a", "all"]), &parsed.operands[..]) {
                _ if parsed.has(&takes_nothing) || variables.has_own_index => {}
                (true, []) => shell.act(TreeVerb::CommitAll, None),
                // git refuses to take all, and what is named.
                (true, _) => {}
                (false, paths) => {
                    sweep(
                        shell,
                        paths,
                        TreeVerb::CommitAll,
                        ActFiles { edited: true, staged: true, ..ActFiles::default() },
                    );
                }
            }
        }
        "add" | "stage" => {
            if !variables.has_own_index {
                add(shell, arguments);
            }
        }
        "worktree" => worktree(shell, arguments),
        // The stash goes without its own command.
        "update-ref" | "reflog" => {
            let parsed = Parsed::of(arguments, Grammar::default());
            let removes = parsed.has(&["d", "delete"])
                || parsed.operands.first().is_some_and(|verb| matches!(verb.text.as_str(), "delete" | "expire"));
            if removes && parsed.operands.iter().any(|name| names_stash(&name.text)) {
                shell.act(TreeVerb::StashDrop, None);
            }
        }
        "rm" => remove(shell, arguments),
        "mv" => rename(shell, arguments),
        "apply" => {
            let reading = ["check", "stat", "numstat", "summary", "cached"];
            if !Parsed::of(arguments, Grammar::default()).has(&reading) {
                shell.draft.opaque();
            }
        }
        "show" | "diff" | "archive" | "bundle" | "format-patch" => output(shell, name, arguments),
        "merge-file" => {
            let parsed = Parsed::of(arguments, Grammar { short: "L", ..Grammar::default() });
            if let Some(file) = parsed.operands.first().filter(|_| !parsed.has(&["p", "stdout"])) {
                shell.target(file, Reach::File);
            }
        }
        _ if HARMLESS.contains(&name) => {}
        _ => match aliases
            .iter()
            .rev()
            .find_map(|(alias, value)| Some((alias.strip_prefix(name)?.strip_prefix('=')?, value)))
        {
            Some((meaning, value)) if value.literal().is_some() => {
                let rest: Vec<String> = arguments.iter().map(|word| stopgate_core::shell::word(&word.text)).collect();
                let (program, meaning) = match meaning.strip_prefix('!') {
                    Some(script) => ("", script),
                    None => ("git ", meaning),
                };
                shell.read_again(&format!("{program}{meaning} {}", rest.join(" ")));
            }
            Some(_) => shell.draft.opaque(),
            None => shell.alias(name, arguments),
        },
    }
}

/// Git takes the work along that lies in what `pathspecs` name. A file that is named is meant: it is the caller's own, or no
/// secret to whom it belongs. A directory is taken with what anybody has there.
fn sweep(shell: &mut Shell<'_, '_>, pathspecs: &[&Word], verb: TreeVerb, files: ActFiles) {
    for path in pathspecs.iter().filter_map(|pathspec| one_path(pathspec)) {
        shell.draft.said.is_named = !is_directory(shell, path);
        shell.part(verb, &path.text, files);
    }
    shell.draft.said.is_named = false;
}

/// The command as it is typed, for those of which something is told.
fn typed(name: &str) -> Option<&'static str> {
    const KNOWN: [&str; 19] = [
        "git stash",
        "git reset",
        "git checkout",
        "git switch",
        "git restore",
        "git clean",
        "git merge",
        "git pull",
        "git rebase",
        "git cherry-pick",
        "git revert",
        "git am",
        "git bisect",
        "git commit",
        "git add",
        "git stage",
        "git worktree remove",
        "git update-ref",
        "git reflog",
    ];
    KNOWN.into_iter().find(|known| known[4..].split(' ').next() == Some(name))
}

/// Whether a reference or an entry of a log is of the stash.
fn names_stash(name: &str) -> bool {
    let name = name.strip_prefix("refs/").unwrap_or(name);
    name == "stash" || name.starts_with("stash@{")
}

/// `word` as the commit that files are taken from, where it is plainly one.
fn source(word: &Word, keeps_added: bool) -> Option<CommitSource> {
    let commit = word.literal()?;
    // What was checked out before.
    let commit = CommitName::new(if commit == "-" { "@{-1}" } else { commit })?;
    Some(CommitSource { commit, keeps_added })
}

/// Whether `path` is one, as far as it is known.
fn is_directory(shell: &Shell<'_, '_>, path: &Word) -> bool {
    path.text.ends_with('/') || matches!(path.text.as_str(), "." | "..") || kind(shell, path) == Some(Kind::Directory)
}

/// Whether the shell stands at the top of a working tree: all of it lies below.
fn is_at_top(shell: &Shell<'_, '_>) -> bool {
    shell.cwd.as_ref().is_some_and(|cwd| shell.draft.around.links.kind(&cwd.join(".git")).is_some())
}

/// Whether `pathspec` means the whole tree.
fn is_all(shell: &Shell<'_, '_>, pathspec: &Word) -> bool {
    match pathspec.literal() {
        Some(":/" | ":/." | ":(top)" | ":/*") => true,
        Some("." | "./" | "*") => is_at_top(shell),
        Some(path) if path.starts_with('/') => {
            let path = std::path::Path::new(path);
            is_at_top(shell) && shell.cwd.as_deref() == Some(path)
        }
        _ => false,
    }
}

/// What a pathspec leads to, if that is one path and no pattern.
fn one_path(pathspec: &Word) -> Option<&Word> {
    let text = pathspec.literal()?;
    (!text.starts_with(':') && !text.contains(['*', '?', '['])).then_some(pathspec)
}

/// The files of pathspecs get another content, and lose the work that `files` says. The whole tree does by `all`.
fn write(shell: &mut Shell<'_, '_>, pathspecs: &[&Word], all: TreeVerb, files: ActFiles) {
    for pathspec in pathspecs {
        if is_all(shell, pathspec) {
            shell.act_on(all, None, Some(ActFiles { is_below: false, ..files }));
        } else if let Some(path) = one_path(pathspec) {
            let is_directory = is_directory(shell, path);
            shell.target(path, if is_directory { Reach::Subtree } else { Reach::Entry });
            shell.part(all, &path.text, files);
        } else {
            shell.draft.opaque();
        }
    }
}

/// What is lost when files get the content that the index has, or a commit.
const FROM_INDEX: ActFiles = ActFiles { edited: true, ..ActFiles::NONE };
const FROM_COMMIT: ActFiles = ActFiles { staged: true, overwritten: true, ..FROM_INDEX };
/// What is lost when a file is removed, or another one takes its place.
pub(super) const ALL_WORK: ActFiles = ActFiles { staged: true, untracked: true, ignored: true, ..FROM_INDEX };

fn stash(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let (command, rest) = match arguments {
        [first, rest @ ..] if !first.text.starts_with('-') => (first.text.as_str(), rest),
        _ => ("push", arguments),
    };
    match command {
        "push" | "save" => {
            let grammar = Grammar { short: "m", attached: "", long: &["message", "pathspec-from-file"] };
            let parsed = Parsed::of(rest, grammar);
            let is_index_only = parsed.has(&["S", "staged"]);
            let files = ActFiles {
                edited: !is_index_only,
                // What is staged stays where it is, too.
                staged: !parsed.has(&["k", "keep-index"]),
                untracked: parsed.has(&["u", "include-untracked", "a", "all"]),
                ignored: parsed.has(&["a", "all"]),
                ..ActFiles::default()
            };
            if parsed.has(&["p", "patch", "pathspec-from-file"]) {
                shell.draft.opaque();
            } else if parsed.operands.is_empty() || command == "save" {
                let files = Some(files).filter(|files| *files != TreeVerb::Stash.files());
                shell.act_on(TreeVerb::Stash, None, files);
            } else {
                write(shell, &parsed.operands, TreeVerb::Stash, files);
            }
        }
        "pop" | "apply" | "branch" => shell.act(TreeVerb::StashTake, None),
        "drop" | "clear" => shell.act(TreeVerb::StashDrop, None),
        "list" | "show" | "create" | "store" | "export" | "import" => {}
        _ => shell.draft.opaque(),
    }
}

/// Whether `word` looks like the name of a file, and not like that of a branch or a version.
fn is_file_name(word: &str) -> bool {
    const ENDINGS: [&str; 42] = [
        "rs", "py", "js", "ts", "tsx", "jsx", "mjs", "cjs", "go", "java", "kt", "swift", "c", "h", "cc", "cpp", "hpp",
        "cs", "rb", "php", "md", "txt", "json", "toml", "yml", "yaml", "html", "css", "scss", "sh", "sql", "lock",
        "xml", "vue", "svelte", "ini", "cfg", "env", "svg", "lua", "ex", "exs",
    ];
    let name = word.rsplit('/').next().unwrap_or(word);
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && !stem.ends_with(|last: char| last.is_ascii_digit()) && ENDINGS.contains(&ending)
    })
}

fn checkout(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let grammar = Grammar { short: "bB", attached: "", long: &["orphan", "conflict", "pathspec-from-file"] };
    let parsed = Parsed::of(arguments, grammar);
    if parsed.has(&["p", "patch", "pathspec-from-file"]) {
        return shell.draft.opaque();
    }
    if let Some(before) = parsed.before_dashes {
        let paths = parsed.operands.get(before..).unwrap_or_default();
        if !paths.is_empty() {
            let commit = parsed.operands.first().filter(|_| before > 0);
            shell.draft.said.source = commit.and_then(|commit| source(commit, true));
            return write(shell, paths, TreeVerb::RestoreAll, if before > 0 { FROM_COMMIT } else { FROM_INDEX });
        }
    }
    if parsed.has(&["b", "B", "orphan"]) {
        // The edits stay as they are, unless it begins elsewhere.
        if parsed.operands.first().is_some_and(|start| start.text != "HEAD") {
            shell.act(TreeVerb::Switch, None);
        }
        return;
    }
    match &parsed.operands[..] {
        [] => {
            if parsed.has(&["f", "force"]) {
                shell.act_on(TreeVerb::RestoreAll, None, Some(FROM_COMMIT));
            }
        }
        [only] => one_word(shell, only, &parsed),
        [first, paths @ ..] => {
            if kind(shell, first).is_some() || first.literal().is_some_and(is_file_name) {
                write(shell, &parsed.operands, TreeVerb::RestoreAll, FROM_INDEX);
            } else {
                shell.draft.said.source = source(first, true);
                write(shell, paths, TreeVerb::RestoreAll, FROM_COMMIT);
            }
        }
    }
}

/// `git checkout WORD`: a path, or what git switches to.
fn one_word(shell: &mut Shell<'_, '_>, word: &Word, parsed: &Parsed<'_>) {
    let is_path = parsed.has(&["ours", "theirs"])
        || matches!(word.text.as_str(), "." | "./" | "..")
        || word.text.starts_with(':')
        || kind(shell, word).is_some()
        || word.literal().is_some_and(is_file_name);
    if is_path {
        write(shell, &[word], TreeVerb::RestoreAll, FROM_INDEX);
    } else if word.literal().is_none() {
        // A commit in part: `origin/$branch`, `v$version`. Or a path.
        shell.draft.opaque();
    } else if word.text != "HEAD" && word.text != "@" {
        go_to(shell, word, parsed.has(&["f", "force"]));
    } else if parsed.has(&["f", "force"]) {
        shell.act_on(TreeVerb::RestoreAll, None, Some(FROM_COMMIT));
    }
}

/// Another branch or commit is checked out.
fn go_to(shell: &mut Shell<'_, '_>, commit: &Word, is_forced: bool) {
    shell.draft.said.source = source(commit, false);
    let files = ActFiles { overwritten: is_forced, ..TreeVerb::Switch.files() };
    shell.act_on(TreeVerb::Switch, None, Some(files));
}

fn switch(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let grammar = Grammar { short: "cC", attached: "", long: &["create", "force-create", "orphan", "conflict"] };
    let parsed = Parsed::of(arguments, grammar);
    let is_new = parsed.has(&["c", "C", "create", "force-create"]);
    let start = parsed.operands.first().filter(|start| start.text != "HEAD" && start.text != "@");
    // An orphan takes all files that are tracked away.
    if let Some(start) = start.filter(|_| !is_new && !parsed.has(&["orphan"])) {
        go_to(shell, start, parsed.has(&["discard-changes", "f", "force"]));
    } else if start.is_some() || parsed.has(&["orphan"]) || !is_new && parsed.has(&["discard-changes", "f", "force"]) {
        shell.act(TreeVerb::Switch, None);
    }
}

fn restore(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let grammar = Grammar { short: "s", attached: "", long: &["source", "conflict", "pathspec-from-file"] };
    let parsed = Parsed::of(arguments, grammar);
    let is_index_only = parsed.has(&["S", "staged"]) && !parsed.has(&["W", "worktree"]);
    if is_index_only {
        return;
    }
    if parsed.has(&["p", "patch", "pathspec-from-file"]) {
        return shell.draft.opaque();
    }
    // With the index it is the commit's content that files get.
    let is_from_commit = parsed.has(&["s", "source", "S", "staged"]);
    shell.draft.said.source = parsed.value(&["s", "source"]).and_then(|commit| source(commit, false));
    write(shell, &parsed.operands, TreeVerb::RestoreAll, if is_from_commit { FROM_COMMIT } else { FROM_INDEX });
}

fn clean(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "e", attached: "", long: &["exclude"] });
    if parsed.has(&["n", "dry-run"]) || !parsed.has(&["f", "force", "i", "interactive"]) {
        return;
    }
    if parsed.has(&["i", "interactive"]) {
        return shell.draft.opaque();
    }
    let count = |names: &[&str]| parsed.options.iter().filter(|given| names.contains(&given.name)).count();
    let files = ActFiles {
        untracked: !parsed.has(&["X"]),
        ignored: parsed.has(&["x", "X"]),
        // Once forced it leaves repositories alone.
        nested: count(&["f", "force"]) > 1 && parsed.has(&["d"]),
        is_below: true,
        ..ActFiles::default()
    };
    if parsed.operands.is_empty() {
        return shell.act_on(TreeVerb::Clean, None, Some(files));
    }
    for pathspec in &parsed.operands {
        if is_all(shell, pathspec) {
            shell.act_on(TreeVerb::Clean, None, Some(files));
        } else if let Some(path) = one_path(pathspec) {
            if kind(shell, path) == Some(Kind::File) {
                shell.target(path, Reach::Entry);
                shell.part(TreeVerb::Clean, &path.text, files);
                continue;
            }
            // As if it were started there.
            let directory = shell.cwd.clone().and_then(|cwd| shell.draft.around.resolve(&cwd, &path.text, true));
            match directory {
                Some(directory) => shell.act_on(TreeVerb::Clean, Some(directory), Some(files)),
                None => shell.draft.opaque(),
            }
        } else {
            shell.draft.opaque();
        }
    }
}

fn add(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "", attached: "", long: &["chmod", "pathspec-from-file"] });
    if parsed.has(&["n", "dry-run", "p", "patch", "i", "interactive", "e", "edit", "N", "intent-to-add"]) {
        return;
    }
    let is_update = parsed.has(&["u", "update"]);
    let takes_all = is_update || parsed.has(&["A", "all", "no-ignore-removal"]);
    let files = ActFiles { edited: true, untracked: !is_update, ..ActFiles::default() };
    if parsed.operands.is_empty() && takes_all || parsed.operands.iter().any(|pathspec| is_all(shell, pathspec)) {
        shell.act_on(TreeVerb::AddAll, None, Some(files).filter(|files| *files != TreeVerb::AddAll.files()));
    } else {
        sweep(shell, &parsed.operands, TreeVerb::AddAll, files);
    }
}

fn worktree(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let [command, rest @ ..] = arguments else { return };
    let operands = Parsed::of(rest, Grammar::default()).operands;
    match command.text.as_str() {
        "remove" => {
            let Some(tree) = operands.first() else { return };
            let path: Option<PathBuf> = tree
                .literal()
                .zip(shell.cwd.as_deref())
                .and_then(|(path, cwd)| shell.draft.around.resolve(cwd, path, true));
            match path {
                Some(path) => shell.act(TreeVerb::WorktreeRemove, Some(path)),
                None => shell.draft.opaque(),
            }
        }
        "move" => {
            for tree in &operands {
                shell.target(tree, Reach::Subtree);
            }
        }
        "add" | "list" | "prune" | "lock" | "unlock" | "repair" => {}
        _ => shell.draft.opaque(),
    }
}

fn remove(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { long: &["pathspec-from-file"], ..Grammar::default() });
    if parsed.has(&["cached", "n", "dry-run"]) {
        return;
    }
    for pathspec in &parsed.operands {
        let Some(path) = one_path(pathspec) else {
            shell.draft.opaque();
            continue;
        };
        let reach = if parsed.has(&["r"]) { whole(shell, path) } else { Reach::Entry };
        shell.target(path, reach);
        // Without force git keeps what is not committed.
        if parsed.has(&["f", "force"]) {
            shell.part(TreeVerb::Remove, &path.text, ActFiles { untracked: false, ignored: false, ..ALL_WORK });
        }
    }
}

fn rename(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar::default());
    if !parsed.has(&["n", "dry-run"]) {
        super::put::copy(
            shell,
            arguments,
            if parsed.has(&["f", "force"]) { &super::put::MOVE } else { &super::put::GIT_MOVE },
        );
    }
}

/// Commands that print, or write to a file that they are told.
fn output(shell: &mut Shell<'_, '_>, name: &str, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "o", attached: "", long: &["output", "output-directory"] });
    match name {
        "bundle" => {
            if let [command, file, ..] = &parsed.operands[..]
                && command.text == "create"
            {
                shell.target(file, Reach::File);
            }
        }
        // Names that it makes up.
        "format-patch" => {
            if !parsed.has(&["stdout"]) {
                shell.draft.opaque();
            }
        }
        _ => {
            let names: &[&str] = if name == "archive" { &["o", "output"] } else { &["output"] };
            match parsed.value(names) {
                Some(file) if !file.text.contains(HOLE) => shell.target(file, Reach::File),
                Some(_) => shell.draft.opaque(),
                None => {}
            }
        }
    }
}
