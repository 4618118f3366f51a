//! The checkouts that the measured sessions work in.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use serde_json::json;
use stopgate_core::env::{self, Env as _, ProcessEnv};

const PLAN: &str = "# Plan\n\n- [x] Write the lexer\n- [ ] Write the parser\n- [ ] Write the printer\n";
/// When the plan was committed.
const COMMITTED_AT: &str = "2024-05-06T07:08:09Z";
/// How long ago the plan's file was last written.
const PLAN_AGE: Duration = Duration::from_hours(30 * 24);

/// A checkout with an old committed plan that has open steps.
pub(crate) fn with_plan(top: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(top)?;
    let plan = top.join("PLAN.md");
    std::fs::write(&plan, PLAN)?;
    let long_ago = SystemTime::now().checked_sub(PLAN_AGE).context("the clock says 1970")?;
    std::fs::File::options().write(true).open(&plan)?.set_modified(long_ago)?;
    commit_all(top)
}

/// A checkout in which another session has a live build.
pub(crate) fn with_foreign_build(top: &Path) -> anyhow::Result<()> {
    let build = top.join(".stopgate/builds/b1");
    std::fs::create_dir_all(&build)?;
    std::fs::write(top.join(".stopgate/.gitignore"), "*\n")?;
    let state = json!({
        "id": "b1", "task": "the parser", "phase": "executing", "maxReminders": 5, "remindersUsed": 0,
        "owner": {"harness": "claude", "sessionId": "0a0a0a0a-0000-4000-8000-000000000000"},
    });
    std::fs::write(build.join("state.json"), state.to_string())?;
    std::fs::write(top.join("README.md"), "# A project\n")?;
    commit_all(top)
}

fn commit_all(top: &Path) -> anyhow::Result<()> {
    git(top, &["init", "--quiet", "--initial-branch=main"])?;
    git(top, &["add", "--all"])?;
    git(top, &["commit", "--quiet", "--message", "The beginning"])
}

/// Runs git without the person's configuration.
fn git(top: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(top)
        .env_clear()
        .env(env::PATH, ProcessEnv.os(env::PATH).unwrap_or_default())
        .env(env::HOME, top)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "dev")
        .env("GIT_AUTHOR_EMAIL", "dev@example.invalid")
        .env("GIT_AUTHOR_DATE", COMMITTED_AT)
        .env("GIT_COMMITTER_NAME", "dev")
        .env("GIT_COMMITTER_EMAIL", "dev@example.invalid")
        .env("GIT_COMMITTER_DATE", COMMITTED_AT)
        .stdin(Stdio::null())
        .output()
        .context("cannot start git")?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::gate::facts::open_steps;
    use stopgate_core::session::{Harness, SessionKey};
    use stopgate_core::{build, checkout};

    #[test]
    fn the_plan_has_a_next_step() {
        assert_eq!(open_steps(PLAN), Some(("Write the parser".to_owned(), 2)));
    }

    #[test]
    fn the_build_is_live_and_somebody_else_s() {
        let dir = tempfile::tempdir().unwrap();
        with_foreign_build(dir.path()).unwrap();
        let found = checkout::find(dir.path()).unwrap();
        let builds = build::directories(&found);
        let state = build::read(&builds[0]).unwrap();
        assert_eq!(builds.len(), 1);
        assert!(!state.phase.is_terminal() && state.reminders_used < state.max_reminders);
        let key = SessionKey::new(Harness::Claude, "me").unwrap();
        assert!(!state.holds(&key));
    }
}
