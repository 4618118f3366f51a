//! A simple command: what stands before the program (assignments, `sudo`, `env`, ...), and which program it is.

use super::options::tail;
use super::read::Reach;
use super::script::{Scene, Shell};
use super::words::{HOLE, Word, is_assignment};
use super::{classify, git, patch};

/// Deepest nesting of commands that run commands (`sudo env nice ...`).
const MAX_WRAPPERS: usize = 16;

/// A program that runs another one.
struct Wrapper {
    name: &'static str,
    /// Options that are followed by a value.
    valued: &'static [&'static str],
    /// Operands before the command.
    operands: usize,
    /// Options with which nothing is run.
    idle: &'static [&'static str],
}

const fn plain(name: &'static str) -> Wrapper {
    Wrapper { name, valued: &[], operands: 0, idle: &[] }
}

const WRAPPERS: [Wrapper; 24] = [
    Wrapper {
        name: "sudo",
        valued: &["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-T", "-U", "--user", "--group", "--prompt"],
        operands: 0,
        idle: &["-l", "-v", "-k", "-K", "-e", "-D", "--chdir"],
    },
    Wrapper { name: "doas", valued: &["-u", "-C"], operands: 0, idle: &[] },
    Wrapper { name: "env", valued: &["-u", "--unset"], operands: 0, idle: &["-S", "--split-string", "-C", "--chdir"] },
    plain("nohup"),
    plain("setsid"),
    Wrapper { name: "time", valued: &["-f", "-o"], operands: 0, idle: &[] },
    Wrapper { name: "gtime", valued: &["-f", "-o"], operands: 0, idle: &[] },
    Wrapper { name: "nice", valued: &["-n", "--adjustment"], operands: 0, idle: &[] },
    Wrapper { name: "ionice", valued: &["-c", "-n", "-p"], operands: 0, idle: &[] },
    Wrapper { name: "timeout", valued: &["-k", "-s", "--signal", "--kill-after"], operands: 1, idle: &[] },
    Wrapper { name: "gtimeout", valued: &["-k", "-s", "--signal", "--kill-after"], operands: 1, idle: &[] },
    Wrapper { name: "command", valued: &[], operands: 0, idle: &["-v", "-V"] },
    Wrapper { name: "exec", valued: &["-a"], operands: 0, idle: &[] },
    plain("builtin"),
    Wrapper { name: "stdbuf", valued: &["-i", "-o", "-e"], operands: 0, idle: &[] },
    Wrapper { name: "taskset", valued: &[], operands: 1, idle: &["-p"] },
    Wrapper { name: "flock", valued: &["-w", "-E", "--timeout"], operands: 1, idle: &["-c"] },
    Wrapper { name: "caffeinate", valued: &["-t", "-w"], operands: 0, idle: &[] },
    Wrapper { name: "xvfb-run", valued: &["-n", "-s", "-e", "-f"], operands: 0, idle: &[] },
    plain("chronic"),
    plain("unbuffer"),
    plain("noglob"),
    plain("nocorrect"),
    plain("busybox"),
];

/// Shells, which take a script behind `-c`.
const SHELLS: [&str; 7] = ["bash", "sh", "zsh", "dash", "ash", "ksh", "fish"];

/// What assignments before git say.
#[derive(Debug, Clone, Default)]
pub(super) struct GitVariables {
    /// `GIT_WORK_TREE`.
    pub(super) work_tree: Option<Word>,
    /// Whether it uses another index than the tree's own.
    pub(super) has_own_index: bool,
    /// Whether it is told where the repository is.
    pub(super) has_directory: bool,
}

impl Shell<'_, '_> {
    /// A simple command of at least one word.
    pub(super) fn run(&mut self, words: &[Word], scene: &Scene<'_>) {
        self.run_below(words, scene, GitVariables::default(), MAX_WRAPPERS);
    }

    fn run_below(&mut self, mut words: &[Word], scene: &Scene<'_>, mut variables: GitVariables, left: usize) {
        while let [first, rest @ ..] = words
            && is_assignment(&first.text)
        {
            let value = |name: &str| tail(first, name.len());
            match first.text.split_once('=').map(|(name, _)| name) {
                Some("GIT_WORK_TREE") => variables.work_tree = Some(value("GIT_WORK_TREE=")),
                Some("GIT_INDEX_FILE") => variables.has_own_index = true,
                Some("GIT_DIR") => variables.has_directory = true,
                _ => {}
            }
            words = rest;
        }
        let [program, arguments @ ..] = words else { return };
        let Some(path) = program.literal() else { return self.draft.opaque() };
        if left == 0 {
            return self.draft.opaque();
        }
        if !path.contains('/') && self.call(path) {
            return;
        }
        let name = match path.rsplit_once('/') {
            None => path,
            Some((directory, name)) if directory.starts_with('/') && directory.ends_with("bin") => name,
            // A program of the project may be called as it likes.
            Some(_) => return self.draft.opaque(),
        };
        match (name, arguments) {
            // Nothing but where it runs.
            ("env", [option, directory, inner @ ..]) if matches!(option.text.as_str(), "-C" | "--chdir") => {
                return self.subshell(|shell| {
                    shell.go(directory.literal());
                    if !inner.is_empty() {
                        let mut env = vec![Word::quoted("env")];
                        env.extend_from_slice(inner);
                        shell.run_below(&env, scene, variables, left - 1);
                    }
                });
            }
            ("flock", [.., _, option, script]) if matches!(option.text.as_str(), "-c" | "--command") => {
                let script = script.text.clone();
                return self.subshell(|shell| shell.again(&script));
            }
            _ => {}
        }
        if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
            return match wrapped(wrapper, arguments) {
                Some([]) => {}
                Some(inner) => self.run_below(inner, scene, variables, left - 1),
                None => self.draft.opaque(),
            };
        }
        if SHELLS.contains(&name) {
            return self.other_shell(arguments);
        }
        match name {
            "git" => git::run(self, arguments, &variables),
            "cd" | "chdir" => self.change_directory(arguments),
            "pushd" => {
                self.push();
                match arguments {
                    [to] if !to.text.starts_with(['-', '+']) => self.go(to.literal()),
                    _ => self.go(None),
                }
            }
            "popd" if arguments.is_empty() => self.pop(),
            "popd" => self.go(None),
            "eval" => self.again(&joined(arguments)),
            "trap" => {
                if let [script, _, ..] = arguments
                    && script.text != "-"
                    && !script.text.starts_with("--")
                {
                    let script = script.text.clone();
                    self.subshell(|shell| shell.again(&script));
                }
            }
            "xargs" => self.xargs(arguments, scene, left),
            "find" | "gfind" => self.find(arguments, scene, left),
            "apply_patch" | "applypatch" => self.apply_patch(arguments, scene),
            _ => classify::run(self, name, arguments, scene),
        }
    }

    /// A script within a word. What the outer shell puts into it is not known.
    fn again(&mut self, script: &str) {
        if script.contains(HOLE) {
            self.draft.opaque();
        }
        self.read_again(script);
    }

    fn other_shell(&mut self, arguments: &[Word]) {
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let text = word.text.as_str();
            if matches!(text, "--version" | "--help") {
                return;
            }
            if text.starts_with("--") {
                if text == "--command" || text == "--rcfile" || text == "--init-file" {
                    return self.draft.opaque();
                }
            } else if let Some(letters) = text.strip_prefix(['-', '+']) {
                if letters.contains('c') && !text.starts_with('+') {
                    let Some(script) = rest.find(|word| !word.text.starts_with(['-', '+'])) else { break };
                    let script = script.text.clone();
                    return self.subshell(|shell| shell.again(&script));
                }
                // Only checks, which writes nothing.
                if letters == "n" {
                    return;
                }
                if letters.ends_with(['o', 'O']) {
                    rest.next();
                }
            } else {
                break;
            }
        }
        // A script of a file, or one that is fed.
        self.draft.opaque();
    }

    fn change_directory(&mut self, arguments: &[Word]) {
        let operand = arguments.iter().find(|word| !matches!(word.text.as_str(), "-P" | "-L" | "-e" | "--"));
        match operand {
            None => {
                let home = self.draft.around.home.and_then(std::path::Path::to_str);
                self.go(home);
            }
            Some(word) if word.text == "-" => self.go_back(),
            Some(word) => self.go(word.literal()),
        }
    }

    fn xargs(&mut self, arguments: &[Word], scene: &Scene<'_>, left: usize) {
        const VALUED: [&str; 11] = ["-I", "-n", "-P", "-d", "-L", "-s", "-E", "-a", "-J", "-R", "-S"];
        let mut rest = arguments;
        let mut replaced = None;
        while let [first, after @ ..] = rest
            && first.text.starts_with('-')
        {
            rest = after;
            let text = first.text.as_str();
            if let Some(sign) =
                text.strip_prefix("-I").or_else(|| text.strip_prefix("-J")).filter(|sign| !sign.is_empty())
            {
                replaced = Some(sign.to_owned());
            } else if text == "-i" {
                replaced = Some("{}".to_owned());
            } else if (VALUED.contains(&text)
                || matches!(text, "--max-args" | "--max-procs" | "--delimiter" | "--arg-file"))
                && let [value, after @ ..] = rest
            {
                if matches!(text, "-I" | "-J") {
                    replaced = Some(value.text.clone());
                }
                rest = after;
            }
        }
        let mut command: Vec<Word> = rest.to_vec();
        // Without `-I` it means itself, but nobody has a file that is called so.
        fill(&mut command, "{}");
        match &replaced {
            Some(sign) => fill(&mut command, sign),
            None => command.push(Word::unknown()),
        }
        // Without a command it echoes.
        if !rest.is_empty() {
            self.run_below(&command, scene, GitVariables::default(), left - 1);
        }
    }

    fn find(&mut self, arguments: &[Word], scene: &Scene<'_>, left: usize) {
        const GLOBAL: [&str; 5] = ["-H", "-L", "-P", "-E", "-X"];
        let is_test = |word: &Word| word.text.starts_with(['-', '!', '(']) && !GLOBAL.contains(&word.text.as_str());
        let begin = arguments.iter().position(is_test).unwrap_or(arguments.len());
        let (places, tests) = arguments.split_at(begin);
        let mut rest = tests;
        while let [first, after @ ..] = rest {
            rest = after;
            match first.text.as_str() {
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let end =
                        rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+")).unwrap_or(rest.len());
                    let mut command = rest[..end].to_vec();
                    rest = rest.get(end + 1..).unwrap_or_default();
                    fill(&mut command, "{}");
                    let is_elsewhere = first.text.ends_with("dir");
                    self.subshell(|shell| {
                        if is_elsewhere {
                            shell.go(None);
                        }
                        if !command.is_empty() {
                            shell.run_below(&command, scene, GitVariables::default(), left - 1);
                        }
                    });
                }
                "-delete" => {
                    // Everything below, or what is not known here.
                    let is_all =
                        tests.iter().all(|word| matches!(word.text.as_str(), "-delete" | "-depth" | "-type" | "f"));
                    if !is_all {
                        self.draft.opaque();
                        continue;
                    }
                    if places.is_empty() {
                        self.target_path(".", Reach::Subtree);
                    }
                    for place in places.iter().filter(|place| !GLOBAL.contains(&place.text.as_str())) {
                        self.target(place, Reach::Subtree);
                    }
                }
                "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                    if let [file, after @ ..] = rest {
                        self.target(file, Reach::File);
                        rest = after;
                    }
                }
                _ => {}
            }
        }
    }

    fn apply_patch(&mut self, arguments: &[Word], scene: &Scene<'_>) {
        let said = arguments.iter().find_map(|word| patch::within(&word.text));
        let text = match said {
            Some(text) => Some(text),
            None if scene.is_fed && self.may_read_again(scene.rest.len()) => patch::within(scene.rest),
            None => None,
        };
        let Some(text) = text else { return self.draft.opaque() };
        let files: Vec<&str> = patch::files(text).collect();
        for file in files {
            if file.contains(HOLE) {
                self.draft.opaque();
            } else {
                self.target_path(file, Reach::File);
            }
        }
    }
}

/// The command behind a wrapper; empty if nothing is run, `None` if that is not known.
fn wrapped<'w>(wrapper: &Wrapper, arguments: &'w [Word]) -> Option<&'w [Word]> {
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        let text = first.text.as_str();
        if text == "--" {
            rest = after;
            break;
        }
        if !text.starts_with('-') || text == "-" && wrapper.name != "env" {
            break;
        }
        if wrapper.idle.contains(&text) {
            let runs_nothing =
                wrapper.name == "command" || wrapper.name == "sudo" && !matches!(text, "-e" | "-D" | "--chdir");
            return if runs_nothing { Some(&[]) } else { None };
        }
        rest = after;
        if wrapper.valued.contains(&text) {
            rest = rest.get(1..)?;
        }
    }
    // `env A=1 rm x`, `sudo A=1 rm x`: whoever runs it next takes them off.
    rest.get(wrapper.operands..).or(Some(&[]))
}

/// Puts a hole wherever `sign` stands.
fn fill(command: &mut [Word], sign: &str) {
    for word in command.iter_mut().filter(|word| !sign.is_empty() && word.text.contains(sign)) {
        word.text = word.text.replace(sign, &HOLE.to_string());
    }
}

fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        text.push_str(&word.text);
        text.push(' ');
    }
    text
}
