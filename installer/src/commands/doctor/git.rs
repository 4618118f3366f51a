//! Whether git answers in the checkout that the doctor is run in: without it every stop there is let go.

use std::process::Stdio;
use std::time::{Duration, Instant};

use stopgate_core::checkout::{self, Checkout};
use stopgate_core::env;
use stopgate_core::git::GitCommand;
use stopgate_core::subprocess::{self, Ending, ProgramEnded, ProgramLimits};
use stopgate_gate::facts::GitTrouble;

use super::finding::Checkup;
use crate::commands::Context;

/// How much of what git complains of is looked at.
const COMPLAINT_BYTES: usize = 4 * 1024;
/// What surely is enough for the names of a repository's directories.
const ANSWER_BYTES: usize = 64 * 1024;

/// Asks git on this process's own search path, as an agent that is started from here has it.
pub(super) fn check(context: &Context<'_>, checkup: &mut Checkup) {
    let Some(checkout) = std::env::current_dir().ok().and_then(|dir| checkout::find(&dir)) else { return };
    let Some(trouble) = probe(&checkout, budget(context)) else { return };
    let subject = checkout.worktree.display().to_string();
    // The authority may have met it already.
    if checkup.findings.iter().any(|found| found.id == "git-unusable" && found.subject == subject) {
        return;
    }
    let what = match trouble {
        GitTrouble::Missing => "there is no git on the search path (PATH) of whoever runs the doctor",
        other => other.meaning(),
    };
    let why = "plans and commits are seen through git: stops of an agent that is started from here are let go";
    checkup.problem("git-unusable", subject, what, why, trouble.remedy());
}

/// How long a stop gives git, as it is configured.
fn budget(context: &Context<'_>) -> Duration {
    let path = stopgate_config::user_file(&context.home);
    let config = std::fs::read_to_string(&path).ok().and_then(|text| stopgate_config::parse(&path, &text).ok());
    env::patiently(Duration::from_millis(u64::from(config.unwrap_or_default().gate.facts_budget_ms)))
}

/// What is the matter with git in `checkout`; `None` if it answers within `budget`.
fn probe(checkout: &Checkout, budget: Duration) -> Option<GitTrouble> {
    let deadline = Instant::now() + budget;
    let git = GitCommand::of(checkout, None);
    // The index as well, which a stop reads: `--git-dir` alone is answered beside a broken one.
    [&["rev-parse", "--git-dir"][..], &["ls-files", "--error-unmatch", "--", ".git"]].into_iter().find_map(
        |arguments| {
            let Some(mut command) = git.command(&checkout.worktree, arguments, true) else {
                return Some(GitTrouble::Missing);
            };
            command.stdin(Stdio::null());
            let limits =
                ProgramLimits { deadline, stdout_bytes: ANSWER_BYTES, stderr_bytes: COMPLAINT_BYTES, alone: false };
            match subprocess::finish(command, &limits) {
                // 1: nothing of that name is tracked, as it has to be.
                Ok(ProgramEnded { ending: Ending::Exited(status), .. }) if matches!(status.code(), Some(0 | 1)) => None,
                Ok(ProgramEnded { ending: Ending::Exited(_), stderr, .. }) => Some(GitTrouble::complained_of(&stderr)),
                Ok(ProgramEnded { ending: Ending::Deadline, .. }) => Some(GitTrouble::Slow),
                Ok(_) | Err(_) => Some(GitTrouble::Broken),
            }
        },
    )
}
