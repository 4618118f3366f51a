//! What `init` would do, and how it is shown.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stopgate_core::env::Env;
use stopgate_core::paths::Home;
use stopgate_protocol::Health;

use crate::account::Account;
use crate::commands::apply::Sets;
use crate::commands::undo_arguments;
use crate::deploy::{self, Change, Program};
use crate::exit::Refusal;
use crate::ledger::Ledger;
use crate::printer::columns;
use crate::settings::locate::Location;
use crate::settings::plan::SettingsPlan;
use crate::wiring::Wiring;
use crate::{authority, home, leftovers};

/// All that `init` would do: made once, then previewed, agreed to, carried out and reported.
#[derive(Debug)]
pub(super) struct InitPlan {
    pub(super) home: Home,
    is_home_new: bool,
    pub(super) wiring: Wiring,
    pub(super) programs: Vec<Program>,
    pub(super) settings: SettingsPlan,
    /// Whose configuration it is, or of whom else the project's hooks run.
    pub(super) account: Account,
    /// What the person should know before they agree.
    pub(super) warnings: Vec<String>,
    /// An authority that runs another program than the installed one.
    outdated: Option<Health>,
    /// What an installer that was killed has left behind.
    pub(super) leftovers: Vec<PathBuf>,
}

impl InitPlan {
    /// Looks, and writes nothing.
    pub(super) fn make(
        environment: &dyn Env,
        home: &Home,
        source: &Path,
        location: Location,
        sets: Sets,
    ) -> Result<Self> {
        home::check(home)?;
        let ledger = Ledger::read(home)?;
        let account = Account::of(environment, &location)?;
        let location = ledger.known_as(location);
        let wiring = Wiring::of_home(location.harness, home, &sets.of(ledger.of(&location)))?;
        let settings = SettingsPlan::install(location.clone(), &wiring, ledger.of(&location))?;
        if let Some(other) = settings.other_homes.first() {
            let (file, other) = (settings.location.path.display(), other.display());
            return Err(Refusal(format!(
                "{file} runs the hooks of another home of stopgate, {other}: with this home's beside them each would run \
                 twice, and judge every stop twice; take those out first: `STOPGATE_HOME={other} {other}/bin/installer \
                 uninstall{}`, or by hand",
                undo_arguments(&settings.location)
            ))
            .into());
        }
        let programs = deploy::plan(source, home)?;
        let outdated = authority::of(home).outdated(environment);
        let leftovers = {
            let mut places = leftovers::places(environment, home, &ledger);
            places.extend(leftovers::around(&settings.location.path));
            leftovers::find(places.iter().map(PathBuf::as_path))
        };
        let is_home_new = !home::is_marked(home);
        let mut warnings = settings.warnings.clone();
        warnings.extend(home::shared(home).map(|mount| {
            let (root, kind) = (home.root().display(), mount.kind);
            format!(
                "{root}: on a file system that other machines may share ({kind}): its database and socket are one \
                 machine's own; set STOPGATE_HOME to a directory on a disk of each machine"
            )
        }));
        let home = home.clone();
        Ok(Self { home, is_home_new, wiring, programs, settings, account, warnings, outdated, leftovers })
    }

    /// Whether everything is as it should be.
    pub(super) fn is_noop(&self) -> bool {
        !self.is_home_new
            && self.settings.is_noop()
            && self.outdated.is_none()
            && self.leftovers.is_empty()
            && self.programs.iter().all(|program| program.change == Change::Unchanged)
    }

    /// The plan for people: every path it touches, and the change of the settings.
    pub(super) fn preview(&self) -> String {
        let verb = self.settings.verb();
        let mut rows = vec![
            vec![if self.is_home_new { "create" } else { "keep" }.to_owned(), self.home.root().display().to_string()],
            vec![verb.to_owned(), self.settings.location.path.display().to_string()],
        ];
        if self.settings.target.file != self.settings.location.path {
            rows.push(vec![String::new(), format!("  -> {}", self.settings.target.file.display())]);
        }
        let programs = self.programs.iter();
        rows.extend(programs.map(|program| vec![program.change.word().to_owned(), program.path.display().to_string()]));
        if let Some(running) = &self.outdated {
            let (version, pid) = (&running.version, running.pid);
            rows.push(vec![
                "restart".to_owned(),
                format!("authority {version} (pid {pid}), which is not the installed one"),
            ]);
        }
        let left = |path: &PathBuf| vec!["remove".to_owned(), format!("{} (left behind)", path.display())];
        rows.extend(self.leftovers.iter().map(left));
        let mut lines: Vec<_> = columns(&rows).iter().map(|row| format!("  {row}")).collect();
        let diff = self.settings.diff();
        if !diff.is_empty() {
            lines.push(String::new());
        }
        lines.extend(diff.lines().map(str::to_owned));
        lines.join("\n")
    }
}
