//! Holds the documentation to the programs: links lead somewhere, commands and options exist, man pages and completions
//! work.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use stopgate_protocol::ErrorCode;
use stopgate_tests::person::text;
use stopgate_tests::run::{Stdin, finish};
use stopgate_tests::world::{World, binary};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Every page that people read, by its path from the top of the repository.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for dir in ["", "docs", "migrations/wiring", "upgrades", "upgrades/side-effects"] {
        for entry in std::fs::read_dir(Path::new(ROOT).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = Path::new(dir).join(path.file_name().unwrap());
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(found.len() > 10, "{:?}", found.keys());
    found
}

#[test]
fn every_kind_of_failure_is_listed_with_its_exit_code() {
    let page = pages().remove(Path::new("docs/operating.md")).unwrap();
    let listed: Vec<&str> = page.lines().skip_while(|line| !line.starts_with("| `code` |")).skip(2).collect();
    let listed = listed.into_iter().take_while(|line| line.starts_with("| `"));
    let begins = |code: &ErrorCode| format!("| `{}` | {} | ", code.word(), code.exit_code());
    let expected: Vec<String> = ErrorCode::ALL.iter().map(begins).collect();
    let listed: Vec<&str> = listed.collect();
    assert_eq!(listed.len(), expected.len(), "{listed:#?}");
    for (line, begins) in listed.into_iter().zip(expected) {
        assert!(line.starts_with(&begins), "{line}");
    }
}

/// The anchor that a heading of Markdown gets.
fn anchor(heading: &str) -> String {
    let plain = heading.trim().to_lowercase();
    let kept = plain.chars().filter(|symbol| symbol.is_alphanumeric() || " -_".contains(*symbol));
    kept.collect::<String>().replace(' ', "-")
}

#[test]
fn links_lead_to_pages_and_headings_that_are_there() {
    let pages = pages();
    let mut seen = 0;
    for (name, page) in &pages {
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { name.clone() } else { name.parent().unwrap().join(path) };
            let file = Path::new(ROOT).join(&path);
            assert!(file.exists(), "{}: no such file: {target}", name.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let mut headings =
                    text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#')));
                assert!(headings.any(|one| anchor(one) == heading), "{}: no such heading: {target}", name.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "the links were not found: {seen}");
}

/// Lines of shell in `page`: code in the text, lines of `sh` blocks, and lines with a prompt in `console` blocks.
fn shell_lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block: Option<&str> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh")) => found.push(line.to_owned()),
            (None, Some("console")) => found.extend(line.strip_prefix("$ ").map(str::to_owned)),
            (None, Some(_)) => {}
            (None, None) => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    found
}

/// A command of ours in a line of shell: program, subcommands, options.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mentioned {
    program: &'static str,
    subcommands: Vec<String>,
    options: BTreeSet<String>,
}

fn mentioned(line: &str) -> Vec<Mentioned> {
    let mut found: Vec<Mentioned> = Vec::new();
    let mut in_command = false;
    let mut takes_words = false;
    let words: Vec<&str> = line.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied();
        // `cargo run -p stopgate-program -- ...`, too.
        let program = match word.rsplit('/').next() {
            Some("stopgate") => Some("stopgate"),
            Some("installer") => Some("installer"),
            Some("stopgate-program") if next == Some("--") => Some("stopgate"),
            Some("stopgate-installer") if next == Some("--") => Some("installer"),
            _ => None,
        };
        if let Some(program) = program.filter(|_| !in_command) {
            found.push(Mentioned { program, subcommands: Vec::new(), options: BTreeSet::new() });
            (in_command, takes_words) = (true, true);
        } else if matches!(*word, "&&" | "|" | "||" | ">" | ";" | "#") {
            in_command = false;
        } else if let Some(command) = found.last_mut().filter(|_| in_command && *word != "--") {
            if let Some(option) = word.strip_prefix("--") {
                let option = option.split(['=', ']', ',']).next().unwrap_or_default();
                command.options.insert(format!("--{option}"));
                takes_words = false;
            } else if takes_words && word.chars().all(|symbol| symbol.is_ascii_lowercase() || symbol == '-') {
                command.subcommands.push((*word).to_owned());
            } else {
                takes_words = false;
            }
        }
    }
    found
}

#[test]
fn every_command_and_option_that_is_mentioned_exists() {
    let world = World::new();
    let mut helps: BTreeMap<(&str, Vec<String>), Result<String, String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    // The changelog tells of the past.
    for (name, page) in pages().into_iter().filter(|(name, _)| name != Path::new("CHANGELOG.md")) {
        for line in shell_lines(&page) {
            for command in mentioned(&line) {
                let Mentioned { program, subcommands, options } = command;
                let help = helps.entry((program, subcommands.clone())).or_insert_with(|| {
                    let mut help = world.command(&binary(program));
                    help.args(&subcommands).arg("--help");
                    let output = finish(help, Stdin::from(""));
                    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
                });
                let missing = |help: &String| options.iter().find(|option| !help.contains(option.as_str())).cloned();
                match help {
                    Err(error) => wrong.push(format!("{}: {line}: {error}", name.display())),
                    Ok(help) => {
                        wrong.extend(missing(help).map(|option| format!("{}: {line}: {option}", name.display())));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(helps.len() > 40, "the commands were not found: {:?}", helps.keys());
}

#[test]
fn commands_are_found_in_shell_and_their_mistakes_with_them() {
    let found = mentioned("cd x && ~/.stopgate/bin/stopgate gate log --tail 1 | installer doctor --fix # stopgate x");
    let command = |program, subcommands: &[&str], option: &str| Mentioned {
        program,
        subcommands: subcommands.iter().map(|&word| word.to_owned()).collect(),
        options: BTreeSet::from([option.to_owned()]),
    };
    assert_eq!(found[0], command("stopgate", &["gate", "log"], "--tail"));
    // What is piped into is a command of its own.
    assert_eq!(found[1], command("installer", &["doctor"], "--fix"));
    let world = World::new();
    for bad in [&["gate", "lgo", "--help"] as &[&str], &["frobnicate", "--help"]] {
        assert!(!world.stopgate(bad).status.success(), "{bad:?}");
    }
}

fn made_by(program: &str, arguments: &[&str]) -> String {
    let mut command = World::new().command(&binary(program));
    command.args(arguments).current_dir("/");
    let output = finish(command, Stdin::from(""));
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

#[test]
fn bash_completes_commands_options_and_values() {
    let world = World::new();
    for (program, words, expected) in [
        ("stopgate", "ga", "gate"),
        ("stopgate", "mode enf", "enforce"),
        ("stopgate", "gate log --deci", "--decision"),
        ("stopgate", "build pau", "pause"),
        ("installer", "doc", "doctor"),
        ("installer", "init --harness cod", "codex"),
        ("installer", "uninstall --pur", "--purge"),
    ] {
        let file = world.root().join(format!("{program}.bash"));
        std::fs::write(&file, made_by(program, &["completions", "bash"])).unwrap();
        let checked = finish(with_path("bash", &["-n", file.to_str().unwrap()]), Stdin::from(""));
        assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
        // As readline asks: the words, which of them the cursor is in, the function with that word and the one before.
        let script = format!(
            "source '{}'; COMP_WORDS=({program} {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _{program} {program} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"; complete -p {program}",
            file.display()
        );
        let output = finish(with_path("bash", &["--norc", "-c", &script]), Stdin::from(""));
        let said = text(&output.stdout);
        assert_eq!(said.lines().next(), Some(expected), "{program} {words}: {output:?}");
        assert!(said.contains(&format!("-F _{program}")), "{said}");
    }
}

fn with_path(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").args(arguments);
    command
}

#[test]
fn other_shells_have_a_script_with_every_command() {
    for (program, commands) in [("stopgate", ["gate", "reaper", "kill"]), ("installer", ["doctor", "update", "init"])] {
        for shell in ["zsh", "fish"] {
            let script = made_by(program, &["completions", shell]);
            for command in commands {
                assert!(script.contains(command), "{program} {shell} {command}");
            }
        }
    }
}

#[test]
fn every_command_has_a_man_page_that_troff_accepts() {
    let world = World::new();
    let dir = world.root().join("man");
    std::fs::create_dir(&dir).unwrap();
    for program in ["stopgate", "installer"] {
        made_by(program, &["man", dir.to_str().unwrap()]);
    }
    for page in ["stopgate", "stopgate-gate-log", "stopgate-build-worktree-merge", "installer", "installer-doctor"] {
        let content = std::fs::read_to_string(dir.join(format!("{page}.1"))).unwrap();
        assert!(content.contains(".SH NAME") && content.contains(".SH SYNOPSIS"), "{page}: {content}");
    }
    assert!(!dir.join("installer-manifest.1").exists(), "what is for releases alone has no page");
    let groff = with_path("groff", &["--version"]).output();
    if !groff.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: there is no groff to look at the pages with");
        return;
    }
    let pages: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 60, "{pages:?}");
    let mut groff = with_path("groff", &["-man", "-ww", "-z", "-Tutf8"]);
    groff.args(&pages);
    let output = finish(groff, Stdin::from(""));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// The module of a test and its name.
fn names_of_tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect()
}

/// Whether a test of this target is called so.
fn is_test(module: &str, name: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(format!("{module}.rs"));
    let Ok(source) = std::fs::read_to_string(file) else { return false };
    let lines: Vec<_> = source.lines().collect();
    let starts = [format!("fn {name}("), format!("fn {name}<")];
    let Some(at) = lines.iter().position(|line| starts.iter().any(|start| line.starts_with(start))) else {
        return false;
    };
    lines[..at]
        .iter()
        .rev()
        // The attributes of one with many cases take many lines.
        .take_while(|line| !line.is_empty() && !line.starts_with("fn "))
        .any(|line| ["#[test]", "#[rstest]"].contains(line))
}

#[test]
fn every_line_about_what_an_agent_can_do_names_the_tests_that_hold_it() {
    assert!(is_test("documentation", "every_line_about_what_an_agent_can_do_names_the_tests_that_hold_it"));
    assert!(!is_test("documentation", "is_test") && !is_test("documentation", "never_was") && !is_test("nowhere", "x"));
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md")).unwrap();
    let (_, section) = page.split_once("## What an agent that runs as you can do").unwrap();
    let section = section.split_once("\n## ").unwrap().0;
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 20, "{rows:#?}");
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(!names_of_tests(row[2]).is_empty(), "no test is named: {row:?}");
    }
    // What is said below the table, too.
    for (module, name) in names_of_tests(section) {
        assert!(is_test(module, name) || (module, name) == ("module", "name"), "there is no test {module}::{name}");
    }
}
