//! One module for each command.

pub(crate) mod init;
pub(crate) mod uninstall;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use stopgate_core::env::Env;
use stopgate_core::paths::Home;

use crate::printer::Printer;
use crate::settings::locate::{Location, Scope, locate};

/// Which settings file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Where {
    /// Whose settings: the person's own (`user`, the default) or one project's `.claude/settings.local.json`
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// The project's directory, for `--scope project`; the current one by default
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// What a command works with.
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a dyn Env,
    pub(crate) home: Home,
    pub(crate) printer: Printer,
}

impl<'a> Context<'a> {
    /// The context of this process.
    pub(crate) fn of_process(environment: &'a dyn Env, json: bool) -> Result<Self> {
        Ok(Self { environment, home: Home::of_process()?, printer: Printer::of_process(environment, json) })
    }

    /// The settings file that `place` names. Naming a project means its scope.
    pub(crate) fn locate(&self, place: &Where) -> Result<Location> {
        let scope = place.scope.unwrap_or(if place.project.is_some() { Scope::Project } else { Scope::User });
        if scope == Scope::User && place.project.is_some() {
            return Err(
                crate::exit::Refusal("--project goes with --scope project, not with --scope user".into()).into()
            );
        }
        let cwd = std::env::current_dir().context("the current directory is gone")?;
        Ok(locate(self.environment, scope, place.project.as_deref(), &cwd)?)
    }
}
