//! A repository with an unfinished plan, to show a stop in.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stopgate_core::env;
use stopgate_core::subprocess::{self, Ending, ProgramEnded, ProgramLimits};
use stopgate_core::text::one_line;

const PLAN: &str = "docs/plan.md";
const OPEN: &str = "# Plan\n\n- [ ] Write the tokenizer\n- [ ] Write the parser\n- [ ] Document the grammar\n";
const BEGUN: &str = "# Plan\n\n- [x] Write the tokenizer\n- [ ] Write the parser\n- [ ] Document the grammar\n";
/// How long before the session the plan was committed.
const BEFORE: Duration = Duration::from_hours(1);
/// Commits have whole seconds: this much later, the work is after the start of the session for sure.
const AFTER: Duration = Duration::from_secs(1);

/// How long git may take over so small a thing, and how much it may say.
const GIT_PATIENCE: Duration = Duration::from_secs(30);
const GIT_OUTPUT_BYTES: usize = 64 * 1024;

/// Why there is no repository.
#[derive(Debug)]
pub(crate) enum GitProblem {
    NotInstalled,
    Failed(String),
}

/// A repository under construction.
#[derive(Debug)]
pub(crate) struct Repo<'a> {
    dir: &'a Path,
    search_path: Option<OsString>,
}

impl<'a> Repo<'a> {
    /// A repository in the empty directory `dir`, whose plan was committed an hour ago.
    pub(crate) fn with_plan(dir: &'a Path, search_path: Option<OsString>) -> Result<Self, GitProblem> {
        let repo = Self { dir, search_path };
        let then = SystemTime::now() - BEFORE;
        repo.git(then, &["init", "--quiet"])?;
        repo.commit(then, OPEN, "Plan the parser")?;
        Ok(repo)
    }

    /// Commits the plan's first step as done.
    pub(crate) fn make_progress(&self) -> Result<(), GitProblem> {
        self.commit(SystemTime::now() + AFTER, BEGUN, "Write the tokenizer")
    }

    fn commit(&self, at: SystemTime, plan: &str, message: &str) -> Result<(), GitProblem> {
        let path = self.dir.join(PLAN);
        let docs = path.parent().unwrap_or(self.dir);
        std::fs::create_dir_all(docs)
            .and_then(|()| std::fs::write(&path, plan))
            .map_err(|error| GitProblem::Failed(format!("{}: {error}", path.display())))?;
        self.git(at, &["add", PLAN])?;
        self.git(at, &["commit", "--quiet", "--message", message])
    }

    /// Runs git at the time `at`, untouched by the person's configuration.
    fn git(&self, at: SystemTime, args: &[&str]) -> Result<(), GitProblem> {
        let date = format!("{} +0000", at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let mut command = Command::new("git");
        command.env_clear().envs(self.search_path.iter().map(|path| (env::PATH, path)));
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
        command.envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)]);
        command.args(["-c", "user.name=stopgate", "-c", "user.email=live-check@stopgate.invalid"]);
        command.args(["-c", "init.defaultBranch=main", "-c", "core.hooksPath=/dev/null"]);
        command.args(args).current_dir(self.dir).stdin(Stdio::null());
        let limits = ProgramLimits {
            deadline: Instant::now() + GIT_PATIENCE,
            stdout_bytes: GIT_OUTPUT_BYTES,
            stderr_bytes: GIT_OUTPUT_BYTES,
            alone: false,
        };
        match subprocess::finish(command, &limits) {
            Ok(ProgramEnded { ending: Ending::Exited(status), .. }) if status.success() => Ok(()),
            Ok(ProgramEnded { ending: Ending::Exited(_), stderr, .. }) => {
                let said = one_line(&String::from_utf8_lossy(&stderr), 200);
                Err(GitProblem::Failed(format!("git {}: {said}", args.join(" "))))
            }
            Ok(_) => Err(GitProblem::Failed(format!("git {}: does not end, and was killed", args.join(" ")))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(GitProblem::NotInstalled),
            Err(error) => Err(GitProblem::Failed(format!("git: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::{Env, ProcessEnv};

    #[test]
    fn the_plan_is_older_than_the_work_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::with_plan(dir.path(), ProcessEnv.os(env::PATH)).unwrap();
        repo.make_progress().unwrap();
        let log = Command::new("git").args(["log", "--format=%ct"]).current_dir(dir.path()).output().unwrap();
        let times: Vec<u64> =
            String::from_utf8(log.stdout).unwrap().lines().map(|time| time.parse().unwrap()).collect();
        assert!(matches!(times[..], [late, early] if late >= early + 3600), "{times:?}");
        assert!(std::fs::read_to_string(dir.path().join(PLAN)).unwrap().contains("- [ ] Write the parser"));
    }

    #[test]
    fn a_missing_git_is_told_from_a_failing_one() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::with_plan(dir.path(), Some("/nowhere".into()));
        assert!(matches!(repo, Err(GitProblem::NotInstalled)), "{repo:?}");
    }
}
