//! Several accounts of one person: each is a place of its own, whatever the environment says later.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use stopgate_tests::codex_driver::real_codex;
use stopgate_tests::person::{Person, finding_ids, read_settings, registered, text, tree};
use stopgate_tests::run::{Stdin, finish};

const CLAUDE: &str = "CLAUDE_CONFIG_DIR";
const CODEX: &str = "CODEX_HOME";

/// A person with accounts.
struct Accounts {
    person: Person,
}

impl Accounts {
    fn new() -> Self {
        Self { person: Person::new() }
    }

    /// With the real Codex, if it is there.
    fn with_codex() -> Option<Self> {
        let codex = real_codex()?;
        let accounts = Self::new();
        let bin = accounts.person.world.root().join("codex bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(codex, bin.join("codex")).unwrap();
        Some(accounts)
    }

    /// The directory of an account; with `file` in it.
    fn dir(&self, name: &str, file: &str, content: &str) -> PathBuf {
        let dir = self.person.dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(file), content).unwrap();
        dir
    }

    fn run(&self, account: Option<(&str, &Path)>, arguments: &[&str]) -> Output {
        let mut command = self.person.installer(arguments);
        let bin = self.person.world.root().join("codex bin");
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("STOPGATE_NO_AUTOSTART", "1").envs(account);
        finish(command, Stdin::from(""))
    }

    #[track_caller]
    fn must(&self, account: Option<(&str, &Path)>, arguments: &[&str]) -> String {
        let output = self.run(account, arguments);
        assert!(output.status.success(), "installer {arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn install(&self, account: Option<(&str, &Path)>, arguments: &[&str]) -> String {
        self.must(account, &[&["init", "--yes", "--no-live-check"], arguments].concat())
    }

    fn doctor(&self, account: Option<(&str, &Path)>) -> (i32, Value) {
        let output = self.run(account, &["doctor", "--json", "--no-fire"]);
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The files that the doctor tells of.
    fn told(&self, account: Option<(&str, &Path)>) -> Vec<PathBuf> {
        let (code, report) = self.doctor(account);
        assert_eq!((code, finding_ids(&report)), (0, vec![]), "{report:#}");
        let rows = report["registered"].as_array().unwrap().iter();
        let mut files: Vec<PathBuf> = rows.map(|row| row["file"].as_str().unwrap().into()).collect();
        files.dedup();
        files
    }

    /// A command that the installer told the person to run, by a shell.
    fn follow(&self, line: &str) -> Output {
        let bin = self.person.world.home.bin();
        let mut shell = self.person.command(Path::new("/bin/sh"));
        shell.args(["-c", line]).env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        shell.env("STOPGATE_NO_AUTOSTART", "1");
        finish(shell, Stdin::from(""))
    }
}

#[test]
fn each_account_is_a_place_of_its_own_and_all_are_taken_back_when_the_variable_is_gone() {
    let accounts = Accounts::new();
    let settings = |name: &str, model: &str| {
        accounts.dir(name, "settings.json", &format!("{{ \"model\":\n \"{model}\" }}")).join("settings.json")
    };
    let files = [settings(".claude", "a"), settings("work account", "b"), settings("it's é", "c")];
    let before = files.each_ref().map(|file| std::fs::read(file).unwrap());
    let account = |nth: usize| (nth > 0).then(|| (CLAUDE, files[nth].parent().unwrap()));
    for nth in 0..3 {
        let said = accounts.install(account(nth), &[]);
        assert_eq!(said.contains("take it back: CLAUDE_CONFIG_DIR="), nth > 0, "{said}");
    }
    // Whichever is the current one, the doctor tells of each by its path.
    for nth in 0..3 {
        assert_eq!(accounts.told(account(nth)), files);
    }
    // One of them is taken back by the command that `init` told of, and nothing else.
    let said = accounts.install(account(2), &[]);
    let undo = said.lines().find_map(|line| line.split_once("take it back: ")).unwrap().1;
    let output = accounts.follow(&format!("{undo} --yes"));
    assert!(output.status.success(), "{undo}: {output:?}");
    assert_eq!(std::fs::read(&files[2]).unwrap(), before[2]);
    assert_eq!(accounts.told(None), files[..2]);
    // Another copy of each in one second, of files that are the same to the byte.
    let said = accounts.must(None, &["uninstall", "--all", "--yes"]);
    assert!(said.contains("authority") || !said.is_empty());
    assert_eq!(files.each_ref().map(|file| std::fs::read(file).unwrap()), before);
}

#[test]
fn two_accounts_with_the_same_bytes_have_a_backup_each() {
    let accounts = Accounts::new();
    let same = ["one", "two", "three"].map(|name| accounts.dir(name, "settings.json", "{}\n").join("settings.json"));
    for file in &same {
        accounts.install(Some((CLAUDE, file.parent().unwrap())), &[]);
    }
    let listed: Value = serde_json::from_slice(&accounts.run(None, &["restore", "--json"]).stdout).unwrap();
    let kept = listed["backups"].as_array().unwrap();
    for file in &same {
        let one = kept.iter().find(|kept| kept["path"].as_str().map(Path::new) == Some(file));
        let id = one.unwrap_or_else(|| panic!("no copy of {}: {listed:#}", file.display()))["id"].as_str().unwrap();
        accounts.must(None, &["restore", id, "--yes"]);
        assert_eq!(std::fs::read(file).unwrap(), b"{}\n");
    }
}

#[test]
fn an_account_that_is_gone_is_told_of_once_with_the_remedy_and_fails_nothing() {
    let accounts = Accounts::new();
    accounts.install(None, &[]);
    let gone = accounts.dir("work account", "settings.json", "{}");
    accounts.install(Some((CLAUDE, &gone)), &[]);
    std::fs::remove_dir_all(&gone).unwrap();

    for account in [None, Some((CLAUDE, gone.as_path()))] {
        let (code, report) = accounts.doctor(account);
        assert_eq!((code, finding_ids(&report)), (0, vec!["place-gone"]), "{report:#}");
    }
    accounts.must(None, &["doctor", "--fix"]);
    let migrated = accounts.must(None, &["migrate"]);
    assert!(migrated.contains("is gone; `CLAUDE_CONFIG_DIR='"), "{migrated}");
    assert!(!gone.exists(), "nobody makes it again");

    let (_, report) = accounts.doctor(None);
    let fix = report["findings"][0]["fix"].as_str().unwrap();
    let command = fix.split('`').nth(1).unwrap();
    let output = accounts.follow(&format!("{command} --yes"));
    assert!(output.status.success(), "{command}: {output:?}");
    assert_eq!(accounts.told(None), [accounts.person.settings()]);
    // It is back, as from a disk that was not there: then it is nobody's.
    std::fs::create_dir(&gone).unwrap();
    assert_eq!(accounts.told(None), [accounts.person.settings()]);
}

#[test]
fn two_paths_to_one_file_are_one_place() {
    let accounts = Accounts::new();
    let real = accounts.dir(".claude", "settings.json", "{ }");
    let before = tree(&real);
    let link = accounts.person.dir().join("linked account");
    symlink(&real, &link).unwrap();
    accounts.install(None, &[]);
    let once = tree(&real);
    for way in [link.clone(), accounts.person.dir().join("x/../.claude/.")] {
        std::fs::create_dir_all(accounts.person.dir().join("x")).unwrap();
        accounts.install(Some((CLAUDE, &way)), &[]);
        assert!(tree(&real) == once);
        assert_eq!(accounts.told(Some((CLAUDE, &way))), [real.join("settings.json")]);
    }
    accounts.must(Some((CLAUDE, &link)), &["uninstall", "--yes"]);
    assert!(tree(&real) == before, "exactly, and through the other path");
}

#[test]
fn what_switches_hooks_off_in_another_account_is_found_from_here() {
    let accounts = Accounts::new();
    accounts.install(None, &[]);
    let other = accounts.dir("other", "settings.json", "{}");
    accounts.install(Some((CLAUDE, &other)), &[]);
    let mut settings = read_settings(&other.join("settings.json"));
    settings["disableAllHooks"] = json!(true);
    std::fs::write(other.join("settings.json"), settings.to_string()).unwrap();
    let (code, report) = accounts.doctor(None);
    assert_eq!((code, finding_ids(&report)), (1, vec!["hooks-disabled"]), "{report:#}");
    assert_eq!(report["findings"][0]["subject"], json!(other.join("settings.json")));
    assert!(!registered(&settings).is_empty());
}

const CONFIG: &str = "# mine\nmodel = \"x\" # keep\n";

#[test]
fn trust_is_given_and_taken_back_in_each_account_of_codex() {
    let Some(accounts) = Accounts::with_codex() else { return };
    let dirs = [".codex", "work account", "linked to by another"].map(|name| accounts.dir(name, "config.toml", CONFIG));
    let link = accounts.person.dir().join("third");
    symlink(&dirs[2], &link).unwrap();
    let ways = [None, Some((CODEX, dirs[1].as_path())), Some((CODEX, link.as_path()))];
    for way in ways {
        accounts.install(way, &["--harness", "codex", "--trust"]);
    }
    let trusted = dirs.each_ref().map(|dir| std::fs::read_to_string(dir.join("config.toml")).unwrap());
    assert!(trusted.iter().all(|config| config.contains("trusted_hash")), "{trusted:#?}");
    // All is well, whoever asks.
    for way in ways {
        assert_eq!(accounts.told(way).len(), 3);
    }
    // Trust that one of them lost is told of with its path and the command that gives it there.
    std::fs::write(dirs[1].join("config.toml"), CONFIG).unwrap();
    let (code, report) = accounts.doctor(None);
    let first = &report["findings"][0];
    assert_eq!((code, &first["id"]), (1, &json!("codex-untrusted")), "{report:#}");
    assert!(first["subject"].as_str().unwrap().starts_with(dirs[1].to_str().unwrap()), "{report:#}");
    assert!(first["fix"].as_str().unwrap().starts_with("CODEX_HOME='"), "{report:#}");
    accounts.install(ways[1], &["--harness", "codex", "--trust"]);
    assert_eq!(accounts.told(ways[2]).len(), 3);

    accounts.must(None, &["uninstall", "--all", "--yes"]);
    for dir in &dirs {
        let left = std::fs::read_to_string(dir.join("config.toml")).unwrap();
        // Somebody wrote the second one meanwhile: the tables that Codex made there may stay, and nothing in them.
        let is_exact = dir != &dirs[1];
        assert!(
            if is_exact { left == CONFIG } else { left.starts_with(CONFIG) && !left.contains("trusted_hash") },
            "{left}"
        );
        assert!(!dir.join("hooks.json").exists());
    }
}

#[test]
fn what_two_places_trust_in_one_account_goes_with_the_last_of_them() {
    let Some(accounts) = Accounts::with_codex() else { return };
    let project = accounts.person.world.planned_checkout().top;
    let config = format!("{CONFIG}\n[projects.{:?}]\ntrust_level = \"trusted\"\n", project.to_str().unwrap());
    let (one, two) = (accounts.dir(".codex", "config.toml", &config), accounts.dir("two", "config.toml", &config));
    let of_project = ["--harness", "codex", "--project", project.to_str().unwrap()];
    let read = |dir: &Path| std::fs::read_to_string(dir.join("config.toml")).unwrap();
    for is_project_first in [true, false] {
        // The person's own hooks, and those of a project in both accounts.
        accounts.install(None, &["--harness", "codex", "--trust"]);
        accounts.install(None, &[&of_project[..], &["--trust"]].concat());
        accounts.install(Some((CODEX, &two)), &[&of_project[..], &["--trust"]].concat());
        assert!(read(&one).matches("trusted_hash").count() > read(&two).matches("trusted_hash").count());
        let (_, report) = accounts.doctor(None);
        // The second time round, it is told that all was taken back before.
        let expected = ["double-registration", "was-uninstalled"];
        assert_eq!(finding_ids(&report), expected[..if is_project_first { 1 } else { 2 }], "{report:#}");

        let places = [&of_project[..], &["--harness", "codex"]];
        let order = if is_project_first { [0, 1] } else { [1, 0] };
        accounts.must(None, &[&["uninstall", "--yes"], places[order[0]]].concat());
        assert!(read(&one).contains("trusted_hash"), "what the other one trusts stays");
        assert_eq!(read(&two) == config, is_project_first, "{}", read(&two));
        accounts.must(None, &[&["uninstall", "--yes"], places[order[1]]].concat());
        assert_eq!((read(&one), read(&two)), (config.clone(), config.clone()), "{is_project_first}");
    }
}
