//! `stopgate resume`

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;
use stopgate_core::process::Liveness;
use stopgate_core::shell;
use stopgate_core::text::one_line;
use stopgate_protocol::{ErrorCode, Failure, SessionRow};

use crate::context::CliContext;
use crate::{ExitStatus, find, printer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The session's name or id, or the beginning of that
    id: String,
    /// Run the command instead of printing it
    #[arg(long)]
    exec: bool,
    /// With --exec: also when the session still runs
    #[arg(long, requires = "exec")]
    force: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "exec")]
    json: bool,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let row = find::session(context, &arguments.id)?;
    if arguments.exec {
        return execute(&row, arguments.force);
    }
    let command = stopgate_registry::resume(&row);
    if arguments.json {
        printer::json(&serde_json::json!({
            "session_id": row.session_id,
            "harness": row.harness,
            "running": runs(&row),
            "dir": command.dir,
            "env": command.env.iter().map(|(name, value)| (*name, value)).collect::<std::collections::BTreeMap<_, _>>(),
            "argv": command.argv,
            "command": command.shell(),
        }))?;
        return Ok(ExitStatus::Success);
    }
    if let Some(where_to) = runs(&row).then(|| whereabouts(&row)) {
        printer::note(format!("note: the session still runs{where_to}"));
    }
    printer::line(command.shell());
    Ok(ExitStatus::Success)
}

/// Whether a second client would be in its way. What many sessions share is joined, by whoever takes one of them up.
fn runs(row: &SessionRow) -> bool {
    let shared = row.harness_process.as_ref().is_some_and(|process| process.shared);
    !shared && row.liveness == Liveness::Alive && !row.state.is_over()
}

/// Whether it may run where that cannot be seen: in a sandbox, in a container, outside of this one, on another machine. What
/// many sessions share leads each of them to its own, and looks after that itself.
fn runs_elsewhere(row: &SessionRow) -> bool {
    let is_known = row.harness_process.as_ref().is_some_and(|process| !process.shared);
    is_known && row.liveness == Liveness::Unknown && !row.state.is_over()
}

/// How to get at a session that runs.
fn whereabouts(row: &SessionRow) -> String {
    row.tmux.as_ref().map_or_else(String::new, |place| {
        format!("; look at it with `tmux -S {} attach -t {}`", shell::shown(&place.server), shell::shown(&place.pane))
    })
}

fn execute(row: &SessionRow, force: bool) -> anyhow::Result<ExitStatus> {
    if runs_elsewhere(row) && !force {
        printer::note(
            "stopgate: not resumed: it cannot be told from here whether the session still runs. Two clients on one session \
             garble its transcript; see to it that it has ended, then add --force",
        );
        return Ok(ExitStatus::Refused);
    }
    if runs(row) && !force {
        let pid = row.harness_process.as_ref().map(|process| format!(" in process {}", process.pid));
        let message = format!(
            "not resumed: the session still runs{}{}. Two clients on one session garble its transcript",
            pid.unwrap_or_default(),
            whereabouts(row)
        );
        bail!(Failure::new(ErrorCode::Refused, message).with_remedy("end the other first, or add --force"));
    }
    let resume = stopgate_registry::resume(row);
    let Some((program, arguments)) = resume.argv.split_first() else { bail!("nothing to run") };
    let mut command = Command::new(program);
    command.args(arguments).envs(resume.env.iter().map(|(name, value)| (name, value)));
    if let Some(dir) = &resume.dir {
        if !dir.is_dir() {
            bail!(
                "the session's directory {} is gone: make it again, or run `{}` where the work is now",
                dir.display(),
                one_line(&resume.argv.join(" "), 400)
            );
        }
        command.current_dir(dir);
    }
    Err(command.exec()).with_context(|| format!("cannot run {program}: is it installed, and in PATH?"))
}
