//! What both programs make of their arguments: every help text, and what is wrong usage. Nothing here opens a home.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use stopgate_tests::world::binary;

/// `program` in an empty home, with nothing of the tests' own environment.
fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(binary(program));
    command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = commands.lines().take_while(|line| !line.is_empty());
    // Deeper lines go on with the text of the one before.
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Adds the help of `path` and of all commands below it to `all`.
fn collect(program: &str, path: &[String], home: &Path, all: &mut String) {
    let output =
        command(program, home).args(path).arg("--help").assert().success().stderr("").get_output().stdout.clone();
    let help = String::from_utf8(output).unwrap();
    let called = std::iter::once(program).chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    all.extend(["==== ", &called, " --help\n", &help, "\n"]);
    for name in listed(&help) {
        collect(program, &[path, &[name]].concat(), home, all);
    }
}

/// Every help text of `program`, the parents' first.
fn helps(program: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut all = String::new();
    collect(program, &[], home.path(), &mut all);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "help opens nothing");
    // Lines end where their text does, whatever clap pads them with.
    all.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn help_of_stopgate() {
    insta::assert_snapshot!(helps("stopgate"));
}

#[test]
fn help_of_installer() {
    insta::assert_snapshot!(helps("installer"));
}

#[test]
fn versions_are_those_of_the_package() {
    let home = tempfile::tempdir().unwrap();
    for program in ["stopgate", "installer"] {
        let version = format!("{program} {}\n", env!("CARGO_PKG_VERSION"));
        command(program, home.path()).arg("--version").assert().success().stdout(version).stderr("");
    }
}

/// Wrong usage is exit 2, one text on stderr, nothing on stdout, and nothing in the home.
#[test]
fn wrong_usage_says_what_is_wrong_and_does_nothing() {
    let cases: [(&str, &[&str], &str); 9] = [
        ("stopgate", &["modes"], "unrecognized subcommand 'modes'"),
        ("stopgate", &["mode", "loud"], "invalid value 'loud'"),
        ("stopgate", &["gate", "log", "--tail", "many"], "invalid value 'many' for '--tail"),
        ("stopgate", &["explain"], "required arguments were not provided"),
        ("stopgate", &["top", "--interval", "0"], "0 is not in 1..=3600"),
        ("stopgate", &["sessions", "--nowhere"], "unexpected argument '--nowhere'"),
        ("installer", &["init", "--scope", "nowhere"], "invalid value 'nowhere' for '--scope"),
        ("installer", &["init", "--harness", "nobody"], "invalid value 'nobody' for '--harness"),
        ("installer", &["instal"], "unrecognized subcommand 'instal'"),
    ];
    let home = tempfile::tempdir().unwrap();
    for (program, arguments, says) in cases {
        let assert = command(program, home.path()).args(arguments).assert().code(2).stdout("");
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(said.contains(says) && said.contains("--help"), "{program} {arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is made");
}

/// A program that reads JSON reads why there is none of what it asked for in the same way from everywhere.
#[test]
fn a_failure_is_one_object_for_whoever_asked_for_json() {
    let cases: [(&str, &[&str], &str, i32); 8] = [
        ("stopgate", &["mode", "loud", "--json"], "usage", 2),
        ("stopgate", &["explain", "--json"], "usage", 2),
        ("stopgate", &["gate", "log", "--json", "--tail", "many"], "usage", 2),
        ("stopgate", &["mode", "enforce", "--json"], "no_consent", 2),
        ("stopgate", &["gate", "contest", " ", "--json"], "usage", 2),
        ("stopgate", &["build", "status", "--json"], "failed", 1),
        ("installer", &["init", "--json", "--scope", "nowhere"], "usage", 2),
        ("installer", &["init", "--json", "--project", "nowhere", "--yes"], "refused", 2),
    ];
    let home = tempfile::tempdir().unwrap();
    for (program, arguments, code, exit) in cases {
        let asked = command(program, home.path()).args(arguments).env("STOPGATE_NO_AUTOSTART", "1").assert().code(exit);
        let output = asked.get_output();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let fields: Vec<&String> = said["error"].as_object().unwrap().keys().collect();
        assert_eq!((&said["error"]["code"], fields.len()), (&Value::from(code), 3), "{program} {arguments:?}: {said}");
        let message = said["error"]["message"].as_str().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!message.is_empty() && told.contains(message), "{said}: {output:?}");
    }
    for (program, arguments) in [("stopgate", ["--help", "--json"]), ("installer", ["init", "--help"])] {
        let shown = command(program, home.path()).args(arguments).assert().success();
        assert!(!shown.get_output().stdout.starts_with(b"{"), "help is help");
    }
    // What follows `--` is no option.
    command("stopgate", home.path()).args(["gate", "contest", "--nowhere", "--", "--json"]).assert().code(2).stdout("");
}

#[test]
fn without_a_command_the_help_is_shown_as_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    for program in ["stopgate", "installer"] {
        let assert = command(program, home.path()).assert().code(2).stdout("");
        assert!(String::from_utf8_lossy(&assert.get_output().stderr).contains("Usage:"), "{program}");
    }
}
