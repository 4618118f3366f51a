//! One module for each command.

pub(crate) mod apply;
pub(crate) mod coordination;
pub(crate) mod doctor;
pub(crate) mod guide;
pub(crate) mod init;
pub(crate) mod migrate;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod uninstall;
pub(crate) mod update;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use stopgate_client::Owner;
use stopgate_core::env::Env;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;

use crate::account::Account;
use crate::ledger::Ledger;
use crate::leftovers;
use crate::printer::Printer;
use crate::settings::locate::{Location, Scope, locate};

/// Which settings file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Where {
    /// Which coding agent
    #[arg(long, value_enum, default_value_t)]
    harness: Client,
    /// Which settings: your own (`user`, the default), those a project shares (`project`), or your own for one project
    /// (`project-local`, Claude Code only; the default with --project)
    #[arg(long, value_enum)]
    scope: Option<Scope>,
    /// The project's directory; the current one by default
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
}

/// A coding agent, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(Harness);

impl Client {
    const ALL: [Self; Harness::ALL.len()] = {
        let mut all = [Self(Harness::DEFAULT); Harness::ALL.len()];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self(Harness::ALL[at]);
            at += 1;
        }
        all
    };
}

impl Default for Client {
    fn default() -> Self {
        Self(Harness::DEFAULT)
    }
}

impl clap::ValueEnum for Client {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()).help(self.0.spec().product))
    }
}

impl From<Client> for Harness {
    fn from(client: Client) -> Self {
        client.0
    }
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
        let home = Home::of_process()?;
        // As that user it would look for settings in root's own directory.
        if let Some(owner) = Owner::other_than_root(&home) {
            return Err(owner.failure("installer", &home).into());
        }
        Ok(Self { environment, home, printer: Printer::new(json) })
    }

    /// Where an installer that was killed may have left something: where the ledger tells of, and at `settings`.
    fn places_of_leftovers(&self, settings: Option<&Path>) -> Vec<PathBuf> {
        let ledger = Ledger::read(&self.home).unwrap_or_default();
        let mut places = leftovers::places(self.environment, &self.home, &ledger);
        places.extend(settings.into_iter().flat_map(leftovers::around));
        places
    }

    /// Gives back what such a one had moved aside.
    pub(crate) fn give_back_leftovers(&self, settings: &Path) {
        let places = self.places_of_leftovers(Some(settings));
        for line in leftovers::give_back(&self.home, places.iter().map(PathBuf::as_path)) {
            self.printer.line(line);
        }
    }

    /// The same, and removes what nobody needs; what was done, a line each.
    pub(crate) fn clear_leftovers(&self, settings: Option<&Path>) -> Vec<String> {
        let places = self.places_of_leftovers(settings);
        let dirs = || places.iter().map(PathBuf::as_path);
        let mut done = leftovers::give_back(&self.home, dirs());
        let removed = |path: &Path| format!("{}: removed; an installer left it behind", path.display());
        done.extend(leftovers::remove(&leftovers::find(dirs())).into_iter().map(removed));
        done
    }

    /// The settings file that `place` names. Naming a project means its scope.
    pub(crate) fn locate(&self, place: &Where) -> Result<Location> {
        let harness = Harness::from(place.harness);
        let of_project = harness.spec().local_settings.map_or(Scope::Project, |_| Scope::ProjectLocal);
        let scope = place.scope.unwrap_or(if place.project.is_some() { of_project } else { Scope::User });
        if scope == Scope::User && place.project.is_some() {
            return Err(crate::exit::Refusal(
                "--project goes with --scope project or project-local, not with --scope user".into(),
            )
            .into());
        }
        let cwd = std::env::current_dir().context("the current directory is gone")?;
        Ok(locate(self.environment, harness, scope, place.project.as_deref(), &cwd)?)
    }
}

/// What stands before a command of the installer that is to be about the file at `location`.
pub(crate) fn prefix(environment: &dyn Env, location: &Location) -> String {
    match Account::of(environment, location) {
        Ok(account) if location.scope == Scope::User => account.prefix(environment),
        _ => String::new(),
    }
}

/// The arguments, each after a space, that name the file at `location` on the command line.
pub(crate) fn undo_arguments(location: &Location) -> String {
    let mut arguments = String::new();
    if location.harness != Harness::DEFAULT {
        arguments.push_str(" --harness ");
        arguments.push_str(location.harness.name());
    }
    if location.scope == Scope::Project {
        arguments.push_str(" --scope project");
    }
    if let Some(project) = &location.project {
        arguments.push_str(" --project ");
        arguments.push_str(&crate::shell::word(&project.display().to_string()));
    }
    arguments
}
