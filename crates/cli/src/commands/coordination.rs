//! `stopgate coordination`: the installer edits settings files, so that it does this, too.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use stopgate_core::autostart::INSTALLER;
use stopgate_protocol::{ErrorCode, Failure};

use crate::ExitStatus;
use crate::context::CliContext;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Register the fence in every settings file that has stopgate's hooks, and turn it on in shadow
    Enable {
        #[command(flatten)]
        how: How,
        /// Codex: let it trust the new line, too; without it Codex asks you, and `codex exec` skips it silently
        #[arg(long)]
        trust: bool,
    },
    /// Take exactly that back
    Disable {
        #[command(flatten)]
        how: How,
    },
    /// Say where it is registered, what the fence may do, and when it last fired
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Args)]
struct How {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl How {
    fn arguments(self) -> impl Iterator<Item = &'static str> {
        let all = [(self.yes, "--yes"), (self.dry_run, "--dry-run"), (self.json, "--json")];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name)
    }
}

/// Becomes the installer, which asks whoever sits at the terminal.
pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let mut words = vec!["coordination"];
    match arguments.action {
        Action::Enable { how, trust } => {
            words.push("enable");
            words.extend(how.arguments());
            words.extend(trust.then_some("--trust"));
        }
        Action::Disable { how } => {
            words.push("disable");
            words.extend(how.arguments());
        }
        Action::Status { json } => {
            words.push("status");
            words.extend(json.then_some("--json"));
        }
    }
    let program = installer(context).ok_or_else(|| {
        let bin = context.home.bin();
        Failure::new(ErrorCode::Failed, format!("the program `installer` is not in {}", bin.display()))
            .with_remedy("run `installer init` of the release")
    })?;
    let error = Command::new(&program).args(words).env(stopgate_core::env::STOPGATE_HOME, context.home.root()).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// That of the home, or the one beside this program.
fn installer(context: &CliContext) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(INSTALLER)));
    [Some(context.home.bin().join(INSTALLER)), beside].into_iter().flatten().find(|path| path.is_file())
}
