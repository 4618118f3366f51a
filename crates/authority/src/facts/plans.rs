//! Which files of a checkout are plans.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::{Instant, SystemTime};

use stopgate_core::fsx;

use stopgate_gate::steps::Where;
use stopgate_gate::transcript::{TEXT_EXTENSIONS, is_text};

use super::memo::Asked;

/// Plan-like files that are looked into, the most recently changed first.
const MAX_CANDIDATES: usize = 40;
/// Files between two looks at the clock.
const CLOCK_STRIDE: usize = 1_000;
/// Largest plan that is read.
const MAX_PLAN_BYTES: u64 = stopgate_gate::facts::MAX_PLAN_KIB * 1024;

/// How many excluded files are named.
const MAX_EXCLUDED: usize = 10;

/// Plan-like files that are `exclude`d, of those that are listed before the deadline.
pub(super) fn excluded(git: &Asked<'_>, exclude: &[String]) -> Vec<String> {
    let Ok((tree, untracked)) = git.files() else { return Vec::new() };
    if exclude.is_empty() {
        return Vec::new();
    }
    let in_time = |at: usize| !at.is_multiple_of(CLOCK_STRIDE) || Instant::now() < git.deadline;
    let tracked = tree.files.iter().enumerate().take_while(|(at, _)| in_time(*at)).map(|(_, file)| &*file.path);
    let tracked = tracked.filter_map(|path| std::str::from_utf8(path).ok()).filter(|path| is_plan_like(path));
    let plans = tracked.chain(untracked.plans.iter().map(String::as_str));
    plans.filter(|path| is_excluded(path, exclude)).take(MAX_EXCLUDED).map(str::to_owned).collect()
}

/// Plan-like files, those first that `rank` puts first (the larger, the earlier), then the most recently changed; as many
/// as are looked into, and as were found before the deadline. `jobs` are paths of other files that are plans. `None` if
/// the files could not be listed.
pub(super) fn candidates(
    git: &Asked<'_>,
    jobs: &[String],
    exclude: &[String],
    rank: impl Fn(&str) -> u8,
) -> Option<Vec<String>> {
    let (tree, untracked) = git.files().ok()?;
    let in_time = |at: usize| !at.is_multiple_of(CLOCK_STRIDE) || Instant::now() < git.deadline;
    let tracked = tree.files.iter().enumerate().take_while(|(at, _)| in_time(*at)).map(|(_, file)| &*file.path);
    let tracked = tracked.filter_map(|path| std::str::from_utf8(path).ok()).filter(|path| is_plan_like(path));
    let mut found: Vec<(u8, SystemTime, &str)> = tracked
        .chain(untracked.plans.iter().map(String::as_str))
        .chain(jobs.iter().map(String::as_str))
        .filter(|path| !is_excluded(path, exclude) && !path.starts_with(HOME))
        .take_while(|_| Instant::now() < git.deadline)
        .filter_map(|path| {
            let changed = std::fs::symlink_metadata(git.top.join(path)).ok()?.modified().ok()?;
            Some((rank(path), changed, path))
        })
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    // A file of a merge conflict is listed once a side.
    found.dedup_by(|left, right| left.2 == right.2);
    found.truncate(MAX_CANDIDATES);
    Some(found.into_iter().map(|(_, _, path)| path.to_owned()).collect())
}

/// Files that say what a project is, and never what is to be done.
const DESCRIPTIONS: [&str; 7] =
    ["readme", "changelog", "contributing", "license", "licence", "security", "code_of_conduct"];

/// A file of the checkout that a prompt has worked through, by the path that it says, relative to the top.
pub(super) fn job(top: &Path, cwd: &Path, said: &str) -> Option<String> {
    let said = Path::new(said);
    let within = |path: PathBuf| {
        let inside = path.strip_prefix(top).ok()?;
        let is_plain = inside.components().all(|part| matches!(part, Component::Normal(name) if name != ".git"));
        (is_plain && std::fs::symlink_metadata(&path).ok()?.is_file()).then(|| inside.to_str().map(str::to_owned))?
    };
    let plain: PathBuf = said.components().filter(|part| *part != Component::CurDir).collect();
    let path = within(top.join(&plain)).or_else(|| within(cwd.join(&plain)))?;
    let stem = path.rsplit('/').next()?.split('.').next()?.to_ascii_lowercase();
    (!DESCRIPTIONS.contains(&stem.as_str()) && !INSTRUCTIONS.contains(&format!("{stem}.md").as_str())).then_some(path)
}

/// Why a plan is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is larger than [`MAX_PLAN_BYTES`].
    TooLarge,
    /// It is gone, no file, or may not be read.
    Otherwise,
}

/// What the path of a plan begins with that lies in the person's own directory: no file of a checkout has such a one.
pub(super) const HOME: &str = "~/";

/// A plan that the person approved, as it is called here: relative to the top if it lies in the checkout, else below
/// [`HOME`], where it has to be among a harness's plans.
pub(super) fn approved(top: &Path, home: Option<&Path>, file: &Path) -> Option<String> {
    let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    if let Ok(inside) = file.strip_prefix(top) {
        return inside.to_str().filter(|_| plain(inside)).map(str::to_owned);
    }
    let below = file.strip_prefix(home?).ok().filter(|below| plain(below) && is_text(below))?;
    (below.parent()?.file_name()? == "plans").then(|| format!("{HOME}{}", below.display()))
}

/// A plan's text, as it stands in the working tree, or in the person's own directory.
pub(super) fn read(top: &Path, home: Option<&Path>, path: &str) -> Result<String, Unread> {
    let (top, path) = match (path.strip_prefix(HOME), home) {
        (None, _) => (top, path),
        (Some(below), Some(home)) => (home, below),
        (Some(_), None) => return Err(Unread::Otherwise),
    };
    fsx::read_beneath(top, Path::new(path), MAX_PLAN_BYTES).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => Unread::TooLarge,
        _ => Unread::Otherwise,
    })
}

/// Most stars in a pattern: it may come from the checkout, and each multiplies what is to be tried.
const MAX_STARS: usize = 6;

/// Whether `path` is one of `exclude`, or lies in one: written as people write paths (`./docs`, `/docs`, `docs/`), with `*`
/// for anything within a name, and `**` for any directories.
fn is_excluded(path: &str, exclude: &[String]) -> bool {
    exclude.iter().any(|excluded| {
        let excluded = excluded.trim_start_matches("./").trim_matches('/');
        let parts: Vec<&str> = excluded.split('/').collect();
        let stars = excluded.bytes().filter(|byte| *byte == b'*').count();
        !excluded.is_empty() && stars <= MAX_STARS && matches_path(&parts, &path.split('/').collect::<Vec<_>>())
    })
}

/// Whether the parts of a path begin with those of a pattern.
fn matches_path(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], _) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|skip| matches_path(rest, &path[skip..])),
        ([first, rest @ ..], [name, below @ ..]) => matches_name(first, name) && matches_path(rest, below),
        _ => false,
    }
}

/// Whether a name is as a pattern says, in which `*` stands for anything.
fn matches_name(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches_name(after, &rest[at..]))
}

/// Files that tell agents how to work: only what stands in them below a heading about tasks is a plan.
const INSTRUCTIONS: [&str; 3] = ["agents.md", "claude.md", "claude.local.md"];
/// Words of a file's name that make it a plan.
const NAMES: &[&str] = &[
    "plan",
    "plans",
    "todo",
    "todos",
    "task",
    "tasks",
    "spec",
    "specs",
    "roadmap",
    "checklist",
    "handoff",
    "progress",
    "milestones",
    "backlog",
    "steps",
];
/// Words of a directory's name that make the files in it plans.
const DIRECTORIES: &[&str] = &["plan", "plans", "spec", "specs", "task", "tasks", "todo", "roadmap"];
/// Directories whose files are somebody else's, made by a program, shown as an example, or over.
const FOREIGN_DIRECTORIES: &[&str] = &[
    "vendor",
    "vendored",
    "third_party",
    "third-party",
    "thirdparty",
    "external",
    "node_modules",
    "bower_components",
    "site-packages",
    "venv",
    ".venv",
    ".tox",
    "pods",
    "deps",
    "submodules",
    ".github",
    ".gitlab",
    ".gitea",
    "dist",
    "target",
    "build",
    "out",
    "generated",
    "gen",
    "_build",
    "fixture",
    "fixtures",
    "__fixtures__",
    "testdata",
    "test-data",
    "test_data",
    "snapshots",
    "__snapshots__",
    "golden",
    "mocks",
    "checklists",
    "scaffold",
    "scaffolds",
    "skeleton",
    "boilerplate",
];
/// Words of a path that say the same of it.
const FOREIGN_WORDS: &[&str] = &[
    "template",
    "templates",
    "tmpl",
    "example",
    "examples",
    "sample",
    "samples",
    "demo",
    "demos",
    "archive",
    "archived",
    "archives",
    "old",
    "obsolete",
    "deprecated",
    "superseded",
    "completed",
    "cookiecutter",
];
/// What a checklist is for that is gone through again and again.
const RECURRING: &[&str] = &[
    "release",
    "releases",
    "releasing",
    "review",
    "reviews",
    "pr",
    "deploy",
    "deployment",
    "onboarding",
    "offboarding",
    "security",
    "audit",
    "qa",
    "publish",
    "publishing",
    "launch",
    "contributing",
    "contributor",
    "incident",
    "upgrade",
    "merge",
    "style",
    "accessibility",
    "a11y",
];

/// Whether what is in a directory of that name is no plan.
pub(super) fn is_foreign_directory(name: &str) -> bool {
    FOREIGN_DIRECTORIES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Which parts of a plan-like file hold steps.
pub(super) fn steps_in(path: &str) -> Where {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    if INSTRUCTIONS.contains(&name.as_str()) { Where::TaskSections } else { Where::Everywhere }
}

/// Whether a path reads like a plan: a text file with a planning word in its name, or in a planning directory.
/// Words are compared whole: `background.md` holds no "round", `planet.md` no "plan".
pub(super) fn is_plan_like(path: &str) -> bool {
    // Most are not, and there may be very many.
    let is_text = path
        .rsplit_once('.')
        .is_some_and(|(_, extension)| TEXT_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)));
    if !is_text {
        return false;
    }
    let lower = path.to_ascii_lowercase();
    let (directory, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    let has = |text: &str, known: &[&str]| text.split(|c: char| !c.is_alphanumeric()).any(|word| known.contains(&word));
    let is_foreign = directory.split('/').any(|part| FOREIGN_DIRECTORIES.contains(&part))
        || has(directory, FOREIGN_WORDS)
        || has(stem, FOREIGN_WORDS)
        || (has(stem, &["checklist"]) && has(&lower, RECURRING));
    !is_foreign
        && (INSTRUCTIONS.contains(&name) || has(stem, NAMES) || directory.split('/').any(|part| has(part, DIRECTORIES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_a_directory_is_excluded_with_all_that_is_in_it() {
        let is = |excluded: &str, path: &str| is_excluded(path, &[excluded.to_owned()]);
        for excluded in [
            "docs/old",
            "docs/old/",
            "./docs/old",
            "/docs/old/",
            "docs/old/**",
            "docs/old/*",
            "**/old",
            "docs/*/plan.md",
            "docs/o*d",
        ] {
            assert!(is(excluded, "docs/old/plan.md"), "{excluded}");
        }
        for excluded in [
            "docs/older",
            "old",
            "plan.md",
            "docs/*.md",
            "",
            "/",
            "./",
            "docs/old/plan.md.bak",
            "docs/*/*/plan.md",
            "*******",
        ] {
            assert!(!is(excluded, "docs/old/plan.md"), "{excluded}");
        }
        assert!(is("TODO.md", "TODO.md") && is("*.md", "TODO.md") && is("**/TODO.md", "a/b/TODO.md") && is("**", "a"));
        assert!(!is("TODO.md", "a/TODO.md") && !is("TODO.md", "TODO.md.txt"));
    }

    #[test]
    fn names_are_compared_by_whole_words() {
        for yes in [
            "PLAN.md",
            "docs/plan.md",
            "docs/my-plan_v2.markdown",
            "TODO.txt",
            "specs/parser.md",
            "a/tasks/1.md",
            ".claude/plans/a.md",
            "docs/checklist.md",
            "docs/release-plan.md",
            "notes/todo.org",
            "AGENTS.md",
            "web/CLAUDE.md",
        ] {
            assert!(is_plan_like(yes), "{yes}");
        }
        for no in
            ["planet.md", "background.md", ".next/build.json", "src/plan.rs", "plan", "explanation.md", "context.md"]
        {
            assert!(!is_plan_like(no), "{no}");
        }
    }

    #[test]
    fn what_is_somebody_else_s_an_example_or_over_is_no_plan() {
        for no in [
            "vendor/foo/TODO.md",
            "node_modules/p/tasks.md",
            "third_party/x/plan.md",
            ".github/ISSUE_TEMPLATE/task.md",
            "tests/fixtures/plan.md",
            "pkg/testdata/todo.md",
            "docs/archive/old-plan.md",
            "docs/plans/archived/a.md",
            "docs/old/plan.md",
            "docs/plan-template.md",
            "templates/plan.md",
            "examples/todo.md",
            "docs/release-checklist.md",
            "docs/review/checklist.md",
            "docs/checklists/plan.md",
            "target/doc/todo.md",
        ] {
            assert!(!is_plan_like(no), "{no}");
        }
    }
}
