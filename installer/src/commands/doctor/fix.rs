//! `--fix`: what can be mended without a question, because it is ours.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context as _, Result, bail};

use super::finding::{Finding, Repair};
use crate::authority::{self, AuthorityState};
use crate::commands::{Context, apply, migrate};
use crate::ledger::{Ledger, Lock};
use crate::leftovers;
use crate::printer;

/// Mends what it can; what was done, one line for each.
pub(super) fn all(context: &Context<'_>, findings: &[Finding]) -> Vec<String> {
    let mut repairs: Vec<&Repair> = Vec::new();
    for repair in findings.iter().filter_map(|finding| finding.repair.as_ref()) {
        if !repairs.contains(&repair) {
            repairs.push(repair);
        }
    }
    let mut done = Vec::new();
    for repair in repairs {
        match one(context, repair) {
            Ok(lines) => done.extend(lines),
            Err(error) => printer::note(format!("not fixed: {error:#}")),
        }
    }
    done
}

fn one(context: &Context<'_>, repair: &Repair) -> Result<Vec<String>> {
    let home = &context.home;
    match repair {
        Repair::Mode(path, mode) => {
            std::fs::set_permissions(path, Permissions::from_mode(*mode))
                .with_context(|| format!("cannot change the mode of {}", path.display()))?;
            Ok(vec![format!("{}: mode {mode:o}", path.display())])
        }
        Repair::Leftovers(paths) => {
            let mut done = leftovers::give_back(home, paths.iter().filter_map(|path| path.parent()));
            done.extend(leftovers::remove(paths).into_iter().map(|path| format!("{}: removed", path.display())));
            Ok(done)
        }
        Repair::Settings(location) => {
            let _lock = Lock::take(home)?;
            let mut ledger = Ledger::read(home)?;
            // What is missing was found missing by a person who asks for it to be mended; what is refused stays out.
            let refused =
                |old: Option<&crate::ledger::Install>| Ok(old.map(|old| old.refused.clone()).unwrap_or_default());
            let applied = apply::bring(home, &mut ledger, location, apply::Sets::AsKnown, &refused)?;
            let backup = applied.backup.map(|kept| format!(" (as it was: {})", kept.display())).unwrap_or_default();
            Ok(vec![format!("{}: {}{backup}", location.path.display(), applied.verb)])
        }
        Repair::Authority => {
            let _lock = Lock::take(home)?;
            match authority::ensure(context.environment, home) {
                AuthorityState::Running { pid, .. } => Ok(vec![format!("authority: process {pid} serves now")]),
                AuthorityState::NotStarted { reason: why } | AuthorityState::Failed { problem: why } => bail!("{why}"),
            }
        }
        Repair::Migrate => Ok(migrate::bring(context)?
            .into_iter()
            .filter(|step| step.outcome != migrate::MigrateOutcome::Unchanged)
            .map(|step| format!("{} {}: {}", step.kind, step.subject, step.outcome.word()))
            .collect()),
    }
}
