//! What the fence sees of shell commands as agents write them: `tests/corpus/commands/`, of which a third was written before
//! the reader and is not looked at to mend it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use stopgate_coordination::fence::{Around, Intent, Kind, Links, TreeAct, WriteTarget, read};
use stopgate_core::harness::Harness;

/// One call, and what it does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    harness: Harness,
    tool: String,
    cwd: PathBuf,
    command: String,
    /// `reads`, `writes`, `tree`, `opaque`.
    classes: Vec<String>,
    /// Absolute; with `/` at its end everything below it; with a pattern what a shell makes of that.
    writes: Vec<String>,
    /// `verb directory`.
    acts: Vec<String>,
}

/// The world in which the commands of the corpus are run.
struct World;

impl Links for World {
    fn target(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        const TREES: [&str; 5] = ["/w/shop", "/w/api", "/w/site", "/w/moteur", "/w/mono"];
        const DIRECTORIES: &str = " src tests test docs doc lib bin dist build target app apps api web config scripts assets \
            backup old archive crates packages components pages public static migrations db internal cmd pkg server client \
            frontend backend tools examples fixtures templates styles utils node_modules .github .cache .pytest_cache workflows \
            tmp data locales vendor out reports .vscode logs releases .claude .codex ";
        const FILES: [&str; 9] =
            ["Makefile", "Dockerfile", "LICENSE", "Gemfile", "Procfile", "README", "VERSION", "Rakefile", "CODEOWNERS"];
        let name = path.file_name()?.to_str()?;
        if name == ".git" {
            let parent = path.parent()?.to_str()?;
            return TREES.contains(&parent).then_some(Kind::Directory);
        }
        if path.to_str().is_some_and(|path| TREES.contains(&path)) {
            return Some(Kind::Directory);
        }
        if DIRECTORIES.contains(&format!(" {name} ")) {
            return Some(Kind::Directory);
        }
        let (_, ending) = name.rsplit_once('.').unwrap_or_default();
        let is_ending = !ending.is_empty() && ending.starts_with(|first: char| first.is_alphabetic());
        // Nobody has a file of the name of a version or of a branch.
        let is_branch =
            name.starts_with("release-") || name.starts_with("hotfix-") || path.to_str()?.contains("/origin/");
        (is_ending && !is_branch || FILES.contains(&name)).then_some(Kind::File)
    }
}

fn rows(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/commands").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

fn seen(row: &Row) -> Intent {
    let around = Around { cwd: &row.cwd, home: Some(Path::new("/home/dev")), links: &World };
    read(row.harness, &row.tool, &json!({"command": row.command}), &around)
}

fn target(target: &WriteTarget) -> String {
    let slash = if target.is_subtree { "/" } else { "" };
    format!("{}{slash}{}", target.path.display(), target.pattern.as_deref().unwrap_or_default())
}

fn act(act: &TreeAct) -> String {
    let verb = serde_json::to_value(act.verb).unwrap();
    format!("{} {}", verb.as_str().unwrap(), act.directory.display())
}

/// How well a part of the corpus is seen.
#[derive(Debug, Default)]
struct Score {
    commands: usize,
    /// Commands of which something is seen that they do not do.
    wrong: usize,
    /// Paths and verbs that there are.
    expected: usize,
    /// Those that are not seen.
    missed: usize,
    /// Commands that are opaque and should not be, and the other way round.
    opaque: usize,
}

fn score(name: &str, shows: bool) -> Score {
    let mut score = Score::default();
    for row in rows(name) {
        let intent = seen(&row);
        let found: BTreeSet<String> = intent.writes.iter().map(target).chain(intent.acts.iter().map(act)).collect();
        let expected: BTreeSet<String> = row.writes.iter().chain(&row.acts).cloned().collect();
        let extra: Vec<_> = found.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&found).collect();
        let is_opaque = row.classes.iter().any(|class| class == "opaque");
        score.commands += 1;
        score.expected += expected.len();
        score.wrong += usize::from(!extra.is_empty());
        score.missed += missing.len();
        score.opaque += usize::from(is_opaque != intent.is_opaque);
        if shows && !(extra.is_empty() && missing.is_empty() && is_opaque == intent.is_opaque) {
            println!(
                "{}\n  extra {extra:?}, missing {missing:?}, opaque {} for {is_opaque}",
                row.command, intent.is_opaque
            );
        }
    }
    println!("{name}: {score:?}");
    score
}

/// `wrong` at most 0.2 % of the commands, `missed` at most 2 % of what they write and do.
fn assert_promised(score: &Score) {
    assert!(score.wrong * 1000 <= score.commands * 2, "{score:?}");
    assert!(score.missed * 100 <= score.expected * 2, "{score:?}");
}

#[test]
fn the_part_that_was_held_out_is_seen_as_promised() {
    let score = score("held-out.jsonl", false);
    assert!(score.commands >= 500, "{score:?}");
    assert_promised(&score);
}

#[test]
fn the_part_that_the_reader_was_made_with_is_seen() {
    let score = score("train.jsonl", true);
    assert!(score.commands >= 1000, "{score:?}");
    assert_promised(&score);
    assert!(score.opaque * 100 <= score.commands, "{score:?}");
}
