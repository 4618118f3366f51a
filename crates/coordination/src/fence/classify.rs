//! What a program other than git would write, by its name, options and operands.
//!
//! Three classes: it only reads (nothing is added), it writes what it names (targets), or it is not known (opaque). Modes
//! and owners of files are no content: `chmod` and `chown` write nothing, and neither does `mkdir`.

use super::TreeVerb;
use super::options::{Given, Grammar, Parsed, tail};
use super::place::Kind;
use super::read::Reach;
use super::script::{Scene, Shell};
use super::words::Word;
use super::{fetch, put};

/// Programs and builtins that write no file that they name, with whatever options.
#[rustfmt::skip]
const READERS: &[&str] = &[
    ":", "[", "ack", "ag", "alias", "arch", "b2sum", "base32", "base64", "basename", "bat", "batcat", "bc", "bind", "break",
    "cal", "cat", "chgrp", "chmod", "chown", "cksum", "clear", "cloc", "cmp", "cmark", "column", "comm", "compgen", "complete",
    "continue", "cut", "date", "dc", "declare", "delta", "df", "diff", "difft", "dig", "dirname", "dirs", "disown", "du",
    "echo", "egrep", "enable", "exa", "exit", "expand", "export", "expr", "eza", "factor", "false", "fc", "fg", "fgrep",
    "file", "fmt", "fold", "free", "getconf", "getent", "getopts", "grep", "groups", "hash", "head", "help",
    "hexdump", "hexyl", "history", "host", "hostname", "hostnamectl", "htop", "id", "info", "iostat", "ip", "jobs", "join",
    "jq", "kill", "killall", "last", "ldd", "less", "let", "ll", "local", "locale", "locate", "look", "ls", "lsblk", "lscpu",
    "lsof", "lsb_release", "man", "mapfile", "md5", "md5sum", "mkdir", "mkfifo", "mktemp", "more", "mount", "netstat", "nl", "nm",
    "nproc", "nslookup", "numfmt", "objdump", "od", "otool", "paste", "pathchk", "pgrep", "pidof", "ping", "pkill", "popd", "pr",
    "printenv", "printf", "prove", "ps", "pstree", "pwd", "read", "readarray", "readelf", "readlink", "readonly", "realpath",
    "return", "rev", "rg", "ripgrep", "seq", "set", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "shasum",
    "shellcheck", "shift", "shopt", "size", "sleep", "ss", "stat", "strings", "stty", "sum", "sw_vers", "sync", "tac", "tail",
    "test", "tokei", "top", "tput", "tr", "tree", "true", "tsort", "tty", "type", "typeset", "ulimit", "umask", "unalias",
    "uname", "unexpand", "unset", "uptime", "users", "vmstat", "w", "wait", "wc", "print", "shuf", "whatis", "where", "whereis", "which", "who",
    "whoami", "xzcat", "yes", "zcat", "zgrep", "zstdcat", "bzcat", "pytest", "xmllint", "nvidia-smi", "fd", "fdfind",
];

/// A program that is known by name, `arguments` behind it.
pub(super) fn run(shell: &mut Shell<'_, '_>, name: &str, arguments: &[Word], scene: &Scene<'_>) {
    if let [only] = arguments
        && matches!(only.text.as_str(), "--help" | "--version")
    {
        return;
    }
    match name.strip_prefix('g').filter(|name| COREUTILS.contains(name)).unwrap_or(name) {
        "fd" | "fdfind" => {
            if arguments.iter().any(|word| matches!(word.text.as_str(), "-x" | "-X" | "--exec" | "--exec-batch")) {
                shell.draft.opaque();
            }
        }
        name if READERS.contains(&name) => {}
        "tee" | "sponge" => each(shell, &Parsed::of(arguments, Grammar::default()).operands, Reach::File),
        "sed" => sed(shell, arguments),
        "perl" | "ruby" => perl(shell, arguments),
        "cp" => put::copy(shell, arguments, &put::COPY),
        "mv" => put::copy(shell, arguments, &put::MOVE),
        "install" => put::copy(shell, arguments, &put::INSTALL),
        "ln" => put::copy(shell, arguments, &put::LINK),
        "rm" => {
            let parsed = Parsed::of(arguments, Grammar::default());
            let is_deep = parsed.has(&["r", "R", "recursive"]);
            for operand in &parsed.operands {
                let reach = if is_deep { whole(shell, operand) } else { Reach::Entry };
                shell.target(operand, reach);
                shell.discard(operand, TreeVerb::Remove, super::git::ALL_WORK);
            }
        }
        "unlink" => {
            for operand in &Parsed::of(arguments, Grammar::default()).operands {
                shell.target(operand, Reach::Entry);
                shell.discard(operand, TreeVerb::Remove, super::git::ALL_WORK);
            }
        }
        "rmdir" => each(shell, &Parsed::of(arguments, Grammar::default()).operands, Reach::Entry),
        "trash" | "trash-put" | "rimraf" => {
            for operand in &Parsed::of(arguments, Grammar::default()).operands {
                let reach = whole(shell, operand);
                shell.target(operand, reach);
                shell.discard(operand, TreeVerb::Remove, super::git::ALL_WORK);
            }
        }
        "shred" => each(shell, &operands(arguments, "ns", &["iterations", "size"]), Reach::File),
        "truncate" => each(shell, &operands(arguments, "sr", &["size", "reference"]), Reach::File),
        "touch" => each(shell, &operands(arguments, "dtrA", &["date", "reference", "time"]), Reach::File),
        "rsync" => put::rsync(shell, arguments),
        "dd" => {
            for word in arguments.iter().filter(|word| word.text.starts_with("of=")) {
                shell.target(&tail(word, "of=".len()), Reach::File);
            }
        }
        "patch" => patch(shell, arguments),
        "sort" => {
            let grammar = Grammar {
                short: "oktST",
                attached: "",
                long: &["output", "key", "field-separator", "temporary-directory"],
            };
            written_to(shell, &Parsed::of(arguments, grammar), &["o", "output"]);
        }
        "uniq" => second(shell, &operands(arguments, "fsw", &["skip-fields", "skip-chars", "check-chars"])),
        "xxd" => second(shell, &operands(arguments, "clsonR", &[])),
        "curl" => fetch::curl(shell, arguments),
        "wget" => fetch::wget(shell, arguments),
        "tar" | "bsdtar" => tar(shell, arguments),
        "zip" => {
            if let Some(archive) =
                operands(arguments, "PbtnO", &["password", "temp-path"]).first().filter(|word| word.text != "-")
            {
                match archive.literal() {
                    Some(path) if !path.rsplit('/').next().unwrap_or_default().contains('.') => {
                        shell.target_path(&format!("{path}.zip"), Reach::Entry);
                    }
                    _ => shell.target(archive, Reach::Entry),
                }
            }
        }
        "unzip" => unless(shell, arguments, &["l", "t", "p", "Z", "v", "z"]),
        "gzip" | "gunzip" | "bzip2" | "bunzip2" | "xz" | "unxz" | "zstd" | "unzstd" => {
            packed(shell, name, arguments);
        }
        "ed" | "ex" => each(shell, &operands(arguments, "cpS", &[]), Reach::File),
        "yq" => {
            let grammar =
                Grammar { short: "opI", attached: "", long: &["output-format", "input-format", "indent", "from-file"] };
            let parsed = Parsed::of(arguments, grammar);
            if parsed.has(&["i", "inplace", "in-place"]) {
                let is_named = parsed.operands.first().is_some_and(|word| matches!(word.text.as_str(), "e" | "eval"));
                each(shell, parsed.operands.get(1 + usize::from(is_named)..).unwrap_or_default(), Reach::Entry);
            }
        }
        "awk" | "gawk" | "mawk" | "nawk" => awk(shell, arguments),
        "gofmt" | "goimports" | "gofumpt" => {
            if arguments.iter().any(|word| word.text == "-w") {
                each(shell, &operands(arguments, "r", &[]), Reach::Entry);
            }
        }
        "rustfmt" => {
            let parsed = Parsed::of(
                arguments,
                Grammar { long: &["edition", "config", "config-path", "emit"], ..Grammar::default() },
            );
            if !parsed.has(&["check", "emit"]) {
                each(shell, &parsed.operands, Reach::Entry);
            }
        }
        "clang-format" => {
            if arguments.iter().any(|word| word.text == "-i") {
                let files: Vec<&Word> = arguments.iter().filter(|word| !word.text.starts_with('-')).collect();
                each(shell, &files, Reach::Entry);
            }
        }
        "dos2unix" | "unix2dos" => {
            let parsed = Parsed::of(arguments, Grammar::default());
            if parsed.has(&["n", "newfile"]) {
                second(shell, &parsed.operands);
            } else {
                each(shell, &parsed.operands, Reach::Entry);
            }
        }
        "gh" => github(shell, arguments),
        "cargo" => known_commands(shell, arguments, CARGO, &["--fix"]),
        "go" => known_commands(shell, arguments, &["build", "env", "list", "test", "version", "vet", "doc"], &["-o"]),
        "npm" | "pnpm" | "yarn" => {
            known_commands(shell, arguments, &["test", "t", "ls", "list", "view", "outdated", "why"], &[]);
        }
        "pip" | "pip3" => known_commands(shell, arguments, &["list", "show", "freeze", "check"], &[]),
        "make" | "gmake" => {
            if !arguments.iter().any(|word| matches!(word.text.as_str(), "-n" | "--dry-run" | "--just-print")) {
                shell.draft.opaque();
            }
        }
        "python" | "python3" | "node" => {
            if !arguments.iter().all(|word| matches!(word.text.as_str(), "-V" | "-v"))
                || scene.is_fed
                || arguments.is_empty()
            {
                shell.draft.opaque();
            }
        }
        _ => shell.draft.opaque(),
    }
}

/// Those that a package manager of macOS installs with a `g` before their names.
const COREUTILS: [&str; 16] = [
    "cp", "mv", "rm", "ln", "install", "sed", "tee", "touch", "truncate", "sort", "uniq", "dd", "rmdir", "cat", "tar",
    "awk",
];

/// Commands of cargo that write to its own directory alone.
const CARGO: &[&str] = &[
    "audit",
    "b",
    "bench",
    "build",
    "c",
    "check",
    "clippy",
    "deny",
    "doc",
    "help",
    "llvm-cov",
    "locate-project",
    "machete",
    "metadata",
    "nextest",
    "pkgid",
    "read-manifest",
    "search",
    "t",
    "test",
    "tree",
    "version",
];

fn operands<'w>(arguments: &'w [Word], short: &'static str, long: &'static [&'static str]) -> Vec<&'w Word> {
    Parsed::of(arguments, Grammar { short, attached: "", long }).operands
}

fn each(shell: &mut Shell<'_, '_>, files: &[&Word], reach: Reach) {
    for file in files.iter().filter(|file| file.text != "-") {
        shell.target(file, reach);
    }
}

fn second(shell: &mut Shell<'_, '_>, operands: &[&Word]) {
    if let Some(output) = operands.get(1) {
        each(shell, &[output], Reach::File);
    }
}

/// The values of options that name a file to write.
pub(super) fn written_to(shell: &mut Shell<'_, '_>, parsed: &Parsed<'_>, names: &[&str]) {
    for Given { value, .. } in parsed.options.iter().filter(|given| names.contains(&given.name)) {
        match value {
            Some(file) if file.text == "-" => {}
            Some(file) => shell.target(file, Reach::File),
            None => shell.draft.opaque(),
        }
    }
}

/// Opaque, but for options with which it only reads.
fn unless(shell: &mut Shell<'_, '_>, arguments: &[Word], reading: &[&str]) {
    if !Parsed::of(arguments, Grammar::default()).has(reading) {
        shell.draft.opaque();
    }
}

/// What is at `path`, if that is known.
pub(super) fn kind(shell: &Shell<'_, '_>, path: &Word) -> Option<Kind> {
    let path = path.literal()?;
    let around = shell.draft.around;
    let path = around.resolve(shell.cwd.as_deref()?, path, true)?;
    around.links.kind(&path)
}

/// All that may be at `path`: no more than the file, if it is known to be one.
pub(super) fn whole(shell: &Shell<'_, '_>, path: &Word) -> Reach {
    if kind(shell, path) == Some(Kind::File) { Reach::Entry } else { Reach::Subtree }
}

/// Edits in place: all that is left of the operands are files.
fn edited(shell: &mut Shell<'_, '_>, files: &[&Word]) {
    each(shell, files, Reach::Entry);
}

fn sed(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let grammar = Grammar { short: "efl", attached: "iI", long: &["expression", "file", "line-length"] };
    let parsed = Parsed::of(arguments, grammar);
    if !parsed.has(&["i", "I", "in-place"]) {
        return;
    }
    let has_script = parsed.has(&["e", "f", "expression", "file"]);
    // BSD's takes the suffix of the copy as a word of its own, which may be empty.
    let is_suffix =
        |word: &Word| word.text.is_empty() || matches!(word.text.as_str(), ".bak" | ".orig" | ".old" | ".tmp");
    let mut files = &parsed.operands[..];
    if let [first, rest @ ..] = files
        && is_suffix(first)
    {
        files = rest;
    }
    edited(shell, if has_script { files } else { files.get(1..).unwrap_or_default() });
}

/// `gzip` and its like: a file that is named makes way for another one.
fn packed(shell: &mut Shell<'_, '_>, name: &str, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "S", attached: "", long: &["suffix"] });
    // Without a file it is a filter.
    if parsed.has(&["c", "stdout", "to-stdout", "l", "list", "t", "test"]) {
        return;
    }
    let ending = match name.trim_start_matches("un") {
        "gzip" => ".gz",
        "bzip2" => ".bz2",
        "xz" => ".xz",
        _ => "",
    };
    let is_plain = !ending.is_empty() && !parsed.has(&["d", "decompress", "r", "recursive", "S", "suffix"]);
    for file in &parsed.operands {
        match file.literal() {
            Some(path) if is_plain && !name.starts_with("un") => {
                if !parsed.has(&["k", "keep"]) {
                    shell.target(file, Reach::Entry);
                }
                shell.target_path(&format!("{path}{ending}"), Reach::Entry);
            }
            _ => shell.draft.opaque(),
        }
    }
}

fn perl(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "eE", attached: "iMmIF", long: &[] });
    let is_given = parsed.has(&["e", "E"]);
    if is_given && parsed.has(&["i"]) {
        edited(shell, &parsed.operands);
    } else if !(is_given && parsed.has(&["n", "p"]) || parsed.has(&["v", "c"])) {
        shell.draft.opaque();
    }
}

fn awk(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let parsed = Parsed::of(arguments, Grammar { short: "Fvfi", attached: "", long: &["assign", "file", "include"] });
    let has_file = parsed.has(&["f", "file"]);
    let is_in_place =
        ["i", "include"].iter().any(|name| parsed.value(&[name]).is_some_and(|value| value.text == "inplace"));
    if is_in_place {
        edited(shell, if has_file { &parsed.operands } else { parsed.operands.get(1..).unwrap_or_default() });
    } else if let Some(program) = parsed.operands.first() {
        // Its programs can write, too; what is compared is mostly a number or a name.
        let writes = ["> \"", ">\"", "> (", ">(", "system(", "| \"", "|\"", "print >", "printf >"];
        if !has_file && writes.iter().any(|sign| program.text.contains(sign)) {
            shell.draft.opaque();
        }
    }
}

fn patch(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let long = &["strip", "input", "directory", "output", "reject-file", "prefix", "suffix", "fuzz"];
    let parsed = Parsed::of(arguments, Grammar { short: "pidorBDFVYz", attached: "", long });
    if parsed.has(&["dry-run", "C", "check"]) {
        return;
    }
    let output = parsed.value(&["o", "output"]);
    match (output, parsed.operands.first()) {
        _ if parsed.has(&["d", "directory"]) => shell.draft.opaque(),
        (Some(file), _) => shell.target(file, Reach::File),
        (None, Some(file)) => shell.target(file, Reach::Entry),
        (None, None) => shell.draft.opaque(),
    }
}

fn tar(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let Some(first) = arguments.first() else { return };
    let is_bundle = !first.text.starts_with('-');
    let long = &["file", "directory", "exclude", "files-from", "transform", "exclude-from", "use-compress-program"];
    let parsed =
        Parsed::of(if is_bundle { &arguments[1..] } else { arguments }, Grammar { short: "fCTXI", attached: "", long });
    let is_mode =
        |letter: &str, name: &str| if is_bundle { first.text.contains(letter) } else { parsed.has(&[letter, name]) };
    if is_mode("t", "list") {
        return;
    }
    if !(is_mode("c", "create") || is_mode("r", "append") || is_mode("u", "update")) {
        return shell.draft.opaque();
    }
    let archive = if is_bundle { parsed.operands.first().copied() } else { parsed.value(&["f", "file"]) };
    match archive {
        Some(archive) if archive.text != "-" && (!is_bundle || first.text.contains('f')) => {
            shell.target(archive, Reach::File);
        }
        _ => {}
    }
}

fn github(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let operands = operands(arguments, "R", &["repo", "json", "jq", "title", "body", "template"]);
    let said = |at: usize| operands.get(at).map_or("", |word| word.text.as_str());
    match (said(0), said(1)) {
        ("pr" | "co", "checkout") | ("co", _) => shell.act(TreeVerb::Switch, None),
        ("pr", "merge") | ("repo", "sync") | ("release" | "run" | "gist", "download" | "clone" | "edit") => {
            shell.draft.opaque();
        }
        (
            "pr" | "issue" | "repo" | "run" | "release" | "workflow" | "gist" | "api" | "auth" | "search" | "status"
            | "label" | "cache" | "secret" | "variable" | "project" | "help" | "",
            _,
        ) => {}
        _ => shell.draft.opaque(),
    }
}

/// Opaque, but for the commands `reading`, unless one of the words `but` is given.
fn known_commands(shell: &mut Shell<'_, '_>, arguments: &[Word], reading: &[&str], but: &[&str]) {
    let command = arguments.iter().find(|word| !word.text.starts_with(['-', '+']));
    let is_reading = match command {
        Some(command) => reading.contains(&command.text.as_str()),
        None => {
            arguments.iter().any(|word| matches!(word.text.as_str(), "-V" | "-v" | "--version" | "--list" | "--help"))
        }
    };
    // `cargo fmt --check` and `npm run lint -- --check` change nothing.
    let only_checks =
        command.is_some_and(|command| command.text == "fmt") && arguments.iter().any(|word| word.text == "--check");
    if !(is_reading || only_checks) || arguments.iter().any(|word| but.contains(&word.text.as_str())) {
        shell.draft.opaque();
    }
}
