//! `stopgate build restore`

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use stopgate_build_guard::store::{self, AuditLine, BuildAuditEvent};

use super::{Common, say};
use crate::ExitStatus;
use crate::builds::{self, Builds};
use crate::context::CliContext;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
}

fn only_broken(builds: &Builds) -> anyhow::Result<PathBuf> {
    let mut broken = builds.broken();
    if broken.len() > 1 {
        let ids: Vec<_> = broken.iter().map(|dir| builds::name(dir)).collect();
        bail!("several builds can be restored: name one with --build ({})", ids.join(", "));
    }
    broken.pop().context("nothing to restore: the state of every build can be read")
}

pub(super) fn run(context: &CliContext, builds: &Builds, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let dir = match &arguments.common.build {
        Some(id) => builds.directory(id)?,
        None => only_broken(builds)?,
    };
    let id = builds::name(&dir);
    let _lock = builds::lock(&dir)?;
    if let Ok(Some(_)) = store::read(&dir) {
        bail!("build {id}: its state can be read; there is nothing to restore");
    }
    let last = builds::audit(&dir)?.pop().with_context(|| {
        format!("build {id}: no line of {} can be read; look at the files beside it", dir.join("audit.jsonl").display())
    })?;
    if last.state.id != id {
        bail!("build {id}: the audit file is that of build {}", last.state.id);
    }
    store::write(&dir, &last.state).with_context(|| dir.display().to_string())?;
    let line =
        AuditLine { at_ms: context.now_ms, event: BuildAuditEvent::StateRestored, from: None, detail: None, ..last };
    store::append_audit(&dir, &line).with_context(|| dir.display().to_string())?;
    let state = line.state;
    let text = format!(
        "build {id} is back: phase {}, {} of {} reminders used; what was moved aside stays beside it",
        state.phase.name(),
        state.reminders_used,
        state.size.reminders()
    );
    say(arguments.common.json, &state, &text)
}
