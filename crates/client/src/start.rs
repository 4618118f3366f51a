//! Sees to it that an authority serves: starts one, or has another one make way for it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Child;

use stopgate_core::VERSION;
use stopgate_core::autostart::{self, Autostart, PROGRAM, autostart};
use stopgate_core::env::{self, Env};
use stopgate_protocol::Health;
use stopgate_protocol::version::is_newer;

use crate::ask::Authority;
use crate::error::AskError;
use crate::limits::CHANGE;
use crate::secluded::Secluded;

/// Who is to serve, and with it which authority has to make way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// One of this program's version, or a newer one. An older one makes way also where none may be started: two
    /// versions that write one store are worse than nobody who serves.
    ThisVersion,
    /// The installed program, which is of this version, and nothing else: for whoever has installed it. What runs stays
    /// where none may be started.
    Installed,
}

/// An authority that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// What it says of itself.
    pub health: Health,
    /// Whether it was started just now, by the asker.
    pub started: bool,
    /// The one that it was started in place of, because that did not see who asks.
    pub replaced: Option<Secluded>,
}

impl Authority<'_> {
    /// Sees to it that an authority serves. Under [`Successor::Installed`] call it under the installer's lock, so that no
    /// other installer ends what this one has started.
    pub fn ensure(&self, environment: &dyn Env, successor: Successor) -> Result<Up, AskError> {
        let replaced = self.secluded();
        if let Some(secluded) = &replaced {
            if environment.flag(env::STOPGATE_NO_AUTOSTART) {
                return Err(AskError::Secluded(secluded.clone()));
            }
            self.end_secluded(secluded)?;
        }
        if let Some(health) = self.find_within(CHANGE)? {
            if !self.is_outdated(&health, successor) {
                return Ok(Up { health, started: false, replaced });
            }
            if successor == Successor::Installed && environment.flag(env::STOPGATE_NO_AUTOSTART) {
                return Err(AskError::Forbidden { running: Some(health.version) });
            }
            self.hand_over(&health)?;
        }
        let _ = std::fs::remove_file(autostart::problem_file(self.home));
        match autostart(environment, self.home) {
            Autostart::Started(child) => self.wait_until_up(child).map(|up| Up { replaced, ..up }),
            Autostart::Forbidden => Err(AskError::Forbidden { running: None }),
            Autostart::NoProgram => {
                let place = self.home.bin();
                Err(AskError::NotStarted(format!(
                    "no program `{PROGRAM}` in {} or beside this one: run `installer init`",
                    place.display()
                )))
            }
            Autostart::Failed(error) => Err(AskError::NotStarted(format!("cannot start the authority: {error}"))),
        }
    }

    /// The authority that [`Authority::ensure`] would have make way for the installed program.
    pub fn outdated(&self, environment: &dyn Env) -> Option<Health> {
        let running = self.health().ok().flatten()?;
        let is_to_go =
            !environment.flag(env::STOPGATE_NO_AUTOSTART) && self.is_outdated(&running, Successor::Installed);
        is_to_go.then_some(running)
    }

    /// Whether the authority that serves, `running`, has to make way.
    fn is_outdated(&self, running: &Health, successor: Successor) -> bool {
        match successor {
            Successor::ThisVersion => is_newer(VERSION, &running.version),
            Successor::Installed => running.version != VERSION || self.is_replaced(running.pid),
        }
    }

    /// Whether the process `pid` runs another file than the installed program: an update has replaced it, maybe one that
    /// was interrupted before it came to the authority. In doubt it does not.
    fn is_replaced(&self, pid: u32) -> bool {
        let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        // This leads to the very file that runs, also when its name is gone.
        let runs = identity(Path::new(&format!("/proc/{pid}/exe")));
        let installed = identity(&self.home.bin().join(PROGRAM));
        matches!((runs, installed), (Ok(runs), Ok(installed)) if runs != installed)
    }

    /// Waits for an authority to answer, but not after the one that was started has failed.
    fn wait_until_up(&self, mut child: Child) -> Result<Up, AskError> {
        enum StartSeen {
            Up(Health),
            Failed,
        }
        let seen = self.wait(CHANGE, "answer", || {
            if let Ok(Some(health)) = self.health() {
                return Some(StartSeen::Up(health));
            }
            // One that found another authority serving ends well.
            matches!(child.try_wait(), Ok(Some(status)) if !status.success()).then_some(StartSeen::Failed)
        });
        let what = match seen {
            Some(StartSeen::Up(health)) => return Ok(Up { health, started: true, replaced: None }),
            Some(StartSeen::Failed) => "ended at once",
            None => "does not answer",
        };
        let why = autostart::problem(self.home).unwrap_or_else(|| {
            let log = self.home.log().join("authority.jsonl");
            format!("see {}, or run `stopgate authority run` to see why", log.display())
        });
        Err(AskError::NotStarted(format!("the authority was started but {what}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;
    use stopgate_core::paths::Home;
    use stopgate_protocol::HealthStatus;

    fn health(version: &str) -> Health {
        Health {
            status: HealthStatus::Ok,
            version: version.to_owned(),
            protocol: 1,
            pid: std::process::id(),
            started_at_ms: 0,
            problem: None,
            config_problem: None,
            git_troubles: Vec::new(),
        }
    }

    #[test]
    fn an_absent_authority_that_may_not_be_started_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let environment = MapEnv::of([(env::STOPGATE_NO_AUTOSTART, "1")]);
        let authority = Authority::of(&home).telling(&|_| panic!("nothing to wait for"));
        for successor in [Successor::ThisVersion, Successor::Installed] {
            let refused = authority.ensure(&environment, successor);
            assert!(matches!(refused, Err(AskError::Forbidden { running: None })), "{refused:?}");
        }
        assert!(matches!(authority.stop(), Ok(false)));
    }

    #[test]
    fn an_older_one_makes_way_for_this_version_and_all_but_the_installed_program_for_that() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir(home.bin()).unwrap();
        let authority = Authority::of(&home);
        let older = |version: &str| authority.is_outdated(&health(version), Successor::ThisVersion);
        let another = |version: &str| authority.is_outdated(&health(version), Successor::Installed);
        assert!(older("0.0.0") && another("0.0.0"));
        assert!(!older("999.0.0") && another("999.0.0"));
        assert!(!older(VERSION));
        assert!(!another(VERSION), "doubt means no");
        std::fs::write(home.bin().join(PROGRAM), "another").unwrap();
        assert!(another(VERSION) && !older(VERSION));
        std::fs::remove_file(home.bin().join(PROGRAM)).unwrap();
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), home.bin().join(PROGRAM)).unwrap();
        assert!(!another(VERSION));
    }
}
