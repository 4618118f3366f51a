//! The checkouts that the measured sessions work in.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use stopgate_build_guard::owner::OwnerStamp;
use stopgate_build_guard::state::{BuildState, Phase, Size};
use stopgate_build_guard::store;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::process::host;
use stopgate_core::process::{self, ProcFs};
use stopgate_core::session::Harness;

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

/// A checkout with these files.
pub(crate) fn with_files(top: &Path, files: &[&str]) -> anyhow::Result<()> {
    std::fs::create_dir_all(top)?;
    for file in files {
        std::fs::write(top.join(file), "fn main() {}\n")?;
    }
    commit_all(top)
}

/// A checkout in which other sessions, which still run, have so many live builds, and had so many that are archived.
pub(crate) fn with_builds(top: &Path, live: usize, archived: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(top)?;
    std::fs::write(top.join("README.md"), "# A project\n")?;
    if live + archived > 0 {
        let root = top.join(".stopgate");
        // What is archived was live once.
        std::fs::create_dir_all(root.join("builds"))?;
        std::fs::write(root.join(".gitignore"), "*\n")?;
        for number in 0..live {
            place_build(&root.join("builds"), number, Phase::Executing)?;
        }
        for number in live..live + archived {
            place_build(&root.join("archive"), number, Phase::Complete)?;
        }
    }
    commit_all(top)
}

/// Writes build `number`; its owner's process is this one, which runs as long as anything is measured.
fn place_build(parent: &Path, number: usize, phase: Phase) -> anyhow::Result<()> {
    let now = SystemClock.now_ms();
    let owner = OwnerStamp {
        harness: Some(Harness::Claude),
        session_id: Some(format!("0a0a0a0a-0000-4000-8000-{number:012x}")),
        former_sessions: Vec::new(),
        tmux: None,
        process: process::identify(&ProcFs, std::process::id()),
        host: host(),
        stamped_at_ms: now,
    };
    let id = format!("build-{number}");
    let dir = parent.join(&id);
    std::fs::create_dir_all(&dir)?;
    let mut state = BuildState::started(id, format!("part {number} of the parser"), Size::Standard, Some(owner), now);
    state.phase = phase;
    state.ended_at_ms = phase.is_terminal().then_some(now);
    Ok(store::write(&dir, &state)?)
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
    use std::time::Instant;
    use stopgate_build_guard::hold::{BuildTurn, LetGo};
    use stopgate_build_guard::owner::{Claimant, OwnerSurroundings};
    use stopgate_core::checkout;
    use stopgate_core::process::{Liveness, ProcessIdentity};
    use stopgate_core::session::SessionKey;
    use stopgate_core::tmux::TmuxRecord;
    use stopgate_gate::facts::open_step_texts;

    struct Untold;

    impl OwnerSurroundings for Untold {
        fn liveness(&self, process: &ProcessIdentity) -> Liveness {
            process::liveness(&ProcFs, process)
        }
        fn tmux_record(&self, _: &ProcessIdentity) -> Option<TmuxRecord> {
            None
        }
        fn descends(&self, _: &[&ProcessIdentity], _: &str, _: &str) -> bool {
            false
        }
        fn follows(&self, _: &ProcessIdentity, _: &ProcessIdentity) -> bool {
            false
        }
    }

    fn claimant(id: &str) -> Claimant {
        Claimant { key: SessionKey::new(Harness::Claude, id).unwrap(), tmux: None, process: None, host: host() }
    }

    #[test]
    fn the_plan_has_a_next_step() {
        assert_eq!(open_step_texts(PLAN).next().as_deref(), Some("Write the parser"));
        assert_eq!(open_step_texts(PLAN).count(), 2);
    }

    #[test]
    fn live_builds_hold_their_owners_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        with_builds(dir.path(), 2, 1).unwrap();
        let builds = store::directories(&checkout::find(dir.path()).unwrap());
        assert_eq!(builds.len(), 2);
        for build in builds {
            let stamp = store::read(&build).unwrap().unwrap().owner.unwrap();
            assert_eq!(Untold.liveness(stamp.process.as_ref().unwrap()), Liveness::Alive);
            let turn = BuildTurn { continued: false, cap: None, released: false };
            let stop =
                |id: &str| store::spend(&build, &claimant(id), turn, &Untold, 1, Instant::now(), || false).unwrap();
            assert_eq!(stop("me").unwrap_err(), LetGo::NotOwner);
            assert!(stop(&stamp.session_id.unwrap()).is_ok());
        }
    }

    #[test]
    fn archived_builds_are_over_and_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        with_builds(dir.path(), 0, 3).unwrap();
        assert!(store::directories(&checkout::find(dir.path()).unwrap()).is_empty());
        for entry in std::fs::read_dir(dir.path().join(".stopgate/archive")).unwrap() {
            let state = store::read(&entry.unwrap().path()).unwrap().unwrap();
            assert!(state.phase.is_terminal() && state.ended_at_ms.is_some());
        }
        let none = tempfile::tempdir().unwrap();
        with_builds(none.path(), 0, 0).unwrap();
        assert!(!none.path().join(".stopgate").exists());
    }
}
